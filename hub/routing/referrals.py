"""Referral slips: to the receiving facility and the payer, the answer back, arrival and expiry to those concerned."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from hub.contract.directory import same_facility
from hub.contract.events import VIETNAM, Event, Keyring, revision_rank
from hub.contract.records import Revision
from hub.contract.slip_life import last_day
from hub.routing.arrivals import CANCELLED_MOST, came_with, is_doubted, is_used_again, what_follows
from hub.routing.follow_ups import PORTAL, is_held
from hub.routing.lab_results import in_order
from hub.routing.persons import OTHER_PERSON, person_refs, traits
from hub.routing.slip_payers import payer_named, stated_to_payers, told_to_payer
from hub.routing.slips import TOPIC, Slip, as_data, day_of, is_sensitive, reached, slip_of, what_the_hub_says, withdrawn
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
    own_facts,
    receiver,
)

_STATEMENTS: Final = ("ISSUED", "MODIFIED", "CANCELLED")
_ANSWERS: Final = ("ACCEPTED", "REJECTED")
_HAPPENED: Final = ("ARRIVED", "ARRIVAL_CANCELLED", "WITHDRAWN", "USED_AGAIN")
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
    word = {"revision": as_data(meta["revision"]), "lane": _lane(event), "held": is_held(event)}
    if action in _ANSWERS:
        to = event.get("redirect_to", "") if action == "REJECTED" else ""
        said = fact(f"said/{meta['event_id']}", by=event.get("by_facility", ""), state=action, to=to, **word)
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
        traits=traits(event["person"], keyring),
    )
    said = fact(f"said/{meta['event_id']}", by="", to=event.get("ma_cskcb_den", ""), payer=payer_named(event), **word)
    pointers = [Fact("referral-of-person", ref, key, rank, {}, _DAYS) for ref in persons.values()]
    back = [Fact("person-of-referral", key, ref, rank, {}, _DAYS) for ref in persons.values()]
    label = [Fact("referral", key, "labelled", rank, {"held": True}, _DAYS, stays=True)] if is_held(event) else []
    return [newest, said, *label, *pointers, *back]


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
    """The slip itself; where a word may hand it to somebody, also whoever has arrived, and what is known of the person.
    A late arrival opens an ended slip again, and with it the way for results."""
    key, action = event["meta"]["key"], event.get("action", "")
    found, moves = [CaseRef("referral", key)], _moves(event)
    if moves or action == "USED_AGAIN":
        found.append(came_with(key))
    if moves or action == "ARRIVED":
        found.append(CaseRef("person-of-referral", key, about="result-of-person"))  # an answer need not say whom it is about
    if moves:
        for ref in person_refs(event["person"], keyring, test=event["meta"]["test"]).values():
            found.append(CaseRef("arrival-of-person", ref, about="encounter-cancelled", about_most=CANCELLED_MOST))
    return found


def _moves(event: Event) -> bool:
    """Whether it is a word of issuer or receivers: any of them may settle who has the slip, whichever came before it."""
    return event.get("action", "") in (*_STATEMENTS, *_ANSWERS)


def decide(event: Event, known: Known, moment: Moment) -> list[Output]:
    """Who hears of it. Raises: HubError(RECEIVER_UNKNOWN)."""
    action, issuer, to = event.get("action", ""), event.get("ma_cskcb", ""), event.get("ma_cskcb_den", "")
    lane = _lane(event)
    known = [*own_facts(event, moment), *known]
    slip = slip_of(event["meta"]["key"], known)
    if action in _STATEMENTS:
        to_itself = same_facility(receiver(to, moment), issuer, moment.today)
        told: list[Output] = [Nobody("nobody-self")] if to_itself else [*_stated(event, to, lane, known), *_expiry(event, slip)]
        told += [*_handed_on(event, slip, known, moment), *stated_to_payers(event, slip, known, moment)]
        if _is_kept_back(slip, known, moment) and not any(isinstance(one, Nobody) for one in told):  # which says one rule
            told.append(Nobody(OTHER_PERSON))
        return told
    if action in _ANSWERS:
        if same_facility(event.get("by_facility", ""), issuer, moment.today):
            return [Nobody("nobody-self")]
        told = [Deliver(receiver(issuer, moment), "answer-to-issuer", lane), *told_to_payer(event, slip, known, moment)]
        return [*told, *_handed_on(event, slip, known, moment)]
    if action == "WITHDRAWN":
        # By a later word, to it or through it: its system must not cancel a slip that is good, or that it sent on itself.
        comes_to_it = slip is not None and any(same_facility(one, to, moment.today) for one in slip.path)
        tell = is_open(to, moment) and not comes_to_it
        return [Deliver(to, "referral-withdrawn", lane) if tell else Nobody("nobody-withdrawn")]
    if action in _TO_ISSUER:
        late = _results(event, slip, known, moment) if action == "ARRIVED" and slip is not None else {}
        told = [Deliver(receiver(issuer, moment), _TO_ISSUER[action], lane), *told_to_payer(event, slip, known, moment)]
        return [*told, *late.values()]
    if action == "EXPIRED":
        return _expired(event, slip, known, moment)
    if action == "USED_AGAIN":
        arrivals = [fact for fact in known if fact.kind == "arrival"]
        if slip is None or not is_used_again(event["meta"]["event_id"], slip, arrivals):
            return [Nobody("nobody-use-void")]
        told = _both(slip, "referral-used-again", "referral-used-again", lane, moment)
        return [*told, *told_to_payer(event, slip, known, moment)]
    return [Nobody("nobody-action")]


def _stated(event: Event, to: str, lane: str, known: Known) -> list[Output]:
    told: list[Output] = [Deliver(to, "referral-to-receiver", lane)]
    # The citizen's app gets none until consent is known to the hub: nor a cancellation, which need not say what it is about.
    told.append(Nobody("nobody-held-sensitive") if is_sensitive(known) else Deliver(PORTAL, "referral-to-portal", lane))
    return told


def _both(slip: Slip, rule: str, rule_of_receiver: str, lane: str, moment: Moment) -> list[Output]:
    told: list[Output] = [Deliver(receiver(slip.issuer, moment), rule, lane)]
    # Nobody made sure that the directory has a facility that a rejecting one named.
    return [*told, Deliver(slip.receiver, rule_of_receiver, lane)] if is_open(slip.receiver, moment) else told


def _lane(event: Event) -> str:
    return "urgent" if event.get("priority", "")[:1] in ("S", "A") else "routine"


# --- whom a word concerns besides those it speaks to ---------------------------------------------------------------------


def _handed_on(event: Event, slip: Slip | None, known: Known, moment: Moment) -> list[Output]:
    """What becomes of a slip by a word and those before and after it. Each output follows from words that are known and
    from nothing that is not, so in whatever order they come, the last one brings out what is missing."""
    if slip is None:
        return []
    found: dict[tuple[str, str], Output] = {}
    come_to: dict[str, set[str]] = {}
    for (handed, facility), revision in slip.withdrawals().items():
        notice = withdrawn(slip, handed, facility, revision, event)
        if side(notice) not in slip.told:
            found[notice["meta"]["event_id"], ""] = Publish(TOPIC, notice)
    own_id, onward = event["meta"]["event_id"], event.get("redirect_to", "")
    behind = reached([onward], slip.words)
    for word in slip.words:
        if word.by or not (word.event_id == own_id or onward):
            continue
        if word.to not in come_to:
            come_to[word.to] = reached([word.to], slip.words) - {word.to, slip.issuer}
        for facility in sorted(come_to[word.to]):
            if not is_open(facility, moment):
                continue
            if word.event_id == own_id:
                found[own_id, facility] = Deliver(facility, "referral-redirected", word.lane)
            elif facility in behind:
                found[word.event_id, facility] = Recall(word.place, facility, "referral-redirected", word.lane)
    return [*found.values(), *_late(event, slip, known, moment)]


def _late(event: Event, slip: Slip, known: Known, moment: Moment) -> Iterable[Output]:
    """What came before the slip did: arrivals, and results of the person."""
    facts = {(fact.kind, fact.id): fact for one in known for fact in (one, *one.about)}  # two identifiers find one twice
    found = _results(event, slip, known, moment)
    for kind, by_number in (("arrival", True), ("arrival-of-person", False)):
        encounters = [fact for fact in facts.values() if fact.kind == kind]
        found |= what_follows(slip, encounters, event, by_number=by_number)
    return found.values()


def _results(event: Event, slip: Slip, known: Known, moment: Moment) -> dict[str, Output]:
    """Place to what the receiver gets of the person's results, as they were stated one after the other."""
    if not is_open(slip.receiver, moment):
        return {}
    facts = [fact for one in known for fact in (one, *one.about) if fact.kind == "result-of-person"]
    wanted = sorted((fact for fact in facts if slip.wants(fact.data, moment.today)), key=in_order)
    lanes = {fact.place: "urgent" if "urgent" in (fact.data["lane"], _lane(event)) else "routine" for fact in wanted}
    return {place: Recall(place, slip.receiver, "result-to-receiver", lane) for place, lane in lanes.items()}


def _is_kept_back(slip: Slip | None, known: Known, moment: Moment) -> bool:
    """Whether a result or an arrival came before it that is taken for another person's, though a number agrees."""
    facts = [fact for one in known for fact in (one, *one.about)]
    return slip is not None and any(
        (fact.kind == "result-of-person" and slip.doubts(fact.data, moment.today))
        or (fact.kind == "arrival-of-person" and is_doubted(slip, fact.data))
        for fact in facts
    )


# --- expiry -----------------------------------------------------------------------------------------------------------


def _expired(event: Event, slip: Slip | None, known: Known, moment: Moment) -> list[Output]:
    """To issuer, holder and payer. It was made before anybody could have handed the slip on, so it names who had it first:
    where that is another, one that names the holder follows."""
    end = day_of(event.get("expires_on", ""), date.min)
    if slip is None or slip.state == "CANCELLED" or slip.answer == "REJECTED" or slip.arrived or slip.expires != end:
        return [Nobody("nobody-expiry-void")]
    if same_facility(event.get("ma_cskcb_den", ""), slip.receiver, moment.today):
        told = _both(slip, "expiry-to-issuer", "expiry-to-receiver", _lane(event), moment)
        return [*told, *told_to_payer(event, slip, known, moment)]
    follows = _says_expired(slip, slip.receiver, end, event, event["meta"]["revision"])
    return [Publish(TOPIC, follows), Nobody("referral-expired")]


def _says_expired(slip: Slip, receiver: str, end: date, cause: Event, revision: Revision) -> Event:
    """EXPIRED on the slip's key: one for each day and facility that it names."""
    content = {"ma_cskcb_den": receiver, "expires_on": f"{end:%Y%m%d}"}
    return what_the_hub_says(slip, "EXPIRED", "referral-expired", [content["expires_on"], receiver], content, cause, revision)


def _expiry(event: Event, slip: Slip | None) -> list[Output]:
    """EXPIRED on the slip's own key, when the last day that a statement gives it has passed."""
    if slip is None or event["action"] == "CANCELLED":
        return []
    meta = event["meta"]
    _issued, expires = _life(event)
    at = datetime.combine(expires + timedelta(days=1), time(), VIETNAM).astimezone(UTC)
    revision: Revision = {
        "version": meta["revision"]["version"],
        "stated_at": f"{expires:%Y%m%d}235959",
        "received_at": max(at, meta["revision"]["received_at"]),
    }
    return [Due(at, TOPIC, _says_expired(slip, event.get("ma_cskcb_den", ""), expires, event, revision))]


def _life(event: Event) -> tuple[date, date]:
    """First and last day of a slip, in Vietnam's calendar; by rule and main diagnosis where it states no end."""
    revision = event["meta"]["revision"]
    received = revision["received_at"].astimezone(VIETNAM).date()
    issued = day_of(event.get("issued_on", ""), day_of(revision["stated_at"], received))
    main = [row.get("ma_benh", "") for row in event.get("diagnoses", ()) if row.get("main")]
    return issued, day_of(event.get("expires_on", ""), last_day(issued, [*main, event["xml13"].get("ma_benh_chinh", "")]))
