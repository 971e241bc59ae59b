"""Reads earlier records again at their places: the case index keeps places, never bodies."""

import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from hub.bus import consumer
from hub.contract.errors import HubError
from hub.routing.record import Origin

_WAIT_S: Final = 10.0  # without a single record
_FAR: Final = 2_000  # offsets; what lies nearer is read through, what lies farther is sought
_GONE: Final = (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE)

_Wanted = dict[tuple[str, int], deque[int]]


class Recaller:
    """One connection for all, opened when it is first needed. Safe to share between threads: one reads at a time."""

    def __init__(self, kafka: str) -> None:
        self._kafka = kafka
        self._lock = threading.Lock()
        self._consumer: Consumer | None = None

    def read(self, origins: Iterable[Origin]) -> dict[Origin, bytes]:
        """The values of the records at (topic, partition, offset); without those that their topics no longer keep.

        Raises: HubError(BROKER_UNAVAILABLE).
        """
        wanted: _Wanted = {}
        for topic, partition, offset in sorted(set(origins)):
            wanted.setdefault((topic, partition), deque()).append(offset)
        if not wanted:
            return {}
        with self._lock:
            reader = self._consumer = self._consumer or self._open()
            try:
                return _collect(reader, wanted)
            except KafkaException as broken:
                raise HubError("BROKER_UNAVAILABLE", "recall") from broken
            finally:
                reader.unassign()

    def _open(self) -> Consumer:
        lean: dict[str, Any] = {"auto.offset.reset": "error", "enable.partition.eof": False}
        return consumer(self._kafka, "hie-routing-recall", **lean)

    def close(self) -> None:
        with self._lock:
            if self._consumer is not None:
                self._consumer.close()
                self._consumer = None


def _collect(reader: Consumer, wanted: _Wanted) -> dict[Origin, bytes]:
    found: dict[Origin, bytes] = {}
    places = [TopicPartition(*place, offsets[0]) for place, offsets in wanted.items()]
    reader.assign(places)
    reader.resume(places)  # what the reading before has paused stays paused until then
    deadline = time.monotonic() + _WAIT_S
    while left := sum(len(offsets) for offsets in wanted.values()):
        messages = reader.consume(min(1_000, left), 0.1)  # no more than that: it waits until they are there
        if messages:
            deadline = time.monotonic() + _WAIT_S
        elif time.monotonic() > deadline:
            raise HubError("BROKER_UNAVAILABLE", "recall")
        for message in messages:
            _take(reader, message, wanted, found)
    return found


def _take(reader: Consumer, message: Message, wanted: _Wanted, found: dict[Origin, bytes]) -> None:
    topic, partition, offset = message.topic() or "", message.partition() or 0, message.offset() or 0
    offsets = wanted.get((topic, partition))
    if not offsets:
        return
    error = message.error()
    if error is not None:
        if error.code() in _GONE:
            offsets.popleft()  # retention took it; a later one may still be there
            _go_on(reader, topic, partition, offsets)
        return
    while offsets and offsets[0] < offset:
        offsets.popleft()  # not kept: the topic went on without it
    if offsets and offsets[0] == offset:
        offsets.popleft()
        found[topic, partition, offset] = message.value() or b""
    if not offsets or offsets[0] > offset + _FAR:
        _go_on(reader, topic, partition, offsets)


def _go_on(reader: Consumer, topic: str, partition: int, offsets: deque[int]) -> None:
    if offsets:
        reader.seek(TopicPartition(topic, partition, offsets[0]))
    else:
        reader.pause([TopicPartition(topic, partition)])
