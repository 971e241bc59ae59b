"""The people of the console: who they are, what each may do, and every change of it with its reason.

A person is a login name, never a name of a human being. Each change is one transaction with its audit event, which
`hub.audit.tell_noted` brings to the audit topic; so none goes unrecorded, and none waits for the brokers.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, get_args
from uuid import uuid4

from psycopg import AsyncConnection
from psycopg.errors import UniqueViolation
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from hub.access.passwords import raw_hash
from hub.contract.errors import HubError
from hub.contract.events import now

Role = Literal["viewer", "operator", "admin", "vendor", "insurer"]
Right = Literal["see", "act", "unmask", "administer"]
Language = Literal["vi", "en"]

ROLES: Final[Mapping[Role, frozenset[Right]]] = {
    "viewer": frozenset({"see"}),
    "operator": frozenset({"see", "act"}),
    "admin": frozenset(get_args(Right)),
    "vendor": frozenset({"see"}),
    "insurer": frozenset({"see"}),
}
"""What each role may. A vendor and an insurer see what is of their scope only: `Person.sees`."""
SCOPED: Final = ("vendor", "insurer")
UNKNOWN: Final = "unknown"
"""Who the audit names where nobody has the name that was typed, which may be a password in the wrong field; so no person is named that."""
PASSWORD_MIN: Final = 12
PASSWORD_MAX: Final = 256
_NAME: Final = re.compile(r"[a-z][a-z0-9._-]{1,31}")
_SCOPE: Final = re.compile(r"[0-9A-Za-z._-]{1,64}")
_REASON_MAX: Final = 500
_IDENTITY_MAX: Final = 256


@dataclass(frozen=True, slots=True)
class Person:
    """Who is signed in.

    scope: senders of a vendor, payer codes of an insurer; () for the hub's own people, who see all.
    """

    name: str
    role: Role
    scope: tuple[str, ...]
    language: Language

    def may(self, right: Right) -> bool:
        return right in ROLES[self.role]

    def sees(self, owner: str) -> bool:
        """Whether what belongs to a sender (of a vendor) or to a payer (of an insurer) is this person's to see."""
        return self.role not in SCOPED or owner in self.scope


class People:
    """People as the database keeps them. Used by the command line and the console, from any number of processes."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def new(self, person: Person, password: str, by: str, reason: str) -> None:
        """Raises: HubError(REQUEST_WRONG) that says what is wrong, never a value; a name is never given twice."""
        _check(person)
        stored, at = raw_hash(fit(password, person.name)), now()
        async with self._pool.connection() as database, database.transaction():
            try:
                async with database.transaction():
                    await database.execute(
                        "insert into person (name, role, scope, language, password, created_at, changed_at) values (%s, %s, %s, %s, %s, %s, %s)",
                        (person.name, person.role, list(person.scope), person.language, stored, at, at),
                    )
            except UniqueViolation:
                raise HubError("REQUEST_WRONG", "NAME: there is such a person, perhaps a disabled one") from None
            await note(database, "person-new", f"{person.name} {_spelled(person.role, person.scope)}", by, reason)

    async def list(self) -> list[dict[str, Any]]:
        """name, role, scope, language, identity, created_at, changed_at, disabled_at, failed (tries since the last right one), seen_at."""
        columns = "name, role, scope, language, identity, created_at, changed_at, disabled_at, failed, seen_at"
        async with self._pool.connection() as database, database.cursor(row_factory=dict_row) as cursor:
            return await (await cursor.execute(f"select {columns} from person order by name")).fetchall()  # noqa: S608  # our words

    async def give_password(self, name: str, password: str, by: str, reason: str) -> None:
        """A new password. Whoever is signed in as this person is not any more."""
        stored = raw_hash(fit(password, name))
        await self._change("person-password", name, name, by, reason, "password = %s, failed = 0", (stored,))

    async def give_role(self, name: str, role: Role, scope: Sequence[str], by: str, reason: str) -> None:
        """Another role and scope. Whoever is signed in as this person is not any more."""
        _check(Person(name, role, tuple(scope), "vi"))
        target = f"{name} {_spelled(role, scope)}"
        await self._change("person-role", name, target, by, reason, "role = %s, scope = %s", (role, list(scope)))

    async def give_identity(self, name: str, identity: str | None, by: str, reason: str) -> None:
        """Who this is at the OpenID Connect provider: the claim's value there, to the letter; None: the login name itself. Whoever is
        signed in as this person is not any more. The audit does not tell the value, which may be a human being's address."""
        if identity is not None and not is_identity(identity):
            raise HubError("REQUEST_WRONG", f"IDENTITY: from 1 to {_IDENTITY_MAX} characters that can be printed")
        try:
            await self._change("person-identity", name, name, by, reason, "identity = %s", (identity,))
        except UniqueViolation:
            raise HubError("REQUEST_WRONG", "IDENTITY: another person has it") from None

    async def disable(self, name: str, by: str, reason: str) -> None:
        """No sign-in from now on, and whoever is signed in is not any more. The name stays taken: the audit names it."""
        await self._change("person-disable", name, name, by, reason, "disabled_at = coalesce(disabled_at, %s)", (now(),))

    async def enable(self, name: str, by: str, reason: str) -> None:
        """May sign in again, with the password as it was."""
        await self._change("person-enable", name, name, by, reason, "disabled_at = null, failed = 0", ())

    async def _change(
        self, action: str, name: str, target: str, by: str, reason: str, change: str, values: Sequence[object]
    ) -> None:
        async with self._pool.connection() as database, database.transaction():
            statement = f"update person set {change}, changed_at = %s where name = %s"  # noqa: S608  # `change` is of this file
            if not (await database.execute(statement, (*values, now(), name))).rowcount:
                raise HubError("NOT_FOUND", "NAME")
            await database.execute("delete from person_session where name = %s", (name,))
            await note(database, action, target, by, reason)


async def note(
    database: AsyncConnection[Any],
    action: str,
    target: str,
    by: str,
    reason: str,
    outcome: str = "done",
    *,
    at: datetime | None = None,
) -> None:
    """Write an audit event beside the change it is about, in its transaction; `hub.audit.tell_noted` sends it.

    target:  ids, codes and places, never a person's data.
    outcome: done, refused.
    Raises:  HubError(REQUEST_WRONG) without a reason, or with one longer than 500 characters.
    """
    why = reason.strip()
    if not why or len(why) > _REASON_MAX:
        raise HubError("REQUEST_WRONG", f"reason: from 1 to {_REASON_MAX} characters")
    when = at or now()
    await database.execute(
        "insert into audit_noted (id, at, by, action, target, reason, outcome) values (%s, %s, %s, %s, %s, %s, %s)",
        (str(uuid4()), when, by, action, target, why, outcome),
    )


def as_person(row: Sequence[Any]) -> Person:
    """From the columns name, role, scope, language."""
    return Person(row[0], row[1], tuple(row[2]), row[3])


def is_identity(value: str) -> bool:
    """Whether a claim's value can be somebody's identity: of some length, and nothing in it that no column holds."""
    return 0 < len(value) <= _IDENTITY_MAX and value.isprintable()


def one_form(password: str) -> str:
    """A password in one form of Unicode: keyboards write `ấ` as one sign or as three."""
    return unicodedata.normalize("NFKC", password)


def fit(password: str, name: str) -> str:
    """The same password in one form. Raises: HubError(REQUEST_WRONG) for one too short, too long, or of the name or one sign only."""
    formed = one_form(password)
    if not PASSWORD_MIN <= len(formed) <= PASSWORD_MAX:
        raise HubError("REQUEST_WRONG", f"password: from {PASSWORD_MIN} to {PASSWORD_MAX} characters")
    if name in formed.casefold() or len(set(formed)) < 4:
        raise HubError("REQUEST_WRONG", "password: without the name in it, and of at least four different signs")
    return formed


def _check(person: Person) -> None:
    if not _NAME.fullmatch(person.name):
        raise HubError("REQUEST_WRONG", "NAME: 2 to 32 of a-z, 0-9, `.`, `_`, `-`, a letter first")
    if person.name == UNKNOWN:
        raise HubError("REQUEST_WRONG", f"NAME: not {UNKNOWN}, which the audit says of names that nobody has")
    if person.role not in ROLES:
        raise HubError("REQUEST_WRONG", f"role: one of {', '.join(ROLES)}")
    if (person.role in SCOPED) != bool(person.scope):
        raise HubError("REQUEST_WRONG", "scope: senders of a vendor, payers of an insurer, nothing for the others")
    if not all(_SCOPE.fullmatch(one) for one in person.scope):
        raise HubError("REQUEST_WRONG", "scope: names of senders, codes of payers")
    if person.language not in get_args(Language):
        raise HubError("REQUEST_WRONG", "language: vi or en")


def _spelled(role: str, scope: Sequence[str]) -> str:
    return f"{role} {','.join(scope)}".strip()
