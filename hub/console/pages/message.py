"""One message's story: its bytes, how they are read, what was wrong in place, and every step with its time."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import Any, Final
from uuid import UUID

from nicegui import ui

from hub.access.masking import mask, masked_text, open_fields, unmask
from hub.access.people import Right
from hub.bus import Wire
from hub.console.border import Reading, Segment, Trouble
from hub.console.change import NO_REASON, REASON
from hub.console.kept import away
from hub.console.shell import FAULTS, Console, html, sorry
from hub.console.words import TEST, Words, number, shown_time, why
from hub.contract.errors import HubError
from hub.contract.events import VIETNAM, Event
from hub.contract.settings import Settings
from hub.journal.looked import looked_at, value_at
from hub.journal.trace import Story, of_senders, trace
from hub.routing.rules import in_words
from hub.store.database import connect

PATH: Final = "/messages/{message_id}"
TITLE: Final = Words(vi="Một bản tin", en="One message")
RIGHT: Final[Right] = "see"
SCOPED: Final = "vendor"  # of its own senders' messages; whatever else there is, is not there for it
OWN: Final = ("viewer", "operator", "admin")  # vendors and insurers have pages of their own

_ABSENT: Final = Words(
    vi="Không có bản tin, sự kiện hay lượt giao nào mang mã này.", en="There is no message, event or delivery of this id."
)
_GONE: Final = Words(vi="Byte của bản tin không còn được lưu.", en="The message's bytes are kept no more.")
_IS_TEST: Final = Words(
    vi="Bản tin thử: những gì sinh ra từ nó chỉ đến hộp thư thử nghiệm.",
    en="A test message: what follows from it goes to mailboxes of test traffic only.",
)
LONGER: Final = Words(vi="Câu chuyện dài hơn phần hiện ở đây.", en="The story is longer than what is shown here.")
_NOW: Final = Words(vi="Hiện nay", en="Now")
_UNDER_WAY: Final = Words(vi="đang đi", en="under way")
_NOTHING_CAME: Final = Words(vi="Không có gì được giao hay đang chờ.", en="Nothing was delivered, and nothing waits.")
_STEPS: Final = Words(vi="Các bước", en="Steps")
_READ: Final = Words(vi="Cách hub đọc hôm nay", en="How the hub reads it today")
_PROBLEMS: Final = Words(vi="Vấn đề", en="Problems")
_BYTES: Final = Words(vi="Toàn văn", en="Its text")
_CUT: Final = Words(vi="Chỉ hiện phần đầu: bản tin có nhiều hơn.", en="Only the first part is shown: the message has more.")
_OF_NO_PASTE: Final = frozenset({"CHARSET_DECLARED_WRONG", "MESSAGE_CUT"})  # told of no pasted text: see `Border.pasted`
_VALUE_SHOWN: Final = 1_000  # characters of one field
_TEXT_SHOWN: Final = 100_000  # of the whole
_SHOW: Final = Words(vi="Hiện giá trị cá nhân", en="Show personal values")
_LOOKED: Final = Words(vi="Ai đã xem hoặc làm gì", en="Who looked, or did something")
_NOBODY: Final = Words(
    vi="Không ai, trong {count} việc gần nhất được ghi.", en="Nobody, among the latest {count} things that were recorded."
)
_KINDS: Final = {
    "received": Words(vi="nhận", en="received"),
    "event": Words(vi="sự kiện", en="event"),
    "derived": Words(vi="suy ra", en="derived"),
    "delivery": Words(vi="giao", en="delivery"),
    "nobody": Words(vi="không nơi nhận", en="nobody"),
    "receipt": Words(vi="biên nhận", en="receipt"),
    "parked": Words(vi="tạm giữ", en="parked"),
    "dead-letter": Words(vi="thư chết", en="dead letter"),
}


@dataclass(frozen=True, slots=True)
class Told:
    """What the page shows. whole: the record of the message; None where it is kept no more."""

    story: Story
    whole: Event | None
    reading: Reading | None


async def page(console: Console, message_id: str) -> None:
    """Of a message's, an event's or a delivery's id: all lead to the same story."""
    person = console.person()
    language = person.language
    senders = None if person.role in OWN else person.scope
    try:
        story = await away(person, story_of, console.settings, str(UUID(message_id)), senders)
    except (ValueError, HubError) as wrong:
        if isinstance(wrong, HubError) and wrong.code != "NOT_FOUND":
            raise
        html(escape(_ABSENT.of(language))).classes("hie-notice")
        return
    if any(step.kind == "received" and step.facts.get("test") for step in story.steps):
        html(escape(_IS_TEST.of(language)), "p").props("data-state=warn")
    if story.cut:
        html(escape(LONGER.of(language))).classes("hie-notice")
    html(standing(story, language))
    html(steps(story, language)).classes("hie-scroll")
    if senders is None:
        _looking(console, story, language)
    html(escape(_READ.of(language)), "h2")
    place = html("…")

    async def fill() -> None:
        """Once somebody looks: Kafka may take seconds, and the story should not wait for it."""
        try:
            told = await away(person, bytes_of, console.settings, console.border, story)
        except FAULTS as wrong:
            place.set_content(escape(sorry(wrong, language)))
            return
        masked = "" if told.reading is None else await away(person, partial(reading, told.reading, language, show=False))
        with place.parent_slot.parent if place.parent_slot else place:
            if told.reading is None:
                place.set_content(escape(_GONE.of(language)))
                return
            place.set_content(facts(told.reading, told.whole or {}, language) + troubles(told.reading.troubles, language))
            shown = html(masked)
            if person.may("unmask"):
                _unmasking(console, told, shown, person)

    ui.timer(0.05, fill, once=True)


def story_of(settings: Settings, id: str, senders: Sequence[str] | None) -> Story:
    """senders: whose part of it alone is told; None for all of it. Raises: HubError(NOT_FOUND)."""
    with connect(settings.database_url.get_secret_value(), autocommit=True) as database:
        story = trace(database, id)
    return story if senders is None else of_senders(story, senders)


def bytes_of(settings: Settings, border: Any, story: Story) -> Told:
    """The message that was asked for, else the story's first, and how its bytes are read today."""
    messages = [step for step in story.steps if step.kind == "received"]
    received = next((step for step in messages if step.id == story.id), messages[0] if messages else None)
    if received is None or border is None or received.facts.get("forgotten"):
        return Told(story, None, None)
    place = (received.facts["topic"], received.facts["partition"], received.facts["record_offset"])
    value = value_at(settings.kafka, place, border.older)
    if value is None:
        return Told(story, None, None)
    whole = Wire(settings.registry_url).unpack(value)[1]
    read = border.pasted if _maybe_pasted(whole) else border.explain
    return Told(story, whole, read(bytes(whole["raw"]), whole["sender"]) if whole["raw"] else None)


def _maybe_pasted(whole: Event) -> bool:
    """Whether it may have been pasted on a page and sent as a test, so that what is told of no pasted text was not told of it."""
    test = whole["test"] and whole["transport"] == "http" and whole["charset"] in ("utf-8", "ascii")
    return test and _OF_NO_PASTE.isdisjoint(problem["code"] for problem in whole["problems"])


def standing(story: Story, language: str) -> str:
    """How it stands now: where each delivery is, what waits parked, what is dead; for what is told of a step stands at its beginning."""
    lines = []
    for step in story.steps:
        facts, kind = step.facts, _KINDS[step.kind].of(language)
        stands = str(facts.get("state") or "")
        if step.kind == "delivery":
            record = str(facts["record"]).removeprefix("hie.")
            at = shown_time(facts.get("state_at"), seconds=True)
            words: tuple[str, ...] = (
                f"{record} → {facts['recipient']}",
                stands or _UNDER_WAY.of(language),
                str(facts["code"]),
                at,
            )
        elif (step.kind == "parked" and stands == "PARKED") or (step.kind == "dead-letter" and not stands):
            words = (kind, str(facts["code"]), why(str(facts["code"]), language))
        else:
            continue
        tag = f" ({TEST.of(language)})" if facts.get("test") else ""
        lines.append(f"<li>{escape(' · '.join(filter(None, words)) + tag)}</li>")
    told = f"<ul>{''.join(lines)}</ul>" if lines else f"<p class=hie-soft>{escape(_NOTHING_CAME.of(language))}</p>"
    return f"<h2>{escape(_NOW.of(language))}</h2>{told}"


def steps(story: Story, language: str) -> str:
    """Every step with its time, ids and the rule that decided it, in words."""
    rows = []
    for step in story.steps:
        rule = str(step.facts.get("rule") or "")
        words = in_words(rule) if rule else None
        told = (words.en if language == "en" else words.vi) if words else ""
        told = f"{told} {why(str(step.facts.get('code') or ''), language)}".strip()
        at = step.at.astimezone(VIETNAM)
        test = f" <b data-state=warn>({TEST.of(language)})</b>" if step.facts.get("test") else ""
        rows.append(
            f"<tr><td class=n>{at:%d/%m/%Y %H:%M:%S}.{at.microsecond // 1000:03}</td><td>{escape(_KINDS[step.kind].of(language))}{test}</td>"
            f"<td>{escape(step.what)}<div class=hie-soft>{escape(told)}</div></td><td><code>{escape(step.id)}</code></td></tr>"
        )
    return f"<h2>{escape(_STEPS.of(language))}</h2><table class=hie><tbody>{''.join(rows)}</tbody></table>"


def facts(one: Reading, whole: Event, language: str) -> str:
    """In one line what it is and how it was read, then and now."""
    then = f"{whole.get('charset', '')} · {whole.get('dialect', '')} {whole.get('dialect_version', '')} · {whole.get('verdict', '')} {whole.get('ack', '')}"
    now = f"{one.charset} · {one.dialect} · {one.verdict} {one.ack}"
    return f"<p>{escape(one.format)} · {number(whole.get('raw_size', 0), language)} byte{'s' * (language == 'en')} · {escape(then)}</p><p><b>{escape(now)}</b></p>"


def troubles(found: tuple[Trouble, ...], language: str) -> str:
    """What is wrong, by place, and what its sender does about it; each leads to its field below."""
    if not found:
        return ""
    rows = "".join(
        f'<tr><td><a href="#at-{escape(anchor(one.path))}">{escape(one.path or "—")}</a></td><td data-state="{state(one)}">{escape(one.code)}</td>'
        f"<td>{sentence(one, language)}</td></tr>"
        for one in found
    )
    return f"<h3>{escape(_PROBLEMS.of(language))}</h3><table class=hie><tbody>{rows}</tbody></table>"


def sentence(one: Trouble, language: str) -> str:
    """What is wrong in words; below it what to do about it."""
    what, fix = (one.en, one.do_en) if language == "en" else (one.vi, one.do_vi)
    return escape(what) + (f"<div class=hie-soft>→ {escape(fix)}</div>" if fix else "")


def reading(one: Reading, language: str = "vi", *, show: bool) -> str:
    """Segments and fields with problems in place; the text below, of a long one the first part. show: personal values too."""
    where = {anchor(trouble.path): trouble for trouble in reversed(one.troubles)}
    rows = "".join(_segment(segment, where, show=show) for segment in one.segments)
    table = f"<table class=hie><tbody>{rows}</tbody></table>" if rows else ""
    first = one.text[:_TEXT_SHOWN]
    text = first if show else masked_text(first)
    pre = escape(text.replace("\r\n", "\n").replace("\r", "\n"))
    cut = f"<p class=hie-soft>{escape(_CUT.of(language))}</p>" if one.cut or len(one.text) > _TEXT_SHOWN else ""
    return f"{cut}{table}<details><summary>{escape(_BYTES.of(language))}</summary><pre class=hie-scroll>{pre}</pre></details>"


def _segment(segment: Segment, where: dict[str, Trouble], *, show: bool) -> str:
    whole = where.get(segment.path)
    head = f'<tr id="at-{escape(segment.path)}"><th colspan=2{_marked(whole)}>{escape(segment.path)}</th></tr>'
    cells = []
    opened = open_fields(segment.name, ((field.number, field.value) for field in segment.fields))
    for field in segment.fields:
        wrong = where.get(field.path)
        value = field.value if show or field.number in opened else mask(field.value)
        value = value[:_VALUE_SHOWN] + "…" * (len(value) > _VALUE_SHOWN)
        cells.append(
            f'<tr id="at-{escape(field.path)}"><td><code>{escape(field.path)}</code> <span class=hie-soft>{escape(field.kind)}</span></td>'
            f"<td{_marked(wrong)}>{escape(value)}{f' <b>{escape(wrong.code)}</b>' if wrong else ''}</td></tr>"
        )
    return head + "".join(cells)


def anchor(path: str) -> str:
    """The field that a path is in: `PID-3[2].1` is in `PID-3`, `OBX[4]-5.1` in `OBX[4]-5`."""
    segment, dash, field = path.partition("-")
    return segment + dash + field.partition(".")[0].partition("[")[0]


def state(one: Trouble) -> str:
    """How a finding is meant: an error refuses, a warning costs something, the rest is only told."""
    return {"E": "bad", "W": "warn"}.get(one.severity, "")


def _marked(one: Trouble | None) -> str:
    return f' data-state="{state(one)}"' if one else ""


def looked(found: list[Event], count: int, language: str) -> str:
    """Who did what when, and why."""
    if not found:
        return f"<p class=hie-soft>{escape(_NOBODY.of(language).format(count=count))}</p>"
    rows = "".join(
        f"<tr><td class=n>{one['at'].astimezone(VIETNAM):%d/%m/%Y %H:%M:%S}</td><td>{escape(one['by'])}</td><td>{escape(one['action'])}</td>"
        f"<td>{escape(one['reason'])}</td><td>{escape(one['outcome'])}</td></tr>"
        for one in found
    )
    return f"<table class=hie><tbody>{rows}</tbody></table>"


def _looking(console: Console, story: Story, language: str) -> None:
    """Asked for by a button, as hundreds of records are read for it."""
    shown = html("")

    def read() -> tuple[list[Event], int]:
        settings, older = console.settings, console.border.older
        ids, since = [step.id for step in story.steps], min(step.at for step in story.steps)
        with connect(settings.database_url.get_secret_value(), autocommit=True) as database:
            return looked_at(database, settings.kafka, Wire(settings.registry_url), older, ids, since)

    async def show() -> None:
        try:
            shown.set_content(looked(*await asyncio.to_thread(read), language))
        except FAULTS as wrong:
            shown.set_content(escape(sorry(wrong, language)))

    ui.button(_LOOKED.of(language), on_click=show).props("unelevated no-caps outline")


def _unmasking(console: Console, told: Told, shown: Any, person: Any) -> None:
    with ui.element("div").classes("hie-form"):
        reason = ui.input(REASON.of(person.language)).props("dense outlined maxlength=500")

        async def show() -> None:
            if not (reason.value or "").strip() or told.reading is None:
                said.set_text(NO_REASON.of(person.language))
                return
            said.set_text("")
            await unmask(console.pool, person, f"message:{(told.whole or {})['message_id']}", reason.value)
            shown.set_content(await asyncio.to_thread(reading, told.reading, person.language, show=True))

        ui.button(_SHOW.of(person.language), on_click=show).props("unelevated no-caps outline")
    said = ui.label("").props("role=status")
