"""The page about reading the ledger: its programs run, and it lists every question."""

import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

import hub.insurer
from hub.insurer.explain import read_claim, read_month
from hub.insurer.ledger import Ledger
from hub.insurer.questions import QUESTIONS, ask
from hub.insurer.rules import money
from hub.insurer.settlement import claims_of
from hub.insurer.totals import totals_of
from hub.insurer.views import opened
from tests.hub.insurer.made import batch
from tests.hub.insurer.small_ledger import CUT, DRUG, RULES, TOPIC_ID, adjust, small_ledger, stated

PAGE = (Path(hub.insurer.__file__).parent / "LEDGER.md").read_text("utf-8")
BESIDE = (Path(hub.insurer.__file__).parent / "README.md").read_text("utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
[READ_LEDGER] = re.findall(r"as `read_ledger\.py LEDGER`:\n\n```python\n(.*?)```", BESIDE, re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ledger")
    small_ledger(folder)
    return folder


def test_its_table_names_every_question():
    table = PAGE.partition("| question | answers |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", table)) == set(QUESTIONS)


@pytest.mark.parametrize(
    ("program", "rows"),
    list(zip(
        PROGRAMS,
        [
            ["01004 ACCEPTED 1 24000.00 24000.00 24000.00", "01021 ACCEPTED 3 64000.00 64000.00 64000.00", "01021 REDUCED 1 32000.00 24000.00 24000.00", "01021 REJECTED 1 24000.00 0.00 0.00"],
            ["C99 1 8000.00", "X05 1 24000.00"],
            ["version 1 of 1 files", "ACCEPTED 7", "CANCELLED 1", "REDUCED 1", "REJECTED 1"],
        ],
        strict=True,
    )),
    ids=["duckdb", "views", "deltalake"],
)  # fmt: skip
def test_its_programs_print_what_the_ledger_holds(folder, tmp_path, program, rows):
    (tmp_path / "read.py").write_text(program, "utf-8")
    arguments = [str(folder), *(["2026-11"] if "month" in program else [])]
    done = subprocess.run([sys.executable, str(tmp_path / "read.py"), *arguments], capture_output=True, text=True, check=True)
    printed = re.sub(r"[│┆ ]+", " ", done.stdout)
    assert [row for row in rows if row not in printed] == []


def test_its_sums_by_rule_are_those_of_the_question_also_after_a_closing(tmp_path):
    ids = {event["ma_lk"]: event["meta"]["event_id"] for event in small_ledger(tmp_path)}
    adjust(tmp_path, ("H03", ids["paid"], 5_000), ("H08", ids["inpatient"], -2_000))
    (tmp_path / "read.py").write_text(PROGRAMS[1], "utf-8")
    argv = [sys.executable, str(tmp_path / "read.py"), str(tmp_path)]
    printed = re.sub(r"[│ ]+", " ", subprocess.run(argv, capture_output=True, text=True, check=True).stdout)
    asked = ask(tmp_path, "reductions", hashed=str).as_dicts()
    assert {row["rule"] for row in asked} == {"C99", "X05", "H03", "H08"}
    assert [row for row in asked if f" {row['rule']} {row['claims']} {row['amount']} " not in printed] == []


def test_what_its_program_says_is_payable_is_that_of_the_totals_after_a_closing(tmp_path):
    ids = {event["ma_lk"]: event["meta"]["event_id"] for event in small_ledger(tmp_path)}
    adjust(tmp_path, ("H03", ids["paid"], 5_000), ("H08", ids["inpatient"], -2_000))
    (tmp_path / "month.py").write_text(PROGRAMS[0], "utf-8")
    argv = [sys.executable, str(tmp_path / "month.py"), str(tmp_path), "2026-11"]
    printed = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    payable = sum(Decimal(row.split("│")[-2].strip()) for row in printed.splitlines() if re.search(r"│ 01\d{3} ", row))
    [month] = [row for row in ask(tmp_path, "month", hashed=str).as_dicts() if row["month"] == "2026-11"]
    assert payable == month["payable"]


def test_of_equal_revisions_as_older_releases_wrote_them_the_first_in_the_stream_counts_for_every_reader(tmp_path):
    count, first = 20, [DRUG, CUT]
    events = [
        stated(f"K{number}", drugs) for drugs in (first, [*first, DRUG | {"stt": 3}]) for number in range(count)
    ]  # of each 24,000 VND are granted, then 32,000
    Ledger(tmp_path, TOPIC_ID).append(batch(events, [(0, at) for at in range(len(events))], TOPIC_ID, RULES), {0: len(events)})
    with opened(tmp_path) as ledger:
        assert totals_of(ledger)["t_bhtt_gd"] == count * 24_000
    assert claims_of(tmp_path, "2026-11").get_column("granted").sum() == count * 24_000
    assert sum(one.paid for one in read_month(tmp_path, "01021", "2026-11")) == count * 24_000
    for number in range(4):
        [[one, other]] = read_claim(tmp_path, f"K{number}")
        assert (one.paid, one.replaced, other.paid, other.replaced) == (24_000, False, 32_000, True)
    for name, program, month in (("read_ledger.py", READ_LEDGER, []), ("month.py", PROGRAMS[0], ["2026-11"])):
        (tmp_path / name).write_text(program, "utf-8")
        command = [sys.executable, str(tmp_path / name), str(tmp_path), *month]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert "480000.00" in done.stdout


def test_both_tables_of_read_ledger_are_of_what_is_in_force_and_its_last_row_is_that_of_the_totals(tmp_path):
    """What was corrected, withdrawn, or came again too late to be dropped (and was decided otherwise then) is in neither."""
    again = stated("again", [DRUG, CUT])
    events = [
        stated("corrected", [DRUG, CUT], version=1),
        stated("corrected", [DRUG], version=2),
        stated("withdrawn", [DRUG, CUT], version=1),
        stated("withdrawn", [], version=2, action="CANCELLED"),
        again,
    ]
    ledger = Ledger(tmp_path, TOPIC_ID)
    ledger.append(batch(events, [(0, at) for at in range(len(events))], TOPIC_ID, RULES), {0: len(events)})
    ledger.append(batch([again], [(0, len(events))], TOPIC_ID, money.RULES), {0: len(events) + 1})
    (tmp_path / "read_ledger.py").write_text(READ_LEDGER, "utf-8")
    argv = [sys.executable, str(tmp_path / "read_ledger.py"), str(tmp_path)]
    printed = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    rows = [[cell.strip() for cell in line.strip("│ ").split("│")] for line in printed.splitlines() if line.startswith("│")]
    with opened(tmp_path) as database:
        whole = totals_of(database)
    assert [str(whole[name]) for name in ("claims", "t_bhtt", "t_bhtt_gd")] in [row[1:4] for row in rows]
    assert whole["claims"] == 2
    assert [row[:3] for row in rows if "C99" in row] == [["again", "C99", "C"]]
