"""Charges under a number that another item had."""

import pytest

from hub.contract.charge_lines import replaced


def line(code="", kind="CHARGE", line_id="1", **more):
    return {"line_id": line_id, "kind": kind, "code": {"code": code}} | more


@pytest.mark.parametrize(
    ("charges", "expected"),
    [
        ([[line("A")], [line("B")]], [(1, 0)]),
        ([[line("A")], [line("A")]], []),
        ([[line("A"), line("B")]], [(0, 1)]),
        ([[line("A")], [line("B", line_id="")]], []),
        ([[line("A")], [line(code="B") | {"code": {"code": "B", "alt_code": "A"}}]], []),
        ([[line("A")], [line("B"), line("A", kind="CREDIT", line_id="9", cancels="1")]], []),
        ([[line("A")], [line("A", kind="CREDIT")], [line("B")]], []),
        ([[line("A")], [line("A", kind="CREDIT", line_id="9", cancels="8")], [line("B")]], [(2, 0)]),
        ([[line("A", kind="PAYMENT")], [line("B")]], []),
        ([[line(ma_vat_tu="N1", ma_dich_vu="X")], [line(ma_dich_vu="X")]], [(1, 0)]),
        ([[line("A")], [line()]], []),
        ([[line("A"), line("B", line_id="2")], [line("P", kind="PAYMENT"), line("Q", kind="ADJUSTMENT", line_id="2")]], []),
        ([[line("A"), line("B", line_id="2")], [line("B", kind="CREDIT", cancels="2")]], []),
        ([[line("A")], [line("P", kind="PAYMENT")], [line("B")]], [(2, 0)]),
        ([[line("A")], [line("B", kind="CREDIT")]], [(1, 0)]),
        ([[line("A")], [line("B", kind="CREDIT", line_id="9", cancels="1")]], [(1, 0)]),
        ([[line("A", kind="CREDIT", line_id="9", cancels="1"), line("B")]], []),
        ([[line("A", so_luong=3)], [line("A", "CREDIT", "9", cancels="1", so_luong=-1)], [line("B")]], [(2, 0)]),
        ([[line("A", so_luong=3)], [line("A", "CREDIT", "9", cancels="1", so_luong=-3)], [line("B")]], []),
        ([[line("A", so_luong=3)], [line("B"), line("A", "CREDIT", "9", cancels="1", so_luong=-1)]], [(1, 0)]),
        ([[line("A"), line("B", line_id="2")], [line("A", "CREDIT", "9", cancels="1")], [line("B", "CREDIT", "9", cancels="2")]], [(2, 0)]),
        ([[line("A"), line("A", line_id="2")], [line("A", "CREDIT", "9", cancels="1")], [line("A", "CREDIT", "9", cancels="2")]], []),
    ],
    ids=[
        "another item", "the same", "in one message", "without a number", "a code in common", "a credit beside it", "a credit under it",
        "a credit of another line", "no charge before", "a supply and its service", "nothing said of it",
        "no charges", "a credit of a line under the number of another", "a payment in between", "a credit of another item under it",
        "a credit of another item", "a credit of what never came", "a credit of a part", "a credit of all", "a credit of a part beside it",
        "a credit that comes again of another item", "a credit that comes again of another line",
    ],
)  # fmt: skip
def test_a_line_of_another_item_under_a_number_that_was_there(charges, expected):
    assert list(replaced({"lines": lines} for lines in charges)) == expected
