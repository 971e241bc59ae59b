"""The contract of metrics: the table for people, the contract, and what is counted are one; no label is without bounds."""

import ast
import inspect
import re
from pathlib import Path

import pytest
from prometheus_client import Counter, Gauge
from prometheus_client.parser import text_string_to_metric_families

from hub.contract import telemetry
from hub.contract.metrics import DIALECT, METRICS, STAGE, STANDING, table

ROOT = Path(__file__).parent.parent.parent.parent
PAGE = (ROOT / "hub/contract/METRICS.md").read_text("utf-8")
BY_NAME = {one.name: one for one in METRICS}


def test_the_page_is_the_contract():
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    assert rows == table().splitlines()


def test_the_page_names_every_log_line():
    section = PAGE.split("## Log lines")[1]
    assert set(re.findall(r"`([a-z_]+)`", section)) - {"logs", "event", "level", "timestamp"} == telemetry.EVENTS


def test_the_contract_is_what_is_counted():
    counted = [one for one in vars(telemetry).values() if isinstance(one, Counter | Gauge)]
    assert {one._name for one in counted} | set(STANDING) == set(BY_NAME)
    for one in counted:
        row = BY_NAME[one._name]
        assert (one._type, one._documentation, one._labelnames) == (row.kind, row.meaning, tuple(row.labels)), one._name
    told = {family.name for family in text_string_to_metric_families(telemetry.metrics().decode())}
    assert {name for name in told if name.startswith("hie_")} <= set(BY_NAME)


def test_what_stands_is_told_as_the_contract_names_it():
    for name, row in STANDING.items():
        labels = tuple(sorted(values.all())[0] for values in row.labels.values())
        telemetry.stands(name, {labels: 7})
        [family] = [one for one in text_string_to_metric_families(telemetry.metrics().decode()) if one.name == name]
        assert (family.type, [(sample.labels, sample.value) for sample in family.samples]) == (
            "gauge",
            [(dict(zip(row.labels, labels, strict=True)), 7.0)],
        )
        telemetry.stands(name, {})
        assert f"\n{name}" not in telemetry.metrics().decode()


@pytest.mark.parametrize("metric", METRICS, ids=lambda one: one.name)
def test_every_label_has_an_end(metric):
    for label, values in metric.labels.items():
        assert values.says, label
        if values.all is None:
            assert (metric.name, label) in {("hie_messages_received", "dialect"), ("hie_gateway_calls_refused", "call")}
        else:
            assert 0 < len(values.all()) < 1_000
    assert DIALECT.all is None


def calls():
    """Every call of telemetry with its literal first arguments, and where it stands."""
    for package in ("hub", "adapters"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and isinstance(node.func.value, ast.Name)
                    and node.func.value.id == "telemetry"
                ):
                    words = [one.value if isinstance(one, ast.Constant) else None for one in node.args]
                    yield node.func.attr, words, f"{path.name}:{node.lineno}"


def test_stages_and_codes_that_the_code_names_are_in_the_contract():
    codes = BY_NAME["hie_faults"].labels["code"].all()
    for name, words, place in calls():
        if name in ("fault", "dead_lettered", "event_published", "message_unconfirmed") and words and words[0] is not None:
            assert words[0] in STAGE.all(), place
        if name in ("fault", "dead_lettered") and len(words) > 1 and words[1] is not None:
            assert words[1] in codes, place


def test_the_stages_that_modules_name_are_in_the_contract():
    named = set()
    for package in ("hub", "adapters"):
        for path in (ROOT / package).rglob("*.py"):
            named |= set(re.findall(r'^_?STAGE: Final = "([^"]+)"', path.read_text("utf-8"), re.MULTILINE))
    assert named and named <= STAGE.all()


def test_every_log_line_is_declared():
    tree = ast.parse(inspect.getsource(telemetry))
    logged = {
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "_log"
    }
    assert logged == telemetry.EVENTS
    others = [
        path.relative_to(ROOT).as_posix()
        for package in ("hub", "adapters")
        for path in (ROOT / package).rglob("*.py")
        if "structlog" in path.read_text("utf-8")
    ]
    assert others == ["hub/contract/telemetry.py"], "log lines are written there alone"
