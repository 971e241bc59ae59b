"""What holds for the servers wherever they run: versions, settings of durability and size, the database's password."""

import base64
import json
import secrets
import tomllib
import uuid
from pathlib import Path
from typing import Any, Final

from hub.contract.errors import HubError
from hub.contract.kafka import read_address, write_address
from hub.stack.probes import HOST

VERSIONS: Final = Path(__file__).parents[1] / "versions.toml"
DATABASE: Final = "hie"
HUB: Final = "hub"  # Kafka's name of the hub itself
LISTENER: Final = "CLIENTS"
_PLAIN: Final = "org.apache.kafka.common.security.plain.PlainLoginModule"
_SCRAM: Final = "org.apache.kafka.common.security.scram.ScramLoginModule"
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
        "inter.broker.listener.name": LISTENER,
        # Who may do what: nothing, unless a rule of `hub.access.rights` says so. The hub itself may do everything.
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:{HUB}",
        "allow.everyone.if.no.acl.found": "false",
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",  # the hub's login is in the brokers' settings, payers' are kept in Kafka
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "sasl.mechanism.controller.protocol": "PLAIN",
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


def kafka_logins(password: str, *listeners: str) -> dict[str, str]:
    """The hub's own login on these listeners and the controllers', for brokers among each other too; and that others come by SCRAM."""
    plain = f'{_jaas("PLAIN", HUB, password)[:-1]} user_{HUB}="{password}";'
    told = {"listener.name.controller.sasl.enabled.mechanisms": "PLAIN"}
    told |= {f"listener.name.{name.lower()}.plain.sasl.jaas.config": plain for name in (*listeners, "CONTROLLER")}
    for name in listeners:
        scram = f"listener.name.{name.lower()}.scram-sha-512"
        told[f"{scram}.sasl.jaas.config"] = f"{_SCRAM} required;"
        told[f"{scram}.connections.max.reauth.ms"] = "600000"  # a login that was taken away ends open links too
    return told


def registry_login(kafka: str) -> dict[str, str]:
    """How Apicurio logs in to the brokers of this address: as the hub, since its journal is part of it."""
    found, prefix = read_address(kafka), "apicurio.kafka.common."
    if not found.user:
        return {f"{prefix}security.protocol": "SSL"} if found.tls else {}
    return {
        f"{prefix}security.protocol": "SASL_SSL" if found.tls else "SASL_PLAINTEXT",
        f"{prefix}sasl.mechanism": found.mechanism,
        f"{prefix}sasl.jaas.config": _jaas(found.mechanism, found.user, found.password),
    }


def _jaas(mechanism: str, user: str, password: str) -> str:
    return f'{_PLAIN if mechanism == "PLAIN" else _SCRAM} required username="{user}" password="{password}";'


def kafka_url(home: Path, brokers: str) -> str:
    """The address of the hub's brokers with the hub's login."""
    return write_address(brokers, HUB, kafka_password(home), "PLAIN")


def kafka_password(home: Path) -> str:
    """Made once for a data folder and kept in it, readable by its owner only."""
    return _made_once(home / "kafka.password")


def registry_url(port: int) -> str:
    """The Confluent-compatible base address of Apicurio on this port."""
    return f"http://{HOST}:{port}/apis/ccompat/v7"


def postgres_url(home: Path, port: int) -> str:
    """The address of the hub's database on this port, with its password."""
    return f"postgresql://{DATABASE}:{postgres_password(home)}@{HOST}:{port}/{DATABASE}"


def postgres_password(home: Path) -> str:
    """Made once for a data folder and kept in it, readable by its owner only."""
    return _made_once(home / "postgres.password")


def _made_once(secret: Path) -> str:
    if not secret.exists():
        write_private(secret, secrets.token_urlsafe(24))
    return secret.read_text(encoding="ascii")


def write_private(path: Path, text: str) -> None:
    """A file that holds a secret, whole or not at all: readable by its owner only, from the first moment."""
    fresh = path.with_name(f"{path.name}.fresh")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
