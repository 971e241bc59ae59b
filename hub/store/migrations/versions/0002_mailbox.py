"""One mailbox a recipient: what was handed to whom, and what they said."""

from alembic import op

revision = "0002"
down_revision = "0001"

_UP = """
create table recipient (             -- the locked row gives the next number, so that a cursor never skips
    code text primary key,           -- facility code; with `!test` behind it for test traffic
    seq  bigint not null default 0
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
    day         date not null,       -- of queued_at, Asia/Ho_Chi_Minh
    recipient   text not null,
    seq         bigint not null,     -- the recipient's cursor, without gaps
    delivery_id uuid not null,
    event_id    uuid not null,
    record      text not null,
    subject_key text not null,       -- Kafka key of the event: its order is kept
    lane        text not null,       -- urgent or routine
    rule        text not null,
    facility    text not null,       -- whose thing it is
    message_id  text not null,
    test        boolean not null,
    state       text not null,       -- QUEUED, SENT, ACKNOWLEDGED, REFUSED, EXPIRED, HELD, DISCARDED
    code        text not null default '',
    tries       integer not null default 0,
    next_try_at timestamptz,
    queued_at   timestamptz not null,
    changed_at  timestamptz not null,
    body        bytea not null,
    primary key (recipient, seq, day)
) partition by range (day);
create index mailbox_delivery on mailbox (delivery_id);

create table receipt_outbox (        -- written with the change of state, emptied when the brokers hold the receipt
    id          bigint generated always as identity primary key,
    delivery_id uuid not null,
    recipient   text not null,
    facility    text not null,
    message_id  text not null,
    test        boolean not null,
    state       text not null,
    code        text not null,
    channel     text not null,
    at          timestamptz not null
);
"""


def upgrade() -> None:
    op.execute(_UP)


def downgrade() -> None:
    op.execute("drop table receipt_outbox, mailbox, delivery_seen, recipient")
