"""`python -m hub.bench.growth`: what the insurer costs when its ledger has 1, 10 and 100 million lines.

Real claims of the nation go once through columns, rules and decisions; their rows are then appended again and again, as batches of
other people's claims of the half year before, until the ledger is as large as asked. At each size, each step in a process of its
own: the worker takes new claims off a real topic into that ledger; ready questions, a statement, one claim told; compaction; the
pass over the newest month. One JSON line a size on stdout, on stderr how far it is.
"""

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Any, Final

import polars as pl

from hub.bench.insurer import TOPIC, fill, size_of
from hub.bench.rig import apart, rig
from hub.contract import telemetry
from hub.contract.events import encode
from hub.contract.settings import Settings
from hub.insurer.columns import decode_claims
from hub.insurer.compaction import compact
from hub.insurer.consumer import Insurer
from hub.insurer.decisions import decide
from hub.insurer.explain import read_claim
from hub.insurer.history import close
from hub.insurer.ledger import TABLES, Ledger, files_of, schema_of
from hub.insurer.questions import ask
from hub.insurer.rereading import topic_id
from hub.insurer.rules import adjudicate
from hub.insurer.statement import statement
from hub.simulate import nation

MONTHS: Final = ("2026-06", "2026-07", "2026-08", "2026-09", "2026-10", "2026-11")
ASKED: Final = ("month", "facility", "drug", "reductions")
_BATCH: Final = 4_000  # claims, as `HIE_INSURER_BATCH`
_MADE: Final = 5 * _BATCH  # claims that are really made
_PARTITION: Final = 1_000  # of the rows that are made up: none that the topic has
_TIMES: Final = ("ngay_vao", "ngay_vao_noi_tru", "ngay_ra", "ngay_ttoan", "ngaylap", "ngay_yl", "ngay_th_yl", "ngay_kq")
_TOLD_EVERY_S: Final = 10.0


def batches() -> list[dict[str, pl.DataFrame]]:
    """Rows of the ledger's tables, without a place, of claims that went through all rules."""
    made = nation(7, _MADE, {})
    prefix, found = b"\0\0\0\0\1", []
    while some := list(islice(made, _BATCH)):
        decoded = decode_claims([prefix + encode("hie.Claim", one.event) for one in some], lambda _id: ("hie.Claim", None))
        findings = adjudicate(decoded)
        frames = {"claims": decoded.claims, "lines": decoded.lines, "findings": findings}
        frames["decisions"] = decide(decoded.claims, findings, "vss")
        found.append(frames)
    return found


def copied(frames: Mapping[str, pl.DataFrame], number: int, topic_id: str) -> tuple[dict[str, pl.DataFrame], dict[int, int]]:
    """The batch as other visits on other days: ids, keys, persons and months by its number; and the offsets behind it.

    Of two people one comes in every month, and so has claims for the pass to lay side by side.
    """
    month = MONTHS[number % len(MONTHS)].replace("-", "")
    claims = frames["claims"]
    ids = claims.select("row", event_id=f"{number:08x}" + pl.col("event_id").str.slice(8))
    places = ids.with_columns(
        pl.lit(topic_id).alias("kafka_topic_id"),
        pl.lit(_PARTITION, pl.Int32).alias("kafka_partition"),
        (pl.lit(number, pl.Int64) * claims.height + pl.int_range(claims.height, dtype=pl.Int64)).alias("kafka_offset"),
    )
    made = {}
    for name in TABLES:
        frame = frames[name].drop("event_id", strict=False).join(places, on="row", how="left", maintain_order="left")
        times = [name for name in _TIMES if name in frame.columns]
        frame = frame.with_columns(pl.concat_str(pl.lit(month), pl.col(name).str.slice(6)).alias(name) for name in times)
        if name == "claims":
            place = pl.int_range(claims.height)
            batch = pl.when(place % 2 == 0).then(pl.lit(number)).otherwise(number - number % len(MONTHS))
            person = (batch * claims.height + place).cast(pl.String).str.zfill(9)
            frame = frame.with_columns(
                key=f"{number:08x}" + pl.col("key").str.slice(8), so_cccd="001" + person, supersedes=pl.lit(None, pl.String)
            )
        made[name] = frame.select(*schema_of(name))
    return made, {_PARTITION: (number + 1) * claims.height}


def grow(settings: Settings, lines: int) -> dict[str, Any]:
    """Append batches until the ledger has so many lines.  Returns: claims and lines that it has then."""
    made, ledger = batches(), Ledger(settings.ledger, topic_id(settings, TOPIC))
    each = sum(frames["lines"].height for frames in made) / len(made)
    number, told = ledger.committed(_PARTITION) // _BATCH, time.monotonic()
    while number * each < lines:
        ledger.append(*copied(made[number % len(made)], number, ledger.topic_id))
        number += 1
        if time.monotonic() - told > _TOLD_EVERY_S:
            told = time.monotonic()
            print(f"grow: {int(number * each):,} of {lines:,} lines", file=sys.stderr, flush=True)
    return {"claims": number * _BATCH, "lines": int(number * each)}


def take(settings: Settings, count: int) -> dict[str, Any]:
    """Take what is new in the topic.  Returns: seconds to stand at the next offsets; claims a second, CPU µs a claim by stage."""
    insurer, began = Insurer(settings, "vss", threading.Event()), time.perf_counter()
    try:
        insurer.open()
        opened, done = time.perf_counter(), 0
        while done < count:
            done += insurer.step()
        rate = count / (time.perf_counter() - opened)
        spent = {stage: round(used / count * 1e6, 1) for stage, used in insurer.cpu_s.items()}
        return {"open_s": round(opened - began, 2), "claims_per_s": round(rate), "cpu_us_a_claim": spent}
    finally:
        insurer.close()


def look(settings: Settings) -> dict[str, float]:
    """Seconds of what people ask."""
    ledger, month = settings.ledger, MONTHS[-1]
    first = pl.scan_parquet(files_of(ledger, "claims")[0]).select("event_id", "facility").head(1).collect().row(0, named=True)
    asked: dict[str, Callable[[], object]] = {
        **{f"ask {name}": partial(ask, ledger, name, hashed=str, month=month) for name in ASKED},
        "statement": lambda: statement(ledger, first["facility"], month),
        "explain": lambda: read_claim(ledger, first["event_id"]),
    }
    found = {}
    for name, work in asked.items():
        began = time.perf_counter()
        work()
        found[name] = round(time.perf_counter() - began, 2)
    return found


def tidy(settings: Settings) -> dict[str, tuple[int, int]]:
    """Compact.  Returns: files before and after, by table."""
    return compact(settings.ledger)


def history(settings: Settings) -> int:
    """The pass over the newest month.  Returns: adjustments."""
    year, month = map(int, MONTHS[-1].split("-"))
    return close(settings.ledger, datetime(year, month, 1, tzinfo=UTC).date(), datetime.now(UTC)).height


def run(sizes: Sequence[int], claims: int) -> Iterator[dict[str, Any]]:
    """All sizes, on servers of their own.  claims: taken off the topic at each.  Yields: figures, for a line of JSON."""
    with rig([]) as made:
        settings = made.settings
        for lines in sorted(sizes):
            told: dict[str, Any] = {}
            fill(settings, claims)
            steps: tuple[tuple[Callable[..., Any], tuple[int, ...]], ...] = (
                (grow, (lines,)), (tidy, ()), (look, ()), (take, (claims,)), (history, ()),
            )  # fmt: skip
            for work, more in steps:
                (found,), cost = apart(work.__name__, work, (settings, *more))
                told[work.__name__] = cost | {"found": found}
            yield told | {"asked_lines": lines, "bytes": {name: size_of(settings.ledger / name) for name in TABLES}}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m hub.bench.growth", description=__doc__)
    parser.add_argument("--lines", type=int, nargs="+", default=[1_000_000, 10_000_000, 100_000_000])
    parser.add_argument("--claims", type=int, default=20_000, help="taken off the topic at each size")
    asked = parser.parse_args(arguments)
    telemetry.configure("error")
    for told in run(asked.lines, asked.claims):
        print(json.dumps(told, default=str), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
