"""Results: to the orderer, and to the facility that a person is referred to."""

import hashlib
from datetime import date
from typing import Any, Final

from hub.contract.directory import facilities, names_of, same_facility
from hub.contract.events import Event, Keyring, revision_rank
from hub.contract.result_life import ABNORMAL, worth_until
from hub.contract.unnamed import WITHDRAWN, is_unnamed_result
from hub.routing.persons import OTHER_PERSON, contradict, lab_refs, person_refs, traits
from hub.routing.slips import day_of, day_of_word, slip_of
from hub.routing.stream import CaseRef, Deliver, Fact, Found, Known, Moment, Nobody, Output, is_open, receiver

_WAITS_DAYS: Final = 30  # for its order
_OF_PERSON_DAYS: Final = 90  # as long as the topic keeps what the fact points to: longer than any result is worth something
READ: Final = (("observations", ("flags",)),)  # of lists: to read all lines of a result costs more than to route it
_SETTLED: Final = ("F", "C", WITHDRAWN)  # a preliminary result goes to its orderer only


def side(event: Event) -> str:
    """Which result of the order: several services come under one number, each corrected and repeated by itself."""
    service = event.get("service", {})
    parts = (event.get("filler", ""), service.get("system", ""), service.get("code", "") or service.get("display", ""))
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=16).hexdigest()


def facts(event: Event, keyring: Keyring) -> list[Fact]:
    """That a result is there: under what its order will be found by, and under the person. The place says where it is.

    A result of nobody leaves none: nobody can be given it before its sender says whose it is, in a result of its own.
    """
    if is_unnamed_result(event):
        return []
    meta = event["meta"]
    event_id, rank = meta["event_id"], revision_rank(meta["revision"])
    persons = person_refs(event["person"], keyring, test=meta["test"])
    follows_person = _follows_person(event)
    said: dict[str, Any] = {
        "lab": event.get("ma_cskcb", ""),
        "orderer": event.get("orderer", ""),
        "received_at": meta["revision"]["received_at"].isoformat(),
        "persons": persons,
        "traits": traits(event["person"], keyring) if follows_person else {},
        "lane": _lane(event),
        "rank": rank,
        "worth_until": _worth_until(event).isoformat(),
    }
    found = [Fact("result", ref, event_id, rank, said, _WAITS_DAYS) for ref in _refs(event, keyring)]
    if follows_person:
        found += [Fact("result-of-person", ref, event_id, rank, said, _OF_PERSON_DAYS) for ref in persons.values()]
    return found


def lookups(event: Event, keyring: Keyring) -> list[CaseRef]:
    """Its order, and the person's referrals."""
    if is_unnamed_result(event):
        return []
    found = [CaseRef("order", ref) for ref in _refs(event, keyring)]
    if _follows_person(event):
        persons = person_refs(event["person"], keyring, test=event["meta"]["test"])
        found += [CaseRef("referral-of-person", ref, about="referral") for ref in persons.values()]
    return found


def decide(event: Event, known: Known, moment: Moment) -> list[Output]:
    """Each recipient once, and never the sender; nobody gets a result of nobody. Raises: HubError(RECEIVER_UNKNOWN)."""
    if is_unnamed_result(event):
        return [Nobody("nobody-unnamed")]
    lab, lane = event.get("ma_cskcb", ""), _lane(event)
    rules: dict[str, str] = {}
    doubted = set()
    if event.get("orderer"):
        rules[event["orderer"]] = "result-to-orderer"
    said = moment.facts[0].data if moment.facts else None
    for fact in known:
        if said is None:
            break
        if fact.kind == "order" and answers(fact.data, said):
            rules[fact.data["orderer"]] = "result-to-orderer"
        elif fact.kind == "referral-of-person":
            slip = slip_of(fact.id, fact.about)
            # A slip to a facility that nobody knows waits by itself, and fetches the results when it goes on;
            # the orderer must not wait with it.
            if slip is None or not is_open(slip.receiver, moment):
                continue
            if slip.wants(said, moment.today):
                rules.setdefault(slip.receiver, "result-to-receiver")
            elif slip.doubts(said, moment.today):
                doubted.add(slip.receiver)
    others = sorted(code for code in rules if not same_facility(code, lab, moment.today))
    outputs: list[Output] = [Deliver(receiver(code, moment), rules[code], lane) for code in others]
    if doubted - rules.keys():
        outputs.append(Nobody(OTHER_PERSON))
    return outputs or [Nobody(_why_nobody(event, ordered="result-to-orderer" in rules.values()))]


def _why_nobody(event: Event, *, ordered: bool) -> str:
    if _held(event):
        return "nobody-held-sensitive"
    lab = facilities().get(event.get("ma_cskcb", ""))
    if lab is None:  # an order that names its laboratory by code is never found to be that of a name
        return "nobody-result-stranger"
    # A laboratory works for others alone: what nobody is found to have ordered there is told apart, and the books count it.
    return "nobody-result-unordered" if not ordered and lab.kind == "laboratory" else "nobody-result"


def answers(order: dict[str, Any], result: dict[str, Any]) -> bool:
    """Whether a result belongs to an order found by number: a named orderer decides alone, and persons must not differ."""
    return result["orderer"] in ("", order["orderer"]) and not contradict(order["persons"], result["persons"])


def in_order(result: Found) -> str:
    """Sorts results, given by their facts, as they were stated: preliminary, final, corrected, cancelled."""
    return str(result.data.get("rank", ""))


def _follows_person(event: Event) -> bool:
    """Whether it goes to whom its person is referred to."""
    return event.get("status") in _SETTLED and not _held(event)


def _held(event: Event) -> bool:
    """HIV results go to nobody but their orderer until consent is known to the hub."""
    return bool(event["meta"].get("sensitivity") == "HIV")


def _lane(event: Event) -> str:
    return "urgent" if _abnormal(event) else "routine"


def _abnormal(event: Event) -> bool:
    return any(ABNORMAL.intersection(line.get("flags", ())) for line in event.get("observations", ()))


def _worth_until(event: Event) -> date:
    """From the day on which the sample was taken, else of what came next; none lies after the day it was received."""
    received = day_of_word(event["meta"]["revision"])
    sampled = received
    for name in ("reported_at", "received_in_lab_at", "sampled_at"):
        sampled = min(day_of(event.get(name, ""), sampled), received)
    service = event.get("service", {})
    return worth_until(sampled, (service.get("code", ""), service.get("alt_code", "")), abnormal=_abnormal(event))


def _refs(event: Event, keyring: Keyring) -> list[str]:
    """By what its order is found; nothing is looked for when it names its orderer."""
    if event.get("orderer"):
        return []
    test = event["meta"]["test"]
    persons = person_refs(event["person"], keyring, test=test).values()
    placer, filler = event.get("placer", ""), event.get("filler", "")
    labs = laboratories(event, event.get("ma_cskcb", ""))
    return lab_refs(keyring, persons, test=test, performers=labs, placer=placer, filler=filler, open_order=True)


def laboratories(event: Event, code: str) -> tuple[str, ...]:
    """The codes that the laboratory of an order or a result went by when it was said: whoever it was merged into answers, too."""
    return names_of(code, day_of_word(event["meta"]["revision"])) if code else ()
