"""The gate beside its ways in: what is too large for a record, and what happens when a part of the hub is not there."""

import asyncio
import secrets
import threading

import pytest

from adapters.dialects import reading
from adapters.dialects.profile import load_dialect
from adapters.dialects.render import as_hl7
from adapters.inbound import gate as gates
from adapters.inbound import translate
from adapters.inbound.gate import MESSAGES, Gate
from adapters.inbound.raw_store import RawStore, raw_hash
from adapters.inbound.received import Received
from adapters.outbound.mailbox import read_delivery
from hub.bus import Producer, Wire
from hub.contract.errors import HubError
from hub.contract.events import Keyring, now
from tests.adapters.inbound.conftest import Border, msa, oru
from tests.adapters.inbound.large_worker import envelope
from tests.adapters.inbound.offline import offline_gate


@pytest.fixture
def make_gate(prepared, tmp_path):
    producers = []

    def make(raw_folder=None, registry=None, bootstrap=None):
        producer = Producer(bootstrap or prepared.kafka, wait_s=1 if bootstrap else 30)
        producers.append(producer)
        store = RawStore(raw_folder or tmp_path / "raw")
        return Gate(producer, Wire(registry or prepared.registry_url), Keyring(b"a secret of tests only"), store)

    yield make
    for producer in producers:
        producer.close()


def large(control_id):
    """Over 8 MiB of a segment that no event takes up."""
    return oru(control_id) + b"".join(b"ZZZ|%d||%s\r" % (n, secrets.token_hex(500_000).encode()) for n in range(1, 10))


def test_raw_bytes_too_large_for_a_record_go_to_the_store_before_the_answer(make_gate, prepared, tmp_path):
    gate, raw = make_gate(), large("G1")
    with Border(prepared, 0, 0).new_records(MESSAGES) as read:
        done = asyncio.run(gate.accept(Received(raw, gate.clock(), "http")))
        assert done.verdict == "translated"
        [held] = [event for _, event in read() if event["control_id"] == "G1"]
    assert held["raw"] == b"" and held["raw_ref"] == held["raw_hash"] == raw_hash(raw) and held["raw_size"] == len(raw)
    assert RawStore(tmp_path / "raw").get(held["raw_ref"]) == raw


def test_a_full_disk_means_silence_and_not_a_refusal(make_gate, tmp_path):
    (tmp_path / "file").write_text("not a folder")  # root writes into any folder, but not into a file
    gate = make_gate(raw_folder=tmp_path / "file")
    with pytest.raises(HubError, match="BROKER_UNAVAILABLE"):
        asyncio.run(gate.accept(Received(large("G2"), gate.clock(), "http")))


def test_an_event_too_large_for_a_record_refuses_the_message_by_its_own_control_id(make_gate, prepared):
    gate = make_gate()
    notes = b"".join(b"NTE|%d||%s\r" % (n, secrets.token_hex(25_000).encode()) for n in range(1, 190))
    with Border(prepared, 0, 0).new_records(MESSAGES) as read:
        done = asyncio.run(gate.accept(Received(oru("G3") + notes, gate.clock(), "http")))
        assert [event["verdict"] for _, event in read() if event["control_id"] == "G3"] == [done.verdict]
    assert done.verdict == "refused" and msa(done.ack.decode()) == ("AR", "G3")


def test_without_brokers_or_registry_nothing_is_acknowledged(make_gate):
    for gate in (make_gate(bootstrap="127.0.0.1:9"), make_gate(registry="http://127.0.0.1:9")):
        with pytest.raises(HubError, match="BROKER_UNAVAILABLE"):
            asyncio.run(gate.accept(Received(oru("G4"), gate.clock(), "http")))


def test_two_messages_of_equal_bytes_in_one_moment_are_two_messages(make_gate):
    gate, raw = make_gate(), oru("G5")
    ids = {gate.prepare(Received(raw, gate.clock(), "mllp"))[0].message["message_id"] for _ in range(100)}
    assert len(ids) == 100


def test_both_answers_of_enhanced_mode_are_written_together_and_the_second_is_a_letter(make_gate, prepared):
    gate = make_gate()
    raw = oru("G7").replace(b"|P|2.5.1", b"|P|2.5.1|||AL|AL")
    with Border(prepared, 0, 0).new_records(MESSAGES, "delivery.v1") as read:
        first = asyncio.run(gate.accept(Received(raw, gate.clock(), "http")))
        again = asyncio.run(gate.accept(Received(raw, gate.clock(), "http")))
        assert [msa(done.ack.decode()) for done in (first, again)] == [("CA", "G7")] * 2
        wire = Wire(prepared.registry_url)
        sent = [event for topic, event in read() if topic == "delivery.v1" and event["rule"] == "application-ack-to-sender"]
    letters = [read_delivery(wire, wire.pack("delivery.v1", one)) for one in sent]
    assert [(letter.mailbox, letter.record, readable) for letter, readable in letters] == [
        ("01004", "hie.MessageReceived", True)
    ] * 2
    assert len({letter.delivery_id for letter, _ in letters}) == 1, "the mailbox takes it once"
    hl7 = as_hl7(
        *wire.unpack(letters[0][0].body), load_dialect("_standard"), now=now(), control_id="H1", receiving_facility="01004"
    )
    assert msa(hl7.decode()) == ("AA", "G7")


def test_no_key_header_or_topic_name_holds_a_value_of_the_patient(make_gate):
    gate = make_gate()
    _translation, records = gate.prepare(Received(oru("G6"), gate.clock(), "mllp"))
    outside = repr([(record.topic, record.key, record.headers) for record in records])
    assert not [value for value in ("MAU", "THI", "MR1", "19850312", "G6") if value in outside]
    assert {record.key.partition(":")[0] for record in records} == {"01004"}


def taken(folder, raw):
    """The translation of a message, and the sizes of the records of it."""

    async def take():
        gate, brokers = offline_gate(folder)
        done = await gate.accept(Received(raw, gate.clock(), "mllp"))
        gate.close()
        [message] = brokers.messages()
        assert message["verdict"] == done.verdict
        return done, [len(out.value) for out in brokers.held]

    return asyncio.run(take())


@pytest.mark.parametrize(
    "raw",
    [
        oru("X" * 9_000_000),
        oru("L1").replace(b"ORU^R01^ORU_R01", b"A" * 9_000_000),
        oru("L2").replace(b"|P|2.5.1", b"|P|" + b"2" * 9_000_000),
        oru("L3").replace(b"|LIS|", b"|" + b"Y" * 9_000_000 + b"|", 1),
    ],
)
def test_what_no_record_holds_is_refused_with_the_limit_and_small_enough_to_be_held(tmp_path, raw):
    done, sizes = taken(tmp_path, raw)
    [problem] = done.problems
    assert (done.verdict, problem.code, done.message["ack"]) == ("refused", "FRAME_TOO_LARGE", "AR")
    assert problem.path.endswith(": more than 8388608 bytes") and problem.path.encode() in done.ack
    assert len(done.ack) < 1_000 and max(sizes) < 1_000


def test_more_events_than_a_record_can_name_are_refused_by_every_way(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "EVENTS_MAX", 3)
    done, _ = taken(tmp_path, oru("L4") + b"OBR|1\r" * 3)
    assert (done.verdict, done.events, done.problems[-1].code) == ("refused", (), "FRAME_TOO_LARGE")
    assert msa(done.ack.decode()) == ("AR", "L4")
    monkeypatch.setattr(translate, "EVENTS_MAX", 3)
    done, _ = taken(tmp_path, envelope(1, 2, 3, 4))
    assert (done.verdict, done.problems[-1].path) == ("refused", "more than 3 events")


@pytest.mark.parametrize("raw", [oru("L5"), oru("L5") + b"OBR|1\r" * 1_000])
def test_brokers_that_take_less_than_our_topics_are_an_operators_to_mend_and_mean_silence(tmp_path, raw):
    async def take():
        gate, brokers = offline_gate(tmp_path)
        brokers.send = lambda _records, done: asyncio.get_running_loop().call_soon(done, "BROKER_LIMIT")
        with pytest.raises(HubError, match="BROKER_UNAVAILABLE"):
            await gate.accept(Received(raw, gate.clock(), "mllp"))
        gate.close()

    asyncio.run(take())


OBX = b"OBX|2|ED|PDF||^^PDF^Base64^%s||||||F\r"


@pytest.mark.parametrize(
    ("raw", "apart"),
    [
        (oru("T1"), False),
        (oru("T2") + OBX % (b"A" * 200_000), False),  # a document: many bytes, little work
        (oru("T3") + OBX % (b"A" * 300_000), True),
        (oru("T4") + b"OBR|1\r" * 1_000, True),
        ((oru("T5") + b"OBR|1\r" * 1_000).replace(b"\r", b"\n"), True),
        (oru("T6").replace(b"MR1^^^01004^MR", b"~".join([b"MR1^^^01004^MR"] * 1_000)), True),
        (b"<GIAMDINHHS>" + b"<HOSO></HOSO>" * 10_000 + b"</GIAMDINHHS>", True),
        (b'{"beds": "' + b"x" * 100_000 + b'"}', True),
    ],
)
def test_what_takes_long_is_done_in_a_thread_whatever_its_size(tmp_path, monkeypatch, raw, apart):
    threads, work = [], gates.translate

    def watched(*given, **more):
        threads.append(threading.current_thread())
        return work(*given, **more)

    monkeypatch.setattr(gates, "translate", watched)

    async def take():
        gate, _brokers = offline_gate(tmp_path)
        await gate.accept(Received(raw, gate.clock(), "mllp"))
        gate.close()

    asyncio.run(take())
    assert [one is not threading.main_thread() for one in threads] == [apart]


def test_many_small_messages_in_one_are_taken_apart_in_a_thread(tmp_path, monkeypatch):
    threads, work = [], gates.cut
    monkeypatch.setattr(gates, "cut", lambda raw: threads.append(threading.current_thread()) or work(raw))

    async def take():
        gate, _brokers = offline_gate(tmp_path)
        for number in (2, 1_000):
            assert len((await gate.cut(b"MSH|^~\\&|x\r" * number)).parts) == number
        gate.close()

    asyncio.run(take())
    assert [one is not threading.main_thread() for one in threads] == [False, True]
