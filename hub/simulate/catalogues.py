"""Dated catalogues that fit simulated claims: what each facility may bill, at what price, by whom; and the list of diagnoses.

As an insurer keeps them: every price has changed once, up or down, some codes and people have left, some are yet to come.
"""

import csv
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from hub.contract.directory import facilities
from hub.simulate.people import ILLNESSES
from hub.simulate.rows import BED, DEVICE, DRUG_SPREAD, DRUGS, SERVICES, STENT, SUPPLIES, SUPPLY_TENDER, TENDER

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "drugs": ("facility", "code", "name", "price", "registration", "tender", "valid_from", "valid_to"),
    "services": ("facility", "code", "name", "price", "departments", "machines", "valid_from", "valid_to"),
    "supplies": ("facility", "code", "name", "price", "tender", "valid_from", "valid_to"),
    "staff": ("facility", "licence", "valid_from", "valid_to"),
    "icd": ("code", "not_main", "never", "death_only", "female", "male", "valid_from", "valid_to"),
}
"""File (`<name>.csv`) to its columns."""

BEFORE: Final = ("2025-01-01", "2026-05-31")
NOW: Final = ("2026-06-01", "")
LATER: Final = ("2027-01-01", "")
"""All simulated claims are of the second half of 2026; an order may stand some days before."""

OTHER_DAYS: Final = {"ended": BEFORE, "not yet valid": LATER}
UNLISTED: Final = {
    "ended": {"drugs": "40.999", "services": "02.0999", "supplies": "N03.99.010.1", "staff": "000321/HNO-CCHN", "icd": "E11"},
    "not yet valid": {"drugs": "40.998", "services": "02.0998", "supplies": "N03.98.010.1", "staff": "000654/HNO-CCHN", "icd": "E14.9"},
    "unknown": {"drugs": "99.9", "services": "99.0001.0001", "supplies": "N99.99.999.9", "staff": "999999/HNO-CCHN", "icd": "E11.99"},
}  # fmt: skip
"""Why a code is not in a catalogue on the day, to such a code of each."""

FLAGGED: Final = {"not_main": "Z98.8", "never": "T31.0", "death_only": "I46.9", "female": "R87.6", "male": "R86.6"}
"""Flag of a diagnosis to one that has it, and that no other rule speaks of."""

_STAFF: Final = ("000123/HNO-CCHN", "000456/HNO-CCHN", "000789/HNO-CCHN")
_OF_MAN_AND_WOMAN: Final = ("N76.0", "N40", "P22.0", "R53")  # faults have them
Row = Mapping[str, object]


def catalogues(seed: int, facility_codes: Sequence[str] = ()) -> dict[str, list[Row]]:
    """Rows of each file, in no order; prices before June and the order of rows are the seed's.

    facility_codes: of all facilities when omitted.
    """
    chance = random.Random(seed)  # noqa: S311  # repeatable, nothing secret
    made: dict[str, list[Row]] = {name: [] for name in COLUMNS}
    for facility in facility_codes or tuple(facilities()):
        for name, rows in (("drugs", _drugs()), ("services", _services()), ("supplies", _supplies())):
            for row in rows:
                price = int(str(row["price"]))
                made[name] += [
                    _valid({"facility": facility, **row, "price": chance.choice((price // 2, price * 3))}, BEFORE),
                    _valid({"facility": facility, **row}, NOW),
                ]
            for kind, days in OTHER_DAYS.items():
                made[name].append(_valid({"facility": facility, "code": UNLISTED[kind][name], "name": "x", "price": 1}, days))
        made["staff"] += [_valid({"facility": facility, "licence": _as_typed(chance, one)}, NOW) for one in _STAFF]
        made["staff"] += [
            _valid({"facility": facility, "licence": UNLISTED[kind]["staff"]}, days) for kind, days in OTHER_DAYS.items()
        ]
    made["icd"] = list(_diagnoses())
    for of_file in made.values():
        chance.shuffle(of_file)
    return made


def write_catalogues(folder: Path, seed: int = 1, facility_codes: Sequence[str] = ()) -> None:
    """Write `<name>.csv` of each into the folder, which is made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in catalogues(seed, facility_codes).items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS[name], restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def _valid(row: Row, days: tuple[str, str]) -> Row:
    return {**row, "valid_from": days[0], "valid_to": days[1]}


def _as_typed(chance: random.Random, licence: str) -> str:
    """Leading zeros are often dropped."""
    return chance.choice((licence, licence.lstrip("0")))


def _drugs() -> Iterator[Row]:
    for code, name, *_, registration, price in DRUGS:
        yield {"code": code, "name": name, "price": price + DRUG_SPREAD, "registration": registration, "tender": TENDER}
    code, name, *_ = DRUGS[0]  # of two makers, one of them dear
    yield {"code": code, "name": f"{name} Plus", "price": 50_000, "registration": "VN-10001-20", "tender": TENDER}


def _services() -> Iterator[Row]:
    for code, name, _, _, price, machine in SERVICES:
        machines = f"{machine};{machine}-B" if machine else ""
        yield {"code": code, "name": name, "price": price, "departments": "K01;K03", "machines": machines}
    code, name, price = BED
    yield {"code": code, "name": name, "price": price + 1, "departments": "K01"}


def _supplies() -> Iterator[Row]:
    for code, name, _, price in SUPPLIES:
        yield {"code": code, "name": name, "price": price, "tender": SUPPLY_TENDER}
    for code, name, price in (STENT, DEVICE):
        yield {"code": code, "name": name, "price": price, "tender": SUPPLY_TENDER}


def _diagnoses() -> Iterator[Row]:
    flags = dict.fromkeys(COLUMNS["icd"][1:6], 0)
    for code in (*(one for one, *_ in ILLNESSES), *_OF_MAN_AND_WOMAN):
        yield _valid({"code": code, **flags, "never": 1}, BEFORE)  # another list, which must not be looked at
        yield _valid({"code": code, **flags}, NOW)
    for flag, code in FLAGGED.items():
        yield _valid({"code": code, **flags, flag: 1}, NOW)
    for kind, days in OTHER_DAYS.items():
        yield _valid({"code": UNLISTED[kind]["icd"], **flags}, days)
