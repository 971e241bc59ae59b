"""What a payer's page says of its stream and its ledger."""

from datetime import timedelta

import pytest

from hub.console.pages.payer import chart, readers, told
from hub.console.payer_look import OURS, Reader, Stream
from hub.contract.events import now
from hub.insurer.glance import glance
from hub.simulate import RECEIVED_AT
from tests.hub.insurer.small_ledger import small_ledger


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ledger")
    small_ledger(folder)
    return glance(folder, RECEIVED_AT)


def test_lags_are_shown_by_partition_and_reader_with_the_oldest():
    old = now() - timedelta(minutes=10)
    page = readers(
        Stream(now(), {0: 1500, 1: 7}, (Reader(OURS, {0: 1200, 1: 0}, old), Reader("payer.vss", {0: 0, 1: 0}, None))), "en"
    )
    assert "<tr><td>the hub&#x27;s insurer</td><td class=n>1,200</td><td class=n>10 min</td></tr>" in page
    assert "<tr><td>payer.vss</td><td class=n>0</td><td class=n>–</td></tr>" in page
    assert "<tr><td>0</td><td class=n>1,500</td><td class=n>1,200</td><td class=n>0</td></tr>" in page


def test_who_never_read_is_said():
    assert "Chưa ai của bên này đọc luồng." in readers(Stream(now(), {0: 0}, ()), "vi")


def test_the_ledger_is_told_with_the_time_of_its_figures_and_amounts_as_each_language_writes_them(seen):
    vi, en = told(seen, "vi"), told(seen, "en")
    assert "Số liệu lúc 08:00:00 23/11/2026" in vi
    assert "136.000,00" in vi
    assert "136,000.00" in en
    assert "<td>C99</td><td>C</td><td class=n>1</td><td>Not paid.</td>" in en
    assert (
        "<td>2026-11</td><td class=n>6</td><td class=n>1</td><td class=n>144,000.00</td><td class=n>112,000.00</td><td>open</td>"
        in en
    )


def test_nothing_that_is_a_patients_or_a_claims_key_is_on_the_page(seen):
    assert not [secret for secret in ("001085000001", "GD4010000000002", "inpatient", "corrected") if secret in told(seen, "en")]


def test_bars_are_a_day_each_and_stand_as_a_table_too(seen):
    drawn = chart(seen.days, "en")
    assert drawn.count("<rect") == 3
    assert "<td>23/11/2026</td><td class=n>7</td><td class=n>168,000.00</td>" in drawn
    assert chart([], "en").count("<rect") == 0
