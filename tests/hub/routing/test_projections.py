"""Whose claim it is, by card and facility, and what each payer gets to see of it."""

from dataclasses import replace

import pytest

from hub.contract.directory import payers
from hub.routing import projections
from hub.routing.stream import Deliver, Nobody, Publish
from tests.hub.routing.story import claim, decided

ROWS = {f"xml{number}": [{"ma_lk": "C1"}] for number in range(2, 16)}


def at(event, facility):
    return {**event, "meta": event["meta"] | {"facility": facility}}


@pytest.mark.parametrize(
    ("card", "facility", "payer"),
    [
        ("GD4010012345678", "01021", "vss"),
        ("QN5970012345678", "01021", "defence"),
        ("CY5970012345678", "01021", "defence"),
        ("CA5980012345678", "01021", "police"),
        ("ca5980012345678", "01021", "police"),
        ("GD4010012345678", "97001", "vss"),
        ("0123456789", "97001", "defence"),
        ("001085012345", "98001", "police"),
        ("", "98001", "police"),
        ("0123456789", "01021", "vss"),
        ("", "01021", "vss"),
        ("QN5970012345678;GD4010012345678", "01021", "defence"),
        ("GD4010012345678;QN5970012345678", "01021", "vss"),
        ("LVG123;CA5980012345678", "01021", "police"),
        ("LVG123", "01021", "vss"),
        ("QNX123", "01021", "vss"),
    ],
)
def test_the_first_card_tells_the_payer_and_where_it_tells_none_the_facility(card, facility, payer):
    assert projections.payer_of(at(claim(card=card), facility)).code == payer


@pytest.mark.parametrize("card", ["QN5970012345678", "LVG123", ""])
def test_a_test_claim_is_the_test_payers_whatever_its_card(card):
    event = claim(card=card, test=True)
    assert projections.payer_of(event).code == "test"
    assert projections.copied_to(event) == []


@pytest.mark.parametrize(
    ("card", "copies"),
    [
        ("GD4010012345678", []),
        ("GD4010012345678;LVG-2026-1", ["luavang"]),
        ("SBI1;GD4010012345678;lvg2", ["luavang", "saobien"]),
        ("GD4010012345678;XYZ1", []),
    ],
)
def test_a_policy_number_beside_the_card_names_a_supplementary_insurer(card, copies):
    assert projections.copied_to(claim(card=card)) == copies
    assert projections.copied_to(claim(card=card, action="CANCELLED")) == []


def test_a_sensitive_claim_reaches_a_supplementary_insurer_only_by_its_grant(monkeypatch):
    event = claim(card="GD4010012345678;LVG1")
    event["meta"]["sensitivity"] = "HIV"
    assert projections.copied_to(event) == []
    assert Nobody("nobody-held-sensitive") in decided("claim.v1", event)
    granted = payers() | {"luavang": replace(payers()["luavang"], sensitive=True)}
    monkeypatch.setattr(projections, "payers", lambda: granted)
    assert projections.copied_to(event) == ["luavang"]
    assert Nobody("nobody-held-sensitive") not in decided("claim.v1", event)


@pytest.mark.parametrize("code", sorted(payers()))
def test_each_payer_sees_what_its_grant_says_and_nothing_else(code):
    payer = payers()[code]
    event = claim(**ROWS, xml1={"ma_lk": "C1", "ma_the_bhyt": "GD4010012345678", "ho_ten": "X", "so_cccd": "1", "t_bncct": 5})
    made = projections.project(event, payer, "")
    assert {name for name in made if name.startswith("xml")} == payer.tables | {"xml1"}
    hidden = {f"{table}.{name}" for table, names in payer.withheld.items() for name in names}
    assert "xml1.ho_ten" not in hidden and made["xml1"]["t_bncct"] == 5
    assert ("so_cccd" in made["xml1"]) == ("xml1.so_cccd" not in hidden)


def test_a_private_insurer_gets_neither_results_nor_notes_nor_who_somebody_is_beyond_the_name():
    for code in ("luavang", "saobien"):
        assert not payers()[code].tables & {f"xml{number}" for number in range(4, 16)}
        assert {"so_cccd", "dia_chi", "dien_thoai", "ghi_chu"} <= payers()[code].withheld["xml1"]
        assert not payers()[code].sensitive


def test_a_field_is_withheld_of_every_line():
    event = claim(xml2=[{"ten_thuoc": "a", "lieu_dung": "1"}, {"ten_thuoc": "b", "lieu_dung": "2"}])
    assert projections.project(event, payers()["luavang"], "")["xml2"] == [{"ten_thuoc": "a"}, {"ten_thuoc": "b"}]


def test_what_could_not_be_read_is_told_only_where_its_place_is_granted():
    event = claim()
    places = ("XML1/T_BHTT", "HOSO[2]/XML2[3]/SO_LUONG", "XML2[1]/LIEU_DUNG", "XML4[1]/GIA_TRI", "PID-7")
    event["meta"]["unparsed"] = dict.fromkeys(places, "?")
    assert set(projections.project(event, payers()["luavang"], "")["meta"]["unparsed"]) == set(places[:2])
    assert set(projections.project(event, payers()["vss"], "")["meta"]["unparsed"]) == set(places)


def test_each_payer_sees_its_own_cards_and_what_stands_at_their_places():
    summary = {
        "ma_the_bhyt": "GD4010012345678;LVG1;DN4010012345678", "ma_dkbd": "01021;;01004", "gt_the_tu": "20260101;20260202;20260303",
    }  # fmt: skip
    event = claim(xml1=summary)
    primary, own = (projections.project(event, payers()[code], "")["xml1"] for code in ("vss", "luavang"))
    assert primary == {
        "ma_the_bhyt": "GD4010012345678;DN4010012345678", "ma_dkbd": "01021;01004", "gt_the_tu": "20260101;20260303",
    }  # fmt: skip
    assert own == {"ma_the_bhyt": "LVG1", "ma_dkbd": "", "gt_the_tu": "20260202"}


@pytest.mark.parametrize("listed", ["GD4010012345678;LVG1", "GD4010012345678"], ids=["named", "not named by the summary"])
def test_and_so_it_is_in_every_table_that_names_cards(monkeypatch, listed):
    carded = [f"xml{number}" for number in (6, 11, 12, 13, 14)]
    granted = {code: replace(payers()[code], tables=frozenset(carded)) for code in ("vss", "luavang")}
    monkeypatch.setattr(projections, "payers", lambda: payers() | granted)
    row = {"ma_lk": "C1", "ma_the_bhyt": "GD4010012345678;LVG1; sbi7"}
    event = claim(xml1={"ma_the_bhyt": listed}, **{table: [row] for table in carded})
    primary, own = (projections.project(event, granted[code], "") for code in ("vss", "luavang"))
    assert [primary[table] for table in carded] == [[{"ma_lk": "C1", "ma_the_bhyt": "GD4010012345678"}]] * 5
    assert [own[table] for table in carded] == [[{"ma_lk": "C1", "ma_the_bhyt": "LVG1"}]] * 5


def test_a_claim_by_an_armys_card_goes_to_its_payer_and_to_no_other():
    outs = decided("claim.v1", claim(card="QN5970012345678"))
    assert {one.topic for one in outs if isinstance(one, Publish)} == {"payer.defence.claim.v1", "receipt.v1"}
    assert [one for one in outs if isinstance(one, Deliver)] == [Deliver("defence", "claim-to-payer", body=False)]
