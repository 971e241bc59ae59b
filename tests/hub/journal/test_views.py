"""A facility's two views: what became of what it sent, and what is addressed to it."""

from datetime import date, timedelta

from hub.contract.events import now, sparse, stamp
from hub.journal.consumer import index
from hub.journal.views import held, view
from tests.hub.journal.test_reconcile import day
from tests.made import AT, KEYRING, delivery, origin_of, received, referral

__all__ = ["day"]  # the fixture: a day of two senders
FIRST = date(2026, 3, 1)


def stands(rows):
    return {(one.what, one.other, one.state, one.why): one.count for one in rows}


def test_a_sender_sees_its_messages_and_where_their_deliveries_stand(database, day):
    found = stands(view(database, "01731", FIRST).sent)
    assert found["REF^I12", "", "translated", ""] == 3
    assert found["REF^I12", "", "refused", ""] == 1
    assert found["hie.Referral", "01021", "ACKNOWLEDGED", "referral-to-receiver"] == 1
    assert found["hie.Referral", "01004", "QUEUED", "referral-to-receiver"] == 1
    assert found["hie.Referral", "", "NOBODY", "repeat"] == 1


def test_a_receiver_sees_what_is_addressed_to_it_by_whom(database, day):
    assert stands(view(database, "01021", FIRST).addressed) == {
        ("hie.Referral", "01731", "ACKNOWLEDGED", "referral-to-receiver"): 1
    }
    assert view(database, "01021", FIRST).sent == ()


def test_what_is_parked_shows_in_the_view_of_whose_key_it_is(database, day):
    database.execute(
        "insert into parked (topic, partition, record_offset, key, code, value) values ('referral.v1', 0, 9, '01731:abc', 'RECEIVER_UNKNOWN', '')"
    )
    assert stands(view(database, "01731", FIRST).sent)["referral.v1", "", "PARKED", "RECEIVER_UNKNOWN"] == 1
    assert ("referral.v1", "", "PARKED", "RECEIVER_UNKNOWN") not in stands(view(database, "01021", FIRST).sent)


def test_older_days_and_other_facilities_stay_out(database, day):
    assert view(database, "01731", date(2026, 3, 4)).sent == ()
    assert view(database, "79001", FIRST).as_dict() == {"facility": "79001", "sent": (), "addressed": ()}


def test_a_slip_that_a_rule_holds_is_listed_once_until_it_is_cancelled_or_goes_after_all(database, log):
    def stated(slip, minutes, *, facility="01731", to="", **more):
        """A word of a slip, and whether the app gets it."""
        message = received(facility, at=AT + timedelta(minutes=minutes))
        event = referral(message, slip, **more)
        rule = "referral-to-portal" if to else "nobody-held-sensitive"
        sent = delivery(log.wire, "hie.Referral", event, to, rule=rule)
        at = message["received_at"]
        index(database, log.wire, [log.event("referral.v1", event, at), log.event("delivery.v1", sent, at)], {})
        return event["meta"]["event_id"]

    def found(facility=""):
        return [one.event_id for one in held(database, facility)[1]]

    first = stated("S-1", 1)
    other = stated("S-2", 2, facility="01021")
    assert found() == [first, other] and found("01021") == [other] and held(database, most=1)[0] == 2
    changed = stated("S-1", 3, action="CHANGED")
    assert sorted(found()) == sorted([changed, other])
    stated("S-1", 4, action="CANCELLED")
    assert found() == [other]
    stated("S-2", 5, facility="01021", action="CHANGED", to="portal")
    assert found() == [] and held(database) == (0, [])


def result_told(database, log, at, *told):
    """A result of an order, routed at a time. told: recipients, each with the rule. Returns: its event id."""
    message = received("01021", at=at)
    content = sparse({"placer": "O-1", "ma_cskcb": "01021", "status": "F", "ket_luan": f"{at}"})
    event = stamp("hie.LabResult", content, facility="01021", business_key="O-1", origin=origin_of(message), keyring=KEYRING) | {
        "person": {},
        "service": {},
    }
    sent = [delivery(log.wire, "hie.LabResult", event, to, rule=rule) for to, rule in told]
    index(database, log.wire, [log.event("lab-result.v1", event, at), *(log.event("delivery.v1", one, at) for one in sent)], {})
    return event["meta"]["event_id"]


def test_a_result_of_nobody_is_listed_until_it_comes_with_its_patient(database, log):
    def told(minutes, rule, to=""):
        return result_told(database, log, AT + timedelta(minutes=minutes), (to, rule))

    def found(facility=""):
        return [(one.record, one.event_id, one.rule) for one in held(database, facility)[1]]

    first = told(1, "nobody-unnamed")
    assert found() == found("01021") == [("hie.LabResult", first, "nobody-unnamed")] and found("01731") == []
    told(2, "repeat")
    assert len(found()) == 1
    again = told(3, "nobody-unnamed")
    assert found() == [("hie.LabResult", again, "nobody-unnamed")]
    told(4, "result-to-orderer", "01731")
    assert found() == []


def test_what_is_kept_back_as_of_another_person_is_listed_for_a_month_or_until_it_comes_right(database, log):
    def told(days_ago, *rules):
        return result_told(database, log, now() - timedelta(days=days_ago), *rules)

    def found():
        return [(one.event_id, one.rule) for one in held(database)[1]]

    orderer, kept = ("01731", "result-to-orderer"), ("", "nobody-other-person")
    told(31, orderer, kept)
    assert found() == []
    first = told(3, orderer, kept)
    assert found() == [(first, "nobody-other-person")]
    told(2, orderer, ("01004", "result-to-receiver"))
    assert found() == []


def test_so_is_a_slip_until_its_issuer_states_it_anew_whatever_else_happens_to_it(database, log):
    def told(minutes, action, *rules):
        message = received("01731", at=now() - timedelta(minutes=minutes))
        event, at = referral(message, "S-1", action=action), message["received_at"]
        sent = [delivery(log.wire, "hie.Referral", event, to, rule=rule) for to, rule in rules]
        index(database, log.wire, [log.event("referral.v1", event, at), *(log.event("delivery.v1", one, at) for one in sent)], {})
        return event["meta"]["event_id"]

    def found():
        return [one.event_id for one in held(database)[1]]

    first = told(9, "ISSUED", ("portal", "referral-to-portal"), ("", "nobody-other-person"))
    told(8, "ARRIVED", ("01731", "arrival-to-issuer"))
    assert found() == [first]
    told(7, "MODIFIED", ("portal", "referral-to-portal"))
    assert found() == []


def test_a_visit_whose_claim_may_lack_a_charge_is_listed_for_a_month_or_until_it_settles_without(database, log):
    def settled(days_ago, rule):
        message = received("01918", at=now() - timedelta(days=days_ago))
        content = {"action": "SETTLED", "ma_cskcb": "01918", "ma_giuong": f"H{days_ago:03}"}  # equal ones would be one event
        event = stamp(
            "hie.Encounter", content, facility="01918", business_key="LK1", origin=origin_of(message), keyring=KEYRING
        ) | {"person": {}}
        sent, at = delivery(log.wire, "hie.Encounter", event, "", rule=rule), message["received_at"]
        index(database, log.wire, [log.event("encounter.v1", event, at), log.event("delivery.v1", sent, at)], {})
        return event["meta"]["event_id"]

    def found():
        return [(one.facility, one.event_id, one.rule) for one in held(database)[1]]

    settled(31, "claim-line-replaced")
    assert found() == []
    short = settled(3, "claim-line-replaced")
    assert found() == [("01918", short, "claim-line-replaced")]
    settled(2, "claim-assembled")
    assert found() == []
