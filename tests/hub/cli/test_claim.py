"""`hie claim`: offline at the sender, and over a ledger; no server is asked."""

import base64
import json
from datetime import date

import pytest
from typer.testing import CliRunner

from hub.cli.main import app
from hub.contract.errors import HubError
from hub.contract.places import shipped
from hub.insurer.branches import changed, promote
from hub.insurer.export import INDEX
from hub.insurer.history import close
from hub.insurer.ledger import Ledger
from tests.hub.insurer.histories import TOPIC, visit, write
from tests.hub.insurer.test_branches import made
from tests.hub.insurer.test_explain import HOME, MONTH, WRONG, adjust, sent, stents
from tests.hub.insurer.test_ledger import batch
from tests.hub.insurer.test_promoted import AT, TOLD

RIGHT, WRONG_TOTAL, HL7 = (
    shipped(f"seeds/demo/{name}")
    for name in ("11-claim-district.xml", "14-claim-district-wrong-total.xml", "12-claim-province.hl7")
)


def hie(*words):
    done = CliRunner().invoke(app, ["claim", *map(str, words)], catch_exceptions=False)
    return done.exit_code, done.output


@pytest.mark.parametrize(("file", "paid"), [(RIGHT, "188,690.00"), (HL7, "286,420.00")], ids=["envelope", "EHC"])
def test_a_right_claim_ends_with_0_and_says_what_is_paid_and_what_is_not_known(file, paid):
    code, text = hie("check", file)
    assert code == 0
    assert "CHẤP NHẬN accepted" in text
    assert f"đề nghị {paid} VND · thanh toán {paid} VND" in text
    assert "X07" not in text
    assert "(H01–H09" in text and "not known offline" in " ".join(text.split())


def test_a_claim_that_would_be_rejected_ends_with_1_and_says_why_in_both_languages():
    code, text = hie("check", WRONG_TOTAL)
    assert code == 1
    assert "X05 từ chối / rejects  T_TONGCHI_BV  (khai 261,740.00 · tính 161,740.00)" in text
    assert "The total cost is not the sum" in text
    assert "Tổng chi phí BV không bằng" in text


def test_all_hosos_of_an_envelope_and_all_messages_of_a_file_are_checked(tmp_path):
    parts = [file.read_text("utf-8") for file in (RIGHT, WRONG_TOTAL)]
    hosos = ["<HOSO>" + part.split("<HOSO>")[1].split("</HOSO>")[0] + "</HOSO>" for part in parts]
    whole = parts[0].replace(hosos[0], "".join(hosos)).replace("<SOLUONGHOSO>1<", "<SOLUONGHOSO>2<")
    (tmp_path / "two.xml").write_text(whole, "utf-8")
    code, text = hie("check", "--json", tmp_path / "two.xml")
    [row] = map(json.loads, text.splitlines())
    assert code == 1
    assert [claim["verdict"] for claim in row["claims"]] == ["ACCEPTED", "REJECTED"]
    (tmp_path / "two.hl7").write_bytes(2 * HL7.read_bytes())
    code, text = hie("check", "--json", tmp_path / "two.hl7")
    assert [[claim["verdict"] for claim in row["claims"]] for row in map(json.loads, text.splitlines())] == [["ACCEPTED"]] * 2


def test_several_files_and_folders_are_checked_as_if_they_were_sent_one_after_the_other_and_added_up(tmp_path):
    exported = tmp_path / "november"
    (exported / "01021").mkdir(parents=True)
    (exported / "01021" / "a.xml").write_bytes(WRONG_TOTAL.read_bytes())
    (exported / INDEX).write_text("file,ma_cskcb\n", "utf-8")
    code, text = hie("check", exported, RIGHT, HL7, "--html", tmp_path / "all.html")
    assert code == 1
    places = [text.index(word) for word in ("a.xml#1", "TỪ CHỐI", f"{RIGHT.name}#1", "CHẤP NHẬN", f"{HL7.name}#1")]
    assert places == sorted(places)
    assert (
        "chấp nhận / accepted 2 · từ chối / rejected 1\nđề nghị 631,750.00 VND · thanh toán 475,110.00 VND · claimed, paid"
        in text
    )
    page = (tmp_path / "all.html").read_text("utf-8")
    assert "3 tệp · files" in page and page.count('<span class="ACCEPTED">') == 2
    code, text = hie("check", exported, RIGHT, "--json")
    rows = [json.loads(line) for line in text.splitlines()]
    assert [(row["file"], [claim["verdict"] for claim in row["claims"]]) for row in rows] == [
        (str(exported / "01021" / "a.xml"), ["REJECTED"]),
        (str(RIGHT), ["ACCEPTED"]),
    ]
    assert hie("check", RIGHT, HL7)[0] == 0
    code, text = hie("check", WRONG_TOTAL, WRONG_TOTAL)
    assert (text.count("X05 từ chối"), "từ chối / rejected 1\n" in text) == (2, True), (
        "a claim in two files is one, told with each"
    )
    (tmp_path / "nothing").mkdir()
    assert hie("check", tmp_path / "nothing")[0] == 1


def test_of_one_claim_twice_in_an_envelope_the_later_one_counts_and_both_are_told(tmp_path):
    wrong = WRONG_TOTAL.read_text("utf-8")
    hoso = "<HOSO>" + wrong.split("<HOSO>")[1].split("</HOSO>")[0] + "</HOSO>"
    summary = hoso.split("<NOIDUNGFILE>")[1].split("</NOIDUNGFILE>")[0]
    mended = base64.b64encode(base64.b64decode(summary).replace(b">261740.00<", b">161740.00<")).decode()
    right = hoso.replace(summary, mended)
    for name, hosos in (("corrected", hoso + right), ("spoilt", right + hoso)):
        (tmp_path / name).write_text(wrong.replace(hoso, hosos), "utf-8")
    code, text = hie("check", tmp_path / "corrected")
    assert code == 0, "what it would reject is corrected"
    assert "W CLAIM_REPEATED HOSO[2]" in text
    replaced, refused, accepted = (
        text.index(word) for word in ("another one of these files counts", "TỪ CHỐI rejected", "CHẤP NHẬN accepted")
    )
    assert replaced < refused < accepted and text.count("another one of these files counts") == 1
    assert "chấp nhận / accepted 1\n" in text
    assert hie("check", tmp_path / "spoilt")[0] == 1
    [row] = map(json.loads, hie("check", "--json", tmp_path / "spoilt")[1].splitlines())
    assert [(claim["verdict"], claim["replaced"]) for claim in row["claims"]] == [("ACCEPTED", True), ("REJECTED", False)]


def test_what_the_door_refuses_and_a_file_without_claims_end_with_1(tmp_path):
    assert hie("check", RIGHT, "--facility", "01004")[0] == 1
    assert hie("check", RIGHT, "--facility", "01021")[0] == 0
    code, text = hie("check", shipped("seeds/demo/04-referral-to-province.hl7"))
    assert (code, "there is no claim" in text) == (1, True)
    (tmp_path / "broken.xml").write_text("<GIAMDINHHS><THONG")
    code, text = hie("check", tmp_path / "broken.xml")
    assert code == 1 and text.startswith("quarantined")


def test_what_is_not_checked_for_want_of_catalogues_is_said_as_text_as_json_and_on_the_page(tmp_path, monkeypatch):
    text = " ".join(hie("check", RIGHT, "--html", tmp_path / "claims.html")[1].split())
    [row] = map(json.loads, hie("check", "--json", RIGHT)[1].splitlines())
    page, said = (tmp_path / "claims.html").read_text("utf-8"), row["not_checked"][-1]
    assert said["text_en"].startswith("There are no catalogues (HIE_CATALOGUE_DIR)")
    assert all(said[name] in where for name in ("text_vi", "text_en") for where in (text, page))
    (tmp_path / "drugs.csv").write_text(
        "facility,code,name,price,registration,tender,valid_from,valid_to\n01021,0,x,1,,,2026-01-01,\n"
    )
    monkeypatch.setenv("HIE_CATALOGUE_DIR", str(tmp_path))
    text = " ".join(hie("check", RIGHT)[1].split())
    assert "C10 giảm trừ / cuts" in text
    assert "HIE_CATALOGUE_DIR lacks services.csv, supplies.csv, staff.csv, icd.csv: rules C20–C24" in text


def test_the_page_is_written_beside(tmp_path):
    hie("check", WRONG_TOTAL, "--html", tmp_path / "claims.html")
    assert "T_TONGCHI_BV" in (tmp_path / "claims.html").read_text("utf-8")


# --- over a ledger ----------------------------------------------------------------------------------------------------


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    monkeypatch.setenv("HIE_LEDGER_DIR", str(tmp_path / "ledger"))
    events = [sent("A", **WRONG), stents("A", version=1, minutes=5), sent("B")]
    Ledger(tmp_path / "ledger", TOPIC).append(batch(events, [(0, row) for row in range(3)], TOPIC), {0: 3})
    return tmp_path


def test_explain_tells_the_claim_in_force_line_by_line_and_then_the_revisions_before_it(ledger):
    code, text = hie("explain", "A", "--html", ledger / "a.html")
    assert code == 0
    first, second = text.index("Phiên bản 1"), text.index("Phiên bản 0")
    newest = text[first:second]
    assert "đang có hiệu lực" in newest and "GIẢM TRỪ" in newest
    assert "XML3/2 STENT phủ thuốc: đề nghị 16,000,000.00 VND, giảm 8,000,000.00 VND" in newest
    assert "X14 giảm trừ / cuts" in newest
    assert "đã được thay thế" in text[second:] and "TỪ CHỐI" in text[second:]
    assert "X14" in (ledger / "a.html").read_text("utf-8")
    rows = [json.loads(line) for line in hie("explain", "A", "--json")[1].splitlines()]
    assert [(row["version"], row["verdict"]) for row in rows] == [(1, "REDUCED"), (0, "REJECTED")]


def test_what_was_found_later_is_told_with_its_sign_and_a_warning_without_an_amount(ledger):
    [row] = [json.loads(line) for line in hie("explain", "B", "--json")[1].splitlines()]
    for rule, reduction in (("H03", "1000.00"), ("H08", "-250.00"), ("H05", None)):
        adjust(ledger / "ledger", row["event_id"], row["key"], rule, reduction)
    text = hie("explain", "B")[1]
    assert "thanh toán 7,250.00 VND" in text
    told = [line.partition("XML1  ")[2] for line in text.splitlines() if "· adjusted" in line]
    assert told == ["H03: 8,000.00 → 7,000.00 VND (-1,000.00)", "H05", "H08: 7,000.00 → 7,250.00 VND (+250.00)"]


def test_the_heading_after_a_promotion_says_what_is_in_force_and_the_first_decision_stands_below_as_such(ledger):
    events = [sent("R", **WRONG)]
    Ledger(ledger / "ledger", TOPIC).append(batch(events, [(0, 3)], TOPIC), {0: 4})
    meta = events[0]["meta"]
    adjust(ledger / "ledger", meta["event_id"], meta["key"], "R01", "-8000.00")
    text = hie("explain", "R", "--html", ledger / "r.html")[1]
    written = (ledger / "r.html").read_text("utf-8")
    lines = [line.strip() for line in text.splitlines()]
    assert lines[1].startswith("CHẤP NHẬN accepted") and "thanh toán 8,000.00 VND" in lines[2]
    assert lines[3] == "điều chỉnh 2026-11 · adjusted 20/12/2026  XML1  R01: 0.00 → 8,000.00 VND (+8,000.00)"
    [first] = [
        number for number, line in enumerate(lines) if line.startswith("trước điều chỉnh, quyết định đầu: từ chối, 0.00 VND")
    ]
    [refusal] = [number for number, line in enumerate(lines) if line.startswith("X05 từ chối")]
    assert 3 < first < refusal
    assert '<span class="ACCEPTED">' in written and '<span class="REJECTED">' not in written
    assert "first decision: rejected" in written and "20/12/2026 · 0.00 VND → 8,000.00 VND" in written


def test_after_a_promotion_the_cut_stands_with_line_rule_and_reason_and_what_it_lifted_below_the_first_decision(
    tmp_path, monkeypatch
):
    folder = tmp_path / "ledger"
    monkeypatch.setenv("HIE_LEDGER_DIR", str(folder))
    Ledger(folder, TOPIC).append(batch(TOLD, [(0, 0), (0, 1)], TOPIC, changed(without=["X02"])), {0: 2})
    made(folder, "other", events=TOLD, without=["F06"])
    promote(folder, "other", AT)
    lines = [line.strip() for line in hie("explain", "cut", "--html", tmp_path / "cut.html")[1].splitlines()]
    reason, line, first = (
        next(number for number, text in enumerate(lines) if text.startswith(start))
        for start in (
            "Giám định lại (other; thay đổi): X02 -8.000,00 đồng",
            "XML3/2 Glucose: đề nghị 8,000.00 VND, giảm 8,000.00 VND",
            "trước điều chỉnh, quyết định đầu: chấp nhận, 16,000.00 VND",
        )
    )
    assert reason < line < first and lines[line + 1].startswith("X02 giảm trừ")
    page = (tmp_path / "cut.html").read_text("utf-8")
    assert page.count('<td class="n">8,000.00</td>') == 1  # the cut at its line; R01 takes nothing besides
    lifted = hie("explain", "paid", "--html", tmp_path / "paid.html")[1]
    assert lifted.index("quyết định đầu: từ chối") < lifted.index("F06 từ chối")
    assert "no longer in force" in (tmp_path / "paid.html").read_text("utf-8")


def test_the_other_claim_of_a_cut_across_claims_stands_in_text_and_page(tmp_path, monkeypatch):
    monkeypatch.setenv("HIE_LEDGER_DIR", str(tmp_path / "ledger"))
    write(tmp_path / "ledger", [visit("A"), visit("B", minutes=1)])
    close(tmp_path / "ledger", date(2026, 11, 1), AT)
    text = hie("explain", "B", "--html", tmp_path / "b.html")[1]
    for told in (text, (tmp_path / "b.html").read_text("utf-8")):
        assert "Hồ sơ kia: 01004 A" in told and "The other claim: 01004 A" in told


def test_a_correction_after_the_settlement_is_told_in_words_and_not_among_the_adjustments(ledger):
    [row] = [json.loads(line) for line in hie("explain", "B", "--json")[1].splitlines()]
    adjust(ledger / "ledger", row["event_id"], row["key"], "S01", "-500.00")
    text = " ".join(hie("explain", "B", "--html", ledger / "b.html")[1].split())
    assert "thanh toán 8,000.00 VND" in text and "điều chỉnh" not in text
    written = (ledger / "b.html").read_text("utf-8")
    for where in (text, written):
        assert "settlement: +500.00 VND to it; the decision has it already, nothing is added" in where
    assert "before adjustments" not in written


def test_explain_takes_facility_and_ma_lk_in_one_as_find_and_trace_do(ledger):
    assert hie("explain", f"{HOME}/B", "--json") == hie("explain", "B", "--json")
    for words in ([f"{HOME}/nothing"], ["99999/B"], [f"{HOME}/B", "--facility", "99999"]):
        with pytest.raises(HubError, match="NOT_FOUND"):
            hie("explain", *words)


def test_explain_refuses_what_it_does_not_know(ledger):
    for words in (["explain", "nothing"], ["explain", "A", "--facility", "99999"], ["explain", "A", "--payer", "nobody"]):
        with pytest.raises(HubError, match="NOT_FOUND"):
            hie(*words)


def test_results_are_in_the_gateways_form(ledger):
    answer = json.loads(hie("results", HOME, MONTH)[1])
    assert [(row["maLK"], row["trangThai"]) for row in answer["dsKetQuaGiamDinh"]] == [("A", "Đạt"), ("B", "Đạt")]
    with pytest.raises(HubError, match="REQUEST_WRONG"):
        hie("results", HOME, "November")
