"""The pages that the door shows by itself: signing in, and what went wrong. Plain HTML and CSS of their own, no script, nothing of the request."""

from base64 import b64encode
from hashlib import sha256
from html import escape
from typing import Final, Literal
from urllib.parse import quote

from hub.contract.errors import ERRORS

Language = Literal["vi", "en"]

_CSS: Final = """
:root { color-scheme: light dark; --accent: #0b5c7a; --ink: #1b2733; --ground: #f7f9fa; --card: #fff; --line: #8793a0; --bad: #a3211f }
@media (prefers-color-scheme: dark) { :root { --accent: #7cc4e0; --ink: #e4eaef; --ground: #12191f; --card: #1a232b; --bad: #ff9b94 } }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
main { width: min(26rem, calc(100vw - 2rem)); padding: 1.5rem; background: var(--card); border: 1px solid var(--line); border-radius: 6px }
h1 { font-size: 1.25rem; margin: 0 0 1rem }
label { display: block; margin: .75rem 0 .25rem }
input { width: 100%; font: inherit; min-height: 44px; padding: .5rem; color: inherit; background: transparent; border: 1px solid var(--line); border-radius: 4px }
button, .button { width: 100%; font: inherit; min-height: 44px; margin-top: 1.25rem; color: var(--card); background: var(--accent); border: 0; border-radius: 4px; cursor: pointer }
a { color: var(--accent) }
.button { display: grid; place-items: center; text-decoration: none; padding: .5rem }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
[role=alert] { color: var(--bad); margin: 0 0 .5rem }
footer { margin-top: 1.25rem; font-size: .9rem }
"""
CSP: Final = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(_CSS.encode()).digest()).decode()}'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
"""What these pages may load: their own style, and nothing else."""

_WORDS: Final[dict[Language, dict[str, str]]] = {
    "vi": {"title": "Đăng nhập", "name": "Tên đăng nhập", "password": "Mật khẩu", "enter": "Đăng nhập", "other": "English", "provider": "Đăng nhập bằng tài khoản của đơn vị", "on": "Đã đăng nhập. Tiếp tục"},
    "en": {"title": "Sign in", "name": "Login name", "password": "Password", "enter": "Sign in", "other": "Tiếng Việt", "provider": "Sign in with your organisation's account", "on": "You are signed in. Go on"},
}  # fmt: skip
_SAID: Final[dict[str, dict[Language, str]]] = {
    "CREDENTIAL_WRONG": {"vi": "Tên hoặc mật khẩu không đúng.", "en": "The name or the password is not right."},
    **{
        code: {"vi": ERRORS[code].vi, "en": ERRORS[code].en}
        for code in ("TRIES_EXCEEDED", "LOGIN_UNPROVEN", "LOGIN_UNKNOWN", "PROVIDER_UNAVAILABLE")
    },
    "FORM_OLD": {"vi": "Trang này đã cũ. Hãy đăng nhập lại.", "en": "This page was out of date. Please sign in again."},
    "BUSY": {"vi": "Hiện chưa đăng nhập được. Hãy thử lại sau ít phút.", "en": "Signing in does not work right now. Try again in a few minutes."},
}  # fmt: skip
_STATUS: Final[dict[int, tuple[str, str]]] = {
    401: ("Hãy đăng nhập.", "Please sign in."),
    403: ("Không được phép.", "This is not allowed."),
    404: ("Không có trang này.", "There is no such page."),
    503: ("Máy chủ dữ liệu chưa trả lời. Hãy thử lại sau ít phút.", "The database does not answer. Try again in a few minutes."),
}
_OTHER: Final = (
    "Đã xảy ra lỗi và lỗi đã được ghi vào nhật ký.",
    "Something went wrong. It is in the log.",
)


def login_page(
    language: Language, token: str, next_path: str, said: str = "", *, passwords: bool = True, provider: str = ""
) -> bytes:
    """The form. No name that was typed comes back.

    said:      a key of `_SAID`, or nothing.
    passwords: whether there is a form for name and password.
    provider:  address at which the way to the OpenID Connect provider begins; "" for none.
    """
    words = _WORDS[language]
    other: Language = "en" if language == "vi" else "vi"
    alert = f'<p role="alert">{_SAID[said][language]}</p>' if said else ""
    form = f"""<form method="post" action="/login">
<input type="hidden" name="token" value="{escape(token)}"><input type="hidden" name="next" value="{escape(next_path)}">
<input type="hidden" name="lang" value="{language}">
<label for="name">{words["name"]}</label>
<input id="name" name="name" autocomplete="username" autocapitalize="none" spellcheck="false" maxlength="32" required autofocus>
<label for="password">{words["password"]}</label>
<input id="password" name="password" type="password" autocomplete="current-password" maxlength="256" required>
<button type="submit">{words["enter"]}</button>
</form>"""
    there = f"{provider}?lang={language}&next={quote(next_path, safe='')}"
    link = f'<a class="button" href="{escape(there)}">{words["provider"]}</a>'
    body = f"""<h1>hie-hub · {words["title"]}</h1>{alert}
{link if provider else ""}{form if passwords else ""}
<footer><a href="/login?lang={other}&amp;next={quote(next_path, safe="")}" hreflang="{other}" lang="{other}">{words["other"]}</a></footer>"""
    return _page(language, words["title"], body)


def onward_page(language: Language, path: str) -> bytes:
    """Leads on to a path of this console, as a link of its own would: to a redirect of another site's browsers give no strict cookie."""
    words = _WORDS[language]
    body = f'<h1>hie-hub</h1><p><a href="{escape(path)}">{words["on"]}</a></p>'
    return _page(language, words["title"], body, f'<meta http-equiv="refresh" content="0;url={escape(path)}">')


def error_page(status: int) -> bytes:
    """What is said of a status, in both languages: who is not signed in has chosen none."""
    vi, en = _STATUS.get(status, _OTHER)
    body = f"""<h1>{status}</h1><p>{vi}</p><p lang="en">{en}</p><p><a href="/">hie-hub</a></p>"""
    return _page("vi", str(status), body)


def _page(language: Language, title: str, body: str, more: str = "") -> bytes:
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">{more}<title>{title} · hie-hub</title>'
    return f'<!doctype html><html lang="{language}"><head>{head}<style>{_CSS}</style></head><body><main>{body}</main></body></html>'.encode()
