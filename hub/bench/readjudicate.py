"""`python -m hub.bench.readjudicate`: a month on real Kafka, adjudicated again without one rule, compared and promoted.

Claims of the nation, three in ten with a fault, go into the payer's topic; the insurer's workers make the ledger, by dated
catalogues that fit them; the month is read again into a branch without one rule that rejects; what it changes is compared and promoted. Each step is a process of its
own, so that its peak memory is its own. On stdout: the statement of the facility that gains most, before and after (without
the list of rejected claims), then one JSON line. On stderr: how far it is. Exit code 1 unless, by facility, money before and
difference make the money after to the đồng, and both are those of a second calculation (`row_cuts`) over what was put in.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, Final, cast

import polars as pl
from confluent_kafka import Message

from hub.bench.faults import RATE, as_read
from hub.bench.insurer import TOPIC, ends
from hub.bench.rig import apart, rig
from hub.bench.row_cuts import granted
from hub.bench.row_listed import read_listed
from hub.bus import Out, Producer, Wire
from hub.cli.ledger import print_statement
from hub.contract import telemetry
from hub.contract.events import encode
from hub.contract.settings import Settings
from hub.insurer import branches
from hub.insurer.catalogues import read_catalogues
from hub.insurer.consumer import Insurer
from hub.insurer.rereading import reread
from hub.insurer.rules import RULES
from hub.insurer.settlement import claims_of
from hub.insurer.statement import Statement, statement
from hub.insurer.views import opened
from hub.simulate import FAULTS, nation, write_catalogues

MONTH: Final = "2026-11"
BRANCH: Final = "bench"
_SENT_AT_ONCE: Final = 1_000
_TOLD_EVERY_S: Final = 10
_PAID: Final = """
select facility, sum(amount) from (
    select facility, t_bhtt_gd as amount from claims_in_force where month = $month
    union all select facility, -reduction from adjustments semi join claims_in_force using (event_id)
    where period = $month and severity = 'C'
) group by facility having sum(amount) <> 0
"""

Money = dict[str, Decimal]
"""VND by facility; those with nothing are left out."""


@dataclass(slots=True)
class Known:
    """What has to come out, by the second calculation. changed: claims that only the left-out rule rejects."""

    before: Money = field(default_factory=dict)
    after: Money = field(default_factory=dict)
    changed: int = 0


@dataclass(frozen=True, slots=True)
class Paid:
    """What the ledger says: money of all facilities, and the statement of one."""

    money: Money
    statement: Statement


def rejecting() -> list[str]:
    """Rules that reject or tell, and cut nothing: what each would pay without one is known claim by claim."""
    severities = defaultdict(set)
    for rule in RULES:
        severities[rule.id].add(rule.severity)
    return sorted(rule for rule, said in severities.items() if "E" in said and "C" not in said)


# --- the steps, each in a process of its own --------------------------------------------------------------------------


def fill(settings: Settings, count: int, seed: int, without: str) -> Known:
    """Put `count` claims into the topic. Returns: what has to come of them with all rules, and without one."""
    wire, producer, told = (
        Wire(settings.registry_url),
        Producer(settings.kafka, wait_s=60, linger_ms=20),
        _Progress("fill", count),
    )
    made = nation(seed, count, dict.fromkeys(FAULTS, RATE / len(FAULTS)))
    prefix, newest, listed = wire.prefix(TOPIC), {}, read_listed(_catalogues(settings))
    try:
        while some := list(islice(made, _SENT_AT_ONCE)):
            producer.publish_blocking(
                Out(TOPIC, one.event["meta"]["key"], prefix + encode("hie.Claim", one.event)) for one in some
            )
            for one in some:  # a later version comes later
                against = {finding.rule for finding in one.expected if finding.severity == "E"}
                whole = granted(as_read(one.event), rejected=False, listed=listed)
                amounts = [Decimal(0) if rejected else whole for rejected in (bool(against), bool(against - {without}))]
                newest[one.event["meta"]["key"]] = (one.event["meta"]["facility"], *amounts, against == {without})
            told.add(len(some))
    finally:
        producer.close()
    before, after = ([(facility, amounts[at]) for facility, *amounts, _ in newest.values()] for at in (0, 1))
    return Known(_sums(before), _sums(after), sum(changed for *_, changed in newest.values()))


def adjudicate(settings: Settings, worker: int, workers: int) -> int:
    """Be one of the insurer's workers until it has read its partitions. Returns: the records that it took."""
    mine = sum(end for partition, end in enumerate(ends(settings, TOPIC)) if partition % workers == worker)
    insurer, done, told = (
        Insurer(settings, "vss", threading.Event(), worker=worker, workers=workers),
        0,
        _Progress("ledger", mine),
    )
    try:
        insurer.open()
        while done < mine:
            taken = insurer.step()
            done += taken
            told.add(taken)
    finally:
        insurer.close()
    return done


def again(settings: Settings, without: str) -> int:
    """Adjudicate the month again into a branch. Returns: its claims."""

    def read(places: pl.DataFrame) -> Iterator[list[Message]]:
        told = _Progress("again", places.height)
        for messages in reread(settings, TOPIC, places, settings.insurer_batch):
            yield messages
            told.add(len(messages))

    branch = branches.Branch(BRANCH, MONTH, f"without {without}", 0, datetime.now(UTC).isoformat())
    rules, writers = branches.changed(without=[without]), Wire(settings.registry_url).writer
    against = read_catalogues(_catalogues(settings))
    return branches.readjudicate(settings.ledger, branch, read, writers, "vss", rules, against).claims


def compare(settings: Settings) -> dict[str, Any]:
    """As `branches.compare`, of the branch."""
    return branches.compare(settings.ledger, BRANCH)


def promote(settings: Settings) -> int:
    """Make the branch count. Returns: how many adjustments it made."""
    return branches.promote(settings.ledger, BRANCH, datetime.now(UTC)).height


def paid(settings: Settings, facility: str) -> Paid:
    """What the ledger says now."""
    with opened(settings.ledger) as database:
        money = dict(database.execute(_PAID, {"month": MONTH}).fetchall())
    return Paid(money, statement(settings.ledger, facility, MONTH))


# --- the run ----------------------------------------------------------------------------------------------------------


def run(claims: int, workers: int, seed: int, without: str) -> dict[str, Any]:
    """All steps, on servers of their own.

    Returns: for a line of JSON: good; wrong, in words; claims changed; money before, after and the difference, by facility
             and by rule, in VND; of each step seconds, items a second and peak memory of its largest process in MB.
    """
    steps: dict[str, dict[str, float]] = {}

    def step(name: str, work: Callable[..., Any], *each: tuple[Any, ...]) -> Any:
        found, steps[name] = apart(name, work, *each)
        return found

    with tempfile.TemporaryDirectory(prefix="hie-catalogues-") as catalogues, rig([]) as made:
        settings = made.settings.model_copy(update={"catalogue_dir": Path(catalogues)})  # not of this process's environment
        write_catalogues(_catalogues(settings))
        (known,) = step("fill", fill, (settings, claims, seed, without))
        step("ledger", adjudicate, *((settings, worker, workers) for worker in range(workers)))
        month = claims_of(settings.ledger, MONTH).height
        step("again", again, (settings, without))
        (found,) = step("compare", compare, (settings,))
        most = max(found["facilities"], key=lambda one: one["after"] - one["before"], default={"facility": ""})["facility"]
        (before,) = step("statement before", paid, (settings, most))
        step("promote", promote, (settings,))
        (after,) = step("statement after", paid, (settings, most))
    for said in (before.statement, after.statement):
        print_statement(replace(said, forms=[replace(form, sheets=form.sheets[:-1]) for form in said.forms]))
    for name, items in {"fill": claims, "ledger": claims, "again": month}.items():
        steps[name]["claims_per_s"] = round(items / steps[name]["seconds"], 1)
    wrong = amiss(known, found, before, after)
    sums = {name: str(sum(money.values(), Decimal(0))) for name, money in (("before", before.money), ("after", after.money))}
    told = {name: found[name] for name in ("claims", "changed", "facilities", "rules", "verdicts")}
    return {
        "good": not wrong,
        "wrong": wrong,
        "sent": claims,
        "workers": workers,
        "without": without,
        **told,
        **sums,
        "steps": steps,
    }


def amiss(known: Known, found: Mapping[str, Any], before: Paid, after: Paid) -> list[str]:
    """What does not agree, in words. found: as `branches.compare`."""
    difference = [(one["facility"], one["after"] - one["before"]) for one in found["facilities"]]
    agree = {
        "before and difference are not after": _sums([*before.money.items(), *difference]) == after.money,
        "the comparison has another money before": found["before"] == sum(before.money.values()),
        "before is not that of the second calculation": before.money == known.before,
        "after is not that of the second calculation": after.money == known.after,
        f"{known.changed} claims had to change": found["changed"] == known.changed,
        "the statement before says otherwise": payable(before.statement) == before.money.get(before.statement.facility, 0),
        "the statement after says otherwise": payable(after.statement) == after.money.get(after.statement.facility, 0),
    }
    return [words for words, holds in agree.items() if not holds]


def payable(said: Statement) -> Decimal:
    """What a statement comes to: granted on both forms, less the adjustments, in VND."""
    totals = (form.sheets[0].rows[-1] for form in said.forms if form.sheets)
    taken = (row[-1] for row in said.adjustments.rows)
    return sum((row[-1] for row in totals), Decimal(0)) - sum(taken, Decimal(0))


def _catalogues(settings: Settings) -> Path:
    return cast(Path, settings.catalogue_dir)


def _sums(amounts: Sequence[tuple[str, Decimal]]) -> Money:
    money: Money = defaultdict(Decimal)
    for facility, amount in amounts:
        money[facility] += amount
    return {facility: amount for facility, amount in money.items() if amount}


class _Progress:
    """Tells on stderr, now and then, how far a step is."""

    def __init__(self, step: str, whole: int) -> None:
        self._step, self._whole, self._done = step, whole, 0
        self._began = self._told = time.perf_counter()

    def add(self, count: int) -> None:
        self._done += count
        now = time.perf_counter()
        if now - self._told >= _TOLD_EVERY_S:
            self._told, rate = now, self._done / (now - self._began)
            print(f"{self._step}: {self._done:,} of {self._whole:,} claims, {rate:,.0f}/s", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns: 0 when all money agrees."""
    parser = argparse.ArgumentParser(prog="python -m hub.bench.readjudicate", description=__doc__)
    parser.add_argument("--claims", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=1, help="of the insurer, while it makes the ledger")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--without", default="X04", choices=rejecting(), metavar="RULE", help="the rule left out: one that rejects"
    )
    asked = parser.parse_args(arguments)
    telemetry.configure("error")
    figures = run(asked.claims, asked.workers, asked.seed, asked.without)
    print(json.dumps(figures, ensure_ascii=False, default=str), flush=True)
    return 0 if cast("bool", figures["good"]) else 1


if __name__ == "__main__":
    raise SystemExit(main())
