"""The shape that every stream has: three pure functions, and what goes in and comes out of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from hub.contract.directory import heir, takes
from hub.contract.errors import HubError
from hub.contract.events import VIETNAM, Event, Keyring, Rows
from hub.contract.topics import topics
from hub.routing.rules import SUCCESSOR


@dataclass(frozen=True, slots=True)
class Fact:
    """What one event says that other streams look for. Of two with the same kind, ref and id the higher rank stands.

    ref:  what it is looked up by; hashed where it identifies a person.
    id:   whose fact it is: a Kafka key, an event id, or one side of a case.
    data: JSON, small, never a body or a name of a person.
    days: how long it is kept, where that is not for the operator to say (HIE_CLAIM_DAYS).
    stays: it is not taken back with its event: a label that no error undoes.
    """

    kind: str
    ref: str
    id: str
    rank: str
    data: dict[str, Any]
    days: int | None = None
    stays: bool = False


@dataclass(frozen=True, slots=True)
class CaseRef:
    """One look-up.

    about:      kind of the facts to fetch too, about each id that is found (their ref is that id).
    most:       how many facts are fetched, those of the lowest rank first; what a sender says of one ref may have no end.
    about_most: the same of the facts about each.
    """

    kind: str
    ref: str
    about: str = ""
    most: int = 5_000
    about_most: int = 5_000


@dataclass(frozen=True, slots=True)
class Found:
    """One fact as the case index holds it, with the event and the place (topic/partition/offset) that it came from."""

    kind: str
    ref: str
    id: str
    data: dict[str, Any]
    event_id: str = ""
    place: str = ""
    about: tuple["Found", ...] = ()


Known = Sequence[Found]


@dataclass(frozen=True, slots=True)
class Moment:
    """When an event is decided, what it says itself, and what stood at the head of its key before it came.

    now:        for the directory's dates.
    seen_at:    when it was first seen; the same when it is decided again.
    facts:      its own, as the stream's `facts` made them.
    supersedes: event id of the head before it; "" for the first and for a stale one.
    """

    now: datetime
    seen_at: datetime
    facts: tuple[Fact, ...] = ()
    supersedes: str = ""

    @property
    def today(self) -> date:
        return self.now.astimezone(VIETNAM).date()


def own_facts(event: Event, moment: Moment) -> list[Found]:
    """What the event says itself, as a look-up finds it."""
    return [Found(fact.kind, fact.ref, fact.id, fact.data, event["meta"]["event_id"]) for fact in moment.facts]


# --- outputs ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Deliver:
    """Give this event to a recipient.

    body: false where the recipient gets it by a topic of its own.
    part: what the recipient gets of it, under its own `meta`, where that is less than the whole.
    """

    recipient: str
    rule: str
    lane: str = "routine"
    body: bool = True
    part: Event | None = None


@dataclass(frozen=True, slots=True)
class Nobody:
    """Nobody is addressed, by this rule."""

    rule: str


@dataclass(frozen=True, slots=True)
class Recall:
    """Give an earlier event, read again at its place, to a recipient.

    body: as of `Deliver`.
    part: makes what the recipient gets of it, where that is less than the whole.
    """

    place: str
    recipient: str
    rule: str
    lane: str = "routine"
    body: bool = True
    part: Callable[[Event], Event] | None = None


@dataclass(frozen=True, slots=True)
class Gather:
    """Read earlier events again at their places, and go on with what follows from them.

    then: gets (record, event) by place, without those that their topics no longer keep.
    """

    places: tuple[str, ...]
    then: Callable[[Mapping[str, tuple[str, Event]]], "list[Output]"]


@dataclass(frozen=True, slots=True)
class Publish:
    """Write a derived event to a topic."""

    topic: str
    event: Event


@dataclass(frozen=True, slots=True)
class Due:
    """Write a derived event to a topic when its time has come."""

    at: datetime
    topic: str
    event: Event


@dataclass(frozen=True, slots=True)
class Refuse:
    """Give this event to the dead letters, under a row of the table of errors.  detail: what is wrong, in ids and counts."""

    code: str
    rule: str
    detail: str = ""


Output = Deliver | Nobody | Recall | Gather | Publish | Due | Refuse


# --- the stream -------------------------------------------------------------------------------------------------------


def _nothing(_event: Event, _keyring: Keyring) -> list[Any]:
    return []


def one_side(_event: Event) -> str:
    """All events of a key are about the same thing."""
    return ""


@dataclass(frozen=True, slots=True)
class Stream:
    """One row of the table of streams.

    facts:       what the event says that others look for.
    lookups:     what has to be known to decide.
    decide:      what follows. Raises HubError(RECEIVER_UNKNOWN, PAYER_UNKNOWN) when it has to wait: its key parks.
    side:        who speaks, where several do under one key; each side has a head of its own.
    repeat_rule: rule of an event whose content stands at the head of its key already.
    adds:        an event adds to what was said under its key and does not take its place, as entries of a ledger do: the
                 same content, stated once more, may be another entry, so only the same event is a repeat.
    rows:        a list of the record to the fields of its rows that any of this reads; others are not decoded.
    """

    topic: str
    record: str
    decide: Callable[[Event, Known, Moment], list[Output]]
    facts: Callable[[Event, Keyring], list[Fact]] = field(default=_nothing)
    lookups: Callable[[Event, Keyring], list[CaseRef]] = field(default=_nothing)
    side: Callable[[Event], str] = field(default=one_side)
    repeat_rule: str = "repeat"
    adds: bool = False
    rows: Rows = ()


def is_open(code: str, moment: Moment) -> bool:
    """Whether the directory has the facility, or who it was merged into, and open today."""
    return heir(code, moment.today) != ""


def receiver(code: str, moment: Moment) -> str:
    """The facility as it is named, if it or who it was merged into is open today; `addressed` sees to which of them it is.

    Raises: HubError(RECEIVER_UNKNOWN).
    """
    if not is_open(code, moment):
        raise HubError("RECEIVER_UNKNOWN", "directory")
    return code


def addressed(outputs: Iterable[Output], record: str, moment: Moment) -> list[Output]:
    """The outputs as the directory has it. To the successor, where the facility that a stream named is closed; the rule says
    so (`…-successor`). To nobody, where that facility cannot receive such a record; of an earlier event that it would only
    be given now, nothing is said anew.

    record: of the event.
    """
    found: list[Output] = []
    for output in outputs:
        if isinstance(output, Deliver | Recall):
            to = heir(output.recipient, moment.today)
            if to not in ("", output.recipient):  # a payer or the portal is no facility, and has no heir
                output = replace(output, recipient=to, rule=output.rule + SUCCESSOR)  # the same, for another
            if not takes(output.recipient, _record_of(output, record)):
                found += [] if isinstance(output, Recall) else [Nobody("nobody-cannot-receive")]
                continue
        found.append(output)
    return found


def _record_of(output: Deliver | Recall, record: str) -> str:
    return topics()[output.place.partition("/")[0]].record if isinstance(output, Recall) else record
