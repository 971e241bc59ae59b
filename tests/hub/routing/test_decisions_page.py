"""The programs of the pages for payers: the smallest payer reads, answers and is paid attention to, and none takes what it could not read for nothing."""

import json
import re
import subprocess
import sys
import uuid
from decimal import Decimal
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

import hub.insurer
from hub import bus
from hub.access.rights import apply_rights, give_login, user_of
from hub.bus import Producer, Wire, apply_topics, consumer, event_out
from hub.contract.kafka import brokers, client, write_address
from tests.hub.routing.story import DISTRICT, claim

PAGE = Path(hub.insurer.__file__).parent / "PAYERS.md"
ANSWER_CLAIMS, READ_SLIPS = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
READ_CLAIMS = PAGE.with_name("README.md").read_text("utf-8").partition("```python\n")[2].partition("```")[0]


def decided(kafka, payer, key, wanted):
    """The first decisions of a payer on a claim."""
    reader = consumer(kafka, f"test-{uuid.uuid4()}", [f"payer.{payer}.decision.v1"])
    said = []
    while len(said) < wanted:
        message = reader.poll(20)
        assert message is not None and message.error() is None
        if message.key() == key.encode():
            said.append(message)
    reader.close()
    return said


@pytest.fixture
def smallest_payer(tmp_path, routing_settings):
    """Runs the page's program for a payer that was sent a claim, and gives what it wrote about that claim."""
    program = tmp_path / "answer_claims.py"
    program.write_text(ANSWER_CLAIMS, "utf-8")
    kafka, login = routing_settings.kafka, tmp_path / "client.properties"
    apply_rights(kafka)  # it reads and writes with no more than a payer may

    def answer(small, payer):
        told = client(write_address(brokers(kafka), user_of(payer), give_login(kafka, payer)))
        told["group.id"] = f"{user_of(payer)}.{uuid.uuid4()}"
        login.write_text("".join(f"{name}={value}\n" for name, value in told.items()), "utf-8")
        topic = f"payer.{payer}.claim.v1"
        [sent] = [event for name, event in small.others if name == topic]
        producer = Producer(kafka, wait_s=30)
        producer.publish_blocking([event_out(small.router.wire, topic, sent)])
        producer.close()
        subprocess.run([sys.executable, str(program), str(login), routing_settings.registry_url, payer], check=True, timeout=60)
        return decided(kafka, payer, sent["meta"]["key"], 2)

    return answer


def test_the_smallest_payer_of_the_page_decides_and_pays_and_the_facility_hears(new_hub, smallest_payer):
    small = new_hub()
    summary = {"ma_the_bhyt": "QN5970012345678;LVG1", "t_bhtt": Decimal(800), "t_tongchi_bv": Decimal(1000)}
    small.send(("hie.Claim", claim(f"page-{uuid.uuid4()}", xml1=summary)))
    for payer in ("defence", "luavang"):
        for message in smallest_payer(small, payer):
            stored = small.record(message.topic(), event_of(small, message))
            small.route(message.topic(), [stored])
    assert [topic for topic, _ in small.others if topic == "dead-letter.v1"] == []
    told = [small.router.wire.unpack(one["body"])[1] for one in small.deliveries.values() if one["recipient"] == DISTRICT]
    assert [(one["payer"], one["verdict"], one["t_bhtt_gd"], one["paid"]) for one in told] == [
        ("defence", "ACCEPTED", Decimal(800), None),
        ("defence", "PAID", None, Decimal(800)),
        ("luavang", "ACCEPTED", Decimal(200), None),
        ("luavang", "PAID", None, Decimal(200)),
    ]


def test_the_pages_name_the_compression_that_a_client_has_to_read(monkeypatch):
    told, made = {}, bus._Producer
    monkeypatch.setattr(bus, "_Producer", lambda settings: told.update(settings) or made(settings))
    Producer("127.0.0.1:1", wait_s=1).close()
    for page in (PAGE, PAGE.with_name("README.md")):
        assert f"compressed with {told['compression.type']}" in page.read_text("utf-8")


@pytest.fixture
def run(tmp_path, routing_settings):
    """Runs a program of the pages with a login, given as a client's settings."""

    def ran(code, told, *more):
        program, login = tmp_path / "program.py", tmp_path / "client.properties"
        program.write_text(code, "utf-8")
        login.write_text("".join(f"{name}={value}\n" for name, value in told.items()), "utf-8")
        argv = [sys.executable, str(program), str(login), routing_settings.registry_url, *more]
        return subprocess.run(argv, check=False, timeout=100, capture_output=True, text=True)

    return ran


@pytest.mark.parametrize(
    ("code", "more"), [(READ_CLAIMS, []), (ANSWER_CLAIMS, ["vss"]), (READ_SLIPS, ["vss"])], ids=["claims", "answers", "slips"]
)
def test_a_password_that_is_no_more_is_told_and_is_no_empty_stream(run, routing_settings, code, more):
    kafka = routing_settings.kafka
    done = run(code, client(write_address(brokers(kafka), "payer.vss", "revoked")) | {"group.id": "payer.vss"}, *more)
    assert (done.returncode, done.stdout) == (1, "")
    assert "could not read: " in done.stderr and "Traceback" not in done.stderr


def test_an_answer_that_is_not_written_is_told_and_its_claim_comes_again(new_hub, run, routing_settings):
    kafka, small = routing_settings.kafka, new_hub()
    small.send(("hie.Claim", claim(f"page-{uuid.uuid4()}", xml1={"ma_the_bhyt": "QN5970012345678", "t_bhtt": Decimal(800)})))
    producer = Producer(kafka, wait_s=30)
    producer.publish_blocking(
        [event_out(small.router.wire, topic, sent) for topic, sent in small.others if topic == "payer.defence.claim.v1"]
    )
    producer.close()
    apply_rights(kafka)
    told = client(write_address(brokers(kafka), user_of("defence"), give_login(kafka, "defence")))
    told |= {"group.id": f"{user_of('defence')}.{uuid.uuid4()}", "session.timeout.ms": 6000}
    size = ConfigEntry("max.message.bytes", "1", incremental_operation=AlterConfigOpType.SET)
    topic = ConfigResource(ResourceType.TOPIC, "payer.defence.decision.v1", incremental_configs=[size])
    admin = AdminClient(client(kafka))
    for done in admin.incremental_alter_configs([topic]).values():
        done.result(30)
    try:
        done = run(ANSWER_CLAIMS, told, "defence")
    finally:
        apply_topics(kafka, Wire(routing_settings.registry_url))
    assert done.returncode == 1
    assert "could not write: " in done.stderr and "Traceback" not in done.stderr
    assert run(ANSWER_CLAIMS, told, "defence").returncode == 0
    assert len(decided(kafka, "defence", small.others[0][1]["meta"]["key"], 2)) == 2, "the offset was not told, so it came again"


_HOLDS = """
import json, sys
from confluent_kafka import Consumer
reader = Consumer(json.loads(sys.argv[1]))
reader.subscribe(["payer.vss.claim.v1"])
while not reader.assignment():
    reader.poll(0.5)
print("holds", flush=True)
sys.stdin.read()
"""


def test_a_reader_started_at_once_after_one_was_killed_waits_for_the_group_and_reads_all(new_hub, run, routing_settings):
    kafka, small = routing_settings.kafka, new_hub()
    small.send(("hie.Claim", claim(f"page-{uuid.uuid4()}", xml1={"t_bhtt": Decimal(800)})))
    producer = Producer(kafka, wait_s=30)
    producer.publish_blocking(
        [event_out(small.router.wire, topic, sent) for topic, sent in small.others if topic == "payer.vss.claim.v1"]
    )
    producer.close()
    apply_rights(kafka)
    told = client(write_address(brokers(kafka), "payer.vss", give_login(kafka, "vss")))
    told |= {"group.id": f"payer.vss.{uuid.uuid4()}", "session.timeout.ms": 20000}
    argv = [sys.executable, "-c", _HOLDS, json.dumps(told | {"enable.auto.commit": False})]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout.readline() == "holds\n"
        first.kill()
    done = run(READ_CLAIMS, told)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) > 0


def event_of(small, message):
    _record, event = small.router.wire.unpack(message.value())
    return event_out(small.router.wire, message.topic(), event)
