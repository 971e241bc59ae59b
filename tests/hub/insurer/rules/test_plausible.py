"""M01 to M04: what a person has to look at. Nothing of it costs money."""

from decimal import Decimal

import pytest

from hub.insurer.rules.plausible import RULES
from tests.hub.insurer.made import claim, claim_of, found_in, line


def told(event):
    return {rule for rule, severity, _ in found_in(event, RULES) if severity == "W"}


def patient(sex="1", born="198503000000", illness="E11.9"):
    made = claim()
    return made | {"xml1": made["xml1"] | {"gioi_tinh": sex, "ngay_sinh": born, "ma_benh_chinh": illness}}


@pytest.mark.parametrize("illness", ["O80", "N81.2", "C53.9", "Z34.9"])
def test_m01_diagnoses_of_women(illness):
    assert told(patient("2", illness=illness)) == set()
    assert told(patient("1", illness=illness)) == {"M01"}
    assert told(patient("3", illness=illness)) == set()  # sex unknown


@pytest.mark.parametrize("illness", ["N40", "C61"])
def test_m01_diagnoses_of_men(illness):
    assert told(patient("1", illness=illness)) == set()
    assert told(patient("2", illness=illness)) == {"M01"}


def test_m02_diagnoses_of_newborns():
    assert told(patient(born="202611010830", illness="P07.3")) == set()
    assert told(patient(born="198500000000", illness="P07.3")) == {"M02"}


@pytest.mark.parametrize("illness", ["Z00.0", "R53"])
def test_m03_no_illness_as_the_main_one(illness):
    assert told(patient(illness="R52.9")) == set()
    assert told(patient(illness=illness)) == {"M03"}


@pytest.mark.parametrize("dose", ["1 viên * 3 lần * 7 ngày [3 viên/ngày]", "Uống 1,5 viên * 2 lần * 7 ngay [3,0 viên / ngay]"])
def test_m04_more_of_a_drug_than_its_dose(dose):
    def taken(quantity):
        return claim_of([line("xml2", so_luong=Decimal(quantity), lieu_dung=dose)])

    assert told(taken("21.000")) == told(taken("31.500")) == set()
    assert told(taken("31.501")) == {"M04"}


def test_m04_a_dose_that_cannot_be_read_says_nothing():
    assert told(claim_of([line("xml2", so_luong=Decimal("900.000"), lieu_dung="theo chỉ định")])) == set()
    assert told(claim_of([], [line("xml3", so_luong=Decimal("900.000"))])) == set()


def test_all_of_it_is_told_only():
    assert {rule.severity for rule in RULES} == {"W"}
