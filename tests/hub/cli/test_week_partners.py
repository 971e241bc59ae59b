"""The recipients of the simulated week keep lists that the accounts can believe."""

import socket
from datetime import UTC, datetime

import pytest

from adapters.dialects.profile import dialect_for
from adapters.dialects.render import as_hl7
from adapters.formats.mllp import encode
from adapters.outbound.mllp_push import acknowledgement
from hub.cli.week_partners import Listener, seen
from hub.week.sends import Expect

AT = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


@pytest.fixture
def laboratory():
    listener = Listener("01940")
    listener.start()
    yield listener
    listener.stop()


def test_a_laboratory_answers_each_order_by_its_own_id_and_lists_it_once(laboratory):
    order = {"action": "PLACED", "placer": "DL17", "ma_cskcb": "01021", "performer": "01940", "person": {}, "meta": {}}
    raw = as_hl7("hie.LabOrder", order, dialect_for("01940"), now=AT, control_id="C1", receiving_facility="01940")
    with socket.create_connection(("127.0.0.1", laboratory.port), timeout=10) as link:
        for _ in range(2):
            link.sendall(encode(raw))
            assert acknowledgement(link.recv(65536).strip(b"\x0b\x1c\r")) == ("AA", "C1")
    assert list(laboratory.got.values()) == [Expect("01940", "LabOrder", "", "DL17")]


@pytest.mark.parametrize(
    ("record", "body", "told"),
    [
        ("hie.Referral", {"action": "ISSUED", "ma_cskcb": "01021", "slip": "CT-1"}, ("Referral", "ISSUED", "01021/CT-1")),
        ("hie.Referral", {"action": "ISSUED", "ma_cskcb": "01021", "ma_lk": "LK"}, ("Referral", "ISSUED", "01021/LK")),
        ("hie.LabResult", {"status": "C", "filler": "XN-1", "ma_cskcb": "01940"}, ("LabResult", "C", "XN-1")),
        (
            "hie.ClaimDecision",
            {"verdict": "ACCEPTED", "ma_cskcb": "01021", "ma_lk": "LK"},
            ("ClaimDecision", "ACCEPTED", "01021/LK"),
        ),
    ],
)
def test_what_a_delivery_is_follows_from_its_body(record, body, told):
    assert seen("01004", record, body) == Expect("01004", *told)
