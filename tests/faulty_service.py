"""One service of the hub in which the first publishing fails, and with it the batch: `python -m tests.faulty_service NAME MARKER`.

The fault is an exception that no code of ours expects; the marker file is what makes it happen only once, however often the service starts.
"""

import sys
from pathlib import Path
from typing import Any

from hub import bus
from hub.cli.running import connected
from hub.cli.service import run_service
from hub.contract.settings import read_settings


def install(marker: Path) -> None:
    send = bus.Producer.send

    def faulty(self: bus.Producer, records: Any, done: Any) -> None:
        if records and not marker.exists():
            marker.touch()
            raise RuntimeError("a fault that nobody expects")
        send(self, records, done)

    bus.Producer.send = faulty  # type: ignore[method-assign]


if __name__ == "__main__":
    install(Path(sys.argv[2]))
    run_service(sys.argv[1], connected(read_settings()))
