"""What encounters say of a referral slip: who came with it, that an encounter was an error, and that it was used again."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from hub.contract.directory import same_facility
from hub.contract.events import VIETNAM, Event, new_id, revision_rank
from hub.contract.records import Revision
from hub.routing.persons import contradict, may_be_two, share_by_mistake, who
from hub.routing.slips import TOPIC, Slip, day_of_word, revision_of, what_the_hub_says
from hub.routing.stream import CaseRef, Due, Found, Output, Publish

USES_MOST: Final = 20
"""Encounters of one slip that are looked at: some systems write one number on every visit."""

CANCELLED_MOST: Final = 20
"""Cancellations of one encounter that are looked at."""

_ARRIVED, _CANCELLED, _AGAIN = "referral-arrived", "arrival-cancelled", "referral-used-again"


def came_with(slip_key: str) -> CaseRef:
    """Looks up who came with a slip, and when those encounters were cancelled."""
    return CaseRef("arrival", slip_key, about="encounter-cancelled", most=USES_MOST, about_most=CANCELLED_MOST)


def what_follows(slip: Slip, encounters: Sequence[Found], cause: Event, *, by_number: bool) -> dict[str, Output]:
    """Event id to what has to be said of a slip because of encounters, whichever of the two was known first.

    encounters: facts of kind `arrival` or `arrival-of-person`, with the cancellations of each about it.
    by_number:  they name the slip; else only the person agrees.
    """
    found: dict[str, Output] = {}
    for one in encounters:
        if f"arrived/{arrival_id(slip.key, one.id)}" not in slip.told and not arrives(slip, one.data, by_number=by_number):
            continue
        for after, error in _registrations(one):
            arrival = arrival_id(slip.key, one.id, after)
            if f"arrived/{arrival}" not in slip.told:
                found[arrival] = Publish(TOPIC, arrived(slip, one, cause, after))
            if error is not None and f"arrival_cancelled/{arrival}" not in slip.told:
                event = _taken_back(slip, one, error, after, cause)
                found[event["meta"]["event_id"]] = Publish(TOPIC, event)
    for one in further_uses(slip, encounters) if by_number else ():
        due = _used_again(slip, one, cause)
        if f"used_again/{due.event['meta']['event_id']}" not in slip.told:
            found[due.event["meta"]["event_id"]] = due
    return found


def _registrations(encounter: Found) -> Iterator[tuple[str, Found | None]]:
    """How often an encounter counts: once, and again behind each cancellation that something newer was said of it after.
    Each with the event id of the cancellation before it ("" for none), and the one behind it, which takes it back.

    What this makes only grows with what is known: a cancellation that is known before any registration is told, too.
    """
    cancellations, newest = _cancellations(encounter), _rank(encounter)
    for before, behind in zip([None, *cancellations], [*cancellations, None], strict=True):
        if before is None or _rank(before) < newest:
            yield before.event_id if before is not None else "", behind


def _cancellations(encounter: Found) -> list[Found]:
    return sorted(encounter.about, key=lambda one: (_rank(one), one.event_id))


def _rank(said: Found) -> str:
    return revision_rank(revision_of(said.data["revision"]))


def _stands(encounter: Found) -> bool:
    """Whether nothing so new as the encounter says that it was an error."""
    return all(_rank(one) < _rank(encounter) for one in encounter.about)


def arrives(slip: Slip, arrival: dict[str, Any], *, by_number: bool) -> bool:
    """Whether an encounter is the one that a slip was written for.

    With its number the slip counts at whoever was ever handed it, also after its end: the issuer has to hear of that.
    By the person alone it has to be meant for that facility and good on that day.
    """
    if not by_number:
        return _is_good_for(slip, arrival) and not may_be_two(slip.who, who(arrival))
    if contradict(slip.who.refs, arrival["persons"]):
        return False
    facility, day = arrival["facility"], day_of_word(revision_of(arrival["revision"]))
    return any(same_facility(facility, holder, day) for holder in slip.held)


def is_doubted(slip: Slip, arrival: dict[str, Any]) -> bool:
    """Whether an encounter that names no slip would be the one if a number were all that makes a person."""
    return _is_good_for(slip, arrival) and share_by_mistake(slip.who, who(arrival))


def _is_good_for(slip: Slip, arrival: dict[str, Any]) -> bool:
    facility, day = arrival["facility"], day_of_word(revision_of(arrival["revision"]))
    good = slip.state != "CANCELLED" and slip.answer != "REJECTED" and same_facility(facility, slip.receiver, day)
    return good and slip.issued <= date.fromisoformat(arrival["on"]) <= slip.expires


def arrival_id(slip_key: str, encounter_key: str, after: str = "") -> str:
    """Event id of ARRIVED: one for each encounter, however often it is said.

    after: event id of the cancellation behind which it was registered again.
    """
    return new_id("hie.Referral", slip_key, _ARRIVED, *_about(encounter_key, after))


def _about(encounter_key: str, after: str) -> list[str]:
    return [encounter_key, after] if after else [encounter_key]


def arrived(slip: Slip, encounter: Found, cause: Event, after: str = "") -> Event:
    """ARRIVED on the slip's key."""
    facility = encounter.data["facility"]
    content = {"ma_cskcb_den": facility, "by_facility": facility}
    revision = _revision(slip, encounter.data)
    event = what_the_hub_says(slip, "ARRIVED", _ARRIVED, _about(encounter.id, after), content, cause, revision)
    event["meta"]["causes"] = sorted({encounter.event_id, slip.event_id})
    return event


def _taken_back(slip: Slip, encounter: Found, error: Found, after: str, cause: Event) -> Event:
    """ARRIVAL_CANCELLED: the encounter was an error. It supersedes the ARRIVED that it takes back."""
    facility = encounter.data["facility"]
    content = {"ma_cskcb_den": facility, "by_facility": facility}
    revision = _revision(slip, error.data)
    event = what_the_hub_says(slip, "ARRIVAL_CANCELLED", _CANCELLED, _about(encounter.id, after), content, cause, revision)
    event["meta"] |= {
        "causes": sorted({encounter.event_id, error.event_id}),
        "supersedes": arrival_id(slip.key, encounter.id, after),
    }
    return event


def _revision(slip: Slip, said: dict[str, Any]) -> Revision:
    own = revision_of(said["revision"])
    return {
        "version": max(own["version"], slip.revision["version"]),
        "stated_at": max(own["stated_at"], slip.revision["stated_at"]),
        "received_at": max(own["received_at"], slip.revision["received_at"]),
    }


# --- used again -------------------------------------------------------------------------------------------------------


def further_uses(slip: Slip, encounters: Iterable[Found]) -> list[Found]:
    """Encounters that name a slip with which somebody came before, in the order of the encounters' own times.

    A slip that is good for months is meant for visit after visit: there only another facility counts.
    """
    own = (one for one in encounters if not contradict(slip.who.refs, one.data["persons"]))
    uses = sorted(own, key=lambda one: (one.data.get("at", ""), one.id))
    return [
        one
        for number, one in enumerate(uses)
        if any(slip.for_one_visit or one.data["facility"] != before.data["facility"] for before in uses[:number])
    ]


def is_used_again(event_id: str, slip: Slip, encounters: Iterable[Found]) -> bool:
    """Whether what a USED_AGAIN says is still so, now that its day has ended: encounters entered in error do not count."""
    uses = further_uses(slip, [one for one in encounters if _stands(one)])
    return event_id in {new_id("hie.Referral", slip.key, _AGAIN, one.id) for one in uses}


def _used_again(slip: Slip, encounter: Found, cause: Event) -> Due:
    """USED_AGAIN, when the day of the encounter has ended: until then whoever registered it may have corrected it."""
    at = datetime.combine(date.fromisoformat(encounter.data["on"]) + timedelta(days=1), time(), VIETNAM).astimezone(UTC)
    facility = encounter.data["facility"]
    content = {"ma_cskcb_den": facility, "by_facility": facility}
    revision = _revision(slip, encounter.data)
    return Due(at, TOPIC, what_the_hub_says(slip, "USED_AGAIN", _AGAIN, [encounter.id], content, cause, revision))
