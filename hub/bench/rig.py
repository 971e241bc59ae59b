"""A hub to measure: servers and chosen services of its own, in a folder that is thrown away, on free ports."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from hub import stack
from hub.cli.running import hand_down, key_secret, prepare, started
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
