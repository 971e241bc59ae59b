"""What-if: a month adjudicated again under other rules, beside the ledger; compared with it; then promoted or dropped.

A branch is a folder `branches/NAME` of the ledger with tables `findings` and `decisions` like the ledger's, and a file
`branch.json` that says what it is; that file comes last, so a run that was killed left no branch. Promoting appends what
changed to the ledger's own tables as a later `run` of those claims; the earlier rows stay, and what a month that was settled
owes or gets back becomes adjustments when it is closed again.
"""

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import polars as pl
from confluent_kafka import Message
from deltalake import write_deltalake

from hub.contract.errors import HubError
from hub.contract.settings import Settings
from hub.insurer.columns import Writers, decode_claims
from hub.insurer.decisions import decide
from hub.insurer.ledger import files_of, scan, schema_of
from hub.insurer.rereading import reread
from hub.insurer.rules import RULES, adjudicate
from hub.insurer.rules.model import Rule

FOLDER: Final = "branches"
_ABOUT: Final = "branch.json"
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


def changed(without: Iterable[str] = (), severities: Mapping[str, str] | None = None, rules: Sequence[Rule] = RULES) -> tuple[Rule, ...]:
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
    settings: Settings, ledger: Path, topic: str, writer: Writers, branch: Branch, rules: Sequence[Rule], payer: str
) -> Branch:
    """Adjudicate the claims in force of a month again, as the stream has them, into a branch.

    Raises: HubError(REQUEST_WRONG) when there is a branch of that name; HubError(NOT_FOUND) when the ledger has no claims of
            the month or the topic has them no more.
    """
    home = ledger / FOLDER / branch.name
    if (home / _ABOUT).exists():
        raise HubError("REQUEST_WRONG", f"there is a branch {branch.name} already; drop it first")
    if home.exists():
        shutil.rmtree(home)
    places = claims_of(ledger, branch.period)
    if not places.height:
        raise HubError("NOT_FOUND", f"no claims of {branch.period} in the ledger")
    for messages in reread(settings, topic, places, settings.insurer_batch):
        frames = _adjudicated(messages, places, writer, rules, payer)
        for name in _TABLES:
            write_deltalake(str(home / name), frames[name], mode="append")
    made = replace(branch, claims=places.height)
    _write(home, made)
    return made


def claims_of(ledger: Path, period: str) -> pl.DataFrame:
    """Place and event id of the claims in force whose visit ended in a month (NGAY_RA, else NGAYLAP), by partition and offset."""
    col = pl.col
    revision = ["version", "stated_at", "received_at"]
    rows = scan(files_of(ledger, "claims"), schema_of("claims")).select(
        "event_id", "key", "action", *revision, "kafka_topic_id", "kafka_partition", "kafka_offset",
        pl.when(col("ngay_ra").str.len_chars() >= 8).then("ngay_ra").otherwise("ngaylap").str.slice(0, 6).alias("month"),
    )  # fmt: skip
    newest = rows.sort("key", *revision, descending=[False, True, True, True]).unique("key", keep="first", maintain_order=True)
    found = newest.filter(col("action") != "CANCELLED", col("month") == period.replace("-", ""))
    return found.select("event_id", "kafka_topic_id", "kafka_partition", "kafka_offset").sort("kafka_partition", "kafka_offset").collect()


def _adjudicated(messages: Sequence[Message], places: pl.DataFrame, writer: Writers, rules: Sequence[Rule], payer: str) -> dict[str, pl.DataFrame]:
    """Findings and decisions of a batch, with the columns of the ledger's tables."""
    decoded = decode_claims([message.value() for message in messages], writer)
    findings = adjudicate(decoded, rules)
    at = pl.DataFrame(
        [(row, message.partition(), message.offset()) for row, message in enumerate(messages)],
        schema={"row": pl.UInt32, "kafka_partition": pl.Int32, "kafka_offset": pl.Int64},
        orient="row",
    ).join(places, on=["kafka_partition", "kafka_offset"], how="left", maintain_order="left")
    frames = {"findings": findings, "decisions": decide(decoded.claims, findings, payer).drop("event_id", strict=False)}
    return {name: frame.join(at, on="row", how="left", maintain_order="left").select(*schema_of(name)) for name, frame in frames.items()}


# --- comparing --------------------------------------------------------------------------------------------------------


def compare(ledger: Path, name: str) -> dict[str, Any]:
    """What a branch would change, in VND.

    Returns: claims, changed (counts), before, after (granted); facilities: facility, changed, before, after; rules: rule,
             findings and cuts before and after; verdicts: before, after, claims.
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
    """Findings and cuts by rule, before and after, of the claims of the branch."""
    claims = _decisions(ledger / FOLDER / name).select("event_id")
    sides = []
    for side, folder in (("before", ledger), ("after", ledger / FOLDER / name)):
        found = _findings(folder).join(claims, on="event_id", how="semi")
        sides.append(found.group_by("rule").agg(pl.len().alias(f"findings_{side}"), pl.col("reduction").sum().alias(f"cut_{side}")))
    joined = sides[0].join(sides[1], on="rule", how="full", coalesce=True).fill_null(0)
    moved = (pl.col("findings_before") != pl.col("findings_after")) | (pl.col("cut_before") != pl.col("cut_after"))
    return joined.filter(moved).sort("rule").collect()


def _decisions(folder: Path) -> pl.LazyFrame:
    return in_force(scan(files_of(folder, "decisions"), schema_of("decisions")))


def _findings(folder: Path) -> pl.LazyFrame:
    found = in_force(scan(files_of(folder, "findings"), schema_of("findings")), "event_id")
    return found.unique(["event_id", "number"], keep="any")
