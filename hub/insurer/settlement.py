"""What a month was settled at when it was closed, and what later revisions of its claims change.

The amounts at the first closing are kept in the Delta table `settled` and never touched. A claim of that month that is corrected,
withdrawn or sent for the first time afterwards is an adjustment (S01) of the difference when the month is closed again, so
that settled amounts less adjustments are what is owed at any time. Its severity is I: who adds up the decisions in force has
the corrected claim among them already, and deducts severity C alone.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

import polars as pl
from deltalake import CommitProperties, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError

from hub.contract.errors import HubError
from hub.insurer.ledger import PLACE, files_of, newest_first, opened, scan, schema_of
from hub.insurer.promoted import AGAIN, decisions

TABLE: Final = "settled"
SETTLED: Final[dict[str, pl.DataType]] = {
    "period": pl.String(),
    "key": pl.String(),
    "event_id": pl.String(),
    "facility": pl.String(),
    "granted": pl.Decimal(18, 2),
    "settled_at": pl.Datetime("us", "UTC"),
}
"""Columns: `granted` is what the decision granted for the claim in force when the month was closed first."""

FORGOTTEN: Final = "FORGOTTEN"
"""Action of a claim of which amounts and ids alone are left (`forgetting.py`). It is in force, as what it was."""

LATE: Final = "S01"
TOLD: Final = "I"
"""Severity of what only tells: nothing is deducted for it."""


def claims_of(folder: Path, period: str) -> pl.DataFrame:
    """The claims in force whose visit ended in a month (NGAY_RA, else NGAYLAP), by their place in the stream.

    Returns: event_id, key, facility, action, granted (VND, 0 when rejected), kafka_topic_id, kafka_partition, kafka_offset.
    """
    month, claims = period.replace("-", ""), scan(files_of(folder, "claims"), schema_of("claims"))
    # Of keys that have nothing in the month no revision is held: sorting those of all years would take their memory. The keys are
    # collected first, as a join of two streams holds both.
    keys = claims.filter(_month() == month).select("key").collect(engine="streaming")
    of_keys = in_force(claims.join(keys.lazy(), on="key", how="semi"))
    newest = of_keys.filter(pl.col("month") == month).collect(engine="streaming").lazy()
    granted = decisions(folder, among=newest).select("event_id", pl.col("t_bhtt_gd").alias("granted"))
    found = newest.join(granted, on="event_id").select("event_id", "key", "facility", "action", "granted", *PLACE)
    return found.sort("kafka_partition", "kafka_offset").collect(engine="streaming")


def in_force(claims: pl.LazyFrame) -> pl.LazyFrame:
    """The newest revision of each key that is not cancelled, of rows of the table `claims`.

    Returns: event_id, key, facility, action, month (yyyymm), version, stated_at, received_at and the place in the stream.
    """
    col = pl.col
    rows = claims.select(
        "event_id", "key", "facility", "action", "version", "stated_at", "received_at", *PLACE, _month().alias("month")
    )
    newest = newest_first(rows).unique("key", keep="first", maintain_order=True)
    return newest.filter(col("action") != "CANCELLED")


def _month() -> pl.Expr:
    return pl.when(pl.col("ngay_ra").str.len_chars() >= 8).then("ngay_ra").otherwise("ngaylap").str.slice(0, 6)


def settled(folder: Path, period: str, claims: pl.DataFrame, at: datetime) -> pl.DataFrame:
    """The amounts at which a month was settled: those of `claims` if it is closed for the first time.

    folder: of the ledger.  period: YYYY-MM.  at: aware.
    claims: event_id, key, facility, granted (VND) of the claims in force whose visit ended in the month.
    Raises: HubError(LEDGER_CONFLICT) when another process closes it for the first time at the same time.
    """
    table, mark = opened(folder / TABLE, SETTLED), f"settle/{period}"
    if not table.transaction_version(mark):
        rows = claims.with_columns(period=pl.lit(period), settled_at=pl.lit(at)).select(
            pl.col(name).cast(dtype) for name, dtype in SETTLED.items()
        )
        commit = CommitProperties(app_transactions=[Transaction(mark, 1)])
        try:
            write_deltalake(table, rows, mode="append", commit_properties=commit)
        except CommitFailedError:
            raise HubError("LEDGER_CONFLICT", TABLE) from None
    return scan(table.file_uris(), SETTLED).filter(pl.col("period") == period).collect()


def late(settled: pl.DataFrame, claims: pl.DataFrame) -> pl.DataFrame:
    """What came after the settlement, as adjustments: reduction is what the fund no longer owes (below zero: owes besides).

    Returns: event_id (of the claim in force, else of what was settled), other_event_id (what was settled before it), key,
             facility, reduction; by key.
    """
    col, none = pl.col, pl.lit(0).cast(SETTLED["granted"])
    both = settled.select("key", "event_id", "facility", "granted").join(
        claims.select("key", "event_id", "facility", "granted"), on="key", how="full", coalesce=True, suffix="_now"
    )
    moved = both.filter(col("event_id").ne_missing(col("event_id_now")))
    differences = moved.select(
        pl.coalesce("event_id_now", "event_id").alias("event_id"),
        pl.when(col("event_id_now").is_not_null()).then("event_id").fill_null("").alias("other_event_id"),
        "key",
        pl.coalesce("facility_now", "facility").alias("facility"),
        (col("granted").fill_null(none) - col("granted_now").fill_null(none)).cast(SETTLED["granted"]).alias("reduction"),
    )
    return differences.filter(col("reduction") != 0).sort("key")


def closed_before(folder: Path, adjustments: pl.LazyFrame, period: str, months: Sequence[str]) -> list[str]:
    """Of closed months those that may have been closed last before what was found or promoted of another one, or of themselves.

    A closing that finds nothing new leaves no trace, so that one may be named though it was closed again.
    adjustments: the ledger's, as `history.adjustments`.  period: YYYY-MM, what was found or promoted of.  months: `period` and later ones.
    """
    promoted, at = pl.col("rule") == AGAIN, pl.col("closed_at").max()
    first = scan(files_of(folder, TABLE), SETTLED).select("period", closed_at="settled_at")
    closings = pl.concat([first, adjustments.filter(~promoted).select("period", "closed_at")])
    closed = dict(closings.group_by("period").agg(at).collect().iter_rows())
    of_period = adjustments.filter(pl.col("period") == period)
    newest, newest_promoted = (rows.select(at).collect().item() for rows in (of_period, of_period.filter(promoted)))
    moved = {month: newest_promoted if month == period else newest for month in months}
    return [month for month, when in moved.items() if when and (month not in closed or closed[month] < when)]


def verdict_after(said: str, claimed: Decimal, paid: Decimal) -> str:
    """The verdict once adjustments are counted: one that was rejected stays so until something is paid of it."""
    if said == "CANCELLED" or (said == "REJECTED" and paid <= 0):
        return said
    return "REDUCED" if paid < claimed else "ACCEPTED"
