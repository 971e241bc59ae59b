"""Rules between the elements of a claim, its notes and papers: each with a claim that passes and one that fails."""

from functools import partial

import pytest

from hub.contract.events import Event
from hub.insurer.rules import RULES
from tests.hub.insurer import made
from tests.hub.insurer.made import claim, claim_of, line

found_in = partial(made.found_in, rules=[rule for rule in RULES if rule.id[0] == "X" and rule.id != "X07"])

PERSON = ("ho_ten", "ngay_sinh", "gioi_tinh", "ma_the_bhyt")


def stay(**summary: object) -> Event:
    """A claim without lines whose XML1 says so."""
    return claim_of(**{"ngay_vao": "202611230805", "ngay_ra": "202611231030"} | summary) | {"xml5": []}


def with_papers(event: Event, **papers: Event) -> Event:
    return event | {name: [paper] for name, paper in papers.items()}


def slip(event: Event, **changed: str) -> Event:
    """XML13 of the claim, repeating what it may."""
    summary = event["xml1"]
    repeated = {name: summary[name] for name in (*PERSON, "ngay_vao", "ngay_ra")}
    return (
        repeated
        | {"ma_lk": event["ma_lk"], "ma_cskcb": event["ma_cskcb"], "ma_cskcb_den": summary.get("ma_noi_den", "")}
        | changed
    )


def referred(**summary: str) -> Event:
    return stay(**{"ma_loai_rv": "2", "ma_noi_den": "01004"} | summary)


def test_x01_the_visit_ends_after_it_begins():
    assert found_in(stay(ngay_ra="202611230805")) == set()
    assert found_in(stay(ngay_ra="202611230804")) == {("X01", "E", "ngay_ra")}


@pytest.mark.parametrize("admitted", ["202611230804", "202611231031"])
def test_x01_the_admission_is_within_the_visit(admitted):
    assert found_in(stay(ngay_vao_noi_tru=admitted)) == {("X01", "E", "ngay_vao_noi_tru")}
    assert found_in(stay(ngay_vao_noi_tru="202611230805")) == set()


@pytest.mark.parametrize("time", ["", "20261122", "2026112208", "20261122080500"])
def test_what_is_no_time_is_not_compared(time):
    assert found_in(stay(ngay_ra=time)) == set()
    assert found_in(stay(ngay_vao_noi_tru=time)) == set()


def test_x03_a_note_is_written_during_the_stay():
    def noted(at: str) -> Event:
        return stay() | {"xml5": [{"stt": 1, "dien_bien_ls": "Tỉnh", "thoi_diem_dbls": at}]}

    assert found_in(noted("202611231030")) == set()
    for outside in ("202611230804", "202611231031"):
        assert found_in(noted(outside)) == {("X03", "W", "thoi_diem_dbls")}


@pytest.mark.parametrize(
    ("field", "other"),
    [("ho_ten", "Nguyễn Văn Khác"), ("ngay_sinh", "190001010000"), ("gioi_tinh", "3"), ("ma_the_bhyt", "GD4019999999999"), ("ma_cskcb", "01999")],
)  # fmt: skip
def test_x08_a_paper_is_about_the_person_and_facility_of_the_claim(field, other):
    event = referred()
    assert found_in(with_papers(event, xml13=slip(event))) == set()
    assert found_in(with_papers(event, xml13=slip(event, **{field: other}))) == {("X08", "E", field)}
    assert found_in(with_papers(event, xml13=slip(event, **{field: ""}))) == set()


def test_x08_names_are_compared_without_marks_case_and_the_age_of_a_child():
    event = referred(ho_ten="Đỗ Thị Hoà")
    for same in ("ĐỖ THỊ HOÀ", "Do Thi Hoa", "Đỗ  Thị Hòa", "ĐỖ THỊ HÒA 45TH", "Ðỗ Thị Hoà"):
        assert found_in(with_papers(event, xml13=slip(event, ho_ten=same))) == set(), same
    assert found_in(with_papers(event, xml13=slip(event, ho_ten="Đỗ Thị Hoa Mai"))) == {("X08", "E", "ho_ten")}


def test_x08_cards_of_two_forms_are_compared_in_the_number_of_the_person():
    event = referred(ma_the_bhyt="GD4010118504321")
    for same in ("0118504321", "gd4 01 0118504321", "HN2010118504321", "001185004321"):
        assert found_in(with_papers(event, xml13=slip(event, ma_the_bhyt=same))) == set(), same
    assert found_in(with_papers(event, xml13=slip(event, ma_the_bhyt="0118504322"))) == {("X08", "E", "ma_the_bhyt")}


def test_x08_a_birthday_is_a_day():
    event = referred(ngay_sinh="199001020000")
    assert found_in(with_papers(event, xml13=slip(event, ngay_sinh="199001020930"))) == set()


def test_x08_a_row_of_another_encounter_is_told():
    event = claim_of(services=[line("xml3", stt=1)]) | {"xml5": [{"stt": 1, "dien_bien_ls": "Tỉnh"}]}
    for table in ("xml3", "xml5"):
        [row] = event[table]
        for own, found in (("ANOTHER", {("X08", "W", "ma_lk")}), ("", set()), (event["ma_lk"], set())):
            told = found_in(event | {table: [row | {"ma_lk": own}]})
            assert {one for one in told if one[0] == "X08"} == found, table


@pytest.mark.parametrize("table", ["xml7", "xml8", "xml14"])
def test_x08_other_times_of_the_stay_are_told(table):
    event = stay()
    paper = {"ma_lk": event["ma_lk"], "ngay_vao": "202611230805", "ngay_ra": "202611231030"}
    assert found_in(with_papers(event, **{table: paper})) == set()
    assert found_in(with_papers(event, **{table: paper | {"ngay_ra": "202611231031"}})) == {("X08", "W", "ngay_ra")}
    assert found_in(with_papers(event, **{table: paper | {"ngay_vao": "202611230804"}})) == {("X08", "W", "ngay_vao")}


def test_x08_a_slip_that_names_earlier_facilities_may_state_their_times():
    event = referred()
    assert found_in(with_papers(event, xml13=slip(event, ngay_vao="202611200700"))) == {("X08", "W", "ngay_vao")}
    assert found_in(with_papers(event, xml13=slip(event, ngay_vao="202611200700", ma_cskcb_di="01731"))) == set()
    assert found_in(with_papers(event, xml13=slip(event, ngay_vao="202611200700;202611230805"))) == set()


@pytest.mark.parametrize("kind", ["2", "5"])
def test_x09_who_is_referred_has_a_slip_and_somewhere_to_go(kind):
    event = referred(ma_loai_rv=kind)
    assert found_in(with_papers(event, xml13=slip(event))) == set()
    assert found_in(event) == {("X09", "E", "ma_loai_rv")}
    nowhere = referred(ma_loai_rv=kind, ma_noi_den="")
    assert found_in(with_papers(nowhere, xml13=slip(nowhere))) == {("X09", "E", "ma_noi_den")}


def test_x09_who_is_not_referred_has_neither():
    event = stay(ma_noi_den="01004")
    assert found_in(event) == {("X09", "W", "ma_noi_den")}
    event = stay()
    assert found_in(with_papers(event, xml13=slip(event))) == {("X09", "W", "ma_loai_rv")}


def test_x09_the_slip_is_for_the_facility_of_xml1():
    event = referred()
    assert found_in(with_papers(event, xml13=slip(event, ma_cskcb_den="01021"))) == {("X09", "W", "ma_cskcb_den")}


@pytest.mark.parametrize(("category", "severity"), [("1.3", "E"), ("1.5", "W")])
def test_x10_who_comes_with_a_slip_comes_from_somewhere(category, severity):
    assert found_in(stay(ma_doituong_kcb=category, ma_noi_di="01021")) == set()
    assert found_in(stay(ma_doituong_kcb=category)) == {("X10", severity, "ma_noi_di")}


@pytest.mark.parametrize("category", ["1.11", "1.14", "3.1", "3.3"])
def test_x10_who_comes_of_their_own_accord_was_not_referred(category):
    assert found_in(stay(ma_doituong_kcb=category)) == set()
    assert found_in(stay(ma_doituong_kcb=category, ma_noi_di="01021")) == {("X10", "W", "ma_noi_di")}


def test_x10_the_facility_of_registration_is_one_on_the_cards():
    own = claim()["ma_cskcb"]
    assert found_in(stay(ma_doituong_kcb="1.1", ma_dkbd=f"99999;{own}")) == set()
    assert found_in(stay(ma_doituong_kcb="1.1", ma_dkbd="99999")) == {("X10", "E", "ma_dkbd")}
    assert found_in(stay(ma_doituong_kcb="2", ma_dkbd="99999")) == set()


def test_x16_an_examination_lasts_a_day_at_most():
    assert found_in(stay(ngay_ra="202611240805")) == set()
    assert found_in(stay(ngay_ra="202611240806")) == {("X16", "W", "ngay_ra")}
    assert found_in(stay(ngay_ra="202611240806", ma_loai_kcb="02")) == set()
