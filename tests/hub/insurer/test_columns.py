"""Bodies to columns: every value arrives, and a damaged body costs only itself."""

import io
import os
import random
import threading
from decimal import Decimal

import polars as pl
import pytest
from fastavro import parse_schema, schemaless_reader, schemaless_writer
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.contract.errors import HubError
from hub.contract.events import encode, schema
from hub.insurer import columns
from hub.insurer.columns import decode_claims
from hub.simulate import claims
from tests.hub.insurer.made import PREFIX, claim, columns_of, values_of, writers

GOOD = values_of(claims(11, 12))


def ids(values):
    return [value[6:42].decode() for value in values]


def test_every_value_of_meta_xml1_xml2_and_xml3_arrives_as_it_was():
    event = next(event for event in claims(3, 20) if event.get("xml2") and event.get("xml3"))
    decoded = columns_of([event])
    row = decoded.claims.row(0, named=True)
    meta, revision = event["meta"], event["meta"]["revision"]
    assert (row["event_id"], row["facility"], row["key"]) == (meta["event_id"], meta["facility"], meta["key"])
    assert (row["version"], row["stated_at"], row["received_at"]) == (
        revision["version"],
        revision["stated_at"],
        revision["received_at"],
    )
    assert row["source_sender"] == "simulation"
    assert {name: row[f"xml1_{name}" if name in ("ma_lk", "ma_cskcb") else name] for name in event["xml1"]} == event["xml1"]
    for table in ("xml2", "xml3"):
        lines = decoded.lines.filter(pl.col("table") == table.upper()).to_dicts()
        assert [{name: line[name] for name in sent} for line, sent in zip(lines, event[table], strict=True)] == event[table]


def test_claims_without_lines_have_no_rows_among_the_lines():
    decoded = columns_of([claim() | {"xml2": [], "xml3": []}, claim()])
    assert decoded.claims.height == 2
    assert set(decoded.lines.get_column("row").to_list()) == {1}


def test_an_empty_batch_is_empty_columns():
    decoded = decode_claims([], writers)
    assert (decoded.claims.height, decoded.lines.height, decoded.culprits) == (0, 0, {})
    assert "t_bhtt" in decoded.claims.columns and "don_gia_bh" in decoded.lines.columns


def damaged(kind, value, chance):
    body = bytearray(value)
    place = chance.randrange(45, len(body))
    if kind == "truncated":
        del body[place:]
    elif kind == "surplus":
        body += os.urandom(chance.randrange(1, 50))
    elif kind == "inserted":
        body[place:place] = os.urandom(3)
    elif kind == "noise":
        body[5:] = os.urandom(2000)
    elif kind == "huge length":
        body[place : place + 10] = b"\xff" * 9 + b"\x01"
    else:
        body[place] ^= 1 << chance.randrange(8)
    return bytes(body)


@pytest.mark.parametrize("kind", ["truncated", "surplus", "noise"])
@pytest.mark.parametrize("place", [0, 5, 11])
def test_a_damaged_body_is_named_and_costs_only_itself(kind, place):
    values = list(GOOD)
    values[place] = damaged(kind, values[place], random.Random(place))
    decoded = decode_claims(values, writers)
    assert decoded.culprits == {place: "BODY_UNDECODABLE"}
    assert decoded.claims.get_column("event_id").to_list() == [one for row, one in enumerate(ids(GOOD)) if row != place]
    assert set(decoded.lines.get_column("row").to_list()) <= set(range(12)) - {place}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 11), st.sampled_from(["truncated", "surplus", "inserted", "noise", "huge length", "flipped"])), max_size=4),
    st.integers(0, 2**32),
)  # fmt: skip
def test_whatever_is_damaged_the_others_are_read_and_the_verdict_does_not_depend_on_company(damages, seed):
    chance, values = random.Random(seed), list(GOOD)
    for place, kind in damages:
        values[place] = damaged(kind, values[place], chance)
    decoded = decode_claims(values, writers)
    touched = {place for place, _ in damages}
    read = set(decoded.claims.get_column("row").to_list())
    assert read | set(decoded.culprits) == set(range(12)) and not read & set(decoded.culprits)
    assert set(decoded.culprits) <= touched
    for place in touched:
        assert decode_claims([values[place]], writers).culprits == ({0: "BODY_UNDECODABLE"} if place in decoded.culprits else {})


def test_a_batch_of_nothing_but_damage_ends():
    decoded = decode_claims([damaged("surplus", value, random.Random(1)) for value in GOOD], writers)
    assert set(decoded.culprits) == set(range(12)) and decoded.claims.height == 0


def test_a_value_without_our_prefix_or_of_an_unknown_schema_is_a_culprit():
    decoded = decode_claims([None, b"", b"\1abcdefg", b"\0\0\0\0\x63" + GOOD[0][5:], GOOD[1]], writers)
    assert set(decoded.culprits) == {0, 1, 2, 3}
    assert decoded.claims.get_column("row").to_list() == [4]


def test_a_registry_that_does_not_answer_stops_the_batch_instead_of_condemning_it():
    def down(_schema_id):
        raise HubError("REGISTRY_UNAVAILABLE", "registry")

    with pytest.raises(HubError, match="REGISTRY_UNAVAILABLE"):
        decode_claims(GOOD, down)


def test_a_number_beyond_its_declared_precision_is_a_culprit_not_a_ledger_that_is_stuck():
    wide = claim()
    wide["xml1"]["t_bhtt"] = Decimal("1.00")
    body = bytearray(encode("hie.Claim", wide))
    narrow = encode("hie.Claim", wide | {"xml1": wide["xml1"] | {"t_bhtt": None}})
    start = next(place for place in range(len(narrow)) if body[place] != narrow[place])
    assert bytes(body[start : start + 3]) == b"\x02\x02\x64"  # second branch, one byte, 100
    body[start : start + 3] = b"\x02\x14" + b"\x7f" * 10  # ten bytes: 24 digits
    decoded = decode_claims([GOOD[0], PREFIX + bytes(body)], writers)
    assert decoded.culprits == {1: "BODY_UNDECODABLE"}


def test_bodies_of_an_older_schema_take_defaults_by_name():
    older = schema("hie.Claim") | {
        "fields": [field for field in schema("hie.Claim")["fields"] if field["name"] not in ("payer", "xml15")]
    }
    parsed = parse_schema(older)
    event = claim()

    def known(schema_id):
        return ("hie.Claim", parsed if schema_id == 8 else None)

    buffer = io.BytesIO()
    schemaless_writer(buffer, parsed, event | {"signature": b""})
    assert schemaless_reader(io.BytesIO(buffer.getvalue()), parsed)["ma_lk"] == event["ma_lk"]
    old = b"\0\0\0\0\x08" + buffer.getvalue()
    decoded = decode_claims([GOOD[0], old, GOOD[1]], known)
    assert decoded.culprits == {}
    assert decoded.claims.get_column("event_id").to_list() == [ids(GOOD)[0], event["meta"]["event_id"], ids(GOOD)[1]]
    assert decoded.claims.get_column("payer").to_list()[1] == ""


def test_a_block_that_takes_too_long_is_read_one_by_one(monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(columns, "_LIMIT_S", 0.0)
    monkeypatch.setattr(columns, "_LIMIT_PER_BODY_S", 0.001)
    monkeypatch.setattr(columns, "_first_rows", lambda *_: release.wait(60))
    broken = damaged("truncated", GOOD[3], random.Random(2))
    decoded = decode_claims([*GOOD[:3], broken], writers)
    release.set()
    assert decoded.claims.get_column("event_id").to_list() == ids(GOOD)[:3]
    assert decoded.culprits == {3: "BODY_UNDECODABLE"}


def test_one_by_one_gives_the_same_columns_as_the_block(monkeypatch):
    by_block = decode_claims(GOOD, writers)
    monkeypatch.setattr(columns._Block, "read", lambda *_: (_ for _ in ()).throw(TimeoutError))
    one_by_one = decode_claims(GOOD, writers)
    assert one_by_one.claims.equals(by_block.claims)
    keys = ["row", "table", "stt"]
    assert one_by_one.lines.sort(keys).equals(by_block.lines.sort(keys))
