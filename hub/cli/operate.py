"""What an operator does: look, trace, reconcile, send again, mend what is parked."""

import getpass
import shutil
import time
import uuid
from datetime import datetime
from typing import Annotated, Any

import psutil
import typer
from rich.table import Table

from hub.cli.running import connected, keyring, paragraph, terminal
from hub.cli.why import foresight, show_foreseen
from hub.contract.errors import ERRORS, HubError
from hub.contract.events import VIETNAM, now, to_json
from hub.contract.settings import Settings, read_settings
from hub.journal.reconcile import Books

out = terminal()
parked_app = typer.Typer(help="Keys that wait for a fact or a fix.", no_args_is_help=True)

_OPERATOR = "An operator"

Topic = Annotated[str, typer.Argument(help="Topic of the parked key, as `hie parked list` shows it.")]
Key = Annotated[str, typer.Argument(help="The key, from the same list.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept in the audit topic.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


def add_to(app: typer.Typer) -> None:
    app.command(rich_help_panel="An insurer")(ledger)
    app.command(rich_help_panel=_OPERATOR)(trace)
    app.command(rich_help_panel=_OPERATOR)(reconcile)
    app.command(rich_help_panel=_OPERATOR)(replay)
    app.command(rich_help_panel=_OPERATOR)(status)
    app.add_typer(parked_app, name="parked", rich_help_panel=_OPERATOR)


# --- trace ------------------------------------------------------------------------------------------------------------


def trace(
    what: Annotated[
        str, typer.Argument(help="Control id, message id, event id, delivery id, or FACILITY/KEY such as 01021/LK-2026-1.")
    ],
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
            story = story_of(database, what, keyring(settings))
        except HubError as unknown:
            hint = "look for a control id (MSH-10), the id that `hie send` printed, or FACILITY/KEY; the journal may be seconds behind"
            raise HubError(unknown.code, hint) from None
    if as_json:
        print(to_json(story.as_dict()).decode())
    else:
        out.print(story.text(out.width), markup=False)


# --- reconcile --------------------------------------------------------------------------------------------------------


def books_of(settings: Settings, wait_s: float = 0.0) -> Books:
    """The books, once the journal has read all topics to their end and nothing is under way, or after `wait_s`."""
    from hub.journal.consumer import caught_up
    from hub.journal.reconcile import reconcile as balance
    from hub.store.database import connect

    deadline = time.monotonic() + wait_s
    while True:
        read_all = caught_up(settings)
        with connect(settings.database_url.get_secret_value(), autocommit=True) as database:
            books = balance(database)
        if (read_all and books.close) or time.monotonic() > deadline:
            return books
        time.sleep(0.5)


def reconcile(
    wait: Annotated[float, typer.Option(help="Seconds to wait for what is under way.")] = 10.0,
    as_json: AsJson = False,
) -> None:
    """The equations of the books: received = translated + refused + quarantined; every event addressed, every delivery in a state.

    Ends with 1 when they do not hold.

    Example: hie reconcile
    """
    books = books_of(connected(read_settings()), wait)
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


def ledger_totals(settings: Settings) -> dict[str, Any]:
    """The ledger's totals over the newest revision of each claim."""
    from hub.insurer.totals import totals

    return totals(settings)


def ledger(as_json: AsJson = False) -> None:
    """What the default payer's ledger adds up to, in VND, over the newest revision of each claim; cancelled ones left out.

    Example: hie ledger
    """
    settings = read_settings()
    found = ledger_totals(settings)
    if as_json:
        print(to_json(found).decode())
        return
    counts = ", ".join(f"{name} {found[name]}" for name in ("claims", "accepted", "rejected", "lines", "findings"))
    out.print(f"{counts}\nclaimed (t_bhtt) {found['t_bhtt']:,.2f} VND, granted (t_bhtt_gd) {found['t_bhtt_gd']:,.2f} VND")
    out.print(f"tables: {settings.ledger}")


# --- replay -----------------------------------------------------------------------------------------------------------


def replay(
    reason: Reason,
    facility: Annotated[str, typer.Option(help="Only this facility.")] = "",
    sender: Annotated[str, typer.Option(help="Only this sender.")] = "",
    message_type: Annotated[str, typer.Option("--type", help="Only this type, such as ORU^R01.")] = "",
    message: Annotated[list[str] | None, typer.Option(help="Only this message id; repeat for more.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Received from, Vietnamese time.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Received before, Vietnamese time.")] = None,
) -> None:
    """Translate messages again, through today's dialects and rules. The same content has the same ids, so nothing happens twice.

    Example: hie replay --facility 01021 --since 2026-11-23 --reason "new dialect version"
    """
    from hub.bus import Out, Producer, Wire

    settings = connected(read_settings())
    request = {
        "id": str(uuid.uuid4()),
        "at": now(),
        "by": getpass.getuser(),
        "reason": reason,
        "sender": sender,
        "facility": facility,
        "message_type": message_type,
        "message_ids": message or [],
        "from_at": since.replace(tzinfo=VIETNAM) if since else None,
        "to_at": until.replace(tzinfo=VIETNAM) if until else None,
    }
    producer = Producer(settings.kafka_bootstrap, wait_s=settings.ack_wait_s)
    try:
        producer.publish_blocking([Out("replay.v1", str(request["id"]), Wire(settings.registry_url).pack("replay.v1", request))])
    finally:
        producer.close()
    out.print(
        f"asked for replay {request['id']}; the gate carries it out, and `hie trace` of a message shows its events written again"
    )


# --- parked -----------------------------------------------------------------------------------------------------------


@parked_app.command("list")
def parked_list(as_json: AsJson = False) -> None:
    """What waits, and why.

    Example: hie parked list
    """
    from hub.routing import parking
    from hub.store.database import connect

    settings = connected(read_settings())
    with connect(settings.database_url.get_secret_value()) as database:
        rows = parking.waiting(database)
    if as_json:
        print(to_json(rows).decode())
        return
    out.print(f"{len(rows)} {'key' if len(rows) == 1 else 'keys'} parked")
    for row in rows:  # no table: topic and key must be whole, to be copied
        since = row["since"].astimezone(VIETNAM)
        why = ERRORS[row["code"]].en if row["code"] in ERRORS else ""
        out.print(f"\n{row['topic']} {row['key']}\n    {row['code']}")
        paragraph(out, why, 6, "dim")
        out.print(f"    {row['waiting']} waiting since {since:%d/%m/%Y %H:%M} · hie trace {row['event_id']}")
    if rows:
        out.print(
            "\nIts cause is gone: hie parked release TOPIC KEY --reason …\nA field is wrong:  hie parked edit TOPIC KEY --set FIELD=VALUE --reason …\nIt never will be:  hie parked discard TOPIC KEY --reason …"
        )


@parked_app.command("release")
def parked_release(topic: Topic, key: Key, reason: Reason) -> None:
    """Send what waits on again, in order.

    Example: hie parked release referral.v1 01021:3f… --reason "facility added"
    """
    _mend("release", topic, key, reason)


@parked_app.command("edit")
def parked_edit(
    topic: Topic,
    key: Key,
    changes: Annotated[list[str], typer.Option("--set", help="FIELD=VALUE; FIELD= empties it; repeat for more.")],
    reason: Reason,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, only show what would change.")] = False,
) -> None:
    """Mend the oldest waiting event: a new event takes its place, the old one is kept. It waits on until it is released.

    Signed documents and payers' decisions are not edited. No value is shown or audited, only names of fields.

    Example: hie parked edit referral.v1 01021:3f… --set ma_cskcb_den=01004 --reason "wrong code, asked by phone"
    """
    from hub.bus import Producer, Wire
    from hub.contract.topics import topics
    from hub.routing import parking
    from hub.routing.amend import amended, same_elsewhere
    from hub.store.database import connect

    if not all("=" in one for one in changes):
        raise typer.BadParameter("FIELD=VALUE; FIELD= empties it", param_hint="--set")
    wanted = dict(one.partition("=")[::2] for one in changes)
    settings = connected(read_settings())
    wire, place = Wire(settings.registry_url), settings.database_url.get_secret_value()
    with connect(place) as database:
        event = parking.oldest(database, wire, topic, key)
    if event is None:
        raise HubError("NOT_FOUND", f"nothing waits in {topic} under this key, or it is on its way; see `hie parked list`")
    edited = amended(topics()[topic].record, event, wanted, keyring(settings))
    out.print(f"would change: {', '.join(wanted)}" if not yes else f"changes: {', '.join(wanted)}", markup=False)
    for path in wanted:
        if others := [other for other in same_elsewhere(event, path) if other not in wanted]:
            out.print(f"    the same stands in {', '.join(others)}, which stays as it is", markup=False)
    out.print("once released:")
    with foresight(settings) as eye:
        for foreseen in eye.of(topic, edited, first=True):
            show_foreseen(foreseen)
    if not yes:
        out.print("nothing was changed; --yes does it")
        return
    producer = Producer(settings.kafka_bootstrap, wait_s=settings.ack_wait_s)
    try:
        with connect(place) as database:
            done = parking.edit(database, producer, wire, topic, edited, fields=wanted, by=getpass.getuser(), reason=reason)
    finally:
        producer.close()
    if not done:
        raise HubError("NOT_FOUND", "somebody else has dealt with it meanwhile; see `hie parked list`")
    out.print(f"event {edited['meta']['event_id']} waits in its place; hie parked release {topic} {key} --reason …")


@parked_app.command("discard")
def parked_discard(topic: Topic, key: Key, reason: Reason) -> None:
    """Give it up; its bytes go to the dead-letter topic.

    Example: hie parked discard referral.v1 01021:3f… --reason "sent in error"
    """
    _mend("discard", topic, key, reason)


def _mend(action: str, topic: str, key: str, reason: str) -> None:
    from hub.bus import Producer, Wire
    from hub.routing import parking
    from hub.store.database import connect

    settings = connected(read_settings())
    producer = Producer(settings.kafka_bootstrap, wait_s=settings.ack_wait_s)
    try:
        with connect(settings.database_url.get_secret_value()) as database:
            act = parking.release if action == "release" else parking.discard
            count = act(database, producer, Wire(settings.registry_url), topic, key, by=getpass.getuser(), reason=reason)
    finally:
        producer.close()
    if not count:
        raise HubError("NOT_FOUND", f"nothing waits in {topic} under this key; see `hie parked list`")
    again = (
        "; what still has its cause parks again, see `hie parked list`" if action == "release" else "; what waited behind goes on"
    )
    out.print(f"{count} {'event' if count == 1 else 'events'} {action}{'d' if action.endswith('e') else 'ed'}{again}")


# --- status -----------------------------------------------------------------------------------------------------------


def status(as_json: AsJson = False) -> None:
    """What runs where, how far behind it is, and what "acknowledged" means on this hub.

    Example: hie status
    """
    settings = connected(read_settings())
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
        f"insurance portal: {way}{portal['waiting']} slips wait, {portal['held_or_refused']} held or refused: hie worklist list"
    )
    out.print(f"parked keys: {found['parked']}; dead letters: {found['dead_letters']}; free disk: {found['disk_free_gb']:.0f} GB")


def _status(settings: Settings) -> dict[str, Any]:
    from confluent_kafka.admin import AdminClient

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
        brokers = len(
            AdminClient({"bootstrap.servers": settings.kafka_bootstrap, "log_level": 2}).list_topics(timeout=10).brokers
        )
    except Exception as silent:  # confluent-kafka's own; whatever it is, the brokers do not answer
        raise HubError("BROKER_UNAVAILABLE", "status") from silent
    with connect(settings.database_url.get_secret_value()) as database:
        counts = [
            database.execute(query).fetchone()
            for query in (
                "select count(*) from journal_message",
                "select count(distinct event_id) from journal_event",
                "select count(distinct (topic, key)) from parked where state = 'PARKED'",
                "select count(*) from journal_dead_letter",
                "select count(*) from mailbox where recipient = 'portal' and state in ('QUEUED', 'SENT')",
                "select count(*) from mailbox where recipient = 'portal' and state in ('HELD', 'REFUSED')",
            )
        ]
    messages, events, parked, dead_letters, portal_waits, portal_stuck = (row[0] if row else 0 for row in counts)
    return {
        "services": services,
        "kafka": settings.kafka_bootstrap,
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
        "disk_free_gb": shutil.disk_usage(settings.data_dir).free / 1e9,
    }
