"""A console for a test: real servers, and a door that lets a fixed person in."""

import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest
from nicegui.testing.general import nicegui_reset_globals

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
def someone():
    return Someone
