"""Keys that wait: in order, alone, and let go or given up by a person."""

import asyncio
import dataclasses
from contextlib import suppress

import psycopg
import pytest
from typer.testing import CliRunner

from hub.bus import Out
from hub.cli.main import app
from hub.contract.directory import Facility, facilities
from hub.contract.errors import HubError
from hub.routing import parking
from hub.routing.amend import amended
from hub.routing.batch import _SplitError
from hub.store.database import connect
from tests.hub.routing.story import COMMUNE, DISTRICT, KEYRING, STREAMS, person, referral, result

TOPIC, NEW = "referral.v1", "01999"


@pytest.fixture
def database(routing_settings):
    with connect(routing_settings.database_url.get_secret_value()) as opened:
        yield opened


@pytest.fixture
def opens():
    """Adds the unknown facility to the directory, for one test."""
    known = facilities()

    def add():
        known[NEW] = Facility(NEW, "", "", "basic", "hospital", "01", "_standard", known[DISTRICT].valid_from, None)

    yield add
    known.pop(NEW, None)


def send(hub, *events):
    for event in events:
        hub.send(("hie.Referral", event))


def mend(hub, database, act, event):
    of = (TOPIC, event["meta"]["key"]) if act == parking.release else (STREAMS[TOPIC], event["meta"]["key"], KEYRING)
    count = act(database, hub.published, hub.router.wire, *of, by="somebody", reason="because of a test")
    hub.follow()
    return count


def delivered(hub):
    """Actions of what reached the facility, in order."""
    return [hub.router.wire.unpack(one["body"])[1]["action"] for one in hub.deliveries.values() if one["recipient"] == NEW]


ISSUED, MODIFIED, CANCELLED = (
    referral(action, minute=at, to=NEW) for at, action in enumerate(("ISSUED", "MODIFIED", "CANCELLED"))
)


def test_later_events_of_a_parked_key_wait_behind_it_and_other_keys_go_on(new_hub, database):
    hub = new_hub()
    send(hub, ISSUED, MODIFIED, referral(slip="S2"))
    assert {recipient for recipient, _rule in hub.addressed()} == {DISTRICT, "portal", "vss"}
    assert database.execute("select code from parked order by record_offset").fetchall() == [("RECEIVER_UNKNOWN",), ("BEHIND",)]
    (row,) = parking.waiting(database)
    assert (row["topic"], row["key"], row["code"], row["waiting"]) == (TOPIC, ISSUED["meta"]["key"], "RECEIVER_UNKNOWN", 2)


def test_release_sends_them_on_in_order(new_hub, database, opens):
    hub = new_hub()
    send(hub, ISSUED, MODIFIED, CANCELLED)
    opens()
    assert mend(hub, database, parking.release, ISSUED) == 3
    assert delivered(hub) == ["ISSUED", "MODIFIED", "CANCELLED"]
    assert parking.waiting(database) == []


def test_what_its_sender_says_right_goes_in_the_place_of_what_waits_and_nobody_has_to_release_it(new_hub, database):
    hub = new_hub()
    send(hub, ISSUED, referral("MODIFIED", minute=1))
    assert parking.waiting(database) == []
    assert (DISTRICT, "referral-to-receiver") in hub.addressed()
    assert [one["rule"] for one in hub.deliveries.values() if one["subject_event_id"] == ISSUED["meta"]["event_id"]] == [
        "superseded"
    ]


def test_said_wrong_and_right_in_one_batch_it_goes_by_itself_too(new_hub, database):
    hub, right = new_hub(), referral("MODIFIED", minute=1)
    pour(hub, [ISSUED, right], 2)
    hub.follow()
    assert parking.waiting(database) == []
    assert [one["subject_event_id"] for one in hub.deliveries.values() if one["recipient"] == DISTRICT] == [
        right["meta"]["event_id"]
    ]


def test_said_wrong_twice_and_then_right_it_goes_by_itself(new_hub, database):
    hub, right = new_hub(), referral("MODIFIED", minute=5)
    send(hub, ISSUED, referral("MODIFIED", minute=3, to=NEW), right)
    assert parking.waiting(database) == []
    assert [one["subject_event_id"] for one in hub.deliveries.values() if one["recipient"] == DISTRICT] == [
        right["meta"]["event_id"]
    ]


def test_what_adds_to_what_waits_takes_the_place_of_nothing(new_hub, database, monkeypatch):
    monkeypatch.setitem(STREAMS, TOPIC, dataclasses.replace(STREAMS[TOPIC], adds=True))
    hub = new_hub()
    send(hub, ISSUED, referral("MODIFIED", minute=1))
    assert [code for (code,) in database.execute("select code from parked order by record_offset")] == [
        "RECEIVER_UNKNOWN",
        "BEHIND",
    ]


def test_said_right_and_wrong_and_right_again_what_is_newest_goes_last(new_hub, database):
    hub = new_hub()
    right, again = referral("MODIFIED", minute=1), referral("MODIFIED", minute=5, priority="S")
    send(hub, ISSUED, right, referral("MODIFIED", minute=3, to=NEW), again)
    assert parking.waiting(database) == []
    told = [one["subject_event_id"] for one in hub.deliveries.values() if one["recipient"] == DISTRICT]
    assert told == [right["meta"]["event_id"], again["meta"]["event_id"]]


@pytest.mark.parametrize(
    "later", [referral("MODIFIED", minute=0), referral("REJECTED", minute=9, by_facility=DISTRICT), referral("MODIFIED", minute=9, to=NEW)],
    ids=["no newer", "another speaks", "wrong too"],
)  # fmt: skip
def test_what_is_no_newer_or_is_no_cure_waits_behind(new_hub, database, later):
    hub = new_hub()
    send(hub, referral("ISSUED", minute=5, to=NEW), later)
    assert [code for (code,) in database.execute("select code from parked order by record_offset")] == [
        "RECEIVER_UNKNOWN",
        "BEHIND",
    ]


def test_the_cure_that_was_parked_by_a_try_that_got_no_further_is_one_all_the_same(new_hub, database, monkeypatch):
    hub, cure = new_hub(), referral("MODIFIED", minute=1)
    send(hub, ISSUED)
    outdo = type(hub.router)._outdo
    monkeypatch.setattr(type(hub.router), "_outdo", lambda *_args: None)
    record = hub.record(TOPIC, Out(TOPIC, cure["meta"]["key"], hub.router.wire.pack(TOPIC, cure)))
    asyncio.run(hub.router.route(STREAMS[TOPIC], [record]))
    assert len(database.execute("select from parked where state = 'PARKED'").fetchall()) == 2
    monkeypatch.setattr(type(hub.router), "_outdo", outdo)
    asyncio.run(hub.router.route(STREAMS[TOPIC], [record]))
    hub.follow()
    assert parking.waiting(database) == []
    assert (DISTRICT, "referral-to-receiver") in hub.addressed()


def test_what_comes_while_a_key_is_released_follows_by_itself(new_hub, database, opens):
    hub = new_hub()
    send(hub, ISSUED)
    opens()
    parking.release(database, hub.published, hub.router.wire, TOPIC, ISSUED["meta"]["key"], by="somebody", reason="test")
    released, hub.published.outs = hub.published.outs, []
    send(hub, MODIFIED)  # before the worker has come to what was released
    assert delivered(hub) == []
    hub.published.outs = released
    hub.follow()
    assert delivered(hub) == ["ISSUED", "MODIFIED"]
    assert parking.waiting(database) == []


def test_released_too_early_they_park_again_in_the_same_order(new_hub, database, opens):
    hub = new_hub()
    send(hub, ISSUED, MODIFIED)
    mend(hub, database, parking.release, ISSUED)
    assert delivered(hub) == []
    send(hub, CANCELLED)
    opens()
    mend(hub, database, parking.release, ISSUED)
    assert delivered(hub) == ["ISSUED", "MODIFIED", "CANCELLED"]
    assert parking.waiting(database) == []


def test_released_twice_they_have_their_effect_once(new_hub, database, opens):
    hub = new_hub()
    send(hub, ISSUED, MODIFIED)
    opens()
    for _ in range(2):
        parking.release(database, hub.published, hub.router.wire, TOPIC, ISSUED["meta"]["key"], by="somebody", reason="test")
    hub.follow()
    assert delivered(hub) == ["ISSUED", "MODIFIED"]


def test_a_parked_record_read_again_stays_parked_once(new_hub, database):
    hub = new_hub()
    record = hub.record(TOPIC, Out(TOPIC, ISSUED["meta"]["key"], hub.router.wire.pack(TOPIC, ISSUED)))
    for _ in range(2):
        hub.route(TOPIC, [record])
    assert database.execute("select count(*) from parked").fetchone() == (1,)


def test_discard_gives_up_the_cause_and_lets_the_rest_go(new_hub, database, opens):
    hub = new_hub()
    send(hub, ISSUED, MODIFIED)
    opens()
    assert mend(hub, database, parking.discard, ISSUED) == 1
    assert delivered(hub) == ["MODIFIED"]
    topics = [topic for topic, _event in hub.others]
    assert topics == ["dead-letter.v1", "audit.v1", "payer.vss.referral.v1", "receipt.v1"]


@pytest.fixture
def given_up_meanwhile(database, routing_settings, monkeypatch):
    """Somebody gives up what MODIFIED waits for when its worker has just read that it waits; `then` is called after that."""
    read = parking.read

    def arrange(hub, then=lambda: None):
        def and_then_discarded(*args, **more):
            queues = read(*args, **more)
            if queues.waiting:
                monkeypatch.setattr(parking, "read", read)
                with connect(routing_settings.database_url.get_secret_value()) as other:
                    assert mend(hub, other, parking.discard, ISSUED) == 1
                then()
            return queues

        monkeypatch.setattr(parking, "read", and_then_discarded)

    return arrange


def test_what_parks_behind_an_event_that_is_given_up_at_that_moment_goes_on(new_hub, database, opens, given_up_meanwhile):
    hub = new_hub()
    send(hub, ISSUED)
    opens()
    given_up_meanwhile(hub)
    send(hub, MODIFIED)
    assert delivered(hub) == ["MODIFIED"]
    assert parking.waiting(database) == []


def test_what_parked_behind_it_goes_on_though_the_brokers_were_away_just_then(
    new_hub, database, opens, given_up_meanwhile, monkeypatch
):
    hub = new_hub()
    send(hub, ISSUED)
    opens()
    publish = hub.published.publish_blocking

    def away(_outs):
        monkeypatch.setattr(hub.published, "publish_blocking", publish)
        raise HubError("BROKER_UNAVAILABLE", "test")

    given_up_meanwhile(hub, lambda: monkeypatch.setattr(hub.published, "publish_blocking", away))
    send(hub, MODIFIED)
    assert delivered(hub) == ["MODIFIED"]
    assert parking.waiting(database) == []


def test_a_discard_that_did_not_get_to_what_waits_behind_gives_up_nothing_more_when_it_is_done_again(
    new_hub, database, opens, monkeypatch
):
    hub = new_hub()
    send(hub, ISSUED, MODIFIED)
    opens()
    publish = hub.published.publish_blocking

    def once(outs):
        publish(outs)
        monkeypatch.setattr(hub.published, "publish_blocking", away)

    def away(_outs):
        monkeypatch.setattr(hub.published, "publish_blocking", publish)
        raise HubError("BROKER_UNAVAILABLE", "test")

    monkeypatch.setattr(hub.published, "publish_blocking", once)
    with pytest.raises(HubError):
        mend(hub, database, parking.discard, ISSUED)
    database.rollback()
    assert mend(hub, database, parking.discard, ISSUED) == 0
    assert delivered(hub) == ["MODIFIED"]
    assert [topic for topic, _event in hub.others].count("dead-letter.v1") == 1


def test_what_was_discarded_may_be_said_again(new_hub, database, opens):
    hub = new_hub()
    send(hub, ISSUED)
    opens()
    mend(hub, database, parking.discard, ISSUED)
    send(hub, referral(minute=30, to=NEW))
    assert delivered(hub) == ["ISSUED"]


def test_what_was_discarded_said_nothing_and_what_stood_before_stands_again(new_hub, database):
    hub, before = new_hub(), referral()
    send(hub, before)
    stood = database.execute("select kind, ref, id, rank, data, event_id, place from case_fact order by 1, 2, 3").fetchall()
    wrong = referral("MODIFIED", minute=1, to=NEW, person=person("001090000099"))
    send(hub, wrong)
    mend(hub, database, parking.discard, wrong)
    assert (
        database.execute("select kind, ref, id, rank, data, event_id, place from case_fact order by 1, 2, 3").fetchall() == stood
    )


def test_what_was_routed_in_the_same_batch_stands_when_the_one_after_it_is_discarded(new_hub, database):
    hub, events = new_hub(), [referral(), referral("MODIFIED", minute=1, to=NEW)]
    outs = [Out(TOPIC, event["meta"]["key"], hub.router.wire.pack(TOPIC, event)) for event in events]
    hub.route(TOPIC, [hub.record(TOPIC, out) for out in outs])
    mend(hub, database, parking.discard, events[1])
    stands = database.execute("select event_id::text, data->>'receiver' from case_fact where (kind, id) = ('referral', 'issuer')")
    assert stands.fetchall() == [(events[0]["meta"]["event_id"], DISTRICT)]


def test_what_was_discarded_may_come_again_as_it_was(new_hub, database, opens):
    hub = new_hub()
    send(hub, ISSUED)
    opens()
    mend(hub, database, parking.discard, ISSUED)
    send(hub, ISSUED)  # from another place: a replay, or the same bytes sent again
    assert delivered(hub) == ["ISSUED"]


def test_a_label_is_not_taken_back_with_its_event(new_hub, database, opens):
    hub, slip = new_hub(), referral(to=NEW)
    slip["meta"]["sensitivity"] = "HIV"
    send(hub, slip, MODIFIED)
    opens()
    mend(hub, database, parking.discard, slip)
    assert "portal" not in {recipient for recipient, _rule in hub.addressed()}


def test_every_act_leaves_an_audit_event(new_hub, database, opens):
    hub = new_hub()
    send(hub, ISSUED)
    opens()
    mend(hub, database, parking.release, ISSUED)
    (audit,) = [event for topic, event in hub.others if topic == "audit.v1"]
    assert (audit["by"], audit["action"], audit["outcome"]) == ("somebody", "parked-release", "done")


# --- edited -----------------------------------------------------------------------------------------------------------


def edit(hub, database, event, **changes):
    """Mend the oldest waiting event of a key; what now waits in its place."""
    waits = parking.oldest(database, hub.router.wire, TOPIC, event["meta"]["key"])
    edited = amended("hie.Referral", waits, changes or {"ma_cskcb_den": DISTRICT}, KEYRING)
    done = parking.edit(
        database, hub.published, hub.router.wire, STREAMS[TOPIC], edited, KEYRING,
        fields=changes or ["ma_cskcb_den"], by="somebody", reason="test",
    )  # fmt: skip
    hub.follow()
    return edited if done else None


def reached(hub, recipient):
    """Action and event id of what reached a facility, in order."""
    bodies = [hub.router.wire.unpack(one["body"])[1] for one in hub.deliveries.values() if one["recipient"] == recipient]
    return [(body["action"], body["meta"]["event_id"]) for body in bodies]


def test_the_edited_event_goes_in_the_place_of_the_old_one_and_what_waits_behind_follows(new_hub, database):
    hub, answer = new_hub(), referral("ACCEPTED", minute=1, by_facility=DISTRICT)
    send(hub, ISSUED, answer)
    edited = edit(hub, database, ISSUED)
    assert reached(hub, DISTRICT) == []  # until it is released
    (row,) = parking.waiting(database)
    assert (row["waiting"], str(row["event_id"])) == (2, edited["meta"]["event_id"])
    mend(hub, database, parking.release, ISSUED)
    assert reached(hub, DISTRICT) == [("ISSUED", edited["meta"]["event_id"])]
    assert reached(hub, COMMUNE) == [("ACCEPTED", answer["meta"]["event_id"])]
    assert parking.waiting(database) == []
    (fact,) = database.execute("select data from case_fact where kind = 'referral' and id = 'issuer'").fetchone()
    assert (fact["state"], fact["receiver"]) == ("ISSUED", DISTRICT)


def test_the_old_event_is_for_nobody_and_has_no_effect_when_it_comes_again(new_hub, database, opens):
    hub = new_hub()
    send(hub, ISSUED)
    edit(hub, database, ISSUED)
    (told,) = hub.deliveries.values()
    assert (told["recipient"], told["rule"], told["subject_event_id"]) == ("", "edited", ISSUED["meta"]["event_id"])
    mend(hub, database, parking.release, ISSUED)
    opens()
    send(hub, ISSUED)
    assert delivered(hub) == []
    assert [action for action, _ in reached(hub, DISTRICT)] == ["ISSUED"]
    (fact,) = database.execute("select data from case_fact where kind = 'referral' and id = 'issuer'").fetchone()
    assert fact["receiver"] == DISTRICT


def test_what_the_old_event_said_is_forgotten(new_hub, database):
    """A slip for the wrong person: her results are none of the receiver's business."""
    hub, wrong = new_hub(), person("001090000099")
    send(hub, referral(to=NEW, person=wrong))
    edit(
        hub,
        database,
        ISSUED,
        **{"person.identifiers[1].value": "001090000001", "person.identifiers[1].normalised": "001090000001"},
    )
    assert database.execute(
        "select count(*) from case_fact where event_id = %s", (referral(to=NEW, person=wrong)["meta"]["event_id"],)
    ).fetchone() == (0,)
    edit(hub, database, ISSUED)
    mend(hub, database, parking.release, ISSUED)
    hub.send(("hie.LabResult", result("O8", person=wrong)), ("hie.LabResult", result("O9")))
    told = [one["subject_event_id"] for one in hub.deliveries.values() if one["rule"] == "result-to-receiver"]
    assert told == [result("O9")["meta"]["event_id"]]


def test_a_copy_of_the_old_event_that_is_still_under_way_has_no_effect(new_hub, database, opens):
    hub, key = new_hub(), ISSUED["meta"]["key"]
    send(hub, ISSUED)
    for _ in range(2):
        parking.release(database, hub.published, hub.router.wire, TOPIC, key, by="somebody", reason="test")
    copies, hub.published.outs = [out for out in hub.published.outs if out.topic == TOPIC], []
    hub.route(TOPIC, [hub.record(TOPIC, copies[0])])  # it parks again
    edited = edit(hub, database, ISSUED)
    opens()
    hub.route(TOPIC, [hub.record(TOPIC, copies[1])])
    assert delivered(hub) == []
    facts = "select count(*) from case_fact where event_id = %s"
    assert database.execute(facts, (ISSUED["meta"]["event_id"],)).fetchone() == (0,)
    assert [str(row["event_id"]) for row in parking.waiting(database)] == [edited["meta"]["event_id"]]
    mend(hub, database, parking.release, ISSUED)
    assert (delivered(hub), reached(hub, DISTRICT)) == ([], [("ISSUED", edited["meta"]["event_id"])])


def killed_at(call, hub):
    """A `publish_blocking` that is killed at its so manieth call."""
    calls = iter(range(1, call + 1))

    def publish(records):
        if next(calls) == call:
            raise KeyboardInterrupt
        hub.published.outs += records

    return publish


def test_the_old_event_that_was_never_looked_at_has_no_effect_at_another_place(new_hub, database, opens):
    """It waited behind another, which was given up while its own copy was not yet under way."""
    hub = new_hub()
    send(hub, ISSUED, MODIFIED)
    publish, hub.published.publish_blocking = hub.published.publish_blocking, killed_at(2, hub)
    with suppress(KeyboardInterrupt):
        mend(hub, database, parking.discard, ISSUED)
    database.rollback()
    hub.published.publish_blocking = publish
    edited = edit(hub, database, ISSUED)
    opens()
    send(hub, MODIFIED)
    mend(hub, database, parking.release, ISSUED)
    assert (delivered(hub), reached(hub, DISTRICT)) == ([], [("MODIFIED", edited["meta"]["event_id"])])


def test_nobody_edits_what_a_worker_has_in_hand(new_hub, database, routing_settings, monkeypatch):
    """Between what the worker reads of the queue and what it publishes. It is the second copy: the first has parked again."""
    hub, tried = new_hub(), []
    send(hub, ISSUED)
    for _ in range(2):
        parking.release(database, hub.published, hub.router.wire, TOPIC, ISSUED["meta"]["key"], by="somebody", reason="test")
    copies, hub.published.outs = [out for out in hub.published.outs if out.topic == TOPIC], []
    hub.route(TOPIC, [hub.record(TOPIC, copies[0])])
    decide, stream = STREAMS[TOPIC].decide, STREAMS[TOPIC]
    edited = amended(
        "hie.Referral",
        parking.oldest(database, hub.router.wire, TOPIC, ISSUED["meta"]["key"]),
        {"ma_cskcb_den": DISTRICT},
        KEYRING,
    )
    database.rollback()
    ask = {"fields": ["ma_cskcb_den"], "by": "another", "reason": "test"}

    def meanwhile(event, known, moment):
        with connect(routing_settings.database_url.get_secret_value()) as other:
            tried.append(parking.edit(other, hub.published, hub.router.wire, stream, edited, KEYRING, **ask))
        return decide(event, known, moment)

    monkeypatch.setitem(STREAMS, TOPIC, dataclasses.replace(stream, decide=meanwhile))
    hub.route(TOPIC, [hub.record(TOPIC, copies[1])])
    assert tried == [0]
    assert [str(row["event_id"]) for row in parking.waiting(database)] == [ISSUED["meta"]["event_id"]]


def test_an_edit_that_is_undone_brings_the_old_event_back(new_hub, database, opens):
    hub = new_hub()
    send(hub, ISSUED)
    edit(hub, database, ISSUED)
    edit(hub, database, ISSUED, ma_cskcb_den=NEW)
    opens()
    mend(hub, database, parking.release, ISSUED)
    assert [event_id for _action, event_id in reached(hub, NEW)] == [ISSUED["meta"]["event_id"]]


def test_an_edit_is_audited_by_the_names_of_fields_without_a_value(new_hub, database):
    hub = new_hub()
    send(hub, ISSUED)
    edited = edit(hub, database, ISSUED, ma_cskcb_den=DISTRICT, reason="value of a field")
    (audit,) = [event for topic, event in hub.others if topic == "audit.v1"]
    key, old, new = ISSUED["meta"]["key"], ISSUED["meta"]["event_id"], edited["meta"]["event_id"]
    assert (audit["by"], audit["action"], audit["reason"], audit["outcome"]) == ("somebody", "parked-edit", "test", "done")
    assert audit["target"] == f"{TOPIC} {key} ma_cskcb_den, reason {old} -> {new}"


def test_edited_test_traffic_stays_test(new_hub, database):
    hub, slip = new_hub(), referral(to=NEW, test=True)
    send(hub, slip)
    edit(hub, database, slip)
    mend(hub, database, parking.release, slip)
    assert {one["meta"]["test"] for one in hub.deliveries.values()} == {True}
    assert [action for action, _ in reached(hub, DISTRICT)] == ["ISSUED"]


def test_edited_to_no_avail_it_parks_again_in_its_place_and_may_be_edited_again(new_hub, database):
    hub = new_hub()
    send(hub, ISSUED, referral("ACCEPTED", minute=1, by_facility=DISTRICT))
    edit(hub, database, ISSUED, ma_cskcb_den="01998")
    mend(hub, database, parking.release, ISSUED)
    (row,) = parking.waiting(database)
    assert (row["code"], row["waiting"]) == ("RECEIVER_UNKNOWN", 2)
    edit(hub, database, ISSUED)
    mend(hub, database, parking.release, ISSUED)
    assert [[action for action, _ in reached(hub, code)] for code in (DISTRICT, COMMUNE)] == [["ISSUED"], ["ACCEPTED"]]


def test_edited_and_discarded_it_may_be_said_again(new_hub, database, opens):
    hub = new_hub()
    send(hub, ISSUED)
    edit(hub, database, ISSUED)
    mend(hub, database, parking.discard, ISSUED)
    opens()
    send(hub, referral(minute=30, to=NEW))
    assert delivered(hub) == ["ISSUED"]


def test_what_is_on_its_way_or_was_dealt_with_is_not_edited(new_hub, database):
    hub, key = new_hub(), ISSUED["meta"]["key"]
    send(hub, ISSUED)
    late = amended("hie.Referral", parking.oldest(database, hub.router.wire, TOPIC, key), {"ma_cskcb_den": DISTRICT}, KEYRING)
    edit(hub, database, ISSUED, ma_cskcb_den="01998")
    ask = {"fields": ["ma_cskcb_den"], "by": "another", "reason": "test"}
    assert parking.edit(database, hub.published, hub.router.wire, STREAMS[TOPIC], late, KEYRING, **ask) == 0
    parking.release(database, hub.published, hub.router.wire, TOPIC, key, by="somebody", reason="test")
    assert parking.oldest(database, hub.router.wire, TOPIC, key) is None
    assert [out.topic for out in hub.published.outs] == [TOPIC, "audit.v1"]  # of the release


def test_an_event_that_grows_too_large_is_not_taken(new_hub, database):
    hub = new_hub()
    send(hub, ISSUED)
    with pytest.raises(HubError) as stop:
        edit(hub, database, ISSUED, reason="x" * 9_000_000)
    assert stop.value.code == "FRAME_TOO_LARGE"
    assert [row["code"] for row in parking.waiting(database)] == ["RECEIVER_UNKNOWN"]


def test_the_command_shows_the_effect_first_and_does_it_with_yes(new_hub, database, routing_settings, monkeypatch):
    hub, key = new_hub(), ISSUED["meta"]["key"]
    send(hub, referral(to=NEW, xml13={"ma_cskcb_den": NEW}))
    monkeypatch.setenv("HIE_REGISTRY_URL", routing_settings.registry_url)
    for name in ("kafka_bootstrap", "database_url", "key_secret"):
        monkeypatch.setenv(f"HIE_{name.upper()}", getattr(routing_settings, name).get_secret_value())
    monkeypatch.setattr("hub.console.actions.Producer", lambda *_args, **_more: hub.published)

    def command(*more):
        asked = ["parked", "edit", TOPIC, key, "--set", f"ma_cskcb_den={DISTRICT}", "--reason", "wrong code", *more]
        done = CliRunner().invoke(app, asked, catch_exceptions=False)
        assert done.exit_code == 0
        return done.stdout

    shown, before = command(), parking.waiting(database)
    assert "would change: ma_cskcb_den" in shown
    assert "the same stands in xml13.ma_cskcb_den" in shown
    assert f"deliver {DISTRICT} (referral-to-receiver)" in shown
    assert "referral-withdrawn" not in shown, "the old event never reached anybody, and will be forgotten"
    assert (NEW in shown, "nothing was changed" in shown, hub.published.outs) == (False, True, [])
    database.rollback()
    assert parking.waiting(database) == before
    database.rollback()
    command("--yes")
    assert [row["event_id"] for row in parking.waiting(database)] != [row["event_id"] for row in before]
    assert [out.topic for out in hub.published.outs] == ["delivery.v1", "audit.v1"]


# --- many keys --------------------------------------------------------------------------------------------------------


def test_one_poisoned_key_among_thousands_holds_up_no_other(new_hub, database, opens):
    hub, keys, batch = new_hub(), 2_000, 500
    others = [referral(slip=f"K{number}") for number in range(keys)]
    poisoned = [referral("MODIFIED", minute=minute, to=NEW, reason=f"change {minute}") for minute in range(1, 9)]
    stream = others[:]
    for number, event in enumerate([ISSUED, *poisoned[:3]]):
        stream.insert(number * 400, event)  # between the others, in several batches
    pour(hub, stream, batch)
    assert {body for _action, body in reached(hub, DISTRICT)} == {one["meta"]["event_id"] for one in others}
    assert len(reached(hub, DISTRICT)) == keys
    assert [(row["key"], row["waiting"]) for row in parking.waiting(database)] == [(ISSUED["meta"]["key"], 4)]

    opens()
    parking.release(database, hub.published, hub.router.wire, TOPIC, ISSUED["meta"]["key"], by="somebody", reason="test")
    released, hub.published.outs = hub.published.outs, []
    more = [referral(slip=f"T{number}") for number in range(batch)]
    pour(hub, [*more[:200], *poisoned[3:6], *more[200:]], batch)  # before the worker has come to what was released
    assert delivered(hub) == []
    hub.published.outs = released
    hub.follow()
    pour(hub, poisoned[6:], batch)
    assert [event_id for _action, event_id in reached(hub, NEW)] == [one["meta"]["event_id"] for one in (ISSUED, *poisoned)]
    assert len(reached(hub, DISTRICT)) == keys + batch
    assert parking.waiting(database) == []


def test_what_a_batch_asks_of_the_database_does_not_depend_on_how_many_wait(new_hub, monkeypatch):
    asked = []
    execute = psycopg.Connection.execute

    def counted(self, *args, **more):
        cursor = execute(self, *args, **more)
        asked.append(max(0, cursor.rowcount) if cursor.description else 0)
        return cursor

    def work():
        """Statements, and rows that came back, of a batch with the poisoned key in it."""
        asked.clear()
        number = next(numbers)
        batch = [referral("MODIFIED", minute=number, to=NEW), *(referral(slip=f"W{number}.{other}") for other in range(20))]
        pour(hub, batch, len(batch))
        return len(asked), sum(asked)

    hub, numbers = new_hub(), iter(range(1, 10_000))
    send(hub, ISSUED)
    monkeypatch.setattr(psycopg.Connection, "execute", counted)
    few = work()
    pour(hub, [referral("MODIFIED", minute=next(numbers), to=NEW) for _ in range(400)], 400)
    with_many_parked_at_once = len(asked)
    assert work() == few
    assert with_many_parked_at_once <= 2 * few[0]


def pour(hub, events, batch):
    """Route events in batches, as they lie in the topic."""
    records = [hub.record(TOPIC, Out(TOPIC, one["meta"]["key"], hub.router.wire.pack(TOPIC, one))) for one in events]
    for at in range(0, len(records), batch):
        hub.route(TOPIC, records[at : at + batch])


def test_many_keys_for_one_cause_pause_the_stream(new_hub, database):
    hub = new_hub()
    events = [referral(slip=f"P{number}", to=NEW) for number in range(parking.STORM_KEYS + 1)]
    records = [hub.record(TOPIC, Out(TOPIC, one["meta"]["key"], hub.router.wire.pack(TOPIC, one))) for one in events]
    for record in records[:-1]:
        asyncio.run(hub.router.route(STREAMS[TOPIC], [record]))
    with pytest.raises(_SplitError) as pause:
        hub.router._prepare(STREAMS[TOPIC], records[-1:], False)
    assert pause.value.wait == "RECEIVER_UNKNOWN"
    assert len(parking.waiting(database)) == parking.STORM_KEYS
