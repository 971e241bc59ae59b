"""Recipients: what waits for whom, when each was last heard of, who is paused and why; pausing and resuming."""

import asyncio
from html import escape
from threading import Event as Stop
from typing import Any, Final

from nicegui import ui
from psycopg.rows import dict_row

from hub.access.people import Right
from hub.console.change import Say, Work, change
from hub.console.pages.message import OWN
from hub.console.shell import Console, grid, html
from hub.console.words import Words, number, shown_time
from hub.contract.directory import facilities
from hub.store.database import connect

PATH: Final = "/recipients"
TITLE: Final = Words(vi="Nơi nhận", en="Recipients")
RIGHT: Final[Right] = "see"

_CODE: Final = Words(vi="Mã cơ sở", en="Facility code")
_TEST: Final = Words(vi="Hộp thư thử nghiệm", en="Its mailbox of test traffic")
_PAUSE: Final = Words(vi="Tạm dừng giao", en="Pause deliveries")
_RESUME: Final = Words(vi="Giao tiếp", en="Resume deliveries")
_EFFECT: Final = Words(vi="{code}: {waiting} lượt giao đang chờ; {state}.", en="{code}: {waiting} deliveries wait; {state}.")
_IS_PAUSED: Final = Words(vi="đang tạm dừng", en="it is paused")
_GOES: Final = Words(vi="đang giao", en="it gets its deliveries")
_UNKNOWN: Final = Words(
    vi="Hub không biết cơ sở này; chưa làm gì.", en="The hub knows no facility of this code; nothing was done."
)
_MOST: Final = 200
_BOUND: Final = Words(
    vi="Hiện {most} nơi nhận đang tạm dừng hoặc có nhiều lượt chờ nhất; nơi khác xem bằng mã ở dưới.",
    en="Shown are the {most} that are paused or have most waiting; others are seen by their code below.",
)
_DONE: Final = Words(vi="Xong.", en="Done.")
_UNCHANGED: Final = Words(vi="Không có gì thay đổi.", en="Nothing changed.")
_HEAD: Final = (
    Words(vi="Nơi nhận", en="Recipient"), Words(vi="Chưa giao", en="Not handed over"), Words(vi="Chờ từ", en="Oldest"),
    Words(vi="Trả lời lần cuối", en="Last heard"), Words(vi="Tạm dừng từ", en="Paused since"), Words(vi="Bởi", en="By"), Words(vi="Lý do", en="Why"),
)  # fmt: skip
# What waits is in an index of its own. For the last word the newest deliveries are gone through until some have one: no more than
# wait are passed by, and these were counted.
_LIST: Final = """
with waits as (
    select recipient || case when test then '!test' else '' end as code, count(*) as waiting, min(recorded_at) as oldest
    from journal_delivery where state in ('', 'QUEUED') and recipient <> '' group by 1
), listed as (
    select coalesce(waits.code, recipient.code) as code, coalesce(waiting, 0) as waiting, oldest, paused_at,
           coalesce(paused_by, '') as paused_by, coalesce(paused_reason, '') as paused_reason
    from waits full join recipient on recipient.code = waits.code
    order by paused_at nulls last, waiting desc nulls last, 1 limit %(most)s
)
select listed.*, (select max(state_at) from (
    select state_at from journal_delivery
    where recipient = replace(listed.code, '!test', '') and test = (right(listed.code, 5) = '!test') and state in ('ACKNOWLEDGED', 'REFUSED')
    order by recorded_at desc limit 20) as latest) as heard
from listed order by paused_at nulls last, waiting desc, code
"""
_ONE: Final = """
select (select count(*) from journal_delivery where state in ('', 'QUEUED') and recipient = %(facility)s and test = %(test)s) as waiting,
       (select paused_at from recipient where code = %(code)s) as paused_at,
       exists (select from recipient where code = %(code)s)
       or exists (select from journal_delivery where recipient = %(facility)s) as known
"""


async def page(console: Console) -> None:
    """The list, those that are paused and those with most waiting first; for who may act the form."""
    person = console.person()
    language = person.language
    if person.role not in OWN:
        return
    rows = await asyncio.to_thread(look, console)
    shown = html(table(rows, language)).classes("hie-scroll")
    if len(rows) == _MOST:
        html(escape(_BOUND.of(language).format(most=_MOST)), "p").classes("hie-soft")
    if not person.may("act"):
        return
    with ui.element("div").classes("hie-form"):
        code = ui.input(_CODE.of(language)).props("dense outlined")
        test = ui.checkbox(_TEST.of(language))

    async def again() -> None:
        shown.set_content(table(await asyncio.to_thread(look, console), language))

    for title, action in ((_PAUSE, "pause"), (_RESUME, "resume")):
        doing = work(console, person, action)
        change(person, title.of(language), doing, again, (code, test), lambda: ((code.value or "").strip(), bool(test.value)))


def look(console: Console) -> list[dict[str, Any]]:
    """One row a mailbox: code, waiting, oldest, heard, paused_at, paused_by, paused_reason."""
    with connect(console.settings.database_url.get_secret_value()) as database:
        return database.cursor(row_factory=dict_row).execute(_LIST, {"most": _MOST}).fetchall()


def look_at(console: Console, code: str, test: bool) -> dict[str, Any] | None:
    """One mailbox, listed or not: waiting, paused_at. None where neither directory nor hub knows the facility."""
    asked = {"facility": code, "test": test, "code": code + "!test" if test else code}
    with connect(console.settings.database_url.get_secret_value()) as database:
        row = database.cursor(row_factory=dict_row).execute(_ONE, asked).fetchone()
    return row if row and (row["known"] or code in facilities()) else None


def work(console: Console, person: Any, action: str) -> Work:
    """Pausing or resuming one mailbox, chosen by its facility and whether it is the test one's; before it how it stands."""

    def done(chosen: tuple[str, bool], do: bool, reason: str, _stop: Stop, say: Say) -> str:
        code, test = chosen
        if not do:
            row = look_at(console, code, test)
            if row is None:
                return _UNKNOWN.of(person.language)
            state = (_IS_PAUSED if row["paused_at"] else _GOES).of(person.language)
            say(_EFFECT.of(person.language).format(code=code, waiting=row["waiting"], state=state))
            return ""
        change = console.border.pause if action == "pause" else console.border.resume
        return (_DONE if change(code, test, person.name, reason) else _UNCHANGED).of(person.language)

    return done


def table(rows: list[dict[str, Any]], language: str) -> str:
    """One row a mailbox."""

    return grid(
        _HEAD,
        (
            f"<tr{' data-state=warn' if row['paused_at'] else ''}><td>{escape(row['code'])}</td><td class=n>{number(row['waiting'], language)}</td>"
            f"<td class=n>{shown_time(row['oldest'])}</td><td class=n>{shown_time(row['heard'])}</td><td class=n>{shown_time(row['paused_at'])}</td>"
            f"<td>{escape(row['paused_by'])}</td><td>{escape(row['paused_reason'])}</td></tr>"
            for row in rows
        ),
        language,
    )
