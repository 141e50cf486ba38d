"""The alerts as the chart renders them, on a clock on which a minute is a second."""

from __future__ import annotations

import re
from typing import Any

from tests.chart import engine
from tests.chart.engine import CHART, one, render, values_of

FULLNAME = "release-extend-kafka-connector"
"""What the chart calls its objects; pods are called after it."""

LONGEST_RUN_SECONDS = 15

LEAST = 5
"""Seconds that a rate needs at one scrape a second on a busy machine."""

_SECONDS = {"m": 1, "h": 60, "d": 1440}


def pod_name(number: int, *, webhook: bool = False) -> str:
    """A name as Kubernetes makes it for a pod of a Deployment of the chart."""
    return engine.pod_name(f"{FULLNAME}{'-webhook' if webhook else ''}", number)


def selectors(expr: str) -> set[str]:
    """Every selector in an expression, alone."""
    return {found[0] for found in re.finditer(r"\b(?:extend_connector_\w+|up)\{(?:[^\"}]|\"[^\"]*\")*\}", expr)}


def quick_rules() -> dict[str, Any]:
    """The groups of the chart's PrometheusRule with every window and every wait a sixtieth as long."""
    values = values_of(CHART / "ci" / "smallest-values.yaml")
    rule_values = {"enabled": True, "longestRunSeconds": LONGEST_RUN_SECONDS}
    rendered = one(render({**values, "metrics": {"prometheusRule": rule_values}}), "PrometheusRule")
    spec: dict[str, Any] = rendered["spec"]
    for group in spec["groups"]:
        for rule in group["rules"]:
            rule["expr"] = re.sub(r"\[(\w+)\]", lambda found: f"[{max(LEAST, _quick(found[1]))}s]", rule["expr"])
            if "for" in rule:
                rule["for"] = f"{_quick(rule['for'])}s"
    return spec


def _quick(duration: str) -> int:
    return int(duration[:-1]) * _SECONDS[duration[-1]]
