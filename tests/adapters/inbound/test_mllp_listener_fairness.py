"""Noisy senders beside good ones: the results of the good ones are those they have alone, and nobody waits for a flood to end."""

import asyncio
from contextlib import suppress

import pytest
import structlog
import uvloop

from adapters.formats.mllp import encode
from hub.access.credentials import Credential, Credentials
from hub.access.quota import Quotas
from hub.contract import telemetry
from tests.adapters.inbound.conftest import msa, oru
from tests.adapters.inbound.offline import eventually, listening

GOOD = [[(f"G{link}-{number}", f"O{link}-{number}") for number in range(4)] for link in range(4)]
NAME = "NGUYỄN^ĂN^THỊ"


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """A log line a refusal, on a console, would be most of what these tests do."""
    monkeypatch.setattr(
        telemetry, "_log", structlog.wrap_logger(structlog.PrintLogger(), wrapper_class=structlog.make_filtering_bound_logger(50))
    )


def of_good(doors):
    """What the brokers hold of the good senders: control id, verdict, charset, problems, ids of events."""
    return sorted(
        (one["control_id"], one["verdict"], one["charset"], repr(one["problems"]), repr(one["events"]))
        for one in doors.brokers.messages()
        if one["control_id"].startswith("G")
    )


async def good(doors, messages):
    """A lock-step sender: each message after the acknowledgement of the one before."""
    link, told = await doors.link(), []
    for control_id, order in messages:
        told.append(msa((await link.ask(oru(control_id, order=order).replace(b"MAU^AN^THI", NAME.encode()))).decode()))
    return told


async def wrong_charset(doors, stop):
    link = await doors.link()
    while not stop.is_set():
        raw = oru("NOISE1").decode().replace("MAU^AN^THI", NAME).replace("|P|2.5.1\r", "|P|2.5.1||||||UNICODE UTF-8\r")
        await link.ask(raw.encode("cp1258", "ignore"))


async def truncated(doors, stop):
    while not stop.is_set():
        link = await doors.link()
        await link.write(encode(oru("NOISE2"))[:-40])
        await link.close()


async def flooding(doors, stop):
    link = await doors.link()
    tiny = encode(b"MSH|^~\\&|x") * 2000 + encode(oru("NOISE3")) * 500 + b"\x0b\x1c\r" * 2000

    async def read():
        while await link.answer():
            pass

    reading = asyncio.create_task(read())
    while not stop.is_set():
        await link.write(tiny)
    reading.cancel()


async def run_all(folder, *noises):
    async with listening(folder) as doors:
        stop = asyncio.Event()
        noisy = [asyncio.create_task(noise(doors, stop)) for noise in noises]
        told = await asyncio.gather(*(good(doors, messages) for messages in GOOD))
        stop.set()
        for task in noisy:
            task.cancel()
            with suppress(asyncio.CancelledError, OSError):
                await task
        return told, of_good(doors)


def test_noisy_links_change_nothing_for_the_others(tmp_path):
    alone = asyncio.run(run_all(tmp_path))
    beside = asyncio.run(run_all(tmp_path, wrong_charset, truncated, flooding))
    assert alone == beside
    assert alone[0] == [[("AA", control_id) for control_id, _ in messages] for messages in GOOD]


def test_a_flood_gives_way_after_a_few_messages(tmp_path):
    async def talk():
        async with listening(tmp_path) as doors:
            flood, quiet = await doors.link(), await doors.link()
            assert msa((await quiet.ask(oru("Q0"))).decode()) == ("AA", "Q0")
            flood._writer.write(b"".join(encode(oru(f"F{number}")) for number in range(3000)))  # it lies with the sender still
            await flood.answer()  # it is under way
            for number in range(1, 6):
                assert msa((await quiet.ask(oru(f"Q{number}"))).decode()) == ("AA", f"Q{number}")
            order = [one["control_id"] for one in doors.brokers.messages()]
            # By order, not by clock: all five came through before the flood was over.
            assert order.index("Q5") < 3000 and len(order) < 3000

    asyncio.run(talk())


def test_a_read_full_of_tiny_frames_is_decoded_bit_by_bit_and_every_frame_is_answered(tmp_path):
    async def talk():
        async with listening(tmp_path) as doors:
            link = await doors.link()
            await link.write(b"\x0b\x1c\r" * 1500 + encode(oru("AFTER")) + b"\x0bMSH|unfinished")
            link._writer.write_eof()
            told = [msa((await link.answer()).decode()) for _ in range(1501)]
            assert told == [("AR", "")] * 1500 + [("AA", "AFTER")] and await link.answer() == b""
            assert doors.brokers.messages()[-1]["problems"][0]["code"] == "FRAME_UNFINISHED"

    asyncio.run(talk())


def limited(tmp_path, **limits):
    sender = Credential("limited", None, **limits)

    class Everyone(Credentials):
        def of_address(self, address):
            return sender

    return Everyone({}, [], local=True)


class Turnstile(Quotas):
    """The quota of everybody: so many messages more, whatever the clock says."""

    def __init__(self, left):
        self.left = left

    def of(self, credential, at):
        return self

    def wait_s(self, at):
        return 0.0 if self.left > 0 else 0.01

    def take(self, size, messages=1):
        self.left -= messages


def test_beyond_its_quota_a_link_is_read_no_further_and_nothing_is_lost(tmp_path):
    async def talk():
        async with listening(tmp_path, quotas=(quota := Turnstile(5))) as doors:
            link = await doors.link()
            ids = [f"L{number}" for number in range(20)]
            await link.write(b"".join(encode(oru(control_id)) for control_id in ids))
            assert [msa((await link.answer()).decode())[1] for _ in range(5)] == ids[:5]
            [behind] = doors.listener._links
            assert behind._backlog and not behind._reading  # the rest waits, unread and unanswered
            quota.left = 15
            assert [msa((await link.answer()).decode())[1] for _ in range(15)] == ids[5:]

    asyncio.run(talk())


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_no_link_of_a_sender_beyond_its_quota_is_read_not_even_a_new_one(tmp_path, new_loop):
    async def talk():
        async with listening(tmp_path, quotas=(quota := Turnstile(1))) as doors:
            listener, one, two = doors.listener, await doors.link(), await doors.link()
            await two.write(b"\x0bMSH|^~\\&|")
            await eventually(lambda: listener.bytes_came == 10)
            assert msa((await one.ask(oru("Q1"))).decode()) == ("AA", "Q1")  # the last it may send for now
            came = listener.bytes_came
            new = await doors.link()
            for link in (one, two, new):
                link._writer.write(b"x" * 4_000_000 if link is two else encode(oru("Q2")))  # it lies with the sender
            await eventually(lambda: len(listener._links) == 3 and not any(link._reading for link in listener._links))
            assert listener.bytes_came - came < 1_000_000  # one read of each at the most, however much lies there
            assert min(link._decoder.bytes_in for link in listener._links) == 0  # and none of the new one
            before = listener.bytes_came
            await asyncio.sleep(0.1)
            assert listener.bytes_came == before
            quota.left = 2
            assert [msa((await link.answer()).decode()) for link in (one, new)] == [("AA", "Q2")] * 2

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(talk())


def test_the_silence_of_a_link_that_is_not_read_is_ours(tmp_path):
    async def talk():
        async with listening(tmp_path, quotas=(quota := Turnstile(1)), idle_s=0.2) as doors:
            link = await doors.link()
            assert msa((await link.ask(oru("I1"))).decode()) == ("AA", "I1")
            await link.write(encode(oru("I2")))
            await asyncio.sleep(1.0)
            quota.left = 1
            assert msa((await link.answer()).decode()) == ("AA", "I2")

    asyncio.run(talk())


@pytest.mark.parametrize("limits", [{"messages_per_minute": 60_000}, {"bytes_per_minute": 600_000_000}])
def test_within_its_quota_a_sender_notices_nothing(tmp_path, limits):
    async def talk():
        async with listening(tmp_path, limited(tmp_path, **limits)) as doors:
            link = await doors.link()
            await link.write(encode(oru("W")) * 100)
            assert [msa((await link.answer()).decode())[1] for _ in range(100)] == ["W"] * 100

    asyncio.run(talk())


def test_many_links_are_held_to_their_limits_some_at_a_time_and_each_is(tmp_path, monkeypatch):
    monkeypatch.setattr("adapters.inbound.mllp_listener._LOOKS_MAX", 3)

    async def talk():
        async with listening(tmp_path, idle_s=0.4) as doors:
            links = [await doors.link() for _ in range(10)]
            assert [await asyncio.wait_for(link.answer(), 10) for link in links] == [b""] * 10  # all closed for their silence
            assert doors.listener._look_s == pytest.approx(0.1)

    asyncio.run(talk())


def test_pipelined_frames_without_their_last_cr_are_all_answered(tmp_path):
    async def talk():
        async with listening(tmp_path, frame_wait_s=3600.0) as doors:
            link = await doors.link()
            ids = [f"N{number}" for number in range(40)]  # more than one turn: reading pauses between
            await link.write(b"".join(encode(oru(control_id))[:-1] for control_id in ids))
            assert [msa((await link.answer()).decode()) for _ in ids] == [("AA", control_id) for control_id in ids]

    asyncio.run(talk())


def test_a_link_whose_sender_has_gone_keeps_its_place_until_what_it_sent_is_taken(tmp_path):
    async def talk():
        async with listening(tmp_path, quotas=(quota := Turnstile(1)), links_max=1) as doors:
            link = await doors.link()
            await link.write(b"".join(encode(oru(control_id)) for control_id in ("K1", "K2", "K3")))
            assert msa((await link.answer()).decode()) == ("AA", "K1")
            link.reset()
            quota.left = 1
            [gone] = doors.listener._links
            await eventually(lambda: gone._transport is None)  # the answer to K2 finds nobody
            assert await (await doors.link()).answer() == b""  # no room, however often it comes again
            quota.left = 1
            await eventually(lambda: not doors.listener._links)
            assert [one["control_id"] for one in doors.brokers.messages()] == ["K1", "K2", "K3"]

    asyncio.run(talk())
