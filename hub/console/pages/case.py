"""One case: its state, who has it now, what was delivered to whom, what its payer decided, and everything in time."""

import asyncio
from collections.abc import Sequence
from html import escape
from typing import Final
from uuid import UUID

from hub.access.people import Right
from hub.console.case_look import Case, case_of
from hub.console.pages.cases import in_words
from hub.console.pages.message import LONGER, steps
from hub.console.shell import Console, grid, html
from hub.console.words import Words, shown_time, why
from hub.contract.errors import HubError
from hub.contract.settings import Settings
from hub.journal.trace import Step, Story, trace_case
from hub.store.database import connect

PATH: Final = "/cases/{event_id}"
TITLE: Final = Words(vi="Một hồ sơ", en="One case")
RIGHT: Final[Right] = "see"

_ABSENT: Final = Words(vi="Không có hồ sơ nào mang mã này.", en="There is no case of this id.")
_FACTS: Final = (
    Words(vi="Loại", en="Kind"), Words(vi="Cơ sở", en="Facility"), Words(vi="Trạng thái", en="State"),
    Words(vi="Nơi đang giữ", en="Who has it now"),
)  # fmt: skip
_TEST: Final = Words(vi="thử nghiệm", en="test traffic")
_NOBODY: Final = Words(vi="chưa nơi nào", en="nobody yet")
_DECISIONS: Final = Words(vi="Quyết định", en="Decisions")
_DECIDED: Final = (
    Words(vi="Giờ", en="Time"),
    Words(vi="Quyết định", en="Decision"),
    Words(vi="Theo quy tắc", en="By rule"),
    Words(vi="Nằm ở", en="Lies in"),
)
_DELIVERIES: Final = Words(vi="Giao nhận", en="Deliveries")
_DELIVERED: Final = (
    Words(vi="Giờ", en="Time"), Words(vi="Nội dung", en="What"), Words(vi="Nơi nhận", en="Recipient"), Words(vi="Trạng thái", en="State"),
    Words(vi="Mã", en="Code"), Words(vi="Biên nhận lúc", en="Receipt at"),
)  # fmt: skip
_ON_ITS_WAY: Final = Words(vi="đang chuyển", en="on its way")
_MESSAGES: Final = Words(vi="Bản tin", en="Messages")


async def page(console: Console, event_id: str) -> None:
    """Of an event's or a delivery's id."""
    language = console.person().language
    try:
        case, story = await asyncio.to_thread(look, console.settings, UUID(event_id))
    except (ValueError, HubError) as wrong:
        if isinstance(wrong, HubError) and wrong.code != "NOT_FOUND":
            raise
        html(escape(_ABSENT.of(language))).classes("hie-notice")
        return
    html(facts(case, language)).classes("hie-scroll")
    if story.cut:
        html(escape(LONGER.of(language))).classes("hie-notice")
    for part in (decisions(story, language), deliveries(story, language), messages(story, language), steps(story, language)):
        html(part).classes("hie-scroll")


def look(settings: Settings, id: UUID) -> tuple[Case, Story]:
    """Raises: HubError(NOT_FOUND)."""
    with connect(settings.database_url.get_secret_value(), autocommit=True) as database:
        return case_of(database, id), trace_case(database, id)


def facts(case: Case, language: str) -> str:
    """What it is, and how it stands."""
    kind = case.record.removeprefix("hie.") + (f" ({_TEST.of(language)})" if case.test else "")
    values = (kind, case.facility, in_words(case.state, language), case.holder or _NOBODY.of(language))
    rows = "".join(
        f"<tr><th scope=row>{escape(name.of(language))}</th><td>{escape(value)}</td></tr>"
        for name, value in zip(_FACTS, values, strict=True)
    )
    return f"<table class=hie><tbody>{rows}</tbody></table>"


def decisions(story: Story, language: str) -> str:
    """What payers said of a claim; "" where they said nothing."""
    said = [one for one in story.steps if one.kind in ("event", "derived") and one.facts["record"] == "hie.ClaimDecision"]
    rows = [
        (
            shown_time(one.at, seconds=True),
            escape(in_words(one.facts["action"], language)),
            escape(one.facts["rule"]),
            escape(one.facts["topic"]),
        )
        for one in said
    ]
    return _table(_DECISIONS, _DECIDED, rows, language)


def deliveries(story: Story, language: str) -> str:
    """Who was sent what, and what they said of it."""
    rows = [_delivery(one, language) for one in story.steps if one.kind == "delivery"]
    return _table(_DELIVERIES, _DELIVERED, rows, language)


def _delivery(one: Step, language: str) -> tuple[str, ...]:
    told, code = one.facts, str(one.facts["code"])
    if words := why(code, language):
        code = f"{code}: {words}"
    state = told["state"] or _ON_ITS_WAY.of(language)
    record = told["record"].removeprefix("hie.")
    return (
        shown_time(one.at, seconds=True),
        escape(record),
        escape(told["recipient"]),
        escape(state),
        escape(code),
        shown_time(told["state_at"], seconds=True),
    )


def messages(story: Story, language: str) -> str:
    """Links to the messages that it came in."""
    rows = "".join(
        f'<li><a href="/messages/{one.id}">{shown_time(one.at, seconds=True)}</a> {escape(one.what)}</li>'
        for one in story.steps
        if one.kind == "received"
    )
    return f"<h2>{escape(_MESSAGES.of(language))}</h2><ul>{rows}</ul>" if rows else ""


def _table(title: Words, head: tuple[Words, ...], rows: Sequence[tuple[str, ...]], language: str) -> str:
    """Of cells that are markup."""
    if not rows:
        return ""
    body = (f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<h2>{escape(title.of(language))}</h2>{grid(head, body, language)}"
