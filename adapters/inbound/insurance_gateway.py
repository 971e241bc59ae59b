"""The insurance gateway's own calls, so that a hospital's client of that gateway comes here by a change of address only.

HTTP 200 with the result code inside is what those clients expect, for refusals too; HTTP 503 says that nothing was taken and
that the same call may be sent again. A file goes through the same gate as any message. Source: adjudication.md §5.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Final, Protocol

from fastapi import FastAPI, Request, Response
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.formats.gateway_calls import (
    UNAVAILABLE,
    day_of,
    enveloped,
    file_of,
    holds_several,
    parameters,
    receipt,
    refusal,
    refusal_code,
    result_of,
    success,
    token_answer,
)
from adapters.formats.mllp import Junk
from adapters.inbound.card_check import CardCheck
from adapters.inbound.gate import HUGE_BYTES, Gate
from adapters.inbound.gateway_receipts import CHECK_IN, CLAIM, Asked, Receipts
from adapters.inbound.received import Received, Translation
from adapters.inbound.translate import refused, unframed
from hub.access.credentials import Account, Credentials, is_loopback
from hub.access.passwords import Login
from hub.access.quota import Quotas
from hub.access.sessions import Sessions
from hub.bus import Wire
from hub.contract import telemetry
from hub.contract.errors import HubError, Problem, Severity
from hub.contract.events import VIETNAM, Keyring, is_code, now
from hub.contract.settings import Settings

STANDARDS: Final = ("130", "4750", "3176")  # the decisions that the paths of check-in and claim have been named after
LOOK_BACK: Final = timedelta(days=60)
_SMALL_BYTES: Final = 64 * 1024  # of the body of every call but those with a file
_KEPT_BYTES: Final = 64 * 1024  # of a file that is too large
_RETRY_AFTER_S: Final = "5"
_LOAI_HO_SO: Final = {CHECK_IN: "0", CLAIM: "130"}
_ASKED: Final = {"0": CHECK_IN, "130": CLAIM, "3": CLAIM, "": CLAIM}  # 3: a claim of the older standard
_FILE_MEMBERS: Final = {"maGiaoDich": "", "thoiGianTiepNhan": ""}

_Work = Callable[[Request, "_Body"], Awaitable[Response]]


class Room(Protocol):
    """Memory for the bodies of all requests under way."""

    def take(self, size: int) -> None: ...
    def give(self, size: int) -> None: ...


class _Body:
    """The body of one request, and the memory it takes."""

    def __init__(self, request: Request, room: Room) -> None:
        stated = request.headers.get("content-length", "")
        self.stated = int(stated) if stated.isdigit() else 0
        self._chunks = request.stream()
        self._room, self._held = room, 0

    async def read(self, limit: int) -> bytes:
        """Raises: HubError(FRAME_TOO_LARGE), HubError(OVERLOADED)."""
        chunks: list[bytes] = []
        size = self.stated
        if size <= limit:
            size = 0
            async for chunk in self._chunks:
                self.hold(len(chunk))
                chunks.append(chunk)
                size += len(chunk)
                if size > limit:
                    break
        if size > limit:
            raise HubError("FRAME_TOO_LARGE", "body")
        return b"".join(chunks)

    def hold(self, size: int) -> None:
        self._room.take(size)
        self._held += size

    def give_back(self) -> None:
        self._room.give(self._held)
        self._held = 0


class Gateway:
    """All calls. One for each process; used from its event loop.

    room:   what `/v1/messages` holds its bodies in, so that both together keep one limit.
    quotas: those of all ways in.
    wire:   reads what was decided on claims; without it nothing is told of that.
    """

    def __init__(
        self,
        settings: Settings,
        gate: Gate,
        credentials: Credentials,
        keyring: Keyring,
        room: Room,
        quotas: Quotas | None = None,
        wire: Wire | None = None,
    ) -> None:
        self._settings = settings
        self._gate = gate
        self._room = room
        self._quotas = quotas or Quotas()
        self._login = Login(credentials)
        self._sessions = Sessions(keyring, settings.gateway_token_s, credentials.of_user)
        self._receipts = Receipts(settings.database_url.get_secret_value(), wire)
        self._cards = CardCheck(settings.card_check_url, keyring)

    def mount(self, api: FastAPI) -> None:
        """Add the calls to an application: under their own paths, in any case of letters."""
        paths: dict[str, str] = {}

        def add(path: str, work: _Work, summary: str, members: Mapping[str, object], told: str = "thongDiep") -> None:
            async def call(request: Request) -> Response:
                return await self._answered(request, work, partial(_refused, path.rpartition("/")[2], members=members, told=told))

            api.add_api_route(path, call, methods=["POST"], summary=summary, name=path, tags=["the insurance gateway's calls"])
            paths[path.lower()] = path

        add("/api/token/take", self._take_token, "Take a token", {"APIKey": None})
        for standard in STANDARDS:
            check_in, claim = (partial(self._take_file, transport=transport) for transport in (CHECK_IN, CLAIM))
            add(f"/api/qd130/checkInKcbQd{standard}", check_in, "Send a check-in (XML0)", _FILE_MEMBERS)
            add(f"/api/qd130/guiHoSoXmlQD{standard}", claim, "Send a claim: one HOSO", _FILE_MEMBERS)
        add("/api/egw/nhanKQTiepNhanHS4210", self._days, "Files of a span of days, counted", {"dsKQGuiHosoNgay": []})
        add("/api/egw/nhanChiTietHSNgay4210", self._transactions, "Files of one day", {"dsHoSo": []})
        add("/api/egw/nhanChiTietLoiHS4210", self._errors, "Errors of one file", {"dsLoi": []})
        add("/api/his/KQDanhSachDotGiamDinh", self._rounds, "Days of a month on which claims were decided", {"dsDotGiamDinh": []})
        add("/api/his/KQGiamDinhHoSo", self._decided, "What was decided on claims on one of them", {"dsKetQuaGiamDinh": []})
        add("/api/egw/KQNhanLichSuKCB2024", self._check_card, "Check a card, at the gateway that is configured", {}, "ghiChu")
        api.add_middleware(_AnyCase, paths=paths)

    async def close(self) -> None:
        self._login.close()
        await self._cards.close()

    async def _answered(self, request: Request, work: _Work, refuse: Callable[[HubError], Response]) -> Response:
        body = _Body(request, self._room)
        try:
            _check_privacy(request)
            return await work(request, body)
        except TimeoutError:
            return refuse(HubError("FRAME_UNFINISHED", "body"))
        except HubError as stop:
            return refuse(stop)
        except ClientDisconnect:
            return Response(status_code=408)  # nobody reads it
        finally:
            body.give_back()

    async def _read(self, body: _Body, limit: int) -> bytes:
        async with asyncio.timeout(self._settings.frame_wait_s):
            return await body.read(limit)

    @property
    def _file_body_max(self) -> int:
        """Base64 takes four bytes for three, and a form up to half of that again."""
        return 2 * self._settings.message_bytes_max + _SMALL_BYTES

    # --- token --------------------------------------------------------------------------------------------------------

    async def _take_token(self, request: Request, body: _Body) -> Response:
        stated = parameters(await self._read(body, _SMALL_BYTES))
        sent = stated.get("password", "")
        account = await self._login.account(stated.get("username", ""), sent, _address(request))
        session = self._sessions.open(account, sent, now())
        return _json(token_answer(session.access_token, session.id_token, session.user, session.expires_at))

    def _account(self, request: Request, stated: Mapping[str, str]) -> tuple[Account, str]:
        """Whose call it is, and the password that came with it: in headers, or by the names of the older calls."""
        headers = request.headers
        access = headers.get("accesstoken") or headers.get("token") or stated.get("token") or stated.get("accesstoken", "")
        ident = headers.get("tokenid") or headers.get("id_token") or stated.get("id_token") or stated.get("tokenid", "")
        sent = headers.get("passwordhash") or stated.get("password") or stated.get("passwordhash", "")
        account = self._sessions.account(access, ident, sent, _address(request), now())
        _check_user(account, stated.get("username", ""))
        return account, sent

    # --- files --------------------------------------------------------------------------------------------------------

    async def _take_file(self, request: Request, body: _Body, transport: str) -> Response:
        account, _ = self._account(request, {})  # before a large body is read
        clock = asyncio.get_running_loop().time
        quota = self._quotas.of(account.credential, clock())
        if quota is not None and quota.wait_s(clock()):
            raise HubError("OVERLOADED", "quota")
        try:
            raw_body = await self._read(body, self._file_body_max)
        except HubError as stop:
            if stop.code != "FRAME_TOO_LARGE":
                raise
            return await self._keep_too_large(account, transport, b"", body.stated)
        body.hold(len(raw_body))  # for the file inside it
        at = self._gate.clock()
        work = partial(_sent, raw_body, at.astimezone(VIETNAM).date(), _LOAI_HO_SO[transport])
        sent = await asyncio.to_thread(work) if len(raw_body) > HUGE_BYTES else work()
        _check_user(account, sent.user)
        if quota is not None:
            quota.take(len(sent.raw))
        if len(sent.raw) > self._settings.message_bytes_max:
            return await self._keep_too_large(account, transport, sent.raw[:_KEPT_BYTES], len(sent.raw))
        # The call speaks for one facility: a file of another is refused, though the account may speak for both.
        who = account.credential
        received = Received(sent.raw, at, transport, who.name, frozenset({sent.ma_cskcb}), who.test)
        if not who.may_act_for(sent.ma_cskcb):
            translation = await self._gate.accept_unframed(refused(received, "FACILITY_NOT_ENTITLED", "maCSKCB"))
        elif sent.several:
            translation = await self._gate.accept_unframed(refused(received, "SEVERAL_MESSAGES", "HOSO[2]"))
        else:
            translation = await self._gate.accept(received)
        return _receipt(translation, at)

    async def _keep_too_large(self, account: Account, transport: str, beginning: bytes, size: int) -> Response:
        who, at = account.credential, self._gate.clock()
        received = Received(beginning, at, transport, who.name, who.facilities, who.test)
        junk = Junk(beginning, max(size, len(beginning)), Problem("FRAME_TOO_LARGE", Severity.ERROR))
        return _receipt(await self._gate.accept_unframed(unframed(received, junk)), at)

    # --- look-ups -----------------------------------------------------------------------------------------------------

    async def _days(self, request: Request, body: _Body) -> Response:
        stated, asked = await self._asked(request, body)
        since, until = day_of(stated.get("tungay", ""), "tuNgay"), day_of(stated.get("denngay", ""), "denNgay")
        if until < since:
            raise HubError("REQUEST_WRONG", "denNgay")
        _check_look_back(since, "tuNgay")
        return _json(success(dsKQGuiHosoNgay=await self._receipts.days(asked, since, until)))

    async def _transactions(self, request: Request, body: _Body) -> Response:
        stated, asked = await self._asked(request, body)
        day = day_of(stated.get("ngaygui", ""), "ngayGui")
        _check_look_back(day, "ngayGui")
        return _json(success(dsHoSo=await self._receipts.transactions(asked, day)))

    async def _errors(self, request: Request, body: _Body) -> Response:
        stated = parameters(await self._read(body, _SMALL_BYTES), request.url.query)
        account, _ = self._account(request, stated)
        return _json(success(dsLoi=await self._receipts.errors(account.credential, stated.get("magiaodich", ""))))

    async def _rounds(self, request: Request, body: _Body) -> Response:
        stated, asked = await self._asked(request, body)
        month = day_of(f"01/{stated.get('thang', '').zfill(2)}/{stated.get('nam', '')}", "thang, nam")
        return _json(success(dsDotGiamDinh=await self._receipts.rounds(asked, month)))

    async def _decided(self, request: Request, body: _Body) -> Response:
        stated, asked = await self._asked(request, body)
        code = stated.get("madot", "")
        day = day_of(f"{code[6:]}/{code[4:6]}/{code[:4]}", "maDot")
        return _json(success(dsKetQuaGiamDinh=await self._receipts.decided(asked, day)))

    async def _asked(self, request: Request, body: _Body) -> tuple[dict[str, str], Asked]:
        stated = parameters(await self._read(body, _SMALL_BYTES), request.url.query)
        account, _ = self._account(request, stated)
        transport = _ASKED.get(stated.get("loaihoso", ""))
        if transport is None:
            raise HubError("REQUEST_WRONG", "loaiHoSo")
        facility = stated.get("macskcb", "")
        if not account.credential.may_act_for(facility):
            raise HubError("FACILITY_NOT_ENTITLED", "maCSKCB")
        return stated, Asked(account.credential, facility, transport)

    # --- cards --------------------------------------------------------------------------------------------------------

    async def _check_card(self, request: Request, body: _Body) -> Response:
        raw = await self._read(body, _SMALL_BYTES)
        account, sent = self._account(request, parameters(raw, request.url.query))
        kind = request.headers.get("content-type", "application/json")
        answer = await self._cards.ask(account.user, sent, raw, kind)
        return Response(answer.body, answer.status, media_type=answer.media_type)


class _AnyCase:
    """ASGI: a known path in whatever case of letters a client writes it.

    paths: each in lower case, to how it is known.
    """

    def __init__(self, app: ASGIApp, paths: Mapping[str, str]) -> None:
        self._app, self._paths = app, paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            known = self._paths.get(scope["path"].lower(), scope["path"])
            if known != scope["path"]:
                scope = {**scope, "path": known, "raw_path": known.encode()}
        await self._app(scope, receive, send)


@dataclass(frozen=True, slots=True)
class _File:
    """What a call with a file states, and its file as the gate takes it."""

    user: str
    ma_cskcb: str
    raw: bytes
    several: bool


def _sent(body: bytes, day: date, loai_ho_so: str) -> _File:
    """Raises: HubError(REQUEST_WRONG), HubError(EMPTY_INPUT)."""
    stated = parameters(body)
    ma_cskcb = stated.get("macskcb", "").strip()
    if not is_code(ma_cskcb):
        raise HubError("REQUEST_WRONG", "maCSKCB")
    if stated.get("loaihoso", loai_ho_so).strip() != loai_ho_so:
        raise HubError("REQUEST_WRONG", "loaiHoSo")
    raw = enveloped(file_of(stated.get("filehsbase64", "")), ma_cskcb, day)
    return _File(stated.get("username", ""), ma_cskcb, raw, holds_several(raw))


def _check_user(account: Account, user: str) -> None:
    if user and user.casefold() != account.user.casefold():
        raise HubError("CREDENTIAL_WRONG", "username")


def _check_privacy(request: Request) -> None:
    if request.url.scheme != "https" and not is_loopback(_address(request)):
        raise HubError("TLS_REQUIRED")


def _check_look_back(day: date, name: str) -> None:
    if day < now().astimezone(VIETNAM).date() - LOOK_BACK:
        raise HubError("REQUEST_WRONG", f"{name}: {LOOK_BACK.days} ngày · days")


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _receipt(translation: Translation, at: datetime) -> Response:
    code, text = result_of(translation.verdict, translation.problems)
    return _json(receipt(code, translation.message["message_id"], at, text))


def _refused(call: str, error: HubError, *, members: Mapping[str, object], told: str) -> Response:
    telemetry.gateway_call_refused(call, error.code)
    if refusal_code(error) == UNAVAILABLE:
        return _json(refusal(error, members, told), 503, {"Retry-After": _RETRY_AFTER_S})
    return _json(refusal(error, members, told), 408 if error.code == "FRAME_UNFINISHED" else 200)


def _json(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(body, status, headers, "application/json")
