"""A pasted message is read as the front door would, and its problems are told with what to do about them."""

import asyncio
from types import SimpleNamespace

import pytest
from psycopg_pool import PoolTimeout

from adapters.dialects.profile import use_vendors
from hub.access.quota import Quotas
from hub.cli import vendor_border
from hub.cli.border import explain
from hub.cli.running import OFFLINE
from hub.cli.vendor_border import check as checked
from hub.cli.vendor_border import entitled, remedy_of
from hub.cli.why import foreseen_of, foresight
from hub.console.border import Sent
from hub.console.pages import try_message
from hub.console.pages.mine import report
from hub.console.pages.try_message import as_bytes, check, may_send, shown
from hub.contract.errors import HubError
from hub.contract.places import shipped

GOOD = (shipped("seeds/demo") / "02-order-to-laboratory.hl7").read_bytes()
REFUSED = (shipped("seeds/demo") / "90-refused.hl7").read_bytes()


def read(raw, **more):
    return explain(raw, bytes_max=1_000_000, keyring=OFFLINE, **more)


def follows(one):
    with foresight(None) as eye:
        return [found.as_dict() for event in one.events for found in foreseen_of(eye, event)]


def test_line_ends_of_a_browser_are_those_of_hl7_again():
    pasted = "\n  " + GOOD.decode().replace("\r", "\n") + "\n\n"
    assert as_bytes(pasted) == GOOD.rstrip(b"\r\n") + b"\r"
    assert as_bytes(" \n<a>\n</a>\n") == b"<a>\n</a>"
    assert as_bytes(" \n ") == b""
    assert as_bytes(GOOD.decode().rstrip("\r\n")) == GOOD.rstrip(b"\r\n"), "what was not pasted is not made up"


def test_of_pasted_text_neither_the_charset_nor_the_missing_last_line_end_is_told(tmp_path):
    (tmp_path / "mine_his.toml").write_text(
        'extends = "_standard"\nversion = "1"\nabout = "x"\ncharset = "tcvn3"\nended = true\n'
        '[facility]\naliases = [{ application = "MINE", name = "CS1", code = "01004" }]\n'
    )
    use_vendors(tmp_path)
    try:
        raw = as_bytes(
            "MSH|^~\\&|MINE|CS1|HIE|HUB|20261015||ADT^A04|C1|P|2.5.1\nEVN|A04|2026\nPID|1||7^^^01004^MR||Trần^Thị Ngọc\nPV1|1|O"
            + "|" * 17
            + "V1"
        )
        told = [(one.code, one.severity) for one in read(raw, pasted=True).troubles]
        assert told == []
        assert {"CHARSET_DECLARED_WRONG", "MESSAGE_CUT"} <= {one.code for one in read(raw).troubles}
        assert read(raw, pasted=True).dialect == "mine_his"
    finally:
        use_vendors(None)


def test_a_pasted_result_that_breaks_off_is_told_as_at_the_door():
    head = "MSH|^~\\&|LIS|01004|HIE|HUB|20261015||ORU^R01|C1|P|2.5.1\nPID|1||7^^^01004^MR||Mau^An\nOBR|1|O1|L1|G^G^L\n"
    one = read(as_bytes(head + "OBX|1|NM|G^G^L||1"), pasted=True)
    assert (one.verdict, one.ack) == ("refused", "AE")
    assert "MESSAGE_CUT" in [each.code for each in one.troubles]


@pytest.mark.parametrize(("language", "fix"), [("en", "Leave this type out of the feed"), ("vi", "Không gửi loại này")])
def test_a_refusal_is_told_with_its_fix_at_its_place(language, fix):
    page = shown(read(REFUSED), [], language)
    assert "TYPE_UNSUPPORTED" in page and "MSH-9" in page
    assert fix in page


def test_what_is_understood_says_who_would_get_it_as_a_test():
    one = read(GOOD)
    assert one.verdict == "translated"
    assert all(event["meta"]["test"] for event in one.events)
    page = shown(one, follows(one), "en")
    assert "LabOrder" in page and "01940" in page


def test_markup_in_a_message_is_text():
    assert "<script>" not in shown(read(REFUSED.replace(b"DEMO-90", b"<script>")), "<script>", "en")


def test_nobody_reads_in_the_name_of_a_sender_that_is_not_his(someone):
    vendor = someone(role="vendor", scope=("mine_his",), language="en")
    assert check(vendor, "mine_his", GOOD) == ""
    assert check(vendor, "other_his", GOOD) == check(vendor, "nobodys_his", GOOD) != ""
    assert may_send(vendor) and may_send(someone(role="operator"))
    assert not may_send(someone(role="viewer"))


def test_what_is_sent_is_audited_before_and_with_its_message_after(someone, monkeypatch):
    """Nothing is sent where it cannot be audited."""
    done, reached = [], [True]

    async def note(_database, action, target, by, _reason):
        done.append((action, target, by))

    class Pool:
        def connection(self):
            if not reached[0]:
                raise PoolTimeout
            return self

        transaction = connection

        async def __aenter__(self):
            return self

        async def __aexit__(self, *_):
            return None

    def send_test(_raw, sender):
        done.append(sender)
        return Sent("m1", "translated", "AA")

    monkeypatch.setattr(try_message, "note", note)
    console = SimpleNamespace(pool=Pool(), border=SimpleNamespace(send_test=send_test))
    pasted = try_message._Pasted(GOOD, "mine_his")
    asyncio.run(try_message._send(console, someone(), pasted))
    assert done == [("send-test", "sender:mine_his", "lan"), "mine_his", ("send-test", "message:m1", "lan")]
    done.clear()
    reached[0] = False
    with pytest.raises(PoolTimeout):
        asyncio.run(try_message._send(console, someone(), pasted))
    assert done == []


def test_what_no_form_of_ours_sends_is_not_read(someone):
    vendor = someone(role="vendor", scope=("mine_his",), language="en")
    assert check(vendor, "mine_his", as_bytes("MSH|" + "ế" * 99_996)) == ""
    assert "100,000" in check(vendor, "mine_his", as_bytes("MSH|" + "ế" * 99_998))


def test_of_a_long_message_the_first_part_is_shown_and_that_is_said():
    lines = b"".join(b"OBX|%d|TX|N^Note||%s||||||F\r" % (at, b"x" * 2_000) for at in range(1, 1_000))
    page = shown(read(REFUSED.rstrip(b"\r\n") + b"\r" + lines[:900_000]), [], "en")
    assert len(page) < 900_000
    assert "Only the first part is shown" in page
    assert "Only the first" not in shown(read(REFUSED), [], "en")


def test_a_sender_is_held_to_its_facilities(settings, tmp_path):
    file = tmp_path / "credentials.toml"
    file.write_text('[sender.mine_his]\nfacilities = ["01021"]\n', "utf-8")
    held = settings.model_copy(update={"credentials": file})
    assert entitled(held, "mine_his") == {"01021"}
    assert entitled(held, "gone_his") == frozenset()
    assert entitled(held, "") is None


def test_what_is_pasted_is_sent_so_often_a_minute_and_no_more(tmp_path, monkeypatch):
    """No broker is asked: what is within the limits ends where one would be."""
    file = tmp_path / "credentials.toml"
    file.write_text("[sender.mine_his]\n[sender.slow_his]\nmessages_per_minute = 2\n", "utf-8")
    held = SimpleNamespace(credentials=file, message_bytes_max=1_000_000, kafka="", ack_wait_s=1.0)
    quotas, sent = Quotas(), []
    monkeypatch.setattr(vendor_border, "Producer", lambda *_args, **_more: (_ for _ in ()).throw(ConnectionError))

    def send(sender):
        try:
            vendor_border.send_test(held, OFFLINE, quotas, GOOD, sender)
        except ConnectionError:
            sent.append(sender)

    for sender, most in (("mine_his", vendor_border.PASTED_A_MINUTE), ("slow_his", 2)):
        for _ in range(most):
            send(sender)
        with pytest.raises(HubError, match="OVERLOADED"):
            send(sender)
        assert sent.count(sender) == most


def test_the_report_is_that_of_vendor_check_without_a_value():
    raws = [path.read_bytes() for path in sorted(shipped("seeds/demo").glob("0*.hl7"))] + [REFUSED]
    found = checked(raws)
    assert found.grade in "ABCDE" and found.samples and found.translated < found.samples + 1
    for language in ("vi", "en"):
        page = report(found, language)
        assert not [secret for secret in ("Trần", "001185004321", "GD4010118504321", "19850720") if secret in page]


def test_each_problem_has_both_languages_of_its_remedy():
    vi, en = remedy_of("TYPE_UNSUPPORTED", "MSH-9")
    assert vi.startswith("Không gửi") and en.startswith("Leave")
    assert remedy_of("NO_SUCH_CODE", "") == ("", "")
