"""Several messages in one MLLP frame: handled one by one, answered by one frame."""

import asyncio

import pytest
from prometheus_client import REGISTRY

from adapters.formats.hl7v2 import parse, split_messages
from adapters.formats.mllp import encode
from tests.adapters.inbound.conftest import codes, msa, oru
from tests.adapters.inbound.offline import eventually, listening

HEAD = b"BHS|^~\\&|LIS|01004|HIE|HUB|20261015||||B1\r"


def answers(body: bytes) -> list[tuple[str, str]]:
    return [msa(one) for one in split_messages(body.decode())]


def accounted() -> list[float]:
    """Bytes of all links that ended: come, and framed."""
    return [REGISTRY.get_sample_value("hie_mllp_bytes_total", {"kind": kind}) or 0.0 for kind in ("in", "framed")]


def test_a_batch_is_answered_by_one_batch_in_its_place_among_other_messages(tmp_path):
    async def talk():
        async with listening(tmp_path) as doors:
            link = await doors.link()
            batch = HEAD + oru("B1") + oru("B2", facility="99999") + oru("B3") + b"BTS|3\r"
            await link.write(encode(oru("A")) + encode(batch) + encode(oru("Z")))
            first, middle, last = [await link.answer() for _ in range(3)]
            assert (answers(first), answers(last)) == ([("AA", "A")], [("AA", "Z")])
            assert answers(middle) == [("AA", "B1"), ("AA", "B2"), ("AA", "B3")]
            lines = middle.decode().split("\r")
            assert lines[0].startswith("BHS|^~\\&|HIE|HUB|LIS|01004|") and lines[0].endswith("|B1") and lines[-2] == "BTS|3"
            raws = [message["raw"] for message in doors.brokers.messages()]
            assert b"".join(raws[1:4]) == batch  # each message has its own bytes, and none of the frame's is lost

    before = accounted()
    asyncio.run(talk())
    came, framed = (after - was for after, was in zip(accounted(), before, strict=True))
    assert came == framed > 0


def test_messages_in_a_row_are_answered_by_acknowledgements_in_a_row(tmp_path):
    async def talk():
        async with listening(tmp_path) as doors:
            link = await doors.link()
            answer = await link.ask(oru("R1") + oru("R2").replace(b"ORU^R01^ORU_R01", b"ADT^A99") + oru("R3"))
            assert answer.startswith(b"MSH|") and answers(answer) == [("AA", "R1"), ("AR", "R2"), ("AA", "R3")]
            assert answers(await link.ask(oru("R4"))) == [("AA", "R4")]

    asyncio.run(talk())


@pytest.mark.parametrize(("head", "tail", "code"), [(HEAD, b"BTS|7\r", "BATCH_COUNT_MISMATCH"), (HEAD, b"", "BATCH_UNBALANCED")])
def test_what_is_odd_about_the_batch_is_told_with_its_first_message(tmp_path, head, tail, code):
    async def talk():
        async with listening(tmp_path) as doors:
            first, second = split_messages((await (await doors.link()).ask(head + oru("C1") + oru("C2") + tail)).decode())
            assert (msa(first), codes(first)) == (("AA", "C1"), [code]) and codes(second) == []

    asyncio.run(talk())


def test_text_beside_the_messages_is_quarantined_and_the_messages_are_taken(tmp_path):
    async def talk():
        async with listening(tmp_path) as doors:
            answer = await (await doors.link()).ask(HEAD + oru("T1") + b"BTS|1\rscribble\r" + HEAD + oru("T2") + b"BTS|1\r")
            assert answers(answer) == [("AA", "T1"), ("AR", ""), ("AA", "T2")]
            stray = [message for message in doors.brokers.messages() if message["verdict"] == "quarantined"]
            assert [message["raw"] for message in stray] == [b"BTS|1\rscribble\r" + HEAD]

    asyncio.run(talk())


def test_a_batch_of_no_message_is_refused_and_kept(tmp_path):
    async def talk():
        async with listening(tmp_path) as doors:
            answer = await (await doors.link()).ask(HEAD + b"BTS|0\r")
            [ack] = split_messages(answer.decode())
            assert (msa(ack), codes(ack)) == (("AE", ""), ["NOTHING_REPRESENTABLE"])
            assert [message["raw"] for message in doors.brokers.messages()] == [HEAD + b"BTS|0\r"]

    asyncio.run(talk())


def test_messages_that_want_no_answer_get_none(tmp_path):
    quiet = oru("Q1").replace(b"|P|2.5.1\r", b"|P|2.5.1|||NE|NE\r")

    async def talk():
        async with listening(tmp_path) as doors:
            link = await doors.link()
            await link.write(encode(quiet + quiet))
            assert answers(await link.ask(quiet + oru("Q2"))) == [("AA", "Q2")]

    asyncio.run(talk())


def test_brokers_that_go_away_in_the_middle_of_a_batch_mean_silence(tmp_path):
    async def talk():
        async with listening(tmp_path) as doors:
            link = await doors.link()
            assert answers(await link.ask(oru("D0"))) == [("AA", "D0")]
            doors.brokers.fail_after = len(doors.brokers.held) + 2
            assert await link.ask(HEAD + oru("D1") + oru("D2") + b"BTS|2\r") == b""

    asyncio.run(talk())


def test_more_messages_than_the_limit_are_refused_as_a_whole_and_kept(tmp_path):
    batch = oru("L1") + oru("L2") + oru("L3")

    async def talk():
        async with listening(tmp_path, batch_max=2) as doors:
            link = await doors.link()
            [ack] = split_messages((await link.ask(batch)).decode())
            assert (msa(ack), codes(ack)) == (("AR", ""), ["FRAME_TOO_LARGE"])
            [kept] = doors.brokers.messages()
            assert (kept["verdict"], kept["raw"]) == ("refused", batch)
            assert answers(await link.ask(oru("L4"))) == [("AA", "L4")]

    asyncio.run(talk())


def test_a_batch_larger_than_the_pipeline_keeps_its_order_and_its_limits(tmp_path):
    ids = [f"H{number:04}" for number in range(700)]  # beyond 256 KiB: taken apart in a thread
    batch = b"".join(map(oru, ids))

    async def talk():
        async with listening(tmp_path, pipeline_max=4) as doors:
            link = await doors.link()
            await link.write(encode(batch) + encode(oru("AFTER")))
            assert answers(await link.answer()) == [("AA", control_id) for control_id in ids]
            assert answers(await link.answer()) == [("AA", "AFTER")]
            assert b"".join(message["raw"] for message in doors.brokers.messages()[:-1]) == batch

    asyncio.run(talk())


def test_a_sender_that_half_closes_after_a_batch_still_gets_its_answer(tmp_path):
    async def talk():
        async with listening(tmp_path) as doors:
            link = await doors.link()
            await link.write(encode(HEAD + oru("E1") + oru("E2") + b"BTS|2\r"))
            link._writer.write_eof()
            assert answers(await link.answer()) == [("AA", "E1"), ("AA", "E2")]
            assert await link.answer() == b""
            await eventually(lambda: not doors.listener._links)

    asyncio.run(talk())


def test_the_answer_reads_as_hl7_does(tmp_path):
    async def talk():
        async with listening(tmp_path) as doors:
            answer = (await (await doors.link()).ask(HEAD + oru("P1") + b"BTS|1\r")).decode()
            assert parse(split_messages(answer)[0]).type == "ACK"

    asyncio.run(talk())
