"""Assembly: the parts of an encounter become one claim, whatever the order, however often; late ones its next revision."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.contract.billing import Assembly, assembles, assembles_on
from hub.contract.events import new_id, revision_rank
from hub.contract.topics import topic_of, topics
from hub.routing import assembly, deadlines, parking
from hub.routing.assembly import claim_of, parts_days
from hub.routing.record import place_text
from hub.routing.stream import Due, Moment, Nobody, Refuse
from tests.hub.routing.stay import (
    GLUCOSE,
    HOSPITAL,
    LATE,
    MA_LK,
    STAY,
    admitted,
    charged,
    credit,
    discharged,
    drug,
    encounter,
    reported,
    service,
)
from tests.hub.routing.story import KEYRING, MORNING, STREAMS, TOPICS, known_of, said

KEY = KEYRING.key(HOSPITAL, MA_LK, test=False)
CARD = "HT2010160008812"


def rank(event):
    return revision_rank(event["meta"]["revision"])


def own_claim(minute=0, **content):
    """A claim of the same encounter that the hospital sends itself."""
    about = {"action": "SUBMITTED", "ma_cskcb": HOSPITAL, "ma_lk": MA_LK, "xml1": {"ma_lk": MA_LK, "ma_the_bhyt": CARD}}
    return "hie.Claim", said("hie.Claim", HOSPITAL, MA_LK, about | content, minute=minute)


# --- pure -------------------------------------------------------------------------------------------------------------


def decided(part, *before):
    """What a part leads to besides, when others came before it; `settle_minutes` of the hospital are 180."""
    record, event = part
    stream = STREAMS[TOPICS[record]]
    known = {fact.ref: fact for one in [*before, part] for fact in known_of(TOPICS[one[0]], one[1], kinds=["stay"])}
    return list(stream.decide(event, list(known.values()), Moment(MORNING, MORNING, tuple(stream.facts(event, KEYRING)))))


def test_the_end_of_an_encounter_is_followed_by_its_settling_in_due_time():
    due, nobody = sorted(decided(discharged()), key=lambda one: isinstance(one, Nobody))
    assert nobody == Nobody("nobody-encounter")
    assert (due.topic, due.at) == ("encounter.v1", MORNING + timedelta(minutes=181))
    assert due.event["meta"]["key"] == KEY
    assert due.event["action"] == "SETTLED"
    assert due.event["meta"]["causes"] == [discharged()[1]["meta"]["event_id"]]


@pytest.mark.parametrize("part", [LATE, *STAY], ids=lambda part: part[0] if isinstance(part, tuple) else None)
def test_so_is_whatever_comes_later(part):
    if part[1].get("ma_lk"):
        assert [out.at for out in decided(part, discharged()) if isinstance(out, Due)] == [MORNING + timedelta(minutes=181)]


def test_while_it_goes_on_nothing_is_due():
    assert decided(LATE, admitted()) == [Nobody("nobody-charge")]
    assert decided(LATE, discharged(), encounter("REOPENED", 610)) == [Nobody("nobody-charge")]


def test_facilities_that_bill_are_left_alone():
    assert assembles(HOSPITAL)
    assert not assembles("01021")
    assert not assembles_on("01021", MORNING.date())
    record, event = discharged()
    assert STREAMS["encounter.v1"].facts(event | {"meta": event["meta"] | {"facility": "01021"}}, KEYRING) == []
    assert record == "hie.Encounter"


def test_facts_name_places_and_nobody():
    for record, event in [*STAY, LATE]:
        for fact in STREAMS[TOPICS[record]].facts(event, KEYRING):
            if fact.kind in assembly._KINDS:
                assert fact.data.keys() <= {"state"}
                assert MA_LK not in f"{fact.ref} {fact.id}"


@pytest.mark.parametrize("record", ["hie.LabResult", "hie.Document", "hie.FollowUp"])
def test_what_is_held_until_consent_goes_into_no_claim(record):
    [event] = [event | {"meta": event["meta"] | {"sensitivity": "HIV"}} for one, event in STAY if one == record]
    assert [fact for fact in STREAMS[TOPICS[record]].facts(event, KEYRING) if fact.kind in assembly._KINDS] == []


def test_of_the_labels_of_parts_that_of_hiv_counts():
    labelled = [event["meta"] | {"sensitivity": label} for (_, event), label in zip(STAY, ("ADDICTION", "HIV"), strict=False)]
    parts = [(record, event | {"meta": meta}) for (record, event), meta in zip(STAY, labelled, strict=False)]
    assert claim_of(parts, KEY)["meta"]["sensitivity"] == "HIV"


def test_documents_that_are_no_rows_are_not_read_again():
    [(record, note)] = [part for part in STAY if part[0] == "hie.Document"]
    letter = note | {"code": {"code": "DS"}}
    kinds = {
        name: {fact.kind for fact in STREAMS[TOPICS[record]].facts(one, KEYRING)} for name, one in (("N", note), ("L", letter))
    }
    assert kinds == {"N": {"claim-part"}, "L": set()}


def test_a_claim_says_what_it_was_assembled_from():
    claim = claim_of(STAY, KEY)
    meta = claim["meta"]
    assert meta["rule"] == "claim-assembled"
    assert meta["causes"] == sorted(event["meta"]["event_id"] for _record, event in STAY)
    assert (meta["key"], meta["facility"]) == (KEY, HOSPITAL)
    assert claim["action"] == "SUBMITTED"


@given(st.permutations(STAY))
def test_the_same_parts_in_any_order_are_the_same_claim(parts):
    assert claim_of(parts, KEY) == claim_of(STAY, KEY)


def test_a_part_of_somebody_else_under_the_same_number_is_no_part():
    record, event = next(part for part in STAY if part[0] == "hie.LabResult")
    person = event["person"] | {"identifiers": [{"type": "SDDCN", "value": "001099999999", "normalised": "001099999999"}]}
    theirs = event | {"person": person, "meta": event["meta"] | {"event_id": "00000000-0000-5000-8000-000000000001"}}
    without = [part for part in STAY if part[0] != "hie.LabResult"]
    assert claim_of([*without, (record, event)], KEY)["xml4"]
    assert not claim_of([*without, (record, theirs)], KEY).get("xml4")


@given(st.permutations([*STAY, LATE]), st.integers(1, len(STAY)))
def test_every_further_part_makes_a_newer_revision_whenever_it_was_stated(parts, count):
    fewer, more = claim_of(parts[:count], KEY), claim_of(parts[: count + 1], KEY)
    assert rank(fewer) < rank(more) < rank(own_claim()[1])
    assert fewer["meta"]["event_id"] != more["meta"]["event_id"]


def test_a_claim_of_too_many_parts_is_refused_and_told(monkeypatch):
    monkeypatch.setattr(assembly, "PARTS_MOST", 2)
    due = next(out for out in decided(discharged()) if isinstance(out, Due))
    known = known_of("encounter.v1", admitted()[1], discharged()[1]) + known_of("charge.v1", LATE[1])
    assert STREAMS["encounter.v1"].decide(due.event, known, Moment(MORNING, MORNING)) == [
        Refuse("CLAIM_UNASSEMBLED", "nobody-claim-unassembled", "3 parts, and 2 at most")
    ]


def test_a_part_is_kept_as_long_as_its_place_is_known():
    lives = {
        fact.days
        for record, event in [*STAY, LATE]
        for fact in STREAMS[TOPICS[record]].facts(event, KEYRING)
        if fact.kind in assembly._KINDS
    }
    assert lives == {parts_days()}
    assert {topics()[topic_of(record)].retention_days for record in assembly.PARTS} == {parts_days()}
    assert parts_days() >= 365


def test_a_part_that_was_parked_meanwhile_settles_anew():
    """When it was first seen plus the time to settle is long ago: what settled then has settled without it."""
    record, event = LATE
    known = known_of("encounter.v1", discharged()[1], kinds=["stay"])
    later = MORNING + timedelta(days=3, seconds=20)
    [due] = [out for out in STREAMS[TOPICS[record]].decide(event, known, Moment(later, MORNING)) if isinstance(out, Due)]
    assert due.at == MORNING + timedelta(days=3, minutes=1)


def test_an_assembled_claim_that_comes_after_one_of_the_facility_itself_is_for_nobody():
    claim, known = claim_of(STAY, KEY), known_of("claim.v1", own_claim()[1], kinds=["claim-own"])
    stream = STREAMS["claim.v1"]
    assert [(ref.kind, ref.ref) for ref in stream.lookups(claim, KEYRING)] == [("claim", KEY), ("claim-own", KEY)]
    assert [ref.kind for ref in stream.lookups(own_claim()[1], KEYRING)] == ["claim"], "by its own word nothing is assembled"
    assert stream.decide(claim, known, Moment(MORNING, MORNING)) == [Nobody("nobody-claim-own")]


# --- over the real case index -----------------------------------------------------------------------------------------


@pytest.fixture
def settle(routing_pool, monkeypatch):
    """Lets a day pass, the time of everything that is due come, and what follows from it."""
    clock = [MORNING]
    monkeypatch.setattr("hub.routing.batch.now", lambda: clock[0])

    def fire(hub, *, follow: bool = True) -> None:
        clock[0] += timedelta(days=1)
        with routing_pool.connection() as database:
            while deadlines.fire(database, hub.published, hub.router.wire, clock[0]) and follow:
                hub.follow()

    return fire


@pytest.fixture
def settle_together(routing_pool):
    """The same, in one batch."""

    def fire(hub) -> None:
        with routing_pool.connection() as database:
            deadlines.fire(database, hub.published, hub.router.wire, MORNING + timedelta(days=20_000))
        outs, hub.published.outs = hub.published.outs, []
        hub.route("encounter.v1", [hub.record("encounter.v1", out) for out in outs])

    return fire


def claims_of(hub, topic="claim.v1"):
    return [event for name, event in hub.others if name == topic]


def told(hub):
    """The rules why nobody was addressed with what settled."""
    return {one["rule"] for one in hub.deliveries.values() if not one["recipient"]}


def test_a_stay_becomes_a_claim_at_its_payer_and_a_late_charge_its_next_revision(new_hub, settle):
    hub = new_hub()
    hub.send(*STAY)
    assert claims_of(hub) == []  # it settles first
    settle(hub)
    [claim] = claims_of(hub)
    [sent] = claims_of(hub, "payer.vss.claim.v1")
    assert claim["xml1"]["t_tongchi_bv"] == Decimal("88806.00")
    assert [row["gia_tri"] for row in claim["xml4"]] == ["5.4"]  # found by its order, as it names no encounter
    assert ("vss", "claim-to-payer") in hub.addressed()
    hub.send(LATE)
    settle(hub)
    later, resent = claims_of(hub)[-1], claims_of(hub, "payer.vss.claim.v1")[-1]
    assert later["xml1"]["t_tongchi_bv"] == Decimal("108806.00")
    assert rank(later) > rank(claim)
    assert resent["meta"]["supersedes"] == sent["meta"]["event_id"]


@given(st.permutations([*STAY, LATE]), st.lists(st.sampled_from([*STAY, LATE]), max_size=4), st.integers(0, 11))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_and_any_repetition_give_the_same_last_claim(new_hub, settle, parts, again, pause):
    hub = new_hub()
    hub.send(*parts[:pause])
    settle(hub)
    hub.send(*parts[pause:], *again)
    settle(hub)
    last, wanted = max(claims_of(hub), key=rank), claim_of([*STAY, LATE], KEY)
    for name in ("event_id", "content_hash", "causes", "revision"):
        assert last["meta"][name] == wanted["meta"][name]
    head = max(claims_of(hub, "payer.vss.claim.v1"), key=rank)
    assert head["meta"]["causes"] == [wanted["meta"]["event_id"]]


def test_what_settles_twice_is_one_claim(new_hub, settle):
    hub = new_hub()
    hub.send(*STAY)
    settle(hub)
    hub.send(encounter("UPDATED", 800))  # of which nothing follows
    settle(hub)
    assert len(claims_of(hub)) == 2
    assert len(claims_of(hub, "payer.vss.claim.v1")) == 1
    assert "T05" in told(hub)


@pytest.mark.parametrize(
    ("first", "then"),
    [([drug()], [drug()]), ([drug(), service()], [drug(), service()]), ([drug(), service()], [drug()])],
    ids=["by itself", "together with others", "out of several"],
)
def test_what_is_charged_again_unchanged_after_its_credit_is_in_the_claim(new_hub, settle, first, then):
    hub = new_hub()
    hub.send(admitted(), discharged(), charged(*first, minute=20), charged(credit("L1", "10"), minute=30))
    hub.send(charged(*then, minute=40))
    settle(hub)
    assert [row["so_luong"] for row in claims_of(hub)[-1]["xml2"]] == [Decimal(10)]


def test_what_is_charged_comes_late_and_counts_though_something_else_was_said_twice_meanwhile(new_hub, settle):
    hub = new_hub()
    hub.send(admitted(), discharged(), charged(drug(), minute=20), charged(drug(), minute=40), charged(service(), minute=30))
    settle(hub)
    assert [len(claims_of(hub)[-1][table]) for table in ("xml2", "xml3")] == [1, 1]


@pytest.mark.parametrize(
    ("then", "rules"),
    [
        ([service("L1", GLUCOSE)], {"claim-line-replaced"}),
        ([drug("L1", "9")], {"claim-assembled"}),
        ([credit("L1", "10"), service("L2", GLUCOSE)], {"claim-assembled"}),
        ([service("L2", GLUCOSE)], {"claim-assembled"}),
    ],
    ids=["another item", "corrected", "taken back", "a number of its own"],
)
def test_a_charge_of_another_item_under_a_number_that_was_there_is_told(new_hub, settle, then, rules):
    hub = new_hub()
    hub.send(admitted(), charged(drug(), minute=20), charged(*then, minute=30), discharged())
    settle(hub)
    assert len(claims_of(hub)) == 1
    assert {rule for rule in told(hub) if rule.startswith("claim-")} == rules


def test_a_claim_of_its_own_wins_when_it_came_first(new_hub, settle):
    hub = new_hub()
    hub.send(own_claim(), *STAY)
    settle(hub)
    assert [claim["meta"]["rule"] for claim in claims_of(hub)] == []
    assert "nobody-claim-own" in told(hub)


def test_a_claim_of_its_own_wins_when_it_comes_later(new_hub, settle):
    hub = new_hub()
    hub.send(*STAY)
    settle(hub)
    hub.send(own_claim(), LATE)
    settle(hub)
    assembled, own = claims_of(hub, "payer.vss.claim.v1")
    assert rank(own) > rank(assembled)
    assert own["meta"]["supersedes"] == assembled["meta"]["event_id"]
    assert len(claims_of(hub)) == 1  # the late charge makes none any more


def test_an_encounter_that_was_cancelled_takes_its_claim_back(new_hub, settle):
    hub = new_hub()
    hub.send(*STAY)
    settle(hub)
    hub.send(encounter("CANCELLED", 900))
    settle(hub)
    assert [claim["action"] for claim in claims_of(hub, "payer.vss.claim.v1")] == ["SUBMITTED", "CANCELLED"]
    assert claims_of(hub)[-1]["xml1"]["ma_the_bhyt"] == CARD


def test_an_encounter_that_was_cancelled_before_has_no_claim(new_hub, settle):
    hub = new_hub()
    hub.send(*STAY, encounter("CANCELLED", 900))
    settle(hub)
    assert claims_of(hub) == []
    assert "nobody-encounter-cancelled" in told(hub)


def test_a_reopened_encounter_waits_for_its_second_end(new_hub, settle):
    hub = new_hub()
    hub.send(*STAY, encounter("REOPENED", 650), LATE)
    settle(hub)
    assert claims_of(hub) == []
    assert "nobody-encounter-open" in told(hub)
    hub.send(discharged(720, ngay_ra="202611241000"))
    settle(hub)
    assert [claim["xml1"]["ngay_ra"] for claim in claims_of(hub)] == ["202611241000"]


def test_a_late_result_that_names_no_encounter_is_found_by_its_order(new_hub, settle):
    hub = new_hub()
    hub.send(*STAY)
    settle(hub)
    hub.send(reported(minute=900, value="6.1", status="C"))
    settle(hub)
    assert [row["gia_tri"] for row in max(claims_of(hub), key=rank)["xml4"]] == ["6.1"]


def test_without_one_of_its_parts_there_is_no_claim(new_hub, settle):
    hub = new_hub()
    hub.send(*STAY)
    gone = next(place for place in hub.remembered.values if place[0] == "charge.v1")
    del hub.remembered.values[gone]  # older than its topic keeps
    settle(hub)
    assert claims_of(hub) == []
    [letter] = [event for topic, event in hub.others if topic == "dead-letter.v1"]
    assert letter["detail"] == f"1 of 10 parts gone: {place_text(gone)}"
    assert "nobody-claim-unassembled" in told(hub)


def test_there_is_no_claim_of_an_encounter_that_is_older_than_what_is_kept_of_it(new_hub, settle):
    hub = new_hub()
    hub.send(admitted(ngay_vao="202510010800"), discharged())
    settle(hub)
    assert claims_of(hub) == []
    [letter] = [event for topic, event in hub.others if topic == "dead-letter.v1"]
    assert "began longer ago than the 400 days" in letter["detail"]


def test_how_old_an_encounter_is_counts_from_the_day_it_is_read_not_from_the_planned_one():
    due = next(out for out in decided(discharged()) if isinstance(out, Due))
    parts = [admitted(), discharged()]
    known = known_of("encounter.v1", *(event for _record, event in parts))
    read = {str(number): part for number, part in enumerate(parts)}
    details = []
    for late in (0, parts_days() + 1):
        moment = Moment(MORNING + timedelta(days=late), MORNING)
        [gather] = STREAMS["encounter.v1"].decide(due.event, known, moment)
        made = gather.then({place: read[str(number)] for number, place in enumerate(gather.places)})
        details.append([one.detail[:30] for one in made if isinstance(one, Refuse)])
    assert details == [[], ["the encounter began longer ago"]]


@pytest.mark.parametrize(
    ("since", "until", "assembled"),
    [("2026-11-24", None, False), ("2026-11-23", "2026-11-23", True), ("2026-01-01", "2026-11-22", False)],
    ids=["from the day after", "on that day", "until the day before"],
)
def test_whose_claim_it_is_is_decided_by_the_day_the_encounter_ended(new_hub, settle, monkeypatch, since, until, assembled):
    """Not by the day on which a part of it comes: half an encounter would be claimed by nobody, or by both."""
    agreed = Assembly(date.fromisoformat(since), until and date.fromisoformat(until), timedelta(minutes=180))
    monkeypatch.setattr("hub.contract.billing._assemblies", lambda: {HOSPITAL: [agreed]})
    hub = new_hub()
    hub.send(*STAY)
    settle(hub)
    assert len(claims_of(hub)) == assembled
    assert ("nobody-claim-not-ours" in told(hub)) != assembled
    hub.send(LATE)
    settle(hub)
    assert len(claims_of(hub)) == 2 * assembled


def test_a_claim_of_its_own_wins_while_the_assembled_one_is_on_its_way(new_hub, settle):
    hub = new_hub()
    hub.send(*STAY)
    settle(hub, follow=False)
    outs, hub.published.outs = hub.published.outs, []
    hub.route("encounter.v1", [hub.record("encounter.v1", out) for out in outs], follow=False)
    assembled = [out for out in hub.published.outs if out.topic == "claim.v1"]
    hub.published.outs = []
    hub.send(own_claim())
    hub.route("claim.v1", [hub.record("claim.v1", out) for out in assembled])
    assert [claim["meta"]["rule"] for claim in claims_of(hub, "payer.vss.claim.v1")] == ["claim-to-payer"]
    assert claims_of(hub, "payer.vss.claim.v1")[0]["meta"]["causes"] == [own_claim()[1]["meta"]["event_id"]]
    assert "nobody-claim-own" in told(hub)


def test_many_encounters_that_settle_at_once_are_read_in_turns(new_hub, settle_together, monkeypatch):
    monkeypatch.setattr("hub.routing.batch._RECALLED_MOST", 3)
    hub, reads = new_hub(), []
    read = hub.remembered.read
    monkeypatch.setattr(hub.remembered, "read", lambda places: reads.append(len(places)) or read(places))
    for number in range(4):
        for record, event in [admitted(ma_lk=f"LK{number}"), discharged(ma_lk=f"LK{number}")]:
            key = KEYRING.key(HOSPITAL, event["ma_lk"], test=False)
            event_id = new_id(event["meta"]["event_id"], key)
            hub.send((record, event | {"meta": event["meta"] | {"key": key, "event_id": event_id}}))
    settle_together(hub)
    assert max(reads) <= 3
    assert {claim["ma_lk"] for claim in claims_of(hub)} == {f"LK{number}" for number in range(4)}


def test_a_part_that_is_given_up_is_in_no_claim_any_more(new_hub, settle, routing_pool, monkeypatch):
    """It waits for its receiver to be known, and is part of the claim meanwhile."""
    hub = new_hub()
    slip = said(
        "hie.Referral",
        HOSPITAL,
        "S9",
        {
            "action": "ISSUED",
            "slip": "S9",
            "ma_cskcb": HOSPITAL,
            "ma_cskcb_den": "01999",
            "ma_lk": MA_LK,
            "issued_on": "20261123",
        },
    )
    hub.send(*STAY)
    settle(hub)
    hub.send(("hie.Referral", slip))
    hub.send(LATE)
    settle(hub)
    named = [slip["meta"]["event_id"] in claim["meta"]["causes"] for claim in claims_of(hub)]
    assert named == [False, True]
    monkeypatch.setattr(parking, "now", lambda: MORNING + timedelta(days=2))
    with routing_pool.connection() as database:
        ask = {"by": "somebody", "reason": "test"}
        given = [hub.router.wire, STREAMS["referral.v1"], slip["meta"]["key"], KEYRING]
        database.execute("update parked set sent = true")
        assert parking.discard(database, hub.published, *given, **ask) == 0  # a worker may have it in hand
        database.execute("update parked set sent = false")
        assert parking.discard(database, hub.published, *given, **ask) == 1
    hub.follow()
    settle(hub)
    before, last = claims_of(hub)[1:]
    assert rank(last) > rank(before)
    assert [len(claim["xml13"]) for claim in (before, last)] == [1, 0]
    assert [len(claim["xml13"]) for claim in claims_of(hub, "payer.vss.claim.v1")] == [0, 1, 0]
    assert slip["meta"]["event_id"] in last["meta"]["causes"]


def test_what_is_given_up_given_back_and_given_up_again_is_in_no_claim_any_more(new_hub, settle, routing_pool, monkeypatch):
    hub = new_hub()
    content = {"action": "ISSUED", "slip": "S9", "ma_cskcb": HOSPITAL, "ma_cskcb_den": "01999", "ma_lk": MA_LK}
    slip = said("hie.Referral", HOSPITAL, "S9", content | {"issued_on": "20261123"})
    given = [hub.router.wire, STREAMS["referral.v1"], slip["meta"]["key"], KEYRING]
    letters, days = [], iter((1, 3))  # that have passed by then

    def give_up():
        at = MORNING + timedelta(days=next(days))
        monkeypatch.setattr(parking, "now", lambda: at)
        with routing_pool.connection() as database:
            assert parking.discard(database, hub.published, *given, by="somebody", reason="test") == 1
        hub.follow()
        settle(hub)
        letters.append([event for topic, event in hub.others if topic == "dead-letter.v1"][-1])

    hub.send(*STAY, ("hie.Referral", slip))
    settle(hub)
    give_up()
    with routing_pool.connection() as database:
        letter = letters[0] | {"body": hub.router.wire.pack("referral.v1", slip), "key": slip["meta"]["key"].encode()}
        assert parking.restore(database, hub.router.wire, letter)
    out = parking.again(letter, waits=True)
    hub.route("referral.v1", [hub.record("referral.v1", out)])
    hub.send(LATE)
    settle(hub)
    give_up()
    found = claims_of(hub, "payer.vss.claim.v1")
    assert [len(claim["xml13"]) for claim in found] == [1, 0, 1, 0]
    assert len({claim["meta"]["event_id"] for claim in found}) == 4
    assert sorted(found, key=rank) == found
