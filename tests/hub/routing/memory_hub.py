"""A hub without servers for tests of what streams decide: the case index in a dictionary, everything else left out."""

from dataclasses import dataclass, field, replace
from typing import Any

from hub.contract.events import Event
from hub.routing.stream import CaseRef, Deliver, Due, Fact, Found, Gather, Moment, Output, Publish, Recall, Refuse, addressed
from tests.hub.routing.story import KEYRING, MORNING, STREAMS


@dataclass
class MemoryHub:
    """What a hub knows and has said.

    facts:       by kind, ref and id, each with its rank.
    told, rules: (recipient, event id or rule) of all deliveries.
    put:         event ids of what was put into the due table, each time it was.
    derived:     what routing published on its own topics.
    others:      what it published elsewhere, such as payers' projections: topic and event, by topic and id.
    refused:     codes and details of what became dead letters.
    """

    facts: dict[tuple[str, str, str], tuple[str, Found]] = field(default_factory=dict)
    told: set[tuple[str, str]] = field(default_factory=set)
    rules: set[tuple[str, str]] = field(default_factory=set)
    put: list[str] = field(default_factory=list)
    derived: list[Event] = field(default_factory=list)
    others: dict[tuple[str, str], Event] = field(default_factory=dict)
    refused: list[tuple[str, str]] = field(default_factory=list)
    _seen: dict[str, str] = field(default_factory=dict)
    _kept: dict[str, tuple[str, Event]] = field(default_factory=dict)
    _due: dict[str, Due] = field(default_factory=dict)

    def route(self, topic: str, events: list[Event]) -> None:
        """One batch, and all that follows from it: the facts of all of it first, as in `batch.py`."""
        stream, going, after = STREAMS[topic], [], []
        for event in events:
            if event["meta"]["event_id"] not in self._seen.values():
                going.append((event, tuple(stream.facts(event, KEYRING))))
                self._state(topic, *going[-1])
        found = [self.find(stream.lookups(event, KEYRING)) for event, _ in going]
        for (event, facts), known in zip(going, found, strict=True):
            moment = Moment(MORNING, MORNING, facts)
            after += self._follow(event, addressed(stream.decide(event, known, moment), stream.record, moment))
        for to, derived in after:
            if to not in STREAMS:
                self.others[to, derived["meta"]["event_id"]] = derived
                continue
            self.derived.append(derived)
            self.route(to, [derived])

    def _follow(self, event: Event, outputs: list[Output]) -> list[tuple[str, Event]]:
        """Note what one event leads to. Returns: what is published."""
        after: list[tuple[str, Event]] = []
        for output in outputs:
            match output:
                case Deliver(recipient, rule):
                    self.told.add((recipient, event["meta"]["event_id"]))
                    self.rules.add((recipient, rule))
                case Recall(place, recipient, rule):
                    self.told.add((recipient, self._seen[place]))
                    self.rules.add((recipient, rule))
                case Gather(places, then):
                    after += self._follow(event, then({place: self._kept[place] for place in places}))
                case Publish("delivery.v1", derived):
                    self.told.add((derived["recipient"], derived["subject_event_id"]))
                    self.rules.add((derived["recipient"], derived["rule"]))
                case Publish(to, derived):
                    after.append((to, derived))
                case Due():
                    self.put.append(output.event["meta"]["event_id"])
                    self._due.setdefault(output.event["meta"]["event_id"], output)
                case Refuse(code, _rule, detail):
                    self.refused.append((code, detail))
        return after

    def expire(self) -> None:
        """The time of everything that is due comes."""
        due, self._due = sorted(self._due.values(), key=lambda one: one.at), {}
        for one in due:
            self.derived.append(one.event)
            self.route(one.topic, [one.event])

    def _state(self, topic: str, event: Event, facts: tuple[Fact, ...]) -> None:
        place, event_id = f"{topic}/0/{len(self._seen)}", event["meta"]["event_id"]
        self._seen[place] = event_id
        self._kept[place] = (STREAMS[topic].record, event)
        for fact in facts:
            name = (fact.kind, fact.ref, fact.id)
            if name not in self.facts or fact.rank > self.facts[name][0]:
                self.facts[name] = (fact.rank, Found(*name, fact.data, event_id, place))

    def find(self, refs: list[CaseRef]) -> list[Found]:
        """What the index holds for the look-ups of one event."""
        found: dict[Any, Found] = {}
        for ref in refs:
            for name, (_, fact) in self.facts.items():
                if name[:2] == (ref.kind, ref.ref):
                    about = tuple(one for (kind, of, _), (_, one) in self.facts.items() if (kind, of) == (ref.about, fact.id))
                    found[name] = replace(fact, about=(*found.get(name, fact).about, *about))
        return list(found.values())
