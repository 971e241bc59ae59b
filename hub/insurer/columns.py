"""Bodies of `hie.Claim` to columns: one in-memory Avro block per writer schema, read by polars-avro.

A claim costs 35–45 µs this way, read one by one with fastavro 350–620 µs. One damaged body must cost only itself:

- every body is followed by a random end mark that is checked, so a body that is too long or too short shows where it is;
- the block claims to hold far more rows than it does and only the first ones are asked for, so that the reader never
  comes to the end of the block, where it would loop for ever on surplus bytes;
- reading has a time limit all the same;
- a block that fails is halved until the culprits stand alone; fastavro has the last word about each of them.

Only what the ledger and the rules use is decoded (`meta`, XML1 to XML5, XML7, XML8, XML13, XML14); the other tables are
skipped over, so that damage inside their texts is not noticed here.
"""

import io
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any, Final

import orjson
import polars as pl
from polars_avro._avro_rs import AvroSource  # the public `scan_avro` reads to the end of the block, and so may loop
from polars_avro._source import seekable_factory

from hub.contract.claim_tables import tables
from hub.contract.errors import HubError
from hub.contract.events import decode, schema

RECORD: Final = "hie.Claim"
CODE: Final = "BODY_UNDECODABLE"

Writers = Callable[[int], tuple[str, Any]]
"""Schema id to record name and parsed writer schema (None: our own), as `hub.bus.Wire.writer`; raises HubError."""

_PREFIX_BYTES: Final = 5
FRAMES: Final[dict[str, tuple[str, ...]]] = {
    "lines": ("XML2", "XML3"),
    "results": ("XML4",),
    "notes": ("XML5",),
    "papers": ("XML7", "XML8", "XML13", "XML14"),
}
"""Frames of rows below a claim, and the official tables that each holds."""

_ROWS: Final = tuple(table for held in FRAMES.values() for table in held)
_READ: Final = ("meta", "action", "ma_cskcb", "ma_lk", "ngaylap", "payer", "xml1", *(table.lower() for table in _ROWS))
_ROWS_CLAIMED: Final = 1 << 40
_LIMIT_S: Final = 20.0
_LIMIT_PER_BODY_S: Final = 0.02
_YEAR_1_US: Final = -62_135_596_800_000_000
_YEAR_9999_US: Final = 253_402_214_400_000_000  # its last day but one: aware times of any zone fit

_META: Final[dict[str, pl.DataType]] = {
    "event_id": pl.String(),
    "facility": pl.String(),
    "key": pl.String(),
    "occurred_at": pl.String(),
    "message_id": pl.String(),
    "test": pl.Boolean(),
    "supersedes": pl.String(),
    "sensitivity": pl.String(),
}
_REVISION: Final[dict[str, pl.DataType]] = {
    "version": pl.Int64(),
    "stated_at": pl.String(),
    "received_at": pl.Datetime("us", "UTC"),
}
SOURCE: Final = ("sender", "application", "message_type", "control_id", "dialect", "dialect_version", "charset")
_CLAIM: Final = ("action", "ma_cskcb", "ma_lk", "ngaylap", "payer")


@dataclass(frozen=True, slots=True)
class Decoded:
    """A batch as columns. `row` is the index of the body in the batch.

    claims:   one row a claim: `row`, identity and revision, source (`source_…`), then XML1 by its official names in
              lower case (its own ma_lk and ma_cskcb as xml1_ma_lk, xml1_ma_cskcb).
    lines, results, notes, papers: one row a row of the tables of FRAMES: `row`, `table`, then the columns of all tables of
              the frame; null where a table has no such column.
    culprits: index of each body that cannot be decoded, and the error code.
    """

    claims: pl.DataFrame
    lines: pl.DataFrame
    results: pl.DataFrame
    notes: pl.DataFrame
    papers: pl.DataFrame
    culprits: dict[int, str]

    def only(self, wanted: pl.Expr) -> "Decoded":
        """The claims for which `wanted` (of the column `row`) is true, with all that hangs on them."""
        frames = {name: getattr(self, name).filter(wanted) for name in ("claims", *FRAMES)}
        return replace(self, **frames)


def decode_claims(values: Sequence[bytes | None], writers: Writers) -> Decoded:
    """Kafka values (zero byte, schema id, body) to columns.

    Raises: HubError only where retriable (the registry does not answer); everything else is a culprit.
    """
    culprits: dict[int, str] = {}
    parts = [{"claims": _empty(claim_schema())} | {name: _empty(row_schema(name)) for name in FRAMES}]
    for schema_id, rows in _by_schema(values, culprits).items():
        try:
            record, writer = writers(schema_id)
            if record != RECORD:
                raise HubError(CODE, record)
        except HubError as unknown:
            if unknown.retriable:
                raise
            culprits |= dict.fromkeys(rows, unknown.code)
            continue
        bodies = {row: (values[row] or b"")[_PREFIX_BYTES:] for row in rows}
        for frame in _frames(_Block(writer), bodies, culprits):
            parts.append(_flat(frame))
    whole = {name: pl.concat([part[name] for part in parts], how="vertical") for name in parts[0]}
    for row in _out_of_range(whole.values()):
        culprits[row] = CODE
    decoded = Decoded(culprits=culprits, **whole | {"claims": whole["claims"].sort("row")})
    return decoded.only(~pl.col("row").is_in(list(culprits))) if culprits else decoded


def _by_schema(values: Sequence[bytes | None], culprits: dict[int, str]) -> dict[int, list[int]]:
    groups: dict[int, list[int]] = {}
    for row, value in enumerate(values):
        if value is None or len(value) < _PREFIX_BYTES or value[0] != 0:
            culprits[row] = CODE
        else:
            groups.setdefault(int.from_bytes(value[1:5], "big"), []).append(row)
    return groups


# --- blocks -----------------------------------------------------------------------------------------------------------


class _Block:
    """Reads bodies of one writer schema."""

    def __init__(self, writer: Any) -> None:
        self.writer = writer
        written = writer or schema(RECORD)
        self._columns = [name for name in _READ if name in {field["name"] for field in written["fields"]}]
        fields = [*written["fields"], {"name": "_end", "type": {"type": "fixed", "name": "EndMark", "size": 8}}]
        text = orjson.dumps({name: value for name, value in written.items() if not name.startswith("__")} | {"fields": fields})
        self._sync = os.urandom(16)
        meta = b"".join((_long(2), _text(b"avro.schema"), _text(text), _text(b"avro.codec"), _text(b"null"), b"\0"))
        self._head = b"Obj\x01" + meta + self._sync

    def read(self, bodies: Mapping[int, bytes]) -> pl.DataFrame:
        """Bodies by row as nested columns with `row`. Raises: HubError(BODY_UNDECODABLE) when any of them is damaged."""
        mark = os.urandom(8)
        size = sum(map(len, bodies.values())) + len(bodies) * len(mark)
        first, *rest = bodies.values()
        head = b"".join((self._head, _long(_ROWS_CLAIMED), _long(size), first))
        block = mark.join((head, *rest, self._sync))  # one copy of what may be a hundred megabytes
        columns = [*self._columns, "_end"]
        frame = within(_LIMIT_S + _LIMIT_PER_BODY_S * len(bodies), partial(_first_rows, block, len(bodies), columns))
        if frame.height != len(bodies) or not frame.select((pl.col("_end") == mark).all()).item():
            raise HubError(CODE, RECORD)
        return frame.drop("_end").insert_column(0, pl.Series("row", list(bodies), dtype=pl.UInt32))

    def read_alone(self, row: int, body: bytes) -> pl.DataFrame:
        """One body with fastavro, which must use it up exactly. Raises: HubError(BODY_UNDECODABLE)."""
        event = decode(RECORD, body, self.writer)
        try:
            return pl.DataFrame([{"row": row} | {name: event[name] for name in _READ}], schema=_nested_schema())
        except Exception as wrong:  # a value that no column can hold, such as a decimal beyond its precision
            raise HubError(CODE, RECORD) from wrong


def _first_rows(block: bytes, count: int, columns: list[str]) -> pl.DataFrame:
    source = AvroSource([seekable_factory(io.BytesIO(block))], False, True)
    return pl.DataFrame(next(source.batch_iter(count, columns)))


def _frames(block: _Block, bodies: Mapping[int, bytes], culprits: dict[int, str]) -> Iterator[pl.DataFrame]:
    """All that can be read, in frames; whatever cannot goes to `culprits`."""
    try:
        yield block.read(bodies)
    except TimeoutError:
        yield from _one_by_one(block, bodies.items(), culprits)  # no more threads are risked on it
    except Exception:
        rows = list(bodies)
        if len(rows) == 1:
            yield from _one_by_one(block, bodies.items(), culprits)
            return
        for half in (rows[: len(rows) // 2], rows[len(rows) // 2 :]):
            yield from _frames(block, {row: bodies[row] for row in half}, culprits)


def _one_by_one(block: _Block, bodies: Iterable[tuple[int, bytes]], culprits: dict[int, str]) -> Iterator[pl.DataFrame]:
    for row, body in bodies:
        try:
            yield block.read_alone(row, body)
        except HubError as damaged:
            culprits[row] = damaged.code


def within(limit_s: float, work: Callable[[], pl.DataFrame]) -> pl.DataFrame:
    """The result of the work, which is left to itself when it takes longer.

    Raises: TimeoutError, or what the work raises; HubError(BODY_UNDECODABLE) instead of what is no Exception.
    """
    outcome: list[pl.DataFrame | BaseException] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as failed:
            outcome.append(failed)

    worker = threading.Thread(target=run, name="avro-block", daemon=True)
    worker.start()
    worker.join(limit_s)
    if not outcome:
        raise TimeoutError
    result = outcome[0]
    if isinstance(result, pl.DataFrame):
        return result
    if isinstance(result, Exception):
        raise result
    raise HubError(CODE, RECORD) from result  # a panic of the Rust reader is no Exception


def _long(number: int) -> bytes:
    number <<= 1  # zigzag of what is never negative
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _text(value: bytes) -> bytes:
    return _long(len(value)) + value


# --- flat frames ------------------------------------------------------------------------------------------------------


def dtype_of(kind: str) -> pl.DataType:
    """The column type of an official element's kind, such as decimal(18,2)."""
    if kind.startswith("decimal"):
        precision, scale = kind[8:-1].split(",")
        return pl.Decimal(int(precision), int(scale))
    return {"string": pl.String(), "int": pl.Int32(), "long": pl.Int64()}[kind]


@cache
def table_schema(table: str) -> dict[str, pl.DataType]:
    """Columns of one official table."""
    return {element.field: dtype_of(element.kind) for element in tables()[table].values()}


@cache
def claim_schema() -> dict[str, pl.DataType]:
    """Columns of `Decoded.claims`."""
    own = {f"xml1_{name}" if name in _CLAIM else name: dtype for name, dtype in table_schema("XML1").items()}
    texts = {**dict.fromkeys(_CLAIM, pl.String()), **{f"source_{name}": pl.String() for name in SOURCE}, "causes": pl.String()}
    return {"row": pl.UInt32(), **_META, **_REVISION, **texts, **own}


@cache
def row_schema(frame: str) -> dict[str, pl.DataType]:
    """Columns of a frame of FRAMES, such as `Decoded.lines`."""
    columns: dict[str, pl.DataType] = {"row": pl.UInt32(), "table": pl.String()}
    for table in FRAMES[frame]:
        columns |= table_schema(table)
    return columns


@cache
def _nested_schema() -> dict[str, pl.DataType]:
    meta = {
        **_META,
        "revision": pl.Struct(_REVISION),
        "causes": pl.List(pl.String),
        "source": pl.Struct(dict.fromkeys(SOURCE, pl.String())),
    }
    own = dict.fromkeys(_CLAIM, pl.String())
    rows = {table.lower(): pl.List(pl.Struct(table_schema(table))) for table in _ROWS}
    return {"row": pl.UInt32(), "meta": pl.Struct(meta), **own, "xml1": pl.Struct(table_schema("XML1")), **rows}


def _empty(columns: Mapping[str, pl.DataType]) -> pl.DataFrame:
    return pl.DataFrame(schema=dict(columns))


def _flat(nested: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Claims and their rows, as `Decoded` has them; what an older writer did not know takes its default."""
    meta = nested.get_column("meta").struct.unnest()
    source = meta.get_column("source").struct.unnest() if "source" in meta.columns else pl.DataFrame()
    xml1 = nested.get_column("xml1").struct.unnest()
    claims = pl.concat(
        [
            nested.select(name for name in ("row", *_CLAIM) if name in nested.columns),
            meta.select(name for name in _META if name in meta.columns),
            meta.get_column("revision").struct.unnest(),
            meta.select(pl.col("causes").list.join(";")) if "causes" in meta.columns else pl.DataFrame(),
            source.rename(lambda name: f"source_{name}"),
            xml1.rename(lambda name: f"xml1_{name}" if name in _CLAIM else name),
        ],
        how="horizontal",
    )
    rows = {
        frame: pl.concat([_fitted(_rows_of(nested, table.lower()), row_schema(frame)) for table in held], how="vertical")
        for frame, held in FRAMES.items()
    }
    return {"claims": _fitted(claims, claim_schema()), **rows}


def _rows_of(nested: pl.DataFrame, table: str) -> pl.DataFrame:
    if table not in nested.columns:
        return pl.DataFrame(schema={"row": pl.UInt32()})
    rows = nested.lazy().select("row", table).filter(pl.col(table).list.len() > 0).explode(table).unnest(table)
    return rows.with_columns(pl.lit(table.upper()).alias("table")).collect()


def _fitted(frame: pl.DataFrame, columns: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Exactly these columns, in this order. A text that is missing in a claim is "", as in the schema."""
    present = frame.schema
    line = "table" in columns

    def column(name: str, dtype: pl.DataType) -> pl.Expr:
        if name in present:
            return pl.col(name) if present[name] == dtype else pl.col(name).cast(dtype)
        default: object = {pl.String: "", pl.Boolean: False}.get(type(dtype)) if not line else None
        return pl.lit(default, dtype=dtype).alias(name)

    return frame.select(column(name, dtype) for name, dtype in columns.items())


def _out_of_range(frames: Iterable[pl.DataFrame]) -> set[int]:
    """Rows with a value that its declared type cannot hold: the ledger would refuse the batch for ever."""
    wrong: set[int] = set()
    for frame in frames:
        tests = {name: _outside(name, dtype) for name, dtype in frame.schema.items() if isinstance(dtype, pl.Decimal)}
        if "received_at" in frame.columns:
            time = pl.col("received_at").to_physical()
            tests["received_at"] = (time < _YEAR_1_US) | (time > _YEAR_9999_US)
        if not tests:
            continue
        bad = frame.select(test.any().alias(name) for name, test in tests.items()).row(0)
        for test in (test for test, found in zip(tests.values(), bad, strict=True) if found):
            wrong |= set(frame.filter(test).get_column("row").to_list())
    return wrong


def _outside(name: str, dtype: pl.Decimal) -> pl.Expr:
    largest: int = 10 ** (dtype.precision or 38) - 1
    return (pl.col(name).to_physical() > largest) | (pl.col(name).to_physical() < -largest)
