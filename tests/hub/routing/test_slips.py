"""Who has a slip: drawn from every word by its revision, with facilities compared as who stands for them."""

import random
from datetime import timedelta

import pytest

from hub.contract.directory import use_directory
from hub.routing.slips import slip_of
from hub.routing.stream import Nobody
from tests.hub.routing.memory_hub import MemoryHub
from tests.hub.routing.story import COMMUNE, DISTRICT, MORNING, PROVINCE, check_in, decided, known_of, referral, result

HEIR, FOURTH, FIFTH = "01920", "01914", "01915"
CLOSED = MORNING.date() + timedelta(days=1)  # last day of the district hospital; from the next day on the heir stands for it
DAY = 24 * 60


@pytest.fixture
def merger(tmp_path):
    """A directory in which the district hospital closes and is merged into its heir."""
    rows = ["code,name,kind,province,valid_from,valid_to,successor"]
    rows += [f"{code},A,hospital,01,2019-01-01,," for code in (COMMUNE, PROVINCE, HEIR, FOURTH)]
    rows += [f"{DISTRICT},B,hospital,01,2019-01-01,{CLOSED},{HEIR}"]
    (tmp_path / "facilities.csv").write_text("\n".join(rows), "utf-8")
    use_directory(tmp_path)
    yield
    use_directory(None)


def slip(*words):
    found = slip_of(referral()["meta"]["key"], known_of("referral.v1", *words))
    assert found is not None
    return found


def told(*events):
    """(recipient, rule) of what a hub without servers delivers."""
    hub = MemoryHub()
    for topic, event in events:
        hub.route(topic, [event])
    return hub.rules


# --- a successor speaks for who was merged into it


@pytest.mark.usefixtures("merger")
@pytest.mark.parametrize(("day", "counts"), [(2, True), (1, False)], ids=["after the merger", "before"])
def test_the_answer_of_a_successor_is_the_receivers_from_the_merger_on(day, counts):
    answer = referral("REJECTED", minute=day * DAY, to=HEIR, redirect_to=FOURTH)
    assert (slip(referral(), answer).receiver == FOURTH) is counts
    assert slip(referral(), answer).held == ({DISTRICT, FOURTH} if counts else {DISTRICT})


@pytest.mark.usefixtures("merger")
def test_who_still_uses_the_code_of_before_speaks_for_the_successor():
    late = referral("ACCEPTED", minute=3 * DAY, to=DISTRICT)
    assert slip(referral(to=HEIR), late).answer == "ACCEPTED"


@pytest.mark.usefixtures("merger")
@pytest.mark.parametrize(
    "named", [{"slip": "S1", "ma_noi_di": COMMUNE}, {"ma_doituong_kcb": "1.3"}], ids=["by number", "by person"]
)
@pytest.mark.parametrize(("day", "arrives"), [(2, True), (1, False)], ids=["after the merger", "before"])
def test_who_comes_to_the_successor_has_arrived(named, day, arrives):
    came = check_in(at=HEIR, minute=day * DAY, ngay_vao=f"202611{23 + day}0900", **named)
    hub = told(("referral.v1", referral()), ("encounter.v1", came))
    assert ((COMMUNE, "arrival-to-issuer") in hub) is arrives


@pytest.mark.usefixtures("merger")
def test_a_slip_that_the_issuer_writes_anew_for_the_successor_was_not_moved():
    anew = referral("MODIFIED", minute=2 * DAY, to=HEIR)
    assert slip(referral(), anew).withdrawals() == {}
    assert set(slip(referral(), referral("MODIFIED", minute=DAY, to=HEIR)).withdrawals()) != set()


def test_nobody_is_sent_its_own_result_under_the_code_of_before(merger_today):
    own = result(lab=HEIR, minute=5)
    hub = told(("lab-result.v1", own), ("referral.v1", referral()), ("lab-result.v1", result("O2", lab=HEIR, minute=9)))
    assert (HEIR, "referral-to-receiver-successor") in hub
    assert not {rule for _, rule in hub if rule.startswith("result-")}


@pytest.fixture
def merger_today(tmp_path):
    """The same, but the district hospital has been closed for long."""
    rows = ["code,name,kind,province,valid_from,valid_to,successor"]
    rows += [f"{code},A,hospital,01,2019-01-01,," for code in (COMMUNE, PROVINCE, HEIR)]
    rows += [f"{DISTRICT},B,hospital,01,2019-01-01,2025-06-30,{HEIR}"]
    (tmp_path / "facilities.csv").write_text("\n".join(rows), "utf-8")
    use_directory(tmp_path)
    yield
    use_directory(None)


def test_a_slip_to_who_was_merged_into_its_issuer_is_told_to_nobody(merger_today):
    to_itself = referral(to=DISTRICT)
    to_itself["ma_cskcb"] = HEIR
    assert decided("referral.v1", to_itself) == [Nobody("nobody-self")]


# --- the newest word by revision


ONWARD, BACK = referral("REJECTED", minute=5, redirect_to=PROVINCE), referral("ACCEPTED", minute=9)


@pytest.mark.parametrize("shuffled", range(8))
def test_what_a_holder_said_last_counts_whichever_is_known_first(shuffled):
    words = [referral(), ONWARD, BACK]
    random.Random(shuffled).shuffle(words)
    assert (slip(*words).receiver, slip(*words).answer) == (DISTRICT, "ACCEPTED")
    again = [*words, referral("REJECTED", minute=12, redirect_to=PROVINCE)]
    random.Random(shuffled).shuffle(again)
    assert slip(*again).receiver == PROVINCE


def test_who_takes_a_slip_back_is_given_the_results_that_came_meanwhile():
    events = [("referral.v1", referral()), ("referral.v1", ONWARD), ("lab-result.v1", result(minute=7))]
    assert (DISTRICT, "result-to-receiver") not in told(*events)
    assert (DISTRICT, "result-to-receiver") in told(*events, ("referral.v1", BACK))


def test_a_late_arrival_opens_the_way_for_results_again():
    hub = MemoryHub()
    hub.route("referral.v1", [referral()])
    hub.expire()
    hub.route("lab-result.v1", [result(minute=15 * DAY)])
    assert (DISTRICT, "result-to-receiver") not in hub.rules
    hub.route("encounter.v1", [check_in(slip="S1", ma_noi_di=COMMUNE, minute=16 * DAY, ngay_vao="202612090900")])
    assert (DISTRICT, "result-to-receiver") in hub.rules


def test_a_circle_of_rejections_ends_where_it_closes():
    words = [referral(), ONWARD, referral("REJECTED", minute=6, to=PROVINCE, redirect_to=FOURTH)]
    words.append(referral("REJECTED", minute=7, to=FOURTH, redirect_to=DISTRICT))
    circle = slip(*words)
    assert (circle.receiver, circle.answer) == (FOURTH, "REJECTED")
    assert circle.held == {DISTRICT, PROVINCE, FOURTH}


def test_the_work_of_finding_withdrawals_grows_with_the_words_and_not_with_their_square(monkeypatch):
    compared = []
    monkeypatch.setattr("hub.routing.slips.same_facility", lambda one, other, _day: compared.append(one) or one == other)

    def work(count):
        many = slip(referral(), *(referral("MODIFIED", minute=n, to=(PROVINCE, DISTRICT)[n % 2]) for n in range(1, count)))
        compared.clear()
        assert len(many.withdrawals()) == count - 1
        return len(compared)

    assert work(400) < 5 * work(100)


# --- a slip that tells of HIV


def sensitive(event, label="HIV"):
    event["meta"]["sensitivity"] = label
    return event


def test_a_slip_that_is_sensitive_is_handed_on_by_its_issuer_alone():
    hub = told(("referral.v1", sensitive(referral())), ("referral.v1", ONWARD))
    assert hub == {(DISTRICT, "referral-to-receiver"), (COMMUNE, "answer-to-issuer")}
    found = slip(sensitive(referral()), ONWARD)
    assert (found.receiver, found.answer, found.held) == (DISTRICT, "REJECTED", {DISTRICT})
    moved = [("referral.v1", event) for event in (sensitive(referral()), ONWARD, referral("MODIFIED", minute=9, to=PROVINCE))]
    assert (PROVINCE, "referral-to-receiver") in told(*moved)


def test_nor_is_one_whose_later_words_do_not_say_so():
    events = [sensitive(referral()), ONWARD, referral("MODIFIED", minute=7), referral("CANCELLED", minute=9)]
    assert PROVINCE not in {recipient for recipient, _ in told(*(("referral.v1", event) for event in events))}


# --- in one word, and expiry and further use


def test_where_a_slip_stands_is_one_word():
    def stands(*events, expires=False):
        hub = MemoryHub()
        for topic, event in events:
            hub.route(topic, [event])
        if expires:
            hub.expire()
        return slip_of(referral()["meta"]["key"], [fact for _, fact in hub.facts.values()]).stands

    issued = ("referral.v1", referral())
    accepted = ("referral.v1", referral("ACCEPTED", minute=3))
    rejected = ("referral.v1", referral("REJECTED", minute=4))
    cancelled = ("referral.v1", referral("CANCELLED", minute=9))
    arrived = ("encounter.v1", check_in("LK1", slip="S1", ma_noi_di=COMMUNE, minute=5))
    assert stands(issued) == "ISSUED"
    assert stands(issued, ("referral.v1", referral("MODIFIED", minute=2))) == "MODIFIED"
    assert stands(issued, accepted) == "ACCEPTED"
    assert stands(issued, accepted, arrived) == "ARRIVED"
    assert stands(issued, accepted, expires=True) == "EXPIRED"
    assert stands(issued, rejected, expires=True) == "REJECTED"
    assert stands(issued, accepted, arrived, cancelled) == "CANCELLED"


def test_an_expiry_names_whoever_has_the_slip():
    hub = MemoryHub()
    for event in (referral(), ONWARD):
        hub.route("referral.v1", [event])
    before = set(hub.rules)
    hub.expire()
    assert hub.rules - before == {(COMMUNE, "expiry-to-issuer"), (PROVINCE, "expiry-to-receiver")}
    named = [event["ma_cskcb_den"] for event in hub.derived if event["action"] == "EXPIRED"]
    assert named == [DISTRICT, PROVINCE], "the first was made with the slip, and told to nobody"


def test_a_further_use_that_was_told_is_not_put_into_the_due_table_again():
    hub = MemoryHub()
    hub.route("referral.v1", [referral()])
    for number, day in enumerate(("24", "25", "26"), start=1):
        named = {"slip": "S1", "ma_noi_di": COMMUNE, "ngay_vao": f"202611{day}0900", "minute": number}
        hub.route("encounter.v1", [check_in(f"LK{number}", **named)])
        hub.expire()
    assert len(hub.put) == len(set(hub.put)) == 3, "the end of the slip and two further uses"
    assert [event["action"] for event in hub.derived].count("USED_AGAIN") == 2


def test_encounters_entered_in_error_are_no_uses():
    hub = MemoryHub()
    hub.route("referral.v1", [referral()])
    for ma_lk, day in (("LK1", "24"), ("LK2", "25")):
        hub.route("encounter.v1", [check_in(ma_lk, slip="S1", ma_noi_di=COMMUNE, ngay_vao=f"202611{day}0900", minute=1)])
    hub.route("encounter.v1", [check_in("LK2", action="CANCELLED", minute=5)])
    hub.expire()
    assert "referral-used-again" not in {rule for _, rule in hub.rules}
