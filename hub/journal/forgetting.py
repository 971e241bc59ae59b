"""Records of the archive that are to be forgotten: found by their keys and by what hangs on them, and emptied where they lie.

What is left of a record is what the books count: ids, places, states and times. So an index that is built anew from the archive has the
same rows as before, and every equation closes; its key, its content and what its sender called it are gone.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any, Final

from psycopg import Connection
from psycopg.rows import TupleRow

from hub.bus import Wire
from hub.contract.errors import HubError
from hub.contract.events import VIETNAM, Event, schema, schema_text
from hub.contract.topics import topics
from hub.journal.archive import REMEMBERED, Archive
from hub.journal.rows import KINDS

_READ: Final = "topic, day, kafka_topic_id, kafka_partition, kafka_offset, recorded_at, raw_ref, value"
_AT_ONCE: Final = 200  # records whose new values stand in one statement
_META: Final = ("event_id", "facility", "revision", "message_id", "test", "causes", "rule")
_LEFT: Final[Mapping[str, tuple[str, ...]]] = {
    "hie.MessageReceived": (
        *("message_id", "received_at", "facility", "sender", "transport", "format", "raw_size", "message_type", "dialect"),
        *("dialect_version", "verdict", "ack", "problems", "events", "test"),
    ),
    "hie.Delivery": ("recipient", "subject_event_id", "subject_record", "subject_topic", "lane", "rule"),
    "hie.DeadLetter": ("id", "at", "stage", "code", "topic", "partition", "offset", "detail", "state"),
    "hie.LabResult": ("status",),
    "hie.ClaimDecision": ("verdict", "claim_revision"),
}
"""Of each record the fields that stay, beside `meta`; of every other kind of event its action."""


@dataclass(frozen=True, slots=True)
class Row:
    """A record of the archive.  raw_ref: name of its body in the raw store, "" if it lies in the record."""

    topic: str
    day: date
    topic_id: str
    partition: int
    offset: int
    at: datetime
    raw_ref: str


@dataclass(slots=True)
class Traces:
    """What hangs on some Kafka keys.

    ids:    of their events, of the messages that these were translated from, and of dead letters of both.
    named:  ids that stand in the headers of what hangs on them: deliveries, and messages that led to what was derived.
    places: topic, partition and offset of those events and messages.
    rows:   records of the archive that are not empty yet.
    days:   (Asia/Ho_Chi_Minh) on which any of it was written.
    """

    keys: tuple[str, ...]
    ids: set[str] = field(default_factory=set)
    named: set[str] = field(default_factory=set)
    places: set[tuple[str, int, int]] = field(default_factory=set)
    rows: list[Row] = field(default_factory=list)
    days: set[date] = field(default_factory=set)


def indexed(database: Connection[TupleRow], keys: Sequence[str], known: Iterable[str] = ()) -> Traces:
    """What the index knows of some keys.  known: ids that an earlier try has noted."""
    traces = Traces(tuple(keys), set(known))
    for event_id, message_id, is_root, at, *place in database.execute(_EVENTS, (list(keys), list(traces.ids))):
        _event(traces, str(event_id), str(message_id or ""), is_root=is_root)
        _place(traces, at, place)
    for at, *place in database.execute(_MESSAGES, (list(traces.ids),)):
        _place(traces, at, place)
    for delivery_id, at in database.execute(_DELIVERIES, (list(traces.ids),)):
        traces.named.add(str(delivery_id))
        traces.days.add(_day(at))
    columns = [[place[number] for place in traces.places] for number in range(3)]
    traces.ids |= {str(id) for (id,) in database.execute(_LETTERS, columns)}
    return traces


def look(archive: Archive, wire: Wire, traces: Traces) -> None:
    """Add what the archive holds of the same keys.

    Raises: HubError(ARCHIVE_UNAVAILABLE, REGISTRY_UNAVAILABLE).
    """
    files = archive.files()
    of_events = [one for one in files if _kind(one["topic"]) == "event"]
    with_key = f"list_contains(?::blob[], key) and {REMEMBERED}"
    for row, value in _rows(archive, of_events, with_key, [[key.encode() for key in traces.keys]]):
        event = _read(wire, value)
        if event is not None:
            meta = event["meta"]
            _event(traces, meta["event_id"], meta["message_id"], is_root=not meta["causes"])
        _place(traces, row.at, (row.topic, row.partition, row.offset))
        traces.rows.append(row)
    # A message lies in a day with what was made of it, or in the next: a replay records all of it again.
    near = {day + timedelta(days=more) for day in traces.days for more in (-1, 0, 1)}
    named = f"(len(headers) = 0 or list_has_any([one.value for one in headers], ?::blob[])) and {REMEMBERED}"
    ids = [one.encode() for one in traces.ids | traces.named]
    around = [one for one in files if _kind(one["topic"]) in ("message", "delivery") and one["day"] in near]
    letters = [one for one in files if _kind(one["topic"]) == "dead-letter" and one["day"] >= min(near, default=date.max)]
    for row, value in chain(_rows(archive, around, named, [ids]), _rows(archive, letters, REMEMBERED)):
        event = _read(wire, value)
        if event is not None and _hangs_on(event, traces):
            traces.rows.append(row)
            traces.days.add(row.day)


def empty(archive: Archive, wire: Wire, traces: Traces, store: Path) -> int:
    """Empty the records that `look` found, and delete the files that held them. Done again, it does what is left.

    For whoever is `replacing`.  store: the raw store, which has the large bodies too.
    Returns: how many. Raises: as `look`.
    """
    for name in {row.raw_ref for row in traces.rows if row.raw_ref}:  # first, as then nothing names them any more
        for folder in (archive.folder / "raw", store):
            (folder / name).unlink(missing_ok=True)
    groups: dict[tuple[str, date, str, int], list[Row]] = defaultdict(list)
    for row in traces.rows:
        groups[row.topic, row.day, row.topic_id, row.partition].append(row)
    count = 0
    for place, rows in sorted(groups.items()):
        for start in range(0, len(rows), _AT_ONCE):
            count += archive.blank(*place, dict(_emptied(archive, wire, place, rows[start : start + _AT_ONCE])))
    archive.drop_replaced()
    return count


def keys_of_patient(archive: Archive, wire: Wire, facility: str, number: str) -> set[str]:
    """The Kafka keys of the events, whoever's, that name a patient by the number that a facility gave.

    Every event is looked into, so it may take long. Raises: as `look`.
    """
    files = [one for one in archive.files() if _kind(one["topic"]) == "event"]
    found = set()
    for _row, value in _rows(archive, files, f"contains(value::varchar, ?::blob::varchar) and {REMEMBERED}", [number.encode()]):
        event = _read(wire, value)
        if event is not None and _names_patient(event, facility, number):
            found.add(event["meta"]["key"])
    return found


def _names_patient(event: Event, facility: str, number: str) -> bool:
    """A number without issuer is of the facility whose event it is."""
    own = event["meta"]["facility"] == facility
    for one in event.get("person", {}).get("identifiers", ()):
        if (
            one["type"] == "MRN"
            and number in (one["value"], one["normalised"])
            and (facility in one["issuer"] or (own and not one["issuer"]))
        ):
            return True
    return bool(own and event.get("xml1", {}).get("ma_bn") == number)


def _emptied(
    archive: Archive, wire: Wire, place: tuple[str, date, str, int], rows: Sequence[Row]
) -> Iterator[tuple[int, tuple[datetime, bytes | None]]]:
    topic, day, topic_id, partition = place
    files = [one for one in archive.files() if (one["topic"], one["day"]) == (topic, day)]
    where = f"kafka_topic_id = ? and kafka_partition = {partition} and list_contains(?::bigint[], kafka_offset)"
    for row, value in _rows(archive, files, where, [topic_id, [row.offset for row in rows]]):
        event = _read(wire, value)
        if event is None:
            yield row.offset, (row.at, None)
            continue
        record = topics()[topic].record
        left = wire.pack(topic, emptied(record, event))
        archive.keep_schema(int.from_bytes(left[1:5], "big"), schema_text(record))
        yield row.offset, (row.at, left)


def emptied(record: str, event: Event) -> Event:
    """What is left of a record of one of our topics."""
    left: Event = {name: event[name] for name in _LEFT.get(record, ("action",)) if name in event}
    if "meta" in event:
        left["meta"] = {name: event["meta"][name] for name in _META} | {"key": "", "source": {}}
    for row in schema(record)["fields"]:
        if "default" not in row and row["name"] not in left:
            left[row["name"]] = "" if row["type"] == "string" else {}
    return left


def _hangs_on(event: Event, traces: Traces) -> bool:
    """Whether a message, delivery or dead letter is one of those ids, or about one, or about what lies at one of those places."""
    if "subject_event_id" in event:
        return event["subject_event_id"] in traces.ids
    if "stage" in event:
        of_key = event["key"].decode("ascii", "replace") in traces.keys
        return of_key or event["id"] in traces.ids or (event["topic"], event["partition"], event["offset"]) in traces.places
    return event["message_id"] in traces.ids


def _rows(
    archive: Archive, files: Iterable[Mapping[str, Any]], where: str, values: Sequence[object] = ()
) -> Iterator[tuple[Row, bytes | None]]:
    """Rows with their values."""
    for *row, value in archive.select(_READ, files, where, values):
        yield Row(*row), value


def _read(wire: Wire, value: bytes | None) -> Event | None:
    """None for what cannot be decoded."""
    try:
        return wire.unpack(value)[1]
    except HubError as wrong:
        if wrong.retriable:
            raise
        return None


def _event(traces: Traces, event_id: str, message_id: str, *, is_root: bool) -> None:
    """What was derived goes back to a message too, but may be of another key: then that message stays."""
    traces.ids.add(event_id)
    if message_id:
        (traces.ids if is_root else traces.named).add(message_id)


def _place(traces: Traces, at: datetime, place: Sequence[Any]) -> None:
    topic, partition, offset = place
    traces.places.add((topic, partition, offset))
    traces.days.add(_day(at))


def _kind(topic: str) -> str:
    return KINDS.get(topics()[topic].record, "") if topic in topics() else ""


def _day(at: datetime) -> date:
    return at.astimezone(VIETNAM).date()


_EVENTS: Final = """
select event_id, message_id, causes = '{}', recorded_at, topic, partition, record_offset from journal_event
where (key = any(%s) and key <> '') or event_id = any(%s::uuid[])
"""
_MESSAGES: Final = """
select received_at, topic, partition, record_offset from journal_message where message_id = any(%s::uuid[])
"""
_DELIVERIES: Final = "select delivery_id, recorded_at from journal_delivery where subject_event_id = any(%s::uuid[])"
_LETTERS: Final = """
select id from journal_dead_letter as letter
join unnest(%s::text[], %s::int[], %s::bigint[]) as place (topic, partition, record_offset) using (topic, partition, record_offset)
"""
