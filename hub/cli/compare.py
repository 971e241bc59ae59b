"""`hie replay --compare`: what would be different if messages were translated and routed again today. Nothing is published.

Of each message: the verdict, the problems told, its events, what they say, and what routing does with them, as they were and
as they would be now. Differences name codes, field paths, rules and recipients, never a value.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from psycopg import Connection
from psycopg.rows import TupleRow

from adapters.inbound.kept import Kept, through_the_disk
from adapters.inbound.received import Translation
from hub.access.credentials import Credentials
from hub.bus import Wire
from hub.contract.errors import HubError
from hub.contract.events import Event
from hub.contract.topics import topic_of

if TYPE_CHECKING:
    from hub.routing.foresight import Foresight

KINDS: Final = {
    "verdict": "the message would be judged differently",
    "problem": "another problem would be told, or one no longer",
    "event-new": "an event that was not made before",
    "event-gone": "an event that would not be made any more",
    "field": "an event of the same key would say something else",
    "route": "an event would go elsewhere, or by another rule, with what is known today",
    "unreadable": "its bytes are gone, or a fault of ours keeps them from being read",
}
_EXAMPLES: Final = 5  # of each kind
_PATHS: Final = 20  # of one event
_OUTWARD: Final = frozenset({"deliver", "nobody"})
_WAS: Final = """
select event.event_id::text, event.topic, event.partition, event.record_offset, event.key,
       (select array_agg(distinct delivery.rule || ' ' || delivery.recipient) from journal_delivery as delivery
        where delivery.subject_event_id = event.event_id) as routes,
       exists (select from parked where parked.event_id = event.event_id and parked.state <> 'RELEASED') as waits
from (select distinct on (event_id) * from journal_event where event_id = any(%s::uuid[]) order by event_id, recorded_at) as event
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that would differ. what: codes, field paths, rules and recipients, never a value."""

    kind: str
    message_id: str
    what: str


@dataclass(slots=True)
class Comparison:
    """messages: compared; left_out: not compared, by reason; counts: differences by kind; examples: the first of each kind."""

    messages: int = 0
    same: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    examples: list[Difference] = field(default_factory=list)

    def add(self, found: list[Difference]) -> None:
        self.messages += 1
        self.same += not found
        for one in found:
            self.counts[one.kind] += 1
            if self.counts[one.kind] <= _EXAMPLES:
                self.examples.append(one)

    def as_dict(self) -> dict[str, Any]:
        examples = [asdict(one) for one in self.examples]
        counts = {
            "left_out": dict(self.left_out),
            "counts": dict(self.counts),
        }  # `asdict` takes a counter's items for what it counts
        return {"messages": self.messages, "same": self.same, **counts, "examples": examples}


def compare(
    kept: Kept, wire: Wire, credentials: Credentials, database: Connection[TupleRow], eye: "Foresight", request: Event
) -> Comparison:
    """Compare what was with what would be now, for the messages that a `hie.ReplayRequest` names.

    Left out are the messages that a replay leaves out (their sender has no credential any more), and envelopes that go through
    the disk.
    Raises: HubError, retriable, when the stack does not answer.
    """
    result = Comparison()
    for message in kept.asked_for(request):
        credential = credentials.of_name(message["sender"])
        if credential is None or through_the_disk(message):
            result.left_out["sender without credential" if credential is None else "large envelope"] += 1
            continue
        try:
            again = kept.again(message, credential.facilities)
            result.add(list(_differences(kept, wire, database, eye, message, again)))
        except HubError as wrong:
            if wrong.retriable:
                raise
            result.add([Difference("unreadable", message["message_id"], wrong.code)])
        except Exception as fault:  # ours; its text may hold a value
            result.add([Difference("unreadable", message["message_id"], f"TRANSLATION_FAILED {type(fault).__name__}")])
    return result


def _differences(
    kept: Kept, wire: Wire, database: Connection[TupleRow], eye: "Foresight", message: Event, again: Translation
) -> Iterator[Difference]:
    id = message["message_id"]
    if message["verdict"] != again.verdict:
        yield Difference("verdict", id, f"{message['verdict']} -> {again.verdict}")
    was, now = _problems(message), _problems(again.message)
    for problem in sorted(now - was):
        yield Difference("problem", id, f"+ {problem}")
    for problem in sorted(was - now):
        yield Difference("problem", id, f"- {problem}")
    yield from _events(kept, wire, database, eye, message, again)


def _problems(message: Event) -> set[str]:
    return {f"{one['severity']} {one['code']} {one['path']}".strip() for one in message["problems"]}


def _events(
    kept: Kept, wire: Wire, database: Connection[TupleRow], eye: "Foresight", message: Event, again: Translation
) -> Iterator[Difference]:
    """Events by id: the same id says the same; of others the ones of one topic and key are laid side by side."""
    id = message["message_id"]
    before = {one["event_id"]: one["topic"] for one in message["events"]}
    today = {event["meta"]["event_id"]: (topic_of(record), event) for record, event in again.events}
    rows = {row[0]: row for row in database.execute(_WAS, (list(before),))}
    gone = {(rows[one][1], rows[one][4]): rows[one] for one in before if one not in today and one in rows}
    for one in before:
        if one not in today and one not in rows:
            yield Difference("event-gone", id, f"{before[one]} {one}, which no topic holds")
    for event_id, (topic, event) in today.items():
        event = wire.unpack(wire.pack(topic, event))[1]  # whole, as routing and the topic have it
        if event_id in before:
            if event_id in rows:
                yield from _routes(eye, id, topic, event, rows[event_id])
        elif row := gone.pop((topic, event["meta"]["key"]), None):
            yield Difference("field", id, f"{topic} {_changed(kept, wire, row, event)}")
        else:
            yield Difference("event-new", id, topic)
    for topic, _key in gone:
        yield Difference("event-gone", id, topic)


def _changed(kept: Kept, wire: Wire, row: TupleRow, event: Event) -> str:
    """The field paths at which an event differs from the one at the place of a row of `_WAS`."""
    try:
        old = wire.unpack(kept.value(row[1], row[2], row[3]))[1]
    except HubError as gone:
        if gone.retriable:
            raise
        return "what it said is in neither archive nor topic any more"
    paths = sorted(_paths(_content(old), _content(event)))
    more = f" … {len(paths)} in all" if len(paths) > _PATHS else ""
    return (", ".join(paths[:_PATHS]) or "meta") + more


def _routes(eye: "Foresight", id: str, topic: str, event: Event, row: TupleRow) -> Iterator[Difference]:
    """What today's rules say of an event that stands, beside what was delivered. What waits, was not
    routed yet, or was passed over as a repeat or as older than another has no past to compare with."""
    was, order = set(row[5] or ()), eye.order_rules(topic)
    if not was or row[6] or order is None or any(route.partition(" ")[0] in order for route in was):
        return
    foreseen = eye.of(topic, event, anew=True)[0]
    today = {f"{one.rule} {one.to}" for one in foreseen.outcomes if one.kind in _OUTWARD}
    if foreseen.parked:
        yield Difference("route", id, f"{topic} would wait: {foreseen.parked}")
        return
    for route in sorted(today - was):
        yield Difference("route", id, f"{topic} + {route}".strip())
    for route in sorted(was - today):
        yield Difference("route", id, f"{topic} - {route}".strip())


def _content(event: Event) -> Event:
    return {name: value for name, value in event.items() if name != "meta"}


def _paths(was: Any, now: Any, path: str = "") -> Iterator[str]:
    """Field paths at which two values differ; of lists of one length item by item."""
    if isinstance(was, dict) and isinstance(now, dict):
        for name in sorted(was.keys() | now.keys()):
            yield from _paths(was.get(name), now.get(name), f"{path}.{name}" if path else name)
    elif isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for number, (one, other) in enumerate(zip(was, now, strict=True)):
            yield from _paths(one, other, f"{path}[{number}]")
    elif was != now:
        yield path
