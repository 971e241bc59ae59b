"""`hie hold`: days of which nothing is deleted by age. Every change says why, and the audit has it."""

import getpass
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from hub.cli.person import asked_and_told
from hub.cli.running import terminal
from hub.contract.events import VIETNAM, now, to_json

if TYPE_CHECKING:
    from psycopg_pool import AsyncConnectionPool

hold_app = typer.Typer(help="Legal holds: days of which nothing is deleted by age.", no_args_is_help=True)
out = terminal()

Name = Annotated[str, typer.Argument(help="Name of the hold, such as a file number; never a patient's name.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept in the audit topic.")]
Day = Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day, in Vietnam, on which the hub wrote it.")]
LastDay = Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day; until it is ended if omitted.")]


@hold_app.command("add")
def add_command(name: Name, first: Day, reason: Reason, last: LastDay = None) -> None:
    """Hold some days: archive, mailboxes and what the portal's client knows of them stay, whatever their age.

    Example: hie hold add tand-123-2026 --from 2026-01-01 --to 2026-06-30 --reason "request of the court"
    """
    from hub.access.people import note
    from hub.store.holds import add

    by, days = getpass.getuser(), (first.date(), last.date() if last else None)

    async def change(pool: "AsyncConnectionPool") -> None:
        async with pool.connection() as database, database.transaction():
            await add(database, name, *days, by, reason, now())
            await note(database, "hold-add", f"{name} {_spelled(*days)}", by, reason)

    asked_and_told(change)
    out.print(f"{name} holds {_spelled(*days)}; topics keep their own time: what they lose is in the archive", markup=False)


@hold_app.command("list")
def list_command(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """All holds, also those that were ended.

    Example: hie hold list
    """
    from hub.store.holds import holds

    async def ask(pool: "AsyncConnectionPool") -> list[dict[str, Any]]:
        async with pool.connection() as database:
            return await holds(database)

    rows = asked_and_told(ask)
    if as_json:
        print(to_json(rows).decode())
        return
    table = Table("name", "days", "reason", "by", "since", "ended", box=None)
    for row in rows:
        days, at = _spelled(row["first_day"], row["last_day"]), [_time(row[name]) for name in ("added_at", "ended_at")]
        table.add_row(row["name"], days, row["reason"], row["by"], *at)
    out.print(table if rows else "no holds: what is older than its limit is deleted")


@hold_app.command("end")
def end_command(name: Name, reason: Reason) -> None:
    """End a hold: what it held and is older than its limit goes within a day.

    Example: hie hold end tand-123-2026 --reason "the case is closed"
    """
    from hub.access.people import note
    from hub.store.holds import end

    by = getpass.getuser()

    async def change(pool: "AsyncConnectionPool") -> None:
        async with pool.connection() as database, database.transaction():
            await end(database, name, now())
            await note(database, "hold-end", name, by, reason)

    asked_and_told(change)
    out.print(f"{name} holds nothing any more", markup=False)


def _spelled(first: date, last: date | None) -> str:
    return f"{first.isoformat()}…{last.isoformat() if last else ''}"


def _time(at: datetime | None) -> str:
    return f"{at.astimezone(VIETNAM):%d/%m/%Y %H:%M}" if at else ""
