"""The tables of an assembled claim."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.contract.events import encode
from hub.insurer.rules import money
from hub.routing.assembly import claim_of
from hub.routing.claim_rows import tables
from tests.hub.insurer.made import found_in
from tests.hub.routing.stay import (
    DRUG,
    ECHO,
    GLUCOSE,
    LATE,
    STAY,
    admitted,
    booked,
    charged,
    discharged,
    drug,
    encounter,
    noted,
    ordered,
    prescribed,
    reported,
    service,
    supply,
)


def only(rows, **wanted):
    """The one row with these values."""
    [row] = [row for row in rows if wanted.items() <= row.items()]
    return row


def test_the_summary_is_that_of_the_whole_stay():
    row = tables(STAY)["xml1"]
    assert row["ma_the_bhyt"] == "HT2010160008812"  # told at admission only
    assert (row["ma_bn"], row["so_cccd"], row["gt_the_den"]) == ("PQ08812", "001070000001", "20261231")
    assert (row["chan_doan_vao"], row["chan_doan_rv"]) == ("Đau bụng", "Sỏi túi mật; Tăng huyết áp")
    assert (row["ma_benh_chinh"], row["ma_benh_kt"]) == ("K80.2", "I10")
    assert (row["ngay_vao"], row["ngay_ra"], row["so_ngay_dtri"]) == ("202611200800", "202611231000", 4)
    assert (row["nam_qt"], row["thang_qt"]) == (2026, 11)
    assert (row["ma_khoa"], row["ma_loai_rv"], row["ngay_tai_kham"]) == ("K01;K02", "1", "20261207")


def test_the_occupation_is_what_the_stay_said_of_it():
    assert tables([admitted(ma_nghe_nghiep="93120"), discharged()])["xml1"]["ma_nghe_nghiep"] == "93120"


def test_the_totals_are_the_sums_of_the_lines_to_the_dong():
    found = tables(STAY)
    row = found["xml1"]
    # 6 x 1501, 49300, 2 x 4500, 21500
    assert row["t_thuoc"] == Decimal("9006.00")
    assert row["t_vtyt"] == Decimal("9000.00")
    assert row["t_tongchi_bv"] == row["t_tongchi_bh"] == Decimal("88806.00")
    assert row["t_bhtt"] == Decimal("71044.80")
    assert row["t_bncct"] == row["t_tongchi_bh"] - row["t_bhtt"]
    assert (row["t_bntt"], row["t_nguonkhac"], row["t_bhtt_gdv"]) == (0, 0, row["t_bhtt"])


def test_a_drug_is_joined_with_its_prescription_and_a_credit_leaves_the_rest():
    [row] = tables(STAY)["xml2"]
    assert (row["stt"], row["ma_thuoc"], row["so_luong"], row["thanh_tien_bv"]) == (1, DRUG, Decimal("6.000"), Decimal("9006.00"))
    assert (row["ham_luong"], row["don_vi_tinh"], row["ngay_yl"], row["ma_bac_si"]) == ("5 mg", "Viên", "202611201130", "0001")
    assert row["muc_huong"] == 80  # of the stay


def test_a_service_is_joined_with_its_order_and_its_result():
    rows = tables(STAY)["xml3"]
    row = only(rows, ma_dich_vu=GLUCOSE)
    assert (row["ngay_yl"], row["ma_benh"], row["ma_bac_si"]) == ("202611210730", "K80.2", "0001")
    assert (row["ngay_kq"], row["ma_may"]) == ("202611210815", "XN.1.77")
    other = only(rows, ma_dich_vu=ECHO, ma_nhom="2")
    assert other["ma_bac_si"] == "0007"
    assert "ngay_kq" not in other
    assert [row["stt"] for row in rows] == [1, 2, 3]


def test_a_result_is_joined_on_the_service_that_was_charged():
    [row] = tables(STAY)["xml4"]
    assert (row["ma_dich_vu"], row["ma_chi_so"], row["ten_chi_so"], row["gia_tri"]) == (GLUCOSE, "1000101", "Glucose", "5.4")
    assert (row["ngay_kq"], row["ma_bs_doc_kq"]) == ("202611210815", "0002")


@pytest.mark.parametrize(
    ("later", "values"),
    [
        ([reported(minute=31, value="6.0", status="C")], ["6.0"]),
        ([reported(minute=31, value="6.0", status="P")], ["5.4"]),
        ([reported(minute=31, status="X")], []),
    ],
    ids=["corrected", "preliminary", "withdrawn"],
)
def test_the_last_final_result_counts(later, values):
    assert [row["gia_tri"] for row in tables([*STAY, *later]).get("xml4", [])] == values


def test_a_conclusion_stands_where_no_value_does():
    [one, two] = tables([reported(ket_luan="Bình thường")])["xml4"]
    assert {row.get("gia_tri", row.get("ket_luan")) for row in (one, two)} == {"5.4", "Bình thường"}
    assert not any("gia_tri" in row and "ket_luan" in row for row in (one, two))


def test_notes_become_the_course_of_the_illness():
    [row] = tables(STAY)["xml5"]
    assert (row["dien_bien_ls"], row["thoi_diem_dbls"], row["nguoi_thuc_hien"]) == ("Đỡ đau", "202611210700", "0001")


@pytest.mark.parametrize(
    "document",
    [
        noted(confidentiality="V"),
        noted(availability="CA"),
        noted(action="CANCELLED"),
        noted(code={"code": "DS"}),
        noted(text=""),
    ],
    ids=["confidential", "void", "cancelled", "a letter", "no text"],
)
def test_other_documents_are_no_rows(document):
    assert "xml5" not in tables([document])


def test_a_note_that_was_replaced_gives_way():
    [row] = tables([noted(), noted("N-2", 41, action="REPLACED", parent="N-1", text="Hết đau")])["xml5"]
    assert row["dien_bien_ls"] == "Hết đau"


def test_a_follow_up_slip_goes_with_the_claim_until_it_is_withdrawn():
    assert tables(STAY)["xml14"] == [{"so_giayhen_kl": "HK-1", "ngay_hen_kl": "20261207", "ma_lk": "PQ-1"}]
    assert "xml14" in tables([*STAY, booked(minute=51, action="NO_SHOW")])
    assert "xml14" not in tables([*STAY, booked(minute=51, action="CANCELLED")])


# --- what cannot be told stays absent ---------------------------------------------------------------------------------


def test_prescriptions_that_differ_are_not_chosen_between():
    other = {"line_id": "TH-9", "ma_thuoc": DRUG, "ham_luong": "10 mg", "duong_dung": "1.01"}
    [row] = tables([charged(drug(), minute=1), prescribed(), prescribed("D-2", 7, lines=[other])])["xml2"]
    assert "ham_luong" not in row
    assert row["duong_dung"] == "1.01"


def test_the_number_of_the_order_decides_between_them():
    other = {"line_id": "TH-9", "ma_thuoc": DRUG, "ham_luong": "10 mg"}
    charge = charged(drug(placer="TH-9"), minute=1)
    [row] = tables([charge, prescribed(), prescribed("D-2", 7, lines=[other])])["xml2"]
    assert row["ham_luong"] == "10 mg"


def test_a_replaced_prescription_says_nothing():
    other = {"line_id": "TH-9", "ma_thuoc": DRUG, "ham_luong": "10 mg"}
    [row] = tables([charged(drug(), minute=1), prescribed(), prescribed("D-2", 7, lines=[other], replaces="D-1")])["xml2"]
    assert row["ham_luong"] == "10 mg"


def test_without_a_factor_there_is_no_amount_and_no_total():
    found = tables([charged(drug(), service(tyle_tt_bh=None), minute=1)])
    [row] = found["xml3"]
    assert row["thanh_tien_bv"] == Decimal("49300.00")
    assert not {"thanh_tien_bh", "t_bhtt", "t_bncct", "t_bntt"} & row.keys()
    assert found["xml1"]["t_tongchi_bv"] == Decimal("64310.00")
    assert not {"t_tongchi_bh", "t_bhtt", "t_bncct", "t_bntt"} & found["xml1"].keys()


def test_money_of_sponsors_leaves_open_what_is_insured():
    found = tables([admitted(), charged(drug(t_nguonkhac_cl=Decimal("5000.00")), minute=1)])
    assert found["xml1"]["t_nguonkhac"] == Decimal("5000.00")
    assert found["xml2"][0]["thanh_tien_bv"] == Decimal("15010.00")
    assert not {"thanh_tien_bh", "t_bhtt", "t_bncct", "t_bntt"} & found["xml2"][0].keys()


def test_a_stated_amount_stands_as_it_is():
    [row] = tables([charged(drug(thanh_tien_bv=Decimal("15000.00")), minute=1)])["xml2"]
    assert (row["thanh_tien_bv"], row["thanh_tien_bh"]) == (Decimal("15000.00"), Decimal("15010.00"))


def test_halves_of_a_hao_are_rounded_up():
    [row] = tables([charged(drug(quantity="1", price="333", tyle_tt_bh=Decimal("50.50"), muc_huong=Decimal(95)), minute=1)])[
        "xml2"
    ]
    assert (row["thanh_tien_bh"], row["t_bhtt"]) == (Decimal("168.17"), Decimal("159.76"))  # of 168.165 and 159.7615
    assert row["t_bntt"] + row["t_bncct"] + row["t_bhtt"] == row["thanh_tien_bv"]


_quantities = st.decimals(Decimal("0.001"), Decimal(500), places=3)
_prices = st.decimals(Decimal(0), Decimal(5_000_000), places=3)
_ratios = st.decimals(Decimal(0), Decimal(100), places=2)


@st.composite
def _lines(draw, kind):
    """A drug, service or supply of any amounts, all factors stated, and perhaps a credit of a part of it."""
    number = f"{kind.__name__}{draw(st.integers())}"
    ratios = {name: draw(_ratios) for name in ("tyle_tt_bh", "muc_huong")}
    ratios |= {} if kind is drug else {"tyle_tt_dv": draw(_ratios)}
    quantity, price = draw(_quantities), draw(_prices)
    made = (
        kind(number)
        | ratios
        | {"so_luong": quantity, "don_gia_bv": price, "don_gia_bh": draw(st.sampled_from([price, price / 2]))}
    )
    made["don_gia_bh"] = made["don_gia_bh"].quantize(Decimal("0.001"))
    back = {"line_id": f"C{number}", "kind": "CREDIT", "code": {}, "cancels": number, "so_luong": -draw(_quantities)}
    return [made, back] if draw(st.booleans()) else [made]


@given(st.lists(st.one_of(_lines(drug), _lines(service), _lines(supply)), max_size=5))
@settings(max_examples=40, deadline=None)
def test_the_insurer_computes_the_same_money(groups):
    claim = claim_of([admitted(), discharged(), charged(*(one for group in groups for one in group), minute=5)], "key")
    assert found_in(claim, money.RULES) == set()


def test_no_special_ratio_of_services_applies_to_a_supply():
    [row] = tables([charged(supply(), minute=1)])["xml3"]
    assert (row["tyle_tt_dv"], row["thanh_tien_bh"]) == (Decimal("100.00"), Decimal("9000.00"))
    [row] = tables([charged(service(tyle_tt_dv=None), minute=1)])["xml3"]
    assert not {"tyle_tt_dv", "thanh_tien_bv", "thanh_tien_bh"} & row.keys()


def test_several_main_illnesses_are_none():
    ill = [{"ma_benh": code, "type": "F", "main": True} for code in ("K80.2", "I10")]
    row = tables([admitted(), discharged(diagnoses=ill)])["xml1"]
    assert "ma_benh_chinh" not in row
    assert row["ma_benh_kt"] == "K80.2;I10"


def test_a_line_of_no_table_is_left_out():
    assert tables([charged(drug(table=""), minute=1)]).keys() == {"ma_cskcb", "ma_lk", "xml1"}


# --- corrections ------------------------------------------------------------------------------------------------------


def test_a_reopened_stay_has_no_end():
    row = tables([admitted(), discharged(), encounter("REOPENED", 610)])["xml1"]
    assert not {"ngay_ra", "ma_loai_rv", "ket_qua_dtri"} & row.keys()
    again = tables([admitted(), discharged(), encounter("REOPENED", 610), discharged(620, ngay_ra="202611241000")])["xml1"]
    assert (again["ngay_ra"], again["so_ngay_dtri"]) == ("202611241000", 5)


def test_a_cancelled_transfer_leaves_no_department():
    there = encounter("TRANSFERRED", 10, ma_khoa="K09")
    back = encounter("TRANSFER_CANCELLED", 11, ma_khoa="K01")
    assert tables([admitted(), there, back, discharged()])["xml1"]["ma_khoa"] == "K01;K02"


def test_what_a_sender_deletes_is_gone():
    record, event = encounter("UPDATED", 10)
    event["meta"]["cleared"] = ["ly_do_vv", "person.ho_ten"]
    event["person"] = {}
    row = tables([admitted(), (record, event)])["xml1"]
    assert not {"ly_do_vv", "ho_ten"} & row.keys()


def test_a_cancelled_order_says_nothing():
    lines = charged(service(code=GLUCOSE, placer="CD-1"), minute=1)
    [row] = tables([lines, ordered(), ordered(minute=8, action="CANCELLED")])["xml3"]
    assert "ngay_yl" not in row


_BOTH = [{"code": GLUCOSE}, {"code": ECHO}]


@pytest.mark.parametrize(
    ("said", "times"),
    [
        ([ordered(services=_BOTH)], ["202611210730", "202611210730"]),
        ([ordered(services=_BOTH), ordered(minute=8, action="CANCELLED", services=_BOTH[1:])], ["202611210730", None]),
        ([ordered(services=_BOTH), ordered(minute=8, action="CANCELLED", services=_BOTH)], [None, None]),
        ([ordered(services=_BOTH), ordered(minute=8, action="CANCELLED", services=[])], [None, None]),
        ([ordered(), ordered(action="CANCELLED", services=_BOTH[1:])], ["202611210730", None]),
        ([ordered(), ordered(action="CANCELLED")], ["202611210730", None]),
        ([ordered(), ordered(action="CANCELLED", services=[])], ["202611210730", None]),
        ([ordered(), ordered(action="CHANGED", services=_BOTH[1:])], ["202611210730", "202611210730"]),
        ([ordered(services=_BOTH), ordered(minute=8, action="CHANGED")], ["202611210730", None]),
    ],
    ids=[
        "both",
        "one cancelled",
        "each cancelled",
        "all of it",
        "one beside",
        "and ordered anew",
        "all, and one anew",
        "one changed beside",
        "changed to one",
    ],
)
def test_an_order_stands_for_the_services_of_it_that_are_wanted_still(said, times):
    lines = charged(service("L1", code=GLUCOSE), service("L2", code=ECHO), minute=1)
    rows = {row["ma_dich_vu"]: row.get("ngay_yl") for row in tables([lines, *said])["xml3"]}
    assert [rows[GLUCOSE], rows[ECHO]] == times


_OF_ECHO = {"number": 2, "ordered_at": "202611210905", "ma_bac_si": "0007", "filler": "F-2"}


@pytest.mark.parametrize("number", [{}, {"placer": "CD-1"}, {"placer": "", "filler": "F-2"}], ids=["service", "placer", "filler"])
@pytest.mark.parametrize("said", [[], [ordered(minute=8, action="CANCELLED")]], ids=["both", "the first cancelled"])
def test_a_test_of_an_order_has_its_own_time_and_doctor(number, said):
    order = ordered(services=_BOTH, filler="F-1", parts=[_OF_ECHO])
    lines = charged(service("L2", code=ECHO, ma_bac_si="", **number), minute=1)
    [row] = tables([lines, order, *said])["xml3"]
    assert (row["ngay_yl"], row["ma_bac_si"]) == ("202611210905", "0007")


def test_the_claim_is_one_that_its_schema_holds():
    found = tables([*STAY, LATE])
    meta = {"event_id": "", "facility": "", "key": "", "revision": STAY[0][1]["meta"]["revision"], "source": {"sender": ""}}
    assert encode("hie.Claim", {"meta": meta, "action": "SUBMITTED"} | found)
