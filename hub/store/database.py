"""PostgreSQL: connections, and the migrations that make its tables."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from weakref import WeakKeyDictionary

import orjson
import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg import AsyncConnection, Connection
from psycopg.rows import TupleRow
from psycopg.types.json import set_json_loads
from psycopg_pool import AsyncConnectionPool, ConnectionPool, PoolTimeout

from hub.contract.errors import HubError

_WAIT_S = 10.0
_LOOK_AGAIN_S = 1.0
set_json_loads(orjson.loads)  # three times as fast as the library's own, for every connection of the process

UNAVAILABLE = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout)  # what a stopped or unreachable server raises


def connect(url: str, *, autocommit: bool = False) -> Connection[TupleRow]:
    """One connection. Raises: HubError(DATABASE_UNAVAILABLE)."""
    try:
        return psycopg.connect(url, connect_timeout=int(_WAIT_S), autocommit=autocommit)
    except UNAVAILABLE as broken:
        raise HubError("DATABASE_UNAVAILABLE", "connect") from broken


def pool(url: str, *, size: int = 8) -> ConnectionPool:
    """A pool for threads, not opened yet: use it as a context manager."""
    return ConnectionPool(url, min_size=1, max_size=size, open=False, timeout=_WAIT_S, check=ConnectionPool.check_connection)


def async_pool(url: str, *, size: int = 8) -> AsyncConnectionPool:
    """A pool for asyncio, not opened yet: use it as a context manager. What is more than one statement says `transaction()`."""
    return AsyncConnectionPool(
        url, min_size=1, max_size=size, open=False, timeout=_WAIT_S, check=_lives(), kwargs={"autocommit": True}
    )


def _lives() -> Callable[[AsyncConnection[TupleRow]], Awaitable[None]]:
    """Looks once a second whether a connection is still good: for a page that is read in one statement, each time was half the cost."""
    looked: WeakKeyDictionary[AsyncConnection[TupleRow], float] = WeakKeyDictionary()

    async def check(connection: AsyncConnection[TupleRow]) -> None:
        if (at := monotonic()) - looked.get(connection, 0.0) >= _LOOK_AGAIN_S:
            await AsyncConnectionPool.check_connection(connection)
            looked[connection] = at

    return check


@contextmanager
def available() -> Iterator[None]:
    """Turn the driver's word for "no server" into ours: HubError(DATABASE_UNAVAILABLE), which is retriable."""
    try:
        yield
    except UNAVAILABLE as broken:
        raise HubError("DATABASE_UNAVAILABLE", "query") from broken


def migrate(url: str) -> None:
    """Bring the tables to this release's form. Safe to run at every start and by several at once.

    Raises: HubError(DATABASE_UNAVAILABLE).
    """
    config = _migrations()
    config.attributes["url"] = url
    with available(), connect(url, autocommit=True) as lock:
        lock.execute("select pg_advisory_lock(7301)")  # released with the connection
        command.upgrade(config, "head")


def newest_migration() -> str:
    """Number of this release's newest migration, such as `0014`; what a database stands at is in its table `alembic_version`."""
    head = ScriptDirectory.from_config(_migrations()).get_current_head()
    assert head is not None
    return head


def _migrations() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    return config
