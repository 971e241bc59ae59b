"""Claims of full official width, as many as one likes, with their money right, and some of them wrong in a known way."""

import random
import re
from calendar import monthrange
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Final, NamedTuple

from hub.contract.directory import facilities
from hub.contract.events import VIETNAM, Event, Keyring, Origin, stamp
from hub.simulate.fault import SENT_AGAIN, Expected, Fault
from hub.simulate.faults import faults_of
from hub.simulate.money import in_full, pay_in_full, service_amounts, totals
from hub.simulate.people import summary
from hub.simulate.rows import Pool, pool

KEYRING: Final = Keyring(b"simulation")
RECEIVED_AT: Final = datetime(2026, 11, 23, 8, 0, tzinfo=VIETNAM)
MEAN_ROWS: Final = {"xml2": 6.5, "xml3": 9.5, "xml4": 9.1, "xml5": 1.4}
LARGEST: Final = 3_000
"""Lines of the longest claim of `nation`."""

_OUTPATIENT: Final = {"xml2": 3.6, "xml3": 4.5, "xml5": 0.3}
_TESTED, _RESULTS = 0.4, 10.0  # how many outpatients have results, and how many
_INPATIENT: Final = {"xml2": 35.0, "xml3": 60.0, "xml4": 60.0, "xml5": 12.0}
_STAYS: Final = 1 / 11  # 17 of 187 million
_TAIL: Final = 1.2  # of the logarithm of the length of a stay's claim: one stay in 4,000 is at the limit
_DAYS: Final = 21  # of November, until the 23rd
_AGAIN, _THIRD = 0.25, 0.05
_OPEN: Final = 500  # about as many wait to be sent again
_TIMES: Final = ("ngay_yl", "ngay_th_yl", "ngay_kq", "thoi_diem_dbls")
_BENEFITS: Final = {"GD4": 80, "HN2": 100, "HT3": 95}
_DAY: Final = RECEIVED_AT.date()
_TRIES: Final = 10_000  # where the drawn rows are dear, one claim in 750 can carry the rarest fault
_TIME: Final = re.compile(r"2026(0[1-9]|1[0-2])\d{2}(\d{4})?")
Means = Mapping[str, float]


class Simulated(NamedTuple):
    """A claim, the name of its fault ("" for none), and all that has to be found in it by who has the catalogues of `catalogues.py`."""

    event: Event
    fault: str
    expected: frozenset[Expected]


def claims(seed: int, n: int, rows: int = 26, *, facility_codes: Sequence[str] = ()) -> Iterator[Event]:
    """`n` SUBMITTED claims of outpatients whose money is right to the last đồng.

    rows: mean rows of a claim beside XML1, spread over XML2–XML5 as `MEAN_ROWS`.
    """
    return (made.event for made in claims_with_faults(seed, n, rows, {}, facility_codes=facility_codes))


def claims_with_faults(
    seed: int, n: int, rows: int, faults: Mapping[str, float], *, facility_codes: Sequence[str] = ()
) -> Iterator[Simulated]:
    """The same, some with one fault each.

    faults: name in `FAULTS`, or rule (any of its faults), to the share of claims that shall have it; at most 1 in all.
    Raises: ValueError for a name that is neither.
    """
    maker = _Maker(seed, facility_codes)
    means = {table: mean * rows / 26 for table, mean in MEAN_ROWS.items()}
    for number in range(n):
        _, content, fault, expected = maker.faulty(faults, lambda: maker.claim(number, means, 0))  # noqa: B023  # called at once
        yield Simulated(_stamped(content), fault, expected)


def nation(
    seed: int,
    n: int,
    faults: Mapping[str, float] | None = None,
    *,
    test: bool = False,
    month: int = RECEIVED_AT.month,
    keyring: Keyring = KEYRING,
) -> Iterator[Simulated]:
    """`n` events in the shape of the nation's claims: short visits, stays with a long tail, and claims sent again.

    A quarter of the claims come a second time, a twentieth a third, each time as a later revision that says which it
    supersedes; what was wrong is mended then.
    test:    as traffic of the payer for tests.
    keyring: that of a hub makes the keys under which its doors take the same claims.
    month:   of 2026 in which the visits end, 7 to 12: base salary, cards and year of settlement are those of its second half.
    Source: load.md §2, §3.
    """
    maker, chance = _Maker(seed), random.Random(seed)  # noqa: S311  # repeatable, nothing secret
    stamped = partial(_stamped, test=test, month=month, keyring=keyring)
    to_come: deque[Simulated] = deque()
    number = 0
    for _ in range(n):
        if chance.random() < len(to_come) / _OPEN:
            yield to_come.popleft()
            continue
        drawn = chance.random()
        again = 2 if drawn < _THIRD else 1 if drawn < _AGAIN else 0
        make = lambda: maker.claim(number, *_size(chance))  # noqa: B023, E731  # called at once
        right, content, fault, expected = maker.faulty(faults or {}, make, keep=again > 0)
        made = Simulated(stamped(in_month(content, month)), fault, expected)
        yield made
        before = made.event
        for telling in range(2, 2 + again):
            summary_ = right["xml1"] | {"ghi_chu": f"Gửi lại lần {telling}"}
            content = in_month(right | {"xml1": summary_}, month)
            before = stamped(content, telling, before["meta"]["event_id"])
            to_come.append(Simulated(before, "", frozenset({SENT_AGAIN})))
        number += 1


def _size(chance: random.Random) -> tuple[Means, int]:
    """Mean rows of a claim by table, and the days of the stay (0: outpatient)."""
    if chance.random() >= _STAYS:
        return _OUTPATIENT | {"xml4": _RESULTS if chance.random() < _TESTED else 0.0}, 0
    longer = chance.lognormvariate(-_TAIL * _TAIL / 2, _TAIL)  # 1 on the mean
    longer = min(longer, LARGEST / (_INPATIENT["xml2"] + _INPATIENT["xml3"]))
    return {table: mean * longer for table, mean in _INPATIENT.items()}, min(_DAYS, 2 + int(5 * longer))


def in_month(content: Event, month: int) -> Event:
    """A claim of November 2026 as if it were of another month of that year: its times are moved, on the same days."""
    if month == RECEIVED_AT.month:
        return content
    moved: Event = _moved(content, month - RECEIVED_AT.month)
    settled = {"thang_qt": month} if content["xml1"].get("thang_qt") == RECEIVED_AT.month else {}
    return moved | {"xml1": moved["xml1"] | settled}


def _moved(value: Any, months: int) -> Any:
    if isinstance(value, dict):
        return {name: _moved(part, months) for name, part in value.items()}
    if isinstance(value, list):
        return [_moved(part, months) for part in value]
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return value
    year, month = divmod(int(value[:4]) * 12 + int(value[4:6]) - 1 + months, 12)
    day = min(int(value[6:8]), monthrange(year, month + 1)[1])
    return f"{year}{month + 1:02d}{day:02d}{value[8:]}"


def _stamped(
    content: Event,
    telling: int = 1,
    supersedes: str = "",
    *,
    test: bool = False,
    month: int = RECEIVED_AT.month,
    keyring: Keyring = KEYRING,
) -> Event:
    """The event of a claim that is told for the first, second … time, as an envelope would be that came in at that hour.

    Envelopes have no version: one that corrects the claim is over it by its day or the time of its receipt.
    No message is named, as none came.
    """
    received_at = RECEIVED_AT + timedelta(hours=telling - 1)
    return stamp(
        "hie.Claim",
        content,
        facility=content["ma_cskcb"],
        business_key=content["ma_lk"],
        origin=Origin("", received_at, {"sender": "simulation"}, test, f"2026{month:02d}23"),
        keyring=keyring,
        occurred_at=f"2026-{month:02d}-23T10:30:00+07:00",
        **({"supersedes": supersedes} if supersedes else {}),
    )


class _Maker:
    """Claims out of one seed."""

    def __init__(self, seed: int, facility_codes: Sequence[str] = ()) -> None:
        self._seed, self._chance = seed, random.Random(seed)  # noqa: S311  # repeatable, nothing secret
        self._pools = {group: pool(self._chance, benefit) for group, benefit in _BENEFITS.items()}
        self._of_communes: dict[str, bool] = {}
        self._groups, self._codes = tuple(self._pools), tuple(facility_codes) or tuple(facilities())

    def faulty(
        self, rates: Mapping[str, float], another: Callable[[], Event], *, keep: bool = False
    ) -> tuple[Event, Event, str, frozenset[Expected]]:
        """A right claim, the same with a fault drawn by its rate, or without; which fault, and what must be found.

        another: makes right claims, until one has the rows that the fault is about.
        keep:    the right claim stays as it is, and the wrong one is a copy.
        """
        names, weights = (*rates, ""), (*rates.values(), max(0.0, 1 - sum(rates.values())))
        name = self._chance.choices(names, weights)[0]
        if not name:
            right = another()
            return right, right, "", frozenset()
        fault: Fault = self._chance.choice(faults_of(name))
        for _ in range(_TRIES):
            right = another()
            content = deepcopy(right) if keep else right
            expected = fault.inject(self._chance, content)
            if expected:
                return right, content, fault.name, expected
        raise ValueError(f"{fault.name}: no claim has such a row")

    def claim(self, number: int, means: Means, days: int) -> Event:
        """A right claim; `days` of a stay that ends on 23/11/2026, 0 for an outpatient."""
        group = self._chance.choice(self._groups)
        facility, source = self._chance.choice(self._codes), self._pools[group]
        key = f"SIM{self._seed}.{number:08d}"
        xml2 = self._rows(source.drugs, self._count(means["xml2"]))
        xml3 = self._services(source, self._count(means["xml3"]))
        done = [row["ma_dich_vu"] for row in xml3 if "ma_vat_tu" not in row and row["ma_dich_vu"] in source.results]
        xml4 = self._results(source, dict.fromkeys(done), self._count(means["xml4"]))
        xml5 = self._rows(source.notes, self._count(means["xml5"]))
        xml1 = summary(self._chance, number, facility, group)
        if days:
            xml1 |= _stay(days)
            for row in (*xml2, *xml3, *xml4, *xml5):
                row |= _on(row, 23 - self._chance.randrange(days))
            xml3.append(_in_bed(source.bed, days))
        if in_full(totals(xml2, xml3)["t_tongchi_bh"]) or self._free(facility):
            for line in (*xml2, *xml3):
                pay_in_full(line)
        tables = {"xml2": xml2, "xml3": xml3, "xml4": xml4, "xml5": xml5}
        placed = {
            table: [{"ma_lk": key, "stt": stt, **row} for stt, row in enumerate(rows, 1)]
            for table, rows in tables.items()
            if rows
        }
        envelope = {"action": "SUBMITTED", "ma_cskcb": facility, "ma_lk": key, "ngaylap": "20261123"}
        return envelope | {"xml1": {"ma_lk": key, **xml1, **totals(xml2, xml3)}} | placed

    def _free(self, code: str) -> bool:
        """Whether the facility takes no co-payment on the day, as communes do (and whoever has no level)."""
        if code not in self._of_communes:
            place = facilities().get(code)
            level = place.level_on(_DAY) if place else ""
            commune = place is not None and place.kind == "commune station"
            self._of_communes[code] = commune or level in ("", "commune", "initial")
        return self._of_communes[code]

    def _count(self, mean: float) -> int:
        return int(mean) + (self._chance.random() < mean % 1)

    def _rows(self, source: Sequence[Event], count: int) -> list[Event]:
        return [row.copy() for row in self._chance.choices(source, k=count)]

    def _services(self, source: Pool, count: int) -> list[Event]:
        """The first is a test, which supplies and results may belong to."""
        if not count:
            return []
        rows = self._rows(source.tests, 1) + self._rows(source.services, count - 1)
        for row in rows:
            row["ma_dich_vu"] = row["ma_dich_vu"] or rows[0]["ma_dich_vu"]
        return rows

    def _results(self, source: Pool, done: Iterable[str], count: int) -> list[Event]:
        """So many, of services of the claim; each image has its conclusion, however few are asked."""
        told = [source.results[service] for service in done]
        images = [rows[0].copy() for rows in told if "ket_luan" in rows[0]]
        indices = [row for rows in told if "ket_luan" not in rows[0] for row in rows]
        return images + (self._rows(indices, max(0, count - len(images))) if indices else [])


def _stay(days: int) -> Event:
    came = f"202611{24 - days:02d}"
    return {
        "ngay_vao": f"{came}0730",
        "ngay_vao_noi_tru": f"{came}0800",
        "so_ngay_dtri": days,
        "ma_loai_kcb": "03",
    }


def _on(row: Event, day: int) -> Event:
    """The times of a row, on that day of the month."""
    return {name: f"202611{day:02d}{row[name][8:]}" for name in _TIMES if name in row}


def _in_bed(bed: Event, days: int) -> Event:
    price, benefit, all_of = bed["don_gia_bv"], bed["muc_huong"], Decimal(100)
    came = f"202611{24 - days:02d}0815"
    times = {"ngay_yl": came, "ngay_th_yl": came, "ngay_kq": "202611231000"}
    return bed | times | service_amounts(Decimal(days), price, price, all_of, all_of, benefit)
