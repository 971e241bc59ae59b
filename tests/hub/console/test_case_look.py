"""Cases are found by number, or by facility, day and state, a bounded page at a time; each in the state that routing knows."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from hub.bus import Wire, apply_topics
from hub.console import case_look
from hub.console.case_look import by_number, case_of, keys_of_patient, walk
from hub.contract.errors import HubError
from hub.contract.events import now
from hub.journal.consumer import index
from hub.routing import cases
from hub.routing.referrals import facts
from hub.store.database import connect
from tests.made import AT, KEYRING, Log, delivery, received, referral
from tests.own_database import own_database

CARD = "GD4010012345678"


@pytest.fixture(scope="module")
def wire(settings):
    made = Wire(settings.registry_url)
    apply_topics(settings.kafka, made)
    return made


@pytest.fixture(scope="module")
def url(settings):
    with own_database(settings.database_url.get_secret_value()) as made:
        yield made


@pytest.fixture
def database(url):
    with connect(url, autocommit=True) as connection:
        connection.execute(
            "truncate journal_offset, journal_message, journal_event, journal_delivery, journal_receipt, case_fact"
        )
        yield connection


@pytest.fixture
def came(database, wire):
    """Puts referrals into the journal and the case index."""
    log = Log(wire)

    def come(slip, *, hours=0, facility="01731", action="ISSUED", **more):
        message = received(facility, at=AT + timedelta(hours=hours))
        event = referral(message, slip, action=action)
        event["meta"]["revision"]["received_at"] = message["received_at"]
        event["person"]["identifiers"] = [{"type": "BHYT_CARD", "value": CARD}]
        event |= more
        sent = delivery(wire, "hie.Referral", event, "01021")
        at = message["received_at"]
        records = (("message-received.v1", message), ("referral.v1", event), ("delivery.v1", sent))
        index(database, wire, [log.event(topic, one, at) for topic, one in records], {})
        said = [(fact, event["meta"]["event_id"], "referral.v1/0/0") for fact in facts(event, KEYRING)]
        cases.state(database, said, now(), days=400)
        return event["meta"], sent["meta"]

    return come


def claimed(database, key, record, action, hours, topic="claim.v1"):
    """One thing that was said of a claim."""
    at, event = AT + timedelta(hours=hours), uuid4()
    database.execute(
        "insert into journal_event (event_id, topic, partition, record_offset, record, message_id, facility, key, action, revision, rule,"
        " causes, recorded_at, test) values (%s, %s, 0, %s, %s, null, '01731', %s, %s, %s, '', '{}', %s, false)",
        (event, topic, uuid4().int % 2**60, record, key, action, f"{hours:03}", at),
    )
    return event


def test_a_slip_is_found_by_its_facility_and_number_in_its_state(database, came):
    came("S-1")
    came("S-1", hours=1, action="ACCEPTED", by_facility="01021")
    came("S-2")
    [case] = by_number(database, "referrals", "01731", "S-1", KEYRING).found
    assert (case.state, case.holder, case.facility, case.record) == ("ACCEPTED", "01021", "01731", "hie.Referral")
    assert by_number(database, "referrals", "01731", "S-9", KEYRING).found == ()
    assert by_number(database, "claims", "01731", "S-1", KEYRING).found == (), "a slip is no claim"
    for facility, number in (("", "S-1"), ("01731", "")):
        with pytest.raises(HubError, match="REQUEST_WRONG"):
            by_number(database, "referrals", facility, number, KEYRING)


def test_cases_are_listed_by_facility_day_and_state_the_newest_first(database, came):
    came("S-1")
    came("S-2", hours=1, action="CANCELLED")
    came("S-3", hours=30)
    came("S-4", hours=2, facility="01004")
    found = walk(database, "referrals", facility="01731", since=AT, until=AT + timedelta(days=1))
    assert [case.state for case in found.found] == ["CANCELLED", "ISSUED"]
    assert found.walked == 2 and found.next == ""
    [cancelled] = walk(database, "referrals", facility="01731", state="CANCELLED").found
    assert cancelled.event_id == found.found[0].event_id
    assert len(walk(database, "referrals").found) == 4
    assert walk(database, "results").found == ()


@pytest.mark.parametrize(("rows", "messages"), [(2, 100), (100, 2), (1, 1)])
def test_pages_follow_one_another_without_gap_or_repeat(database, came, monkeypatch, rows, messages):
    monkeypatch.setattr(case_look, "PAGE", rows)
    monkeypatch.setattr(case_look, "WALKED", messages)
    told = [came(f"S-{number}", hours=number)[0]["event_id"] for number in range(5)]
    seen, after = [], ""
    for _ in range(12):
        page = walk(database, "referrals", facility="01731", after=after)
        assert len(page.found) <= rows and page.walked <= messages
        seen += [str(case.event_id) for case in page.found]
        after = page.next
        if not after:
            break
    assert seen == told[::-1]
    with pytest.raises(HubError, match="REQUEST_WRONG"):
        walk(database, "referrals", after="yesterday")


def test_a_claim_stands_where_its_payer_put_it_until_it_is_said_anew(database):
    claim = claimed(database, "01731:k", "hie.Claim", "SUBMITTED", 1)
    claimed(database, "01731:k", "hie.ClaimDecision", "REJECTED", 2, "payer.vss.decision.v1")
    assert case_of(database, claim).state == "SUBMITTED", "nobody has checked that decision"
    claimed(database, "01731:k", "hie.ClaimDecision", "REDUCED", 3, "claim-decision.v1")
    assert case_of(database, claim).state == "REDUCED"
    claimed(database, "01731:k", "hie.Claim", "SUBMITTED", 4)
    assert case_of(database, claim).state == "SUBMITTED"
    claimed(database, "01731:k", "hie.Claim", "CANCELLED", 5)
    claimed(database, "01731:k", "hie.ClaimDecision", "CANCELLED", 6, "claim-decision.v1")
    assert case_of(database, claim).state == "CANCELLED"


@pytest.mark.parametrize("actions", [("PLACED", "CANCELLED"), ("CANCELLED", "PLACED")])
def test_an_order_of_which_a_test_is_cancelled_beside_a_new_one_stands(database, actions):
    for action in actions:
        order = claimed(database, "01731:k", "hie.LabOrder", action, 1, "lab-order.v1")
    assert case_of(database, order).state == "PLACED"
    claimed(database, "01731:k", "hie.LabOrder", "CANCELLED", 2, "lab-order.v1")
    assert case_of(database, order).state == "CANCELLED"


def test_an_event_and_a_delivery_lead_to_their_case_and_nothing_else_does(database, came):
    event, sent = came("S-1")
    assert case_of(database, UUID(event["event_id"])).key == case_of(database, UUID(sent["event_id"])).key == event["key"]
    with pytest.raises(HubError, match="NOT_FOUND"):
        case_of(database, uuid4())


def test_a_patient_is_known_by_card_by_number_of_the_insurance_or_by_a_slip(database, came):
    event, _ = came("S-1")
    assert keys_of_patient(database, CARD, KEYRING) == keys_of_patient(database, f" {CARD[-10:]} ", KEYRING) == [event["key"]]
    assert event["key"] in keys_of_patient(database, "01731/S-1", KEYRING)
    assert keys_of_patient(database, "DN4010099999999", KEYRING) == []
    for nobody in ("", "Nguyễn Thị Sen", "/", "01731/"):
        with pytest.raises(HubError, match="REQUEST_WRONG"):
            keys_of_patient(database, nobody, KEYRING)
