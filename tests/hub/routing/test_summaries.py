"""Discharge papers and treatment summaries go to the citizen's app with what tells whose they are, and nothing else of the claim."""

from decimal import Decimal

import pytest

from hub.contract.events import decode, encode
from hub.routing import claims
from hub.routing.stream import Deliver, Found, Moment, Nobody, Publish, Recall
from hub.routing.summaries import taken_back
from tests.hub.routing.story import DISTRICT, KEYRING, MORNING, claim, decided

RULE = "summary-to-portal"
CARD, POLICY = "GD4010012345678", "LVG2026001"
PAPERS = {"xml7": [{"ma_lk": "C1", "ngay_ct": "20261122"}], "xml8": [{"ma_lk": "C1", "ngay_ct": "20261123"}]}


def of_portal(event, *known):
    """What goes to the portal of a claim, when others of its key are known."""
    facts = [
        Found(fact.kind, fact.ref, fact.id, fact.data, "", place(one)) for one in known for fact in claims.facts(one, KEYRING)
    ]
    outs = decided("claim.v1", event, facts)
    return [out for out in outs if isinstance(out, Deliver | Recall) and out.recipient == "portal"]


def place(event):
    return f"claim.v1/0/{event['meta']['event_id']}"


def given(hub):
    """What stands in the deliveries to the portal, in their order."""
    return [hub.router.wire.unpack(one["body"])[1] for one in hub.deliveries.values() if one["recipient"] == "portal"]


def labelled(event, label="HIV"):
    event["meta"]["sensitivity"] = label
    return event


@pytest.mark.parametrize("names", [("xml7",), ("xml8",), ("xml7", "xml8")])
def test_a_claim_with_papers_goes_to_its_payer_and_its_papers_to_the_portal(names):
    event = claim(xml3=[{"ma_lk": "C1"}], ngaylap="20261124", **{name: PAPERS[name] for name in names})
    [out] = of_portal(event)
    assert (out.rule, out.lane, out.body) == (RULE, "routine", True)
    assert {name for name in out.part if name.startswith("xml")} == {"xml1", *names}
    assert all(out.part[name] == PAPERS[name] for name in names)
    assert Deliver("vss", "claim-to-payer", body=False) in decided("claim.v1", event)


def test_a_claim_without_papers_is_no_matter_of_the_portal():
    assert of_portal(claim(xml3=[{}], xml9=[{}])) == []


def test_of_the_summary_the_portal_sees_whose_papers_they_are_and_no_money_and_no_address():
    whose = {"ma_lk": "C1", "ho_ten": "Người Thử", "ma_the_bhyt": CARD, "ma_benh_chinh": "E11.9"}
    summary = whose | {"dia_chi": "Số 1", "dien_thoai": "0900000001", "t_tongchi_bv": Decimal(1000)}
    [out] = of_portal(claim(xml1=summary, **PAPERS))
    assert out.part["xml1"] == whose


def test_it_sees_no_policy_of_a_supplementary_insurer():
    summary = {"ma_lk": "C1", "ma_the_bhyt": f"{POLICY};{CARD}", "gt_the_den": "20261231;20281231"}
    [out] = of_portal(claim(xml1=summary, **PAPERS))
    assert (out.part["xml1"]["ma_the_bhyt"], out.part["xml1"]["gt_the_den"]) == (CARD, "20281231")


def test_the_part_bears_the_events_own_meta_but_for_what_was_unreadable_elsewhere():
    event = claim(**PAPERS)
    event["meta"]["unparsed"] = {"XML7[1]/SO_NGAY_NGHI": "ba", "XML2[3]/SO_LUONG": "1,5", "XML1/T_BHTT": "x"}
    [out] = of_portal(event)
    assert out.part["meta"] == event["meta"] | {"unparsed": {"XML7[1]/SO_NGAY_NGHI": "ba"}}
    assert decode("hie.Claim", encode("hie.Claim", out.part))["xml7"][0]["ngay_ct"] == "20261122"


def test_the_same_papers_are_the_same_file_however_the_claim_is_corrected():
    first, second = claim(ngaylap="20261123", **PAPERS), claim(minute=5, ngaylap="20261201", **PAPERS)
    [one], [other] = of_portal(first), of_portal(second)
    assert {**one.part, "meta": {}} == {**other.part, "meta": {}}
    assert one.part["ngaylap"] == "20261123"  # of the newest paper


def test_papers_without_a_day_go_by_that_of_the_claim():
    [out] = of_portal(claim(ngaylap="20261124", xml7=[{"ma_lk": "C1"}]))
    assert out.part["ngaylap"] == "20261124"


def test_papers_of_a_claim_that_is_labelled_sensitive_are_held_by_rule():
    outs = decided("claim.v1", labelled(claim(**PAPERS)))
    assert [out for out in outs if isinstance(out, Nobody)] == [Nobody("nobody-held-sensitive")]
    assert of_portal(labelled(claim(**PAPERS))) == []


def test_a_rule_is_told_once_though_it_holds_papers_and_copies():
    summary = {"ma_lk": "C1", "ma_the_bhyt": f"{CARD};{POLICY}"}
    outs = decided("claim.v1", labelled(claim(xml1=summary, **PAPERS)))
    assert outs.count(Nobody("nobody-held-sensitive")) == 1


def test_a_sensitive_claim_without_papers_holds_nothing():
    assert not [out for out in decided("claim.v1", labelled(claim())) if isinstance(out, Nobody)]


@pytest.mark.parametrize("label", ["", "HIV"])
def test_a_cancelled_claim_takes_back_what_waits_and_tells_nothing_more(label):
    event = labelled(claim(action="CANCELLED", minute=5, **PAPERS), label)
    [out] = of_portal(event, claim(**PAPERS))
    assert out.part == {
        "meta": event["meta"] | {"unparsed": {}},
        "action": "CANCELLED",
        "ma_cskcb": DISTRICT,
        "ma_lk": "C1",
        "xml1": {"ma_lk": "C1"},
    }


@pytest.mark.parametrize(
    "others",
    [
        [],
        [claim()],  # without papers
        [labelled(claim(**PAPERS))],  # held: the portal never had them
        [claim(minute=9, **PAPERS)],  # newer than the cancellation
        [claim(action="CANCELLED")],
    ],
)
def test_a_cancelled_claim_is_no_matter_of_the_portal_where_no_papers_went_before(others):
    assert of_portal(claim(action="CANCELLED", minute=5), *others) == []


def test_papers_that_come_after_the_cancellation_bring_it_and_it_goes_first():
    """So the client never sees them without it."""
    older, gone, newer = (claim(action="CANCELLED", minute=minute) for minute in (0, 9, 12))
    first, second, paper = of_portal(claim(minute=5, **PAPERS), older, gone, newer)
    assert [first, second] == [Recall(place(one), "portal", RULE, part=taken_back) for one in (gone, newer)]
    assert isinstance(paper, Deliver)


def test_whichever_comes_first_the_portal_gets_papers_and_cancellation_and_the_same_of_each(new_hub):
    paper, gone = claim(**PAPERS), claim(action="CANCELLED", minute=5, xml1={"ma_lk": "C1", "t_tongchi_bv": Decimal(1000)})
    ends = []
    for order in ([paper, gone], [gone, paper]):
        hub = new_hub()
        for one in order:
            hub.send(("hie.Claim", one))
        ends.append(given(hub))
    straight, late = ends
    assert [one["action"] for one in straight] == ["SUBMITTED", "CANCELLED"]
    assert late == straight[::-1], "the cancellation goes first, and tells no money"
    assert not straight[1]["xml1"].get("t_tongchi_bv")


def test_papers_of_a_test_claim_are_test_traffic():
    [out] = of_portal(claim(test=True, **PAPERS))
    assert out.part["meta"]["test"]  # by which it goes into the mailbox `portal!test`
    assert {one.topic for one in decided("claim.v1", claim(test=True, **PAPERS)) if isinstance(one, Publish)} == {
        "payer.test.claim.v1",
        "receipt.v1",
    }


def test_what_stands_in_the_mailbox_is_the_part_and_the_delivery_is_the_claims(new_hub):
    hub, event = new_hub(), claim(xml3=[{"ma_lk": "C1"}], **PAPERS)
    hub.send(("hie.Claim", event))
    [given] = [one for one in hub.deliveries.values() if one["recipient"] == "portal"]
    assert (given["rule"], given["subject_event_id"], given["subject_topic"]) == (RULE, event["meta"]["event_id"], "claim.v1")
    record, part = hub.router.wire.unpack(given["body"])
    assert (record, part["meta"]["key"], part["xml3"], len(part["xml7"])) == ("hie.Claim", event["meta"]["key"], [], 1)
    again = claim(xml3=[{"ma_lk": "C1"}], **PAPERS)
    hub.send(("hie.Claim", again))
    assert len([one for one in hub.deliveries.values() if one["recipient"] == "portal"]) == 1


def test_a_claim_that_the_hub_assembled_counts_too_unless_it_comes_too_late():
    event = claim(**PAPERS)
    event["meta"]["rule"] = "claim-assembled"
    moment = Moment(MORNING, MORNING, tuple(claims.facts(event, KEYRING)))
    assert any(isinstance(out, Deliver) and out.recipient == "portal" for out in claims.decide(event, [], moment))
    own = Found("claim-own", event["meta"]["key"], "", {})
    assert claims.decide(event, [own], moment) == [Nobody("nobody-claim-own")]
