"""The hub's own processes: started in order, started again when they die, stopped cleanly.

One process a service, each `hie run NAME`; they share nothing but the data folder, Kafka and PostgreSQL, so any of them
may be killed at any time.
"""

import json
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil

from hub.contract.directory import payers
from hub.contract.errors import HubError
from hub.contract.settings import Settings
from hub.stack.process import Process, Spawner

_BACKOFF_S: Final = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)
_METRICS_BYTES: Final = 256 * 1024  # some 1,000 series of a process, whose labels are bounded; the file outlives it
ANSWER_S: Final = 3.0  # a loaded machine is slow, not broken
_STEADY_S: Final = 60.0  # a service that ran this long starts its back-off anew


def service_names(routing_workers: int = 1, gate_workers: int = 1) -> list[str]:
    """Every service, in the order of starting: who reads comes before who writes, and who only looks is last."""
    routing = [f"routing-{number}" for number in range(1, routing_workers + 1)]
    insurers = [f"insurer-{code}" for code, payer in payers().items() if payer.adjudicated_here]
    return ["journal", "archive", "mailbox", *insurers, *routing, *gate_names(gate_workers), "console"]


def gate_names(workers: int) -> list[str]:
    """The gate, then those that share its ports: `gate`, `gate-2`, …"""
    return ["gate", *(f"gate-{number}" for number in range(2, workers + 1))]


def ready_file(settings: Settings, name: str) -> Path:
    return settings.data_dir / "run" / f"{name}.json"


def say_ready(settings: Settings, name: str, facts: dict[str, object]) -> None:
    """Called by a service that serves: notes its process id and addresses for whoever waits."""
    path = ready_file(settings, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_text(json.dumps({"pid": os.getpid(), **facts}), "utf-8")
    fresh.replace(path)


def facts_of(settings: Settings, name: str) -> dict[str, Any]:
    """What a service said when it was ready; {} when it never was."""
    with suppress(OSError, ValueError):
        return dict(json.loads(ready_file(settings, name).read_text("utf-8")))
    return {}


def answers(settings: Settings, name: str) -> bool | None:
    """Whether a service says at its `/health` that it lives, which one that hangs or was stopped by a signal does not; blocks for
    `ANSWER_S` at most. None where it has told no port for that."""
    port = facts_of(settings, name).get("metrics_port")
    if not port:
        return None
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.metrics_listen, settings.metrics_listen)  # noqa: S104
    with suppress(OSError), socket.create_connection((host, int(port)), ANSWER_S) as link:
        link.sendall(b"GET /health HTTP/1.0\r\n\r\n")
        return bool(link.recv(1))
    return False


def gate_ports(settings: Settings, name: str) -> Settings:
    """The settings with the ports that the other gate processes have, where they leave the choice (port 0)."""
    for other in gate_names(settings.gate_workers):
        facts = facts_of(settings, other)
        if other != name and psutil.pid_exists(int(facts.get("pid", -1))):
            open_ports = [port for port in ("mllp_port", "http_port", "mllps_port", "https_port") if facts.get(port)]
            ports = {port: facts[port] for port in open_ports if not getattr(settings, port)}
            return settings.model_copy(update=ports)
    return settings


def gate_metrics(settings: Settings) -> Path:
    """Where gate processes keep their metrics together, so that each of them can tell those of all."""
    return settings.data_dir / "run" / "metrics"


def room_for_metrics(settings: Settings) -> Path:
    """That folder, with room for the metrics of this process, which has not imported them yet. Raises: HubError(DISK_FULL)."""
    folder = gate_metrics(settings)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for kind in ("counter", "gauge_livesum"):  # the files that prometheus_client maps into memory
            with (folder / f"{kind}_{os.getpid()}.db").open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, _METRICS_BYTES)  # on a full disk a new page of a map would kill the process
    except OSError as full:
        raise HubError("DISK_FULL", str(folder)) from full
    return folder


@dataclass(slots=True)
class _Supervised:
    process: Process
    deaths: int = 0
    started_at: float = 0.0
    again_at: float | None = None


@dataclass
class Services:
    """Keeps services running.

    settings: with all addresses filled in; the services read the same ones from the environment and the data folder.
    say:      gets a line a person understands when something starts, dies or comes back.
    """

    settings: Settings
    names: Sequence[str]
    say: Callable[[str], None]
    _spawner: Spawner = field(default_factory=Spawner)
    _running: dict[str, _Supervised] = field(default_factory=dict)

    def start(self) -> None:
        """Start all and wait until each serves. Raises: HubError(PROCESS_DIED, name); nothing is left running then."""
        self.settings.logs.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(gate_metrics(self.settings), ignore_errors=True)
        gate_metrics(self.settings).mkdir(parents=True)
        for name in self.names:  # of an earlier run: its process ids may be those of others now
            ready_file(self.settings, name).unlink(missing_ok=True)
        try:
            for name in self.names:
                if _is_gate(name) and (before := self._starting_gate()):  # it chooses the ports that this one shares
                    self._running[before].process.wait_ready()
                self._running[name] = _Supervised(self._process(name))
                self._spawn(name)
            for name in self.names:
                self._running[name].process.wait_ready()
        except HubError as dead:
            if dead.where in self._running:
                self.say(f"{dead.where} said last: {self._last_line(dead.where)}")
            self.stop()
            raise
        except BaseException:
            self.stop()
            raise

    def watch(self) -> None:
        """One look: start again what died, later and later if it keeps dying."""
        for name, one in self._running.items():
            clock = time.monotonic()
            if one.process.running():
                if one.deaths and clock - one.started_at > _STEADY_S:
                    one.deaths = 0
            elif one.again_at is None:
                wait_s = _BACKOFF_S[min(one.deaths, len(_BACKOFF_S) - 1)]
                one.deaths += 1
                one.again_at = clock + wait_s
                self.say(
                    f"{name} ended by itself; starting it again{f' in {wait_s:.0f} s' if wait_s else ''} (log: {one.process.log.name})"
                )
            elif clock >= one.again_at and not (_is_gate(name) and self._starting_gate()):
                self._spawn(name)

    def serves(self, name: str) -> bool:
        """Whether a service runs and has said that it is ready."""
        process = self._running[name].process
        return process.running() and process.ready()

    def pid(self, name: str) -> int:
        return self._running[name].process.pid

    def kill(self, name: str) -> None:
        """End one service without a word to it, as a crash would; `watch` starts it again."""
        self._running[name].process.kill()

    def end(self, name: str) -> None:
        """End one service cleanly (SIGTERM); `watch` starts it again."""
        self._running[name].process.stop()

    def stop(self) -> None:
        """End all, the border first, so that nothing is taken that cannot be passed on."""
        self._spawner.close()
        for name in reversed(list(self._running)):
            self._running[name].process.stop()
        self._spawner.end()
        self._running.clear()

    def _last_line(self, name: str) -> str:
        lines = self._running[name].process.last_words().strip().splitlines()
        return lines[-1] if lines else "nothing"

    def _starting_gate(self) -> str:
        """A gate process that runs and does not serve yet; "" if there is none."""
        return next((name for name in self._running if _is_gate(name) and self._starts(name)), "")

    def _starts(self, name: str) -> bool:
        process = self._running[name].process
        return process.running() and not process.ready()

    def _spawn(self, name: str) -> None:
        one = self._running[name]
        ready_file(self.settings, name).unlink(missing_ok=True)
        if _is_gate(name) and one.process.pid:
            for live in gate_metrics(self.settings).glob(f"gauge_live*_{one.process.pid}.db"):
                live.unlink()  # the links it had are gone; what it counted stays
        one.process.spawn()
        one.started_at, one.again_at = time.monotonic(), None

    def _process(self, name: str) -> Process:
        process = Process(
            name=name,
            argv=[sys.executable, "-m", "hub.cli", "run", name],
            log=self.settings.logs / f"{name}.log",
            spawner=self._spawner,
            ready_limit_s=90,
            stop_limit_s=20,
        )
        process.ready = lambda: facts_of(self.settings, name).get("pid") == process.pid
        return process


def _is_gate(name: str) -> bool:
    return name.partition("-")[0] == "gate"


def address(settings: Settings, service: str, port: str) -> tuple[str, int]:
    """Host and port where a service of the running hub listens.

    Raises: HubError(NOT_RUNNING) when it does not run.
    """
    facts = facts_of(settings, service)
    if not facts.get(port):
        raise HubError("NOT_RUNNING", service)
    here = settings.listen in ("0.0.0.0", "::") or (port == "http_port" and settings.tls_certificate is not None)  # noqa: S104
    return "127.0.0.1" if here else settings.listen, int(facts[port])
