"""The audit: what people did, when and why; and who looked at what is of one patient.

For administrators: it is about the people of the hub, and what they wrote as a reason may say more than they should have. Who
looked at one message, its own page tells everybody who may see it.
"""

import asyncio
import re
from html import escape
from typing import Any, Final

from nicegui import ui

from hub.access.people import Right
from hub.bus import Wire
from hub.console.case_look import keys_of_patient
from hub.console.pages.search import time_of
from hub.console.shell import FAULTS, Console, grid, html, sorry
from hub.console.words import Words, number, shown_time
from hub.contract.events import Event
from hub.journal.looked import Audited, audited, ids_of
from hub.store.database import connect

PATH: Final = "/audit"
TITLE: Final = Words(vi="Nhật ký thao tác", en="Audit")
RIGHT: Final[Right] = "administer"

_MOST: Final = 200
_FROM: Final = Words(vi="Từ (dd/mm/yyyy hh:mm)", en="From (dd/mm/yyyy hh:mm)")
_TO: Final = Words(vi="Đến trước", en="Before")
_BY: Final = Words(vi="Ai (tên đăng nhập)", en="Who (login name)")
_ACTION: Final = Words(vi="Thao tác (như unmask)", en="Action (such as unmask)")
_LIST: Final = Words(vi="Liệt kê", en="List")
_PATIENT: Final = Words(vi="Số thẻ BHYT, số định danh, hoặc CƠ SỞ/SỐ", en="Insurance card, citizen's number, or FACILITY/NUMBER")
_LOOKED: Final = Words(vi="Ai đã xem người bệnh này", en="Who looked at this patient")
_MORE: Final = Words(vi="Trang sau", en="Next page")
_READ: Final = Words(vi="{count} trong {read} việc đã đọc.", en="{count} of {read} that were read.")
_BOUND: Final = Words(
    vi=f"Một trang đọc nhiều nhất {_MOST} việc, mới nhất trước. Của một người bệnh: theo giấy chuyển, lượt khám, kết quả mà hub biết.",
    en=f"A page reads {_MOST} events at most, newest first. Of a patient: by the slips, visits and results that the hub knows.",
)
_UNKNOWN: Final = Words(vi="Hub không biết gì về người bệnh này.", en="The hub knows nothing of this patient.")
_HEAD: Final = (
    Words(vi="Giờ", en="Time"), Words(vi="Ai", en="Who"), Words(vi="Thao tác", en="Action"), Words(vi="Về", en="About"),
    Words(vi="Lý do", en="Why"), Words(vi="Kết quả", en="Outcome"),
)  # fmt: skip
_SHOWN: Final = re.compile(r"(?:message|event):([0-9a-f-]{36})")


async def page(console: Console) -> None:
    """The newest at once; two forms over them."""
    language = console.person().language
    with ui.element("div").classes("hie-form"):
        fields = [ui.input(words.of(language)).props("dense outlined maxlength=64") for words in (_FROM, _TO, _BY, _ACTION)]
        listing = ui.button(_LIST.of(language)).props("unelevated no-caps")
    with ui.element("div").classes("hie-form"):
        label = _PATIENT.of(language)
        patient = ui.input(label).props("dense outlined maxlength=64 autocomplete=off").style("min-width: 24rem")
        looking = ui.button(_LOOKED.of(language)).props("unelevated no-caps outline")
    html(escape(_BOUND.of(language))).classes("hie-soft")
    told = ui.label("…").props("role=status")
    shown = html("").classes("hie-scroll")
    more = ui.button(_MORE.of(language)).props("unelevated no-caps outline")
    last: dict[str, Any] = {}  # what is listed, whatever the forms say by now

    async def go(*, of: str | None = None) -> None:
        last.update(said=[field.value or "" for field in fields], of=of, after="")
        await read()

    async def read() -> None:
        told.set_text("…")
        try:
            found = await asyncio.to_thread(look, console, last["said"], last["of"], last["after"])
        except FAULTS as wrong:
            told.set_text(sorry(wrong, language))
            return
        last["after"] = found.next if found else ""
        told.set_text(summary(found, language))
        shown.set_content(table(found.found, language) if found else "")
        more.set_visibility(bool(last["after"]))

    async def whose() -> None:
        await go(of=patient.value or "")

    listing.on_click(lambda: go())
    looking.on_click(whose)
    more.on_click(read)
    for field in fields:
        field.on("keydown.enter", lambda: go())
    patient.on("keydown.enter", whose)
    ui.timer(0.05, go, once=True)  # the forms at once


def look(console: Console, said: list[str], patient: str | None, after: str) -> Audited | None:
    """What the first form says, of the patient in the second; None where the hub knows no such patient.

    Raises: HubError(REQUEST_WRONG), and of what is not there.
    """
    settings, border = console.settings, console.border
    since, until = time_of(said[0], "from"), time_of(said[1], "before")
    ids = None
    with connect(settings.database_url.get_secret_value(), autocommit=True) as database:
        if patient is not None:
            ids, first = ids_of(database, keys_of_patient(database, patient, border.keyring if border else None))
            if first is None:
                return None
            since = max(since, first) if since else first
        return audited(
            database,
            settings.kafka,
            Wire(settings.registry_url),
            border.older if border else lambda *_place: None,
            since=since,
            until=until,
            by=said[2].strip(),
            action=said[3].strip(),
            ids=ids,
            after=after,
            most=_MOST,
        )


def summary(found: Audited | None, language: str) -> str:
    """How many were found in how many."""
    if found is None:
        return _UNKNOWN.of(language)
    return _READ.of(language).format(count=number(len(found.found), language), read=number(found.read, language))


def table(found: tuple[Event, ...], language: str) -> str:
    """Who did what when, to what, and why; what was unmasked leads to its story."""
    rows = []
    for one in found:
        cells = "".join(f"<td>{cell}</td>" for cell in (escape(one["by"]), escape(one["action"]), _about(one["target"])))
        at = shown_time(one["at"], seconds=True)
        rows.append(f"<tr><td class=n>{at}</td>{cells}<td>{escape(one['reason'])}</td><td>{escape(one['outcome'])}</td></tr>")
    return grid(_HEAD, rows, language) if rows else ""


def _about(target: str) -> str:
    named = _SHOWN.fullmatch(target)
    return f'<a href="/messages/{named[1]}">{escape(target)}</a>' if named else escape(target)
