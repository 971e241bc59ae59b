"""Telemetry: a list of named happenings. Each writes its log line and its counters; callers never format a log line.

Labels are few and bounded: transport, dialect, verdict, code, stage, reason. A message's values, identifiers and names never
come here (promise 8); a message id or a facility code may stand in a log line, never in a label.

A happening of every message is counted always and logged at debug only: a line a message would cost more than the message.
"""

import logging
import sys
import threading
from collections import Counter as CountOf
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import PurePath
from typing import Any, Final, TextIO, cast

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.values import MutexValue, ValueClass

from hub.contract.metrics import STANDING

EVENTS: Final = frozenset(
    (
        "library",
        "broken",
        "message_refused",
        "message_unconfirmed",
        "translation_failed",
        "link_closed",
        "message_swept",
        "replay_done",
        "dead_lettered",
        "push_answered",
        "deliveries_expired",
        "circuit_opened",
        "portal_answered",
        "ledger_rows_written",
        "ledger_compacted",
        "service_ready",
        "service_stopping",
        "directory_taken",
        "credentials_taken",
        "incident_opened",
        "incident_ended",
        "spans_lost",
        "sign_in_refused",
        "fault",
    )
)
"""Every name that a log line may have (`event`)."""

Rows = Mapping[tuple[str, ...], float]
"""Values of a gauge by its labels' values, in the order of the contract."""

disable_created_metrics()  # type: ignore[no-untyped-call]  # when each series began: that would double them all

_RECEIVED: Final = Counter("hie_messages_received", "Messages at the border.", ("transport", "dialect", "verdict"))
_PROBLEMS: Final = Counter("hie_problems", "Problems told to senders.", ("code", "severity"))
_EVENTS: Final = Counter("hie_events_published", "Events that the brokers hold.", ("stage", "topic"))
_BYTES: Final = Counter("hie_mllp_bytes", "Bytes of MLLP links: in = framed + quarantined + padding + dropped.", ("kind",))
_LINKS: Final = Gauge("hie_mllp_links", "Open MLLP links.", multiprocess_mode="livesum")
_CLOSED: Final = Counter("hie_mllp_links_closed", "MLLP links that ended.", ("reason",))
_CALLS_REFUSED: Final = Counter(
    "hie_gateway_calls_refused", "Calls of the insurance gateway that nothing came of.", ("call", "code")
)
_UNCONFIRMED: Final = Counter(
    "hie_unconfirmed", "Messages left without acknowledgement: the brokers did not confirm.", ("stage",)
)
_FAULTS: Final = Counter("hie_faults", "Faults that a service survived.", ("stage", "code"))
_SWEPT: Final = Counter("hie_swept_messages", "Half-written messages whose events were published again.")
_REPLAYED: Final = Counter("hie_replayed_messages", "Messages translated again because somebody asked.")
_QUEUED: Final = Counter("hie_deliveries_queued", "Deliveries put into mailboxes.", ("lane",))
_REPEATED: Final = Counter("hie_deliveries_repeated", "Deliveries that were in their mailbox already.")
_RECEIPTS: Final = Counter("hie_receipts", "Receipts that the brokers hold.", ("state", "channel"))
_DEAD: Final = Counter("hie_dead_letters", "Records that could not be processed.", ("stage", "code"))
_PUSHED: Final = Counter("hie_push_answers", "What recipients answered to MLLP push.", ("answer",))
_PORTAL: Final = Counter("hie_portal_slips", "What became of slips for the citizen's app at the insurance portal.", ("answer",))
_INDEXED: Final = Counter("hie_journal_records", "Records that the journal indexed.", ("kind",))
_SPANS: Final = Counter("hie_trace_spans", "What became of spans for the collector of traces.", ("answer",))
_INCIDENTS: Final = Counter("hie_incidents", "Incidents that the watch opened or ended.", ("kind", "change"))
_INCIDENTS_OPEN: Final = Gauge("hie_incidents_open", "Incidents that are open.", ("kind",))
_INCIDENT_KINDS: Final = ("silence", "volume", "refusals", "codes", "latency")
_ARCHIVED: Final = Counter("hie_archived_records", "Records that the archive holds.")

_LEDGER: Final = Counter(
    "hie_ledger_rows", "Rows written to an insurer's ledger; repeats are claims dropped as known.", ("payer", "kind")
)
_SIGN_INS: Final = Counter("hie_console_sign_ins", "Tries to sign in to the console.", ("answer",))
_DOOR_REFUSED: Final = Counter("hie_console_refused", "Requests that the console's door refused.", ("reason",))

_log = structlog.get_logger("hie")


def configure(level: str) -> None:
    """Log lines as JSON on standard error, from this level on. Called once by the command line."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _Lossy())),
    )
    root = logging.getLogger()
    if not any(isinstance(handler, _Libraries) for handler in root.handlers):
        root.addHandler(_Libraries(logging.WARNING))
    threading.excepthook = _thread_broke


def trace_of(fault: BaseException | None) -> str:
    """Type of an exception and the lines of code it came through, innermost last; never its text, which may quote a message."""
    if fault is None:
        return ""
    places, trace = [], fault.__traceback__
    while trace is not None:
        places.append(f"{PurePath(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}")
        trace = trace.tb_next
    cause = f" from {trace_of(fault.__cause__)}" if fault.__cause__ else ""
    return f"{type(fault).__name__} {' '.join(places)}".strip() + cause


class _Lossy:
    """Standard error, where a line is lost rather than a message: its disk may be full, or nobody reads the pipe any more."""

    def write(self, line: str) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.write(line)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.flush()


class _Libraries(logging.Handler):
    """What libraries log: who and where, without the text. asyncio and uvicorn write exceptions out, values and all."""

    def emit(self, record: logging.LogRecord) -> None:
        fault = record.exc_info[1] if record.exc_info else None
        where = f"{record.module}:{record.lineno}"
        _log.warning("library", logger=record.name, severity=record.levelname, where=where, fault=trace_of(fault))


def _thread_broke(raised: Any) -> None:
    _log.error("broken", stage=raised.thread.name if raised.thread else "thread", fault=trace_of(raised.exc_value))


def service_broke(stage: str, fault: BaseException) -> None:
    """A service ends by a fault that nobody expected; whoever keeps it starts it anew."""
    _log.error("broken", stage=stage, fault=trace_of(fault))


def metrics() -> bytes:
    """What `/metrics` answers, in Prometheus' text format: of this process, or of all that share their metrics with it."""
    if ValueClass is MutexValue:
        return generate_latest() + generate_latest(_ASKED)
    together = CollectorRegistry()
    MultiProcessCollector(together)  # type: ignore[no-untyped-call]
    return generate_latest(together) + generate_latest(_ASKED)


class _Standing(Collector):
    """The gauges that are asked for. They are of this process alone, so that several gates do not add them up."""

    def __init__(self) -> None:
        self.rows: dict[str, Rows] = {}

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for name, rows in sorted(self.rows.copy().items()):
            family = GaugeMetricFamily(name, STANDING[name].meaning, labels=list(STANDING[name].labels))
            for labels, value in rows.items():
                family.add_metric(labels, value)
            yield family


_STANDING: Final = _Standing()
_ASKED: Final = CollectorRegistry()
_ASKED.register(_STANDING)


def stands(name: str, rows: Rows) -> None:
    """What a gauge of `metrics.STANDING` says from now on; a row that is not among these is gone, and so is the gauge without any."""
    if rows:
        _STANDING.rows[name] = dict(rows)
    else:
        _STANDING.rows.pop(name, None)


# --- the border in ----------------------------------------------------------------------------------------------------


@cache
def _received(transport: str, dialect: str, verdict: str) -> Counter:
    return _RECEIVED.labels(transport, dialect, verdict)


@cache
def _problem(code: str, severity: str) -> Counter:
    return _PROBLEMS.labels(code, severity)


@cache
def _published(stage: str, topic: str) -> Counter:
    return _EVENTS.labels(stage, topic)


@cache
def _bytes(kind: str) -> Counter:
    return _BYTES.labels(kind)


def message_received(transport: str, dialect: str, verdict: str) -> None:
    """The brokers hold a message; verdict: translated, refused or quarantined."""
    _received(transport, dialect, verdict).inc()


def problem_told(code: str, severity: str) -> None:
    _problem(code, severity).inc()


def message_refused(message_id: str, verdict: str, code: str, path: str) -> None:
    """A message was refused or quarantined, and its bytes are kept."""
    _log.info("message_refused", message_id=message_id, verdict=verdict, code=code, path=path)


def event_published(stage: str, topic: str, count: int = 1) -> None:
    _published(stage, topic).inc(count)


def message_unconfirmed(stage: str, code: str) -> None:
    """The brokers did not confirm; nothing was acknowledged."""
    _UNCONFIRMED.labels(stage).inc()
    _log.warning("message_unconfirmed", stage=stage, code=code)


def translation_failed(message_id: str, kind: str, where: str) -> None:
    """A fault of ours: kind is the exception's type, where the line of our code; its text may hold a value and stays out."""
    _FAULTS.labels("translate", "TRANSLATION_FAILED").inc()
    _log.error("translation_failed", message_id=message_id, kind=kind, where=where)


def bytes_counted(came: int, framed: int, quarantined: int, padding: int, dropped: int = 0) -> None:
    """Bytes of MLLP links since the last count: in = framed + quarantined + padding (CR, LF, NUL between frames) + dropped.

    dropped: read and not taken when the hub closed a link without an answer, so the sender has them still.
    """
    kinds = (("in", came), ("framed", framed), ("quarantined", quarantined), ("padding", padding), ("dropped", dropped))
    for kind, size in kinds:
        if size:
            _bytes(kind).inc(size)


def link_opened(count: int) -> None:
    _LINKS.set(count)


def link_closed(count: int, reason: str) -> None:
    """reason: closed by the sender, or the code of why the hub closed it."""
    _LINKS.set(count)
    _CLOSED.labels(reason).inc()
    if reason != "closed":
        _log.info("link_closed", reason=reason)


def gateway_call_refused(call: str, code: str) -> None:
    """A call of the insurance gateway ended before anything was taken: a wrong password, a wrong parameter, brokers away."""
    _CALLS_REFUSED.labels(call, code).inc()


def message_swept(message_id: str, events: int) -> None:
    _SWEPT.inc()
    _log.warning("message_swept", message_id=message_id, events=events)


def replay_done(request_id: str, messages: int, events: int) -> None:
    _REPLAYED.inc(messages)
    _log.info("replay_done", request_id=request_id, messages=messages, events=events)


# --- the border out, and the journal ----------------------------------------------------------------------------------


def deliveries_stored(lanes: Mapping[str, int], repeats: int) -> None:
    """One batch is in the mailboxes; lanes: new ones by lane; repeats: those that were there already."""
    for lane, count in lanes.items():
        _QUEUED.labels(lane).inc(count)
    _REPEATED.inc(repeats)


def receipt_told(state: str, channel: str, count: int = 1) -> None:
    _RECEIPTS.labels(state, channel).inc(count)


def dead_lettered(stage: str, code: str, count: int = 1) -> None:
    """The bytes of a record that could not be processed are in the dead-letter topic."""
    _DEAD.labels(stage, code).inc(count)
    _log.error("dead_lettered", stage=stage, code=code, count=count)


def push_answered(recipient: str, answer: str) -> None:
    """answer: acknowledged, refused, sent, gone, silent or unreachable."""
    _PUSHED.labels(answer).inc()
    if answer != "acknowledged":
        _log.warning("push_answered", recipient=recipient, answer=answer)


def deliveries_expired(count: int) -> None:
    """So many were not fetched, or not confirmed, in their time; receipts and notices follow."""
    _log.warning("deliveries_expired", count=count)


def circuit_opened(recipient: str) -> None:
    """Push failed so often in a row that the recipient is left alone for longer and longer."""
    _log.warning("circuit_opened", recipient=recipient)


def portal_answered(facility: str, answer: str) -> None:
    """answer: acknowledged, refused, held, discarded, login-refused or unreachable."""
    _PORTAL.labels(answer).inc()
    if answer in ("refused", "login-refused", "unreachable"):
        _log.warning("portal_answered", facility=facility, answer=answer)


def journal_indexed(kind: str, count: int) -> None:
    """kind: message, event, delivery, receipt, dead-letter or undecodable."""
    _INDEXED.labels(kind).inc(count)


def spans_handed_over(answer: str, count: int) -> None:
    """answer: sent, failed (the collector did not take them) or full (too many waited for it)."""
    _SPANS.labels(answer).inc(count)


def spans_lost(count: int) -> None:
    """So many since the last such line, for either reason."""
    _log.warning("spans_lost", count=count)


def incident_opened(kind: str, cause_kind: str, cause: str, members: int) -> None:
    """kind: silence, volume, refusals, codes or latency; cause: a facility, sender, province or dialect, in the log only."""
    _INCIDENTS.labels(kind, "opened").inc()
    _log.warning("incident_opened", kind=kind, cause_kind=cause_kind, cause=cause, members=members)


def incident_ended(kind: str, cause_kind: str, cause: str, hours: float) -> None:
    """It is over, or became part of another."""
    _INCIDENTS.labels(kind, "ended").inc()
    _log.info("incident_ended", kind=kind, cause_kind=cause_kind, cause=cause, hours=hours)


def incidents_open(kinds: Iterable[str]) -> None:
    """One kind for each incident that is open."""
    count = CountOf(kinds)
    for kind in _INCIDENT_KINDS:
        _INCIDENTS_OPEN.labels(kind).set(count[kind])


def records_archived(count: int) -> None:
    """One batch is committed."""
    _ARCHIVED.inc(count)


def ledger_rows_written(payer: str, claims: int, lines: int, findings: int, repeats: int) -> None:
    """One batch is committed."""
    for kind, count in (("claims", claims), ("lines", lines), ("findings", findings), ("repeats", repeats)):
        _LEDGER.labels(payer, kind).inc(count)
    _log.info("ledger_rows_written", payer=payer, claims=claims, lines=lines, findings=findings, repeats=repeats)


def ledger_compacted(payer: str, table: str, before: int, after: int) -> None:
    """before, after: files of the table."""
    _log.info("ledger_compacted", payer=payer, table=table, before=before, after=after)


# --- the console ------------------------------------------------------------------------------------------------------


def sign_in_answered(answer: str) -> None:
    """answer: done, or the code of why not."""
    _SIGN_INS.labels(answer).inc()
    if answer != "done":
        _log.warning("sign_in_refused", code=answer)


def door_refused(reason: str) -> None:
    """reason: session, origin, form, plain, polling, many (open pages of one person) or frame (of a link, that its page does not send)."""
    _DOOR_REFUSED.labels(reason).inc()


def page_broke(fault: BaseException) -> None:
    """A page ended by a fault that nobody expected; the reader was told so, and the others go on."""
    _log.error("broken", stage="console", fault=trace_of(fault))


# --- every service ----------------------------------------------------------------------------------------------------


def service_ready(service: str, **ports: int) -> None:
    _log.info("service_ready", service=service, **ports)


def service_stopping(service: str) -> None:
    _log.info("service_stopping", service=service)


def directory_taken(facilities: int) -> None:
    """The file of the directory changed, was read to its end, and is in force."""
    _log.info("directory_taken", facilities=facilities)


def credentials_taken(senders: int) -> None:
    """The file of credentials changed, was read to its end, and is in force."""
    _log.info("credentials_taken", senders=senders)


def fault(stage: str, code: str, where: str = "") -> None:
    """Something failed and will be tried again; `where` is a place as in `HubError`."""
    _FAULTS.labels(stage, code).inc()
    _log.warning("fault", stage=stage, code=code, where=where)
