"""Processes of the local stack: started in their own session, stopped in order, and never outliving the hub."""

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from hub.contract.errors import HubError

ROOM_BYTES_MIN: Final = 256 * 1024 * 1024  # below it a start is refused, and a death is taken for a full disk
READY_LIMIT_S: Final = 600.0  # a server that lives is waited for: on a busy machine a start takes minutes
LOG_BYTES_MAX: Final = 20 * 1024 * 1024
_LAUNCH: Final = Path(__file__).with_name("launch.py")


class Spawner:
    """One thread that starts every process and lives as long as they may.

    The kernel ties a child to the *thread* that made it, so a passing worker thread must not start servers.
    """

    def __init__(self) -> None:
        self._orders: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._closed = False
        self._gate = threading.Lock()  # no order may come in behind the last one, as nobody would answer it
        self._started: list[subprocess.Popen[bytes]] = []
        self._thread = threading.Thread(target=self._work, name="hie-stack-spawner", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while (order := self._orders.get()) is not None:
            order()

    def popen(self, argv: list[str], log: Path, folder: Path) -> "subprocess.Popen[bytes]":
        """Raises: HubError(PROCESS_DIED) once the stack is being stopped; OSError as `subprocess.Popen` does."""
        answer: queue.SimpleQueue[subprocess.Popen[bytes] | BaseException] = queue.SimpleQueue()

        def order() -> None:
            try:
                with log.open("ab") as output:
                    started = subprocess.Popen(
                        argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder, start_new_session=True
                    )
                self._started.append(started)
                answer.put(started)
            except BaseException as reason:
                answer.put(reason)

        with self._gate:
            if self._closed:
                raise HubError("PROCESS_DIED", log.stem)
            self._orders.put(order)
        result = answer.get()
        if isinstance(result, BaseException):
            raise result
        return result

    def close(self) -> None:
        """No process starts after this; those that run stay tied to the hub until `end`."""
        with self._gate:
            self._closed = True

    def end(self) -> None:
        """Lets the thread finish its last orders and go; kills what still runs, such as a preparation that was broken off."""
        self._orders.put(None)
        self._thread.join()
        for started in self._started:
            if started.poll() is None:
                started.kill()
                started.wait()


@dataclass(eq=False)
class Process:
    """A server as a local process.

    argv:        the command, first element an absolute path.
    log:         file that its output is appended to.
    ready:       asks the server itself whether it serves; never raises.
    unavailable: code of the error when it runs but does not get ready within `ready_limit_s`.
    stop_signal: what makes it end cleanly; after `stop_limit_s` it is killed.
    death_signal: what it gets from the kernel (Linux) when the hub is killed.
    after:        called whenever it has been ended.
    owner:       uid and gid to run as, (0, 0) for the hub's own.
    """

    name: str
    argv: list[str] = field(repr=False)
    log: Path
    spawner: Spawner = field(repr=False)
    ready: Callable[[], bool] = field(default=lambda: True, repr=False)
    unavailable: str = "PROCESS_DIED"
    stop_signal: signal.Signals = signal.SIGTERM
    stop_limit_s: float = 15.0
    ready_limit_s: float = READY_LIMIT_S
    death_signal: signal.Signals = signal.SIGKILL
    after: Callable[[], None] = field(default=lambda: None, repr=False)
    owner: tuple[int, int] = (0, 0)
    _popen: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def pid(self) -> int:
        """Process id, 0 when it was never started."""
        return self._popen.pid if self._popen else 0

    def running(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    def spawn(self) -> None:
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES_MAX:
            self.log.replace(self.log.with_suffix(".1.log"))
        uid, gid = self.owner
        tie = [sys.executable, "-I", "-S", str(_LAUNCH), str(os.getpid()), str(int(self.death_signal)), f"{uid}:{gid}"]
        try:
            self._popen = self.spawner.popen([*tie, *self.argv], self.log, self.log.parent)
        except OSError as reason:
            raise self.death(reason) from reason

    def wait_ready(self, watch: Callable[[], None] = lambda: None) -> None:
        """Waits until it serves; `watch` is called meanwhile and may raise.

        Raises: HubError(PROCESS_DIED, DISK_FULL, or its `unavailable` code) with the name of the process.
        """
        deadline = time.monotonic() + self.ready_limit_s
        while not self.ready():
            if not self.running():
                raise self.death()
            watch()
            if time.monotonic() > deadline:
                raise HubError(self.unavailable, never_ready(self.name, self.ready_limit_s, f"{self.log} says what it does"))
            time.sleep(0.05)

    def wait_done(self) -> None:
        """For a process that prepares something and ends. Raises: HubError(PROCESS_DIED) unless it ended well."""
        assert self._popen is not None
        try:
            if self._popen.wait(self.ready_limit_s) == 0:
                return
        except subprocess.TimeoutExpired:
            self.kill()
        raise self.death()

    def death(self, reason: OSError | None = None) -> HubError:
        """Why it is gone: the disk is full, or the log knows."""
        full = "No space left on device"
        if full in (self.last_words() + str(reason)) or shutil.disk_usage(self.log.parent).free < ROOM_BYTES_MIN // 8:
            return HubError("DISK_FULL", str(self.log.parent))
        return HubError("PROCESS_DIED", self.name)

    def last_words(self) -> str:
        with suppress(OSError), self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - 4096))
            return log.read().decode("utf-8", "replace")
        return ""

    def ask_to_stop(self) -> None:
        """Sends the signal that ends it cleanly, without waiting."""
        if self._popen is not None:
            self._popen.send_signal(self.stop_signal)
            self._popen.send_signal(signal.SIGCONT)  # a test may have stopped it

    def stop(self) -> None:
        self._end(self.stop_signal, self.stop_limit_s)

    def kill(self) -> None:
        """As a crash of the machine would: nothing of it is left, nothing was told."""
        self._end(signal.SIGKILL, 30.0)

    def _end(self, how: signal.Signals, limit_s: float) -> None:
        with self._lock:
            if self._popen is None:
                return
            children: list[psutil.Process] = []
            with suppress(psutil.NoSuchProcess):
                children = psutil.Process(self._popen.pid).children(recursive=True)
            self._popen.send_signal(how)
            self._popen.send_signal(signal.SIGCONT)  # a test may have stopped it
            try:
                self._popen.wait(limit_s)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self._popen.wait()
            end_all(children)
            self.after()


def never_ready(name: str, limit_s: float, hint: str) -> str:
    """What an error says of a server that runs and does not serve in time."""
    return f"{name} runs, and is not ready after {limit_s:.0f} s: {hint}; on a busy machine try again"


def end_all(processes: list[psutil.Process], grace_s: float = 2.0) -> None:
    """Waits for the processes to go by themselves, then kills the rest; returns when all are gone."""
    _, left = psutil.wait_procs(processes, timeout=grace_s)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=10)


def remember(path: Path, handles: list[Process]) -> None:
    """Notes which processes belong to a data folder, with their start times, since process ids are used again."""
    rows = []
    for handle in handles:
        with suppress(psutil.NoSuchProcess):
            rows.append([handle.pid, psutil.Process(handle.pid).create_time()])
    path.write_text(json.dumps(rows), encoding="ascii")


def end_remembered(path: Path) -> None:
    """Ends what a hub that was killed left behind (where the kernel does not, or has not yet)."""
    stale = []
    with suppress(OSError, ValueError):
        for pid, created in json.loads(path.read_text(encoding="ascii")):
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(int(pid))
                if abs(process.create_time() - float(created)) < 1.0:
                    stale += [process, *process.children(recursive=True)]
    end_all(stale)
    path.unlink(missing_ok=True)
