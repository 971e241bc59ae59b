"""The accounts of the week: every message, slip and delivery of the plan against what was seen of it; pure.

Two witnesses are heard: the hub's journal for the border, and the recipients' own lists for what reached them.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

from hub.week.sends import Expect, Send, SlipPlan, Week
from hub.week.slips import PAYER

_NAMELESS: Final = frozenset({"FRAME_UNFINISHED", "FORMAT_UNKNOWN"})  # no control id can be read, or it is only half a message
_SHOWN: Final = 10


class Said(NamedTuple):
    """What the sender knows of one message: how often it was answered, how often it got no answer, and the last id it was told."""

    answered: int
    unanswered: int
    message_id: str


class Row(NamedTuple):
    """One message as the journal has it.  code: of the first problem that ended it; records: of its events, short names."""

    message_id: str
    facility: str
    control_id: str
    format: str
    verdict: str
    code: str
    records: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """Messages of one fate: how many were sent, how many of them were found with that fate, and what is wrong with the others."""

    fate: str
    sent: int
    found: int
    odd: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SlipLine:
    """Slips of one tale: how they should end, and how they did."""

    record: str
    partner: str
    tale: str
    end: str
    slips: int
    found: int
    odd: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Arrival:
    """Of so many slips with a recipient how many reached it by themselves, and how many with the work list mended."""

    partner: str
    slips: int
    alone: int
    mended: int


@dataclass(frozen=True, slots=True)
class Accounts:
    """What the week came to. Everything is accounted for when nothing is missing, too much or odd."""

    messages: Sequence[Line]
    slips: Sequence[SlipLine]
    expected: Mapping[str, int]
    received: Mapping[str, int]
    missing: Sequence[str]
    surplus: Sequence[str]
    strangers: Sequence[str]
    arrivals: Sequence[Arrival]

    @property
    def odd(self) -> list[str]:
        """What of messages and slips was found otherwise than it had to be."""
        return [said for line in self.messages for said in line.odd] + [said for slip in self.slips for said in slip.odd]

    @property
    def whole(self) -> bool:
        return not (self.odd or self.missing or self.surplus or self.strangers)

    def as_dict(self) -> dict[str, Any]:
        return {"whole": self.whole} | asdict(self)


# --- messages at the border -------------------------------------------------------------------------------------------


def border(sends: Sequence[Send], said: Mapping[int, Said], rows: Iterable[Row]) -> tuple[list[Line], list[str]]:
    """Every message sent against the journal: found as often as it was answered, with the fate that it had to have.

    A send that got no answer may have been taken all the same, so it may be found once more; it need not.
    Returns: a line a fate; and what stands in the journal that nobody sent.
    """
    by_name: defaultdict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        by_name[_name_of_row(row)].append(row)
    groups: defaultdict[tuple[str, ...], list[Send]] = defaultdict(list)
    for send in sends:
        groups[_name_of_send(send, said)].append(send)
    lines: dict[str, tuple[int, int, list[str]]] = {}
    for name, group in groups.items():
        found = by_name.pop(name, [])
        fate = group[0].fate
        right = [row for row in found if (row.verdict, row.code, row.records) == (fate.verdict, fate.code, fate.records)]
        answered = sum(said[one.number].answered for one in group)
        unanswered = sum(said[one.number].unanswered for one in group)
        label = group[0].fault or ("right, XML" if group[0].kind == "GIAMDINHHS" else "right")
        label = f"{label}: {fate.verdict}{' ' + fate.code if fate.code else ''}"
        sent, seen, odd = lines.setdefault(label, (0, 0, []))
        if len(right) != len(found) or not answered <= len(right) <= answered + unanswered:
            other = Counter(f"{row.verdict} {row.code} {'+'.join(row.records)}" for row in found)
            odd.append(f"{' '.join(name)} ({group[0].kind}): {answered} answered, {unanswered} not; found {dict(other)}")
        lines[label] = (sent + len(group), seen + min(len(right), len(group)), odd)
    spare = sum(said[one.number].unanswered for one in sends if one.kind == "GIAMDINHHS")  # one has no name before it is answered
    strangers = [" ".join(name) for name in by_name]
    nameless = [name for name in by_name if name[0] == "xml"]
    if len(nameless) <= spare:
        strangers = [" ".join(name) for name in by_name if name[0] != "xml"]
    return [Line(label, sent, seen, tuple(odd)) for label, (sent, seen, odd) in sorted(lines.items())], strangers


def _name_of_row(row: Row) -> tuple[str, ...]:
    if row.code in _NAMELESS:
        return ("without a name", row.code)
    return ("xml", row.message_id) if row.format == "xml" else (row.facility, row.control_id)


def _name_of_send(send: Send, said: Mapping[int, Said]) -> tuple[str, ...]:
    if send.fate.code in _NAMELESS:
        return ("without a name", send.fate.code)
    return ("xml", said[send.number].message_id) if send.kind == "GIAMDINHHS" else (send.lane[0], send.control_id)


# --- what recipients got ----------------------------------------------------------------------------------------------


def compare(expected: Mapping[Expect, int], got: Mapping[Expect, int]) -> tuple[list[str], list[str]]:
    """What somebody should have got and did not, and what somebody got too often or should not have got at all."""
    missing = [f"{_told(one)}: {got.get(one, 0)} of {times}" for one, times in expected.items() if got.get(one, 0) < times]
    surplus = [f"{_told(one)}: {times}, not {expected.get(one, 0)}" for one, times in got.items() if times > expected.get(one, 0)]
    return missing, surplus


def _told(one: Expect) -> str:
    return f"{one.recipient} {one.record} {one.action} {one.about}".replace("  ", " ")


# --- slips ------------------------------------------------------------------------------------------------------------


def slip_lines(
    slips: Sequence[SlipPlan], got: Mapping[Expect, int], waiting: Mapping[tuple[str, str], str], held: Collection[str]
) -> list[SlipLine]:
    """Each slip where it was seen last: with its receiver, answered, arrived, expired, cancelled, held, or in the work list.

    waiting: partner and slip to the reason why it is in the work list. held: slips that are for nobody, by the rule for sensitive ones.
    """
    seen: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for one, times in got.items():
        if one.record == "Referral" and one.recipient not in ("portal", PAYER):
            seen[one.about][one.action] += times
    lines: dict[tuple[str, str, str, str], tuple[int, int, list[str]]] = {}
    for slip in slips:
        waits = waiting.get((slip.partner, slip.about), "")
        if waits:
            end, reason = "waiting", waits
        elif slip.about in held:
            end, reason = "held", slip.reason
        elif slip.partner == "portal":
            end, reason = ("delivered" if got.get(Expect("portal", slip.record, "taken", slip.about)) else "lost"), ""
        else:
            end, reason = _end(seen[slip.about]), ""
        should = f"{slip.end}, {slip.reason}" if slip.reason else slip.end
        key = (slip.record, slip.partner, slip.tale, should)
        count, found, odd = lines.setdefault(key, (0, 0, []))
        as_planned = (end, reason) == (slip.end, slip.reason)
        if not as_planned:
            odd.append(f"{slip.about} ({slip.partner}): {end} {reason}".rstrip())
        lines[key] = (count + 1, found + as_planned, odd)
    return [SlipLine(*key, count, found, tuple(odd)) for key, (count, found, odd) in sorted(lines.items())]


def _end(said: Counter[str]) -> str:
    if said["ARRIVED"] > said["ARRIVAL_CANCELLED"]:
        return "arrived"
    for action, end in (("EXPIRED", "expired"), ("CANCELLED", "cancelled"), ("ACCEPTED", "answered"), ("REJECTED", "answered")):
        if said[action]:
            return end
    return "delivered" if said.total() else "lost"


def arrivals(slips: Sequence[SlipPlan], alone: Mapping[Expect, int], mended: Mapping[Expect, int]) -> list[Arrival]:
    """How many slips reached the facility they are for, and the portal.  alone, mended: what was got before and after."""
    found = []
    for partner, record in (("facility", "Referral"), ("portal", "Referral"), ("portal", "FollowUp")):
        # What stays in the work list counts: it did not arrive. What a rule holds is meant for nobody.
        of = [slip for slip in slips if (slip.partner, slip.record) == (partner, record) and slip.end != "held"]
        reached = [sum(_has_it(slip, got) for slip in of) for got in (alone, mended)]
        found.append(Arrival(f"{record}, {partner}", len(of), *reached))
    return found


def _has_it(slip: SlipPlan, got: Mapping[Expect, int]) -> bool:
    recipient, actions = (slip.receiver, ("ISSUED", "MODIFIED")) if slip.partner == "facility" else ("portal", ("taken",))
    return any(got.get(Expect(recipient, slip.record, action, slip.about)) for action in actions)


def account(
    week: Week,
    said: Mapping[int, Said],
    rows: Iterable[Row],
    alone: Mapping[Expect, int],
    got: Mapping[Expect, int],
    waiting: Mapping[tuple[str, str], str],
    held: Collection[str],
    sent: Sequence[Send] = (),
) -> Accounts:
    """All of it.  alone: what was got before the work list was mended, got: in the end; waiting: before it was mended; sent: the corrections."""
    lines, strangers = border([*week.sends, *sent], said, rows)
    expected = week.expected + week.mended
    certain = {one: times for one, times in got.items() if one not in week.optional}
    missing, surplus = compare(expected, certain)
    return Accounts(
        lines,
        slip_lines(week.slips, alone, waiting, held),
        _by_record(expected),
        _by_record(certain),
        missing,
        surplus,
        strangers,
        arrivals(week.slips, alone, got),
    )


def _by_record(counts: Mapping[Expect, int]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for one, times in counts.items():
        found[f"{one.record} {one.action}".rstrip()] += times
    return dict(sorted(found.items()))
