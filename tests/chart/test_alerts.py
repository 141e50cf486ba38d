"""The alerts fire when they should and not otherwise, lead to the runbook, and reach the operator for one release."""

from __future__ import annotations

import json
import math
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from connector.adapters.metrics import PREFIX
from helm.dashboards.promql import series
from tests.chart.alert_cases import CASES, Case, Series
from tests.chart.engine import CHART, Manifest, one, pod_name, render, smallest, values_of
from tests.summary import Say
from tests.test_docs import ROOT, anchors

ALERTS = CHART / "alerts.yaml"
LABELS_OF_THE_SCRAPE = {"namespace", "job", "pod", "instance", "le"}
EVERY = 'namespace=~".*"'


def groups() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return found


def rules() -> list[dict[str, Any]]:
    return [rule for group in groups() for rule in group["rules"]]


def alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


each_alert = pytest.mark.parametrize("name", alerts())


@each_alert
def test_an_alert_says_what_happened_how_bad_it_is_and_where_to_read_on(name: str) -> None:
    rule = alerts()[name]
    assert re.fullmatch(r"Extend[A-Z][A-Za-z]+", name)
    assert rule["labels"]["severity"] in {"page", "ticket", "info"}
    assert rule["annotations"]["summary"].endswith(".")
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert page == "docs/runbook.md"
    assert anchor in anchors(ROOT / page)
    section = (ROOT / page).read_text(encoding="utf-8").split(f"`{name}`")
    assert len(section) > 1, "the runbook does not name it"


def test_the_runbook_speaks_of_no_alert_that_does_not_exist() -> None:
    page = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`(Extend[A-Z]\w+)`", page)) == alerts().keys()


def test_every_metric_and_label_in_a_rule_exists() -> None:
    known = series()
    asked = 0
    for rule in rules():
        for name, selectors in re.findall(rf"({PREFIX}\w+)\{{([^}}]*)\}}", rule["expr"]):
            labels = set(re.findall(r"(\w+)\s*[=!]~?\"", selectors))
            assert labels <= {*known[name].labels, *LABELS_OF_THE_SCRAPE}, rule
            assert selectors.startswith(EVERY), "the chart could not limit it to a release"
            asked += 1
        bare = re.findall(rf"(?<!job:)\b{PREFIX}\w+(?![\w{{:])", rule["expr"])
        assert bare == [], "a metric without its selector"
    assert asked > 50


def test_no_alert_about_age_lets_one_pod_hide_another() -> None:
    about_age = [rule["expr"] for rule in rules() if "time() -" in rule["expr"]]
    assert len(about_age) == 2
    assert not [expr for expr in about_age if re.search(r"time\(\) - (?:max|avg|sum)\b", expr)]


def test_promtool_finds_nothing_wrong(promtool: Path) -> None:
    done = subprocess.run(
        [promtool, "check", "rules", "--lint-fatal", ALERTS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout


# Firing and silent.


def test_every_alert_has_a_world_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    assert [case.alert for case in CASES] == [*alerts()]
    assert all(case.fires and case.silent for case in CASES)


def whole(name: str) -> str:
    """A series by its short name, of one pod unless its labels name another."""
    metric, _, labels = name.partition("{")
    full = metric if metric == "up" else PREFIX + metric
    pod = {"namespace": "documents", "job": "connector", "instance": "a:8080", "pod": "connector-0"}
    every = pod | dict(re.findall(r'(\w+)="([^"]*)"', labels))
    pairs = ", ".join(f'{label}="{value}"' for label, value in every.items())
    return f"{full}{{{pairs}}}"


def promtool_test(case: Case, world: Series, *, fires: bool) -> dict[str, Any]:
    asked = [_expects(f'group(ALERTS{{alertname="{case.alert}", alertstate="firing"}})', case, 1 if fires else None)]
    patience = minutes(alerts()[case.alert].get("for", "0m"))
    if fires and patience:
        # Before it fired it was pending, for just as long as it says.
        pending = f'max(count_over_time(ALERTS{{alertname="{case.alert}", alertstate="pending"}}[{case.at}m]))'
        asked.append(_expects(pending, case, math.ceil(patience / case.pace)))
    return {
        "name": f"{case.alert} {'fires' if fires else 'is silent'}",
        "interval": f"{case.step}m",
        "input_series": [{"series": whole(name), "values": values} for name, values in world.items()],
        "promql_expr_test": asked,
    }


def _expects(expr: str, case: Case, value: int | None) -> dict[str, Any]:
    samples = [] if value is None else [{"labels": "{}", "value": value}]
    return {"expr": expr, "eval_time": f"{case.at}m", "exp_samples": samples}


def minutes(duration: str) -> int:
    return int(duration[:-1]) * {"m": 1, "h": 60}[duration[-1]]


def promtool_tests(case: Case) -> Iterator[dict[str, Any]]:
    for fires, worlds in ((True, case.fires), (False, case.silent)):
        yield from (promtool_test(case, world, fires=fires) for world in worlds)


def run_tests(
    promtool: Path, folder: Path, case: Case, tests: list[dict[str, Any]]
) -> subprocess.CompletedProcess[str]:
    """Run tests of one case, with the rules of its group alone: all of them would take ten times as long."""
    (group,) = [group for group in groups() if case.alert in {rule.get("alert") for rule in group["rules"]}]
    (folder / "rules.yaml").write_text(json.dumps({"groups": [group]}), encoding="utf-8")
    file = {"rule_files": ["rules.yaml"], "evaluation_interval": f"{case.pace}m", "tests": tests}
    path = folder / "tests.yaml"
    path.write_text(json.dumps(file), encoding="utf-8")
    return subprocess.run([promtool, "test", "rules", path], capture_output=True, text=True, check=False)


def test_every_alert_fires_in_its_worlds_and_stays_silent_in_the_others(
    promtool: Path, tmp_path: Path, say: Say
) -> None:
    for case in CASES:
        done = run_tests(promtool, tmp_path, case, [*promtool_tests(case)])
        assert done.returncode == 0, f"{case.alert}: {done.stdout}{done.stderr}"
    fires, silent = sum(len(case.fires) for case in CASES), sum(len(case.silent) for case in CASES)
    say(f"alerts: {len(CASES)}, which fire in {fires} worlds and stay silent in {silent}")


def test_that_a_case_that_is_wrong_would_be_noticed(promtool: Path, tmp_path: Path) -> None:
    (case,) = [case for case in CASES if case.alert == "ExtendDocumentsParked"]
    for world, fires in ((case.fires[0], False), (case.silent[0], True)):
        assert run_tests(promtool, tmp_path, case, [promtool_test(case, world, fires=fires)]).returncode != 0


# In the chart.


def rendered(**values: object) -> list[Manifest]:
    smallest = values_of(CHART / "ci" / "smallest-values.yaml")
    return render({**smallest, "metrics": {"prometheusRule": {"enabled": True, **values}}})


def rendered_rules(**values: object) -> list[dict[str, Any]]:
    spec = one(rendered(**values), "PrometheusRule")["spec"]
    return [rule for group in spec["groups"] for rule in group["rules"]]


def test_rules_are_off_by_default() -> None:
    kinds = {manifest["kind"] for manifest in render(values_of(CHART / "ci" / "smallest-values.yaml"))}
    assert "PrometheusRule" not in kinds


def test_the_chart_brings_every_rule_for_the_pods_of_its_release_alone() -> None:
    found = rendered_rules()
    assert [rule.get("alert") or rule["record"] for rule in found] == [
        rule.get("alert") or rule["record"] for rule in rules()
    ]
    texts = [rule["expr"] for rule in found]
    selectors = [selector for text in texts for selector in re.findall(r"\{((?:\{5\}|[^}])*)\}", text)]
    assert len(selectors) > 50
    assert all(selector.startswith('namespace="documents", pod=~"release-') for selector in selectors)
    (pods,) = set(re.findall(r'pod=~"([^"]+)"', " ".join(texts)))
    release = "release-extend-kafka-connector"
    assert all(re.fullmatch(pods, pod_name(each)) for each in (release, f"{release}-webhook"))
    assert not any(re.fullmatch(pods, pod_name(each)) for each in (f"{release}-other", f"other-{release}"))
    assert not any(re.fullmatch(pods, f"{release}-{each}") for each in ("redis-0", "x2x94", "webhook-0"))


@pytest.mark.parametrize("generation", ["6d5f8b7c9d", "7c9d8b5f"])
def test_the_pods_of_a_release_are_found_however_long_its_name(generation: str) -> None:
    asked = set()
    for length in range(30, 53):
        name = "x" * length
        rule_values = {"prometheusRule": {"enabled": True}}
        spec = one(render(smallest(fullnameOverride=name, metrics=rule_values)), "PrometheusRule")["spec"]
        (pods,) = set(re.findall(r'pod=~"([^"]+)"', json.dumps(spec).replace('\\"', '"')))
        for deployment in (name, f"{name}-webhook"):
            pod = pod_name(deployment, generation=generation)
            assert re.fullmatch(pods, pod), deployment
            assert not re.fullmatch(pods, pod.replace("x" * 30, "y" * 30, 1))
            asked.add(len(pod))
    assert max(asked) == 63, "no name was cut"


@pytest.mark.parametrize(
    ("values", "missing"),
    [
        ({"replicas": 1}, True),
        ({"replicas": 0}, False),
        ({"autoscaling": {"minReplicas": 1}}, True),
        ({"autoscaling": {"minReplicas": 0}}, False),
    ],
    ids=["one worker", "no worker", "one to scale from", "none to scale from"],
)
def test_no_worker_is_an_alarm_only_where_there_is_always_one(values: dict[str, Any], *, missing: bool) -> None:
    given = values_of("autoscaling" if "autoscaling" in values else "smallest")
    given["metrics"] = {"prometheusRule": {"enabled": True}}
    for name, value in values.items():
        given[name] = {**given[name], **value} if isinstance(value, dict) else value
    spec = one(render(given), "PrometheusRule")["spec"]
    found = {rule["alert"] for group in spec["groups"] for rule in group["rules"] if "alert" in rule}
    assert alerts().keys() - found == (set() if missing else {"ExtendConnectorMissing"})


def test_alerts_can_be_left_out_labelled_and_led_to_another_runbook() -> None:
    found = rendered_rules(
        disabled=["ExtendIdleWorkers"],
        alertLabels={"team": "documents", "severity": "critical"},
        runbook="https://docs.example.com/runbook.md",
        longestRunSeconds=28800,
    )
    by_name = {rule["alert"]: rule for rule in found if "alert" in rule}
    assert by_name.keys() == alerts().keys() - {"ExtendIdleWorkers"}
    for name, rule in by_name.items():
        assert rule["labels"] == {"team": "documents", "severity": "critical"}
        assert rule["annotations"]["runbook_url"].startswith("https://docs.example.com/runbook.md#")
        assert rule["annotations"]["summary"] == alerts()[name]["annotations"]["summary"]
        assert rule.get("for") == alerts()[name].get("for")
    assert "> 28800" in by_name["ExtendRunStuck"]["expr"]


def test_prometheus_takes_what_the_chart_renders(promtool: Path, tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(one(rendered(), "PrometheusRule")["spec"]), encoding="utf-8")
    done = subprocess.run([promtool, "check", "rules", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{len(rules())} rules found" in done.stdout
