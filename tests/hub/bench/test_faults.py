"""Claims with known faults: all are found, nothing else is, and the money is that of the second calculation."""

from hub.bench import faults
from hub.bench.faults import batch, check, main
from hub.bench.row_cuts import granted
from hub.insurer.rules import RULES
from hub.simulate import SENT_AGAIN, Simulated, nation


def test_a_few_thousand_claims_of_the_nation_hold_what_was_put_into_them():
    tally = batch(11, 3_000)
    assert tally.odd == []
    assert tally.good
    assert len(tally.faults) > 40
    assert tally.granted > tally.cut > 0


def test_every_rule_that_needs_catalogues_finds_its_faults_and_cuts_to_the_dong():
    rules = {rule.id for rule in RULES if rule.id.startswith("C")}
    tally = check(list(nation(14, 400, dict.fromkeys(sorted(rules), 0.9 / len(rules)))))
    assert tally.odd == []
    assert tally.good
    assert set(tally.faults) == rules
    assert tally.cut > 0


def test_what_is_missed_uncaused_or_off_is_told():
    made = list(nation(12, 300, {"X02 xml3.ngay_yl outside": 0.5}))
    right = next(one for one in made if not one.fault)
    wrong = next(one for one in made if one.fault and next(iter(one.expected)).rule == "X02")
    tally = check([Simulated(right.event, "", frozenset({SENT_AGAIN})), Simulated(wrong.event, "", frozenset())])
    assert not tally.good
    assert (tally.missed["T06"], tally.uncaused["X02"]) == (0 if right.expected else 1, 1)
    assert len(tally.odd) == (1 if right.expected else 2)


def test_money_that_is_not_that_of_the_second_calculation_is_told_to_the_dong(monkeypatch):
    monkeypatch.setattr(faults, "granted", lambda *given: granted(*given) + 1)
    tally = batch(13, 200)
    assert not tally.good
    assert tally.off == 200
    assert "off 1" in tally.odd[0]


def test_the_command_prints_one_line(capsys):
    assert main(["--claims", "200", "--workers", "1"]) == 0
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert '"claims": 200' in said
