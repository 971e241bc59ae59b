"""The bus, on a real broker and a real registry."""

import asyncio
import secrets
import uuid

import pytest
from confluent_kafka import Message
from confluent_kafka.admin import AdminClient, NewTopic

from hub.bus import LARGEST_BYTES, Out, Producer, Wire, apply_topics, consumer, dead_letter, event_out, read_at
from hub.contract.errors import HubError
from hub.contract.events import Keyring, Origin, now, stamp
from hub.contract.kafka import client
from hub.contract.topics import Topic, topics


@pytest.fixture(scope="module")
def wire(settings):
    made = Wire(settings.registry_url)
    apply_topics(settings.kafka, made)
    return made


@pytest.fixture
def producer(settings):
    made = Producer(settings.kafka, wait_s=20)
    yield made
    made.close()


def referral(slip):
    origin = Origin(str(uuid.uuid4()), now(), {"sender": "local"}, stated_at="20261123")
    content = {"action": "ISSUED", "slip": slip, "person": {}, "xml13": {}}
    return stamp("hie.Referral", content, facility="01021", business_key=slip, origin=origin, keyring=Keyring(b"k" * 16))


def read(settings, topic, ids, group=None):
    """Every record of the topic whose ce_id is asked for, until all were seen."""
    found: list[Message] = []
    reader = consumer(settings.kafka, group or f"test-{uuid.uuid4()}", [topic])
    try:
        for _ in range(600):
            found += [
                m for m in reader.consume(500, 0.1) if not m.error() and dict(m.headers() or []).get("ce_id", b"").decode() in ids
            ]
            if {dict(m.headers() or [])["ce_id"].decode() for m in found} == set(ids):
                return found
    finally:
        reader.close()
    raise AssertionError(f"{len(found)} of {len(ids)} records came")


def test_applying_topics_twice_creates_nothing_the_second_time(settings, wire):
    lines: list[str] = []
    assert apply_topics(settings.kafka, wire, lines.append) == 0
    assert len(lines) == len(topics())


@pytest.mark.parametrize("topic", list(topics()))
def test_what_this_release_wrote_is_read_as_its_own_however_the_registry_writes_names(wire, topic):
    record, writer = wire.writer(int.from_bytes(wire.prefix(topic)[1:]))
    assert (record, writer) == (topics()[topic].record, None)


def test_an_event_comes_back_as_it_was_sent_with_its_headers(settings, wire, producer):
    event = referral(str(uuid.uuid4()))
    asyncio.run(producer.publish([event_out(wire, "referral.v1", event)]))
    [message] = read(settings, "referral.v1", {event["meta"]["event_id"]})
    record, again = wire.unpack(message.value())
    assert record == "hie.Referral"
    assert again["meta"]["event_id"] == event["meta"]["event_id"]
    assert again["slip"] == event["slip"]
    assert message.key() == event["meta"]["key"].encode()
    headers = dict(message.headers() or [])
    assert headers["ce_type"] == b"hie.Referral"
    assert event["slip"].encode() not in b"".join(headers.values()) + message.key()


def test_records_of_one_key_keep_their_order(settings, wire, producer):
    slip = str(uuid.uuid4())
    events = [referral(slip) | {"reason": str(number)} for number in range(200)]
    for number, event in enumerate(events):
        event["meta"] = event["meta"] | {"event_id": f"{slip}-{number}"}
    asyncio.run(producer.publish([event_out(wire, "referral.v1", event) for event in events]))
    found = read(settings, "referral.v1", {event["meta"]["event_id"] for event in events})
    assert [wire.unpack(message.value())[1]["reason"] for message in found] == [str(number) for number in range(200)]


def test_a_record_can_be_read_again_by_its_place(settings, wire, producer):
    event = referral(str(uuid.uuid4()))
    asyncio.run(producer.publish([event_out(wire, "referral.v1", event)]))
    [message] = read(settings, "referral.v1", {event["meta"]["event_id"]})
    [again] = read_at(settings.kafka, [("referral.v1", message.partition(), message.offset())])
    assert again.value() == message.value()


def test_a_record_of_8_mib_passes(settings, wire, producer):
    event = referral(str(uuid.uuid4())) | {"reason": "x" * (8 * 1024 * 1024)}
    asyncio.run(producer.publish([event_out(wire, "referral.v1", event)]))
    [message] = read(settings, "referral.v1", {event["meta"]["event_id"]})
    assert len(message.value()) > 8 * 1024 * 1024


def test_a_record_too_large_for_any_topic_is_said_at_once():
    lonely = Producer("127.0.0.1:9", wait_s=1)
    try:
        with pytest.raises(HubError, match="BROKER_LIMIT"):
            asyncio.run(lonely.publish([Out("referral.v1", "k", b"x" * (LARGEST_BYTES + 1))]))
    finally:
        lonely.close()


def test_brokers_whose_topic_takes_less_say_so(settings, wire, producer):
    name = f"narrow-{uuid.uuid4()}"
    admin = AdminClient(client(settings.kafka))
    admin.create_topics([NewTopic(name, 1, 1, config={"max.message.bytes": "1000"})])[name].result(30)
    with pytest.raises(HubError, match="BROKER_LIMIT"):
        asyncio.run(producer.publish([Out(name, "k", secrets.token_bytes(5_000))]))


def test_without_a_broker_nothing_counts_as_published(wire):
    lonely = Producer("127.0.0.1:9", wait_s=1)
    try:
        with pytest.raises(HubError, match="BROKER_UNAVAILABLE"):
            asyncio.run(lonely.publish([event_out(wire, "referral.v1", referral("x"))]))
    finally:
        lonely.close()


def test_a_topic_that_is_not_there_is_not_published_to(settings):
    producer = Producer(settings.kafka, wait_s=2)
    try:
        with pytest.raises(HubError, match="BROKER_UNAVAILABLE"):
            asyncio.run(producer.publish([Out("no-such-topic", "k", b"v")]))
    finally:
        producer.close()


@pytest.mark.parametrize("value", [None, b"", b"\1\0\0\0\1x", b"\0\x7f\xff\xff\xff", b"\0\0\0"])
def test_what_is_not_ours_is_undecodable(wire, value):
    with pytest.raises(HubError, match="BODY_UNDECODABLE"):
        wire.unpack(value)


def test_a_dead_letter_keeps_the_bytes(settings, wire, producer):
    event = referral(str(uuid.uuid4()))
    asyncio.run(producer.publish([event_out(wire, "referral.v1", event)]))
    [message] = read(settings, "referral.v1", {event["meta"]["event_id"]})
    record, letter = wire.unpack(dead_letter(wire, "routing", "BODY_UNDECODABLE", message).value)
    assert record == "hie.DeadLetter"
    assert letter["body"] == message.value()
    assert (letter["topic"], letter["partition"], letter["offset"]) == ("referral.v1", message.partition(), message.offset())


def test_an_incompatible_schema_is_refused_with_the_reason(settings, wire, monkeypatch):
    name = f"grow-{uuid.uuid4()}"
    row = topics()["control.v1"]
    topic = Topic(name, row.record, row.key, 1, row.cleanup, 1, 1000, ("test",))
    wire.register(topic)
    monkeypatch.setattr(
        "hub.bus.schema_text", lambda _record: '{"type":"record","name":"hie.Control","fields":[{"name":"new","type":"string"}]}'
    )
    with pytest.raises(HubError, match="SCHEMA_INCOMPATIBLE") as refused:
        wire.register(topic)
    assert len(refused.value.where) > len(name) + 10


def test_a_registry_that_does_not_answer_is_said_to():
    with pytest.raises(HubError, match="REGISTRY_UNAVAILABLE"):
        Wire("http://127.0.0.1:9").prefix("claim.v1")


def test_a_topic_that_was_never_registered_says_what_to_do(wire, settings, monkeypatch):
    monkeypatch.setattr(
        "hub.bus.schema_text",
        lambda _record: '{"type":"record","name":"Never","namespace":"hie","fields":[{"name":"x","type":"int"}]}',
    )
    with pytest.raises(HubError, match=r"SCHEMA_INCOMPATIBLE.*hie topics apply"):
        Wire(settings.registry_url).prefix("claim.v1")
