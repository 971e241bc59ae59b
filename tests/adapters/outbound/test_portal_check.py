"""What stops a slip at the portal is found before it is sent, with the element to mend and whose turn it is."""

from datetime import date

import pytest

from adapters.outbound.portal_check import Reason, check, is_sensitive
from hub.contract.errors import ERRORS
from tests.slips import CITIZEN, DISTRICT, follow_up, referral

TODAY = date(2026, 6, 24)


def found(record, event):
    return [(one.code, one.element) for one in check(record, event, TODAY)]


def of_referral(person=None, **changed):
    event = referral(**changed)
    event["person"] |= person or {}
    return found("hie.Referral", event)


def of_follow_up(**changed):
    return found("hie.FollowUp", follow_up(**changed))


def test_nothing_is_wrong_with_a_whole_slip():
    assert of_referral() == []
    assert of_follow_up() == []


@pytest.mark.parametrize(
    "element",
    [
        "so_hoso",
        "so_chuyentuyen",
        "dau_hieu_ls",
        "qt_benhly",
        "tinh_trang_ct",
        "ma_lydo_ct",
        "huong_dieu_tri",
        "phuongtien_vc",
        "ma_bac_si",
        "ma_ttdv",
        "chan_doan_rv",
        "ma_benh_chinh",
        "ma_loai_rv",
        "ma_lk",
        "ho_ten",
        "ma_cskcb",
        "ma_cskcb_den",
        "gt_the_den",
    ],
)
def test_a_field_of_the_minimum_set_that_a_referral_lacks_is_named(element):
    assert ("FIELD_MISSING", f"XML13/{element.upper()}") in of_referral(**{element: ""})


@pytest.mark.parametrize("element", ["so_giayhen_kl", "ngay_hen_kl", "ma_bac_si", "ma_ttdv", "ngay_ct", "ma_lk", "ho_ten"])
def test_a_field_that_a_follow_up_slip_lacks_is_named(element):
    assert ("FIELD_MISSING", f"XML14/{element.upper()}") in of_follow_up(**{element: ""})


@pytest.mark.parametrize("element", ["ten_dich_vu", "ten_thuoc", "tomtat_kq"])
def test_what_decision_3176_dropped_or_only_tests_bring_is_not_asked_for(element):
    assert of_referral(**{element: ""}) == []


def test_the_organisation_signs_electronic_slips_since_june_2026():
    assert of_referral(du_phong="") == [("SLIP_UNSIGNED", "XML13/DU_PHONG")]
    assert of_referral(du_phong="", stated_at="20260531235900", ngay_ra="202605310900", ngay_vao="202605300900") == []
    assert of_follow_up(du_phong="") == [("SLIP_UNSIGNED", "XML14/DU_PHONG")]


# --- whose it is ------------------------------------------------------------------------------------------------------


def identifiers(**numbers):
    return {"identifiers": [{"type": kind, "value": number, "normalised": number} for kind, number in numbers.items()]}


@pytest.mark.parametrize(
    ("person", "changed", "reason"),
    [
        (identifiers(MRN="BN1"), {"ma_the_bhyt": "", "gt_the_den": ""}, ("IDENTITY_MISSING", "XML13/MA_THE_BHYT")),
        (identifiers(SDDCN="00118000432"), {}, ("IDENTITY_MALFORMED", "XML13/SO_CCCD")),
        ({}, {"ma_the_bhyt": "BN4521"}, ("IDENTITY_MALFORMED", "XML13/MA_THE_BHYT")),
        ({}, {"ma_the_bhyt": "0000000000"}, ("IDENTITY_MALFORMED", "XML13/MA_THE_BHYT")),
        ({}, {"ngay_sinh": "19801320"}, ("IDENTITY_MALFORMED", "XML13/NGAY_SINH")),
        ({"ngay_sinh": "19810720"}, {"ngay_sinh": "19810720"}, ("IDENTITY_MISMATCH", "XML13/NGAY_SINH")),
        ({"ngay_sinh": "19800721"}, {}, ("IDENTITY_MISMATCH", "XML13/NGAY_SINH")),
        ({"ho_ten": "TRẦN THỊ MÃO"}, {}, ("IDENTITY_MISMATCH", "XML13/HO_TEN")),
        (identifiers(SDDCN=CITIZEN), {"ma_the_bhyt": "001180004322"}, ("IDENTITY_MISMATCH", "XML13/MA_THE_BHYT")),
        (identifiers(BHXH_NUMBER="0118009999"), {}, ("IDENTITY_MISMATCH", "XML13/MA_THE_BHYT")),
        ({}, {"gt_the_den": "20281231;20291231"}, ("IDENTITY_MISMATCH", "XML13/GT_THE_DEN")),
    ],
)
def test_papers_that_are_absent_malformed_or_not_of_one_person(person, changed, reason):
    assert of_referral(person, **changed) == [reason]


@pytest.mark.parametrize(
    ("person", "changed"),
    [
        ({"ho_ten": "Tran  Thi Mai"}, {}),  # the same name in another spelling
        ({"ngay_sinh": "19800000"}, {}),  # only the year is known
        ({}, {"ngay_sinh": "198000000000"}),
        (identifiers(SDDCN=CITIZEN), {"ma_the_bhyt": CITIZEN, "gt_the_den": ""}),  # the number as card since 2025, without a term
        (identifiers(SDDCN=CITIZEN), {"ma_the_bhyt": "", "gt_the_den": ""}),  # not insured: the app knows the number
        ({}, {"ma_the_bhyt": "GD4010118004321;0118004321", "gt_the_den": "20260630;20281231"}),
    ],
)
def test_papers_that_agree(person, changed):
    assert of_referral(person, **changed) == []


def test_two_citizen_numbers_are_two_persons():
    event = referral()
    event["person"]["identifiers"].append({"type": "SDDCN", "value": "001180009999"})
    assert found("hie.Referral", event) == [("IDENTITY_MISMATCH", "XML13/SO_CCCD")]


# --- codes, places, dates ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"ma_loai_rv": "1"}, ("CODE_UNKNOWN", "XML13/MA_LOAI_RV")),
        ({"ma_lydo_ct": "9"}, ("CODE_UNKNOWN", "XML13/MA_LYDO_CT")),
        ({"ma_benh_chinh": "Đái tháo đường"}, ("CODE_UNKNOWN", "XML13/MA_BENH_CHINH")),
        ({"ma_benh_kt": "I10;10I"}, ("CODE_UNKNOWN", "XML13/MA_BENH_KT")),
        ({"ma_cskcb_den": "00000"}, ("FACILITY_UNKNOWN", "XML13/MA_CSKCB_DEN")),
        ({"ma_cskcb_den": DISTRICT}, ("FACILITY_SAME", "XML13/MA_CSKCB_DEN")),
        ({"ma_cskcb": "01731"}, ("FACILITY_NOT_ENTITLED", "XML13/MA_CSKCB")),
        ({"ngay_ra": "202606190900"}, ("DATES_CONTRADICT", "XML13/NGAY_RA")),
        ({"ngay_vao": "20260231"}, ("TIME_UNPARSABLE", "XML13/NGAY_VAO")),
    ],
)
def test_codes_places_and_dates_of_a_referral(changed, reason):
    assert of_referral(**changed) == [reason]


def test_a_stay_before_does_not_count_as_its_own():
    assert of_referral(ngay_vao="202606010800;202606200730", ngay_ra="202606100800;202606231040") == []


def test_nobody_is_asked_back_before_he_leaves():
    assert of_follow_up(ngay_hen_kl="20260622") == [("DATES_CONTRADICT", "XML14/NGAY_HEN_KL")]
    assert of_follow_up(ngay_hen_kl="07/07/2026") == [("TIME_UNPARSABLE", "XML14/NGAY_HEN_KL")]


# --- what is protected ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        {"label": "HIV"},
        {"label": "MENTAL"},
        {"label": "REPRODUCTIVE"},
        {"ma_benh_chinh": "B24"},
        {"ma_benh_kt": "I10;Z21"},
        {"huong_dieu_tri": "Tiếp tục ARV"},
        {"tomtat_kq": "Test nhanh HIV: âm tính", "ma_ttdv": ""},
    ],
)
def test_what_is_sensitive_is_held_by_rule_whatever_else_is_wrong(changed):
    assert of_referral(**changed) == [("SENSITIVE_HELD", "")]
    assert Reason("SENSITIVE_HELD").turn == "consent"


def test_a_signature_is_no_text():
    event = referral(du_phong="MII/HIV+AIDS/==")
    assert not is_sensitive(event, {"DU_PHONG": "MII/HIV+AIDS/=="})


def test_each_reason_is_told_in_both_languages_with_whose_turn_it_is():
    shown = Reason("SLIP_UNSIGNED", "XML13/DU_PHONG").shown()
    assert shown["text"] == ERRORS["SLIP_UNSIGNED"].en
    assert shown["text_vi"] == ERRORS["SLIP_UNSIGNED"].vi
    assert shown["turn"] == "facility"
    assert Reason("RECIPIENT_REFUSED", "maKetQua 202").turn == "facility"
    assert Reason("RECIPIENT_REFUSED", "maKetQua 201").turn == "operator"
    assert Reason("PORTAL_LOGIN_REFUSED").turn == "operator"
