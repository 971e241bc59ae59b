"""The page for payers that run their own systems: its smallest payer reads, answers and is paid attention to."""

import subprocess
import sys
import uuid
from decimal import Decimal
from pathlib import Path

import pytest

import hub.insurer
from hub.access.rights import apply_rights, give_login, user_of
from hub.bus import Producer, consumer, event_out
from hub.contract.kafka import brokers, client, write_address
from tests.hub.routing.story import DISTRICT, claim

PAGE = Path(hub.insurer.__file__).parent / "PAYERS.md"


@pytest.fixture
def smallest_payer(tmp_path, routing_settings):
    """Runs the page's program for a payer that was sent a claim, and gives what it wrote about that claim."""
    program = tmp_path / "answer_claims.py"
    code = PAGE.read_text("utf-8").partition("```python\n")[2].partition("```")[0]
    program.write_text(code.replace("poll(10)", "poll(6)"), "utf-8")
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
        reader = consumer(kafka, f"test-{uuid.uuid4()}", [f"payer.{payer}.decision.v1"])
        said = []
        while len(said) < 2:
            message = reader.poll(20)
            assert message is not None and message.error() is None
            if message.key() == sent["meta"]["key"].encode():
                said.append(message)
        reader.close()
        return said

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


def event_of(small, message):
    _record, event = small.router.wire.unpack(message.value())
    return event_out(small.router.wire, message.topic(), event)
