"""Vendor profiles: what is refused when one is loaded, what `extends` means, whose message it is."""

import re
import tomllib
import unicodedata
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from adapters.dialects import profile
from adapters.dialects.profile import (
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
from hub.contract.facilities import provinces
from tests.adapters.dialects.said import PID, PV1, mapped, only, told

_STANDARD = Path(profile.__file__).parent / "vendors" / "_standard.toml"
_OWN = 'extends = "_standard"\nversion = "1"\n'


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
    raw["codes"]["sex"] = {"NAM": "1", "Nữ": "2", "x": "1", "X": "2", "yz": "1", "YZ": "3"}
    mine = compile_dialect("mine", "1", raw)
    sent = ["NAM", "nam", "Nam", "NỮ", "nữ", "x", "X", "YZ", "yz", "Yz"]
    found = [mapped("ADT^A01", "EVN|A01|20261123", f"PID|1||N1^^^^MR||A^B||1985|{code}", PV1, dialect=mine) for code in sent]
    assert [only(one)["person"].get("gioi_tinh") for one in found] == ["1", "1", "1", "2", "2", "1", "2", "3", "1", None]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_so_they_are_in_tables_of_no_rule_and_in_whatever_unicode_form_the_file_is_written(form: str) -> None:
    tables = """
        [codes.times_a_day]
        "2 lần/ngày" = "2"
        [codes.care_form]
        NgoaiTru = "01"
        [codes.item_system]
        DLthuoc = "ma_thuoc"
        [identifiers.types]
        "thẻ" = "BHYT_CARD"
        """
    dialect = compile_text("mine", unicodedata.normalize(form, f'extends = "_standard"\nversion = "1"\n{tables}'))
    drug = "RXE|1^2 Lần/ngày^7 ngày|A1^Amlodipin^DLTHUOC|1||Viên"
    [line] = only(mapped("RDE^O11", PID, "ORC|NW|1", drug, dialect=dialect))["lines"]
    assert (line["ma_thuoc"], line["lieu_dung"]) == ("A1", "1 Viên * 2 lần/ngày * 7 ngày")
    visit = only(mapped("ADT^A04", "PID|1||GD4010112345678^^^^Thẻ||Lê^Bình", "PV1|1|NGOAITRU", dialect=dialect))
    assert visit["ma_loai_kcb"] == "01" and visit["person"]["identifiers"][0]["type"] == "BHYT_CARD"


def test_a_charset_that_nobody_knows_is_refused() -> None:
    with pytest.raises(HubError, match=r"mine\.toml charset: no charset cp-1258x; there are .*windows-1258"):
        compile_dialect("mine", "1", _standard() | {"charset": "cp-1258x"})


@pytest.mark.parametrize(
    ("rule", "code", "value", "wanted"),
    [
        ("person.matinh_cu_tru", "Cần Thơ", "CT-1", "a code of PROVINCE_63 or PROVINCE_34 (seeds/standards/codes.csv)"),
        ("person.ma_dantoc", "Kinh", "1", "2 digits"),
        ("person.ma_dantoc", "Kinh", "٠١", "2 digits"),
        ("person.maxa_cu_tru", "Ninh Kiều", "NK", "5 digits"),
        ("person.gioi_tinh", "Nam", "M", "a code of GIOI_TINH (seeds/standards/codes.csv)"),
        ("charge_line.ma_nhom", "VT0107", "ten", "a code of MA_NHOM (seeds/standards/codes.csv)"),
    ],
)
def test_a_row_that_gives_what_its_field_cannot_be_is_refused(rule: str, code: str, value: str, wanted: str) -> None:
    section, field = rule.split(".")
    text = f'[{section}]\n{field} = {{ from = "ZPK-1", codes = "mine" }}\n[codes.mine]\n"{code}" = "%s"\n'
    with pytest.raises(HubError) as refused:
        compile_text("mine", _OWN + text % value)
    assert refused.value.where == f'mine.toml {rule}: the field takes {wanted}, and codes.mine gives others: {code} = "{value}"'
    compile_text("mine", _OWN + text % "")  # a code that is known and says nothing


def test_names_of_provinces_are_those_of_the_map_in_force_and_of_ethnic_groups_all_54() -> None:
    codes = tomllib.loads(_STANDARD.read_text("utf-8"))["codes"]
    assert codes["province_names"] == {name: code for code, name in provinces().after.items()}
    assert list(codes["ethnic_names"].values()) == [f"{number:02}" for number in range(1, 55)]
    assert "province_names" not in load_dialect(profile.STANDARD).unused, "a table for other profiles"


def test_a_transform_that_reads_no_row_of_the_table_behind_it_is_refused() -> None:
    text = '[person]\nmatinh_cu_tru = { from = "PID-11.4"%s, codes = "tinh" }\n[codes.tinh]\n"%s" = "92"\n'
    with pytest.raises(HubError) as refused:
        compile_text("mine", _OWN + text % (', as = "province"', "Cần Thơ"))
    assert 'matinh_cu_tru: as = "province" comes before the table, and reads no row of codes.tinh' in refused.value.where
    for stated, sent in (("", "Cần Thơ"), (', as = "province"', "15")):
        dialect = compile_text("mine", _OWN + text % (stated, sent))
        found = mapped("ADT^A04", f"PID|1||N1^^^^MR||A^B||||||^^^{sent}", PV1, dialect=dialect)
        assert only(found)["person"]["matinh_cu_tru"] == "92"


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
        ("HIS", ["Good Health Hospital"], "Good Health Hospital", "_standard"),
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


@pytest.mark.parametrize(("application", "name"), [("songhong_his", "cs1"), ("SONGHONG_HIS ", "CS1 "), (" SongHong_HIS", " Cs1")])
def test_an_alias_is_known_in_any_case_and_with_blanks_at_its_ends(application: str, name: str) -> None:
    expected, dialect = resolve_facility("SONGHONG_HIS", ["CS1"])
    assert dialect.name == "songhong_his"
    assert resolve_facility(application, [name])[0] == expected
    assert profile.resolve_as(application, [name], dialect) == expected
    assert resolve_facility(application, ["C S1"])[0] != expected, "blanks within are another name"


def test_two_profiles_that_claim_one_alias_in_another_case_are_both_named(tmp_path: Path) -> None:
    aliases = '[facility]\naliases = [{ application = "SaoMai", name = "SinhHoa ", code = "01911" }]\n'
    (tmp_path / "mine.toml").write_text(OWN + aliases, "utf-8")
    try:
        use_vendors(tmp_path)
        assert len(profile.read_aliases(strictly=False)) == 1
    finally:
        use_vendors(None)


def test_a_name_never_becomes_a_code_by_losing_its_signs() -> None:
    assert resolve_facility("HIS", ["01 004"])[0] != "01004"
    assert resolve_facility("HIS", ["(01004)"])[0] != "01004"
    assert resolve_facility("HIS", ["０１００４"])[0] == "", "in wide digits"


OWN = 'extends = "_standard"\nversion = "1"\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('extends = "_standard"\nversion "1"\n', "(at line 2, column 9)"),
        (
            'extends = "_standard"\n[facility]\naliases = [\n  { application = "A", name = "B", code = "01004" },\n\n',
            "; line 3 begins",
        ),
        ('extends = "_standard"\nabout = """never\nended\n', "; line 2 begins"),
        ("x = [", "; line 1 begins"),
        ("[codes.sex]\nM = '1'\nM = '2'\n", "(at line 3, column 8); that name stands twice"),
        ("[facility]\naliases = []\n\n[facility]\n", "; that name stands twice"),
    ],
)
def test_a_file_that_is_no_toml_is_named_with_the_line(text: str, told: str) -> None:
    with pytest.raises(HubError) as refused:
        compile_text("mine", text)
    assert refused.value.code == "SETTING_WRONG" and refused.value.where.startswith("mine.toml: ")
    assert told in refused.value.where


def test_a_profile_that_extends_nothing_is_told_so_and_not_each_line_that_it_lacks() -> None:
    with pytest.raises(HubError) as refused:
        compile_text("mine", 'version = "1"\ncoments = "…"\n[codes.sex]\nNU = "2"\n')
    told = refused.value.where
    assert told.startswith("mine.toml extends: this line is missing") and 'extends = "_standard"' in told
    assert told.count("is missing") == 1 and "coments" in told, "and what else is wrong"


def test_a_profile_that_extends_nobody_is_named_itself() -> None:
    with pytest.raises(HubError) as refused:
        compile_text("mine", 'extends = "nobody"\n')
    assert refused.value.where.startswith("mine.toml extends: dialect nobody; there are _standard")


def test_two_profiles_that_claim_one_alias_are_both_named(tmp_path: Path) -> None:
    aliases = '[facility]\naliases = [{ application = "A", name = "B", code = "01004" }, { application = "SAOMAI", name = "SINHHOA", code = "01911" }]\n'
    (tmp_path / "mine.toml").write_text(OWN + aliases, "utf-8")
    told = "saomai_middleware.toml facility.aliases, entry 2: SAOMAI · SINHHOA is claimed by mine.toml too, entry 2"
    try:
        use_vendors(tmp_path)
        [clash] = profile.read_aliases(strictly=False)
        assert str(clash).startswith(told)
        assert resolve_facility("A", ["B"])[1].name == "mine", "the others are taken all the same"
        use_vendors(tmp_path)
        with pytest.raises(HubError, match=re.escape(told)):
            resolve_facility("A", ["B"])
        with pytest.raises(HubError, match=re.escape(told)):
            unusable_dialects(["_standard"])
        with pytest.raises(HubError, match=re.escape(told)):
            resolve_facility("A", ["B"])
    finally:
        use_vendors(None)


def test_the_aliases_of_what_a_profile_extends_stay_those_of_that_vendor(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('extends = "songhong_his"\nversion = "1"\n', "utf-8")
    try:
        use_vendors(tmp_path)
        assert profile.read_aliases() == [] and load_dialect("mine").aliases == ()
        assert resolve_facility("SONGHONG_HIS", ["CS1"])[1].name == "songhong_his"
    finally:
        use_vendors(None)
