"""One message to a verdict: what the border refuses, and that it refuses nothing else."""

import base64
import itertools
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from adapters.dialects import mapping
from adapters.dialects.profile import compile_text, use_vendors
from adapters.formats.ack import acknowledge
from adapters.formats.batch import cut
from adapters.formats.charset import encode as written
from adapters.formats.claim_xml import write
from adapters.formats.hl7v2 import parse
from adapters.formats.mllp import Decoder, Junk
from adapters.inbound import envelope as envelope_reader
from adapters.inbound.received import Received
from adapters.inbound.translate import failed, split, translate, unframed
from hub.contract.claim_tables import tables
from hub.contract.directory import use_directory
from hub.contract.errors import ERRORS, Problem, Severity
from hub.contract.events import VIETNAM, Keyring, encode
from hub.contract.places import shipped
from tests.adapters.inbound.conftest import codes, msa, oru

KEYRING = Keyring(b"a secret of tests only")
AT = datetime(2026, 10, 15, 1, 20, 30, 123456, UTC)


def read(raw, **more):
    return translate(Received(raw, AT, "mllp", **more), KEYRING)


def found(translation):
    return [(problem.code, problem.severity.value, problem.path) for problem in translation.problems]


def header(raw, field, value):
    """The message with another MSH field."""
    first, _, rest = raw.partition(b"\r")
    fields = first.split(b"|")
    fields += [b""] * (field - len(fields))
    fields[field - 1] = value
    return b"|".join(fields) + b"\r" + rest


def envelope(*keys, ma_cskcb="01004"):
    rows = [{"XML1": [{"MA_LK": key, "MA_CSKCB": ma_cskcb, "STT": "1", "HO_TEN": "MẪU AN"}]} for key in keys]
    return write(rows, {name: list(table) for name, table in tables().items()}, ma_cskcb=ma_cskcb, ngaylap="20261015")


# --- a message that breaks off


def lines(*observations, kind="ORU^R01", end=""):
    """A message whose OBX are these, and what stands behind the last."""
    head = f"MSH|^~\\&|LIS|01004|HIE|HUB|20261015081530||{kind}|C1|P|2.5.1\rPID|1||MR1^^^01004^MR||MAU^AN\rOBR|1|O1|L1|GLU^Glucose^L\r"
    return (head + "\r".join(f"OBX|{one}" for one in observations) + end).encode()


WHOLE = "1|NM|URE^Urea^L||5.1|mmol/L|||||F"


@pytest.mark.parametrize(
    ("observations", "place"),
    [
        ([WHOLE, "2|NM|GLU^Glucose^L||15"], "OBX[2]-5"),
        ([WHOLE, "2|NM|GLU^Glu"], "OBX[2]-3"),
        (["1|NM|URE^Urea^L||5.1|mmol/L", "2|NM|GLU^Glucose^L||15"], "OBX[2]-5"),
        (["1|NM|GLU^Glucose^L||1"], "OBX-5"),  # 17.8
        (["1|ST|HBSAG^HBsAg^L||Âm"], "OBX-5"),
    ],
)
@pytest.mark.parametrize("end", ["", "\x1c", " "])
def test_a_message_cut_within_its_last_result_is_refused(observations, place, end):
    done = read(lines(*observations, end=end))
    assert (done.verdict, done.events) == ("refused", ())
    assert ("MESSAGE_CUT", "E", place) in found(done)
    assert msa(done.ack.decode())[0] == "AE"
    assert read(lines(*observations, end="\r")).verdict == "translated", "ended, it is the sender's own way"


@pytest.mark.parametrize(("line", "places"), [("1|NM|GLU^Glucose^L||15|mmol/L", ["OBX-6"]), (WHOLE, [])])
def test_that_the_only_result_may_be_cut_behind_its_value_is_told_and_not_refused(line, places):
    done = read(lines(line))
    assert done.verdict == "translated", "the value is whole"
    assert [at for code, severity, at in found(done) if (code, severity) == ("MESSAGE_CUT", "W")] == places
    assert "MESSAGE_CUT" not in {code for code, _, _ in found(read(lines(line, end="\r")))}


@pytest.mark.parametrize(("end", "place"), [("|2.5.1", "MSH-12"), ("|2.5.1||||||UNICODE UTF-8", "MSH-18")])
def test_a_message_whose_segment_ends_were_taken_out_is_refused_with_what_does_so(end, place):
    message = f"MSH|^~\\&|LIS|01004|HIE|HUB|20261015081530||ADT^A04|C1|P{end}\r{VISIT}"
    assert read(message.encode()).verdict == "translated"
    done = read(message.replace("\r", "").encode())
    assert (done.verdict, [(code, at) for code, severity, at in found(done) if severity == "E"]) == (
        "refused",
        [("SEGMENTS_JOINED", place)],
    )
    assert "--data-binary" in ERRORS["SEGMENTS_JOINED"].en


VISIT = "EVN|A04|20261015\rPID|1||MR1^^^01004^MR||MAU^AN\rPV1|1|O|||||||||||||||||LK1\r"


@pytest.mark.parametrize(
    ("start", "rows", "place"),
    [
        ("", "DG1|1||J18.9^Viêm phổi||20261015|A\rDG1|2||J1", "DG1[2]-3"),
        ("", "DG1|1||J18.9^Viêm phổi^I10||20261015|A\rNTE|1||ho \\.b", "NTE-3"),
        ("", "DG1|1||J18.9^Viêm phổi^I10||20261015|A\rIN", "after DG1"),
        ("\x0b", "DG1|1||J18.9^Viêm", "DG1-3"),
        ("", "DG1|1||I1", "DG1-3"),
    ],
    ids=["the others go on", "an escape is open", "within a name", "the frame is open", "a field is missing that it must have"],
)
def test_a_message_cut_elsewhere_is_taken_and_told(start, rows, place):
    def told(text):
        done = read((f"{start}MSH|^~\\&|HIS|01004|HIE|HUB|20261015081530||ADT^A04|C1|P|2.5.1\r{VISIT}{text}").encode())
        assert done.verdict == "translated"
        return [(code, severity, at) for code, severity, at in found(done) if code == "MESSAGE_CUT"]

    assert told(rows) == [("MESSAGE_CUT", "W", place)]
    assert told(rows + "\r") == [], "ended, it is the sender's own way"


def test_a_message_cut_within_a_letter_is_told_to_be_cut_and_no_charset_is_blamed():
    done = read(lines(WHOLE, "2|ST|GLU^Glucose^L||Bệ")[:-1])
    assert (done.verdict, msa(done.ack.decode())[0]) == ("refused", "AE")
    assert [(code, at) for code, severity, at in found(done) if severity == "E"] == [("MESSAGE_CUT", "the last letter")]


@pytest.mark.parametrize(
    ("rows", "places"),
    [
        ("EVN|A04|20261015\rPID|1||MR1^^^01004^MR||NGUY", ["PID-5"]),
        ("EVN|A04|2026", ["EVN-2"]),
        ("EVN|A04|20261015\rPID|1||MR1^^^01004^MR||NGUY\r", []),
        ("EVN|A04|20261015\rPID|1||MR1^^^01004^MR||MAU^AN||19900102|M", []),
        ("EVN|A04|20261015\rPID|1||MR1^^^01004^MR||MAU^AN\rPV1|1|O", []),
    ],
    ids=["within the name", "before the patient", "ended", "further than it must", "nothing is missing"],
)
def test_a_message_that_ends_before_what_its_structure_requires_is_told_to_be_cut(rows, places):
    done = read((f"MSH|^~\\&|HIS|01004|HIE|HUB|20261015081530||ADT^A04|C1|P|2.5.1\r{rows}").encode())
    assert [at for code, severity, at in found(done) if (code, severity) == ("MESSAGE_CUT", "W")] == places


@pytest.mark.parametrize(
    "rows", ["DG1|1||J18.9^Viêm phổi||20261015|A", "DG1|1||J18.9\rDG1|2||J45.9", "NTE|1||C:\\dicom", "NTE|1||ho \\", "ZPV|1"]
)
def test_a_message_that_merely_ends_early_is_not_told_to_be_cut(rows):
    done = read((f"MSH|^~\\&|HIS|01004|HIE|HUB|20261015081530||ADT^A04|C1|P|2.5.1\r{VISIT}{rows}").encode())
    assert "MESSAGE_CUT" not in {code for code, _, _ in found(done)}


@pytest.mark.parametrize(
    "observations",
    [
        [WHOLE],
        ["1|NM|GLU^Glucose^L||15.7|mmol/L"],  # no OBX-11, ever
        [WHOLE, "2|NM|GLU^Glucose^L||15.7|mmol/L"],  # the value is whole
        [WHOLE, "2|TX|CMT^Comment^L||hemolysed|||||"],
        ["1|NM|URE^Urea^L||5.1|mmol/L", "2|NM|GLU^Glucose^L||15.7|mmol/L"],
        ["1|TX|MO^Report^L||Không thấy", "2|TX|MO^Report^L||bất thường"],  # no field behind the value, ever
        [WHOLE, "2|NM|GLU^Glucose^L||15.7|mmol/L|||||P"],
    ],
)
def test_a_message_that_merely_lacks_its_last_segment_end_is_taken(observations):
    assert read(lines(*observations)).verdict == "translated"


@pytest.mark.parametrize("rest", ["OB", "OBX", "OBXY|1|NM", "|||", "obx|1|NM|GLU^Glucose^L||15"])
def test_what_is_left_of_a_segment_is_never_a_fault_of_ours(rest):
    done = read(lines(WHOLE) + f"\r{rest}".encode())
    assert done.verdict == ("refused" if rest.startswith("obx") else "translated")


def test_an_observation_beside_a_visit_may_end_anywhere():
    assert read(lines("1|NM|8302-2^Height^LN||170", kind="ADT^A04")).verdict == "translated"


ENDED = compile_text("ended_his", 'extends = "_standard"\nversion = "1"\nabout = "ends every segment"\nended = true')


@pytest.mark.parametrize(
    ("kind", "rows", "place"),
    [
        ("ADT^A04", "EVN|A04|20261015\rPID|1||MR1^^^01004^MR||MAU^AN\rPV1|1|O|||||||||||||||||LK-2026000", "PV1-19"),
        (
            "DFT^P03",
            "EVN|P03|20261015\rPID|1||MR1^^^01004^MR||MAU^AN\rPV1|1|O\rFT1|1|L1||20261015||CG|18.1^Siêu âm^L|||1|439",
            "FT1-11",
        ),
        ("ORU^R01", f"PID|1||MR1^^^01004^MR||MAU^AN\rOBR|1|O1|L1|GLU^Glucose^L\rOBX|{WHOLE}", "OBX-11"),
        ("ADT^A04", f"{VISIT}ZB", "after PV1"),
    ],
)
@pytest.mark.parametrize("end", ["", "\x1c", " "])
def test_a_sender_that_ends_every_segment_has_sent_no_message_without_such_an_end(kind, rows, place, end):
    def said(text, dialect=None, **more):
        raw = f"MSH|^~\\&|HIS|01004|HIE|HUB|20261015081530||{kind}|C1|P|2.4\r{text}".encode()
        done = translate(Received(raw, AT, "mllp", **more), KEYRING, dialect)
        return done.verdict, [at for code, severity, at in found(done) if (code, severity) == ("MESSAGE_CUT", "E")]

    assert said(rows + end, ENDED) == ("refused", [place])
    assert said(rows + end, ENDED, pasted=True) == ("translated", []), "who pastes leaves the last end behind"
    assert said(rows + end) == ("translated", []), "others have not said so"
    assert said(rows + "\r" + end, ENDED) == said(rows + "\n", ENDED) == ("translated", [])


def test_what_takes_a_stream_or_a_file_apart_leaves_each_message_its_end():
    whole = lines(WHOLE, end="\r")
    frames = Decoder(1_000_000).feed(b"\x0b" + whole + b"\x1c\r\x0b" + whole + b"\x1c\r")
    parts = [*(frame.body for frame in frames), *split(whole + b"\r\n" + whole), *split(b"FHS|x\r" + whole + b"FTS|1\r")]
    batch = cut(b"BHS|^~\\&|x\r" + whole + whole + b"BTS|2\r")
    assert batch is not None
    parts += batch.parts
    assert len(parts) == 7
    for part in parts:
        assert "MESSAGE_CUT" not in [code for code, _, _ in found(translate(Received(part, AT, "mllp"), KEYRING, ENDED))]


@pytest.mark.parametrize(
    ("rule", "told"), [("", True), ('[xml13]\nma_loai_rv = "PRD[RP]-8"\nngay_vao = { from = "PV1-44", as = "minute" }\n', False)]
)
def test_what_a_profile_reads_as_a_code_where_the_standard_has_a_time_is_no_wrong_time(rule, told):
    dialect = compile_text("mine", f'extends = "_standard"\nversion = "1"\nabout = "x"\n{rule}')
    rows = "RF1|P|R|||||20261123\rPRD|RP|||01004||||ABC\rPRD|RT|||01021\rPID|1||7^^^01004^MR||MAU^AN\rDG1|1||E11.9"
    done = translate(
        Received(f"MSH|^~\\&|HIS|01004|HIE|HUB|20261123||REF^I12|C1|P|2.5.1\r{rows}\r".encode(), AT, "mllp"), KEYRING, dialect
    )
    assert (("TIME_UNPARSABLE", "W", "PRD[1]-8") in found(done)) == told, found(done)


# --- the charset, as far as the border has to know it


@pytest.mark.parametrize("order", ["utf-16", "utf-16-le", "utf-16-be", "utf-32-le"])
@pytest.mark.parametrize("name", [b"MAU", "MẪU".encode()])
def test_a_message_in_utf16_or_utf32_is_read(order, name):
    done = read(oru("W1").replace(b"MAU", name).decode().encode(order))
    assert done.verdict == "translated" and msa(done.ack.decode()) == ("AA", "W1")
    assert done.message["charset"] == order.removesuffix("-le").removesuffix("-be")
    assert done.events[0][1]["person"]["ho_ten"] == f"{name.decode()} THI AN"


@pytest.mark.parametrize("name", [b"MAU", "MẪU".encode()])
def test_a_line_break_within_msh_ends_it_in_no_charset(name):
    raw = header(oru("B1").replace(b"MAU", name), 8, b"a line\nand another")
    done = read(raw)
    assert done.verdict == "translated" and msa(done.ack.decode()) == ("AA", "B1")
    assert done.message["control_id"] == "B1" and done.message["message_type"] == read(oru("B2")).message["message_type"]


def test_a_name_whose_only_letters_beyond_ascii_lie_below_0x20_is_read():
    raw = oru("L1").replace(b"MAU^AN", "PHẠM^MẬN".encode().replace("Ạ".encode(), b"\x02").replace("Ậ".encode(), b"\x03"))
    assert raw.isascii()
    done = read(header(raw, 18, b"x-viet-vps"))
    assert done.message["charset"] == "vps" and done.events[0][1]["person"]["ho_ten"] == "PHẠM THI MẬN"


# --- both answers of enhanced mode


def both(control_id, accept=b"AL", application=b"AL", **more):
    return header(header(oru(control_id, **more), 15, accept), 16, application)


def test_who_wants_both_answers_gets_the_commit_one_now_and_the_application_one_by_a_delivery():
    done = read(both("E1"))
    assert msa(done.ack.decode()) == ("CA", "E1") and done.message["ack"] == "CA"
    delivery, body = done.deferred
    assert (delivery["recipient"], delivery["rule"]) == ("01004", "application-ack-to-sender")
    assert delivery["subject_event_id"] == body["message_id"] == done.message["message_id"]
    assert delivery["meta"]["key"] == "01004" and delivery["meta"]["test"] is False
    assert body["ack"] == "AA" and body["raw"].startswith(b"MSH|^~\\&|LIS|01004|") and b"PID" not in body["raw"]
    assert encode("hie.Delivery", {**delivery, "body": b""}) and encode("hie.MessageReceived", body)


@pytest.mark.parametrize(
    ("accept", "application"), [(b"", b""), (b"AL", b"NE"), (b"AL", b"ER"), (b"NE", b"AL"), (b"ER", b"AL"), (b"AL", b"")]
)
def test_who_does_not_want_both_gets_no_delivery(accept, application):
    assert read(both("E2", accept, application)).deferred is None


def test_a_refusal_is_the_last_word():
    done = read(header(both("E3"), 9, b"ZZZ^Z01"))
    assert msa(done.ack.decode()) == ("CR", "E3") and done.deferred is None


def test_a_sender_of_a_facility_that_is_in_no_directory_gets_no_delivery():
    assert read(both("E4", facility="99999")).deferred is None


def test_a_resend_is_the_same_delivery_and_test_traffic_stays_test_traffic():
    message = both("E5", order="ORD-E5", processing="T")
    first = translate(Received(message, AT, "mllp"), KEYRING).deferred[0]
    again = translate(Received(message, AT + timedelta(minutes=5), "mllp"), KEYRING).deferred[0]
    assert first["meta"]["event_id"] == again["meta"]["event_id"] and first["meta"]["test"] is True
    assert first["subject_event_id"] != again["subject_event_id"]


# --- translated


def test_a_good_message_becomes_events_and_an_aa():
    done = read(oru("A1"))
    assert done.verdict == "translated" and done.problems == ()
    assert [record for record, _ in done.events] == ["hie.LabResult"]
    assert msa(done.ack.decode()) == ("AA", "A1")
    message = done.message
    assert (message["facility"], message["message_type"], message["version"]) == ("01004", "ORU^R01", "2.5.1")
    assert message["dialect"] == "songhong_his" and message["charset"] == "ascii" and message["format"] == "hl7"
    assert message["events"] == [{"event_id": done.events[0][1]["meta"]["event_id"], "topic": "lab-result.v1"}]
    assert encode("hie.MessageReceived", message)


def test_the_same_bytes_at_the_same_time_give_the_same_ids_always():
    assert read(oru("A2", order="X")).message == read(oru("A2", order="X")).message


def test_a_resend_is_another_message_and_the_same_event():
    one, two = (translate(Received(oru("A3", order="X"), AT + late, "mllp"), KEYRING) for late in (timedelta(0), timedelta(1)))
    assert one.message["message_id"] != two.message["message_id"]
    assert one.message["events"] == two.message["events"]


@pytest.mark.parametrize(
    ("processing", "credential", "test"), [("P", False, False), ("T", False, True), ("D", False, True), ("P", True, True)]
)
def test_test_traffic_is_known_by_msh_11_or_by_the_credential(processing, credential, test):
    done = read(oru("A4", processing=processing), test=credential)
    assert done.message["test"] is test and done.events[0][1]["meta"]["test"] is test


def test_a_facility_that_nobody_knows_is_a_warning():
    done = read(oru("A5", facility="99999"))
    assert done.verdict == "translated" and ("FACILITY_UNKNOWN", "W", "MSH-4") in found(done)
    assert "FACILITY_UNKNOWN" in codes(done.ack.decode())


@pytest.mark.parametrize("charset", ["utf-8", "tcvn3", "windows-1258"])
def test_a_facility_that_nobody_knows_is_shown_as_it_is_sent(charset):
    sent = header(oru("A5"), 4, written("BV Đa khoa  (Sông Hồng)", charset))
    done = read(header(sent, 5, written("Bệnh viện", charset)))
    assert done.message["facility"] == done.events[0][1]["ma_cskcb"] == "BV Đa khoa Sông Hồng"
    assert read(header(sent, 9, b"")).message["facility"] == "BV Đa khoa Sông Hồng", "nor does a refusal garble it"


def test_of_one_in_no_charset_that_the_hub_reads_the_rest_is_shown():
    done = read(header(oru("A5"), 4, b"BV \x81\xff\x00") + b"\xfe\xff\x81")
    assert done.verdict == "quarantined" and done.message["facility"].startswith("BV ?")


@pytest.mark.parametrize(
    ("born", "read_as"),
    [(b"19560000", "195600000000"), (b"195600", "195600000000"), (b"19560300", "195603000000"), (b"19561300", None)],
)
def test_what_is_unknown_of_a_birthday_may_be_zeros(born, read_as):
    done = read(oru("A5").replace(b"19850312", born))
    assert done.events[0][1]["person"].get("ngay_sinh") == read_as
    assert (("TIME_UNPARSABLE", "W", "PID-7") in found(done)) == (read_as is None)


def test_a_missing_control_id_and_version_are_warnings():
    done = read(header(header(oru(""), 10, b""), 12, b""))
    assert done.verdict == "translated"
    assert {("CONTROL_ID_MISSING", "W", "MSH-10"), ("FIELD_MISSING", "W", "MSH-12")} <= set(found(done))


def test_a_sender_of_one_facility_need_not_name_it():
    done = read(header(oru("A6"), 4, b""), facilities=frozenset({"01940"}))
    assert done.verdict == "translated" and done.message["facility"] == "01940"


@pytest.mark.parametrize(
    ("stated", "revision"),
    [
        (b"20261015081530", "20261015081530"),
        (b"20261015081530+0700", "20261015081530"),
        (b"20261015011530+0000", "20261015081530"),
        (b"20261015081530.1234", "20261015081530"),
        (b"202610150815", "20261015081500"),
        (b"not a time", "00000000000000"),
        (b"20261315081530+0000", "20261315081530"),
    ],
)
def test_the_revision_is_what_msh_7_states_in_vietnams_time(stated, revision):
    assert read(header(oru("A7"), 7, stated)).events[0][1]["meta"]["revision"]["stated_at"] == revision


def test_enhanced_mode_is_answered_as_msh_15_asks():
    assert msa(read(header(header(oru("A8"), 15, b"AL"), 16, b"NE")).ack.decode()) == ("CA", "A8")
    silent = read(header(header(oru("A8"), 15, b"NE"), 16, b"NE"))
    assert silent.ack == b"" and silent.message["ack"] == ""


@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "utf-16"])
def test_vietnamese_text_is_read_in_the_charset_it_fits(charset):
    done = read(oru("A9").decode().replace("MAU^AN^THI", "NGUYỄN^ĂN^THỊ").encode(charset))
    assert done.verdict == "translated"
    assert done.events[0][1]["person"]["ho_ten"] == "NGUYỄN THỊ ĂN"


@pytest.mark.parametrize("control_id", ["B1", "B-2.x", "B^3", "B\\T\\4", "", "Ế5"])
@pytest.mark.parametrize("version", [b"2.3.1", b"2.5.1"])
def test_the_quick_answer_is_the_answer(control_id, version):
    for late in range(2):  # the second one comes from what the first one left
        raw = header(oru(control_id), 12, version)
        received = Received(raw, AT + timedelta(hours=late), "mllp")
        done = translate(received, KEYRING)
        told = [problem for problem in done.problems if problem.severity is not Severity.INFORMATION]
        ident = done.message["message_id"].replace("-", "")[:20]
        local = received.received_at.astimezone(VIETNAM)
        assert done.ack.decode() == acknowledge(parse(raw.decode()), "AA", told, control_id=ident, now=local)


# --- refused


@pytest.mark.parametrize(
    ("change", "code", "answer"),
    [
        ((9, b"ADT^A99"), "TYPE_UNSUPPORTED", "AR"),
        ((9, b""), "TYPE_MISSING", "AR"),
        ((12, b"3.0"), "VERSION_UNSUPPORTED", "AR"),
    ],
)
def test_an_unsupported_type_or_version_is_refused(change, code, answer):
    done = read(header(oru("R1"), *change))
    assert (done.verdict, done.events, done.message["ack"]) == ("refused", (), answer)
    assert msa(done.ack.decode()) == (answer, "R1") and codes(done.ack.decode())[0] == code


@pytest.mark.parametrize(
    "raw",
    [b"MSH|", b"MSH|^~\\&|HIS|01021|HIE|HUB|20261123080000|", b"MSH|^~\\&|HIS|01021|HIE|HUB|20261123080000||^|C1|P|2.5.1\rPID|1"],
    ids=["nothing behind MSH", "cut within MSH", "no part of a type"],
)
def test_a_message_without_a_type_is_told_that_it_states_none(raw):
    done = read(raw)
    assert (done.verdict, done.events, done.message["ack"]) == ("refused", (), "AR")
    assert found(done)[-1] == ("TYPE_MISSING", "E", "MSH-9")
    assert codes(done.ack.decode())[0] == "TYPE_MISSING", "errors stand first"


def test_a_sender_that_is_not_entitled_is_refused_and_its_bytes_are_kept():
    done = read(oru("R2", facility="01021"), facilities=frozenset({"01004"}))
    assert done.verdict == "refused" and found(done)[-1] == ("FACILITY_NOT_ENTITLED", "E", "MSH-4")
    assert done.message["raw"] == oru(
        "R2", facility="01021", order=done.message["raw"].split(b"ORC|RE|")[1].split(b"|")[0].decode()
    )


def test_an_acknowledgement_is_never_acknowledged():
    done = read(header(oru("R3"), 9, b"ACK^R01"))
    assert done.verdict == "refused" and done.ack == b""


# --- JSON


def report(**change):
    form = {"type": "resource-report", "ma_cskcb": "01004", "reported_at": "2026-10-15T08:00:00+07:00", "control_id": "J1"}
    return orjson.dumps(form | {"resources": [{"kind": "VENTILATOR", "total": 4, "in_use": 0}]} | change)


def test_a_report_of_resources_may_come_as_json():
    done = read(b"\xef\xbb\xbf \n" + report())
    assert done.verdict == "translated" and done.problems == ()
    [(record, event)] = done.events
    assert (record, event["resources"]) == ("hie.ResourceReport", [{"kind": "VENTILATOR", "total": 4, "in_use": 0}])
    assert event["meta"]["revision"]["stated_at"] == "20261015080000"
    message = done.message
    assert [message[name] for name in ("format", "message_type", "facility", "control_id", "test")] == [
        "json", "resource-report", "01004", "J1", False,
    ]  # fmt: skip
    assert message["events"] == [{"event_id": event["meta"]["event_id"], "topic": "resource-report.v1"}]
    assert msa(done.ack.decode())[0] == "AA"


def test_a_json_report_is_marked_as_test_and_is_entitled_like_any_message():
    assert read(report(test=True)).events[0][1]["meta"]["test"] is True
    done = read(report(), facilities=frozenset({"01021"}))
    assert done.verdict == "refused" and found(done)[-1] == ("FACILITY_NOT_ENTITLED", "E", "ma_cskcb")


def test_json_that_does_not_fit_the_form_is_refused_with_every_fault():
    done = read(report(reported_at="8h", resources=[{"kind": "BED", "total": "4"}], note="x"))
    assert done.verdict == "refused" and done.events == ()
    assert found(done) == [
        ("TIME_UNPARSABLE", "E", "reported_at"),
        ("NUMBER_UNPARSABLE", "E", "resources[1].total"),
        ("FIELD_UNKNOWN", "E", "note"),
    ]


# --- quarantined


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "EMPTY_INPUT"),
        (b" \r\n\x00\x0b", "EMPTY_INPUT"),
        (bytes(range(256)) * 10, "FORMAT_UNKNOWN"),
        (b"MSH", "MSH_UNREADABLE"),
        (b"MSH1234", "MSH_UNREADABLE"),
        (b"msh|^~\\&|", "MSH_UNREADABLE"),
        (b"<html/>", "FORMAT_UNKNOWN"),
        (b"<GIAMDINHHS><unclosed>", "XML_MALFORMED"),
        (b'{"type": "resource-report"', "JSON_MALFORMED"),
        (b'<!DOCTYPE GIAMDINHHS [<!ENTITY a "b">]><GIAMDINHHS/>', "XML_FORBIDDEN"),
        (b"FHS|^~\\&|\rBHS|^~\\&|\r" + oru("Q1") + oru("Q2"), "SEVERAL_MESSAGES"),
    ],
)
def test_what_cannot_be_read_is_quarantined_and_answered_ar_without_msa_2(raw, code):
    done = read(raw)
    assert done.verdict == "quarantined" and done.message["raw"] == raw and done.events == ()
    assert code in [problem.code for problem in done.problems]
    assert msa(done.ack.decode()) == ("AR", "")


def test_two_messages_in_one_frame_are_never_mixed_into_one():
    done = read(oru("Q2") + oru("Q3"))
    assert done.verdict == "quarantined" and found(done)[-1][0] == "SEVERAL_MESSAGES"


def test_a_fault_of_ours_keeps_the_bytes_and_tells_where_but_never_a_value(monkeypatch):
    def breaks(*_):
        raise KeyError("MAU AN THI")

    monkeypatch.setitem(mapping._MAPPERS, "ORU^R01", breaks)
    done = read(oru("Q4"))
    assert done.verdict == "quarantined" and msa(done.ack.decode()) == ("AR", "Q4")
    [problem] = [problem for problem in done.problems if problem.severity is Severity.ERROR]
    assert problem.code == "TRANSLATION_FAILED" and re.fullmatch(r"KeyError test_translate\.py:\d+", problem.path)
    assert b"MAU" not in done.ack


def test_an_event_that_no_record_can_hold_is_told_with_the_messages_own_control_id():
    done = failed(Received(oru("Q5"), AT, "mllp"), ValueError("MAU AN THI"))
    assert msa(done.ack.decode()) == ("AR", "Q5") and done.message["facility"] == "01004"


@pytest.mark.parametrize(
    ("code", "verdict", "answered"),
    [
        ("BYTES_BETWEEN_FRAMES", "quarantined", False),
        ("FRAME_UNFINISHED", "quarantined", False),
        ("FRAME_TOO_LARGE", "refused", True),
    ],
)
def test_what_never_was_a_frame_is_kept_with_its_true_size(code, verdict, answered):
    done = unframed(Received(b"some", AT, "mllp"), Junk(b"some", 1000, Problem(code)))
    assert done.verdict == verdict and done.message["raw_size"] == 1000 and done.message["raw"] == b"some"
    assert bool(done.ack) is answered


# --- the insurance XML


def test_an_envelope_of_several_claims_is_one_message_with_several_events():
    done = read(envelope("V1", "V2", "V3"))
    assert done.verdict == "translated" and done.message["message_type"] == "GIAMDINHHS" and done.message["facility"] == "01004"
    assert [event["ma_lk"] for _, event in done.events] == ["V1", "V2", "V3"]


def test_a_broken_claim_is_refused_alone():
    done = read(envelope("V1", "", "V3"))
    assert done.verdict == "translated" and [event["ma_lk"] for _, event in done.events] == ["V1", "V3"]
    assert any(problem.severity is Severity.ERROR for problem in done.problems)


def test_an_envelope_of_another_facility_is_refused():
    done = read(envelope("V1"), facilities=frozenset({"01021"}))
    assert done.verdict == "refused" and "FACILITY_NOT_ENTITLED" in [problem.code for problem in done.problems]


def test_an_envelope_that_breaks_off_is_quarantined_as_a_whole():
    whole = envelope("V1", "V2")
    done = read(whole[: whole.rindex(b"</HOSO>") + 7])
    assert done.verdict == "quarantined" and done.events == ()


DONVI = b"<THONGTINDONVI><MACSKCB>01004</MACSKCB></THONGTINDONVI>"
FORBIDDEN = base64.b64encode(b"<!DOCTYPE a><TONG_HOP/>")


@pytest.mark.parametrize(
    "change",
    [
        (b"", b""),
        (DONVI, b""),
        (DONVI, b"<THONGTINDONVI/>"),
        (b"<CHUKYDONVI/>", DONVI.replace(b"01004", b"01021")),
        (b"<NOIDUNGFILE>", b"<NOIDUNGFILE>" + FORBIDDEN + b"</NOIDUNGFILE><NOIDUNGFILE>"),
        (b"</FILEHOSO>", b"<NOIDUNGFILE>" + FORBIDDEN + b"</NOIDUNGFILE></FILEHOSO>"),
        (b"</HOSO>", b""),
    ],
)
@pytest.mark.parametrize("facilities", [None, frozenset({"01004"}), frozenset({"01021"})])
def test_an_envelope_read_once_is_what_it_is_read_twice(change, facilities, monkeypatch):
    raw = envelope("V1", "V2")
    for one in (raw.replace(*change), raw.replace(*change).replace(DONVI, b"").replace(b"<CHUKYDONVI", DONVI + b"<CHUKYDONVI")):
        once = read(one, facilities=facilities)
        with monkeypatch.context() as patch:
            patch.setattr(envelope_reader, "_AT_ONCE_BYTES", 0)
            assert read(one, facilities=facilities) == once


def test_whose_a_refused_envelope_is_is_kept_whatever_is_wrong_in_its_tables():
    done = read(envelope("V1").replace(b"</FILEHOSO>", b"<NOIDUNGFILE>" + FORBIDDEN + b"</NOIDUNGFILE></FILEHOSO>"))
    assert (done.verdict, done.message["facility"], [each.code for each in done.problems]) == (
        "quarantined",
        "01004",
        ["XML_FORBIDDEN"],
    )


# --- files


def test_a_part_of_a_batch_is_read_by_itself_with_the_events_of_its_message():
    one, two = oru("F1", order="X1"), oru("F2", order="X2").replace(b"MAU^AN", "MẬU^ÂN".encode())
    batch = b"FHS|^~\\&|LIS\rBHS|^~\\&|LIS\r" + one + two + b"BTS|2\rFTS|1\r"
    found = cut(batch)
    for part, plain in zip(found.parts, (one, two), strict=True):
        done, same = read(part), read(plain)
        assert done.message["raw"] == part != plain and done.verdict == "translated" and done.problems == same.problems
        assert done.message["events"] == same.message["events"] and done.message["control_id"] == same.message["control_id"]


def test_a_file_is_split_byte_for_byte_and_nothing_of_it_is_lost():
    one, two = oru("S1"), oru("S2")
    assert split(one + two) == [one, two]
    assert split(b"\x0b" + one + b"\x1c\r\x0b" + two + b"\x1c\r") == [one, two]
    assert split(b"FHS|^~\\&|\rBHS|^~\\&|\r" + one + b"BTS|1\rFTS|1\r") == [one]
    assert split(b"scribble\r" + one) == [b"scribble", one]
    assert split(b"") == [] and split(b"\r\n") == [] and split(b"\x00\x01x") == [b"\x00\x01x"]
    assert split(envelope("V1")) == [envelope("V1")]


# --- messages written by others


def _corpus() -> list[Path]:
    folder = shipped("").resolve().parent / "shared" / "corpus"
    return sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []


def test_whatever_others_wrote_gets_a_verdict_with_a_reason_and_never_a_fault_of_ours():
    files = _corpus()
    if not files:
        pytest.skip("unverified: the corpus is not beside this checkout")
    counts = dict.fromkeys(("translated", "refused", "quarantined"), 0)
    for path, raw in itertools.chain.from_iterable(((path, raw) for raw in split(path.read_bytes())) for path in files):
        done = read(raw)
        counts[done.verdict] += 1
        assert "TRANSLATION_FAILED" not in [problem.code for problem in done.problems], (path.name, found(done))
        assert all(problem.code in ERRORS for problem in done.problems)
        assert done.verdict == "translated" or any(problem.severity is Severity.ERROR for problem in done.problems)
        assert not done.ack or parse(done.ack.decode()).first("MSA")
        assert encode("hie.MessageReceived", done.message)
        for record, event in done.events:
            assert encode(record, event)
    assert all(counts.values())


def test_what_is_remembered_of_senders_follows_the_directory(tmp_path):
    raw = oru("M1")
    assert read(raw).message["dialect"] == "songhong_his"
    row = "code,name,kind,province,valid_from\n01004,A,hospital,01,2019-01-01\n"
    (tmp_path / "facilities.csv").write_text(row, "utf-8")
    try:
        use_directory(tmp_path)
        assert read(raw).message["dialect"] == "_standard"
    finally:
        use_directory(None)
    assert read(raw).message["dialect"] == "songhong_his"


@pytest.mark.parametrize(
    ("said", "stated_at", "occurred_at"),
    [
        ("20/11/2026 15:02", "20261120150200", "2026-11-20T15:02:00+07:00"),
        ("20/11/2026 15:02:33", "20261120150233", "2026-11-20T15:02:33+07:00"),
        ("5-1-2026", "20260105000000", "2026-01-05"),
        (" 20/11/2026  15:02 ", "20261120150200", "2026-11-20T15:02:00+07:00"),
        ("20/11/2026 15:02:75", None, None),
        ("20261120150233", "20261120150233", "2026-11-20T15:02:33+07:00"),
        ("20261120080233+0000", "20261120150233", "2026-11-20T15:02:33+07:00"),
        ("31/02/2026 15:02", None, None),
        ("11/20/2026 15:02", None, None),
    ],
)
@pytest.mark.parametrize("kind", ["ADT^A08", "ORU^R01", "RDE^O11", "ADT^A40"])
def test_the_times_that_a_message_states_of_itself_are_read_with_the_day_first_where_the_profile_says_so(
    said, stated_at, occurred_at, kind
):
    mine = compile_text("mine", 'extends = "_standard"\nversion = "1"\nstated_at = "day_first"\n')
    rows = {
        "ADT^A08": f"EVN|A08|{said}\rPID|1||N1^^^^MR||A^B\rPV1|1|I|||||||||||||||||V1",
        "ADT^A40": f"EVN|A40|{said}\rPID|1||N1^^^^MR||A^B\rMRG|N2^^^^MR",
        "ORU^R01": "PID|1||N1^^^^MR||A^B\rOBR|1|5|6|GLU^Glucose^L\rOBX|1|NM|GLU^Glucose^L||5|mmol/L|||||F",
        "RDE^O11": "PID|1||N1^^^^MR||A^B\rORC|NW|9\rRXE||40.17^Paracetamol^L|1||VIEN",
    }[kind]

    def translated(dialect):
        raw = f"MSH|^~\\&|HIS|01021|||{said}||{kind}|C1|P|2.5.1\r{rows}\r"
        done = translate(Received(raw.encode(), AT, "mllp"), KEYRING, dialect)
        [(_, event)] = done.events
        return event, {problem.path for problem in done.problems if problem.code == "TIME_UNPARSABLE"}

    event, told = translated(mine)
    assert event["meta"]["revision"]["stated_at"] == (stated_at or "0" * 14)
    assert occurred_at is None or event["meta"]["occurred_at"] == occurred_at
    assert ("MSH-7" in told) is (stated_at is None), "what is not read is told"
    assert ("EVN-2" in told) is (stated_at is None and kind[:3] == "ADT")
    without, told = translated(None)
    assert ("MSH-7" in told) is ("/" in said or "-" in said)
    assert without["meta"]["revision"]["stated_at"] == ("0" * 14 if "MSH-7" in told else stated_at)


@pytest.mark.parametrize(("value", "warned"), [("52,5", False), (" 52,5", False), ("52.5 kilo", True), ("nang", True)])
def test_a_decimal_comma_excuses_only_what_is_a_number_by_it(value: str, warned: bool) -> None:
    mine = compile_text("mine", 'extends = "_standard"\nversion = "1"\ncomma = "decimal"\n')
    raw = (
        "MSH|^~\\&|HIS|01021|||20261123080000||ADT^A01^ADT_A01|C1|P|2.5.1\rEVN|A01|20261123080000\r"
        f"PID|1||N1^^^^MR||A^B\rPV1|1|I|||||||||||||||||V1\rOBX|1|NM|VN-CN^W||{value}|kg|||||F\r"
    )
    done = translate(Received(raw.encode(), AT, "mllp"), KEYRING, mine)
    assert ("NUMBER_UNPARSABLE" in [problem.code for problem in done.problems]) is warned


def test_a_type_of_value_that_hl7_does_not_have_is_told_once():
    told = [(code, path) for code, _severity, path in found(read(lines("1|nm|URE^Urea^L||5.1", "2|NM|NA^Natri^L||139")))]
    assert [each for each in told if each[1].startswith("OBX") and each[1].endswith("-2")] == [("VALUE_TYPE_UNKNOWN", "OBX[1]-2")]


def test_a_code_that_the_profile_maps_is_no_unknown_one():
    raw = "MSH|^~\\&|HIS|01021|HIE|HUB|20261015081530||ORM^O01|C1|P|2.5.1\rPID|1||7^^^01021^MR||Lê^Hoa\r"
    raw += "ORC|%s|P1\rOBR|1|P1||GLU^Glucose^L\r"
    mine = compile_text("mine", 'extends = "_standard"\nversion = "1"\n[codes.order_control]\nMOI = "PLACED"\n')
    told = {}
    for code in ("MOI", "moi", "HET"):
        done = translate(Received((raw % code).encode(), AT, "mllp"), KEYRING, mine)
        told[code] = [each[1] for each in found(done) if each[0] == "CODE_UNKNOWN" and each[2] == "ORC-1"]
    assert told == {"MOI": [], "moi": [], "HET": ["W"]}


@pytest.mark.parametrize("charset", ["tcvn3", "utf-8", "vni", "windows-1258"])
def test_an_alias_has_the_letters_of_its_language_in_any_charset(charset: str, tmp_path: Path) -> None:
    text = 'extends = "_standard"\nversion = "1"\nabout = "Invented."\n[facility]\naliases = [{ application = "HOANGLAN", name = "CN Đống Đa", code = "01951" }]\n'
    (tmp_path / "hoanglan_lis.toml").write_text(text, "utf-8")
    message = "MSH|^~\\&|HOANGLAN|CN Đống Đa|||20261123080000||ADT^A01^ADT_A01|C1|P|2.5.1\rEVN|A01|20261123080000\rPID|1||N1^^^^MR||A^B\rPV1|1|I|||||||||||||||||V1\r"
    raw = written(message, charset)
    try:
        use_vendors(tmp_path)
        assert (read(raw).message["facility"], read(raw).message["dialect"]) == ("01951", "hoanglan_lis")
        given = translate(Received(raw, AT, "mllp"), KEYRING, compile_text("hoanglan_lis", text))
        assert given.message["facility"] == "01951"
    finally:
        use_vendors(None)
