"""What loads and can hardly be meant."""

import pytest

from adapters.dialects.doubts import doubts
from adapters.dialects.profile import compile_text, dialect_names, load_dialect
from tests.adapters.dialects.test_conformance import visit


@pytest.mark.parametrize("name", dialect_names())
def test_there_is_no_doubt_about_what_the_hub_ships(name: str) -> None:
    assert doubts(load_dialect(name)) == []


def test_what_can_hardly_be_meant_is_told_and_loads() -> None:
    rules = '[person]\ndien_thoai = ["PID-13", "PID-99"]\n[observation]\nma_may = "OBX-77"\n[order]\nservices = { from = "OBR-98", as = "code" }\n'
    tables = '[identifiers]\nlists = ["PID-3+PID-88"]\ncards = ["IN1-36", "IN1-98", "ZBH-99"]\n[identifiers.types]\nPID-3 = "MRN"\nPID-19 = "SDDCN"\n[codes.lydo]\nA = "1"\n[codes.later]\n'
    found = doubts(compile_text("mine", f'extends = "_standard"\nversion = "1"\n{rules}{tables}'))
    assert sorted(one.split(";")[0] for one in found) == [
        "codes.lydo: no rule looks anything up in it",
        "identifiers.cards: no version of HL7 has IN1-98",
        "identifiers.lists: no version of HL7 has PID-88",
        "identifiers.types.PID-19: no number is read from there",
        "observation.ma_may: no version of HL7 has OBX-77",
        "order.services: no version of HL7 has OBR-98",
        "person.dien_thoai: no version of HL7 has PID-99",
    ]


def test_a_type_for_the_mothers_numbers_is_no_doubt_though_no_list_names_their_field() -> None:
    types = '[identifiers.types]\nPID-21 = "MRN"\nNK1-33 = "MRN"\n'
    assert doubts(compile_text("mine", f'extends = "_standard"\nversion = "1"\n{types}')) == []


@pytest.mark.parametrize(
    "rule",
    ['[result]\norderer = { from = "PV1-3.4", codes = "places" }', '[order]\nperformer = { from = "MSH-6", codes = "places" }'],
)
def test_a_table_of_receivers_that_names_no_facility_is_told(rule: str) -> None:
    mine = f'extends = "_standard"\nversion = "1"\n{rule}\n[codes.places]\nBVT = "01004"\nbvx = "01999"\nBVY = "01004 "\n'
    assert [one.split(": what")[0] for one in doubts(compile_text("mine", mine))] == [
        "codes.places.bvx: the directory has no facility 01999",
        "codes.places.BVY: the directory has no facility 01004 ",
    ]


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ('from = "PR1-3.2", as = "text"', ["xml13.pp_dieutri: PR1-3.2: this transform reads the whole field"]),
        (
            'from = ["PR1-4", "OBX[PP]-5.1.2"], as = "display"',
            ["xml13.pp_dieutri: OBX[PP]-5.1.2: this transform reads the whole field"],
        ),
        ('from = "PR1-3", as = "text"', []),
        ('from = "PR1-3.2"', []),
        ('from = "PR1-3.2", as = "joined"', []),
        ('from = "PR1-3.2", as = "facility_code"', []),
    ],
)
def test_a_component_beside_a_transform_of_the_whole_field_is_told(rule: str, told: list[str]) -> None:
    mine = f'extends = "_standard"\nversion = "1"\n[xml13]\npp_dieutri = {{ {rule} }}\n'
    assert [one.split(";")[0] for one in doubts(compile_text("mine", mine))] == told


def test_a_receiver_is_told_also_where_a_shorter_table_says_the_same() -> None:
    mine = (
        'extends = "_standard"\nversion = "1"\n[order]\nperformer = { from = "MSH-6", codes = "labs" }\n'
        '[result]\norderer = { from = "PV1-3.4", codes = "wards" }\n'
        '[codes.labs]\nX = "01004"\n[codes.wards]\nX = "01004"\nY = "01998"\n'
    )
    assert [one.split(": what")[0] for one in doubts(compile_text("mine", mine))] == [
        "codes.wards.Y: the directory has no facility 01998"
    ]


@pytest.mark.parametrize(
    ("place", "told"),
    [
        (
            "PDI-7",
            "person.ngay_sinh: PDI-7: HL7 has no segment PDI; did you mean PID-7? If it is one of the sender's own, all is well",
        ),
        ("QXX-1", "person.ngay_sinh: QXX-1: HL7 has no segment QXX; "),
        ("OH1-3", ""),  # of v2.9
        ("GSP-5", ""),
        ("ZBN-1", ""),
    ],
)
def test_a_segment_that_hl7_does_not_have_is_told_and_read_all_the_same(place: str, told: str) -> None:
    mine = compile_text("mine", f'extends = "_standard"\nversion = "1"\n[person]\nngay_sinh = "{place}"\n')
    assert any(rule.places[0].segment == place[:3] for rule in mine.plans["person"])
    found = doubts(mine)
    assert len(found) == bool(told) and "".join(found).startswith(told)


@pytest.mark.parametrize(
    ("aliases", "authority", "told"),
    [
        (("BVDKTV", "XNTV"), "BVDKTV", True),
        (("BVDKTV", "XNTV"), "", False),
        (("BVDKTV", "XNTV"), "01021", False),
        (("BVDKTV", "XNTV"), "LAB2", False),
        (("BVDKTV",), "BVDKTV", False),
        (("BVDKTV", "BVDKTV"), "BVDKTV", False),
    ],
)
def test_numbers_that_become_apart_by_a_second_name_of_their_facility_are_told(
    aliases: tuple[str, ...], authority: str, told: bool
) -> None:
    rows = ", ".join(f'{{ application = "A{n}", name = "{name}", code = "01021" }}' for n, name in enumerate(aliases))
    mine = compile_text("mine", f'extends = "_standard"\nversion = "1"\n[facility]\naliases = [{rows}]\n')
    sent = visit(f"EVN|A04\rPID|1||24001873^^^{authority}^MR||Lê^Hoa\rPV1|1|O|||||||||||||||||LK1\r", dialect=mine)
    found = doubts(mine, [sent])
    assert [one.split(" become")[0].rpartition("numbers ")[2] for one in found] == [
        "with one of them in CX-4 (BVDKTV × 1)"
    ] * told
    assert all(one.startswith("facility.aliases: 01021") and 'extends = "mine"' in one for one in found)
