"""What the hub writes, its own door reads again with equal content; and each recipient gets it in its own dialect."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.dialects.claims import map_ehc, map_hoso
from adapters.dialects.mapped import Context, Mapped
from adapters.dialects.mapping import map_message
from adapters.dialects.profile import compile_text, dialect_names, load_dialect
from adapters.dialects.render import RENDERED, as_hl7, as_json, as_xml
from adapters.formats.charset import decode, fold
from adapters.formats.claim_xml import Reader
from adapters.formats.hl7v2 import Message, parse
from adapters.formats.structure import check
from hub import simulate
from hub.contract import events
from hub.contract.claim_tables import tables
from hub.contract.errors import HubError
from hub.contract.events import VIETNAM, Event, Keyring, Origin, stamp
from tests.adapters.dialects.goldens import DEMO, cases, translated
from tests.adapters.dialects.said import PID, mapped, only
from tests.slips import follow_up, referral

NOW = datetime(2026, 11, 23, 8, 5, tzinfo=VIETNAM)
KEYRING = Keyring(b"secret")
STANDARD = load_dialect("_standard")
CLINICAL = RENDERED - {"hie.Claim", "hie.ClaimDecision"}


def shown() -> list[Any]:
    """Every clinical event of the golden messages and of the demo."""
    found = []
    for path in [*cases(), *cases(DEMO)]:
        for number, (record, event) in enumerate(translated(path).events):
            if record in CLINICAL:
                found.append(pytest.param(record, event, id=f"{path.stem}-{number}"))
    return found


def rendered(record: str, event: Event, dialect: str = "_standard", to: str = "01004") -> Message:
    chosen = load_dialect(dialect)
    raw = as_hl7(record, event, chosen, now=NOW, control_id="C-1", receiving_facility=to)
    return parse(decode(raw, chosen.send.charset).text)


@pytest.mark.parametrize("version", ["2.2", "2.3.1", "2.5.1", "2.8"])
def test_an_application_answer_is_an_ack_of_the_senders_version(version: str) -> None:
    header = f"MSH|^~\\&|LIS^1|CS1|HIE|HUB|20261123||ORU^R01|C-9|P|{version}|||AL|AL\r"
    problem = {"code": "FIELD_MISSING", "severity": "W", "path": "PID-7"}
    event: Event = {
        "raw": header.encode(),
        "ack": "AA",
        "problems": [problem, {**problem, "code": "GONE_SINCE"}],
        "message_id": "m",
    }
    message = rendered("hie.MessageReceived", event)
    assert (message.type, message.trigger, message.version, message.control_id) == ("ACK", "R01", version, "C-1")
    assert (message.get("MSA", 1), message.get("MSA", 2)) == ("AA", "C-9")
    assert [message.header.field(n) for n in (3, 4, 5, 6, 15, 16)] == ["HIE", "HUB", "LIS^1", "CS1", "AL", "NE"]
    assert len(message.segments("ERR")) == (version >= "2.5")


def read_again(message: Message) -> Mapped:
    origin = Origin("m-1", NOW, {"sender": "hub"}, stated_at="20261123080500")
    context = Context(origin, KEYRING, message.header.get(4))
    return map_ehc(message, STANDARD, context) if message.type == "EHC" else map_message(message, STANDARD, context)


def carried(event: Event, *, legacy: bool = False) -> Event:
    """The content without what HL7 has no place for; legacy: in v2.3.1 and TCVN3 besides."""
    text = as_json("", {name: value for name, value in event.items() if name != "meta"}).decode()
    content: Event = orjson.loads(text.casefold() if legacy else text)  # TCVN3 has few capitals
    person = content.get("person", {})
    guardians = [number for guardian in person.get("guardians", ()) for number in guardian.get("identifiers", ())]
    for identifier in (*person.get("identifiers", ()), *guardians, *content.get("merged", ()), *content.get("linked", ())):
        identifier.pop("inferred", None)
        identifier.pop("normalised", None)  # where the sender's own prefix was taken off
    if legacy and (sample := content.pop("specimen_id", "")) and "service" not in content:
        parts = [part for part in content.get("parts", ()) if "specimen_id" in part]
        for part in parts:
            part["notes"] = [f"mã mẫu (spm-2): {part.pop('specimen_id')}", *part.get("notes", ())]
        of_parts = [text for part in parts for text in part["notes"]]
        own = [text for text in content.get("notes", ()) if text not in of_parts]
        content["notes"] = [f"mã mẫu (spm-2): {sample}", *own, *of_parts]
    return content


def stamped(record: str, content: Event) -> Event:
    origin = Origin("m-1", NOW, {"sender": "hub"})
    return stamp(record, content, facility="01021", business_key="k", origin=origin, keyring=KEYRING)


# --- what we write, we read -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("record", "event"), shown())
@pytest.mark.parametrize("dialect", ["_standard", "anhduong_lis"])
def test_a_written_event_is_read_again_with_equal_content(record: str, event: Event, dialect: str) -> None:
    legacy = dialect != "_standard"
    message = rendered(record, event, dialect, to=event.get("performer", "") or event["meta"]["facility"])
    mapped = read_again(message)
    [(again, read)] = mapped.events
    assert again == record
    assert carried(read, legacy=legacy) == carried(event, legacy=legacy)  # of an old system's order a note says which sample


@pytest.mark.parametrize(
    ("action", "control"), [("ACCEPTED", "OK"), ("IN_PROGRESS", "SC"), ("COMPLETED", "SC"), ("REFUSED", "UA")]
)
def test_the_answer_of_a_laboratory_goes_out_as_such_and_its_number_as_its_own(action: str, control: str) -> None:
    said = {"person": {}, "placer": "1", "filler": "F1", "action": action, "reason": "vỡ hồng cầu", "ma_cskcb": "01940"}
    message = rendered("hie.LabOrder", stamped("hie.LabOrder", {**said, "performer": "01004"}))
    assert (message.get("ORC", 1), message.get("ORC", 16, 2)) == (control, "vỡ hồng cầu")
    assert message.get("ORC", 5) == ("CM" if action == "COMPLETED" else "")
    assert (message.get("ORC", 3), message.get("ORC", 3, 2), message.get("OBR", 3, 2)) == ("F1", "01940", "01940")


def test_an_order_takes_class_department_and_bed_to_the_laboratory() -> None:
    said = {"person": {}, "placer": "1", "action": "PLACED", "patient_class": "O", "ma_khoa": "K03", "ma_giuong": "G05"}
    message = rendered("hie.LabOrder", stamped("hie.LabOrder", said))
    assert (message.get("PV1", 2), message.get("PV1", 3), message.get("PV1", 3, 3)) == ("O", "K03", "G05")


@pytest.mark.parametrize(
    ("record", "content", "dialect", "names"),
    [
        ("hie.LabResult", {"service": {}}, "_standard", True),
        ("hie.LabOrder", {"placer": "1", "action": "PLACED"}, "_standard", True),
        ("hie.LabOrder", {"placer": "1", "action": "PLACED"}, "anhduong_lis", False),  # ORM has no NK1
        ("hie.Referral", {"slip": "1", "action": "ISSUED"}, "_standard", True),
        ("hie.Encounter", {"action": "CLOSED"}, "_standard", True),
        ("hie.Encounter", {"action": "CLOSED"}, "anhduong_lis", False),  # in ADT_A03 from 2.5
        ("hie.Encounter", {"action": "UPDATED"}, "anhduong_lis", True),
        ("hie.Encounter", {"action": "TRANSFERRED"}, "_standard", False),
        ("hie.Registration", {"action": "UPDATED"}, "_standard", True),
        ("hie.Registration", {"action": "UPDATED"}, "anhduong_lis", True),
        ("hie.Registration", {"action": "MERGED", "merged": [{"value": "1"}]}, "_standard", False),
        ("hie.Registration", {"action": "MERGED", "merged": [{"value": "1"}]}, "anhduong_lis", False),
        ("hie.Prescription", {"action": "ISSUED"}, "_standard", False),
    ],
)
def test_guardians_go_out_where_the_structure_has_them_and_the_mothers_number_everywhere(
    record: str, content: Event, dialect: str, names: bool
) -> None:
    number = {"value": "25019984", "type": "MRN", "issuer": "VN-CSKCB-01021"}
    guardians = [
        {"ho_ten": "Lê Nam", "relationship": "FTH", "dien_thoai": "0912000111"},
        {"ho_ten": "Trần Hằng", "relationship": "ME", "identifiers": [number]},
    ]
    message = rendered(record, stamped(record, {**content, "person": {"ho_ten": "Lê Na", "guardians": guardians}}), dialect)
    assert [message.get("PID", 21, part) for part in (1, 4, 5)] == ["25019984", "VN-CSKCB-01021", "MR"]
    told = [(row.get(2), row.get(2, 2).casefold(), row.get(3), row.get(5), row.get(33)) for row in message.segments("NK1")]
    assert told == ([("Lê", "nam", "FTH", "0912000111", ""), ("Trần", "hằng", "ME", "", "25019984")] if names else [])
    assert "SEGMENT_UNEXPECTED" not in {problem.code for problem in check(message)}


@pytest.mark.parametrize("numbers", [["", "77"], ["76", "77"], ["77", ""]])
@pytest.mark.parametrize("dialect", ["_standard", "anhduong_lis"])
def test_of_two_mothers_each_keeps_her_number(numbers: list[str], dialect: str) -> None:
    guardians: list[Event] = [{"ho_ten": "trần hằng", "relationship": "MTH"}, {"ho_ten": "lê mai", "relationship": "ME"}]
    for guardian, number in zip(guardians, numbers, strict=True):
        if number:
            guardian["identifiers"] = [{"value": number, "type": "MRN", "issuer": "VN-CSKCB-01021"}]
    message = rendered("hie.LabResult", stamped("hie.LabResult", {"service": {}, "person": {"guardians": guardians}}), dialect)
    assert message.get("PID", 21) == numbers[0]
    [(_, read)] = read_again(message).events
    assert carried(read)["person"]["guardians"] == guardians


@pytest.mark.parametrize(("record", "event"), shown())
def test_an_event_off_the_bus_is_written_as_a_fresh_one(record: str, event: Event) -> None:
    """Avro fills absent fields with empty text and lists."""
    full = events.decode(record, events.encode(record, event))
    assert as_hl7(record, full, STANDARD, now=NOW, control_id="1", receiving_facility="01004") == as_hl7(
        record, event, STANDARD, now=NOW, control_id="1", receiving_facility="01004"
    )


@pytest.mark.parametrize(("record", "event"), shown())
def test_a_written_message_has_the_segments_that_its_structure_asks_for(record: str, event: Event) -> None:
    found = {problem.code for problem in check(rendered(record, event))}
    assert found.isdisjoint({"SEGMENT_MISSING", "SEGMENT_UNEXPECTED"})


_TEXT = st.text(st.sampled_from("aZ 09|^~\\&\nđỄ.;<="), min_size=1, max_size=15).map(str.strip).filter(bool)
_LINE = st.fixed_dictionaries(
    {"code": st.fixed_dictionaries({"code": _TEXT, "display": _TEXT, "system": _TEXT})},
    optional={
        "don_vi_do": _TEXT,
        "reference_range": _TEXT,
        "flags": st.lists(_TEXT, min_size=1, max_size=3),
        "notes": st.lists(_TEXT, min_size=1, max_size=2),
    },
)


@given(st.lists(st.tuples(_LINE, st.sampled_from(("ST", "FT")), _TEXT), min_size=1, max_size=4), st.lists(_TEXT, max_size=2))
def test_delimiters_and_line_breaks_in_results_survive(lines: list[tuple[Event, str, str]], notes: list[str]) -> None:
    observations = [
        line | {"set_id": str(n), "value_type": kind, ("gia_tri" if kind == "ST" else "mo_ta"): value}
        | {"code": line["code"] | {"code": f"C{n}"}}
        for n, (line, kind, value) in enumerate(lines, 1)
    ]  # fmt: skip
    content = {"placer": "1", "ma_cskcb": "01940", "person": {}, "service": {"code": "X"}, "observations": observations}
    event = stamped("hie.LabResult", content | ({"notes": notes} if notes else {}))
    [(_, read)] = read_again(rendered("hie.LabResult", event)).events
    assert carried(read)["observations"] == carried(event)["observations"]
    assert read.get("notes", []) == notes


def test_a_note_of_an_order_and_one_behind_its_obx_each_go_out_where_they_stood() -> None:
    line = {"set_id": "1", "value_type": "ST", "code": {"code": "FAST"}, "gia_tri": "có", "notes": ["từ 20h", "đã hỏi"]}
    content = {
        "placer": "1",
        "ma_cskcb": "01004",
        "person": {},
        "services": [{"code": "X"}],
        "notes": ["gấp"],
        "action": "PLACED",
    }
    message = rendered("hie.LabOrder", stamped("hie.LabOrder", content | {"observations": [line]}))
    names = [segment.name for segment in message.segments_in_order]
    assert names[names.index("OBR") :] == ["OBR", "NTE", "OBX", "NTE", "NTE"]
    [(_, read)] = read_again(message).events
    assert (read["notes"], read["observations"][0]["notes"]) == (["gấp"], ["từ 20h", "đã hỏi"])


def test_a_power_of_ten_in_a_unit_goes_out_escaped() -> None:
    line = {"set_id": "1", "value_type": "NM", "code": {"code": "WBC"}, "gia_tri": "3.9", "number": 3.9}
    line |= {"don_vi_do": "10^9/L", "reference_range": "<10^5"}
    content = {"placer": "1", "ma_cskcb": "01940", "person": {}, "service": {"code": "X"}, "observations": [line]}
    written = rendered("hie.LabResult", stamped("hie.LabResult", content)).by_name["OBX"][0]
    assert (written.fields[6], written.fields[7]) == (r"10\S\9/L", r"<10\S\5")


@pytest.mark.parametrize(("numbers", "number"), [(["1", "2", "4"], "5"), (["", ""], "3"), ([], "1")])
def test_a_conclusion_goes_out_under_a_number_and_a_code_of_its_own(numbers: list[str], number: str) -> None:
    lines = [{"set_id": n, "value_type": "NM", "code": {"code": "WBC"}, "gia_tri": "3.9"} for n in numbers]
    content = {
        "placer": "1",
        "ma_cskcb": "01940",
        "person": {},
        "service": {"code": "X"},
        "observations": lines,
        "ket_luan": "Thiếu máu",
    }
    message = rendered("hie.LabResult", stamped("hie.LabResult", content))
    written = message.by_name["OBX"][-1]
    assert written.fields[1:6] == [number, "TX", "KL^Kết luận^99HIE", "", "Thiếu máu"]
    [(_, read)] = read_again(message).events
    assert read["ket_luan"] == "Thiếu máu"


@pytest.mark.parametrize("sent", ["NT24&Nước tiểu 24h", "NT24", "NT24^EDTA"])
def test_the_words_of_a_specimen_go_on_with_its_code(sent: str) -> None:
    name = {"specimen_name": "Nước tiểu 24h"} if "&" in sent else {}
    for kind, record in (("ORU^R01", "hie.LabResult"), ("ORM^O01", "hie.LabOrder")):
        event = only(mapped(kind, PID, "ORC|NW|P1", f"OBR|1|P1||GLU^Glucose|||||||||||{sent}", "OBX|1|NM|GLU^Glucose||5.6"))
        assert {key: value for key, value in event.items() if key.startswith("specimen")} == {"specimen_type": "NT24", **name}
        for dialect in ("_standard", "anhduong_lis"):
            [(_, read)] = read_again(rendered(record, event, dialect)).events
            assert {key: value for key, value in read.items() if key.startswith("specimen")} == {"specimen_type": "NT24", **name}


# --- claims -----------------------------------------------------------------------------------------------------------


def test_a_claim_is_the_same_as_envelope_and_as_hl7() -> None:
    for claim in simulate.claims(3, 15):
        [hoso] = Reader(as_xml("hie.Claim", claim), {name: list(table) for name, table in tables().items()})
        origin = Origin("m-1", NOW, {"sender": "his"})
        [(_, by_xml)] = map_hoso(hoso, Context(origin, KEYRING, hoso.ma_cskcb)).events
        [(_, by_hl7)] = read_again(rendered("hie.Claim", claim)).events
        hashes = {event["meta"]["content_hash"] for event in (claim, by_xml, by_hl7)}
        assert len(hashes) == 1


def test_a_cancelled_claim_is_ehc_e02_with_its_version() -> None:
    origin = Origin("m-1", NOW, {"sender": "his"}, version=4)
    content = {"action": "CANCELLED", "ma_cskcb": "01021", "ma_lk": "LK1", "xml1": {"ma_lk": "LK1", "ma_cskcb": "01021"}}
    event = stamp("hie.Claim", content, facility="01021", business_key="LK1", origin=origin, keyring=KEYRING)
    message = rendered("hie.Claim", event)
    assert (message.type, message.trigger, message.version) == ("EHC", "E02", "2.6")
    [(_, read)] = read_again(message).events
    assert (read["action"], read["meta"]["revision"]["version"]) == ("CANCELLED", 4)


def test_the_signature_goes_with_the_envelope() -> None:
    claim = next(simulate.claims(1, 1)) | {"signature": b"c2lnbmVk"}
    reader = Reader(as_xml("hie.Claim", claim), {name: list(table) for name, table in tables().items()})
    assert len(list(reader)) == 1
    assert reader.signature == "c2lnbmVk"


def test_a_decision_tells_the_grant_and_each_reason() -> None:
    finding = {
        "rule": "X05", "severity": "E", "table": "XML1", "field": "t_tongchi_bv", "claimed": Decimal("1100.000"),
        "computed": Decimal("1000.000"), "text_vi": "Tổng chi phí khác tổng các dòng",
    }  # fmt: skip
    line = {"rule": "X04", "severity": "E", "table": "XML3", "stt": 2, "field": "t_bhtt", "text_en": "does not balance"}
    decision = stamped(
        "hie.ClaimDecision",
        {
            "payer": "vss", "ma_cskcb": "01021", "ma_lk": "LK1", "claim_event_id": "e-1", "verdict": "REJECTED",
            "t_tongchi_bv": Decimal("1100.00"), "t_bhtt": Decimal("800.00"), "t_bhtt_gd": Decimal("0.00"),
            "findings": [finding, line],
        },
    )  # fmt: skip
    message = rendered("hie.ClaimDecision", decision, to="01021")
    assert (message.type, message.trigger) == ("EHC", "E10")
    assert (message.get("IPR", 4), message.get("IPR", 6), message.get("IVC", 1)) == ("REJ", "0.00", "LK1")
    groups = {group[0].get(1): group[1:] for group in message.groups("PSL")}
    reason = groups["XML1"][-1]
    assert [reason.get(n) for n in (1, 4, 5, 8, 9, 10)] == [
        "X05", "T_TONGCHI_BV", "-100.000", "Tổng chi phí khác tổng các dòng", "1100.000", "1000.000",
    ]  # fmt: skip
    assert [(row.get(1), row.get(4), row.get(8)) for row in groups["XML3.2"]] == [("X04", "T_BHTT", "does not balance")]


def test_a_reduction_is_told_at_its_line_with_what_it_takes() -> None:
    cut = {"rule": "C05", "severity": "C", "table": "XML2", "stt": 1, "field": "don_gia", "claimed": Decimal("1200.000"), "computed": Decimal("1000.000"), "reduction": Decimal("1600.00")}  # fmt: skip
    content = {"payer": "vss", "ma_lk": "1", "verdict": "REDUCED", "t_bhtt_gd": Decimal("6400.00"), "findings": [cut]}
    message = rendered("hie.ClaimDecision", stamped("hie.ClaimDecision", content))
    assert (message.get("IPR", 4), message.get("IPR", 6)) == ("ADJ", "6400.00")
    [line] = [group[1:] for group in message.groups("PSL") if group[0].get(1) == "XML2.1"]
    assert [(row.get(1), row.get(4), row.get(5)) for row in line] == [("C05", "DON_GIA", "-1600.00")]


def test_what_a_payer_asks_is_told_with_its_last_day() -> None:
    asked = {"severity": "Q", "table": "XML3", "stt": 2, "field": "ma_bac_si", "text_vi": "Gửi chứng chỉ hành nghề"}
    content = {
        "payer": "defence", "ma_lk": "1", "verdict": "INFORMATION_REQUESTED", "findings": [asked], "answer_by": "20261130",
    }  # fmt: skip
    message = rendered("hie.ClaimDecision", stamped("hie.ClaimDecision", content))
    groups = {group[0].get(1): group[1:] for group in message.groups("PSL")}
    assert message.get("IPR", 4) == "PEND"
    assert [(row.get(4), row.get(8)) for row in groups["XML1"]] == [("ANSWER_BY", "20261130")]
    assert [(row.get(4), row.get(8)) for row in groups["XML3.2"]] == [("MA_BAC_SI", "Gửi chứng chỉ hành nghề")]


def test_a_payment_is_told_with_amount_day_and_reference() -> None:
    content = {
        "payer": "defence", "ma_lk": "1", "verdict": "PAID", "t_bhtt_gd": Decimal("800.00"), "paid": Decimal("790.00"),
        "paid_on": "20261215", "payment_reference": "UNC-42",
    }  # fmt: skip
    message = rendered("hie.ClaimDecision", stamped("hie.ClaimDecision", content))
    assert [message.get("IPR", field) for field in (4, 6, 7)] == ["PAID", "790.00", "20261215"]
    [(_, *rows)] = message.groups("PSL")
    assert [(row.get(5), row.get(8)) for row in rows if row.get(4) == "PAID"] == [("790.00", "UNC-42")]


@pytest.mark.parametrize(
    ("verdict", "granted", "status"),
    [
        ("ACCEPTED", "800.00", "ADJSUB"),
        ("ACCEPTED", "700.00", "ADJ"),
        ("REDUCED", "700.00", "ADJ"),
        ("REJECTED", "0.00", "REJ"),
        ("CANCELLED", "0.00", "ADJZER"),
    ],
)
def test_the_status_of_a_decision(verdict: str, granted: str, status: str) -> None:
    content = {"payer": "vss", "ma_lk": "1", "verdict": verdict, "t_bhtt": Decimal("800.00"), "t_bhtt_gd": Decimal(granted)}
    assert rendered("hie.ClaimDecision", stamped("hie.ClaimDecision", content)).get("IPR", 4) == status


# --- the recipient's dialect ------------------------------------------------------------------------------------------


def result(**more: Any) -> Event:
    return stamped("hie.LabResult", {"ma_cskcb": "01940", "person": {"ho_ten": "Trần Thị Mai"}, "service": {"code": "X"}, **more})


def test_the_standard_recipient_gets_utf_8_and_cr() -> None:
    raw = as_hl7("hie.LabResult", result(), STANDARD, now=NOW, control_id="C-1", receiving_facility="01021")
    assert raw.startswith(b"MSH|^~\\&|HIE|01940||01021|20261123080500||ORU^R01^ORU_R01|C-1|P|2.5.1||||||UNICODE UTF-8\r")
    assert "Trần^Mai^Thị".encode() in raw
    assert b"\n" not in raw


def test_the_laboratory_gets_2_3_1_in_tcvn3_with_lf() -> None:
    lab = load_dialect("anhduong_lis")
    raw = as_hl7("hie.LabResult", result(), lab, now=NOW, control_id="C-1", receiving_facility="01940")
    assert raw.startswith(b"MSH|^~\\&|HIE|01940||01940|20261123080500||ORU^R01|C-1|P|2.3.1\n")
    assert b"\r" not in raw
    assert "Trần^Mai^Thị" in decode(raw, "tcvn3").text


@pytest.mark.parametrize("name", dialect_names())
def test_every_dialect_is_written_in_its_version_line_ends_and_letters(name: str) -> None:
    dialect = load_dialect(name)
    raw = as_hl7("hie.LabResult", result(), dialect, now=NOW, control_id="C-1", receiving_facility="01021")
    end = {"cr": b"\r", "lf": b"\n", "crlf": b"\r\n"}[dialect.send.terminator]
    lines = raw.split(end)
    assert not any(b"\r" in line or b"\n" in line for line in lines)
    message = parse(decode(raw, dialect.send.charset).text)
    assert message.version == dialect.send.version
    assert fold(message.get("PID", 5)) == "tran"
    assert [problem.code for problem in message.problems] == []


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("saomai_middleware", "TRAN THI ANH DAO"),  # its screens have Latin letters alone
        ("anhduong_lis", "TRẦN THỊ ÁNH ĐÀO"),
        ("trucxanh_his", "TRẦN THỊ ÁNH ĐÀO"),
        ("cattuong_ris", "TRẦN THỊ ÁNH ĐÀO"),
        ("ngocchau_pharmacy", "TRẦN THỊ ÁNH ĐÀO"),
        ("codo_his", "TRẦN THỊ ÁNH ĐÀO"),
    ],
)
def test_letters_that_a_recipients_charset_lacks_are_written_as_near_as_it_can(name: str, written: str) -> None:
    dialect = load_dialect(name)
    event = result(ket_luan="TRẦN THỊ ÁNH ĐÀO")
    raw = as_hl7("hie.LabResult", event, dialect, now=NOW, control_id="C-1", receiving_facility="01911")
    assert written in decode(raw, dialect.send.charset).text
    assert fold(written) == fold("Trần Thị Ánh Đào")


def test_signs_that_a_charset_lacks_are_what_people_type_and_the_rest_is_question_marks() -> None:
    for name in ("saomai_middleware", "trucxanh_his", "codo_his"):
        dialect = load_dialect(name)
        raw = as_hl7("hie.LabResult", result(ket_luan="pH ≥ 7 ☺"), dialect, now=NOW, control_id="C-1", receiving_facility="01911")
        assert "pH >= 7 ?" in decode(raw, dialect.send.charset).text


def test_a_recipient_is_named_as_it_names_itself() -> None:
    message = rendered("hie.LabResult", result(), "songhong_his", to="01004")
    assert (message.header.get(5), message.header.get(6)) == ("SONGHONG_HIS", "CS1")


def test_time_is_told_in_vietnam_and_test_traffic_is_marked() -> None:
    origin = Origin("m-1", NOW, {"sender": "hub"}, test=True)
    event = stamp("hie.LabResult", {"person": {}, "service": {}}, facility="1", business_key="k", origin=origin, keyring=KEYRING)
    utc = NOW.astimezone(events.UTC)
    header = parse(as_hl7("hie.LabResult", event, STANDARD, now=utc, control_id="1", receiving_facility="").decode()).header
    assert (header.get(7), header.get(11)) == ("20261123080500", "T")


@pytest.mark.parametrize(
    ("record", "content", "kind"),
    [
        ("hie.LabOrder", {"action": "PLACED"}, "OML^O21^OML_O21"),
        ("hie.Referral", {"action": "ISSUED"}, "REF^I12^REF_I12"),
        ("hie.Referral", {"action": "MODIFIED"}, "REF^I13^REF_I12"),
        ("hie.Referral", {"action": "CANCELLED"}, "REF^I14^REF_I12"),
        ("hie.Referral", {"action": "WITHDRAWN"}, "REF^I14^REF_I12"),
        ("hie.Referral", {"action": "ACCEPTED"}, "RRI^I12^RRI_I12"),
        ("hie.Referral", {"action": "ARRIVED"}, "RRI^I12^RRI_I12"),
        ("hie.FollowUp", {"action": "BOOKED"}, "SIU^S12^SIU_S12"),
        ("hie.FollowUp", {"action": "CANCELLED"}, "SIU^S15^SIU_S12"),
        ("hie.Encounter", {"action": "OPENED"}, "ADT^A04^ADT_A01"),
        ("hie.Encounter", {"action": "OPENED", "patient_class": "I"}, "ADT^A01^ADT_A01"),
        ("hie.FollowUp", {"action": "MOVED"}, "SIU^S13^SIU_S12"),
        ("hie.FollowUp", {"action": "MODIFIED"}, "SIU^S14^SIU_S12"),
        ("hie.FollowUp", {"action": "DELETED"}, "SIU^S17^SIU_S12"),
        ("hie.FollowUp", {"action": "NO_SHOW"}, "SIU^S26^SIU_S12"),
        ("hie.Encounter", {"action": "CLOSED"}, "ADT^A03^ADT_A03"),
        ("hie.Encounter", {"action": "PLANNED"}, "ADT^A05^ADT_A05"),
        ("hie.Encounter", {"action": "TRANSFERRED"}, "ADT^A02^ADT_A02"),
        ("hie.Encounter", {"action": "TRANSFER_CANCELLED"}, "ADT^A12^ADT_A12"),
        ("hie.Encounter", {"action": "CLASS_CHANGED", "ngay_vao_noi_tru": "202611231000"}, "ADT^A06^ADT_A06"),
        ("hie.Encounter", {"action": "CLASS_CHANGED"}, "ADT^A07^ADT_A06"),
        ("hie.Encounter", {"action": "CANCELLED"}, "ADT^A11^ADT_A09"),
        ("hie.Encounter", {"action": "REOPENED"}, "ADT^A13^ADT_A01"),
        ("hie.Registration", {"action": "REGISTERED"}, "ADT^A28^ADT_A05"),
        ("hie.Registration", {"action": "UPDATED"}, "ADT^A31^ADT_A05"),
        ("hie.Registration", {"action": "DELETED"}, "ADT^A29^ADT_A21"),
        ("hie.Registration", {"action": "MERGED"}, "ADT^A40^ADT_A39"),
        ("hie.Registration", {"action": "MOVED"}, "ADT^A43^ADT_A43"),
        ("hie.Registration", {"action": "LINKED"}, "ADT^A24^ADT_A24"),
        ("hie.Registration", {"action": "UNLINKED"}, "ADT^A37^ADT_A37"),
        ("hie.Encounter", {"action": "UPDATED"}, "ADT^A08^ADT_A01"),
        ("hie.Charge", {"action": "POSTED"}, "DFT^P03^DFT_P03"),
        ("hie.Prescription", {"action": "ISSUED"}, "RDE^O11^RDE_O11"),
        ("hie.Document", {"action": "EDITED"}, "MDM^T07^MDM_T01"),
        ("hie.Document", {"action": "EDITED", "text": "x"}, "MDM^T08^MDM_T02"),
        ("hie.CatalogueChange", {"catalogue": "LOCATION"}, "MFN^M05^MFN_M05"),
        ("hie.ResourceReport", {"action": "REPORTED"}, "ORU^R01^ORU_R01"),
    ],
)
def test_which_message_an_event_becomes(record: str, content: Event, kind: str) -> None:
    assert rendered(record, stamped(record, {"person": {}, **content})).header.field(9) == kind


def test_an_order_for_an_old_system_is_orm() -> None:
    message = rendered("hie.LabOrder", stamped("hie.LabOrder", {"person": {}, "placer": "1"}), "anhduong_lis")
    assert message.header.field(9) == "ORM^O01"


def test_an_order_is_orm_in_any_version_for_a_system_that_says_so() -> None:
    speaks = compile_text("mine", 'extends = "_standard"\nversion = "1"\n[send]\nversion = "2.5"\norders = "ORM"\n')
    content = {"person": {}, "placer": "1", "priority": "S", "specimen_type": "SER", "services": [{"code": "GLU"}]}
    order = stamped("hie.LabOrder", content)
    message = parse(as_hl7("hie.LabOrder", order, speaks, now=NOW, control_id="1", receiving_facility="01004").decode())
    assert (message.header.field(9), message.version) == ("ORM^O01^ORM_O01", "2.5")
    assert (message.get("ORC", 7, 6), message.get("OBR", 15)) == ("S", "SER")
    assert not {"TQ1", "SPM"} & set(message.names)
    assert {problem.code for problem in check(message)} == {"FIELD_MISSING"}  # of a patient that is nobody
    result = parse(as_hl7("hie.LabResult", order, speaks, now=NOW, control_id="1", receiving_facility="01004").decode())
    assert result.header.get(9) == "ORU"


def test_the_hub_tells_the_issuer_what_became_of_a_slip() -> None:
    words = {"ARRIVED": "A", "ARRIVAL_CANCELLED": "P", "USED_AGAIN": "A", "EXPIRED": "E", "REJECTED": "R"}
    for action, status in words.items():
        message = rendered(
            "hie.Referral", stamped("hie.Referral", {"person": {}, "action": action, "slip": "S1", "ma_cskcb": "01021"})
        )
        assert (message.get("RF1", 1), message.get("RF1", 6)) == (status, "S1")
        assert message.get("RF1", 10) == ("" if action == "REJECTED" else action)


@pytest.mark.parametrize(
    ("record", "table", "event"), [("hie.Referral", "xml13", referral()), ("hie.FollowUp", "xml14", follow_up())]
)
def test_the_signature_of_a_slip_goes_with_it_as_text_or_embedded(record: str, table: str, event: Event) -> None:
    text = as_hl7(record, event, STANDARD, now=NOW, control_id="1", receiving_facility="01004").decode()
    [(_record, read)] = read_again(parse(text)).events
    assert read[table]["du_phong"] == event[table]["du_phong"]
    embedded = "OBX|9|ED|VN-CKDV||^AP^Octet-stream^Base64^TUlJQg==||||||F"
    lines = [embedded if "|VN-CKDV|" in line else line for line in text.split("\r")]
    [(_record, read)] = read_again(parse("\r".join(lines))).events
    assert read[table]["du_phong"] == "TUlJQg=="


def test_what_hl7_or_the_envelope_has_no_form_for_is_said() -> None:
    with pytest.raises(HubError, match="TYPE_UNSUPPORTED"):
        as_hl7("hie.Receipt", {"meta": {}}, STANDARD, now=NOW, control_id="1", receiving_facility="")
    with pytest.raises(HubError, match="TYPE_UNSUPPORTED"):
        as_xml("hie.LabResult", {})


@pytest.mark.parametrize(("record", "table"), [("hie.Referral", "xml13"), ("hie.FollowUp", "xml14")])
def test_a_slip_is_the_one_table_of_an_envelope(record: str, table: str) -> None:
    meta = {"revision": {"version": 0, "stated_at": "20261123080000", "received_at": NOW}}
    slip = {
        "meta": meta,
        "action": "MODIFIED",
        "ma_cskcb": "01731",
        table: {"ma_lk": "01731.7", "ho_ten": "NGUYỄN THỊ SEN", "ma_the_bhyt": ""},
    }
    [hoso] = Reader(as_xml(record, slip), {name: list(columns) for name, columns in tables().items()})
    assert {name: [{key: text for key, text in row.items() if text} for row in rows] for name, rows in hoso.tables.items()} == {
        table.upper(): [{"MA_LK": "01731.7", "HO_TEN": "NGUYỄN THỊ SEN"}]
    }
    for action in ("CANCELLED", "DELETED", "ACCEPTED"):  # nobody may take it for a slip that is good
        with pytest.raises(HubError, match="TYPE_UNSUPPORTED"):
            as_xml(record, slip | {"action": action})


def test_json_keeps_amounts_as_text() -> None:
    claim = next(simulate.claims(1, 1))
    assert orjson.loads(as_json("hie.Claim", claim))["xml1"]["t_bhtt"] == str(claim["xml1"]["t_bhtt"])
