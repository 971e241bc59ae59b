"""What a promoted branch decided is in force everywhere: for who asks, for the facility, and for the pass over a closed month."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from adapters.formats.gateway_calls import decided_row
from hub.contract.errors import HubError
from hub.insurer import branches as module
from hub.insurer import history
from hub.insurer.adjusted import news
from hub.insurer.branches import branches, changed, drop, promote
from hub.insurer.explain import read_claim
from hub.insurer.history import TABLE, close
from hub.insurer.ledger import Ledger, files_of
from hub.insurer.questions import ask
from hub.insurer.statement import statement
from hub.insurer.totals import totals
from tests.hub.insurer.histories import TOPIC, service, visit
from tests.hub.insurer.test_branches import made
from tests.hub.insurer.test_ledger import batch

NOVEMBER = date(2026, 11, 1)
AT = datetime(2026, 12, 20, 9, tzinfo=UTC)
FUND = Decimal("8000.00")
ONE = {"services": [service(ngay_th_yl="202611100830")]}
WRONG_YEAR = {"nam_qt": 2025}  # F06: rejected
ORDERED_LATER = {
    "services": [service(ngay_yl="202611120800", ngay_th_yl="202611120830", ngay_kq="202611120900")]
}  # X02: cut whole


@pytest.fixture
def ledger(tmp_path):
    def adjudicated(events):
        Ledger(tmp_path, TOPIC).append(batch(events, [(0, row) for row in range(len(events))], TOPIC), {0: len(events)})
        return tmp_path

    return adjudicated


def ids(*events):
    return [event["meta"]["event_id"] for event in events]


def cuts(rows):
    return [row for row in rows.select("rule", "event_id", "reduction").iter_rows() if row[0] != "S01"]


def payable(folder):
    found = statement(folder, "01004", "2026-11")
    return found.granted - found.adjusted


@pytest.mark.parametrize("closed_before", [True, False])
def test_a_rejected_claim_that_a_promotion_pays_is_looked_at(ledger, closed_before):
    events = [visit("A", **ONE), visit("B", minutes=1, **ONE, **WRONG_YEAR)]
    folder = ledger(events)
    if closed_before:
        assert close(folder, NOVEMBER, AT).is_empty()
    made(folder, events=events, without=["F06"])
    promote(folder, "lenient", AT)
    assert cuts(close(folder, NOVEMBER, AT)) == [("H03", ids(events[1])[0], FUND)]
    assert payable(folder) == FUND
    assert close(folder, NOVEMBER, AT).is_empty()


def test_a_claim_that_a_promotion_rejects_takes_no_part_any_more_and_its_cut_is_taken_back(ledger):
    events = [visit("A", **ONE), visit("B", minutes=1, **ONE, **WRONG_YEAR)]
    folder = ledger(events)
    made(folder, "mild", events=events, without=["F06"])
    promote(folder, "mild", AT)
    close(folder, NOVEMBER, AT)
    made(folder, "strict", events=events)
    promote(folder, "strict", AT)
    assert cuts(close(folder, NOVEMBER, AT)) == [("H03", ids(events[1])[0], -FUND)]
    assert payable(folder) == FUND


@pytest.mark.parametrize("dropped", [True, False])
def test_a_line_whose_cut_a_promotion_lifted_can_be_cut_whole(ledger, dropped):
    events = [visit("A", **ORDERED_LATER), visit("B", minutes=1, **ORDERED_LATER)]
    folder = ledger(events)
    assert cuts(close(folder, NOVEMBER, AT)) == []
    made(folder, events=events, without=["X02"])
    assert promote(folder, "lenient", AT).get_column("reduction").to_list() == [-FUND, -FUND]
    if dropped:
        drop(folder, "lenient")
    assert cuts(close(folder, NOVEMBER, AT)) == [("H03", ids(events[1])[0], FUND)]


def test_what_a_promotion_took_is_not_there_to_be_cut_again(ledger):
    events = [visit("A", **ORDERED_LATER), visit("B", minutes=1, **ORDERED_LATER)]
    folder = ledger(events)
    made(folder, "mild", events=events, without=["X02"])
    promote(folder, "mild", AT)
    close(folder, NOVEMBER, AT)
    made(folder, "again", events=events)
    promote(folder, "again", AT)
    assert cuts(close(folder, NOVEMBER, AT)) == [("H03", ids(events[1])[0], -FUND)]
    assert payable(folder) == 0


def test_a_promotion_that_was_killed_before_its_adjustments_changes_nothing_and_heals_when_it_is_run_again(ledger, monkeypatch):
    events = [visit("A", **ORDERED_LATER), visit("B", minutes=1, **ORDERED_LATER)]
    folder = ledger(events)
    made(folder, "mild", events=events, without=["X02"])
    made(folder, "strict", events=events)
    promote(folder, "mild", AT)
    promote(folder, "strict", AT)
    with monkeypatch.context() as killed:
        killed.setattr(module, "write_deltalake", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            promote(folder, "mild", AT)
    assert cuts(close(folder, NOVEMBER, AT)) == []
    assert promote(folder, "mild", AT).get_column("reduction").to_list() == [-FUND, -FUND]
    assert cuts(close(folder, NOVEMBER, AT)) == [("H03", ids(events[1])[0], FUND)]


def test_of_a_promotion_that_was_cut_off_nothing_counts_not_even_where_amounts_agree(ledger, monkeypatch):
    refused_twice = {"so_cccd": "001085000002", "ho_ten": ""}  # by F01 too
    events = [visit("moved", **ONE, **WRONG_YEAR), visit("same", **refused_twice, **ONE, **WRONG_YEAR)]
    folder = ledger(events)
    made(folder, events=events, without=["F06"])

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(module, "write_deltalake", full)
        with pytest.raises(OSError, match="No space"):
            promote(folder, "lenient", AT)
    assert [[one.again for one in claim] for name in ("moved", "same") for claim in read_claim(folder, name)] == [[None], [None]]
    assert [one.promoted for one in branches(folder)] == [""]
    assert promote(folder, "lenient", AT).height == 1
    [[same]] = read_claim(folder, "same")
    assert same.again and (same.first.granted, same.again.granted) == (0, 0)


def test_a_promotion_counts_with_its_adjustments_and_what_is_killed_behind_them_is_whole(ledger, monkeypatch):
    events = [visit("moved", **ONE, **WRONG_YEAR)]
    folder = ledger(events)
    made(folder, events=events, without=["F06"])
    write = module.write_deltalake

    def killed(*asked, **more):
        write(*asked, **more)
        raise KeyboardInterrupt

    with monkeypatch.context() as kill:
        kill.setattr(module, "write_deltalake", killed)
        with pytest.raises(KeyboardInterrupt):
            promote(folder, "lenient", AT)
    [[moved]] = read_claim(folder, "moved")
    assert (moved.again.granted, moved.again.verdict) == (FUND, "ACCEPTED")
    assert [one.promoted for one in branches(folder)] == [AT.isoformat()]
    drop(folder, "lenient")
    [[moved]] = read_claim(folder, "moved")
    assert moved.again.granted == FUND, "and what was promoted stays, with the findings that say why"


def test_a_branch_that_is_promoted_again_and_cut_off_counts_as_it_did(ledger, monkeypatch):
    events = [visit("moved", **ONE, **WRONG_YEAR)]
    folder = ledger(events)
    made(folder, "mild", events=events, without=["F06"])
    made(folder, "strict", events=events)
    promote(folder, "mild", AT)
    promote(folder, "strict", AT + timedelta(minutes=1))
    with monkeypatch.context() as killed:
        killed.setattr(module, "write_deltalake", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            promote(folder, "mild", AT + timedelta(minutes=2))
    [[moved]] = read_claim(folder, "moved")
    assert (moved.again.granted, moved.again.verdict) == (0, "REJECTED")
    assert [one.promoted for one in branches(folder)] == [AT.isoformat(), (AT + timedelta(minutes=1)).isoformat()]


def test_of_a_closing_and_a_promotion_at_once_the_second_waits_its_turn(ledger, monkeypatch):
    events = [visit("A", **ONE), visit("B", minutes=1, **ONE, **WRONG_YEAR)]
    folder = ledger(events)
    made(folder, events=events, without=["F06"])
    read, differences = history.read_history, module._differences

    def promoted_meanwhile(*asked):
        monkeypatch.setattr(history, "read_history", read)
        found = list(read(*asked))
        promote(folder, "lenient", AT)
        return found

    monkeypatch.setattr(history, "read_history", promoted_meanwhile)
    with pytest.raises(HubError, match="LEDGER_CONFLICT"):
        close(folder, NOVEMBER, AT)
    made(folder, "strict", events=events)

    def closed_meanwhile(*asked):
        found = differences(*asked)
        close(folder, NOVEMBER, AT)
        return found

    monkeypatch.setattr(module, "_differences", closed_meanwhile)
    with pytest.raises(HubError, match="LEDGER_CONFLICT"):
        promote(folder, "strict", AT)
    assert payable(folder) == FUND


# --- what is told -----------------------------------------------------------------------------------------------------

GOOD = service(ngay_th_yl="202611100830")
LATER = service(2, ngay_yl="202611120800", ngay_th_yl="202611120830", ngay_kq="202611120900")
TOLD = [
    visit("cut", services=[GOOD, LATER]),  # paid first; X02 of the branch takes its second line
    visit(
        "paid",
        services=[GOOD, service(2, ma_dich_vu="23.0083.1523", ngay_th_yl="202611100830")],
        so_cccd="001085000002",
        **WRONG_YEAR,
    ),  # F06 first
]


@pytest.fixture(params=["there", "dropped"])
def promoted(tmp_path, request):
    """A ledger decided without X02, and a branch with it and without F06 that was promoted."""
    rows = batch(TOLD, [(0, 0), (0, 1)], TOPIC, changed(without=["X02"]))
    Ledger(tmp_path, TOPIC).append(rows, {0: 2})
    made(tmp_path, "other", events=TOLD, without=["F06"])
    promote(tmp_path, "other", AT)
    if request.param == "dropped":
        drop(tmp_path, "other")
    return tmp_path


def cut_of(findings):
    """What the findings take: rule, table, line, VND."""
    return [(one["rule"], one["table"], one["stt"], one["reduction"]) for one in findings if one["severity"] in "EC"]


X02 = ("X02", "XML3", 2, FUND)


def test_a_claim_is_explained_by_the_findings_of_the_branch_and_r01_tells_what_they_changed(promoted):
    [[one]] = read_claim(promoted, "cut")
    assert (one.first.verdict, one.first.granted, one.verdict_now, one.paid) == ("ACCEPTED", 2 * FUND, "REDUCED", FUND)
    [place] = [place for place in one.stands.places if place.cut]
    assert cut_of(place.findings) == [X02] and place.name == "Glucose"
    [(change, before, after)] = one.changes
    assert (change["rule"], before, after) == ("R01", 2 * FUND, FUND)
    assert change["text_en"] == "Adjudicated again (other; some change): X02 -8,000.00 VND"
    assert change["text_vi"] == "Giám định lại (other; thay đổi): X02 -8.000,00 đồng"
    [[other]] = read_claim(promoted, "paid")
    assert (other.verdict_now, other.paid, cut_of(row for place in other.stands.places for row in place.findings)) == (
        "ACCEPTED",
        2 * FUND,
        [],
    )
    assert "F06" in {row["rule"] for place in other.first.without(other.stands) for row in place.findings}


def test_programs_get_the_places_of_both_decisions(promoted):
    [[one]] = read_claim(promoted, "cut")
    told = one.as_dict()
    assert [
        [(row["table"], row["stt"], row["cut"]) for row in told[name] if row["cut"]] for name in ("places", "places_now")
    ] == [
        [],
        [("XML3", 2, FUND)],
    ]


def test_the_gateways_result_names_line_rule_and_amount_once(promoted):
    [[one]] = read_claim(promoted, "cut")
    row = decided_row(one.as_decision())
    assert (row["trangThai"], row["soTienDuyet"]) == ("Đạt", "8000.00")
    assert row["lyDo"].startswith("XML3/2 NGAY_YL [X02]: ") and row["lyDo"].endswith("(giảm 8000.00)")


def test_the_decision_that_the_facility_gets_carries_them_and_adds_up(promoted):
    words = {event["ma_lk"]: event for page in news(promoted, files_of(promoted, TABLE)) for event in page}
    cut, paid = words["cut"], words["paid"]
    assert (cut["verdict"], cut["t_bhtt_gd"], cut_of(cut["findings"])) == ("REDUCED", FUND, [X02])
    assert (paid["verdict"], paid["t_bhtt_gd"], cut_of(paid["findings"])) == ("ACCEPTED", 2 * FUND, [])
    for event in words.values():
        again = event["findings"][0]
        assert (again["rule"], again["severity"], again["reduction"]) == ("R01", "I", None)


def test_until_its_month_is_closed_again_a_claim_that_was_cut_and_is_granted_less_now_is_told_as_nothing(tmp_path):
    events = [visit("A", services=[LATER]), visit("B", minutes=1, services=[LATER])]
    Ledger(tmp_path, TOPIC).append(batch(events, [(0, 0), (0, 1)], TOPIC, changed(without=["X02"])), {0: 2})
    assert cuts(close(tmp_path, NOVEMBER, AT)) == [("H03", ids(events[1])[0], FUND)]
    made(tmp_path, "strict", events=events)
    promote(tmp_path, "strict", AT)

    def told():
        return [
            event["t_bhtt_gd"] for page in news(tmp_path, files_of(tmp_path, TABLE)) for event in page if event["ma_lk"] == "B"
        ]

    assert told() == [0, 0]
    [[one]] = read_claim(tmp_path, "B")
    assert (one.paid, one.as_decision()["t_bhtt_gd"]) == (-FUND, 0)
    assert cuts(close(tmp_path, NOVEMBER, AT)) == [("H03", ids(events[1])[0], -FUND)]
    assert told() == [0, 0, 0] and payable(tmp_path) == 0


def test_the_statement_has_its_cuts_by_rule_and_the_promotion_only_tells_the_difference(promoted):
    found = statement(promoted, "01004", "2026-11")
    *_, cuts_by_rule, rejected = found.forms[0].sheets
    assert [(rule, claims, amount) for rule, _, claims, amount in cuts_by_rule.rows] == [("X02", 1, FUND)]
    assert (rejected.rows, found.granted, found.adjusted, found.adjustments.rows) == ([], 3 * FUND, 0, [])
    text = ("Giám định lại (other; thay đổi)", "Adjudicated again (other; some change)")
    assert found.corrections.rows == [("R01", text, 2, FUND)]


def test_each_promotion_is_a_row_of_the_statement(promoted):
    made(promoted, "back", events=TOLD, without=["X02"])
    promote(promoted, "back", AT)
    found = statement(promoted, "01004", "2026-11")
    assert [(row[0], row[1][1], row[-1]) for row in found.corrections.rows] == [
        ("R01", "Adjudicated again (other; some change)", FUND),
        ("R01", "Adjudicated again (back; some change)", -FUND),
    ]
    assert (found.granted, found.adjusted) == (2 * FUND, 0)


@pytest.fixture
def answers(promoted):
    """The columns of an answer."""

    def answer(name, *columns):
        return [tuple(row[column] for column in columns) for row in ask(promoted, name, hashed=len).as_dicts()]

    return answer


def test_questions_follow_it_and_say_what_is_to_be_paid(answers):
    assert answers("reductions", "rule", "severity", "claims", "amount") == [("X02", "C", 1, FUND)]
    money = ("claims", "t_bhtt", "t_bhtt_gd", "cut", "refused", "rejected", "payable")
    for name in ("facility", "month"):
        assert answers(name, *money) == [(2, 4 * FUND, 3 * FUND, FUND, 0, 0, 3 * FUND)]
    assert answers("totals", "claims", "t_bhtt", "payable") == [(2, 4 * FUND, 3 * FUND)]


def test_copayments_of_a_claim_that_a_promotion_pays_count(answers):
    assert answers("copayments", "claims", "t_bncct") == [(1, FUND / 2), (1, FUND / 2)]


def test_what_is_payable_is_after_cuts_across_claims_too(promoted):
    twice = visit("twice", minutes=5, services=[GOOD])
    Ledger(promoted, TOPIC).append(batch([twice], [(0, 2)], TOPIC), {0: 3})
    close(promoted, NOVEMBER, AT)  # H03: the same service in "cut" on that day
    [row] = ask(promoted, "facility", hashed=len).as_dicts()
    assert (row["t_bhtt_gd"], row["payable"]) == (4 * FUND, 3 * FUND)
    found = totals(promoted)
    assert (found["accepted"], found["reduced"], found["rejected"], found["adjusted"], found["payable"]) == (
        2,
        1,
        0,
        FUND,
        3 * FUND,
    )


def test_a_cut_across_claims_comes_on_top_of_the_branchs_and_each_word_is_of_its_time(promoted):
    before = visit("before", minutes=-5, services=[GOOD])
    Ledger(promoted, TOPIC).append(batch([before], [(0, 2)], TOPIC), {0: 3})
    close(promoted, NOVEMBER, AT)
    words = [event for page in news(promoted, files_of(promoted, TABLE)) for event in page if event["ma_lk"] == "cut"]
    assert [(event["t_bhtt_gd"], cut_of(event["findings"])) for event in words] == [
        (FUND, [X02]),
        (0, [("H03", "XML3", 1, FUND), X02]),
    ]
    [[one]] = read_claim(promoted, "cut")
    assert (one.verdict_now, one.paid, statement(promoted, "01004", "2026-11").adjusted) == ("REDUCED", 0, FUND)


def test_a_correction_after_it_has_a_decision_of_its_own(promoted):
    Ledger(promoted, TOPIC).append(batch([visit("cut", version=1, services=[GOOD])], [(0, 2)], TOPIC), {0: 3})
    [[newest, older]] = read_claim(promoted, "cut")
    assert (newest.again, newest.paid, older.paid) == (None, FUND, FUND)
    found = statement(promoted, "01004", "2026-11")
    assert (found.granted, found.adjusted) == (3 * FUND, 0)
    assert [row[-2:] for row in found.corrections.rows] == [(1, 2 * FUND)]
