"""The journal's tests: a database of their own; records are real bytes at places that the test chooses."""

from collections.abc import Iterator

import pytest
from psycopg import Connection
from psycopg.rows import TupleRow

from hub.bus import Wire, apply_topics
from hub.contract.settings import Settings
from hub.stack import Stack
from hub.store.database import connect
from tests.made import Log
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
    """An empty journal."""
    with connect(database_url, autocommit=True) as connection:
        connection.execute(
            "truncate journal_offset, journal_undecodable, journal_message, journal_event, journal_delivery,"
            " journal_receipt, journal_dead_letter, journal_traffic, parked"
        )
        yield connection


@pytest.fixture
def log(wire: Wire) -> Log:
    return Log(wire)


@pytest.fixture
def own_settings(settings: Settings, database_url: str) -> Settings:
    return settings.model_copy(update={"database_url": type(settings.database_url)(database_url)})
