"""Messages and deliveries are found newest first by sender, facility, verdict, code, state or time alone, a page at a time.

Each index ends in the order of a page, so that one is read as far as the page goes. Rare values have their own: what nearly
every row says (translated, acknowledged) is found on the way through time.
"""

from alembic import op

revision = "0017"
down_revision = "0016"

_UP = """
create function journal_codes(problems jsonb) returns text[] language sql immutable strict parallel safe
    return array(select distinct jsonb_array_elements(problems) ->> 'code');
create index journal_message_received on journal_message (received_at, message_id);
create index journal_message_facility_at on journal_message (facility, received_at, message_id);
create index journal_message_sender_at on journal_message (sender, received_at, message_id);
create index journal_message_verdict_at on journal_message (verdict, received_at, message_id) where verdict <> 'translated';
create index journal_message_codes on journal_message using gin (journal_codes(problems)) where problems <> '[]';
create index journal_delivery_at on journal_delivery (recorded_at, delivery_id);
create index journal_delivery_state_at on journal_delivery (state, recorded_at, delivery_id)
    where state not in ('', 'QUEUED', 'ACKNOWLEDGED');
create index journal_delivery_code_at on journal_delivery (code, recorded_at, delivery_id) where code <> '';
"""
_DOWN = """
drop index journal_message_received, journal_message_facility_at, journal_message_sender_at, journal_message_verdict_at,
           journal_message_codes, journal_delivery_at, journal_delivery_state_at, journal_delivery_code_at;
drop function journal_codes(jsonb);
"""


def upgrade() -> None:
    op.execute(_UP)


def downgrade() -> None:
    op.execute(_DOWN)
