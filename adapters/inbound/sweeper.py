"""The sweeper: heals messages that were half written, and translates again what somebody asks to replay.

Half written: the gate died after the brokers had a message and before they had its events. The journal shows them: events
that a message names and that no topic holds. They are made again from the raw bytes, with the same ids, and published.

It runs in a thread of its own with its own connections: a database that is gone stops the sweeping, not the gate.
"""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, cast

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from adapters.inbound.kept import Kept, Older, received_of, through_the_disk
from adapters.inbound.large_envelope import LargeEnvelopes
from adapters.inbound.raw_store import RawStore
from adapters.inbound.signers import Signers
from adapters.inbound.translate import UNCHECKED
from hub.access.credentials import Credentials
from hub.audit import audit
from hub.bus import Out, Producer, Wire, consumer, dead_letter, event_out, read_at
from hub.contract import telemetry
from hub.contract.errors import HubError
from hub.contract.events import VIETNAM, Event, Keyring, new_id, now
from hub.contract.kafka import client
from hub.contract.settings import Settings
from hub.contract.topics import check_size, topic_of, topics
from hub.store.database import available, connect

REPLAYS: Final = "replay.v1"
_STAGE: Final = "sweeper"
_LOCK: Final = 7305  # of several gate processes one sweeps at a time
_BATCH: Final = 500
_BACK: Final = timedelta(days=7)  # how far back the first sweep looks
_OVERLAP: Final = timedelta(seconds=60)  # a later sweep looks again at what the journal may have got late
_POLL_S: Final = 0.25
_ARCHIVE: Final = ("ARCHIVE_UNAVAILABLE", "DISK_FULL")  # faults that end a replay when they last, as each try publishes again
_AGAIN_S: Final = (60.0, 300.0, 900.0, 1800.0)  # between its tries
_PASSING: Final = (KafkaException, OSError, MemoryError)  # the machine's trouble, not the message's
_NO_ID: Final = "00000000-0000-0000-0000-000000000000"

_HALF_WRITTEN: Final = """
    select received_at, message_id::text, topic, partition, record_offset,
           array(select made::text from unnest(m.events) made
                 where not exists (select 1 from journal_event e where e.event_id = made)) as missing
    from journal_message m
    where verdict = 'translated' and day >= %s and (received_at, message_id) > (%s, %s::uuid) and received_at < %s
      and exists (select 1 from unnest(m.events) made where not exists (select 1 from journal_event e where e.event_id = made))
    order by received_at, message_id limit %s
"""


@dataclass(frozen=True, slots=True)
class _Ends:
    """Ends of partitions at a moment: once the journal is past them, it knows all that was written before `at`."""

    at: datetime
    next_offsets: dict[tuple[str, int], int]


class Sweeper:
    """Runs in the gate's process, in a thread. `sweep` and `replay` are its two tasks, callable by themselves."""

    def __init__(
        self,
        settings: Settings,
        wire: Wire,
        producer: Producer,
        keyring: Keyring,
        raw_store: RawStore,
        credentials: Credentials,
        large: LargeEnvelopes,
        signers: Signers = UNCHECKED,
        older: Older | None = None,
    ) -> None:
        self._settings = settings
        self._wire = wire
        self._producer = producer
        self._credentials = credentials
        self._large = large
        self._admin = AdminClient({**client(settings.kafka), "log_level": 2})
        self._ends: _Ends | None = None
        self._checked_to: datetime | None = None
        self._stopping = threading.Event()
        self._kept = Kept(settings, wire, keyring, raw_store, signers, older, self._stopping)
        self._thread = threading.Thread(target=self._run, name=_STAGE, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, limit_s: float = 10.0) -> None:
        """End after the message under way; a replay under way begins anew at the next start."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(limit_s)

    def _run(self) -> None:
        pause_s = min(5.0, max(0.1, self._settings.sweep_after_s / 4))
        # A replay may take hours; until it is done nobody else is to begin it.
        requests = consumer(self._settings.kafka, _STAGE, [REPLAYS], **{"max.poll.interval.ms": 86_400_000})
        due = again = 0.0
        request: Message | None = None  # the one under way
        tries = 0
        try:
            while not self._stopping.is_set():
                if time.monotonic() >= due:
                    self._guarded(self.sweep)
                    due = time.monotonic() + pause_s
                if request is None:
                    request, tries, again = requests.poll(_POLL_S), 0, 0.0
                    if request is not None and request.error() is not None:
                        request = None
                elif time.monotonic() < again:
                    self._stopping.wait(_POLL_S)
                if request is None or time.monotonic() < again:
                    continue
                code = self._guarded(partial(self._execute, request, requests))
                if code in _ARCHIVE and tries >= len(_AGAIN_S):
                    code = self._guarded(partial(self._give_up, request, requests, code))
                if not code:
                    request = None
                    continue
                again = time.monotonic() + (_AGAIN_S[min(tries, len(_AGAIN_S) - 1)] if code in _ARCHIVE else pause_s)
                tries += code in _ARCHIVE
        finally:
            requests.close()

    def _guarded(self, task: Callable[[], object]) -> str:
        """Do it; a fault is told and tried again later, and never leaves this thread. Returns: its code; "" when it was done."""
        code, where = "", ""
        try:
            task()
        except HubError as stop:
            code, where = stop.code, stop.where
        except KafkaException:
            code = "BROKER_UNAVAILABLE"
        except Exception as fault:  # the text may hold a value of a message: only its type is told
            code, where = "TRANSLATION_FAILED", type(fault).__name__
        if code:
            telemetry.fault(_STAGE, code, where)
        return code

    # --- half-written messages

    def sweep(self) -> int:
        """Publish the missing events of half-written messages. Returns: how many messages were healed.

        Does nothing while the journal lags behind the topics: what it has not read yet is not missing.
        Raises: HubError, when the database or the brokers do not answer.
        """
        healed = 0
        with connect(self._settings.database_url.get_secret_value(), autocommit=True) as database, available():
            if not cast("Any", database.execute("select pg_try_advisory_lock(%s)", (_LOCK,)).fetchone())[0]:
                return 0
            seen = dict[tuple[str, int], int]()
            for topic, partition, next_offset in database.execute("select topic, partition, next_offset from journal_offset"):
                seen[topic, partition] = next_offset
            before = self._ends
            caught_up = before is not None and all(seen.get(place, 0) >= end for place, end in before.next_offsets.items())
            if caught_up and before is not None:
                until = before.at - timedelta(seconds=self._settings.sweep_after_s)
                since, last = self._checked_to or until - _BACK, _NO_ID
                day, more = since.astimezone(VIETNAM).date(), True
                while more:  # page by page: what cannot be healed holds up nothing behind it
                    rows = database.execute(_HALF_WRITTEN, (day, since, last, until, _BATCH)).fetchall()
                    for _at, message_id, topic, partition, offset, missing in rows:
                        if self._stopping.is_set():
                            return healed
                        healed += self._heal(message_id, (topic, partition, offset), frozenset(missing))
                    if more := len(rows) == _BATCH:
                        since, last = rows[-1][:2]
                self._checked_to = until - _OVERLAP
        if before is None or caught_up:
            self._ends = self._now_ends()  # after the healing, so that what it wrote is waited for
        return healed

    def _heal(self, message_id: str, place: tuple[str, int, int], missing: frozenset[str]) -> bool:
        try:
            message = self._read(place)
            if through_the_disk(message):
                received = received_of(message, b"", self._entitled(message))
                telemetry.message_swept(message_id, self._large.again(received, message["raw_ref"], missing)[1])
                return True
            again = self._kept.again(message, self._entitled(message))
            wanted = [made for made in again.events if made[1]["meta"]["event_id"] in missing]
            # Not all of them: another version of the dialect reads it differently now, and what it says today counts.
            outs = self._outs(wanted if len(wanted) == len(missing) else again.events)
            self._producer.publish_blocking(outs)
        except HubError as stop:
            if stop.retriable:
                raise
            telemetry.fault(_STAGE, stop.code, stop.where)  # its bytes are gone, or no topic takes it: nothing can be done here
            return False
        except _PASSING:
            raise
        except Exception as fault:  # ours to mend: an event that its schema cannot hold any more, say
            telemetry.fault(_STAGE, "TRANSLATION_FAILED", type(fault).__name__)
            return False
        telemetry.message_swept(message_id, len(outs))
        return True

    def _entitled(self, message: Event) -> frozenset[str] | None:
        """Whom its sender may speak for, with the facility it was taken for: it was entitled to that one when it came.

        All of them, as an envelope may hold records of several. Naming the facility also stands in for an MSH-4 left empty.
        """
        own = frozenset({message["facility"]} if message["facility"] else ())
        credential = self._credentials.of_name(message["sender"])
        if credential is None:
            return own or None
        return None if credential.facilities is None else credential.facilities | own

    def _now_ends(self) -> _Ends:
        at = now()
        names = [name for name, topic in topics().items() if "gate" in topic.written_by]
        places = [TopicPartition(name, number) for name in names for number in range(topics()[name].partitions)]
        found = self._admin.list_offsets({place: OffsetSpec.latest() for place in places}, request_timeout=10)  # type: ignore[no-untyped-call]  # it has no types
        return _Ends(at, {(place.topic, place.partition): future.result().offset for place, future in found.items()})

    # --- replays

    def _execute(self, asked: Message, requests: Consumer) -> None:
        """One request of the topic; its offset is committed when it is done."""
        try:
            _record, request = self._wire.unpack(asked.value())
        except HubError as stop:
            if stop.retriable:
                raise
            self._producer.publish_blocking([dead_letter(self._wire, _STAGE, stop.code, asked)])
        else:
            self.replay(request)
        requests.commit(message=asked, asynchronous=False)

    def _give_up(self, asked: Message, requests: Consumer, code: str) -> None:
        """End a request that the archive does not let through, and leave an audit event that says so; to be asked for anew."""
        _record, request = self._wire.unpack(asked.value())
        self._producer.publish_blocking([self._audit(request, f"{request['id']}: {code}", "failed")])
        requests.commit(message=asked, asynchronous=False)

    def _audit(self, request: Event, target: str, outcome: str) -> Out:
        told = new_id("replay", request["id"])  # the same when it is told again
        return audit(self._wire, "replay", target, request["by"], request["reason"], outcome, event_id=told)

    def replay(self, request: Event) -> tuple[int, int]:
        """Translate again what a `hie.ReplayRequest` names, publish the events, and leave an audit event.

        Messages are judged by the sender's credential as it is today. Events that were published before have the same ids.
        What never was a whole frame is left out: a message cut short would read as one that says less. A message that cannot
        be read any more, or whose events no topic takes, is told and passed over, so that it holds up no other.
        Returns: messages translated, events published.
        Raises:  HubError, when the brokers or the registry do not answer; the whole request is to be done again then.
        """
        count = published = 0
        batch: list[Out] = []
        for message in self._kept.asked_for(request):
            credential = self._credentials.of_name(message["sender"])
            if credential is None:
                continue
            try:
                if through_the_disk(message):
                    self._producer.publish_blocking(batch)  # what came before it goes before it
                    published, batch = published + len(batch), []
                    received = received_of(message, b"", credential.facilities)
                    again, made = self._large.again(received, message["raw_ref"])
                    outs, published = [], published + made
                else:
                    again = self._kept.again(message, credential.facilities)
                    outs = self._outs(again.events)
            except HubError as stop:
                if stop.retriable:
                    raise
                telemetry.fault(_STAGE, stop.code, stop.where)
                continue
            except _PASSING:
                raise
            except Exception as fault:
                telemetry.fault(_STAGE, "TRANSLATION_FAILED", type(fault).__name__)
                continue
            count += again.verdict == "translated"
            batch += outs
            if len(batch) >= _BATCH:
                self._producer.publish_blocking(batch)
                published, batch = published + len(batch), []
        target = f"{request['id']}: {count} messages, {published + len(batch)} events"
        batch.append(self._audit(request, target, "done"))
        self._producer.publish_blocking(batch)
        published += len(batch) - 1
        telemetry.replay_done(request["id"], count, published)
        return count, published

    # --- both

    def _read(self, place: tuple[str, int, int]) -> Event:
        [record] = read_at(self._settings.kafka, [place])
        return self._wire.unpack(record.value())[1]

    def _outs(self, events: Iterable[tuple[str, Event]]) -> list[Out]:
        outs = [event_out(self._wire, topic_of(record), event) for record, event in events]
        for out in outs:
            check_size(out.topic, out.value)
        return outs
