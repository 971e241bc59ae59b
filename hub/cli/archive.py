"""What an operator does with what is kept: `archive verify`, `journal rebuild`."""

import time
from datetime import datetime
from typing import Annotated

import typer
from rich.table import Table

from hub.cli.running import connected, terminal
from hub.contract.errors import HubError
from hub.contract.events import to_json
from hub.contract.settings import read_settings

out = terminal()
archive_app = typer.Typer(help="Every record of every topic, kept in Delta with checksums.", no_args_is_help=True)
journal_app = typer.Typer(help="The index that trace and reconcile read.", no_args_is_help=True)


@archive_app.command("verify")
def archive_verify(
    day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Checksums of that day only; offsets of all.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Check every checksum, look for gaps and repeats by offset, and say what Kafka has and the archive has not yet.

    Ends with 1 when anything is missing, twice or damaged; what only waits is no fault.

    Example: hie archive verify
    """
    from hub.journal.archive import private
    from hub.journal.verify import verify

    private()
    settings = connected(read_settings())
    found = verify(settings, day.date() if day else None)
    if as_json:
        print(to_json(found.as_dict()).decode())
        raise typer.Exit(0 if found.whole else 1)
    columns = ("records", "missing", "twice", "damaged", "ahead", "lost", "waiting")
    table = Table("topic", title=f"Archive · Kho lưu trữ: {settings.archive}", title_justify="left", box=None)
    for name in columns:
        table.add_column(name, justify="right")
    for row in found.topics:
        if any(getattr(row, name) for name in columns):
            table.add_row(row.topic, *(str(getattr(row, name)) for name in columns))
    out.print(table)
    if found.raw_missing:
        out.print(f"bodies of the raw store that are missing or damaged: {found.raw_missing}")
    for place in found.places:
        out.print(f"  {place}", markup=False)
    out.print(f"the archive is {'whole · đầy đủ' if found.whole else 'not whole · không đầy đủ'}")
    raise typer.Exit(0 if found.whole else 1)


@journal_app.command("rebuild")
def journal_rebuild(
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Also when it will know less than now: neither archive nor topics go back as far.")
    ] = False,
    wait: Annotated[float, typer.Option(help="Seconds to wait until the journal has read the topics too.")] = 600.0,
) -> None:
    """Throw the index away and build it anew, from the archive what topics do not hold any more, then from the topics.

    The hub goes on meanwhile; `trace` and `reconcile` know less until it is done. If this is interrupted, the journal does the rest.

    Example: hie journal rebuild
    """
    from hub.journal.archive import private
    from hub.journal.consumer import lag, rebuild

    private()
    settings = connected(read_settings())
    count = rebuild(settings, anyway=anyway)
    out.print(f"{count} records from the archive; the journal reads the topics")
    deadline = time.monotonic() + wait
    while left := lag(settings):
        if time.monotonic() > deadline:
            raise HubError("NOT_RUNNING", f"the journal has {left} records to read; `hie status` shows whether it runs")
        time.sleep(0.5)
    out.print("the index is whole again")
