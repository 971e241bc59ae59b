"""The shares of a line add up, whoever pays."""

from decimal import Decimal

import pytest

from hub import simulate


@pytest.mark.parametrize("price", ["333.335", "0.005", "99.995"])
@pytest.mark.parametrize("benefit", [80, 95, 100, 0])
def test_shares_always_add_up(price: str, benefit: int) -> None:
    line = simulate.drug_amounts(Decimal("3.333"), Decimal(price), Decimal(33), Decimal(benefit))
    assert line["thanh_tien_bv"] == line["t_bntt"] + line["t_bncct"] + line["t_bhtt"]


def test_sponsors_pay_first_what_the_patient_would() -> None:
    """Case a of adjudication.md §3: cost 10,000,000 at 50 %, sponsors 6,000,000, card 80 %."""
    paid = simulate.shares(Decimal(10_000_000), Decimal(5_000_000), Decimal(80), Decimal(6_000_000))
    assert paid == {"t_bntt": Decimal(0), "t_bncct": Decimal(0), "t_bhtt": Decimal(4_000_000)}
    paid = simulate.shares(Decimal(10_000_000), Decimal(5_000_000), Decimal(80), Decimal(3_000_000))
    assert paid == {"t_bntt": Decimal(2_000_000), "t_bncct": Decimal(1_000_000), "t_bhtt": Decimal(4_000_000)}
