"""What is exported is what the fund pays, and our own door takes it again as the same claim."""

import csv
import time
from datetime import UTC, datetime

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from adapters.dialects.render import as_xml
from adapters.inbound.received import Received
from adapters.inbound.translate import translate
from hub.bus import Out, Producer
from hub.contract.directory import payers
from hub.contract.errors import HubError
from hub.contract.events import Keyring, decode
from hub.contract.kafka import client
from hub.contract.places import shipped
from hub.insurer import export as module
from hub.insurer.export import INDEX, export, from_topic
from hub.insurer.ledger import Ledger
from hub.insurer.totals import totals_of
from hub.insurer.views import opened
from hub.routing.projections import project
from tests.hub.insurer.made import PREFIX, batch, values_of
from tests.hub.insurer.small_ledger import DRUG, RULES, TOPIC_ID, adjust, small_ledger, stated

KEYRING = Keyring(b"a secret of tests only")
AT = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def unpack(value):
    return decode("hie.Claim", value[len(PREFIX) :])


def as_envelope(claim):
    return as_xml("hie.Claim", claim)


def stream(events):
    """The topic, as one partition of these events."""
    values = values_of(events)
    return lambda partition, offsets: ((offset, values[offset]) for offset in offsets if offset < len(values))


def exported(folder, out, events, **asked):
    found = export(folder, out, read=stream(events), unpack=unpack, write=as_envelope, **asked)
    with (out / INDEX).open(encoding="utf-8", newline="") as file:
        return found, list(csv.DictReader(file))


def taken(path):
    """The claims that our door makes of a file."""
    found = translate(Received(path.read_bytes(), AT, "http"), KEYRING)
    assert found.verdict == "translated"
    return [event for record, event in found.events if record == "hie.Claim"]


def test_accepted_and_reduced_claims_in_force_are_exported_one_a_file(tmp_path):
    events = small_ledger(tmp_path / "ledger")
    found, index = exported(tmp_path / "ledger", tmp_path / "out", events)
    assert (found.written, found.gone) == (6, ())
    assert sorted((row["ma_lk"], row["verdict"], row["t_bhtt"], row["t_bhtt_gd"]) for row in index) == [
        ("corrected", "ACCEPTED", "24000.00", "24000.00"),
        ("cut", "REDUCED", "32000.00", "24000.00"),
        ("december", "ACCEPTED", "24000.00", "24000.00"),
        ("elsewhere", "ACCEPTED", "24000.00", "24000.00"),
        ("inpatient", "ACCEPTED", "16000.00", "16000.00"),
        ("paid", "ACCEPTED", "24000.00", "24000.00"),
    ]
    files = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.xml")}
    assert files == {row["file"] for row in index}
    assert {name.partition("/")[0] for name in files} == {"01021", "01004"}
    assert {claim["ma_lk"] for name in files for claim in taken(tmp_path / "out" / name)} == {row["ma_lk"] for row in index}


def test_what_was_found_after_the_decisions_counts(tmp_path):
    events = small_ledger(tmp_path / "ledger")
    ids = {event["ma_lk"]: event["meta"]["event_id"] for event in events}
    adjust(
        tmp_path / "ledger",
        ("H03", ids["paid"], 5_000),
        ("H01", ids["elsewhere"], 24_000),
        ("H03", ids["december"], 9_000),
        ("H03", ids["december"], -9_000, "the one before"),
        ("R01", ids["cut"], -8_000),
        ("R01", ids["rejected"], -24_000),
        ("H03", "a revision that was corrected", 9_000),
    )
    _, index = exported(tmp_path / "ledger", tmp_path / "out", events)
    money = ("t_bhtt", "t_bhtt_gd", "adjusted", "payable")
    assert sorted((row["ma_lk"], row["verdict"], *(float(row[name]) for name in money)) for row in index) == [
        ("corrected", "ACCEPTED", 24_000, 24_000, 0, 24_000),
        ("cut", "ACCEPTED", 32_000, 24_000, -8_000, 32_000),
        ("december", "ACCEPTED", 24_000, 24_000, 0, 24_000),
        ("inpatient", "ACCEPTED", 16_000, 16_000, 0, 16_000),
        ("paid", "REDUCED", 24_000, 24_000, 5_000, 19_000),
        ("rejected", "ACCEPTED", 24_000, 0, -24_000, 24_000),
    ]
    with opened(tmp_path / "ledger") as database:
        assert sum(float(row["payable"]) for row in index) == totals_of(database)["payable"]


def test_a_month_and_a_facility_can_be_asked_for(tmp_path):
    events = small_ledger(tmp_path / "ledger")
    _, index = exported(tmp_path / "ledger", tmp_path / "out", events, month="2026-11", facility="01021")
    assert sorted(row["ma_lk"] for row in index) == ["corrected", "cut", "inpatient", "paid"]


def test_what_the_topic_has_no_more_is_told(tmp_path):
    events = small_ledger(tmp_path / "ledger")
    found, index = exported(tmp_path / "ledger", tmp_path / "out", events[:-1])
    assert (found.written, found.gone) == (5, (events[-1]["meta"]["event_id"],))
    assert len(index) == 5


def test_another_claim_at_the_place_is_not_taken_for_it(tmp_path):
    events = small_ledger(tmp_path / "ledger")
    found, index = exported(tmp_path / "ledger", tmp_path / "out", [events[1], *events[1:]])
    assert found.gone == (events[0]["meta"]["event_id"],)
    assert "paid" not in {row["ma_lk"] for row in index}


@pytest.mark.parametrize("name", ["10-claim-commune.xml", "12-claim-province.hl7", "15-claim-district-corrected.xml"])
def test_our_own_door_takes_an_exported_file_again_as_an_equal_event(tmp_path, name):
    """As the claim went: sent, translated, given to the payer, in its ledger, exported, sent once more."""
    [first] = taken(shipped("seeds/demo") / name)
    copy = project(first, payers()["vss"], "")
    Ledger(tmp_path / "ledger", TOPIC_ID).append(batch([copy], [(0, 0)], TOPIC_ID), {0: 1})
    found, [row] = exported(tmp_path / "ledger", tmp_path / "out", [copy])
    assert found.written == 1
    [again] = taken(tmp_path / "out" / row["file"])
    same = ("event_id", "facility", "key", "content_hash") if name.endswith(".xml") else ("facility", "key", "content_hash")
    assert [again["meta"][field] for field in same] == [first["meta"][field] for field in same]
    assert {name: part for name, part in again.items() if name != "meta"} == {
        name: part for name, part in first.items() if name != "meta"
    }


def test_of_two_topics_one_after_the_other_the_claim_that_stands_there_now_is_exported(tmp_path):
    old, new = stated("old", [DRUG]), stated("new", [DRUG])
    for topic_id, claim in (("topic-a", old), ("topic-b", new)):
        Ledger(tmp_path / "ledger", topic_id).append(batch([claim], [(0, 0)], topic_id, RULES), {0: 1})
    found, [row] = exported(tmp_path / "ledger", tmp_path / "out", [new])
    assert (row["ma_lk"], found.gone) == ("new", (old["meta"]["event_id"],))


# --- on real Kafka


@pytest.fixture
def topic(settings):
    name = f"test.export.{time.time_ns()}"
    admin = AdminClient(client(settings.kafka))
    admin.create_topics([NewTopic(name, 2, 1)])[name].result(30)
    producer = Producer(settings.kafka, wait_s=30)
    try:
        producer.publish_blocking(Out(name, "key", b"%d" % number, partition=1) for number in range(2_000))
    finally:
        producer.close()
    return name


def nothing_kept(*_place):
    return None


def test_wanted_offsets_are_read_in_runs_and_what_was_never_there_is_left_out(settings, topic, monkeypatch):
    monkeypatch.setattr(module, "_GAP", 100)
    read = from_topic(settings.kafka, topic, nothing_kept)
    wanted = [0, 1, 7, 90, 500, 1_998, 1_999, 2_000, 9_999]
    assert list(read(1, wanted)) == [(offset, b"%d" % offset) for offset in wanted[:7]]
    assert list(read(0, [0])) == []


def test_what_retention_took_comes_from_the_archive(settings, topic):
    place = TopicPartition(topic, 1, 100)
    admin = AdminClient(client(settings.kafka))
    admin.delete_records([place])[place].result(30)
    read = from_topic(settings.kafka, topic, lambda *place: b"kept" if place == (topic, 1, 99) else None)
    assert list(read(1, [98, 99, 100])) == [(99, b"kept"), (100, b"100")]


def test_silent_brokers_are_told(monkeypatch):
    monkeypatch.setattr(module, "_WAIT_S", 0.2)
    with pytest.raises(HubError, match="BROKER_UNAVAILABLE"):
        list(from_topic("127.0.0.1:9", "nowhere", nothing_kept)(0, [0]))
