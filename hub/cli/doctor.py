"""`hie doctor`: is all well, and if not, what to do."""

from dataclasses import asdict
from typing import Annotated

import typer

from hub.cli.running import connected, paragraph, terminal
from hub.contract.errors import HubError
from hub.contract.events import now, to_json
from hub.contract.settings import read_settings

out = terminal()
_COLOURS = {"ok": "green", "warn": "yellow", "bad": "bold red", "unknown": "dim"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    within: Annotated[float, typer.Option(min=1, max=60, help="Longest time to wait for an answer, in seconds.")] = 10.0,
    down: Annotated[bool, typer.Option("--down", help="The hub is meant to be down: that it does not run is not bad.")] = False,
) -> None:
    """Look at machine, servers, services and what is kept, and say what to do; with the hub up or down. 1 if anything must be mended now.

    Example: hie doctor
    """
    from hub.keep.doctor import examine, sound

    settings = read_settings()
    try:
        settings = connected(settings)
    except HubError as stopped:
        if stopped.code != "NOT_RUNNING":
            raise
    found = examine(settings, now(), within_s=within, down=down)
    if as_json:
        print(to_json({"sound": sound(found), "checks": [asdict(one) for one in found]}).decode())
        raise typer.Exit(0 if sound(found) else 1)
    for one in found:
        out.print(f"[{_COLOURS[one.state]}]{one.state:8}[/]{one.id:14}", end="")
        out.print(one.seen, markup=False)
        for words in (one.en, one.vi):
            if words:
                paragraph(out, words, 22, "dim" if words == one.vi else "")
    counts = ", ".join(f"{sum(one.state == state for one in found)} {state}" for state in _COLOURS)
    out.print(
        f"{counts}: {'nothing must be mended now · không có lỗi phải sửa ngay' if sound(found) else 'mend what is bad · hãy sửa mục bad'}"
    )
    raise typer.Exit(0 if sound(found) else 1)
