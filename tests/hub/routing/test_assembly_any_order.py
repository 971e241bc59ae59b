"""One encounter and its claim: neither order, nor repetition, nor when it settles changes what its payer has in the end."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hub.bus import Out
from hub.contract.events import Event, revision_rank
from hub.routing import deadlines, parking
from hub.routing.amend import amended
from tests.hub.routing.stay import (
    ECHO,
    GLUCOSE,
    HOSPITAL,
    MA_LK,
    admitted,
    booked,
    charged,
    credit,
    discharged,
    drug,
    encounter,
    noted,
    ordered,
    prescribed,
    reported,
    service,
    supply,
)
from tests.hub.routing.story import KEYRING, MORNING, STREAMS, TOPICS, said

KEY = KEYRING.key(HOSPITAL, MA_LK, test=False)
CARD = "HT2010160008812"


def own(minute: int, action: str = "SUBMITTED", **content) -> tuple[str, Event]:
    """A claim that the hospital sends itself."""
    about = {"action": action, "ma_cskcb": HOSPITAL, "ma_lk": MA_LK, "xml1": {"ma_lk": MA_LK, "ma_the_bhyt": CARD}}
    return "hie.Claim", said("hie.Claim", HOSPITAL, MA_LK, about | content, minute=minute)


CARE = [
    admitted(),
    ordered(),
    prescribed(),
    charged(drug(), service(ma_bac_si="0007"), minute=20),
    reported(),
    noted(),
    charged(supply(), service("L4", GLUCOSE, "21500", placer="CD-1"), minute=45),
    booked(),
    charged(credit("L1", "4"), minute=60),
    charged(drug(), service(ma_bac_si="0007"), minute=70),  # both again, unchanged
    charged(drug("L5", "1"), minute=75),
    charged(credit("L5", "1", "L8"), drug("L6", "2"), minute=80),
    charged(drug("L5", "1"), minute=85),
    reported(minute=90, value="6.1", status="C"),
    ordered(minute=95, action="CHANGED", services=[{"code": ECHO, "system": "VN-DVKT"}]),
    discharged(),
    charged(drug("L7", "1", "20000", ma_thuoc="40.30"), minute=700),  # late
    encounter("REOPENED", 720),
    discharged(740, ngay_ra="202611241000"),
]
CANCELLED = encounter("CANCELLED", 900)
OWN = [own(800), own(810, xml1={"ma_lk": MA_LK, "ma_the_bhyt": CARD, "ly_do_vv": "Đau"}), own(820, "CANCELLED")]


@dataclass
class Told:
    """What happened, in the order of two tellings, each cut where the time of everything due has come."""

    straight: list[list[tuple[str, Event]]] = field(default_factory=list)
    shuffled: list[list[tuple[str, Event]]] = field(default_factory=list)


@st.composite
def in_two_orders(draw):
    """Part of the story. What had settled before something else was said is drawn for each telling by itself."""
    happened = [one for one in CARE if draw(st.integers(0, 5))]
    happened += [one for one in [CANCELLED] if not draw(st.integers(0, 3))]
    happened += [one for one in OWN if not draw(st.integers(0, 3))]
    again = draw(st.lists(st.sampled_from(happened), max_size=5)) if happened else []
    shuffled = draw(st.permutations([*happened, *again]))
    cuts = sorted(draw(st.lists(st.integers(0, len(shuffled)), max_size=2)))
    return Told([happened], [shuffled[a:b] for a, b in zip([0, *cuts], [*cuts, len(shuffled)], strict=True)])


@pytest.fixture
def tell(new_hub, routing_pool, monkeypatch):
    """A hub that was told all of it, and let time pass after each piece."""
    clock = [MORNING]
    monkeypatch.setattr("hub.routing.batch.now", lambda: clock[0])

    def told(pieces, *, together=False):
        clock[0] = MORNING
        hub = new_hub()
        for piece in pieces:
            if together:
                route_together(hub, piece)
            else:
                hub.send(*piece)
            clock[0] += timedelta(days=1)
            with routing_pool.connection() as database:
                while deadlines.fire(database, hub.published, hub.router.wire, clock[0]):
                    hub.follow()
        return hub

    return told


def route_together(hub, piece):
    """All records of a topic in one batch."""
    records = {}
    for record, event in piece:
        topic = TOPICS[record]
        out = Out(topic, event["meta"]["key"], hub.router.wire.pack(topic, event))
        records.setdefault(topic, []).append(hub.record(topic, out))
    for topic, batch in records.items():
        asyncio.run(hub.router.route(STREAMS[topic], batch))
    hub.follow()


def rank(event):
    return revision_rank(event["meta"]["revision"])


def at_payer(hub):
    """What the payer has of the claim: the newest revision, without what it says of the way there."""
    sent = [event for topic, event in hub.others if topic == "payer.vss.claim.v1"]
    if not sent:
        return None
    head = max(sent, key=rank)
    content = {name: part for name, part in head.items() if name != "meta"}
    return content | {
        "event_id": head["meta"]["event_id"],
        "revision": head["meta"]["revision"],
        "causes": head["meta"]["causes"],
    }


def delivered(hub):
    """(recipient, event) of everything, but for claims: of an assembled one each revision that was the last for a while."""
    return {
        (one["recipient"], one["subject_event_id"])
        for one in hub.deliveries.values()
        if one["recipient"] and one["subject_record"] != "hie.Claim"
    }


def facts(pool):
    with pool.connection() as database:
        rows = "select kind, ref, id, rank, data, event_id from case_fact where kind <> 'claim' order by 1, 2, 3"
        return database.execute(rows).fetchall()


@given(in_two_orders(), st.booleans())
@example(Told([[*CARE, *OWN]], [[*OWN[1:], *CARE, OWN[0]]]), True)
@example(Told([[*CARE, CANCELLED]], [CARE, [CANCELLED, *CARE]]), False)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_order_and_any_repetition_give_the_same_end(tell, routing_pool, told, together):
    straight = tell(told.straight)
    wanted = (at_payer(straight), delivered(straight), facts(routing_pool))
    shuffled = tell(told.shuffled, together=together)
    end = at_payer(shuffled)
    if wanted[0] is None and end is not None:  # it had a claim already when the encounter was cancelled, and so takes it back
        assert end["action"] == "CANCELLED"
        assert CANCELLED in told.straight[0]
    else:
        assert end == wanted[0]
    assert (delivered(shuffled), facts(routing_pool)) == wanted[1:]


@given(st.permutations(OWN), st.integers(0, 3))
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_claims_of_the_facility_itself_are_the_last_word_whenever_they_come(tell, claims, before):
    hub = tell([claims[:before], CARE, claims[before:]])
    assert at_payer(hub)["causes"] == [OWN[2][1]["meta"]["event_id"]]
    assembled = [
        event for topic, event in hub.others if topic == "payer.vss.claim.v1" and event["meta"]["revision"]["version"] < 0
    ]
    assert len(assembled) == (before == 0)


def test_the_claim_has_what_was_charged_again_and_what_the_laboratory_corrected(tell):
    [claim] = [event for topic, event in tell([CARE]).others if topic == "payer.vss.claim.v1"]
    assert {(row["ma_thuoc"], int(row["so_luong"])) for row in claim["xml2"]} == {
        ("40.170", 10),
        ("40.170", 2),
        ("40.170", 1),
        ("40.30", 1),
    }
    assert [row["gia_tri"] for row in claim["xml4"]] == ["6.1"]


@pytest.mark.parametrize("late", [False, True], ids=["before it settles", "after its first claim"])
def test_an_edited_part_is_in_the_claim_in_place_of_the_other(tell, new_hub, routing_pool, late):
    """An order that waits for a laboratory that nobody knows is part of its stay all the same, until it is mended."""
    record, wrong = ordered("CD-2", minute=50, performer="01998", ma_bac_si="0009")
    hub = tell([[*CARE, (record, wrong)]] if late else [[]])
    if not late:
        hub.send(*CARE, (record, wrong))
    with routing_pool.connection() as database:
        topic, key, wire = TOPICS[record], wrong["meta"]["key"], hub.router.wire
        edited = amended(record, parking.oldest(database, wire, topic, key), {"performer": HOSPITAL}, KEYRING)
        parking.edit(
            database, hub.published, wire, STREAMS[topic], edited, KEYRING, fields=["performer"], by="somebody", reason="test"
        )
        parking.release(database, hub.published, wire, topic, key, by="somebody", reason="test")
        hub.follow()
        while deadlines.fire(database, hub.published, wire, MORNING + timedelta(days=9)):
            hub.follow()
    last = max((event for name, event in hub.others if name == "claim.v1"), key=rank)
    assert edited["meta"]["event_id"] in last["meta"]["causes"]
    assert wrong["meta"]["event_id"] not in last["meta"]["causes"]
