"""Events from Avro bodies, several times faster than a general reader.

A schema is compiled once: each record type becomes one function in which its fields are read one after the other. What it
reads is what fastavro reads, and what fastavro refuses it refuses (property tests compare); beyond that it refuses counts and
lengths that the body cannot hold, and decimals of more digits than their type has. Bodies that another schema wrote stay with
fastavro, which resolves the difference.
"""

import struct
from collections.abc import Callable
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
    size, at = _long(body, at)
    if not 0 <= size <= len(body) - at:
        raise ValueError("longer than the body")
    return body[at : at + size], at + size


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
    """Schemas to readers; a named type is compiled once, wherever it first stands."""

    def __init__(self) -> None:
        self._named: dict[str, Read] = {}

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
            read = self._named[avro["name"]] = self._record(avro["fields"])
            return read
        if avro["type"] in ("array", "map"):
            inner = self.reader(avro["items" if avro["type"] == "array" else "values"])
            return partial(_array if avro["type"] == "array" else _map, inner)
        return _PLAIN[avro["type"]]

    def _record(self, fields: list[dict[str, Any]]) -> Read:
        """Generated, as dataclasses are: of the schema only the fields' names get into the text, quoted.

        def read(body, at):
            size = sizes[body[at]]          # a short text, the commonest field
            at += 1
            if size > 0: v0 = body[at : (at := at + size)].decode()
            elif size == 0: v0 = ""
            else: v0, at = string(body, at - 1)
            if body[at]: v1, at = read1(body, at)   # absent is one zero, be it null or an empty list
            else: v1, at = [], at + 1
            v2, at = read2(body, at)
            return {"slip": v0, "diagnoses": v1, "person": v2}, at
        """
        names: dict[str, Any] = {"sizes": _SIZE, "string": _string}
        lines = ["def read(body, at):"]
        for number, field in enumerate(fields):
            read, kind = self.reader(field["type"]), field["type"]
            names[f"read{number}"] = read
            empty = "None" if isinstance(kind, list) else _EMPTY.get(kind["type"], "") if isinstance(kind, dict) else ""
            if read is _string:
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
        items = ", ".join(f"{field['name']!r}: v{number}" for number, field in enumerate(fields))
        lines.append(f" return {{{items}}}, at")
        exec("\n".join(lines), names)  # noqa: S102 - see above
        read_record: Read = names["read"]
        return read_record


_EMPTY: Final = {"array": "[]", "map": "{}"}


def compile_reader(schema: dict[str, Any]) -> Read:
    """A function from an Avro body, and where in it to begin, to the event and where it ended.

    schema: self-contained, as `hub.contract.events.schema` gives it.
    The function raises whatever a damaged body provokes; where it ends behind the end of the body, the body is cut short.
    """
    return _Compiler().reader(schema)
