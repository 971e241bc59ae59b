"""An application on a real socket, in a thread of its own."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from fastapi import FastAPI

from adapters.inbound.http_api import HttpServer


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
