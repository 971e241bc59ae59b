"""An insurer in a process of its own that can be told where to die: `python -m tests.hub.insurer.worker JSON`.

JSON: payer, topic, ledger, batch, upto (stop when so many offsets are in the ledger), die_after (appends to tables, of any
kind, before it kills itself) or die_in (`publish`: decisions are out, the marker is not); tells (say when it opens).
"""

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

from hub.contract.settings import read_settings
from hub.insurer import ledger, outbox
from hub.insurer.consumer import Insurer

DIED = 77


def main(told: dict[str, Any]) -> None:
    settings = read_settings(ledger_dir=Path(told["ledger"]), insurer_batch=told["batch"])
    written = 0
    write = ledger.write_deltalake

    def counted(*args: Any, **more: Any) -> None:
        nonlocal written
        write(*args, **more)
        written += 1
        if written == told.get("die_after"):
            os._exit(DIED)

    ledger.write_deltalake = counted
    if told.get("die_in") == "publish":
        outbox.Outbox._write = lambda _self: os._exit(DIED)  # type: ignore[method-assign]
    insurer = Insurer(settings, told["payer"], threading.Event(), topic=told["topic"])
    if told.get("tells"):
        print("opening", flush=True)
    insurer.open()
    while sum(insurer._ledger.committed(partition) for partition in insurer._memory) < told["upto"]:
        insurer.step()
    insurer.close()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
