"""On real brokers: payer A cannot read payer B, nor write what is not its own to say; and nobody without a login does anything."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AclBinding, AclOperation, AclPermissionType, AdminClient, ResourcePatternType, ResourceType
from typer.testing import CliRunner

import hub.insurer
from hub import stack as hub_stack
from hub.access import rights
from hub.access.rights import _any_of, apply_rights, give_login, logins, rights_of, take_login
from hub.bus import Wire, apply_topics, consumer, take
from hub.cli.main import app
from hub.contract.directory import payers
from hub.contract.errors import HubError
from hub.contract.kafka import brokers, client, write_address
from hub.contract.settings import read_settings
from tests.whole_hub import needs_local_stack

A, B = "vss", "test"
OWN = "defence"
"""A payer that runs a system of its own; for A the hub adjudicates."""


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Servers of these tests: what they write is no event, which others would trip over."""
    needs_local_stack()
    ports = dict.fromkeys(("kafka_port", "registry_port", "database_port"), 0)
    settings = read_settings(
        data_dir=tmp_path_factory.mktemp("rights"), kafka_bootstrap="", registry_url="", database_url="", **ports
    )
    with hub_stack.start(settings, lambda _line: None) as servers:
        yield servers


@pytest.fixture(scope="module")
def kafka(own):
    """The brokers with topics and rights, by the hub's own login."""
    apply_topics(own.kafka_bootstrap, Wire(own.registry_url))
    apply_rights(own.kafka_bootstrap)
    return own.kafka_bootstrap


@pytest.fixture(scope="module")
def payer_a(kafka):
    """The address that payer A has."""
    return write_address(brokers(kafka), f"payer.{A}", give_login(kafka, A))


def write(address, topic):
    """The error that the brokers answer with, or None."""
    answers = []
    producer = Producer({**client(address), "delivery.timeout.ms": 8000, "log_level": 0})
    producer.produce(topic, b"x", on_delivery=lambda error, _message: answers.append(error and error.code()))
    producer.flush(10)
    return answers[0]


def read(address, topic, group):
    """The error that the brokers answer with, or the first value."""
    reader = Consumer({**client(address), "group.id": group, "auto.offset.reset": "earliest", "log_level": 0})
    try:
        reader.subscribe([topic])
        for _ in range(40):
            message = reader.poll(0.5)
            if message is not None:
                return message.error().code() if message.error() else message.value()
        return None
    except KafkaException as refused:
        return refused.args[0].code()
    finally:
        reader.close()


def test_a_payer_reads_its_claims_slips_and_decisions(kafka, payer_a):
    for kind in ("claim", "referral", "decision"):
        assert write(kafka, f"payer.{A}.{kind}.v1") is None
        assert read(payer_a, f"payer.{A}.{kind}.v1", f"payer.{A}.{kind}") == b"x"
    assert read(payer_a, f"payer.{A}.claim.v1", f"payer.{A}") == b"x"
    assert read(payer_a, f"payer.{A}.claim.v1", f"payer.{A}.settlement") == b"x"


def test_a_payer_writes_its_decisions_unless_the_hub_adjudicates_for_it(kafka, payer_a):
    login = write_address(brokers(kafka), f"payer.{OWN}", give_login(kafka, OWN))
    assert write(login, f"payer.{OWN}.decision.v1") is None
    assert read(login, f"payer.{OWN}.decision.v1", f"payer.{OWN}") == b"x"
    assert write(payer_a, f"payer.{A}.decision.v1") == KafkaError.TOPIC_AUTHORIZATION_FAILED
    writers = {code for code in payers() if any(right.operation == AclOperation.WRITE for right in rights_of(code))}
    assert writers == {code for code, payer in payers().items() if not payer.adjudicated_here} and OWN in writers


def set_back(folder, address, group):
    """What the program of the page says and ends with, for a login and a group."""
    login, program = folder / "client.properties", folder / "read_again.py"
    login.write_text("".join(f"{name}={value}\n" for name, value in (client(address) | {"group.id": group}).items()), "utf-8")
    page = Path(hub.insurer.__file__).with_name("README.md").read_text("utf-8")
    program.write_text(
        page.partition("`read_again.py client.properties`")[2].partition("```python\n")[2].partition("```")[0], "utf-8"
    )
    done = subprocess.run([sys.executable, str(program), str(login)], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


def test_it_sets_its_own_place_back_as_its_page_shows(kafka, payer_a, tmp_path):
    group, topic = f"payer.{A}.again", f"payer.{A}.claim.v1"
    assert write(kafka, topic) is None

    def all_read():
        reader, count = Consumer({**client(payer_a), "group.id": group, "auto.offset.reset": "earliest", "log_level": 0}), 0
        reader.subscribe([topic])
        while reader.poll(8) is not None:
            count += 1
        reader.close()
        return count

    first = all_read()
    assert (first > 0, all_read()) == (True, 0)
    assert set_back(tmp_path, payer_a, group) == (0, "")
    assert all_read() == first


@pytest.mark.parametrize("group", [f"payer.{B}", "mine", f"payer.{A}x"])
def test_setting_back_a_group_of_another_says_which_names_are_its_own(payer_a, tmp_path, group):
    mine = f"write group.id=payer.{A}, or a name that begins with payer.{A}. (and a dot)"
    assert set_back(tmp_path, payer_a, group) == (1, f"could not set back: the group {group} is not one of payer.{A}: {mine}\n")


def test_setting_back_a_group_that_somebody_reads_in_says_so(kafka, payer_a, tmp_path):
    group, topic = f"payer.{A}.busy", f"payer.{A}.claim.v1"
    assert write(kafka, topic) is None
    reader = Consumer({**client(payer_a), "group.id": group, "auto.offset.reset": "earliest", "log_level": 0})
    reader.subscribe([topic])
    assert reader.poll(20) is not None
    code, said = set_back(tmp_path, payer_a, group)
    reader.close()
    assert (code, said.startswith(f"could not set back: somebody reads in the group {group}")) == (1, True)


def test_setting_back_in_a_topic_of_another_says_what_the_brokers_say(kafka, tmp_path):
    other = write_address(brokers(kafka), f"payer.{OWN}", give_login(kafka, OWN))
    assert set_back(tmp_path, other, f"payer.{OWN}") == (1, "could not set back: Broker: Topic authorization failed\n")


@pytest.mark.parametrize(
    "topic",
    [
        *(f"payer.{B}.{kind}.v1" for kind in ("claim", "referral", "decision")),
        *("claim.v1", "referral.v1", "claim-decision.v1", "message-received.v1", "delivery.v1"),
    ],
)
def test_it_reads_nothing_else(kafka, payer_a, topic):
    assert write(kafka, topic) is None
    assert read(payer_a, topic, f"payer.{A}") == KafkaError.TOPIC_AUTHORIZATION_FAILED


@pytest.mark.parametrize(
    "topic", [f"payer.{B}.decision.v1", f"payer.{A}.claim.v1", f"payer.{A}.referral.v1", "claim-decision.v1", "control.v1"]
)
def test_it_writes_nothing_else(payer_a, topic):
    assert write(payer_a, topic) == KafkaError.TOPIC_AUTHORIZATION_FAILED


@pytest.mark.parametrize("group", [f"payer.{B}", "routing", f"payer.{A}x"])
def test_it_keeps_no_place_in_another_ones_group(payer_a, group):
    assert read(payer_a, f"payer.{A}.claim.v1", group) == KafkaError.GROUP_AUTHORIZATION_FAILED


def test_it_sees_no_other_topic_and_changes_no_right(payer_a):
    admin = AdminClient({**client(payer_a), "log_level": 0})
    assert set(admin.list_topics(timeout=10).topics) == {f"payer.{A}.{kind}.v1" for kind in ("claim", "referral", "decision")}
    more = AclBinding(
        ResourceType.TOPIC,
        f"payer.{B}.claim.v1",
        ResourcePatternType.LITERAL,
        f"User:payer.{A}",
        "*",
        AclOperation.READ,
        AclPermissionType.ALLOW,
    )
    with pytest.raises(KafkaException) as refused:
        admin.create_acls([more])[more].result(10)
    assert refused.value.args[0].code() == KafkaError.CLUSTER_AUTHORIZATION_FAILED


def test_slips_are_for_payers_whose_grant_says_so():
    may = {code for code in payers() if any(right.name == f"payer.{code}.referral.v1" for right in rights_of(code))}
    assert may == {"vss", "defence", "police", "test"}


def test_nobody_gets_in_without_a_login_or_with_a_wrong_one(kafka):
    for address in (
        brokers(kafka),
        write_address(brokers(kafka), "hub", "wrong", "PLAIN"),
        write_address(brokers(kafka), f"payer.{B}", "x"),
    ):
        with pytest.raises(KafkaException):
            AdminClient({**client(address), "log_level": 0}).list_topics(timeout=3)


def test_a_new_password_ends_the_old_one_and_a_login_taken_away_ends_it_for_good(kafka):
    code = next(code for code in sorted(payers()) if code != A)

    def gets_in(password):
        reader = Consumer(
            {**client(write_address(brokers(kafka), f"payer.{code}", password)), "group.id": f"payer.{code}", "log_level": 0}
        )
        try:
            return reader.get_watermark_offsets(TopicPartition(f"payer.{code}.claim.v1", 0), timeout=5) is not None
        except KafkaException:
            return False
        finally:
            reader.close()

    first, second = give_login(kafka, code), give_login(kafka, code)
    assert (gets_in(first), gets_in(second)) == (False, True)
    assert code in logins(kafka)
    assert take_login(kafka, code)
    assert not gets_in(second)
    assert code not in logins(kafka)
    assert not take_login(kafka, code)


def test_rights_that_this_release_does_not_give_are_taken_away_and_the_rest_stay(kafka):
    def right(user, topic, operation=AclOperation.READ):
        return AclBinding(
            ResourceType.TOPIC,
            topic,
            ResourcePatternType.LITERAL,
            f"User:{user}",
            "*",
            operation,
            AclPermissionType.ALLOW,
        )

    too_much, anothers = right(f"payer.{A}", f"payer.{A}.decision.v1", AclOperation.WRITE), right("auditor", "audit.v1")
    admin = AdminClient({**client(kafka), "log_level": 0})
    for made in admin.create_acls([too_much, anothers]).values():
        made.result(10)
    said = []
    assert apply_rights(kafka, said.append) == 1
    assert said == [f"rights of {len(payers())} payers are set (0 given, 1 taken away)"]
    assert apply_rights(kafka) == 0
    there = admin.describe_acls(_any_of()).result(10)
    assert anothers in there and too_much not in there and set(rights_of(A)) <= set(there)


def test_a_payer_that_nobody_knows_gets_no_login(kafka):
    with pytest.raises(HubError, match="NOT_FOUND"):
        give_login(kafka, "nobody")
    with pytest.raises(HubError, match="NOT_FOUND"):
        take_login(kafka, "nobody")


@pytest.fixture
def hie(kafka, own, monkeypatch):
    """Runs a command of `hie payer`, and gives what it prints."""
    named = {"KAFKA_BOOTSTRAP": kafka, "REGISTRY_URL": own.registry_url, "DATABASE_URL": own.database_url}
    for name, value in {**named, "KEY_SECRET": "a secret of tests only"}.items():
        monkeypatch.setenv(f"HIE_{name}", value)

    def run(*arguments):
        done = CliRunner().invoke(app, ["payer", *arguments], catch_exceptions=False)
        assert done.exit_code == 0
        return done.stdout

    return run


def test_the_command_gives_a_login_that_works(kafka, own, hie):
    told = dict(line.split("=", 1) for line in hie("credential", B, "--reason", "first connection").splitlines() if "=" in line)
    ours = subprocess.run(
        [sys.executable, "-c", _READ, json.dumps(told | {"topic": f"payer.{B}.claim.v1"})],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ours.stdout.strip() == "reads"
    assert f"payer.{B} " in hie("list")
    reader = consumer(kafka, "audit", ["audit.v1"])
    [message] = take(reader, 1, 20)
    reader.close()
    _, audit = Wire(own.registry_url).unpack(message.value())
    assert (audit["action"], audit["target"], audit["reason"]) == ("payer-credential", B, "first connection")
    assert "can no longer log in" in hie("revoke", B, "--reason", "password was seen")
    assert "had no login" in hie("revoke", B, "--reason", "again")


def test_a_login_of_a_payer_that_left_the_seeds_is_listed_and_can_be_taken_away(kafka, hie):
    with pytest.MonkeyPatch.context() as before:
        before.setattr(rights, "payers", lambda: payers() | {"leaver": payers()[A]})
        give_login(kafka, "leaver")
    [row] = [line.split() for line in hie("list").splitlines() if line.split()[:1] == ["leaver"]]
    assert row == ["leaver", "not", "in", "seeds", "payer.leaver", "none"]
    assert "leaver can no longer log in" in hie("revoke", "leaver", "--reason", "left the seeds")
    assert "leaver" not in hie("list")


_READ = """
import json, sys
from confluent_kafka import Consumer, TopicPartition
told = json.loads(sys.argv[1])
topic = told.pop("topic")
reader = Consumer(told)
assert reader.get_watermark_offsets(TopicPartition(topic, 0), timeout=20)
print("reads")
"""
