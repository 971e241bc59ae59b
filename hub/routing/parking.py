"""Keys that wait for a fact or a fix: in order, without stopping any other key.

A parked row is an event's place in the queue of its key. `release` publishes the waiting events again, in order, each
with a header that names its row; the worker routes such a record only when nothing older of its key still waits, and
the row leaves when that is done. Whatever arrives meanwhile queues behind, and follows by itself.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from psycopg import Connection
from psycopg.rows import TupleRow, dict_row

from hub.audit import audit
from hub.bus import Headers, Out, Producer, Wire, dead_letter, event_out
from hub.contract.errors import HubError
from hub.contract.events import Event, Keyring, now
from hub.contract.topics import check_size
from hub.routing import amend, assembly, cases, deadlines, deliveries
from hub.routing.record import PARKED_HEADER, REDRIVEN_HEADER, Record, place_text
from hub.routing.stream import Fact, Stream

Database = Connection[TupleRow]

Copy = tuple[int, int, str]
"""Of an event that waits and was published again: partition and offset of its row, and its own id."""

BEHIND: Final = "BEHIND"
STORM_KEYS: Final = 20  # keys parked for one cause within a minute; more pause the stream


@dataclass(frozen=True, slots=True)
class Row:
    """One parked event that still waits.  sent: published again."""

    partition: int
    offset: int
    code: str
    sent: bool


@dataclass(slots=True)
class Queues:
    """What waits in a topic, for the keys of one batch.

    waiting: key to rows, by offset, oldest first.
    places:  (partition, offset) of records of the batch that were parked before, in whatever state they are now.
    """

    waiting: dict[str, dict[int, Row]] = field(default_factory=dict)
    places: set[tuple[int, int]] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Parked:
    """One event to park, or to leave parked."""

    record: Record
    key: str
    event_id: str
    code: str


def read(
    database: Database, topic: str, keys: Iterable[str], places: Sequence[tuple[int, int]], drained: Collection[str] = ()
) -> Queues:
    """What waits under these keys, and which of these records were parked before.

    drained: keys of which all that waits is told; of the others the oldest will do, however many wait behind it.
    """
    queues = Queues()
    for key, partition, offset, code, state, sent, here in database.execute(
        _READ,
        {
            "topic": topic,
            "keys": [key for key in keys if key not in drained],
            "drained": list(drained),
            "partitions": [one for one, _ in places],
            "offsets": [one for _, one in places],
        },
    ):
        if here:
            queues.places.add((partition, offset))
        if state == "PARKED":
            queues.waiting.setdefault(key, {})[offset] = Row(partition, offset, code, sent)
    return queues


def take(database: Database, topic: str, copies: Collection[Copy]) -> set[Copy]:
    """Those that are what waits in their rows: not what went through meanwhile, was given up, or was edited.

    They count as sent from then on, so nobody edits them before they are through or park again.
    """
    partitions, offsets, ids = zip(*copies, strict=True)
    found = database.execute(_TAKE, {"topic": topic, "partitions": [*partitions], "offsets": [*offsets], "ids": [*ids]})
    return {(row[0], row[1], row[2]) for row in found}


def park(database: Database, parked: Iterable[Parked], at: datetime) -> None:
    """Put events into the queues of their keys; one that waits already, waits on."""
    rows = {
        one.record.origin: (*one.record.origin, one.key, one.event_id or None, one.code, one.record.body or b"") for one in parked
    }
    if rows:
        database.execute(_PARK, (at, *(list(column) for column in zip(*rows.values(), strict=True))))


def left_alone(database: Database, topic: str, keys: Collection[str]) -> list[str]:
    """Keys of which only events wait that have no cause of their own, as what they waited behind was given up meanwhile.

    Whoever gives one up holds its row; here it is waited for, so one of both sees the other.
    """
    return [key for (key,) in database.execute(_ALONE, {"topic": topic, "keys": list(keys)})]


def first_of(database: Database, topic: str, key: str, place: tuple[int, int]) -> bytes | None:
    """The event that a key waits for, held against operators; None when it is another than that one by now, or on its way."""
    row = database.execute(_OLDEST + " for update", (topic, key)).fetchone()
    return bytes(row[2]) if row is not None and (row[0], row[1]) == place and not row[3] else None


def storm(database: Database, causes: Mapping[str, set[str]]) -> str:
    """The cause that has parked, or would now park, too many keys within a minute; "" for none.  causes: code to keys."""
    for code, keys in causes.items():
        row = database.execute(_STORM, (code, list(keys))).fetchone()
        if row is not None and row[0] + len(keys) > STORM_KEYS:
            return code
    return ""


def settle(database: Database, topic: str, routed: Collection[Copy], sent: Sequence[tuple[int, int]]) -> None:
    """Note what is routed after it had waited, and what is published again.

    Noted before it is published and committed after, so the rows are held that long: operators and other workers find them gone or
    on their way, and a crash leaves them as they were, for the batch to be done again. What was edited meanwhile waits on.
    """
    if routed:
        partitions, offsets, ids = zip(*routed, strict=True)
        database.execute(_ROUTED, ([*partitions], [*offsets], [*ids], topic))
    if sent:
        partitions, offsets = zip(*sent, strict=True)
        database.execute(_SENT, ([*partitions], [*offsets], topic))


def following(
    database: Database, topic: str, key: str, *, behind: int = -1, among: Collection[int] | None = None
) -> tuple[list[Out], list[tuple[int, int]]]:
    """What waits under a key, in order; held, so that what is published is what waits.

    behind, among: only what is behind this offset, and at one of those.
    Returns: records that publish it again, and their places (partition, offset).
    """
    query = (
        _VALUES
        + " and record_offset > %s and (%s::bigint[] is null or record_offset = any(%s)) order by record_offset for update"
    )
    offsets = None if among is None else [*among]
    rows = database.execute(query, (topic, key, behind, offsets, offsets)).fetchall()
    return [_again(topic, key, *row) for row in rows], [(row[0], row[1]) for row in rows]


def _again(topic: str, key: str, partition: int, offset: int, value: bytes) -> Out:
    headers: Headers = [(PARKED_HEADER, f"{topic}/{partition}/{offset}".encode())]
    return Out(topic, key, value, headers)


# --- what an operator does --------------------------------------------------------------------------------------------


def waiting(database: Database, most: int | None = None) -> list[dict[str, Any]]:
    """One row a parked key: topic, key, code (why its oldest event waits), event_id (of that one), waiting (events), since.

    most: so many at most, those that wait longest.
    """
    with database.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_WAITING + "order by since limit %s", (most,)).fetchall()


def causes(database: Database, facility: str = "") -> list[dict[str, Any]]:
    """What waits, one row a cause: topic, code, keys, waiting (events), since, event_id (that its longest waiting key waits for).

    facility: only under its keys; "" for all.
    """
    with database.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_CAUSES, {"prefix": f"{facility}:" if facility else ""}).fetchall()


def key_of(database: Database, event_id: str) -> tuple[str, str] | None:
    """Topic and key of an event that waits; None where it does not. event_id: a UUID."""
    row = database.execute("select topic, key from parked where event_id = %s and state = 'PARKED'", (event_id,)).fetchone()
    return None if row is None else (row[0], row[1])


def first_id(database: Database, topic: str, key: str, *, held: bool = False) -> str | None:
    """Id of the event that a key waits for; None where nothing waits.  held: against other operators and workers, until the
    transaction ends."""
    if held:
        _hold(database, topic, key)
    row = database.execute(_FIRST + " for update" if held else _FIRST, (topic, key)).fetchone()
    return None if row is None else row[0]


def count(database: Database, topic: str, key: str) -> int:
    """How many events wait under a key."""
    row = database.execute(_COUNT, (topic, key)).fetchone()
    return row[0] if row else 0


def release(database: Database, producer: Producer, wire: Wire, topic: str, key: str, *, by: str, reason: str) -> int:
    """Publish what waits under a key again, in order. Returns: how many events.

    Raises: HubError(BROKER_UNAVAILABLE); nothing is lost then, and it may be done again.
    """
    rows = _held(database, topic, key)
    # Sent first: a worker that has a copy already waits here, so that what it parks again does not look as if it were on its way.
    settle(database, topic, [], [(row[0], row[1]) for row in rows])
    producer.publish_blocking(
        [
            *(_again(topic, key, *row) for row in rows),
            audit(wire, "parked-release", f"{topic} {key}", by, reason, "done" if rows else "refused"),
        ]
    )
    database.commit()
    return len(rows)


def discard(
    database: Database, producer: Producer, wire: Wire, stream: Stream, key: str, keyring: Keyring, *, by: str, reason: str
) -> int:
    """Give up the event that a key waits for; its bytes go to the dead letters, what it said is taken back, and those behind
    it go on.

    Returns: how many events were given up: 1, or 0 when nothing waits, or it was published again and a worker may have it.
    Raises:  HubError(BROKER_UNAVAILABLE); nothing is lost then, and it may be done again.
    """
    topic = stream.topic
    rows = _held(database, topic, key)
    oldest = database.execute(_OLDEST, (topic, key)).fetchone()
    if oldest is None or oldest[3]:
        return 0
    cause = oldest[4] != BEHIND  # else an earlier try gave up what it waits for, and got no further
    if cause:
        partition, offset, value = rows[0]
        record = Record(topic, partition, offset, key.encode(), bytes(value))
        letter = dead_letter(wire, "routing", "EVENT_UNROUTABLE", record.as_message())
        producer.publish_blocking([letter, audit(wire, "parked-discard", f"{topic} {key}", by, reason)])
        event = wire.unpack(bytes(value))[1]
        with database.transaction():
            database.execute(_BEHEAD, (topic, key, key, topic, partition, offset))  # the same said again is no repeat
            database.execute(_DISCARD, (topic, partition, offset))
            database.execute(_UNSEEN, (event["meta"]["event_id"],))  # nor is it, when it comes from another place
            cases.forget(database, event["meta"]["event_id"], _said(stream, event, keyring))
            _out_of_claims(database, wire, stream, event, keyring, place_text((topic, partition, offset)))
        database.commit()
    behind = _held(database, topic, key)
    settle(database, topic, [], [(row[0], row[1]) for row in behind])
    producer.publish_blocking([_again(topic, key, *row) for row in behind])
    database.commit()
    return int(cause)


def _out_of_claims(database: Database, wire: Wire, stream: Stream, event: Event, keyring: Keyring, place: str) -> None:
    """A claim that was assembled with the event is followed by one without."""
    at = now()
    try:
        [known] = cases.find(database, [assembly.stay_of(stream.record, event, keyring)])
    except (KeyError, TypeError, ValueError):  # what no rule can read is part of nothing
        return
    facts, dues = assembly.given_up(event, known, at)
    cases.state(database, [(fact, event["meta"]["event_id"], place) for fact in facts], at, assembly.parts_days())
    deadlines.put(database, wire, dues)


def restore(database: Database, wire: Wire, letter: Event) -> bool:
    """Make room for a dead letter that is published again: what was discarded waits in its old place once more, and anything
    else is first seen at the letter's place, so that it has its effect however often it was given back in vain.

    letter:  with its topic, partition, offset and body.
    Returns: whether it waits there; else it was not parked when it was given up.
    """
    place = (letter["topic"], letter["partition"], letter["offset"])
    row = database.execute(_RESTORE, (letter["body"], *place)).fetchone()
    if row is not None:
        database.execute(_UNSEEN, (row[0],))  # and so it moves the head of its key again
    waits = row is not None or database.execute(_WAITS, place).fetchone() is not None
    if not waits:
        database.execute(_CLEAR, place)  # should it have to wait once more, it does with its bytes
        with suppress(HubError, KeyError):  # what cannot be decoded was never seen
            database.execute(_SEEN_AT, (place_text(place), wire.unpack(letter["body"])[1]["meta"]["event_id"]))
    database.commit()
    return waits


def again(letter: Event, *, waits: bool) -> Out:
    """The record of a dead letter once more, for its own topic and partition.  waits: what `restore` said.

    Raises: HubError(REQUEST_WRONG) for a key that is no text, which nothing of ours can have written.
    """
    place = (letter["topic"], letter["partition"], letter["offset"])
    try:
        key = letter["key"].decode()
    except UnicodeDecodeError:
        raise HubError("REQUEST_WRONG", f"dead letter {letter['id']}: its key is no text") from None
    headers: Headers = [(PARKED_HEADER if waits else REDRIVEN_HEADER, place_text(place).encode())]
    return Out(letter["topic"], key, letter["body"], headers, letter["partition"])


def oldest(database: Database, wire: Wire, topic: str, key: str) -> Event | None:
    """The event that a key waits for; None when nothing waits, or it was published again and is on its way."""
    found = _oldest(database, wire, topic, key)
    return None if found is None else found[1]


def _oldest(database: Database, wire: Wire, topic: str, key: str, *, held: bool = False) -> tuple[tuple[int, int], Event] | None:
    """With its place: partition and offset.  held: against workers that have a copy of it."""
    row = database.execute(_OLDEST + " for update" if held else _OLDEST, (topic, key)).fetchone()
    return None if row is None or row[3] else ((row[0], row[1]), wire.unpack(bytes(row[2]))[1])


def edit(
    database: Database,
    producer: Producer,
    wire: Wire,
    stream: Stream,
    edited: Event,
    keyring: Keyring,
    *,
    fields: Iterable[str],
    by: str,
    reason: str,
) -> int:
    """Put an event in the place of the one that it supersedes and that its key waits for. It waits on, until released.

    The other stays in its topic, is for nobody by rule, and what it said is forgotten; the audit event has the names of the
    fields, no values.

    edited:  of `amend.amended`.
    Returns: how many events were replaced: 1, or 0 when the other does not wait there any more.
    Raises:  HubError(BROKER_UNAVAILABLE); nothing is lost then, and it may be done again. HubError(FRAME_TOO_LARGE).
    """
    meta, topic = edited["meta"], stream.topic
    key, before = meta["key"], meta["supersedes"]
    value = wire.pack(topic, edited)
    check_size(topic, value)
    _hold(database, topic, key)
    found = _oldest(database, wire, topic, key, held=True)
    if found is None or found[1]["meta"]["event_id"] != before:
        database.rollback()
        return 0
    place, original = found
    target = f"{topic} {key} {', '.join(sorted(fields))} {before} -> {meta['event_id']}"
    told = deliveries.delivery(original, stream.record, topic, "", amend.RULE)
    producer.publish_blocking([event_out(wire, deliveries.TOPIC, told), audit(wire, "parked-edit", target, by, reason)])
    with database.transaction():
        # What was replaced had no effect: said again later, it is no repeat.
        database.execute(_BEHEAD, (topic, key, key, topic, *place))
        database.execute(_EDIT, (meta["event_id"], value, topic, *place))
        cases.replace(database, before, place_text((topic, *place)), _said(stream, original, keyring), meta["event_id"], now())
    database.commit()
    return 1


def set_aside(database: Database, stream: Stream, event: Event, keyring: Keyring) -> None:
    """Forget what an event said, as an edit will: for whoever looks at what follows then, and takes this back."""
    cases.forget(database, event["meta"]["event_id"], _said(stream, event, keyring))


def _said(stream: Stream, event: Event, keyring: Keyring) -> list[Fact]:
    """What is taken back with an event."""
    try:
        return [fact for fact in stream.facts(event, keyring) if not fact.stays]
    except Exception:  # the worker stumbled over it too, and so it said nothing
        return []


def _hold(database: Database, topic: str, key: str) -> None:
    """One operator at a time mends a key, until the transaction ends."""
    database.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"{topic} {key}",))


def _held(database: Database, topic: str, key: str) -> list[TupleRow]:
    """Partition, offset and value of what waits under a key, held against other operators and against workers."""
    _hold(database, topic, key)
    return database.execute(_VALUES + " order by record_offset for update", (topic, key)).fetchall()


_READ: Final = """
with place as (select * from unnest(%(partitions)s::int[], %(offsets)s::bigint[]) as place (partition, record_offset))
select key, partition, record_offset, code, state, sent, (partition, record_offset) in (select * from place)
from (
    select key, partition, record_offset, code, state, sent from parked
    where topic = %(topic)s and state = 'PARKED' and key = any(%(drained)s)
    union
    select oldest.* from unnest(%(keys)s::text[]) as asked (key) cross join lateral (
        select key, partition, record_offset, code, state, sent from parked
        where topic = %(topic)s and state = 'PARKED' and key = asked.key order by record_offset limit 1
    ) as oldest
    union
    select key, partition, record_offset, code, state, sent from parked join place using (partition, record_offset)
    where topic = %(topic)s
) as found
order by record_offset
"""
_TAKE: Final = """
with held as (
    select partition, record_offset from parked
    join unnest(%(partitions)s::int[], %(offsets)s::bigint[], %(ids)s::uuid[]) as copy (partition, record_offset, event_id)
        using (partition, record_offset, event_id)
    where parked.topic = %(topic)s and state = 'PARKED' order by record_offset for update of parked
)
update parked set sent = true from held
where topic = %(topic)s and (parked.partition, parked.record_offset) = (held.partition, held.record_offset)
returning parked.partition, parked.record_offset, parked.event_id::text
"""
_PARK: Final = """
insert into parked (topic, partition, record_offset, key, event_id, code, value, parked_at)
select one.*, %s from unnest(%s::text[], %s::int[], %s::bigint[], %s::text[], %s::uuid[], %s::text[], %s::bytea[]) as one
on conflict (topic, partition, record_offset) do update
set code = excluded.code, sent = false, parked_at = excluded.parked_at where parked.state = 'PARKED'
"""
_ALONE: Final = """
select asked.key from unnest(%(keys)s::text[]) as asked (key) cross join lateral (
    select code, sent from parked
    where topic = %(topic)s and state = 'PARKED' and key = asked.key order by record_offset limit 1 for update
) as oldest where code = 'BEHIND' and not sent
"""
_STORM: Final = """
select count(distinct key) from parked
where state = 'PARKED' and code = %s and key <> all(%s) and parked_at > now() - interval '1 minute'
"""
# The body goes when the event does: nothing of a person stays here longer than it waits.
_ROUTED: Final = """
update parked set state = 'RELEASED', value = ''
from unnest(%s::int[], %s::bigint[], %s::uuid[]) as copy (partition, record_offset, event_id)
where topic = %s and state = 'PARKED'
    and (parked.partition, parked.record_offset, parked.event_id) = (copy.partition, copy.record_offset, copy.event_id)
"""
_SENT: Final = """
update parked set sent = true from unnest(%s::int[], %s::bigint[]) as place (partition, record_offset)
where topic = %s and state = 'PARKED' and (parked.partition, parked.record_offset) = (place.partition, place.record_offset)
"""
_VALUES: Final = "select partition, record_offset, value from parked where topic = %s and key = %s and state = 'PARKED'"
_OLDEST: Final = """
select partition, record_offset, value, sent, code from parked where topic = %s and key = %s and state = 'PARKED'
order by record_offset limit 1
"""
_FIRST: Final = """
select event_id::text from parked where topic = %s and key = %s and state = 'PARKED' order by record_offset limit 1
"""
_EDIT: Final = """
update parked set event_id = %s, value = %s where topic = %s and partition = %s and record_offset = %s and state = 'PARKED'
"""
_WAITING: Final = """
select topic, key, (array_agg(code order by record_offset))[1] as code, (array_agg(event_id order by record_offset))[1] as event_id,
       count(*) as waiting, min(parked_at) as since
from parked where state = 'PARKED' group by topic, key
"""
_CAUSES: Final = f"""
select topic, code, count(*) as keys, sum(waiting)::bigint as waiting, min(since) as since,
       (array_agg(event_id order by since))[1] as event_id
from ({_WAITING} having starts_with(key, %(prefix)s)) as one group by topic, code order by keys desc, topic, code
"""  # noqa: S608  # constants only
_COUNT: Final = "select count(*) from parked where topic = %s and key = %s and state = 'PARKED'"
_DISCARD: Final = """
update parked set state = 'DISCARDED', value = '' where topic = %s and partition = %s and record_offset = %s and state = 'PARKED'
"""
_RESTORE: Final = """
update parked set state = 'PARKED', sent = true, value = %s
where topic = %s and partition = %s and record_offset = %s and state = 'DISCARDED' returning event_id
"""
_WAITS: Final = "select from parked where topic = %s and partition = %s and record_offset = %s and state = 'PARKED'"
_CLEAR: Final = "delete from parked where topic = %s and partition = %s and record_offset = %s"
_SEEN_AT: Final = "update case_event set origin = %s where event_id = %s"
_UNSEEN: Final = "delete from case_event where event_id = %s"
_BEHEAD: Final = """
delete from case_head where stream = %s and (key = %s or starts_with(key, %s || '/')) and event_id =
    (select event_id from parked where topic = %s and partition = %s and record_offset = %s)
"""
