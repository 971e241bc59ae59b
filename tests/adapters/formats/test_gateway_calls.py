"""The gateway's calls as text: what clients send, in all the forms of the field, and answers that their code can cut."""

import base64
import json
import tracemalloc
from datetime import UTC, date, datetime
from decimal import Decimal
from urllib.parse import quote_plus, urlencode

import pytest

from adapters.formats.claim_xml import Reader
from adapters.formats.gateway_calls import (
    RESULTS,
    day_of,
    decided_row,
    enveloped,
    error_row,
    file_of,
    holds_several,
    parameters,
    receipt,
    refusal,
    result_of,
    token_answer,
)
from hub.contract.claim_tables import tables
from hub.contract.errors import ERRORS, HubError, Problem, Severity
from hub.contract.places import shipped

AT = datetime(2026, 11, 27, 17, 30, 5, 123456, tzinfo=UTC)
CHECK_IN = (
    "<CHI_TIEU_TRANG_THAI_KCB><DSACH_TRANG_THAI_KCB><TRANG_THAI_KCB><MA_LK>LK1</MA_LK><HO_TEN>Lê Văn Bình</HO_TEN>"
    "</TRANG_THAI_KCB></DSACH_TRANG_THAI_KCB><CHUKYDONVI>abc</CHUKYDONVI></CHI_TIEU_TRANG_THAI_KCB>"
).encode()


def test_a_form_and_json_state_the_same_whatever_the_case_of_names():
    assert parameters(b"username=01004_BV&password=AB%2B") == {"username": "01004_BV", "password": "AB+"}
    assert parameters(b'{"Username":"01004_BV","loaiHoSo":130,"other":null}') == {"username": "01004_BV", "loaihoso": "130"}


def test_the_older_calls_state_theirs_in_the_address():
    assert parameters(b"", "token=a.b&maCSKCB=01004&tuNgay=01%2F11%2F2026") == {
        "token": "a.b",
        "macskcb": "01004",
        "tungay": "01/11/2026",
    }
    assert parameters(b"maCSKCB=01021", "maCSKCB=01004")["macskcb"] == "01021"


@pytest.mark.parametrize("body", [b'{"a":', b"{1}", b"\xff\xfe", b"&".join(b"a=1" for _ in range(100)), b"a&" * 100])
def test_a_body_that_is_neither_is_told_so(body):
    with pytest.raises(HubError, match="REQUEST_WRONG"):
        parameters(body)


@pytest.mark.parametrize("raw", [b"<a/>", bytes(range(256)) * 3, "<HỒ/>".encode()])
def test_a_file_survives_every_way_clients_pack_it(raw):
    packed = base64.b64encode(raw).decode()
    lines = "\r\n".join(packed[at : at + 76] for at in range(0, len(packed), 76))
    assert file_of(packed) == file_of(lines) == file_of(packed.rstrip("=")) == raw
    assert file_of(parameters(urlencode({"fileHSBase64": packed}).encode())["filehsbase64"]) == raw
    forgotten = "fileHSBase64=" + packed  # `+` and `/` not escaped
    assert file_of(parameters(forgotten.encode())["filehsbase64"]) == raw


def test_what_is_no_base64_comes_back_as_it_was_so_that_it_can_be_kept():
    assert file_of("<GIAMDINHHS/>") == b"<GIAMDINHHS/>" and file_of("ă") == "ă".encode()
    for nothing in ("", " ", "\r\n"):
        with pytest.raises(HubError, match="EMPTY_INPUT"):
            file_of(nothing)


@pytest.mark.parametrize("head", [b"", b"\xef\xbb\xbf", b'<?xml version="1.0" encoding="utf-8"?>\r\n', b"<!-- of our own -->\n"])
def test_a_bare_check_in_gets_an_envelope_and_keeps_its_bytes(head):
    wrapped = enveloped(head + CHECK_IN, "01021", date(2026, 11, 28))
    assert base64.b64encode(head + CHECK_IN) in wrapped
    reader = Reader(wrapped, {name: list(table) for name, table in tables().items()})
    [hoso] = list(reader)
    assert (hoso.ma_cskcb, hoso.ngaylap, hoso.problems, reader.problems) == ("01021", "20261128", (), ())
    assert hoso.tables == {"XML0": [{"MA_LK": "LK1", "HO_TEN": "Lê Văn Bình"}]}


@pytest.mark.parametrize("raw", [b"", b"x", b"<GIAMDINHHS><A/></GIAMDINHHS>", b"MSH|^~\\&|", b"<other/>"])
def test_everything_else_stays_as_it_is(raw):
    assert enveloped(raw, "01021", date(2026, 11, 28)) is raw


def test_more_than_one_hoso_is_seen_without_reading_the_file():
    one, two = (shipped(f"seeds/messages/_standard/claim-{name}.xml").read_bytes() for name in ("outpatient", "two-hoso"))
    assert not holds_several(one) and holds_several(two)
    assert holds_several(b"<x:HOSO/><HOSO a='1'>") and not holds_several(b"<HOSO><SOLUONGHOSO>1</SOLUONGHOSO><FILEHOSO>")


def test_days_are_day_month_year():
    assert day_of("05/11/2026", "tuNgay") == date(2026, 11, 5)
    for wrong in ("", "2026-11-05", "31/02/2026", "5/11/2026", "05/11/26"):
        with pytest.raises(HubError, match="tuNgay"):
            day_of(wrong, "tuNgay")


def test_a_client_that_cuts_the_token_answer_at_its_names_finds_what_it_looks_for():
    text = token_answer("aaa.bbb", "ccc.ddd", "01004_BV", AT).decode()
    bare = text.replace('"', "").replace("{", "").replace("}", "").split(",")
    assert bare[0].split(":")[1] == "200"
    assert bare[1].split(":")[2] == "aaa.bbb" and bare[2].split(":")[1] == "ccc.ddd"
    parts = text.split('"maKetQua"')[1]
    assert parts[2:5] == "200"
    expires = json.loads(text)["APIKey"]["expires_in"]
    assert expires == "2026-11-27T17:30:05.1234560Z"
    assert datetime.strptime(expires[: expires.rindex(".")].replace("T", " "), "%Y-%m-%d %H:%M:%S")


def test_a_receipt_has_the_time_of_vietnam():
    assert json.loads(receipt("200", "id-1", AT, "ok")) == {
        "maKetQua": "200",
        "maGiaoDich": "id-1",
        "thoiGianTiepNhan": "20261128003005",
        "thongDiep": "ok",
    }


def test_a_refusal_keeps_the_members_that_clients_read_and_says_why_in_two_languages():
    answer = json.loads(refusal(HubError("FACILITY_NOT_ENTITLED", "maCSKCB"), {"dsHoSo": []}))
    assert (answer["maKetQua"], answer["dsHoSo"]) == ("403", [])
    row = ERRORS["FACILITY_NOT_ENTITLED"]
    assert (
        row.vi in answer["thongDiep"]
        and row.en in answer["thongDiep"]
        and "[FACILITY_NOT_ENTITLED maCSKCB]" in answer["thongDiep"]
    )
    assert json.loads(refusal(HubError("BROKER_UNAVAILABLE"), {}))["maKetQua"] == "500"
    assert json.loads(refusal(HubError("CARD_CHECK_UNSET"), {}, "ghiChu"))["ghiChu"].endswith("[CARD_CHECK_UNSET]")


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (Problem("XML_MALFORMED", Severity.ERROR), "201"),
        (Problem("FIELD_MISSING", Severity.ERROR, "HOSO[1]/XML1/MA_LK"), "202"),
        (Problem("EMPTY_INPUT", Severity.ERROR), "204"),
        (Problem("FACILITY_NOT_ENTITLED", Severity.ERROR), "403"),
        (Problem("FORMAT_UNKNOWN", Severity.ERROR), "123"),
        (Problem("TRANSLATION_FAILED", Severity.ERROR), "124"),
        (Problem("FRAME_TOO_LARGE", Severity.ERROR), "1001"),
    ],
)
def test_a_file_that_is_not_taken_has_the_code_of_its_error_whatever_warnings_stand_before_it(problem, code):
    found, text = result_of("refused", [Problem("XML_ELEMENT_UNKNOWN"), problem])
    assert found == code and problem.code in text
    assert error_row({"code": problem.code, "severity": "E", "path": "XML1"})["maLoi"] == code


def test_a_file_that_is_taken_is_200_and_counts_its_warnings():
    assert result_of("translated", [])[0] == "200"
    code, text = result_of("translated", [Problem("XML_ELEMENT_UNKNOWN")])
    assert code == "200" and "1 warnings" in text


def test_every_code_of_ours_that_is_mapped_exists_and_every_result_is_of_the_standards_lists():
    rows = [line.split(",") for line in shipped("seeds/standards/codes.csv").read_text("utf-8").splitlines()]
    listed = {row[1] for row in rows if row[0] in ("GATEWAY_RESULT", "CARD_CHECK")}
    assert set(RESULTS) <= set(ERRORS) and set(RESULTS.values()) <= listed


def test_a_form_of_a_large_file_is_read_in_one_piece():
    packed = base64.b64encode(b"<a>" + b"x" * 300_000 + b"</a>").decode()
    assert len(file_of(parameters(f"fileHSBase64={quote_plus(packed)}".encode())["filehsbase64"])) == 300_007


def test_a_large_form_takes_little_more_memory_than_its_bytes_however_it_is_escaped():
    packed = base64.b64encode(bytes(range(256)) * 4_000).decode()
    lines = "\r\n".join(packed[at : at + 76] for at in range(0, len(packed), 76))
    form = urlencode({"a": "Ễ&", "fileHSBase64": lines}).encode()
    assert parameters(form) == {"a": "Ễ&", "filehsbase64": lines}
    assert parameters(form.replace(b"%2B", b"%2b").replace(b"%0D", b"%0d"))["filehsbase64"] == lines
    tracemalloc.start()
    parameters(form)
    with pytest.raises(HubError, match="REQUEST_WRONG"):
        parameters(b"fileHSBase64=" + b"%41" * 500_000)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 8 * len(form)


@pytest.mark.parametrize(
    ("verdict", "status"),
    [("ACCEPTED", "Đạt"), ("REDUCED", "Đạt"), ("REJECTED", "Không đạt"), ("INFORMATION_REQUESTED", "Cần bổ sung")],
)
def test_a_decision_is_a_row_with_status_and_amount(verdict, status):
    decision = {"ma_lk": "LK1", "verdict": verdict, "t_bhtt_gd": Decimal("6400.00"), "findings": []}
    assert decided_row(decision) == {"maLK": "LK1", "trangThai": status, "soTienDuyet": "6400.00", "lyDo": ""}
    assert decided_row({"ma_lk": "LK1", "verdict": verdict})["soTienDuyet"] == ""


def test_a_decisions_reasons_are_those_of_its_verdict_with_place_rule_and_what_they_take():
    cut = {"rule": "C05", "severity": "C", "table": "XML3", "stt": 2, "field": "don_gia_bh", "reduction": Decimal("1600.00"), "text_vi": "Giá cao"}  # fmt: skip
    wrong = {"rule": "X05", "severity": "E", "table": "XML1", "stt": None, "field": "t_bhtt", "text_vi": "Sai tổng"}
    warned = {"rule": "F07", "severity": "W", "field": "can_nang", "text_vi": "Nặng"}
    plain = {"text_en": "By contract"}
    outdated = {"rule": "T07", "severity": "W", "table": "XML1", "text_vi": "Phiên bản cũ"}

    def why(verdict, *findings):
        return decided_row({"ma_lk": "1", "verdict": verdict, "findings": findings})["lyDo"]

    assert why("ACCEPTED", outdated, warned) == "XML1 [T07]: Phiên bản cũ"
    assert why("REJECTED", outdated, wrong) == "XML1 [T07]: Phiên bản cũ; XML1 T_BHTT [X05]: Sai tổng"
    assert why("REDUCED", cut, warned) == "XML3/2 DON_GIA_BH [C05]: Giá cao (giảm 1600.00)"
    assert why("REJECTED", cut, wrong, plain) == "XML1 T_BHTT [X05]: Sai tổng; XML1: By contract"
