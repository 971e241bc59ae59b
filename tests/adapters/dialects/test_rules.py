"""What a profile may not say, and where it may say that numbers and cards of a patient stand."""

from typing import Any

import pytest

from adapters.dialects.profile import Dialect, compile_dialect, compile_text, read_profile
from adapters.dialects.sections import DAYS, RECORDS
from hub.contract.errors import HubError
from tests.adapters.dialects.said import PID, PV1, mapped, only, told

OWN = 'extends = "_standard"\nversion = "1"\n'


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('[person]\ncomma = "decimal"\n', "person.comma: behind [person] this line belongs to that section; write it before"),
        ("[person]\nended = true\n", "person.ended: behind [person] this line belongs to that section; write it before"),
        ('[send]\ncomma = "decimal"\n', "send.comma: behind [send] this line"),
        ('[codes]\ncomma = "decimal"\n', "codes.comma: behind [codes] this line"),
        ('[codes.sex]\nX = "3"\ncomma = "thousands"\n', "codes.sex.comma: behind [codes.sex] this line"),
        ('[tests]\nGLU = { code = "1", system = "LN" }\ncharset = "tcvn3"\n', "tests.charset: behind [tests] this line"),
        ('[identifiers.types]\nBN = "MRN"\ncharset = "tcvn3"\n', "identifiers.types.charset: behind [identifiers.types] this"),
        ('[facility]\naliases = []\nabout = "x"\n', "facility.about: behind [facility] this line"),
    ],
)
def test_a_line_of_the_head_behind_a_section_is_told_where_it_belongs(text: str, where: str) -> None:
    with pytest.raises(HubError) as refused:
        compile_text("mine", OWN + text)
    assert refused.value.where.startswith(f"mine.toml {where}") and " · " not in refused.value.where, "once, and nothing else"


def test_lines_of_such_a_name_that_belong_to_a_section_are_taken() -> None:
    text = '[send]\nversion = "2.4"\ncharset = "tcvn3"\n[codes.doctors]\nabout = "x"\n[tests]\ncomma = { code = "1", system = "LN" }\n'
    assert compile_text("mine", OWN + text).send.charset == "tcvn3"


@pytest.mark.parametrize(
    ("section", "key", "value", "where"),
    [
        ("person", "ten", "PID-5", "person.ten: no rule fills such a field; did you mean ho_ten? There are dia_chi, dien_thoai,"),
        (
            "person",
            "ho_ten",
            "PID5",
            "person.ho_ten: not a place in a message: 'PID5'; it is a segment and a field, such as PID-7",
        ),
        ("person", "ho_ten", {"from": "PID-5", "as": "upper"}, "person.ho_ten: no transform upper; there are address"),
        (
            "order",
            "notes",
            {"from": ["OBR-13", "OBX-5"], "as": "list"},
            "order.notes: OBX-5 cannot be read there: the OBX of an order,",
        ),
        ("person", "gioi_tinh", {"from": "PID-8", "codes": "gender"}, "person.gioi_tinh: no table codes.gender"),
        (
            "person",
            "ho_ten",
            {"from": "PID-5", "when": "x"},
            "person.ho_ten.when: there is no setting of this name; there are as, codes, from, unknown",
        ),
        (
            "charge_line",
            "so_luong",
            "FT1-10",
            'charge_line.so_luong: the field takes a number with 3 places at most, without `as` a rule gives a text; write as = "quantity"',
        ),
        (
            "charge_line",
            "ma_nhom",
            {"from": "ZFT-1", "as": "whole"},
            'charge_line.ma_nhom: the field takes a text, as = "whole" gives a whole number',
        ),
        (
            "observation",
            "number",
            {"from": "OBX-5", "as": "number_not_zero"},
            "observation.number: no rule fills this field: it follows",
        ),
        (
            "charge_line",
            "thanh_tien_bv",
            {"from": "FT1-11", "as": "unit_price"},
            "charge_line.thanh_tien_bv: the field takes a number with 2",
        ),
        ("charge_line", "so_luong", {"from": "FT1-10", "as": "amount"}, "charge_line.so_luong: the field takes a number with 3"),
        (
            "prescription_line",
            "refills",
            {"from": "RXE-12", "as": "quantity"},
            "prescription_line.refills: the field takes a whole",
        ),
        (
            "diagnosis",
            "main",
            "DG1-15",
            'diagnosis.main: the field takes yes or no, without `as` a rule gives a text; write as = "is_one"',
        ),
        (
            "diagnosis",
            "type",
            {"from": "DG1-6", "as": "is_one"},
            'diagnosis.type: the field takes a text, as = "is_one" gives yes or no',
        ),
        ("procedure", "code", "PR1-3", "procedure.code: the field takes a code with its text and system, without `as`"),
        ("order", "services", "OBR-4", "order.services: the field takes a code"),
        ("order", "diagnoses", "DG1-3", "order.diagnoses: no rule fills such a field; there are action"),
        ("person", "identifiers", "PID-3", "person.identifiers: no rule fills this field: [identifiers] says"),
        ("price", "don_gia", {"from": "PRC-5", "as": "unit_price", "codes": "sex"}, "price.don_gia: `codes` looks up texts"),
        ("codes", "resource", {"BEDS": "BED.count"}, "codes.resource: no BED.count"),
        ("codes", "item_system", {"L": "thuoc"}, "codes.item_system: no thuoc; did you mean ma_thuoc? There are ma_dich_vu,"),
        ("codes", "sex", {"NU": "F"}, "codes.sex: no F; there are 1, 2, 3"),
        ("codes", "care_form", {"NT": "I"}, "codes.care_form: no I; there are 01, 02"),
        ("codes", "discharge", {"VE": "01"}, "codes.discharge: no 01; did you mean 1? There are 1, 2"),
        ("codes", "order_control", {"MOI": "NW"}, "codes.order_control: no NW; there are ACCEPTED, CANCELLED"),
        (
            "observation",
            "flags",
            {"from": "OBX-8", "codes": "abnormal"},
            'observation.flags: the field takes a list of texts, without `as` a rule gives a text; write as = "list" or "paths"',
        ),
        (
            "observation",
            "don_vi_do",
            {"from": "OBX-6", "as": "list"},
            'observation.don_vi_do: the field takes a text, as = "list" gives a list',
        ),
        ("observation", "ma_may", "ZLB-1", "observation.ma_may: ZLB-1 cannot be read there, only fields of OBX"),
        ("identifiers", "lists", ["PID-3+PV1-19"], "identifiers.lists: PV1-19 cannot be read there, only fields of PID"),
        (
            "identifiers",
            "cards",
            ["PID-19"],
            "identifiers.cards: PID-19 cannot be read there, only fields of IN1 and Z-segments; "
            'a card in PID goes into `lists`, and PID-19 = "BHYT_CARD" into [identifiers.types]',
        ),
        (
            "identifiers",
            "lists",
            ["ZBH-1"],
            "identifiers.lists: ZBH-1 cannot be read there, only fields of PID; a card in a Z-segment goes into `cards`",
        ),
        (
            "identifiers",
            "lists",
            ["PID-3+PID-21"],
            "identifiers.lists: PID-21 holds the mother's numbers: among the patient's own they would make one person of mother and child",
        ),
        ("identifiers", "untyped", "yes", "identifiers.untyped: true or false is wanted, without quotes"),
        ("send", "charset", "klingon", "send.charset: no charset klingon; there are "),
        ("send", "charset", "", "send.charset: a charset to write in is needed; there are "),
        ("send", "version", "9.9", "send.version: no version 9.9 of HL7; there are 2.1, 2.2"),
        ("ack", "warnings", "no", "ack.warnings: true or false is wanted, without quotes"),
        ("ack", "silence", True, "ack.silence: there is no setting of this name; there are refused, warnings"),
        (
            "identifiers",
            "list",
            ["PID-3"],
            "identifiers.list: there is no setting of this name; did you mean lists? There are card_from, card_to, cards, lists",
        ),
        (
            "tests",
            "GLU",
            {"code": "1", "system": "LN", "name": "x"},
            "tests.GLU.name: there is no setting of this name; there are alt_code",
        ),
        (
            "facility",
            "aliases",
            [{"application": "A", "name": "CS1", "code": "01004", "kod": "1"}],
            "facility.aliases, entry 1, kod: there is no setting of this name; there are application, code, name",
        ),
        (
            "sensitive",
            "HIV",
            {"icd": [], "tests": [], "words": [], "word": []},
            "sensitive.HIV.word: there is no setting of this name; did you mean words? There are harmless, icd",
        ),
        ("identifiers", "card_from", "IN1", "identifiers.card_from: not a place"),
        (
            "facility",
            "aliases",
            [{"application": "", "name": "CS1", "code": "01004"}],
            "facility.aliases, entry 1, application: it must not",
        ),
        (
            "facility",
            "aliases",
            [{"application": "A", "name": "CS1", "code": "1004"}],
            "facility.aliases, entry 1, code: the five digits of MA_CSKCB are wanted, in quotes",
        ),
        ("facility", "aliases", [{"application": "A", "name": "CS1"}], "facility.aliases, entry 1, code: this line is missing"),
        ("facility", "aliases", "01004", 'facility.aliases: a list is wanted, in brackets: ["…", "…"]'),
        ("identifiers", "payers", "VSS", "identifiers.payers: a list is wanted, in brackets"),
        ("identifiers", "types", {"NI": 1}, 'identifiers.types.NI: a text is wanted, in quotes: "…"'),
        ("codes", "doctors", "x", "codes.doctors: a table is wanted"),
        ("send", "terminator", "crcr", 'send.terminator: "cr", "lf" or "crlf" is wanted'),
        ("ack", "refused", "AE", 'ack.refused: "coded", "AA" or "none" is wanted'),
        ("person", "ngay_sinh", 7, 'person.ngay_sinh.from: a place is wanted, in quotes: "PID-5"; or a list of them'),
        ("person", "ngay_sinh", ["PID-7", 7], 'person.ngay_sinh.from, entry 2: a place is wanted, in quotes: "PID-5"'),
        ("identifiers", "lists", ["PIX-3"], "identifiers.lists: PIX-3 cannot be read there, only fields of PID"),
        (
            "person",
            "ho_ten",
            {"from": "PID-5", "as": "fullname"},
            "person.ho_ten: no transform fullname; did you mean full_name?",
        ),
    ],
)
def test_a_mistake_in_a_profile_is_named(section: str, key: str, value: object, where: str) -> None:
    raw = read_profile("_standard")[0]
    raw["codes"]["abnormal"] = {"C": "H", "T": "L"}
    raw.setdefault(section, {})[key] = value
    with pytest.raises(HubError) as refused:
        compile_dialect("mine", "1", raw)
    assert refused.value.code == "SETTING_WRONG"
    assert refused.value.where.startswith(f"mine.toml {where}")


def test_what_is_wrong_by_itself_hides_nothing_else() -> None:
    own = (
        '[conditions]\na = "x"\n[observation]\nnumber = { from = "OBX-5", as = "whole" }\nstatus = { from = "OBX-11", if = "x" }\n'
        '[person]\nho_ten = 3\nten = "PID-5"\n[ack]\nsilence = true\n'
        '[identifiers]\ncards = ["PID-1", "PV1-2"]\nlists = ["ZBH-1"]\nuntyped = "yes"\n[send]\nversion = "9.9"\n[codes]\ndoctors = "x"\nsex = { NU = "F", NAM = 1 }\n'
    )
    with pytest.raises(HubError) as refused:
        compile_text("mine", f'extends = "_standard"\nversion = "1"\ncomma = "dot"\n{own}')
    told = refused.value.where
    for place in (
        *("comma:", "ack.silence:", "send.version:", "identifiers.untyped:", "observation.status.if:", "observation.number:"),
        *("codes.sex.NAM:", "codes.doctors:", "codes.sex: no F", "person.ten: no rule fills such a field", "person.ho_ten"),
        "conditions: there is no section or line of this name; did you mean conclusions? There are the sections ack, allergy,",
    ):
        assert place in told, (place, told)
    assert "and the lines extends, version, about, charset, comma" in told
    assert "identifiers.cards" not in told, "of a section with settings the first look tells first"


def test_numbers_may_stand_in_several_fields_of_pid() -> None:
    raw = read_profile("_standard")[0]
    raw["identifiers"] |= {"lists": ["PID-3+PID-4+PID-19", "PID-2"], "untyped": True}
    pid = "PID|1|X1|MR7|001085012345|Phạm^Hà||19850612|F|||||||||||DN4010112345678"
    found = only(mapped("ADT^A01", "EVN|A01|20261123", pid, PV1, dialect=compile_dialect("mine", "1", raw)))
    kinds = {each["value"]: each["type"] for each in found["person"]["identifiers"]}
    assert kinds == {"MR7": "MRN", "001085012345": "SDDCN", "DN4010112345678": "BHYT_CARD", "0112345678": "BHXH_NUMBER"}


@pytest.mark.parametrize("word", ["KHONG CO", "không có", "0", "000000000", "N/A"])
def test_what_stands_where_there_is_no_number_is_none(word: str) -> None:
    raw = read_profile("_standard")[0]
    raw["identifiers"] |= {"lists": ["PID-3+PID-18"], "untyped": True}
    pid = f"PID|1||MR7||Phạm^Hà||19850612|F||||||||||{word}"
    found = mapped("ADT^A01", "EVN|A01|20261123", pid, PV1, dialect=compile_dialect("mine", "1", raw))
    assert [each["value"] for each in only(found)["person"]["identifiers"]] == ["MR7"]
    assert ("IDENTIFIER_UNREAD", "PID-18") in told(found)


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        ("ADT^A01", ["EVN|A01|20261123", PID, PV1, "ZBH"]),
        ("ORU^R01", [PID, PV1, "ZBH", "OBR|1|P1|F1|GLU^G", "OBX|1|NM|GLU^G||7||||||F"]),
        ("ORU^R01", [PID, PV1, "OBR|1|P1|F1|GLU^G", "OBX|1|NM|GLU^G||7||||||F", "ZBH"]),
        ("ORM^O01", [PID, "ZBH", "ORC|NW|P1", "OBR|1|P1||GLU^G"]),
        ("REF^I12", ["RF1||||||S1", PID, "ZBH"]),
        ("SIU^S12", ["SCH|S1", PID, "ZBH"]),
        ("DFT^P03", [PID, PV1, "ZBH", "FT1|1|L1||20261123||CG|A^A^L"]),
        ("DFT^P03", [PID, PV1, "FT1|1|L1||20261123||CG|A^A^L", "ZBH"]),
        ("RDE^O11", [PID, PV1, "ZBH", "ORC|NW|1", "RXE||A^A^L"]),
        ("RDE^O11", [PID, PV1, "ORC|NW|1", "RXE||A^A^L", "ZBH"]),
        ("MDM^T02", [PID, PV1, "ZBH", "TXA|1|DS||||||||||D1"]),
        ("ADT^A28", ["EVN|A28|20261123", PID, "ZBH"]),
    ],
)
def test_a_card_may_stand_in_a_segment_of_the_senders_own(kind: str, rows: list[str]) -> None:
    raw = read_profile("_standard")[0]
    raw["identifiers"] |= {"cards": ["IN1-36", "ZBH-1.2"], "card_from": "ZBH-2", "card_to": "ZBH-3"}
    mine = compile_dialect("mine", "1", raw)

    def cards(said: str) -> list[tuple[str, str, str]]:
        found = only(mapped(kind, *(said if row == "ZBH" else row for row in rows), dialect=mine))["person"]["identifiers"]
        of_cards = [one for one in found if one["type"] == "BHYT_CARD"]
        return [(one["normalised"], one.get("valid_from", ""), one.get("valid_to", "")) for one in of_cards]

    assert cards("ZBH|x^DN 4-01 0112345678|20260101|20261231") == [("DN4010112345678", "20260101", "20261231")]
    assert cards("ZBH|x^") == []


def _cards_of(dialect: Dialect, *rows: str) -> list[list[tuple[str, str]]]:
    found = mapped(*rows, dialect=dialect).events
    persons = [event["person"]["identifiers"] for _, event in found]
    return [[(one["normalised"], one.get("valid_from", "")) for one in each if one["type"] == "BHYT_CARD"] for each in persons]


def test_cards_stand_in_every_segment_of_that_name_and_belong_to_the_patient_before_them() -> None:
    raw = read_profile("_standard")[0]
    raw["identifiers"] |= {"cards": ["IN1-36", "ZBH-1"], "card_from": "ZBH-2"}
    mine, result = compile_dialect("mine", "1", raw), ["OBR|1|P1|F1|GLU^G", "OBX|1|NM|GLU^G||7||||||F"]
    two = ["ZBH|DN4010112345678|20260101", "ZBH|GD4010112345679|20260201"]
    assert _cards_of(mine, "ADT^A01", "EVN|A01|20261123", PID, PV1, *two) == [
        [("DN4010112345678", "20260101"), ("GD4010112345679", "20260201")]
    ]
    assert _cards_of(mine, "ORU^R01", PID, *result, two[0], PID.replace("N1", "N2"), *result, two[1]) == [
        [("DN4010112345678", "20260101")],
        [("GD4010112345679", "20260201")],
    ]


def test_the_date_of_a_card_may_have_the_day_first() -> None:
    raw = read_profile("_standard")[0]
    raw["identifiers"] |= {"cards": ["IN1-36", "ZBH-1"], "card_from": "ZBH-2"}
    mine = compile_dialect("mine", "1", raw)
    for said, read in [("01/02/2026", "20260201"), ("20260201", "20260201"), ("31/02/2026", "")]:
        rows = "EVN|A01|20261123", PID, PV1, f"ZBH|DN4010112345678|{said}"
        assert _cards_of(mine, "ADT^A01", *rows) == [[("DN4010112345678", read)]]
        policy = "|".join(["IN1", "1", "BHYT", "VSS", *[""] * 8, said, "", *[""] * 22, "DN4010112345678"])
        assert _cards_of(mine, "ADT^A01", *rows[:3], policy) == [[("DN4010112345678", read)]]


def test_a_field_that_is_a_day_gets_the_day_of_a_date_as_people_write_it() -> None:
    raw = read_profile("_standard")[0]
    days = {(section, name) for section, names in DAYS.items() for name in names}
    rules = ((section, name, rule) for section in RECORDS for name, rule in raw.get(section, {}).items())
    ruled = {(section, name) for section, name, rule in rules if isinstance(rule, dict) and rule.get("as") == "day"}
    assert days == ruled | {("xml13", "gt_the_den"), ("xml14", "gt_the_den")}, "of the cards, without a rule of their own"
    raw["referral"] |= {"issued_on": {"from": "RF1-7", "as": "day_first"}, "expires_on": {"from": "RF1-8", "as": "minute"}}
    mine = compile_dialect("mine", "1", raw)
    for said, issued in [("24/11/2026", "20261124"), ("24/11/2026 08:30", "20261124"), ("11/2026", None)]:
        found = mapped("REF^I12", f"RF1|P|R||||GCT1^01021|{said}|202612240830", PID, dialect=mine)
        assert (only(found).get("issued_on"), only(found)["expires_on"]) == (issued, "20261224")
        assert (("TIME_UNPARSABLE", "RF1-7") in told(found)) is (issued is None)


def test_the_last_day_of_a_card_on_a_slip_has_eight_digits_whatever_rule_reads_it() -> None:
    raw = read_profile("_standard")[0]
    raw["xml13"] |= {"gt_the_den": {"from": "IN1-13", "as": "day_first"}}
    policy = "|".join(["IN1", "1", "BHYT", "VSS", *[""] * 9, "31/12/2026"])
    found = mapped("REF^I12", "RF1|P|R||||GCT1^01021", PID, policy, dialect=compile_dialect("mine", "1", raw))
    assert only(found)["xml13"]["gt_the_den"] == "20261231"


def test_cards_of_in1_keep_their_dates_beside_those_in_a_segment_of_ones_own() -> None:
    raw = read_profile("_standard")[0]
    raw["identifiers"] |= {"cards": ["IN1-36", "ZBH-1"], "card_from": "ZBH-2", "card_to": "ZBH-3"}
    policy = "|".join(["IN1", "1", "BHYT", "VSS", *[""] * 8, "20260301", "20261231", *[""] * 22, "DN4010112345678"])
    assert _cards_of(compile_dialect("mine", "1", raw), "ADT^A01", "EVN|A01|20261123", PID, PV1, policy) == [
        [("DN4010112345678", "20260301")]
    ]


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        ({"cards": ["IN1[1]-36"]}, "identifiers.cards: IN1[1]-36: nothing is chosen here"),
        ({"cards": ["IN1-36", "ZBH[BHYT]-2"]}, "identifiers.cards: ZBH[BHYT]-2: nothing is chosen here"),
        ({"cards": ["IN1-36", "ZBH-1[HC]"]}, "identifiers.cards: ZBH-1[HC]: nothing is chosen here"),
        ({"card_from": "ZBH-2"}, "identifiers.card_from: ZBH-2: no card is read in ZBH"),
    ],
)
def test_a_place_of_a_card_that_would_not_be_read_as_written_is_refused(stated: dict[str, Any], told: str) -> None:
    raw = read_profile("_standard")[0]
    raw["identifiers"] |= stated
    with pytest.raises(HubError) as refused:
        compile_dialect("mine", "1", raw)
    assert told in refused.value.where


def test_what_is_no_card_where_the_profile_says_one_stands_is_told() -> None:
    raw = read_profile("_standard")[0]
    raw["identifiers"]["cards"] = ["IN1-36", "ZBH-1"]
    found = mapped("ADT^A01", "EVN|A01|20261123", PID, PV1, "ZBH|KHONG", dialect=compile_dialect("mine", "1", raw))
    assert ("IDENTIFIER_UNREAD", "ZBH-1") in told(found)
    assert only(found)["meta"]["unparsed"] == {"person.identifiers.value": "KHONG"}
