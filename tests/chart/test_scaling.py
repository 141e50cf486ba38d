"""The queries of the ScaledObject, evaluated by Prometheus' own engine, ask for the number of workers that is right."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from connector.adapters.metrics import PREFIX
from tests.chart.engine import Manifest, config, one, pod_name, render, smallest, values_of
from tests.summary import Count

POD = "release-extend-kafka-connector"
LIMIT = 5000
Series = Mapping[str, float]


def triggers(**autoscaling: object) -> list[Manifest]:
    values = values_of("autoscaling")
    changed = {**values, "autoscaling": {**values["autoscaling"], **autoscaling}}
    found: list[Manifest] = one(render(changed), "ScaledObject")["spec"]["triggers"]
    return found


def workers(*in_flight: int, pod: str = POD, namespace: str = "documents") -> dict[str, float]:
    """What so many workers show."""
    shown: dict[str, float] = {}
    for number, documents in enumerate(in_flight):
        labels = f'{{namespace="{namespace}", pod="{pod_name(pod, number)}"}}'
        shown |= {f"{PREFIX}runs_in_flight{labels}": documents, f"{PREFIX}runs_in_flight_limit{labels}": LIMIT}
    return shown


def evaluate(promtool: Path, folder: Path, trigger: Manifest, world: Series, expected: float | None) -> None:
    """Fails unless the query of a trigger has this value in this world; None: no value."""
    samples = [] if expected is None else [{"labels": "{}", "value": expected}]
    query = trigger["metadata"]["query"]
    test: dict[str, Any] = {
        "interval": "1m",
        "input_series": [{"series": name, "values": str(value)} for name, value in world.items()],
        "promql_expr_test": [{"expr": query, "eval_time": "0m", "exp_samples": samples}],
    }
    path = folder / "tests.yaml"
    path.write_text(json.dumps({"rule_files": [], "tests": [test]}), encoding="utf-8")
    done = subprocess.run([promtool, "test", "rules", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


OTHERS = {
    **workers(LIMIT, pod=f"{POD}-webhook"),
    **workers(LIMIT, pod=f"other-{POD}"),
    **workers(LIMIT, namespace="elsewhere"),
}


@pytest.mark.parametrize(
    ("in_flight", "full"),
    [((0,), 0), ((2500,), 0.5), ((5000, 2000), 1.4), ((5000, 5000, 5000), 3)],
    ids=["idle", "half", "two", "three"],
)
def test_the_documents_in_flight_are_counted_in_full_workers(
    in_flight: tuple[int, ...], full: float, promtool: Path, tmp_path: Path, count: Count
) -> None:
    trigger, _ = triggers()
    evaluate(promtool, tmp_path, trigger, {**workers(*in_flight), **OTHERS}, full)
    count("chart: worlds in which a query of autoscaling was evaluated", str(in_flight))


@pytest.mark.parametrize("length", [46, 47, 52])
def test_pods_of_a_long_name_are_counted_and_an_ingress_is_no_worker(
    length: int, promtool: Path, tmp_path: Path
) -> None:
    name = "documents-from-the-archive-of-all-the-subsidiaries-in-europe"[:length].rstrip("-").ljust(length, "x")
    given = {**values_of("autoscaling"), "fullnameOverride": name}
    trigger, _ = one(render(given), "ScaledObject")["spec"]["triggers"]
    ingress = dict.fromkeys(workers(0, pod=f"{name}-webhook"), 0.0)
    evaluate(promtool, tmp_path, trigger, {**workers(5000, 2000, pod=name), **ingress, **OTHERS}, 1.4)
    evaluate(promtool, tmp_path, trigger, {**ingress, **OTHERS}, None)


def test_that_a_wrong_number_would_be_noticed(promtool: Path, tmp_path: Path) -> None:
    trigger, _ = triggers()
    with pytest.raises(AssertionError, match="got"):
        evaluate(promtool, tmp_path, trigger, workers(2500), 0.75)


@pytest.mark.parametrize("fewest", [0, 1])
def test_no_figures_are_no_figure_and_not_an_idle_worker(fewest: int, promtool: Path, tmp_path: Path) -> None:
    # A Prometheus that scrapes nobody must not send workers away that follow runs.
    trigger, _ = triggers(minReplicas=fewest)
    assert trigger["metadata"]["ignoreNullValues"] == "false"
    evaluate(promtool, tmp_path, trigger, OTHERS, None)


@pytest.mark.parametrize(("lag", "asked"), [(0, 0), (1, 1), (1_000_000, 1)])
def test_a_backlog_of_any_size_wakes_one_worker(lag: int, asked: int, promtool: Path, tmp_path: Path) -> None:
    _, trigger = triggers()
    assert trigger["metadata"]["threshold"] == "1"
    series = 'kminion_kafka_consumer_group_topic_lag{group_id="documents", topic_name="documents"}'
    evaluate(promtool, tmp_path, trigger, {series: lag}, asked)


@pytest.mark.parametrize(("percent", "threshold"), [(70, "0.7"), (50, "0.5"), (95, "0.95")])
def test_how_full_a_worker_shall_be_is_the_threshold(percent: int, threshold: str) -> None:
    trigger, *_ = triggers(saturation=percent)
    assert trigger["metadata"]["threshold"] == threshold


def test_the_limit_of_the_query_is_the_one_that_workers_show_and_not_a_copy() -> None:
    values = smallest(
        config=config(start={"max_in_flight": 123}),
        autoscaling={"enabled": True, "prometheusAddress": "http://prometheus:9090"},
    )
    assert "123" not in json.dumps(one(render(values), "ScaledObject")["spec"]["triggers"])
