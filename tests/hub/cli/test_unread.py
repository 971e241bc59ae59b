"""Commands that sum a ledger say what it lacks: right after a send a part of a month looks like the whole of it."""

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient
from typer.testing import CliRunner

from hub.bus import Out, Producer, Wire, apply_topics
from hub.cli import unread as module
from hub.cli.main import app
from hub.cli.unread import ROUTING, lacking
from hub.contract.errors import HubError
from hub.contract.kafka import client
from hub.insurer.history import close
from hub.insurer.ledger import Ledger
from hub.journal.places import ends, topic_ids
from hub.routing.app import GROUP
from tests.hub.insurer.histories import visit, write
from tests.hub.insurer.made import batch, claim
from tests.hub.insurer.test_history import NOVEMBER, THEN

TOPIC = "payer.vss.claim.v1"
SUMS = {
    "alone": (),
    "totals": ("totals",),
    "ask": ("ask", "reductions"),
    "statement": ("statement", "01021", "2026-11"),
    "close": ("close", "2026-11"),
}


@pytest.fixture
def hie(tmp_path, monkeypatch):
    monkeypatch.setenv("HIE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("HIE_LEDGER_DIR", str(tmp_path / "ledger"))
    monkeypatch.setattr("hub.cli.settling.now", lambda: THEN)
    write(tmp_path / "ledger", [visit("A"), visit("B", minutes=1)])
    close(tmp_path / "ledger", NOVEMBER, THEN)

    def run(*words):
        result = CliRunner().invoke(app, ["ledger", *words], catch_exceptions=False)
        assert result.exit_code == 0
        return result.stdout, " ".join(result.stderr.split())

    return run


@pytest.mark.parametrize("words", SUMS.values(), ids=SUMS)
def test_every_sum_says_what_it_lacks_and_a_whole_one_says_nothing(hie, monkeypatch, words):
    monkeypatch.setattr(module, "connected", lambda settings: settings)
    monkeypatch.setattr(module, "lacking", lambda _settings, payer: (0, 0) if payer == "vss" else (9, 9))
    whole, said = hie(*words)
    assert said == ""
    monkeypatch.setattr(module, "lacking", lambda *_: (3, 1_200))
    summed, said = hie(*words)
    assert summed == whole
    assert f"1,200 records of {TOPIC} are unread, and 3 of claim.v1 (all payers) are not routed. The sums lack them" in said
    assert "Các tổng còn thiếu" in said


@pytest.mark.parametrize("words", SUMS.values(), ids=SUMS)
def test_without_a_hub_the_ledger_is_read_all_the_same_and_it_says_that_nobody_could_be_asked(hie, words):
    summed, said = hie(*words)
    assert summed != ""
    assert "Whether all that was sent is in this ledger is not known: no hub runs on this data folder." in said
    assert "Không rõ" in said


def test_brokers_that_do_not_answer_are_told_as_such(hie, monkeypatch):
    def away(*_):
        raise HubError("BROKER_UNAVAILABLE", "offsets")

    monkeypatch.setenv("HIE_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    monkeypatch.setattr("hub.journal.standing.ends", away)
    summed, said = hie("totals")
    assert "2026-11" in summed
    assert "is not known: the brokers do not answer." in said


def test_what_only_looks_at_one_thing_or_sums_nothing_asks_nobody(hie, monkeypatch):
    monkeypatch.setattr(module, "lacking", lambda *_: pytest.fail("asked"))
    assert [hie(*words)[1] for words in (("ask",), ("branches",), ("compact",))] == ["", "", ""]


def test_the_group_is_that_of_routing():
    assert ROUTING == GROUP


def test_records_lack_from_when_they_are_sent_until_they_are_in_the_ledger(settings, tmp_path, monkeypatch):
    """On brokers: one claim at the door, two in the payer's topic, of which the ledger then takes one after the other."""
    here, wire = settings.model_copy(update={"ledger_dir": tmp_path / "ledger"}), Wire(settings.registry_url)
    apply_topics(here.kafka, wire)
    group = "test-routes-nothing"
    monkeypatch.setattr(module, "ROUTING", group)
    send(here, wire, "claim.v1", 1)
    stand(here, group, "claim.v1", back=1)
    topic_id = topic_ids(here.kafka)[TOPIC]
    held = {number: first_and_end for (_, number), first_and_end in ends(here.kafka, [TOPIC]).items()}
    assert lacking(here, "vss") == (1, sum(end - first for first, end in held.values()))  # no ledger yet: it lacks all

    taken = {number: end for number, (_, end) in held.items() if end} or {0: 0}
    Ledger(here.ledger, topic_id).append(batch([claim(1)], [(next(iter(taken)), 0)], topic_id), taken)
    assert lacking(here, "vss") == (1, 0)
    send(here, wire, TOPIC, 2)
    assert lacking(here, "vss") == (1, 2)
    stand(here, group, "claim.v1", back=0)
    assert lacking(here, "vss") == (0, 2)
    later = {number: end for (_, number), (_, end) in ends(here.kafka, [TOPIC]).items() if end > taken.get(number, 0)}
    Ledger(here.ledger, topic_id).append(batch([claim(2)], [(next(iter(later)), min(later.values()) - 1)], topic_id), later)
    assert lacking(here, "vss") == (0, 0)


def send(settings, wire, topic, count):
    producer = Producer(settings.kafka, wait_s=10)
    try:
        producer.publish_blocking([Out(topic, f"key {number}", wire.pack(topic, claim(number))) for number in range(count)])
    finally:
        producer.close()


def stand(settings, group, topic, back):
    """Put a group before the last `back` records of one partition of a topic, and at the ends of all others."""
    places = {number: end for (_, number), (_, end) in ends(settings.kafka, [topic]).items()}
    fullest = max(places, key=lambda number: places[number])
    places[fullest] -= back
    wanted = [TopicPartition(topic, number, offset) for number, offset in places.items()]
    admin = AdminClient({**client(settings.kafka), "log_level": 2})
    admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, wanted)])[group].result(10)
