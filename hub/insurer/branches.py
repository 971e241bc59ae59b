"""What-if: a month adjudicated again under other rules, beside the ledger; compared with it; then promoted or dropped.

A branch is a folder `branches/NAME` of the ledger with tables `findings` and `decisions` like the ledger's, and a file
`branch.json` that says what it is; that file comes last, so a run that was killed left no branch. Decisions are never edited:
promoting a branch appends an adjustment (R01) of the difference for each claim whose amount it changes.
"""

import json
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import polars as pl
from confluent_kafka import Message
from deltalake import CommitProperties, Transaction, write_deltalake

from hub.contract.errors import HubError
from hub.contract.events import new_id
from hub.insurer.catalogues import Catalogues
from hub.insurer.columns import Decoded, Writers, decode_claims
from hub.insurer.decisions import decide
from hub.insurer.history import ADJUSTMENTS, AGAIN, later
from hub.insurer.history import TABLE as ADJUSTED
from hub.insurer.ledger import PLACE, files_of, opened, scan, schema_of
from hub.insurer.rules import RULES, adjudicate
from hub.insurer.rules.model import Rule
from hub.insurer.settlement import claims_of

FOLDER: Final = "branches"
_ABOUT: Final = "branch.json"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")
_TABLES: Final = ("findings", "decisions")


@dataclass(frozen=True, slots=True)
class Branch:
    """One what-if.

    period:   YYYY-MM.
    changes:  what was changed in the rules, in words.
    claims:   how many were adjudicated again.
    promoted: when, ISO 8601 in UTC; "" while it is not.
    """

    name: str
    period: str
    changes: str
    claims: int
    made_at: str
    promoted: str = ""


def changed(
    without: Iterable[str] = (), severities: Mapping[str, str] | None = None, rules: Sequence[Rule] = RULES
) -> tuple[Rule, ...]:
    """The table of rules without some, or with other severities.

    Raises: HubError(REQUEST_WRONG) for a rule or severity that there is not, and for cuts of what has no amount.
    """
    known, without, severities = {rule.id for rule in rules}, set(without), severities or {}
    for one in (*without, *severities):
        if one not in known:
            raise HubError("REQUEST_WRONG", f"rule {one}; known: {', '.join(sorted(known))}")
    if wrong := set(severities.values()) - set("EWI"):
        raise HubError("REQUEST_WRONG", f"severity {', '.join(sorted(wrong))}; one of E, W, I")
    kept = (rule for rule in rules if rule.id not in without)
    return tuple(_as(rule, severities.get(rule.id, rule.severity)) for rule in kept)


def _as(rule: Rule, severity: str) -> Rule:
    return rule if severity == rule.severity else replace(rule, severity=severity, reduction="")


def readjudicate(
    ledger: Path,
    branch: Branch,
    read: Callable[[pl.DataFrame], Iterable[Sequence[Message]]],
    writers: Writers,
    payer: str,
    rules: Sequence[Rule],
    against: Catalogues | None = None,
) -> Branch:
    """Adjudicate the claims in force of a month again, as the stream has them, into a branch.

    read:    the records at the places that it is given, as `rereading.reread`.
    against: catalogues, where the payer has them.
    Raises: HubError(REQUEST_WRONG) when there is a branch of that name; HubError(NOT_FOUND) when the ledger has no claims of
            the month or the topic has them no more.
    """
    if not _NAME.fullmatch(branch.name):
        raise HubError("REQUEST_WRONG", "a branch is named by small letters, digits and hyphens, 41 at most")
    home = ledger / FOLDER / branch.name
    if (home / _ABOUT).exists():
        raise HubError("REQUEST_WRONG", f"there is a branch {branch.name} already; drop it first")
    if home.exists():
        shutil.rmtree(home)
    places = claims_of(ledger, branch.period)
    if not places.height:
        raise HubError("NOT_FOUND", f"no claims of {branch.period} in the ledger")
    for messages in read(places):
        frames = _adjudicated(messages, places, writers, partial(adjudicate, rules=rules, against=against), payer)
        for name in _TABLES:
            write_deltalake(str(home / name), frames[name], mode="append")
    made = replace(branch, claims=places.height)
    _write(home, made)
    return made


def _adjudicated(
    messages: Sequence[Message],
    places: pl.DataFrame,
    writers: Writers,
    adjudicated: Callable[[Decoded], pl.DataFrame],
    payer: str,
) -> dict[str, pl.DataFrame]:
    """Findings and decisions of a batch, with the columns of the ledger's tables."""
    decoded = decode_claims([message.value() for message in messages], writers)
    findings = adjudicated(decoded)
    at = pl.DataFrame(
        [(row, message.partition(), message.offset()) for row, message in enumerate(messages)],
        schema={"row": pl.UInt32, "kafka_partition": pl.Int32, "kafka_offset": pl.Int64},
        orient="row",
    ).join(places.select("event_id", *PLACE), on=["kafka_partition", "kafka_offset"], how="left", maintain_order="left")
    frames = {"findings": findings, "decisions": decide(decoded.claims, findings, payer).drop("event_id", strict=False)}
    return {
        name: frame.join(at, on="row", how="left", maintain_order="left").select(*schema_of(name))
        for name, frame in frames.items()
    }


# --- comparing --------------------------------------------------------------------------------------------------------


def compare(ledger: Path, name: str) -> dict[str, Any]:
    """What a branch would change, in VND.

    Returns: claims, changed, same_amount (counts; the last one: changed in the verdict alone), before, after (granted);
             facilities: facility, changed, before, after; rules: rule, then severity, findings, cut and refused (what rejected
             claims claimed of which it is the first reason), each before and after; verdicts: before, after, claims.
    Raises:  HubError(NOT_FOUND).
    """
    branch = read_branch(ledger, name)
    both = _side_by_side(ledger, name)
    col = pl.col
    differs = (col("before") != col("after")) | (col("verdict") != col("verdict_after"))
    facilities = both.filter(differs).group_by("facility").agg(pl.len().alias("changed"), col("before").sum(), col("after").sum())
    verdicts = both.group_by(col("verdict").alias("before"), col("verdict_after").alias("after")).agg(pl.len().alias("claims"))
    return {
        "branch": asdict(branch),
        "claims": both.height,
        "changed": both.filter(differs).height,
        "same_amount": both.filter(differs, col("before") == col("after")).height,
        "before": both.get_column("before").sum(),
        "after": both.get_column("after").sum(),
        "facilities": facilities.sort("facility").to_dicts(),
        "rules": _by_rule(ledger, name).to_dicts(),
        "verdicts": verdicts.sort("before", "after").to_dicts(),
    }


def _side_by_side(ledger: Path, name: str) -> pl.DataFrame:
    """event_id, facility, verdict and granted amount in the ledger and in the branch."""
    now = _decisions(ledger).select("event_id", "facility", "verdict", pl.col("t_bhtt_gd").alias("before"))
    then = _decisions(ledger / FOLDER / name).select(
        "event_id", pl.col("verdict").alias("verdict_after"), pl.col("t_bhtt_gd").alias("after")
    )
    return then.join(now, on="event_id", how="left").sort("event_id").collect()


def _by_rule(ledger: Path, name: str) -> pl.DataFrame:
    """Findings, severities and money by rule, before and after, of the claims of the branch; only what differs."""
    claims = _decisions(ledger / FOLDER / name).select("event_id")
    sides = [_told(folder, claims, side) for side, folder in (("before", ledger), ("after", ledger / FOLDER / name))]
    joined = sides[0].join(sides[1], on="rule", how="full", coalesce=True)
    joined = joined.with_columns(pl.col(pl.String).fill_null(""), pl.col(pl.Decimal, pl.UInt32).fill_null(0))
    kinds = ("severity", "findings", "cut", "refused")
    moved = pl.any_horizontal(pl.col(f"{kind}_before") != pl.col(f"{kind}_after") for kind in kinds)
    return joined.filter(moved).sort("rule").collect()


def _told(folder: Path, claims: pl.LazyFrame, side: str) -> pl.LazyFrame:
    """By rule: its severities, findings, what it cut of reduced claims, and what rejected ones claimed of which it is the first reason.

    As `reductions` of `views.py` has it, so that cut and refused money add up to claimed less granted.
    """
    col = pl.col
    decided = _decisions(folder).join(claims, on="event_id", how="semi").select("event_id", "verdict", "t_bhtt")
    found = _findings(folder).join(decided, on="event_id").sort("event_id", "number")
    cut = pl.when(col("verdict") == "REDUCED").then("reduction")
    reason = (col("severity") == "E") & (col("verdict") == "REJECTED")
    first = reason & (reason.cum_sum().over("event_id") == 1)
    return (
        found.with_columns(cut=cut, refused=pl.when(first).then("t_bhtt"))
        .group_by("rule")
        .agg(
            col("severity").unique().sort().str.join(", ").alias(f"severity_{side}"),
            pl.len().alias(f"findings_{side}"),
            col("cut").sum().alias(f"cut_{side}"),
            col("refused").sum().alias(f"refused_{side}"),
        )
    )


def _decisions(folder: Path) -> pl.LazyFrame:
    return scan(files_of(folder, "decisions"), schema_of("decisions")).unique("event_id", keep="any")


def _findings(folder: Path) -> pl.LazyFrame:
    return scan(files_of(folder, "findings"), schema_of("findings")).unique(["event_id", "number"], keep="any")


# --- what becomes of it -----------------------------------------------------------------------------------------------


def promote(ledger: Path, name: str, at: datetime) -> pl.DataFrame:
    """Make what a branch changes count: one adjustment a claim, in one commit; a second call finds it done.

    at:      aware.
    Returns: the rows that were appended, as `ADJUSTMENTS`.
    Raises:  HubError(NOT_FOUND).
    """
    branch = read_branch(ledger, name)
    table, mark = opened(ledger / ADJUSTED, ADJUSTMENTS), f"promote/{name}/{branch.made_at}"
    rows = pl.DataFrame(schema=ADJUSTMENTS)
    if not table.transaction_version(mark):
        rows = _differences(ledger, branch, at)
        commit = CommitProperties(app_transactions=[Transaction(mark, 1)])
        write_deltalake(table, rows, mode="append", commit_properties=commit)
    _write(ledger / FOLDER / name, replace(branch, promoted=branch.promoted or at.isoformat()))
    return rows


def _differences(ledger: Path, branch: Branch, at: datetime) -> pl.DataFrame:
    col = pl.col
    known = scan(files_of(ledger, ADJUSTED), ADJUSTMENTS)
    earlier = known.filter(col("rule") == AGAIN).group_by("event_id").agg(col("reduction").sum().alias("earlier")).collect()
    keys = _decisions(ledger).select("event_id", "key").collect()
    both = _side_by_side(ledger, branch.name).join(keys, on="event_id").join(earlier, on="event_id", how="left")
    owed = both.with_columns((col("before") - col("earlier").fill_null(0) - col("after")).alias("reduction"))
    moved = owed.filter(col("reduction") != 0).sort("event_id")
    ids = [new_id(ADJUSTED, AGAIN, branch.name, branch.made_at, one) for one in moved.get_column("event_id")]
    made: dict[str, pl.Expr] = {
        "adjustment_id": pl.lit(pl.Series("adjustment_id", ids, dtype=pl.String)),
        "period": pl.lit(branch.period),
        "rule": pl.lit(AGAIN),
        "severity": pl.lit("C"),
        "table": pl.lit("XML1"),
        "stt": pl.lit(None),
        "other_event_id": pl.lit(""),
        "reverses": pl.lit(""),
        "text_vi": pl.lit(f"Giám định lại ({branch.name}): {branch.changes}"),
        "text_en": pl.lit(f"Adjudicated again ({branch.name}): {branch.changes}"),
        "closed_at": pl.lit(later(known, at)),
    }
    return moved.select(made.get(name, col(name)).cast(dtype).alias(name) for name, dtype in ADJUSTMENTS.items())


def drop(ledger: Path, name: str) -> None:
    """Remove a branch; what was promoted of it stays.  Raises: HubError(NOT_FOUND)."""
    read_branch(ledger, name)
    shutil.rmtree(ledger / FOLDER / name)


def branches(ledger: Path) -> list[Branch]:
    """Those that there are, by name."""
    return [read_branch(ledger, file.parent.name) for file in sorted((ledger / FOLDER).glob(f"*/{_ABOUT}"))]


def read_branch(ledger: Path, name: str) -> Branch:
    """Raises: HubError(NOT_FOUND)."""
    file = ledger / FOLDER / name / _ABOUT
    if not _NAME.fullmatch(name) or not file.exists():
        raise HubError("NOT_FOUND", f"branch {name}; see hie ledger branches")
    return Branch(**json.loads(file.read_text("utf-8")))


def _write(home: Path, branch: Branch) -> None:
    home.mkdir(parents=True, exist_ok=True)
    fresh = home / f"{_ABOUT}.new"
    fresh.write_text(json.dumps(asdict(branch)), "utf-8")
    fresh.replace(home / _ABOUT)
