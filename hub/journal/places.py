"""Where topics begin and end now, and which topics they are."""

import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import Final

from confluent_kafka import KafkaException, Message, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from hub.bus import consumer, take
from hub.contract.errors import HubError
from hub.contract.kafka import client
from hub.contract.topics import topics

_ASK_S: Final = 10.0
_LITTLE: Final = {"queued.min.messages": 1, "fetch.message.max.bytes": 65_536}  # ahead of what is asked for

Place = tuple[str, int]
"""Topic and partition."""


def topic_ids(kafka: str) -> dict[str, str]:
    """Topic to Kafka's id of it. Raises: HubError(BROKER_UNAVAILABLE)."""
    admin = AdminClient({**client(kafka), "log_level": 2})
    try:
        found = admin.describe_topics(TopicCollection(list(topics())), request_timeout=_ASK_S)
        return {name: str(future.result(_ASK_S).topic_id) for name, future in found.items()}
    except (KafkaException, TimeoutError) as broken:
        raise HubError("BROKER_UNAVAILABLE", "topics") from broken


def ends(kafka: str, names: Iterable[str]) -> dict[Place, tuple[int, int]]:
    """The first and the next offset of every partition of these topics. Raises: HubError(BROKER_UNAVAILABLE)."""
    admin = AdminClient({**client(kafka), "log_level": 2})
    places = [TopicPartition(name, number) for name in names for number in range(topics()[name].partitions)]
    try:
        both = []
        for what in (OffsetSpec.earliest(), OffsetSpec.latest()):  # type: ignore[no-untyped-call]  # the library leaves it untyped
            asked = admin.list_offsets(dict.fromkeys(places, what), request_timeout=_ASK_S)
            both.append({(one.topic, one.partition): int(future.result(_ASK_S).offset) for one, future in asked.items()})
    except (KafkaException, TimeoutError) as broken:
        raise HubError("BROKER_UNAVAILABLE", "offsets") from broken
    return {place: (first, both[1][place]) for place, first in both[0].items()}


def records(kafka: str, offsets: Mapping[Place, int]) -> dict[Place, Message]:
    """Of each partition the record at an offset that it holds, or the next one behind it where that one was compacted away.

    Raises: HubError(BROKER_UNAVAILABLE).
    """
    found: dict[Place, Message] = {}
    with closing(consumer(kafka, "hie-places", (), **_LITTLE)) as reader:
        reader.assign([TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()])
        deadline = time.monotonic() + _ASK_S
        while len(found) < len(offsets):
            for message in take(reader, 1, 0.5):
                place = (message.topic() or "", message.partition() or 0)
                if place not in found:
                    found[place] = message
                    reader.pause([TopicPartition(*place)])
                    deadline = time.monotonic() + _ASK_S
            if time.monotonic() > deadline:
                raise HubError("BROKER_UNAVAILABLE", "records")
    return found
