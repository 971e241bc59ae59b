"""A case shows its state, deliveries and story, and neither its number nor its patient; an id that is none is told."""

import asyncio
from uuid import uuid4

import pytest
from pydantic import SecretStr

from hub.bus import Wire, apply_topics
from hub.journal.consumer import index
from hub.store.database import connect
from tests.made import AT, Log, delivery, received, referral
from tests.own_database import own_database


@pytest.fixture(scope="module")
def here(settings):
    apply_topics(settings.kafka, Wire(settings.registry_url))
    with own_database(settings.database_url.get_secret_value()) as url:
        yield settings.model_copy(update={"database_url": SecretStr(url)})


def get(served, settings, *paths, person=None):
    async def run():
        async with served(settings, person) as (client, _):
            return [await client.get(path) for path in paths]

    return asyncio.run(run())


def test_a_case_is_told_by_its_event_and_by_its_delivery(served, here):
    log = Log(Wire(here.registry_url))
    message = received()
    event = referral(message, "SLIP-77", name="TRẦN VĂN GIẤU")
    sent = delivery(log.wire, "hie.Referral", event, "01021")
    records = (("message-received.v1", message), ("referral.v1", event), ("delivery.v1", sent))
    with connect(here.database_url.get_secret_value(), autocommit=True) as database:
        index(database, log.wire, [log.event(topic, one, AT) for topic, one in records], {})
    for page in get(served, here, f"/cases/{event['meta']['event_id']}", f"/cases/{sent['meta']['event_id']}"):
        assert page.status_code == 200
        for part in ("01731", "01021", "referral-to-receiver", f"/messages/{message['message_id']}"):
            assert part in page.text, part
        for secret in ("SLIP-77", "GIẤU", "19800304", "I10"):
            assert secret not in page.text


def test_what_is_no_case_is_told(served, here):
    for page in get(served, here, f"/cases/{uuid4()}", "/cases/SLIP-77"):
        assert page.status_code == 200
        assert "Không có hồ sơ nào mang mã này" in page.text
        assert "SLIP-77" not in page.text.split("</head>")[0]


@pytest.mark.parametrize("path", ["/cases", "/cases?part=claims", "/worklists", f"/cases/{uuid4()}"])
def test_they_are_pages_of_the_hubs_own_people(served, here, someone, path):
    own, vendor = get(served, here, path)[0], get(served, here, path, person=someone(role="vendor", scope=("minhkhai",)))[0]
    assert (own.status_code, vendor.status_code) == (200, 403)
