"""Dead letters and parked keys: by cause, what would happen, and the change."""

import asyncio
import re
from dataclasses import dataclass
from html import escape
from threading import Event as Stop
from typing import Any, Final

from nicegui import ui
from psycopg.errors import QueryCanceled

from hub.access.people import Right
from hub.bus import Wire
from hub.console import actions
from hub.console.change import Say, Work, change
from hub.console.pages.message import OWN
from hub.console.shell import Console, grid, html
from hub.console.words import Words, shown_time, why
from hub.journal.dead_letters import causes, count, find
from hub.routing import parking
from hub.store.database import connect

PATH: Final = "/dead-letters"
TITLE: Final = Words(vi="Thư chết và khóa tạm giữ", en="Dead letters and parked keys")
RIGHT: Final[Right] = "see"

_DEAD: Final = Words(vi="Thư chết đang mở, theo nguyên nhân", en="Open dead letters, by cause")
_PARKED: Final = Words(vi="Khóa tạm giữ", en="Parked keys")
_NONE: Final = Words(vi="Không có.", en="There are none.")
_MOST: Final = 200
_LIMIT_MS: Final = 10_000
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_BOUND: Final = Words(
    vi="Số lượng là của tất cả; dưới đây là {most} khóa chờ lâu nhất.",
    en="Counts are of all; below are the {most} keys that wait longest.",
)
_LONG: Final = Words(
    vi="Quá nhiều khóa để đếm nhanh; hãy ghi mã sự kiện.", en="Too many keys to be counted soon; say the id of an event."
)
_EVENT: Final = Words(vi="Mã của một sự kiện đang tạm giữ", en="Id of an event that is parked")
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
_WOULD_GO: Final = Words(
    vi="{count} sự kiện sẽ đi tiếp theo thứ tự, kết quả trên là của sự kiện đầu; chưa làm gì.",
    en="{count} events would go on in order, the above is of the first; nothing was done.",
)
_WENT: Final = Words(vi="{count} sự kiện đã đi tiếp.", en="{count} events went on.")
_WOULD_GIVE_UP: Final = Words(
    vi="1 sự kiện sẽ bị bỏ, {behind} sự kiện sau nó sẽ đi tiếp; chưa làm gì.",
    en="1 event would be given up, and the {behind} behind it go on; nothing was done.",
)
_GAVE_UP: Final = Words(
    vi="1 sự kiện đã bị bỏ, {behind} sự kiện sau nó đã đi tiếp.", en="1 event was given up, and the {behind} behind it went on."
)
_ON_ITS_WAY: Final = Words(
    vi="Không còn gì chờ ở đây, hoặc vừa được cho đi tiếp; chưa làm gì.",
    en="Nothing waits here any more, or it has just gone on its way; nothing was done.",
)
_BEHIND: Final = Words(
    vi="Sự kiện này chờ sau {first}: hãy chọn sự kiện đó; chưa làm gì.",
    en="This event waits behind {first}: choose that one; nothing was done.",
)
_EDIT: Final = Words(vi="Sửa trường", en="Mend fields")
_CHANGES: Final = Words(vi="TRƯỜNG=GIÁ TRỊ, mỗi dòng một trường", en="FIELD=VALUE, a line each")
_WRITE_SO: Final = Words(
    vi="Ghi TRƯỜNG=GIÁ TRỊ, ví dụ ma_cskcb_den=01004; TRƯỜNG= là để trống. Chưa làm gì.",
    en="Write FIELD=VALUE, such as ma_cskcb_den=01004; FIELD= empties it. Nothing was done.",
)
_CHANGE: Final = Words(vi="đổi: {fields}", en="changes: {fields}")
_ELSEWHERE: Final = Words(vi="cũng đứng ở {fields}, vẫn giữ nguyên", en="the same stands in {fields}, which stays as it is")
_WOULD_MEND: Final = Words(
    vi="1 sự kiện sẽ được thay, kết quả trên là khi cho nó đi tiếp; chưa làm gì.",
    en="1 event would be replaced, the above is what follows once it is released; nothing was done.",
)
_MENDED: Final = Words(
    vi="1 sự kiện đã được thay bằng {id}, và chờ đến khi được cho đi tiếp.",
    en="1 event was replaced by {id}, which waits on until it is released.",
)
_DEAD_HEAD: Final = (
    Words(vi="Nguyên nhân", en="Cause"), Words(vi="Chặng", en="Stage"), Words(vi="Topic", en="Topic"),
    Words(vi="Số thư", en="Letters"), Words(vi="Đầu tiên", en="First"), Words(vi="Gần nhất", en="Last"),
)  # fmt: skip
_PARKED_HEAD: Final = (
    Words(vi="Topic", en="Topic"), Words(vi="Chờ vì", en="Waits for"), Words(vi="Số sự kiện", en="Events"), Words(vi="Từ", en="Since"),
    Words(vi="Sự kiện", en="Event"),
)  # fmt: skip
_CAUSES_HEAD: Final = (
    *_PARKED_HEAD[:2], Words(vi="Số khóa", en="Keys"), *_PARKED_HEAD[2:4],
)  # fmt: skip


async def page(console: Console) -> None:
    """What is open; whoever may act gets the forms below."""
    person = console.person()
    language = person.language
    if person.role not in OWN:
        return
    seen = await asyncio.to_thread(look, console)
    html(escape(_DEAD.of(language)), "h2")
    open_letters = html(dead_table(seen.dead, language)).classes("hie-scroll")
    html(escape(_PARKED.of(language)), "h2")
    keys_parked = html(parked_part(seen, language)).classes("hie-scroll")
    if not person.may("act"):
        return

    async def again() -> None:
        left = await asyncio.to_thread(look, console)
        open_letters.set_content(dead_table(left.dead, language))
        keys_parked.set_content(parked_part(left, language))
        if seen.dead:
            offered = _causes(left.dead)
            cause.set_options(offered, value=cause.value if cause.value in offered else next(iter(offered), None))

    if seen.dead:
        named = _causes(seen.dead)
        cause = ui.select(named, value=next(iter(named)), label=_CHOOSE.of(language)).props("dense outlined")
        for title, action in ((_REDRIVE, "redrive"), (_TRANSLATE, "translate"), (_DISCARD, "discard")):
            work = dead_work(console, person, action)
            change(person, title.of(language), work, again, (cause,), lambda: cause.value)
    if seen.parked or seen.long:
        first = str(seen.parked[0]["event_id"] or "") if seen.parked else ""
        one = ui.input(_EVENT.of(language), value=first).props("dense outlined maxlength=36").style("min-width: 24rem")
        for title, action in ((_RELEASE, "release"), (_DISCARD, "discard")):
            work = parked_work(console, person, action)
            change(person, title.of(language), work, again, (one,), lambda: str(one.value or "").strip())
        fields = ui.textarea(_CHANGES.of(language)).props(
            "dense outlined autogrow maxlength=2000 autocomplete=off spellcheck=false"
        )
        change(
            person,
            _EDIT.of(language),
            edit_work(console, person),
            again,
            (one, fields),
            lambda: (str(one.value or "").strip(), str(fields.value or "")),
        )


def _causes(rows: list[dict[str, Any]]) -> dict[tuple[str, str, str], str]:
    """What can be chosen: stage, code and topic, and what stands there."""
    return {
        (row["stage"], row["code"], row["topic"]): f"{row['code']} · {row['stage']} · {row['topic']} · {row['letters']}"
        for row in rows
    }


@dataclass(frozen=True, slots=True)
class Seen:
    """What the page shows.

    dead:   causes of dead letters. causes: of parked keys, all of them. parked: the keys that wait longest.
    long:   what is parked took too long to count, and stayed empty.
    """

    dead: list[dict[str, Any]]
    causes: list[dict[str, Any]]
    parked: list[dict[str, Any]]
    long: bool = False


def look(console: Console) -> Seen:
    """What is open and what waits, within a time."""
    with connect(console.settings.database_url.get_secret_value(), autocommit=True) as database:
        dead = causes(database)
        database.execute(f"set statement_timeout = {_LIMIT_MS}".encode())
        try:
            return Seen(dead, parking.causes(database), parking.waiting(database, _MOST))
        except QueryCanceled:
            return Seen(dead, [], [], long=True)


def dead_work(console: Console, person: Any, action: str) -> Work:
    """What is done with the open letters of a cause (stage, code, topic), the oldest 1,000: those whose effect was shown, and none
    that came since."""
    seen: list[str] = []

    def work(chosen: tuple[str, str, str] | None, do: bool, reason: str, stop: Stop, say: Say) -> str:
        if chosen is None:  # all are dealt with
            return _NONE.of(person.language)
        cause = dict(zip(("stage", "code", "topic"), chosen, strict=True))
        with actions.hand(console.settings, console.border.older, by=person.name, reason=reason) as hand:
            if do:
                some = [one for one in find(hand.database, seen) if not one.state] if seen else []
            else:
                some = actions.letters(hand.database, **cause)
                seen[:] = [one.id for one in some]
            every = max(count(hand.database, **cause), len(some))  # before: the index hears of what is done here only later
            dealt = 0
            going = (
                actions.discard(hand, some, do=do, stop=stop)
                if action == "discard"
                else actions.redrive(hand, some, do=do, translate=action == "translate", stop=stop)
            )
            for step in going:
                say(
                    f"{step.letter.id} {step.letter.topic}/{step.letter.partition}/{step.letter.offset}: {step.what.of(person.language)}"
                )
                dealt += step.dealt
        return (_DID if do else _WOULD).of(person.language).format(count=dealt, all=every, left=every - dealt)

    return work


def parked_work(console: Console, person: Any, action: str) -> Work:
    """What is done with the key that waits for this event; before it how many events that is, and what would follow from this one.
    Where the key waits for another by now, nothing is done."""
    would, did = (_WOULD_GO, _WENT) if action == "release" else (_WOULD_GIVE_UP, _GAVE_UP)

    def work(event_id: str, do: bool, reason: str, _stop: Stop, say: Say) -> str:
        keyring, language = console.border.keyring, person.language
        with connect(console.settings.database_url.get_secret_value()) as database:
            chosen, first = first_of(database, event_id)
            if chosen is None:
                return (_BEHIND if first else _ON_ITS_WAY).of(language).format(first=first)
            waits = parking.count(database, *chosen)
            if not do:
                followed = actions.foresee(database, Wire(console.settings.registry_url), keyring, *chosen)
        if do:
            with actions.hand(console.settings, console.border.older, by=person.name, reason=reason) as hand:
                if action == "release":
                    waits = actions.release(hand, *chosen, first)
                else:
                    actions.give_up(hand, keyring, *chosen, first)
            return did.of(language).format(count=waits, behind=max(waits - 1, 0))
        if not followed:
            return _ON_ITS_WAY.of(language)
        if action == "discard":
            say(f"dead-letter.v1 ← {chosen[0]} {first}")
        else:
            for row in followed:
                say(outcome(row, language))
        return would.of(language).format(count=waits, behind=max(waits - 1, 0))

    return work


def edit_work(console: Console, person: Any) -> Work:
    """Another event in the place of the one that a key waits for, with some fields set anew: `hie parked edit`. No value is shown."""

    def work(asked: tuple[str, str], do: bool, reason: str, _stop: Stop, say: Say) -> str:
        event_id, text = asked
        keyring, language = console.border.keyring, person.language
        changes = changes_of(text)
        if not changes:
            return _WRITE_SO.of(language)
        with connect(console.settings.database_url.get_secret_value()) as database:
            chosen, first = first_of(database, event_id)
            if chosen is None:
                return (_BEHIND if first else _ON_ITS_WAY).of(language).format(first=first)
            mended = actions.mended(database, Wire(console.settings.registry_url), keyring, *chosen, changes)
        say(_CHANGE.of(language).format(fields=", ".join(changes)))
        for others in mended.elsewhere.values():
            say("  " + _ELSEWHERE.of(language).format(fields=", ".join(others)))
        for one in mended.follows:
            say(outcome(one.as_dict(), language))
        if do:
            with actions.hand(console.settings, console.border.older, by=person.name, reason=reason) as hand:
                actions.edit(hand, keyring, chosen[0], mended.edited, changes)
        return (_MENDED if do else _WOULD_MEND).of(language).format(id=mended.edited["meta"]["event_id"])

    return work


def changes_of(text: str) -> dict[str, str]:
    """Field to its new value, of lines `FIELD=VALUE`; {} where a line is none."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}
    return said if all("=" in line for line in lines) and all(said) else {}


def first_of(database: Any, event_id: str) -> tuple[tuple[str, str] | None, str]:
    """Topic and key that wait for this event, with its id; None and the id of what it waits behind, or "" where nothing waits."""
    chosen = parking.key_of(database, event_id) if _UUID.fullmatch(event_id) else None
    first = parking.first_id(database, *chosen) or "" if chosen else ""
    return (chosen if first == event_id.lower() else None), first


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
        f"<tr><td>{escape(row['code'])}<div class=hie-soft>{escape(why(row['code'], language))}</div></td><td>{escape(row['stage'])}</td>"
        f"<td>{escape(row['topic'])}</td><td class=n>{row['letters']}</td>"
        f"<td class=n>{shown_time(row['first'])}</td><td class=n>{shown_time(row['last'])}</td></tr>"
        for row in rows
    )
    return _table(_DEAD_HEAD, body, language)


def parked_part(seen: Seen, language: str) -> str:
    """Causes of parked keys, and the keys that wait longest, each named by its oldest event."""
    if seen.long:
        return f"<p data-state=warn>{escape(_LONG.of(language))}</p>"
    counts = "".join(
        f"<tr><td>{escape(row['topic'])}</td><td>{escape(row['code'])}<div class=hie-soft>{escape(why(row['code'], language))}</div></td>"
        f"<td class=n>{row['keys']}</td><td class=n>{row['waiting']}</td><td class=n>{shown_time(row['since'])}</td></tr>"
        for row in seen.causes
    )
    keys = "".join(
        f"<tr><td>{escape(row['topic'])}</td><td>{escape(row['code'])}</td>"
        f"<td class=n>{row['waiting']}</td><td class=n>{shown_time(row['since'])}</td>"
        f'<td><a href="/messages/{row["event_id"]}">{row["event_id"]}</a></td></tr>'
        for row in seen.parked
    )
    if not keys:
        return _table(_PARKED_HEAD, "", language)
    bound = f"<p class=hie-soft>{escape(_BOUND.of(language).format(most=_MOST))}</p>"
    return _table(_CAUSES_HEAD, counts, language) + bound + _table(_PARKED_HEAD, keys, language)


def _table(head: tuple[Words, ...], body: str, language: str) -> str:
    if not body:
        return f"<p class=hie-soft>{escape(_NONE.of(language))}</p>"
    return grid(head, [body], language)
