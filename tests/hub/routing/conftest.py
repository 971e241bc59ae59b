"""A database and topics for routing's tests, on the session's servers."""

import uuid
from collections.abc import Iterator

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import SecretStr

from hub.bus import Wire, apply_topics
from hub.contract.settings import Settings
from hub.routing.batch import Router
from hub.store.database import connect, migrate, pool
from tests.hub.routing.story import KEYRING, Published, Remembered, SmallHub


@pytest.fixture(scope="session")
def routing_settings(settings: Settings) -> Iterator[Settings]:
    """Settings with a database of routing's own and this session's secret; topics and schemas are there."""
    server = settings.database_url.get_secret_value()
    name = f"routing_{uuid.uuid4().hex[:8]}"
    with connect(server, autocommit=True) as admin:
        admin.execute(f'create database "{name}"')
    own = conninfo_to_dict(server) | {"dbname": name}
    user = f"{own['user']}:{own['password']}@" if "password" in own else f"{own['user']}@"
    url = f"postgresql://{user}{own['host']}:{own['port']}/{name}"
    assert conninfo_to_dict(url) == conninfo_to_dict(make_conninfo(**own))
    migrate(url)
    apply_topics(settings.kafka, Wire(settings.registry_url))
    yield settings.model_copy(update={"database_url": SecretStr(url), "key_secret": SecretStr(KEYRING.secret.decode())})
    with connect(server, autocommit=True) as admin:
        admin.execute(f'drop database "{name}" with (force)')


@pytest.fixture(scope="session")
def routing_pool(routing_settings):
    with pool(routing_settings.database_url.get_secret_value(), size=4) as opened:
        yield opened


@pytest.fixture(scope="session")
def wire(routing_settings) -> Wire:
    return Wire(routing_settings.registry_url)


@pytest.fixture
def empty_index(routing_pool):
    with routing_pool.connection() as database:
        database.execute("truncate case_event, case_head, case_fact, due, parked")


@pytest.fixture
def new_hub(routing_pool, wire, empty_index):
    """Makes small hubs, each on an empty case index."""

    def make() -> SmallHub:
        with routing_pool.connection() as database:
            database.execute("truncate case_event, case_head, case_fact, due, parked")
        published, remembered = Published(), Remembered()
        return SmallHub(Router(wire, KEYRING, routing_pool, published, remembered, fact_days=365), published, remembered)

    return make
