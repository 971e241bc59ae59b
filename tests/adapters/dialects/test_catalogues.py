"""Catalogues: one event an entry, under the entry's own key."""

import pytest

from tests.adapters.dialects.said import mapped, only, told

MFI = "MFI|X||UPD|||AL"


def test_each_entry_is_an_event_with_a_key_of_its_catalogue():
    found = mapped("MFN^M02", MFI, "MFE|MAD|||A1|CE", "STF|A1||Vũ^An", "MFE|MDL|||A2|CE", "STF|A2")
    assert [(event["entry"], event["action"]) for _, event in found.events] == [("A1", "ADDED"), ("A2", "DELETED")]
    assert len({event["meta"]["key"] for _, event in found.events}) == 2
    other = only(mapped("MFN^M04", MFI, "MFE|MAD|||A1|CE", "CDM|A1||X"))
    assert other["meta"]["key"] not in {event["meta"]["key"] for _, event in found.events}


def test_the_entrys_own_id_serves_where_mfe_4_is_empty():
    found = mapped("MFN^M05", MFI, "MFE|MUP|1", "LOC|K02^^H01|Giường", "LDP|K02|K02")
    assert only(found)["entry"] == "K02//H01"
    assert "KEY_MISSING" not in {code for code, _ in told(found)}


@pytest.mark.parametrize(
    ("row", "level"),
    [("LCH|K48|||LCR|ICU", "ICU"), ("LRL|K48|||LCR|3", "3"), ("LCH|K48|||SMK|N", None)],
)
def test_the_level_of_care_is_a_characteristic_among_others(row, level):
    event = only(mapped("MFN^M05", MFI, "MFE|MUP|1||K48|PL", "LOC|K48", "LCH|K48|||GEN|M", row, "LDP|K48|K48"))
    assert event.get("level") == level


def test_the_departments_of_a_place_add_to_its_services():
    event = only(mapped("MFN^M05", MFI, "MFE|MUP|1||K48|PL", "LOC|K48", "LDP|K48|1|A~B|X", "LDP|K48|2|B~C|Y", "ZLO|1|K48|H|20|x"))
    assert (event["services"], event["specialities"]) == (["A", "B", "C"], ["X", "Y"])
    assert (event["beds_planned"], event["meta"]["unparsed"]) == (20, {"beds_actual": "x"})


def test_m13_knows_machines_only():
    machines = mapped("MFN^M13", MFI, "MFE|MAD|||SA.1.1", "ZMA|1|SA.1.1", "MFE|MAD|||OTHER")
    assert only(machines)["ma_may"] == "SA.1.1"
    assert told(mapped("MFN^M13", MFI, "MFE|MAD|||OTHER")) == {("NOTHING_REPRESENTABLE", "ZMA")}
