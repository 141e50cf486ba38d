"""The four kinds of panels, as values: what is asked, and how it is drawn."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel; the board decides where it stands.

    Attributes:
        kind: Grafana's type.
        title: its title.
        says: the sentence behind the little i.
        queries: short PromQL (see ``promql``) by legend.
        unit: Grafana's unit.
        width: of 24 columns.
        height: in Grafana's rows.
        style: what ``custom`` holds, for series.
        thresholds: value to colour, from the first on green.
        options: of the panel itself.
        format: what Prometheus' answer is made into.
        repeat: the variable for each value of which there is such a panel.
    """

    kind: str
    title: str
    says: str
    queries: dict[str, str]
    unit: str
    width: int
    height: int
    style: Json = field(default_factory=dict)
    thresholds: dict[float, str] = field(default_factory=dict)
    options: Json = field(default_factory=dict)
    format: str = "time_series"
    repeat: str = ""


def stat(title: str, says: str, query: str, unit: str = "short", *, red: float | None = None, width: int = 3) -> Panel:
    """One number, with its course behind it; red from a threshold on."""
    options = {
        "colorMode": "value",
        "graphMode": "area",
        "justifyMode": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    thresholds = {} if red is None else {red: "red"}
    return Panel("stat", title, says, {title.lower(): query}, unit, width, 4, options=options, thresholds=thresholds)


def lines(title: str, says: str, unit: str, queries: dict[str, str], *, width: int = 12) -> Panel:
    """Series over time, by legend."""
    options = {
        "legend": {"calcs": ["lastNotNull"], "displayMode": "table", "placement": "bottom"},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    style = {"fillOpacity": 10, "showPoints": "never"}
    return Panel("timeseries", title, says, queries, unit, width, 8, style=style, options=options)


def stacked(title: str, says: str, unit: str, queries: dict[str, str], *, width: int = 12) -> Panel:
    """Series that add up to something."""
    drawn = lines(title, says, unit, queries, width=width)
    return replace(drawn, style={"fillOpacity": 30, "showPoints": "never", "stacking": {"mode": "normal"}})


def bars(title: str, says: str, queries: dict[str, str], *, width: int = 12) -> Panel:
    """How often something happened, interval by interval."""
    drawn = stacked(title, says, "short", queries, width=width)
    return replace(drawn, style={**drawn.style, "drawStyle": "bars"})


def heatmap(title: str, says: str, query: str, *, repeat: str = "", width: int = 12) -> Panel:
    """A histogram over time."""
    options = {
        "calculate": False,
        "cellGap": 1,
        "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64},
        "filterValues": {"le": 1e-9},
        "yAxis": {"axisPlacement": "left", "unit": "s"},
        "tooltip": {"mode": "single", "yHistogram": True},
    }
    queries = {"{{le}}": query}
    return Panel("heatmap", title, says, queries, "s", width, 8, options=options, format="heatmap", repeat=repeat)
