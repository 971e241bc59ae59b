"""The archiver: every topic into the archive before it expires, rows and offsets in one commit.

It belongs to no consumer group: where it stands is in the archive. It may be killed at any time; what was not committed is
read again. One process writes; a second one waits until the first is gone.
"""

import fcntl
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from hub.bus import Wire, consumer, take
from hub.contract import telemetry
from hub.contract.errors import HubError
from hub.contract.events import VIETNAM, now, schema_text
from hub.contract.settings import Settings
from hub.contract.signals import on_end
from hub.contract.topics import topics
from hub.journal.archive import Archive, private
from hub.journal.cut import cut
from hub.journal.places import Place, ends, topic_ids
from hub.store.holds import Period, held_periods

STAGE: Final = "archive"
_BACKOFF_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 30.0)
_TAKE: Final = 500  # records of a look; a batch is as many looks as its bytes and its time allow
_COMPACT: Final = 60  # commits between two compactions
_LAST: Final = {"hie.MessageReceived": "raw_ref"}


@dataclass(slots=True)
class Archiver:
    """One reader, one handle of the table; both are thrown away when either fails, and the next pair goes on from the table."""

    settings: Settings
    stop: threading.Event = field(default_factory=threading.Event)
    _commits: int = 0
    _tidied: date = date.min

    def run(self, ready: Callable[[dict[str, object]], None] = lambda _facts: None) -> None:
        """Archive until stopped. Faults of Kafka, registry and disk are waited out; ready is told once, when it reads."""
        failures, told = 0, False

        def once(facts: dict[str, object]) -> None:
            nonlocal failures, told
            failures = 0
            if not told:
                told = True
                ready(facts)

        while not self.stop.is_set():
            try:
                self.follow(once)
            except HubError as error:
                if not error.retriable:
                    raise
                telemetry.fault(STAGE, error.code, error.where)
            except KafkaException:
                telemetry.fault(STAGE, "BROKER_UNAVAILABLE")
            self.stop.wait(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
            failures += 1

    def follow(self, ready: Callable[[dict[str, object]], None]) -> None:
        """Read from where the archive ends, until stopped. Raises: HubError, retriable, when something is away."""
        wire = Wire(self.settings.registry_url)
        archive = Archive.made(self.settings.archive)
        with _alone(self.settings.archive, self.stop) as alone:
            if not alone:
                return
            archive = Archive.made(self.settings.archive)  # as the one before left it
            ids = topic_ids(self.settings.kafka)
            at = _start(archive, self.settings.kafka, ids)
            with closing(consumer(self.settings.kafka, "archive")) as reader:
                reader.assign([TopicPartition(topic, partition, offset) for (topic, partition), offset in at.items()])
                ready({"topics": len(ids)})
                while not self.stop.is_set():
                    batch = self._batch(reader, at)
                    if topic_ids(self.settings.kafka) != ids:
                        raise HubError("BROKER_UNAVAILABLE", "topics made anew")
                    if batch:
                        self._keep(archive, wire, batch, ids)
                    self._tidy(archive)

    def _batch(self, reader: Consumer, at: dict[Place, int]) -> list[Message]:
        """What comes until there are enough bytes or it has waited long enough; when stopped, what came so far."""
        batch: list[Message] = []
        size, until = 0, time.monotonic() + self.settings.archive_wait_s
        while size < self.settings.archive_batch_bytes and time.monotonic() < until and not self.stop.is_set():
            for message in take(reader, _TAKE, 0.2):
                place, offset = (message.topic() or "", message.partition() or 0), message.offset() or 0
                if offset < at[place]:  # Kafka has sent the reader back: what it holds there is looked at anew
                    raise HubError("TOPIC_CUT", f"{place[0]}/{place[1]}/{offset}")
                if offset > at[place] and topics()[place[0]].cleanup == "delete":
                    telemetry.fault(STAGE, "NOT_FOUND", f"{place[0]}/{place[1]}: {offset - at[place]} records were gone unread")
                at[place] = offset + 1
                batch.append(message)
                size += len(message.value() or b"") + 200
        return batch

    def _keep(self, archive: Archive, wire: Wire, batch: list[Message], ids: Mapping[str, str]) -> None:
        refs: dict[tuple[str, int, int], str] = {}
        for message in batch:
            if reference := _schema_and_reference(archive, wire, message):
                refs[message.topic() or "", message.partition() or 0, message.offset() or 0] = reference
                if not archive.keep_raw(self.settings.data_dir / "raw", reference):
                    telemetry.fault(STAGE, "NOT_FOUND", f"raw store: {reference}")
        archive.append(batch, ids, refs)
        telemetry.records_archived(len(batch))
        self._commits += 1

    def _tidy(self, archive: Archive) -> None:
        today = now().astimezone(VIETNAM).date()
        if self._commits >= _COMPACT or (self._commits and self._tidied != today):
            archive.tidy(self.settings.archive_days, today, self._held)
            self._commits, self._tidied = 0, today

    def _held(self) -> list[Period] | None:
        try:
            return held_periods(self.settings.database_url.get_secret_value())
        except HubError as silent:
            telemetry.fault(STAGE, silent.code, silent.where)
            return None


def _schema_and_reference(archive: Archive, wire: Wire, message: Message) -> str:
    """Keeps the schema of a value; returns the name of a body in the raw store, "" if it has none.

    Bytes that no schema of ours wrote have neither, and are archived all the same.
    """
    value = message.value()
    try:
        if value is None or len(value) < 5 or value[0] != 0:
            return ""
        schema_id = int.from_bytes(value[1:5], "big")
        record, writer = wire.writer(schema_id)
        archive.keep_schema(
            schema_id,
            schema_text(record)
            if writer is None
            else json.dumps({name: part for name, part in writer.items() if not name.startswith("__")}),
        )
        if record not in _LAST:
            return ""
        return str(wire.unpack_head(value, _LAST)[1]["raw_ref"])
    except HubError as wrong:
        if wrong.retriable:
            raise
        return ""


def _start(archive: Archive, kafka: str, ids: Mapping[str, str]) -> dict[Place, int]:
    """Next offset of every partition; a topic that retention took from unread is told, and begun where it begins.

    Of a partition that lost records, the archive's are set aside, and those that have their places now are archived too.
    """
    there = ends(kafka, topics())
    for (topic, partition), offset in cut(archive, kafka, ids, there).items():
        ahead = archive.next_offset(ids[topic], partition) - offset
        archive.set_aside(topic, ids[topic], partition, offset)
        telemetry.fault(STAGE, "TOPIC_CUT", f"{topic}/{partition}/{offset}: {ahead} records")
    at = {}
    for place, (first, _end) in there.items():
        held = archive.next_offset(ids[place[0]], place[1])
        if 0 < held < first:
            telemetry.fault(STAGE, "NOT_FOUND", f"{place[0]}/{place[1]}: {first - held} records were gone unread")
        at[place] = max(held, first)
    return at


@contextmanager
def _alone(folder: Path, stop: threading.Event) -> Iterator[bool]:
    """Hold the archive's lock, which ends with the process; false when stopped before it was free."""
    with (folder / "lock").open("a") as file:
        while not stop.is_set():
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield True
                return
            stop.wait(1.0)
        yield False


def unarchived(settings: Settings) -> dict[str, int]:
    """How many records of each topic the archive has not yet. Raises: HubError(BROKER_UNAVAILABLE, ARCHIVE_UNAVAILABLE)."""
    archive, ids = Archive.open(settings.archive), topic_ids(settings.kafka)
    found = dict.fromkeys(ids, 0)
    for (topic, partition), (first, end) in ends(settings.kafka, topics()).items():
        found[topic] += max(0, end - max(first, archive.next_offset(ids[topic], partition) if archive else 0))
    return found


def waiting(settings: Settings) -> int:
    """How many records the topics hold and the archive does not. Raises: as `unarchived`."""
    return sum(unarchived(settings).values())


def run(settings: Settings, ready: Callable[[dict[str, object]], None]) -> None:
    """The archiver as a process: blocks until SIGTERM or SIGINT."""
    private()
    archiver = Archiver(settings)
    on_end(archiver.stop.set)
    archiver.run(ready)
    telemetry.service_stopping(STAGE)
