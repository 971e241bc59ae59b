"""Messages that were taken: those that somebody asks for again, out of archive and topic, and what they say today.

The archive is read first, as far as it goes, then the topic. Nothing is written here: the sweeper publishes what is to be
replayed, and `hie replay --compare` only looks.
"""

import threading
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from confluent_kafka import KafkaError, Message, TopicPartition

from adapters.inbound.gate import MESSAGES
from adapters.inbound.raw_store import RawStore
from adapters.inbound.received import Received, Translation
from adapters.inbound.signers import Signers
from adapters.inbound.translate import UNCHECKED, translate
from hub.bus import Wire, consumer, read_at
from hub.contract import telemetry
from hub.contract.errors import HubError, Severity
from hub.contract.events import Event, Keyring, now
from hub.contract.settings import Settings
from hub.contract.topics import topics
from hub.store.database import available, connect
from hub.store.forgotten import all_ids

_STAGE: Final = "replay"
_PAGE: Final = 500
_WALK_WAIT_S: Final = 30.0
_NEVER_WHOLE: Final = frozenset({"FRAME_UNFINISHED", "BYTES_BETWEEN_FRAMES"})
_PLACES: Final = """
select topic, partition, record_offset from journal_message where message_id = any(%s::uuid[]) order by received_at
"""


class Older(Protocol):
    """The archive, as far as it is needed here; the composition root hands it in."""

    def values(self, topic: str, partition: int, since: datetime | None) -> tuple[Iterator[bytes], int]:
        """The values that it holds, by offset, of what was written from a time on; and the offset behind its last one."""
        ...

    def value(self, topic: str, partition: int, offset: int) -> bytes | None:
        """One value; None when it is not there."""
        ...


class Kept:
    """Reads what was kept of messages.

    older: None: only what the topic holds.
    Raises (everywhere): HubError, retriable, when brokers, registry or the archive's disk do not answer.
    """

    def __init__(
        self,
        settings: Settings,
        wire: Wire,
        keyring: Keyring,
        raw_store: RawStore,
        signers: Signers = UNCHECKED,
        older: Older | None = None,
        stopping: threading.Event | None = None,
    ) -> None:
        self._settings, self._wire, self._keyring, self._raw_store = settings, wire, keyring, raw_store
        self._signers, self._older, self._stopping = signers, older, stopping or threading.Event()

    def asked_for(self, request: Event) -> Iterator[Event]:
        """The messages that a `hie.ReplayRequest` names; what never was a whole frame, or is forgotten, is left out."""
        ids = frozenset(request["message_ids"])
        filters = [(name, request[name]) for name in ("sender", "facility", "message_type") if request[name]]
        since, until = request["from_at"], request["to_at"]
        with connect(self._settings.database_url.get_secret_value()) as database, available():
            forgotten = all_ids(database)
        named = self._named(ids)
        for value in self._walk(since) if named is None else named:
            try:
                _record, message = self._wire.unpack(value)
            except HubError as wrong:
                if wrong.retriable:
                    raise
                telemetry.fault(_STAGE, wrong.code, MESSAGES)
                continue
            in_time = (since is None or message["received_at"] >= since) and (until is None or message["received_at"] < until)
            wanted_id = (not ids or message["message_id"] in ids) and message["message_id"] not in forgotten
            if in_time and wanted_id and _was_whole(message) and all(message[name] == wanted for name, wanted in filters):
                yield message

    def again(self, message: Event, facilities: frozenset[str] | None) -> Translation:
        """The message once more, under its own time, sender and charset, so that its events get the same ids.

        Raises: HubError(NOT_FOUND) when its bytes are gone, HubError(FRAME_TOO_LARGE) when only its beginning was kept.
        """
        raw = self._raw_store.get(message["raw_ref"]) if message["raw_ref"] else message["raw"]
        if len(raw) != message["raw_size"]:
            raise HubError("FRAME_TOO_LARGE", "kept in part")
        return translate(received_of(message, raw, facilities), self._keyring, signers=self._signers)

    def value(self, topic: str, partition: int, offset: int) -> bytes:
        """One value, out of archive or topic. Raises: HubError(NOT_FOUND) when neither has it."""
        held = self._older.value(topic, partition, offset) if self._older is not None else None
        if held is None:
            [record] = read_at(self._settings.kafka, [(topic, partition, offset)])
            held = record.value() or b""
        return held

    def _named(self, ids: frozenset[str]) -> Iterator[bytes] | None:
        """Those of some ids, by the journal's index; None when it does not know all of them: then all is looked through."""
        if not ids:
            return None
        try:
            with connect(self._settings.database_url.get_secret_value()) as database, available():
                places = database.execute(_PLACES, (list(ids),)).fetchall()
        except HubError:
            return None
        return self._at(places) if len(places) == len(ids) else None

    def _at(self, places: Sequence[tuple[Any, ...]]) -> Iterator[bytes]:
        for place in places:
            try:
                yield self.value(*place)
            except HubError as gone:
                if gone.retriable:
                    raise
                telemetry.fault(_STAGE, gone.code, gone.where)

    def _walk(self, since: datetime | None) -> Iterator[bytes]:
        """Every record of `message-received.v1` from a time on: what the archive holds, then the topic as far as it goes now."""
        places = [TopicPartition(MESSAGES, number) for number in range(topics()[MESSAGES].partitions)]
        archived = dict.fromkeys((place.partition for place in places), 0)
        if self._older is not None:
            for place in places:
                values, archived[place.partition] = self._older.values(MESSAGES, place.partition, since)
                yield from values
        yield from self._in_topic(places, archived, since)

    def _in_topic(self, places: list[TopicPartition], archived: dict[int, int], since: datetime | None) -> Iterator[bytes]:
        reader = consumer(self._settings.kafka, "hie-replay", (), **{"enable.partition.eof": True})
        try:
            ends = {place.partition: reader.get_watermark_offsets(place, timeout=10) for place in places}
            starts = {number: max(low, archived[number]) for number, (low, _high) in ends.items()}
            if since is not None:  # a record's time is never before its message's received_at
                asked = [TopicPartition(MESSAGES, place.partition, int(since.timestamp() * 1000)) for place in places]
                for found in reader.offsets_for_times(asked, timeout=10):
                    behind = ends[found.partition][1] if found.offset < 0 else found.offset
                    starts[found.partition] = max(starts[found.partition], behind)
            reader.assign([TopicPartition(MESSAGES, number, start) for number, start in starts.items()])
            open_partitions = {place.partition for place in places}
            deadline = now() + timedelta(seconds=_WALK_WAIT_S)
            while open_partitions:
                page = reader.consume(_PAGE, 0.5)
                if page:
                    deadline = now() + timedelta(seconds=_WALK_WAIT_S)
                elif now() > deadline or self._stopping.is_set():
                    raise HubError("BROKER_UNAVAILABLE", MESSAGES)
                yield from _values(page, open_partitions)
        finally:
            reader.close()


def through_the_disk(message: Event) -> bool:
    """Whether it is an envelope too large to be held in memory."""
    return bool(message["raw_ref"]) and message["format"] == "xml"


def received_of(message: Event, raw: bytes, facilities: frozenset[str] | None) -> Received:
    """The message as it came in, from a sender who may speak for these facilities."""
    return Received(
        raw,
        message["received_at"],
        message["transport"],
        message["sender"],
        facilities,
        message["test"],
        charset=message["charset"],
    )


def _was_whole(message: Event) -> bool:
    """Whether the bytes were a frame or a body of their own, not what a broken link left of one."""
    ended_by = {problem["code"] for problem in message["problems"] if problem["severity"] == Severity.ERROR}
    return not ended_by & _NEVER_WHOLE


def _values(found: list[Message], open_partitions: set[int]) -> Iterator[bytes]:
    for message in found:
        error = message.error()
        if error is None:
            yield message.value() or b""
        elif error.code() == KafkaError._PARTITION_EOF:
            open_partitions.discard(message.partition() or 0)
        elif not error.retriable():
            raise HubError("BROKER_UNAVAILABLE", MESSAGES)
