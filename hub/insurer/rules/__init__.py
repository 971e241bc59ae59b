"""The table of rules about single claims, and their evaluation over columns.

A family of rules is a file here: its `RULES`, and a `prepare` where it derives columns of its own. Rules across claims are in
`hub.insurer.history`.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final

import polars as pl

from hub.insurer.catalogues import Catalogues
from hub.insurer.columns import Decoded
from hub.insurer.rules import benefit, between, between_lines, cards, catalogues, elements, money, plausible
from hub.insurer.rules.cuts import cut
from hub.insurer.rules.frames import frames
from hub.insurer.rules.model import FINDINGS, LARGEST, Prepare, Rule

_STREAM: Final = (
    Rule("T05", "I", "stream", "", pl.lit(False), "The same event was already taken; it was dropped.", "Sự kiện đã được nhận trước đó; bỏ qua.", source="adjudication.md §4.1"),
    Rule("T06", "I", "claims", "", pl.col("supersedes") != "", "This version of the claim replaces an earlier one.", "Phiên bản hồ sơ này thay thế phiên bản trước.", source="adjudication.md §4.1"),
)  # fmt: skip

RULES: Final[tuple[Rule, ...]] = (
    *_STREAM,
    *elements.RULES,
    *between.RULES,
    *between_lines.RULES,
    *cards.RULES,
    *benefit.RULES,
    *money.RULES,
    *catalogues.RULES,
    *plausible.RULES,
)
"""Every rule, in the order of findings. Not checked for CANCELLED claims, but for T06."""

_PREPARE: Final[tuple[Prepare, ...]] = (
    elements.prepare,
    between_lines.prepare,
    between.prepare,
    cards.prepare,
    benefit.prepare,
    money.prepare,
    plausible.prepare,
)


def adjudicate(decoded: Decoded, rules: Sequence[Rule] = RULES, against: Catalogues | None = None) -> pl.DataFrame:
    """All findings about claims, as `FINDINGS` describes, in the order of claim, rule and line.

    against: without catalogues, nothing of C01 to C52 is checked.
    """
    prepared = frames(decoded)
    for prepare in _PREPARE:
        prepared = prepare(prepared)
    if against is not None:
        prepared = catalogues.prepare(prepared, against, decoded.claims.get_column("ma_cskcb").unique().to_list())
    found = [
        finding
        for about, frame in prepared.items()
        for finding in _failing(frame, [(place, rule) for place, rule in enumerate(rules) if rule.about == about])
    ]
    found += _replacing(decoded.claims, rules)
    if not found:
        return pl.DataFrame(schema=FINDINGS)
    told = pl.concat(found, how="vertical").join(_texts(rules), on="place", how="left", maintain_order="left")
    findings = _dated(told, decoded.claims, rules)
    ordered = findings.sort("row", "place", "table", "stt", "line", nulls_last=True, maintain_order=True)
    numbered = cut(ordered, decoded).with_columns(pl.int_range(pl.len(), dtype=pl.UInt32).over("row").alias("number"))
    return numbered.select(*FINDINGS)


def _replacing(claims: pl.DataFrame, rules: Sequence[Rule]) -> list[pl.DataFrame]:
    """T06 of cancelled claims: the one rule that is checked for them."""
    cancelled = claims.lazy().filter(pl.col("action") == "CANCELLED")
    named = cancelled.drop("stt").with_columns(pl.lit("XML1").alias("table"), pl.lit(None, dtype=pl.Int64).alias("stt"))
    return _failing(named, [(place, rule) for place, rule in enumerate(rules) if rule.id == "T06"])


def _failing(frame: pl.LazyFrame, about: Sequence[tuple[int, Rule]]) -> list[pl.DataFrame]:
    """The findings of rules about one frame. Only the columns that they read are computed, once, and only few rows are kept."""
    if not about:
        return []
    read = {"row", "table", "stt"} | {name for _, rule in about for name in (rule.claimed, rule.computed, rule.reduction) if name}
    names = frame.collect_schema().names()
    read |= {"line"} & set(names)
    fails = [rule.fails.fill_null(False).alias(f"fails {place}") for place, rule in about]
    any_fails = pl.any_horizontal(f"fails {place}" for place, _ in about)
    computed = frame.select(*sorted(read), *fails).filter(any_fails).collect()
    if not computed.height:
        return []
    return [
        computed.filter(pl.col(f"fails {place}")).select(_finding(rule, place, "line" in read))
        for place, rule in about
        if computed.get_column(f"fails {place}").any()
    ]


def _finding(rule: Rule, place: int, of_line: bool) -> list[pl.Expr]:
    def amount(name: str, alias: str) -> pl.Expr:
        if not name:
            return pl.lit(None, dtype=pl.Decimal(18, 3)).alias(alias)
        shown = pl.when(pl.col(name).abs() < LARGEST).then(pl.col(name))
        return (shown.cast(pl.Decimal(38, 3)) / 100).cast(pl.Decimal(18, 3)).alias(alias)

    return [
        pl.col("row"),
        pl.lit("").alias("table") if rule.field == "" else pl.col("table"),
        pl.col("stt"),
        amount(rule.claimed, "claimed"),
        amount(rule.computed, "computed"),
        (pl.col(rule.reduction) if rule.reduction else pl.lit(None)).cast(pl.Int128).alias("reduction"),
        pl.lit(place, dtype=pl.UInt32).alias("place"),
        (pl.col("line") if of_line else pl.lit(None)).cast(pl.UInt32).alias("line"),
    ]


def _texts(rules: Sequence[Rule]) -> pl.DataFrame:
    """What all findings of a rule share, by its place in the table."""
    names = {"rule": "id", "severity": "severity", "field": "field", "about": "about", "text_vi": "vi", "text_en": "en"}
    texts = {name: [getattr(rule, of_rule) for rule in rules] for name, of_rule in names.items()}
    return pl.DataFrame({"place": pl.Series(range(len(rules)), dtype=pl.UInt32), **texts})


def _dated(findings: pl.DataFrame, claims: pl.DataFrame, rules: Sequence[Rule]) -> pl.DataFrame:
    """Without findings of rules that did not apply on the day of the claim."""
    limited = [(place, rule) for place, rule in enumerate(rules) if rule.valid_from or rule.valid_to]
    if not limited:
        return findings
    left = pl.col("ngay_ra").str.slice(0, 8)
    day = claims.select("row", pl.when(left.str.len_chars() == 8).then(left).otherwise(pl.col("ngaylap")).alias("day"))
    dated = findings.join(day, on="row", how="left")
    for place, rule in limited:
        first, last = rule.valid_from or date.min, rule.valid_to or date.max
        applies = pl.col("day").is_between(pl.lit(f"{first:%Y%m%d}".zfill(8)), pl.lit(f"{last:%Y%m%d}"))
        dated = dated.filter((pl.col("place") != place) | applies)
    return dated.drop("day")
