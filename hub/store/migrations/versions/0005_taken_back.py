"""What an operator takes back: facts know what stood before them, and dead letters where they lie and what became of them."""

from alembic import op

revision = "0005"
down_revision = "0004"

_UP = """
alter table journal_dead_letter
    add column state text not null default '', -- '' while it is open; REDRIVEN, DISCARDED
    add column letter_partition integer,       -- where it lies in dead-letter.v1; null of what was read before this migration
    add column letter_offset bigint;
drop index parked_key;
create index parked_key on parked (topic, key, record_offset) where state = 'PARKED'; -- the oldest of a key, at once
alter table case_fact add column before jsonb; -- rank, data, event_id and place of what this one took the place of
create index journal_dead_letter_open on journal_dead_letter (stage, code, topic) where state = '';
"""


def upgrade() -> None:
    op.execute(_UP)


def downgrade() -> None:
    op.execute(
        "drop index journal_dead_letter_open;"
        "alter table journal_dead_letter drop column state, drop column letter_partition, drop column letter_offset;"
        "alter table case_fact drop column before;"
        "drop index parked_key;"
        "create index parked_key on parked (topic, key) where state = 'PARKED'"
    )
