"""Slips and papers of claims to the citizen's app on real servers: from a hospital's message to the portal's own word, by way of the
work list."""

import json
import os
import signal

import httpx
import pytest

from adapters.dialects.render import as_xml
from adapters.outbound.portal_simulator import SimulatedPortal
from hub.cli.worklist import worklist
from hub.contract.places import shipped
from hub.services import address, facts_of
from tests.demo_claims import ehc
from tests.papers import claim
from tests.test_journey import hie
from tests.whole_hub import Hub

DISTRICT, PROVINCE = "01021", "01004"
SLIPS = 20
SAMPLE = next(shipped("seeds/demo").glob("04-*.hl7")).read_text("utf-8").replace("\n", "\r")
WHOLE = "OBX|7|ST|VN-TTDV||000007/HNO-CCHN||||||F\rOBX|8|TX|VN-CKDV||MIIBsignature||||||F\r"


def slip(number, *, whole=True, trigger="I12", diagnosis="E11.9"):
    """A referral of the sample's patient; not whole: without the head of the facility and the organisation's signature."""
    text = SAMPLE.replace("GCT-2611-031", f"GCT-P-{number}").replace("SCT-2611-31", f"SCT-{number}~HS-{number}^SO_HOSO")
    text = text.replace("REF^I12", f"REF^{trigger}").replace("DEMO-04", f"P{trigger}{number}").replace("E11.9", diagnosis)
    text = text.replace("|20261123104000||REF", f"|202611231{1 if trigger == 'I13' else 0}4000||REF")
    return text.replace("PV1|1|", f"{WHOLE}PV1|1|" if whole else "PV1|1|").encode()


@pytest.fixture(scope="module")
def portal():
    with SimulatedPortal({DISTRICT, PROVINCE, "01731"}) as one:
        yield one


@pytest.fixture(scope="module")
def hub(tmp_path_factory, portal):
    path = portal.file(tmp_path_factory.mktemp("portal"), calls_per_s=200.0)
    with Hub(tmp_path_factory.mktemp("hub"), portal=path) as running:
        yield running


def of_portal(hub):
    """State to how many deliveries to the portal are in it, as the books have it."""
    rows = hub.sql("select state, count(*) from journal_delivery where recipient = 'portal' group by state")
    return {row[0]: row[1] for row in rows}


def test_what_lacks_a_field_is_listed_mended_and_taken_and_the_books_close(hub, portal):
    """Three of five slips lack something, as in the field; one tells of HIV; the service that sends is killed on the way."""
    faulty = [number for number in range(SLIPS) if number % 5 < 3]
    for number in range(SLIPS):
        assert hub.town.send(slip(number, whole=number not in faulty))["ack"] == "AA"
    assert hub.town.send(slip("HIV", diagnosis="B20"))["ack"] == "AA"
    hub.wait(lambda: of_portal(hub).get("ACKNOWLEDGED") == SLIPS - len(faulty) and of_portal(hub).get("HELD") == len(faulty))

    done = hie(hub, "worklist", "list", DISTRICT, "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["counts"]) == (1, {"FIELD_MISSING": len(faulty)})
    assert {(one["code"], one["element"]) for row in found["slips"] for one in row["reasons"]} == {
        ("FIELD_MISSING", "XML13/MA_TTDV"),
        ("SLIP_UNSIGNED", "XML13/DU_PHONG"),
    }
    assert found["arrival"]["with_list"] == found["arrival"]["without_list"] == 0.4
    inbox = "http://{}:{}".format(*address(hub.settings, "mailbox", "inbox_port"))
    own = httpx.get(f"{inbox}/v1/worklist/{DISTRICT}").json()
    assert {one["slip"] for one in own["slips"]} == {f"GCT-P-{number}" for number in faulty}
    assert httpx.get(f"{inbox}/v1/worklist/{PROVINCE}").json()["slips"] == []

    portal.down = True
    for number in faulty:
        assert hub.town.send(slip(number, trigger="I13"))["ack"] == "AA"
    hub.wait(lambda: of_portal(hub).get("DISCARDED") == len(faulty))
    os.kill(int(facts_of(hub.settings, "mailbox")["pid"]), signal.SIGKILL)
    portal.down = False
    hub.wait(lambda: of_portal(hub).get("ACKNOWLEDGED") == SLIPS)

    books = hub.settled()
    assert books.close, books.text()
    assert of_portal(hub) == {"ACKNOWLEDGED": SLIPS, "DISCARDED": len(faulty)}
    assert {len(files) for files in portal.taken.values()} == {1}
    assert {number for _facility, number in portal.taken} == {f"GCT-P-{number}" for number in range(SLIPS)}
    assert dict(portal.refused) == {}
    rates = worklist(hub.settings)["arrival"]
    assert (rates["slips"], rates["without_list"], rates["with_list"]) == (SLIPS, 0.4, 1.0)
    held = hub.sql("select count(*) from journal_delivery where recipient = '' and rule = 'nobody-held-sensitive'")
    assert held == [(1,)]
    done = hie(hub, "worklist", "list")
    assert done.returncode == 0 and "1 more held by rule" in done.stdout  # it is nobody's turn
    done = hie(hub, "worklist", "held", DISTRICT)
    [row] = json.loads(hie(hub, "worklist", "held", "--json").stdout)["held"]
    assert done.returncode == 0 and f"Referral of {DISTRICT}" in done.stdout and "Thông tin được bảo vệ" in done.stdout
    assert f"hie trace {row['event_id']}" in done.stdout and "GCT-P-HIV" not in done.stdout
    assert "0 held by rule" in hie(hub, "worklist", "held", PROVINCE).stdout
    story = " ".join(hie(hub, "trace", row["event_id"]).stdout.split())
    assert "nobody-held-sensitive" in story and "Thông tin được bảo vệ" in story


def test_what_a_person_decides_is_kept_in_the_audit_topic(hub, portal):
    for name in ("DROP", "SEND"):
        assert hub.town.send(slip(name, whole=False))["ack"] == "AA"
    hub.wait(lambda: len(worklist(hub.settings)["slips"]) == 2)
    ids = {one["slip"]: str(one["delivery_id"]) for one in worklist(hub.settings)["slips"]}
    assert hie(hub, "worklist", "drop", ids["GCT-P-DROP"], "--reason", "handed over on paper").returncode == 0
    assert hie(hub, "worklist", "drop", ids["GCT-P-DROP"], "--reason", "again").returncode == 2
    assert hie(hub, "worklist", "send", ids["GCT-P-SEND"], "--reason", "the head of the facility is away").returncode == 0
    hub.wait(lambda: of_portal(hub).get("REFUSED") == 1)  # a person may send it, and the portal still has its own say
    assert dict(portal.refused) == {"Thiếu MA_TTDV": 1}
    [row] = worklist(hub.settings)["slips"]
    assert (row["slip"], row["portal_says"]) == ("GCT-P-SEND", "Thiếu MA_TTDV")
    actions = hub.sql("select action, count(*) from journal_event where record = 'hie.AuditEvent' group by action")
    assert {action: count for action, count in actions if action.startswith("worklist")} == {
        "worklist-drop": 1,
        "worklist-send": 1,
    }
    status = json.loads(hie(hub, "status", "--json").stdout)["portal"]
    assert (status["waiting"], status["held_or_refused"]) == (0, 1)


def test_discharge_papers_and_treatment_summaries_of_claims_go_the_same_way(hub, portal):
    """By envelope and by EHC; one lacks a doctor and a signature and is sent again, one tells of HIV."""
    before, listed = of_portal(hub), {one["ma_lk"] for one in worklist(hub.settings)["slips"]}
    taken, refused = set(portal.taken), dict(portal.refused)

    def send(ma_lk, **changed):
        assert hub.town.send(as_xml("hie.Claim", claim(ma_lk, **changed)))["ack"] == "AA"

    send("LK-P-1")
    assert hub.town.send(ehc(claim("LK-P-2"), "HIS", DISTRICT, "P-EHC"))["ack"] == "AA"
    send("LK-P-3", xml7={"ma_bs": "", "du_phong": ""})
    send("LK-P-HIV", xml1={"ma_benh_kt": "B20"})
    send("LK-P-4", xml7={"du_phong": ""})
    hub.wait(lambda: of_portal(hub).get("HELD", 0) == before.get("HELD", 0) + 2)
    found = {one["ma_lk"]: one for one in worklist(hub.settings)["slips"] if one["ma_lk"] not in listed}
    named = {ma_lk: [(each["code"], each["element"]) for each in one["reasons"]] for ma_lk, one in found.items()}
    unsigned = ("SLIP_UNSIGNED", "XML7/DU_PHONG")
    assert named == {"LK-P-3": [("FIELD_MISSING", "XML7/MA_BS"), unsigned], "LK-P-4": [unsigned]}
    assert "XML7, XML8 of LK-P-3" in hie(hub, "worklist", "list", DISTRICT).stdout

    send("LK-P-3", stated_at="20260624")
    send("LK-P-4", action="CANCELLED", stated_at="20260624", xml1={"ma_doituong_kcb": "8"})
    hub.wait(lambda: of_portal(hub).get("ACKNOWLEDGED") == before["ACKNOWLEDGED"] + 3)
    books = hub.settled()
    assert books.close, books.text()
    assert set(portal.taken) - taken == {(DISTRICT, f"LK-P-{number}") for number in (1, 2, 3)}
    assert dict(portal.refused) == refused
    assert of_portal(hub)["DISCARDED"] == before["DISCARDED"] + 3  # what was corrected, what was cancelled, and its cancellation
    assert {one["ma_lk"] for one in worklist(hub.settings)["slips"]} == listed
    held = hub.sql("select count(*) from journal_delivery where recipient = '' and rule = 'nobody-held-sensitive'")
    assert held == [(2,)]  # with the slip of the first test
