"""A place to paste a message: it is read as the front door would, always as a test, and kept nowhere unless it is sent as one.

What is pasted comes over the page's own link: it stands in no address, no log and no title.
"""

import json
import re
from dataclasses import dataclass
from html import escape
from typing import Any, Final

import psycopg
from nicegui import ui

from hub.access.people import Person, Right, note
from hub.console.border import Reading, Sent
from hub.console.kept import away
from hub.console.pages.message import OWN, reading, troubles
from hub.console.shell import FAULTS, Console, html, sorry
from hub.console.words import Words
from hub.contract.errors import HubError

PATH: Final = "/try"
TITLE: Final = Words(vi="Dán thử một bản tin", en="Try a message")
RIGHT: Final[Right] = "see"
SCOPED: Final = "vendor"

_CHARACTERS_MAX: Final = 100_000  # what a page sends is one message of its link, which takes 1 MiB
_EVENT_SHOWN: Final = 20_000  # characters of an event
_FOLLOWS_SHOWN: Final = 200  # events of which it is said who gets them
_LINE_END: Final = re.compile(r"\r\n|\n")
_AROUND: Final = "\ufeff\x0b\x1c \r\n\t"
_REASON: Final = "pasted on the page of one's own"

_ABOUT: Final = Words(
    vi="Bản tin được đọc như khi gửi đến hub, luôn là thử nghiệm; không lưu và không gửi đi đâu, trừ khi bạn chọn gửi thử. "
    "Văn bản dán vào luôn đến bằng UTF-8, nên bảng mã thật của hệ thống không thử được ở đây.",
    en="The message is read as the hub's front door reads it, always as a test; it is kept and sent nowhere unless you send it as a test. "
    "Pasted text always comes in UTF-8, so your system's own charset cannot be tried here.",
)
_SENDER: Final = Words(vi="Nguồn gửi", en="Sender")
_TEXT: Final = Words(vi="Bản tin: HL7 v2, XML hoặc JSON", en="Message: HL7 v2, XML or JSON")
_READ: Final = Words(vi="Đọc thử", en="Read it")
_SEND: Final = Words(vi="Gửi thử", en="Send as test")
_LONG: Final = Words(
    vi=f"Dài quá {_CHARACTERS_MAX:,} ký tự: hãy gửi thử qua đường gửi của hệ thống.".replace(",", "."),
    en=f"Longer than {_CHARACTERS_MAX:,} characters: send it as a test by your system's own link.",
)
_EMPTY: Final = Words(vi="Hãy dán một bản tin.", en="Paste a message.")
_NONE: Final = Words(vi="Không có nguồn gửi nào mang tên này.", en="There is no sender of this name.")
_VERDICTS: Final = {
    "translated": Words(vi="Hub hiểu bản tin này.", en="The hub understands this message."),
    "refused": Words(vi="Hub sẽ từ chối bản tin này.", en="The hub would refuse this message."),
    "quarantined": Words(vi="Hub sẽ cách ly bản tin này.", en="The hub would put this message into quarantine."),
}
_BECOMES: Final = Words(vi="Sẽ thành gì, đến đâu", en="What it becomes, and who gets it")
_AGAIN: Final = Words(vi="đã nhận trước đó: không có tác dụng gì thêm", en="was taken already: no further effect")
_WAITS: Final = Words(vi="sẽ chờ: {code}", en="would wait: {code}")
_WHOLE: Final = Words(vi="Sự kiện đầy đủ", en="The whole event")
_FIELDS: Final = Words(vi="Các trường", en="Its fields")
_SENT: Final = Words(vi="Đã gửi thử: {verdict} {ack}.", en="Sent as a test: {verdict} {ack}.")
_STORY: Final = Words(vi="Xem diễn biến", en="See its story")


@dataclass
class _Pasted:
    """What was read last, and in whose name: only that can be sent."""

    raw: bytes = b""
    sender: str = ""


async def page(console: Console, sender: str = "") -> None:
    """The form; how the message is read below it."""
    person, pasted = console.person(), _Pasted()
    language = person.language
    chosen = sender if sender in person.scope else person.scope[0] if person.scope else ""
    html(escape(_ABOUT.of(language)), "p").classes("hie-soft")
    whose: Any
    if person.role in OWN:
        whose = ui.input(_SENDER.of(language)).props("dense outlined maxlength=64")
    else:
        whose = ui.select(list(person.scope), value=chosen, label=_SENDER.of(language)).props("dense outlined")
    text = ui.textarea(_TEXT.of(language)).props(
        f"outlined debounce=300 maxlength={_CHARACTERS_MAX} input-class=hie-paste spellcheck=false autocomplete=off rows=10"
    )
    with ui.element("div").classes("hie-form"):
        read = ui.button(_READ.of(language)).props("unelevated no-caps")
        send = ui.button(_SEND.of(language)).props("unelevated no-caps outline")
    send.set_visibility(may_send(person))
    send.disable()
    told = html("").props("role=status")
    answer = html("").classes("hie-scroll")

    async def look() -> None:
        send.disable()
        answer.set_content("")
        said = text.value, whose.value
        pasted.raw, pasted.sender = as_bytes(str(text.value or "")), str(whose.value or "").strip()
        if refusal := check(person, pasted.sender, pasted.raw):
            told.set_content(escape(refusal))
            return
        told.set_content("…")
        read.disable()  # one at a time
        try:
            one, page = await away(person, _read, console, pasted, language)
        except FAULTS as wrong:
            told.set_content(escape(sorry(wrong, language)))
            return
        finally:
            read.enable()
        told.set_content(escape(f"{_VERDICTS[one.verdict].of(language)} {one.dialect} · {one.ack}"))
        answer.set_content(page)
        if said == (text.value, whose.value):
            send.enable()

    async def go() -> None:
        send.disable()
        if check(person, pasted.sender, pasted.raw) or not may_send(person):
            return
        try:
            told.set_content(sent(await _send(console, person, pasted), language))
        except FAULTS as wrong:
            told.set_content(escape(sorry(wrong, language)))

    text.on_value_change(send.disable)
    whose.on_value_change(send.disable)
    read.on_click(look)
    send.on_click(go)


def may_send(person: Person) -> bool:
    """A vendor in the name of its own senders; of the hub's people who may act."""
    return person.role == "vendor" or person.may("act")


def check(person: Person, sender: str, raw: bytes) -> str:
    """Why nothing is read; "" where it may be. A sender of another vendor is answered like one that is not there."""
    if not raw:
        return _EMPTY.of(person.language)
    if len(raw.decode("utf-8", "replace")) > _CHARACTERS_MAX + 1:  # what the form says, the browser need not keep to
        return _LONG.of(person.language)
    return _NONE.of(person.language) if person.role not in OWN and sender not in person.scope else ""


def as_bytes(text: str) -> bytes:
    """What would come by a link: a browser writes the line ends of HL7 its own way. One behind the last line stays: without it the
    message may be cut there."""
    bare = text.strip(_AROUND)
    if bare[:3] in ("MSH", "FHS", "BHS"):
        ended = any(each in text[len(text.rstrip(_AROUND)) :] for each in "\r\n")
        bare = _LINE_END.sub("\r", bare) + "\r" * ended
    return bare.encode("utf-8", "replace")


def _read(console: Console, pasted: _Pasted, language: str) -> tuple[Reading, str]:
    """What is made of it, and how that is shown: of a long message both take a while."""
    one: Reading = console.border.pasted(pasted.raw, pasted.sender)
    return one, shown(one, _follows(console, one), language)


def _follows(console: Console, one: Reading) -> list[dict[str, Any]] | str:
    """What would follow, or the code for which that cannot be said."""
    try:
        found: list[dict[str, Any]] = console.border.foreseen(one)
        return found
    except HubError as stop:
        return stop.code
    except psycopg.Error:  # its text may quote a value
        return "DATABASE_UNAVAILABLE"


async def _send(console: Console, person: Person, pasted: _Pasted) -> Sent:
    """Audited before, as asked for, whatever becomes of it; and then with the message, whose page tells who did something with it."""
    await _note(console, person, f"sender:{pasted.sender}")
    done: Sent = await away(person, console.border.send_test, pasted.raw, pasted.sender)
    await _note(console, person, f"message:{done.message_id}")
    return done


async def _note(console: Console, person: Person, target: str) -> None:
    async with console.pool.connection() as database, database.transaction():
        await note(database, "send-test", target, person.name, _REASON)


def shown(one: Reading, follows: list[dict[str, Any]] | str, language: str) -> str:
    """Problems with their fixes, what would become of it, and all fields with the problems in place. Values are those just pasted."""
    fields = f"<details open><summary>{escape(_FIELDS.of(language))}</summary>{reading(one, language, show=True)}</details>"
    return troubles(one.troubles, language) + becomes(one, follows, language) + fields


def becomes(one: Reading, follows: list[dict[str, Any]] | str, language: str) -> str:
    """Each event, who would get it and why."""
    if not one.events:
        return ""
    if isinstance(follows, str):
        body = f"<tr><td>{escape(follows)}</td></tr>"
    else:
        body = "".join(_follow(row, language) for row in follows[:_FOLLOWS_SHOWN])
    whole = "".join(
        f"<details><summary>{escape(_WHOLE.of(language))}: {escape(event['record'].removeprefix('hie.'))}</summary>"
        f"<pre class=hie-scroll>{escape(json.dumps(event, ensure_ascii=False, indent=1, default=str)[:_EVENT_SHOWN])}</pre></details>"
        for event in one.events[:20]
    )
    return f"<h3>{escape(_BECOMES.of(language))}</h3><table class=hie><tbody>{body}</tbody></table>{whole}"


def _follow(row: dict[str, Any], language: str) -> str:
    lines = [_AGAIN.of(language)] if row["again"] else []
    lines += [
        " ".join(filter(None, (one["kind"], one["to"], one["lane"] if one["lane"] != "routine" else "", "·", one[language])))
        for one in row["outcomes"]
    ]
    if waits := row["parked"]:
        lines.append(" ".join((_WAITS.of(language).format(code=waits["code"]), waits[language], waits[f"remedy_{language}"])))
    told = "".join(f"<div>{escape(line)}</div>" for line in lines)
    return f"<tr><td>{escape(row['record'].removeprefix('hie.'))}</td><td>{told}</td></tr>"


def sent(done: Sent, language: str) -> str:
    """How it was answered, and where its story is."""
    text = _SENT.of(language).format(verdict=done.verdict, ack=done.ack)
    return f'{escape(text)} <a href="/messages/{escape(done.message_id)}">{escape(_STORY.of(language))}</a>'
