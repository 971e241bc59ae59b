"""What an operator's alerts ask about the whole hub: what waits, since when, and how far behind its readers are.

Each is a question of `hub.watched`: it asks once, cheaply, by the indexes that are there for it. Of test traffic nothing is told.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException
from confluent_kafka.admin import AdminClient

from hub.contract.errors import HubError
from hub.contract.events import now
from hub.contract.kafka import client
from hub.contract.settings import Settings
from hub.contract.telemetry import Rows
from hub.journal.consumer import behind
from hub.journal.places import Place, ends
from hub.store.database import available, connect

_ASK_S: Final = 10.0
_LIMIT_MS: Final = 10_000  # a table that takes longer to look at must not be looked at every half minute
_STATES: Final = {"": "on-its-way", "QUEUED": "queued", "HELD": "held"}
_WAITING: Final = """
select state, lane, count(*), min(recorded_at) from journal_delivery
where state in ('', 'QUEUED', 'HELD') and recipient <> '' and not test group by state, lane
"""
_PARKED: Final = "select code, count(distinct (topic, key)) from parked where state = 'PARKED' group by code"
_DEAD: Final = "select stage, code, count(*) from journal_dead_letter where state = '' group by stage, code"


def what_waits(settings: Settings) -> Mapping[str, Rows]:
    """A question: deliveries without an end, parked keys, open dead letters. Raises: HubError(DATABASE_UNAVAILABLE)."""
    at = now()
    with available(), connect(settings.database_url.get_secret_value(), autocommit=True) as database:
        database.execute(f"set statement_timeout = {_LIMIT_MS}")
        waiting = database.execute(_WAITING).fetchall()
        parked = database.execute(_PARKED).fetchall()
        dead = database.execute(_DEAD).fetchall()
    return {
        "hie_deliveries_waiting": {(_STATES[state], lane): count for state, lane, count, _ in waiting},
        "hie_deliveries_oldest_seconds": {
            (_STATES[state], lane): max(0.0, (at - oldest).total_seconds()) for state, lane, _, oldest in waiting
        },
        "hie_parked_keys": {(code,): count for code, count in parked},
        "hie_dead_letters_open": {(stage, code): count for stage, code, count in dead},
    }


def lag_of_journal(settings: Settings) -> Mapping[str, Rows]:
    """A question: what the journal has still to read. Raises: HubError(BROKER_UNAVAILABLE, DATABASE_UNAVAILABLE)."""
    return {"hie_consumer_lag_records": {("journal", topic): count for topic, count in behind(settings).items()}}


def lag_of_archive(settings: Settings) -> Mapping[str, Rows]:
    """A question: what the topics hold and the archive does not. Raises: HubError(BROKER_UNAVAILABLE, ARCHIVE_UNAVAILABLE)."""
    from hub.journal.archiver import unarchived

    return {"hie_consumer_lag_records": {("archive", topic): count for topic, count in unarchived(settings).items()}}


def lag_of_group(settings: Settings, group: str, kafka_group: str, names: Iterable[str]) -> Mapping[str, Rows]:
    """A question: what a consumer group has still to commit. Raises: HubError(BROKER_UNAVAILABLE)."""
    there = ends(settings.kafka, list(names))
    at = _committed(settings.kafka, kafka_group)
    lags = Counter[str]()
    for (topic, partition), (first, end) in there.items():
        lags[topic] += max(0, end - max(at.get((topic, partition), 0), first))
    return {"hie_consumer_lag_records": {(group, topic): count for topic, count in lags.items()}}


def _committed(kafka: str, group: str) -> dict[Place, int]:
    admin = AdminClient({**client(kafka), "log_level": 2})
    try:
        [asked] = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)], request_timeout=_ASK_S).values()
        found = asked.result(_ASK_S).topic_partitions or []
    except (KafkaException, TimeoutError) as broken:
        raise HubError("BROKER_UNAVAILABLE", f"group {group}") from broken
    return {(one.topic, one.partition): one.offset for one in found if one.offset >= 0}
