"""A child that is known by its mother: her number is no number of its own, and her name none of its own."""

import sys
from types import FrameType
from typing import Any

import pytest

from adapters.dialects.clinical_segments import name_parts
from adapters.dialects.newborns import is_mother
from adapters.dialects.profile import compile_text
from tests.adapters.dialects.said import PV1, mapped, only, told

BABY = "PID|1||26000071^^^01021^MR||BÉ GÁI CON BÀ NGUYỄN THỊ LỆ HẰNG||20261120|F"
NUMBER = "25019984^^^01021^MR"
MOTHER = f"{BABY}{'|' * 13}{NUMBER}"  # PID-21
REST = {
    "ORU^R01": ("OBR|1|7||A", "OBX|1|NM|A||1|||||F"),
    "ORM^O01": ("ORC|NW|7", "OBR|1|7||A"),
    "OML^O21": ("ORC|NW|7", "OBR|1|7||A"),
    "RDE^O11": ("ORC|NW|7", "RXE||A^B"),
    "ADT^A03": (PV1,),
    "ADT^A08": (PV1,),
}


OWN = "26000071^^^01021^MR"


def nk1(name: str, relationship: str, phone: str = "", number: str = "") -> str:
    return f"NK1|1|{name}|{relationship}||{phone}{'|' * 28}{number}"


def of_mother(name: str = "") -> dict[str, object]:
    number = {"value": "25019984", "normalised": "25019984", "type": "MRN", "issuer": "VN-CSKCB-01021"}
    return {**({"ho_ten": name} if name else {}), "relationship": "MTH", "identifiers": [number]}


@pytest.mark.parametrize("kind", REST)
def test_guardians_are_read_wherever_a_person_is(kind: str) -> None:
    rows = (nk1("Nguyễn^Hằng^Lệ", "MTH", number=NUMBER), nk1("Trần^Nam", "FTH", "0912000111"))
    found = only(mapped(kind, BABY, *rows, *REST[kind]))["person"]["guardians"]
    assert found == [of_mother("Nguyễn Lệ Hằng"), {"ho_ten": "Trần Nam", "relationship": "FTH", "dien_thoai": "0912000111"}]


def test_the_father_of_a_child_that_is_referred_is_read() -> None:
    slip = ("RF1|P|R||||7^01021", "PRD|RP|||||01021^FI", "PRD|RT|||||01004^FI")
    [father] = only(mapped("REF^I12", *slip, BABY, nk1("Trần^Nam", "FTH", "0912000111")))["person"]["guardians"]
    assert (father["ho_ten"], father["dien_thoai"]) == ("Trần Nam", "0912000111")


@pytest.mark.parametrize("kind", REST)
def test_the_mothers_number_makes_her_a_guardian_and_is_none_of_the_childs(kind: str) -> None:
    person = only(mapped(kind, MOTHER, *REST[kind]))["person"]
    assert person["guardians"] == [of_mother()]
    assert [each["value"] for each in person["identifiers"]] == ["26000071"]


@pytest.mark.parametrize(
    ("rows", "guardians"),
    [
        ([nk1("Nguyễn^Hằng^Lệ", "MTH", number=NUMBER)], [of_mother("Nguyễn Lệ Hằng")]),
        ([nk1("Nguyễn^Hằng^Lệ", "ME^Mẹ")], [of_mother("Nguyễn Lệ Hằng") | {"relationship": "ME"}]),
        ([nk1("Trần^Nam", "FTH")], [{"ho_ten": "Trần Nam", "relationship": "FTH"}, of_mother()]),
    ],
    ids=["the same number", "her name alone", "another guardian"],
)
def test_the_mothers_number_goes_to_the_guardian_that_she_is(rows: list[str], guardians: list[object]) -> None:
    assert only(mapped("ORU^R01", MOTHER, *rows, *REST["ORU^R01"]))["person"]["guardians"] == guardians


def test_of_two_mothers_the_number_is_hers_who_has_it_already() -> None:
    rows = (nk1("Trần^Hằng", "MTH"), nk1("Lê^Mai", "ME", number=NUMBER))
    first, second = only(mapped("ORU^R01", MOTHER, *rows, *REST["ORU^R01"]))["person"]["guardians"]
    assert first == {"ho_ten": "Trần Hằng", "relationship": "MTH"}
    assert second == of_mother("Lê Mai") | {"relationship": "ME"}


@pytest.mark.parametrize("relationship", ["^Mẹ", "2^Mẹ", "2^^L^^mẹ đẻ"])
def test_a_mother_may_be_told_in_words(relationship: str) -> None:
    found = mapped("ORU^R01", MOTHER, nk1("Nguyễn^Hằng^Lệ", relationship), *REST["ORU^R01"])
    assert only(found)["person"]["guardians"] == [of_mother("Nguyễn Lệ Hằng")]


@pytest.mark.parametrize("rows", [(), (nk1("Nguyễn^Hằng^Lệ", "MTH"),)], ids=["alone", "beside the mother"])
@pytest.mark.parametrize("stated", [OWN, "26000071", "2600-0071"])
def test_a_child_is_not_its_own_mother_and_that_is_told(stated: str, rows: tuple[str, ...]) -> None:
    found = mapped("ORU^R01", MOTHER.replace(NUMBER, stated), *rows, *REST["ORU^R01"])
    assert only(found)["person"].get("guardians", []) == [{"ho_ten": "Nguyễn Lệ Hằng", "relationship": "MTH"}][: len(rows)]
    assert ("IDENTIFIER_UNREAD", "PID-21") in told(found)


def test_the_number_of_the_child_at_another_hospital_may_be_the_mothers() -> None:
    [mother] = only(mapped("ORU^R01", MOTHER.replace(NUMBER, "26000071^^^01004^MR"), *REST["ORU^R01"]))["person"]["guardians"]
    assert [(each["value"], each["issuer"]) for each in mother["identifiers"]] == [("26000071", "VN-CSKCB-01004")]


@pytest.mark.parametrize(
    ("number", "kind", "issuer"),
    [
        ("001190012345", "SDDCN", "BCA"),
        ("001 190 012 345", "SDDCN", "BCA"),
        ("010212611001", "MRN", "VN-CSKCB-01021"),  # begins with the facility
        ("202611230001", "MRN", "VN-CSKCB-01021"),
    ],
)
def test_a_mothers_number_without_a_type_is_a_citizens_by_its_form(number: str, kind: str, issuer: str) -> None:
    found = mapped("ORU^R01", MOTHER.replace(NUMBER, number), *REST["ORU^R01"])
    [mother] = only(found)["person"]["guardians"]
    assert [(each["type"], each["issuer"], each["inferred"]) for each in mother["identifiers"]] == [(kind, issuer, True)]
    assert ("IDENTIFIER_INFERRED", "PID-21") in told(found)


def test_guardians_of_many_children_are_read_in_linear_time() -> None:
    def steps(count: int) -> int:
        """How many lines of code are run."""
        done = 0

        def step(_frame: FrameType, event: str, _about: object) -> Any:
            nonlocal done
            done += event == "line"
            return step

        rows = [
            row for n in range(count) for row in (f"PID|1||{n}^^^^MR", nk1("Lê^Hoa", "MTH"), f"OBR|1|{n}||A", "OBX|1|ST|A||1")
        ]
        before = sys.gettrace()
        sys.settrace(step)
        try:
            found = mapped("ORU^R01", *rows)
        finally:
            sys.settrace(before)
        assert sum(len(event["person"]["guardians"]) for _, event in found.events) == count
        return done

    steps(1)
    assert steps(400) < 2.2 * steps(200)


def test_each_child_of_a_message_has_its_own_guardians() -> None:
    twins = [MOTHER, *REST["ORU^R01"], BABY.replace("71", "72"), nk1("Trần^Nam", "FTH"), "OBR|1|8||A", "OBX|1|NM|A||1|||||F"]
    found = [event["person"]["guardians"] for _, event in mapped("ORU^R01", *twins).events]
    assert found == [[of_mother()], [{"ho_ten": "Trần Nam", "relationship": "FTH"}]]


@pytest.mark.parametrize("types", ["", '[identifiers.types]\nPID-21 = "MRN"\n'])
def test_a_mothers_number_without_a_type_is_a_patient_number_and_that_is_told_unless_the_profile_says_so(types: str) -> None:
    mine = compile_text("mine", f'extends = "_standard"\nversion = "1"\n{types}')
    found = mapped("ORU^R01", MOTHER.replace("^^^01021^MR", "^^^01021").replace("26000071^^^01021", "26000071^^^01021^MR"),
                   *REST["ORU^R01"], dialect=mine)  # fmt: skip
    [mother] = only(found)["person"]["guardians"]
    assert [(each["value"], each["type"]) for each in mother["identifiers"]] == [("25019984", "MRN")]
    assert (("IDENTIFIER_INFERRED", "PID-21") in told(found)) is not bool(types)


@pytest.mark.parametrize("empty", ['""', "-", "   "])
def test_where_no_number_of_the_mother_stands_there_is_no_guardian(empty: str) -> None:
    assert "guardians" not in only(mapped("ORU^R01", f"{BABY}{'|' * 13}{empty}", *REST["ORU^R01"]))["person"]


@pytest.mark.parametrize(
    "name",
    [
        "BÉ GÁI CON BÀ NGUYỄN THỊ LỆ HẰNG",
        "Con chị Lê Thị Hoa",
        "CB Lê Thị Hoa 2",
        "CB. Lê Thị Hoa",
        "CB-Lê Thị Hoa",
        "C/B Lê Thị Hoa",
        "SS Lê Thị Hoa",
        "CON LÊ THỊ HOA",
        "CON: LÊ THỊ HOA",
        "Con/bà Hoa",
        "Con bà: Hoa",
        "Con bà (Hoa)",
        "BÉ CON CỦA LÊ THỊ HOA",
        "BÉ  GÁI CON BÀ LÊ THỊ HOA",
        "Be\u0301 Ga\u0301i con ba\u0300 Hoa",
        "CON BA LE THI HOA",
        "TRẺ LÊ THỊ HOA",
        "Bé gái Hoa",
        "LÊ THỊ HOA (CON BÀ)",
        "Bé trai Lê Thị Hoa",
        "BE TRAI LE THI HOA",
        "Trẻ sơ sinh Lê Thị Hoa",
        "SO SINH CON BA LE THI HOA",
    ],
)
def test_a_name_that_says_whose_child_it_is_stays_whole(name: str) -> None:
    assert name_parts(name) == (name, "", "")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("Lê Thị Bé", ("Lê", "Bé", "Thị")),
        ("Bế Văn Trai", ("Bế", "Trai", "Văn")),
        ("Nguyễn Bé Ba", ("Nguyễn", "Ba", "Bé")),
        ("Lê Côn Ba", ("Lê", "Ba", "Côn")),
        ("Trần Sinh", ("Trần", "Sinh", "")),
        ("Nguyễn Thị Cô", ("Nguyễn", "Cô", "Thị")),
        ("Nguyễn Bé Gái", ("Nguyễn", "Gái", "Bé")),
        ("Lê Thị Bé Gái", ("Lê", "Gái", "Thị Bé")),
        ("NGUYEN THI BE GAI", ("NGUYEN", "GAI", "THI BE")),
        ("BE VAN TRAI", ("BE", "TRAI", "VAN")),
        ("BE TRAI", ("BE", "TRAI", "")),
        ("Nguyễn Con Ba", ("Nguyễn", "Ba", "Con")),
        ("NGUYEN CON BA HAI", ("NGUYEN", "HAI", "CON BA")),
        ("Huỳnh Con Me", ("Huỳnh", "Me", "Con")),
        ("LE CON CHI", ("LE", "CHI", "CON")),
        ("Chau So Sinh", ("Chau", "Sinh", "So")),
        ("Trần Sơ Sinh", ("Trần", "Sinh", "Sơ")),
        ("Con Thị Hoa", ("Con", "Hoa", "Thị")),
        ("CON VAN BA", ("CON", "BA", "VAN")),
        ("SS Lê", ("SS", "Lê", "")),
        ("Nguyễn Con Công", ("Nguyễn", "Công", "Con")),
    ],
)
def test_a_name_of_ones_own_is_split(name: str, parts: tuple[str, str, str]) -> None:
    assert name_parts(name) == parts


@pytest.mark.parametrize(
    ("stated", "hers"), [("MTH", True), ("mẹ", True), ("ME", True), ("FTH", False), ("GRD", False), ("", False)]
)
def test_the_mother_is_known_by_nk1_3(stated: str, hers: bool) -> None:
    assert is_mother(stated) is hers
