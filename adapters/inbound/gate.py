"""The gate: what every way in hands its messages to. It translates, writes to the brokers, and only then says so.

Promise 1 is kept here: `done` gets a translation, with its acknowledgement, when all in-sync replicas hold the raw bytes and
every event; otherwise it gets nothing, and the sender hears nothing (promise 2).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from adapters.formats.batch import Cut, cut, may_be_several
from adapters.inbound.deferred import TOPIC as DELIVERIES
from adapters.inbound.large_envelope import LargeEnvelopes
from adapters.inbound.raw_store import RawStore
from adapters.inbound.received import Received, Translation
from adapters.inbound.signers import Signers
from adapters.inbound.translate import UNCHECKED, failed, refused, translate
from hub.bus import Headers, Out, Producer, Wire, event_out
from hub.contract import telemetry
from hub.contract.errors import HubError, Severity
from hub.contract.events import Event, Keyring, is_code, now
from hub.contract.topics import check_size, topic_of, topics

MESSAGES: Final = "message-received.v1"
HUGE_BYTES: Final = 256 * 1024  # beyond any of these a message is translated in a thread, so that other links do not wait for it
_PIECES_MAX: Final = 500  # lines and repetitions, of which a short one takes as long as a long one
_MARKUP_BYTES: Final = 64 * 1024  # of XML and JSON
_SMALL_BYTES: Final = 4 * 1024  # up to here nothing is counted
RAW_BYTES_MAX: Final = 8 * 1024 * 1024  # beyond it the raw bytes go to the store, and their name into the record
_HUGE_AT_ONCE: Final = 2
_TICK: Final = timedelta(microseconds=1)

Done = Callable[[Translation | None], None]


class Gate:
    """Takes messages from every way in. One for each process; used from its event loop only."""

    def __init__(
        self, producer: Producer, wire: Wire, keyring: Keyring, raw_store: RawStore, signers: Signers = UNCHECKED
    ) -> None:
        self._producer = producer
        self._wire = wire
        self._keyring = keyring
        self._raw_store = raw_store
        self._signers = signers
        self.large = LargeEnvelopes(producer, wire, keyring, raw_store, signers, self._message_out)
        self._huge = ThreadPoolExecutor(_HUGE_AT_ONCE, thread_name_prefix="translate")
        self._tasks: set[asyncio.Task[None]] = set()
        self._newest = now()

    def clock(self) -> datetime:
        """The time to stamp a message with: strictly rising, so that two messages of equal bytes are two messages."""
        self._newest = max(now(), self._newest + _TICK)
        return self._newest

    def warm_up(self) -> None:
        """Ask the registry for what the hot path needs, so that it never waits for it. Blocks.

        Raises: HubError(REGISTRY_UNAVAILABLE).
        """
        for name, topic in topics().items():
            if "gate" in topic.written_by:
                self._wire.prefix(name)

    async def cut(self, raw: bytes) -> Cut | None:
        """What came together, taken apart; None for one plain message."""
        if may_be_several(raw) and _takes_long(raw):
            return await asyncio.get_running_loop().run_in_executor(self._huge, cut, raw)
        return cut(raw)

    def submit(self, received: Received, done: Done) -> bool:
        """Translate and publish one message, without waiting.

        done:    called once, in the loop, with the translation when the brokers hold everything, or None when they do not
                 confirm in time: then send no acknowledgement.
        Returns: false for a message that takes long, whose records are not handed over yet: a link that wants its messages in order
                 waits for `done` before it submits the next.
        """
        if _takes_long(received.raw):
            self._spawn(self._submit_huge(received, done))
            return False
        self._send(self.prepare(received), done)
        return True

    async def accept(self, received: Received) -> Translation:
        """The same for whoever can wait.

        Raises: HubError(BROKER_UNAVAILABLE) when nothing may be acknowledged.
        """
        return await self._wait(lambda done: self.submit(received, done))

    async def accept_each(self, several: Sequence[Received], at_once: int) -> list[Translation | None]:
        """The same for the messages of a batch, in order; None for each that may not be acknowledged.

        at_once: most messages under way. After one that the brokers do not confirm no other is begun.
        """
        done: list[Translation | None] = [None] * len(several)
        under_way: deque[tuple[int, asyncio.Future[Translation | None]]] = deque()
        lost = False

        async def settle_first() -> bool:
            number, future = under_way.popleft()
            done[number] = await future
            return done[number] is None

        for number, received in enumerate(several):
            future: asyncio.Future[Translation | None] = asyncio.get_running_loop().create_future()
            under_way.append((number, future))
            alone = not self.submit(received, partial(_settle, future))
            while under_way and (alone or len(under_way) >= at_once):
                lost |= await settle_first()
            if lost:
                break
            await asyncio.sleep(0)  # whatever else this process does comes between
        while under_way:
            await settle_first()
        return done

    def keep(self, translation: Translation, done: Done) -> None:
        """Publish what was never a message: stray bytes, unfinished and oversize frames, as `translate.unframed` makes them."""
        if len(translation.message["raw"]) > HUGE_BYTES:
            self._spawn(self._keep_huge(translation, done))
        else:
            self._send(self._records(translation), done)

    async def accept_unframed(self, translation: Translation) -> Translation:
        """`keep` for whoever can wait. Raises: HubError(BROKER_UNAVAILABLE)."""
        return await self._wait(lambda done: self.keep(translation, done))

    def prepare(self, received: Received) -> tuple[Translation, list[Out]] | None:
        """Translation and Kafka records of a message; None when that needs what is not there now (registry, disk)."""
        try:
            translation = translate(received, self._keyring, signers=self._signers)
        except HubError as stop:
            telemetry.fault("gate", stop.code, stop.where)
            return None
        return self._records(translation, received)

    async def accept_large(self, received: Received, reference: str) -> Translation:
        """An envelope that `large.spool` has put into the raw store, larger than a message may be.

        received: without its bytes. Raises: HubError, as `LargeEnvelopes.accept`.
        """
        done = await self.large.accept(received, reference)
        _tell(done)
        return done

    def close(self) -> None:
        self._huge.shutdown(wait=False, cancel_futures=True)
        self.large.close()

    def _records(self, translation: Translation, received: Received | None = None) -> tuple[Translation, list[Out]] | None:
        """With the records of a translation; where no record holds it, the refusal that it is then."""
        try:
            return translation, self._outs(translation)
        except HubError as stop:
            if stop.retriable or received is None:
                telemetry.fault("gate", stop.code, stop.where)
                return None
            instead = refused(received, stop.code, stop.where)
        except Exception as fault:  # an event that its schema cannot hold: ours to mend, as any fault of translating
            if received is None:
                raise
            instead = failed(received, fault)
        return self._records(instead)

    def _outs(self, translation: Translation) -> list[Out]:
        """Raises: HubError(FRAME_TOO_LARGE) for what no record holds; those of registry and disk."""
        outs = [event_out(self._wire, topic_of(record), event) for record, event in translation.events]
        if translation.deferred is not None:
            delivery, body = translation.deferred
            outs.append(event_out(self._wire, DELIVERIES, {**delivery, "body": self._wire.pack(MESSAGES, body)}))
        outs.insert(0, self._message_out(translation.message))
        for out in outs:
            check_size(out.topic, out.value)
        return outs

    def _message_out(self, message: Event) -> Out:
        raw = message["raw"]
        value = self._wire.pack(MESSAGES, message) if len(raw) <= RAW_BYTES_MAX else b""
        if (not value or len(value) > RAW_BYTES_MAX) and not message.get("raw_ref"):
            value = self._wire.pack(MESSAGES, {**message, "raw": b"", "raw_ref": self._raw_store.put(raw, message["raw_hash"])})
        ident = message["message_id"]
        headers: Headers = [
            ("ce_specversion", b"1.0"),
            ("ce_id", ident.encode()),
            ("ce_type", b"hie.MessageReceived"),
            ("ce_source", f"/sender/{message['sender']}".encode()),
            ("ce_time", message["received_at"].isoformat().encode()),
        ]
        return Out(MESSAGES, message["facility"] if is_code(message["facility"]) else "", value, headers)

    def _send(self, prepared: tuple[Translation, list[Out]] | None, done: Done) -> None:
        if prepared is None:
            asyncio.get_running_loop().call_soon(done, None)
            return
        translation, records = prepared

        def confirmed(code: str) -> None:
            if not code:
                _tell(translation)
                done(translation)
            else:
                telemetry.message_unconfirmed("gate", code)
                done(None)

        self._producer.send(records, confirmed)

    async def _submit_huge(self, received: Received, done: Done) -> None:
        await self._apart(lambda: self.prepare(received), done)

    async def _keep_huge(self, translation: Translation, done: Done) -> None:
        await self._apart(lambda: self._records(translation), done)

    async def _apart(self, work: Callable[[], tuple[Translation, list[Out]] | None], done: Done) -> None:
        """In a thread; whatever happens there, the link that waits is told."""
        try:
            prepared = await asyncio.get_running_loop().run_in_executor(self._huge, work)
        except Exception:
            telemetry.fault("gate", "TRANSLATION_FAILED", "huge")
            prepared = None
        self._send(prepared, done)

    def _spawn(self, work: "asyncio._CoroutineLike[None]") -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _wait(self, start: Callable[[Done], object]) -> Translation:
        future: asyncio.Future[Translation | None] = asyncio.get_running_loop().create_future()
        start(partial(_settle, future))
        translation = await future
        if translation is None:
            raise HubError("BROKER_UNAVAILABLE", MESSAGES)
        return translation


def _takes_long(raw: bytes) -> bool:
    size = len(raw)
    if size <= _SMALL_BYTES or size > HUGE_BYTES:
        return size > HUGE_BYTES
    if sum(map(raw.count, (b"\r", b"\n", b"~"))) > _PIECES_MAX:
        return True
    return size > _MARKUP_BYTES and b"MSH" not in raw[:64]


def _settle(future: "asyncio.Future[Translation | None]", translation: Translation | None) -> None:
    if not future.done():
        future.set_result(translation)


def _tell(translation: Translation) -> None:
    message = translation.message
    telemetry.message_received(message["transport"], message.get("dialect", ""), translation.verdict)
    for problem in translation.problems:
        telemetry.problem_told(problem.code, problem.severity)
    for made in message["events"]:
        telemetry.event_published("gate", made["topic"])
    if translation.verdict != "translated":
        worst = next((problem for problem in translation.problems if problem.severity is Severity.ERROR), None)
        code, path = (worst.code, worst.path) if worst else ("", "")
        telemetry.message_refused(message["message_id"], translation.verdict, code, path)
