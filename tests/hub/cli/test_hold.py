"""`hie hold`: days that nothing is deleted of, with the reason in the audit topic."""

import json
from datetime import date

import pytest
from typer.testing import CliRunner

from hub.bus import Wire, apply_topics
from hub.cli.main import app
from hub.contract.errors import HubError
from hub.store.database import connect
from hub.store.holds import held_periods, is_held
from tests.own_database import own_database


@pytest.fixture
def url(stack, monkeypatch):
    apply_topics(stack.kafka_bootstrap, Wire(stack.registry_url))
    with own_database(stack.database_url) as made:
        named = {"KAFKA_BOOTSTRAP": stack.kafka_bootstrap, "REGISTRY_URL": stack.registry_url, "DATABASE_URL": made}
        for name, value in {**named, "KEY_SECRET": "a secret of tests only"}.items():
            monkeypatch.setenv(f"HIE_{name}", value)
        yield made


def hie(*arguments):
    done = CliRunner().invoke(app, ["hold", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_days_are_held_until_it_is_ended(url):
    hie("add", "tand-1", "--from", "2026-01-01", "--to", "2026-06-30", "--reason", "request of the court")
    hie("add", "tand-2", "--from", "2027-01-01", "--reason", "until further notice")
    periods = held_periods(url)
    days = [date(2025, 12, 31), date(2026, 1, 1), date(2026, 6, 30), date(2026, 7, 1), date(2040, 1, 1)]
    assert [is_held(day, periods) for day in days] == [False, True, True, False, True]
    hie("end", "tand-2", "--reason", "the case is closed")
    assert [is_held(day, held_periods(url)) for day in days] == [False, True, True, False, False]
    rows = json.loads(hie("list", "--json"))
    assert [(row["name"], row["last_day"], row["ended_at"] is None) for row in rows] == [
        ("tand-1", "2026-06-30", True),
        ("tand-2", None, False),
    ]
    assert "request of the court" in hie("list")
    with connect(url) as database:
        assert database.execute("select count(*) from audit_noted").fetchone() == (0,)  # all told


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        (("add", "Nguyen Van A", "--from", "2026-01-01"), "NAME"),
        (("add", "tand-3", "--from", "2026-01-02", "--to", "2026-01-01"), "--to"),
        (("add", "tand-4", "--from", "2026-01-01"), "NAME"),  # was one already
        (("end", "tand-5"), "NAME"),
    ],
)
def test_what_is_no_hold_changes_nothing(url, arguments, wrong):
    hie("add", "tand-4", "--from", "2020-01-01", "--reason", "r")
    before = held_periods(url)
    with pytest.raises(HubError) as refused:
        CliRunner().invoke(app, ["hold", *arguments, "--reason", "r"], catch_exceptions=False)
    assert refused.value.where.startswith(wrong) and held_periods(url) == before


def test_a_change_without_a_reason_is_none(url):
    with pytest.raises(HubError, match="reason"):
        CliRunner().invoke(app, ["hold", "add", "tand-6", "--from", "2026-01-01", "--reason", " "], catch_exceptions=False)
    assert held_periods(url) == []
