"""How far the cuts of a claim reach: in the order of the table, and never beyond the fund's share."""

import polars as pl

from hub.insurer.columns import Decoded
from hub.insurer.rules.model import FINDINGS, NOTHING, hundredths


def cut(findings: pl.DataFrame, decoded: Decoded) -> pl.DataFrame:
    """`reduction` in VND: each cut takes what earlier ones left of the fund's share, first of its line, then of the claim."""
    col = pl.col
    cuts = findings.select("row", "line", "about", (col("severity") == "C").alias("cuts"), col("reduction").clip(lower_bound=0))
    if not cuts.get_column("cuts").any():
        return findings.with_columns(pl.lit(None, dtype=FINDINGS["reduction"]).alias("reduction"))
    shares = decoded.lines.lazy().with_row_index("line").select("line", hundredths("t_bhtt").fill_null(0).alias("of_line"))
    claimed = decoded.claims.lazy().select("row", hundredths("t_bhtt").fill_null(0).alias("of_claim"))
    of_lines = (
        pl.when(col("about") != "claims").then(_taken(col("reduction"), col("of_line"), ["row", "line"])).otherwise(NOTHING)
    )
    left = col("of_claim") - col("of_lines").sum().over("row")
    of_claims = pl.when(col("about") == "claims").then(_taken(col("reduction"), left, ["row", "about"])).otherwise(NOTHING)
    taken = (
        cuts.lazy()
        .with_columns(pl.when("cuts").then("reduction").otherwise(NOTHING).fill_null(NOTHING).alias("reduction"))
        .join(shares, on="line", how="left", maintain_order="left")
        .join(claimed, on="row", how="left", maintain_order="left")
        .with_columns(of_lines.fill_null(NOTHING).alias("of_lines"))
        # Lines may add up to more than XML1 asks for.
        .with_columns(_taken(col("of_lines"), col("of_claim"), ["row"]).alias("of_lines"))
        .select("cuts", (col("of_lines") + of_claims).alias("taken"))
        .select(pl.when("cuts").then((col("taken").cast(pl.Decimal(38, 2)) / 100).cast(FINDINGS["reduction"])))
    )
    return findings.with_columns(taken.collect().to_series().alias("reduction"))


def _taken(wanted: pl.Expr, available: pl.Expr, per: list[str]) -> pl.Expr:
    """Of a running sum of what is wanted, the part of each row that what is available still covers."""
    upto = wanted.cum_sum().over(per)
    available = available.clip(lower_bound=0)
    return pl.min_horizontal(upto, available) - pl.min_horizontal(upto - wanted, available)
