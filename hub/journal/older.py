"""Messages that topics do not hold any more, for replays."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hub.journal.archive import Archive


class Older:
    """The archive as `adapters.inbound.kept` reads it: by topic as it is now, looked at anew each time.

    What reads the table (deltalake, duckdb, polars) is loaded when it is asked for the first time: a gate that replays nothing
    does without.
    """

    def __init__(self, folder: Path, ids: Callable[[], Mapping[str, str]]) -> None:
        self._folder, self._ids = folder, ids

    def values(self, topic: str, partition: int, since: datetime | None) -> tuple[Iterator[bytes], int]:
        """The values, by offset, of what was written from a time on, what Kafka lost among them; and the offset behind the last one."""
        archive = self._open()
        if archive is None:
            return iter(()), 0
        topic_id = self._ids()[topic]
        pages = archive.records(topic, topic_id, partition, since=since, lost=True)
        return (one.value() or b"" for page in pages for one in page), archive.next_offset(topic_id, partition)

    def value(self, topic: str, partition: int, offset: int) -> bytes | None:
        """One value; None when it is not there."""
        archive = self._open()
        found = archive.at(topic, self._ids()[topic], partition, offset) if archive is not None else None
        return None if found is None else found.value() or b""

    def _open(self) -> "Archive | None":
        from hub.journal.archive import Archive

        return Archive.open(self._folder)
