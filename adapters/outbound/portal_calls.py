"""The insurance gateway's calls as a client makes them: a token per account, then one file a call, and what the answer means.

HTTP 200 says nothing: the result code inside does. Only `maKetQua` 200 with a `maGiaoDich` is the portal's own word that it has the
file; anything that may pass raises a retriable error, and nothing is known then. Passwords stay out of addresses, logs and exceptions.
Source: adjudication.md §5; list GATEWAY_RESULT.
"""

import asyncio
import base64
import ssl
import tomllib
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any, Final, Literal, Self
from urllib.parse import urlencode, urlsplit

import httpx
import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from adapters.formats.gateway_calls import ACCEPTED
from adapters.outbound.retry import backoff_s
from hub.access.passwords import as_sent
from hub.contract.errors import HubError
from hub.contract.events import now

ANY: Final = "any"  # the account of facilities that have none of their own, where the portal is one that takes such
FILE_BYTES_MAX: Final = 20 * 1024 * 1024  # of a file, as the portal takes it in its peak hours
_ANSWER_MAX: Final = 256 * 1024  # bytes
_TOLD_MAX: Final = 500  # characters of the portal's sentence
_SESSION_S: Final = 50 * 60.0  # tokens of the field hold about an hour, whatever they state
_EARLY_S: Final = 60.0
_REST_FIRST_S: Final = 5.0
_REST_MAX_S: Final = 1800.0
_LOGIN_AGAIN: Final = frozenset({"401", "501"})
_FORBIDDEN: Final = "403"
_MAY_PASS: Final = frozenset({"10", "124", "408", "429", "500", "502", "503", "504"})
_CALL: Final = {"4750": "/api/qd130/guiHoSoXmlQD4750", "3176": "/api/qd130/guiHoSoXmlQD3176"}
_LOAI_HO_SO: Final = "130"


class PortalAccount(BaseModel):
    """A facility's account. The password stands in a file of its own, read anew at each login, as it may change."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    user: str = Field(min_length=1, max_length=100)
    password_file: Path


class Portal(BaseModel):
    """The file of `HIE_PORTAL`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str
    authorities: Path | None = Field(None, description="PEM file of the authorities that vouch for it; empty: the usual ones.")
    standard: Literal["3176", "4750"] = "3176"
    calls_per_s: float = Field(10.0, gt=0, le=1000)
    at_once: int = Field(4, ge=1, le=64)
    wait_s: float = Field(30.0, gt=0, le=600)
    papers: bool = Field(False, description="XML7 and XML8 of claims go too; else they wait. Ask the portal's owner first.")
    account: dict[str, PortalAccount] = {}

    @model_validator(mode="after")
    def _is_private(self) -> Self:
        address = urlsplit(self.address)
        near = address.hostname in ("127.0.0.1", "::1", "localhost")
        plain = not (address.username or address.password or address.query or address.fragment)
        if not plain or not address.hostname or not (address.scheme == "https" or (address.scheme == "http" and near)):
            raise ValueError("address must be https://host, or http:// on this machine, without an account in it")
        return self

    def account_of(self, facility: str) -> PortalAccount | None:
        return self.account.get(facility) or self.account.get(ANY)


def read_portal(path: Path | None) -> Portal | None:
    """The portal; None without a file. Paths in it may be relative to it.

    Raises: HubError(SETTING_WRONG) with the place in the file, never a value.
    """
    if path is None:
        return None
    try:
        stated = Portal.model_validate(tomllib.loads(path.read_text("utf-8")))
        here = path.parent
        accounts = {
            code: one.model_copy(update={"password_file": here / one.password_file}) for code, one in stated.account.items()
        }
        authorities = here / stated.authorities if stated.authorities else None
        found = stated.model_copy(update={"account": accounts, "authorities": authorities})
        for one in accounts.values():
            _password(one)
        if authorities is not None:
            ssl.create_default_context(cafile=authorities)
    except ValidationError as wrong:
        first = wrong.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise HubError("SETTING_WRONG", f"HIE_PORTAL {place}: {first['msg'].removeprefix('Value error, ')}") from None
    except (OSError, ValueError) as wrong:
        raise HubError("SETTING_WRONG", f"HIE_PORTAL {type(wrong).__name__}") from None
    return found


def _password(account: PortalAccount) -> str:
    """What the account logs in with. Raises: OSError; ValueError for an empty file."""
    text = account.password_file.read_text("utf-8").strip()
    if not text:
        raise ValueError("empty")
    return as_sent(text)


@dataclass(frozen=True, slots=True)
class Answer:
    """The portal's word on a file.

    code:        maKetQua.
    transaction: maGiaoDich, by which the portal knows this try.
    told:        thongDiep, its own sentence, which may quote the file: for the issuing facility only.
    """

    code: str
    transaction: str
    told: str

    @property
    def accepted(self) -> bool:
        return self.code == ACCEPTED


@dataclass(frozen=True, slots=True)
class _Session:
    headers: dict[str, str]
    user: str
    ends_at: float


@dataclass(frozen=True, slots=True)
class _Rest:
    """An account that is left alone: until when, after how many faults in a row, and what the last was."""

    ends_at: float
    faults: int
    code: str
    where: str


class PortalCalls:
    """The way to one portal. One for each process; used from its event loop."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self._sessions: dict[str, _Session] = {}
        self._logins: dict[str, asyncio.Lock] = {}
        context = ssl.create_default_context(cafile=portal.authorities) if portal.authorities else True
        self._client = httpx.AsyncClient(
            base_url=portal.address.rstrip("/"),
            verify=context,
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(portal.wait_s, connect=min(portal.wait_s, 10.0)),
            limits=httpx.Limits(max_connections=portal.at_once),
        )
        self._next_call = 0.0
        self._rests: dict[tuple[str, str], _Rest] = {}  # by user and facility ("" for all)

    async def close(self) -> None:
        await self._client.aclose()

    async def send(self, facility: str, file: bytes) -> Answer:
        """Send one envelope of one HOSO, as its facility.

        Raises: HubError(PORTAL_ACCOUNT_MISSING); HubError(PORTAL_LOGIN_REFUSED, facility) when the account is not taken;
                HubError(RECIPIENT_UNREACHABLE, `connect`, `login` or `answer`) when no answer came that says anything: the portal may
                have the file then, and sent again it is the same file.
        """
        account = self._portal.account_of(facility)
        if account is None:
            raise HubError("PORTAL_ACCOUNT_MISSING", facility)
        session = await self._session(account, facility, None)
        answer = await self._sent(session, facility, file)
        if answer.code in _LOGIN_AGAIN:
            session = await self._session(account, facility, session)
            answer = await self._sent(session, facility, file)
        if answer.code in _LOGIN_AGAIN:
            raise self._refusal(account, facility)
        if answer.code == _FORBIDDEN:
            raise self._refusal(account, facility, only=facility)
        for scope in ("", facility):
            self._rests.pop((account.user, scope), None)
        return answer

    def rests(self, facility: str) -> bool:
        """Whether the account of a facility was refused, or its login not answered, lately: it is left alone then.

        Wrong logins lock accounts, so a refused one rests longer.
        """
        account = self._portal.account_of(facility)
        return account is not None and self._rest(account, facility) is not None

    def _rest(self, account: PortalAccount, facility: str) -> _Rest | None:
        found = (self._rests.get((account.user, scope)) for scope in ("", facility))
        return next((rest for rest in found if rest is not None and rest.ends_at > monotonic()), None)

    def _refusal(self, account: PortalAccount, facility: str, only: str = "") -> HubError:
        """Note that the account is refused, for all facilities or for one only."""
        faults = self._faults(account, only)
        pause_s = min(_REST_MAX_S, _REST_FIRST_S * 2 ** min(faults - 1, 16))
        self._rests[account.user, only] = _Rest(monotonic() + pause_s, faults, "PORTAL_LOGIN_REFUSED", "")
        if not only:
            self._sessions.pop(account.user, None)
        return HubError("PORTAL_LOGIN_REFUSED", facility)

    def _login_fault(self, account: PortalAccount) -> HubError:
        """Note that the account could not log in, for a reason that may pass."""
        faults = self._faults(account, "")
        self._rests[account.user, ""] = _Rest(monotonic() + backoff_s(faults), faults, "RECIPIENT_UNREACHABLE", "login")
        return HubError("RECIPIENT_UNREACHABLE", "login")

    def _faults(self, account: PortalAccount, only: str) -> int:
        """In a row, with this one."""
        rest = self._rests.get((account.user, only))
        return rest.faults + 1 if rest else 1

    async def _session(self, account: PortalAccount, facility: str, spent: _Session | None) -> _Session:
        """A session that holds, and is not the spent one; of several who need a new one, one logs in."""
        async with self._logins.setdefault(account.user, asyncio.Lock()):
            if rest := self._rest(account, facility):
                raise HubError(rest.code, rest.where or facility)  # of several that wait for a token, one tries
            held = self._sessions.get(account.user)
            if held is None or held is spent or held.ends_at <= monotonic():
                self._sessions.pop(account.user, None)
                held = self._sessions[account.user] = await self._login(account, facility)
            return held

    async def _login(self, account: PortalAccount, facility: str) -> _Session:
        try:
            password = await asyncio.to_thread(_password, account)
        except (OSError, ValueError):
            raise self._refusal(account, facility) from None
        form = urlencode({"username": account.user, "password": password}).encode()
        try:
            found = await self._post("/api/token/take", {"Content-Type": "application/x-www-form-urlencoded"}, form, "login")
        except HubError as fault:
            raise (self._login_fault(account) if fault.where == "login" else fault) from None
        code, key = _text(found, "maKetQua"), found.get("APIKey")
        if code in _MAY_PASS:
            raise self._login_fault(account)
        if code != ACCEPTED:
            raise self._refusal(account, facility)
        access, ident = (_text(key, name) if isinstance(key, dict) else "" for name in ("access_token", "id_token"))
        if not isinstance(key, dict) or not access:
            raise self._login_fault(account)
        headers = {"accessToken": access, "tokenId": ident, "passwordHash": password}
        if any(not value.isascii() or not value.isprintable() for value in headers.values()):
            raise self._login_fault(account)
        return _Session(headers, account.user, monotonic() + _lifetime_s(_text(key, "expires_in"), now()))

    async def _sent(self, session: _Session, facility: str, file: bytes) -> Answer:
        body = {
            "username": session.user,
            "loaiHoSo": _LOAI_HO_SO,
            "maTinh": facility[:2],
            "maCSKCB": facility,
            "fileHSBase64": base64.b64encode(file).decode(),
        }
        headers = {"Content-Type": "application/json", **session.headers}
        found = await self._post(_CALL[self._portal.standard], headers, orjson.dumps(body), "answer")
        answer = Answer(_line(found, "maKetQua"), _line(found, "maGiaoDich")[:200], _line(found, "thongDiep")[:_TOLD_MAX])
        if not answer.code or answer.code in _MAY_PASS or (answer.accepted and not answer.transaction):
            raise HubError("RECIPIENT_UNREACHABLE", "answer")
        return answer

    async def _post(self, path: str, headers: dict[str, str], body: bytes, place: str) -> dict[str, Any]:
        """The members of the answer, among them `maKetQua`. Raises: HubError(RECIPIENT_UNREACHABLE, `connect` or the place)."""
        await self._turn()
        raw = bytearray()
        try:
            async with (
                asyncio.timeout(self._portal.wait_s),
                self._client.stream("POST", path, content=body, headers={"Accept": "application/json", **headers}) as answer,
            ):
                async for part in answer.aiter_bytes():
                    raw += part
                    if len(raw) > _ANSWER_MAX:
                        raise HubError("RECIPIENT_UNREACHABLE", place)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise HubError("RECIPIENT_UNREACHABLE", "connect") from None  # its own text may hold the request
        except (httpx.HTTPError, TimeoutError):
            raise HubError("RECIPIENT_UNREACHABLE", place) from None
        found = _members(bytes(raw))
        if answer.status_code < 500 and "maKetQua" in found:
            return found
        if answer.status_code in (401, 403):
            return {"maKetQua": str(answer.status_code)}
        raise HubError("RECIPIENT_UNREACHABLE", place)

    async def _turn(self) -> None:
        """So many calls a second, and no more."""
        at = max(self._next_call, monotonic())
        self._next_call = at + 1 / self._portal.calls_per_s
        await asyncio.sleep(max(0.0, at - monotonic()))


def _members(raw: bytes) -> dict[str, Any]:
    """Of a JSON object; {} for anything else."""
    with suppress(ValueError):
        found = orjson.loads(raw)
        if isinstance(found, dict):
            return found
    return {}


def _text(found: dict[str, Any], name: str) -> str:
    value = found.get(name)
    return str(value).strip() if isinstance(value, str | int) else ""


def _line(found: dict[str, Any], name: str) -> str:
    """For the database and a terminal: a space for whatever is not printed, NUL above all."""
    return "".join(each if each.isprintable() else " " for each in _text(found, name)).strip()


def _lifetime_s(stated: str, at: datetime) -> float:
    """How long a token may be used: until a minute before the stated end (UTC), 50 minutes at most.

    An end that cannot be read, or has passed by this machine's clock, is not believed: the portal will say 401.
    """
    try:
        ends = datetime.fromisoformat(stated[:26].rstrip("Z") + "+00:00")
    except ValueError:
        return _SESSION_S
    left = (ends - at) / timedelta(seconds=1) - _EARLY_S
    return min(left, _SESSION_S) if left > 0 else _SESSION_S
