"""The case index in PostgreSQL: what was seen, what stands at the head of each key, and the facts that streams look for.

All functions work on a batch with a fixed number of statements, and leave the transaction to the caller.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from psycopg import Connection
from psycopg.rows import TupleRow

from hub.routing.stream import CaseRef, Fact, Found, Stream

Database = Connection[TupleRow]

REPEAT: Final = "REPEAT"
VOID: Final = "VOID"
EDITED: Final = "EDITED"
_CLEANED_AT_ONCE: Final = 5_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One event on its way in.  origin: topic/partition/offset of its record, the first one if it was parked meanwhile."""

    event_id: str
    origin: str
    key: str
    rank: str
    content_hash: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What the index says of one event.

    fate:    "" to be routed; REPEAT: its content stood at the head of its key already; VOID: it is older than a
             repeat of what it would change, so nobody may take it for the newest; EDITED: another was put in its place.
    again:   the same event id was seen at another place: no effect at all.
    seen_at: when it was first seen.
    """

    fate: str
    again: bool
    supersedes: str
    seen_at: datetime


@dataclass(slots=True)
class _Head:
    rank: str
    told: str
    event_id: str
    content_hash: str
    changed: bool = False


def enter(database: Database, stream: str, entries: Sequence[Entry], now: datetime) -> list[Standing]:
    """Note the events, in their order, and move the heads of their keys.

    Whoever does it again for the same record finds what was decided the first time.
    """
    standings, fresh, heads = _judge(database, stream, entries, now)
    if fresh:
        database.execute(_ENTER, (_rows(fresh),))
    moved = sorted((key, head) for key, head in heads.items() if head.changed) if heads else []
    if moved:
        rows = [(stream, key, head.rank, head.told, head.event_id, head.content_hash) for key, head in moved]
        database.execute(_MOVE, (_rows(rows),))
    return standings


def standings(database: Database, stream: str, entries: Sequence[Entry], now: datetime) -> list[Standing]:
    """What `enter` would say, without noting anything."""
    return _judge(database, stream, entries, now)[0]


def rule_of(stream: Stream, fate: str) -> str:
    """Why an event with this fate is for nobody."""
    return {REPEAT: stream.repeat_rule, VOID: "superseded", EDITED: "edited"}[fate]


def replace(database: Database, event_id: str, origin: str, said: Sequence[Fact], by: str, now: datetime) -> None:
    """Another event takes this one's place: what it said is forgotten, and it has no effect, wherever it comes again.

    by: id of the other one; its place may have been taken before, when an operator undoes an edit.
    """
    database.execute(_REPLACE, (event_id, origin, EDITED, now))
    database.execute(_RESTORE, (by, EDITED))
    forget(database, event_id, said)


def forget(database: Database, event_id: str, said: Sequence[Fact]) -> None:
    """Take back what an event said that had no effect; what stood before stands again, and what was said over it stays.

    said: the facts that it made.
    """
    database.execute(_FORGET, (_rows([(fact.kind, fact.ref, fact.id) for fact in said]), event_id))


def _judge(
    database: Database, stream: str, entries: Sequence[Entry], now: datetime
) -> tuple[list[Standing], list[tuple[Any, ...]], dict[str, _Head]]:
    """Standings; the rows of events that are new; the heads of their keys, moved."""
    seen = _seen(database, entries)
    heads = _heads(database, stream, entries)
    standings, fresh = [], []
    for entry in entries:
        before = seen.get(entry.event_id)
        if before is None:
            fate, supersedes = _meet(heads, entry)
            before = (entry.origin, fate, supersedes, now)
            seen[entry.event_id] = before
            fresh.append((entry.event_id, entry.origin, fate, supersedes or None, now))
        origin, fate, supersedes, seen_at = before
        standings.append(Standing(fate, origin != entry.origin, supersedes, seen_at))
    return standings, fresh, heads


def _meet(heads: dict[str, _Head], entry: Entry) -> tuple[str, str]:
    """Fate of a new event, and what it supersedes; the head of its key moves."""
    head = heads.get(entry.key)
    if head is None:
        heads[entry.key] = _Head(entry.rank, entry.rank, entry.event_id, entry.content_hash, changed=True)
        return "", ""
    if entry.content_hash and head.content_hash == entry.content_hash:
        if entry.rank > head.rank:
            head.rank, head.changed = entry.rank, True
        return REPEAT, ""
    if entry.rank > head.rank:
        superseded = head.event_id
        heads[entry.key] = _Head(entry.rank, entry.rank, entry.event_id, entry.content_hash, changed=True)
        return "", superseded
    # Of the same rank as the head it came with the repeat, in one message: not older, so it is news.
    return (VOID if head.told < entry.rank < head.rank else ""), ""


def _rows(rows: Sequence[Any]) -> str:
    """Rows, or values, as one JSON parameter: psycopg writes an array of texts ten times slower."""
    return orjson.dumps(rows).decode()


def _seen(database: Database, entries: Sequence[Entry]) -> dict[str, tuple[str, str, str, datetime]]:
    rows = database.execute(_SEEN, (_rows([entry.event_id for entry in entries]),))
    return {row[0]: (row[1], row[2], row[3] or "", row[4]) for row in rows}


def _heads(database: Database, stream: str, entries: Sequence[Entry]) -> dict[str, _Head]:
    rows = database.execute(_HEADS, (stream, _rows(list({entry.key for entry in entries}))))
    return {row[0]: _Head(*row[1:]) for row in rows}


def state(database: Database, facts: Iterable[tuple[Fact, str, str]], now: datetime, days: int) -> None:
    """Write facts, each with its event id and place; one of lower rank than what stands has no effect.

    days: how long a fact is kept that does not say so itself.
    """
    newest: dict[
        tuple[str, str, str], list[tuple[Fact, str, str]]
    ] = {}  # and the one before it, which stands if that is taken back
    for one in facts:
        name = (one[0].kind, one[0].ref, one[0].id)
        before = newest.get(name, [])
        if all(said[0].rank != one[0].rank for said in before):  # of the same rank the first stands, as in the index
            newest[name] = sorted([*before, one], key=lambda said: said[0].rank)[-2:]
    ends = {said: now + timedelta(days=said or days) for said in {one[0].days for some in newest.values() for one in some}}
    for wave in ([some[0] for some in newest.values() if len(some) > 1], [some[-1] for some in newest.values()]):
        rows = [
            (fact.kind, fact.ref, fact.id, fact.rank, fact.data, event_id, place, ends[fact.days])
            for fact, event_id, place in wave
        ]
        if rows:
            database.execute(_STATE, (_rows(sorted(rows, key=lambda row: row[:3])),))


def newer(database: Database, facts: Sequence[Fact]) -> list[Fact]:
    """Those that `state` would let stand."""
    rows = [(number, fact.kind, fact.ref, fact.id, fact.rank) for number, fact in enumerate(facts)]
    return [facts[number] for (number,) in database.execute(_NEWER, (_rows(rows),))]


def find(database: Database, lookups: Sequence[Sequence[CaseRef]]) -> list[list[Found]]:
    """What the index holds for the look-ups of each event, all in one query."""
    known: list[list[Found]] = [[] for _ in lookups]
    wanted = [
        (number, ref.kind, ref.ref, ref.about, ref.most, ref.about_most) for number, refs in enumerate(lookups) for ref in refs
    ]
    if not wanted:
        return known
    facts: dict[tuple[int, str, str, str], tuple[Any, ...]] = {}
    abouts: dict[tuple[int, str, str, str], list[Found]] = {}
    for row in database.execute(_FIND, (_rows(wanted),)):
        name = (row[0], *row[1:4])
        facts[name] = row[1:7]
        of_it = abouts.setdefault(name, [])
        if row[7] is not None:
            of_it.append(Found(*row[7:13]))
    for name, (kind, ref, id_, data, event_id, place) in facts.items():
        known[name[0]].append(Found(kind, ref, id_, data, event_id, place, tuple(abouts[name])))
    return known


def clean(database: Database, now: datetime, seen_days: int) -> int:
    """Forget what has outlived its use, a bounded number at a time. Returns: how many rows went.

    seen_days: how far back a replay may go; whatever it brings was seen before.
    """
    gone = database.execute(_CLEAN_FACTS, (now, _CLEANED_AT_ONCE)).rowcount
    return gone + database.execute(_CLEAN_SEEN, (now - timedelta(days=seen_days + 1), _CLEANED_AT_ONCE)).rowcount


_SEEN: Final = """
select event_id::text, origin, fate, supersedes::text, seen_at from case_event
where event_id = any(array(select json_array_elements_text(%s::json)::uuid))
"""
_HEADS: Final = """
select key, rank, told, event_id::text, content_hash from case_head
where stream = %s and key = any(array(select json_array_elements_text(%s::json)))
"""
_ENTER: Final = """
insert into case_event (event_id, origin, fate, supersedes, seen_at)
select (row->>0)::uuid, row->>1, row->>2, (row->>3)::uuid, (row->>4)::timestamptz from json_array_elements(%s::json) as row
on conflict do nothing
"""
_REPLACE: Final = """
insert into case_event (event_id, origin, fate, seen_at) values (%s, %s, %s, %s)
on conflict (event_id) do update set fate = excluded.fate
"""
_RESTORE: Final = "update case_event set fate = '' where event_id = %s and fate = %s"
_FORGET: Final = """
with gone as (
    select kind, ref, id, before from case_fact join json_array_elements(%s::json) as row
        on (kind, ref, id) = (row->>0, row->>1, row->>2)
    where event_id = %s order by kind, ref, id for update of case_fact
), restored as (
    update case_fact as fact set (rank, data, event_id, place, before)
        = (gone.before->>0, gone.before->1, (gone.before->>2)::uuid, gone.before->>3, null)
    from gone where gone.before is not null and (fact.kind, fact.ref, fact.id) = (gone.kind, gone.ref, gone.id)
)
delete from case_fact as fact using gone
where gone.before is null and (fact.kind, fact.ref, fact.id) = (gone.kind, gone.ref, gone.id)
"""
_MOVE: Final = """
insert into case_head (stream, key, rank, told, event_id, content_hash)
select row->>0, row->>1, row->>2, row->>3, (row->>4)::uuid, row->>5 from json_array_elements(%s::json) as row
on conflict (stream, key) do update set (rank, told, event_id, content_hash)
    = (excluded.rank, excluded.told, excluded.event_id, excluded.content_hash)
where excluded.rank > case_head.rank
"""
_STATE: Final = """
insert into case_fact (kind, ref, id, rank, data, event_id, place, expires_at)
select row->>0, row->>1, row->>2, row->>3, (row->>4)::jsonb, (row->>5)::uuid, row->>6, (row->>7)::timestamptz
from json_array_elements(%s::json) as row
on conflict (kind, ref, id) do update set (rank, data, event_id, place, expires_at, before)
    = (excluded.rank, excluded.data, excluded.event_id, excluded.place, excluded.expires_at,
       jsonb_build_array(case_fact.rank, case_fact.data, case_fact.event_id, case_fact.place))
where excluded.rank > case_fact.rank
"""
_NEWER: Final = """
select (row->>0)::int as number from json_array_elements(%s::json) as row where not exists (
    select from case_fact where (kind, ref, id) = (row->>1, row->>2, row->>3) and rank >= row->>4
) order by number
"""
_FIND: Final = """
select wanted.number, fact.kind, fact.ref, fact.id, fact.data, fact.event_id::text, fact.place,
       about.kind, about.ref, about.id, about.data, about.event_id::text, about.place
from (
    select (row->>0)::int as number, row->>1 as kind, row->>2 as ref, row->>3 as about, (row->>4)::int as most,
           (row->>5)::int as about_most
    from json_array_elements(%s::json) as row
) as wanted
join lateral (
    select * from case_fact as one where one.kind = wanted.kind and one.ref = wanted.ref and one.expires_at > now()
    order by one.rank, one.id limit wanted.most
) as fact on true
left join lateral (
    select * from case_fact as one
    where wanted.about <> '' and one.kind = wanted.about and one.ref = fact.id and one.expires_at > now()
    order by one.rank, one.id limit wanted.about_most
) as about on true
order by wanted.number, fact.kind, fact.ref, fact.id
"""
_CLEAN_FACTS: Final = """
delete from case_fact where ctid = any(array(select ctid from case_fact where expires_at < %s limit %s))
"""
_CLEAN_SEEN: Final = """
delete from case_event where ctid = any(array(select ctid from case_event where seen_at < %s limit %s))
"""
