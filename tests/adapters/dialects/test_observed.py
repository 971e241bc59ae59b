"""What a line of a result says, and what is its conclusion."""

import pytest

from adapters.dialects.clinical_segments import result_segments
from adapters.dialects.mapped import Mapped
from adapters.dialects.profile import compile_text
from hub.contract.events import Event
from tests.adapters.dialects.said import PID, mapped, only, told

OBR = "OBR|1|P1|F1|X^Y"


def results(*rows: str) -> Mapped:
    return mapped("ORU^R01", PID, OBR, *rows)


def codes(event: Event) -> list[str]:
    return [line["code"]["code"] for line in event.get("observations", [])]


@pytest.mark.parametrize(
    "row",
    [
        "OBX|2|ST|IMP^Imipenem||R|||R|||F",
        "OBX|2|ST|IMP^Imipenem||R||||||F",
        "OBX|2|TX|IMP^Imipenem||s||||||F",
        "OBX|2|CWE|IMP^Imipenem||I^Trung gian||||||F",
        "OBX|2|SN|IMP^Imipenem||<=^0.25|ug/mL|||||F",
        "OBX|2|NM|IMP^Imipenem||22|mm|||||F",
        "OBX|2|ST|IMP^Imipenem||22 mm|||R|||F",
    ],
)
def test_imipenem_is_a_line_and_no_conclusion(row: str) -> None:
    for _ in range(2):  # the second time its form is known
        event = only(results("OBX|1|ST|ORG^Vi khuẩn||E. coli||||||F", row, "NTE|1||kháng carbapenem"))
        assert codes(event) == ["ORG", "IMP"] and "ket_luan" not in event
        assert event["observations"][1]["notes"] == ["kháng carbapenem"]


def test_it_is_so_beside_other_antibiotics_whatever_it_says() -> None:
    event = only(
        results("OBX|1|ST|AMK^Amikacin||S||||||F", "OBX|2|ST|IMP^Imipenem||22 mm||||||F", "OBX|3|TX|KL^Kết luận||MDR||||||F")
    )
    assert (codes(event), event["ket_luan"]) == (["AMK", "IMP"], "MDR")


@pytest.mark.parametrize("kind", ["TX|IMP^Kết luận||U phổi|||A", "ST|IMP^Kết luận||U phổi|||N", "ST|KL^Kết luận||U phổi|||"])
def test_a_conclusion_is_one_and_the_notes_behind_it_go_with_it(kind: str) -> None:
    event = only(results("OBX|1|ST|MT^Mô tả||mờ||||||F", f"OBX|2|{kind}|||F", "NTE|1||chụp lại sau 1 tháng"))
    assert (codes(event), event["ket_luan"]) == (["MT"], "U phổi\nchụp lại sau 1 tháng")


@pytest.mark.parametrize("kind", ["TX", "FT", "ST", "CWE"])
@pytest.mark.parametrize(
    ("of_result", "own", "is_line"),
    [("F", "W", True), ("C", "D", True), ("F", "X", True), ("F", "P", True), ("", "P", True), ("F", "C", True),
     ("P", "P", False), ("C", "C", False), ("C", "F", False), ("F", "", False), ("", "F", False)],
)  # fmt: skip
def test_a_conclusion_that_is_withdrawn_or_preliminary_by_itself_is_a_line_that_keeps_its_state(
    kind: str, of_result: str, own: str, is_line: bool
) -> None:
    rows = [
        f"OBR|1|P1|F1|X^Y{'|' * 21}{of_result}",
        "OBX|1|ST|MT^Mô tả||mờ||||||F",
        f"OBX|2|{kind}|KL^Kết luận||U phổi||||||{own}",
    ]
    event = only(mapped("ORU^R01", PID, *rows))
    assert [(line["code"]["code"], line["status"]) for line in event["observations"]] == [
        ("MT", "F"),
        *([("KL", own)] if is_line else []),
    ]
    assert event.get("ket_luan", "") == ("" if is_line else "U phổi")


def test_a_flag_of_a_conclusion_in_text_is_told_as_it_goes_to_nobody() -> None:
    found = results("OBX|1|ST|MT^Mô tả||mờ||||||F", "OBX|2|TX|KL^Kết luận||U phổi|||AA|||F")
    assert only(found)["ket_luan"] == "U phổi" and ("NOTE_NOT_PASSED_ON", "OBX[2]-8") in told(found)


@pytest.mark.parametrize(("further", "lines"), [("||||||F", 1), ("|||||||", 1), ("||||||W", 2), ("|||A|||F", 2)])
def test_what_is_withdrawn_or_flagged_is_no_further_line_of_a_text_that_is_not(further: str, lines: int) -> None:
    event = only(results("OBX|1|TX|MT^Mô tả||mờ||||||F", f"OBX|2|TX|MT^Mô tả||đáy phổi{further}"))
    assert [line.get("mo_ta") for line in event["observations"]] == (["mờ\nđáy phổi"] if lines == 1 else ["mờ", "đáy phổi"])


def test_an_antibiogram_names_its_germ_in_a_note_which_receivers_get() -> None:
    obr = "OBR|2|P1|F2|KSD^Kháng sinh đồ" + "|" * 22 + "VK&Vi khuẩn&L^1^E. coli|||P1&HIS^F1&LIS"
    event = only(mapped("ORU^R01", PID, obr, "NTE|1||EUCAST", "OBX|1|ST|AMK^Amikacin|1|S||||||F"))
    assert event["notes"] == ["OBR-26: Vi khuẩn 1 E. coli", "OBR-29: P1 F1", "EUCAST"]
    assert [row[3] for row in result_segments(event, "2.5.1") if row[0] == "NTE"] == event["notes"]
    assert event["observations"][0]["sub_id"] == "1"


def test_what_the_profile_reads_of_the_parent_is_not_said_twice() -> None:
    mine = compile_text("mine", 'extends = "_standard"\nversion = "1"\n[result]\nnotes = { from = "OBR-26.3", as = "list" }\n')
    obr = "OBR|2|P1|F2|KSD^Kháng sinh đồ" + "|" * 22 + "VK^1^E. coli"
    assert only(mapped("ORU^R01", PID, obr, dialect=mine))["notes"] == ["E. coli"]


def test_a_note_about_a_parent_protects_the_event_by_its_words() -> None:
    obr = "OBR|2|P1|F2|GEN^Kiểu gen" + "|" * 22 + "X&Kháng thể HIV^1^dương tính"
    assert only(mapped("ORU^R01", PID, obr, "OBX|1|ST|A^A||B||||||F"))["meta"]["sensitivity"] == "HIV"


@pytest.mark.parametrize(
    ("row", "missing"),
    [
        ("NM|K^Kali||||||||F", True),
        ("CWE|K^Kali||||||||C", True),
        ("NM|K^Kali||||||||P", False),
        ("NM|K^Kali||||||||X", False),
        ("NM|K^Kali||||||||", False),
        ("|CTM^Công thức máu||||||||F", False),
        ("TX|MT^Mô tả||||||||F", False),
        ("ST|AMK^Amikacin|||||S|||F", False),
        ('NM|K^Kali||""||||||F', False),
        ("NM|NA^Natri||||||||F", False),
    ],
    ids=[
        "final",
        "corrected",
        "preliminary",
        "no result",
        "no state",
        "heading",
        "blank line",
        "flag",
        "deleted",
        "said by another",
    ],
)
def test_a_final_line_without_a_value_is_told_unless_something_else_says_it(row: str, missing: bool) -> None:
    found = results(f"OBX|1|{row}", "OBX|2|NM|NA^Natri||139||||||F")
    assert (("FIELD_MISSING", "OBX[1]-5") in told(found)) is missing


def test_a_note_behind_it_says_it_too() -> None:
    assert not told(results("OBX|1|NM|K^Kali||||||||F", "NTE|1||mẫu tan huyết"))


def test_a_note_before_any_order_or_result_is_told() -> None:
    lost = ["NTE|1||dị ứng", "NTE|2"]
    result = mapped("ORU^R01", PID, *lost, OBR, "NTE|1||lấy lúc đói", "OBX|1|NM|K^Kali||4||||||F", "NTE|1||tan huyết")
    order = mapped("ORM^O01", PID, *lost, "ORC|NW|P1", OBR, "NTE|1||lấy lúc đói")
    for found in (result, order):
        assert {path for code, path in told(found) if code == "NOTE_NOT_PASSED_ON"} == {"NTE[1]-3"}
        assert only(found)["notes"] == ["lấy lúc đói"]


def test_an_allergy_beside_an_order_is_told_as_its_recipient_does_not_get_it() -> None:
    found = mapped("OML^O21", PID, "AL1|1|DA|IOD^Thuốc cản quang", "AL1|2|DA|PENI^Penicillin", "ORC|NW|P1", OBR)
    assert {path for code, path in told(found) if code == "NOTE_NOT_PASSED_ON"} == {"AL1[1]-3", "AL1[2]-3"}


@pytest.mark.parametrize(
    ("behind", "shifted"),
    [
        ("a|b|mmol/L|3-5|H|||F", True),
        ("a|mmol/L|3-5|H|||F", False),
        ("a|mmol/L|3-5|H|||F|20261123", False),
        ("a|mmol/L|3-5|H||||20261123", False),
    ],
)
def test_a_bar_in_a_value_that_nobody_escaped_is_told_every_time_it_comes(behind: str, shifted: bool) -> None:
    for _ in range(2):
        assert (("FIELDS_SHIFTED", "OBX-5") in told(results(f"OBX|1|ST|K^Kali||{behind}"))) is shifted


# --- numbers that are none --------------------------------------------------------------------------------------------


def sent_and_passed_on(kind: str, value: str, comma: str = "") -> tuple[tuple[str, object], bool]:
    """OBX-2 and OBX-5 as they leave, and whether the sender is told that no number, or not one alone, could be read."""
    rule = f'comma = "{comma}"\n' if comma else ""
    mine = compile_text("mine", f'extends = "_standard"\nversion = "1"\n{rule}')
    found = mapped("ORU^R01", PID, OBR, f"OBX|1|{kind}|K^Kali||{value}||||||F", dialect=mine)
    event = only(found)
    [line] = event["observations"]
    [row] = [row for row in result_segments(event, "2.5.1") if row[0] == "OBX"]
    assert (row[2] in ("NM", "SN")) is (line["value_type"] in ("NM", "SN"))
    return (str(row[2]), row[5]), not told(found).isdisjoint({("NUMBER_UNPARSABLE", "OBX-5"), ("NUMBER_DOUBTFUL", "OBX-5")})


@pytest.mark.parametrize(
    ("value", "comma", "leaves"),
    [
        ("1.250", "decimal", ("ST", "1.250")),
        ("< 0,003", "decimal", ("ST", "< 0,003")),
        ("Âm tính", "", ("ST", "Âm tính")),
        ("12,50%", "decimal", ("ST", "12,50%")),
        ("1,234,567", "", ("ST", "1,234,567")),
        ("1,234,567", "thousands", ("NM", "1234567")),
        ("9,8", "decimal", ("NM", "9.8")),
        ("5.6", "", ("NM", "5.6")),
    ],
)
def test_what_could_not_be_read_as_a_number_leaves_as_text(value: str, comma: str, leaves: tuple[str, str]) -> None:
    for _ in range(2):  # the second time its form is known
        assert sent_and_passed_on("NM", value, comma) == (leaves, leaves[0] == "ST")


@pytest.mark.parametrize(
    ("kind", "value", "comma", "code"),
    [
        ("NM", "1.250", "decimal", "NUMBER_DOUBTFUL"),
        ("SN", "^100^-^1.250", "decimal", "NUMBER_DOUBTFUL"),
        ("NM", "1.2500", "decimal", ""),
        ("NM", "1,250", "decimal", ""),
        ("NM", "1.250", "", ""),
        ("NM", "1.250 mg", "decimal", "NUMBER_UNPARSABLE"),
        ("NM", "Âm tính", "decimal", "NUMBER_UNPARSABLE"),
    ],
)
def test_what_could_be_two_numbers_is_told_as_such_and_goes_out_with_a_note(kind: str, value: str, comma: str, code: str) -> None:
    rule = f'comma = "{comma}"\n' if comma else ""
    mine = compile_text("mine", f'extends = "_standard"\nversion = "1"\n{rule}')
    row = f"OBX|1|{kind}|PLT^Tiểu cầu||{value}||||||F"
    found = mapped("ORU^R01", PID, OBR, row, "NTE|1||đã xem lại", dialect=mine)
    assert {one for one, path in told(found) if path == "OBX-5"} == ({code} if code else set())
    notes = [one[3] for one in result_segments(only(found), "2.5.1") if one[0] == "NTE"]
    assert notes.pop() == "đã xem lại"
    assert ["two ways" in note and "hai cách" in note for note in notes] == [True] * (code == "NUMBER_DOUBTFUL")


@pytest.mark.parametrize(
    ("value", "comma", "leaves"),
    [
        ("<^0.5", "", ("SN", [("<", "0.5", "", "")])),
        ("<0,5", "decimal", ("SN", [("<", "0.5", "", "")])),
        ("^<0,5", "decimal", ("SN", [("<", "0.5", "", "")])),
        ("> 100", "", ("SN", [(">", "100", "", "")])),
        ("^1^:^80", "", ("SN", [("", "1", ":", "80")])),
        ("1:80", "", ("SN", [("", "1", ":", "80")])),
        (">=^1^:^80", "", ("SN", [(">=", "1", ":", "80")])),
        ("^2^+", "", ("SN", [("", "2", "+", "")])),
        ("^3,5^-^5,5", "decimal", ("SN", [("", "3.5", "-", "5.5")])),
        ("<^5~>^9", "", ("SN", [("<", "5", "", ""), (">", "9", "", "")])),
        ("<0,5", "", ("ST", "<0,5")),
        ("^100^-^1.234", "decimal", ("ST", "100-1.234")),
        ("5^6", "", ("ST", "5^6")),
        ("=^5", "", ("SN", [("", "5", "", "")])),
        ("=>5", "", ("SN", [(">=", "5", "", "")])),
        ("=^<5", "", ("ST", "<5")),
        ("<^<5", "", ("ST", "<<5")),
        ("^5^^6", "", ("ST", "^5^^6")),
        ("^1^.^5", "", ("ST", "^1^.^5")),
        ("^1e^-^5", "", ("ST", "1e-5")),
        ("^5~ ", "", ("SN", [("", "5", "", "")])),
        ("５.６", "", ("ST", "５.６")),
        ("^Âm tính", "", ("ST", "Âm tính")),
        ("<", "", ("ST", "<")),
    ],
)
def test_a_structured_number_leaves_in_its_parts_or_as_text(value: str, comma: str, leaves: tuple[str, object]) -> None:
    assert sent_and_passed_on("SN", value, comma) == (leaves, leaves[0] == "ST")


def test_a_value_of_blanks_says_nothing() -> None:
    found = mapped("ORU^R01", PID, OBR, "OBX|1|NM|K^Kali||4.1||||||F", "OBX|2|SN|TSH^TSH|| |mIU/L|||||P")
    assert [line.get("gia_tri") for line in only(found)["observations"]] == ["4.1", None]


# --- flags ------------------------------------------------------------------------------------------------------------

OWN_FLAGS = compile_text(
    "mine",
    'extends = "_standard"\nversion = "1"\n[observation]\n'
    'flags = { from = "OBX-8", as = "list", codes = "flags", unknown = "keep" }\n[codes.flags]\nCAO = "H"\nBT = "N"\n',
)


@pytest.mark.parametrize(("flag", "silent"), [("BT", True), ("H", True), ("LẠ", True), ("R", False), ("NEG", False)])
def test_a_flag_says_what_a_value_is_only_where_it_is_a_result_itself(flag: str, silent: bool) -> None:
    found = mapped("ORU^R01", PID, OBR, f"OBX|1|NM|K^Kali||||3-5|{flag}|||F", dialect=OWN_FLAGS)
    assert (("FIELD_MISSING", "OBX-5") in told(found)) is silent


@pytest.mark.parametrize(
    ("sent", "flags", "problem"),
    [
        ("CAO", ["H"], ""),
        ("LẠ", ["LẠ"], "CODE_UNKNOWN"),
        ("CAO~LẠ", ["H", "LẠ"], "CODE_UNKNOWN"),
        ("3.5-5.5", [], "FIELDS_SHIFTED"),
        ("3,5 - 5,5", [], "FIELDS_SHIFTED"),
        ("< 5", [], "FIELDS_SHIFTED"),
        ("CAO~3.5-5.5", ["H"], "FIELDS_SHIFTED"),
        ("<", ["<"], ""),
        (" ", [], ""),
        ("H ~ ", ["H"], ""),
    ],
)
def test_a_flag_that_nobody_knows_is_kept_and_told_and_a_range_is_none(sent: str, flags: list[str], problem: str) -> None:
    for _ in range(2):  # the second time its form is known
        found = mapped("ORU^R01", PID, OBR, f"OBX|1|NM|K^Kali||4|mmol/L||{sent}|||F", dialect=OWN_FLAGS)
        [line] = only(found)["observations"]
        assert line.get("flags", []) == flags
        assert told(found) == ({(problem, "OBX-8")} if problem else set())
        assert (only(found)["meta"].get("unparsed") is not None) is (problem == "FIELDS_SHIFTED")
