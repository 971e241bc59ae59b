"""A database of a test's own, on whatever PostgreSQL the session has, with all tables or none yet."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import psycopg

from hub.store.database import migrate


@contextmanager
def own_database(server_url: str, *, tables: bool = True) -> Iterator[str]:
    """Address of a new database; dropped afterwards, whoever is still connected."""
    name = f"test_{secrets.token_hex(6)}"
    parts = urlsplit(server_url)
    url = urlunsplit(parts._replace(path=f"/{name}"))
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(f"create database {name}")
        try:
            if tables:
                migrate(url)
            yield url
        finally:
            server.execute(f"drop database {name} with (force)")
