"""One MA_LK more than once: in one envelope the later one is in force, for whoever compares revisions, and the sender is told; after a cancellation
what was stated later is, as the page says."""

import itertools
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from adapters.formats.claim_xml import write
from adapters.inbound import envelope as envelope_reader
from adapters.inbound.received import Received
from adapters.inbound.translate import translate
from hub.contract.claim_tables import tables
from hub.contract.errors import LOST, Severity
from hub.contract.events import Keyring, revision_rank
from hub.contract.places import shipped

AT = datetime(2026, 11, 23, 1, 5, tzinfo=UTC)
KEYRING = Keyring(b"a secret of tests only")


def read(*claims, at=AT):
    """What becomes of an envelope of claims, each (MA_LK, T_BHTT)."""
    rows = [{"XML1": [{"MA_LK": ma_lk, "MA_CSKCB": "01004", "STT": "1", "T_BHTT": amount}]} for ma_lk, amount in claims]
    raw = write(rows, {name: list(table) for name, table in tables().items()}, ma_cskcb="01004", ngaylap="20261123")
    return translate(Received(raw, at, "http"), KEYRING)


def told(done):
    return [(problem.severity, problem.path) for problem in done.problems if problem.code == "CLAIM_REPEATED"]


def amounts(done, ma_lk="A"):
    """T_BHTT of the claims of a key, the one in force last: by revision, as every reader compares them."""
    ranks = {revision_rank(event["meta"]["revision"]): event for _, event in done.events if event["ma_lk"] == ma_lk}
    return [str(ranks[rank]["xml1"]["t_bhtt"]) for rank in sorted(ranks)]


@pytest.mark.parametrize("at_once", [0, 1024 * 1024], ids=["from the disk", "in memory"])
def test_of_claims_of_one_number_the_later_in_the_envelope_is_in_force(monkeypatch, at_once):
    monkeypatch.setattr(envelope_reader, "_AT_ONCE_BYTES", at_once)
    done = read(("A", "71305.00"), ("B", "5.00"), ("A", "83805.00"), ("A", "12.00"))
    assert (done.verdict, done.message["ack"]) == ("translated", "AA")
    assert amounts(done) == ["71305.00", "83805.00", "12.00"]
    assert told(done) == [(Severity.WARNING, "HOSO[3]"), (Severity.WARNING, "HOSO[4]")]


def test_it_is_told_before_what_concerns_the_form_alone():
    assert "CLAIM_REPEATED" in LOST


def test_all_the_words_of_a_payer_on_the_earlier_one_stay_below_the_later_one():
    done = read(("A", "1.00"), ("A", "2.00"))
    earlier, later = (event["meta"]["revision"]["received_at"] for _, event in done.events)
    assert earlier == AT and later - earlier > timedelta(microseconds=999)  # a version of 1 to 999 is a microsecond each


def test_nothing_is_told_of_claims_of_different_numbers_nor_of_one_that_is_there_twice_word_by_word():
    done = read(("A", "1.00"), ("B", "1.00"), ("A", "1.00"))
    assert told(done) == []
    assert {event["meta"]["revision"]["received_at"] for _, event in done.events} == {AT}
    assert len({event["meta"]["event_id"] for _, event in done.events}) == 2


def test_one_that_says_again_what_an_earlier_one_said_is_the_same_event_in_its_place_and_that_is_told():
    done = read(("A", "1.00"), ("A", "2.00"), ("A", "1.00"))
    assert amounts(done) == ["1.00", "2.00"]
    assert told(done) == [(Severity.WARNING, "HOSO[2]"), (Severity.WARNING, "HOSO[3]")]
    first, _, third = (event for _, event in done.events)
    assert first == third


def test_the_same_file_again_is_the_same_events_and_a_later_envelope_stands_over_all_of_it():
    claims = [("A", f"{number}.00") for number in range(1, 21)]
    first, again = read(*claims), read(*claims, at=AT + timedelta(hours=1))
    assert [event["meta"]["event_id"] for _, event in first.events] == [event["meta"]["event_id"] for _, event in again.events]
    later = read(("A", "99.00"), at=AT + timedelta(seconds=1))
    ranks = [revision_rank(event["meta"]["revision"]) for _, event in itertools.chain(first.events, later.events)]
    assert ranks == sorted(set(ranks))


# --- sent again after a cancellation: the doors keep no claims and say AA to any of these

SAMPLES = shipped("seeds/messages/_standard")
PAGE = Path(envelope_reader.__file__).with_name("DOORS.md").read_text("utf-8")


def claim_in(name, ngaylap="20261123"):
    """The claim of a sample, of that NGAYLAP where it is an envelope."""
    raw = (SAMPLES / name).read_bytes().replace(b"<NGAYLAP>20261123<", f"<NGAYLAP>{ngaylap}<".encode())
    done = translate(Received(raw, AT, "http"), KEYRING)
    assert done.message["ack"] == "AA"
    [(_, event)] = done.events
    return event


def test_under_the_day_of_a_cancellation_a_claim_is_older_and_under_the_later_ngaylap_of_the_page_newer():
    [told] = re.findall(r"\*\*Sent again after a cancellation\*\*.*NGAYLAP.*`(\d{12})`", PAGE)
    cancelled = claim_in("ehc-e02-cancelled.hl7")
    sent = [claim_in("claim-outpatient.xml", ngaylap) for ngaylap in ("20261123", told, "20261124")]
    assert {event["meta"]["key"] for event in sent} == {cancelled["meta"]["key"]}
    at = revision_rank(cancelled["meta"]["revision"])
    assert [revision_rank(event["meta"]["revision"]) > at for event in sent] == [False, True, True]
    assert claim_in("claim-outpatient.xml") == sent[0], "word by word it is the first event again"
