"""What was found after a decision, said to the facility: the decision again, with the adjustments among its findings.

`hie ledger close` and `promote` append to the table `adjustments` and need no broker; the payer's first worker publishes what is new
there. A small file beside the outbox's markers names the table's files that are published. A lost or late marker only repeats
what was said, with the same ids. A claim that a promoted branch decided again carries the findings of that branch, and R01 only tells what
they changed. S01 is left out, and so is what is about a claim that was corrected or withdrawn since: what is in
force has a decision of its own; and what is about one that was erased.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import polars as pl

from hub.bus import Producer, Wire, event_out
from hub.contract.events import Event, derive, new_id
from hub.contract.records import Revision
from hub.insurer.decisions import RECORD, events
from hub.insurer.explain import as_told
from hub.insurer.history import ADJUSTMENTS, TABLE, adjustments
from hub.insurer.ledger import files_of, scan, schema_of
from hub.insurer.outbox import remember
from hub.insurer.promoted import AGAIN, again, decisions, found
from hub.insurer.settlement import FORGOTTEN, TOLD, in_force, verdict_after

RULE: Final = "adjusted"
_PAGE: Final = 20_000
_FINDING: Final = ("rule", "severity", "table", "stt", "reduction", "text_vi", "text_en")
_NOTHING: Final = Decimal(0)


class Adjusted:
    """Publishes adjustments of one ledger as decisions.

    folder: of the ledger.  topic: `payer.<code>.decision.v1`.
    since:  aware; where there is no marker, what was closed before is taken as told: the hub knows its claims no more.
    Raises (publish): as `outbox.Outbox`.
    """

    def __init__(self, folder: Path, wire: Wire, producer: Producer, topic: str, since: datetime) -> None:
        self._folder, self._wire, self._producer, self._topic, self._since = folder, wire, producer, topic, since
        self._file = folder / "published" / f"{TABLE}.files"

    def publish(self) -> int:
        """Say what is new in the table, wait until the brokers hold it, and keep that in mind. Returns: how many decisions."""
        marked = self._file.exists()
        told = set(json.loads(self._file.read_text("utf-8"))) if marked else set()
        files = {Path(file).name: file for file in files_of(self._folder, TABLE)}
        if not files.keys() - told:
            return 0
        count = 0
        fresh = [files[name] for name in sorted(files.keys() - told)]
        for page in news(self._folder, fresh, None if marked else self._since):
            self._producer.publish_blocking(event_out(self._wire, self._topic, event) for event in page)
            count += len(page)
        remember(self._file, sorted(files))
        return count


def news(folder: Path, files: Sequence[str], since: datetime | None = None) -> Iterator[list[Event]]:
    """The decisions to say for the adjustments in some files of the table, in pages; one a claim in force and closing.

    Pages are in the order of the stream, so that of all files of the ledger each reads the few that hold its claims.
    since: aware; what was closed before is left out.
    Each says what all adjustments of its claim come to at that time, so the newest one is the whole truth.
    """
    said = pl.col("severity") != TOLD
    recent = pl.lit(True) if since is None else pl.col("closed_at") >= since
    asked = adjustments(files).filter(said, recent).select("event_id", "key", "closed_at").unique().collect().lazy()
    claims = scan(files_of(folder, "claims"), schema_of("claims")).join(asked, on="key", how="semi")
    told = in_force(claims).filter(pl.col("action") != FORGOTTEN)  # nobody could tell whose it is
    fresh = asked.join(told, on="event_id").select("event_id", "closed_at", "kafka_offset").collect()
    ids = fresh.sort("kafka_offset", "event_id").get_column("event_id").unique(maintain_order=True)
    every = adjustments(files_of(folder, TABLE)).filter(said)
    for start in range(0, len(ids), _PAGE):
        here = pl.col("event_id").is_in(ids[start : start + _PAGE].implode())
        rows = every.filter(here).sort("event_id", "closed_at", "adjustment_id").collect()
        due = fresh.filter(here)
        yield [
            one for at in due.get_column("closed_at").unique().sort() for one in _said(folder, rows, due.filter(closed_at=at), at)
        ]


def _said(folder: Path, rows: pl.DataFrame, due: pl.DataFrame, at: datetime) -> Iterator[Event]:
    """The decisions of claims as they stood at a time.  rows: all adjustments of theirs; due: event_id, closed_at, kafka_offset."""
    col, upto = pl.col, rows.filter(pl.col("closed_at") <= at).join(due, on="event_id", how="semi", maintain_order="left")
    ids, offsets = due.get_column("event_id"), due.get_column("kafka_offset")
    here = col("event_id").is_in(ids.implode()) & col("kafka_offset").is_between(offsets.min(), offsets.max())
    promoted = again(folder, upto.lazy(), here).collect()
    first = decisions(folder, here).join(promoted.lazy(), on="event_id", how="anti").collect()
    decided = pl.concat([first, promoted.drop("layer")])
    findings = found(folder, upto.lazy(), here).unique(["event_id", "number"], keep="any").collect()
    by_branch = set(promoted.get_column("event_id"))
    of_event, of = (frame.partition_by("event_id", as_dict=True, maintain_order=True) for frame in (findings, decided))
    for (event_id,), mine in upto.partition_by("event_id", as_dict=True, maintain_order=True).items():
        number = mine.get_column("closed_at").n_unique()
        own = of_event.get((event_id,), findings.clear())
        yield _decision(of[event_id,], own, mine.to_dicts(), number, known=event_id in by_branch)


def _decision(decided: pl.DataFrame, findings: pl.DataFrame, rows: list[dict[str, Any]], number: int, *, known: bool) -> Event:
    """The `number`-th word after the decision itself, by its adjustments so far.  known: `decided` has what promotions moved."""
    taken_back = {row["reverses"] for row in rows}
    held = [row for row in rows if not row["reverses"] and row["adjustment_id"] not in taken_back]
    more = pl.DataFrame(
        [{name: row[name] for name in _FINDING} for row in as_told(held, known=known)],
        schema={name: ADJUSTMENTS[name] for name in _FINDING},
    )
    first = more.with_columns(event_id=pl.lit(rows[0]["event_id"]), field=pl.lit("")).with_row_index("number")
    numbered = pl.concat([first, findings.with_columns(pl.col("number") + more.height)], how="diagonal_relaxed")
    (original,) = events(decided, numbered)
    taken = (row["reduction"] or _NOTHING for row in rows if not (known and row["rule"] == AGAIN))
    # A cut across claims stands until its month is closed again, also where a promotion left less than it takes.
    granted = max((original["t_bhtt_gd"] or _NOTHING) - sum(taken, _NOTHING), _NOTHING)
    content = {name: value for name, value in original.items() if name != "meta"}
    content |= {"t_bhtt_gd": granted, "verdict": verdict_after(original["verdict"], original["t_bhtt"] or _NOTHING, granted)}
    meta = original["meta"]
    revision: Revision = meta["revision"]
    return derive(
        RECORD,
        content,
        parents=[original],
        rule=RULE,
        facility=meta["facility"],
        key=meta["key"],
        revision={**revision, "version": revision["version"] + number},
        to=new_id(TABLE, *(row["adjustment_id"] for row in rows)),
    )
