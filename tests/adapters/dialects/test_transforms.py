"""The closed list of transforms, each by what it takes and what it leaves."""

import re
from decimal import Decimal
from pathlib import Path

import pytest

from adapters.dialects import transforms
from adapters.dialects.transforms import TRANSFORMS


@pytest.mark.parametrize(
    ("name", "value", "written"),
    [
        ("time", "2026", "2026"),
        ("time", "20261123", "20261123"),
        ("time", "202611230805", "202611230805"),
        ("time", "20261123080500.1234+0700", "20261123080500.1234+0700"),
        ("time", "23/11/2026", None),
        ("time", "20261323", None),
        ("time", "20261123250000", None),
        ("minute", "20261123", "202611230000"),
        ("minute", "20261123080559", "202611230805"),
        ("minute", "20261123010500+0000", "202611230805"),
        ("minute", "20261123+0000", "202611230000"),
        ("minute", "202611", None),
        ("day", "202611230805", "20261123"),
        ("day", "hôm nay", None),
        ("day_first", "02/01/1990", "199001020000"),
        ("day_first", "2-1-1990 8:30", "199001020830"),
        ("day_first", "31/02/1990", None),
        ("day_first", "9/1961", "196109000000"),
        ("day_first", "00/09/1961", "196109000000"),
        ("day_first", "00/00/1961", "196100000000"),
        ("day_first", "1961", "196100000000"),
        ("day_first", "13/1961", None),
        ("day_first", "12/00/1961", None),
        ("day_first", "1990/01/02", None),
        ("day_first", "19900102", "199001020000"),
        ("day_first", "20261123083015+0700", "202611230830"),
        ("day_first", "19901302", None),
        ("day_first", "23112026", None),
        ("birth", "1985", "198500000000"),
        ("birth", "198503", "198503000000"),
        ("birth", "19850000", "198500000000"),
        ("birth", "20261122041530", "202611220415"),
        ("birth", "12/03/1985", None),
        ("birth", "19851350", None),
        ("facility_code", "01004", "01004"),
        ("facility_code", "CS01004", "01004"),
        ("facility_code", "VN-CSKCB-01004", "01004"),
        ("facility_code", "CS1", ""),
        ("facility_code", "HIE", ""),
        ("province", "001", "01"),
        ("province", "79", "79"),
        ("province", "OH", None),
        ("commune", "00118", "00118"),
        ("commune", "118", None),
        ("two_digits", "1", "01"),
        ("two_digits", "2106-3", None),
        ("number_not_zero", "0", ""),
        ("number_not_zero", "000", ""),
        ("number_not_zero", "DL0", "DL0"),
        ("icd", "e119", "E11.9"),
        ("icd", "I10", "I10"),
        ("icd", " B20.0 ", "B20.0"),
        ("icd", "44054006", "44054006"),
        ("icd", "J18.9 - Viêm phổi", "J18.9"),
        ("icd", "j189 Viêm phổi", "J18.9"),
        ("icd", "I10: Tăng huyết áp", "I10"),
        ("icd", "Viêm phổi", None),
        ("icd", "j449;E11.9; n18.3", "J44.9;E11.9;N18.3"),
        ("icd", "J18.9, I10", "J18.9;I10"),
        ("icd", "I10;", "I10"),
        ("percent", "80", Decimal("80.00")),
        ("percent", "95.5 %", Decimal("95.50")),
        ("percent", "100", Decimal("100.00")),
        ("percent", "101", None),
        ("percent", "-1", None),
        ("percent", "all", None),
        ("is_one", "1", True),
        ("is_one", "2", False),
        ("whole", "012", 12),
        ("whole", "-1", None),
        ("whole", "1.5", None),
        ("whole", "1" * 10, None),
        ("quantity", "2.5", Decimal("2.500")),
        ("quantity", "-10", Decimal("-10.000")),
        ("quantity", "0", Decimal("0.000")),
        ("quantity", "2,5", None),
        ("quantity", "0.0001", None),
        ("quantity", "1e3", None),
        ("percent", "100", Decimal("100.00")),
        ("percent", "1000", None),
        ("amount", "15000", Decimal("15000.00")),
        ("amount", "-0", Decimal("0.00")),
        ("unit_price", "1500.125", Decimal("1500.125")),
        ("location", ["K02", "P201", "H012", "01021"], "K02/P201/H012"),
        ("location", ["K02", "", ""], "K02"),
        ("joined", ["012345", " ", "067890 "], "012345;067890"),
        ("joined_icd", ["e119", "I10"], "E11.9;I10"),
        ("joined_icd", ["e119,I10", "J18.9"], "E11.9;I10;J18.9"),
        ("joined_icd", ["Viêm phổi"], "Viêm phổi"),
        ("paths", [["1", "0700", "1130"], ["", ""], ["7"]], ["1/0700/1130", "7"]),
        ("full_name", ["Lê", "Bình", "Văn"], "Lê Văn Bình"),
        ("full_name", ["Lê  Văn Bình"], "Lê Văn Bình"),
        ("full_name", ["Le\u0302", "Bi\u0300nh"], "Lê Bình"),
        ("full_name_without_age", ["LÊ BẢO AN 45TH"], "LÊ BẢO AN"),
        ("full_name_without_age", ["LÊ BẢO AN 12NT"], "LÊ BẢO AN"),
        ("full_name_without_age", ["LÊ THỊ NT"], "LÊ THỊ NT"),
        ("full_name_without_age", ["Nguyễn", "An (34T)", "Văn"], "Nguyễn Văn An"),
        ("full_name_without_age", ["Nguyễn Văn T"], "Nguyễn Văn T"),
        ("full_name_without_age", ["CB Lê Thị Hoa 2"], "CB Lê Thị Hoa 2"),
        ("full_name_without_age", ["Ngô Thị Tuổi"], "Ngô Thị Tuổi"),
        ("full_name_without_age", ["Lê Anh Tuấn"], "Lê Anh Tuấn"),
        ("full_name_without_age", ["Lê Thị An (Tháng)"], "Lê Thị An (Tháng)"),
        ("full_name_without_age", ["LE VAN 2 TUAN"], "LE VAN 2 TUAN"),
        ("full_name_without_age", ["Lê Văn 2 Tuấn"], "Lê Văn 2 Tuấn"),
        ("full_name_given_first", ["Hòa", "Nguyễn", "Thị"], "Nguyễn Thị Hòa"),
        ("full_name_given_first", ["Hòa", "Nguyễn Thị"], "Nguyễn Thị Hòa"),
        ("full_name_in_order", ["Phạm", "Thị", "Mai"], "Phạm Thị Mai"),
        ("full_name_in_order", ["Phạm", "Mai"], "Phạm Mai"),
        ("full_name_in_order", ["Phạm Thị Mai"], "Phạm Thị Mai"),
        ("full_name_given_first", ["Nguyễn Thị Hòa"], "Nguyễn Thị Hòa"),
        ("address", ["12 Phố Huế", "", "Hà Nội", "01", "", "VN", "", "Tổ 5"], "12 Phố Huế, Hà Nội, Tổ 5"),
        ("address", ["1 Trần Phú", "", "P1", "Q1", "Đà Nẵng", "VN"], "1 Trần Phú, P1, Q1, Đà Nẵng"),
        ("address", ["1 Trần Phú", "", "P1", "Quận 1", "700000"], "1 Trần Phú, P1, Quận 1"),
        ("address", ["1 Trần Phú", "", "Q.12", "079", "Khu phố 3"], "1 Trần Phú, Q.12, Khu phố 3"),
        ("address", ["Xóm 3", "", "Xã Đông", "Thành phố Cẩm Phả", "Quảng Ninh"], "Xóm 3, Xã Đông, Thành phố Cẩm Phả, Quảng Ninh"),
        ("display", ["NEG", "Âm tính", "L"], "Âm tính"),
        ("display", ["NEG"], "NEG"),
        ("display", ["", "", "", "", "", "", "", "", "không rõ"], "không rõ"),
        ("text", " hai\ndòng ", "hai\ndòng"),
        ("list", ["H", "A"], ["H", "A"]),
        ("code", ["GLU", "Glucose", "L"], {"code": "GLU", "display": "Glucose", "system": "L"}),
        ("code", ["", "", "", "14749-6", "", "LN"], {"alt_code": "14749-6", "alt_system": "LN"}),
    ],
)
def test_transform(name: str, value: object, written: object) -> None:
    assert TRANSFORMS[name].function(value) == written


@pytest.mark.parametrize(
    "age",
    [
        "(34T)",
        "34T",
        "34t",
        "(8TH)",
        "(34 T)",
        "( 34T )",
        "[34T]",
        "(34 tuoi)",
        "(34 tuổi)",
        "(18 tháng tuổi)",
        "(2 NGÀY TUỔI)",
        "(2 GIỜ TUỔI)",
        "28 TUẦN",
        "28 TUẦN TUỔI",
        "2 gio tuoi",
        "3 THÁNG 12 NGÀY",
        "34 TUỔI",
        "- 34T",
        "-34T",
        "– 34T",
        "34TUOI",
        "12NT",
        "12N",
        "(5 ngày)",
        "5 ngay\n       ",
        "8 tháng",
        "8THANG",
        "- (34T)",
        "3 tuần 2 ngày 5 giờ",
        "3 TUAN 2 NGAY",
        "18 tháng, 3 ngày",
        "(18 tháng, 3 ngày, 2 giờ tuổi)",
        "2 TUAN TUOI",
        "(2 TUAN)",
        "- 2 TUAN",
        "2T6TH",
        "(2T 6TH)",
        "(34 tuổi)",
        "102T",
    ],
)
def test_an_age_behind_a_name_is_cut_however_it_is_written(age: str) -> None:
    for name in ("LÊ BẢO AN", "Nguyễn Văn T"):
        assert TRANSFORMS["full_name_without_age"].function([f"{name} {age.strip()}"]) == name
    if age.startswith(("(", "[", "-")):
        assert TRANSFORMS["full_name_without_age"].function([f"LÊ BẢO AN{age}"]) == "LÊ BẢO AN"


def test_what_can_fail_says_how_it_is_reported() -> None:
    for name, row in TRANSFORMS.items():
        garbage = "?" if row.kind == "value" else []
        if row.kind == "value" and row.function(garbage) is None:
            assert row.problem in ("TIME_UNPARSABLE", "CODE_UNKNOWN", "NUMBER_UNPARSABLE"), name


@pytest.mark.parametrize(
    ("stated", "moment"),
    [
        ("20261123080500", "2026-11-23T08:05:00+07:00"),
        ("20261123", "2026-11-23"),
        ("20261123-0500", "2026-11-23"),
        ("2026112300", "2026-11-23T00:00:00+07:00"),
        ("202611230805+0000", "2026-11-23T15:05:00+07:00"),
        ("20261123080500-0500", "2026-11-23T20:05:00+07:00"),
        ("20260230", None),
        ("20260230080500", None),
        ("202611", None),
        ("", None),
        ("99991231235959-1200", None),
    ],
)
def test_a_moment_is_told_in_the_time_of_vietnam(stated: str, moment: str | None) -> None:
    assert transforms.moment(stated) == moment


@pytest.mark.parametrize(
    ("comma", "value", "read"),
    [
        ("decimal", "9,8", "9.8"),
        ("decimal", "-0,50", "-0.50"),
        ("decimal", "1,234", "1.234"),
        ("decimal", "1.234,5", "1234.5"),
        ("decimal", "1.234.567", "1234567"),
        ("decimal", "80,5 %", "80.5 %"),
        ("decimal", "9.8", "9.8"),
        ("decimal", "0.125", "0.125"),
        ("decimal", "1.234", None),
        ("decimal", "1,234,567", "1,234,567"),
        ("decimal", "12.34,5", "12.34,5"),
        ("decimal", "9,", "9,"),
        ("decimal", "âm tính", "âm tính"),
        ("thousands", "1,234", "1234"),
        ("thousands", "1,234,567.50", "1234567.50"),
        ("thousands", "9,8", "9,8"),
        ("thousands", "0,125", "0,125"),
        ("thousands", "1.234", "1.234"),
        ("", "9,8", "9,8"),
        ("", "1.234", "1.234"),
    ],
)
def test_what_a_comma_means_is_the_senders_to_say(comma: transforms.Comma, value: str, read: str | None) -> None:
    assert transforms.pointed(value, comma) == read


def test_every_transform_for_numbers_reads_the_comma_of_its_sender() -> None:
    read = {
        name: transforms.with_comma(TRANSFORMS[name], "decimal").function("2,50") for name in ("quantity", "amount", "percent")
    }
    assert read == {"quantity": Decimal("2.500"), "amount": Decimal("2.50"), "percent": Decimal("2.50")}
    assert transforms.with_comma(TRANSFORMS["unit_price"], "thousands").function("15,000") == Decimal(15000)
    assert transforms.with_comma(TRANSFORMS["amount"], "decimal").function("15.000") is None, "15000, or 15 as HL7 has it"
    assert transforms.with_comma(TRANSFORMS["time"], "decimal") is TRANSFORMS["time"]


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("148.480", "148480"),
        ("1.234.567", "1234567"),
        ("14.848,5", "14848.5"),
        ("148480", "148480"),
        ("148480.00", "148480.00"),
        ("148.5", "148.5"),
        ("0.500", "0.500"),
        ("1,234,567", "1,234,567"),
        ("âm", "âm"),
    ],
)
def test_a_point_between_thousands_of_dong_is_the_senders_to_say(value: str, read: str) -> None:
    assert transforms.in_dong(value) == read
    assert transforms.with_comma(TRANSFORMS["amount"], "decimal", "thousands").function("148.480") == Decimal(148480)
    assert transforms.with_comma(TRANSFORMS["quantity"], "", "thousands") is TRANSFORMS["quantity"]


@pytest.mark.parametrize("name", ["time", "minute", "day", "birth", "day_first"])
@pytest.mark.parametrize(
    ("value", "is_one"),
    [
        ("20260228", True),
        ("20260229", False),
        ("20240229", True),
        ("20260230", False),
        ("20260430", True),
        ("20260431", False),
        ("20260331", True),
        ("202604310830", False),
    ],
)
def test_a_day_that_its_month_does_not_have_is_no_day(name: str, value: str, is_one: bool) -> None:
    assert (TRANSFORMS[name].function(value) is not None) is is_one


def test_the_readme_lists_the_transforms_and_no_others() -> None:
    readme = Path(transforms.__file__).with_name("README.md").read_text("utf-8")
    section = readme.split("\n## Transforms\n")[1].split("\n## ")[0]
    rows = [row.split("|")[1] for row in section.splitlines() if row.startswith("| `")]
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(TRANSFORMS)
