"""`hie ledger`: what the insurer's ledger adds up to, ready questions to it, statements of facilities, and what it exports."""

import csv
import os
import re
import sys
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from hub.cli.running import connected, key_secret, older, paragraph, terminal
from hub.cli.unread import tell_unread
from hub.contract.directory import payers
from hub.contract.errors import HubError
from hub.contract.events import VIETNAM, Event, Keyring, now, to_json
from hub.contract.settings import Settings, read_settings

if TYPE_CHECKING:
    from hub.insurer.questions import Answer
    from hub.insurer.statement import Sheet, Statement

ledger_app = typer.Typer(invoke_without_command=True)
out, err = terminal(), terminal(stderr=True)
_TEXT = 44  # characters of a column of texts; what is longer goes on below
_WIDEST = 400

Month = Annotated[str | None, typer.Option(help="Only this month (NGAY_RA, else NGAYLAP), such as 2026-11.")]
Facility = Annotated[str | None, typer.Option(help="Only this facility (MA_CSKCB), such as 01021.")]
Payer = Annotated[str, typer.Option(help="Whose ledger; empty: the default payer's.")]
Format = Annotated[Literal["table", "csv", "json"], typer.Option("--format", help="How it is printed.")]


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
    """Where the ledger of a payer, or of the default one, is.  Raises: HubError(NOT_FOUND) when there is none."""
    from hub.insurer.ledger import known_ledger

    return known_ledger(settings, payer or default_payer())


def folder_to_sum(settings: Settings, payer: str) -> Path:
    """The same for what is summed: what the ledger does not hold yet is told before.  Raises: HubError(NOT_FOUND)."""
    folder = folder_of(settings, payer)
    tell_unread(settings, payer or default_payer())
    return folder


def ledger_totals(settings: Settings) -> dict[str, Any]:
    """The ledger's totals over the newest revision of each claim."""
    from hub.insurer.totals import totals

    return totals(settings.ledger)


@ledger_app.callback()
def ledger(context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """What the default payer's ledger adds up to, in VND, over the newest revision of each claim; cancelled ones left out.

    Example: hie ledger
    """
    if context.invoked_subcommand:
        return
    settings = read_settings()
    tell_unread(settings, default_payer())
    found = ledger_totals(settings)
    if as_json:
        print(to_json(found).decode())
        return
    counts = ", ".join(f"{name} {found[name]}" for name in ("claims", "accepted", "reduced", "rejected", "lines", "findings"))
    out.print(f"{counts}\nclaimed (t_bhtt) {found['t_bhtt']:,.2f} VND, granted (t_bhtt_gd) {found['t_bhtt_gd']:,.2f} VND")
    out.print(f"adjusted after the decisions {-found['adjusted']:+,.2f} VND, payable {found['payable']:,.2f} VND")
    out.print(f"tables: {settings.ledger}")


# --- ask --------------------------------------------------------------------------------------------------------------


@ledger_app.command("ask")
def ask_command(
    name: Annotated[str, typer.Argument(help="Name of the question; without, all of them are listed.")] = "",
    month: Month = None,
    facility: Facility = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many rows.")] = None,
    payer: Payer = "",
    form: Format = "table",
) -> None:
    """A ready question to the ledger. No name and no card number is ever shown; a person is a hash.

    Example: hie ledger ask drug --month 2026-11 --limit 10
    """
    if not name:
        _list_questions()
        return
    _show(_answer(read_settings(), payer, name, month, facility, limit), form)


@ledger_app.command("totals")
def totals_command(
    by: Annotated[
        Literal["facility", "month"], typer.Option(help="What the rows are of: facility and month, or month.")
    ] = "facility",
    month: Month = None,
    facility: Facility = None,
    payer: Payer = "",
    form: Format = "table",
) -> None:
    """Control totals that a sender compares with its own: claims in force, and money, by facility and month.

    Example: hie ledger totals --by facility --month 2026-11 --format csv
    """
    _show(_answer(read_settings(), payer, "totals" if by == "facility" else "month", month, facility, None), form)


def _list_questions() -> None:
    from hub.insurer.questions import QUESTIONS

    for question in QUESTIONS.values():
        out.print(question.name, style="bold")
        paragraph(out, question.en, 4)
        paragraph(out, question.vi, 4, "dim")
    out.print("\nhie ledger ask NAME [--month 2026-11] [--facility 01021] [--limit 20] [--format table|csv|json]", markup=False)


def _answer(settings: Settings, payer: str, name: str, month: str | None, facility: str | None, limit: int | None) -> "Answer":
    from hub.insurer.questions import ask

    def hashed(person: str) -> str:
        return Keyring(key_secret(settings).get_secret_value().encode()).hash("ledger", person)

    return ask(folder_to_sum(settings, payer), name, hashed=hashed, month=_month(month), facility=facility, limit=limit)


def _month(given: str | None) -> str | None:
    if given and not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", given):
        raise HubError("REQUEST_WRONG", "a month is such as 2026-11")
    return given or None


def _show(answer: "Answer", form: str) -> None:
    if form == "json":
        print(to_json(answer.as_dicts()).decode())
    elif form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(answer.columns)
        writer.writerows(answer.rows)
    elif answer.rows:
        _print("", answer.columns, [tuple(map(_cell, row)) for row in answer.rows], answer.rows[0])
    else:
        out.print("nothing · không có")


def _print(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], example: Sequence[Any]) -> None:
    """A table that is as wide as its numbers want: an amount that is cut off would be another amount."""
    table = Table(title=title or None, title_justify="left", box=None)
    for head, value in zip(heads, example, strict=True):
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            table.add_column(head, justify="right", no_wrap=True)
        else:
            table.add_column(head, max_width=_TEXT, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    print_whole(table)


def print_whole(table: Table) -> None:
    """Print a table without cutting anything off, in a narrow window too."""
    wanted = Measurement.get(out, out.options.update(max_width=_WIDEST), table).maximum
    wide = terminal()
    wide.width = max(wanted, out.width)
    wide.print(table)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int | Decimal) else str(value if value is not None else "")


# --- compact ----------------------------------------------------------------------------------------------------------


@ledger_app.command("compact")
def compact_command(payer: Payer = "") -> None:
    """Make few large files of many small ones, now. The insurer's first worker does it every hour by itself; nobody has to stop.

    Example: hie ledger compact
    """
    from hub.insurer.compaction import compact

    done = compact(folder_of(read_settings(), payer), least=2)
    for table, (before, after) in done.items():
        out.print(f"{table}: {before:,} files, now {after:,}")
    if not done:
        out.print("nothing to do · không có gì để gộp")


# --- statement --------------------------------------------------------------------------------------------------------


@ledger_app.command("statement")
def statement_command(
    facility: Annotated[str, typer.Argument(help="Facility code (MA_CSKCB), such as 01021.")],
    month: Annotated[str, typer.Argument(help="Month (NGAY_RA, else NGAYLAP), such as 2026-11.")],
    html: Annotated[Path | None, typer.Option(dir_okay=False, help="Write it as a page to print instead.")] = None,
    payer: Payer = "",
) -> None:
    """The monthly statement of a facility in the layout of forms 79a (outpatient) and 80a (inpatient).

    Example: hie ledger statement 01021 2026-11 --html 01021.html
    """
    from hub.insurer.statement import statement
    from hub.insurer.statement_page import page

    found = statement(folder_to_sum(read_settings(), payer), facility, _month(month) or "")
    if html is None:
        print_statement(found)
    else:
        html.write_text(page(found, f"{now().astimezone(VIETNAM):%H:%M %d/%m/%Y}"), "utf-8")
        err.print(f"written: {html}", markup=False)


def print_statement(found: "Statement") -> None:
    from hub.insurer.statement import TITLES

    out.print(f"{found.facility} {found.name} · {found.name_en} · {found.month}, VND", style="bold")
    for form in found.forms:
        out.print(f"\n{' · '.join(TITLES[form.code])}", style="bold")
        for sheet in form.sheets:
            _print_sheet(sheet)
        if not form.sheets:
            out.print("không có hồ sơ · no claims")
    out.print()
    _print_sheet(found.adjustments)
    _print_sheet(found.corrections)
    out.print(" · ".join(found.payable), style="bold", highlight=False)


def _print_sheet(sheet: "Sheet") -> None:
    from hub.insurer.statement import amount

    def told(value: Any) -> str:
        if isinstance(value, tuple):
            return " · ".join(part for part in value if part)
        return amount(value) if isinstance(value, Decimal) else str(value)

    title = " · ".join(sheet.title)
    if sheet.rows:
        heads = [f"{vi}\n[dim]{en}[/]" for vi, en in sheet.heads]
        _print(title, heads, [tuple(map(told, row)) for row in sheet.rows], sheet.rows[0])
    else:
        out.print(f"{title}: không có · none")
    for text, style in zip(sheet.note, ("", "dim"), strict=True):
        if text:
            paragraph(out, text, 2, style)


# --- export -----------------------------------------------------------------------------------------------------------


@ledger_app.command("export")
def export_command(
    folder: Annotated[Path, typer.Option("--out", file_okay=False, help="Folder for the files; made where it is not there.")],
    month: Month = None,
    facility: Facility = None,
    payer: Payer = "",
) -> None:
    """Accepted and reduced claims as the official XML envelope, one HOSO a file, read again from the claim stream.

    They are whole claims of patients: files that only you can read. `index.csv` names them. Ends with 1 when some are kept no more.

    Example: hie ledger export --month 2026-11 --facility 01021 --out november
    """
    from adapters.dialects.render import as_xml
    from hub.bus import Wire
    from hub.insurer.export import export, from_topic

    os.umask(0o077)
    settings = connected(read_settings())
    wire = Wire(settings.registry_url)

    def unpack(value: bytes) -> Event:
        return wire.unpack(value)[1]

    read = from_topic(settings.kafka, f"payer.{payer or default_payer()}.claim.v1", older(settings).value)
    found = export(
        folder_to_sum(settings, payer),
        folder,
        read=read,
        unpack=unpack,
        write=lambda claim: as_xml("hie.Claim", claim),
        month=_month(month),
        facility=facility,
    )
    err.print(f"{found.written} claims written to {folder}", markup=False)
    if found.gone:
        err.print(f"{len(found.gone)} are neither in the topic nor in the archive any more: {', '.join(found.gone[:10])}")
        raise typer.Exit(1)
