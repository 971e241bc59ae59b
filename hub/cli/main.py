"""`hie`: every command, its help and an example. What a command does lives in the rooms; here it is only wired."""

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

import psycopg
import typer
from psycopg.errors import UndefinedColumn, UndefinedTable
from rich.markup import escape

from hub.cli import (
    dead,
    doctor,
    find,
    forget,
    keep,
    messages,
    operate,
    settling,  # noqa: F401  # its commands join the ledger's
    watch,
    why,
)
from hub.cli.archive import archive_app, journal_app
from hub.cli.claim import claim_app
from hub.cli.console import console_command, scheme
from hub.cli.directory import directory_app
from hub.cli.hold import hold_app
from hub.cli.ledger import ledger_app
from hub.cli.payer import payer_app
from hub.cli.person import person_app
from hub.cli.quarantine import quarantine_app
from hub.cli.running import check_dialects, check_ports, connected, hand_down, key_secret, prepare, started, terminal
from hub.cli.simulate import simulate_app
from hub.cli.vendor import vendor_app
from hub.cli.worklist import worklist_app
from hub.contract.errors import HubError
from hub.contract.kafka import brokers
from hub.contract.settings import read_settings
from hub.contract.signals import on_end, unwind_on

app = typer.Typer(
    name="hie",
    help="hie-hub: a health information exchange hub. HL7 v2 and insurance XML in; referrals, results and claims delivered; the books close.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
topics_app = typer.Typer(help="The Kafka topics and their schemas.", no_args_is_help=True)
credential_app = typer.Typer(help="Who may send and read.", no_args_is_help=True)
_RUNNING = "The hub"

err = terminal(stderr=True)


@app.command(rich_help_panel=_RUNNING)
def up(
    routing_workers: Annotated[int, typer.Option(min=1, max=12, help="How many routing workers.")] = 1,
) -> None:
    """Start Kafka, the registry, PostgreSQL and every service; keep them running until Ctrl-C.

    Example: hie up
    """
    from hub import stack
    from hub.services import Services, address, service_names

    settings = read_settings()
    check_dialects(settings)
    check_ports(settings)
    unwind_on(signal.SIGINT, signal.SIGTERM, saying="stopping …\n")  # while it starts: back at once, and undisturbed
    say, stop = _say, threading.Event()
    with stack.start(settings, say) as servers:
        key_secret(settings)
        hand_down(settings)
        here = started(settings, servers)
        prepare(here, say)
        services = Services(here, service_names(routing_workers, here.gate_workers), say)
        services.start()
        try:
            mllp, http, inbox = (
                address(here, *which) for which in (("gate", "mllp_port"), ("gate", "http_port"), ("mailbox", "inbox_port"))
            )
            say(
                f"MLLP on {mllp[0]}:{mllp[1]} · POST http://{http[0]}:{http[1]}/v1/messages · inbox http://{inbox[0]}:{inbox[1]}/v1/inbox/…"
            )
            if "console" in services.names:
                host, port = address(here, "console", "console_port")
                say(f"console {scheme(here)}://{host}:{port}/ · how to sign in: hie console")
            if here.tls_certificate is not None:
                mllp, http = address(here, "gate", "mllps_port"), address(here, "gate", "https_port")
                say(f"by TLS: MLLP on {mllp[0]}:{mllp[1]} · POST https://{http[0]}:{http[1]}/v1/messages")
            if here.drop_dir is not None:
                say(f"drop folder {here.drop_dir}")
            say(f"Kafka {brokers(here.kafka)} · registry {here.registry_url} · ledger {here.ledger}")
            on_end(stop.set)
            say("the hub is up; Ctrl-C stops it · try: hie send FILE, hie inbox FACILITY, hie status")
            while not stop.wait(0.5):
                servers.check()
                services.watch()
        finally:
            say("stopping …")
            services.stop()
    say(f"stopped; the data stay in {settings.data_dir}")


def _say(line: str) -> None:
    err.print(line, soft_wrap=True)


@app.command(rich_help_panel=_RUNNING)
def run(
    name: Annotated[str, typer.Argument(help="gate, gate-2, routing-1, insurer-vss, mailbox, journal, archive or console.")],
) -> None:
    """Run one service in this process until SIGTERM. `hie up` does this for all of them.

    Example: HIE_KAFKA_BOOTSTRAP=host:9092 HIE_REGISTRY_URL=http://host:8081 HIE_DATABASE_URL=postgresql://… hie run gate
    """
    from hub.services import gate_names, room_for_metrics

    settings = connected(read_settings())
    if name in gate_names(settings.gate_workers) and settings.gate_workers > 1:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(room_for_metrics(settings))
    from hub.cli.service import run_service

    run_service(name, settings)


@app.command("prepare", rich_help_panel=_RUNNING)
def prepare_command() -> None:
    """Topics, schemas and tables as this release wants them; for installations where `hie up` does not do it.

    Example: hie prepare
    """
    prepare(connected(read_settings()), _say)


@topics_app.command("apply")
def topics_apply() -> None:
    """Create what is missing of the topics, set retention and limits, register every schema, set each payer's rights.

    Refuses incompatible schemas. Rights that name payers and are not of this release are taken away.

    Example: hie topics apply
    """
    from hub.access.rights import apply_rights
    from hub.bus import Wire, apply_topics

    settings = connected(read_settings())
    created = apply_topics(settings.kafka, Wire(settings.registry_url), print)
    print(f"{created} topics created")
    apply_rights(settings.kafka, print)


@credential_app.command("new")
def credential_new(
    name: Annotated[str, typer.Argument(help="Name of the sender, such as dong-linh-his.")],
    facility: Annotated[list[str], typer.Option(help="Facility code that it may speak for; repeat for more.")],
    test: Annotated[bool, typer.Option(help="Everything it sends is test traffic.")] = False,
) -> None:
    """Make a token, and the lines for the credentials file that know it. The token itself is shown once and kept nowhere.

    Example: hie credential new dong-linh-his --facility 01021
    """
    from hub.access.credentials import make_token

    token, token_hash = make_token()
    codes = ", ".join(f'"{code}"' for code in facility)
    err.print(f"token (shown once): {token}\nadd to the file of HIE_CREDENTIALS:")
    print(f'[sender.{name}]\nfacilities = [{codes}]\ntoken_blake2b = "{token_hash}"' + ("\ntest = true" if test else ""))


@credential_app.command("gateway")
def credential_gateway(
    name: Annotated[str, typer.Argument(help="Name of the sender, such as song-hong-his.")],
    user: Annotated[str, typer.Option(help="The account that its client logs in with, such as 01004_BV.")],
    facility: Annotated[list[str], typer.Option(help="Facility code that it may speak for; repeat for more.")],
    test: Annotated[bool, typer.Option(help="Everything it sends is test traffic.")] = False,
) -> None:
    """Lines for the credentials file: an account of the insurance gateway's calls. Asks for its password, or its MD5 as clients send it.

    Example: hie credential gateway song-hong-his --user 01004_BV --facility 01004
    """
    from hub.access.passwords import as_sent, password_hash

    if sys.stdin.isatty():
        password = typer.prompt("password of the account", hide_input=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise HubError("REQUEST_WRONG", "password is empty")
    codes = ", ".join(f'"{code}"' for code in facility)
    err.print("add to the file of HIE_CREDENTIALS; where the sender is there already, the last two lines to its table:")
    lines = (f"[sender.{name}]", f"facilities = [{codes}]", *(["test = true"] if test else []))
    print("\n".join((*lines, f'gateway_user = "{user}"', f'gateway_password = "{password_hash(as_sent(password))}"')))


@app.command(rich_help_panel=_RUNNING)
def demo(
    keep: Annotated[bool, typer.Option(help="Keep the hub running afterwards, until Ctrl-C.")] = False,
) -> None:
    """The whole story on a hub of its own: check-in, order, result, referral, claims, decisions; then the books.

    Example: hie demo
    """
    from hub.cli.demo import run_demo

    raise typer.Exit(run_demo(read_settings(), keep=keep))


@app.command(rich_help_panel=_RUNNING)
def bench(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            help="translate, gate, routing, delivery, insurer: all when omitted; trace (half an hour, 10 GB in the temporary folder)."
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, help="Length of each round.")] = 5.0,
    peers: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="Folder of the rivals' scripts: HAPI, Camel.")
    ] = None,
) -> None:
    """Measure, each figure one JSON line: name, value, unit, cores, and the rival's value and ratio where there is one.

    Example: hie bench translate
    """
    from hub.bench import run_benches

    run_benches(what or [], seconds, peers.resolve() if peers else None)


messages.add_to(app)
app.add_typer(vendor_app, name="vendor", rich_help_panel="A vendor")
app.add_typer(claim_app, name="claim", rich_help_panel="A vendor")
operate.add_to(app)
app.command("console", rich_help_panel="An operator")(console_command)
app.command(rich_help_panel="An operator")(doctor.doctor)
keep.add_to(app)
app.add_typer(ledger_app, name="ledger", rich_help_panel="An insurer")
dead.add_to(app)
watch.add_to(app)
find.add_to(app)
app.add_typer(quarantine_app, name="quarantine", rich_help_panel="An operator")
app.add_typer(archive_app, name="archive", rich_help_panel="An operator")
app.add_typer(journal_app, name="journal", rich_help_panel="An operator")
app.add_typer(directory_app, name="directory", rich_help_panel="An operator")
app.add_typer(payer_app, name="payer", rich_help_panel="An operator")
app.add_typer(person_app, name="person", rich_help_panel="An operator")
app.add_typer(hold_app, name="hold", rich_help_panel="An operator")
app.command(rich_help_panel="An operator")(forget.forget)
app.add_typer(worklist_app, name="worklist", rich_help_panel="An operator")
why.add_to(app)
app.add_typer(topics_app, name="topics", rich_help_panel=_RUNNING)
app.add_typer(simulate_app, name="simulate", rich_help_panel=_RUNNING)
app.add_typer(credential_app, name="credential", rich_help_panel=_RUNNING)


def _told(wrong: HubError) -> None:
    where = f"  [dim]({escape(wrong.where)})[/]" if wrong.where else ""  # `[facility]` is a section of a profile, no colour
    err.print(f"[bold red]{wrong.code}[/]  {wrong.row.en}{where}", soft_wrap=True)
    err.print(f"[dim]{wrong.row.vi}[/]", soft_wrap=True)


def main() -> None:
    """The entry point: a `HubError`, or what the database refuses, becomes one sentence and exit code 2, SIGTERM exit code 143.

    SIGTERM ends a command by the way that Ctrl-C takes it: what it started and its folders go with it.
    """
    unwind_on(signal.SIGTERM)
    try:
        app()
    except HubError as wrong:
        _told(wrong)
        sys.exit(2)
    except (UndefinedTable, UndefinedColumn) as absent:  # it names our tables, never a value
        made = "made while a hub of this release starts for the first time, or by `hie prepare`"
        _told(HubError("NOT_RUNNING", f"{absent.diag.message_primary}: the tables of the database are {made}"))
        sys.exit(2)
    except psycopg.OperationalError as broken:
        _told(HubError("DATABASE_UNAVAILABLE", type(broken).__name__))
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
