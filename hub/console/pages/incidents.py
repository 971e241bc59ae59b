"""Incidents: what is silent or unlike itself, one for one cause; those that are open first, then those that ended."""

import asyncio
from html import escape
from typing import Any, Final

from hub.access.people import Right
from hub.console import flow
from hub.console.pages.message import OWN
from hub.console.sampler import Snapshot
from hub.console.shell import Console, State, figure, grid, html, live
from hub.console.words import Words, number, shown_time
from hub.contract.directory import facilities
from hub.contract.events import VIETNAM, now
from hub.contract.facilities import provinces
from hub.journal.incidents import CAUSES, KINDS
from hub.journal.watch import incidents
from hub.store.database import connect

PATH: Final = "/incidents"
TITLE: Final = Words(vi="Sự cố", en="Incidents")
RIGHT: Final[Right] = "see"

_MOST: Final = 200
_OPEN: Final = Words(vi="Đang mở", en="Open")
_ENDED: Final = Words(vi="Đã kết thúc (trong 200 sự cố mới nhất)", en="Ended (of the newest 200)")
_NEWEST: Final = Words(vi="Chỉ hiện 200 sự cố mới nhất.", en="The newest 200 are shown.")
_NONE: Final = Words(vi="Không có.", en="None.")
_HEAD: Final = (
    Words(vi="Từ", en="Since"), Words(vi="Điều gì", en="What"), Words(vi="Luồng gửi", en="Feeds"), Words(vi="Thiếu khoảng", en="Missing, about"),
    Words(vi="Thường lệ · hiện", en="Usual · seen"), Words(vi="Kết thúc", en="Ended"),
)  # fmt: skip
_NUMBERS: Final = (0, 2, 3, 4, 5)


async def page(console: Console) -> None:
    """Both lists; how many are open now stays true."""
    person = console.person()
    if person.role not in OWN:
        return
    language = person.language
    opened, all_of_them = await asyncio.to_thread(look, console)
    seen = await console.sampler.fresh()

    def figures(snapshot: Snapshot) -> dict[str, tuple[str, State]]:
        count = snapshot.incidents
        return {"incidents-open": (flow.waiting(count, language), "warn" if count and count.count else "")}

    drawn = figures(seen)
    html(f"{escape(_OPEN.of(language))}: {figure('incidents-open', drawn)}", "h2")
    html(table(opened, language)).classes("hie-scroll")
    if len(opened) == _MOST:
        html(escape(_NEWEST.of(language)), "p").classes("hie-soft")
    html(escape(_ENDED.of(language)), "h2")
    html(table([row for row in all_of_them if row["ended"]], language)).classes("hie-scroll")
    live(console, drawn, figures)


def look(console: Console) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Those that are open, and the newest of all."""
    with connect(console.settings.database_url.get_secret_value()) as database:
        return incidents(database, all_of_them=False), incidents(database, all_of_them=True)


def table(rows: list[dict[str, Any]], language: str) -> str:
    """One row an incident, which leads to its own page."""
    if not rows:
        return f"<p class=hie-soft>{_NONE.of(language)}</p>"
    body = (
        f'<tr><td class=n><a href="/incidents/{row["id"]}">{shown_time(row["began"])}</a></td><td>{escape(named(row, language))}</td>'
        f"<td class=n>{number(len(row['members']), language)}</td><td class=n>{missing(row, language)}</td>"
        f"<td class=n>{escape(compared(row, language))}</td><td class=n>{shown_time(row['ended'])}</td></tr>"
        for row in rows
    )
    return grid(_HEAD, body, language, _NUMBERS)


def named(row: dict[str, Any], language: str) -> str:
    """What an incident is, and of whom."""
    pick = 0 if language == "en" else 1
    cause = row["cause"]
    if row["cause_kind"] == "province":
        cause += " " + provinces().name(cause, now().astimezone(VIETNAM).date())
    elif row["cause_kind"] == "feed" and (facility := facilities().get(cause.rpartition("/")[2])):
        cause += " " + facility.name
    return f"{KINDS[row['kind']][pick]} {CAUSES[row['cause_kind']][pick]} {cause}".strip()


def compared(row: dict[str, Any], language: str) -> str:
    """What is usual and what was seen instead; "" for a silence."""
    figures = row["figures"]
    if row["kind"] == "volume":
        return f"{number(figures['usual'], language)} · {number(figures['seen'], language)} / 24 h"
    if row["kind"] == "silence":
        return ""
    usual, seen = (number(figures[name] * 100, language, 2) for name in ("usual", "seen"))
    return f"{figures['what']}: {usual} % · {seen} %"


def missing(row: dict[str, Any], language: str) -> str:
    """Messages that were expected and did not come, so far."""
    return number(row["missing"], language) if row["missing"] >= 1 else ""
