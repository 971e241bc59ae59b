"""The mask: whatever is not listed is masked, in events of every schema and in raw messages; and what lifting it takes."""

import json

import pytest

from hub.access.masking import OPEN_FIELDS, OPEN_HL7, mask, masked_event, masked_text, unmask
from hub.access.people import Person
from hub.contract.errors import HubError
from hub.contract.places import shipped
from tests.hub.access.test_people import ask, noted, url  # noqa: F401  # fixtures

PERSONAL = [
    "ho_ten",
    "ngay_sinh",
    "gioi_tinh",
    "dia_chi",
    "dien_thoai",
    "value",
    "normalised",
    "ma_the_bhyt",
    "so_cccd",
    "ma_bn",
    "ma_lk",
    "ma_bhxh",
    "nghe_nghiep",
    "ho_ten_cha",
    "ho_ten_me",
    "ho_ten_con",
    "nguoi_giam_ho",
    "gia_tri",
    "ket_luan",
    "mo_ta",
    "chan_doan",
    "ma_benh",
    "text",
    "notes",
    "body",
    "raw",
    "data",
    "ly_do_vv",
    "slip",
    "relationship",
    "number",
]
FIELDS = {
    field["name"] for path in shipped("schemas").glob("*.avsc") for field in json.loads(path.read_text("utf-8")).get("fields", [])
}

HL7 = (
    "MSH|^~\\&|HIS|01004|HUB|HUB|20261129080000||ORU^R01|MSG1|P|2.5\r"
    "PID|1||012345678901^^^CCCD~BN77^^^MRN||NGUYỄN^VĂN A||19800101|M|||12 Lê Lợi^^Huế||0905000000\r"
    "OBX|1|NM|HBA1C^Đường huyết||7.9|%|4-6|H|||F\r"
    "ZPI|1|Trần Thị B\r"
    "tên người bệnh: Lê Văn C\r"
)


def test_every_listed_field_is_a_field():
    assert {name.rsplit(".", 1)[-1] for name in OPEN_FIELDS} <= FIELDS


def test_what_is_of_a_person_is_a_field_and_is_not_listed():
    assert set(PERSONAL) <= FIELDS
    assert not OPEN_FIELDS & set(PERSONAL)
    assert not {one for one in OPEN_HL7 if one.split("-")[0] in ("NK1", "GT1", "IN2") or one in ("OBX-5", "NTE-3", "DG1-3")}
    assert {one for one in OPEN_HL7 if one.startswith(("PID-", "IN1-"))} == {"PID-1", "IN1-1"}


def test_an_event_keeps_its_shape_and_shows_no_person():
    event = {
        "meta": {"event_id": "e1", "facility": "01004", "unparsed": {"PID-7": "ngày 5"}, "source": {"sender": "songhong_his"}},
        "ma_cskcb": "01004",
        "person": {
            "ho_ten": "NGUYỄN VĂN A",
            "ngay_sinh": "",
            "identifiers": [{"type": "CCCD", "value": "012345678901"}],
            "status": 4,
        },
        "service": {"code": "HBA1C", "display": "HbA1c"},
        "observations": [{"code": {"code": "HBA1C"}, "gia_tri": "7.9", "number": 7.9, "notes": ["gặp cô Lan"]}],
        "allergies": [{"code": {"code": "penicillin"}}],
        "raw": b"PID|...",
        "new_field_of_tomorrow": "Lê Văn C",
    }
    shown = masked_event(event)
    assert shown["meta"] == {
        "event_id": "e1",
        "facility": "01004",
        "unparsed": {"PID-7": "••••"},
        "source": {"sender": "songhong_his"},
    }
    assert shown["person"] == {"ho_ten": "••••", "ngay_sinh": "", "identifiers": [{"type": "••", "value": "••••"}], "status": 4}
    assert shown["observations"] == [{"code": {"code": "HBA1C"}, "gia_tri": "••", "number": "••", "notes": ["••••"]}]
    assert shown["allergies"] == [{"code": {"code": "••••"}}]
    assert (shown["raw"], shown["new_field_of_tomorrow"], shown["service"]) == ("••••", "••••", event["service"])


def test_a_message_keeps_its_shape_and_shows_no_person():
    lines = masked_text(HL7).split("\r")
    assert lines[0] == "MSH|^~\\&|HIS|01004|HUB|HUB|20261129080000||ORU^R01|MSG1|P|2.5"
    assert lines[1] == "PID|1||••••^^^••~••^^^••||••••^••••||••••|••|||••••^^••||••••"
    assert lines[2] == "OBX|1|NM|HBA1C^Đường huyết||••|%|••|••|||F"
    assert lines[3] == "ZPI|••|••••"
    assert lines[4] == "••••••••"


def test_other_separators_are_kept_too():
    assert masked_text("MSH#*~\\&#HIS\rPID#1##A*B").split("\r")[1] == "PID#1##••*••"


def test_xml_keeps_its_tags_only():
    text = '<?xml version="1.0"?><GIAMDINHHS><HO_TEN ma="Lê">Lê Văn C</HO_TEN><!-- Lê Văn C --><NOIDUNG><![CDATA[TMOqIFbEg24gQw==]]></NOIDUNG></GIAMDINHHS>'
    shown = masked_text(text)
    assert "Lê" not in shown
    assert "TMO" not in shown
    assert shown.endswith("<NOIDUNG>••••••••</NOIDUNG></GIAMDINHHS>")


def test_a_mask_tells_three_lengths_and_nothing_else():
    assert [mask(one) for one in ("", None, "ab", 123456, "abcdefgh", "a" * 13, "b" * 99)] == [
        "",
        "",
        "••",
        "••",
        "••••",
        "••••••••",
        "••••••••",
    ]


@pytest.mark.parametrize("role, outcome", [("admin", "done"), ("operator", "refused"), ("viewer", "refused")])
def test_lifting_the_mask_takes_a_right_and_a_reason_and_is_audited(ask, role, outcome):  # noqa: F811
    person = Person("some-body", role, (), "vi")

    async def work(pool):
        with pytest.raises(HubError, match="REQUEST_WRONG"):
            await unmask(pool, person, "message:m1", " ")
        with pytest.raises(HubError, match="REQUEST_WRONG"):
            await unmask(pool, person, "Nguyễn Văn A", "who is it")
        if outcome == "done":
            await unmask(pool, person, "message:m1", "hospital asked")
        else:
            with pytest.raises(HubError, match="RIGHT_MISSING"):
                await unmask(pool, person, "message:m1", "hospital asked")
        return await noted(pool)

    assert ask(work) == [("unmask", "message:m1", "some-body", "hospital asked", outcome)]
