"""Events from Avro bodies, several times faster than a general reader.

A schema is compiled once: each record type becomes one function in which its fields are read one after the other. What it
reads is what fastavro reads, and what fastavro refuses it refuses (property tests compare); beyond that it refuses counts and
lengths that the body cannot hold, and decimals of more digits than their type has. Bodies that another schema wrote stay with
fastavro, which resolves the difference.
"""

import struct
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Final

Read = Callable[[bytes, int], tuple[Any, int]]
"""A value at a place of a body, and the place behind it. Raises: what a damaged body provokes; a place behind the end is damage."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_VARINT_LONGEST: Final = 10
_DOUBLE: Final = struct.Struct("<d")
_SIZE: Final = [number >> 1 if number < 0x80 and not number & 1 else -1 for number in range(256)]  # of one byte; -1: look closer


def _long(body: bytes, at: int) -> tuple[int, int]:
    if body[at] < 0x80:
        return (body[at] >> 1) ^ -(body[at] & 1), at + 1
    number = shift = 0
    for place in range(at, at + _VARINT_LONGEST):
        byte = body[place]
        number |= (byte & 0x7F) << shift
        if byte < 0x80 and not number >> 64:
            return (number >> 1) ^ -(number & 1), place + 1
        shift += 7
    raise ValueError("a number without end")


def _bytes(body: bytes, at: int) -> tuple[bytes, int]:
    end, at = _end(body, at)
    return body[at:end], end


def _end(body: bytes, at: int) -> tuple[int, int]:
    """Of bytes, and where they begin."""
    size, at = _long(body, at)
    if not 0 <= size <= len(body) - at:
        raise ValueError("longer than the body")
    return at + size, at


def _string(body: bytes, at: int) -> tuple[str, int]:
    size = _SIZE[body[at]]
    if size < 0:
        text, at = _bytes(body, at)
        return text.decode(), at
    end = at + 1 + size
    return body[at + 1 : end].decode(), end


def _boolean(body: bytes, at: int) -> tuple[bool, int]:
    return body[at] != 0, at + 1


def _double(body: bytes, at: int) -> tuple[float, int]:
    return _DOUBLE.unpack_from(body, at)[0], at + 8


def _micros(body: bytes, at: int) -> tuple[datetime, int]:
    micros, at = _long(body, at)
    return _EPOCH + timedelta(microseconds=micros), at


def _decimal(limit: int, scale: int, body: bytes, at: int) -> tuple[Decimal, int]:
    digits, at = _bytes(body, at)
    unscaled = int.from_bytes(digits, "big", signed=True)
    if not -limit < unscaled < limit:
        raise ValueError("more digits than the schema has")
    return Decimal(unscaled).scaleb(-scale), at


def _optional(read: Read, body: bytes, at: int) -> tuple[Any, int]:
    branch, at = _long(body, at)
    if branch == 1:
        return read(body, at)
    if branch:
        raise ValueError("no such branch")
    return None, at


def _count(body: bytes, at: int) -> tuple[int, int]:
    """How many items the next block of an array or map has; each takes a byte at least."""
    count, at = _long(body, at)
    if count < 0:  # the size of the block follows
        count, (_size, at) = -count, _long(body, at)
    if count > len(body) - at:
        raise ValueError("more items than the body")
    return count, at


def _array(read: Read, body: bytes, at: int) -> tuple[list[Any], int]:
    items: list[Any] = []
    count, at = _count(body, at)
    while count:
        for _ in range(count):
            item, at = read(body, at)
            items.append(item)
        count, at = _count(body, at)
    return items, at


def _map(read: Read, body: bytes, at: int) -> tuple[dict[str, Any], int]:
    items: dict[str, Any] = {}
    count, at = _count(body, at)
    while count:
        for _ in range(count):
            name, at = _string(body, at)
            items[name], at = read(body, at)
        count, at = _count(body, at)
    return items, at


_PLAIN: Final[dict[str, Read]] = {
    "string": _string,
    "bytes": _bytes,
    "boolean": _boolean,
    "int": _long,
    "long": _long,
    "double": _double,
}


class _Compiler:
    """Schemas to readers; a named type is compiled once, wherever it first stands.

    rows: a list, in whatever record it stands, to those fields of its rows that are wanted.
    """

    def __init__(self, rows: Mapping[str, Collection[str]]) -> None:
        self._named: dict[str, Read] = {}
        self._fields: dict[str, list[tuple[dict[str, Any], Read]]] = {}
        self._rows = rows

    def reader(self, avro: Any) -> Read:
        if isinstance(avro, list):
            return partial(_optional, self.reader(avro[1]))  # every union of ours is ["null", T]
        if isinstance(avro, str):
            return _PLAIN.get(avro) or self._named[avro]
        logical = avro.get("logicalType")
        if logical == "decimal":
            return partial(_decimal, 10 ** avro["precision"], avro["scale"])
        if logical == "timestamp-micros":
            return _micros
        if avro["type"] == "record":
            self._fields[avro["name"]] = fields = [(field, self._field(field)) for field in avro["fields"]]
            read = self._named[avro["name"]] = _record([(field, one, True) for field, one in fields])
            return read
        if avro["type"] in ("array", "map"):
            inner = self.reader(avro["items" if avro["type"] == "array" else "values"])
            return partial(_array if avro["type"] == "array" else _map, inner)
        return _PLAIN[avro["type"]]

    def _field(self, field: dict[str, Any]) -> Read:
        read = self.reader(field["type"])
        if field["name"] not in self._rows:
            return read
        wanted = self._rows[field["name"]]
        row = [
            (one, self._passing(one, inner) if one["name"] not in wanted else inner)
            for one, inner in self._fields_of(field["type"]["items"])
        ]
        return partial(_array, _record([(one, inner, one["name"] in wanted) for one, inner in row]))

    def _passing(self, field: dict[str, Any], read: Read) -> Read:
        """Comes to the end of what is not wanted: of a record without making any of its parts."""
        fields = self._fields_of(field["type"])
        return _record([(one, inner, False) for one, inner in fields]) if fields else read

    def _fields_of(self, avro: Any) -> list[tuple[dict[str, Any], Read]]:
        """Of a record whose reader was made before; [] for what is none."""
        name = avro if isinstance(avro, str) else avro.get("name", "") if isinstance(avro, dict) else ""
        return self._fields.get(name, [])


def _record(fields: Iterable[tuple[dict[str, Any], Read, bool]]) -> Read:
    """The reader of a record.  fields: each with its reader, and whether it is wanted: else it is only passed over.

    Generated, as dataclasses are: of the schema only the fields' names get into the text, quoted.

    def read(body, at):
        size = sizes[body[at]]          # a short text, the commonest field
        at += 1
        if size > 0: v0 = body[at : (at := at + size)].decode()
        elif size == 0: v0 = ""
        else: v0, at = string(body, at - 1)
        if body[at]: v1, at = read1(body, at)   # absent is one zero, be it null or an empty list
        else: v1, at = [], at + 1
        v2, at = read2(body, at)
        size = sizes[body[at]]          # a text that is not wanted
        at = at + 1 + size if size >= 0 else end(body, at)[0]
        return {"slip": v0, "diagnoses": v1, "person": v2}, at
    """
    names: dict[str, Any] = {"sizes": _SIZE, "string": _string, "end": _end}
    lines, items = ["def read(body, at):"], []
    for number, (field, read, wanted) in enumerate(fields):
        kind = field["type"]
        names[f"read{number}"] = read
        empty = "None" if isinstance(kind, list) else _EMPTY.get(kind["type"], "") if isinstance(kind, dict) else ""
        if wanted:
            items.append(f"{field['name']!r}: v{number}")
        if read is _string and not wanted:
            lines += (" size = sizes[body[at]]", " at = at + 1 + size if size >= 0 else end(body, at)[0]")
        elif read is _string:
            lines += (
                " size = sizes[body[at]]",
                " at += 1",
                f" if size > 0: v{number} = body[at : (at := at + size)].decode()",
                f" elif size == 0: v{number} = ''",
                f" else: v{number}, at = string(body, at - 1)",
            )
        elif read is _boolean:
            lines += (f" v{number} = body[at] != 0", " at += 1")
        elif empty:
            lines += (f" if body[at]: v{number}, at = read{number}(body, at)", f" else: v{number}, at = {empty}, at + 1")
        else:
            lines.append(f" v{number}, at = read{number}(body, at)")
    lines.append(f" return {{{', '.join(items)}}}, at")
    exec("\n".join(lines), names)  # noqa: S102 - see above
    read_record: Read = names["read"]
    return read_record


_EMPTY: Final = {"array": "[]", "map": "{}"}
_WHOLE: Final[Mapping[str, Collection[str]]] = {}


def compile_reader(schema: dict[str, Any], rows: Mapping[str, Collection[str]] = _WHOLE) -> Read:
    """A function from an Avro body, and where in it to begin, to the event and where it ended.

    schema: self-contained, as `hub.contract.events.schema` gives it.
    rows:   a list of records to those fields of its rows that are wanted; of the others only their length is looked at, not whether a text is one.
    The function raises whatever a damaged body provokes; where it ends behind the end of the body, the body is cut short.
    """
    return _Compiler(rows).reader(schema)


_PRIMITIVE: Final = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})


def layout(avro: Any, namespace: str = "") -> Any:
    """What of a schema decides how a body is read: types in their order, under full names. Two schemas of one layout read alike.

    A registry may give a schema back with its names written in another way; defaults, docs and order of attributes tell nothing
    of a body either.

    namespace: that the schema stands in.
    """
    if isinstance(avro, list):
        return [layout(one, namespace) for one in avro]
    if isinstance(avro, str):
        return avro if avro in _PRIMITIVE or "." in avro or not namespace else f"{namespace}.{avro}"
    kind = avro["type"]
    if kind in ("record", "enum", "fixed"):
        name, space = avro["name"], avro.get("namespace", namespace)
        full = name if "." in name or not space else f"{space}.{name}"
        fields = [(field["name"], layout(field["type"], full.rpartition(".")[0])) for field in avro.get("fields", ())]
        made = {"type": kind, "name": full, "fields": fields, "symbols": avro.get("symbols"), "size": avro.get("size")}
    elif kind in ("array", "map"):
        inner = "items" if kind == "array" else "values"
        made = {"type": kind, inner: layout(avro[inner], namespace)}
    else:
        made = {"type": layout(kind, namespace)}
    made |= {name: avro[name] for name in ("logicalType", "precision", "scale") if name in avro}
    return made["type"] if list(made) == ["type"] else made
