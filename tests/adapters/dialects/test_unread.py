"""Parts of fields that nothing reads: found by taking them away, and what the hub reads without a rule is none of them."""

from typing import Any

import pytest

from adapters.dialects import unread
from adapters.dialects.conformance import FieldRow, Report, report
from adapters.dialects.conformance_page import page
from adapters.dialects.mapped import Mapped
from adapters.dialects.profile import compile_text
from adapters.dialects.unread import mapped_again
from tests.adapters.dialects.test_conformance import HEAD, STANDARD, not_compiled, of, sample, visit


def parts(pid: str, pv1: str = "PV1|1|O|K01||||||||||||||||01021.1\r") -> dict[str, FieldRow]:
    return {row.place: row for row in report([visit(f"EVN|A04\r{pid}\r{pv1}")], STANDARD).parts}


def test_a_component_that_nothing_reads_is_told_though_something_reads_its_field() -> None:
    pid = "PID|1||777^^^01021^MR^^20240101||Lê^Hoa^Thị^^BS.^^L||19900102|F|||12 Phố Huế^^Q1^HN^100000^VNM^H"
    found = parts(pid, "PV1|1|O|K01^P305^G2^BV1&1.2.3&ISO||||||||||||||||01021.1\r")
    assert list(found) == ["PID-5.5", "PV1-3.2"], (
        "authorities and type codes are of the form, and the hub reads how long a number is valid"
    )
    assert (found["PID-5.5"].name, found["PV1-3.2"].name) == ("prefix e g dr", "room")
    assert (found["PV1-3.2"].ignored, found["PV1-3.2"].unread, found["PV1-3.2"].shapes) == (("ADT^A04",), 1, (("A999", 1),))


def test_a_second_repetition_that_nothing_reads_is_told_without_its_components() -> None:
    found = parts(
        "PID|1||777^^^01021^MR~001190004321^^^^NI||Lê^Hoa||19900102|F|||12 Phố Huế^^Q1~9 Phố Vọng^^Q2||0912345678~0987654321"
    )
    assert [place for place in found if "[" in place] == ["PID-11[2…]", "PID-13[2…]"], "each number of PID-3 is read"
    assert found["PID-13[2…]"].shapes == (("9999999999", 1),)
    assert not any(place.startswith("PID-11.") for place in found)


def test_what_is_said_twice_is_not_lost() -> None:
    assert parts("PID|1||777^^^01021^MR||Lê^Hoa||19900102|F|||||0912345678~0912345678") == {}


def test_a_place_that_would_be_read_if_the_one_before_it_were_empty_is_not_ignored() -> None:
    order = "PID|1||7^^^01021^MR||Lê^Hoa\rORC|NW|5^HIS\rOBR|1|5^HIS||GLU^Glucose\r"
    places = {row.place for row in report([visit(order, "ORM^O01")], STANDARD).parts}
    assert not any(place.startswith(("ORC-2", "OBR-2")) for place in places), "each says what the other says"


@not_compiled
@pytest.mark.parametrize(
    ("kind", "line", "field", "told"),
    [
        ("ORM^O01", "ORC|NW|5||||||||||%s\rOBR|1|5||GLU", "^PHẠM THU HÀ", ["ORC-12.2"]),
        ("ORM^O01", "ORC|NW|5||||||||||%s\rOBR|1|5||GLU", "002007^PHẠM THU HÀ", ["ORC-12.2"]),
        ("ORM^O01", "ORC|NW|5||||||||||%s\rOBR|1|5||GLU", "002007", []),
        ("ORM^O01", "ORC|NW|5\rOBR|1|5||GLU|||||||||||%s", "^^Máu lấy lúc đói", ["OBR-15.3"]),
        ("ADT^A04^ADT_A01", "PV1|1|O|K01||||%s", "^LÊ^MINH^TRÍ", ["PV1-7.2", "PV1-7.3", "PV1-7.4"]),
        ("ADT^A01", "PV1|1|I|%s||||||||||||||||01021.1", "^P205^^BV", ["PV1-3.2"]),
        ("ADT^A01", "PV1|1|I|%s||||||||||||||||01021.1", "^^^K03", ["PV1-3.4"]),
        ("ADT^A01", "PV1|1|I|%s||||||||||||||||01021.1", "^^^K03^^C", ["PV1-3.4"]),
        ("DFT^P03^DFT_P03", "FT1|1|L1||20261123||CG|K1|||1|5000|||||%s", "^^^K03", ["FT1-16.4"]),
        ("ADT^A01", "PV1|1|I|K01|%s|||||||||||||||01021.1", "^Cấp cứu", ["PV1-4.2"]),
        ("ADT^A01", "PV1|1|I|K01||||||||||||||||01021.1|||||||||||||||||%s", "^Ra viện", ["PV1-36.2"]),
        ("ADT^A01", "PV1|1|I|K01||||||||||||||||01021.1|||||||||||||||||%s", "^Ra viện^99HIS", ["PV1-36.2"]),
        ("ADT^A04^ADT_A01", "AL1|1|DA|PEN^Penicillin|%s", "^Nặng", ["AL1-4.2"]),
        ("DFT^P03^DFT_P03", "FT1|1|L1||20261123||%s|K1^Khám^VN-DVKT|||1|5000", "^THU", ["FT1-6.2"]),
        ("ADT^A04^ADT_A01", "PV1|1|O|K01||||||||||||||%s", "^LÊ^MINH^TRÍ", ["PV1-17.2", "PV1-17.3", "PV1-17.4"]),
        ("DFT^P03^DFT_P03", "FT1|1|L1||20261123||CG|K1|||1|||%s", "^Khoa Nội tổng hợp", ["FT1-13.2"]),
        ("DFT^P03^DFT_P03", "FT1|1|L1||20261123||CG|K1|||1||||||||||%s", "^LÊ^MINH^TRÍ", ["FT1-20.2", "FT1-20.3", "FT1-20.4"]),
        (
            "ORU^R01^ORU_R01",
            "OBR|1|5||GLU||||||||||||||||||||||||||||%s\rOBX|1|NM|GLU||5||||||F",
            "&HUỲNH&KIM NGÂN",
            ["OBR-32.1"],
        ),
    ],
)
def test_what_stands_behind_an_empty_component_that_would_be_read_is_told(
    kind: str, line: str, field: str, told: list[str]
) -> None:
    sent = visit(f"EVN|A04\rPID|1||7^^^01021^MR||Lê^Hoa\r{line % field}\r", kind)
    assert [row.place for row in report([sent], STANDARD).ignored if row.place[0] != "E"] == told


@not_compiled
@pytest.mark.parametrize("version", ["2.3", "2.3.1", "2.4", "2.5.1", "2.8.2"])
@pytest.mark.parametrize(
    ("line", "told"), [("AL1|1|DA|PEN^Penicillin|^Nặng", "AL1-4.2"), (f"PV1|1|O{'|' * 34}^Ra viện", "PV1-36.2")]
)
def test_text_in_the_place_behind_a_code_is_told_in_versions_too_in_which_the_field_has_no_components(
    version: str, line: str, told: str
) -> None:
    body = f"EVN|A03\rPID|1||7^^^01021^MR||Lê^Hoa\r{line}\r"
    sent = sample((HEAD.replace("2.5.1", version) % "ADT^A03" + body).encode())
    assert told in [row.place for row in report([sent], STANDARD).ignored]


@not_compiled
def test_a_number_that_is_empty_says_nothing_by_its_authority_and_type() -> None:
    assert not parts("PID|1||^^^01021^MR~777^^^01021^MR||Lê^Hoa")


def test_a_field_that_begins_empty_is_not_ignored_where_another_place_is_looked_at_first() -> None:
    order = "PID|1||7^^^01021^MR||Lê^Hoa\rORC|NW|5||||||||||002007\rOBR|1|5||GLU||||||||||||^LÊ^TRÍ\r"
    assert not any(row.place.startswith("OBR-16") for row in report([visit(order, "ORM^O01")], STANDARD).parts)


@pytest.mark.parametrize(
    ("orderer", "doctor", "told"),
    [
        ("004512^PHẠM^HÙNG", "004512^PHẠM^HÙNG", ["OBR-16.2", "OBR-16.3", "ORC-12.2", "ORC-12.3"]),
        ("004512", "004512^PHẠM^HÙNG", ["OBR-16.2", "OBR-16.3"]),
        ("004512^PHẠM", "004513^LÊ", ["ORC-12.2"]),
        ("004512", "004512", []),
    ],
    ids=["said twice", "the name in the second place", "another in the second place", "without a name"],
)
def test_a_name_that_nothing_reads_is_told_beside_a_code_that_two_places_say(orderer: str, doctor: str, told: list[str]) -> None:
    order = f"PID|1||7^^^01021^MR||Lê^Hoa\rORC|NW|5{'|' * 10}{orderer}\rOBR|1|5||GLU{'|' * 12}{doctor}\r"
    assert [row.place for row in report([visit(order, "ORM^O01")], STANDARD).parts] == told


def test_a_component_in_whose_absence_another_place_says_the_same_is_read() -> None:
    body = "PID|1||7^^^01021^MR||Lê^Hoa\rORC|NW|5\rOBR|1|5||GLU|||||||||||TM\rSPM|1|||TM^Máu EDTA\r"
    sent = visit(body, "ORM^O01")
    assert sent.events[0][1]["specimen_type"]
    assert not any(row.place.startswith("SPM-4") for row in report([sent], STANDARD).parts)


def test_a_message_of_many_orders_is_not_mapped_anew_for_each_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    mapped = []

    def counted(*about: Any) -> Mapped:
        mapped.append(1)
        return mapped_again(*about)

    monkeypatch.setattr(unread, "mapped_again", counted)
    orders = "".join(f"ORC|NW|{n}^HIS\rOBR|1|{n}^HIS||GLU^Glucose\r" for n in range(200))
    report([visit(f"PID|1||7^^^01021^MR||Lê^Hoa\r{orders}", "ORM^O01")], STANDARD)
    assert len(mapped) < 200


def test_text_with_a_delimiter_that_nobody_escaped_has_no_components() -> None:
    result = "PID|1||7^^^01021^MR||Lê^Hoa\rOBR|1|5||X\rOBX|1|ST|GLU||a^b~c||||||F\rNTE|1||x^y~z\r"
    places = {row.place for row in report([visit(result, "ORU^R01^ORU_R01")], STANDARD).parts}
    assert not any(place.startswith(("OBX-5", "NTE")) for place in places)


@not_compiled
def test_a_part_is_told_for_the_types_of_message_in_which_nothing_reads_it() -> None:
    mine = compile_text(
        "mine", 'extends = "_standard"\nversion = "1"\n[encounter]\nma_lk = "ZBH-1.2"\n[order]\nplacer = "ZBH-1"\n'
    )
    local = "ZBH|1^01021.7^chờ\r"
    come = visit("EVN|A04\rPID|1||7^^^01021^MR||Lê^Hoa\rPV1|1|O\r" + local, dialect=mine)
    order = visit("PID|1||7^^^01021^MR||Lê^Hoa\rORC|NW\rOBR|1|||X\r" + local, "ORM^O01", dialect=mine)
    found = report([come, order], mine)
    where = {row.place: row.where for row in found.parts}
    assert where == {"ZBH-1.1": "ZBH-1.1 (in ADT^A04)", "ZBH-1.2": "ZBH-1.2 (in ORM^O01)", "ZBH-1.3": "ZBH-1.3"}
    assert [row.place for row in found.ignored] == ["ZBH-1.1", "ZBH-1.2", "ZBH-1.3"]
    assert "ZBH-1.2 (in ORM^O01)" in page(found, "now")


def observed(*lines: str, kind: str = "ADT^A08^ADT_A01") -> dict[str, FieldRow]:
    body = "EVN|A08\rPID|1||7^^^01021^MR||Lê^Hoa\rPV1|1|O||||||||||||||||01021.1\r" + "".join(f"{line}\r" for line in lines)
    return {row.place: row for row in report([visit(body, kind)], STANDARD).ignored if row.place.startswith("OBX")}


def test_lines_of_a_visit_under_a_code_that_no_rule_chooses_are_told_by_it() -> None:
    found = observed("OBX|1|NM|VN-CN||52|kg", "OBX|2|NM|MACH^Mạch^L||88", "OBX|3|ST|HA^Huyết áp^L||130/85", "OBX|4|NM|MACH||90")
    assert {place: (row.unread, row.shapes[0][0]) for place, row in found.items() if "[" in place} == {
        "OBX[MACH]-5": (2, "99"),
        "OBX[HA]-5": (1, "999/99"),
    }


def test_a_line_that_would_be_read_if_another_were_empty_is_not_ignored() -> None:
    assert "OBX[29463-7]-5" not in observed("OBX|1|NM|VN-CN||52|kg", "OBX|2|NM|29463-7^Cân nặng^LN||52|kg")


def test_what_is_no_code_of_an_unread_line_is_not_shown() -> None:
    found = observed("OBX|1|ST|Lê Hoa 001190004321||1", "OBX|2|ST|||2")
    assert [place for place in found if "[" in place] == ["OBX[…]-5"]
    assert found["OBX[…]-5"].unread == 2


def test_where_rules_choose_no_line_by_its_code_none_is_told_by_it() -> None:
    result = "PID|1||7^^^01021^MR||Lê^Hoa\rOBR|1|5||X\rOBX|1|NM|GLU||5.1||||||F\rOBX|2|NM|URE||4.1||||||F\r"
    charge = "EVN|P03\rPID|1||7^^^01021^MR||Lê^Hoa\rFT1|1|L1||20261123||CG|K1|||1\rOBX|1|NM|MACH||88\r"
    samples = [visit(result, "ORU^R01^ORU_R01"), visit(charge, "DFT^P03^DFT_P03")]
    assert [row.where for row in report(samples, STANDARD).ignored if row.place.startswith("OBX") and "5" in row.place] == [
        "OBX-5 (in DFT^P03)"
    ]


def test_messages_stay_as_they_were_sent() -> None:
    one = visit("EVN|A04\rPID|1||777^^^01021^MR^^20240101~8^^^^PI||Lê^Hoa\rPV1|1|O|K01^P3\rOBX|1|NM|VN-CN||52\rOBX|2|NM|HA||9\r")
    assert one.message is not None
    before = [list(segment.fields) for segment in one.message]
    report([one], STANDARD)
    assert [list(segment.fields) for segment in one.message] == before


@pytest.mark.parametrize(
    ("vendor", "places"), [("lucbinh_station", []), ("codo_his", ["OBR-16.2", "OBR-16.3", "PV1-7.2", "PV1-7.3"])]
)
def test_samples_of_a_vendor_show_the_names_of_doctors_and_no_codes_of_the_form(vendor: str, places: list[str]) -> None:
    assert [row.place for row in of(vendor)[1].parts] == places


# --- what repeats where HL7 has one value -----------------------------------------------------------------------------

PERSON = "EVN|A04|20261123080000\rPID|1||777^^^01021^MR||Lê^Hoa||19900102|F\r"
AT = "PV1|1|O|K01||||%s||||||||||||01021.1\r"
ORDER = "PID|1||7^^^01021^MR||Lê^Hoa\rORC|NW|5\rOBR|1|5||%s\r"
RESULT = "PID|1||7^^^01021^MR||Lê^Hoa\rORC|RE|5\rOBR|1|5||GLU^Glucose^L\rOBX|1|NM|GLU^Glucose^L||5|mmol/L|%s|N|||F|||||%s\r"
CHARGED = "EVN|P03\rPID|1||7^^^01021^MR\rPV1|1|O|||||||||||||||||L1\rFT1|1|L1||20261123||CG|K1^k^L|||1|1000|||||||||%s\r"


def repeating(kind: str, body: str, version: str = "2.5.1") -> Report:
    sent = (HEAD.replace("2.5.1", version) % kind + body).encode()
    return report([sample(sent)], STANDARD)


def repeats(found: Report) -> list[tuple[str, str]]:
    return [(one.code, one.place) for one in found.findings if one.code in ("FIELD_REPEATS", "REPETITION_DROPPED")]


@pytest.mark.parametrize(
    ("kind", "body", "place", "version"),
    [
        ("ADT^A04^ADT_A01", PERSON + AT % "" + "DG1|1||I10^Tăng huyết áp^I10~E11.9^Đái tháo đường^I10|||F\r", "DG1-3", "2.5.1"),
        ("ADT^A04^ADT_A01", PERSON + AT % "" + "PR1|1|1|A^a^L~B^b^L|x|20261123|D\r", "PR1-3", "2.5.1"),
        ("ADT^A04^ADT_A01", PERSON + AT % "" + "AL1|1|DA|PEN^Pen^L~ASP^Asp^L\r", "AL1-3", "2.5.1"),
        ("ADT^A04^ADT_A01", PERSON + AT % "002007^Lê~002008^Phạm", "PV1-7", "2.3"),
        ("ORM^O01", ORDER % "GLU^Glucose^L~URE^Urea^L", "OBR-4", "2.5.1"),
        ("ORU^R01", RESULT % ("3-6", "001^A~002^B"), "OBX-16", "2.4"),
    ],
)
def test_a_repetition_that_is_dropped_is_told_as_a_loss_and_listed(kind: str, body: str, place: str, version: str) -> None:
    found = repeating(kind, body, version)
    assert (found.grade, repeats(found)) == ("C", [("REPETITION_DROPPED", place)])
    assert f"{place}[2…]" in [row.where for row in found.ignored]


@pytest.mark.parametrize(
    ("kind", "body", "place", "version"),
    [
        ("ADT^A04^ADT_A01", PERSON + AT % "" + "AL1|1|DA|PEN^Pen^L|MO|ngứa~mề đay\r", "AL1-5", "2.3"),
        ("ADT^A04^ADT_A01", PERSON + AT % "" + "DG1|1||I10^^I10|Tăng huyết áp~Đái tháo đường||F\r", "DG1-4", "2.5.1"),
        ("ADT^A04^ADT_A01", PERSON + AT % "7^Lê^^^^^^^^^^^EI~000123^Lê^^^^^^^^^^^LN", "PV1-7", "2.3"),
        ("ADT^A04^ADT_A01", PERSON + AT % "" + "DG1|1||I10^Tăng huyết áp^I10~I10^Tăng huyết áp^I10|||F\r", "DG1-3", "2.5.1"),
        ("ORU^R01", RESULT % ("3-6~4-7", ""), "OBX-7", "2.5.1"),
        ("DFT^P03^DFT_P03", CHARGED % "001^A~002^B", "FT1-20", "2.3"),
    ],
    ids=["reactions", "a diagnosis in words", "chosen by its type", "the same twice", "ranges", "doctors of a charge"],
)
def test_a_repetition_that_is_kept_is_of_the_form(kind: str, body: str, place: str, version: str) -> None:
    found = repeating(kind, body, version)
    assert repeats(found) == [("FIELD_REPEATS", place)]
    assert f"{place}[2…]" not in [row.where for row in found.ignored]


def test_what_hl7_lets_repeat_is_listed_where_nothing_reads_it_and_no_finding() -> None:
    found = repeating("ADT^A04^ADT_A01", PERSON + AT % "002007^Lê~002008^Phạm")
    assert (found.grade, repeats(found)) == ("A", [])
    assert "PV1-7[2…]" in [row.where for row in found.ignored]


def test_a_field_that_repeats_and_that_nothing_reads_is_ignored_as_a_whole() -> None:
    found = repeating("ADT^A04^ADT_A01", PERSON.replace("|F\r", "|F|||||||||||||||N~Y\r") + AT % "")
    assert (found.grade, repeats(found)) == ("B", [("FIELD_REPEATS", "PID-23")])
    assert "PID-23" in [row.place for row in found.ignored]


def test_a_repetition_that_a_golden_accepts_lowers_no_grade() -> None:
    body = PERSON + AT % "" + "DG1|1||I10^Tăng huyết áp^I10~E11.9^Đái tháo đường^I10|||F\r"
    found = report([visit(body, accepted=frozenset({("FIELD_REPEATS", "W", "DG1-3")}))], STANDARD)
    assert (found.grade, repeats(found)) == ("A", [])
    assert "DG1-3[2…]" in [row.where for row in found.ignored]


def test_a_second_service_of_an_appointment_is_a_loss_and_listed() -> None:
    said = "SCH|H1|HK1||||TK^x|TK^Tái khám||||^^^202612070800|||||B1||||u\rPID|1||7^^^01021^MR||Lê^Hoa\rRGS|1\r"
    two = "AIS|1||A^a^L|202612070800\rRGS|2\rAIS|1||B^b^L|202612071000\r"
    found = repeating("SIU^S12^SIU_S12", said + two)
    assert (found.grade, [(one.code, one.place) for one in found.findings]) == (
        "C",
        [("APPOINTMENT_DIFFERS", "AIS-3"), ("APPOINTMENT_DIFFERS", "AIS-4")],
    )
    assert {"AIS[2…]-3", "AIS[2…]-4"} <= {row.where for row in found.ignored}
