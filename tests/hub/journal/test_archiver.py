"""The archiver on real topics: every record once, byte for byte, whatever happens to it; and the index built anew from it."""

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import date, timedelta

import duckdb
import pytest
from confluent_kafka import Message, TopicPartition
from confluent_kafka.admin import AdminClient

from hub.bus import Producer, consumer
from hub.contract.errors import HubError
from hub.contract.events import now
from hub.contract.kafka import client
from hub.contract.topics import topics
from hub.journal.archive import Archive, checksum
from hub.journal.archiver import Archiver, waiting
from hub.journal.consumer import caught_up, indexed_topics, rebuild
from hub.journal.places import ends, topic_ids
from hub.journal.verify import verify
from tests.hub.journal.test_consumer import LIMIT_S, journal, until, write
from tests.hub.journal.test_consumer import held as held_by_index
from tests.made import out, received

MESSAGES = "message-received.v1"


@pytest.fixture
def own_archive(own_settings, wire, tmp_path):
    """An archive of the test's own, of everything that the topics hold."""
    return own_settings.model_copy(update={"archive_dir": tmp_path / "archive", "archive_wait_s": 0.5, "data_dir": tmp_path})


@contextmanager
def archiver(settings):
    one, ready = Archiver(settings), threading.Event()
    thread = threading.Thread(target=one.run, args=(lambda _facts: ready.set(),))
    thread.start()
    try:
        assert ready.wait(LIMIT_S)
        yield one
    finally:
        one.stop.set()
        thread.join(LIMIT_S)
        assert not thread.is_alive()


def held(settings):
    """Place to bytes of every record of the archive; a record that is there twice breaks it."""
    archive = Archive.open(settings.archive)
    found = {}
    for topic, partition, offset, at, key, value in archive.select(
        "topic, kafka_partition, kafka_offset, recorded_at, key, value", archive.files()
    ):
        assert (topic, partition, offset) not in found
        found[topic, partition, offset] = (round(at.timestamp() * 1000), key, value)
    return found


def in_kafka(settings, archived):
    """The same of what the topics hold, of the places that are archived."""
    found = {}
    reader = consumer(settings.kafka, "test-archive")
    reader.assign([TopicPartition(topic, partition, first) for (topic, partition), (first, _end) in there(settings).items()])
    wanted = sum(end - first for first, end in there(settings).values())

    def read():
        for message in reader.consume(5000, 0.5):
            found[message.topic(), message.partition(), message.offset()] = (
                message.timestamp()[1],
                message.key(),
                message.value(),
            )
        return len(found) >= wanted

    until(read)
    reader.close()
    return {place: value for place, value in found.items() if place in archived}


def records_are_whole(settings):
    """Other tests of the session leave messages whose bodies are gone; of records nothing may be missing, twice or damaged."""
    found = verify(settings)
    assert not any(one.missing or one.twice or one.damaged or one.ahead for one in found.topics), found
    return found


def there(settings):
    return ends(settings.kafka, topics())


def test_every_record_is_kept_byte_for_byte_for_its_user_alone(own_archive, wire):
    write(own_archive, wire, 20)
    assert waiting(own_archive) >= 60
    umask = os.umask(0o077)
    try:
        with archiver(own_archive):
            until(lambda: waiting(own_archive) == 0)
    finally:
        os.umask(umask)
    archived = held(own_archive)
    assert archived == in_kafka(own_archive, archived)
    assert len(archived) == sum(end - first for first, end in there(own_archive).values())
    found = records_are_whole(own_archive)
    assert sum(one.records for one in found.topics) == len(archived)
    for path in own_archive.archive.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert stat.S_IMODE(own_archive.archive.stat().st_mode) == 0o700
    assert list((own_archive.archive / "schemas").glob("*.avsc"))


RUN = """
import sys
from pathlib import Path
from hub.contract.settings import read_settings
from hub.journal.archiver import run
bootstrap, registry, folder, most = sys.argv[1:]
run(read_settings(kafka_bootstrap=bootstrap, registry_url=registry, archive_dir=Path(folder), archive_wait_s=0.05, archive_batch_bytes=int(most)), lambda facts: print("ready", flush=True))
print("stopped", flush=True)
"""


@contextmanager
def process(settings, batch_bytes=20_000):
    arguments = (settings.kafka, settings.registry_url, str(settings.archive), str(batch_bytes))
    child = subprocess.Popen([sys.executable, "-c", RUN, *arguments], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    try:
        yield child
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def test_killed_again_and_again_it_has_no_gap_and_nothing_twice(own_archive, wire):
    for round_ in range(4):
        write(own_archive, wire, 150)
        with process(own_archive) as child:
            assert child.stdout.readline() == "ready\n"
            before = waiting(own_archive)
            until(lambda before=before: waiting(own_archive) < before or waiting(own_archive) == 0)
            time.sleep(0.03 * round_)
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
    with process(own_archive) as child:
        assert child.stdout.readline() == "ready\n"
        until(lambda: waiting(own_archive) == 0)
        child.terminate()
        assert child.stdout.read().endswith("stopped\n")
    archived = held(own_archive)
    assert archived == in_kafka(own_archive, archived)
    records_are_whole(own_archive)


def test_a_second_archiver_waits_until_the_first_is_gone(own_archive, wire):
    with archiver(own_archive):
        standby, told = Archiver(own_archive), threading.Event()
        thread = threading.Thread(target=standby.run, args=(lambda _facts: told.set(),))
        thread.start()
        write(own_archive, wire, 5)
        until(lambda: waiting(own_archive) == 0)
        assert not told.is_set()
    assert told.wait(LIMIT_S)
    standby.stop.set()
    thread.join(LIMIT_S)
    records_are_whole(own_archive)


def test_the_index_is_the_same_when_built_anew_after_the_topics_have_expired(database, own_archive, wire):
    """The topics are cut off: what was written before is in the archive only. Then more comes, while the hub runs."""
    write(own_archive, wire, 30)
    with journal(own_archive), archiver(own_archive):
        until(lambda: caught_up(own_archive) and waiting(own_archive) == 0)
        cut = {place: end for place, (_first, end) in there(own_archive).items() if place[0] in indexed_topics()}
        admin = AdminClient(client(own_archive.kafka))
        gone = admin.delete_records([TopicPartition(*place, offset) for place, offset in cut.items()])
        assert all(future.result(30) for future in gone.values())
        write(own_archive, wire, 10)
        until(lambda: caught_up(own_archive) and waiting(own_archive) == 0)
        before = rows(database)
        assert len(before["journal_message"]) >= 40
        assert rebuild(own_archive) >= 90
        until(lambda: caught_up(own_archive))
        until(lambda: rows(database) == before)
    records_are_whole(own_archive)


def test_a_rebuild_that_is_killed_is_completed_by_the_journal(database, own_archive, wire):
    """After the cut of the test before, the topics are not whole: an empty index is filled from the archive by who starts next."""
    write(own_archive, wire, 3)
    with archiver(own_archive), journal(own_archive):
        until(lambda: waiting(own_archive) == 0 and caught_up(own_archive))
    before = rows(database)
    cut = {place: end for place, (_first, end) in there(own_archive).items() if place[0] in indexed_topics()}
    admin = AdminClient(client(own_archive.kafka))
    for future in admin.delete_records([TopicPartition(*place, offset) for place, offset in cut.items()]).values():
        future.result(30)
    database.execute(
        "truncate journal_offset, journal_undecodable, journal_message, journal_event, journal_delivery, journal_receipt, journal_dead_letter"
    )
    with journal(own_archive) as ready:
        assert ready.wait(LIMIT_S)
        until(lambda: rows(database) == before)


def test_an_index_that_nothing_could_replace_is_not_thrown_away(database, own_archive, wire):
    """The topics are cut off, and there is no archive of what was in them."""
    write(own_archive, wire, 3)
    with journal(own_archive):
        until(lambda: caught_up(own_archive))
    cut = {place: end for place, (_first, end) in there(own_archive).items() if place[0] in indexed_topics()}
    admin = AdminClient(client(own_archive.kafka))
    for future in admin.delete_records([TopicPartition(*place, offset) for place, offset in cut.items()]).values():
        future.result(30)
    before = rows(database)
    with pytest.raises(HubError) as raised:
        rebuild(own_archive)
    assert raised.value.code == "INDEX_IRREPLACEABLE"
    assert rows(database) == before
    assert rebuild(own_archive, anyway=True) == 0
    assert rows(database) != before


def test_an_archive_that_cannot_be_read_costs_neither_the_index_nor_what_is_new(database, own_archive, wire):
    write(own_archive, wire, 3)
    with archiver(own_archive), journal(own_archive):
        until(lambda: waiting(own_archive) == 0 and caught_up(own_archive))
    cut = {place: end for place, (_first, end) in there(own_archive).items() if place[0] in indexed_topics()}
    admin = AdminClient(client(own_archive.kafka))
    for future in admin.delete_records([TopicPartition(*place, offset) for place, offset in cut.items()]).values():
        future.result(30)
    for path in own_archive.archive.glob("records/topic=referral.v1/**/*.parquet"):
        path.write_bytes(b"no parquet")
    before = rows(database)
    for anyway in (False, True):
        with pytest.raises(HubError) as raised:
            rebuild(own_archive, anyway=anyway)
        assert raised.value.code == "ARCHIVE_UNAVAILABLE"
        assert rows(database) == before
    database.execute("truncate journal_offset, journal_message, journal_event, journal_delivery")  # as if it had been lost
    ids = write(own_archive, wire, 2)
    with journal(own_archive):
        until(lambda: held_by_index(database, ids) == [2, 2, 2])
    messages = {row[0] for row in before["journal_message"]}
    assert messages <= {row[0] for row in rows(database)["journal_message"]}  # one topic's fault keeps back no other's


def rows(database):
    tables = (
        "journal_message",
        "journal_event",
        "journal_delivery",
        "journal_receipt",
        "journal_dead_letter",
        "journal_undecodable",
    )
    return {table: database.execute(f"select {table}::text from {table} order by 1").fetchall() for table in tables}


def test_compacted_it_holds_the_same_and_old_days_go(own_archive, wire):
    write(own_archive, wire, 10)
    with archiver(own_archive):
        until(lambda: waiting(own_archive) == 0)
        write(own_archive, wire, 10)
        until(lambda: waiting(own_archive) == 0)
    before, archive = held(own_archive), Archive.made(own_archive.archive)
    many = len(archive.files())
    archive.tidy(3650, now().date())
    assert len(archive.files()) <= many
    assert len({(one["topic"], one["day"]) for one in archive.files()}) == len(archive.files())
    assert held(own_archive) == before
    place = (topic_ids(own_archive.kafka)[MESSAGES], 0)
    reached = archive.next_offset(*place)
    later, every_day = now().date() + timedelta(days=3), [(date.min, date.max)]
    for periods in (every_day, None):  # legal holds; or nobody could be asked for them
        archive.tidy(1, later, lambda found=periods: found)
        assert held(own_archive) == before
    archive.tidy(1, later, lambda: [(date.min, date(2000, 1, 1)), (later, date.max)])
    assert held(own_archive) == {}
    assert Archive.open(own_archive.archive).next_offset(*place) == reached  # it does not begin again


def test_a_body_of_the_raw_store_is_kept_with_its_message(own_archive, wire):
    from adapters.inbound.raw_store import RawStore, raw_hash

    body = b"MSH|" + b"x" * 5000
    name = RawStore(own_archive.data_dir / "raw").put(body, raw_hash(body))
    message = received(at=now()) | {"raw": b"", "raw_ref": name, "raw_size": len(body)}
    producer = Producer(own_archive.kafka, wait_s=30)
    producer.publish_blocking([out(wire, MESSAGES, message)])
    producer.close()
    with archiver(own_archive):
        until(lambda: waiting(own_archive) == 0)
    (own_archive.data_dir / "raw" / name).unlink()
    assert (own_archive.archive / "raw" / name).read_bytes() == body
    before = verify(own_archive)
    (own_archive.archive / "raw" / name).unlink()
    found = verify(own_archive)
    assert found.raw_missing == before.raw_missing + 1 and not found.whole


def stored(folder, *messages):
    """An archive of these, without Kafka."""
    archive = Archive.made(folder)
    archive.append(messages, {"claim.v1": "id"}, {})
    return archive


def record(offset, value=b"value"):
    return Message(
        topic="claim.v1",
        partition=3,
        offset=offset,
        key=b"k",
        value=value,
        headers=[("a", b"1"), ("b", None)],
        timestamp=(1, 1_772_415_000_123),
    )


def test_a_record_comes_back_as_it_was(tmp_path):
    archive = stored(tmp_path, record(7), record(8, None), record(9, b""))
    [[first, second, third]] = list(archive.records("claim.v1", "id", 3, 7))
    assert (first.key(), first.value(), first.headers(), first.timestamp()) == (
        b"k",
        b"value",
        [("a", b"1"), ("b", None)],
        (1, 1_772_415_000_123),
    )
    assert (second.value(), third.value(), third.offset()) == (None, b"", 9)
    assert [one.offset() for page in archive.records("claim.v1", "id", 3, 9) for one in page] == [9]
    assert list(archive.records("claim.v1", "another id", 3)) == []
    assert archive.at("claim.v1", "id", 3, 8).offset() == 8
    assert archive.at("claim.v1", "id", 3, 10) is None
    assert archive.next_offset("id", 3) == 10


def test_nothing_can_move_from_one_part_of_a_record_to_the_next():
    sums = {
        checksum("t", 0, 1, 2, b"a", b"b", []),
        checksum("t", 0, 1, 2, b"ab", b"", []),
        checksum("t", 0, 1, 2, b"ab", None, []),
        checksum("t", 0, 1, 2, b"", b"ab", []),
        checksum("t", 0, 1, 2, b"a", b"", [("", b"b")]),
        checksum("t", 0, 1, 2, b"a", b"", [("b", b"")]),
        checksum("t", 0, 12, 2, b"a", b"b", []),
    }
    assert len(sums) == 7


@pytest.mark.parametrize(
    ("change", "told"), [("value = 'other'::blob", "damaged"), ("kafka_offset = 8", "twice"), ("kafka_offset = 20", "missing")]
)
def test_verify_tells_what_is_wrong(own_archive, change, told):
    archive = stored(own_archive.archive, record(7), record(8), record(9))
    [file] = archive.files()
    path = own_archive.archive / "records" / file["path"]
    with duckdb.connect() as sql:
        sql.execute("create table held as select * from read_parquet(?, hive_partitioning = false)", [str(path)])
        sql.execute(f"update held set {change} where kafka_offset = 9")
        sql.execute(f"copy held to '{path}' (format parquet)")
    found = verify(own_archive)
    [row] = [one for one in found.topics if one.records]
    assert getattr(row, told) == {"damaged": 1, "twice": 1, "missing": 11}[told]
    assert not found.whole and found.places


def lost(settings, place, count):
    """As if Kafka had held so many records more at the end of a partition, and lost them once they were archived."""
    (topic, partition), (_first, end) = place, there(settings)[place]
    gone = [
        Message(
            topic=topic, partition=partition, offset=end + at, key=b"k", value=b"lost %d" % at, timestamp=(1, 1_772_415_000_123)
        )
        for at in range(count)
    ]
    Archive.made(settings.archive).append(gone, topic_ids(settings.kafka), {})
    return {(topic, partition, end + at): b"lost %d" % at for at in range(count)}


@pytest.mark.parametrize("more", [2, 9])
def test_what_has_the_places_of_records_that_kafka_lost_is_archived_too(own_archive, wire, more):
    """Before and after the topic has grown over the place where the archive ended."""
    before = there(own_archive)
    write(own_archive, wire, 20)
    with archiver(own_archive):
        until(lambda: waiting(own_archive) == 0)
    [place] = [place for place, both in there(own_archive).items() if place[0] == MESSAGES and both != before[place]]
    end, gone = there(own_archive)[place][1], lost(own_archive, place, 5)
    write(own_archive, wire, more)  # of one facility, so that they are in one partition
    assert there(own_archive)[place][1] == end + more
    found = verify(own_archive)
    [row] = [one for one in found.topics if one.ahead]
    assert (row.topic, row.ahead, row.waiting >= more, found.whole) == (MESSAGES, 5, True, False)
    assert f"{MESSAGES}/{place[1]}/{end}-{end + 5}" in found.places
    with archiver(own_archive):
        until(lambda: waiting(own_archive) == 0)
    archive, topic_id = Archive.open(own_archive.archive), topic_ids(own_archive.kafka)[MESSAGES]
    now_there = {
        (one.topic(), place[1], one.offset()): (one.timestamp()[1], one.key(), one.value())
        for page in archive.records(MESSAGES, topic_id, place[1])
        for one in page
    }
    assert len(now_there) == archive.next_offset(topic_id, place[1]) - there(own_archive)[place][0]
    assert now_there == {at: value for at, value in in_kafka(own_archive, now_there).items() if at in now_there}
    every = [one.value() for page in archive.records(MESSAGES, topic_id, place[1], lost=True) for one in page]
    assert len(every) == len(now_there) + 5 and set(gone.values()) <= set(every)  # a replay reads them
    found = verify(own_archive)
    assert [(one.topic, one.lost) for one in found.topics if one.lost] == [(MESSAGES, 5)] and not any(
        one.missing or one.twice or one.ahead for one in found.topics
    )


def test_records_that_are_lost_twice_are_kept_twice(tmp_path):
    archive = stored(tmp_path, record(7), record(8), record(9))
    for number in range(2):
        archive.set_aside("claim.v1", "id", 3, 8)
        assert archive.next_offset("id", 3) == 8
        archive.append([record(8, b"anew %d" % number)], {"claim.v1": "id"}, {})
    values = [
        [one.value() for page in archive.records("claim.v1", "id", 3, lost=every) for one in page] for every in (False, True)
    ]
    assert values[0] == [b"value", b"anew 1"] and sorted(values[1]) == sorted([b"value"] * 3 + [b"anew 0", b"anew 1"])
    archive.set_aside("claim.v1", "id", 3, 9)  # of which there is none
    assert archive.next_offset("id", 3) == 9
