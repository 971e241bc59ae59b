"""What mapping promises whatever the message: types, refusals, keys, limits."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.dialects.mapped import Context, Mapped
from adapters.dialects.mapping import SUPPORTED, map_message, message_type
from adapters.dialects.paths import PROBLEMS_MAX
from adapters.dialects.profile import load_dialect, resolve_message
from adapters.formats.charset import decode
from adapters.formats.hl7v2 import Message, parse, split_messages
from hub.contract.errors import HubError, Severity
from hub.contract.events import Keyring, Origin, content_hash, encode
from hub.contract.events import decode as decode_event
from tests.adapters.dialects.alike import READ_AS
from tests.adapters.dialects.goldens import cases

CORPUS = Path(__file__).resolve().parents[4] / "shared" / "corpus"
KEYRING = Keyring(b"golden-secret-16")


def _map(message: Message, dialect: str = "_standard", facility: str = "01021") -> Mapped:
    found = load_dialect(dialect)
    origin = Origin(
        "8f14e45f-0000-5000-8000-000000000000",
        datetime(2026, 11, 23, 1, 5, tzinfo=UTC),
        {"sender": "local", "control_id": message.control_id, "message_type": message_type(message)},
    )
    return map_message(message, found, Context(origin, KEYRING, facility))


def _oru(*rows: str, pid: str = "PID|1||N1^^^^MR") -> Message:
    return parse("\r".join(["MSH|^~\\&|L|01940|H|01021|20261123080500||ORU^R01|M1|P|2.5.1", pid, *rows]))


@pytest.mark.parametrize(
    ("msh9", "kind"),
    [("ORU^R01^ORU_R01", "ORU^R01"), ("ORU", "ORU^R01"), ("ADT^^ADT_A01", "ADT^A01"), ("ADT", "ADT"), ("ACK", "ACK"), ("", "")],
)
def test_message_type(msh9: str, kind: str) -> None:
    assert message_type(parse(f"MSH|^~\\&|A|B|C|D|20261123||{msh9}|1|P|2.5")) == kind


def _as(message: Message, kind: str) -> Message:
    """The message under another type."""
    fields = message.header.fields.copy()
    fields[9] = kind
    lines = ["|".join(["MSH", *fields[2:]]), *("|".join(segment.fields) for segment in message.segments_in_order[1:])]
    return parse("\r".join(lines))


@pytest.mark.parametrize(("kind", "other"), [(kind, other) for kind, others in READ_AS.items() for other in others])
def test_a_type_that_is_read_as_another_gives_the_same_events(kind: str, other: str) -> None:
    shown = 0
    for path in cases():
        if path.suffix != ".hl7" or path.parent.name != "_standard" or path.stem == "adt-a08-person-only":
            continue  # only of A08 is it usual that no visit is named
        message = parse(path.read_text("utf-8"))
        if message_type(message) == kind:
            shown += 1
            mapped, alike = _map(message), _map(_as(message, other))
            assert [content_hash(event) for _, event in alike.events] == [content_hash(event) for _, event in mapped.events]
            assert alike.problems == mapped.problems
    assert shown


def test_an_unsupported_type_is_refused() -> None:
    mapped = _map(parse("MSH|^~\\&|A|B|C|D|20261123||RDS^O13|1|P|2.5"))
    assert [(p.code, p.severity) for p in mapped.problems] == [("TYPE_UNSUPPORTED", Severity.ERROR)]
    assert not mapped.events


def test_a_resend_under_the_same_control_id_is_the_same_event_even_without_a_key() -> None:
    message = _oru("OBR|1|||GLU", "OBX|1|NM|GLU||5")
    first, again = _map(message), _map(message)
    assert [event["meta"]["event_id"] for _, event in first.events] == [event["meta"]["event_id"] for _, event in again.events]


def test_results_without_numbers_in_one_message_have_keys_of_their_own() -> None:
    mapped = _map(_oru("OBR|1|||GLU", "OBX|1|NM|GLU||5", "OBR|2|||URE", "OBX|1|NM|URE||7"))
    assert len({event["meta"]["key"] for _, event in mapped.events}) == 2


def test_a_remembered_line_gives_what_reading_it_anew_gives() -> None:
    rows = [
        f"OBX|{set_id}|NM|GLU^Glucose 100%s^L|{sub_id}|{value}|mmol/L|3.9-6.4|H|||F|||{observed}||^LE||XN550|{analysed}"
        for set_id in ("1", "2", "", "?-")
        for sub_id in ("", "a", "b")
        for value in ("5", "6.5", "-1", "")
        for observed, analysed in (
            ("20261123080500", ""),
            ("20261123080500+0700", "20261123090000-0330"),
            ("20261123", "+0700"),
            ("", "20261123090000"),
            ("today", "2026"),
            ("", ""),
        )
    ]
    forms = load_dialect("_standard").forms

    def anew(row: str) -> dict[str, Any]:
        forms.clear()
        return dict(_map(_oru("OBR|1|P1||GLU", row)).events[0][1]["observations"][0])

    alone = [anew(row) for row in rows]
    forms.clear()
    for _ in range(2):
        event = _map(_oru("OBR|1|P1||GLU", *rows)).events[0][1]
        assert event["observations"] == alone
        plain = {**event, "observations": alone}
        assert encode("hie.LabResult", event) == encode("hie.LabResult", plain)
        assert event["meta"]["content_hash"] == content_hash(plain)
    assert {line.get("observed_at", "") for line in alone} == {
        "20261123080500", "20261123080500+0700", "20261123", "20261123090000", "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("5", 5.0),
        ("-0.5", -0.5),
        ("1e3", 1000.0),
        ("5.", 5.0),
        (".5", 0.5),
        ("nan", None),
        ("inf", None),
        ("1_000", None),
        ("5,6", None),
        ("²", None),
    ],
)
def test_a_number_is_one_only_when_it_is_written_as_one(value: str, number: float | None) -> None:
    line = _map(_oru("OBR|1|P1||GLU", f"OBX|1|NM|GLU||{value}")).events[0][1]["observations"][0]
    assert line.get("number") == number
    assert line["gia_tri"] == value


@pytest.mark.parametrize(
    ("kind", "value", "line"),
    [
        ("CE", "~NEG^Âm tính", {"gia_tri": "Âm tính"}),
        ("SN", "~=^5", {"gia_tri": "5", "number": 5.0}),
        ("SN", "^1^-^2", {"gia_tri": "1-2"}),
        ("TX", "\\H\\", {}),
        ("ST", "a^b", {"gia_tri": "a^b"}),
        ("XPN", "Lê^Bình", {"gia_tri": "Lê Bình"}),
    ],
)
def test_a_value_by_its_type(kind: str, value: str, line: dict[str, object]) -> None:
    read = _map(_oru("OBR|1|P1||GLU", f"OBX|1|{kind}|GLU||{value}")).events[0][1]["observations"][0]
    assert {name: read[name] for name in ("gia_tri", "mo_ta", "number") if name in read} == line


def test_an_identifier_of_signs_alone_is_none() -> None:
    person = _map(_oru("OBR|1|P1||GLU", pid="PID|1||--^^^^MR~?^^^BCA^NI||Lê^Bình")).events[0][1]["person"]
    assert person == {"ho_ten": "Lê Bình"}


def test_long_values_are_text() -> None:
    line = _map(_oru("OBR|1|P1||GLU", "OBX|1|ST|GLU||" + "a" * 256)).events[0][1]["observations"][0]
    assert "gia_tri" not in line
    assert len(line["mo_ta"]) == 256


def test_a_document_inside_a_result_stays_in_the_raw_message() -> None:
    line = _map(_oru("OBR|1|P1||GLU", "OBX|1|ED|PDF||LIS^application^pdf^Base64^JVBERi0=")).events[0][1]["observations"][0]
    assert line["gia_tri"] == "application/pdf"


def test_odd_delimiters_are_read_alike() -> None:
    usual = _oru("OBR|1|P1||GLU^Glucose^L", "OBX|1|NM|GLU^Glucose^L||5|mmol/L|||||F")
    rows = ["PID#1##N1****MR", "OBR#1#P1##GLU*Glucose*L", "OBX#1#NM#GLU*Glucose*L##5#mmol/L#####F"]
    text = "\r".join(["MSH#*~\\&#L#01940#H#01021#20261123080500##ORU*R01#M1#P#2.5.1", *rows])
    assert _map(parse(text)).events[0][1]["meta"]["content_hash"] == _map(usual).events[0][1]["meta"]["content_hash"]


def test_no_value_of_the_message_is_in_its_problems() -> None:
    secret = "NGUYENVANBIMAT"
    message = _oru(
        f"OBR|1|P1||GLU|||{secret}", f"OBX|1|NM|GLU||{secret}", pid=f"PID|1||{secret}||A||{secret}|{secret}||{secret}|^^^{secret}"
    )
    mapped = _map(message)
    assert len(mapped.problems) >= 5
    assert secret not in repr(mapped.problems)


def test_problems_have_a_limit_and_stay_linear() -> None:
    rows = [f"OBX|{n}|NM|GLU||x{n}|||||||||{n}zz" for n in range(20_000)]
    mapped = _map(_oru("OBR|1|P1||GLU", *rows))
    assert len(mapped.problems) <= PROBLEMS_MAX
    assert len(mapped.events[0][1]["observations"]) == 20_000


@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"unverified: no corpus of messages by others at {CORPUS.name}/")
def test_messages_by_others_become_events_that_survive_the_wire() -> None:
    taken = refused = 0
    records: set[str] = set()
    for path in sorted(CORPUS.rglob("*")):
        if not path.is_file() or path.suffix in (".md", ".tsv", ".upstream"):
            continue
        try:
            texts = split_messages(decode(path.read_bytes()).text)
        except HubError:
            continue
        for text in texts:
            try:
                message = parse(text)
            except HubError:
                continue
            if message_type(message) not in SUPPORTED:
                continue
            facility, dialect = resolve_message(message)
            mapped = _map(message, dialect.name, facility)
            if not mapped.events:
                refused += 1
                [fault] = [p for p in mapped.problems if p.severity is Severity.ERROR]
                assert fault.code == "NOTHING_REPRESENTABLE", path
                assert "-" in fault.path or message.first(fault.path) is None, f"{path} has what it is refused for"
            for record, event in mapped.events:
                taken += 1
                records.add(record)
                assert content_hash(decode_event(record, encode(record, event))) == event["meta"]["content_hash"], path
    assert records >= {"hie.Charge", "hie.Prescription", "hie.Document", "hie.CatalogueChange"}
    assert taken > 1700
    assert refused < 40


_PIECES = st.sampled_from(
    ["", '""', "|", "^", "~", "&", "\\", "\\X", "\\.br\\", "^^^", "0", "²", "\x00", "\r", "OBX|", "PID|1||", "𝒳", "|" * 40]
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    path=st.sampled_from([path for path in cases() if path.suffix == ".hl7"]),
    damage=st.lists(st.tuples(st.integers(60, 3000), st.integers(0, 12), _PIECES), min_size=1, max_size=6),
)
def test_whatever_happens_to_a_message_mapping_neither_fails_nor_writes_what_is_absent(
    path: Path, damage: list[tuple[int, int, str]]
) -> None:
    text = decode(path.read_bytes(), load_dialect(path.parent.name).charset).text
    for at, cut, piece in damage:
        at %= len(text)
        text = text[:at] + piece + text[at + cut :]
    try:
        message = parse(text)
    except HubError:
        return
    for record, event in _map(message, path.parent.name).events:
        assert content_hash(decode_event(record, encode(record, event))) == event["meta"]["content_hash"]
