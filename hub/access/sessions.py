"""Tokens of the insurance gateway's calls: signed, not stored, so that every process of the gate knows those of the others.

A token holds the user's name, its end, a nonce and a keyed hash of the password that was sent. It ends at its time, and
at once when the password it was opened by or the hub's secret is good no more. Nothing in it is a person's.
"""

import base64
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from hub.access.credentials import Account
from hub.access.passwords import normal
from hub.contract.errors import HubError
from hub.contract.events import Keyring

_TOKEN_MAX: Final = 2048  # characters
_KINDS: Final = ("access", "id")


@dataclass(frozen=True, slots=True)
class Session:
    """What a login gives. Both tokens are of letters, digits, `-`, `_` and `.` only: clients cut the answer at other signs."""

    access_token: str
    id_token: str
    user: str
    expires_at: datetime


class Sessions:
    """Opens and checks sessions.

    keyring:    the hub's secret.
    lifetime_s: of a session, in seconds.
    of_user:    the account of a user as it is today, None when it is no more.
    """

    def __init__(self, keyring: Keyring, lifetime_s: float, of_user: Callable[[str, str], Account | None]) -> None:
        self._keyring = keyring
        self._lifetime = timedelta(seconds=lifetime_s)
        self._of_user = of_user

    def open(self, account: Account, sent: str, at: datetime) -> Session:
        """A session of an account that has shown its password.

        sent: the password as the client sent it, and will send it with each call.
        """
        expires_at = (at + self._lifetime).astimezone(UTC)
        nonce = secrets.token_hex(8)
        held = "\x1f".join((f"{expires_at.timestamp():.6f}", nonce, self._sent_hash(nonce, sent), account.user))
        payload = base64.urlsafe_b64encode(held.encode()).decode().rstrip("=")
        access, ident = (f"{payload}.{self._signature(kind, payload, account.password)}" for kind in _KINDS)
        return Session(access, ident, account.user, expires_at)

    def account(self, access_token: str, id_token: str, sent: str, address: str, at: datetime) -> Account:
        """Whose session two tokens and the password with them are.

        Raises: HubError(CREDENTIAL_WRONG), HubError(TOKEN_EXPIRED).
        """
        payload, _, signature = access_token.partition(".")
        again, _, id_signature = id_token.partition(".")
        expires_at, nonce, sent_hash, user = _opened(payload)
        account = self._of_user(user, address)
        if account is None or again != payload:
            raise HubError("CREDENTIAL_WRONG", "accessToken")
        if not any(self._signed(payload, (signature, id_signature), one) for one in (account.password, account.former or None)):
            raise HubError("CREDENTIAL_WRONG", "accessToken")
        if not hmac.compare_digest(sent_hash, self._sent_hash(nonce, sent)):
            raise HubError("CREDENTIAL_WRONG", "passwordHash")
        if at.timestamp() >= float(expires_at):
            raise HubError("TOKEN_EXPIRED", "accessToken")
        return account

    def _signed(self, payload: str, signatures: tuple[str, str], password: str | None) -> bool:
        if password is None:
            return False
        right = True
        for kind, signature in zip(_KINDS, signatures, strict=True):
            right &= hmac.compare_digest(signature.encode(), self._signature(kind, payload, password).encode())
        return right

    def _signature(self, kind: str, payload: str, password: str) -> str:
        return self._keyring.hash(f"gateway-{kind}", payload, password)

    def _sent_hash(self, nonce: str, sent: str) -> str:
        return self._keyring.hash("gateway-password", nonce, normal(sent))


def _opened(payload: str) -> tuple[str, str, str, str]:
    """End, nonce, hash and user of a token whose signature nobody has looked at yet."""
    try:
        if len(payload) > _TOKEN_MAX:
            raise ValueError
        held = base64.b64decode((payload + "=" * (-len(payload) % 4)).encode("ascii"), b"-_", validate=True).decode()
        expires_at, nonce, sent_hash, user = held.split("\x1f")
    except ValueError:
        raise HubError("CREDENTIAL_WRONG", "accessToken") from None
    return expires_at, nonce, sent_hash, user
