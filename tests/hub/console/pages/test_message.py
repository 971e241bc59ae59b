"""No value of a person is on a page unless somebody may see it and says why."""

from types import SimpleNamespace

import pytest

from hub.access.masking import masked_text
from hub.cli.border import explain
from hub.console.pages import message
from hub.console.pages.message import anchor, reading, standing, steps, troubles
from hub.contract.events import now
from hub.journal.trace import Step, Story

RAW = (
    "MSH|^~\\&|X|01004|HIE|HIE|20261123||ADT^A01^ADT_A01|C1|P|2.5.1\rEVN||20261123\r"
    "PID|1||P7788^^^H^PI~GD4790123456789^^^BHXH^HC||NGUYỄN^THỊ SEN||19800230|F|||12 Lý Thường Kiệt^^Hà Nội||0912345678\r"
    "NK1|1|TRẦN^VĂN BÁCH|SPO\rPV1|1|I|||||D1^LÊ^MINH\rOBX|1|TX|N^Note||Bà Sen kể||||||F\rZPI|1|079080001234\r"
).encode()
PERSONAL = (
    "P7788",
    "GD4790123456789",
    "NGUYỄN",
    "SEN",
    "19800230",
    "Lý Thường",
    "0912345678",
    "TRẦN",
    "BÁCH",
    "LÊ",
    "Sen kể",
    "079080001234",
)


@pytest.fixture(scope="module")
def read():
    return explain(RAW, bytes_max=1_000_000)


@pytest.mark.parametrize("language", ["vi", "en"])
def test_a_page_shows_the_form_of_a_message_and_none_of_its_persons(read, language):
    shown = reading(read, language, show=False) + masked_text(read.text) + troubles(read.troubles, language)
    assert not [value for value in PERSONAL if value in shown]
    assert "••" in shown
    assert "ADT^A01" in shown
    assert "PID-5" in shown


def test_of_a_message_that_came_as_one_line_no_person_is_shown():
    one = explain(RAW.replace(b"\r", b" "), bytes_max=1_000_000)
    assert [each.code for each in one.troubles] == ["SEGMENTS_JOINED"]
    shown = reading(one, "en", show=False)
    assert not [value for value in PERSONAL if value in shown]
    assert "ADT^A01" in shown
    assert all(value in reading(one, "en", show=True) for value in PERSONAL)


def test_who_may_sees_all_of_it_and_markup_in_it_is_text(read):
    shown = reading(read, "vi", show=True)
    assert all(value in shown for value in PERSONAL)
    evil = explain(RAW.replace(b"X|01004", b"<script>|01004"), bytes_max=1_000_000)
    assert "<script>" not in reading(evil, "vi", show=True)


def test_a_problem_stands_at_its_field(read):
    [wrong] = [one for one in read.troubles if one.path.startswith("PID-7")]
    assert f"<b>{wrong.code}</b>" in reading(read, "en", show=False)
    assert f'href="#at-{anchor(wrong.path)}"' in troubles(read.troubles, "en")


@pytest.mark.parametrize("raw", [b"<a><ho_ten>NGUYEN SEN</ho_ten></a>", b'{"ho_ten": "NGUYEN SEN"}', b"NGUYEN SEN"])
def test_of_what_is_no_hl7_no_value_is_shown_at_all(raw):
    assert "SEN" not in masked_text(explain(raw, bytes_max=1_000).text)


def test_a_story_says_how_it_stands_now_and_what_of_it_is_a_test():
    def step(kind, **more):
        return Step(now(), kind, kind, kind, {"code": "", **more})

    to = {"record": "hie.Referral", "test": True}
    story = Story("m", (
        step("received", test=True), step("delivery", recipient="01004", state="ACKNOWLEDGED", **to),
        step("delivery", recipient="01021", state="", **to), step("nobody", recipient="", **to),
        step("parked", state="RELEASED"), step("parked", state="PARKED") , step("dead-letter", state="REDRIVEN"),
    ), cut=False)  # fmt: skip
    told = standing(story, "en")
    assert told.count("<li>") == 3
    for line in ("Referral → 01004 · ACKNOWLEDGED (test)", "Referral → 01021 · under way (test)", "<li>parked</li>"):
        assert line in told
    assert "Nothing was delivered" in standing(Story("m", (step("received", test=False),), cut=False), "en")
    assert steps(story, "vi").count("(thử)") == 4


@pytest.mark.parametrize(
    ("more", "told", "way"),
    [
        ({}, [], "explain"),
        ({"test": True}, [], "pasted"),
        ({"test": True}, ["TEST_LOCAL"], "pasted"),
        ({"test": True}, ["CHARSET_DECLARED_WRONG"], "explain"),
        ({"test": True, "transport": "mllp"}, [], "explain"),
        ({"test": True, "charset": "viscii"}, [], "explain"),
    ],
)
def test_a_message_is_read_with_the_right_of_its_sender_and_what_was_pasted_as_that(monkeypatch, more, told, way):
    whole = {
        "raw": RAW,
        "sender": "lab",
        "test": False,
        "transport": "http",
        "charset": "utf-8",
        "problems": [{"code": code} for code in told],
    } | more
    monkeypatch.setattr(message, "value_at", lambda *_: b"kept")
    monkeypatch.setattr(message, "Wire", lambda _url: SimpleNamespace(unpack=lambda _value: ("hie.MessageReceived", whole)))
    ways = {name: lambda raw, sender, name=name: (name, raw, sender) for name in ("explain", "pasted")}
    border = SimpleNamespace(older=None, **ways)
    place = {"topic": "message-received.v1", "partition": 0, "record_offset": 0}
    story = Story("m", (Step(now(), "received", "m", "", place),), cut=False)
    assert message.bytes_of(SimpleNamespace(kafka={}, registry_url=""), border, story).reading == (way, RAW, "lab")
    erased = Story("m", (Step(now(), "received", "m", "", place | {"forgotten": True}),), cut=False)
    assert message.bytes_of(SimpleNamespace(kafka={}, registry_url=""), border, erased).reading is None, (
        "topics may hold it still"
    )
