"""`hie vendor`: from nothing to a proven dialect in a folder of one's own, with the exit codes that programs use."""

import json
import struct
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from adapters.dialects.profile import dialect_names, edited_since, load_dialect, use_vendors
from adapters.inbound import translate
from hub.cli.main import app
from hub.cli.running import check_dialects
from hub.contract.errors import HubError
from hub.contract.places import shipped
from hub.contract.settings import read_settings

VISIT = (
    "MSH|^~\\&|MINHTAM|PK1|HIS|HUB|20261123080000||ADT^A04|MT-1|P|2.4\rEVN|A04|20261123080000\r"
    "PID|1||777^^^^MR||Lê^Hoa||19900102|NU\rPV1|1|O|K01||||||||||||||||PK1.1\r"
)
PROFILE = (
    'extends = "_standard"\nversion = "1"\nabout = "Invented."\n'
    '[facility]\naliases = [{ application = "MINHTAM", name = "PK1", code = "01731" }]\n'
    '[codes.sex]\nNAM = "1"\nNU = "2"\n'
)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of the user's, empty, that the settings name."""
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.setenv("HIE_VENDORS_DIR", str(folder))
    translate._resolve.cache_clear()
    yield folder
    use_vendors(None)
    translate._resolve.cache_clear()


def hie(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["vendor", *map(str, arguments)])


def refusal(done: Result) -> HubError:
    assert isinstance(done.exception, HubError), done.output
    return done.exception


def samples(folder: Path, **messages: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in messages.items():
        (folder / f"{name}.hl7").write_text(text, "utf-8", newline="")
    return folder


# --- new --------------------------------------------------------------------------------------------------------------


def test_a_new_dialect_is_a_file_that_loads_and_a_folder_for_samples(own: Path) -> None:
    done = hie("new", "minhtam_his")
    assert done.exit_code == 0
    assert (own / "minhtam_his").is_dir()
    assert "hie vendor check minhtam_his" in done.stdout
    use_vendors(own)
    assert "minhtam_his" in dialect_names()
    assert load_dialect("minhtam_his").plans == load_dialect("_standard").plans


def test_a_rule_whose_value_fits_no_field_is_refused_before_anything_is_read(own: Path) -> None:
    rule = '[observation]\nnumber = { from = "OBX-5", as = "number_not_zero" }\n'
    (own / "minhtam_his.toml").write_text(PROFILE + rule, "utf-8")
    wrong = refusal(hie("check", "minhtam_his"))
    assert wrong.code == "SETTING_WRONG" and "observation.number: no rule fills this field" in wrong.where
    assert 'comma = "decimal"' in wrong.where


def test_a_new_dialect_may_begin_with_what_messages_teach(own: Path, tmp_path: Path) -> None:
    source = samples(tmp_path / "in", a=VISIT)
    assert hie("new", "minhtam_his", "--from", source).exit_code == 0
    assert tomllib.loads((own / "minhtam_his.toml").read_text("utf-8"))["codes"]["sex"] == {"NU": "2"}


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        (["Minh Tam"], "NAME: small letters"),
        (["../x"], "NAME: small letters"),
        (["songhong_his"], "there is a dialect songhong_his already"),
        (["mine", "--extends", "nobody"], "dialect nobody"),
    ],
)
def test_a_name_that_cannot_be_is_refused(own: Path, arguments: list[str], where: str) -> None:
    assert where in refusal(hie("new", *arguments)).where
    assert list(own.iterdir()) == []


def test_an_installed_hub_asks_for_a_folder_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HIE_VENDORS_DIR", raising=False)
    monkeypatch.setattr("hub.cli.vendor.in_checkout", lambda: False)
    assert "HIE_VENDORS_DIR" in refusal(hie("new", "minhtam_his")).where


def test_a_profile_of_ones_own_may_not_hide_one_of_the_hub(own: Path) -> None:
    (own / "songhong_his.toml").write_text(PROFILE, "utf-8")
    wrong = refusal(hie("check", "songhong_his"))
    assert wrong.code == "SETTING_WRONG"
    assert "songhong_his.toml: the hub has a profile of this name already" in wrong.where


def test_a_folder_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HIE_VENDORS_DIR", str(tmp_path / "nowhere"))
    assert "HIE_VENDORS_DIR" in refusal(hie("check", "songhong_his")).where


# --- check ------------------------------------------------------------------------------------------------------------


def test_a_dialect_is_checked_over_its_own_samples() -> None:
    done = hie("check", "songhong_his")
    assert done.exit_code == 0, "what is refused is expected to be"
    for part in ("songhong_his", "CARD_IS_PATIENT_NUMBER IN1-36", "hie.Encounter × 6", "as expected", "Accepted in goldens"):
        assert part in done.stdout


def test_a_compiled_hub_checks_no_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.cli.vendor.compiled", lambda: True)
    assert "this hub is compiled" in refusal(hie("check", "songhong_his")).where


def test_a_profile_anywhere_reads_samples_anywhere_whoever_sends_them(tmp_path: Path) -> None:
    profile = tmp_path / "draft.toml"
    profile.write_text(PROFILE, "utf-8")
    folder = samples(tmp_path / "in", a=VISIT)
    page = tmp_path / "report.html"
    done = hie("check", profile, folder, "--html", page, "--json")
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert (found["dialect"], found["grade"], found["samples"]) == ("draft", "A", 1)
    assert found["read_by"] == {"draft": 1}
    assert page.read_text("utf-8").startswith("<!doctype html>")


def test_a_refusal_that_no_golden_expects_ends_with_1(tmp_path: Path) -> None:
    folder = samples(tmp_path / "in", a=VISIT, empty=VISIT.split("PID")[0])
    done = hie("check", "_standard", folder)
    assert done.exit_code == 1
    assert "unexpected" in done.stdout
    (folder / "empty.json").write_text('{"about": "Nobody.", "ack": "AE", "events": [], "errors": []}', "utf-8")
    assert hie("check", "_standard", folder).exit_code == 0


def test_files_that_are_no_samples_are_passed_over(tmp_path: Path) -> None:
    folder = samples(tmp_path / "in", a=VISIT)
    for name in ("README.md", "a.json", "draft.toml", ".hidden"):
        (folder / name).write_text("{}", "utf-8")
    assert json.loads(hie("check", "_standard", folder, "--json").stdout)["samples"] == 1


@pytest.mark.parametrize("arguments", [["_standard", "nowhere"], ["nobody"], ["nowhere.toml", "."]])
def test_what_is_not_there_is_named(arguments: list[str]) -> None:
    assert refusal(hie("check", *arguments)).code == "NOT_FOUND"


def unwritable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events meet a writer that fails at them, as a fault of the hub would have it."""

    def fails(record: str, event: object) -> bytes:
        raise struct.error("required argument is not a float")

    monkeypatch.setattr("adapters.inbound.translate.encode", fails)


def test_an_event_that_the_gate_could_not_write_is_a_finding(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own / "minhtam_his.toml").write_text(PROFILE, "utf-8")
    folder = samples(own / "minhtam_his", a=VISIT)
    unwritable(monkeypatch)
    done = hie("check", "minhtam_his", "--json")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["grade"], found["verdicts"]) == (1, "E", {"quarantined": 1})
    assert [one["code"] for one in found["findings"] if one["severity"] == "E"] == ["TRANSLATION_FAILED"]
    wrong = refusal(hie("accept", "minhtam_his", "--yes"))
    assert wrong.code == "TRANSLATION_FAILED" and "a.hl7" in wrong.where
    assert not (folder / "a.json").exists(), "a fault is never what is expected"
    (folder / "a.json").write_text('{"ack": "AR", "events": [], "errors": [["TRANSLATION_FAILED", "E", "x"]]}', "utf-8")
    assert json.loads(hie("check", "minhtam_his", folder, "--json").stdout)["grade"] == "E"


def test_every_kind_of_finding_is_shown_whatever_is_more_frequent(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.console import Console

    from adapters.dialects.conformance import Finding
    from hub.cli.vendor_report import _findings

    def finding(code: str, place: str, count: int) -> Finding:
        return Finding(code, "W", place, count, count, "a.hl7#1", "", f"what {code} is.", "", "", "")

    often = [finding("FIELD_TOO_LONG", f"OBX-{number}", 90 - number) for number in range(1, 31)]
    _findings(Console(highlight=False, soft_wrap=True, width=80), "Wrong", [*often, finding("NAME_ODD", "PID-5", 1)])
    told = capsys.readouterr().out
    assert "what NAME_ODD is." in told and told.count("W FIELD_TOO_LONG") == 11
    assert told.count("what FIELD_TOO_LONG is.") == 1, "and what is the same of several places once"
    assert {f"OBX-{number}" for number in range(1, 31)} <= set(told.split()), "the others in short"


def test_the_report_fits_eighty_columns(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    from adapters.dialects.conformance import report
    from hub.cli.vendor import read_samples
    from hub.cli.vendor_report import show_report

    dialect = load_dialect("songhong_his")
    found = report(read_samples(shipped("seeds/messages/songhong_his"), dialect), dialect)
    show_report(Console(highlight=False, soft_wrap=True, width=80), found, None)
    assert [line for line in capsys.readouterr().out.splitlines() if len(line) > 80] == []


# --- accept -----------------------------------------------------------------------------------------------------------


def test_what_is_new_is_written_at_once_and_what_changes_needs_a_word(own: Path) -> None:
    (own / "minhtam_his.toml").write_text(PROFILE, "utf-8")
    folder = samples(own / "minhtam_his", a=VISIT)
    done = hie("accept", "minhtam_his")
    assert done.exit_code == 0
    assert "new      a: AA, Encounter" in done.stdout
    assert "1 new, 0 with more, 0 changed, 0 as expected" in done.stdout
    written = json.loads((folder / "a.json").read_text("utf-8"))
    assert written["events"][0]["person"]["gioi_tinh"] == "2"

    written["about"] = "A woman comes."
    written["events"][0]["person"]["gioi_tinh"] = "1"
    (folder / "a.json").write_text(json.dumps(written), "utf-8")
    done = hie("check", "minhtam_his")
    assert done.exit_code == 1 and "Not as accepted: a.hl7." in done.stdout.partition("samples:")[0], "beside the grade"
    assert done.stdout.split()[0] == "C", "whatever else was accepted"
    done = hie("accept", "minhtam_his")
    assert done.exit_code == 1
    assert "~ events[0].person.gioi_tinh" in done.stdout
    assert json.loads((folder / "a.json").read_text("utf-8")) == written, "nothing is written without a word"
    assert hie("accept", "minhtam_his", "--yes").exit_code == 0
    written["events"][0]["person"]["gioi_tinh"] = "2"
    assert json.loads((folder / "a.json").read_text("utf-8")) == written
    assert "1 as expected" in hie("accept", "minhtam_his").stdout
    assert "Not as accepted" not in hie("check", "minhtam_his").stdout


def test_a_batch_is_accepted_and_checked_message_by_message(own: Path) -> None:
    (own / "minhtam_his.toml").write_text(PROFILE, "utf-8")
    nobody = VISIT.replace("MT-1", "MT-2").replace("ADT^A04", "ADT^A99")
    batch = "".join((r"BHS|^~\&|MINHTAM|PK1", "\r", VISIT, nobody, "BTS|2\r"))
    folder = samples(own / "minhtam_his", day=batch)
    assert hie("check", "minhtam_his").exit_code == 1, "the second is refused, and nobody expects that"
    done = hie("accept", "minhtam_his")
    assert "new      day#1: AA, Encounter" in done.stdout
    assert "new      day#2: AR, no event; TYPE_UNSUPPORTED" in done.stdout
    done = hie("check", "minhtam_his")
    assert done.exit_code == 0 and "as expected  day.hl7#2" in done.stdout
    written = json.loads((folder / "day.json").read_text("utf-8"))
    written["messages"][0]["events"][0]["person"]["gioi_tinh"] = "1"
    (folder / "day.json").write_text(json.dumps(written), "utf-8")
    assert "~ messages[0].events[0].person.gioi_tinh" in hie("accept", "minhtam_his").stdout


def test_what_is_found_of_a_new_case_is_shown_once_with_its_count(own: Path) -> None:
    (own / "minhtam_his.toml").write_text(PROFILE, "utf-8")
    samples(own / "minhtam_his", a=VISIT.replace("|NU", "|K|||1 Phố Huế^^Q1^Hà Nội"))
    assert "new      a: AA, Encounter; CODE_UNKNOWN × 2" in hie("accept", "minhtam_his").stdout


def test_a_sample_that_another_dialect_reads_is_told(own: Path) -> None:
    (own / "minhtam_his.toml").write_text('extends = "_standard"\nversion = "1"\nabout = "No alias."\n', "utf-8")
    samples(own / "minhtam_his", a=VISIT)
    assert "read by _standard.toml" in hie("accept", "minhtam_his").stdout


def test_the_goldens_of_the_hub_are_as_expected() -> None:
    for name in dialect_names():
        assert json.loads(hie("accept", name, "--json").stdout) == []


# --- learn ------------------------------------------------------------------------------------------------------------


def test_what_is_learned_is_a_file_on_standard_output(tmp_path: Path) -> None:
    folder = samples(tmp_path / "in", a=VISIT, b=VISIT.replace("MT-1", "MT-2"))
    done = hie("learn", folder, "--name", "minhtam_his")
    assert done.exit_code == 0
    assert tomllib.loads(done.stdout)["codes"]["sex"] == {"NU": "2"}
    assert "2 messages; grade with _standard" in done.stderr
    rows = json.loads(hie("learn", folder, "--json").stdout)
    assert (rows["messages"], rows["grade_standard"], rows["grade_learned"]) == (2, "C", "C")
    assert tomllib.loads(rows["profile"])["extends"] == "_standard"


def test_nothing_to_learn_from_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.hl7").write_bytes(b"")
    assert refusal(hie("learn", tmp_path)).code == "NOT_FOUND"


# --- files of others --------------------------------------------------------------------------------------------------

BROKEN = 'extends = "_standard"\n[person]\nten = "PID-5"\n'
HOME = 'extends = "_standard"\nversion = "1"\nabout = "Invented."\n'


def test_a_faulty_profile_of_another_vendor_stops_nobody_and_is_told(own: Path, tmp_path: Path) -> None:
    (own / "minhtam_his.toml").write_text(PROFILE, "utf-8")
    (own / "other_his.toml").write_text(BROKEN, "utf-8")
    folder = samples(tmp_path / "in", a=VISIT)
    for done in (hie("check", "minhtam_his", folder), CliRunner().invoke(app, ["translate", str(folder)])):
        assert done.exit_code == 0, done.output
        assert "left out, and no hub would start with it: other_his.toml person.ten: no rule fills such a field" in done.stderr
    assert "other_his.toml person.ten" in refusal(hie("check", "other_his", folder)).where
    with pytest.raises(HubError, match=r"other_his\.toml person\.ten"):
        check_dialects(read_settings())  # a hub takes messages of every vendor


@pytest.mark.parametrize("sent_by", ["MINHTAM|PK1", "MINHTAM|26001"], ids=["another", "that facility"])
def test_a_facility_whose_profile_is_still_to_be_written_stops_nobody_who_writes_it(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent_by: str
) -> None:
    row = "code,name,kind,province,dialect,valid_from\n26001,Thử,clinic,26,minhtam_his,2019-01-01\n"
    (tmp_path / "facilities.csv").write_text(row, "utf-8")
    monkeypatch.setenv("HIE_DIRECTORY_DIR", str(tmp_path))
    told = "the directory names the dialect minhtam_his, which has no profile yet"
    folder = samples(tmp_path / "in", a=VISIT.replace("MINHTAM|PK1", sent_by))
    with pytest.raises(HubError, match=r"facilities\.csv line 2, dialect: there is no dialect"):
        check_dialects(read_settings())  # a hub could not read what that facility sends
    for command in (("check", "_standard", folder), ("learn", folder), ("new", "minhtam_his", "--from", folder)):
        done = hie(*command)
        assert done.exit_code == 0 and told in done.stderr
    assert told not in hie("check", "minhtam_his", folder).stderr
    check_dialects(read_settings())


@pytest.mark.parametrize("command", [["translate"], ["why", "--offline"]])
def test_a_message_of_a_facility_whose_profile_is_missing_says_which_one(
    command: list[str], own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = "code,name,kind,province,dialect,valid_from\n26001,Thử,clinic,26,minhtam_his,2019-01-01\n"
    (tmp_path / "facilities.csv").write_text(row, "utf-8")
    monkeypatch.setenv("HIE_DIRECTORY_DIR", str(tmp_path))
    (tmp_path / "a.hl7").write_bytes(b"MSH|^~\\&|HIS|26001|HUB|HUB|20261123080000||ADT^A04|1|P|2.5.1\rEVN|A04\rPID|1||7\r")
    done = CliRunner().invoke(app, [*command, str(tmp_path / "a.hl7")])
    said = " ".join(done.stdout.split())
    assert done.exit_code == 1 and "There is no profile minhtam_his.toml, which the directory names for this facility" in said
    assert "`hie vendor new minhtam_his`" in said and "fault of the hub" not in said


def test_a_link_that_leads_nowhere_is_no_profile(own: Path, tmp_path: Path) -> None:
    (own / "minhtam_his.toml").write_text(PROFILE, "utf-8")
    (own / "gone_his.toml").symlink_to(tmp_path / "nowhere.toml")
    check_dialects(read_settings())
    assert "gone_his" not in dialect_names() and edited_since(0.0).count("minhtam_his") == 1


def test_an_alias_that_two_profiles_claim_stops_those_two(own: Path, tmp_path: Path) -> None:
    (own / "minhtam_his.toml").write_text(PROFILE, "utf-8")
    (own / "other_his.toml").write_text(PROFILE, "utf-8")
    (own / "third_his.toml").write_text(HOME, "utf-8")
    folder = samples(tmp_path / "in", a=VISIT)
    told = "other_his.toml facility.aliases, entry 1: MINHTAM · PK1 is claimed by minhtam_his.toml too, entry 1; take it out"
    for name in ("minhtam_his", "other_his"):
        assert told in refusal(hie("check", name, folder)).where
    done = hie("check", "third_his", folder)
    assert done.exit_code == 0 and f"no hub would start with this: {told}" in done.stderr
    with pytest.raises(HubError, match="MINHTAM · PK1 is claimed by minhtam_his"):
        check_dialects(read_settings())


def test_a_check_says_who_would_read_the_samples_on_a_hub_and_what_to_do(own: Path, tmp_path: Path) -> None:
    (own / "minhtam_his.toml").write_text(HOME + '[codes.lydo]\nA = "1"\n', "utf-8")
    folder = samples(tmp_path / "in", a=VISIT, b=VISIT.replace("|MINHTAM|PK1|", "|HIS|01004|"))
    shown = " ".join(hie("check", "minhtam_his", folder).stdout.split())
    assert (
        "Not live yet: a hub would read 2 of these 2 by _standard.toml × 1, songhong_his.toml × 1. Name minhtam_his in" in shown
    )
    assert "codes.lydo: no rule looks anything up in it" in shown
    rows = json.loads(hie("check", "minhtam_his", folder, "--json").stdout)
    assert rows["otherwise"] == {"_standard": 1, "songhong_his": 1} and len(rows["doubts"]) == 1
    (own / "minhtam_his.toml").write_text(PROFILE, "utf-8")
    (folder / "b.hl7").unlink()
    done = hie("check", "minhtam_his", folder)
    assert "Not live yet" not in done.stdout and "Doubtful" not in done.stdout


def test_messages_are_translated_by_a_dialect_that_is_named(own: Path, tmp_path: Path) -> None:
    (own / "minhtam_his.toml").write_text(HOME + '[codes.sex]\nNU = "2"\n', "utf-8")
    folder = samples(tmp_path / "in", a=VISIT)
    draft = tmp_path / "draft.toml"
    draft.write_text(HOME + '[codes.sex]\nNU = "3"\n', "utf-8")
    for options, read in (([], ("_standard", None)), (["minhtam_his"], ("minhtam_his", "2")), ([draft], ("draft", "3"))):
        named = [f"--dialect={one}" for one in options]
        done = CliRunner().invoke(app, ["translate", "--json", *named, str(folder)])
        [event] = json.loads(done.stdout)["events"]
        assert (event["meta"]["source"]["dialect"], event["person"].get("gioi_tinh")) == read
    for wrong in ("nobody", str(tmp_path / "nowhere.toml")):
        done = CliRunner().invoke(app, ["translate", "--dialect", wrong, str(folder)])
        assert isinstance(done.exception, HubError) and done.exception.code == "NOT_FOUND"
