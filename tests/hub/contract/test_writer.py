"""The compiled writer writes what fastavro writes, for every record and any part of it that is present."""

import io
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from fastavro import parse_schema, schemaless_writer
from hypothesis import given
from hypothesis import strategies as st

from hub.contract.events import schema
from hub.contract.topics import topics
from hub.contract.writer import Steady, Varied, compile_column_writer, compile_writer

RECORDS = sorted({topic.record for topic in topics().values()})
TEXT = st.text(max_size=12)


def values(avro, known):
    """A strategy of values of a type in which any field with a default may be absent."""
    if isinstance(avro, list):
        return st.none() | values(avro[1], known)
    if isinstance(avro, str) and avro in known:
        return known[avro]
    kind = avro if isinstance(avro, str) else avro["type"]
    logical = "" if isinstance(avro, str) else avro.get("logicalType", "")
    if kind == "record":
        required = {field["name"]: values(field["type"], known) for field in avro["fields"] if "default" not in field}
        optional = {field["name"]: values(field["type"], known) for field in avro["fields"] if "default" in field}
        known[avro["name"]] = st.fixed_dictionaries(required, optional=optional)
        return known[avro["name"]]
    if logical == "decimal":
        top = 10 ** avro["precision"] - 1
        return st.integers(-top, top).map(lambda unscaled: Decimal(unscaled).scaleb(-avro["scale"]))
    if logical == "timestamp-micros":
        return st.datetimes(datetime(1969, 1, 1), datetime(2200, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))
    if kind == "array":
        return st.lists(values(avro["items"], known), max_size=2)
    if kind == "map":
        return st.dictionaries(TEXT, values(avro["values"], known), max_size=2)
    return {
        "string": TEXT,
        "bytes": st.binary(max_size=30),
        "boolean": st.booleans(),
        "int": st.integers(-(2**31), 2**31 - 1),
        "long": st.integers(-(2**63), 2**63 - 1),
        "double": st.floats(allow_nan=False),
    }[kind]


def by_fastavro(avro, event):
    def bytes_defaults(node):
        if isinstance(node, dict):
            if node.get("type") == "bytes" and isinstance(node.get("default"), str):
                node["default"] = node["default"].encode("latin-1")
            for part in node.values():
                bytes_defaults(part)
        elif isinstance(node, list):
            for part in node:
                bytes_defaults(part)
        return node

    buffer = io.BytesIO()
    schemaless_writer(buffer, bytes_defaults(parse_schema(avro)), event)
    return buffer.getvalue()


@pytest.mark.parametrize("record", [record for record in RECORDS if record != "hie.Claim"])
@given(data=st.data())
def test_the_same_bytes_as_fastavro(record, data):
    event = data.draw(values(schema(record), {}))
    assert compile_writer(schema(record))(event) == by_fastavro(schema(record), event)


@given(data=st.data())
def test_records_that_share_most_fields_are_written_as_if_each_stood_alone(data):
    avro = schema("hie.LabResult")
    write = compile_writer(avro)
    event = data.draw(values(avro, {}).filter(lambda event: event.get("observations")))
    lines = []
    for line in event["observations"]:
        varying = [name for name in ("set_id", "gia_tri", "number", "flags") if name in line]
        steady = Steady({**line, **dict.fromkeys(varying)}, varying)
        for value in (line, line | {name: [] if name == "flags" else None for name in varying if name in ("number", "flags")}):
            varied = Varied(steady)
            varied.steady = steady
            varied.update({name: value[name] for name in varying})
            lines.append((varied, value))
    assert write(event | {"observations": [varied for varied, _ in lines]}) == write(
        event | {"observations": [value for _, value in lines]}
    )


@given(data=st.data())
def test_the_order_in_which_fields_are_named_does_not_matter(data):
    write = compile_writer(schema("hie.Referral"))
    event = data.draw(values(schema("hie.Referral"), {}))
    assert write(dict(reversed(event.items()))) == write(event)


def columns_of(events):
    """A column of records by its fields, any other as the list of its values."""
    first = events[0]
    return {
        name: columns_of([event[name] for event in events])
        if isinstance(first[name], dict) and name != "unparsed"
        else [event[name] for event in events]
        for name in first
    }


def test_columns_of_events_give_the_bytes_of_each_of_them():
    from tests.archive.make import example

    avro = schema("hie.ClaimDecision")
    whole = example(avro, {})
    without = {name: value for name, value in whole.items() if name not in ("answer_by", "paid", "ma_lk")}
    for one in (whole, without, without | {"meta": {n: v for n, v in whole["meta"].items() if n not in ("test", "unparsed")}}):
        other = one | {"verdict": "ế" * 100, "t_bhtt": None, "findings": []}
        made = list(compile_column_writer(avro)(columns_of([one, other, one])))
        assert made == [compile_writer(avro)(event) for event in (one, other, one)]


@pytest.mark.parametrize(
    ("change", "error"),
    [({"no_such_field": ["x"]}, KeyError), ({"meta": {}}, TypeError), ({"t_bhtt": [Decimal("0.001")]}, ValueError)],
)
def test_columns_that_do_not_fit_the_schema_are_never_written(change, error):
    from tests.archive.make import example

    avro = schema("hie.ClaimDecision")
    columns = columns_of([example(avro, {})])
    with pytest.raises(error):
        list(compile_column_writer(avro)(columns | change))


def test_the_same_bytes_for_claims_of_full_width():
    from hub.simulate import claims

    write = compile_writer(schema("hie.Claim"))
    for claim in claims(7, 20):
        assert write(claim) == by_fastavro(schema("hie.Claim"), claim)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"no_such_field": "x"}, KeyError),
        ({"t_bhtt": Decimal("0.001")}, ValueError),
        ({"t_bhtt": Decimal(10) ** 17}, ValueError),
        ({"ma_lk": None}, (TypeError, AttributeError)),
        ({"meta": {}}, TypeError),
    ],
)
def test_what_does_not_fit_the_schema_is_never_written(change, error):
    from tests.archive.make import example

    whole = example(schema("hie.ClaimDecision"), {})
    write = compile_writer(schema("hie.ClaimDecision"))
    assert write(whole)
    with pytest.raises(error):
        write(whole | change)
