"""Mailboxes: once each, numbered without gaps, no reader ever misses one, and a crash changes nothing of that."""

import asyncio
import random
import subprocess
import sys
import time
from datetime import date, timedelta
from uuid import UUID

import pytest
from psycopg import AsyncConnection

from adapters.outbound.mailbox import Batch, Intake, Letter, make_days, put, read_batch, read_delivery
from adapters.outbound.receipts import Teller
from hub.bus import Producer, Wire, consumer, event_out, take
from hub.contract.errors import HubError
from hub.contract.events import new_id, now
from hub.store.database import async_pool
from tests.made import Log, delivery, out, received, referral, unique

LIMIT_S = 60


def letter(box: str, number: int = 0, *, lane: str = "routine", key: str = "01731:k") -> Letter:
    delivery_id = UUID(new_id("test", box, str(number)))
    return Letter(
        mailbox=box,
        delivery_id=delivery_id,
        event_id=delivery_id,
        record="hie.Referral",
        subject_key=key,
        lane=lane,
        rule="referral-to-receiver",
        facility="01731",
        message_id="",
        test=box.endswith("!test"),
        body=b"\x00",
    )


async def stored(url, *letters):
    async with await AsyncConnection.connect(url) as connection:
        await make_days(connection, now().date() - timedelta(days=1), 3)
        async with connection.transaction():
            return await put(connection, list(letters), now())


def seqs(database, box):
    return [row[0] for row in database.execute("select seq from mailbox where recipient = %s order by seq", (box,))]


# --- what is for a mailbox --------------------------------------------------------------------------------------------


def test_a_delivery_becomes_a_letter_of_its_recipient(wire: Wire):
    event = referral(received())
    sent = delivery(wire, "hie.Referral", event, "01021", lane="urgent")
    found, readable = read_delivery(wire, wire.pack("delivery.v1", sent))
    assert readable
    assert (found.mailbox, found.lane, found.rule) == ("01021", "urgent", "referral-to-receiver")
    assert (str(found.delivery_id), str(found.event_id)) == (sent["meta"]["event_id"], event["meta"]["event_id"])
    assert found.subject_key == event["meta"]["key"]


def test_test_traffic_has_mailboxes_of_its_own(wire: Wire):
    sent = delivery(wire, "hie.Referral", referral(received(test=True)), "01021")
    found, _ = read_delivery(wire, wire.pack("delivery.v1", sent))
    assert (found.mailbox, found.test) == ("01021!test", True)


def test_what_nobody_is_addressed_in_and_what_a_payer_reads_elsewhere_stay_out(wire: Wire):
    event = referral(received())
    nobody = delivery(wire, "hie.Referral", event, "", rule="repeat")
    payer = delivery(wire, "hie.Referral", event, "vss", rule="claim-to-payer", body=b"")
    assert read_delivery(wire, wire.pack("delivery.v1", nobody)) is None
    assert read_delivery(wire, wire.pack("delivery.v1", payer)) is None


def test_what_cannot_be_read_is_sorted_out(wire: Wire):
    log, event = Log(wire), referral(received())
    good = delivery(wire, "hie.Referral", event, "01021")
    bodiless = delivery(wire, "hie.Referral", event, "01004", body=b"")
    odd_id = delivery(wire, "hie.Referral", event, "01004", subject_event_id="no id")
    other = wire.pack("message-received.v1", received())
    values = [wire.pack("delivery.v1", one) for one in (good, bodiless, odd_id)] + [b"junk", None, other]
    batch: Batch = read_batch(wire, [log.value("delivery.v1", value) for value in values])
    assert [str(one.delivery_id) for one in batch.letters] == [good["meta"]["event_id"]]
    assert [str(one.delivery_id) for one in batch.discarded] == [bodiless["meta"]["event_id"]]
    assert [message.offset() for message in batch.unreadable] == [1, 2, 3, 4, 5]


# --- the tables -------------------------------------------------------------------------------------------------------


def test_numbers_follow_each_other_per_recipient(database, database_url):
    one, two = unique("A"), unique("B")
    asyncio.run(stored(database_url, letter(one, 1), letter(two, 1), letter(one, 2)))
    asyncio.run(stored(database_url, letter(one, 3), letter(two, 2)))
    assert (seqs(database, one), seqs(database, two)) == ([1, 2, 3], [1, 2])


def test_a_repeat_is_absorbed_in_the_batch_and_across_batches(database, database_url):
    box = unique("A")
    first = asyncio.run(stored(database_url, letter(box, 1), letter(box, 1), letter(box, 2)))
    again = asyncio.run(stored(database_url, letter(box, 2), letter(box, 1), letter(box, 3)))
    assert ([one.delivery_id for one in first], len(again)) == ([letter(box, 1).delivery_id, letter(box, 2).delivery_id], 1)
    assert seqs(database, box) == [1, 2, 3]
    assert database.execute("select count(*) from receipt_outbox where recipient = %s", (box,)).fetchone() == (3,)


def test_what_is_rolled_back_leaves_no_gap(database, database_url):
    box = unique("A")

    async def failing():
        async with await AsyncConnection.connect(database_url) as connection:
            await make_days(connection, now().date() - timedelta(days=1), 3)
            async with connection.transaction(force_rollback=True):
                await put(connection, [letter(box, 1)], now())

    asyncio.run(failing())
    assert database.execute("select count(*) from delivery_seen where recipient = %s", (box,)).fetchone() == (0,)
    asyncio.run(stored(database_url, letter(box, 1)))
    assert seqs(database, box) == [1]


def test_days_are_made_by_several_at_once(database, database_url):
    async def make(first):
        async with await AsyncConnection.connect(database_url) as connection:
            await make_days(connection, first, 3)

    async def all_at_once():
        await asyncio.gather(*(make(date(2031, 1, 1) + timedelta(days=number % 3)) for number in range(12)))

    asyncio.run(all_at_once())
    made = "select count(*) from pg_inherits where inhparent = 'mailbox'::regclass and inhrelid::regclass::text like 'mailbox_203101%'"
    assert database.execute(made).fetchone() == (6,)


def test_a_reader_misses_nothing_while_eight_writers_commit(database, database_url):
    """Writers hold their transactions open for a while; the reader follows its cursor all the time."""
    boxes = [unique("R") for _ in range(3)]
    each, writers = 25, 8

    async def write(writer: int, left: list[int]) -> None:
        chance = random.Random(writer)
        async with await AsyncConnection.connect(database_url) as connection:
            for number in range(each):
                mixed = [letter(box, writer * 1000 + number) for box in chance.sample(boxes, 3)]
                async with connection.transaction():
                    await put(connection, mixed, now())
                    await asyncio.sleep(chance.random() * 0.01)
        left.remove(writer)

    async def read(box: str, left: list[int]) -> list[int]:
        seen: list[int] = []
        async with await AsyncConnection.connect(database_url, autocommit=True) as connection:
            while True:
                over = not left
                cursor = seen[-1] if seen else 0
                rows = await connection.execute(
                    "select seq from mailbox where recipient = %s and seq > %s order by seq", (box, cursor)
                )
                seen += [row[0] async for row in rows]
                if over:
                    return seen

    async def all_of_it():
        left = list(range(writers))
        await stored(database_url)
        results = await asyncio.gather(*(write(one, left) for one in range(writers)), *(read(box, left) for box in boxes))
        return results[writers:]

    for seen in asyncio.run(all_of_it()):
        assert seen == list(range(1, each * writers + 1))


# --- from Kafka -------------------------------------------------------------------------------------------------------


def publish(settings, records):
    producer = Producer(settings.kafka, wait_s=30)
    producer.publish_blocking(records)
    producer.close()


def deliveries(wire, box, count):
    return [delivery(wire, "hie.Referral", referral(received()), box) for _ in range(count)]


def read_topic(settings, topic, enough):
    """Values of a topic, until they are enough."""
    reader = consumer(settings.kafka, unique("test-read-"), [topic])
    found = []
    deadline = time.monotonic() + LIMIT_S
    while not enough(found) and time.monotonic() < deadline:
        found += take(reader, 5000, 0.5)
    reader.close()
    assert enough(found)
    return found


def receipts_of(settings, wire, ids, state="QUEUED"):
    """Receipts of these deliveries, once each has one of that state."""

    def of_mine(messages):
        events = [wire.unpack(message.value())[1] for message in messages]
        return [one for one in events if one["delivery_id"] in ids and one["state"] == state]

    messages = read_topic(settings, "receipt.v1", lambda found: {one["delivery_id"] for one in of_mine(found)} == ids)
    return of_mine(messages)


def all_told(database) -> bool:
    """No receipt waits to be published."""
    return database.execute("select count(*) from receipt_outbox").fetchone() == (0,)


async def carried(settings, wire, group, enough):
    """Run the intake and the teller until it is enough."""
    async with async_pool(settings.database_url.get_secret_value()) as pool:
        producer = Producer(settings.kafka, wait_s=30)
        teller = Teller(pool, wire, producer)
        tasks = [
            asyncio.create_task(work)
            for work in (Intake(settings, pool, wire, producer, teller, group=group).run(), teller.run())
        ]
        deadline = time.monotonic() + LIMIT_S
        while not enough() and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
            assert not [task for task in tasks if task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        producer.close()
    assert enough()


def test_deliveries_come_in_order_and_their_receipts_go_out(database, own_settings, wire, group):
    box, name = unique("A"), group()
    sent = deliveries(wire, box, 50)
    publish(own_settings, [out(wire, "delivery.v1", one) for one in sent])
    asyncio.run(carried(own_settings, wire, name, lambda: len(seqs(database, box)) == 50 and all_told(database)))
    rows = database.execute("select delivery_id::text, state from mailbox where recipient = %s order by seq", (box,)).fetchall()
    assert rows == [(one["meta"]["event_id"], "QUEUED") for one in sent]
    receipts = receipts_of(own_settings, wire, {one["meta"]["event_id"] for one in sent})
    assert len(receipts) == 50
    assert {one["recipient"] for one in receipts} == {box}


def test_a_replay_of_the_topic_changes_nothing(database, own_settings, wire, group):
    box, first, second = unique("A"), group(), group()
    marker = unique("Z")
    publish(own_settings, [out(wire, "delivery.v1", one) for one in deliveries(wire, box, 20) + deliveries(wire, marker, 1)])
    for name in (first, second):
        database.execute("delete from delivery_seen where recipient = %s", (marker,))
        before = len(seqs(database, marker))
        asyncio.run(carried(own_settings, wire, name, lambda before=before: len(seqs(database, marker)) > before))
    assert seqs(database, box) == list(range(1, 21))


def test_a_body_nobody_can_read_is_a_dead_letter_with_its_bytes_and_its_delivery_is_discarded(
    database, own_settings, wire, group
):
    box, name = unique("A"), group()
    [good] = deliveries(wire, box, 1)
    bad = delivery(wire, "hie.Referral", referral(received()), box, body=b"\x00\x00\x00\x00\x01broken")
    record = event_out(wire, "delivery.v1", bad)
    publish(own_settings, [record, event_out(wire, "delivery.v1", good)])
    asyncio.run(carried(own_settings, wire, name, lambda: seqs(database, box) == [1] and all_told(database)))
    receipts = receipts_of(own_settings, wire, {bad["meta"]["event_id"]}, "DISCARDED")
    assert {one["code"] for one in receipts} == {"BODY_UNDECODABLE"}

    def of_mine(messages):
        letters = [wire.unpack(message.value())[1] for message in messages]
        return [one for one in letters if one["body"] == record.value]

    [dead] = {one["id"]: one for one in of_mine(read_topic(own_settings, "dead-letter.v1", of_mine))}.values()
    assert (dead["stage"], dead["topic"], dead["code"]) == ("mailbox", "delivery.v1", "BODY_UNDECODABLE")


STAGED = """
import asyncio, os, signal, sys
from adapters.outbound import mailbox, receipts
from hub.bus import Producer, Wire
from hub.contract.settings import read_settings
from hub.store.database import async_pool
bootstrap, registry, database, group, stage = sys.argv[1:]
settings = read_settings(kafka_bootstrap=bootstrap, registry_url=registry, database_url=database, mailbox_batch=40)

def die(*_): os.kill(os.getpid(), signal.SIGKILL)

class Dying:
    left = 2
    async def publish(self, records):
        if records and records[0].topic == "receipt.v1":
            await asyncio.sleep(0)
            if stage == "before-receipts": die()
            await producer.publish(records)
            if stage == "after-receipts": die()
        else:
            await producer.publish(records)

if stage == "before-offsets": mailbox.Intake.commit = staticmethod(die)
if stage == "inside":
    put = mailbox.put
    async def dying(*given):
        await put(*given)
        Dying.left -= 1
        if not Dying.left: die()
        return []
    mailbox.put = dying

async def main():
    global producer
    async with async_pool(database) as pool:
        wire, producer = Wire(registry), Producer(bootstrap, wait_s=30)
        teller = receipts.Teller(pool, wire, Dying())
        await asyncio.gather(mailbox.Intake(settings, pool, wire, producer, teller, group=group).run(), teller.run())
asyncio.run(main())
"""


@pytest.mark.parametrize("stage", ["inside", "before-offsets", "before-receipts", "after-receipts"])
def test_killed_at_the_worst_moment_nothing_is_twice_or_missing_and_every_receipt_comes(
    database, own_settings, wire, group, stage
):
    box, name = unique("A"), group()
    sent = deliveries(wire, box, 100)
    publish(own_settings, [out(wire, "delivery.v1", one) for one in sent])
    addresses = own_settings.kafka, own_settings.registry_url, own_settings.database_url.get_secret_value()
    died = subprocess.run([sys.executable, "-c", STAGED, *addresses, name, stage], timeout=LIMIT_S, check=False)
    assert died.returncode == -9
    asyncio.run(carried(own_settings, wire, name, lambda: len(seqs(database, box)) >= 100 and all_told(database)))
    rows = database.execute("select seq, delivery_id::text from mailbox where recipient = %s order by seq", (box,)).fetchall()
    assert rows == [(number, one["meta"]["event_id"]) for number, one in enumerate(sent, 1)]
    receipts = receipts_of(own_settings, wire, {one["meta"]["event_id"] for one in sent})
    assert len({one["meta"]["event_id"] for one in receipts}) == 100


def test_without_a_database_the_batch_is_refused_not_lost(own_settings, wire):
    async def carry():
        async with async_pool("postgresql://nobody@127.0.0.1:1/none?connect_timeout=1") as pool:
            pool.timeout = 1
            producer = Producer(own_settings.kafka, wait_s=5)
            intake = Intake(own_settings, pool, wire, producer, Teller(pool, wire, producer))
            sent = delivery(wire, "hie.Referral", referral(received()), unique("A"))
            try:
                await intake.carry([Log(wire).event("delivery.v1", sent)])
            finally:
                producer.close()

    with pytest.raises(HubError) as raised:
        asyncio.run(carry())
    assert raised.value.code == "DATABASE_UNAVAILABLE"
