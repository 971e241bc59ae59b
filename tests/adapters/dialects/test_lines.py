"""The lines of results and orders: values, units, ranges, states and codes, as nobody escaped them."""

from typing import Any

import pytest

from adapters.dialects.clinical_segments import result_segments
from adapters.dialects.profile import compile_text
from hub.contract.errors import Severity
from tests.adapters.dialects.said import PID, mapped, only, read
from tests.adapters.dialects.said import told as problems


@pytest.mark.parametrize(
    ("place", "flags"), [("OBX-8", ["C", "N&1"]), ("OBX-8.1", ["C", "N&1"]), ("OBX-8.2", ["H", "L"]), ("OBX-8.1.2", ["1"])]
)
def test_a_list_is_of_the_component_that_its_rule_names(place: str, flags: list[str]) -> None:
    mine = compile_text(
        "mine", f'extends = "_standard"\nversion = "1"\n[observation]\nflags = {{ from = "{place}", as = "list" }}\n'
    )
    [event] = read("ORU^R01", "OBR|1|P1|F1|GLU^G", "OBX|1|NM|GLU^G||5|mmol/L||C^H~N&1^L~|||F", dialect=mine)
    assert event["observations"][0]["flags"] == flags


def lines_of(comma: str, *values: tuple[str, str]) -> list[tuple[str, float | None]]:
    dialect = compile_text("mine", 'extends = "_standard"\nversion = "1"\n' + (f'comma = "{comma}"\n' if comma else ""))
    rows = [f"OBX|{number}|{kind}|GLU^G||{value}|mmol/L||||||F" for number, (kind, value) in enumerate(values, 1)]
    [event] = read("ORU^R01", "OBR|1|P1|F1|GLU^G", *rows, dialect=dialect)
    return [(line["gia_tri"], line.get("number")) for line in event["observations"]]


def test_a_delimiter_that_nobody_escaped_cuts_no_value_short() -> None:
    sent = ("NM", "10^5"), ("NM", "1.2x10^6"), ("NM", "5.4~5.6"), ("NM", "5.4^"), ("ST", "A & B"), ("ST", "x^y"), ("ST", "1~2")
    assert lines_of("", *sent) == [
        ("10^5", None), ("1.2x10^6", None), ("5.4;5.6", None), ("5.4", 5.4), ("A & B", None), ("x^y", None), ("1;2", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "unit"),
    [
        ("10^9/L", "10^9/L"),
        ("x10^12/L", "x10^12/L"),
        ("*10^6/uL", "*10^6/uL"),
        ("×10^3", "×10^3"),
        ("10^9/L^UCUM", "10^9/L"),
        ("10\\S\\9/L", "10^9/L"),
        ("10*9/L^10^9/L^UCUM", "10*9/L"),
        ("mmol/L^millimol/lít^UCUM", "mmol/L"),
        ("10^mười^L", "10"),
        ("mg/dL&x", "mg/dL&x"),
        ("ng/mL&FEU", "ng/mL&FEU"),
        ("mL/min/1.73m^2", "mL/min/1.73m^2"),
        ("mL/ph/1,73 m^2", "mL/ph/1,73 m^2"),
        ("kg/m^2", "kg/m^2"),
        ("kg/m2^kg/m^2^UCUM", "kg/m2"),
        ("/mm^3", "/mm^3"),
        ("10^3/mm^3", "10^3/mm^3"),
        ("mm^3^UCUM", "mm^3"),
        ("s^-1", "s^-1"),
        ("h^24 giờ", "h"),
        ("mmol/L^^UCUM", "mmol/L"),
        ("mg/dL^milligram per deciliter^UCUM", "mg/dL"),
        ("L^Liter^ISO+", "L"),
        ('mL^""', "mL"),
        ("^mmol/L", "mmol/L"),
        ("^^^mmol/L^^L", "mmol/L"),
    ],
)
def test_a_power_that_nobody_escaped_is_of_the_unit_and_so_is_an_ampersand(sent: str, unit: str) -> None:
    [event] = read("ORU^R01", "OBR|1|P1|F1|WBC^Bạch cầu", f"OBX|1|NM|WBC^Bạch cầu||3.9|{sent}|4-10|L|||F")
    [line] = event["observations"]
    assert (line["don_vi_do"], line["number"]) == (unit, 3.9)


@pytest.mark.parametrize(
    ("stated", "read_as"),
    [
        ("<10^5", "<10^5"),
        ("4-10&x", "4-10&x"),
        ("Nam & nữ: 4-10", "Nam & nữ: 4-10"),
        ("4~10", "4;10"),
        ("4-10^^", "4-10"),
        ("4-10\\S\\", "4-10^"),
    ],
)
def test_a_range_is_kept_whole_whatever_nobody_escaped_in_it(stated: str, read_as: str) -> None:
    [event] = read("ORU^R01", "OBR|1|P1|F1|WBC^Bạch cầu", f"OBX|1|NM|WBC^Bạch cầu||3.9|G/L|{stated}||||F")
    assert event["observations"][0]["reference_range"] == read_as


def test_a_comma_in_a_result_is_read_as_the_profile_says() -> None:
    sent = ("NM", "9,8"), ("NM", "1,234"), ("NM", "9.8"), ("NM", "7"), ("SN", ">^9,8"), ("SN", "^9,8"), ("ST", "9,8")
    plain = [("9,8", None), ("1,234", None), ("9.8", 9.8), ("7", 7.0), (">9,8", None), ("9,8", None), ("9,8", None)]
    decimal = [("9.8", 9.8), ("1.234", 1.234), ("9.8", 9.8), ("7", 7.0), (">9.8", None), ("9.8", 9.8), ("9,8", None)]
    thousands = [("9,8", None), ("1234", 1234.0), *plain[2:]]
    assert [lines_of(comma, *sent) for comma in ("", "decimal", "thousands")] == [plain, decimal, thousands]


def test_blanks_around_a_number_are_not_of_it() -> None:
    assert lines_of("decimal", ("NM", " 5,0"), ("SN", "^ 5,0 ")) == [("5.0", 5.0), ("5.0", 5.0)]
    assert lines_of("", ("NM", " 5.0")) == [("5.0", 5.0)]


def test_a_result_that_could_be_two_numbers_stays_a_text_however_often_its_test_came() -> None:
    assert lines_of("decimal", ("NM", "5"), ("NM", "1.234"), ("NM", "6"))[1] == ("1.234", None)


def test_so_does_one_with_a_comparator_and_a_warning_says_it() -> None:
    mine = compile_text("mine", 'extends = "_standard"\nversion = "1"\ncomma = "decimal"\n')
    lines = [f"OBX|{number}|SN|GLU^G||{value}|||||||F" for number, value in enumerate(["^1.234", "^100^-^1.234", "^9,8"], 1)]
    found = mapped("ORU^R01", PID, "OBR|1|P1|F1|GLU^G", *lines, dialect=mine)
    [(_, event)] = found.events
    values = [(line["gia_tri"], line.get("number")) for line in event["observations"]]
    assert values == [("1.234", None), ("100-1.234", None), ("9.8", 9.8)]
    assert {path for code, path in problems(found) if code == "NUMBER_DOUBTFUL"} == {"OBX[1]-5", "OBX[2]-5"}


def test_a_value_of_a_type_that_hl7_does_not_have_is_told_and_goes_out_as_text_every_time_it_comes() -> None:
    sent = {"NUM": "9,8", "nm": "9.8", "XX": "a^b", "": "7", "NM": "7", "DTM": "20261123", "CNE": "A^B"}
    for _ in range(2):
        rows = [f"OBX|{number}|{kind}|GLU^G||{value}||||||F" for number, (kind, value) in enumerate(sent.items(), 1)]
        found = mapped("ORU^R01", PID, "OBR|1|P1|F1|GLU^G", *rows, "OBX|9|Y|GLU^G||||||||F")
        lines = [(line.get("gia_tri"), line.get("number")) for line in only(found)["observations"]]
        assert lines == [
            ("9,8", None), ("9.8", None), ("a^b", None), ("7", None), ("7", 7.0), ("20261123", None), ("B", None), (None, None),
        ]  # fmt: skip
        assert {path for code, path in problems(found) if code == "VALUE_TYPE_UNKNOWN"} == {f"OBX[{n}]-2" for n in (1, 2, 3, 4)}


def test_a_value_without_its_test_is_told() -> None:
    rows = ["OBX|1|NM|||5.6||||||F", "OBX|2|NM|GLU^G||5.6||||||F", "OBX|3|TX|||pale||||||F", "OBX|4|NM|||||||||F"]
    assert problems(mapped("ORU^R01", PID, "OBR|1|P1|F1|GLU^G", *rows)) == {
        ("TEST_MISSING", "OBX[1]-3"),
        ("TEST_MISSING", "OBX[3]-3"),
    }


def test_a_document_embedded_in_a_result_is_told_where_it_stands() -> None:
    file, pointer = "OBX|2|ED|PDF^Report||LIS^application^pdf^Base64^JVBERi0=||||||F", "OBX|3|RP|IMG^Image||img/17^PACS||||||F"
    found = mapped("ORU^R01", PID, "OBR|1|P1|F1|GLU^G", "OBX|1|NM|GLU^G||5.6||||||F", file, pointer)
    [(_, event)] = found.events
    assert [line["gia_tri"] for line in event["observations"]] == ["5.6", "application/pdf", "img/17"]
    assert problems(found) == {("CONTENT_NOT_PASSED_ON", "OBX[2]-5")}
    passed_on = file.replace("^Base64^JVBERi0=", "")
    assert not problems(mapped("ORU^R01", PID, "OBR|1|P1|F1|GLU^G", passed_on)), (
        "as the hub hands it on: there is nothing to lose"
    )


def test_an_address_is_whole_with_what_it_asks_for() -> None:
    address = "https://pacs.vn/v?study=1.2&series=3"
    [event] = read(
        "ORU^R01", "OBR|1|P1|F1|CT", f"OBX|1|RP|IMG||{address}&^PACS^IM^DICOM||||||F", f"OBX|2|RP|IMG||{address}||||||F"
    )
    assert [line["gia_tri"] for line in event["observations"]] == [address, address]


def test_a_conclusion_that_is_one_text_is_whole() -> None:
    rows = "OBX|1|ST|MT^Mô tả||mờ||||||F", "OBX|2|ST|KL^Kết luận||Viêm & áp xe^ABC&DEF~theo dõi||||||F"
    assert only(mapped("ORU^R01", PID, "OBR|1|P1|F1|CT", *rows))["ket_luan"] == "Viêm & áp xe^ABC&DEF;theo dõi"


def test_the_code_of_a_coded_result_is_kept_beside_its_text() -> None:
    sent = {
        "CE|{}||POS^Dương tính^L^10828004^Positive^SCT": [
            {
                "code": "POS",
                "display": "Dương tính",
                "system": "L",
                "alt_code": "10828004",
                "alt_display": "Positive",
                "alt_system": "SCT",
            }
        ],
        "CWE|{}||^^^260415000^Âm tính^SCT": [{"alt_code": "260415000", "alt_display": "Âm tính", "alt_system": "SCT"}],
        "CE|{}||ECO^E. coli^L~^chưa định danh": [
            {"code": "ECO", "display": "E. coli", "system": "L"},
            {"display": "chưa định danh"},
        ],
        "CWE|{}||A^^L^^^^^^nhóm A": [{"code": "A", "system": "L", "display": "nhóm A"}],
        "CE|{}||^Âm tính": None,
        "ID|{}||Y": None,
        "ST|{}||POS^Dương tính": None,
        "NM|{}||5": None,
    }
    texts = ["Dương tính", "Âm tính", "E. coli;chưa định danh", "A", "Âm tính", "Y", "POS^Dương tính", "5"]
    rows = [f"OBX|{number}|{row.format(f'T{number}')}||||||F" for number, row in enumerate(sent, 1)]
    for _ in range(2):  # the second time forms are known
        [result] = read("ORU^R01", "OBR|1|P1|F1|X^Y", *rows)
        assert [line.get("value_codes") for line in result["observations"]] == list(sent.values())
        assert [line["gia_tri"] for line in result["observations"]] == texts


def test_the_code_of_a_coded_result_goes_out_as_it_came() -> None:
    for value in ("POS^Dương tính^L", "ECO^E. coli^L~^chưa định danh", "^Âm tính"):
        [result] = read("ORU^R01", "OBR|1|P1|F1|X^Y", f"OBX|1|CE|T^T||{value}||||||F")
        [line] = [row for row in result_segments(result, "2.5.1") if row[0] == "OBX"]
        assert parse_value(line) == value


def parse_value(line: list[Any]) -> str:
    """OBX-5 of a built segment as it will be written."""
    rows = line[5] if isinstance(line[5], list) else [line[5]]
    return "~".join("^".join(row).rstrip("^") for row in rows)


@pytest.mark.parametrize("state", ["T", "f", "Final"])
def test_the_state_of_a_line_that_is_none_of_hl7_is_told_and_kept(state: str) -> None:
    rows = ["OBR|1|1||A", *(f"OBX|{n}|NM|a||{n}||||||{of}" for n, of in enumerate(["F", state, state], 1))]
    found = mapped("ORU^R01", PID, *rows)
    told = [(one.severity, one.path) for one in found.problems if one.code == "RESULT_STATE_UNKNOWN"]
    assert told == [(Severity.WARNING, "OBX[2]-11"), (Severity.WARNING, "OBX[3]-11")]
    [(_, event)] = found.events
    assert [line["status"] for line in event["observations"]] == ["F", state, state] and "status" not in event


def test_every_letter_of_hl7_is_a_state_of_a_line_and_so_is_none() -> None:
    rows = [f"OBX|{n}|NM|a||5||||||{of}" for n, of in enumerate(["", *"ABCDFINOPRSUVWX"], 1)]
    told = {code for code, _ in problems(mapped("ORU^R01", PID, "OBR|1|1||A", *rows))}
    assert not {"CODE_UNKNOWN", "RESULT_STATE_UNKNOWN"} & told


def test_a_state_that_the_profile_maps_is_looked_for_where_it_stands() -> None:
    rules = '[observation]\nstatus = { from = "OBX-20", codes = "mine", unknown = "keep" }\n[codes.mine]\nT = "F"\n'
    mine = compile_text("mine", f'extends = "_standard"\nversion = "1"\n{rules}')
    rows = [f"OBX|{n}|NM|a||5||||||F|||||||||{of}" for n, of in enumerate("TQ", 1)]
    assert ("RESULT_STATE_UNKNOWN", "OBX[2]-20") in problems(mapped("ORU^R01", PID, "OBR|1|1||A", *rows, dialect=mine))
    assert ("CODE_UNKNOWN", "OBX[1]-20") not in problems(mapped("ORU^R01", PID, "OBR|1|1||A", *rows, dialect=mine))


@pytest.mark.parametrize(
    ("sent", "code"),
    [("GLU&2H", "GLU&2H"), ("GLU\\T\\2H", "GLU&2H"), ("URE&CREA", "URE&CREA"), ("GLU&GDT", "GLU"), ("GLU&", "GLU")],
    ids=["another test", "escaped", "a ratio", "a suffix of HL7", "nothing behind it"],
)
def test_a_code_with_an_ampersand_that_nobody_escaped_is_not_the_code_before_it(sent: str, code: str) -> None:
    found = only(mapped("ORU^R01", PID, "OBR|1|||U1^Test^L", f"OBX|1|NM|{sent}^Glucose sau 2 giờ^L||9.1|mmol/L||||F"))
    assert found["observations"][0]["code"]["code"] == code


def test_text_behind_an_ampersand_that_nobody_escaped_stays_in_names() -> None:
    rows = ["OBR|1|P1|F1|XN1&A^Nước tiểu & máu^L^ALT^Urine & blood^LN", "OBX|1|NM|T&1^Na & K&^L||5||||||F"]
    event = only(mapped("ORU^R01", PID, *rows, 'OBX|2|CE|T^T||POS&1^Dương & tính~^""||||||F', "OBX|3|ST|T^T&||A||||||F"))
    service = {"code": "XN1&A", "display": "Nước tiểu & máu", "system": "L", "alt_code": "ALT", "alt_display": "Urine & blood"}
    assert event["service"] == service | {"alt_system": "LN"}
    assert [line["code"].get("display") for line in event["observations"]] == ["Na & K", "T", "T"]
    assert [line["code"]["code"] for line in event["observations"]] == ["T&1", "T", "T"]
    assert event["observations"][1]["gia_tri"] == "Dương & tính"
    [order] = [only(mapped("ORM^O01", PID, "ORC|NW|1", "OBR|1|1||X^Tim & phổi"))]
    assert order["services"] == [{"code": "X", "display": "Tim & phổi"}]


def test_so_does_it_with_a_blank_beside_it_in_the_place_of_a_code() -> None:
    event = only(mapped("ORU^R01", PID, "OBR|1|P1|F1|Tim & mạch", "OBX|1|CWE|T^T||Dương tính & rõ||||||F"))
    assert event["service"] == {"code": "Tim & mạch"}
    assert event["observations"][0]["gia_tri"] == "Dương tính & rõ"
    [order] = [only(mapped("ORM^O01", PID, "ORC|NW|1", "OBR|1|1||X", "DG1|1||Viêm phổi & suy hô hấp||||F"))]
    assert order["diagnoses"][0]["chan_doan"] == "Viêm phổi & suy hô hấp"


def test_so_does_it_in_what_is_said_in_words() -> None:
    rows = ["RF1|||||S1|||||1^Đau & sốt", "PRD|RT|||||01004^^^^FI", "OBX|1|ST|GLU^Đường & mỡ||5 & 6"]
    slip = only(mapped("REF^I12", *rows, PID, "DG1|1||I10^Tim & mạch||||F"))
    assert slip["diagnoses"][0]["chan_doan"] == "Tim & mạch"
    assert slip["xml13"]["tomtat_kq"] == "Đường & mỡ: 5 & 6"
    assert only(mapped("REF^I14", *rows, PID))["reason"] == "Đau & sốt"
