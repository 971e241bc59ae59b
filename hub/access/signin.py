"""How people come in and stay in: password or a provider's word, failed tries, and the session from its opening to its end.

A session is a random token in a cookie; the database holds its hash only. It ends after a time without use, at its
age, at sign-out, and when the person is disabled or gets another password or role. All of it holds across processes.
"""

import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from hub.access.credentials import network_of
from hub.access.passwords import Checker, raw_hash
from hub.access.people import PASSWORD_MAX, UNKNOWN, Person, as_person, note, one_form
from hub.contract.errors import HubError
from hub.contract.events import now

WINDOW_S: Final = 300
TRIES_MAX: Final = 10  # failed ones of one name from one address within the window, as at the gateway's calls
TRIES_OF_ADDRESS_MAX: Final = 100
_SESSIONS_MAX: Final = 20  # of one person; the oldest ends
_TOUCH_S: Final = 30.0  # how exactly the last use is kept: a write each time would cost more than the look
_FRESH_S: Final = 2.0  # how old the answer of `glance` may be
_KEPT_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A person with the session by which they are known.

    session: short id of it, for lists and to revoke it; it opens nothing.
    """

    person: Person
    session: str


class SignIn:
    """Opens, knows and ends sessions. One for each process; used from its event loop.

    idle_s:    time without use after which a session ends, in seconds.
    session_s: age at which it ends, in seconds.
    """

    def __init__(self, pool: AsyncConnectionPool, idle_s: float, session_s: float) -> None:
        self._pool = pool
        self._idle, self._age = timedelta(seconds=idle_s), timedelta(seconds=session_s)
        self._touch = timedelta(seconds=min(_TOUCH_S, idle_s / 10))
        self._checker = Checker()
        self._decoy = raw_hash(secrets.token_hex(16))
        self._glances: OrderedDict[str, tuple[datetime, SignedIn | None]] = OrderedDict()

    async def open(self, name: str, password: str, address: str, at: datetime) -> tuple[str, SignedIn]:
        """A new session's token, if the password is right. A name that nobody has and a disabled person take the same way.

        Raises: HubError(CREDENTIAL_WRONG); HubError(TRIES_EXCEEDED), whatever the password; HubError(OVERLOADED).
        """
        name = name.strip().casefold()
        if not name or not password or max(len(name), len(password)) > PASSWORD_MAX or "\x00" in name:  # no column holds that
            raise HubError("CREDENTIAL_WRONG", "name")
        self._checker.room()
        keys = _hashed((f"{network_of(address)} {name}", TRIES_MAX), (network_of(address), TRIES_OF_ADDRESS_MAX))
        async with self._pool.connection() as database, database.transaction():
            within = await _take(database, keys, at)
            statement = "select name, role, scope, language, password, disabled_at from person where name = %s"
            row = await (await database.execute(statement, (name,))).fetchone()
            by = row[0] if row else UNKNOWN
            if within == 0:  # the first beyond the limit stands for all that follow
                await note(database, "sign-in", by, by, "TRIES_EXCEEDED", "refused", at=at)
        if within <= 0:
            raise HubError("TRIES_EXCEEDED", "name")
        right = await self._checker.matches(row[4] if row else self._decoy, one_form(password))
        async with self._pool.connection() as database, database.transaction():
            # The row is read again under a lock: who was disabled, or got another password, while this one was compared stays out.
            statement = "select password, disabled_at from person where name = %s for update"
            again = await (await database.execute(statement, (name,))).fetchone()
            if row is None or not right or again is None or again[0] != row[4] or again[1] is not None:
                await database.execute("update person set failed = failed + 1 where name = %s", (name,))
                await note(database, "sign-in", by, by, "CREDENTIAL_WRONG", "refused", at=at)
                wrong = True
            else:
                wrong = False
                token = await self._admit(database, name, keys, address, at)
        if wrong:
            raise HubError("CREDENTIAL_WRONG", "name")
        assert row is not None
        return token, SignedIn(as_person(row), _short(digest(token)))

    async def open_by(
        self, state: str, identity: Callable[[], Awaitable[str]], address: str, at: datetime
    ) -> tuple[str, SignedIn]:
        """A new session's token for whoever an OpenID Connect provider names.

        state:    of this way to the provider; it is good once, and for no longer than the window.
        identity: asks the provider who it is: a person's `identity`, or the login name of one who has none.
        Raises: HubError(LOGIN_UNPROVEN, LOGIN_UNKNOWN, TRIES_EXCEEDED), and what `identity` raises.
        """
        once, tries = _hashed((f"state {state}", 1)), _hashed((f"provider {network_of(address)}", TRIES_OF_ADDRESS_MAX))
        async with self._pool.connection() as database, database.transaction():
            refusal, within = HubError("LOGIN_UNPROVEN", "state"), await _take(database, once, at)
            if within > 0:
                refusal, within = HubError("TRIES_EXCEEDED", "address"), await _take(database, tries, at)
            if within == 0:  # the first beyond the limit stands for all that follow
                await note(database, "sign-in", UNKNOWN, UNKNOWN, f"{refusal.code} {refusal.where}", "refused", at=at)
        if within <= 0:
            raise refusal
        try:
            named = await identity()
        except HubError as wrong:
            async with self._pool.connection() as database, database.transaction():
                if wrong.retriable:  # nobody failed but the provider
                    await _give_back(database, tries)
                else:
                    await note(database, "sign-in", UNKNOWN, UNKNOWN, f"{wrong.code} {wrong.where}", "refused", at=at)
            raise
        async with self._pool.connection() as database, database.transaction():
            statement = (
                "select name, role, scope, language, disabled_at from person where identity = %s or (identity is null and name = %s) "
                "order by identity nulls last limit 1 for update"
            )
            row = await (await database.execute(statement, (named, named))).fetchone()
            token = ""
            if row is None or row[4] is not None:
                by = row[0] if row else UNKNOWN
                await database.execute("update person set failed = failed + 1 where name = %s", (by,))
                await note(database, "sign-in", by, by, "LOGIN_UNKNOWN", "refused", at=at)
            else:
                token = await self._admit(database, row[0], tries, address, at, " by OpenID Connect")
        if row is None or not token:
            raise HubError("LOGIN_UNKNOWN", "identity")
        return token, SignedIn(as_person(row), _short(digest(token)))

    async def _admit(
        self,
        database: AsyncConnection[Any],
        name: str,
        keys: Sequence[tuple[str, int]],
        address: str,
        at: datetime,
        way: str = "",
    ) -> str:
        token = secrets.token_urlsafe(32)
        await database.execute("update person set failed = 0, seen_at = %s where name = %s", (at, name))
        await _give_back(database, keys)
        await database.execute(
            "insert into person_session (digest, name, address, opened_at, seen_at) values (%s, %s, %s, %s, %s)",
            (digest(token), name, address, at, at),
        )
        await database.execute(
            "delete from person_session where opened_at < %s or seen_at < %s or digest in (select digest from person_session where name = %s order by opened_at desc, digest offset %s)",
            (at - self._age, at - self._idle, name, _SESSIONS_MAX),
        )
        await note(database, "sign-in", name, name, f"session {_short(digest(token))}{way}", at=at)
        return token

    async def known(self, token: str, at: datetime, *, used: bool) -> SignedIn | None:
        """Who holds a token now; None when the session has ended. used: by the person, so that it does not end for want of use."""
        if not token or len(token) > 64:
            return None
        key = digest(token)
        async with self._pool.connection() as database:
            row = await (
                await database.execute(
                    "select name, role, scope, language, s.seen_at from person_session s join person using (name) "
                    "where digest = %s and disabled_at is null and opened_at > %s and s.seen_at > %s",
                    (key, at - self._age, at - self._idle),
                )
            ).fetchone()
            if row is not None and used and at - row[4] >= self._touch:
                await database.execute("update person_session set seen_at = %s where digest = %s", (at, key))
        found = SignedIn(as_person(row), _short(key)) if row else None
        self._glances[key] = (at, found)
        self._glances.move_to_end(key)
        while len(self._glances) > _KEPT_MAX:
            self._glances.popitem(last=False)
        return found

    async def glance(self, token: str, at: datetime) -> SignedIn | None:
        """As `known`, but without use, and up to two seconds old: for pages that are open and updated all the time."""
        seen, found = self._glances.get(digest(token), (None, None))
        if seen is not None and timedelta(0) <= at - seen < timedelta(seconds=_FRESH_S):
            return found
        return await self.known(token, at, used=False)

    async def end(self, token: str, at: datetime) -> None:
        """Sign out. Of a session that has ended already nothing is told."""
        key = digest(token)
        self._glances.pop(key, None)
        async with self._pool.connection() as database, database.transaction():
            row = await (await database.execute("delete from person_session where digest = %s returning name", (key,))).fetchone()
            if row is not None:
                await note(database, "sign-out", row[0], row[0], f"session {_short(key)}", at=at)

    def close(self) -> None:
        self._checker.close()


async def sessions(pool: AsyncConnectionPool, idle_s: float, session_s: float, name: str = "") -> list[dict[str, Any]]:
    """Open sessions, of one person or of all: session (its short id), name, address, opened_at, seen_at; newest first."""
    at = now()
    statement = (
        "select left(digest, 12) as session, name, address, opened_at, seen_at from person_session "
        "where %s in ('', name) and opened_at > %s and seen_at > %s order by opened_at desc"
    )
    async with pool.connection() as database, database.cursor(row_factory=dict_row) as cursor:
        since = (at - timedelta(seconds=session_s), at - timedelta(seconds=idle_s))
        return await (await cursor.execute(statement, (name, *since))).fetchall()


async def revoke(pool: AsyncConnectionPool, name: str, session: str, by: str, reason: str) -> int:
    """End one session of a person, or all when `session` is empty. Returns: how many there were."""
    async with pool.connection() as database, database.transaction():
        done = await database.execute(
            "delete from person_session where name = %s and %s in ('', left(digest, 12))", (name, session)
        )
        await note(database, "person-revoke", f"{name} {session or 'all'}", by, reason)
    return done.rowcount


def digest(token: str) -> str:
    """What the database knows a session by. The token is 256 random bits, so the hash needs no salt."""
    return blake2b(token.encode(errors="replace"), digest_size=32, person=b"hie-session").hexdigest()


def _short(key: str) -> str:
    return key[:12]


def _hashed(*wanted: tuple[str, int]) -> tuple[tuple[str, int], ...]:
    """What tries are counted by, with its limit; hashed, as a name that was typed may be a password."""
    return tuple((blake2b(key.encode(errors="replace"), digest_size=16).hexdigest(), limit) for key, limit in wanted)


async def _give_back(database: AsyncConnection[Any], keys: Sequence[tuple[str, int]]) -> None:
    """A try that did not fail is none. Key by key, in the order in which they are taken: else two could wait for each other."""
    for key, _ in keys:
        await database.execute("update person_try set count = greatest(count - 1, 0) where key = %s", (key,))


async def _take(database: AsyncConnection[Any], keys: Sequence[tuple[str, int]], at: datetime) -> int:
    """Count a try before the password is looked at, so that many at once count as many. What one key refuses counts by no other: who
    tries one name for ever does not shut his whole address out.

    Returns: above 0: within the limits; 0: the first beyond one of them; below 0: a later one.
    """
    since = at - timedelta(seconds=WINDOW_S)
    await database.execute(  # not of its own keys, as then two tries could wait for each other
        "delete from person_try where key in (select key from person_try where since < %s and key <> all(%s) for update skip locked)",
        (since, [key for key, _ in keys]),
    )
    left = 1
    for number, (key, limit) in enumerate(keys):
        row = await (
            await database.execute(
                "insert into person_try as t (key, count, since) values (%s, 1, %s) on conflict (key) do update set "
                "count = case when t.since < %s then 1 else least(t.count + 1, %s) end, since = case when t.since < %s then %s else t.since end "
                "returning count",
                (key, at, since, limit + 2, since, at),
            )
        ).fetchone()
        assert row is not None
        left = limit + 1 - row[0]
        if left <= 0:
            await _give_back(database, keys[:number])
            break
    return left
