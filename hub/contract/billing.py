"""Who does not bill: facilities for whose encounters the hub assembles the claims, as `seeds/assembly.csv` lists them.

A table of its own, as it is an agreement about claims with its own days, and neither a property of the facility's system
(one dialect serves facilities that bill and facilities that do not) nor one that every facility has.
"""

import csv
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

from hub.contract.places import shipped


@dataclass(frozen=True, slots=True)
class Assembly:
    """From when to when the hub assembles, and how long after the end of an encounter, or after what came later, it waits."""

    valid_from: date
    valid_to: date | None
    settle: timedelta


@cache
def _assemblies() -> dict[str, list[Assembly]]:
    found: dict[str, list[Assembly]] = {}
    with shipped("seeds/assembly.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            ends = date.fromisoformat(row["valid_to"]) if row["valid_to"] else None
            settle = timedelta(minutes=int(row["settle_minutes"]))
            found.setdefault(row["facility"], []).append(Assembly(date.fromisoformat(row["valid_from"]), ends, settle))
    return found


def assembles(facility: str) -> bool:
    """Whether the hub assembles the facility's claims on any day at all."""
    return facility in _assemblies()


def assembles_on(facility: str, day: date) -> bool:
    """Whether the hub assembles the claims of the facility's encounters that end on a day."""
    return any(one.valid_from <= day and (one.valid_to is None or day <= one.valid_to) for one in _assemblies().get(facility, ()))


def settle_time(facility: str) -> timedelta:
    """How long an encounter of the facility settles before its claim is assembled: the longest that it says of any day."""
    return max(one.settle for one in _assemblies()[facility])
