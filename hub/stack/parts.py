"""The pinned parts of the local stack: fetched once with jgo, checked against `versions.toml`, kept in the cache folder.

Files arrive in a folder of this run and move to their place only when their checksum is right, so whatever stands in
its place is whole; a run that was cut off goes on with the files that are missing.
"""

import errno
import fcntl
import hashlib
import shutil
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import requests
from jgo.config import GlobalSettings
from jgo.maven import MavenContext, PythonResolver

from hub.contract.errors import HubError
from hub.stack.specification import versions

Say = Callable[[str], None]
TRIES: Final = 3
TIMEOUT_S: Final = 30
STREAMS: Final = 6
_T = TypeVar("_T")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class Part:
    """One pinned file of a Maven repository."""

    group: str
    artifact: str
    version: str
    size_bytes: int
    sha256: str
    classifier: str = ""
    packaging: str = "jar"

    @property
    def filename(self) -> str:
        return f"{self.artifact}-{self.version}.{self.packaging}"


@dataclass(frozen=True, slots=True)
class Parts:
    """What the servers are started from: Kafka's class path, and the folder that the registry was unpacked into."""

    kafka: tuple[Path, ...]
    registry: Path


def provide(cache: Path, say: Say) -> Parts:
    """Every part, whole, in the cache folder; what is missing or damaged is fetched.

    Raises: HubError(FETCH_FAILED, CHECKSUM_WRONG) with the file's name, HubError(DISK_FULL) with the folder.
    """
    table = versions()
    jars = [Part(*row) for row in table["kafka"]["jars"]]
    registry = Part(**table["registry"])
    home = cache / "parts"
    unpacked = home / f"{registry.artifact}-{registry.version}"
    try:
        home.mkdir(parents=True, exist_ok=True)
        with _only_one(cache / "fetch.lock", say):
            missing = [
                jar
                for jar, ok in zip(jars, _map(lambda jar: _whole(home / jar.filename, jar.sha256), jars), strict=True)
                if not ok
            ]
            if not _unpacked_whole(unpacked):
                missing.append(registry)
            if missing:
                _fetch(missing, cache, home, say)
            if registry in missing:
                _unpack(home / registry.filename, unpacked)
    except OSError as wrong:
        raise _room_or_fetch(wrong, cache) from wrong
    return Parts(tuple(home / jar.filename for jar in jars), unpacked)


def _room_or_fetch(wrong: OSError, cache: Path) -> HubError:
    if wrong.errno in (errno.ENOSPC, errno.EDQUOT):
        return HubError("DISK_FULL", str(cache))
    return HubError("FETCH_FAILED", f"{cache}: {wrong.strerror or type(wrong).__name__}")


@contextmanager
def _only_one(path: Path, say: Say) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another hub is looking after the cache folder; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _map(do: Callable[[_T], _R], things: list[_T]) -> list[_R]:
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(do, things))


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _whole(path: Path, sha256: str) -> bool:
    return path.is_file() and _sha256(path) == sha256


class _Progress:
    """Counts bytes of all streams together, says so now and then, and breaks the streams off when told to."""

    def __init__(self, total_bytes: int, say: Say) -> None:
        self.total_bytes, self.say = total_bytes, say
        self.done_bytes, self.said_at, self.cancelled = 0, 0.0, False
        self._told = ""
        self._lock = threading.Lock()

    @contextmanager
    def of_file(self, _name: str, _size_bytes: int) -> Iterator[Callable[[int], None]]:
        yield self.add

    def add(self, count: int) -> None:
        if self.cancelled:
            raise InterruptedError
        with self._lock:
            self.done_bytes += count
            if time.monotonic() - self.said_at < 1.0:
                return
            self.said_at = time.monotonic()
        self.tell()

    def tell(self) -> None:
        line = f"fetching Kafka and the registry: {self.done_bytes / 1e6:.0f} of {self.total_bytes / 1e6:.0f} MB"
        if line != self._told:
            self._told = line
            self.say(line)


def room_bytes(folder: Path) -> int:
    """Bytes that are free on the disk of this folder."""
    return shutil.disk_usage(folder).free


def _fetch(missing: list[Part], cache: Path, home: Path, say: Say) -> None:
    total = sum(part.size_bytes for part in missing)
    for old in cache.glob("fetching-*"):  # of a run that was killed: we hold the lock, so nobody uses it
        shutil.rmtree(old, ignore_errors=True)
    if room_bytes(cache) < 2 * total:
        raise HubError("DISK_FULL", f"{cache}: {2 * total // 1_000_000} MB needed")
    progress = _Progress(total, say)
    progress.tell()
    with tempfile.TemporaryDirectory(prefix="fetching-", dir=cache) as desk, ThreadPoolExecutor(STREAMS) as pool:
        largest_first = sorted(missing, key=lambda part: -part.size_bytes)
        jobs = [pool.submit(_fetch_one, part, Path(desk), home, progress) for part in largest_first]
        try:
            for job in as_completed(jobs):
                job.result()
        except BaseException:
            progress.cancelled = True
            pool.shutdown(cancel_futures=True)
            raise
    progress.tell()


def _fetch_one(part: Part, desk: Path, home: Path, progress: _Progress) -> None:
    """A repository may be named in jgo's own configuration file; else jgo knows the public one."""
    named = GlobalSettings.load().repositories
    maven = MavenContext(
        PythonResolver(progress_callback=progress.of_file), repo_cache=desk, remote_repos=named or None, timeout=TIMEOUT_S
    )
    artifact = maven.project(part.group, part.artifact).at_version(part.version).artifact(part.classifier, part.packaging)
    code = "FETCH_FAILED"
    for _ in range(TRIES):
        before = progress.done_bytes
        try:
            fetched = artifact.resolve()
            if _sha256(fetched) == part.sha256:
                fetched.replace(home / part.filename)
                return
            code = "CHECKSUM_WRONG"
        except InterruptedError:
            raise
        except (requests.RequestException, RuntimeError):
            code = "FETCH_FAILED"
        if artifact.cached_path is not None:
            artifact.cached_path.unlink(missing_ok=True)
        progress.done_bytes = min(progress.done_bytes, before)
    raise HubError(code, part.filename)


def _unpack(archive: Path, place: Path) -> None:
    """Unpacks beside its place and moves; the archive goes, and a list of checksums stands in for it."""
    fresh = place.with_name(place.name + ".fresh")
    shutil.rmtree(fresh, ignore_errors=True)
    with tarfile.open(archive) as tar:
        # An attribute, as the argument `filter` came with Python 3.11.4: Debian 12 has 3.11.2.
        tar.extraction_filter = getattr(tarfile, "data_filter", None)
        tar.extractall(fresh)  # noqa: S202 (its checksum is pinned)
    files = sorted(path for path in fresh.rglob("*") if path.is_file())
    sums = _map(_sha256, files)
    lines = [f"{digest}  {path.relative_to(fresh)}\n" for path, digest in zip(files, sums, strict=True)]
    (fresh / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")
    shutil.rmtree(place, ignore_errors=True)
    fresh.rename(place)
    archive.unlink()


def _unpacked_whole(place: Path) -> bool:
    try:
        rows = [line.split("  ", 1) for line in (place / "SHA256SUMS").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return False
    return bool(rows) and all(_map(lambda row: _whole(place / row[1], row[0]), rows))
