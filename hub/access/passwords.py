"""Passwords of accounts: argon2id, checked away from the event loop, a few at a time, and not for ever.

What is hashed is what the client sends. Clients of the insurance gateway send the MD5 of the password in hexadecimal, in
capitals or not, so such a text counts as the same in both. Of a person of the console it is the password itself.
"""

import asyncio
import hashlib
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

from argon2 import PasswordHasher, Type, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError

from hub.access.credentials import Account, Credentials
from hub.contract.errors import HubError

_AT_ONCE: Final = 2  # each takes 64 MiB and a core for about 50 ms
_WAITING_MAX: Final = 32
_SENT_MAX: Final = 256  # characters of a user or a password
_WINDOW_S: Final = 300.0
_TRIES_MAX: Final = 10  # failed ones of one user from one address within the window
_TRIES_OF_ADDRESS_MAX: Final = 100  # a proxy or a hospital group may stand behind one address
_KEPT_MAX: Final = 20_000
_MD5: Final = re.compile(r"[0-9A-Fa-f]{32}")

_hasher: Final = PasswordHasher()


def as_sent(password: str) -> str:
    """What a client of the gateway sends for a password: its MD5 in capitals; a text that is one already stays."""
    if _MD5.fullmatch(password):
        return password.upper()
    return hashlib.md5(password.encode(), usedforsecurity=False).hexdigest().upper()


def normal(sent: str) -> str:
    """A password as it is hashed and compared: an MD5 in capitals, anything else as it came."""
    return sent.upper() if _MD5.fullmatch(sent) else sent


def password_hash(sent: str) -> str:
    """The argon2id hash of what a client sends, for the credentials file."""
    return _hasher.hash(normal(sent))


def raw_hash(password: str) -> str:
    """The argon2id hash of a person's password itself."""
    return _hasher.hash(password)


def is_password_hash(text: str) -> bool:
    """Whether a text is an argon2id hash."""
    try:
        return extract_parameters(text).type is Type.ID
    except InvalidHashError:
        return False


class Login:
    """Who an account's user and password say the caller is. One for each process; used from its event loop."""

    def __init__(self, credentials: Credentials, clock: Callable[[], float] = time.monotonic) -> None:
        self._credentials = credentials
        self._checker = Checker()
        self._tries = FailedTries(clock)

    async def account(self, user: str, sent: str, address: str) -> Account:
        """The account, with the hash that the password is right by. A user that nobody has takes as long as a wrong password.

        Raises: HubError(CREDENTIAL_WRONG); HubError(TRIES_EXCEEDED), whatever the password; HubError(OVERLOADED).
        """
        if not user or not sent or max(len(user), len(sent)) > _SENT_MAX:
            raise HubError("CREDENTIAL_WRONG", "username")
        self._checker.room()
        keys = ((f"{address} {user.casefold()}", _TRIES_MAX), (address, _TRIES_OF_ADDRESS_MAX))
        self._tries.take(keys)  # before the password is looked at: many tries at once count as many
        found = self._credentials.of_user(user, address)
        decoy = found or self._credentials.any_account()
        # A wrong one costs two hashes of everybody, whether or not there is a former password.
        for stored in (decoy.password, decoy.former or decoy.password) if decoy is not None else ():
            if await self._checker.matches(stored, normal(sent)) and found is not None:
                self._tries.give_back(keys)
                return found if stored == found.password else replace(found, password=stored)
        raise HubError("CREDENTIAL_WRONG", "username")

    def close(self) -> None:
        self._checker.close()


class Checker:
    """Compares passwords with hashes away from the event loop, a few at a time. One for each process and kind of login."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="password")
        self._waiting = 0

    def room(self) -> None:
        """Raises: HubError(OVERLOADED) when too many wait."""
        if self._waiting >= _WAITING_MAX:
            raise HubError("OVERLOADED", "logins")

    async def matches(self, stored: str, sent: str) -> bool:
        """Whether the hash is of what was sent; of two hashes of the same cost it takes as long, right or wrong."""
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, _matches, stored, sent)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def _matches(stored: str, sent: str) -> bool:
    if not stored:  # the account of a hub without credentials
        return True
    try:
        return _hasher.verify(stored, sent)
    except (VerificationError, InvalidHashError):
        return False


class FailedTries:
    """How often each key failed lately. Bounded: the oldest keys are forgotten first."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._counts: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def take(self, keys: Sequence[tuple[str, int]]) -> None:
        """Count a try of each key, with its limit. Raises: HubError(TRIES_EXCEEDED), and counts nothing, at a limit."""
        clock = self._clock()
        now = [self._now(key, clock) for key, _ in keys]
        if any(count >= limit for (count, _), (_, limit) in zip(now, keys, strict=True)):
            raise HubError("TRIES_EXCEEDED", "username")
        for (count, since), (key, _) in zip(now, keys, strict=True):
            self._counts[key] = (count + 1, since)
            self._counts.move_to_end(key)
        while len(self._counts) > _KEPT_MAX:
            self._counts.popitem(last=False)

    def give_back(self, keys: Sequence[tuple[str, int]]) -> None:
        """The try was none: the password was right."""
        for key, _ in keys:
            count, since = self._counts.get(key, (0, 0.0))
            if count > 1:
                self._counts[key] = (count - 1, since)
            else:
                self._counts.pop(key, None)

    def _now(self, key: str, clock: float) -> tuple[int, float]:
        count, since = self._counts.get(key, (0, clock))
        return (count, since) if clock - since < _WINDOW_S else (0, clock)
