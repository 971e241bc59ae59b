"""Reads an earlier record again at its place: the case index keeps places, never bodies."""

import threading
import time
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from hub.bus import consumer
from hub.contract.errors import HubError
from hub.routing.record import Origin

_WAIT_S = 10.0


class Recaller:
    """One connection for all, opened when it is first needed. Safe to share between threads: one reads at a time."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._lock = threading.Lock()
        self._consumer: Consumer | None = None

    def read(self, origin: Origin) -> bytes | None:
        """The value of the record at (topic, partition, offset); None when the topic no longer keeps it.

        Raises: HubError(BROKER_UNAVAILABLE).
        """
        topic, partition, offset = origin
        with self._lock:
            reader = self._consumer = self._consumer or self._open()
            try:
                reader.assign([TopicPartition(topic, partition, offset)])
                deadline = time.monotonic() + _WAIT_S
                while time.monotonic() < deadline:
                    message = reader.poll(0.5)
                    if message is None:
                        continue
                    error = message.error()
                    if error is not None and error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
                        return None
                    if error is None and (message.topic(), message.partition()) == (topic, partition):
                        return message.value() if message.offset() == offset else None
            except KafkaException as broken:
                raise HubError("BROKER_UNAVAILABLE", topic) from broken
        raise HubError("BROKER_UNAVAILABLE", topic)

    def _open(self) -> Consumer:
        lean: dict[str, Any] = {"auto.offset.reset": "error", "queued.min.messages": 1}
        return consumer(self._bootstrap, "hie-routing-recall", **lean)

    def close(self) -> None:
        with self._lock:
            if self._consumer is not None:
                self._consumer.close()
                self._consumer = None
