"""One Kafka record as routing takes it, whichever client brought it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from confluent_kafka import Message

Origin = tuple[str, int, int]

PARKED_HEADER: Final = "hie_parked"  # on a parked event that was published again: topic/partition/offset of its row
REDRIVEN_HEADER: Final = "hie_redriven"  # on a dead letter that was published again: topic/partition/offset of its record


@dataclass(frozen=True, slots=True)
class Record:
    """Topic, partition, offset, key and value of one record; headers by name."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    body: bytes | None
    headers: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def was_parked(self) -> bool:
        """Whether it was parked and published again."""
        return PARKED_HEADER in self.headers

    @property
    def origin(self) -> Origin:
        """Where the event stood first: of one that was parked, the place of its row; of a dead letter, what it says.

        As what is decided of an event hangs on its place, it is decided anew there, with the same ids.
        """
        for header in (PARKED_HEADER, REDRIVEN_HEADER):
            if header in self.headers:
                return place_of(self.headers[header].decode("ascii"))
        return self.topic, self.partition, self.offset

    def as_message(self) -> Message:
        """In the form in which the bus takes what becomes a dead letter."""
        return cast("Message", _AsMessage(self))


def place_text(origin: Origin) -> str:
    """`topic/partition/offset`."""
    topic, partition, offset = origin
    return f"{topic}/{partition}/{offset}"


def place_of(text: str) -> Origin:
    """What `place_text` wrote."""
    topic, partition, offset = text.rsplit("/", 2)
    return topic, int(partition), int(offset)


def headers_of(pairs: Iterable[tuple[str, Any]] | Mapping[str, Any] | None) -> dict[str, bytes]:
    """Headers by name; of several with one name the last."""
    return dict(pairs or ())


class _AsMessage:
    def __init__(self, record: Record) -> None:
        self._record = record

    def topic(self) -> str:
        return self._record.topic

    def partition(self) -> int:
        return self._record.partition

    def offset(self) -> int:
        return self._record.offset

    def key(self) -> bytes | None:
        return self._record.key

    def value(self) -> bytes | None:
        return self._record.body
