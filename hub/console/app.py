"""The console as one application: the door, the list of pages, the frame around each."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, Final
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse
from nicegui import core, ui
from nicegui.translations import translations

from hub.console.door import own_path
from hub.console.pages import (
    audit,
    case,
    cases,
    dead_letters,
    incident,
    incidents,
    message,
    mine,
    overview,
    payer,
    payers,
    recipients,
    search,
    sender,
    senders,
    statements,
    topic,
    topics,
    try_message,
    worklists,
)
from hub.console.shell import LANGUAGE_COOKIE, Console, frame, may_open
from hub.console.words import LANGUAGES, Words

PAGES: Final[tuple[Any, ...]] = (
    overview,
    incidents,
    incident,
    senders,
    sender,
    search,
    message,
    cases,
    case,
    worklists,
    dead_letters,
    recipients,
    topics,
    topic,
    payers,
    payer,
    statements,
    mine,
    try_message,
    audit,
)
"""Every page, in the order of the navigation."""
_PAGE_S: Final = 30.0  # a loaded machine is slow, not broken
_LOST: Final = {  # NiceGUI has no Vietnamese of its own for what it says by itself
    "connection_lost": "Mất kết nối với bảng điều khiển.",
    "trying_to_reconnect": "Đang thử kết nối lại; số liệu màu xám là số cuối cùng biết được.",
    "message_too_long": "Nội dung quá dài",
    "message_too_long_body": "Nội dung quá lớn để gửi đi.",
}
_LOST_EN: Final = {"trying_to_reconnect": "Trying to reconnect; figures in grey are the last known."}
_NOT_YOURS: Final = Words(vi="Trang này không dành cho vai trò của bạn.", en="This page is not for your role.")


def build(console: Console) -> FastAPI:
    """The application, to be served by one process."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    console.door.install(app)
    app.get("/language/{language}")(_choose)
    for module in PAGES:
        ui.page(module.PATH, response_timeout=_PAGE_S)(_framed(console, module))
    ui.run_with(
        app,
        title="hie-hub",
        dark=None,  # as the system has it
        tailwind=False,  # it compiles styles in the browser; ours are written down
        binding_refresh_interval=None,
        show_welcome_message=False,
    )
    translations["vi"], translations["en-US"] = _LOST, translations["en-US"] | _LOST_EN
    core.app.config.socket_io_js_transports = ["websocket"]  # one way in for live figures, which the door looks at
    return app


def _framed(console: Console, module: Any) -> Callable[..., Any]:
    signature = inspect.signature(module.page)

    @wraps(module.page)
    async def shown(**values: Any) -> RedirectResponse | None:
        person = console.person()
        if not may_open(person, module):
            first = next((page.PATH for page in PAGES if "{" not in page.PATH and may_open(person, page)), "")
            if module.PATH == "/" and first:
                return RedirectResponse(first, 303)
            ui.context.client.status_code = 403
            ui.label(_NOT_YOURS.of(person.language))
            return None
        with frame(console, module, PAGES):
            await module.page(console, **values)
        return None

    shown.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])  # type: ignore[attr-defined]
    return shown


async def _choose(request: Request, language: str) -> RedirectResponse:
    """Back to the page one came from, in that language."""
    try:
        page = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        page = urlsplit("")
    answer = RedirectResponse(own_path(f"{page.path}?{page.query}" if page.query else page.path), 303)
    if language in LANGUAGES:
        answer.set_cookie(LANGUAGE_COOKIE, language, max_age=365 * 86_400, httponly=True, samesite="lax")
    return answer
