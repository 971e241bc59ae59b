"""Vendor profiles: what is refused when one is loaded, what `extends` means, whose message it is."""

import re
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from adapters.dialects import profile
from adapters.dialects.profile import (
    Dialect,
    compile_dialect,
    compile_text,
    dialect_for,
    dialect_names,
    load_dialect,
    resolve_facility,
    use_vendors,
)
from adapters.dialects.profile_model import Profile
from adapters.dialects.sections import ONE_SEGMENT, RECORDS, fields_of
from adapters.dialects.transforms import TEXT, TRANSFORMS, Gives, fitting
from hub.cli.running import unusable_dialects
from hub.contract import directory
from hub.contract.errors import HubError
from hub.contract.events import encode, schema
from tests.adapters.dialects.said import PID, PV1, mapped, only, told

_STANDARD = Path(profile.__file__).parent / "vendors" / "_standard.toml"


def _standard() -> dict[str, Any]:
    return tomllib.loads(_STANDARD.read_text("utf-8"))


@pytest.mark.parametrize("name", dialect_names())
def test_every_shipped_profile_loads(name: str) -> None:
    dialect = load_dialect(name)
    assert dialect.name == name
    assert dialect.version


def test_every_facility_of_the_directory_has_its_dialect() -> None:
    for code, facility in directory.facilities().items():
        assert dialect_for(code).name == facility.dialect


@pytest.mark.parametrize(
    ("section", "key", "value", "where"),
    [
        ("person", "ten", "PID-5", "person.ten: no rule fills such a field; there are dia_chi, dien_thoai, gioi_tinh"),
        ("person", "ho_ten", "PID5", "person.ho_ten: not a place in a message"),
        ("person", "ho_ten", {"from": "PID-5", "as": "upper"}, "person.ho_ten: no transform upper; there are address"),
        ("person", "gioi_tinh", {"from": "PID-8", "codes": "gender"}, "person.gioi_tinh: no table codes.gender"),
        ("person", "ho_ten", {"from": "PID-5", "when": "x"}, "person.ho_ten.when"),
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
        ("codes", "item_system", {"L": "thuoc"}, "codes.item_system: no thuoc; there are ma_dich_vu, ma_thuoc, ma_vat_tu"),
        ("codes", "sex", {"NU": "F"}, "codes.sex: no F; there are 1, 2, 3"),
        ("codes", "care_form", {"NT": "I"}, "codes.care_form: no I; there are 01, 02"),
        ("codes", "discharge", {"VE": "01"}, "codes.discharge: no 01; there are 1, 2"),
        ("codes", "order_control", {"MOI": "NW"}, "codes.order_control: no NW; there are CANCELLED"),
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
        ("identifiers", "cards", ["PID-19"], "identifiers.cards: PID-19 cannot be read there, only fields of IN1 and Z-segments"),
        (
            "identifiers",
            "lists",
            ["ZBH-1"],
            "identifiers.lists: ZBH-1 cannot be read there, only fields of PID; a card in a Z-segment goes into `cards`",
        ),
        ("identifiers", "untyped", "yes", "identifiers.untyped: Input should be a valid boolean"),
        ("send", "charset", "klingon", "send.charset: no charset klingon; there are "),
        ("send", "charset", "", "send.charset: a charset to write in is needed; there are "),
        ("send", "version", "9.9", "send.version: no version 9.9 of HL7; there are 2.1, 2.2"),
        ("send", "terminator", "crcr", "send.terminator"),
        ("ack", "warnings", "no", "ack.warnings: Input should be a valid boolean"),
        ("ack", "refused", "AE", "ack.refused"),
        ("ack", "silence", True, "ack.silence"),
        ("identifiers", "card_from", "IN1", "identifiers.card_from: not a place"),
        ("facility", "aliases", [{"application": "", "name": "CS1", "code": "01004"}], "facility.aliases.0.application"),
    ],
)
def test_a_mistake_in_a_profile_is_named(section: str, key: str, value: object, where: str) -> None:
    raw = _standard()
    raw["codes"]["abnormal"] = {"C": "H", "T": "L"}
    raw[section][key] = value
    with pytest.raises(HubError) as refused:
        compile_dialect("mine", "1", raw)
    assert refused.value.code == "SETTING_WRONG"
    assert refused.value.where.startswith(f"mine.toml {where}")


def test_what_a_rule_gives_can_be_written_whatever_the_section_the_field_and_the_transform() -> None:
    """Each pair that loads gives values that the schema holds: the largest ones too."""
    meta = only(mapped("ADT^A01", PID, PV1))["meta"]
    values: dict[str, Any] = {
        "a text": "x",
        "a list of texts": ["x"],
        "a code with its text and system": {"code": "x"},
        "yes or no": True,
        "a whole number": 999_999_999,
    }
    for section, record in RECORDS.items():
        name = f"hie.claim.{record.__name__}" if record.__name__.startswith("Xml") else f"hie.{record.__name__}"
        for field, takes in fields_of(section).items():
            assert fitting(takes), (section, field)
            for gives in {TRANSFORMS[each].gives for each in fitting(takes)}:
                value = values.get(gives.name, (Decimal(10) ** gives.digits - 1).scaleb(-gives.places))
                value = [value] if (section, field) == ("order", "services") else value
                required = {each["name"]: {} for each in schema(name)["fields"] if "default" not in each}
                required |= {"meta": meta} if "meta" in required else {}
                assert encode(name, {**required, field: value}), (section, field, gives)


def test_all_mistakes_of_a_profile_are_named_at_once() -> None:
    raw = _standard()
    raw["result"]["ma_bac_si"] = "OBR-32"
    raw["person"]["ho_ten"] = {"from": "PID-5", "as": "upper"}
    raw["codes"]["sex"]["NU"] = "F"
    raw["identifiers"]["cards"] = ["PID-19"]
    with pytest.raises(HubError) as refused:
        compile_dialect("mine", "1", raw)
    told = refused.value.where
    assert told.startswith("mine.toml codes.sex: no F")
    for place in (
        "result.ma_bac_si: no rule fills such a field",
        "person.ho_ten: no transform upper",
        "identifiers.cards: PID-19",
    ):
        assert f" · {place}" in told
    assert "ma_bs_doc_kq" in told, "what the field may have been meant to be"
    raw["result"] |= {f"nothing{number}": "OBR-1" for number in range(100)}
    with pytest.raises(HubError, match=r" · … 104 faults in all\]"):
        compile_dialect("mine", "1", raw)


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
        "conditions: there is no section or line of this name; there are the sections ack, allergy, catalogue, charge,",
    ):
        assert place in told, (place, told)
    assert "and the lines extends, version, about, charset, comma" in told
    assert "identifiers.cards" not in told, "of a section with settings the first look tells first"


def test_the_page_has_the_sections_and_the_fields_that_rules_may_fill() -> None:
    """What stands in `PROFILE.md` is what this prints where they differ."""
    rows: list[str] = []
    first: dict[Any, str] = {}
    for section, record in RECORDS.items():
        by_kind: dict[Gives, list[str]] = {}
        for field, takes in fields_of(section).items():
            by_kind.setdefault(takes, []).append(f"`{field}`")
        kinds = [", ".join(by_kind.pop(TEXT, []))]
        kinds += [f"{' or '.join(f'`{name}`' for name in fitting(kind))}: {', '.join(names)}" for kind, names in by_kind.items()]
        told = f"as `{first[record]}`" if record in first else " · ".join(filter(None, kinds))
        first.setdefault(record, section)
        where = ", ".join(sorted(ONE_SEGMENT.get(section, ()))) or "any"
        rows.append(f"| `{section}` | {record.__name__} | {where} | {told} |")
    text = Path(profile.__file__).with_name("PROFILE.md").read_text("utf-8")
    found = [row for row in text.split("\n## Sections of rules\n")[1].split("\n## ")[0].splitlines() if row.startswith("| `")]
    assert found == rows, "\n".join(rows)


def test_the_page_has_every_other_section_and_line() -> None:
    text = Path(profile.__file__).with_name("PROFILE.md").read_text("utf-8")
    found = re.findall(r"^\| `\[?([a-z_]+)", text.split("\n## The rest\n")[1].split("\n## ")[0], re.MULTILINE)
    assert sorted(found) == sorted({"extends", *Profile.model_fields.keys()} - set(RECORDS))


def test_all_settings_of_a_wrong_form_are_named_at_once() -> None:
    raw = _standard()
    raw["send"] |= {"charset": "klingon", "version": "9.9"}
    raw["ack"]["silence"] = True
    with pytest.raises(HubError, match=r"ack\.silence: there is no .* · send\.version: no .* · send\.charset: no "):
        compile_dialect("mine", "1", raw)


def test_numbers_may_stand_in_several_fields_of_pid() -> None:
    raw = _standard()
    raw["identifiers"] |= {"lists": ["PID-3+PID-4+PID-19", "PID-2"], "untyped": True}
    pid = "PID|1|X1|MR7|001085012345|Phạm^Hà||19850612|F|||||||||||DN4010112345678"
    found = only(mapped("ADT^A01", "EVN|A01|20261123", pid, PV1, dialect=compile_dialect("mine", "1", raw)))
    kinds = {each["value"]: each["type"] for each in found["person"]["identifiers"]}
    assert kinds == {"MR7": "MRN", "001085012345": "SDDCN", "DN4010112345678": "BHYT_CARD", "0112345678": "BHXH_NUMBER"}


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
    raw = _standard()
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
    raw = _standard()
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


def test_the_date_of_a_card_in_a_segment_of_ones_own_may_have_the_day_first() -> None:
    raw = _standard()
    raw["identifiers"] |= {"cards": ["IN1-36", "ZBH-1"], "card_from": "ZBH-2"}
    mine = compile_dialect("mine", "1", raw)
    for said, read in [("01/02/2026", "20260201"), ("20260201", "20260201"), ("31/02/2026", "")]:
        rows = "EVN|A01|20261123", PID, PV1, f"ZBH|DN4010112345678|{said}"
        assert _cards_of(mine, "ADT^A01", *rows) == [[("DN4010112345678", read)]]


def test_an_alias_may_name_the_code_of_a_facility_that_has_a_dialect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = 'extends = "_standard"\nversion = "1"\nabout = "Invented."\n[facility]\naliases = [{ application = "SAOMAI", name = "01004", code = "%s" }]\n'
    with pytest.raises(HubError, match="01004 is a code itself"):
        compile_text("mine", own % "01021")
    (tmp_path / "second_lis.toml").write_text(own % "01004", "utf-8")
    try:
        use_vendors(tmp_path)
        assert [(code, how.name) for code, how in [resolve_facility("SAOMAI", ["01004"])]] == [("01004", "second_lis")]
        assert resolve_facility("HIS", ["01004"])[1].name == "songhong_his"
    finally:
        use_vendors(None)


def test_cards_of_in1_keep_their_dates_beside_those_in_a_segment_of_ones_own() -> None:
    raw = _standard()
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
    raw = _standard()
    raw["identifiers"] |= stated
    with pytest.raises(HubError) as refused:
        compile_dialect("mine", "1", raw)
    assert told in refused.value.where


def test_what_is_no_card_where_the_profile_says_one_stands_is_told() -> None:
    raw = _standard()
    raw["identifiers"]["cards"] = ["IN1-36", "ZBH-1"]
    found = mapped("ADT^A01", "EVN|A01|20261123", PID, PV1, "ZBH|KHONG", dialect=compile_dialect("mine", "1", raw))
    assert ("IDENTIFIER_UNREAD", "ZBH-1") in told(found)
    assert only(found)["meta"]["unparsed"] == {"person.identifiers.value": "KHONG"}


def test_each_of_a_list_is_looked_up_in_a_table() -> None:
    raw = _standard()
    raw["codes"]["abnormal"] = {"C": "H", "T": "L"}
    raw["observation"]["flags"] = {"from": "OBX-8", "as": "list", "codes": "abnormal"}
    mine = compile_dialect("mine", "1", raw)
    lines = [f"OBX|{number}|NM|GLU^G||7|mmol/L||{flags}|||F" for number, flags in enumerate(["C", "C~T", "C~?"], 1)]
    said = mapped("ORU^R01", PID, "OBR|1|P1|F1|GLU^G", *lines, dialect=mine)
    assert [line.get("flags") for line in only(said)["observations"]] == [["H"], ["H", "L"], None]
    assert ("CODE_UNKNOWN", "OBX[3]-8") in told(said)


def test_codes_are_compared_without_case_where_that_loses_nothing() -> None:
    raw = _standard()
    raw["codes"]["sex"] = {"NAM": "1", "Nữ": "2", "x": "1", "X": "2", "y": "1", "Y": "3"}
    mine = compile_dialect("mine", "1", raw)
    sent = ["NAM", "nam", "Nam", "NỮ", "nữ", "x", "X", "Y"]
    found = [mapped("ADT^A01", "EVN|A01|20261123", f"PID|1||N1^^^^MR||A^B||1985|{code}", PV1, dialect=mine) for code in sent]
    assert [only(one)["person"].get("gioi_tinh") for one in found] == ["1", "1", "1", "2", "2", "1", "2", "3"]


def test_a_charset_that_nobody_knows_is_refused() -> None:
    with pytest.raises(HubError, match=r"mine\.toml charset: no charset cp-1258x; there are .*windows-1258"):
        compile_dialect("mine", "1", _standard() | {"charset": "cp-1258x"})


def test_an_unknown_table_is_refused() -> None:
    with pytest.raises(HubError, match=r"mine\.toml conditions"):
        compile_dialect("mine", "1", _standard() | {"conditions": {}})


def test_a_vendor_states_only_what_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "_standard.toml").write_bytes(_STANDARD.read_bytes())
    (tmp_path / "mine.toml").write_text(
        'extends = "_standard"\nversion = "3"\n[person]\nho_ten = "PID-9"\ndien_thoai = ""\n[codes.sex]\nX = "3"\n', "utf-8"
    )
    monkeypatch.setattr(profile, "_VENDORS", tmp_path)
    mine = load_dialect.__wrapped__("mine")
    rules = {rule.name: rule for rule in mine.plans["person"]}
    assert mine.version == f"3+{load_dialect(profile.STANDARD).version}"
    assert [place.field for place in rules["ho_ten"].places] == [9]
    assert rules["ho_ten"].transform is None, "a rule is replaced whole"
    assert "dien_thoai" not in rules, "an empty place switches a rule off"
    assert "ngay_sinh" in rules, "what is not stated stays"
    assert mine.codes["sex"]["X"] == "3"
    assert mine.codes["sex"]["M"] == "1"


def test_a_profile_that_extends_itself_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.toml").write_text('extends = "b"\n', "utf-8")
    (tmp_path / "b.toml").write_text('extends = "a"\n', "utf-8")
    monkeypatch.setattr(profile, "_VENDORS", tmp_path)
    with pytest.raises(HubError, match="extends itself"):
        load_dialect.__wrapped__("a")


@pytest.mark.parametrize("name", ["nobody", "../_standard", ""])
def test_a_dialect_that_is_not_there(name: str) -> None:
    with pytest.raises(HubError) as refused:
        load_dialect(name)
    assert refused.value.code == "NOT_FOUND"


@pytest.mark.parametrize(
    ("application", "facility", "code", "dialect"),
    [
        ("HIS", ["01021"], "01021", "_standard"),
        ("HIS", ["CS01004"], "01004", "songhong_his"),
        ("HIS", ["Ánh Dương", "01940"], "01940", "anhduong_lis"),
        ("SONGHONG_HIS", ["CS1"], "01004", "songhong_his"),
        ("SONGHONG_HIS", ["CS2"], "01004", "songhong_his"),
        ("OTHER_HIS", ["CS1"], "CS1", "_standard"),
        ("HIS", ["79999"], "79999", "_standard"),
        ("HIS", ["Good Health Hospital"], "GoodHealthHospital", "_standard"),
        ("HIS", ["  "], "", "_standard"),
        ("", [], "", "_standard"),
    ],
)
def test_whose_message_it_is(application: str, facility: list[str], code: str, dialect: str) -> None:
    found, how = resolve_facility(application, facility)
    assert (found, how.name) == (code, dialect)


def test_whose_message_it_is_follows_the_directory(tmp_path: Path) -> None:
    """The aliases of a profile that came with a new facility, too."""
    own = tmp_path / "own"
    own.mkdir()
    ours = ("HIS", ["01004"]), ("MINHTAM", ["PK1"])
    try:
        use_vendors(own)
        assert [resolve_facility(*one)[1].name for one in ours] == ["songhong_his", "_standard"]
        aliases = '[facility]\naliases = [{ application = "MINHTAM", name = "PK1", code = "26001" }]\n'
        (own / "minhtam_his.toml").write_text(f'extends = "_standard"\nversion = "1"\nabout = "Invented."\n{aliases}', "utf-8")
        row = "code,name,kind,province,dialect,valid_from\n26001,Thử,clinic,26,minhtam_his,2019-01-01\n"
        (tmp_path / "facilities.csv").write_text(row, "utf-8")
        directory.use_directory(tmp_path, unusable_dialects)
        assert dialect_for("26001").name == "minhtam_his" and dialect_for("01004").name == "_standard"
        assert [resolve_facility(*one)[1].name for one in ours] == ["_standard", "minhtam_his"]
    finally:
        use_vendors(None)
        directory.use_directory(None)


def test_a_name_never_becomes_a_code_by_losing_its_signs() -> None:
    assert resolve_facility("HIS", ["01 004"])[0] != "01004"
    assert resolve_facility("HIS", ["(01004)"])[0] != "01004"
