"""Discharge papers and treatment summaries on their way to the app: checked, sent behind an XML1 of the person, listed, sent corrected."""

from datetime import date
from uuid import UUID

import pytest
from psycopg import AsyncConnection

from adapters.dialects.render import as_xml
from adapters.formats.claim_xml import Reader
from adapters.outbound import worklist
from adapters.outbound.portal_calls import read_portal
from adapters.outbound.portal_check import Reason, check
from adapters.outbound.portal_client import PortalClient, put_back
from adapters.outbound.portal_simulator import SimulatedPortal
from hub.contract.claim_tables import tables
from hub.contract.events import decode, encode, now
from tests.adapters.outbound.test_portal_client import deliver, drain, draining, reasons, receipts, run, settled, states, until
from tests.adapters.outbound.test_worklist import ask
from tests.papers import papers
from tests.slips import CARD, DISTRICT, PROVINCE, referral

TODAY = date(2026, 6, 24)
LATER = "20260624080000"


def found(**changed):
    """The reasons, of the event as the mailbox holds it: every field there, absent ones empty."""
    part = decode("hie.Claim", encode("hie.Claim", papers("LK-1", **changed)))
    return [(one.code, one.element) for one in check("hie.Claim", part, TODAY)]


def hoso(part):
    [one] = Reader(as_xml("hie.Claim", part), {name: list(table) for name, table in tables().items()})
    return one


# --- the check --------------------------------------------------------------------------------------------------------


def test_nothing_is_wrong_with_whole_papers():
    assert found() == []
    assert found(xml7=None, xml8={"tomtat_kq": "HbA1c 10,4 %"}) == []


def required(table):
    left_out = {"TOMTAT_KQ", "NGAY_SINHCON", "NGAY_CONCHET", "MA_LK"}
    return [name for name, one in tables()[table].items() if one.required == "y" and name not in left_out]


@pytest.mark.parametrize("element", required("XML7"))
def test_a_field_that_the_discharge_paper_lacks_is_named(element):
    assert ("FIELD_MISSING", f"XML7/{element}") in found(xml7={element.lower(): ""})


@pytest.mark.parametrize("element", required("XML8"))
def test_a_field_that_the_treatment_summary_lacks_is_named(element):
    assert ("FIELD_MISSING", f"XML8/{element}") in found(xml8={element.lower(): ""})


@pytest.mark.parametrize(
    "element", ["MA_BN", "HO_TEN", "NGAY_SINH", "GIOI_TINH", "NGAY_VAO", "NGAY_RA", "MA_BENH_CHINH", "MA_CSKCB"]
)
def test_a_field_that_tells_whose_they_are_is_named_too(element):
    assert ("FIELD_MISSING", f"XML1/{element}") in found(xml1={element.lower(): ""})


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"xml7": {"du_phong": ""}}, ("SLIP_UNSIGNED", "XML7/DU_PHONG")),
        ({"xml8": {"du_phong": ""}}, ("SLIP_UNSIGNED", "XML8/DU_PHONG")),
        ({"signature": "WRONG"}, ("SIGNATURE_WRONG", "CHUKYDONVI")),
        ({"signature": "UNTRUSTED"}, ("SIGNATURE_UNTRUSTED", "CHUKYDONVI")),
        ({"xml1": {"ma_the_bhyt": "", "gt_the_den": "", "so_cccd": ""}}, ("IDENTITY_MISSING", "XML1/MA_THE_BHYT")),
        ({"xml1": {"so_cccd": "00118000432"}}, ("IDENTITY_MALFORMED", "XML1/SO_CCCD")),
        ({"xml1": {"ma_the_bhyt": "BN4521"}}, ("IDENTITY_MALFORMED", "XML1/MA_THE_BHYT")),
        ({"xml1": {"ngay_sinh": "19810720"}}, ("IDENTITY_MISMATCH", "XML1/NGAY_SINH")),
        ({"xml1": {"ma_the_bhyt": "001180004322"}}, ("IDENTITY_MISMATCH", "XML1/MA_THE_BHYT")),
        ({"xml1": {"ma_benh_chinh": "Đái tháo đường"}}, ("CODE_UNKNOWN", "XML1/MA_BENH_CHINH")),
        ({"xml1": {"ma_cskcb": PROVINCE}}, ("FACILITY_NOT_ENTITLED", "XML1/MA_CSKCB")),
        ({"xml7": {"ma_lk": "LK-2"}}, ("IDENTITY_MISMATCH", "XML7/MA_LK")),
        ({"xml8": {"ngay_vao": "202606210730"}}, ("DATES_CONTRADICT", "XML8/NGAY_VAO")),
        ({"xml7": {"ngay_ct": "20260624"}}, ("DATES_CONTRADICT", "XML7/NGAY_CT")),
        ({"xml8": {"ngay_ct": "24/06/2026"}}, ("TIME_UNPARSABLE", "XML8/NGAY_CT")),
        ({"xml8": {"ket_qua_dtri": "9"}}, ("CODE_UNKNOWN", "XML8/KET_QUA_DTRI")),
    ],
    ids=lambda case: str(case)[:60],
)
def test_each_thing_that_stops_them_is_named_with_its_table(changed, reason):
    assert found(**changed) == [reason]


def test_a_signature_of_the_whole_claim_that_holds_is_no_matter():
    assert found(signature="VALID") == []


def test_older_papers_need_no_signature():
    stay = {"ngay_vao": "202605200730", "ngay_ra": "202605231040"}
    paper = stay | {"ngay_ct": "20260523", "du_phong": ""}
    assert found(xml1=stay, xml7=paper, xml8=paper) == []


def test_what_is_no_number_is_named_and_not_left_out_silently():
    part = papers()
    part["meta"]["unparsed"] = {"XML7[1]/SO_NGAY_NGHI": "ba"}
    assert check("hie.Claim", part, TODAY) == [Reason("NUMBER_UNPARSABLE", "XML7[1]/SO_NGAY_NGHI")]


def test_of_two_papers_of_one_kind_the_reason_says_which():
    part = papers("LK-1")
    part["xml7"] = [part["xml7"][0], part["xml7"][0] | {"ma_bs": ""}]
    assert check("hie.Claim", part, TODAY) == [Reason("FIELD_MISSING", "XML7[2]/MA_BS")]


@pytest.mark.parametrize(
    "changed",
    [
        {"xml1": {"ma_benh_chinh": "B24"}},
        {"xml1": {"ma_benh_kt": "I10;Z21"}},
        {"xml7": {"pp_dieutri": "Phác đồ TDF/3TC/dolutegravir", "ma_bs": ""}},
        {"xml8": {"tomtat_kq": "Test nhanh HIV: âm tính"}},
        {"xml7": {"ma_dinh_chi_thai": "1"}},
    ],
    ids=str,
)
def test_what_is_protected_is_held_whatever_else_is_wrong(changed):
    assert found(**changed) == [("SENSITIVE_HELD", "")]


# --- sent -------------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _empty(request):
    if "database" in request.fixturenames:
        request.getfixturevalue("database").execute("truncate portal_document")


@pytest.fixture
def portal(tmp_path):
    with SimulatedPortal({DISTRICT, PROVINCE}) as one:
        one.path = one.file(tmp_path, calls_per_s=1000.0)
        yield one


def test_the_file_is_both_papers_behind_what_tells_whose_they_are():
    one = hoso(papers("LK-1"))
    assert (one.ma_cskcb, one.ngaylap, list(one.tables)) == (DISTRICT, "20260623", ["XML1", "XML7", "XML8"])
    [whose] = one.tables["XML1"]
    assert whose["HO_TEN"] == "TRẦN THỊ MAI"
    assert not [name for name, text in whose.items() if text and (name.startswith("T_") or name == "DIA_CHI")]
    assert one.tables["XML7"][0]["SO_NGAY_NGHI"] == "3"
    assert as_xml("hie.Claim", papers("LK-1")) == as_xml(
        "hie.Claim", papers("LK-1", stated_at=LATER)
    )  # a newer claim, the same papers


def test_whole_papers_are_acknowledged_by_the_portals_own_word(database, own_settings, wire, portal):
    [one] = drain(database, own_settings, wire, portal.path, papers("LK-1"))
    assert receipts(database, one) == [("ACKNOWLEDGED", "", "portal")]
    assert (set(portal.taken), dict(portal.refused)) == ({(DISTRICT, "LK-1")}, {})


def test_what_would_be_refused_is_listed_and_the_corrected_claim_takes_its_place(database, own_settings, wire, portal):
    wrong = papers("LK-1", xml7={"ma_bs": "", "du_phong": ""}, xml8={"qt_benhly": ""})
    [one] = drain(database, own_settings, wire, portal.path, wrong)
    assert portal.taken == portal.refused == {}
    named = [
        ("FIELD_MISSING", "XML7/MA_BS"),
        ("SLIP_UNSIGNED", "XML7/DU_PHONG"),
        ("FIELD_MISSING", "XML8/QT_BENHLY"),
    ]
    assert reasons(database, one)[0] == named
    [row] = ask(own_settings, worklist.listed)
    shown = row.shown(wire)
    assert (shown["record"], shown["ma_lk"], shown["state"]) == ("hie.Claim", "LK-1", "HELD")
    assert [(each["code"], each["element"], each["turn"]) for each in shown["reasons"]] == [(*each, "facility") for each in named]
    assert all(each["text"] and each["text_vi"] for each in shown["reasons"])

    [other] = drain(database, own_settings, wire, portal.path, papers("LK-1", stated_at=LATER))
    assert receipts(database, one)[-1] == ("DISCARDED", "SUPERSEDED", "portal")
    assert receipts(database, other) == [("ACKNOWLEDGED", "", "portal")]
    assert ask(own_settings, worklist.counts) == {}
    arrived = ask(own_settings, worklist.arrival)
    assert (arrived.slips, arrived.at_once, arrived.corrected) == (1, 0, 1)


def test_what_the_check_does_not_know_the_portal_refuses_and_the_correction_is_taken(database, own_settings, wire, portal):
    portal.people = {CARD: ("TRẦN THỊ MẬN", "19800720")}
    [one] = drain(database, own_settings, wire, portal.path, papers("LK-1"))
    assert reasons(database, one)[:2] == ([("RECIPIENT_REFUSED", "maKetQua 202")], "060 Sai họ tên")
    [other] = drain(database, own_settings, wire, portal.path, papers("LK-1", stated_at=LATER, xml1={"ho_ten": "TRẦN THỊ MẬN"}))
    assert states(database) == {one: ("REFUSED", "RECIPIENT_REFUSED"), other: ("ACKNOWLEDGED", "")}
    assert ask(own_settings, worklist.counts) == {}


@pytest.mark.parametrize(
    ("changed", "ground"),
    [
        ({"xml7": {"ma_bs": ""}}, "Thiếu XML7/MA_BS"),
        ({"xml8": {"chan_doan_vao": ""}}, "Thiếu XML8/CHAN_DOAN_VAO"),
        ({"xml7": {"du_phong": ""}}, "Thiếu chữ ký số của đơn vị"),
        ({"xml8": {"ngay_ra": "202606220900"}}, "Sai XML8/NGAY_RA"),
        ({"xml1": {"ho_ten": ""}}, "Thiếu XML1/HO_TEN"),
        ({"xml1": {"ma_the_bhyt": "", "gt_the_den": "", "so_cccd": ""}}, "Thiếu MA_THE_BHYT, SO_CCCD"),
    ],
    ids=lambda case: str(case)[:50],
)
def test_the_portal_has_its_own_say_of_what_a_person_sends_all_the_same(database, own_settings, wire, portal, changed, ground):
    """What the check holds, the portal refuses too: neither is a rubber stamp."""
    [one] = drain(database, own_settings, wire, portal.path, papers("LK-1", **changed))
    assert states(database)[one][0] == "HELD"
    ask(own_settings, lambda connection: put_back(connection, [UUID(one)], forced=True))
    run(_until_settled(database, own_settings, wire, portal))
    assert (states(database)[one][0], reasons(database, one)[1], portal.taken) == ("REFUSED", ground, {})


async def _until_settled(database, settings, wire, portal):
    async with draining(settings, wire, portal.path):
        await until(lambda: settled(database))


def test_a_claim_corrected_elsewhere_is_the_same_file_to_the_portal(database, own_settings, wire, portal):
    ids = drain(database, own_settings, wire, portal.path, papers("LK-1"))
    ids += drain(database, own_settings, wire, portal.path, papers("LK-1", stated_at=LATER, xml1={"dia_chi": "Số 2"}))
    assert [states(database)[one] for one in ids] == [("ACKNOWLEDGED", "")] * 2
    assert len(portal.taken[DISTRICT, "LK-1"]) == 1


def test_papers_of_a_claim_that_is_cancelled_before_they_went_are_never_sent(database, own_settings, wire, portal):
    gone = papers("LK-1", action="CANCELLED", stated_at=LATER)
    ids = drain(database, own_settings, wire, portal.path, papers("LK-1"), gone)
    assert [states(database)[one] for one in ids] == [("DISCARDED", "SUPERSEDED"), ("DISCARDED", "NOT_FOR_PORTAL")]
    ids = drain(database, own_settings, wire, portal.path, papers("LK-2", action="CANCELLED", stated_at=LATER))
    ids += drain(database, own_settings, wire, portal.path, papers("LK-2"))  # its cancellation came first
    assert [states(database)[one] for one in ids] == [("DISCARDED", "NOT_FOR_PORTAL"), ("DISCARDED", "SUPERSEDED")]
    assert portal.taken == {}


def test_papers_that_the_portal_has_are_taken_back_by_a_person(database, own_settings, wire, portal):
    drain(database, own_settings, wire, portal.path, papers("LK-1"))
    [one] = drain(database, own_settings, wire, portal.path, papers("LK-1", action="CANCELLED", stated_at=LATER))
    assert reasons(database, one)[0] == [("PORTAL_CANNOT_CANCEL", "")]


def test_protected_papers_are_held_whoever_wants_them_sent(database, own_settings, wire, portal):
    [one] = drain(database, own_settings, wire, portal.path, papers("LK-1", xml8={"pp_dieutri": "Tiếp tục ARV"}))
    assert states(database)[one] == ("HELD", "SENSITIVE_HELD")
    ask(own_settings, lambda connection: put_back(connection, [UUID(one)], forced=True))
    run(_until_settled(database, own_settings, wire, portal))
    assert (states(database)[one], portal.taken) == (("HELD", "SENSITIVE_HELD"), {})


def test_papers_of_a_test_claim_never_reach_the_real_portal(database, own_settings, wire, portal):
    trial = papers("LK-1")
    trial["meta"]["test"] = True
    drain(database, own_settings, wire, portal.path, trial, papers("LK-2"))
    assert database.execute("select recipient, state from mailbox order by seq, recipient").fetchall() == [
        ("portal", "ACKNOWLEDGED"),
        ("portal!test", "QUEUED"),
    ]
    assert set(portal.taken) == {(DISTRICT, "LK-2")}


def test_papers_wait_until_the_portals_owner_has_agreed_to_take_them(database, own_settings, wire, portal, tmp_path):
    ids = []

    async def work(path, count):
        ids.extend(await deliver(own_settings, wire, *([papers("LK-1"), referral("GCT-1")] if not ids else [])))
        async with draining(own_settings, wire, path):
            await until(lambda: [state for state, _code in states(database).values()].count("ACKNOWLEDGED") == count)

    run(work(portal.file(tmp_path, papers="false"), 1))
    assert [states(database)[one][0] for one in ids] == ["QUEUED", "ACKNOWLEDGED"]
    run(work(portal.file(tmp_path), 2))
    run(_until_settled(database, own_settings, wire, portal))
    assert [states(database)[one][0] for one in ids] == ["ACKNOWLEDGED", "ACKNOWLEDGED"]


def test_papers_that_wait_are_not_read_again_at_each_notice(database, own_settings, wire, portal, tmp_path):
    async def work():
        await deliver(own_settings, wire, papers("LK-1"), referral("GCT-1"), papers("LK-2"))
        async with draining(own_settings, wire, portal.file(tmp_path, papers="false")) as client:
            await until(lambda: client._floor == 3)
            await deliver(own_settings, wire, papers("LK-3"), referral("GCT-2"))
            await until(lambda: client._floor == 5)

    run(work())
    assert set(portal.taken) == {(DISTRICT, "GCT-1"), (DISTRICT, "GCT-2")}
    assert sorted(state for state, _code in states(database).values()) == ["ACKNOWLEDGED"] * 2 + ["QUEUED"] * 3


def test_nor_while_the_account_of_a_facility_rests_whose_slips_are_found_when_it_does_no_more(
    database, own_settings, wire, portal, tmp_path
):
    async def work():
        await deliver(own_settings, wire, papers("LK-1"), referral("GCT-1"), papers("LK-2"))
        client = PortalClient(own_settings, read_portal(portal.file(tmp_path, papers="false")), wire, None, None)
        url = own_settings.database_url.get_secret_value()
        async with await AsyncConnection.connect(url, autocommit=True) as connection:
            rests = [await client._found(connection, now(), without) for without in ({DISTRICT}, {DISTRICT, PROVINCE})]
            start, floor = client._start, client._floor
            return rests, start, floor, [slip.seq for slip in await client._found(connection, now(), {PROVINCE})]

    assert run(work()) == ([[], []], 3, 0, [2])


def test_papers_and_slips_of_one_stay_go_side_by_side(database, own_settings, wire, portal):
    ids = drain(database, own_settings, wire, portal.path, papers("LK-1"), referral("GCT-1"))
    assert [states(database)[one] for one in ids] == [("ACKNOWLEDGED", "")] * 2
    assert set(portal.taken) == {(DISTRICT, "LK-1"), (DISTRICT, "GCT-1")}
