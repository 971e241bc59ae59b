"""What is told of a result as a whole: whose it is, for whom, without lines, with times out of place."""

import pytest

from adapters.dialects.clinical_segments import result_segments
from tests.adapters.dialects.said import PID, mapped, only
from tests.adapters.dialects.said import told as problems


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


@pytest.mark.parametrize(
    ("number", "licensed"),
    [("000123/HNO-CCHN", True), ("012345", True), ("000123/HNO-CCHN.HD.01004", True), ("BS012", False), ("bs.tam", False)],
)
def test_a_reader_is_said_to_be_licensed_only_by_what_looks_like_a_licence(number: str, licensed: bool) -> None:
    [row] = [row for row in result_segments({"observations": [{"ma_bs_doc_kq": number}]}, "2.5.1") if row[0] == "OBX"]
    assert row[16] == ((number, *[""] * 11, "LN") if licensed else number)


@pytest.mark.parametrize(("state", "told_of"), [("", True), ("F", True), ("P", False), ("X", False)])
def test_a_final_result_without_a_line_is_told(state: str, told_of: bool) -> None:
    found = mapped("ORU^R01", PID, f"OBR|1|P1|F1|CBC^Công thức máu^L|||20261123081500||||||||||||||||||{state}".rstrip("|"))
    assert (("SEGMENT_MISSING", "OBX") in problems(found)) == told_of
    assert only(found)["service"]["code"] == "CBC"


def test_the_clinical_information_of_a_result_stands_before_its_notes_and_labels_it() -> None:
    request = "OBR|1|P1|F1|GLU^Glucose^L|||||||||{}"
    lines = ("NTE|1||Mẫu hơi tan huyết", "OBX|1|NM|GLU||5.6|mmol/L||||F")
    fasting = only(mapped("ORU^R01", PID, request.format("Nghi suy thận, nhịn ăn 8h"), *lines))
    assert fasting["notes"] == ["Nghi suy thận, nhịn ăn 8h", "Mẫu hơi tan huyết"]
    assert not fasting["meta"].get("sensitivity")
    assert only(mapped("ORU^R01", PID, request.format("HIV dương tính, B20"), *lines))["meta"]["sensitivity"] == "HIV"


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
