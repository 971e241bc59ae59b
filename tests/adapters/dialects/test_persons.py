"""The numbers of a person: which fields of PID they are taken from, and how often. The golden messages show the rest."""

import pytest

from tests.adapters.dialects.said import PV1, mapped, only, told


@pytest.mark.parametrize(
    ("external", "internal", "numbers", "noticed"),
    [
        ("H77^^^^PI", "N1^^^^MR", [("N1", "MRN"), ("H77", "MRN")], set()),
        ("001190012345^^^BCA^NI", "N1^^^^MR", [("N1", "MRN"), ("001190012345", "SDDCN")], set()),
        ("H77", "N1^^^^MR", [("N1", "MRN"), ("H77", "MRN")], {("IDENTIFIER_INFERRED", "PID-2")}),
        ("N1", "N1^^^^MR", [("N1", "MRN")], set()),
        ("001190012345", "001190012345^^^BCA^NI", [("001190012345", "SDDCN")], set()),
        ("H77^^^^MR", "", [("H77", "MRN")], set()),
    ],
    ids=["another number", "of another kind", "without a type", "the same again", "the same, its type told once", "alone"],
)
def test_the_old_place_of_the_number_is_read_beside_the_new_one(external, internal, numbers, noticed):
    found = mapped("ADT^A04", f"PID|1|{external}|{internal}||Phạm^Hà^Thị||19850612|F", PV1)
    assert [(one["value"], one["type"]) for one in only(found)["person"]["identifiers"]] == numbers
    assert told(found) == noticed
