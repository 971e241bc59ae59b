"""Happenings: each writes its line and its counter."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
import structlog
from prometheus_client import REGISTRY

from hub.contract import telemetry


@pytest.fixture
def lines(capsys):
    """The log lines written since, as `configure` has them written."""
    before = structlog.get_config()

    def read():
        return [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    yield read
    structlog.configure(**before)


def count(name, **labels):
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_a_happening_writes_one_json_line_and_counts(lines):
    telemetry.configure("info")
    before = count("hie_faults_total", stage="test", code="DISK_FULL")
    telemetry.fault("test", "DISK_FULL", "raw store")
    assert count("hie_faults_total", stage="test", code="DISK_FULL") == before + 1
    [line] = lines()
    assert (line["event"], line["level"], line["code"], line["where"]) == ("fault", "warning", "DISK_FULL", "raw store")


def test_lines_below_the_level_are_left_out_and_still_counted(lines):
    telemetry.configure("error")
    before = count("hie_mllp_links_closed_total", reason="idle")
    telemetry.link_closed(0, "idle")
    assert count("hie_mllp_links_closed_total", reason="idle") == before + 1 and lines() == []


@pytest.mark.parametrize("broken", ["full", "closed"])
def test_a_line_that_cannot_be_written_is_lost_and_nothing_else(lines, monkeypatch, broken):
    telemetry.configure("info")
    before = count("hie_faults_total", stage="test", code="DISK_FULL")
    with monkeypatch.context() as patch, suppress(OSError), Path("/dev/full").open("w") as full:
        if broken == "closed":
            full.close()
        patch.setattr("sys.stderr", full)
        telemetry.fault("test", "DISK_FULL")
        telemetry.fault("test", "DISK_FULL")
    assert count("hie_faults_total", stage="test", code="DISK_FULL") == before + 2
    telemetry.fault("test", "DISK_FULL")
    assert len(lines()) == 1


def test_bytes_in_are_counted_by_what_became_of_them():
    kinds = ("in", "framed", "quarantined", "padding")
    before = {kind: count("hie_mllp_bytes_total", kind=kind) for kind in kinds}
    telemetry.bytes_counted(10, 6, 3, 1)
    grown = {kind: count("hie_mllp_bytes_total", kind=kind) - before[kind] for kind in kinds}
    assert grown == {"in": 10, "framed": 6, "quarantined": 3, "padding": 1}
    assert b"hie_mllp_bytes_total" in telemetry.metrics()
