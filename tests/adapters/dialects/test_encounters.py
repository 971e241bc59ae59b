"""ADT of visits: what follows from PV1, and what only some triggers tell. The golden messages show the rest."""

import csv
from datetime import UTC, datetime

import pytest

from adapters.dialects.encounters import ENCOUNTER_ACTIONS
from adapters.dialects.mapped import Context, Mapped
from adapters.dialects.mapping import SUPPORTED, map_message
from adapters.dialects.paths import FOLDED
from adapters.dialects.profile import Dialect, compile_text, load_dialect
from adapters.formats.hl7v2 import parse
from hub.contract.errors import Severity
from hub.contract.events import Event, Keyring, Origin
from hub.contract.places import shipped
from tests.adapters.dialects.said import PV1, mapped, only, told

ORIGIN = Origin("8f14e45f-0000-5000-8000-000000000000", datetime(2026, 11, 23, 1, 5, tzinfo=UTC), {"sender": "local"})
PID = "PID|1||BN1^^^^MR||Lê^Bình"


def read(trigger: str, *rows: str, facility: str = "01021", dialect: Dialect | None = None) -> Mapped:
    text = "\r".join([f"MSH|^~\\&|H|01021|H|HUB|20261123080500||ADT^{trigger}|1|P|2.5.1", *rows])
    return map_message(parse(text), dialect or load_dialect("_standard"), Context(ORIGIN, Keyring(b"golden-secret-16"), facility))


def encounter(trigger: str, *rows: str, facility: str = "01021") -> Event:
    [(record, event)] = read(trigger, *rows, facility=facility).events
    assert record == "hie.Encounter"
    return event


def stay(came: str, left: str, kind: str = "I") -> str:
    return f"PV1|1|{kind}|K01" + "|" * 16 + "LK1" + "|" * 25 + f"{came}|{left}"


@pytest.mark.parametrize(
    ("came", "left", "form"),
    [
        ("202611230800", "202611231159", "09"),
        ("202611230800", "202611231200", "03"),
        ("202611232330", "202611240200", "09"),
        ("202611230800", "202611250800", "03"),
        ("202611230800", "202611230700", "03"),
        ("202611230800", "", "03"),
        ("202602300800", "202602300900", "03"),
    ],
    ids=["under four hours", "four hours", "over midnight", "two days", "left before", "still there", "no such day"],
)
def test_an_inpatient_stay_under_four_hours_has_a_form_of_its_own(came: str, left: str, form: str) -> None:
    assert encounter("A03", PID, stay(came, left))["ma_loai_kcb"] == form


def test_only_an_ended_stay_is_known_to_be_short() -> None:
    assert encounter("A08", PID, stay("202611230800", "202611230900"))["ma_loai_kcb"] == "03"


def test_an_inpatient_of_a_commune_station_stays_there() -> None:
    assert encounter("A01", PID, stay("202611230800", ""), facility="01731")["ma_loai_kcb"] == "06"
    assert encounter("A04", PID, stay("202611230800", "", "O"), facility="01731")["ma_loai_kcb"] == "01"


def test_what_the_sender_states_counts_before_what_follows() -> None:
    event = encounter("A03", PID, stay("202611230800", "202611230900"), "ZCL|||02||1")
    assert (event["ma_loai_kcb"], event["ket_qua_dtri"]) == ("02", "1")


@pytest.mark.parametrize(
    ("stated", "rows", "form", "told_at"),
    [
        ("NT", "", None, {"PV1-2"}),
        ("NGOAITRU", "", None, {"PV1-2"}),
        ("NT", "ZCL|||03", "03", set()),
        ("NGT", "", "01", set()),
        ("o", "", "01", set()),
        ("E", "", None, set()),
        ("U", "", None, set()),
        ("", "", None, set()),
    ],
)
def test_a_class_of_the_visit_that_nobody_knows_is_told_and_kept(
    stated: str, rows: str, form: str | None, told_at: set[str]
) -> None:
    mine = compile_text("mine", 'extends = "_standard"\nversion = "1"\n[codes.care_form]\nNgt = "01"\n')
    found = read("A04", PID, f"PV1|1|{stated}|K01" + "|" * 16 + "LK1", *([rows] if rows else []), dialect=mine)
    visit = only(found)
    assert (visit.get("patient_class", ""), visit.get("ma_loai_kcb")) == (stated, form)
    assert {path for code, path in told(found) if code == "CODE_UNKNOWN"} == told_at


@pytest.mark.parametrize("trigger", sorted(set(ENCOUNTER_ACTIONS) - {"A06"}))
def test_time_and_reason_of_admission_are_told_by_a06_alone(trigger: str) -> None:
    event = encounter(trigger, "EVN||20261123080000", PID, "PV1|1|I|K01" + "|" * 16 + "LK1", "PV2|||^Sốt")
    assert (event["action"], event["ly_do_vv"]) == (ENCOUNTER_ACTIONS[trigger], "Sốt")
    assert "ngay_vao_noi_tru" not in event
    assert "ly_do_vnt" not in event


@pytest.mark.parametrize(
    ("trigger", "reason", "label"),
    [("A01", "Uống thuốc tự tử", "MENTAL"), ("A06", "HIV", "HIV"), ("A01", "Chưa từng tự tử", None)],
)
def test_why_somebody_came_is_protected(trigger: str, reason: str, label: str | None) -> None:
    [(_, event)] = read(trigger, PID, "PV1|1|I", f"PV2|||^{reason}").events
    assert event["meta"].get("sensitivity") == label


def test_a_swap_of_beds_tells_when_of_both() -> None:
    both = read("A17", "EVN||20261123080000", PID, "PV1|1|I|A" + "|" * 16 + "1", "PID|2||BN2^^^^MR", "PV1|1|I|B" + "|" * 16 + "2")
    assert [event["meta"]["occurred_at"] for _, event in both.events] == ["2026-11-23T08:00:00+07:00"] * 2
    assert [event["person"]["identifiers"][0]["value"] for _, event in both.events] == ["BN1", "BN2"]


@pytest.mark.parametrize("kind", sorted(kind for kind in SUPPORTED if kind.startswith("ADT")))
def test_nobody_at_all_is_refused_by_name(kind: str) -> None:
    mapped = read(kind.partition("^")[2], "EVN||20261123080000")
    assert not mapped.events
    assert [(problem.code, problem.path) for problem in mapped.problems] == [("NOTHING_REPRESENTABLE", "PID")]


@pytest.mark.parametrize(("card", "number"), [("DN4010116149000", "0116149000"), ("DN4010000000000", None)])
def test_the_number_at_the_end_of_a_card_is_one_unless_it_is_all_zeros(card: str, number: str | None) -> None:
    person = encounter("A04", PID, stay("202611230800", "", "O"), "IN1|1|VSS|VSS" + "|" * 33 + card)["person"]
    found = {each["type"]: each["normalised"] for each in person["identifiers"]}
    assert found["BHYT_CARD"] == card
    assert found.get("BHXH_NUMBER") == number


def policy(company: str, level: str, card: str = "") -> str:
    return f"IN1|1||{company}" + "|" * 12 + level + "|" * 21 + card


@pytest.mark.parametrize(
    ("rows", "rate"),
    [
        ([policy("VSS", "DN4")], "80.00"),
        ([policy("VSS", "3")], "95.00"),
        ([policy("BAOVIET", "1"), policy("VSS", "DN4")], "80.00"),
        ([policy("BAOVIET", "1")], None),
        ([policy("VSS", "TE1", "DN4010116149000")], "80.00"),
        ([policy("VSS", "TE1", "0116149000")], "100.00"),
        ([policy("VSS", "", "DN4010116149000")], None),
        ([policy("VSS", "DN4"), "ZIN|1|||||||95"], "95.00"),
        ([policy("VSS", "DN4"), 'ZIN|1|||||||""'], None),
        ([policy("VSS", "DN4"), "ZIN|1|||||||much"], None),
    ],
    ids=["group and level", "level", "after a private one", "private", "the card's own", "no digit on it", "not in IN1-15",
         "stated", "deleted", "unreadable"],
)  # fmt: skip
def test_the_benefit_rate_follows_from_the_level_in_in1_15_unless_something_is_said_of_it(
    rows: list[str], rate: str | None
) -> None:
    found = encounter("A01", PID, "PV1|1|O", *rows).get("muc_huong")
    assert (None if found is None else str(found)) == rate


@pytest.mark.parametrize(
    ("rows", "rate", "unread"),
    [
        ([policy("VSS", "80%")], "80.00", None),
        ([policy("VSS", "95")], "95.00", None),
        ([policy("VSS", "dn4")], "80.00", None),
        ([policy("VSS", "90")], None, "90"),
        ([policy("VSS", "HMO")], None, "HMO"),
        ([policy("VSS", "HMO", "DN4010116149000")], "80.00", None),
        ([policy("VSS", "4", "DN9010116149000")], None, None),
        ([policy("BAOVIET", "HMO")], None, None),
        ([policy("VSS", "80"), policy("VSS", "DN4")], "80.00", None),
        ([policy("VSS", "80"), "ZIN|1|||||||95"], "95.00", None),
        ([policy("VSS", "Q4")], "80.00", None),
        ([policy("VSS", "q4", "DN3010116149000")], "95.00", None),
        ([policy("VSS", "none")], None, None),
        ([policy("VSS", "none"), policy("VSS", "90")], None, "90"),
    ],
    ids=["percent", "a number", "small letters", "another number", "a type of plan", "the card's level", "a card of no level", "of another payer", "a level besides", "stated", "of the profile", "the card's own",
         "known as none", "another"],
)  # fmt: skip
def test_what_in1_15_says_otherwise_goes_by_a_row_of_the_profile_or_is_told_and_kept(
    rows: list[str], rate: str | None, unread: str | None
) -> None:
    mine = compile_text("mine", 'extends = "_standard"\nversion = "1"\n[codes.benefit_level]\nQ4 = "80"\nNONE = ""\n')
    found = mapped("ADT^A01", PID, "PV1|1|O", *rows, dialect=mine)
    level = only(found).get("muc_huong")
    assert (None if level is None else str(level)) == rate
    assert only(found)["meta"].get("unparsed", {}).get("muc_huong") == unread
    assert [path for code, path in told(found) if code == "CODE_UNKNOWN"] == (
        [] if unread is None else ["IN1[2]-15" if rows[1:] else "IN1-15"]
    )


def test_when_an_outpatient_was_admitted_is_read_of_that_message_alone() -> None:
    rows = "EVN||23/11/2026 07:30", PID, stay("202611230800", "")
    for trigger in ENCOUNTER_ACTIONS:
        found = read(trigger, *rows, *(rows[1:] if trigger == "A17" else ()))
        told = [problem.path for problem in found.problems if problem.code == "TIME_UNPARSABLE"]
        lost = [event["meta"].get("unparsed", {}) for _, event in found.events]
        if trigger == "A06":
            assert (told, lost) == (["EVN-2"], [{"ngay_vao_noi_tru": "23/11/2026 07:30"}])
        else:
            assert told == [] and not any(lost), trigger


def test_a_profile_that_reads_the_time_of_the_event_in_its_own_form_gives_it_to_the_event() -> None:
    rule = '[encounter]\nngay_vao_noi_tru = { from = ["EVN-6", "EVN-2"], as = "day_first" }\n'
    mine = compile_text("mine", f'extends = "_standard"\nversion = "1"\n{rule}')
    rows = "EVN||23/11/2026 07:30", PID, stay("202611230800", "")
    [(_, admitted)] = read("A06", *rows, dialect=mine).events
    assert admitted["ngay_vao_noi_tru"] == "202611230730"
    for trigger in ("A04", "A06"):
        [(_, event)] = read(trigger, *rows, dialect=mine).events
        assert event["meta"]["occurred_at"] == "2026-11-23T07:30:00+07:00"
        [(_, event)] = read(trigger, *rows[1:], dialect=mine).events
        assert event["meta"]["occurred_at"] == "2026-11-23T08:05:00+07:00", "MSH-7"


@pytest.mark.parametrize("trigger", ["A01", "A04", "A06"])
def test_a_time_with_the_day_first_that_is_none_is_told_whatever_the_event(trigger: str) -> None:
    rule = '[encounter]\nngay_vao_noi_tru = { from = "EVN-2", as = "day_first" }\n'
    mine = compile_text("mine", f'extends = "_standard"\nversion = "1"\n{rule}')

    def unread(said: str) -> list[str]:
        found = read(trigger, f"EVN||{said}", PID, stay("202611230800", ""), dialect=mine)
        return [problem.path for problem in found.problems if problem.code == "TIME_UNPARSABLE"]

    assert unread("31/02/2026 08:00") == ["EVN-2"]
    assert unread("28/02/2026 08:00") == []


@pytest.mark.parametrize(
    ("stated", "rule", "told"),
    [
        ("20261123", "", "2026-11-23"),
        ("202611230000", "", "2026-11-23T00:00:00+07:00"),
        ("23/11/2026", "day_first", "2026-11-23"),
        ("23/11/2026 00:00", "day_first", "2026-11-23T00:00:00+07:00"),
    ],
)
def test_an_event_of_which_the_day_alone_is_said_happened_at_no_hour(stated: str, rule: str, told: str) -> None:
    own = f'[encounter]\nngay_vao_noi_tru = {{ from = "EVN-2", as = "{rule}" }}\n' if rule else ""
    mine = compile_text("mine", f'extends = "_standard"\nversion = "1"\n{own}')
    [(_, event)] = read("A04", f"EVN||{stated}", PID, "PV1|1|O", dialect=mine).events
    assert event["meta"]["occurred_at"] == told


def test_another_facility_whose_code_is_none_is_told_and_kept() -> None:
    rows = PID, "PV1|1|O" + "|" * 35 + "BACH MAI", "ZIN|1|||||||||VIET DUC"
    found = read("A03", *rows)
    [(_, event)] = found.events
    assert event["meta"]["unparsed"] == {"ma_noi_den": "BACH MAI", "ma_noi_di": "VIET DUC"}
    assert {p.path for p in found.problems if (p.code, p.severity) == ("CODE_UNKNOWN", Severity.WARNING)} == {"PV1-37", "ZIN-10"}
    assert "unparsed" not in encounter("A03", PID, "PV1|1|O" + "|" * 35 + '""', "ZIN|1|||||||||01004")["meta"]


def test_a_number_of_a_type_that_the_profile_does_not_know_is_told_with_that_type() -> None:
    numbers = "BN1^^^^MR~77^^^^xyz~8^^^^U~AB123^^^^PPN^^20260101^never"
    found = read("A04", f"PID|1||{numbers}||Lê^Bình", "PV1|1|O")
    [(_, event)] = found.events
    assert [one.get("type") for one in event["person"]["identifiers"]] == ["MRN", None, None, "PASSPORT"]
    assert event["meta"]["unparsed"] == {"person.identifiers[1].type": "xyz", "person.identifiers[3].valid_to": "never"}
    assert {(p.code, p.path) for p in found.problems} >= {("CODE_UNKNOWN", "PID-3[2]"), ("TIME_UNPARSABLE", "PID-3[4]")}
    mine = compile_text("mine", 'extends = "_standard"\nversion = "1"\n[identifiers.types]\nXYZ = ""\n')
    assert "CODE_UNKNOWN" not in {p.code for p in read("A04", f"PID|1||{numbers}", "PV1|1|O", dialect=mine).problems}


@pytest.mark.parametrize(
    ("came", "left", "is_told"),
    [
        ("202611230800", "202611230700", True),
        ("202611230800", "20261122", True),
        ("202611230800", "20261123", False),
        ("202611230800", "202611230800", False),
        ("202611230800", "", False),
    ],
)
def test_who_left_before_coming_is_told(came, left, is_told):
    visit = PV1 + "|" * 25 + f"{came}|{left}"
    assert (("DATES_CONTRADICT", "PV1-45") in told(mapped("ADT^A03", PID, visit))) is is_told


@pytest.mark.parametrize(("trigger", "is_told"), [("A01", True), ("A04", True), ("A03", False), ("A08", False)])
def test_who_only_comes_and_has_a_time_of_leaving_without_one_of_coming_is_told(trigger, is_told):
    found = mapped(f"ADT^{trigger}", PID, PV1 + "|" * 26 + "202611230800")
    assert (("DATES_CONTRADICT", "PV1-45") in told(found)) is is_told
    assert only(found)["ngay_ra"] == "202611230800"


@pytest.mark.parametrize("came", ["20/11/2026 08:00", '""'])
def test_a_time_of_coming_that_was_cleared_or_cannot_be_read_contradicts_nothing(came):
    found = mapped("ADT^A01", PID, PV1 + "|" * 25 + f"{came}|202611230800")
    assert "DATES_CONTRADICT" not in {code for code, _ in told(found)}


@pytest.mark.parametrize(("born", "is_told"), [("20261124", True), ("20261123", False), ("2027", True), ("2026", False)])
def test_who_is_born_after_the_message_is_told(born, is_told):
    person = f"PID|1||N1^^^^MR||Phạm^Hà^Thị||{born}|F"
    assert (("DATES_CONTRADICT", "PID-7") in told(mapped("ADT^A04", person, PV1))) is is_told


@pytest.mark.parametrize(
    ("times", "shifted"),
    [
        ({43: "20261124081000"}, "PV1-43"),
        ({43: "202611240810"}, "PV1-43"),
        ({43: "20261124081000+0700"}, "PV1-43"),
        ({44: "20261124081000", 46: "20261128095500"}, "PV1-46"),
        ({43: "K.NOI^P302", 46: "150000"}, ""),
        ({43: "20261124081000", 44: "20261124081000"}, ""),
        ({43: "20261399999999"}, ""),
        ({43: "26111212000001"}, ""),
    ],
    ids=["before", "to the minute", "with an offset", "behind", "other things", "both", "no time", "a number"],
)
def test_a_time_beside_its_own_field_which_is_empty_is_told(times: dict[int, str], shifted: str) -> None:
    visit = "|".join(["PV1", "1", "I", *(times.get(field, "LK1" if field == 19 else "") for field in range(3, 47))])
    found = {place for code, place in told(mapped("ADT^A01", PID, visit)) if code == "FIELDS_SHIFTED"}
    assert found == ({shifted} if shifted else set())


def test_a_time_beside_its_own_field_is_not_told_where_the_profile_reads_it() -> None:
    rules = '[encounter]\nngay_vao = { from = "PV1-43", as = "minute" }\n'
    mine = compile_text("mine", f'extends = "_standard"\nversion = "1"\n{rules}')
    visit = PV1 + "|" * 24 + "20261124081000"
    assert only(mapped("ADT^A01", PID, visit, dialect=mine))["ngay_vao"] == "202611240810"
    assert not {code for code, _ in told(mapped("ADT^A01", PID, visit, dialect=mine))} & {"FIELDS_SHIFTED"}


def test_a_class_of_patient_that_is_none_of_the_official_list_is_told_kept_and_not_passed_on() -> None:
    found = mapped("ADT^A01", PID, f"{PV1}|BHYT")
    assert ("CODE_UNKNOWN", "PV1-20") in told(found)
    assert "ma_doituong_kcb" not in only(found)
    assert only(found)["meta"]["unparsed"]["ma_doituong_kcb"] == "BHYT"
    mine = compile_text("mine", 'extends = "_standard"\nversion = "1"\n[codes.doituong_kcb]\nBHYT = "1.1"\n')
    assert only(mapped("ADT^A01", PID, f"{PV1}|BHYT", dialect=mine))["ma_doituong_kcb"] == "1.1"


@pytest.mark.parametrize(
    ("number", "stated", "code"),
    [
        ("", "BA25-7001", "FIELDS_SHIFTED"),
        ("", "2611240001^20261124", "FIELDS_SHIFTED"),
        ("", "BHYT80", "CODE_UNKNOWN"),
        ("", "THU PHI", "CODE_UNKNOWN"),
        ("LK1", "BA25-7001", "CODE_UNKNOWN"),
        ("", "1.1", ""),
    ],
)
def test_the_number_of_the_visit_in_the_place_of_its_class_is_told_once_and_kept(number: str, stated: str, code: str) -> None:
    visit = f"PV1|1|O{'|' * 17}{number}|{stated}"
    found = mapped("ADT^A04", PID, visit)
    assert {code for code, place in told(found) if place == "PV1-20"} == ({code} if code else set())
    assert only(found)["meta"].get("unparsed", {}) == ({"ma_doituong_kcb": stated} if code else {})
    rule = '[encounter]\nma_lk = ["PV1-19", "PV1-20"]\n'
    mine = compile_text("mine", f'extends = "_standard"\nversion = "1"\n{rule}')
    assert "FIELDS_SHIFTED" not in {code for code, _ in told(mapped("ADT^A04", PID, visit, dialect=mine))}


WEIGHED = "OBX|1|NM|29463-7^Body weight^LN||"


@pytest.mark.parametrize(
    ("said", "kilograms"),
    [
        ("10400|g", "10.4"),
        ("2150|g^gram^UCUM", "2.15"),
        ("2155|G", "2.155"),
        ("10000|gr.", "10"),
        ("3000|1^gam^99HIS", "3"),
        ("2150gam", "2.15"),
        ("3200|grm", "3.2"),
        ("3200|Gram(s)", "3.2"),
        ("480^g", "0.48"),
        ("52|Kilôgam", "52"),
        ("52|ký", "52"),
        ("52|kí", "52"),
        ("52|KILÔ", "52"),
        ("52|Kg (cân nặng)", "52"),
        ("52|kg/", "52"),
        ("52|-", "52"),
        ("52|N/A", "52"),
        ("52 ký", "52"),
        ("52kg (cả áo)", "52"),
        ("52.50|kg", "52.5"),
        ("52.5|KG^Kilogram^ISO+", "52.5"),
        ("52.5 kg", "52.5"),
        ("500", "500"),
        ('52|""', "52"),
    ],
)
def test_a_weight_is_in_kilograms_whatever_its_unit(said: str, kilograms: str) -> None:
    found = mapped("ADT^A04", PID, PV1, WEIGHED + said)
    assert only(found)["can_nang"] == kilograms
    assert not told(found) and "unparsed" not in only(found)["meta"]


@pytest.mark.parametrize(
    ("said", "code", "path", "kept"),
    [
        ("23|[lb_av]^pound^UCUM", "CODE_UNKNOWN", "OBX-6", "23 [lb_av]^pound^UCUM"),
        ("50 lb|kg", "CODE_UNKNOWN", "OBX-5", "50 lb"),
        ("95^lb|kg", "CODE_UNKNOWN", "OBX-5", "95 lb"),
        ("10400", "NUMBER_UNPARSABLE", "OBX-5", "10400"),
        ("10400.1234567", "NUMBER_UNPARSABLE", "OBX-5", "10400.1234567"),
        ("500.1|kg", "NUMBER_UNPARSABLE", "OBX-5", "500.1 kg"),
        ("52|g", "NUMBER_UNPARSABLE", "OBX-5", "52 g"),
        ("2.150|g", "NUMBER_UNPARSABLE", "OBX-5", "2.150 g"),
        ("2,150|g", "NUMBER_UNPARSABLE", "OBX-5", "2,150 g"),
        ("52,5|kg", "NUMBER_UNPARSABLE", "OBX-5", "52,5 kg"),
        ("52,5 kg", "NUMBER_UNPARSABLE", "OBX-5", "52,5 kg"),
        ("abc|kg", "NUMBER_UNPARSABLE", "OBX-5", "abc kg"),
        ("abc", "NUMBER_UNPARSABLE", "OBX-5", "abc"),
    ],
    ids=[
        "pounds",
        "pounds in words",
        "pounds as CQ",
        "hardly kg",
        "nor with places",
        "too heavy",
        "kg as grams",
        "a point between thousands",
        "a comma",
        "a comma that no profile explains, in kg",
        "beside its unit",
        "a word",
        "a word without a unit",
    ],
)
def test_a_weight_that_is_none_in_its_unit_is_told_kept_and_not_passed_on(said: str, code: str, path: str, kept: str) -> None:
    found = mapped("ADT^A04", PID, PV1, WEIGHED + said)
    assert "can_nang" not in only(found)
    assert told(found) == {(code, path)}
    assert only(found)["meta"]["unparsed"] == {"can_nang": kept}


@pytest.mark.parametrize(
    ("comma", "said", "kilograms"),
    [
        ("decimal", "2150,5|g", "2.1505"),
        ("thousands", "2,150|g", "2.15"),
        ("decimal", "2.150|g", None),
        ("decimal", "62,5|kg", "62.5"),
        ("decimal", "62,5 kg", "62.5"),
        ("decimal", "62,5", "62.5"),
        ("decimal", "62.500|kg", "62.5"),
        ("decimal", "abc|kg", None),
    ],
)
def test_a_weight_of_a_profile_s_own_place_and_comma_has_the_same_form(comma: str, said: str, kilograms: str | None) -> None:
    mine = compile_text(
        "mine",
        f'extends = "_standard"\nversion = "1"\ncomma = "{comma}"\n[encounter]\ncan_nang = ["OBX[CN]-5", "OBX[CNLS]-5"]\n',
    )
    assert only(mapped("ADT^A01", PID, PV1, f"OBX|1|NM|CNLS||{said}", dialect=mine)).get("can_nang") == kilograms


@pytest.mark.parametrize(("said", "kilograms", "kept"), [("52", "52", None), ("10400 g", "10.4", None), ("10400", None, "10400")])
def test_beside_a_weight_in_a_segment_of_ones_own_stands_no_unit(said: str, kilograms: str | None, kept: str | None) -> None:
    mine = compile_text("mine", 'extends = "_standard"\nversion = "1"\n[encounter]\ncan_nang = "ZCN-3"\n')
    event = only(mapped("ADT^A04", PID, PV1, f"ZCN|1||{said}|||g", dialect=mine))
    assert (event.get("can_nang"), event["meta"].get("unparsed", {}).get("can_nang")) == (kilograms, kept)


def test_the_unit_of_a_weight_is_that_of_the_line_that_tells_it() -> None:
    lines = ["OBX|1|NM|29463-7||2150|g", "OBX|2|NM|VN-CN||52|kg", "OBX|3|NM|HT^Chiều cao||500|mm"]
    assert only(mapped("ADT^A04", PID, PV1, *lines))["can_nang"] == "52"


def test_the_classes_of_patients_are_those_of_the_official_lists() -> None:
    with shipped("seeds/standards/codes.csv").open(encoding="utf-8", newline="") as file:
        official = {row["code"] for row in csv.DictReader(file) if row["list"] in ("MA_DOITUONG_KCB", "MA_DOITUONG_KCB_824")}
    rows = load_dialect("_standard").codes["doituong_kcb"]
    assert {local: code for local, code in rows.items() if not local.startswith(FOLDED)} == {code: code for code in official}


def test_the_occupation_of_a_patient_may_stand_in_a_segment_of_the_senders_own():
    mine = compile_text("mine", 'extends = "_standard"\nversion = "1"\n[encounter]\nma_nghe_nghiep = "ZPK-1"\n')
    assert encounter("A04", PID, "PV1|1|O", "ZIN|1||||||||||||93120")["ma_nghe_nghiep"] == "93120"
    visit = only(mapped("ADT^A04", "EVN|A04|20261123", PID, "PV1|1|O", "ZPK|93120", dialect=mine))
    assert visit["ma_nghe_nghiep"] == "93120"
