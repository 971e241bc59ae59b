"""By what a person is found: identifiers that mean the same person wherever they stand."""

import pytest

from hub.routing.persons import Who, contradict, may_be_two, person_refs, share_by_mistake, traits, who
from tests.hub.routing.story import BORROWER, DISTRICT, KEYRING, LENDER, registered


def refs(*identifiers, test=False):
    found = [{"type": kind, "normalised": value, "issuer": issuer} for kind, value, issuer in identifiers]
    return person_refs({"identifiers": found}, KEYRING, test=test)


def test_a_card_in_any_form_is_the_social_insurance_number():
    number = refs(("BHXH_NUMBER", "0012345678", ""))
    assert refs(("BHYT_CARD", "GD4010012345678", "")) == number
    assert refs(("BHYT_CARD", "0012345678", "VSS")) == number


def test_a_card_with_the_citizen_number_is_that_number():
    assert refs(("BHYT_CARD", "001090000001", "")) == refs(("SDDCN", "001090000001", ""))


def test_a_patient_number_counts_only_with_its_issuer():
    assert refs(("MRN", "7", "VN-CSKCB-01004")) != refs(("MRN", "7", "VN-CSKCB-01021"))
    assert refs(("MRN", "7", "")) == {}


@pytest.mark.parametrize("identifier", [("TEMP", "T1", ""), ("SDDCN", "", ""), ("BHYT_CARD", "GD4XX", "")])
def test_what_cannot_be_compared_is_left_out(identifier):
    assert refs(identifier) == {}


def test_a_test_person_is_never_a_real_one():
    assert set(refs(("SDDCN", "1", ""), test=True).values()).isdisjoint(refs(("SDDCN", "1", "")).values())


def test_people_contradict_only_where_both_have_a_number_of_one_kind():
    one, other = refs(("SDDCN", "1", "")), refs(("SDDCN", "2", ""))
    assert contradict(one, other)
    assert not contradict(one, one)
    assert not contradict(one, refs(("CMND9", "1", "")))
    assert not contradict(one, {})
    assert not contradict(one | refs(("CMND9", "5", "")), other | refs(("CMND9", "5", "")))


def test_a_patient_number_alone_does_not_make_one_of_two_whose_national_numbers_differ():
    nobody = ("MRN", "KHONG CO", "17023")  # as a system may write it for everybody who has no number
    one, other = refs(nobody, ("BHYT_CARD", "DN4172500000011", "")), refs(nobody, ("BHYT_CARD", "DN4172500000099", ""))
    assert not contradict(one, other)
    assert may_be_two(Who(one, {}), Who(other, {}))
    assert not may_be_two(Who(one, {}), Who(one, {}))
    assert not may_be_two(Who(one, {}), Who(refs(nobody), {}))
    two_numbers = (one | refs(("SDDCN", number, "")) for number in ("1", "2"))
    assert not may_be_two(*(Who(number, {}) for number in two_numbers))  # the card is the same


# --- one card, two persons --------------------------------------------------------------------------------------------


def as_who(person):
    return Who(person_refs(person, KEYRING, test=False), traits(person, KEYRING))


def share(one, other):
    found = share_by_mistake(as_who(one), as_who(other))
    assert found == share_by_mistake(as_who(other), as_who(one)) == may_be_two(as_who(one), as_who(other))
    return found


def test_who_borrows_a_card_is_not_its_owner():
    assert share(BORROWER, LENDER)


@pytest.mark.parametrize(
    ("name", "born", "sex", "two"),
    [
        ("Trần Văn Đức", "195509020000", "1", False),
        ("TRAN VAN DUC (71T)", "195500000000", "2", False),  # the rest is written otherwise, or a mistake
        ("Trần Văn Đức", "195509030000", "1", True),
        ("Trần Văn Đạt", "195509020000", "1", True),
        ("Trần Văn Đức", "", "1", True),
        ("", "195509020000", "1", True),
    ],
)
def test_of_two_numbers_of_one_facility_name_and_birth_date_have_to_agree(name, born, sex, two):
    assert share(LENDER, registered("24009999", name, born, sex)) is two


@pytest.mark.parametrize(
    ("name", "born", "sex", "two"),
    [
        ("Trần Đức", "195509020000", "1", False),
        ("Trần Văn Đức", "195609020000", "1", False),
        ("Trần Văn Đức", "195509020000", "2", False),
        ("", "", "", False),
        ("Trần Thị Đức", "195509020000", "2", True),
        ("Trần Văn Đạt", "198001010000", "1", True),
        ("", "198001010000", "2", True),
        ("Trần Thị Đức", "195500000000", "3", False),  # neither the day nor the sex is known
        ("Trần Thị Đức", "195501010000", "", False),
    ],
)
@pytest.mark.parametrize("number", [("24001911", "01004"), ("24001911", "01731"), ("7", "01004")])
def test_otherwise_two_of_name_birth_date_and_sex_have_to_differ(number, name, born, sex, two):
    of_facility, at = number
    assert share(LENDER, registered(of_facility, name, born, sex, at=at)) is two


def newborn(number, name):
    return registered(number, name, "202611200815", "2")


@pytest.mark.parametrize(("first", "second"), [("1", "2"), ("A", "B"), ("1 (2 giờ tuổi)", "2 (3 giờ tuổi)"), ("1 5T", "2 5T")])
def test_twins_under_their_mothers_card_are_told_apart_by_what_stands_behind_her_name(first, second):
    assert share(newborn("26000001", f"CB Trần Thị Mai {first}"), newborn("26000002", f"CB Trần Thị Mai {second}"))
    assert not share(newborn("26000001", f"CB Trần Thị Mai {first}"), newborn("26000003", f"CB TRAN THI MAI {first}"))


def with_citizen_number(person, number):
    citizen = {"type": "SDDCN", "value": number}
    return {**person, "identifiers": [citizen, *person["identifiers"]]}


def test_a_citizen_number_that_differs_counts_beside_name_birth_date_and_sex():
    mai = with_citizen_number(registered("1", "Trần Thị Mai", at="01004"), "001085000001")
    assert share(mai, with_citizen_number(registered("2", "Lê Văn Tám", at="01021"), "079099000002"))
    assert not share(mai, with_citizen_number(registered("2", "Trần Thị Mai", at="01021"), "001085000010"))  # a slip of the pen
    assert not share(mai, registered("2", "Lê Văn Tám", at="01021"))  # the name alone


def test_without_a_number_of_national_issue_in_common_it_is_not_asked():
    """As of somebody who came without papers, and was known later: the patient number is the same."""
    unknown = registered("24001911", "VÔ DANH", "190001010000", "1", card="")
    assert not share(LENDER, unknown)
    assert not share_by_mistake(as_who(LENDER), as_who(BORROWER | {"identifiers": []}))


def test_another_card_in_common_with_a_citizen_number_is_asked_too():
    citizen = {"type": "SDDCN", "value": "001055000001"}
    one, other = ({**person, "identifiers": [citizen, person["identifiers"][0]]} for person in (LENDER, BORROWER))
    assert share(one, other)
    assert not share(one, {**one, "identifiers": [citizen]})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Lò Thị Đào", "LO THI DAO"),
        ("Nguyễn Thị-Hoà", "Nguyễn Thị Hòa"),
        ("Hồ Bảo An 45TH", "Hồ Bảo An"),
        ("Hồ Bảo An - 18 tháng, 3 ngày", "HO BAO AN (2T6TH)"),
        ("CB Hồ Thị Mai 2 5 ngày tuổi", "CB HO THI MAI 2"),
        ("ĐÀO VĂN Đ", "\u00d0ào  văn đ."),
    ],
)
def test_names_are_compared_by_their_letters(one, other):
    assert traits({"ho_ten": one}, KEYRING) == traits({"ho_ten": other}, KEYRING) != {}


def test_what_tells_persons_apart_is_kept_as_hashes_that_are_short():
    found = traits(LENDER, KEYRING)
    assert sorted(found) == ["born", "name", "sex", "year"]
    assert {len(value) for value in found.values()} == {12}
    assert sorted(traits({"ngay_sinh": "195509000000"}, KEYRING)) == ["year"]


def test_facts_of_a_release_that_kept_no_traits_are_read():
    before = {"persons": person_refs(LENDER, KEYRING, test=False)}
    assert share_by_mistake(who(before), as_who(BORROWER))
    assert not share_by_mistake(who(before), as_who(LENDER | {"ho_ten": "Trần Đức"}))
    assert not share_by_mistake(who(before), as_who(registered("7", "Hồ Bảo An", "2019", "2", at=DISTRICT)))
