"""Every topic: how fast it grows, who is how far behind, what it holds."""

from html import escape
from typing import Final

from hub.access.people import Right
from hub.console import flow
from hub.console.sampler import Lag, Snapshot
from hub.console.shell import Console, Figures, State, figure, grid, html, live
from hub.console.words import Words, number, span
from hub.contract.events import VIETNAM
from hub.contract.topics import topics

PATH: Final = "/topics"
TITLE: Final = Words(vi="Chủ đề", en="Topics")
RIGHT: Final[Right] = "see"

COLUMNS: Final = (
    ("topic", Words(vi="Chủ đề", en="Topic")),
    ("rate", Words(vi="10 giây", en="10 s")),
    ("long", Words(vi="1 phút", en="1 min")),
    ("lag", Words(vi="Bên đọc: chưa đọc", en="Reader: to read")),
    ("held", Words(vi="Bản ghi", en="Records")),
    ("size", Words(vi="Dung lượng", en="Size")),
    ("kept", Words(vi="Lưu", en="Kept")),
    ("newest", Words(vi="Mới nhất", en="Newest")),
)
_NOTE: Final = Words(
    vi="↑ tồn tăng, ↓ tồn giảm, → đứng yên, trong một phút qua. Lưu trữ và giám định tự giữ chỗ đọc của mình.",
    en="↑ grows, ↓ shrinks, → stands still, over the last minute. Archive and insurer keep their own places.",
)
_TEXT: Final = ("rate", "long", "lag", "held", "size", "newest")
_COMPACTED: Final = Words(vi="bản cuối mỗi khóa", en="last of each key")


async def page(console: Console) -> None:
    """Drawn once; figures follow."""
    language = console.person().language
    seen = await console.sampler.fresh()
    drawn = figures(seen, language)
    for source in ("kafka", "database"):
        html(figure(f"away-{source}", drawn)).classes("hie-notice").props("role=status")
    html(_table(drawn, language)).classes("hie-scroll")
    html(escape(_NOTE.of(language)), "p").classes("hie-soft")
    live(console, drawn, lambda snapshot: figures(snapshot, language))


def _table(drawn: Figures, language: str) -> str:
    rows = []
    for name, topic in topics().items():
        kept = span(topic.retention_days * 86_400, language) if topic.cleanup == "delete" else _COMPACTED.of(language)
        cells = [
            f'<td class="n">{escape(kept)}</td>'
            if column == "kept"
            else figure(f"t-{name}-{column}", drawn, "td", _class(column))
            for column, _ in COLUMNS[1:]
        ]
        rows.append(f'<tr><th scope="row"><a href="/topics/{name}">{name}</a></th>{"".join(cells)}</tr>')
    numbers = [at for at, (name, _) in enumerate(COLUMNS) if _class(name)]
    return grid([words for _, words in COLUMNS], rows, language, numbers)


def _class(column: str) -> str:
    return "" if column in ("topic", "lag") else ' class="n"'


def figures(seen: Snapshot, language: str) -> dict[str, tuple[str, State]]:
    """Every figure of the page, by its id there."""
    found: dict[str, tuple[str, State]] = dict(flow.away(seen, language))
    old: State = "old" if "kafka" in seen.faults else ""
    readers: dict[str, list[tuple[str, Lag]]] = {}
    for (reader, topic), one in sorted(seen.lags.items()):
        readers.setdefault(topic, []).append((reader, one))
    for name in topics():
        now, size, at = seen.topics.get(name), seen.sizes.get(name), seen.newest.get(name)
        behind = readers.get(name, [])
        texts = (
            flow.per_second(now.rate, language) if now else flow.UNKNOWN,
            flow.per_second(now.rate_long, language) if now else flow.UNKNOWN,
            " · ".join(f"{reader} {flow.behind((one.records, one.trend or 0.0), language)}" for reader, one in behind)
            or flow.UNKNOWN,
            number(now.held, language) if now else flow.UNKNOWN,
            flow.UNKNOWN if size is None else f"{number(size / 1e6, language, 1)} MB",
            f"{at.astimezone(VIETNAM):%d/%m %H:%M:%S}" if at else flow.UNKNOWN,
        )
        for column, text in zip(_TEXT, texts, strict=True):
            many = column == "lag" and any(one.records > flow.MANY and (one.trend or 0.0) >= 0 for _, one in behind)
            found[f"t-{name}-{column}"] = (text, old or ("warn" if many else ""))
    return found
