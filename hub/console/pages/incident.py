"""One incident: what it is, since when, which feeds, and what became part of it."""

import asyncio
from html import escape
from typing import Any, Final
from uuid import UUID

from hub.access.people import Right
from hub.console.pages.incidents import compared, missing, named, table
from hub.console.pages.message import OWN
from hub.console.pages.senders import link
from hub.console.shell import Console, grid, html
from hub.console.words import Words, number, shown_time
from hub.contract.directory import facilities
from hub.journal.watch import incident
from hub.store.database import connect

PATH: Final = "/incidents/{incident_id}"
TITLE: Final = Words(vi="Một sự cố", en="One incident")
RIGHT: Final[Right] = "see"

_MOST: Final = 200
_ABSENT: Final = Words(vi="Không có sự cố nào mang mã này.", en="There is no incident of this id.")
_FACTS: Final = (
    Words(vi="Bắt đầu", en="Began"), Words(vi="Phát hiện", en="Noticed"), Words(vi="Kết thúc", en="Ended"), Words(vi="Thiếu khoảng", en="Missing, about"),
    Words(vi="Thường lệ · hiện", en="Usual · seen"),
)  # fmt: skip
_OPEN: Final = Words(vi="chưa, còn mở", en="not yet, it is open")
_PART: Final = Words(vi="Đã thành một phần của sự cố khác", en="Became part of another incident")
_FEEDS: Final = Words(vi="Luồng gửi liên quan: {count}", en="Feeds: {count}")
_FIRST: Final = Words(vi="Chỉ hiện 200 luồng đầu.", en="The first 200 are shown.")
_PARTS: Final = Words(vi="Các phần (200 mới nhất)", en="Its parts (the newest 200)")
_HEAD: Final = (Words(vi="Nguồn gửi", en="Sender"), Words(vi="Cơ sở", en="Facility"), Words(vi="Tên", en="Name"))


async def page(console: Console, incident_id: str) -> None:
    """What the watch knows of it."""
    person = console.person()
    if person.role not in OWN:
        return
    language = person.language
    row, parts = await asyncio.to_thread(look, console, incident_id)
    if row is None:
        html(escape(_ABSENT.of(language)), "p")
        return
    html(escape(named(row, language)), "p")
    values = (
        shown_time(row["began"]),
        shown_time(row["noticed"]),
        shown_time(row["ended"]) or _OPEN.of(language),
        missing(row, language),
        compared(row, language),
    )
    lines = "".join(
        f"<tr><th scope=row>{escape(name.of(language))}</th><td class=n>{escape(value)}</td></tr>"
        for name, value in zip(_FACTS, values, strict=True)
        if value
    )
    html(f"<table class=hie><tbody>{lines}</tbody></table>")
    if row["part_of"]:
        html(f'<a href="/incidents/{row["part_of"]}">{escape(_PART.of(language))}</a>', "p")
    html(escape(_FEEDS.of(language).format(count=number(len(row["members"]), language))), "h2")
    html(_feeds(row["members"], language)).classes("hie-scroll")
    if parts:
        html(escape(_PARTS.of(language)), "h2")
        html(table(parts, language)).classes("hie-scroll")


def look(console: Console, incident_id: str) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """The incident and its parts; what is no id names none."""
    try:
        known = UUID(incident_id)
    except ValueError:
        return None, []
    with connect(console.settings.database_url.get_secret_value()) as database:
        return incident(database, known)


def _feeds(members: list[str], language: str) -> str:
    rows = []
    for member in members[:_MOST]:
        sender, facility = member.rsplit("/", 1)
        known = facilities().get(facility)
        rows.append(
            f"<tr><td>{link(sender, facility)}</td><td>{escape(facility)}</td><td>{escape(known.name if known else '')}</td></tr>"
        )
    more = f"<p class=hie-soft>{_FIRST.of(language)}</p>" if len(members) > _MOST else ""
    return grid(_HEAD, rows, language) + more
