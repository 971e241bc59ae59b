"""Compaction: many small files of the ledger become few large ones, while workers append and people read.

A batch is a file of each table; at night that is one for a few claims, twice a second. Whoever reads a month would open a
hundred thousand. Rows, their order within a file, and the offsets in the log stay as they are: Delta commits "these files instead
of those" in one step, beside which appends go on, and a run that is killed has changed nothing. What was replaced is kept for a
day, as who reads it may be slow; until then those rows are on the disk twice.

Whoever replaces files of a ledger holds its lock: of two at once deltalake 1.6 refuses none, and every row would be there twice.
"""

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import Final

import polars as pl
from deltalake import DeltaTable

from hub.contract.errors import HubError
from hub.insurer.ledger import TABLES, writer_of

LARGE: Final = 128 * 1024 * 1024
"""Bytes that a rewritten file has about. A file of half of it is left alone."""
LEAST: Final = 64
"""So many small files are worth the rewriting."""
KEPT: Final = timedelta(days=1)
"""How long a replaced file, or one that a kill left unfinished, stays."""

_LOCK: Final = "replacing.lock"
_AGAIN_S: Final = 0.2


def compact(folder: Path, least: int = LEAST, kept: timedelta = KEPT) -> dict[str, tuple[int, int]]:
    """Compact every table of a ledger that has many small files, and delete what was replaced long ago.

    least:   small files that a table must have; memory is that of one file of `LARGE` bytes, opened.
    Returns: files before and after, by table, of those that were rewritten.
    Raises:  HubError(LEDGER_CONFLICT) when another process compacts it at the same time. OSError, deltalake's DeltaError: as the
             ledger's; nothing is half done then.
    """
    done = {}
    with replacing(folder):
        for name in TABLES:
            table = DeltaTable(str(folder / name))
            sizes = pl.DataFrame(table.get_add_actions(flatten=True)).get_column("size_bytes")
            if sizes.filter(sizes < LARGE // 2).len() >= least:
                table.optimize.compact(target_size=LARGE, max_concurrent_tasks=1, writer_properties=writer_of(name))
                table.create_checkpoint()
                done[name] = (sizes.len(), len(table.file_uris()))
            _tidy(table, kept)
    return done


@contextmanager
def replacing(folder: Path, wait_s: float = 0.0) -> Iterator[None]:
    """Be the one process that replaces files of a ledger, whatever for; appends need not ask. A process that ends lets go of it.

    Raises: HubError(LEDGER_CONFLICT) while another one is, for that long.
    """
    deadline = monotonic() + wait_s
    with (folder / _LOCK).open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if monotonic() >= deadline:
                    raise HubError("LEDGER_CONFLICT", "another process replaces its files") from None
                sleep(_AGAIN_S)
        yield


def _tidy(table: DeltaTable, kept: timedelta) -> None:
    wanted: Mapping[str, int | bool] = {
        "retention_hours": int(kept / timedelta(hours=1)),
        "enforce_retention_duration": False,  # Delta's own week would be seven times the disk
        "full": True,
    }
    # asked first, as each time it leaves two entries in the log
    if table.vacuum(dry_run=True, **wanted):  # type: ignore[arg-type]  # each has its own type
        table.vacuum(dry_run=False, **wanted)  # type: ignore[arg-type]
