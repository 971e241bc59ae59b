"""Who may only look changes nothing, nobody without a reason, and what is done is what was last seen."""

import threading

from nicegui import ui

from hub.console.change import BROKE, DO, STOP, TRY, change, check
from hub.contract.errors import HubError

REASON = "Lý do (bắt buộc, được lưu)"


class _Viewer:
    def may(self, right):
        return right == "see"


def test_a_viewer_may_not_act_and_nobody_acts_without_a_reason():
    assert check(_Viewer(), "en", "a reason") == "Your role may only look."
    operator = type("Operator", (), {"may": lambda _self, right: right in ("see", "act")})()
    assert check(operator, "en", "  ") == "Say why."
    assert check(operator, "en", "a reason") == ""


class Form:
    """A form over one select, and what it was asked to do."""

    def __init__(self, someone, work=None):
        self.someone, self.done, self.work, self.stop = someone, [], work, None

    def __call__(self):
        cause = ui.select(["A", "B"], value="A", label="cause")
        change(self.someone(), "Redrive", self._work, self._after, (cause,), lambda: cause.value)

    async def _after(self):
        """The page lists nothing."""

    def _work(self, chosen, do, reason, stop, say):
        self.stop = stop
        say(f"{chosen} it is")
        if self.work:
            self.work(stop)
        if do:
            self.done.append((chosen, reason))
        return f"{chosen} {'done' if do else 'seen'}"


def test_what_is_done_is_what_was_last_seen(before, someone):
    form = Form(someone)

    async def steps(page):
        page.set(ui.input, REASON, "mended")
        page.press(DO.vi)
        page.press(TRY.vi)
        await page.sees("A seen")
        assert page.one(ui.button, DO.vi).enabled
        page.set(ui.select, "cause", "B")
        assert not page.one(ui.button, DO.vi).enabled
        page.press(DO.vi)
        page.press(TRY.vi)
        await page.sees("B seen")
        page.press(DO.vi)
        page.press(DO.vi)  # nobody does it twice
        await page.sees("B done")
        assert not page.one(ui.button, DO.vi).enabled

    before(form, steps)
    assert form.done == [("B", "mended")]


def test_an_effect_that_was_not_seen_whole_or_of_what_is_chosen_no_more_is_not_done(before, someone):
    going, go = threading.Event(), threading.Event()

    def wait(_stop):
        going.set()
        assert go.wait(10)
        going.clear()
        go.clear()

    async def steps(page):
        page.set(ui.input, REASON, "mended")
        for meanwhile in (lambda: page.press(STOP.vi), lambda: page.set(ui.select, "cause", "B")):
            page.press(TRY.vi)
            await page.until(going.is_set)
            meanwhile()
            go.set()
            await page.until(lambda: page.one(ui.button, TRY.vi).enabled)
            assert not page.one(ui.button, DO.vi).enabled

    before(Form(someone, wait), steps)


def test_whatever_breaks_it_is_told_and_not_that_nothing_was_done(before, someone):
    faults = iter((None, OSError("01021 is away"), None, HubError("BROKER_UNAVAILABLE", "produce")))

    def work(_stop):
        if fault := next(faults):
            raise fault

    async def steps(page):
        for told in (BROKE.vi.format(what="OSError"), "BROKER_UNAVAILABLE"):
            page.set(ui.input, REASON, told[:10])
            page.press(TRY.vi)
            await page.sees("A seen")
            page.press(DO.vi)
            await page.sees(told)
            await page.user.should_not_see("A seen")
            await page.user.should_not_see("01021")

    before(Form(someone, work), steps)


def test_a_change_that_nobody_could_stop_any_more_is_stopped(before, someone):
    form = Form(someone, lambda stop: stop.wait(10))

    async def steps(page):
        page.set(ui.input, REASON, "mended")
        page.press(TRY.vi)
        await page.until(lambda: form.stop is not None)
        page.user.client.delete()
        await page.until(form.stop.is_set)

    before(form, steps)
