"""What-if: a month adjudicated again under other rules, beside the ledger; compared with it; then promoted or dropped.

A branch is a folder `branches/NAME` of the ledger with tables `findings` and `decisions` like the ledger's, and a file
`branch.json` that says what it is; that file comes last, so a run that was killed left no branch. Decisions are never edited:
promoting a branch appends an adjustment (R01) of the difference to what is in force for each claim whose amount it changes. `compare`
says the same before it is done. Branches do not build on one another: each is the month by its own rules and catalogues, and
one that is promoted after another puts back what it does not change itself.
"""

import json
import re
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Final

import polars as pl
from confluent_kafka import Message
from deltalake import CommitProperties, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError

from hub.contract.errors import HubError
from hub.contract.events import new_id
from hub.insurer.catalogues import NAMES, Catalogues
from hub.insurer.columns import Decoded, Writers, decode_claims
from hub.insurer.decisions import decide
from hub.insurer.forgetting import erase_missed
from hub.insurer.history import ADJUSTMENTS, adjustments, later, mark_of
from hub.insurer.history import TABLE as ADJUSTED
from hub.insurer.ledger import PLACE, files_of, opened, scan, schema_of
from hub.insurer.promoted import ABOUT, AGAIN, FOLDER, KEPT, decided, decisions, found, layers, promoted_at, promotion_mark
from hub.insurer.rules import RULES, adjudicate
from hub.insurer.rules.model import Rule
from hub.insurer.settlement import FORGOTTEN, claims_of

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")
_TABLES: Final = ("findings", "decisions")
_VIETNAMESE: Final = str.maketrans(",.", ".,")


@dataclass(frozen=True, slots=True)
class Branch:
    """One what-if.

    period:   YYYY-MM.
    changes:  what was changed in the rules, and which catalogues were used, in words; changes_vi: in Vietnamese.
    claims:   how many were adjudicated again.
    promoted: when last, ISO 8601 in UTC; "" while it is not.
    promotion, promoted_before: of its file, see `promoted.promoted_at`.
    """

    name: str
    period: str
    changes: str
    claims: int
    made_at: str
    promoted: str = ""
    changes_vi: str = ""
    promotion: int = 0
    promoted_before: str = ""


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


def words(without: Sequence[str], severities: Mapping[str, str], kinds: Collection[str]) -> tuple[str, str]:
    """What a branch changes, in Vietnamese and in English.  As `changed`; kinds: the catalogues that it is adjudicated with."""
    vi, en = [f"bỏ {rule}" for rule in without], [f"without {rule}" for rule in without]
    vi += [f"{rule} ở mức {severity}" for rule, severity in severities.items()]
    en += [f"{rule} as {severity}" for rule, severity in severities.items()]
    names = [NAMES[kind] for kind in kinds]
    with_vi, with_en = (", ".join(name[at] for name in names) for at in (0, 1))
    return (
        f"{', '.join(vi) or 'quy tắc của phiên bản này'}; {f'danh mục {with_vi}' if names else 'không có danh mục'}",
        f"{', '.join(en) or 'the rules of this release'}; {f'catalogues of {with_en}' if names else 'no catalogues'}",
    )


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
            the month or the topic has them no more; HubError(BODY_UNDECODABLE) when one of them can be read no more;
            HubError(LEDGER_CONFLICT) when its files are replaced all the time.
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
            write_deltalake(opened(home / name, schema_of(name)), frames[name], mode="append")
    erase_missed(ledger, home, places.get_column("event_id"))
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
    for row, code in sorted(decoded.culprits.items()):
        raise HubError(code, f"{messages[row].partition()}/{messages[row].offset()}")
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
             claims claimed of which it is the first reason), each before and after; verdicts: before, after, claims;
             undoes: what earlier promotions had changed and this one changes again: name ("": dropped by an older release),
             changes, changes_vi, claims, before, after.
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
        "undoes": list(_undone(ledger, both.filter(differs, "moved"))),
    }


def _side_by_side(ledger: Path, branch: Branch) -> pl.DataFrame:
    """Of the branch's claims that are in force: event_id, key, facility; verdict and what is to be paid, now and with the branch;
    by which layer each stands (`promoted.py`), and whether promotions moved its amount.

    What was found across claims (H01 to H09) stands on both sides until the month is closed again.
    """
    col, nothing = pl.col, pl.lit(0).cast(ADJUSTMENTS["reduction"])
    known = adjustments(files_of(ledger, ADJUSTED))
    across = known.filter(col("severity") == "C", col("rule") != AGAIN).group_by("event_id").agg(col("reduction").sum())
    moved = (col("first") != col("granted")).alias("moved")
    claims = claims_of(ledger, branch.period).lazy().select("event_id", "key", "facility")
    now = decided(ledger, known, claims).select("event_id", "granted", "layer", moved, verdict="verdict_now")
    then = decisions(ledger / FOLDER / branch.name).select("event_id", "t_bhtt_gd", verdict_after="verdict")
    both = claims.join(then, on="event_id").join(now, on="event_id").join(across, on="event_id", how="left")
    taken = col("reduction").fill_null(nothing)
    paid = {"before": col("granted") - taken, "after": col("t_bhtt_gd") - taken}
    amounts = (amount.cast(ADJUSTMENTS["reduction"]).alias(side) for side, amount in paid.items())
    kept = ("event_id", "key", "facility", "verdict", "verdict_after", "layer", "moved")
    return both.select(*kept, *amounts).sort("event_id").collect(engine="streaming")


def _undone(ledger: Path, again: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """By the branch that they stand by, of claims that are moved once more: how many, and what is to be paid."""
    homes = layers(ledger)
    counted = again.group_by("layer").agg(pl.len().alias("claims"), pl.col("before").sum(), pl.col("after").sum())
    for layer, *rest in counted.sort("layer").iter_rows():
        known = _read(homes[layer]) if layer else Branch("", "", "", 0, "")
        yield {
            **{name: getattr(known, name) for name in ("name", "changes", "changes_vi")},
            **dict(zip(("claims", "before", "after"), rest, strict=True)),
        }


def _by_rule(ledger: Path, name: str, claims: pl.LazyFrame) -> pl.DataFrame:
    """Findings, severities and money by rule, in force and with the branch, of some of its claims; only what differs."""
    joined = pl.concat(_both_sides(ledger, name, claims))
    sides = joined.group_by("rule", "side").agg(
        pl.col("severity").unique().sort().str.join(", "),
        pl.len().alias("findings"),
        pl.col("cut").sum(),
        pl.col("refused").sum(),
    )
    before, after = (sides.filter(side=side).drop("side") for side in ("before", "after"))
    kinds = ("severity", "findings", "cut", "refused")
    both = before.rename({kind: f"{kind}_before" for kind in kinds}).join(
        after.rename({kind: f"{kind}_after" for kind in kinds}), on="rule", how="full", coalesce=True
    )
    both = both.with_columns(pl.col(pl.String).fill_null(""), pl.col(pl.Decimal, pl.UInt32).fill_null(0))
    moved = pl.any_horizontal(pl.col(f"{kind}_before") != pl.col(f"{kind}_after") for kind in kinds)
    return both.filter(moved).sort("rule").collect()


def _both_sides(ledger: Path, name: str, claims: pl.LazyFrame) -> list[pl.LazyFrame]:
    """The findings of some claims of a branch, in force and with it, as rows of `_took`, and `side`: before, after."""
    home, known = ledger / FOLDER / name, adjustments(files_of(ledger, ADJUSTED))
    now = decided(ledger, known, claims)
    then = decisions(home).join(claims, on="event_id", how="semi")
    told = {
        "before": [_took(now, found(ledger, known)), _moved(now)],
        "after": [_took(then, scan(files_of(home, "findings"), schema_of("findings")))],
    }
    return [rows.with_columns(pl.lit(side).alias("side")) for side, frames in told.items() for rows in frames]


def _took(decided: pl.LazyFrame, findings: pl.LazyFrame) -> pl.LazyFrame:
    """Findings: event_id, rule, severity, what each cut of a reduced claim, and what a rejected one claimed of which it is the first reason.

    As `reductions` of `views.py` has it, so that cut and refused money add up to claimed less granted.
    """
    col = pl.col
    once = findings.unique(["event_id", "number"], keep="any")
    rows = once.join(decided.select("event_id", "verdict", "t_bhtt"), on="event_id").sort("event_id", "number")
    cut = pl.when(col("verdict") == "REDUCED").then("reduction").alias("cut")
    reason = (col("severity") == "E") & (col("verdict") == "REJECTED")
    first = reason & (reason.cum_sum().over("event_id") == 1)
    return rows.select("event_id", "rule", "severity", cut, pl.when(first).then("t_bhtt").alias("refused"))


def _moved(decided: pl.LazyFrame) -> pl.LazyFrame:
    """What earlier promotions moved beside the findings that are known, as rows like those of `_took`; none where they agree."""
    away = (pl.col("t_bhtt_gd") - pl.col("granted")).cast(ADJUSTMENTS["reduction"]).alias("cut")
    nothing = pl.lit(0).cast(ADJUSTMENTS["reduction"]).alias("refused")
    rows = decided.select("event_id", pl.lit(AGAIN).alias("rule"), pl.lit("C").alias("severity"), away, nothing)
    return rows.filter(pl.col("cut") != 0)


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
    marks = (promotion_mark(name, branch.made_at), mark_of(branch.period))
    times, of_month = (table.transaction_version(mark) or 0 for mark in marks)
    at = later(adjustments(table.file_uris()), at)
    rows = _differences(ledger, branch, at, times)
    told = replace(branch, promoted=at.isoformat(), promoted_before=branch.promoted, promotion=times + bool(rows.height))
    _write(ledger / FOLDER / name, told)
    if rows.height:
        said = zip(marks, (times + 1, of_month + 1), strict=True)
        commit = CommitProperties(app_transactions=[Transaction(*one) for one in said])
        try:
            write_deltalake(table, rows, mode="append", commit_properties=commit)
        except CommitFailedError:
            raise HubError("LEDGER_CONFLICT", ADJUSTED) from None
    return rows


def _differences(ledger: Path, branch: Branch, at: datetime, times: int) -> pl.DataFrame:
    """times: how often it was promoted before; what comes back after another branch was promoted has another id."""
    col = pl.col
    owed = _side_by_side(ledger, branch).with_columns((col("before") - col("after")).alias("reduction"))
    moved = owed.filter(col("reduction") != 0)
    events = moved.get_column("event_id").to_list()
    ids = [new_id(ADJUSTED, AGAIN, branch.name, branch.made_at, str(times), one) for one in events]
    why = _reasons(ledger, branch.name, moved.lazy().select("event_id"))
    said_vi = branch.changes_vi or branch.changes  # an older branch says it in English alone
    heads = (f"Giám định lại ({branch.name}; {said_vi})", f"Adjudicated again ({branch.name}; {branch.changes})")
    texts = [[f"{head}: {why[one][at]}" for one in events] for at, head in enumerate(heads)]
    made: dict[str, pl.Expr] = {
        "adjustment_id": pl.lit(pl.Series("adjustment_id", ids, dtype=pl.String)),
        "period": pl.lit(branch.period),
        "rule": pl.lit(AGAIN),
        "severity": pl.lit("C"),
        "table": pl.lit("XML1"),
        "stt": pl.lit(None),
        "other_event_id": pl.lit(""),
        "reverses": pl.lit(""),
        "text_vi": pl.lit(pl.Series("text_vi", texts[0], dtype=pl.String)),
        "text_en": pl.lit(pl.Series("text_en", texts[1], dtype=pl.String)),
        "closed_at": pl.lit(at),
    }
    return moved.select(made.get(name, col(name)).cast(dtype).alias(name) for name, dtype in ADJUSTMENTS.items())


def _reasons(ledger: Path, name: str, claims: pl.LazyFrame) -> dict[str, tuple[str, str]]:
    """Of each claim which rules' findings move its amount, and by how much, in Vietnamese and English: +: more is paid."""
    col = pl.col
    took = pl.concat(_both_sides(ledger, name, claims)).with_columns(col("cut").fill_null(0) + col("refused").fill_null(0))
    paid = pl.when(col("side") == "before").then("cut").otherwise(-col("cut"))
    rows = took.group_by("event_id", "rule").agg(paid.sum().alias("paid")).filter(col("paid") != 0).sort("event_id", "rule")
    parts: dict[str, list[tuple[str, Decimal]]] = {}
    for event_id, *part in rows.collect().iter_rows():
        parts.setdefault(event_id, []).append((part[0], part[1]))
    told = {one: ", ".join(f"{rule} {amount:+,.2f}" for rule, amount in found) for one, found in parts.items()}
    return {one: (f"{text.translate(_VIETNAMESE)} đồng", f"{text} VND") for one, text in told.items()}


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
    home = ledger / FOLDER / name
    if not _NAME.fullmatch(name) or not (home / ABOUT).exists():
        raise HubError("NOT_FOUND", f"branch {name}; see hie ledger branches")
    told = _read(home)
    [promoted] = promoted_at(ledger, [asdict(told)])
    return replace(told, promoted=promoted)


def _read(home: Path) -> Branch:
    return Branch(**json.loads((home / ABOUT).read_text("utf-8")))


def _write(home: Path, branch: Branch) -> None:
    home.mkdir(parents=True, exist_ok=True)
    fresh = home / f"{ABOUT}.new"
    fresh.write_text(json.dumps(asdict(branch)), "utf-8")
    fresh.replace(home / ABOUT)
