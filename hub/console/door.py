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
from hmac import compare_digest
from ipaddress import ip_address
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit

from fastapi import FastAPI
from nicegui import Client, __version__
from nicegui.slot import Slot
from psycopg_pool import AsyncConnectionPool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.access.people import Person
from hub.access.signin import WINDOW_S, SignedIn, SignIn
from hub.console.login_page import CSP, Language, error_page, login_page
from hub.contract import telemetry
from hub.contract.errors import HubError
from hub.contract.events import Keyring, now
from hub.contract.settings import Settings
from hub.store.database import UNAVAILABLE

PAGE_CSP: Final = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'self'; frame-ancestors 'none'"
)
"""What pages may load: from here only. NiceGUI's page has its code inline, and Vue compiles templates in the browser (eval)."""
_HEADERS: Final = {
    # Not no-referrer: with it browsers send `Origin: null` with the forms of our own pages. To others nothing goes either way.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
_STATIC: Final = tuple(f"/_nicegui/{__version__}/{room}/" for room in ("static", "libraries", "components", "resources", "esm"))
_SOCKET: Final = "/_nicegui_ws/"
_HEALTH: Final = b'{"status":"ok"}'  # as at the port of metrics
_SAFE: Final = ("GET", "HEAD")
_BODY_MAX: Final = 8 * 1024
_USE: Final = re.compile(r'42\d*\["event"')  # a frame of Socket.IO by which somebody did something; acks come by themselves
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

    keyring: signs the form, so that each process knows the forms of the others.
    tls:     whether this server speaks TLS itself; without, it serves this machine only (a proxy that ends TLS stands on it).
    tell:    brings what was noted for the audit to its topic (`hub.audit.tell_noted`); called every few seconds. None: somebody else does.
    """

    leave: Final = "/logout"  # a form is posted there to sign out

    def __init__(
        self, signin: SignIn, keyring: Keyring, *, tls: bool, tell: Callable[[], Awaitable[object]] | None = None
    ) -> None:
        self.signin = signin
        self._keyring = keyring
        self.tls = tls
        self.cookie = "__Host-hie" if tls else "hie"
        self._form_cookie = f"{self.cookie}-form"
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
            await asyncio.sleep(_TELL_S)

    def tokens(self, headers: Headers) -> tuple[str, str]:
        """What the cookies of a request say: the session's token, and the nonce of the form.

        Those of other programs on this host come too, whatever their port, and may be of any form: they must not hide ours.
        """
        jar = cookie_parser(headers.get("cookie", ""))
        return jar.get(self.cookie, ""), jar.get(self._form_cookie, "")

    def form(self, nonce: str) -> str:
        """The token in the form that belongs to a nonce in the cookie."""
        return self._keyring.hash("console-form", nonce)

    def setting(self, value: str, *, form: bool = False) -> str:
        """The header that sets a cookie, or takes it away when the value is empty."""
        name = self._form_cookie if form else self.cookie
        ends = "" if value else "; Max-Age=0"
        return f"{name}={value}; Path=/; HttpOnly; SameSite=Strict{'; Secure' if self.tls else ''}{ends}"

    def at_home(self, headers: Headers) -> bool:
        """Whether a page of this console made the request: its Origin is the host that was asked, by this scheme."""
        host = headers.get("host", "")
        schemes = ("https",) if self.tls else ("http", "https")  # a proxy on this machine may have ended TLS
        return bool(host) and headers.get("origin", "") in {f"{scheme}://{host}" for scheme in schemes}


def door(settings: Settings, pool: AsyncConnectionPool, tell: Callable[[], Awaitable[object]] | None = None) -> Door:
    """The door of the console that these settings describe; its key secret is filled in."""
    keyring = Keyring(settings.key_secret.get_secret_value().encode())
    signin = SignIn(pool, settings.console_idle_s, settings.console_session_s)
    return Door(signin, keyring, tls=settings.tls_certificate is not None, tell=tell)


class _Middleware:
    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app, self._door = app, door
        self._open: Counter[str] = Counter()  # pages by whose they are

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, _with_headers(send))
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
            await _refuse(send, 403, "plain")
        elif method not in _SAFE and not self._door.at_home(headers):
            await _refuse(send, 403, "origin")
        elif path == "/login":
            await self._login(scope, receive, send)
        elif method in _SAFE and path == "/health":
            await _answer(send, 200, _HEALTH, kind="application/json")
        elif method in _SAFE and path.startswith(_STATIC) and ".." not in path:
            await self._app(scope, receive, send)
        else:
            await self._inside(scope, receive, send)

    async def _inside(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers, path = Headers(scope=scope), scope["path"]
        token, _ = self._door.tokens(headers)
        try:
            signed = await self._door.signin.known(token, now(), used=True)
        except UNAVAILABLE:
            telemetry.fault("console", "DATABASE_UNAVAILABLE", "session")
            await _answer(send, 503, error_page(503), ("retry-after", "10"))
            return
        if signed is None:
            if scope["method"] in _SAFE and "text/html" in headers.get("accept", ""):
                wanted = quote(path, safe="/:@-._~!$&'()*+,;=") + (
                    f"?{query.decode('latin-1')}" if (query := scope["query_string"]) else ""
                )
                await _answer(send, 303, b"", ("location", f"/login?next={quote(own_path(wanted), safe='')}"))
            else:
                await _refuse(send, 401, "session")
        elif path == self._door.leave and scope["method"] == "POST":
            await self._door.signin.end(token, now())
            await _answer(send, 303, b"", ("location", "/login"), ("set-cookie", self._door.setting("")))
        elif path.startswith(_SOCKET):
            await _refuse(send, 403, "polling")  # Socket.IO without a websocket: a second way in that no browser of today needs
        else:
            scope[_SIGNED] = signed
            before = _here.set(signed)
            try:
                await _guarded(self._app, scope, receive, send)
            finally:
                _here.reset(before)

    async def _login(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers, method = Headers(scope=scope), scope["method"]
        token, nonce = self._door.tokens(headers)
        if method in _SAFE:
            asked = _fields(scope["query_string"])
            await self._form(send, asked, 200)
            return
        fields = _fields(await _body(receive)) if method == "POST" else {}
        if not nonce or not compare_digest(self._door.form(nonce).encode(), fields.get("token", "").encode()):
            telemetry.door_refused("form")
            await self._form(send, fields, 403, "FORM_OLD")
            return
        address = (scope.get("client") or ("unknown",))[0]
        try:
            fresh, _ = await self._door.signin.open(fields.get("name", ""), fields.get("password", ""), address, now())
            if token:
                await self._door.signin.end(token, now())
        except (HubError, *UNAVAILABLE) as refused:
            code = refused.code if isinstance(refused, HubError) else "DATABASE_UNAVAILABLE"
            telemetry.sign_in_answered(code)
            if code == "CREDENTIAL_WRONG":
                await self._form(send, fields, 403, code)
            elif code == "TRIES_EXCEEDED":
                await self._form(send, fields, 429, code, ("retry-after", str(WINDOW_S)))
            else:
                await self._form(send, fields, 503, "BUSY", ("retry-after", "10"))
            return
        telemetry.sign_in_answered("done")
        cookies = (("set-cookie", self._door.setting(fresh)), ("set-cookie", self._door.setting("", form=True)))
        await _answer(send, 303, b"", ("location", own_path(fields.get("next", ""))), *cookies)

    async def _form(self, send: Send, asked: dict[str, str], status: int, said: str = "", *more: tuple[str, str]) -> None:
        nonce = secrets.token_hex(16)
        language: Language = "en" if asked.get("lang") == "en" else "vi"
        page = login_page(language, self._door.form(nonce), own_path(asked.get("next", "")), said)
        await _answer(send, status, page, ("set-cookie", self._door.setting(nonce, form=True)), *more)

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
        link, name = _Link(self._door.signin, token, receive, send), signed.person.name
        self._open[name] += 1
        try:
            await self._app(scope, link.receive, link.send)
        finally:
            self._open[name] -= 1
            _here.reset(before)


class _Link:
    """A websocket that lives as long as its session: looked at anew before a click, and every two seconds before anything else."""

    def __init__(self, signin: SignIn, token: str, receive: Receive, send: Send) -> None:
        self._signin, self._token = signin, token
        self._receive, self._send = receive, send
        self._accepted = self._over = False

    async def receive(self) -> Message:
        while True:
            message = await self._receive()
            if message["type"] != "websocket.receive":
                return message
            used = bool(_USE.match(message.get("text") or ""))
            try:
                lives = await self._lives(used=used)
            except UNAVAILABLE:
                if used:  # whether it lives is not known: the click does nothing, and the page stays
                    continue
                return message
            if lives:
                return message
            await self._end()
            return {"type": "websocket.disconnect", "code": 4401}

    async def send(self, message: Message) -> None:
        if self._over:
            return
        if message["type"] == "websocket.send":
            with suppress(*UNAVAILABLE):  # nobody is put out then, as nobody could come in again
                if not await self._lives(used=False):
                    await self._end()
                    return
        self._accepted |= message["type"] == "websocket.accept"
        await self._send(message)

    async def _lives(self, *, used: bool) -> bool:
        """Raises: `UNAVAILABLE` where the database cannot say."""
        found = await (self._signin.known(self._token, now(), used=True) if used else self._signin.glance(self._token, now()))
        return found is not None

    async def _end(self) -> None:
        """Take the page off the screen, as what it shows is not for whoever comes next, and close."""
        if self._over:
            return
        self._over = True
        with suppress(RuntimeError, OSError):  # it may be closing already
            if self._accepted:
                await self._send({"type": "websocket.send", "text": '42["open",{"path":"/login","new_tab":false}]'})
            await self._send({"type": "websocket.close", "code": 4401})


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
    named = _fields(scope["query_string"]).get("client_id", "")
    if not named:
        return False
    client = Client.instances.get(named)
    made_for = _signed_of(client) if client is not None else None
    return made_for is None or made_for.person == signed.person


def _is_near(scope: Scope) -> bool:
    client = scope.get("client")
    try:
        return client is not None and ip_address(client[0]).is_loopback
    except ValueError:
        return False


def _fields(text: bytes) -> dict[str, str]:
    with suppress(ValueError):
        return {name: values[0] for name, values in parse_qs(text.decode("utf-8"), max_num_fields=20).items()}
    return {}


async def _body(receive: Receive) -> bytes:
    """The body of a form; nothing of one that is too long."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
        if len(body) > _BODY_MAX or message["type"] != "http.request":
            return b""
    return body


async def _answer(
    send: Send, status: int, page: bytes, *headers: tuple[str, str], kind: str = "text/html; charset=utf-8"
) -> None:
    made = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    made += [(b"content-type", kind.encode()), (b"content-length", str(len(page)).encode())]
    made += [(b"content-security-policy", CSP.encode())]
    await send({"type": "http.response.start", "status": status, "headers": made})
    await send({"type": "http.response.body", "body": page})


async def _refuse(send: Send, status: int, reason: str) -> None:
    telemetry.door_refused(reason)
    await _answer(send, status, error_page(status))


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=list(message["headers"]))
            for name, value in _HEADERS.items():
                headers[name] = value
            headers.setdefault("content-security-policy", PAGE_CSP)
            headers.setdefault("cache-control", "no-store")
            message = {**message, "headers": headers.raw}
        await send(message)

    return sent


async def _guarded(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer in place of the application where it failed: its own pages of errors, and NiceGUI's, may quote the request."""
    begun = replaced = False

    async def sent(message: Message) -> None:
        nonlocal begun, replaced
        if message["type"] == "http.response.start":
            begun = True
            if message["status"] >= 400:
                replaced = True
                await _answer(send, message["status"], error_page(message["status"]))
                return
            headers = MutableHeaders(raw=list(message["headers"]))
            headers["cache-control"] = "no-store"
            message = {**message, "headers": headers.raw}
        if not replaced:
            await send(message)

    try:
        await app(scope, receive, sent)
    except Exception as fault:
        telemetry.page_broke(fault)
        if not begun:
            await _answer(send, 500, error_page(500))
