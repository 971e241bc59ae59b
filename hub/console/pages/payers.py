"""The payers whose streams this person may see."""

from html import escape
from typing import Final

from hub.access.people import Right
from hub.console import flow
from hub.console.payer_look import seen_by
from hub.console.sampler import Snapshot
from hub.console.shell import Console, Figures, State, figure, grid, html, live
from hub.console.words import Words, number
from hub.contract.payers import Payer

PATH: Final = "/payers"
TITLE: Final = Words(vi="Bên chi trả", en="Payers")
RIGHT: Final[Right] = "see"
SCOPED: Final = "insurer"

HERE: Final = {
    True: Words(vi="hub này giám định", en="adjudicated by this hub"),
    False: Words(vi="tự giám định", en="by its own system"),
}
_HEAD: Final = (
    Words(vi="Mã", en="Code"), Words(vi="Tên", en="Name"), Words(vi="Giám định", en="Adjudication"),
    Words(vi="Hồ sơ/giây", en="Claims a second"), Words(vi="Hồ sơ đang lưu", en="Claims held"),
    Words(vi="Quyết định/giây", en="Decisions a second"), Words(vi="Quyết toán", en="Statements"),
)  # fmt: skip
_NUMBERS: Final = (3, 4, 5)
_STATEMENTS: Final = Words(vi="Xem", en="Open")


async def page(console: Console) -> None:
    """Drawn once; figures follow."""
    person = console.person()
    language, shown = person.language, seen_by(person)
    drawn = figures(await console.sampler.fresh(), shown, language)
    html(figure("away-kafka", drawn)).classes("hie-notice").props("role=status")
    html(_table(shown, drawn, language)).classes("hie-scroll")
    live(console, drawn, lambda snapshot: figures(snapshot, shown, language))


def figures(seen: Snapshot, shown: dict[str, Payer], language: str) -> dict[str, tuple[str, State]]:
    """Of each payer the rates of its claims and decisions over a minute, and the claims that Kafka holds."""
    found: dict[str, tuple[str, State]] = {"away-kafka": flow.away(seen, language)["away-kafka"]}
    old: State = "old" if "kafka" in seen.faults else ""
    for code in shown:
        claims, decisions = (seen.topics.get(f"payer.{code}.{what}.v1") for what in ("claim", "decision"))
        found[f"p-{code}-claims"] = (flow.per_second(claims.rate_long if claims else None, language), old)
        found[f"p-{code}-held"] = (number(claims.held, language) if claims else flow.UNKNOWN, old)
        found[f"p-{code}-decisions"] = (flow.per_second(decisions.rate_long if decisions else None, language), old)
    return found


def _table(shown: dict[str, Payer], drawn: Figures, language: str) -> str:
    rows = (
        f'<tr><th scope=row><a href="{PATH}/{code}">{code}</a></th><td>{escape(name_of(one, language))}</td>'
        f"<td>{escape(HERE[one.adjudicated_here].of(language))}</td>"
        + "".join(figure(f"p-{code}-{what}", drawn, "td", " class=n") for what in ("claims", "held", "decisions"))
        + f'<td><a href="{PATH}/{code}/statements">{escape(_STATEMENTS.of(language))}</a></td></tr>'
        for code, one in sorted(shown.items())
    )
    return grid(_HEAD, rows, language, _NUMBERS)


def name_of(payer: Payer, language: str) -> str:
    """Its name for a reader of this language."""
    return payer.name_en if language == "en" else payer.name
