"""What would follow from an event, and why, without sending it: the streams' own functions, and nothing written.

What the events that were asked about before say (those of one file) counts as known.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import psycopg

from hub.contract.errors import ERRORS, HubError
from hub.contract.events import Event, Keyring, now, revision_rank
from hub.routing import cases, parking
from hub.routing.rules import REMEDIES, Words, in_words
from hub.routing.stream import (
    CaseRef,
    Deliver,
    Due,
    Fact,
    Found,
    Gather,
    Moment,
    Nobody,
    Output,
    Publish,
    Recall,
    Refuse,
    Stream,
    addressed,
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One thing that would follow.

    kind: deliver, recall (an earlier event is delivered), publish, due, nobody or refuse.
    to:   recipient, or the topic of what is published; at: when it is due.
    """

    kind: str
    rule: str
    to: str = ""
    lane: str = ""
    at: datetime | None = None

    def as_dict(self) -> dict[str, Any]:
        words = in_words(self.rule)
        row = {"kind": self.kind, "to": self.to, "rule": self.rule, "en": words.en, "vi": words.vi, "lane": self.lane}
        return row | ({"at": self.at} if self.at else {})


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What would follow from one event.

    again:  it was taken already, and has no further effect.
    parked: the code that it would wait under; "" when it would not.
    """

    record: str
    event: Event
    outcomes: tuple[Outcome, ...] = ()
    again: bool = False
    parked: str = ""

    def as_dict(self) -> dict[str, Any]:
        meta = self.event["meta"]
        row: dict[str, Any] = {"record": self.record, "key": meta["key"], "event_id": meta["event_id"], "test": meta["test"]}
        row |= {"again": self.again, "outcomes": [one.as_dict() for one in self.outcomes], "parked": None}
        if self.parked:
            remedy = REMEDIES.get(self.parked, Words("", ""))
            why = ERRORS[self.parked] if self.parked in ERRORS else Words("", "")
            row["parked"] = {"code": self.parked, "en": why.en, "vi": why.vi, "remedy_en": remedy.en, "remedy_vi": remedy.vi}
        return row


class Foresight:
    """Answers for one batch of questions.

    streams:  the table of streams.
    database: the case index, read only; None: nothing is known but what was asked before.
    """

    def __init__(self, streams: Sequence[Stream], keyring: Keyring, database: cases.Database | None = None) -> None:
        self._streams = {stream.topic: stream for stream in streams}
        self._keyring, self._database = keyring, database
        self._said: dict[tuple[str, str, str], tuple[str, Found]] = {}
        self._seen: set[str] = set()

    def order_rules(self, topic: str) -> frozenset[str] | None:
        """Rules that speak of an event's place among others of its key and not of what it says; None if no stream reads the topic."""
        stream = self._streams.get(topic)
        return None if stream is None else frozenset({stream.repeat_rule, "superseded"})

    def of(self, topic: str, event: Event, *, first: bool = False, anew: bool = False) -> list[Foreseen]:
        """What would follow from an event, and from those that derive from it at once.

        first: it stands first in the queue of its key, whatever waits there.
        anew:  as if it had not been taken before, and nothing waited: what today's rules say of it.
        """
        stream, meta = self._streams[topic], event["meta"]
        here = Foreseen(stream.record, event)
        try:
            facts, lookups = stream.facts(event, self._keyring), stream.lookups(event, self._keyring)
            standing = cases.Standing("", False, "", now()) if anew else self._standing(stream, event)
            if standing.again:
                return [replace(here, again=True)]
            if not first and not anew and self._waits(topic, meta["key"]):
                return [replace(here, parked=parking.BEHIND)]
            if standing.fate:
                return [replace(here, outcomes=(Outcome("nobody", cases.rule_of(stream, standing.fate)),))]
            self._state(topic, facts, event)
            moment = Moment(now(), standing.seen_at, tuple(facts), standing.supersedes)
            outputs = addressed(stream.decide(event, self._known(lookups), moment), stream.record, moment)
        except psycopg.Error:
            raise
        except HubError as waits:
            if waits.retriable:
                raise
            return [replace(here, parked=waits.code)]
        except Exception:  # a rule stumbles, as it would in the worker: the event would wait for a person
            return [replace(here, parked="EVENT_UNROUTABLE")]
        found = [replace(here, outcomes=tuple(one for output in outputs if (one := _outcome(output)) is not None))]
        for output in outputs:
            if isinstance(output, Publish) and output.topic in self._streams:
                found += self.of(output.topic, output.event, anew=anew)
        return found

    def _standing(self, stream: Stream, event: Event) -> cases.Standing:
        meta, side, at = event["meta"], stream.side(event), now()
        again = meta["event_id"] in self._seen
        self._seen.add(meta["event_id"])
        if self._database is None or again:
            return cases.Standing("", again, "", at)
        key = f"{meta['key']}/{side}" if side else meta["key"]
        entry = cases.Entry(
            meta["event_id"], "", key, revision_rank(meta["revision"]), "" if stream.adds else meta["content_hash"]
        )
        return cases.standings(self._database, stream.topic, [entry], at)[0]

    def _waits(self, topic: str, key: str) -> bool:
        return self._database is not None and bool(parking.read(self._database, topic, [key], []).waiting)

    def _state(self, topic: str, facts: Sequence[Fact], event: Event) -> None:
        """Keep what the event says, where nothing newer was said. Its place is of its topic, and one that no record has."""
        for fact in facts if self._database is None else cases.newer(self._database, facts):
            name = (fact.kind, fact.ref, fact.id)
            if name not in self._said or fact.rank > self._said[name][0]:
                found = Found(*name, fact.data, event["meta"]["event_id"], f"{topic}/-1/{len(self._seen)}")
                self._said[name] = (fact.rank, found)

    def _known(self, lookups: Sequence[CaseRef]) -> list[Found]:
        """As `cases.find`, with what was said here standing over it."""
        known: list[Found] = []
        for ref in lookups:
            for found in self._found(ref.kind, ref.ref):
                known.append(replace(found, about=tuple(self._found(ref.about, found.id))) if ref.about else found)
        return known

    def _found(self, kind: str, ref: str) -> list[Found]:
        there = cases.find(self._database, [[CaseRef(kind, ref)]])[0] if self._database is not None else []
        own = {one.id: one for _rank, one in self._said.values() if (one.kind, one.ref) == (kind, ref)}
        return list(({one.id: one for one in there} | own).values())


def _outcome(output: Output) -> Outcome | None:
    match output:
        case Deliver(recipient, rule, lane):
            return Outcome("deliver", rule, recipient, lane)
        case Recall(_place, recipient, rule, lane):
            return Outcome("recall", rule, recipient, lane)
        case Nobody(rule):
            return Outcome("nobody", rule)
        case Refuse(_code, rule):
            return Outcome("refuse", rule)
        case Due(at, topic, event):
            return Outcome("due", event["meta"]["rule"], topic, at=at)
        case Publish("receipt.v1") | Gather():
            return None  # a state of the delivery, which is told itself; and of SETTLED, which nobody sends
        case Publish(topic, event):
            return Outcome("publish", event["meta"]["rule"], topic)
