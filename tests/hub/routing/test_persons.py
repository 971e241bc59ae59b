"""By what a person is found: identifiers that mean the same person wherever they stand."""

import pytest

from hub.routing.persons import contradict, may_be_two, person_refs
from tests.hub.routing.story import KEYRING


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
    assert may_be_two(one, other)
    assert not may_be_two(one, one)
    assert not may_be_two(one, refs(nobody))
    assert not may_be_two(one | refs(("SDDCN", "1", "")), one | refs(("SDDCN", "2", "")))  # the card is the same
