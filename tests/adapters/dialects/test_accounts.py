"""PID-18: the number of a visit, or a citizen number, which is no key."""

from datetime import UTC, datetime

import pytest

from adapters.dialects.mapped import Context, Mapped
from adapters.dialects.mapping import map_message
from adapters.dialects.profile import Dialect, compile_text, load_dialect
from adapters.formats.hl7v2 import parse
from hub.contract.errors import Severity
from hub.contract.events import Keyring, Origin

ORIGIN = Origin("8f14e45f-0000-5000-8000-000000000000", datetime(2026, 11, 23, 1, 5, tzinfo=UTC), {"sender": "local"})
CITIZEN = "001190012345"


def read(number: str, born: str, *, visit: str = "", sent: str = "20261123080500", dialect: Dialect | None = None) -> Mapped:
    rows = (
        f"MSH|^~\\&|H|01021|H|HUB|{sent}||ADT^A04|1|P|2.5.1",
        f"PID|1||BN1^^^^MR||Lê^Hoa||{born}|F" + "|" * 10 + number,
        "PV1|1|O" + "|" * 17 + visit,
    )
    context = Context(ORIGIN, Keyring(b"golden-secret-16"), "01021")
    return map_message(parse("\r".join(rows)), dialect or load_dialect("_standard"), context)


@pytest.mark.parametrize(
    ("number", "born", "taken"),
    [
        (CITIZEN, "19900102", False),
        (CITIZEN, "02/01/1990", False),
        (CITIZEN, "", False),
        (CITIZEN, "19850102", False),  # the birthday may have been corrected: better told than a key
        ("001.190.012.345", "19900102", False),
        ("001 190 012345", "", False),
        ("000190012345", "19900102", True),  # no such province
        ("202611230001", "19900102", True),
        ("001690012345", "19900102", True),  # born in 2290
        ("0011900123", "19900102", True),
        ("010212611001", "19900102", True),  # facility 01021, 2026, 11: its year is another than that of the birth
        ("010212611001", "", True),
        ("010042611001", "", False),  # the code of another facility says nothing: it is a man of 1926 too
        ("011126000001", "19900102", True),  # 01/11/26
        ("011126000001", "", True),
        ("011126000001", "19260102", False),  # the birthday says so too
        ("011219000001", "19900102", True),  # 01/12/19: a message that comes years behind its visit
        ("011205000001", "19900102", False),  # 01/12/05: no message comes as late
        ("011220260001", "19900102", True),  # 01/12/2026
        ("011220260001", "", True),
    ],
)
def test_a_citizen_number_in_pid_18_is_no_visit(number: str, born: str, taken: bool) -> None:
    found = read(number, born)
    [(_, event)] = found.events
    assert event.get("ma_lk", "") == (number if taken else "")
    assert number not in str(event["meta"]), "nor is it kept beside the event"
    told = {(one.code, one.path) for one in found.problems if one.severity is Severity.WARNING}
    assert (("VISIT_IS_CITIZEN_NUMBER", "PID-18") in told, ("KEY_MISSING", "PV1-19") in told) == (not taken, not taken)


@pytest.mark.parametrize("sent", ["23/11/2026 08:00", "2026-11-23", "23112026"])
def test_the_year_of_the_message_is_known_in_any_form_of_msh_7(sent: str) -> None:
    assert read("011126000001", "", sent=sent).events[0][1]["ma_lk"] == "011126000001"
    assert read("001290012345", "", sent=sent).events[0][1]["ma_lk"] == "001290012345", "nobody was born in 2090 yet"


@pytest.mark.parametrize("visit", ["", "RECEIPT-1"])
def test_where_it_is_asked_for_first_nothing_stands_in_for_a_refused_one(visit: str) -> None:
    first = compile_text("mine", 'extends = "_standard"\nversion = "1"\n[encounter]\nma_lk = ["PID-18", "PV1-19"]\n')
    [(_, refused)] = read(CITIZEN, "", visit=visit, dialect=first).events
    assert "ma_lk" not in refused
    [(_, empty)] = read("", "", visit=visit, dialect=first).events
    assert empty.get("ma_lk", "") == visit


def test_a_visit_of_its_own_is_taken_before_it_and_a_transform_still_applies() -> None:
    assert read(CITIZEN, "", visit="LK1").events[0][1]["ma_lk"] == "LK1"
    rows = '[encounter]\nma_lk = { from = "PID-18", as = "number_not_zero" }\n'
    careful = compile_text("mine", f'extends = "_standard"\nversion = "1"\n{rows}')
    assert "ma_lk" not in read("000", "", dialect=careful).events[0][1]
    assert read("LK7", "", dialect=careful).events[0][1]["ma_lk"] == "LK7"
