"""The way out as one process: mailboxes, inbox API, MLLP push, the insurance portal, receipts. Any of its servers may be down: it waits."""

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, closing, contextmanager, suppress
from typing import Final

import uvicorn
from confluent_kafka import KafkaException
from psycopg_pool import AsyncConnectionPool

from adapters.outbound.inbox_api import Inbox, build_api
from adapters.outbound.keeper import Keeper
from adapters.outbound.mailbox import Intake
from adapters.outbound.mllp_push import Target
from adapters.outbound.portal_calls import read_portal
from adapters.outbound.portal_client import PortalClient
from adapters.outbound.push import Push
from adapters.outbound.receipts import Teller
from adapters.outbound.targets import channel_to, read_targets
from adapters.outbound.wakes import Wakes
from adapters.outbound.webhook import Hook
from adapters.outbound.worklist import mount as mount_worklist
from hub.access.credentials import Credentials
from hub.access.http_door import http_config
from hub.bus import Producer, Wire
from hub.contract import telemetry
from hub.contract.errors import HubError
from hub.contract.settings import Settings
from hub.store.database import UNAVAILABLE, async_pool

_BACKOFF_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
_STEADY_S: Final = 30.0  # work that lasted this long begins its back-off anew
_STOP_S: Final = 5
_CONNECTIONS: Final = 12
_OPEN_MAX: Final = 1024  # of the API: a recipient that waits has one


class _Server(uvicorn.Server):
    """Signals are the service's own affair."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def run(settings: Settings, ready: Callable[[dict[str, object]], None]) -> None:
    """Run until SIGTERM or SIGINT. ready: told once, with `inbox_port`, when the API answers.

    Raises: HubError(PORT_TAKEN, SETTING_WRONG); faults of Kafka, registry and PostgreSQL are waited out.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    credentials = Credentials.open(settings.credentials)
    credentials.follow()
    targets, portal = read_targets(settings.push), read_portal(settings.portal)
    url = settings.database_url.get_secret_value()
    async with AsyncExitStack() as held:
        listener = held.enter_context(closing(_bound(settings)))
        pool = await held.enter_async_context(async_pool(url, size=_CONNECTIONS))
        producer = Producer(settings.kafka, wait_s=settings.ack_wait_s, client_id="hie-mailbox")
        held.callback(producer.close)
        wire = Wire(settings.registry_url)
        wakes, teller = Wakes(url), Teller(pool, wire, producer)
        inbox = Inbox(settings, pool, wire, wakes, teller)
        work: dict[str, Callable[[], Awaitable[None]]] = {
            "mailbox": Intake(settings, pool, wire, producer, teller).run,
            "receipts": teller.run,
            "wakes": wakes.run,
            "keeper": Keeper(settings, pool, teller).run,
        }
        for mailbox, target in targets.items():
            work[f"push-{mailbox}"] = _push(settings, mailbox, target, wire, wakes, teller)
        if portal is not None:
            work["portal"] = PortalClient(settings, portal, wire, wakes, teller).run
        api = build_api(inbox, credentials, lambda: _answers(pool))
        mount_worklist(api, pool, wire, credentials)
        server = _Server(
            http_config(api, open_max=_OPEN_MAX, log_config=None, timeout_graceful_shutdown=_STOP_S, server_header=False)
        )
        tasks = [asyncio.create_task(keep(name, once)) for name, once in work.items()]
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        waiting = asyncio.create_task(stop.wait())
        port = int(listener.getsockname()[1])
        try:
            while not server.started and not serving.done():  # noqa: ASYNC110  # uvicorn tells it by no event
                await asyncio.sleep(0.01)
            ready({"inbox_port": port})
            telemetry.service_ready("mailbox", inbox_port=port)
            await asyncio.wait([*tasks, serving, waiting], return_when=asyncio.FIRST_COMPLETED)
            failed = [task for task in (*tasks, serving) if task.done()]
        finally:
            telemetry.service_stopping("mailbox")
            inbox.stop()
            server.should_exit = True
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, serving, return_exceptions=True)
            waiting.cancel()
        for task in failed:
            task.result()  # a fault of ours ends the process, and whoever keeps it starts it anew


def _push(
    settings: Settings, mailbox: str, target: Target | Hook, wire: Wire, wakes: Wakes, teller: Teller
) -> Callable[[], Awaitable[None]]:
    channel_to(target, mailbox, wire, settings)  # what cannot be read is said at the start

    async def push() -> None:  # a channel that was closed is not used again
        await Push(settings, mailbox, channel_to(target, mailbox, wire, settings), wakes, teller).run()

    return push


async def keep(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Do the work again whenever a server it needs was away, later and later up to 5 s. Other exceptions pass."""
    loop = asyncio.get_running_loop()
    failures = 0
    while True:
        began = loop.time()
        try:
            return await work()
        except HubError as error:
            if not error.retriable:
                raise
            telemetry.fault(name.partition("-")[0], error.code, error.where)
        except UNAVAILABLE:
            telemetry.fault(name.partition("-")[0], "DATABASE_UNAVAILABLE")
        except KafkaException:
            telemetry.fault(name.partition("-")[0], "BROKER_UNAVAILABLE")
        failures = 0 if loop.time() - began > _STEADY_S else failures
        await asyncio.sleep(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
        failures += 1


def _bound(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.listen else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.listen, settings.inbox_port))
    except OSError as taken:
        listener.close()
        raise HubError("PORT_TAKEN", f"HIE_INBOX_PORT {settings.inbox_port}") from taken
    return listener


async def _answers(pool: AsyncConnectionPool) -> bool:
    with suppress(*UNAVAILABLE):
        async with asyncio.timeout(2), pool.connection(1.0) as connection:
            await connection.execute("select 1")
            return True
    return False
