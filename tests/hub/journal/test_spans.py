"""Traces of messages at a real OTLP collector: what they tell and what not, whose they are, and that no collector disturbs the index."""

import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from prometheus_client.parser import text_string_to_metric_families

from adapters.outbound.receipts import Change, receipt_of
from hub.bus import Producer
from hub.contract import telemetry
from hub.contract.events import derive, now
from hub.journal import consumer
from hub.journal.consumer import Journal, index
from hub.journal.spans import Spans
from hub.journal.trace import trace
from tests.collector import collecting, told
from tests.made import delivery, out, received, referral
from tests.personal import found_in

RECEIVED = "message-received.v1"


@contextmanager
def telling(endpoint, share=1.0, **more):
    spans = Spans(endpoint, share, **more)
    try:
        yield spans
    finally:
        spans.close()


@pytest.fixture
def collector():
    with collecting() as one:
        yield one


@pytest.fixture
def spans(collector):
    with telling(collector.endpoint) as made:
        yield made


@pytest.fixture
def begun():
    """When the message of a story came: a moment ago, to the millisecond that Kafka keeps."""
    at = now() - timedelta(minutes=1)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def story(log, at):
    """A message, its referral, the delivery of that, and what became of it: topic, record and when it was written."""
    message = received(at=at)
    event = referral(message)
    sent = delivery(log.wire, "hie.Referral", event, "01021")
    change = Change(UUID(sent["meta"]["event_id"]), "01021", "01731", message["message_id"], False, "", "", "pull", at)
    receipts = [
        receipt_of(replace(change, state=state, at=at + timedelta(seconds=seconds), code=code))
        for state, seconds, code in (("QUEUED", 3, ""), ("REFUSED", 9, "RECIPIENT_REFUSED"))
    ]
    return message, [
        (RECEIVED, message, at + timedelta(milliseconds=250)),
        ("referral.v1", event, at + timedelta(milliseconds=240)),
        ("delivery.v1", sent, at + timedelta(seconds=2)),
        *(("receipt.v1", one, one["at"]) for one in receipts),
    ]


def read(database, log, records, spans):
    index(database, log.wire, [log.event(topic, one, at) for topic, one, at in records], {}, spans)


def until(what):
    deadline = time.monotonic() + 30
    while not what():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def counted():
    [family] = [one for one in text_string_to_metric_families(telemetry.metrics().decode()) if one.name == "hie_trace_spans"]
    return {sample.labels["answer"]: sample.value for sample in family.samples}


def milliseconds(span, begun):
    since = int(begun.timestamp() * 1000)
    return span.start_time_unix_nano // 1_000_000 - since, span.end_time_unix_nano // 1_000_000 - since


def test_a_message_is_one_trace_with_a_span_for_each_stage(database, log, collector, spans, begun):
    message, records = story(log, begun)
    read(database, log, records, spans)
    until(lambda: len(collector.of(message["message_id"])) == 5)
    found = collector.of(message["message_id"])
    assert [(one.name, milliseconds(one, begun)) for one in found] == [
        ("translated", (0, 240)),
        ("received", (0, 250)),
        ("routed", (240, 2000)),
        ("queued", (2000, 3000)),
        ("refused", (2000, 9000)),
    ]
    translated, root, routed, queued, refused = found
    assert root.parent_span_id == b"" and translated.parent_span_id == root.span_id
    assert routed.parent_span_id == translated.span_id
    assert queued.parent_span_id == refused.parent_span_id == routed.span_id
    assert len({one.span_id for one in found}) == 5
    assert {step.id for step in trace(database, root.trace_id.hex()).steps} >= {message["message_id"]}, "`hie trace` takes it"
    assert [one.name for one in found if one.status.code == Status.STATUS_CODE_ERROR] == ["refused"]
    assert [told(one) for one in (root, translated, routed, refused)] == [
        {
            "hie.sender": "minhkhai",
            "hie.facility": "01731",
            "hie.transport": "mllp",
            "hie.outcome": "translated",
            "hie.test": False,
        },
        {"hie.record": "hie.Referral", "hie.facility": "01731", "hie.test": False},
        {
            "hie.record": "hie.Referral",
            "hie.recipient": "01021",
            "hie.rule": "referral-to-receiver",
            "hie.lane": "routine",
            "hie.test": False,
        },
        {"hie.outcome": "REFUSED", "hie.channel": "pull", "hie.code": "RECIPIENT_REFUSED"},
    ]


def test_a_trace_is_the_same_in_whatever_batches_it_is_read(database, log, collector, spans, begun):
    message, records = story(log, begun)
    for one in records:
        read(database, log, [one], spans)
    until(lambda: len(collector.of(message["message_id"])) == 5)
    ids = {one.span_id for one in collector.of(message["message_id"])}
    assert {one.parent_span_id for one in collector.of(message["message_id"])} <= {b"", *ids}


def test_what_was_derived_is_under_its_cause_and_what_nobody_gets_says_why(database, log, collector, spans, begun):
    message, [first, (topic, event, at), *_] = story(log, begun)
    arrived = derive(
        "hie.Referral",
        {name: value for name, value in event.items() if name != "meta"} | {"action": "ARRIVED"},
        parents=[event],
        rule="referral-arrived",
        facility="01021",
        key=event["meta"]["key"],
        revision=event["meta"]["revision"],
    )
    nobody = delivery(log.wire, "hie.Referral", arrived, "", rule="nobody-action")
    later = [at + timedelta(seconds=seconds) for seconds in (1, 2)]
    read(database, log, [first, (topic, event, at), (topic, arrived, later[0]), ("delivery.v1", nobody, later[1])], spans)
    until(lambda: len(collector.of(message["message_id"])) == 4)
    translated, _root, derived, unaddressed = collector.of(message["message_id"])
    assert (derived.name, derived.parent_span_id, told(derived)["hie.rule"]) == (
        "derived",
        translated.span_id,
        "referral-arrived",
    )
    assert (unaddressed.name, unaddressed.parent_span_id, told(unaddressed)["hie.rule"]) == (
        "nobody",
        derived.span_id,
        "nobody-action",
    )


def test_a_dead_letter_and_what_became_of_it_are_in_the_trace_of_its_message(database, log, collector, spans, begun):
    message, [first, (topic, event, at), *_] = story(log, begun)
    event_record = log.event(topic, event, at)
    letter = {
        "id": str(uuid4()),
        "at": at + timedelta(seconds=1),
        "stage": "routing",
        "code": "BODY_UNDECODABLE",
        "topic": topic,
        "partition": 0,
        "offset": event_record.offset(),
    }
    closed = letter | {"at": at + timedelta(seconds=20), "state": "REDRIVEN"}
    letters = [log.event("dead-letter.v1", one) for one in (letter, closed)]
    index(database, log.wire, [log.event(*first), event_record, *letters], {}, spans)
    until(lambda: len(collector.of(message["message_id"])) == 4)
    translated, _root, dead, redriven = collector.of(message["message_id"])
    assert [(one.name, one.parent_span_id, one.status.code) for one in (dead, redriven)] == [
        ("dead-letter", translated.span_id, Status.STATUS_CODE_ERROR),
        ("redriven", translated.span_id, Status.STATUS_CODE_UNSET),
    ]
    assert told(dead) == {"hie.stage": "routing", "hie.code": "BODY_UNDECODABLE"}


def test_nothing_that_a_message_says_is_told(database, log, collector, spans, begun):
    """Not even where a sender has shifted its fields, and a name stands where the facility should."""
    name, number = "Trần Thị Mai", "001185004321"
    message, records = story(log, begun)
    shifted = received(
        name,
        verdict="refused",
        at=begun,
        message_type=name,
        control_id=number,
        problems=[{"code": "FIELD_MISSING", "severity": "E", "path": name}],
    )
    read(database, log, [*records, (RECEIVED, shifted, begun)], spans)
    until(lambda: len(collector.spans) == 6)
    [span] = collector.of(shifted["message_id"])
    assert (span.status.code, told(span)) == (
        Status.STATUS_CODE_ERROR,
        {
            "hie.sender": "minhkhai",
            "hie.transport": "mllp",
            "hie.outcome": "refused",
            "hie.code": "FIELD_MISSING",
            "hie.test": False,
        },
    )
    event, sent = records[1][1], records[2][1]
    secrets = [event["meta"]["key"], event["slip"], event["person"]["ho_ten"], "19800304", message["control_id"], sent["body"]]
    for body in collector.bodies:
        assert not found_in(body)
        for secret in secrets:
            assert (secret if isinstance(secret, bytes) else secret.encode()) not in body


def test_a_share_of_messages_is_told_with_all_their_spans(database, log, collector, begun):
    stories = [story(log, begun) for _ in range(400)]
    with telling(collector.endpoint, 0.25) as some:
        for start in (0, 1):  # half of each story is read with the first half of all others
            read(database, log, [one for _, records in stories for one in records[start::2]], some)
    counts = [len(collector.of(message["message_id"])) for message, _ in stories]
    assert set(counts) == {0, 5}
    assert 60 <= counts.count(5) <= 140
    with telling(collector.endpoint, 0) as none:
        before = len(collector.spans)
        read(database, log, story(log, begun)[1], none)
    assert len(collector.spans) == before


def test_a_message_event_or_delivery_that_is_read_again_makes_no_second_span(database, log, collector, begun):
    """What was recorded once more, by a sweep or a replay; and what is old, as a journal that is built anew reads it."""
    _message, [*records, _queued, _refused] = story(log, begun)
    old, of_old = story(log, begun - timedelta(hours=2))
    with telling(collector.endpoint) as spans:
        read(database, log, records, spans)
        read(database, log, of_old, spans)
        again = [(topic, one, at + timedelta(seconds=30)) for topic, one, at in records]
        read(database, log, [*again, (RECEIVED, old, begun)], spans)
    assert sorted(one.name for one in collector.spans) == ["received", "routed", "translated"]


def test_a_receipt_that_a_later_batch_has_again_is_told_again_as_the_same_span(database, log, collector, begun):
    message, records = story(log, begun)
    with telling(collector.endpoint) as spans:
        read(database, log, records, spans)
        read(database, log, records[-1:], spans)
    [first, again] = [one for one in collector.of(message["message_id"]) if one.name == "refused"]
    assert (first.span_id, first.end_time_unix_nano) == (again.span_id, again.end_time_unix_nano)


def test_what_one_batch_has_twice_is_told_once(database, log, collector, spans, begun):
    message, records = story(log, begun)
    messages = [log.event(topic, one, at) for topic, one, at in [*records, *records]]
    index(database, log.wire, messages, {}, spans)
    until(lambda: len(collector.of(message["message_id"])) >= 5)
    assert sorted(one.name for one in collector.spans) == ["queued", "received", "refused", "routed", "translated"]


def test_what_has_no_message_has_no_trace(database, log, collector, begun):
    audit = {"id": str(uuid4()), "at": begun, "by": "mai", "action": "release", "target": "x", "reason": "y", "outcome": "done"}
    with telling(collector.endpoint) as spans:
        index(database, log.wire, [log.event("audit.v1", audit, begun), log.value("referral.v1", b"junk")], {}, spans)
    assert collector.spans == []


def test_a_dead_collector_costs_spans_and_nothing_else(database, log, begun, capsys):
    with socket.socket() as taken:  # bound and not listening: whoever calls is turned away
        taken.bind(("127.0.0.1", 0))
        before = counted()
        with telling(f"http://127.0.0.1:{taken.getsockname()[1]}") as spans:
            read(database, log, story(log, begun)[1], spans)
            assert counted().get("failed", 0) == before.get("failed", 0), "the index does not wait for its answer"
            assert database.execute("select count(*) from journal_receipt").fetchone() == (2,)
            until(lambda: counted().get("failed", 0) == before.get("failed", 0) + 5)
    assert counted().get("sent", 0) == before.get("sent", 0)
    assert "spans_lost" in "".join(capsys.readouterr())


def test_a_slow_collector_costs_what_its_queue_does_not_hold(database, log, collector, begun):
    collector.hold.clear()
    before = counted()
    with telling(collector.endpoint, waiting_max=10) as spans:
        for _ in range(10):
            read(database, log, story(log, begun)[1], spans)
        assert counted()["full"] > before.get("full", 0)
        collector.hold.set()
        until(lambda: sum(counted().values()) == sum(before.values()) + 50)
    assert 0 < len(collector.spans) < 50


def test_a_collector_that_refuses_is_not_asked_again(database, log, collector, spans, begun):
    collector.answer = 400
    before = counted().get("failed", 0)
    read(database, log, story(log, begun)[1], spans)
    until(lambda: counted().get("failed", 0) == before + 5)


def test_without_a_collector_nothing_of_it_is_loaded():
    code = "import sys, hub.journal.consumer; sys.exit(any(name.startswith('opentelemetry.sdk') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
    assert Journal.__dataclass_fields__["spans"].default is None


def test_the_service_tells_what_it_reads(database, own_settings, wire, log, collector, monkeypatch):
    settings = own_settings.model_copy(update={"otlp_endpoint": collector.endpoint, "otlp_share": 1.0})
    made = []
    monkeypatch.setattr(consumer, "Journal", lambda given: made.append(Journal(given)) or made[0])
    ready = threading.Event()
    service = threading.Thread(target=consumer.run, args=(settings, lambda _facts: ready.set()))
    service.start()
    try:
        assert ready.wait(60)
        message = received(at=now())
        producer = Producer(settings.kafka, wait_s=30)
        producer.publish_blocking([out(wire, "referral.v1", referral(message)), out(wire, RECEIVED, message)])
        producer.close()
        until(lambda: len(collector.of(message["message_id"])) == 2)
    finally:
        made[0].stop.set()
        service.join(60)
    assert not service.is_alive()
    assert not any(thread.name == "spans" and thread.is_alive() for thread in threading.enumerate())
