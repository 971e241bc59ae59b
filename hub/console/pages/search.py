"""Search: by what one knows of a message, newest first. What is looked for is sent by the page's own link, never in an address."""

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any, Final

import psycopg
from nicegui import ui

from hub.access.people import Right
from hub.console.pages.message import OWN
from hub.console.shell import FAULTS, Console, grid, html, sorry
from hub.console.words import TEST, Words, number, today, verdict_words
from hub.contract.errors import HubError
from hub.contract.events import VIETNAM
from hub.journal.search import PATIENCE_S, Cost, Hit, Page, Wanted, search
from hub.store.database import connect

PATH: Final = "/search"
TITLE: Final = Words(vi="Tìm kiếm", en="Search")
RIGHT: Final[Right] = "see"
_LONG_S: Final = 120.0
_SEARCHES: Final = ThreadPoolExecutor(8, "search")  # of all who look: each holds a connection, a long one for minutes
_VERDICTS: Final = ("translated", "refused", "quarantined")

_FIELDS: Final = {
    "control_id": Words(vi="Mã kiểm soát (MSH-10)", en="Control id (MSH-10)"),
    "id": Words(vi="Mã bản tin, sự kiện, lượt giao", en="Message, event or delivery id"),
    "claim": Words(vi="Hồ sơ: CƠ SỞ/MA_LK", en="Claim: FACILITY/MA_LK"),
    "slip": Words(vi="Giấy chuyển: CƠ SỞ/SỐ", en="Slip: FACILITY/NUMBER"),
    "facility": Words(vi="Cơ sở", en="Facility"),
    "sender": Words(vi="Nguồn gửi", en="Sender"),
    "verdict": Words(vi="Kết luận", en="Verdict"),
    "state": Words(vi="Trạng thái giao", en="Delivery state"),
    "code": Words(vi="Mã lỗi", en="Code"),
    "since": Words(vi="Từ (dd/mm/yyyy hh:mm)", en="From (dd/mm/yyyy hh:mm)"),
    "until": Words(vi="Đến trước", en="Before"),
}
_FIND: Final = Words(vi="Tìm", en="Find")
_MORE: Final = Words(vi="Trang sau", en="Next page")
_LONG: Final = Words(vi="Vẫn tìm", en="Search all the same")
_STOP: Final = Words(vi="Dừng", en="Stop")
_NOTHING: Final = Words(vi="Không tìm thấy gì.", en="Nothing was found.")
_COST: Final = Words(
    vi="Chưa tìm: phải xem khoảng {rows} dòng, lâu nhất chừng {seconds} giây. Hãy thu hẹp thời gian hoặc thêm cơ sở.",
    en="Not begun: about {rows} rows, {seconds} seconds at most. Narrow the time, or say a facility.",
)
_STOPPED: Final = Words(vi="Đã dừng.", en="Stopped.")
_HEAD: Final = (
    Words(vi="Giờ", en="Time"), Words(vi="Loại", en="Kind"), Words(vi="Cơ sở", en="Facility"), Words(vi="Nguồn", en="Sender"),
    Words(vi="Nội dung", en="What"), Words(vi="Mã kiểm soát", en="Control id"), Words(vi="Trạng thái", en="State"), Words(vi="Mã", en="Code"),
)  # fmt: skip

_KINDS: Final = {
    "message": Words(vi="bản tin", en="message"), "event": Words(vi="sự kiện", en="event"), "delivery": Words(vi="lượt giao", en="delivery"),
}  # fmt: skip


@dataclass
class _State:
    """What this page looks for now."""

    wanted: Wanted
    going: bool = False  # one search a page at a time, whatever is pressed meanwhile
    running: Any = None  # the connection of a search that is under way, to be cancelled
    next: str = ""


async def page(console: Console, verdict: str = "", sender: str = "") -> None:
    """The form; its answer below it. Of a verdict, and a sender where one is said, today's messages are shown at once: other pages count
    them."""
    person, state = console.person(), _State(Wanted())
    language = person.language
    if person.role not in OWN:
        return
    with ui.element("div").classes("hie-form"):
        inputs = {name: ui.input(words.of(language)).props("dense outlined") for name, words in _FIELDS.items()}
        find = ui.button(_FIND.of(language)).props("unelevated no-caps")
        long = ui.button(_LONG.of(language)).props("unelevated no-caps outline")
        stop = ui.button(_STOP.of(language)).props("unelevated no-caps outline")
    told = ui.label("").props("role=status")
    answer = html("").classes("hie-scroll")
    more = ui.button(_MORE.of(language)).props("unelevated no-caps outline")
    for button in (long, stop, more):
        button.set_visibility(False)

    async def go(after: str = "", patience_s: float = PATIENCE_S) -> None:
        if state.going:
            return
        state.going = True
        told.set_text("…")
        stop.set_visibility(patience_s > PATIENCE_S)
        for button in (find, long, more):
            button.disable()
        try:
            if not after:
                state.wanted = wanted({name: one.value or "" for name, one in inputs.items()})
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(_SEARCHES, _search, console, state, after, patience_s)
        except FAULTS as wrong:
            told.set_text(sorry(wrong, language))
            return
        finally:
            state.going = False
            stop.set_visibility(False)
            for button in (find, long, more):
                button.enable()
        long.set_visibility(isinstance(found, Cost))
        if not isinstance(found, Page):
            told.set_text(cost(found, language) if found else _STOPPED.of(language))
            return
        state.next = found.next
        told.set_text("" if found.hits else _NOTHING.of(language))
        answer.set_content(table(found.hits, language))
        more.set_visibility(bool(found.next))

    async def end() -> None:
        if (running := state.running) is not None:
            with suppress(psycopg.Error):  # it has just ended by itself
                await asyncio.to_thread(running.cancel_safe)

    find.on_click(lambda: go())
    long.on_click(lambda: go(patience_s=_LONG_S))
    more.on_click(lambda: go(state.next))
    stop.on_click(end)
    ui.context.client.on_delete(end)  # nobody waits for it any more
    for field in inputs.values():
        field.on("keydown.enter", lambda: go())
    if verdict in _VERDICTS and re.fullmatch(r"[\w.-]{0,64}", sender):
        for name, value in {"verdict": verdict, "sender": sender, "since": f"{today():%d/%m/%Y}"}.items():
            inputs[name].set_value(value)
        ui.timer(0.05, go, once=True)


def wanted(said: dict[str, str]) -> Wanted:
    """What the form says. Raises: HubError(REQUEST_WRONG) for a time that is none."""
    words: dict[str, Any] = {name: value.strip() for name, value in said.items() if name not in ("since", "until")}
    return Wanted(**words, since=time_of(said.get("since", ""), "since"), until=time_of(said.get("until", ""), "until"))


def time_of(text: str, where: str) -> datetime | None:
    """A Vietnamese time of day, or a day's beginning."""
    for form in ("%d/%m/%Y %H:%M", "%d/%m/%Y", "%Y-%m-%d %H:%M", "%Y-%m-%d"):
        try:
            return datetime.strptime(text.strip(), form).replace(tzinfo=VIETNAM)
        except ValueError:
            continue
    if text.strip():
        raise HubError("REQUEST_WRONG", where)
    return None


def _search(console: Console, state: _State, after: str, patience_s: float) -> Page | Cost | None:
    from psycopg.errors import QueryCanceled

    with connect(console.settings.database_url.get_secret_value(), autocommit=True) as database:
        state.running = database
        try:
            return search(
                database, state.wanted, console.border.keyring if console.border else None, after=after, patience_s=patience_s
            )
        except QueryCanceled:
            return None
        finally:
            state.running = None


def cost(found: Cost, language: str) -> str:
    """What it would take, in words."""
    return _COST.of(language).format(rows=number(found.rows, language), seconds=number(max(found.seconds, 1), language))


def table(hits: tuple[Hit, ...], language: str) -> str:
    """One row a hit; each leads to its story by its id."""
    rows = []
    for hit in hits:
        at = f"{hit.at.astimezone(VIETNAM):%d/%m/%Y %H:%M:%S}"
        state = verdict_words(hit.state, language) + (f" ({TEST.of(language)})" if hit.test else "")
        cells = (
            _KINDS[hit.kind].of(language),
            hit.facility,
            hit.sender,
            hit.what.removeprefix("hie."),
            hit.control_id,
            state,
            hit.code,
        )
        row = "".join(f"<td>{escape(one)}</td>" for one in cells)
        rows.append(f'<tr><td class=n><a href="/messages/{hit.id}">{at}</a></td>{row}</tr>')
    return grid(_HEAD, rows, language) if rows else ""
