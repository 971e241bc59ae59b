"""Every check of `hie doctor`, all at once, each within its time."""

import queue
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from hub.contract.errors import HubError
from hub.contract.settings import Settings
from hub.keep import flow, machine, servers
from hub.keep.finding import Examined, Limits, Seen, State

Check = Callable[[Examined], Seen]
LOCAL: Final[dict[str, Check]] = machine.CHECKS
OF_SERVERS: Final[dict[str, Check]] = {**servers.CHECKS, **flow.CHECKS}
"""These need a hub that runs, or settings that name its servers."""

WITHIN_S: Final = 10.0
_SERVER_OF: Final = {"broker": "BROKER_UNAVAILABLE", "registry": "REGISTRY_UNAVAILABLE", "database": "DATABASE_UNAVAILABLE"}


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found: its name, and as `Seen` tells it."""

    id: str
    state: str
    seen: str
    en: str
    vi: str


def examine(
    settings: Settings, now: datetime, limits: Limits | None = None, within_s: float = WITHIN_S, *, down: bool = False
) -> list[Finding]:
    """Every check's finding, in the order of the tables above; never raises, and takes no longer than `within_s` seconds.

    settings: with the servers' addresses where a hub runs. Where they are empty the checks that need them are unknown, and services
              are bad on a folder that has a hub's data.
    down:     the hub is meant to be down: then that is not bad.
    """
    hub = Examined(settings, limits or Limits(), now)
    connected = bool(settings.kafka and settings.registry_url and settings.database_url.get_secret_value())
    off = Seen(
        "unknown", "no hub runs on this data folder", "Start it with `hie up`, and look again.", "Hãy chạy `hie up` rồi xem lại."
    )
    wanted = LOCAL | (OF_SERVERS if connected else {})
    found = _all(hub, wanted, within_s)
    told = {name: found.get(name, off) for name in (*LOCAL, *OF_SERVERS)}
    if not (connected or down) and (settings.data_dir / "kafka.json").is_file():
        told["services"] = replace(off, state="bad")
    return [Finding(name, one.state, one.seen, one.en, one.vi) for name, one in told.items()]


def sound(findings: Iterable[Finding]) -> bool:
    """Whether nothing has to be mended now."""
    return all(one.state != "bad" for one in findings)


def _all(hub: Examined, checks: dict[str, Check], within_s: float) -> dict[str, Seen]:
    """Threads that end with the process: one that hangs in a server's silence holds up nobody."""
    answers: queue.Queue[tuple[str, Seen]] = queue.Queue()

    def look(name: str, check: Check) -> None:
        answers.put((name, _guarded(name, check, hub)))

    for name, check in checks.items():
        threading.Thread(target=look, args=(name, check), daemon=True).start()
    late = Seen("bad", f"no answer within {within_s:.0f} s", "Look again; if it stays so, the machine or that server is overloaded.",
                "Hãy xem lại; nếu vẫn vậy thì máy hoặc máy chủ đó đang quá tải.")  # fmt: skip
    found: dict[str, Seen] = {}
    deadline = time.monotonic() + within_s
    while len(found) < len(checks):
        try:
            name, seen = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        found[name] = seen
    return {name: found.get(name, late) for name in checks}


def _guarded(name: str, check: Check, hub: Examined) -> Seen:
    """A server that does not answer is bad by its own check, and leaves unknown what else would be asked of it."""
    try:
        return check(hub)
    except HubError as wrong:
        state: State = "bad" if wrong.code == _SERVER_OF.get(name) or wrong.code not in _SERVER_OF.values() else "unknown"
        return Seen(state, f"{wrong.code} {wrong.where}".strip(), wrong.row.en, wrong.row.vi)
    except Exception as broken:  # a check that fails is no reason not to hear the others; its text may hold a value
        return Seen("bad", f"the check itself failed ({type(broken).__name__})")
