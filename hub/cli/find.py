"""`hie find`: messages, events and deliveries by what one knows of them, newest first; a text within messages, at a price told first."""

from datetime import datetime
from threading import Event as Stop
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli.running import audit_before, connected, keyring, older, terminal
from hub.contract.errors import HubError
from hub.contract.events import VIETNAM, to_json
from hub.contract.settings import Settings, read_settings

if TYPE_CHECKING:
    from hub.journal.search import Cost, Hit, Wanted

_PATIENCE_S = 600.0

out, err = terminal(), terminal(stderr=True)


def add_to(app: typer.Typer) -> None:
    app.command(rich_help_panel="An operator")(find)


def find(
    id: Annotated[str, typer.Option(help="UUID of a message, an event or a delivery.")] = "",
    control_id: Annotated[str, typer.Option(help="MSH-10, as the sender wrote it.")] = "",
    claim: Annotated[str, typer.Option(metavar="FACILITY/MA_LK", help="Events of a claim or an encounter.")] = "",
    slip: Annotated[str, typer.Option(metavar="FACILITY/NUMBER", help="Events of a referral slip.")] = "",
    facility: Annotated[str, typer.Option(help="Who sent it; of deliveries, who gets it.")] = "",
    sender: Annotated[str, typer.Option(help="Name of the credential.")] = "",
    verdict: Annotated[str, typer.Option(help="translated, refused or quarantined.")] = "",
    state: Annotated[str, typer.Option(help="Deliveries in this state, such as HELD.")] = "",
    code: Annotated[str, typer.Option(help="Of a problem, or of a delivery.")] = "",
    since: Annotated[datetime | None, typer.Option(help="From this time on, Vietnamese time.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Before this time.")] = None,
    text: Annotated[str, typer.Option(help="In the messages' bytes, too. Reads each of them: says first what that takes.")] = "",
    reason: Annotated[str, typer.Option(help="With --text: why; it is kept in the audit topic.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=500, help="With --text: ends after so many.")] = 20,
    after: Annotated[str, typer.Option(help="The page behind, as the one before names it.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do it, though it takes long.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: one page.")] = False,
) -> None:
    """Find messages, events and deliveries, newest first, 50 at a time.

    Ends with 1 where it was not begun, as it would take long: --yes begins it, Ctrl-C stops it.

    Example: hie find --facility 01004 --verdict refused --since 2026-11-23
    """
    from hub.journal.search import PATIENCE_S, Cost, Wanted, search
    from hub.store.database import connect

    wanted = Wanted(
        id, control_id, claim, slip, facility, sender, verdict, state, code,
        since=since.replace(tzinfo=VIETNAM) if since else None,
        until=until.replace(tzinfo=VIETNAM) if until else None,
    )  # fmt: skip
    settings = connected(read_settings())
    if text:
        _text(settings, wanted, text, reason, limit, yes=yes, as_json=as_json)
        return
    with connect(settings.database_url.get_secret_value(), autocommit=True) as database:
        found = search(database, wanted, keyring(settings), after=after, patience_s=_PATIENCE_S if yes else PATIENCE_S)
    if isinstance(found, Cost):
        _told(found, as_json=as_json)
        raise typer.Exit(1)
    if as_json:
        print(to_json({"hits": [hit.as_dict() for hit in found.hits], "next": found.next}).decode())
        return
    for hit in found.hits:
        _show(hit)
    out.print(f"{len(found.hits)} found" + (f"; the next ones: --after '{found.next}'" if found.next else ""), markup=False)


def _text(settings: Settings, wanted: "Wanted", text: str, reason: str, limit: int, *, yes: bool, as_json: bool) -> None:
    """Looks into the bytes of each message that the other words leave."""
    from hub.bus import Wire
    from hub.cli.border import as_text
    from hub.journal.body_scan import estimate, scan
    from hub.store.database import connect

    if not reason.strip():
        raise HubError("REQUEST_WRONG", "--reason: what a message says is of a person")
    with connect(settings.database_url.get_secret_value(), autocommit=True) as database:
        cost = estimate(database, wanted)
        if not yes:
            _told(cost, as_json=as_json)
            raise typer.Exit(1)
        said = " ".join(f"{name}={value}" for name, value in _said(wanted).items())
        audit_before(settings, "find-text", said or "all messages", reason)
        hits: list[Hit] = []
        looked = 0
        stop = Stop()
        wire, archived = Wire(settings.registry_url), older(settings).value
        for one in scan(
            database, wanted, text, as_text, kafka=settings.kafka, wire=wire, older=archived, stop=stop, keyring=keyring(settings)
        ):
            looked = one.messages
            if one.found is not None:
                hits.append(one.found)
                if not as_json:
                    _show(one.found)
            if len(hits) == limit:
                stop.set()
    if as_json:
        print(to_json({"hits": [hit.as_dict() for hit in hits], "looked": looked, "of": cost.rows}).decode())
    else:
        out.print(f"{len(hits)} found in {looked} messages" + (", the newest; --limit" if stop.is_set() else ""))


def _said(wanted: "Wanted") -> dict[str, Any]:
    from dataclasses import asdict

    return {name: value for name, value in asdict(wanted).items() if value and name not in ("claim", "slip")}


def _told(cost: "Cost", *, as_json: bool) -> None:
    if as_json:
        print(to_json({"rows": cost.rows, "seconds": cost.seconds, "by": cost.by}).decode())
        return
    by = f", narrowed down by {cost.by}" if cost.by else ""
    err.print(
        f"not begun: about {cost.rows:,} rows and {cost.seconds:,.0f} seconds at most{by}; a shorter time helps, --yes does it"
    )


def _show(hit: "Hit") -> None:
    at = hit.at.astimezone(VIETNAM)
    words = (hit.facility, hit.what.removeprefix("hie."), hit.control_id, "→", hit.state, hit.code, "(test)" if hit.test else "")
    out.print(f"{at:%d/%m/%Y %H:%M:%S}  {hit.kind:<8} {' '.join(filter(None, words))}\n    hie trace {hit.id}", markup=False)
