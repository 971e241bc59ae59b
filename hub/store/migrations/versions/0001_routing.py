"""The case index: what routing knows of every key, small facts with a lifetime, deadlines, and what waits.

No body and no name of a person is kept here, except in `due` and `parked`, which hold whole events until they go on.
"""

from alembic import op

revision = "0001"
down_revision = None

_UP = """
create table case_event (            -- every event seen: the first place decides, any other place is a repeat
    event_id   uuid primary key,
    origin     text not null,        -- topic/partition/offset of its first record
    fate       text not null,        -- '' routed; REPEAT: its content stood at the head; VOID: older than a repeat that undid it
    supersedes uuid,                 -- head of its key when it came; null for the first and for a stale one
    seen_at    timestamptz not null default now()
);
create index case_event_seen_at on case_event (seen_at);

create table case_head (             -- the newest revision of each key, and of each side that speaks under it
    stream     text not null,        -- topic
    key        text not null,        -- Kafka key, and the side behind a /
    rank       text collate "C" not null, -- of the newest statement, repeats included
    told       text collate "C" not null, -- of the newest that was routed
    event_id   uuid not null,        -- that one
    content_hash text not null,
    primary key (stream, key)
);

create table case_fact (             -- small facts that other streams look for
    kind       text not null,        -- such as referral-by-slip
    ref        text not null,        -- what it is looked up by; hashed where it identifies a person
    id         text not null,        -- whose fact: a key or event id
    rank       text collate "C" not null,
    data       jsonb not null,
    event_id   uuid not null,        -- the event that says it
    place      text not null,        -- topic/partition/offset of its record, to read it again
    expires_at timestamptz not null,
    primary key (kind, ref, id)
);
create index case_fact_expires_at on case_fact (expires_at);

create table due (                   -- deadlines: an event that comes on its own key when its time has come
    id     uuid primary key,         -- event id
    due_at timestamptz not null,
    topic  text not null,
    key    text not null,
    value  bytea not null
);
create index due_at on due (due_at);

create table parked (                -- keys that wait for a fact or a fix, in order
    topic       text not null,
    partition   integer not null,
    record_offset bigint not null,
    key         text not null,
    event_id    uuid,
    code        text not null,       -- row of the table of errors; BEHIND for those that only wait behind another
    value       bytea not null,
    state       text not null default 'PARKED', -- PARKED; RELEASED once it was routed; DISCARDED
    sent        boolean not null default false, -- published again; it leaves when that record is routed
    parked_at   timestamptz not null default now(),
    primary key (topic, partition, record_offset)
);
create index parked_key on parked (topic, key) where state = 'PARKED';
"""


def upgrade() -> None:
    op.execute(_UP)


def downgrade() -> None:
    op.execute("drop table parked, due, case_fact, case_head, case_event")
