"""Decisions: one `hie.ClaimDecision` a claim event, as rows of the ledger and, made from those rows, as events.

The same rows give the same event with the same id, however often it is published.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import polars as pl

from hub.contract.events import Event, content_hash, decode, encode_columns, new_id
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
_AMOUNTS: Final = ("t_tongchi_bv", "t_tongchi_bh", "t_bhtt", "t_bhtt_gd")

DECISIONS: Final[dict[str, pl.DataType]] = {
    "row": pl.UInt32(),
    "decision_id": pl.String(),
    "payer": pl.String(),
    "verdict": pl.String(),
    **dict.fromkeys(_TEXTS, pl.String()),
    "version": pl.Int64(),
    "received_at": pl.Datetime("us", "UTC"),
    "test": pl.Boolean(),
    **dict.fromkeys(_AMOUNTS, _AMOUNT),
}
"""Columns of decisions; `row` is that of the claim, t_bhtt_gd what the fund grants."""

_TOLD: Final = ("event_id", *(name for name in DECISIONS if name not in ("row", "supersedes")))
FINDING: Final = ("rule", "severity", "table", "stt", "field", "claimed", "computed", "reduction", "text_vi", "text_en")
"""What a decision says of each finding."""


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


def bodies(decisions: pl.DataFrame, findings: pl.DataFrame) -> Iterator[tuple[Event, bytes]]:
    """The events of rows of `decisions`, in their order, with the `findings` of the claim's `event_id`: of each what the record
    in Kafka needs of `meta`, and the Avro body. No event is ever built."""
    of = {name: column.to_list() for name, column in decisions.select(*_TOLD).to_dict().items()}
    found: dict[str, list[dict[str, Any]]] = {}
    for event_id, *values in findings.sort("number").select("event_id", *FINDING).iter_rows():
        found.setdefault(event_id, []).append(dict(zip(FINDING, values, strict=True)))
    revision = {name: of[name] for name in ("version", "stated_at", "received_at")}
    content = {
        **{name: of[name] for name in ("payer", "ma_cskcb", "ma_lk")},
        "claim_event_id": of["event_id"],
        "claim_revision": revision,
        "verdict": of["verdict"],
        "findings": [_limited(found.get(event_id, [])) for event_id in of["event_id"]],
    }
    # amounts are hashed as texts, which `content_hash` makes of them anyway
    texts = decisions.select(pl.col(_AMOUNTS).cast(pl.String)).to_dict(as_series=False)
    head = {"event_id": of["decision_id"], "revision": revision, "key": of["key"], "message_id": of["message_id"]}
    meta = {
        **head,
        **{name: of[name] for name in ("facility", "occurred_at", "test", "sensitivity")},
        "causes": [[event_id] for event_id in of["event_id"]],
        "rule": [RULE] * decisions.height,
        "content_hash": [content_hash(row) for row in _rows(content | texts)],
        "source": {name: of[f"source_{name}"] for name in SOURCE},
    }
    encoded = encode_columns(RECORD, {"meta": meta, **content, **{name: of[name] for name in _AMOUNTS}})
    return zip(_rows(head), encoded, strict=True)


def _rows(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Columns, some of them of records, as one dict a row."""
    lists = [_rows(column) if isinstance(column, dict) else column for column in columns.values()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True)]


def events(decisions: pl.DataFrame, findings: pl.DataFrame) -> Iterator[Event]:
    """The same events, for whoever wants to read them."""
    return (decode(RECORD, body) for _, body in bodies(decisions, findings))


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
