"""One visit: check-in, orders, results, prescriptions, charges, a follow-up slip, discharge; and the claim.

How many of each: load.md §4. An outpatient makes 10 messages, an inpatient 45.
"""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from hub.week.flaws import CORRECTED, REASONS, about_the_person, drawn, signed
from hub.week.places import BY_CODE, Place
from hub.week.sends import Expect, SlipPlan, Story
from hub.week.writing import HIV, ILLNESSES, TESTS, Draft, Person, diagnosis, patient, result_lines, segment, stamp, visit_of

PREDICTED: Final = (*["F"] * 14, "PF", "PF", "PF", "PF", "FC", "FX")
"""What a laboratory says of one result, one letter a message: final; preliminary, then final; corrected; withdrawn."""


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody at a place.

    key:      MA_LK.
    quiet:    no results: who gets those would depend on when what is said of a slip becomes known.
    category: MA_DOITUONG_KCB; 1.3 is who comes with a referral.
    """

    place: Place
    person: Person
    key: str
    came: datetime
    inpatient: bool
    quiet: bool = False
    category: str = ""

    @property
    def left(self) -> datetime:
        return self.came + (timedelta(days=2, hours=5) if self.inpatient else timedelta(hours=3))

    @property
    def pid(self) -> str:
        return patient(self.place, self.person, self.key)

    def pv1(self, *, over: bool = False, disposition: str = "") -> str:
        kind = "I" if self.inpatient else "O"
        return visit_of(
            self.place,
            self.key,
            kind,
            came=self.came,
            left=self.left if over else None,
            disposition=disposition,
            category=self.category,
        )

    def draft(self, kind: str, at: datetime, *body: str, record: str, **more: object) -> Draft:
        return Draft(self.place, kind, at, body, (record,), **more)  # type: ignore[arg-type]  # the fields of Draft


def sends(place: Place, kind: str) -> bool:
    """Whether this system has that kind of message at all."""
    return not place.only or kind[:3] in place.only


def live(chance: random.Random, visit: Visit, story: Story, follow_up: float) -> None:
    """Everything of a visit but its referral.  follow_up: the share of visits that end with a slip to come again."""
    check_in(visit, story)
    place, inside = visit.place, visit.left - visit.came
    if sends(place, "ORM") and not visit.quiet:
        _tests(chance, visit, story, 10 if visit.inpatient else 2)
    for number in range(7 if visit.inpatient else 1):
        if sends(place, "RDE"):
            _prescription(visit, story, number, visit.came + inside * (0.5 + number / 20))
    for number in range(8 if visit.inpatient else 1 + (chance.random() < 0.8)):
        if sends(place, "DFT"):
            _charge(chance, visit, story, number, visit.came + inside * (0.55 + number / 25))
    for number in range(5 if visit.inpatient else 1):
        story.say(
            visit.draft(
                "ADT^A08",
                visit.came + inside * (0.6 + number / 20),
                f"EVN|A08|{stamp(visit.came)}",
                visit.pid,
                visit.pv1(),
                record="Encounter",
            )
        )
    if chance.random() < follow_up and sends(place, "SIU"):
        _follow_up(chance, visit, story)
    discharge(visit, story)


def check_in(visit: Visit, story: Story, *, slip: tuple[str, str] | None = None) -> None:
    """ADT^A04 or A01.  slip: issuer and number of the referral that somebody brings along."""
    kind = "ADT^A01" if visit.inpatient else "ADT^A04"
    insured = []
    if slip:
        insured = [
            segment("IN1", {1: "1", 2: "BHYT", 3: "VSS", 36: visit.person.card}),
            segment("ZIN", {1: "1", 10: slip[0], 11: slip[1]}),
        ]
    body = (f"EVN|{kind[4:]}|{stamp(visit.came)}", visit.pid, visit.pv1(), *insured)
    story.say(visit.draft(kind, visit.came, *body, record="Encounter"))


def discharge(visit: Visit, story: Story) -> None:
    """ADT^A03."""
    body = (f"EVN|A03|{stamp(visit.left)}", visit.pid, visit.pv1(over=True, disposition="1"))
    story.say(visit.draft("ADT^A03", visit.left, *body, record="Encounter"))


def _tests(chance: random.Random, visit: Visit, story: Story, orders: int) -> None:
    """Orders and their results, 1.2 for each. Every fourth one of a place with a laboratory goes there, and comes back to whoever ordered."""
    place = visit.place
    inside = visit.left - visit.came
    for number in range(orders):
        test = chance.choice(TESTS)
        at = visit.came + inside * (0.1 + number / (3 * orders))
        placer = f"{visit.key}.{number}"
        away = place.laboratory if chance.random() < 0.25 else ""
        numbers = f"{placer}^{place.code}" if away else placer
        service = f"{test[0]}^{test[1]}^VN-DVKT"
        order = (
            segment("ORC", {1: "NW", 2: numbers, 9: stamp(at)}),
            segment("OBR", {1: "1", 2: numbers, 4: service, 7: stamp(at)}),
        )
        story.say(visit.draft("ORM^O01", at, visit.pid, visit.pv1(), *order, record="LabOrder", receiver=away or "HUB"))
        if away:
            story.expect(away, "LabOrder", "", placer)
        _results(chance, visit, story, test, placer, away, at + inside * 0.2, chance.choice(PREDICTED))


def _results(
    chance: random.Random, visit: Visit, story: Story, test: tuple[str, str, str, str, int, int, str, str], placer: str, away: str, at: datetime, said: str
) -> None:  # fmt: skip
    source, filler = BY_CODE[away] if away else visit.place, f"XN{placer}"
    for number, status in enumerate(said):
        stated = at + timedelta(minutes=45 * number)
        named = f"{placer}^{visit.place.code}" if away and chance.random() < 0.7 else placer  # else found by its numbers
        service = f"{test[0]}^{test[1]}^VN-DVKT"
        body = (
            patient(source, visit.person, visit.key),
            segment("ORC", {1: "RE", 2: named, 3: filler}),
            segment("OBR", {1: "1", 2: named, 3: filler, 4: service, 7: stamp(at), 22: stamp(stated), 25: status}),
            result_lines(chance, test, status),
        )
        story.say(Draft(source, "ORU^R01", stated, body, ("LabResult",), single=len(said) == 1))
        if away:
            story.expect(visit.place.code, "LabResult", status, filler)


def _prescription(visit: Visit, story: Story, number: int, at: datetime) -> None:
    kind = "RDE^O11" if visit.place.version >= "2.4" else "RDE^O01"
    code = f"{visit.place.code}{(visit.person.number * 8 + number) % 16**7:07x}-c"
    body = (
        visit.pid,
        visit.pv1(),
        segment("ORC", {1: "NW", 2: f"D{visit.key}.{number}", 9: stamp(at)}),
        segment("RXE", {2: "40.170^Amlodipin 5mg^VN-THUOC", 3: "1", 5: "viên", 6: "viên nén", 10: "28", 11: "viên", 15: code}),
        "RXR|1.01^Uống",
    )
    story.say(visit.draft(kind, at, *body, record="Prescription"))


def _charge(chance: random.Random, visit: Visit, story: Story, number: int, at: datetime) -> None:
    price = chance.choice((22_400, 39_900, 42_100, 105_300))
    line = {
        1: "1",
        2: f"{visit.key}.{number}",
        4: f"{at:%Y%m%d%H%M}",
        6: "CG",
        7: "23.0075.1494^Định lượng Glucose^VN-DVKT",
        10: "1",
        11: str(price),
        12: str(price),
    }
    body = (
        f"EVN|P03|{stamp(at)}",
        visit.pid,
        visit.pv1(),
        segment("FT1", line),
        segment("ZFT", {1: "1", 2: "1", 3: "100", 4: "100", 5: "80", 6: str(price)}),
    )
    story.say(visit.draft("DFT^P03", at, *body, record="Charge"))


# --- follow-up slips --------------------------------------------------------------------------------------------------

_TALES: Final = {"booked": 74, "moved": 14, "called off": 5, "without a number": 4, "of HIV": 3}


def _follow_up(chance: random.Random, visit: Visit, story: Story) -> None:
    """SIU: booked, some moved or called off; some lack their number; those that tell of HIV go to nobody."""
    [tale] = chance.choices(list(_TALES), list(_TALES.values()))
    special = tale in ("without a number", "of HIV") or not visit.person.known
    flaw = "" if special else drawn(chance)
    slip = "" if tale == "without a number" else f"HK-{visit.key}"
    illness = HIV if tale == "of HIV" else chance.choice(ILLNESSES)
    about = f"{visit.place.code}/{slip or visit.key}"
    last = visit.left + timedelta(days=21 if tale == "moved" else 14)

    def statement(trigger: str, at: datetime, day: datetime, flaw: str) -> Draft:
        body = (
            segment("SCH", {2: slip, 6: "TK", 7: "TK^Tái khám", 11: f"^^^{day:%Y%m%d}0800"}),
            *about_the_person(visit.place, visit.person, visit.key, flaw),
            visit.pv1(over=True),
            diagnosis(illness),
            *signed(flaw, 1),
            "RGS|1",
            "AIP|1||000123/HNO-CCHN",
        )
        single = tale not in ("moved", "called off")
        return visit.draft(f"SIU^{trigger}", at, *body, record="FollowUp", single=single, keyed=bool(slip))

    first = visit.left - timedelta(minutes=20)
    story.say(statement("S12", first, visit.left + timedelta(days=14), flaw))
    if tale in ("moved", "called off"):
        story.say(statement("S13" if tale == "moved" else "S15", first + timedelta(hours=4), last, flaw))
    taken = Expect("portal", "FollowUp", "taken", about)
    if tale == "called off":
        story.optional.add(taken)
        return
    reason = REASONS.get(flaw, "")
    if not visit.person.known:
        reason = "IDENTITY_MISSING"
    reason = {"without a number": "FIELD_MISSING", "of HIV": "nobody-held-sensitive"}.get(tale, reason)
    end = "held" if tale == "of HIV" else "waiting" if reason else "delivered"
    said = flaw or ("nobody's numbers" if reason == "IDENTITY_MISSING" else tale) if reason else "right"
    story.slips.append(SlipPlan(about, "FollowUp", "portal", said, end, reason))
    if not reason:
        story.expected[taken] += 1
    elif flaw and chance.random() < CORRECTED:
        story.corrected[about] = statement("S14", first + timedelta(days=2), last, "")
        story.mended[taken] += 1
