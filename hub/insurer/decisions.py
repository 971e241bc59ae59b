"""Decisions: one `hie.ClaimDecision` a claim event, as rows of the ledger and, made from those rows, as events.

The same rows give the same event with the same id, however often it is published.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import polars as pl

from hub.contract.events import Event, derive, new_id
from hub.insurer.columns import SOURCE

RECORD: Final = "hie.ClaimDecision"
RULE: Final = "adjudicated"
FINDINGS_MAX: Final = 1_000
"""Most findings in one event; the ledger has all of them."""

_SAME: Final = (
    *("facility", "key", "version", "stated_at", "received_at", "occurred_at", "message_id", "test", "supersedes"),
    *("sensitivity", *(f"source_{name}" for name in SOURCE), "ma_cskcb", "ma_lk", "t_tongchi_bv", "t_tongchi_bh", "t_bhtt"),
)
_TEXTS: Final = tuple(name for name in _SAME if name not in ("version", "received_at", "test") and not name.startswith("t_"))
_AMOUNT: Final = pl.Decimal(18, 2)

DECISIONS: Final[dict[str, pl.DataType]] = {
    "row": pl.UInt32(),
    "decision_id": pl.String(),
    "payer": pl.String(),
    "verdict": pl.String(),
    **dict.fromkeys(_TEXTS, pl.String()),
    "version": pl.Int64(),
    "received_at": pl.Datetime("us", "UTC"),
    "test": pl.Boolean(),
    **dict.fromkeys(("t_tongchi_bv", "t_tongchi_bh", "t_bhtt", "t_bhtt_gd"), _AMOUNT),
}
"""Columns of decisions; `row` is that of the claim, t_bhtt_gd what the fund grants."""


def decide(claims: pl.DataFrame, findings: pl.DataFrame, payer: str) -> pl.DataFrame:
    """One row a claim: CANCELLED, REJECTED when any finding has severity E, REDUCED when some cut anything, else ACCEPTED."""
    refused = findings.filter(pl.col("severity") == "E").get_column("row").unique().implode()
    cut = findings.group_by("row").agg(pl.col("reduction").sum().alias("cut"))
    verdict = (
        pl.when(pl.col("action") == "CANCELLED")
        .then(pl.lit("CANCELLED"))
        .when(pl.col("row").is_in(refused))
        .then(pl.lit("REJECTED"))
        .when(pl.col("cut") > 0)
        .then(pl.lit("REDUCED"))
        .otherwise(pl.lit("ACCEPTED"))
    )
    nothing = pl.lit(0).cast(_AMOUNT)
    ids = [decision_id(event_id, payer) for event_id in claims.get_column("event_id").to_list()]
    decided = claims.join(cut, on="row", how="left", maintain_order="left").with_columns(
        verdict.alias("verdict"), pl.lit(payer).alias("payer"), pl.Series("decision_id", ids, dtype=pl.String)
    )
    paid = (pl.col("t_bhtt").fill_null(nothing) - pl.col("cut").fill_null(nothing)).cast(_AMOUNT)
    granted = pl.when(pl.col("verdict").is_in(["ACCEPTED", "REDUCED"])).then(paid).otherwise(nothing)
    return decided.with_columns(granted.alias("t_bhtt_gd")).select(*DECISIONS)


def decision_id(claim_event_id: str, payer: str) -> str:
    """The id that `derive` gives the decision about a claim event."""
    return new_id(RECORD, claim_event_id, RULE, payer)


def events(decisions: pl.DataFrame, findings: pl.DataFrame) -> Iterator[Event]:
    """The events of rows of `decisions` and `findings`, which belong together by the claim's `event_id`."""
    found: dict[str, list[dict[str, Any]]] = {}
    names = ("rule", "severity", "table", "stt", "field", "claimed", "computed", "reduction", "text_vi", "text_en")
    for event_id, *values in findings.sort("number").select("event_id", *names).iter_rows():
        found.setdefault(event_id, []).append(dict(zip(names, values, strict=True)))
    for row in decisions.iter_rows(named=True):
        yield _event(row, _limited(found.get(row["event_id"], [])))


def _event(row: Mapping[str, Any], findings: list[dict[str, Any]]) -> Event:
    revision = {"version": row["version"], "stated_at": row["stated_at"], "received_at": row["received_at"]}
    source = {name: row[f"source_{name}"] for name in SOURCE}
    claim = {
        "meta": {name: row[name] for name in ("event_id", "occurred_at", "message_id", "test", "sensitivity")}
        | {"source": source}
    }
    content = {
        "payer": row["payer"],
        "ma_cskcb": row["ma_cskcb"],
        "ma_lk": row["ma_lk"],
        "claim_event_id": row["event_id"],
        "claim_revision": revision,
        "verdict": row["verdict"],
        **{name: row[name] for name in ("t_tongchi_bv", "t_tongchi_bh", "t_bhtt", "t_bhtt_gd")},
        "findings": findings,
    }
    return derive(
        RECORD,
        content,
        parents=[claim],
        rule=RULE,
        facility=row["facility"],
        key=row["key"],
        revision=revision,  # type: ignore[arg-type]  # a Revision by its three names
        to=row["payer"],
    )


def _limited(findings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if len(findings) <= FINDINGS_MAX:
        return findings
    more = len(findings) - FINDINGS_MAX + 1
    rest = {
        "rule": "",
        "severity": "I",
        "text_vi": f"Còn {more} phát hiện khác; xem trong sổ cái.",
        "text_en": f"{more} further findings stand in the ledger.",
    }
    return [*findings[: FINDINGS_MAX - 1], rest]
