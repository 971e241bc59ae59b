"""Signing in by an OpenID Connect provider: the way there and back (authorization code with PKCE), and the proof in the id_token.

The provider says who somebody is; what they may do here is ours (`people.py`). Its keys are asked for at each sign-in, which are
few: so a new key counts from the next one on, and one that was withdrawn does not. Its document is asked for once a minute at most, as
whoever opens the page may begin a way there.

Source: OpenID Connect Core 1.0 §3.1 and Discovery 1.0; RFC 7636 (PKCE); RFC 9207 (`iss` of the answer); RFC 6749 §2.3.1, §4.1.2.1.
"""

import asyncio
import secrets
import ssl
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from hmac import compare_digest
from math import inf
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

import httpx
import orjson
from joserfc import jwt
from joserfc.errors import ClaimError, JoseError
from joserfc.jwk import Key, KeySet, import_key
from joserfc.jws import JWSRegistry

from hub.access.people import is_identity
from hub.access.signin import WINDOW_S
from hub.contract.errors import HubError
from hub.contract.events import Keyring
from hub.contract.settings import Settings, is_private

PATH: Final = "/login/oidc"
"""Where the way to the provider begins; it sends people back to `PATH`/callback."""
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
"""What an id_token may be signed by: with public keys only. So neither `none` nor the client's secret (HS256) signs one."""
_REGISTRY: Final = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)  # providers write fields of their own in headers
_SCOPES: Final = {"preferred_username": "openid profile", "email": "openid email", "sub": "openid"}
_BROKEN: Final = ("server_error", "temporarily_unavailable")  # nobody was asked who he is
_LEEWAY_S: Final = 60  # how far the clocks of the two machines may be apart
_WHOLE_S: Final = 10.0
_AT_ONCE: Final = 16  # of those who go there, and of those who come back
_DOCUMENT_S: Final = 60.0  # how long the discovery document is kept
_ANSWER_MAX: Final = 512 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way to the provider and back. Its cookie is all that is kept of it, in the browser; the rest is the cookie's keyed hash.

    state:    in the URLs of the way; who brings it back without its cookie did not begin here.
    nonce:    in the id_token, which so belongs to this way.
    verifier: proves to the provider who began (PKCE); it is in no URL.
    language: of the page that it began on, vi or en.
    """

    cookie: str
    state: str
    nonce: str
    verifier: str
    language: str
    next_path: str

    @classmethod
    def begun(cls, keyring: Keyring, language: str, next_path: str, at: datetime) -> "Attempt":
        """A new one."""
        whither = urlsafe_b64encode(next_path.encode()).decode().rstrip("=")
        return cls._of(keyring, f"{secrets.token_hex(16)}.{int(at.timestamp())}.{language}.{whither}")

    @classmethod
    def back(cls, keyring: Keyring, cookie: str, state: str, at: datetime) -> "Attempt | None":
        """The one that a browser comes back from; None if it did not begin there, or more than five minutes ago."""
        with suppress(ValueError):
            found = cls._of(keyring, cookie)
            ours = compare_digest(found.state.encode(), state.encode())
            if ours and at.timestamp() - int(cookie.split(".")[1]) < WINDOW_S:
                return found
        return None

    @classmethod
    def _of(cls, keyring: Keyring, cookie: str) -> "Attempt":
        _secret, _seconds, language, whither = cookie.split(".")
        state, nonce, first, second = (
            keyring.hash("console-oidc", use, cookie) for use in ("state", "nonce", "pkce-1", "pkce-2")
        )
        next_path = urlsafe_b64decode(whither + "=" * (-len(whither) % 4)).decode()
        return cls(cookie, state, nonce, first + second, language, next_path)


class Provider:
    """The OpenID Connect provider that the settings name, as one client of it sees it.

    Raises: HubError(SETTING_WRONG) for a file of authorities that cannot be read.
    """

    def __init__(self, settings: Settings) -> None:
        self._issuer, self._client_id = settings.oidc_issuer, settings.oidc_client_id
        self._secret = settings.oidc_client_secret.get_secret_value()
        self._claim = settings.oidc_claim
        self._home = settings.console_url.rstrip("/")
        self._way_there, self._way_back = asyncio.Semaphore(_AT_ONCE), asyncio.Semaphore(_AT_ONCE)
        self._document_kept: tuple[float, dict[str, Any]] = (-inf, {})  # when it was asked for
        ca = settings.oidc_ca
        try:
            self._tls = ssl.create_default_context(cafile=None if ca is None else str(ca))
        except OSError as wrong:  # SSLError is one
            raise HubError("SETTING_WRONG", f"HIE_OIDC_CA: {type(wrong).__name__}") from None

    @property
    def start(self) -> str:
        """Where the way to the provider begins: at the address that it sends people back to, as the cookie is of that host."""
        return f"{self._home}{PATH}"

    async def address(self, attempt: Attempt) -> str:
        """Where the browser goes to sign in. Raises: HubError(PROVIDER_UNAVAILABLE); HubError(OVERLOADED)."""
        async with self._client(self._way_there) as client:
            document = await self._document(client)
        asked = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": f"{self.start}/callback",
            "scope": _SCOPES[self._claim],
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": urlsafe_b64encode(sha256(attempt.verifier.encode()).digest()).decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        there = str(document["authorization_endpoint"])
        return f"{there}{'&' if '?' in there else '?'}{urlencode(asked)}"

    async def identity(self, answer: Mapping[str, str], attempt: Attempt, at: datetime) -> str:
        """The claim that says who came back.

        answer: the query of the address that the provider sent the browser to.
        Raises: HubError(LOGIN_UNPROVEN) with the name of what does not fit; HubError(PROVIDER_UNAVAILABLE); HubError(OVERLOADED).
        """
        if answer.get("error") in _BROKEN:
            raise HubError("PROVIDER_UNAVAILABLE", "answer")
        if "error" in answer or not answer.get("code"):
            raise HubError("LOGIN_UNPROVEN", "answer")
        if answer.get("iss", self._issuer) != self._issuer:
            raise HubError("LOGIN_UNPROVEN", "iss of the answer")
        async with self._client(self._way_back) as client:
            document = await self._document(client)
            token = await self._redeemed(client, document, answer["code"], attempt)
            keys = await _asked(client, "keys", document["jwks_uri"])
        claims = self._proved(token, _key_set(keys), attempt.nonce, at)
        found = claims.get(self._claim)
        if not isinstance(found, str) or not is_identity(found):
            raise HubError("LOGIN_UNPROVEN", self._claim)
        if self._claim == "email" and claims.get("email_verified") is not True:  # else anybody may claim to have it
            raise HubError("LOGIN_UNPROVEN", "email_verified")
        return found

    @asynccontextmanager
    async def _client(self, room: asyncio.Semaphore) -> AsyncIterator[httpx.AsyncClient]:
        """Raises: HubError(OVERLOADED) when too many are on this way. Each has room of its own: whoever opens the page may begin one, and
        must not keep out who comes back."""
        if room.locked():
            raise HubError("OVERLOADED", "provider")
        # No proxy of the environment: it would decide where this goes. No redirect is followed: it might lead anywhere.
        made = httpx.AsyncClient(verify=self._tls, trust_env=False, follow_redirects=False, timeout=_WHOLE_S)
        async with room, made as client:
            yield client

    async def _document(self, client: httpx.AsyncClient) -> dict[str, Any]:
        asked_at, kept = self._document_kept
        began = time.monotonic()
        if began - asked_at < _DOCUMENT_S:
            return kept
        found = await _asked(client, "discovery", f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != self._issuer:  # to the letter, a slash at the end too
            raise HubError("PROVIDER_UNAVAILABLE", "discovery: issuer is not HIE_OIDC_ISSUER")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            url = found.get(name)
            if not isinstance(url, str) or not url.isascii() or not url.isprintable() or not is_private(url):
                raise HubError("PROVIDER_UNAVAILABLE", f"discovery: {name}")
        self._document_kept = (began, found)
        return found

    async def _redeemed(self, client: httpx.AsyncClient, document: Mapping[str, Any], code: str, attempt: Attempt) -> str:
        """The id_token for a code."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": f"{self.start}/callback",
            "code_verifier": attempt.verifier,
        }
        ways = document.get("token_endpoint_auth_methods_supported")
        login = None
        if not self._secret:
            form["client_id"] = self._client_id
        elif not isinstance(ways, list) or "client_secret_basic" in ways:  # which is the standard's default
            login = httpx.BasicAuth(quote_plus(self._client_id), quote_plus(self._secret))
        else:
            form |= {"client_id": self._client_id, "client_secret": self._secret}
        said = await _asked(client, "token", document["token_endpoint"], form, login)
        if not isinstance(said.get("id_token"), str):
            raise HubError("LOGIN_UNPROVEN", "id_token")
        return str(said["id_token"])

    def _proved(self, token: str, keys: KeySet, nonce: str, at: datetime) -> dict[str, Any]:
        """The claims of an id_token, once everything about it is right. Nothing of a token goes into an error."""
        try:
            claims = jwt.decode(token, keys, registry=_REGISTRY).claims
            audience = claims.get("aud")
            several = isinstance(audience, list) and len(audience) > 1
            jwt.JWTClaimsRegistry(
                now=int(at.timestamp()),
                leeway=_LEEWAY_S,
                iss={"essential": True, "value": self._issuer},
                aud={"essential": True, "value": self._client_id},
                azp={"essential": several, "value": self._client_id},
                nonce={"essential": True, "value": nonce},
                sub={"essential": True},
                exp={"essential": True},
                iat={"essential": True},
            ).validate(claims)
        except ClaimError as wrong:
            raise HubError("LOGIN_UNPROVEN", f"id_token {wrong.claim}") from None
        except JoseError as wrong:
            raise HubError("LOGIN_UNPROVEN", f"id_token {wrong.error}") from None
        except (ValueError, TypeError, RecursionError):  # the last one of claims within claims
            raise HubError("LOGIN_UNPROVEN", "id_token") from None
        return claims


async def _asked(
    client: httpx.AsyncClient, what: str, url: str, form: Mapping[str, str] | None = None, login: httpx.Auth | None = None
) -> dict[str, Any]:
    """A JSON object of the provider.

    what:   names the question in errors, which hold nothing of it or of its answer.
    Raises: HubError(LOGIN_UNPROVEN) if the provider does not take the code; HubError(PROVIDER_UNAVAILABLE) for anything else.
    """
    body = b""
    try:
        async with (
            asyncio.timeout(_WHOLE_S),
            client.stream("GET" if form is None else "POST", url, data=form, auth=login) as answer,
        ):
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > _ANSWER_MAX:
                    raise HubError("PROVIDER_UNAVAILABLE", f"{what}: too long")
        found = orjson.loads(body)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError, ValueError) as broken:
        raise HubError("PROVIDER_UNAVAILABLE", f"{what}: {type(broken).__name__}") from None
    if answer.status_code == 400 and isinstance(found, dict) and found.get("error") == "invalid_grant":
        raise HubError("LOGIN_UNPROVEN", "code")
    if answer.status_code != 200 or not isinstance(found, dict):
        raise HubError("PROVIDER_UNAVAILABLE", f"{what}: {answer.status_code}")
    return found


def _key_set(found: Mapping[str, Any]) -> KeySet:
    """The provider's keys; those that cannot be read, as of a kind of tomorrow, are left out."""
    rows = found.get("keys")
    keys: list[Key] = []
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict):
            with suppress(JoseError, ValueError, TypeError, KeyError):
                keys.append(import_key(row))
    return KeySet(keys)
