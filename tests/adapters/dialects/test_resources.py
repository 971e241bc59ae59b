"""Reports of resources: by HL7 without a patient, and by JSON."""

from datetime import UTC, datetime

import orjson
import pytest

from adapters.dialects.mapped import Context
from adapters.dialects.resources import read_form, report_of
from hub.contract.errors import HubError
from hub.contract.events import Origin, content_hash, decode, encode
from tests.adapters.dialects.said import KEYRING, PID, mapped, only, told

FORM = {
    "type": "resource-report",
    "ma_cskcb": "01021",
    "reported_at": "2026-11-23T08:00:00+07:00",
    "resources": [{"kind": "BED", "ma_khoa": "K02", "total": 40, "in_use": 37, "free": 0}],
}


def read(**change):
    return read_form(orjson.dumps({name: value for name, value in (FORM | change).items() if value is not ...}))


def problems(**change):
    form, found = read(**change)
    assert form is None
    return [(problem.code, problem.path) for problem in found]


# --- HL7


def test_what_has_the_same_sub_id_belongs_together():
    event = only(
        mapped(
            "ORU^R01", "OBR|1|||X|||20261123080000", "OBX|1|CE|VN-KHOA|1|K48", "OBX|2|NM|VN-MAYTHO|1|10",
            "OBX|3|NM|VN-GIUONG|2|0", "OBX|4|NM|VN-GIUONG-SD|2|7", "OBX|5|TX|KHAC|2|x",
        )
    )  # fmt: skip
    assert event["resources"] == [
        {"kind": "VENTILATOR", "total": 10, "ma_khoa": "K48"},
        {"kind": "BED", "total": 0, "in_use": 7},
    ]
    assert "person" not in event


def test_a_second_figure_under_the_same_sub_id_does_not_take_the_place_of_the_first_in_silence():
    found = mapped("ORU^R01", "OBX|1|NM|VN-GIUONG||40", "OBX|2|NM|VN-GIUONG||7")
    assert ("REPETITION_DROPPED", "OBX[2]-4") in told(found)
    assert only(found)["resources"] == [{"kind": "BED", "total": 40}]


def test_a_result_of_a_patient_stays_a_result():
    [(record, _)] = mapped("ORU^R01", PID, "OBR|1|P1||X", "OBX|1|NM|VN-GIUONG||1").events
    assert record == "hie.LabResult"
    [(record, _)] = mapped("ORU^R01", "OBR|1|P1||X", "OBX|1|NM|GLU||1").events
    assert record == "hie.LabResult"


def test_a_figure_that_is_none_is_told_and_a_report_of_such_is_nothing():
    found = mapped("ORU^R01", "OBX|1|NM|VN-GIUONG||nhiều")
    assert told(found) == {("NUMBER_UNPARSABLE", "OBX-5"), ("NOTHING_REPRESENTABLE", "OBX")}


def test_what_no_code_of_resources_says_is_told_and_kept():
    found = mapped("ORU^R01", "OBX|1|NM|VN-GIUONG||40", "OBX|2|NM|VN-OXY^Bình ô-xy||12", "OBX|3|NM|VN-OXY||")
    assert told(found) == {("CODE_UNKNOWN", "OBX[2]-3")}
    assert only(found)["meta"]["unparsed"] == {"resources.OBX[2]-3": "VN-OXY^Bình ô-xy 12"}


# --- JSON


def test_a_form_is_the_event_that_hl7_would_be():
    form, found = read()
    assert found == []
    origin = Origin("m", datetime(2026, 11, 23, 1, 5, tzinfo=UTC), {"sender": "local"}, stated_at=form.reported_at[:14])
    record, event = report_of(form, Context(origin, KEYRING, "01021"))
    by_hl7 = only(
        mapped(
            "ORU^R01", "OBR|1|||X|||20261123080000+0700", "OBX|1|CE|VN-KHOA|1|K02", "OBX|2|NM|VN-GIUONG|1|40",
            "OBX|3|NM|VN-GIUONG-SD|1|37", "OBX|4|NM|VN-GIUONG-TR|1|0",
        )
    )  # fmt: skip
    assert event["meta"]["content_hash"] == by_hl7["meta"]["content_hash"]
    assert event["meta"]["event_id"] == by_hl7["meta"]["event_id"]
    assert event["meta"]["occurred_at"] == "2026-11-23T08:00:00+07:00"
    assert content_hash(decode(record, encode(record, event))) == event["meta"]["content_hash"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"resources": ...}, [("FIELD_MISSING", "resources")]),
        ({"resources": []}, [("NOTHING_REPRESENTABLE", "resources")]),
        ({"resources": [{"kind": "BED"}]}, [("FIELD_MISSING", "resources[1].total")]),
        ({"resources": [{"kind": "CHAIR", "total": 1}]}, [("CODE_UNKNOWN", "resources[1].kind")]),
        ({"resources": [{"kind": "BED", "total": "40"}]}, [("NUMBER_UNPARSABLE", "resources[1].total")]),
        ({"resources": [{"kind": "BED", "total": -1}]}, [("NUMBER_UNPARSABLE", "resources[1].total")]),
        ({"resources": [{"kind": "BED", "total": 1.5}]}, [("NUMBER_UNPARSABLE", "resources[1].total")]),
        ({"resources": [{"kind": "BED", "total": True}]}, [("NUMBER_UNPARSABLE", "resources[1].total")]),
        ({"reported_at": "hôm nay"}, [("TIME_UNPARSABLE", "reported_at")]),
        ({"reported_at": "2026-02-30T08:00:00+07:00"}, [("TIME_UNPARSABLE", "reported_at")]),
        ({"reported_at": 5}, [("TIME_UNPARSABLE", "reported_at")]),
        ({"ma_cskcb": "1021"}, [("CODE_UNKNOWN", "ma_cskcb")]),
        ({"ma_cskcb": 1021}, [("REQUEST_WRONG", "ma_cskcb")]),
        ({"beds": 1}, [("FIELD_UNKNOWN", "beds")]),
        ({"Nguyễn Văn An": 1}, [("FIELD_UNKNOWN", "?")]),
        ({"control_id": "x" * 201}, [("FIELD_TOO_LONG", "control_id")]),
    ],
)
def test_what_does_not_fit_the_form_is_named_with_its_place(change, expected):
    assert problems(**change) == expected


@pytest.mark.parametrize(
    ("stated", "digits"),
    [
        ("2026-11-23T08:00:00+07:00", "20261123080000+0700"),
        ("2026-11-23T01:00:00Z", "20261123010000+0000"),
        ("2026-11-23T08:00:00.250+07:00", "20261123080000+0700"),
        ("2026-11-23", "20261123"),
        ("20261123080000", "20261123080000"),
    ],
)
def test_times_are_kept_as_hl7_has_them(stated, digits):
    assert read(reported_at=stated)[0].reported_at == digits


@pytest.mark.parametrize("raw", [b"{", b"{}x", b"[]", b'{"a": \xff}', b"{'a': 1}"])
def test_what_is_no_json_is_refused_as_such(raw):
    with pytest.raises(HubError, match="JSON_MALFORMED"):
        read_form(raw)


def test_another_type_of_json_is_not_supported():
    with pytest.raises(HubError, match=r"TYPE_UNSUPPORTED \[type\]"):
        read(type="bed-report")


def test_a_delimiter_that_nobody_escaped_cuts_no_name_of_a_speciality():
    rows = "OBX|1|ST|VN-CHUYENKHOA|1|Tim & mạch ^ máu||||||F", "OBX|2|NM|VN-NHANLUC|1|5||||||F"
    assert only(mapped("ORU^R01", "OBR|1|||RES", *rows))["resources"] == [
        {"kind": "STAFF", "total": 5, "speciality": "Tim & mạch ^ máu"}
    ]
