"""One routing worker as a process of its own: `python -m tests.hub.routing.worker GROUP READY_FILE [FAULT_MARKER]`.

With a marker, publishing fails once in the middle of a batch, in a way that no code of ours expects.
"""

import os
import sys
from pathlib import Path
from typing import Any

from hub import bus
from hub.contract.directory import use_directory
from hub.contract.settings import read_settings
from hub.routing.app import run

AFTER = 2  # publishes


def fail_once(marker: Path) -> None:
    publish, done = bus.Producer.publish, 0

    async def faulty(self: bus.Producer, records: Any) -> None:
        nonlocal done
        done += len(records) > 0
        if done > AFTER and not marker.exists():  # noqa: ASYNC240  # a test may block
            marker.touch()  # noqa: ASYNC240
            raise RuntimeError("a fault that nobody expects")
        await publish(self, records)

    bus.Producer.publish = faulty  # type: ignore[method-assign]


if __name__ == "__main__":
    group, ready_file = sys.argv[1], Path(sys.argv[2])
    if len(sys.argv) > 3:
        fail_once(Path(sys.argv[3]))
    settings = read_settings()
    use_directory(settings.directory_dir)
    run(settings, lambda _facts: ready_file.write_text(str(os.getpid())), group)
