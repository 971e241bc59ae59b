"""Synthetic claims have right money, are repeatable, and break exactly the rule that they are asked to break."""

from collections import Counter
from decimal import Decimal

import pytest

from hub import simulate
from hub.contract.claim_tables import tables
from hub.contract.events import content_hash, decode, encode, sparse
from tests.money import line_faults, total_faults


def test_money_of_every_claim_is_right() -> None:
    for claim in simulate.claims(7, 200):
        assert line_faults(claim) == []
        assert total_faults(claim) == []


def test_same_seed_gives_the_same_claims_and_another_seed_others() -> None:
    assert list(simulate.claims(1, 20)) == list(simulate.claims(1, 20))
    assert {claim["meta"]["key"] for claim in simulate.claims(1, 20)}.isdisjoint(
        claim["meta"]["key"] for claim in simulate.claims(2, 20)
    )


def test_every_claim_is_another_one_and_survives_avro() -> None:
    claims = list(simulate.claims(3, 300))
    assert len({claim["meta"]["event_id"] for claim in claims}) == 300
    for claim in claims[:20]:
        back = decode("hie.Claim", encode("hie.Claim", claim))
        assert sparse(back) | {"meta": 0} == sparse(claim) | {"meta": 0}
        assert content_hash(back) == claim["meta"]["content_hash"]


def test_content_is_sparse() -> None:
    for claim in simulate.claims(4, 50):
        content = {name: value for name, value in claim.items() if name != "meta"}
        assert sparse(content) == content


@pytest.mark.parametrize("rows", [5, 26, 100])
def test_rows_of_a_claim_have_the_asked_mean(rows: int) -> None:
    claims = list(simulate.claims(5, 300, rows))
    for table, mean in simulate.MEAN_ROWS.items():
        seen = sum(len(claim.get(table, ())) for claim in claims) / len(claims)
        assert abs(seen - mean * rows / 26) < 0.15


def test_rows_have_only_official_elements_and_nearly_all_of_them() -> None:
    used: dict[str, set[str]] = {}
    for claim in simulate.claims(6, 100):
        used.setdefault("XML1", set()).update(claim["xml1"])
        for table in ("xml2", "xml3", "xml4", "xml5"):
            for row in claim.get(table, ()):
                used.setdefault(table.upper(), set()).update(row)
    for table, names in used.items():
        official = {element.field for element in tables()[table].values()}
        assert names <= official
        assert len(names) >= 0.65 * len(official)


def test_faults_break_the_rule_they_are_named_after_and_no_other() -> None:
    seen: Counter[str] = Counter()
    for claim, rule in simulate.claims_with_faults(8, 400, 26, {"X04": 0.2, "X05": 0.1}):
        seen[rule] += 1
        assert bool(line_faults(claim)) is (rule == "X04")
        assert bool(total_faults(claim)) is (rule == "X05")
    assert seen["X04"] > seen["X05"] > 10


def test_an_unknown_fault_is_refused() -> None:
    with pytest.raises(ValueError, match="X99"):
        list(simulate.claims_with_faults(1, 1, 26, {"X99": 1.0}))


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


def test_messages_are_repeatable_and_each_has_its_own_control_id() -> None:
    for make in (simulate.results, simulate.referrals):
        messages = list(make(1, 30))
        assert messages == list(make(1, 30))
        assert len({message.split(b"|")[9] for message in messages}) == 30
        assert all(message.startswith(b"MSH|") and message.endswith(b"\r") for message in messages)


def test_a_result_has_the_asked_number_of_lines() -> None:
    assert next(simulate.results(1, 1)).count(b"\rOBX|") == 14
    assert next(simulate.results(1, 1, lines=60)).count(b"\rOBX|") == 60
