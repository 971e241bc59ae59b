"""What the console needs of the border, which it does not import: functions that the composition root fills in (`hub/cli/border.py`)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hub.contract.events import Keyring


@dataclass(frozen=True, slots=True)
class Trouble:
    """One finding about a message. path: such as `PID-3[2].1`; "" for the message as a whole. vi, en: what it is, without a value;
    do_vi, do_en: what its sender does about it, "" where that says it all."""

    code: str
    severity: str
    path: str
    vi: str
    en: str
    do_vi: str = ""
    do_en: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """One field that is not empty.

    number:  as in HL7, from 1. kind: its datatype, "" where no standard names it.
    path:    such as `OBX[4]-5`. value: as it was sent, escapes and repetitions in it.
    span:    first and last character but one, in `Reading.text`.
    """

    number: int
    kind: str
    path: str
    value: str
    span: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Segment:
    """One line of a message. span: in `Reading.text`."""

    name: str
    path: str
    fields: tuple[Field, ...]
    span: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Reading:
    """One message as today's dialects read it.

    text:     all of it; "" where its bytes are no text.
    charset:  what it was read in. format: hl7, xml, json or unknown.
    segments: of HL7; none of anything else. cut: there are more than anybody looks at, which are left out.
    events:   what it would become, as plain JSON values.
    """

    text: str
    charset: str
    format: str
    dialect: str
    verdict: str
    ack: str
    segments: tuple[Segment, ...]
    troubles: tuple[Trouble, ...]
    events: tuple[dict[str, Any], ...]
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Conformance:
    """What `hie vendor check` says of some messages, without a value of a patient.

    grade:    A to E; vi, en: what that means. samples, translated: messages that were looked at, and those that became events.
    findings: each with how often, gravest first.
    ignored:  fields that were sent and that nothing reads, with how often.
    never:    record -> what no message filled, with the places that would.
    """

    dialect: str
    version: str
    grade: str
    vi: str
    en: str
    samples: int
    translated: int
    findings: tuple[tuple[Trouble, int], ...]
    ignored: tuple[tuple[str, int], ...]
    never: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that the hub took. verdict, ack: what its sender would have been told; ack is MSA-1."""

    message_id: str
    verdict: str
    ack: str


@dataclass(frozen=True, slots=True)
class Border:
    """What the composition root hands in. All of it blocks: call it in a thread.

    explain:     bytes of a message, and the sender that it is read as coming from ("" for one that may speak for any facility) ->
                 how it is read: as a test, kept nowhere. Never raises for what the bytes say.
    pasted:      likewise of what somebody pasted: it is in UTF-8 whatever the sender writes, and its last line end may be left behind.
    foreseen:    a reading -> what would follow from each of its events, as `hie why --json` tells it. Raises HubError.
    send_test:   bytes, and the sender in whose name: taken in as a test, as the front door does. Raises HubError, of a sender without
                 a credential NOT_FOUND, of too many in a minute OVERLOADED.
    check:       messages of one sender, some that can be read among them -> how well they are understood. Raises HubError.
    remedy:      code and place of a problem -> what to do about it in Vietnamese and English, "" where nothing is written.
    pause, resume: facility code, whether of its test mailbox, who, and why -> false where nothing changed. Leaves an audit event.
                 Raise HubError.
    older:       topic, partition, offset -> the value as the archive has it, None where it has not.
    keyring:     makes Kafka keys of business keys.
    worklist:    facility code ("" for all) and how many at most -> what does not reach the citizen's app, as `hie worklist list`
                 has it: `slips` (oldest first), `counts` and `oldest` by first reason.
    """

    explain: Callable[[bytes, str], Reading]
    pasted: Callable[[bytes, str], Reading]
    foreseen: Callable[[Reading], list[dict[str, Any]]]
    send_test: Callable[[bytes, str], Sent]
    check: Callable[[Sequence[bytes]], Conformance]
    remedy: Callable[[str, str], tuple[str, str]]
    pause: Callable[[str, bool, str, str], bool]
    resume: Callable[[str, bool, str, str], bool]
    older: Callable[[str, int, int], bytes | None]
    keyring: Keyring
    worklist: Callable[[str, int], dict[str, Any]]
