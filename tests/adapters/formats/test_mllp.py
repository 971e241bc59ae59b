"""Framing: whatever TCP cuts and senders get wrong, every byte ends in a frame or in junk."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.formats.mllp import Decoder, Frame, Junk, encode


def run(pieces: list[bytes], limit: int = 1000) -> list[Frame | Junk]:
    decoder = Decoder(limit)
    out = [item for piece in pieces for item in decoder.feed(piece)]
    out += decoder.close()
    assert decoder.bytes_in == sum(map(len, pieces)) == decoder.bytes_framed + decoder.bytes_junk
    assert decoder.bytes_framed == sum(item.size for item in out if isinstance(item, Frame))
    assert decoder.bytes_junk == sum(item.size for item in out if isinstance(item, Junk))
    return out


def bodies(items: list[Frame | Junk]) -> list[bytes]:
    return [item.body for item in items if isinstance(item, Frame)]


def codes(items: list[Frame | Junk]) -> list[str]:
    found = []
    for item in items:
        if isinstance(item, Frame):
            found += [problem.code for problem in item.problems]
        elif item.problem:
            found.append(item.problem.code)
    return found


def test_one_frame() -> None:
    assert run([b"\x0bMSH|\x1c\r"]) == [Frame(b"MSH|", 7)]


def test_pipelined_frames_in_one_read() -> None:
    assert bodies(run([b"".join(encode(b"%d" % n) for n in range(50))])) == [b"%d" % n for n in range(50)]


CONVERSATION = (
    b"\r\n\x0bone\x1c\r\x0btwo\x1c\x0bthree\x1c\n\x00junk\x0bfo\x1cur\x1c\r\x0bcut\x0bfive\x1c\r\x0b"
    + b"x" * 30
    + b"\x1c\rtail\x0bun"
)


def test_every_split_of_a_conversation_gives_the_same() -> None:
    whole = run([CONVERSATION], limit=20)
    assert bodies(whole) == [b"one", b"two", b"three", b"fo\x1cur", b"five"]
    for first in range(len(CONVERSATION)):
        for second in range(first, len(CONVERSATION)):
            assert run([CONVERSATION[:first], CONVERSATION[first:second], CONVERSATION[second:]], limit=20) == whole
    assert run([bytes([byte]) for byte in CONVERSATION], limit=20) == whole


@given(st.lists(st.sampled_from([b"\x0b", b"\x1c", b"\r", b"\n", b"\x00", b"MSH|", b"x" * 40, b"\x1c\r\x0b"])), st.data())
def test_no_damage_loses_a_byte_and_no_split_matters(parts: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    edges = [0, *cuts, len(stream)]
    pieces = [stream[a:b] for a, b in pairwise(edges)]
    assert run(pieces, limit=60) == run([stream], limit=60)


@pytest.mark.parametrize("padding", [b"\r", b"\n", b"\r\n", b"\x00\x00"])
def test_padding_between_frames_is_harmless_but_accounted(padding: bytes) -> None:
    items = run([encode(b"a") + padding + encode(b"b")])
    assert bodies(items) == [b"a", b"b"]
    assert items[1] == Junk(padding, len(padding), None)


def test_junk_between_frames_is_told() -> None:
    assert codes(run([b"GET / HTTP/1.1\r\n\r\n" + encode(b"a")])) == ["BYTES_BETWEEN_FRAMES"]


@pytest.mark.parametrize("follows", [b"\x0bb\x1c\r", b"\n\x0bb\x1c\r", b"\x00\x0bb\x1c\r"])
def test_a_missing_carriage_return_is_forgiven(follows: bytes) -> None:
    items = run([b"\x0ba\x1c" + follows])
    assert bodies(items) == [b"a", b"b"]
    assert codes(items) == ["FRAME_TAIL_MISSING"]


def test_a_missing_carriage_return_at_the_end_of_the_connection_is_forgiven() -> None:
    assert codes(run([b"\x0ba\x1c"])) == ["FRAME_TAIL_MISSING"]


def test_an_end_byte_inside_text_is_text() -> None:
    assert bodies(run([b"\x0ba\x1cb\x1c\r"])) == [b"a\x1cb"]


VPS = b"MSH|^~\\&|LIS|01004\rPID|1||MR1||NGUY\xd5N^M\x1cN^D\x1cU|\x1cM|\r\x1cNG"
"""A stray 0xD5 stands for any letter; Ẫ within a word, at its beginning, and at that of a line."""


@pytest.mark.parametrize("last", [b"", b"\r"])
def test_the_letter_that_is_an_end_byte_in_vps_ends_no_message(last: bytes) -> None:
    framed = b"\x0b" + VPS + last + b"\x1c\r"
    stream, whole = framed + b"\r\n" + framed, [VPS + last] * 2
    assert bodies(run([bytes([byte]) for byte in stream])) == whole
    for cut in range(len(stream)):
        assert bodies(run([stream[:cut], stream[cut:]])) == whole


def test_half_a_message_is_no_frame_after_silence_nor_when_the_link_ends() -> None:
    framed = b"\x0b" + VPS.replace(b"|\x1cM|\r\x1cNG", b"|\r") + b"\x1c\r"
    for cut in range(1, len(framed) - 1):
        decoder = Decoder()
        assert decoder.feed(framed[:cut]) == [] == decoder.take_ended()
        assert not decoder.ended and decoder.bytes_pending == cut
        [junk] = run([framed[:cut]])
        assert isinstance(junk, Junk) and junk.data == framed[:cut]
        assert decoder.feed(framed[cut:]) == [Frame(framed[1:-2], len(framed))]


HEAD = b"MSH|^~\\&|LIS|01004\rPID|1||MR1||NGUY"


@pytest.mark.parametrize(
    "body",
    [
        HEAD + b"EN",
        HEAD + "ỄN".encode(),
        HEAD + "ỄN|ĐẪ".encode()[:-1] + b"T",  # the hospital's system cut a letter
        HEAD + b"\xd4N|0|F",  # TCVN3
        VPS + b"\r",
    ],
)
def test_a_frame_without_its_carriage_return_is_given_out_after_silence_and_when_the_link_ends(body: bytes) -> None:
    decoder = Decoder()
    assert decoder.feed(b"\x0b" + body + b"\x1c") == [] and decoder.ended
    [frame] = decoder.take_ended()
    assert isinstance(frame, Frame) and frame.body == body and codes([frame]) == ["FRAME_TAIL_MISSING"]
    assert decoder.bytes_pending == 0 and not decoder.unfinished
    decoder.feed(b"\x0b" + body + b"\x1c")
    assert bodies(decoder.close()) == [body]


@pytest.mark.parametrize("body", [HEAD + b"EN", HEAD + "ỄN".encode(), HEAD + b"\xd5N", VPS])
def test_a_whole_frame_waits_for_nothing(body: bytes) -> None:
    assert Decoder().feed(b"\x0b" + body + b"\x1c\r") == [Frame(body, len(body) + 3)]


def test_take_ended_gives_a_frame_to_a_sender_that_never_writes_the_carriage_return() -> None:
    decoder = Decoder()
    assert decoder.feed(b"\x0ba\x1c") == []
    assert bodies(decoder.take_ended()) == [b"a"]
    assert decoder.take_ended() == []
    assert decoder.feed(b"\r" + encode(b"b")) == [Junk(b"\r", 1, None), Frame(b"b", 4)]


def test_a_start_inside_an_unfinished_frame_begins_the_next() -> None:
    items = run([b"\x0blost\x0bkept\x1c\r"])
    assert bodies(items) == [b"kept"]
    assert items[0] == Junk(b"\x0blost", 5, items[0].problem)  # type: ignore[union-attr]
    assert codes(items) == ["FRAME_UNFINISHED"]


def test_an_oversize_frame_is_counted_but_not_held() -> None:
    decoder = Decoder(limit=100)
    assert decoder.feed(b"\x0b") == []
    for _ in range(1000):
        assert decoder.feed(b"y" * 1000) == []
        assert len(decoder._body) <= 101
    (junk, frame) = decoder.feed(b"\x1c\r" + encode(b"next"))
    assert isinstance(junk, Junk) and junk.problem and junk.problem.code == "FRAME_TOO_LARGE"
    assert junk.size == 1_000_003 and len(junk.data) == 101
    assert isinstance(frame, Frame) and frame.body == b"next"


def test_a_frame_of_exactly_the_limit_is_taken() -> None:
    for pieces in ([b"\x0b" + b"z" * 100 + b"\x1c\r"], [b"\x0b", b"z" * 60, b"z" * 40, b"\x1c", b"\r"]):
        assert bodies(run(pieces, limit=100)) == [b"z" * 100]


def test_endless_junk_holds_little_memory() -> None:
    decoder = Decoder()
    for _ in range(1000):
        decoder.feed(b"j" * 1024)
    assert decoder.bytes_junk == 1024 * 1000
    (junk,) = decoder.close()
    assert isinstance(junk, Junk) and junk.size == 1024 * 1000 and len(junk.data) == 64 * 1024


def test_what_is_pending_is_known() -> None:
    decoder = Decoder()
    decoder.feed(b"\x0bhalf")
    assert decoder.unfinished and decoder.bytes_pending == 5
    assert codes(decoder.close()) == ["FRAME_UNFINISHED"]
    assert not decoder.unfinished and decoder.bytes_pending == 0


def test_work_grows_with_the_bytes_not_with_their_square() -> None:
    # 20 MB in pieces of 1 KB: were each piece to search what came before, this would be 200 GB of searching.
    decoder = Decoder()
    decoder.feed(b"\x0b")
    for _ in range(20 * 1024 - 1):
        decoder.feed(b"a" * 1024)
    (frame,) = decoder.feed(b"\x1c\r")
    assert isinstance(frame, Frame) and len(frame.body) == (20 * 1024 - 1) * 1024


@given(st.binary(max_size=200).filter(lambda body: b"\x0b" not in body and b"\x1c" not in body))
def test_encode_is_the_reverse(body: bytes) -> None:
    assert run([encode(body)]) == [Frame(body, len(body) + 3)]


@pytest.mark.parametrize("body", [b"a\x0bb", b"a\x1cb"])
def test_a_body_with_framing_characters_cannot_be_framed(body: bytes) -> None:
    with pytest.raises(ValueError, match="0x0B"):
        encode(body)
