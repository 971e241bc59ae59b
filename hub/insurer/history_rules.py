"""The table of rules across claims (H01 to H09), and what each of them cuts.

They look at the claims of one person, desk or performer side by side, which a single claim does not show; so they run over
a closed month and what they find is an adjustment. Every rule is one pass over sorted rows and never a pairing of all with
all, so that a placeholder that thousands of claims share (a patient number, a licence) costs no more than other rows do.

Times are whole numbers YYYYMMDDHHMM, which compare as times do; money is whole hundredths of a đồng.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from hub.contract.slip_life import last_day
from hub.insurer.rules.benefit import base_salaries

INPATIENT: Final = ("03", "04", "09")
"""MA_LOAI_KCB of stays; who is treated by day (04) sleeps at home and may be seen elsewhere."""

EXAMINATIONS_A_DAY: Final = 65

_ON_REFERRAL, _ON_FOLLOW_UP, _EMERGENCY, _UNINSURED = "1.3", "1.5", "2", "9"  # MA_DOITUONG_KCB
_OFF_ROUTE: Final = "3."
_OPERATION, _HANDS_ON, _EXAMINATION = 8, (8, 18), 13  # MA_NHOM
_ONCE_A_DAY: Final = (1, 2, 3, 8, 9, 18, 19)

CUTS: Final[dict[str, pl.DataType]] = {"claim": pl.UInt32(), "line": pl.UInt32(), "wanted": pl.Int64(), "other": pl.UInt32()}
"""What a rule finds: `claim` and `other` are places in `History.claims`, `line` one in `History.lines` (null: the whole
claim), `wanted` hundredths (null: all that is left; below zero: in the patient's favour)."""

ADJUSTED: Final[dict[str, pl.DataType]] = {"rule": pl.String(), **CUTS, "reduction": pl.Int64()}


@dataclass(frozen=True, slots=True)
class History:
    """Claims in force that were not rejected, with what the fund grants for them, up to the end of a month.

    year:   first of January of the month's year.
    claims: all, or all of some people, in the fixed order (NGAY_RA, received_at, event_id); `claim` is the place in it.
            now: the claim's day lies in the month.  recent: its lines are there.
            facility, person, day, arrived, admitted, ended, form, category, referred_from, slip, icd, died,
            five_years (date), t_bncct, granted.
    lines:  by claim, table, STT; `line` is the place. Those of recent claims that the rules of this part can ask for:
            for `OF_PERSON` all of people who have a claim of the month and another one, for `OF_ALL` `examination` and `hands_on`.
            claim, table, group, code and doctor (numbers that stand for them), at (NGAY_TH_YL, else NGAY_YL), until (NGAY_KQ),
            days (of supply, XML2), performers, outside (sub-contracted), dialysis, granted.
    """

    year: date
    claims: pl.DataFrame
    lines: pl.DataFrame


@dataclass(frozen=True, slots=True)
class HistoryRule:
    """One row of the table.  severity: C cuts (or gives), W is told with a reduction of nothing."""

    id: str
    severity: str
    find: Callable[[History], pl.LazyFrame]
    vi: str
    en: str
    source: str = "adjudication.md §4.5"


def adjust(rules: Sequence[HistoryRule], history: History, earlier: pl.DataFrame) -> pl.DataFrame:
    """Rules in their order: each takes of a line, and of a claim, what those before it left.

    earlier: claim, line and reduction of what other months, and rules before these, have taken already.
    Returns: columns of `ADJUSTED`, by rule, claim and line; of each the claim or the other one is of this month.
             A cut that finds nothing left is no row.
    """
    done = [earlier.select("claim", "line", "reduction")]
    adjusted = [pl.DataFrame(schema=ADJUSTED)]
    for rule in rules:
        found = rule.find(history).select(pl.col(name).cast(dtype) for name, dtype in CUTS.items()).collect()
        now = history.claims.get_column("now")
        of_now = now.gather(found.get_column("claim")) | now.gather(found.get_column("other")).fill_null(False)
        found = found.filter(of_now).sort("claim", "line", "other", nulls_last=False)
        found = found.unique(["claim", "line"], keep="first", maintain_order=True).with_columns(rule=pl.lit(rule.id))
        if rule.severity == "W":
            found = found.with_columns(reduction=pl.lit(0, dtype=pl.Int64))
        else:
            found = _taken(history, found, pl.concat(done)).filter(pl.col("reduction") != 0)
        adjusted.append(found.select(*ADJUSTED))
        done.append(found.select("claim", "line", "reduction"))
    return pl.concat(adjusted)


def _taken(history: History, found: pl.DataFrame, done: pl.DataFrame) -> pl.DataFrame:
    """The reduction of each row: no more than its line has left, and together no more than the claim has left."""
    col = pl.col
    done = done.filter(col("reduction") > 0)
    of_claim = done.group_by("claim").agg(col("reduction").sum().alias("of_claim"))
    of_line = done.drop_nulls("line").group_by("line").agg(col("reduction").sum().alias("of_line"))
    left = found.join(of_claim, on="claim", how="left", maintain_order="left").join(
        of_line, on="line", how="left", maintain_order="left"
    )
    granted = history.claims.get_column("granted").gather(found.get_column("claim"))
    of_lines = history.lines.get_column("granted").gather(found.get_column("line"))
    left = left.with_columns(
        claim_left=granted - col("of_claim").fill_null(0),
        line_left=pl.coalesce(of_lines - col("of_line").fill_null(0), granted),
    ).with_columns(asked=pl.min_horizontal(pl.coalesce("wanted", "line_left"), "line_left").clip(lower_bound=0))
    before = col("asked").cum_sum().over("claim") - col("asked")
    cut = pl.min_horizontal("asked", (col("claim_left") - before).clip(lower_bound=0))
    return left.with_columns(reduction=pl.when(col("wanted") < 0).then("wanted").otherwise(cut))


# --- sorted rows ------------------------------------------------------------------------------------------------------


def _rows(history: History, *columns: str) -> pl.LazyFrame:
    """Lines with these columns of their claims beside them."""
    return history.lines.lazy().with_columns(_of(history, "claim", column).alias(column) for column in columns)


def _of(history: History, place: str, column: str) -> pl.Expr:
    """A column of the claims that stand at these places."""
    values = history.claims.get_column(column)
    return pl.col(place).map_batches(values.gather, return_dtype=values.dtype, is_elementwise=True)


def _beside_open(rows: pl.LazyFrame, by: tuple[str, ...], start: str, end: str) -> pl.LazyFrame:
    """Beside each row, of those that begin before it in its group, the one that ends last: `other` (its claim), `open_until`.

    If any two rows of a group overlap, so do one of them and the row beside it, or two rows before them do: whoever
    overlaps is found without pairing all with all.
    """
    ends = pl.col(end).cum_max().forward_fill().shift(1)
    leads = pl.when(pl.col(end) > pl.col("open_until").fill_null(-1)).then("claim").forward_fill().shift(1)
    ordered = rows.sort(*by, start, maintain_order=True)
    return ordered.with_columns(ends.over(by).alias("open_until")).with_columns(leads.over(by).alias("other"))


def _of_several(rows: pl.LazyFrame, *by: str) -> pl.LazyFrame:
    """Rows of the groups in which more than one claim stands, which are few and so cheap to sort."""
    claim = pl.col("claim")
    return rows.filter(claim.min().over(by) != claim.max().over(by))


def _found(rows: pl.LazyFrame, *, line: bool = False, wanted: pl.Expr | None = None, other: str = "other") -> pl.LazyFrame:
    place = pl.col("line") if line else pl.lit(None, dtype=pl.UInt32).alias("line")
    amount = pl.lit(None, dtype=pl.Int64) if wanted is None else wanted
    return rows.select("claim", place, amount.alias("wanted"), pl.col(other).alias("other"))


def _day(time: str) -> pl.Expr:
    return pl.col(time) // 10_000


def examination() -> pl.Expr:
    """Whether the line is an examination: what a desk and a patient can have too many of in a day."""
    return (pl.col("group") == _EXAMINATION) & (pl.col("table") == "XML3") & pl.col("at").is_not_null()


def hands_on() -> pl.Expr:
    """Whether the line is work that ties its performers to a place for its time."""
    timed = pl.col("at") < pl.col("until")
    return (pl.col("table") == "XML3") & pl.col("group").is_in(_HANDS_ON) & (pl.col("performers") != "") & timed


# --- the rules --------------------------------------------------------------------------------------------------------


def overlapping_stays(history: History) -> pl.LazyFrame:
    """H01: the stay that was begun later is cut. A transfer may overlap on the day that the earlier stay ends."""
    col = pl.col
    stays = history.claims.lazy().filter(col("form").is_in(INPATIENT), col("admitted") < col("ended"))
    rows = _beside_open(stays, ("person",), "admitted", "ended")
    elsewhere = _of(history, "other", "facility")
    transfer = (col("referred_from") == elsewhere) & (_day("admitted") == _day("open_until"))
    return _found(rows.filter(col("admitted") < col("open_until"), col("facility") != elsewhere, ~transfer))


def visits_inside_stays(history: History) -> pl.LazyFrame:
    """H02: the visit is cut, but for what was sub-contracted; a visit with dialysis is left alone."""
    col = pl.col
    inside = col("form").is_in(INPATIENT)
    claims = history.claims.lazy().filter(~inside & col("recent") | inside & (col("form") != "04"))
    rows = claims.with_columns(
        start=pl.when(inside).then("admitted").otherwise("arrived"), end=pl.when(inside & (col("admitted") < col("ended"))).then("ended")
    )  # fmt: skip
    rows = _beside_open(rows.drop_nulls("start"), ("person",), "start", "end").filter(
        ~inside,
        col("start") < col("open_until"),
        col("start") > _of(history, "other", "admitted"),
        col("facility") != _of(history, "other", "facility"),
    )
    visits = rows.select("claim", "other").collect()
    lines = history.lines.lazy().join(visits.lazy(), on="claim")
    dialysis = lines.filter("dialysis").select("claim")
    outside = lines.filter("outside").select("claim").unique()
    left = visits.lazy().join(dialysis, on="claim", how="anti")
    apart = lines.join(dialysis, on="claim", how="anti").join(outside, on="claim", how="semi").filter(~col("outside"))
    return pl.concat([_found(left.join(outside, on="claim", how="anti")), _found(apart, line=True)])


def given_again(history: History) -> pl.LazyFrame:
    """H03: the later line is cut: the same service on one day, or the same drug to take home before a supply has ended."""
    col = pl.col
    rows = _rows(history, "person", "form").drop_nulls(["code", "at"])
    services = rows.filter(col("table") == "XML3", col("group").is_in(_ONCE_A_DAY)).with_columns(day=_day("at"))
    same_day = (
        _of_several(services, "person", "code", "day")
        .sort("person", "code", "at", maintain_order=True)
        .with_columns(other=col("claim").first().over("person", "code", "day"))
    )
    drugs = rows.filter(col("table") == "XML2", ~col("form").is_in(INPATIENT))
    drugs = _of_several(drugs, "person", "code").with_columns(
        start=_day("at").cast(pl.String).str.to_date("%Y%m%d", strict=False).to_physical().cast(pl.Int64)
    )
    drugs = drugs.drop_nulls("start").with_columns(end=col("start") + col("days") - 1)
    supplies = drugs.group_by("person", "code", "claim").agg(col("start").min(), col("end").max()).sort("claim")
    early = _beside_open(supplies, ("person", "code"), "start", "end").filter(col("start") <= col("open_until"))
    again = drugs.join(early.select("code", "claim", "other"), on=["code", "claim"])
    return pl.concat([_found(same_day.filter(col("claim") != col("other")), line=True), _found(again, line=True)])


def _examinations(history: History, *columns: str) -> pl.LazyFrame:
    return _rows(history, *columns).filter(examination()).with_columns(day=_day("at"))


def examined_twice(history: History) -> pl.LazyFrame:
    """H04: the later examination is cut, unless a slip or an emergency sent the patient on."""
    col = pl.col
    rows = _examinations(history, "person", "facility", "category")
    rows = _of_several(rows, "person", "day").sort("person", "at", maintain_order=True)
    rows = rows.with_columns(other=col("claim").first().over("person", "day"))
    sent_on = col("category").is_in([_ON_REFERRAL, _EMERGENCY])
    return _found(rows.filter(col("facility") != _of(history, "other", "facility"), ~sent_on), line=True)


def slips_again(history: History) -> pl.LazyFrame:
    """H05: a follow-up slip serves once; a referral slip serves one facility, and no longer than a slip lasts.

    XML1 says no day of issue, which is that of the first use at the latest: then the slip has surely ended.
    """
    col = pl.col
    slips = history.claims.lazy().filter(
        col("slip") != "", col("category").is_in([_ON_REFERRAL, _ON_FOLLOW_UP]), col("arrived").is_not_null()
    )
    by = ("person", "referred_from", "slip")
    used = slips.sort(*by, "arrived", maintain_order=True).with_columns(
        other=col("claim").first().over(by), first=_day("arrived").first().over(by), first_icd=col("icd").first().over(by)
    )
    later = used.filter(col("claim") != col("other")).collect()
    ends = pl.Series(
        "ends",
        [_ends(first, *icds) for first, *icds in later.select("first", "first_icd", "icd").iter_rows()],
        dtype=pl.Int64,
    )
    elsewhere = col("facility") != _of(history, "other", "facility")
    wrong = (col("category") == _ON_FOLLOW_UP) | elsewhere | (_day("arrived") > ends)
    return _found(later.lazy().filter(wrong))


def _ends(first: int, *diagnoses: str) -> int:
    try:
        end = last_day(date(first // 10_000, first // 100 % 100, first % 100), diagnoses)
    except ValueError:  # no day of any calendar
        return first
    return end.year * 10_000 + end.month * 100 + end.day


def crowded_desks(history: History) -> pl.LazyFrame:
    """H06: half of each examination after the 65th of a doctor at a facility on a day; earlier months' come first."""
    col = pl.col
    rows = _examinations(history, "facility", "now").drop_nulls("doctor").sort("now", "at", maintain_order=True)
    number = col("line").cum_count().over("facility", "doctor", "day")
    late = rows.filter((number > EXAMINATIONS_A_DAY) & col("now"))
    return _found(late.with_columns(other=pl.lit(None, dtype=pl.UInt32)), line=True, wanted=(col("granted") + 1) // 2)


def two_places(history: History) -> pl.LazyFrame:
    """H07: hands-on work of one licence at two facilities, or in two patients' operations, at once."""
    col = pl.col
    licence = col("performers").str.extract(r"^\s*(.*?)\s*(?:\.(?:HD|CG)\.\d{5})?\s*$")
    rows = _rows(history, "facility").filter(hands_on()).with_columns(col("performers").str.split(";")).explode("performers")
    rows = rows.filter(~col("performers").str.contains(r"\.TX\.")).with_columns(licence.alias("performers"))
    rows = rows.filter(col("performers") != "")
    places = _beside_open(rows, ("performers",), "at", "until").filter(
        col("at") < col("open_until"), col("facility") != _of(history, "other", "facility")
    )
    operations = _beside_open(rows.filter(col("group") == _OPERATION), ("performers",), "at", "until").filter(
        col("at") < col("open_until"), col("claim") != col("other")
    )
    return pl.concat([_found(places, line=True), _found(operations, line=True)])


def co_payments(history: History) -> pl.LazyFrame:
    """H08: what a patient with five continuous years paid in the year beyond six base salaries is the fund's."""
    col = pl.col
    counted = history.claims.lazy().filter(
        col("day") >= history.year,
        col("five_years") <= col("day"),
        col("t_bncct") > 0,
        ~col("category").str.starts_with(_OFF_ROUTE),
        col("category") != _UNINSURED,
    )
    limit = pl.lit(0, dtype=pl.Int64)
    for since, salary in base_salaries():
        limit = pl.when(col("day") >= since).then(pl.lit(6 * salary * 100, dtype=pl.Int64)).otherwise(limit)
    rows = counted.with_columns(over=col("t_bncct").cum_sum().over("person") - limit)
    passed = (col("over") > 0).cum_max().shift(1, fill_value=False).over("person")
    rows = rows.with_columns(due=pl.when(passed).then("t_bncct").otherwise(pl.min_horizontal("t_bncct", "over"))).filter(
        "now", col("due") > 0
    )
    return _found(rows.with_columns(other=pl.lit(None, dtype=pl.UInt32)), wanted=-col("due"))


def after_death(history: History) -> pl.LazyFrame:
    """H09: a claim that begins after the person died (KET_QUA_DTRI 5, 8) is cut."""
    col = pl.col
    deaths = history.claims.lazy().filter("died", col("ended").is_not_null()).sort("ended", maintain_order=True)
    first = deaths.unique("person", keep="first", maintain_order=True)
    first = first.select("person", col("claim").alias("other"), col("ended").alias("death"))
    rows = history.claims.lazy().join(first, on="person").filter(col("arrived") > col("death"))
    return _found(rows)


RULES: Final = (
    HistoryRule("H01", "C", overlapping_stays, "Đợt nội trú trùng thời gian với đợt nội trú của cùng người bệnh ở cơ sở khác.", "The stay overlaps an inpatient stay of the same person at another facility."),
    HistoryRule("H02", "C", visits_inside_stays, "Khám ngoại trú trong thời gian người bệnh đang điều trị nội trú ở cơ sở khác.", "An outpatient visit while the person was an inpatient elsewhere."),
    HistoryRule("H03", "C", given_again, "Dịch vụ trùng trong ngày, hoặc thuốc được cấp khi đợt cấp trước chưa hết, ở hồ sơ khác.", "The same service on that day, or the same drug before the last supply ended, stands in another claim."),
    HistoryRule("H04", "C", examined_twice, "Người bệnh đã được khám ở cơ sở khác trong ngày.", "The person was examined at another facility on that day."),
    HistoryRule("H05", "W", slips_again, "Giấy chuyển cơ sở hoặc giấy hẹn đã được dùng, hoặc đã hết hạn.", "The referral or follow-up slip was used before, or has ended."),
    HistoryRule("H06", "C", crowded_desks, "Từ lượt khám thứ 66 của bàn khám trong ngày: thanh toán 50 %.", "From the 66th examination of a desk on a day: paid at 50 %."),
    HistoryRule("H07", "W", two_places, "Người thực hiện làm ở hai cơ sở, hoặc hai ca phẫu thuật, cùng một lúc.", "The performer worked at two facilities, or in two operations, at one time."),
    HistoryRule("H08", "C", co_payments, "Cùng chi trả trong năm vượt sáu tháng lương cơ sở, đủ năm năm liên tục: phần vượt do quỹ chi trả cho người bệnh.", "Co-payments of the year are above six base salaries, after five continuous years: the fund owes the patient what is above."),
    HistoryRule("H09", "C", after_death, "Hồ sơ phát sinh sau khi người bệnh đã tử vong.", "The claim begins after the person died."),
)  # fmt: skip
"""In this order each takes what those before it left."""

OF_PERSON: Final = RULES[:5]
"""Those that lay one person's claims and lines side by side, and so can be asked of some people after others."""

OF_ALL: Final = RULES[5:]
"""Those that look at desks and performers, and those behind them in the order, which ask for no other line."""
