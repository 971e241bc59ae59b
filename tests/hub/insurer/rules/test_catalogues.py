"""C01 to C52: lines, people and diagnoses against dated catalogues."""

from decimal import Decimal

import pytest

from hub.insurer.catalogues import read_catalogues
from hub.insurer.rules import adjudicate
from hub.insurer.rules.catalogues import RULES
from tests.hub.insurer.made import claim_of, columns_of, line

FILES = {
    "drugs": """facility,code,name,price,registration,tender,valid_from,valid_to
01021,40.154,Amoxicilin 500mg,900,VD-28268-17,T1,2025-01-01,2026-06-30
01021,40.154,Amoxicilin 500mg,1000,VD-28268-17,T1,2026-07-01,
01021,40.154,Amoxicilin dear,1500,VD-1,T1,2026-07-01,
""",
    "services": """facility,code,name,price,departments,machines,valid_from,valid_to
01021,23.0075.1494,Định lượng Glucose [Máu],1000,K01;K03,XN.1.AU480,2026-01-01,
""",
    "supplies": """facility,code,name,price,tender,valid_from,valid_to
01021,N03.05.010.1,Bơm tiêm nhựa 5 ml,1000,T1,2026-01-01,
""",
    "staff": """facility,licence,valid_from,valid_to
01021,000123/HNO-CCHN,2026-01-01,
01021,456/HNO-CCHN,2026-01-01,
01021,000789/HNO-CCHN,2026-01-01,2026-10-31
""",
    "icd": """code,not_main,confirm_main,never,death_only,female,male,valid_from,valid_to
E11.9,0,0,0,0,0,0,2026-07-01,
Z98.8,1,0,0,0,0,0,2026-07-01,
I46.9,0,0,0,1,0,0,2026-07-01,
O80,0,0,0,0,1,0,2026-07-01,
""",
}
SUPPLY = {"ma_dich_vu": "", "ten_dich_vu": "", "ma_vat_tu": "N03.05.010.1", "ten_vat_tu": "Bơm tiêm nhựa 5 ml", "ma_nhom": "10", "tt_thau": "T1", "ma_may": ""}  # fmt: skip


@pytest.fixture(scope="module")
def against(tmp_path_factory):
    folder = tmp_path_factory.mktemp("catalogues")
    for name, text in FILES.items():
        (folder / f"{name}.csv").write_text(text, "utf-8")
    return read_catalogues(folder)


def found(against, drugs=(), services=(), facility="01021", **summary):
    given = {"ma_benh_chinh": "E11.9", "gioi_tinh": "1", "ngay_ra": "202611231030", "ma_the_bhyt": "GD4010116149000"}
    event = claim_of(drugs, services, **(given | summary)) | {"ma_cskcb": facility}
    rows = adjudicate(columns_of([event]), RULES, against)
    return {(rule, severity, reduction) for rule, severity, reduction in rows.select("rule", "severity", "reduction").iter_rows()}


def drug(**given):
    return line("xml2", **({"tt_thau": "T1"} | given))


def service(**given):
    return line("xml3", **given)


def test_right_lines_have_no_findings(against):
    assert found(against, [drug()], [service(), service(**SUPPLY)]) == set()


def test_without_a_catalogue_of_the_facility_or_the_kind_nothing_is_checked(against):
    unknown = drug(ma_thuoc="99.9")
    assert found(against, [unknown], facility="01004") == set()
    assert found({}, [unknown]) == set()
    assert adjudicate(columns_of([claim_of([unknown])]), RULES).height == 0


@pytest.mark.parametrize(("facility", "day", "rules"), [("01021", "20261123", set()), ("99999", "20261123", {"C01"}), ("01021", "20181231", {"C01"})])  # fmt: skip
def test_c01_facilities_that_are_not_there(facility, day, rules):
    assert {rule for rule, _, _ in found({}, facility=facility, ngay_ra=day + "1030")} == rules


@pytest.mark.parametrize(
    ("rule", "table", "wrong"),
    [
        ("C10", "xml2", {"ma_thuoc": "99.9"}),
        ("C20", "xml3", {"ma_dich_vu": "99.9"}),
        ("C30", "xml3", SUPPLY | {"ma_vat_tu": "N99"}),
    ],
)
def test_what_is_not_in_the_catalogue_is_cut_whole(against, rule, table, wrong):
    one = drug(**wrong) if table == "xml2" else service(**wrong)
    assert found(against, *([[one], []] if table == "xml2" else [[], [one]])) == {(rule, "C", Decimal("8000.00"))}


def test_c10_goes_by_the_day_of_the_order(against):
    assert ("C10", "C", Decimal("8000.00")) in found(against, [drug(ngay_yl="202412310800")])


@pytest.mark.parametrize(
    ("rule", "table", "dearer"),
    [
        ("C11", "xml2", {"don_gia": Decimal("1100.003")}),
        ("C21", "xml3", {"don_gia_bv": Decimal("1100.003"), "don_gia_bh": Decimal("1100.003")}),
        ("C31", "xml3", SUPPLY | {"don_gia_bv": Decimal("1100.003"), "don_gia_bh": Decimal("1100.003")}),
    ],
)
def test_a_price_above_the_approved_one_is_cut_to_it(against, rule, table, dearer):
    one = drug(**dearer) if table == "xml2" else service(**dearer)
    expected = {(rule, "C", Decimal("800.02"))}  # 11,000.03 x 80 % = 8,800.02, less 8,000
    assert found(against, *([[one], []] if table == "xml2" else [[], [one]])) == expected


def test_c11_of_several_rows_the_one_of_the_same_registration_counts_and_ratios_apply(against):
    assert found(against, [drug(don_gia=Decimal("1500.000"), tyle_tt_bh=Decimal("50.00"))]) == {("C11", "C", Decimal("2000.00"))}
    assert found(against, [drug(don_gia=Decimal("1500.000"), so_dang_ky="VD-1", ten_thuoc="Amoxicilin dear")]) == set()
    assert found(against, [drug(don_gia=Decimal("1000.000"), ngay_yl="202606300800")]) == {("C11", "C", Decimal("800.00"))}


def test_names_registration_department_and_machine_are_told(against):
    assert found(against, [drug(ten_thuoc="Another")]) == {("C12", "W", None)}
    assert found(against, [drug(so_dang_ky="VD-2")]) == {("C13", "W", None)}
    assert found(against, [], [service(ten_dich_vu="Another")]) == {("C22", "W", None)}
    assert found(against, [], [service(**SUPPLY | {"ten_vat_tu": "Another"})]) == {("C32", "W", None)}
    assert found(against, [], [service(ma_khoa="K02")]) == {("C23", "W", None)}
    assert found(against, [], [service(ma_khoa="K03")]) == set()
    assert found(against, [], [service(ma_may="XN.1.OTHER")]) == {("C24", "W", None)}


@pytest.mark.parametrize(
    ("doctor", "listed"),
    [
        ("000123/HNO-CCHN", True),
        ("123/HNO-CCHN", True),
        ("000456/HNO-CCHN;000123/HNO-CCHN", True),
        ("000123/HNO-CCHN.TX.01004", True),
        ("000999/HNO-CCHN", False),
        ("000123/HNO-CCHN;000999/HNO-CCHN", False),
        ("000789/HNO-CCHN", False),  # left in October
    ],
)
def test_c40_who_is_not_on_the_list_on_the_day_is_told(against, doctor, listed):
    assert found(against, [drug(ma_bac_si=doctor)]) == (set() if listed else {("C40", "W", None)})
    assert found(against, [], [service(nguoi_thuc_hien=doctor)]) == (set() if listed else {("C40", "W", None)})


@pytest.mark.parametrize(
    ("illness", "more", "rules"),
    [
        ("E11.9", {}, set()),
        ("E11.99", {}, {"C50"}),
        ("E11.9", {"ngay_ra": "202606301030"}, {"C50"}),
        ("Z98.8", {}, {"C51"}),
        ("I46.9", {"ket_qua_dtri": "2"}, {"C51"}),
        ("I46.9", {"ket_qua_dtri": "5"}, set()),
        ("O80", {"gioi_tinh": "2"}, set()),
        ("O80", {"gioi_tinh": "1"}, {"C52"}),
    ],
)
def test_c50_to_c52_the_main_diagnosis_and_its_flags(against, illness, more, rules):
    assert found(against, ma_benh_chinh=illness, **more) == {(rule, "W", None) for rule in rules}
