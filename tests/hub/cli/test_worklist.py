"""What a rule holds is told by rule, each in words of both languages, and to programs as a list."""

import json
from contextlib import nullcontext
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from hub.cli import worklist
from hub.journal import views
from hub.journal.views import Held

AT = datetime(2026, 11, 23, 1, 5, tzinfo=UTC)
ROWS = [
    Held("01021", "hie.Referral", "e-1", "nobody-held-sensitive", AT),
    Held("01940", "hie.LabResult", "e-2", "nobody-unnamed", AT),
    Held("01021", "hie.FollowUp", "e-3", "nobody-held-sensitive", AT),
]


@pytest.fixture
def said(monkeypatch):
    """The command, with an index that holds these rows."""
    monkeypatch.setattr(worklist, "connected", lambda settings: settings)
    monkeypatch.setattr(worklist, "connect", lambda _url: nullcontext())
    monkeypatch.setattr(views, "held", lambda _database, _facility, most: (3, ROWS[:most]))
    return lambda *words: CliRunner().invoke(worklist.worklist_app, ["held", *words]).stdout


def test_slips_that_are_protected_and_what_is_of_nobody_are_told_apart(said):
    told = " ".join(said().split())
    protected, _, unnamed = told.partition("LabResult of 01940 since 23/11/2026 08:05 hie trace e-2")
    assert told.startswith("3 held by rule")
    assert "Thông tin được bảo vệ" in protected and "hie trace e-1" in protected and "hie trace e-3" in protected
    assert (
        "says of no person whose it is" in protected and "Kết quả hoặc chỉ định không ghi của ai" in protected and unnamed == ""
    )


def test_programs_are_told_the_rule(said):
    found = json.loads(said("--json", "--limit", "2"))
    assert found["count"] == 3
    assert [(one["event_id"], one["rule"]) for one in found["held"]] == [
        ("e-1", "nobody-held-sensitive"),
        ("e-2", "nobody-unnamed"),
    ]
