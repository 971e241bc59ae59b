"""Dead letters: `hie dead list`, `show`, `redrive`, `discard`. What could not be processed, or was given up by a person."""

import getpass
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli.running import connected, older, paragraph, terminal
from hub.contract.errors import ERRORS, HubError
from hub.contract.events import VIETNAM, Event, now, sparse, to_json
from hub.contract.settings import Settings, read_settings

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

    from hub.bus import Out, Producer, Wire
    from hub.journal.dead_letters import Letter

_IN_MEMORY = 8
_GONE = "its bytes are kept no more, neither by the topic nor by the archive"

out = terminal()
dead_app = typer.Typer(help="What could not be processed, with its bytes.", no_args_is_help=True)

Ids = Annotated[list[str] | None, typer.Argument(help="Ids of letters, as `hie dead list` shows them.")]
Code = Annotated[str, typer.Option(help="All open letters of this cause instead, the oldest 1,000 at a time.")]
Topic = Annotated[str, typer.Option(help="With --code: only those of this topic.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept in the audit topic.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it; without, only show what would be done.")]
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
    with _hub() as (settings, database, wire, producer):
        [(row, whole)] = _each(settings, wire, _letters(database, [letter], "", ""))
        found: dict[str, Any] = {
            name: getattr(row, name) for name in ("id", "stage", "code", "topic", "partition", "offset", "at")
        }
        found |= {"state": row.state or "OPEN", "detail": whole["detail"] if whole else "", "message": row.message_id or ""}
        found |= {"bytes": len(whole["body"]) if whole else None, "readable": bool(whole and _readable(wire, whole))}
        if body and whole:
            from hub.audit import audit

            producer.publish_blocking([audit(wire, "dead-show-body", _target(row), getpass.getuser(), "")])
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
    kept = f"{found['bytes']} bytes, {readable}" if whole else _GONE
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
    yes: Yes = False,
) -> None:
    """Give letters to their own topics once more, each under its own ids, so nothing that took effect does so again.

    What was parked when it was discarded goes back into its place in the queue of its key. What fails again is a new letter.

    Example: hie dead redrive --code CLAIM_UNASSEMBLED --reason "retention mended" --yes
    """
    with _hub() as (settings, database, wire, producer):
        letters = [one for one in _letters(database, ids or [], code, topic) if not one.state]
        if translate and (unknown := [one.id for one in letters if not one.message_id]):
            raise HubError(
                "REQUEST_WRONG", f"the journal does not know the message of {unknown[0]}; redrive it without --translate"
            )
        if translate and letters and yes:
            producer.publish_blocking([_replay(wire, letters, reason)])
        redriven = []
        for one, whole in _each(settings, wire, letters):
            if whole is None and not translate:
                _told(
                    one, f"{_GONE}, so it stays open: discard it" + (", or redrive it with --translate" if one.message_id else "")
                )
                continue
            redriven.append(one)
            _told(
                one,
                f"message {one.message_id} through today's translation" if whole is None or translate else _way(wire, one, whole),
            )
            if yes:
                _redrive(database, wire, producer, one, whole, reason, translate=translate)
    _end(letters, redriven, "redriven", yes=yes)


@dead_app.command("discard")
def dead_discard(reason: Reason, ids: Ids = None, code: Code = "", topic: Topic = "", yes: Yes = False) -> None:
    """Close letters for good. Their bytes stay in the topic as long as it keeps them.

    Example: hie dead discard 5f0c6f3e-0000-5000-8000-000000000001 --reason "test data of a vendor" --yes
    """
    with _hub() as (settings, database, wire, producer):
        letters = [one for one in _letters(database, ids or [], code, topic) if not one.state]
        for one, whole in _each(settings, wire, letters):
            _told(one, "closed for good" if whole else f"closed for good; {_GONE}")
            if yes:
                producer.publish_blocking(_closed(wire, one, whole, "DISCARDED", reason))
    _end(letters, letters, "discarded", yes=yes)


# --- the steps --------------------------------------------------------------------------------------------------------


@contextmanager
def _hub() -> "Iterator[tuple[Settings, Connection[TupleRow], Wire, Producer]]":
    from hub.bus import Producer, Wire
    from hub.store.database import connect

    settings = connected(read_settings())
    producer = Producer(settings.kafka, wait_s=settings.ack_wait_s)
    try:
        with connect(settings.database_url.get_secret_value()) as database:
            yield settings, database, Wire(settings.registry_url), producer
    finally:
        producer.close()


def _letters(database: "Connection[TupleRow]", ids: list[str], code: str, topic: str) -> "list[Letter]":
    from hub.journal.dead_letters import find

    if bool(ids) == bool(code):
        raise typer.BadParameter("either ids, or --code")
    try:
        wanted = {str(uuid.UUID(one)) for one in ids}
    except ValueError:
        raise HubError("NOT_FOUND", "an id is a UUID; see `hie dead list`") from None
    found = find(database, sorted(wanted), code=code, topic=topic)
    if not found or len(found) < len(wanted):
        raise HubError("NOT_FOUND", "no such dead letter; see `hie dead list`, and the journal may be seconds behind")
    return found


def _each(settings: Settings, wire: "Wire", letters: "list[Letter]") -> "Iterator[tuple[Letter, Event | None]]":
    """Letters with their bytes, a few at a time: each may be of 8 MiB. Without, where topic and archive keep them no more."""
    from hub.journal.dead_letters import read

    for at in range(0, len(letters), _IN_MEMORY):
        some = letters[at : at + _IN_MEMORY]
        yield from zip(some, read(settings.kafka, wire, some, older(settings).value), strict=True)


def _content(wire: "Wire", whole: Event) -> Any:
    try:
        return sparse(wire.unpack(whole["body"])[1])
    except HubError as unread:
        if unread.retriable:
            raise
        return {"hex": whole["body"].hex()}


def _readable(wire: "Wire", whole: Event) -> bool:
    try:
        wire.unpack(whole["body"])
    except HubError as unread:
        if unread.retriable:
            raise
        return False
    return True


def _way(wire: "Wire", letter: "Letter", whole: Event) -> str:
    return f"to {letter.topic}" + ("" if _readable(wire, whole) else ", where it cannot be read today either")


def _redrive(
    database: "Connection[TupleRow]",
    wire: "Wire",
    producer: "Producer",
    letter: "Letter",
    whole: Event | None,
    reason: str,
    *,
    translate: bool,
) -> None:
    """Killed at any point, the letter is still open, and doing it again has no further effect."""
    from hub.routing import parking

    if not translate and whole is not None:
        record = parking.again(whole, waits=parking.restore(database, wire, whole))
        producer.publish_blocking([record])
    producer.publish_blocking(_closed(wire, letter, whole, "REDRIVEN", reason))


def _closed(wire: "Wire", letter: "Letter", whole: Event | None, state: str, reason: str) -> "list[Out]":
    from hub.audit import audit
    from hub.journal.dead_letters import bare, closing

    action = "dead-redrive" if state == "REDRIVEN" else "dead-discard"
    return [
        audit(wire, action, _target(letter), getpass.getuser(), reason),
        closing(wire, whole or bare(letter), state, letter.letter_partition),
    ]


def _replay(wire: "Wire", letters: "list[Letter]", reason: str) -> "Out":
    from hub.bus import Out

    request = {"id": str(uuid.uuid4()), "at": now(), "by": getpass.getuser(), "reason": reason}
    request |= dict.fromkeys(("sender", "facility", "message_type"), "") | {"from_at": None, "to_at": None}
    request["message_ids"] = sorted({letter.message_id for letter in letters if letter.message_id})
    return Out("replay.v1", str(request["id"]), wire.pack("replay.v1", request))


def _target(letter: "Letter") -> str:
    return f"{letter.id} {letter.topic}/{letter.partition}/{letter.offset}"


def _told(letter: "Letter", what: str) -> None:
    out.print(f"{letter.id} {letter.code} {letter.topic}/{letter.partition}/{letter.offset}: {what}", markup=False)


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
