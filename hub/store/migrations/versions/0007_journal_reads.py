"""One story, one day's books and one facility's views are found without a look at everything that the journal holds."""

from alembic import op

revision = "0007"
down_revision = "0006"

_UP = """
drop index journal_message_control;
create index journal_message_control on journal_message (control_id, facility); -- vendors count from 0: one id is many senders'
create index journal_message_facility on journal_message (facility, day);
create index journal_event_recorded on journal_event using brin (recorded_at);
create index journal_delivery_recorded on journal_delivery using brin (recorded_at);
create index journal_delivery_recipient on journal_delivery (recipient, recorded_at);
create index journal_delivery_waiting on journal_delivery (state, recipient) where state in ('', 'QUEUED', 'HELD');
create index journal_receipt_at on journal_receipt using brin (at);
create index journal_dead_letter_place on journal_dead_letter (topic, partition, record_offset);
create index parked_event on parked (event_id);
"""
_DOWN = """
drop index journal_message_control, journal_message_facility, journal_event_recorded, journal_delivery_recorded,
           journal_delivery_recipient, journal_delivery_waiting, journal_receipt_at, journal_dead_letter_place, parked_event;
create index journal_message_control on journal_message (control_id);
"""


def upgrade() -> None:
    op.execute(_UP)


def downgrade() -> None:
    op.execute(_DOWN)
