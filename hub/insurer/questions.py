"""Ready questions to the ledger: each a name, what it answers, and its SQL over the views of `hub.insurer.views`.

All take the same three parameters, and leave out what is null: month (YYYY-MM), facility (MA_CSKCB), limit (rows). Unless a
question says otherwise it is about claims in force, as the newest promotion left them. Columns are named as the standard's elements; of
their own are `cut` (taken off claims that were reduced), `refused` (claimed by claims that were rejected), `payable` (t_bhtt_gd less
what was found afterwards) and percentages. t_bhtt = t_bhtt_gd + cut + refused.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb

from hub.contract.errors import HubError
from hub.insurer.rules.benefit import base_salaries
from hub.insurer.views import PLACE, opened

PERSON: Final = "person"
"""Column that names a person; it leaves `ask` as a hash."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question; `sql` goes behind the common table `asked`, the claims in force that are asked for."""

    name: str
    en: str
    vi: str
    sql: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Names of the columns, and the rows in the order of the question. Amounts are Decimal VND."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def as_dicts(self) -> list[dict[str, Any]]:
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


_ASKED: Final = """
with asked as (
    select * from claims_in_force where ($month::varchar is null or month = $month) and ($facility::varchar is null or ma_cskcb = $facility)
)
"""
_STATED: Final = (
    "stated where ($month::varchar is null or month = $month) and ($facility::varchar is null or ma_cskcb = $facility)"
)

_MONEY: Final = """
    count(*) as claims,
    coalesce(sum(t_tongchi_bv), 0) as t_tongchi_bv,
    coalesce(sum(t_bhtt), 0) as t_bhtt,
    sum(t_bhtt_gd) as t_bhtt_gd,
    coalesce(sum(t_bhtt - t_bhtt_gd) filter (verdict = 'REDUCED'), 0) as cut,
    coalesce(sum(t_bhtt) filter (verdict = 'REJECTED'), 0) as refused,
    count(*) filter (verdict = 'REJECTED') as rejected,
    coalesce(sum(payable), 0) as payable"""


def _percent(part: str, whole: str) -> str:
    return f"(100 * {part} / nullif({whole}, 0))::decimal(5, 1)"


_SHARES: Final = ",\n    ".join(
    f"coalesce(sum({name}), 0) as {name}, {_percent(f'sum({name})', 'sum(t_tongchi_bv)')} as {name}_percent"
    for name in ("t_bhtt", "t_bncct", "t_bntt", "t_nguonkhac")
)
_SALARIES: Final = ", ".join(f"('{day:%Y%m%d}', {amount}::decimal(18, 2))" for day, amount in base_salaries())

QUESTIONS: Final[dict[str, Question]] = {
    question.name: question
    for question in (
        Question(
            "totals",
            "Control totals that a sender compares with its own: counts and money by facility and month.",
            "Số liệu đối chiếu với bên gửi: số hồ sơ và số tiền theo cơ sở và tháng.",
            """
            select ma_cskcb, month, count(*) as claims, coalesce(sum(t_tongchi_bv), 0) as t_tongchi_bv,
                coalesce(sum(t_tongchi_bh), 0) as t_tongchi_bh, coalesce(sum(t_bhtt), 0) as t_bhtt, coalesce(sum(payable), 0) as payable,
                max(stated_at) as newest
            from asked group by ma_cskcb, month order by ma_cskcb, month""",
        ),
        Question(
            "facility",
            "Claims and money by facility, most money first.",
            "Hồ sơ và số tiền theo cơ sở, nhiều tiền nhất trước.",
            f"select ma_cskcb, {_MONEY} from asked group by ma_cskcb order by t_bhtt desc, ma_cskcb",
        ),
        Question(
            "month",
            "Claims and money by month.",
            "Hồ sơ và số tiền theo tháng.",
            f"select month, {_MONEY} from asked group by month order by month",
        ),
        Question(
            "disease",
            "Claims and money by group of the main diagnosis (first three characters of MA_BENH_CHINH).",
            "Hồ sơ và số tiền theo nhóm bệnh chính (ba ký tự đầu của MA_BENH_CHINH).",
            f"select left(ma_benh_chinh, 3) as icd, {_MONEY} from asked group by icd order by t_bhtt desc, icd",
        ),
        Question(
            "drug",
            "Quantity and money by drug (XML2), most money of the fund first; `reduction` is what cuts of its lines took.",
            "Số lượng và số tiền theo thuốc (XML2), quỹ chi nhiều nhất trước; `reduction` là số tiền bị giảm trừ của các dòng.",
            f"""
            select ma_thuoc, don_vi_tinh, min(ten_thuoc) as ten_thuoc, count(*) as lines, sum(so_luong) as so_luong,
                coalesce(sum(thanh_tien_bv), 0) as thanh_tien_bv, coalesce(sum(thanh_tien_bh), 0) as thanh_tien_bh,
                coalesce(sum(t_bhtt), 0) as t_bhtt, sum(reduction) as reduction
            from lines_in_force semi join asked using ({PLACE}) where "table" = 'XML2'
            group by ma_thuoc, don_vi_tinh order by t_bhtt desc, ma_thuoc, don_vi_tinh""",
        ),
        Question(
            "shares",
            "Who pays, by form of treatment (MA_LOAI_KCB): the fund, the co-payment, the patient, other sources; as claimed.",
            "Ai chi trả, theo hình thức khám chữa bệnh (MA_LOAI_KCB): quỹ, cùng chi trả, tự trả, nguồn khác; theo đề nghị.",
            f"""
            select ma_loai_kcb, any_value(meaning_vi) as meaning_vi, any_value(meaning_en) as meaning_en, count(*) as claims,
                coalesce(sum(t_tongchi_bv), 0) as t_tongchi_bv, {_SHARES}
            from asked left join (from codes where list = 'MA_LOAI_KCB') as form on form.code = lpad(ma_loai_kcb, 2, '0')
            group by ma_loai_kcb order by ma_loai_kcb""",
        ),
        Question(
            "copayments",
            "Co-payments of a person in a year against six base salaries, over all facilities, up to the month asked for; claims that are "
            "rejected, after promotions too, are left out, as H08 does. The person is a hash of SO_CCCD, else of the number of the first card. With a facility: who was seen there.",
            "Tổng cùng chi trả của một người trong năm so với sáu tháng lương cơ sở, tại mọi cơ sở, đến tháng được hỏi; không tính hồ sơ bị từ chối (kể cả sau "
            "giám định lại), như H08. "
            "Người được hiển thị bằng mã băm của SO_CCCD, nếu không có thì của số thẻ đầu tiên. Nếu hỏi một cơ sở: người đã khám tại đó.",
            f"""
            , year_of as (
                select coalesce(nullif(trim(so_cccd), ''), right(trim(split_part(ma_the_bhyt, ';', 1)), 10)) as {PERSON},
                    left(day, 4) as year, count(*) as claims, coalesce(sum(t_bncct), 0) as t_bncct, max(day) as last_day,
                    min(nullif(nam_nam_lien_tuc, '')) as nam_nam_lien_tuc
                from claims_in_force
                where verdict <> 'REJECTED' and ($month::varchar is null or (left(month, 4) = left($month, 4) and month <= $month))
                group by all having {PERSON} <> '' and ($facility::varchar is null or bool_or(ma_cskcb = $facility))
            )
            select {PERSON}, year, claims, t_bncct, 6 * amount as six_salaries, t_bncct > six_salaries as above, nam_nam_lien_tuc
            from year_of asof join (values {_SALARIES}) as salary (since, amount) on last_day >= since
            order by t_bncct desc, {PERSON}, year""",
        ),
        Question(
            "reductions",
            "What the fund does not pay, by rule and facility: cuts (C), rejected claims by the first finding that rejects them (E), and what "
            "was found after the decisions (C; below zero: paid besides).",
            "Số tiền quỹ không chi trả, theo quy tắc và cơ sở: giảm trừ (C), hồ sơ bị từ chối theo lỗi đầu tiên (E), và điều chỉnh sau quyết định "
            "(C; số âm: trả thêm).",
            f"""
            select rule, severity, ma_cskcb, count(*) as claims, sum(amount) as amount, any_value(text_vi) as text_vi,
                any_value(text_en) as text_en
            from (from reductions union all by name from adjusted) join (select {PLACE}, ma_cskcb from asked) using ({PLACE})
            group by rule, severity, ma_cskcb order by amount desc, rule, ma_cskcb""",
        ),
        Question(
            "dialects",
            "Share of rejected claim events by the dialect of the sender's software; of all revisions, corrected or not.",
            "Tỷ lệ hồ sơ bị từ chối theo phần mềm của bên gửi; tính mọi phiên bản, kể cả đã sửa.",
            f"""
            select source_dialect, count(distinct event_id) as events,
                count(distinct event_id) filter (verdict = 'REJECTED') as rejected, {_percent("rejected", "events")} as rejected_percent
            from {_STATED} and action <> 'CANCELLED' group by source_dialect order by rejected_percent desc, source_dialect""",
        ),
        Question(
            "resends",
            "How often a facility states its claims anew: corrections and cancellations of all claims.",
            "Cơ sở gửi lại hồ sơ bao nhiêu lần: thay thế và hủy, trên mọi hồ sơ.",
            f"""
            select ma_cskcb, count(distinct key) as claims, count(distinct event_id) as events, events - claims as resent,
                {_percent("resent", "claims")} as resent_percent, count(distinct event_id) filter (action = 'CANCELLED') as cancelled
            from {_STATED} group by ma_cskcb order by resent desc, ma_cskcb""",
        ),
        Question(
            "heavy",
            "The dearest claims.",
            "Hồ sơ có chi phí cao nhất.",
            f"""
            select ma_cskcb, ma_lk, ma_loai_kcb, ma_benh_chinh, so_ngay_dtri, coalesce(lines, 0) as lines, t_tongchi_bv, t_bhtt, t_bhtt_gd, verdict
            from asked left join (select {PLACE}, count(*) as lines from lines_in_force group by all) using ({PLACE})
            order by t_tongchi_bv desc nulls last, ma_cskcb, ma_lk""",
        ),
    )
}  # fmt: skip
"""Every question by its name. What comes from outside is a parameter and never part of the SQL."""


def ask(
    folder: Path, name: str, *, hashed: Callable[[str], str], month: str | None = None, facility: str | None = None, limit: int | None = None
) -> Answer:  # fmt: skip
    """The answer that the ledger in a folder gives to a question now.

    hashed: what stands for the identifier of a person; it must not be computable without a secret.
    Raises: HubError(NOT_FOUND) for a question that there is not, duckdb.Error.
    """
    if name not in QUESTIONS:
        raise HubError("NOT_FOUND", f"the questions are {', '.join(QUESTIONS)}")
    with opened(folder) as database:
        found = answer(database, name, month, facility, limit)
    if PERSON in found.columns:
        place = found.columns.index(PERSON)
        rows = [(*row[:place], hashed(row[place]), *row[place + 1 :]) for row in found.rows]
        return Answer(found.columns, rows)
    return found


def answer(
    database: duckdb.DuckDBPyConnection,
    name: str,
    month: str | None = None,
    facility: str | None = None,
    limit: int | None = None,
) -> Answer:
    """The same of a ledger that is open, with persons as it has them."""
    asked = {"month": month, "facility": facility, "limit": limit}
    cursor = database.execute(f"{_ASKED}{QUESTIONS[name].sql}\nlimit $limit", asked)
    return Answer(tuple(column[0] for column in cursor.description or ()), cursor.fetchall())
