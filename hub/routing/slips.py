"""A referral slip: drawn from all that the case index holds of its key, in whatever order it came."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final

from hub.contract.events import VIETNAM, Event, derive, new_id, revision_rank
from hub.contract.records import Revision
from hub.routing.persons import PersonRefs, contradict
from hub.routing.stream import Found

TOPIC: Final = "referral.v1"
RECENT: Final = timedelta(days=30)  # results this much older than the slip go with it
_ONE_VISIT: Final = timedelta(days=31)  # a slip that is good for longer is meant for visit after visit


@dataclass(frozen=True, slots=True)
class Word:
    """One thing that was said of a slip.

    by:    who answered; "" for the issuer.
    to:    the facility that it hands the slip to; "" for an answer that keeps it or names no other.
    place: of its record.
    """

    event_id: str
    by: str
    to: str
    revision: Revision
    lane: str
    place: str

    @property
    def rank(self) -> str:
        return revision_rank(self.revision)


def as_data(revision: Revision) -> list[Any]:
    """A revision as facts hold it."""
    return [revision["version"], revision["stated_at"], revision["received_at"].isoformat()]


def revision_of(data: list[Any]) -> Revision:
    """The revision that a fact holds."""
    version, stated_at, received_at = data
    return {"version": version, "stated_at": stated_at, "received_at": datetime.fromisoformat(received_at)}


def reached(starts: Iterable[str], words: Iterable[Word]) -> set[str]:
    """Every facility that a slip comes to from there: whoever rejects it may name the next. Circles end."""
    onward = [(word.by, word.to) for word in words if word.by and word.to]
    found: set[str] = set()
    fresh = {code for code in starts if code}
    while fresh:
        found |= fresh
        fresh = {to for by, to in onward if by in fresh} - found
    return found


@dataclass(frozen=True, slots=True)
class Slip:
    """One referral.

    receiver: who it is meant for now: named by the issuer, or by the last one that rejected it and named another.
    expires:  last day it is good for.
    revision: of the issuer's newest statement.
    answer:   of the receiver.
    arrivals: event ids of ARRIVED that were not taken back.
    told:     names of what the hub itself said of it already (`side` of those events).
    words:    all that issuer and receivers said, newest or not.
    """

    key: str
    event_id: str
    number: str
    issuer: str
    receiver: str
    state: str
    issued: date
    expires: date
    revision: Revision
    persons: PersonRefs
    answer: str
    arrivals: frozenset[str]
    told: frozenset[str]
    expired: bool
    words: tuple[Word, ...]

    @property
    def arrived(self) -> bool:
        return bool(self.arrivals)

    @property
    def open(self) -> bool:
        """Whether what is learnt of this person concerns the receiver."""
        return self.state != "CANCELLED" and self.answer != "REJECTED" and (self.arrived or not self.expired)

    @property
    def for_one_visit(self) -> bool:
        return self.expires - self.issued <= _ONE_VISIT

    @property
    def held(self) -> set[str]:
        """Every facility that it was ever handed to."""
        named = [word.to for word in self.words if not word.by]
        return reached([self.receiver, *named], self.words) - {self.issuer}

    def wants(self, result: dict[str, Any], lab: str) -> bool:
        """Whether a result, given by its fact, belongs to the receiver."""
        sent_at = datetime.fromisoformat(result["received_at"])
        return (
            self.open
            and self.receiver != lab
            and sent_at >= datetime.combine(self.issued, time(), VIETNAM) - RECENT
            and not contradict(self.persons, result["persons"])
        )

    def withdrawals(self) -> dict[tuple[str, str], Revision]:
        """(event id of a word, facility) to when: it was handed the slip by that word, and a later one of the same speaker
        hands it to another. Only grows with what becomes known, so the order in which it does makes no difference."""
        held = self.held | {""}
        newest_first = sorted(self.words, key=lambda word: word.rank, reverse=True)
        return {
            (word.event_id, facility): later.revision
            for word in self.words
            if word.to and word.by in held
            for later in newest_first
            if later.by == word.by and later.rank > word.rank and later.to != word.to and (later.to or later.by)
            for facility in reached([word.to], self.words) - {later.to, word.by, self.issuer}
        }


def slip_of(key: str, facts: Iterable[Found]) -> Slip | None:
    """The referral of a key; None while its issuer has said nothing.  facts: those of kind `referral` with that ref."""
    sides = {fact.id: fact for fact in facts if fact.kind == "referral"}
    if "issuer" not in sides:
        return None
    said = sides["issuer"].data
    receiver, answer = _holder(said["issuer"], said["receiver"], sides)
    expired = sides["expired"].data["on"] if "expired" in sides else ""
    arrivals = {name.partition("/")[2] for name in sides if name.partition("/")[0] == "arrived"}
    return Slip(
        key=key,
        event_id=sides["issuer"].event_id,
        number=said["slip"],
        issuer=said["issuer"],
        receiver=receiver,
        state=said["state"],
        issued=date.fromisoformat(said["issued"]),
        expires=date.fromisoformat(said["expires"]),
        revision=revision_of(said["revision"]),
        persons=said["persons"],
        answer=answer,
        arrivals=frozenset(one for one in arrivals if f"arrival_cancelled/{one}" not in sides),
        told=frozenset(sides),
        expired=expired >= said["expires"],  # a modified slip outlives the end it had before
        words=tuple(
            Word(
                fact.event_id, fact.data["by"], fact.data["to"], revision_of(fact.data["revision"]), fact.data["lane"], fact.place
            )
            for name, fact in sides.items()
            if name.startswith("said/")
        ),
    )


def _holder(issuer: str, receiver: str, sides: dict[str, Found]) -> tuple[str, str]:
    """Who has the slip, and what that one answered. Only who has it can answer: what others say stands beside it."""
    been = {issuer}
    while True:
        been.add(receiver)
        answers = [sides[name].data for name in (f"answer/{receiver}", "answer/") if name in sides]
        if not answers:
            return receiver, ""
        state, onward = answers[0]["state"], answers[0].get("to", "")
        if not onward or onward in been:
            return receiver, state
        receiver = onward


def what_the_hub_says(
    slip: Slip, action: str, rule: str, about: Iterable[str], content: Event, cause: Event, revision: Revision
) -> Event:
    """An event on the slip's key that the hub derives. It names slip and facilities only: its issuer knows the person.

    about: with key and rule all that its id is made of, so that whoever comes to it makes the same.
    """
    said = {"action": action, "slip": slip.number, "ma_cskcb": slip.issuer} | content
    event = derive("hie.Referral", said, parents=[cause], rule=rule, facility=slip.issuer, key=slip.key, revision=revision)
    event["meta"]["event_id"] = new_id("hie.Referral", slip.key, rule, *about)
    return event | {"person": {}, "xml13": {}}


def withdrawn(slip: Slip, word: str, facility: str, revision: Revision, cause: Event) -> Event:
    """WITHDRAWN: the slip that a word handed to a facility is not meant for it any more."""
    content = {"ma_cskcb_den": facility}
    return what_the_hub_says(slip, "WITHDRAWN", "referral-withdrawn", [word, facility], content, cause, revision)
