"""The one form in which a person changes something: a reason, its effect first, then the change, which can be stopped."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from threading import Event as Stop
from typing import Any, Final

from nicegui import ui

from hub.console.shell import html
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

Say = Callable[[str], None]
Work = Callable[[bool, str, Stop, Say], str]
"""What is done, in a thread: whether to do it or only to say what would be done, the reason, when to stop, where to tell each step.

Returns: one closing sentence.
"""


def check(person: Any, language: str, reason: str) -> str:
    """Why a person may not; "" where one may."""
    if not person.may("act"):
        return NOT_YOURS.of(language)
    return "" if reason.strip() else NO_REASON.of(language)


@dataclass
class _Run:
    """One change as it goes."""

    lines: list[str] = field(default_factory=list)
    stop: Stop = field(default_factory=Stop)


def change(person: Any, title: str, work: Work, after: Callable[[], Awaitable[None]]) -> None:
    """Draw the form; for who may only look, nothing of it is on the page, so nothing of it can be called.

    person: who is signed in.
    work:   raises HubError, which is shown in the reader's language.
    after:  once something was done: shows what the page lists as it is now.
    """
    if not person.may("act"):
        return
    language, run = person.language, _Run()
    html(title, "h2")
    with ui.element("div").classes("hie-form"):
        reason = ui.input(REASON.of(language)).props("dense outlined maxlength=500").classes("hie-reason")
        looked = ui.button(TRY.of(language)).props("unelevated no-caps outline")
        doing = ui.button(DO.of(language)).props("unelevated no-caps")
        ending = ui.button(STOP.of(language), on_click=lambda: run.stop.set()).props("unelevated no-caps outline")
    told = ui.label("").props("role=status")
    steps = ui.element("pre").classes("hie-steps")
    with steps:
        text = ui.label("").style("white-space: pre-wrap")
    doing.disable()
    ending.disable()

    def show() -> None:
        text.set_text("\n".join(run.lines[-_SHOWN:]))

    async def go(do: bool) -> None:
        if refusal := check(person, language, reason.value or ""):
            told.set_text(refusal)
            return
        run.lines, run.stop = [], Stop()
        ending.enable()
        looked.disable()
        doing.disable()
        timer = ui.timer(_LOOK_S, show)
        try:
            closing = await asyncio.to_thread(work, do, reason.value, run.stop, run.lines.append)
            told.set_text(f"{STOPPED.of(language)} {closing}" if run.stop.is_set() else closing)
        except HubError as wrong:
            told.set_text(f"{wrong.code}: {wrong.row.vi if language == 'vi' else wrong.row.en}")
        finally:
            timer.cancel()
            show()
            ending.disable()
            looked.enable()
            if do:
                await after()
            elif run.lines:
                doing.enable()  # only behind its effect

    looked.on_click(lambda: go(do=False))
    doing.on_click(lambda: go(do=True))
    reason.on_value_change(lambda: doing.disable())
