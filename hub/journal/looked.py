"""Who looked at a thing, or did something with it: the audit events that name its id, out of topic or archive.

The index knows where audit events lie, not what they are about, so the newest are read; how many is said.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from psycopg import Connection
from psycopg.rows import TupleRow

from hub.bus import Wire, read_at
from hub.contract.errors import HubError
from hub.contract.events import Event
from hub.journal.dead_letters import Archived

MOST: Final = 500


@dataclass(frozen=True, slots=True)
class Audited:
    """Audit events, newest first. read: how many were read; next: `after` of those behind them, "" where there are none."""

    found: tuple[Event, ...]
    read: int
    next: str = ""


def audited(
    database: Connection[TupleRow],
    kafka: str,
    wire: Wire,
    older: Archived,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    action: str = "",
    by: str = "",
    ids: Sequence[str] | None = None,
    after: str = "",
    most: int = MOST,
) -> Audited:
    """The newest audit events behind a place, `most` of them read; of these those by that person, and that name one of the ids.

    ids:    of any; None for whatever it is about.
    Raises: HubError(BROKER_UNAVAILABLE, ARCHIVE_UNAVAILABLE, REQUEST_WRONG).
    """
    at, _, last = after.partition("|")
    try:
        behind = {"at": datetime.fromisoformat(at), "last": UUID(last)} if after else {"at": None, "last": None}
    except ValueError:
        raise HubError("REQUEST_WRONG", "after") from None
    values = {"since": since, "until": until, "action": action, "most": most, **behind}
    rows = database.execute(_PLACES, values).fetchall()
    values_of = values_at(kafka, [(row[0], row[1], row[2]) for row in rows], older)
    told = {one["id"]: one for one in (wire.unpack(value)[1] for value in values_of if value)}  # told twice, it is one
    wanted = [one for one in told.values() if by in ("", one["by"]) and (ids is None or _names(one["target"], ids))]
    following = f"{rows[-1][3].astimezone(UTC).isoformat()}|{rows[-1][4]}" if len(rows) == most else ""
    return Audited(tuple(wanted), len(rows), following)


def looked_at(
    database: Connection[TupleRow], kafka: str, wire: Wire, older: Archived, ids: Sequence[str], since: datetime
) -> tuple[list[Event], int]:
    """The audit events that name one of the ids, newest first, and how many were read, `MOST` at most.

    since: nothing older can be about it: when it was received.
    Raises: HubError(BROKER_UNAVAILABLE, ARCHIVE_UNAVAILABLE).
    """
    told = audited(database, kafka, wire, older, since=since, ids=ids)
    return list(told.found), told.read


def ids_of(database: Connection[TupleRow], keys: Sequence[str]) -> tuple[list[str], datetime | None]:
    """All by which an audit event may name what has one of these Kafka keys: the key; ids and places of its messages, events and
    deliveries, those of `MOST` events. And when the first of them came; None where there are none."""
    rows = database.execute(_IDS, {"keys": list(keys), "most": MOST}).fetchall()
    return sorted({id for ids, _ in rows for id in ids if id}), min((at for _, at in rows), default=None)


def _names(target: str, ids: Sequence[str]) -> bool:
    """Whether it names one of them; a place (topic/partition/offset) only as a word of its own, as it may begin another."""
    words = target.split()
    return any(id in words if "/" in id else id in target for id in ids)


def values_at(kafka: str, places: Sequence[tuple[str, int, int]], older: Archived) -> list[bytes | None]:
    """`value_at` of several, in the order asked, by one reader where the topic keeps all."""
    try:
        return [one.value() for one in read_at(kafka, places)]
    except HubError as gone:
        if gone.retriable:
            raise
        return [value_at(kafka, place, older) for place in places]


def value_at(kafka: str, place: tuple[str, int, int], older: Archived) -> bytes | None:
    """A record's value out of topic or archive; None where neither keeps it any more."""
    try:
        return read_at(kafka, [place])[0].value()
    except HubError as gone:
        if gone.retriable:
            raise
        return older(*place)


# Only audit events have no key, so the index of keys finds them.
_PLACES: Final = """
select topic, partition, record_offset, recorded_at, event_id from journal_event
where key = '' and record = 'hie.AuditEvent' and recorded_at >= coalesce(%(since)s, '-infinity'::timestamptz)
    and recorded_at < coalesce(%(until)s, 'infinity'::timestamptz) and %(action)s in ('', action)
    and (%(at)s::timestamptz is null or (recorded_at, event_id) < (%(at)s, %(last)s::uuid))
order by recorded_at desc, event_id desc limit %(most)s
"""
# An audit event is never older than what it is about, which may have been received before it was recorded.
_IDS: Final = """
select array[event.key, event.event_id::text, event.message_id::text, concat_ws('/', event.topic, event.partition, event.record_offset),
             concat_ws('/', message.topic, message.partition, message.record_offset)]
           || array(select delivery_id::text from journal_delivery where subject_event_id = event.event_id),
       least(event.recorded_at, message.received_at)
from journal_event as event left join journal_message as message on message.message_id = event.message_id
where event.key = any(%(keys)s) and event.key <> '' limit %(most)s
"""
