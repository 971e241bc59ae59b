"""`hie ledger` on a terminal and for programs: exact sums, no name and no card."""

import csv
import io
import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from hub.cli.main import app
from hub.contract.errors import HubError
from hub.insurer.ledger import Ledger
from hub.insurer.questions import QUESTIONS
from hub.insurer.views import opened
from tests.hub.insurer.made import batch, claim
from tests.hub.insurer.small_ledger import small_ledger


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    small_ledger(folder / "ledger")
    return folder


@pytest.fixture
def hie(folder, monkeypatch):
    monkeypatch.setenv("HIE_DATA_DIR", str(folder))
    monkeypatch.delenv("HIE_LEDGER_DIR", raising=False)

    def run(*arguments):
        done = CliRunner().invoke(app, ["ledger", *map(str, arguments)], catch_exceptions=False)
        assert done.exit_code == 0
        return done.stdout

    return run


def test_alone_it_says_what_the_ledger_adds_up_to(hie):
    assert "claims 7, accepted 5, reduced 1, rejected 1, lines 14, findings 2" in hie()
    assert "claimed (t_bhtt) 168,000.00 VND, granted (t_bhtt_gd) 136,000.00 VND" in hie()
    assert "adjusted after the decisions +0.00 VND, payable 136,000.00 VND" in hie()
    assert json.loads(hie("--json"))["t_bhtt"] == "168000.00"


def test_alone_it_says_what_adjustments_left_of_it(hie, tmp_path, monkeypatch):
    monkeypatch.setenv("HIE_DATA_DIR", str(tmp_path))
    small_ledger(tmp_path / "ledger")
    with opened(tmp_path / "ledger") as database:
        found = database.execute("select event_id from claims_in_force where verdict = 'ACCEPTED' order by 1").fetchall()
    paid = found[0][0]
    given = [
        ("H03", "C", paid, 5_000),
        ("H08", "C", paid, -2_000),
        ("S01", "I", paid, 700),
        ("S01", "C", paid, 700),  # as an older release wrote it
        ("H03", "C", "another that was replaced", 9_000),
    ]
    rows = pl.DataFrame(
        given,
        schema={"rule": pl.String, "severity": pl.String, "event_id": pl.String, "reduction": pl.Decimal(18, 2)},
        orient="row",
    )
    rows.write_delta(tmp_path / "ledger" / "adjustments")
    assert "granted (t_bhtt_gd) 136,000.00 VND\nadjusted after the decisions -3,000.00 VND, payable 133,000.00 VND" in hie()
    told = json.loads(hie("--json"))
    assert (told["adjusted"], told["payable"]) == ("3000.00", "133000.00")


def test_ask_without_a_name_lists_the_questions_in_both_languages(hie):
    told = hie("ask")
    assert "copayments" in told
    assert "Claims and money by month." in told
    assert "Hồ sơ và số tiền theo tháng." in told


def test_an_answer_is_a_table_csv_or_json(hie):
    month = ("ask", "month", "--month", "2026-11", "--facility", "01021", "--format")
    table = hie(*month, "table")
    assert "2026-11" in table
    assert "120,000.00" in table
    [row] = csv.DictReader(io.StringIO(hie(*month, "csv")))
    assert (row["month"], row["t_bhtt"]) == ("2026-11", "120000.00")
    [row] = json.loads(hie(*month, "json"))
    assert (row["claims"], row["t_bhtt_gd"]) == (5, "88000.00")
    assert "không có" in hie("ask", "month", "--facility", "99999")


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_table_is_as_wide_as_its_amounts_and_never_cuts_one_off(hie, name):
    assert "…" not in hie("ask", name)


def test_control_totals_are_by_facility_and_month_or_by_month(hie):
    of_facilities = list(csv.DictReader(io.StringIO(hie("totals", "--format", "csv"))))
    assert [(row["ma_cskcb"], row["month"], row["claims"], row["t_bhtt"]) for row in of_facilities] == [
        ("01004", "2026-11", "1", "24000.00"),
        ("01021", "2026-11", "5", "120000.00"),
        ("01021", "2026-12", "1", "24000.00"),
    ]
    of_months = list(csv.DictReader(io.StringIO(hie("totals", "--by", "month", "--format", "csv"))))
    assert [(row["month"], row["claims"]) for row in of_months] == [("2026-11", "6"), ("2026-12", "1")]


def test_a_person_is_a_hash_that_stays_the_same(hie):
    told = hie("ask", "copayments", "--format", "csv")
    assert told == hie("ask", "copayments", "--format", "csv")
    persons = [row["person"] for row in csv.DictReader(io.StringIO(told))]
    assert all(len(person) == 32 for person in persons)
    assert "001085000001" not in told
    assert "0000000002" not in told


def test_a_statement_is_told_or_written_as_a_page(hie, tmp_path):
    told = hie("statement", "01021", "2026-11")
    assert all(part in told for part in ("Bệnh viện Đa khoa huyện Đông Lĩnh", "(79a)", "(80a)", "104.000,00", "rejected", "C99"))
    assert hie("statement", "01021", "2026-11", "--html", tmp_path / "page.html") == ""
    assert "104.000,00" in (tmp_path / "page.html").read_text("utf-8")


def test_what_is_no_month_is_refused(hie):
    with pytest.raises(HubError, match="REQUEST_WRONG"):
        hie("ask", "month", "--month", "11/2026")


def test_an_export_writes_files_for_their_owner_alone(hie, tmp_path, monkeypatch, folder):
    from hub.contract.settings import read_settings
    from hub.insurer import export as module
    from tests.hub.insurer.made import PREFIX, values_of
    from tests.hub.insurer.small_ledger import events

    class Registry:
        def __init__(self, _url):
            pass

        def unpack(self, value):
            from hub.contract.events import decode

            return "hie.Claim", decode("hie.Claim", value[len(PREFIX) :])

    values = values_of(events())
    monkeypatch.setattr("hub.bus.Wire", Registry)
    monkeypatch.setattr("hub.cli.ledger.connected", lambda _settings: read_settings(kafka_bootstrap="x:9", registry_url="x"))
    monkeypatch.setattr(module, "from_topic", lambda *_: lambda _partition, offsets: ((one, values[one]) for one in offsets))
    assert hie("export", "--month", "2026-12", "--out", tmp_path / "december") == ""
    [path] = (tmp_path / "december").rglob("*.xml")
    assert path.stat().st_mode & 0o077 == 0
    assert Path(tmp_path / "december" / "index.csv").read_text("utf-8").count("december") == 1


def test_another_payers_ledger_is_asked_and_stated_by_its_code(hie, folder):
    small_ledger(folder / "ledger-test")
    [row] = json.loads(hie("ask", "month", "--month", "2026-12", "--payer", "test", "--format", "json"))
    assert row["claims"] == 1
    assert json.loads(hie("totals", "--by", "month", "--payer", "test", "--format", "json"))
    assert "01021" in hie("statement", "01021", "2026-11", "--payer", "test")


@pytest.mark.parametrize("payer", ["nobody", "defence"])
def test_a_payer_that_has_no_ledger_is_told(hie, payer):
    with pytest.raises(HubError, match="NOT_FOUND"):
        hie("statement", "01021", "2026-11", "--payer", payer)


def test_small_files_are_made_one_and_the_second_time_there_is_nothing_to_do(tmp_path, monkeypatch):
    written = Ledger(tmp_path / "ledger", "topic-a")
    for number in range(2):
        written.append(batch([claim(number + 1)], [(0, number)]), {0: number + 1})
    monkeypatch.setenv("HIE_DATA_DIR", str(tmp_path))
    before = CliRunner().invoke(app, ["ledger"]).stdout
    first, second = (CliRunner().invoke(app, ["ledger", "compact"]).stdout for _ in range(2))
    assert "claims: 2 files, now 1\n" in first
    assert second == "nothing to do · không có gì để gộp\n"
    assert CliRunner().invoke(app, ["ledger"]).stdout == before
