"""Kafka under Faust: what one fetch brought of a topic is one message, and one acknowledgement.

Faust makes tasks, events and entries of several lists for each message, which cost more than to route it. So its consumer
hands on chunks: of each topic one at a time, the next when that one is routed. What comes meanwhile waits in the client's
buffer and makes the next chunk larger, and a topic that is held up holds up no other. And since a topic has one chunk out,
how far a partition is done is one number; Faust's own lists take what was skipped for done.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from faust.transport.drivers import aiokafka
from faust.types.tuples import TP, ConsumerMessage, Message

from hub.routing.record import Record, headers_of

_SOON_S: Final = 0.01  # while topics are busy: how soon one that is free again is looked at


@dataclass(slots=True)
class Chunk:
    """What is routed together.  ends: partition to the offset behind its last record here."""

    records: list[Record] = field(default_factory=list)
    ends: dict[TP, int] = field(default_factory=dict)


class Consumer(aiokafka.Consumer):
    """Faust's consumer, whose messages have a chunk as value, and the offset behind it."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._out: dict[str, Message] = {}  # topic to what was handed on of it and is not acknowledged

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """What was handed on before is either lost on its way or will be done twice: it is read again."""
        self._out.clear()
        await super().on_partitions_assigned(assigned, generation_id)

    async def perform_seek(self) -> None:
        """All partitions are sought anew: what is out may have been lost on its way, and nothing is handed on before that is over.

        A rebalance that overtakes another leaves Faust's flow on while it seeks.
        """
        self.stop_flow()
        await super().perform_seek()
        self._out.clear()

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Each partition goes back to where it is done.

        The client leaves one of which nothing is committed where it stands: behind what was fetched and dropped, which nobody
        would route.
        """
        committed = await super().seek_to_committed()
        if fresh := {tp: 0 for tp, offset in committed.items() if not offset}:
            await self.seek_wait(fresh)  # where retention took the first ones, the client goes on to what is left
        return committed

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109  # Faust's own
        free = {tp for tp in active_partitions or () if tp.topic not in self._out}
        if not free:  # to the client no partition would mean all
            await asyncio.sleep(_SOON_S)
            return {}
        return await super()._getmany(free, min(timeout, _SOON_S) if self._out else timeout)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:  # noqa: ASYNC109
        """Chunks of what is there."""
        fetched, _active = await self._wait_next_records(timeout)
        generation = self.app.consumer_generation_id
        if not fetched or self.should_stop:
            return
        if not self.flow_active:
            with suppress(Exception):  # should brokers be away: all partitions are sought anew before the flow goes on
                await self.perform_seek()
            return
        for topic, chunk in self._chunks(fetched).items():
            if not self.flow_active or generation != self.app.consumer_generation_id:
                return  # all partitions are sought anew
            tp, end = next(iter(chunk.ends.items()))
            message = ConsumerMessage(topic, tp.partition, end, 0.0, 0, [], None, chunk, None, 0, 0, tp, generation_id=generation)  # type: ignore[arg-type]
            self._out[topic] = message
            self._read_offset.update(chunk.ends)
            yield tp, message

    def _chunks(self, fetched: Any) -> dict[str, Chunk]:
        """Topic to what is new of it."""
        found: dict[str, Chunk] = {}
        for place, rows in fetched.items():
            tp = TP(place.topic, place.partition)
            read = self._read_offset[tp] or 0
            new = [row for row in rows if row.offset >= read]
            if new:
                chunk = found.setdefault(tp.topic, Chunk())
                chunk.records += [
                    Record(tp.topic, tp.partition, row.offset, row.key, row.value, headers_of(row.headers)) for row in new
                ]
                chunk.ends[tp] = new[-1].offset + 1
        return found

    def ack(self, message: Message) -> bool:
        """All of a chunk is done. Of partitions that went to another worker nothing is noted."""
        if message.acked:
            return False
        message.acked = True
        if self._out.get(message.topic) is message:
            del self._out[message.topic]
        chunk: Any = message.value
        for tp, end in chunk.ends.items():
            if tp in self._read_offset:  # dropped when revoked; `assignment()` still names it until the next ones come
                self._acked[tp] = [max(end, self._new_offset(tp) or 0)]
        return True

    def _new_offset(self, tp: TP) -> int | None:
        return max(self._acked[tp], default=None)

    async def verify_all_partitions_active(self) -> None:
        """Which partitions lag is told by the hub's own figures."""


class Transport(aiokafka.Transport):
    """Faust's, with that consumer."""

    Consumer: ClassVar[Any] = Consumer
