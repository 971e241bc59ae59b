"""Spans beside the index: one trace a message, for an OpenTelemetry collector, made of what the journal reads anyway.

A trace has the message's id, so `hie trace` takes it; a span has the first half of the id of what it tells (an event, a delivery),
so that cause and effect find each other whenever they are read. What a sender wrote into a message never comes here: a code of
facility or recipient only when the directory knows it.
Source: OTLP 1 over HTTP, https://opentelemetry.io/docs/specs/otlp/.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from queue import Empty, Full, Queue
from typing import Final
from uuid import UUID

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags
from psycopg import Connection
from psycopg.rows import TupleRow

from hub.contract import telemetry
from hub.contract.directory import facilities, payers
from hub.contract.events import new_id, now
from hub.journal.rows import Kind, Read, Rows

_RECENT: Final = timedelta(hours=1)  # what is older is read by a rebuild: its trace was told when it happened
_WAITING_MAX: Final = 8_192  # spans, some 10 MB
_BATCH_MAX: Final = 512
_ANSWER_S: Final = 5.0  # for the collector, with tries
_LOOK_S: Final = 1.0
_TELL_EVERY_S: Final = 60.0
_ENDS_S: Final = 2.0
_SHARES: Final = 1 << 32
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FAILED: Final = frozenset(("refused", "quarantined", "REFUSED", "EXPIRED"))

_KNOWN: Final = """
select event_id, min(recorded_at) from journal_event where event_id = any(%(ids)s) group by 1
union all select delivery_id, recorded_at from journal_delivery where delivery_id = any(%(ids)s)
union all select message_id, received_at from journal_message where message_id = any(%(ids)s)
"""
_OF_LETTERS: Final = """
select topic, partition, record_offset, array[event_id, message_id] from journal_event
join unnest(%s::text[], %s::int[], %s::bigint[]) as letter (topic, partition, record_offset) using (topic, partition, record_offset)
"""


@dataclass(frozen=True, slots=True)
class _Stage:
    """One span before its beginning is known.

    id:     of what it tells; its span is named after it.
    parent: of what it belongs under; None for the message itself.
    causes: what has to be there first; it begins with the latest of them that the index knows.
    told:   attributes, the empty ones too.
    """

    trace: UUID
    name: str
    id: UUID
    parent: UUID | None
    causes: Sequence[UUID]
    end: datetime
    told: Mapping[str, str | bool]


# --- from rows to stages ----------------------------------------------------------------------------------------------


def _known_code(code: str) -> str:
    """The code of a facility or payer; nothing of what only a message says."""
    return code if code in facilities() or code in payers() else ""


def _message(trace: UUID, row: Read) -> _Stage:
    id, _at, _day, sender, facility, transport, _, _, _, verdict, _, problems, _, test, _ = row.values
    code = next((str(one["code"]) for one in problems.obj if one["severity"] == "E"), "")
    told = {"sender": sender, "facility": _known_code(facility), "transport": transport, "outcome": verdict, "code": code}
    return _Stage(trace, "received", id, None, (id,), row.recorded_at, {**told, "test": test})


def _event(trace: UUID, row: Read) -> _Stage:
    id, record, _message_id, facility, _key, _action, _rank, rule, causes, at, test = row.values
    parent = causes[0] if len(causes) == 1 else trace  # several causes may be of several messages
    told = {"record": record, "facility": _known_code(facility), "rule": rule, "test": test}
    return _Stage(trace, "derived" if causes else "translated", id, parent, causes or (trace,), at, told)


def _delivery(trace: UUID, row: Read) -> _Stage:
    id, subject, recipient, rule, record, lane, _message_id, test, at = row.values
    told = {"record": record, "recipient": _known_code(recipient), "rule": rule, "lane": lane, "test": test}
    return _Stage(trace, "routed" if recipient else "nobody", id, subject, (subject,), at, told)


def _receipt(trace: UUID, row: Read) -> _Stage:
    delivery, state, at, channel, code = row.values
    id = UUID(new_id("span", str(delivery), state, at.isoformat()))
    return _Stage(trace, state.lower(), id, delivery, (delivery,), at, {"outcome": state, "channel": channel, "code": code})


def _letter(trace: UUID, event: UUID, row: Read) -> _Stage:
    letter, stage, code, _topic, _partition, _offset, at, state = row.values[:8]
    id = UUID(new_id("span", str(letter), state, at.isoformat()))
    told = {"stage": stage, "code": code, "outcome": state}
    return _Stage(trace, state.lower() or "dead-letter", id, event, (event,), at, told)


_STAGES: Final[Mapping[Kind, Callable[[UUID, Read], _Stage]]] = {
    "message": _message,
    "event": _event,
    "delivery": _delivery,
    "receipt": _receipt,
}


# --- the work ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Spans:
    """Makes the spans of a share of all messages, and hands them to the collector from a thread of its own.

    A collector that is slow or away costs spans and nothing else: they wait in a queue with an end, and what finds it full, or
    is not taken, is counted and told.

    endpoint: of the collector, such as http://collector:4318.
    share:    of messages, 0 to 1; which ones is said by their ids, so a message has all of its spans or none.
    """

    endpoint: str
    share: float
    waiting_max: int = _WAITING_MAX
    _waiting: Queue[ReadableSpan] = field(init=False)
    _exporter: OTLPSpanExporter = field(init=False)
    _thread: threading.Thread = field(init=False)
    _resource: Resource = field(init=False)
    _closing: threading.Event = field(default_factory=threading.Event)
    _full: int = 0  # lost so far; counted by whoever sends
    _failed: int = 0  # the same, by the thread

    def __post_init__(self) -> None:
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # what it would warn of is told here, and not for each try
        self._waiting = Queue(self.waiting_max)
        self._exporter = OTLPSpanExporter(f"{self.endpoint.rstrip('/')}/v1/traces", timeout=_ANSWER_S)
        self._resource = Resource.create({"service.name": "hie-hub"})
        self._thread = threading.Thread(target=self._export, name="spans", daemon=True)
        self._thread.start()

    def made(self, database: Connection[TupleRow], rows: Rows) -> list[ReadableSpan]:
        """The spans of one batch, whose rows are written already, in the caller's transaction. Raises: psycopg's errors."""
        since = now() - _RECENT
        stages: dict[UUID, _Stage] = {}
        for one in self._stages(database, rows):
            if one.end >= since:
                stages.setdefault(one.id, one)  # recorded twice within a batch, it is new both times
        if not stages:
            return []
        ids = stages.keys() | {cause for one in stages.values() for cause in one.causes}
        known: dict[UUID, datetime] = dict(database.execute(_KNOWN, {"ids": list(ids)}).fetchall())
        return [self._span(one, known) for one in stages.values() if _is_new(one, known, rows)]

    def send(self, spans: Sequence[ReadableSpan]) -> None:
        """Never waits: what finds the queue full is lost."""
        for number, span in enumerate(spans):
            try:
                self._waiting.put_nowait(span)
            except Full:
                self._full += len(spans) - number
                telemetry.spans_handed_over("full", len(spans) - number)
                return

    def close(self) -> None:
        """What waits is tried for a moment more."""
        self._closing.set()
        self._thread.join(_ENDS_S)
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # ends its waiting for another try

    def _stages(self, database: Connection[TupleRow], rows: Rows) -> Iterator[_Stage]:
        for kind, stage_of in _STAGES.items():
            for row in rows.read[kind]:
                if (trace := self._sampled(row.message_id)) is not None:
                    yield stage_of(trace, row)
        if letters := rows.read["dead-letter"]:
            places = [list(column) for column in zip(*(row.values[3:6] for row in letters), strict=True)]
            events = {tuple(place): ids for *place, ids in database.execute(_OF_LETTERS, places)}
            for row in letters:
                event, message = events.get(row.values[3:6], (None, None))
                if event is not None and (trace := self._sampled(str(message))) is not None:
                    yield _letter(trace, event, row)

    def _sampled(self, message_id: str) -> UUID | None:
        """The trace of a message whose spans are told; the last bits of its id, which is a hash, decide."""
        try:
            trace = UUID(message_id)
        except ValueError:  # none: what a person did, a receipt of nothing
            return None
        return trace if trace.int % _SHARES < self.share * _SHARES else None

    def _span(self, one: _Stage, known: Mapping[UUID, datetime]) -> ReadableSpan:
        begin = max((known[cause] for cause in one.causes if cause in known), default=one.end)
        failed = one.name == "dead-letter" or one.told.get("outcome") in _FAILED
        return ReadableSpan(
            one.name,
            _context(one.trace, one.id),
            _context(one.trace, one.parent) if one.parent is not None else None,
            self._resource,
            {f"hie.{name}": value for name, value in one.told.items() if value != ""},
            status=Status(StatusCode.ERROR if failed else StatusCode.UNSET),
            start_time=_nanoseconds(min(begin, one.end)),  # clocks of two machines
            end_time=_nanoseconds(one.end),
        )

    def _export(self) -> None:
        told, tell_at = 0, 0.0
        while spans := self._next():
            taken = self._exporter.export(spans) is SpanExportResult.SUCCESS
            telemetry.spans_handed_over("sent" if taken else "failed", len(spans))
            self._failed += 0 if taken else len(spans)
            lost = self._failed + self._full
            if lost > told and ((clock := time.monotonic()) >= tell_at or self._closing.is_set()):
                telemetry.spans_lost(lost - told)
                told, tell_at = lost, clock + _TELL_EVERY_S

    def _next(self) -> list[ReadableSpan]:
        """What waits, a batch at most; none only once it is closed and nothing waits."""
        found: list[ReadableSpan] = []
        while len(found) < _BATCH_MAX:
            try:
                found.append(self._waiting.get(timeout=0 if found or self._closing.is_set() else _LOOK_S))
            except Empty:
                if found or self._closing.is_set():
                    break
        return found


def _is_new(one: _Stage, known: Mapping[UUID, datetime], rows: Rows) -> bool:
    """Whether it is told: of a message no replay or sweep, of an event or delivery none but the first record.

    A receipt or dead letter always is, whose row has no id to ask for: read again, it is told again as the same span.
    """
    return one.id in rows.fresh if one.parent is None else known.get(one.id, one.end) >= one.end


def _context(trace: UUID, id: UUID) -> SpanContext:
    return SpanContext(trace.int, id.int >> 64, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _nanoseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1) * 1_000
