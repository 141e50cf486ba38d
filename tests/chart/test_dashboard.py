"""The dashboards ask only for what the connector measures, from whatever data source the reader chose."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connector.adapters.metrics import PREFIX, Metrics
from helm.dashboards.promql import series, whole
from helm.dashboards.written import texts
from tests.chart.engine import CHART, one, render, values_of
from tests.summary import Say

DASHBOARDS = sorted((CHART / "dashboards").glob("*.json"))
FROM_THE_SCRAPE = {"namespace", "job", "pod", "le"}

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


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """The panels that show something, without the rows between them."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def test_the_dashboards_in_the_chart_are_those_of_their_source() -> None:
    # To mend it: make dashboards
    assert {path.name: path.read_text(encoding="utf-8") for path in DASHBOARDS} == texts()
    assert texts().keys() == {"overview.json", "internals.json"}


def test_a_short_query_asks_for_what_the_reader_has_chosen() -> None:
    assert whole('sum(rate(runs_finished_total{outcome="FAILED"}[]))') == (
        'sum(rate(extend_connector_runs_finished_total{namespace=~"$namespace", job=~"$release", route=~"$route", '
        'outcome="FAILED"}[$__rate_interval]))'
    )
    assert whole("process_open_fds{}") == 'process_open_fds{namespace=~"$namespace", job=~"$release"}'


def test_a_query_for_a_metric_that_does_not_exist_is_refused() -> None:
    with pytest.raises(KeyError):
        whole("sum(runs_finnished_total{})")


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
    for panel in panels(load(path)):
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
            if known[name].kind in {"counter", "histogram"} and function != "label_values":
                assert function in {"rate", "increase"}, query
                assert "[$__rate_interval]" in query


@dashboards
def test_no_data_source_and_no_namespace_is_built_in(path: Path) -> None:
    dashboard = load(path)
    variables = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
    assert [*variables] == ["datasource", "namespace", "release", "route"]
    assert variables["datasource"]["type"] == "datasource"
    assert all(variable["current"] == {} for variable in variables.values())
    sources = [panel["datasource"] for panel in panels(dashboard)]
    sources += [target["datasource"] for panel in panels(dashboard) for target in panel["targets"]]
    sources += [variables[name]["datasource"] for name in ("namespace", "release", "route")]
    sources += [annotation["datasource"] for annotation in dashboard["annotations"]["list"]]
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)
    for key, query in strings(dashboard):
        for selectors in re.findall(r"\w+\{([^}]*)\}", query) if key == "expr" else ():
            assert selectors.startswith('namespace=~"$namespace", job=~"$release"'), query


@dashboards
def test_a_route_that_is_chosen_is_chosen_wherever_there_are_routes(path: Path) -> None:
    known = series()
    for query in queries(load(path)):
        for name, selectors in re.findall(rf"({PREFIX}\w+)\{{([^}}]*)\}}", query):
            has_route = "route" in known[name].labels
            assert ('route=~"$route"' in selectors) == (has_route and "label_values" not in query), query


@dashboards
def test_every_panel_says_what_it_shows_and_none_covers_another(path: Path) -> None:
    dashboard = load(path)
    taken: set[tuple[int, int]] = set()
    assert all(panel["description"].endswith(".") for panel in panels(dashboard))
    for panel in dashboard["panels"]:
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
        "review_documents",
        "result_detection_delay_seconds_bucket",
        "run_duration_seconds_bucket",
        "api_throttled_seconds_total",
        "budget_share",
        "sweep_state",
        "webhook_requests_total",
        "webhooks_state",
        "starts_stopped",
        "restore_seconds_bucket",
        "rebalances_total",
        "credits_total",
    ):
        assert PREFIX + name in text
    assert all(f"histogram_quantile({quantile}, " in text for quantile in (0.5, 0.95, 0.99))


def test_every_metric_is_on_a_dashboard(say: Say) -> None:
    shown = {known.name for name, known in series().items() if any(name in text for text in texts().values())}
    assert {known.name for known in series().values()} - shown == set()
    drawn = [panel for path in DASHBOARDS for panel in panels(load(path))]
    asked = sum(len(panel["targets"]) for panel in drawn)
    say(f"dashboards: {len(DASHBOARDS)}, with {len(drawn)} panels and {asked} queries, about {len(shown)} metrics")


def test_grafana_gets_the_dashboards_byte_for_byte() -> None:
    config = one(render(values_of(CHART / "ci" / "full-values.yaml")), "ConfigMap", "-dashboards")
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert config["metadata"]["annotations"] == {"grafana_folder": "Connectors"}
    rendered = {name: json.loads(text) for name, text in config["data"].items()}
    assert rendered == {f"extend-kafka-connector-{path.name}": load(path) for path in DASHBOARDS}
