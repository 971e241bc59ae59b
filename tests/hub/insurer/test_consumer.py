"""A worker on real Kafka: exactly once in effect, wherever it is killed."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from datetime import UTC, date, datetime
from functools import partial

import pytest
from confluent_kafka import Consumer, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from deltalake import DeltaTable

from hub.bus import Out, Producer, Wire, apply_topics, consumer
from hub.contract.errors import HubError
from hub.contract.events import encode
from hub.contract.kafka import client
from hub.insurer import consumer as module
from hub.insurer.compaction import compact
from hub.insurer.consumer import Insurer
from hub.insurer.history import close
from hub.insurer.ledger import TABLES, Ledger, ledger_folder, scan, schema_of
from hub.insurer.totals import totals
from hub.simulate import FAULTS, claims_with_faults, nation
from tests.hub.insurer.histories import service as a_service
from tests.hub.insurer.histories import visit
from tests.hub.insurer.worker import DIED

PARTITIONS, BATCH = 3, 40
LIVES, SLICE = 20, 100
CLOSED_AT = datetime(2026, 12, 5, tzinfo=UTC)
DAMAGED, REPEATED = (17, 63, 64, 151), (20, 90, 140)


class Bench:
    """A topic of its own beside the hub's, what stands in it, and what is said of it."""

    def __init__(self, settings, tmp_path):
        self.settings, self.folder = settings, tmp_path
        self.wire = Wire(settings.registry_url)
        apply_topics(settings.kafka, self.wire)
        self.admin = AdminClient(client(settings.kafka))
        self.producer = Producer(settings.kafka, wait_s=30)
        self.topic = f"test.insurer.{uuid.uuid4().hex[:12]}"
        self.make_topic()
        self.answered_from = {
            topic: self.ends(topic) for topic in ("payer.vss.decision.v1", "payer.test.decision.v1", "dead-letter.v1")
        }

    def make_topic(self):
        self.admin.create_topics([NewTopic(self.topic, PARTITIONS, 1)])[self.topic].result(30)

    def make_topic_anew(self):
        self.admin.delete_topics([self.topic])[self.topic].result(30)
        until(lambda: self.topic not in self.admin.list_topics(timeout=10).topics)
        self.make_topic()
        until(self.stands_empty)

    def stands_empty(self):
        """A broker names a new topic before it lets go of the old one's log: what it acknowledges meanwhile is gone with that log."""
        try:
            return [place.offset for place in self.ends(self.topic)] == [0] * PARTITIONS
        except KafkaException:
            return False

    def put(self, events, damage=(), partition=None):
        prefix = self.wire.prefix("payer.vss.claim.v1")
        values = [prefix + encode("hie.Claim", event) for event in events]
        for place in damage:
            values[place] = values[place][: len(values[place]) // 2] if place % 2 else values[place] + b"more"
        self.producer.publish_blocking(
            Out(self.topic, event["meta"]["key"], value, partition=row % PARTITIONS if partition is None else partition)
            for row, (event, value) in enumerate(zip(events, values, strict=True))
        )

    def insurer(self, name, payer="vss", **more):
        settings = self.settings.model_copy(update={"ledger_dir": self.folder / name, "insurer_batch": BATCH})
        return Insurer(settings, payer, threading.Event(), topic=self.topic, **more)

    def run(self, name, upto, payer="vss", **more):
        worker = self.insurer(name, payer, **more)
        try:
            worker.open()
            until(lambda: worker.step() >= 0 and sum(worker._ledger.committed(partition) for partition in worker._memory) >= upto)
        finally:
            worker.close()
        return ledger_folder(worker.settings, payer)

    def start(self, name, upto, **how):
        told = {"payer": "vss", "topic": self.topic, "ledger": str(self.folder / name), "batch": BATCH, "upto": upto, **how}
        environment = os.environ | {
            "HIE_KAFKA_BOOTSTRAP": self.settings.kafka,
            "HIE_REGISTRY_URL": self.settings.registry_url,
            "HIE_DATA_DIR": str(self.folder / "data"),
        }
        command = [sys.executable, "-m", "tests.hub.insurer.worker", json.dumps(told)]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE if "tells" in how else None)

    def interrupted(self, name):
        """Where a killed worker stood inside a batch: some tables have it, `claims` has not."""
        topic = self.admin.describe_topics(TopicCollection([self.topic]))[self.topic].result(30)
        ledger = Ledger(self.folder / name, str(topic.topic_id))
        return [ledger.interrupted(partition) is not None for partition in range(PARTITIONS)]

    def ends(self, topic):
        reader = consumer(self.settings.kafka, "test-ends")
        try:
            count = len(self.admin.list_topics(topic, timeout=10).topics[topic].partitions)
            return [
                TopicPartition(topic, partition, reader.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)[1])
                for partition in range(count)
            ]
        finally:
            reader.close()

    def said(self, topic="payer.vss.decision.v1"):
        """Events written to a topic since the start, and how often each id came."""
        reader: Consumer = consumer(self.settings.kafka, "test-said")
        left = {place.partition: place.offset for place in self.ends(topic)}
        reader.assign(self.answered_from[topic])
        found = []
        try:
            while any(place.offset < left[place.partition] for place in position(reader, self.answered_from[topic])):
                found += [message for message in reader.consume(500, 1.0) if not message.error()]
        finally:
            reader.close()
        return [self.wire.unpack(message.value())[1] for message in found]

    def close(self):
        self.producer.close()
        self.admin.delete_topics([self.topic])[self.topic].result(30)


def position(reader, places):
    now = {
        place.partition: place.offset
        for place in reader.position([TopicPartition(place.topic, place.partition) for place in places])
    }
    return [TopicPartition(place.topic, place.partition, max(place.offset, now[place.partition])) for place in places]


def until(done, limit_s=120.0):
    deadline = time.monotonic() + limit_s
    while not done():
        assert time.monotonic() < deadline, "it never happened"


def table_rows(folder):
    order = {"lines": ["table", "stt"], "findings": ["number"]}
    return {
        name: scan(DeltaTable(str(folder / name)).file_uris(), schema_of(name))
        .collect()
        .sort("kafka_partition", "kafka_offset", *order.get(name, []))
        for name in TABLES
    }


@pytest.fixture
def bench(settings, tmp_path):
    made = Bench(settings, tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def stream():
    """180 claims, some wrong, and repeats of earlier ones."""
    events = [
        made.event for made in claims_with_faults(31, 180, 26, {"X04 xml3.t_bhtt off": 0.05, "X05 xml1.t_tongchi_bv off": 0.05})
    ]
    for place in REPEATED:
        events[place] = events[place - PARTITIONS * 2]
    return events


def expected(stream):
    dead = {stream[row]["meta"]["event_id"] for row in DAMAGED}
    return {event["meta"]["event_id"] for event in stream} - dead


def test_every_claim_stands_once_in_the_ledger_and_is_answered_once(bench, stream):
    bench.put(stream, DAMAGED)
    rows = table_rows(bench.run("ledger", len(stream)))
    assert sorted(rows["claims"].get_column("event_id")) == sorted(expected(stream))
    lines = sum(len(event.get("xml2", [])) + len(event.get("xml3", [])) for event in {event["meta"]["event_id"]: event for row, event in enumerate(stream) if row not in DAMAGED}.values())  # fmt: skip
    assert rows["lines"].height == lines
    decisions = bench.said()
    assert sorted(one["claim_event_id"] for one in decisions) == sorted(expected(stream))
    assert {one["verdict"] for one in decisions} == {"ACCEPTED", "REJECTED"}
    dead = [letter for letter in bench.said("dead-letter.v1") if letter["topic"] == bench.topic]
    assert sorted((letter["partition"], letter["offset"]) for letter in dead) == sorted(
        (row % PARTITIONS, row // PARTITIONS) for row in DAMAGED
    )
    assert {(letter["stage"], letter["code"]) for letter in dead} == {("insurer", "BODY_UNDECODABLE")}
    assert all(letter["body"] for letter in dead)


def test_a_second_run_finds_nothing_to_do(bench, stream):
    bench.put(stream[:15])
    before = table_rows(bench.run("ledger", 15))
    worker = bench.insurer("ledger")
    worker.open()
    assert worker.step() == 0
    worker.close()
    assert all(rows.equals(before[name]) for name, rows in table_rows(bench.folder / "ledger").items())
    assert len(bench.said()) == 15


# After each append of one batch (the last one: committed, nothing said), with decisions out and no marker, and further on.
KILLS = [
    *({"die_after": appends} for appends in (1, 1, 1, 1)),
    {"die_in": "publish"},
    {"die_after": 3},
    {"die_after": 6},
    {"die_in": "publish"},
]


def test_killed_between_any_two_commits_the_ledger_is_that_of_an_unbroken_run(bench, stream):
    bench.put(stream, DAMAGED)
    whole = table_rows(bench.run("whole", len(stream)))
    once = {one["meta"]["event_id"]: one for one in bench.said()}
    for how in KILLS:
        assert bench.start("killed", len(stream), **how).wait(120) == DIED
    assert bench.start("killed", len(stream)).wait(120) == 0
    mended = table_rows(bench.folder / "killed")
    assert all(mended[name].equals(whole[name]) for name in TABLES)
    every = bench.said()
    assert {one["meta"]["event_id"] for one in every} == set(once)
    assert all(one == once[one["meta"]["event_id"]] for one in every)
    assert len(every) >= 2 * len(once)


def test_files_are_made_few_beside_the_batches_and_the_ledger_is_that_of_a_run_without(bench, stream, monkeypatch):
    bench.put(stream, DAMAGED)
    whole = table_rows(bench.run("whole", len(stream)))
    monkeypatch.setattr(module, "_TIDY_S", 0.0)
    monkeypatch.setattr(module, "compact", partial(compact, least=2))
    tidied = table_rows(bench.run("tidied", len(stream)))
    for thread in threading.enumerate():
        if thread.name == "compaction":
            thread.join()
    compact(bench.folder / "tidied", least=2)
    assert all(tidied[name].equals(whole[name]) for name in TABLES)
    assert all(rows.equals(whole[name]) for name, rows in table_rows(bench.folder / "tidied").items())
    files = [len(DeltaTable(str(bench.folder / name / "claims")).file_uris()) for name in ("whole", "tidied")]
    assert files[0] > files[1] == 1


def same_service_twice():
    """Two claims of one person that nothing is wrong with by themselves; the later one, B, is cut when the month is closed."""
    return [visit(key, services=[a_service(ngay_th_yl="202611100830")], minutes=minutes) for minutes, key in enumerate("AB")]


@pytest.mark.slow
def test_killed_twenty_times_at_random_the_ledger_is_that_of_an_unbroken_run(bench):
    """kill -9 from outside while there is always more to read: faults of every rule, claims sent again; then
    the closing of the month."""
    chance = random.Random(6)
    same_day = same_service_twice()
    made = nation(41, LIVES * SLICE - len(same_day), dict.fromkeys(FAULTS, 0.4 / len(FAULTS)))
    stream = [*same_day, *(one.event for one in made)]
    half_written = 0
    for life in range(LIVES):
        bench.put(stream[life * SLICE : (life + 1) * SLICE])
        with bench.start("killed", len(stream) + 1, tells=True) as worker:
            assert worker.stdout.readline() == b"opening\n"
            time.sleep(chance.random() * 2.0)
            worker.kill()
            assert worker.wait(60) == -signal.SIGKILL
        half_written += any(bench.interrupted("killed"))
    assert bench.start("killed", len(stream)).wait(300) == 0
    every = bench.said()
    whole, mended = table_rows(bench.run("whole", len(stream))), table_rows(bench.folder / "killed")
    assert all(mended[name].equals(whole[name]) for name in TABLES)
    assert set(whole["decisions"].get_column("verdict")) == {"ACCEPTED", "REDUCED", "REJECTED"}
    once = {one["meta"]["event_id"]: one for one in every}
    assert sorted(one["claim_event_id"] for one in once.values()) == sorted(event["meta"]["event_id"] for event in stream)
    assert all(one == once[one["meta"]["event_id"]] for one in every)
    adjustments, again = (close(bench.folder / name, date(2026, 11, 1), CLOSED_AT) for name in ("whole", "killed"))
    assert adjustments.height
    assert adjustments.equals(again)
    print(f"{LIVES} kills, {half_written} of them inside a batch, {len(every) - len(once)} decisions said again")


def test_what_closing_a_month_finds_is_answered_by_the_next_step_once(bench):
    bench.put(same_service_twice())
    folder = bench.run("ledger", 2)
    rows = close(folder, date(2026, 11, 1), CLOSED_AT)
    for _ in range(2):  # the second worker finds it said
        worker = bench.insurer("ledger")
        worker.open()
        worker.step()
        worker.close()
    words = bench.said()
    assert sorted(word["meta"]["rule"] for word in words) == ["adjudicated", "adjudicated", "adjusted"]
    (last,) = (word for word in words if word["meta"]["rule"] == "adjusted")
    assert (last["ma_lk"], last["claim_event_id"]) == ("B", rows.item(0, "event_id"))


def test_two_workers_share_the_partitions_and_their_ledger_is_that_of_one(bench, stream):
    bench.put(stream, DAMAGED)
    whole = table_rows(bench.run("whole", len(stream)))
    for worker in (0, 1):
        mine = [partition for partition in range(PARTITIONS) if partition % 2 == worker]
        bench.run("shared", len(stream) // PARTITIONS * len(mine), worker=worker, workers=2)
    assert all(rows.equals(whole[name]) for name, rows in table_rows(bench.folder / "shared").items())


def test_decisions_past_a_lost_marker_are_said_again_with_the_same_ids(bench, stream):
    bench.put(stream[:20])
    folder = bench.run("ledger", 20)
    first = bench.said()
    shutil.rmtree(folder / "published")
    bench.run("ledger", 20)
    again = bench.said()
    assert len(again) == 40
    assert sorted(one["meta"]["event_id"] for one in again) == sorted(2 * [one["meta"]["event_id"] for one in first])


def test_a_topic_made_anew_is_read_from_its_start_and_repeats_are_dropped(bench, stream):
    bench.put(stream[:12], partition=0)
    bench.run("ledger", 12)
    bench.make_topic_anew()
    bench.put([*stream[6:12], *stream[21:27]], partition=0)
    rows = table_rows(bench.run("ledger", 12))
    ids = [event["meta"]["event_id"] for event in [*stream[:12], *stream[21:27]]]
    assert sorted(rows["claims"].get_column("event_id")) == sorted(ids)
    assert rows["claims"].get_column("kafka_topic_id").n_unique() == 2


def test_a_topic_made_anew_while_it_is_read_ends_the_worker(bench, stream):
    bench.put(stream[:9], partition=0)
    worker = bench.insurer("ledger")
    worker.open()
    until(lambda: worker.step() >= 0 and worker._ledger.committed(0) == 9)
    bench.make_topic_anew()
    bench.put(stream[21:24], partition=0)
    with pytest.raises(HubError, match="made anew"):
        until(lambda: worker.step() and False)
    worker.close()
    assert table_rows(bench.run("ledger", 3))["claims"].height == 12


def test_repeats_beyond_the_window_are_the_stated_limit(bench, stream, monkeypatch):
    monkeypatch.setattr(module, "WINDOW", 5)
    bench.put([*stream[:6], stream[0], stream[4]], partition=0)
    rows = table_rows(bench.run("ledger", 8))
    assert rows["claims"].get_column("kafka_offset").to_list() == [0, 1, 2, 3, 4, 5, 6]


def test_test_traffic_is_answered_and_stands_in_a_ledger_of_its_own(bench, stream):
    tests = [event | {"meta": event["meta"] | {"test": True}} for event in stream[:10]]
    bench.put([*tests, *stream[10:12]])
    folder = bench.run("ledger", 12, payer="test")
    assert folder == bench.folder / "ledger-test"
    assert table_rows(folder)["claims"].height == 10
    assert not (bench.folder / "ledger").exists()
    assert len(bench.said("payer.test.decision.v1")) == 10
    assert [letter["code"] for letter in bench.said("dead-letter.v1") if letter["topic"] == bench.topic] == ["TEST_MISPLACED"] * 2
    assert table_rows(bench.run("ledger", 12))["claims"].height == 2


def test_a_ledger_past_the_end_of_its_topic_is_for_a_person(bench, stream):
    bench.put(stream[:3])
    bench.run("ledger", 3)
    worker = bench.insurer("ledger")
    worker._consumer = _Short(worker._consumer)
    with pytest.raises(HubError, match="LEDGER_CONFLICT"):
        worker.open()
    worker.close()


class _Short:
    """A consumer of a topic that has lost its records."""

    def __init__(self, real):
        self._real = real

    def __getattr__(self, name):
        return getattr(self._real, name)

    def get_watermark_offsets(self, *_args, **_more):
        return (0, 0)


def test_faults_of_disk_and_broker_are_waited_for_and_nothing_is_skipped(bench, stream, monkeypatch):
    bench.put(stream[:9])
    failures = [OSError(28, "No space left on device"), HubError("BROKER_UNAVAILABLE", "x"), None]
    said = []
    monkeypatch.setattr(module.telemetry, "fault", lambda _stage, code, _where="": said.append(code))
    append = module.Ledger.append

    def failing(self, *args):
        failure = failures.pop(0) if failures else None
        if failure:
            raise failure
        append(self, *args)

    monkeypatch.setattr(module.Ledger, "append", failing)
    rows = table_rows(bench.run("ledger", 9))
    assert said == ["DISK_FULL", "BROKER_UNAVAILABLE"]
    assert rows["claims"].height == 9


def test_totals_count_the_newest_revision_of_each_claim(bench, stream):
    first, other = stream[0], stream[1]
    later = first["meta"]["revision"] | {"version": 2}
    newer = first | {"meta": first["meta"] | {"event_id": str(uuid.uuid4()), "revision": later}, "xml2": [], "xml3": []}
    gone = other | {"action": "CANCELLED", "meta": other["meta"] | {"event_id": str(uuid.uuid4()), "revision": other["meta"]["revision"] | {"version": 1}}}  # fmt: skip
    assert totals(bench.folder / "none")["claims"] == 0
    bench.put([newer, first, other, gone, stream[2]], partition=0)
    bench.run("ledger", 5)
    summed = totals(bench.folder / "ledger")
    assert summed["claims"] == 2
    assert summed["lines"] == len(stream[2].get("xml2", [])) + len(stream[2].get("xml3", []))
    assert summed["t_bhtt"] == newer["xml1"]["t_bhtt"] + stream[2]["xml1"]["t_bhtt"]
    assert (summed["accepted"], summed["rejected"]) in ((1, 1), (0, 2))


SERVICE = """
import sys
from hub.contract.settings import read_settings
from hub.insurer.consumer import run
run(read_settings(), "vss", lambda facts: print("ready", facts, flush=True))
"""


def service(bench, kafka):
    addresses = {"HIE_KAFKA_BOOTSTRAP": kafka, "HIE_REGISTRY_URL": bench.settings.registry_url}
    environment = os.environ | addresses | {"HIE_DATA_DIR": str(bench.folder / "data")}
    return subprocess.Popen([sys.executable, "-c", SERVICE], env=environment, stdout=subprocess.PIPE, text=True)


def first_line(process, about):
    """The first line that has this in it; the log of the service goes the same way."""
    for line in process.stdout:
        if about in line:
            return line
    raise AssertionError(f"it ended without saying {about}")


def test_the_service_says_when_it_is_ready_and_ends_cleanly(bench):
    with service(bench, bench.settings.kafka) as process:
        assert "'worker': 0, 'workers': 1" in first_line(process, "ready {")
        process.terminate()
        assert process.wait(60) == 0


def test_without_a_broker_the_service_waits_and_can_be_ended(bench):
    with service(bench, "127.0.0.1:9") as process:
        assert "BROKER_UNAVAILABLE" in first_line(process, "fault")
        process.terminate()
        assert process.wait(60) == 0
