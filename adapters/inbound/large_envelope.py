"""Envelopes larger than a message may be: through the disk, one HOSO at a time, all of it acknowledged or nothing.

    body ─▶ spool ─▶ raw store ─▶ read twice ─▶ records on the disk ─▶ message-received.v1 ─▶ events, a batch at a time ─▶ answer

The records wait on the disk until the envelope has been read to its end, so one that breaks off is quarantined and no event
of it was published. `MessageReceived` goes first and names every event; what is missing after a crash the sweeper makes
again, by the same way, from the raw store. Memory holds one HOSO, one batch, and 300 bytes an event for its id and key.
"""

import asyncio
import struct
import tempfile
from collections.abc import AsyncIterable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

import orjson

from adapters.inbound.raw_store import RawStore, Spool
from adapters.inbound.received import Received, Translation
from adapters.inbound.signers import Signers
from adapters.inbound.translate import translate_file
from hub.bus import Out, Producer, Wire, event_out
from hub.contract.errors import HubError
from hub.contract.events import Event, Keyring
from hub.contract.topics import check_size, topic_of

_BATCH: Final = 1_000
_BATCH_BYTES: Final = 8 * 1024 * 1024
_UNDER_WAY_MAX: Final = 16  # large envelopes that come or wait at once; beyond it the sender comes again
_WRITE_BYTES: Final = 1024 * 1024
_LENGTHS: Final = struct.Struct(">II")


class LargeEnvelopes:
    """Takes envelopes through the disk, one after the other. One for each process that takes or heals them.

    message_out: makes the Kafka record of a `hie.MessageReceived`.
    """

    def __init__(
        self,
        producer: Producer,
        wire: Wire,
        keyring: Keyring,
        raw_store: RawStore,
        signers: Signers,
        message_out: Callable[[Event], Out],
    ) -> None:
        self._producer, self._wire, self._keyring, self._raw_store = producer, wire, keyring, raw_store
        self._signers = signers
        self._message_out = message_out
        self._one = ThreadPoolExecutor(1, thread_name_prefix="envelope")  # so that small messages keep most of the processor
        self._under_way = 0

    # --- for a way in

    async def spool(self, pieces: AsyncIterable[bytes], size_max: int) -> str | None:
        """Put what comes into the raw store, read no faster than the disk takes it.

        Returns: the reference, for `Gate.accept_large`; None for more than `size_max` bytes, of which nothing is kept.
        Raises:  HubError(OVERLOADED, DISK_FULL): then acknowledge nothing.
        """
        spool: Spool | None = None
        with self._counted():
            try:
                spool = await asyncio.to_thread(self._raw_store.spool)
                held = bytearray()
                async for piece in pieces:
                    held += piece
                    if spool.size + len(held) > size_max:
                        return None
                    if len(held) >= _WRITE_BYTES:
                        await asyncio.to_thread(spool.write, bytes(held))
                        held.clear()
                await asyncio.to_thread(spool.write, bytes(held))
                return await asyncio.to_thread(spool.keep)
            finally:
                if spool is not None:
                    spool.discard()

    async def accept(self, received: Received, reference: str) -> Translation:
        """Translate and publish an envelope of the raw store, when those before it are done.

        received: without its bytes.
        Returns:  the translation once the brokers hold everything; its `events` are named in `message` only.
        Raises:   HubError(OVERLOADED, DISK_FULL, BROKER_UNAVAILABLE, REGISTRY_UNAVAILABLE): then acknowledge nothing.
        """
        with self._counted():
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._one, self._publish, received, self._raw_store.folder / reference)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        if self._under_way >= _UNDER_WAY_MAX:
            raise HubError("OVERLOADED", "large envelopes")
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    def close(self) -> None:
        self._one.shutdown(wait=False, cancel_futures=True)

    # --- in a thread

    def _publish(self, received: Received, kept: Path) -> Translation:
        with self._translated(received, kept) as found:
            self._producer.publish_blocking([self._message_out(found.translation.message)])
            for batch in found.batches():
                self._producer.publish_blocking(batch)
            return found.translation

    def again(self, received: Received, reference: str, wanted: frozenset[str] | None = None) -> tuple[Translation, int]:
        """Publish its events once more, all of them or those wanted, without the message. Blocks.

        Returns: the translation, and how many events were published. If one of those wanted is not among them, another version
                 of the hub reads it differently now, and all that it says today are.
        Raises:  HubError(NOT_FOUND) when the bytes are gone; else as `accept`.
        """
        with self._translated(received, self._raw_store.path(reference)) as found:
            ids = {made["event_id"] for made in found.translation.message["events"]}
            some = wanted if wanted is not None and wanted <= ids else None
            count = 0
            for batch in found.batches(some):
                self._producer.publish_blocking(batch)
                count += len(batch)
            return found.translation, count

    def _translated(self, received: Received, kept: Path) -> "_Translated":
        found = _Translated(self._raw_store.folder)
        try:
            found.translation = translate_file(
                received,
                kept,
                kept.name,
                self._keyring,
                self._signers,
                lambda record, event: found.add(self._packed(record, event)),
            )
            found.flush()
        except BaseException:
            found.close()
            raise
        return found

    def _packed(self, record: str, event: Event) -> Out:
        out = event_out(self._wire, topic_of(record), event)
        check_size(out.topic, out.value)
        return out


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as full:
        raise HubError("DISK_FULL", "records") from full


class _Translated:
    """A translation whose records wait in a file without a name, which ends with this object or its process."""

    translation: Translation

    def __init__(self, folder: Path) -> None:
        with _room():
            self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder, buffering=_WRITE_BYTES)  # noqa: SIM115  # closed with this object

    def __enter__(self) -> "_Translated":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with suppress(OSError):
            self._file.close()

    def add(self, record: Out) -> None:
        """Raises: HubError(DISK_FULL)."""
        head = orjson.dumps([record.topic, record.key, [[name, value.decode()] for name, value in record.headers]])
        with _room():
            self._file.write(_LENGTHS.pack(len(head), len(record.value)))
            self._file.write(head)
            self._file.write(record.value)

    def flush(self) -> None:
        """Everything is on the disk from here on. Raises: HubError(DISK_FULL)."""
        with _room():
            self._file.flush()

    def batches(self, wanted: frozenset[str] | None = None) -> Iterator[list[Out]]:
        """The records, in order, some mebibytes at a time; none of a message that was not translated."""
        if self.translation.verdict != "translated":
            return
        batch: list[Out] = []
        size = 0
        for record in self._records():
            if wanted is not None and dict(record.headers)["ce_id"].decode() not in wanted:
                continue
            batch.append(record)
            size += len(record.value)
            if len(batch) >= _BATCH or size >= _BATCH_BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def _records(self) -> Iterable[Out]:
        file = self._file
        file.seek(0)
        while lengths := file.read(_LENGTHS.size):
            head, value = _LENGTHS.unpack(lengths)
            topic, key, headers = orjson.loads(file.read(head))
            yield Out(topic, key, file.read(value), [(name, text.encode()) for name, text in headers])
