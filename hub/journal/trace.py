"""One message's whole story: what came, what was made of it, where it went, and what they said.

What is under way may be missing for a moment: the journal runs behind the topics.
"""

import io
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import reduce
from typing import Any, Final
from uuid import UUID

from psycopg import Connection
from psycopg.rows import TupleRow, dict_row
from rich.console import Console
from rich.table import Table

from hub.contract.errors import HubError
from hub.contract.events import VIETNAM, Keyring

_MOST: Final = 1_000  # events or messages of one story; one that is longer is cut there and says so
_SAME: Final = 10  # messages of one control id that are told; where there are more, the facility has to be said
_UUID, _MSH_10 = 128, 20  # bits, characters
_BEGINNINGS: Final = {
    "message": "0123456789abcdef",
    "delivery": "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
}  # digits of MSH-10 of what answers or delivers
_CUT: Final = " (there is more: say FACILITY/ID · còn nữa: ghi MÃ CƠ SỞ/MÃ)"
_LABELS: Final[Mapping[str, str]] = {
    "received": "nhận · received",
    "event": "sự kiện · event",
    "derived": "suy ra · derived",
    "delivery": "giao · delivery",
    "nobody": "không nơi nhận · nobody",
    "receipt": "biên nhận · receipt",
    "parked": "tạm giữ · parked",
    "dead-letter": "thư chết · dead letter",
}
_FORGOTTEN: Final = "· đã xóa · erased"
_TEST: Final = "\nthử · test"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened. kind: a key of `_LABELS`; facts: what the journal knows of it, without any body."""

    at: datetime
    kind: str
    id: str
    what: str
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Story:
    """Everything that belongs together, in time order, a receipt behind its delivery. cut: there is more than is shown."""

    id: str
    steps: tuple[Step, ...]
    cut: bool

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def text(self, width: int | None = None, why: Callable[[str], str] = lambda _rule: "") -> str:
        """For people.

        width: of the page; that of the terminal when omitted.
        why:   a rule in words, told where nobody gets an event.
        """
        table = Table(title=f"{len(self.steps)} bước · steps{_CUT if self.cut else ''}", title_justify="left", box=None)
        for name in ("giờ · time", "bước · step", "nội dung, mã · what, id"):
            table.add_column(name, overflow="fold", header_style="bold")
        for step in self.steps:  # an id has a line of its own: whole, to be copied, in a window of 80 columns too
            at = step.at.astimezone(VIETNAM).strftime("%d/%m/%Y\n%H:%M:%S.%f")[:-3]
            words = why(step.facts["rule"]) if step.kind == "nobody" else ""
            label = _LABELS[step.kind] + (_TEST if step.facts.get("test") else "")
            table.add_row(at, label, "\n".join(filter(None, (step.what, words, step.id))))
        page = Console(file=io.StringIO(), width=width, highlight=False, markup=False)
        with page.capture() as captured:
            page.print(table)
        return captured.get().rstrip()


def trace(database: Connection[TupleRow], id: str, keyring: Keyring | None = None, viewer: str = "") -> Story:
    """The story of a control id (MSH-10), message id, event id, delivery id, or business key; also of MSH-10 of the hub's own
    acknowledgement of a message or of what it delivered as HL7, which hold the beginning of the message's or delivery's id.

    id:      a business key is `facility/key`, such as `01004/LK123` (ma_lk of an encounter or claim), `01731/2026-15` (slip)
             or a placer's number; a facility's own control id is `facility/MSH-10`.
    keyring: makes Kafka keys of business keys; without one these are not found.
    viewer:  a facility that sees only its part: what it sent and what became of that, and what is addressed to it.
    Raises:  HubError(NOT_FOUND), also when the viewer has no part in it; psycopg's errors.
    """
    with database.transaction():
        database.execute("set transaction isolation level repeatable read, read only")
        found = _Found(database)
        _roots(found, id.strip(), keyring, viewer)
        found.spread()
        steps = _seen_by(viewer, found.steps()) if viewer else found.steps()
    return _story(id, steps, cut=found.cut)


def trace_case(database: Connection[TupleRow], id: UUID) -> Story:
    """The story of a whole case: of all events that have the Kafka key of this one, as of `facility/key` for who knows that.

    id:     of an event or of a delivery; both lead to the same.
    Raises: HubError(NOT_FOUND), also of an event without a key; psycopg's errors.
    """
    with database.transaction():
        database.execute("set transaction isolation level repeatable read, read only")
        found = _Found(database)
        found.take(_OF_CASE, {"id": id})
        found.spread()
        steps = found.steps()
    return _story(str(id), steps, cut=found.cut)


def _story(id: str, steps: list[Step], *, cut: bool) -> Story:
    if not steps:
        raise HubError("NOT_FOUND", "id")
    given = {step.id: step.at for step in steps if step.kind == "delivery"}

    def place(step: Step) -> tuple[datetime, int, datetime, str]:
        """A receipt stands behind its delivery, which is written down a moment after it was handed over."""
        at = max(step.at, given.get(step.id, step.at))
        return at, list(_LABELS).index(step.kind), step.at, step.id

    return Story(id, tuple(sorted(steps, key=place)), cut)


def of_senders(story: Story, senders: Collection[str]) -> Story:
    """What of a story is theirs: messages that they sent, the events of these, and what became of both. Nothing is left of other
    senders' messages and events, whether these led to theirs or followed from them.

    Raises: HubError(NOT_FOUND) where the id that was asked for is of none of it, as for an id that nobody has.
    """
    messages = {step.id for step in story.steps if step.kind == "received" and step.facts["sender"] in senders}
    events = {step.id for step in story.steps if step.kind in ("event", "derived") and str(step.facts["message_id"]) in messages}
    its = messages | events
    sent = {step.id for step in story.steps if step.kind == "delivery" and str(step.facts["subject_event_id"]) in its}

    def concerns(step: Step) -> bool:
        match step.kind:
            case "received" | "event" | "derived":
                return step.id in its
            case "delivery" | "nobody":
                return str(step.facts["subject_event_id"]) in its
            case "receipt":
                return step.id in sent
            case _:
                return str(step.facts["event_id"]) in its

    steps = tuple(step for step in story.steps if concerns(step))
    if story.id not in {step.id for step in steps}:
        raise HubError("NOT_FOUND", "id")
    return Story(story.id, steps, story.cut)


def _roots(found: "_Found", id: str, keyring: Keyring | None, viewer: str) -> None:
    """Where the story begins; of one control id with the newest messages, of those in which the viewer has a part.

    One question to the database, as every round of it takes longer than the look-up.
    """
    try:
        found.take(_BY_UUID, {"id": UUID(id)})
        return
    except ValueError:
        pass
    facility, slash, key = (part.strip() for part in id.partition("/"))
    keys = [keyring.key(facility, key, test=test) for test in (False, True)] if slash and keyring is not None else []
    values: dict[str, object] = {"id": id, "facility": facility, "key": key, "keys": keys, "viewer": viewer, "same": _SAME + 1}
    for name, digits in _BEGINNINGS.items():
        values[f"{name}_from"], values[f"{name}_to"] = _all_with(id, digits)
    found.begin(_BY_NAME.format(_OF_VIEWER if viewer else "true"), values)


def _all_with(id: str, digits: str) -> tuple[UUID | None, UUID | None]:
    """The first and the last UUID that begins as MSH-10 of a message of the hub's says, written in these digits; None for another id."""
    if len(id) != _MSH_10 or not set(id) <= set(digits):
        return None, None
    bits = _MSH_10 * (len(digits).bit_length() - 1)
    begins = reduce(lambda number, digit: number * len(digits) + digits.index(digit), id, 0) << (_UUID - bits)
    return UUID(int=begins), UUID(int=begins | (1 << (_UUID - bits)) - 1)


def _seen_by(viewer: str, steps: list[Step]) -> list[Step]:
    """Those that concern a facility: its messages and events, their deliveries, and deliveries to it with their events."""
    to_it = {
        step.facts["subject_event_id"] for step in steps if step.facts.get("recipient") == viewer and step.kind == "delivery"
    }
    its = {UUID(step.id) for step in steps if step.kind in ("received", "event", "derived") and step.facts["facility"] == viewer}
    sent = {UUID(step.id) for step in steps if step.kind == "delivery" and step.facts["subject_event_id"] in its}

    def concerns(step: Step) -> bool:
        match step.kind:
            case "received":
                return UUID(step.id) in its
            case "event" | "derived":
                return UUID(step.id) in its or UUID(step.id) in to_it
            case "delivery" | "nobody" | "receipt":
                return step.facts["recipient"] == viewer or UUID(step.id) in sent or step.facts.get("subject_event_id") in its
            case _:
                return step.facts["event_id"] in its

    return [step for step in steps if concerns(step)]


class _Found:
    """The events and messages of a story, growing until nothing new belongs to it."""

    def __init__(self, database: Connection[TupleRow]) -> None:
        self._database = database
        self.messages: set[UUID] = set()
        self.events: set[UUID] = set()
        self.cut = False

    def begin(self, query: str, values: Mapping[str, object]) -> None:
        """With what a query of kind and id finds, the newest message first; of more than `_SAME` messages the newest."""
        rows = self._database.execute(query.encode(), {**values, "most": _MOST}).fetchall()
        newest = [id for kind, id in rows if kind == "message"]
        self.messages, self.cut = set(newest[:_SAME]), len(newest) > _SAME
        self.events = {id for kind, id in rows if kind == "event"}

    def take(self, query: str, values: Mapping[str, object]) -> tuple[set[UUID], set[UUID]]:
        """Add what a query of kind and id finds. Returns: the messages and events that were not known before."""
        messages, events = set[UUID](), set[UUID]()
        for kind, id in self._database.execute(query.encode(), {**values, "most": _MOST}):
            if id is not None:
                (messages if kind == "message" else events).add(id)
        new = messages - self.messages, events - self.events
        self.messages |= messages
        self.events |= events
        return new

    def spread(self) -> None:
        """Messages to their events, events to their messages, to what was derived from them, and to what they derive from."""
        messages, events = set(self.messages), set(self.events)
        while (messages or events) and max(len(self.events), len(self.messages)) < _MOST:
            messages, events = self.take(_NEXT, {"messages": list(messages), "events": list(events)})
        self.cut |= max(len(self.events), len(self.messages)) >= _MOST

    def steps(self) -> list[Step]:
        steps: list[Step] = []
        values = {"messages": list(self.messages), "events": list(self.events)}
        with self._database.pipeline():
            asked = [
                (self._database.cursor(row_factory=dict_row).execute(query.encode(), values), told) for query, told in _STEPS
            ]
            for cursor, told in asked:
                steps += [told(row) for row in cursor]
        return steps


_BY_UUID: Final = """
select 'message', message_id from journal_message where message_id = %(id)s
union all (select 'event', event_id from journal_event where event_id = %(id)s limit 1)
union all select 'event', subject_event_id from journal_delivery where delivery_id = %(id)s
union all (select 'event', subject_event_id from journal_delivery where subject_event_id = %(id)s limit 1)
union all (select 'event', event_id from parked where event_id = %(id)s limit 1)
"""
_OF_CASE: Final = """
select 'event', event_id from journal_event where key <> '' and key in (
    select key from journal_event where event_id = %(id)s
    union all select key from journal_event where event_id = (select subject_event_id from journal_delivery where delivery_id = %(id)s)
) limit %(most)s
"""
_BY_NAME: Final = """
select kind, id from (
    (select 'message' as kind, message_id as id, received_at as at from journal_message as message
     where control_id = %(id)s and %(id)s <> '' and {} order by received_at desc limit %(same)s)
    union all (select 'message', message_id, received_at from journal_message
               where control_id = %(key)s and facility = %(facility)s and %(key)s <> '' order by received_at desc limit %(same)s)
    union all (select 'message', message_id, received_at from journal_message
               where message_id between %(message_from)s and %(message_to)s limit %(same)s)
    union all (select 'event', subject_event_id, null from journal_delivery
               where delivery_id between %(delivery_from)s and %(delivery_to)s limit %(same)s)
    union all (select 'event', event_id, null from journal_event where key = any(%(keys)s) limit %(most)s)
) as found order by at desc nulls last
"""
_OF_VIEWER: Final = """(facility = %(viewer)s or exists (
    select from journal_delivery where recipient = %(viewer)s and subject_event_id in (
        select message.message_id union all select unnest(message.events)
        union all select event_id from journal_event where journal_event.message_id = message.message_id
        union all select event_id from journal_event where causes <> '{}' and causes && message.events)))"""
_NEXT: Final = """
(select 'event', event_id from journal_event where message_id = any(%(messages)s) limit %(most)s)
union (select 'event', unnest(events) from journal_message where message_id = any(%(messages)s) limit %(most)s)
union (select 'event', event_id from journal_event where causes <> '{}' and causes && %(events)s::uuid[] limit %(most)s)
union (select 'event', unnest(causes) from journal_event where event_id = any(%(events)s) limit %(most)s)
union (select 'message', message_id from journal_event where event_id = any(%(events)s) limit %(most)s)
"""


def _place(row: Mapping[str, Any]) -> str:
    return f"{row['topic']}/{row['partition']}/{row['record_offset']}"


def _words(*parts: object) -> str:
    return " ".join(str(part) for part in parts if part not in (None, ""))


def _facts(row: Mapping[str, Any], *without: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in without}


def _received(row: dict[str, Any]) -> Step:
    problems = ", ".join(_words(one["code"], one["path"]) for one in row["problems"])
    what = _words(
        row["facility"], row["message_type"], row["control_id"], row["transport"], "→", row["verdict"], row["ack"], problems
    )
    facts = _facts(row, "message_id", "received_at", "day", *(() if row["forgotten"] else ("forgotten",)))
    return Step(
        row["received_at"], "received", str(row["message_id"]), _words(what, _FORGOTTEN if row["forgotten"] else ""), facts
    )


def _event(row: dict[str, Any]) -> Step:
    rule = f"({row['rule']})" if row["rule"] else ""
    what = _words(row["facility"], row["record"].removeprefix("hie."), row["action"], rule, _place(row))
    kind = "derived" if row["causes"] else "event"
    return Step(row["recorded_at"], kind, str(row["event_id"]), what, _facts(row, "event_id", "recorded_at"))


def _delivery(row: dict[str, Any]) -> Step:
    to = f"→ {row['recipient']}" if row["recipient"] else "—"
    what = _words(
        row["record"].removeprefix("hie."),
        to,
        f"({row['rule']})",
        row["lane"],
        row["state"] or (row["recipient"] and "?"),
        row["code"],
    )
    kind = "delivery" if row["recipient"] else "nobody"
    return Step(row["recorded_at"], kind, str(row["delivery_id"]), what, _facts(row, "delivery_id", "recorded_at"))


def _receipt(row: dict[str, Any]) -> Step:
    what = _words(row["recipient"], row["state"], row["code"], row["channel"])
    return Step(row["at"], "receipt", str(row["delivery_id"]), what, _facts(row, "delivery_id", "at"))


def _parked(row: dict[str, Any]) -> Step:
    what = _words(row["code"], row["state"], _place(row))
    return Step(row["parked_at"], "parked", str(row["event_id"] or ""), what, _facts(row))


def _dead_letter(row: dict[str, Any]) -> Step:
    what = _words(row["stage"], row["code"], row["state"], _place(row))
    return Step(row["recorded_at"], "dead-letter", str(row["id"]), what, _facts(row, "id", "recorded_at"))


_STEPS: Final[Sequence[tuple[str, Callable[[dict[str, Any]], Step]]]] = (
    (
        "select *, exists (select from forgotten_id where id = message_id) as forgotten"
        " from journal_message where message_id = any(%(messages)s)",
        _received,
    ),
    ("select * from journal_event where event_id = any(%(events)s)", _event),
    ("select * from journal_delivery where subject_event_id = any(%(events)s::uuid[] || %(messages)s::uuid[])", _delivery),
    (
        "select receipt.*, recipient from journal_receipt as receipt join journal_delivery using (delivery_id)"
        " where subject_event_id = any(%(events)s::uuid[] || %(messages)s::uuid[])",
        _receipt,
    ),
    (
        "with place as (select topic, partition, record_offset, event_id from journal_event where event_id = any(%(events)s))"
        " select topic, partition, record_offset, event_id, code, state, parked_at from parked where event_id = any(%(events)s)"
        " union select topic, partition, record_offset, place.event_id, code, state, parked_at"
        " from parked join place using (topic, partition, record_offset)",
        _parked,
    ),
    (
        "with place as (select topic, partition, record_offset, event_id from journal_event where event_id = any(%(events)s)"
        " union all select topic, partition, record_offset, message_id from journal_message where message_id = any(%(messages)s))"
        " select letter.*, event_id from journal_dead_letter as letter join place using (topic, partition, record_offset)",
        _dead_letter,
    ),
)
