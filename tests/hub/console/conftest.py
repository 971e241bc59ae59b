"""A console for a test: real servers, and a door that lets a fixed person in."""

import asyncio
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest
from nicegui import ui
from nicegui.testing import user_simulation
from nicegui.testing.general import nicegui_reset_globals
from nicegui.testing.user_interaction import UserInteraction

from hub.access.people import ROLES
from hub.console.app import build
from hub.console.sampler import Sampler
from hub.console.shell import Console
from hub.store.database import async_pool


@dataclass(frozen=True)
class Someone:
    """As `hub.access.people.Person`."""

    name: str = "lan"
    role: str = "operator"
    scope: tuple[str, ...] = ()
    language: str = "vi"

    def may(self, right):
        return right in ROLES[self.role]

    def sees(self, owner):
        return self.role not in ("vendor", "insurer") or owner in self.scope


@dataclass(frozen=True)
class Open:
    """A door that stands open for one."""

    someone: object
    leave: str = "/logout"

    def install(self, app):
        """Nothing stands around the pages."""

    def person(self):
        return self.someone


@pytest.fixture
def served():
    """Serves a console's pages to a client without a browser; the person is fixed."""

    @asynccontextmanager
    async def serve(settings, person=None, border=None):
        ours = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "hub"}
        try:
            with nicegui_reset_globals():  # NiceGUI is one of a process; each test has a new one
                async with _pages(settings, person, border) as served:
                    yield served
        finally:
            sys.modules.update(ours)  # it forgets the modules that have pages, so that a script defines them again; ours go on

    @asynccontextmanager
    async def _pages(settings, person, border):
        pool = async_pool(settings.database_url.get_secret_value(), size=2)
        await pool.open(wait=False)
        sampler = Sampler(settings, pool)
        app = build(Console(settings, pool, sampler, Open(person or Someone()), border))
        try:
            async with (
                app.router.lifespan_context(app),
                httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://console.test") as client,
            ):
                yield client, sampler
        finally:
            await pool.close()

    return serve


@pytest.fixture
def before():
    """Walks through one page in the server alone: draws it, and hands on who stands before it, with each field and button by name."""

    def walk(draw, steps):
        async def run():
            async with user_simulation(draw) as user:
                await user.open("/")
                await steps(Before(user))

        asyncio.run(run())

    return walk


@dataclass(frozen=True)
class Before:
    """Who stands before a page."""

    user: object

    def all(self, kind, label):
        found = self.user.find(kind=kind).elements
        return sorted(
            (one for one in found if label in (one.props.get("label"), getattr(one, "text", None))), key=lambda one: one.id
        )

    def one(self, kind, label, number=0):
        return self.all(kind, label)[number]

    def set(self, kind, label, value):
        with self.user:
            self.one(kind, label).set_value(value)

    def press(self, label, number=0):
        """As a browser would, whether or not it has heard that the button is off; the server decides."""
        button = self.one(ui.button, label, number)
        if not button.is_ignoring_events:
            UserInteraction(self.user, {button}, None).click()

    async def sees(self, text):
        await self.user.should_see(text, retries=50)

    async def until(self, condition):
        for _ in range(200):
            if condition():
                return
            await asyncio.sleep(0.02)
        raise AssertionError("it did not come to that")


@pytest.fixture
def someone():
    return Someone
