"""Whose an order or a result is must be said, unless it only stops or takes back what has a number."""

import pytest

from hub.contract.unnamed import is_unnamed_order, is_unnamed_result

NUMBERED = {"identifiers": [{"type": "MR", "normalised": "1"}]}


@pytest.mark.parametrize("person", [{}, {"ngay_sinh": "19800304", "gioi_tinh": "2"}, {"identifiers": [], "ho_ten": ""}])
def test_a_birthday_names_nobody(person):
    assert is_unnamed_order({"person": person, "action": "PLACED"})
    assert is_unnamed_result({"person": person, "placer": "P1", "status": "F"})


@pytest.mark.parametrize("person", [NUMBERED, {"ho_ten": "NGUYỄN THỊ LAN"}])
def test_a_number_or_a_name_is_enough(person):
    assert not is_unnamed_order({"person": person, "action": "PLACED"})
    assert not is_unnamed_result({"person": person})


@pytest.mark.parametrize(
    ("action", "unnamed"),
    [("PLACED", True), ("CHANGED", True), ("HELD", False), ("CANCELLED", False), ("REFUSED", False), ("COMPLETED", False)],
)
def test_what_stops_an_order_needs_no_person(action, unnamed):
    assert is_unnamed_order({"person": {}, "action": action}) is unnamed


@pytest.mark.parametrize("number", ["placer", "filler"])
def test_a_withdrawal_needs_a_number_and_no_person(number):
    assert not is_unnamed_result({"person": {}, "status": "X", number: "P1"})
    assert is_unnamed_result({"person": {}, "status": "X"})
