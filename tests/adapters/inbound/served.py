"""An application on a real socket, in a thread of its own; and a gate whose brokers are lists."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from adapters.inbound.gate import Gate
from adapters.inbound.http_api import HttpServer
from adapters.inbound.raw_store import RawStore
from hub.bus import Out, Wire
from hub.contract.events import Event, Keyring, decode
from hub.contract.topics import topics

KEYRING = Keyring(b"a secret of tests only")


class Brokers:
    """What a gate needs of a producer: keeps the records, and confirms them unless told not to."""

    def __init__(self) -> None:
        self.records: list[Out] = []
        self.confirm = True

    def send(self, records: Sequence[Out], done: Callable[[bool], None]) -> None:
        if self.confirm:
            self.records += records
        asyncio.get_running_loop().call_soon(done, self.confirm)

    def of(self, topic: str) -> list[Event]:
        """The events of a topic, in order."""
        return [decode(topics()[topic].record, out.value[5:]) for out in self.records if out.topic == topic]


class OfflineWire(Wire):
    """Bodies as always, without a registry to give ids to their schemas."""

    def __init__(self) -> None:
        self._prefixes = dict.fromkeys(topics(), b"\0\0\0\0\1")


def gate_on(brokers: Brokers, folder: Path) -> Gate:
    """A gate that writes to these lists. Make it where its loop runs."""
    producer: Any = brokers
    return Gate(producer, OfflineWire(), KEYRING, RawStore(folder))


@contextmanager
def served(build: Callable[[], FastAPI], close: Callable[[], Any] = lambda: None) -> Iterator[str]:
    """The address of a running application.

    build: called in the loop that serves it; close: awaited or called there at the end.
    """
    address: Future[str] = Future()
    stop = threading.Event()

    async def serve() -> None:
        try:
            server = HttpServer(build(), "127.0.0.1", 0)
            port = await server.start()
        except BaseException as wrong:
            address.set_exception(wrong)
            return
        address.set_result(f"http://127.0.0.1:{port}")
        await asyncio.to_thread(stop.wait)
        await server.stop(5)
        ending = close()
        if ending is not None:
            await ending

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="served")
    thread.start()
    try:
        yield address.result(60)
    finally:
        stop.set()
        thread.join(60)
        assert not thread.is_alive()
