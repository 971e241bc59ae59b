"""Orders for laboratory and imaging: to the facility that is to perform them, and its answer to whoever ordered."""

from typing import Final

from hub.contract.directory import same_facility
from hub.contract.events import Event, Keyring, revision_rank
from hub.contract.unnamed import ANSWERS, STOPS, is_unnamed_order
from hub.routing.lab_results import answers, in_order, laboratories
from hub.routing.persons import contradict, lab_refs, person_refs
from hub.routing.stream import CaseRef, Deliver, Fact, Known, Moment, Nobody, Output, Recall, receiver

_SAID_BY_EITHER: Final = ANSWERS + STOPS  # by the laboratory, or by whoever ordered
_READ: Final = frozenset(("PLACED", "CHANGED", *_SAID_BY_EITHER))


def facts(event: Event, keyring: Keyring) -> list[Fact]:
    """Who ordered, under what the result will be found by; of an answer a kind of its own, as no result is for the laboratory.

    An order of nobody leaves none: no result is of nobody either. Nor does one that may be an answer: who sent it may not have ordered.
    """
    if is_unnamed_order(event) or not _is_read(event):
        return []
    meta = event["meta"]
    said = {
        "orderer": event.get("ma_cskcb", ""),
        "persons": person_refs(event["person"], keyring, test=meta["test"]),
    }
    kind = "answer" if event.get("action") in ANSWERS else "order"
    return [Fact(kind, ref, meta["key"], revision_rank(meta["revision"]), said) for ref in _refs(event, keyring)]


def lookups(event: Event, keyring: Keyring) -> list[CaseRef]:
    """Results that came before their order; and the order that a laboratory speaks of."""
    if is_unnamed_order(event) or not _is_read(event):
        return []
    asked = [CaseRef("order", ref) for ref in _answered(event, keyring)]
    return asked if event.get("action") in ANSWERS else [*(CaseRef("result", ref) for ref in _refs(event, keyring)), *asked]


def decide(event: Event, known: Known, moment: Moment) -> list[Output]:
    """To the laboratory, unless it is about nobody or nobody can read what is wanted; what it says of an order, and has answered already, to the orderer.

    Raises: HubError(RECEIVER_UNKNOWN).
    """
    if is_unnamed_order(event):
        return [Nobody("nobody-unnamed")]
    if not _is_read(event):
        return [Nobody("nobody-action")]
    performer, orderer = event.get("performer", ""), event.get("ma_cskcb", "")
    lane = "urgent" if event.get("priority", "")[:1] in ("S", "A") else "routine"
    outputs: list[Output] = [Nobody("nobody-order")]
    if performer and not same_facility(performer, orderer, moment.today):
        rule = "answer-to-orderer" if event.get("action") in ANSWERS else "order-to-laboratory"
        outputs = [Deliver(receiver(performer, moment), rule, lane)]
    persons = moment.facts[0].data["persons"] if moment.facts else {}
    stops = event.get("action") in STOPS  # as one of its own too, under a number that another may use: the patient has to agree
    asked = {
        fact.data["orderer"]
        for fact in known
        if fact.kind == "order" and not contradict(fact.data["persons"], persons)
        if not stops or fact.data["persons"].items() & persons.items()
        if not same_facility(fact.data["orderer"], orderer, moment.today)
    }
    if asked:
        outputs = [Deliver(receiver(code, moment), "answer-to-orderer", lane) for code in sorted(asked)]
    fetched = {}
    for fact in sorted((one for one in known if one.kind == "result"), key=in_order):
        own = same_facility(fact.data["lab"], orderer, moment.today)
        if moment.facts and answers(moment.facts[0].data, fact.data) and not own:
            fetched[fact.place] = Recall(fact.place, receiver(orderer, moment), "result-to-orderer", fact.data["lane"])
    return [*outputs, *fetched.values()]


def _is_read(event: Event) -> bool:
    """Whether anybody can tell what is said of the order; else it may be an answer, and must not go out as a change."""
    return event.get("action") in _READ


def _answered(event: Event, keyring: Keyring) -> list[str]:
    """By what the order is found of which a laboratory speaks that names nobody to tell: its number, and the laboratory itself."""
    if event.get("performer") or event.get("action") not in _SAID_BY_EITHER:
        return []
    labs = laboratories(event, event.get("ma_cskcb", ""))
    placer, filler = event.get("placer", ""), event.get("filler", "")
    return lab_refs(keyring, (), test=event["meta"]["test"], performers=labs, placer=placer, filler=filler, open_order=False)


def _refs(event: Event, keyring: Keyring) -> list[str]:
    test = event["meta"]["test"]
    persons = person_refs(event["person"], keyring, test=test).values()
    performer, placer, filler = (event.get(name, "") for name in ("performer", "placer", "filler"))
    labs = laboratories(event, performer)
    return lab_refs(keyring, persons, test=test, performers=labs, placer=placer, filler=filler, open_order=not performer)
