"""`hie quarantine`: what could not be framed or read is listed with its cause, and its bytes are shown to who says so."""

import base64
import json
import stat
import time
import uuid
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from hub.bus import Out, Producer, Wire, apply_topics, consumer
from hub.cli.main import app
from hub.cli.quarantine import visible
from hub.contract.errors import HubError
from hub.contract.events import now
from hub.journal.consumer import index
from hub.store.database import connect
from tests.made import received, unique
from tests.own_database import own_database

TOPIC, LIMIT_S = "message-received.v1", 60
CUT = "\x0bMSH|^~\\&|HIS|01731\rPID|||1||NGUYỄN^SEN".encode() + b"\xff\x07"


@pytest.fixture
def wire(stack):
    made = Wire(stack.registry_url)
    apply_topics(stack.kafka_bootstrap, made)
    return made


@pytest.fixture
def database(stack, monkeypatch, tmp_path):
    with own_database(stack.database_url) as url, connect(url, autocommit=True) as connection:
        named = {"KAFKA_BOOTSTRAP": stack.kafka_bootstrap, "REGISTRY_URL": stack.registry_url, "DATABASE_URL": url}
        for name, value in {**named, "KEY_SECRET": "a secret of tests only", "DATA_DIR": str(tmp_path)}.items():
            monkeypatch.setenv(f"HIE_{name}", value)
        yield connection


@pytest.fixture
def read(stack):
    """The records of a topic that were written since the test began, once there are so many."""
    began = time.time() * 1000 - 1

    def some(topic, count):
        reader = consumer(stack.kafka_bootstrap, f"test-{uuid.uuid4()}", [topic])
        found, deadline = [], time.monotonic() + LIMIT_S
        while len(found) < count and time.monotonic() < deadline:
            found += [one for one in reader.consume(1000, 0.2) if one.error() is None and one.timestamp()[1] >= began]
        reader.close()
        assert len(found) == count
        return found

    return some


@pytest.fixture
def taken(stack, wire, database, read):
    """A function that puts messages into the topic, and into the index."""
    producer = Producer(stack.kafka_bootstrap, wait_s=30)
    published = []

    def take(*messages):
        published.extend(messages)
        producer.publish_blocking([Out(TOPIC, one["message_id"], wire.pack(TOPIC, one)) for one in messages])
        index(database, wire, read(TOPIC, len(published)), {})

    yield take
    producer.close()


def unread(raw, code, **more):
    kept = {"raw": raw, "raw_size": len(raw), "ack": "", "problems": [{"code": code, "severity": "E", "path": ""}]}
    return received(verdict="quarantined", **{"at": now(), "facility": "", "message_type": "", **kept, **more})


def hie(*arguments):
    done = CliRunner().invoke(app, ["quarantine", *arguments], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def test_what_could_not_be_read_is_listed_and_its_bytes_are_shown_to_who_says_so(taken, database, read, wire, tmp_path):
    cut, junk = unread(CUT, "FRAME_UNFINISHED"), unread(b"hello\r", "BYTES_BETWEEN_FRAMES", sender="", at=now() - timedelta(1))
    old = unread(b"x", "FORMAT_UNKNOWN", at=now() - timedelta(days=30))
    taken(cut, junk, old, received(at=now()), received(at=now(), verdict="refused"))

    found = json.loads(hie("list", "--json"))
    assert [(row["message_id"], row["code"], row["raw_size"]) for row in found["messages"]] == [
        (cut["message_id"], "FRAME_UNFINISHED", len(CUT)),
        (junk["message_id"], "BYTES_BETWEEN_FRAMES", 6),
    ]
    listed = hie("list")
    for word in ("2 in quarantine", f"minhkhai by mllp, {len(CUT)} bytes, not answered", "a sender that the hub does not know"):
        assert word in listed, word
    assert "Bytes stood outside any frame" in listed and "hello" not in listed  # why, in words; no content
    assert "1 in quarantine" in hie("list", "--sender", "minhkhai") and "3 in quarantine" in hie("list", "--days", "60")
    assert "2 in quarantine" in hie("list", "--limit", "1") and "hello" not in hie("list", "--limit", "1")

    assert "NGUYỄN" not in hie("show", cut["message_id"])
    assert "␋MSH|^~\\&|HIS|01731␍\nPID|||1||NGUYỄN^SEN\\xff␇" in hie("show", cut["message_id"], "--body")
    file = tmp_path / "cut.b64"
    assert "NGUYỄN" not in hie("show", cut["message_id"], "--out", str(file))
    assert base64.b64decode(file.read_bytes()) == CUT and stat.S_IMODE(file.stat().st_mode) == 0o600
    told = [wire.unpack(one.value())[1] for one in read("audit.v1", 2)]
    assert sorted((one["action"], one["target"]) for one in told) == [
        ("quarantine-show-body", cut["message_id"]),
        ("quarantine-show-out", cut["message_id"]),
    ]
    with pytest.raises(HubError, match="REQUEST_WRONG"):  # a file that is there is left as it is
        hie("show", cut["message_id"], "--out", str(file))


def test_what_a_replay_has_read_is_not_in_quarantine_any_more(taken):
    message = unread(b"MSH|", "TRANSLATION_FAILED", control_id=unique("Q"))
    taken(message)
    assert "1 in quarantine" in hie("list")
    taken(message | {"verdict": "translated", "problems": []})
    assert "0 in quarantine" in hie("list")
    with pytest.raises(HubError, match="NOT_FOUND"):
        hie("show", message["message_id"])


def test_no_byte_moves_the_cursor_or_hides():
    assert visible(b"\x1b[2J\x00\x7f\x1c\r\n.") == "␛[2J␀␡␜␍␊\n."
    assert visible("\x9b\u202eà\u200b".encode()) == "\\u009b\\u202eà\\u200b"
    assert visible(b"\n\n\r.") == "␊\n␊\n␍\n."
    assert visible(bytes(range(256))).replace("\n", "").isprintable()
