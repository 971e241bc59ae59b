"""The compiled reader reads what fastavro reads, for every record; what is damaged it refuses, and never reads for long."""

import io
from datetime import datetime, timedelta

import pytest
from fastavro import parse_schema, schemaless_reader
from hypothesis import given
from hypothesis import strategies as st

from hub.contract.errors import HubError
from hub.contract.events import VIETNAM, decode, decode_head, encode, schema
from hub.contract.reader import compile_reader, layout
from hub.simulate import claims
from tests.hub.contract.test_events import referral
from tests.hub.contract.test_writer import RECORDS, values

SMALL = [record for record in RECORDS if record != "hie.Claim"]  # a claim has 455 fields: the last test


def by_fastavro(avro, body):
    return schemaless_reader(io.BytesIO(body), parse_schema(avro), None)


@pytest.mark.parametrize("record", SMALL)
@given(data=st.data())
def test_the_same_event_as_fastavro(record, data):
    avro = schema(record)
    body = encode(record, data.draw(values(avro, {})))
    assert compile_reader(avro)(body, 0) == (by_fastavro(avro, body), len(body))


@given(damage=st.data())
def test_a_damaged_body_is_refused_or_read_as_fastavro_reads_it(damage):
    record = damage.draw(st.sampled_from(SMALL))
    avro = schema(record)
    body = bytearray(encode(record, damage.draw(values(avro, {}))))
    for _ in range(damage.draw(st.integers(1, 3))):
        body[damage.draw(st.integers(0, len(body) - 1))] = damage.draw(st.integers(0, 255))
    try:
        event, end = compile_reader(avro)(bytes(body), 0)
    except Exception:  # what is refused is refused; that is what `decode` turns into BODY_UNDECODABLE
        return
    if end <= len(body):
        assert event == by_fastavro(avro, bytes(body))


@given(data=st.data())
def test_a_body_that_was_cut_or_has_more_behind_it_is_undecodable(data):
    record = data.draw(st.sampled_from(SMALL))
    body = encode(record, data.draw(values(schema(record), {})))
    with pytest.raises(HubError, match="BODY_UNDECODABLE"):
        decode(record, body[: data.draw(st.integers(0, len(body) - 1))])
    with pytest.raises(HubError, match="BODY_UNDECODABLE"):
        decode(record, body + data.draw(st.binary(min_size=1, max_size=3)))


def test_a_count_that_the_body_cannot_hold_is_refused_before_anything_is_made_of_it():
    avro = {"type": "record", "name": "Many", "fields": [{"name": "items", "type": {"type": "array", "items": "string"}}]}
    for count in (2**40, -(2**40)):
        zigzag, written = (count << 1) ^ (count >> 63), bytearray()
        while zigzag > 0x7F:
            written.append(zigzag & 0x7F | 0x80)
            zigzag >>= 7
        with pytest.raises(ValueError, match="more items"):
            compile_reader(avro)(bytes(written) + bytes([zigzag, 0, 0]), 0)


def test_blocks_with_their_size_are_read_as_any_other():
    avro = {"type": "record", "name": "Blocks", "fields": [{"name": "items", "type": {"type": "array", "items": "string"}}]}
    body = bytes([3, 8]) + b"\2a\2b" + b"\2\2c" + b"\0"  # -2 items in 4 bytes, 1 item, the end
    assert compile_reader(avro)(body, 0) == ({"items": ["a", "b", "c"]}, len(body))


def test_names_of_fields_are_only_ever_text():
    avro = {"type": "record", "name": "Odd", "fields": [{"name": "'}, at or boom(", "type": "string"}]}
    assert compile_reader(avro)(b"\2x", 0) == ({"'}, at or boom(": "x"}, 2)


def test_the_head_of_a_cut_body_is_refused():
    body = encode("hie.Referral", referral())
    head = decode_head("hie.Referral", body, "slip")
    assert (list(head), head["slip"]) == (["meta", "action", "slip"], "CT-1")
    assert decode_head("hie.Referral", body + b"surplus", "slip") == head
    end = body.index(b"CT-1") + len(b"CT-1")
    assert decode_head("hie.Referral", body[:end], "slip") == head
    for cut in range(end):
        with pytest.raises(HubError, match="BODY_UNDECODABLE"):
            decode_head("hie.Referral", body[:cut], "slip")


def test_times_are_read_to_the_microsecond_in_utc():
    event = referral(received_at=datetime(2026, 11, 23, 12, 0, 0, 123_457, VIETNAM))
    read = decode("hie.Referral", encode("hie.Referral", event))["meta"]["revision"]["received_at"]
    assert (read, read.utcoffset()) == (event["meta"]["revision"]["received_at"], timedelta(0))


def test_a_claim_of_all_its_tables_is_read_as_by_fastavro():
    claim = next(iter(claims(1, 1)))
    body = encode("hie.Claim", claim)
    assert decode("hie.Claim", body) == by_fastavro(schema("hie.Claim"), body)


WANTED = (("observations", ("flags", "code")),)


@given(data=st.data())
def test_rows_of_which_little_is_wanted_are_read_to_their_end(data):
    avro = schema("hie.LabResult")
    body = encode("hie.LabResult", data.draw(values(avro, {})))
    whole = decode("hie.LabResult", body)
    rows = [{name: row[name] for name in ("code", "flags")} for row in whole["observations"]]
    assert decode("hie.LabResult", body, rows=WANTED) == whole | {"observations": rows}


@given(data=st.data())
def test_a_body_that_was_cut_is_undecodable_whatever_is_wanted_of_it(data):
    body = encode("hie.LabResult", data.draw(values(schema("hie.LabResult"), {})))
    for damaged in (body[: data.draw(st.integers(0, len(body) - 1))], body + b"\0"):
        with pytest.raises(HubError):
            decode("hie.LabResult", damaged, rows=WANTED)


# --- whether two schemas read alike -----------------------------------------------------------------------------------


def with_spaces(avro, within=""):
    """The same schema as another might write it: short names with namespaces, docs, defaults gone."""
    if isinstance(avro, list):
        return [with_spaces(one, within) for one in avro]
    if isinstance(avro, str):
        space, _, name = avro.rpartition(".")
        return name if space and space == within else avro
    if "name" in avro:
        space, _, name = avro["name"].rpartition(".")
        fields = [{"type": with_spaces(one["type"], space), "name": one["name"], "doc": "?"} for one in avro.get("fields", ())]
        return (
            {"namespace": space, "name": name, "doc": "?"}
            | {key: avro[key] for key in avro if key not in ("name", "fields", "doc")}
            | {"fields": fields}
        )
    return {key: with_spaces(value, within) if key in ("items", "values", "type") else value for key, value in avro.items()}


@pytest.mark.parametrize("record", RECORDS)
def test_a_schema_with_its_names_written_otherwise_reads_alike(record):
    avro = schema(record)
    assert with_spaces(avro) != avro
    assert layout(with_spaces(avro)) == layout(avro)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 2}, {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 3}),
        (["null", "string"], "string"),
        ({"type": "array", "items": "string"}, {"type": "map", "values": "string"}),
        ({"type": "record", "name": "a.R", "fields": [{"name": "x", "type": "int"}]}, {"type": "record", "name": "b.R", "fields": [{"name": "x", "type": "int"}]}),
        ({"type": "record", "name": "R", "fields": [{"name": "x", "type": "int"}, {"name": "y", "type": "int"}]}, {"type": "record", "name": "R", "fields": [{"name": "y", "type": "int"}, {"name": "x", "type": "int"}]}),
    ],
)  # fmt: skip
def test_what_reads_otherwise_is_told_apart(one, other):
    assert layout(one) != layout(other)


def test_a_type_that_is_only_written_longer_is_the_same():
    assert layout({"type": "string"}) == layout("string")
