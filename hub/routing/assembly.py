"""Assembly: what was done in an encounter becomes one claim, where the facility does not bill (`seeds/assembly.csv`).

The case index keeps where the parts of an encounter stand. Its end, and every part that comes later, is followed some time
later by SETTLED on its own key, which reads the parts again and makes of them what they amount to by then. So whatever the
order in which parts come, and however often, the last claim is the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache, partial
from typing import Final

from hub.contract.billing import assembles, assembles_on, settle_time
from hub.contract.events import VIETNAM, Event, Keyring, derive, new_id, revision_rank
from hub.contract.records import Revision
from hub.contract.topics import topic_of, topics
from hub.routing import claim_rows
from hub.routing.amend import RULE as EDITED
from hub.routing.persons import contradict, person_refs
from hub.routing.slips import day_of
from hub.routing.stream import CaseRef, Due, Fact, Found, Gather, Known, Moment, Nobody, Output, Publish, Refuse, Stream

TOPIC: Final = "encounter.v1"
CLAIMS: Final = "claim.v1"
SETTLED: Final = "SETTLED"
RULE: Final = "claim-assembled"
LINE_REPLACED: Final = "claim-line-replaced"
PARTS: Final = frozenset(
    f"hie.{name}" for name in ("Encounter", "Charge", "LabOrder", "LabResult", "Prescription", "Document", "Referral", "FollowUp")
)
_COMPARED: Final = Keyring(b"compared, and not kept")
PARTS_MOST: Final = 2_000  # of one encounter: two months with thirty messages a day

# Facts: the state of a stay; where its parts are; its orders, and back from an order to its stay; results by their order;
# that somebody else than the hub made the claim; that a person gave up one of its parts.
_STAY: Final = "stay"
_PART: Final = "claim-part"
_ORDER: Final = "claim-order"
_OF_ORDER: Final = "order-of-stay"
_RESULT: Final = "claim-result"
_OWN: Final = "claim-own"
_GIVEN_UP: Final = "claim-given-up"
_KINDS: Final = frozenset({_STAY, _PART, _ORDER, _OF_ORDER, _RESULT, _OWN, _GIVEN_UP})

_OPEN: Final = "OPEN"
_STATES: Final = {"REOPENED": _OPEN, "CLOSED": "CLOSED", "CANCELLED": "CANCELLED"}
_SLIPS: Final = frozenset({"ISSUED", "MODIFIED", "CANCELLED"})  # of a referral: what its issuer says
_HIV: Final = "HIV"
_HELD: Final = frozenset({"hie.LabResult", "hie.Document", "hie.Referral", "hie.FollowUp"})


def part_of_claims(stream: Stream) -> Stream:
    """The stream, whose events are parts of claims besides."""

    def facts(event: Event, keyring: Keyring) -> list[Fact]:
        return [*stream.facts(event, keyring), *_facts(stream.record, event, keyring)]

    def lookups(event: Event, keyring: Keyring) -> list[CaseRef]:
        return [*stream.lookups(event, keyring), *_lookups(stream.record, event, keyring)]

    def decide(event: Event, known: Known, moment: Moment) -> list[Output]:
        if _is_settled(event):
            return _settle(event, known, moment)
        if not assembles(_facility(event)):
            return stream.decide(event, known, moment)
        own = tuple(fact for fact in moment.facts if fact.kind not in _KINDS)
        outputs = stream.decide(event, [fact for fact in known if fact.kind not in _KINDS], replace(moment, facts=own))
        return [*outputs, *_dues(event, known, moment)]

    def side(event: Event) -> str:
        return SETTLED.lower() if _is_settled(event) else stream.side(event)

    return replace(stream, facts=facts, lookups=lookups, decide=decide, side=side)


@cache
def parts_days() -> int:
    """How long a part can be read again, in days: what its topic keeps, and so the life of the fact that tells its place."""
    return min(topics()[topic_of(record)].retention_days for record in PARTS)


def own_claim(event: Event, _keyring: Keyring) -> list[CaseRef]:
    """Of an assembled claim: whether its facility has sent one itself meanwhile."""
    return [CaseRef(_OWN, event["meta"]["key"])] if event["meta"].get("rule") == RULE else []


def outdone(known: Known) -> bool:
    """Whether an assembled claim comes too late, by what `own_claim` found."""
    return any(fact.kind == _OWN for fact in known)


def own_claims(event: Event) -> list[Fact]:
    """That a claim was sent, and not assembled: from then on the hub assembles none for that encounter."""
    meta = event["meta"]
    if meta.get("rule") == RULE or not assembles(meta["facility"]):
        return []
    return [_fact(_OWN, meta["key"], "", revision_rank(meta["revision"]))]


def _fact(kind: str, ref: str, id_: str, rank: str, data: dict[str, str] | None = None) -> Fact:
    return Fact(kind, ref, id_, rank, data or {}, parts_days())


# --- parts ------------------------------------------------------------------------------------------------------------


def _facility(event: Event) -> str:
    """Whose encounter it is: a result is part of the orderer's."""
    return str(event.get("orderer") or event["meta"]["facility"])


def _is_part(record: str, event: Event) -> bool:
    meta = event["meta"]
    if not assembles(_facility(event)) or _is_settled(event):
        return False
    if record == "hie.Referral" and event.get("action") not in _SLIPS:
        return False
    if record == "hie.Document" and event["code"].get("code") not in claim_rows.NOTES:
        return False  # such as a scan, which is large and no row of any table
    return record not in _HELD or meta.get("sensitivity") != _HIV  # to nobody else, until consent is known to the hub


def _is_settled(event: Event) -> bool:
    return event.get("action") == SETTLED


def _stay_key(event: Event, keyring: Keyring) -> str:
    return keyring.key(_facility(event), event["ma_lk"], test=event["meta"]["test"]) if event.get("ma_lk") else ""


def _order_key(event: Event, keyring: Keyring) -> str:
    """The key of the order that a result answers, where the orderer is known."""
    number = event.get("placer") or event.get("filler")
    return keyring.key(_facility(event), number, test=event["meta"]["test"]) if number else ""


def _facts(record: str, event: Event, keyring: Keyring) -> list[Fact]:
    """Where the part stands. Each event is a fact of its own, so the parts of an encounter only grow in number."""
    if not _is_part(record, event):
        return []
    meta, stay = event["meta"], _stay_key(event, keyring)
    rank = revision_rank(meta["revision"])
    if not stay:
        order = _order_key(event, keyring) if record == "hie.LabResult" else ""
        return [_fact(_RESULT, order, meta["event_id"], rank)] if order else []
    found = [_fact(_PART, stay, meta["event_id"], rank)]
    if record == "hie.LabOrder":
        found += [_fact(_ORDER, stay, meta["key"], rank), _fact(_OF_ORDER, meta["key"], stay, rank)]
    if record == "hie.Encounter" and (state := _state(event)):
        found.append(_fact(_STAY, stay, "", rank, {"state": state}))
    return found


def _state(event: Event) -> str:
    """What an encounter's event says of its end; "" for nothing."""
    return _STATES.get(event.get("action", ""), "CLOSED" if event.get("ngay_ra") else "")


def _lookups(record: str, event: Event, keyring: Keyring) -> list[CaseRef]:
    if _is_settled(event):
        key = event["meta"]["key"]
        return [*(CaseRef(kind, key) for kind in (_STAY, _PART, _OWN, _GIVEN_UP, "claim")), CaseRef(_ORDER, key, about=_RESULT)]
    if not _is_part(record, event):
        return []
    if stay := _stay_key(event, keyring):
        return [CaseRef(_STAY, stay)]
    order = _order_key(event, keyring) if record == "hie.LabResult" else ""
    return [CaseRef(_OF_ORDER, order, about=_STAY)] if order else []


def stay_of(record: str, event: Event, keyring: Keyring) -> list[CaseRef]:
    """Where the stay is found that the event is a part of; none where it is no part."""
    return [] if record not in PARTS or _is_settled(event) else _lookups(record, event, keyring)


def given_up(event: Event, known: Known, at: datetime) -> tuple[list[Fact], list[Due]]:
    """What follows when a person gives up a part: a claim may have it, and the next one is without.

    known: what `stay_of` found once the event's own facts were taken back.
    """
    meta = event["meta"]
    if not assembles(_facility(event)):
        return [], []
    once = new_id(_GIVEN_UP, meta["event_id"], at.isoformat())  # it may be given back, and given up again
    facts = [
        _fact(_GIVEN_UP, stay.ref, once, revision_rank(meta["revision"]), {"part": meta["event_id"]}) for stay in _stays(known)
    ]
    return facts, [due for due in _dues(event, known, Moment(at, at)) if isinstance(due, Due)]


# --- when -------------------------------------------------------------------------------------------------------------


def _dues(event: Event, known: Known, moment: Moment) -> list[Output]:
    """SETTLED for the encounter, if it has ended already: one for all that comes within a minute."""
    ended = [stay for stay in _stays(known) if stay.data["state"] != _OPEN]
    facility = _facility(event)
    at = _next_minute(moment.seen_at + settle_time(facility))
    if at <= moment.now:  # it was parked meanwhile: what settled at that time settled without it
        at = _next_minute(moment.now)
    return [Due(at, TOPIC, _settled(stay.ref, facility, at, event)) for stay in ended]


def _next_minute(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)


def _stays(known: Known) -> Iterable[Found]:
    for fact in known:
        if fact.kind == _STAY:
            yield fact
        elif fact.kind == _OF_ORDER:
            yield from fact.about


def _settled(stay: str, facility: str, at: datetime, cause: Event) -> Event:
    revision: Revision = {"version": 0, "stated_at": f"{at.astimezone(VIETNAM):%Y%m%d%H%M%S}", "received_at": at}
    rule, content = "encounter-settled", {"action": SETTLED, "ma_cskcb": facility}
    event = derive("hie.Encounter", content, parents=[cause], rule=rule, facility=facility, key=stay, revision=revision)
    event["meta"]["event_id"] = new_id("hie.Encounter", stay, rule, at.isoformat())
    event["meta"]["content_hash"] = ""  # the next one says the same, and is no repeat
    event |= {"person": {}}
    return event


# --- what -------------------------------------------------------------------------------------------------------------


def _settle(event: Event, known: Known, moment: Moment) -> list[Output]:
    """The claim as the parts have it now; a cancelled one when the encounter was cancelled after its claim had been sent."""
    kinds = {fact.kind for fact in known}
    state = next((stay.data["state"] for stay in _stays(known)), _OPEN)
    if _OWN in kinds:
        return [Nobody("nobody-claim-own")]
    if state == _OPEN:
        return [Nobody("nobody-encounter-open")]
    if state == "CANCELLED" and "claim" not in kinds:
        return [Nobody("nobody-encounter-cancelled")]
    places = {fact.place for fact in known if fact.kind == _PART}
    places |= {result.place for fact in known if fact.kind == _ORDER for result in fact.about}
    if len(places) > PARTS_MOST:
        return [_unassembled(f"{len(places)} parts, and {PARTS_MOST} at most")]
    # The day it is read on, not the one it was planned for: after an outage parts are gone that were kept until then.
    today = max(moment.now, event["meta"]["revision"]["received_at"]).astimezone(VIETNAM).date()
    without = tuple(sorted({one for fact in known if fact.kind == _GIVEN_UP for one in (fact.id, *fact.data.values())}))
    return [Gather(tuple(sorted(places)), partial(_assemble, event, state, today, tuple(sorted(places)), without))]


def _unassembled(detail: str) -> Output:
    return Refuse("CLAIM_UNASSEMBLED", "nobody-claim-unassembled", detail)


def _assemble(
    settled: Event, state: str, today: date, places: Sequence[str], without: Sequence[str], read: Mapping[str, tuple[str, Event]]
) -> list[Output]:
    """A claim without some of its lines would be a wrong one: there is none when parts are gone, or may be."""
    if gone := [place for place in places if place not in read]:
        return [_unassembled(f"{len(gone)} of {len(places)} parts gone: {', '.join(gone)}")]
    if not read:
        return [Nobody("nobody-encounter-open")]  # all of it was given up
    claim = claim_of(read.values(), settled["meta"]["key"], cancelled=state == "CANCELLED", without=without)
    began, ended = (day_of(claim["xml1"].get(name, ""), today) for name in ("ngay_vao", "ngay_ra"))
    if (today - began).days > parts_days():
        return [_unassembled(f"the encounter began longer ago than the {parts_days()} days for which its parts are kept")]
    if state != "CANCELLED" and not assembles_on(_facility(settled), ended):
        return [Nobody("nobody-claim-not-ours")]
    short = state != "CANCELLED" and claim_rows.replaces_items(_of_one_person(list(read.values())))
    return [Publish(CLAIMS, claim), Nobody(LINE_REPLACED if short else RULE)]


def _of_one_person(parts: Sequence[claim_rows.Part]) -> list[claim_rows.Part]:
    """Without parts of somebody else: another laboratory's number of a visit may be that of an encounter here."""
    refs = [person_refs(event.get("person") or {}, _COMPARED, test=False) for _record, event in parts]
    own = {
        kind: ref
        for (record, _), known in zip(parts, refs, strict=True)
        if record == "hie.Encounter"
        for kind, ref in known.items()
    }
    return [part for part, known in zip(parts, refs, strict=True) if part[0] == "hie.Encounter" or not contradict(own, known)]


def _weight(event: Event) -> int:
    meta = event["meta"]
    return 1 + (len(meta["causes"]) if meta.get("rule") == EDITED else 0)


def claim_of(parts: Iterable[claim_rows.Part], key: str, *, cancelled: bool = False, without: Sequence[str] = ()) -> Event:
    """The claim that the parts of an encounter amount to: the same for the same parts.

    Its revision is below that of any claim that the facility sends (whose version is 0 or more), so that one wins even if
    it comes later. Among assembled ones the number of parts decides, with those that an edit took the place of, so that it only
    grows: time would not do, since a part may come late that was stated, or received, before others.

    key:     of the encounter, which is that of its claim.
    without: ids of parts that were given up, and of each time that one was: causes too, without which this would be the claim
             that had the part; and each counts twice, as there is one part less.
    """
    said = sorted(parts, key=lambda part: (part[0] != "hie.Encounter", part[1]["meta"]["event_id"]))
    events = [event for _record, event in said]
    content = claim_rows.tables(_of_one_person(said))
    if cancelled:
        content = {name: content[name] for name in ("ma_cskcb", "ma_lk", "xml1")}
    revision: Revision = {
        "version": -1,
        "stated_at": f"{sum(map(_weight, events)) + 2 * len(without):014d}",
        "received_at": max(event["meta"]["revision"]["received_at"] for event in events),
    }
    facility = events[0]["meta"]["facility"]
    content = {"action": "CANCELLED" if cancelled else "SUBMITTED"} | content
    causes = [*events, *({"meta": {"event_id": one}} for one in without)]
    claim = derive("hie.Claim", content, parents=causes, rule=RULE, facility=facility, key=key, revision=revision)
    claim["meta"]["sensitivity"] = _gravest(event["meta"].get("sensitivity") for event in events)
    return claim


def _gravest(labels: Iterable[str | None]) -> str:
    """HIV, which is held the most; of other labels the same one for the same parts, as a profile may have any. "" of none."""
    return min(filter(None, labels), key=lambda label: (label != _HIV, label), default="")
