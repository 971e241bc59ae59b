"""Orders and results: neither order of processing nor repetition changes who is given what."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.hub.routing.memory_hub import MemoryHub
from tests.hub.routing.story import BORROWER, COMMUNE, DISTRICT, LAB, LENDER, PROVINCE, TOPICS, order, person, referral, result

OTHER_LAB = "01921"
SOMEBODY = person("001090000002")
STORY = [
    ("hie.LabOrder", order(minute=1)),
    ("hie.LabOrder", order(minute=2, action="CHANGED", filler="F1")),
    ("hie.LabOrder", order(minute=9, action="CANCELLED")),
    ("hie.LabOrder", order("O2", minute=3, by=DISTRICT, performer="")),
    ("hie.LabOrder", order("O1", minute=4, by=DISTRICT, person=SOMEBODY)),  # the same number, elsewhere, for another
    ("hie.LabOrder", order("O4", minute=4, by=COMMUNE, performer=LAB, filler="F4")),
    ("hie.LabResult", result(minute=5, status="P")),
    ("hie.LabResult", result(minute=6)),
    ("hie.LabResult", result(minute=7, status="C", observations=[{"flags": ["HH"], "code": {}}])),
    ("hie.LabResult", result(minute=8, status="X")),
    ("hie.LabResult", result("", filler="F1", minute=6)),
    ("hie.LabResult", result("L77", filler="F4", minute=10)),
    ("hie.LabResult", result("O2", minute=7, lab=OTHER_LAB)),  # of a laboratory that the order does not name
    ("hie.LabResult", result("O9", minute=7, orderer=PROVINCE)),
    ("hie.LabResult", result("O8", minute=7)),  # nobody asked for it
    ("hie.LabResult", result("O2", minute=8, lab=OTHER_LAB, person=SOMEBODY)),
    ("hie.LabResult", result("O7", minute=8, sensitivity="HIV")),
    ("hie.Referral", referral(minute=6, to="01911")),
    ("hie.LabResult", result("O10", minute=5, person=LENDER)),
    ("hie.LabResult", result("O11", minute=5, person=BORROWER)),
    ("hie.Referral", referral("ISSUED", "S2", minute=6, to="01912", person=BORROWER)),  # with the lender's card
]


def end(events):
    hub = MemoryHub()
    for record, event in events:
        hub.route(TOPICS[record], [event])
    return hub.told, {name: (fact.data, fact.event_id) for name, (_, fact) in hub.facts.items()}


@given(st.data())
@settings(max_examples=200)
def test_any_order_and_any_repetition_give_the_same_deliveries(data):
    happened = [one for one in STORY if data.draw(st.booleans())]
    again = data.draw(st.lists(st.sampled_from(happened), max_size=4)) if happened else []
    assert end(data.draw(st.permutations([*happened, *again]))) == end(happened)


def test_the_story_reaches_everybody_it_concerns():
    told, _facts = end(STORY)
    names = {event["meta"]["event_id"]: (event.get("placer"), event.get("filler", ""), event.get("status")) for _, event in STORY}
    results = {(recipient, names[event_id]) for recipient, event_id in told if names[event_id][2]}
    assert {(PROVINCE, ("O1", "", status)) for status in "PFCX"} <= results
    assert {(PROVINCE, ("", "F1", "F")), (COMMUNE, ("L77", "F4", "F")), (PROVINCE, ("O9", "", "F"))} <= results
    assert {(DISTRICT, ("O2", "", "F")), ("01911", ("O8", "", "F"))} <= results
    assert ("01912", ("O11", "", "F")) in results
    assert not [one for one in results if one[1][0] == "O10"], "a result of who lent the card"
    assert ("01911", ("O1", "", "P")) not in results, "a preliminary one is for who ordered it"
    assert not [one for one in results if one[1][0] == "O7"], "an HIV result that names no orderer"
