"""What a line of a result says, and what is its conclusion."""

import pytest

from adapters.dialects.mapped import Mapped
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
