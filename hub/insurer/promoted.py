"""Decisions as promoted branches (`branches.py`) left them, before what was found across claims (H01 to H09) is taken off.

What a claim was granted first is a row of `decisions` and stays so; a promotion moves the amount by adjustments (R01), and its branch
keeps the findings that say why, also once it was dropped. The amounts here are those of the adjustments; verdict and findings are of the
branch that was promoted last, where there is one that has the claim.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Final

import polars as pl

from hub.insurer.ledger import files_of, scan, schema_of

AGAIN: Final = "R01"
"""Rule of what a promoted branch changes; it is kept as long as its claim is in force."""

FOLDER: Final = "branches"
KEPT: Final = "promoted"
"""Where a promoted branch is once it was dropped: its name is free, its findings hold."""

ABOUT: Final = "branch.json"
_AMOUNT: Final = pl.Decimal(18, 2)


def decisions(folder: Path) -> pl.LazyFrame:
    """What one folder decided, the ledger's or a branch's; of an event that was written twice, once."""
    return scan(files_of(folder, "decisions"), schema_of("decisions")).unique("event_id", keep="any")


def decided(ledger: Path, adjustments: pl.LazyFrame) -> pl.LazyFrame:
    """One row an event of the ledger.

    adjustments: the ledger's, as `history.adjustments`.
    Returns: event_id; verdict, t_bhtt, t_bhtt_gd (by the branch promoted last, else by the first decision); granted, verdict_now (in force:
             where that branch is no more, which releases before this one dropped whole, they differ from the former).
    """
    col = pl.col
    said = _layered(ledger, "decisions").select("event_id", "layer", "verdict", "t_bhtt", "t_bhtt_gd").sort("layer")
    newest = said.group_by("event_id").agg(
        col("t_bhtt_gd").first().alias("first"), col("verdict").last(), col("t_bhtt").last(), col("t_bhtt_gd").last()
    )
    moved = adjustments.filter(col("rule") == AGAIN).group_by("event_id").agg(col("reduction").sum().alias("moved"))
    granted = (col("first") - col("moved").fill_null(pl.lit(0).cast(_AMOUNT))).cast(_AMOUNT).alias("granted")
    by_amount = (
        pl.when(col("granted") == col("t_bhtt_gd"))
        .then("verdict")
        .when(col("granted") <= 0)
        .then(pl.lit("REJECTED"))
        .when(col("granted") < col("t_bhtt"))
        .then(pl.lit("REDUCED"))
        .otherwise(pl.lit("ACCEPTED"))
    )
    told = newest.join(moved, on="event_id", how="left").with_columns(granted).with_columns(by_amount.alias("verdict_now"))
    return told.drop("first", "moved")


def found(ledger: Path) -> pl.LazyFrame:
    """The findings by which those were decided, as rows of the table `findings`; repeats too."""
    again = (
        _layered(ledger, "decisions").filter(pl.col("layer") > 0).group_by("event_id").agg(pl.col("layer").max().alias("last"))
    )
    rows = _layered(ledger, "findings").join(again, on="event_id", how="left")
    return rows.filter(pl.col("layer") == pl.col("last").fill_null(0)).drop("layer", "last")


def _layered(ledger: Path, name: str) -> pl.LazyFrame:
    """A table of the ledger (layer 0) and of all promoted branches, in the order in which they were promoted."""
    told = []
    for file in (one for folder in (FOLDER, KEPT) for one in (ledger / folder).glob(f"*/{ABOUT}")):
        if when := json.loads(file.read_text("utf-8"))["promoted"]:
            told.append((datetime.fromisoformat(when), file.parent))
    homes = [ledger, *(home for _, home in sorted(told))]
    rows = [scan(files_of(home, name), schema_of(name)) for home in homes]
    return pl.concat([one.with_columns(pl.lit(layer, dtype=pl.Int32).alias("layer")) for layer, one in enumerate(rows)])
