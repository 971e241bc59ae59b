"""The one form in which a person changes something: a reason, its effect first, then the change, which can be stopped."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from threading import Event as Stop
from typing import Any, Final

from nicegui import ui
from nicegui.elements.mixins.value_element import ValueElement

from hub.console.shell import html, sorry
from hub.console.words import Words
from hub.contract.errors import HubError

_SHOWN: Final = 200
_LOOK_S: Final = 0.5
REASON: Final = Words(vi="Lý do (bắt buộc, được lưu)", en="Reason (required, it is kept)")
TRY: Final = Words(vi="Xem trước", en="Show the effect")
DO: Final = Words(vi="Thực hiện", en="Do it")
STOP: Final = Words(vi="Dừng", en="Stop")
NO_REASON: Final = Words(vi="Hãy ghi lý do.", en="Say why.")
NOT_YOURS: Final = Words(vi="Vai trò của bạn chỉ được xem.", en="Your role may only look.")
STOPPED: Final = Words(vi="Đã dừng.", en="Stopped.")
BROKE: Final = Words(
    vi="Bị ngắt giữa chừng ({what}); có thể một phần đã làm xong: hãy xem lại danh sách.",
    en="Broken off ({what}); some of it may be done: look at the list.",
)

Say = Callable[[str], None]
Work = Callable[[Any, bool, str, Stop, Say], str]
"""What is done, in a thread: with what was chosen, whether to do it or only to say what would be done, the reason, when to stop, where
to tell each step.

Returns: one closing sentence.
"""


def check(person: Any, language: str, reason: str) -> str:
    """Why a person may not; "" where one may."""
    if not person.may("act"):
        return NOT_YOURS.of(language)
    return "" if reason.strip() else NO_REASON.of(language)


@dataclass
class _Run:
    """One change as it goes. effect: what was chosen and the reason whose effect is on the page, and so may be done; None for none."""

    lines: list[str] = field(default_factory=list)
    stop: Stop = field(default_factory=Stop)
    going: bool = False
    effect: tuple[Any, str] | None = None


def change(
    person: Any,
    title: str,
    work: Work,
    after: Callable[[], Awaitable[None]],
    inputs: Sequence[ValueElement[Any]] = (),
    chosen: Callable[[], Any] = lambda: None,
) -> None:
    """Draw the form; for who may only look, nothing of it is on the page, so nothing of it can be called.

    What is done is what was last seen: whoever changes an input, or stops the look at the effect, has to look again.

    person: who is signed in.
    work:   raises HubError, which is shown in the reader's language.
    after:  once something was done: shows what the page lists as it is now.
    inputs: of the page, besides the reason; chosen: what they say.
    """
    if not person.may("act"):
        return
    language, run = person.language, _Run()
    html(title, "h2")
    reason, looked, doing, ending = _form(language)
    told = ui.label("").props("role=status")
    with ui.element("pre").classes("hie-steps"):
        text = ui.label("").style("white-space: pre-wrap")

    def show() -> None:
        text.set_text("\n".join(run.lines[-_SHOWN:]))

    def other() -> None:
        run.effect = None
        doing.disable()

    async def go(*, do: bool) -> None:
        wanted = run.effect if do else (chosen(), reason.value or "")
        if run.going or wanted is None:
            return
        if refusal := check(person, language, wanted[1]):
            told.set_text(refusal)
            return
        run.lines, run.stop, run.going = [], Stop(), True
        run.effect = None if do else wanted
        told.set_text("…")
        ending.enable()
        looked.disable()
        doing.disable()
        timer = ui.timer(_LOOK_S, show)
        closing, whole = await _worked(work, wanted, do, run, language)
        timer.cancel()
        run.going = False
        show()
        told.set_text(closing)
        ending.disable()
        looked.enable()
        if do:
            await after()
        elif whole and run.lines and run.effect is not None:
            doing.enable()  # only behind its effect
        else:
            run.effect = None

    looked.on_click(lambda: go(do=False))
    doing.on_click(lambda: go(do=True))
    ending.on_click(lambda: run.stop.set())
    for one in (reason, *inputs):
        one.on_value_change(other)
    ui.context.client.on_delete(lambda: run.stop.set())  # nobody could stop it any more


def _form(language: str) -> tuple[ui.input, ui.button, ui.button, ui.button]:
    """Reason; look, do and stop, of which only the first can be pressed yet."""
    with ui.element("div").classes("hie-form"):
        reason = ui.input(REASON.of(language)).props("dense outlined maxlength=500").classes("hie-reason")
        looked = ui.button(TRY.of(language)).props("unelevated no-caps outline")
        doing = ui.button(DO.of(language)).props("unelevated no-caps")
        ending = ui.button(STOP.of(language)).props("unelevated no-caps outline")
    doing.disable()
    ending.disable()
    return reason, looked, doing, ending


async def _worked(work: Work, wanted: tuple[Any, str], do: bool, run: _Run, language: str) -> tuple[str, bool]:
    """What is told at its end, and whether it came to it."""
    chosen, reason = wanted
    try:
        closing = await asyncio.to_thread(work, chosen, do, reason, run.stop, run.lines.append)
    except HubError as wrong:
        return sorry(wrong, language), False
    except Exception as broken:  # what it says may hold values
        return BROKE.of(language).format(what=type(broken).__name__), False
    if run.stop.is_set():
        return f"{STOPPED.of(language)} {closing}", False
    return closing, True
