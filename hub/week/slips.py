"""The tales of referral slips: who says what of each, and who therefore has to get what, how often.

Written from what a slip means, not from how the hub routes: it is what the hub is measured by.
"""

import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from hub.week.flaws import CORRECTED, REASONS, about_the_person, drawn, signed
from hub.week.places import BY_CODE, CLOSED, MERGED, SUCCESSOR, UNKNOWN, Place
from hub.week.sends import Expect, SlipPlan, Story
from hub.week.visits import Visit, check_in, discharge
from hub.week.writing import HIV, ILLNESSES, Draft, diagnosis, noted, patient, segment, stamp

TALES: Final = {
    "arrived": 30,
    "arrived, no number told": 8,
    "accepted": 8,
    "nothing more": 6,
    "changed": 5,
    "moved to another": 4,
    "cancelled": 5,
    "rejected": 5,
    "sent on": 5,
    "never came": 8,
    "used twice": 3,
    "arrived in error": 2,
    "receiver mistyped": 4,
    "receiver closed": 2,
    "receiver merged": 4,
    "of HIV": 2,
    "without a number": 2,
    "nobody's numbers": 3,
}
"""What happens to a slip, and how many of a hundred or so it happens to."""

PAYER: Final = "vss"
"""Whose insured all of them are; it hears of every slip but those of HIV, on a topic of its own."""

FOLLOWED: Final = frozenset({"arrived", "arrived, no number told", "accepted", "nothing more", "changed"})
"""Where the receiver is certain from beginning to end: results of the person go with the slip."""


_TOLD: Final = (
    ("VN-DHLS", "Mệt, đau đầu"),
    ("VN-QTBL", "Bệnh ba ngày"),
    ("VN-TTKQ", "Xét nghiệm như trên"),
    ("VN-TTCT", "Tỉnh"),
    ("VN-HDT", "Khám chuyên khoa"),
    ("VN-PTVC", "Tự túc"),
)
_FLAWED_ANYWAY: Final = {
    "without a number": "FIELD_MISSING",
    "nobody's numbers": "IDENTITY_MISSING",
    "of HIV": "",
    "receiver closed": "RECEIVER_UNKNOWN",
}


@dataclass(frozen=True, slots=True)
class _Slip:
    """A slip of one visit, while its tale is told."""

    visit: Visit
    number: str
    receiver: str
    illness: tuple[str, str]
    day: datetime
    last: datetime
    single: bool
    flaw: str

    @property
    def about(self) -> str:
        return f"{self.visit.place.code}/{self.number or self.visit.key}"

    def statement(self, trigger: str, at: datetime, receiver: str = "", priority: str = "R") -> Draft:
        """REF."""
        to = receiver or self.receiver
        issuer = self.visit.place
        body = (
            segment(
                "RF1",
                {
                    1: "P",
                    2: priority,
                    6: self.number,
                    7: f"{self.day:%Y%m%d}",
                    8: f"{self.last:%Y%m%d}",
                    10: "1",
                    11: f"SCT-{self.visit.key}~HS-{self.visit.key}^SO_HOSO",
                },
            ),
            f"PRD|RP||||||{issuer.code}^FI~000123/HNO-CCHN^LN",
            f"PRD|RT||||||{to}^FI",
            *about_the_person(issuer, self.visit.person, self.visit.key, self.flaw),
            diagnosis(self.illness),
            *(noted(number, code, text) for number, (code, text) in enumerate(_TOLD, 1)),
            *signed(self.flaw, len(_TOLD) + 1),
            self.visit.pv1(over=True, disposition="2"),
        )
        return Draft(issuer, f"REF^{trigger}", at, body, ("Referral",), receiver=to, single=self.single, keyed=bool(self.number))

    def answer(self, by: Place, word: str, at: datetime, onward: str = "") -> Draft:
        """RRI of the receiver: A or R, perhaps with where to go instead."""
        issuer = self.visit.place.code
        body = (
            f"MSA|AA|{self.number}"[:28],
            segment(
                "RF1",
                {
                    1: word,
                    2: "R",
                    6: f"{self.number}^{issuer}",
                    7: f"{self.day:%Y%m%d}",
                    8: f"{self.last:%Y%m%d}",
                    10: "^Hết giường" if word == "R" else "",
                },
            ),
            f"PRD|RP||||||{issuer}^FI",
            f"PRD|RT||||||{by.code}^FI",
            *([f"PRD|RT||||||{onward}^FI"] if onward else []),
            patient(by, self.visit.person, ""),
        )
        return Draft(by, "RRI^I12", at, body, ("Referral",), receiver=issuer)


def refer(chance: random.Random, visit: Visit, story: Story, tale: str) -> None:
    """The slip that ends a visit, and all that follows from it. What the visit told before (its results) is there already."""
    issuer = visit.place
    receiver = {"receiver mistyped": UNKNOWN, "receiver closed": CLOSED, "receiver merged": MERGED}.get(tale, issuer.refers_to[0])
    day = visit.left - timedelta(minutes=30)
    last = day + timedelta(days=0 if tale == "never came" else 28)
    slip = _Slip(
        visit,
        "" if tale == "without a number" else f"CT-{visit.key}",
        receiver,
        HIV if tale == "of HIV" else chance.choice(ILLNESSES),
        day,
        last,
        single=tale not in ("changed", "moved to another", "cancelled", "sent on", "rejected"),
        flaw="unsigned" if tale == "receiver mistyped" else drawn(chance) if tale not in _FLAWED_ANYWAY else "",
    )
    story.say(slip.statement("I12", day))
    story.slips.append(_plan(slip, tale))
    if receiver not in (UNKNOWN, CLOSED):
        story.expect(SUCCESSOR if receiver == MERGED else receiver, "Referral", "ISSUED", slip.about)
        if tale != "of HIV":
            story.expect(PAYER, "Referral", "ISSUED", slip.about)
    elif tale == "receiver mistyped":
        story.mended.update(Expect(one, "Referral", "ISSUED", slip.about) for one in (issuer.refers_to[0], PAYER))
    _go_on(chance, slip, story, tale)
    if tale in FOLLOWED:
        _with_results(story, issuer.code, slip.receiver)
    _to_portal(chance, slip, story, tale)


def _plan(slip: _Slip, tale: str) -> SlipPlan:
    ends = {
        "nothing more": "delivered", "receiver merged": "delivered", "of HIV": "delivered", "without a number": "delivered",
        "nobody's numbers": "delivered", "accepted": "answered", "rejected": "answered", "moved to another": "answered",
        "changed": "arrived", "arrived": "arrived", "arrived, no number told": "arrived", "sent on": "arrived", "used twice": "arrived",
        "arrived in error": "delivered", "cancelled": "cancelled", "never came": "expired",
        "receiver mistyped": "waiting", "receiver closed": "waiting",
    }  # fmt: skip
    named = {"receiver merged": SUCCESSOR, "receiver closed": "", "moved to another": _other(slip), "sent on": _other(slip)}
    mistyped = tale == "receiver mistyped"
    usual = slip.visit.place.refers_to[0]
    reason = "RECEIVER_UNKNOWN" if ends[tale] == "waiting" else ""
    return SlipPlan(
        slip.about, "Referral", "facility", tale, ends[tale], reason, named.get(tale, usual), usual if mistyped else ""
    )


def _to_portal(chance: random.Random, slip: _Slip, story: Story, tale: str) -> None:
    """What the citizen's app gets: the newest statement, unless something is wrong with it; then its correction, if there comes one."""
    taken = Expect("portal", "Referral", "taken", slip.about)
    reason = _FLAWED_ANYWAY.get(tale) or ("RECEIVER_UNKNOWN" if tale == "receiver mistyped" else REASONS.get(slip.flaw, ""))
    if tale == "of HIV":
        return
    if tale == "cancelled":
        story.optional.add(taken)  # it may have gone before it was cancelled, or not
        return
    story.slips.append(
        SlipPlan(
            slip.about,
            "Referral",
            "portal",
            slip.flaw or tale if reason else "right",
            "waiting" if reason else "delivered",
            reason,
        )
    )
    if not reason:
        story.expected[taken] += 1
    elif slip.flaw and tale != "receiver mistyped" and chance.random() < CORRECTED:
        at = max(one.draft.stated for one in story.messages) + timedelta(days=1)
        to = _other(slip) if tale == "moved to another" else slip.receiver
        priority = "S" if tale == "changed" else "R"
        story.corrected[slip.about] = replace(slip, flaw="").statement("I13", at, receiver=to, priority=priority)
        told = [SUCCESSOR if to == MERGED else to, *([_other(slip)] if tale == "sent on" else []), PAYER]
        story.mended.update([taken, *(Expect(one, "Referral", "MODIFIED", slip.about) for one in told)])


def _other(slip: _Slip) -> str:
    """A hospital that is neither issuer nor first receiver."""
    among = ("01004", "01920", "01912")
    return next(code for code in among if code not in (slip.visit.place.code, slip.receiver))


def _both(story: Story, facility: str, action: str, slip: _Slip) -> None:
    """A facility gets it, and the payer."""
    for recipient in (facility, PAYER):
        story.expect(recipient, "Referral", action, slip.about)


def _go_on(chance: random.Random, slip: _Slip, story: Story, tale: str) -> None:
    issuer, day = slip.visit.place.code, slip.day
    after = day + timedelta(hours=2)
    receiver = BY_CODE.get(slip.receiver)
    if tale == "changed":
        story.say(slip.statement("I13", after, priority="S"))
        _both(story, slip.receiver, "MODIFIED", slip)
    elif tale == "cancelled":
        story.say(slip.statement("I14", after))
        _both(story, slip.receiver, "CANCELLED", slip)
    elif tale == "moved to another":
        other = _other(slip)
        story.say(slip.statement("I13", after, receiver=other))
        _both(story, other, "MODIFIED", slip)
        story.expect(slip.receiver, "Referral", "WITHDRAWN", slip.about)
        receiver = BY_CODE[other]
    elif tale == "never came":
        _both(story, issuer, "EXPIRED", slip)
        story.expect(slip.receiver, "Referral", "EXPIRED", slip.about)
    elif tale in ("rejected", "sent on") and receiver:
        onward = _other(slip) if tale == "sent on" else ""
        story.say(slip.answer(receiver, "R", after, onward))
        _both(story, issuer, "REJECTED", slip)
        if onward:
            story.expect(onward, "Referral", "ISSUED", slip.about)
            receiver = BY_CODE[onward]
    if receiver is None:
        return
    if tale in ("arrived", "accepted", "moved to another", "sent on", "used twice"):
        story.say(slip.answer(receiver, "A", after + timedelta(hours=1)))
        _both(story, issuer, "ACCEPTED", slip)
    if tale in ("arrived", "arrived, no number told", "changed", "sent on", "used twice", "arrived in error"):
        _arrive(chance, slip, story, receiver, tale)


def _arrive(chance: random.Random, slip: _Slip, story: Story, receiver: Place, tale: str) -> None:
    """Check-in at the receiver: with the slip, or by who they are."""
    issuer = slip.visit.place.code
    came = slip.day + timedelta(hours=chance.randint(4, 30))
    for number in range(2 if tale == "used twice" else 1):
        visit = replace(
            slip.visit,
            place=receiver,
            key=f"{slip.visit.key}.R{number}",
            category="1.3",
            came=came + timedelta(hours=6 * number),
            inpatient=False,
        )
        check_in(visit, story, slip=None if tale == "arrived, no number told" else (issuer, slip.number))
        _both(story, issuer, "ARRIVED", slip)
        if tale == "arrived in error":
            at = visit.came + timedelta(minutes=20)
            story.say(visit.draft("ADT^A11", at, f"EVN|A11|{stamp(at)}", visit.pid, visit.pv1(), record="Encounter"))
            _both(story, issuer, "ARRIVAL_CANCELLED", slip)
        else:
            discharge(visit, story)
    if tale == "used twice":
        _both(story, issuer, "USED_AGAIN", slip)
        story.expect(receiver.code, "Referral", "USED_AGAIN", slip.about)


def _with_results(story: Story, issuer: str, receiver: str) -> None:
    """What is final, corrected or withdrawn of the person's results, the receiver gets too; its own it has."""
    for one in list(story.messages):
        if one.draft.kind != "ORU^R01" or one.draft.place.code == receiver:
            continue
        service = next(line for line in one.draft.body if line.startswith("OBR")).split("|")
        filler, status = service[3], service[25]
        if status in ("F", "C", "X"):
            story.expect(receiver, "LabResult", status, filler)
