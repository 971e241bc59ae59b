"""X17: the card on the day of the order.

Source: adjudication.md §4.6 (1), identifiers.md §2. Before the card begins nothing is paid; after it ended, for who came while it
was valid, fifteen days more. Of several cards the first day and the last one count: a gap between them is not looked at; where a day of one
is not told, that side is open.
"""

from typing import Final

import polars as pl

from hub.insurer.rules.model import Frames, Rule, blank

_SOURCE: Final = "adjudication.md §4.6 (1); identifiers.md §2 (Decree 188/2025)"
_MORE_DAYS: Final = 15
_DAY: Final = "%Y%m%d"
_READ: Final = ("line", "row", "table", "stt", "ngay_yl", "t_bhtt")


def prepare(frames: Frames) -> Frames:
    """`lines.uncovered`: lines of claims that reach out of their card's days, with `first` and `last` (yyyymmdd) that it pays."""
    col = pl.col
    days = frames["claims"].filter(~blank("ma_the_bhyt")).select("row", "ngay_vao", "gt_the_tu", "gt_the_den")
    last, came = _days("gt_the_den").list.max(), col("ngay_vao").str.head(8).str.to_date(_DAY, strict=False)
    paid = pl.when(came <= last).then(last.dt.offset_by(f"{_MORE_DAYS}d")).otherwise(last)
    days = days.select(
        "row", _days("gt_the_tu").list.min().dt.to_string(_DAY).alias("first"), paid.dt.to_string(_DAY).alias("last")
    )
    lines = frames["lines"].select(*_READ).join(days, on="row", how="inner", maintain_order="left")
    return frames | {"lines.uncovered": lines.filter((col("ngay_yl").str.len_bytes() == 12) & (_before() | _after()))}


def _days(name: str) -> pl.Expr:
    """The days of all cards; null where one is not told or cannot be read, as nothing is cut for a day that nobody knows."""
    each = pl.col(name).str.split(";").list.eval(pl.element().str.strip_chars().str.to_date(_DAY, strict=False))
    return pl.when(~each.list.eval(pl.element().is_null()).list.any()).then(each)


def _before() -> pl.Expr:
    return (pl.col("ngay_yl").str.head(8) < pl.col("first")).fill_null(False)


def _after() -> pl.Expr:
    return (pl.col("ngay_yl").str.head(8) > pl.col("last")).fill_null(False)


def _rule(fails: pl.Expr, en: str, vi: str) -> Rule:
    return Rule("X17", "C", "lines.uncovered", "ngay_yl", fails, en, vi, reduction="t_bhtt", source=_SOURCE)


RULES: Final[tuple[Rule, ...]] = (
    _rule(_before(), "The card was not valid yet on the day of the order.", "Thẻ BHYT chưa có giá trị sử dụng vào ngày y lệnh."),
    _rule(_after(), "The card had ended by the day of the order; who came while it was valid is covered for 15 more days.", "Thẻ BHYT đã hết hạn vào ngày y lệnh; người bệnh vào khi thẻ còn hạn được hưởng thêm tối đa 15 ngày."),
)  # fmt: skip
