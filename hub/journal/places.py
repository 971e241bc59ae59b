"""Where topics begin and end now, and which topics they are."""

from collections.abc import Iterable
from typing import Final

from confluent_kafka import KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from hub.contract.errors import HubError
from hub.contract.kafka import client
from hub.contract.topics import topics

_ASK_S: Final = 10.0

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
