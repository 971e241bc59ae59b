"""What a person changes has a reason and a name, is shown first, can be stopped, and is refused to who may only look; on real servers."""

import asyncio
import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from threading import Event as Stop
from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from hub.bus import Out, Producer, Wire, apply_topics, consumer
from hub.cli.border import border
from hub.console import actions
from hub.console.pages import dead_letters, recipients
from hub.console.pages.message import bytes_of, story_of
from hub.contract.errors import HubError
from hub.contract.events import now
from hub.journal.consumer import index
from hub.routing import parking
from hub.store.database import connect
from tests.made import KEYRING, out, received, referral
from tests.own_database import own_database

LIMIT_S = 60
RAW = b"MSH|^~\\&|X|01004|HIE|HIE|20261123||ADT^A01^ADT_A01|C1|P|2.5.1\rEVN||20261123\rPID|1||P7788^^^H^PI||NGUYEN^SEN||19800230\rPV1|1|I\r"


@pytest.fixture(scope="module")
def here(settings):
    apply_topics(settings.kafka, Wire(settings.registry_url))
    with own_database(settings.database_url.get_secret_value()) as url:
        yield settings.model_copy(update={"database_url": SecretStr(url), "key_secret": SecretStr("a secret of tests")})


@pytest.fixture(scope="module")
def wire(here):
    return Wire(here.registry_url)


@pytest.fixture(scope="module")
def producer(here):
    made = Producer(here.kafka, wait_s=30)
    yield made
    made.close()


@pytest.fixture
def records(here):
    """What was written to a topic since the test began, once there is so much."""
    began = time.time() * 1000 - 1

    def read(topic, count):
        reader = consumer(here.kafka, f"test-{uuid.uuid4()}", [topic])
        found, deadline = [], time.monotonic() + LIMIT_S
        while len(found) < count and time.monotonic() < deadline:
            found += [one for one in reader.consume(1000, 0.2) if one.error() is None and one.timestamp()[1] >= began]
        reader.close()
        assert len(found) >= count
        return found

    return read


@pytest.fixture
def buried(here, wire, producer, records):
    """Five open dead letters, of events that can be read."""
    code = f"TEST_{uuid.uuid4().hex[:8].upper()}"
    for number in range(5):
        event = referral(received())
        letter = {"id": str(uuid.uuid4()), "at": now(), "stage": "routing", "code": "EVENT_UNROUTABLE", "detail": "", "topic": "referral.v1",
                  "partition": 0, "offset": number, "key": event["meta"]["key"].encode(), "body": wire.pack("referral.v1", event), "state": ""}  # fmt: skip
        producer.publish_blocking([Out("dead-letter.v1", event["meta"]["key"], wire.pack("dead-letter.v1", letter))])
    with connect(here.database_url.get_secret_value()) as database:
        database.execute("truncate journal_dead_letter, journal_offset")
        index(database, wire, records("dead-letter.v1", 5)[-5:], {})
        database.commit()
    return code


def console(here):
    return SimpleNamespace(settings=here, border=border(here, KEYRING))


def person(role="operator", language="en"):
    return SimpleNamespace(
        name="lan", role=role, scope=(), language=language, may=lambda right: right == "see" or role != "viewer"
    )


def open_letters(here):
    with connect(here.database_url.get_secret_value()) as database:
        return actions.letters(database, code="EVENT_UNROUTABLE")


def names(wire, messages):
    told = [wire.unpack(one.value())[1] for one in messages]
    return [(one["action"], one["by"], one["reason"]) for one in told]


def test_a_redrive_shows_its_effect_first_then_is_done_in_the_persons_name(here, wire, buried, records):
    cause, said = ("routing", "EVENT_UNROUTABLE", "referral.v1"), []
    dead_letters.dead_work(console(here), person(language="vi"), "redrive")(cause, False, "đã sửa bảng", Stop(), said.append)
    assert len(said) == 5 and all("đến referral.v1" in line for line in said)
    work = dead_letters.dead_work(console(here), person(), "redrive")
    said.clear()
    assert work(cause, False, "broken table mended", Stop(), said.append).startswith("5 would be dealt with")
    assert len(said) == 5 and all("to referral.v1" in line for line in said)
    assert work(cause, True, "broken table mended", Stop(), said.append).startswith("5 dealt with")
    assert len(records("referral.v1", 5)) == 5
    assert names(wire, records("audit.v1", 5)) == [("dead-redrive", "lan", "broken table mended")] * 5


def test_a_cause_is_of_one_stage_and_what_is_left_of_it_is_told(here, buried, monkeypatch):
    with connect(here.database_url.get_secret_value(), autocommit=True) as database:
        database.execute("update journal_dead_letter set stage = 'insurer' where record_offset = 4")
    monkeypatch.setattr("hub.journal.dead_letters.AT_ONCE", 3)
    work, said = dead_letters.dead_work(console(here), person(), "discard"), []
    cause = ("routing", "EVENT_UNROUTABLE", "referral.v1")
    assert work(cause, False, "an old fault", Stop(), said.append).startswith("3 would be dealt with, of 4 that are open")
    assert work(cause, True, "an old fault", Stop(), said.append) == "3 dealt with, 1 still there."
    said.clear()
    work(("insurer", *cause[1:]), False, "an old fault", Stop(), said.append)
    assert [line.split()[1][:-1] for line in said] == ["referral.v1/0/4"]


def test_letters_that_came_since_the_effect_was_shown_and_those_dealt_with_meanwhile_are_left_alone(here, buried):
    work, said = dead_letters.dead_work(console(here), person(), "discard"), []
    cause = ("routing", "EVENT_UNROUTABLE", "referral.v1")
    with connect(here.database_url.get_secret_value(), autocommit=True) as database:
        database.execute("update journal_dead_letter set state = 'REDRIVEN' where record_offset = 4")
        work(cause, False, "an old fault", Stop(), said.append)
        seen = [line.split()[0] for line in said]
        assert len(seen) == 4
        database.execute("update journal_dead_letter set state = '' where record_offset = 4")
        database.execute("update journal_dead_letter set state = 'REDRIVEN' where record_offset = 3")
        said.clear()
        assert work(cause, True, "an old fault", Stop(), said.append) == "3 dealt with, 1 still there."
    done = [line.split()[0] for line in said]
    assert len(done) == 3 and set(done) < set(seen)


def test_of_a_parked_key_it_is_said_how_many_wait_and_that_those_behind_go_on(here, wire):
    event = referral(received())
    key, topic = event["meta"]["key"], "referral.v1"
    first, second, row = (
        uuid.uuid4(),
        uuid.uuid4(),
        "insert into parked (topic, partition, record_offset, key, event_id, code, value) values (%s, 0, %s, %s, %s, %s, %s)",
    )
    with connect(here.database_url.get_secret_value(), autocommit=True) as database:
        for offset, (id, code) in enumerate(((first, "RECEIVER_UNKNOWN"), (second, "BEHIND"), (uuid.uuid4(), "BEHIND"))):
            database.execute(row, (topic, offset, key, id, code, wire.pack(topic, event)))
    release, discard = (dead_letters.parked_work(console(here), person(), one) for one in ("release", "discard"))
    said = []
    for work in (release, discard):
        for do in (False, True):
            told = work(str(second), do, "wrong", Stop(), said.append)
            assert told == f"This event waits behind {first}: choose that one; nothing was done."
    with actions.hand(here, lambda *_: None, by="lan", reason="wrong") as hand, pytest.raises(HubError, match="NOT_FOUND"):
        actions.give_up(hand, KEYRING, topic, key, str(second))  # it was first when its effect was shown
    assert not said
    assert release(str(first), False, "mended", Stop(), said.append).startswith("3 events would go on in order")
    assert discard(str(first), False, "wrong", Stop(), said.append).startswith("1 event would be given up, and the 2 behind")
    assert discard(str(first), True, "wrong", Stop(), said.append) == "1 event was given up, and the 2 behind it went on."
    said.clear()
    for unknown in (str(uuid.uuid4()), "SLIP-77", str(first)):
        assert discard(unknown, False, "wrong", Stop(), said.append).startswith("Nothing waits here any more")
    assert said == [], "and so it cannot be done"


def test_a_field_of_what_waits_is_mended_without_a_value_on_the_page(here, wire, records):
    event = referral(received(), name="TRẦN VĂN GIẤU")
    topic, key, id = "referral.v1", event["meta"]["key"], event["meta"]["event_id"]
    with connect(here.database_url.get_secret_value(), autocommit=True) as database:
        database.execute("delete from parked")
        database.execute(
            "insert into parked (topic, partition, record_offset, key, event_id, code, value) values (%s, 0, 0, %s, %s, 'RECEIVER_UNKNOWN', %s)",
            (topic, key, id, wire.pack(topic, event)),
        )
    work, said = dead_letters.edit_work(console(here), person()), []
    for text in ("", "ma_cskcb_den", "=01731", "ma_cskcb_den=01731\nx"):
        assert work((id, text), True, "wrong code", Stop(), said.append).startswith("Write FIELD=VALUE")
    with pytest.raises(HubError, match="REQUEST_WRONG"):
        work((id, "no_such_field=1"), True, "wrong code", Stop(), said.append)
    assert not said
    change = (id, " ma_cskcb_den = 01731 \n\n")
    assert work(change, False, "wrong code", Stop(), said.append).startswith("1 event would be replaced")
    assert said[0] == "changes: ma_cskcb_den" and len(said) > 1 and "GIẤU" not in "".join(said)
    done = work(change, True, "wrong code", Stop(), said.append)
    with connect(here.database_url.get_secret_value(), autocommit=True) as database:
        [(other, value)] = database.execute("select event_id::text, value from parked where state = 'PARKED'").fetchall()
        database.execute("delete from parked")
    assert other != id and other in done
    assert wire.unpack(value)[1]["ma_cskcb_den"] == "01731"
    assert ("parked-edit", "lan", "wrong code") in names(wire, records("audit.v1", 1))
    assert work(change, True, "wrong code", Stop(), said.append).startswith("Nothing waits here any more")


def test_of_many_parked_keys_those_that_wait_longest_are_listed_and_all_are_counted(here, wire, monkeypatch):
    monkeypatch.setattr(dead_letters, "_MOST", 2)
    row = "insert into parked (topic, partition, record_offset, key, event_id, code, value, parked_at) values ('lab-result.v1', 0, %s, %s, %s, 'RECEIVER_UNKNOWN', '', %s)"
    with connect(here.database_url.get_secret_value(), autocommit=True) as database:
        database.execute("delete from parked")
        for offset in range(5):
            database.execute(row, (offset, f"0102{offset}:k", uuid.UUID(int=offset), datetime(2026, 11, 20 + offset, tzinfo=UTC)))
        seen = dead_letters.look(console(here))
        assert [(row["code"], row["keys"], row["waiting"]) for row in seen.causes] == [("RECEIVER_UNKNOWN", 5, 5)]
        assert [row["key"] for row in seen.parked] == ["01020:k", "01021:k"]
        assert seen.causes[0]["event_id"] == uuid.UUID(int=0), "what the longest waiting key waits for"
        [of_one] = parking.causes(database, "01023")
        assert (of_one["keys"], of_one["event_id"]) == (1, uuid.UUID(int=3))
        assert parking.causes(database, "0102") == []
        assert "the 2 keys that wait longest" in dead_letters.parked_part(seen, "en")
        monkeypatch.setattr(dead_letters, "_LIMIT_MS", 100)
        monkeypatch.setattr(dead_letters.parking, "causes", lambda database: database.execute("select pg_sleep(5)").fetchall())
        assert "say the id of an event" in dead_letters.parked_part(dead_letters.look(console(here)), "en")
        database.execute("delete from parked")


def test_a_translation_that_is_stopped_asked_only_for_what_it_closed(here, wire, buried, records, monkeypatch):
    monkeypatch.setattr(actions, "_IN_MEMORY", 2)
    stop, closed = Stop(), []
    with actions.hand(here, lambda *_: None, by="lan", reason="dialect mended") as hand:
        some = [replace(one, message_id=str(uuid.uuid4())) for one in open_letters(here)]
        for step in actions.redrive(hand, some, do=True, translate=True, stop=stop):
            closed.append(step.letter.message_id)
            stop.set()
    asked = [wire.unpack(one.value())[1]["message_ids"] for one in records("replay.v1", 1)]
    assert len(closed) == 2
    assert asked == [sorted(closed)]


def test_of_letters_whose_message_nobody_knows_the_others_are_translated_all_the_same(here, wire, buried, records):
    with actions.hand(here, lambda *_: None, by="lan", reason="dialect mended") as hand:
        known, *unknown = open_letters(here)
        some = [*unknown, replace(known, message_id=str(uuid.uuid4()))]
        told = {step.letter.id: step for step in actions.redrive(hand, some, do=True, translate=True)}
        assert not list(actions.redrive(hand, [], do=True, translate=True))
    assert [one.id for one in some if told[one.id].dealt] == [known.id]
    assert {told[one.id].what.vi for one in unknown} == {actions._UNKNOWN.vi}
    [asked] = [wire.unpack(one.value())[1]["message_ids"] for one in records("replay.v1", 1)]
    assert asked == [some[-1].message_id], "never of no message: that would be of all"


def test_a_redrive_keeps_to_its_rate_and_stops_between_two_letters(here, buried):
    stop, began, done = Stop(), time.monotonic(), []
    with actions.hand(here, lambda *_: None, by="lan", reason="slowly") as hand:
        for step in actions.discard(hand, open_letters(here), do=True, per_second=2.0, stop=stop):
            done.append(step)
            if len(done) == 3:
                stop.set()
    assert len(done) == 3
    assert time.monotonic() - began >= 1.0


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501])
def test_nothing_is_changed_without_a_reason(here, reason):
    with pytest.raises(HubError) as refused, actions.hand(here, lambda *_: None, by="lan", reason=reason):
        pass
    assert refused.value.code == "REQUEST_WRONG"


def test_a_recipient_is_paused_and_goes_on_in_the_persons_name(here, wire, records):
    pause, resume = (recipients.work(console(here), person(), one) for one in ("pause", "resume"))
    chosen, said = ("01021", False), []
    pause(chosen, False, "wrong system", Stop(), said.append)
    assert "it gets its deliveries" in said[0]
    assert pause(chosen, True, "wrong system", Stop(), said.append) == "Done."
    assert pause(chosen, True, "wrong system", Stop(), said.append) == "Nothing changed."
    [row] = recipients.look(console(here))
    assert (row["code"], row["paused_by"], row["paused_reason"]) == ("01021", "lan", "wrong system")
    assert "wrong system" in recipients.table([row], "vi")
    assert resume(chosen, True, "mended", Stop(), said.append) == "Done."
    [row] = recipients.look(console(here))
    assert (row["paused_at"], row["paused_by"]) == (None, "")
    assert ("recipient-resume", "lan", "mended") in names(wire, records("audit.v1", 3))


def test_pages_show_a_viewer_what_is_and_nothing_to_change_it_with(here, wire, producer, buried, records, served, someone):
    message = received("01004", sender="local", raw=RAW, control_id="C1")
    producer.publish_blocking([out(wire, "message-received.v1", message)])
    with connect(here.database_url.get_secret_value()) as database:
        index(database, wire, records("message-received.v1", 1)[-1:], {})
        database.commit()
    paths = (
        "/dead-letters",
        "/recipients",
        "/search",
        f"/messages/{message['message_id']}",
        "/messages/no",
        f"/messages/{uuid.uuid4()}",
    )

    async def all_of(role):
        async with served(here, someone(role=role), border(here, KEYRING)) as (client, _):
            return [await client.get(path) for path in paths]

    for role in ("viewer", "operator"):
        answers = asyncio.run(all_of(role))
        assert [one.status_code for one in answers] == [200] * len(paths)
        dead, those, found, story, wrong, absent = (one.text for one in answers)
        assert "EVENT_UNROUTABLE" in dead
        assert ("Thực hiện" in dead, "Tạm dừng giao" in those) == (role == "operator",) * 2
        assert "MSH-10" in found
        assert message["message_id"] in story and "P7788" not in story and "NGUYEN" not in story
        assert "Không có bản tin" in wrong and "Không có bản tin" in absent
    told = bytes_of(here, border(here, KEYRING), story_of(here, message["message_id"], None))
    assert told.reading is not None
    assert told.reading.text == RAW.decode()
    assert "PID-7" in {one.path for one in told.reading.troubles}
