"""What is kept and how long: nothing leaves a mailbox without a receipt, and the sender of what expired is told."""

import asyncio
from datetime import timedelta
from types import SimpleNamespace
from uuid import UUID

from psycopg import AsyncConnection

from adapters.outbound.item import shown
from adapters.outbound.keeper import Keeper, expires_at
from adapters.outbound.mailbox import make_days, put, read_delivery
from adapters.outbound.receipts import Teller, notice_of, receipt_of
from hub.contract.events import VIETNAM, now, to_json
from hub.store.database import async_pool
from tests.adapters.outbound.test_inbox_api import api, run
from tests.made import AT, delivery, received, referral, unique
from tests.papers import papers


class Brokers:
    """Takes what is published."""

    def __init__(self):
        self.records = []

    async def publish(self, records):
        self.records += records


async def filled(settings, wire, box, count, *, days_ago=0, lane="routine", limits=None, test=False):
    """So many deliveries, put into the mailbox so many days ago; their ids."""
    sent = [delivery(wire, "hie.Referral", referral(received(test=test)), box, lane=lane) for _ in range(count)]
    at = now() - timedelta(days=days_ago)
    async with await AsyncConnection.connect(settings.database_url.get_secret_value()) as connection:
        await make_days(connection, at.date() - timedelta(days=1), 3)
        async with connection.transaction():
            letters = [read_delivery(wire, wire.pack("delivery.v1", one))[0] for one in sent]
            await put(connection, letters, at, limits or {})
    return [one["meta"]["event_id"] for one in sent]


async def kept(settings, wire, at):
    """One round of the keeper, and what then goes to the brokers: records by topic."""
    async with async_pool(settings.database_url.get_secret_value()) as pool:
        brokers = Brokers()
        teller = Teller(pool, wire, brokers)
        await Keeper(settings, pool, teller).round(at)
        while await teller.tell():
            pass
        return [(one.topic, wire.unpack(one.value)[1]) for one in brokers.records]


def states(database, box):
    return database.execute("select state, code from mailbox where recipient = %s order by seq", (box,)).fetchall()


def days(database):
    query = "select count(*) from pg_inherits where inhparent = 'mailbox'::regclass and inhrelid::regclass::text < %s"
    return database.execute(query, (f"mailbox_{now() - timedelta(days=50):%Y%m%d}",)).fetchone()[0]


def test_the_shorter_limit_of_lane_and_record_counts():
    limits = {"urgent": 24.0, "hie.Referral": 2.0}
    assert expires_at(limits, "urgent", "hie.Referral", AT) == AT + timedelta(hours=2)
    assert expires_at(limits, "urgent", "hie.LabResult", AT) == AT + timedelta(hours=24)
    assert expires_at(limits, "routine", "hie.LabResult", AT) is None


def test_what_waits_for_the_portal_has_no_time_to_be_fetched_in(database, own_settings, wire):
    """The hub itself sends it, however long the portal is away. Test traffic, which nobody sends, expires."""

    async def story():
        for test in (False, True):
            await filled(own_settings, wire, "portal", 1, lane="urgent", limits={"urgent": 1.0}, test=test)
        await kept(own_settings, wire, now() + timedelta(hours=25))

    run(story())
    assert states(database, "portal") == [("QUEUED", "")]
    assert states(database, "portal!test") == [("EXPIRED", "NOT_FETCHED")]


def test_what_nobody_fetched_in_time_expires_and_its_sender_is_told(database, own_settings, wire):
    box = unique("K")

    async def story():
        urgent = await filled(own_settings, wire, box, 2, lane="urgent", limits={"urgent": 1.0})
        await filled(own_settings, wire, box, 1, limits={"urgent": 1.0})
        async with api(own_settings, wire) as served:
            fetched = (await served.client.get(f"/v1/inbox/{box}", params={"limit": 1})).json()["deliveries"]
            told = await kept(own_settings, wire, now() + timedelta(hours=2))
            before = states(database, box)
            again = (await served.client.get(f"/v1/inbox/{box}", params={"after": 1})).json()["deliveries"]
            word = [{"delivery_id": urgent[1], "state": "ACKNOWLEDGED"}]
            late = (await served.client.post(f"/v1/inbox/{box}/receipts", json=word)).json()
        return urgent, fetched, told, before, again, late

    urgent, fetched, told, before, again, late = run(story())
    assert [one["delivery_id"] for one in fetched] == urgent[:1]
    assert before == [("SENT", ""), ("EXPIRED", "NOT_FETCHED"), ("QUEUED", "")]
    assert again[0]["state"] == "EXPIRED", "it is still there to be read"
    assert late == [{"delivery_id": urgent[1], "state": "ACKNOWLEDGED"}], "a late word is the recipient's word"
    expired = [event for topic, event in told if topic == "receipt.v1" and event["state"] == "EXPIRED"]
    assert [(one["delivery_id"], one["code"]) for one in expired] == [(urgent[1], "NOT_FETCHED")]
    [notice] = [event for topic, event in told if topic == "delivery.v1"]
    assert (notice["recipient"], notice["rule"], notice["lane"]) == ("01731", "expired-to-sender", "urgent")
    assert notice["subject_event_id"] == expired[0]["meta"]["event_id"]


def test_a_notice_is_a_delivery_that_can_be_shown_and_has_no_notice_of_its_own(wire):
    at = now()
    sent = delivery(wire, "hie.Referral", referral(received()), "01021")
    letter, _ = read_delivery(wire, wire.pack("delivery.v1", sent))
    change = letter.change("EXPIRED", at, "NOT_FETCHED")
    notice = notice_of(wire, receipt_of(change), change)
    again = notice_of(wire, receipt_of(change), change)
    assert notice == again, "told twice it is the same delivery"
    found, readable = read_delivery(wire, wire.pack("delivery.v1", notice))
    assert (found.mailbox, readable) == ("01731", True)
    facts = {"cursor": 1, "state": "QUEUED", "code": "", "queued_at": at, "body": found.body}
    facts |= {name: getattr(found, name) for name in ("delivery_id", "event_id", "record", "lane", "rule")}
    assert str(letter.delivery_id).encode() in to_json(shown(wire, SimpleNamespace(**facts), "json", "01731"))
    unread = found.change("EXPIRED", at, "NOT_FETCHED")
    assert notice_of(wire, receipt_of(unread), unread) is None


def test_papers_of_claims_that_the_portal_did_not_take_expire_without_a_notice(database, own_settings, wire):
    """The receipt tells it, for trace and books; what their sender could have mended, and slips, it is told as ever."""

    async def story():
        async with await AsyncConnection.connect(own_settings.database_url.get_secret_value()) as connection:
            at = now() - timedelta(days=100)
            await make_days(connection, at.date() - timedelta(days=1), 3)
            ids = []
            for record, event in [
                ("hie.Claim", papers("LK-1")),
                ("hie.Claim", papers("LK-2")),
                ("hie.Referral", referral(received())),
            ]:
                one = delivery(wire, record, event, "portal")
                ids.append(one["meta"]["event_id"])
                async with connection.transaction():
                    await put(connection, [read_delivery(wire, wire.pack("delivery.v1", one))[0]], at)
        database.execute("update mailbox set state = 'HELD', code = 'FIELD_MISSING' where delivery_id = %s", (ids[1],))
        return ids, await kept(own_settings, wire, now())

    ids, told = run(story())
    expired = {one["delivery_id"]: one for topic, one in told if topic == "receipt.v1" and one["state"] == "EXPIRED"}
    assert [expired[one]["code"] for one in ids] == ["NOT_TAKEN", "FIELD_MISSING", "NOT_FETCHED"]
    notices = {one["subject_event_id"] for topic, one in told if topic == "delivery.v1"}
    assert notices == {expired[one]["meta"]["event_id"] for one in ids[1:]}


def test_papers_of_test_claims_expire_in_the_same_way(database, own_settings, wire):
    trial = papers("LK-1")
    trial["meta"]["test"] = True

    async def story():
        async with await AsyncConnection.connect(own_settings.database_url.get_secret_value()) as connection:
            await make_days(connection, now().date() - timedelta(days=1), 3)
            letter, _ = read_delivery(wire, wire.pack("delivery.v1", delivery(wire, "hie.Claim", trial, "portal")))
            async with connection.transaction():
                await put(connection, [letter], now(), {"hie.Claim": 1.0})
        return await kept(own_settings, wire, now() + timedelta(hours=2))

    told = run(story())
    assert states(database, "portal!test") == [("EXPIRED", "NOT_TAKEN")]
    assert [topic for topic, _event in told if topic != "receipt.v1"] == []


def test_a_day_is_dropped_once_all_it_held_has_said_its_word_or_expired(database, own_settings, wire, monkeypatch):
    monkeypatch.setattr("adapters.outbound.keeper._BATCH", 2)
    box = unique("K")

    async def story():
        old = await filled(own_settings, wire, box, 6, days_ago=100)
        fresh = await filled(own_settings, wire, box, 1)
        ended = ["SENT", "ACKNOWLEDGED", "REFUSED", "HELD"]
        for number, state in enumerate(ended, 1):
            code = "BODY_UNDECODABLE" if state == "HELD" else ""
            database.execute(
                "update mailbox set state = %s, code = %s where recipient = %s and seq = %s", (state, code, box, number)
            )
        assert days(database) > 0
        told = await kept(own_settings, wire, now())
        async with api(own_settings, wire) as served:
            rest = (await served.client.get(f"/v1/inbox/{box}")).json()["deliveries"]
        return old, fresh, told, rest

    old, fresh, told, rest = run(story())
    assert days(database) == 0
    expired = {one["delivery_id"]: one["code"] for topic, one in told if topic == "receipt.v1" and one["state"] == "EXPIRED"}
    assert expired == {
        old[0]: "NOT_CONFIRMED",
        old[3]: "BODY_UNDECODABLE",
        old[4]: "NOT_FETCHED",
        old[5]: "NOT_FETCHED",
    }
    assert len([one for topic, one in told if topic == "delivery.v1"]) == 4
    assert [(one["delivery_id"], one["cursor"]) for one in rest] == [(fresh[0], 7)]
    seen = database.execute("select count(*) from delivery_seen where recipient = %s", (box,)).fetchone()
    assert seen == (7,), "a replay of what was dropped is still absorbed"


def test_a_day_of_a_legal_hold_expires_and_stays_until_the_hold_ends(database, own_settings, wire):
    box = unique("K")

    async def story():
        await filled(own_settings, wire, box, 2, days_ago=100)
        at = now()
        day = at.astimezone(VIETNAM).date() - timedelta(days=100)
        values = (day, day, at)
        database.execute("insert into legal_hold values ('a-case', %s, %s, 'a court', 'somebody', %s)", values)
        async with async_pool(own_settings.database_url.get_secret_value()) as pool:
            keeper = Keeper(own_settings, pool, Teller(pool, wire, Brokers()))
            for _ in range(2):
                await keeper.round(at)
            held = states(database, box)
            database.execute("update legal_hold set ended_at = %s", (at,))
            await keeper.round(at)
        return held

    assert run(story()) == [("EXPIRED", "NOT_FETCHED")] * 2
    assert states(database, box) == [] and days(database) == 0


def test_a_reader_that_holds_the_table_puts_the_dropping_off_and_loses_nothing(database, own_settings, wire):
    box = unique("K")

    async def story():
        await filled(own_settings, wire, box, 1, days_ago=100)
        async with await AsyncConnection.connect(own_settings.database_url.get_secret_value()) as reader:
            await reader.execute("select 1 from mailbox limit 1")
            await asyncio.wait_for(kept(own_settings, wire, now()), 30)
            held = days(database)
        await kept(own_settings, wire, now())
        return held

    assert run(story()) > 0
    assert days(database) == 0


def test_what_was_seen_is_forgotten_after_its_days(database, own_settings, wire):
    box = unique("K")

    async def story():
        [one] = await filled(own_settings, wire, box, 1)
        database.execute("update delivery_seen set seen_on = current_date - 731 where delivery_id = %s", (UUID(one),))
        await filled(own_settings, wire, box, 1)
        await kept(own_settings, wire, now())

    run(story())
    assert database.execute("select count(*) from delivery_seen where recipient = %s", (box,)).fetchone() == (1,)
