"""An invented nation: as many facilities as the country has, for load and for trying the directory. Nobody in it exists.

1,645 hospitals, 384 of them private, and 10,840 others, over the 63 provinces of before 01/07/2025; some closed, some of these
merged into another, a few of those again. Everything derives from the seed, so two runs give the same bytes.
"""

import csv
import random
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from hub.contract.errors import HubError
from hub.contract.facilities import COLUMNS, FILE, provinces

HOSPITALS, PRIVATE, OTHERS = 1_645, 384, 10_840
_CLOSED: Final = 0.02  # of all; half of them merged
_NAMES: Final = (
    "An",
    "Bình",
    "Cẩm",
    "Đông",
    "Giang",
    "Hòa",
    "Khánh",
    "Lạc",
    "Minh",
    "Nam",
    "Phú",
    "Quảng",
    "Sơn",
    "Tân",
    "Vĩnh",
    "Xuân",
)
_NAMES_TWO: Final = (
    "Châu",
    "Đức",
    "Hải",
    "Hưng",
    "Lâm",
    "Lộc",
    "Long",
    "Mỹ",
    "Nghĩa",
    "Phong",
    "Phước",
    "Thạnh",
    "Thịnh",
    "Thủy",
    "Tiến",
    "Yên",
)
# share, route, level, name, name_en
_PUBLIC: Final = (
    (3, "central", "specialised", "Bệnh viện Trung ương", "Central Hospital"),
    (37, "province", "specialised", "Bệnh viện Đa khoa tỉnh", "Provincial General Hospital"),
    (60, "district", "basic", "Bệnh viện Đa khoa huyện", "District General Hospital"),
)  # fmt: skip
_PRIVATE: Final = ((100, "district", "basic", "Bệnh viện Tư nhân", "Private Hospital"),)
# share, kind, route, level, name, name_en
_OTHER: Final = (
    (88, "commune station", "commune", "initial", "Trạm Y tế xã", "Commune Health Station"),
    (7, "clinic", "district", "basic", "Phòng khám Đa khoa", "Polyclinic"),
    (3, "medical centre", "district", "basic; specialised 2026-01-01", "Trung tâm Y tế", "Medical Centre"),
    (1, "maternity home", "commune", "initial", "Nhà hộ sinh", "Maternity Home"),
    (1, "laboratory", "", "basic", "Trung tâm Xét nghiệm", "Laboratory"),
)  # fmt: skip

Row = dict[str, str]


def nation(seed: int, dialects: Sequence[str] = ("_standard",)) -> list[Row]:
    """The rows of its directory, by code.

    dialects: what its hospitals and laboratories speak; everybody else speaks the first.
    """
    chance = random.Random(seed)  # noqa: S311  # repeatable, nothing secret
    kinds = [*[_PUBLIC] * (HOSPITALS - PRIVATE), *[_PRIVATE] * PRIVATE, *[_OTHER] * OTHERS]
    chance.shuffle(kinds)
    rows = [_row(chance, code, shares, dialects) for code, shares in zip(_codes(chance, len(kinds)), kinds, strict=True)]
    rows.sort(key=lambda row: row["code"])
    _close(chance, rows)
    return rows


def write_nation(folder: Path, seed: int, dialects: Sequence[str] = ("_standard",)) -> Path:
    """Its `facilities.csv` in a folder. Raises: HubError(REQUEST_WRONG) when there is such a file already."""
    path = folder / FILE
    if path.exists():
        raise HubError("REQUEST_WRONG", f"there is a {FILE} in {folder.name} already; name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(COLUMNS), restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(nation(seed, dialects))
    return path


def _codes(chance: random.Random, count: int) -> Iterator[str]:
    """Running numbers of the provinces, larger and smaller ones: all have facilities, none more than three digits can count."""
    names = list(provinces().before)
    weights = [chance.uniform(1, 3) for _ in names]
    numbers = dict.fromkeys(names, 0)
    for province in [*names, *chance.choices(names, weights, k=count - len(names))]:
        numbers[province] += 1
        yield f"{province}{numbers[province]:03}"


def _row(chance: random.Random, code: str, shares: Sequence[tuple[object, ...]], dialects: Sequence[str]) -> Row:
    [(_, *kind, route, level, name, name_en)] = chance.choices(shares, [float(str(share[0])) for share in shares])
    place = f"{chance.choice(_NAMES)} {chance.choice(_NAMES_TWO)}"
    opened = date(1990, 1, 1) + timedelta(days=chance.randrange(12_000))
    speaks = dialects if not kind or kind == ["laboratory"] else dialects[:1]
    return {
        "code": code,
        "name": f"{name} {place} {code[2:]}",
        "name_en": f"{name_en} {code}",
        "route": str(route),
        "level": str(level),
        "kind": str(kind[0]) if kind else "hospital",
        "province": code[:2],
        "dialect": chance.choice(speaks),
        "receives": "LabOrder; ClaimDecision" if kind == ["laboratory"] else "",
        "gln": _gln(code),
        "valid_from": opened.isoformat(),
        "valid_to": "",
        "successor": "",
    }


def _gln(code: str) -> str:
    """Thirteen digits with GS1's check digit; 893 is Viet Nam."""
    digits = f"8930000{code}"
    total = sum(int(digit) * (3 if at % 2 else 1) for at, digit in enumerate(digits))
    return f"{digits}{-total % 10}"


def _close(chance: random.Random, rows: Sequence[Row]) -> None:
    """Close some; every second goes on in the next one of its province, which stands behind it, so that no chain is a circle."""
    drawn = chance.sample(range(len(rows) - 2), int(len(rows) * _CLOSED))
    closed = {*drawn, *(at + 1 for at in drawn[::10])}
    for number, at in enumerate(sorted(closed)):
        row, after = rows[at], rows[at + 1]
        row["valid_to"] = (date(2024, 7, 1) + timedelta(days=chance.randrange(800))).isoformat()
        in_chain = at + 1 in closed or at - 1 in closed
        if (number % 2 or in_chain) and after["province"] == row["province"]:
            row["successor"] = after["code"]
