"""The console's door: nobody comes to a page, or stays at one, without a session.

It stands around the whole application, its websocket too. Who came in is known to page functions, to event handlers
and to timers alike by `person()`: the door leaves it in the scope of the request, which NiceGUI keeps with the page.
"""

import asyncio
import re
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from hmac import compare_digest
from typing import Final
from urllib.parse import quote, urlsplit

from fastapi import FastAPI
from nicegui import Client, __version__
from nicegui.slot import Slot
from psycopg_pool import AsyncConnectionPool
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Receive, Scope, Send

from hub.access.credentials import is_loopback
from hub.access.oidc import PATH, Attempt, Provider
from hub.access.people import Person
from hub.access.signin import WINDOW_S, SignedIn, SignIn
from hub.console.answers import answer, body_of, fields_of, guarded, refuse, sealed
from hub.console.link import Link
from hub.console.login_page import Language, error_page, login_page, onward_page
from hub.contract import telemetry
from hub.contract.errors import HubError
from hub.contract.events import Keyring, now
from hub.contract.settings import Settings
from hub.store.database import UNAVAILABLE

_STATIC: Final = re.compile(  # no more than its routes know: of any other path NiceGUI makes a page, and keeps it for a minute
    rf"/_nicegui/{re.escape(__version__)}/(?:static|libraries|components|(?:resources|esm)/[^/]+)/."
)
_SOCKET: Final = "/_nicegui_ws/"
_HEALTH: Final = b'{"status":"ok"}'  # as at the port of metrics
_SAFE: Final = ("GET", "HEAD")
_NONCE: Final = re.compile(r"[0-9a-f]{32}")
_TELL_S: Final = 3.0
_PAGES_MAX: Final = 50  # open pages of one person: the server has room for hundreds, which are everybody's
_SIGNED: Final = "hie.signed"  # where the scope of a request says who made it
_here: ContextVar[SignedIn | None] = ContextVar("signed_in", default=None)


def person() -> Person:
    """Who is signed in: of the page whose function, handler or timer runs, else of the request that is being answered.

    Raises: HubError(CREDENTIAL_WRONG) where there is neither, as in a task of the console itself.
    """
    signed: SignedIn | None = None
    if stack := Slot.get_stack():
        signed = _signed_of(stack[-1].parent.client)
    signed = signed or _here.get()
    if signed is None:
        raise HubError("CREDENTIAL_WRONG", "session")
    return signed.person


def _signed_of(client: Client) -> SignedIn | None:
    with suppress(RuntimeError):  # a client without a request
        found = client.request.scope.get(_SIGNED)
        return found if isinstance(found, SignedIn) else None
    return None


class Door:
    """The sign-in of one console process.

    keyring:   signs the form, and the way to the provider, so that each process knows those of the others.
    tls:       whether this server speaks TLS itself; without, it serves this machine only (a proxy that ends TLS stands on it).
    secure:    whether browsers come by TLS only though this server does not speak it, by a proxy before it: cookies are of TLS then.
    passwords: whether a password lets people in.
    provider:  the OpenID Connect provider by which they sign in; None: there is none.
    tell:      brings what was noted for the audit to its topic (`hub.audit.tell_noted`); called every few seconds. None: somebody else does.
    """

    leave: Final = "/logout"  # a form is posted there to sign out

    def __init__(
        self,
        signin: SignIn,
        keyring: Keyring,
        *,
        tls: bool,
        secure: bool = False,
        passwords: bool = True,
        provider: Provider | None = None,
        tell: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self.signin = signin
        self.keyring = keyring
        self.passwords, self.provider = passwords, provider
        self.tls, self._secure = tls, tls or secure
        self.cookie = "__Host-hie" if self._secure else "hie"
        self._form_cookie = f"{self.cookie}-form"
        self._way_cookie = f"{self.cookie}-oidc"
        self._tell = tell

    def install(self, app: FastAPI) -> None:
        """Put the door around an application, before it is served."""
        app.add_middleware(_Middleware, door=self)

    def person(self) -> Person:
        return person()

    async def telling(self) -> None:
        """For ever, until cancelled."""
        while self._tell is not None:
            try:
                await self._tell()
            except HubError as broken:
                telemetry.fault("console", broken.code, broken.where)
            except UNAVAILABLE:
                telemetry.fault("console", "DATABASE_UNAVAILABLE", "audit")
            except Exception as fault:  # one that nobody expected: what is noted later must come to the audit all the same
                telemetry.service_broke("console", fault)
            await asyncio.sleep(_TELL_S)

    def tokens(self, headers: Headers) -> tuple[str, str]:
        """What the cookies of a request say: the session's token, and the nonce of the form.

        Those of other programs on this host come too, whatever their port, and may be of any form: they must not hide ours.
        """
        jar = cookie_parser(headers.get("cookie", ""))
        return jar.get(self.cookie, ""), jar.get(self._form_cookie, "")

    def form(self, nonce: str) -> str:
        """The token in the form that belongs to a nonce in the cookie."""
        return self.keyring.hash("console-form", nonce)

    def setting(self, value: str, *, form: bool = False) -> str:
        """The header that sets a cookie, or takes it away when the value is empty."""
        return self._set(self._form_cookie if form else self.cookie, value, "Strict")

    def _set(self, name: str, value: str, site: str) -> str:
        ends = "" if value else "; Max-Age=0"
        return f"{name}={value}; Path=/; HttpOnly; SameSite={site}{'; Secure' if self._secure else ''}{ends}"

    def way(self, value: str) -> str:
        """The header that sets the cookie of the way to the provider, or takes it away. It comes back from another site: so it is lax."""
        return self._set(self._way_cookie, value, "Lax")

    def way_of(self, headers: Headers) -> str:
        """What the cookie of the way to the provider says."""
        return cookie_parser(headers.get("cookie", "")).get(self._way_cookie, "")

    def at_home(self, headers: Headers) -> bool:
        """Whether a page of this console made the request: its Origin is the host that was asked, by this scheme."""
        host = headers.get("host", "")
        schemes = ("https",) if self.tls else ("http", "https")  # a proxy on this machine may have ended TLS
        return bool(host) and headers.get("origin", "") in {f"{scheme}://{host}" for scheme in schemes}


def door(settings: Settings, pool: AsyncConnectionPool, tell: Callable[[], Awaitable[object]] | None = None) -> Door:
    """The door of the console that these settings describe; its key secret is filled in."""
    keyring = Keyring(settings.key_secret.get_secret_value().encode())
    signin = SignIn(pool, settings.console_idle_s, settings.console_session_s)
    provider = Provider(settings) if settings.oidc_issuer else None
    tls = settings.tls_certificate is not None
    secure = settings.console_url.lower().startswith("https://")
    return Door(signin, keyring, tls=tls, secure=secure, passwords=settings.console_passwords, provider=provider, tell=tell)


class _Middleware:
    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app, self._door = app, door
        self._open: Counter[str] = Counter()  # pages by whose they are

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, sealed(send))
        else:
            telling = asyncio.create_task(self._door.telling())
            try:
                await self._app(scope, receive, send)
            finally:
                telling.cancel()
                self._door.signin.close()

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers, path, method = Headers(scope=scope), scope["path"], scope["method"]
        if not (self._door.tls or _is_near(scope)):
            await refuse(send, 403, "plain")
        elif method not in _SAFE and not self._door.at_home(headers):
            await refuse(send, 403, "origin")
        elif path == "/login":
            await self._login(scope, receive, send)
        elif self._door.provider is not None and method == "GET" and path == PATH:
            await self._leave_for(self._door.provider, scope, send)
        elif self._door.provider is not None and method == "GET" and path == f"{PATH}/callback":
            await self._back_from(self._door.provider, scope, send)
        elif method in _SAFE and path == "/health":
            await answer(send, 200, _HEALTH, kind="application/json")
        elif method in _SAFE and _STATIC.match(path) and ".." not in path and path.isprintable():
            await guarded(self._app, scope, receive, send, keep=True)
        else:
            await self._inside(scope, receive, send)

    async def _inside(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers, path = Headers(scope=scope), scope["path"]
        token, _ = self._door.tokens(headers)
        try:
            signed = await self._door.signin.known(token, now(), used=True)
        except UNAVAILABLE:
            telemetry.fault("console", "DATABASE_UNAVAILABLE", "session")
            await answer(send, 503, error_page(503), ("retry-after", "10"))
            return
        if signed is None:
            if scope["method"] in _SAFE and "text/html" in headers.get("accept", ""):
                wanted = quote(path, safe="/:@-._~!$&'()*+,;=") + (
                    f"?{query.decode('latin-1')}" if (query := scope["query_string"]) else ""
                )
                await answer(send, 303, b"", ("location", f"/login?next={quote(own_path(wanted), safe='')}"))
            else:
                await refuse(send, 401, "session")
        elif path == self._door.leave and scope["method"] == "POST":
            await self._door.signin.end(token, now())
            await answer(send, 303, b"", ("location", "/login"), ("set-cookie", self._door.setting("")))
        elif path.startswith(_SOCKET):
            await refuse(send, 403, "polling")  # Socket.IO without a websocket: a second way in that no browser of today needs
        else:
            scope[_SIGNED] = signed
            before = _here.set(signed)
            try:
                await guarded(self._app, scope, receive, send)
            finally:
                _here.reset(before)

    async def _login(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers, method = Headers(scope=scope), scope["method"]
        token, nonce = self._door.tokens(headers)
        if method in _SAFE:
            asked = fields_of(scope["query_string"])
            if await self._is_in(token):  # as by another tab, which came here with this one when their session ended
                await answer(send, 303, b"", ("location", own_path(asked.get("next", ""))))
            else:
                await self._form(scope, send, asked, 200)
            return
        fields = fields_of(await body_of(receive)) if method == "POST" else {}
        known = self._door.passwords and nonce != ""
        if not known or not compare_digest(self._door.form(nonce).encode(), fields.get("token", "").encode()):
            telemetry.door_refused("form")
            await self._form(scope, send, fields, 403, "FORM_OLD")
            return
        try:
            fresh, _ = await self._door.signin.open(fields.get("name", ""), fields.get("password", ""), _address(scope), now())
        except (HubError, *UNAVAILABLE) as refused:
            await self._refused(scope, send, fields, refused)
            return
        if token:
            with suppress(*UNAVAILABLE):  # it ends by itself then; the new one is there, and nobody else would have it
                await self._door.signin.end(token, now())
        telemetry.sign_in_answered("done")
        cookies = (("set-cookie", self._door.setting(fresh)), ("set-cookie", self._door.setting("", form=True)))
        await answer(send, 303, b"", ("location", own_path(fields.get("next", ""))), *cookies)

    async def _is_in(self, token: str) -> bool:
        with suppress(*UNAVAILABLE):
            return await self._door.signin.known(token, now(), used=False) is not None
        return False

    async def _leave_for(self, provider: Provider, scope: Scope, send: Send) -> None:
        """Send the browser to the provider. A session that it shows ends here, as on the way back it does not show it; one that it does not
        show, as to a link on another site, stays."""
        token, _ = self._door.tokens(Headers(scope=scope))
        asked = fields_of(scope["query_string"])
        way = Attempt.begun(self._door.keyring, _language(asked), own_path(asked.get("next", "")), now())
        try:
            there = await provider.address(way)
            if token:
                await self._door.signin.end(token, now())
        except (HubError, *UNAVAILABLE) as refused:
            await self._refused(scope, send, asked, refused)
            return
        over = (("set-cookie", self._door.setting("")),) if token else ()
        await answer(send, 303, b"", ("location", there), ("set-cookie", self._door.way(way.cookie)), *over)

    async def _back_from(self, provider: Provider, scope: Scope, send: Send) -> None:
        said, at = fields_of(scope["query_string"]), now()
        way = Attempt.back(self._door.keyring, self._door.way_of(Headers(scope=scope)), said.get("state", ""), at)
        over = ("set-cookie", self._door.way(""))
        if way is None:
            telemetry.door_refused("form")
            await self._form(scope, send, {}, 403, "FORM_OLD", over)
            return
        asked = {"lang": way.language, "next": way.next_path}
        try:
            identity = partial(provider.identity, said, way, at)
            fresh, _ = await self._door.signin.open_by(way.state, identity, _address(scope), at)
        except (HubError, *UNAVAILABLE) as refused:
            await self._refused(scope, send, asked, refused, over)
            return
        telemetry.sign_in_answered("done")
        await answer(send, 200, onward_page(_language(asked), way.next_path), ("set-cookie", self._door.setting(fresh)), over)

    async def _refused(self, scope: Scope, send: Send, asked: dict[str, str], refused: Exception, *more: tuple[str, str]) -> None:
        code = refused.code if isinstance(refused, HubError) else "DATABASE_UNAVAILABLE"
        telemetry.sign_in_answered(code)
        if isinstance(refused, HubError) and code == "PROVIDER_UNAVAILABLE":
            telemetry.fault("console", code, refused.where)  # for who mends it; the page does not say it
        if code in ("CREDENTIAL_WRONG", "LOGIN_UNPROVEN", "LOGIN_UNKNOWN"):
            await self._form(scope, send, asked, 403, code, *more)
        elif code == "TRIES_EXCEEDED":
            await self._form(scope, send, asked, 429, code, ("retry-after", str(WINDOW_S)), *more)
        else:
            said = code if code == "PROVIDER_UNAVAILABLE" else "BUSY"
            await self._form(scope, send, asked, 503, said, ("retry-after", "10"), *more)

    async def _form(
        self, scope: Scope, send: Send, asked: dict[str, str], status: int, said: str = "", *more: tuple[str, str]
    ) -> None:
        """Show the form. It belongs to the nonce that the browser has already, if any, so that those of its other tabs stay good."""
        _, nonce = self._door.tokens(Headers(scope=scope))
        if not _NONCE.fullmatch(nonce):
            nonce = secrets.token_hex(16)
        start = self._door.provider.start if self._door.provider is not None else ""
        path = own_path(asked.get("next", ""))
        page = login_page(_language(asked), self._door.form(nonce), path, said, passwords=self._door.passwords, provider=start)
        await answer(send, status, page, ("set-cookie", self._door.setting(nonce, form=True)), *more)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        token, _ = self._door.tokens(headers)
        cause = "" if self._door.tls or _is_near(scope) else "plain"
        cause = cause or ("" if self._door.at_home(headers) else "origin")
        signed = None
        if not cause:
            with suppress(*UNAVAILABLE):
                signed = await self._door.signin.known(token, now(), used=False)
            cause = "" if signed is not None and _is_its_page(scope, signed) else "session"
        if signed is not None and not cause and self._open[signed.person.name] >= _PAGES_MAX:
            cause = "many"
        if cause or signed is None:
            telemetry.door_refused(cause)
            await receive()
            await send({"type": "websocket.close", "code": 4401})
            return
        scope[_SIGNED] = signed
        before = _here.set(signed)
        link, name = Link(self._door.signin, token, _page_of(scope), receive, send), signed.person.name
        self._open[name] += 1
        try:
            await self._app(scope, link.receive, link.send)
        finally:
            self._open[name] -= 1
            _here.reset(before)


def own_path(wanted: str) -> str:
    """Where to go after signing in: a path of this console, `/` for anything that could lead elsewhere."""
    plain = wanted.startswith("/") and not wanted.startswith(("//", "/login", Door.leave)) and len(wanted) <= 512
    if not plain or "\\" in wanted or not wanted.isascii() or not wanted.isprintable():
        return "/"
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return "/"
    return "/" if parts.scheme or parts.netloc else wanted


def _is_its_page(scope: Scope, signed: SignedIn) -> bool:
    """Whether the page that a websocket belongs to was made for this person; a page that is no more is for NiceGUI to refuse, and none
    is no page of ours."""
    named = _page_of(scope)
    if not named:
        return False
    client = Client.instances.get(named)
    made_for = _signed_of(client) if client is not None else None
    return made_for is None or made_for.person == signed.person


def _page_of(scope: Scope) -> str:
    return fields_of(scope["query_string"]).get("client_id", "")


def _is_near(scope: Scope) -> bool:
    return is_loopback(_address(scope))


def _address(scope: Scope) -> str:
    return str((scope.get("client") or ("unknown",))[0])


def _language(asked: dict[str, str]) -> Language:
    return "en" if asked.get("lang") == "en" else "vi"
