"""The journal: an index of what happened, rebuilt from the topics whenever wanted. It holds places, never bodies."""

from alembic import op

revision = "0003"
down_revision = "0002"

_UP = """
create table journal_offset (        -- committed with the rows, so that the index is exact
    topic        text not null,
    partition    integer not null,
    first_offset bigint not null,    -- next_offset - first_offset = rows + repeats + undecodable, or the index is not whole
    next_offset  bigint not null,
    repeats      bigint not null default 0,
    primary key (topic, partition)
);

create table journal_undecodable (   -- records that could not be read
    topic         text not null,
    partition     integer not null,
    record_offset bigint not null,
    code          text not null,
    primary key (topic, partition, record_offset)
);

create table journal_message (
    message_id  uuid primary key,
    received_at timestamptz not null,
    day         date not null,       -- of received_at, Asia/Ho_Chi_Minh
    sender      text not null,
    facility    text not null,
    transport   text not null,
    format      text not null,
    message_type text not null,
    control_id  text not null,
    verdict     text not null,
    ack         text not null,
    problems    jsonb not null,      -- code, severity, path
    events      uuid[] not null,     -- what the gate said it made
    test        boolean not null,
    topic       text not null,
    partition   integer not null,
    record_offset bigint not null
);
create index journal_message_control on journal_message (control_id);
create index journal_message_day on journal_message (day, sender);

create table journal_event (
    event_id    uuid not null,
    topic       text not null,
    partition   integer not null,
    record_offset bigint not null,
    record      text not null,
    message_id  uuid,
    facility    text not null,
    key         text not null,
    action      text not null,
    revision    text not null,
    rule        text not null,
    causes      uuid[] not null,
    recorded_at timestamptz not null,
    test        boolean not null,
    primary key (topic, partition, record_offset)
);
create index journal_event_id on journal_event (event_id);
create index journal_event_key on journal_event (key);
create index journal_event_message on journal_event (message_id);
create index journal_event_causes on journal_event using gin (causes) where causes <> '{}';

create table journal_delivery (
    delivery_id uuid primary key,
    subject_event_id uuid not null,
    recipient   text not null,       -- empty: nobody, by rule
    rule        text not null,
    record      text not null,
    lane        text not null,
    message_id  uuid,
    test        boolean not null,
    recorded_at timestamptz not null,
    state       text not null default '',
    code        text not null default '',
    state_at    timestamptz
);
create index journal_delivery_subject on journal_delivery (subject_event_id);
create index journal_delivery_message on journal_delivery (message_id);

create table journal_receipt (
    delivery_id uuid not null,
    state       text not null,
    at          timestamptz not null,
    channel     text not null,
    code        text not null,
    primary key (delivery_id, state, at)
);

create table journal_dead_letter (
    id          uuid primary key,
    stage       text not null,
    code        text not null,
    topic       text not null,
    partition   integer not null,
    record_offset bigint not null,
    recorded_at timestamptz not null
);
"""


def upgrade() -> None:
    op.execute(_UP)


def downgrade() -> None:
    op.execute(
        "drop table journal_dead_letter, journal_receipt, journal_delivery, journal_event, journal_message,"
        " journal_undecodable, journal_offset"
    )
