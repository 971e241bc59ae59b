"""People at the console in a real browser, on a whole hub after the demo's story: what each role sees, finds and mends."""

import asyncio
import re
import shutil
import threading
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from hub.access.people import People, Person
from hub.cli.demo import PROVINCE, Story, is_a, sample
from hub.contract.events import VIETNAM, now
from hub.contract.places import shipped
from hub.insurer.views import opened
from hub.journal.incidents import Feed
from hub.journal.traffic import count
from hub.journal.watch import Watch
from hub.services import address
from hub.store.database import async_pool, connect
from tests.whole_hub import Hub

sync_api = pytest.importorskip("playwright.sync_api", reason="unverified in a browser: playwright is not installed")
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="unverified in a browser: no chromium here (apt-get install chromium)")
PASSWORD = "A long passphrase, 77"
PEOPLE = (
    Person("lan", "operator", (), "en"),
    Person("minh", "viewer", (), "en"),
    Person("hoa", "admin", (), "vi"),
    Person("songhong", "vendor", ("songhong_his",), "en"),
    Person("giamdinh", "insurer", ("vss",), "en"),
    Person("mai", "vendor", ("local",), "en"),  # what the demo's machines send comes from this one
)
NAME_OF_PATIENT = "Trần"
HILL = "01990"  # a hospital of these walks; its system writes the receiver's number in its own list before that of the directory
HILL_DIALECT = """extends = "_standard"
version = "{version}"
about = "System of a hill hospital."
[send]
version = "2.5.1"
[referral]
ma_cskcb_den = {{ from = ["{receiver}"], as = "facility_code" }}
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    own = tmp_path_factory.mktemp("own")
    rows = shipped("seeds/facilities.csv").read_text("utf-8")
    (own / "facilities.csv").write_text(f"{rows}{HILL},Đồi,Hill,district,basic,hospital,01,hill_his,,,2019-01-01,,\n", "utf-8")
    (own / "hill_his.toml").write_text(HILL_DIALECT.format(version=1, receiver="PRD[RT]-7"), "utf-8")
    with Hub(tmp_path_factory.mktemp("console"), vendors_dir=own, directory_dir=own) as running:
        Story(running.town, lambda _step, _proof: None).tell()
        running.settled()
        come(running)
        yield running


def come(hub):
    """Everybody gets a name and a password."""

    async def arrive():
        async with async_pool(hub.settings.database_url.get_secret_value(), size=1) as pool:
            for person in PEOPLE:
                await People(pool).new(person, PASSWORD, "test", "walks of the suite")

    asyncio.run(arrive())


@pytest.fixture(scope="module")
def chromium():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Walk:
    """One person before the screen."""

    page: object
    base: str

    def go(self, path):
        self.page.goto(self.base + path)
        self.page.wait_for_selector("#main")

    def press(self, name):
        self.page.get_by_role("button", name=name).first.click()

    def sees(self, text):
        sync_api.expect(self.page.locator("#main")).to_contain_text(text, timeout=20_000)


@pytest.fixture
def walk(hub, chromium):
    """Signs somebody in by name; each has a browser of his own."""
    opened = []
    base = "http://{}:{}".format(*address(hub.settings, "console", "console_port"))

    def sign_in(name):
        context = chromium.new_context(viewport={"width": 1366, "height": 768})
        opened.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.goto(base + "/")
        page.fill("input[name=name]", name)
        page.fill("input[name=password]", PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: "/login" not in url)
        return Walk(page, base)

    yield sign_in
    for context in opened:
        context.close()


def message_of(hub, control_id):
    [(message_id,)] = hub.sql(f"select message_id from journal_message where control_id = '{control_id}'")
    return message_id


def test_an_operator_finds_why_one_hospital_is_silent(walk, hub):
    at, feed = now(), Feed("minhkhai", "01731")
    with connect(hub.settings.database_url.get_secret_value(), autocommit=True) as database:
        hours = [at - timedelta(hours=ago) for ago in range(12, 28 * 24)]
        count(database, [(hour, *feed, "translated", [], False) for hour in hours for _ in range(3)])
        Watch(hub.settings, lambda: at, threading.Event()).look(database, at, 60)
    lan = walk("lan")
    lan.sees("Open incidents")
    lan.page.locator("#main").get_by_role("link", name="/incidents").click()
    lan.sees("nothing is heard of feed minhkhai/01731")
    lan.page.locator("#main tr", has_text="minhkhai/01731").get_by_role("link").first.click()
    lan.sees("not yet, it is open")
    lan.page.locator("#main").get_by_role("link", name="minhkhai").click()
    lan.sees("Unusually silent")
    lan.sees(f"Last heard in the hour of {hours[0].astimezone(VIETNAM):%d/%m/%Y %H:00}")
    lan.sees("Expected in this hour")
    lan.sees("Credential")


def test_an_operator_traces_a_referral_from_the_search_to_its_receipts(walk):
    lan = walk("lan")
    lan.go("/search")
    lan.page.get_by_label("Control id (MSH-10)").fill("DEMO-04")
    lan.press("Find")
    lan.page.get_by_role("link", name="2026").first.click()
    lan.sees("REF^I12")
    lan.sees("referral-to-receiver")
    lan.sees("ACKNOWLEDGED")
    lan.sees("MSH-9")
    assert NAME_OF_PATIENT not in lan.page.content()


def test_an_operator_finds_a_referral_by_its_number_and_by_facility_and_day_and_sees_its_state(walk, hub):
    lan = walk("lan")
    lan.go("/cases")
    lan.page.get_by_label("Facility whose number it is").fill("01021")
    lan.page.get_by_label("Slip number").fill("GCT-2611-031")
    lan.press("Find by number")
    lan.sees("ARRIVED · the person has arrived")
    lan.page.get_by_label("Facility that sent it").fill("01021")
    [(day,)] = hub.sql("select to_char(max(day), 'DD/MM/YYYY') from journal_message where control_id = 'DEMO-04'")
    lan.page.get_by_label("From day").fill(day)
    lan.page.get_by_label("To the end of day").fill(day)
    lan.press("List")
    lan.sees("messages looked at")
    lan.page.get_by_role("link", name="2026").first.click()
    lan.page.wait_for_url("**/cases/*-*")
    lan.sees("ARRIVED · the person has arrived")
    lan.sees("arrival-to-issuer")
    assert "GCT-2611-031" not in lan.page.url
    assert NAME_OF_PATIENT not in lan.page.content()
    lan.go("/worklists")
    lan.sees("Parked, waiting for a fact or a fix")


def test_an_operator_pauses_a_recipient_and_lets_it_go_on(walk):
    lan = walk("lan")
    lan.go("/recipients")
    lan.page.get_by_label("Facility code").fill("01004")
    lan.page.get_by_label("Reason").first.fill("its system is moved tonight")
    lan.press("Show the effect")
    lan.sees("it gets its deliveries")
    lan.press("Do it")
    lan.sees("Done.")
    lan.sees("its system is moved tonight")
    lan.page.get_by_label("Reason").nth(1).fill("moved")
    lan.page.get_by_role("button", name="Show the effect").nth(1).click()
    lan.sees("is paused")
    lan.page.get_by_role("button", name="Do it").nth(1).click()
    sync_api.expect(lan.page.locator("#main")).not_to_contain_text("its system is moved tonight", timeout=20_000)


def test_an_operator_redrives_a_dead_letter_after_fixing_its_dialect(walk, hub):
    slip = sample("04").read_bytes().replace(b"DEMO-04", b"HILL-04").replace(b"01021", HILL.encode())
    assert hub.town.send(slip.replace(b"01004^FI", b"09999^L~01004^FI"))["ack"] == "AA"
    hub.wait(lambda: hub.sql("select 1 from parked where state = 'PARKED'") != [])
    lan = walk("lan")
    lan.go("/dead-letters")
    lan.sees("RECEIVER_UNKNOWN")
    do(lan, 1, "our colleague took its receiver for a slip of the pen")  # discards what is parked
    lan.sees("1 event was given up")
    hub.wait(lambda: hub.sql("select 1 from journal_dead_letter where state = ''") != [])

    (hub.settings.vendors_dir / "hill_his.toml").write_text(HILL_DIALECT.format(version=2, receiver="PRD[RT]-7[FI].1"), "utf-8")
    before = hub.services.pid("gate")
    hub.services.end("gate")  # a profile that was edited is read at the start
    hub.wait(lambda: hub.services.pid("gate") != before and hub.services.serves("gate"))

    lan.go("/dead-letters")
    lan.sees("EVENT_UNROUTABLE")
    lan.sees("Translate again by today's dialects")
    do(lan, 1, "the dialect is mended")
    lan.sees("1 dealt with, 0 still there.")
    hub.town.expect(PROVINCE, is_a("Referral", "ISSUED", ma_cskcb=HILL))
    hub.wait(lambda: hub.sql("select 1 from journal_dead_letter where state = ''") == [])
    lan.go(f"/messages/{message_of(hub, 'HILL-04')}")
    for text in ("dead letter", "REDRIVEN", "referral-to-receiver", f"{PROVINCE} ACKNOWLEDGED"):
        lan.sees(text)
    assert NAME_OF_PATIENT not in lan.page.content()


def do(person, number, reason):
    """The form of that number on the page, from its reason to its end."""
    person.page.get_by_label("Reason").nth(number).fill(reason)
    person.page.get_by_role("button", name="Show the effect").nth(number).click()
    person.page.get_by_role("button", name="Do it").nth(number).click()  # once its effect is shown


def test_a_viewer_sees_and_has_nothing_to_act_with(walk):
    minh = walk("minh")
    for path in ("/recipients", "/dead-letters"):
        minh.go(path)
        assert minh.page.get_by_role("button").all_inner_texts() == ["Sign out"]


def test_what_is_a_patients_is_shown_to_who_may_and_says_why_and_that_is_told(walk, hub):
    hoa = walk("hoa")
    hoa.go(f"/messages/{message_of(hub, 'DEMO-04')}")
    hoa.sees("PID-5")
    assert NAME_OF_PATIENT not in hoa.page.content()
    hoa.page.get_by_label("Lý do").fill("bệnh viện hỏi")
    hoa.press("Hiện giá trị cá nhân")
    hoa.sees(NAME_OF_PATIENT)
    hub.wait(lambda: hub.sql("select 1 from journal_event where record = 'hie.AuditEvent' and action = 'unmask'") != [], 60)
    hoa.press("Ai đã xem")
    hoa.sees("bệnh viện hỏi")
    hoa.go("/audit")
    hoa.page.get_by_label("Thao tác (như unmask)").fill("unmask")
    hoa.press("Liệt kê")
    hoa.sees("bệnh viện hỏi")
    for number, told in (("nobody", "Hub không biết gì"), ("GCT-2611-031", "bệnh viện hỏi")):
        hoa.page.get_by_label("Số thẻ BHYT").fill(f"01021/{number}")
        hoa.press("Ai đã xem người bệnh này")
        hoa.sees(told)
    assert "GCT-2611-031" not in hoa.page.url


def test_a_vendor_sees_nothing_of_others(walk, hub):
    vendor = walk("songhong")
    for path in ("/", "/search", "/topics", "/recipients", f"/messages/{message_of(hub, 'DEMO-04')}"):
        vendor.page.goto(vendor.base + path)
        text = vendor.page.content()
        assert "DEMO-04" not in text
        assert "01021" not in text


def test_an_insurer_opens_a_statement_and_no_other_payers_page(walk, hub):
    insurer = walk("giamdinh")
    assert insurer.page.url == insurer.base + "/payers"
    insurer.page.get_by_role("link", name="vss", exact=True).click()
    for text in ("the hub's insurer", "Control totals", "Decisions on claims that came today", "ACCEPTED"):
        insurer.sees(text)
    insurer.page.get_by_role("link", name="Statements by facility and month").click()
    [(facility, month)] = statement_of(hub)
    insurer.page.get_by_label("Facility (MA_CSKCB)").fill(facility)
    insurer.page.get_by_label("Month").fill(month)
    insurer.press("Open")
    insurer.sees("Say why.")
    insurer.page.get_by_label("Reason").fill("monthly settlement")
    insurer.press("Open")
    insurer.sees("To be paid:")
    assert NAME_OF_PATIENT not in insurer.page.content()
    with insurer.page.expect_download() as saved:
        insurer.press("Download, to print")
    assert saved.value.suggested_filename == f"vss-{facility}-{month}.html"
    assert "To be paid:" in Path(saved.value.path()).read_text("utf-8")
    hub.wait(lambda: hub.sql("select 1 from journal_event where record = 'hie.AuditEvent' and action = 'statement'") != [], 60)
    answers = []
    for path in ("/payers/police", "/payers/nosuch", "/payers/police/statements", "/payers/nosuch/statements"):
        insurer.go(path)
        answers.append(insurer.page.locator("#main").inner_text())
    assert answers[0] == answers[1]
    assert answers[2] == answers[3]
    insurer.page.goto(insurer.base + f"/messages/{message_of(hub, 'DEMO-04')}")
    assert "DEMO-04" not in insurer.page.content()


def statement_of(hub):
    """A facility and a month of the ledger."""
    with opened(hub.settings.ledger) as ledger:
        return ledger.execute("select ma_cskcb, month from claims_in_force order by all limit 1").fetchall()


def test_a_vendor_mends_a_refused_message(walk, hub):
    mai = walk("mai")
    assert mai.page.url.endswith("/mine")
    mai.page.get_by_role("link", name="DEMO-90").first.click()
    mai.sees("TYPE_UNSUPPORTED")
    mai.sees("Leave this type out of the feed, or mend MSH-9")
    assert NAME_OF_PATIENT not in mai.page.content(), "what is stored is masked for its vendor, too"
    mended = sample("90").read_text("utf-8").replace("ZZZ^Z99^ZZZ_Z99", "ADT^A04^ADT_A01").replace("DEMO-90", "MENDED-90")
    before = hub.sql("select count(*) from journal_message")
    mai.go("/try")
    mai.page.get_by_label("HL7 v2, XML or JSON").fill(sample("90").read_text("utf-8"))
    mai.press("Read it")
    mai.sees("The hub would refuse this message.")
    mai.page.get_by_label("HL7 v2, XML or JSON").fill(mended + "\rEVN||20261123170000\rPV1|1|O" + "|" * 17 + "MENDED-LK")
    mai.press("Read it")
    mai.sees("The hub understands this message.")
    mai.sees("Encounter")
    assert mai.page.url.endswith("/try") and hub.sql("select count(*) from journal_message") == before
    mai.press("Send as test")
    mai.sees("Sent as a test: translated AA.")
    hub.wait(
        lambda: hub.sql("select 1 from journal_message where control_id = 'MENDED-90' and test and sender = 'local'") != [], 60
    )
    mai.page.get_by_role("link", name="See its story").click()
    mai.sees("MENDED-90")
    mai.go("/mine")
    mai.sees("messages are translated.")
    sync_api.expect(mai.page.get_by_text("Conformance: ").first).to_contain_text(re.compile(r"Conformance: [A-E] "))


def test_a_vendor_cannot_see_anothers_data(walk, hub):
    vendor = walk("songhong")
    theirs, nobodys = f"/messages/{message_of(hub, 'DEMO-04')}", f"/messages/{uuid4()}"
    seen = []
    for path in (theirs, nobodys, "/mine?sender=local", "/mine?sender=nobodys_his"):
        vendor.go(path)
        seen.append(vendor.page.locator("#main").inner_text())
        assert "DEMO-" not in vendor.page.content()
    assert seen[0] == seen[1] and "There is no message" in seen[0]
    assert seen[2] == seen[3] and "There is no sender of this name." in seen[2]
    vendor.go("/try?sender=local")
    assert "local" not in vendor.page.locator("#main").inner_text()


def test_signing_out_takes_the_pages_away(walk):
    lan = walk("lan")
    lan.press("Sign out")
    lan.page.wait_for_url(lambda url: "/login" in url)
    lan.page.goto(lan.base + "/topics")
    assert "/login" in lan.page.url
