"""The way out's tests: a database of their own, recipients that no other test has, consumer groups that begin at the end."""

from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import TopicPartition
from psycopg import Connection
from psycopg.rows import TupleRow

from hub.bus import Wire, apply_topics, consumer
from hub.contract.settings import Settings
from hub.contract.topics import topics
from hub.stack import Stack
from hub.store.database import connect
from tests.made import unique
from tests.own_database import own_database


@pytest.fixture(scope="session")
def wire(stack: Stack) -> Wire:
    made = Wire(stack.registry_url)
    apply_topics(stack.kafka_bootstrap, made)
    return made


@pytest.fixture(scope="module")
def database_url(stack: Stack) -> Iterator[str]:
    with own_database(stack.database_url) as url:
        yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Connection[TupleRow]]:
    """Empty mailboxes."""
    with connect(database_url, autocommit=True) as connection:
        connection.execute("truncate mailbox, delivery_seen, recipient, receipt_outbox")
        yield connection


@pytest.fixture
def own_settings(settings: Settings, database_url: str) -> Settings:
    return settings.model_copy(update={"database_url": type(settings.database_url)(database_url)})


@pytest.fixture
def group(stack: Stack, wire: Wire) -> Callable[[], str]:
    """Makes a consumer group of `delivery.v1` that begins with what is written from now on."""

    def made() -> str:
        name = unique("test-mailbox-")
        reader = consumer(stack.kafka_bootstrap, name)
        places = [TopicPartition("delivery.v1", number) for number in range(topics()["delivery.v1"].partitions)]
        ends = [TopicPartition(one.topic, one.partition, reader.get_watermark_offsets(one, timeout=10)[1]) for one in places]
        reader.commit(offsets=ends, asynchronous=False)
        reader.close()
        return name

    return made
