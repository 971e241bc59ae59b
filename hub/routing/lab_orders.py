"""Orders for laboratory and imaging: to the facility that is to perform them."""

from hub.contract.directory import same_facility
from hub.contract.events import Event, Keyring, revision_rank
from hub.contract.unnamed import is_unnamed_order
from hub.routing.lab_results import answers, in_order, laboratories
from hub.routing.persons import lab_refs, person_refs
from hub.routing.stream import CaseRef, Deliver, Fact, Known, Moment, Nobody, Output, Recall, receiver


def facts(event: Event, keyring: Keyring) -> list[Fact]:
    """Who ordered, under what the result will be found by. An order of nobody leaves none: no result is of nobody either."""
    if is_unnamed_order(event):
        return []
    meta = event["meta"]
    said = {
        "orderer": event.get("ma_cskcb", ""),
        "persons": person_refs(event["person"], keyring, test=meta["test"]),
    }
    return [Fact("order", ref, meta["key"], revision_rank(meta["revision"]), said) for ref in _refs(event, keyring)]


def lookups(event: Event, keyring: Keyring) -> list[CaseRef]:
    """Results that came before their order."""
    if is_unnamed_order(event):
        return []
    return [CaseRef("result", ref) for ref in _refs(event, keyring)]


def decide(event: Event, known: Known, moment: Moment) -> list[Output]:
    """To the laboratory, unless it is about nobody; and what it has answered already to the orderer.

    Raises: HubError(RECEIVER_UNKNOWN).
    """
    if is_unnamed_order(event):
        return [Nobody("nobody-unnamed")]
    performer, orderer = event.get("performer", ""), event.get("ma_cskcb", "")
    lane = "urgent" if event.get("priority", "")[:1] in ("S", "A") else "routine"
    outputs: list[Output] = [Nobody("nobody-order")]
    if performer and not same_facility(performer, orderer, moment.today):
        outputs = [Deliver(receiver(performer, moment), "order-to-laboratory", lane)]
    fetched = {}
    for fact in sorted(known, key=in_order):
        own = same_facility(fact.data["lab"], orderer, moment.today)
        if moment.facts and answers(moment.facts[0].data, fact.data) and not own:
            fetched[fact.place] = Recall(fact.place, receiver(orderer, moment), "result-to-orderer", fact.data["lane"])
    return [*outputs, *fetched.values()]


def _refs(event: Event, keyring: Keyring) -> list[str]:
    test = event["meta"]["test"]
    persons = person_refs(event["person"], keyring, test=test).values()
    performer, placer, filler = (event.get(name, "") for name in ("performer", "placer", "filler"))
    labs = laboratories(event, performer)
    return lab_refs(keyring, persons, test=test, performers=labs, placer=placer, filler=filler, open_order=not performer)
