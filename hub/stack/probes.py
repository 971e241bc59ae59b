"""Asks each server itself whether it serves; needs nothing of the local stack."""

import uuid
from typing import Final

import httpx
import psycopg
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from hub.contract.kafka import client

HOST: Final = "127.0.0.1"
_MARK: Final = "hie-hub"  # a group without schemas, written to at each start


def kafka_answers(kafka: str, nodes: frozenset[int] = frozenset()) -> bool:
    """Whether a cluster gives its metadata and counts all these nodes among its brokers."""
    try:
        admin = AdminClient({**client(kafka), "log_level": 0, "socket.timeout.ms": 3000})
        return nodes <= set(admin.list_topics(timeout=3).brokers)
    except KafkaException:
        return False


def registry_answers(url: str) -> bool:
    """Whether a Confluent-compatible registry lists its subjects."""
    local = url.startswith(f"http://{HOST}:")
    try:
        return httpx.get(f"{url.rstrip('/')}/subjects", timeout=5, trust_env=not local).status_code == 200
    except (httpx.HTTPError, httpx.InvalidURL):
        return False


def apicurio_has_replayed(url: str) -> bool:
    """Whether an Apicurio of ours serves all that it ever kept.

    It answers before it has read its journal in Kafka again, and would then deny schemas that it holds. A write goes
    through that journal and is confirmed once it has been read back, so everything before it has been too.
    """
    groups = url.replace("/ccompat/v7", "/registry/v3/groups")
    try:
        with httpx.Client(timeout=10, trust_env=False) as client:
            if client.get(f"{url}/subjects").status_code != 200:
                return False
            made = client.post(groups, json={"groupId": _MARK})
            if not made.is_success and made.status_code != 409:  # 409: it is there from an earlier start
                return False
            return client.put(f"{groups}/{_MARK}", json={"labels": {"started": uuid.uuid4().hex}}).is_success
    except httpx.HTTPError:
        return False


def postgres_answers(url: str) -> bool:
    """Whether PostgreSQL answers a query under this address."""
    try:
        with psycopg.connect(url, connect_timeout=5) as link:
            return link.execute("select 1").fetchone() == (1,)
    except psycopg.Error:
        return False
