"""Short queries, made whole: ``sum(parked_documents{})`` becomes a query of what the reader has chosen.

Each ``name{...}`` is a metric of the connector, without its prefix; the selectors of the dashboard's variables are
added, that of the route where the metric has one. ``[]`` is Grafana's own interval, wide enough for rates whatever the
zoom.
"""

from __future__ import annotations

import re

from connector.adapters.metrics import PREFIX, Definition, Metrics

RATE = "[$__rate_interval]"
CHOSEN = 'namespace=~"$namespace", job=~"$release"'
CHOSEN_ROUTE = 'route=~"$route"'

_SUFFIXES = {"counter": ("",), "gauge": ("",), "info": ("",), "histogram": ("_bucket", "_sum", "_count")}
_METRIC = re.compile(r"\b([a-z][a-z0-9_]*)\{([^}]*)\}")
_FOREIGN = ("process_", "python_")
"""What the Python client measures itself, under names of its own."""


def series() -> dict[str, Definition]:
    """Every series name that a scrape has, and the metric that it belongs to."""
    return {
        definition.name + suffix: definition
        for definition in Metrics().definitions
        for suffix in _SUFFIXES[definition.kind]
    }


_SERIES = series()


def whole(short: str) -> str:
    """The query that Grafana sends.

    Raises:
        KeyError: it asks for a metric that the connector does not have.
    """
    return " ".join(_METRIC.sub(_selected, short).replace("[]", RATE).split())


def _selected(found: re.Match[str]) -> str:
    name, given = found[1], found[2]
    selectors = [CHOSEN]
    if not name.startswith(_FOREIGN):
        name = PREFIX + name
        if "route" in _SERIES[name].labels:
            selectors.append(CHOSEN_ROUTE)
    return f"{name}{{{', '.join([*selectors, given] if given else selectors)}}}"
