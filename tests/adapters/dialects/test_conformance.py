"""The conformance report: what is read is seen, grades follow their rule, and no value of a patient gets out."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from lxml import html

from adapters.dialects import conformance
from adapters.dialects.conformance import Report, looked_at, place_text, report
from adapters.dialects.conformance_page import page
from adapters.dialects.paths import read_place
from adapters.dialects.profile import Dialect, compile_text, dialect_names, load_dialect
from adapters.dialects.remedies import REMEDIES, REMEDIES_AT, remedy
from adapters.dialects.sampled import Sample
from adapters.dialects.shapes import is_code, shape, shown_code
from adapters.formats.charset import decode, encode
from adapters.formats.hl7v2 import parse
from adapters.inbound.received import Received
from adapters.inbound.translate import split, translate
from hub.contract.errors import ERRORS, GUESSED
from hub.contract.events import Keyring, to_json
from hub.contract.places import compiled
from tests.adapters.dialects.goldens import DEMO, FOLDER, cases
from tests.adapters.formats.samples import CORPUS, NO_CORPUS, corpus

STANDARD = load_dialect("_standard")
HEAD = "MSH|^~\\&|HIS|01021|HUB|HUB|20261123080000||%s|C-1|P|2.5.1\r"
VISIT = (
    "EVN|A04|20261123080000\rPID|1||777^^^01021^MR||Lê^Hoa||19900102|F|||12 Phố Huế|||NOBODY-READS\r"
    "PV1|1|O|K01||||||||||||||||01021.1\r"
)
not_compiled = pytest.mark.skipif(compiled(), reason="a compiled hub checks no samples: it reads fields past those who watch it")


def sample(
    raw: bytes,
    dialect: Dialect = STANDARD,
    *,
    name: str = "a.hl7",
    expected: bool = False,
    accepted: frozenset[tuple[str, str, str]] = frozenset(),
    unsaid: bool = False,
) -> Sample:
    done = translate(Received(raw, datetime(2026, 11, 23, 1, 5, tzinfo=UTC), "folder"), Keyring(b"secret"), dialect)
    note = done.message
    is_hl7 = note["format"] == "hl7" and done.verdict != "quarantined"
    message = parse(decode(raw, dialect.charset).text) if is_hl7 else None
    return Sample(
        name, note.get("message_type", ""), message, note["facility"], note.get("charset", ""), done.verdict,
        done.problems, done.events, expected, accepted, unsaid,
    )  # fmt: skip


def visit(body: str = VISIT, kind: str = "ADT^A04^ADT_A01", **more: object) -> Sample:
    return sample((HEAD % kind + body).encode(), **more)  # type: ignore[arg-type]


def of(folder: str) -> tuple[list[Sample], Report]:
    dialect = load_dialect(folder)
    samples = [sample(path.read_bytes(), dialect, name=path.name) for path in cases(FOLDER / folder)]
    return samples, report(samples, dialect)


# --- what is read -----------------------------------------------------------------------------------------------------


def test_what_is_read_is_what_mapping_looks_at() -> None:
    row = {one.place: one for one in report([visit()], STANDARD).fields}
    assert row["PID-5"].status == "understood"
    assert row["PID-5"].read == ("ADT^A04",)
    assert row["PID-14"].status == "ignored"
    assert row["PID-14"].ignored == ("ADT^A04",)
    assert row["PID-1"].status == "form", "a set id says nothing beyond the form"


@not_compiled
def test_the_python_behind_the_rules_counts_as_the_rules_do() -> None:
    message = parse(HEAD % "ORU^R01^ORU_R01" + "PID|1||7\rOBR|1|5||X\rOBX|1|NM|GLU||5.1||||||F||CHECKS\rNTE|1||text\r")
    seen = looked_at(message, STANDARD, "ORU^R01")
    assert {("OBX", 5), ("NTE", 3)} <= seen, "no rule names them"
    assert ("OBX", 13) not in seen
    assert ("PV1", 36) not in seen, "a rule of encounters, which this is not"


@pytest.mark.parametrize(
    ("kind", "body", "field"),
    [
        ("ORU^R01^ORU_R01", "PID|1||7\rOBR|1|5||X||||||||||||||||||{}\rOBX|1|NM|GLU||5.1||||||F\r", "OBR-22"),
        ("ORU^R01^ORU_R01", "PID|1||7\rOBR|1|5||X|||||||||||||||||LAB-7\rOBX|1|NM|GLU||5.1||||||F\r", "OBR-21"),
        ("ADT^A04^ADT_A01", VISIT.replace("01021.1\r", "01021.1" + "|" * 24 + "K02\r"), "PV1-43"),
        ("ADT^A04^ADT_A01", VISIT.replace("12 Phố Huế|", "12 Phố Huế|Q1"), "PID-12"),
    ],
)
def test_a_field_that_is_looked_at_for_what_slipped_there_alone_is_ignored(kind: str, body: str, field: str) -> None:
    found = report([visit(body.format("20261123"), kind)], STANDARD)
    [row] = [one for one in found.fields if one.place == field]
    assert row.status == ("understood" if field == "OBR-22" else "ignored")
    assert (row in found.ignored) == (field != "OBR-22")


def test_a_later_place_of_a_rule_is_no_ignored_field() -> None:
    message = parse(HEAD % "ORM^O01" + "PID|1||7\rORC|NW|5\rOBR|1|5||X\r")
    assert {("ORC", 2), ("OBR", 2)} <= looked_at(message, STANDARD, "ORM^O01"), "OBR-2 would count if ORC-2 were empty"


@not_compiled
def test_a_field_may_be_read_in_one_type_and_ignored_in_another() -> None:
    to_36 = "|" * 17 + "1\r"
    result = f"PID|1||777^^^01021^MR\rPV1|1|O{'|' * 17}{to_36}OBR|1|5||X\rOBX|1|NM|GLU||5.1||||||F\r"
    closing = f"EVN|A03\rPID|1||777^^^01021^MR\rPV1|1|O{'|' * 17}01021.1{to_36}"
    found = report([visit(result, "ORU^R01^ORU_R01"), visit(closing, "ADT^A03^ADT_A03")], STANDARD)
    [row] = [one for one in found.fields if one.place == "PV1-36"]
    assert (row.status, row.read, row.ignored) == ("understood", ("ADT^A03",), ("ORU^R01",))
    assert (row.passed_over, row.where) == (True, "PV1-36 (in ORU^R01)"), "so the type that loses it is told"
    assert "PV1-36 (in ORU^R01)" in page(found, "now")
    [row] = [one for one in found.fields if one.place == "PID-3"]
    assert not row.passed_over


def test_a_finding_in_one_type_hides_no_field_that_another_ignores() -> None:
    """The day of coming is wrong in ADT; of a result nothing reads it, which is counted by itself."""
    stay = "PID|1||777^^^01021^MR\rPV1|1|O" + "|" * 17 + "01021.1" + "|" * 25 + "%s\r"
    result = stay % "20261123" + "OBR|1|5||X\rOBX|1|NM|GLU||5.1||||||F\r"
    wrong = visit("EVN|A03\r" + stay % "hôm qua", "ADT^A03^ADT_A03")
    found = report([visit(result, "ORU^R01^ORU_R01"), wrong, wrong], STANDARD)
    [row] = [one for one in found.fields if one.place == "PV1-44"]
    assert (row.status, row.ignored, row.passed_over, row.where) == ("wrong", ("ORU^R01",), True, "PV1-44 (in ORU^R01)")
    assert (row.count, row.unread) == (3, 1)


def test_what_is_missing_names_the_places_that_would_fill_it() -> None:
    [row] = report([visit()], STANDARD).events
    assert row.record == "hie.Encounter"
    assert row.filled["person.ho_ten"] == 1
    assert row.never["ma_giuong"] == ("PV1-3.3",)
    assert row.never["person.dien_thoai"] == ("PID-13", "PID-13.12", "PID-13.7")
    assert not set(row.filled) & set(row.never)


def test_what_only_some_events_have_is_told_with_the_places_that_would_fill_it() -> None:
    mine = compile_text("mine", 'extends = "_standard"\nversion = "1"\n[order]\nma_lk = "ZBL-2"\n')
    order = "PID|1||7^^^01021^MR||Lê^Hoa\rORC|NW|1\rOBR|1|1||X\rORC|NW|2\rOBR|1|2||Y\rZBL|1|BL-1\r"
    [row] = report([visit(order, "ORM^O01", dialect=mine)], mine).events
    assert (row.filled["ma_lk"], row.partly["ma_lk"]) == (1, (2, ("ZBL-2",)))
    assert "placer" not in row.partly


def test_a_decimal_comma_is_lost_until_the_profile_says_what_it_means() -> None:
    body = "PID|1||777^^^01021^MR||Lê^Hoa||19900102|F\rOBR|1|5^01021|6|GLU^G^L\rOBX|1|NM|GLU^G^L||9,8|mmol/L|||||F\r"
    [finding] = [one for one in report([visit(body, "ORU^R01^ORU_R01")], STANDARD).findings if one.place == "OBX-5"]
    assert finding.code == "NUMBER_UNPARSABLE" and 'comma = "decimal"' in finding.do_en and 'comma = "decimal"' in finding.do_vi
    mine = compile_text("mine", 'extends = "_standard"\nversion = "1"\ncomma = "decimal"\n')
    found = report([visit(body, "ORU^R01^ORU_R01", dialect=mine)], mine)
    assert (found.grade, [one for one in found.findings if one.severity != "I"]) == ("A", [])


def test_a_card_in_a_segment_that_nothing_reads_is_told_with_the_row_that_reads_it() -> None:
    body = VISIT.replace("PV1|", "ZBH|DN4010112345678|20260101\rPV1|")
    found = report([visit(body)], STANDARD)
    [finding] = [one for one in found.findings if one.place == "ZBH-1"]
    assert (found.grade, finding.code, "cards = [" in finding.do_en) == ("C", "IDENTIFIER_UNREAD", True)
    mine = compile_text("mine", 'extends = "_standard"\nversion = "1"\n[identifiers]\ncards = ["IN1-36", "ZBH-1"]\n')
    found = report([visit(body, dialect=mine)], mine)
    assert (found.grade, [one.place for one in found.findings if one.code == "IDENTIFIER_UNREAD"]) == ("A", [])


def test_the_time_of_an_event_in_another_form_loses_no_field_of_a_visit() -> None:
    found = report([visit(VISIT.replace("20261123080000", "23/11/2026"))], STANDARD)
    assert (found.grade, [(one.code, one.place) for one in found.findings]) == ("B", [("TIME_UNPARSABLE", "EVN-2")])


def test_the_page_says_which_findings_are_of_grade_c() -> None:
    text = Path(conformance.__file__).with_name("README.md").read_text("utf-8")
    told = text.split("and these findings:\n")[1].split(".\n")[0]
    assert set(re.findall(r"`(\w+)`", told)) == GUESSED


def test_a_wrong_charset_of_the_profile_names_the_line_to_write() -> None:
    mine = compile_text("mine", 'extends = "_standard"\nversion = "1"\ncharset = "tcvn3"\n')
    [finding] = [one for one in report([visit(dialect=mine)], mine).findings if one.code == "CHARSET_DECLARED_WRONG"]
    assert finding.place == "MSH-18"
    for said in (finding.do_en, finding.do_vi):
        assert 'charset = "utf-8"' in said and 'charset = ""' in said and "tcvn3" not in said


def test_another_legacy_page_than_the_profile_says_is_shown_as_utf8_is() -> None:
    mine = compile_text("mine", 'extends = "_standard"\nversion = "1"\ncharset = "windows-1258"\n')
    for sent in ("tcvn3", "utf-8"):
        found = report([sample(encode(HEAD % "ADT^A04^ADT_A01" + VISIT, sent), mine)], mine)
        told = [(one.code, one.place) for one in found.findings]
        assert (found.grade, found.charsets, told) == ("C", {sent: 1}, [("CHARSET_DECLARED_WRONG", "MSH-18")])
        assert f'charset = "{sent}"' in found.findings[0].do_en


def test_identifiers_that_some_persons_lack_are_told_with_the_fields_that_would_hold_them() -> None:
    [row] = report([visit(), visit(VISIT.replace("777^^^01021^MR", ""))], STANDARD).events
    assert row.partly["person.identifiers"] == (2, ("PID-3+PID-2", "PID-4", "IN1-36", "IN1-49"))


def test_what_no_event_fills_is_told_once() -> None:
    _, found = of("anhduong_lis")
    assert len(found.events) == 3
    assert found.never_anywhere["person.dia_chi"] == ("PID-11",)


@pytest.mark.parametrize("text", ["PID-8", "PID-11.4", "OBR-32.1.1", "PRD[RP]-7[FI].1", "OBX[VN-DHLS]-5"])
def test_a_place_is_written_as_it_is_read(text: str) -> None:
    assert read_place(place_text(read_place(text))) == read_place(text)


# --- what was found ---------------------------------------------------------------------------------------------------


def test_problems_at_one_place_are_one_finding_with_its_remedy() -> None:
    wrong = VISIT.replace("19900102", "02/01/1990")
    found = report([visit(wrong, name="a"), visit(wrong, name="b")], STANDARD)
    [one] = [each for each in found.findings if each.code == "TIME_UNPARSABLE"]
    assert (one.place, one.count, one.messages, one.first, one.shape) == ("PID-7", 2, 2, "a", "99/99/9999")
    assert one.en == ERRORS["TIME_UNPARSABLE"].en
    assert (one.do_en, one.do_vi) == REMEDIES["TIME_UNPARSABLE"]
    [row] = [each for each in found.fields if each.place == "PID-7"]
    assert row.status == "wrong"


@pytest.mark.parametrize(("first", "last", "told"), [("01/02/2026", "31/12/2026", []), ("01/02/2026", "31/02/2026", ["IN1-13"])])
def test_dates_of_a_card_that_are_read_are_not_warned_of(first: str, last: str, told: list[str]) -> None:
    card = "|".join(["IN1", "1", "BHYT", "VSS", *[""] * 8, first, last, *[""] * 22, "DN4010112345678"])
    found = report([visit(VISIT + card + "\r")], STANDARD)
    assert [one.place for one in found.findings if one.code == "TIME_UNPARSABLE"] == told


@pytest.mark.parametrize(
    ("name", "odd"),
    [
        ("Nguyªn^Hoa", True),
        ("Ph¹m^V¨n", True),
        ("Lê½^Hoa", True),
        ("Lê^Hoa\ufffd", True),
        ("TR?N^V?N ?Ư?C", True),
        ("Lê^?", False),
        ("H´Măng^Niê", False),
        ("Lê-Đỗ^Hoa'", False),
    ],
)
def test_signs_that_stand_in_no_name_are_told(name: str, odd: bool) -> None:
    found = report([visit(VISIT.replace("Lê^Hoa", name))], STANDARD)
    assert ("NAME_ODD" in {one.code for one in found.findings}) is odd


def test_what_only_the_standard_finds_odd_is_told_to_be_no_loss() -> None:
    found = report(
        [visit(VISIT.replace("|20261123080000", "|20261123080000|02/01/1990", 1))], STANDARD
    )  # EVN-3, which no rule needs
    [one] = found.findings
    assert (found.grade, one.code) == ("B", "TIME_UNPARSABLE")
    assert one.do_en.startswith("Nothing is lost")


def test_a_time_that_no_rule_reads_is_no_loss_whatever_else_of_the_message_is() -> None:
    found = report([visit(VISIT.replace("19900102", "02/31/1990") + "DG1|1||J18.9^Viêm phổi||02/31/2026|A\r")], STANDARD)
    remedies = {one.place: one.do_en for one in found.findings if one.code == "TIME_UNPARSABLE"}
    assert remedies["DG1-5"].startswith("Nothing is lost") and "`as`" in remedies["PID-7"]


def test_a_date_in_the_form_of_the_dialect_is_no_finding() -> None:
    mine = compile_text(
        "mine", 'extends = "_standard"\nversion = "1"\n[person]\nngay_sinh = { from = "PID-7", as = "day_first" }\n'
    )
    assert report([visit(VISIT.replace("19900102", "02/01/1990"), dialect=mine)], mine).grade == "A"
    found = report([visit(VISIT.replace("19900102", "02/31/1990"), dialect=mine)], mine)
    assert (found.grade, [one.code for one in found.findings]) == ("C", ["TIME_UNPARSABLE"])


@pytest.mark.parametrize(("field", "told"), [(2, False), (4, True), (18, False), (19, True)])
def test_a_number_of_the_patient_that_nothing_reads_is_a_finding(field: int, told: bool) -> None:
    fields = ["PID", "1", "", "777^^^01021^MR", "", "Lê^Hoa", "", "19900102", "F", "", "", "", "", "", "", "", "", "", "", ""]
    fields[field] = "001190012345" if field != 19 else "DN4010116149000"
    found = report([visit(VISIT.replace(VISIT.split("\r")[1], "|".join(fields)))], STANDARD)
    assert [one.place for one in found.findings if one.code == "IDENTIFIER_UNREAD"] == [f"PID-{field}"] * told
    fields[3] += "~001190012345^^^BCA^NI~DN4010116149000^^^VSS^HC"
    found = report([visit(VISIT.replace(VISIT.split("\r")[1], "|".join(fields)))], STANDARD)
    assert "IDENTIFIER_UNREAD" not in {one.code for one in found.findings}


@pytest.mark.parametrize("visit_number", ["", "01021.1"])
def test_a_citizen_number_in_the_account_is_told_once_and_lowers_the_grade(visit_number: str) -> None:
    body = VISIT.replace("NOBODY-READS", "||||001190012345").replace("01021.1", visit_number)
    found = report([visit(body)], STANDARD)
    [one] = [one for one in found.findings if one.code == "VISIT_IS_CITIZEN_NUMBER"]
    assert (found.grade, one.place, one.count, one.severity) == ("C", "PID-18", 1, "W")
    assert "lists" in one.do_en and "lists" in one.do_vi


def test_a_line_whose_state_nobody_understands_lowers_the_grade() -> None:
    body = "PID|1||777^^^01021^MR||Lê^Hoa\rOBR|1|5||X|||20261123\rOBX|1|NM|2345^X^LN||9|||N|||K\r"
    found = report([visit(body, "ORU^R01^ORU_R01")], STANDARD)
    [one] = [one for one in found.findings if one.code == "RESULT_STATE_UNKNOWN"]
    assert found.grade == "C" and "[codes.line_status]" in one.do_en
    understood = report([visit(body.replace("|K", "|F"), "ORU^R01^ORU_R01")], STANDARD)
    assert not [one for one in understood.findings if one.place == "OBX-11"]


def test_an_empty_about_and_lost_values_that_are_accepted_are_said_beside_the_grade() -> None:
    mine = compile_text("mine", 'extends = "_standard"\nversion = "1"\nabout = ""\n')
    accepted = frozenset({("TIME_UNPARSABLE", "W", "PID-7")})
    another = sample((HEAD % "ADT^A04^ADT_A01" + VISIT).replace("|C-1|", "|C-2|").encode())
    found = report([unread(accepted=accepted, unsaid=True), another], mine)
    assert found.grade == "A"
    assert [en.partition(":")[0] for en, _ in found.remarks] == [
        "`about` of the profile is empty", "`about` of goldens is empty", "1 values that a golden accepts are lost",
    ]  # fmt: skip
    assert "1 values that a golden accepts are lost" in page(found, "now")
    assert report([visit()], STANDARD).remarks == ()


@pytest.mark.parametrize(
    ("test", "told"), [("GLU^Glucose", 1), ("GLU^Glucose^L^14749-6^Glucose^LN", 0), ("14749-6^Glucose^LN", 0), ("VN-CN", 0)]
)
def test_a_test_that_only_its_laboratory_knows_is_told_and_lowers_no_grade(test: str, told: int) -> None:
    body = f"PID|1||7^^^01021^MR||Lê^Hoa\rOBR|1|5^01021|9|CMP^^L|||20261123070000|||||||||||||||20261123080000||LAB|F\rOBX|1|NM|{test}||5.1|mmol/L|||||F\r"
    found = report([visit(body, "ORU^R01^ORU_R01")], STANDARD)
    assert [(one.severity, one.place) for one in found.findings if one.code == "TEST_LOCAL"] == [("I", "OBX-3")] * told
    assert found.grade == "A"


@pytest.mark.parametrize(
    ("test", "told"),
    [("14749-6^Glucose^LN", 0), ("14749-5^Glucose^LN", 1), ("14749-5^Glucose^L", 0), ("GLU^G^L^14749-5^G^LN", 1)],
)
def test_a_code_that_loinc_cannot_have_is_told(test: str, told: int) -> None:
    body = f"PID|1||7^^^01021^MR||Lê^Hoa\rOBR|1|5|9|X|||20261123\rOBX|1|NM|{test}||5.1|mmol/L|||||F\r"
    found = report([visit(body, "ORU^R01^ORU_R01")], STANDARD)
    assert [(one.severity, one.place) for one in found.findings if one.code == "TEST_CODE_WRONG"] == [("W", "OBX-3")] * told


@pytest.mark.parametrize(("charset", "told"), [("vni", 1), ("utf-8", 0), ("", 0)])
def test_a_charset_of_the_profile_in_which_no_sample_is_is_told_though_each_declares_its_own(charset: str, told: int) -> None:
    mine = compile_text("mine", f'extends = "_standard"\nversion = "1"\nabout = "x"\ncharset = "{charset}"\n')
    head = HEAD.rstrip("\r") % "ADT^A04^ADT_A01" + "||||||UNICODE UTF-8\r"
    found = report([sample((head + VISIT).encode(), mine)], mine)
    assert not found.findings and len(found.remarks) == told
    assert all('charset = "vni" of the profile: none of these samples is in it (utf-8 × 1)' in en for en, _ in found.remarks)


@pytest.mark.parametrize(
    ("pages", "declared", "own", "told"),
    [
        (("tcvn3", "windows-1258"), False, "", 1),
        (("tcvn3", "windows-1258"), True, "", 0),
        (("tcvn3", "windows-1258"), False, "tcvn3", 0),
        (("tcvn3", "utf-8"), False, "", 0),
    ],
)
def test_a_charset_that_is_guessed_among_several_is_told_to_be_said_in_msh_18(
    pages: tuple[str, ...], declared: bool, own: str, told: int
) -> None:
    mine = compile_text("mine", f'extends = "_standard"\nversion = "1"\nabout = "x"\ncharset = "{own}"\n')
    head = HEAD % "ADT^A04^ADT_A01"
    raws = [encode((head.replace("|2.5.1", f"|2.5.1||||||{page}") if declared else head) + VISIT, page) for page in pages]
    remarks = report([sample(raw, mine) for raw in raws], mine).remarks
    assert [en.startswith("MSH-18 is empty and the charset guessed (tcvn3 × 1, windows-1258 × 1)") for en, _ in remarks] == [
        True
    ] * told


@pytest.mark.parametrize(
    ("states", "told"),
    [("D", 1), ("XX", 2), ("DNF", 2), ("DF", 0), ("DFF", 0), ("F", 0), ("CC", 0), ("P", 0), ("D-", 1), ("T", 0)],
)
def test_states_that_say_there_is_no_result_are_doubted_where_most_lines_with_a_value_have_one(states: str, told: int) -> None:
    def line(state: str, value: str, number: int) -> str:
        return f"OBX|{number}|NM|2345-7^X^LN||{value}||||||{state.replace('-', '')}\r"

    head = "PID|1||777^^^01021^MR||Lê^Hoa\rOBR|1|5||X|||20261123\r"
    lines = "".join(line(state, "9", number) for number, state in enumerate(states, 1))
    found = report([visit(head + lines + line("X", "", 9), "ORU^R01^ORU_R01")], STANDARD)
    doubts = [(one.severity, one.place, one.count) for one in found.findings if one.code == "RESULT_STATE_DOUBTFUL"]
    assert doubts == ([("W", "OBX-11", told)] if told else []) and (not told or found.grade == "C")


def test_a_state_that_the_profile_maps_is_doubted_no_more() -> None:
    rules = '[observation]\nstatus = { from = "OBX-11", codes = "line_status", unknown = "keep" }\n[codes.line_status]\nD = "F"\n'
    mine = compile_text("mine", f'extends = "_standard"\nversion = "1"\n{rules}')
    body = "PID|1||777^^^01021^MR||Lê^Hoa\rOBR|1|5||X|||20261123\rOBX|1|NM|2345-7^X^LN||9||||||D\r"
    raw = (HEAD % "ORU^R01^ORU_R01" + body).encode()
    codes = [{one.code for one in report([sample(raw, dialect)], dialect).findings} for dialect in (STANDARD, mine)]
    assert ["RESULT_STATE_DOUBTFUL" in each for each in codes] == [True, False]


def shared(*visits: tuple[str, str, str], kind: str = "ADT^A04^ADT_A01") -> list[tuple[str, str, int]]:
    """What is told of numbers shared, of visits given as name, patient's number and number of the visit (of its order)."""
    said = []
    for at, (name, patient, number) in enumerate(visits):
        body = VISIT.replace("Lê^Hoa", name).replace("777", patient).replace("01021.1", number)
        order = f"ORC|NW|{number}\rOBR|1|{number}||GLU^G\r"
        body = body if kind.startswith("ADT") else body.replace(number, f"V-{at}").replace("EVN|A04|20261123080000\r", "") + order
        said.append(sample((HEAD % kind + body).replace("|C-1|", f"|C-{at}|").encode()))
    found = report(said, STANDARD)
    told = [(one.code, one.place, one.count) for one in found.findings if one.code.endswith("_SHARED")]
    assert not told or found.grade == "C"
    return told


@pytest.mark.parametrize(
    ("visits", "told"),
    [
        ([("Lê^Hoa", "1", "V1"), ("Vũ^Lan", "2", "V1"), ("Lê^Hoa", "1", "V1"), ("Đỗ^An", "3", "V1")], 3),
        ([("Lê^Hoa", "1", "V1"), ("Vũ^Lan", "2", "V2")], 0),
        ([("Lê^Hoa", "1", "V1"), ("Lê^Hòa", "1", "V1")], 0),
        ([("Lê^Hoa", "1", "V1"), ("LÊ^HOA", "2", "V1")], 0),
    ],
    ids=["three patients", "a number each", "a name corrected", "a number corrected"],
)
def test_a_number_that_stands_for_several_patients_is_told_once_of_each(visits: list[tuple[str, str, str]], told: int) -> None:
    assert shared(*visits) == ([("NUMBER_SHARED", "PV1-19", told)] if told else [])
    assert shared(*visits, kind="ORM^O01^ORM_O01") == ([("NUMBER_SHARED", "ORC-2", told)] if told else [])


def test_a_control_id_of_different_messages_is_told_once_of_each_and_a_repetition_is_not() -> None:
    found = report([visit(), visit(), visit(VISIT.replace("12 Phố", "14 Phố"))], STANDARD)
    assert [(one.code, one.place, one.count) for one in found.findings] == [("CONTROL_ID_SHARED", "MSH-10", 2)]
    assert report([visit(), visit()], STANDARD).grade == "A"


def charged(*messages: str, visit: str = "01021.1") -> list[Sample]:
    """A DFT for each text, of lines such as `1 CG A`: FT1-2, the kind, the item, and the line that it takes back."""
    said = []
    for at, text in enumerate(messages):
        rows = [(*line.split(), "")[:4] for line in text.split(",")]
        body = f"EVN|P03|20261123080000\rPID|1||777^^^01021^MR||Lê^Hoa\rPV1|1|O{'|' * 17}{visit}\r" + "".join(
            f"FT1|{n}|{line}||20261123||{kind}|{item}^{item}^VN-DVKT|||1|1000|1000{'|' * 19}{back}\r"
            for n, (line, kind, item, back) in enumerate(rows, 1)
        )
        head = (HEAD % "DFT^P03").replace("|C-1|", f"|C-{at}|").replace("20261123080000", f"202611230{at}0000")
        said.append(sample((head + body).encode()))
    return said


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        (("1 CG A,2 CG B", "1 CG C,2 CG D"), 2),
        (("1 CG A,2 CG B", "1 CG A,2 CG B"), 0),
        (("1 CG A,2 CG B", "3 CG C,4 CG D"), 0),
        (("1 CG A", "9 CD A 1,1 CG C"), 0),
        (("1 CG A", "1 CD A 1", "1 CG C"), 0),
        (("1 CG A", "1 PY C"), 0),
        (("1 CG A,2 CG B", "1 CD B 2"), 0),
        (("1 CG A", "9 CD B 1"), 1),
        (("1 CG A", "1 PY C", "1 CG B"), 1),
    ],
    ids=[
        *("counted anew", "said again", "a number each", "taken back by its line", "taken back under it", "a payment"),
        *("a credit of another line", "a credit of another item", "after a payment"),
    ],
)
def test_other_items_under_the_line_numbers_of_a_visit_are_told_across_messages(messages: Sequence[str], told: int) -> None:
    for samples in (charged(*messages), charged(*messages)[::-1]):  # what they were stated in counts, not how they lie there
        found = report(samples, STANDARD)
        assert [(one.code, one.place, one.count) for one in found.findings] == [("LINE_NUMBER_SHARED", "FT1-2", told)] * bool(
            told
        )
        assert found.grade == ("C" if told else "A")
    apart = [one for at, text in enumerate(messages) for one in charged(text, visit=f"V-{at}")]
    assert "LINE_NUMBER_SHARED" not in {one.code for one in report(apart, STANDARD).findings}


def test_what_shares_a_line_number_within_a_message_is_told_once() -> None:
    [found] = report(charged("1 CG A,1 CG B", "2 CG C"), STANDARD).findings
    assert (found.code, found.count) == ("LINE_NUMBER_SHARED", 1)


@pytest.mark.parametrize(("flags", "told"), [("H", 0), ("", 0), ("N~A", 0), ("CAO", 1), ("H~CAO", 1)])
def test_a_flag_that_nobody_else_knows_is_a_finding(flags: str, told: int) -> None:
    result = f"PID|1||777^^^01021^MR||Lê^Hoa\rOBR|1|5||X|||20261123\rOBX|1|NM|2345^X^LN||9|||{flags}|||F\r"
    found = report([visit(result, "ORU^R01^ORU_R01")], STANDARD)
    assert [(one.code, one.severity) for one in found.findings if one.place == "OBX-8"] == [("CODE_UNKNOWN", "W")] * told


def test_every_remedy_belongs_to_an_error() -> None:
    assert {*REMEDIES, *(code for code, _ in REMEDIES_AT)} <= set(ERRORS)


def refused(**more: object) -> Sample:
    return visit("EVN|A04\r", **more)


def keyless(**more: object) -> Sample:
    return visit(VISIT.replace("01021.1", ""), **more)


def unread(**more: object) -> Sample:
    return visit(VISIT.replace("19900102", "hôm qua"), **more)


def test_warnings_that_a_golden_accepts_are_listed_apart() -> None:
    found = report([keyless(accepted=frozenset({("KEY_MISSING", "W", "PV1-19")})), keyless()], STANDARD)
    assert [(one.code, one.place, one.count) for one in found.accepted] == [("KEY_MISSING", "PV1-19", 1)]
    assert [(one.code, one.place, one.count) for one in found.findings if one.severity == "W"] == [("KEY_MISSING", "PV1-19", 1)]
    assert "Accepted in goldens" in page(found, "now")


@pytest.mark.parametrize(
    ("samples", "grade"),
    [
        ([visit()], "A"),
        ([visit(VISIT.replace("PV1|1|O", "PV1|1|"))], "B"),
        ([visit(VISIT.replace("01021.1", ""))], "C"),
        ([visit(VISIT.replace("19900102", "hôm qua"))], "C"),
        ([visit(VISIT.replace("NOBODY-READS", "001190012345"))], "C"),
        ([visit(), refused()], "D"),
        ([visit(), refused(), refused()], "E"),
        ([visit(), refused(expected=True), refused(expected=True)], "A"),
        ([keyless(accepted=frozenset({("KEY_MISSING", "W", "PV1-19")}))], "A"),
        ([keyless(accepted=frozenset({("KEY_MISSING", "W", "PV1-20")}))], "C"),
        ([unread(accepted=frozenset({("TIME_UNPARSABLE", "W", "PID-7")}))], "A"),
        ([unread(accepted=frozenset({("TIME_UNPARSABLE", "W", "PID-7")})), keyless()], "C"),
        ([], "E"),
    ],
    ids=[
        "clean",
        "form",
        "key missing",
        "value lost",
        "number unread",
        "one refused",
        "most refused",
        "refused as expected",
        "warned as accepted",
        "warned elsewhere than accepted",
        "value lost as accepted",
        "one accepted, another not",
        "none",
    ],
)
def test_the_rule_of_grading(samples: Sequence[Sample], grade: str) -> None:
    found = report(samples, STANDARD)
    assert found.grade == grade
    assert found.unexpected == sum(one.refused and not one.expected for one in samples)


# --- nothing of a patient ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "looks"),
    [
        ("Nguyễn Văn An", "Aaaaaa Aaa Aa"),
        ("NGUYỄN", "AAAAA…"),
        ("2026-11-23", "9999-99-99"),
        ("CS1-0098765", "AA9-9999999"),
        ("a\tb\x1bc", "a·a·a"),
        ("x" * 99, "aaaaa……"),
    ],
)
def test_a_shape_keeps_the_form_and_drops_the_value(value: str, looks: str) -> None:
    assert shape(value) == looks


@pytest.mark.parametrize("value", ["001085012345", "DN4010116149000", "19850312", "Lê Hoa", "x" * 30, ""])
def test_what_may_be_a_person_is_no_code(value: str) -> None:
    assert not is_code(value)


def test_codes_are_shown_of_coded_fields_that_are_not_about_a_person() -> None:
    assert shown_code("2.5.1", "OBX", 3, "GLU") == "GLU"
    assert shown_code("2.5.1", "OBX", 5, "GLU") == "", "a result, of any datatype"
    assert shown_code("2.5.1", "PID", 8, "M") == ""
    assert shown_code("2.5.1", "DG1", 3, "B20") == ""
    assert shown_code("2.5.1", "ZIN", 9, "1.3") == ""


def private(samples: Sequence[Sample]) -> set[str]:
    """What a patient would not want to read in a report."""
    words: set[str] = set()
    for one in samples:
        for segment in one.message or ():
            fields = {"PID": (3, 5, 11, 13), "IN1": (36,), "NTE": (3,), "PV1": (19,)}.get(segment.name, ())
            words |= {part for number in fields for part in re.split(r"[|^~&\\ ]", segment.field(number)) if len(part) > 5}
            if segment.name == "OBX" and segment.get(2) in ("TX", "FT"):
                words.add(segment.field(5))
    return {word for word in words if word.isdigit() or not word.isascii() or any(map(str.isdigit, word))}


@pytest.mark.parametrize("folder", dialect_names())
def test_no_value_of_a_patient_is_in_the_report(folder: str) -> None:
    samples, found = of(folder)
    words = {word for word in private(samples) if "CSKCB" not in word} - {"01021", "01004"}
    assert words
    told = page(found, "now") + to_json([found.findings, found.fields, found.events, found.senders]).decode()
    assert [word for word in words if word in told] == []


# --- the page ---------------------------------------------------------------------------------------------------------


def test_the_page_stands_alone_in_two_languages() -> None:
    _, found = of("songhong_his")
    text = page(found, "27/11/2026 08:00")
    tree = html.fromstring(text)
    assert tree.xpath("//script | //link | //img | //@src | //@href") == []
    assert "url(" not in text and "@import" not in text
    vietnamese, english = (len(tree.find_class(language)) for language in ("vi", "en"))
    assert vietnamese == english > 50


def test_the_page_escapes_what_senders_wrote() -> None:
    raw = (HEAD % "ADT^A04^ADT_A01" + VISIT).replace("|HIS|", "|<script>x</script>|").encode()
    assert "<script>" not in page(report([sample(raw, name="<b>.hl7")], STANDARD), "now")


def test_messages_of_every_kind_have_a_report() -> None:
    raws = [raw for path in [*cases(), *cases(DEMO)] for raw in split(path.read_bytes())]
    found = report([sample(raw) for raw in [*raws, b"", b"MSH|", b"\xff\xfe"]], STANDARD)
    assert found.samples == len(raws) + 3
    assert {row.record for row in found.events} >= {"hie.Claim", "hie.Referral", "hie.FollowUp"}
    assert page(found, "now")


@pytest.mark.skipif(not Path(CORPUS).is_dir(), reason=NO_CORPUS)
def test_messages_written_by_others_have_a_report() -> None:
    raws = [raw for number, (_, file) in enumerate(corpus()) if number % 11 == 0 for raw in split(file)[:3]]
    found = report([sample(raw) for raw in raws], STANDARD)
    assert found.samples == len(raws) > 100
    assert found.verdicts["translated"] > 50
    assert page(found, "now")


def test_the_sections_of_profiles_are_known_by_their_record() -> None:
    assert set(conformance._WITH) <= set(conformance.sections())


def test_what_is_to_be_done_about_a_code_that_no_table_has_can_be_done() -> None:
    """The remedy of CODE_UNKNOWN names rules with tables of names, and a row of one's own: they load, and read the words."""
    rules = (
        'ma_dantoc = { from = "PID-22", codes = "ethnic_names" }',
        'matinh_cu_tru = { from = "PID-11.4", codes = "province_names" }',
    )
    row = '"Kinh (Việt)" = "01"'
    assert all(part in told for told in REMEDIES["CODE_UNKNOWN"] for part in (*rules, row))
    text = f'extends = "_standard"\nversion = "1"\n[person]\n%s\n%s\n[codes.ethnic_names]\n{row}\n'
    mine = compile_text("mine", text % rules)
    for ethnic in ("KINH", "Kinh (Việt)"):
        body = VISIT.replace("12 Phố Huế", "12 Phố Huế^^^CẦN THƠ").replace("NOBODY-READS", f"||||||||{ethnic}")
        for dialect, told in ((STANDARD, {"PID-11", "PID-22"}), (mine, set())):
            sent = visit(body, dialect=dialect)
            found = report([sent], dialect).findings
            assert {one.place for one in found if one.code == "CODE_UNKNOWN"} == told
        assert (sent.events[0][1]["person"]["matinh_cu_tru"], sent.events[0][1]["person"]["ma_dantoc"]) == ("92", "01")


@pytest.mark.parametrize(
    ("place", "table", "rows", "kind", "line"),
    [
        ("FT1-7.3", "item_system", ['"" = "ma_dich_vu"'], "DFT^P03^DFT_P03", "FT1|1|L1||20261123||CG|K1^Khám|||1|5000"),
        ("FT1-7.3", "item_system", ['DMDV = "ma_dich_vu"'], "DFT^P03^DFT_P03", "FT1|1|L1||20261123||CG|K1^Khám^DMDV|||1|5000"),
        ("IN1-15", "benefit_level", ['Q4 = "80"', 'HMO = ""'], "ADT^A04^ADT_A01", f"IN1|1|BHYT|VSS{'|' * 12}Q4"),
        ("IN1-15", "benefit_level", ['Q4 = "80"', 'HMO = ""'], "ADT^A04^ADT_A01", f"IN1|1|BHYT|VSS{'|' * 12}HMO"),
    ],
)
def test_a_remedy_of_one_place_names_its_table_and_a_row_that_helps(
    place: str, table: str, rows: list[str], kind: str, line: str
) -> None:
    body = f"{VISIT}{line}\r"
    [finding] = [one for one in report([visit(body, kind)], STANDARD).findings if one.code == "CODE_UNKNOWN"]
    assert finding.place == place and (finding.do_en, finding.do_vi) == remedy("CODE_UNKNOWN", "", place)
    assert all(f"[codes.{table}]" in told for told in (finding.do_en, finding.do_vi))
    assert all(row in told for told in (finding.do_en, finding.do_vi) for row in rows)
    mine = compile_text("mine", f'extends = "_standard"\nversion = "1"\n[codes.{table}]\n' + "\n".join(rows) + "\n")
    assert "CODE_UNKNOWN" not in {one.code for one in report([visit(body, kind, dialect=mine)], mine).findings}


def test_a_remedy_of_one_place_is_that_of_any_segment_of_the_name() -> None:
    assert remedy("CODE_UNKNOWN", "", "FT1[2]-7.3") == REMEDIES_AT["CODE_UNKNOWN", "FT1-7.3"]
    assert remedy("CODE_UNKNOWN", "", "PID-8") == REMEDIES["CODE_UNKNOWN"]
