"""What flows now and today, drawn as the hub's own map; what runs; what needs a person."""

from html import escape
from typing import Final

from hub.access.people import Right
from hub.console import flow
from hub.console.sampler import Snapshot
from hub.console.shell import Console, Figures, State, figure, grid, html, live
from hub.console.words import Words, number

PATH: Final = "/"
TITLE: Final = Words(vi="Toàn cảnh", en="Overview")
RIGHT: Final[Right] = "see"

_HEALTH: Final = Words(vi="Các phần của hub", en="Parts of the hub")
_NEEDS: Final = Words(vi="Việc cần người xử lý", en="What needs a person")
_COLUMNS: Final = (
    Words(vi="Việc", en="What"),
    Words(vi="Số lượng · lâu nhất", en="How many · oldest"),
    Words(vi="Xem", en="See"),
)
_WORK: Final = (
    ("parked", Words(vi="Khóa tạm giữ, chờ dữ kiện hoặc sửa", en="Parked keys, waiting for a fact or a fix"), "/dead-letters"),
    ("dead", Words(vi="Thư chết, không xử lý được", en="Dead letters, which could not be processed"), "/dead-letters"),
    ("held", Words(vi="Giao nhận bị giữ lại", en="Deliveries that are held"), "/worklists"),
    ("paused", Words(vi="Nơi nhận đang tạm dừng", en="Recipients that are paused"), "/recipients"),
    ("due", Words(vi="Hẹn giờ đã quá hạn", en="Deadlines that have passed"), "hie status"),
)
_DOWN: Final = Words(vi="Phần của hub dừng hoặc không trả lời", en="Parts of the hub that stopped or do not answer")
_INCIDENTS: Final = Words(vi="Sự cố đang mở", en="Open incidents")
_ALIVE: Final[dict[bool, Words]] = {True: Words(vi="chạy", en="runs"), False: Words(vi="không chạy", en="does not run")}
_ANSWERS: Final[dict[bool, Words]] = {
    True: Words(vi="trả lời", en="answers"),
    False: Words(vi="không trả lời", en="does not answer"),
}
_DISK_LOW: Final = 5 * 1024**3


async def page(console: Console) -> None:
    """Drawn once; figures follow."""
    language = console.person().language
    seen = await console.sampler.fresh()
    drawn = figures(seen, language)
    for source in flow.AWAY:
        html(figure(f"away-{source}", drawn)).classes("hie-notice").props("role=status")
    html(flow.drawing(drawn, language)).classes("hie-scroll")
    html(escape(_NEEDS.of(language)), "h2")
    html(_work(drawn, language))
    html(escape(_HEALTH.of(language)), "h2")
    names = [name for name in drawn if name.startswith("part-")]
    html("".join(f"<li>{escape(name.removeprefix('part-'))}: {figure(name, drawn)}</li>" for name in names), "ul").classes(
        "hie-health"
    )
    live(console, drawn, lambda snapshot: figures(snapshot, language))


def _work(drawn: Figures, language: str) -> str:
    rows = [(_DOWN, "work-down", "hie doctor")]
    rows += [(words, f"work-{name}", see) for name, words, see in _WORK] + [(_INCIDENTS, "work-incidents", "/incidents")]
    body = (
        f"<tr><td>{escape(words.of(language))}</td>{figure(name, drawn, 'td', ' class=n')}<td>{_see(see)}</td></tr>"
        for words, name, see in rows
        if name in drawn
    )
    return grid(_COLUMNS, body, language, (1,))


def _see(where: str) -> str:
    """A page of the console as a link, a command as one types it."""
    return f'<a href="{where}">{where}</a>' if where.startswith("/") else f"<code>{where}</code>"


def figures(seen: Snapshot, language: str) -> dict[str, tuple[str, State]]:
    """Every figure of the page, by its id there."""
    found = flow.figures(seen, language) | flow.away(seen, language)
    old: State = "old" if "database" in seen.faults else ""
    for name, *_ in _WORK:
        one = seen.waits.get(name)
        found[f"work-{name}"] = (flow.waiting(one, language), old or ("warn" if one and one.count else ""))
    if seen.incidents is not None:
        found["work-incidents"] = (flow.waiting(seen.incidents, language), old or ("warn" if seen.incidents.count else ""))
    parts = _parts(seen, language)
    down = sum(state == "bad" for _, state in parts.values())
    found["work-down"] = (number(down, language), "bad" if down else "")
    return found | {f"part-{name}": value for name, value in parts.items()}


def _parts(seen: Snapshot, language: str) -> dict[str, tuple[str, State]]:
    found: dict[str, tuple[str, State]] = {
        name: (
            (_ALIVE[True] if one.well else (_ANSWERS if one.alive else _ALIVE)[False]).of(language),
            "good" if one.well else "bad",
        )
        for name, one in seen.services.items()
    }
    answers = {"PostgreSQL": "database" not in seen.faults, "registry": seen.registry_answers}
    for name, answer in answers.items():
        if answer is not None:
            found[name] = (_ANSWERS[answer].of(language), "good" if answer else "bad")
    brokers = "kafka" not in seen.faults and seen.brokers
    found["Kafka"] = (
        f"{seen.brokers} broker{'s' * (seen.brokers > 1)}" if brokers else _ANSWERS[False].of(language),
        "good" if brokers else "bad",
    )
    free = number(seen.disk_free_bytes / 1e9, language)
    found["disk"] = (
        Words(vi=f"còn trống {free} GB", en=f"{free} GB free").of(language),
        "bad" if seen.disk_free_bytes < _DISK_LOW else "good",
    )
    return found
