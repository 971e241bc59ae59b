"""Where would it go, and why: `hie why`, and what `hie parked edit` shows before it does anything."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli.messages import show_translation, translations
from hub.cli.running import OFFLINE, connected, keyring, paragraph, terminal, use_profiles
from hub.contract.errors import HubError
from hub.contract.events import VIETNAM, decode, encode, to_json
from hub.contract.settings import Settings, read_settings
from hub.contract.topics import topic_of

if TYPE_CHECKING:
    from hub.routing.foresight import Foreseen, Foresight

out = terminal()


def add_to(app: typer.Typer) -> None:
    app.command(rich_help_panel="An operator")(why)


@contextmanager
def foresight(settings: Settings | None) -> "Iterator[Foresight]":
    """With what the case index of a running hub knows, read only; without settings with nothing known."""
    from hub.routing.app import streams
    from hub.routing.foresight import Foresight
    from hub.store.database import connect

    if settings is None:
        yield Foresight(streams(), OFFLINE)
        return
    with connect(settings.database_url.get_secret_value()) as database:
        database.read_only = True
        yield Foresight(streams(), keyring(settings), database)


def why(
    file: Annotated[Path, typer.Argument(help="A file of HL7 v2, insurance XML or JSON.", exists=True, dir_okay=False)],
    offline: Annotated[bool, typer.Option(help="Without a hub: nothing is known but what the file says.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line a message.")] = False,
) -> None:
    """Where each event of a file would go, by which rule, or what it would wait for. Nothing is sent or written.

    Where no hub runs it says so, and answers as with --offline.

    Ends with 1 if any message was not translated, or anything would wait.

    Example: hie why --offline seeds/demo/04-referral-to-province.hl7
    """
    settings = read_settings()
    use_profiles(settings)
    hub = None if offline else _running(settings)
    keys = OFFLINE if hub is None else keyring(hub)
    good = True
    with foresight(hub) as eye:
        for row in translations(file, settings.message_bytes_max, settings.envelope_bytes_max, keys):
            events = [one for event in row["events"] for one in foreseen_of(eye, event)]
            good &= row["verdict"] == "translated" and not any(one.parked for one in events)
            if as_json:
                print(to_json({**row, "events": [one.as_dict() for one in events]}).decode())
                continue
            show_translation(row)
            for one in events:
                show_foreseen(one)
    raise typer.Exit(0 if good else 1)


def _running(settings: Settings) -> Settings | None:
    try:
        return connected(settings)
    except HubError as absent:
        if absent.code != "NOT_RUNNING":
            raise
        told = f"{absent.where}: nothing is known but what the file says, as with --offline"
    terminal(stderr=True).print(told, markup=False)
    return None


def foreseen_of(eye: "Foresight", event: dict[str, Any]) -> "list[Foreseen]":
    record = event["record"]
    body = encode(record, {name: part for name, part in event.items() if name != "record"})
    return eye.of(topic_of(record), decode(record, body))  # whole, as routing reads it


def show_foreseen(foreseen: "Foreseen") -> None:
    """For people: one event, and a line and a sentence in each language for all that follows."""
    row = foreseen.as_dict()
    out.print(f"  {row['record'].removeprefix('hie.')} {row['key']}{' (test)' if row['test'] else ''}", markup=False)
    if row["again"]:
        out.print("    was taken already: no further effect")
    for one in row["outcomes"]:
        at = f" on {one['at'].astimezone(VIETNAM):%d/%m/%Y}" if "at" in one else ""
        lane = one["lane"] if one["lane"] != "routine" else ""
        out.print("    " + " ".join(filter(None, (one["kind"], one["to"] + at, f"({one['rule']})", lane))), markup=False)
        paragraph(out, f"{one['en']} · {one['vi']}", 6, "dim")
    if waits := row["parked"]:
        out.print(f"    would wait: {waits['code']}", markup=False)
        for told in ("en", "vi", "remedy_en", "remedy_vi"):
            if waits[told]:
                paragraph(out, waits[told], 6, "dim")
