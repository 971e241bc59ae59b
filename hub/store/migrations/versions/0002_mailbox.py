"""One mailbox a recipient: what was handed to whom, and what they said."""

from alembic import op

revision = "0002"
down_revision = "0001"

_UP = """
create table recipient (             -- the locked row gives the next number, so that a cursor never skips
    code   text primary key,
    seq    bigint not null default 0,
    paused boolean not null default false
);

create table delivery_seen (         -- outlives the longest replay
    recipient   text not null,
    delivery_id uuid not null,
    primary key (recipient, delivery_id)
) partition by hash (recipient);
create table delivery_seen_0 partition of delivery_seen for values with (modulus 8, remainder 0);
create table delivery_seen_1 partition of delivery_seen for values with (modulus 8, remainder 1);
create table delivery_seen_2 partition of delivery_seen for values with (modulus 8, remainder 2);
create table delivery_seen_3 partition of delivery_seen for values with (modulus 8, remainder 3);
create table delivery_seen_4 partition of delivery_seen for values with (modulus 8, remainder 4);
create table delivery_seen_5 partition of delivery_seen for values with (modulus 8, remainder 5);
create table delivery_seen_6 partition of delivery_seen for values with (modulus 8, remainder 6);
create table delivery_seen_7 partition of delivery_seen for values with (modulus 8, remainder 7);

create table mailbox (               -- partitioned by day: retention drops partitions
    day         date not null,
    recipient   text not null,
    seq         bigint not null,     -- the recipient's cursor, without gaps
    delivery_id uuid not null,
    event_id    uuid not null,
    record      text not null,
    subject_key text not null,       -- Kafka key of the event: its order is kept
    lane        text not null,
    test        boolean not null,
    state       text not null,       -- QUEUED, SENT, ACKNOWLEDGED, REFUSED, EXPIRED, HELD, DISCARDED
    code        text not null default '',
    tries       integer not null default 0,
    next_try_at timestamptz,
    queued_at   timestamptz not null default now(),
    changed_at  timestamptz not null default now(),
    body        bytea not null,
    primary key (day, recipient, seq)
) partition by range (day);
create index mailbox_cursor on mailbox (recipient, seq);
create index mailbox_delivery on mailbox (delivery_id);
"""


def upgrade() -> None:
    op.execute(_UP)


def downgrade() -> None:
    op.execute("drop table mailbox, delivery_seen, recipient")
