"""What the door reads of a request and answers by itself, and how every answer of the console is sealed: headers, and pages of errors."""

from contextlib import suppress
from typing import Final
from urllib.parse import parse_qs

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.console.login_page import CSP, error_page
from hub.contract import telemetry

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
_BODY_MAX: Final = 8 * 1024


async def answer(send: Send, status: int, page: bytes, *headers: tuple[str, str], kind: str = "text/html; charset=utf-8") -> None:
    """An answer of the door's own."""
    made = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    made += [(b"content-type", kind.encode()), (b"content-length", str(len(page)).encode())]
    made += [(b"content-security-policy", CSP.encode())]
    await send({"type": "http.response.start", "status": status, "headers": made})
    await send({"type": "http.response.body", "body": page})


async def refuse(send: Send, status: int, reason: str) -> None:
    """reason: session, origin, form, plain or polling; it is counted, the page does not say it."""
    telemetry.door_refused(reason)
    await answer(send, status, error_page(status))


def sealed(send: Send) -> Send:
    """Each answer with the headers that all have, and those that it lacks."""

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


async def guarded(app: ASGIApp, scope: Scope, receive: Receive, send: Send, *, keep: bool = False) -> None:
    """Answer in place of the application where it failed: its own pages of errors, and NiceGUI's, may quote the request.

    keep: whether browsers may keep the answer for as long as the application says.
    """
    begun = replaced = False

    async def sent(message: Message) -> None:
        nonlocal begun, replaced
        if message["type"] == "http.response.start":
            begun = True
            if message["status"] >= 400:
                replaced = True
                await answer(send, message["status"], error_page(message["status"]))
                return
            headers = MutableHeaders(raw=list(message["headers"]))
            if not keep:
                headers["cache-control"] = "no-store"
            message = {**message, "headers": headers.raw}
        if not replaced:
            await send(message)

    try:
        await app(scope, receive, sent)
    except Exception as fault:
        telemetry.page_broke(fault)
        if not begun:
            await answer(send, 500, error_page(500))


def fields_of(text: bytes) -> dict[str, str]:
    """The fields of a form or a query, the first of each name; none of what is not well formed."""
    with suppress(ValueError):
        return {name: values[0] for name, values in parse_qs(text.decode("utf-8"), max_num_fields=20).items()}
    return {}


async def body_of(receive: Receive) -> bytes:
    """The body of a form; nothing of one that is too long."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
        if len(body) > _BODY_MAX or message["type"] != "http.request":
            return b""
    return body
