"""Connections of the HTTP servers: turns, answers before the end of a request, answers that nobody reads, peers and proxies."""

import asyncio
import gc
import socket
import weakref
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http import h11_impl
from uvicorn.protocols.http.h11_impl import H11Protocol

from hub.access import http_door
from hub.access.http_door import http_config
from tests.adapters.inbound.certificates import Authority

LIMIT_S = 60
TINY = b"1\r\nx\r\n" * 50_000
PROXIED = b"X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\n"


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request):
    return lambda work: request.param(asyncio.wait_for(work, LIMIT_S))


@asynccontextmanager
async def served(answer, host="127.0.0.1", **more):
    """A server whose one page is this function: its port and its connections."""
    app = Starlette(routes=[Route("/", answer, methods=["GET", "POST"])])
    server = uvicorn.Server(http_config(app, open_max=8, log_level="critical", timeout_graceful_shutdown=1, **more))
    both = ":" in host
    with socket.create_server((host, 0), family=socket.AF_INET6 if both else socket.AF_INET, dualstack_ipv6=both) as at:
        serving = asyncio.create_task(server._serve([at]))
        while not server.started:  # noqa: ASYNC110  # uvicorn tells it by no event
            await asyncio.sleep(0.01)
        try:
            yield at.getsockname()[1], server.server_state.connections
        finally:
            server.should_exit = True
            await serving


@asynccontextmanager
async def opened(port, **more):
    reader, writer = await asyncio.open_connection("127.0.0.1", port, **more)
    try:
        yield reader, writer
    finally:
        writer.close()


async def eventually(true):
    while not true():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def head_and_body(reader):
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    size = next(int(line.partition(b":")[2]) for line in head.split(b"\r\n") if line.startswith(b"content-length"))
    return head, await reader.readexactly(size)


async def told_at_once(_request):
    return PlainTextResponse("no", 401)


async def slowly(request):
    size = 0
    async for piece in request.stream():
        size += len(piece)
        await asyncio.sleep(0.001)
    return PlainTextResponse(str(size))


def chunked(body):
    return b"POST / HTTP/1.1\r\nHost: hub\r\nTransfer-Encoding: chunked\r\n\r\n" + body


def test_tiny_chunks_are_parsed_a_few_at_a_time(run, monkeypatch):
    monkeypatch.setattr(http_door, "_TURN_S", 0)
    pieces = []

    async def read(request):
        async for piece in request.stream():
            pieces.append(len(piece))
        return Response()

    async def talk():
        async with served(read) as (port, _), opened(port) as (reader, writer):
            writer.write(chunked(TINY + b"0\r\n\r\n"))
            await head_and_body(reader)

    run(talk())
    assert sum(pieces) == 50_000
    assert max(pieces) <= http_door._PIECE_BYTES  # as bytes of the link six times that


def test_large_bodies_and_requests_in_a_row_keep_their_order_however_slowly_they_are_taken(run, monkeypatch):
    monkeypatch.setattr(http_door, "_TURN_S", 0)
    sizes = [3_000_000, 0, 17, 200_000, 4096]

    async def talk():
        async with served(slowly) as (port, _), opened(port) as (reader, writer):
            for size in sizes:
                writer.write(b"POST / HTTP/1.1\r\nHost: hub\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
            return [await head_and_body(reader) for _ in sizes]

    answers = run(talk())
    assert [int(body) for _, body in answers] == sizes
    assert not [head for head, _ in answers if b"connection: close" in head]


def test_what_waits_for_its_turn_does_not_grow_while_the_application_waits(run, monkeypatch):
    monkeypatch.setattr(http_door, "_TURN_S", 0)
    most = 0

    async def talk():
        nonlocal most
        async with served(slowly) as (port, connections), opened(port) as (reader, writer):
            writer.write(chunked((b"800\r\n" + bytes(2048) + b"\r\n") * 5_000 + b"0\r\n\r\n"))
            answer = asyncio.create_task(head_and_body(reader))
            while not answer.done():
                most = max([most, *(len(one._waiting) for one in connections)])
                await asyncio.sleep(0)
            return (await answer)[1]

    assert int(run(talk())) == 2048 * 5_000
    assert most <= 1024 * 1024  # one read


@pytest.mark.parametrize("sent", [b"", TINY], ids=["head", "much"])
def test_after_an_answer_that_did_not_wait_for_the_request_nothing_is_parsed(run, monkeypatch, sent):
    monkeypatch.setattr(http_door, "_TURN_S", 0)
    parsed = 0
    as_it_was = H11Protocol.data_received

    def counted(self, data):
        nonlocal parsed
        parsed += len(data)
        as_it_was(self, data)

    monkeypatch.setattr(H11Protocol, "data_received", counted)

    async def talk():
        async with served(told_at_once) as (port, connections):
            async with opened(port) as (reader, writer):
                writer.write(chunked(sent))
                answer = await head_and_body(reader)
                for _ in range(10):  # the client writes on, and its link is not cut off under it
                    writer.write(TINY)
                    await writer.drain()
                [one] = connections
                assert not one.transport.is_closing() and not one._waiting
            await eventually(lambda: not connections)
            return answer

    head, body = run(talk())
    assert head.startswith(b"http/1.1 401 ") and b"connection: close" in head and body == b"no"
    assert parsed < len(chunked(sent)) if sent else parsed == len(chunked(b""))


def test_who_reads_such_an_answer_to_its_end_waits_for_nothing(run, monkeypatch):
    monkeypatch.setattr(http_door, "_QUIET_S", 3600)

    async def talk():
        async with served(told_at_once) as (port, _), opened(port) as (reader, writer):
            writer.write(chunked(b"1\r\nx\r\n"))
            return await reader.read()

    assert run(talk()).endswith(b"no")


@pytest.mark.parametrize(("limit", "writes"), [("_QUIET_S", False), ("_LEAVE_S", True)])
def test_who_had_such_an_answer_and_stays_is_closed(run, monkeypatch, limit, writes):
    monkeypatch.setattr(http_door, limit, 0.1)

    async def talk():
        async with served(told_at_once) as (port, connections), opened(port) as (reader, writer):
            writer.write(chunked(b""))
            await head_and_body(reader)
            while connections:
                if writes:
                    writer.write(b"x")
                await asyncio.sleep(0.01)

    run(talk())


def test_a_connection_that_ended_is_gone_without_a_collector(run, monkeypatch):
    monkeypatch.setattr(http_door, "_ASK_S", 0.1)

    async def talk():
        async with served(told_at_once) as (port, connections):
            async with opened(port) as (reader, writer):
                writer.write(b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n")
                await head_and_body(reader)
                [one] = map(weakref.ref, connections)
            await eventually(lambda: one() is None)

    gc.disable()
    try:
        run(talk())
    finally:
        gc.enable()


def test_an_answer_to_a_whole_request_keeps_the_connection_open(run):
    async def talk():
        async with served(told_at_once) as (port, connections), opened(port) as (reader, writer):
            for _ in range(2):
                writer.write(b"POST / HTTP/1.1\r\nHost: hub\r\nContent-Length: 3\r\n\r\nabc")
                head, _ = await head_and_body(reader)
                assert b"connection: close" not in head
            assert len(connections) == 1

    run(talk())


def test_who_never_reads_its_answer_is_cut_off(run, monkeypatch):
    monkeypatch.setattr(http_door, "_ASK_S", 0.1)

    async def much(_request):
        return Response(bytes(16 * 1024 * 1024))

    async def talk():
        async with served(much) as (port, connections), opened(port, limit=1024) as (_, writer):
            writer.write(b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n" * 3)
            await eventually(lambda: connections)
            await eventually(lambda: not connections)

    run(talk())


def test_who_reads_its_answer_slowly_is_not(run, monkeypatch):
    monkeypatch.setattr(http_door, "_ASK_S", 3600.0)
    size = 16 * 1024 * 1024

    async def much(_request):
        return Response(bytes(size))

    async def talk():
        async with served(much) as (port, connections), opened(port, limit=1024) as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            [slow] = connections
            got, looks = 0, 0
            while slow in connections:
                left = slow.transport.get_write_buffer_size()
                while slow in connections and slow.transport.get_write_buffer_size() >= left > 0:
                    got += len(await reader.read(64 * 1024))
                slow._look(None, (True, left))
                looks += 1
                await asyncio.sleep(0)
            while piece := await reader.read(64 * 1024):
                got += len(piece)
            return got, looks

    got, looks = run(talk())
    assert got == size and looks > 1


def test_a_proxy_on_this_machine_is_believed_by_whichever_family_it_comes_and_nobody_else(run):
    async def seen(request):
        return PlainTextResponse(f"{request.client.host} {request.url.scheme}")

    async def ask(port, source):
        async with opened(port, local_addr=(source, 0)) as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\nHost: hub\r\n" + PROXIED + b"\r\n")
            return (await head_and_body(reader))[1].decode()

    async def talk(host):
        async with served(seen, host) as (port, _):
            return [await ask(port, source) for source in ("127.0.0.1", "127.0.0.2")]

    expected = ["203.0.113.7 https", "127.0.0.2 http"]
    assert run(talk("127.0.0.1")) == expected
    if socket.has_dualstack_ipv6():
        assert run(talk("::")) == expected


def test_one_address_does_not_take_the_room_of_all_others_but_a_proxy_on_this_machine_may(run, monkeypatch):
    monkeypatch.setattr(http_door, "is_loopback", "127.0.0.1".__eq__)
    monkeypatch.setattr(http_door, "_ASK_S", 3600)  # no silent one is closed for its silence

    async def ask(port, source):
        async with opened(port, local_addr=(source, 0)) as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n")
            return (await reader.readline())[9:12]

    async def talk(host):
        async with served(told_at_once, host, of_one_max=2) as (port, connections), AsyncExitStack() as silent:
            for source in ("127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.2"):
                await silent.enter_async_context(opened(port, local_addr=(source, 0)))
            await eventually(lambda: len(connections) == 5)
            async with opened(port, local_addr=("127.0.0.2", 0)) as (reader, _):
                assert await reader.read() == b""
            return [await ask(port, source) for source in ("127.0.0.1", "127.0.0.3")]

    assert run(talk("127.0.0.1")) == [b"401", b"401"]
    if socket.has_dualstack_ipv6():
        assert run(talk("::")) == [b"401", b"401"]


def test_addresses_of_one_64_are_of_one_host(run, monkeypatch):
    peers = iter(
        ["2001:db8::1", "2001:db8::2", "::ffff:192.0.2.1", "192.0.2.1", "2001:db8:0:1::1", "2001:db8::3", "::ffff:192.0.2.1"]
    )
    monkeypatch.setattr(h11_impl, "get_remote_addr", lambda _: (next(peers), 1))
    monkeypatch.setattr(http_door, "_ASK_S", 3600)

    async def talk():
        async with served(told_at_once, of_one_max=2) as (port, connections), AsyncExitStack() as silent:
            for number in range(1, 6):
                await silent.enter_async_context(opened(port))
                await eventually(lambda number=number: len(connections) == number)
            for _ in range(2):
                async with opened(port) as (reader, _):
                    assert await reader.read() == b""

    run(talk())


def test_who_has_too_many_over_tls_loses_the_place_whether_or_not_it_closes_too(run, monkeypatch, tmp_path):
    monkeypatch.setattr(http_door, "is_loopback", lambda _: False)
    monkeypatch.setattr(http_door, "_ASK_S", 3600)
    authority = Authority(tmp_path, "authority")
    pair, client = authority.sign("hub"), authority.client()

    def silent(port):  # `asyncio` would answer the end of TLS by itself
        return client.wrap_socket(socket.create_connection(("127.0.0.1", port), LIMIT_S), server_hostname="localhost")

    async def talk():
        tls = {"ssl_certfile": pair.certificate, "ssl_keyfile": pair.key}
        async with served(told_at_once, of_one_max=1, **tls) as (port, connections):
            with await asyncio.to_thread(silent, port), await asyncio.to_thread(silent, port) as second:
                assert await asyncio.to_thread(second.recv, 1) == b""
                await asyncio.wait_for(eventually(lambda: len(connections) == 1), 5)

    run(talk())


def test_headers_have_a_limit(run):
    async def talk():
        async with served(told_at_once) as (port, _), opened(port) as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\nHost: hub\r\nX: " + b"x" * 64 * 1024 + b"\r\n\r\n")
            return await reader.readline()

    assert run(talk()).startswith(b"HTTP/1.1 400 ")
