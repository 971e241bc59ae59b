"""The gate as one process: MLLP listener, HTTP API and sweeper over one gate and one producer."""

import asyncio
import gc
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from adapters.inbound.gate import Gate
from adapters.inbound.http_api import HttpServer, build_api
from adapters.inbound.insurance_gateway import Gateway
from adapters.inbound.mllp_listener import MllpListener
from adapters.inbound.raw_store import RawStore
from adapters.inbound.signers import Signers
from adapters.inbound.sweeper import Sweeper
from hub.access.credentials import Credentials
from hub.bus import Producer, Wire
from hub.contract import telemetry
from hub.contract.errors import HubError
from hub.contract.events import Keyring
from hub.contract.settings import Settings

_STOP_LIMIT_S: Final = 15.0
_YOUNG_MAX: Final = 50_000  # objects made before the collector looks: a message makes hundreds and leaves no cycle behind


async def run(settings: Settings, ready: Callable[[dict[str, object]], None], *, reuse_port: bool = False) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is under way.

    settings:   with all addresses and the key secret filled in.
    ready:      called once when both ports are open, with `mllp_port` and `http_port`.
    reuse_port: several such processes share the two ports.
    Raises:     HubError(SETTING_WRONG) without a key secret or for a bad credentials file or folder of signers; PORT_TAKEN;
                REGISTRY_UNAVAILABLE.
    """
    secret = settings.key_secret.get_secret_value()
    if not secret:
        raise HubError("SETTING_WRONG", "HIE_KEY_SECRET is empty")
    credentials = Credentials.open(settings.credentials)
    signers = Signers.open(settings.signers, required=settings.signature_required)
    keyring = Keyring(secret.encode())
    wire = Wire(settings.registry_url)
    raw_store = RawStore(settings.data_dir / "raw")
    producer = Producer(settings.kafka_bootstrap, wait_s=settings.ack_wait_s, client_id="hie-gate")
    gate = Gate(producer, wire, keyring, raw_store, signers)
    listener = MllpListener(settings, gate, credentials)
    api = build_api(settings, gate, credentials, producer)
    gateway = Gateway(settings, gate, credentials, keyring, api.state.room)
    gateway.mount(api)
    http = HttpServer(api, settings.listen, settings.http_port)
    sweeper = Sweeper(settings, wire, producer, keyring, raw_store, credentials, gate.large, signers)
    stop = asyncio.Event()
    try:
        await asyncio.to_thread(gate.warm_up)
        ports = {"mllp_port": await listener.start(reuse_port=reuse_port), "http_port": await http.start(reuse_port=reuse_port)}
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
        await asyncio.gather(listener.stop(_STOP_LIMIT_S), http.stop(_STOP_LIMIT_S))
        await gateway.close()
        await asyncio.to_thread(sweeper.stop)
        await asyncio.to_thread(producer.close)
        gate.close()
