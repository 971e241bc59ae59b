"""`hie translate`, offline: one row a message, whatever the file holds."""

import asyncio
import json
import struct
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from adapters.formats.ack import acknowledge
from adapters.formats.hl7v2 import parse
from adapters.inbound.tls import ServerTls
from hub.cli import messages
from hub.cli.main import app
from hub.cli.messages import _sent, _tls, by_http, read_ack, show_inbox, translations
from hub.contract.errors import HubError, Problem, Severity
from hub.contract.places import shipped
from hub.contract.settings import read_settings
from hub.services import say_ready
from tests.adapters.inbound.certificates import Authority
from tests.adapters.inbound.conftest import oru
from tests.adapters.inbound.offline import listening

CORPUS = Path(__file__).parents[3].parent / "shared" / "corpus"
LONG_RESULT = b"MSH|^~\\&|A|B|C|D|20261123||ORU^R01|1|P|2.5.1\rPID|1||7^^^B^MR\rOBR|1|P1|F1|X\rOBX|1|TX|X||"
MIB = 1024 * 1024


def translate(*arguments):
    done = CliRunner().invoke(app, ["translate", *map(str, arguments)])
    return done.exit_code, done.stdout


def test_a_message_is_one_json_line_with_its_events():
    code, text = translate("--json", shipped("seeds/demo/04-referral-to-province.hl7"))
    [row] = map(json.loads, text.splitlines())
    assert code == 0
    assert set(row) == {"file", "message", "control_id", "type", "verdict", "ack", "problems", "events"}
    assert (row["control_id"], row["type"], row["verdict"], row["ack"]) == ("DEMO-04", "REF^I12", "translated", "AA")
    assert row["events"][0]["record"] == "hie.Referral"


def test_what_is_expected_of_a_message_is_no_message(tmp_path):
    raw = shipped("seeds/demo/04-referral-to-province.hl7").read_bytes()
    (tmp_path / "slip.hl7").write_bytes(raw)
    (tmp_path / "slip.json").write_text('{"about": "a slip", "ack": "AA", "events": []}', "utf-8")
    code, text = translate(tmp_path)
    assert (code, text.splitlines()[-1]) == (0, "translated 1")
    assert "left out 1 .json with what is expected of the message beside it" in text
    (tmp_path / "slip.hl7").rename(tmp_path / "other.hl7")
    assert translate(tmp_path)[1].splitlines()[-1] == "refused 1 · translated 1", "beside no message it may be one"
    assert translate(tmp_path / "slip.json")[1].splitlines()[-1] == "refused 1", "and so when it is named itself"


def test_it_ends_with_1_when_any_message_was_not_translated():
    code, text = translate(shipped("seeds/demo"))
    assert code == 1
    assert text.splitlines()[-1] == "refused 1 · translated 14"


def test_what_stands_at_several_places_is_said_once():
    _, text = translate(shipped("seeds/demo/06-arrival-at-province.hl7"))
    rows = text.splitlines()
    assert rows[1:3] == [
        "    I IDENTIFIER_INFERRED PID-3, PID-3[2], PID-3[3]",
        "      The identifier has no type, or one that is not of its shape; one was inferred.",
    ]


def test_of_many_places_the_first_are_shown(tmp_path):
    file = tmp_path / "many.hl7"
    file.write_bytes(oru("M1") + b"".join(b"OBX|%d|NM|GLU||x\rno segment|\r" % each for each in range(2, 9)))
    _, text = translate(file)
    [row] = [row for row in text.splitlines() if "SEGMENT_UNREADABLE" in row]
    assert row.startswith("    W SEGMENT_UNREADABLE after OBX[2], after OBX[3], ")
    assert row.endswith(", after OBX[7], … 7 places")


@pytest.mark.parametrize(
    ("content", "verdict", "code"),
    [
        (b"", "quarantined", "EMPTY_INPUT"),
        (bytes(range(256)) * 50, "quarantined", "FORMAT_UNKNOWN"),
        (b"MSH|^~\\&|A|B|C|D|20261123||ORU^R01|1|P|2.5.1\rNTE|1||" + b"A" * (20 * MIB), "refused", "FRAME_TOO_LARGE"),
        (
            LONG_RESULT + b"A" * (9 * MIB) + b"||||||F\r",
            "refused",
            "FRAME_TOO_LARGE",
        ),  # no larger than a message may be, but its event is
        (b"MSH|^~\\&|A|B|C|D|20261123||ZZZ^Z99|1|P|2.5.1\r", "refused", "TYPE_UNSUPPORTED"),
        (b"<GIAMDINHHS>", "quarantined", "XML_MALFORMED"),
    ],
    ids=["empty", "binary", "20 MB", "event of 9 MB", "unknown type", "cut XML"],
)
def test_a_file_that_cannot_be_translated_has_a_clear_problem(tmp_path, content, verdict, code):
    file = tmp_path / "file"
    file.write_bytes(content)
    [row] = translations(file, 20 * MIB)
    assert row["verdict"] == verdict
    assert code in [problem["code"] for problem in row["problems"] if problem["severity"] == "E"]
    assert row["events"] == []


def test_an_event_that_the_gate_could_not_write_is_told_as_the_gate_would(tmp_path, monkeypatch):
    def fails(record, event):
        raise struct.error("required argument is not a float")

    monkeypatch.setattr("adapters.inbound.translate.encode", fails)
    file = tmp_path / "a.hl7"
    file.write_bytes(LONG_RESULT + b"7||||||F\r")
    [row] = translations(file, 20 * MIB)
    assert (row["verdict"], row["ack"], row["events"]) == ("quarantined", "AR", [])
    [told] = [one for one in row["problems"] if one["severity"] == "E"]
    assert told["code"] == "TRANSLATION_FAILED" and "`hie replay`" in told["text"]
    for command in (["translate"], ["why", "--offline"]):
        done = CliRunner().invoke(app, [*command, str(file)])
        assert done.exit_code == 1 and "TRANSLATION_FAILED" in done.stdout and isinstance(done.exception, SystemExit)


def test_messages_written_by_others_are_read_without_a_crash():
    if not CORPUS.is_dir():
        pytest.skip("unverified, the corpus of messages written by others is not here")
    rows = [row for path in sorted(CORPUS.rglob("*")) if path.is_file() for row in translations(path, 20 * MIB)]
    assert len(rows) >= 2288
    assert {row["verdict"] for row in rows} == {"translated", "refused", "quarantined"}
    assert [row["file"] for row in rows if any(p["code"] == "TRANSLATION_FAILED" for p in row["problems"])] == []


def test_an_acknowledgement_is_read_with_its_problems():
    ack = b"MSH|^~\\&|HIE|HUB|A|B|20261123||ACK|1|P|2.5.1\rMSA|AR|X1\rERR||MSH^1^9|200^^HL70357|E|TYPE_UNSUPPORTED\r"
    answer = read_ack(ack)
    assert (answer["ack"], answer["control_id"]) == ("AR", "X1")
    assert answer["problems"][0]["code"] == "TYPE_UNSUPPORTED"
    assert read_ack(b"")["ack"] == ""


@pytest.mark.parametrize("version", ["2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5.1", "2.8"])
@pytest.mark.parametrize(
    ("code", "problems"),
    [
        ("AE", [Problem("NOTHING_REPRESENTABLE", Severity.ERROR, "PID")]),
        ("AR", [Problem("TYPE_UNSUPPORTED", Severity.ERROR, "MSH-9"), Problem("FIELD_MISSING", Severity.WARNING, "OBX-4")]),
        ("AA", [Problem("TIME_UNPARSABLE", Severity.WARNING, "OBR-7"), Problem("FIELD_MISSING", Severity.WARNING, "OBX-4")]),
    ],
)
def test_the_first_thing_told_is_read_in_the_layout_of_every_version(version, code, problems):
    message = parse(f"MSH|^~\\&|A|B|C|D|20261123||ORU^R01|X1|P|{version}\r")
    body = acknowledge(message, code, problems, now=datetime(2026, 11, 23, tzinfo=UTC), control_id="C1")
    told = read_ack(body.encode())["problems"][0]
    first = problems[0]
    assert (told["code"], told["severity"], told["path"]) == (first.code, first.severity.value, first.path)
    assert told["text"].startswith(first.row.en)


@pytest.mark.parametrize("version", ["2.3.1", "2.4", "2.5.1"])
def test_that_a_message_was_cut_is_shown_before_what_it_lacks_therefore(version: str, capsys: pytest.CaptureFixture[str]) -> None:
    message = parse(f"MSH|^~\\&|A|B|C|D|20261123||ORU^R01|X1|P|{version}\r")
    noticed = [
        Problem("MESSAGE_CUT", Severity.WARNING, "PID-4"),
        Problem("NOTHING_REPRESENTABLE", Severity.ERROR, "OBR"),
        Problem("FIELD_MISSING", Severity.ERROR, "PV1-2"),
    ]
    body = acknowledge(message, "AE", noticed, now=datetime(2026, 11, 23, tzinfo=UTC), control_id="C1")
    messages._show_problems(read_ack(body.encode())["problems"])
    shown = [row.strip() for row in capsys.readouterr().out.splitlines() if row.startswith("    ") and row[4] in "EW"]
    assert shown == ["W MESSAGE_CUT PID-4", "E NOTHING_REPRESENTABLE OBR", "E FIELD_MISSING PV1-2"]


def test_what_loses_something_is_shown_before_what_is_only_a_matter_of_form(capsys: pytest.CaptureFixture[str]) -> None:
    codes = [
        ("FIELD_TOO_LONG", "W"),
        ("IDENTIFIER_INFERRED", "I"),
        ("NAME_ODD", "W"),
        ("CODE_UNKNOWN", "W"),
        ("FIELDS_SHIFTED", "W"),
    ]
    messages._show_problems([{"code": code, "severity": severity, "path": "X-1", "text": "…"} for code, severity in codes])
    shown = [row.split()[1] for row in capsys.readouterr().out.splitlines() if row.startswith("    ") and row[4] in "EWI"]
    assert shown == ["FIELDS_SHIFTED", "NAME_ODD", "FIELD_TOO_LONG", "CODE_UNKNOWN", "IDENTIFIER_INFERRED"]


def test_what_an_older_answer_names_and_how_many_more_it_counts_are_read() -> None:
    body = b"MSH|^~\\&|H|H|A|B|20261123||ACK|1|P|2.4\rMSA|AA|X1|TIME_UNPARSABLE RF1-7; KEY_MISSING RF1-6 (+3)\r"
    answer = read_ack(body)
    told = [(each["code"], each["severity"], each["path"]) for each in answer["problems"]]
    assert (told, answer["more"]) == ([("TIME_UNPARSABLE", "W", "RF1-7"), ("KEY_MISSING", "W", "RF1-6")], 3)
    assert read_ack(b"MSH|^~\\&|H|H|A|B|20261123||ACK|1|P|2.4\rMSA|AA|X1|Well done\r")["problems"] == []


def test_the_inbox_shows_what_the_inbox_api_gives(capsys):
    delivery = {
        "cursor": 7,
        "delivery_id": "dac9d9b5-fe3b-5ac2-ab7a-76689532232a",
        "event_id": "2b18d7bc",
        "record": "hie.Referral",
    }
    delivery |= {"lane": "routine", "rule": "referral-to-receiver", "state": "SENT", "code": ""}
    delivery |= {"queued_at": "2026-11-23T17:50:12.605053+00:00", "body": "MSH|^~\\&|HIE\rRF1|P"}
    show_inbox("01004", {"deliveries": [delivery]}, body=True)
    shown = capsys.readouterr().out
    for part in ("01004: 1 delivery", "24/11 00:50", "Referral (referral-to-receiver)", delivery["delivery_id"], "cursor 7"):
        assert part in shown
    assert "MSH|^~\\&|HIE\nRF1|P" in shown


def test_what_is_acknowledged_is_shown_in_the_state_that_it_has_then(monkeypatch):
    row = {"cursor": 7, "delivery_id": "dac9d9b5", "record": "hie.Referral", "rule": "referral-to-receiver", "body": {}}
    row |= {"state": "SENT", "queued_at": "2026-11-23T17:50:12+00:00"}

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(200, json=[{"delivery_id": "dac9d9b5", "state": "ACKNOWLEDGED"}])
        return httpx.Response(200, json={"deliveries": [row]})

    real = httpx.Client
    monkeypatch.setattr(httpx, "Client", lambda **how: real(**how, transport=httpx.MockTransport(answer)))
    monkeypatch.setattr(messages, "connected", lambda settings: settings)
    monkeypatch.setattr(messages, "address", lambda *_: ("127.0.0.1", 1))
    shown = [CliRunner().invoke(app, ["inbox", "01004", *more]).stdout for more in ([], ["--ack"])]
    assert ["ACKNOWLEDGED" in text for text in shown] == [False, True] and "SENT" not in shown[1]


def test_an_empty_inbox_of_an_unknown_facility_says_so(capsys):
    show_inbox("09999", {"deliveries": []}, body=False)
    assert "not in the directory" in capsys.readouterr().out


def test_send_asks_by_tls_and_shows_an_answer_to_each_message_of_a_frame(tmp_path):
    authority = Authority(tmp_path, "authority")
    server, client = authority.sign("server"), authority.sign("client")

    async def send():
        certificate = ServerTls(server.certificate, server.key, authority.certificate)
        async with listening(tmp_path, tls=certificate) as doors:
            settings = read_settings(data_dir=tmp_path)
            say_ready(settings, "gate", {"mllp_port": doors.listener.port, "mllps_port": doors.listener.tls_port})
            tls = _tls(authority.certificate, client.certificate, client.key)
            several = oru("S1") + oru("S2")
            return [await asyncio.to_thread(_sent, settings, several, False, "", context) for context in (None, tls)]

    for rows in asyncio.run(send()):
        assert [(row["ack"], row["control_id"], row["problems"]) for row in rows] == [("AA", "S1", []), ("AA", "S2", [])]


def test_send_marks_what_it_sends_as_test_traffic_by_http(tmp_path, monkeypatch):
    (tmp_path / "a.hl7").write_bytes(oru("T1"))
    asked = []

    def post(url, **how):
        asked.append((httpx.URL(url).path, how["params"]))
        return httpx.Response(200, json={"ack": "AA", "control_id": "T1", "problems": []})

    monkeypatch.setattr(httpx, "post", post)
    monkeypatch.setattr(messages, "connected", lambda settings: settings)
    monkeypatch.setattr(messages, "address", lambda *_: ("127.0.0.1", 1))
    for more in (["--test"], ["--http"]):
        assert CliRunner().invoke(app, ["send", *more, str(tmp_path / "a.hl7")], catch_exceptions=False).exit_code == 0
    assert asked == [("/v1/messages", {"test": "true"}), ("/v1/messages", None)]


def test_what_no_mllp_frame_can_carry_goes_by_http():
    assert [by_http(raw) for raw in (b"", b"\r\n", b"\x00\x0b", b"\x1c\x02", b"<a/>", b'{"type": ""}')] == [True] * 6
    assert not by_http(oru("S1"))


def test_a_folder_without_a_file_is_no_success(tmp_path):
    done = CliRunner().invoke(app, ["translate", str(tmp_path)])
    assert done.exit_code == 2
    assert "there is no file in it" in done.stderr


def test_send_refuses_files_that_are_no_certificate(tmp_path):
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(HubError, match="SETTING_WRONG"):
        _tls(tmp_path / "ca.pem", None, None)


def test_a_message_is_named_by_its_control_id_however_it_went_else_by_what_the_hub_calls_it(tmp_path, monkeypatch):
    (tmp_path / "a.hl7").write_bytes(oru("M1"))
    by_mllp = read_ack(b"MSH|^~\\&|HIE|HUB|A|B|20261123||ACK|0d5374e1c43851e89617|P|2.5.1\rMSA|AA|M1\r")
    by_http = {
        "status": 200,
        "ack": "AA",
        "message_id": "0d5374e1-c438-51e8-9617-29a5ec959824",
        "control_id": "M1",
        "problems": [],
    }
    monkeypatch.setattr("hub.cli.messages.connected", lambda settings: settings)
    shown = []
    for answer in (by_mllp, by_http, by_http | {"control_id": ""}, by_mllp | {"control_id": ""}):
        monkeypatch.setattr("hub.cli.messages._sent", lambda *_, answer=answer: [answer])
        shown.append(CliRunner().invoke(app, ["send", str(tmp_path / "a.hl7")]).stdout.split(maxsplit=2))
    assert {(ack, file) for ack, file, _ in shown} == {("AA", "a.hl7#1")}
    assert [told.strip() for _, _, told in shown] == ["M1", "M1", by_http["message_id"], "0d5374e1c43851e89617"]
