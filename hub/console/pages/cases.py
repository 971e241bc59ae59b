"""Cases: referrals, laboratory results, claims; by number, or by facility, day and state. A number is sent by the page's own link."""

import asyncio
from datetime import timedelta
from html import escape
from typing import Any, Final, cast

from nicegui import ui

from hub.access.people import Right
from hub.console.case_look import PAGE, PARTS, STATES, WALKED, Case, Cases, Part, by_number, walk
from hub.console.pages.search import time_of
from hub.console.shell import CURRENT, FAULTS, Console, grid, html, sorry
from hub.console.words import TEST, Words, number, shown_time
from hub.store.database import connect

PATH: Final = "/cases"
TITLE: Final = Words(vi="Hồ sơ và giấy tờ", en="Cases")
RIGHT: Final[Right] = "see"

_PARTS: Final = {
    "referrals": Words(vi="Giấy chuyển", en="Referrals"),
    "results": Words(vi="Chỉ định, kết quả xét nghiệm", en="Laboratory orders and results"),
    "claims": Words(vi="Hồ sơ thanh toán", en="Claims"),
}
_NUMBERS: Final = {
    "referrals": Words(vi="Số giấy chuyển", en="Slip number"),
    "results": Words(vi="Số phiếu chỉ định, hoặc số kết quả", en="Order number, or the result's"),
    "claims": Words(vi="MA_LK", en="MA_LK"),
}
STATE_WORDS: Final = {
    "ISSUED": Words(vi="đã cấp", en="issued"),
    "MODIFIED": Words(vi="đã sửa", en="modified"),
    "ACCEPTED": Words(vi="được chấp nhận", en="accepted"),
    "REJECTED": Words(vi="bị từ chối", en="rejected"),
    "ARRIVED": Words(vi="người bệnh đã đến", en="the person has arrived"),
    "EXPIRED": Words(vi="hết hạn, chưa đến", en="expired, nobody arrived"),
    "CANCELLED": Words(vi="đã hủy", en="cancelled"),
    "PLACED": Words(vi="đã chỉ định", en="ordered"),
    "CHANGED": Words(vi="chỉ định đã sửa", en="order changed"),
    "HELD": Words(vi="chỉ định tạm dừng", en="order on hold"),
    "IN_PROGRESS": Words(vi="đang thực hiện", en="in progress"),
    "COMPLETED": Words(vi="đã thực hiện xong", en="performed"),
    "UNKNOWN": Words(vi="không đọc được (ORC-1)", en="cannot be read (ORC-1)"),
    "REFUSED": Words(vi="không thực hiện được", en="cannot be performed"),
    "P": Words(vi="kết quả sơ bộ", en="preliminary"),
    "F": Words(vi="kết quả cuối", en="final"),
    "C": Words(vi="kết quả đã sửa", en="corrected"),
    "X": Words(vi="kết quả bị hủy", en="result withdrawn"),
    "SUBMITTED": Words(vi="đã gửi, chưa quyết định", en="submitted, not decided"),
    "INFORMATION_REQUESTED": Words(vi="bên chi trả hỏi thêm", en="the payer asks for more"),
    "REDUCED": Words(vi="giảm trừ", en="reduced"),
    "PAID": Words(vi="đã thanh toán", en="paid"),
}
_FACILITY: Final = Words(vi="Cơ sở cấp số", en="Facility whose number it is")
_SENDER: Final = Words(vi="Cơ sở gửi", en="Facility that sent it")
_FROM: Final = Words(vi="Từ ngày (dd/mm/yyyy)", en="From day (dd/mm/yyyy)")
_TO: Final = Words(vi="Đến hết ngày", en="To the end of day")
_STATE: Final = Words(vi="Trạng thái", en="State")
_ANY: Final = Words(vi="mọi trạng thái", en="any state")
_FIND: Final = Words(vi="Tìm theo số", en="Find by number")
_LIST: Final = Words(vi="Liệt kê", en="List")
_MORE: Final = Words(vi="Trang sau", en="Next page")
_NOTHING: Final = Words(vi="Không tìm thấy gì.", en="Nothing was found.")
_WALKED: Final = Words(vi="{count} kết quả trong {walked} bản tin đã xem.", en="{count} found in {walked} messages looked at.")
_BOUND: Final = Words(
    vi=f"Một trang xem nhiều nhất {WALKED} bản tin và hiện nhiều nhất {PAGE} dòng, mới nhất trước.",
    en=f"A page looks at {WALKED} messages at most and shows {PAGE} rows at most, newest first.",
)
_HEAD: Final = (
    Words(vi="Bản tin mới nhất", en="Newest message"), Words(vi="Loại", en="Kind"), Words(vi="Cơ sở", en="Facility"),
    _STATE, Words(vi="Nơi đang giữ", en="Who has it"),
)  # fmt: skip


async def page(console: Console, part: str = "referrals") -> None:
    """One part of the three; its two forms, and what they find."""
    chosen = cast(Part, part if part in PARTS else PARTS[0])
    language = console.person().language
    links = "".join(
        f'<a href="{PATH}?part={name}"{CURRENT if name == chosen else ""}>{escape(words.of(language))}</a> '
        for name, words in _PARTS.items()
    )
    html(links, "nav").classes("hie-languages").props["aria-label"] = TITLE.of(language)
    with ui.element("div").classes("hie-form"):
        owner = _input(_FACILITY.of(language))
        name = _input(_NUMBERS[chosen].of(language)).props("autocomplete=off")
        find = ui.button(_FIND.of(language)).props("unelevated no-caps")
    with ui.element("div").classes("hie-form"):
        fields = [_input(words.of(language)) for words in (_SENDER, _FROM, _TO)]
        states = {"": _ANY.of(language)} | {one: in_words(one, language) for one in STATES[chosen]}
        state = ui.select(states, value="", label=_STATE.of(language)).props("dense outlined").style("min-width: 14rem")
        listing = ui.button(_LIST.of(language)).props("unelevated no-caps")
    html(escape(_BOUND.of(language))).classes("hie-soft")
    told = ui.label("").props("role=status")
    answer = html("").classes("hie-scroll")
    more = ui.button(_MORE.of(language)).props("unelevated no-caps outline")
    more.set_visibility(False)
    last: dict[str, Any] = {"said": (), "next": ""}  # what is listed, whatever the form says by now

    async def show(look: Any, *values: str) -> None:
        told.set_text("…")
        try:
            found: Cases = await asyncio.to_thread(look, console, chosen, *values)
        except FAULTS as wrong:
            told.set_text(sorry(wrong, language))
            return
        last["next"] = found.next
        told.set_text(summary(found, language))
        answer.set_content(table(found.found, language))
        more.set_visibility(bool(found.next))

    async def numbered() -> None:
        await show(_numbered, owner.value or "", name.value or "")

    async def listed() -> None:
        last["said"] = (*(field.value or "" for field in fields), state.value or "")
        await show(_listed, *last["said"], "")

    find.on_click(numbered)
    listing.on_click(listed)
    more.on_click(lambda: show(_listed, *last["said"], last["next"]))
    for field in (owner, name):
        field.on("keydown.enter", numbered)
    for field in fields:
        field.on("keydown.enter", listed)


def _input(label: str) -> ui.input:
    return ui.input(label).props("dense outlined maxlength=64")


def _numbered(console: Console, part: Part, facility: str, number: str) -> Cases:
    keyring = console.border.keyring if console.border else None
    with connect(console.settings.database_url.get_secret_value(), autocommit=True) as database:
        return by_number(database, part, facility.strip(), number.strip(), keyring)


def _listed(console: Console, part: Part, facility: str, first: str, last: str, state: str, after: str) -> Cases:
    since, until = time_of(first, "from"), time_of(last, "to")
    if until is not None and (until.hour, until.minute) == (0, 0):
        until += timedelta(days=1)  # a day, all of it
    with connect(console.settings.database_url.get_secret_value(), autocommit=True) as database:
        return walk(database, part, facility=facility.strip(), since=since, until=until, state=state, after=after)


def in_words(state: str, language: str) -> str:
    """A state with what it means: `ISSUED · issued`."""
    return f"{state} · {STATE_WORDS[state].of(language)}" if state in STATE_WORDS else state


def summary(found: Cases, language: str) -> str:
    """What was found, and in how much."""
    if not found.walked:
        return "" if found.found else _NOTHING.of(language)
    return _WALKED.of(language).format(count=number(len(found.found), language), walked=number(found.walked, language))


def table(found: tuple[Case, ...], language: str) -> str:
    """One row a case; each leads to its story by its id."""
    rows = [
        f'<tr><td class=n><a href="/cases/{case.event_id}">{shown_time(case.at, seconds=True)}</a></td>'
        f"<td>{escape(case.record.removeprefix('hie.'))}{f' ({TEST.of(language)})' if case.test else ''}</td>"
        f"<td>{escape(case.facility)}</td><td>{escape(in_words(case.state, language))}</td><td>{escape(case.holder)}</td></tr>"
        for case in found
    ]
    return grid(_HEAD, rows, language) if rows else ""
