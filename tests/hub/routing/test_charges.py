"""Charges: which lines stand after corrections and credits."""

from decimal import Decimal

import pytest

from hub.routing.charges import standing_lines


def line(line_id="L1", quantity="4", **more):
    return {"line_id": line_id, "kind": "CHARGE", "so_luong": Decimal(quantity), "thanh_tien_bv": Decimal(quantity) * 100} | more


def credit(of, quantity="4", line_id="L9", **more):
    return line(line_id, f"-{quantity}", kind="CREDIT", cancels=of, **more)


def left(*charges):
    """line_id and quantity of what stands, for charges given as lists of lines, oldest first."""
    return [(one["line_id"], one["so_luong"]) for one in standing_lines({"lines": lines} for lines in charges)]


@pytest.mark.parametrize(
    ("charges", "expected"),
    [
        ([[line()]], [("L1", 4)]),
        ([[line()], [line(quantity="3")]], [("L1", 3)]),
        ([[line()], [credit("L1")]], []),
        ([[line()], [credit("L1"), line("L2", "2")]], [("L2", 2)]),
        ([[credit("L1"), line()]], []),
        ([[line()], [credit("L1", "1")]], [("L1", 3)]),
        ([[line()], [credit("L1", "1")], [credit("L1", "3", "L8")]], []),
        ([[line()], [credit("L1")], [line()]], [("L1", 4)]),
        ([[line()], [credit("L7")]], [("L1", 4)]),
        ([[line()], [line(quantity="-4", kind="CREDIT")]], []),
        ([[line("L3", "1", kind="CREDIT")]], [("L3", -1)]),
        ([[line("L3", "1", kind="CREDIT")], [line("L3", "2", kind="CREDIT")]], [("L3", -2)]),
        ([[line(), line("P1", kind="PAYMENT")]], [("L1", 4)]),
        ([[line()], [line(kind="PAYMENT")], [line(kind="ADJUSTMENT")]], [("L1", 4)]),
        ([[line(kind="PAYMENT")], [line(kind="CREDIT")]], []),
        ([[line(), line("L2", "2")], [credit("L2", "2", "L1")]], [("L1", 4)]),
        ([[line(), line("L2", "2")], [credit("L2", "2", "L3")], [line("L3", "1")]], [("L1", 4), ("L3", 1)]),
    ],
    ids=[
        "a charge",
        "said again",
        "taken back",
        "taken back and replaced",
        "in one message, whatever its order",
        "taken back in part",
        "taken back bit by bit",
        "charged again after the credit",
        "a credit of what never came",
        "a credit under the same line",
        "a credit of nothing",
        "a credit of nothing, said again",
        "a payment",
        "a payment and an adjustment under its number",
        "a payment taken back under its number",
        "a credit of a line under the number of another",
        "a charge under the number of a credit",
    ],
)
def test_what_is_left_of_charges(charges, expected):
    assert left(*charges) == expected


def test_a_credit_beside_a_charge_of_another_item_under_its_number_is_of_the_one_before():
    one, other = line(code={"code": "A"}), line(quantity="2", code={"code": "B"})
    for lines in ([credit("L1"), other], [other, credit("L1")], [credit("L1", code={"code": "A"}), other]):
        assert left([one], lines) == [("L1", 2)]
    assert left([credit("L1", code={"code": "A"}), other]) == [("L1", 2)]  # one that never came
    assert left([one], [credit("L1"), line()]) == []
    assert left([one], [credit("L1", "2", code={"code": "B"}), other]) == [], "and one of the new item is of that"


def test_what_is_reversed_and_charged_anew_in_one_message_stands_as_it_was_charged_then():
    for lines in ([credit("L1"), line(quantity="3")], [line(quantity="3"), credit("L1")]):
        assert left([line()], lines) == [("L1", 3)]
    assert left([line()], [line(quantity="3"), credit("L1", "3")]) == []  # of what it says in the same message
    whole, dearer = credit("L1") | {"so_luong": None, "thanh_tien_bv": None}, line() | {"thanh_tien_bv": Decimal(999)}
    assert left([line()], [whole, line(quantity="3")]) == [("L1", 3)]
    assert left([line()], [credit("L1"), dearer]) == [("L1", 4)]
    assert left([line()], [credit("L1", "1", thanh_tien_bv=None), dearer]) == [("L1", 3)]


def test_a_credit_that_is_corrected_takes_back_the_line_that_it_names_now_and_no_other():
    assert left([line(), line("L2", "2")], [credit("L1")], [credit("L2", "2")]) == [("L1", 4)]
    assert left([line(), line("L2", "2")], [credit("L1")], [credit("L1", "1")]) == [("L1", 3), ("L2", 2)]


def test_credits_of_one_message_or_without_numbers_are_no_corrections_of_each_other():
    charged = [line(), line("L2", "2")]
    assert left(charged, [credit("L1"), credit("L2", "2")]) == []  # both L9
    deed = {"line_id": "", "code": {"code": "A"}, "ngay_th_yl": "20261123"}
    assert left(charged, [credit("L1") | deed], [credit("L2", "2") | deed]) == []


def test_what_a_credit_leaves_is_worth_the_rest():
    [rest] = standing_lines([{"lines": [line(t_nguonkhac_cl=Decimal(50))]}, {"lines": [credit("L1", "1")]}])
    assert (rest["thanh_tien_bv"], rest["t_nguonkhac_cl"]) == (300, 50)
    [rest] = standing_lines([{"lines": [line()]}, {"lines": [credit("L1", "1", thanh_tien_bv=None)]}])
    assert rest["thanh_tien_bv"] is None  # and so computed by its price


def test_a_credit_without_a_quantity_takes_the_whole_line():
    assert left([line()], [credit("L1", so_luong=None)]) == []


def test_lines_without_an_id_are_known_by_deed_and_time():
    nameless = line("", code={"code": "40.1"}, ngay_th_yl="202611230800")
    assert len(left([nameless, nameless])) == 2  # twice in one message are two
    assert len(left([nameless], [nameless])) == 1  # said again is one


@pytest.mark.parametrize(
    "named",
    [{"ma_thuoc": "40.1"}, {"code": {"display": "Truyền dịch"}}, {"ten_dich_vu": "Siêu âm"}, {"placer": "CD-1"}, {}],
    ids=["by its drug", "by what the code shows", "by the name of the service", "by its order", "by its amounts alone"],
)
def test_lines_without_an_id_and_a_code_are_not_mixed_up(named):
    one, other = line("", "1", **named), line("", "2", ma_vat_tu="N03")
    assert len(left([one], [other])) == 2
    assert len(left([one], [other], [one])) == 2  # said again is one


def test_lines_that_say_neither_when_nor_for_which_order_are_one_only_when_nothing_tells_them_apart():
    nameless = line("", "1", code={"code": "40.1"})
    assert len(left([nameless], [line("", "2", code={"code": "40.1"})])) == 2
    assert len(left([nameless], [nameless])) == 1
