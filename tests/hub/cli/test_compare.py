"""`hie replay --compare` on real topics: what would be different is said by code, path and rule, and nothing is published."""

import json
import os
import subprocess
import sys
from datetime import timedelta

import pytest
from pydantic import SecretStr

from adapters.inbound.gate import Gate
from adapters.inbound.raw_store import RawStore
from adapters.inbound.received import Received
from hub.bus import Producer, Wire, apply_topics, event_out
from hub.contract.events import Keyring, derive, now
from hub.contract.settings import to_environment
from hub.contract.topics import topics
from hub.journal.places import ends
from tests.adapters.inbound.conftest import oru
from tests.hub.journal.test_consumer import journal, until
from tests.own_database import own_database

SECRET = "a secret of tests only"


class Hub:
    """A gate whose records the test writes, a journal, and the command."""

    def __init__(self, settings):
        self.settings = settings
        self.wire = Wire(settings.registry_url)
        self.producer = Producer(settings.kafka, wait_s=60)
        self.gate = Gate(self.producer, self.wire, Keyring(SECRET.encode()), RawStore(settings.data_dir / "raw"))

    def take(self, body, was=b"", **changed):
        """A message with these bytes, as the hub once read others. Returns: its `MessageReceived`."""
        translation, records = self.gate.prepare(Received(was or body, now(), "mllp"))
        message = translation.message | {"raw": body, "raw_size": len(body)} | changed
        made = records[1:] if message["verdict"] == "translated" else []
        self.producer.publish_blocking([self.gate._message_out(message), *made])
        return message, [event for _record, event in translation.events]

    def routed(self, event, rule, recipient):
        """What routing once decided of an event."""
        content = {"recipient": recipient, "subject_event_id": event["meta"]["event_id"], "subject_record": "hie.LabResult"}
        content |= {"subject_topic": "lab-result.v1", "lane": "routine", "rule": rule, "body": b""}
        meta = event["meta"]
        sent = derive("hie.Delivery", content, parents=[event], rule=rule, facility=meta["facility"], key=recipient or meta["facility"], revision=meta["revision"], to=recipient)  # fmt: skip
        self.producer.publish_blocking([event_out(self.wire, "delivery.v1", sent)])

    def compare(self, *arguments):
        """Exit code and what the command says."""
        from hub.journal.consumer import caught_up

        with journal(self.settings):
            until(lambda: caught_up(self.settings))
        done = subprocess.run(
            [sys.executable, "-m", "hub.cli", "replay", "--compare", "--json", *arguments],
            capture_output=True, text=True, timeout=240, check=False, env={**os.environ, **to_environment(self.settings)},
        )  # fmt: skip
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module")
def hub(stack, settings, tmp_path_factory):
    apply_topics(stack.kafka_bootstrap, Wire(stack.registry_url))
    with own_database(stack.database_url) as url:
        changes = {
            "database_url": SecretStr(url),
            "key_secret": SecretStr(SECRET),
            "data_dir": tmp_path_factory.mktemp("compare"),
        }
        one = Hub(settings.model_copy(update=changes))
        yield one
        one.producer.close()
        one.gate.close()


def test_what_would_be_as_it_was_ends_with_0(hub):
    message, _events = hub.take(oru("SAME"))
    code, found = hub.compare("--message", message["message_id"])
    assert (code, found["messages"], found["same"], found["counts"]) == (0, 1, 1, {})


def test_each_difference_is_told_without_a_value_and_nothing_is_published(hub):
    told = {
        "other problems": hub.take(oru("P1"), problems=[{"code": "FIELD_MISSING", "severity": "W", "path": "ZZZ-1"}]),
        "another value": hub.take(oru("V1", order="O-V1", value="6.75"), was=oru("V1", order="O-V1", value="5.25")),
        "refused then": hub.take(oru("R1"), verdict="refused", events=[], ack="AR"),
        "bytes gone": hub.take(oru("G1"), raw=b"", raw_ref="0" * 64),
        "another order": hub.take(oru("N1", order="O-N1"), was=oru("N1", order="O-N2")),
        "another rule": hub.take(oru("D1")),
    }
    hub.routed(told["another rule"][1][0], "a-rule-of-yesterday", "01731")
    before = ends(hub.settings.kafka, topics())
    code, found = hub.compare(*(part for message, _events in told.values() for part in ("--message", message["message_id"])))
    assert code == 1
    assert (found["messages"], found["same"]) == (6, 0)
    of = {name: [(one["kind"], one["what"]) for one in found["examples"] if one["message_id"] == message["message_id"]] for name, (message, _events) in told.items()}  # fmt: skip
    assert ("problem", "- W FIELD_MISSING ZZZ-1") in of["other problems"]
    [(kind, what)] = of["another value"]
    assert kind == "field" and what.startswith("lab-result.v1 ") and "observations[0].gia_tri" in what
    assert {kind for kind, _what in of["refused then"]} == {"verdict", "event-new"}
    assert of["bytes gone"] == [("unreadable", "NOT_FOUND")]
    assert {kind for kind, _what in of["another order"]} == {"event-new", "event-gone"}
    assert ("route", "lab-result.v1 - a-rule-of-yesterday 01731") in of["another rule"]
    for value in ("6.75", "5.25", "MAU", "O-V1"):
        assert value not in json.dumps(found)
    assert ends(hub.settings.kafka, topics()) == before


def test_a_range_is_chosen_by_sender_type_and_time(hub):
    hub.take(oru("RANGE"))
    day = (now() + timedelta(days=2)).strftime("%Y-%m-%d")
    everything = hub.compare(
        "--since", (now() - timedelta(days=2)).strftime("%Y-%m-%d"), "--type", "ORU^R01", "--sender", "local"
    )
    assert everything[1]["messages"] + sum(everything[1]["left_out"].values()) >= 1
    for nothing in (("--since", day), ("--type", "ZZZ^Z01"), ("--sender", "nobody"), ("--until", "2020-01-01")):
        code, found = hub.compare(*nothing)
        assert (code, found["messages"]) == (0, 0), nothing


def test_a_replay_says_why():
    done = subprocess.run([sys.executable, "-m", "hub.cli", "replay"], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2 and "--reason" in done.stderr
