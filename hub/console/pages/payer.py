"""One payer: its stream and who is how far in it; what its ledger adds up to, what was decided, how days and months went."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from html import escape
from typing import TYPE_CHECKING, Any, Final

from nicegui import ui

from hub.access.people import Right
from hub.console import flow
from hub.console.pages import topics
from hub.console.pages.payers import HERE, name_of
from hub.console.payer_look import Stream, glance_of, seen_by, stream_of, unreadable
from hub.console.sampler import Snapshot
from hub.console.shell import Console, Figures, figure, grid, html, live
from hub.console.words import Words, number, span
from hub.contract.errors import HubError
from hub.contract.events import VIETNAM, now
from hub.contract.topics import topics as known_topics

if TYPE_CHECKING:
    from hub.insurer.glance import Day, Glance

PATH: Final = "/payers/{payer}"
TITLE: Final = Words(vi="Một bên chi trả", en="One payer")
RIGHT: Final[Right] = "see"
SCOPED: Final = "insurer"

ABSENT: Final = Words(vi="Không có bên chi trả nào mang mã này.", en="There is no payer of this code.")
NO_LEDGER: Final = Words(vi="Sổ giám định của bên này không có trên máy này.", en="This payer's ledger is not on this machine.")
ELSEWHERE: Final = Words(
    vi="Bên này giám định bằng hệ thống của mình; hub không giữ sổ cho bên này.",
    en="This payer decides with a system of its own; the hub keeps no ledger for it.",
)
UNREADABLE: Final = Words(vi="Không đọc được sổ giám định ({what}).", en="The ledger could not be read ({what}).")
STATEMENTS: Final = Words(vi="Bảng quyết toán theo cơ sở và tháng", en="Statements by facility and month")

_STREAM: Final = Words(vi="Luồng", en="Stream")
_READERS: Final = Words(vi="Hồ sơ chưa đọc", en="Claims still to read")
_LEDGER: Final = Words(vi="Sổ giám định", en="Ledger")
_READING: Final = Words(vi="Đang đọc…", en="Reading …")
_KAFKA_AWAY: Final = Words(vi="Kafka chưa trả lời.", en="Kafka does not answer yet.")
_NO_READER: Final = Words(vi="Chưa ai của bên này đọc luồng.", en="Nobody of this payer has read the stream yet.")
_OURS: Final = Words(vi="giám định của hub", en="the hub's insurer")
_PARTITION: Final = Words(vi="Phân vùng", en="Partition")
_WRITTEN: Final = Words(vi="Đã ghi", en="Written")
_READER: Final = Words(vi="Bên đọc", en="Reader")
_TO_READ: Final = Words(vi="Chưa đọc", en="To read")
_BY_PARTITION: Final = Words(vi="Theo phân vùng", en="By partition")
_OLDEST: Final = Words(vi="Chờ lâu nhất", en="Oldest waits")
_FROM_AT: Final = Words(vi="Lúc {at}; xem lại mỗi mười giây.", en="At {at}; looked at again every ten seconds.")
_FROM: Final = Words(
    vi="Số liệu lúc {at}; đọc lại nhiều nhất mỗi phút một lần.", en="Figures from {at}; read again once a minute at most."
)
_TOTALS: Final = Words(vi="Số liệu đối chiếu: hồ sơ đang có hiệu lực", en="Control totals: claims in force")
_TODAY: Final = Words(vi="Quyết định cho hồ sơ nhận hôm nay", en="Decisions on claims that came today")
_RULES: Final = Words(vi="Quy tắc gặp nhiều nhất, 30 ngày qua", en="Commonest rules, last 30 days")
_DAYS: Final = Words(vi="Hồ sơ và số tiền theo ngày nhận, 30 ngày qua", en="Claims and amounts by day of arrival, last 30 days")
_MONTHS: Final = Words(vi="Tháng (NGAY_RA), 24 tháng mới nhất", en="Months (NGAY_RA), the newest 24")
_NONE: Final = Words(vi="Chưa có.", en="None yet.")
_CLOSED: Final = {True: Words(vi="đã đóng", en="closed"), False: Words(vi="đang mở", en="open")}
_SUMS: Final = {
    "claims": Words(vi="Hồ sơ", en="claims"), "accepted": Words(vi="Chấp nhận", en="accepted"),
    "reduced": Words(vi="Giảm trừ", en="reduced"), "rejected": Words(vi="Từ chối", en="rejected"),
    "lines": Words(vi="Dòng", en="lines"), "findings": Words(vi="Phát hiện", en="findings"),
    "t_tongchi_bv": Words(vi="Tổng chi phí (T_TONGCHI_BV)", en="total cost (T_TONGCHI_BV)"),
    "t_tongchi_bh": Words(vi="Trong phạm vi BHYT (T_TONGCHI_BH)", en="insured (T_TONGCHI_BH)"),
    "t_bhtt": Words(vi="Đề nghị quỹ (T_BHTT)", en="claimed of the fund (T_BHTT)"),
    "t_bhtt_gd": Words(vi="Chấp nhận (T_BHTT_GD)", en="granted (T_BHTT_GD)"),
    "adjusted": Words(vi="Trừ điều chỉnh sau quyết định", en="less adjustments after the decisions"),
    "payable": Words(vi="Phải thanh toán", en="payable"),
}  # fmt: skip
_VERDICT: Final = Words(vi="Kết luận", en="Verdict")
_CLAIMS: Final = Words(vi="Hồ sơ", en="Claims")
_REJECTED: Final = Words(vi="Bị từ chối", en="Rejected")
_CLAIMED: Final = Words(vi="Đề nghị, đồng", en="Claimed, VND")
_GRANTED: Final = Words(vi="Chấp nhận, đồng", en="Granted, VND")
_BARS: Final = Words(vi="Đề nghị (viền), chấp nhận (tô), đồng", en="Claimed (outlined), granted (filled), VND")
_RULE: Final = Words(vi="Quy tắc", en="Rule")
_SEVERITY: Final = Words(vi="Mức", en="Severity")
_WHAT: Final = Words(vi="Nội dung", en="What it says")
_MONTH: Final = Words(vi="Tháng", en="Month")
_STATE: Final = Words(vi="Tình trạng", en="State")
_DAY: Final = Words(vi="Ngày", en="Day")
_AS_TABLE: Final = Words(vi="Dạng bảng", en="As a table")

_COLUMNS: Final = ("rate", "long", "held", "newest")
_STREAM_EVERY_S: Final = 10.0
_LEDGER_EVERY_S: Final = 60.0
_WIDE, _HIGH = 22, 80  # px of a day, and of the largest bar


async def page(console: Console, payer: str) -> None:
    """The stream at once; places and the ledger once somebody looks, as both take a while."""
    person = console.person()
    language, known = person.language, seen_by(person).get(payer)
    if known is None:
        html(escape(ABSENT.of(language))).classes("hie-notice")
        return
    drawn = figures(await console.sampler.fresh(), payer, language)
    html(escape(f"{payer} · {name_of(known, language)} · {HERE[known.adjudicated_here].of(language)}"), "p")
    if known.adjudicated_here:
        html(f'<a href="/payers/{payer}/statements">{escape(STATEMENTS.of(language))}</a>', "p")
    html(figure("away-kafka", drawn)).classes("hie-notice").props("role=status")
    html(escape(_STREAM.of(language)), "h2")
    html(stream(payer, drawn, language)).classes("hie-scroll")
    html(escape(_READERS.of(language)), "h2")
    places = html(escape(_READING.of(language))).classes("hie-scroll")
    html(escape(_LEDGER.of(language)), "h2")
    ledger = html(escape((_READING if known.adjudicated_here else ELSEWHERE).of(language))).classes("hie-scroll")
    live(console, drawn, lambda snapshot: figures(snapshot, payer, language))

    async def look() -> None:
        places.set_content(await _looked(console, payer, language))

    async def read() -> None:
        ledger.set_content(await _read(console, payer, language))

    ui.timer(_STREAM_EVERY_S, look)
    if known.adjudicated_here:
        ui.timer(_LEDGER_EVERY_S, read)


async def _looked(console: Console, payer: str, language: str) -> str:
    try:
        return readers(await stream_of(console.settings, payer), language)
    except HubError:
        return escape(_KAFKA_AWAY.of(language))


async def _read(console: Console, payer: str, language: str) -> str:
    try:
        return told(await glance_of(console.settings, payer), language)
    except HubError:
        return escape(NO_LEDGER.of(language))
    except unreadable() as broken:  # what they say may hold paths and values: their name is enough
        return escape(UNREADABLE.of(language).format(what=type(broken).__name__))


def figures(seen: Snapshot, payer: str, language: str) -> Figures:
    """Those of the page of topics that are of this payer's."""
    found = topics.figures(seen, language)
    mine = {f"t-{name}-{column}" for name in _topics(payer) for column in _COLUMNS} | {"away-kafka"}
    return {name: value for name, value in found.items() if name in mine}


def _topics(payer: str) -> list[str]:
    return [name for name in known_topics() if name.startswith(f"payer.{payer}.")]


def stream(payer: str, drawn: Figures, language: str) -> str:
    """A row a topic of the payer's."""
    words = dict(topics.COLUMNS)
    rows = (
        f"<tr><th scope=row>{escape(name)}</th>"
        + "".join(figure(f"t-{name}-{column}", drawn, "td", " class=n") for column in _COLUMNS)
        + "</tr>"
        for name in _topics(payer)
    )
    return grid([words[column] for column in ("topic", *_COLUMNS)], rows, language, range(1, 1 + len(_COLUMNS)))


def readers(found: Stream, language: str) -> str:
    """A row a reader: what it has still to read, and since when the oldest of that waits; by partition where one asks."""
    names = [one.name or _OURS.of(language) for one in found.readers]
    ages = [span((now() - one.oldest).total_seconds(), language) if one.oldest else flow.UNKNOWN for one in found.readers]
    sums = [number(sum(one.lags.values()), language) for one in found.readers]
    parts = [
        (str(partition), number(end, language), *(number(one.lags.get(partition, 0), language) for one in found.readers))
        for partition, end in found.written.items()
    ]
    table = _listed((_READER, _TO_READ, _OLDEST), list(zip(names, sums, ages, strict=True)), language, nothing=_NO_READER)
    by_part = _table((_PARTITION.of(language), _WRITTEN.of(language), *names), parts, texts=(0,))
    note = f"<p class=hie-soft>{escape(_FROM_AT.of(language).format(at=flow.clock(found.at)))}</p>"
    return f"{table}<details><summary>{escape(_BY_PARTITION.of(language))}</summary>{by_part}</details>{note}"


# --- the ledger -------------------------------------------------------------------------------------------------------


def told(found: "Glance", language: str) -> str:
    """All of a glance, and when it was."""
    at = f"{found.at.astimezone(VIETNAM):%H:%M:%S %d/%m/%Y}"
    sums = [(words.of(language), _figure(found.totals[name], language)) for name, words in _SUMS.items()]
    today = [(one.verdict, *_figures(language, one.events, one.claimed, one.granted)) for one in found.today]
    rules = [
        (one.rule, one.severity, number(one.events, language), one.en if language == "en" else one.vi) for one in found.rules
    ]
    months = [
        (one.month, *_figures(language, one.claims, one.rejected, one.claimed, one.granted), _CLOSED[one.closed].of(language))
        for one in found.months
    ]
    return "".join(
        (
            f"<p class=hie-soft>{escape(_FROM.of(language).format(at=at))}</p>",
            _part(_DAYS, chart(found.days, language), language),
            _part(_TOTALS, _table((), sums, texts=(0,)), language),
            _part(_TODAY, _listed((_VERDICT, _CLAIMS, _CLAIMED, _GRANTED), today, language), language),
            _part(_RULES, _listed((_RULE, _SEVERITY, _CLAIMS, _WHAT), rules, language, texts=(0, 1, 3)), language),
            _part(
                _MONTHS,
                _listed((_MONTH, _CLAIMS, _REJECTED, _CLAIMED, _GRANTED, _STATE), months, language, texts=(0, 5)),
                language,
            ),
        )
    )


def chart(days: "Sequence[Day]", language: str) -> str:
    """Two rows of bars, a day each: claims, and below them what was claimed with what was granted of it; and the same as a table."""
    wide = _WIDE * len(days)
    bars = [
        *_bars([one.claims for one in days], 0, "hie-granted"),
        *_bars([one.claimed for one in days], 1, "hie-claimed"),
        *_bars([one.granted for one in days], 1, "hie-granted", max((one.claimed for one in days), default=Decimal(0))),
    ]
    texts = [
        _text(0, 14, f"{_CLAIMS.of(language)}: {number(max((one.claims for one in days), default=0), language)} ↑"),
        _text(0, 34 + _HIGH, f"{_BARS.of(language)}: {_largest(days, language)} ↑"),
        *(_text(at * _WIDE, 60 + 2 * _HIGH, f"{one.day:%d/%m}") for at, one in enumerate(days) if at % 5 == len(days) % 5),
    ]
    texts += [f'<line x1="0" x2="{wide}" y1="{y}" y2="{y}"/>' for y in (20 + _HIGH, 40 + 2 * _HIGH)]
    rows = [
        (f"{one.day:%d/%m/%Y}", *_figures(language, one.claims, one.claimed, one.granted)) for one in reversed(days) if one.claims
    ]
    table = _listed((_DAY, _CLAIMS, _CLAIMED, _GRANTED), rows, language)
    return (
        f'<svg class="hie-map hie-bars" viewBox="0 0 {wide} {66 + 2 * _HIGH}" role="img" aria-label="{escape(_DAYS.of(language))}">'
        f"{''.join(bars)}{''.join(texts)}</svg><details><summary>{escape(_AS_TABLE.of(language))}</summary>{table}</details>"
    )


def _bars(values: Sequence[int | Decimal], row: int, kind: str, largest: int | Decimal = 0) -> Iterable[str]:
    top, most = 20 + row * (_HIGH + 20), largest or max(values, default=0)
    for at, value in enumerate(values):
        if value > 0:
            high = max(1.0, float(value / most) * _HIGH)
            yield f'<rect class="{kind}" x="{at * _WIDE + 2}" y="{top + _HIGH - high:.1f}" width="{_WIDE - 6}" height="{high:.1f}"/>'


def _largest(days: "Sequence[Day]", language: str) -> str:
    return number(max((float(one.claimed) for one in days), default=0.0), language)


def _text(x: int, y: int, text: str) -> str:
    return f'<text class="l" x="{x}" y="{y}">{escape(text)}</text>'


def _part(title: Words, content: str, language: str) -> str:
    return f"<h3>{escape(title.of(language))}</h3>{content}"


def _figures(language: str, *values: int | Decimal) -> tuple[str, ...]:
    return tuple(_figure(value, language) for value in values)


def _figure(value: Any, language: str) -> str:
    """Counts as they are, amounts to the hundredth."""
    text = f"{value:,.2f}" if isinstance(value, Decimal) else f"{value:,}"
    return text if language == "en" else text.translate(str.maketrans(",.", ".,"))


def _listed(
    heads: Sequence[Words], rows: Sequence[Sequence[str]], language: str, texts: Sequence[int] = (0,), nothing: Words = _NONE
) -> str:
    if not rows:
        return f"<p>{escape(nothing.of(language))}</p>"
    return _table([one.of(language) for one in heads], rows, texts)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], texts: Sequence[int]) -> str:
    """texts: columns that are no numbers."""

    def kind(at: int) -> str:
        return "" if at in texts else " class=n"

    head = "".join(f"<th scope=col{kind(at)}>{escape(one)}</th>" for at, one in enumerate(heads))
    body = "".join(f"<tr>{''.join(f'<td{kind(at)}>{escape(one)}</td>' for at, one in enumerate(row))}</tr>" for row in rows)
    return f"<table class=hie>{f'<thead><tr>{head}</tr></thead>' if heads else ''}<tbody>{body}</tbody></table>"
