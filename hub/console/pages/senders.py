"""Senders: every feed (a sender and a facility), last heard, what came of it today; found by its name or its facility."""

import asyncio
from datetime import timedelta
from html import escape
from typing import Any, Final
from urllib.parse import quote

from nicegui import ui

from hub.access.people import Right
from hub.console.pages.message import OWN
from hub.console.shell import Console, grid, html
from hub.console.words import Words, number, today
from hub.contract.directory import facilities
from hub.contract.events import VIETNAM, now
from hub.journal.traffic import feeds_after, senders_of
from hub.store.database import connect

PATH: Final = "/senders"
TITLE: Final = Words(vi="Nguồn gửi", en="Senders")
RIGHT: Final[Right] = "see"

_PAGE: Final = 200
_FACILITY: Final = Words(vi="Mã cơ sở", en="Facility code")
_FROM: Final = Words(vi="Tên nguồn gửi, từ", en="Sender's name, from")
_FIND: Final = Words(vi="Tìm", en="Find")
_MORE: Final = Words(vi="200 luồng tiếp", en="The next 200")
_NOTHING: Final = Words(vi="Không tìm thấy gì.", en="Nothing was found.")
_HEARD_OF: Final = Words(
    vi="Ai gửi cho cơ sở này (trong 1.000 bản tin mới nhất)", en="Who sends for this facility (its latest 1,000 messages)"
)
_HEAD: Final = (
    Words(vi="Nguồn gửi", en="Sender"), Words(vi="Cơ sở", en="Facility"), Words(vi="Tên", en="Name"), Words(vi="Giờ nhận cuối", en="Last heard (hour)"),
    Words(vi="Hôm nay", en="Today"), Words(vi="Bị từ chối hôm nay", en="Refused today"),
)  # fmt: skip


async def page(console: Console) -> None:
    """200 feeds at a time, in the order of their names. Refused counts what is quarantined, too."""
    person = console.person()
    if person.role not in OWN:
        return
    language = person.language
    with ui.element("div").classes("hie-form"):
        facility = ui.input(_FACILITY.of(language)).props("dense outlined")
        name = ui.input(_FROM.of(language)).props("dense outlined")
        find = ui.button(_FIND.of(language)).props("unelevated no-caps")
    told = ui.label("").props("role=status")
    rows = await asyncio.to_thread(look, console, "", "")
    shown = html(table(rows, language)).classes("hie-scroll")
    more = ui.button(_MORE.of(language)).props("unelevated no-caps outline")
    more.set_visibility(len(rows) == _PAGE)
    last = [rows[-1] if rows else {"sender": "", "facility": ""}]

    async def show(sender: str, of: str) -> None:
        found = await asyncio.to_thread(look, console, sender, of)
        told.set_text("" if found else _NOTHING.of(language))
        shown.set_content(table(found, language))
        more.set_visibility(len(found) == _PAGE)
        if found:
            last[0] = found[-1]

    async def seek() -> None:
        code = (facility.value or "").strip()
        if not code:
            await show((name.value or "").strip(), "")
            return
        found = await asyncio.to_thread(of_facility, console, code)
        told.set_text(_HEARD_OF.of(language) if found else _NOTHING.of(language))
        shown.set_content("<ul>" + "".join(f"<li>{link(one, code)}</li>" for one in found) + "</ul>")
        more.set_visibility(False)

    find.on_click(seek)
    more.on_click(lambda: show(last[0]["sender"], last[0]["facility"]))
    for field in (facility, name):
        field.on("keydown.enter", seek)


def look(console: Console, sender: str, facility: str) -> list[dict[str, Any]]:
    """The feeds behind this one."""
    with connect(console.settings.database_url.get_secret_value()) as database:
        return feeds_after(database, sender, facility, today(), _PAGE)


def of_facility(console: Console, code: str) -> list[str]:
    """Who sends for a facility."""
    with connect(console.settings.database_url.get_secret_value()) as database:
        return senders_of(database, code)


def link(sender: str, facility: str) -> str:
    """The way to the page of a sender, at one of its facilities."""
    return f'<a href="/senders/{quote(sender, safe="")}?facility={quote(facility, safe="")}">{escape(sender)}</a>'


def table(rows: list[dict[str, Any]], language: str) -> str:
    """One row a feed; that it was not heard for a day is marked, whether that is unusual its own page says."""
    day_ago = now() - timedelta(days=1)
    body = []
    for row in rows:
        known = facilities().get(row["facility"])
        quiet = " data-state=warn" if row["heard"] < day_ago else ""
        body.append(
            f"<tr><td>{link(row['sender'], row['facility']) if row['sender'] else ''}</td><td>{escape(row['facility'])}</td>"
            f"<td>{escape(known.name if known else '')}</td><td class=n{quiet}>{row['heard'].astimezone(VIETNAM):%d/%m/%Y %H h}</td>"
            f"<td class=n>{number(row['received'], language)}</td><td class=n>{number(row['refused'], language)}</td></tr>"
        )
    return grid(_HEAD, body, language, range(3, len(_HEAD)))
