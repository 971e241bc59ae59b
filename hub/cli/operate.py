"""What an operator does: look, trace, reconcile, send again."""

import getpass
import shutil
import time
import uuid
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import psutil
import typer
from rich.table import Table

from hub.cli.parked import parked_app
from hub.cli.recipient import recipient_app
from hub.cli.running import check_dialects, connected, keyring, older, paragraph, tell_edited, terminal
from hub.cli.why import foresight
from hub.contract.errors import HubError
from hub.contract.events import VIETNAM, now, to_json
from hub.contract.kafka import brokers as brokers_of
from hub.contract.kafka import client
from hub.contract.settings import Settings, read_settings
from hub.journal.equations import By
from hub.journal.reconcile import Books
from hub.routing.rules import in_words

if TYPE_CHECKING:
    from hub.cli.compare import Comparison

out = terminal()

_OPERATOR = "An operator"

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


def add_to(app: typer.Typer) -> None:
    app.command(rich_help_panel=_OPERATOR)(trace)
    app.command(rich_help_panel=_OPERATOR)(where)
    app.command(rich_help_panel=_OPERATOR)(reconcile)
    app.command(rich_help_panel=_OPERATOR)(replay)
    app.command(rich_help_panel=_OPERATOR)(status)
    app.add_typer(parked_app, name="parked", rich_help_panel=_OPERATOR)
    app.add_typer(recipient_app, name="recipient", rich_help_panel=_OPERATOR)


# --- trace ------------------------------------------------------------------------------------------------------------


def trace(
    what: Annotated[
        str,
        typer.Argument(
            help="Control id, message id, event id, delivery id, or FACILITY/KEY: slip, ma_lk, order number or control id."
        ),
    ],
    viewer: Annotated[str, typer.Option("--as", help="Only what this facility may see: what it sent and what it gets.")] = "",
    as_json: AsJson = False,
) -> None:
    """One message's whole story: received, translated, routed, delivered, answered.

    Example: hie trace 01021/CT-2026-0001
    """
    from hub.journal.trace import trace as story_of
    from hub.store.database import connect

    settings = connected(read_settings())
    with connect(settings.database_url.get_secret_value()) as database:
        try:
            story = story_of(database, what, keyring(settings), viewer)
        except HubError as unknown:
            hint = "look for a control id (MSH-10), the id that `hie send` printed, or FACILITY/KEY; the journal may be seconds behind"
            raise HubError(unknown.code, hint) from None
    if as_json:
        print(to_json(story.as_dict()).decode())
    else:
        out.print(story.text(out.width, _sentence), markup=False)


def _sentence(rule: str) -> str:
    words = in_words(rule)
    return f"{words.vi} · {words.en}" if words.en else ""


def where(
    facility: Annotated[str, typer.Argument(help="Facility code, such as 01021.")],
    days: Annotated[int, typer.Option(min=1, help="How many days back.")] = 7,
    as_json: AsJson = False,
) -> None:
    """Where everything stands that a facility sent (the sender's view) and that is addressed to it (the receiver's).

    Example: hie where 01021
    """
    from hub.journal.views import view
    from hub.store.database import connect

    settings = connected(read_settings())
    since = now().astimezone(VIETNAM).date() - timedelta(days=days - 1)
    with connect(settings.database_url.get_secret_value()) as database:
        found = view(database, facility, since)
    if as_json:
        print(to_json(found.as_dict()).decode())
        return
    for title, other, rows in (
        ("What it sent · Đã gửi", "to", found.sent),
        ("What is addressed to it · Gửi đến", "from", found.addressed),
    ):
        table = Table("what", other, "state", "why", title=f"{facility}: {title}", title_justify="left", box=None)
        table.add_column("count", justify="right")
        table.add_column("oldest")
        for row in rows:
            at = f"{row.oldest.astimezone(VIETNAM):%d/%m/%Y %H:%M}"
            state = row.state or "on its way"
            table.add_row(row.what.removeprefix("hie."), row.other, state, row.why, str(row.count), at)
        out.print(table if rows else f"{facility}: {title}: nothing · không có")


# --- reconcile --------------------------------------------------------------------------------------------------------


def books_of(settings: Settings, wait_s: float = 0.0, by: By = "sender", day: date | None = None) -> Books:
    """The books, once the journal has read all topics to their end and nothing is under way, or after `wait_s`."""
    from hub.journal.consumer import caught_up
    from hub.journal.reconcile import reconcile as balance
    from hub.store.database import connect

    deadline = time.monotonic() + wait_s
    while True:
        read_all = caught_up(settings)
        with connect(settings.database_url.get_secret_value(), autocommit=True) as database:
            books = balance(database, by, day)
        if (read_all and books.close) or time.monotonic() > deadline:
            return books
        time.sleep(0.5)


def reconcile(
    by: Annotated[By, typer.Option(help="What the rows are of: sender, recipient or message type.")] = "sender",
    day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only this day of receipt; all days when omitted.")
    ] = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait for what is under way.")] = 10.0,
    as_json: AsJson = False,
) -> None:
    """The equations of the books: received = translated + refused + quarantined; every event addressed, every delivery in a state.

    Below them what waits, and why. Ends with 1 when they do not hold.

    Example: hie reconcile
    """
    books = books_of(connected(read_settings()), wait, by, day.date() if day else None)
    if as_json:
        print(to_json(books.as_dict()).decode())
    else:
        out.print(books.text(out.width))
        out.print(f"books close: {'yes' if books.close else 'no'}")
    raise typer.Exit(0 if books.close else 1)


def facility_rows(settings: Settings) -> list[dict[str, Any]]:
    """What each facility sent and got, real traffic only: taken, refused, events, delivered, acknowledged."""
    from hub.store.database import connect

    query = """
        with sent as (
            select facility, count(*) filter (where verdict = 'translated') taken, count(*) filter (where verdict <> 'translated') refused
            from journal_message where not test group by facility
        ), made as (
            select facility, count(distinct event_id) events from journal_event where not test and record <> 'hie.Delivery' group by facility
        ), got as (
            select recipient facility, count(*) delivered, count(*) filter (where state = 'ACKNOWLEDGED') acknowledged
            from journal_delivery where not test and recipient <> '' group by recipient
        )
        select coalesce(sent.facility, made.facility, got.facility), coalesce(taken, 0), coalesce(refused, 0), coalesce(events, 0),
               coalesce(delivered, 0), coalesce(acknowledged, 0)
        from sent full join made using (facility) full join got on got.facility = coalesce(sent.facility, made.facility) order by 1"""
    with connect(settings.database_url.get_secret_value()) as database:
        rows = database.execute(query).fetchall()
    return [dict(zip(("facility", "taken", "refused", "events", "delivered", "acknowledged"), row, strict=True)) for row in rows]


# --- replay -----------------------------------------------------------------------------------------------------------


def replay(
    reason: Annotated[str, typer.Option(help="Why; it is kept in the audit topic. Not needed with --compare.")] = "",
    facility: Annotated[str, typer.Option(help="Only this facility.")] = "",
    sender: Annotated[str, typer.Option(help="Only this sender.")] = "",
    message_type: Annotated[str, typer.Option("--type", help="Only this type, such as ORU^R01.")] = "",
    message: Annotated[list[str] | None, typer.Option(help="Only this message id; repeat for more.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Received from, Vietnamese time.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Received before, Vietnamese time.")] = None,
    look: Annotated[
        bool, typer.Option("--compare", help="Only show what would differ; publish nothing. Ends with 1 if anything would.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Translate messages again, through today's dialects and rules. The same content has the same ids, so nothing happens twice.

    Messages come out of the archive, then out of the topic.

    Example: hie replay --facility 01021 --since 2026-11-23 --reason "new dialect version"
    """
    from hub.bus import Out, Producer, Wire

    if not reason and not look:
        raise typer.BadParameter("say why; it is kept in the audit topic", param_hint="--reason")
    settings = connected(read_settings())
    oldest = now() - timedelta(days=settings.seen_days)  # what is older may have been delivered, and is forgotten
    received_from = since.replace(tzinfo=VIETNAM) if since else oldest
    if received_from < oldest and not look:
        raise HubError(
            "REQUEST_WRONG", f"--since is more than {settings.seen_days} days ago (HIE_SEEN_DAYS): it might be delivered twice"
        )
    request: dict[str, Any] = {
        "id": str(uuid.uuid4()),
        "at": now(),
        "by": getpass.getuser(),
        "reason": reason,
        "sender": sender,
        "facility": facility,
        "message_type": message_type,
        "message_ids": message or [],
        "from_at": received_from,
        "to_at": until.replace(tzinfo=VIETNAM) if until else None,
    }
    if look:
        _show_comparison(_compared(settings, request), as_json)
        return
    producer = Producer(settings.kafka, wait_s=settings.ack_wait_s)
    try:
        producer.publish_blocking([Out("replay.v1", str(request["id"]), Wire(settings.registry_url).pack("replay.v1", request))])
    finally:
        producer.close()
    out.print(
        f"asked for replay {request['id']}; the gate carries it out, and `hie trace` of a message shows its events written again"
    )


def _compared(settings: Settings, request: dict[str, Any]) -> "Comparison":
    from adapters.inbound.kept import Kept
    from adapters.inbound.raw_store import RawStore
    from adapters.inbound.signers import Signers
    from hub.access.credentials import Credentials
    from hub.bus import Wire
    from hub.cli.compare import compare
    from hub.journal.archive import private
    from hub.store.database import connect

    private()
    check_dialects(settings)
    wire, store = Wire(settings.registry_url), RawStore(settings.data_dir / "raw")
    signers = Signers.open(settings.signers, required=settings.signature_required)
    kept = Kept(settings, wire, keyring(settings), store, signers, older(settings))
    with foresight(settings) as eye, connect(settings.database_url.get_secret_value(), autocommit=True) as database:
        database.read_only = True  # each look by itself: a transaction of hours would hold up migrations and rebuilds
        return compare(kept, wire, Credentials.open(settings.credentials), database, eye, request)


def _show_comparison(found: "Comparison", as_json: bool) -> None:
    from hub.cli.compare import KINDS

    if as_json:
        print(to_json(found.as_dict()).decode())
    else:
        out.print(f"{found.messages} messages compared, {found.same} of them would be as they were; nothing was published")
        for reason, count in found.left_out.items():
            out.print(f"left out: {count} ({reason})")
        for kind, count in found.counts.items():
            out.print(f"\n{kind}: {count} ({KINDS[kind]})")
            for one in found.examples:
                if one.kind == kind:
                    out.print(f"  {one.message_id}  {one.what}", markup=False)
    raise typer.Exit(1 if found.counts else 0)


# --- status -----------------------------------------------------------------------------------------------------------


def status(as_json: AsJson = False) -> None:
    """What runs where, how far behind it is, and what "acknowledged" means on this hub.

    Example: hie status
    """
    settings = connected(read_settings())
    tell_edited(settings)
    found = _status(settings)
    if as_json:
        print(to_json(found).decode())
        return
    table = Table("service", "process", "addresses", title="Services")
    for name, row in found["services"].items():
        table.add_row(name, f"[green]{row['pid']}[/]" if row["alive"] else "[red]not running[/]", row["at"])
    out.print(table)
    out.print(f"Kafka {found['kafka']} · registry {found['registry']}\nledger {settings.ledger} · logs {settings.logs}")
    out.print(f"brokers: {found['brokers']}")
    paragraph(out, found["durability"], 2)
    out.print(
        f"journal: {'has read everything' if found['journal_caught_up'] else 'is reading'}; {found['messages']} messages, {found['events']} events"
    )
    portal = found["portal"]
    way = "" if portal["configured"] else "no way to it (HIE_PORTAL is not set here); "
    out.print(
        f"insurance portal: {way}{portal['waiting']} documents wait to be handed over, {portal['held_or_refused']} are held or refused: of these `hie worklist list` tells why"
    )
    if found["not_checked"]:
        paragraph(out, f"claims: {found['not_checked']}", 0)
    out.print(f"parked keys: {found['parked']}; dead letters: {found['dead_letters']}; free disk: {found['disk_free_gb']:.0f} GB")


def _status(settings: Settings) -> dict[str, Any]:
    from confluent_kafka.admin import AdminClient

    from hub.insurer.catalogues import kinds_in, unchecked
    from hub.journal.consumer import caught_up
    from hub.services import facts_of, service_names
    from hub.store.database import connect

    seen = {path.stem for path in (settings.data_dir / "run").glob("*.json")}
    names = (
        sorted(seen | set(service_names(gate_workers=settings.gate_workers))) if seen else []
    )  # a service that is down left no file; elsewhere run none of ours
    services = {}
    for name in names:
        facts = facts_of(settings, name)
        ports = ", ".join(f"{part.removesuffix('_port')} {facts[part]}" for part in sorted(facts) if part.endswith("_port"))
        services[name] = {"pid": facts.get("pid"), "alive": psutil.pid_exists(int(facts.get("pid", 0))), "at": ports}
    try:
        brokers = len(AdminClient({**client(settings.kafka), "log_level": 2}).list_topics(timeout=10).brokers)
    except Exception as silent:  # confluent-kafka's own; whatever it is, the brokers do not answer
        raise HubError("BROKER_UNAVAILABLE", "status") from silent
    with connect(settings.database_url.get_secret_value()) as database:
        counts = [
            database.execute(query).fetchone()
            for query in (
                "select count(*) from journal_message",
                "select count(distinct event_id) from journal_event",
                "select count(distinct (topic, key)) from parked where state = 'PARKED'",
                "select count(*) from journal_dead_letter where state = ''",
                "select count(*) from mailbox where recipient = 'portal' and state in ('QUEUED', 'SENT')",
                "select count(*) from mailbox where recipient = 'portal' and state in ('HELD', 'REFUSED')",
            )
        ]
    messages, events, parked, dead_letters, portal_waits, portal_stuck = (row[0] if row else 0 for row in counts)
    return {
        "services": services,
        "kafka": brokers_of(settings.kafka),
        "registry": settings.registry_url,
        "brokers": brokers,
        "durability": "acknowledged means held by two brokers of three"
        if brokers >= 3
        else "one machine: acknowledged survives kill -9 of anything, not a power cut",
        "journal_caught_up": caught_up(settings),
        "messages": messages,
        "events": events,
        "parked": parked,
        "dead_letters": dead_letters,
        "portal": {"configured": settings.portal is not None, "waiting": portal_waits, "held_or_refused": portal_stuck},
        "not_checked": said[1] if (said := unchecked(kinds_in(settings.catalogue_dir))) else "",
        "disk_free_gb": shutil.disk_usage(settings.data_dir).free / 1e9,
    }
