"""What an operator does with the work list: slips, discharge papers and treatment summaries that do not reach the citizen's app, and why."""

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime
from itertools import groupby
from typing import Annotated, Any, Final, TypeVar
from uuid import UUID

import typer
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from rich.table import Table

from hub.cli.running import connected, paragraph, terminal
from hub.contract.errors import HubError
from hub.contract.events import VIETNAM, to_json
from hub.contract.settings import Settings, read_settings
from hub.store.database import available, connect

worklist_app = typer.Typer(help="Slips and discharge papers that do not reach the citizen's app, and why.", no_args_is_help=True)

out = terminal()

Ids = Annotated[list[UUID], typer.Argument(help="Delivery ids, as the list shows them.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept in the audit topic.")]
Connection = AsyncConnection[TupleRow]
Found = TypeVar("Found")
_TURNS: Final = {"facility": "issuing facility", "operator": "operator of the hub", "consent": "held by rule"}


def _ask(settings: Settings, work: Callable[[Connection], Awaitable[Found]]) -> Found:
    async def asked() -> Found:
        with available():
            async with await AsyncConnection.connect(settings.database_url.get_secret_value(), connect_timeout=10) as connection:
                return await work(connection)

    return asyncio.run(asked())


@worklist_app.command("list")
def show(
    facility: Annotated[str, typer.Argument(help="Only what this facility issued; all of them when omitted.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=500, help="Most slips shown; the counts are of all.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Each document with its reasons and whose turn it is; ends with 1 while there are any.

    Example: hie worklist list 01021
    """
    settings = connected(read_settings())
    found = worklist(settings, facility, limit) | {"held": _held_count(settings, facility)}
    if as_json:
        print(to_json(found).decode())
    else:
        _print(found)
    raise typer.Exit(1 if found["counts"] else 0)


def worklist(settings: Settings, facility: str = "", limit: int = 500) -> dict[str, Any]:
    """`slips` as `worklist.Waiting.shown` tells them, `counts` and `oldest` (times) by first reason, `arrival` rates with and without the list.

    Raises: HubError(DATABASE_UNAVAILABLE, REGISTRY_UNAVAILABLE).
    """
    from adapters.outbound import worklist as lists
    from hub.bus import Wire

    async def read(connection: Connection) -> tuple[list[lists.Waiting], dict[str, tuple[int, datetime]], lists.Arrival]:
        rows = await lists.listed(connection, facility, limit=limit)
        return rows, await lists.counts(connection, facility), await lists.arrival(connection)

    rows, counts, arrived = _ask(settings, read)
    wire = Wire(settings.registry_url)
    rates = {
        "slips": arrived.slips,
        "at_once": arrived.at_once,
        "corrected": arrived.corrected,
        "without_list": arrived.without_list,
        "with_list": arrived.with_list,
    }
    by_code = {code: count for code, (count, _) in counts.items()}
    oldest = {code: at for code, (_, at) in counts.items()}
    slips = [row.shown(wire) for row in rows]
    return {"slips": slips, "counts": by_code, "oldest": oldest, "arrival": rates}


def _held_count(settings: Settings, facility: str) -> int:
    """How many stand beside the list, held by rule."""
    from hub.journal.views import held as held_by_rule

    with connect(settings.database_url.get_secret_value()) as database:
        return held_by_rule(database, facility, 0)[0]


def _print(found: dict[str, Any]) -> None:
    for slip in found["slips"]:
        since = slip["since"].astimezone(VIETNAM)
        tries = f", tried {slip['tries']} times" if slip["state"] == "QUEUED" else ""
        out.print(
            f"[bold]{_name(slip)}[/] of {slip['facility']} · {slip['state']} since {since:%d/%m/%Y %H:%M}{tries}\n"
            f"  [dim]{slip['delivery_id']}[/]",
            soft_wrap=True,
        )
        for reason in slip["reasons"]:
            place = f" {reason['element']}" if reason["element"] else ""
            out.print(f"  {reason['code']}{place} · {_TURNS[reason['turn']]}", soft_wrap=True)
            paragraph(out, reason["text"], 4)
            paragraph(out, reason["text_vi"], 4, "dim")
        if slip["portal_says"]:
            paragraph(out, f"the portal: {slip['portal_says']}", 4)
    if found["counts"]:
        table = Table("first reason", "documents", "oldest", title="Work list · Danh sách cần xử lý")
        for code, count in found["counts"].items():
            table.add_row(code, str(count), f"{found['oldest'][code].astimezone(VIETNAM):%d/%m/%Y %H:%M}")
        out.print(table)
    else:
        out.print("nothing stands on the work list")
    if found["held"]:
        out.print(f"{found['held']} more held by rule, whoever wants them sent: hie worklist held")
    rates = found["arrival"]
    if rates["slips"]:
        out.print(
            f"of {rates['slips']} documents of 30 days {rates['at_once']} arrived at once ({rates['without_list']:.1%}), "
            f"{rates['corrected']} more after a correction ({rates['with_list']:.1%} in all)"
        )


def _name(slip: dict[str, Any]) -> str:
    """A slip by its number; discharge paper and treatment summary by the encounter."""
    if slip["record"] == "hie.Claim":
        return f"XML7, XML8 of {slip['ma_lk']}"
    return slip["slip"] or "(no number)"


@worklist_app.command("held")
def held(
    facility: Annotated[str, typer.Argument(help="Only what this facility issued; all of them when omitted.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=500, help="Most of them shown, the oldest; the count is of all.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """What routing holds: from the citizen's app, because of what it tells, where nobody needs to act and nobody can send it; and
    results that say of no person whose they are, until their sender sends them again with the patient; and for 30 days what is kept
    back because two persons share a card or citizen number, until one of both is sent again with what was wrong in it; so long,
    too, visits of which the hub assembled a claim that may lack a charge, as another took its number (FT1-2).

    Numbers of slips are not shown, as that they are held says something of a person; `hie trace` tells of the event.

    Example: hie worklist held 01021
    """
    from hub.journal.views import held as held_by_rule
    from hub.routing.rules import in_words

    with connect(connected(read_settings()).database_url.get_secret_value()) as database:
        count, rows = held_by_rule(database, facility, limit)
    if as_json:
        print(to_json({"count": count, "held": [asdict(row) for row in rows]}).decode())
        return
    out.print(f"{count} held by rule" + (f", the oldest {limit} shown" if count > len(rows) else ""))
    for rule, held in groupby(sorted(rows, key=lambda row: row.rule), lambda row: row.rule):
        why = in_words(rule)
        paragraph(out, f"{why.en} · {why.vi}", 4, "dim")
        for row in held:
            since = row.since.astimezone(VIETNAM)
            out.print(
                f"{row.record.removeprefix('hie.')} of {row.facility} since {since:%d/%m/%Y %H:%M}\n    hie trace {row.event_id}",
                markup=False,
            )


@worklist_app.command("send")
def send(ids: Ids, reason: Reason) -> None:
    """Send slips again as they are, whatever the check says of them; what is held by rule stays held.

    Example: hie worklist send 3f… --reason "the number was re-issued, papers seen"
    """
    _act("send", ids, reason)


@worklist_app.command("drop")
def drop(ids: Ids, reason: Reason) -> None:
    """Give slips up: they are not sent, and leave the list.

    Example: hie worklist drop 3f… --reason "handed over on paper"
    """
    _act("drop", ids, reason)


def _act(action: str, ids: list[UUID], reason: str) -> None:
    from adapters.outbound import worklist as lists
    from hub.audit import audit
    from hub.bus import Out, Producer, Wire

    settings = connected(read_settings())
    wire, by = Wire(settings.registry_url), getpass.getuser()
    producer = Producer(settings.kafka, wait_s=settings.ack_wait_s)

    def told(moved: set[UUID]) -> list[Out]:
        return [audit(wire, f"worklist-{action}", str(one), by, reason) for one in sorted(moved)]

    async def done(connection: Connection) -> set[UUID]:
        async with connection.transaction():
            moved = await (lists.send_again if action == "send" else lists.drop)(connection, ids)
            await asyncio.to_thread(producer.publish_blocking, told(moved))  # before it counts
            return moved

    try:
        count = len(_ask(settings, done))
    finally:
        producer.close()
    if not count:
        raise HubError("NOT_FOUND", "no such slip is held or was refused; see `hie worklist list`")
    out.print(f"{count} {'slip' if count == 1 else 'slips'} {'wait to be sent' if action == 'send' else 'dropped'}")
