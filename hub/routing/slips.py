"""A referral slip: drawn from all that the case index holds of its key, in whatever order it came."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from hub.contract.directory import known_as, same_facility
from hub.contract.events import VIETNAM, Event, derive, new_id, revision_rank
from hub.contract.records import Revision
from hub.routing.persons import Who, may_be_two, share_by_mistake, who
from hub.routing.stream import Found

TOPIC: Final = "referral.v1"
_WORTH_BEFORE: Final = timedelta(days=30)  # what facts of a release that knew no periods count for
_ONE_VISIT: Final = timedelta(days=31)  # a slip that is good for longer is meant for visit after visit


@dataclass(frozen=True, slots=True)
class Word:
    """One thing that was said of a slip.

    by:    who answered; "" for the issuer.
    state: ACCEPTED or REJECTED; "" for the issuer.
    to:    the facility that it hands the slip to; "" for an answer that keeps it or names no other.
    place: of its record.
    payer: whose slip it says that it is (`slip_payers.payer_named`); None for what says nothing of it.
    """

    event_id: str
    by: str
    state: str
    to: str
    revision: Revision
    lane: str
    place: str
    payer: str | None = None

    @property
    def order(self) -> tuple[str, str]:
        """Sorts as words count, the newest last."""
        return revision_rank(self.revision), self.event_id

    @property
    def day(self) -> date:
        return day_of_word(self.revision)

    def of(self, facility: str) -> bool:
        """Whether it is an answer of that facility: of itself, or of who stands for it by then."""
        return bool(self.by) and same_facility(self.by, facility, self.day)


def day_of_word(revision: Revision) -> date:
    """The day in Vietnam on which something was said, for the directory: when it was received, which no sender's clock shifts."""
    return revision["received_at"].astimezone(VIETNAM).date()


def as_data(revision: Revision) -> list[Any]:
    """A revision as facts hold it."""
    return [revision["version"], revision["stated_at"], revision["received_at"].isoformat()]


def revision_of(data: list[Any]) -> Revision:
    """The revision that a fact holds."""
    version, stated_at, received_at = data
    return {"version": version, "stated_at": stated_at, "received_at": datetime.fromisoformat(received_at)}


def day_of(text: str, otherwise: date) -> date:
    """The day that text begins with (yyyymmdd…), else the other one. Days that no calendar reaches do not count."""
    try:
        day = date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        return otherwise
    return day if 1900 <= day.year <= 9000 else otherwise


def reached(starts: Iterable[str], words: Iterable[Word]) -> set[str]:
    """Every facility that a slip comes to from there: whoever rejects it may name the next. Circles end, as a word leads on once."""
    found: set[str] = set()
    fresh = {code for code in starts if code}
    left = [word for word in words if word.by and word.to]
    while fresh:
        found |= fresh
        spoken: list[Word] = []
        waiting: list[Word] = []
        for word in left:
            (spoken if any(word.of(code) for code in fresh) else waiting).append(word)
        fresh, left = {word.to for word in spoken}, waiting
    return found


@dataclass(frozen=True, slots=True)
class Slip:
    """One referral.

    path:     whom it came to by the words that stand: named by the issuer, then by each that rejected it and named the next.
    expires:  last day it is good for.
    revision: of the issuer's newest statement.
    answer:   of the receiver.
    arrivals: event ids of ARRIVED that were not taken back.
    told:     names of what the hub itself said of it already (`side` of those events).
    words:    all that issuer and receivers said, the newest last.
    """

    key: str
    event_id: str
    number: str
    issuer: str
    path: tuple[str, ...]
    state: str
    issued: date
    expires: date
    revision: Revision
    who: Who
    answer: str
    arrivals: frozenset[str]
    told: frozenset[str]
    expired: bool
    words: tuple[Word, ...]

    @property
    def receiver(self) -> str:
        """Who it is meant for now."""
        return self.path[-1]

    @property
    def arrived(self) -> bool:
        return bool(self.arrivals)

    @property
    def open(self) -> bool:
        """Whether what is learnt of this person concerns the receiver."""
        return self.state != "CANCELLED" and self.answer != "REJECTED" and (self.arrived or not self.expired)

    @property
    def stands(self) -> str:
        """Where it stands, in the one word of its events that decides: as `open` takes them."""
        if self.state == "CANCELLED" or self.answer == "REJECTED":
            return self.state if self.state == "CANCELLED" else self.answer
        return "ARRIVED" if self.arrived else "EXPIRED" if self.expired else self.answer or self.state

    @property
    def for_one_visit(self) -> bool:
        return self.expires - self.issued <= _ONE_VISIT

    @property
    def held(self) -> set[str]:
        """Every facility that it was ever handed to."""
        named = [word.to for word in self.words if not word.by]
        return reached([self.receiver, *named], self.words) - {self.issuer}

    def wants(self, result: dict[str, Any], today: date) -> bool:
        """Whether a result, given by its fact, belongs to the receiver: from another, of this person, and worth something
        yet when the slip was written."""
        return self._lacks(result, today) and not may_be_two(self.who, who(result))

    def doubts(self, result: dict[str, Any], today: date) -> bool:
        """Whether a result, given by its fact, would belong to the receiver if a number were all that makes a person."""
        return self._lacks(result, today) and share_by_mistake(self.who, who(result))

    def _lacks(self, result: dict[str, Any], today: date) -> bool:
        return self.open and not same_facility(self.receiver, result["lab"], today) and worth_until(result) >= self.issued

    def withdrawals(self) -> dict[tuple[str, str], Revision]:
        """(event id of a word, facility) to when: it was handed the slip by that word, and a later one of the same speaker
        hands it to another. Only grows with what becomes known, so the order in which it does makes no difference."""
        found: dict[tuple[str, str], Revision] = {}
        come_to: dict[str, set[str]] = {}
        for words in self._by_speaker():
            later: list[Word] = []  # behind the word, the nearest first, one for each of the nearest three it hands it to
            for word in reversed(words):
                moved = [one for one in later if not same_facility(one.to, word.to, one.day)]
                if word.to and moved and word.to not in come_to:
                    come_to[word.to] = reached([word.to], self.words)
                for facility in come_to[word.to] if word.to and moved else ():
                    for one in moved:
                        if not any(same_facility(facility, other, one.day) for other in (one.to, word.by, self.issuer)):
                            found[word.event_id, facility] = one.revision
                            break
                later = [word, *(one for one in later if not same_facility(one.to, word.to, one.day))][:3]
        return found

    def _by_speaker(self) -> Iterable[list[Word]]:
        """What issuer and holders said, each in its order, without what moves a slip nowhere."""
        today = max((word.day for word in self.words), default=date.min)
        holders = {known_as(code, today) for code in self.held} | {""}
        found: dict[str, list[Word]] = {}
        for word in self.words:
            if (word.by or word.to) and (speaker := known_as(word.by, today)) in holders:
                found.setdefault(speaker, []).append(word)
        return found.values()


def worth_until(result: dict[str, Any]) -> date:
    """The last day on which a result, given by its fact, need not be repeated."""
    if "worth_until" in result:
        return date.fromisoformat(result["worth_until"])
    return datetime.fromisoformat(result["received_at"]).astimezone(VIETNAM).date() + _WORTH_BEFORE


def slip_of(key: str, facts: Iterable[Found]) -> Slip | None:
    """The referral of a key; None while its issuer has said nothing.  facts: those of kind `referral` with that ref."""
    sides = {fact.id: fact for fact in facts if fact.kind == "referral"}
    if "issuer" not in sides:
        return None
    said = sides["issuer"].data
    words = _words(sides)
    path, answer = _path(said["issuer"], said["receiver"], words, sides)
    expired = sides["expired"].data["on"] if "expired" in sides else ""
    arrivals = {name.partition("/")[2] for name in sides if name.partition("/")[0] == "arrived"}
    return Slip(
        key=key,
        event_id=sides["issuer"].event_id,
        number=said["slip"],
        issuer=said["issuer"],
        path=path,
        state=said["state"],
        issued=date.fromisoformat(said["issued"]),
        expires=date.fromisoformat(said["expires"]),
        revision=revision_of(said["revision"]),
        who=who(said),
        answer=answer,
        arrivals=frozenset(one for one in arrivals if f"arrival_cancelled/{one}" not in sides),
        told=frozenset(sides),
        expired=expired >= said["expires"],  # a modified slip outlives the end it had before
        words=words,
    )


def is_sensitive(facts: Iterable[Found]) -> bool:
    """Whether anything that was said of a slip was labelled sensitive: what comes later need not be so again."""
    return any(fact.kind == "referral" and fact.data.get("held") for fact in facts)


def _words(sides: dict[str, Found]) -> tuple[Word, ...]:
    """All words, the newest last. A sensitive slip is handed on by its issuer alone, so answers hand it to nobody."""
    kept = is_sensitive(sides.values())
    found = []
    for name, fact in sides.items():
        if name.startswith("said/"):
            by, onward = fact.data["by"], fact.data["to"]
            state = fact.data.get("state", "REJECTED" if by and onward else "")
            to = "" if by and kept else onward
            revision, lane, payer = revision_of(fact.data["revision"]), fact.data["lane"], fact.data.get("payer")
            found.append(Word(fact.event_id, by, state, to, revision, lane, fact.place, payer))
    return tuple(sorted(found, key=lambda word: word.order))


def _path(issuer: str, first: str, words: Sequence[Word], sides: dict[str, Found]) -> tuple[tuple[str, ...], str]:
    """Who has the slip, behind those that it came through, and what that one answered last. Only who has it can answer: what
    others say stands beside it. A slip that comes back to its issuer, or to one that had it, goes no further."""
    path = [first]
    while True:
        receiver = path[-1]
        word = next((word for word in reversed(words) if word.of(receiver)), None)
        if word is None or not word.state:  # one that names nobody as its author, or of a release that kept the newest alone
            older = next((sides[name] for name in (f"answer/{receiver}", "answer/") if name in sides), None)
            return tuple(path), older.data["state"] if older is not None else ""
        if not word.to or any(same_facility(word.to, one, word.day) for one in (issuer, *path)):
            return tuple(path), word.state
        path.append(word.to)


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
