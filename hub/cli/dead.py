"""Dead letters: `hie dead list`, `show`, `redrive`, `discard`. What could not be processed, or was given up by a person."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli.running import connected, older, paragraph, terminal
from hub.contract.errors import ERRORS, HubError
from hub.contract.events import VIETNAM, Event, sparse, to_json
from hub.contract.settings import read_settings

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

    from hub.bus import Wire
    from hub.console.actions import Hand, Step
    from hub.journal.dead_letters import Letter

out = terminal()
dead_app = typer.Typer(help="What could not be processed, with its bytes.", no_args_is_help=True)

Ids = Annotated[list[str] | None, typer.Argument(help="Ids of letters, as `hie dead list` shows them.")]
Code = Annotated[str, typer.Option(help="All open letters of this cause instead, the oldest 1,000 at a time.")]
Topic = Annotated[str, typer.Option(help="With --code: only those of this topic.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept in the audit topic.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it; without, only show what would be done.")]
Rate = Annotated[float, typer.Option(min=0.1, help="How many a second at most; Ctrl-C stops between one and the next.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


def add_to(app: typer.Typer) -> None:
    app.add_typer(dead_app, name="dead", rich_help_panel="An operator")


@dead_app.command("list")
def dead_list(as_json: AsJson = False) -> None:
    """What is open, by cause. What was redriven or discarded is not listed any more.

    Example: hie dead list
    """
    from hub.journal.dead_letters import causes
    from hub.store.database import connect

    settings = connected(read_settings())
    with connect(settings.database_url.get_secret_value()) as database:
        rows = causes(database)
    if as_json:
        print(to_json(rows).decode())
        return
    count = sum(row["letters"] for row in rows)
    out.print(f"{count} dead {'letter' if count == 1 else 'letters'} open")
    for row in rows:
        first, last = (row[name].astimezone(VIETNAM) for name in ("first", "last"))
        out.print(
            f"\n{row['code']}\n    {row['letters']} by {row['stage']}, of {row['topic']}, {first:%d/%m/%Y %H:%M} to {last:%d/%m/%Y %H:%M}"
        )
        _why(row["code"])
        for letter in row["ids"]:
            out.print(f"    hie dead show {letter}")
    if rows:
        out.print(
            "\nIts cause is gone: hie dead redrive ID … --reason …, or --code CODE for all of a cause\n"
            "It never will be:  hie dead discard ID … --reason …"
        )


@dead_app.command("show")
def dead_show(
    letter: Annotated[str, typer.Argument(help="Its id.")],
    body: Annotated[bool, typer.Option("--body", help="Its content too, which may tell of a person; that is audited.")] = False,
    as_json: AsJson = False,
) -> None:
    """One letter: what, where, why, and whether it can be read today. Nothing of a person is shown without --body.

    Example: hie dead show 5f0c6f3e-0000-5000-8000-000000000001
    """
    from hub.audit import audit
    from hub.console import actions

    with _hand("show") as hand:
        wire = hand.wire
        [(row, whole)] = actions.whole_letters(hand.kafka, wire, actions.letters(hand.database, [letter]), hand.older)
        found: dict[str, Any] = {
            name: getattr(row, name) for name in ("id", "stage", "code", "topic", "partition", "offset", "at")
        }
        found |= {"state": row.state or "OPEN", "detail": whole["detail"] if whole else "", "message": row.message_id or ""}
        found |= {"bytes": len(whole["body"]) if whole else None, "readable": bool(whole and actions.readable(wire, whole))}
        if body and whole:
            hand.producer.publish_blocking([audit(wire, "dead-show-body", actions.target(row), hand.by, "")])
            found["body"] = _content(wire, whole)
    if as_json:
        print(to_json(found).decode())
        return
    out.print(
        f"{found['code']} by {found['stage']} at {row.at.astimezone(VIETNAM):%d/%m/%Y %H:%M:%S}, {found['state']}", markup=False
    )
    _why(row.code)
    if found["detail"]:
        paragraph(out, found["detail"], 6)
    readable = "can be read today" if found["readable"] else "cannot be read by its schema today either"
    kept = f"{found['bytes']} bytes, {readable}" if whole else actions.GONE.en
    out.print(f"    record {row.topic}/{row.partition}/{row.offset}, {kept}", markup=False)
    if found["message"]:
        out.print(f"    hie trace {found['message']}")
    if "body" in found:
        out.print(to_json(found["body"], indent=True).decode(), markup=False)


@dead_app.command("redrive")
def dead_redrive(
    reason: Reason,
    ids: Ids = None,
    code: Code = "",
    topic: Topic = "",
    translate: Annotated[
        bool, typer.Option("--translate", help="Translate their messages again instead, by today's dialects.")
    ] = False,
    rate: Rate = 50.0,
    yes: Yes = False,
) -> None:
    """Give letters to their own topics once more, each under its own ids, so nothing that took effect does so again.

    What was parked when it was discarded goes back into its place in the queue of its key. What fails again is a new letter.

    Example: hie dead redrive --code CLAIM_UNASSEMBLED --reason "retention mended" --yes
    """
    from hub.console import actions

    with _hand(reason) as hand:
        letters = [one for one in _letters(hand.database, ids or [], code, topic) if not one.state]
        redriven = _told(actions.redrive(hand, letters, do=yes, translate=translate, per_second=rate))
    _end(letters, redriven, "redriven", yes=yes)


@dead_app.command("discard")
def dead_discard(
    reason: Reason, ids: Ids = None, code: Code = "", topic: Topic = "", rate: Rate = 50.0, yes: Yes = False
) -> None:
    """Close letters for good. Their bytes stay in the topic as long as it keeps them.

    Example: hie dead discard 5f0c6f3e-0000-5000-8000-000000000001 --reason "test data of a vendor" --yes
    """
    from hub.console import actions

    with _hand(reason) as hand:
        letters = [one for one in _letters(hand.database, ids or [], code, topic) if not one.state]
        discarded = _told(actions.discard(hand, letters, do=yes, per_second=rate))
    _end(letters, discarded, "discarded", yes=yes)


# --- the steps --------------------------------------------------------------------------------------------------------


@contextmanager
def _hand(reason: str) -> "Iterator[Hand]":
    from hub.console import actions

    settings = connected(read_settings())
    with actions.hand(settings, older(settings).value, by=getpass.getuser(), reason=reason) as hand:
        yield hand


def _letters(database: "Connection[TupleRow]", ids: list[str], code: str, topic: str) -> "list[Letter]":
    from hub.console import actions

    if bool(ids) == bool(code):
        raise typer.BadParameter("either ids, or --code")
    return actions.letters(database, ids, code=code, topic=topic)


def _content(wire: "Wire", whole: Event) -> Any:
    try:
        return sparse(wire.unpack(whole["body"])[1])
    except HubError as unread:
        if unread.retriable:
            raise
        return {"hex": whole["body"].hex()}


def _told(steps: "Iterator[Step]") -> "list[Letter]":
    """Print each as it comes. Returns: those that could be dealt with."""
    dealt = []
    for step in steps:
        one = step.letter
        out.print(f"{one.id} {one.code} {one.topic}/{one.partition}/{one.offset}: {step.what.en}", markup=False)
        if step.dealt:
            dealt.append(one)
    return dealt


def _end(letters: "list[Letter]", dealt: "list[Letter]", done: str, *, yes: bool) -> None:
    """letters: those that were open; dealt: those of them that could be."""
    if not letters:
        out.print("none of them is open")
    elif yes:
        out.print(f"{len(dealt)} {done}" + ("; what fails again is listed as a new letter" if done == "redriven" else ""))
    else:
        out.print(f"{len(dealt)} would be {done}; --yes does it")


def _why(code: str) -> None:
    if code in ERRORS:
        paragraph(out, f"{ERRORS[code].en} · {ERRORS[code].vi}", 6, "dim")
