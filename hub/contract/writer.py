"""Avro bodies from sparse events, several times faster than a general writer.

An event names only what is present; a schema of 300 fields is mostly defaults. Events of one origin name the same fields in
the same order, so each such shape of a record is compiled once into a function of a few lines, in which the defaults between
two fields that are present are one constant. What records share beyond that, they may say (`Varied`): then that is constant
too. The bytes are those that fastavro writes (a property test compares).
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import repeat
from typing import Any, Final

Encode = Callable[[Any], bytes]
_Constants = tuple[bytes, ...]
_Write = Callable[[Mapping[str, Any], _Constants], bytes]
_Shape = tuple[str, ...]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SHORT: Final = 24  # characters; codes and units of this length come again and again
_KEPT_MAX: Final = 8192  # encoded short strings kept; then it begins anew
_SHAPES_MAX: Final = 4096  # of one record; then it begins anew


def _varint(number: int) -> bytes:
    number = (number << 1) ^ (number >> 63)
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


_SMALL: Final = [_varint(number) for number in range(256)]


def _long(number: int) -> bytes:
    return _SMALL[number] if 0 <= number < 256 else _varint(number)


class Steady(dict[str, Any]):
    """What many records of one type have in common: all their fields. Never changed, so that its encoding is kept.

    varying: the fields that each record has its own value of; here they only stand in.
    """

    __slots__ = ("kept", "varying")

    def __init__(self, fields: Mapping[str, Any], varying: Iterable[str]) -> None:
        super().__init__(fields)
        self.varying = frozenset(varying)
        self.kept: tuple[_Write, _Constants] | None = None


class Varied(dict[str, Any]):
    """A record made as `Varied(steady)`, which then sets all the fields that vary, `steady`, and nothing else."""

    __slots__ = ("steady",)
    steady: Steady


class _Strings(dict[str, bytes]):
    """Text to its encoding; what is short is kept."""

    __slots__ = ()

    def __missing__(self, text: str) -> bytes:
        body = text.encode()
        encoded = _long(len(body)) + body
        if len(text) <= _SHORT:
            if len(self) >= _KEPT_MAX:
                self.clear()
            self[text] = encoded
        return encoded


def _bytes(body: bytes) -> bytes:
    return _long(len(body)) + body


def _boolean(value: bool) -> bytes:
    return b"\1" if value else b"\0"


def _micros(at: datetime) -> bytes:
    since = at - _EPOCH
    return _varint((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)


def _decimal(precision: int, scale: int) -> Encode:
    limit = 10**precision

    def decimal(amount: Decimal) -> bytes:
        scaled = amount.scaleb(scale)
        unscaled = int(scaled)
        if unscaled != scaled or not -limit < unscaled < limit:
            raise ValueError("more digits or decimals than the schema has")
        size = (unscaled.bit_length() + 8) // 8
        return _SMALL[size] + unscaled.to_bytes(size, "big", signed=True)

    return decimal


def _array(item: Encode) -> Encode:
    def array(values: list[Any]) -> bytes:
        return _long(len(values)) + b"".join(map(item, values)) + b"\0" if values else b"\0"

    return array


def _map(string: Encode, item: Encode) -> Encode:
    def mapping(values: Mapping[str, Any]) -> bytes:
        if not values:
            return b"\0"
        return _long(len(values)) + b"".join(string(name) + item(value) for name, value in values.items()) + b"\0"

    return mapping


def _optional(encode: Encode) -> Encode:
    def optional(value: Any) -> bytes:
        return b"\0" if value is None else b"\2" + encode(value)

    return optional


@dataclass(frozen=True, slots=True)
class _Field:
    """One field of a record, as the schema has it, with its writer. inner: of an optional field, what writes a value that is there."""

    name: str
    encode: Encode
    avro: Mapping[str, Any]
    inner: Encode | None

    def default(self) -> bytes:
        """Encoded. Raises: TypeError where the schema has none."""
        if "default" not in self.avro:
            raise TypeError(f"{self.name} is required")
        value = self.avro["default"]
        return self.encode(value.encode("latin-1") if self.avro["type"] == "bytes" else value)


class _Compiler:
    """Schemas to writers; a named type is compiled once, wherever it first stands."""

    def __init__(self) -> None:
        self._named: dict[str, Encode] = {}
        self._fields: dict[str, list[_Field]] = {}
        self._strings = _Strings()
        self._plain: dict[str, Encode] = {
            "string": self._strings.__getitem__,
            "bytes": _bytes,
            "boolean": _boolean,
            "int": _long,
            "long": _long,
            "double": struct.Struct("<d").pack,
        }

    def encoder(self, avro: Any) -> Encode:
        if isinstance(avro, list):
            return _optional(self.encoder(avro[1]))  # every union of ours is ["null", T]
        if isinstance(avro, str):
            return self._plain.get(avro) or self._named[avro]
        logical = avro.get("logicalType")
        if logical == "decimal":
            return _decimal(avro["precision"], avro["scale"])
        if logical == "timestamp-micros":
            return _micros
        if avro["type"] == "record":
            return self._record(avro)
        if avro["type"] == "array":
            return _array(self.encoder(avro["items"]))
        if avro["type"] == "map":
            return _map(self._plain["string"], self.encoder(avro["values"]))
        return self._plain[avro["type"]]

    def _record(self, avro: dict[str, Any]) -> Encode:
        fields = self._fields[avro["name"]] = [self._field(field) for field in avro["fields"]]
        shapes = _Shapes(fields, self._strings)
        known = shapes.known

        def record(value: Mapping[str, Any]) -> bytes:
            if type(value) is Varied:
                found = value.steady.kept or shapes.keep(value.steady)
            else:
                found = known.get(tuple(value)) or shapes.learn(tuple(value))
            write, constants = found
            return write(value, constants)

        self._named[avro["name"]] = record
        return record

    def parts(self, name: str, columns: Mapping[str, Any]) -> Iterator[Iterable[bytes]]:
        """What stands one after the other in every record of this type: the encodings of a field, or its default again and again."""
        if unknown := columns.keys() - {field.name for field in self._fields[name]}:
            raise KeyError(*unknown)
        for field in self._fields[name]:
            kind, column = field.avro["type"], columns.get(field.name)
            if column is None:
                yield repeat(field.default())
            elif isinstance(column, Mapping):
                yield from self.parts(kind if isinstance(kind, str) else kind["name"], column)
            else:
                yield map(field.encode, column)

    def _field(self, avro: dict[str, Any]) -> _Field:
        kind = avro["type"]
        if isinstance(kind, list):
            inner = self.encoder(kind[1])
            return _Field(avro["name"], _optional(inner), avro, inner)
        return _Field(avro["name"], self.encoder(kind), avro, None)


class _Shapes:
    """The writers of one record type, by which fields are present, and in which order."""

    def __init__(self, fields: Sequence[_Field], strings: _Strings) -> None:
        self.known: dict[_Shape, tuple[_Write, _Constants]] = {}
        self._fields = fields
        self._string = strings.__getitem__
        self._names: dict[str, Any] = {"join": b"".join, "strings": strings}
        self._names |= {f"encode{number}": field.inner or field.encode for number, field in enumerate(fields)}
        self._writers: dict[str, _Write] = {}

    def learn(self, shape: _Shape) -> tuple[_Write, _Constants]:
        """The writer for records of this shape, and what is constant in them."""
        if len(self.known) >= _SHAPES_MAX:
            self.known.clear()
        found = self.known[shape] = self._make(shape, {})
        return found

    def keep(self, steady: Steady) -> tuple[_Write, _Constants]:
        """The same for records made of this one."""
        found = steady.kept = self._make(tuple(steady), {name: steady[name] for name in steady if name not in steady.varying})
        return found

    def _make(self, shape: _Shape, steady: Mapping[str, Any]) -> tuple[_Write, _Constants]:
        if unknown := set(shape).difference(field.name for field in self._fields):
            raise KeyError(*unknown)
        parts: list[str] = []
        constants: list[bytes] = []
        constant = b""
        for number, field in enumerate(self._fields):
            if field.name not in shape:
                constant += field.default()
            elif field.name in steady:
                constant += field.encode(steady[field.name])
            else:
                if constant:
                    parts.append(f"c{len(constants)}")
                    constants.append(constant)
                    constant = b""
                at = shape.index(field.name)
                if field.encode == self._string:
                    parts.append(f"strings[v{at}]")
                elif field.inner is not None:
                    parts.append(f"b'\\2' + encode{number}(v{at}) if v{at} is not None else b'\\0'")
                else:
                    parts.append(f"encode{number}(v{at})")
        if constant:
            parts.append(f"c{len(constants)}")
            constants.append(constant)
        return self._writer(len(shape), len(constants), parts), tuple(constants)

    def _writer(self, values: int, constants: int, parts: list[str]) -> _Write:
        """Generated, as dataclasses are, and never out of names or values: only numbers get into the text.

        def write(value, constants):
            v0, v1, = value.values()
            c0, c1, = constants
            return join((c0, strings[v1], encode0(v0), c1,))
        """
        lines = (
            "def write(value, constants):",
            "".join(f"v{number}, " for number in range(values)) + "= value.values()" if values else "",
            "".join(f"c{number}, " for number in range(constants)) + "= constants" if constants else "",
            f"return join(({''.join(f'{part}, ' for part in parts)}))",
        )
        source = "\n ".join(lines)
        if source not in self._writers:
            if len(self._writers) >= _SHAPES_MAX:
                self._writers.clear()
            names = self._names.copy()
            exec(source, names)  # noqa: S102 - see above
            self._writers[source] = names["write"]
        return self._writers[source]


def compile_writer(schema: dict[str, Any]) -> Callable[[Mapping[str, Any]], bytes]:
    """A function from an event to its Avro body.

    schema: self-contained, as `hub.contract.events.schema` gives it.
    The function raises KeyError for a field that the schema does not have, TypeError or ValueError for a value that does
    not fit or a required field that is missing.
    """
    return _Compiler().encoder(schema)


def compile_column_writer(schema: dict[str, Any]) -> Callable[[Mapping[str, Any]], Iterator[bytes]]:
    """The same for many events at once: from the columns of their fields to their bodies, in order.

    A column is a list with a value for each event, or, of a record in a record, the columns of its fields by their names. A field
    without a column has its default. Of lists of unequal length the shortest counts.
    """
    compiler = _Compiler()
    compiler.encoder(schema)
    name: str = schema["name"]
    return lambda columns: map(b"".join, zip(*compiler.parts(name, columns), strict=False))
