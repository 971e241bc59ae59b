"""One service in this process, from its name; beside it the page that tells how it is."""

import asyncio
import sys
from collections.abc import Callable
from functools import partial

import uvloop

from hub.cli.running import older, use_reference
from hub.contract import telemetry
from hub.contract.directory import payers, watch_directory
from hub.contract.errors import HubError
from hub.contract.settings import Settings
from hub.services import gate_names, gate_ports, say_ready
from hub.watched import Door, Question, Watch, certificate_left, room_on_disk


def run_service(name: str, settings: Settings) -> None:
    """Run until SIGTERM or SIGINT.

    name:   gate, gate-N, mailbox, journal, archive, console, routing-N or insurer-PAYER (of a payer that is adjudicated here).
    Raises: HubError(NOT_FOUND) for any other name. A fault that nobody expected ends the process with 1; the log says where
            it happened, and nothing of what it happened to.
    """
    telemetry.configure(settings.log_level)
    use_reference(settings)
    watch_directory()
    door = Door(settings)

    def ready(facts: dict[str, object]) -> None:
        say_ready(settings, name, {**facts, "metrics_port": door.port})
        door.say_ready()

    watch = Watch(questions(name, settings))
    try:
        _run(name, settings, ready)
    except HubError:
        raise
    except Exception as fault:
        telemetry.service_broke(name, fault)
        sys.exit(1)
    finally:
        watch.close()
        door.close()


def questions(name: str, settings: Settings) -> list[Question]:
    """What this service's metrics tell of how things stand: of its machine, and of what it alone, or it first, knows."""
    from hub.journal import standing

    asked: list[Question] = [partial(room_on_disk, settings), partial(certificate_left, settings)]
    if name == "journal":
        asked += [partial(standing.what_waits, settings), partial(standing.lag_of_journal, settings)]
    elif name == "archive":
        asked.append(partial(standing.lag_of_archive, settings))
    elif name == "mailbox":
        from adapters.outbound.mailbox import GROUP, TOPIC

        asked.append(partial(standing.lag_of_group, settings, name, GROUP, [TOPIC]))
    elif name.startswith("routing-"):
        from hub.routing.app import GROUP, streams

        asked.append(partial(standing.lag_of_group, settings, GROUP, GROUP, [stream.topic for stream in streams()]))
    return asked


def _run(name: str, settings: Settings, ready: Callable[[dict[str, object]], None]) -> None:
    kind, _, which = name.partition("-")
    if name in gate_names(settings.gate_workers):
        from adapters.inbound.service import run as gate

        uvloop.run(gate(gate_ports(settings, name), ready, reuse_port=settings.gate_workers > 1, older=older(settings)))
    elif name == "mailbox":
        from adapters.outbound.service import run as mailbox

        uvloop.run(mailbox(settings, ready))
    elif name == "journal":
        from hub.journal.consumer import run as journal

        journal(settings, ready)
    elif name == "archive":
        from hub.journal.archiver import run as archive

        archive(settings, ready)
    elif name == "console":
        from hub.cli.console import serve

        asyncio.run(serve(settings, ready))
    elif kind == "routing":
        from hub.routing.app import run as routing

        routing(settings, ready)
    elif kind == "insurer" and which in payers() and payers()[which].adjudicated_here:
        from hub.insurer.consumer import run as insurer

        insurer(settings, which, ready)
    else:
        raise HubError("NOT_FOUND", f"service {name}")
