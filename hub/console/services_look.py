"""Which of the hub's own services live, and how much room the disk has; from ready files and the process table of this machine."""

import os
import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from hub.contract.settings import Settings
from hub.services import answers, facts_of, service_names

_CONNECT_S: Final = 1.0
_AT_ONCE: Final = 16  # services that are asked beside each other


@dataclass(frozen=True, slots=True)
class ServiceNow:
    """alive: its process runs on this machine.  addresses: the ports that it listens on.  answers: false for one that runs and hangs."""

    alive: bool
    addresses: str
    answers: bool = True

    @property
    def well(self) -> bool:
        return self.alive and self.answers


def services_now(settings: Settings) -> dict[str, ServiceNow]:
    """Service to what is known of it; {} where none was started on this data folder. Blocks for seconds while one hangs."""
    seen = {path.stem for path in (settings.data_dir / "run").glob("*.json")}
    if not seen:
        return {}
    names = sorted(seen | set(service_names(gate_workers=settings.gate_workers)))
    with ThreadPoolExecutor(_AT_ONCE) as asked:
        return dict(zip(names, asked.map(lambda name: _one(settings, name), names), strict=True))


def _one(settings: Settings, name: str) -> ServiceNow:
    facts = facts_of(settings, name)
    ports = ", ".join(f"{part.removesuffix('_port')} {facts[part]}" for part in sorted(facts) if part.endswith("_port"))
    alive = _alive(int(facts.get("pid", 0)))
    return ServiceNow(alive, ports, answers=not alive or answers(settings, name) is not False)


def _alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's, so it lives
        return True
    return True


def disk_free(folder: Path) -> int:
    """Free bytes where the data are; 0 where the folder is not there."""
    return shutil.disk_usage(folder).free if folder.is_dir() else 0


def listens(url: str) -> bool:
    """Whether somebody listens at an address; blocks for a second at most."""
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)), _CONNECT_S):
            return True
    except OSError:
        return False
