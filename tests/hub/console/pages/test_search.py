"""What the form of the search says is read exactly, or refused."""

import threading
from datetime import datetime
from types import SimpleNamespace

import pytest
from nicegui import ui
from nicegui.testing.user_interaction import UserInteraction

from hub.console.pages import search as searching
from hub.console.pages.search import table, time_of, wanted
from hub.console.words import today
from hub.contract.errors import HubError
from hub.contract.events import VIETNAM, now
from hub.journal.search import Hit, Page


def test_times_are_vietnamese_and_what_is_none_is_refused():
    assert time_of("23/11/2026 08:30", "since") == datetime(2026, 11, 23, 8, 30, tzinfo=VIETNAM)
    assert time_of("", "since") is None
    assert wanted({"facility": " 01004 ", "until": "24/11/2026"}).facility == "01004"
    with pytest.raises(HubError):
        wanted({"since": "yesterday"})


def test_what_is_found_says_whether_it_is_a_test():
    def hit(*, test):
        return Hit(now(), "message", "1", "1", "01004", "local", "ADT^A04", "C-1", "translated", "", test)

    assert "translated (test)" in table((hit(test=True),), "en") and "translated · đã dịch (thử)" in table(
        (hit(test=True),), "vi"
    )
    assert "(test)" not in table((hit(test=False),), "en")


def test_a_page_has_one_search_at_a_time_whatever_is_pressed_meanwhile(before, someone, monkeypatch):
    asked, on = [], threading.Event()

    def slow(_console, state, *_):
        asked.append(state.wanted.verdict)
        on.wait(20)
        return Page((), "")

    monkeypatch.setattr(searching, "_search", slow)
    console = SimpleNamespace(person=lambda: someone(language="en"))

    async def steps(page):
        page.press("Find")
        await page.until(lambda: asked)
        page.press("Find")
        UserInteraction(page.user, {page.one(ui.input, "Code")}, None).trigger("keydown.enter")
        on.set()
        await page.sees("Nothing was found.")
        assert asked == [""]
        page.press("Find")
        await page.until(lambda: len(asked) == 2)

    before(lambda: searching.page(console), steps)


def test_another_page_leads_to_what_it_counts(before, someone, monkeypatch):
    asked = []
    monkeypatch.setattr(searching, "_search", lambda _console, state, *_: asked.append(state.wanted) or Page((), ""))
    console = SimpleNamespace(person=lambda: someone(language="en"))

    async def steps(page):
        await page.sees("Nothing was found.")

    before(lambda: searching.page(console, verdict="refused", sender="lab"), steps)
    assert (asked[0].verdict, asked[0].sender, asked[0].since) == ("refused", "lab", today())
