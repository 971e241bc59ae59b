"""Receipts: written with the change of state, gone only when the brokers hold them, each time the same."""

import asyncio
import socket
from dataclasses import replace
from datetime import timedelta

import pytest

from adapters.outbound.receipts import Change, Teller, move, note, receipt_of
from hub.bus import Producer
from hub.contract.errors import HubError
from hub.contract.events import new_id, now
from hub.store.database import async_pool
from tests.adapters.outbound.test_inbox_api import fill
from tests.adapters.outbound.test_mailbox import receipts_of
from tests.made import AT, unique


def change(state="QUEUED", *, test=False, number=0):
    from uuid import UUID

    return Change(
        UUID(new_id("t", state, str(number))), "01021!test" if test else "01021", "01731", "", test, state, "", "pull", AT
    )


def test_the_same_change_is_the_same_receipt():
    first, again = receipt_of(change()), receipt_of(change())
    assert first == again
    assert first["meta"]["event_id"] != receipt_of(change("SENT"))["meta"]["event_id"]
    assert first["meta"]["causes"] == [str(change().delivery_id)]


def test_what_is_said_again_of_a_slip_that_was_put_back_is_another_receipt():
    first = replace(change("HELD"), channel="portal")
    later = replace(first, at=AT + timedelta(hours=1))
    assert receipt_of(first) == receipt_of(first)
    assert receipt_of(first)["meta"]["event_id"] != receipt_of(later)["meta"]["event_id"]


def test_the_receipt_of_test_traffic_names_the_recipient_and_says_test():
    receipt = receipt_of(change(test=True))
    assert (receipt["recipient"], receipt["meta"]["test"], receipt["meta"]["key"]) == ("01021", True, "01021")


def test_only_what_stands_before_changes_and_only_in_its_own_mailbox(database, own_settings, wire):
    async def moves():
        from uuid import UUID

        box = unique("A")
        ids = [UUID(one["meta"]["event_id"]) for one in await fill(own_settings, wire, box, 2)]
        async with async_pool(own_settings.database_url.get_secret_value()) as pool, pool.connection() as connection:
            foreign = await move(connection, unique("B"), ids, "ACKNOWLEDGED", at=now(), channel="pull")
            first = await move(connection, box, ids[:1], "ACKNOWLEDGED", at=now(), channel="pull")
            late = await move(connection, box, ids, "SENT", at=now(), channel="pull", after=("QUEUED",))
        return ids, foreign, first, late

    ids, foreign, first, late = asyncio.run(moves())
    assert (foreign, first, late) == (set(), {ids[0]}, {ids[1]})


def test_without_brokers_receipts_stay_and_go_out_later(database, own_settings, wire):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there
        nowhere = f"127.0.0.1:{taken.getsockname()[1]}"

    async def tell():
        async with async_pool(own_settings.database_url.get_secret_value()) as pool:
            async with pool.connection() as connection:
                await note(connection, [change(number=number) for number in range(3)])
            away = Producer(nowhere, wait_s=1)
            with pytest.raises(HubError) as raised:
                await Teller(pool, wire, away).tell()
            away.close()
            left = database.execute("select count(*) from receipt_outbox").fetchone()
            there = Producer(own_settings.kafka, wait_s=30)
            told = await Teller(pool, wire, there).tell()
            there.close()
            return raised.value.code, left, told

    assert asyncio.run(tell()) == ("BROKER_UNAVAILABLE", (3,), 3)
    assert database.execute("select count(*) from receipt_outbox").fetchone() == (0,)
    assert receipts_of(own_settings, wire, {str(change(number=number).delivery_id) for number in range(3)})


def test_several_tellers_take_different_rows(database, own_settings, wire):
    async def tell():
        async with async_pool(own_settings.database_url.get_secret_value()) as pool:
            async with pool.connection() as connection:
                await note(connection, [change(number=number) for number in range(5000)])
            there = Producer(own_settings.kafka, wait_s=30)
            told = await asyncio.gather(*(Teller(pool, wire, there).tell() for _ in range(3)))
            there.close()
            return told

    told = asyncio.run(tell())
    assert sum(told) == 5000, "each row once; how they share them is the database's affair"
    assert max(told) <= 2000
    assert database.execute("select count(*) from receipt_outbox").fetchone() == (0,)
