"""Claims come in typed and sparse, the same by envelope and by EHC, and what cannot be read is told and kept."""

import unicodedata
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.dialects.claim_segments import Rows, ehc_rows, ehc_segments
from adapters.dialects.claims import map_ehc, map_hoso, official, typed
from adapters.dialects.mapped import Context, Mapped
from adapters.dialects.profile import load_dialect
from adapters.formats.claim_xml import Hoso, write
from adapters.formats.hl7v2 import build, parse
from adapters.inbound.received import Received
from adapters.inbound.translate import translate
from hub import simulate
from hub.contract.claim_tables import tables
from hub.contract.errors import Problem, Severity
from hub.contract.events import Event, Keyring, Origin, content_hash, decode, encode, sparse
from tests.adapters.dialects.goldens import FOLDER, translated

CONTEXT = Context(Origin("m-1", datetime(2026, 11, 23, tzinfo=UTC), {"sender": "his"}), Keyring(b"secret"), "01021")
HEADER = ["MSH", "HIS", "01021", "HIE", "VSS", "20261123163000", "", ("EHC", "E01", "EHC_E01"), "C-1", "P", "2.6"]
SUMMARY = {"MA_LK": "LK1", "MA_CSKCB": "01021", "MA_DOITUONG_KCB": "1.1"}


def hoso(**more: list[dict[str, str]]) -> Hoso:
    return Hoso(1, "01021", "20261123", {"XML1": [SUMMARY], **more}, ())


def mapped_ehc(*segments: str, trigger: str = "E01") -> Mapped:
    text = "\r".join((f"MSH|^~\\&|HIS|01021|HIE|VSS|20261123163000||EHC^{trigger}|C-1|P|2.6", *segments))
    return map_ehc(parse(text), load_dialect("_standard"), CONTEXT)


def only(mapped: Mapped) -> Event:
    [(record, event)] = mapped.events
    assert record == "hie.Claim"
    return event


def codes(mapped: Mapped) -> list[tuple[str, str, str]]:
    return [(problem.code, problem.severity.value, problem.path) for problem in mapped.problems]


# --- typed values -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1000", "1000.00"),
        ("1000.5", "1000.50"),
        (" 12.5000 ", "12.50"),
        ("+7", "7.00"),
        (".5", "0.50"),
        ("5.", "5.00"),
        ("-0", "0.00"),
        ("-3.25", "-3.25"),
        ("9999999999999999.99", "9999999999999999.99"),
    ],
)
def test_an_amount_has_the_places_of_its_element(text: str, value: str) -> None:
    [row] = typed({"XML1": [{"T_BHTT": text}]}).rows["XML1"]
    assert str(row["t_bhtt"]) == value


@pytest.mark.parametrize(
    "text",
    [
        "12.345",
        "1,5",
        "1.000.000",
        "1 000",
        "NaN",
        "Infinity",
        "1e5",
        "1_000",
        "٣",
        "12đ",
        "--1",
        "99999999999999999",
        "9" * 5000,
    ],
)
def test_what_is_no_such_amount_is_left_out_kept_and_told(text: str) -> None:
    found = typed({"XML2": [{"SO_LUONG": "1"}, {"THANH_TIEN_BV": text}]}, "HOSO[2]/")
    assert found.rows["XML2"][1] == {}
    assert found.unparsed == {"XML2[2]/THANH_TIEN_BV": text[:1000]}
    assert found.problems == [Problem("NUMBER_UNPARSABLE", Severity.WARNING, "HOSO[2]/XML2[2]/THANH_TIEN_BV")]


def test_whole_numbers_may_carry_zero_fractions_only() -> None:
    found = typed({"XML1": [{"NAM_QT": "2026", "THANG_QT": "11.0", "SO_NGAY_DTRI": "3.5", "STT": "4294967296"}]})
    assert found.rows["XML1"] == [{"nam_qt": 2026, "thang_qt": 11, "stt": 4294967296}]
    assert found.unparsed == {"XML1/SO_NGAY_DTRI": "3.5"}


def test_a_code_that_is_a_digit_stays_text_and_zero_is_a_code() -> None:
    [row] = typed({"XML1": [{"MA_TAI_NAN": "0", "KET_QUA_DTRI": "2", "MA_LOAI_KCB": "01"}]}).rows["XML1"]
    assert row == {"ma_tai_nan": "0", "ket_qua_dtri": "2", "ma_loai_kcb": "01"}


def test_text_is_nfc_without_outer_blanks_and_absent_is_not_written() -> None:
    name = unicodedata.normalize("NFD", "Nguyễn Thị Bưởi")
    [row] = typed({"XML1": [{"HO_TEN": f"  {name}\n", "DIA_CHI": "  ", "DIEN_THOAI": "", "NO_SUCH": "x"}]}).rows["XML1"]
    assert row == {"ho_ten": "Nguyễn Thị Bưởi"}


def test_xml13_is_read_in_both_layouts() -> None:
    rows = [{"MA_NOI_DI": "01731", "MA_NOI_DEN": "01004", "PP_DIEU_TRI": "Tỉnh"}, {"MA_CSKCB_DEN": "01004"}]
    assert typed({"XML13": rows}).rows["XML13"] == [
        {"ma_cskcb_di": "01731", "ma_cskcb_den": "01004", "tinh_trang_ct": "Tỉnh"},
        {"ma_cskcb_den": "01004"},
    ]


def test_every_element_of_every_table_has_a_conversion_that_avro_takes() -> None:
    rows: Rows = {
        table: [{name: "1" for name in elements if name not in ("MA_CSKCB",)}]
        for table, elements in tables().items()
        if table != "XML0"
    }
    event = only(map_hoso(Hoso(1, "01021", "20261123", rows, ()), CONTEXT))
    back = decode("hie.Claim", encode("hie.Claim", event))
    assert content_hash(back) == event["meta"]["content_hash"]
    assert set(back["xml3"][0]) == {element.field for element in tables()["XML3"].values()}


def test_official_text_is_typed_back_to_the_same() -> None:
    for claim in simulate.claims(1, 20):
        content = {name: value for name, value in claim.items() if name != "meta"}
        back = typed(official(content))
        assert back.problems == []
        assert back.rows == {
            "XML1": [content["xml1"]],
            **{t.upper(): rows for t, rows in content.items() if isinstance(rows, list)},
        }


# --- the envelope -----------------------------------------------------------------------------------------------------


def test_a_hoso_is_one_claim_keyed_by_facility_and_ma_lk() -> None:
    event = only(map_hoso(hoso(XML2=[{"MA_LK": "LK1", "STT": "1", "DON_GIA": "1250"}]), CONTEXT))
    assert event["action"] == "SUBMITTED"
    assert (event["ma_cskcb"], event["ma_lk"], event["ngaylap"]) == ("01021", "LK1", "20261123")
    assert event["xml2"] == [{"ma_lk": "LK1", "stt": 1, "don_gia": Decimal("1250.000")}]
    assert event["meta"]["key"] == CONTEXT.keyring.key("01021", "LK1", test=False)
    assert event["meta"]["revision"]["stated_at"] == "20261123000000"


def test_content_is_sparse_and_its_hash_that_of_the_contract() -> None:
    event = only(map_hoso(hoso(XML4=[], XML2=[{"MA_LK": "LK1", "DON_GIA": "x", "TEN_THUOC": ""}]), CONTEXT))
    content = {name: value for name, value in event.items() if name != "meta"}
    assert sparse(content) == content
    assert content_hash(event) == event["meta"]["content_hash"]
    assert event["meta"]["unparsed"] == {"XML2[1]/DON_GIA": "x"}


def test_category_8_withdraws_the_claim() -> None:
    withdrawn = Hoso(1, "01021", "20261123", {"XML1": [SUMMARY | {"MA_DOITUONG_KCB": "8"}]}, ())
    assert only(map_hoso(withdrawn, CONTEXT))["action"] == "CANCELLED"


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ({}, ("NOTHING_REPRESENTABLE", "E", "HOSO[1]/XML1")),
        ({"XML2": [{"MA_LK": "LK1"}]}, ("NOTHING_REPRESENTABLE", "E", "HOSO[1]/XML1")),
        ({"XML1": [{"HO_TEN": "A"}]}, ("FIELD_MISSING", "E", "HOSO[1]/XML1/MA_LK")),
        ({"XML1": [SUMMARY | {"MA_LK": " "}]}, ("FIELD_MISSING", "E", "HOSO[1]/XML1/MA_LK")),
        ({"XML1": [SUMMARY | {"MA_CSKCB": "01004"}]}, ("FACILITY_NOT_ENTITLED", "E", "HOSO[1]/XML1/MA_CSKCB")),
        ({"XML0": [{"HO_TEN": "A"}]}, ("FIELD_MISSING", "E", "HOSO[1]/XML0[1]/MA_LK")),
    ],
)
def test_what_refuses_a_hoso(rows: Rows, problem: tuple[str, str, str]) -> None:
    mapped = map_hoso(Hoso(1, "01021", "20261123", rows, ()), CONTEXT)
    assert mapped.events == []
    assert codes(mapped) == [problem]


def test_a_table_that_could_not_be_read_refuses_its_hoso() -> None:
    broken = Problem("XML_CONTENT_BROKEN", Severity.ERROR, "HOSO[1]/XML3")
    mapped = map_hoso(Hoso(1, "01021", "20261123", {"XML1": [SUMMARY]}, (broken,)), CONTEXT)
    assert (mapped.events, mapped.problems) == ([], [broken])


def test_findings_of_the_reader_are_passed_on() -> None:
    odd = Problem("XML_ELEMENT_UNKNOWN", Severity.WARNING, "HOSO[1]/XML1[1]/ODD")
    mapped = map_hoso(Hoso(1, "01021", "20261123", {"XML1": [SUMMARY]}, (odd,)), CONTEXT)
    assert only(mapped) and mapped.problems == [odd]


def test_a_second_summary_is_told_and_not_read() -> None:
    mapped = map_hoso(Hoso(1, "01021", "20261123", {"XML1": [SUMMARY, SUMMARY | {"MA_LK": "LK2"}]}, ()), CONTEXT)
    assert only(mapped)["ma_lk"] == "LK1"
    assert codes(mapped) == [("REPETITION_DROPPED", "W", "HOSO[1]/XML1")]


def test_a_check_in_opens_an_encounter_and_needs_no_summary() -> None:
    row = {
        "MA_LK": "LK1", "MA_BN": "BN.45", "HO_TEN": "Lê Văn Bình", "NGAY_SINH": "198503120000", "GIOI_TINH": "1",
        "SO_CCCD": "001085012345", "MA_THE_BHYT": "DN4010116149000", "GT_THE_TU": "20260101", "GT_THE_DEN": "20261231",
        "MA_DKBD": "01021", "MA_DOITUONG_KCB": "1.1", "NGAY_VAO": "202611230805", "MA_LOAI_KCB": "01", "MA_CSKCB": "01021",
    }  # fmt: skip
    mapped = map_hoso(Hoso(1, "01021", "20261123", {"XML0": [row]}, ()), CONTEXT)
    [(record, event)] = mapped.events
    assert record == "hie.Encounter"
    assert event["action"] == "OPENED"
    assert event["person"]["identifiers"] == [
        {"value": "BN.45", "normalised": "BN45", "type": "MRN", "issuer": "VN-CSKCB-01021"},
        {"value": "001085012345", "normalised": "001085012345", "type": "SDDCN", "issuer": "BCA"},
        {
            "value": "DN4010116149000", "normalised": "DN4010116149000", "type": "BHYT_CARD", "issuer": "VSS",
            "valid_from": "20260101", "valid_to": "20261231",
        },
        {"value": "0116149000", "normalised": "0116149000", "type": "BHXH_NUMBER", "issuer": "VSS", "inferred": True},
    ]  # fmt: skip
    assert event["meta"]["occurred_at"] == "2026-11-23T08:05:00+07:00"
    assert decode("hie.Encounter", encode("hie.Encounter", event))["ma_dkbd"] == "01021"


@pytest.mark.parametrize(("number", "kind"), [("012345678", "CMND9"), ("001085012345", "SDDCN"), ("C1234567", "PASSPORT")])
def test_the_paper_behind_so_cccd_is_told_by_its_shape(number: str, kind: str) -> None:
    mapped = map_hoso(Hoso(1, "01021", "", {"XML0": [{"MA_LK": "1", "SO_CCCD": number}]}, ()), CONTEXT)
    assert mapped.events[0][1]["person"]["identifiers"][0]["type"] == kind


@pytest.mark.parametrize(
    "more",
    [
        {"XML6": [{"MA_LK": "LK1"}]},
        {"XML1": [SUMMARY | {"MA_BENH_CHINH": "b20.1"}]},
        {"XML1": [SUMMARY | {"MA_BENH_KT": "I10; B24"}]},
        {"XML3": [{"MA_LK": "LK1", "MA_BENH": "E11;B22"}]},
        {"XML3": [{"MA_LK": "LK1", "TEN_DICH_VU": "HIV Ab test nhanh"}]},
        {"XML4": [{"MA_LK": "LK1", "TEN_CHI_SO": "hiv Ag/Ab"}]},
        {"XML2": [{"MA_LK": "LK1", "TEN_THUOC": "Acriptega (Tenofovir + Lamivudin + DOLUTEGRAVIR)"}]},
        {"XML7": [{"MA_LK": "LK1", "CHAN_DOAN_RV": "Nhiễm HIV giai đoạn 2"}]},
        {"XML8": [{"MA_LK": "LK1", "PP_DIEUTRI": "Tiếp tục phác đồ ARV"}]},
        {"XML8": [{"MA_LK": "LK1", "TOMTAT_KQ": "Test nhanh HIV: âm tính"}]},
        {"XML13": [{"MA_LK": "LK1", "MA_BENH_KT": "Z21"}]},
        {"XML1": [SUMMARY | {"CHAN_DOAN_RV": "Nhiễm HIV không triệu chứng"}]},
        {"XML13": [{"MA_LK": "LK1", "CHAN_DOAN_RV": "AIDS"}]},
    ],
)
def test_protected_content_is_labelled(more: dict[str, list[dict[str, str]]]) -> None:
    assert only(map_hoso(hoso(**more), CONTEXT))["meta"]["sensitivity"] == "HIV"


@pytest.mark.parametrize(
    ("summary", "paper", "label"),
    [
        ({"MA_BENH_CHINH": "F20.0"}, "", "MENTAL"),
        ({"MA_BENH_KT": "T42;X61"}, "", "MENTAL"),
        ({"MA_BENH_CHINH": "O04.9"}, "", "REPRODUCTIVE"),
        ({"MA_BENH_CHINH": "J18.9"}, "Từng trầm cảm", "MENTAL"),
        ({"MA_BENH_CHINH": "F20.0", "MA_BENH_KT": "O04.9"}, "", "MENTAL"),
        ({"MA_BENH_CHINH": "F20.0", "MA_BENH_KT": "B20"}, "", "HIV"),
        ({"MA_BENH_CHINH": "F20.0"}, "Phác đồ ARV", "HIV"),
        ({"MA_BENH_CHINH": "O80"}, "Mẹ tròn con vuông", None),
        ({"MA_BENH_CHINH": "F329"}, "", "MENTAL"),
        ({"MA_BENH_CHINH": "F024"}, "", "HIV"),
        ({"MA_BENH_CHINH": "T42", "LY_DO_VV": "Uống thuốc tự tử"}, "", "MENTAL"),
        ({"MA_BENH_CHINH": "I10"}, "Không trầm cảm, không nghiện rượu, rối loạn thần kinh thực vật", None),
    ],
)
def test_each_label_has_its_codes_and_words_and_of_several_the_first_counts(
    summary: dict[str, str], paper: str, label: str | None
) -> None:
    more = {"XML1": [SUMMARY | summary], "XML8": [{"MA_LK": "LK1", "QT_BENHLY": paper or "Khỏe"}]}
    assert only(map_hoso(hoso(**more), CONTEXT))["meta"].get("sensitivity") == label


@pytest.mark.parametrize(
    ("more", "label"),
    [
        ({"XML7": [{"MA_LK": "LK1", "MA_DINH_CHI_THAI": "1"}]}, "REPRODUCTIVE"),
        ({"XML7": [{"MA_LK": "LK1", "MA_DINH_CHI_THAI": "0"}]}, None),
        ({"XML11": [{"MA_LK": "LK1", "MA_DINH_CHI_THAI": "1"}]}, "REPRODUCTIVE"),
        ({"XML11": [{"MA_LK": "LK1", "CHAN_DOAN_RV": "Trầm cảm nặng"}]}, "MENTAL"),
        ({"XML3": [{"MA_LK": "LK1", "TEN_DICH_VU": "Phá thai bằng thuốc cho tuổi thai đến hết 7 tuần"}]}, "REPRODUCTIVE"),
        ({"XML3": [{"MA_LK": "LK1", "TEN_DICH_VU": "Bơm tinh trùng vào buồng tử cung (IUI)"}]}, "REPRODUCTIVE"),
        ({"XML3": [{"MA_LK": "LK1", "TEN_DICH_VU": "Khâu vết thương, tự sát khuẩn"}]}, None),
        ({"XML3": [{"MA_LK": "LK1", "TEN_DICH_VU": "Phá thai bằng thuốc", "MA_BENH": "F200"}]}, "MENTAL"),
    ],
)
def test_papers_and_services_tell_of_it_too(more: dict[str, list[dict[str, str]]], label: str | None) -> None:
    assert only(map_hoso(hoso(**more), CONTEXT))["meta"].get("sensitivity") == label


def test_other_content_is_not_labelled() -> None:
    more = {
        "XML1": [SUMMARY | {"MA_BENH_CHINH": "E11.9", "MA_BENH_KT": "I10;AB20"}],
        "XML2": [{"MA_LK": "LK1", "TEN_THUOC": name} for name in ("Tenofovir 300 mg", "Larvin", "Nirmatrelvir + Ritonavir")],
        "XML8": [{"MA_LK": "LK1", "QT_BENHLY": "Viêm gan B mạn, đang dùng tenofovir", "DU_PHONG": "MII/HIV+ARV/=="}],
    }
    event = only(map_hoso(hoso(**more), CONTEXT))
    assert "sensitivity" not in event["meta"]


# --- EHC --------------------------------------------------------------------------------------------------------------


def test_a_message_without_local_segments_is_read_from_the_standard_ones() -> None:
    event = only(
        mapped_ehc(
            "IVC|LK7|||OR|NORM|FN|202611231035|388270.00&VND||^^^^^^^^^01021|VSS|||202611",
            "PID|1||BN1^^^^MR~012345678^^^^CMND~GD4010112345678^^^VSS^HC||Trần^Mai^Thị||1985|F||01",
            "PV1|1|O|||||||||||||||||LK7|1.3",
            "DG1|1||E11.9^Đái tháo đường^ICD-10|||F",
            "DG1|2||I10^Tăng huyết áp^ICD-10|||F",
            "PSL|1||1||||40.48^Paracetamol^LOCAL||||20261123|15^viên|305",
            "ZFT|4",
            "PSL|2||2||||02.1896^Khám Nội^LOCAL|||20261123||1^lần|42100",
            "ZFT|13",
        )
    )
    summary = event["xml1"]
    assert summary == {
        "ma_lk": "LK7", "ma_cskcb": "01021", "ngay_ttoan": "202611231035", "t_tongchi_bv": Decimal("388270.00"), "nam_qt": 2026,
        "thang_qt": 11, "ma_bn": "BN1", "so_cccd": "012345678", "ma_the_bhyt": "GD4010112345678", "ho_ten": "Trần Thị Mai",
        "ngay_sinh": "198500000000", "gioi_tinh": "2", "ma_dantoc": "01", "ma_doituong_kcb": "1.3", "ma_benh_chinh": "E11.9",
        "chan_doan_rv": "Đái tháo đường", "ma_benh_kt": "I10",
    }  # fmt: skip
    assert [row["ten_thuoc"] for row in event["xml2"]] == ["Paracetamol"]
    assert [(row["ma_lk"], row["stt"], row["ten_dich_vu"]) for row in event["xml3"]] == [("LK7", 2, "Khám Nội")]
    assert event["ngaylap"] == "20261123"


def test_a_delimiter_that_nobody_escaped_cuts_no_text_of_a_claim() -> None:
    said = "máu & mủ"
    event = only(
        mapped_ehc(
            f"ZCL|LK7{'|' * 21}{said}^1{'|' * 7}{said}^2|{said}~3",
            f"PID|1||BN1||Lê & Trần^Mai||1985|F|||{said}&^^P1",
            f"PV2|||R^{said}&4",
            f"DG1|1||E11.9^{said}^ICD-10|||F|||||||||1",
            f"DG1|2|||{said}^5||A",
            f"PSL|1||1||||T1^{said}^L",
            "ZFT|4",
            f"PSL|2||2||||T2^^L||{said}^6",
            f"ZFT|4{'|' * 31}{said}^7",
            f"PSL|3||3||||D1^{said}^VN-DVKT^V1^{said}\\T\\8^VN-VTYT",
            f"PSL|4||4||||D1^^VN-DVKT||{said}^9",
            f"ZTB|XML4|1|TEN_CHI_SO^{said}",
        )
    )
    summary, (first, second), services = event["xml1"], event["xml2"], event["xml3"]
    assert (summary["ly_do_vnt"], summary["pp_dieu_tri"], summary["ghi_chu"]) == (f"{said}^1", f"{said}^2", f"{said};3")
    assert (summary["ho_ten"], summary["dia_chi"], summary["ly_do_vv"]) == ("Lê & Trần Mai", said, f"{said}&4")
    assert (summary["chan_doan_rv"], summary["chan_doan_vao"]) == (said, f"{said}^5")
    assert (first["ten_thuoc"], second["ten_thuoc"], second["ham_luong"]) == (said, f"{said}^6", f"{said}^7")
    assert [row["ten_dich_vu"] for row in services] == [said, f"{said}^9"] and services[0]["ten_vat_tu"] == f"{said}&8"
    assert event["xml4"][0]["ten_chi_so"] == said


def test_lines_without_a_number_are_numbered_and_get_the_key() -> None:
    event = only(mapped_ehc("ZCL|LK7", "PSL|||||||A^^VN-DVKT", "PSL|||||||B^^VN-DVKT"))
    assert [(row["ma_lk"], row["stt"], row["ma_dich_vu"]) for row in event["xml3"]] == [("LK7", 1, "A"), ("LK7", 2, "B")]


def test_e02_cancels_and_the_version_comes_first() -> None:
    event = only(mapped_ehc("IVC|LK7", "ZCL|LK7|3", trigger="E02"))
    assert event["action"] == "CANCELLED"
    assert event["meta"]["revision"]["version"] == 3


def test_a_claim_without_key_is_refused() -> None:
    assert codes(mapped_ehc("PID|1")) == [("FIELD_MISSING", "E", "XML1/MA_LK")]


def test_another_facility_in_the_invoice_is_refused() -> None:
    assert codes(mapped_ehc("IVC|LK7|||||||||^^^^^^^^^01004")) == [("FACILITY_NOT_ENTITLED", "E", "XML1/MA_CSKCB")]


def test_deleted_fields_are_listed() -> None:
    event = only(mapped_ehc("ZCL|LK7", 'PID|1||||||||||||""'))
    assert event["meta"]["cleared"] == ["xml1.dien_thoai"]


def test_an_unknown_table_in_ztb_is_told() -> None:
    mapped = mapped_ehc("ZCL|LK7", "ZTB|XML99|1|A^B")
    assert only(mapped)["ma_lk"] == "LK7"
    assert codes(mapped) == [("XML_TABLE_UNKNOWN", "W", "ZTB-1")]


def test_simulated_claims_have_the_same_content_by_ehc() -> None:
    dialect = load_dialect("_standard")
    for claim in simulate.claims(2, 30, facility_codes=["01021"]):
        written = ehc_segments(HEADER, official(claim), day=claim["ngaylap"], version=0, cancelled=False)
        mapped = map_ehc(parse(build(written)), dialect, CONTEXT)
        assert mapped.problems == []
        assert only(mapped)["meta"]["content_hash"] == claim["meta"]["content_hash"]


_TEXT = (
    st.text(st.sampled_from("aZ0 19;|^~\\&\n\tđỄ.\"'<%"), min_size=1, max_size=12)
    .map(str.strip)
    .filter(lambda t: t not in ("", '""'))
)


def _rows(table: str) -> st.SearchStrategy[dict[str, str]]:
    return st.dictionaries(st.sampled_from(list(tables()[table])), _TEXT, max_size=25)


@given(
    st.fixed_dictionaries(
        {"XML1": _rows("XML1").map(lambda row: [row])}
        | {t: st.lists(_rows(t), max_size=3) for t in ("XML2", "XML3", "XML4", "XML13")}
    )
)
def test_whatever_the_rows_hold_ehc_carries_it_exactly(rows: Rows) -> None:
    """Unequal lists of cards, odd names, codes that are text: what has no place of its own goes into ZTB."""
    written = build(ehc_segments(HEADER, rows, day="20261123", version=0, cancelled=False))
    read, _ = ehc_rows(parse(written))
    for table, lines in rows.items():
        found = [{name: text for name, text in row.items() if text} for row in read.get(table, [])]
        assert found == [{name: text for name, text in row.items() if text} for row in lines]


def test_the_golden_envelope_and_the_golden_message_say_the_same() -> None:
    """Sample 11 of hl7-mapping.md §6."""
    pair = [FOLDER / "_standard" / name for name in ("claim-outpatient.xml", "ehc-e01-outpatient.hl7")]
    contents = [{name: value for name, value in translated(path).events[0][1].items() if name != "meta"} for path in pair]
    assert contents[0] == contents[1]
    assert {translated(path).events[0][1]["meta"]["content_hash"] for path in pair} == {content_hash(contents[0])}


_AMOUNT = st.decimals(0, 10**9, places=2).map(str)
_WORD = (
    st.text(st.sampled_from("aZ0 9;|^~\\&\tđỄ.\"'<%"), min_size=1, max_size=12)
    .map(str.strip)
    .filter(lambda t: t not in ("", '""'))
)


def _full(table: str, **fixed: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, str]]:
    """A row with every element of its table, of the kind that it has."""
    kinds = {
        name: _WORD if each.kind == "string" else _AMOUNT if "decimal" in each.kind else _DIGIT
        for name, each in tables()[table].items()
    }
    return st.fixed_dictionaries(kinds | fixed)


_DIGIT = st.integers(0, 9).map(str)
_KEY = {"MA_LK": st.just("LK1"), "MA_CSKCB": st.just("01021"), "MA_DOITUONG_KCB": st.just("1.1")}
_LINES = {table: st.lists(_full(table), min_size=1, max_size=2) for table in ("XML2", "XML3", "XML4", "XML5", "XML13")}


@settings(max_examples=25, deadline=None)
@given(st.fixed_dictionaries({"XML1": _full("XML1", **_KEY).map(lambda row: [row]), **_LINES}), st.booleans())
def test_a_claim_of_full_width_is_the_same_event_by_ehc_and_by_envelope(rows: Rows, nested: bool) -> None:
    """Whatever the 200 elements hold, content, key and id are the same; only what names the transport differs."""
    written = build(ehc_segments(HEADER, rows, day="20261123", version=0, cancelled=False)).encode()
    written = written.replace(b"|20261123163000|", b"|20261123|", 1)  # MSH-7 as exact as NGAYLAP
    envelope = write([rows], tables(), ma_cskcb="01021", ngaylap="20261123", nested=nested)
    received = datetime(2026, 11, 23, tzinfo=UTC)
    by_ehc, by_envelope = (translate(Received(raw, received, "http"), Keyring(b"secret")) for raw in (written, envelope))
    one, other = by_ehc.events[0][1], by_envelope.events[0][1]
    told = {"source", "message_id"}
    assert {k: v for k, v in one["meta"].items() if k not in told} == {k: v for k, v in other["meta"].items() if k not in told}
    assert {k: v for k, v in one.items() if k != "meta"} == {k: v for k, v in other.items() if k != "meta"}


def test_a_claim_sent_both_ways_on_one_day_differs_in_its_time_alone() -> None:
    """MSH-7 tells the second, NGAYLAP the day: the content is the same, and the second one is a repeat of the first."""
    pair = [FOLDER / "_standard" / name for name in ("claim-outpatient.xml", "ehc-e01-outpatient.hl7")]
    one, other = (translated(path).events[0][1]["meta"] for path in pair)
    assert one["content_hash"] == other["content_hash"] and one["key"] == other["key"]
