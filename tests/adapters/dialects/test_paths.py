"""Free text where a delimiter stands that nobody escaped: whole, as far as the place has no parts by the standard."""

from typing import Any

import pytest

from adapters.dialects.profile import compile_text
from tests.adapters.dialects.said import PID, PV1, mapped, only

BOTH = "máu & mủ ^ đờm"  # where HL7 has one text neither cuts, in a component `&` does not
BILLED = "FT1|1|L1||20261123||CG|X^^VN-DVKT|"
DOCUMENT = "TXA|1|DS^Giấy^L|TX|||||||||DOC-1|"


def said(kind: str, rows: list[str], *path: str | int) -> Any:
    found: Any = only(mapped(kind, *rows))
    for step in path:
        found = found[step]
    return found


@pytest.mark.parametrize(
    ("kind", "rows", "path"),
    [
        ("ADT^A01", [PID, PV1, "DG1|1||J18.9^Viêm phổi^I10|{}"], ("diagnoses", 0, "chan_doan")),
        ("ADT^A01", [PID, PV1, "AL1|1|DA|PENI||{}"], ("allergies", 0, "reactions", 0)),
        ("ADT^A60", [PID, PV1, "IAM|1|DA|PENI||{}"], ("allergies", 0, "reactions", 0)),
        ("DFT^P03", [PID, PV1, BILLED + "{}"], ("lines", 0, "ten_dich_vu")),
        ("ORM^O01", [PID, "ORC|NW|1", "OBR|1|1||X|||||||||{}"], ("notes", 0)),
        ("MDM^T02", [PID, PV1, DOCUMENT + "|||{}"], ("file_name",)),
        ("MDM^T02", [PID, PV1, DOCUMENT + "||||||||{}"], ("change_reason",)),
        ("MDM^T02", [PID, PV1, DOCUMENT + "||||||||||||{}"], ("title",)),
        ("MFN^M02", ["MFI|PRA", "MFE|MUP|||D1", "STF|D1|||||||||||||||||{}"], ("job",)),
        ("MFN^M04", ["MFI|CDM", "MFE|MUP|||D1", "CDM|D1||{}"], ("display",)),
        ("MFN^M05", ["MFI|LOC", "MFE|MUP|||K1", "LOC|K1|{}"], ("display",)),
        ("RRI^I12", ["MSA|AR|1|{}", "RF1|R|||||S1^01004", "PRD|RT|||||01004^^^^FI", PID], ("reason",)),
    ],
)
def test_neither_delimiter_cuts_a_field_that_is_one_text(kind: str, rows: list[str], path: tuple[str | int, ...]) -> None:
    for sent, text in (
        (BOTH, BOTH),
        (f"{BOTH}&^^", BOTH),
        ("máu \\T\\ mủ \\S\\ đờm & \\E\\", "máu & mủ ^ đờm & \\"),
        ("máu&&", "máu"),
    ):
        assert said(kind, [row.format(sent) for row in rows], *path) == text


@pytest.mark.parametrize(
    ("kind", "rows", "path"),
    [
        ("ADT^A01", [PID, PV1, "PV2|||^{}"], ("ly_do_vv",)),
        ("ORM^O01", [PID, "ORC|NW|1", "OBR|1|1||X" + "|" * 27 + "R^{}"], ("notes", 0)),
        ("ORM^O01", [PID, "ORC|CA|1||||||||||||||R^{}", "OBR|1|1||X"], ("reason",)),
        ("OML^O21", [PID, "ORC|NW|1", "OBR|1|1||X", "SPM|1|||BLD^{}"], ("specimen_name",)),
        ("ORU^R01", [PID, "OBR|1|1||X", "OBX|1|NM|A||1||||||F", "SPM|1|||BLD^{}"], ("specimen_name",)),
        ("REF^I12", ["RF1|||||S1", PID, "OBX|1|ST|VN-NHT||Lê Hoa^{}"], ("xml13", "chucdanh_nguoi_ht")),
    ],
)
def test_an_ampersand_cuts_no_component_that_is_text_while_the_component_behind_it_is_another(
    kind: str, rows: list[str], path: tuple[str | int, ...]
) -> None:
    assert said(kind, [row.format("máu & mủ\\T\\đờm^L") for row in rows], *path) == "máu & mủ&đờm"


def test_repetitions_are_parts_of_one_text_and_items_of_a_list() -> None:
    rows = [PID, PV1, "AL1|1|DA|PENI||ban ^ ngứa~khó thở & ho", "DG1|1||J18.9|viêm phổi~nặng"]
    event = only(mapped("ADT^A01", *rows))
    assert event["allergies"][0]["reactions"] == ["ban ^ ngứa", "khó thở & ho"]
    assert event["diagnoses"][0]["chan_doan"] == "viêm phổi;nặng"


def test_a_rule_of_a_profile_for_a_free_text_reads_one_text_whole_and_a_component_alone() -> None:
    mine = compile_text(
        "mine", 'extends = "_standard"\nversion = "1"\n[encounter]\nly_do_vv = ["FT1-9", "ZBH-1.2", "OBX[LDVV]-5"]\n'
    )

    def reason(*rows: str) -> str:
        return str(only(mapped("ADT^A01", PID, PV1, *rows, dialect=mine))["ly_do_vv"])

    assert reason("FT1|||||||||" + BOTH) == BOTH
    assert reason(f"ZBH|1^{BOTH}") == "máu & mủ"
    assert reason(f"OBX|1|ST|LDVV||{BOTH}") == BOTH, "OBX-2 says that OBX-5 is one text"
    assert reason("OBX|1|CE|LDVV||máu & mủ^đờm") == "máu & mủ"
