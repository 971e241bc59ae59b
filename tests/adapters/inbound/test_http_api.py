"""POST /v1/messages and the pages beside it."""

import asyncio

import httpx
import pytest

from adapters.formats.hl7v2 import parse
from adapters.inbound.gate import MESSAGES, Gate
from adapters.inbound.http_api import build_api
from adapters.inbound.raw_store import RawStore
from hub.access.credentials import Credentials, make_token
from hub.bus import Producer, Wire
from hub.contract.events import Keyring
from hub.contract.places import shipped
from tests.adapters.inbound.conftest import oru


@pytest.fixture(scope="module")
def client(border):
    with httpx.Client(base_url=f"http://127.0.0.1:{border.http_port}", timeout=60) as one:
        yield one


def test_a_message_is_taken_and_the_answer_names_its_events(border, client):
    with border.new_records(MESSAGES, "lab-result.v1") as read:
        answer = client.post("/v1/messages", content=oru("H1"), headers={"Content-Type": "application/hl7-v2"})
        assert answer.status_code == 200
        body = answer.json()
        assert (body["control_id"], body["verdict"], body["ack"]) == ("H1", "translated", "AA")
        held = border.received("H1", read)
        assert held["message_id"] == body["message_id"] and held["transport"] == "http"
        assert held["events"] == body["events"] and body["events"][0]["topic"] == "lab-result.v1"


def test_a_refusal_is_422_with_code_place_and_sentence_in_two_languages(client):
    answer = client.post("/v1/messages", content=oru("H2").replace(b"ORU^R01^ORU_R01", b"ADT^A99"))
    assert answer.status_code == 422
    body = answer.json()
    assert body["verdict"] == "refused" and body["ack"] == "AR" and body["events"] == []
    [problem] = [one for one in body["problems"] if one["severity"] == "E"]
    assert problem["code"] == "TYPE_UNSUPPORTED" and problem["path"] == "MSH-9" and problem["text"] and problem["text_vi"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "EMPTY_INPUT"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "FORMAT_UNKNOWN"),
        (b"<other/>", "FORMAT_UNKNOWN"),
        (b"<GIAMDINHHS><broken>", "XML_MALFORMED"),
        (b"{broken", "JSON_MALFORMED"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><GIAMDINHHS>&a;</GIAMDINHHS>', "XML_FORBIDDEN"),
    ],
)
def test_what_cannot_be_read_is_422_and_quarantined(client, body, code):
    answer = client.post("/v1/messages", content=body)
    assert answer.status_code == 422
    assert answer.json()["verdict"] == "quarantined" and code in [one["code"] for one in answer.json()["problems"]]


def test_whoever_accepts_hl7_gets_the_acknowledgement_itself(client):
    answer = client.post("/v1/messages", content=oru("H3"), headers={"Accept": "application/hl7-v2"})
    assert answer.headers["content-type"].startswith("application/hl7-v2")
    assert parse(answer.text).get("MSA", 2) == "H3"


def test_the_charset_parameter_is_what_the_transport_declares(border, client):
    name = "NGUYỄN^ĂN^THỊ"
    raw = oru("H4").decode().replace("MAU^AN^THI", name).encode("cp1258", "ignore")
    with border.new_records(MESSAGES) as read:
        answer = client.post("/v1/messages", content=raw, headers={"Content-Type": "text/plain; charset=windows-1258"})
        assert answer.status_code == 200
        assert border.received("H4", read)["charset"] == "windows-1258"


def test_test_traffic_is_marked_on_the_message_and_on_every_event(border, client):
    with border.new_records(MESSAGES, "lab-result.v1") as read:
        client.post("/v1/messages", content=oru("H5", processing="T"))
        records = read()
        [message] = [event for topic, event in records if event.get("control_id") == "H5"]
        [event] = [event for topic, event in records if topic == "lab-result.v1"]
        assert message["test"] is True and event["meta"]["test"] is True


def test_whoever_asks_for_it_sends_any_message_as_test_traffic(border, client):
    envelope = shipped("seeds/demo/10-claim-commune.xml").read_bytes()
    for raw, topic in ((oru("H6"), "lab-result.v1"), (envelope, "claim.v1")):
        with border.new_records(MESSAGES, topic) as read:
            assert client.post("/v1/messages", params={"test": "true"}, content=raw).json()["verdict"] == "translated"
            records = read()
            assert [event["test"] if "test" in event else event["meta"]["test"] for _, event in records] == [True, True]


def test_credentials_decide_who_may_send_for_whom(make_border, tmp_path):
    token, digest = make_token()
    file = tmp_path / "credentials.toml"
    file.write_text(f'[sender.lab]\nfacilities = ["01940"]\ntoken_blake2b = "{digest}"\ntest = true\n')
    border = make_border(credentials=file)
    url = f"http://127.0.0.1:{border.http_port}/v1/messages"
    assert httpx.post(url, content=oru("C0", "01940")).status_code == 401
    assert httpx.post(url, content=oru("C0", "01940"), headers={"Authorization": "Bearer wrong"}).status_code == 401
    mine = {"Authorization": f"Bearer {token}"}
    with border.new_records(MESSAGES) as read:
        assert httpx.post(url, content=oru("C1", "01940"), headers=mine).status_code == 200
        assert httpx.post(url, content=oru("C2", "01004"), headers=mine).status_code == 403
        taken, refused = border.received("C1", read), border.received("C2", read)
        assert taken["sender"] == "lab" and taken["test"] is True
        assert refused["verdict"] == "refused" and refused["problems"][-1]["code"] == "FACILITY_NOT_ENTITLED"


def test_a_body_over_the_limit_is_413_stated_or_not(make_border):
    border = make_border(message_bytes_max=4096)
    url = f"http://127.0.0.1:{border.http_port}/v1/messages"
    with border.new_records(MESSAGES) as read:
        assert httpx.post(url, content=b"x" * 5000).status_code == 413
        assert httpx.post(url, content=(b"y" * 1000 for _ in range(5))).status_code == 413
        kept = [event for _, event in read() if event["raw_size"] >= 4096]
        assert [(one["verdict"], one["problems"][0]["code"]) for one in kept] == [("refused", "FRAME_TOO_LARGE")] * 2


def test_health_ready_and_metrics(client):
    assert client.get("/health").json() == {"status": "up"}
    assert client.get("/ready").status_code == 200
    client.post("/v1/messages", content=oru("M1"))
    metrics = client.get("/metrics").text
    assert 'hie_messages_received_total{dialect="songhong_his",transport="http",verdict="translated"}' in metrics


def test_requests_that_together_hold_too_much_are_asked_to_come_again(prepared, tmp_path):
    async def ask():
        producer = Producer(prepared.kafka, wait_s=30)
        gate = Gate(producer, Wire(prepared.registry_url), Keyring(b"0" * 16), RawStore(tmp_path))
        api = build_api(prepared, gate, Credentials.open(None), producer, held_bytes_max=1_000)
        try:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://hub", timeout=60) as client:
                return [await client.post("/v1/messages", content=oru(f"R{n}", value="5" * n)) for n in (1, 2_000, 2, 3, 4)]
        finally:
            gate.close()
            await asyncio.to_thread(producer.close)

    answers = asyncio.run(ask())
    assert [answer.status_code for answer in answers] == [200, 503, 200, 200, 200]
    assert answers[1].json()["code"] == "OVERLOADED" and answers[1].headers["retry-after"]
