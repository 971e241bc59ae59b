"""The pages as a browser first gets them: whose they are, in which language, and that nothing comes from outside."""

import asyncio
import re

import pytest
from pydantic import SecretStr

from hub.bus import Producer, Wire, apply_topics
from hub.console.pages import topic
from hub.console.shell import Console
from hub.store.database import async_pool
from tests.made import out, received, referral
from tests.own_database import own_database

OURS = ("http://www.w3.org/2000/svg",)  # a name, which nobody fetches


@pytest.fixture(scope="module")
def here(settings):
    apply_topics(settings.kafka, Wire(settings.registry_url))
    with own_database(settings.database_url.get_secret_value()) as url:
        yield settings.model_copy(update={"database_url": SecretStr(url)})


def get(served, settings, *paths, person=None, **more):
    async def run():
        async with served(settings, person) as (client, _):
            return [await client.get(path, **more) for path in paths]

    return asyncio.run(run())


def test_the_pages_load_nothing_from_outside(served, here):
    for answer in get(served, here, "/", "/topics", "/topics/referral.v1"):
        assert answer.status_code == 200
        found = set(re.findall(r"https?://[^\s\"'\\<)]+", answer.text)) - set(OURS)
        assert found == set()
        assert "fonts.googleapis" not in answer.text


def test_each_reader_gets_his_language_and_a_switch(served, here, someone):
    vi, en = get(served, here, "/")[0], get(served, here, "/", person=someone(language="en"))[0]
    assert '<html lang="vi">' in vi.text and "Toàn cảnh" in vi.text
    assert '<html lang="en-US">' in en.text and "Overview" in en.text
    assert "Mất kết nối" in vi.text and "figures in grey" in en.text, "what NiceGUI says by itself, too"
    (switched,) = get(served, here, "/", headers={"cookie": "hie_language=en"})
    assert "Overview" in switched.text
    (chosen,) = get(served, here, "/language/en", headers={"referer": "https://elsewhere.test/topics?at=1"})
    assert chosen.headers["location"] == "/topics?at=1", "back to a page of ours, wherever the link came from"
    assert "hie_language=en" in chosen.headers["set-cookie"]
    for referer in ("http://x//evil.test", "http://x/\\evil.test", "http://[evil.test"):
        (strange,) = get(served, here, "/language/xx", headers={"referer": referer})
        assert (strange.headers["location"], strange.headers.get("set-cookie")) == ("/", None)


def test_a_keyboard_reaches_the_content_at_once(served, here):
    text = get(served, here, "/")[0].text
    assert text.rindex("#main") < text.rindex("hie-nav"), "the link over the navigation comes before it"
    assert '"id":"main"' in text.replace(" ", "")


def test_a_vendor_does_not_see_pages_of_the_whole_hub(served, here, someone):
    vendor = someone(role="vendor", scope=("minhkhai",))
    for answer in get(served, here, "/", "/topics", "/topics/referral.v1", person=vendor):
        assert answer.status_code in (303, 403)
        assert "referral.v1" not in answer.text


def test_a_topic_shows_its_records_and_hides_the_patients(served, here):
    message = received()
    event = referral(message, "SLIP-77", name="TRẦN VĂN GIẤU")
    producer = Producer(here.kafka, wait_s=30)
    try:
        wire = Wire(here.registry_url)
        producer.publish_blocking([out(wire, "referral.v1", event), out(wire, "message-received.v1", message)])
    finally:
        producer.close()
    event_page, message_page = get(served, here, "/topics/referral.v1", "/topics/message-received.v1")
    assert event["meta"]["event_id"] in event_page.text
    assert message["message_id"] in message_page.text
    for page in (event_page, message_page):
        for secret in ("GIẤU", "19800304", "SLIP-77", "I10", "Tăng huyết áp", message["control_id"], "MSH|"):
            assert secret not in page.text
            assert secret.encode("ascii", "xmlcharrefreplace").decode() not in page.text


def records(settings, **said):
    """What a topic's page answers to what is typed there."""

    async def run():
        async with async_pool(settings.database_url.get_secret_value(), size=1) as pool:
            await pool.open()
            return await topic.answer(Console(settings, pool, None, None), "referral.v1", **said, language="vi")

    return asyncio.run(run())


@pytest.mark.parametrize(
    "wrong",
    [
        {"at": "yesterday"},
        {"offset": "x"},
        {"offset": "-1"},
        {"offset": "9" * 30},
        {"what": "NGUYEN"},
        {"what": "a:\x00"},
        {"partition": "99", "offset": "1"},
    ],
    ids=str,
)
def test_what_is_no_time_number_or_id_is_told_and_nothing_is_searched(here, wrong):
    assert "Không đọc được" in records(here, **wrong)


def test_records_are_found_by_time_and_by_offset(served, here):
    assert "Không có bản ghi nào" in records(here, at="2199-01-01T00:00:00")
    assert "hie.Referral" in records(here, at="2020-01-01T00:00:00")
    (other,) = get(served, here, "/topics/no-such.v1")
    assert "Không có chủ đề này" in other.text


def test_what_is_typed_on_a_topics_page_is_in_no_address(served, here):
    (page,) = get(served, here, "/topics/referral.v1?what=NGUYEN")
    assert "Không đọc được" not in page.text and "NGUYEN" not in page.text
    assert 'method=\\"get\\"' not in page.text and 'method="get"' not in page.text


def test_a_database_that_is_away_is_told_in_words(here):
    away = here.model_copy(update={"database_url": SecretStr("postgresql://nobody@127.0.0.1:1/none?connect_timeout=1")})

    async def run():
        async with async_pool(away.database_url.get_secret_value(), size=1) as pool:
            await pool.open(wait=False)
            return await topic.answer(Console(away, pool, None, None), "referral.v1", what="01004:x", language="en")

    assert "DATABASE_UNAVAILABLE: " in asyncio.run(run())
