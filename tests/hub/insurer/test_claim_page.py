"""The page about claims: whole in itself, in two languages, and without anything of a person."""

from dataclasses import replace
from html.parser import HTMLParser

from hub.insurer.claim_page import LIMITS, page
from hub.insurer.explain import checked
from tests.hub.insurer.made import columns_of
from tests.hub.insurer.test_explain import WRONG, sent, stents

TITLE = ("Kiểm tra hồ sơ", "Claims checked")
EVENTS = [sent("A"), stents("B<script>"), sent("C", **WRONG)]
PAGE = page(TITLE, "hồ sơ.xml", checked(columns_of(EVENTS), "vss"), unread=1, limits=[LIMITS])


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.outside, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "input", "br"):
            self.open.append(tag)
        self.outside += [value for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(text):
    reader = Reader()
    reader.feed(text)
    return reader


def test_it_is_one_file_that_asks_for_no_other_and_runs_nothing():
    reader = read(PAGE)
    assert (reader.open, reader.outside) == ([], [])
    assert "script" not in PAGE.replace("B&lt;script&gt;", "")
    assert "@media print" in PAGE


def test_it_tells_verdicts_sums_and_each_finding_in_both_languages():
    text = "".join(read(PAGE).text)
    for told in (
        *TITLE,
        *LIMITS,
        "giảm trừ",
        "reduced",
        "X14",
        "XML3/2",
        "8,000,000.00",
        "X05",
        "T_TONGCHI_BV",
        "not taken at the door",
    ):
        assert told in text


def test_it_names_nobody():
    for event in EVENTS:
        for name in ("ho_ten", "so_cccd", "ma_the_bhyt", "dia_chi"):
            assert not event["xml1"].get(name) or event["xml1"][name] not in PAGE


def test_a_revision_that_was_replaced_is_told_so_and_is_not_in_the_sums():
    old, new = checked(columns_of([sent("A", **WRONG), sent("A", version=1)]), "vss")
    text = page(TITLE, "", [new, replace(old, replaced=True)])
    assert text.count("revision 0, replaced") == text.count("replaced") == 1
    tiles = text[text.index('<div class="tiles">') : text.index("<h2>")]
    assert "từ chối" not in tiles and "<b>8,000</b>" in tiles


def test_without_a_claim_it_says_so():
    assert "There is no claim." in page(TITLE, "", [])
