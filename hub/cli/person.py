"""`hie person`: who may sign in to the console, as what, and who is signed in. Every change says why, and the audit has it."""

import asyncio
import getpass
import secrets
import sys
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.markup import escape
from rich.table import Table

from hub.access.people import People, Person, Role
from hub.cli.running import connected, terminal
from hub.contract.directory import payers
from hub.contract.errors import HubError
from hub.contract.events import VIETNAM, to_json
from hub.contract.settings import read_settings

if TYPE_CHECKING:
    from psycopg_pool import AsyncConnectionPool

person_app = typer.Typer(help="People of the console: who may sign in, and as what.", no_args_is_help=True)
out, err = terminal(), terminal(stderr=True)
Found = TypeVar("Found")

Name = Annotated[str, typer.Argument(help="Login name, such as ca-truc-1; never a human being's name.")]
As = Annotated[Role, typer.Option("--role", help="What the person may do: the table in hub/access/README.md.")]
Scope = Annotated[list[str] | None, typer.Option(help="Sender of a vendor, payer code of an insurer; repeat for more.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept in the audit topic.")]
Stdin = Annotated[bool, typer.Option("--password-stdin", help="The password is the first line of standard input.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


@person_app.command("new")
def new(
    name: Name,
    role: As,
    reason: Reason,
    scope: Scope = None,
    language: Annotated[str, typer.Option(help="vi or en.")] = "vi",
    password_stdin: Stdin = False,
) -> None:
    """A new person. Without --password-stdin the password is made and shown once.

    Example: hie person new ca-truc-1 --role operator --reason "night shift"
    """
    made = Person(name, role, _scope(role, scope), "en" if language == "en" else "vi")
    if language not in ("vi", "en"):
        raise HubError("REQUEST_WRONG", "language: vi or en")
    password = _password(password_stdin)
    _do(lambda people, by: people.new(made, password, by, reason))
    out.print(f"{name} may sign in as {role}")
    _show(password, password_stdin)


@person_app.command("list")
def list_people(as_json: AsJson = False) -> None:
    """Who there is, as what, and when they last signed in.

    Example: hie person list
    """
    rows = asked_and_told(lambda pool: People(pool).list())
    if as_json:
        print(to_json(rows).decode())
        return
    table = Table("name", "role", "scope", "language", "at the provider", "last sign-in", "failed since", "state", box=None)
    for row in rows:
        state, scope, identity = "disabled" if row["disabled_at"] else "", " ".join(row["scope"]), escape(row["identity"] or "")
        table.add_row(
            row["name"], row["role"], scope, row["language"], identity, _time(row["seen_at"]), str(row["failed"]), state
        )
    out.print(table if rows else "nobody yet: hie person new NAME --role admin --reason …")


@person_app.command("password")
def password_command(name: Name, reason: Reason, password_stdin: Stdin = False) -> None:
    """A new password; open sessions of this person end.

    Example: hie person password ca-truc-1 --reason "forgotten"
    """
    password = _password(password_stdin)
    _do(lambda people, by: people.give_password(name, password, by, reason))
    out.print(f"{name} has a new password and is signed out")
    _show(password, password_stdin)


@person_app.command("role")
def role_command(name: Name, role: As, reason: Reason, scope: Scope = None) -> None:
    """Another role and scope; open sessions of this person end.

    Example: hie person role songhong --role vendor --scope songhong_his --reason "second release"
    """
    scopes = _scope(role, scope)
    _do(lambda people, by: people.give_role(name, role, scopes, by, reason))
    out.print(f"{name} is {role} and is signed out")


@person_app.command("identity")
def identity_command(
    name: Name,
    reason: Reason,
    identity: Annotated[
        str, typer.Option("--is", help="Value of the claim (HIE_OIDC_CLAIM); the login name itself if omitted.")
    ] = "",
) -> None:
    """Who this is at the OpenID Connect provider, where that is not the login name; open sessions of this person end.

    Example: hie person identity ca-truc-1 --is f2c1a0de-77 --reason "account of the hospital"
    """
    _do(lambda people, by: people.give_identity(name, identity or None, by, reason))
    out.print(f"{name} is known to the provider as {identity or name} and is signed out", markup=False)


@person_app.command("disable")
def disable(name: Name, reason: Reason) -> None:
    """No sign-in from now on; open sessions of this person end.

    Example: hie person disable ca-truc-1 --reason "left"
    """
    _do(lambda people, by: people.disable(name, by, reason))
    out.print(f"{name} can no longer sign in")


@person_app.command("enable")
def enable(name: Name, reason: Reason) -> None:
    """May sign in again.

    Example: hie person enable ca-truc-1 --reason "is back"
    """
    _do(lambda people, by: people.enable(name, by, reason))
    out.print(f"{name} may sign in again")


@person_app.command("sessions")
def sessions_command(name: Annotated[str, typer.Argument(help="Of this person only.")] = "", as_json: AsJson = False) -> None:
    """Who is signed in, from where, since when.

    Example: hie person sessions
    """
    from hub.access.signin import sessions

    settings = read_settings()
    rows = asked_and_told(lambda pool: sessions(pool, settings.console_idle_s, settings.console_session_s, name))
    if as_json:
        print(to_json(rows).decode())
        return
    table = Table("session", "name", "from", "since", "last use", box=None)
    for row in rows:
        table.add_row(row["session"], row["name"], row["address"], _time(row["opened_at"]), _time(row["seen_at"]))
    out.print(table if rows else "nobody is signed in")


@person_app.command("revoke")
def revoke_command(
    name: Name,
    reason: Reason,
    session: Annotated[str, typer.Option(help="One session, as `sessions` shows it; all if omitted.")] = "",
) -> None:
    """End sessions of a person. The password stays.

    Example: hie person revoke ca-truc-1 --reason "tablet lost"
    """
    from hub.access.signin import revoke

    count = asked_and_told(lambda pool: revoke(pool, name, session, getpass.getuser(), reason))
    out.print(f"{count} {'session' if count == 1 else 'sessions'} of {name} ended")


def _scope(role: str, scope: list[str] | None) -> tuple[str, ...]:
    """Raises: HubError(REQUEST_WRONG) for a payer that nobody knows."""
    wanted = tuple(scope or ())
    if role == "insurer" and (strangers := set(wanted) - set(payers())):
        raise HubError("REQUEST_WRONG", f"scope: {', '.join(sorted(strangers))} is no payer; see `hie payer list`")
    return wanted


def _password(from_stdin: bool) -> str:
    return sys.stdin.readline().rstrip("\r\n") if from_stdin else secrets.token_urlsafe(15)


def _show(password: str, was_given: bool) -> None:
    if not was_given:
        err.print("password (shown once):", end=" ")
        print(password)


def _time(at: datetime | None) -> str:
    return f"{at.astimezone(VIETNAM):%d/%m/%Y %H:%M}" if at else ""


def _do(change: Callable[[People, str], Awaitable[None]]) -> None:
    asked_and_told(lambda pool: change(People(pool), getpass.getuser()))


def asked_and_told(ask: "Callable[[AsyncConnectionPool], Awaitable[Found]]") -> Found:
    """Ask the database, and tell the audit topic what was noted there; where the brokers are away the console tells it later."""
    from hub.audit import tell_noted
    from hub.bus import Producer, Wire
    from hub.store.database import async_pool

    settings = connected(read_settings())

    async def asked() -> Found:
        async with async_pool(settings.database_url.get_secret_value(), size=1) as pool:
            found = await ask(pool)
            with closing(Producer(settings.kafka, wait_s=settings.ack_wait_s)) as producer:
                try:
                    await tell_noted(pool, producer, Wire(settings.registry_url))
                except HubError as late:
                    err.print(f"[dim]done; the audit topic hears of it later ({late.code})[/]")
        return found

    return asyncio.run(asked())
