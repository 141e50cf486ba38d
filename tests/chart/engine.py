"""Helm itself, from a wheel: the one place that knows how it is called."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

import helm_python as helm
import yaml
from helm_python import _native

CHART = Path(__file__).parents[2] / "helm" / "extend-kafka-connector"
SCENARIOS = sorted((CHART / "ci").glob("*-values.yaml"))
KUBERNETES = ("1.30", "1.33", "1.37")

Values = Mapping[str, object]
Manifest = dict[str, Any]


@cache
def chart() -> helm.Chart:
    """The chart, loaded once."""
    return helm.Chart.load(CHART)


def values_of(scenario: Path) -> dict[str, Any]:
    """The values of one file under ci/."""
    return cast("dict[str, Any]", yaml.safe_load(scenario.read_text(encoding="utf-8")))


def render_text(values: Values, kubernetes: str = "1.33") -> dict[str, str]:
    """What every template renders to, by file name.

    ``Chart.render`` cannot name a Kubernetes version; the call below it can.
    """
    options = {"name": "release", "namespace": "documents", "kube_version": f"v{kubernetes}.0"}
    rendered = _native.call_string("helm_render", chart()._raw(), json.dumps(values), json.dumps(options))
    return {Path(path).name: text for path, text in json.loads(rendered).items()}


def render(values: Values, kubernetes: str = "1.33") -> list[Manifest]:
    """The rendered objects."""
    return [
        document
        for name, text in render_text(values, kubernetes).items()
        if name.endswith(".yaml")
        for document in yaml.safe_load_all(text)
        if document
    ]


def one(manifests: list[Manifest], kind: str, suffix: str = "") -> Manifest:
    """The only object of a kind whose name ends so."""
    (found,) = [m for m in manifests if m["kind"] == kind and m["metadata"]["name"].endswith(suffix)]
    return found


def lint(values: Values, kubernetes: str = "1.33") -> list[str]:
    """What ``helm lint --strict`` has to say, beyond an icon that is not there."""
    report = helm.lint(CHART, dict(values), strict=True, kube_version=f"v{kubernetes}.0")
    messages = [f"{message['path']}: {message['error']}" for message in report["messages"]]
    return [message for message in [*messages, *report["errors"]] if "icon is recommended" not in message]


def containers(pod: Manifest) -> Iterator[Manifest]:
    """All containers of a pod's specification, init containers and sidecars too."""
    yield from pod.get("initContainers", [])
    yield from pod["containers"]
