"""An event put right: typed by the schema, above the old revision and below the next, and not where only its author may."""

from decimal import Decimal

import pytest

from hub.contract.errors import HubError
from hub.contract.events import decode, encode, new_id, revision_rank
from hub.routing.amend import amended, same_elsewhere
from tests.hub.routing.story import COMMUNE, DISTRICT, KEYRING, PROVINCE, claim, referral


def whole(record, event):
    return decode(record, encode(record, event))


def slip(**content):
    return whole("hie.Referral", referral(to="01999", xml13={"ma_cskcb_den": "01999"}, **content))


def edit(event, record="hie.Referral", **changes):
    return amended(record, event, {path.replace("__", "."): text for path, text in changes.items()}, KEYRING)


def refused(event, changes, record="hie.Referral"):
    with pytest.raises(HubError) as stop:
        amended(record, event, changes, KEYRING)
    return stop.value


def test_it_supersedes_the_old_one_under_the_same_key_and_by_the_rule_for_ids():
    old = slip(test=True)
    new = edit(old, ma_cskcb_den=DISTRICT)
    meta, before = new["meta"], old["meta"]
    assert new == {**old, "meta": meta, "ma_cskcb_den": DISTRICT}
    assert (meta["supersedes"], meta["key"], meta["test"], meta["message_id"]) == (
        before["event_id"],
        before["key"],
        True,
        before["message_id"],
    )
    stated = meta["revision"]
    assert meta["event_id"] == new_id(
        "hie.Referral", meta["key"], str(stated["version"]), stated["stated_at"], meta["content_hash"]
    )
    assert meta["event_id"] != before["event_id"]
    assert whole("hie.Referral", new) == new


def test_it_stands_above_the_old_one_and_below_what_was_stated_after_it():
    old, later = slip(), slip(minute=1)
    assert (
        revision_rank(old["meta"]["revision"])
        < revision_rank(edit(old, ma_cskcb_den=DISTRICT)["meta"]["revision"])
        < revision_rank(later["meta"]["revision"])
    )


def test_values_are_typed_by_the_schema():
    bill = whole("hie.Claim", claim())
    new = edit(bill, "hie.Claim", xml1__t_bhtt="120000.50", xml1__ma_the_bhyt="DN4010012345678")
    assert new["xml1"]["t_bhtt"] == Decimal("120000.50")
    assert edit(new, "hie.Claim", xml1__t_bhtt="")["xml1"]["t_bhtt"] is None
    for wrong in ("much", "1.234", "NaN", "Infinity", "1" * 30):
        stop = refused(bill, {"xml1.t_bhtt": wrong}, "hie.Claim")
        assert (stop.code, wrong in stop.where) == ("REQUEST_WRONG", False)


def test_entries_of_lists_are_counted_from_one():
    old = slip(diagnoses=[{"ma_benh": "E11"}, {"ma_benh": "I10"}])
    new = amended("hie.Referral", old, {"diagnoses[2].ma_benh": "I11", "diagnoses[1].main": "true"}, KEYRING)
    assert [(one["ma_benh"], one["main"]) for one in new["diagnoses"]] == [("E11", True), ("I11", False)]


def test_what_was_not_read_of_a_field_goes_when_it_is_set():
    old = slip()
    old["meta"] |= {"cleared": ["priority", "reason"], "unparsed": {"ma_cskcb_den": "?"}}
    meta = edit(old, ma_cskcb_den=DISTRICT, reason="x")["meta"]
    assert (meta["cleared"], meta["unparsed"]) == (["priority"], {})


@pytest.mark.parametrize(
    "path",
    [
        "",
        "nothing",
        "meta.test",
        "person",
        "xml13.nothing",
        "diagnoses[1].ma_benh",
        "diagnoses[0].ma_benh",
        "diagnoses",
        "slip.x",
    ],
)
def test_a_path_that_is_none_is_named(path):
    stop = refused(slip(), {path: "1"})
    assert stop.code == "REQUEST_WRONG"
    assert stop.where.startswith(path)


def test_what_the_key_is_made_of_stays():
    for path in ("slip", "ma_cskcb", "xml13.ma_cskcb"):
        assert "the key is made of it" in refused(slip(), {path: PROVINCE}).where


def test_nothing_changed_is_no_edit():
    assert refused(slip(), {"ma_cskcb_den": "01999"}).where == "nothing would change"


@pytest.mark.parametrize("worth", ["VALID", "WRONG", "UNTRUSTED"])
def test_what_is_signed_is_not_edited(worth):
    old = slip()
    old["meta"]["source"]["signature"] = worth
    assert refused(old, {"ma_cskcb_den": DISTRICT}).code == "EDIT_FORBIDDEN"


def test_an_envelope_is_edited_only_when_it_is_known_to_bear_no_signature():
    old = slip()
    old["meta"]["source"]["message_type"] = "GIAMDINHHS"
    assert refused(old, {"ma_cskcb_den": DISTRICT}).code == "EDIT_FORBIDDEN"
    old["meta"]["source"]["signature"] = "MISSING"
    assert edit(old, ma_cskcb_den=DISTRICT)["ma_cskcb_den"] == DISTRICT


@pytest.mark.parametrize("table", ["xml13", "xml14"])
def test_a_slip_that_bears_the_signature_of_its_organisation_is_not_edited(table):
    old = slip()
    old[table] = {**old.get(table, {}), "du_phong": "MIIB"}
    assert refused(old, {"ma_cskcb_den": DISTRICT}).code == "EDIT_FORBIDDEN"


@pytest.mark.parametrize("table", ["xml7", "xml8", "xml13"])
def test_nor_is_a_claim_with_a_paper_that_does(table):
    def signed(worth):
        return {"meta": slip()["meta"], "payer": "x", table: [{"ma_lk": "LK1"}, {"ma_lk": "LK1", "du_phong": worth}]}

    assert refused(signed("MIIB"), {"payer": "y"}, "hie.Claim").code == "EDIT_FORBIDDEN"
    assert amended("hie.Claim", signed(""), {"payer": "y"}, KEYRING)["payer"] == "y"


def test_signed_documents_and_decisions_are_not_edited():
    meta = slip()["meta"]
    assert refused({"meta": meta, "signatures": [{"name": "x"}]}, {"text": "y"}, "hie.Document").code == "EDIT_FORBIDDEN"
    assert refused({"meta": meta, "signature": b"x"}, {"payer": "y"}, "hie.Claim").code == "EDIT_FORBIDDEN"
    assert refused({"meta": meta}, {"payer": "y"}, "hie.ClaimDecision").code == "EDIT_FORBIDDEN"


def test_the_same_value_under_the_same_name_is_pointed_at():
    assert same_elsewhere(slip(), "ma_cskcb_den") == ["xml13.ma_cskcb_den"]
    assert same_elsewhere(slip(), "ma_lk") == []
    assert COMMUNE not in str(same_elsewhere(slip(), "ma_cskcb"))
