"""Records of the archive that are forgotten: what the books count stays, what tells of a person goes, out of every file."""

import uuid
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from confluent_kafka import Message

from hub.bus import dead_letter
from hub.contract.errors import HubError
from hub.contract.events import decode, derive, encode, schema
from hub.contract.topics import topics
from hub.journal import archive as archive_module
from hub.journal.archive import Archive
from hub.journal.forgetting import Traces, emptied, empty, keys_of_patient, look
from hub.journal.rows import KINDS, read_record
from hub.journal.verify import _bytes, _offsets
from hub.routing.deliveries import delivery
from tests.archive.make import example
from tests.made import AT, KEYRING, out, received, referral

NAMES = list(topics())
IDS = {name: f"id-of-{name}" for name in topics()}


class OwnWire:
    """Values as always, with an id a topic and no registry that gives it."""

    def pack(self, topic: str, event: dict[str, Any]) -> bytes:
        return b"\0" + NAMES.index(topic).to_bytes(4, "big") + encode(topics()[topic].record, event)

    def unpack(self, value: bytes | None) -> tuple[str, dict[str, Any]]:
        if value is None or value[0] != 0:
            raise HubError("BODY_UNDECODABLE", "prefix")
        record = topics()[NAMES[int.from_bytes(value[1:5], "big")]].record
        return record, decode(record, value[5:])

    def unpack_head(self, value: bytes | None, _last: object) -> tuple[str, dict[str, Any]]:
        return self.unpack(value)


WIRE = OwnWire()


class Topics:
    """Records at the places that they get when they are written one after another, into one partition a topic."""

    def __init__(self) -> None:
        self.held: list[Message] = []

    def put(self, topic: str, key: str, value: bytes, headers: Any = (), at: datetime = AT) -> Message:
        offset = sum(one.topic() == topic for one in self.held)
        stamped = (1, int(at.timestamp() * 1000))
        one = Message(
            topic=topic, partition=0, offset=offset, key=key.encode(), value=value, headers=list(headers), timestamp=stamped
        )
        self.held.append(one)
        return one

    def event(self, topic: str, event: dict[str, Any], at: datetime = AT) -> Message:
        made = out(WIRE, topic, event)
        headers = made.headers or [("ce_id", event["message_id"].encode())]
        return self.put(topic, made.key, made.value, headers, at)


def case(there: Topics, slip: str, control_id: str, at: datetime = AT) -> dict[str, Any]:
    """A slip: its message, itself, what follows from it, one delivery, one for nobody, and a dead letter."""
    message = received("01731", at=at, control_id=control_id, raw=f"MSH|…|{slip}|SEN".encode(), raw_size=20)
    event = referral(message, slip)
    there.event("message-received.v1", message, at)
    place = there.event("referral.v1", event, at)
    visit = received("01021", at=at + timedelta(days=3))
    arrived = derive(
        "hie.Referral",
        {name: value for name, value in event.items() if name != "meta"} | {"action": "ARRIVED"},
        parents=[event | {"meta": event["meta"] | {"message_id": visit["message_id"]}}],
        rule="referral-arrived", facility="01731", key=event["meta"]["key"], revision=event["meta"]["revision"],
    )  # fmt: skip
    there.event("message-received.v1", visit, at + timedelta(days=3))
    there.event("referral.v1", arrived, at + timedelta(days=3))
    body = WIRE.pack("referral.v1", event)
    there.event("delivery.v1", delivery(event, "hie.Referral", "referral.v1", "01021", "r", body=body), at)
    there.event("delivery.v1", delivery(arrived, "hie.Referral", "referral.v1", "01004", "r", body=body), at + timedelta(days=3))
    there.event("delivery.v1", delivery(event, "hie.Referral", "referral.v1", "", "nobody"), at)
    letter = dead_letter(WIRE, "routing", "EVENT_UNROUTABLE", place)  # type: ignore[arg-type]
    there.put("dead-letter.v1", letter.key, letter.value, (), at + timedelta(days=9))
    return event


@pytest.fixture
def there():
    found = Topics()
    case(found, "S-OTHER", "M-OTHER")
    case(found, "S-SECRET", "M-SECRET")
    return found


@pytest.fixture
def archive(tmp_path, there):
    made = Archive.made(tmp_path)
    for one in there.held:  # a commit each
        made.append([one], IDS, {})
    return made


KEY = KEYRING.key("01731", "S-SECRET", test=False)


def traces_of(archive, *keys):
    found = Traces(keys or (KEY,))
    look(archive, WIRE, found)
    return found


def forget(archive, *keys):
    with archive.replacing():
        return empty(archive, WIRE, traces_of(archive, *keys), archive.folder / "none")


def on_disk(archive) -> str:
    return "".join(str(pl.read_parquet(file).rows()) for file in archive.folder.rglob("*.parquet"))


def rows_of(archive, there):
    """What an index has of everything, when it is built anew from the archive: topic and offset to kind and values."""
    found = {}
    for topic in {one.topic() for one in there.held}:
        for page in archive.records(topic, IDS[topic], 0):
            for one in page:
                read = read_record(WIRE, one)
                found[topic, one.offset()] = (read.kind, [getattr(value, "obj", value) for value in read.values])
    return found


def test_an_index_that_is_built_anew_has_the_same_rows_without_what_leads_to_the_person(archive, there):
    before = rows_of(archive, there)
    assert all(one in on_disk(archive) or one in str([m.value() for m in there.held]) for one in ("S-SECRET", "M-SECRET"))
    assert forget(archive) == 7
    after = rows_of(archive, there)
    assert after.keys() == before.keys() and len(after) == len(there.held)
    for place, (kind, values) in after.items():
        was = before[place][1]
        differs = {number for number, value in enumerate(values) if value != was[number]}
        assert kind == before[place][0] and differs <= {"event": {4}, "message": {8}}.get(kind, set()), place
        assert all(values[number] == "" for number in differs)
    assert sum(before[place] != after[place] for place in after) == 3  # two events lost their key, a message its control id


def test_nothing_tells_of_the_person_in_any_file_and_of_others_everything_is_as_it_was(archive, there):
    values = {(one.topic(), one.offset()): one.value() for one in there.held}
    gone = {(row.topic, row.offset) for row in traces_of(archive).rows}
    assert [topic for topic, _ in sorted(gone)] == [
        "dead-letter.v1",
        *["delivery.v1"] * 3,
        "message-received.v1",
        *["referral.v1"] * 2,
    ]
    forget(archive)
    left = on_disk(archive)
    assert "S-OTHER" in left and not [one for one in ("S-SECRET", "M-SECRET", KEY) if one in left]
    for topic in {one.topic() for one in there.held}:
        for page in archive.records(topic, IDS[topic], 0):
            for one in page:
                assert ((topic, one.offset()) in gone) == (one.value() != values[topic, one.offset()])


def test_the_archive_stays_whole_and_is_forgotten_once(archive, there):
    forget(archive)
    places: list[str] = []
    assert sum(row["missing"] + row["twice"] for _topic, row in _offsets(archive, places)) == 0
    assert _bytes(archive, None, places) == {
        topic: (sum(one.topic() == topic for one in there.held), 0) for topic in {one.topic() for one in there.held}
    }
    assert places == [] and traces_of(archive).rows == [] and forget(archive) == 0


def test_one_that_was_cut_off_anywhere_is_completed_by_the_next(archive, there, monkeypatch):
    known, blank, left = traces_of(archive), Archive.blank, []

    def die_behind_the_first(self, *given):
        if left:
            raise KeyboardInterrupt
        left.append(blank(self, *given))
        return left[0]

    for _ in range(4):
        again = Traces(
            (KEY,), set(known.ids), set(known.named), set(known.places), days=set(known.days)
        )  # as index and table know it
        look(archive, WIRE, again)
        left.clear()
        with monkeypatch.context() as broken, archive.replacing(), pytest.raises(KeyboardInterrupt):
            broken.setattr(Archive, "blank", die_behind_the_first)
            empty(archive, WIRE, again, archive.folder / "none")
        assert len(rows_of(archive, there)) == len(there.held)
    again = Traces((KEY,), set(known.ids), set(known.named), set(known.places), days=set(known.days))
    look(archive, WIRE, again)
    assert 0 < len(again.rows) < 7
    with archive.replacing():
        empty(archive, WIRE, again, archive.folder / "none")
    assert not [one for one in ("S-SECRET", "M-SECRET", KEY) if one in on_disk(archive)]
    assert len(rows_of(archive, there)) == len(there.held)


def test_the_archiver_goes_on_with_the_handle_that_it_has(archive, there, tmp_path):
    other = Archive.open(tmp_path)
    forget(other)
    archive.append([there.event("referral.v1", referral(received("01731"), "S-NEW"))], IDS, {})
    archive.tidy(36_500, date(2026, 3, 2))  # which puts small files together
    assert len(rows_of(archive, there)) == len(there.held)
    assert sum(row["twice"] for _topic, row in _offsets(archive, [])) == 0
    assert "S-SECRET" not in on_disk(archive)


def test_only_one_replaces_files(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(archive_module, "_LOOK_AGAIN_S", 0.01)
    with Archive.open(tmp_path).replacing(), pytest.raises(HubError, match="ARCHIVE_UNAVAILABLE"):
        archive.tidy(36_500, date(2026, 3, 2))
    with Archive.open(tmp_path).replacing(), pytest.raises(HubError, match="ARCHIVE_UNAVAILABLE"), archive.replacing(0.05):
        pass


def test_what_is_forgotten_is_not_taken_for_another_record_of_the_topic(archive):
    """Else the archiver would say that Kafka lost the end of the topic."""
    asked = {("referral.v1", 0): 2}  # the slip itself
    assert archive.checksums(asked, IDS)
    forget(archive)
    assert archive.checksums(asked, IDS) == {}


def test_a_body_in_the_raw_store_goes_from_both_of_its_places(tmp_path):
    there, store = Topics(), tmp_path / "data"
    archive = Archive.made(tmp_path / "archive")
    message = received("01731", raw=b"", raw_ref="large")
    one, two = there.event("message-received.v1", message), there.event("referral.v1", referral(message, "S-SECRET"))
    store.mkdir()
    (store / "large").write_bytes(b"SEN")
    archive.keep_raw(store, "large")
    archive.append([one], IDS, {("message-received.v1", 0, 0): "large"})
    archive.append([two], IDS, {})
    with archive.replacing():
        empty(archive, WIRE, traces_of(archive), store)
    assert not [*store.iterdir(), *(archive.folder / "raw").iterdir()]
    assert not list(archive.select("raw_ref", archive.files(), "raw_ref <> ''"))


def test_what_cannot_be_decoded_goes_whole(tmp_path):
    there, archive = Topics(), Archive.made(tmp_path)
    archive.append([there.put("referral.v1", KEY, b"SEN is no Avro")], IDS, {})
    assert forget(archive) == 1
    [[left]] = archive.records("referral.v1", IDS["referral.v1"], 0)
    assert (left.key(), left.value()) == (None, None)


def test_all_cases_of_a_patient_are_found_by_the_number_that_the_facility_gave_whoever_tells_of_them(tmp_path):
    there, archive = Topics(), Archive.made(tmp_path)

    def case_of(facility, slip, kind="MRN", number="BN-7", issuer="VN-CSKCB-01731"):
        identifiers = [{"type": kind, "value": number, "issuer": issuer}]
        there.event(
            "referral.v1", referral(received(facility), slip) | {"person": {"ho_ten": "BN-7", "identifiers": identifiers}}
        )
        return KEYRING.key(facility, slip, test=False)

    wanted = {case_of("01731", "A"), case_of("01731", "B", issuer=""), case_of("01021", "C")}
    case_of("01731", "D", kind="PASSPORT"), case_of("01021", "E", issuer=""), case_of("01731", "F", number="BN-71")
    archive.append(there.held, IDS, {})
    assert keys_of_patient(archive, WIRE, "01731", "BN-7") == wanted


ALLOWED = {
    "message": {"facility", "sender", "transport", "format", "message_type", "dialect", "dialect_version", "verdict", "ack", "code", "severity", "path", "topic"},
    "event": {"facility", "rule", "action", "status", "verdict", "stated_at"},
    "delivery": {"facility", "rule", "recipient", "subject_record", "subject_topic", "lane", "stated_at", "subject_event_id"},
    "dead-letter": {"stage", "code", "topic", "detail", "state"},
}  # fmt: skip


def texts(value, name=""):
    """Field and text of all that a record says."""
    if isinstance(value, dict):
        return {one for field, part in value.items() for one in texts(part, field)}
    if isinstance(value, list):
        return {one for part in value for one in texts(part, name)}
    return {(name, str(value))} if isinstance(value, (str, bytes)) and value not in ("", b"") else set()


@pytest.mark.parametrize("record", sorted(name for name in KINDS if name not in ("hie.Receipt", "hie.AuditEvent")))
def test_of_every_kind_of_record_what_is_left_can_be_written_and_is_what_the_books_count(record):
    full = example(schema(record), {})
    id = str(uuid.UUID(int=7))
    if "meta" in full:
        full["meta"] |= {"event_id": id, "message_id": id, "causes": [id]}
    left = decode(record, encode(record, emptied(record, full)))
    said = {name for name, text in texts(left) if text != id and "Việt" in text}
    assert said - {"event_id", "message_id", "id"} <= ALLOWED[KINDS[record]]
    assert not left.get("meta", {}).get("key")
