"""A vendor's own systems: what each sent last and how it was answered, today's counts, the commonest problems and their fixes,
and how well its messages are understood."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html import escape
from typing import Any, Final
from urllib.parse import quote

import psycopg
from nicegui import ui
from psycopg.rows import dict_row

from hub.access.people import Right
from hub.bus import Wire
from hub.console.border import Conformance, Trouble
from hub.console.kept import VENDORS, Kept
from hub.console.pages.message import OWN, sentence, state
from hub.console.shell import CURRENT, FAULTS, Console, grid, html, sorry
from hub.console.words import TEST, Words, number, shown_time, today, verdict_words
from hub.contract.errors import ERRORS, HubError
from hub.contract.events import now
from hub.journal.looked import values_at
from hub.store.database import connect

PATH: Final = "/mine"
TITLE: Final = Words(vi="Hệ thống của bên gửi", en="A vendor's systems")
RIGHT: Final[Right] = "see"
SCOPED: Final = "vendor"

ROWS: Final = 50
LATEST: Final = 1_000  # messages that problems are counted in
CHECKED: Final = 50  # messages that are read for a report
_BYTES_MAX: Final = 2 * 1024**2  # of them together: each MiB takes about a second
_AT_ONCE: Final = 10  # messages in memory: each may be of 8 MiB
_REPORT_S: Final = 60.0
_AGAIN_S: Final = 5.0
_SHOWN: Final = 40  # fields of a report in one line
_STATES: Final = {"translated": "", "refused": "bad", "quarantined": "warn"}

_SENDER: Final = Words(vi="Nguồn gửi", en="Sender")
_OPEN: Final = Words(vi="Mở", en="Open")
_NONE: Final = Words(vi="Không có nguồn gửi nào mang tên này.", en="There is no sender of this name.")
_TODAY: Final = Words(
    vi="Hôm nay: {received} bản tin, {refused} bị từ chối, {quarantined} bị cách ly (không tính thử nghiệm).",
    en="Today: {received} messages, {refused} refused, {quarantined} quarantined (tests are not counted).",
)
_LAST: Final = Words(vi="Bản tin gần nhất", en="Last messages")
_NOTHING: Final = Words(vi="Chưa có bản tin nào.", en="No message has come yet.")
_MORE: Final = Words(vi="Cũ hơn", en="Older")
_COMMON: Final = Words(vi="Vấn đề thường gặp nhất", en="The commonest problems")
_AMONG: Final = Words(vi="Trong {most} bản tin gần nhất.", en="Among the last {most} messages.")
_FINE: Final = Words(vi="Không có vấn đề nào.", en="There are none.")
_EXAMPLE: Final = Words(vi="Bản tin mẫu", en="One of them")
_REPORT: Final = Words(vi="Báo cáo phù hợp", en="Conformance report")
_GRADE: Final = Words(vi="Mức phù hợp", en="Conformance")
_MAKING: Final = Words(vi="đang lập…", en="being made …")
_OVER: Final = Words(
    vi="Như `hie vendor check`, trên nhiều nhất {most} bản tin gần nhất, lúc {at}; lập lại nhiều nhất mỗi phút một lần. "
    "Chỉ nêu vị trí, không nêu giá trị.",
    en="As `hie vendor check`, over the last {most} messages at most, at {at}; made again once a minute at most. Places only, no values.",
)
_NO_SAMPLES: Final = Words(vi="Chưa có bản tin nào còn được lưu.", en="There is no message that is still kept.")
_COMPILED: Final = Words(
    vi="Hub này là bản biên dịch, không lập được báo cáo; hãy dùng `hie vendor check` của một bản cài thường.",
    en="This hub is compiled and makes no reports; use `hie vendor check` of a plain install.",
)
_NO_REPORT: Final = {"NOT_FOUND": _NO_SAMPLES, "REQUEST_WRONG": _COMPILED}  # why `Border.check` says nothing
_READ_BY: Final = Words(
    vi="{dialect} {version}: {translated} trong {samples} bản tin dịch được.",
    en="{dialect} {version}: {translated} of {samples} messages are translated.",
)
_IGNORED: Final = Words(vi="Đã gửi nhưng không được đọc", en="Sent, and read by nothing")
_NEVER: Final = Words(vi="{record}: luôn trống", en="{record}: never filled")
_TRY: Final = Words(vi="Dán thử một bản tin", en="Try a message")
_HEAD: Final = (
    Words(vi="Giờ", en="Time"), Words(vi="Mã kiểm soát", en="Control id"), Words(vi="Loại", en="Type"), Words(vi="Cơ sở", en="Facility"),
    Words(vi="Kết luận", en="Verdict"), Words(vi="Trả lời", en="Answer"), Words(vi="Vấn đề", en="Problems"),
)  # fmt: skip
_PROBLEM_HEAD: Final = (
    Words(vi="Mã", en="Code"), Words(vi="Vị trí", en="Place"), Words(vi="Bản tin", en="Messages"), Words(vi="Vấn đề, cách sửa", en="What, and its fix"), _EXAMPLE,
)  # fmt: skip

_MESSAGES: Final = """
select message_id, received_at, control_id, message_type, facility, verdict, ack, problems, test, topic, partition, record_offset
from journal_message where sender = %(sender)s and (received_at, message_id) < (%(at)s::timestamptz, %(id)s::uuid)
order by received_at desc, message_id desc limit %(most)s
"""
_NEWEST: Final = ("infinity", "ffffffff-ffff-ffff-ffff-ffffffffffff")
# The hours are named one by one, so that each is one place in the index.
_COUNTS: Final = """
select what, sum(messages)::bigint as messages from journal_traffic
where hour = any(%(hours)s) and sender = %(sender)s and what in ('received', 'refused', 'quarantined') group by what
"""
_PROBLEMS: Final = r"""
with latest as (
    select message_id, received_at, problems from journal_message where sender = %(sender)s order by received_at desc, message_id desc limit %(most)s
)
select problem ->> 'code' as code, problem ->> 'severity' as severity, regexp_replace(problem ->> 'path', '\[\d+\]', '', 'g') as path,
       count(distinct message_id) as messages, (array_agg(message_id order by received_at desc))[1] as example
from latest cross join lateral jsonb_array_elements(problems) as problem group by 1, 2, 3
order by position(problem ->> 'severity' in 'EWI'), 4 desc, 1, 3 limit 30
"""


async def page(console: Console, sender: str = "") -> None:
    """One sender of the person's scope, the first when none is said; any for the hub's own people."""
    person = console.person()
    language = person.language
    chosen = sender or (person.scope[0] if person.scope else "")
    html(_choice(person, chosen, language))
    if not chosen:
        return
    if (person.role not in OWN and chosen not in person.scope) or "\x00" in chosen:
        html(escape(_NONE.of(language))).classes("hie-notice")
        return
    counts, rows = await look(console, chosen)
    problems = await _rows(console, _PROBLEMS, {"sender": chosen, "most": LATEST})
    of_today = html(counted(counts, language), "p")
    graded = html(f"{escape(_GRADE.of(language))}: {escape(_MAKING.of(language))}", "p").props("role=status")
    html(f'<a href="/try?sender={quote(chosen)}">{escape(_TRY.of(language))}</a>', "p")
    html(escape(_LAST.of(language)), "h2")
    shown = html(messages(rows, language)).classes("hie-scroll")
    _older(console, chosen, rows, shown, language)
    html(f"<h2>{escape(_COMMON.of(language))}</h2><p class=hie-soft>{escape(_AMONG.of(language).format(most=LATEST))}</p>")
    html(common(problems, console.border, language)).classes("hie-scroll")
    _reporting(console, chosen, graded, language)

    async def again() -> None:
        """What is new, for whoever has the page open and looks at the newest."""
        try:
            counts, fresh = await look(console, chosen)
        except psycopg.Error:  # the next look may find it back
            return
        for place, content in ((of_today, counted(counts, language)), (shown, messages(fresh, language))):
            if place.content != content and (place is of_today or shown.props.get("data-older") is None):
                place.set_content(content)

    ui.timer(_AGAIN_S, again, immediate=False)


def _choice(person: Any, chosen: str, language: str) -> str:
    """A vendor's senders as links; for the hub's people a field. A sender's name is no secret and no patient's."""
    if person.role in OWN:
        return (
            f'<form class=hie-form method=get action="{PATH}"><label>{escape(_SENDER.of(language))}'
            f'<input name=sender required maxlength=64 value="{escape(chosen)}"></label><button>{escape(_OPEN.of(language))}</button></form>'
        )
    links = (f'<a href="{PATH}?sender={quote(one)}"{CURRENT if one == chosen else ""}>{escape(one)}</a>' for one in person.scope)
    return f"<p>{escape(_SENDER.of(language))}: {' · '.join(links)}</p>"


async def look(console: Console, sender: str) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """Today's counts by what, and the last messages."""
    midnight, moment = today(), now()
    hours = [midnight + timedelta(hours=at) for at in range(int((moment - midnight) / timedelta(hours=1)) + 1)]
    counts = await _rows(console, _COUNTS, {"hours": hours, "sender": sender})
    return {row["what"]: row["messages"] for row in counts}, await last(console, sender)


async def last(console: Console, sender: str, after: tuple[datetime | str, object] = _NEWEST) -> list[dict[str, Any]]:
    """`ROWS` messages of a sender, newest first. after: time and id of the one before them."""
    return await _rows(console, _MESSAGES, {"sender": sender, "at": after[0], "id": after[1], "most": ROWS})


async def _rows(console: Console, query: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    async with console.pool.connection() as database, database.cursor(row_factory=dict_row) as cursor:
        return await (await cursor.execute(query.encode(), values)).fetchall()


def counted(counts: Mapping[str, int], language: str) -> str:
    """Today in one line."""
    parts = {what: number(counts.get(what, 0), language) for what in ("received", "refused", "quarantined")}
    return escape(_TODAY.of(language).format(**parts))


def messages(rows: list[dict[str, Any]], language: str) -> str:
    """One row a message; its control id leads to its story."""
    if not rows:
        return f"<p class=hie-soft>{escape(_NOTHING.of(language))}</p>"
    body = []
    for row in rows:
        told = sorted(row["problems"], key=lambda one: "EWI".find(one["severity"]))
        wrong = ", ".join(f"{one['code']} {one['path']}".strip() for one in told[:3]) + (" …" if len(told) > 3 else "")
        test = f" ({TEST.of(language)})" if row["test"] else ""
        body.append(
            f"<tr><td class=n>{shown_time(row['received_at'], seconds=True)}</td>"
            f'<td><a href="/messages/{row["message_id"]}">{escape(row["control_id"] or "—")}</a></td><td>{escape(row["message_type"])}</td>'
            f'<td>{escape(row["facility"])}</td><td data-state="{_STATES.get(row["verdict"], "")}">{escape(verdict_words(row["verdict"], language) + test)}</td>'
            f"<td>{escape(row['ack'])}</td><td>{escape(wrong)}</td></tr>"
        )
    return grid(_HEAD, body, language)


def common(rows: list[dict[str, Any]], border: Any, language: str) -> str:
    """Each problem once a place, with its sentence, its fix and a message that has it."""
    if not rows:
        return f"<p class=hie-soft>{escape(_FINE.of(language))}</p>"
    body = []
    for row in rows:
        text = ERRORS.get(row["code"])
        fix = border.remedy(row["code"], row["path"]) if border is not None else ("", "")
        one = Trouble(row["code"], row["severity"], row["path"], text.vi if text else "", text.en if text else "", *fix)
        body.append(
            f'<tr><td data-state="{state(one)}">{escape(one.code)}</td><td>{escape(one.path or "—")}</td>'
            f"<td class=n>{number(row['messages'], language)}</td><td>{sentence(one, language)}</td>"
            f'<td><a href="/messages/{row["example"]}">{escape(_OPEN.of(language))}</a></td></tr>'
        )
    return grid(_PROBLEM_HEAD, body, language)


def _older(console: Console, sender: str, rows: list[dict[str, Any]], shown: Any, language: str) -> None:
    seen = list(rows)
    more = ui.button(_MORE.of(language)).props("unelevated no-caps outline")
    more.set_visibility(len(rows) == ROWS)

    async def go() -> None:
        found = await last(console, sender, (seen[-1]["received_at"], seen[-1]["message_id"]))
        seen[:] = found or seen
        shown.props["data-older"] = "true"  # these stay until the page is opened again
        shown.set_content(messages(found, language))
        more.set_visibility(len(found) == ROWS)

    more.on_click(go)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Whose report: equal where the report is."""

    sender: str
    console: Console = field(compare=False)


def _reporting(console: Console, sender: str, graded: Any, language: str) -> None:
    """Below the page; its grade at the top. Once somebody looks: dozens of messages are read for it."""
    html(f'<h2 id="report">{escape(_REPORT.of(language))}</h2>')
    shown = html(escape(_MAKING.of(language))).classes("hie-scroll")

    async def fill() -> None:
        try:
            found, at = await _REPORTS.of(_Asked(sender, console))
        except FAULTS as wrong:
            why = _NO_REPORT.get(wrong.code) if isinstance(wrong, HubError) else None
            told = escape(why.of(language) if why else sorry(wrong, language))
            graded.set_content(f"{escape(_GRADE.of(language))}: – {told}")
            shown.set_content(told)
            return
        graded.set_content(f'{escape(_GRADE.of(language))}: <a href="#report">{grade(found, language)}</a>')
        over = _OVER.of(language).format(most=CHECKED, at=shown_time(at, seconds=True))
        shown.set_content(f"<p class=hie-soft>{escape(over)}</p>{report(found, language)}")

    ui.timer(0.05, fill, once=True)


def check(console: Console, sender: str) -> Conformance:
    """Of the bytes of the last messages, as far as they are kept: `CHECKED` of them, or as many as have 2 MiB.

    Raises: HubError, as `Border.check`; psycopg's errors.
    """
    asked = {"sender": sender, "at": _NEWEST[0], "id": _NEWEST[1], "most": CHECKED}
    with connect(console.settings.database_url.get_secret_value(), autocommit=True) as database:
        rows = database.cursor(row_factory=dict_row).execute(_MESSAGES, asked).fetchall()
    found: Conformance = console.border.check(within(_kept(console, rows)))
    return found


def _kept(console: Console, rows: list[dict[str, Any]]) -> Iterator[bytes]:
    """The bytes of these messages, some at a time."""
    wire, places = Wire(console.settings.registry_url), [(row["topic"], row["partition"], row["record_offset"]) for row in rows]
    for at in range(0, len(places), _AT_ONCE):
        for value in values_at(console.settings.kafka, places[at : at + _AT_ONCE], console.border.older):
            if value and (raw := bytes(wire.unpack(value)[1]["raw"])):
                yield raw


def within(raws: Iterable[bytes]) -> list[bytes]:
    """The first of them until they have 2 MiB together; those behind are not even read."""
    found: list[bytes] = []
    for raw in raws:
        found.append(raw)
        if sum(map(len, found)) >= _BYTES_MAX:
            break
    return found


def _checked(asked: _Asked) -> tuple[Conformance, datetime]:
    return check(asked.console, asked.sender), now()


_REPORTS: Final = Kept(_checked, _REPORT_S, VENDORS)


def grade(found: Conformance, language: str) -> str:
    """The grade and what it means."""
    return f"<b>{escape(found.grade)}</b> {escape(found.en if language == 'en' else found.vi)}"


def report(found: Conformance, language: str) -> str:
    """The grade and what it means, what is wrong, what is read by nothing, and what is missing."""
    told = _READ_BY.of(language).format(
        dialect=found.dialect, version=found.version, translated=found.translated, samples=found.samples
    )
    rows = "".join(
        f'<tr><td data-state="{state(one)}">{escape(one.code)}</td><td>{escape(one.path or "—")}</td><td class=n>{number(count, language)}</td>'
        f"<td>{sentence(one, language)}</td></tr>"
        for one, count in found.findings
    )
    lists = [(_IGNORED.of(language), [f"{place} × {number(count, language)}" for place, count in found.ignored])]
    lists += [
        (_NEVER.of(language).format(record=record.removeprefix("hie.")), list(names)) for record, names in found.never.items()
    ]
    return f"<p>{grade(found, language)}.</p><p>{escape(told)}</p><table class=hie><tbody>{rows}</tbody></table>" + "".join(
        f"<h3>{escape(title)}</h3><p>{escape(', '.join(names[:_SHOWN]))}{f' … ({len(names)})' if len(names) > _SHOWN else ''}</p>"
        for title, names in lists
        if names
    )
