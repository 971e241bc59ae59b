"""Find or start Kafka, the registry and PostgreSQL; watch them; stop them."""

import fcntl
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self
from urllib.parse import urlsplit

from hub.contract.errors import HubError
from hub.contract.kafka import brokers, read_address
from hub.contract.settings import Settings
from hub.stack import probes

Say = Callable[[str], None]


class Handle(Protocol):
    """One server of the stack, process or container, as tests and supervision see it."""

    @property
    def pid(self) -> int: ...
    def running(self) -> bool: ...
    def spawn(self) -> None: ...
    def wait_ready(self) -> None: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...
    def death(self) -> HubError: ...


class Starting(Protocol):
    """A way to start what is missing; `start` gives everything back by itself when it fails."""

    def start(self) -> tuple[dict[str, str], Mapping[str, Handle]]: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class Stack:
    """Where the three servers are, and a handle on each that was started here.

    kafka_bootstrap: with the hub's login, as `hub.contract.kafka` reads it.
    registry_url:    Confluent-compatible base address, without a slash at the end.
    database_url:    postgresql://user:password@host:port/name.
    provider:        "settings" when all three were named, else "local" or "docker".
    processes:       what was started here, by name: `kafka-1` …, `postgres`, `registry`.
    """

    kafka_bootstrap: str = field(repr=False)
    registry_url: str
    database_url: str = field(repr=False)
    provider: str
    processes: Mapping[str, Handle] = field(default_factory=dict)
    _close: Callable[[], None] = field(default=lambda: None, repr=False, compare=False)

    def check(self) -> None:
        """Raises: HubError(PROCESS_DIED) with the name of a started process that is gone; DISK_FULL if that is why."""
        for handle in self.processes.values():
            if not handle.running():
                raise handle.death()

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

    say:    is given one short line of progress at a time.
    Raises: HubError(PORT_TAKEN, DISK_FULL, FETCH_FAILED, CHECKSUM_WRONG, PROCESS_DIED, ALREADY_RUNNING, SETTING_WRONG,
            BROKER_UNAVAILABLE, REGISTRY_UNAVAILABLE, DATABASE_UNAVAILABLE); nothing is left running then.
    """
    url = settings.database_url.get_secret_value()
    named = {"kafka_bootstrap": settings.kafka, "registry_url": settings.registry_url.rstrip("/"), "database_url": url}
    _reach(named)
    if all(named.values()):
        return Stack(named["kafka_bootstrap"], named["registry_url"], named["database_url"], "settings")
    starting = _provider(settings, named, _one_at_a_time(say))
    addresses, processes = starting.start()
    provider = "docker" if settings.stack == "docker" else "local"
    return Stack(
        addresses["kafka_bootstrap"], addresses["registry_url"], addresses["database_url"], provider, processes, starting.close
    )


def _provider(settings: Settings, named: dict[str, str], say: Say) -> Starting:
    """Imported only now, so that a hub whose settings name everything needs neither extra."""
    extra = "docker" if settings.stack == "docker" else "local"
    try:
        if extra == "docker":
            from hub.stack.containers import ContainerStart

            return ContainerStart(settings, named, say)
        from hub.stack.local import LocalStart

        return LocalStart(settings, named, say)
    except ModuleNotFoundError as missing:
        where = f"{missing.name} is not installed: install hie-hub[{extra}], or name Kafka, registry and database"
        raise HubError("SETTING_WRONG", where) from None


def _one_at_a_time(say: Say) -> Say:
    lock = threading.Lock()

    def safely(line: str) -> None:
        with lock:
            say(line)

    return safely


def find(settings: Settings) -> Stack | None:
    """The stack that another process keeps running on this data folder, with no handles; None if there is none."""
    with suppress(OSError, ValueError, KeyError):
        if held(settings):
            note = json.loads((settings.data_dir / "stack.json").read_text(encoding="utf-8"))
            return Stack(note["kafka_bootstrap"], note["registry_url"], note["database_url"], "local")
    return None


def held(settings: Settings) -> bool:
    """Whether another process has this data folder: a hub that runs or starts, a backup or a restore."""
    with suppress(OSError), (settings.data_dir / "stack.lock").open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def standing_still(settings: Settings) -> Iterator[None]:
    """Holds a data folder so that no hub runs on it, nor can start, meanwhile.

    Raises: HubError(ALREADY_RUNNING) while one runs.
    """
    with (settings.data_dir / "stack.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HubError("ALREADY_RUNNING", str(settings.data_dir)) from None
        yield


def running_since(settings: Settings) -> float | None:
    """When the servers stood that another process keeps running on this data folder, in seconds since 1970; None if there are none."""
    with suppress(OSError):
        return (settings.data_dir / "stack.json").stat().st_mtime if find(settings) else None
    return None


def _reach(named: Mapping[str, str]) -> None:
    """Asks each server that the settings name; the error says where it should be, never the password."""
    kafka, registry, database = named["kafka_bootstrap"], named["registry_url"], named["database_url"]
    if kafka and not probes.kafka_answers(kafka):
        raise HubError(
            "BROKER_UNAVAILABLE",
            f"HIE_KAFKA_BOOTSTRAP {brokers(kafka)}"
            + (": no broker, or it refuses the login" if read_address(kafka).user else ""),
        )
    if registry and not probes.registry_answers(registry):
        raise HubError("REGISTRY_UNAVAILABLE", f"HIE_REGISTRY_URL {_host(registry)}")
    if database and not probes.postgres_answers(database):
        raise HubError("DATABASE_UNAVAILABLE", f"HIE_DATABASE_URL {_host(database)}")


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]
