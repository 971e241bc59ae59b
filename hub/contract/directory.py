"""Who takes part: facilities and payers, as the seeds list them. Facts with dates; the latest one that applies counts."""

import csv
import tomllib
from dataclasses import dataclass
from datetime import date
from functools import cache

from hub.contract.places import shipped


@dataclass(frozen=True, slots=True)
class Facility:
    """One facility.

    code:     MA_CSKCB, five digits as text.
    level:    initial, basic or specialised (since 2025).
    kind:     hospital, commune station, laboratory …
    dialect:  name of the dialect it sends and wants to receive.
    valid_to: last day, or None while it is open.
    """

    code: str
    name: str
    name_en: str
    level: str
    kind: str
    province: str
    dialect: str
    valid_from: date
    valid_to: date | None

    def open_on(self, day: date) -> bool:
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)


@dataclass(frozen=True, slots=True)
class Payer:
    """One payer.

    card_groups: first two letters of the cards that always go to it.
    tables:      the claim tables that its projection grants.
    """

    code: str
    name: str
    name_en: str
    default: bool
    card_groups: tuple[str, ...]
    tables: frozenset[str]


@cache
def facilities() -> dict[str, Facility]:
    """Code to facility."""
    with shipped("seeds/facilities.csv").open(encoding="utf-8", newline="") as file:
        return {row["code"]: _facility(row) for row in csv.DictReader(file)}


def _facility(row: dict[str, str]) -> Facility:
    ends = row.pop("valid_to")
    return Facility(
        valid_from=date.fromisoformat(row.pop("valid_from")),
        valid_to=date.fromisoformat(ends) if ends else None,
        **row,
    )


@cache
def payers() -> dict[str, Payer]:
    """Code to payer; the code is the name of its file in `seeds/payers/`."""
    found = {}
    for path in sorted(shipped("seeds/payers").glob("*.toml")):
        row = tomllib.loads(path.read_text("utf-8"))
        row |= {"card_groups": tuple(row["card_groups"]), "tables": frozenset(row["tables"])}
        found[path.stem] = Payer(code=path.stem, **row)
    return found
