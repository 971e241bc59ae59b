"""What encounters say of a referral slip: who came with it, that an encounter was an error, and that it was used again."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from hub.contract.events import VIETNAM, Event, new_id
from hub.contract.records import Revision
from hub.routing.persons import contradict
from hub.routing.slips import TOPIC, Slip, revision_of, what_the_hub_says
from hub.routing.stream import Due, Found, Output, Publish

USES_MOST: Final = 20
"""Encounters of one slip that are looked at: some systems write one number on every visit."""

_ARRIVED, _CANCELLED, _AGAIN = "referral-arrived", "arrival-cancelled", "referral-used-again"


def what_follows(slip: Slip, encounters: Sequence[Found], cause: Event, *, by_number: bool) -> dict[str, Output]:
    """Event id to what has to be said of a slip because of encounters, whichever of the two was known first.

    encounters: facts of kind `arrival` or `arrival-of-person`, with the cancellation of each about it.
    by_number:  they name the slip; else only the person agrees.
    """
    found: dict[str, Output] = {}
    for one in encounters:
        arrival = arrival_id(slip.key, one.id)
        told = f"arrived/{arrival}" in slip.told
        if not told and not arrives(slip, one.data, by_number=by_number):
            continue
        if not told:
            found[arrival] = Publish(TOPIC, arrived(slip, one, cause))
        if one.about and f"arrival_cancelled/{arrival}" not in slip.told:
            event = _taken_back(slip, one, cause)
            found[event["meta"]["event_id"]] = Publish(TOPIC, event)
    for one in further_uses(slip, encounters) if by_number else ():
        due = _used_again(slip, one, cause)
        found[due.event["meta"]["event_id"]] = due
    return found


def arrives(slip: Slip, arrival: dict[str, Any], *, by_number: bool) -> bool:
    """Whether an encounter is the one that a slip was written for.

    With its number the slip counts at whoever was ever handed it, also after its end: the issuer has to hear of that.
    By the person alone it has to be meant for that facility and good on that day.
    """
    if contradict(slip.persons, arrival["persons"]):
        return False
    if by_number:
        return arrival["facility"] in slip.held
    good = slip.state != "CANCELLED" and slip.answer != "REJECTED"
    return good and arrival["facility"] == slip.receiver and slip.issued <= date.fromisoformat(arrival["on"]) <= slip.expires


def arrival_id(slip_key: str, encounter_key: str) -> str:
    """Event id of ARRIVED: one for each encounter, however often it is said."""
    return new_id("hie.Referral", slip_key, _ARRIVED, encounter_key)


def arrived(slip: Slip, encounter: Found, cause: Event) -> Event:
    """ARRIVED on the slip's key."""
    facility = encounter.data["facility"]
    content = {"ma_cskcb_den": facility, "by_facility": facility}
    revision = _revision(slip, encounter.data)
    event = what_the_hub_says(slip, "ARRIVED", _ARRIVED, [encounter.id], content, cause, revision)
    event["meta"]["causes"] = sorted({encounter.event_id, slip.event_id})
    return event


def _taken_back(slip: Slip, encounter: Found, cause: Event) -> Event:
    """ARRIVAL_CANCELLED: the encounter was an error. It supersedes the ARRIVED of that encounter."""
    facility = encounter.data["facility"]
    content = {"ma_cskcb_den": facility, "by_facility": facility}
    revision = _revision(slip, encounter.about[0].data)
    event = what_the_hub_says(slip, "ARRIVAL_CANCELLED", _CANCELLED, [encounter.id], content, cause, revision)
    event["meta"] |= {
        "causes": sorted({encounter.event_id, encounter.about[0].event_id}),
        "supersedes": arrival_id(slip.key, encounter.id),
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
    own = (one for one in encounters if not contradict(slip.persons, one.data["persons"]))
    uses = sorted(own, key=lambda one: (one.data.get("at", ""), one.id))
    return [
        one
        for number, one in enumerate(uses)
        if any(slip.for_one_visit or one.data["facility"] != before.data["facility"] for before in uses[:number])
    ]


def is_used_again(event_id: str, slip: Slip, encounters: Iterable[Found]) -> bool:
    """Whether what a USED_AGAIN says is still so, now that its day has ended: encounters entered in error do not count."""
    uses = further_uses(slip, [one for one in encounters if not one.about])
    return event_id in {new_id("hie.Referral", slip.key, _AGAIN, one.id) for one in uses}


def _used_again(slip: Slip, encounter: Found, cause: Event) -> Due:
    """USED_AGAIN, when the day of the encounter has ended: until then whoever registered it may have corrected it."""
    at = datetime.combine(date.fromisoformat(encounter.data["on"]) + timedelta(days=1), time(), VIETNAM).astimezone(UTC)
    facility = encounter.data["facility"]
    content = {"ma_cskcb_den": facility, "by_facility": facility}
    revision = _revision(slip, encounter.data)
    return Due(at, TOPIC, what_the_hub_says(slip, "USED_AGAIN", _AGAIN, [encounter.id], content, cause, revision))
