"""What is around every page: who is signed in, where one may go, in which language; and figures that stay true while one looks."""

import copy
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, is_dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, cast

from nicegui import ui
from psycopg_pool import AsyncConnectionPool

from hub.console.words import LANGUAGES, Language, Words
from hub.contract.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from hub.console.sampler import Sampler

Right = Literal["see", "act", "unmask", "administer"]
LANGUAGE_COOKIE: Final = "hie_language"


class Someone(Protocol):
    """Who is signed in, as much of `hub.access.people.Person` as the shell needs."""

    @property
    def name(self) -> str: ...
    @property
    def role(self) -> str: ...
    @property
    def scope(self) -> tuple[str, ...]: ...
    @property
    def language(self) -> str: ...
    def may(self, right: Right) -> bool: ...


@dataclass(frozen=True, slots=True)
class Door:
    """How one comes in.

    install: puts its middleware and its own pages on the application, before any page of ours.
    person:  who is signed in, of the request that is being answered.
    leave:   path that a form is posted to in order to sign out.
    """

    install: "Callable[[FastAPI], None]"
    person: Callable[[], Any]
    leave: str = "/sign-out"


@dataclass(frozen=True, slots=True)
class Console:
    """What every page gets.

    border: what the console needs of the border (`hub.console.border.Border`); None where it was built without.
    """

    settings: Settings
    pool: AsyncConnectionPool
    sampler: "Sampler"
    door: Door
    border: Any = None

    def person(self) -> Any:
        """Who is signed in, with the language that was chosen on the page."""
        someone = self.door.person()
        chosen = ui.context.client.request.cookies.get(LANGUAGE_COOKIE)
        return replace(someone, language=chosen) if chosen in LANGUAGES and is_dataclass(someone) else someone


class Page(Protocol):
    """A module of `hub.console.pages`."""

    PATH: str
    TITLE: Words
    RIGHT: Right
    page: Callable[..., Awaitable[None]]


@contextmanager
def frame(console: Console, here: Any, pages: Sequence[Any]) -> Iterator[None]:
    """Header, side navigation and the main part, which the page's own elements go into."""
    person = console.person()
    client = ui.context.client
    client.page = copy.copy(client.page)  # its language is this reader's, not every reader's
    client.page.language = cast("Any", "en-US" if person.language == "en" else "vi")
    client.title = f"{here.TITLE.of(person.language)} · hie-hub"
    ui.add_css(STYLE)
    links = "".join(
        f'<li><a href="{page.PATH}"{CURRENT if page is here else ""}>{escape(page.TITLE.of(person.language))}</a></li>'
        for page in pages
        if "{" not in page.PATH and person.may(page.RIGHT)
    )
    ui.html(_top(console, person) + f'<nav class="hie-nav" aria-label="{MENU.of(person.language)}"><ul>{links}</ul></nav>', sanitize=False)
    with ui.element("main").classes("hie-main").props('id=main tabindex="-1"'):
        ui.html(f"<h1>{escape(here.TITLE.of(person.language))}</h1>", sanitize=False)
        yield


CURRENT: Final = ' aria-current="page"'
MENU: Final = Words(vi="Mục lục", en="Pages")
SKIP: Final = Words(vi="Đến nội dung", en="Skip to content")
LEAVE: Final = Words(vi="Đăng xuất", en="Sign out")


def _top(console: Console, person: Any) -> str:
    language: Language
    choices = "".join(
        f'<a href="/language/{language}" hreflang="{language}" lang="{language}"{CURRENT if language == person.language else ""}>{name}</a>'
        for language, name in LANGUAGES.items()
    )
    return (
        f'<a class="hie-skip" href="#main">{SKIP.of(person.language)}</a><header class="hie-top"><a class="hie-name" href="/">hie-hub</a>'
        f'<span class="hie-languages">{choices}</span><span>{escape(person.name)} · {escape(person.role)}</span>'
        f'<form method="post" action="{console.door.leave}"><button type="submit">{LEAVE.of(person.language)}</button></form></header>'
    )


STYLE: Final = ""
