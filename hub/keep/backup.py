"""A backup of all that a hub keeps, taken while the hub stands still; and its way back.

All of it at one moment: topics, offsets, database, archive, ledger, raw store and secrets refer to each other by offset, version
and key, and only a hub that stands still has them at one moment without any of them being told. So each store's own files are
copied, and nothing is translated that would have to be translated back.
"""

import errno
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from hub.contract.errors import HubError
from hub.contract.events import VIETNAM
from hub.contract.settings import Settings
from hub.keep.manifest import MANIFEST, Entry, Manifest, copy, damaged, read_manifest
from hub.stack import standing_still
from hub.store.database import newest_migration

Say = Callable[[str], None]
_SHOWN: Final = 5
_UNFINISHED: Final = ".unfinished"
_RESTORING: Final = ".restoring"
LAST: Final = "last-backup.json"  # in the data folder: when and where the newest was made, for `hie doctor`
# What the next start makes anew, and what holds only while a hub runs.
_LEFT_OUT: Final = {"logs", "run", "stack.lock", "stack.json", "processes.json", LAST}
# Settings that name what is kept by hand; each is a part of the backup of its own where it is set and outside the data folder.
_NAMED: Final = (
    "ledger_dir",
    "archive_dir",
    "credentials",
    "push",
    "portal",
    "signers",
    "vendors_dir",
    "directory_dir",
    "catalogue_dir",
    "tls_certificate",
    "tls_key",
    "tls_client_ca",
)


def places(settings: Settings) -> dict[str, Path]:
    """Part of a backup to where this hub has it: `data`, and whatever settings name outside the data folder."""
    found = {"data": settings.data_dir.absolute()}
    for name in _NAMED:
        path = getattr(settings, name)
        if path is not None and not path.absolute().is_relative_to(found["data"]):
            found[name] = path.absolute()
    return found


def backup(settings: Settings, home: Path, now: datetime, say: Say, *, full: bool = False) -> Path:
    """Copy all that the hub keeps into a new folder of `home`, named by the time; whole, or not there at all.

    A file that is as it was at the newest backup there (size and time of change) is a hard link to that, so a backup costs what
    has changed. full: copies all.
    Returns: the new folder.
    Raises:  HubError(ALREADY_RUNNING) while a hub runs or where one was not stopped cleanly; HubError(SETTING_WRONG) for servers
             elsewhere, whose data are not here; HubError(DISK_FULL), HubError(NOT_FOUND) without a data folder.
    """
    _all_is_here(settings)
    parts = places(settings)
    if any(home.absolute().is_relative_to(path) for path in parts.values()):
        raise HubError("SETTING_WRONG", f"{home} lies in what is backed up")
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with standing_still(settings):
        if (settings.data_dir / "processes.json").exists() or (settings.data_dir / "postgres/postmaster.pid").exists():
            raise HubError("ALREADY_RUNNING", f"{settings.data_dir}: not stopped cleanly; `hie up`, then Ctrl-C, then again")
        for left in home.glob(f"*{_UNFINISHED}"):
            shutil.rmtree(left)
        before = None if full else newest(home)
        known = {} if before is None else {entry.path: entry for entry in read_manifest(before).entries}
        target = home / f"{now.astimezone(VIETNAM):%Y-%m-%dT%H%M%S}"
        fresh = target.with_name(target.name + _UNFINISHED)
        if target.exists():
            raise HubError("TARGET_NOT_EMPTY", str(target))
        try:
            fresh.mkdir(mode=0o700)
            entries = _take(parts, fresh, before, known, say)
            Manifest(now.isoformat(), version("hie-hub"), newest_migration(), tuple(entries)).write(fresh)
            os.sync()  # the name is given to what is on the disk, or to nothing
            fresh.rename(target)
            note = {"at": now.isoformat(), "folder": str(target.absolute())}
            (settings.data_dir / LAST).write_text(json.dumps(note), "utf-8")
        except OSError as wrong:
            shutil.rmtree(fresh, ignore_errors=True)
            raise HubError(
                "DISK_FULL" if wrong.errno in (errno.ENOSPC, errno.EDQUOT) else "SETTING_WRONG", f"{home}: {wrong.strerror}"
            ) from wrong
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
    return target


def _all_is_here(settings: Settings) -> None:
    named = {
        "HIE_KAFKA_BOOTSTRAP": settings.kafka,
        "HIE_REGISTRY_URL": settings.registry_url,
        "HIE_DATABASE_URL": settings.database_url.get_secret_value(),
    }
    if elsewhere := [name for name, value in named.items() if value]:
        raise HubError(
            "SETTING_WRONG", f"{', '.join(elsewhere)}: what is kept there is not in the data folder, so it is not backed up here"
        )
    if settings.stack == "docker":
        raise HubError(
            "SETTING_WRONG", "HIE_STACK=docker: what the containers keep is in their volumes, so it is not backed up here"
        )
    if not (settings.data_dir / "kafka.json").is_file():
        raise HubError("NOT_FOUND", f"data of a hub in {settings.data_dir}")


def newest(home: Path) -> Path | None:
    """The newest whole backup of a folder; None if there is none."""
    found = sorted(path.parent for path in home.glob(f"*/{MANIFEST}") if not path.parent.name.endswith(_UNFINISHED))
    return found[-1] if found else None


def _take(parts: Mapping[str, Path], fresh: Path, before: Path | None, known: Mapping[str, Entry], say: Say) -> list[Entry]:
    found = list(_walk(parts))
    unchanged = {
        entry.path
        for _, entry in found
        if (old := known.get(entry.path))
        and not old.is_folder
        and (old.size_bytes, old.mtime_ns) == (entry.size_bytes, entry.mtime_ns)
    }
    needed = sum(entry.size_bytes for _, entry in found if entry.path not in unchanged)
    if shutil.disk_usage(fresh).free < needed:
        raise HubError("DISK_FULL", f"{fresh.parent}: {needed // 1_000_000} MB needed")
    entries = []
    for source, entry in found:
        target = fresh / entry.path
        if entry.is_folder:
            target.mkdir(mode=0o700)
        elif entry.path in unchanged and before is not None and _linked(before / entry.path, target):
            entry = replace(entry, sha256=known[entry.path].sha256)
        else:
            size, digest = copy(source, target)
            _own(target, entry)
            entry = replace(entry, size_bytes=size, sha256=digest)
        entries.append(entry)
    for entry in reversed(entries):  # a folder's own mode and owner last, as it is written to until then
        if entry.is_folder:
            _own(fresh / entry.path, entry)
    say(
        f"{len(entries)} files and folders, {sum(one.size_bytes for one in entries) / 1e6:.0f} MB, of which {needed / 1e6:.0f} MB are new"
    )
    return entries


def _linked(old: Path, target: Path) -> bool:
    try:
        os.link(old, target)
    except OSError:  # gone, too many links, or a disk without them: copied then
        return False
    return True


def _own(path: Path, entry: Entry) -> None:
    if os.geteuid() == 0:
        os.chown(path, entry.uid, entry.gid)
    path.chmod(entry.mode)
    os.utime(path, ns=(entry.mtime_ns, entry.mtime_ns))


def _walk(parts: Mapping[str, Path]) -> Iterator[tuple[Path, Entry]]:
    """Everything, folders before what is in them. The checksum of a file is still to come: "?"."""
    for part, top in parts.items():
        if not top.exists():
            continue
        yield top, _entry(part, top)
        for path in sorted(top.rglob("*")) if top.is_dir() else ():
            name = path.relative_to(top)
            if part == "data" and (name.parts[0] in _LEFT_OUT or name.parts[0].endswith(".fresh")):
                continue
            yield path, _entry(f"{part}/{name.as_posix()}", path)


def _entry(name: str, path: Path) -> Entry:
    seen = path.stat() if "/" not in name else path.lstat()  # what a setting names may be a link; what lies in it may not
    if not (stat.S_ISREG(seen.st_mode) or stat.S_ISDIR(seen.st_mode)):
        raise HubError("FILE_NOT_PLAIN", f"{path}: neither file nor folder, so it cannot be backed up")
    folder = stat.S_ISDIR(seen.st_mode)
    size, digest = (0, "") if folder else (seen.st_size, "?")
    return Entry(name, size, digest, stat.S_IMODE(seen.st_mode), seen.st_mtime_ns, seen.st_uid, seen.st_gid)


def verify(folder: Path) -> Manifest:
    """Read every byte of a backup. Raises: HubError(BACKUP_DAMAGED) that names the first places; HubError(NOT_FOUND)."""
    manifest = read_manifest(folder)
    if wrong := list(damaged(folder, manifest)):
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise HubError("BACKUP_DAMAGED", f"{folder}: {', '.join(wrong[:_SHOWN])}{more}")
    return manifest


def restore(settings: Settings, folder: Path, say: Say) -> Manifest:
    """Put a backup where these settings have the hub's folders. Nothing is touched before every checksum is right.

    Raises: HubError(BACKUP_DAMAGED), HubError(TARGET_NOT_EMPTY), HubError(DISK_FULL), HubError(SETTING_WRONG) for a backup of a
            newer release, and where it holds a part that no setting has a place for.
    """
    manifest = read_manifest(folder)
    if manifest.migration > newest_migration():
        raise HubError(
            "SETTING_WRONG", f"{folder}: of release {manifest.release}, which is newer than this one; restore it with that"
        )
    targets = _targets(settings, manifest)
    say("checking every checksum")
    verify(folder)
    for part, target in targets.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(target.name + _RESTORING)
        _remove(fresh)
        _put(folder, part, fresh, manifest)
        say(f"{part}: {target}")
    os.sync()
    for target in targets.values():
        if target.is_dir():
            target.rmdir()
        target.with_name(target.name + _RESTORING).rename(target)
    return manifest


def _targets(settings: Settings, manifest: Manifest) -> dict[str, Path]:
    here = places(settings)
    for part in manifest.parts:
        if part not in here:
            raise HubError("SETTING_WRONG", f"HIE_{part.upper()} must say where to put what the backup has of it")
        if here[part].exists() and (here[part].is_file() or any(here[part].iterdir())):
            raise HubError("TARGET_NOT_EMPTY", str(here[part]))
        if here[part].is_mount():
            raise HubError("SETTING_WRONG", f"{here[part]} is a whole disk; name a folder of it, which comes into being at once")
    needed, seen = manifest.size_bytes, settings.data_dir.absolute()
    while not seen.exists():
        seen = seen.parent
    if shutil.disk_usage(seen).free < needed:
        raise HubError("DISK_FULL", f"{seen}: {needed // 1_000_000} MB needed")
    return {part: here[part] for part in manifest.parts}


def _put(folder: Path, part: str, fresh: Path, manifest: Manifest) -> None:
    entries = [entry for entry in manifest.entries if entry.path.partition("/")[0] == part]
    made = [(fresh.joinpath(*entry.path.split("/")[1:]), entry) for entry in entries]
    for target, entry in made:
        if entry.is_folder:
            target.mkdir(mode=0o700)
        elif copy(folder / entry.path, target)[1] == entry.sha256:  # once more, of the bytes that were written
            _own(target, entry)
        else:
            raise HubError("BACKUP_DAMAGED", entry.path)
    for target, entry in reversed(made):
        if entry.is_folder:
            _own(target, entry)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
