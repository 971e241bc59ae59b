"""One worker of an insurer: batches of its claim topic → columns → rules → ledger → decisions.

Where it stands is in the ledger alone. It may be killed at any point: the next start completes the interrupted batch
exactly, publishes the decisions that the outbox still owes, and goes on. Faults of broker, registry or disk make it wait
and try again; they are said once. Bodies that cannot be decoded are in the dead-letter topic before the ledger moves.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, TypeVar, cast

import polars as pl
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient
from deltalake.exceptions import DeltaError

from hub.bus import Producer, Wire, consumer, dead_letter
from hub.contract import telemetry
from hub.contract.errors import HubError
from hub.contract.kafka import client
from hub.contract.settings import Settings
from hub.contract.signals import on_end
from hub.insurer.adjusted import Adjusted
from hub.insurer.catalogues import read_catalogues
from hub.insurer.columns import decode_claims
from hub.insurer.compaction import compact
from hub.insurer.decisions import decide
from hub.insurer.ledger import PLACE, Ledger, ledger_folder, schema_of
from hub.insurer.outbox import Outbox
from hub.insurer.rules import adjudicate

WINDOW: Final = 100_000
"""A repeat of an event is recognised when it comes within so many offsets of its partition."""

STAGE: Final = "insurer"
_POLL_S: Final = 0.5
_CHUNK: Final = 500
_BATCH_BYTES: Final = 64 * 1024 * 1024
_LAG_S: Final = 15.0  # how often its metrics are told how far behind it is
_LOOK_S: Final = 5.0  # how often the first worker looks whether a month was closed
_TIDY_S: Final = 3_600.0  # how often it looks whether the ledger has many small files
_WAITS_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)

_PLACE_IS_WRONG: Final = (KafkaError._AUTO_OFFSET_RESET, KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.UNKNOWN_TOPIC_ID)

T = TypeVar("T")


class Stopped(Exception):  # noqa: N818  # no error: somebody asked
    """The worker was asked to stop while it waited for something."""


@dataclass(slots=True)
class _Memory:
    """Event ids of one partition that were taken lately, to recognise what at-least-once delivery repeats.

    It is a function of the ledger alone (what stands within WINDOW offsets), so that a killed run equals an unbroken one.
    """

    before: set[str]  # of topics that were here before, under other ids
    at: dict[str, int] = field(default_factory=dict)
    order: deque[tuple[str, int]] = field(default_factory=deque)

    def knows(self, event_id: str, offset: int) -> bool:
        return event_id in self.before or offset - self.at.get(event_id, offset - WINDOW - 1) <= WINDOW

    def add(self, event_id: str, offset: int) -> None:
        self.at[event_id] = offset
        self.order.append((event_id, offset))
        while self.order and offset - self.order[0][1] > WINDOW:
            old, at = self.order.popleft()
            if self.at[old] == at:
                del self.at[old]


class Insurer:
    """One worker; `worker` of `workers` takes every partition p with p % workers == worker.

    topic: read this one instead of the payer's own, such as a copy of it.
    Raises (open, step): Stopped when `stop` is set while it waits.
    """

    def __init__(
        self, settings: Settings, payer: str, stop: threading.Event, *, worker: int = 0, workers: int = 1, topic: str = ""
    ) -> None:
        self.settings, self.payer, self.stop = settings, payer, stop
        self.worker, self.workers = worker, workers
        self.topic = topic or f"payer.{payer}.claim.v1"
        self.cpu_s: Counter[str] = Counter()
        self._catalogues = read_catalogues(settings.catalogue_dir) if settings.catalogue_dir else None
        self._wire = Wire(settings.registry_url)
        self._producer = Producer(settings.kafka, wait_s=settings.ack_wait_s, linger_ms=5, client_id=f"hie-insurer-{payer}")
        self._consumer: Consumer = consumer(
            settings.kafka,
            f"hie-insurer-{payer}",
            (),
            **{"auto.offset.reset": "error", "fetch.min.bytes": 65536, "queued.max.messages.kbytes": _BATCH_BYTES // 1024},
        )
        self._ledger: Ledger
        self._outbox: Outbox
        self._adjusted: Adjusted
        self._look_at = 0.0
        self._lag_at = 0.0
        self._tidy_at = time.monotonic() + _TIDY_S
        self._memory: dict[int, _Memory] = {}
        self._said = ""

    def open(self) -> None:
        """Find the topic, open the ledger, complete what a crash left, and stand at the next offsets."""
        topic_id, count = self._patiently(self._describe)
        mine = [partition for partition in range(count) if partition % self.workers == self.worker]
        self._ledger = self._patiently(lambda: Ledger(ledger_folder(self.settings, self.payer), topic_id))
        name = f"{self.worker}-of-{self.workers}"
        answers = f"payer.{self.payer}.decision.v1"
        self._outbox = Outbox(self._ledger, self._wire, self._producer, answers, name)
        since = datetime.now(UTC) - timedelta(days=self.settings.claim_days)
        self._adjusted = Adjusted(self._ledger.folder, self._wire, self._producer, answers, since)
        for partition in mine:
            self._memory[partition] = _Memory(self._ledger.event_ids_before(partition, WINDOW))
            for event_id, offset in self._ledger.event_ids(partition, WINDOW):
                self._memory[partition].add(event_id, offset)
        self._complete({partition: end for partition in mine if (end := self._ledger.interrupted(partition)) is not None})
        for partition in mine:
            self._patiently(partial(self._outbox.catch_up, partition, self.settings.insurer_batch))
        self._consumer.assign([TopicPartition(self.topic, partition, self._start(partition)) for partition in mine])

    def step(self) -> int:
        """One batch, if there is any; what was found after decisions, now and then. Returns: how many records it took."""
        with _Spent(self.cpu_s, "poll"):
            messages = self._poll(self.settings.insurer_batch)
        if messages:
            self._process(messages)
        if self.worker == 0 and time.monotonic() >= self._look_at:
            self._patiently(self._adjusted.publish)
            self._look_at = time.monotonic() + _LOOK_S
        if self.worker == 0 and time.monotonic() >= self._tidy_at:
            # beside the batches, which it does not concern; a process that ends meanwhile has changed nothing
            threading.Thread(target=self._tidy, name="compaction", daemon=True).start()
            self._tidy_at = time.monotonic() + _TIDY_S
        if time.monotonic() >= self._lag_at:
            telemetry.stands("hie_consumer_lag_records", {(f"insurer-{self.payer}", self.topic): self._lag()})
            self._lag_at = time.monotonic() + _LAG_S
        return len(messages)

    def close(self) -> None:
        self._consumer.close()
        self._producer.close()

    # --- reading ------------------------------------------------------------------------------------------------------

    def _describe(self) -> tuple[str, int]:
        admin = AdminClient({**client(self.settings.kafka), "log_level": 2})
        found = admin.describe_topics(TopicCollection([self.topic]), request_timeout=10)[self.topic].result(15)
        return str(found.topic_id), len(found.partitions)

    def _start(self, partition: int) -> int:
        """The next offset of a partition that the brokers still have."""
        committed = self._ledger.committed(partition)
        place = TopicPartition(self.topic, partition)
        low, high = self._patiently(lambda: self._consumer.get_watermark_offsets(place, timeout=10))
        if committed > high:
            raise HubError("LEDGER_CONFLICT", f"{self.topic}/{partition}: the ledger is past the end of the topic")
        if committed < low and committed:
            telemetry.fault(STAGE, "NOT_FOUND", f"{self.topic}/{partition}: retention took {low - committed} records unread")
        return max(low, committed)

    def _lag(self) -> int:
        """Records that this worker has still to take, of the ends that the brokers told with what was fetched last."""
        lag = 0
        for partition in self._memory:
            _low, high = self._consumer.get_watermark_offsets(TopicPartition(self.topic, partition), cached=True)
            lag += max(0, high - self._ledger.committed(partition))  # below nothing while it is not known
        return lag

    def _poll(self, most: int) -> list[Message]:
        taken: list[Message] = []
        size, deadline = 0, time.monotonic() + _POLL_S
        while len(taken) < most and size < _BATCH_BYTES and not self.stop.is_set():
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                break
            for message in self._consumer.consume(min(_CHUNK, most - len(taken)), left_s):
                if message.error():
                    self._heed(message)
                else:
                    taken.append(message)
                    size += len(message)
                    self._said = ""
        return taken

    def _heed(self, message: Message) -> None:
        """An error in place of a record: said once in a row; one about the place is looked into."""
        error = cast("KafkaError", message.error())
        if error.name() != self._said:
            telemetry.fault(STAGE, "BROKER_UNAVAILABLE", error.name())
            self._said = error.name()
        if error.code() in _PLACE_IS_WRONG:
            with suppress(KafkaException):  # while the topic is away there is nothing to compare
                if self._describe()[0] != self._ledger.topic_id:
                    raise HubError("LEDGER_CONFLICT", f"{self.topic} was made anew while it was read; start again")
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            partition = cast("int", message.partition())
            self._consumer.seek(TopicPartition(self.topic, partition, self._start(partition)))

    def _complete(self, ends: dict[int, int]) -> None:
        """Form the interrupted batch again, [committed, end) of each partition, and finish it."""
        if not ends:
            return
        starts = {partition: self._ledger.committed(partition) for partition in ends}
        self._consumer.assign([TopicPartition(self.topic, partition, start) for partition, start in starts.items()])
        messages: list[Message] = []
        left = set(ends)
        while left:
            if self.stop.is_set():
                raise Stopped
            for message in self._consumer.consume(_CHUNK, _POLL_S):
                partition, offset = cast("int", message.partition()), cast("int", message.offset())
                if message.error():
                    if cast("KafkaError", message.error()).code() == KafkaError._AUTO_OFFSET_RESET:
                        raise HubError("NOT_FOUND", f"{self.topic}/{partition}: the interrupted batch is gone from the topic")
                    continue
                if offset < ends[partition]:
                    messages.append(message)
                if offset >= ends[partition] - 1:
                    left.discard(partition)
        self._process(messages, ends)

    # --- one batch ----------------------------------------------------------------------------------------------------

    def _process(self, messages: Sequence[Message], ends: dict[int, int] | None = None) -> None:
        upto = ends or {cast("int", message.partition()): cast("int", message.offset()) + 1 for message in messages}
        with _Spent(self.cpu_s, "columns"):
            decoded = self._patiently(lambda: decode_claims([message.value() for message in messages], self._wire.writer))
            misplaced = decoded.claims.filter(pl.col("test") != (self.payer == "test")).get_column("row").to_list()
            refused = decoded.culprits | dict.fromkeys(misplaced, "TEST_MISPLACED")
        if refused:
            self._bury([(messages[row], code) for row, code in sorted(refused.items())])
        with _Spent(self.cpu_s, "repeats"):
            taken = self._new(messages, decoded.claims, set(misplaced))
            dropped = decoded.claims.height - len(misplaced) - len(taken)
            if len(taken) < decoded.claims.height:
                decoded = decoded.only(pl.col("row").is_in(list(taken)))
            claims, lines = decoded.claims, decoded.lines
        with _Spent(self.cpu_s, "rules"):
            findings = adjudicate(decoded, against=self._catalogues)
            decisions = decide(claims, findings, self.payer)
        with _Spent(self.cpu_s, "ledger"):
            frames = self._placed(messages, {"claims": claims, "lines": lines, "findings": findings, "decisions": decisions})
            self._patiently(lambda: self._ledger.append(frames, upto), anew=True)
            for event_id, (partition, offset) in taken.values():
                self._memory[partition].add(event_id, offset)
        telemetry.ledger_rows_written(self.payer, claims.height, lines.height, findings.height, dropped)
        with _Spent(self.cpu_s, "decisions"):
            self._patiently(lambda: self._outbox.publish(frames["decisions"], frames["findings"], upto))

    def _new(
        self, messages: Sequence[Message], claims: pl.DataFrame, misplaced: set[int]
    ) -> dict[int, tuple[str, tuple[int, int]]]:
        """Row to event id and place of every claim that is no repeat; the first one of several in the batch counts."""
        taken: dict[int, tuple[str, tuple[int, int]]] = {}
        here: dict[tuple[int, str], int] = {}
        for row, event_id in claims.select("row", "event_id").iter_rows():
            partition, offset = cast("int", messages[row].partition()), cast("int", messages[row].offset())
            known = offset - here.get((partition, event_id), offset - WINDOW - 1) <= WINDOW
            if not known and row not in misplaced and not self._memory[partition].knows(event_id, offset):
                here[partition, event_id] = offset
                taken[row] = (event_id, (partition, offset))
        return taken

    def _placed(self, messages: Sequence[Message], frames: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
        """The frames with the columns of the ledger's tables: the place and the event id of the claim instead of `row`."""
        places = pl.DataFrame(
            {
                "row": range(len(messages)),
                "kafka_topic_id": [self._ledger.topic_id] * len(messages),
                "kafka_partition": [message.partition() for message in messages],
                "kafka_offset": [message.offset() for message in messages],
            },
            schema={"row": pl.UInt32(), **PLACE},
        )
        at = places.join(frames["claims"].select("row", "event_id"), on="row", how="left", maintain_order="left").drop("row")
        placed = {}
        for name, frame in frames.items():
            of_rows = at.select(pl.all().gather(frame.get_column("row")))  # a join would copy the sixty columns of a line
            placed[name] = of_rows.hstack(frame.drop("row", "event_id", strict=False)).select(*schema_of(name))
        return placed

    def _tidy(self) -> None:
        try:
            done = compact(self._ledger.folder)
        except (HubError, DeltaError, OSError) as failed:  # in an hour again
            telemetry.fault(STAGE, *_named(failed))
            return
        for table, (before, after) in done.items():
            telemetry.ledger_compacted(self.payer, table, before, after)

    def _bury(self, dead: Sequence[tuple[Message, str]]) -> None:
        self._patiently(
            lambda: self._producer.publish_blocking([dead_letter(self._wire, STAGE, code, message) for message, code in dead])
        )
        for code, count in Counter(code for _, code in dead).items():
            telemetry.dead_lettered(STAGE, code, count)

    def _patiently(self, call: Callable[[], T], *, anew: bool = False) -> T:
        """The result of the call, tried again while broker, registry or disk do not do; said once.

        anew: look at the ledger again before another try, as the failed one may have been written in part.
        """
        said = ""
        for attempt in range(1_000_000_000):
            try:
                if attempt and anew:
                    self._ledger.reopen()
                return call()
            except (HubError, KafkaException, DeltaError, OSError) as failed:
                if isinstance(failed, HubError) and not failed.retriable:
                    raise
                code, where = _named(failed)
            if code != said:
                telemetry.fault(STAGE, code, where)
                said = code
            if self.stop.wait(_WAITS_S[min(attempt, len(_WAITS_S) - 1)]):
                raise Stopped
        raise AssertionError("unreachable")


def _named(failed: Exception) -> tuple[str, str]:
    """Code and place of a fault. The text of a foreign exception may hold anything, so it is looked at, not told."""
    if isinstance(failed, HubError):
        return failed.code, failed.where
    if isinstance(failed, KafkaException):
        return "BROKER_UNAVAILABLE", "topic"
    if (isinstance(failed, OSError) and failed.errno == 28) or "No space left" in str(failed):
        return "DISK_FULL", "ledger"
    return "LEDGER_CONFLICT", type(failed).__name__


class _Spent:
    """Adds the CPU seconds of a block, all threads of the process, to a stage."""

    def __init__(self, counter: Counter[str], stage: str) -> None:
        self._counter, self._stage = counter, stage

    def __enter__(self) -> None:
        self._from = time.process_time()

    def __exit__(self, *_: object) -> None:
        self._counter[self._stage] += time.process_time() - self._from  # type: ignore[assignment]  # counts seconds


def run(settings: Settings, payer: str, ready: Callable[[dict[str, object]], None], worker: int = 0, workers: int = 1) -> None:
    """Be a worker of a payer's insurer until SIGTERM or SIGINT.

    ready: called once it stands at the next offsets.
    Raises: HubError(LEDGER_CONFLICT, NOT_FOUND) when ledger and topic do not belong together: a person has to look.
    """
    stop = threading.Event()
    on_end(stop.set)
    insurer = Insurer(settings, payer, stop, worker=worker, workers=workers)
    try:
        insurer.open()
        telemetry.service_ready(f"insurer-{payer}")
        ready({"worker": worker, "workers": workers})
        while not stop.is_set():
            insurer.step()
    except Stopped:
        pass
    finally:
        telemetry.service_stopping(f"insurer-{payer}")
        insurer.close()
