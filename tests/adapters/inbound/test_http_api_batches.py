"""Several messages in one request: an answer for each, and a word on each when not all could be taken."""

import asyncio

import httpx
import pytest
from fastapi import Request

from adapters.formats.hl7v2 import split_messages
from adapters.inbound import http_api
from adapters.inbound.http_api import HttpServer, build_api
from hub.access import http_door
from hub.access.credentials import Credentials, make_token
from hub.contract.settings import read_settings
from tests.adapters.inbound.conftest import msa, oru
from tests.adapters.inbound.offline import eventually, offline_gate

HL7 = {"Accept": "application/hl7-v2"}


@pytest.fixture
def post(tmp_path):
    """Post bodies, or pairs of one and its headers, to an API before an offline gate; returns the answers and the brokers."""

    def send(*bodies, headers=None, credentials=None, fail_after=None, base="http://hub", peer="127.0.0.1", **changes):
        async def ask():
            gate, brokers = offline_gate(tmp_path)
            brokers.fail_after = fail_after
            settings = read_settings(data_dir=tmp_path, **changes)
            api = build_api(settings, gate, credentials or Credentials.open(None), brokers)
            transport = httpx.ASGITransport(api, client=(peer, 40_000))
            async with httpx.AsyncClient(transport=transport, base_url=base, headers=headers) as client:
                each = [body if isinstance(body, tuple) else (body, {}) for body in bodies]
                answers = [await client.post("/v1/messages", content=body, headers=own) for body, own in each]
            gate.close()
            return answers, brokers

        return asyncio.run(ask())

    return send


def refused(control_id):
    return oru(control_id).replace(b"ORU^R01^ORU_R01", b"ADT^A99")


def test_each_message_of_a_batch_is_taken_or_refused_by_itself(post):
    batch = b"BHS|^~\\&|LIS|01004|||||||B1\r" + oru("M1") + refused("M2") + oru("M3") + b"BTS|2\r"
    [answer], brokers = post(batch)
    assert answer.status_code == 207
    items = answer.json()["items"]
    assert [(one["control_id"], one["verdict"], one["ack"]) for one in items] == [
        ("M1", "translated", "AA"),
        ("M2", "refused", "AR"),
        ("M3", "translated", "AA"),
    ]
    assert [one["code"] for one in items[0]["problems"]] == ["BATCH_COUNT_MISMATCH"] and items[2]["problems"] == []
    held = brokers.messages()
    assert [one["message_id"] for one in held] == [one["message_id"] for one in items]
    assert b"".join(one["raw"] for one in held) == batch


def test_whoever_accepts_hl7_gets_the_acknowledgements_in_the_form_of_the_request(post):
    answers, _ = post(oru("H1") + oru("H2"), b"BHS|^~\\&|LIS|01004\r" + oru("H3") + b"BTS|1\r", headers=HL7)
    assert [answer.status_code for answer in answers] == [207, 207]
    assert [msa(one) for one in split_messages(answers[0].text)] == [("AA", "H1"), ("AA", "H2")]
    assert answers[1].text.startswith("BHS|") and answers[1].text.endswith("BTS|1\r")


@pytest.mark.parametrize("frames", [1, 2])
def test_a_body_that_is_mllp_frames_is_read_as_what_is_in_them(post, frames):
    [answer], _ = post(b"".join(b"\x0b" + oru(f"W{number}") + b"\x1c\r" for number in range(frames)))
    items = answer.json()["items"] if frames > 1 else [answer.json()]
    assert [(one["control_id"], one["verdict"], one["problems"]) for one in items] == [
        (f"W{number}", "translated", []) for number in range(frames)
    ]


def test_brokers_that_go_away_in_the_middle_leave_a_word_on_each_message(post):
    [answer], brokers = post(oru("B1") + oru("B2") + oru("B3"), fail_after=2)  # room for the first and its event
    assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0
    body = answer.json()
    assert body["code"] == "BROKER_UNAVAILABLE"
    assert [one and one["control_id"] for one in body["items"]] == ["B1", None, None]
    assert [one["control_id"] for one in brokers.messages()] == ["B1"]


def test_after_a_message_that_is_not_confirmed_no_other_is_begun(post):
    [answer], brokers = post(b"".join(oru(f"N{number}") for number in range(50)), fail_after=4, pipeline_max=2)
    taken = [one and one["control_id"] for one in answer.json()["items"]]
    assert taken == ["N0", "N1", *[None] * 48] and len(brokers.messages()) == 2


def test_too_many_messages_are_refused_as_a_whole_and_kept(post):
    [answer], brokers = post(oru("T1") * 3, batch_max=2)
    assert answer.status_code == 413 and answer.json()["code"] == "FRAME_TOO_LARGE"
    [kept] = brokers.messages()
    assert (kept["verdict"], kept["raw"]) == ("refused", kept["raw"][: len(kept["raw"]) // 3] * 3)


def test_a_sender_beyond_its_quota_is_told_when_to_come_again(post, tmp_path):
    token, digest = make_token()
    file = tmp_path / "credentials.toml"
    file.write_text(f'[sender.a]\nfacilities = ["01004"]\ntoken_blake2b = "{digest}"\nmessages_per_minute = 2\n')
    bearer = {"Authorization": f"Bearer {token}"}
    answers, brokers = post(oru("Q1"), oru("Q2") + oru("Q3"), oru("Q4"), headers=bearer, credentials=Credentials.open(file))
    assert [answer.status_code for answer in answers] == [200, 207, 429]
    assert 1 <= int(answers[2].headers["retry-after"]) <= 60 and answers[2].json()["code"] == "OVERLOADED"
    assert [one["control_id"] for one in brokers.messages()] == ["Q1", "Q2", "Q3"]


def test_a_quota_counts_what_came_and_not_what_was_announced(post, tmp_path):
    token, digest = make_token()
    file = tmp_path / "credentials.toml"
    file.write_text(f'[sender.a]\nfacilities = ["01004"]\ntoken_blake2b = "{digest}"\nbytes_per_minute = 100000\n')
    bearer = {"Authorization": f"Bearer {token}"}
    boast = (oru("Q5"), {"Content-Length": "9" * 15})
    answers, _ = post(boast, oru("Q6"), headers=bearer, credentials=Credentials.open(file))
    assert [answer.status_code for answer in answers] == [413, 200]


def test_connections_that_ask_for_nothing_make_room(tmp_path, monkeypatch):
    monkeypatch.setattr(http_door, "_ASK_S", 0.2)

    async def talk():
        gate, brokers = offline_gate(tmp_path)
        server = HttpServer(build_api(read_settings(data_dir=tmp_path), gate, Credentials.open(None), brokers), "127.0.0.1", 0)
        port = await server.start()
        for begun in (b"", b"POST /v1/mess"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(begun)
            assert await reader.read() == b""
            writer.close()
        monkeypatch.setattr(http_door, "_ASK_S", 3600.0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        body = oru("SLOW")
        writer.write(b"POST /v1/messages HTTP/1.1\r\nHost: hub\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:9])
        open_ones = server._server.server_state.connections
        await eventually(lambda: [one for one in open_ones if one.cycle is not None])
        [busy] = open_ones
        for _ in range(3):
            busy._look(None)
            busy._look(busy)  # a request under way is not cut off, however often it is looked at
        writer.write(body[9:])
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        writer.close()
        await server.stop(5)
        gate.close()

    asyncio.run(talk())


def test_beyond_its_connections_the_hub_says_when_to_come_again(tmp_path, monkeypatch):
    monkeypatch.setattr(http_api, "_OPEN_MAX", 1)

    async def talk():
        gate, brokers = offline_gate(tmp_path)
        server = HttpServer(build_api(read_settings(data_dir=tmp_path), gate, Credentials.open(None), brokers), "127.0.0.1", 0)
        port = await server.start()
        _reader, silent = await asyncio.open_connection("127.0.0.1", port)
        open_ones = server._server.server_state.connections
        await eventually(lambda: open_ones)
        for status, code in ((503, "OVERLOADED"), (200, None)):
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
                answer = await client.post("/v1/messages", content=oru("ROOM"))
                assert (answer.status_code, answer.json().get("code")) == (status, code)
                assert ("retry-after" in answer.headers) is (status == 503)
            silent.close()
            await eventually(lambda: not open_ones)
        await server.stop(5)
        gate.close()

    asyncio.run(talk())


def test_a_token_is_taken_over_tls_or_from_this_machine_only(post, tmp_path):
    token, digest = make_token()
    file = tmp_path / "credentials.toml"
    file.write_text(f'[sender.a]\nfacilities = ["01004"]\ntoken_blake2b = "{digest}"\n')
    known = {"headers": {"Authorization": f"Bearer {token}"}, "credentials": Credentials.open(file)}
    [near], _ = post(oru("T1"), **known)
    [secure], _ = post(oru("T2"), peer="10.0.0.7", base="https://hub", **known)
    [plain], brokers = post(oru("T3"), peer="10.0.0.7", **known)
    assert (near.status_code, secure.status_code) == (200, 200)
    assert plain.status_code == 403 and plain.json()["code"] == "TLS_REQUIRED" and brokers.held == []


def test_of_a_content_type_only_the_beginning_is_read():
    """Its parameters are read in the square of its length: one of 60 KB would hold up everybody for seconds."""
    for pad, charset in (("", "windows-1258"), ("a=b; " * 80, "")):
        stated = f"text/plain; {pad}charset=windows-1258".encode()
        assert http_api._charset(Request({"type": "http", "headers": [(b"content-type", stated)]})) == charset
