"""The dashboard and the alerts under examples/metrics: valid for the programs that load them, and about our metrics."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from ctpolicy.apply.record import Outcome
from ctpolicy.cli.host_metrics import PARTS
from ctpolicy.conntrack.facts import Statistics, TableFacts
from ctpolicy.metrics.exposition import text
from ctpolicy.metrics.gathering import Gathering
from ctpolicy.metrics.metric import Metric
from ctpolicy.metrics.of_changes import changes_metrics
from ctpolicy.metrics.of_conntrack import table_metrics
from ctpolicy.metrics.of_rules import BackendStatus, drift_metrics, rules_metrics
from ctpolicy.netfilter.drift import DriftKind
from metrics.promtool import promtool
from metrics.test_what_is_told import STATUS, change

EXAMPLES: Final = Path(__file__).parents[2] / "examples" / "metrics"
DASHBOARD: Final[dict[str, Any]] = json.loads((EXAMPLES / "grafana-dashboard.json").read_text())
ALERTS: Final[dict[str, Any]] = yaml.safe_load((EXAMPLES / "alerts.yml").read_text())
ALERT_TESTS: Final[dict[str, Any]] = yaml.safe_load((EXAMPLES / "alerts-test.yml").read_text())
RULES: Final[list[dict[str, Any]]] = [rule for group in ALERTS["groups"] for rule in group["rules"]]
TARGETS: Final = [(panel, target) for panel in DASHBOARD["panels"] for target in panel["targets"]]

_COLUMNS: Final = 24
_IN_GRAFANA: Final = {"$__rate_interval": "5m", "$instance": ".*"}


def every_metric() -> tuple[Metric, ...]:
    """All that `ctpolicy metrics` may tell, with a sample or more of each."""
    backends = [BackendStatus(STATUS, is_desired=True), BackendStatus(replace(STATUS, backend="iptables-nft"), False)]
    facts = TableFacts(True, 5, 100, 64, statistics=Statistics(*range(10)))
    told = [
        *rules_metrics(backends),
        *drift_metrics(backends),
        *changes_metrics([change(1, Outcome.DONE)], "now"),
        *table_metrics(facts),
    ]
    return Gathering({PARTS[0]: lambda: told}, PARTS).gather().metrics


NAMES: Final = {metric.name for metric in every_metric()}
LABELS: Final = {metric.name: {"instance", "job", *metric.labels} for metric in every_metric()}


def expressions() -> Iterator[str]:
    """Every expression of the alerts and of the dashboard, without what Grafana puts in."""
    for rule in RULES:
        yield str(rule["expr"])
    for _, target in TARGETS:
        yield in_prometheus(target["expr"])


def in_prometheus(expression: str) -> str:
    for variable, value in _IN_GRAFANA.items():
        expression = expression.replace(variable, value)
    return expression


def test_metrics_are_as_prometheus_advises() -> None:
    assert promtool("check", "metrics", stdin=text(every_metric())) == ""


def test_promtool_would_find_a_fault() -> None:
    with pytest.raises(AssertionError, match="counter metrics should have"):
        promtool("check", "metrics", stdin=b"# HELP drops Drops.\n# TYPE drops counter\ndrops 1\n")


def test_alert_rules_are_valid() -> None:
    assert f"{len(RULES)} rules found" in promtool("check", "rules", EXAMPLES / "alerts.yml")


def test_alerts_fire_when_they_should_and_only_then() -> None:
    assert "SUCCESS" in promtool("test", "rules", EXAMPLES / "alerts-test.yml")


def test_every_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    cases = [case for test in ALERT_TESTS["tests"] for case in test["alert_rule_test"]]
    named = {rule["alert"] for rule in RULES}
    assert {case["alertname"] for case in cases if case.get("exp_alerts")} == named
    assert {case["alertname"] for case in cases if not case.get("exp_alerts")} == named


def test_alert_tests_can_fail(tmp_path: Path) -> None:
    (tmp_path / "alerts.yml").write_text((EXAMPLES / "alerts.yml").read_text().replace("> 0.9", "> 0.99"))
    (tmp_path / "alerts-test.yml").write_text((EXAMPLES / "alerts-test.yml").read_text())
    with pytest.raises(AssertionError, match="ConntrackTableAlmostFull"):
        promtool("test", "rules", tmp_path / "alerts-test.yml")


@pytest.mark.parametrize("expression", list(expressions()))
def test_expression_is_about_our_metrics_and_their_labels(expression: str) -> None:
    names = set(re.findall(r"\b(?:ctpolicy|node)_\w+", expression))
    assert names != set()
    assert {name for name in names if name.startswith("ctpolicy_")} <= NAMES
    for name, selected in re.findall(r"(ctpolicy_\w+)\{([^}]*)\}", expression):
        assert set(re.findall(r"(\w+)=", selected)) <= LABELS[name]


@pytest.mark.parametrize("kind", re.findall(r'kind="(\w+)"', "".join(expressions())))
def test_kinds_that_are_named_are_ours(kind: str) -> None:
    assert kind in {one.value for one in DriftKind}


def test_every_metric_is_used_or_said_to_be_for_yourself() -> None:
    used = set(re.findall(r"ctpolicy_\w+", " ".join(expressions()) + json.dumps(DASHBOARD["templating"])))
    assert NAMES - used == {
        "ctpolicy_conntrack_buckets",
        "ctpolicy_conntrack_loaded",
        "ctpolicy_conntrack_found_total",
        "ctpolicy_conntrack_inserts_total",
    }


def test_expressions_of_the_dashboard_are_valid(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{at}", "expr": in_prometheus(target["expr"])} for at, (_, target) in enumerate(TARGETS)]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(TARGETS)} rules found" in promtool("check", "rules", tmp_path / "rules.yml")


def test_labels_in_legends_are_in_the_answer() -> None:
    for panel, target in TARGETS:
        names = re.findall(r"ctpolicy_\w+", target["expr"])
        grouped = re.search(r"by \(([^)]*)\)", target["expr"])
        labels = set(grouped[1].split(", ")) if grouped else set.intersection(*(LABELS[name] for name in names))
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= labels, panel["title"]


def lost(ours: Any, theirs: Any, path: str = "") -> Iterator[str]:
    """What of ours is not in theirs, or is otherwise."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            yield from lost(value, theirs[key], f"{path}.{key}") if key in theirs else [f"{path}.{key}"]
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for at, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from lost(one, other, f"{path}[{at}]")
    elif ours != theirs:
        yield f"{path}: {ours!r} is {theirs!r}"


def through_grafanas_types(dashboard: dict[str, Any]) -> Any:
    register_default_plugins()
    return json.loads(json.dumps(Dashboard.from_json(dashboard), cls=JSONEncoder))


def test_dashboard_is_one_of_grafanas_schema() -> None:
    """Whatever Grafana 11.6 does not know, or knows as something else, would not come back."""
    assert list(lost(DASHBOARD, through_grafanas_types(DASHBOARD))) == []


def test_what_is_none_of_grafanas_schema_is_found() -> None:
    faulty = json.loads(json.dumps(DASHBOARD))
    faulty["panels"][0]["gridPosition"] = {}
    faulty["panels"][0]["options"]["colourMode"] = "value"
    found = list(lost(faulty, through_grafanas_types(faulty)))
    assert found == [".panels[0].options.colourMode", ".panels[0].gridPosition"]


def test_panels_have_room_and_numbers_of_their_own() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        for place in (panel["gridPos"] for panel in panels)
    ]
    assert all(one.isdisjoint(other) for one, other in combinations(cells, 2))
    assert max(x for one in cells for x, _ in one) < _COLUMNS


def test_every_panel_asks_the_data_source_that_is_chosen_and_the_hosts() -> None:
    names = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    assert names == {"datasource", "instance"}
    for panel, target in TARGETS:
        assert panel["datasource"] == target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert 'instance=~"$instance"' in target["expr"]
    assert DASHBOARD.get("id") is None
