"""What is said of a claim: one decision, made from the ledger's rows, always the same."""

from decimal import Decimal

import polars as pl

from hub.contract.events import decode, derive, encode
from hub.insurer import decisions
from hub.insurer.decisions import bodies, decide, events
from hub.insurer.rules import adjudicate
from tests.hub.insurer.made import claim, columns_of


def decided(*made):
    decoded = columns_of(made)
    findings = adjudicate(decoded)
    ids = decoded.claims.select("row", "event_id")
    return list(events(decide(decoded.claims, findings, "vss").join(ids, on="row"), findings.join(ids, on="row")))


def with_total(event, **amounts):
    return event | {"xml1": event["xml1"] | amounts}


def test_a_right_claim_is_accepted_with_all_that_was_claimed():
    event = claim()
    (decision,) = decided(event)
    assert decision["verdict"] == "ACCEPTED"
    assert decision["t_bhtt_gd"] == decision["t_bhtt"] == event["xml1"]["t_bhtt"]
    assert (decision["payer"], decision["ma_cskcb"], decision["ma_lk"]) == ("vss", event["ma_cskcb"], event["ma_lk"])
    assert decision["findings"] == []


def test_a_finding_of_severity_e_rejects_and_grants_nothing():
    event = claim()
    (decision,) = decided(with_total(event, t_thuoc=event["xml1"]["t_thuoc"] + 1000))
    assert (decision["verdict"], decision["t_bhtt_gd"]) == ("REJECTED", Decimal("0.00"))
    assert decision["t_bhtt"] == event["xml1"]["t_bhtt"]
    (finding,) = decision["findings"]
    assert (finding["rule"], finding["field"], finding["claimed"] - finding["computed"]) == ("X05", "t_thuoc", 1000)


def test_a_cancelled_claim_is_cancelled_and_grants_nothing():
    (decision,) = decided(claim() | {"action": "CANCELLED"})
    assert (decision["verdict"], decision["t_bhtt_gd"]) == ("CANCELLED", Decimal("0.00"))


def test_what_is_only_told_does_not_reject():
    event = claim()
    (decision,) = decided(event | {"meta": event["meta"] | {"supersedes": "00000000-0000-0000-0000-000000000001"}})
    assert (decision["verdict"], [finding["rule"] for finding in decision["findings"]]) == ("ACCEPTED", ["T06"])


def test_identity_key_and_revision_are_those_of_the_claim_and_the_id_derives_from_it():
    event = claim()
    (decision,) = decided(event)
    expected = derive(
        "hie.ClaimDecision",
        {},
        parents=[event],
        rule="adjudicated",
        facility="",
        key="",
        revision=event["meta"]["revision"],
        to="vss",
    )
    meta = decision["meta"]
    assert meta["event_id"] == expected["meta"]["event_id"] == decisions.decision_id(event["meta"]["event_id"], "vss")
    assert (meta["key"], meta["facility"], meta["test"]) == (event["meta"]["key"], event["meta"]["facility"], False)
    assert decision["claim_event_id"] == event["meta"]["event_id"]
    assert decision["claim_revision"] == meta["revision"] == event["meta"]["revision"]


def test_a_body_is_that_of_the_event_that_derives_from_the_claim():
    right, wrong = claim(1), claim(2)
    made = [right | {"ma_lk": 'ế"\\'}, wrong | {"xml1": wrong["xml1"] | {"t_thuoc": None, "t_bhtt": Decimal("-0.50")}}]
    decoded = columns_of(made)
    findings, ids = adjudicate(decoded), decoded.claims.select("row", "event_id")
    rows = decide(decoded.claims, findings, "vss").join(ids, on="row")
    told = list(bodies(rows, findings.join(ids, on="row")))
    for event, row, (head, body) in zip(made, rows.iter_rows(named=True), told, strict=True):
        said = findings.filter(pl.col("row") == row["row"]).drop("row", "number").to_dicts()
        content = {
            **{name: row[name] for name in ("payer", "ma_cskcb", "ma_lk", "verdict")},
            **{name: row[name] for name in ("t_tongchi_bv", "t_tongchi_bh", "t_bhtt", "t_bhtt_gd")},
            "claim_event_id": row["event_id"],
            "claim_revision": {name: row[name] for name in ("version", "stated_at", "received_at")},
            "findings": said,
        }
        of_claim = {name: row[name] for name in ("facility", "key")} | {"revision": content["claim_revision"]}
        expected = derive("hie.ClaimDecision", content, parents=[event], rule="adjudicated", to="vss", **of_claim)
        assert body == encode("hie.ClaimDecision", expected)
        assert head == {name: expected["meta"].get(name) for name in head}
    assert findings.filter(pl.col("row") == 1).height


def test_test_traffic_stays_marked():
    event = claim()
    (decision,) = decided(event | {"meta": event["meta"] | {"test": True}})
    assert decision["meta"]["test"] is True


def test_every_decision_is_a_valid_event():
    event = claim()
    for decision in decided(event, with_total(event, t_bhtt=None, t_thuoc=Decimal("9999999999999999.99"))):
        assert decode("hie.ClaimDecision", encode("hie.ClaimDecision", decision))["verdict"] == decision["verdict"]


def test_a_decision_with_very_many_findings_says_how_many_more_there_are(monkeypatch):
    monkeypatch.setattr(decisions, "FINDINGS_MAX", 3)
    event = claim()
    wrong = with_total(
        event, **{name: Decimal("1.00") for name in ("t_thuoc", "t_vtyt", "t_tongchi_bv", "t_tongchi_bh", "t_bntt")}
    )
    found = adjudicate(columns_of([wrong]))
    (decision,) = decided(wrong)
    assert len(decision["findings"]) == 3
    assert decision["findings"][-1]["text_en"] == f"{found.height - 2} further findings stand in the ledger."
    assert found.filter(pl.col("severity") == "E").height
