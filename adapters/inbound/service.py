"""The gate as one process: MLLP listener, HTTP API, drop folder and sweeper over one gate and one producer."""

import asyncio
import gc
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from adapters.inbound.drop_folder import DropFolder
from adapters.inbound.gate import Gate
from adapters.inbound.http_api import HttpServer, build_api
from adapters.inbound.insurance_gateway import Gateway
from adapters.inbound.kept import Older
from adapters.inbound.mllp_listener import MllpListener
from adapters.inbound.raw_store import RawStore
from adapters.inbound.signers import Signers
from adapters.inbound.sweeper import Sweeper
from adapters.inbound.tls import ServerTls
from hub.access.credentials import Credentials
from hub.access.quota import Quotas
from hub.bus import Producer, Wire
from hub.contract import telemetry
from hub.contract.errors import HubError
from hub.contract.events import Keyring
from hub.contract.settings import Settings

_STOP_LIMIT_S: Final = 15.0
_YOUNG_MAX: Final = 50_000  # objects made before the collector looks: a message makes hundreds and leaves no cycle behind


async def run(
    settings: Settings, ready: Callable[[dict[str, object]], None], *, reuse_port: bool = False, older: Older | None = None
) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is under way.

    settings:   with all addresses and the key secret filled in.
    ready:      called once when all ports are open, with `mllp_port` and `http_port`, and with a certificate `mllps_port` and
                `https_port`.
    reuse_port: several such processes share the ports.
    older:      the archive, which replays read first.
    Raises:     HubError(SETTING_WRONG) without a key secret or for a bad credentials file, certificate, folder of signers or drop folder;
                PORT_TAKEN; REGISTRY_UNAVAILABLE.
    """
    secret = settings.key_secret.get_secret_value()
    if not secret:
        raise HubError("SETTING_WRONG", "HIE_KEY_SECRET is empty")
    credentials = Credentials.open(settings.credentials)
    credentials.follow()
    signers = Signers.open(settings.signers, required=settings.signature_required)
    certificate = _certificate(settings)
    keyring = Keyring(secret.encode())
    wire = Wire(settings.registry_url)
    raw_store = RawStore(settings.data_dir / "raw")
    producer = Producer(settings.kafka, wait_s=settings.ack_wait_s, client_id="hie-gate")
    gate = Gate(producer, wire, keyring, raw_store, signers)
    quotas = Quotas()
    api = build_api(settings, gate, credentials, producer, quotas)
    gateway = Gateway(settings, gate, credentials, keyring, api.state.room, quotas, wire)
    gateway.mount(api)
    listener = MllpListener(settings, gate, credentials, quotas, certificate)
    servers = {"http_port": HttpServer(api, settings.listen, settings.http_port)}
    if certificate is not None:
        # Tokens go over TLS, or stay on this machine.
        servers = {
            "http_port": HttpServer(api, "127.0.0.1", settings.http_port),
            "https_port": HttpServer(api, settings.listen, settings.https_port, certificate.without_clients()),
        }
    folder = DropFolder(settings, gate, credentials, quotas) if settings.drop_dir is not None else None
    sweeper = Sweeper(settings, wire, producer, keyring, raw_store, credentials, gate.large, signers, older)
    stop = asyncio.Event()
    try:
        await asyncio.to_thread(gate.warm_up)
        ports = {"mllp_port": await listener.start(reuse_port=reuse_port)}
        if listener.tls_port:
            ports["mllps_port"] = listener.tls_port
        for name, server in servers.items():
            ports[name] = await server.start(reuse_port=reuse_port)
        if folder is not None:
            await folder.start()
        sweeper.start()
        with suppress(ValueError, RuntimeError):  # not in the main thread: whoever runs us there cancels us
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
        gc.freeze()
        gc.set_threshold(_YOUNG_MAX, 20, 50)
        telemetry.service_ready("gate", **ports)
        ready(dict(ports))
        await stop.wait()
    finally:
        telemetry.service_stopping("gate")
        doors: list[MllpListener | HttpServer | DropFolder] = [listener, *servers.values()]
        if folder is not None:
            doors.append(folder)
        await asyncio.gather(*(door.stop(_STOP_LIMIT_S) for door in doors))
        await gateway.close()
        await asyncio.to_thread(sweeper.stop)
        await asyncio.to_thread(producer.close)
        gate.close()


def _certificate(settings: Settings) -> ServerTls | None:
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    return ServerTls(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
