"""The journal on real topics: exact whatever happens to it, one writer at a time, and built anew at will."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from hub.bus import Producer, Wire, consumer, take
from hub.contract.errors import HubError
from hub.contract.settings import Settings
from hub.journal.consumer import Journal, caught_up, index, indexed_topics, lag, rebuild
from hub.journal.places import ends
from hub.journal.reconcile import reconcile
from tests.made import delivery, out, received, referral

LIMIT_S = 60


def until(what, within_s=LIMIT_S):
    deadline = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


@contextmanager
def journal(settings):
    """One that runs in a thread, and is stopped afterwards."""
    one, ready = Journal(settings), threading.Event()
    thread = threading.Thread(target=one.run, args=(lambda _facts: ready.set(),))
    thread.start()
    try:
        yield ready
    finally:
        one.stop.set()
        thread.join(LIMIT_S)
        assert not thread.is_alive()


def write(settings, wire, count):
    """So many messages with their referral and delivery."""
    records, ids = [], []
    for _ in range(count):
        message = received()
        event = referral(message)
        sent = delivery(wire, "hie.Referral", event, "01021")
        records += [out(wire, "referral.v1", event), out(wire, "message-received.v1", message), out(wire, "delivery.v1", sent)]
        ids.append((message["message_id"], event["meta"]["event_id"], sent["meta"]["event_id"]))
    producer = Producer(settings.kafka, wait_s=30)
    producer.publish_blocking(records)
    producer.close()
    return ids


@pytest.fixture
def from_now(database, own_settings, wire):
    """A journal that has read everything so far: other tests' records need not be read again."""
    there = ends(own_settings.kafka, indexed_topics())
    places = [(topic, partition, end, end) for (topic, partition), (_first, end) in there.items()]
    with database.cursor() as cursor:
        cursor.executemany("insert into journal_offset values (%s, %s, %s, %s)", places)


def held(database, ids):
    """How many rows the journal has of each of these."""
    messages, events, deliveries = (list(column) for column in zip(*ids, strict=True))
    counts = [
        database.execute("select count(*) from journal_message where message_id = any(%s::uuid[])", (messages,)).fetchone(),
        database.execute("select count(*) from journal_event where event_id = any(%s::uuid[])", (events,)).fetchone(),
        database.execute("select count(*) from journal_delivery where delivery_id = any(%s::uuid[])", (deliveries,)).fetchone(),
    ]
    return [count for (count,) in counts]


def read(database):
    """How many records were read so far."""
    return database.execute("select coalesce(sum(next_offset), 0) from journal_offset").fetchone()[0]


def unindexed(database):
    return [one.ids for one in reconcile(database).differences if one.name == "record-unindexed"]


def test_it_reads_all_topics_to_their_end_and_says_when(database, own_settings: Settings, wire: Wire):
    before = write(own_settings, wire, 20)
    assert lag(own_settings) >= 60
    assert not caught_up(own_settings)
    with journal(own_settings) as ready:
        assert ready.wait(LIMIT_S)
        until(lambda: caught_up(own_settings))
        assert held(database, before) == [20, 20, 20]
        after = write(own_settings, wire, 20)
        until(lambda: caught_up(own_settings))
        assert held(database, before + after) == [40, 40, 40]
    assert unindexed(database) == []


def test_a_failed_batch_leaves_neither_rows_nor_offsets(database, own_settings, wire, monkeypatch):
    ids = write(own_settings, wire, 3)
    reader = consumer(own_settings.kafka, "test", list(indexed_topics()))
    batch = []
    until(lambda: batch.extend(take(reader, 5000, 0.5)) or len(batch) >= 9)
    reader.close()
    at = {}
    with monkeypatch.context() as patched:
        patched.setattr("hub.journal.consumer._move", lambda *_: (_ for _ in ()).throw(RuntimeError("fault")))
        with pytest.raises(RuntimeError):
            index(database, wire, batch, at)
    assert at == {}
    assert held(database, ids) == [0, 0, 0]
    assert database.execute("select count(*) from journal_offset").fetchone() == (0,)


def test_a_second_journal_waits_until_the_first_is_gone(database, own_settings, wire, from_now):
    with journal(own_settings) as first:
        assert first.wait(LIMIT_S)
        standby, told = Journal(own_settings), threading.Event()
        thread = threading.Thread(target=standby.run, args=(lambda _facts: told.set(),))
        thread.start()
        ids = write(own_settings, wire, 10)
        until(lambda: caught_up(own_settings))
        assert not told.is_set()
    assert told.wait(LIMIT_S)
    ids += write(own_settings, wire, 10)
    until(lambda: caught_up(own_settings))
    standby.stop.set()
    thread.join(LIMIT_S)
    assert held(database, ids) == [20, 20, 20]
    assert unindexed(database) == []


def test_built_anew_it_is_the_same(database, own_settings, wire):
    ids = [one for three in write(own_settings, wire, 5) for one in three]

    def rows():
        tables = {"journal_message": "message_id", "journal_event": "event_id", "journal_delivery": "delivery_id"}
        return [
            database.execute(f"select {table}::text from {table} where {key} = any(%s::uuid[]) order by 1", (ids,)).fetchall()
            for table, key in tables.items()
        ]

    with journal(own_settings):
        until(lambda: caught_up(own_settings))
    first = rows()
    assert [len(found) for found in first] == [5, 5, 5]
    rebuild(own_settings)
    assert database.execute("select count(*) from journal_event").fetchone() == (0,)
    with journal(own_settings):
        until(lambda: caught_up(own_settings))
    assert rows() == first
    assert unindexed(database) == []


def test_a_journal_of_other_topics_begins_anew(database, own_settings, wire):
    ids = write(own_settings, wire, 2)
    database.execute("insert into journal_offset values ('referral.v1', 0, 0, 1000000000000)")
    with journal(own_settings):
        until(lambda: caught_up(own_settings) and held(database, ids) == [2, 2, 2])
    assert unindexed(database) == []


@pytest.mark.parametrize("more", [0, 9])
def test_an_index_ahead_of_one_partition_keeps_what_it_knows_of_all_others(database, own_settings, wire, more):
    """Kafka lost five records of one partition; before and after others have taken their places."""
    ids = write(own_settings, wire, 100)  # so many that one partition has five at least
    with journal(own_settings):
        until(lambda: caught_up(own_settings))
    before = database.execute("select count(*) from journal_event").fetchone()[0]
    topic, partition, end = database.execute(
        "select topic, partition, next_offset from journal_offset where topic = 'referral.v1' order by next_offset desc limit 1"
    ).fetchone()
    database.execute(
        "insert into journal_event select gen_random_uuid(), topic, partition, record_offset + 5, record, message_id, facility, key,"
        " action, revision, rule, causes, recorded_at, test from journal_event"
        " where topic = %s and partition = %s and record_offset >= %s",
        (topic, partition, end - 5),
    )
    database.execute(
        "update journal_offset set next_offset = %s where topic = %s and partition = %s", (end + 5, topic, partition)
    )
    database.execute("update journal_event set rule = 'kept' where topic <> %s or partition <> %s", (topic, partition))
    kept = database.execute("select count(*) from journal_event where rule = 'kept'").fetchone()[0]
    while ends(own_settings.kafka, [topic])[topic, partition][1] < end + more:
        ids += write(own_settings, wire, 20)
    with journal(own_settings) as ready:
        assert ready.wait(LIMIT_S)  # before it has looked at the topics, an index that is ahead seems to have caught up
        until(lambda: caught_up(own_settings) and held(database, ids) == [len(ids)] * 3)
    assert database.execute("select count(*) from journal_event where rule = 'kept'").fetchone()[0] == kept
    assert database.execute("select count(*) from journal_event").fetchone()[0] == before + len(ids) - 100
    assert unindexed(database) == []


def test_a_partition_in_which_kafka_sends_the_reader_back_is_read_once_more_and_no_other(
    database, own_settings, wire, monkeypatch
):
    """It lost its end and has grown beyond it again, so that its length tells nothing."""
    ids = write(own_settings, wire, 40)
    with journal(own_settings):
        until(lambda: caught_up(own_settings) and held(database, ids) == [40, 40, 40])
    reader = consumer(own_settings.kafka, "test", ["referral.v1"])
    earlier = []
    until(lambda: earlier.extend(take(reader, 5000, 0.5)) or earlier)
    reader.close()
    place = (earlier[0].topic(), earlier[0].partition())
    database.execute("update journal_event set rule = 'kept'")
    of_it = "select count(*) filter (where rule = 'kept'), count(*) from journal_event where (topic = %s and partition = %s) = %s"
    [(before, _), (others, _)] = [database.execute(of_it, (*place, own)).fetchone() for own in (True, False)]
    sent_back = [earlier[:1]]
    monkeypatch.setattr("hub.journal.consumer.take", lambda *asked: sent_back.pop() if sent_back else take(*asked))
    with journal(own_settings):
        until(lambda: database.execute(of_it, (*place, True)).fetchone() == (0, before) and caught_up(own_settings))
    assert sent_back == [] and before
    assert database.execute(of_it, (*place, False)).fetchone() == (others, others)
    assert held(database, ids) == [40, 40, 40]
    assert unindexed(database) == []


RUN = """
import sys
from pydantic import SecretStr
from hub.contract.settings import read_settings
from hub.journal.consumer import run
bootstrap, registry, database = sys.argv[1:]
run(read_settings(kafka_bootstrap=bootstrap, registry_url=registry, database_url=database, journal_batch=50), lambda facts: print("ready", flush=True))
print("stopped", flush=True)
"""


@contextmanager
def process(settings):
    arguments = (settings.kafka, settings.registry_url, settings.database_url.get_secret_value())
    child = subprocess.Popen([sys.executable, "-c", RUN, *arguments], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    try:
        yield child
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def test_killed_again_and_again_it_stays_exact(database, own_settings, wire, from_now):
    ids = write(own_settings, wire, 300)
    for _ in range(3):
        with process(own_settings) as child:
            assert child.stdout.readline() == "ready\n"
            before = read(database)
            until(lambda before=before: caught_up(own_settings) or read(database) > before)
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
        ids += write(own_settings, wire, 100)
    with process(own_settings) as child:
        assert child.stdout.readline() == "ready\n"
        until(lambda: caught_up(own_settings))
        child.terminate()
        assert child.stdout.read().endswith("stopped\n")
        assert child.wait(LIMIT_S) == 0
    assert held(database, ids) == [600, 600, 600]
    assert unindexed(database) == []


def test_without_a_database_it_says_so(own_settings):
    gone = own_settings.model_copy(
        update={"database_url": type(own_settings.database_url)("postgresql://nobody@127.0.0.1:1/none")}
    )
    with pytest.raises(HubError) as raised:
        lag(gone)
    assert raised.value.code == "DATABASE_UNAVAILABLE"


def test_it_waits_for_a_database_that_is_away(database, own_settings, wire, from_now):
    """The connection is cut under it: it comes back by itself, and nothing is missing or twice."""
    ids = write(own_settings, wire, 10)
    with journal(own_settings) as ready:
        assert ready.wait(LIMIT_S)
        until(lambda: caught_up(own_settings))
        cut = "select count(pg_terminate_backend(pid)) from pg_locks where locktype = 'advisory' and objid = 7302 and granted and database = (select oid from pg_database where datname = current_database())"
        assert database.execute(cut).fetchone() == (1,)
        ids += write(own_settings, wire, 10)
        until(lambda: caught_up(own_settings))
    assert held(database, ids) == [20, 20, 20]
    assert unindexed(database) == []
