"""Events: identity, revision, Avro bytes and JSON. The rules are those of `schemas/README.md`.

An event is a typed dict of `hub.contract.records` whose first field is `meta`. Its content is all but `meta`.
"""

import hashlib
import io
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from functools import cache
from typing import Any, Final, cast

import orjson
from fastavro import parse_schema, schemaless_reader
from fastavro.schema import load_schema

from hub.contract.errors import HubError
from hub.contract.places import shipped
from hub.contract.reader import Read, compile_reader
from hub.contract.records import Meta, Revision, Source
from hub.contract.writer import compile_column_writer, compile_writer

Rows = tuple[tuple[str, tuple[str, ...]], ...]  # a list of a record, and the fields of its rows that are wanted
Event = dict[str, Any]  # one of the typed dicts; the record's name travels beside it, as in Kafka

VIETNAM: Final = timezone(timedelta(hours=7), "Asia/Ho_Chi_Minh")
_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "https://hie-hub.invalid/events").bytes
_VARIANT: Final = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}  # RFC 9562 §4.1


# --- schemas and bytes ------------------------------------------------------------------------------------------------


@cache
def schema(record: str) -> dict[str, Any]:
    """The schema of one record (`hie.Claim`), self-contained: every named type stands in it once."""
    return cast("dict[str, Any]", load_schema(str(shipped("schemas") / f"{record}.avsc"), _write_hint=False))


@cache
def _parsed(record: str) -> Any:
    return _bytes_by_default(parse_schema(schema(record)))


def _bytes_by_default(parsed: Any) -> Any:
    """Avro writes the default of bytes as text; fastavro then wants bytes when it fills an absent field."""
    for row in parsed["fields"]:
        if row["type"] == "bytes" and isinstance(row.get("default"), str):
            row["default"] = row["default"].encode("latin-1")
    return parsed


def schema_text(record: str) -> str:
    """The schema as the registry gets it, the same text in every process (fastavro's order of attributes is not)."""
    return orjson.dumps(schema(record), option=orjson.OPT_SORT_KEYS).decode()


def encode(record: str, event: Mapping[str, Any]) -> bytes:
    """The event as a plain Avro body, without the registry's prefix. Absent fields take their defaults."""
    return _writer(record)(event)


@cache
def _writer(record: str) -> Callable[[Mapping[str, Any]], bytes]:
    return compile_writer(schema(record))


def encode_columns(record: str, columns: Mapping[str, Any]) -> Iterator[bytes]:
    """The bodies of many events, out of the columns of their fields, as `compile_column_writer` says."""
    return _column_writer(record)(columns)


@cache
def _column_writer(record: str) -> Callable[[Mapping[str, Any]], Iterator[bytes]]:
    return compile_column_writer(schema(record))


def decode(record: str, body: bytes, writer: Any = None, rows: Rows = ()) -> Event:
    """The event in a plain Avro body.

    writer: the parsed schema it was written with; the record's own when omitted.
    rows:   what is wanted of lists, for whoever needs little of long ones; another release's body comes whole.
    Raises: HubError(BODY_UNDECODABLE) when the bytes do not fit, or more bytes stand behind the record.
    """
    try:
        if writer is None:
            event, end = _reader(record, rows=rows)(body, 0)
        else:
            buffer = io.BytesIO(body)
            event, end = schemaless_reader(buffer, writer, _parsed(record)), buffer.tell()
    except Exception as wrong:  # whatever a damaged body provokes: IndexError, ValueError, UnicodeDecodeError, MemoryError …
        raise HubError("BODY_UNDECODABLE", record) from wrong
    if end != len(body):
        raise HubError("BODY_UNDECODABLE", record)
    return cast("Event", event)


@cache
def _reader(record: str, last: str = "", rows: Rows = ()) -> Read:
    """last: the field behind which it stops reading."""
    whole = schema(record)
    names = [row["name"] for row in whole["fields"]]
    return compile_reader({**whole, "fields": whole["fields"][: names.index(last) + 1 if last else None]}, dict(rows))


def decode_head(record: str, body: bytes, last: str) -> Event:
    """The first fields of the event, up to and including `last`; what stands behind them is not looked at.

    For whoever needs only places and states: it costs the same for a claim of a thousand lines as for one of two.
    Raises: HubError(BODY_UNDECODABLE).
    """
    try:
        event, end = _reader(record, last)(body, 0)
    except Exception as wrong:  # as in `decode`
        raise HubError("BODY_UNDECODABLE", record) from wrong
    if end > len(body):
        raise HubError("BODY_UNDECODABLE", record)
    return cast("Event", event)


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(type(value).__name__)


def to_json(value: object, *, indent: bool = False) -> bytes:
    """JSON of an event or of any part: decimals as strings, times in ISO 8601, bytes in hex."""
    return orjson.dumps(value, default=_plain, option=orjson.OPT_INDENT_2 if indent else None)


# --- identity ---------------------------------------------------------------------------------------------------------


def sparse(value: Any) -> Any:
    """The value without what is absent anyway ("", None, false, empty lists): the canonical content.

    Zero is not absent, and a record that a schema requires stays, even if nothing is in it. A new field with a default
    thus changes no hash of older content.
    """
    if isinstance(value, dict):
        pruned = {name: sparse(part) if isinstance(part, (dict, list)) else part for name, part in value.items()}
        return {name: part for name, part in pruned.items() if part or not _absent(part)}
    if isinstance(value, list):
        return [sparse(part) for part in value]
    return value


def _absent(value: object) -> bool:
    return value is None or value is False or (isinstance(value, (str, bytes, list)) and not value)


_TOLD_BY_ID: Final = frozenset(
    {"hie.Delivery", "hie.Receipt"}
)  # repeats of these have the same id, so nobody compares their content


def content_hash(event: Mapping[str, Any]) -> str:
    """BLAKE2b-128, in hex, of the canonical content: all but `meta`, sorted, without what is absent."""
    return _digest(sparse({name: value for name, value in event.items() if name != "meta"}))


def _digest(content: Event) -> str:
    return hashlib.blake2b(orjson.dumps(content, default=_plain, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()


def is_code(facility: str) -> bool:
    """Whether it has the form of a facility code (MA_CSKCB, or the identifier of 13 digits), so that it may be shown."""
    return len(facility) in (5, 13) and facility.isascii() and facility.isdigit()


@dataclass(frozen=True, slots=True)
class Keyring:
    """Makes Kafka keys and other hashes of identifiers, which nobody can reverse without the secret."""

    secret: bytes = field(repr=False)

    def key(self, facility: str, business_key: str, *, test: bool) -> str:
        """`facility:hash`; test traffic has keys of its own, so that it never stands in the way of real traffic.

        A facility that is no code (any text that a sender put there) is hashed with the rest: keys are read by many.
        """
        kind = "test" if test else "real"
        if is_code(facility):
            return f"{facility}:{self.hash(kind, business_key)}"
        return f":{self.hash(kind, facility, business_key)}"

    def hash(self, *parts: str) -> str:
        """Keyed BLAKE2b-128 of the parts, in hex."""
        return hashlib.blake2b("\x1f".join(parts).encode(), key=self.secret, digest_size=16).hexdigest()


def new_id(*parts: str) -> str:
    """UUIDv5 of the parts, in order. Written out, as `uuid.uuid5` takes four times as long and every event needs several."""
    name = hashlib.sha1(_NAMESPACE + "\x1f".join(parts).encode(), usedforsecurity=False).hexdigest()
    return f"{name[:8]}-{name[8:12]}-5{name[13:16]}-{_VARIANT[name[16]]}{name[17:20]}-{name[20:32]}"


def message_id(sender: str, received_at: datetime, raw_hash: str) -> str:
    """Id of one message as received: a resend has another one, a replay the same."""
    return new_id("message", sender, received_at.isoformat(), raw_hash)


@dataclass(frozen=True, slots=True)
class Origin:
    """What is known of a message before its content is read; the same for every event made from it.

    received_at: when the hub took it, aware.
    stated_at:   MSH-7 or NGAYLAP, as digits; padded by `stamp`.
    version:     the sender's own version of the thing, or 0.
    """

    message_id: str
    received_at: datetime
    source: Source
    test: bool = False
    stated_at: str = ""
    version: int = 0


def stamp(
    record: str, content: Event, *, facility: str, business_key: str, origin: Origin, keyring: Keyring, **more: Any
) -> Event:
    """The event: its content with the `meta` that derives from it.

    The id derives from what the sender stated (type, key, version, time, content), not from when or how often the hub
    got it: a resend or replay of the same statement is the same event.

    content: sparse, as `sparse` leaves it: the border writes nothing down for what is absent (a test holds it to that).
    more: further fields of `meta`, such as occurred_at, cleared, unparsed, sensitivity.
    """
    digest = _digest(content)
    key = keyring.key(facility, business_key, test=origin.test)
    stated_at = origin.stated_at[:14].ljust(14, "0") if origin.stated_at else "0" * 14
    meta: Meta = {
        "event_id": new_id(record, key, str(origin.version), stated_at, digest),
        "facility": facility,
        "key": key,
        "revision": {"version": origin.version, "stated_at": stated_at, "received_at": origin.received_at},
        "message_id": origin.message_id,
        "test": origin.test,
        "content_hash": digest,
        "source": origin.source,
        **more,  # type: ignore[typeddict-item]  # the schema checks them when the event is written
    }
    return {"meta": meta, **content}


def derive(
    record: str, content: Event, *, parents: Sequence[Event], rule: str, facility: str, key: str, revision: Revision, to: str = ""
) -> Event:
    """An event that a rule makes from others. Its id is of parents, rule and recipient, so all who see the cause make the same.

    parents:  in any order; the first one gives source and message.
    to:       the recipient, for deliveries and projections.
    """
    first: Meta = parents[0]["meta"]
    ids = sorted(parent["meta"]["event_id"] for parent in parents)
    meta: Meta = {
        "event_id": new_id(record, *ids, rule, to),
        "facility": facility,
        "key": key,
        "revision": revision,
        "occurred_at": first.get("occurred_at", ""),
        "message_id": first.get("message_id", ""),
        "test": any(parent["meta"].get("test", False) for parent in parents),
        "causes": ids,
        "rule": rule,
        "content_hash": "" if record in _TOLD_BY_ID else content_hash(content),
        "sensitivity": first.get("sensitivity", ""),
        "source": first["source"],
    }
    return {"meta": meta, **content}


def supersede(record: str, event: Event, content: Event, rule: str) -> Event:
    """The event that takes another's place under the same key: other content, so by the same rule another id.

    Its revision stands a microsecond above the other's: over it, and below whatever was stated afterwards. Its causes are
    all that it took the place of by this rule, one after the other.
    """
    meta: Meta = event["meta"]
    revision, digest = meta["revision"], content_hash(content)
    changed: Meta = {
        **meta,
        "event_id": new_id(record, meta["key"], str(revision["version"]), revision["stated_at"], digest),
        "revision": {**revision, "received_at": revision["received_at"] + timedelta(microseconds=1)},
        "supersedes": meta["event_id"],
        "causes": [*(meta["causes"] if meta.get("rule") == rule else ()), meta["event_id"]],
        "rule": rule,
        "content_hash": digest,
    }
    return {"meta": changed, **content}


def revision_rank(revision: Revision) -> str:
    """The revision as text that sorts as revisions compare: version, stated_at, received_at."""
    micros = int(revision["received_at"].timestamp() * 1_000_000)
    return f"{revision['version']:010d}|{revision['stated_at']:0<14}|{micros:017d}"


def now() -> datetime:
    """The time, aware, in UTC, to the microsecond. Called at the edges only."""
    return datetime.now(UTC)
