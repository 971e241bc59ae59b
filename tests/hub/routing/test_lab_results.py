"""Orders and results find each other, whichever comes first."""

import pytest

from adapters.dialects.profile import load_dialect
from adapters.dialects.render import as_hl7
from hub.contract.directory import use_directory
from hub.contract.errors import HubError
from hub.contract.events import decode, encode
from hub.routing.stream import Deliver, Nobody, Recall
from tests.adapters.dialects.said import PV1, mapped, only
from tests.hub.routing.memory_hub import MemoryHub
from tests.hub.routing.story import (
    BORROWER,
    COMMUNE,
    DISTRICT,
    KEYRING,
    LAB,
    LENDER,
    MORNING,
    PROVINCE,
    STREAMS,
    TOPICS,
    decided,
    known_of,
    order,
    person,
    referral,
    registered,
    result,
)

OTHER_LAB = "01921"
RESULTS, ORDERS = "lab-result.v1", "lab-order.v1"
TO_ORDERER = Deliver(PROVINCE, "result-to-orderer")


def orders(*events):
    return known_of(ORDERS, *events)


def waiting(*events):
    return known_of(RESULTS, *events, kinds=["result"])


def test_a_result_goes_to_whoever_ordered_it():
    assert decided(RESULTS, result(), orders(order())) == [TO_ORDERER]


def test_a_test_that_is_cancelled_beside_a_new_one_goes_out_too_and_the_result_of_the_new_one_comes_back():
    placed, cancelled = order(services=[{"code": "A"}]), order(action="CANCELLED", services=[{"code": "B"}])
    assert decided(ORDERS, placed) == decided(ORDERS, cancelled) == [Deliver(LAB, "order-to-laboratory")]
    assert decided(RESULTS, result(), orders(placed, cancelled)) == [TO_ORDERER]
    hub = MemoryHub()
    hub.route(ORDERS, [placed, cancelled])
    assert hub.told == {(LAB, placed["meta"]["event_id"]), (LAB, cancelled["meta"]["event_id"])}


def test_a_result_that_names_its_orderer_needs_no_order():
    assert decided(RESULTS, result(orderer=PROVINCE)) == [TO_ORDERER]


def test_a_named_orderer_decides_against_an_order_with_the_same_number():
    assert decided(RESULTS, result(orderer=DISTRICT), orders(order())) == [Deliver(DISTRICT, "result-to-orderer")]


def test_an_order_of_another_person_under_the_same_number_is_not_its_order():
    assert decided(RESULTS, result(), orders(order(person=person("001090000002")))) == [Nobody("nobody-result-unordered")]


def test_a_result_whose_order_has_not_come_waits():
    assert decided(RESULTS, result()) == [Nobody("nobody-result-unordered")]


def test_what_nobody_is_found_to_have_ordered_is_told_apart_only_where_work_is_for_others():
    assert decided(RESULTS, result(lab=PROVINCE)) == [Nobody("nobody-result")]


@pytest.mark.parametrize("lab", ["99999", "Phòng xét nghiệm Hòa Bình", ""])
def test_that_the_directory_does_not_know_the_sender_is_told_where_nobody_is_found(lab):
    assert decided(RESULTS, result(lab=lab)) == [Nobody("nobody-result-stranger")]
    assert decided(RESULTS, result(lab=lab, orderer=PROVINCE)) == [TO_ORDERER]


def test_an_order_fetches_the_results_that_came_before_it():
    assert decided(ORDERS, order(), waiting(result())) == [
        Deliver(LAB, "order-to-laboratory"),
        Recall("lab-result.v1/0/0", PROVINCE, "result-to-orderer"),
    ]


def test_an_order_does_not_fetch_what_names_another_orderer():
    assert decided(ORDERS, order(), waiting(result(orderer=DISTRICT))) == [Deliver(LAB, "order-to-laboratory")]


@pytest.mark.parametrize("performer", ["", PROVINCE])
def test_an_order_within_the_house_is_for_nobody(performer):
    assert decided(ORDERS, order(performer=performer)) == [Nobody("nobody-order")]


def test_an_unknown_laboratory_makes_the_order_wait():
    with pytest.raises(HubError) as waits:
        decided(ORDERS, order(performer="99999"))
    assert waits.value.code == "RECEIVER_UNKNOWN"


@pytest.mark.parametrize("action", ["ACCEPTED", "IN_PROGRESS", "COMPLETED", "REFUSED", "CANCELLED"])
def test_what_a_laboratory_says_of_an_order_goes_to_whoever_ordered(action):
    """Found by the number and the laboratory; the patient must not be another, and of what stops an order has to be the same."""
    answer = order(by=LAB, performer="", action=action)
    assert decided(ORDERS, answer, orders(order())) == [Deliver(PROVINCE, "answer-to-orderer")]
    nobody = decided(ORDERS, order(by=LAB, performer="", action=action, person={}), orders(order()))
    assert (nobody == [Deliver(PROVINCE, "answer-to-orderer")]) == (action != "CANCELLED"), "it may be of an order of its own"
    assert decided(ORDERS, answer, orders(order(person=person("001090000002")))) == [Nobody("nobody-order")]
    looked = {ref.ref for ref in STREAMS[ORDERS].lookups(answer, KEYRING) if ref.kind == "order"}
    assert looked & {fact.ref for fact in STREAMS[ORDERS].facts(order(), KEYRING)}
    assert not any(ref.kind == "order" for ref in STREAMS[ORDERS].lookups(order(), KEYRING)), (
        "of an order nobody looks for another"
    )


@pytest.mark.parametrize("action", ["UNKNOWN", "ZZ", ""])
def test_an_order_of_which_nobody_knows_what_it_says_goes_to_nobody_and_leaves_nothing(action):
    """It may be a laboratory's answer: as a change it would come back to the laboratory, and results would go to who did not order."""
    for unread in (order(action=action), order(by=LAB, performer=PROVINCE, action=action)):
        assert decided(ORDERS, unread, waiting(result())) == [Nobody("nobody-action")]
        assert STREAMS[ORDERS].facts(unread, KEYRING) == STREAMS[ORDERS].lookups(unread, KEYRING) == []


def test_an_answer_that_names_who_ordered_goes_there():
    named = order(by=LAB, performer=PROVINCE, action="REFUSED")
    assert decided(ORDERS, named) == [Deliver(PROVINCE, "answer-to-orderer")]
    assert [fact.kind for fact in STREAMS[ORDERS].facts(named, KEYRING)] == ["answer"], "no result of the orderer's own goes back"
    assert STREAMS[ORDERS].lookups(named, KEYRING) == []


def test_a_result_within_the_house_is_for_nobody():
    own = order(by=LAB, performer="")
    assert decided(RESULTS, result(), orders(own)) == [Nobody("nobody-result")]


def test_order_and_result_look_where_the_other_one_stands():
    for made in (order(), order(performer=""), order(filler="F9")):
        facts = {fact.ref for fact in STREAMS[ORDERS].facts(made, KEYRING)}
        looked = {ref.ref for ref in STREAMS[RESULTS].lookups(result(filler="F9"), KEYRING) if ref.kind == "order"}
        back = {ref.ref for ref in STREAMS[ORDERS].lookups(made, KEYRING)}
        there = {fact.ref for fact in STREAMS[RESULTS].facts(result(filler="F9"), KEYRING) if fact.kind == "result"}
        assert facts & looked
        assert back & there


# --- referrals --------------------------------------------------------------------------------------------------------


def slips(*events):
    return known_of("referral.v1", *events, kinds=["referral-of-person"])


@pytest.mark.parametrize("extra", [[], [referral("ACCEPTED", minute=1)], [referral("ARRIVED", minute=1)]])
def test_a_result_follows_its_person_to_the_receiver_of_an_open_referral(extra):
    assert decided(RESULTS, result(), slips(referral(), *extra)) == [Deliver(DISTRICT, "result-to-receiver")]


def test_but_not_to_that_of_somebody_else_who_has_the_same_word_for_a_patient_number():
    def of(citizen):
        no_number = {"type": "MRN", "value": "KHONG CO", "normalised": "KHONG CO", "issuer": LAB}
        return person(citizen) | {"identifiers": [*person(citizen)["identifiers"], no_number]}

    theirs = slips(referral(person=of("001090000001")))
    assert decided(RESULTS, result(person=of("001090000001")), theirs) == [Deliver(DISTRICT, "result-to-receiver")]
    assert decided(RESULTS, result(person=of("001090000002")), theirs) == [Nobody("nobody-result-unordered")]


KEPT_BACK = Nobody("nobody-other-person")


def test_nor_that_of_somebody_else_who_has_the_same_card_and_it_is_told():
    slip = referral(person=BORROWER)
    assert decided(RESULTS, result(person=BORROWER), slips(slip)) == [Deliver(DISTRICT, "result-to-receiver")]
    assert decided(RESULTS, result(person=LENDER), slips(slip)) == [KEPT_BACK]
    twice = registered("24008888", "HO BAO AN", "20190505")
    assert decided(RESULTS, result(person=twice), slips(slip)) == [Deliver(DISTRICT, "result-to-receiver")]


def test_its_orderer_gets_it_all_the_same_and_nothing_is_told_where_nothing_is_kept_from_anybody():
    slip = referral(person=BORROWER)
    assert decided(RESULTS, result(person=LENDER), [*orders(order(person=LENDER)), *slips(slip)]) == [TO_ORDERER, KEPT_BACK]
    ordered = result(person=LENDER, orderer=DISTRICT)
    assert decided(RESULTS, ordered, slips(slip)) == [Deliver(DISTRICT, "result-to-orderer")]
    for ended in (
        referral("CANCELLED", person=BORROWER),
        referral(person=BORROWER, to=LAB),
        referral(person=BORROWER, to="99999"),
    ):
        assert decided(RESULTS, result(person=LENDER), slips(ended)) == [Nobody("nobody-result-unordered")]


PID = "PID|1||{}~HT3494912003388^^^VSS^HC||{}||{}|{}"
GIRL, MAN = ("24007777", "Hồ^Bảo An", "20190505000000", "F"), ("24001911", "Trần Văn Đức", "19550902", "M")


@pytest.mark.parametrize("first", [RESULTS, "referral.v1"])
@pytest.mark.parametrize("patient", [GIRL, MAN])
def test_a_slip_brings_the_results_of_its_patient_alone_whichever_comes_first(first, patient):
    def sent(who):
        return only(mapped("ADT^A04", PID.format(*who), PV1, facility=COMMUNE))["person"]

    slip, said = referral(person=sent(GIRL)), result(person=sent(patient), lab=COMMUNE)
    hub = MemoryHub()
    for topic, event in sorted([("referral.v1", slip), (RESULTS, said)], key=lambda one: one[0] != first):
        hub.route(topic, [event])
    assert {to for to, event_id in hub.told if event_id == said["meta"]["event_id"]} == ({DISTRICT} if patient == GIRL else set())


def test_a_slip_that_is_corrected_brings_what_its_mistake_kept_back():
    said, wrong = result(person=BORROWER), referral(person=LENDER | {"identifiers": BORROWER["identifiers"]})
    hub = MemoryHub()
    for record, event in (("hie.LabResult", said), ("hie.Referral", wrong)):
        hub.route(TOPICS[record], [event])
    assert (DISTRICT, said["meta"]["event_id"]) not in hub.told
    hub.route("referral.v1", [referral("MODIFIED", minute=9, person=BORROWER)])
    assert (DISTRICT, said["meta"]["event_id"]) in hub.told


@pytest.mark.parametrize("authority", ["", "BVN"])
def test_a_baby_that_has_but_a_patient_number_is_known_by_it_in_what_a_laboratory_sends_back(authority):
    """Its PID goes through the laboratory as the hub wrote it; one of the same number in another hospital is somebody else."""

    def baby(home):
        pid = f"PID|1||26042555^^^{authority}^MR||CB^TRẦN THỊ MAI||20261123|F"
        return only(mapped("ADT^A04", pid, PV1, facility=home))["person"]

    def echoed(home):
        written = as_hl7(
            "hie.LabOrder",
            order(by=home, person=baby(home)),
            load_dialect("_standard"),
            now=MORNING,
            control_id="C-1",
            receiving_facility=LAB,
        ).decode()
        pid = next(row for row in written.split("\r") if row.startswith("PID|"))
        return only(mapped("ORU^R01", pid, "OBR|1|O1|F1|TSH", "OBX|1|NM|TSH||45|mIU/L||HH|||F", facility=LAB))["person"]

    def of_baby(home):
        made = result(person=echoed(home))
        looked = {ref.ref for ref in STREAMS[RESULTS].lookups(made, KEYRING)}
        return decided(RESULTS, made, [one for one in slips(referral(person=baby(COMMUNE))) if one.ref in looked])

    assert of_baby(COMMUNE) == [Deliver(DISTRICT, "result-to-receiver")]
    assert of_baby(PROVINCE) == [Nobody("nobody-result-unordered")]


@pytest.mark.parametrize("action", ["REJECTED", "EXPIRED"])
def test_but_not_when_the_referral_has_ended(action):
    assert decided(RESULTS, result(), slips(referral(), referral(action, minute=1))) == [Nobody("nobody-result-unordered")]


def test_nor_when_it_was_cancelled():
    assert decided(RESULTS, result(), slips(referral("CANCELLED"))) == [Nobody("nobody-result-unordered")]


def test_a_slip_to_an_unknown_facility_does_not_keep_the_result_from_its_orderer():
    known = [*orders(order()), *slips(referral(to="99999"))]
    assert decided(RESULTS, result(), known) == [TO_ORDERER]


def test_a_facility_that_ordered_and_receives_is_told_once():
    both = [*orders(order(by=DISTRICT)), *slips(referral())]
    assert decided(RESULTS, result(), both) == [Deliver(DISTRICT, "result-to-orderer")]


@pytest.mark.parametrize(
    ("flag", "lane"), [("HH", "urgent"), ("<", "urgent"), ("H", "urgent"), ("A", "urgent"), ("POS", "urgent"), ("N", "routine")]
)
def test_abnormal_and_critical_values_take_the_urgent_lane(flag, lane):
    flagged = result(orderer=PROVINCE, observations=[{"flags": [flag], "code": {}}])
    assert decided(RESULTS, flagged) == [Deliver(PROVINCE, "result-to-orderer", lane)]
    _to_laboratory, *recalled = decided(ORDERS, order(), waiting(result(observations=flagged["observations"])))
    assert recalled == [Recall("lab-result.v1/0/0", PROVINCE, "result-to-orderer", lane)]


def test_results_that_waited_are_given_as_they_were_stated():
    said = [result(minute=minute, status=status) for minute, status in enumerate("PFCX", start=1)]
    places = {f"lab-result.v1/0/{at}": one["status"] for at, one in enumerate(reversed(said))}
    told = [one for one in decided(ORDERS, order(), waiting(*reversed(said))) if isinstance(one, Recall)]
    assert [places[one.place] for one in told] == ["P", "F", "C", "X"]
    slip = [*known_of("referral.v1", referral()), *known_of(RESULTS, *reversed(said), kinds=["result-of-person"])]
    told = [one for one in decided("referral.v1", referral(), slip) if isinstance(one, Recall)]
    assert [places[one.place] for one in told] == ["F", "C", "X"]


@pytest.fixture
def merged_laboratory(tmp_path):
    """A directory in which one laboratory closes on the day of the story, and another takes over."""
    rows = ["code,name,kind,province,valid_from,valid_to,successor", f"{PROVINCE},A,hospital,01,2019-01-01,,"]
    rows += [f"{OTHER_LAB},B,laboratory,01,2019-01-01,,", f"{LAB},C,laboratory,01,2019-01-01,2026-11-23,{OTHER_LAB}"]
    (tmp_path / "facilities.csv").write_text("\n".join(rows), "utf-8")
    use_directory(tmp_path)
    yield
    use_directory(None)


@pytest.mark.usefixtures("merged_laboratory")
@pytest.mark.parametrize(("days", "rule"), [(1, "result-to-orderer"), (0, "nobody-result-unordered")], ids=["after", "before"])
def test_a_laboratory_answers_the_orders_of_one_that_was_merged_into_it(days, rule):
    hub = MemoryHub()
    hub.route(ORDERS, [order()])
    answer = result(lab=OTHER_LAB, minute=days * 24 * 60, person={"ho_ten": "LÊ HOA"})
    (told,) = decided(RESULTS, answer, hub.find(STREAMS[RESULTS].lookups(answer, KEYRING)))
    assert told.rule == rule


# --- how long a result is worth something


@pytest.mark.parametrize(
    ("service", "flags", "sampled", "wanted"),
    [
        ("23.0083.1523", [], "20260924", True),  # biochemistry: 60 days
        ("23.0083.1523", [], "20260923", False),
        ("22.0120.1370", [], "20261116", True),  # haematology: 7 days
        ("22.0120.1370", [], "20261115", False),
        ("24.0005.1716", ["POS"], "20261024", True),  # microbiology: positives 30 days
        ("24.0005.1716", [], "20261024", False),
        ("24.0005.1716", [], "20261121", True),
        ("GLU", [], "20261024", True),  # of a kind that its code does not tell: 30 days
        ("GLU", [], "20261023", False),
    ],
)
def test_results_go_with_a_slip_while_their_kind_is_valid_from_the_sample_on(service, flags, sampled, wanted):
    observations = [{"flags": flags, "code": {}}]
    old = result(sampled_at=sampled + "0800", service={"code": service}, observations=observations, minute=-60)
    known = [*known_of("referral.v1", referral()), *known_of(RESULTS, old, kinds=["result-of-person"])]
    told = [one for one in decided("referral.v1", referral(), known) if isinstance(one, Recall)]
    assert bool(told) is wanted


def test_a_sample_of_the_future_is_taken_for_one_of_the_day_it_was_received():
    (fact,) = known_of(RESULTS, result(sampled_at="20991231", service={"code": "22.1"}), kinds=["result-of-person"])
    assert fact.data["worth_until"] == "2026-11-30"


def test_an_alternate_code_tells_the_kind_too():
    own = {"code": "CBC", "alt_code": "22.0120.1370"}
    (fact,) = known_of(RESULTS, result(service=own), kinds=["result-of-person"])
    assert fact.data["worth_until"] == "2026-11-30"


def test_an_hiv_result_goes_to_its_orderer_only():
    held = result(sensitivity="HIV")
    stream_refs = {fact.kind for fact in known_of(RESULTS, held)}
    assert "result-of-person" not in stream_refs
    assert decided(RESULTS, held) == [Nobody("nobody-held-sensitive")]
    assert decided(RESULTS, held, orders(order())) == [TO_ORDERER]


# --- results of nobody


def test_a_result_of_nobody_goes_to_nobody_even_if_its_orderer_is_known():
    for nobody in ({}, {"ngay_sinh": "19800304", "gioi_tinh": "2"}, {"identifiers": [], "ho_ten": ""}):
        unnamed = result(orderer=PROVINCE, person=nobody)
        assert decided(RESULTS, unnamed, orders(order())) == [Nobody("nobody-unnamed")]
        assert decided(RESULTS, result(person=nobody, sensitivity="HIV")) == [Nobody("nobody-unnamed")]
        assert STREAMS[RESULTS].lookups(unnamed, KEYRING) == []


def test_a_result_of_nobody_that_is_withdrawn_by_its_number_goes_to_whoever_has_the_values():
    withdrawn = result(person={}, status="X")
    assert decided(RESULTS, withdrawn, orders(order())) == [TO_ORDERER]
    assert decided(RESULTS, result(orderer=PROVINCE, person={}, status="X")) == [TO_ORDERER]
    assert [fact.kind for fact in known_of(RESULTS, withdrawn)] == ["result"], "of its number alone: no person, no slip"
    assert decided(RESULTS, result("", orderer=PROVINCE, person={}, status="X")) == [Nobody("nobody-unnamed")]


def test_an_order_of_nobody_goes_to_no_laboratory_but_what_stops_one_does():
    unnamed = order(person={"ngay_sinh": "19800304"})
    assert decided(ORDERS, unnamed, waiting(result())) == [Nobody("nobody-unnamed")]
    assert STREAMS[ORDERS].lookups(unnamed, KEYRING) == STREAMS[ORDERS].facts(unnamed, KEYRING) == []
    for action in ("CANCELLED", "HELD"):
        assert decided(ORDERS, order(person={}, action=action)) == [Deliver(LAB, "order-to-laboratory")]


@pytest.mark.parametrize("somebody", [{"ho_ten": "LÊ HOA"}, {"identifiers": [{"type": "MRN", "value": "7", "issuer": LAB}]}])
def test_a_name_or_a_number_alone_is_somebody(somebody):
    assert decided(RESULTS, result(orderer=PROVINCE, person=somebody)) == [TO_ORDERER]


def test_no_order_fetches_a_result_of_nobody_but_the_same_with_its_patient_goes_out(new_hub):
    unnamed = result(person={}, ket_luan="5.4")
    assert known_of(RESULTS, unnamed) == []
    hub = new_hub()
    hub.send(("hie.LabResult", unnamed), ("hie.LabOrder", order(by=DISTRICT, minute=1)))
    assert delivered(hub) == []
    hub.send(("hie.LabResult", result(minute=2, ket_luan="5.4")))
    assert delivered(hub) == ["5.4"]


# --- several results under one number


GLUCOSE, SODIUM = {"service": {"code": "GLU"}}, {"service": {"code": "NA"}}


def delivered(hub):
    """What was delivered, by what it says."""
    conclusions = {}
    for one in hub.deliveries.values():
        _record, event = hub.router.wire.unpack(one["body"]) if one["body"] else ("", {})
        if one["recipient"] == DISTRICT:
            conclusions[one["subject_event_id"]] = event["ket_luan"]
    return sorted(conclusions.values())


def panel(minute, glucose, sodium):
    """Two results of one order in one message, as a laboratory sends a panel."""
    return [
        ("hie.LabResult", result(minute=minute, orderer=DISTRICT, ket_luan=text, **service))
        for service, text in ((GLUCOSE, glucose), (SODIUM, sodium))
    ]


def test_a_correction_beside_an_unchanged_result_of_the_same_order_is_delivered(new_hub):
    hub = new_hub()
    hub.send(*panel(1, "5.4", "139"), *panel(2, "5.4", "141"))
    assert delivered(hub) == ["139", "141", "5.4"]


def test_a_panel_said_again_is_a_repeat_of_each_of_its_results(new_hub):
    hub = new_hub()
    hub.send(*panel(1, "5.4", "139"), *panel(2, "5.4", "139"))
    assert delivered(hub) == ["139", "5.4"]


def test_one_that_is_late_is_not_taken_for_an_older_one_of_another_service(new_hub):
    hub = new_hub()
    first, late, again = panel(1, "5.4", "139"), panel(2, "5.4", "139"), panel(3, "5.4", "139")
    hub.send(first[0], again[0], late[1])
    assert delivered(hub) == ["139", "5.4"]


def test_two_of_one_service_in_one_message_stand_beside_each_other(new_hub):
    hub = new_hub()

    def twice(minute, fasting, after):
        return [("hie.LabResult", result(minute=minute, orderer=DISTRICT, ket_luan=text, **GLUCOSE)) for text in (fasting, after)]

    hub.send(*twice(1, "5.4", "7.0"), *twice(2, "5.4", "9.9"))
    assert delivered(hub) == ["5.4", "7.0", "9.9"]


@pytest.mark.parametrize("flags", [[], ["N"], ["H"], ["N", "LL"]])
def test_what_is_left_unread_of_its_lines_changes_nothing_of_where_a_result_goes(flags):
    stream = STREAMS[RESULTS]
    code = {"code": "718-7"}
    lines = [{"code": code, "gia_tri": "95", "flags": []}, {"code": code, "gia_tri": "9.8", "flags": flags, "notes": ["x"]}]
    body = encode(stream.record, result(observations=lines))
    whole, read = decode(stream.record, body), decode(stream.record, body, rows=stream.rows)
    assert read["observations"] == [{"flags": []}, {"flags": flags}]
    for part in (lambda event: stream.facts(event, KEYRING), lambda event: stream.lookups(event, KEYRING), stream.side):
        assert part(read) == part(whole)
    assert decided(RESULTS, read, orders(order())) == decided(RESULTS, whole, orders(order()))
