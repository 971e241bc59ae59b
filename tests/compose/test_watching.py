"""Alerts and dashboards, without Prometheus or Grafana: every expression parses, and names only what the contract of metrics has."""

import json
import re
from pathlib import Path

import pytest

from hub.contract.metrics import METRICS
from hub.services import service_names

promql = pytest.importorskip("promql_parser", reason="unverified, promql-parser is not installed")
yaml = pytest.importorskip("yaml", reason="unverified, PyYAML is not installed")
ROOT = Path(__file__).parent.parent.parent
COMPOSE = ROOT / "compose"
SERIES = {one.series: one.labels for one in METRICS}
OF_PROMETHEUS = {"job", "instance"}
FOREIGN = {"up", "process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"}  # of Prometheus and its client


def alerts():
    groups = yaml.safe_load((COMPOSE / "prometheus/alerts.yaml").read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboards():
    return {path.stem: json.loads(path.read_text("utf-8")) for path in sorted((COMPOSE / "grafana/dashboards").glob("*.json"))}


def expressions():
    found = [(rule["alert"], rule["expr"]) for rule in alerts()]
    for name, board in dashboards().items():
        for panel in board["panels"]:
            found += [(f"{name}: {panel['title']}", target["expr"]) for target in panel["targets"]]
        for variable in board["templating"]["list"]:
            series = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
            found.append((f"{name}: {variable['name']}", f"sum by ({series[2]}) ({series[1]})"))
    return found


def parts(node):
    """Every selector and every grouping of an expression."""
    if isinstance(node, promql.VectorSelector):
        return [node]
    found = [node] if isinstance(node, promql.AggregateExpr) else []
    for name in ("expr", "lhs", "rhs", "vector_selector"):
        if (inner := getattr(node, name, None)) is not None:
            found += parts(inner)
    for one in getattr(node, "args", None) or []:
        found += parts(one)
    return found


def strangers(expression):
    """Names of metrics and labels in an expression, and values of labels, that the contract does not know."""
    found, groupings, known = [], set(), set(OF_PROMETHEUS)
    for part in parts(promql.parse(expression)):
        if isinstance(part, promql.AggregateExpr):
            groupings |= set(part.modifier.labels) if part.modifier is not None else set()
            continue
        if part.name in FOREIGN:
            found += [f"{part.name}{{{one.name}}}" for one in part.matchers.matchers if one.name not in OF_PROMETHEUS]
            continue
        if part.name not in SERIES:
            found.append(part.name)
            continue
        labels = SERIES[part.name]
        known |= set(labels)
        for one in part.matchers.matchers:
            if one.name not in labels:
                found += [f"{part.name}{{{one.name}}}"] if one.name not in OF_PROMETHEUS else []
            elif "$" not in one.value and labels[one.name].all is not None:
                regular = one.op in (promql.MatchOp.Re, promql.MatchOp.NotRe)
                values = one.value.split("|") if regular else [one.value]
                found += [f"{one.name}={value}" for value in values if value not in labels[one.name].all()]
    return found + sorted(groupings - known)


@pytest.mark.parametrize(("where", "expression"), expressions(), ids=lambda one: one if " " not in one else "")
def test_every_expression_parses_and_names_what_there_is(where, expression):
    assert strangers(expression) == [], where


@pytest.mark.parametrize(
    "wrong",
    [
        "hie_messages_received",  # a counter has _total
        'hie_faults_total{service="gate"}',
        'hie_faults_total{code="NO_SUCH_CODE"}',
        'sum(rate(hie_faults_total{code=~"DISK_FULL|NO_SUCH_CODE"}[5m]))',
        "sum by (facility) (hie_faults_total) > 1 and up == 1",
        'absent(hie_consumer_lag_records{group="nobody"})',
        "max(predict_linear(hie_disk_free[6h], 86400))",
    ],
)
def test_what_the_contract_does_not_know_is_found(wrong):
    assert strangers(wrong)


def test_an_expression_that_is_none_is_found():
    with pytest.raises(ValueError, match=r"."):
        promql.parse("sum by (code (hie_faults_total)")


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_every_alert_says_what_it_means_in_both_languages_and_where_to_read_what_to_do(rule):
    assert rule["labels"]["severity"] in ("warning", "critical")
    told = rule["annotations"]
    assert re.search(r"[à-ỹđ]", told["summary_vi"]) and told["summary_en"].isascii()
    page, _, heading = told["runbook"].partition("#")
    assert heading == rule["alert"].lower()
    section = (ROOT / page).read_text("utf-8").split(f"\n### {rule['alert']}\n", 1)[1].split("\n### ")[0]
    assert "**Vi:**" in section
    sums = [part for part in parts(promql.parse(rule["expr"])) if isinstance(part, promql.AggregateExpr)]
    kept = {label for part in sums if part.modifier is not None for label in part.modifier.labels}
    named = set(re.findall(r"\$labels\.(\w+)", told["summary_vi"] + told["summary_en"]))
    assert not kept or named <= kept, "a label that the sum has dropped would be empty"


def test_every_heading_of_the_page_has_its_alert():
    headings = re.findall(r"^### (\w+)$", (COMPOSE / "ALERTS.md").read_text("utf-8"), re.MULTILINE)
    assert headings == [rule["alert"] for rule in alerts()]


def test_every_service_is_asked_at_its_own_port():
    config = yaml.safe_load((COMPOSE / "prometheus/prometheus.yaml").read_text("utf-8"))
    [job] = config["scrape_configs"]
    targets = [target for group in job["static_configs"] for target in group["targets"]]
    assert job["job_name"] == "hie"
    assert set(targets) == {f"{name}:9464" for name in (*service_names(routing_workers=2), "console")}
    assert [(COMPOSE / "prometheus" / name).is_file() for name in config["rule_files"]] == [True]


def test_dashboards_load_nothing_from_elsewhere_and_have_ids_of_their_own():
    boards = dashboards()
    assert set(boards) == {"overview", "service", "insurer"}
    assert len({board["uid"] for board in boards.values()}) == len(boards)
    for board in boards.values():
        assert "http" not in json.dumps(board)
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
        assert {panel["datasource"]["uid"] for panel in board["panels"]} == {"prometheus"}
    source = yaml.safe_load((COMPOSE / "grafana/provisioning/datasources/prometheus.yaml").read_text("utf-8"))
    assert [one["uid"] for one in source["datasources"]] == ["prometheus"]
    provider = yaml.safe_load((COMPOSE / "grafana/provisioning/dashboards/hie.yaml").read_text("utf-8"))["providers"][0]
    mounts = yaml.safe_load((COMPOSE / "compose.yaml").read_text("utf-8"))["services"]["grafana"]["volumes"]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in mounts
