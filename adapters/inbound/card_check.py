"""The card check: passed on to another gateway (`HIE_CARD_CHECK_URL`), as the account that asks, and its answer passed back.

The caller's user and password are the ones of that gateway too, since its clients come here by a change of address only; so
the hub logs in there with them and puts that session's tokens in the place of its own. Nothing of it is logged or kept but
those tokens, in memory.
"""

import asyncio
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Final

import httpx
import orjson

from hub.contract import telemetry
from hub.contract.errors import HubError
from hub.contract.events import Keyring

_LOGIN: Final = "/api/token/take"
_CALL: Final = "/api/egw/KQNhanLichSuKCB2024"
_TIMES: Final = httpx.Timeout(20.0, connect=5.0)
_WHOLE_S: Final = 30.0  # what clients wait for an answer
_AT_ONCE: Final = 32
_ANSWER_MAX: Final = 8 * 1024 * 1024  # bytes
_FAILURES_MAX: Final = 5  # one after the other; then nobody is asked for a while
_PAUSE_S: Final = 30.0
_SESSION_S: Final = 50 * 60.0  # tokens of the field hold about an hour
_SESSIONS_MAX: Final = 15_000
_LOGIN_AGAIN: Final = ("401", "501")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the other gateway said, as it said it."""

    status: int
    body: bytes
    media_type: str


class CardCheck:
    """The way to the card register. One for each process; used from its event loop.

    url: of the other gateway; "" for none.
    """

    def __init__(self, url: str, keyring: Keyring) -> None:
        self._url = url.rstrip("/")
        self._keyring = keyring
        self._client: httpx.AsyncClient | None = None
        self._under_way = 0
        self._breaker = Breaker()
        self._sessions: OrderedDict[str, tuple[dict[str, str], float]] = OrderedDict()

    async def ask(self, user: str, sent: str, body: bytes, media_type: str) -> Answer:
        """Pass one check on.

        sent: the password, as the client sends it.
        body: with its media type, passed on byte for byte.
        Raises: HubError(CARD_CHECK_UNSET) without another gateway; HubError(CARD_CHECK_SILENT) when it does not answer, did not
                lately, or is asked too much at once.
        """
        if not self._url:
            raise HubError("CARD_CHECK_UNSET")
        if self._under_way >= _AT_ONCE or not self._breaker.closed(monotonic()):
            raise HubError("CARD_CHECK_SILENT", "card register")
        self._under_way += 1
        try:
            async with asyncio.timeout(_WHOLE_S):
                answer = await self._asked(user, sent, body, media_type)
        except (httpx.HTTPError, TimeoutError, ValueError) as broken:  # ValueError: an answer that is no answer
            self._breaker.failed(monotonic())
            telemetry.fault("card-check", "CARD_CHECK_SILENT", type(broken).__name__)
            raise HubError("CARD_CHECK_SILENT", "card register") from None
        finally:
            self._under_way -= 1
        self._breaker.worked()
        return answer

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def _asked(self, user: str, sent: str, body: bytes, media_type: str) -> Answer:
        key = self._keyring.hash("card-check", user, sent)
        kept = self._sessions.get(key)
        fresh = kept is None or kept[1] < monotonic()
        tokens = None if kept is None or fresh else kept[0]
        if tokens is None:
            tokens, refused = await self._login(key, user, sent)
            if tokens is None:
                return refused
        answer = await self._call(tokens, user, sent, body, media_type)
        if not fresh and _code(answer.body) in _LOGIN_AGAIN:
            tokens, refused = await self._login(key, user, sent)
            return await self._call(tokens, user, sent, body, media_type) if tokens else refused
        return answer

    async def _login(self, key: str, user: str, sent: str) -> tuple[dict[str, str] | None, Answer]:
        """The tokens of a new session, or None and why not."""
        form = httpx.QueryParams({"username": user, "password": sent})
        answer = await self._post(_LOGIN, {}, str(form).encode(), "application/x-www-form-urlencoded")
        self._sessions.pop(key, None)
        found = orjson.loads(answer.body)
        session = found.get("APIKey") if isinstance(found, dict) and found.get("maKetQua") == "200" else None
        if not isinstance(session, dict):
            return None, answer
        tokens = {"token": str(session.get("access_token", "")), "id_token": str(session.get("id_token", ""))}
        self._sessions[key] = (tokens, monotonic() + _SESSION_S)
        while len(self._sessions) > _SESSIONS_MAX:
            self._sessions.popitem(last=False)
        return tokens, answer

    async def _call(self, tokens: dict[str, str], user: str, sent: str, body: bytes, media_type: str) -> Answer:
        return await self._post(_CALL, {**tokens, "username": user, "password": sent}, body, media_type)

    async def _post(self, path: str, query: dict[str, str], body: bytes, media_type: str) -> Answer:
        """Raises: httpx.HTTPError; ValueError for an answer that is too large or a fault of the other side (5xx)."""
        if self._client is None:
            self._client = httpx.AsyncClient(base_url=self._url, timeout=_TIMES, follow_redirects=False)
        async with self._client.stream(
            "POST", path, params=query, content=body, headers={"Content-Type": media_type, "Accept": "application/json"}
        ) as answer:
            if answer.status_code >= 500:
                raise ValueError("5xx")
            parts, size = [], 0
            async for part in answer.aiter_bytes():
                size += len(part)
                if size > _ANSWER_MAX:
                    raise ValueError("too large")
                parts.append(part)
            return Answer(answer.status_code, b"".join(parts), answer.headers.get("content-type", "application/json"))


class Breaker:
    """Lets nobody through for a while after several failures in a row; then one success closes it again."""

    def __init__(self) -> None:
        self._failures = 0
        self._open_until = 0.0

    def closed(self, clock: float) -> bool:
        return clock >= self._open_until

    def failed(self, clock: float) -> None:
        self._failures += 1
        if self._failures >= _FAILURES_MAX:
            self._open_until = clock + _PAUSE_S

    def worked(self) -> None:
        self._failures = 0
        self._open_until = 0.0


def _code(body: bytes) -> str:
    with suppress(ValueError):
        found = orjson.loads(body)
        return str(found.get("maKetQua", "")) if isinstance(found, dict) else ""
    return ""
