"""Signed webhooks: one delivery a request, to an https address that the operator named, signed as Standard Webhooks says.

An answer 2xx means that somebody took it: SENT. ACKNOWLEDGED or REFUSED only by the recipient's own word: the answer's body is a
receipt of this delivery, as the inbox API takes it, or the receipt comes over that API later. All else is tried again.
Source: https://github.com/standard-webhooks/standard-webhooks
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import ipaddress
import math
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx
import orjson
from pydantic import BaseModel, ConfigDict, Field, field_validator

from adapters.outbound.item import Row, shown
from adapters.outbound.push import Answer, Unanswered
from adapters.outbound.retry import BACKOFF_MAX_S
from hub.bus import Wire
from hub.contract.errors import ERRORS, HubError
from hub.contract.events import to_json

_ANSWER_BYTES_MAX: Final = 64 * 1024
_SECRET_PREFIX: Final = "whsec_"  # noqa: S105  # the mark of one, none itself
_SECRET_BYTES: Final = range(24, 65)
_NEVER_PUBLIC: Final = tuple(
    ipaddress.ip_network(one)
    for one in ("::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "fec0::/10")
)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Hook(BaseModel):
    """Where a recipient takes webhooks.

    secrets:  files with `whsec_…`; while a secret is changed there are two, and each signs.
    networks: approved beside public addresses, such as 10.8.0.0/16 of a tunnel.
    ca:       PEM file of who signed its certificate, when that is no public authority.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str
    secrets: tuple[Path, ...] = Field(min_length=1, max_length=2)
    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    ca: Path | None = None

    @field_validator("url")
    @classmethod
    def _https_with_a_host(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname or parts.username is not None or parts.fragment:
            raise ValueError("must be https://host[:port]/path, without a user")
        try:
            _ = parts.port, httpx.URL(url), parts.hostname.encode("idna")
        except (httpx.InvalidURL, UnicodeError) as wrong:
            raise ValueError("names no host that can be looked up") from wrong
        return url


def read_secret(path: Path) -> bytes:
    """The key in a file. Raises: HubError(SETTING_WRONG) that names the file, never what is in it."""
    try:
        text = path.read_text("ascii").strip()
        key = base64.b64decode(text.removeprefix(_SECRET_PREFIX), validate=True)
    except (OSError, UnicodeDecodeError, binascii.Error) as wrong:
        raise HubError("SETTING_WRONG", f"HIE_PUSH secrets {path.name}: {type(wrong).__name__}") from None
    if not text.startswith(_SECRET_PREFIX) or len(key) not in _SECRET_BYTES:
        raise HubError("SETTING_WRONG", f"HIE_PUSH secrets {path.name}: must be whsec_ and 24 to 64 bytes in base64")
    return key


def signature(keys: Sequence[bytes], identity: str, timestamp: int, body: bytes) -> str:
    """`webhook-signature`: one v1 a key, space between."""
    signed = b"%s.%d.%s" % (identity.encode(), timestamp, body)
    return " ".join(f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}" for key in keys)


def may_reach(address: Address, networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    """Whether an address is public, or in a network that was approved. What wraps an IPv4 address is never public."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if any(address in network for network in networks):
        return True
    return address.is_global and not address.is_multicast and not any(address in network for network in _NEVER_PUBLIC)


class Webhook:
    """The channel of one recipient.

    What it has taken is not sent again: another answer is for the inbox API.
    """

    name: str = "webhook"
    waits: tuple[str, ...] = ("QUEUED",)

    def __init__(self, hook: Hook, facility: str, wire: Wire, wait_s: float, clock: Callable[[], float] = time.time) -> None:
        self._hook = hook
        self._facility = facility
        self._wire = wire
        self._wait_s = wait_s
        self._clock = clock
        self._parts = urlsplit(hook.url)
        self._keys = [read_secret(path) for path in hook.secrets]
        try:
            verify = ssl.create_default_context(cafile=None if hook.ca is None else str(hook.ca))
        except (OSError, ssl.SSLError) as wrong:
            raise HubError("SETTING_WRONG", f"HIE_PUSH ca: {type(wrong).__name__}") from None
        # No proxy of the environment: it would decide where this goes. No redirect is followed: it might lead anywhere.
        limits = httpx.Limits(max_connections=1, keepalive_expiry=30)
        self._client = httpx.AsyncClient(verify=verify, trust_env=False, follow_redirects=False, timeout=wait_s, limits=limits)

    def render(self, row: Row) -> bytes:
        """The item of the inbox API, with its body as JSON. Raises: HubError for a body that cannot be shown."""
        item = shown(self._wire, row, "json", self._facility)
        if "problem" in item:
            raise HubError(str(item["problem"]["code"]), "body")  # type: ignore[index]  # as `explained` made it
        return to_json({"facility": self._facility, **item})

    async def ask(self, row: Row, body: bytes) -> Answer:
        place = "connect"
        try:
            async with asyncio.timeout(self._wait_s):
                addresses = await self._addresses()
                place = "answer"
                status, pause_s, said = await self._post(addresses, str(row.delivery_id), body)
        except httpx.ConnectError as away:
            raise Unanswered("connect") from away
        except (httpx.HTTPError, OSError, TimeoutError) as silent:
            raise Unanswered(place) from silent
        if status == 410:
            return Answer("GONE")
        if not 200 <= status < 300:
            raise Unanswered("answer", pause_s)
        return own_word(said, str(row.delivery_id))

    async def _addresses(self) -> list[Address]:
        """Where the name leads at this moment; the connection goes to one of just these, so nobody can change it in between.

        Raises: Unanswered when one of its addresses is none that is approved.
        """
        found = await asyncio.get_running_loop().getaddrinfo(
            self._parts.hostname, self._parts.port or 443, type=socket.SOCK_STREAM
        )
        addresses = [ipaddress.ip_address(row[4][0]) for row in found]
        if not addresses or not all(may_reach(one, self._hook.networks) for one in addresses):
            raise Unanswered("connect")
        return addresses

    async def _post(self, addresses: Sequence[Address], identity: str, body: bytes) -> tuple[int, float, bytes]:
        """Status, Retry-After in seconds, and the first bytes of the answer."""
        timestamp = int(self._clock())
        host = self._parts.hostname or ""
        headers = {
            "Host": self._parts.netloc,
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",  # the answer is read as it comes
            "webhook-id": identity,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self._keys, identity, timestamp, body),
        }
        said = bytearray()
        for address in addresses:
            url = httpx.URL(self._hook.url).copy_with(host=str(address))
            # The certificate is checked against the name, not the address.
            request = self._client.build_request("POST", url, content=body, headers=headers, extensions={"sni_hostname": host})
            try:
                answer = await self._client.send(request, stream=True)
                break
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if address == addresses[-1]:
                    raise
        try:
            async for chunk in answer.aiter_raw():
                said += chunk
                if len(said) > _ANSWER_BYTES_MAX:
                    break
        finally:
            await answer.aclose()
        return answer.status_code, pause_s(answer.headers.get("retry-after", "")), bytes(said)

    async def close(self) -> None:
        await self._client.aclose()


def pause_s(asked: str) -> float:
    """What Retry-After asks for, in seconds, as far as it is kept; 0 for a date, and for what is no number."""
    try:
        seconds = float(asked or "0")
    except ValueError:
        return 0.0
    return min(max(0.0, seconds), BACKOFF_MAX_S) if math.isfinite(seconds) else 0.0


def own_word(said: bytes, identity: str) -> Answer:
    """The recipient's word in an answer 2xx: `{"delivery_id", "state", "code"}` of this delivery; anything else says only "taken"."""
    try:
        word = orjson.loads(said)
    except orjson.JSONDecodeError:
        return Answer("SENT")
    if not isinstance(word, dict) or word.get("delivery_id") != identity:
        return Answer("SENT")
    if word.get("state") == "ACKNOWLEDGED":
        return Answer("ACKNOWLEDGED")
    if word.get("state") == "REFUSED":
        code = word.get("code")
        return Answer("REFUSED", code if isinstance(code, str) and code in ERRORS else "RECIPIENT_REFUSED")
    return Answer("SENT")
