"""From a Kafka record to rows of the journal: what is kept of each kind, and how a batch is written.

Only the head of an event is decoded: its identity and its action. Bodies stay where they are.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal
from uuid import UUID

from confluent_kafka import Message
from psycopg import Connection
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

from hub.bus import Wire
from hub.contract.errors import HubError
from hub.contract.events import VIETNAM, Event, revision_rank
from hub.contract.topics import topics
from hub.journal.traffic import count, is_slow
from hub.store.forgotten import among

Kind = Literal["message", "event", "delivery", "receipt", "dead-letter", "undecodable"]

KINDS: Final[Mapping[str, Kind]] = {
    "hie.MessageReceived": "message",
    "hie.Referral": "event",
    "hie.LabOrder": "event",
    "hie.LabResult": "event",
    "hie.Encounter": "event",
    "hie.FollowUp": "event",
    "hie.Registration": "event",
    "hie.Charge": "event",
    "hie.Prescription": "event",
    "hie.Document": "event",
    "hie.CatalogueChange": "event",
    "hie.ResourceReport": "event",
    "hie.Claim": "event",
    "hie.ClaimDecision": "event",
    "hie.Delivery": "delivery",
    "hie.Receipt": "receipt",
    "hie.DeadLetter": "dead-letter",
    "hie.AuditEvent": "event",  # what a person did: in the index, so that it is found; in no equation of the books
}
_LAST: Final = {  # the last field needed of each record
    "hie.MessageReceived": "test",
    "hie.LabResult": "status",
    "hie.ClaimDecision": "verdict",
    "hie.Delivery": "rule",
    "hie.Receipt": "at",
    "hie.DeadLetter": "state",
}
_ACTION: Final = {"hie.LabResult": "status", "hie.ClaimDecision": "verdict"}  # the others call it action


@dataclass(frozen=True, slots=True)
class Read:
    """One record as it will be kept: its kind, its place, and the values of its row in the order of the columns.

    slow:        of a message: long on its way from receipt to the topic.
    recorded_at: when the topic took it.
    message_id:  of the message that it is, or goes back to; empty where it names none.
    """

    kind: Kind
    topic: str
    partition: int
    offset: int
    values: tuple[Any, ...]
    slow: bool = False
    recorded_at: datetime = datetime.min
    message_id: str = ""


def read_record(wire: Wire, message: Message) -> Read:
    """What the journal keeps of a record; of one that cannot be decoded, only where it is.

    Raises: HubError(REGISTRY_UNAVAILABLE).
    """
    place = (message.topic() or "", message.partition() or 0, message.offset() or 0)
    try:
        record, event = wire.unpack_head(message.value(), {name: _LAST.get(name, "action") for name in KINDS})
        if topics()[place[0]].record != record:
            raise HubError("BODY_UNDECODABLE", record)  # a record that has no business in this topic
        kind = KINDS[record]
        recorded_at = datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC)
        values = _VALUES[kind](record, event, recorded_at)
        slow = kind == "message" and is_slow(values[1], recorded_at)
        message_id = (event if kind == "message" else event.get("meta", {})).get("message_id", "")
        return Read(kind, *place, values + place[1:] if kind == "dead-letter" else values, slow, recorded_at, message_id)
    except HubError as wrong:
        if wrong.retriable:
            raise
        return Read("undecodable", *place, (wrong.code,))
    except (ValueError, OverflowError):  # an id that is none, a time that no calendar has
        return Read("undecodable", *place, ("BODY_UNDECODABLE",))


def _text(text: str) -> str:
    return text.replace("\x00", "\ufffd")  # PostgreSQL holds no NUL; a sender's control id may


def _id(text: str) -> UUID | None:
    return UUID(text) if text else None


def _message(_record: str, event: Event, _recorded_at: datetime) -> tuple[Any, ...]:
    received_at: datetime = event["received_at"]
    return (
        UUID(event["message_id"]),
        received_at,
        received_at.astimezone(VIETNAM).date(),
        _text(event["sender"]),
        _text(event["facility"]),
        event["transport"],
        event["format"],
        _text(event["message_type"]),
        _text(event["control_id"]),
        event["verdict"],
        event["ack"],
        Jsonb([problem | {"path": _text(problem["path"])} for problem in event["problems"]]),
        [UUID(one["event_id"]) for one in event["events"]],
        event["test"],
        event["raw_size"],
    )


def _event(record: str, event: Event, recorded_at: datetime) -> tuple[Any, ...]:
    if record == "hie.AuditEvent":  # it has no meta
        return (UUID(event["id"]), record, None, "", "", _text(event["action"]), "", "", [], event["at"], False)
    meta = event["meta"]
    return (
        UUID(meta["event_id"]),
        record,
        _id(meta["message_id"]),
        _text(meta["facility"]),
        _text(meta["key"]),
        _text(event[_ACTION.get(record, "action")]),
        revision_rank(meta["revision"]),
        meta["rule"],
        [UUID(cause) for cause in meta["causes"]],
        recorded_at,
        meta["test"],
    )


def _delivery(_record: str, event: Event, recorded_at: datetime) -> tuple[Any, ...]:
    meta = event["meta"]
    return (
        UUID(meta["event_id"]),
        UUID(event["subject_event_id"]),
        _text(event["recipient"]),
        event["rule"],
        event["subject_record"],
        event["lane"],
        _id(meta["message_id"]),
        meta["test"],
        recorded_at,
    )


def _receipt(_record: str, event: Event, _recorded_at: datetime) -> tuple[Any, ...]:
    return (UUID(event["delivery_id"]), event["state"], event["at"], event["channel"], event["code"])


def _dead_letter(_record: str, event: Event, _recorded_at: datetime) -> tuple[Any, ...]:
    return (
        UUID(event["id"]),
        event["stage"],
        event["code"],
        event["topic"],
        event["partition"],
        event["offset"],
        event["at"],
        event["state"],
    )


_VALUES: Final = {
    "message": _message,
    "event": _event,
    "delivery": _delivery,
    "receipt": _receipt,
    "dead-letter": _dead_letter,
}


# --- writing ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Rows:
    """The rows of one batch, by kind, in the order they were read.

    fresh: once they are written, ids of messages that the index did not know before.
    """

    read: defaultdict[Kind, list[Read]] = field(default_factory=lambda: defaultdict(list))
    fresh: set[UUID] = field(default_factory=set)

    def add(self, one: Read) -> None:
        self.read[one.kind].append(one)

    def counts(self) -> dict[str, int]:
        return {kind: len(rows) for kind, rows in self.read.items()}

    def write(self, database: Connection[TupleRow]) -> dict[str, int]:
        """Write all, in the caller's transaction.

        Returns: topic to how many of its records were of a thing that the journal held already.
        """
        repeats: Counter[str] = Counter()
        _copy(database, _COPY_EVENT, _EVENT_TYPES, (row.values + _at(row) for row in self.read["event"]))
        _copy(database, _COPY_UNDECODABLE, _UNDECODABLE_TYPES, (_at(row) + row.values for row in self.read["undecodable"]))
        repeats += self._merge(database, "message", _MESSAGE, _newest, self.fresh)
        count(
            database,
            (_traffic(row) for row in _first(self.read["message"], 1) if row.values[0] in self.fresh and not row.values[13]),
        )
        repeats += self._merge(database, "delivery", _DELIVERY, _first)
        repeats += self._merge(database, "receipt", _RECEIPT, _first)
        repeats += self._merge(database, "dead-letter", _DEAD_LETTER, _last_state)
        touched = {row.values[0] for kind in ("delivery", "receipt") for row in self.read[kind]}
        if touched:
            database.execute(_STATES, (list(touched),))
        named = [row.values[0] for kind in _LED for row in self.read[kind]]
        if named and (left_out := among(database, named)):  # read once more: topics still hold what was erased
            for statement in _LED.values():
                database.execute(statement, (list(left_out),))
        return repeats

    def _merge(
        self,
        database: Connection[TupleRow],
        kind: Kind,
        merge: "_Merge",
        keep: Callable[[Sequence[Read], int], list[Read]],
        fresh: set[UUID] | None = None,
    ) -> Counter[str]:
        """Through a temporary table, since COPY knows no conflicts.  fresh: takes the ids that are new."""
        rows = self.read[kind]
        if not rows:
            return Counter()
        kept = keep(rows, merge.key)
        database.execute(merge.temporary)
        _copy(database, merge.copy, merge.types, (row.values + (_at(row) if merge.placed else ()) for row in kept))
        found = database.execute(merge.insert).fetchall()
        if fresh is not None:
            fresh |= {row[1] for row in found if row[0]}
        topic = rows[0].topic  # such records lie in one topic each
        return Counter({topic: len(rows) - sum(1 for row in found if row[0])})


def _first(rows: Sequence[Read], key: int) -> list[Read]:
    """Of several rows for one thing in one batch, the first; `key` as in `_Merge`."""
    return list({row.values[:key]: row for row in reversed(rows)}.values())[::-1]


def _last_state(rows: Sequence[Read], key: int) -> list[Read]:
    """Of several letters of one id the last that is open, in the state that the last of all tells."""
    last = {row.values[:key]: row for row in rows}
    whole = {row.values[:key]: row for row in rows if not row.values[_STATE_AT]}
    return [
        replace(one, values=(*one.values[:_STATE_AT], row.values[_STATE_AT], *one.values[_STATE_AT + 1 :]))
        for name, row in last.items()
        for one in [whole.get(name, row)]
    ]


def _traffic(row: Read) -> tuple[datetime, str, str, str, Any, bool]:
    _id, received_at, _day, sender, facility, _transport, _format, _type, _control, verdict, _ack, problems = row.values[:12]
    return received_at, sender, facility, verdict, problems.obj, row.slow


def _newest(rows: Sequence[Read], key: int) -> list[Read]:
    return list({row.values[:key]: row for row in rows}.values())


def _at(row: Read) -> tuple[str, int, int]:
    return (row.topic, row.partition, row.offset)


def _copy(database: Connection[TupleRow], statement: str, types: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    with database.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        copy.set_types(types)
        for row in rows:
            copy.write_row(row)


@dataclass(frozen=True, slots=True)
class _Merge:
    """How rows of a kind go into their table.

    key:    how many of the first columns are its key.
    placed: topic, partition and offset are its last columns.
    insert: from the temporary table; returns for each row written whether it is new.
    """

    key: int
    placed: bool
    types: Sequence[str]
    temporary: str
    copy: str
    insert: str


def _merged(table: str, columns: str, types: str, *, key: int = 1, placed: bool = False, conflict: str = "nothing") -> _Merge:
    names = [name.strip() for name in columns.split(",")] + (["topic", "partition", "record_offset"] if placed else [])
    kinds = types.split() + (["text", "int4", "int8"] if placed else [])
    listed, name = ", ".join(names), f"new_{table}"
    defined = ", ".join(f"{column} {kind}" for column, kind in zip(names, kinds, strict=True))
    return _Merge(
        key,
        placed,
        kinds,
        f"create temporary table if not exists {name} ({defined}) on commit delete rows",
        f"copy {name} ({listed}) from stdin (format binary)",
        f"insert into {table} as old ({listed}) select {listed} from {name} "  # noqa: S608  # constants only
        f"on conflict ({', '.join(names[:key])}) do {conflict} returning (xmax = 0), {names[0]}",
    )


_COPY_EVENT: Final = """
copy journal_event (event_id, record, message_id, facility, key, action, revision, rule, causes, recorded_at, test,
                    topic, partition, record_offset) from stdin (format binary)
"""
_EVENT_TYPES: Final = [
    "uuid", "text", "uuid", "text", "text", "text", "text", "text", "uuid[]", "timestamptz", "bool", "text", "int4", "int8",
]  # fmt: skip
_COPY_UNDECODABLE: Final = "copy journal_undecodable (topic, partition, record_offset, code) from stdin (format binary)"
_UNDECODABLE_TYPES: Final = ["text", "int4", "int8", "text"]

# A message that was translated again says so under the same id: what it says last counts.
_MESSAGE: Final = _merged(
    "journal_message",
    "message_id, received_at, day, sender, facility, transport, format, message_type, control_id, verdict, ack, problems,"
    " events, test, raw_size",
    "uuid timestamptz date text text text text text text text text jsonb uuid[] bool int8",
    placed=True,
    conflict="update set verdict = excluded.verdict, ack = excluded.ack, problems = excluded.problems, events = excluded.events,"
    " message_type = excluded.message_type, control_id = excluded.control_id, partition = excluded.partition,"
    " record_offset = excluded.record_offset",
)
_DELIVERY: Final = _merged(
    "journal_delivery",
    "delivery_id, subject_event_id, recipient, rule, record, lane, message_id, test, recorded_at",
    "uuid uuid text text text text uuid bool timestamptz",
)
_RECEIPT: Final = _merged("journal_receipt", "delivery_id, state, at, channel, code", "uuid text timestamptz text text", key=3)
_STATE_AT: Final = 7  # of a dead letter, among its values
# What an operator did with a letter is told by another one of the same id, without its bytes; the same record given up once
# more, after a redrive, is open once more.
_DEAD_LETTER: Final = _merged(
    "journal_dead_letter",
    "id, stage, code, topic, partition, record_offset, recorded_at, state, letter_partition, letter_offset",
    "uuid text text text int4 int8 timestamptz text int4 int8",
    conflict="update set state = excluded.state, code = case excluded.state when '' then excluded.code else old.code end,"
    " letter_partition = case excluded.state when '' then excluded.letter_partition else old.letter_partition end,"
    " letter_offset = case excluded.state when '' then excluded.letter_offset else old.letter_offset end",
)
# What leads from a row to a person; `hub.keep.forget` erases it of what was asked for.
_LED: Final[Mapping[Kind, str]] = {
    "event": "update journal_event set key = '' where event_id = any(%s::uuid[])",
    "message": "update journal_message set control_id = '' where message_id = any(%s::uuid[])",
}
# Receipts come in any order, before their delivery too: the furthest state counts, among equals the latest.
_STATES: Final = """
update journal_delivery as delivery set state = newest.state, code = newest.code, state_at = newest.at
from (
    select distinct on (delivery_id) delivery_id, state, code, at from journal_receipt where delivery_id = any(%s)
    order by delivery_id, case state when 'QUEUED' then 1 when 'HELD' then 1 when 'PARKED' then 1 when 'SENT' then 2
                                     when '' then 0 else 3 end desc, at desc, state
) as newest
where delivery.delivery_id = newest.delivery_id
"""
