"""X07: the benefit rate of each line against what card, patient category, facility and cost grant.

Source: identifiers.md §2, codes.csv `MA_DOITUONG_KCB`. What cannot be known is not cut: cards of 10 and 12 digits have no
level, the category may be one that says nothing of rates, the facility may be in no directory. In doubt the better rate
counts: the best card of several, an exemption that begins within the stay, K1 to K3 for inpatients.
"""

import csv
from datetime import date
from functools import cache, lru_cache
from typing import Final

import polars as pl

from hub.contract.claim_tables import codes
from hub.contract.directory import edition, facilities
from hub.contract.places import shipped
from hub.insurer.rules.model import Frames, Rule, blank, divided

_SOURCE: Final = "adjudication.md §4.3; identifiers.md §2"
_WHOLE: Final = 10_000  # 100 % in hundredths
_SHORT_STAY: Final = 15  # percent of a base salary, below which a visit is free of co-payment
_INPATIENT: Final = ["03", "04", "09"]
_HALF_SINCE: Final = "20260701"

_LEVELS: Final = r"^[A-Z]{2}[1-5]\d{12}(;[A-Z]{2}[1-5]\d{12})*$"
_ON_ROUTE: Final = (
    *(f"1.{number}" for number in (*range(1, 13), 15, 16, 17)),
    *("2", "3.2", "3.3", "3.6", "7", "7.1", "7.2", "7.3", "7.4", "10"),
)
_HALVED: Final = ["1.13", "1.14", "1.18"]
"""Self-referred outpatients: nothing, half of the card's rate since 01/07/2026."""

_POSSIBLE: Final = [0, 3_200, 3_800, 4_000, 4_750, 5_000, 8_000, 9_500, 10_000]
"""Every rate that some card and category give; 95 x 50 % is 47.5."""


@cache
def base_salaries() -> tuple[tuple[date, int], ...]:
    """First day and VND a month, oldest first: `seeds/base_salaries.csv`. Source: identifiers.md §2."""
    with shipped("seeds/base_salaries.csv").open(encoding="utf-8", newline="") as file:
        return tuple(sorted((date.fromisoformat(row["valid_from"]), int(row["vnd"])) for row in csv.DictReader(file)))


def base_salary(day: str) -> pl.Expr:
    """Hundredths of a đồng, of a column of days (yyyymmdd); null before the first one that is listed."""
    salary = pl.lit(None, dtype=pl.Int128)
    for since, vnd in base_salaries():
        salary = pl.when(pl.col(day) >= f"{since:%Y%m%d}").then(pl.lit(vnd * 100, dtype=pl.Int128)).otherwise(salary)
    return salary


@lru_cache(maxsize=1)
def _levels(_edition: int) -> pl.DataFrame:
    """code, first, last, commune: from the directory in force."""
    rows = [
        (
            one.code,
            f"{since:%Y%m%d}",
            f"{last or date.max:%Y%m%d}",
            word in ("commune", "initial") or one.kind == "commune station",
        )
        for one in facilities().values()
        for word, since, last in one.levels()
    ]
    return pl.DataFrame(rows, schema=["ma_cskcb", "first", "last", "commune"], orient="row", infer_schema_length=None)


def prepare(frames: Frames) -> Frames:
    """claims: `granted`, the rate in hundredths of a percent (null: not known). overpaid: lines of a higher rate, or where none
    is known, with `beyond`, what the fund would pay too much. underpaid: a row a claim with co-payments at a lower rate.

    Sponsors' money that reached the fund's share stays taken off: what is left of T_BHTT is at most the right share.
    """
    col = pl.col
    claims = _granted(frames["claims"]).with_columns(_disagree().alias("group_differs"))
    read = ("row", "line", "table", "stt", "muc_huong", "thanh_tien_bh", "t_bhtt", "t_bncct")
    lines = frames["lines"].select(read).join(claims.select("row", "granted", "on_route"), on="row", how="left")
    lines = lines.filter(col("muc_huong").ne_missing(col("granted")) | col("granted").is_null()).collect().lazy()  # few, for both
    over = lines.filter((col("muc_huong") > col("granted")) | col("granted").is_null())
    over = over.with_columns((col("t_bhtt") - divided(col("thanh_tien_bh") * col("granted"), 10**4)).alias("beyond"))
    under = lines.filter((col("muc_huong") < col("granted")) & (col("t_bncct") > 0)).group_by("row")
    lowest = under.agg(
        col("muc_huong").min(), col("granted").first(), pl.lit("XML1").alias("table"), pl.lit(None, pl.Int64).alias("stt")
    )
    return frames | {"claims": claims, "overpaid": over, "underpaid": lowest}


def _granted(claims: pl.LazyFrame) -> pl.LazyFrame:
    col, when = pl.col, pl.when
    cards, category = col("ma_the_bhyt").str.to_uppercase().str.replace_all(" ", "", literal=True), col("ma_doituong_kcb")
    stay = col("ma_loai_kcb").is_in(_INPATIENT)
    level = (
        when(~col("cards_").str.contains(_LEVELS))
        .then(None)
        .when(col("cards_").str.contains("(^|;)[A-Z]{2}[125]"))
        .then(_WHOLE)
        .when(col("cards_").str.contains("(^|;)[A-Z]{2}3"))
        .then(9_500)
        .otherwise(8_000)
    )
    part = (
        when(category.is_in(_ON_ROUTE) | (stay & (category == "3.1") & ~blank("ma_khuvuc")))
        .then(100)
        .when(category.is_in(_HALVED))
        .then(when(col("day") >= _HALF_SINCE).then(50).otherwise(0))
        .when(category == "3.1")
        .then(when(stay).then(40).otherwise(0))
        .when(category.is_in(["3.5", "9"]))
        .then(0)
    )
    known = claims.select("row", "ma_cskcb", "day").join(_levels(edition()).lazy(), on="ma_cskcb")
    commune = known.filter(col("day").is_between("first", "last")).select("row", "commune").unique("row")
    exempt = ~blank("ngay_mien_cct") & (col("ngay_mien_cct").str.slice(0, 8) <= col("day"))
    short = col("t_tongchi_bh") * 100 < base_salary("day") * _SHORT_STAY
    free = short.fill_null(True) | exempt | col("commune").fill_null(True)
    rate = (
        when((col("part") == 100) & free)
        .then(pl.max_horizontal(col("level"), _WHOLE))
        .otherwise(col("level") * col("part") // 100)
    )
    return (
        claims.join(commune, on="row", how="left", maintain_order="left")
        .with_columns(cards.alias("cards_"), part.alias("part"))
        .with_columns(level.alias("level"), (col("part") == 100).alias("on_route"))
        .with_columns(when(col("part") == 0).then(0).when(col("level").is_not_null()).then(rate).cast(pl.Int128).alias("granted"))
    )


def _disagree() -> pl.Expr:
    """Whether group and digit of the first card are of different levels; near-poor households and LH are of level 2 since 2026."""
    card = pl.col("cards_")
    group, digit = card.str.slice(0, 2), card.str.slice(2, 1)
    listed = {level: sorted(codes()[f"CARD_GROUP_LEVEL{level}"]) for level in range(1, 6)}
    level = pl.lit("4")
    for number in (1, 2, 3, 5):
        level = pl.when(group.is_in(listed[number])).then(pl.lit(str(number))).otherwise(level)
    moved = group.is_in(["CN", "LH"]) & (pl.col("day") >= "20260101")
    return card.str.contains(_LEVELS) & (digit != pl.when(moved).then(pl.lit("2")).otherwise(level))


def _cut(fails: pl.Expr, en: str, vi: str) -> Rule:
    more = (pl.col("muc_huong") > pl.col("granted")) & (pl.col("beyond") > 0)
    return Rule("X07", "C", "overpaid", "muc_huong", more & fails, en, vi, "muc_huong", "granted", "beyond", source=_SOURCE)


_ON: Final = pl.col("on_route").fill_null(False)
RULES: Final[tuple[Rule, ...]] = (
    _cut(_ON, "The benefit rate is above the card's, the visit is on-route and its cost from 15 % of the base salary (ML018): the fund pays at the card's rate.", "Mức hưởng cao hơn mức của thẻ, khám đúng tuyến, chi phí từ 15 % lương cơ sở (ML018): quỹ thanh toán theo mức của thẻ."),
    _cut(~_ON, "The benefit rate is above what the patient category grants off-route: the fund pays at that rate.", "Mức hưởng cao hơn mức được hưởng theo đối tượng khám chữa bệnh trái tuyến: quỹ thanh toán theo mức đó."),
    Rule("X07", "W", "overpaid", "muc_huong", ~pl.col("muc_huong").is_in(_POSSIBLE) & pl.col("granted").is_null(), "No card grants such a benefit rate.", "Không có thẻ nào có mức hưởng này.", "muc_huong", source=_SOURCE),
    Rule("X07", "W", "underpaid", "t_bncct", pl.lit(True), "The patient co-paid although card, cost or facility grant a higher benefit rate.", "Người bệnh đã cùng chi trả dù thẻ, chi phí hoặc cơ sở cho mức hưởng cao hơn.", "muc_huong", "granted", source=_SOURCE),
    Rule("X07", "W", "claims", "ma_the_bhyt", pl.col("group_differs"), "Group and benefit digit of the card are of different levels; the digit counts.", "Mã đối tượng và mã quyền lợi trên thẻ không cùng mức; tính theo mã quyền lợi.", source=_SOURCE),
)  # fmt: skip
