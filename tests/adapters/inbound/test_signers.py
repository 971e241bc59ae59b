"""Whose signatures are looked at, and what becomes of an envelope whose signature is not what it should be."""

import pytest

from adapters.formats.claim_xml import write
from adapters.inbound import signers as signers_module
from adapters.inbound.received import Received
from adapters.inbound.signers import Signers
from adapters.inbound.translate import translate, translate_file
from hub.contract.claim_tables import tables
from hub.contract.errors import HubError
from hub.contract.events import Keyring, decode, encode
from tests.signing import AT, Owner

OWNER = Owner("01004")
ENVELOPE = write([{"XML1": [{"MA_LK": "LK1", "MA_CSKCB": "01004"}]}], tables(), ma_cskcb="01004", ngaylap="20261123", nested=True)
SIGNED = OWNER.sign(ENVELOPE)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "01004.pem").write_bytes(Owner("other").pem + OWNER.pem)
    (tmp_path / "README").write_text("not a certificate")
    return tmp_path


def outcome(raw, signers):
    done = translate(Received(raw, AT, "http"), Keyring(b"0" * 16), signers=signers)
    told = [(problem.code, problem.severity.value) for problem in done.problems if problem.code.startswith("SIGNATURE")]
    kept = decode("hie.MessageReceived", encode("hie.MessageReceived", done.message))["signature"]
    return done.verdict, kept, told, [event["meta"]["source"].get("signature", "") for _, event in done.events]


CHANGED = SIGNED.replace(b"<NGAYLAP>20261123", b"<NGAYLAP>20261124")


@pytest.mark.parametrize(
    ("raw", "state"),
    [(SIGNED, "VALID"), (ENVELOPE, "MISSING"), (CHANGED, "WRONG"), (Owner("third").sign(ENVELOPE), "UNTRUSTED")],
)
def test_it_is_told_and_noted_on_message_and_event_and_refuses_only_where_one_is_required(folder, raw, state):
    code = f"SIGNATURE_{state}"
    told = [] if state == "VALID" else [(code, "W")]
    assert outcome(raw, Signers.open(folder)) == ("translated", state, told, [state])
    refused = ("refused", state, [(code, "E")], [])
    assert outcome(raw, Signers.open(folder, required=True)) == (refused if told else ("translated", state, [], [state]))


def test_without_a_certificate_of_the_facility_nothing_is_looked_at_unless_one_is_required(folder):
    assert outcome(CHANGED, Signers.open(None)) == ("translated", "", [], [""])
    foreign = ENVELOPE.replace(b"01004", b"01021")
    assert outcome(foreign, Signers.open(folder))[0] == "translated"
    assert outcome(SIGNED, Signers.open(None, required=True))[:2] == ("refused", "UNTRUSTED")


def test_an_envelope_that_names_no_facility_borrows_no_signature(folder):
    raw = OWNER.sign(ENVELOPE.replace(b"<MACSKCB>01004</MACSKCB>", b""))
    assert outcome(raw, Signers.open(folder))[1] == ""
    assert outcome(raw, Signers.open(folder, required=True))[:2] == ("refused", "UNTRUSTED")


def test_the_signature_is_no_part_of_the_claim(folder):
    ids = {
        translate(Received(raw, AT, "http"), Keyring(b"0" * 16), signers=signers).message["events"][0]["event_id"]
        for raw, signers in ((SIGNED, Signers.open(folder)), (SIGNED, Signers()), (ENVELOPE, Signers.open(folder)))
    }
    assert len(ids) == 1


def test_a_file_is_judged_in_a_process_of_its_own_and_just_the_same(folder, tmp_path):
    signers = Signers.open(folder)
    for name, raw in (("good", SIGNED), ("bad", CHANGED)):
        (tmp_path / name).write_bytes(raw)
        assert signers.judge_file(tmp_path / name, "01004", AT) == signers.judge(raw, "01004", AT)
    with pytest.raises(HubError, match="OVERLOADED"):
        signers.judge_file(tmp_path / "none", "01004", AT)


def test_a_file_that_can_never_be_judged_is_quarantined_and_not_asked_for_again(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(signers_module, "_FILE_MEMORY_MAX", 1024 * 1024)
    (tmp_path / "large").write_bytes(SIGNED + b"\n" * 16 * 1024 * 1024)
    with pytest.raises(HubError, match="TRANSLATION_FAILED") as never:
        Signers.open(folder).judge_file(tmp_path / "large", "01004", AT)
    assert not never.value.retriable
    received, taken = Received(b"", AT, "folder"), []
    done = translate_file(
        received, tmp_path / "large", "0" * 64, Keyring(b"0" * 16), Signers.open(folder), lambda *one: taken.append(one)
    )
    assert (done.verdict, done.problems[-1].code, taken) == ("quarantined", "TRANSLATION_FAILED", [])


@pytest.mark.parametrize(("name", "content"), [("clinic.pem", OWNER.pem), ("01021.pem", b"no certificate")])
def test_a_folder_with_something_wrong_in_it_is_told(folder, name, content):
    (folder / name).write_bytes(content)
    with pytest.raises(HubError, match="SETTING_WRONG"):
        Signers.open(folder)


def test_a_folder_that_is_not_there_is_told(folder):
    with pytest.raises(HubError, match="SETTING_WRONG"):
        Signers.open(folder / "none")
