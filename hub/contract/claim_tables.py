"""The official claim tables XML0–XML15: every element with the type it has in our events.

Source: `seeds/standards/xml-tables.csv` (Decisions 130, 4750 and, where stated, 3176). The types are frozen by the
schema registry, so the rule below stops at a row it does not cover instead of guessing.
"""

import csv
from dataclasses import dataclass
from functools import cache
from typing import Final

from hub.contract.places import shipped

# XML13 mixes two layouts: an element of Decision 4750 is written under the name that Decision 3176 gave it.
RENAMED: Final = {
    ("XML13", "MA_NOI_DI"): "MA_CSKCB_DI",
    ("XML13", "MA_NOI_DEN"): "MA_CSKCB_DEN",
    ("XML13", "PP_DIEU_TRI"): "TINH_TRANG_CT",
}


@dataclass(frozen=True, slots=True)
class Element:
    """One column of one official table.

    kind:       string | decimal(p,s) | int | long: the type in our events.
    max_length: characters; 0 means unlimited in the decision.
    required:   y, n, or "c: condition" as the portal's validation sheet says.
    """

    table: str
    name: str
    kind: str
    max_length: int
    required: str
    meaning: str
    format: str
    code_list: str

    @property
    def field(self) -> str:
        """The name in our events: the official one in lower case."""
        return self.name.lower()


def kind_of(row: dict[str, str]) -> str:
    """The type of one row of the standard; first match wins.

    Raises: ValueError for a row that the rule does not cover.
    """
    shape, number = row["format"], row["type"] == "number"
    if row["type"] == "string" or row["field"].lower() == "so_cccd":
        return "string"
    if number and shape == "VND 2dp":
        return "decimal(18,2)"
    if number and shape == "VND 3dp":
        return "decimal(18,3)"
    if number and shape == "decimal 3dp":
        return "decimal(13,3)"
    if number and (shape == "0-100" or row["code_list"] == "TYLE_TT_DV"):
        return "decimal(5,2)"  # fractions may come, and int to decimal is no compatible change
    if number and shape in ("int", "yyyy", "1-12"):
        return "long" if row["max_length"] == "10" else "int"
    if number and row["code_list"]:
        return "string"  # 0 is a real code, and absent is not 0
    raise ValueError(f"no type rule covers {row['table']}/{row['field']}: {row['type']}, {shape!r}, {row['code_list']!r}")


@cache
def tables() -> dict[str, dict[str, Element]]:
    """Table name (`XML1`) to its elements by official name, in the order of the decision."""
    found: dict[str, dict[str, Element]] = {}
    with shipped("seeds/standards/xml-tables.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            table = row["table"]
            if table.startswith("4210-") or (table, row["field"]) in RENAMED:
                continue
            length = int(row["max_length"]) if row["max_length"].isdigit() else 0
            found.setdefault(table, {})[row["field"]] = Element(
                table, row["field"], kind_of(row), length, row["required"], row["meaning_en"], row["format"], row["code_list"]
            )
    return found


@cache
def codes() -> dict[str, frozenset[str]]:
    """Code list to its codes. Source: `seeds/standards/codes.csv`."""
    found: dict[str, set[str]] = {}
    with shipped("seeds/standards/codes.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["list"], set()).add(row["code"])
    return {name: frozenset(members) for name, members in found.items()}
