"""The sweeper on real topics and a database of its own, filled as the journal would fill it."""

import secrets
import uuid
from datetime import timedelta
from itertools import count, pairwise
from types import SimpleNamespace
from typing import ClassVar

import psycopg
import pytest
from psycopg.types.json import Jsonb
from pydantic import SecretStr

from adapters.formats.claim_xml import write
from adapters.formats.mllp import Junk
from adapters.inbound import gate, sweeper
from adapters.inbound.gate import MESSAGES, Gate
from adapters.inbound.raw_store import RawStore
from adapters.inbound.received import Received
from adapters.inbound.sweeper import REPLAYS, Sweeper
from adapters.inbound.translate import unframed
from hub.access.credentials import Credentials
from hub.bus import Out, Producer, Wire
from hub.contract.claim_tables import tables
from hub.contract.errors import HubError, Problem, Severity
from hub.contract.events import Keyring, decode, new_id, now
from hub.contract.settings import read_settings
from hub.contract.topics import topics
from hub.store.database import migrate
from tests.adapters.inbound.conftest import Border, oru
from tests.adapters.inbound.offline import OfflineWire, offline_gate

GATE_TOPICS = [name for name, topic in topics().items() if "gate" in topic.written_by]


@pytest.fixture
def settings_alone(prepared, tmp_path):
    """A database of this test, so that no journal but ours writes into it."""
    url, name = prepared.database_url.get_secret_value(), f"sweeper_{secrets.token_hex(4)}"
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f"create database {name}")
    own = url.rpartition("/")[0] + f"/{name}"
    migrate(own)
    yield prepared.model_copy(update={"database_url": SecretStr(own), "sweep_after_s": 1.0, "data_dir": tmp_path})
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f"drop database {name} with (force)")


class Bench:
    """A sweeper, and a gate whose records the test writes itself, all or some."""

    def __init__(self, settings):
        self.settings = settings
        self.wire = Wire(settings.registry_url)
        self.producer = Producer(settings.kafka, wait_s=30)
        self.raw_store = RawStore(settings.data_dir / "raw")
        keyring = Keyring(settings.key_secret.get_secret_value().encode())
        self.gate = Gate(self.producer, self.wire, keyring, self.raw_store)
        credentials = Credentials.open(settings.credentials)
        self.sweeper = Sweeper(settings, self.wire, self.producer, keyring, self.raw_store, credentials, self.gate.large)
        self.border = Border(settings, 0, 0)

    def write(self, raw, *, events, age=timedelta(hours=1), sender="local"):
        """A message as the gate writes it: whole, or as if it died before the events. Returns: its `MessageReceived`."""
        translation, records = self.gate.prepare(Received(raw, now() - age, "mllp", sender))
        with self.border.new_records(MESSAGES) as read:
            self.producer.publish_blocking(records if events else records[:1])
            assert translation.message["message_id"] in [event["message_id"] for _, event in read()]
        return translation.message

    def journal(self, message, *, next_offset=10**12):
        """Index a message as the journal does; of its events none were seen."""
        place = self.place_of(message["message_id"])
        with psycopg.connect(self.settings.database_url.get_secret_value(), autocommit=True) as database:
            database.execute(
                "insert into journal_message values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                (
                    message["message_id"],
                    message["received_at"],
                    message["received_at"].date(),
                    message["sender"],
                    message["facility"],
                    message["transport"],
                    message["format"],
                    message["message_type"],
                    message.get("control_id", ""),
                    message["verdict"],
                    message["ack"],
                    Jsonb(message["problems"]),
                    [made["event_id"] for made in message["events"]],
                    message["test"],
                    *place,
                ),
            )
            for topic in GATE_TOPICS:
                for partition in range(topics()[topic].partitions):
                    database.execute(
                        "insert into journal_offset (topic, partition, first_offset, next_offset) values (%s, %s, 0, %s) on conflict (topic, partition)"
                        " do update set next_offset = excluded.next_offset",
                        (topic, partition, next_offset),
                    )

    def place_of(self, message_id):
        from confluent_kafka import TopicPartition

        from hub.bus import consumer

        reader = consumer(self.settings.kafka, "test-place")
        try:
            reader.assign([TopicPartition(MESSAGES, n, 0) for n in range(topics()[MESSAGES].partitions)])
            while True:
                record = reader.poll(10)
                assert record is not None and record.error() is None
                if self.wire.unpack(record.value())[1]["message_id"] == message_id:
                    return MESSAGES, record.partition(), record.offset()
        finally:
            reader.close()


@pytest.fixture
def bench(settings_alone):
    one = Bench(settings_alone)
    yield one
    one.producer.close()
    one.gate.close()


def test_a_half_written_message_gets_its_events_under_the_same_ids(bench):
    message = bench.write(oru("HALF"), events=False)
    bench.journal(message)
    with bench.border.new_records("lab-result.v1") as read:
        assert bench.sweeper.sweep() == 0  # the first round only learns how far the topics go
        assert bench.sweeper.sweep() == 1
        made = [event for _, event in read() if event["meta"]["message_id"] == message["message_id"]]
        assert [event["meta"]["event_id"] for event in made] == [one["event_id"] for one in message["events"]]
        assert made[0]["meta"]["revision"]["received_at"] == message["received_at"]


def test_a_half_written_message_is_healed_once(bench):
    message = bench.write(oru("ONCE"), events=False)
    bench.journal(message)
    bench.sweeper.sweep()
    assert bench.sweeper.sweep() == 1
    with psycopg.connect(bench.settings.database_url.get_secret_value(), autocommit=True) as database:
        for made in message["events"]:  # the journal sees what was published
            database.execute(
                "insert into journal_event values (%s, %s, 0, 0, '', %s, '', '', '', '', '', '{}', now(), false)",
                (made["event_id"], made["topic"], message["message_id"]),
            )
    assert bench.sweeper.sweep() == 0


def test_it_sweeps_beside_a_journal_that_runs(bench):
    from hub.journal.consumer import _LOCK

    bench.journal(bench.write(oru("BESIDE"), events=False))
    with psycopg.connect(bench.settings.database_url.get_secret_value(), autocommit=True) as journal:
        journal.execute("select pg_advisory_lock(%s)", (_LOCK,))  # held as long as the journal runs
        bench.sweeper.sweep()
        assert bench.sweeper.sweep() == 1


def test_an_envelope_of_several_facilities_is_healed_whole(bench):
    number = secrets.token_hex(6)
    rows = [{"XML1": [{"MA_LK": number, "MA_CSKCB": code, "STT": "1", "HO_TEN": "MẪU AN"}]} for code in ("01004", "01021")]
    raw = write(rows, {name: list(table) for name, table in tables().items()}, ma_cskcb="01004", ngaylap="20261015")
    owner = b"<THONGTINDONVI><MACSKCB>01004</MACSKCB></THONGTINDONVI>"
    message = bench.write(raw.replace(owner, b""), events=False)  # each claim names its own
    assert len(message["events"]) == 2
    bench.journal(message)
    with bench.border.new_records("claim.v1") as read:
        bench.sweeper.sweep()
        assert bench.sweeper.sweep() == 1
        made = {event["meta"]["event_id"] for _, event in read() if event["meta"]["message_id"] == message["message_id"]}
    assert made == {one["event_id"] for one in message["events"]}


def test_of_what_is_read_otherwise_today_all_that_it_says_is_published(bench):
    message = bench.write(oru("OTHER"), events=False)
    message["events"].append({"event_id": str(uuid.uuid4()), "topic": "lab-result.v1"})  # of a dialect that made one more
    with psycopg.connect(bench.settings.database_url.get_secret_value(), autocommit=True) as database:
        bench.journal(message)
        seen = message["events"][0]["event_id"]
        database.execute(
            "insert into journal_event values (%s, 'lab-result.v1', 0, 0, '', %s, '', '', '', '', '', '{}', now(), false)",
            (seen, message["message_id"]),
        )
    with bench.border.new_records("lab-result.v1") as read:
        bench.sweeper.sweep()
        assert bench.sweeper.sweep() == 1
        made = [event["meta"]["event_id"] for _, event in read() if event["meta"]["message_id"] == message["message_id"]]
    assert made == [seen]


def test_an_envelope_of_the_raw_store_is_healed_and_replayed_from_the_disk(bench, monkeypatch):
    monkeypatch.setattr(gate, "RAW_BYTES_MAX", 2_000)
    number = secrets.token_hex(6)
    rows = [{"XML1": [{"MA_LK": f"{number}.{at}", "MA_CSKCB": "01004", "STT": "1", "HO_TEN": "MẪU AN"}]} for at in range(5)]
    raw = write(rows, {name: list(table) for name, table in tables().items()}, ma_cskcb="01004", ngaylap="20261015")
    message = bench.write(raw, events=False)
    assert [path.read_bytes() for path in bench.raw_store.folder.iterdir()] == [raw]
    bench.journal(message)
    ids = [one["event_id"] for one in message["events"]]
    with bench.border.new_records("claim.v1") as read:
        bench.sweeper.sweep()
        assert bench.sweeper.sweep() == 1
        assert bench.sweeper.replay(asked(message_ids=[message["message_id"]])) == (1, 5)
        made = [event["meta"]["event_id"] for _, event in read() if event["meta"]["message_id"] == message["message_id"]]
    assert sorted(made) == sorted(ids * 2)


def test_messages_that_cannot_be_healed_hold_up_no_other(bench, monkeypatch):
    monkeypatch.setattr(sweeper, "_BATCH", 1)
    with monkeypatch.context() as small:
        small.setattr(gate, "RAW_BYTES_MAX", 100)
        lost = bench.write(oru("LOST"), events=False, age=timedelta(hours=2))
    [held] = list(bench.raw_store.folder.iterdir())
    held.unlink()
    for message in (lost, bench.write(oru("LATER"), events=False)):
        bench.journal(message)
    bench.sweeper.sweep()
    assert bench.sweeper.sweep() == 1


def test_what_no_topic_takes_any_more_holds_up_neither_sweep_nor_replay(tmp_path, monkeypatch):
    made, brokers = offline_gate(tmp_path)
    keyring, store = Keyring(b"a secret of tests only"), RawStore(tmp_path / "raw")
    messages = []
    for control_id in ("POISON", "GOOD"):
        _, records = made.prepare(Received(oru(control_id), made.clock(), "mllp"))
        messages.append(decode("hie.MessageReceived", records[0].value[5:], None))
    settings = read_settings(data_dir=tmp_path, kafka_bootstrap="127.0.0.1:9")
    one = Sweeper(settings, OfflineWire(), brokers, keyring, store, Credentials.open(None), made.large)
    put = sweeper.event_out

    def refusing(wire, topic, event):
        if event["meta"]["message_id"] == messages[0]["message_id"]:
            raise ValueError(event["meta"]["key"])
        return put(wire, topic, event)

    monkeypatch.setattr(sweeper, "event_out", refusing)
    monkeypatch.setattr(one._kept, "asked_for", lambda _request: iter(messages))
    for message, healed in zip(messages, (False, True), strict=True):
        monkeypatch.setattr(one, "_read", lambda _place, message=message: message)
        missing = frozenset(event["event_id"] for event in message["events"])
        assert one._heal(message["message_id"], (MESSAGES, 0, 0), missing) is healed
    assert one.replay(asked()) == (1, 1)
    made.close()


def test_nothing_is_swept_while_the_journal_lags_behind(bench):
    bench.journal(bench.write(oru("LAG"), events=False), next_offset=0)
    assert [bench.sweeper.sweep() for _ in range(3)] == [0, 0, 0]


def test_a_message_too_large_for_a_record_is_healed_from_the_raw_store(bench):
    large = oru("STORED") + b"".join(b"ZZZ|%d||%s\r" % (n, secrets.token_hex(500_000).encode()) for n in range(1, 10))
    message = bench.write(large, events=False)
    [held] = list((bench.settings.data_dir / "raw").iterdir())
    assert held.read_bytes() == large
    bench.journal(message)
    bench.sweeper.sweep()
    assert bench.sweeper.sweep() == 1


def test_a_replay_publishes_the_same_ids_again_and_leaves_an_audit_event(bench):
    message = bench.write(oru("REPLAY"), events=True)
    bench.write(oru("OTHER"), events=True)
    request = {"id": new_id("test", secrets.token_hex(8)), "at": now(), "by": "tester", "reason": "why not"}
    request["message_ids"] = [message["message_id"]]
    with bench.border.new_records("lab-result.v1", "audit.v1", MESSAGES) as read:
        bench.producer.publish_blocking([Out(REPLAYS, request["id"], bench.wire.pack(REPLAYS, request))])
        bench.sweeper.start()
        audit = new_id("replay", request["id"])
        while audit not in [event.get("id") for _, event in read()]:
            pass
        bench.sweeper.stop()
        records = read()
        again = [event for topic, event in records if topic == "lab-result.v1"]
        assert [event["meta"]["event_id"] for event in again] == [one["event_id"] for one in message["events"]]
        [left] = [event for topic, event in records if topic == "audit.v1" and event["id"] == audit]
        assert left["by"] == "tester" and left["action"] == "replay" and left["outcome"] == "done"
        assert MESSAGES not in [topic for topic, _ in records]


def test_a_replay_does_not_translate_for_a_sender_whose_credential_is_gone(bench):
    message = bench.write(oru("GONE"), events=True, sender="former")
    request = {"id": "r", "at": now(), "by": "", "reason": "", "sender": "former", "facility": "", "message_type": ""}
    request |= {"message_ids": [message["message_id"]], "from_at": message["received_at"], "to_at": None}
    assert bench.sweeper.replay(request) == (0, 0)


def asked(**more):
    """A replay request, as it is read from its topic."""
    request = {"id": new_id("test", secrets.token_hex(8)), "at": now(), "by": "", "reason": "", "sender": "", "facility": ""}
    return request | {"message_type": "", "message_ids": [], "from_at": None, "to_at": None} | more


def test_a_replay_leaves_out_what_a_broken_link_left_of_a_message(bench):
    whole, cut = oru("CUT"), oru("CUT")[:-60]
    translation = unframed(
        Received(cut, now(), "mllp", "local"), Junk(cut, len(cut), Problem("FRAME_UNFINISHED", Severity.ERROR))
    )
    assert translation.verdict == "quarantined" and cut.count(b"OBR|") == 1 and len(cut) < len(whole)
    bench.producer.publish_blocking([bench.gate._message_out(translation.message)])
    assert bench.sweeper.replay(asked(message_ids=[translation.message["message_id"]])) == (0, 0)


def test_a_replay_passes_over_a_message_whose_bytes_are_gone(bench):
    large = oru("LOST") + b"".join(b"ZZZ|%d||%s\r" % (n, secrets.token_hex(500_000).encode()) for n in range(1, 10))
    lost, kept = bench.write(large, events=False), bench.write(oru("KEPT"), events=False)
    [held] = list((bench.settings.data_dir / "raw").iterdir())
    held.unlink()
    assert bench.sweeper.replay(asked(message_ids=[lost["message_id"], kept["message_id"]])) == (1, 1)


def test_a_replay_that_the_archive_does_not_let_through_holds_up_no_sweep_and_ends(tmp_path, monkeypatch):
    made, brokers = offline_gate(tmp_path)
    settings = read_settings(data_dir=tmp_path, kafka_bootstrap="127.0.0.1:9")
    keyring, store = Keyring(b"a secret of tests only"), RawStore(tmp_path / "raw")
    one = Sweeper(settings, OfflineWire(), brokers, keyring, store, Credentials.open(None), made.large)
    clock = count(0.0, 20.0)  # every look at it is 20 s later
    seen, tried, audits = [], [], []

    class Requests:
        waiting: ClassVar = [SimpleNamespace(error=lambda: None, value=lambda: b"")]

        def poll(self, _wait_s):
            return self.waiting.pop() if self.waiting else None

        def commit(self, **_more):
            seen.append("committed")
            one._stopping.set()

        def close(self):
            pass

    def unreadable(_request):
        seen.append("tried")
        tried.append(next(clock))
        yield from ()
        raise HubError("ARCHIVE_UNAVAILABLE", "archive")

    monkeypatch.setattr(sweeper, "consumer", lambda *_, **__: Requests())
    monkeypatch.setattr(sweeper, "_POLL_S", 0.01)
    monkeypatch.setattr(sweeper, "time", SimpleNamespace(monotonic=clock.__next__))
    monkeypatch.setattr(one, "sweep", lambda: seen.append("swept"))
    monkeypatch.setattr(one._wire, "unpack", lambda _value: ("hie.ReplayRequest", asked()))
    monkeypatch.setattr(one._wire, "pack", lambda _topic, event: audits.append(event) or b"")
    monkeypatch.setattr(one._kept, "asked_for", unreadable)
    one.start()
    one._thread.join(30)
    assert not one._thread.is_alive()
    assert len(tried) == 5 and all(later - one >= 60 for one, later in pairwise(tried))
    assert all(after == "swept" for one, after in pairwise(seen) if one == "tried" and after != "committed")
    assert seen[-2:] == ["tried", "committed"]
    assert [(audit["action"], audit["outcome"]) for audit in audits] == [("replay", "failed")]
    assert audits[0]["target"].endswith(": ARCHIVE_UNAVAILABLE")
    made.close()


def test_a_database_that_is_gone_stops_the_sweeping_and_not_the_gate(make_border):
    from tests.adapters.inbound.conftest import msa

    border = make_border(database_url=SecretStr("postgresql://nobody@127.0.0.1:9/none"), sweep_after_s=0.5)
    with border.link() as link:
        assert [msa(link.ask(oru(f"DB{n}")))[0] for n in range(3)] == ["AA"] * 3
