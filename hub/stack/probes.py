"""Asks each server itself whether it serves; needs nothing of the local stack."""

from typing import Final

import httpx
import psycopg
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

HOST: Final = "127.0.0.1"


def kafka_answers(bootstrap: str, nodes: frozenset[int] = frozenset()) -> bool:
    """Whether a cluster gives its metadata and counts all these nodes among its brokers."""
    try:
        client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0, "socket.timeout.ms": 3000})
        return nodes <= set(client.list_topics(timeout=3).brokers)
    except KafkaException:
        return False


def registry_answers(url: str) -> bool:
    """Whether a Confluent-compatible registry lists its subjects."""
    local = url.startswith(f"http://{HOST}:")
    try:
        return httpx.get(f"{url.rstrip('/')}/subjects", timeout=5, trust_env=not local).status_code == 200
    except (httpx.HTTPError, httpx.InvalidURL):
        return False


def postgres_answers(url: str) -> bool:
    """Whether PostgreSQL answers a query under this address."""
    try:
        with psycopg.connect(url, connect_timeout=5) as link:
            return link.execute("select 1").fetchone() == (1,)
    except psycopg.Error:
        return False
