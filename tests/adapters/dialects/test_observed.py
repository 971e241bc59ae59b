"""What a line of a result says, and what is its conclusion."""

import pytest

from adapters.dialects.clinical_segments import result_segments
from adapters.dialects.mapped import Mapped
from adapters.dialects.profile import compile_text
from hub.contract.events import Event
from tests.adapters.dialects.said import PID, mapped, only

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
