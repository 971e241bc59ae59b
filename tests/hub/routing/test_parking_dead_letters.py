"""`hie dead`, on a real Kafka and the real case index: what is open, one letter, given back to its topic, closed."""

import json
import time
import uuid

import pytest
from confluent_kafka import TopicPartition
from typer.testing import CliRunner

from hub.bus import Out, Producer, consumer, read_at
from hub.cli.main import app
from hub.contract.directory import Facility, facilities
from hub.contract.errors import HubError
from hub.contract.events import now
from hub.journal.consumer import index
from hub.routing import parking
from hub.routing.record import Record, headers_of
from hub.store.database import connect
from tests.hub.routing.story import DISTRICT, KEYRING, STREAMS, claim, referral
from tests.hub.routing.test_claims import decision

NEW, LIMIT_S = "01998", 60


@pytest.fixture
def producer(routing_settings):
    made = Producer(routing_settings.kafka, wait_s=30)
    yield made
    made.close()


@pytest.fixture
def database(routing_settings):
    with connect(routing_settings.database_url.get_secret_value()) as opened:
        opened.execute("truncate journal_dead_letter, journal_event, journal_offset")
        opened.commit()
        yield opened


@pytest.fixture
def read(routing_settings):
    """The records of a topic that were written since the test began, once there are so many."""
    began = time.time() * 1000 - 1

    def some(topic, count):
        reader = consumer(routing_settings.kafka, f"test-{uuid.uuid4()}", [topic])
        found, deadline = [], time.monotonic() + LIMIT_S
        while len(found) < count and time.monotonic() < deadline:
            found += [one for one in reader.consume(1000, 0.2) if one.error() is None and one.timestamp()[1] >= began]
        reader.close()
        assert len(found) == count
        return found

    return some


@pytest.fixture
def untouched(routing_settings):
    """Whether nothing was written to a topic since the test began."""

    def ends(topic):
        reader = consumer(routing_settings.kafka, f"test-{uuid.uuid4()}")
        try:
            return [reader.get_watermark_offsets(TopicPartition(topic, number), timeout=30)[1] for number in range(12)]
        finally:
            reader.close()

    before = ends("referral.v1")
    return lambda: ends("referral.v1") == before


@pytest.fixture
def hie(routing_settings, monkeypatch):
    monkeypatch.setenv("HIE_REGISTRY_URL", routing_settings.registry_url)
    for name in ("kafka_bootstrap", "database_url", "key_secret"):
        monkeypatch.setenv(f"HIE_{name.upper()}", getattr(routing_settings, name).get_secret_value())

    def command(*argv):
        done = CliRunner().invoke(app, ["dead", *argv], catch_exceptions=False)
        assert done.exit_code == 0
        return done.stdout

    return command


@pytest.fixture
def buried(new_hub, producer, database, read, wire):
    """A hub, and a function that puts its dead letters into the real topic and into the index; they must be so many by then."""
    hub = new_hub()

    def bury(count):
        letters = [event for topic, event in hub.others if topic == "dead-letter.v1"]
        hub.others.clear()
        producer.publish_blocking(
            [Out("dead-letter.v1", one["key"].decode(), wire.pack("dead-letter.v1", one)) for one in letters]
        )
        index(database, wire, read("dead-letter.v1", count), {})
        database.commit()
        return hub

    return hub, bury


def routed(hub, messages):
    """What was given back to a topic goes through the hub."""
    for one in messages:
        headers = headers_of(one.headers())
        hub.remembered.values[one.topic(), one.partition(), one.offset()] = one.value()
        hub.route(one.topic(), [Record(one.topic(), one.partition(), one.offset(), one.key(), one.value(), headers)])


def audited(read, wire, count):
    return [(one["action"], one["reason"]) for one in (wire.unpack(message.value())[1] for message in read("audit.v1", count))]


def test_what_was_given_up_is_listed_shown_and_given_back_to_its_place(buried, database, read, wire, hie, untouched):
    hub, bury = buried
    slip = referral(slip=f"D{uuid.uuid4().hex[:8]}", to=NEW)
    key = slip["meta"]["key"]
    hub.send(("hie.Referral", slip))
    ask = {"by": "somebody", "reason": "test"}
    parking.discard(database, hub.published, wire, STREAMS["referral.v1"], key, KEYRING, **ask)
    hub.follow()
    bury(1)

    [row] = json.loads(hie("list", "--json"))
    assert (row["code"], row["stage"], row["topic"], row["letters"]) == ("EVENT_UNROUTABLE", "routing", "referral.v1", 1)
    [letter] = row["ids"]
    assert letter in hie("list")
    shown = hie("show", letter)
    assert "can be read today" in shown
    assert not {"Người Thử", "001090000001"} & set(shown.replace(",", " ").split()) and "Người" not in shown
    assert "Người Thử" in hie("show", letter, "--body")
    assert audited(read, wire, 1) == [("dead-show-body", "")]

    assert "--yes does it" in hie("redrive", letter, "--reason", "facility added")
    assert untouched()
    known = facilities()
    known[NEW] = Facility(NEW, "", "", "basic", "hospital", "01", "_standard", known[DISTRICT].valid_from, None)
    try:
        hie("redrive", letter, "--reason", "facility added", "--yes")
        routed(hub, read("referral.v1", 1))
    finally:
        known.pop(NEW)
    assert [one["subject_event_id"] for one in hub.deliveries.values() if one["recipient"] == NEW] == [slip["meta"]["event_id"]]
    assert parking.waiting(database) == []
    assert sorted(audited(read, wire, 2)) == [("dead-redrive", "facility added"), ("dead-show-body", "")]
    index(database, wire, read("dead-letter.v1", 2), {})
    database.commit()
    assert json.loads(hie("list", "--json")) == []
    assert "none of them is open" in hie("redrive", letter, "--reason", "again", "--yes")

    hub.send(("hie.Referral", referral(slip=slip["slip"], to=NEW, minute=9)))  # the same said again is a repeat, as ever
    assert "repeat" in {one["rule"] for one in hub.deliveries.values()}


def test_a_decision_that_came_before_its_claim_is_decided_anew_and_once(buried, database, read, hie):
    hub, bury = buried
    sent = claim(f"C{uuid.uuid4().hex[:8]}")
    early = decision(sent)
    topic = "payer.vss.decision.v1"
    out = Out(topic, early["meta"]["key"], hub.router.wire.pack(topic, early))
    hub.route(topic, [hub.record(topic, out)])
    bury(1)
    hub.send(("hie.Claim", sent))
    hie("redrive", "--code", "DECISION_MISMATCH", "--reason", "the claim has come", "--yes")
    [again] = read(topic, 1)
    hub.others.clear()
    for _ in range(2):
        routed(hub, [again])
    passed = {event["meta"]["event_id"] for name, event in hub.others if name == "claim-decision.v1"}
    assert len(passed) == 1
    assert (DISTRICT, "decision-to-facility") in hub.addressed()


def test_what_was_given_back_too_early_has_its_effect_when_it_is_given_back_again(buried, database, read, hie):
    hub, bury = buried
    sent = claim(f"C{uuid.uuid4().hex[:8]}")
    early, topic = decision(sent), "payer.vss.decision.v1"
    hub.route(topic, [hub.record(topic, Out(topic, early["meta"]["key"], hub.router.wire.pack(topic, early)))])
    bury(1)
    hie("redrive", "--code", "DECISION_MISMATCH", "--reason", "too early", "--yes")
    routed(hub, read(topic, 1))
    bury(3)  # the first one, its end, and the second
    hub.send(("hie.Claim", sent))
    hie("redrive", "--code", "DECISION_MISMATCH", "--reason", "the claim has come", "--yes")
    routed(hub, read(topic, 2)[1:])
    assert (DISTRICT, "decision-to-facility") in hub.addressed()


def test_what_fails_again_is_a_new_letter_and_what_is_discarded_is_closed(buried, database, read, hie, wire):
    hub, bury = buried
    hub.route("referral.v1", [hub.record("referral.v1", Out("referral.v1", "k", b"no Avro"))])
    bury(1)
    [first] = json.loads(hie("list", "--json"))[0]["ids"]
    assert "cannot be read today either" in hie("redrive", first, "--reason", "test")
    hie("redrive", first, "--reason", "test", "--yes")
    routed(hub, read("referral.v1", 1))
    bury(3)  # the first one, its end, and what came of it
    [row] = json.loads(hie("list", "--json"))
    [second] = row["ids"]
    assert second != first
    assert "6e6f204176726f" in hie("show", second, "--body").replace("\n", "")
    assert "--yes does it" in hie("discard", second, "--reason", "junk")
    hie("discard", second, "--reason", "junk", "--yes")
    bury(4)
    assert json.loads(hie("list", "--json")) == []
    states = database.execute("select state from journal_dead_letter order by recorded_at").fetchall()
    assert states == [("REDRIVEN",), ("DISCARDED",)]


def test_a_letter_is_translated_again_where_its_message_is_known(buried, database, read, wire, hie, untouched):
    hub, bury = buried
    slip = referral(slip=f"D{uuid.uuid4().hex[:8]}", to=NEW)
    hub.send(("hie.Referral", slip))
    place = next(place for place, value in hub.remembered.values.items() if value == wire.pack("referral.v1", slip))
    parking.discard(database, hub.published, wire, STREAMS["referral.v1"], slip["meta"]["key"], KEYRING, by="x", reason="test")
    hub.follow()
    bury(1)
    message = str(uuid.uuid4())
    row = (slip["meta"]["event_id"], *place, message, now())
    database.execute(
        "insert into journal_event values (%s, %s, %s, %s, 'hie.Referral', %s, '', '', '', '', '', '{}', %s, false)", row
    )
    database.commit()
    hie("redrive", "--code", "EVENT_UNROUTABLE", "--reason", "dialect mended", "--translate", "--yes")
    [asked] = [wire.unpack(one.value())[1] for one in read("replay.v1", 1)]
    assert asked["message_ids"] == [message]
    assert (asked["sender"], asked["facility"], asked["from_at"]) == ("", "", None)
    assert untouched()


def test_a_letter_whose_bytes_are_gone_holds_up_no_other(buried, database, read, hie, wire, monkeypatch):
    """Neither topic nor archive has it any more; then the archive does."""
    hub, bury = buried
    for body in (b"gone", b"kept"):
        hub.route("referral.v1", [hub.record("referral.v1", Out("referral.v1", "k", body))])
    bury(2)
    ids = [str(row[0]) for row in database.execute("select id from journal_dead_letter order by record_offset").fetchall()]
    place = database.execute(
        "select letter_partition, letter_offset from journal_dead_letter where id = %s", (ids[0],)
    ).fetchone()
    [bytes_gone] = [one.value() for one in read("dead-letter.v1", 2) if (one.partition(), one.offset()) == place]

    def kept(_bootstrap, places):
        if ("dead-letter.v1", *place) in places:
            raise HubError("NOT_FOUND", "dead-letter.v1")
        return read_at(_bootstrap, places)

    monkeypatch.setattr("hub.journal.dead_letters.read_at", kept)
    monkeypatch.setattr("hub.journal.older.Older.value", lambda _self, *_place: None)
    assert "kept no more" in " ".join(hie("show", ids[0]).split())
    told = " ".join(hie("redrive", *ids, "--reason", "test", "--yes").split())
    assert "kept no more" in told and "1 redriven" in told
    with monkeypatch.context() as archive:
        archive.setattr("hub.journal.older.Older.value", lambda _self, *_place: bytes_gone)
        assert "1 would be redriven" in hie("redrive", ids[0], "--reason", "test")
    hie("discard", ids[0], "--reason", "test", "--yes")
    index(database, wire, read("dead-letter.v1", 4), {})
    states = database.execute("select id::text, state from journal_dead_letter").fetchall()
    database.commit()
    assert dict(states) == {ids[0]: "DISCARDED", ids[1]: "REDRIVEN"}
