"""Whose payers' pages are: an insurer's own, and all of them the hub's own people's."""

import asyncio
import re
from datetime import datetime

import pytest
from pydantic import SecretStr

from hub.bus import Out, Producer, Wire, apply_topics
from hub.console.payer_look import OURS, stream_of
from hub.contract.directory import payers
from hub.insurer.ledger import Ledger
from hub.journal.places import topic_ids
from tests.hub.insurer.made import batch
from tests.hub.insurer.small_ledger import DRUG, RULES, small_ledger, stated
from tests.own_database import own_database

TOPIC = "payer.vss.claim.v1"


@pytest.fixture(scope="module")
def here(settings, tmp_path_factory):
    apply_topics(settings.kafka, Wire(settings.registry_url))
    folder = tmp_path_factory.mktemp("payers")
    small_ledger(folder / "ledger")
    with own_database(settings.database_url.get_secret_value()) as url:
        yield settings.model_copy(update={"database_url": SecretStr(url), "ledger_dir": folder / "ledger"})


def get(served, settings, *paths, person=None):
    async def run():
        async with served(settings, person) as (client, _):
            return [(await client.get(path)).text for path in paths]

    return asyncio.run(run())


def test_an_insurer_sees_its_own_payer_and_no_other(served, here, someone):
    listed, own = get(served, here, "/payers", "/payers/vss", person=someone(role="insurer", scope=("vss",), language="en"))
    assert "Vietnam Social Security" in listed
    assert not [code for code in payers() if code != "vss" and f"/payers/{code}" in listed]
    assert TOPIC in own


def told(page):
    """What a page says, without what is of this one request."""
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d+\.\d+|nosuch|police", "", page)


@pytest.mark.parametrize("path", ["/payers/{}", "/payers/{}/statements"])
def test_another_payer_is_as_one_that_does_not_exist(served, here, someone, path):
    pages = (path.format("police"), path.format("nosuch"))
    other, absent = get(served, here, *pages, person=someone(role="insurer", scope=("vss",), language="en"))
    assert "There is no payer of this code." in absent
    assert told(other) == told(absent)


def test_the_hubs_own_people_see_every_payer_and_a_vendor_none(served, here, someone):
    (listed,) = get(served, here, "/payers")
    assert [code for code in payers() if f"/payers/{code}/statements" not in listed] == []
    for page in get(
        served, here, "/payers", "/payers/vss", "/payers/vss/statements", person=someone(role="vendor", scope=("vss",))
    ):
        assert "payer.vss" not in page
        assert "MA_CSKCB" not in page


def test_where_there_is_no_ledger_the_page_says_so(served, here):
    without = here.model_copy(update={"ledger_dir": here.ledger_dir / "none"})
    ours, own_system = get(served, without, "/payers/vss/statements", "/payers/police/statements")
    assert "Sổ giám định của bên này không có trên máy này." in ours
    assert "Bên này giám định bằng hệ thống của mình" in own_system


def test_what_the_insurer_has_still_to_read_is_behind_the_places_of_its_ledger(here, tmp_path):
    wire, producer = Wire(here.registry_url), Producer(here.kafka, wait_s=30)
    events = [stated(f"lag {number}", [DRUG]) for number in range(5)]
    try:
        producer.publish_blocking([Out(TOPIC, "one-key", wire.pack(TOPIC, event), partition=0) for event in events])
    finally:
        producer.close()
    before = asyncio.run(stream_of(here.model_copy(update={"ledger_dir": tmp_path / "none"}), "vss"))
    assert OURS not in {reader.name for reader in before.readers}
    end, topic_id = before.written[0], topic_ids(here.kafka)[TOPIC]
    rows = batch(events[:3], [(0, end - 5 + number) for number in range(3)], topic_id, RULES)
    Ledger(tmp_path / "later", topic_id).append(rows, {0: end - 2})
    after = asyncio.run(stream_of(here.model_copy(update={"ledger_dir": tmp_path / "later"}), "vss"))
    (ours,) = [reader for reader in after.readers if reader.name == OURS]
    assert ours.lags[0] == 2
    assert isinstance(ours.oldest, datetime)
