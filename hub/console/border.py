"""What the console needs of the border, which it does not import: functions that the composition root fills in (`hub/cli/border.py`)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hub.contract.events import Keyring


@dataclass(frozen=True, slots=True)
class Trouble:
    """One finding about a message. path: such as `PID-3[2].1`; "" for the message as a whole. vi, en: what it is, without a value."""

    code: str
    severity: str
    path: str
    vi: str
    en: str


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
    segments: of HL7; none of anything else.
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


@dataclass(frozen=True, slots=True)
class Paused:
    """A mailbox that is paused. waiting: deliveries without the recipient's word."""

    mailbox: str
    at: datetime
    by: str
    reason: str
    waiting: int


@dataclass(frozen=True, slots=True)
class Border:
    """What the composition root hands in. All of it blocks: call it in a thread.

    explain:     bytes of a message, and the facility that its sender speaks for ("" for any) -> how it is read. It is read as a
                 test and kept nowhere, so it also serves a vendor who pastes a message. Never raises for what the bytes say.
    as_text:     bytes of a message -> its text, as far as they are one.
    pause, resume: facility code, whether of its test mailbox, who, and why -> false where nothing changed. Leaves an audit event.
                 Raise HubError.
    paused:      who is.
    older:       topic, partition, offset -> the value as the archive has it, None where it has not.
    keyring:     makes Kafka keys of business keys.
    worklist:    facility code ("" for all) and how many at most -> what does not reach the citizen's app, as `hie worklist list`
                 has it: `slips` (oldest first), `counts` and `oldest` by first reason, `held`.
    """

    explain: Callable[[bytes, str], Reading]
    as_text: Callable[[bytes], str]
    pause: Callable[[str, bool, str, str], bool]
    resume: Callable[[str, bool, str, str], bool]
    paused: Callable[[], list[Paused]]
    older: Callable[[str, int, int], bytes | None]
    keyring: Keyring
    worklist: Callable[[str, int], dict[str, Any]]
