"""Claims go to their payer, decisions come back: and only what was sent can be decided."""

from datetime import UTC, datetime

import pytest

from hub.contract.events import derive, encode
from hub.contract.payers import Payer
from hub.routing import claims, projections
from hub.routing.stream import Deliver, Moment, Nobody, Publish, Refuse
from tests.hub.routing.story import DISTRICT, KEYRING, MORNING, claim, decided, known_of

TOPIC = "claim.v1"


def published(outs):
    return {one.topic: one.event for one in outs if isinstance(one, Publish)}


def test_a_claim_is_projected_delivered_and_sent():
    event = claim()
    outs = decided(TOPIC, event)
    assert Deliver("vss", "claim-to-payer", body=False) in outs
    made = published(outs)
    projection, sent = made["payer.vss.claim.v1"], made["receipt.v1"]
    assert projection["payer"] == "vss"
    assert projection["xml1"] == event["xml1"]
    assert projection["meta"]["revision"] == event["meta"]["revision"]
    assert projection["meta"]["event_id"] == projections.projection_id(event["meta"]["event_id"], "vss")
    assert (sent["state"], sent["channel"]) == ("SENT", "kafka")


def test_a_test_claim_goes_to_the_test_payer_only():
    made = published(decided(TOPIC, claim(test=True)))
    assert set(made) == {"payer.test.claim.v1", "receipt.v1"}
    assert made["payer.test.claim.v1"]["meta"]["test"]


def test_a_payer_gets_the_tables_that_it_is_granted_and_no_others():
    payer = Payer("some", "", "", default=False, card_groups=(), tables=frozenset({"xml1", "xml3"}))
    event = claim(xml2=[{"ten_thuoc": "x"}], xml3=[{"ten_dich_vu": "y"}], xml6=[{}])
    projection = projections.project(event, payer, "")
    assert {name for name in projection if name.startswith("xml")} == {"xml1", "xml3"}


def test_a_new_revision_names_the_projection_that_it_supersedes():
    first, second = claim(), claim(minute=5, ngaylap="20261123")
    moment = Moment(MORNING, MORNING, tuple(claims.facts(second, KEYRING)), supersedes=first["meta"]["event_id"])
    made = published(claims.decide(second, [], moment))["payer.vss.claim.v1"]
    assert made["meta"]["supersedes"] == projections.projection_id(first["meta"]["event_id"], "vss")


# --- decisions --------------------------------------------------------------------------------------------------------


def decision(event, **change):
    meta = event["meta"]
    content = {
        "payer": "vss",
        "ma_cskcb": DISTRICT,
        "ma_lk": event["ma_lk"],
        "claim_event_id": projections.projection_id(meta["event_id"], "vss"),
        "claim_revision": meta["revision"],
        "verdict": "ACCEPTED",
    }
    key = change.pop("key", meta["key"])
    return derive(
        "hie.ClaimDecision",
        content | change,
        parents=[event],
        rule="adjudicated",
        facility=meta["facility"],
        key=key,
        revision=meta["revision"],
    )


def test_a_decision_on_what_was_sent_passes_and_counts_as_the_payers_word():
    outs = decided("payer.vss.decision.v1", decision(claim()), known_of(TOPIC, claim()))
    made = published(outs)
    assert made["claim-decision.v1"]["verdict"] == "ACCEPTED"
    assert made["receipt.v1"]["state"] == "ACKNOWLEDGED"
    assert made["receipt.v1"]["delivery_id"] == published(decided(TOPIC, claim()))["receipt.v1"]["delivery_id"]
    assert outs[-1] == Nobody("decision-checked")


def test_a_decision_on_an_older_revision_than_the_newest_says_so_first_and_the_others_do_not():
    older, newer = claim(), claim(minute=5, ngaylap="20261123")
    known = [*known_of(TOPIC, older), *known_of(TOPIC, newer)]
    own = {"rule": "X05", "severity": "W"}

    def said(event, known):
        passed = published(decided("payer.vss.decision.v1", decision(event, findings=[own]), known))["claim-decision.v1"]
        assert encode("hie.ClaimDecision", passed)
        return [finding["rule"] for finding in passed["findings"]]

    assert said(older, known) == ["T07", "X05"]
    assert said(newer, known) == said(older, known_of(TOPIC, older)) == ["X05"]
    cancelled = claim(minute=9, action="CANCELLED")
    assert said(newer, [*known, *known_of(TOPIC, cancelled)]) == ["T07", "X05"]
    soldier = claim(minute=9, card="QN5970012345678")
    assert said(newer, [*known, *known_of(TOPIC, soldier)]) == ["T07", "X05"], "the newest may be another payer's"


@pytest.mark.parametrize(
    "change",
    [
        {"payer": "test"},
        {"ma_cskcb": "01004"},
        {"claim_event_id": "00000000-0000-0000-0000-000000000000"},
        {"claim_revision": {"version": 7, "stated_at": "", "received_at": datetime(2026, 1, 1, tzinfo=UTC)}},
        {"verdict": "PERHAPS"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_decision_on_anything_else_is_refused(change):
    wrong = decision(claim(), **change)
    expected = [Refuse("DECISION_MISMATCH", "nobody-decision-mismatch", next(iter(change)))]
    assert decided("payer.vss.decision.v1", wrong, known_of(TOPIC, claim())) == expected


def test_a_payer_cannot_decide_on_anothers_claim():
    expected = [Refuse("DECISION_MISMATCH", "nobody-decision-mismatch", "claim_event_id")]
    assert decided("payer.test.decision.v1", decision(claim()), known_of(TOPIC, claim())) == expected


def test_a_decision_of_the_hubs_own_insurer_on_a_simulated_claim_is_for_nobody():
    """`hie simulate claims` puts claims into a payer's topic, and the hub has sent none."""
    simulated = claim()
    simulated["meta"]["message_id"] = ""
    assert decided("payer.vss.decision.v1", decision(simulated)) == [Nobody("nobody-simulated")]
    assert decided("payer.vss.decision.v1", decision(claim())) == [
        Refuse("DECISION_MISMATCH", "nobody-decision-mismatch", "claim_event_id")
    ]
    elsewhere = decision(simulated, payer="defence")
    assert decided("payer.defence.decision.v1", elsewhere) == [
        Refuse("DECISION_MISMATCH", "nobody-decision-mismatch", "claim_event_id")
    ]


def test_a_checked_decision_goes_to_the_facility():
    assert decided("claim-decision.v1", decision(claim())) == [Deliver(DISTRICT, "decision-to-facility")]
