"""Dead letters and parked keys: by cause, what would happen, and the change."""

import asyncio
from html import escape
from threading import Event as Stop
from typing import Any, Final

from nicegui import ui

from hub.access.people import Right
from hub.bus import Wire
from hub.console import actions
from hub.console.change import Say, Work, change
from hub.console.pages.message import OWN
from hub.console.shell import Console, html
from hub.console.words import Words
from hub.contract.errors import ERRORS
from hub.contract.events import VIETNAM
from hub.journal.dead_letters import causes, count
from hub.routing import parking
from hub.store.database import connect

PATH: Final = "/dead-letters"
TITLE: Final = Words(vi="Thư chết và khóa tạm giữ", en="Dead letters and parked keys")
RIGHT: Final[Right] = "see"

_DEAD: Final = Words(vi="Thư chết đang mở, theo nguyên nhân", en="Open dead letters, by cause")
_PARKED: Final = Words(vi="Khóa tạm giữ", en="Parked keys")
_NONE: Final = Words(vi="Không có.", en="There are none.")
_CHOOSE: Final = Words(vi="Chọn", en="Choose")
_REDRIVE: Final = Words(vi="Gửi lại", en="Redrive")
_TRANSLATE: Final = Words(vi="Dịch lại bằng phương ngữ hôm nay", en="Translate again by today's dialects")
_DISCARD: Final = Words(vi="Bỏ hẳn", en="Discard for good")
_RELEASE: Final = Words(vi="Cho đi tiếp", en="Release")
_WOULD: Final = Words(
    vi="{count} sẽ được xử lý, trong {all} đang mở; chưa làm gì.",
    en="{count} would be dealt with, of {all} that are open; nothing was done.",
)
_DID: Final = Words(vi="{count} đã được xử lý, {left} vẫn còn.", en="{count} dealt with, {left} still there.")
_EDIT: Final = Words(vi="Sửa một trường: hie parked edit", en="To mend a field: hie parked edit")
_DEAD_HEAD: Final = (
    Words(vi="Nguyên nhân", en="Cause"), Words(vi="Chặng", en="Stage"), Words(vi="Topic", en="Topic"),
    Words(vi="Số thư", en="Letters"), Words(vi="Đầu tiên", en="First"), Words(vi="Gần nhất", en="Last"),
)  # fmt: skip
_PARKED_HEAD: Final = (
    Words(vi="Topic", en="Topic"), Words(vi="Chờ vì", en="Waits for"), Words(vi="Số sự kiện", en="Events"), Words(vi="Từ", en="Since"),
    Words(vi="Sự kiện", en="Event"),
)  # fmt: skip


async def page(console: Console) -> None:
    """What is open; whoever may act gets the forms below."""
    person = console.person()
    language = person.language
    if person.role not in OWN:
        return
    dead, parked = await asyncio.to_thread(look, console)
    html(escape(_DEAD.of(language)), "h2")
    open_letters = html(dead_table(dead, language)).classes("hie-scroll")
    html(escape(_PARKED.of(language)), "h2")
    keys_parked = html(parked_table(parked, language)).classes("hie-scroll")
    if not person.may("act"):
        return

    async def again() -> None:
        left, still = await asyncio.to_thread(look, console)
        open_letters.set_content(dead_table(left, language))
        keys_parked.set_content(parked_table(still, language))

    if dead:
        named = {
            f"{row['code']} · {row['stage']} · {row['topic']} · {row['letters']}": (row["stage"], row["code"], row["topic"])
            for row in dead
        }
        cause = ui.select(list(named), value=next(iter(named)), label=_CHOOSE.of(language)).props("dense outlined")
        for title, action in ((_REDRIVE, "redrive"), (_TRANSLATE, "translate"), (_DISCARD, "discard")):
            work = dead_work(console, person, action)
            change(person, title.of(language), work, again, (cause,), lambda: named[str(cause.value)])
    if parked:
        keys = {f"{row['topic']} · {row['code']} · {row['event_id']}": (row["topic"], row["key"]) for row in parked}
        one = ui.select(list(keys), value=next(iter(keys)), label=_CHOOSE.of(language)).props("dense outlined")
        for title, action in ((_RELEASE, "release"), (_DISCARD, "discard")):
            work = parked_work(console, person, action)
            change(person, title.of(language), work, again, (one,), lambda: keys[str(one.value)])
        html(f"<code>{escape(_EDIT.of(language))}</code>")


def look(console: Console) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Causes of dead letters, and parked keys."""
    with connect(console.settings.database_url.get_secret_value()) as database:
        return causes(database), parking.waiting(database)


def dead_work(console: Console, person: Any, action: str) -> Work:
    """What is done with the open letters of a cause (stage, code, topic), the oldest 1,000."""

    def work(chosen: tuple[str, str, str], do: bool, reason: str, stop: Stop, say: Say) -> str:
        cause = dict(zip(("stage", "code", "topic"), chosen, strict=True))
        with actions.hand(console.settings, console.border.older, by=person.name, reason=reason) as hand:
            some = actions.letters(hand.database, **cause)
            every = max(count(hand.database, **cause), len(some))  # before: the index hears of what is done here only later
            dealt = 0
            going = (
                actions.discard(hand, some, do=do, stop=stop)
                if action == "discard"
                else actions.redrive(hand, some, do=do, translate=action == "translate", stop=stop)
            )
            for step in going:
                say(f"{step.letter.id} {step.letter.topic}/{step.letter.partition}/{step.letter.offset}: {step.what}")
                dealt += step.dealt
        return (_DID if do else _WOULD).of(person.language).format(count=dealt, all=every, left=every - dealt)

    return work


def parked_work(console: Console, person: Any, action: str) -> Work:
    """What is done with one parked key; before it what would follow from its release."""

    def work(chosen: tuple[str, str], do: bool, reason: str, _stop: Stop, say: Say) -> str:
        topic, key = chosen
        keyring = console.border.keyring
        if not do:
            with connect(console.settings.database_url.get_secret_value()) as database:
                followed = actions.foresee(database, Wire(console.settings.registry_url), keyring, topic, key)
            if action == "discard":
                say("dead-letter.v1 ← " + topic)
            else:
                for row in followed:
                    say(outcome(row, person.language))
            return _WOULD.of(person.language).format(count=len(followed) and 1, all=0)
        with actions.hand(console.settings, console.border.older, by=person.name, reason=reason) as hand:
            moved = actions.release(hand, topic, key) if action == "release" else actions.give_up(hand, keyring, topic, key)
        return _DID.of(person.language).format(count=moved, left=0)

    return work


def outcome(row: dict[str, Any], language: str) -> str:
    """What would follow from one event, in words."""
    lines = [f"{row['record']}"]
    lines += [
        f"  {one['kind']} {one['to']} ({one['rule']}): {one['en' if language == 'en' else 'vi']}" for one in row["outcomes"]
    ]
    if row["parked"]:
        lines.append(f"  {row['parked']['code']}: {row['parked']['en' if language == 'en' else 'vi']}")
    return "\n".join(lines)


def dead_table(rows: list[dict[str, Any]], language: str) -> str:
    """One row a cause; the oldest letters' ids for `hie dead show`."""
    body = "".join(
        f"<tr><td>{escape(row['code'])}<div class=hie-soft>{escape(_why(row['code'], language))}</div></td><td>{escape(row['stage'])}</td>"
        f"<td>{escape(row['topic'])}</td><td class=n>{row['letters']}</td>"
        f"<td class=n>{row['first'].astimezone(VIETNAM):%d/%m/%Y %H:%M}</td><td class=n>{row['last'].astimezone(VIETNAM):%d/%m/%Y %H:%M}</td></tr>"
        for row in rows
    )
    return _table(_DEAD_HEAD, body, language)


def parked_table(rows: list[dict[str, Any]], language: str) -> str:
    """One row a key, named by its oldest event."""
    body = "".join(
        f"<tr><td>{escape(row['topic'])}</td><td>{escape(row['code'])}<div class=hie-soft>{escape(_why(row['code'], language))}</div></td>"
        f"<td class=n>{row['waiting']}</td><td class=n>{row['since'].astimezone(VIETNAM):%d/%m/%Y %H:%M}</td>"
        f'<td><a href="/messages/{row["event_id"]}">{row["event_id"]}</a></td></tr>'
        for row in rows
    )
    return _table(_PARKED_HEAD, body, language)


def _why(code: str, language: str) -> str:
    return (ERRORS[code].en if language == "en" else ERRORS[code].vi) if code in ERRORS else ""


def _table(head: tuple[Words, ...], body: str, language: str) -> str:
    if not body:
        return f"<p class=hie-soft>{escape(_NONE.of(language))}</p>"
    return f"<table class=hie><thead><tr>{''.join(f'<th>{escape(one.of(language))}</th>' for one in head)}</tr></thead><tbody>{body}</tbody></table>"
