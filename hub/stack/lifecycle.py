"""Find or start Kafka, the registry and PostgreSQL; watch them; stop them."""

import fcntl
import json
import os
import shutil
import socket
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

from hub.contract.errors import HubError
from hub.contract.settings import Settings
from hub.stack.process import ROOM_BYTES_MIN, Handle, Process, Spawner, end_remembered, remember

if TYPE_CHECKING:
    from typing import TextIO

Say = Callable[[str], None]
_ADDRESSES: Final = ("kafka_bootstrap", "registry_url", "database_url")


@dataclass(frozen=True)
class Stack:
    """Where the three servers are, and a handle on each that was started here.

    kafka_bootstrap: host:port[,host:port].
    registry_url:    Confluent-compatible base address, without a slash at the end.
    database_url:    postgresql://user:password@host:port/name.
    provider:        "settings" when all three were named, else "local" or "docker".
    processes:       what was started here, by name: `kafka-1` …, `postgres`, `registry`.
    """

    kafka_bootstrap: str
    registry_url: str
    database_url: str = field(repr=False)
    provider: str
    processes: Mapping[str, Handle] = field(default_factory=dict)
    _close: Callable[[], None] = field(default=lambda: None, repr=False, compare=False)

    def check(self) -> None:
        """Raises: HubError(PROCESS_DIED) with the name of a started process that is gone; DISK_FULL if that is why."""
        for name, handle in self.processes.items():
            if not handle.running():
                raise handle.death() if isinstance(handle, Process) else HubError("PROCESS_DIED", name)

    def stop(self) -> None:
        """Ends what was started here, clients first, and gives the data folder free. May be called again."""
        self._close()

    def kill(self, name: str) -> None:
        """Ends one process without a word to it, as a crash would."""
        self.processes[name].kill()

    def restart(self, name: str) -> None:
        """Ends one process cleanly if it still runs, starts it on the same port, and waits until it serves."""
        handle = self.processes[name]
        handle.stop()
        handle.spawn()
        handle.wait_ready()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def start(settings: Settings, say: Say) -> Stack:
    """Uses what the settings name and starts the rest: local processes, or containers when `HIE_STACK=docker`.

    say:    is given one short line of progress at a time, from any thread.
    Raises: HubError(PORT_TAKEN, DISK_FULL, FETCH_FAILED, CHECKSUM_WRONG, PROCESS_DIED, ALREADY_RUNNING, SETTING_WRONG,
            BROKER_UNAVAILABLE, REGISTRY_UNAVAILABLE, DATABASE_UNAVAILABLE); nothing is left running then.
    """
    named = {
        "kafka_bootstrap": settings.kafka_bootstrap,
        "registry_url": settings.registry_url.rstrip("/"),
        "database_url": settings.database_url.get_secret_value(),
    }
    _reach(named)
    if all(named.values()):
        return Stack(**named, provider="settings")
    if settings.stack == "docker":
        from hub.stack import containers

        addresses, handles, close = containers.start(settings, named, say)
        return Stack(**addresses, provider="docker", processes=handles, _close=close)
    return _Local(settings, named, say).start()


def find(settings: Settings) -> Stack | None:
    """The stack that another process keeps running on this data folder, with no handles; None if there is none."""
    lock = settings.data_dir / "stack.lock"
    with suppress(OSError, ValueError, KeyError), lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            addresses = json.loads((settings.data_dir / "stack.json").read_text(encoding="utf-8"))
            return Stack(**{name: addresses[name] for name in _ADDRESSES}, provider="local")
    return None


def _reach(named: Mapping[str, str]) -> None:
    """Asks each server that the settings name; the error says where it should be, never the password."""
    if not any(named.values()):
        return
    from hub.stack import servers

    if named["kafka_bootstrap"] and not servers.kafka_answers(named["kafka_bootstrap"]):
        raise HubError("BROKER_UNAVAILABLE", f"HIE_KAFKA_BOOTSTRAP {named['kafka_bootstrap']}")
    if named["registry_url"] and not servers.registry_answers(named["registry_url"]):
        raise HubError("REGISTRY_UNAVAILABLE", f"HIE_REGISTRY_URL {urlsplit(named['registry_url']).netloc.rpartition('@')[2]}")
    if named["database_url"] and not servers.postgres_answers(named["database_url"]):
        raise HubError("DATABASE_UNAVAILABLE", f"HIE_DATABASE_URL {urlsplit(named['database_url']).netloc.rpartition('@')[2]}")


class Ports:
    """Checks fixed ports and picks free ones; holds them all until `release`, so that none is picked twice."""

    def __init__(self) -> None:
        self._held: list[socket.socket] = []

    def take(self, port: int, setting: str) -> int:
        held = socket.socket()
        self._held.append(held)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind(("127.0.0.1", port))
        except OSError:
            raise HubError("PORT_TAKEN", f"{setting} {port}") from None
        return int(held.getsockname()[1])

    def release(self) -> None:
        for held in self._held:
            held.close()


class _Local:
    """One start of the local stack: what it has taken so far, so that all of it can be given back."""

    def __init__(self, settings: Settings, named: dict[str, str], say: Say) -> None:
        self.settings, self.named, self.say = settings, dict(named), say
        self.handles: dict[str, Process] = {}
        self.spawner = Spawner()
        self.lock: TextIO | None = None
        self._closing = threading.RLock()

    def start(self) -> Stack:
        ports = Ports()
        try:
            home = self._own_folder()
            if shutil.disk_usage(home).free < ROOM_BYTES_MIN:
                raise HubError("DISK_FULL", f"{home}: less than {ROOM_BYTES_MIN // 1024 // 1024} MiB free")
            end_remembered(home / "processes.json")
            plan = self._plan(ports)
            jars, unpacked = self._parts()
            ports.release()
            self._start_all(plan, jars, unpacked)
            self._publish(home)
        except BaseException:
            ports.release()
            self.close()
            raise
        return Stack(**self.named, provider="local", processes=self.handles, _close=self.close)

    def _own_folder(self) -> Path:
        home = self.settings.data_dir
        try:
            self.settings.logs.mkdir(parents=True, exist_ok=True)
            self.lock = (home / "stack.lock").open("a+")
        except OSError as wrong:
            raise HubError("SETTING_WRONG", f"HIE_DATA_DIR {home}: {wrong.strerror}") from None
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.lock.seek(0)
            owner = self.lock.read().strip()
            self.lock.close()
            self.lock = None
            raise HubError("ALREADY_RUNNING", f"{home}, process {owner}") from None
        self.lock.truncate(0)  # the kernel frees the lock of a process that was killed; only its number stays
        self.lock.write(f"{os.getpid()}\n")
        self.lock.flush()
        return home

    def _plan(self, ports: Ports) -> dict[str, list[int]]:
        wanted, plan = self.settings, {}
        if not self.named["kafka_bootstrap"]:
            first, count = wanted.kafka_port, wanted.brokers
            plan["kafka"] = [ports.take(first and first + i, "HIE_KAFKA_PORT") for i in range(count)]
            plan["controllers"] = [ports.take(0, "HIE_KAFKA_PORT") for _ in range(count)]
        if not self.named["registry_url"]:
            plan["registry"] = [ports.take(wanted.registry_port, "HIE_REGISTRY_PORT")]
        if not self.named["database_url"]:
            plan["postgres"] = [ports.take(wanted.database_port, "HIE_DATABASE_PORT")]
        return plan

    def _parts(self) -> tuple[tuple[Path, ...], Path]:
        if self.named["kafka_bootstrap"] and self.named["registry_url"]:
            return (), Path()
        from hub.stack import parts

        provided = parts.provide(self.settings.cache_dir, self.say)
        return provided.kafka, provided.registry

    def _start_all(self, plan: dict[str, list[int]], jars: tuple[Path, ...], unpacked: Path) -> None:
        """Kafka, then the registry that lives in it; PostgreSQL beside them."""
        with ThreadPoolExecutor(1) as beside:
            database = beside.submit(self._postgres, plan["postgres"][0]) if "postgres" in plan else None
            try:
                if "kafka" in plan:
                    self._kafka(plan["kafka"], plan["controllers"], jars)
                if "registry" in plan:
                    self._registry(plan["registry"][0], unpacked)
            except BaseException:
                self.close()  # before the pool waits for its thread: that one ends when its process is gone
                raise
            if database:
                database.result()

    def _kafka(self, ports: list[int], controllers: list[int], jars: tuple[Path, ...]) -> None:
        from hub.stack import servers

        where = self.settings
        self.say(f"starting Kafka, {len(ports)} broker{'s' if len(ports) > 1 else ''}")
        brokers = servers.kafka(where.data_dir, where.logs, where.cache_dir, jars, ports, controllers, self.spawner)
        for broker in brokers:
            self._spawn(broker)
        for broker in brokers:
            self._wait(broker)
        self.named["kafka_bootstrap"] = ",".join(f"{servers.HOST}:{port}" for port in ports)

    def _registry(self, port: int, unpacked: Path) -> None:
        from hub.stack import servers

        where = self.settings
        self.say("starting the schema registry")
        registry = servers.registry(
            where.data_dir / "registry", where.logs, where.cache_dir, unpacked, self.named["kafka_bootstrap"], port, self.spawner
        )
        self._spawn(registry)
        self._wait(registry)
        self.named["registry_url"] = servers.registry_url(port)

    def _postgres(self, port: int) -> None:
        from hub.stack import servers

        where = self.settings
        self.say("starting PostgreSQL")
        postgres = servers.postgres(where.data_dir, where.logs, port, self.spawner)
        self._spawn(postgres)
        self._wait(postgres)
        self.named["database_url"] = servers.postgres_url(where.data_dir, port)

    def _spawn(self, process: Process) -> None:
        self.handles[process.name] = process
        process.spawn()

    def _wait(self, process: Process) -> None:
        process.wait_ready()
        self.say(f"{process.name} is up")

    def _publish(self, home: Path) -> None:
        """For `find`, and for the next start should this process be killed."""
        remember(home / "processes.json", list(self.handles.values()))
        note = home / "stack.json"
        note.unlink(missing_ok=True)
        with open(os.open(note, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123  # with its mode from the first moment
            json.dump({name: self.named[name] for name in _ADDRESSES}, file)

    def close(self) -> None:
        """The registry first, then PostgreSQL, then the brokers from the last to the first."""
        with self._closing:
            self.spawner.close()
            for name in sorted(
                self.handles,
                key=lambda name: ("registry", "postgres").index(name) if not name.startswith("kafka") else 2 + 10 - int(name[6:]),
            ):
                self.handles[name].stop()
            self.spawner.end()
            if self.lock:
                for name in ("stack.json", "processes.json"):
                    (self.settings.data_dir / name).unlink(missing_ok=True)
                self.lock.close()
                self.lock = None
