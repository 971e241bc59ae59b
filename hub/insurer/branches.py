"""What-if: a month adjudicated again under other rules, beside the ledger; compared with it; then promoted or dropped.

A branch is a folder `branches/NAME` of the ledger with tables `findings` and `decisions` like the ledger's, and a file
`branch.json` that says what it is; that file comes last, so a run that was killed left no branch. Decisions are never edited:
promoting a branch appends an adjustment (R01) of the difference to what is in force for each claim whose amount it changes. `compare`
says the same before it is done.
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
from deltalake.exceptions import CommitFailedError

from hub.contract.errors import HubError
from hub.contract.events import new_id
from hub.insurer.catalogues import Catalogues
from hub.insurer.columns import Decoded, Writers, decode_claims
from hub.insurer.decisions import decide
from hub.insurer.history import ADJUSTMENTS, adjustments, later, mark_of
from hub.insurer.history import TABLE as ADJUSTED
from hub.insurer.ledger import PLACE, files_of, opened, scan, schema_of
from hub.insurer.promoted import ABOUT, AGAIN, FOLDER, KEPT, decided, decisions, found
from hub.insurer.rules import RULES, adjudicate
from hub.insurer.rules.model import Rule
from hub.insurer.settlement import FORGOTTEN, claims_of

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")
_TABLES: Final = ("findings", "decisions")


@dataclass(frozen=True, slots=True)
class Branch:
    """One what-if.

    period:   YYYY-MM.
    changes:  what was changed in the rules, in words.
    claims:   how many were adjudicated again.
    promoted: when last, ISO 8601 in UTC; "" while it is not.
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
    """Adjudicate the claims in force of a month again, as the stream has them, into a branch. What is forgotten is left out.

    read:    the records at the places that it is given, as `rereading.reread`.
    against: catalogues, where the payer has them.
    Raises: HubError(REQUEST_WRONG) when there is a branch of that name; HubError(NOT_FOUND) when the ledger has no claims of
            the month or the topic has them no more.
    """
    if not _NAME.fullmatch(branch.name):
        raise HubError("REQUEST_WRONG", "a branch is named by small letters, digits and hyphens, 41 at most")
    home = ledger / FOLDER / branch.name
    if (home / ABOUT).exists():
        raise HubError("REQUEST_WRONG", f"there is a branch {branch.name} already; drop it first")
    if home.exists():
        shutil.rmtree(home)
    places = claims_of(ledger, branch.period).filter(pl.col("action") != FORGOTTEN)
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
    """What promoting a branch would change of what is in force, in VND.

    Returns: claims, changed, same_amount (counts; the last one: changed in the verdict alone), replaced (claims that were corrected or
             withdrawn since the branch was made, which it leaves alone), before, after (to be paid: granted less adjustments);
             facilities: facility, changed, before, after; rules: rule, then severity, findings, cut and refused (what rejected
             claims claimed of which it is the first reason), each before and after; verdicts: before, after, claims.
             A rule R01 is what an earlier promotion moved (below zero: granted besides) whose branch is no more.
    Raises:  HubError(NOT_FOUND).
    """
    branch = read_branch(ledger, name)
    both = _side_by_side(ledger, branch)
    col = pl.col
    differs = (col("before") != col("after")) | (col("verdict") != col("verdict_after"))
    facilities = both.filter(differs).group_by("facility").agg(pl.len().alias("changed"), col("before").sum(), col("after").sum())
    verdicts = both.group_by(col("verdict").alias("before"), col("verdict_after").alias("after")).agg(pl.len().alias("claims"))
    return {
        "branch": asdict(branch),
        "claims": both.height,
        "changed": both.filter(differs).height,
        "same_amount": both.filter(differs, col("before") == col("after")).height,
        "replaced": branch.claims - both.height,
        "before": both.get_column("before").sum(),
        "after": both.get_column("after").sum(),
        "facilities": facilities.sort("facility").to_dicts(),
        "rules": _by_rule(ledger, name, both.lazy().select("event_id")).to_dicts(),
        "verdicts": verdicts.sort("before", "after").to_dicts(),
    }


def _side_by_side(ledger: Path, branch: Branch) -> pl.DataFrame:
    """Of the branch's claims that are in force: event_id, key, facility; verdict and what is to be paid, now and with the branch.

    What was found across claims (H01 to H09) stands on both sides until the month is closed again.
    """
    col, nothing = pl.col, pl.lit(0).cast(ADJUSTMENTS["reduction"])
    known = adjustments(files_of(ledger, ADJUSTED))
    across = known.filter(col("severity") == "C", col("rule") != AGAIN).group_by("event_id").agg(col("reduction").sum())
    now = decided(ledger, known).select("event_id", "granted", verdict="verdict_now")
    then = decisions(ledger / FOLDER / branch.name).select("event_id", "t_bhtt_gd", verdict_after="verdict")
    claims = claims_of(ledger, branch.period).lazy().select("event_id", "key", "facility")
    both = claims.join(then, on="event_id").join(now, on="event_id").join(across, on="event_id", how="left")
    taken = col("reduction").fill_null(nothing)
    paid = {"before": col("granted") - taken, "after": col("t_bhtt_gd") - taken}
    amounts = (amount.cast(ADJUSTMENTS["reduction"]).alias(side) for side, amount in paid.items())
    return both.select("event_id", "key", "facility", "verdict", "verdict_after", *amounts).sort("event_id").collect()


def _by_rule(ledger: Path, name: str, claims: pl.LazyFrame) -> pl.DataFrame:
    """Findings, severities and money by rule, in force and with the branch, of some of its claims; only what differs."""
    home = ledger / FOLDER / name
    now = decided(ledger, adjustments(files_of(ledger, ADJUSTED))).join(claims, on="event_id", how="semi")
    then = decisions(home).join(claims, on="event_id", how="semi")
    findings = scan(files_of(home, "findings"), schema_of("findings"))
    before = pl.concat([_told(now, found(ledger), "before"), _moved(now)], how="vertical_relaxed")
    joined = before.join(_told(then, findings, "after"), on="rule", how="full", coalesce=True)
    joined = joined.with_columns(pl.col(pl.String).fill_null(""), pl.col(pl.Decimal, pl.UInt32).fill_null(0))
    kinds = ("severity", "findings", "cut", "refused")
    moved = pl.any_horizontal(pl.col(f"{kind}_before") != pl.col(f"{kind}_after") for kind in kinds)
    return joined.filter(moved).sort("rule").collect()


def _told(decided: pl.LazyFrame, findings: pl.LazyFrame, side: str) -> pl.LazyFrame:
    """By rule: its severities, findings, what it cut of reduced claims, and what rejected ones claimed of which it is the first reason.

    As `reductions` of `views.py` has it, so that cut and refused money add up to claimed less granted.
    """
    col = pl.col
    once = findings.unique(["event_id", "number"], keep="any")
    rows = once.join(decided.select("event_id", "verdict", "t_bhtt"), on="event_id").sort("event_id", "number")
    cut = pl.when(col("verdict") == "REDUCED").then("reduction")
    reason = (col("severity") == "E") & (col("verdict") == "REJECTED")
    first = reason & (reason.cum_sum().over("event_id") == 1)
    return (
        rows.with_columns(cut=cut, refused=pl.when(first).then("t_bhtt"))
        .group_by("rule")
        .agg(
            col("severity").unique().sort().str.join(", ").alias(f"severity_{side}"),
            pl.len().alias(f"findings_{side}"),
            col("cut").sum().alias(f"cut_{side}"),
            col("refused").sum().alias(f"refused_{side}"),
        )
    )


def _moved(decided: pl.LazyFrame) -> pl.LazyFrame:
    """What earlier promotions moved beside the findings that are known, as a row like those of `_told`; none where they agree."""
    away = pl.col("t_bhtt_gd") - pl.col("granted")
    rows = decided.filter(away != 0).select(
        pl.lit(AGAIN).alias("rule"), pl.lit("C").alias("severity_before"), pl.len().alias("findings_before"),
        away.sum().alias("cut_before"), pl.lit(0).cast(ADJUSTMENTS["reduction"]).alias("refused_before"),
    )  # fmt: skip
    return rows.filter(pl.col("findings_before") > 0)


# --- what becomes of it -----------------------------------------------------------------------------------------------


def promote(ledger: Path, name: str, at: datetime) -> pl.DataFrame:
    """Make what a branch changes of what is in force count: one adjustment a claim, in one commit; a second call finds it done.

    at:      aware.
    Returns: the rows that were appended, as `ADJUSTMENTS`.
    Raises:  HubError(NOT_FOUND); HubError(LEDGER_CONFLICT) when another process promotes one of that month, or closes it, at the same time.
    """
    branch = read_branch(ledger, name)
    table = opened(ledger / ADJUSTED, ADJUSTMENTS)
    # The second mark is that of the month: two branches promoted at once would each add its difference to the same amounts.
    marks = (f"promote/{name}/{branch.made_at}", mark_of(branch.period))
    times, of_month = (table.transaction_version(mark) or 0 for mark in marks)
    at = later(adjustments(table.file_uris()), at)
    rows = _differences(ledger, branch, at, times)
    if rows.height:
        said = zip(marks, (times + 1, of_month + 1), strict=True)
        commit = CommitProperties(app_transactions=[Transaction(*one) for one in said])
        try:
            write_deltalake(table, rows, mode="append", commit_properties=commit)
        except CommitFailedError:
            raise HubError("LEDGER_CONFLICT", ADJUSTED) from None
    # Without rows too: the run that appended them may have been killed before it said that this branch is the last one.
    _write(ledger / FOLDER / name, replace(branch, promoted=at.isoformat()))
    return rows


def _differences(ledger: Path, branch: Branch, at: datetime, times: int) -> pl.DataFrame:
    """times: how often it was promoted before; what comes back after another branch was promoted has another id."""
    col = pl.col
    owed = _side_by_side(ledger, branch).with_columns((col("before") - col("after")).alias("reduction"))
    moved = owed.filter(col("reduction") != 0)
    ids = [new_id(ADJUSTED, AGAIN, branch.name, branch.made_at, str(times), one) for one in moved.get_column("event_id")]
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
        "closed_at": pl.lit(at),
    }
    return moved.select(made.get(name, col(name)).cast(dtype).alias(name) for name, dtype in ADJUSTMENTS.items())


def drop(ledger: Path, name: str) -> None:
    """Remove a branch; what was promoted of it stays, with the findings that say why.  Raises: HubError(NOT_FOUND)."""
    branch, home = read_branch(ledger, name), ledger / FOLDER / name
    if not branch.promoted:
        shutil.rmtree(home)
        return
    (ledger / KEPT).mkdir(exist_ok=True)
    home.rename(ledger / KEPT / new_id(FOLDER, name, branch.made_at))


def branches(ledger: Path) -> list[Branch]:
    """Those that there are, by name."""
    return [read_branch(ledger, file.parent.name) for file in sorted((ledger / FOLDER).glob(f"*/{ABOUT}"))]


def read_branch(ledger: Path, name: str) -> Branch:
    """Raises: HubError(NOT_FOUND)."""
    file = ledger / FOLDER / name / ABOUT
    if not _NAME.fullmatch(name) or not file.exists():
        raise HubError("NOT_FOUND", f"branch {name}; see hie ledger branches")
    return Branch(**json.loads(file.read_text("utf-8")))


def _write(home: Path, branch: Branch) -> None:
    home.mkdir(parents=True, exist_ok=True)
    fresh = home / f"{ABOUT}.new"
    fresh.write_text(json.dumps(asdict(branch)), "utf-8")
    fresh.replace(home / ABOUT)
