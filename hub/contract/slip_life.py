"""How long a referral slip is good for: ten working days, or a year for the diseases that the seeds list.

Source: Circular 01/2025 annex III; `seeds/standards/identifiers.md` §9.
"""

import csv
from collections.abc import Iterable
from datetime import date, timedelta
from functools import cache, lru_cache
from typing import Final

from hub.contract.places import shipped

WORKING_DAYS: Final = 10
_KEPT: Final = 10_000  # answers: slips of one day, for the same few hundred diseases


def last_day(issued: date, diagnoses: Iterable[str]) -> date:
    """The last day of a slip that states no end.  diagnoses: ICD-10 codes of what it was written for."""
    if any(lasts_a_year(code, issued) for code in diagnoses):
        leap = (issued.month, issued.day) == (2, 29)
        return issued.replace(year=issued.year + 1, day=28 if leap else issued.day)
    return working_days_after(issued, WORKING_DAYS)


@lru_cache(_KEPT)
def lasts_a_year(code: str, issued: date) -> bool:
    """Whether a slip for that disease (ICD-10) is good for a year when it is issued on that day."""
    return any(code.strip().upper().startswith(listed) and start <= issued for listed, start in _diseases())


@lru_cache(_KEPT)
def working_days_after(day: date, count: int) -> date:
    """The day that lies `count` working days behind another: Monday to Friday, but no public holiday."""
    free = holidays()
    while count:
        day += timedelta(days=1)
        count -= day.weekday() < 5 and day not in free
    return day


@cache
def holidays() -> frozenset[date]:
    """Public holidays of Vietnam, those given in lieu included."""
    with shipped("seeds/holidays.csv").open(encoding="utf-8", newline="") as file:
        return frozenset(date.fromisoformat(row["day"]) for row in csv.DictReader(file))


@cache
def _diseases() -> tuple[tuple[str, date], ...]:
    with shipped("seeds/year_long_referrals.csv").open(encoding="utf-8", newline="") as file:
        return tuple((row["icd10"], date.fromisoformat(row["valid_from"])) for row in csv.DictReader(file))
