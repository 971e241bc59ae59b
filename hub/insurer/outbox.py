"""The outbox: the ledger's decisions are what is to be published, a marker says up to where it was.

The marker is a small file a worker, replaced atomically and synced. After a crash everything past it is published again,
from the ledger, with the same ids; a marker that is lost only repeats what was said.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from hub.bus import Out, Producer, Wire, body_out
from hub.insurer.decisions import bodies
from hub.insurer.ledger import Ledger


class Outbox:
    """Publishes decisions of one payer.

    topic: `payer.<code>.decision.v1`.
    name:  of this worker's marker; at the start the markers of all are read, so that their number may change.
    Raises (everywhere): HubError(BROKER_UNAVAILABLE, REGISTRY_UNAVAILABLE); OSError for the marker.
    """

    def __init__(self, ledger: Ledger, wire: Wire, producer: Producer, topic: str, name: str) -> None:
        self._ledger, self._wire, self._producer, self._topic = ledger, wire, producer, topic
        self._folder = ledger.folder / "published"
        self._file = self._folder / f"{name}.json"
        self._published = self._read()

    def catch_up(self, partition: int, page: int) -> int:
        """Publish what the ledger has past the marker, `page` offsets at a time. Returns: how many decisions."""
        count, end = 0, self._ledger.committed(partition)
        while (start := self._published.get(f"{self._ledger.topic_id}/{partition}", 0)) < end:
            stop = min(start + page, end)
            decisions, findings = (self._ledger.rows(name, partition, start, stop) for name in ("decisions", "findings"))
            count += decisions.height
            self.publish(decisions, findings, {partition: stop})
        return count

    def publish(self, decisions: pl.DataFrame, findings: pl.DataFrame, upto: Mapping[int, int]) -> None:
        """Publish these, wait until the brokers hold them, and move the marker."""
        self._producer.publish_blocking(self._records(decisions, findings))
        self._published |= {f"{self._ledger.topic_id}/{partition}": end for partition, end in upto.items()}
        self._write()

    def _records(self, decisions: pl.DataFrame, findings: pl.DataFrame) -> list[Out]:
        prefix, told = self._wire.prefix(self._topic), bodies(decisions, findings)
        return [body_out(self._topic, prefix + body, meta) for meta, body in told]

    def _read(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for path in sorted(self._folder.glob("*.json")):
            for place, offset in json.loads(path.read_text("utf-8")).items():
                found[place] = max(found.get(place, 0), int(offset))
        return found

    def _write(self) -> None:
        remember(self._file, self._published)


def remember(file: Path, told: object) -> None:
    """Put this into a small file as JSON, all of it or nothing, so that it is there after a crash.  Raises: OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(f".{os.getpid()}")
    with fresh.open("w", encoding="utf-8") as writing:
        json.dump(told, writing)
        writing.flush()
        os.fsync(writing.fileno())
    fresh.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
