"""Claims read again from their topic, by the places that the ledger keeps: for what the ledger's own tables do not hold."""

from collections.abc import Iterator
from typing import Final, cast

import polars as pl
from confluent_kafka import KafkaError, Message, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from hub.bus import consumer
from hub.contract.errors import HubError
from hub.contract.kafka import client
from hub.contract.settings import Settings

_CHUNK: Final = 500
_POLL_S: Final = 0.5
_PATIENCE: Final = 60  # polls in a row that bring nothing


def reread(settings: Settings, topic: str, places: pl.DataFrame, batch: int) -> Iterator[list[Message]]:
    """The records at these places, in lists of `batch` at most, in the order of partition and offset within each partition.

    places: kafka_topic_id, kafka_partition, kafka_offset of the ledger; every one must still be in the topic.
    Raises: HubError(NOT_FOUND) when the topic was made anew or retention took a record; HubError(BROKER_UNAVAILABLE).
    """
    _there(settings, topic, places)
    wanted = {
        partition: set(rows.get_column("kafka_offset").to_list())
        for (partition,), rows in places.group_by("kafka_partition", maintain_order=True)
    }
    reader = consumer(settings.kafka, "hie-insurer-reread", (), **{"auto.offset.reset": "error"})
    try:
        starts = [TopicPartition(topic, cast("int", partition), min(offsets)) for partition, offsets in wanted.items()]
        for start in starts:
            low, _ = reader.get_watermark_offsets(TopicPartition(topic, start.partition), timeout=10)
            if low > start.offset:
                raise HubError("NOT_FOUND", f"{topic}/{start.partition}: retention took records from offset {start.offset} on")
        reader.assign(starts)
        left, empty, taken = sum(map(len, wanted.values())), 0, []
        while left:
            messages = reader.consume(_CHUNK, _POLL_S)
            empty = 0 if messages else empty + 1
            if empty > _PATIENCE:
                raise HubError("BROKER_UNAVAILABLE", topic)
            for message in messages:
                if message.error():
                    _heed(cast("KafkaError", message.error()), topic)
                elif message.offset() in wanted[message.partition()]:
                    taken.append(message)
                    left -= 1
                    if len(taken) == batch:
                        yield taken
                        taken = []
        if taken:
            yield taken
    finally:
        reader.close()


def topic_id(settings: Settings, topic: str) -> str:
    """Kafka's id of a topic, as the ledger keeps it."""
    admin = AdminClient({**client(settings.kafka), "log_level": 2})
    return str(admin.describe_topics(TopicCollection([topic]), request_timeout=10)[topic].result(15).topic_id)


def _there(settings: Settings, topic: str, places: pl.DataFrame) -> None:
    others = places.filter(pl.col("kafka_topic_id") != topic_id(settings, topic)).height
    if others:
        raise HubError("NOT_FOUND", f"{topic}: {others} of {places.height} claims stood in a topic of this name that is gone")


def _heed(error: KafkaError, topic: str) -> None:
    if error.code() == KafkaError._AUTO_OFFSET_RESET:
        raise HubError("NOT_FOUND", f"{topic}: the records are gone")
