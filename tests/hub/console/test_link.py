"""The link of an open page: what goes over it, and when its session counts as used."""

import asyncio

import pytest
from psycopg_pool import PoolTimeout

from hub.console.link import Link, _said


def test_a_page_that_only_updates_itself_is_not_used():
    looks, sent = [], []

    class Looked:
        async def known(self, _token, _at, *, used):
            looks.append("use" if used else "look")
            return "somebody"

        async def glance(self, _token, _at):
            looks.append("glance")
            return "somebody"

    frames = iter(['42["ack",{"client_id":"p1","next_message_id":7}]', "3", '42["event",{"id":1,"client_id":"p1"}]'])

    async def receive():
        return {"type": "websocket.receive", "text": next(frames)}

    async def send(message):
        sent.append(message)

    async def story():
        link = Link(Looked(), "token", "p1", receive, send)
        for _ in range(3):
            assert (await link.receive())["type"] == "websocket.receive"
        await link.send({"type": "websocket.send", "text": "news"})

    asyncio.run(story())
    assert looks == ["glance", "glance", "use", "glance"]
    assert [one["text"] for one in sent] == ["news"]


def test_while_the_database_is_away_a_click_does_nothing_and_the_page_stays():
    """Nobody is put out then, as nobody could come in again; and nobody acts whose session may have ended."""
    sent = []

    class Away:
        async def known(self, _token, _at, *, used):
            raise PoolTimeout

        async def glance(self, _token, _at):
            raise PoolTimeout

    frames = iter(
        [
            '42["event",{"id":1,"client_id":"p1"}]',
            '42["ack",{"client_id":"p1","next_message_id":7}]',
            '42["event",{"id":2,"client_id":"p1"}]',
            "3",
        ]
    )

    async def receive():
        return {"type": "websocket.receive", "text": next(frames)}

    async def send(message):
        sent.append(message)

    async def story():
        link = Link(Away(), "token", "p1", receive, send)
        came = [(await link.receive())["text"] for _ in range(2)]
        await link.send({"type": "websocket.send", "text": "news"})
        return came

    assert asyncio.run(story()) == ['42["ack",{"client_id":"p1","next_message_id":7}]', "3"]
    assert [one["text"] for one in sent] == ["news"]


CLICK = '["event",{"id":1,"client_id":"p1","args":[]}]'


@pytest.mark.parametrize(
    "frame, said",
    [
        (f"42{CLICK}", "event"),
        (f"427{CLICK}", "event"),
        ('42["ack",{"client_id":"p1","next_message_id":7}]', "ack"),
        ('42["javascript_response",{"request_id":"r","client_id":"p1","result":{"client_id":"p2"}}]', "javascript_response"),
        ('42["log",{"client_id":"p1","level":"error","message":"Payload"}]', "log"),
        ('420["handshake",{"client_id":"p1","tab_id":"t"}]', "handshake"),
        *((frame, "") for frame in ("1", "2", "2probe", "3", "6", "40", "41")),
    ],
)
def test_what_a_browser_sends_goes_through(frame, said):
    assert _said(frame, "p1") == said


@pytest.mark.parametrize(
    "frame",
    [
        f"42/,{CLICK}",
        f"42 {CLICK}",
        f"42[ {CLICK[1:]}",
        f"451-{CLICK}",
        f"42\u0661{CLICK}",
        f"\uff14\uff12{CLICK}",
        f"4 2{CLICK}",
        "bNDI=",
        "",  # of bytes there is no text
        '42["eve\\u006et",{"client_id":"p1"}]',
        '42["disconnect","p1"]',
        '42["event","p1"]',
        '42["event",{"id":1}]',
        '42["event",',
    ],
)
def test_a_spelling_that_no_browser_writes_is_no_way_round_the_look_at_the_session(frame):
    assert _said(frame, "p1") is None


@pytest.mark.parametrize("kind", ["event", "ack", "javascript_response", "log", "handshake"])
@pytest.mark.parametrize("named", ['"client_id":"p2"', '"client_id":"p1","client_id":"p2"', '"client_id":["p1"]'])
def test_nobody_speaks_for_another_page(kind, named):
    assert _said(f'42["{kind}",{{"id":1,{named}}}]', "p1") is None


def test_what_no_page_sends_goes_nowhere_and_the_link_stays():
    looks = []

    class Looked:
        async def known(self, _token, _at, *, used):
            looks.append(used)
            return "somebody"

    frames = iter(
        [{"bytes": b"42"}, {"text": f"42/,{CLICK}"}, {"text": f"42{CLICK.replace('p1', 'p2')}"}, {"text": f"42{CLICK}"}]
    )

    async def receive():
        return {"type": "websocket.receive", **next(frames)}

    async def story():
        return (await Link(Looked(), "token", "p1", receive, None).receive())["text"]

    assert asyncio.run(story()) == f"42{CLICK}"
    assert looks == [True]
