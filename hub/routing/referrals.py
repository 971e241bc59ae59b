"""Referral slips: to the receiving facility, the answer back, arrival and expiry to those concerned."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from hub.contract.events import VIETNAM, Event, Keyring, derive, new_id, revision_rank
from hub.contract.records import Revision
from hub.contract.slip_life import last_day
from hub.routing.persons import PersonRefs, contradict, person_refs
from hub.routing.stream import CaseRef, Deliver, Due, Fact, Found, Known, Moment, Nobody, Output, Publish, Recall, receiver

TOPIC: Final = "referral.v1"
RECENT: Final = timedelta(days=30)  # results this much older than the slip go with it
_STATEMENTS: Final = ("ISSUED", "MODIFIED", "CANCELLED")
_ANSWERS: Final = ("ACCEPTED", "REJECTED")
_DAYS: Final = 400  # as long as the topic


@dataclass(frozen=True, slots=True)
class Slip:
    """One referral, drawn from all that the case index holds of its key, in whatever order it came.

    expires:   last day it is good for.
    revision:  of the issuer's newest statement.
    """

    key: str
    event_id: str
    number: str
    issuer: str
    receiver: str
    state: str
    issued: date
    expires: date
    revision: Revision
    persons: PersonRefs
    answer: str
    arrived: bool
    expired: bool

    @property
    def open(self) -> bool:
        """Whether what is learnt of this person concerns the receiver."""
        return self.state != "CANCELLED" and self.answer != "REJECTED" and (self.arrived or not self.expired)

    def wants(self, result: dict[str, Any], lab: str) -> bool:
        """Whether a result, given by its fact, belongs to the receiver."""
        sent_at = datetime.fromisoformat(result["received_at"])
        return (
            self.open
            and self.receiver != lab
            and sent_at >= datetime.combine(self.issued, time(), VIETNAM) - RECENT
            and not contradict(self.persons, result["persons"])
        )


def slip_of(key: str, facts: Iterable[Found]) -> Slip | None:
    """The referral of a key; None while its issuer has said nothing.  facts: those of kind `referral` with that ref."""
    sides = {fact.id: fact for fact in facts if fact.kind == "referral"}
    if "issuer" not in sides:
        return None
    said = sides["issuer"].data
    version, stated_at, received_at = said["revision"]
    # Only the receiver can answer: what others say stands beside it, and never in its place.
    answers = [sides[name].data["state"] for name in (f"answer/{said['receiver']}", "answer/") if name in sides]
    expired = sides["expired"].data["on"] if "expired" in sides else ""
    return Slip(
        key=key,
        event_id=sides["issuer"].event_id,
        number=said["slip"],
        issuer=said["issuer"],
        receiver=said["receiver"],
        state=said["state"],
        issued=date.fromisoformat(said["issued"]),
        expires=date.fromisoformat(said["expires"]),
        revision={"version": version, "stated_at": stated_at, "received_at": datetime.fromisoformat(received_at)},
        persons=said["persons"],
        answer=answers[0] if answers else "",
        arrived="arrived" in sides,
        expired=expired == said["expires"],  # a modified slip outlives the end it had before
    )


def facts(event: Event, keyring: Keyring) -> list[Fact]:
    """The slip under its key, one fact a side that speaks, and under the person."""
    meta, action = event["meta"], event.get("action", "")
    key, rank = meta["key"], revision_rank(meta["revision"])
    if action in _ANSWERS:
        return [Fact("referral", key, side(event), rank, {"state": action}, _DAYS)]
    if action == "ARRIVED":
        return [Fact("referral", key, "arrived", rank, {"by": event.get("by_facility", "")}, _DAYS)]
    if action == "EXPIRED":
        return [Fact("referral", key, "expired", rank, {"on": day_of(event.get("expires_on", ""), date.min).isoformat()}, _DAYS)]
    if action not in _STATEMENTS:
        return []
    revision = meta["revision"]
    issued, expires = _life(event)
    persons = person_refs(event["person"], keyring, test=meta["test"])
    said = {
        "state": action,
        "slip": event.get("slip", ""),
        "issuer": event.get("ma_cskcb", ""),
        "receiver": event.get("ma_cskcb_den", ""),
        "issued": issued.isoformat(),
        "expires": expires.isoformat(),
        "revision": [revision["version"], revision["stated_at"], revision["received_at"].isoformat()],
        "persons": persons,
    }
    pointers = [Fact("referral-of-person", ref, key, rank, {}, _DAYS) for ref in persons.values()]
    return [Fact("referral", key, "issuer", rank, said, _DAYS), *pointers]


def side(event: Event) -> str:
    """The issuer, who answered, or what happened: a slip said again is a repeat although it was accepted meanwhile."""
    action = str(event.get("action", ""))
    if action in _ANSWERS:
        return f"answer/{event.get('by_facility', '')}"
    return "issuer" if action in _STATEMENTS else action.lower()


def lookups(event: Event, keyring: Keyring) -> list[CaseRef]:
    """The slip itself; for a statement also the person's recent results and whoever has arrived already."""
    meta = event["meta"]
    found = [CaseRef("referral", meta["key"])]
    if event.get("action") in ("ISSUED", "MODIFIED"):
        found.append(CaseRef("arrival", meta["key"]))
        for ref in person_refs(event["person"], keyring, test=meta["test"]).values():
            found += [CaseRef("arrival-of-person", ref), CaseRef("result-of-person", ref)]
    return found


def decide(event: Event, known: Known, moment: Moment) -> list[Output]:
    """Who hears of it. Raises: HubError(RECEIVER_UNKNOWN)."""
    action, issuer, to = event.get("action", ""), event.get("ma_cskcb", ""), event.get("ma_cskcb_den", "")
    lane = "urgent" if event.get("priority", "") in ("S", "A") else "routine"
    slip = slip_of(event["meta"]["key"], known)
    if action in _STATEMENTS:
        if receiver(to, moment) == issuer:
            return [Nobody("nobody-self")]
        return [Deliver(to, "referral-to-receiver", lane), *_expiry(event), *_late(event, slip, known, lane)]
    if action in _ANSWERS:
        if event.get("by_facility") == issuer:
            return [Nobody("nobody-self")]
        return [Deliver(receiver(issuer, moment), "answer-to-issuer", lane)]
    if action == "ARRIVED":
        return [Deliver(receiver(issuer, moment), "arrival-to-issuer", lane)]
    if action == "EXPIRED":
        end = day_of(event.get("expires_on", ""), date.min)
        if slip is None or slip.state == "CANCELLED" or slip.answer == "REJECTED" or slip.arrived or slip.expires != end:
            return [Nobody("nobody-expiry-void")]
        return [
            Deliver(receiver(slip.issuer, moment), "expiry-to-issuer", lane),
            Deliver(receiver(slip.receiver, moment), "expiry-to-receiver", lane),
        ]
    return [Nobody("nobody-action")]


def _late(event: Event, slip: Slip | None, known: Known, lane: str) -> list[Output]:
    """What came before the slip did: an arrival, and results of the person."""
    if slip is None:
        return []
    found: dict[str, Output] = {}  # by what it is: a person with two identifiers is found twice
    for fact in known:
        if fact.kind == "result-of-person" and slip.wants(fact.data, fact.data["lab"]):
            found[fact.place] = Recall(fact.place, slip.receiver, "result-to-receiver", lane)
        elif slip.arrived or fact.kind not in ("arrival", "arrival-of-person"):
            continue
        elif arrives(slip, fact.data, by_number=fact.kind == "arrival"):
            found["arrived"] = Publish(TOPIC, arrived(slip, fact.data, fact.event_id, event))
    return list(found.values())


# --- arrival ----------------------------------------------------------------------------------------------------------


def arrives(slip: Slip, arrival: dict[str, Any], *, by_number: bool) -> bool:
    """Whether an encounter is the one that a slip was written for.

    by_number: the encounter names the slip; else only the person agrees, so the slip has to be good on that day.
    """
    if arrival["facility"] != slip.receiver or slip.state == "CANCELLED" or contradict(slip.persons, arrival["persons"]):
        return False
    on = date.fromisoformat(arrival["on"])
    return by_number or (slip.answer != "REJECTED" and slip.issued <= on <= slip.expires)


def arrived(slip: Slip, arrival: dict[str, Any], encounter_id: str, cause: Event) -> Event:
    """ARRIVED on the slip's key: one for each slip, whichever of the two was seen first and however often they are said.

    It names the slip and the facility only: its issuer knows the person.
    """
    version, stated_at, received_at = arrival["revision"]
    revision: Revision = {
        "version": max(version, slip.revision["version"]),
        "stated_at": max(stated_at, slip.revision["stated_at"]),
        "received_at": max(datetime.fromisoformat(received_at), slip.revision["received_at"]),
    }
    content = _about(slip, "ARRIVED") | {"by_facility": arrival["facility"]}
    event = derive(
        "hie.Referral", content, parents=[cause], rule="referral-arrived", facility=slip.issuer, key=slip.key, revision=revision
    )
    event["meta"]["event_id"] = new_id("hie.Referral", slip.key, "referral-arrived")
    event["meta"]["causes"] = sorted({encounter_id, slip.event_id})
    event |= {"person": {}, "xml13": {}}
    return event


def _about(slip: Slip, action: str) -> Event:
    return {
        "action": action,
        "slip": slip.number,
        "ma_cskcb": slip.issuer,
        "ma_cskcb_den": slip.receiver,
        "expires_on": f"{slip.expires:%Y%m%d}",
    }


# --- expiry -----------------------------------------------------------------------------------------------------------


def _expiry(event: Event) -> list[Output]:
    """EXPIRED on the slip's own key, when its last day has passed."""
    if event["action"] == "CANCELLED":
        return []
    meta = event["meta"]
    _issued, expires = _life(event)
    at = datetime.combine(expires + timedelta(days=1), time(), VIETNAM).astimezone(UTC)
    revision: Revision = {
        "version": meta["revision"]["version"],
        "stated_at": f"{expires:%Y%m%d}235959",
        "received_at": max(at, meta["revision"]["received_at"]),
    }
    content = {
        "action": "EXPIRED",
        "slip": event.get("slip", ""),
        "ma_cskcb": event.get("ma_cskcb", ""),
        "ma_cskcb_den": event.get("ma_cskcb_den", ""),
        "expires_on": f"{expires:%Y%m%d}",
    }
    expired = derive(
        "hie.Referral",
        content,
        parents=[event],
        rule="referral-expired",
        facility=meta["facility"],
        key=meta["key"],
        revision=revision,
    )
    expired["meta"]["event_id"] = new_id("hie.Referral", meta["key"], "referral-expired", content["expires_on"])
    expired |= {"person": {}, "xml13": {}}
    return [Due(at, TOPIC, expired)]


def _life(event: Event) -> tuple[date, date]:
    """First and last day of a slip, in Vietnam's calendar; by rule and main diagnosis where it states no end."""
    revision = event["meta"]["revision"]
    received = revision["received_at"].astimezone(VIETNAM).date()
    issued = day_of(event.get("issued_on", ""), day_of(revision["stated_at"], received))
    main = [row.get("ma_benh", "") for row in event.get("diagnoses", ()) if row.get("main")]
    return issued, day_of(event.get("expires_on", ""), last_day(issued, [*main, event["xml13"].get("ma_benh_chinh", "")]))


def day_of(text: str, otherwise: date) -> date:
    """The day that text begins with (yyyymmdd…), else the other one. Days that no calendar reaches do not count."""
    try:
        day = date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        return otherwise
    return day if 1900 <= day.year <= 9000 else otherwise
