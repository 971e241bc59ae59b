"""Topics, payers and facilities as the seeds list them."""

from datetime import date

import pytest

from hub.contract.directory import facilities, payers
from hub.contract.events import schema
from hub.contract.topics import topic_of, topics


def test_every_topic_holds_a_record_that_exists():
    for topic in topics().values():
        assert schema(topic.record)["name"] == topic.record
        assert topic.partitions == 12
        assert set(topic.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-")


def test_every_payer_has_topics_of_its_own():
    assert {"vss", "test", "defence", "police", "luavang", "saobien"} == set(payers())
    assert all(f"payer.{code}.{kind}.v1" in topics() for code in payers() for kind in ("claim", "referral", "decision"))


def test_the_topic_of_a_record_is_not_a_payers():
    assert topic_of("hie.Claim") == "claim.v1"
    assert topic_of("hie.ClaimDecision") == "claim-decision.v1"
    with pytest.raises(KeyError):
        topic_of("hie.Nothing")


def test_codes_keep_their_leading_zero_and_facilities_their_dates():
    hospital = facilities()["01004"]
    assert hospital.open_on(date(2026, 11, 23))
    assert not hospital.open_on(date(2018, 12, 31))
