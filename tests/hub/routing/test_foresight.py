"""What is foreseen is what the worker then does, and nothing is written."""

import pytest

from hub.contract.events import decode, encode
from hub.routing.app import streams
from hub.routing.foresight import Foresight
from hub.store.database import connect
from tests.hub.routing.story import COMMUNE, DISTRICT, KEYRING, PROVINCE, TOPICS, check_in, claim, order, referral, result

STORY = (
    ("hie.LabOrder", order()),
    ("hie.LabResult", result(minute=1)),
    ("hie.LabResult", result(placer="O9", minute=2)),
    ("hie.Referral", referral(minute=3)),
    ("hie.Referral", referral(minute=4, to="01999", slip="S9")),
    ("hie.Referral", referral("ACCEPTED", minute=5)),
    ("hie.Encounter", check_in(minute=6, slip="S1", ma_noi_di=COMMUNE)),
    ("hie.Referral", referral(minute=7)),
    ("hie.Referral", referral("CANCELLED", minute=8)),
    ("hie.Claim", claim(minute=9)),
)


def whole(record, event):
    return decode(record, encode(record, event))


def foreseen(eye, record, event):
    return eye.of(TOPICS[record], whole(record, event))


def addressed(found):
    return {(one.to, one.rule) for each in found for one in each.outcomes if one.kind in ("deliver", "recall")}


def test_offline_the_events_of_one_file_know_of_each_other():
    eye = Foresight(streams(), KEYRING)
    assert addressed(foreseen(eye, "hie.Encounter", check_in(slip="S1", ma_noi_di=COMMUNE))) == set()
    slip = foreseen(eye, "hie.Referral", referral(minute=1))
    assert [one.record for one in slip] == ["hie.Referral", "hie.Referral"]  # and the arrival that derives from it
    assert addressed(slip) == {
        (DISTRICT, "referral-to-receiver"),
        ("portal", "referral-to-portal"),
        ("vss", "referral-to-payer"),
        (COMMUNE, "arrival-to-issuer"),
    }


def test_what_would_wait_has_its_cause_and_what_helps_in_both_languages():
    (one,) = foreseen(Foresight(streams(), KEYRING), "hie.Referral", referral(to="01999"))
    parked = one.as_dict()["parked"]
    assert parked["code"] == "RECEIVER_UNKNOWN"
    assert "hie parked edit" in parked["remedy_en"] and "hie parked edit" in parked["remedy_vi"]


def test_the_same_event_twice_has_no_further_effect():
    eye = Foresight(streams(), KEYRING)
    assert [foreseen(eye, "hie.Referral", referral())[0].again for _ in range(2)] == [False, True]


@pytest.fixture
def reader(routing_settings):
    with connect(routing_settings.database_url.get_secret_value()) as opened:
        opened.read_only = True
        yield opened


def snapshot(pool):
    with pool.connection() as database:
        return [
            database.execute(f"select * from {table} order by 1, 2, 3").fetchall()  # names of tables
            for table in ("case_event", "case_head", "case_fact", "due", "parked")
        ]


def test_what_is_foreseen_is_what_the_worker_does_at_every_step(new_hub, reader, routing_pool):
    hub = new_hub()
    for record, event in STORY:
        before = snapshot(routing_pool)
        hub.deliveries.clear()  # what is said to somebody who has it is foreseen, too
        found = foreseen(Foresight(streams(), KEYRING, reader), record, event)
        reader.rollback()
        assert snapshot(routing_pool) == before
        hub.send((record, event))
        made = list(hub.deliveries.values())
        assert addressed(found) == {(one["recipient"], one["rule"]) for one in made if one["recipient"]}
        nobody = {one.rule for each in found for one in each.outcomes if one.kind in ("nobody", "refuse")}
        assert nobody == {one["rule"] for one in made if not one["recipient"]}
    assert addressed(foreseen(Foresight(streams(), KEYRING, reader), "hie.LabOrder", order("O9", minute=20))) >= {
        (PROVINCE, "result-to-orderer")
    }


def test_what_waits_for_another_event_of_the_same_file_is_foreseen_with_it():
    eye = Foresight(streams(), KEYRING)
    assert addressed(foreseen(eye, "hie.LabResult", result("O1"))) == set()
    assert (PROVINCE, "result-to-orderer") in addressed(foreseen(eye, "hie.LabOrder", order("O1", minute=1)))
    assert addressed(foreseen(eye, "hie.Claim", claim(action="CANCELLED", minute=5))) == {("vss", "claim-to-payer")}
    (papers,) = foreseen(eye, "hie.Claim", claim(xml7=[{"ma_lk": "C1"}]))
    portal = [(one.kind, one.rule) for one in papers.outcomes if one.to == "portal"]
    assert portal == [("recall", "summary-to-portal"), ("deliver", "summary-to-portal")]


def test_a_key_that_waits_is_told(new_hub, reader):
    hub, slip = new_hub(), referral(to="01999")
    hub.send(("hie.Referral", slip))
    eye = Foresight(streams(), KEYRING, reader)
    (again,) = foreseen(eye, "hie.Referral", slip)
    (behind,) = foreseen(eye, "hie.Referral", referral("CANCELLED", minute=1, to=DISTRICT))
    assert (again.again, behind.parked) == (True, "BEHIND")
    first, _withdrawn = eye.of("referral.v1", whole("hie.Referral", referral(minute=2)), first=True)
    told = {(DISTRICT, "referral-to-receiver"), ("portal", "referral-to-portal"), ("vss", "referral-to-payer")}
    assert addressed([first]) == told


def test_a_repeat_and_something_older_are_told(new_hub, reader):
    hub = new_hub()
    hub.send(("hie.Referral", referral()), ("hie.Referral", referral(minute=10)))
    eye = Foresight(streams(), KEYRING, reader)
    rules = [
        foreseen(eye, "hie.Referral", event)[0].outcomes[0].rule
        for event in (referral(minute=11), referral("MODIFIED", minute=5, reason="older"))
    ]
    assert rules == ["repeat", "superseded"]
