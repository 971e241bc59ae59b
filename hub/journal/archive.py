"""The archive: every record of every topic as it stood in Kafka, in one Delta table that outlives the topics.

A row is a record: its place, time, key, value and headers, byte for byte, and a checksum over all of it. The table is
partitioned by topic and day. A batch is one commit, and carries for each partition in it the app transaction (`topic
id/partition`, next offset): rows and offsets are there together or not at all. Check and write go through one handle, as
in the ledger. The topic's id, not its name, is part of the transaction, so that a topic made anew is not taken for the old one.

It holds whole messages of patients: folders are made 0700 and files 0600, and whoever writes or sorts here has set `private`.
"""

import errno
import fcntl
import hashlib
import os
import shutil
import struct
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import duckdb
import polars as pl
from confluent_kafka import Message
from deltalake import ColumnProperties, CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import DeltaError, TableNotFoundError

from hub.contract import telemetry
from hub.contract.errors import HubError
from hub.contract.events import VIETNAM
from hub.store.holds import Period, is_held

_SCHEMA: Final[dict[str, Any]] = {
    "kafka_partition": pl.Int32(),
    "kafka_offset": pl.Int64(),
    "kafka_topic_id": pl.String(),
    "recorded_at": pl.Datetime("us", "UTC"),
    "key": pl.Binary(),
    "value": pl.Binary(),
    "headers": pl.List(pl.Struct({"name": pl.String(), "value": pl.Binary()})),
    "raw_ref": pl.String(),  # of a message whose bytes lie in `raw`, beside the table
    "checksum": pl.Binary(),
    "topic": pl.String(),
    "day": pl.Date(),  # of `recorded_at`, Asia/Ho_Chi_Minh
}
_BY: Final = ["topic", "day"]
_INDEXED: Final = 3  # columns with statistics in the log: the place
_GROUP: Final = 2_000
_GROUP_BYTES: Final = 16 * 1024 * 1024  # who reads one record of a group holds all of its values
_FILE_BYTES: Final = 64 * 1024 * 1024  # what small files are compacted to
_KEPT_HOURS: Final = 24 * 7  # files that a compaction replaced, for readers that still hold them
_NO_END: Final = 2**63 - 1
_LENGTH: Final = struct.Struct(">q")
# Statistics would put the least and the greatest value of each group, whole, into the footer that every reader holds.
_VALUE: Final = ColumnProperties(dictionary_enabled=False, statistics_enabled="NONE")
_VALUE_MEAN: Final = "sum(total_uncompressed_size) // sum(row_group_num_rows)"
_READ: Final = "kafka_partition, kafka_offset, recorded_at, key, value, headers, checksum, raw_ref, topic"
_PAGE: Final = 2_000
_PAGE_BYTES: Final = 32 * 1024 * 1024
_FETCH: Final = 100
_SORT: Final = "512MB"
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
LOST: Final = "~"  # in the id of a topic: what Kafka lost of it
FORGOTTEN: Final = "hie_forgotten"  # the one header of a record whose key and content were erased
REMEMBERED: Final = f"not list_contains([one.name for one in headers], '{FORGOTTEN}')"
"""Of rows: those that are not forgotten."""
_PATIENCE_S: Final = 60.0
_LOOK_AGAIN_S: Final = 0.2
_STALE_S: Final = 86_400  # a folder for sorting that is older belongs to a process that died
_LATEST_MS: Final = 253_370_764_800_000  # the year 9999: a time of a record that no calendar has counts as this


def private() -> None:
    """From now on this process makes files that only its user may read."""
    os.umask(0o077)


def checksum(topic: str, partition: int, offset: int, at_ms: int, key: bytes | None, value: bytes | None, headers: Any) -> bytes:
    """BLAKE2b-256 over place, time and bytes, each with its length, so that nothing can move from one to the next."""
    digest = hashlib.blake2b(f"{topic}/{partition}/{offset}/{at_ms}".encode(), digest_size=32)
    for part in (key, value, *(part for name, held in headers for part in (name.encode(), held))):
        digest.update(_LENGTH.pack(-1 if part is None else len(part)))
        digest.update(part or b"")
    return digest.digest()


class Archive:
    """The table as one process sees it. One process writes (`alone`); any number read.

    Raises (everywhere): HubError(DISK_FULL, ARCHIVE_UNAVAILABLE), both retriable: a batch is written whole or not at all.
    """

    def __init__(self, folder: Path, table: DeltaTable) -> None:
        self.folder, self._table = folder, table

    @classmethod
    def open(cls, folder: Path) -> "Archive | None":
        """To read it; None where there is none."""
        with _disk():
            try:
                return cls(folder, DeltaTable(str(folder / "records")))
            except TableNotFoundError:
                return None

    @classmethod
    def made(cls, folder: Path) -> "Archive":
        """To write it; made when it is not there."""
        path = folder / "records"
        with _disk():
            path.mkdir(parents=True, exist_ok=True)
            for one in (folder, path):
                one.chmod(0o700)
            found = cls.open(folder)
            if found is None:
                configuration = {"delta.dataSkippingNumIndexedCols": str(_INDEXED)}
                DeltaTable.create(
                    str(path), schema=pl.Schema(_SCHEMA), mode="error", partition_by=_BY, configuration=configuration
                )
            return found or cls(folder, DeltaTable(str(path)))

    # --- writing

    def next_offset(self, topic_id: str, partition: int) -> int:
        """Everything before it is in the archive, or was gone from the topic when its turn came."""
        return self._table.transaction_version(f"{topic_id}/{partition}") or 0

    def append(
        self, messages: Sequence[Message], topic_ids: Mapping[str, str], raw_refs: Mapping[tuple[str, int, int], str]
    ) -> None:
        """One batch, in one commit.

        messages: in the order of their offsets for each partition, none of them archived already.
        raw_refs: (topic, partition, offset) to the name of a body in the raw store.
        """
        ends: dict[tuple[str, int], int] = {}
        rows = []
        for message in messages:
            topic, partition, offset = message.topic() or "", message.partition() or 0, message.offset() or 0
            ends[topic_ids[topic], partition] = offset + 1
            rows.append(_row(message, topic_ids[topic], raw_refs.get((topic, partition, offset), "")))
        frame = pl.DataFrame(rows, schema=_SCHEMA, orient="row").sort("topic", "kafka_partition", "kafka_offset")
        marks = [Transaction(f"{topic_id}/{partition}", end) for (topic_id, partition), end in sorted(ends.items())]
        with _disk():
            self._table.update_incremental()  # files that were replaced meanwhile, else the commit is refused
            write_deltalake(
                self._table,
                frame,
                mode="append",
                partition_by=_BY,
                writer_properties=_writer(_mean(frame)),
                commit_properties=CommitProperties(app_transactions=marks),
            )

    def set_aside(self, topic: str, topic_id: str, partition: int, offset: int) -> None:
        """The records from an offset on, which Kafka has lost, get an id of their own; what has their places now is archived next.

        Nothing is forgotten: `records` with `lost` reads them too.
        """
        held = f"topic = '{topic}' and kafka_topic_id = '{topic_id}' and kafka_partition = {partition}"
        mark = CommitProperties(app_transactions=[Transaction(f"{topic_id}/{partition}", offset)])
        files = [one for one in self.files() if one["topic"] == topic]
        means = list(self.select(_VALUE_MEAN, files, "path_in_schema = 'value' group by file_name", source="parquet_metadata(?)"))
        with self.replacing(_PATIENCE_S):
            moved = self._table.update(
                # Of this time alone, as the same offsets may be lost once more.
                new_values={"kafka_topic_id": f"{topic_id}{LOST}{offset}-{self._table.version()}"},
                predicate=f"{held} and kafka_offset >= {offset}",
                writer_properties=_writer(max((mean for (mean,) in means), default=0)),
                commit_properties=mark,
            )
            if not moved["num_updated_rows"]:  # then nothing was committed, the mark neither
                none = pl.DataFrame([], schema=_SCHEMA)
                write_deltalake(self._table, none, mode="append", partition_by=_BY, commit_properties=mark)

    def keep_raw(self, store: Path, reference: str) -> bool:
        """A body of the raw store into the archive too; the same file where both are on one disk. Returns: whether it was there."""
        held = self.folder / "raw" / reference
        if held.exists():
            return True
        if not (store / reference).exists():
            return False
        with _disk():
            held.parent.mkdir(exist_ok=True)
            try:
                os.link(store / reference, held)
            except FileExistsError:
                pass
            except OSError:  # another disk
                fresh = held.with_suffix(f".{os.getpid()}")
                shutil.copyfile(store / reference, fresh)
                fresh.chmod(0o600)
                fresh.replace(held)
        return True

    def keep_schema(self, schema_id: int, text: str) -> None:
        """The schema that values were written with, as the registry may be lost."""
        path = self.folder / "schemas" / f"{schema_id}.avsc"
        if not path.exists():
            with _disk():
                path.parent.mkdir(exist_ok=True)
                fresh = path.with_suffix(f".{os.getpid()}")
                fresh.write_text(text, "utf-8")
                fresh.replace(path)

    def tidy(self, days: int, today: date, held: Callable[[], Sequence[Period] | None] = tuple) -> None:
        """Put small files together, forget days that are older than `days`, and delete files that nobody needs any more.

        held: periods of which nothing is forgotten, or None when that is not known now, which holds everything.
        """
        with self.replacing():
            self._compact()
            oldest = today - timedelta(days=days)
            old = {one["day"] for one in self.files() if one["day"] < oldest}
            periods = held() if old else None
            if periods is not None and not all(is_held(day, periods) for day in old):
                kept = "".join(f" and not (day >= '{first}' and day <= '{last}')" for first, last in periods)
                self._table.delete(f"day < '{oldest.isoformat()}'{kept}")
                named = {row[0] for row in self.select("raw_ref", self.files(), "raw_ref <> ''")}
                for raw in (self.folder / "raw").glob("*"):
                    if raw.name not in named:
                        raw.unlink(missing_ok=True)
            for sorting in self.folder.glob("sort-*"):
                if sorting.stat().st_mtime < time.time() - _STALE_S:
                    shutil.rmtree(sorting, ignore_errors=True)
            self._table.vacuum(retention_hours=_KEPT_HOURS, dry_run=False, full=True)

    @contextmanager
    def replacing(self, wait_s: float = 0.0) -> Iterator[None]:
        """Be the one process that replaces files of the table, and see it as it is now; appends need not ask. A process that ends
        lets go of it: of two at once deltalake 1.6 refuses none, and every row would be there twice.

        Raises: HubError(ARCHIVE_UNAVAILABLE) when another one is, for that long.
        """
        deadline = time.monotonic() + wait_s
        with _disk(), (self.folder / "replacing.lock").open("w") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        raise HubError("ARCHIVE_UNAVAILABLE", "another process replaces its files") from None
                    time.sleep(_LOOK_AGAIN_S)
            self._table.update_incremental()
            yield

    def blank(
        self, topic: str, day: date, topic_id: str, partition: int, values: Mapping[int, tuple[datetime, bytes | None]]
    ) -> int:
        """Records of a partition and day without their keys, and with other values: what is left of what is forgotten. For whoever
        is `replacing`.

        values:  offset to the record's time and its new value, None of one that could not be read.
        Returns: how many rows were written.
        """
        sums = {
            offset: checksum(topic, partition, offset, round(at.timestamp() * 1000), None, value, [(FORGOTTEN, b"")])
            for offset, (at, value) in values.items()
        }
        files = [one for one in self.files() if (one["topic"], one["day"]) == (topic, day)]
        means = self.select(_VALUE_MEAN, files, "path_in_schema = 'value' group by file_name", source="parquet_metadata(?)")
        listed = ", ".join(str(offset) for offset in values)
        place = f"topic = '{topic}' and day = '{day}' and kafka_topic_id = '{topic_id}' and kafka_partition = {partition}"
        with _disk():
            written = self._table.update(
                updates={
                    "key": "null",
                    "value": _by_offset({offset: value for offset, (_at, value) in values.items()}),
                    "headers": f"make_array(named_struct('name', '{FORGOTTEN}', 'value', X''))",
                    "raw_ref": "''",
                    "checksum": _by_offset(sums),
                },
                predicate=f"{place} and kafka_offset in ({listed})",
                writer_properties=_writer(max((mean for (mean,) in means), default=0)),
            )
        return int(written["num_updated_rows"])

    def drop_replaced(self) -> None:
        """Delete at once the files that were replaced, which hold what is forgotten. Who reads them at this moment reads again.

        Files of no version are left alone: a batch that is being written is such a file until its commit.
        """
        with _disk():
            self._table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)

    def _compact(self) -> None:
        """A topic's day at a time, as its row groups are as large as its values allow."""
        small: dict[tuple[str, date], list[dict[str, Any]]] = {}
        for one in self.files():
            if one["size_bytes"] < _FILE_BYTES:
                small.setdefault((one["topic"], one["day"]), []).append(one)
        for (topic, day), files in small.items():
            if sum(sorted(one["size_bytes"] for one in files)[:2]) > _FILE_BYTES or len(files) == 1:
                continue
            # Of the file with the largest values: they may lie together.
            means = self.select(_VALUE_MEAN, files, "path_in_schema = 'value' group by file_name", source="parquet_metadata(?)")
            self._table.optimize.compact(
                partition_filters=[("topic", "=", topic), ("day", "=", day.isoformat())],
                target_size=_FILE_BYTES,
                max_concurrent_tasks=1,
                writer_properties=_writer(max(mean for (mean,) in means)),
            )

    # --- reading

    def records(
        self,
        topic: str,
        topic_id: str,
        partition: int,
        start: int = 0,
        *,
        end: int = _NO_END,
        since: datetime | None = None,
        lost: bool = False,
    ) -> Iterator[list[Message]]:
        """Records of one partition from an offset on, by offset, as a consumer would read them; a page at a time.

        end:   the offset behind the last one; since: leave out what was written before.
        lost:  also what Kafka has lost, under the offsets that it had.
        A record whose checksum is wrong is told and left out; `verify` names all of them.
        """
        day = since.astimezone(VIETNAM).date() if since else date.min
        files = [
            one
            for one in self.files()
            if one["topic"] == topic and one["day"] >= day and _may_hold(one, "kafka_partition", partition, partition)
            if _may_hold(one, "kafka_offset", start, end - 1)
        ]
        which = f"split_part(kafka_topic_id, '{LOST}', 1)" if lost else "kafka_topic_id"
        where = f"{which} = ? and kafka_partition = {partition}"
        values: list[object] = [topic_id]
        if since is not None:
            where, values = f"{where} and recorded_at >= ?", [topic_id, since]
        # Only places are sorted: DuckDB holds what it sorts, and bodies of years do not fit.
        inside = f"{where} and kafka_offset >= {start} and kafka_offset < {end} order by 1"
        for first, last in _ranges(self.select("kafka_offset, octet_length(value)", files, inside, values)):
            held = [one for one in files if _may_hold(one, "kafka_offset", first, last)]
            page: list[Message] = []
            for row in self.select(_READ, held, f"{where} and kafka_offset between {first} and {last}", values):
                message = _message(row)
                if message is None:
                    telemetry.fault("archive", "ARCHIVE_UNAVAILABLE", f"{topic}/{partition}/{row[1]} is damaged")
                    continue
                page.append(message)
            if page:
                yield sorted(page, key=lambda one: one.offset() or 0)

    def reaches(self) -> dict[tuple[str, int], tuple[int, int]]:
        """Topic id and partition to the first offset that is here, and the one behind the last."""
        columns = "kafka_topic_id, kafka_partition, min(kafka_offset), max(kafka_offset) + 1"
        return {(row[0], row[1]): (row[2], row[3]) for row in self.select(columns, self.files(), "true group by 1, 2")}

    def at(self, topic: str, topic_id: str, partition: int, offset: int) -> Message | None:
        """One record; None when it is not here."""
        for page in self.records(topic, topic_id, partition, offset, end=offset + 1):
            return page[0]
        return None

    def checksums(self, places: Mapping[tuple[str, int], int], topic_ids: Mapping[str, str]) -> dict[tuple[str, int], bytes]:
        """Of each partition the checksum of the record at an offset; none where it is not here, or is
        forgotten and so another one than the topic's."""
        files = [
            one
            for one in self.files()
            if any(
                one["topic"] == topic and _may_hold(one, "kafka_partition", part, part) and _may_hold(one, "kafka_offset", at, at)
                for (topic, part), at in places.items()
            )
        ]
        listed = ", ".join(f"('{topic}', {partition}, {offset})" for (topic, partition), offset in places.items())
        where = f"(topic, kafka_partition, kafka_offset) in ({listed}) and {REMEMBERED}"
        rows = self.select("topic, kafka_partition, kafka_topic_id, checksum", files, where)
        return {(topic, partition): digest for topic, partition, topic_id, digest in rows if topic_ids.get(topic) == topic_id}

    def files(self) -> list[dict[str, Any]]:
        """The files of the table now: path, topic, day, and the least and greatest of the place's columns where known."""
        actions = pl.DataFrame(self._table.get_add_actions(flatten=True))
        return [{name.removeprefix("partition."): value for name, value in row.items()} for row in actions.iter_rows(named=True)]

    def select(
        self,
        columns: str,
        files: Iterable[Mapping[str, Any]],
        where: str = "true",
        values: Sequence[object] = (),
        *,
        source: str = "read_parquet(?, hive_partitioning = true)",
    ) -> Iterator[tuple[Any, ...]]:
        """Rows, as they come. What is sorted or grouped is held (at most `_SORT`): places, never bodies."""
        paths = [str(self.folder / "records" / one["path"]) for one in files]
        if not paths:
            return
        with (
            _disk(),
            tempfile.TemporaryDirectory(prefix="sort-", dir=self.folder, ignore_cleanup_errors=True) as room,
            duckdb.connect(config={"memory_limit": _SORT, "threads": 1, "temp_directory": room}) as sql,
        ):
            query = f"select {columns} from {source} where {where}"  # noqa: S608  # ours
            cursor = sql.execute(query, [paths, *values])
            while rows := cursor.fetchmany(_FETCH):
                yield from rows


def _by_offset(values: Mapping[int, bytes | None]) -> str:
    told = (f"when {offset} then " + ("null" if value is None else f"X'{value.hex()}'") for offset, value in values.items())
    return f"case kafka_offset {' '.join(told)} end"


def _writer(mean: int) -> WriterProperties:
    """mean: bytes of a value."""
    group = max(1, min(_GROUP, _GROUP_BYTES // max(1, mean)))
    return WriterProperties(
        compression="ZSTD", compression_level=1, max_row_group_size=group, column_properties={"value": _VALUE}
    )


def _mean(frame: pl.DataFrame) -> int:
    """Of the topic with the largest values: a file is of one."""
    means = frame.group_by("topic").agg(pl.col("value").bin.size().fill_null(0).mean())["value"]
    return max((int(one) for one in means), default=0)


def _ranges(places: Iterable[tuple[int, int | None]]) -> Iterator[tuple[int, int]]:
    """First and last offset of each page. places: offset and bytes, by offset."""
    first = last = -1
    count = size = 0
    for offset, more in places:
        if count and offset != last and (count >= _PAGE or size >= _PAGE_BYTES):
            yield first, last
            count = size = 0
        first, last = (offset if not count else first), offset
        count, size = count + 1, size + (more or 0)
    if count:
        yield first, last


def _may_hold(file: Mapping[str, Any], column: str, least: int, most: int) -> bool:
    low, high = file.get(f"min.{column}"), file.get(f"max.{column}")
    return (high is None or high >= least) and (low is None or low <= most)


@contextmanager
def _disk() -> Iterator[None]:
    """What libraries say of a disk that does not do, or of a commit that another one overtook: to be done again."""
    try:
        yield
    except (OSError, DeltaError, duckdb.Error) as broken:
        # Libraries tell the system's error in their text alone.
        full = getattr(broken, "errno", None) in _FULL or any(os.strerror(one) in str(broken) for one in _FULL)
        raise HubError("DISK_FULL" if full else "ARCHIVE_UNAVAILABLE", f"archive ({type(broken).__name__})") from broken


def _row(message: Message, topic_id: str, raw_ref: str) -> tuple[Any, ...]:
    topic, partition, offset = message.topic() or "", message.partition() or 0, message.offset() or 0
    at_ms, headers = min(max(0, message.timestamp()[1]), _LATEST_MS), _headers(message)
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    key = message.key()
    key_bytes = key.encode() if isinstance(key, str) else key
    value = message.value()
    digest = checksum(topic, partition, offset, at_ms, key_bytes, value, headers)
    named = [{"name": name, "value": held} for name, held in headers]
    day = at.astimezone(VIETNAM).date()
    return (partition, offset, topic_id, at, key_bytes, value, named, raw_ref, digest, topic, day)


def checksum_of(message: Message) -> bytes:
    """The checksum that its row has, or would have."""
    return bytes(dict(zip(_SCHEMA, _row(message, "", ""), strict=True))["checksum"])


def _headers(message: Message) -> list[tuple[str, bytes | None]]:
    found = message.headers() or []
    pairs = found.items() if isinstance(found, dict) else found
    return [(name, held.encode() if isinstance(held, str) else held) for name, held in pairs]


def _message(row: Sequence[Any]) -> Message | None:
    """As a consumer would give it; None for bytes that are not the ones that were written."""
    partition, offset, at, key, value, headers, digest, _raw_ref, topic = row
    at_ms = round(at.timestamp() * 1000)
    pairs = [(one["name"], one["value"]) for one in headers]
    if digest != checksum(topic, partition, offset, at_ms, key, value, pairs):
        return None
    return Message(
        topic=topic,
        partition=partition,
        offset=offset,
        key=key,
        value=value,
        headers=pairs,
        timestamp=(1, at_ms),
    )
