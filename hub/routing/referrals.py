"""Referral slips: to the receiving facility, the answer back, arrival and expiry to those concerned."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from hub.contract.events import VIETNAM, Event, Keyring, derive, new_id, revision_rank
from hub.contract.records import Revision
from hub.contract.slip_life import last_day
from hub.routing.arrivals import USES_MOST, is_used_again, what_follows
from hub.routing.follow_ups import PORTAL, is_held
from hub.routing.persons import person_refs
from hub.routing.slips import TOPIC, Slip, as_data, reached, slip_of, withdrawn
from hub.routing.stream import (
    CaseRef,
    Deliver,
    Due,
    Fact,
    Known,
    Moment,
    Nobody,
    Output,
    Publish,
    Recall,
    is_open,
    receiver,
)

_STATEMENTS: Final = ("ISSUED", "MODIFIED", "CANCELLED")
_ANSWERS: Final = ("ACCEPTED", "REJECTED")
_HAPPENED: Final = ("ARRIVED", "ARRIVAL_CANCELLED", "WITHDRAWN")
_TO_ISSUER: Final = {"ARRIVED": "arrival-to-issuer", "ARRIVAL_CANCELLED": "arrival-cancelled-to-issuer"}
_DAYS: Final = 400  # as long as the topic


def facts(event: Event, keyring: Keyring) -> list[Fact]:
    """The slip under its key: the newest that each side says, each word by itself, and what happened; and under the person."""
    meta, action = event["meta"], event.get("action", "")
    key, rank = meta["key"], revision_rank(meta["revision"])

    def fact(name: str, **data: object) -> Fact:
        return Fact("referral", key, name, rank, data, _DAYS)

    if action in _HAPPENED:
        return [fact(side(event))]
    if action == "EXPIRED":
        return [fact("expired", on=day_of(event.get("expires_on", ""), date.min).isoformat())]
    word = {"revision": as_data(meta["revision"]), "lane": _lane(event)}
    if action in _ANSWERS:
        to = event.get("redirect_to", "") if action == "REJECTED" else ""
        said = fact(f"said/{meta['event_id']}", by=event.get("by_facility", ""), to=to, **word)
        return [fact(side(event), state=action, to=to), *([said] if event.get("by_facility") else [])]
    if action not in _STATEMENTS:
        return []
    issued, expires = _life(event)
    persons = person_refs(event["person"], keyring, test=meta["test"])
    newest = fact(
        "issuer",
        state=action,
        slip=event.get("slip", ""),
        issuer=event.get("ma_cskcb", ""),
        receiver=event.get("ma_cskcb_den", ""),
        issued=issued.isoformat(),
        expires=expires.isoformat(),
        revision=word["revision"],
        persons=persons,
    )
    said = fact(f"said/{meta['event_id']}", by="", to=event.get("ma_cskcb_den", ""), held=is_held(event), **word)
    pointers = [Fact("referral-of-person", ref, key, rank, {}, _DAYS) for ref in persons.values()]
    back = [Fact("person-of-referral", key, ref, rank, {}, _DAYS) for ref in persons.values()]
    return [newest, said, *pointers, *back]


def side(event: Event) -> str:
    """The issuer, who answered, or what happened: a slip said again is a repeat although it was accepted meanwhile."""
    action, meta = str(event.get("action", "")), event["meta"]
    if action in _ANSWERS:
        return f"answer/{event.get('by_facility', '')}"
    if action in _STATEMENTS:
        return "issuer"
    if action == "ARRIVAL_CANCELLED":
        return f"arrival_cancelled/{meta.get('supersedes', '')}"
    return "expired" if action == "EXPIRED" else f"{action.lower()}/{meta['event_id']}"


def lookups(event: Event, keyring: Keyring) -> list[CaseRef]:
    """The slip itself; where a word hands it to somebody, also the person's recent results and whoever has arrived."""
    key, action = event["meta"]["key"], event.get("action", "")
    found, hands_on = [CaseRef("referral", key)], action in _STATEMENTS or event.get("redirect_to")
    if hands_on or action == "USED_AGAIN":
        found.append(CaseRef("arrival", key, about="encounter-cancelled", most=USES_MOST))
    if hands_on:
        found.append(CaseRef("person-of-referral", key, about="result-of-person"))  # an answer need not say whom it is about
        for ref in person_refs(event["person"], keyring, test=event["meta"]["test"]).values():
            found.append(CaseRef("arrival-of-person", ref, about="encounter-cancelled"))
    return found


def decide(event: Event, known: Known, moment: Moment) -> list[Output]:
    """Who hears of it. Raises: HubError(RECEIVER_UNKNOWN)."""
    action, issuer, to = event.get("action", ""), event.get("ma_cskcb", ""), event.get("ma_cskcb_den", "")
    lane = _lane(event)
    slip = slip_of(event["meta"]["key"], known)
    if action in _STATEMENTS:
        told = [Nobody("nobody-self")] if receiver(to, moment) == issuer else _stated(event, to, lane, known)
        return [*told, *_handed_on(event, slip, known, moment)]
    if action in _ANSWERS:
        if event.get("by_facility") == issuer:
            return [Nobody("nobody-self")]
        return [Deliver(receiver(issuer, moment), "answer-to-issuer", lane), *_handed_on(event, slip, known, moment)]
    if action == "WITHDRAWN":
        has_it_again = slip is not None and slip.receiver == to  # by a later word: its system must not cancel a slip that is good
        tell = is_open(to, moment) and not has_it_again
        return [Deliver(to, "referral-withdrawn", lane) if tell else Nobody("nobody-withdrawn")]
    if action in _TO_ISSUER:
        return [Deliver(receiver(issuer, moment), _TO_ISSUER[action], lane)]
    if action == "EXPIRED":
        end = day_of(event.get("expires_on", ""), date.min)
        if slip is None or slip.state == "CANCELLED" or slip.answer == "REJECTED" or slip.arrived or slip.expires != end:
            return [Nobody("nobody-expiry-void")]
        return _both(slip, "expiry-to-issuer", "expiry-to-receiver", lane, moment)
    if action == "USED_AGAIN":
        arrivals = [fact for fact in known if fact.kind == "arrival"]
        if slip is None or not is_used_again(event["meta"]["event_id"], slip, arrivals):
            return [Nobody("nobody-use-void")]
        return _both(slip, "referral-used-again", "referral-used-again", lane, moment)
    return [Nobody("nobody-action")]


def _stated(event: Event, to: str, lane: str, known: Known) -> list[Output]:
    told: list[Output] = [Deliver(to, "referral-to-receiver", lane)]
    # The citizen's app gets none until consent is known to the hub: nor a cancellation, which need not say what it is about.
    held = is_held(event) or any(fact.kind == "referral" and fact.data.get("held") for fact in known)
    told.append(Nobody("nobody-held-sensitive") if held else Deliver(PORTAL, "referral-to-portal", lane))
    return [*told, *_expiry(event)]


def _both(slip: Slip, rule: str, rule_of_receiver: str, lane: str, moment: Moment) -> list[Output]:
    told: list[Output] = [Deliver(receiver(slip.issuer, moment), rule, lane)]
    # Nobody made sure that the directory has a facility that a rejecting one named.
    return [*told, Deliver(slip.receiver, rule_of_receiver, lane)] if is_open(slip.receiver, moment) else told


def _lane(event: Event) -> str:
    return "urgent" if event.get("priority", "") in ("S", "A") else "routine"


# --- whom a word concerns besides those it speaks to ---------------------------------------------------------------------


def _handed_on(event: Event, slip: Slip | None, known: Known, moment: Moment) -> list[Output]:
    """What becomes of a slip by a word and those before and after it. Each output follows from words that are known and
    from nothing that is not, so in whatever order they come, the last one brings out what is missing."""
    if slip is None:
        return []
    found: dict[tuple[str, str], Output] = {}
    for (handed, facility), revision in slip.withdrawals().items():
        notice = withdrawn(slip, handed, facility, revision, event)
        if side(notice) not in slip.told:
            found[notice["meta"]["event_id"], ""] = Publish(TOPIC, notice)
    own_id, onward = event["meta"]["event_id"], event.get("redirect_to", "")
    for word in slip.words:
        if word.by or not (word.event_id == own_id or onward):
            continue
        for facility in sorted(reached([word.to], slip.words) - {word.to, slip.issuer}):
            if not is_open(facility, moment):
                continue
            if word.event_id == own_id:
                found[own_id, facility] = Deliver(facility, "referral-redirected", word.lane)
            elif facility in reached([onward], slip.words):
                found[word.event_id, facility] = Recall(word.place, facility, "referral-redirected", word.lane)
    return [*found.values(), *(_late(event, slip, known, moment) if onward or event["action"] in _STATEMENTS else ())]


def _late(event: Event, slip: Slip, known: Known, moment: Moment) -> Iterable[Output]:
    """What came before the slip did: arrivals, and results of the person."""
    facts = {(fact.kind, fact.place or fact.id): fact for one in known for fact in (one, *one.about)}
    found: dict[str, Output] = {}  # by what it is: a person with two identifiers is found twice
    for (kind, place), fact in facts.items():
        if kind == "result-of-person" and slip.wants(fact.data, fact.data["lab"]) and is_open(slip.receiver, moment):
            found[place] = Recall(fact.place, slip.receiver, "result-to-receiver", _lane(event))
    for kind, by_number in (("arrival", True), ("arrival-of-person", False)):
        encounters = [fact for fact in facts.values() if fact.kind == kind]
        found |= what_follows(slip, encounters, event, by_number=by_number)
    return found.values()


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
