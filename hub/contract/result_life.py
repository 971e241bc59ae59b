"""How long a result of a laboratory need not be repeated, counted from the day on which the sample was taken.

By the kind of test where its code tells it: the chapter of MA_DICH_VU. The periods are the longest that the seeds' source
allows; whether a result still serves is for the doctor who reads it.
Source: seeds/standards/adjudication.md §6, laboratory result exchange.
"""

import csv
from collections.abc import Iterable
from datetime import date, timedelta
from functools import cache
from typing import Final, NamedTuple

from hub.contract.places import shipped

ABNORMAL: Final = frozenset({"L", "H", "LL", "HH", "<", ">", "A", "AA", "LU", "HU", "POS", "DET"})
"""Flags (HL7 table 0078, OBX-8) of a value that is not as it should be, the critical ones among them."""


class Validity(NamedTuple):
    """One row of the seeds.  prefix: of the code of the service.  finding: `abnormal`, or "" for any."""

    prefix: str
    kind: str
    finding: str
    days: int
    source: str


def worth_until(sampled: date, codes: Iterable[str], *, abnormal: bool) -> date:
    """The last day on which a result need not be repeated.  codes: what the service is known by, its own and alternate ones."""
    named = [code.strip() for code in codes]
    row = next(
        one
        for one in validities()
        if any(code.startswith(one.prefix) for code in [*named, ""]) and (abnormal or one.finding != "abnormal")
    )
    return sampled + timedelta(days=row.days)


@cache
def validities() -> tuple[Validity, ...]:
    """The rows of the seeds, of which the first that fits counts; the last one fits all."""
    with shipped("seeds/result_validity.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return tuple(Validity(row["prefix"], row["kind"], row["finding"], int(row["days"]), row["source"]) for row in rows)
