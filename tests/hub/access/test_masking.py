"""The mask: whatever is not listed is masked in raw messages; and what lifting it takes."""

import pytest

from hub.access.masking import OPEN_HL7, mask, masked_text, open_fields, unmask
from hub.access.people import Person
from hub.contract.errors import HubError
from tests.hub.access.test_people import ask, noted, url  # noqa: F401  # fixtures

HL7 = (
    "MSH|^~\\&|HIS|01004|HUB|HUB|20261129080000||ORU^R01|MSG1|P|2.5\r"
    "PID|1||012345678901^^^CCCD~BN77^^^MRN||NGUYỄN^VĂN A||19800101|M|||12 Lê Lợi^^Huế||0905000000\r"
    "OBX|1|NM|HBA1C^Đường huyết||7.9|%|4-6|H|||F\r"
    "ZPI|1|Trần Thị B\r"
    "tên người bệnh: Lê Văn C\r"
)


def test_what_is_of_a_person_is_not_listed():
    assert not {one for one in OPEN_HL7 if one.split("-")[0] in ("NK1", "GT1", "IN2") or one in ("OBX-5", "NTE-3", "DG1-3")}
    assert {one for one in OPEN_HL7 if one.startswith(("PID-", "IN1-"))} == {"PID-1", "IN1-1"}


def test_a_message_keeps_its_shape_and_shows_no_person():
    lines = masked_text(HL7).split("\r")
    assert lines[0] == "MSH|^~\\&|HIS|01004|HUB|HUB|20261129080000||ORU^R01|MSG1|P|2.5"
    assert lines[1] == "PID|1||••••^^^••~••^^^••||••••^••••||••••|••|||••••^^••||••••"
    assert lines[2] == "OBX|1|NM|HBA1C^Đường huyết||••|%|••|••|||F"
    assert lines[3] == "ZPI|••|••••"
    assert lines[4] == "••••••••"


@pytest.mark.parametrize("between", ["", " ", "\x1e", "\x85", "<CR>", "\\r", "|"])
@pytest.mark.parametrize("lines", [[0, 1], [0, 2], [0, 1, 2], [0, 3, 2]])
def test_of_segments_that_nothing_ends_no_person_is_shown(between, lines):
    segments = [
        HL7.split("\r")[0],
        HL7.split("\r")[1],
        "ZPI|1||Trần Thị B||NGUYỄN^VĂN A",
        "EVN||20261129080000|||NGUYỄN^VĂN A|1|",
    ]
    shown = masked_text(between.join(segments[at] for at in lines))
    assert shown.startswith("MSH|^~\\&|HIS|01004|HUB|HUB|20261129080000||ORU^R01|MSG1|P|")
    for secret in ("NGUYỄN", "VĂN A", "Trần", "012345678901", "BN77", "1980", "0905"):
        assert secret not in shown


@pytest.mark.parametrize(
    "line, shown",
    [
        ("NTE|1|Bà Sen kể đau ngực|", "NTE|1|••••••••|"),
        ("OBX|1|TX|N^Note||Bà | Sen | kể|A|B|||Trần Văn Giấu|||Lê C", "OBX|1|TX|N^Note||••|••••|••|••|••|||••••••••|||••"),
        ("OBR|1||||||Lê Văn C|", "OBR|1||||||••••|"),
        ("NTE|1|L|x", "NTE|1|L|••"),
        ("OBX|1|NM|G||5|10*3/uL^thousand per µL^UCUM||||||", "OBX|1|NM|G||••|10*3/uL^thousand per µL^UCUM||||||"),
        ("OBR|1|||HBA1C^Đường huyết|||23/11/2026 10:15|", "OBR|1|||HBA1C^Đường huyết|||23/11/2026 10:15|"),
        ("OBX|1|CWE|N^Note||x||||||F|||202611230810+0700", "OBX|1|CWE|N^Note||••||||||F|||202611230810+0700"),
    ],
)
def test_a_note_that_stands_where_a_code_or_a_time_should_is_masked(line, shown):
    assert masked_text(f"MSH|^~\\&|X\r{line}").split("\r")[1] == shown


def test_a_type_of_ones_own_closes_no_field():
    assert open_fields("MSH", [(9, "ZZZ^Z99^ZZZ_Z99"), (10, "C1"), (13, "7")]) == {9, 10, 13}


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
