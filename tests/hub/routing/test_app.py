"""Workers on real servers, broken in the middle of a batch: every event has its outputs, and each output one id."""

import asyncio
import os
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition

from hub.bus import Producer, consumer, event_out
from hub.contract.directory import payers
from hub.contract.errors import HubError
from hub.contract.events import derive, now, revision_rank
from hub.contract.settings import to_environment
from hub.journal.places import ends
from hub.routing import parking
from hub.routing.app import Worker, build_app, streams
from hub.routing.chunks import Consumer
from hub.routing.deadlines import put
from hub.routing.recall import Recaller
from hub.routing.stream import Due
from hub.store.database import connect
from tests.hub.routing import stay
from tests.hub.routing.story import KEYRING, TOPICS, order, person, referral, result

LIMIT_S = 120


class Workers:
    """Routing workers of one consumer group of its own."""

    def __init__(self, settings, folder: Path) -> None:
        self.group, self.folder = f"routing-{uuid.uuid4().hex[:8]}", folder
        self.environment = os.environ | to_environment(settings) | {
            "HIE_KAFKA_BOOTSTRAP": settings.kafka,
            "HIE_REGISTRY_URL": settings.registry_url,
            "HIE_DATABASE_URL": settings.database_url.get_secret_value(),
            "HIE_KEY_SECRET": settings.key_secret.get_secret_value(),
            "HIE_ROUTING_BATCH": "50",
        }  # fmt: skip
        self.processes: list[subprocess.Popen[bytes]] = []

    def begin_here(self) -> None:
        """What other tests wrote so far is not read again."""
        there = ends(self.environment["HIE_KAFKA_BOOTSTRAP"], [stream.topic for stream in streams()])
        reader = consumer(self.environment["HIE_KAFKA_BOOTSTRAP"], self.group)
        reader.commit(offsets=[TopicPartition(*place, end) for place, (_first, end) in there.items()], asynchronous=False)
        reader.close()

    def start(self, fault: Path | None = None) -> subprocess.Popen[bytes]:
        ready = self.folder / f"ready-{len(self.processes)}"
        argv = [sys.executable, "-m", "tests.hub.routing.worker", self.group, str(ready), *([str(fault)] if fault else [])]
        with (self.folder / f"log-{len(self.processes)}").open("wb") as log:
            process = subprocess.Popen(argv, env=self.environment, stderr=log, stdout=log)
        self.processes.append(process)
        until(lambda: ready.exists() or process.poll() is not None)
        assert process.poll() is None, (self.folder / f"log-{len(self.processes) - 1}").read_text()
        return process

    def stop(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()


def until(true, limit_s: float = LIMIT_S) -> None:
    deadline = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


@pytest.fixture
def workers(routing_settings, tmp_path, empty_index) -> Iterator[Workers]:
    made = Workers(routing_settings, tmp_path)
    made.begin_here()
    yield made
    made.stop()


@pytest.fixture
def producer(routing_settings) -> Iterator[Producer]:
    made = Producer(routing_settings.kafka, wait_s=30)
    yield made
    made.close()


@contextmanager
def deliveries_of(settings, wire, subjects: set[str]):
    """Yields a function that reads on, and tells how often each delivery of these subjects stands in the topic."""
    reader = consumer(settings.kafka, f"test-{uuid.uuid4()}", ["delivery.v1"])
    seen: Counter[tuple[str, str, str]] = Counter()

    def read() -> Counter[tuple[str, str, str]]:
        for message in reader.consume(2000, 0.2):
            assert message.error() is None
            _record, one = wire.unpack(message.value())
            if one["subject_event_id"] in subjects:
                seen[one["subject_event_id"], one["meta"]["event_id"], one["recipient"]] += 1
        return seen

    try:
        yield read
    finally:
        reader.close()


def load(wire, kind: str, count: int):
    """Referrals and results of as many people, none of which any other test sends."""
    run = uuid.uuid4().hex[:8]
    events = []
    for number in range(count):
        who = {"identifiers": [{"type": "PASSPORT", "normalised": f"{run}{number}", "value": ""}]}
        events.append(("referral.v1", referral(slip=f"{kind}{run}{number}", person=who)))
        events.append(("lab-result.v1", result(f"{kind}{run}{number}", person=who, orderer="01004")))
    return [event for _topic, event in events], [event_out(wire, topic, event) for topic, event in events]


def whole(events, seen) -> bool:
    """Each referral reached its receiver, the portal and the payer, each result its orderer and that receiver."""
    return len(seen) >= 2 * len(events) + sum("status" not in event for event in events)


@pytest.mark.parametrize(
    "how", ["kill", pytest.param("fault", marks=pytest.mark.slow), pytest.param("term", marks=pytest.mark.slow)]
)
def test_three_workers_one_broken_in_the_middle_of_a_batch(workers, producer, wire, routing_settings, how, tmp_path):
    events, outs = load(wire, how, 1500)
    marker = tmp_path / "fault"
    broken = workers.start(marker if how == "fault" else None)
    for _ in range(2):
        workers.start()
    with deliveries_of(routing_settings, wire, {event["meta"]["event_id"] for event in events}) as read:
        producer.publish_blocking(outs)
        if how == "fault":
            until(lambda: broken.poll() is not None)
            assert broken.returncode == 1
            assert marker.exists()
        else:
            until(lambda: len(read()) > 50)  # all three are at work
            broken.send_signal(signal.SIGKILL if how == "kill" else signal.SIGTERM)
            broken.wait(30)
            assert broken.returncode == (-signal.SIGKILL if how == "kill" else 0)
        workers.start()
        until(lambda: whole(events, read()))
        seen = read()
    pairs = {(subject, recipient) for subject, _id, recipient in seen}
    wanted = {(event["meta"]["event_id"], event.get("ma_cskcb_den") or "01004") for event in events}
    wanted |= {(event["meta"]["event_id"], "01021" if "status" in event else "portal") for event in events}
    wanted |= {(event["meta"]["event_id"], "vss") for event in events if "status" not in event}
    assert pairs == wanted
    assert len(seen) == len(pairs)  # however often it was said, each has one id


def test_what_is_said_of_a_slip_stands_in_its_payers_topic_and_in_no_others(workers, producer, wire, routing_settings):
    run = uuid.uuid4().hex[:8]
    soldiers, polices = f"Q{run}", f"C{run}"
    soldier, police = person("001090000001", "QN5970012345678"), person("001090000002", "CA5980012345678")
    said = [
        referral("ACCEPTED", slip=soldiers, minute=5),  # before what it answers
        referral(slip=soldiers, person=soldier),
        referral(slip=polices, person=police),
        referral(slip=f"T{run}", person=soldier, test=True),
    ]
    topics = [f"payer.{code}.referral.v1" for code in sorted(payers())]
    reader = consumer(routing_settings.kafka, f"test-{uuid.uuid4()}", topics)
    found: set[tuple[str, str, str]] = set()

    def read() -> set[tuple[str, str, str]]:
        for message in reader.consume(500, 0.2):
            _record, event = wire.unpack(message.value())
            if event["slip"].endswith(run):
                assert (message.key() or b"").decode() == event["meta"]["key"]
                found.add((message.topic(), event["slip"], event["action"]))
        return found

    wanted = {
        ("payer.defence.referral.v1", soldiers, "ACCEPTED"),
        ("payer.defence.referral.v1", soldiers, "ISSUED"),
        ("payer.police.referral.v1", polices, "ISSUED"),
        ("payer.test.referral.v1", f"T{run}", "ISSUED"),
    }
    try:
        workers.start()
        producer.publish_blocking([event_out(wire, "referral.v1", event) for event in said])
        until(lambda: read() >= wanted)
        for _ in range(5):
            read()
    finally:
        reader.close()
    assert found == wanted


@pytest.mark.slow
def test_one_poisoned_key_in_ten_thousand_waits_alone_and_is_released_in_order(
    workers, producer, wire, routing_settings, tmp_path
):
    """The others are routed as if it were not there; what comes while it drains goes behind what waits."""
    run, keys, new = uuid.uuid4().hex[:8], 10_000, "01999"
    others = [referral(slip=f"O{run}.{number}") for number in range(keys)]
    poisoned = [referral("MODIFIED", slip=f"P{run}", minute=minute, to=new, priority=f"{minute}") for minute in range(1, 61)]
    key, topic, database_url = poisoned[0]["meta"]["key"], "referral.v1", routing_settings.database_url.get_secret_value()

    def waiting() -> list[tuple[str, int]]:
        with connect(database_url) as database:
            own = {event["meta"]["key"] for event in [*others, *poisoned]}  # other tests leave theirs in the topic
            return [(row["key"], row["waiting"]) for row in parking.waiting(database) if row["key"] in own]

    def send(events) -> None:
        producer.publish_blocking([event_out(wire, topic, event) for event in events])

    first = workers.start()
    subjects = {event["meta"]["event_id"] for event in [*others, *poisoned]}
    reader = consumer(routing_settings.kafka, f"test-{uuid.uuid4()}", ["delivery.v1"])
    came: list[tuple[str, str]] = []

    def reached(recipient: str) -> list[str]:
        for message in reader.consume(5_000, 0.2):
            _record, one = wire.unpack(message.value())
            came.extend([(one["recipient"], one["subject_event_id"])] if one["subject_event_id"] in subjects else [])
        return [event_id for to, event_id in came if to == recipient]

    try:
        mixed = others[:]
        for number, event in enumerate(poisoned[:40]):
            mixed.insert(number * 200, event)
        send(mixed)
        until(lambda: len(set(reached("01021"))) == keys, limit_s=900)  # a busy machine routes some tens a second
        until(lambda: waiting() == [(key, 40)])
        assert reached(new) == []

        (tmp_path / "facilities.csv").write_text(
            f"code,name,kind,province,valid_from,valid_to,successor\n{new},N,hospital,01,2019-01-01,,\n01021,D,hospital,01,2019-01-01,,\n",
            "utf-8",
        )
        first.send_signal(signal.SIGTERM)
        first.wait(60)
        workers.environment["HIE_DIRECTORY_DIR"] = str(tmp_path)
        send(poisoned[40:45])
        with connect(database_url) as database:
            parking.release(database, producer, wire, topic, key, by="somebody", reason="test")
        send(poisoned[45:50])  # behind what was released, and there when the worker comes to it
        workers.start()
        until(lambda: len(reached(new)) > 0)
        send(poisoned[50:])
        until(lambda: len(set(reached(new))) == len(poisoned))
        until(lambda: waiting() == [])
    finally:
        reader.close()
    assert list(dict.fromkeys(event_id for to, event_id in came if to == new)) == [
        event["meta"]["event_id"] for event in poisoned
    ]


def test_a_stay_arrives_at_its_payer_as_a_claim_and_a_late_charge_as_its_next_revision(
    workers, producer, wire, routing_settings, monkeypatch
):
    monkeypatch.setattr(stay, "MA_LK", f"PQ-{uuid.uuid4().hex[:8]}")
    parts = [stay.admitted(), stay.ordered(), stay.charged(stay.drug(), stay.service(), minute=20), stay.reported()]
    reader = consumer(routing_settings.kafka, f"test-{uuid.uuid4()}", ["payer.vss.claim.v1"])
    key, found = KEYRING.key(stay.HOSPITAL, stay.MA_LK, test=False), []

    def send(*told) -> None:
        producer.publish_blocking([event_out(wire, TOPICS[record], event) for record, event in told])

    def there(count: int) -> bool:
        """So many parts, and the time when they settle."""
        with connect(routing_settings.database_url.get_secret_value()) as database:
            [facts] = database.execute("select count(*) from case_fact where kind = 'claim-part' and ref = %s", [key]).fetchone()
            return facts == count and database.execute("select 1 from due where key = %s", [key]).fetchone() is not None

    def settle() -> None:
        """Three hours are long for a test, and so is the minute in which an encounter settles once."""
        with connect(routing_settings.database_url.get_secret_value()) as database:
            database.execute("delete from case_event")
            database.execute("update due set due_at = now() where key = %s", [key])

    def claims(count: int) -> bool:
        for message in reader.consume(100, 0.2):
            _record, event = wire.unpack(message.value())
            found.extend([event] if event["ma_lk"] == stay.MA_LK else [])
        return len(found) >= count

    try:
        workers.start()
        send(*parts, stay.discharged())
        until(lambda: there(4))
        settle()
        until(lambda: claims(1))
        send(stay.charged(stay.drug("L5", "1", "20000"), minute=700))
        until(lambda: there(5))
        settle()
        until(lambda: claims(2))
    finally:
        reader.close()
    first, second = found
    assert [claim["xml1"]["t_tongchi_bv"] for claim in found] == [64310, 84310]
    assert revision_rank(second["meta"]["revision"]) > revision_rank(first["meta"]["revision"])
    assert second["meta"]["supersedes"] == first["meta"]["event_id"]


@pytest.mark.parametrize("begun", [True, False], ids=["under-way", "not-begun"])
def test_a_batch_that_is_not_routed_when_its_worker_stops_is_not_acknowledged(
    producer, wire, routing_settings, monkeypatch, begun
):
    """Faust closes the generator that handed the batch out while the batch still waits, and acknowledges it then."""
    monkeypatch.setattr("hub.routing.app._DRAIN_S", 0.2)
    group = f"routing-{uuid.uuid4().hex[:8]}"
    producer.publish_blocking(load(wire, "stop", 20)[1])

    class Watched(Worker):
        handed: asyncio.Event

        async def take(self, stream, records) -> None:
            if stream.topic == "referral.v1":
                self.handed.set()
                await super().take(stream, records)

    async def never(_stream, _records) -> None:
        await asyncio.Event().wait()

    async def stopped_with_a_batch_in_hand() -> None:
        worker = Watched(never)
        worker.handed = asyncio.Event()
        if not begun:
            await worker.drain()
        app = build_app(routing_settings, worker, group)
        await app.start()
        try:
            await asyncio.wait_for(worker.handed.wait(), LIMIT_S)
            await worker.drain()
        finally:
            await app.stop()

    asyncio.run(stopped_with_a_batch_in_hand())
    reader = consumer(routing_settings.kafka, group, ["referral.v1"])
    places = [TopicPartition("referral.v1", number) for number in range(12)]
    committed = {place.offset for place in reader.committed(places, timeout=30)}
    reader.close()
    assert committed == {-1001}  # none at all


def test_what_is_dropped_while_partitions_move_is_read_again_though_nothing_of_them_was_ever_committed(
    producer, wire, routing_settings, monkeypatch
):
    _events, outs = load(wire, "dropped", 20)
    producer.publish_blocking(outs)
    there = ends(routing_settings.kafka, [stream.topic for stream in streams()])
    wanted = {place: end for place, (first, end) in there.items() if first < end}
    began: dict[tuple[str, int], int] = {}
    all_began = asyncio.Event()
    fetch, dropped = Consumer._getmany, []

    async def drop_the_first(self: Consumer, **asked):
        fetched = await fetch(self, **asked)
        if fetched and not dropped:
            dropped.extend(fetched)
            self.stop_flow()  # as a rebalance does, which then seeks and lets it flow again
            asyncio.get_running_loop().call_later(1, self.resume_flow)
        return fetched

    async def note(_stream, records) -> None:
        for record in records:
            began.setdefault((record.topic, record.partition), record.offset)
        if began.keys() >= wanted.keys():
            all_began.set()

    async def read_all() -> None:
        app = build_app(routing_settings, Worker(note), f"fresh-{uuid.uuid4().hex[:8]}")
        await app.start()
        try:
            await asyncio.wait_for(all_began.wait(), LIMIT_S)
        finally:
            await app.stop()

    monkeypatch.setattr(Consumer, "_getmany", drop_the_first)
    asyncio.run(read_all())
    assert dropped
    assert began == {place: there[place][0] for place in wanted}


def test_a_result_before_its_order_reaches_the_orderer_by_its_place(workers, producer, wire, routing_settings):
    run = uuid.uuid4().hex
    early, late = result(run), order(run)
    workers.start()
    with deliveries_of(routing_settings, wire, {early["meta"]["event_id"]}) as read:
        producer.publish_blocking([event_out(wire, "lab-result.v1", early)])
        until(lambda: any(recipient == "" for _subject, _id, recipient in read()))
        producer.publish_blocking([event_out(wire, "lab-order.v1", late)])
        until(lambda: any(recipient == "01004" for _subject, _id, recipient in read()))


def test_a_deadline_comes_back_as_an_event_on_its_own_key(workers, producer, wire, routing_settings):
    slip = uuid.uuid4().hex
    issued = referral(slip=slip, expires_on="20261101", issued_on="20261020")
    workers.start()
    reader = consumer(routing_settings.kafka, f"test-{slip}", ["referral.v1"])
    try:
        producer.publish_blocking([event_out(wire, "referral.v1", issued)])
        found: list[tuple[str, str]] = []

        def expired() -> bool:
            for message in reader.consume(1000, 0.2):
                _record, event = wire.unpack(message.value())
                found.extend([(event["action"], message.key().decode())] if event["slip"] == slip else [])
            return ("EXPIRED", issued["meta"]["key"]) in found

        until(expired)
    finally:
        reader.close()


def test_a_deadline_that_lies_ahead_waits(routing_settings, wire, empty_index):
    event = derive(
        "hie.Referral",
        {"action": "EXPIRED", "person": {}, "xml13": {}},
        parents=[referral()],
        rule="x",
        facility="01731",
        key="01731:k",
        revision=referral()["meta"]["revision"],
    )
    with connect(routing_settings.database_url.get_secret_value()) as database:
        for _ in range(2):
            put(database, wire, [Due(now() + timedelta(days=1), "referral.v1", event)])
        assert database.execute("select count(*) from due where due_at > now()").fetchone() == (1,)


def test_a_record_that_the_topic_no_longer_keeps_is_none(routing_settings):
    recaller = Recaller(routing_settings.kafka)
    try:
        assert recaller.read([("audit.v1", 0, 10**9)]) == {}
    finally:
        recaller.close()


def test_many_records_are_read_again_at_once(routing_settings, wire, producer):
    events, outs = load(wire, "recall", 300)
    places: dict[tuple[str, int, int], str] = {}
    with_group = consumer(routing_settings.kafka, f"test-{uuid.uuid4()}", ["lab-result.v1"])
    wanted = {event["meta"]["event_id"] for event in events if "status" in event}
    try:
        producer.publish_blocking(outs)

        def all_seen() -> bool:
            for message in with_group.consume(1000, 0.2):
                event_id = wire.unpack(message.value())[1]["meta"]["event_id"]
                if event_id in wanted:
                    places[message.topic(), message.partition(), message.offset()] = event_id
            return len(places) == len(wanted)

        until(all_seen)
    finally:
        with_group.close()
    recaller = Recaller(routing_settings.kafka)
    try:
        for _ in range(2):
            found = recaller.read([*places, ("lab-result.v1", 3, 10**9)])
            assert {place: wire.unpack(value)[1]["meta"]["event_id"] for place, value in found.items()} == places
    finally:
        recaller.close()


def test_no_broker_is_a_fault_that_can_be_tried_again(monkeypatch):
    monkeypatch.setattr("hub.routing.recall._WAIT_S", 1.0)
    recaller = Recaller("127.0.0.1:1")
    try:
        with pytest.raises(HubError) as fault:
            recaller.read([("audit.v1", 0, 0)])
        assert fault.value.retriable
    finally:
        recaller.close()


def test_the_table_of_streams_has_a_row_for_every_topic_that_is_routed():
    routed = {stream.topic for stream in streams()}
    assert {"referral.v1", "lab-order.v1", "lab-result.v1", "encounter.v1", "follow-up.v1", "claim.v1"} <= routed
    assert {"charge.v1", "prescription.v1", "document.v1", "catalogue-change.v1", "resource-report.v1"} <= routed
    assert {"payer.vss.decision.v1", "payer.test.decision.v1", "claim-decision.v1"} <= routed
