"""A facility over time, and the file that lists them: every row read, checked by itself and against the others, or refused.

What law or merger changed for all on one day is derived, never typed: old routes end with 2024, provinces follow the map of
01/07/2025. Source: seeds/standards/identifiers.md §4 and §10.
"""

import csv
import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache, lru_cache
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

from hub.contract.errors import HubError
from hub.contract.places import shipped

LEVELS_SINCE: Final = date(2025, 1, 1)
"""From this day on initial, basic and specialised; until the day before, the four routes."""
PROVINCES_SINCE: Final = date(2025, 7, 1)
"""From this day on 34 provinces; until the day before, 63."""

FILE: Final = "facilities.csv"
_FAULTS_MAX: Final = 200
_DAY: Final = timedelta(days=1)
_DAY_FORM: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

COLUMNS: Final = {
    "code": "five digits (MA_CSKCB), the leading zero kept",
    "name": "the name, not empty",
    "name_en": "the English name, or empty",
    "route": "central, province, district or commune, as it was until 31/12/2024; a later one with its day: district; province 2022-05-01",
    "level": "initial, basic or specialised, since 01/01/2025; a later one with its day: basic; specialised 2026-03-01",
    "kind": "hospital, medical centre, clinic, commune station, maternity home, laboratory or other",
    "province": "code of the province it stood in when it opened: of the 63 until 30/06/2025, of the 34 since",
    "dialect": "name of the dialect it sends and wants to receive",
    "receives": "the records it can receive, such as Referral; LabResult; empty: all",
    "gln": "13 digits, or empty",
    "valid_from": "the first day, such as 2025-01-31",
    "valid_to": "the last day, not before the first; empty while it is open",
    "successor": "code of the facility that a closed one was merged into, or empty",
}
"""Column of the file to what it must hold: the sentence of a fault, which quotes no cell."""
_NEEDED: Final = ("code", "name", "kind", "province", "valid_from")
_DEFAULTS: Final = {"dialect": "_standard"}


# --- provinces --------------------------------------------------------------------------------------------------------


class Provinces(NamedTuple):
    """before: code to name of the 63. after: code to name of the 34. successor: of the 63 to that of the 34."""

    before: dict[str, str]
    after: dict[str, str]
    successor: dict[str, str]

    def name(self, code: str, day: date) -> str:
        """The same code may name another province before and since 01/07/2025; "" if there is none of that code."""
        return (self.before if day < PROVINCES_SINCE else self.after).get(code, "")


@cache
def provinces() -> Provinces:
    """Lists PROVINCE_63 and PROVINCE_34 of `seeds/standards/codes.csv`."""
    found = Provinces({}, {}, {})
    with shipped("seeds/standards/codes.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["list"] == "PROVINCE_63":
                found.before[row["code"]] = row["meaning_vi"]
                found.successor[row["code"]] = row["meaning_en"].rpartition(": ")[2]
            elif row["list"] == "PROVINCE_34":
                found.after[row["code"]] = row["meaning_vi"]
    return found


# --- cells ------------------------------------------------------------------------------------------------------------


class Dated(NamedTuple):
    """A word, and the day from which it counts; `date.min` for the first, which counts from the beginning."""

    word: str
    since: date


@lru_cache(maxsize=4096)
def _day(cell: str) -> date:
    if not _DAY_FORM.fullmatch(cell):
        raise ValueError
    return date.fromisoformat(cell)


def _dated(words: str, first: date, last: date) -> Callable[[str], tuple[Dated, ...]]:
    """Reads `district; province 2022-05-01`: words of a list, each from a later day than the one before, between two days."""
    among = frozenset(words.split())

    @lru_cache(maxsize=4096)
    def read(cell: str) -> tuple[Dated, ...]:
        found: list[Dated] = []
        for part in _parts(cell):
            word, _, day = part.partition(" ")
            if word not in among:
                raise ValueError
            since = _day(day.strip()) if day or found else date.min
            if (since != date.min and not first <= since <= last) or (found and since <= found[-1].since):
                raise ValueError
            found.append(Dated(word, since))
        return tuple(found)

    return read


def _parts(cell: str) -> Iterator[str]:
    return filter(None, map(str.strip, cell.split(";")))


@cache
def _records() -> frozenset[str]:
    rows = tomllib.loads(shipped("seeds/topics.toml").read_text("utf-8"))
    return frozenset(row["record"].removeprefix("hie.") for row in rows.values() if "record" in row)


@lru_cache(maxsize=4096)
def _names_of_records(cell: str) -> frozenset[str]:
    found = frozenset(_parts(cell))
    if not found <= _records():
        raise ValueError
    return found


_Day = Annotated[date, BeforeValidator(_day)]
_Route = Annotated[tuple[Dated, ...], BeforeValidator(_dated("central province district commune", date.min, LEVELS_SINCE - _DAY))]
_Level = Annotated[tuple[Dated, ...], BeforeValidator(_dated("initial basic specialised", LEVELS_SINCE, date.max))]
_Kind = Literal["hospital", "medical centre", "clinic", "commune station", "maternity home", "laboratory", "other"]


# --- one facility -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Facility:
    """One facility, as a row of the file says it; `COLUMNS` tells what each cell holds.

    code:      MA_CSKCB, five digits as text.
    level:     since 2025; route: until then.
    province:  where it stood when it opened; `province_on` says where that is on a day.
    receives:  names of records, such as `LabResult`; empty: all.
    valid_to:  last day, or None while it is open.
    successor: code of the facility that stands in for it from the next day on; "" for none.
    """

    code: Annotated[str, Field(pattern=r"^[0-9]{5}$")]
    name: Annotated[str, Field(min_length=1)]
    name_en: str
    level: _Level
    kind: _Kind
    province: str
    dialect: str
    valid_from: _Day
    valid_to: Annotated[date | None, BeforeValidator(lambda cell: _day(cell) if cell else None)]
    route: _Route = ()
    receives: Annotated[frozenset[str], BeforeValidator(_names_of_records)] = frozenset()
    gln: Annotated[str, Field(pattern=r"^([0-9]{13})?$")] = ""
    successor: str = ""

    def open_on(self, day: date) -> bool:
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)

    def province_on(self, day: date) -> str:
        """Code of the province that it stands in on a day: of the 63 until 30/06/2025, of the 34 since."""
        if self.valid_from < PROVINCES_SINCE <= day:
            return provinces().successor[self.province]
        return self.province

    def levels(self) -> Iterator[tuple[str, date, date | None]]:
        """Route or level, its first day and its last (None while it holds), oldest first."""
        stated = [(word, max(since, self.valid_from)) for word, since in self.route]
        stated.append(("", LEVELS_SINCE))  # ends the last route
        stated += [(word, max(since, self.valid_from, LEVELS_SINCE)) for word, since in self.level]
        for (word, since), (_, after) in zip_longest(stated, stated[1:], fillvalue=("", date.max)):
            last = after - _DAY if after < date.max else None
            if self.valid_to is not None and (last is None or last > self.valid_to):
                last = self.valid_to
            if word and (last is None or since <= last):
                yield word, since, last

    def level_on(self, day: date) -> str:
        """Route or level on a day; "" where the file says none."""
        return next((word for word, since, last in self.levels() if since <= day and (last is None or day <= last)), "")


# --- the file ---------------------------------------------------------------------------------------------------------


class Fault(NamedTuple):
    """One cell, or one line, that the directory cannot be made of.  line: the first is 1. text: never quotes the file."""

    line: int
    column: str
    text: str

    def __str__(self) -> str:
        return f"line {self.line}" + (f", {self.column}" if self.column else "") + f": {self.text}"


_FACILITY: Final = TypeAdapter(Facility)

Unusable = Callable[[Collection[str]], Mapping[str, str]]
"""Given the dialects that a directory names: those that cannot be used, each with a sentence why."""


def read_facilities(path: Path, unusable: Unusable) -> tuple[dict[str, Facility], list[Fault]]:
    """What the file says, and all that is wrong with it (at most some 200 faults); nothing may be made of it if anything is.

    unusable: says which dialects of a directory cannot be used, and why.
    Raises:   HubError(SETTING_WRONG) when there is no such file, or it is no CSV in UTF-8.
    """
    found: dict[str, Facility] = {}
    lines: dict[str, int] = {}  # of every code, those of refused rows too
    faults: list[Fault] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for line, cells in _rows(file, faults):
                code = cells["code"]
                if code in lines:
                    faults.append(Fault(line, "code", f"line {lines[code]} has the same code"))
                    continue
                lines[code] = line
                try:
                    found[code] = _FACILITY.validate_python(cells)
                except ValidationError as wrong:
                    columns = {str(error["loc"][0]) for error in wrong.errors(include_url=False, include_input=False)}
                    faults += [Fault(line, column, COLUMNS[column]) for column in COLUMNS if column in columns]
    except FileNotFoundError:
        raise HubError("SETTING_WRONG", f"there is no file {path.name} in folder {path.parent.name}") from None
    except OSError as unread:
        raise HubError("SETTING_WRONG", f"{path.name} cannot be read: {unread.strerror}") from None
    except (UnicodeDecodeError, csv.Error):
        raise HubError("SETTING_WRONG", f"{path.name}: not a CSV in UTF-8, cells parted by commas") from None
    if not found and not faults:
        faults.append(Fault(1, "", "there is no facility in it"))
    for line, column, text in _misfits(found, lines, unusable):
        if len(faults) > _FAULTS_MAX:
            break
        faults.append(Fault(line, column, text))
    return found, sorted(faults)


def _rows(file: Any, faults: list[Fault]) -> Iterator[tuple[int, dict[str, str]]]:
    """Line and cells of every row, until there are faults enough; what the file leaves out is as by default, blank lines are none."""
    reader = csv.reader(file, strict=True)
    header = [name.strip() for name in next(reader, [])]
    if set(header) - set(COLUMNS) or set(_NEEDED) - set(header) or len(set(header)) < len(header):
        faults.append(Fault(1, "", f"the columns are {', '.join(COLUMNS)}; none twice, and never without {', '.join(_NEEDED)}"))
        return
    blank = dict.fromkeys(COLUMNS, "")
    for row in reader:
        if len(faults) > _FAULTS_MAX:
            return
        if len(row) == len(header):
            cells = blank | dict(zip(header, map(str.strip, row), strict=True))
            yield reader.line_num, cells | {name: cells[name] or word for name, word in _DEFAULTS.items()}
        elif row:
            faults.append(Fault(reader.line_num, "", f"{len(row)} cells, where the first line has {len(header)}"))


def _misfits(found: Mapping[str, Facility], lines: Mapping[str, int], unusable: Unusable) -> Iterator[tuple[int, str, str]]:
    """What is wrong between the cells of a row, or between rows."""
    numbers: dict[str, str] = {}
    strange = unusable({one.dialect for one in found.values()})
    for code, one in found.items():
        line = lines[code]
        if one.province not in (provinces().before if one.valid_from < PROVINCES_SINCE else provinces().after):
            yield line, "province", COLUMNS["province"]
        if one.valid_to is not None and one.valid_to < one.valid_from:
            yield line, "valid_to", COLUMNS["valid_to"]
        if one.dialect in strange:
            yield line, "dialect", strange[one.dialect]
        if one.gln and numbers.setdefault(one.gln, code) != code:
            yield line, "gln", f"line {lines[numbers[one.gln]]} has the same number"
        if one.successor:
            if one.valid_to is None:
                yield line, "valid_to", "the day of the merger is missing: a facility with a successor is closed"
            if one.successor not in lines:
                yield line, "successor", "no row has this code"
            elif _circles(one, found):
                yield line, "successor", "its successors lead back to it"


def _circles(one: Facility, found: Mapping[str, Facility]) -> bool:
    passed, code = {one.code}, one.successor
    while code in found and code not in passed:
        passed.add(code)
        code = found[code].successor
    return code == one.code
