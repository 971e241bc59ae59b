"""Which segments belong to one order or result, where specimens and prior results stand among them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from adapters.dialects.clinical_segments import result_segments
from adapters.dialects.mapped import Context
from adapters.dialects.mapping import map_message
from adapters.dialects.profile import Dialect, compile_text, load_dialect
from adapters.formats.hl7v2 import parse
from hub.contract.errors import Severity
from hub.contract.events import Event, Keyring, Origin
from tests.adapters.dialects.said import PID, mapped, only
from tests.adapters.dialects.said import told as problems

ORIGIN = Origin("8f14e45f-0000-5000-8000-000000000000", datetime(2026, 11, 23, 1, 5, tzinfo=UTC), {"sender": "local"})


def read(kind: str, *rows: str, dialect: Dialect | None = None) -> list[Event]:
    head = f"MSH|^~\\&|L|01940|H|01021|20261123080500||{kind}|M1|P|2.8"
    message = parse("\r".join([head, "PID|1||N1^^^^MR", *rows]))
    mapped = map_message(message, dialect or load_dialect("_standard"), Context(ORIGIN, Keyring(b"golden-secret-16"), "01940"))
    return [event for _, event in mapped.events]


def told(events: list[Event]) -> list[tuple[str, str, list[str]]]:
    """Number, specimen and codes of each."""
    return [
        (
            event.get("placer", ""),
            event.get("specimen_id", ""),
            [line["code"]["code"] for line in event.get("observations", [])]
            or [one["code"] for one in event.get("services", [])],
        )
        for event in events
    ]


def test_a_specimen_that_leads_belongs_to_the_orders_behind_it() -> None:
    events = read("OML^O33", "SPM|1|M1", "ORC|NW|1", "OBR|1|1||A", "ORC|NW|2", "OBR|2|2||B", "SPM|2|M2", "ORC|NW|3", "OBR|3|3||C")
    assert told(events) == [("1", "M1", ["A"]), ("2", "M1", ["B"]), ("3", "M2", ["C"])]


def test_a_specimen_that_follows_belongs_to_the_order_before_it() -> None:
    events = read("OML^O21", "ORC|NW|1", "OBR|1|1||A", "SPM|1|M1", "SPM|2|M2", "ORC|NW|2", "OBR|2|2||B", "SPM|1|M3")
    assert told(events) == [("1", "M1", ["A"]), ("2", "M3", ["B"])]


def test_each_result_has_the_specimen_before_it_and_the_orc_behind_it() -> None:
    rows = ["SPM|1|M1", "OBR|1||X1|A", "ORC|RE|1", "OBX|1|NM|a||5", "OBR|2||X2|B", "ORC|RE|2", "OBX|1|NM|b||6"]
    assert told(read("OUL^R22", *rows, "SPM|2|M2", "OBR|1||X3|C", "ORC|RE|3", "OBX|1|NM|c||7")) == [
        ("1", "M1", ["a"]),
        ("2", "M1", ["b"]),
        ("3", "M2", ["c"]),
    ]


def test_what_is_observed_of_person_and_specimen_goes_with_the_first_result() -> None:
    rows = ["OBX|1|NM|weight||52", "SPM|1|M1", "OBX|1|NM|volume||10", "OBR|1|1||A", "ORC|RE|1", "OBX|1|NM|a||5", "OBR|2|2||B"]
    assert told(read("OUL^R22", *rows, "OBX|1|NM|b||6")) == [("1", "M1", ["weight", "volume", "a"]), ("2", "M1", ["b"])]


def test_results_without_specimen_are_read_as_ever() -> None:
    rows = ["ORC|RE|1", "OBR|1|1||A", "OBX|1|NM|a||5", "ORC|RE|2", "OBR|1|2||B", "OBX|1|NM|b||6"]
    assert told(read("OUL^R21", *rows)) == told(read("ORU^R01", *rows)) == [("1", "", ["a"]), ("2", "", ["b"])]


def test_a_prior_result_in_an_order_is_no_order() -> None:
    rows = ["ORC|NW|1", "OBR|1|1||A", "PID|1||N1^^^^MR", "ORC|PR|9", "OBR|1|9||A", "OBX|1|NM|a||5"]
    assert told(read("OML^O21", *rows)) == [("1", "", ["A"])]


@pytest.mark.parametrize(
    ("receiver", "performer", "told"),
    [
        ("LIS|01940", "01940", []),
        ("NGUYETCAT|NC-DONG", "01921", []),
        ("LIS|NC-DONG", None, [("PERFORMER_UNKNOWN", "MSH-6")]),
        ("LIS|BV-KHAC", None, [("PERFORMER_UNKNOWN", "MSH-6")]),
        ("LIS|01004", None, []),
        ("SONGHONG_HIS|CS1", None, []),
        ("HIE|HUB", None, []),
        ("|", None, []),
    ],
    ids=["a code", "an alias", "half of one", "a name", "its own code", "an alias of its own", "the hub", "nobody"],
)
def test_who_performs_an_order_is_named_by_code_or_alias_or_told_to_be_nobody(receiver, performer, told) -> None:
    message = parse(f"MSH|^~\\&|HIS|01004|{receiver}|20261123080500||ORM^O01|M1|P|2.5.1\r{PID}\rORC|NW|1\rOBR|1|1||A")
    found = map_message(message, load_dialect("_standard"), Context(ORIGIN, Keyring(b"golden-secret-16"), "01004"))
    [(_, order)] = found.events
    assert (order.get("performer"), sorted(problems(found))) == (performer, told)


@pytest.mark.parametrize("control", ["OK", "SC", "CM", "UA", "NHAN"])
def test_an_answer_needs_no_name_in_msh6(control) -> None:
    header = "MSH|^~\\&|LIS|01940|HIS|BV-KHAC|20261123080500||ORM^O01|M1|P|2.5.1"
    message = parse(f"{header}\r{PID}\rORC|{control}|1\rOBR|1|1||A")
    found = map_message(message, load_dialect("_standard"), Context(ORIGIN, Keyring(b"golden-secret-16"), "01940"))
    told = {"NHAN": {("CODE_UNKNOWN", "ORC-1")}, "UA": {("FIELD_MISSING", "ORC-16")}}
    assert problems(found) == told.get(control, set())


@pytest.mark.parametrize(
    ("states", "action"), [(("CM", "CM"), "COMPLETED"), (("CM", "IP"), "IN_PROGRESS"), (("cm", "cm"), "COMPLETED")]
)
def test_an_order_is_completed_when_all_of_it_is(states, action) -> None:
    tests = [f"ORC|SC|P1|F{n}||{state}\rOBR|{n}|P1|F{n}|T{n}" for n, state in enumerate(states)]
    assert only(mapped("ORM^O01", PID, *"\r".join(tests).split("\r")))["action"] == action


def test_an_order_that_goes_to_nobody_is_not_told_to_wait_for_whom_it_names() -> None:
    assert problems(mapped("ORM^O01", PID, "ORC|NHAN|P1|F1^01999", "OBR|1|P1|F1^01999|GLU^G")) == {("CODE_UNKNOWN", "ORC-1")}


def test_an_order_control_that_nobody_knows_is_no_change() -> None:
    found = mapped("ORM^O01", PID, "ORC|NHAN|P1|F1", "OBR|1|P1|F1|GLU^G")
    assert (only(found)["action"], only(found)["meta"]["unparsed"]) == ("UNKNOWN", {"action": "NHAN"})
    own = compile_text("own", 'extends = "_standard"\nversion = "1"\n[codes.order_control]\nNHAN = "ACCEPTED"\n')
    assert only(mapped("ORM^O01", PID, "ORC|nhan|P1|F1", "OBR|1|P1|F1|GLU^G", dialect=own))["action"] == "ACCEPTED"


@pytest.mark.parametrize(
    ("orc", "obr", "place"),
    [
        ("P1", "P1^01999", "OBR-2"),
        ("P1^01999", "P1", "ORC-2"),
        ("P1", "P1^01004", ""),
        ("P1", "P1^HIS", ""),
        ("P1", "P1", ""),
    ],
    ids=["no facility", "said in ORC", "a facility", "no code", "nobody"],
)
def test_a_result_for_an_orderer_that_the_directory_lacks_is_told(orc: str, obr: str, place: str) -> None:
    found = mapped("ORU^R01", PID, f"ORC|RE|{orc}", f"OBR|1|{obr}||GLU^G", "OBX|1|NM|GLU||5|||||F")
    assert [where for code, where in problems(found) if code == "RECEIVER_UNKNOWN"] == [place] * bool(place)
    assert only(found)["placer"] == "P1"


@pytest.mark.parametrize(("filler", "place"), [("^01999", "ORC-3"), ("^01940", "")])
def test_an_order_for_a_performer_that_the_directory_lacks_is_told(filler: str, place: str) -> None:
    found = mapped("ORM^O01", PID, f"ORC|NW|P1|{filler}", "OBR|1|P1||GLU^G")
    assert [where for code, where in problems(found) if code == "RECEIVER_UNKNOWN"] == [place] * bool(place)


def test_the_class_of_an_order_is_its_own_before_that_of_the_visit_and_unknown_is_none() -> None:
    def kind(visit: str, order: str) -> str:
        [event] = read("ORM^O01", f"PV1|1|{visit}", "ORC|NW|1" + "|" * 27 + order, "OBR|1|1||A")
        return str(event.get("patient_class", ""))

    assert [kind("O", "I"), kind("O", ""), kind("U", ""), kind("", "")] == ["I", "O", "", ""]


LOCAL = compile_text(
    "local",
    """
extends = "_standard"
version = "1"
[order]
notes = { from = "ZLB-2", as = "list" }
[result]
notes = { from = "ZLB-2", as = "list" }
[observation]
notes = { from = "OBX-13", as = "list" }
""",
)


def test_a_local_segment_behind_any_service_of_an_order_is_of_the_order() -> None:
    one = ["ORC|NW|1", "OBR|1|1||A", "OBR|2|1||B", "ZLB|1|fasting~at home"]
    other = ["ORC|NW|2", "OBR|3|2||C", "ZLB|1|urgent", "OBR|4|2||D", "ZLB|2|later"]
    events = read("ORM^O01", *one, *other, dialect=LOCAL)
    assert [event.get("notes") for event in events] == [["fasting", "at home"], ["urgent"]], "of several the first"
    assert [[one["code"] for one in event["services"]] for event in events] == [["A", "B"], ["C", "D"]]


def test_notes_that_a_rule_finds_stand_before_those_of_nte() -> None:
    rows = ["ORC|NW|1", "OBR|1|1||A", "NTE|1||as told", "ZLB|1|fasting"]
    assert [event["notes"] for event in read("ORM^O01", *rows, dialect=LOCAL)] == [["fasting", "as told"]]
    lines = ["OBX|1|NM|a||5||||||||seen twice", "NTE|1||hazy", "OBX|2|NM|a||+||||||||diluted", "NTE|1||clear"]
    [result] = read("ORU^R01", *rows, *lines, dialect=LOCAL)
    assert result["notes"] == ["fasting", "as told"]
    assert [line["notes"] for line in result["observations"]] == [["seen twice", "hazy"], ["diluted", "clear"]]


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
    assert {path for code, path in problems(found) if code == "NUMBER_UNPARSABLE"} == {"OBX[1]-5", "OBX[2]-5"}


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


@pytest.mark.parametrize(
    ("pid", "place"),
    [
        ([], "PID"),
        (["PlD|1||N1^^^^MR||Lê^Hoa"], "PID"),
        (["PID|1"], "PID-3"),
        (["PID|1||-||~|19900102|F"], "PID-3"),
        (["PID|1||N1^^^^MR"], ""),
        (["PID|1||||Lê^Hoa"], ""),
    ],
    ids=["no PID", "none by its spelling", "an empty one", "one that says nothing", "a number", "a name"],
)
def test_a_result_that_says_of_nobody_whose_it_is_is_taken_and_told(pid: list[str], place: str) -> None:
    found = mapped(
        "ORU^R01", *pid, "OBR|1|P1|F1|GLU^G", "OBX|1|NM|GLU^G||5.6||||||F", "OBR|2|P2|F2|NA^N", "OBX|1|NM|NA^N||139||||||F"
    )
    assert len(found.events) == 2
    assert [path for code, path in problems(found) if code == "PERSON_MISSING"] == ([place] if place else [])


@pytest.mark.parametrize(("numbers", "told"), [("P1|F1", False), ("P1|", False), ("|F1", False), ("|", True)])
def test_a_result_that_is_withdrawn_by_its_number_needs_nobody(numbers: str, told: bool) -> None:
    found = mapped("ORU^R01", f"OBR|1|{numbers}|GLU^G{'|' * 21}X", "OBX|1|NM|GLU^G||||||||X")
    assert only(found)["status"] == "X"
    assert (("PERSON_MISSING", "PID") in problems(found)) == told


def test_what_an_order_observes_and_when_the_sample_was_taken_goes_with_it() -> None:
    rows = [PID, "ORC|NW|P1", "OBR|1|P1||GLU^G|||20261123075500", "OBX|1|NM|W^Weight||52.5|kg|||||F", "NTE|1||sáng nay",
            "ORC|NW|P1", "OBR|2|P1||HIV^HIV", "OBX|1|ST|FAST^Fasting||yes"]  # fmt: skip
    order = only(mapped("OML^O21", *rows))
    assert order["sampled_at"] == "20261123075500"
    assert [(line["code"]["code"], line["gia_tri"], line.get("notes", [])) for line in order["observations"]] == [
        ("W", "52.5", ["sáng nay"]),
        ("FAST", "yes", []),
    ]
    tube = "SPM|1|T1||WB" + "|" * 13 + "20261123080100"
    assert only(mapped("OML^O21", *rows[:3], tube))["sampled_at"] == "20261123080100"
    told = mapped("OML^O21", PID, "ORC|NW|P1", "OBR|1|P1||GLU^G", "OBX|1|NM|W^Weight||nặng|kg")
    assert ("NUMBER_UNPARSABLE", "OBX-5") in problems(told)


@pytest.mark.parametrize(
    ("control", "status", "action"),
    [
        ("OK", "", "ACCEPTED"),
        ("SC", "", "IN_PROGRESS"),
        ("SC", "IP", "IN_PROGRESS"),
        ("SC", "CM", "COMPLETED"),
        ("CM", "", "COMPLETED"),
        ("UA", "", "REFUSED"),
        ("CR", "", "CANCELLED"),
    ],
)
def test_what_a_laboratory_says_of_an_order_keeps_its_reason(control: str, status: str, action: str) -> None:
    found = mapped("ORM^O01", PID, f"ORC|{control}|P1|F1||{status}{'|' * 11}HONG^Mẫu vỡ hồng cầu")
    assert "CODE_UNKNOWN" not in {code for code, _ in problems(found)}
    assert (only(found)["action"], only(found)["reason"]) == (action, "Mẫu vỡ hồng cầu")
    assert "TEST_MISSING" not in {code for code, _ in problems(found)}


@pytest.mark.parametrize(
    ("control", "rows", "told"),
    [("UA", [], True), ("UA", ["NTE|1||mẫu vỡ hồng cầu"], False), ("OK", [], False), ("CR", [], False)],
)
def test_a_refused_order_says_why_in_its_reason_or_a_note(control: str, rows: list[str], told: bool) -> None:
    found = problems(mapped("ORM^O01", PID, f"ORC|{control}|P1|F1", *rows))
    assert (("FIELD_MISSING", "ORC-16") in found) == told


def test_the_clinical_information_of_an_order_and_else_its_reason_goes_before_its_notes() -> None:
    obr = "OBR|{}|P1||{}^T|||||||||{}||||||||||||||||||R1^{}"
    found = mapped("ORM^O01", PID, "ORC|NW|P1", obr.format(1, "GLU", "sốt 3 ngày", ""), "NTE|1||lấy máu lúc đói",
                   obr.format(2, "NA", "sốt 3 ngày", ""), obr.format(3, "K", "", "phù"))  # fmt: skip
    assert only(found)["notes"] == ["sốt 3 ngày", "phù", "lấy máu lúc đói"]
    assert "sensitivity" not in only(found)["meta"]
    held = mapped("ORM^O01", PID, "ORC|NW|P1", obr.format(1, "GLU", "nhiễm HIV, đang ARV", ""))
    assert only(held)["meta"]["sensitivity"] == "HIV"
    typed = mapped("ORM^O01", PID, "ORC|NW|P1", obr.format(1, "GLU", "Sốt ^ ho & đau~mệt^^", ""))
    assert only(typed)["notes"] == ["Sốt ^ ho & đau", "mệt"]


def test_an_order_says_in_which_department_and_bed_the_patient_lies() -> None:
    order = only(mapped("ORM^O01", PID, "PV1|1|I|K03^P12^G05", "ORC|NW|P1", "OBR|1|P1||GLU^G"))
    assert (order["ma_khoa"], order["ma_giuong"], order["patient_class"]) == ("K03", "G05", "I")


@pytest.mark.parametrize(("reason", "label"), [("B20^^I10", "HIV"), ("R50^^I10", "")])
def test_the_code_of_an_illness_alone_as_the_reason_of_an_order_protects_it(reason: str, label: str) -> None:
    order = only(mapped("ORM^O01", PID, "ORC|NW|P1", f"OBR|1|P1||GLU^G{'|' * 27}{reason}"))
    assert order["notes"] == [reason[:3]]
    assert order["meta"].get("sensitivity", "") == label


@pytest.mark.parametrize(("control", "told"), [("NW", [("PERSON_MISSING", "PID")]), ("CA", []), ("HD", [])])
def test_an_order_for_nobody_is_taken_and_told_unless_it_stops_one(control: str, told: list[tuple[str, str]]) -> None:
    found = mapped("ORM^O01", f"ORC|{control}|P1", "OBR|1|P1||GLU^G")
    assert only(found)["placer"] == "P1"
    assert [one for one in problems(found) if one[0] == "PERSON_MISSING"] == told


@pytest.mark.parametrize(("test", "told"), [("", True), (" ", True), (" ^ ", True), ("GLU", False), ("^Glucose", False)])
def test_an_order_without_its_test_is_told_and_a_blank_is_none(test: str, told: bool) -> None:
    found = mapped("ORM^O01", PID, "ORC|NW|P1", f"OBR|1|P1||{test}", "OBR|2|P1||NA^N")
    assert (
        ("TEST_MISSING", "OBR[1]-4") in problems(found) if told else "TEST_MISSING" not in {code for code, _ in problems(found)}
    )
    assert len(only(found)["services"]) == (1 if told else 2)


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


@pytest.mark.parametrize(
    ("number", "licensed"),
    [("000123/HNO-CCHN", True), ("012345", True), ("000123/HNO-CCHN.HD.01004", True), ("BS012", False), ("bs.tam", False)],
)
def test_a_reader_is_said_to_be_licensed_only_by_what_looks_like_a_licence(number: str, licensed: bool) -> None:
    [row] = [row for row in result_segments({"observations": [{"ma_bs_doc_kq": number}]}, "2.5.1") if row[0] == "OBX"]
    assert row[16] == ((number, *[""] * 11, "LN") if licensed else number)


def test_the_code_of_a_coded_result_goes_out_as_it_came() -> None:
    for value in ("POS^Dương tính^L", "ECO^E. coli^L~^chưa định danh", "^Âm tính"):
        [result] = read("ORU^R01", "OBR|1|P1|F1|X^Y", f"OBX|1|CE|T^T||{value}||||||F")
        [line] = [row for row in result_segments(result, "2.5.1") if row[0] == "OBX"]
        assert parse_value(line) == value


def parse_value(line: list[Any]) -> str:
    """OBX-5 of a built segment as it will be written."""
    rows = line[5] if isinstance(line[5], list) else [line[5]]
    return "~".join("^".join(row).rstrip("^") for row in rows)


_PRIORITY = (
    '[order]\npriority = { from = ["TQ1-9", "OBR-5"], codes = "priority", unknown = "keep" }\n[codes.priority]\nCC = "S"\n'
)


@pytest.mark.parametrize("stated", ["CC", "Khan", "s"])
def test_a_priority_that_is_none_of_hl7_is_told_and_kept(stated: str) -> None:
    found = mapped("ORM^O01", PID, "ORC|NW|1", f"OBR|1|1||A|{stated}")
    assert ("PRIORITY_UNKNOWN", "OBR-5") in problems(found)
    [(_, event)] = found.events
    assert event["priority"] == stated


def test_a_priority_that_the_profile_maps_is_told_no_more() -> None:
    mine = compile_text("mine", f'extends = "_standard"\nversion = "1"\n{_PRIORITY}')
    found = mapped("OML^O21", PID, "ORC|NW|1", "TQ1|1||||||||CC", "OBR|1|1||A", dialect=mine)
    [(_, event)] = found.events
    assert event["priority"] == "S" and "PRIORITY_UNKNOWN" not in {code for code, _ in problems(found)}


def test_a_priority_that_the_profile_maps_to_a_word_of_its_own_is_told_too() -> None:
    mine = compile_text("mine", 'extends = "_standard"\nversion = "1"\n' + _PRIORITY.replace('"S"', '"URGENT"'))
    assert ("PRIORITY_UNKNOWN", "TQ1-9") in problems(mapped("ORM^O01", PID, "ORC|NW|1", "OBR|1|1||A|CC", dialect=mine))


@pytest.mark.parametrize("stated", ["", "S", "STAT", "A", "R", "P", "C", "TS30", "PRN", "ROUTINE"])
def test_every_priority_of_hl7_is_one_and_so_is_none(stated: str) -> None:
    assert "PRIORITY_UNKNOWN" not in {code for code, _ in problems(mapped("ORM^O01", PID, "ORC|NW|1", f"OBR|1|1||A|{stated}"))}


@pytest.mark.parametrize(
    ("stated", "counts"),
    [
        (["R", "S"], "S"),
        (["S", "R"], "S"),
        (["A", "S", "R"], "S"),
        (["R", "A"], "A"),
        (["", "S"], "S"),
        (["T", "R"], "T"),
        (["", ""], None),
        (['""', "STAT"], "STAT"),
    ],
)
def test_an_order_is_as_urgent_as_its_most_urgent_service(stated: list[str], counts: str | None) -> None:
    rows = [row for n, one in enumerate(stated, 1) for row in ("ORC|NW|1", f"OBR|{n}|1||T{n}|{one}")]
    assert only(mapped("ORM^O01", PID, *rows)).get("priority") == counts
    behind = [row for n, one in enumerate(stated, 1) for row in ("ORC|NW|1", f"TQ1|1||||||||{one}", f"OBR|{n}|1||T{n}")]
    assert only(mapped("OML^O21", PID, *behind)).get("priority") == counts


def test_the_priority_of_a_further_service_that_is_none_of_hl7_is_told_where_it_stands() -> None:
    found = mapped("ORM^O01", PID, "ORC|NW|1", "OBR|1|1||A|S", "OBR|2|1||B|CC")
    assert only(found)["priority"] == "S" and ("PRIORITY_UNKNOWN", "OBR[2]-5") in problems(found)


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


@pytest.mark.parametrize(("state", "told_of"), [("", True), ("F", True), ("P", False), ("X", False)])
def test_a_final_result_without_a_line_is_told(state: str, told_of: bool) -> None:
    found = mapped("ORU^R01", PID, f"OBR|1|P1|F1|CBC^Công thức máu^L|||20261123081500||||||||||||||||||{state}".rstrip("|"))
    assert (("SEGMENT_MISSING", "OBX") in problems(found)) == told_of
    assert only(found)["service"]["code"] == "CBC"


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


@pytest.mark.parametrize(
    ("rows", "place"),
    [
        (["ORC|NW|1", "OBR|1|1||A", "ORC|NW|2", "OBR|2|2||B", "DG1|1||I10", "DG1|2||E11"], "DG1[1]"),
        (["DG1|1||I10", "ORC|NW|1", "OBR|1|1||A", "ORC|NW|2", "OBR|2|2||B", "DG1|2||E11"], ""),
        (["ORC|NW|1", "OBR|1|1||A", "DG1|1||I10", "ORC|NW|2", "OBR|2|2||B", "DG1|2||E11"], ""),
        (["ORC|NW|1", "OBR|1|1||A", "OBR|2|1||B", "DG1|1||I10"], ""),
        (["ORC|NW|1", "OBR|1|1||A", "DG1|1||I10"], ""),
        (["ORC|NW|1", "OBR|1|1||A", "DG1|1||I10", "ORC|NW|2", "OBR|2|2||B"], ""),
    ],
    ids=["behind the last", "before all too", "behind each", "two services of one order", "one order", "behind the first"],
)
def test_that_the_last_of_several_orders_alone_has_a_diagnosis_is_told(rows: list[str], place: str) -> None:
    found = mapped("OML^O21", PID, *rows)
    assert [path for code, path in problems(found) if code == "DIAGNOSIS_OF_LAST"] == ([place] if place else [])


@pytest.mark.parametrize(
    ("times", "shifted"),
    [
        ({7: "20261124110000", 23: "20261124112800"}, "OBR-23"),
        ({7: "20261124110000", 21: "20261124112800"}, "OBR-21"),
        ({8: "20261124110000", 22: "20261124112800"}, "OBR-8"),
        ({7: "20261124110000", 8: "20261124110500", 21: "LAB-7", 22: "20261124112800"}, ""),
        ({7: "20261124110000", 21: "26110045000123", 23: "150000&VND"}, ""),
        ({7: "20261124110000", 15: "20261124110500"}, "OBR-15"),
        ({7: "20261124110000", 13: "20261124110500", 15: "MAU"}, "OBR-13"),
        ({7: "20261124110000", 14: "20261124110500", 15: "MAU"}, ""),
    ],
)
def test_a_time_beside_its_own_field_of_a_result_which_is_empty_is_told(times: dict[int, str], shifted: str) -> None:
    request = "|".join(["OBR", "1", "P1", "F1", "GLU", *(times.get(field, "") for field in range(5, 25)), "F"])
    found = mapped("ORU^R01", "PID|1||N1^^^^MR||Phạm^Hà", request, "OBX|1|NM|GLU||5.6|mmol/L||||F").problems
    assert {problem.path for problem in found if problem.code == "FIELDS_SHIFTED"} == ({shifted} if shifted else set())
