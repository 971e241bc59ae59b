"""What holds for the servers wherever they run: versions, settings of durability and size, the database's password."""

import base64
import json
import os
import secrets
import tomllib
import uuid
from pathlib import Path
from typing import Any, Final

from hub.contract.errors import HubError
from hub.stack.probes import HOST

VERSIONS: Final = Path(__file__).parents[1] / "versions.toml"
DATABASE: Final = "hie"
RECORD_BYTES_MAX: Final = 9 * 1024 * 1024  # 8 MiB of value, and room for key, headers and the batch around them


def versions() -> dict[str, Any]:
    """The table of `versions.toml`."""
    return tomllib.loads(VERSIONS.read_text(encoding="utf-8"))


def kafka_cluster(home: Path, brokers: int) -> str:
    """The id of this data folder's cluster, made once; the number of brokers is then settled too.

    Raises: HubError(SETTING_WRONG) when the folder was made with another number of brokers.
    """
    note = home / "kafka.json"
    if note.exists():
        made = json.loads(note.read_text(encoding="ascii"))
        if made["brokers"] != brokers:
            raise HubError("SETTING_WRONG", f"HIE_BROKERS: this data folder was made with {made['brokers']}")
        return str(made["cluster_id"])
    cluster = (
        base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "a")
    )  # an id must not look like an option
    fresh = note.with_suffix(".fresh")
    fresh.write_text(json.dumps({"cluster_id": cluster, "brokers": brokers}), encoding="ascii")
    fresh.replace(note)
    return cluster


def kafka_settings(node: int, brokers: int) -> dict[str, str]:
    """What holds for a broker wherever it runs; its addresses and folder come to it. Every broker is a controller too.

    A record counts as written when a majority of the brokers has it: one of one, two of two, two of three.
    """
    count, confirm = str(brokers), str(brokers // 2 + 1)
    return {
        "process.roles": "broker,controller",
        "node.id": str(node),
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "auto.create.topics.enable": "false",
        "unclean.leader.election.enable": "false",
        "default.replication.factor": count,
        "min.insync.replicas": confirm,
        "offsets.topic.replication.factor": count,
        "transaction.state.log.replication.factor": count,
        "transaction.state.log.min.isr": confirm,
        "share.coordinator.state.topic.replication.factor": count,
        "share.coordinator.state.topic.min.isr": confirm,
        "offsets.topic.num.partitions": "12",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.num.partitions": "4",
        "message.max.bytes": str(RECORD_BYTES_MAX),
        "replica.fetch.max.bytes": str(RECORD_BYTES_MAX),
        "log.retention.ms": "-1",  # the registry's journal states no retention of its own; the hub's topics state theirs
        "group.initial.rebalance.delay.ms": "100",
    }


def registry_url(port: int) -> str:
    """The Confluent-compatible base address of Apicurio on this port."""
    return f"http://{HOST}:{port}/apis/ccompat/v7"


def postgres_url(home: Path, port: int) -> str:
    """The address of the hub's database on this port, with its password."""
    return f"postgresql://{DATABASE}:{postgres_password(home)}@{HOST}:{port}/{DATABASE}"


def postgres_password(home: Path) -> str:
    """Made once for a data folder and kept in it, readable by its owner only."""
    secret = home / "postgres.password"
    if not secret.exists():
        fresh = secret.with_suffix(".fresh")
        fresh.unlink(missing_ok=True)
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:  # noqa: PTH123  # with its mode from the first moment
            file.write(secrets.token_urlsafe(24))
        fresh.replace(secret)
    return secret.read_text(encoding="ascii")
