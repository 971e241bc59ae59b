"""Traffic by feed and hour, as the journal counts it, and the incidents that its watch finds."""

from alembic import op

revision = "0015"
down_revision = "0014"

_UP = """
create table journal_traffic (       -- written with journal_message, from what a message said first; without tests
    hour     timestamptz not null,   -- of receipt
    sender   text not null,
    facility text not null,
    what     text not null,          -- received, refused, quarantined, slow (more than 2 s to the topic), or a problem's code
    messages bigint not null,
    primary key (hour, sender, facility, what)
);
create index journal_traffic_feed on journal_traffic (sender, facility, hour);

create table incident (              -- not of the index: a rebuild keeps it
    id       uuid primary key,
    kind     text not null,          -- silence, volume, refusals, codes, latency
    cause_kind text not null,        -- feed, sender, province, vendor, hub
    cause    text not null,
    members  text[] not null,        -- sender/facility
    began    timestamptz not null,
    noticed  timestamptz not null,
    ended    timestamptz,
    part_of  uuid,                   -- the cause it turned out to be part of
    missing  double precision not null,
    figures  jsonb not null
);
create index incident_noticed on incident (noticed);
create index incident_open on incident (noticed) where ended is null;

insert into journal_traffic (hour, sender, facility, what, messages)
select date_trunc('hour', received_at, 'UTC'), sender, facility, what, count(*)
from journal_message
cross join lateral (
    select 'received' union all select verdict where verdict <> 'translated'
    union all select distinct problem ->> 'code' from jsonb_array_elements(problems) as problem
) as counted (what)
where not test group by 1, 2, 3, 4;
"""


def upgrade() -> None:
    op.execute(_UP)


def downgrade() -> None:
    op.execute("drop table incident, journal_traffic")
