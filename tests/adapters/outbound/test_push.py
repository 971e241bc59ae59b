"""Push, whatever the channel: the order to go in, and who is away is left alone."""

import asyncio
from uuid import UUID

from adapters.outbound.push import Answer, Pending, Push, Unanswered, in_order
from adapters.outbound.receipts import Teller
from adapters.outbound.wakes import Wakes
from hub.store.database import async_pool
from tests.adapters.outbound.test_inbox_api import fill, outbox, run
from tests.adapters.outbound.test_mllp_push import until
from tests.made import unique


def pending(seq, key, lane="routine"):
    return Pending(seq, UUID(int=seq), key, lane, 0, None)


def test_urgent_ones_go_first_but_never_before_their_keys_earlier_ones():
    rows = [pending(1, "a"), pending(2, "b"), pending(3, "c", "urgent"), pending(4, "b", "urgent"), pending(5, "b")]
    assert [one.seq for one in in_order(rows)] == [2, 3, 4, 1, 5]


class Away:
    """A channel to nobody."""

    name = "mllp"
    waits = ("QUEUED", "SENT")

    def __init__(self):
        self.asked = 0

    def render(self, _row):
        return b""

    async def ask(self, _row, _body):
        self.asked += 1
        raise Unanswered("connect")

    async def close(self):
        pass


def test_after_five_failures_in_a_row_nothing_new_shortens_the_pause(database, own_settings, wire, monkeypatch):
    monkeypatch.setattr("adapters.outbound.push.BACKOFF_FIRST_S", 0.01)
    monkeypatch.setattr("adapters.outbound.retry.backoff_s", lambda failures: 0.01 if failures < 5 else 3600.0)

    async def push():
        box, channel, url = unique("P"), Away(), own_settings.database_url.get_secret_value()
        await fill(own_settings, wire, box, 1)
        async with async_pool(url) as pool:
            wakes = Wakes(url)
            work = (wakes.run(), Push(own_settings, box, channel, wakes, Teller(pool, wire, None)).run())
            tasks = [asyncio.create_task(one) for one in work]
            while channel.asked < 5:  # noqa: ASYNC110  # a failure tells nobody
                await asyncio.sleep(0.02)
            for _ in range(3):
                await fill(own_settings, wire, box, 1)
                await asyncio.sleep(0.1)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return channel.asked

    assert run(push()) == 5


class OutOfTime(Away):
    """The time of the delivery ends while its recipient is asked; then the answer comes."""

    def __init__(self, database, box):
        super().__init__()
        self.database, self.box = database, box

    async def ask(self, _row, _body):
        self.asked += 1
        self.database.execute("update mailbox set state = 'EXPIRED' where recipient = %s", (self.box,))
        return Answer("ACKNOWLEDGED")


def test_a_word_that_comes_after_the_time_has_ended_counts(database, own_settings, wire):
    async def push():
        box, url = unique("P"), own_settings.database_url.get_secret_value()
        await fill(own_settings, wire, box, 1)
        async with async_pool(url) as pool:
            wakes = Wakes(url)
            work = (wakes.run(), Push(own_settings, box, OutOfTime(database, box), wakes, Teller(pool, wire, None)).run())
            tasks = [asyncio.create_task(one) for one in work]
            await until(lambda: outbox(database, box))
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return [row[1] for row in outbox(database, box)]

    assert run(push()) == ["ACKNOWLEDGED"]


class Listens(Away):
    """Takes everything; at the third one something urgent comes in."""

    def __init__(self, then):
        super().__init__()
        self.lanes, self.then = [], then

    async def ask(self, row, _body):
        self.lanes.append(row.lane)
        if len(self.lanes) == 3:
            await self.then()
        return Answer("ACKNOWLEDGED")


def test_what_is_urgent_overtakes_however_much_waits_but_not_its_own_key(database, own_settings, wire, monkeypatch):
    monkeypatch.setattr("adapters.outbound.push._WINDOW", 5)

    async def push():
        box, url = unique("P"), own_settings.database_url.get_secret_value()

        async def urgent(slip):
            await fill(own_settings, wire, box, 1, slip=slip, action="MODIFIED")
            database.execute(
                "update mailbox set lane = 'urgent' where recipient = %s and seq = (select max(seq) from mailbox where recipient = %s)",
                (box, box),
            )

        await fill(own_settings, wire, box, 12)
        await fill(own_settings, wire, box, 1, slip="THE-KEY")
        await urgent("THE-KEY")
        channel = Listens(lambda: urgent("ANOTHER"))
        async with async_pool(url) as pool:
            wakes = Wakes(url)
            work = (wakes.run(), Push(own_settings, box, channel, wakes, Teller(pool, wire, None)).run())
            tasks = [asyncio.create_task(one) for one in work]
            await until(lambda: len(channel.lanes) == 15)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return channel.lanes

    assert run(push()) == ["routine", "urgent", "routine", "urgent", *["routine"] * 11]
