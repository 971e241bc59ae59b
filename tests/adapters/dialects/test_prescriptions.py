"""Prescriptions: what belongs to one, what replaces one, and what timing says in numbers."""

from decimal import Decimal

import pytest

from adapters.dialects.profile import compile_text
from adapters.dialects.recorded_segments import prescription_segments
from tests.adapters.dialects.said import PID, PV1, mapped, only, told


def drug(number, rx="", *, control="NW", parent="", timing="BID", duration="5^D", group=""):
    return (
        f"ORC|{control}|{number}||{group}||||{parent}|202611230830",
        f"RXE||40.170^Amlodipin^VN-THUOC|1||Viên|||||10|Viên||||{rx}",
        f"TQ1|1||{timing}|||{duration}",
        "RXR|1.01",
    )


def prescriptions(*rows):
    return [event for _, event in mapped("RDE^O11", PID, PV1, *rows).events]


def test_drugs_of_one_code_are_one_prescription_however_the_code_is_written():
    [one] = prescriptions(*drug("1", "01021a1b2c3d-c"), *drug("2", "01021A1B2C3D-C"))
    assert [line["line_id"] for line in one["lines"]] == ["1", "2"]
    [other] = prescriptions(*drug("9", "01021A1B2C3D-C"))
    assert other["meta"]["key"] == one["meta"]["key"]


def test_a_drug_that_tells_of_it_labels_the_prescription():
    for name, label in (("Acriptega (DOLUTEGRAVIR)", "HIV"), ("Methadone 10 mg", "MENTAL"), ("Tenofovir", None)):
        [one] = prescriptions("ORC|NW|1", f"RXE|^^^20261123|X^{name}|1||viên")
        assert one["meta"].get("sensitivity") == label


def test_without_code_the_group_of_orders_decides_and_else_each_number_by_itself():
    assert [len(each["lines"]) for each in prescriptions(*drug("1", group="G1"), *drug("2", group="G1"))] == [2]
    assert [len(each["lines"]) for each in prescriptions(*drug("1"), *drug("2"))] == [1, 1]


def test_drugs_without_any_number_are_one_prescription_under_sender_and_control_id():
    found = mapped("RDE^O11", PID, PV1, *drug(""), *drug(""))
    assert len(only(found)["lines"]) == 2
    assert ("KEY_MISSING", "RXE-15") in told(found)


@pytest.mark.parametrize(
    ("control", "parent", "action", "replaces"),
    [
        ("RP", "01021old0000-c", "ISSUED", "01021old0000-c"),
        ("XO", "01021old0000-c", "ISSUED", "01021old0000-c"),
        ("XO", "", "CHANGED", None),
        ("NW", "P-1", "ISSUED", None),
        ("CA", "01021old0000-c", "CANCELLED", None),
    ],
)
def test_a_new_code_supersedes_and_never_edits_the_old_one(control, parent, action, replaces):
    [one] = prescriptions(*drug("1", "01021new0000-c", control=control, parent=parent))
    assert (one["action"], one.get("replaces"), one["ma_don_thuoc"]) == (action, replaces, "01021new0000-c")
    assert "action" not in one["lines"][0]


def test_a_dose_with_a_comma_is_read_as_the_profile_says():
    mine = compile_text("mine", 'extends = "_standard"\nversion = "1"\ncomma = "decimal"\n')
    rows = "ORC|NW|1", "RXE||A^A^L||||||||2,5", "TQ1|1|0,5&viên|BID"
    [line] = only(mapped("RDE^O11", PID, PV1, *rows, dialect=mine))["lines"]
    assert (line["dose"], line["so_luong"]) == (Decimal("0.500"), Decimal("2.500"))
    [line] = only(mapped("RDE^O11", PID, PV1, *rows))["lines"]
    assert "dose" not in line and "so_luong" not in line


@pytest.mark.parametrize(
    ("comma", "said", "code"),
    [("decimal", "1.234", "NUMBER_DOUBTFUL"), ("decimal", "2,,5", "NUMBER_UNPARSABLE"), ("", "x", "NUMBER_UNPARSABLE")],
)
def test_a_dose_that_is_no_number_or_could_be_two_is_told(comma, said, code):
    mine = compile_text("mine", f'extends = "_standard"\nversion = "1"\ncomma = "{comma}"\n')
    found = mapped("RDE^O11", PID, PV1, "ORC|NW|1", "RXE||A^A^L", f"TQ1|1|{said}&v|BID", dialect=mine)
    assert "dose" not in only(found)["lines"][0] and (code, "TQ1-2") in told(found)
    assert only(found)["meta"]["unparsed"] == {"lines[0].dose": said}


def test_a_quantity_that_could_be_two_numbers_is_told_as_such() -> None:
    mine = compile_text("mine", 'extends = "_standard"\nversion = "1"\ncomma = "decimal"\n')
    found = mapped("RDE^O11", PID, PV1, "ORC|NW|1", "RXE||A^A^L||||||||1.250", dialect=mine)
    assert "so_luong" not in only(found)["lines"][0] and ("NUMBER_DOUBTFUL", "RXE-10") in told(found)


def test_a_line_says_its_own_action_where_it_differs():
    [one] = prescriptions(*drug("1", "R-1"), *drug("2", "R-1", control="CA"))
    assert [line.get("action") for line in one["lines"]] == [None, "CANCELLED"]


@pytest.mark.parametrize(
    ("timing", "duration", "often", "days", "text"),
    [
        ("BID", "5^D", "2", "5", "1 Viên * 2 lần/ngày * 5 ngày"),
        ("Q8H", "2^tuần", "3", "14", "1 Viên * 3 lần/ngày * 14 ngày"),
        ("qod", "10^ngày", "0.5", "10", "1 Viên * 0.5 lần/ngày * 10 ngày"),
        ("PRN", "5^D", None, "5", None),
        ("BID", "3^L", "2", None, None),
        ("BID", "W2", "2", "14", "1 Viên * 2 lần/ngày * 14 ngày"),
        ("Q5H", "", None, None, None),
        ("BID", "7", "2", "7", "1 Viên * 2 lần/ngày * 7 ngày"),
        ("BID", "7N", "2", "7", "1 Viên * 2 lần/ngày * 7 ngày"),
        ("BID", "1 n", "2", "1", "1 Viên * 2 lần/ngày * 1 ngày"),
        ("BID", "D7", "2", "7", "1 Viên * 2 lần/ngày * 7 ngày"),
    ],
)
def test_amount_times_a_day_and_days_make_lieu_dung(timing, duration, often, days, text):
    [one] = prescriptions(*drug("1", "R-1", timing=timing, duration=duration))
    [line] = one["lines"]
    assert line.get("times_a_day") == (Decimal(often) if often else None)
    assert line.get("days") == (Decimal(days) if days else None)
    assert line.get("lieu_dung") == text


@pytest.mark.parametrize(
    ("timing", "duration", "is_told"),
    [
        ("Sáng 1, tối 2", "7N", {("CODE_UNKNOWN", "TQ1-3")}),
        ("2 lan/ngay", "1^tháng", {("CODE_UNKNOWN", "TQ1-3"), ("NUMBER_UNPARSABLE", "TQ1-6")}),
        ("BID", "đến khi khỏi", {("NUMBER_UNPARSABLE", "TQ1-6")}),
        ("BID", "0", {("NUMBER_UNPARSABLE", "TQ1-6")}),
        ("BID", "0^ngày", {("NUMBER_UNPARSABLE", "TQ1-6")}),
        ("BID", "0N", {("NUMBER_UNPARSABLE", "TQ1-6")}),
        ("BID", "D0", {("NUMBER_UNPARSABLE", "TQ1-6")}),
        ("Q5H", "", {("CODE_UNKNOWN", "TQ1-3")}),
        ("PRN", "INDEF", set()),
        ("stat", "X3", set()),
        ("Q8H", "W1", set()),
    ],
)
def test_timing_and_duration_that_nobody_can_count_are_told_and_go_on_as_text(timing, duration, is_told):
    found = mapped("RDE^O11", PID, PV1, *drug("1", "R-1", timing=timing, duration=duration))
    [line] = only(found)["lines"]
    assert (line["timing"], line.get("duration", "")) == (timing, duration.replace("^", " "))
    assert not (is_told and "lieu_dung" in line)
    assert told(found) == is_told


@pytest.mark.parametrize(("said", "place"), [("1^khi đau^lâu", "RXE-1"), ("", "ORC-7")])
def test_so_they_are_where_older_versions_state_them(said, place):
    found = mapped("RDE^O11", PID, PV1, "ORC|NW|1|||||^khi đau^lâu", f"RXE|{said}|A^A^L||||||||||||X-1")
    assert told(found) == {("CODE_UNKNOWN", place), ("NUMBER_UNPARSABLE", place)}


def test_an_order_and_its_encoding_are_one_drug_and_the_encoding_counts():
    [one] = prescriptions("ORC|NW|1", "RXO|AMLO^Amlodipin^L|2||Viên", "RXR|PO", *drug("1", "R-1")[1:])
    [line] = one["lines"]
    assert (line["code"]["code"], line["dose"], line["duong_dung"]) == ("40.170", Decimal("1.000"), "1.01")


def test_an_encoding_that_says_no_route_leaves_that_of_the_order():
    found = mapped("RDE^O11", PID, PV1, "ORC|NW|1", "RXO|A^A^L", "RXR|IV", "RXE||A^A^L|1", "RXR||LA")
    assert only(found)["lines"][0]["duong_dung"] == "IV" and not told(found)


@pytest.mark.parametrize(
    ("routes", "kept"),
    [
        (["RXR|1.01", "RXR|2.10^Tiêm"], "2.10^Tiêm"),
        (["RXR|1.01", "RXR|1.01"], None),
        (["RXR|1.01", "RXR"], None),
        (["RXR||LA", "RXR|1.01"], None),
    ],
    ids=["another", "the same", "none", "none before it"],
)
def test_a_second_route_of_one_drug_is_told_and_kept(routes, kept):
    found = mapped("RDE^O11", PID, PV1, "ORC|NW|1", "RXE||A^A^L|1|||||||||||||X-1", *routes)
    assert only(found)["lines"][0]["duong_dung"] == "1.01"
    assert only(found)["meta"].get("unparsed", {}).get("lines[0].duong_dung") == kept
    assert (("FIELD_REPEATS", "RXR[2]-1") in told(found)) == bool(kept)


@pytest.mark.parametrize(
    ("sent", "ma_thuoc", "so_dang_ky"),
    [
        ("40.170^A^VN-THUOC^VD-1^^VN-SDK", "40.170", "VD-1"),
        ("40.170^A", "40.170", None),
        ("0071^A^NDC^X^^L", None, None),
    ],
)
def test_only_national_codes_are_taken_for_such(sent, ma_thuoc, so_dang_ky):
    [one] = prescriptions("ORC|NW|1", f"RXE||{sent}|1", "RXR|1.01")
    [line] = one["lines"]
    assert (line.get("ma_thuoc"), line.get("so_dang_ky")) == (ma_thuoc, so_dang_ky)


def test_an_order_without_a_drug_is_nothing():
    found = mapped("OMP^O09", PID, "ORC|NW|1")
    assert not found.events
    assert ("NOTHING_REPRESENTABLE", "RXE") in told(found)


@pytest.mark.parametrize(
    ("dose", "unit", "timing", "read"),
    [
        ("2", "Viên", "1^Gói", ("2.000", "Viên")),
        ("", "", "1^Viên", ("1.000", "Viên")),
        ("", "", "1^VIEN&Viên", ("1.000", "Viên")),
        ("", "mg", "1^Viên", ("1.000", "Viên")),
        ("", "mg", "1", ("1.000", None)),
        ("5", "", "1^Viên", ("5.000", None)),
        ('""', "mg", "1^Viên", (None, "mg")),
        ("", "mg", "one", (None, "mg")),
    ],
)
def test_a_dose_and_its_unit_are_of_one_place(dose, unit, timing, read):
    [one] = prescriptions("ORC|NW|1", f"RXE||A^Amlodipin^VN-THUOC|{dose}||{unit}|||||10|Viên||||X-1", f"TQ1|1|{timing}|QD")
    [line] = one["lines"]
    assert (str(line["dose"]) if "dose" in line else None, line.get("dose_unit")) == read


@pytest.mark.parametrize(("ordered", "shifted"), [("", True), ("20261123081000", False)])
def test_the_time_of_a_prescription_in_the_place_of_who_entered_it_is_told(ordered: str, shifted: bool) -> None:
    found = mapped("RDE^O11", PID, f"ORC|NW|P1{'|' * 7}{ordered}|20261123081000", "RXE||40.170^Thuốc^VN-THUOC|1||VIEN")
    assert (("FIELDS_SHIFTED", "ORC-10") in told(found)) is shifted


def test_what_a_person_is_allergic_to_goes_with_each_prescription() -> None:
    said = "AL1|1|DA|PENI^Penicillin|SV|Nổi mề đay, khó thở"
    found = prescriptions(said, *drug("1", "P1"), *drug("2", "P2"))
    assert [[each["code"]["display"] for each in one["allergies"]] for one in found] == [["Penicillin"], ["Penicillin"]]
    names = [row[0] for row in prescription_segments(found[0], "2.5.1")]
    assert names.index("PID") < names.index("AL1") < names.index("ORC"), "where RDE_O11 has it"


WEIGHT = "OBX|1|NM|29463-7^Body weight^LN||12.5|kg"


def test_what_was_observed_beside_a_drug_is_told_as_nobody_gets_it() -> None:
    one, other = drug("1", "P1"), drug("2", "P1")
    found = mapped("RDE^O11", PID, PV1, *one, WEIGHT, *other, "OBX|1|ST|DU^Dị ứng||penicillin", "OBX|2|ST|X^Khác||")
    assert only(found)["ma_don_thuoc"] == "P1"
    assert {path for code, path in told(found) if code == "NOTE_NOT_PASSED_ON"} == {"OBX[1]-5", "OBX[2]-5"}
    assert "NOTE_NOT_PASSED_ON" not in {code for code, _ in told(mapped("RDE^O11", PID, PV1, *one, *other))}


def test_but_not_the_first_of_a_drug_where_a_rule_reads_it() -> None:
    mine = compile_text("mine", 'extends = "_standard"\nversion = "1"\n[prescription_line]\ncach_dung = "OBX-5"\n')
    found = mapped("RDE^O11", PID, PV1, *drug("1"), WEIGHT, "OBX|2|ST|DU^Dị ứng||penicillin", dialect=mine)
    assert only(found)["lines"][0]["cach_dung"] == "12.5"
    assert {path for code, path in told(found) if code == "NOTE_NOT_PASSED_ON"} == {"OBX[2]-5"}


@pytest.mark.parametrize(
    ("rule", "not_passed_on"),
    [
        ('[prescription_line]\ncach_dung = "OBX-5"\n', set()),
        ('[prescription]\nma_lk = "OBX-5"\n', {"OBX[2]-5"}),
        ('[person]\nma_dantoc = "OBX-5"\n', {"OBX[1]-5", "OBX[2]-5"}),
    ],
)
def test_an_observation_counts_as_read_only_where_the_section_of_its_rule_looks(rule: str, not_passed_on: set[str]) -> None:
    mine = compile_text("mine", f'extends = "_standard"\nversion = "1"\n{rule}')
    both = (row for n in "12" for row in (*drug("1"), f"OBX|{n}|ST|X^Khác||said {n}"))
    found = mapped("RDE^O11", PID, PV1, *both, dialect=mine)
    assert {path for code, path in told(found) if code == "NOTE_NOT_PASSED_ON"} == not_passed_on


def test_an_ampersand_that_nobody_escaped_cuts_no_strength() -> None:
    [one] = prescriptions("ORC|NW|1", "RXE||X^Y^L|1||viên" + "|" * 20 + "500 & 125|mg & mg")
    assert one["lines"][0]["ham_luong"] == "500 & 125 mg & mg"
