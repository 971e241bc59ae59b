"""Envelopes beyond the size of a message: through the disk, within a bounded memory, all of it published or nothing."""

import asyncio
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from adapters.inbound import large_envelope, translate
from adapters.inbound.gate import MESSAGES, Gate
from adapters.inbound.raw_store import RawStore, raw_hash
from adapters.inbound.received import Received
from adapters.inbound.signers import Signers
from hub.bus import Producer, Wire
from hub.contract.errors import HubError
from hub.contract.events import Keyring, now
from tests.adapters.inbound.conftest import SECRET, Border
from tests.adapters.inbound.large_worker import envelope
from tests.signing import Owner

MIB = 1024 * 1024


@pytest.fixture
def make_gate(prepared, tmp_path):
    producers = []

    def make(bootstrap="", signers=translate.UNCHECKED):
        producers.append(Producer(bootstrap or prepared.kafka, wait_s=1 if bootstrap else 30))
        wire = Wire(prepared.registry_url)
        return Gate(producers[-1], wire, Keyring(SECRET.encode()), RawStore(tmp_path / "raw"), signers)

    yield make
    for producer in producers:
        producer.close()


async def _pieces(raw, size=65536):
    for at in range(0, len(raw), size):
        yield raw[at : at + size]


def accept(gate, raw, received_at=None, **more):
    async def run():
        reference = await gate.large.spool(_pieces(raw), 100 * MIB)
        return await gate.accept_large(Received(b"", received_at or gate.clock(), "http", **more), reference)

    return asyncio.run(run())


def test_a_claim_that_no_record_holds_refuses_the_envelope(make_gate, monkeypatch):
    def narrow(topic, _value):
        raise HubError("FRAME_TOO_LARGE", topic)

    monkeypatch.setattr(large_envelope, "check_size", narrow)
    done = accept(make_gate(), envelope(1, 2))
    [problem] = done.problems
    assert (done.verdict, done.message["events"], problem.code, problem.path) == ("refused", [], "FRAME_TOO_LARGE", "claim.v1")


def test_it_becomes_what_the_same_envelope_in_memory_becomes(make_gate, prepared):
    gate, at, raw = make_gate(), now(), envelope(1, 2, 3) + b"\n"
    small = translate.translate(Received(raw, at, "http"), Keyring(SECRET.encode()))
    with Border(prepared, 0, 0).new_records(MESSAGES, "claim.v1") as read:
        large = accept(gate, raw, at)
        records = read()
    [message] = [event for topic, event in records if topic == MESSAGES]
    claims = {event["meta"]["event_id"]: event for topic, event in records if topic == "claim.v1"}
    assert (message["raw"], message["raw_ref"], message["raw_size"]) == (b"", raw_hash(raw), len(raw))
    assert {**large.message, "raw": raw} == {**small.message, "raw_ref": raw_hash(raw)}
    assert (large.problems, large.verdict, large.ack) == (small.problems, small.verdict, small.ack)
    assert list(claims) == [made["event_id"] for made in message["events"]] or set(claims) == {
        made["event_id"] for made in message["events"]
    }
    for _, event in small.events:
        assert claims[event["meta"]["event_id"]]["meta"]["content_hash"] == event["meta"]["content_hash"]


@pytest.mark.parametrize(
    ("change", "code", "verdict"),
    [
        (lambda raw: raw[: raw.rindex(b"<HOSO>") + 100], "XML_MALFORMED", "quarantined"),
        (lambda raw: raw.replace(b"</GIAMDINHHS>", b"</GIAMDINHHS><more/>"), "XML_MALFORMED", "quarantined"),
        (lambda raw: b"<!DOCTYPE x>" + raw, "XML_FORBIDDEN", "quarantined"),
        (lambda raw: raw.replace(b"GIAMDINHHS", b"HOSOKHAC"), "FORMAT_UNKNOWN", "quarantined"),
        (lambda raw: raw.replace(b"<MACSKCB>01004", b"<MACSKCB>01021"), "FACILITY_NOT_ENTITLED", "refused"),
    ],
)
def test_of_one_that_breaks_off_or_is_refused_nothing_is_published_but_the_message(make_gate, prepared, change, code, verdict):
    raw = change(envelope(*range(10, 20)))
    with Border(prepared, 0, 0).new_records(MESSAGES, "claim.v1") as read:
        done = accept(make_gate(), raw, facilities=frozenset({"01004"}))
        records = read()
    assert [topic for topic, _ in records] == [MESSAGES]
    assert records[0][1]["verdict"] == done.verdict == verdict and records[0][1]["raw_ref"] == raw_hash(raw)
    assert code in [problem["code"] for problem in records[0][1]["problems"]] and records[0][1]["events"] == []


def test_events_go_in_batches_and_one_broken_hoso_holds_up_no_other(make_gate, prepared, monkeypatch):
    monkeypatch.setattr(large_envelope, "_BATCH", 3)
    raw = envelope(*range(20, 30)).replace(b"<HOSO>", b"<HOSO><FILEHOSO><LOAIHOSO>XML2</LOAIHOSO></FILEHOSO>", 1)
    with Border(prepared, 0, 0).new_records("claim.v1") as read:
        done = accept(make_gate(), raw)
        assert len(read()) == len(done.message["events"]) == 9
    assert [(problem.code, problem.path) for problem in done.problems] == [("XML_CONTENT_BROKEN", "HOSO[1]/XML2")]


def test_more_events_than_a_record_can_name_are_refused(make_gate, monkeypatch):
    monkeypatch.setattr(translate, "EVENTS_MAX", 3)
    done = accept(make_gate(), envelope(30, 31, 32, 33))
    assert (done.verdict, done.message["events"], done.problems[-1].code) == ("refused", [], "FRAME_TOO_LARGE")


def test_without_brokers_nothing_is_acknowledged_and_the_bytes_stay(make_gate, tmp_path):
    raw = envelope(40)
    with pytest.raises(HubError, match="BROKER_UNAVAILABLE"):
        accept(make_gate("127.0.0.1:9"), raw)
    assert [path.name for path in (tmp_path / "raw").iterdir()] == [raw_hash(raw)]


def test_a_disk_that_is_full_at_the_last_record_is_said_before_anything_is_published(make_gate, prepared, monkeypatch):
    def full(dir: str, buffering: int):
        return Path("/dev/full").open("w+b", buffering)

    monkeypatch.setattr(large_envelope.tempfile, "TemporaryFile", full)
    with Border(prepared, 0, 0).new_records(MESSAGES) as read:
        with pytest.raises(HubError, match="DISK_FULL"):
            accept(make_gate(), envelope(45))
        assert read() == []


def test_a_body_that_is_too_large_or_breaks_off_leaves_nothing_behind(make_gate, tmp_path):
    gate = make_gate()

    async def broken():
        yield b"<GIAMDINHHS>"
        raise ConnectionResetError

    assert asyncio.run(gate.large.spool(_pieces(envelope(50)), 1000)) is None
    with pytest.raises(ConnectionResetError):
        asyncio.run(gate.large.spool(broken(), 1000))
    assert list((tmp_path / "raw").iterdir()) == []


def test_its_signature_is_checked_from_the_disk(make_gate, tmp_path):
    owner = Owner("01004")
    (tmp_path / "signers").mkdir()
    (tmp_path / "signers" / "01004.pem").write_bytes(owner.pem)
    gate = make_gate(signers=Signers.open(tmp_path / "signers", required=True))
    raw = owner.sign(envelope(60, nested=True))
    assert accept(gate, raw).message["signature"] == "VALID"
    done = accept(gate, raw.replace(b"LK-0000060", b"LK-0000061"))
    assert (done.verdict, done.message["signature"], done.problems[-1].code) == ("refused", "WRONG", "SIGNATURE_WRONG")


def test_what_is_missing_of_it_is_published_again_under_the_same_ids(make_gate, prepared):
    gate, at = make_gate(), now() - timedelta(hours=1)
    message = accept(gate, envelope(70, 71, 72), at).message
    ids = [made["event_id"] for made in message["events"]]
    read_otherwise = frozenset({ids[1], "of another version"})  # then what it says today counts
    for wanted, expected in ((frozenset(ids[1:2]), ids[1:2]), (None, ids), (read_otherwise, ids)):
        with Border(prepared, 0, 0).new_records(MESSAGES, "claim.v1") as read:
            _, count = gate.large.again(Received(b"", at, "http"), message["raw_ref"], wanted)
            assert sorted(event["meta"]["event_id"] for _, event in read()) == sorted(expected) and count == len(expected)
    with pytest.raises(HubError, match="NOT_FOUND"):
        gate.large.again(Received(b"", at, "http"), "0" * 64)


def test_by_http_it_is_taken_up_to_its_own_limit_stated_or_not(make_border):
    border = make_border(message_bytes_max=20_000, envelope_bytes_max=200_000)
    url = f"http://127.0.0.1:{border.http_port}/v1/messages"
    raw = envelope(80, 81, 82)
    assert 20_000 < len(raw) < 200_000
    with border.new_records(MESSAGES, "claim.v1") as read:
        for content in (raw, (raw[at : at + 7_000] for at in range(0, len(raw), 7_000))):
            answer = httpx.post(url, content=content, timeout=60)
            assert answer.status_code == 200 and len(answer.json()["events"]) == 3
        assert len([topic for topic, _ in read() if topic == "claim.v1"]) == 6
    too_large = b"<GIAMDINHHS>" + b" " * 200_000
    for content in (too_large, (too_large[at : at + 7_000] for at in range(0, len(too_large), 7_000)), b"MSH|" + b"x" * 30_000):
        assert httpx.post(url, content=content, timeout=60).status_code == 413
    broken = httpx.post(url, content=raw[:-100], timeout=60)
    assert broken.status_code == 422 and broken.json()["verdict"] == "quarantined"


@pytest.mark.parametrize("size", [8 * MIB, pytest.param(100 * MIB, marks=pytest.mark.slow)])
def test_it_is_taken_within_three_hundred_megabytes(prepared, tmp_path, size):
    told = {"kafka": prepared.kafka, "registry": prepared.registry_url, "folder": str(tmp_path), "size": size}
    worker = [sys.executable, "-m", "tests.adapters.inbound.large_worker", json.dumps(told)]
    found = json.loads(subprocess.run(worker, capture_output=True, check=True, text=True, timeout=500).stdout)
    assert found["size"] > size and found["verdict"] == "translated" and found["problems"] == 0
    assert found["events"] == found["count"] > size / MIB * 10
    assert found["peak_bytes"] < 300_000_000
