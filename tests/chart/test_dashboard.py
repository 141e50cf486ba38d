"""The dashboards ask only for what the connector measures, from whatever data source the reader chose."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connector.adapters.metrics import PREFIX, Definition, Metrics
from tests.chart.engine import CHART, one, render, values_of

DASHBOARDS = sorted((CHART / "dashboards").glob("*.json"))
FROM_THE_SCRAPE = {"namespace", "pod", "le"}

dashboards = pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)


def load(path: Path) -> dict[str, Any]:
    dashboard: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return dashboard


def strings(node: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Every string of a dashboard, with the key it stands under."""
    if isinstance(node, dict):
        for name, inner in node.items():
            yield from strings(inner, name)
    elif isinstance(node, list):
        for inner in node:
            yield from strings(inner, key)
    elif isinstance(node, str):
        yield key, node


def queries(dashboard: dict[str, Any]) -> list[str]:
    return [text for key, text in strings(dashboard) if key in {"expr", "query"} and PREFIX in text]


def series() -> dict[str, Definition]:
    """Every series name that a scrape has, and the metric that it belongs to."""
    suffixes = {"counter": ("",), "gauge": ("",), "info": ("",), "histogram": ("_bucket", "_sum", "_count")}
    return {
        definition.name + suffix: definition
        for definition in Metrics().definitions
        for suffix in suffixes[definition.kind]
    }


def test_there_is_an_overview() -> None:
    assert "overview" in {path.stem for path in DASHBOARDS}


@dashboards
def test_every_metric_that_is_queried_exists(path: Path) -> None:
    known = series()
    asked = [name for query in queries(load(path)) for name in re.findall(rf"{PREFIX}\w+", query)]
    assert len(set(asked)) >= 10
    assert set(asked) <= known.keys()


def test_the_series_are_those_of_a_real_scrape() -> None:
    metrics = Metrics()
    metrics.prepare(routes=["a"], inputs=["b"], outputs=["c"])
    scraped = set(re.findall(rf"^({PREFIX}\w+)", metrics.render()[0].decode(), flags=re.MULTILINE))
    assert len(scraped) > 20
    assert scraped <= series().keys()


@dashboards
def test_every_label_that_is_used_exists_on_its_metric(path: Path) -> None:
    known = series()
    checked = 0
    for query in queries(load(path)):
        for grouping, name in re.findall(rf"by \(([^)]+)\) \((?:\w+\()*({PREFIX}\w+)", query):
            assert {label.strip() for label in grouping.split(",")} <= {*known[name].labels, *FROM_THE_SCRAPE}, query
            checked += 1
        for name, selectors in re.findall(rf"({PREFIX}\w+)\{{([^}}]*)\}}", query):
            labels = set(re.findall(r"(\w+)\s*[=!]~?", selectors))
            assert labels <= {*known[name].labels, *FROM_THE_SCRAPE}, query
            checked += 1
    assert checked >= 15


@dashboards
def test_a_legend_uses_only_labels_that_its_query_keeps(path: Path) -> None:
    for panel in load(path)["panels"]:
        for target in panel["targets"]:
            kept = {
                label for group in re.findall(r"by \(([^)]+)\)", target["expr"]) for label in re.split(r",\s*", group)
            }
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= kept, target["expr"]


@dashboards
def test_counters_and_histograms_are_read_as_rates(path: Path) -> None:
    known = series()
    for query in queries(load(path)):
        for function, name in re.findall(rf"(\w+)\(({PREFIX}\w+)", query):
            if known[name].kind in {"counter", "histogram"}:
                assert function in {"rate", "increase"}, query
                assert "[$__rate_interval]" in query


@dashboards
def test_no_data_source_and_no_namespace_is_built_in(path: Path) -> None:
    dashboard = load(path)
    variables = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert variables["namespace"]["type"] == "query"
    assert all(variable["current"] == {} for variable in variables.values())
    sources = [panel["datasource"] for panel in dashboard["panels"]]
    sources += [target["datasource"] for panel in dashboard["panels"] for target in panel["targets"]]
    sources.append(variables["namespace"]["datasource"])
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)
    for panel in dashboard["panels"]:
        assert all('namespace=~"$namespace"' in target["expr"] for target in panel["targets"]), panel["title"]


@dashboards
def test_every_panel_says_what_it_shows_and_none_covers_another(path: Path) -> None:
    dashboard = load(path)
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        assert panel["description"].endswith("."), panel["title"]
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_the_overview_answers_the_questions_of_an_operator() -> None:
    (overview,) = [load(path) for path in DASHBOARDS if path.stem == "overview"]
    text = " ".join(queries(overview))
    for name in (
        "runs_finished_total",
        "consumer_lag_records",
        "runs_in_flight",
        "runs_in_flight_limit",
        "end_to_end_duration_seconds_bucket",
        "api_requests_total",
        "dead_letters_total",
        "parked_documents",
    ):
        assert PREFIX + name in text
    assert all(f"histogram_quantile({quantile}, " in text for quantile in (0.5, 0.95, 0.99))


def test_grafana_gets_the_dashboards_byte_for_byte() -> None:
    config = one(render(values_of(CHART / "ci" / "full-values.yaml")), "ConfigMap", "-dashboards")
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert config["metadata"]["annotations"] == {"grafana_folder": "Connectors"}
    rendered = {name: json.loads(text) for name, text in config["data"].items()}
    assert rendered == {f"extend-kafka-connector-{path.name}": load(path) for path in DASHBOARDS}
