"""A vendor sees its own senders and nothing else; a message of another is answered like one that never was."""

import asyncio
import json

import pytest
from psycopg.types.json import Jsonb
from pydantic import SecretStr

from hub.bus import apply_topics
from hub.console.pages import mine
from hub.contract.events import new_id, now
from hub.store.database import connect
from tests.own_database import own_database

NOBODYS = new_id("message", "nobody's")
ABSENT = "There is no message, event or delivery of this id."


def put(database, sender, control_id, verdict="translated", problems=()):
    """A message as the journal has it, received now. Returns: its id."""
    message_id = new_id("message", sender, control_id)
    database.execute(
        "insert into journal_message (message_id, received_at, day, sender, facility, transport, format, message_type, control_id, verdict, ack,"
        " problems, events, test, topic, partition, record_offset)"
        " values (%s, %s, current_date, %s, '01021', 'mllp', 'hl7', 'ADT^A01', %s, %s, 'AA', %s, '{}', false, 'message-received.v1', 0, 999999)",
        (message_id, now(), sender, control_id, verdict, Jsonb(list(problems))),
    )
    return message_id


@pytest.fixture(scope="module")
def here(settings):
    from hub.bus import Wire

    apply_topics(settings.kafka, Wire(settings.registry_url))
    with own_database(settings.database_url.get_secret_value()) as url:
        yield settings.model_copy(update={"database_url": SecretStr(url)})


@pytest.fixture(scope="module")
def sent(here):
    """Ids of what two vendors' senders sent."""
    wrong = [{"code": "TYPE_UNSUPPORTED", "severity": "E", "path": "MSH-9"}]
    with connect(here.database_url.get_secret_value(), autocommit=True) as database:
        database.execute(
            "insert into journal_traffic values (date_trunc('hour', now()), 'mine_his', '01021', 'received', 41),"
            " (date_trunc('hour', now()), 'mine_his', '01021', 'refused', 7), (date_trunc('hour', now()), 'other_his', '01004', 'received', 9871234)"
        )
        return {
            "mine": put(database, "mine_his", "MINE-1", "refused", wrong),
            "other": put(database, "other_his", "OTHER-1"),
        }


def get(served, settings, *paths, person):
    async def run():
        async with served(settings, person) as (client, _):
            return [await client.get(path) for path in paths]

    return asyncio.run(run())


@pytest.fixture
def vendor(someone):
    return someone(name="songhong", role="vendor", scope=("mine_his",), language="en")


def test_a_vendor_comes_to_its_own_page_and_sees_what_was_refused_and_why(served, here, sent, vendor):
    first, page = get(served, here, "/", "/mine", person=vendor)
    assert first.headers["location"] == "/mine"
    assert "MINE-1" in page.text and "Today: 41 messages, 7 refused" in page.text
    assert "TYPE_UNSUPPORTED" in page.text
    assert f"/messages/{sent['mine']}" in page.text
    assert "OTHER-1" not in page.text and "9,871,234" not in page.text


def test_another_vendors_sender_and_one_that_nobody_has_are_answered_alike(served, here, sent, vendor):
    theirs, nobodys = get(served, here, "/mine?sender=other_his", "/mine?sender=nobodys_his", person=vendor)
    for page in (theirs, nobodys):
        assert page.status_code == 200
        assert "There is no sender of this name." in page.text
        assert "OTHER-1" not in page.text and "9,871,234" not in page.text


def test_another_vendors_message_is_answered_like_one_that_never_was(served, here, sent, vendor):
    own, theirs, nobodys, none = get(
        served,
        here,
        f"/messages/{sent['mine']}",
        f"/messages/{sent['other']}",
        f"/messages/{NOBODYS}",
        "/messages/x",
        person=vendor,
    )
    assert "MINE-1" in own.text and "TYPE_UNSUPPORTED" in own.text
    assert ABSENT not in own.text
    for page in (theirs, nobodys, none):
        assert page.status_code == 200 and ABSENT in page.text
        assert "OTHER-1" not in page.text and "other_his" not in page.text


def test_who_looked_is_the_hubs_own_affair(served, here, sent, vendor, someone):
    (page,) = get(served, here, f"/messages/{sent['mine']}", person=vendor)
    (own,) = get(served, here, f"/messages/{sent['mine']}", person=someone(language="en"))
    assert "Who looked" in own.text
    assert "Who looked" not in page.text


def test_the_hubs_own_people_open_it_for_any_sender(served, here, sent, someone):
    (page,) = get(served, here, "/mine?sender=other_his", person=someone(language="en"))
    assert "OTHER-1" in page.text and "9,871,234" in page.text


def test_an_insurer_has_no_part_in_it(served, here, sent, someone):
    insurer = someone(role="insurer", scope=("VSS",))
    for page in get(served, here, "/mine?sender=mine_his", "/try", f"/messages/{sent['mine']}", person=insurer):
        assert page.status_code == 403
        assert "MINE-1" not in page.text


def test_no_page_quotes_what_stands_in_its_address_as_markup(served, here, sent, someone):
    (page,) = get(served, here, "/mine?sender=%3Cscript%3Ealert(1)%3C/script%3E", person=someone())
    assert "<script>alert(1)" not in page.text
    assert "<script>alert(1)" not in json.dumps(page.text, ensure_ascii=False)


def test_a_report_reads_no_more_messages_than_it_has_time_for():
    read = []

    def raws(size):
        for number in range(50):
            read.append(number)
            yield bytes(size)

    assert len(mine.within(raws(1_000))) == 50
    read.clear()
    assert len(mine.within(raws(700_000))) == 3 == len(read)
    assert len(mine.within(raws(8 * 1024**2))) == 1, "of a long one alone there is a report too"


def test_however_often_a_page_is_opened_its_report_is_made_once(monkeypatch):
    asked = []
    monkeypatch.setattr(mine, "check", lambda console, sender: asked.append((console, sender)) or "report")

    async def opened():
        both = (mine._Asked("busy_his", "a console"), mine._Asked("busy_his", "another"))
        return await asyncio.gather(*(mine._REPORTS.of(one) for one in (*both, mine._Asked("other_busy_his", "a console"))))

    assert [report for report, _ in asyncio.run(opened())] == ["report"] * 3
    assert [report for report, _ in asyncio.run(opened())] == ["report"] * 3
    assert sorted(sender for _, sender in asked) == ["busy_his", "other_busy_his"]
