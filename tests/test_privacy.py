"""Promise 8 on real servers: after the demo's story and after requests that are wrong, no personal value of its patients is anywhere but in bodies."""

import base64
import json
import unicodedata
from contextlib import suppress

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from adapters.dialects.profile import dialect_names
from hub.cli.demo import DISTRICT, Story, sample
from hub.contract.metrics import METRICS
from hub.contract.telemetry import EVENTS
from hub.services import address, facts_of, service_names
from tests.collector import collecting, told
from tests.personal import found_in, values
from tests.whole_hub import Hub

NATIONAL, NAME = "001185004321", "Trần Thị Mai"


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with (
        collecting() as collector,
        Hub(tmp_path_factory.mktemp("privacy"), otlp_endpoint=collector.endpoint, otlp_share=1.0) as running,
    ):
        running.collector = collector
        Story(running.town, lambda _step, _proof: None).tell()
        running.answers = broken_requests(running)
        running.settled()
        yield running


def broken_requests(hub):
    """What the doors answer to requests that are wrong and hold personal values wherever one can."""
    gate = "http://{}:{}".format(*address(hub.settings, "gate", "http_port"))
    inbox = "http://{}:{}".format(*address(hub.settings, "mailbox", "inbox_port"))
    page = f"http://127.0.0.1:{facts_of(hub.settings, 'journal')['metrics_port']}"
    message = sample("04").read_bytes()
    login = {"username": "01021_BV", "password": NAME, "so_cccd": NATIONAL}
    file = {"username": NATIONAL, "loaiHoSo": NAME, "maTinh": NAME, "maCSKCB": DISTRICT, "fileHSBase64": NAME}
    hl7 = {"content-type": "x-application/hl7-v2+er7"}
    ask = [
        ("POST", f"{gate}/v1/messages", {"content": message[:700], "headers": hl7}),
        ("POST", f"{gate}/v1/messages", {"content": message.replace(b"REF^I12", NAME.encode()), "headers": hl7}),
        ("POST", f"{gate}/v1/messages", {"content": message.replace(b"|19850720|", f"|{NAME}|".encode()), "headers": hl7}),
        ("POST", f"{gate}/v1/messages", {"content": f'{{"type": "{NAME}", "person": "{NATIONAL}"}}'.encode()}),
        ("POST", f"{gate}/v1/messages", {"content": f"<GIAMDINHHS><{NAME.split()[0]}>{NATIONAL}".encode()}),
        ("POST", f"{gate}/v1/messages?facility={NATIONAL}", {"content": NAME.encode()}),
        ("GET", f"{gate}/v1/messages/{NATIONAL}", {}),
        ("BREW", f"{gate}/v1/{NAME}", {}),
        ("POST", f"{gate}/api/token/take", {"data": login}),
        ("POST", f"{gate}/api/qd130/guiHoSoXmlQD3176", {"data": file, "headers": {"accessToken": NATIONAL, "tokenId": NATIONAL}}),
        ("GET", f"{inbox}/v1/inbox/{NATIONAL}", {"params": {"after": NAME, "format": NAME}}),
        ("GET", f"{inbox}/v1/inbox/{DISTRICT}", {"params": {"after": NATIONAL, "wait": NATIONAL, "limit": NATIONAL}}),
        ("POST", f"{inbox}/v1/inbox/{DISTRICT}/receipts", {"json": [{"delivery_id": NATIONAL, "state": NAME}]}),
        ("POST", f"{inbox}/v1/inbox/{DISTRICT}/receipts", {"content": f"{{{NAME}".encode()}),
        ("GET", f"{page}/{NATIONAL}/{NAME}", {}),
        ("BREW", f"{page}/{NATIONAL}", {}),
    ]
    found = []
    with httpx.Client(timeout=60) as client:
        for method, url, more in ask:
            answer = client.request(method, url, **more)
            found.append((f"{method} {url.split('/', 3)[3]}", answer))
    return found


def pages(hub):
    """The metrics of every service, at every address that has them."""
    places = {name: f"http://127.0.0.1:{facts_of(hub.settings, name)['metrics_port']}" for name in service_names()}
    places["gate's own"] = "http://{}:{}".format(*address(hub.settings, "gate", "http_port"))
    places["inbox API"] = "http://{}:{}".format(*address(hub.settings, "mailbox", "inbox_port"))
    return {name: httpx.get(f"{place}/metrics", timeout=30) for name, place in places.items()}


def test_the_grep_knows_the_patients_and_each_form_of_a_value():
    assert {NATIONAL, NAME, "GD4010118504321", "19850720", "1985-07-20", "0900000045", "45 đường Bờ Sông", "BN4521"} <= values()
    line = json.dumps({"event": "fault", "where": NAME})  # as a log line would have it
    for leak in (
        line,
        "TRAN THI MAI",
        unicodedata.normalize("NFD", NAME),
        "/v1/inbox/Tr%E1%BA%A7n%20Th%E1%BB%8B%20Mai",
        f"x{NATIONAL}y",
    ):
        assert found_in(leak.encode()), leak
    for start in range(3):
        assert found_in(base64.b64encode(b"x" * start + f"PID|{NATIONAL}|{NAME}|".encode()))
    assert found_in(NAME.encode("utf-16-le"))
    assert found_in(b'"1985-07-20"') and not found_in(b"119850720") and not found_in(b"0.0098765")


def test_the_values_are_in_the_bodies_so_the_grep_would_find_them(hub):
    leaky = {message.topic() for message in hub.records() if found_in(message.value() or b"")}
    assert {"message-received.v1", "referral.v1", "claim.v1", "lab-order.v1", "encounter.v1", "payer.vss.claim.v1"} <= leaky


def test_no_personal_value_is_in_a_key_or_header_of_kafka(hub):
    for message in hub.records():
        headers = [part for name, value in message.headers() or [] for part in (name.encode(), value or b"")]
        clear = b"\n".join([message.key() or b"", *headers])
        assert found_in(clear) == [], f"{message.topic()}/{message.partition()}/{message.offset()}"


def test_no_answer_to_a_wrong_request_repeats_what_it_held(hub):
    for asked, answer in hub.answers:
        head = b"\n".join(name + b": " + value for name, value in answer.headers.raw)
        assert found_in(answer.content) == [], asked
        assert found_in(head) == [], asked
    assert sum(answer.status_code >= 400 for _, answer in hub.answers) >= 10, "they were wrong indeed"


def test_no_personal_value_is_in_a_log(hub):
    logs = [path for path in hub.settings.data_dir.rglob("*.log*") if path.is_file() and "kafka" not in path.parent.name]
    logs += [path for path in hub.settings.logs.rglob("*") if path.is_file()]
    assert {f"{name}.log" for name in service_names()} <= {path.name for path in logs}
    for path in logs:
        if not path.suffix.startswith(".log") or path.stem.isdigit():  # the segments of Kafka's topics are called logs too
            continue
        assert found_in(path.read_bytes()) == [], path.name


def test_every_log_line_is_one_json_object_of_a_declared_happening(hub):
    seen = set()
    for name in service_names():
        for line in (hub.settings.logs / f"{name}.log").read_text("utf-8").splitlines():
            told = json.loads(line)
            assert told["event"] in EVENTS and {"level", "timestamp"} <= set(told), name
            seen.add(told["event"])
    assert {"service_ready", "message_refused"} <= seen


def test_no_personal_value_is_in_the_metrics_of_any_service(hub):
    for name, page in pages(hub).items():
        assert page.status_code == 200, name
        assert found_in(page.content) == [], name


def test_the_metrics_of_every_service_keep_the_contract(hub):
    contract, dialects, seen = {one.name: one for one in METRICS}, {"", *dialect_names()}, set()
    for name, page in pages(hub).items():
        for family in text_string_to_metric_families(page.text):
            if family.name.startswith("hie_"):
                row = contract[family.name]
                seen.add(family.name)
                for sample in family.samples:
                    for label, value in sample.labels.items():
                        every = row.labels[label].all
                        allowed = every() if every else dialects if label == "dialect" else {value}
                        assert value in allowed, f"{name}: {sample.name}{{{label}={value}}}"
    assert {"hie_consumer_lag_records", "hie_disk_free_bytes", "hie_messages_received", "hie_ledger_rows"} <= seen


def test_every_reader_tells_how_far_behind_it_is(hub):
    def groups():
        return {
            sample.labels["group"]
            for page in pages(hub).values()
            for family in text_string_to_metric_families(page.text)
            for sample in family.samples
            if sample.name == "hie_consumer_lag_records"
        }

    hub.wait(lambda: groups() == {"journal", "archive", "routing", "mailbox", "insurer-vss", "insurer-test"})


def test_no_personal_value_is_in_a_trace(hub):
    spans = hub.collector.spans
    hub.wait(lambda: {"received", "translated", "derived", "routed", "queued", "acknowledged"} <= {one.name for one in spans})
    assert [body for body in hub.collector.bodies if found_in(body)] == []
    verdicts = {told(one)["hie.outcome"] for one in spans if one.name == "received"}
    assert verdicts == {"translated", "refused", "quarantined"}, "what was wrong is told as well"
    bounded = {"hie.stage", "hie.sender", "hie.facility", "hie.recipient", "hie.transport", "hie.record", "hie.rule", "hie.lane"}
    assert {key for one in spans for key in told(one)} <= bounded | {"hie.channel", "hie.outcome", "hie.code", "hie.test"}


def test_no_personal_value_is_in_a_title_of_a_process(hub):
    services = [psutil.Process(facts_of(hub.settings, name)["pid"]) for name in service_names()]
    for process in (*services, *psutil.Process().children(recursive=True)):
        with suppress(psutil.NoSuchProcess):  # what the database began for a moment has ended meanwhile
            assert found_in("\n".join([process.name(), *process.cmdline()]).encode()) == []
