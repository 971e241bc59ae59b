"""Every fault is found by its rule and by no other, and every rule has a fault."""

from collections import Counter
from typing import Any

import pytest

from hub import simulate
from hub.insurer.catalogues import Catalogues, read_catalogues
from hub.insurer.rules import RULES
from hub.simulate.claim import in_month
from tests.hub.insurer.made import findings_of

NOT_OF_ONE_CLAIM = {
    "T05": "found while reading: the same event twice (tests of the consumer)",
    "T06": "a claim that is sent again (`nation`)",
}


@pytest.fixture(scope="module")
def made() -> list[simulate.Simulated]:
    """A claim for each fault."""
    return [next(simulate.claims_with_faults(1 + place, 1, 26, {name: 1.0})) for place, name in enumerate(simulate.FAULTS)]


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Catalogues:
    folder = tmp_path_factory.mktemp("catalogues")
    simulate.write_catalogues(folder)
    return read_catalogues(folder)


@pytest.fixture(scope="module")
def found(made: list[simulate.Simulated], listed: Catalogues) -> list[dict[str, Any]]:
    return findings_of(*(one.event for one in made), against=listed).to_dicts()


def test_a_fault_gives_its_findings_and_none_besides(made: list[simulate.Simulated], found: list[dict[str, Any]]) -> None:
    told: dict[int, set[simulate.Expected]] = {row: set() for row in range(len(made))}
    for one in found:
        told[one["row"]].add(simulate.Expected(*(one[name] for name in simulate.Expected._fields)))
    wrong = {name: (one.expected - told[row], told[row] - one.expected) for row, (name, one) in enumerate(zip(simulate.FAULTS, made, strict=True)) if told[row] != one.expected}  # fmt: skip
    assert wrong == {}


@pytest.mark.parametrize("month", [7, 10, 12])
def test_in_another_month_the_same_is_found_and_a_right_claim_is_right(
    made: list[simulate.Simulated], listed: Catalogues, month: int
) -> None:
    right = [one.event for one in simulate.nation(5, 150) if not one.expected]
    moved = [in_month(event, month) for event in (*right, *(one.event for one in made))]
    found = findings_of(*moved, against=listed).to_dicts()
    assert {event["xml1"]["ngay_ra"][:6] for event in moved[: len(right)]} == {f"2026{month:02d}"}
    told: dict[int, set[simulate.Expected]] = {row: set() for row in range(len(moved))}
    for one in found:
        told[one["row"]].add(simulate.Expected(*(one[name] for name in simulate.Expected._fields)))
    expected = [frozenset()] * len(right) + [one.expected for one in made]
    wrong = {row: (expected[row] - told[row], told[row] - expected[row]) for row in told if told[row] != expected[row]}
    assert wrong == {}


def test_every_rule_has_a_fault(found: list[dict[str, Any]]) -> None:
    fired = {(one["rule"], one["severity"], one["table"], one["field"], one["text_en"]) for one in found}
    seen = Counter((rule, severity, field, text) for rule, severity, _, field, text in fired)
    rules = Counter((rule.id, rule.severity, rule.field, rule.en) for rule in RULES if rule.id not in NOT_OF_ONE_CLAIM)
    assert rules - seen == Counter()


def test_faults_come_at_their_rates() -> None:
    seen = Counter(made.fault for made in simulate.claims_with_faults(8, 600, 26, {"X04 xml2.t_bhtt off": 0.2, "F06": 0.1}))
    assert 80 < seen["X04 xml2.t_bhtt off"] < 160
    assert 30 < seen["F06 xml1.nam_qt year"] < 90
    assert seen[""] > 300


def test_an_unknown_fault_is_refused() -> None:
    with pytest.raises(ValueError, match="X99"):
        list(simulate.claims_with_faults(1, 1, 26, {"X99": 1.0}))


def test_a_fault_that_no_claim_can_have_is_refused() -> None:
    with pytest.raises(ValueError, match="no claim has such a row"):
        list(simulate.claims_with_faults(1, 1, 0, {"X04 xml2.t_bhtt off": 1.0}))


def test_a_claim_that_can_carry_the_rarest_fault_is_found_where_one_in_750_can() -> None:
    rare = "X12 xml3.ngay_th_yl overlapping"
    assert sum(made.fault == rare for made in simulate.nation(1_000_306, 8, {rare: 1.0})) == 8
