"""What a rule is, what a finding is, and the arithmetic of money that rules share.

Money is exact: an amount is a whole number of hundredths of a đồng (Int128, the decimal column's own integers; quantities
and unit prices are thousandths), products are formed first, the one division comes last and rounds half away from zero
(half up, as adjudication.md §3 says, for all that is not negative). That is six times faster than Polars' decimals, and a
test holds it against `decimal`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

Frames = dict[str, pl.LazyFrame]
"""`claims`, `lines`, `results`, `notes`, `papers` as `hub.insurer.rules.frames.frames` makes them."""

Prepare = Callable[[Frames], Frames]
"""How a family of rules adds the columns that it derives. What no rule of the run reads is never computed."""

SOURCE: Final = "adjudication.md §3; QĐ 3176/QĐ-BYT"
LARGEST: Final = 10**17  # hundredths: what decimal(18,3) of a finding holds
NOTHING: Final = pl.lit(0, dtype=pl.Int128)


@dataclass(frozen=True, slots=True, eq=False)  # expressions do not compare
class Rule:
    """One row of the table.

    id:        as in adjudication.md §4.
    severity:  E rejects the claim; C cuts the fund's share by `reduction`; W and I are told only.
    about:     a frame of `Frames`, or stream (found while reading; no formula).
    field:     official element in lower case that the finding names.
    fails:     over the columns of the frame.
    claimed, computed: columns in hundredths; "" where there is no number to show.
    reduction: of severity C: a column in hundredths; it takes no more than what earlier cuts of the line left.
    valid_from, valid_to: first and last day (NGAY_RA, else NGAYLAP) that it applies to; None: open.
    """

    id: str
    severity: str
    about: str
    field: str
    fails: pl.Expr
    en: str
    vi: str
    claimed: str = ""
    computed: str = ""
    reduction: str = ""
    source: str = SOURCE
    valid_from: date | None = None
    valid_to: date | None = None


FINDINGS: Final[dict[str, pl.DataType]] = {
    "row": pl.UInt32(),
    "number": pl.UInt32(),
    "rule": pl.String(),
    "severity": pl.String(),
    "table": pl.String(),
    "stt": pl.Int64(),
    "field": pl.String(),
    "claimed": pl.Decimal(18, 3),
    "computed": pl.Decimal(18, 3),
    "reduction": pl.Decimal(18, 2),
    "text_vi": pl.String(),
    "text_en": pl.String(),
}
"""Columns of findings: `row` of the claim, `number` counts within the claim, `table` is XML1 for totals."""


def hundredths(name: str) -> pl.Expr:
    """The integers of a decimal column (scale 2 for amounts and percentages, 3 for quantities and prices)."""
    return pl.col(name).to_physical().cast(pl.Int128)


def divided(numerator: pl.Expr, divisor: int | pl.Expr) -> pl.Expr:
    """The quotient, rounded half away from zero. Exact while the numerator is below 10^38; null by zero."""
    return numerator.sign() * ((numerator.abs() + divisor // 2) // divisor)


def blank(name: str) -> pl.Expr:
    """Nothing is there: absent text is "" in claims, and null where the table has no such element."""
    return (pl.col(name) == "").fill_null(True)
