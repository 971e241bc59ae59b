"""The page about reading the ledger: its programs run, and it lists every question."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import hub.insurer
from hub.insurer.questions import QUESTIONS
from tests.hub.insurer.small_ledger import small_ledger

PAGE = (Path(hub.insurer.__file__).parent / "LEDGER.md").read_text("utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


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
            ["01004 ACCEPTED 1 24000.00 24000.00", "01021 ACCEPTED 3 64000.00 64000.00", "01021 REDUCED 1 32000.00 24000.00", "01021 REJECTED 1 24000.00 0.00"],
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
