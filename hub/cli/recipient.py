"""`hie recipient`: deliveries to one recipient are paused and go on. Who, when and why stand in its row and in the audit topic."""

import getpass
import re
from typing import Annotated

import typer
from rich.table import Table

from hub.cli.running import connected, terminal
from hub.contract.errors import HubError
from hub.contract.events import VIETNAM, to_json
from hub.contract.settings import read_settings

recipient_app = typer.Typer(help="Recipients whose deliveries are paused.", no_args_is_help=True)
out = terminal()

Code = Annotated[str, typer.Argument(help="Facility code, such as 01004.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept in the audit topic.")]
Test = Annotated[bool, typer.Option("--test", help="Its mailbox of test traffic.")]


@recipient_app.command("pause")
def pause(code: Code, reason: Reason, test: Test = False) -> None:
    """Stop deliveries to a recipient, pushed or pulled. What comes is kept, and expires in its time as ever.

    Example: hie recipient pause 01004 --reason "wrong system connected"
    """
    done = _change("pause", code, reason, test=test)
    out.print(f"{code} is paused" if done else f"{code} was paused already; see `hie recipient list`")


@recipient_app.command("resume")
def resume(code: Code, reason: Reason, test: Test = False) -> None:
    """Let deliveries go on, in their order. Push begins within minutes, as its back-off says.

    Example: hie recipient resume 01004 --reason "connection mended"
    """
    done = _change("resume", code, reason, test=test)
    out.print(f"{code} gets its deliveries again" if done else f"{code} was not paused")


@recipient_app.command("list")
def list_paused(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Who is paused, since when, by whom and why, and how many deliveries are not handed over yet.

    Example: hie recipient list
    """
    from adapters.outbound.pause import paused
    from hub.store.database import connect

    settings = connected(read_settings())
    with connect(settings.database_url.get_secret_value()) as database:
        rows = paused(database)
    if as_json:
        print(to_json(rows).decode())
        return
    if not rows:
        out.print("nobody is paused")
        return
    table = Table("recipient", "since", "by", "not handed over", "why", box=None)
    for row in rows:
        since = f"{row['paused_at'].astimezone(VIETNAM):%d/%m/%Y %H:%M}"
        table.add_row(row["code"], since, row["paused_by"], str(row["waiting"]), row["paused_reason"])
    out.print(table)


def _change(action: str, code: str, reason: str, *, test: bool) -> bool:
    from adapters.outbound import pause as pauses
    from adapters.outbound.receipts import mailbox_name
    from hub.bus import Producer, Wire
    from hub.store.database import connect

    if not re.fullmatch(r"[0-9A-Za-z_-]{1,32}", code):
        raise HubError("REQUEST_WRONG", "CODE")
    settings = connected(read_settings())
    change = pauses.pause if action == "pause" else pauses.resume
    producer = Producer(settings.kafka, wait_s=settings.ack_wait_s)
    try:
        with connect(settings.database_url.get_secret_value(), autocommit=True) as database:
            wire = Wire(settings.registry_url)
            return change(database, producer, wire, mailbox_name(code, test=test), getpass.getuser(), reason)
    finally:
        producer.close()
