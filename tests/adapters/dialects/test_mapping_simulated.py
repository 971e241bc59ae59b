"""Simulated traffic is what real senders send well: our own door takes it without a warning, as what it is meant to be."""

from datetime import UTC, datetime

from adapters.inbound.received import Received
from adapters.inbound.translate import translate
from hub import simulate
from hub.contract.events import Event, Keyring


def taken(raw: bytes, record: str) -> Event:
    outcome = translate(Received(raw, datetime(2026, 11, 23, 1, 5, tzinfo=UTC), "mllp"), Keyring(b"secret"))
    assert (outcome.message["ack"], outcome.problems) == ("AA", ())
    [(name, event)] = outcome.events
    assert name == record
    return event


def test_results_name_their_orderer_and_visit() -> None:
    for number, raw in enumerate(simulate.results(7, 20)):
        event = taken(raw, "hie.LabResult")
        assert (event["meta"]["facility"], event["orderer"], event["ma_lk"]) == ("01021", "01004", f"SIM7.{number:08d}")
        assert len(event["observations"]) == 14
        assert all("number" in line for line in event["observations"])


def test_referrals_go_from_issuer_to_receiver() -> None:
    for number, raw in enumerate(simulate.referrals(7, 20)):
        event = taken(raw, "hie.Referral")
        assert (event["ma_cskcb"], event["ma_cskcb_den"], event["slip"]) == ("01731", "01021", f"SIM7.{number:08d}")
        assert event["ma_lk"] == f"SIM7.{number:08d}"
        assert {each["type"] for each in event["person"]["identifiers"]} >= {"MRN", "SDDCN", "BHYT_CARD"}
