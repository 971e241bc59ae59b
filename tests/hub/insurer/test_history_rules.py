"""Each rule across claims: a case that it finds, and those nearest to it that it lets pass. The claims are one person's."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from hub.insurer.history import close
from hub.insurer.history_rules import RULES
from tests.hub.insurer.histories import drug, examination, service, stay, visit, write

FUND = Decimal("8000.00")  # of one usual line


@pytest.fixture
def closed(tmp_path):
    """(rule, claim, line, VND, other claim) of what closing November finds; a line is TABLE/STT, "" the whole claim."""

    def run(*events):
        write(tmp_path, events)
        names = {event["meta"]["event_id"]: event["ma_lk"] for event in events} | {"": ""}
        rows = close(tmp_path, date(2026, 11, 1), datetime(2026, 12, 1, tzinfo=UTC))
        return {
            (rule, names[one], f"{table}/{stt}" if stt else "", reduction, names[other])
            for rule, one, table, stt, reduction, other in rows.select(
                "rule", "event_id", "table", "stt", "reduction", "other_event_id"
            ).iter_rows()
        }

    return run


def test_every_rule_is_told_in_both_languages():
    assert [rule.id for rule in RULES] == [f"H{number:02d}" for number in range(1, 10)]
    assert all(rule.vi.endswith(".") and rule.en.endswith(".") and rule.severity in "CW" for rule in RULES)


# --- H01 --------------------------------------------------------------------------------------------------------------

FIRST = stay("A", "202611010800", "202611051200", services=[service(ngay_yl="202611020800")])


def second(start, end, **more):
    return stay("B", start, end, services=[service(ngay_yl="202611091700")], **{"facility": "01021"} | more)


def test_h01_a_stay_begun_during_one_elsewhere_is_cut_whole(closed):
    assert closed(FIRST, second("202611041300", "202611091800")) == {("H01", "B", "", FUND, "A")}


@pytest.mark.parametrize(
    "other",
    [
        second("202611051200", "202611091800"),
        second("202611041300", "202611091800", facility="01004"),
        second("202611041300", "202611091800", so_cccd="001085099999"),
        second("202611051100", "202611091800", ma_doituong_kcb="1.3", ma_noi_di="01004"),
        second("202611041300", "202611091800", ngay_vao_noi_tru="202611051300"),
    ],
    ids=["begins as it ends", "same facility", "another person", "transfer of that day", "admitted after it"],
)
def test_h01_what_follows_on_is_let_pass(closed, other):
    assert closed(FIRST, other) == set()


def test_h01_a_transfer_does_not_overlap_for_days(closed):
    assert closed(FIRST, second("202611041300", "202611091800", ma_noi_di="01004")) == {("H01", "B", "", FUND, "A")}


# --- H02 --------------------------------------------------------------------------------------------------------------

STAY = stay("A", "202611080800", "202611151200", services=[service(ngay_yl="202611081000")])


def outside(*services, **more):
    return visit("B", services=services, **{"facility": "01021"} | more)


def test_h02_a_visit_during_a_stay_elsewhere_is_cut_whole(closed):
    assert closed(STAY, outside(service())) == {("H02", "B", "", FUND, "A")}


def test_h02_the_stay_may_be_reported_first_or_last(closed):
    assert closed(outside(service()), STAY) == {("H02", "B", "", FUND, "A")}


@pytest.mark.parametrize(
    "other",
    [
        outside(service(), facility="01004"),
        outside(service(), ngay_vao="202611151200", ngay_ra="202611151300"),
        outside(service(ten_dich_vu="Thận nhân tạo chu kỳ", ma_nhom="18", ngay_kq=""), service(2)),
    ],
    ids=["same facility", "after it", "dialysis"],
)
def test_h02_lets_pass(closed, other):
    assert closed(STAY, other) == set()


def test_h02_what_was_sub_contracted_is_paid_and_the_rest_is_not(closed):
    visited = outside(service(), service(2, ma_dich_vu="23.0051.1494.K.01731"))
    assert closed(STAY, visited) == {("H02", "B", "XML3/1", FUND, "A")}


def test_h02_who_is_treated_by_day_may_be_seen_elsewhere(closed):
    by_day = visit(
        "A", services=[service(ngay_yl="202611081000")], ma_loai_kcb="04", ngay_vao="202611080800", ngay_ra="202611151200"
    )
    assert closed(by_day, outside(service())) == set()


# --- H03 --------------------------------------------------------------------------------------------------------------


def test_h03_the_same_service_on_one_day_is_paid_once(closed):
    again = visit("B", services=[service(ngay_yl="202611101700"), service(2, ma_dich_vu="x", ngay_yl="202611101700")])
    assert closed(visit("A"), again) == {("H03", "B", "XML3/1", FUND, "A")}


@pytest.mark.parametrize(
    "line",
    [
        service(ngay_yl="202611110800"),
        service(ma_dich_vu="23.0051.1494"),
        service(ma_vat_tu="N03", ma_nhom="10"),
        service(ma_nhom="15"),
    ],
    ids=["next day", "another service", "supply", "bed"],
)
def test_h03_lets_pass_services(closed, line):
    assert closed(visit("A"), visit("B", services=[line])) == set()


def test_h03_lines_of_one_claim_do_not_repeat_each_other(closed):
    assert closed(visit("A", services=[service(), service(2)], drugs=[drug(), drug(2)])) == set()


@pytest.mark.parametrize(
    ("day", "dose", "early"),
    [
        ("20261114", "1 viên * 2 lần * 5 ngày [2 viên/ngày]", True),
        ("20261115", "1 viên * 2 lần * 5 ngày [2 viên/ngày]", False),
        ("20261112", "1 viên * 4 lần * 5 ngày [4 viên/ngày]", False),
        ("20261111", "1 viên * 4 lần * 5 ngày [4 viên/ngày]", True),
        ("20261114", "1 viên * 2 lần * 5 ngày", True),
        ("20261110", "như lần trước", True),
        ("20261111", "như lần trước", False),
    ],
    ids=["on the last day", "the day after", "ten pills last two days", "two days", "days alone", "unreadable, same day", "unreadable, next day"],
)  # fmt: skip
def test_h03_a_drug_is_paid_again_when_the_supply_of_ten_pills_has_ended(closed, day, dose, early):
    again = visit("B", [drug(ngay_yl=f"{day}1400")], ngay_vao=f"{day}1300", ngay_ra=f"{day}1500")
    found = closed(visit("A", [drug(lieu_dung=dose)]), again)
    assert found == ({("H03", "B", "XML2/1", FUND, "A")} if early else set())


def test_h03_the_ward_and_another_route_are_no_supply_to_take_home(closed):
    ward = stay("B", "202611120800", "202611131000", drugs=[drug(ngay_yl="202611121000")])
    cream = visit("C", [drug(duong_dung="3.05", ngay_yl="202611111000")], ngay_vao="202611111000")
    assert closed(visit("A", [drug()]), ward, cream) == set()


# --- H04 --------------------------------------------------------------------------------------------------------------


def test_h04_the_later_examination_elsewhere_is_cut(closed):
    other = visit("B", services=[examination(ngay_yl="202611101500"), service(2, ma_dich_vu="x")], facility="01021")
    assert closed(visit("A", services=[examination()]), other) == {("H04", "B", "XML3/1", FUND, "A")}


@pytest.mark.parametrize(
    ("at", "more"),
    [
        ("202611101500", {"facility": "01004"}),
        ("202611110800", {}),
        ("202611101500", {"ma_doituong_kcb": "1.3"}),
        ("202611101500", {"ma_doituong_kcb": "2"}),
    ],
    ids=["same facility", "next day", "with a referral slip", "emergency"],
)
def test_h04_lets_pass(closed, at, more):
    assert closed(
        visit("A", services=[examination()]), visit("B", services=[examination(ngay_yl=at)], **{"facility": "01021"} | more)
    ) == set()  # fmt: skip


# --- H05 --------------------------------------------------------------------------------------------------------------


def with_slip(key, day, category, **more):
    at = [service(ngay_yl=f"{day}0800")]
    slip = {"giay_chuyen_tuyen": "S1", "ma_noi_di": "01731", "ma_doituong_kcb": category, "ma_benh_chinh": "I10"}
    return visit(key, services=at, **slip | {"ngay_vao": f"{day}0800", "ngay_ra": f"{day}1000"} | more)


TOLD = {("H05", "B", "", Decimal("0.00"), "A")}


@pytest.mark.parametrize(
    ("category", "day", "more", "told"),
    [
        ("1.5", "20261111", {}, True),
        ("1.5", "20261111", {"giay_chuyen_tuyen": "S2"}, False),
        ("1.3", "20261124", {}, False),
        ("1.3", "20261125", {}, True),
        ("1.3", "20261125", {"ma_benh_chinh": "E10.9"}, False),
        ("1.3", "20261111", {"facility": "01021"}, True),
        ("1.1", "20261125", {}, False),
    ],
    ids=["follow-up twice", "two slips", "tenth working day", "eleventh", "good for a year", "two facilities", "no slip needed"],
)
def test_h05_a_slip_that_is_used_up_or_ended_is_told(closed, category, day, more, told):
    assert closed(with_slip("A", "20261110", category), with_slip("B", day, category, **more)) == (TOLD if told else set())


# --- H06 --------------------------------------------------------------------------------------------------------------


def queue(count, **more):
    return [
        visit(f"N{number:02d}", services=[examination(ngay_yl=f"20261110{8 + number // 60:02d}{number % 60:02d}", **more)],
              so_cccd=f"0010850{number:05d}")
        for number in range(count)
    ]  # fmt: skip


def test_h06_from_the_66th_examination_of_a_doctor_and_day_half_is_paid(closed):
    assert closed(*queue(67)) == {("H06", "N65", "XML3/1", FUND / 2, ""), ("H06", "N66", "XML3/1", FUND / 2, "")}


def test_h06_65_a_day_are_paid_in_full_and_so_is_another_doctor(closed):
    other = visit("X", services=[examination(ngay_yl="202611101600", ma_bac_si="000999/HNO-CCHN")], so_cccd="001085099999")
    assert closed(*queue(65), other) == set()


# --- H07 --------------------------------------------------------------------------------------------------------------


def work(key, start, end, group, facility="01004", performer="000456/HNO-CCHN", **more):
    line = service(ma_dich_vu=f"s{key}", ma_nhom=group, ngay_yl=start, ngay_kq=end, nguoi_thuc_hien=performer)
    return visit(key, services=[line], facility=facility, **{"so_cccd": f"00108500000{ord(key) % 10}"} | more)


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (work("B", "202611100930", "202611101000", "18", "01021"), True),
        (work("B", "202611100930", "202611101000", "18", "01021", "000111/HNO-CCHN;000456/HNO-CCHN.HD.01021"), True),
        (work("B", "202611101000", "202611101100", "18", "01021"), False),
        (work("B", "202611100930", "202611101000", "18"), False),
        (work("B", "202611100930", "202611101000", "1", "01021"), False),
        (work("B", "202611100930", "202611101000", "18", "01021", "000456/HNO-CCHN.TX.01004"), False),
        (work("B", "202611100930", "202611101000", "8"), True),
    ],
    ids=["two places", "under contract", "one after the other", "one place", "a test", "read from afar", "two operations"],
)
def test_h07_one_person_at_two_things_at_once_is_told(closed, other, told):
    found = closed(work("A", "202611100800", "202611101000", "8"), other)
    assert found == ({("H07", "B", "XML3/1", Decimal("0.00"), "A")} if told else set())


# --- H08 --------------------------------------------------------------------------------------------------------------

SIX_SALARIES = Decimal(6 * 2_530_000)


def paid(key, day, amount, **more):
    line = service(ma_dich_vu=f"s{key}", ngay_yl=f"{day}0800")
    more = {"nam_nam_lien_tuc": "20200101", "t_bncct": Decimal(amount)} | more
    return visit(key, services=[line], ngay_vao=f"{day}0800", ngay_ra=f"{day}1000", **more)


def test_h08_what_is_paid_beyond_six_base_salaries_is_given_back(closed):
    year = paid("A", "20260801", SIX_SALARIES - 1_000), paid("B", "20261110", "1500.25"), paid("C", "20261112", "700.50")
    assert closed(*year) == {("H08", "B", "", Decimal("-500.25"), ""), ("H08", "C", "", Decimal("-700.50"), "")}


def test_h08_who_was_above_it_before_the_base_salary_rose_stays_above(closed):
    june = paid("A", "20260630", 6 * 2_340_000 + 1)
    assert closed(june, paid("B", "20261110", "1500.25")) == {("H08", "B", "", Decimal("-1500.25"), "")}


def test_h08_counts_by_the_base_salary_of_the_day(closed):
    july = paid("A", "20260701", 6 * 2_340_000 + 1)
    assert closed(july, paid("B", "20261110", "1500.25")) == set()


@pytest.mark.parametrize(
    "first",
    [
        paid("A", "20260801", SIX_SALARIES - 1_500),
        paid("A", "20251231", SIX_SALARIES),
        paid("A", "20260801", SIX_SALARIES, nam_nam_lien_tuc="20260802"),
        paid("A", "20260801", SIX_SALARIES, ma_doituong_kcb="3.1"),
    ],
    ids=["not more than six", "of last year", "before five years", "off route"],
)
def test_h08_lets_pass(closed, first):
    assert closed(first, paid("B", "20261110", "1500.00")) == set()


# --- H09 --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", ["5", "8"])
def test_h09_a_claim_that_begins_after_death_is_cut_whole(closed, outcome):
    later = visit("B", services=[service(ngay_yl="202611120800")], ngay_vao="202611120800", ngay_ra="202611121000")
    assert closed(visit("A", ket_qua_dtri=outcome), later) == {("H09", "B", "", FUND, "A")}


def test_h09_a_death_of_long_ago_counts(closed):
    dead = visit(
        "A", services=[service(ngay_yl="202401030800")], ket_qua_dtri="5", ngay_vao="202401030800", ngay_ra="202401031000"
    )
    assert closed(dead, visit("B")) == {("H09", "B", "", FUND, "A")}


@pytest.mark.parametrize(
    ("first", "later"),
    [
        ({"ket_qua_dtri": "4"}, {}),
        ({"ket_qua_dtri": "5", "ngay_sinh": "202611100700"}, {}),
        ({"ket_qua_dtri": "5"}, {"ngay_vao": "202611100900"}),
    ],
    ids=["alive", "a child under its mother's number", "begun before"],
)
def test_h09_lets_pass(closed, first, later):
    begun = {"ngay_vao": "202611120800", "ngay_ra": "202611121000"} | later
    assert closed(visit("A", **first), visit("B", services=[service(ngay_yl="202611120800")], **begun)) == set()
