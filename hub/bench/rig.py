"""A hub to measure: servers and chosen services of its own, in a folder that is thrown away, on free ports; and work in a process
of its own, whose memory is its own."""

import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from hub import stack
from hub.cli.running import hand_down, key_secret, prepare, started
from hub.contract import telemetry
from hub.contract.settings import Settings, read_settings
from hub.services import Services

_PORTS = ("kafka_port", "registry_port", "database_port", "mllp_port", "http_port", "inbox_port")


@dataclass(frozen=True, slots=True)
class Rig:
    """settings: with all addresses. services: those that run, more can be started."""

    settings: Settings
    services: Services

    def cpu_s(self, name: str) -> float:
        """CPU seconds that a service has used, user and system."""
        used = psutil.Process(self.services.pid(name)).cpu_times()
        return float(used.user + used.system)


@contextmanager
def rig(names: Sequence[str], **changes: object) -> Iterator[Rig]:
    """Servers with topics and tables, and the services of those names not yet started (`rig.services.start()`).

    changes: settings other than the defaults.
    """
    with tempfile.TemporaryDirectory(prefix="hie-bench-", ignore_cleanup_errors=True) as folder:
        settings = read_settings(data_dir=Path(folder), **dict.fromkeys(_PORTS, 0), **changes)
        with stack.start(settings, lambda _line: None) as servers:
            key_secret(settings)
            here = started(settings, servers)
            hand_down(settings)
            prepare(here, lambda _line: None)
            services = Services(here, names, lambda _line: None)
            try:
                yield Rig(here, services)
            finally:
                services.stop()


def apart(name: str, work: Callable[..., Any], *each: tuple[Any, ...]) -> tuple[list[Any], dict[str, float]]:
    """The results of some calls at once, each in a new process; the seconds and the MB of the one that had most."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(each), spawn, max_tasks_per_child=1) as pool:
        measured = list(pool.map(_measured, [work] * len(each), each))
    found, seconds, peaks = zip(*measured, strict=True)
    figures = {"seconds": round(max(seconds), 2), "peak_mb": max(peaks)}
    print(f"{name}: {figures['seconds']} s, {figures['peak_mb']:,} MB", file=sys.stderr, flush=True)
    return list(found), figures


def _measured(work: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, float, int]:
    telemetry.configure("error")
    began = time.perf_counter()
    found = work(*arguments)
    return found, time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
