"""What a backup says of itself: each file with its checksum and whose it is, and the release that reads it."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from hub.contract.errors import HubError

MANIFEST: Final = "manifest.json"
CHECKSUM: Final = "manifest.sha256"  # of the manifest, so that it cannot be damaged unseen
FORM: Final = 1
_CHUNK_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """One file or folder.

    path:   below the backup's own folder, with `/`; its first part says what it belongs to (`data`, `ledger` …).
    sha256: in hex; "" for a folder.
    mode:   permissions. uid, gid: numbers of the owner, as PostgreSQL's folder may be another user's.
    """

    path: str
    size_bytes: int
    sha256: str
    mode: int
    mtime_ns: int
    uid: int
    gid: int

    @property
    def is_folder(self) -> bool:
        return not self.sha256


@dataclass(frozen=True, slots=True)
class Manifest:
    """migration: number of the newest migration of the database, which says which release can read all of it."""

    made_at: str
    release: str
    migration: str
    entries: tuple[Entry, ...]

    @property
    def parts(self) -> list[str]:
        """What was backed up: `data` always, others that lie elsewhere."""
        return sorted({entry.path.partition("/")[0] for entry in self.entries})

    @property
    def size_bytes(self) -> int:
        return sum(entry.size_bytes for entry in self.entries)

    def write(self, folder: Path) -> None:
        text = json.dumps({"form": FORM, **asdict(self)}, indent=0).encode()
        (folder / MANIFEST).write_bytes(text)
        (folder / CHECKSUM).write_text(f"{hashlib.sha256(text).hexdigest()}  {MANIFEST}\n", "ascii")


def read_manifest(folder: Path) -> Manifest:
    """Raises: HubError(NOT_FOUND) where there is no backup; HubError(BACKUP_DAMAGED); HubError(SETTING_WRONG) for one of a newer form."""
    try:
        text = (folder / MANIFEST).read_bytes()
        told = (folder / CHECKSUM).read_text("ascii").split()[0]
    except FileNotFoundError:
        raise HubError("NOT_FOUND", f"a backup in {folder}") from None
    except (OSError, IndexError, UnicodeDecodeError):
        raise HubError("BACKUP_DAMAGED", f"{folder}/{CHECKSUM}") from None
    if hashlib.sha256(text).hexdigest() != told:
        raise HubError("BACKUP_DAMAGED", f"{folder}/{MANIFEST}")
    table = json.loads(text)
    if table.pop("form") != FORM:
        raise HubError("SETTING_WRONG", f"{folder}: written by a newer release; restore it with that")
    entries = tuple(Entry(**row) for row in table.pop("entries"))
    return Manifest(**table, entries=entries)


def sha256_of(path: Path) -> str:
    """Checksum of a file, in hex, as `sha256sum` prints it."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def copy(source: Path, target: Path) -> tuple[int, str]:
    """Copy the bytes of one file; how many there were, and their checksum, of what was read."""
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as reader, target.open("xb") as writer:
        while chunk := reader.read(_CHUNK_BYTES):
            writer.write(chunk)
            digest.update(chunk)
            size += len(chunk)
    return size, digest.hexdigest()


def damaged(folder: Path, manifest: Manifest) -> Iterator[str]:
    """Paths of what is missing, other than it was, or in a backup without being in its manifest."""
    known = {entry.path for entry in manifest.entries}
    for entry in manifest.entries:
        path = folder / entry.path
        try:
            whole = path.is_dir() if entry.is_folder else path.is_file() and sha256_of(path) == entry.sha256
        except OSError:
            whole = False
        if not whole or path.is_symlink():
            yield entry.path
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name not in known and name not in (MANIFEST, CHECKSUM):
            yield name
