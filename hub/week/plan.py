"""The whole week out of one seed: visits by the rhythm of the nation, then what goes wrong on the way to the hub."""

import random
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

from hub.contract.events import VIETNAM
from hub.simulate import claims_with_faults
from hub.week.places import DAYS, INPATIENT, PLACES, SUCCESSOR, VISITS_A_WEEK, moment
from hub.week.sends import Expect, Fate, Planned, Send, SlipPlan, Story, Week
from hub.week.slips import FOLLOWED, TALES, refer
from hub.week.visits import Visit, live
from hub.week.writing import Draft, Encode, WriteClaim, somebody, written

REST_DAYS: Final = 3
"""Days after the last visit in which slips are used or end: they have to be over as well."""
LANES: Final = 3
"""Links of a facility: messages of one visit go on one of them."""


@dataclass(frozen=True, slots=True)
class Rates:
    """How much of what goes wrong, as shares of all messages; slips as shares of visits (load.md §1: 1.9 % and 6.2 %).

    again:     said a second time: the same bytes, under a new MSH-10, at a new time, or twice at once on two links.
    late:      sent hours to days after it was stated.
    overtaken: sent after the next one of its visit.
    cut:       the link breaks in the middle of the frame; the sender sends the whole on a new one.
    headless, unsupported, tomorrow: a message without a readable MSH, of an unknown type, of an unknown version, before the right one.
    undeclared: UTF-8 is declared, and the text is in windows-1258.
    nameless:  share of visits without any number of the person.
    wrong_total, broken: share of claims whose total is wrong, and which are then corrected; whose XML breaks off, and which are sent again.
    """

    referral: float = 0.019
    follow_up: float = 0.062
    again: float = 0.25
    late: float = 0.02
    overtaken: float = 0.02
    cut: float = 0.002
    headless: float = 0.001
    unsupported: float = 0.002
    tomorrow: float = 0.001
    undeclared: float = 0.004
    nameless: float = 0.005
    wrong_total: float = 0.03
    broken: float = 0.005


def last_week(today: date) -> date:
    """The Monday of the last week that ended `REST_DAYS` ago or earlier."""
    ended = today - timedelta(days=REST_DAYS)
    return ended - timedelta(days=ended.weekday() + 7)


def plan(
    seed: int, scale: float, monday: date, encode: Encode, write_claim: WriteClaim, *, days: int = 7, rates: Rates | None = None
) -> Week:
    """Every message of so many days, by time, with its fate; and what everybody must get.

    scale:  share of the nation's traffic: 0.001 is 3,586 visits a week.
    monday: the first day. It has to lie in the past, as slips of it must have ended.
    """
    rates = rates or Rates()
    chance = random.Random(seed)  # noqa: S311  # repeatable, nothing secret
    share = sum(DAYS[day % 7] for day in range(days)) / 100
    visits = max(1, round(VISITS_A_WEEK * scale * share))
    midnight = datetime(monday.year, monday.month, monday.day, tzinfo=VIETNAM)
    claims = claims_with_faults(seed, visits, 26, {"X05 xml1.t_tongchi_bv off": rates.wrong_total}, facility_codes=["01004"])
    tales = _tales(chance)
    out = _Disorder(chance, rates, encode)
    expected: Counter[Expect] = Counter()
    mended: Counter[Expect] = Counter()
    optional: set[Expect] = set()
    slips: list[SlipPlan] = []
    for number in range(1, visits + 1):
        story = _story(chance, number, midnight, days, rates, tales)
        claim, fault, _ = next(claims)
        _bill(chance, story, claim, bool(fault), write_claim)
        out.add(number, story)
        expected += story.expected
        mended += story.mended
        optional |= story.optional
        slips += story.slips
    sends = sorted(out.sends, key=lambda one: (one.at, one.number))
    return Week(sends, out.corrected, expected, mended, optional, slips, visits)


def _tales(chance: random.Random) -> Iterator[str]:
    """Each tale as often as its weight says, all of them before one of them comes too often."""
    while True:
        deck = [tale for tale, weight in TALES.items() for _ in range(weight)]
        chance.shuffle(deck)
        yield from deck


def _story(chance: random.Random, number: int, midnight: datetime, days: int, rates: Rates, tales: Iterator[str]) -> Story:
    [place] = chance.choices(PLACES, [one.share for one in PLACES])
    person = somebody(chance, number)
    tale = next(tales) if chance.random() < rates.referral else ""
    if tale == "receiver merged" and place.code == SUCCESSOR:
        tale = "nothing more"  # a facility refers nobody to itself
    if tale == "nobody's numbers" or (not tale and chance.random() < rates.nameless):
        person = replace(person, known=False)
    came = moment(chance, midnight, days)
    # A commune station keeps nobody; who is sent on is an outpatient here, so that the slip's own days are over.
    inpatient = not tale and not place.only and chance.random() < INPATIENT
    visit = Visit(
        place, person, f"{place.code}.{came:%y%m%d}.{number:06d}", came, inpatient, quiet=bool(tale) and tale not in FOLLOWED
    )
    story = Story()
    live(chance, visit, story, rates.follow_up)
    if tale:
        refer(chance, visit, story, tale)
    return story


# --- claims -----------------------------------------------------------------------------------------------------------


def _bill(chance: random.Random, story: Story, claim: dict[str, Any], wrong: bool, write_claim: WriteClaim) -> None:
    """The claim of the visit, some hours after it; a wrong one is rejected, and comes again a day later, mended."""
    first = story.messages[0].draft
    visit_key = next(line for line in first.body if line.startswith("PV1")).split("|")[19]
    at = max(one.draft.stated for one in story.messages if one.draft.place is first.place) + timedelta(hours=chance.randint(1, 9))
    code = first.place.code
    claim = _of(claim, code, visit_key)
    about = f"{code}/{visit_key}"
    claim["ngaylap"] = f"{at:%Y%m%d}"
    story.claims.append((code, at, write_claim(claim)))
    story.expect(code, "ClaimDecision", "REJECTED" if wrong else "ACCEPTED", about)
    if wrong:
        after = at + timedelta(days=1)
        summary = claim["xml1"] | {"t_tongchi_bv": claim["xml1"]["t_tongchi_bv"] - Decimal(10_000)}
        story.claims.append((code, after, write_claim(claim | {"xml1": summary, "ngaylap": f"{after:%Y%m%d}"})))
        story.expect(code, "ClaimDecision", "ACCEPTED", about)


def _of(claim: dict[str, Any], code: str, key: str) -> dict[str, Any]:
    """The claim as one of that facility and encounter."""
    tables = {name: [row | {"ma_lk": key} for row in rows] for name, rows in claim.items() if isinstance(rows, list)}
    summary = claim["xml1"] | {"ma_lk": key, "ma_cskcb": code, "ma_dkbd": code}
    return claim | tables | {"ma_lk": key, "ma_cskcb": code, "xml1": summary}


# --- what goes wrong --------------------------------------------------------------------------------------------------


class _Disorder:
    """Stories to messages on links, with everything that happens to them there."""

    def __init__(self, chance: random.Random, rates: Rates, encode: Encode) -> None:
        self._chance, self._rates, self._encode = chance, rates, encode
        self.sends: list[Send] = []
        self.corrected: dict[str, Send] = {}
        self._count = 0

    def add(self, story_number: int, story: Story) -> None:
        messages = sorted(story.messages, key=lambda one: one.at)
        for one in messages:
            if self._happens(self._rates.late):
                one.at += timedelta(hours=self._chance.expovariate(1 / 10) + 1)
        for one, after in pairwise(messages):
            if self._happens(self._rates.overtaken):
                one.at, after.at = max(one.at, after.at), min(one.at, after.at)
        for one in messages:
            self._message(one, story_number % LANES)
        for code, at, envelope in story.claims:
            self._claim(code, at, envelope)
        for about, draft in story.corrected.items():
            control_id = self._control_id(draft)
            self._send(
                Planned(draft, draft.stated),
                story_number % LANES,
                control_id,
                self._bytes(draft, control_id),
                "first",
                "",
                Fate(records=draft.records),
            )
            self.corrected[about] = self.sends.pop()

    def _happens(self, rate: float) -> bool:
        return self._chance.random() < rate

    def _message(self, one: Planned, lane: int) -> None:
        draft, rates = one.draft, self._rates
        self._wrong_ones(one, lane)
        declared, charset = "", draft.place.charset
        if (
            draft.place.numbers == "typed"
            and charset == "utf-8"
            and draft.place.version == "2.5.1"
            and self._happens(rates.undeclared)
        ):
            declared, charset = "UNICODE UTF-8", "windows-1258"
        control_id = self._control_id(draft)
        raw = self._bytes(draft, control_id, declared=declared, charset=charset)
        fate = Fate(records=draft.records)
        fault = "" if draft.keyed else "no business key"
        if not _identified(draft):
            fault = "no number of the person"
        if declared:
            fault = "charset declared wrong"
        if draft.place.door == "mllp" and self._happens(rates.cut):
            self._send(one, lane, "", raw[: len(raw) // 2], "cut", "cut off", Fate("quarantined", "FRAME_UNFINISHED"))
        self._send(one, lane, control_id, raw, "first", fault, fate)
        if self._happens(rates.again):
            self._again(one, lane, control_id, raw, fault, fate)

    def _again(self, one: Planned, lane: int, control_id: str, raw: bytes, fault: str, fate: Fate) -> None:
        draft = one.draft
        ways = ["again", "again", "parallel"]
        if draft.keyed and fault != "charset declared wrong":
            ways += ["again-new-id"] + (["again-new-time"] if draft.single else [])
        how = self._chance.choice(ways)
        after = timedelta(seconds=1) if how == "parallel" else timedelta(minutes=self._chance.expovariate(1 / 60) + 1)
        if how in ("again-new-id", "again-new-time"):
            control_id = self._control_id(draft)
            draft = draft.later(one.at + after) if how == "again-new-time" else draft
            raw = self._bytes(draft, control_id)
        other = (lane + 1) % LANES if how == "parallel" else lane
        self._send(Planned(draft, one.at + after), other, control_id, raw, how, fault, fate)

    def _wrong_ones(self, one: Planned, lane: int) -> None:
        """What a system sends by mistake before the right one."""
        draft, rates = one.draft, self._rates
        if draft.place.door == "mllp" and self._happens(rates.headless):
            body = self._bytes(draft, "").partition(draft.place.end[:1].encode())[2]
            self._send(one, lane, "", body, "first", "no MSH", Fate("quarantined", "FORMAT_UNKNOWN"))
        how = "silent" if draft.place.silence else "first"
        if self._happens(rates.unsupported):
            wrong = replace(draft, kind="ZZZ^Z01")
            control_id = self._control_id(draft)
            self._send(
                one,
                lane,
                control_id,
                self._bytes(wrong, control_id),
                how,
                "type unknown",
                Fate("refused", "TYPE_UNSUPPORTED"),
                "ZZZ^Z01",
            )
        if self._happens(rates.tomorrow):
            control_id = self._control_id(draft)
            raw = self._bytes(draft, control_id, version="3.9")
            self._send(one, lane, control_id, raw, how, "version unknown", Fate("refused", "VERSION_UNSUPPORTED"))

    def _claim(self, code: str, at: datetime, envelope: bytes) -> None:
        fate, lane = Fate(records=("Claim",)), (code, LANES)
        if self._happens(self._rates.broken):
            self._put(
                at,
                lane,
                "GIAMDINHHS",
                "",
                envelope[: len(envelope) * 2 // 3],
                "http",
                "first",
                "XML breaks off",
                Fate("quarantined", "XML_MALFORMED"),
            )
        self._put(at, lane, "GIAMDINHHS", "", envelope, "http", "first", "", fate)
        if self._happens(self._rates.again):
            self._put(at + timedelta(minutes=30), lane, "GIAMDINHHS", "", envelope, "http", "again", "", fate)

    def _control_id(self, draft: Draft) -> str:
        self._count += 1
        return f"{draft.place.code}-{self._count:08d}"

    def _bytes(self, draft: Draft, control_id: str, *, version: str = "", declared: str = "", charset: str = "") -> bytes:
        place = replace(draft.place, charset=charset) if charset else draft.place
        return written(replace(draft, place=place), control_id, self._encode, version=version, declared=declared)

    def _send(
        self, one: Planned, lane: int, control_id: str, raw: bytes, how: str, fault: str, fate: Fate, kind: str = ""
    ) -> None:
        place = one.draft.place
        self._put(one.at, (place.code, lane), kind or one.draft.kind, control_id, raw, place.door, how, fault, fate)

    def _put(
        self,
        at: datetime,
        lane: tuple[str, int],
        kind: str,
        control_id: str,
        raw: bytes,
        door: str,
        how: str,
        fault: str,
        fate: Fate,
    ) -> None:
        number = len(self.sends) + len(self.corrected)
        self.sends.append(Send(number, at, lane, kind, control_id, zlib.compress(raw, 1), door, how, fault, fate))


def _identified(draft: Draft) -> bool:
    """Whether PID names a number."""
    fields = next(line for line in draft.body if line.startswith("PID")).split("|")
    return bool(fields[3] or fields[2])
