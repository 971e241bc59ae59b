"""One message while it is being mapped: what its parts share, and how an event comes out of it."""

import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, Final

from adapters.dialects.mapped import EVENTS_MAX, Context, Mapped
from adapters.dialects.paths import Notes, Plan, Scope, place_of
from adapters.dialects.profile import Dialect
from adapters.dialects.transforms import code, day_first, moment, stamped
from adapters.formats.hl7v2 import STANDARD, Message, Segment
from hub.contract.directory import heir
from hub.contract.errors import HubError, Problem, Severity
from hub.contract.events import VIETNAM, Event, stamp

PRIORITIES: Final = re.compile(r"[SARPCTN]|T[SMHDWL]\d+|PRN|STAT|ASAP|ROUTINE|NORMAL")
"""How soon, in HL7: tables 0027, 0280 and 0485, and the words for their codes. What begins with S or A is urgent."""
_NO_HOUR: Final = "0000"
_NO_TIMES: Final = frozenset({"specimen_type", "specimen_name", "notes"})  # of OBR-15 and OBR-13, where no time is one
_BESIDE: Final = {  # times by name: segment, field, and what stands beside it there, which is no time, or not the one that is read
    "ngay_vao": ("PV1", 44, (43,)),
    "ngay_ra": ("PV1", 45, (46,)),
    "sampled_at": ("OBR", 7, (8,)),
    "received_in_lab_at": ("OBR", 14, (13, 15)),
    "reported_at": ("OBR", 22, (21, 23)),
    "ordered_at": ("ORC", 9, (10,)),
    "ngay_yl": ("ORC", 9, (10,)),
}
BESIDE: Final = frozenset((segment, field) for segment, _, beside in _BESIDE.values() for field in beside)
"""Fields that are looked at for a time that slipped there, and for nothing else."""
SEEN_MAX = 50_000  # codes and lines remembered per dialect; beyond it memory begins anew


def stated_day_first(value: str) -> str:
    """A time that a message states of itself, day first, as HL7 has it: to the second, or a day alone; "" unless the calendar has it."""
    value = " ".join(value.split())
    read = day_first(value)
    if read and value.count(":") == 2:
        read += value[-2:]
    if not read or moment(read) is None:
        return ""
    return read if ":" in value else read[:8]


def tell_embedded(row: Segment, notes: Notes) -> None:
    """That an OBX of type ED brings a document: results and slips have no place for its content, so nobody gets it."""
    if row.get(5, 5).strip():
        notes.warn("CONTENT_NOT_PASSED_ON", notes.message.path(row, 5))


def tell_notes(plans: Iterable[Plan], scope: Scope, notes: Notes) -> None:
    """That the NTE of a slip or an appointment go to nobody, as these have no place for notes; but for the one that a rule reads."""
    rows = notes.message.segments("NTE")
    reads = bool(rows) and any(place.segment == "NTE" for plan in plans for rule in plan for place in rule.places)
    for row in rows:
        if row.text(3).strip() and not (reads and row is scope.get("NTE")):
            notes.warn("NOTE_NOT_PASSED_ON", notes.message.path(row, 3))


class Reading:
    """The message, its dialect and context, and what has come of it so far."""

    __slots__ = ("_of_persons", "context", "dialect", "events", "message", "occurred_at", "problems", "without_key")

    def __init__(self, message: Message, dialect: Dialect, context: Context) -> None:
        self.message = message
        self.dialect = dialect
        self.context = context
        self.events: list[tuple[str, Event]] = []
        self.problems: dict[Problem, None] = {}
        self.without_key = 0
        self._of_persons: dict[str, dict[Segment, list[Segment]]] = {}
        self.occurred_at = moment(message.get("EVN", 2)) or self._foreign_moment() or moment(message.header.get(7)) or ""

    def _foreign_moment(self) -> str | None:
        """EVN-2 of a sender whose profile reads it in a form of its own; that nothing can read it is told here."""
        stated = self.message.get("EVN", 2)
        if not stated or "EVN-2" not in self.dialect.foreign:
            return None
        found = moment(stated_day_first(stated))
        if not found:
            self.problems[Problem("TIME_UNPARSABLE", Severity.WARNING, "EVN-2")] = None
        return found

    @property
    def received_on(self) -> date:
        """The day on which the message came, in Vietnam."""
        return self.context.origin.received_at.astimezone(VIETNAM).date()

    def notes(self) -> Notes:
        return Notes(self.message, self.problems, self.read_code, self.context.facility)

    def of_person(self, pid: Segment, name: str) -> list[Segment]:
        """The segments of that name that stand behind this PID and before the next one; before the first PID they are of it too."""
        found = self._of_persons.get(name)
        if found is None:  # of all persons at once: a message may have thousands
            found = self._of_persons[name] = {}
            person = self.message.first("PID")
            for segment in self.message.segments_in_order if name in self.message.by_name else []:
                if segment.name == "PID":
                    person = segment
                elif segment.name == name and person is not None:
                    found.setdefault(person, []).append(segment)
        return found.get(pid) or []

    def refuse(self, code: str, path: str = "") -> None:
        self.problems[Problem(code, Severity.ERROR, path)] = None

    def mapped(self) -> Mapped:
        return Mapped(self.events, list(self.problems))

    def read_code(self, segment: Segment, field: int, notes: Notes) -> dict[str, str]:
        """A coded field as a `Code`, local tests in their common name. Shared between events: not to be changed."""
        raw = segment.fields[field]
        usual = segment.delimiters is STANDARD
        seen = self.dialect.seen
        known = seen.get(raw) if usual else None
        if known is None:
            found = self._common(code(next(iter(segment.coded(field)), [])))
            known = found, self._label(found)
            if usual:
                if len(seen) >= SEEN_MAX:
                    seen.clear()
                seen[raw] = known
        value: dict[str, str]
        value, label = known
        if label:
            notes.labels.add(label)
        return value

    def _common(self, sent: dict[str, str]) -> dict[str, str]:
        local = self.dialect.tests.get(sent.get("code", ""))
        if local is None or sent.get("system") == local.system:
            return sent
        common = {"code": local.code, "system": local.system}
        if display := local.display or sent.get("display", ""):
            common["display"] = display
        if local.alt_code:
            return common | {"alt_code": local.alt_code, "alt_system": local.alt_system}
        if local.code == sent["code"]:  # it lacked only its system
            return sent | common
        own = {"alt_code": sent["code"], "alt_system": sent.get("system", "L")}
        if local.display and sent.get("display"):
            own["alt_display"] = sent["display"]  # as the laboratory calls it
        return common | own

    def _label(self, found: dict[str, str]) -> str:
        names = f"{found.get('code', '')} {found.get('display', '')} {found.get('alt_display', '')}"
        return self.dialect.labels.of_test((found.get("code", ""), found.get("alt_code", "")), names)

    def scope(self, segments: Iterable[Segment]) -> Scope:
        """The first of each name, with MSH."""
        scope: Scope = {"MSH": self.message.header}
        for segment in segments:
            scope.setdefault(segment.name, segment)
        return scope

    def publish(
        self, record: str, content: dict[str, Any], key: str, notes: Notes, *, key_path: str, facility: str | None = None
    ) -> None:
        """Stamp one event. Without a business key, sender and control id stand in for it, and the sender is told.

        facility: whose thing it is; the sender's when omitted.
        Raises:   HubError(FRAME_TOO_LARGE) beyond `EVENTS_MAX`.
        """
        if len(self.events) >= EVENTS_MAX:
            raise HubError("FRAME_TOO_LARGE", f"more than {EVENTS_MAX} events")
        context = self.context
        origin = context.origin
        if not key:
            notes.warn("KEY_MISSING", key_path)
            self.without_key += 1
            key = f"{origin.source['sender']}/{origin.source.get('control_id') or origin.message_id}/{self.without_key}"
        more: Event = {}
        if self.occurred_at:
            more["occurred_at"] = self.occurred_at
        if notes.cleared:
            more["cleared"] = notes.cleared
        if notes.unparsed:
            more["unparsed"] = notes.unparsed
        if notes.labels:
            more["sensitivity"] = self.dialect.labels.gravest(notes.labels)
        whose = context.facility if facility is None else facility
        event = stamp(record, content, facility=whose, business_key=key, origin=origin, keyring=context.keyring, **more)
        self.events.append((record, event))


def tell_priority(plan: Plan, scope: Scope, content: Mapping[str, Any], notes: Notes) -> None:
    """That the priority of an order or a slip is a word that nobody else knows: it is kept, and goes as routine."""
    stated = content.get("priority", "")
    if not stated or PRIORITIES.fullmatch(stated):
        return
    rule = next(rule for rule in plan if rule.name == "priority")
    found = place_of(stated, rule, scope)
    first = rule.places[0]  # where a table of the profile gives a word that is none either
    notes.warn("PRIORITY_UNKNOWN", notes.message.path(*found) if found else f"{first.segment}-{first.field}")


def tell_nobody(reading: Reading, section: str, name: str, scope: Scope, content: Mapping[str, Any], notes: Notes) -> None:
    """That nobody in the directory stands for the facility which an order or a result is for: it is taken, and waits until that
    changes. What is for its own sender goes nowhere."""
    code = content.get(name, "")
    if not code or code == content.get("ma_cskcb") or heir(code, reading.received_on):
        return
    rule = next(rule for rule in reading.dialect.plans[section] if rule.name == name)
    found, first = place_of(code, rule, scope), rule.places[0]
    notes.warn("RECEIVER_UNKNOWN", notes.message.path(*found) if found else f"{first.segment}-{first.field}")


def tell_left_early(plan: Plan, scope: Scope, content: Mapping[str, Any], notes: Notes) -> None:
    """That NGAY_RA is before NGAY_VAO, or stands without it where a visit begins; of a day alone nobody knows the hour, and of what
    was cleared or could not be read nothing."""
    came, left = content.get("ngay_vao", ""), content.get("ngay_ra", "")
    early = left < came and (left[:8] < came[:8] or left[8:] != _NO_HOUR)
    stated = came or "ngay_vao" in notes.unparsed or "ngay_vao" in notes.cleared
    if left and (early or (not stated and content.get("action") == "OPENED")):
        found = place_of(left, next(rule for rule in plan if rule.name == "ngay_ra"), scope)
        notes.warn("DATES_CONTRADICT", notes.message.path(*found) if found else "PV1-45")


def tell_beside(plan: Plan, names: Iterable[str], scope: Scope, content: Mapping[str, Any], notes: Notes) -> None:
    """That a time stands one field beside its own, which is empty, and where no rule reads it, but as a specimen or a note."""
    for name in names:
        if name in content:
            continue
        key, own, beside = _BESIDE[name]
        segment = scope.get(key)
        if segment is None or segment.field(own):
            continue
        for field in beside:
            if stamped(segment.get(field).removesuffix("+0700")) and not _reads(plan, key, field):
                notes.warn("FIELDS_SHIFTED", notes.message.path(segment, field))


def keep_words(plan: Plan, scope: Scope, content: dict[str, Any], notes: Notes) -> None:
    """Words of a specimen (`specimen_name`) stay beside the code that their own segment states: beside that of another segment they
    would name another tube. Such words are told, kept beside the event and passed on to nobody."""
    kind, name = content.get("specimen_type"), content.get("specimen_name")
    if not kind or not name:
        return
    rules = {rule.name: rule for rule in plan}
    found = place_of(name, rules["specimen_name"], scope)
    if found is None or place_of(kind, rules["specimen_type"], scope) is None:
        return
    segment, field = found
    if place_of(kind, rules["specimen_type"], {segment.name: segment}) is None:
        del content["specimen_name"]
        notes.unreadable("FIELD_REPEATS", segment, field, "specimen_name", name)


def _reads(plan: Plan, segment: str, field: int) -> bool:
    rules = (rule for rule in plan if rule.name not in _NO_TIMES)
    return any((place.segment, place.field) == (segment, field) for rule in rules for place in rule.places)
