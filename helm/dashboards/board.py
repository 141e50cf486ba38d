"""A whole dashboard: rows of panels, laid out from left to right, and the variables that every query uses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from helm.dashboards.panels import Json, Panel
from helm.dashboards.promql import whole

Rows = Mapping[str, Sequence[Panel]]

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
COLUMNS = 24


def board(name: str, says: str, rows: Rows) -> Json:
    """A dashboard as Grafana reads it.

    Args:
        name: its file's name and the last part of its identity, which links and bookmarks keep.
        says: one sentence about it.
        rows: panels by the title of their row.
    """
    return {
        "uid": f"extend-kafka-connector-{name}",
        "title": f"Extend Kafka connector: {name}",
        "description": says,
        "tags": ["kafka", "extend"],
        "editable": True,
        "graphTooltip": 1,
        "schemaVersion": 39,
        "version": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "",
        "annotations": {"list": [*_annotations()]},
        "links": [
            {
                "title": "Connector's dashboards",
                "type": "dashboards",
                "tags": ["kafka", "extend"],
                "asDropdown": False,
                "includeVars": True,
                "keepTime": True,
            }
        ],
        "templating": {"list": [*_variables()]},
        "panels": [*_laid_out(rows)],
    }


def _variables() -> Iterator[Json]:
    yield {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "current": {},
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "refresh": 1,
        "options": [],
    }
    # Prometheus' job names the release: in Kubernetes its PodMonitor, elsewhere what the scrape configuration says.
    yield _asked("namespace", "Namespace", "label_values(extend_connector_build_info, namespace)", ".*")
    yield _asked("release", "Release", 'label_values(extend_connector_build_info{namespace=~"$namespace"}, job)', None)
    chosen = 'namespace=~"$namespace", job=~"$release"'
    yield _asked("route", "Route", f"label_values(extend_connector_runs_started_total{{{chosen}}}, route)", ".*")


def _asked(name: str, label: str, query: str, every: str | None) -> Json:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "current": {},
        "hide": 0,
        "includeAll": True,
        "multi": True,
        "refresh": 2,
        "sort": 1,
        "options": [],
        # Without a text for all, Grafana sends the values: process_* has the same names in all the programs that
        # Prometheus watches, and `.*` would take them all.
        **({} if every is None else {"allValue": every}),
    }


def _annotations() -> Iterator[Json]:
    for name, colour, query in (
        ("Processes started", "blue", "count by (pod) (time() - process_start_time_seconds{} < 60)"),
        ("Partitions moved", "orange", 'sum by (pod) (increase(rebalances_total{kind="assigned"}[])) > 0'),
    ):
        yield {
            "name": name,
            "datasource": SOURCE,
            "enable": True,
            "hide": False,
            "iconColor": colour,
            "expr": whole(query),
            "titleFormat": name,
            "textFormat": "{{pod}}",
            "step": "30s",
        }


def _laid_out(rows: Rows) -> Iterator[Json]:
    number, top = 0, 0
    for title, panels in rows.items():
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": title,
            "collapsed": False,
            "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": top},
            "panels": [],
        }
        top += 1
        left, tallest = 0, 0
        for panel in panels:
            if left + panel.width > COLUMNS:
                left, top, tallest = 0, top + tallest, 0
            number += 1
            yield _panel(panel, number, {"h": panel.height, "w": panel.width, "x": left, "y": top})
            left, tallest = left + panel.width, max(tallest, panel.height)
        top += tallest


def _panel(panel: Panel, number: int, place: Json) -> Json:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.says,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": panel.options,
        **({"repeat": panel.repeat, "repeatDirection": "h", "maxPerRow": 2} if panel.repeat else {}),
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "datasource": SOURCE,
                "expr": whole(query),
                "legendFormat": legend,
                "format": panel.format,
                **({"interval": "1m"} if panel.format == "heatmap" else {}),
            }
            for place, (legend, query) in enumerate(panel.queries.items())
        ],
    }


def _defaults(panel: Panel) -> Json:
    defaults: Json = {"unit": panel.unit}
    if panel.style:
        defaults |= {"min": 0, "custom": panel.style}
    if panel.thresholds:
        steps: list[Json] = [{"color": "green", "value": None}]
        steps += [{"color": colour, "value": value} for value, colour in panel.thresholds.items()]
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    return defaults
