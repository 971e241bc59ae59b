"""`python -m hub.bench.faults`: a million claims with known faults through the insurer's rules, in memory.

Each fault has to be found by its rule, nothing else may be found, and the money has to be that of a second calculation
(`row_loop`, `row_cuts`, `row_listed`) to the đồng. Claims are checked against a folder of catalogues that fits them. Tells on stderr how far it is and what it found; one JSON line on stdout; exit code 1 when
anything differs.
"""

import argparse
import json
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from hub.bench.row_cuts import granted, reduced
from hub.bench.row_listed import Listed, read_listed
from hub.bench.row_loop import adjudicate_row
from hub.contract.claim_tables import tables
from hub.contract.events import Event, encode
from hub.insurer.catalogues import Catalogues, read_catalogues
from hub.insurer.columns import decode_claims
from hub.insurer.decisions import decide
from hub.insurer.rules import adjudicate
from hub.simulate import FAULTS, Expected, Simulated, nation, write_catalogues

BATCH: Final = 2_000
RATE: Final = 0.3
_ROWS: Final = ("xml2", "xml3", "xml4", "xml5")
_PREFIX: Final = b"\0\0\0\0\1"
_SHOWN: Final = 20
_TOLD_EVERY_S: Final = 10


@dataclass(slots=True)
class Tally:
    """What came of some claims.

    missed, uncaused: by rule. off: how far granted amounts and cuts are from the second calculation, in VND.
    odd:              the first differences, in words.
    """

    claims: int = 0
    rows: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    uncaused: Counter[str] = field(default_factory=Counter)
    granted: Decimal = Decimal(0)
    cut: Decimal = Decimal(0)
    off: Decimal = Decimal(0)
    odd: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not (self.missed or self.uncaused or self.off or self.odd)

    def add(self, other: "Tally") -> None:
        """Take in what another batch came to."""
        self.claims, self.rows = self.claims + other.claims, self.rows + other.rows
        for mine, theirs in ((self.faults, other.faults), (self.missed, other.missed), (self.uncaused, other.uncaused)):
            mine.update(theirs)
        self.granted, self.cut, self.off = self.granted + other.granted, self.cut + other.cut, self.off + other.off
        self.odd += other.odd[: _SHOWN - len(self.odd)]

    def as_dict(self) -> dict[str, Any]:
        """For a line of JSON."""
        return {
            "good": self.good,
            "claims": self.claims,
            "rows": self.rows,
            "faults": dict(sorted(self.faults.items())),
            "missed": self.missed,
            "uncaused": self.uncaused,
            "granted_vnd": str(self.granted),
            "cut_vnd": str(self.cut),
            "off_vnd": str(self.off),
            "odd": self.odd,
        }


@cache
def _catalogues() -> tuple[Catalogues, Listed]:
    """Written once a process; as the rules read them, and as the second calculation does."""
    with TemporaryDirectory() as folder:
        write_catalogues(Path(folder))
        return read_catalogues(Path(folder)), read_listed(Path(folder))


def batch(seed: int, count: int, rate: float = RATE) -> Tally:
    """Make so many claims of the nation, of which `rate` have a fault, all faults alike; adjudicate and check them."""
    return check(list(nation(seed, count, dict.fromkeys(FAULTS, rate / len(FAULTS)))))


def check(made: Sequence[Simulated]) -> Tally:
    """Through Avro, columns, rules and decisions; then claim by claim against what is known of it."""
    decoded = decode_claims([_PREFIX + encode("hie.Claim", one.event) for one in made], lambda _: ("hie.Claim", None))
    findings = adjudicate(decoded, against=_catalogues()[0])
    decisions = decide(decoded.claims, findings, "test")
    told: list[set[Expected]] = [set() for _ in made]
    cuts = [Decimal(0)] * len(made)
    for row, reduction, *named in findings.select("row", "reduction", *Expected._fields).iter_rows():
        told[row].add(Expected(*named))
        cuts[row] += reduction or 0
    amounts = dict(decisions.select("row", "t_bhtt_gd").iter_rows())
    tally = Tally(len(made), sum(len(one.event.get(table, ())) for one in made for table in _ROWS))
    for row, one in enumerate(made):
        _compare(tally, one, told[row], cuts[row], amounts.get(row))
    return tally


def _compare(tally: Tally, one: Simulated, told: set[Expected], cut: Decimal, amount: Decimal | None) -> None:
    if one.fault:
        tally.faults[one.fault.split()[0]] += 1
    missed, uncaused = one.expected - told, told - one.expected
    tally.missed.update(finding.rule for finding in missed)
    tally.uncaused.update(finding.rule for finding in uncaused)
    claim = as_read(one.event)
    formulas = {Expected(rule, severity, table, stt, name) for rule, severity, table, stt, name in adjudicate_row(claim)}
    other = {finding for finding in formulas ^ one.expected if finding.rule in ("X04", "X05")}
    rejected = any(finding.severity == "E" for finding in one.expected)
    listed = _catalogues()[1]
    right = granted(claim, rejected, listed)
    off = abs((amount if amount is not None else Decimal(-1)) - right) + abs(cut - reduced(claim, listed))
    tally.granted, tally.cut, tally.off = tally.granted + right, tally.cut + cut, tally.off + off
    if (missed or uncaused or off or other) and len(tally.odd) < _SHOWN:
        found = ", ".join(f"{name} {sorted(map(str, some))}" for name, some in (("missed", missed), ("uncaused", uncaused), ("row by row", other)) if some)  # fmt: skip
        tally.odd.append(f"{one.event['ma_lk']} {one.fault or 'right'}: {found} off {off}")


@cache
def _nothing(table: str) -> Mapping[str, Any]:
    texts: str | None = "" if table == "XML1" else None
    return {element.field: texts if element.kind == "string" else None for element in tables()[table].values()}


def as_read(claim: Event) -> Event:
    """A claim with all elements of the tables, as a reader has them."""
    rows = {name: [{**_nothing(name.upper()), **row} for row in claim.get(name, ())] for name in ("xml2", "xml3")}
    meta = {"supersedes": "", **claim["meta"]}
    return claim | rows | {"meta": meta, "xml1": {**_nothing("XML1"), **claim["xml1"]}}


def run(claims: int, workers: int, seed: int, rate: float = RATE) -> dict[str, Any]:
    """The figures of so many claims, in batches over processes; each batch has a seed of its own."""
    sizes = [min(BATCH, claims - start) for start in range(0, claims, BATCH)]
    asked = [(seed * 1_000_000 + place, size, rate) for place, size in enumerate(sizes)]
    began, whole = time.perf_counter(), Tally()
    if workers == 1:
        _sum(whole, (batch(*one) for one in asked), claims)
    else:
        with multiprocessing.get_context("spawn").Pool(workers) as pool:
            _sum(whole, pool.imap_unordered(_batch, asked), claims)
    seconds = time.perf_counter() - began
    return whole.as_dict() | {"seconds": round(seconds, 1), "claims_per_s": round(claims / seconds, 1), "workers": workers}


def _batch(asked: tuple[int, int, float]) -> Tally:
    return batch(*asked)


def _sum(whole: Tally, tallies: Iterable[Tally], claims: int) -> None:
    """Adds them up; tells differences at once and, now and then, how far it is: a million claims take hours."""
    began = told = time.perf_counter()
    for one in tallies:
        whole.add(one)
        for odd in one.odd:
            print(odd, file=sys.stderr, flush=True)
        now = time.perf_counter()
        if now - told >= _TOLD_EVERY_S:
            told, left_s = now, (now - began) / whole.claims * (claims - whole.claims)
            odd_ones = whole.missed.total() + whole.uncaused.total()
            print(f"{whole.claims:,} of {claims:,} claims, {odd_ones} findings amiss, {whole.off} VND off, {left_s / 60:.0f} min left", file=sys.stderr, flush=True)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns: 0 when everything was found, nothing else was, and the money agrees."""
    parser = argparse.ArgumentParser(prog="python -m hub.bench.faults", description=__doc__)
    parser.add_argument("--claims", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=RATE, help="share of the claims that have a fault")
    asked = parser.parse_args(arguments)
    figures = run(asked.claims, asked.workers, asked.seed, asked.rate)
    print(json.dumps(figures, ensure_ascii=False), flush=True)
    return 0 if figures["good"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
