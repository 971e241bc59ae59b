"""The content-addressed store of raw messages too large for a Kafka record: one file a message, named by its hash."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from hub.contract.errors import HubError


def raw_hash(raw: bytes) -> str:
    """BLAKE2b-256 in hex."""
    return hashlib.blake2b(raw, digest_size=32).hexdigest()


class RawStore:
    """A folder; safe to share between threads and processes, for whoever writes the same name writes the same bytes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, raw: bytes, name: str) -> str:
        """Keep the bytes; on return they would survive a power cut.

        name:    their `raw_hash`.
        Returns: the reference, for `get`.
        Raises:  HubError(DISK_FULL) when they cannot be written.
        """
        path = self._folder / name
        if path.exists():
            return name
        fresh = path.with_suffix(f".{os.getpid()}-{id(raw)}")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with fresh.open("wb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as full:
            with suppress(OSError):
                fresh.unlink(missing_ok=True)
            raise HubError("DISK_FULL", "raw store") from full
        return name

    def get(self, reference: str) -> bytes:
        """The bytes. Raises: HubError(NOT_FOUND) when they are gone or are not the ones that were put."""
        try:
            raw = (self._folder / reference).read_bytes()
        except OSError as gone:
            raise HubError("NOT_FOUND", "raw store") from gone
        if raw_hash(raw) != reference:
            raise HubError("NOT_FOUND", "raw store: damaged")
        return raw
