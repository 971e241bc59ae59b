"""What an insurer looks at first: what its ledger adds up to, what was decided today, and how the last days and months went."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import duckdb

from hub.contract.events import VIETNAM
from hub.insurer.history import closed_months
from hub.insurer.questions import answer
from hub.insurer.totals import totals_of
from hub.insurer.views import PLACE, opened

DAYS: Final = 30
RULES: Final = 20
MONTHS: Final = 24


@dataclass(frozen=True, slots=True)
class Verdict:
    """Claim events that came today and were decided so; claimed and granted in VND."""

    verdict: str
    events: int
    claimed: Decimal
    granted: Decimal


@dataclass(frozen=True, slots=True)
class Found:
    """A rule that found something (E, C or W), in how many claim events of the last `DAYS` days, and its words."""

    rule: str
    severity: str
    events: int
    vi: str
    en: str


@dataclass(frozen=True, slots=True)
class Month:
    """Claims in force of a month (NGAY_RA, else NGAYLAP), and whether it was closed; VND."""

    month: str
    claims: int
    rejected: int
    claimed: Decimal
    granted: Decimal
    closed: bool


@dataclass(frozen=True, slots=True)
class Day:
    """Claims in force that came on a day; VND."""

    day: date
    claims: int
    claimed: Decimal
    granted: Decimal


@dataclass(frozen=True, slots=True)
class Glance:
    """A ledger as it stood at a time.

    totals: as `hub.insurer.totals`.
    today:  of claims that came since midnight in Vietnam.
    rules:  most frequent first, at most `RULES`.
    months: newest first, at most `MONTHS`.
    days:   each of the last `DAYS`, today the last of them.
    """

    at: datetime
    totals: dict[str, Any]
    today: list[Verdict]
    rules: list[Found]
    months: list[Month]
    days: list[Day]


_TODAY: Final = """
select verdict, count(distinct event_id), coalesce(sum(t_bhtt), 0)::decimal(38, 2), coalesce(sum(t_bhtt_gd), 0)::decimal(38, 2)
from stated where received_at >= $since group by verdict order by verdict
"""
_RULES: Final = f"""
select rule, severity, count(distinct event_id) as events, any_value(text_vi), any_value(text_en)
from findings semi join (select {PLACE} from claims where received_at >= $since) using ({PLACE})
where severity <> 'I' group by rule, severity order by events desc, rule, severity limit {RULES}
"""
_DAYS: Final = """
select make_timestamp(epoch_us(received_at) + $offset_us)::date as came_on, count(*), coalesce(sum(t_bhtt), 0)::decimal(38, 2),
    coalesce(sum(t_bhtt_gd), 0)::decimal(38, 2)
from claims_in_force where received_at >= $since group by came_on
"""  # a day of Vietnam, without the extension that knows time zones


def glance(folder: Path, at: datetime) -> Glance:
    """Look at the ledger in a folder once, at a time (aware). Empty where there is none.

    Raises: duckdb.Error, deltalake's DeltaError.
    """
    midnight = at.astimezone(VIETNAM).replace(hour=0, minute=0, second=0, microsecond=0)
    first = midnight - timedelta(days=DAYS - 1)
    with opened(folder) as database:
        summed = totals_of(database)
        today = [Verdict(*row) for row in database.execute(_TODAY, {"since": midnight}).fetchall()]
        rules = [Found(*row) for row in database.execute(_RULES, {"since": first}).fetchall()]
        return Glance(at, summed, today, rules, _months(database, folder, midnight.date()), _days(database, first))


def _months(database: duckdb.DuckDBPyConnection, folder: Path, today: date) -> list[Month]:
    """Of the question `month`, its newest ones."""
    rows = [row for row in answer(database, "month").as_dicts() if row["month"] and len(row["month"]) == len("2026-11")][-MONTHS:]
    first = next((date.fromisoformat(f"{row['month']}-01") for row in rows), today)
    closed = closed_months(folder, first, today)
    return [
        Month(row["month"], row["claims"], row["rejected"], row["t_bhtt"], row["t_bhtt_gd"], row["month"] in closed)
        for row in reversed(rows)
    ]


def _days(database: duckdb.DuckDBPyConnection, first: datetime) -> list[Day]:
    offset_us = int((first.utcoffset() or timedelta()).total_seconds() * 1e6)
    came = {day: rest for day, *rest in database.execute(_DAYS, {"since": first, "offset_us": offset_us}).fetchall()}
    days = (first.date() + timedelta(days=number) for number in range(DAYS))
    return [Day(day, *came.get(day, (0, Decimal(0), Decimal(0)))) for day in days]
