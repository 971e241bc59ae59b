"""One sender: why it is silent, or what is wrong with what it sends. Its rhythm, credential, refusals, incidents, last messages."""

import asyncio
from dataclasses import dataclass
from html import escape
from typing import Any, Final
from urllib.parse import quote

from hub.access.credentials import Credential, Credentials
from hub.access.people import Right
from hub.console.pages import search as searching
from hub.console.pages.incidents import table
from hub.console.pages.message import OWN
from hub.console.pages.senders import link
from hub.console.shell import Console, grid, html
from hub.console.words import Words, number, shown_time, today, why
from hub.contract.directory import facilities
from hub.contract.errors import ERRORS, HubError
from hub.contract.events import VIETNAM, now
from hub.journal.incidents import RECEIVED, Feed
from hub.journal.search import Cost, Page, Wanted, search
from hub.journal.traffic import feeds_after, hour_of, of_feed
from hub.journal.watch import feed_now, incidents_of
from hub.store.database import connect

PATH: Final = "/senders/{sender}"
TITLE: Final = Words(vi="Một nguồn gửi", en="One sender")
RIGHT: Final[Right] = "see"

_MOST: Final = 200
_CODES: Final = 10
_ABSENT: Final = Words(vi="Hub không biết nguồn gửi này.", en="The hub does not know this sender.")
_HEARD: Final = Words(vi="Nhận lần cuối trong giờ {hour}.", en="Last heard in the hour of {hour}.")
_NEVER: Final = Words(vi="Tám tuần qua không nhận được gì.", en="Nothing was heard of it in eight weeks.")
_LITTLE: Final = Words(vi="Chưa đủ dữ liệu để biết thế nào là bình thường.", en="Too little is known of it to expect anything.")
_EXPECTED: Final = Words(
    vi="Thường mỗi tuần {week} bản tin. Giờ này đáng lẽ có {hour}; từ lần nhận cuối đáng lẽ có {since}.",
    en="Usually {week} messages a week. Expected in this hour: {hour}; since it was last heard: {since}.",
)
_SILENT: Final = Words(vi="Im lặng bất thường", en="Unusually silent")
_USUAL: Final = Words(vi="Không có gì bất thường", en="Nothing unusual")
_TODAY: Final = Words(vi="Hôm nay", en="Today")
_COUNTS: Final = Words(
    vi="{received} bản tin, {refused} bị từ chối, {quarantined} cách ly.",
    en="{received} messages, {refused} refused, {quarantined} quarantined.",
)
_CODE: Final = (
    Words(vi="Mã", en="Code"),
    Words(vi="Bản tin", en="Messages"),
    Words(vi="Vì sao, và cách sửa", en="Why, and what to do"),
)
_CREDENTIAL: Final = Words(vi="Thông tin xác thực", en="Credential")
_LOCAL: Final = Words(
    vi="Hub này chạy không có tệp xác thực: mọi thứ từ máy này là của local.",
    en="This hub runs without credentials: all that comes from this machine is of `local`.",
)
_NO_CREDENTIAL: Final = Words(
    vi="Không còn trong tệp xác thực: hub từ chối mọi kết nối của nguồn này.",
    en="It is in the file of credentials no more: the hub refuses its links.",
)
_UNREADABLE: Final = Words(vi="Tệp xác thực không đọc được: {where}", en="The file of credentials cannot be read: {where}")
_IS: Final = Words(vi="Có trong tệp xác thực.", en="It is in the file of credentials.")
_MAY: Final = Words(vi="Được gửi cho: {codes}.", en="It may send for {codes}.")
_ANY: Final = Words(vi="mọi cơ sở", en="any facility")
_NOT_FOR: Final = Words(
    vi="Không được gửi cho {facility}: bản tin của cơ sở đó bị từ chối.",
    en="It may not send for {facility}: messages of that facility are refused.",
)
_TESTS: Final = Words(
    vi="Mọi thứ nó gửi là thử nghiệm; nhịp không tính chúng.", en="All that it sends is a test, which its rhythm does not count."
)
_QUOTA: Final = Words(vi="Tối đa {messages} bản tin mỗi phút.", en="At most {messages} messages a minute.")
_NO_EXPIRY: Final = Words(
    vi="Hạn của chứng thư không lưu ở hub, chỉ dấu vân tay; hãy hỏi nơi gửi khi kết nối TLS thất bại.",
    en="When its certificate ends the hub does not know: it keeps the fingerprint only. Ask the sender when TLS links fail.",
)
_DIALECT: Final = Words(vi="Phương ngữ trong danh bạ: {dialect}", en="Dialect in the directory: {dialect}")
_UNKNOWN: Final = Words(vi="Không có trong danh bạ cơ sở.", en="Not in the directory of facilities.")
_FEEDS: Final = Words(vi="Cơ sở mà nó gửi (200 đầu)", en="Facilities it sends for (the first 200)")
_INCIDENTS: Final = Words(vi="Sự cố (trong 1.000 mới nhất)", en="Incidents (of the newest 1,000)")
_LAST: Final = Words(vi="Bản tin cuối", en="Last messages")
_SEARCH: Final = Words(vi="Tìm thêm", en="Search for more")
_WEEK: Final = Words(
    vi="Tuần thường lệ, mỗi cột một giờ, giờ này được tô", en="Its usual week, a bar an hour; this hour is marked"
)
_DAYS: Final = {"vi": ("T2", "T3", "T4", "T5", "T6", "T7", "CN"), "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")}


@dataclass(frozen=True, slots=True)
class Seen:
    """What the page shows. today: what is counted -> messages; last: None where that would cost too much."""

    feeds: list[str]
    facility: str
    facts: dict[str, Any]
    today: dict[str, int]
    incidents: list[dict[str, Any]]
    last: Page | Cost | None


async def page(console: Console, sender: str, facility: str = "") -> None:
    """One feed of the sender: of the facility that is asked for, or the first."""
    person = console.person()
    if person.role not in OWN:
        return
    language = person.language
    seen = await asyncio.to_thread(look, console, sender, facility)
    credential, trouble = await asyncio.to_thread(who, console, sender)
    if not seen.feeds and credential is None:
        html(escape(_ABSENT.of(language)), "p")
        return
    known = facilities().get(seen.facility)
    html(escape(" · ".join(part for part in (sender, seen.facility, known.name if known else "") if part)), "p")
    html(rhythm(seen.facts, language))
    if seen.incidents:
        html(escape(_INCIDENTS.of(language)), "h2")
        html(table(seen.incidents, language)).classes("hie-scroll")
    html(escape(_TODAY.of(language)), "h2")
    html(counted(seen.today, sender, language))
    html(escape(_CREDENTIAL.of(language)), "h2")
    html("".join(f"<li>{escape(line)}</li>" for line in credentials(credential, trouble, seen.facility, language)), "ul")
    if seen.facility:
        dialect = _DIALECT.of(language).format(dialect=known.dialect) if known else _UNKNOWN.of(language)
        html(escape(dialect), "p")
    html(escape(_LAST.of(language)), "h2")
    if isinstance(seen.last, Page):
        html(searching.table(seen.last.hits, language)).classes("hie-scroll")
    elif seen.last is not None:
        html(escape(searching.cost(seen.last, language)), "p").classes("hie-soft")
    html(f'<a href="/search">{escape(_SEARCH.of(language))}</a>', "p")
    if len(seen.feeds) > 1:
        html(escape(_FEEDS.of(language)), "h2")
        html("".join(f"<li>{link(sender, one)} {escape(one)}</li>" for one in seen.feeds), "ul")


def look(console: Console, sender: str, facility: str) -> Seen:
    """By index only: what the watch, the traffic and the search know of it."""
    since, moment = today(), now()
    with connect(console.settings.database_url.get_secret_value(), autocommit=True) as database:
        rows = feeds_after(database, sender, "", since, _MOST) if sender else []
        feeds = [row["facility"] for row in rows if row["sender"] == sender]
        facility = facility or (feeds[0] if feeds else "")
        feed = Feed(sender, facility)
        hours = of_feed(database, feed, hour_of(since), hour_of(moment) + 1)
        found = search(database, Wanted(sender=sender, facility=facility)) if feeds else None
        return Seen(
            feeds,
            facility,
            feed_now(database, feed, moment),
            {what: sum(by_hour.values()) for what, by_hour in hours.items()},
            incidents_of(database, sender, facility),
            found,
        )


def who(console: Console, sender: str) -> tuple[Credential | None, Words | None]:
    """Its credential as the file has it now; else why there is none."""
    try:
        known = Credentials.open(console.settings.credentials)
    except HubError as wrong:
        where = wrong.where
        return None, Words(vi=_UNREADABLE.vi.format(where=where), en=_UNREADABLE.en.format(where=where))
    found = known.of_name(sender)
    return found, _LOCAL if known.without_file else (_NO_CREDENTIAL if found is None else None)


def credentials(found: Credential | None, trouble: Words | None, facility: str, language: str) -> list[str]:
    """What the hub knows of a sender's right to send."""
    if found is None or trouble is not None:
        return [trouble.of(language)] if trouble is not None else []
    codes = _ANY.of(language) if found.facilities is None else ", ".join(sorted(found.facilities)[:_CODES])
    lines = [_IS.of(language), _MAY.of(language).format(codes=codes or "—")]
    if facility and not found.may_act_for(facility):
        lines.append(_NOT_FOR.of(language).format(facility=facility))
    if found.test:
        lines.append(_TESTS.of(language))
    if found.messages_per_minute:
        lines.append(_QUOTA.of(language).format(messages=number(found.messages_per_minute, language)))
    return [*lines, _NO_EXPIRY.of(language)]


def rhythm(facts: dict[str, Any], language: str) -> str:
    """When it was last heard, what was expected since, and its week."""
    heard = facts["last_heard_hour"]
    if heard is None:
        return f"<p>{_NEVER.of(language)}</p>"
    lines = [f"<p>{escape(_HEARD.of(language).format(hour=shown_time(heard)))}</p>"]
    if "week" not in facts:
        return "".join([*lines, f"<p>{_LITTLE.of(language)}</p>"])
    told = _EXPECTED.of(language).format(
        week=number(facts["weekly"], language),
        hour=number(facts["expected_this_hour"], language, 1),
        since=number(facts["expected_since"], language, 1),
    )
    state, words = ("bad", _SILENT) if facts["silent"] else ("good", _USUAL)
    return "".join([*lines, f"<p>{told}</p><p data-state={state}>{words.of(language)}</p>", week(facts["week"], language)])


def week(rate: tuple[float, ...], language: str) -> str:
    """168 bars from Monday, scaled to the busiest hour; the present hour of the week stands out."""
    moment = now().astimezone(VIETNAM)
    here = moment.weekday() * 24 + moment.hour
    most = max(rate)
    bars = "".join(
        f'<rect x="{slot * 4}" y="{60 - height:.1f}" width="3" height="{height:.1f}" style="fill:var({"--bad" if slot == here else "--accent"})"/>'
        for slot, one in enumerate(rate)
        if (height := max(one / most * 56, 2.0 if slot == here else 0.0)) > 0
    )
    days = "".join(
        f'<text x="{day * 96 + 2}" y="74" font-size="11" style="fill:var(--soft)">{name}</text>'
        for day, name in enumerate(_DAYS["en" if language == "en" else "vi"])
    )
    title = escape(_WEEK.of(language))
    return (
        f'<svg role="img" aria-label="{title}" width="672" height="80" viewBox="0 0 672 80" style="max-width:100%">'
        f"<title>{title}</title>{bars}{days}</svg><p class=hie-soft>{title}</p>"
    )


def counted(counts: dict[str, int], sender: str, language: str) -> str:
    """Today's figures, those of a verdict leading to its messages, and the commonest codes with what to do about each."""
    figures = {name: number(counts.get(name, 0), language) for name in (RECEIVED, "refused", "quarantined")}
    for verdict in ("refused", "quarantined"):
        if counts.get(verdict):
            figures[verdict] = f'<a href="/search?verdict={verdict}&amp;sender={quote(sender)}">{figures[verdict]}</a>'
    told = f"<p>{_COUNTS.of(language).format(**figures)}</p>"
    codes = sorted(((count, code) for code, count in counts.items() if code in ERRORS), reverse=True)[:_CODES]
    if not codes:
        return told
    body = (
        f"<tr><td><code>{code}</code></td><td class=n>{number(count, language)}</td><td>{escape(why(code, language))}</td></tr>"
        for count, code in codes
    )
    return told + grid(_CODE, body, language, {1})
