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
