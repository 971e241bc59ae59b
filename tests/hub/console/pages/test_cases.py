"""Cases are listed without a number or a name, each leads to its story, and every state has words in both languages."""

from datetime import UTC, datetime
from uuid import UUID

from hub.console.case_look import STATES, Case, Cases
from hub.console.pages.cases import STATE_WORDS, summary, table

CASE = Case(
    at=datetime(2026, 11, 23, 1, 5, tzinfo=UTC),
    message_id=UUID(int=1),
    event_id=UUID(int=2),
    key="01021:deadbeef",
    record="hie.Referral",
    facility="01021",
    test=True,
    state="ACCEPTED",
    holder="01004",
)


def test_a_row_leads_to_the_case_and_says_where_it_stands():
    row = table((CASE,), "en")
    for part in (
        f'href="/cases/{UUID(int=2)}"',
        "23/11/2026 08:05:00",
        "Referral (test)",
        "01021",
        "ACCEPTED · accepted",
        "01004",
    ):
        assert part in row
    assert "deadbeef" not in row
    assert table((), "vi") == ""


def test_every_state_is_told_in_words():
    assert {state for states in STATES.values() for state in states} == set(STATE_WORDS)


def test_how_much_was_looked_at_is_said():
    assert summary(Cases((CASE,), 1_000, "x"), "en") == "1 found in 1,000 messages looked at."
    assert summary(Cases((), 0), "vi") == "Không tìm thấy gì."
    assert summary(Cases((CASE,), 0), "vi") == ""
