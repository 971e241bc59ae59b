"""Identity, revision and bytes of events."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.contract.errors import HubError
from hub.contract.events import (
    Keyring,
    Origin,
    content_hash,
    decode,
    derive,
    encode,
    message_id,
    revision_rank,
    sparse,
    stamp,
    to_json,
)

NOON = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)
KEYS = Keyring(b"0123456789abcdef")
REFERRAL = {
    "action": "ISSUED",
    "slip": "CT-1",
    "ma_cskcb": "01021",
    "ma_cskcb_den": "01004",
    "person": {},
    "xml13": {"ho_ten": "Nguyễn Văn An"},
}


def referral(received_at=NOON, stated_at="20261123080000", version=0, test=False, control_id="A", **change):
    source = {"sender": "local", "control_id": control_id}
    origin = Origin(message_id("local", received_at, "00"), received_at, source, test, stated_at, version)
    return stamp("hie.Referral", REFERRAL | change, facility="01021", business_key="CT-1", origin=origin, keyring=KEYS)


def test_a_resend_under_a_new_control_id_is_the_same_event():
    again = referral(received_at=NOON + timedelta(hours=1), control_id="B")
    assert again["meta"]["event_id"] == referral()["meta"]["event_id"]
    assert again["meta"]["message_id"] != referral()["meta"]["message_id"]


@pytest.mark.parametrize("change", [{"stated_at": "20261123080001"}, {"version": 1}, {"action": "CANCELLED"}, {"test": True}])
def test_another_statement_is_another_event(change):
    assert referral(**change)["meta"]["event_id"] != referral()["meta"]["event_id"]


def test_a_key_names_the_facility_and_hides_the_business_key():
    key = referral()["meta"]["key"]
    assert key.startswith("01021:")
    assert "CT-1" not in key
    assert key != Keyring(b"another secret 16").key("01021", "CT-1", test=False)


def test_a_facility_that_is_no_code_is_hidden_too():
    key = KEYS.key("NGUYEN VAN A", "CT-1", test=False)
    assert key.startswith(":")
    assert "NGUYEN" not in key
    assert key != KEYS.key("TRAN VAN B", "CT-1", test=False)


def test_test_traffic_has_keys_of_its_own():
    assert referral(test=True)["meta"]["key"] != referral()["meta"]["key"]


def test_the_secret_is_not_shown():
    assert "0123456789abcdef" not in repr(KEYS)


def test_content_hash_survives_writing_and_reading():
    event = referral()
    assert content_hash(decode("hie.Referral", encode("hie.Referral", event))) == event["meta"]["content_hash"]


def test_a_field_with_its_default_changes_no_hash():
    assert content_hash(REFERRAL | {"reason": "", "diagnoses": []}) == content_hash(REFERRAL)


def test_zero_is_not_absent():
    assert sparse({"a": Decimal(0), "b": 0, "c": None, "d": "", "e": False, "f": []}) == {"a": Decimal(0), "b": 0}


def test_a_required_record_stays_even_if_nothing_is_in_it():
    assert sparse({"person": {"ho_ten": ""}}) == {"person": {}}


def test_revisions_compare_version_then_statement_then_receipt():
    ranks = [
        revision_rank(referral(**change)["meta"]["revision"])
        for change in (
            {},
            {"received_at": NOON + timedelta(microseconds=1)},
            {"stated_at": "20261123080001", "received_at": NOON - timedelta(days=1)},
            {"version": 1, "stated_at": "20200101"},
        )
    ]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) == 4


def test_all_who_see_the_same_causes_derive_the_same_event():
    one, two = referral(), referral(action="ACCEPTED")

    def derived(*parents, to="01004"):
        revision = parents[0]["meta"]["revision"]
        made = derive(
            "hie.Delivery", {"recipient": to}, parents=parents, rule="r", facility="01021", key="k", revision=revision, to=to
        )
        return made["meta"]["event_id"]

    assert derived(one, two) == derived(two, one)
    assert derived(one, two) != derived(one, two, to="01731")
    assert derived(one) != derived(two)


def test_what_derives_from_test_traffic_is_test_traffic():
    one, two = referral(), referral(test=True)
    made = derive("hie.Delivery", {}, parents=[one, two], rule="r", facility="01021", key="k", revision=one["meta"]["revision"])
    assert made["meta"]["test"] is True


@given(st.binary(max_size=40))
def test_surplus_or_missing_bytes_are_an_error_and_never_a_record(junk):
    body = encode("hie.Referral", referral())
    with pytest.raises(HubError, match="BODY_UNDECODABLE"):
        decode("hie.Referral", body + b"\0" + junk)
    with pytest.raises(HubError, match="BODY_UNDECODABLE"):
        decode("hie.Referral", body[: -1 - len(junk)])


def test_a_schema_has_the_same_text_in_every_process():
    asked = "from hub.contract.events import schema_text; print(schema_text('hie.Claim'))"
    texts = {
        subprocess.run(
            [sys.executable, "-c", asked], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(texts) == 1


def test_json_keeps_amounts_exact_and_vietnamese_readable():
    assert to_json({"t": Decimal("10.50"), "ho_ten": "Nguyễn"}) == '{"t":"10.50","ho_ten":"Nguyễn"}'.encode()


def test_absent_bytes_are_written_as_none():
    origin = Origin("m-1", NOON, {"sender": "vendor"})
    content = {"ma_cskcb": "01004", "ma_lk": "1", "xml1": {"ma_lk": "1"}}
    claim = stamp("hie.Claim", content, facility="01004", business_key="1", origin=origin, keyring=KEYS)
    assert decode("hie.Claim", encode("hie.Claim", claim))["signature"] == b""
