"""The drop folder: files in, `.ack` files back. For senders that can write a file and nothing else.

`HIE_DROP_DIR` has a sub-folder for each sender, named after its credential; on a hub without credentials it is itself the folder
of `local`. In it:

    result.hl7         what the sender writes; under a name that begins with `.` or ends in `.tmp` or `.part` it is not looked at
    .taking/           what is under way, with the time it was taken in front of its name
    done/, refused/    where it ends, with `result.hl7.ack` beside it

A file is taken once it has not changed for `drop_settle_s`, by a rename, under a lock that the system lets go when the process
dies: several processes share a folder, and what one of them left is taken up by the next, under the time it was taken first, so
that its message and events have the same ids. It leaves `.taking` when the brokers hold everything and its `.ack` is written.
"""

import asyncio
import errno
import fcntl
import hashlib
import os
import stat
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Final

import orjson

from adapters.formats.claim_xml import looks_like_envelope
from adapters.formats.mllp import Junk
from adapters.inbound.answers import answer_view, answered
from adapters.inbound.gate import Gate
from adapters.inbound.received import Received, Translation, parts
from adapters.inbound.translate import too_many, unframed
from hub.access.credentials import Credential, Credentials
from hub.access.quota import Quotas
from hub.contract import telemetry
from hub.contract.errors import ERRORS, HubError, Problem, Severity
from hub.contract.settings import Settings

_UNDER_WAY: Final = ".taking"
_NOT_YET: Final = (".tmp", ".part", ".ack")
_LISTED_MAX: Final = 10_000  # files of one folder seen in one look
_ROUND_MAX: Final = 100  # files of one folder taken before it is looked at again
_AGAIN_S: Final = 2.0  # after a file that could not be finished; twice as long after each further one,
_AGAIN_MOST_S: Final = 30.0  # up to this
_TRIES_IN_ORDER: Final = 3  # of a file, before those behind it are tried too: it may be the only one that fails
_NOT_THE_FILES: Final = frozenset({"BROKER_UNAVAILABLE", "BROKER_LIMIT", "REGISTRY_UNAVAILABLE", "DISK_FULL"})
_ASIDE_MAX: Final = 3  # files that fail one after the other and are passed; after more it is not the files
_NAME_BYTES_MAX: Final = 200  # longer names are replaced by their hash, so that what is put around them fits
_PIECE_BYTES: Final = 1024 * 1024
_KEPT_BYTES: Final = 64 * 1024  # of a file that is too large, in the record; the file itself is kept whole
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TICK: Final = timedelta(microseconds=1)


@dataclass(slots=True)
class Taken:
    """A file in `.taking`, locked by this process. name: the one it came under; at: when it was taken first."""

    path: Path
    name: str
    at: datetime
    descriptor: int

    def read(self, limit: int) -> tuple[bytes, int]:
        """Its bytes, only the beginning of a file over the limit, and its size. Raises: OSError."""
        size = os.fstat(self.descriptor).st_size
        left = limit + 1 if size <= limit else min(limit, _KEPT_BYTES)
        chunks: list[bytes] = []
        while left and (chunk := os.pread(self.descriptor, min(left, _PIECE_BYTES), sum(map(len, chunks)))):
            chunks.append(chunk)
            left -= len(chunk)
        raw = b"".join(chunks)
        return raw, max(size, len(raw))

    async def pieces(self) -> AsyncIterator[bytes]:
        """All of it, piece by piece. Raises: OSError."""
        at = 0
        while piece := await asyncio.to_thread(os.pread, self.descriptor, _PIECE_BYTES, at):
            yield piece
            at += len(piece)

    def release(self) -> None:
        os.close(self.descriptor)


@dataclass(slots=True)
class Inbox:
    """One sender's folder: everything that touches the disk. Blocks; used by one thread at a time."""

    folder: Path
    sender: Credential
    settle_s: float
    not_before: float = 0.0
    failures: int = 0  # one after the other
    _tries: dict[str, int] = field(default_factory=dict)  # of files in `.taking` that failed
    _aside: dict[str, float] = field(default_factory=dict)  # until when such a file is left alone
    _seen: dict[str, tuple[tuple[int, int, int], float]] = field(default_factory=dict)
    _told: set[tuple[str, int]] = field(default_factory=set)

    def put_off(self, at: float) -> None:
        """Leave the folder alone for a while: what it holds may be large, and the brokers or the disk are not there now."""
        self.not_before = at + _pause_s(self.failures)
        self.failures += 1
        self._aside.clear()  # then it is not the files, and their order counts

    def passed(self, taken: Taken, at: float) -> bool:
        """One more failure of a file. Returns: whether it is left alone for a while, and those behind it go on."""
        name = taken.path.name
        tries = self._tries[name] = self._tries.get(name, 0) + 1
        if tries < _TRIES_IN_ORDER:
            return False
        self._aside[name] = at + _pause_s(tries)
        return True

    def look(self, at: float) -> tuple[list[str], list[str]]:
        """What is to be done, oldest first: files left in `.taking`, and new files that have settled. Raises: OSError."""
        for name in (_UNDER_WAY, "done", "refused"):
            place = self.folder / name
            place.mkdir(exist_ok=True)
            if place.is_symlink():  # a sender could have the hub write anywhere
                raise NotADirectoryError(errno.ENOTDIR, name)
        left = sorted(entry.name for entry in _entries(self.folder / _UNDER_WAY, lambda one: not one.name.endswith(".ack")))
        self._tries = {name: tries for name, tries in self._tries.items() if name in left}
        self._aside = {name: until for name, until in self._aside.items() if name in left and until > at}
        seen, settled = {}, []
        for entry in _entries(self.folder, _is_finished):
            name = entry.name
            with suppress(FileNotFoundError):  # another process took it
                status = entry.stat(follow_symlinks=False)
                now = (status.st_ino, status.st_size, status.st_mtime_ns)
                before, since = self._seen.get(name, (now, at))
                seen[name] = (now, since if before == now else at)
                if at - seen[name][1] >= self.settle_s:
                    settled.append((status.st_mtime_ns, name))
        self._seen = seen
        self._told = {(name, number) for name, number in self._told if name in seen and seen[name][0][0] == number}
        return [name for name in left if name not in self._aside], [name for _, name in sorted(settled)]

    def take(self, name: str, at: datetime) -> Taken | None:
        """A new file; None when it is not to be had: another process has it, its writer has it locked, it cannot be read."""
        path = self.folder / name
        try:
            status = path.lstat()
            if not stat.S_ISREG(status.st_mode):
                self._refuse(path)
                return None
            descriptor = _locked(path)
        except OSError as wrong:
            self._tell(name, wrong)
            return None
        if descriptor is None:
            return None
        micros = (at - _EPOCH) // _TICK
        target = self.folder / _UNDER_WAY / f"{micros:016d}-{_short(name)}"
        try:
            path.rename(target)
        except OSError as wrong:
            os.close(descriptor)
            self._tell(name, wrong)
            return None
        if not _is_same(target, descriptor):  # its writer put another in its place just now: that one is taken up as it is
            os.close(descriptor)
            return None
        return Taken(target, _short(name), at, descriptor)

    def take_up(self, name: str) -> Taken | None:
        """A file that was left in `.taking`; None when another process works on it."""
        path = self.folder / _UNDER_WAY / name
        micros, _, rest = name.partition("-")
        if not rest or not micros.isdecimal() or len(micros) != 16:
            return None  # none of ours
        try:
            descriptor = _locked(path)
        except OSError as wrong:
            self._tell(name, wrong)
            return None
        return None if descriptor is None else Taken(path, rest, _EPOCH + int(micros) * _TICK, descriptor)

    def finish(self, taken: Taken, where: str, ack: bytes) -> None:
        """Move a file to `done` or `refused` with its `.ack`, whatever an earlier try left there. Raises: OSError."""
        beside = taken.path.with_name(taken.path.name + ".ack")
        _write(beside, ack)
        place = _placed(taken.path, [self.folder / where / name for name in (taken.name, taken.path.name)])
        beside.replace(place.with_name(place.name + ".ack"))
        taken.path.unlink(missing_ok=True)

    def _refuse(self, path: Path) -> None:
        """A link, pipe or device: moved as it is, never opened."""
        place = self.folder / "refused" / f"{time.time_ns() // 1000:016d}-{_short(path.name)}"
        path.rename(place)
        row = ERRORS["FILE_NOT_PLAIN"]
        _write(place.with_name(place.name + ".ack"), orjson.dumps({"code": row.code, "text": row.en, "text_vi": row.vi}))
        telemetry.fault("folder", row.code, self.sender.name)

    def _tell(self, name: str, wrong: OSError) -> None:
        """Once for each file: names may hold a patient's, so only the sender is told of."""
        mark = (name, self._seen[name][0][0] if name in self._seen else 0)
        if not isinstance(wrong, FileNotFoundError) and mark not in self._told:
            self._told.add(mark)
            telemetry.fault("folder", _code(wrong), self.sender.name)


class DropFolder:
    """Watches the folders of all senders. One for each process; several processes may share the folders."""

    def __init__(self, settings: Settings, gate: Gate, credentials: Credentials, quotas: Quotas) -> None:
        self._settings, self._gate, self._credentials, self._quotas = settings, gate, credentials, quotas
        self._known: set[str] = set()  # folders that are tended,
        self._strange: set[str] = set()  # and those of nobody, which were told of
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Watch. Raises: HubError(SETTING_WRONG) when there is no such folder."""
        root = self._settings.drop_dir
        if root is None or not await asyncio.to_thread(root.is_dir):
            raise HubError("SETTING_WRONG", "HIE_DROP_DIR is no folder")
        self._tasks.append(asyncio.get_running_loop().create_task(self._watch()))

    async def stop(self, limit_s: float) -> None:
        """Finish the files under way within the limit; what is left is taken up at the next start."""
        self._stopping.set()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=limit_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _watch(self) -> None:
        """Tend each folder that there is, in a task of its own: a sender with much to take holds up no other."""
        while not self._stopping.is_set():
            try:
                for inbox in await asyncio.to_thread(self._find):
                    self._tasks.append(asyncio.get_running_loop().create_task(self._tend(inbox)))
            except OSError as wrong:
                telemetry.fault("folder", _code(wrong), "HIE_DROP_DIR")
            await self._pause()

    async def _tend(self, inbox: Inbox) -> None:
        while not self._stopping.is_set():
            sender = self._credentials.of_name(inbox.sender.name)
            if sender is None:  # since the credentials changed
                self._known.discard(inbox.sender.name)
                return
            inbox.sender = sender
            await self._serve(inbox)
            await self._pause()

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), min(1.0, self._settings.drop_settle_s / 2))

    def _find(self) -> list[Inbox]:
        """The folders that nobody tends yet. One that is named after no credential is told of once and left alone."""
        root = self._settings.drop_dir
        assert root is not None
        local = self._credentials.without_file
        names = [path.name for path in root.iterdir() if not path.name.startswith(".") and path.is_dir()]
        found = []
        for name in [""] if local else names:
            if name in self._known:
                continue
            sender = self._credentials.of_name(name or "local")
            if sender is None and name not in self._strange:
                self._strange.add(name)
                telemetry.fault("folder", "CREDENTIAL_WRONG", "HIE_DROP_DIR")
            elif sender is not None:
                self._strange.discard(name)
                self._known.add(name)
                found.append(Inbox(root / name, sender, self._settings.drop_settle_s))
        return found

    async def _serve(self, inbox: Inbox) -> None:
        """Some files of one sender, one after the other, so that their order is kept; one that keeps failing alone is passed."""
        loop = asyncio.get_running_loop()
        if loop.time() < inbox.not_before:
            return
        failed = 0  # one after the other, in this round
        try:
            left, new = await asyncio.to_thread(inbox.look, loop.time())
            for taken_before, name in islice([*((True, name) for name in left), *((False, name) for name in new)], _ROUND_MAX):
                quota = self._quotas.of(inbox.sender, loop.time())
                if self._stopping.is_set() or (quota is not None and quota.wait_s(loop.time())):
                    return
                at = self._gate.clock()
                taken = (
                    await asyncio.to_thread(inbox.take_up, name)
                    if taken_before
                    else await asyncio.to_thread(inbox.take, name, at)
                )
                if taken is not None:
                    try:
                        await self._handle(inbox, taken)
                        inbox.failures = failed = 0
                    except Exception as wrong:
                        if _why(wrong) in _NOT_THE_FILES or not inbox.passed(taken, loop.time()) or failed == _ASIDE_MAX:
                            raise
                        failed += 1
                        _tell(inbox.sender, wrong)
                    finally:
                        taken.release()
        except Exception as wrong:
            inbox.put_off(loop.time())
            _tell(inbox.sender, wrong)

    async def _handle(self, inbox: Inbox, taken: Taken) -> None:
        """One file, to its end. Raises: HubError when the brokers do not hold all of it, OSError from the disk."""
        raw, size = await asyncio.to_thread(taken.read, self._settings.message_bytes_max)
        received = Received(raw, taken.at, "folder", *_who(inbox.sender))
        whole = size <= self._settings.message_bytes_max
        header, done = await self._accept(received) if whole else ("", [await self._accept_large(received, taken, size)])
        if (quota := self._quotas.of(inbox.sender, asyncio.get_running_loop().time())) is not None:
            quota.take(size, len(done))
        where = "done" if all(translation.verdict == "translated" for translation in done) else "refused"
        await asyncio.to_thread(inbox.finish, taken, where, _ack(header, done, taken.at))

    async def _accept_large(self, begin: Received, taken: Taken, size: int) -> Translation:
        """An envelope goes through the disk; of anything else, or of one that is too large for that, the beginning is kept."""
        most = self._settings.envelope_bytes_max
        if size <= most and looks_like_envelope(begin.raw):
            reference = await self._gate.large.spool(taken.pieces(), most)
            if reference is not None:
                return await self._gate.accept_large(replace(begin, raw=b""), reference)
        junk = Junk(begin.raw, size, Problem("FRAME_TOO_LARGE", Severity.ERROR))
        return await self._gate.accept_unframed(unframed(begin, junk))

    async def _accept(self, received: Received) -> tuple[str, list[Translation]]:
        found = await self._gate.cut(received.raw)
        if found is None:
            return "", [await self._gate.accept(received)]
        if len(found.parts) > self._settings.batch_max:
            return "", [await self._gate.accept_unframed(too_many(received, self._settings.batch_max))]
        ticks = _ticks(received.received_at)
        done = await self._gate.accept_each(parts(received, found, lambda: next(ticks)), self._settings.pipeline_max)
        held = [translation for translation in done if translation is not None]
        if len(held) < len(done):
            raise HubError("BROKER_UNAVAILABLE", "message-received.v1")
        return found.header, held


def _pause_s(failures: int) -> float:
    return min(_AGAIN_S * 2.0 ** min(failures, 8), _AGAIN_MOST_S)


def _why(wrong: Exception) -> str:
    if isinstance(wrong, HubError):
        return wrong.code
    return _code(wrong) if isinstance(wrong, OSError) else "TRANSLATION_FAILED"  # ours to mend; its text may hold a value


def _tell(sender: Credential, wrong: Exception) -> None:
    telemetry.fault("folder", _why(wrong), sender.name if isinstance(wrong, HubError | OSError) else type(wrong).__name__)


def _who(sender: Credential) -> tuple[str, frozenset[str] | None, bool]:
    return sender.name, sender.facilities, sender.test


def _ticks(at: datetime) -> Iterator[datetime]:
    """Times of the messages of one file: the same whenever it is taken up again."""
    while True:
        yield at
        at += _TICK


def _ack(header: str, done: list[Translation], at: datetime) -> bytes:
    """HL7 acknowledgements, else what HTTP would answer as JSON."""
    acks = [translation.ack for translation in done if translation.ack]
    if acks and all(translation.message["format"] == "hl7" for translation in done):
        return answered(header, acks, at)
    views = [answer_view(translation) for translation in done]
    return orjson.dumps(views[0] if len(views) == 1 else {"items": views})


def _locked(path: Path) -> int | None:
    """A descriptor of the file, with its lock; None when another has the lock, or took the file. Raises: OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_same(path, descriptor):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _is_same(path: Path, descriptor: int) -> bool:
    return os.path.samestat(path.lstat(), os.fstat(descriptor))


def _is_finished(entry: "os.DirEntry[str]") -> bool:
    name = entry.name
    return not (name.startswith(".") or name.lower().endswith(_NOT_YET) or entry.is_dir(follow_symlinks=False))


def _entries(folder: Path, wanted: "Callable[[os.DirEntry[str]], bool]") -> list["os.DirEntry[str]"]:
    with os.scandir(folder) as entries:
        return list(islice(filter(wanted, entries), _LISTED_MAX))


def _placed(path: Path, places: list[Path]) -> Path:
    """Where the file stands now too: the first place that is free. A link fails where a rename would overwrite."""
    for place in places:
        try:
            place.hardlink_to(path)
        except FileExistsError:
            if not place.samefile(path):
                continue
        except OSError as refused:
            if refused.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS):
                raise
            if place.exists():  # no links here, or the file belongs to another
                continue
            path.rename(place)
        return place
    raise FileExistsError(errno.EEXIST, "both names are taken")


def _write(path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)  # of an earlier try; or a link, by which a sender could have the hub write anywhere
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _short(name: str) -> str:
    whole = os.fsencode(name)
    return name if len(whole) <= _NAME_BYTES_MAX else hashlib.blake2b(whole, digest_size=16).hexdigest()


def _code(wrong: OSError) -> str:
    return "DISK_FULL" if wrong.errno in (errno.ENOSPC, errno.EDQUOT) else "FOLDER_UNUSABLE"
