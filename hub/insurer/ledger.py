"""The ledger: four flat Delta tables that carry the offsets of what they hold.

Delta has no transaction over several tables. A batch is appended to `lines`, `findings`, `decisions` and, last, `claims`:
that one is the commit point. Each append carries, for every partition in it, the app transaction (`topic id/partition`,
next offset). After a crash the side tables may be ahead of `claims`; the batch is formed again, exactly, and a table
that has it is left alone. Consumer group offsets are never read. The topic's id, not its name, is part of the
transaction, so that a topic made anew is not taken for the old one.

Check and write go through one `DeltaTable` handle: Delta accepts a lower transaction version silently, but refuses the
commit of a handle that has not seen a newer one of the same app.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import polars as pl
from deltalake import ColumnProperties, CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake import Schema as DeltaSchema
from deltalake.exceptions import DeltaError, TableNotFoundError

from hub.contract.directory import payers
from hub.contract.errors import HubError
from hub.contract.settings import Settings
from hub.insurer.columns import claim_schema, row_schema
from hub.insurer.decisions import DECISIONS
from hub.insurer.rules.model import FINDINGS

SIDES: Final = ("lines", "findings", "decisions")
TABLES: Final = (*SIDES, "claims")  # in the order of writing
PLACE: Final[dict[str, pl.DataType]] = {"kafka_topic_id": pl.String(), "kafka_partition": pl.Int32(), "kafka_offset": pl.Int64()}
"""First columns of every table: where the claim stands in Kafka."""

_INDEXED: Final = (*PLACE, "event_id")
"""The first columns of every table; they alone have statistics in the log, which outlives what is erased."""
INDEXED: Final = {"delta.dataSkippingNumIndexedCols": str(len(_INDEXED))}
_WRITER: Final = WriterProperties(compression="ZSTD", compression_level=1)
_LINES_WRITER: Final = WriterProperties(
    compression="ZSTD",
    compression_level=1,
    default_column_properties=ColumnProperties(statistics_enabled="NONE"),
    column_properties={name: ColumnProperties(statistics_enabled="CHUNK") for name in _INDEXED},
)
"""Lines are found by the place of their claim, so statistics of their sixty elements would cost a third of the writing for nothing."""


def writer_of(name: str) -> WriterProperties:
    """How files of a table are written."""
    return _LINES_WRITER if name == "lines" else _WRITER


def schema_of(name: str) -> dict[str, pl.DataType]:
    """Columns of one table: the place, the claim's `event_id`, then the table's own."""
    own = {"claims": claim_schema(), "lines": row_schema("lines"), "findings": FINDINGS, "decisions": DECISIONS}[name]
    return PLACE | {"event_id": pl.String()} | {column: dtype for column, dtype in own.items() if column != "row"}


def ledger_folder(settings: Settings, payer: str) -> Path:
    """Where a payer's ledger is: the default payer's as set, every other (test traffic too) in a folder beside it."""
    return settings.ledger if payers()[payer].default else settings.ledger.with_name(f"{settings.ledger.name}-{payer}")


def known_ledger(settings: Settings, payer: str) -> Path:
    """Where the ledger of a payer is.  Raises: HubError(NOT_FOUND) for a payer that there is not, or when it has no ledger here."""
    if payer not in payers():
        raise HubError("NOT_FOUND", f"payer {payer}; see hie payer list")
    folder = ledger_folder(settings, payer)
    if not (folder / "claims").is_dir():
        raise HubError("NOT_FOUND", f"no ledger at {folder}")
    return folder


def committed(folder: Path, topic_id: str, partitions: Iterable[int]) -> dict[int, int]:
    """Partition to the next offset that the ledger in a folder takes of a topic; it is only looked at, and made nowhere."""
    table = DeltaTable(str(folder / "claims"))
    return {number: table.transaction_version(f"{topic_id}/{number}") or 0 for number in partitions}


class Ledger:
    """The tables of one payer, as one worker sees and writes them.

    folder:   made with its tables where it is not there yet.
    topic_id: Kafka's id of the claim topic.
    Raises (everywhere): OSError and deltalake's DeltaError when the disk does not do; nothing is half written then that
                         a later call would not complete or pass over.
    """

    def __init__(self, folder: Path, topic_id: str) -> None:
        self.folder, self.topic_id = folder, topic_id
        self._tables = {name: opened(folder / name, schema_of(name)) for name in TABLES}

    def reopen(self) -> None:
        """Look at the tables anew, after a failed write or when others have written."""
        for table in self._tables.values():
            table.update_incremental()

    def committed(self, partition: int) -> int:
        """The next offset to take: everything before it is in the ledger."""
        return self._version("claims", partition)

    def interrupted(self, partition: int) -> int | None:
        """The end of a batch that was written in part, from `committed` on; None when there is none."""
        ahead = max(self._version(name, partition) for name in SIDES)
        return ahead if ahead > self.committed(partition) else None

    def append(self, frames: Mapping[str, pl.DataFrame], upto: Mapping[int, int]) -> None:
        """One batch into all tables; a table that has a partition's part of it already is left alone.

        frames: by table, with the columns of `schema_of`.
        upto:   partition to the offset behind its part of the batch.
        Raises: HubError(LEDGER_CONFLICT) when the ledger is past that already.
        """
        if any(self.committed(partition) > end for partition, end in upto.items()):
            raise HubError("LEDGER_CONFLICT", "claims")
        for name in SIDES:
            missing = {partition: end for partition, end in upto.items() if self._version(name, partition) < end}
            frame = frames[name]
            if len(missing) < len(upto):
                frame = frame.filter(pl.col("kafka_partition").is_in(list(missing)))
            if frame.height:
                self._write(name, frame, missing)
        missing = {partition: end for partition, end in upto.items() if self.committed(partition) < end}
        if missing:
            self._write("claims", frames["claims"].filter(pl.col("kafka_partition").is_in(list(missing))), missing)

    def rows(self, name: str, partition: int, start: int, end: int, columns: Iterable[str] = ()) -> pl.DataFrame:
        """Rows of this topic with start <= offset < end, in the order of their offsets (and of their number)."""
        wanted = (pl.col("kafka_topic_id") == self.topic_id) & pl.col("kafka_offset").is_between(start, end, closed="left")
        may_hold = (pl.col("min.kafka_offset") < end) & (pl.col("max.kafka_offset") >= start)
        found = self._scan(name, partition, may_hold).filter(wanted).sort("kafka_offset", maintain_order=True)
        return found.select(*columns or schema_of(name)).collect()

    def event_ids(self, partition: int, window: int) -> list[tuple[str, int]]:
        """Event id and offset of the claims among the last `window` offsets before `committed`, oldest first."""
        end = self.committed(partition)
        return list(self.rows("claims", partition, end - window, end, ("event_id", "kafka_offset")).iter_rows())

    def event_ids_before(self, partition: int, window: int) -> set[str]:
        """The same of topics that were here before this one, under other ids."""
        only_ours = (pl.col("min.kafka_topic_id") == self.topic_id) & (pl.col("max.kafka_topic_id") == self.topic_id)
        others = self._scan("claims", partition, ~only_ours).filter(pl.col("kafka_topic_id") != self.topic_id)
        last = pl.col("kafka_offset") > pl.col("kafka_offset").max().over("kafka_topic_id") - window
        return set(others.filter(last).select("event_id").collect().get_column("event_id").to_list())

    def _version(self, name: str, partition: int) -> int:
        return self._tables[name].transaction_version(f"{self.topic_id}/{partition}") or 0

    def _write(self, name: str, frame: pl.DataFrame, upto: Mapping[int, int]) -> None:
        marks = [Transaction(f"{self.topic_id}/{partition}", end) for partition, end in sorted(upto.items())]
        write_deltalake(
            self._tables[name],
            frame,
            mode="append",
            writer_properties=writer_of(name),
            commit_properties=CommitProperties(app_transactions=marks),
        )

    def _scan(self, name: str, partition: int, may_hold: pl.Expr) -> pl.LazyFrame:
        """Rows of a partition, out of the files whose statistics in the log (`min.…`, `max.…`) do not rule it out."""
        actions = pl.DataFrame(self._tables[name].get_add_actions(flatten=True))
        if actions.height:
            may_hold &= (pl.col("min.kafka_partition") <= partition) & (pl.col("max.kafka_partition") >= partition)
            actions = actions.filter(may_hold.fill_null(True))
        files = [str(self.folder / name / path) for path in actions.get_column("path")] if actions.height else []
        return scan(files, schema_of(name)).filter(pl.col("kafka_partition") == partition)


def newest_first(claims: pl.LazyFrame) -> pl.LazyFrame:
    """Rows of the table `claims` by key, the revision that counts first: the greatest, of equal ones the first in the stream.

    The views (`views`) order by the same.
    """
    order = ("version", "stated_at", "received_at", "kafka_offset")
    return claims.sort("key", *order, descending=[False, True, True, True, False])


def scan(files: list[str], columns: Mapping[str, pl.DataType]) -> pl.LazyFrame:
    """All rows of a table's files."""
    if not files:
        return pl.LazyFrame(schema=_stored(columns))
    return pl.scan_parquet(files, schema=_stored(columns), missing_columns="insert")


def _stored(columns: Mapping[str, pl.DataType]) -> dict[str, pl.DataType]:
    # Parquet as Delta writes it has no unsigned integers.
    return {name: pl.Int32() if dtype == pl.UInt32() else dtype for name, dtype in columns.items()}


def opened(path: Path, columns: Mapping[str, pl.DataType]) -> DeltaTable:
    """A table of the ledger, made where it is not there yet."""
    try:
        return _grown(DeltaTable(str(path)), columns)
    except TableNotFoundError:
        path.mkdir(parents=True, exist_ok=True)
    try:
        return DeltaTable.create(
            str(path), schema=pl.Schema(_stored(columns)), mode="error", name=path.name, configuration=INDEXED
        )
    except DeltaError:  # another worker made it in this moment
        return DeltaTable(str(path))


def _grown(table: DeltaTable, columns: Mapping[str, pl.DataType]) -> DeltaTable:
    """A table that an older release made, with the columns it did not know."""
    known = {field.name for field in table.schema().fields}
    missing = {name: dtype for name, dtype in columns.items() if name not in known}
    if missing:
        wanted = DeltaSchema.from_arrow(pl.Schema(_stored(missing)))
        table.alter.add_columns(wanted.fields)
    return table


def files_of(folder: Path, name: str) -> list[str]:
    """The files that hold a table now; none when there is no such table yet."""
    try:
        return list(DeltaTable(str(folder / name)).file_uris())
    except TableNotFoundError:
        return []
