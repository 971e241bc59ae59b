"""One look at real topics and tables: what it counts, what it costs, and what it says when a part of the hub is away."""

import asyncio
from dataclasses import replace
from uuid import UUID

import psycopg
import pytest
from pydantic import SecretStr

from hub.bus import Producer, Wire, apply_topics
from hub.console import kafka_look
from hub.console.sampler import WAITS, Sampler
from hub.contract.events import VIETNAM, now
from hub.store.database import async_pool
from tests.made import out, received, referral
from tests.own_database import own_database


@pytest.fixture(scope="module")
def here(settings):
    """Topics that are there, and a database of this test's own."""
    apply_topics(settings.kafka, Wire(settings.registry_url))
    with own_database(settings.database_url.get_secret_value()) as url:
        yield settings.model_copy(update={"database_url": SecretStr(url)})


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """A busy machine answers late, which is not what these tests are about."""
    monkeypatch.setattr(kafka_look, "_ASK_S", 60.0)


def sampling(settings, work):
    async def run():
        async with async_pool(settings.database_url.get_secret_value(), size=2) as pool:
            await pool.open(wait=False)
            return await work(Sampler(settings, pool))

    return asyncio.run(run())


def publish(settings, count):
    wire, producer = Wire(settings.registry_url), Producer(settings.kafka, wait_s=30)
    try:
        producer.publish_blocking([out(wire, "referral.v1", referral(received())) for _ in range(count)])
    finally:
        producer.close()


def write(settings, *rows):
    with psycopg.connect(settings.database_url.get_secret_value(), autocommit=True) as database:
        for query, values in rows:
            database.execute(query, values)


MESSAGE = """
insert into journal_message (message_id, received_at, day, sender, facility, transport, format, message_type, control_id, verdict, ack,
    problems, events, test, topic, partition, record_offset)
values (%s, %s, %s, 'lab', '01004', 'mllp', 'hl7', 'ORU^R01', 'M1', %s, 'AA', '[]', '{}', %s, 'message-received.v1', 0, 0)"""
DELIVERY = """
insert into journal_delivery (delivery_id, subject_event_id, recipient, rule, record, lane, test, recorded_at, state)
values (%s, %s, %s, 'r', 'hie.Referral', 'routine', false, %s, %s)"""


def test_new_records_are_counted_and_have_a_rate(here):
    async def work(sampler):
        before = (await sampler.sample()).topics["referral.v1"]
        await asyncio.to_thread(publish, here, 5)
        return before, (await sampler.sample()).topics["referral.v1"]

    before, after = sampling(here, work)
    assert after.written - before.written == 5
    assert before.rate is None, "one look alone has no rate"
    assert after.rate > 0


def test_what_the_journal_has_not_read_is_its_lag(here):
    publish(here, 2)
    write(here, ("insert into journal_offset (topic, partition, first_offset, next_offset) values ('referral.v1', 0, 0, 0)", ()))
    seen = sampling(here, lambda sampler: sampler.sample())
    assert seen.lags["journal", "referral.v1"].records == seen.topics["referral.v1"].written >= 2


def test_today_is_counted_from_the_journal_without_test_traffic(here):
    at, day = now(), now().astimezone(VIETNAM).date()
    verdicts = [("translated", False), ("refused", False), ("translated", True)]
    write(here, *[(MESSAGE, (UUID(int=n), at, day, verdict, test)) for n, (verdict, test) in enumerate(verdicts)])
    write(here, *[(DELIVERY, (UUID(int=n), UUID(int=n), to, at, state)) for n, (to, state) in enumerate(
        [("01021", "ACKNOWLEDGED"), ("01021", "QUEUED"), ("", ""), ("01021", "HELD")])])  # fmt: skip
    seen = sampling(here, lambda sampler: sampler.sample())
    assert seen.today == {"received": 2, "translated": 1, "refused": 1, "quarantined": 0, "delivered": 1}
    assert {name: seen.waits[name].count for name in WAITS} == {
        "queued": 1,
        "held": 1,
        "under way": 0,
        "parked": 0,
        "dead": 0,
        "paused": 0,
        "due": 0,
    }
    assert seen.waits["queued"].oldest == at


def test_without_a_broker_the_rest_goes_on_and_it_is_known_since_when(here, monkeypatch):
    monkeypatch.setattr(kafka_look, "_ASK_S", 1.0)
    away = here.model_copy(update={"kafka_bootstrap": SecretStr("127.0.0.1:1")})

    async def work(sampler):
        return await sampler.sample(), await sampler.sample()

    first, second = sampling(away, work)
    assert set(first.faults) == {"kafka"}
    assert second.faults == first.faults, "since the first time, not the last"
    assert second.today, "PostgreSQL still answers"


def test_without_a_database_offsets_are_still_read(here):
    away = here.model_copy(update={"database_url": SecretStr("postgresql://nobody@127.0.0.1:1/none")})
    seen = sampling(away, lambda sampler: sampler.sample())
    assert set(seen.faults) == {"database"}
    assert "referral.v1" in seen.topics
    assert seen.waits == {}


def test_samples_are_taken_only_while_somebody_looks(here):
    async def work(sampler):
        told, came = [], asyncio.Event()

        def hear(seen):
            told.append(seen)
            came.set()

        sampler.begin(hear)
        await asyncio.wait_for(came.wait(), 60)
        running = sampler._task
        sampler.end(hear)
        await asyncio.sleep(0)
        return told, running, sampler._task

    told, running, after = sampling(here, work)
    assert told[0].at is not None
    assert running.cancelled() or running.cancelling()
    assert after is None


def looking(monkeypatch):
    """Every look, instead of one at servers. Returns: how many there were."""
    looks = []

    async def look(sampler):
        looks.append(1)
        await asyncio.sleep(0.02)
        sampler.now = replace(sampler.now, at=now())
        return sampler.now

    monkeypatch.setattr(Sampler, "_sample", look)
    return looks


def test_many_pages_that_open_at_once_look_once(monkeypatch):
    looks = looking(monkeypatch)

    async def work():
        sampler = Sampler(None, None)
        await asyncio.gather(*(sampler.fresh() for _ in range(20)))

    asyncio.run(work())
    assert len(looks) == 1


def test_a_page_that_cannot_be_told_keeps_nothing_from_the_others(monkeypatch):
    looking(monkeypatch)

    def broken(_seen):
        raise RuntimeError

    async def work():
        sampler, told = Sampler(None, None), asyncio.Event()
        heard = [broken, lambda _seen: told.set()]
        sampler._watchers = dict.fromkeys(heard)  # in this order
        task = asyncio.create_task(sampler._run())
        await asyncio.wait_for(told.wait(), 10)
        task.cancel()

    asyncio.run(work())


def test_a_figure_that_takes_long_is_asked_for_more_rarely(here):
    async def work(sampler):
        async with sampler.pool.connection() as database:
            slow = await sampler._asked(database, "slow", "select 1 from pg_sleep(0.3)")
            return slow, await sampler._asked(database, "slow", "select 1 from pg_sleep(0.3)")

    assert sampling(here, work) == ((1,), None)


def test_a_sample_costs_little(here):
    """A bound that a mistake breaks (a request a partition), with room for a busy machine."""

    async def work(sampler):
        costs = []
        for _ in range(8):
            await sampler.sample()
            costs.append(sampler.cost_s)
        return sorted(costs)[len(costs) // 2]

    cost = sampling(here, work)
    print(f"a sample costs {cost * 1000:.1f} ms of a core")
    assert cost < 0.1
