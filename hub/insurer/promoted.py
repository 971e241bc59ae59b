"""Decisions as promoted branches (`branches.py`) left them, before what was found across claims (H01 to H09) is taken off.

What a claim was granted first is a row of `decisions` and stays so; a promotion moves the amount by adjustments (R01), and its branch
keeps verdict and findings that say why, also once it was dropped. A claim stands by the branch promoted last that has it and whose
amount is what the adjustments come to, else by its first decision: of a branch that is no more (releases before this one dropped them
whole) only R01 tells.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import polars as pl
from deltalake import DeltaTable

from hub.insurer.ledger import files_of, scan, schema_of

AGAIN: Final = "R01"
"""Rule of what a promoted branch changes; it is kept as long as its claim is in force."""

MOVED: Final = "adjustments"
"""The ledger's table of what moved amounts after the first decision."""

FOLDER: Final = "branches"
KEPT: Final = "promoted"
"""Where a promoted branch is once it was dropped: its name is free, its findings hold."""

ABOUT: Final = "branch.json"
_AMOUNT: Final = pl.Decimal(18, 2)
_ALL: Final = pl.lit(True)


def layers(ledger: Path) -> Mapping[int, Path]:
    """The folders of the promoted branches by their number, from 1 in the order in which they were promoted."""
    files = [one for folder in (FOLDER, KEPT) for one in (ledger / folder).glob(f"*/{ABOUT}")]
    times = promoted_at(ledger, [json.loads(file.read_text("utf-8")) for file in files])
    told = sorted((datetime.fromisoformat(when), file.parent) for when, file in zip(times, files, strict=True) if when)
    return {number: home for number, (_, home) in enumerate(told, 1)}


def promoted_at(ledger: Path, told: Sequence[Mapping[str, Any]]) -> list[str]:
    """When branches, as their files tell, were promoted last; "" of those that were not.

    The file tells of a promotion before its adjustments are there, and it counts with them: nobody sees the one without the other.
    """
    if not any(one.get("promotion") for one in told):
        return [str(one["promoted"]) for one in told]
    table = DeltaTable(str(ledger / MOVED))
    reached = [table.transaction_version(promotion_mark(one["name"], one["made_at"])) or 0 for one in told]
    return [
        str(one["promoted"] if upto >= one.get("promotion", 0) else one["promoted_before"])
        for upto, one in zip(reached, told, strict=True)
    ]


def promotion_mark(name: str, made_at: str) -> str:
    """By which a commit of adjustments says that it is a branch's promotion, and which."""
    return f"promote/{name}/{made_at}"


def decisions(folder: Path, wanted: pl.Expr = _ALL, among: pl.LazyFrame | None = None) -> pl.LazyFrame:
    """What one folder decided, the ledger's or a branch's; of an event that was written twice, once.

    wanted: which events, by `event_id` and the place.  among: or a frame of them in memory, where they are many: the ids of all years need not be held.
    """
    rows = scan(files_of(folder, "decisions"), schema_of("decisions")).filter(wanted)
    held = rows if among is None else rows.join(among, on="event_id", how="semi")
    return held.unique("event_id", keep="any")


def again(ledger: Path, adjustments: pl.LazyFrame, wanted: pl.Expr = _ALL) -> pl.LazyFrame:
    """The decisions of promoted branches by which claims stand; none of a claim that stands by its first decision.

    adjustments: the ledger's, as `history.adjustments`, of those events at least; those up to a time say how it was then.
    wanted:      which events, by what both tables have: `event_id` and the place.
    Returns: rows of the table `decisions`, and `layer`, the number of the branch.
    """
    col = pl.col
    said = [
        decisions(home, wanted).with_columns(pl.lit(number, dtype=pl.Int32).alias("layer"))
        for number, home in layers(ledger).items()
    ]
    if not said:
        return pl.LazyFrame(schema=schema_of("decisions") | {"layer": pl.Int32()})
    every = pl.concat(said)
    ids = every.select("event_id").collect(engine="streaming").lazy()
    owed = _granted(decisions(ledger, wanted, ids), adjustments).select("event_id", "granted")
    agreeing = every.join(owed, on="event_id").filter(col("t_bhtt_gd") == col("granted")).drop("granted")
    return agreeing.sort("layer").unique("event_id", keep="last")


def decided(ledger: Path, adjustments: pl.LazyFrame, among: pl.LazyFrame | None = None) -> pl.LazyFrame:
    """One row an event of the ledger.

    adjustments: the ledger's, as `history.adjustments`.
    among:       which events, by `event_id`, in memory; all without it.
    Returns: event_id; layer (0: the first decision), verdict, t_bhtt, t_bhtt_gd by what it stands by; first, granted (by the first
             decision, and by promotions); verdict_now (fits `granted`, where that is not t_bhtt_gd).
    """
    col = pl.col
    told = ("layer", "verdict", "t_bhtt", "t_bhtt_gd")
    first = _granted(decisions(ledger, among=among), adjustments).with_columns(
        col("t_bhtt_gd").alias("first"), pl.lit(0, dtype=pl.Int32).alias("layer")
    )
    stands = again(ledger, adjustments).select("event_id", *told).collect(engine="streaming")  # a join of two streams holds both
    newest = first.select("event_id", "first", "granted", *told).join(stands.lazy(), on="event_id", how="left", suffix="_again")
    newest = newest.with_columns(pl.coalesce(f"{name}_again", name).alias(name) for name in told)
    by_amount = (
        pl.when(col("granted") == col("t_bhtt_gd"))
        .then("verdict")
        .when(col("granted") <= 0)
        .then(pl.lit("REJECTED"))
        .when(col("granted") < col("t_bhtt"))
        .then(pl.lit("REDUCED"))
        .otherwise(pl.lit("ACCEPTED"))
    )
    return newest.with_columns(by_amount.alias("verdict_now")).drop(f"{name}_again" for name in told)


def found(ledger: Path, adjustments: pl.LazyFrame, wanted: pl.Expr = _ALL) -> pl.LazyFrame:
    """The findings by which claims stand, as rows of the table `findings`; repeats too.  As `again`."""
    stands = again(ledger, adjustments, wanted).select("event_id", "layer")
    rows = [_findings(ledger, wanted).join(stands, on="event_id", how="anti")]
    for number, home in layers(ledger).items():
        rows.append(_findings(home, wanted).join(stands.filter(pl.col("layer") == number), on="event_id", how="semi"))
    return pl.concat(rows)


def _granted(first: pl.LazyFrame, adjustments: pl.LazyFrame) -> pl.LazyFrame:
    """First decisions, with what promotions made of their t_bhtt_gd."""
    col = pl.col
    moved = adjustments.filter(col("rule") == AGAIN).group_by("event_id").agg(col("reduction").sum().alias("moved"))
    left = col("t_bhtt_gd") - col("moved").fill_null(pl.lit(0).cast(_AMOUNT))
    return first.join(moved, on="event_id", how="left").with_columns(left.cast(_AMOUNT).alias("granted")).drop("moved")


def _findings(folder: Path, wanted: pl.Expr) -> pl.LazyFrame:
    return scan(files_of(folder, "findings"), schema_of("findings")).filter(wanted)
