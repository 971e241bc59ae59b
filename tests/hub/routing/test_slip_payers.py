"""What payers hear of referral slips: whose slip it is, what they get to see, and when they hear it."""

import subprocess
import sys
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

import hub.insurer
from hub.access.rights import apply_rights, give_login, user_of
from hub.bus import Producer, event_out
from hub.contract.directory import payers
from hub.contract.events import to_json
from hub.contract.kafka import brokers, client, write_address
from hub.routing import projections, slip_payers
from hub.routing.deliveries import delivery_id
from hub.routing.slip_payers import payer_named, project, projected_id
from hub.routing.stream import Deliver, Nobody, Publish
from tests.hub.routing.memory_hub import MemoryHub
from tests.hub.routing.story import COMMUNE, DISTRICT, PROVINCE, check_in, decided, person, referral

PAGE = Path(hub.insurer.__file__).parent / "PAYERS.md"
SOLDIER, POLICE, CIVIL = "QN5970012345678", "CA5980012345678", "GD4010012345678"


def carded(*cards):
    return person("001090000001", *cards)


def told(*events):
    """A hub that was told these, one after the other."""
    hub = MemoryHub()
    for event in events:
        hub.route("encounter.v1" if "ngay_vao" in event else "referral.v1", [event])
    return hub


def heard(hub, payer):
    """What stands on a payer's topic of slips, in order."""
    return [event for (topic, _), event in hub.others.items() if topic == f"payer.{payer}.referral.v1"]


def actions(hub, payer):
    return [event["action"] for event in heard(hub, payer)]


def arrives(**content):
    return check_in(slip="S1", ma_noi_di=COMMUNE, minute=20, **content)


# --- whose slip it is


@pytest.mark.parametrize(
    ("cards", "facility", "payer"),
    [
        ([CIVIL], COMMUNE, "vss"),
        ([SOLDIER], COMMUNE, "defence"),
        ([POLICE, CIVIL], COMMUNE, "police"),
        (["LVG2026", SOLDIER], COMMUNE, "defence"),
        (["0012345678"], "97001", "defence"),
        ([], "98001", "police"),
        ([], COMMUNE, "vss"),
    ],
)
def test_card_facility_or_default_tell_the_payer_of_a_slip(cards, facility, payer):
    slip = referral(person=carded(*cards))
    slip["meta"]["facility"] = facility
    assert payer_named(slip) == payer


def test_cards_that_stand_in_the_table_alone_tell_it_too():
    assert payer_named(referral(xml13={"ma_the_bhyt": f"LVG1;{SOLDIER}"})) == "defence"


@pytest.mark.parametrize("cards", [[], [SOLDIER], [CIVIL]])
def test_a_test_slip_goes_to_the_test_payer_alone(cards):
    slip, answer = referral(test=True, person=carded(*cards)), referral("ACCEPTED", minute=5, test=True)
    hub = told(slip, answer)
    assert {topic for topic, _ in hub.others if topic.startswith("payer.")} == {"payer.test.referral.v1"}
    assert [recipient for recipient, rule in hub.rules if rule == "referral-to-payer"] == ["test"]
    assert actions(hub, "test") == ["ISSUED", "ACCEPTED"]
    assert all(event["meta"]["test"] for event in heard(hub, "test"))


def test_a_payer_that_is_not_granted_slips_hears_of_none(monkeypatch):
    known = {code: replace(payer, referrals=code != "defence") for code, payer in payers().items()}
    for module in (slip_payers, projections):
        monkeypatch.setattr(module, "payers", lambda: known)
    hub = told(referral(person=carded(SOLDIER)), referral("ACCEPTED", minute=5))
    assert {topic for topic, _ in hub.others} == set()
    assert not {rule for _, rule in hub.rules if "payer" in rule}


# --- what it gets

ILL = {
    "diagnoses": [{"ma_benh": "E11.9", "chan_doan": "Đái tháo đường", "type": "F", "main": True}],
    "xml13": {"ma_benh_chinh": "E11.9", "ma_lydo_ct": "2", "ho_ten": "Người Thử", "tomtat_kq": "HbA1c 10.4", "dia_chi": "45 đường Bờ Sông"},
}  # fmt: skip


def test_a_payer_gets_what_an_insurer_needs_of_a_statement_and_nothing_else():
    slip = referral(person=carded(SOLDIER, CIVIL, "LVG2026") | {"dia_chi": "45 đường Bờ Sông"}, reason="vượt khả năng", **ILL)
    [made] = heard(told(slip), "defence")
    assert {name: part for name, part in made.items() if name != "meta"} == {
        "action": "ISSUED", "slip": "S1", "ma_cskcb": COMMUNE, "ma_cskcb_den": DISTRICT, "issued_on": "20261123",
        "expires_on": "20261207", "diagnoses": [{"ma_benh": "E11.9", "type": "F", "main": True}],
        "xml13": {"ma_benh_chinh": "E11.9", "ma_lydo_ct": "2"},
        "person": {"identifiers": [{"type": "BHYT_CARD", "value": SOLDIER, "normalised": SOLDIER}]},
    }  # fmt: skip
    assert (made["meta"]["key"], made["meta"]["revision"]) == (slip["meta"]["key"], slip["meta"]["revision"])
    assert (made["meta"]["rule"], made["meta"]["causes"]) == ("referral-to-payer", [slip["meta"]["event_id"]])


def test_who_shows_no_card_is_known_by_the_number_as_which_it_counts():
    [made] = heard(told(referral()), "vss")
    assert [one["type"] for one in made["person"]["identifiers"]] == ["SDDCN"]
    numbered = carded()
    numbered["identifiers"].append({"type": "BHXH_NUMBER", "value": "0012345678", "normalised": "0012345678"})
    [made] = heard(told(referral(person=numbered)), "vss")
    assert [one["type"] for one in made["person"]["identifiers"]] == ["BHXH_NUMBER"]


@pytest.mark.parametrize("action", ["CANCELLED", "ACCEPTED", "REJECTED"])
def test_of_anything_but_what_is_issued_it_gets_no_person_and_no_words(action):
    event = referral(action, person=carded(SOLDIER) | {"dia_chi": "45"}, reason="hết giường", redirect_to=PROVINCE, **ILL)
    made = project(event, payers()["defence"])
    assert (made["person"], made["xml13"], made["redirect_to"]) == ({}, {}, PROVINCE)
    assert not {"diagnoses", "reason", "issued_on"} & made.keys()
    for word in ("Người", "hết giường", SOLDIER, "001090000001"):
        assert word not in to_json(made).decode()


def test_a_slip_that_is_sensitive_or_was_reaches_no_payer():
    slip = referral()
    slip["meta"]["sensitivity"] = "MENTAL"
    hub = told(slip, referral("MODIFIED", minute=5), referral("ACCEPTED", minute=6), arrives(), referral("CANCELLED", minute=30))
    assert (COMMUNE, "arrival-to-issuer") in hub.rules
    assert not {rule for _, rule in hub.rules if "payer" in rule} and not hub.others
    assert Nobody("nobody-held-sensitive") in decided("referral.v1", slip)


# --- when it hears it


def test_it_hears_what_becomes_of_a_slip_and_each_word_is_in_the_books():
    error = check_in(minute=40, action="CANCELLED")
    hub = told(referral(), referral("ACCEPTED", minute=5), arrives(), error, referral("CANCELLED", minute=50))
    assert actions(hub, "vss") == ["ISSUED", "ACCEPTED", "ARRIVED", "ARRIVAL_CANCELLED", "CANCELLED"]
    came, back = heard(hub, "vss")[2:4]
    assert back["meta"]["supersedes"] == came["meta"]["event_id"], "it names what the payer had, not what the hub had"
    receipts = [event for (topic, _), event in hub.others.items() if topic == "receipt.v1"]
    subjects = [event["meta"]["causes"][0] for event in heard(hub, "vss")]
    assert [(one["delivery_id"], one["state"], one["recipient"]) for one in receipts] == [
        (delivery_id(subject, "vss"), "SENT", "vss") for subject in subjects
    ]
    assert {("vss", subject) for subject in subjects} <= hub.told


def test_it_hears_that_a_slip_was_used_again_or_has_expired():
    hub = told(referral(), arrives(), check_in("LK2", slip="S1", ma_noi_di=COMMUNE, minute=40, ngay_vao="202611241000"))
    hub.expire()
    assert actions(hub, "vss") == ["ISSUED", "ARRIVED", "ARRIVED", "USED_AGAIN"]
    hub = told(referral())
    hub.expire()
    assert actions(hub, "vss") == ["ISSUED", "EXPIRED"]


def test_it_is_not_told_of_an_expiry_that_concerns_nobody():
    hub = told(referral(), referral("REJECTED", minute=5))
    hub.expire()
    assert actions(hub, "vss") == ["ISSUED", "REJECTED"]


def test_what_was_answered_before_the_statement_came_follows_it_under_the_same_id():
    slip, answer = referral(person=carded(SOLDIER)), referral("ACCEPTED", minute=5)
    early = told(answer, arrives(), slip)
    assert sorted(actions(early, "defence")) == ["ACCEPTED", "ARRIVED", "ISSUED"]
    assert {one["meta"]["event_id"] for one in heard(early, "defence")} == {
        one["meta"]["event_id"] for one in heard(told(slip, answer, arrives()), "defence")
    }
    assert projected_id(answer["meta"]["event_id"], "defence") in {one["meta"]["event_id"] for one in heard(early, "defence")}


def test_an_answer_that_names_nobody_as_its_author_is_told_to_no_payer():
    hub = told(referral(), referral("ACCEPTED", minute=5, by_facility=""))
    assert actions(hub, "vss") == ["ISSUED"]


MOVED = referral("MODIFIED", minute=10, person=carded(POLICE))


@pytest.mark.parametrize("straight", [True, False], ids=["in order", "the newer one first"])
def test_a_payer_that_a_newer_statement_takes_the_slip_from_is_told_so_and_no_more(straight):
    slip = referral(person=carded(SOLDIER), **ILL)
    hub = told(*([slip, MOVED] if straight else [MOVED, slip]), arrives())
    assert sorted(actions(hub, "defence")) == ["ISSUED", "WITHDRAWN"]
    assert actions(hub, "police") == ["MODIFIED", "ARRIVED"]
    [notice] = [event for event in heard(hub, "defence") if event["action"] == "WITHDRAWN"]
    content = {name: part for name, part in notice.items() if name != "meta"}
    assert content == {"action": "WITHDRAWN", "slip": "S1", "ma_cskcb": COMMUNE, "person": {}, "xml13": {}}
    assert (notice["meta"]["rule"], notice["meta"]["revision"]) == ("referral-left-payer", MOVED["meta"]["revision"])
    assert {("defence", "referral-left-payer"), ("defence", "referral-to-payer")} <= hub.rules


def test_the_new_payer_is_told_what_became_of_the_slip_before():
    hub = told(referral(person=carded(SOLDIER)), referral("ACCEPTED", minute=5), arrives(), MOVED)
    assert actions(hub, "defence") == ["ISSUED", "ACCEPTED", "ARRIVED", "WITHDRAWN"]
    assert sorted(actions(hub, "police")) == ["ACCEPTED", "ARRIVED", "MODIFIED"]


def test_two_statements_that_come_together_bring_a_new_payer_all_of_it():
    hub = told(referral(person=carded(SOLDIER)), referral("ACCEPTED", minute=5))
    hub.route("referral.v1", [MOVED, referral("MODIFIED", minute=11, person=carded(POLICE), priority="S")])
    assert "ACCEPTED" in actions(hub, "police")


def test_a_cancellation_without_a_card_is_for_whoever_had_the_slip():
    cancelled = referral("CANCELLED", minute=9)
    for events in ([referral(person=carded(SOLDIER)), cancelled], [cancelled, referral(person=carded(SOLDIER))]):
        hub = told(*events)
        assert sorted(actions(hub, "defence")) == ["CANCELLED", "ISSUED"]
        assert actions(hub, "vss") == []
    assert [one.recipient for one in decided("referral.v1", cancelled) if isinstance(one, Deliver)] == [DISTRICT, "portal"]


def test_a_slip_from_a_facility_to_itself_is_told_to_no_payer():
    assert not [one for one in decided("referral.v1", referral(to=COMMUNE)) if isinstance(one, Publish)]


# --- on real servers


def test_the_page_shows_a_payer_how_to_read_its_slips(new_hub, tmp_path, routing_settings):
    kafka, number = routing_settings.kafka, f"page-{uuid.uuid4()}"
    small = new_hub()
    small.send(
        ("hie.Referral", referral(slip=number, person=carded(SOLDIER))),
        ("hie.Referral", referral("ACCEPTED", slip=number, minute=5)),
        ("hie.Referral", referral(slip=f"{number}-other", person=carded(POLICE))),
    )
    producer = Producer(kafka, wait_s=30)
    producer.publish_blocking(
        [event_out(small.router.wire, topic, event) for topic, event in small.others if topic.startswith("payer.")]
    )
    producer.close()
    apply_rights(kafka)  # it reads with no more than a payer may
    told_client = client(write_address(brokers(kafka), user_of("defence"), give_login(kafka, "defence")))
    told_client["group.id"] = f"{user_of('defence')}.{uuid.uuid4()}"
    login, program = tmp_path / "client.properties", tmp_path / "read_slips.py"
    login.write_text("".join(f"{name}={value}\n" for name, value in told_client.items()), "utf-8")
    code = PAGE.read_text("utf-8").partition("## The slips of your insured")[2].partition("```python\n")[2].partition("```")[0]
    program.write_text(code, "utf-8")
    argv = [sys.executable, str(program), str(login), routing_settings.registry_url, "defence"]
    printed = subprocess.run(argv, check=True, timeout=60, capture_output=True, text=True).stdout
    lines = [line for line in printed.splitlines() if number in line]
    assert lines == [f"{number} {COMMUNE} {DISTRICT} {SOLDIER} ISSUED ACCEPTED"]
