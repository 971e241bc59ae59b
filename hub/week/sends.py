"""What the week consists of: messages to send, each with its fate, and what has to come of them at the recipients."""

import zlib
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from hub.week.writing import Draft


@dataclass(frozen=True, slots=True)
class Fate:
    """What the border must make of one message.

    verdict: translated, refused or quarantined.
    code:    the first problem that ends it; "" for one that is translated.
    records: short names of the events it becomes, such as Referral.
    """

    verdict: str = "translated"
    code: str = ""
    records: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Send:
    """One message on one link.

    at:         simulated time; messages of one lane go in this order, one after the other.
    lane:       place and number of the link.
    control_id: MSH-10; "" where it cannot be read, and for XML.
    door:       mllp or http.
    how:        first, again (same bytes), again-new-id, again-new-time, parallel (same bytes at the same time on another link),
                cut (the link breaks in the middle of the frame), silent (no answer is waited for).
    fault:      what is wrong with it; "" for nothing.
    """

    number: int
    at: datetime
    lane: tuple[str, int]
    kind: str
    control_id: str
    packed: bytes
    door: str
    how: str
    fault: str
    fate: Fate

    @property
    def raw(self) -> bytes:
        return zlib.decompress(self.packed)


class Expect(NamedTuple):
    """Something that a recipient must get.

    action: or status, or verdict, of the record; "" for an order; "taken" for a slip that the portal has.
    about:  issuer and slip number (else MA_LK); placer's number of an order; filler's of a result; facility and MA_LK of a claim.
    """

    recipient: str
    record: str
    action: str
    about: str


@dataclass(slots=True)
class SlipPlan:
    """One referral or follow-up slip: what becomes of it.

    about:    as in `Expect`.
    partner:  of whom this tells: facility, or portal.
    tale:     what happens to it, as `hub.week.slips` names it; for the portal its flaw.
    end:      delivered, answered, arrived, expired, cancelled, held (for nobody, by rule) or waiting (in the work list).
    reason:   why it is in the work list, or held.
    receiver: facility that has to have it in the end; "" for nobody.
    mend:     the receiver that an operator sets; "" where nobody can say.
    """

    about: str
    record: str
    partner: str
    tale: str
    end: str
    reason: str = ""
    receiver: str = ""
    mend: str = ""


@dataclass(slots=True)
class Planned:
    """A draft in its story: when it is sent if nothing goes wrong."""

    draft: Draft
    at: datetime


@dataclass(slots=True)
class Story:
    """One visit, or what comes of one: its messages in order, and what they must lead to.

    claims:    (place, time, envelope) of HTTP.
    mended:    what is expected besides once the work list is mended.
    corrected: slip to its corrected statement, which the issuer sends when the work list shows it.
    optional:  what may come or not, by who is faster.
    """

    messages: list[Planned] = field(default_factory=list)
    claims: list[tuple[str, datetime, bytes]] = field(default_factory=list)
    expected: Counter[Expect] = field(default_factory=Counter)
    mended: Counter[Expect] = field(default_factory=Counter)
    slips: list[SlipPlan] = field(default_factory=list)
    corrected: dict[str, Draft] = field(default_factory=dict)
    optional: set[Expect] = field(default_factory=set)

    def say(self, draft: Draft, at: datetime | None = None) -> None:
        """Add a message, sent when it is stated unless told otherwise."""
        self.messages.append(Planned(draft, at or draft.stated))

    def expect(self, recipient: str, record: str, action: str, about: str, times: int = 1) -> None:
        self.expected[Expect(recipient, record, action, about)] += times


@dataclass(frozen=True, slots=True)
class Week:
    """All of it.

    sends:     by time.
    corrected: slip to what its issuer sends once it stands in the work list of the portal.
    """

    sends: Sequence[Send]
    corrected: Mapping[str, Send]
    expected: Counter[Expect]
    mended: Counter[Expect]
    optional: Set[Expect]
    slips: Sequence[SlipPlan]
    visits: int
