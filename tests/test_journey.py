"""The main job end to end on real servers: the demo's story, then all of it again in every way that must change nothing."""

import base64
import json
import re
import subprocess
import sys

import httpx
import pytest

from adapters.dialects.render import as_xml
from hub.cli.demo import DISTRICT, PROVINCE, Story, sample
from hub.cli.running import keyring
from hub.contract.places import shipped
from hub.insurer.ledger import ledger_folder
from hub.insurer.views import opened
from hub.services import address
from hub.simulate import nation
from tests.personal import found_in
from tests.whole_hub import Hub


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with Hub(tmp_path_factory.mktemp("journey")) as running:
        yield running


@pytest.fixture(scope="module")
def told(hub):
    lines = []
    Story(hub.town, lambda step, proof: lines.append((step, proof))).tell()
    hub.settled()
    return lines


def hie(hub, *arguments):
    """The command as a person runs it."""
    return subprocess.run([sys.executable, "-m", "hub.cli", *arguments], capture_output=True, text=True, timeout=120, check=False)


def test_every_step_of_the_story_is_proved(told):
    assert [step for step, _ in told] == [
        "check-in", "order", "result", "referral", "acceptance", "arrival", "payer", "follow-up",
        "claim", "claim", "claim", "claim", "wrong claim", "correction", "resend", "refusal", "test traffic",
    ]  # fmt: skip


def test_the_books_close(hub, told):
    done = hie(hub, "reconcile")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("books close: yes")
    assert json.loads(hie(hub, "reconcile", "--json").stdout)["close"] is True


def test_a_referral_is_traced_from_its_bytes_to_the_last_receipt(hub, told):
    slip = next(row["body"]["slip"] for row in hub.town.inbox(PROVINCE) if row["record"] == "hie.Referral")
    done = hie(hub, "trace", f"{DISTRICT}/{slip}", "--json")
    assert done.returncode == 0, done.stderr
    story = done.stdout
    for word in (
        "ISSUED",
        "ACCEPTED",
        "ARRIVED",
        "referral-to-receiver",
        "referral-to-payer",
        "answer-to-issuer",
        "ACKNOWLEDGED",
    ):
        assert word in story, word


RECORDED = {
    "dft-p03-drug-service-supply": "nobody-charge",
    "rde-o11-two-drugs": "nobody-prescription",
    "mdm-t02-pdf": "nobody-document",
    "mfn-m02-practitioners": "nobody-catalogue",
    "oru-r01-resources": "nobody-resource",
}


def test_what_nobody_is_addressed_with_is_recorded_and_the_books_still_close(hub, told):
    before = hub.settled() and hub.sizes()
    for case in RECORDED:
        assert hub.town.send((shipped("seeds/messages/_standard") / f"{case}.hl7").read_bytes())["ack"] == "AA", case
    form = {"type": "resource-report", "ma_cskcb": PROVINCE, "reported_at": "2026-11-23T08:00:00+07:00"}
    form |= {"resources": [{"kind": "BED", "total": 350}], "control_id": "JOURNEY-JSON"}
    assert hub.town.send(json.dumps(form).encode())["verdict"] == "translated"
    hub.wait(lambda: hub.sizes()["deliveries"] == before["deliveries"] + 7)  # one entry of the catalogue is a message's second
    rules = hub.sql("select rule, count(*) from journal_delivery where recipient = '' group by 1")
    assert {rule: count for rule, count in rules if rule in RECORDED.values()} == {
        "nobody-charge": 1, "nobody-prescription": 1, "nobody-document": 1, "nobody-catalogue": 2, "nobody-resource": 2,
    }  # fmt: skip
    assert hub.settled().close
    assert hub.sizes()["mailbox"] == before["mailbox"]
    assert "nobody-resource" in hie(hub, "trace", "JOURNEY-JSON").stdout


def test_what_nobody_knows_is_not_found(hub, told):
    done = hie(hub, "trace", "no-such-id")
    assert done.returncode == 2
    assert "NOT_FOUND" in done.stderr


def test_a_delivery_reads_as_hl7_in_the_recipients_dialect(hub, told):
    rows = hub.town.inbox(PROVINCE, form="hl7")
    referral = next(row["body"] for row in rows if row["record"] == "hie.Referral")
    assert referral.startswith("MSH|^~\\&|")
    assert "REF^I12" in referral


def test_a_replay_of_everything_has_no_effect(hub, told):
    before = hub.settled() and hub.sizes()
    [(records,)] = hub.sql("select count(*) from journal_event where record = 'hie.Claim' and topic = 'claim.v1'")
    assert hie(hub, "replay", "--reason", "test: everything again").returncode == 0
    hub.wait(lambda: hub.sql("select count(*) from journal_event where record = 'hie.AuditEvent'")[0][0] >= 1)
    assert hub.settled().close
    assert hub.sizes() == before
    [(again,)] = hub.sql("select count(*) from journal_event where record = 'hie.Claim' and topic = 'claim.v1'")
    assert again == 2 * records, "the replay did not send everything again"


def test_a_resend_of_every_message_under_a_new_control_id_has_no_effect(hub, told):
    before = hub.settled() and hub.sizes()
    sent = 0
    for path in sorted(shipped("seeds/demo").glob("*")):
        raw = path.read_bytes()
        if raw.startswith(b"MSH"):
            fields = raw.split(b"|", 10)
            fields[9] = b"AGAIN-" + fields[9][-10:]
            raw = b"|".join(fields)
        assert hub.town.send(raw)["ack"] == ("AR" if path.name.startswith("90") else "AA"), path.name
        sent += 1
    hub.wait(lambda: hub.sizes()["messages"] == before["messages"] + sent)
    assert hub.settled().close
    assert hub.sizes() == before | {"messages": before["messages"] + sent}


def test_a_resend_with_a_new_time_of_statement_has_no_effect_either(hub, told):
    before = hub.settled() and hub.sizes()
    raw = sample("04").read_bytes()
    later = re.sub(rb"^((?:[^|]*\|){6})\d{14}", rb"\g<1>20261124090000", raw)
    assert later != raw
    assert hub.town.send(later)["ack"] == "AA"
    hub.wait(lambda: hub.sizes()["messages"] == before["messages"] + 1)
    assert hub.settled().close
    assert hub.sizes()["mailbox"] == before["mailbox"]


def test_test_traffic_stays_out_of_ledger_books_and_real_mailboxes(hub, told):
    before = hub.sizes()
    raw = sample("10").read_bytes()
    hl7 = sample("12").read_bytes().replace(b"|P|2.5", b"|T|2.5", 1)
    assert raw != hl7
    assert hub.town.send(hl7)["ack"] == "AA"
    hub.town.expect(PROVINCE, lambda row: row["record"] == "hie.ClaimDecision", test=True)
    hub.settled()
    assert {name: hub.sizes()[name] for name in ("claims", "lines", "decisions")} == {
        name: before[name] for name in ("claims", "lines", "decisions")
    }
    assert all("!test" in recipient for (recipient,) in hub.sql("select distinct recipient from mailbox where test"))


def test_simulated_claims_leave_the_books_closed_and_an_envelope_corrects_one(hub, told, tmp_path):
    letters = hub.sql("select count(*) from journal_dead_letter")
    assert hie(hub, "simulate", "claims", "300", "--workers", "1").returncode == 0
    made = [one.event for one in nation(1_000_000, 300, test=True, keyring=keyring(hub.settings))]
    keys = {event["meta"]["key"] for event in made}

    def in_force():
        with opened(ledger_folder(hub.settings, "test")) as ledger:
            return {key: rest for key, *rest in ledger.sql("select key, event_id, supersedes from claims_in_force").fetchall()}

    hub.wait(lambda: in_force().keys() >= keys)
    assert hie(hub, "simulate", "claims", "20", "--payer", "vss", "--workers", "1").returncode == 0  # as real traffic
    unheard = "select count(*) from journal_delivery where rule = 'nobody-simulated'"
    hub.wait(lambda: hub.sql(unheard) == [(320,)])
    assert hub.settled().close
    before, again = in_force(), next(event for event in reversed(made) if event["meta"].get("supersedes"))
    assert before[again["meta"]["key"]][0] == again["meta"]["event_id"]
    (tmp_path / "claim.xml").write_bytes(as_xml("hie.Claim", again | {"xml1": again["xml1"] | {"ghi_chu": "Sửa"}}))
    assert hie(hub, "send", "--test", str(tmp_path / "claim.xml")).returncode == 0
    decided = hub.town.expect(again["ma_cskcb"], lambda row: row["body"].get("ma_lk") == again["ma_lk"], test=True)
    after = in_force()
    assert after.keys() == before.keys(), "the correction is under the key of the claim"
    assert after[again["meta"]["key"]][0] == decided["body"]["claim_event_id"] != again["meta"]["event_id"]
    assert hub.settled().close
    assert hub.sql("select count(*) from journal_dead_letter") == letters


def test_no_personal_value_is_in_logs_keys_or_headers_after_all_this(hub, told):
    """As `test_privacy.py` has it of the story alone; here after a replay and resends too."""
    for log in hub.settings.logs.glob("*.log"):
        assert found_in(log.read_bytes()) == [], log.name
    for message in hub.records():
        assert found_in((message.key() or b"") + b"".join(value for _, value in message.headers() or [])) == []


def test_a_hospital_moves_from_the_insurance_gateway_by_changing_the_address(hub, told):
    """Its own client, as it is: token, check-in, claim, the claim again, a wrong one, and what became of them all."""
    before = hub.settled() and hub.sizes()
    host, port = address(hub.settings, "gate", "http_port")
    samples = {name: shipped(f"seeds/messages/_standard/claim-{name}.xml").read_bytes() for name in ("outpatient", "check-in")}
    with httpx.Client(base_url=f"http://{host}:{port}", timeout=60) as client:
        account = {"username": "01021_BV", "password": "5EBE2294ECD0E0F08EAB7690D2A6EE69"}
        key = client.post("/api/token/take", data=account).json()["APIKey"]
        headers = {"accessToken": key["access_token"], "tokenId": key["id_token"], "passwordHash": account["password"]}

        def send(call, raw, kind):
            form = {"username": account["username"], "loaiHoSo": kind, "maTinh": "01", "maCSKCB": "01021"}
            form["fileHSBase64"] = base64.b64encode(raw).decode()
            return client.post(f"/api/qd130/{call}", data=form, headers=headers).json()

        checked_in = send("checkInKcbQd3176", samples["check-in"], "0")
        taken, again = (send("guiHoSoXmlQD3176", samples["outpatient"], "130") for _ in range(2))
        wrong = send("guiHoSoXmlQD3176", samples["outpatient"][:500], "130")
        assert [one["maKetQua"] for one in (checked_in, taken, again, wrong)] == ["200", "200", "200", "201"]
        hub.wait(lambda: hub.sizes()["messages"] == before["messages"] + 4)

        def ask(call, **fields):
            query = {"token": key["access_token"], "id_token": key["id_token"], **account, "maCSKCB": "01021", **fields}
            return client.post(f"/api/egw/{call}", params=query).json()

        times = [one["thoiGianTiepNhan"] for one in (taken, again, wrong)]
        days = list(dict.fromkeys(f"{at[6:8]}/{at[4:6]}/{at[:4]}" for at in times))  # two, if midnight came between
        counted = ask("nhanKQTiepNhanHS4210", loaiHoSo="3", tuNgay=days[0], denNgay=days[-1])["dsKQGuiHosoNgay"]
        assert [sum(row[name] for row in counted) for name in ("tongSo", "soHSThanhCong", "soHSLoi")] == [3, 2, 1]
        listed = [row for day in days for row in ask("nhanChiTietHSNgay4210", loaiHoSo="3", ngayGui=day)["dsHoSo"]]
        assert [row["maGiaoDich"] for row in listed] == [one["maGiaoDich"] for one in (taken, again, wrong)]
        assert [row["maLoi"] for row in ask("nhanChiTietLoiHS4210", maGiaoDich=wrong["maGiaoDich"])["dsLoi"]] == ["201"]
    assert hub.settled().close
    assert hub.sizes()["claims"] == before["claims"] + 1, "the claim and its resend are one row of the ledger"
    story = hie(hub, "trace", again["maGiaoDich"], "--json").stdout
    assert taken["maGiaoDich"] in story and "claim-to-payer" in story
