"""What single tests of one order have of their own, and what is told since an order has it but once."""

import sys
from types import FrameType

import pytest

from adapters.dialects.clinical_segments import order_segments
from adapters.dialects.profile import compile_text
from hub.contract.events import Event
from tests.adapters.dialects.said import PID, mapped, only, read
from tests.adapters.dialects.said import told as problems


@pytest.mark.parametrize(
    ("first", "second", "own"),
    [
        (["ORC|NW|P1", "OBR|1|P1||A|||20261123074500"], ["ORC|NW|P1", "OBR|2|P1||B|||20261123075500"], {"sampled_at": "20261123075500"}),
        (["ORC|NW|P1", "OBR|1|P1||A"], ["ORC|NW|P1", "OBR|2|P1||B|||20261123075500"], {"sampled_at": "20261123075500"}),
        (["ORC|NW|P1", "OBR|1|P1||A|||20261123075500"], ["ORC|NW|P1", "OBR|2|P1||B"], None),
        (["ORC|NW|P1", "OBR|1|P1||A", "SPM|1|T1||SER"], ["OBR|2|P1||B", "SPM|1|T2||WB"], {"specimen_type": "WB", "specimen_id": "T2"}),
        (["ORC|NW|P1", "OBR|1|P1||A", "SPM|1|T1||SER"], ["OBR|2|P1||B", "SPM|1|T1||WB"], {"specimen_type": "WB", "specimen_id": "T1"}),
        (["ORC|NW|P1", "OBR|1|P1||A", "SPM|1|T1||SER"], ["OBR|2|P1||B", "SPM|1|||WB"], {"specimen_type": "WB"}),
        (["ORC|NW|P1||||||||||BS1", "OBR|1|P1||A"], ["ORC|NW|P1||||||||||BS2", "OBR|2|P1||B"], {"ma_bac_si": "BS2"}),
        (["ORC|NW|P1||||||||||BS1", "OBR|1|P1||A"], ["OBR|2|P1||B||||||||||||BS2"], {"ma_bac_si": "BS2"}),
        (["ORC|NW|P1||||||||||BS1", "OBR|1|P1||A||||||||||||BS2"], ["OBR|2|P1||B||||||||||||BS2"], None),
        (["ORC|SC|P1|F1", "OBR|1|P1|F1|A"], ["ORC|SC|P1|F2", "OBR|2|P1|F2|B"], {"filler": "F2"}),
        (["ORC|NW|P1", "OBR|1|P1||A", "NTE|1||x"], ["ORC|NW|P1", "OBR|2|P1||B", "NTE|1||y"], {"notes": ["y"]}),
        (["ORC|NW|P1", "OBR|1|P1||A|||||||||sốt"], ["ORC|NW|P1", "OBR|2|P1||B|||||||||sốt"], None),
    ],
    ids=["a time", "the only time", "none", "a tube", "its number", "no number", "a doctor", "one of OBR", "the same in OBR", "a number", "a note", "the same words"],
)  # fmt: skip
def test_what_a_further_test_says_otherwise_is_a_part_of_the_order(
    first: list[str], second: list[str], own: Event | None
) -> None:
    found = mapped("OML^O21", PID, *first, *second)
    assert only(found).get("parts", []) == ([{"number": 2, **own}] if own else [])
    assert "ORDER_DIFFERS" not in {code for code, _ in problems(found)}


def test_each_test_of_an_order_keeps_its_own_urgency_while_the_order_has_the_highest() -> None:
    rows = [row for n, one in enumerate(["R", "S", "", "S"], 1) for row in ("ORC|NW|P1", f"OBR|{n}|P1||T{n}|{one}")]
    [order] = read("ORM^O01", *rows)
    assert (order["priority"], order["parts"]) == ("S", [{"number": 1, "priority": "R"}])


def test_a_part_is_counted_by_services_and_an_order_has_the_notes_of_all() -> None:
    rows = ["ORC|NW|P1", "OBR|1|P1||A", "NTE|1||one", "OBR|2|P1||", "NTE|1||two", "OBR|3|P1||C|||||||||đau", "NTE|1||three"]
    [order] = read("ORM^O01", *rows)
    assert (order["notes"], order["parts"]) == (["đau", "one", "two", "three"], [{"number": 2, "notes": ["đau", "three"]}])


@pytest.mark.parametrize(
    ("second", "place"),
    [
        (["ORC|NW|P1|^01921", "OBR|2|P1||B"], "ORC[2]-3"),
        (["ORC|NW|P1||G2", "OBR|2|P1||B"], "ORC[2]-4"),
        (["ORC|NW|P1", "OBR|2|P9||B"], "OBR[2]-2"),
        (["ORC|NW|P1|F1", "OBR|2|P1|F9|B"], "OBR[2]-3"),
        (["ORC|NW|P1|F1", "OBR|2|P1|0|B"], ""),
        (["ORC|NW|P1", "OBR|2|||B"], ""),
        (["ORC|NW|P1", "OBR|2|P1|||||20261123075500"], "OBR[2]-7"),
        (["ORC|NW|P1", "OBR|2|P1||B", "ZLB|2|later"], "ZLB[2]-2"),
        (["ORC|NW|P1", "OBR|2|P1||B", "OBX|1|ST|SITE||left arm"], "OBX"),
    ],
    ids=[
        "performer",
        "group",
        "placer",
        "filler",
        "zero",
        "number once",
        "a test that nobody can tell",
        "a local segment",
        "what was seen for it",
    ],
)
def test_what_an_order_has_but_once_is_told_where_a_further_test_says_otherwise(second: list[str], place: str) -> None:
    mine = compile_text("mine", 'extends = "_standard"\nversion = "1"\n[order]\nma_khoa = "ZLB-2"\n')
    found = mapped("ORM^O01", PID, "ORC|NW|P1|^01940|G1", "OBR|1|P1||A", "ZLB|1|now", *second, dialect=mine)
    assert [where for code, where in problems(found) if code == "ORDER_DIFFERS"] == ([place] if place else [])
    assert only(found)["performer"] == "01940"


def test_a_single_test_whose_orc_and_obr_have_different_numbers_is_told() -> None:
    assert problems(mapped("ORM^O01", PID, "ORC|NW|P1", "OBR|1|P2||A")) == {("ORDER_DIFFERS", "OBR-2")}


def test_the_words_of_a_specimen_go_with_its_code_and_with_no_other() -> None:
    [order] = read("OML^O21", "ORC|NW|P1", "OBR|1|P1||A", "SPM|1|T1||DOM^Đờm", "OBR|2|P1||B", "SPM|1|T2||WB", "OBR|3|P1||C")
    assert (order["specimen_type"], order["specimen_name"]) == ("DOM", "Đờm")
    for version, name, field in (("2.5.1", "SPM", 4), ("2.3.1", "OBR", 15)):
        words = ("DOM", "Đờm")
        out = [row[field] for row in order_segments(order, modern=version >= "2.5") if row[0] == name]
        assert out == ([words, "WB", words] if name == "SPM" else [(words,), ("WB",), (words,)])


def test_a_tube_that_is_named_in_words_has_neither_code_nor_number_of_the_first() -> None:
    rows = ["ORC|NW|P1", "OBR|1|P1||A", "SPM|1|T1||SER^Huyết thanh", "ORC|NW|P1", "OBR|2|P1||B", "SPM|1|||^Nước tiểu 24h"]
    [order] = read("OML^O21", *rows)
    assert order["parts"] == [{"number": 2, "specimen_name": "Nước tiểu 24h"}]
    assert [row[2::2] for row in order_segments(order, modern=True) if row[0] == "SPM"] == [
        ["T1", ("SER", "Huyết thanh")],
        ["", ("", "Nước tiểu 24h")],
    ]


@pytest.mark.parametrize(
    ("specimen", "source", "kind", "name", "told"),
    [
        ("SER", "URN&Nước tiểu", "SER", "", "OBR-15"),
        ("^Huyết thanh", "URN&Nước tiểu", "URN", "", "SPM-4"),
        ("SER", "SER&Huyết thanh", "SER", "Huyết thanh", ""),
        ("SER^Huyết thanh", "URN", "SER", "Huyết thanh", ""),
        ("^Huyết thanh", "", "", "Huyết thanh", ""),
        ("", "WB^EDTA^VP^LA", "WB", "", ""),
    ],
)
@pytest.mark.parametrize("kind_of_message", ["OML^O21", "ORU^R01"])
def test_the_words_of_a_specimen_are_those_of_the_segment_that_has_its_code(
    kind_of_message: str, specimen: str, source: str, kind: str, name: str, told: str
) -> None:
    rows = ["ORC|NW|P1", "OBR|1|P1||A|||||||||||" + source, "OBX|1|NM|A||1||||||F", "SPM|1|T1||" + specimen]
    found = mapped(kind_of_message, PID, *rows)
    event = only(found)
    assert (event.get("specimen_type", ""), event.get("specimen_name", "")) == (kind, name)
    assert [where for code, where in problems(found) if code == "FIELD_REPEATS"] == ([told] if told else [])


def test_each_test_goes_out_with_what_it_has_of_its_own() -> None:
    rows = ["ORC|NW|P1|||||||20261123070000|||BS1", "OBR|1|P1||A|R", "NTE|1||one", "SPM|1|T1||SER",
            "ORC|NW|P1|||||||20261123071000|||BS2", "OBR|2|P1||B|S|20261123075500", "NTE|1||two", "SPM|1|T2||WB",
            "ORC|NW|P1", "OBR|3|P1||C"]  # fmt: skip
    [order] = read("OML^O21", *rows)

    def out(version: str, name: str, *fields: int) -> list[list[object]]:
        return [
            [*(row[at] if at < len(row) else "" for at in fields)]
            for row in order_segments(order, modern=version >= "2.5")
            if row[0] == name
        ]

    assert out("2.5.1", "NTE", 3) == [["one"], ["two"]]
    assert out("2.5.1", "TQ1", 9) == [["R"], ["S"], ["S"]]
    assert out("2.5.1", "SPM", 2, 4) == [["T1", "SER"], ["T2", "WB"], ["T1", "SER"]]
    assert out("2.5.1", "ORC", 9, 12) == [["20261123070000", "BS1"], ["20261123071000", "BS2"], ["20261123070000", "BS1"]]
    assert out("2.3.1", "OBR", 15) == [[("SER",)], [("WB",)], [("SER",)]]
    assert out("2.3.1", "NTE", 3) == [["Mã mẫu (SPM-2): T1"], ["one"], ["Mã mẫu (SPM-2): T2"], ["two"]]


def test_a_tube_of_another_kind_without_number_goes_out_without_the_number_of_the_first() -> None:
    rows = ["ORC|NW|P1", "OBR|1|P1||A", "SPM|1|T1||SER", "ORC|NW|P1", "OBR|2|P1||B", "SPM|1|||UR"]
    [order] = read("OML^O21", *rows)
    assert [row[2::2] for row in order_segments(order, modern=True) if row[0] == "SPM"] == [["T1", "SER"], ["", "UR"]]


def test_a_message_of_many_tests_under_one_number_is_read_in_linear_time() -> None:
    """Each test has a local segment, a note and clinical information of its own, which are looked over once, not for each test."""

    def steps(count: int) -> int:
        """How many functions are called."""
        done = 0

        def step(_frame: FrameType, event: str, _about: object) -> None:
            nonlocal done
            done += event in ("call", "c_call")

        tests = (("ORC|NW|P1", f"OBR|{n}|P1||T|||||||||sign {n}", f"NTE|1||note {n}", f"ZLB|{n}") for n in range(count))
        rows = [row for test in tests for row in test]
        before = sys.getprofile()
        sys.setprofile(step)
        try:
            order = only(mapped("ORM^O01", PID, *rows))
        finally:
            sys.setprofile(before)
        assert len(order["notes"]) == 2 * count
        return done

    assert steps(400) < 2.5 * steps(200)
