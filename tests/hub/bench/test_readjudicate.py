"""A month adjudicated again over real Kafka: money before, difference and money after agree, or it is said."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from hub.bench import readjudicate
from hub.bench.readjudicate import Known, Paid, amiss, main, payable
from hub.contract.settings import Settings
from hub.insurer.history import close
from hub.insurer.statement import Form, Sheet, Statement
from tests.hub.insurer.histories import service, visit, write

TITLE = ("", "")


def paid(granted, adjusted=0, facility="01004"):
    sheet = Sheet(TITLE, (), [("granted", Decimal(granted), Decimal(granted))])
    adjustments = Sheet(TITLE, (), [("R01", TITLE, 1, Decimal(adjusted))] if adjusted else [])
    forms = [Form("79a", 1, [sheet]), Form("80a", 0, [])]
    said = Statement(facility, "", "", "2026-11", forms, adjustments, Sheet(TITLE, (), []), Decimal(granted), Decimal(adjusted))
    return Paid({facility: Decimal(granted - adjusted)}, said)


def found(before, after, changed=1):
    one = {"facility": "01004", "before": Decimal(before), "after": Decimal(after)}
    return {"before": Decimal(before), "changed": changed, "facilities": [one]}


KNOWN = Known({"01004": Decimal(100)}, {"01004": Decimal(140)}, 1)


def test_a_statement_comes_to_what_was_granted_less_the_adjustments():
    assert payable(paid(100, -40).statement) == 140


def test_money_and_statement_agree_on_a_month_with_corrections_that_came_late(tmp_path):
    write(tmp_path, [visit("A"), visit("B", minutes=1), visit("C", minutes=2, so_cccd="001085000003")])
    month = date(2026, 11, 1)
    close(tmp_path, month, datetime(2026, 12, 3, tzinfo=UTC))  # A and B state one service: B is cut
    write(tmp_path, [visit("C", minutes=2, version=1, so_cccd="001085000003", services=(service(1), service(2)))], first=3)
    assert set(close(tmp_path, month, datetime(2026, 12, 4, tzinfo=UTC)).get_column("rule")) >= {"S01"}
    write(tmp_path, [visit("B", minutes=1, version=1, action="CANCELLED")], first=4)
    said = readjudicate.paid(Settings(ledger_dir=tmp_path), "01004")
    assert said.money == {"01004": payable(said.statement)} == {"01004": said.statement.granted - said.statement.adjusted}


def test_nothing_is_amiss_when_before_and_difference_are_after():
    assert amiss(KNOWN, found(100, 140), paid(100), paid(100, -40)) == []


@pytest.mark.parametrize(
    ("said", "known", "compared", "before", "after"),
    [
        ("before and difference are not after", KNOWN, found(100, 141), paid(100), paid(100, -40)),
        ("another money before", KNOWN, found(99, 139), paid(100), paid(100, -40)),
        ("before is not that of the second", Known({}, KNOWN.after, 1), found(100, 140), paid(100), paid(100, -40)),
        ("after is not that of the second", Known(KNOWN.before, {}, 1), found(100, 140), paid(100), paid(100, -40)),
        ("1 claims had to change", KNOWN, found(100, 140, changed=2), paid(100), paid(100, -40)),
        ("statement before says", KNOWN, found(100, 140), Paid(paid(100).money, paid(99).statement), paid(100, -40)),
        ("statement after says", KNOWN, found(100, 140), paid(100), Paid(paid(100, -40).money, paid(100).statement)),
    ],
)
def test_each_disagreement_is_said_in_words(said, known, compared, before, after):
    (words,) = amiss(known, compared, before, after)
    assert said in words


def test_a_rule_that_cuts_cannot_be_left_out(capsys):
    with pytest.raises(SystemExit):
        main(["--without", "X02"])
    assert "X02" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_every_dong_of_a_month_is_accounted_for(capsys, workers):
    assert main(["--claims", "600", "--workers", workers]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures["changed"] > 0
    assert Decimal(figures["after"]) > Decimal(figures["before"]) > 0
    assert all(step["seconds"] > 0 and step["peak_mb"] > 0 for step in figures["steps"].values())
