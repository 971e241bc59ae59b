"""What is around every page: who is signed in, where one may go, in which language; and figures that stay true while one looks."""

import copy
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import psycopg
from nicegui import ui
from psycopg.errors import QueryCanceled
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from hub.access.people import SCOPED, Person
from hub.console.words import LANGUAGES, Words, why
from hub.contract.errors import HubError
from hub.contract.settings import Settings

if TYPE_CHECKING:
    from hub.console.door import Door
    from hub.console.sampler import Sampler, Snapshot

LANGUAGE_COOKIE: Final = "hie_language"


@dataclass(frozen=True, slots=True)
class Console:
    """What every page gets.

    border: what the console needs of the border (`hub.console.border.Border`); None where it was built without.
    """

    settings: Settings
    pool: AsyncConnectionPool
    sampler: "Sampler"
    door: "Door"
    border: Any = None

    def person(self) -> Person:
        """Who is signed in, with the language that was chosen on the page."""
        someone = self.door.person()
        chosen = ui.context.client.request.cookies.get(LANGUAGE_COOKIE)
        return replace(someone, language=chosen) if chosen in LANGUAGES else someone


def may_open(person: Person, page: Any) -> bool:
    """Whether a page, a module of `hub.console.pages`, is this person's to see.

    A vendor and an insurer see what is of their scope only, so they come to pages that say so: `SCOPED` is True for both, or the
    role of one; those pages look at the scope.
    """
    scoped = getattr(page, "SCOPED", False)
    return bool(person.may(page.RIGHT) and (scoped in (True, person.role) or person.role not in SCOPED))


MENU: Final = Words(vi="Mục lục", en="Pages")
SKIP: Final = Words(vi="Đến nội dung", en="Skip to content")
_ROLES: Final = {
    "viewer": Words(vi="người xem", en="viewer"),
    "operator": Words(vi="người vận hành", en="operator"),
    "admin": Words(vi="quản trị", en="admin"),
    "vendor": Words(vi="nhà cung cấp phần mềm", en="vendor"),
    "insurer": Words(vi="cơ quan bảo hiểm", en="insurer"),
}
LEAVE: Final = Words(vi="Đăng xuất", en="Sign out")
_ACCENT: Final = "#0b5c7a"  # of buttons; style.css has the rest
CURRENT: Final = ' aria-current="page"'
_STYLE: Final = Path(__file__).with_name("style.css").read_text("utf-8")
_SET: Final = """<script>window.hieSet = (figures) => { for (const [id, [text, state]] of Object.entries(figures)) {
const at = document.getElementById(id); if (at) { at.textContent = text; at.dataset.state = state; } } };</script>"""


@contextmanager
def frame(console: Console, here: Any, pages: Sequence[Any]) -> Iterator[None]:
    """Header, side navigation and the main part, which the page's own elements go into."""
    person = console.person()
    client = ui.context.client
    client.page = copy.copy(client.page)  # its language is this reader's, not every reader's
    client.page.language = "en-US" if person.language == "en" else "vi"
    client.title = f"{here.TITLE.of(person.language)} · hie-hub"
    # What a handler of the page did not expect: without a word it would look as if nothing had been pressed.
    client.on_exception(lambda wrong: ui.notify(sorry(wrong, person.language), type="negative", multi_line=True))
    ui.colors(primary=_ACCENT)
    ui.add_head_html(f"<style>{_STYLE}</style>{_SET}")
    links = "".join(
        f'<li><a href="{page.PATH}"{CURRENT if page is here or here.PATH.startswith(page.PATH + "/") else ""}>{escape(page.TITLE.of(person.language))}</a></li>'
        for page in pages
        if "{" not in page.PATH and may_open(person, page)
    )
    html(f'<a class="hie-skip" href="#main">{SKIP.of(person.language)}</a>')
    html(_top(console, person), "header").classes("hie-top")
    html(f"<ul>{links}</ul>", "nav").classes("hie-nav").props["aria-label"] = MENU.of(person.language)
    with (
        ui.element("section").classes("hie-main").props('id=main tabindex="-1"') as part
    ):  # NiceGUI's own is the `main` of the page
        part.props["aria-label"] = here.TITLE.of(person.language)
        html(escape(here.TITLE.of(person.language)), "h1")
        yield


def _top(console: Console, person: Person) -> str:
    choices = "".join(
        f'<a href="/language/{language}" hreflang="{language}" lang="{language}"{CURRENT if language == person.language else ""}>{name}</a>'
        for language, name in LANGUAGES.items()
    )
    return (
        f'<a class="hie-name" href="/">hie-hub</a><span class="hie-languages">{choices}</span>'
        f"<span>{escape(person.name)} · {escape(_ROLES[person.role].of(person.language))}</span>"
        f'<form method="post" action="{console.door.leave}"><button type="submit">{LEAVE.of(person.language)}</button></form>'
    )


FAULTS: Final[tuple[type[Exception], ...]] = (HubError, psycopg.Error, PoolTimeout)
"""What asking the hub may raise; `sorry` says it to whoever asked."""
_WRONG: Final = Words(vi="Không hiểu: {where}", en="Not understood: {where}")
_TOO_LONG: Final = Words(
    vi="Mất quá nhiều thời gian nên đã dừng; hãy thu hẹp.", en="It took too long and was given up; narrow it down."
)


_BROKE: Final = Words(
    vi="Đã xảy ra lỗi và lỗi đã được ghi vào nhật ký của hub.", en="Something went wrong. It is in the hub's log."
)


def sorry(wrong: Exception, language: str) -> str:
    """Why there is no answer, in words. Of a fault of the database only what it is: its text may quote a value."""
    if not isinstance(wrong, FAULTS):
        return _BROKE.of(language)
    if isinstance(wrong, QueryCanceled):
        return _TOO_LONG.of(language)
    code = wrong.code if isinstance(wrong, HubError) else "DATABASE_UNAVAILABLE"
    if isinstance(wrong, HubError) and code == "REQUEST_WRONG":
        return _WRONG.of(language).format(where=wrong.where)
    return f"{code}: {why(code, language)}"


def html(content: str, tag: str = "div") -> ui.html:
    """Markup of our own, put into the page as it is: what comes from outside has to be escaped before."""
    return ui.html(content, sanitize=False, tag=tag)


def grid(head: Sequence[Words], rows: Iterable[str], language: str, numbers: Collection[int] = ()) -> str:
    """A table. rows: markup, a `tr` each; numbers: columns, from 0, that stand to the right."""
    names = "".join(
        f"<th scope=col{' class=n' if at in numbers else ''}>{escape(one.of(language))}</th>" for at, one in enumerate(head)
    )
    return f"<table class=hie><thead><tr>{names}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


# --- figures ----------------------------------------------------------------------------------------------------------

State = Literal["", "good", "warn", "bad", "old"]
Figures = Mapping[str, tuple[str, State]]
"""Id in the page to what stands there, and how it is meant; `old` is greyed: it was so once."""


def figure(name: str, figures: Figures, tag: str = "span", more: str = "") -> str:
    """The markup of one figure, as it is now; `live` keeps it true."""
    text, state = figures[name]
    return f'<{tag} id="{name}" data-state="{state}"{more}>{escape(text)}</{tag}>'


def changed(last: Figures, fresh: Figures) -> dict[str, tuple[str, State]]:
    """Only what is not in the page already."""
    return {name: value for name, value in fresh.items() if last.get(name) != value}


def live(console: Console, drawn: Figures, figures: "Callable[[Snapshot], Figures]") -> None:
    """Keep the figures of this page true while somebody has it open: one message a sample, with what changed.

    drawn: what the page was built with.
    """
    client = ui.context.client
    last = dict(drawn)

    def told(snapshot: "Snapshot") -> None:
        if news := changed(last, figures(snapshot)):
            last.update(news)
            client.run_javascript(f"hieSet({json.dumps(news, ensure_ascii=False)})")

    client.on_connect(lambda: console.sampler.begin(told))
    client.on_disconnect(lambda: console.sampler.end(told))
    client.on_delete(lambda: console.sampler.end(told))
