"""Work lists: what does not reach the citizen's app and whose turn it is, what a rule holds, what waits parked; the oldest first.

Of slips and encounters no number is shown, as that one is held or refused says something of a person; each leads to its case.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any, Final

from nicegui import ui
from psycopg.errors import QueryCanceled

from hub.access.people import Right
from hub.console.shell import FAULTS, Console, grid, html, sorry
from hub.console.words import Words, number, shown_time, span, why
from hub.contract.events import now
from hub.journal.views import Held, held
from hub.routing.parking import causes
from hub.routing.rules import in_words
from hub.store.database import connect

PATH: Final = "/worklists"
TITLE: Final = Words(vi="Việc cần xử lý", en="Work lists")
RIGHT: Final[Right] = "see"

_MOST: Final = 200
_LIMIT_MS: Final = 10_000
_FACILITY: Final = Words(vi="Chỉ của cơ sở", en="Only of this facility")
_SHOW: Final = Words(vi="Xem", en="Show")
_APP: Final = Words(vi="Chưa lên được ứng dụng của người dân", en="Not in the citizen's app yet")
_HELD: Final = Words(vi="Giữ lại theo quy tắc", en="Held by rule")
_PARKED: Final = Words(vi="Tạm giữ, chờ dữ kiện hoặc sửa", en="Parked, waiting for a fact or a fix")
_NONE: Final = Words(vi="Không có gì.", en="Nothing.")
_BOUND: Final = Words(
    vi="Số lượng là của tất cả; danh sách hiện {most} mục lâu nhất.", en="Counts are of all; the lists show the oldest {most}."
)
_LONG: Final = Words(vi="Quá nhiều để đếm nhanh; hãy ghi cơ sở.", en="Too many to be counted soon; say a facility.")
_CAUSE: Final = Words(vi="Nguyên nhân", en="Cause")
_COUNT: Final = Words(vi="Số lượng", en="Count")
_OLDEST: Final = Words(vi="Lâu nhất", en="Oldest")
_SINCE: Final = Words(vi="Từ", en="Since")
_WHO: Final = Words(vi="Cơ sở", en="Facility")
_WHAT: Final = Words(vi="Loại", en="Kind")
_STATE: Final = Words(vi="Trạng thái", en="State")
_TURN: Final = Words(vi="Đến lượt", en="Whose turn")
_TURNS: Final = {
    "facility": Words(vi="cơ sở cấp giấy", en="issuing facility"),
    "operator": Words(vi="người vận hành hub", en="operator of the hub"),
    "consent": Words(vi="giữ theo quy tắc", en="held by rule"),
}


@dataclass(frozen=True, slots=True)
class Lists:
    """What the page shows.

    app:    as `Border.worklist` gives it. held: how many a rule holds, and the oldest of them.
    parked: as `parking.causes` gives them. long: what took too long stayed empty.
    """

    app: dict[str, Any]
    held: tuple[int, list[Held]]
    parked: list[dict[str, Any]]
    long: bool = False


@dataclass(frozen=True, slots=True)
class Cause:
    """So many for one cause. case: id that leads to the oldest, "" where the list below tells."""

    code: str
    why: str
    count: int
    oldest: datetime
    case: str = ""


async def page(console: Console) -> None:
    """All lists, at first of everybody."""
    language = console.person().language
    with ui.element("div").classes("hie-form"):
        facility = ui.input(_FACILITY.of(language)).props("dense outlined maxlength=32")
        show = ui.button(_SHOW.of(language)).props("unelevated no-caps")
    html(escape(_BOUND.of(language).format(most=_MOST))).classes("hie-soft")
    shown = html("…").classes("hie-scroll")

    async def go() -> None:
        try:
            found = await asyncio.to_thread(look, console, (facility.value or "").strip())
        except FAULTS as wrong:
            shown.set_content(escape(sorry(wrong, language)))
            return
        shown.set_content(lists(found, language, now()))

    show.on_click(go)
    facility.on("keydown.enter", go)
    ui.timer(0.05, go, once=True)  # the forms at once


def look(console: Console, facility: str = "") -> Lists:
    """All of a facility's, or of everybody. Raises: HubError of what is not there."""
    app = console.border.worklist(facility, _MOST) if console.border else {"slips": [], "counts": {}, "oldest": {}}
    with connect(console.settings.database_url.get_secret_value(), autocommit=True) as database:
        database.execute(f"set statement_timeout = {_LIMIT_MS}".encode())
        try:
            return Lists(app, held(database, facility, _MOST), causes(database, facility))
        except QueryCanceled:
            return Lists(app, (0, []), [], long=True)


def lists(found: Lists, language: str, at: datetime) -> str:
    """The three of them. at: now, which ages are told of."""
    app = found.app
    causes = [Cause(code, why(code, language), count, app["oldest"][code]) for code, count in app["counts"].items()]
    slips = _rows((_SINCE, _WHO, _WHAT, _STATE, _CAUSE, _TURN), (_slip(one, language) for one in app["slips"]), language)
    count, rows = found.held
    by_rule = _rows((_SINCE, _WHO, _WHAT, _CAUSE), (_held(one, language) for one in rows), language)
    holding = f"<p>{number(count, language)} · {escape(span((at - rows[0].since).total_seconds(), language))}</p>" if rows else ""
    counts = _causes(causes, language, at)
    waits = _causes(parked_by_cause(found.parked, language), language, at)
    late = f"<p data-state=warn>{escape(_LONG.of(language))}</p>" if found.long else ""
    parts = ((_APP, counts + slips), (_HELD, holding + by_rule), (_PARKED, waits))
    return late + "".join(_section(title, content, language) for title, content in parts)


def parked_by_cause(parked: Iterable[dict[str, Any]], language: str) -> list[Cause]:
    """Keys of all topics by why their oldest event waits, most first."""
    by_code: dict[str, list[dict[str, Any]]] = {}
    for one in parked:
        by_code.setdefault(one["code"], []).append(one)
    causes = []
    for code, topics in by_code.items():
        oldest = min(topics, key=lambda one: one["since"])
        count = sum(one["keys"] for one in topics)
        causes.append(Cause(code, why(code, language), count, oldest["since"], str(oldest["event_id"] or "")))
    return sorted(causes, key=lambda one: -one.count)


def _slip(one: dict[str, Any], language: str) -> tuple[str, ...]:
    codes = ", ".join(reason["code"] for reason in one["reasons"])
    turns = ", ".join(sorted({_TURNS[reason["turn"]].of(language) for reason in one["reasons"]}))
    what = one["record"].removeprefix("hie.")
    return _to(one["delivery_id"], one["since"]), *map(escape, (one["facility"], what, one["state"], codes, turns))


def _held(one: Held, language: str) -> tuple[str, ...]:
    words = in_words(one.rule)
    reason = words.en if language == "en" else words.vi
    return _to(one.event_id, one.since), escape(one.facility), escape(one.record.removeprefix("hie.")), escape(reason)


def _to(id: object, since: datetime) -> str:
    """A time that leads to the case."""
    return f'<a href="/cases/{id}">{shown_time(since)}</a>'


def _causes(causes: list[Cause], language: str, at: datetime) -> str:
    rows = []
    for one in causes:
        since = span((at - one.oldest).total_seconds(), language)
        age = f'<a href="/cases/{one.case}">{escape(since)}</a>' if one.case else escape(since)
        soft = f"<div class=hie-soft>{escape(one.why)}</div>"
        rows.append(
            f"<tr><td>{escape(one.code)}{soft}</td><td class=n>{number(one.count, language)}</td><td class=n>{age}</td></tr>"
        )
    return grid((_CAUSE, _COUNT, _OLDEST), rows, language, {1, 2}) if rows else ""


def _rows(heads: tuple[Words, ...], rows: Iterable[tuple[str, ...]], language: str) -> str:
    """A table of cells that are markup, the first of them a time; "" without rows."""
    body = [f"<tr><td class=n>{first}</td>{''.join(f'<td>{cell}</td>' for cell in rest)}</tr>" for first, *rest in rows]
    return grid(heads, body, language) if body else ""


def _section(title: Words, content: str, language: str) -> str:
    return f"<h2>{escape(title.of(language))}</h2>{content or f'<p class=hie-soft>{escape(_NONE.of(language))}</p>'}"
