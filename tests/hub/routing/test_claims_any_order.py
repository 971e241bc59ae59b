"""A claim among its payers, and its papers on their way to the app: who hears of what, and that neither order nor repetition changes it.

A payer can only speak of what it was sent, so each word comes behind what it is about, and two words under one version stay in
the order in which it wrote them; everything else may come in any order.
"""

from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.bus import Out
from hub.contract.events import derive, new_id, revision_rank
from hub.routing import secondary
from hub.routing.projections import projection_id
from tests.hub.routing.memory_hub import MemoryHub
from tests.hub.routing.story import DISTRICT, claim

CARD, SOLDIER, POLICY, OTHER = "GD4010012345678", "QN5970012345678", "LVG2026001", "SBI77"
COPIES = {POLICY: "luavang", OTHER: "saobien"}


def claimed(minute, *cards, payer="vss", **content):
    """A revision of the claim; its payer, and who gets copies of it."""
    label = content.pop("sensitivity", "")
    summary = {"ma_lk": "C1", "ma_the_bhyt": ";".join(cards), "t_tongchi_bv": Decimal(1000 + minute), "t_nguonkhac": Decimal(100)}
    event = claim(minute=minute, **({"xml1": summary} | content))
    event["meta"]["sensitivity"] = label
    copies = [COPIES[card] for card in cards if card in COPIES] if not label and event["action"] == "SUBMITTED" else []
    return event, payer, copies


PAPERS = {"xml7": [{"ma_lk": "C1", "ngay_ct": "20261123"}]}
CLAIMS = [
    claimed(0, CARD, POLICY, **PAPERS),
    claimed(10, CARD, POLICY, OTHER),
    claimed(15, CARD, action="CANCELLED"),
    claimed(20, SOLDIER, POLICY, payer="defence", **PAPERS),
    claimed(30, CARD, POLICY, sensitivity="HIV", **PAPERS),
    claimed(40, CARD, OTHER, xml8=[{"ma_lk": "C1"}]),
    claimed(50, CARD),
    claimed(60, SOLDIER, POLICY, OTHER, payer="defence"),
    claimed(70, "", action="CANCELLED"),
]


def word(about, about_id, revision, payer, verdict, order, *, another="", **content):
    """What a payer says of a claim event that it was sent; the `order`-th time that it speaks of it.

    another: makes it another event under the same version.
    """
    meta = about["meta"]
    content = {
        "payer": payer,
        "ma_cskcb": DISTRICT,
        "ma_lk": "C1",
        "claim_event_id": about_id,
        "claim_revision": revision,
    } | content
    content |= {"verdict": verdict}
    own = {**revision, "version": order}
    return derive(
        "hie.ClaimDecision",
        content,
        parents=[about],
        rule=f"word-{order}{another}",
        facility=DISTRICT,
        key=meta["key"],
        revision=own,
        to=payer,
    )


def passed_id(decision, *, shared):
    return new_id(
        "hie.ClaimDecision", decision["meta"]["event_id"], "decision-checked-shared" if shared else "decision-checked", ""
    )


def story():
    """Id to (topic, event, id of what it comes behind)."""
    found = {}
    for number, (event, payer, copies) in enumerate(CLAIMS):
        claim_id, revision = event["meta"]["event_id"], event["meta"]["revision"]
        found[claim_id] = ("claim.v1", event, "")
        most = 5 * (len(CLAIMS) - number)  # the newer the claim, the lower the versions
        words = [("INFORMATION_REQUESTED", 1, {"answer_by": "20261130"}), ("ACCEPTED", most, {"t_bhtt_gd": Decimal(800)})]
        words += [("REJECTED", most + 1, {"t_bhtt_gd": Decimal(0)})]
        words += [("PAID", most + paid, {"paid": Decimal(790)}) for paid in (2, 3)]  # half each
        for verdict, order, content in words if event["action"] == "SUBMITTED" else [("CANCELLED", 1, {})]:
            said = word(event, projection_id(claim_id, payer), revision, payer, verdict, order, **content)
            said_id = said["meta"]["event_id"]
            found[said_id] = (f"payer.{payer}.decision.v1", said, claim_id)
            if verdict not in secondary.DECIDED:
                continue
            if payer == "defence":  # which runs a system of its own
                about = projection_id(claim_id, payer)
                again = word(event, about, revision, payer, "REJECTED", order, another="again", t_bhtt_gd=Decimal(1))
                SECOND.add(again["meta"]["event_id"])
                found[again["meta"]["event_id"]] = (f"payer.{payer}.decision.v1", again, said_id)
            for code in copies:
                copy = secondary.copy_id(claim_id, passed_id(said, shared=True), code)
                for version in (1, 3):
                    answer = word(said, copy, secondary.above(revision, order), code, "ACCEPTED", version)
                    found[answer["meta"]["event_id"]] = (f"payer.{code}.decision.v1", answer, said_id)
    return found


SECOND: set[str] = set()
"""Words under a version that their payer had used."""
STORY = story()


def in_an_order_that_can_be(ids):
    """The ids, each behind what it comes behind; those that lack it are left out."""
    done, waiting = [], list(ids)
    while waiting:
        ready = next((one for one in waiting if STORY[one][2] in ("", *done)), None)
        if ready is None:
            break
        waiting.remove(ready)
        done.append(ready)
    return done


@st.composite
def told_in_two_orders(draw):
    """Some of the story, straight and shuffled with repetitions."""
    some = in_an_order_that_can_be([one for one in STORY if draw(st.integers(0, 3))])
    again = draw(st.lists(st.sampled_from(some), max_size=6)) if some else []
    return some, in_an_order_that_can_be(draw(st.permutations([*some, *again])))


def seen_by_payers(events):
    """(topic, id, what stands in it) of all that payers were sent, but for what it supersedes: that is what was known by then."""
    return {
        (topic, event["meta"]["event_id"], event["action"], revision_rank(event["meta"]["revision"]), str(event.get("prior")))
        for topic, event in events
        if topic.startswith("payer.")
    }


def end_of(ids):
    hub = MemoryHub()
    for one in ids:
        topic, event, _behind = STORY[one]
        hub.route(topic, [event])
    assert hub.refused == [("DECISION_MISMATCH", "meta.revision.version")] * len(SECOND & set(ids))
    facts = {name: (rank, fact.data) for name, (rank, fact) in hub.facts.items()}
    others = [(topic, event) for (topic, _), event in hub.others.items()]
    return hub, (hub.told, seen_by_payers(others), {(topic, id_) for topic, id_ in hub.others if topic == "receipt.v1"}, facts)


@given(told_in_two_orders())
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_order_and_any_repetition_give_the_same_end(orders):
    straight, shuffled = orders
    assert end_of(shuffled)[1] == end_of(straight)[1]


@given(told_in_two_orders())
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_in_the_end_only_those_whom_the_newest_claim_is_for_have_one(orders):
    _straight, shuffled = orders
    hub, _end = end_of(shuffled)
    routed = [(event, payer, copies) for event, payer, copies in CLAIMS if event["meta"]["event_id"] in shuffled]
    newest = {}
    for (topic, _), event in hub.others.items():
        if topic.startswith("payer."):
            newest.setdefault(topic.split(".")[1], []).append((revision_rank(event["meta"]["revision"]), event["action"]))
    if routed:
        event, payer, copies = routed[-1]
        holders = {code for code, words in newest.items() if max(words)[1] == "SUBMITTED"}
        assert holders <= {payer, *copies}
        assert payer in holders or event["action"] == "CANCELLED"


@given(told_in_two_orders())
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_words_passed_on_stand_by_claim_then_by_copy_then_by_version_and_none_is_level_with_another(orders):
    _straight, shuffled = orders
    hub, _end = end_of(shuffled)
    for payer in ("vss", "defence", *COPIES.values()):
        passed = [event for event in hub.derived if "verdict" in event and event["payer"] == payer]
        ranks = {event["meta"]["event_id"]: revision_rank(event["meta"]["revision"]) for event in passed}
        written = {
            passed_id(event, shared=shared): (revision_rank(event["claim_revision"]), event["meta"]["revision"]["version"])
            for topic, event, _behind in STORY.values()
            if topic == f"payer.{payer}.decision.v1"
            for shared in (True, False)
        }
        assert sorted(ranks, key=ranks.__getitem__) == sorted(ranks, key=written.__getitem__)
        assert len(set(ranks.values())) == len(ranks)
        copies = [event for (topic, _), event in hub.others.items() if topic == f"payer.{payer}.claim.v1"]
        assert len({revision_rank(event["meta"]["revision"]) for event in copies}) == len(copies)


@given(told_in_two_orders())
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_papers_go_to_the_portal_of_each_claim_that_may_show_them_and_each_cancellation_of_a_newer_one(orders):
    _straight, shuffled = orders
    hub, _end = end_of(shuffled)
    shown, given = set(), False
    for event, _payer, _copies in CLAIMS:  # the oldest first
        if event["meta"]["event_id"] not in shuffled:
            continue
        papers = bool({"xml7", "xml8"} & set(event)) and not event["meta"]["sensitivity"]
        if papers or (given and event["action"] == "CANCELLED"):
            shown.add(event["meta"]["event_id"])
        given = given or papers
    assert {one for recipient, one in hub.told if recipient == "portal"} == shown


@given(told_in_two_orders())
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
def test_and_so_it_is_with_the_real_case_index(new_hub, orders):
    straight, shuffled = orders
    hub = new_hub()
    for one in shuffled:
        topic, event, _behind = STORY[one]
        packed = Out(topic, event["meta"]["key"], hub.router.wire.pack(topic, event))
        hub.route(topic, [hub.record(topic, packed)])
    told, seen, _receipts, _facts = end_of(straight)[1]
    deliveries = {(one["recipient"], one["subject_event_id"]) for one in hub.deliveries.values() if one["recipient"]}
    assert deliveries == told
    sent = {row[:4] for row in seen_by_payers((topic, event) for topic, event in hub.others if ".claim." in topic)}
    assert sent == {row[:4] for row in seen}
