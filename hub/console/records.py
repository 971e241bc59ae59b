"""Records of one topic as an operator may see them: place, key, headers, and the value as a tree with only its identity readable."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from confluent_kafka import KafkaException, Message, TopicPartition

from hub.bus import Wire, consumer, read_at
from hub.contract.errors import HubError
from hub.contract.topics import topics

MOST: Final = 50
HIDDEN: Final = "•••"
_WAIT_S: Final = 4.0
_LITTLE: Final = {"queued.min.messages": 100, "fetch.message.max.bytes": 65_536, "enable.partition.eof": True}
_DEEP: Final = 6
_LEAVES: Final = 300  # of one tree: a claim has thousands

_OF_META: Final = frozenset(
    f"meta.{name}"
    for name in ("event_id", "facility", "key", "revision.version", "revision.received_at", "message_id", "test", "supersedes", "causes",
                 "rule", "source.sender", "source.message_type", "source.dialect", "source.dialect_version", "source.charset")
)  # fmt: skip
_SHOWN: Final[Mapping[str, frozenset[str]]] = {
    "hie.MessageReceived": frozenset(
        ("message_id", "received_at", "facility", "sender", "transport", "format", "raw_size", "message_type", "version", "charset", "dialect",
         "dialect_version", "verdict", "ack", "problems.code", "problems.severity", "problems.path", "events", "test")
    ),
    "hie.Delivery": frozenset(("recipient", "subject_event_id", "subject_record", "subject_topic", "lane", "rule")),
    "hie.Receipt": frozenset(("delivery_id", "recipient", "state", "code", "channel", "at")),
    "hie.DeadLetter": frozenset(("id", "at", "stage", "code", "topic", "partition", "offset", "state")),
    "hie.Control": frozenset(("id", "at", "by", "action")),
    "hie.AuditEvent": frozenset(("id", "at", "by", "action", "outcome")),
    "hie.ReplayRequest": frozenset(("id", "at", "by", "sender", "facility", "message_type", "message_ids", "from_at", "to_at")),
}  # fmt: skip
"""What of each record is no patient's: all else is hidden, so that a new field is hidden until somebody decides."""
_HEADERS: Final = frozenset(("ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time", "hie_message_id", "traceparent"))


@dataclass(frozen=True, slots=True)
class Shown:
    """One record. tree: path and text, in the order of the schema; the values of patients are hidden."""

    partition: int
    offset: int
    at: datetime
    key: str
    headers: Sequence[tuple[str, str]]
    size: int
    record: str
    tree: Sequence[tuple[str, str]]


def from_time(kafka: str, wire: Wire, topic: str, at: datetime) -> list[Shown]:
    """The first records from a time on, over all partitions, oldest first; at most `MOST`. Raises: HubError(BROKER_UNAVAILABLE)."""
    asked = [TopicPartition(topic, number, int(at.timestamp() * 1000)) for number in range(topics()[topic].partitions)]

    def places(reader: Any) -> list[TopicPartition]:
        return [one for one in reader.offsets_for_times(asked, timeout=_WAIT_S) if one.offset >= 0]

    return _read(kafka, wire, topic, places)


def newest(kafka: str, wire: Wire, topic: str) -> list[Shown]:
    """The last records of each partition, newest first; at most `MOST`. Raises: HubError(BROKER_UNAVAILABLE)."""

    def places(reader: Any) -> list[TopicPartition]:
        numbers = range(topics()[topic].partitions)
        each = MOST // len(numbers) + 1
        ends = {number: reader.get_watermark_offsets(TopicPartition(topic, number), timeout=_WAIT_S) for number in numbers}
        return [TopicPartition(topic, number, max(low, high - each)) for number, (low, high) in ends.items() if high > low]

    return _read(kafka, wire, topic, places)[::-1]


def from_offset(kafka: str, wire: Wire, topic: str, partition: int, offset: int) -> list[Shown]:
    """Records of one partition from an offset on. Raises: HubError(BROKER_UNAVAILABLE)."""
    return _read(kafka, wire, topic, lambda _reader: [TopicPartition(topic, partition, max(0, offset))])


def at_places(kafka: str, wire: Wire, topic: str, places: Sequence[tuple[int, int]]) -> list[Shown]:
    """The records at (partition, offset), as far as the topic still holds them. Raises: HubError(BROKER_UNAVAILABLE)."""
    wanted = [(topic, partition, offset) for partition, offset in places[:MOST]]
    return [shown(wire, one) for one in _held(kafka, wanted)]


def _held(kafka: str, places: Sequence[tuple[str, int, int]]) -> list[Message]:
    """By one reader where the topic holds all; else those that it holds."""
    try:
        return read_at(kafka, places)
    except HubError as gone:
        if gone.retriable:
            raise
        return [one for place in places for one in _held(kafka, [place])] if len(places) > 1 else []


def _read(kafka: str, wire: Wire, topic: str, places: Any) -> list[Shown]:
    try:
        with closing(consumer(kafka, "hie-console", (), **_LITTLE)) as reader:
            wanted = places(reader)
            if not wanted:
                return []
            reader.assign(wanted)
            found = sorted(_taken(reader, len(wanted)), key=lambda one: (one.timestamp()[1], one.partition(), one.offset()))
    except KafkaException as broken:
        raise HubError("BROKER_UNAVAILABLE", topic) from broken
    return [shown(wire, one) for one in found[:MOST]]


def _taken(reader: Any, partitions: int) -> Iterator[Message]:
    """Up to `MOST` records of each partition, until all have ended or the time is up."""
    left: dict[int, int] = {}
    ended = 0
    deadline = time.monotonic() + _WAIT_S
    while ended < partitions and time.monotonic() < deadline:
        for message in reader.consume(MOST, 0.2):
            number = message.partition()
            if message.error() is not None:
                ended += message.error().name() == "_PARTITION_EOF" and left.get(number, 0) < MOST
                continue
            left[number] = left.get(number, 0) + 1
            if left[number] <= MOST:
                yield message
            if left[number] == MOST:
                ended += 1
                reader.pause([TopicPartition(message.topic(), number)])


def shown(wire: Wire, message: Message) -> Shown:
    """One record as it may be shown; of one that cannot be decoded, its place and why."""
    try:
        record, event = wire.unpack(message.value())
        tree = list(_tree(event, _SHOWN.get(record, frozenset()) | _OF_META))
    except HubError as wrong:
        record, tree = wrong.code, []
    key, at = message.key() or b"", message.timestamp()[1] / 1000
    given: Any = message.headers() or ()
    headers = [(name, _header(name, value)) for name, value in given]
    value = message.value() or b""
    return Shown(
        message.partition() or 0,
        message.offset() or 0,
        datetime.fromtimestamp(at, UTC),
        key.decode("ascii", "replace") if isinstance(key, bytes) else key,
        headers,
        len(value),
        record,
        tree,
    )


def _header(name: str, value: Any) -> str:
    if name not in _HEADERS and not name.startswith("hie_"):
        return HIDDEN
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)


def _tree(event: Mapping[str, Any], readable: frozenset[str]) -> Iterator[tuple[str, str]]:
    left = _LEAVES
    for path, text in _leaves(event, "", readable, 0):
        yield path, text
        left -= 1
        if not left:
            yield "…", ""
            return


def _leaves(value: Any, path: str, readable: frozenset[str], depth: int) -> Iterator[tuple[str, str]]:
    """Path and text of each leaf. Paths name no place in a list, as `readable` does not; a map's keys may be anything, so it is a leaf."""
    if isinstance(value, Mapping) and depth < _DEEP and not path.endswith((".unparsed", ".cleared")):
        for name, one in value.items():
            yield from _leaves(one, f"{path}.{name}" if path else name, readable, depth + 1)
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        for one in value:
            yield from _leaves(one, path, readable, depth)
    elif path in readable:
        yield path, ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    else:
        yield path, HIDDEN
