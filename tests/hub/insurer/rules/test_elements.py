"""F01 to F07: each with a claim that passes and one that fails."""

import pytest

from hub.insurer.rules.elements import RULES
from tests.hub.insurer.made import claim, claim_of, found_in, line

CARD = "GD4010012345678"


def with_summary(**given):
    """A right claim whose XML1 has these elements."""
    made = claim()
    return made | {"xml1": made["xml1"] | given}


def with_line(table, **given):
    return claim_of(**{"drugs" if table == "xml2" else "services": [line(table, **given)]})


def severities(event, rule, field):
    return {severity for found, severity, about in found_in(event) if (found, about) == (rule, field)}


@pytest.mark.parametrize("field", ["ho_ten", "ngay_sinh", "gioi_tinh", "ma_benh_chinh", "ngay_vao", "ngay_ra", "ma_loai_kcb"])
def test_f01_what_a_claim_is_settled_by_must_be_there(field):
    assert severities(with_summary(), "F01", field) == set()
    assert severities(with_summary(**{field: ""}), "F01", field) == {"E"}


@pytest.mark.parametrize("field", ["ma_nghe_nghiep", "dia_chi", "can_nang", "ma_hsba", "chan_doan_vao"])
def test_f01_other_elements_that_the_tables_ask_for_are_told(field):
    assert severities(with_summary(**{field: ""}), "F01", field) == {"W"}


def test_f01_the_district_is_asked_of_nobody_since_there_are_none():
    assert severities(with_summary(mahuyen_cu_tru=""), "F01", "mahuyen_cu_tru") == set()


def test_f01_a_year_that_is_no_number_is_missing():
    assert severities(with_summary(nam_qt=None), "F01", "nam_qt") == {"E"}


@pytest.mark.parametrize(
    ("table", "field"), [("xml2", "ma_thuoc"), ("xml3", "ma_nhom"), ("xml2", "pham_vi"), ("xml3", "ma_pttt")]
)
def test_f01_the_same_of_lines_and_only_of_the_table_that_has_the_element(table, field):
    assert "E" in severities(with_line(table, **{field: ""}), "F01", field)
    other = "xml3" if table == "xml2" else "xml2"
    assert severities(claim_of(drugs=[], services=[]), "F01", field) == set()
    if field == "ma_thuoc":
        assert severities(with_line(other), "F01", field) == set()


def test_f01_a_supply_needs_its_name_and_a_service_its_code():
    supply = {"ma_vat_tu": "N03.05.010.1", "ten_vat_tu": "", "ma_dich_vu": "", "ten_dich_vu": ""}
    assert severities(with_line("xml3", **supply), "F01", "ten_vat_tu") == {"W"}
    assert severities(with_line("xml3", **supply), "F01", "ma_dich_vu") == set()
    service = {"ma_vat_tu": "", "ten_vat_tu": "", "ma_dich_vu": ""}
    assert severities(with_line("xml3", **service), "F01", "ma_dich_vu") == {"W"}
    assert severities(with_line("xml3", **service), "F01", "ten_vat_tu") == set()


@pytest.mark.parametrize(
    ("field", "right", "wrong"),
    [("gioi_tinh", "3", "4"), ("ma_doituong_kcb", "1.10", "3"), ("ma_loai_kcb", "14", "17"), ("ma_loai_rv", "5", "0")],
)
def test_f02_a_code_is_one_of_its_list(field, right, wrong):
    if field != "ma_doituong_kcb":
        assert severities(with_summary(**{field: right}), "F02", field) == set()
    assert severities(with_summary(**{field: wrong}), "F02", field) == {"E"}


def test_f02_a_flag_may_say_no():
    assert severities(with_line("xml2", vet_thuong_tp="0"), "F02", "vet_thuong_tp") == set()
    assert severities(with_line("xml2", vet_thuong_tp="7"), "F02", "vet_thuong_tp") == {"E"}


@pytest.mark.parametrize(
    ("field", "right", "wrong"),
    [
        ("ngay_sinh", "198500000000", "19850000"),
        ("ngay_vao", "202611230000", "202602300805"),
        ("ngay_ra", "202611232359", "202611232460"),
        ("ma_benh_chinh", "E11", "E1"),
    ],
)
def test_f02_what_has_a_shape_keeps_it(field, right, wrong):
    assert severities(with_summary(**{field: right}), "F02", field) == set()
    assert severities(with_summary(**{field: wrong}), "F02", field) == {"E"}


@pytest.mark.parametrize("wrong", ["20261123", "202613010800", "202611320800", "2026-11-23 8", "202611232400"])
def test_f02_the_time_of_an_order_is_one(wrong):
    assert severities(with_line("xml3", ngay_yl="202611230815"), "F02", "ngay_yl") == set()
    assert severities(with_line("xml3", ngay_yl=wrong), "F02", "ngay_yl") == {"E"}


def test_f02_identity_numbers_and_lengths_are_told_only():
    assert severities(with_summary(so_cccd="001085012345"), "F02", "so_cccd") == set()
    assert severities(with_summary(so_cccd="12345"), "F02", "so_cccd") == {"W"}
    assert severities(with_summary(dien_thoai="0" * 15), "F02", "dien_thoai") == set()
    assert severities(with_summary(dien_thoai="0" * 16), "F02", "dien_thoai") == {"W"}
    assert severities(with_summary(nhom_mau="Ơ" * 5), "F02", "nhom_mau") == set()  # characters count, not bytes


def test_f02_lists_and_months_have_an_end():
    assert severities(with_summary(thang_qt=13), "F02", "thang_qt") == {"E"}
    assert severities(with_summary(ma_benh_kt=";".join(["I10"] * 12)), "F02", "ma_benh_kt") == set()
    assert severities(with_summary(ma_benh_kt=";".join(["I10"] * 13)), "F02", "ma_benh_kt") == {"W"}


def test_f02_the_facility_is_the_one_that_sent_the_claim():
    assert severities(with_summary(ma_cskcb="99999"), "F02", "ma_cskcb") == {"E"}
    assert severities(with_summary(), "F02", "ma_cskcb") == set()


@pytest.mark.parametrize("card", [CARD, "0123456789", "001085012345", "TE1010000000123", "gd4010012345678"])
def test_f03_cards_of_every_shape_pass(card):
    assert severities(with_summary(ma_the_bhyt=card), "F03", "ma_the_bhyt") == set()


@pytest.mark.parametrize("card", ["GD6010012345678", "GD401001234567", "123456789", "GD4010012345678;X"])
def test_f03_what_is_no_card_fails(card):
    assert severities(with_summary(ma_the_bhyt=card), "F03", "ma_the_bhyt") == {"E"}


def test_f03_money_of_the_fund_needs_a_card():
    paid = claim_of([line("xml2")])
    nobody = paid | {"xml1": paid["xml1"] | {"ma_the_bhyt": ""}}
    assert severities(nobody, "F03", "ma_the_bhyt") == {"E"}
    uninsured = nobody | {"xml1": nobody["xml1"] | {"ma_doituong_kcb": "9"}}
    assert severities(uninsured, "F03", "ma_the_bhyt") == set()


@pytest.mark.parametrize("field", ["ma_dkbd", "gt_the_tu", "gt_the_den"])
def test_f04_lists_of_cards_are_of_one_length(field):
    two = {
        "ma_the_bhyt": f"{CARD};{CARD}",
        "ma_dkbd": "01021;01004",
        "gt_the_tu": "20260101;20260601",
        "gt_the_den": "20260531;20261231",
    }
    assert severities(with_summary(**two), "F04", field) == set()
    assert severities(with_summary(**two | {field: two[field].split(";")[0]}), "F04", field) == {"E"}


def test_f05_the_exemption_from_co_payment_is_of_the_year():
    assert severities(with_summary(ngay_mien_cct="20260901"), "F05", "ngay_mien_cct") == set()
    assert severities(with_summary(ngay_mien_cct="20250901"), "F05", "ngay_mien_cct") == {"E"}


def test_f06_the_year_of_settlement_is_that_of_the_end():
    assert severities(with_summary(), "F06", "nam_qt") == set()
    assert severities(with_summary(nam_qt=2025), "F06", "nam_qt") == {"E"}


def test_f07_weights_are_possible():
    assert severities(with_summary(can_nang="200"), "F07", "can_nang") == set()
    assert severities(with_summary(can_nang="201.5"), "F07", "can_nang") == {"W"}
    assert severities(with_summary(can_nang_con="3200;2900.5"), "F07", "can_nang_con") == set()
    assert severities(with_summary(can_nang_con="3200;29"), "F07", "can_nang_con") == {"W"}


def test_every_element_is_looked_at_once_for_each_question():
    asked = [(rule.id, rule.about, rule.field, rule.en, str(rule.fails)) for rule in RULES]
    assert len(asked) == len(set(asked))
