"""Where topics end and how far consumer groups are, in as few requests as Kafka allows. Blocks; call it in a thread."""

import os
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from hub.contract.errors import HubError
from hub.contract.kafka import client
from hub.contract.settings import Settings
from hub.contract.topics import topics

GROUPS: Final = ("routing", "mailbox")
"""Who reads as a consumer group; the journal, the archive and the insurer keep their places themselves."""

_ASK_S: Final = 3.0
_BEGINNINGS: Final = 15  # looks between two at where topics begin: retention takes its time


@dataclass(frozen=True, slots=True)
class Offsets:
    """Of each topic the records ever written and held now; (group, topic) to records still to read; brokers that answer."""

    written: Mapping[str, int]
    held: Mapping[str, int]
    lags: Mapping[tuple[str, str], int]
    brokers: int
    sizes: Mapping[str, int]
    newest: Mapping[str, datetime]


class KafkaLook:
    """Keeps one connection and what changes slowly."""

    def __init__(self, settings: Settings) -> None:
        self._admin = AdminClient({**client(settings.kafka), "log_level": 2, "client.id": "hie-console"})
        self._places = [TopicPartition(name, number) for name, topic in topics().items() for number in range(topic.partitions)]
        self._first: dict[tuple[str, int], int] = {}
        self._brokers = 0
        self._data_dir = settings.data_dir
        self._sizes: dict[str, int] = {}
        self._newest: dict[str, datetime] = {}
        self._count = 0

    def look(self) -> Offsets:
        """Raises: HubError(BROKER_UNAVAILABLE)."""
        try:
            return self._look()
        except (KafkaException, TimeoutError) as broken:
            raise HubError("BROKER_UNAVAILABLE", "offsets") from broken

    def _look(self) -> Offsets:
        if self._count % _BEGINNINGS == 0:
            self._first = self._ends(OffsetSpec.earliest())  # type: ignore[no-untyped-call]  # the library leaves it untyped
            self._sizes, self._newest = sizes(self._data_dir), self._times()
            self._brokers = len(self._admin.list_topics("audit.v1", timeout=_ASK_S).brokers)
        self._count += 1
        ends = self._ends(OffsetSpec.latest())  # type: ignore[no-untyped-call]
        written: dict[str, int] = defaultdict(int)
        held: dict[str, int] = defaultdict(int)
        for place, end in ends.items():
            written[place[0]] += end
            held[place[0]] += max(0, end - self._first.get(place, 0))
        return Offsets(dict(written), dict(held), self._lags(ends), self._brokers, self._sizes, self._newest)

    def _ends(self, spec: Any) -> dict[tuple[str, int], int]:
        asked = self._admin.list_offsets(dict.fromkeys(self._places, spec), request_timeout=_ASK_S)
        return {(one.topic, one.partition): int(future.result(_ASK_S).offset) for one, future in asked.items()}

    def _times(self) -> dict[str, datetime]:
        """When the newest record of each topic was written."""
        newest: Any = OffsetSpec.max_timestamp()  # type: ignore[no-untyped-call]
        asked = self._admin.list_offsets(dict.fromkeys(self._places, newest), request_timeout=_ASK_S)
        found: dict[str, int] = defaultdict(int)
        for one, future in asked.items():
            found[one.topic] = max(found[one.topic], future.result(_ASK_S).timestamp)
        return {name: datetime.fromtimestamp(at / 1000, UTC) for name, at in found.items() if at > 0}

    def _lags(self, ends: Mapping[tuple[str, int], int]) -> dict[tuple[str, str], int]:
        found: dict[tuple[str, str], int] = defaultdict(int)
        asked = [
            self._admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)], request_timeout=_ASK_S)[group]
            for group in GROUPS
        ]
        for group, future in zip(GROUPS, asked, strict=True):
            for at in future.result(_ASK_S).topic_partitions or ():
                place = (at.topic, at.partition)
                if place in ends:
                    read = max(at.offset, self._first.get(place, 0))  # below zero: it has committed nothing yet
                    found[group, at.topic] += max(0, ends[place] - read)
        return dict(found)


def sizes(data_dir: Path) -> dict[str, int]:
    """Topic to its bytes in the folders of brokers on this machine; {} where they are elsewhere."""
    found: dict[str, int] = defaultdict(int)
    for folder in data_dir.glob("kafka-[0-9]/*-[0-9]*"):
        name = folder.name.rpartition("-")[0]
        if name in topics():
            with suppress(OSError):  # a segment that retention takes at this moment
                found[name] += sum(one.stat().st_size for one in os.scandir(folder) if one.name.endswith(".log"))
    return dict(found)
