"""`hie bench`: figures, each one JSON line. Rivals are measured in the same run, so that only ratios are claimed."""

import json
import os
import platform
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

from hub.contract.errors import HubError
from hub.contract.places import compiled

Figure = dict[str, Any]

_BY_NAME: Final = frozenset({"trace"})  # half an hour, and 10 GB of disk: only for who asks for it


def figure(name: str, value: float, unit: str, *, peer: str = "", peer_value: float = 0.0, cores: int = 1, **more: Any) -> Figure:
    """One line: what was measured, and beside what.

    cores: how many the measured part could use.
    """
    row: Figure = {"name": name, "value": round(value, 1), "unit": unit, "cores": cores}
    if peer:
        row |= {"peer": peer, "peer_value": round(peer_value, 1), "ratio": round(value / peer_value, 2) if peer_value else None}
    return row | more


def _benches(folder: Path | None) -> dict[str, Callable[[float], Iterator[Figure]]]:
    from hub.bench import delivery, gate, insurer, routing, trace, translate

    rivals = {"translate": partial(translate.bench, folder=folder), "gate": partial(gate.bench, folder=folder)}
    ours = {"routing": routing.bench, "delivery": delivery.bench, "trace": trace.bench, "insurer": insurer.bench}
    return {**rivals, **ours}


def run_benches(names: list[str], seconds: float, folder: Path | None = None) -> None:
    """Run the named benches, or all but `trace`, and print their figures as they come.

    folder: of the rivals on the Java machine, see `peers`; None leaves them out.
    Raises: HubError(NOT_FOUND) for a name that is none.
    """
    known = _benches(folder)
    if folder is not None:
        from hub.bench import peers

        peers.check(folder)
    for name in names:
        if name not in known:
            raise HubError("NOT_FOUND", f"bench {name}; there are {', '.join(known)}")
    machine = {"python": platform.python_version(), "machine": platform.machine(), "cpus": os.cpu_count()}
    print(json.dumps({"name": "machine", **machine}), flush=True)
    for name in names or [one for one in known if one not in _BY_NAME]:
        for row in known[name](seconds):
            print(json.dumps(row | {"compiled": compiled()}), flush=True)
