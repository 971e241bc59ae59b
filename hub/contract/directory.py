"""Who takes part: the facilities of the directory in force, and the payers. Facts with dates; the latest one that applies counts.

The directory in force is one dict, replaced as a whole by one that was read and checked to its end: by a service's watch when
the file has changed. A file with a fault changes nothing.
"""

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

from hub.contract.errors import HubError
from hub.contract.facilities import FILE, Facility, Unusable, read_facilities
from hub.contract.payers import Payer, read_payers
from hub.contract.places import shipped

_EVERY_S: Final = 1.0


# --- the directory in force -------------------------------------------------------------------------------------------

Stamp = tuple[int, ...] | None
"""What tells one state of the file from another: its times, size and inode; None while there is no file."""


def unchecked(_dialects: Collection[str]) -> Mapping[str, str]:
    """For whoever reads no messages: every name of a dialect will do."""
    return {}


@dataclass(slots=True)
class _InForce:
    """What every `facilities()` of this process answers from.  stamp: of the file when it was last read, well or badly."""

    path: Path = field(default_factory=lambda: shipped(f"seeds/{FILE}"))
    unusable: Unusable = unchecked
    facilities: dict[str, Facility] | None = None
    edition: int = 0
    stamp: Stamp = None


_in_force: Final = _InForce()


def facilities() -> dict[str, Facility]:
    """Code to facility, of the directory in force: the shipped one, unless `use_directory` named another."""
    known = _in_force.facilities
    return known if known is not None else _take()


def heir(code: str, day: date) -> str:
    """Who stands for a facility on a day: itself while it is open, then who it was merged into, and so on; "" for nobody."""
    known = facilities()
    one = known.get(code)
    while one is not None and not one.open_on(day):
        one = known.get(one.successor) if one.valid_from <= day else None
    return one.code if one is not None else ""


def takes(code: str, record: str) -> bool:
    """Whether a recipient can receive such a record (`hie.LabResult`): all that is no facility of the directory does."""
    one = facilities().get(code)
    return one is None or not one.receives or record.removeprefix("hie.") in one.receives


def known_as(code: str, day: date) -> str:
    """The code that a facility goes by on a day: its own, or that of who stands for it."""
    return heir(code, day) or code


def same_facility(one: str, other: str, day: date) -> bool:
    """Whether two codes mean one facility on a day: they are equal, or one was merged into the other, or both into a third.

    Who says something is compared on the day it was said: from its merger on a successor speaks for both.
    """
    return one == other or known_as(one, day) == known_as(other, day)


def names_of(code: str, day: date) -> tuple[str, ...]:
    """Every code that means the same facility on a day, its own first."""
    here, merged = known_as(code, day), _merged_into(edition())
    found, fresh = {here}, [here]
    while fresh:
        more = [one for one in merged.get(fresh.pop(), ()) if one not in found and known_as(one, day) == here]
        found.update(more)
        fresh += more
    return (code, *sorted(found - {code}))


@lru_cache(maxsize=1)
def _merged_into(_edition: int) -> Mapping[str, list[str]]:
    """Code to those whose successor it is."""
    found: dict[str, list[str]] = {}
    for one in facilities().values():
        if one.successor:
            found.setdefault(one.successor, []).append(one.code)
    return found


def edition() -> int:
    """Another number for every directory that came into force: what is remembered of one is kept under it."""
    return _in_force.edition


def directory_file(folder: Path | None) -> Path:
    """The file of a folder (HIE_DIRECTORY_DIR), else the shipped one: the folder's replaces it, as all it lists is invented."""
    return folder.absolute() / FILE if folder is not None else shipped(f"seeds/{FILE}")


def use_directory(folder: Path | None, unusable: Unusable = unchecked) -> dict[str, Facility]:
    """Put the directory of a folder into force; for the composition root, before anything is read.

    unusable: says which dialects of a directory cannot be used, and why; asked again for each that is to come into force.
    Raises:   HubError(SETTING_WRONG) that names line and column.
    """
    _in_force.path, _in_force.unusable = directory_file(folder), unusable
    return _take()


def _take() -> dict[str, Facility]:
    _in_force.stamp = _stamp(_in_force.path)
    found, faults = read_facilities(_in_force.path, _in_force.unusable)
    if faults:
        more = f"; {len(faults) - 1} more: hie directory check" if len(faults) > 1 else ""
        raise HubError("SETTING_WRONG", f"{_in_force.path.name} {faults[0]}{more}")
    _in_force.facilities = found
    _in_force.edition += 1  # after the dict, so that nothing of the old one is remembered under the new number
    return found


def _stamp(path: Path) -> Stamp:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_ctime_ns, state.st_size, state.st_ino


class Watch:
    """Takes a changed file once two looks in a row saw it the same: whoever still writes it is not read half way."""

    def __init__(self) -> None:
        self._seen = _in_force.stamp

    def look(self) -> None:
        """One look. A file with a fault is told once, and the directory before it stays in force."""
        from hub.contract import telemetry  # late, as where the processes' metrics are is settled before its first import

        stamp, before = _stamp(_in_force.path), self._seen
        self._seen = stamp
        if stamp == _in_force.stamp or stamp != before:
            return
        try:
            telemetry.directory_taken(len(_take()))
        except HubError as wrong:
            telemetry.fault("directory", wrong.code, wrong.where)
        except OSError as unread:  # of a profile that the directory names, say: the next change is looked at all the same
            telemetry.fault("directory", "SETTING_WRONG", unread.strerror or type(unread).__name__)

    def run(self) -> None:
        """Look every second, for ever."""
        ever = threading.Event()
        while not ever.wait(_EVERY_S):
            self.look()


def watch_directory() -> None:
    """Follow the file from now on, in a thread that ends with the process: messages and events pay nothing for it."""
    threading.Thread(target=Watch().run, name="directory", daemon=True).start()


# --- payers -----------------------------------------------------------------------------------------------------------


@cache
def payers() -> dict[str, Payer]:
    """Code to payer, of `seeds/payers/`. Raises: HubError(SETTING_WRONG) that names file, entry and what is wrong."""
    return read_payers(shipped("seeds/payers"))
