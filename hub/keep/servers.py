"""What the doctor asks the three servers: Kafka, the registry, PostgreSQL."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx
import psycopg
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from hub.bus import topic_config
from hub.contract.errors import HubError
from hub.contract.events import schema_text
from hub.contract.kafka import client
from hub.contract.topics import topics
from hub.keep.finding import GB, Examined, Seen, ok
from hub.store.database import newest_migration

_ASK_S: Final = 4
_SHOWN: Final = 3
_MISSING: Final = 404
_APPLY: Final = ("Run `hie topics apply`.", "Hãy chạy `hie topics apply`.")


def _some(places: list[str]) -> str:
    return ", ".join(places[:_SHOWN]) + (f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else "")


# --- Kafka ------------------------------------------------------------------------------------------------------------


@contextmanager
def _admin(hub: Examined) -> Iterator[AdminClient]:
    try:
        yield AdminClient({**client(hub.settings.kafka), "log_level": 0, "socket.timeout.ms": _ASK_S * 1000})
    except (KafkaException, TimeoutError) as broken:
        raise HubError("BROKER_UNAVAILABLE", "doctor") from broken


def _configs(admin: AdminClient, resources: list[ConfigResource]) -> dict[str, dict[str, str]]:
    """Name of broker or topic to its settings."""
    asked = admin.describe_configs(resources, request_timeout=_ASK_S)
    return {resource.name: {name: row.value for name, row in future.result(_ASK_S).items()} for resource, future in asked.items()}


def broker(hub: Examined) -> Seen:
    """Whether each partition has a leader and all its copies, and whether no broker may give up what was confirmed."""
    with _admin(hub) as admin:
        cluster = admin.list_topics(timeout=_ASK_S)
        rules = _configs(admin, [ConfigResource(ResourceType.BROKER, str(node)) for node in cluster.brokers])
    parts = [(f"{name}/{part.id}", part) for name, topic in cluster.topics.items() for part in topic.partitions.values()]
    dead = [place for place, part in parts if part.leader < 0]
    short = [place for place, part in parts if len(part.isrs) < len(part.replicas)]
    unclean = [node for node, rule in rules.items() if rule["unclean.leader.election.enable"] != "false"]
    confirm = min(2, len(cluster.brokers))
    weak = [node for node, rule in rules.items() if int(rule["min.insync.replicas"]) < confirm]
    seen = f"{len(cluster.brokers)} broker{'s' * (len(cluster.brokers) > 1)}, {len(parts)} partitions"
    look = "Look whether each broker runs and has room on its disk; `hie status` says where its log is."
    xem = "Hãy xem từng broker có chạy và còn chỗ trên đĩa không; `hie status` cho biết nhật ký ở đâu."
    if dead:
        return Seen("bad", f"{seen}, without a leader: {_some(dead)}", look, xem)
    if unclean or weak:
        en = "Set unclean.leader.election.enable=false, and min.insync.replicas to a majority, on every broker."
        vi = "Hãy đặt unclean.leader.election.enable=false và min.insync.replicas là đa số trên mọi broker."
        return Seen("bad", f"{seen}; brokers that may lose what was confirmed: {', '.join(sorted({*unclean, *weak}))}", en, vi)
    if short:
        return Seen("warn", f"{seen}, not on all their brokers: {_some(short)}", look, xem)
    return ok(
        f"{seen}, all copies in step" + ("" if len(cluster.brokers) > 1 else "; one broker survives kill -9, not a power cut")
    )


def topic_settings(hub: Examined) -> Seen:
    """Whether every topic is there with the partitions, retention and limits of seeds/topics.toml."""
    with _admin(hub) as admin:
        cluster = admin.list_topics(timeout=_ASK_S)
        there = [name for name in topics() if name in cluster.topics]
        configs = _configs(admin, [ConfigResource(ResourceType.TOPIC, name) for name in there])
    missing = [name for name in topics() if name not in cluster.topics]
    if missing:
        return Seen("bad", f"missing: {_some(missing)}", *_APPLY)
    other = [name for name in there if len(cluster.topics[name].partitions) != topics()[name].partitions]
    if other:
        en = "Other numbers of partitions break the order of a key: this cluster was made by another hub; restore it or name your own."
        vi = "Số phân vùng khác làm sai thứ tự theo khóa: cụm này do hub khác tạo; hãy khôi phục hoặc dùng cụm của hub."
        return Seen("bad", f"other numbers of partitions: {_some(other)}", en, vi)
    copies = min(3, len(cluster.brokers))
    changed = [
        f"{name} {setting}={configs[name].get(setting)}, not {value}"
        for name in there
        for setting, value in topic_config(topics()[name], copies).items()
        if configs[name].get(setting) != value
    ]
    return Seen("bad", _some(changed), *_APPLY) if changed else ok(f"{len(there)} topics as in seeds/topics.toml")


# --- the registry -----------------------------------------------------------------------------------------------------


def _ask(hub: Examined, link: httpx.Client, path: str, body: dict[str, str] | None = None) -> Any:
    """What the registry answers; None for what it does not have."""
    address = f"{hub.settings.registry_url.rstrip('/')}{path}"
    try:
        answer = link.get(address) if body is None else link.post(address, json=body)
        return None if answer.status_code == _MISSING else answer.raise_for_status().json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as broken:
        raise HubError("REGISTRY_UNAVAILABLE", "doctor") from broken


def _link(hub: Examined) -> httpx.Client:
    return httpx.Client(timeout=_ASK_S, trust_env=not hub.settings.registry_url.startswith("http://127.0.0.1:"))


def registry(hub: Examined) -> Seen:
    """Whether the registry takes schemas, and lets each subject grow compatibly only."""
    with _link(hub) as link:
        mode = (_ask(hub, link, "/mode") or {}).get("mode", "READWRITE")
        levels = {name: (_ask(hub, link, f"/config/{name}-value") or {}).get("compatibilityLevel", "none") for name in topics()}
    loose = [f"{name} {level}" for name, level in levels.items() if level != "FULL_TRANSITIVE"]
    if mode != "READWRITE":
        en, vi = (
            "Set its mode to READWRITE, or no new release can register schemas.",
            "Hãy đặt chế độ READWRITE, nếu không bản mới không đăng ký được lược đồ.",
        )
        return Seen("warn", f"mode {mode}", en, vi)
    return (
        Seen("bad", f"not FULL_TRANSITIVE: {_some(loose)}", *_APPLY)
        if loose
        else ok(f"{mode}, {len(levels)} subjects FULL_TRANSITIVE")
    )


def schemas(hub: Examined) -> Seen:
    """Whether every topic's schema of this release is registered, and the newest there is."""
    missing, newer = [], []
    with _link(hub) as link:
        for name, topic in topics().items():
            subject = f"/subjects/{name}-value"
            ours = _ask(hub, link, subject, {"schema": schema_text(topic.record), "schemaType": "AVRO"})
            if ours is None:
                missing.append(name)
            elif ours["version"] < max(_ask(hub, link, f"{subject}/versions") or [0]):
                newer.append(name)
    if missing:
        return Seen("bad", f"not registered: {_some(missing)}", *_APPLY)
    if newer:
        en = "Another release registered these last; run one release everywhere, and `hie topics apply` of it."
        vi = "Bản phát hành khác đã đăng ký sau cùng; hãy dùng cùng một bản ở mọi nơi rồi chạy `hie topics apply` của bản đó."
        return Seen("warn", f"another release's are newer: {_some(newer)}", en, vi)
    return ok(f"{len(topics())} registered, all of this release")


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


@contextmanager
def _database(hub: Examined) -> Iterator[psycopg.Connection[Any]]:
    url = hub.settings.database_url.get_secret_value()
    try:
        with psycopg.connect(
            url, connect_timeout=_ASK_S, autocommit=True, options=f"-c statement_timeout={_ASK_S * 1000}"
        ) as link:
            yield link
    except psycopg.Error as broken:
        raise HubError("DATABASE_UNAVAILABLE", "doctor") from broken


def database(hub: Examined) -> Seen:
    """Whether its tables are this release's, how large it is, and whether a transaction holds up the others."""
    with _database(hub) as link:
        row = link.execute(
            "select pg_database_size(current_database()), to_regclass('alembic_version') is not null,"
            " coalesce((select extract(epoch from max(clock_timestamp() - xact_start)) from pg_stat_activity"
            "   where datname = current_database() and xact_start is not null and pid <> pg_backend_pid()), 0)::float8"
        ).fetchone()
        assert row is not None
        size, made, longest_s = row
        found = link.execute("select version_num from alembic_version").fetchone() if made else None
    at, wanted = found[0] if found else "none", newest_migration()
    seen = f"{size / GB:.2f} GB, migration {at}, longest transaction {longest_s:.0f} s"
    if at != wanted:
        en = f"Run `hie prepare` of this release (migration {wanted}); if the database is newer, run the newer release."
        vi = f"Hãy chạy `hie prepare` của bản này (migration {wanted}); nếu CSDL mới hơn thì dùng bản mới hơn."
        return Seen("bad", seen, en, vi)
    if longest_s > hub.limits.transaction_warn_s:
        en = "Find in pg_stat_activity whose it is, and end it: it holds up vacuum and migrations."
        vi = "Hãy tìm trong pg_stat_activity giao dịch đó của ai và kết thúc: nó cản vacuum và migration."
        return Seen("warn", seen, en, vi)
    return ok(seen)


def clock(hub: Examined) -> Seen:
    """How far this machine's clock is from the database's."""
    with _database(hub) as link:
        before = time.time()
        row = link.execute("select extract(epoch from clock_timestamp())::float8").fetchone()
        after = time.time()
    assert row is not None
    off_s = max(0.0, before - row[0], row[0] - after)  # what the question took is no difference
    seen = f"{off_s:.1f} s from the database's"
    en, vi = (
        "Let chrony or systemd-timesyncd keep both clocks.",
        "Hãy dùng chrony hoặc systemd-timesyncd để đồng bộ cả hai đồng hồ.",
    )
    if off_s > hub.limits.clock_bad_s:
        return Seen("bad", seen, en, vi)
    return Seen("warn", seen, en, vi) if off_s > hub.limits.clock_warn_s else ok(seen)


CHECKS: Final[dict[str, Callable[[Examined], Seen]]] = {
    "broker": broker, "topics": topic_settings, "registry": registry, "schemas": schemas, "database": database, "clock": clock,
}  # fmt: skip
