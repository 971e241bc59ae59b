"""`hie ledger`: what an insurer's ledger adds up to, and the closing of a month."""

from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from hub.cli.running import terminal
from hub.contract.directory import payers
from hub.contract.errors import HubError
from hub.contract.events import VIETNAM, now, to_json
from hub.contract.settings import Settings, read_settings

out = terminal()
ledger_app = typer.Typer(help="What the default payer's ledger adds up to; the closing of a month.", invoke_without_command=True)

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


@ledger_app.callback()
def ledger(context: typer.Context, as_json: AsJson = False) -> None:
    """What the default payer's ledger adds up to, in VND, over the newest revision of each claim; cancelled ones left out.

    Example: hie ledger
    """
    if context.invoked_subcommand:
        return
    settings = read_settings()
    found = ledger_totals(settings)
    if as_json:
        print(to_json(found).decode())
        return
    counts = ", ".join(f"{name} {found[name]}" for name in ("claims", "accepted", "rejected", "lines", "findings"))
    out.print(f"{counts}\nclaimed (t_bhtt) {found['t_bhtt']:,.2f} VND, granted (t_bhtt_gd) {found['t_bhtt_gd']:,.2f} VND")
    out.print(f"tables: {settings.ledger}")


def ledger_totals(settings: Settings) -> dict[str, Any]:
    """The ledger's totals over the newest revision of each claim."""
    from hub.insurer.totals import totals

    return totals(settings)


@ledger_app.command("close")
def close_month(
    month: Annotated[str, typer.Argument(help="The month, YYYY-MM; it must be over.")],
    payer: Annotated[str, typer.Option(help="Whose ledger; empty: the default payer's.")] = "",
    as_json: AsJson = False,
) -> None:
    """Look at a month's claims side by side (rules H01 to H09); what changes is kept as adjustments, never as an edit.

    Again after late corrections: only what is new is added, and what no longer holds is taken back.

    Example: hie ledger close 2026-11
    """
    from hub.insurer.history import close, closed_months, month_after, summary

    today, first = now().astimezone(VIETNAM).date(), month_of(month)
    if month_after(first) > today:
        raise HubError("REQUEST_WRONG", f"{month} is not over")
    folder = folder_of(read_settings(), payer)
    rows = close(folder, first, now())
    found, again = summary(rows), closed_months(folder, month_after(first), today)
    if as_json:
        print(to_json({"month": month, "rules": found, "close_again": again}).decode())
        return
    table = Table("rule", "rows", "taken back", "VND", box=None)
    for rule in found:
        table.add_row(rule["rule"], str(rule["rows"]), str(rule["taken_back"]), f"{rule['reduction']:,.2f}")
    out.print(table if found else f"{month}: nothing new")
    if found and again:
        out.print(f"These months were closed on what {month} said before; close them again, in this order: {', '.join(again)}")


def default_payer() -> str:
    """The payer that takes every claim that no other does."""
    return next(code for code, one in payers().items() if one.default)


def month_of(text: str) -> date:
    """The first day of a month written YYYY-MM.  Raises: HubError(REQUEST_WRONG)."""
    try:
        return datetime.strptime(text, "%Y-%m").replace(tzinfo=VIETNAM).date()
    except ValueError:
        raise HubError("REQUEST_WRONG", "a month is written YYYY-MM, such as 2026-11") from None


def folder_of(settings: Settings, payer: str) -> Path:
    """Where the ledger of a payer is.  Raises: HubError(NOT_FOUND) when there is none."""
    from hub.insurer.consumer import ledger_folder

    known = payer or default_payer()
    if known not in payers():
        raise HubError("NOT_FOUND", f"payer {payer}; see hie payer list")
    folder = ledger_folder(settings, known)
    if not (folder / "claims").is_dir():
        raise HubError("NOT_FOUND", f"no ledger at {folder}")
    return folder
