"""A TCP listener of a test's own that leaves nothing behind."""

import asyncio
from contextlib import asynccontextmanager


@asynccontextmanager
async def serving(serve, port=0, ssl=None):
    """Answers each link with `serve(reader, writer)`; yields the port. Left, every link is closed and every answerer has ended.

    asyncio's own server leaves both to the end of the loop, where an answerer that has not begun is cancelled without closing
    its link: the collector then finds an open socket in whatever test it happens to run.
    """
    links, answerers = [], []

    def met(reader, writer):
        links.append(writer)
        answerers.append(asyncio.create_task(serve(reader, writer)))

    server = await asyncio.start_server(met, "127.0.0.1", port, ssl=ssl)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.get_running_loop().remove_reader(server.sockets[0])  # nothing more is accepted
        await asyncio.sleep(0.01)  # what was accepted is met before the server closes, which would leave its socket open
        server.close()
        for one in answerers:
            one.cancel()
        ended = await asyncio.gather(*answerers, return_exceptions=True)
        for link in links:
            link.transport.abort()
        await asyncio.sleep(0)
    wrong = [one for one in ended if isinstance(one, Exception)]
    assert not wrong, wrong
