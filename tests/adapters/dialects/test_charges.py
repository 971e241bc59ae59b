"""Charges: which table a line belongs to, what an amount is, and whose order it carries."""

import csv
from decimal import Decimal

import pytest

from adapters.dialects.charges import NAMES
from adapters.dialects.paths import FOLDED
from adapters.dialects.profile import compile_text, load_dialect
from hub.contract.errors import HubError
from hub.contract.places import shipped
from tests.adapters.dialects.said import PID, PV1, mapped, only, told


def lines(*rows):
    return only(mapped("DFT^P03", PID, PV1, *rows))["lines"]


@pytest.mark.parametrize(
    ("sent", "group", "elements", "table"),
    [
        ("40.170^Thuốc^VN-THUOC", "1", {"ma_thuoc": "40.170", "ten_thuoc": "Thuốc"}, "XML2"),
        ("03.1^Dịch vụ^VN-DVKT", "4", {"ma_dich_vu": "03.1", "ten_dich_vu": "Dịch vụ"}, "XML3"),
        ("N03^Kim^VN-VTYT^03.1^Siêu âm^VN-DVKT", "10", {"ma_vat_tu": "N03", "ma_dich_vu": "03.1"}, "XML3"),
        ("T1^^L^40.170^Thuốc^VN-THUOC", "", {"ma_thuoc": "40.170", "ten_thuoc": "Thuốc"}, "XML2"),
        ("T1^Thuốc^L", "17", {"ma_thuoc": "T1"}, "XML2"),
        ("V1^Kim^L", "11", {"ma_vat_tu": "V1"}, "XML3"),
        ("K1^Khám^L", "13", {"ma_dich_vu": "K1"}, "XML3"),
    ],
)
def test_the_coding_system_decides_the_table_and_ma_nhom_where_it_is_local(sent, group, elements, table):
    [line] = lines(f"FT1|1|L1||20261123||CG|{sent}", f"ZFT|{group}")
    assert elements.items() <= line.items()
    assert line["table"] == table


def test_a_line_that_nothing_places_is_kept_and_told():
    found = mapped("DFT^P03", PID, PV1, "FT1|1|L1||20261123||CG|X1^Phí^L")
    [line] = only(found)["lines"]
    assert line["code"]["code"] == "X1"
    assert "table" not in line
    assert ("CODE_UNKNOWN", "FT1-7.3") in told(found)


NO_SYSTEM = compile_text("mine", 'extends = "_standard"\nversion = "1"\n[codes.item_system]\n"" = "ma_dich_vu"\n')


@pytest.mark.parametrize(
    ("sent", "group", "elements", "table"),
    [
        ("K1^Khám", "", {"ma_dich_vu": "K1", "ten_dich_vu": "Khám"}, "XML3"),
        ("T1^Thuốc", "4", {"ma_thuoc": "T1", "ten_thuoc": "Thuốc"}, "XML2"),
        ("40.170^Thuốc^VN-THUOC", "", {"ma_thuoc": "40.170", "ten_thuoc": "Thuốc"}, "XML2"),
        ("03.1^Siêu âm^VN-DVKT", "", {"ma_dich_vu": "03.1", "ten_dich_vu": "Siêu âm"}, "XML3"),
        ("X1^Phí^L", "", {}, None),
    ],
    ids=["no system", "a drug by MA_NHOM", "a drug by its system", "a service by its system", "a system without a row"],
)
def test_a_code_that_states_no_system_goes_by_ma_nhom_else_by_the_row_for_such_codes(sent, group, elements, table):
    found = mapped("DFT^P03", PID, PV1, f"FT1|1|L1||20261123||CG|{sent}|||1|5000", f"ZFT|{group}", dialect=NO_SYSTEM)
    [line] = only(found)["lines"]
    assert {name: line[name] for name in line if name in {*NAMES, *NAMES.values()}} == elements
    assert line.get("table") == table
    assert (("CODE_UNKNOWN", "FT1-7.3") in told(found)) is (table is None)


def test_zero_is_an_amount_and_another_currency_is_none():
    found = mapped("DFT^P03", PID, PV1, "FT1|1|L1||20261123||CG|X||||0&VND|12.5&USD")
    [line] = only(found)["lines"]
    assert line["thanh_tien_bv"] == Decimal("0.00")
    assert "don_gia_bv" not in line
    assert ("CURRENCY_FOREIGN", "FT1-12") in told(found)
    assert only(found)["meta"]["unparsed"] == {"lines[0].don_gia_bv": "12.5&USD"}


def test_the_order_behind_a_line_is_its_own_and_orders_before_all_lines_are_nobodys():
    first, second = lines("FT1|1|L1||20261123||CG|X", "ORC|RE|O1|F1", "FT1|2|L2||20261123||CG|Y")
    assert (first["placer"], first["filler"]) == ("O1", "F1")
    assert "placer" not in second
    [line] = lines("ORC|RE|O1", "FT1|1|L1||20261123||CG|X")
    assert line["placer"] == "O1"
    [line] = lines("ORC|RE|O1", "OBR|1", "ORC|RE|O2", "OBR|2", "FT1|1|L1||20261123||CG|X")
    assert "placer" not in line


def test_a_credit_names_the_line_that_it_takes_back():
    found = mapped("DFT^P03", PID, PV1, "FT1|1|L2||20261123||CD|X" + "|" * 24 + "4201", "FT1|2|L3||20261123||CD|X")
    first, second = only(found)["lines"]
    assert (first["kind"], first["cancels"]) == ("CREDIT", "4201")
    assert "cancels" not in second
    assert ("FIELD_MISSING", "FT1[2]-31") in told(found)


def test_an_illness_of_a_line_that_is_protected_labels_the_event():
    event = only(mapped("DFT^P03", PID, PV1, "FT1|1|L1||20261123||CG|X" + "|" * 12 + "J00~b20.1"))
    assert event["lines"][0]["ma_benh"] == "J00;B20.1"
    assert event["meta"]["sensitivity"] == "HIV"


def test_the_scopes_of_a_payment_are_those_of_the_official_list():
    with shipped("seeds/standards/codes.csv").open(encoding="utf-8", newline="") as file:
        official = {row["code"] for row in csv.DictReader(file) if row["list"] == "PHAM_VI"}
    rows = load_dialect("_standard").codes["pham_vi"]
    assert {local: code for local, code in rows.items() if not local.startswith(FOLDED)} == {code: code for code in official}


@pytest.mark.parametrize(("stated", "known"), [("1", True), ("3", True), ("80", False), ("", True)])
def test_a_scope_that_is_none_of_the_official_list_is_told_and_kept_beside_the_charge(stated, known):
    found = mapped("DFT^P03", PID, PV1, "FT1|1|L1||20261123||CG|X|||1|1000", f"ZFT|1|{stated}")
    assert only(found)["lines"][0].get("pham_vi", "") == (stated if known else "")
    assert (("CODE_UNKNOWN", "ZFT-2") in told(found)) is not known
    assert only(found)["meta"].get("unparsed", {}) == ({} if known else {"lines[0].pham_vi": stated})


@pytest.mark.parametrize(("ordered", "beside", "shifted"), [("", "20261123081000", True), ("20261123", "20261123081000", False)])
def test_the_time_of_the_order_of_a_line_in_the_place_of_who_entered_it_is_told(ordered, beside, shifted):
    order = f"ORC|RE|P1{'|' * 7}{ordered}|{beside}"
    found = mapped("DFT^P03", PID, PV1, order, "FT1|1|L1||20261123||CG|X|||1|1000")
    assert (("FIELDS_SHIFTED", "ORC-10") in told(found)) is shifted


@pytest.mark.parametrize(
    ("fields", "shifted"),
    [("|J18.9", True), ("|000123/HNO-CCHN", False), ("|B12", False), ("J18.9|J18.9", False), ("J18.9|", False)],
    ids=["for the performer", "a licence", "a code of people", "both", "in its place"],
)
def test_an_illness_in_the_place_of_the_performer_is_told(fields, shifted):
    found = mapped("DFT^P03", PID, PV1, "FT1|1|L1||20261123||CG|X" + "|" * 12 + fields)
    assert (("FIELDS_SHIFTED", "FT1-20") in told(found)) == shifted


def test_a_service_that_is_protected_labels_the_event():
    for coded, label in (("X^Phá thai bằng thuốc", "REPRODUCTIVE"), ("X^Khâu vết thương", None)):
        event = only(mapped("DFT^P03", PID, PV1, f"FT1|1|L1||20261123||CG|{coded}"))
        assert event["meta"].get("sensitivity") == label


def test_charges_of_two_patients_in_one_message_are_two_events():
    found = mapped("DFT^P03", PID, PV1, "FT1|1|L1", "PID|2||N2^^^^MR", "PV1|1|O|||||||||||||||||LK2", "FT1|1|L2")
    assert [(event["ma_lk"], event["lines"][0]["line_id"]) for _, event in found.events] == [("LK1", "L1"), ("LK2", "L2")]


def test_without_ft1_nothing_was_charged():
    found = mapped("DFT^P03", PID, PV1)
    assert not found.events
    assert ("NOTHING_REPRESENTABLE", "FT1") in told(found)


@pytest.mark.parametrize(
    ("quantity", "amount", "price", "share", "doubtful"),
    [
        ("10", "148480", "14848", "", False),
        ("10", "148.480", "14848", "", True),
        ("10", "148.480", "14.848", "", True),
        ("1", "421000", "42100", "", True),
        ("3", "10000", "3333", "", False),
        ("3", "9999.99", "3333.33", "", False),
        ("-1", "-42100", "42100", "", True),
        ("1", "0", "42100", "", False),
        ("1", "21050", "42100", "50", False),
        ("", "148.480", "", "", True),
        ("", "500", "", "", False),
        ("10", "950.13", "95.013", "", False),
    ],
    ids=[
        "agree", "thousand times too small", "both with points", "ten times too much", "rounded to a dong", "to a hundredth",
        "taken back", "free", "paid by half", "alone, with a point", "alone", "thousandths in a price",
    ],
)  # fmt: skip
def test_an_amount_that_is_not_quantity_times_price_or_may_be_another_is_told(quantity, amount, price, share, doubtful):
    found = mapped("DFT^P03", PID, PV1, f"FT1|1|L1||20261123||CG|X|||{quantity}|{amount}|{price}", f"ZFT|||{share}")
    assert ("AMOUNT_DOUBTFUL" in {code for code, _ in told(found)}) is doubtful
    assert only(found)["lines"][0]["thanh_tien_bv"] == Decimal(amount), "as HL7 has it"


@pytest.mark.parametrize(
    ("kind", "quantity", "place"), [("CG", "-2", "FT1-10"), ("", "", "FT1-11"), ("CD", "-2", ""), ("AJ", "", "")]
)
def test_a_charge_of_less_than_nothing_is_told(kind, quantity, place):
    found = told(mapped("DFT^P03", PID, PV1, f"FT1|1|L1||20261123||{kind}|X|||{quantity}|-42100|"))
    assert [path for code, path in found if code == "AMOUNT_DOUBTFUL"] == ([place] if place else [])


@pytest.mark.parametrize(("amount", "doubtful"), [("1.5", True), ("15", True), ("500", False), ("1.500", False)])
def test_an_amount_that_stays_tiny_where_points_part_thousands_is_told(amount, doubtful):
    mine = compile_text("mine", 'extends = "_standard"\nversion = "1"\npoint = "thousands"\n')
    found = mapped("DFT^P03", PID, PV1, f"FT1|1|L1||20261123||CG|X||||{amount}", dialect=mine)
    assert (("AMOUNT_DOUBTFUL", "FT1-11") in told(found)) is doubtful


def test_points_between_thousands_of_dong_are_read_where_the_profile_says_so():
    mine = compile_text("mine", 'extends = "_standard"\nversion = "1"\npoint = "thousands"\n')
    found = mapped("DFT^P03", PID, PV1, "FT1|1|L1||20261123||CG|X|||10.125|150.340,63|14.848,457", dialect=mine)
    [line] = only(found)["lines"]
    assert (line["thanh_tien_bv"], line["don_gia_bv"]) == (Decimal("150340.63"), Decimal("14848.457"))
    assert line["so_luong"] == Decimal("10.125"), "a quantity is no amount"
    assert "AMOUNT_DOUBTFUL" not in {code for code, _ in told(found)}


def test_a_comma_and_a_point_cannot_both_stand_between_thousands():
    with pytest.raises(HubError, match="a comma cannot stand between thousands too"):
        compile_text("mine", 'extends = "_standard"\nversion = "1"\ncomma = "thousands"\npoint = "thousands"\n')


@pytest.mark.parametrize(
    ("rows", "places"),
    [
        (["T1|CG|GLU^Glucose", "T1|CG|NA^Natri", "T1|CG|K^Kali"], {"FT1[2]-2", "FT1[3]-2"}),
        (["T1|CG|GLU^Glucose", "T1|CG|GLU^Glucose"], set()),
        (["T1|CD|GLU^Glucose", "T1|CG|NA^Natri"], set()),
        (["T1|CG|GLU^Glucose", "T2|CG|NA^Natri"], set()),
        (["|CG|GLU^Glucose", "|CG|NA^Natri"], set()),
    ],
    ids=["shared", "said twice", "taken back and put in its place", "each its own", "none"],
)
def test_different_services_under_one_number_are_told(rows, places):
    said = [row.split("|") for row in rows]
    found = mapped("DFT^P03", PID, PV1, *(f"FT1|{n}|{id}||20261123||{kind}|{code}" for n, (id, kind, code) in enumerate(said, 1)))
    assert len(only(found)["lines"]) == len(rows)
    assert {path for code, path in told(found) if code == "LINE_NUMBER_SHARED"} == places


@pytest.mark.parametrize(
    ("sent", "kind", "unknown"),
    [("CG", "CHARGE", False), ("CD", "CREDIT", False), ("PY", "PAYMENT", False), ("AJ", "ADJUSTMENT", False), ("", None, False),
     ("THU", "THU", True), ("XX", "XX", True)],
)  # fmt: skip
def test_a_kind_of_charge_that_no_table_has_is_told_and_kept(sent, kind, unknown):
    found = mapped("DFT^P03", PID, PV1, f"FT1|1|L1||20261123||{sent}|03.1^X^VN-DVKT")
    assert only(found)["lines"][0].get("kind") == kind
    assert (("CHARGE_KIND_UNKNOWN", "FT1-6") in told(found)) is unknown


@pytest.mark.parametrize(
    ("sums", "told_of"), [("", True), ("2", False), ("|90000&VND", False), ("||45000&VND", False), ("|0", False), ("ba", False)]
)
def test_a_line_without_quantity_price_and_amount_is_told(sums: str, told_of: bool) -> None:
    found = mapped(
        "DFT^P03", PID, PV1, "FT1|1|L1||20261123||CG|K1^Khám^VN-DVKT|||5", f"FT1|2|L2||20261123||CG|K2^X^VN-DVKT|||{sums}"
    )
    assert (("FIELD_MISSING", "FT1[2]-11") in told(found)) == told_of and ("FIELD_MISSING", "FT1[1]-11") not in told(found)


def test_a_credit_without_an_amount_takes_back_all_of_its_line() -> None:
    found = mapped("DFT^P03", PID, PV1, "FT1|1|L2||20261123||CD|K1^Khám^VN-DVKT" + "|" * 24 + "L1")
    assert only(found)["lines"][0]["cancels"] == "L1" and told(found) == set()


@pytest.mark.parametrize(
    ("stated", "codes", "more"),
    [
        ("J44.9;E11.9", "J44.9;E11.9", False),
        ("e119 / I10", "E11.9;I10", False),
        ("J18.9^Viêm phổi~I10", "J18.9;I10", False),
        ("E11.9 & I10", "E11.9;I10", False),
        ("X-1", "X-1", False),
        ("J44.9; E11.9 tiểu đường", "J44.9;E11.9", True),
        ("J18.9 Viêm phổi, I10", "J18.9;I10", True),
        ("A00-A09", "A00", True),
        ("đau bụng", "đau bụng", True),
    ],
)
def test_each_code_of_a_line_is_read_and_what_is_none_is_told_and_kept(stated, codes, more):
    found = mapped("DFT^P03", PID, PV1, "FT1|1|L1||20261123||CG|X||||5000" + "|" * 8 + stated)
    assert only(found)["lines"][0]["ma_benh"] == codes
    assert only(found)["meta"].get("unparsed", {}).get("lines[0].ma_benh") == (stated if more else None)
    assert (("CODE_UNKNOWN", "FT1-19") in told(found)) is more


def test_a_description_is_whole_whatever_nobody_escaped_in_it():
    for kind, name in (("VN-DVKT", "ten_dich_vu"), ("VN-THUOC", "ten_thuoc"), ("VN-VTYT", "ten_vat_tu")):
        for said in ("Xét nghiệm máu & nước tiểu", "Dịch truyền Na^Cl", "Gói A&B^C"):
            [line] = lines(f"FT1|1|L1||20261123||CG|X^^{kind}|{said}^")
            assert line[name] == said


@pytest.mark.parametrize("sent", ["X^Tên khác^VN-DVKT", "X^^VN-DVKT", "X^Tên khác^VN-DVKT^V1^Kim^VN-VTYT"])
def test_the_rule_of_a_profile_for_a_name_goes_before_what_stands_beside_the_code(sent):
    for rule in ('{ from = "FT1-8", as = "text" }', '"FT1-8"'):
        mine = compile_text("mine", f'extends = "_standard"\nversion = "1"\n[charge_line]\nten_dich_vu = {rule}\n')
        found = mapped("DFT^P03", PID, PV1, f"FT1|1|L1||20261123||CG|{sent}|Máu & nước ^ tiểu", dialect=mine)
        [line] = only(found)["lines"]
        assert (line["ma_dich_vu"], line["ten_dich_vu"]) == ("X", "Máu & nước ^ tiểu")
