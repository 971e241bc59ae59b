"""What a message became: what is known of it on its way, the verdict in the end, and the answer to its sender.

`Walk` is filled by `translate`; `finished` turns it into the `Translation` that the gate publishes.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from pathlib import PurePath
from typing import Final

from adapters.dialects.profile import Dialect
from adapters.formats.ack import acknowledge, answer_wanted, deferred_wanted
from adapters.formats.ack import verdict as answer_to
from adapters.formats.hl7v2 import Message
from adapters.inbound.deferred import answered, deferred_answer
from adapters.inbound.raw_store import raw_hash
from adapters.inbound.received import Received, Translation
from hub.contract import records
from hub.contract.errors import Problem, Severity
from hub.contract.events import VIETNAM, Event, Origin, message_id
from hub.contract.topics import topic_of

PROBLEMS_MAX: Final = 500
"""Kept of one message, errors first."""
_QUARANTINED: Final = frozenset(
    {
        "BYTES_BETWEEN_FRAMES",
        "FRAME_UNFINISHED",
        "EMPTY_INPUT",
        "FORMAT_UNKNOWN",
        "MSH_UNREADABLE",
        "SEVERAL_MESSAGES",
        "CHARSET_UNREADABLE",
        "XML_MALFORMED",
        "JSON_MALFORMED",
        "XML_FORBIDDEN",
        "XML_LIMIT",
        "TRANSLATION_FAILED",
    }
)
_TIME: Final = re.compile(r"(\d{4,14})(?:\.\d+)?(?:([+-])(\d\d)(\d\d))?")


class Walk:
    """What is known of a message so far. `header` is set once MSH could be read: before, an answer has no MSA-2."""

    __slots__ = ("dialect", "given", "header", "note", "problems", "received")

    def __init__(self, received: Received, given: Dialect | None = None) -> None:
        raw = received.raw
        digest = raw_hash(raw)
        self.received = received
        self.header: Message | None = None
        self.dialect: Dialect | None = None
        self.given = given
        self.problems: list[Problem] = list(received.problems)
        self.note: Event = {
            "message_id": message_id(received.sender, received.received_at, digest),
            "received_at": received.received_at,
            "facility": "",
            "sender": received.sender,
            "transport": received.transport,
            "format": "unknown",
            "raw": raw,
            "raw_hash": digest,
            "raw_size": len(raw),
            "test": received.test,
        }


def origin_of(walk: Walk, message: Message | None) -> Origin:
    """Where the events of a message come from; without an HL7 message there is no application and no stated time."""
    note = walk.note
    source: records.Source = {
        "sender": note["sender"],
        "application": message.header.get(3) if message else "",
        "message_type": note["message_type"],
        "control_id": note.get("control_id", ""),
        "dialect": note["dialect"],
        "dialect_version": note["dialect_version"],
        "charset": note.get("charset", ""),
    }
    stated_at = stated_at_of(message.header.get(7)) if message else ""
    return Origin(note["message_id"], note["received_at"], source, note["test"], stated_at)


def stated_at_of(text: str) -> str:
    """MSH-7 as digits of Vietnam's time, "" if it is no time; times without a zone are Vietnam's."""
    found = _TIME.fullmatch(text)
    if not found:
        return ""
    digits, sign, hours, minutes = found.groups()
    if sign is None or (sign, hours, minutes) == ("+", "07", "00") or len(digits) < 12:
        return digits
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    try:
        moment = datetime.strptime(digits.ljust(14, "0"), "%Y%m%d%H%M%S").replace(
            tzinfo=timezone(offset if sign == "+" else -offset)
        )
        return f"{moment.astimezone(VIETNAM):%Y%m%d%H%M%S}"
    except (ValueError, OverflowError):
        return digits


def fault_of(fault: Exception) -> Problem:
    """The finding that a fault of ours is: names the line of our code, for whoever mends it; never the exception's text, which may quote the message."""
    trace = fault.__traceback__
    place = ""
    while trace is not None:
        place = f"{PurePath(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return Problem("TRANSLATION_FAILED", Severity.ERROR, f"{type(fault).__name__} {place}".strip())


def stopped(walk: Walk, problem: Problem) -> Translation:
    """The outcome of a message that a problem ends: no event."""
    walk.problems.append(problem)
    return finished(walk, [])


def finished(walk: Walk, events: Sequence[tuple[str, Event]]) -> Translation:
    """The verdict and the answer: `refused` or `quarantined` without any event, by the gravest of its problems."""
    note = walk.note
    problems = _distinct(walk.problems) if walk.problems else []
    if len(problems) > PROBLEMS_MAX:
        problems = sorted(problems, key=lambda problem: problem.severity is not Severity.ERROR)[:PROBLEMS_MAX]
    if events:
        verdict, outcome = "translated", "AA"  # what could not be read of it is told; sending it again would not cure it
    else:
        codes = {problem.code for problem in problems if problem.severity is Severity.ERROR}
        verdict = "quarantined" if codes & _QUARANTINED else "refused"
        outcome = answer_to(problems)
    answer = _answer_code(walk, verdict, outcome)
    note["verdict"] = verdict
    note["ack"] = answer
    note["problems"] = [{"code": p.code, "severity": p.severity.value, "path": p.path} for p in problems]
    note["events"] = [{"event_id": event["meta"]["event_id"], "topic": topic_of(record)} for record, event in events]
    ack = b""
    if answer:
        told = [problem for problem in problems if problem.severity is not Severity.INFORMATION]  # which no answer tells
        if walk.dialect is not None and not walk.dialect.ack.warnings:
            told = [problem for problem in told if problem.severity is Severity.ERROR]
        ack = _ack(walk, answer, told) if told or walk.header is None else _plain_ack(walk, walk.header, answer)
    deferred = _deferred(walk) if answer == "CA" else None
    return Translation(note, tuple(events), tuple(problems), verdict, ack, deferred)


def _deferred(walk: Walk) -> tuple[Event, Event] | None:
    message = walk.header
    if message is None or not deferred_wanted(message, "AA"):
        return None
    origin = origin_of(walk, message)
    delivery = deferred_answer(walk.note, origin.source, origin.stated_at)
    return (delivery, answered(walk.note, message)) if delivery else None


def _distinct(problems: Sequence[Problem]) -> list[Problem]:
    """Each finding once: structure and mapping may have found the same, and then the graver word stands."""
    worst: dict[tuple[str, str], Problem] = {}
    for problem in problems:
        place = (problem.code, problem.path)
        known = worst.get(place)
        if known is None or known.severity is Severity.INFORMATION or problem.severity is Severity.ERROR:
            worst[place] = problem
    return list(worst.values())


def _ident(walk: Walk) -> str:
    return str(walk.note["message_id"]).replace("-", "")[:20]  # MSH-10 holds twenty characters


@lru_cache(maxsize=8)
def _local(second: datetime) -> datetime:
    return second.astimezone(VIETNAM)


def _ack(walk: Walk, code: str, problems: Sequence[Problem]) -> bytes:
    at = _local(walk.received.received_at.replace(microsecond=0))
    return acknowledge(walk.header, code, problems, control_id=_ident(walk), now=at).encode()


_templates: Final[dict[tuple[str, ...], tuple[str, str, str]]] = {}
_TEMPLATES_MAX: Final = 4096


def _plain_ack(walk: Walk, message: Message, code: str) -> bytes:
    """The answer to a message without problems. Those to one sender differ in time and ids only, so the rest is kept."""
    fields, control_id = message.header.fields, message.header.field(10)
    usual = control_id.isascii() and control_id.replace("-", "").replace(".", "").isalnum()
    if fields[2] != "^~\\&" or not usual:
        return _ack(walk, code, ())
    form = (code, *fields[3:7], fields[9], *fields[11:13])
    second = walk.received.received_at.replace(microsecond=0)
    kept = _templates.get(form)
    if kept is None:
        whole = _ack(walk, code, ())
        parts = whole.decode().split("|")
        # MSH-7 and MSH-10 are the seventh and tenth part, MSA-2 the last.
        if parts[6] == _stamp(second) and parts[9] == _ident(walk) and parts[-1] == f"{control_id}\r":
            if len(_templates) >= _TEMPLATES_MAX:
                _templates.clear()
            _templates[form] = ("|".join(parts[:6]), "|".join(parts[7:9]), "|".join(parts[10:-1]))
        return whole
    return f"{kept[0]}|{_stamp(second)}|{kept[1]}|{_ident(walk)}|{kept[2]}|{control_id}\r".encode()


@lru_cache(maxsize=8)
def _stamp(second: datetime) -> str:
    return f"{_local(second):%Y%m%d%H%M%S%z}"


def _answer_code(walk: Walk, verdict: str, outcome: str) -> str:
    """What to put into MSA-1; "" for silence."""
    if not outcome or (walk.header is not None and walk.header.type == "ACK"):
        return ""  # an acknowledgement is never acknowledged: two machines would go on for ever
    if walk.dialect is not None and verdict != "translated" and walk.dialect.ack.refused != "coded":
        if walk.dialect.ack.refused == "none":
            return ""
        outcome = walk.dialect.ack.refused
    return answer_wanted(walk.header, outcome)
