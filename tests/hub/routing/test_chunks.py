"""What a fetch brings of a topic is handed on as one, the next when that is done; a partition is done as far as that went."""

import asyncio
from collections.abc import Iterable
from types import SimpleNamespace

import faust
import pytest
from faust.types.tuples import TP

from hub.routing.app import Worker, _agent
from hub.routing.chunks import Consumer, Transport
from hub.routing.stream import Stream

SLIPS, RESULTS = "referral.v1", "lab-result.v1"
ONE, TWO, THREE = TP(SLIPS, 0), TP(SLIPS, 1), TP(RESULTS, 0)


class Fetched:
    """A consumer without brokers: what is there is put into it, and what is asked for is noted."""

    def __init__(self, folder) -> None:
        self.app = faust.App("alone", broker="aiokafka://127.0.0.1:1", store="memory://", web_enabled=False, datadir=str(folder))
        self.app.transport = Transport(self.app.conf.broker_consumer, self.app)
        self.consumer = self.app.consumer
        assert isinstance(self.consumer, Consumer)
        self.consumer._active_partitions = {ONE, TWO, THREE}
        self.there: dict[TP, list[int]] = {}
        self.asked: list[set[TP]] = []
        self.consumer._thread.getmany = self._getmany
        for tp in (ONE, TWO, THREE):
            self.consumer._read_offset[tp] = None

    async def _getmany(self, partitions, _timeout):
        self.asked.append(partitions)
        found = {tp: [row(offset) for offset in self.there.pop(tp, [])] for tp in list(self.there) if tp in partitions}
        return {tp: rows for tp, rows in found.items() if rows}

    async def come(self, **offsets: Iterable[int]):
        """The messages that one round hands on."""
        names = {"one": ONE, "two": TWO, "three": THREE}
        for name, some in offsets.items():
            self.there.setdefault(names[name], []).extend(some)
        return [message async for _tp, message in self.consumer.getmany(1.0)]

    def done(self) -> dict[TP, int]:
        """How far each partition may be committed."""
        return {tp: end for tp in (ONE, TWO, THREE) if (end := self.consumer._new_offset(tp)) is not None}

    def close(self) -> None:
        self.consumer._thread.thread_loop.close()  # of a thread that was never started


def row(offset: int):
    return SimpleNamespace(offset=offset, key=b"k", value=b"v", headers=())


@pytest.fixture
def run(tmp_path):
    """Runs a test's coroutine over a consumer of its own."""

    def run(test) -> None:
        async def body() -> None:
            fetched = Fetched(tmp_path)
            try:
                await test(fetched)
            finally:
                fetched.close()

        asyncio.run(body())

    return run


def places(message):
    return [(one.topic, one.partition, one.offset) for one in message.value.records]


def test_all_that_came_of_a_topic_is_one_message_in_the_order_of_each_partition(run):
    async def test(fetched) -> None:
        slips, results = await fetched.come(one=[0, 1], two=[7], three=[3])
        assert places(slips) == [(SLIPS, 0, 0), (SLIPS, 0, 1), (SLIPS, 1, 7)]
        assert places(results) == [(RESULTS, 0, 3)]

    run(test)


def test_the_next_of_a_topic_comes_when_the_one_before_is_done_and_of_others_meanwhile(run):
    async def test(fetched) -> None:
        [slips] = await fetched.come(one=[0])
        [results] = await fetched.come(one=[1], two=[0], three=[0])
        assert fetched.asked[-1] == {THREE}
        assert results.topic == RESULTS
        assert await fetched.come() == []  # both are under way: nothing is asked for, where nothing would mean all
        assert len(fetched.asked) == 2
        fetched.consumer.ack(slips)
        [more] = await fetched.come()
        assert places(more) == [(SLIPS, 0, 1), (SLIPS, 1, 0)]

    run(test)


def test_a_partition_is_done_as_far_as_what_was_acknowledged_and_no_further(run):
    async def test(fetched) -> None:
        slips, _results = await fetched.come(one=[4, 5, 9], two=[0], three=[0])  # Kafka leaves gaps
        assert fetched.done() == {}
        assert fetched.consumer.ack(slips)
        assert not fetched.consumer.ack(slips)
        assert fetched.done() == {ONE: 10, TWO: 1}

    run(test)


def test_what_was_read_before_is_not_handed_on_twice(run):
    async def test(fetched) -> None:
        fetched.consumer._read_offset[ONE] = 2
        [slips] = await fetched.come(one=[0, 1, 2, 3], two=[])
        assert places(slips) == [(SLIPS, 0, 2), (SLIPS, 0, 3)]

    run(test)


def test_of_a_partition_that_went_to_another_worker_nothing_is_noted(run):
    async def test(fetched) -> None:
        [slips] = await fetched.come(one=[0], two=[0])
        del fetched.consumer._read_offset[ONE]  # as Faust does when it is revoked
        fetched.consumer.ack(slips)
        assert fetched.done() == {TWO: 1}

    run(test)


def test_a_partition_of_which_nothing_is_committed_goes_back_to_its_beginning(run):
    async def test(fetched) -> None:
        sought: dict[TP, int] = {}

        async def committed():
            return {ONE: None, TWO: 0, THREE: 5}  # the client itself goes back to 5, and leaves the others where they stand

        async def seek(partitions) -> None:
            sought.update(partitions)

        thread = fetched.consumer._thread
        thread.seek_to_committed, thread.seek_wait = committed, seek
        await fetched.consumer.perform_seek()
        assert sought == {ONE: 0, TWO: 0}

    run(test)


def test_after_partitions_moved_a_topic_is_handed_on_anew_and_a_late_word_on_the_old_frees_nothing(run, monkeypatch):
    async def test(fetched) -> None:
        async def assigned(*_args) -> None:
            return None

        monkeypatch.setattr("faust.transport.drivers.aiokafka.Consumer.on_partitions_assigned", assigned)
        [old] = await fetched.come(one=[0, 1])
        await fetched.consumer.on_partitions_assigned({ONE}, 2)
        fetched.consumer._read_offset[ONE] = 0  # sought to what is committed
        [new] = await fetched.come(one=[0, 1, 2])
        fetched.consumer.ack(old)
        assert fetched.done() == {ONE: 2}
        assert await fetched.come(one=[3]) == []
        fetched.consumer.ack(new)
        assert fetched.done() == {ONE: 3}

    run(test)


def test_what_was_lost_on_its_way_while_partitions_were_sought_holds_up_nothing(run, monkeypatch):
    async def test(fetched) -> None:
        flows = []

        async def seek(consumer) -> None:
            flows.append(consumer.flow_active)

        monkeypatch.setattr("faust.transport.drivers.aiokafka.Consumer.perform_seek", seek)
        await fetched.come(one=[0])
        await fetched.consumer.perform_seek()
        fetched.consumer._read_offset[ONE] = 0
        assert flows == [False]
        fetched.consumer.resume_flow()
        [again] = await fetched.come(one=[0])
        assert places(again) == [(SLIPS, 0, 0)]

    run(test)


@pytest.mark.parametrize("cancelled", [False, True])
def test_an_agent_acknowledges_what_was_routed_and_nothing_behind_a_cancelled_chunk(run, cancelled):
    async def test(fetched) -> None:
        app, begun, routed = fetched.app, asyncio.Event(), []

        async def route(_stream, records) -> None:
            begun.set()
            if cancelled:
                await asyncio.Event().wait()
            routed.extend(record.offset for record in records)

        app.topics._acking_topics.add(SLIPS)
        app.flow_control.resume()
        channel = app.channel()
        incoming = app.stream(channel)
        worker = Worker(route)
        agent = asyncio.create_task(_agent(Stream(SLIPS, "hie.Referral", lambda *_: None), worker)(incoming))

        async def hand_on(messages) -> None:
            for message in messages:
                message.incref()
                await channel.put(app.create_event(None, message.value, [], message))

        await hand_on(await fetched.come(one=[0, 1]))
        await asyncio.wait_for(begun.wait(), 10)
        if cancelled:
            agent.cancel()
            await asyncio.gather(agent, return_exceptions=True)
            assert isinstance(worker.ended.exception(), RuntimeError)
            fetched.consumer._out.clear()
        else:
            while not fetched.done():  # noqa: ASYNC110  # Faust tells nobody
                await asyncio.sleep(0.01)
        await hand_on(await fetched.come(one=[2]))
        await asyncio.sleep(0.2)
        await incoming.stop()
        agent.cancel()
        await asyncio.gather(agent, return_exceptions=True)
        assert (routed, fetched.done()) == (([], {}) if cancelled else ([0, 1, 2], {ONE: 3}))

    run(test)
