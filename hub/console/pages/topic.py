"""One topic's records: from a time, from an offset, or of a key or an id; with the values of patients hidden."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import Final
from uuid import UUID

from nicegui import ui

from hub.access.people import Right
from hub.bus import Wire
from hub.console.records import MOST, Shown, at_places, from_offset, from_time, newest
from hub.console.shell import FAULTS, Console, grid, html, sorry
from hub.console.words import Words, number
from hub.contract.events import VIETNAM
from hub.contract.topics import topics

PATH: Final = "/topics/{name}"
TITLE: Final = Words(vi="Bản ghi của một chủ đề", en="Records of a topic")
RIGHT: Final[Right] = "see"

_BACK: Final = Words(vi="Tất cả chủ đề", en="All topics")
_FROM: Final = Words(vi="Từ lúc (giờ Việt Nam)", en="From (Vietnamese time)")
_PARTITION: Final = Words(vi="Phân vùng", en="Partition")
_OFFSET: Final = Words(vi="Offset", en="Offset")
_WHAT: Final = Words(vi="Khóa Kafka, mã sự kiện hoặc mã bản tin", en="Kafka key, event id or message id")
_LOOK: Final = Words(vi="Xem", en="Look")
_NONE: Final = Words(vi="Không có bản ghi nào ở đây.", en="There is no record here.")
_WRONG: Final = Words(
    vi="Không đọc được: hãy xem lại thời gian, số hoặc mã.", en="Not understood: check the time, the number or the id."
)
_UNKNOWN: Final = Words(vi="Không có chủ đề này.", en="There is no such topic.")
_HIDDEN: Final = Words(
    vi="••• là giá trị được che. Nội dung bản tin xem ở trang của từng bản tin.",
    en="••• is a value that is hidden. What a message says is on the page of that message.",
)
_HEAD: Final = (
    Words(vi="Lúc", en="At"), _PARTITION, _OFFSET, Words(vi="Khóa", en="Key"), Words(vi="Byte", en="Bytes"), Words(vi="Giá trị", en="Value"),
)  # fmt: skip
_NUMBERS: Final = (1, 2, 4)
_OFFSET_MAX: Final = 2**63 - 1
_PLACES: Final = """
select partition, record_offset from journal_event where topic = %(topic)s and {} = %(what)s order by recorded_at desc limit 50"""
_MESSAGE: Final = "select partition, record_offset from journal_message where topic = %(topic)s and message_id = %(what)s"


async def page(console: Console, name: str) -> None:
    """The newest, and the form. What is typed is sent by the page's own link, never in an address: it may be anything."""
    language = console.person().language
    if name not in topics():
        html(escape(_UNKNOWN.of(language)), "p")
        return
    html(
        f'<a href="/topics">{escape(_BACK.of(language))}</a> · <strong>{name}</strong> · <code>{topics()[name].record}</code>',
        "p",
    )
    most = topics()[name].partitions - 1
    with ui.element("div").classes("hie-form"):
        at = ui.input(_FROM.of(language)).props("dense outlined stack-label type=datetime-local step=1")
        partition = ui.input(_PARTITION.of(language)).props(f"dense outlined type=number min=0 max={most}")
        offset = ui.input(_OFFSET.of(language)).props("dense outlined type=number min=0")
        what = ui.input(_WHAT.of(language)).props("dense outlined maxlength=128 autocomplete=off").style("min-width: 22rem")
        look = ui.button(_LOOK.of(language)).props("unelevated no-caps")
    shown = html("").classes("hie-scroll")
    html(escape(_HIDDEN.of(language)), "p").classes("hie-soft")

    async def go() -> None:
        look.disable()
        try:
            said = (str(field.value or "").strip() for field in (at, partition, offset, what))
            shown.set_content(await answer(console, name, *said, language=language))
        finally:
            look.enable()

    look.on_click(go)
    for field in (at, partition, offset, what):
        field.on("keydown.enter", go)
    shown.set_content(await answer(console, name, language=language))


async def answer(
    console: Console, name: str, at: str = "", partition: str = "", offset: str = "", what: str = "", *, language: str
) -> str:
    """The records as a table, or why there is none.

    at:   local time of Vietnam, as a browser's field gives it.
    what: a key (a hash) or an id; never a business key.
    """
    try:
        found = await _found(console, name, at, partition, offset, what)
    except ValueError:
        return f"<p class=hie-notice>{escape(_WRONG.of(language))}</p>"
    except FAULTS as wrong:
        return f"<p class=hie-notice>{escape(sorry(wrong, language))}</p>"
    return _table(found, language) if found else escape(_NONE.of(language))


async def _found(console: Console, name: str, at: str, partition: str, offset: str, what: str) -> list[Shown]:
    """Raises: ValueError for what is no time, number or id; `FAULTS`."""
    kafka, wire = console.settings.kafka, Wire(console.settings.registry_url)
    if what:
        return await asyncio.to_thread(at_places, kafka, wire, name, await _places(console, name, what.strip()))
    if offset:
        number_of, place = int(partition or "0"), int(offset)
        if not 0 <= number_of < topics()[name].partitions or not 0 <= place <= _OFFSET_MAX:
            raise ValueError
        return await asyncio.to_thread(from_offset, kafka, wire, name, number_of, place)
    if at:
        return await asyncio.to_thread(from_time, kafka, wire, name, datetime.fromisoformat(at).replace(tzinfo=VIETNAM))
    return await asyncio.to_thread(newest, kafka, wire, name)


async def _places(console: Console, topic: str, what: str) -> Sequence[tuple[int, int]]:
    """Where the journal's index has them: nothing is searched through. Raises: ValueError; `FAULTS`."""
    if "\x00" in what:
        raise ValueError
    if ":" in what:
        queries = [_PLACES.format("key")]
    else:
        UUID(what)
        queries = [_MESSAGE, _PLACES.format("event_id"), _PLACES.format("message_id")]
    async with console.pool.connection(2.0) as database:
        for query in queries:
            if rows := await (await database.execute(query, {"topic": topic, "what": what})).fetchall():
                return [(row[0], row[1]) for row in rows]
    return []


def _table(found: Sequence[Shown], language: str) -> str:
    rows = (
        f'<tr><td class="n">{one.at.astimezone(VIETNAM):%d/%m/%Y %H:%M:%S}</td><td class="n">{one.partition}</td><td class="n">{one.offset}</td>'
        f'<td><code>{escape(one.key)}</code></td><td class="n">{number(one.size, language)}</td><td>{_value(one)}</td></tr>'
        for one in found[:MOST]
    )
    return grid(_HEAD, rows, language, _NUMBERS)


def _value(one: Shown) -> str:
    """The tree, closed at first: a table of fifty trees would be nobody's to read."""
    lines = "".join(f"<div>{escape(path)} = {escape(text)}</div>" for path, text in one.tree)
    headers = "".join(f"<div>{escape(name)}: {escape(text)}</div>" for name, text in one.headers)
    return f'<details><summary><code>{escape(one.record)}</code></summary><div class="hie-tree">{headers}{lines}</div></details>'
