"""The hub's own map: stages from the ways in to the decisions, drawn once; its figures are kept true by the shell."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Final

from hub.console.sampler import Snapshot, Waiting
from hub.console.shell import Figures, State, figure
from hub.console.words import Words, number, span
from hub.contract.events import VIETNAM, now
from hub.contract.topics import topics

MANY: Final = 1_000  # records that a reader may be behind without a word
_TOO_MANY: Final = 50_000

AWAY: Final = {
    "kafka": Words(vi="Kafka không trả lời từ {at}; số liệu màu xám là số cuối cùng biết được.", en="Kafka has not answered since {at}; figures in grey are the last known."),
    "database": Words(vi="Cơ sở dữ liệu không trả lời từ {at}; số liệu màu xám là số cuối cùng biết được.", en="The database has not answered since {at}; figures in grey are the last known."),
}  # fmt: skip
UNKNOWN: Final = "–"
STATES: Final[Mapping[State, Words]] = {
    "": Words(vi="chưa rõ", en="not known"),
    "old": Words(vi="số liệu cũ", en="last known"),
    "good": Words(vi="chạy tốt", en="runs well"),
    "warn": Words(vi="đang dồn lại", en="falls behind"),
    "bad": Words(vi="dừng hoặc tắc", en="stopped or stuck"),
}


@dataclass(frozen=True, slots=True)
class Box:
    """One stage.

    lag:   (reader, topics): what it has still to read; None where the reader keeps its place itself.
    lines: what else is said in it: label, and the text and state of it.
    parts: services that it is made of, by the beginning of their names.
    """

    name: str
    x: int
    y: int
    title: Words
    parts: tuple[str, ...]
    lag: tuple[str, Callable[[str], bool]] | None
    lines: tuple[tuple[Words, Callable[[Snapshot, str], tuple[str, State]]], ...]


def _today(name: str) -> Callable[[Snapshot, str], tuple[str, State]]:
    return lambda seen, language: (
        (number(seen.today[name], language), _aged(seen, "database")) if name in seen.today else (UNKNOWN, "")
    )


def _waits(name: str) -> Callable[[Snapshot, str], tuple[str, State]]:
    def text(seen: Snapshot, language: str) -> tuple[str, State]:
        return waiting(seen.waits.get(name), language), _aged(seen, "database")

    return text


def _rate(which: Callable[[str], bool]) -> Callable[[Snapshot, str], tuple[str, State]]:
    return lambda seen, language: (per_second(rate(seen, which), language), _aged(seen, "kafka"))


def waiting(one: Waiting | None, language: str) -> str:
    """How many wait and how long the oldest does."""
    if one is None:
        return UNKNOWN
    count = number(one.count, language)
    return f"{count} · {span((now() - one.oldest).total_seconds(), language)}" if one.oldest else count


def rate(seen: Snapshot, which: Callable[[str], bool], *, long: bool = False) -> float | None:
    """Records a second in these topics together; None while it is not known."""
    found = [one.rate_long if long else one.rate for name, one in seen.topics.items() if which(name)]
    return sum(one for one in found if one is not None) if any(one is not None for one in found) else None


def per_second(value: float | None, language: str) -> str:
    if value is None:
        return UNKNOWN
    return f"{number(value, language, 1 if value < 100 else 0)}/{'s' if language == 'en' else 'giây'}"


def _aged(seen: Snapshot, source: str) -> State:
    return "old" if source in seen.faults else ""


def lag(seen: Snapshot, reader: str, which: Callable[[str], bool]) -> tuple[int, float] | None:
    """Records that a reader has still to read, and how that changes a second."""
    found = [one for (who, topic), one in seen.lags.items() if who == reader and which(topic)]
    return (sum(one.records for one in found), sum(one.trend or 0.0 for one in found)) if found else None


def state(seen: Snapshot, box: Box) -> State:
    """How a stage does: from its services, and from what it has still to read."""
    mine = [one.well for name, one in seen.services.items() if name.partition("-")[0] in box.parts]
    if mine and not all(mine):
        return "bad"
    if "kafka" in seen.faults:
        return "old"
    if not seen.topics:
        return ""
    behind = lag(seen, *box.lag) if box.lag else None
    if behind and behind[0] > MANY and behind[1] >= 0:
        return "bad" if behind[0] > _TOO_MANY else "warn"
    return "good"


def _payer(kind: str) -> Callable[[str], bool]:
    return lambda name: name.startswith("payer.") and name.endswith(f".{kind}.v1")


def _made(name: str) -> bool:
    """A topic of events that the gate makes of messages."""
    return name != "message-received.v1" and name in topics() and "gate" in topics()[name].written_by and name != "delivery.v1"


def _any(_name: str) -> bool:
    return True


def _is(name: str) -> Callable[[str], bool]:
    return lambda other: other == name


RECEIVED, TRANSLATED = Words(vi="Nhận hôm nay", en="Received today"), Words(vi="Đã dịch", en="Translated")
REFUSED, QUARANTINED = Words(vi="Từ chối", en="Refused"), Words(vi="Cách ly", en="Quarantined")
QUEUED, DELIVERED = (
    Words(vi="Chờ lấy · lâu nhất", en="Queued · oldest"),
    Words(vi="Của hôm nay, đã giao", en="Of today, delivered"),
)
HELD, PARKED = Words(vi="Giữ lại · lâu nhất", en="Held · oldest"), Words(vi="Tạm giữ · lâu nhất", en="Parked · oldest")
DUE, DEAD = Words(vi="Quá hẹn · lâu nhất", en="Overdue · oldest"), Words(vi="Thư chết · lâu nhất", en="Dead letters · oldest")
CLAIMS, DECISIONS = Words(vi="Hồ sơ vào", en="Claims in"), Words(vi="Quyết định ra", en="Decisions out")
LAG: Final = Words(vi="Chưa đọc", en="To read")

BOXES: Final = (
    Box("gate", 10, 90, Words(vi="Cổng vào", en="Ways in"), ("gate",), None,
        ((RECEIVED, _today("received")), (TRANSLATED, _today("translated")), (REFUSED, _today("refused")), (QUARANTINED, _today("quarantined")))),
    Box("topics", 300, 90, Words(vi="Chủ đề Kafka", en="Kafka topics"), (), None,
        ((Words(vi="Sự kiện 1 phút", en="Events, 1 min"), lambda seen, language: (per_second(rate(seen, _made, long=True), language), _aged(seen, "kafka"))),
         (DEAD, _waits("dead")))),
    Box("routing", 590, 90, Words(vi="Định tuyến", en="Routing"), ("routing",), ("routing", _any),
        ((PARKED, _waits("parked")), (DUE, _waits("due")))),
    Box("mailbox", 880, 10, Words(vi="Hộp thư", en="Mailboxes"), ("mailbox",), ("mailbox", _any),
        ((QUEUED, _waits("queued")), (HELD, _waits("held")), (DELIVERED, _today("delivered")))),
    Box("insurer", 880, 210, Words(vi="Giám định BHYT", en="Insurer"), ("insurer",), None,
        ((CLAIMS, _rate(_payer("claim"))), (DECISIONS, _rate(_payer("decision"))))),
    Box("journal", 300, 300, Words(vi="Nhật ký, lưu trữ", en="Journal, archive"), ("journal", "archive"), ("journal", _any),
        ((Words(vi="Đang đi · lâu nhất", en="Under way · oldest"), _waits("under way")),)),
)  # fmt: skip
ARROWS: Final = (
    ("in", "M230 150 H298", 264, 140, _rate(_is("message-received.v1"))),
    ("events", "M520 150 H588", 554, 140, _rate(_made)),
    ("deliveries", "M810 120 L878 80", 836, 82, _rate(_is("delivery.v1"))),
    ("claims", "M810 180 L878 240", 822, 226, _rate(_payer("claim"))),
    ("decisions", "M878 300 C760 330 700 290 700 216", 740, 330, _rate(_is("claim-decision.v1"))),
    ("indexed", "M410 196 V298", 446, 254, _rate(_any)),
)
_LEADS: Final = {
    REFUSED: "/search?verdict=refused", QUARANTINED: "/search?verdict=quarantined", QUEUED: "/recipients", HELD: "/worklists",
    PARKED: "/dead-letters", DEAD: "/dead-letters",
}  # fmt: skip
"""Where a figure leads to what it counts."""
_MAP: Final = Words(vi="Bản đồ dòng chảy của hub", en="Map of the hub's flow")
_WIDTH: Final = 220
_LINE: Final = 20


def figures(seen: Snapshot, language: str) -> dict[str, tuple[str, State]]:
    """Every figure of the map."""
    found: dict[str, tuple[str, State]] = {}
    for box in BOXES:
        its = state(seen, box)
        found[f"map-{box.name}"] = (STATES[its].of(language), its)
        if box.lag:
            found[f"map-{box.name}-lag"] = (behind(lag(seen, *box.lag), language), _aged(seen, "kafka"))
        for at, (_, text) in enumerate(box.lines):
            found[f"map-{box.name}-{at}"] = text(seen, language)
    return found | {f"map-to-{name}": text(seen, language) for name, _, _, _, text in ARROWS}


def behind(value: tuple[int, float] | None, language: str) -> str:
    """Records to read and whether they become more (↑) or fewer (↓)."""
    if value is None:
        return UNKNOWN
    sign = "↑" if value[1] > 0.5 else "↓" if value[1] < -0.5 else "→"
    return f"{number(value[0], language)} {sign}"


def away(seen: Snapshot, language: str) -> dict[str, tuple[str, State]]:
    """What does not answer, and since when; nothing where all do."""
    found: dict[str, tuple[str, State]] = {}
    for source, words in AWAY.items():
        since = seen.faults.get(source)
        found[f"away-{source}"] = (words.of(language).format(at=clock(since)), "bad") if since else ("", "")
    return found


def drawing(drawn: Figures, language: str) -> str:
    """The map as SVG, with its figures as they are now."""
    parts = ['<defs><marker id="hie-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
             '<path d="M0 0 L8 4 L0 8 z" style="fill: var(--accent); stroke: none"/></marker></defs>']  # fmt: skip
    for name, path, x, y, _ in ARROWS:
        parts.append(
            f'<path d="{path}" marker-end="url(#hie-tip)"/>'
            + figure(f"map-to-{name}", drawn, "text", f' x="{x}" y="{y}" text-anchor="middle"')
        )
    for box in BOXES:
        rows = [
            *([(LAG, f"map-{box.name}-lag")] if box.lag else []),
            *((label, f"map-{box.name}-{at}") for at, (label, _) in enumerate(box.lines)),
        ]
        right = box.x + _WIDTH - 12
        parts.append(f'<rect x="{box.x}" y="{box.y}" width="{_WIDTH}" height="{64 + _LINE * len(rows)}" rx="6"/>')
        parts.append(f'<text class="t" x="{box.x + 12}" y="{box.y + 24}">{escape(box.title.of(language))}</text>')
        parts.append(figure(f"map-{box.name}", drawn, "text", f' x="{box.x + 12}" y="{box.y + 44}"'))
        for at, (label, name) in enumerate(rows):
            y = box.y + 68 + _LINE * at
            words = f'<text class="l" x="{box.x + 12}" y="{y}">{escape(label.of(language))}</text>'
            parts.append(f'<a href="{_LEADS[label]}">{words}</a>' if label in _LEADS else words)
            parts.append(figure(name, drawn, "text", f' x="{right}" y="{y}" text-anchor="end"'))
    return f'<svg class="hie-map" viewBox="0 0 1110 420" role="group" aria-label="{_MAP.of(language)}">{"".join(parts)}</svg>'


def clock(at: datetime | None) -> str:
    """A time of today as people say it."""
    return f"{at.astimezone(VIETNAM):%H:%M:%S}" if at else UNKNOWN
