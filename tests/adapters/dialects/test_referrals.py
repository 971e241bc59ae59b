"""Referral slips: which PRD is the issuing facility's, and which stays were before its own. The golden messages show the rest."""

from collections.abc import Callable

import pytest

from adapters.dialects.clinical_segments import Segments, answer_segments, referral_segments
from adapters.dialects.profile import compile_text
from hub.contract.errors import HubError, Severity
from hub.contract.events import Event
from tests.adapters.dialects.said import PID, mapped, only, told

RF1 = "RF1|P|R||||GCT1^01021|20261123"


def slip(*rows: str):
    return only(mapped("REF^I12", RF1, *rows, PID))["xml13"]


@pytest.mark.parametrize(
    ("rows", "codes", "came"),
    [
        (["PRD|RP||||||01021^FI|202611230800"], None, "202611230800"),
        (["PRD|PP||||||01731^FI|202611190800", "PRD|RP||||||01021^FI|202611230800"], "01731", "202611190800;202611230800"),
        (["PRD|RP||||||01731^FI|202611190800", "PRD|RP||||||01021^FI|202611230800"], "01731", "202611190800;202611230800"),
        (["PRD|RP|LE^HOA|||||HCM-1^LN", "PRD|RP||||||01021^FI|202611230800"], None, "202611230800"),
        (["PRD|RP|LE^HOA|||||1^LN~01021^FI|202611230800", "PRD|RP|DO^AN|||||2^LN~01021^FI|202611230800"], None, "202611230800"),
        (["PRD|PP||||||12345^LN~01731^FI|202611190800", "PRD|RP||||||01021"], "01731", "202611190800;"),
        (["PRD|PP||||||01731", "PRD|PP||||||01940^FI|202611200800"], "01731;01940", ";202611200800;"),
    ],
    ids=[
        "alone",
        "before",
        "several issuers in order of time",
        "a doctor first",
        "two doctors",
        "a doctor's number first",
        "no times",
    ],
)
def test_earlier_facilities_and_their_stays_are_lists(rows, codes, came):
    table = slip(*rows)
    assert (table.get("ma_cskcb_di"), table.get("ngay_vao")) == (codes, came)


def test_a_document_embedded_in_a_slip_is_told_but_its_signature_is_not():
    rows = ["OBX|1|ED|PDF^Report||^application^pdf^Base64^JVBERi0=", "OBX|2|ED|VN-CKDV||^application^xml^Base64^PFNpZ25hdHVyZS8+"]
    assert {path for code, path in told(mapped("REF^I12", RF1, *rows, PID)) if code == "CONTENT_NOT_PASSED_ON"} == {"OBX[1]-5"}
    assert slip(*rows)["du_phong"] == "PFNpZ25hdHVyZS8+"


@pytest.mark.parametrize(
    ("row", "shifted"),
    [
        ("RF1|P|R|||GCT1^01021|20261124140000", True),
        ("RF1|P|R||||20261124140000|20261124", False),
        ("RF1|P|R||||26110045000123", False),
    ],
    ids=["the time where the number belongs", "a number that looks like one, with its time", "a long number"],
)
def test_a_time_in_the_place_of_the_slips_number_is_told(row, shifted):
    assert (("FIELDS_SHIFTED", "RF1-6") in told(mapped("REF^I12", row, PID))) == shifted


@pytest.mark.parametrize(
    ("number", "shifted"),
    [("Vượt khả năng", True), ("SCT-2611-31", False), ("31 BVDK", False), ("SCT", False), ("", False)],
)
def test_a_reason_in_the_place_of_the_slips_other_number_is_told(number, shifted):
    row = f"RF1|P|R||||GCT1^01021|20261123|20261204|||{number}"
    assert (("FIELDS_SHIFTED", "RF1-11") in told(mapped("REF^I12", row, PID))) == shifted


def test_a_time_of_an_earlier_stay_that_is_none_is_kept_beside_the_event():
    found = mapped("REF^I12", RF1, "PRD|PP||||||01731^FI|yesterday", "PRD|RP||||||01021^FI", PID)
    assert ("TIME_UNPARSABLE", "PRD[1]-8") in told(found)
    assert "yesterday" in only(found)["meta"]["unparsed"].values()


@pytest.mark.parametrize(
    ("slip", "stays"),
    [
        ({"ma_cskcb_di": "01731;01940", "ngay_vao": "A;B;C", "ngay_ra": "X;;Z"}, [("01731", "A", "X"), ("01940", "B", "")]),
        ({"ma_cskcb_di": ";01940", "ngay_vao": "A;B;C"}, [("01940", "B", "")]),
        ({"ma_cskcb_di": "01731; 01940", "ngay_vao": "C"}, [("01731", "", ""), ("01940", "", "")]),
        ({"ngay_vao": "C"}, []),
    ],
)
def test_each_earlier_facility_goes_out_with_its_own_stay(slip, stays):
    rows = [row for row in referral_segments({"ma_cskcb": "01021", "xml13": slip}) if row[0] == "PRD"]
    assert [(row[7][0], row[8], row[9]) for row in rows if row[1] == "PP"] == stays
    assert rows[0][8] == "C"


@pytest.mark.parametrize(
    ("status", "rows", "onward"),
    [
        ("R", ["PRD|RT||||||01021^FI", "PRD|RT||||||01004^FI"], "01004"),
        ("R", ["PRD|RT||||||01004^FI", "PRD|RT||||||01021^FI"], "01004"),
        ("R", ["PRD|RT|LE^HOA|||||HCM-1^LN|||^^01004"], "01004"),
        ("R", ["PRD|RT||||||01021^FI"], None),
        ("R", ["PRD|RT||||||01021^FI", "PRD|CP||||||01004^FI"], None),
        ("A", ["PRD|RT||||||01021^FI", "PRD|RT||||||01004^FI"], None),
    ],
    ids=["further", "first", "alone, by PRD-10", "itself only", "another role", "accepted"],
)
def test_a_rejection_may_name_the_facility_to_go_to_instead(status, rows, onward):
    answer = only(mapped("RRI^I12", "MSA|AA|1", f"RF1|{status}|R||||GCT5^01731", "PRD|RP||||||01731^FI", *rows, PID))
    assert answer.get("redirect_to") == onward
    assert answer["by_facility"] == "01021"
    if onward:
        assert answer["ma_cskcb_den"] == "01021"
        named = [row[7][0] for row in answer_segments(answer) if row[0] == "PRD" and row[1] == "RT"]
        assert named == ["01021", "01004"], "it goes out as it came"


def test_a_reason_in_words_alone_is_told_as_the_code_that_it_is_not() -> None:
    found = mapped("REF^I12", "RF1||||||S1||||^Vượt quá khả năng", PID)
    assert ("CODE_UNKNOWN", "RF1-10") in told(found)
    assert only(found)["meta"]["unparsed"] == {"xml13.ma_lydo_ct": "Vượt quá khả năng"}
    found = mapped("REF^I12", "RF1||||||S1||||2^Vượt quá khả năng", PID)
    assert ("CODE_UNKNOWN", "RF1-10") not in told(found) and only(found)["xml13"]["ma_lydo_ct"] == "2"


@pytest.mark.parametrize("trigger", ["I12", "I13", "I14"])
def test_why_a_slip_was_written_goes_on_in_words_beside_its_code(trigger: str) -> None:
    words = "Vượt khả năng chuyên môn, cần can thiệp ECMO"
    issued = only(mapped(f"REF^{trigger}", f"RF1||||||S1||||2^{words}", PID))
    assert (issued["xml13"]["ma_lydo_ct"], issued["reason"]) == ("2", words)
    assert referral_segments(issued)[0][10] == ("2", words)
    assert "reason" not in only(mapped(f"REF^{trigger}", "RF1||||||S1||||2", PID))


ALLERGY = "AL1|1|DA|PENI^Penicillin|Nặng|Nổi mề đay, khó thở"


@pytest.mark.parametrize(
    ("kind", "form", "written"),
    [("REF^I12", RF1, referral_segments), ("RRI^I12", "RF1|A|||||GCT1^01731", answer_segments)],
)
def test_what_a_person_is_allergic_to_goes_with_the_slip(kind: str, form: str, written: Callable[[Event], Segments]) -> None:
    found = mapped(kind, form, PID, "DG1|1||J18.9", ALLERGY, "AL1|2|FA|^Tôm")
    event = only(found)
    peni = {"code": "PENI", "display": "Penicillin"}
    assert event["allergies"] == [
        {"type": "DA", "code": peni, "severity": "Nặng", "reactions": ["Nổi mề đay, khó thở"]},
        {"type": "FA", "code": {"display": "Tôm"}},
    ]
    assert not any(path.startswith("AL1") for _, path in told(found))
    rows = written(event)
    assert [(row[3][1], row[4]) for row in rows if row[0] == "AL1"] == [("Penicillin", "Nặng"), ("Tôm", "")]
    names = [row[0] for row in rows]
    assert names.index("DG1") < names.index("AL1") < names.index("PV1"), "where the structure has it"


@pytest.mark.parametrize(
    ("trigger", "rows", "missing"),
    [
        ("I12", [], "DG1"),
        ("I13", [], "DG1"),
        ("I14", [], ""),
        ("I12", ["DG1|1||||20261123|F"], "DG1-3"),
        ("I12", ["DG1|1||E11.9^^I10"], ""),
        ("I12", ["DG1|1|||Đái tháo đường"], "DG1-3"),
        ("I12", ["DG1|1||^Đái tháo đường"], "DG1-3"),
        ("I12", ["DG1|1||E11.9", "DG1|2|||Suy thận||F" + "|" * 9 + "1"], "DG1[2]-3"),
        ("I12", ["DG1|1||E11.9", "DG1|2|||Suy thận"], ""),
        ("I12", ["DG1|1|||J18.9 - Viêm phổi"], ""),
        ("I12", ["DG1|1||Viêm phổi cấp"], "DG1-3"),
    ],
    ids=["issued", "modified", "cancelled", "no code and no words", "a code", "words alone", "words beside no code", "of the main one",
         "of another than the main one", "a code in words", "words as a code"],
)  # fmt: skip
def test_a_slip_whose_main_diagnosis_has_no_code_is_taken_and_told(trigger: str, rows: list[str], missing: str) -> None:
    found = mapped(f"REF^{trigger}", RF1, PID, *rows)
    assert only(found)["slip"] == "GCT1"
    assert [(one.severity, one.path) for one in found.problems if one.code == "DIAGNOSIS_MISSING"] == [
        (Severity.WARNING, missing) for _ in range(bool(missing))
    ]


def test_an_empty_repetition_among_the_numbers_of_a_provider_is_none() -> None:
    assert slip("PRD|PP||||||~01731^FI|202611190800", "PRD|RP||||||01021^FI~|202611230800")["ma_cskcb_di"] == "01731"


@pytest.mark.parametrize("reason", ["9^Lý do khác", "CM", "4"])
def test_a_reason_that_is_no_official_one_is_told_and_kept(reason: str) -> None:
    found = mapped("REF^I12", f"RF1||||||S1||||{reason}", PID)
    assert [(one.code, one.severity, one.path) for one in found.problems if one.path == "RF1-10"] == [
        ("CODE_UNKNOWN", Severity.WARNING, "RF1-10")
    ]
    event = only(found)
    assert event["meta"]["unparsed"] == {"xml13.ma_lydo_ct": reason} and "ma_lydo_ct" not in event["xml13"]


def test_a_profile_may_say_what_its_own_reasons_mean() -> None:
    mine = compile_text("mine", 'extends = "_standard"\nversion = "1"\n[codes.referral_reason]\nCM = "2"\n')
    found = mapped("REF^I12", "RF1||||||S1||||cm^Chuyên môn", PID, dialect=mine)
    assert only(found)["xml13"]["ma_lydo_ct"] == "2" and ("CODE_UNKNOWN", "RF1-10") not in told(found)
    words = '[xml13]\nma_lydo_ct = { from = "RF1-10.2", codes = "referral_reason" }\n[codes.referral_reason]\nYC = "3"\n'
    mine = compile_text("mine", f'extends = "_standard"\nversion = "1"\n{words}')
    found = mapped("REF^I12", "RF1||||||S1||||^YC", PID, dialect=mine)
    assert only(found)["xml13"]["ma_lydo_ct"] == "3" and ("CODE_UNKNOWN", "RF1-10") not in told(found)
    with pytest.raises(HubError, match=r"codes\.referral_reason: no 4; there are 1, 2, 3"):
        compile_text("mine", 'extends = "_standard"\nversion = "1"\n[codes.referral_reason]\nCM = "4"\n')


@pytest.mark.parametrize(
    ("receiver", "places"),
    [("PRD|RT||||||BACH MAI^FI", {"PRD[2]-7"}), ("PRD|RT||||||CS01004^FI", set())],
)
def test_a_receiver_whose_code_is_none_is_told_and_kept(receiver: str, places: set[str]) -> None:
    found = mapped("REF^I12", RF1, "PRD|RP||||||01021^FI", receiver, PID)
    assert {path for code, path in told(found) if code == "RECEIVER_UNKNOWN"} == places
    assert "CODE_UNKNOWN" not in dict(told(found))
    assert set(only(found)["meta"].get("unparsed", ())) == {"ma_cskcb_den" for _ in places}


def test_a_coded_result_without_a_text_stands_in_the_summary_by_its_code() -> None:
    assert slip("OBX|1|CE|HIV^HIV||NEG^^L||||||F")["tomtat_kq"] == "HIV: NEG"


@pytest.mark.parametrize(
    ("receiver", "place"),
    [
        ("PRD|RT||||||01004^FI", None),
        ("PRD|RT||||||01999^FI", "PRD[2]-7"),
        ("PRD|RT||||||9^LN~01999^FI", "PRD[2]-7"),
        ("PRD|RT|||^^^^^^^^^01999", "PRD"),
        ("PRD|RT|Some hospital", "PRD"),
    ],
)
def test_a_receiver_that_the_directory_lacks_is_told_and_refuses_nothing(receiver, place):
    found = mapped("REF^I12", RF1, "PRD|RP||||||01021^FI", receiver, PID)
    assert [where for code, where in told(found) if code == "RECEIVER_UNKNOWN"] == [one for one in (place,) if one]
    assert only(found)["meta"]["key"] and all(one.severity is not Severity.ERROR for one in found.problems)


def test_a_delimiter_that_nobody_escaped_cuts_no_result_of_the_summary() -> None:
    rows = "OBX|1||Đường & mỡ||5 & 6 ^ 7", "OBX|2|CE|TM^Tim & mạch||Rõ & đều", "OBX|3|CWE|N||X&1^Phổi & tim^L"
    found = mapped("REF^I12", "RF1|||||S1", "PRD|RT|||||01004^^^^FI", PID, "DG1|1||I10", *rows)
    assert only(found)["xml13"]["tomtat_kq"] == "Đường & mỡ: 5 & 6 ^ 7; Tim & mạch: Rõ & đều; N: Phổi & tim"


def test_words_in_the_place_of_the_code_of_the_reason_go_to_the_receiver_too() -> None:
    rows = ["PRD|RT|||||01004^^^^FI", PID, "DG1|1||I10"]
    found = mapped("REF^I12", "RF1||||||S1||||Vượt khả năng & cần thở máy", *rows)
    assert only(found)["reason"] == "Vượt khả năng & cần thở máy"
    assert ("CODE_UNKNOWN", "RF1-10") in told(found), "MA_LYDO_CT is a code"
    assert "reason" not in only(mapped("REF^I12", "RF1||||||S1||||2", *rows))


def test_a_slip_that_is_taken_back_needs_no_receiver():
    assert "RECEIVER_UNKNOWN" not in dict(told(mapped("REF^I14", RF1, "PRD|RP||||||01021^FI", PID)))


@pytest.mark.parametrize(
    ("row", "code", "words"),
    [
        ("DG1|1|||J18.9 - Viêm phổi", "J18.9", "J18.9 - Viêm phổi"),
        ("DG1|1||J18.9 - Viêm phổi", "J18.9", "J18.9 - Viêm phổi"),
        ("DG1|1|||Viêm phổi", None, "Viêm phổi"),
        ("DG1|1||E11.9|J18.9 - Viêm phổi", "E11.9", "J18.9 - Viêm phổi"),
    ],
)
def test_the_code_that_a_diagnosis_in_words_begins_with_is_its_code(row: str, code: str | None, words: str | None) -> None:
    (diagnosis,) = only(mapped("REF^I12", RF1, PID, row))["diagnoses"]
    assert (diagnosis.get("ma_benh"), diagnosis.get("chan_doan")) == (code, words)


def test_words_where_a_code_should_stand_are_told_and_kept() -> None:
    found = mapped("REF^I12", RF1, PID, "DG1|1||Viêm phổi cấp")
    assert ("CODE_UNKNOWN", "DG1-3") in told(found)
    assert only(found)["meta"]["unparsed"] == {"diagnoses[0].ma_benh": "Viêm phổi cấp"}


@pytest.mark.parametrize(
    "row",
    ["DG1|1|||B20 - Suy giảm miễn dịch mắc phải", "DG1|1||^Bệnh do HIV", "DG1|1||X|Giai đoạn AIDS", "DG1|1|||Lao phổi (B20.0)", "DG1|1||VP^Nhiễm HIV",
     "DG1|1|||Bệnh SIDA", "DG1|1|||Hội chứng suy giảm miễn dịch mắc phải", "DG1|1||O98.7", "DG1|1||O987|Thai 20 tuần", "DG1|1|||R75 - Xét nghiệm dương tính"],
)  # fmt: skip
def test_a_protected_diagnosis_is_labelled_wherever_it_is_written(row: str) -> None:
    assert only(mapped("REF^I12", RF1, PID, row))["meta"]["sensitivity"] == "HIV"


def test_another_diagnosis_in_words_is_not_labelled() -> None:
    rows = ("DG1|1|||J18.9 - Viêm phổi", "DG1|2||E11.9|Đái tháo đường, số hồ sơ AB20, thử nghiệm B2012")
    assert "sensitivity" not in only(mapped("REF^I12", RF1, PID, *rows))["meta"]


@pytest.mark.parametrize("words", ["HIV dương tính, đang dùng ARV", "SIDA"])
def test_what_a_slip_tells_in_words_is_protected_too(words: str) -> None:
    rows = (PID, "DG1|1||J18.9^Viêm phổi", f"OBX|1|TX|QT_BENHLY^^VN-XML13||{words}")
    assert only(mapped("REF^I12", RF1, *rows))["meta"]["sensitivity"] == "HIV"


@pytest.mark.parametrize(
    ("row", "label"),
    [("DG1|1||F20.0", "MENTAL"), ("DG1|1||F329^Trầm cảm", "MENTAL"), ("DG1|1||T42.4~X61^Tự đầu độc", "MENTAL"), ("DG1|1||X61", "MENTAL"),
     ("DG1|1|||Rối loạn lưỡng cực", "MENTAL"), ("DG1|1||Z91.5", "MENTAL"), ("DG1|1||F03^Sa sút trí tuệ", None), ("DG1|1||Z91.0", None),
     ("DG1|1||O04.9", "REPRODUCTIVE"), ("DG1|1||Z30.2", "REPRODUCTIVE"), ("DG1|1||N97", "REPRODUCTIVE"), ("DG1|1|||Vô sinh I", "REPRODUCTIVE"),
     ("DG1|1||O03.4^Sảy thai", None), ("DG1|1||O80^Đẻ thường", None), ("DG1|1||Z34.0^Thai thường", None), ("DG1|1||Z64.1", None)],
)  # fmt: skip
def test_mental_and_reproductive_health_are_labelled_too(row: str, label: str | None) -> None:
    assert only(mapped("REF^I12", RF1, PID, row))["meta"].get("sensitivity") == label


def test_free_text_of_a_slip_is_labelled_for_what_it_tells_of_and_not_for_an_examination_without_findings() -> None:
    for words, label in (
        ("Từng tự tử năm 2024", "MENTAL"),
        ("Sau đình chỉ thai", "REPRODUCTIVE"),
        ("Tâm thần kinh bình thường", None),
    ):
        found = only(mapped("REF^I12", RF1, PID, "DG1|1||J18.9^Viêm phổi", f"OBX|1|TX|VN-QTBL||{words}"))
        assert found["meta"].get("sensitivity") == label


@pytest.mark.parametrize(
    "rows", [("DG1|1||B20", "DG1|2||F32.1"), ("DG1|1||F32.1", "DG1|2||B20"), ("DG1|1||F32.1^Trầm cảm, HIV",)]
)
def test_of_two_labels_that_of_hiv_counts(rows: tuple[str, ...]) -> None:
    assert only(mapped("REF^I12", RF1, PID, *rows))["meta"]["sensitivity"] == "HIV"


def test_another_illness_of_pregnancy_is_not_labelled() -> None:
    assert "sensitivity" not in only(mapped("REF^I12", RF1, PID, "DG1|1||O98.1|Giang mai, suy giảm miễn dịch tiên phát"))["meta"]


@pytest.mark.parametrize(
    ("words", "label"),
    [
        ("PET/CT F18-FDG", None),
        ("Chụp PET/CT với F18 FDG", None),
        ("PET/CT (F18): tăng chuyển hóa", None),
        ("Đặt sonde Foley F20", None),
        ("Paracetamol x60 viên", None),
        ("F18 - Lạm dụng dung môi", "MENTAL"),
        ("Loạn thần do rượu (F10.5), sau PET/CT F18-FDG", "MENTAL"),
        ("Ngộ độc, X60", "MENTAL"),
        ("PET/CT: B20", "HIV"),
    ],
)
def test_a_tracer_a_catheter_and_a_number_of_pills_are_no_codes(words: str, label: str | None) -> None:
    assert only(mapped("REF^I12", RF1, PID, f"DG1|1||C34.1|{words}"))["meta"].get("sensitivity") == label


@pytest.mark.parametrize(
    ("reason", "label"),
    [("2^Trầm cảm nặng", "MENTAL"), ("Nhiễm HIV", "HIV"), ("2^Không trầm cảm", None), ("2^Quá khả năng", None)],
)
@pytest.mark.parametrize("trigger", ["I12", "I14"])
def test_why_a_slip_was_written_or_taken_back_is_protected(trigger: str, reason: str, label: str | None) -> None:
    assert only(mapped(f"REF^{trigger}", f"RF1||||||GCT1||||{reason}", PID, "DG1|1||J18.9"))["meta"].get("sensitivity") == label


def test_why_a_slip_was_rejected_is_protected() -> None:
    row = "RF1|R|||||GCT1^01021||||^Không nhận người nhiễm HIV"
    assert only(mapped("RRI^I12", row, PID, facility="01004"))["meta"]["sensitivity"] == "HIV"


@pytest.mark.parametrize(("reason", "label"), [("Tái khám trầm cảm", "MENTAL"), ("Tái khám huyết áp", None)])
def test_why_somebody_is_asked_back_is_protected(reason: str, label: str | None) -> None:
    assert only(mapped("SIU^S12", f"SCH||GHK1|||||^{reason}", PID))["meta"].get("sensitivity") == label


@pytest.mark.parametrize(("stated", "known"), [("CC", False), ("S", True), ("R", True), ("", True)])
def test_a_priority_of_a_slip_that_is_none_of_hl7_is_told(stated, known):
    found = mapped("REF^I12", f"RF1|P|{stated}||||GCT1^01021|20261123", "PRD|RP||||||01021^FI", PID)
    assert (("PRIORITY_UNKNOWN", "RF1-2") in told(found)) is not known


@pytest.mark.parametrize(("kind", "told_of"), [("REF^I12", True), ("REF^I13", True), ("REF^I14", False)])
def test_a_slip_to_its_own_facility_is_told(kind, told_of):
    def codes(receiver):
        return told(mapped(kind, RF1, "PRD|RP||||||01021^FI", f"PRD|RT||||||{receiver}^FI", PID))

    assert (("FACILITY_SAME", "PRD[2]-7") in codes("01021")) is told_of
    assert "FACILITY_SAME" not in {code for code, _ in codes("01004")}


def test_what_a_rule_of_the_profile_reads_is_not_repeated_among_the_results():
    mine = compile_text(
        "mine", 'extends = "_standard"\nversion = "1"\n[xml13]\ndau_hieu_ls = { from = "OBX[TTLS]-5", as = "text" }\n'
    )
    rows = ["OBX|1|TX|TTLS^Tóm tắt||Mạch 110", "OBX|2|NM|GLU^Glucose||5.6|mmol/L", "OBX|3|TX|TTLS^Tóm tắt||HA 130/80"]
    table = only(mapped("REF^I12", RF1, *rows, PID, dialect=mine))["xml13"]
    assert table["dau_hieu_ls"] == "Mạch 110\nHA 130/80", "each OBX of a code that a rule reads as text is a line"
    assert table["tomtat_kq"] == "Glucose: 5.6 mmol/L"


def test_several_obx_of_one_part_of_a_slip_are_lines_of_it_and_what_is_no_text_is_told():
    rows = [
        r"OBX|1|TX|VN-QTBL||Ho khạc đờm 5 ngày\S\.~Sốt",
        "OBX|2|TX|VN-DHLS||tỉnh",
        "OBX|3|TX|VN-QTBL",
        'OBX|4|TX|VN-QTBL||""',
        "OBX|5|TX|VN-QTBL||Khó thở tăng & SpO2 88%.",
        "OBX|6|RP|VN-QTBL||phim.pdf",
        "OBX|7|TX|VN-TTDV||A",
        "OBX|8|TX|VN-TTDV||B",
    ]
    found = mapped("REF^I12", RF1, *rows, PID)
    table = only(found)["xml13"]
    assert table["qt_benhly"] == "Ho khạc đờm 5 ngày^.\nSốt\nKhó thở tăng & SpO2 88%."
    assert (table["dau_hieu_ls"], table["ma_ttdv"]) == ("tỉnh", "A") and "tomtat_kq" not in table
    assert {path for code, path in told(found) if code == "NOTE_NOT_PASSED_ON"} == {"OBX[8]-5"}
    assert slip(*rows[:5])["qt_benhly"] == table["qt_benhly"]


@pytest.mark.parametrize("state", ["D", "X", "W"])
def test_an_obx_that_is_taken_back_is_no_line_of_a_slip_and_no_result(state):
    gone = [f"OBX|1|TX|VN-QTBL||sai||||||{state}", f"OBX|2|NM|GLU^Glucose||5.6||||||{state}"]
    assert not {"qt_benhly", "tomtat_kq"} & slip(*gone).keys()
    table = slip(*gone, "OBX|3|TX|VN-QTBL||Ho||||||F", "OBX|4|ST|VN-QTBL||Sốt||||||C", "OBX|5|NM|NA^Natri||139")
    assert (table["qt_benhly"], table["tomtat_kq"]) == ("Ho\nSốt", "Natri: 139")


def test_only_texts_of_one_code_are_joined_and_another_value_is_told():
    rows = ["OBX|1|TX|VN-QTBL||Ho", "OBX|2|NM|VN-QTBL||38.5", "OBX|3|FT|VN-QTBL||Sốt", "OBX|4|CE|VN-QTBL||R05^Ho^I10"]
    found = mapped("REF^I12", RF1, *rows, PID)
    assert only(found)["xml13"]["qt_benhly"] == "Ho\nSốt"
    assert {path for code, path in told(found) if code == "NOTE_NOT_PASSED_ON"} == {"OBX[2]-5", "OBX[4]-5"}


@pytest.mark.parametrize(
    ("kind", "sch", "more", "is_told"),
    [
        ("SIU^S12", "SCH||GHK1", "", True),
        ("SIU^S13", "SCH||GHK1", "", True),
        ("SIU^S15", "SCH||GHK1", "", False),
        ("SIU^S12", "SCH||GHK1|||||||||^^^202612010800", "", False),
        ("SIU^S12", "SCH||GHK1", "AIS|1||X|202612010800", False),
        ("SIU^S12", "SCH||GHK1|||||||||^^^20261131", "", False),
    ],
    ids=["booked", "moved", "cancelled", "in SCH", "in AIS", "told as a time that is none"],
)
def test_an_appointment_without_a_day_is_told(kind, sch, more, is_told):
    found = mapped(kind, sch, PID, *filter(None, [more]))
    assert (("FIELD_MISSING", "SCH-11") in told(found)) is is_told
    assert ("TIME_UNPARSABLE" in {code for code, _ in told(found)}) is ("20261131" in sch)


def test_a_note_in_a_slip_or_an_answer_is_told_as_nobody_gets_it_unless_a_rule_reads_it() -> None:
    rows = ["RF1|A|||||S1", "PRD|RT|||||01004^^^^FI", PID, "OBX|1|ST|GLU^G||5", "NTE|1||theo dõi", "NTE|2", "NTE|3||tái khám"]
    for kind in ("REF^I12", "RRI^I12"):
        assert {path for code, path in told(mapped(kind, *rows)) if code == "NOTE_NOT_PASSED_ON"} == {"NTE[1]-3", "NTE[3]-3"}
    mine = compile_text("mine", 'extends = "_standard"\nversion = "1"\n[xml13]\nhuong_dieu_tri = "NTE-3"\n')
    found = mapped("REF^I12", *rows, dialect=mine)
    assert only(found)["xml13"]["huong_dieu_tri"] == "theo dõi"
    assert {path for code, path in told(found) if code == "NOTE_NOT_PASSED_ON"} == {"NTE[3]-3"}


@pytest.mark.parametrize(
    ("rule", "rows", "lost", "summary"),
    [
        ("", ["OBX|1|ST|GLU^G||5", "OBX|2|NM|NA^N||139"], [], "G: 5; N: 139"),
        ("", ["OBX|1|ST|GLU^G||5", "OBX|2|TX|VN-TTKQ||tốt", "OBX|3|NM|NA^N||139"], ["OBX[1]-5", "OBX[3]-5"], "tốt"),
        ('tomtat_kq = "OBX-5"', ["OBX|1|TX|SH^Sinh hóa||tốt", "OBX|2|NM|NA^N||139"], ["OBX[2]-5"], "tốt"),
        ('tomtat_kq = "OBX[SH]-5"', ["OBX|1|NM|NA^N||139", "OBX|2|TX|SH^Sinh hóa||tốt", "OBX|3|NM|K^K"], ["OBX[1]-5"], "tốt"),
        ("", ["OBX|1|TX|VN-DHLS||sốt", "OBX|2|TX|VN-DHLS||ho", "OBX|3|TX|VN-KHAC||nôn"], ["OBX[3]-5"], None),
    ],
    ids=["no rule", "its own code", "the first", "a code of the sender's", "parts of the slip"],
)
def test_a_result_or_a_part_of_a_slip_that_nobody_gets_is_told(
    rule: str, rows: list[str], lost: list[str], summary: str | None
) -> None:
    mine = compile_text("mine", f'extends = "_standard"\nversion = "1"\n[xml13]\n{rule}\n')
    found = mapped("REF^I12", RF1, PID, *rows, dialect=mine)
    assert sorted(path for code, path in told(found) if code == "NOTE_NOT_PASSED_ON") == lost
    assert only(found)["xml13"].get("tomtat_kq") == summary


def test_so_is_a_note_in_an_appointment() -> None:
    found = mapped("SIU^S12", "SCH|A1|A1|||||K^Tái khám||||^^^20261201", "NTE|1||nhịn ăn", PID)
    assert ("NOTE_NOT_PASSED_ON", "NTE-3") in told(found)


SCH = "SCH|A1|A1||||TK^Tái khám|K^Tái khám||||^^^202612010800"
OF_TWO = [PID, "PV1|1|O|||||||||||||||||L1", "DG1|1||I10^Tăng huyết áp^I10",
          "PID|2||N2^^^^MR||Lê^An||19900102|M", "PV1|1|O|||||||||||||||||L2", "DG1|1||E11.9^Đái tháo đường^I10"]  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "places"),
    [
        (OF_TWO, {"PID[2]-3", "PID[2]-5"}),
        ([*OF_TWO[:3], "PID|2||||Lê^An", *OF_TWO[4:]], {"PID[2]-5"}),
        ([*OF_TWO[:3], *OF_TWO[:2]], set()),
        ([*OF_TWO[:3], "PID|2||||||"], set()),
        (["PID|1", *OF_TWO[3:]], {"PID[2]-3", "PID[2]-5"}),
    ],
    ids=["two", "one without a number", "the same", "nobody", "nobody first"],
)
def test_a_second_patient_of_an_appointment_is_told_and_nothing_of_it_goes_to_the_first(
    rows: list[str], places: set[str]
) -> None:
    slip = only(found := mapped("SIU^S12", SCH, *rows, "RGS|1", "AIP|1||BS1"))
    assert {path for code, path in told(found) if code == "APPOINTMENT_DIFFERS"} == places
    first = mapped("SIU^S12", SCH, *(OF_TWO[:3] if rows[0] == PID else rows[:1]), "RGS|1", "AIP|1||BS1")
    assert {**slip, "meta": 0} == {**only(first), "meta": 0} and slip["meta"]["key"] == only(first)["meta"]["key"]


def test_resources_are_of_the_appointment_whichever_patient_they_stand_behind() -> None:
    slip = only(found := mapped("SIU^S12", "SCH|A1|A1", *OF_TWO, "RGS|1", "AIS|1||TM^Khám|202612010800", "AIP|1||BS1"))
    assert (slip["ngay_hen_kl"], slip["ma_bac_si"], slip["diagnoses"][0]["ma_benh"]) == ("202612010800", "BS1", "I10")
    assert {path for code, path in told(found) if code == "APPOINTMENT_DIFFERS"} == {"PID[2]-3", "PID[2]-5"}


@pytest.mark.parametrize(
    ("rows", "places"),
    [
        (["AIS|1||A^a|202612010800", "RGS|2", "AIS|1||B^b|202612010900"], {"AIS[2]-3", "AIS[2]-4"}),
        (["AIS|1||A^a|202612010800", "AIS|2||B^b|20261201080000"], {"AIS[2]-3"}),
        (["AIS|1||A^a|202612010800", "RGS|2", "AIS|1||A^a|202612010800"], set()),
        (["AIS|1||A^a", 'AIS|2||""|'], set()),
        (["AIP|1||BS1", "AIP|2||BS2"], {"AIP[2]-3"}),
        (["AIS|1||A^a^L|20261201", "AIS|2||A|202612010800"], set()),
        (["SCH|A2|A2|||||||||^^^202612010800"], {"SCH[2]-2"}),
        (["TQ1|1||||||202612010800", "TQ1|2||||||202612080800"], {"TQ1[2]-7"}),
        (["AIS|1||A^a", "AIL|1||P1|||202612010800", "AIL|2||P2|||202612010830"], {"AIL[2]-6"}),
    ],
    ids=[
        "two appointments",
        "two services at one time",
        "the same",
        "nothing said",
        "two doctors",
        "a code and its text",
        "two numbers",
        "two times",
        "two rooms",
    ],
)
def test_what_an_appointment_has_a_second_time_is_told(rows: list[str], places: set[str]) -> None:
    found = mapped("SIU^S12", SCH, PID, "RGS|1", *rows)
    assert {path for code, path in told(found) if code == "APPOINTMENT_DIFFERS"} == places
    assert len(found.events) == 1


@pytest.mark.parametrize(
    ("fields", "reason"),
    [("HUY^BN bận", "BN bận"), ("HUY^BN bận|TK^Tái khám", "Tái khám"), ("HUY", None)],
    ids=["words of the event", "those of the appointment first", "a code alone"],
)
def test_why_an_appointment_was_cancelled_is_its_reason_where_it_has_none(fields: str, reason: str | None) -> None:
    assert only(mapped("SIU^S15", f"SCH||GHK1||||{fields}", PID)).get("reason") == reason


@pytest.mark.parametrize(
    ("sent", "diagnoses"),
    [
        ("Tăng huyết áp", [{"chan_doan": "Tăng huyết áp"}]),
        ("Tăng huyết áp^THA", [{"chan_doan": "THA"}]),
    ],
    ids=["words in place of the code", "words of their own"],
)
def test_a_diagnosis_in_words_alone_reaches_the_receiver_and_is_told(sent: str, diagnoses: list[dict[str, str]]) -> None:
    found = mapped("REF^I12", RF1, f"DG1|1||{sent}", PID)
    assert only(found).get("diagnoses", []) == diagnoses
    assert ("DIAGNOSIS_MISSING", "DG1-3") in told(found)
    sent_on = [row for row in referral_segments(only(found)) if row[0] == "DG1"]
    assert [row[3][1] for row in sent_on] == [one["chan_doan"] for one in diagnoses]
