"""An insurer's commands over a ledger that is there; no server is asked."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest
from typer.testing import CliRunner

from hub.cli import settling as module
from hub.cli.main import app
from hub.contract.errors import HubError
from hub.insurer import branches
from hub.insurer.history import close
from hub.insurer.ledger import Ledger
from tests.hub.insurer.histories import TOPIC, service, visit, write
from tests.hub.insurer.test_branches import made
from tests.hub.insurer.test_history import THEN
from tests.hub.insurer.test_ledger import batch


@pytest.fixture
def hie(tmp_path, monkeypatch):
    monkeypatch.setenv("HIE_LEDGER_DIR", str(tmp_path / "ledger"))
    monkeypatch.setattr(module, "now", lambda: THEN)
    write(tmp_path / "ledger", [visit("A"), visit("B", minutes=1)])

    def run(*words):
        result = CliRunner().invoke(app, ["ledger", *words], catch_exceptions=False)
        assert result.exit_code == 0
        return result.stdout

    return run


def test_closing_says_what_is_new_by_rule_and_nothing_the_second_time(hie):
    assert hie("close", "2026-11").split() == ["rule", "rows", "taken", "back", "VND", "H03", "1", "0", "8,000.00"]
    assert hie("close", "2026-11") == "2026-11: nothing new\n"
    assert json.loads(hie("close", "2026-11", "--json")) == {"month": "2026-11", "rules": [], "close_again": []}


def test_months_closed_before_an_earlier_one_changed_are_to_be_closed_again(hie, tmp_path):
    hie("close", "2026-11")
    lines = [service(ngay_yl="202610100800")]
    october = [visit(key, services=lines, ngay_vao="202610100800", ngay_ra="202610101000", minutes=2) for key in "CD"]
    write(tmp_path / "ledger", october, first=2)
    assert "close them again, in this order: 2026-11" in hie("close", "2026-10")


def test_the_months_to_be_closed_again_are_told_by_the_next_run_where_one_was_killed_before_it_told_them(hie, tmp_path):
    hie("close", "2026-11")
    lines = [service(ngay_yl="202610100800")]
    october = [visit(key, services=lines, ngay_vao="202610100800", ngay_ra="202610101000", minutes=2) for key in "CD"]
    write(tmp_path / "ledger", october, first=2)
    assert close(tmp_path / "ledger", date(2026, 10, 1), THEN).height
    said = hie("close", "2026-10")
    assert said.startswith("2026-10: nothing new") and "close them again, in this order: 2026-11" in said
    assert json.loads(hie("close", "2026-10", "--json")) == {"month": "2026-10", "rules": [], "close_again": ["2026-11"]}
    assert json.loads(hie("close", "2026-11", "--json"))["close_again"] == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["2026-12"], "MONTH_OPEN"),
        (["November"], "REQUEST_WRONG"),
        (["2026-11", "--payer", "nobody"], "NOT_FOUND"),
        (["2026-11", "--payer", "test"], "NOT_FOUND"),
    ],
    ids=["a month that is not over", "no month", "no payer", "no ledger yet"],
)
def test_it_refuses(hie, words, code):
    with pytest.raises(HubError, match=code):
        hie("close", *words)


@pytest.mark.parametrize("what", ["promote", "drop"])
def test_promoting_and_dropping_are_in_the_audit_before_anything_changes(hie, tmp_path, monkeypatch, what):
    audited = []
    monkeypatch.setattr(module, "connected", lambda settings: settings)

    def audit(_settings, *told):
        audited.append(told)
        raise HubError("BROKER_UNAVAILABLE", "audit")

    monkeypatch.setattr(module, "audit_before", audit)
    write_branch(tmp_path / "ledger")
    before = [branches.read_branch(tmp_path / "ledger", "lenient")]
    with pytest.raises(HubError, match="BROKER_UNAVAILABLE"):
        hie(what, "lenient", "--reason", "circular 12")
    assert audited == [(f"ledger-{what}", "ledger/lenient", "circular 12")]
    assert branches.branches(tmp_path / "ledger") == before
    assert not (tmp_path / "ledger" / "adjustments").exists()


@pytest.fixture
def promoting(hie, tmp_path, monkeypatch):
    """Promote the branch; what it changes in the verdicts is made up."""
    monkeypatch.setattr(module, "connected", lambda settings: settings)
    monkeypatch.setattr(module, "audit_before", lambda *_: None)
    write_branch(tmp_path / "ledger")
    told = {
        "claims": 2478,
        "changed": 23,
        "same_amount": 2,
        "replaced": 0,
        "before": 0,
        "after": 5,
        "rules": [],
        "facilities": [],
        "undoes": [],
    }
    told["branch"] = {"period": "2026-11"}
    monkeypatch.setattr(branches, "compare", lambda *_: told)
    rows = pl.DataFrame({"reduction": [Decimal(-3), Decimal(-2)]})
    monkeypatch.setattr(branches, "promote", lambda *_: rows)
    return lambda *words: " ".join(hie(*words).split())


def test_what_a_promotion_takes_is_said_as_less_to_be_paid(promoting, monkeypatch):
    monkeypatch.setattr(branches, "promote", lambda *_: pl.DataFrame({"reduction": [Decimal(46_095), Decimal(-95)]}))
    assert promoting("promote", "strict", "--reason", "circular 12").startswith("2 adjustments, 46,000.00 VND less to be paid; ")


def test_claims_that_change_without_money_are_said_so_that_the_counts_agree(promoting):
    alone = "23 of 2478 claims change (2 of them in the verdict alone, without money): to be paid 0.00 → 5.00 VND"
    assert promoting("compare", "lenient") == alone
    told = promoting("promote", "lenient", "--reason", "circular 12")
    assert told == ("2 adjustments, 5.00 VND more to be paid; 23 claims change (2 of them in the verdict alone, without money)")


def test_what_was_corrected_since_is_said(promoting, monkeypatch):
    told = branches.compare(None, "lenient") | {"replaced": 3}
    monkeypatch.setattr(branches, "compare", lambda *_: told)
    assert promoting("compare", "lenient").endswith("5.00 VND; 3 corrected or withdrawn since are left alone")
    assert "3 corrected or withdrawn since are left alone" in promoting("promote", "lenient", "--reason", "circular 12")


def test_what_a_branch_puts_back_of_an_earlier_promotion_is_named_by_comparing_and_by_promoting(promoting, monkeypatch):
    back = {"name": "no-x17", "changes": "without X17; no catalogues", "claims": 1, "before": 80055, "after": 0}
    found = branches.compare(None, "lenient") | {"undoes": [back]}
    monkeypatch.setattr(branches, "compare", lambda *_: found)
    for words in (["compare", "lenient"], ["promote", "lenient", "--reason", "circular 12"]):
        said = promoting(*words)
        assert "Changes again what no-x17 (without X17; no catalogues) had changed of 1 claims: 80,055.00 → 0.00 VND" in said
        assert "A branch does not build on those promoted before it" in said


def test_promoting_says_what_comparing_said(hie, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "connected", lambda settings: settings)
    monkeypatch.setattr(module, "audit_before", lambda *_: None)
    events = [visit(key, so_cccd=f"00108500000{number}", nam_qt=2025) for number, key in enumerate("PQ")]
    Ledger(tmp_path / "two", TOPIC).append(batch(events, [(0, 0), (0, 1)], TOPIC), {0: 2})
    monkeypatch.setenv("HIE_LEDGER_DIR", str(tmp_path / "two"))
    made(tmp_path / "two", events=events, without=["F06", "X11"])
    assert "2 of 2 claims change: to be paid 0.00 → 16,000.00 VND" in hie("compare", "lenient")
    told = "adjustments, 16,000.00 VND more to be paid; 2 claims change"
    assert f"2 {told}" in hie("promote", "lenient", "--reason", "circular 12")
    assert "0 adjustments, 0.00 VND more to be paid; 0 claims change" in hie("promote", "lenient", "--reason", "again")


@pytest.mark.parametrize("killed", [False, True])
def test_promoting_names_the_months_to_be_closed_again_until_they_are(hie, tmp_path, monkeypatch, killed):
    monkeypatch.setattr(module, "connected", lambda settings: settings)
    monkeypatch.setattr(module, "audit_before", lambda *_: None)
    monkeypatch.setenv("HIE_LEDGER_DIR", str(tmp_path / "two"))
    events = [visit("P", nam_qt=2025), visit("Q", minutes=1, nam_qt=2025)]  # the same service of one person, both rejected
    Ledger(tmp_path / "two", TOPIC).append(batch(events, [(0, 0), (0, 1)], TOPIC), {0: 2})
    assert hie("close", "2026-11") == "2026-11: nothing new\n"
    monkeypatch.setattr(module, "now", lambda: THEN + timedelta(days=1))
    made(tmp_path / "two", events=events, without=["F06", "X11"])
    if killed:
        branches.promote(tmp_path / "two", "lenient", THEN + timedelta(hours=1))
    told = "looked at what was in force before; close again, in this order: 2026-11"
    promote = ("promote", "lenient", "--reason", "circular 12")
    assert told in " ".join(hie(*promote).split())
    assert "H03" in hie("close", "2026-11")
    assert told not in " ".join(hie(*promote).split())


def test_a_narrow_window_cuts_no_amount_off(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "60")
    money = {f"{kind}_{side}": Decimal("123456789012.00") for kind in ("cut", "refused") for side in ("before", "after")}
    severity, findings = {"severity_before": "E", "severity_after": "W"}, {"findings_before": 3, "findings_after": 3}
    module.print_whole(module._rules([{"rule": "X05", **severity, **findings, **money}]))
    told = capsys.readouterr().out
    assert "E → W" in told and told.count("123,456,789,012.00") == 4


def test_promoting_in_a_month_that_is_not_over_says_for_what_it_counts(promoting, monkeypatch):
    monkeypatch.setattr(module, "now", lambda: datetime(2026, 11, 29, tzinfo=UTC))
    assert "2026-11 is not over: what comes after this is decided" in promoting("promote", "lenient", "--reason", "circular 12")


def write_branch(ledger):
    branches._write(ledger / "branches" / "lenient", branches.Branch("lenient", "2026-11", "without F06", 2, THEN.isoformat()))
