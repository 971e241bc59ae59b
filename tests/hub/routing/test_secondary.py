"""What a supplementary insurer gets once the primary payer has decided, and what may be decided on it."""

import random
import string
from decimal import Decimal

import pytest

from hub.bus import Out
from hub.contract.errors import ERRORS
from hub.contract.events import encode, revision_rank
from hub.routing import secondary
from hub.routing.projections import projection_id
from hub.routing.stream import Deliver, Gather, Moment, Publish, Refuse
from tests.hub.routing.memory_hub import MemoryHub
from tests.hub.routing.story import DISTRICT, MORNING, claim, decided
from tests.hub.routing.story import STREAMS as STREAMS_OF
from tests.hub.routing.test_claims_any_order import CARD, POLICY, SOLDIER, claimed, passed_id, word


def accepted(event, order=1, *, verdict="ACCEPTED", granted="800.00", payer="vss"):
    about = projection_id(event["meta"]["event_id"], payer)
    return word(event, about, event["meta"]["revision"], payer, verdict, order, t_bhtt_gd=Decimal(granted))


def told(*events):
    hub = MemoryHub()
    for topic, event in events:
        hub.route(topic, [event])
    return hub


def sent(hub, payer):
    found = [event for (topic, _), event in hub.others.items() if topic == f"payer.{payer}.claim.v1"]
    return sorted(found, key=lambda event: revision_rank(event["meta"]["revision"]))


EVENT = claimed(0, CARD, POLICY)[0]


def test_the_copy_comes_with_the_decision_and_says_what_is_left():
    waiting = told(("claim.v1", EVENT))
    assert sent(waiting, "luavang") == [], "nothing before the primary payer has decided"
    hub = told(("claim.v1", EVENT), ("payer.vss.decision.v1", accepted(EVENT)))
    [copy] = sent(hub, "luavang")
    decision_id = passed_id(accepted(EVENT), shared=True)
    assert copy["prior"] == [
        {
            "payer": "vss",
            "decision_event_id": decision_id,
            "verdict": "ACCEPTED",
            "t_bhtt_gd": Decimal("800.00"),
            "t_conlai": Decimal("100.00"),  # 1000 less 100 by other sources
        }
    ]
    assert copy["xml1"]["ma_the_bhyt"] == POLICY
    assert copy["payer"] == "luavang"
    assert encode("hie.Claim", copy)
    assert {("luavang", decision_id), (DISTRICT, decision_id), ("vss", EVENT["meta"]["event_id"])} == hub.told
    assert ("luavang", "claim-to-supplementary") in hub.rules
    states = [
        event["state"] for (topic, _), event in hub.others.items() if topic == "receipt.v1" and event["recipient"] == "luavang"
    ]
    assert states == ["SENT"]


def test_no_copy_while_the_primary_payer_only_asks_or_pays():
    asks = accepted(EVENT, verdict="INFORMATION_REQUESTED")
    pays = accepted(EVENT, 2, verdict="PAID")
    hub = told(("claim.v1", EVENT), ("payer.vss.decision.v1", asks), ("payer.vss.decision.v1", pays))
    assert sent(hub, "luavang") == []
    assert {rule for to, rule in hub.rules if to == DISTRICT} == {"request-to-facility", "payment-to-facility"}


def test_a_changed_decision_and_a_newer_claim_give_copies_that_stand_over_the_older_ones():
    newer = claimed(10, CARD, POLICY)[0]
    hub = told(
        ("claim.v1", EVENT),
        ("payer.vss.decision.v1", accepted(EVENT)),
        ("payer.vss.decision.v1", accepted(EVENT, 2, verdict="REDUCED", granted="500.00")),
        ("payer.vss.decision.v1", accepted(EVENT, 3, verdict="REJECTED", granted="0")),
        ("claim.v1", newer),
        ("payer.vss.decision.v1", accepted(newer)),
    )
    copies = sent(hub, "luavang")
    assert [copy["prior"][0]["verdict"] for copy in copies] == ["ACCEPTED", "REDUCED", "REJECTED", "ACCEPTED"]
    assert [copy["meta"]["supersedes"] for copy in copies] == ["", *(copy["meta"]["event_id"] for copy in copies[:-1])]
    assert len({revision_rank(copy["meta"]["revision"]) for copy in copies}) == 4


@pytest.mark.parametrize(
    ("newer", "gone"),
    [
        (claimed(10, CARD, POLICY, action="CANCELLED"), {"luavang"}),
        (claimed(10, CARD), {"luavang"}),
        (claimed(10, CARD, POLICY, sensitivity="HIV"), {"luavang"}),
        (claimed(10, SOLDIER, POLICY), {"vss"}),
        (claimed(10, SOLDIER), {"vss", "luavang"}),
    ],
    ids=["cancelled", "without the policy", "sensitive now", "another card", "another card alone"],
)
def test_who_was_sent_a_claim_hears_that_it_has_none_any_more(newer, gone):
    event = newer[0]
    hub = told(("claim.v1", EVENT), ("payer.vss.decision.v1", accepted(EVENT)), ("claim.v1", event))
    for payer in gone:
        last = sent(hub, payer)[-1]
        assert (last["action"], last["meta"]["rule"]) == ("CANCELLED", "claim-withdrawn")
        assert set(last) == {"meta", "action", "payer", "ma_cskcb", "ma_lk", "xml1"}, "it tells no more"
        assert encode("hie.Claim", last)
        assert (payer, event["meta"]["event_id"]) in hub.told
    assert {to for to, rule in hub.rules if rule == "claim-withdrawn"} == gone


def test_whoever_was_sent_nothing_hears_of_no_cancellation():
    cancelled = claimed(10, CARD, POLICY, action="CANCELLED")[0]
    hub = told(("claim.v1", EVENT), ("claim.v1", cancelled))
    assert sent(hub, "luavang") == []


# --- what a supplementary insurer may say --------------------------------------------------------------------------------


def answer(change):
    first = accepted(EVENT)
    revision = secondary.above(EVENT["meta"]["revision"], 1)
    copy = secondary.copy_id(EVENT["meta"]["event_id"], passed_id(first, shared=True), "luavang")
    claim_event_id, claim_revision = change.pop("claim_event_id", copy), change.pop("claim_revision", revision)
    payer = change.pop("payer", "luavang")
    said = word(first, claim_event_id, claim_revision, payer, change.pop("verdict", "ACCEPTED"), 1, **change)
    return told(("claim.v1", EVENT), ("payer.vss.decision.v1", first), ("payer.luavang.decision.v1", said)), said


def test_its_decision_on_the_copy_goes_to_the_facility():
    hub, said = answer({})
    assert (DISTRICT, passed_id(said, shared=False)) in hub.told
    assert [code for code, _ in hub.refused] == []
    heard = [event for (topic, _), event in hub.others.items() if topic == "receipt.v1" and event["state"] == "ACKNOWLEDGED"]
    assert {event["recipient"] for event in heard} == {"vss", "luavang"}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"claim_event_id": projection_id(EVENT["meta"]["event_id"], "vss")}, "claim_event_id"),
        ({"claim_event_id": projection_id(EVENT["meta"]["event_id"], "luavang")}, "claim_event_id"),
        ({"claim_event_id": secondary.withdrawal_id(EVENT["meta"]["event_id"], "luavang")}, "claim_event_id"),
        ({"payer": "vss"}, "payer"),
        ({"claim_revision": EVENT["meta"]["revision"]}, "claim_revision"),
        ({"verdict": "PERHAPS"}, "verdict"),
    ],
)
def test_and_on_anything_else_is_refused_with_what_is_wrong(change, why):
    hub, _said = answer(change)
    assert hub.refused == [("DECISION_MISMATCH", why)]


def test_a_real_payer_cannot_speak_as_test_traffic():
    said = accepted(EVENT)
    said["meta"]["test"] = True
    hub = told(("claim.v1", EVENT), ("payer.vss.decision.v1", said))
    assert hub.refused == [("DECISION_MISMATCH", "meta.test")]


@pytest.mark.parametrize("verdict", ["CANCELLED", "ACCEPTED", "PAID"])
def test_an_answer_to_a_withdrawal_is_heard_and_is_no_word_to_the_facility(verdict):
    newer = claimed(10, CARD)[0]
    first = accepted(EVENT)
    about = secondary.withdrawal_id(newer["meta"]["event_id"], "luavang")
    said = word(newer, about, newer["meta"]["revision"], "luavang", verdict, 1)
    events = [("claim.v1", EVENT), ("payer.vss.decision.v1", first), ("claim.v1", newer), ("payer.luavang.decision.v1", said)]
    hub, own = told(*events), {passed_id(said, shared=shared) for shared in (True, False)}
    assert hub.refused == ([] if verdict == "CANCELLED" else [("DECISION_MISMATCH", "verdict")])
    assert not own & {event_id for _to, event_id in hub.told}
    heard = [event for (topic, _), event in hub.others.items() if topic == "receipt.v1" and event["state"] == "ACKNOWLEDGED"]
    assert ("luavang" in {event["recipient"] for event in heard}) == (verdict == "CANCELLED")


def test_a_claim_that_its_topic_keeps_no_more_is_a_dead_letter():
    hub = told(("claim.v1", EVENT))
    passed = [one.event for one in decided("payer.vss.decision.v1", accepted(EVENT), hub.find([claim_ref()])) if is_passed(one)]
    hub = told(("claim.v1", EVENT), ("claim-decision.v1", passed[0]))
    [_told, gathered] = decided("claim-decision.v1", passed[0], hub.find([claim_ref()]))
    assert isinstance(gathered, Gather)
    [refused] = gathered.then({})
    assert isinstance(refused, Refuse) and refused.code == "CLAIM_GONE"


def claim_ref():
    return STREAMS_OF["claim.v1"].lookups(EVENT, None)[0]


def is_passed(output):
    return isinstance(output, Publish) and output.topic == "claim-decision.v1"


def test_a_decision_on_a_claim_with_one_payer_asks_the_case_index_nothing():
    plain = claimed(0, CARD)[0]
    hub = told(("claim.v1", plain))
    passed = [one.event for one in decided("payer.vss.decision.v1", accepted(plain), hub.find([claim_ref()])) if is_passed(one)]
    stream = STREAMS_OF["claim-decision.v1"]
    assert stream.lookups(passed[0], None) == stream.facts(passed[0], None) == []
    assert stream.decide(passed[0], [], Moment(MORNING, MORNING)) == [Deliver(DISTRICT, "decision-to-facility")]


# --- what the case index makes of words ----------------------------------------------------------------------------------


def test_equal_payments_and_words_on_a_corrected_claim_all_reach_the_facility(new_hub):
    first, corrected = claimed(0, SOLDIER, payer="defence")[0], claimed(10, SOLDIER, payer="defence")[0]

    def says(event, verdict, order, **content):
        about = projection_id(event["meta"]["event_id"], "defence")
        return word(event, about, event["meta"]["revision"], "defence", verdict, order, **content)

    paid = {"paid": Decimal(400), "paid_on": "20261201"}
    words = [says(first, "PAID", 1, **paid), says(first, "PAID", 5, **paid), says(corrected, "ACCEPTED", 2)]
    hub = new_hub()
    hub.send(("hie.Claim", first), ("hie.Claim", corrected))
    for said in [*words, words[1]]:
        topic = "payer.defence.decision.v1"
        hub.route(topic, [hub.record(topic, Out(topic, said["meta"]["key"], hub.router.wire.pack(topic, said)))])
    told = [one for one in hub.deliveries.values() if one["recipient"] == DISTRICT]
    assert sorted(one["subject_event_id"] for one in told) == sorted(passed_id(said, shared=False) for said in words)
    told.sort(key=lambda one: revision_rank(one["meta"]["revision"]))
    assert told[-1]["subject_event_id"] == passed_id(words[2], shared=False), "the corrected claim's word counts"


def test_of_three_words_under_one_version_in_one_batch_the_first_stands(new_hub):
    event = claimed(0, SOLDIER, payer="defence")[0]
    about, topic = projection_id(event["meta"]["event_id"], "defence"), "payer.defence.decision.v1"
    words = [word(event, about, event["meta"]["revision"], "defence", "ACCEPTED", 1, another=name) for name in ("", "b", "c")]
    hub = new_hub()
    hub.send(("hie.Claim", event))
    hub.route(topic, [hub.record(topic, Out(topic, said["meta"]["key"], hub.router.wire.pack(topic, said))) for said in words])
    assert [one["subject_event_id"] for one in hub.deliveries.values() if one["recipient"] == DISTRICT] == [
        passed_id(words[0], shared=False)
    ]
    letters = [event for topic, event in hub.others if topic == "dead-letter.v1"]
    assert [letter["code"] for letter in letters] == ["DECISION_MISMATCH"] * 2


def _letters(hub, event, *words):
    """Routes these words of a payer in one batch, and tells the dead letters and what reached the facility."""
    topic = "payer.defence.decision.v1"
    hub.send(("hie.Claim", event))
    hub.route(topic, [hub.record(topic, Out(topic, said["meta"]["key"], hub.router.wire.pack(topic, said))) for said in words])
    letters = [(letter["code"], letter["detail"]) for topic, letter in hub.others if topic == "dead-letter.v1"]
    return letters, [one["subject_event_id"] for one in hub.deliveries.values() if one["recipient"] == DISTRICT]


def _about(event):
    return projection_id(event["meta"]["event_id"], "defence"), event["meta"]["revision"], "defence"


@pytest.mark.parametrize("name", ["a\0b", "".join(random.Random(1).choices(string.ascii_letters, k=5_000))], ids=["NUL", "long"])
def test_a_word_about_something_that_no_database_holds_disturbs_no_other(new_hub, name):
    event = claimed(0, SOLDIER, payer="defence")[0]
    _own, revision, payer = _about(event)
    right = word(event, *_about(event), "ACCEPTED", 1)
    letters, told = _letters(new_hub(), event, word(event, name, revision, payer, "ACCEPTED", 1, another="odd"), right)
    assert letters == [("DECISION_MISMATCH", "claim_event_id")] and told == [passed_id(right, shared=False)]


def test_a_refused_word_about_another_key_leaves_the_version_to_the_right_one(new_hub):
    event = claimed(0, SOLDIER, payer="defence")[0]
    right = word(event, *_about(event), "ACCEPTED", 1)
    wrong = word(event, *_about(event), "ACCEPTED", 1, another="wrong")
    wrong["meta"]["key"] = wrong["meta"]["key"] + "X"
    letters, told = _letters(new_hub(), event, wrong, right)
    assert letters == [("DECISION_MISMATCH", "claim_event_id")] and told == [passed_id(right, shared=False)]


def test_a_version_beyond_what_revisions_can_tell_apart_is_refused(new_hub):
    event = claimed(0, SOLDIER, payer="defence")[0]
    last, beyond = (word(event, *_about(event), "PAID", version) for version in (999, 1000))
    letters, told = _letters(new_hub(), event, beyond, last)
    assert letters == [("DECISION_MISMATCH", "meta.revision.version")] and told == [passed_id(last, shared=False)]


@pytest.mark.parametrize("version", [0, 3, 499, 998, 20261123])
def test_the_words_of_the_hubs_own_insurer_stay_apart_whatever_the_claims_version(version):
    revision = {**EVENT["meta"]["revision"], "version": version}
    words = [word(EVENT, "any", revision, "vss", "REDUCED", version + number) for number in range(4)]
    ranks = [revision_rank(secondary.word_on(secondary.Sent("", ""), one)) for one in words]
    assert ranks == sorted(set(ranks))


def test_a_claim_that_is_gone_is_copied_once_it_is_sent_with_a_newer_ngaylap_as_its_error_says(new_hub):
    content = {"ma_the_bhyt": f"{CARD};{POLICY}", "t_tongchi_bv": Decimal(1000)}
    first, same = (claim(minute=minute, xml1=content, ngaylap="20261120") for minute in (0, 10))
    newer = claim(minute=20, xml1=content, ngaylap="20261121")
    hub = new_hub()

    def says(event):
        said = accepted(event)
        topic = "payer.vss.decision.v1"
        hub.route(topic, [hub.record(topic, Out(topic, said["meta"]["key"], hub.router.wire.pack(topic, said)))])
        return [topic for topic, _event in hub.others if topic in ("payer.luavang.claim.v1", "dead-letter.v1")]

    hub.send(("hie.Claim", first))
    hub.remembered.values.clear()  # as its topic does in time
    assert says(first) == ["dead-letter.v1"]
    assert hub.others[-1][1]["code"] == "CLAIM_GONE" and "NGAYLAP" in ERRORS["CLAIM_GONE"].en
    hub.others.clear()
    hub.send(("hie.Claim", same))
    assert "T05" in {one["rule"] for one in hub.deliveries.values()}
    assert [topic for topic, _event in hub.others if topic.startswith("payer.")] == []
    hub.send(("hie.Claim", newer))
    assert says(newer) == ["payer.luavang.claim.v1"]
