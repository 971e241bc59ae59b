"""The monthly statement of one facility, in the layout of forms 79a (outpatient) and 80a (inpatient).

Claims in force of the month (see `hub.insurer.views`), by form and by section: A registered at the facility (first MA_DKBD), B
registered elsewhere in its province (first two digits), C in other provinces. Inpatient are MA_LOAI_KCB 03, 04, 09
(adjudication.md §2); all others stand in 79a. Of each form: the totals of XML1, the costs of XML2 and XML3 by MA_NHOM, what was
cut and by which rule, and every rejected claim by MA_LK. Nobody is named. T_BHTT = granted + cut + refused.

Source: adjudication.md §3; forms 79a-HD, 80a-HD of the Ministry of Finance, their sections from general practice.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import duckdb

from hub.contract.directory import facilities
from hub.contract.errors import HubError
from hub.insurer.promoted import AGAIN
from hub.insurer.settlement import TOLD
from hub.insurer.views import PLACE, opened

Both = tuple[str, str]
"""A text in Vietnamese and in English."""

TITLES: Final[dict[str, Both]] = {
    "79a": ("Khám chữa bệnh ngoại trú đề nghị thanh toán (79a)", "Outpatient care claimed (79a)"),
    "80a": ("Khám chữa bệnh nội trú đề nghị thanh toán (80a)", "Inpatient care claimed (80a)"),
}


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table of the statement. rows: text, whole number, Decimal VND or a text in both languages; total: the last row is the sum; note: stands below it."""

    title: Both
    heads: tuple[Both, ...]
    rows: list[tuple[Any, ...]]
    total: bool = False
    note: Both = ("", "")


@dataclass(frozen=True, slots=True)
class Form:
    """Form 79a or 80a of the month; no sheets but the totals when it has no claim."""

    code: str
    claims: int
    sheets: list[Sheet]


@dataclass(frozen=True, slots=True)
class Statement:
    """What one facility claimed for one month (YYYY-MM), and what became of it.

    adjustments: what was found after the decisions and settled with this month, by rule, of claims in force; below zero in the
                 facility's favour. Its note says what is of claims corrected or withdrawn since, and falls away at the next closing.
    corrections: what the forms have already: what came after the month was settled, as the difference to the settlement, and what
                 each promotion (R01) changed.
    granted:     by the decisions in force, VND.
    adjusted:    to be deducted of it, VND.
    """

    facility: str
    name: str
    name_en: str
    month: str
    forms: list[Form]
    adjustments: Sheet
    corrections: Sheet
    granted: Decimal
    adjusted: Decimal

    @property
    def payable(self) -> Both:
        """What is to be paid, as one sentence."""
        granted, adjusted, left = (amount(one) for one in (self.granted, self.adjusted, self.granted - self.adjusted))
        return (
            f"Số phải thanh toán: {left} (chấp nhận {granted}, trừ điều chỉnh {adjusted})",
            f"To be paid: {left} (granted {granted}, less adjustments {adjusted})",
        )


def statement(folder: Path, facility: str, month: str) -> Statement:
    """The statement that the ledger in a folder gives now; of a month without claims it is empty.

    Raises: HubError(NOT_FOUND) for a facility that neither the directory nor the ledger knows; duckdb.Error, deltalake's DeltaError.
    """
    known = facilities().get(facility)
    with opened(folder) as database:
        if known is None and not database.execute(_KNOWN, {"facility": facility}).fetchall():
            raise HubError("NOT_FOUND", f"facility {facility}")
        asked = {"facility": facility, "month": month}
        database.execute(_ASKED, asked)
        forms = [_form(database, code) for code in TITLES]
        adjusted = database.execute(_ADJUSTED, asked | {"told": TOLD}).fetchall()
        ((granted,),) = database.execute("select coalesce(sum(t_bhtt_gd), 0) from asked").fetchall()
    taken, falling = (sum((row[-1] for row in adjusted if row[:2] == (stands, "C")), Decimal(0)) for stands in (True, False))
    found = [row[2:] for row in adjusted if row[0] and row[1] != TOLD]
    late = [(*row[2:-1], -row[-1]) for row in adjusted if row[1] == TOLD]
    names = (known.name, known.name_en) if known else ("", "")
    adjustments = replace(_by_rule(_AFTERWARDS, found), note=_falling(falling))
    corrections = _by_rule(_CORRECTED, late, _DIFFERENCE)
    return Statement(facility, *names, month, forms, adjustments, corrections, granted, taken)


def masked(found: Statement, mask: Callable[[object], str]) -> Statement:
    """The same statement with what stands for MA_LK, the one thing in it that leads to a patient, put through `mask`."""
    return replace(found, forms=[replace(form, sheets=[_masked(sheet, mask) for sheet in form.sheets]) for form in found.forms])


def _masked(sheet: Sheet, mask: Callable[[object], str]) -> Sheet:
    if _MA_LK not in sheet.heads:
        return sheet
    at = sheet.heads.index(_MA_LK)
    return replace(sheet, rows=[(*row[:at], mask(row[at]), *row[at + 1 :]) for row in sheet.rows])


def amount(value: Decimal) -> str:
    """VND as Vietnamese papers write it: 1.234.567,89."""
    return f"{value:,.2f}".translate({ord(","): ".", ord("."): ","})


# --- what is asked ----------------------------------------------------------------------------------------------------

_KNOWN: Final = "select 1 from claims where ma_cskcb = $facility or facility = $facility limit 1"
_ASKED: Final = """
create temp table asked as select *,
    if(lpad(ma_loai_kcb, 2, '0') in ('03', '04', '09'), '80a', '79a') as form,
    case when left(ma_dkbd, 5) = ma_cskcb then 'A' when left(ma_dkbd, 2) = left(ma_cskcb, 2) then 'B' else 'C' end as section
from claims_in_force where ma_cskcb = $facility and month = $month
"""
_MONEY: Final[dict[str, Both]] = {
    "t_tongchi_bv": ("Tổng chi phí", "total cost"),
    "t_tongchi_bh": ("Trong phạm vi BHYT", "insured"),
    "t_bntt": ("Người bệnh tự trả", "own payment"),
    "t_bncct": ("Cùng chi trả", "co-payment"),
    "t_nguonkhac": ("Nguồn khác", "other sources"),
    "t_bhtt": ("Đề nghị quỹ BHYT", "claimed of the fund"),
    "cut": ("Giảm trừ", "cut"),
    "refused": ("Từ chối", "refused"),
    "t_bhtt_gd": ("Quỹ BHYT chấp nhận", "granted"),
}
_SUMS: Final = ", ".join(
    f"coalesce(sum({name}), 0)::decimal(38, 2)"
    for name in (
        *(name for name in _MONEY if name not in ("cut", "refused", "t_bhtt_gd")),
        "t_bhtt - t_bhtt_gd) filter (verdict = 'REDUCED'",
        "t_bhtt) filter (verdict = 'REJECTED'",
        "t_bhtt_gd",
    )
)
_SECTIONS: Final = f"""
select section, count(*), count(*) filter (verdict = 'REJECTED'), coalesce(sum(so_ngay_dtri), 0)::bigint, {_SUMS}
from asked where form = $form group by rollup (section) order by section nulls last
"""
_GROUPS: Final = f"""
select ma_nhom, coalesce(any_value(meaning_vi), ''), coalesce(any_value(meaning_en), ''), count(*),
    coalesce(sum(thanh_tien_bv), 0), coalesce(sum(thanh_tien_bh), 0), coalesce(sum(t_bhtt), 0), sum(reduction)
from lines_in_force semi join (from asked where form = $form) using ({PLACE})
left join (from codes where list = 'MA_NHOM') as kind on kind.code = ma_nhom
group by rollup (ma_nhom) having count(*) > 0 order by grouping(ma_nhom), try_cast(ma_nhom as integer), ma_nhom
"""
_RULES: Final = f"""
select rule, any_value(text_vi), any_value(text_en), count(*), sum(amount)
from reductions join (from asked where form = $form) using ({PLACE}) where severity = 'C' group by rule order by sum(amount) desc, rule
"""
_REJECTED: Final = f"""
select asked.ma_lk, asked.day, rule, text_vi, text_en, amount
from reductions join (from asked where form = $form) as asked using ({PLACE}) where severity = 'E' order by asked.ma_lk
"""

_ADJUSTED: Final = f"""
with held as (
    select *, severity = $told or event_id in (select event_id from claims_in_force) as stands from adjustments
    where facility = $facility and period = $month and coalesce(reverses, '') = ''
    and coalesce(adjustment_id, '') not in (select reverses from adjustments where reverses <> '')
), told as (
    select * replace (if(rule = '{AGAIN}', regexp_replace(text_vi, '\\): .*$', ')'), text_vi) as text_vi,
        if(rule = '{AGAIN}', regexp_replace(text_en, '\\): .*$', ')'), text_en) as text_en),
        if(rule = '{AGAIN}', closed_at, null) as promoted_at
    from held
)
select stands, severity, rule, string_agg(distinct text_vi, '; ' order by text_vi), string_agg(distinct text_en, '; ' order by text_en),
    count(distinct coalesce(key, event_id)), sum(reduction)
from told group by stands, severity, rule, promoted_at order by promoted_at nulls first, sum(reduction) desc, rule
"""  # without what was taken back; a row a promotion, without its reasons by claim; a claim that was corrected again is one claim still

_TOTAL: Final = ("Cộng", "total")
_OF_SECTIONS: Final[dict[str | None, Both]] = {
    "A": ("A. Đăng ký tại cơ sở", "registered here"),
    "B": ("B. Nội tỉnh đến", "same province"),
    "C": ("C. Ngoại tỉnh đến", "other provinces"),
    None: _TOTAL,
}
_COUNTS: Final[tuple[Both, ...]] = (("Số hồ sơ", "claims"), ("Hồ sơ bị từ chối", "rejected"), ("Ngày điều trị", "days"))
_CLAIMED: Final = 1 + len(_COUNTS) + list(_MONEY).index("t_bhtt")  # of a row of _SECTIONS
_MA_LK: Final = ("MA_LK", "encounter")
_RULE: Final = ("Quy tắc", "rule")
_REASON: Final = ("Lý do", "reason")
_AMOUNT: Final = ("Số tiền", "amount")
_AFTERWARDS: Final = ("Điều chỉnh sau quyết định", "Adjustments after the decisions")
_CORRECTED: Final = (
    "Sửa sau quyết toán và giám định lại, đã nằm trong các số trên",
    "Corrections after settlement and adjudications again, already in the sums above",
)
_DIFFERENCE: Final = ("Chênh lệch so với trước", "difference to before")


def _form(database: duckdb.DuckDBPyConnection, code: str) -> Form:
    def rows(query: str) -> list[tuple[Any, ...]]:
        return database.execute(query, {"form": code}).fetchall()

    sections, groups, rules, rejected = map(rows, (_SECTIONS, _GROUPS, _RULES, _REJECTED))
    claims = sections[-1][1] if sections else 0
    if not claims:
        return Form(code, 0, [])
    sheets = [
        _totals(sections),
        _costs(groups, sections[-1][_CLAIMED]),
        _by_rule(("Giảm trừ theo quy tắc", "Cuts by rule"), rules),
        Sheet(
            ("Hồ sơ bị từ chối", "Rejected claims"),
            (_MA_LK, ("Ngày", "day"), _RULE, _REASON, ("T_BHTT", "claimed")),
            [(ma_lk, _day(day), rule, (vi, en), claimed) for ma_lk, day, rule, vi, en, claimed in rejected],
        ),
    ]
    return Form(code, claims, sheets)


def _totals(sections: Sequence[tuple[Any, ...]]) -> Sheet:
    """A row for each sum of XML1, a column for each section: amounts of a province need the room."""
    known = {section: sums for section, *sums in sections}
    rows = []
    for at, name in enumerate((*_COUNTS, *_MONEY.values())):
        nothing = 0 if at < len(_COUNTS) else Decimal(0)
        rows.append((name, *(known[section][at] if section in known else nothing for section in _OF_SECTIONS)))
    return Sheet(("Tổng hợp theo nhóm người bệnh", "Totals by section"), (("Chỉ tiêu", "sum"), *_OF_SECTIONS.values()), rows)


def _costs(groups: Sequence[tuple[Any, ...]], claimed: Decimal) -> Sheet:
    """claimed: T_BHTT of XML1, to which that of the lines is compared."""
    names = ("t_tongchi_bv", "t_tongchi_bh", "t_bhtt", "cut")
    heads = (("Mã", "code"), ("Nhóm chi phí", "group of costs"), ("Số dòng", "lines"), *(_MONEY[name] for name in names))
    rows = [(group or "", (vi, en), *sums) for group, vi, en, *sums in groups]
    if rows:
        rows[-1] = ("", _TOTAL, *rows[-1][2:])
    off = sum((row[5] for row in rows[-1:]), Decimal(0)) - claimed
    return Sheet(("Chi phí theo nhóm (MA_NHOM)", "Costs by group"), heads, rows, total=bool(rows), note=_off(off))


def _off(amount_off: Decimal) -> Both:
    if not amount_off:
        return "", ""
    told = ("+" if amount_off > 0 else "") + amount(amount_off)
    return (
        f"Đề nghị quỹ BHYT chênh {told} so với bảng tổng hợp: có hồ sơ mà tổng không khớp các dòng (bị từ chối, hoặc trong sai số của X05).",
        f"Claimed of the fund is {told} to the totals by section: lines of some claims do not add up to their sum (rejected, or within X05's tolerance).",
    )


def _falling(amount_of: Decimal) -> Both:
    if not amount_of:
        return "", ""
    told = amount(amount_of)
    return (
        f"Không trừ {told} của hồ sơ đã được sửa hoặc thu hồi: hết hiệu lực khi đóng lại tháng.",
        f"{told} of claims that were corrected or withdrawn since is not deducted: it falls away when the month is closed again.",
    )


def _by_rule(title: Both, rules: Sequence[tuple[Any, ...]], money: Both = _AMOUNT) -> Sheet:
    heads = (_RULE, _REASON, ("Số hồ sơ", "claims"), money)
    return Sheet(title, heads, [(rule, (vi, en), count, taken) for rule, vi, en, count, taken in rules])


def _day(text: str) -> str:
    return f"{text[6:8]}/{text[4:6]}/{text[:4]}"
