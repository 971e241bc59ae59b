"""The content-addressed store of raw messages too large for a Kafka record: one file a message, named by its hash."""

import hashlib
import itertools
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from hub.contract.errors import HubError

_CHUNK_BYTES: Final = 1024 * 1024
_STALE_S: Final = 86_400  # a spool that nobody has written to for a day belongs to a process that died
_numbers: Final = itertools.count(1)


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
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh.touch(mode=0o600)  # patients' messages: of the hub's user alone, from the first moment
            with fresh.open("wb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            _name(fresh, path)
        except OSError as full:
            with suppress(OSError):
                fresh.unlink(missing_ok=True)
            raise HubError("DISK_FULL", "raw store") from full
        return name

    def spool(self) -> "Spool":
        """A file for bytes that are still coming. Raises: HubError(DISK_FULL)."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for old in self._folder.glob("*.part"):
                with suppress(OSError):
                    if old.stat().st_mtime < time.time() - _STALE_S:
                        old.unlink()
            return Spool(self._folder / f"{os.getpid()}-{next(_numbers)}.part")
        except OSError as full:
            raise HubError("DISK_FULL", "raw store") from full

    @property
    def folder(self) -> Path:
        """Where the files are; on its disk there is room for a large message and what is made of it."""
        return self._folder

    def path(self, reference: str) -> Path:
        """The file itself, for what is too large to hold. Raises: HubError(NOT_FOUND), as `get`."""
        path = self._folder / reference
        digest = hashlib.blake2b(digest_size=32)
        try:
            for chunk in chunks(path):
                digest.update(chunk)
        except OSError as gone:
            raise HubError("NOT_FOUND", "raw store") from gone
        if digest.hexdigest() != reference:
            raise HubError("NOT_FOUND", "raw store: damaged")
        return path

    def get(self, reference: str) -> bytes:
        """The bytes. Raises: HubError(NOT_FOUND) when they are gone or are not the ones that were put."""
        try:
            raw = (self._folder / reference).read_bytes()
        except OSError as gone:
            raise HubError("NOT_FOUND", "raw store") from gone
        if raw_hash(raw) != reference:
            raise HubError("NOT_FOUND", "raw store: damaged")
        return raw


class Spool:
    """A message on its way into the store; whoever opens it ends it with `keep` or `discard`, once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch(mode=0o600, exist_ok=False)
        self._file = path.open("wb", buffering=_CHUNK_BYTES)
        self._digest = hashlib.blake2b(digest_size=32)
        self.size = 0

    def write(self, data: bytes) -> None:
        """Raises: HubError(DISK_FULL)."""
        try:
            self._file.write(data)
        except OSError as full:
            raise HubError("DISK_FULL", "raw store") from full
        self._digest.update(data)
        self.size += len(data)

    def keep(self) -> str:
        """Into the store, where it would survive a power cut. Returns: the reference. Raises: HubError(DISK_FULL)."""
        reference = self._digest.hexdigest()
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            _name(self._path, self._path.with_name(reference))
        except OSError as full:
            self.discard()
            raise HubError("DISK_FULL", "raw store") from full
        return reference

    def discard(self) -> None:
        """Forget it; nothing happens to one that is kept."""
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


def chunks(path: Path) -> Iterator[bytes]:
    """The bytes of a file, a mebibyte at a time."""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def _name(fresh: Path, path: Path) -> None:
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
