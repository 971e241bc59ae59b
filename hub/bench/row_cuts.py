"""What the fund grants, a second time: cuts line by line, with `decimal` and plain Python.

Written from adjudication.md §3, §4.3 and the words of the rules; shares no code with `hub.insurer.rules`. It stands beside
`row_loop`, which has the formulas of money.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from hub.bench.row_listed import Listed, off_list
from hub.contract.directory import facilities
from hub.contract.events import Event

Row = Mapping[str, Any]

_CENT: Final = Decimal("0.01")
_NONE: Final = Decimal(0)
_ONE: Final = Decimal(1)
_NEEDED: Final = {
    "ma_may": ("1", "2", "3"),
    "nguoi_thuc_hien": ("1", "2", "3", "8", "18"),
    "ngay_th_yl": ("1", "2", "3", "8", "18"),
    "pp_vo_cam": ("8",),
    "ma_xang_dau": ("12",),
    "tt_thau": ("10",),
}


def granted(claim: Event, rejected: bool, listed: Listed | None = None) -> Decimal:
    """T_BHTT_GD: what is claimed less the cuts, nothing when the claim is rejected.

    claim:  as decoded; what is absent is None or "".
    listed: the catalogues, if there are any.
    """
    if rejected:
        return _NONE
    return (claim["xml1"]["t_bhtt"] or _NONE) - reduced(claim, listed)


def reduced(claim: Event, listed: Listed | None = None) -> Decimal:
    """All cuts of a claim, of each line and of the whole no more than the fund's share."""
    wanted: dict[tuple[str, int], Decimal] = defaultdict(Decimal)
    lines = [("xml2", place, line) for place, line in enumerate(claim["xml2"])]
    lines += [("xml3", place, line) for place, line in enumerate(claim["xml3"])]
    for table, place, line in lines:
        whole = sum(1 for why in _unpaid(claim, table, line) if why)
        wanted[table, place] += whole * _share(line)
    rate = granted_rate(claim)
    for table, place, line in lines:
        if rate is not None and (line["muc_huong"] or _NONE) > rate:
            right = ((line["thanh_tien_bh"] or _NONE) * rate / 100).quantize(_CENT, ROUND_HALF_UP)
            wanted[table, place] += max(_NONE, _share(line) - right)
        if listed is not None:
            wanted[table, place] += off_list(listed, claim["ma_cskcb"], table, line, rate)
    for place, amount in (*_beds(claim), *_stents(claim["xml3"]), *_dear(claim)):
        wanted["xml3", place] += amount
    taken = sum((min(max(_share(line), _NONE), wanted[table, place]) for table, place, line in lines), _NONE)
    return min(taken, max(claim["xml1"]["t_bhtt"] or _NONE, _NONE))


def _share(line: Row) -> Decimal:
    return line["t_bhtt"] or _NONE


def _time(text: str | None) -> datetime | None:
    try:
        return datetime.strptime(text or "", "%Y%m%d%H%M") if len(text or "") == 12 else None  # all of one zone
    except ValueError:
        return None


def _before(first: str | None, second: str | None) -> bool:
    return len(first or "") == len(second or "") == 12 and str(first) < str(second)


def _unpaid(claim: Event, table: str, line: Row) -> Iterator[bool]:
    """Reasons for which the fund pays nothing of a line: X02, X11, X13, X17."""
    came, left = claim["xml1"]["ngay_vao"], claim["xml1"]["ngay_ra"]
    ordered, done, told = line["ngay_yl"], line["ngay_th_yl"], line.get("ngay_kq")
    yield _before(ordered, came) or _before(left, ordered)
    yield _before(done, ordered)
    yield _before(told, done) or _before(told, ordered)
    if _before(left, told):
        end, result = _time(left[:8] + "0000"), _time(str(told)[:8] + "0000")
        yield end is not None and result is not None and (result - end).days > 60
    yield not _covered(claim["xml1"], ordered)
    if table == "xml3":
        yield from (line["ma_nhom"] in groups and not line[field] for field, groups in _NEEDED.items())
        yield _loose(claim["xml3"], line)


def _covered(summary: Row, ordered: str | None) -> bool:
    """X17: the card on the day of an order; fifteen days more for who came before it ended."""
    day = _time(f"{(ordered or '')[:8]}0000") if len(ordered or "") == 12 else None
    if day is None or not summary["ma_the_bhyt"]:
        return True
    first, last = (_end(summary[name], end) for name, end in (("gt_the_tu", min), ("gt_the_den", max)))
    came = _time(f"{summary['ngay_vao'][:8]}0000")
    grace = timedelta(days=15 if last and came and came <= last else 0)
    return not ((first and day < first) or (last and day > last + grace))


def _end(days: str, end: Callable[[list[datetime]], datetime]) -> datetime | None:
    each = [_time(f"{day.strip()}0000") for day in days.split(";")]
    read = [day for day in each if day]
    return end(read) if len(read) == len(each) else None


def _loose(lines: Sequence[Row], supply: Row) -> bool:
    if supply["ma_nhom"] not in ("10", "11") or not supply["goi_vtyt"]:
        return False
    services = [
        line for line in lines if not line["ma_vat_tu"] and (line["ma_dich_vu"] or "")[:15] == (supply["ma_dich_vu"] or "")[:15]
    ]
    return not any(not service["goi_vtyt"] or service["goi_vtyt"] == supply["goi_vtyt"] for service in services)


def _part(line: Row, of: Decimal, whole: Decimal) -> Decimal:
    return (_share(line) * of / whole).quantize(_CENT, ROUND_HALF_UP)


def _beds(claim: Event) -> Iterator[tuple[int, Decimal]]:
    """X12: a bed that there cannot be; more than one a day; more days than the stay has."""
    summary = claim["xml1"]
    form, left = summary["ma_loai_kcb"], _time(summary["ngay_ra"])
    came = _time(summary["ngay_vao_noi_tru"]) or _time(summary["ngay_vao"])
    days: dict[object, Decimal] = defaultdict(Decimal)
    kept = _NONE
    for place, line in enumerate(claim["xml3"]):
        if line["ma_nhom"] not in ("14", "15", "16"):
            continue
        if form in ("01", "05", "07", "09") or (form in ("02", "08") and line["ma_nhom"] != "14"):
            yield place, _share(line)
        if came and left and (left - came).total_seconds() < 4 * 3600:
            yield place, _share(line)
        begun, ended, quantity = _time(line["ngay_th_yl"]) or _time(line["ngay_yl"]), _time(line["ngay_kq"]), line["so_luong"]
        if not quantity:
            continue
        crowded = _NONE
        if begun and quantity <= 1:
            crowded = min(quantity, max(_NONE, days[begun.date()] + quantity - 1))
            days[begun.date()] += quantity
        elif begun and ended:
            crowded = max(_NONE, quantity - ((ended.date() - begun.date()).days + 1))
        yield place, _part(line, crowded, quantity)
        if summary["so_ngay_dtri"] is not None:
            mine = quantity - crowded
            yield place, _part(line, min(mine, max(_NONE, kept + mine - summary["so_ngay_dtri"])), quantity)
            kept += mine


def _stents(lines: Sequence[Row]) -> Iterator[tuple[int, Decimal]]:
    """X14: half of each further stent of one service that is claimed at more than half."""
    before: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for place, line in enumerate(lines):
        if line["ma_nhom"] not in ("10", "11") or not (line["ten_vat_tu"] or "").lower().startswith("stent"):
            continue
        ratio = (line["tyle_tt_bh"] or _NONE) * (100 if line["tyle_tt_dv"] is None else line["tyle_tt_dv"]) / 100
        quantity = line["so_luong"] or _NONE
        if ratio <= 50 or quantity < 1:
            continue
        of = (line["ma_dich_vu"] or "", line["goi_vtyt"] or "")
        further = min(quantity, max(_NONE, before[of] + quantity - _ONE))
        before[of] += quantity
        yield place, _part(line, further, 2 * quantity)


def _dear(claim: Event) -> Iterator[tuple[int, Decimal]]:
    """C33: the supplies of one package beyond 45 base salaries, for cards of levels 2 to 4."""
    cards = [card.strip().upper() for card in claim["xml1"]["ma_the_bhyt"].split(";")]
    if not all(len(card) == 15 and card[:2].isalpha() and card[2] in "234" for card in cards):
        return
    limit = 45 * _salary(_day(claim))
    spent: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for place, line in enumerate(claim["xml3"]):
        cost = line["thanh_tien_bh"]
        if line["ma_nhom"] not in ("10", "11") or not line["goi_vtyt"] or not cost:
            continue
        of = (line["ma_dich_vu"] or "", line["goi_vtyt"])
        spent[of] += cost
        yield place, _part(line, min(cost, max(_NONE, spent[of] - limit)), cost)


# --- the benefit rate -------------------------------------------------------------------------------------------------

_LEVELS: Final = {"1": Decimal(100), "2": Decimal(100), "5": Decimal(100), "3": Decimal(95), "4": Decimal(80)}
_ON_ROUTE: Final = (
    "1.1",
    "1.2",
    "1.3",
    "1.4",
    "1.5",
    "1.6",
    "1.7",
    "1.8",
    "1.9",
    "1.10",
    "1.11",
    "1.12",
    "1.15",
    "1.16",
    "1.17",
    "2",
    "3.2",
    "3.3",
    "3.6",
    "7",
    "7.1",
    "7.2",
    "7.3",
    "7.4",
    "10",
)
_SELF_REFERRED: Final = {"1.13": 50, "1.14": 50, "1.18": 50, "3.1": 0, "3.5": 0, "9": 0}
_SALARY, _SALARY_BEFORE = Decimal(2_530_000), Decimal(2_340_000)
_SALARY_SINCE: Final = "20260701"


def _day(claim: Event) -> str:
    left = claim["xml1"]["ngay_ra"]
    return str(left[:8] if len(left) >= 8 else claim["ngaylap"])


def _salary(day: str) -> Decimal:
    return _SALARY if day >= _SALARY_SINCE else _SALARY_BEFORE


def granted_rate(claim: Event) -> Decimal | None:
    """MUC_HUONG that X07 allows since 2024, in percent; None where it cannot be known. Source: identifiers.md §2."""
    summary = claim["xml1"]
    category, stay = summary["ma_doituong_kcb"], summary["ma_loai_kcb"] in ("03", "04", "09")
    day = _day(claim)
    if category not in (*_ON_ROUTE, *_SELF_REFERRED):
        return None
    part = _SELF_REFERRED.get(category, 100)
    if category == "3.1" and stay:
        part = 100 if summary["ma_khuvuc"] else 40
    if part == 50 and day < _SALARY_SINCE:
        part = 0
    if part == 0:
        return _NONE
    cards = [card.strip().upper() for card in summary["ma_the_bhyt"].split(";")]
    if not all(len(card) == 15 and card[:2].isalpha() and card[2] in _LEVELS for card in cards):
        return None
    level = max(_LEVELS[card[2]] for card in cards)
    if part < 100:
        return level * part / 100
    place = facilities().get(claim["ma_cskcb"])
    on = place.level_on(date(int(day[:4]), int(day[4:6]), int(day[6:]))) if place else ""
    free = not on or on in ("commune", "initial") or (place is not None and place.kind == "commune station")
    salary = _salary(day)
    cost, exempt = summary["t_tongchi_bh"], summary["ngay_mien_cct"]
    free = free or cost is None or cost < salary * 15 / 100 or bool(exempt and exempt[:8] <= day)
    return Decimal(100) if free else level
