"""The referral as a workflow of two sides: who hears of what, and that neither order nor repetition changes it."""

from itertools import groupby

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.bus import Out
from hub.contract.directory import directory_file, heir, payers, use_directory
from hub.contract.events import sparse
from hub.routing import deadlines
from hub.routing.slips import slip_of
from hub.routing.stream import Found
from tests.hub.routing.memory_hub import MemoryHub
from tests.hub.routing.story import COMMUNE, DISTRICT, MORNING, PROVINCE, TOPICS, check_in, person, referral, result

THIRD, FOURTH, HEIR = "01911", "01914", "01920"  # the third was merged into its heir before the story begins
TODAY = MORNING.date()
LATER = MORNING.replace(year=2028)


def slip_check_in(ma_lk, at, **content):
    return ("hie.Encounter", check_in(ma_lk, at=at, slip="S1", ma_noi_di=COMMUNE, **content))


def rejected(by, minute, onward=""):
    return ("hie.Referral", referral("REJECTED", minute=minute, to=by, redirect_to=onward))


SOLDIER, POLICE = person("001090000001", "QN5970012345678"), person("001090000001", "CA5980012345678")
ISSUED = ("hie.Referral", referral(person=SOLDIER))
MOVED = ("hie.Referral", referral("MODIFIED", minute=30, to=THIRD, expires_on="20261214", person=POLICE))
CANCELLED = ("hie.Referral", referral("CANCELLED", minute=50, to=THIRD))
ONWARD = rejected(DISTRICT, 5, PROVINCE)
STORY = [
    ("hie.LabResult", result(minute=0, status="P")),
    ("hie.LabResult", result(minute=1)),
    ISSUED,
    ONWARD,
    rejected(PROVINCE, 10, FOURTH),
    ("hie.Referral", referral("ACCEPTED", minute=12, to=FOURTH)),
    ("hie.Referral", referral("ACCEPTED", minute=14, to=PROVINCE)),
    slip_check_in("LK1", DISTRICT, minute=20),
    ("hie.Encounter", check_in("LK1", minute=25, action="CANCELLED")),
    slip_check_in("LK1", DISTRICT, minute=28, ngay_vao="202611230915"),
    ("hie.LabResult", result("O2", minute=29)),
    # The issuer names the one that it had gone on to itself, and no card, so that the default payer's it is.
    ("hie.Referral", referral("MODIFIED", minute=29, to=PROVINCE)),
    MOVED,
    slip_check_in("LK4", HEIR, minute=36, ngay_vao="202611261000"),
    rejected(HEIR, 35, DISTRICT),
    ("hie.Referral", referral("MODIFIED", minute=40, priority="S", person=SOLDIER)),  # to the first again, and the first payer
    slip_check_in("LK2", PROVINCE, minute=42, ngay_vao="202611241000"),
    slip_check_in("LK3", FOURTH, minute=44, ngay_vao="202611251000"),
    ("hie.Referral", referral("ACCEPTED", minute=46, to=DISTRICT)),
    rejected(FOURTH, 48, DISTRICT),  # a circle
    rejected("01940", 47, "01912"),  # of somebody who never had it
    ("hie.LabResult", result("O3", minute=49, lab=HEIR)),
    CANCELLED,
]
RESULTS = {event["meta"]["event_id"] for record, event in STORY if record == "hie.LabResult"}


@pytest.fixture
def merged(tmp_path_factory):
    """The shipped directory, but that the third facility was merged into its heir."""
    folder = tmp_path_factory.mktemp("directory")
    rows = directory_file(None).read_text("utf-8").splitlines()
    named = [f"{row.removesuffix(',,')},2026-06-30,{HEIR}" if row.startswith(THIRD) else row for row in rows]
    (folder / "facilities.csv").write_text("\n".join(named), "utf-8")
    use_directory(folder)
    yield
    use_directory(None)


def expire(hub, pool):
    """The time of everything that is due comes, on a hub with the real case index."""
    with pool.connection() as database:
        deadlines.fire(database, hub.published, hub.router.wire, LATER)
    hub.follow()


def batches(events, together):
    """Events one by one, or those of a topic that stand together in one batch: (topic, events)."""
    if not together:
        return [(TOPICS[record], [event]) for record, event in events]
    return [(topic, [event for _, event in group]) for topic, group in groupby(events, key=lambda one: TOPICS[one[0]])]


def facts_of(pool):
    with pool.connection() as database:
        rows = database.execute("select kind, ref, id, data, event_id::text, place from case_fact where kind = 'referral'")
        return [Found(*row) for row in rows]


def slip(hub, pool):
    return state_of(facts_of(pool))


def state_of(facts):
    found = slip_of(referral()["meta"]["key"], facts)
    return found and (found.path, found.state, found.answer, found.arrivals, found.expired, found.open, found.held)


def derived(hub, action):
    """What the hub itself said of slips."""
    return [event for topic, event in hub.others if topic == "referral.v1" and event["action"] == action]


def heard(hub):
    """(recipient, action) of what facilities know of the slip."""
    return {
        (one["recipient"], hub.router.wire.unpack(one["body"])[1].get("action"))
        for one in hub.deliveries.values()
        if one["subject_record"] == "hie.Referral" and one["recipient"] not in ("", "portal", *payers())
    }


@st.composite
def told_in_two_orders(draw):
    """Some of the story, straight and shuffled with repetitions.

    Expiry and further use are judged when their time comes, so what comes before that and what after it is drawn once.
    """
    happened = [one for one in STORY if draw(st.booleans())]
    late = [one for one in happened if draw(st.integers(0, 4)) == 0]
    straight = [[one for one in happened if one not in late], late]
    shuffled = []
    for part in straight:
        again = draw(st.lists(st.sampled_from(part), max_size=4)) if part else []
        shuffled.append(batches(draw(st.permutations([*part, *again])), together=draw(st.booleans())))
    return [batches(part, together=False) for part in straight], shuffled


def settled(told, facts):
    """What was delivered to facilities and the portal: everything but withdrawals and results; who of those that the slip does
    not come to in the end heard of a withdrawal; and the results that whoever has it now was given.

    A facility that the slip comes to again before its withdrawal is routed is not told, and one that has it only until more is
    known is given the results that are known by then: both depend on when what is routed.
    """
    told = {one for one in told if one[0] not in payers()}
    withdrawn = {fact.id.partition("/")[2] for fact in facts if fact.id.startswith("withdrawn/")}
    end = state_of(facts)
    path, is_open, held = ([heir(code, TODAY) for code in end[0]], end[5], end[6]) if end else ([""], False, set())
    others = {recipient for recipient, event_id in told if event_id in withdrawn} - set(path)
    given = {one for one in told if one[1] in RESULTS}
    assert {recipient for recipient, _ in given} <= {heir(code, TODAY) for code in held}, "nobody else ever"
    due = {one for one in given if one[0] == path[-1]} if is_open else set()
    return {one for one in told if one[1] not in withdrawn | RESULTS}, others, due


def of_payers(others, told, facts):
    """What stands on payers' topics: all that is stated of the slip, and that it is withdrawn; and what whoever is its payer in the
    end heard besides: by event id and content.

    One that was its payer in between has what came until then, which depends on when what is routed.
    """
    found, heard = {}, set()
    for topic, event in others:
        if topic.startswith("payer."):
            payer, meta = topic.split(".")[1], event["meta"]
            content = sparse({name: part for name, part in event.items() if name != "meta"})
            found[payer, meta["event_id"]] = (event["action"], content, meta["causes"])
            heard.add((payer, *meta["causes"]))
    assert heard == {one for one in told if one[0] in payers()}, "each stands in the books, and nothing else does"
    slip = slip_of(referral()["meta"]["key"], facts)
    named = [word.payer for word in slip.words if word.payer not in (None, "=")] if slip else []
    assert {payer for payer, _ in found} <= set(named), "nobody else ever"
    last = named[-1] if named else ""
    words = {fact.event_id for fact in facts if fact.id.startswith(("arrived/", "arrival_cancelled/"))}
    words |= {fact.event_id for fact in facts if fact.id.startswith("said/") and (fact.data["by"] or fact.data["payer"] == "=")}
    assert not last or words <= {causes[0] for (payer, _), (_, _, causes) in found.items() if payer == last}, "all of them"
    stated = {name: said for name, said in found.items() if said[0] in ("ISSUED", "MODIFIED", "WITHDRAWN")}
    return stated, {name: said for name, said in found.items() if name[0] == last}


def end_in_memory(parts):
    """Deliveries, payers' topics, the slip, and all facts without their ranks: what the hub derives bears the revision of the
    causes it knew. Which EXPIRED of a day came first makes no difference."""
    hub = MemoryHub()
    for part in parts:
        for topic, events in part:
            hub.route(topic, events)
        hub.expire()
    facts = {name: (fact.data, name[2] == "expired" or fact.event_id) for name, (_, fact) in hub.facts.items()}
    found = [fact for _, fact in hub.facts.values()]
    others = [(topic, event) for (topic, _), event in hub.others.items()]
    return settled(hub.told, found), of_payers(others, hub.told, found), state_of(found), facts


@pytest.mark.usefixtures("merged")
@given(told_in_two_orders())
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_order_and_any_repetition_give_the_same_end(orders):
    straight, shuffled = orders
    assert end_in_memory(shuffled) == end_in_memory(straight)


@pytest.mark.usefixtures("merged")
@given(told_in_two_orders())
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
def test_and_so_it_is_with_the_real_case_index(new_hub, routing_pool, orders):
    straight, shuffled = orders
    hub = new_hub()
    for part in shuffled:
        for topic, events in part:
            packed = [Out(topic, event["meta"]["key"], hub.router.wire.pack(topic, event)) for event in events]
            hub.route(topic, [hub.record(topic, out) for out in packed])
        expire(hub, routing_pool)
    told = {(one["recipient"], one["subject_event_id"]) for one in hub.deliveries.values() if one["recipient"]}
    facts = facts_of(routing_pool)
    end = (settled(told, facts), of_payers(hub.others, told, facts), slip(hub, routing_pool))
    assert end == end_in_memory(straight)[:3]


def followed(new_hub, routing_pool, *events):
    """A hub that was told these, and where everything that is due has come."""
    hub = new_hub()
    hub.send(*events)
    expire(hub, routing_pool)
    return hub


def receiver_of(hub, routing_pool):
    return slip(hub, routing_pool)[0][-1]


def test_a_slip_goes_on_to_the_facility_that_a_rejecting_one_names(new_hub, routing_pool):
    before, after = ("hie.LabResult", result()), ("hie.LabResult", result("O2", minute=20))
    hub = followed(new_hub, routing_pool, before, ISSUED, ONWARD, after)
    assert {(PROVINCE, "referral-redirected"), (PROVINCE, "result-to-receiver")} <= hub.addressed()
    assert heard(hub) >= {(DISTRICT, "ISSUED"), (COMMUNE, "REJECTED"), (PROVINCE, "ISSUED")}
    assert {(PROVINCE, "EXPIRED"), (COMMUNE, "EXPIRED")} <= heard(hub)
    assert (DISTRICT, "EXPIRED") not in heard(hub)
    results = [one["recipient"] for one in hub.deliveries.values() if one["rule"] == "result-to-receiver"]
    assert sorted(results) == [PROVINCE, PROVINCE, DISTRICT], "what the first one had, and what came later"


def test_a_person_who_comes_where_the_slip_went_has_arrived(new_hub, routing_pool):
    hub = followed(new_hub, routing_pool, ISSUED, ONWARD, slip_check_in("LK2", PROVINCE, minute=42))
    assert (COMMUNE, "ARRIVED") in heard(hub)
    assert "EXPIRED" not in {action for _, action in heard(hub)}


def test_the_next_one_may_name_another_and_circles_end(new_hub, routing_pool):
    hub = followed(new_hub, routing_pool, ISSUED, ONWARD, rejected(PROVINCE, 10, FOURTH))
    assert receiver_of(hub, routing_pool) == FOURTH
    assert (FOURTH, "ISSUED") in heard(hub)
    hub = followed(new_hub, routing_pool, ISSUED, ONWARD, rejected(PROVINCE, 10, DISTRICT))
    assert slip(hub, routing_pool)[0:3] == ((DISTRICT, PROVINCE), "ISSUED", "REJECTED")
    hub = followed(new_hub, routing_pool, ISSUED, rejected(DISTRICT, 5, COMMUNE))
    assert slip(hub, routing_pool)[0:3] == ((DISTRICT,), "ISSUED", "REJECTED")


def test_who_never_had_the_slip_sends_it_nowhere(new_hub, routing_pool):
    hub = followed(new_hub, routing_pool, ISSUED, rejected(THIRD, 5, FOURTH))
    assert receiver_of(hub, routing_pool) == DISTRICT
    assert FOURTH not in {recipient for recipient, _ in heard(hub)}


def test_a_facility_that_the_directory_does_not_have_holds_up_nothing(new_hub, routing_pool):
    hub = followed(new_hub, routing_pool, ISSUED, rejected(DISTRICT, 5, "99999"))
    assert heard(hub) == {(DISTRICT, "ISSUED"), (COMMUNE, "REJECTED"), (COMMUNE, "EXPIRED")}
    with routing_pool.connection() as database:
        assert database.execute("select code from parked").fetchall() == []


def test_whoever_had_a_slip_that_moves_on_is_told_so_and_no_more(new_hub, routing_pool):
    hub = followed(new_hub, routing_pool, ISSUED, ONWARD, MOVED, CANCELLED)
    assert {(recipient, action) for recipient, action in heard(hub) if recipient in (DISTRICT, PROVINCE, THIRD)} == {
        (DISTRICT, "ISSUED"), (DISTRICT, "WITHDRAWN"), (PROVINCE, "ISSUED"), (PROVINCE, "WITHDRAWN"),
        (THIRD, "MODIFIED"), (THIRD, "CANCELLED"),
    }  # fmt: skip
    assert (DISTRICT, "referral-withdrawn") in hub.addressed()
    [notice] = [event for event in derived(hub, "WITHDRAWN") if event["ma_cskcb_den"] == DISTRICT]
    assert (notice["slip"], notice["person"]["identifiers"], notice["diagnoses"]) == ("S1", [], [])
    assert notice["meta"]["revision"]["stated_at"] == MOVED[1]["meta"]["revision"]["stated_at"]


def test_whoever_has_the_slip_again_is_not_told_that_it_is_withdrawn():
    back = ("hie.Referral", referral("MODIFIED", minute=40, to=DISTRICT, expires_on="20261214"))
    hub = MemoryHub()
    for topic, events in batches([ISSUED, MOVED, back], together=True):  # as they come after a pause
        hub.route(topic, events)
    withdrawn = {fact.id.partition("/")[2] for _, fact in hub.facts.values() if fact.id.startswith("withdrawn/")}
    assert {recipient for recipient, event_id in hub.told if event_id in withdrawn} == {THIRD}


def test_who_sent_the_slip_on_is_not_told_that_it_is_withdrawn_while_it_comes_to_it_by_another_way():
    hub = MemoryHub()
    named = ("hie.Referral", referral("MODIFIED", minute=29, to=PROVINCE))  # by the issuer too, where it came by way of the first
    for topic, events in batches([ISSUED, ONWARD, rejected(PROVINCE, 10, FOURTH), named], together=False):
        hub.route(topic, events)
    withdrawn = {fact.id.partition("/")[2] for _, fact in hub.facts.values() if fact.id.startswith("withdrawn/")}
    assert {recipient for recipient, event_id in hub.told if event_id in withdrawn} == {DISTRICT}


def test_a_cancellation_follows_the_slip(new_hub, routing_pool):
    hub = followed(new_hub, routing_pool, ISSUED, ONWARD, ("hie.Referral", referral("CANCELLED", minute=50)))
    assert {(DISTRICT, "CANCELLED"), (PROVINCE, "CANCELLED")} <= heard(hub)


def test_who_takes_back_a_rejection_takes_the_slip_back(new_hub, routing_pool):
    hub = followed(new_hub, routing_pool, ISSUED, ONWARD, ("hie.Referral", referral("ACCEPTED", minute=15)))
    assert receiver_of(hub, routing_pool) == DISTRICT
    assert (PROVINCE, "WITHDRAWN") in heard(hub)


FIRST, SECOND = slip_check_in("LK1", DISTRICT, minute=20), slip_check_in("LK2", DISTRICT, minute=40, ngay_vao="202611241000")
YEAR_LONG = ("hie.Referral", referral(expires_on="20271123"))


@pytest.mark.parametrize("facility", [DISTRICT, FOURTH], ids=["the same", "another facility"])
def test_a_slip_that_is_used_again_is_told_to_both(new_hub, routing_pool, facility):
    hub = followed(new_hub, routing_pool, ISSUED, FIRST, slip_check_in("LK2", facility, minute=40, ngay_vao="202611241000"))
    again = [one["recipient"] for one in hub.deliveries.values() if one["rule"] == "referral-used-again"]
    assert sorted(again) == [DISTRICT, COMMUNE]
    [event] = derived(hub, "USED_AGAIN")
    assert event["by_facility"] == facility


@pytest.mark.parametrize(
    "events",
    [
        [ISSUED, FIRST, slip_check_in("LK1", DISTRICT, minute=40, action="UPDATED")],
        [ISSUED, FIRST, ("hie.Encounter", check_in("LK1", minute=25, action="CANCELLED")), SECOND],
        [ISSUED, FIRST, SECOND, ("hie.Encounter", check_in("LK2", minute=45, action="CANCELLED"))],
        [ISSUED, FIRST, ("hie.Encounter", check_in("LK2", minute=40))],
        [YEAR_LONG, FIRST, SECOND],
    ],
    ids=["the same encounter", "the first in error", "the second in error", "without the slip", "good for a year"],
)
def test_anything_else_is_no_further_use(new_hub, routing_pool, events):
    hub = followed(new_hub, routing_pool, *events)
    assert "referral-used-again" not in {rule for _, rule in hub.addressed()}


def test_a_slip_that_is_good_for_a_year_is_used_again_only_elsewhere(new_hub, routing_pool):
    hub = followed(new_hub, routing_pool, YEAR_LONG, FIRST, slip_check_in("LK2", FOURTH, minute=40, ngay_vao="202703011000"))
    assert (COMMUNE, "referral-used-again") in hub.addressed()


def test_a_slip_whose_arrival_was_an_error_expires(new_hub, routing_pool):
    assert (COMMUNE, "EXPIRED") not in heard(followed(new_hub, routing_pool, ISSUED, FIRST))
    error = ("hie.Encounter", check_in("LK1", minute=25, action="CANCELLED"))
    assert (COMMUNE, "EXPIRED") in heard(followed(new_hub, routing_pool, ISSUED, FIRST, error))
