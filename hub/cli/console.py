"""`hie console`, and the console as a service: where the rooms that it shows are put together."""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Annotated, Final

import typer

from hub.cli.running import connected, keyring, terminal
from hub.contract.errors import HubError
from hub.contract.settings import Settings, read_settings

_CONNECTIONS: Final = 6
_OPEN_MAX: Final = 512  # connections at once; a page has one that stays
_STOP_S: Final = 3
out = terminal()


def console_command(
    browse: Annotated[bool, typer.Option("--open", help="Open it in the browser of this machine.")] = False,
) -> None:
    """Where the operators' pages are, and how to sign in.

    Example: hie console
    """
    from hub.services import address

    settings = connected(read_settings())
    host, port = address(settings, "console", "console_port")
    url = f"{scheme(settings)}://{host}:{port}/"
    own = "the name and password of a person of this hub" if settings.console_passwords else ""
    account = f"an account of {settings.oidc_issuer} that belongs to one" if settings.oidc_issuer else ""
    out.print(f"{url}\nsign in with {' or '.join(filter(None, (own, account)))}: `hie person --help` makes people", markup=False)
    if browse:
        typer.launch(url)


def scheme(settings: Settings) -> str:
    """https as soon as the hub has a certificate."""
    return "http" if settings.tls_certificate is None else "https"


async def serve(settings: Settings, ready: Callable[[dict[str, object]], None]) -> None:
    """Run until SIGTERM or SIGINT. ready: told once, with `console_port`, when pages are served.

    Raises: HubError(PORT_TAKEN, SETTING_WRONG); faults of Kafka and PostgreSQL are shown on the pages.
    """
    import uvicorn

    from adapters.inbound.tls import ServerTls
    from hub.access.http_door import http_config
    from hub.audit import tell_noted
    from hub.bus import Producer, Wire
    from hub.cli.border import border
    from hub.console.app import build
    from hub.console.door import door
    from hub.console.sampler import Sampler
    from hub.console.shell import Console
    from hub.contract import telemetry
    from hub.store.database import async_pool

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:  # signals are the service's own affair
            yield

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                port = int(listener.getsockname()[1])
                ready({"console_port": port})
                telemetry.service_ready("console", console_port=port)

    tls = ServerTls(settings.tls_certificate, settings.tls_key) if settings.tls_certificate and settings.tls_key else None
    with closing(_bound(settings)) as listener:
        pool = async_pool(settings.database_url.get_secret_value(), size=_CONNECTIONS)
        await pool.open(wait=False)
        producer = Producer(settings.kafka, wait_s=settings.ack_wait_s)
        tell = partial(tell_noted, pool, producer, Wire(settings.registry_url))
        try:
            made = border(settings, keyring(settings))
            console = Console(settings, pool, Sampler(settings, pool), door(settings, pool, tell), made)
            server = Server(
                http_config(
                    build(console),
                    open_max=_OPEN_MAX,
                    of_one_max=_OPEN_MAX // 2,
                    lifespan="auto",
                    log_config=None,
                    server_header=False,
                    proxy_headers=False,  # who connects is who is asked for: the door looks whether that is this machine
                    ssl_context_factory=(lambda _config, _default: tls.front()) if tls is not None else None,
                    ws="websockets-sansio",
                    ws_max_size=1024 * 1024,  # what a page sends is a click or a form
                    timeout_graceful_shutdown=_STOP_S,
                )
            )
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, setattr, server, "should_exit", True)
            await server.serve(sockets=[listener])
            telemetry.service_stopping("console")
        finally:
            await asyncio.to_thread(producer.close)
            await pool.close()


def _bound(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.listen else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.listen, settings.console_port))
    except OSError as taken:
        listener.close()
        raise HubError("PORT_TAKEN", f"HIE_CONSOLE_PORT {settings.console_port}") from taken
    return listener
