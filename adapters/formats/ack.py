"""Acknowledgements: what to answer, and the message that says it.

Original mode answers AA, AE or AR; enhanced mode (MSH-15 or MSH-16 valued) answers CA, CE or CR where MSH-15 wants one, else
the application's answer where MSH-16 wants one; who wants both gets the second later (`deferred_wanted`). Errors and warnings stand in ERR segments, each with its place, its number
in table 0357, the hub's code and a sentence in English (ERR-7) and Vietnamese (ERR-8). Time and ids are arguments.

How versions differ: v2.1 has no trigger in MSH-9 and plain components in ERR-1; v2.2 to v2.4 have one ERR whose ERR-1 repeats,
and MSA-6; v2.3 brings MSH-18, v2.3.1 the structure in MSH-9, v2.5 an ERR a finding. Source: HL7 v2.5.1 §2.9 (acknowledgement
rules), §2.15.5 (ERR); v2.3.1 §2.24.1 (MSA) and §2.24.2 (ERR).
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from adapters.formats.hl7v2 import Message, Value, build
from adapters.formats.structure import VERSIONS
from hub.contract.errors import LOST, Problem, Severity

VERSION: Final = "2.5.1"
"""The version of an answer to a message whose version cannot be read."""

_TABLE_0357: Final = {
    "0": "Message accepted",
    "100": "Segment sequence error",
    "101": "Required field missing",
    "102": "Data type error",
    "103": "Table value not found",
    "200": "Unsupported message type",
    "201": "Unsupported event code",
    "202": "Unsupported processing id",
    "203": "Unsupported version id",
    "204": "Unknown key identifier",
    "205": "Duplicate key identifier",
    "206": "Application record locked",
    "207": "Application internal error",
}
_OURS: Final = "99HIE"  # the coding system of the hub's own codes, as table 0396 names local ones
_PLACE: Final = re.compile(r"([A-Z][A-Z0-9]{2})(?:\[(\d+)\])?(?:-(\d+)(?:\[(\d+)\])?(?:\.(\d+))?(?:\.(\d+))?)?")
_TOLD: Final = frozenset({Severity.ERROR, Severity.WARNING})
_MSA_3_MAX: Final = 80  # characters, in every version before v2.5
BETWEEN: Final = "; "  # what MSA-3 names


def verdict(problems: Sequence[Problem]) -> str:
    """AA, AE or AR: the gravest answer that the errors among the problems lead to.

    "" when an error is one that must not be answered, because sending again may cure it (promise 2).
    """
    answers = {problem.row.ack for problem in problems if problem.severity is Severity.ERROR}
    if "" in answers:
        return ""
    return "AR" if "AR" in answers else "AE" if "AE" in answers else "AA"


def answer_wanted(message: Message | None, code: str) -> str:
    """The code to put into MSA-1 for an outcome AA, AE or AR; "" when the sender wants no answer to it.

    In enhanced mode a sender that wants both answers gets the commit answer here.
    """
    if message is None:
        return code
    accept, application = message.header.get(15), message.header.get(16)
    if not accept and not application:
        return code
    if _wants(accept, code):
        return "C" + code[1]
    return code if _wants(application, code) else ""


def deferred_wanted(message: Message | None, code: str) -> bool:
    """Whether a sender that gets CA for this outcome now wants the application's AA as well, later.

    A refusal (CE, CR) is the last word: HL7 has no application's answer after it.
    """
    return code == "AA" and message is not None and _wants(message.header.get(15), code) and _wants(message.header.get(16), code)


def _wants(condition: str, code: str) -> bool:
    """Table 0155: always, never, on error or reject, on success. What is not in the table counts as always."""
    if condition in ("", "NE"):
        return False
    if condition == "ER":
        return code != "AA"
    return code == "AA" if condition == "SU" else True


def acknowledge(
    message: Message | None,
    code: str,
    problems: Sequence[Problem] = (),
    *,
    control_id: str,
    now: datetime,
    application: str = "HIE",
    charset: str = "UNICODE UTF-8",
    errors_max: int = 20,
    commit: bool = False,
) -> str:
    """The text of an acknowledgement.

    message:    what is answered; None when its MSH could not be read: then MSA-2 stays empty, so that a lock-step sender
                does not take the answer for that of another message.
    code:       MSA-1, as `answer_wanted` gives it.
    problems:   told in ERR segments, errors first, then what is lost, information left out; beyond `errors_max` they are only counted.
    control_id: MSH-10 of the answer. now: MSH-7, aware of its zone.
    commit:     ask for a commit answer to this one (MSH-15 AL, MSH-16 NE): it travels as a message of its own.
    charset:    what MSH-18 says when the answer is not plain ASCII: the charset the caller will encode it in.
    """
    version = message.version if message is not None and message.version in VERSIONS else VERSION
    told = sorted((p for p in problems if p.severity in _TOLD), key=_gravity) if problems else []
    errors = _errors(told, version, errors_max) if told else []
    msh: list[Value] = ["MSH", application, None, None, None, f"{now:%Y%m%d%H%M%S%z}", None, "ACK", control_id, "P", version]
    msa: list[Value] = ["MSA", code, None]
    if message is not None:
        header = message.header
        # Sender and receiver change places; a receiver that was not named is this hub.
        msh[1] = tuple(header.components(5)) or application
        msh[2] = tuple(header.components(6))
        msh[3] = tuple(header.components(3))
        msh[4] = tuple(header.components(4))
        msh[7] = _message_type(message.trigger, version)
        msh[9] = tuple(header.components(11)) or "P"
        msa[2] = message.control_id
    if told and version < "2.5":  # MSA-3 and MSA-6, which v2.5 replaced by ERR
        msa.append(_in_words(told))
        if told[0].severity is Severity.ERROR and version != "2.1":
            msa += [None, None, (told[0].row.hl7, _TABLE_0357[told[0].row.hl7], "HL70357")]
    if commit:
        msh += [None] * 2 + ["AL", "NE"]
    text = build([msh, msa, *errors])
    if text.isascii() or version < "2.3":
        return text
    msh += [None] * (16 - len(msh)) + [charset]
    return build([msh, msa, *errors])


def _gravity(problem: Problem) -> int:
    return 0 if problem.severity is Severity.ERROR else 1 if problem.code in LOST else 2


def _in_words(told: Sequence[Problem]) -> str:
    """MSA-3: as many as it has room for, the first whatever its length, and how many more there are."""
    words = [f"{problem.code} {problem.path}".strip() for problem in told]
    text = words[0] + _more(len(words) - 1)
    for count in range(2, len(words) + 1):
        longer = BETWEEN.join(words[:count]) + _more(len(words) - count)
        if len(longer) > _MSA_3_MAX:
            break
        text = longer
    return text


def _more(count: int) -> str:
    return f" (+{count})" if count else ""


def _message_type(trigger: str, version: str) -> Value:
    if not trigger or version == "2.1":
        return "ACK"
    return ("ACK", trigger) if version < "2.3.1" else ("ACK", trigger, "ACK")


def _errors(problems: Sequence[Problem], version: str, errors_max: int) -> list[list[Value]]:
    if version < "2.5":
        # ERR-1 knows no severity, so a warning in it would be read as an error: MSA-3 tells of those.
        problems = [problem for problem in problems if problem.severity is Severity.ERROR]
    told, rest = problems[:errors_max], len(problems) - errors_max
    if not told:
        return []
    if version < "2.5":
        places: list[Value] = [_error_before_2_5(problem, version) for problem in told]
        if rest > 0:
            places.append((None, None, None, "0" if version == "2.1" else ("0", f"{rest} more", _OURS)))
        return [["ERR", places]]  # type: ignore[list-item]  # a list of repetitions
    segments: list[list[Value]] = []
    for problem in told:
        row = problem.row
        place = f" [{problem.path}]" if problem.path else ""
        segments.append(
            [
                "ERR",
                None,
                _place(problem.path),
                (row.hl7, _TABLE_0357[row.hl7], "HL70357"),
                problem.severity.value,
                (row.code, None, _OURS),
                None,
                row.en + place,
                row.vi,
            ]
        )
    if rest > 0:
        sentence = f"{rest} more findings are not listed."
        segments.append(
            [
                "ERR",
                None,
                None,
                ("0", _TABLE_0357["0"], "HL70357"),
                "I",
                None,
                None,
                sentence,
                f"Còn {rest} phát hiện nữa không liệt kê.",
            ]
        )
    return segments


def _error_before_2_5(problem: Problem, version: str) -> Value:
    """One repetition of ERR-1: segment, its number, field, code."""
    segment, number, field = (*_place(problem.path)[:3], None, None, None)[:3]
    row = problem.row
    if version == "2.1":
        return segment, number, field, row.hl7
    return segment, number, field, (row.hl7, _TABLE_0357[row.hl7], "HL70357", row.code, row.en, _OURS)


def _place(path: str) -> tuple[str | None, ...]:
    """ERR-2: segment, its number, field, its repetition, component, subcomponent; empty for a place that is not HL7's."""
    found = _PLACE.fullmatch(path)
    if not found:
        return ()
    segment, number, field, repetition, component, subcomponent = found.groups()
    return segment, number or "1", field, (repetition or "1") if field else None, component, subcomponent


class Answer(NamedTuple):
    """An acknowledgement that the hub received. control_id: MSA-2, of the message it answers."""

    code: str
    control_id: str

    @property
    def accepted(self) -> bool:
        return self.code in ("AA", "CA")


def read_answer(message: Message) -> Answer | None:
    """What a received acknowledgement says; None if the message holds no MSA."""
    msa = message.first("MSA")
    return Answer(msa.get(1), msa.get(2)) if msa else None
