"""Why there is no answer is said in words, and never with what a database says, which may quote a value."""

from types import SimpleNamespace

import pytest
from nicegui import ui
from psycopg.errors import DataError, QueryCanceled
from psycopg_pool import PoolTimeout

from hub.console.shell import FAULTS, Console, frame, sorry
from hub.console.words import Words
from hub.contract.errors import ERRORS, HubError


@pytest.mark.parametrize("language", ["vi", "en"])
def test_of_a_fault_only_what_it_is_is_said(language):
    assert sorry(HubError("REQUEST_WRONG", "since"), language).endswith(": since")
    assert getattr(ERRORS["BROKER_UNAVAILABLE"], language) in sorry(HubError("BROKER_UNAVAILABLE", "x"), language)
    for wrong in (DataError("value NGUYEN SEN"), PoolTimeout("NGUYEN SEN"), QueryCanceled("NGUYEN SEN")):
        assert isinstance(wrong, FAULTS)
        told = sorry(wrong, language)
        assert "NGUYEN" not in told
        assert ("DATABASE_UNAVAILABLE" in told) == (not isinstance(wrong, QueryCanceled))


def test_a_press_that_fails_is_told_on_the_page_whatever_it_was(before, someone):
    door = SimpleNamespace(person=lambda: someone(language="en"), leave="/logout")
    here = SimpleNamespace(PATH="/x", TITLE=Words(vi="x", en="x"), RIGHT="see")
    faults = iter((DataError("value NGUYEN SEN"), HubError("BROKER_UNAVAILABLE", "x"), KeyError("NGUYEN SEN")))

    def fail():
        raise next(faults)

    def draw():
        with frame(Console(None, None, None, door), here, ()):
            ui.button("Find", on_click=fail)

    async def steps(page):
        for told in ("DATABASE_UNAVAILABLE", "BROKER_UNAVAILABLE", "It is in the hub's log."):
            page.press("Find")
            await page.until(lambda told=told: any(told in one for one in page.user.notify.messages))
        assert not [one for one in page.user.notify.messages if "NGUYEN" in one]

    before(draw, steps)
