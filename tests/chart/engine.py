"""Helm itself, from a wheel: the one place that knows how it is called."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any, cast

import helm_python as helm
import pytest
import yaml
from helm_python import _native

CHART = Path(__file__).parents[2] / "helm" / "extend-kafka-connector"
SCENARIOS = sorted((CHART / "ci").glob("*-values.yaml"))

Values = Mapping[str, object]
Manifest = dict[str, Any]

scenarios = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: path.stem.removesuffix("-values"))


@cache
def chart() -> helm.Chart:
    """The chart, loaded once."""
    return helm.Chart.load(CHART)


def values_of(scenario: Path | str) -> dict[str, Any]:
    """The values of one file under ci/, by its path or by its name."""
    path = CHART / "ci" / f"{scenario}-values.yaml" if isinstance(scenario, str) else scenario
    return cast("dict[str, Any]", yaml.safe_load(path.read_text(encoding="utf-8")))


def smallest(**changes: object) -> dict[str, Any]:
    """The least that somebody has to say, with some of its top-level keys replaced."""
    return {**values_of("smallest"), **changes}


def config(**sections: object) -> dict[str, Any]:
    """The configuration of the least values, with some sections replaced."""
    return {**values_of("smallest")["config"], **sections}


def pod_name(deployment: str, number: int = 0, generation: str = "6d5f8b7c9d") -> str:
    """A name as Kubernetes makes it for a pod: before the five random characters stand 58 at most."""
    return f"{deployment}-{generation}-"[:58] + f"x2x9{number}"


def render_text(values: Values, kubernetes: str = "1.33", release: str = "release") -> dict[str, str]:
    """What every template renders to, by file name.

    ``Chart.render`` cannot name a Kubernetes version; the call below it can.
    """
    return dict(_rendered(json.dumps(values), kubernetes, release))


def render(values: Values, kubernetes: str = "1.33", release: str = "release") -> list[Manifest]:
    """The rendered objects."""
    return deepcopy(_objects(json.dumps(values), kubernetes, release))


def forget() -> None:
    """Read and render anew what comes next."""
    for each in (chart, _rendered, _objects):
        each.cache_clear()


@cache
def _rendered(values: str, kubernetes: str, release: str) -> dict[str, str]:
    options = {"name": release, "namespace": "documents", "kube_version": f"v{kubernetes}.0"}
    rendered = _native.call_string("helm_render", chart()._raw(), values, json.dumps(options))
    return {Path(path).name: text for path, text in json.loads(rendered).items()}


@cache
def _objects(values: str, kubernetes: str, release: str) -> list[Manifest]:
    return [
        document
        for name, text in _rendered(values, kubernetes, release).items()
        if name.endswith(".yaml")
        # The same as safe_load_all, in C: a dashboard is long.
        for document in yaml.load_all(text, yaml.CSafeLoader)
        if document
    ]


def one(manifests: list[Manifest], kind: str, suffix: str = "") -> Manifest:
    """The only object of a kind whose name ends so."""
    (found,) = [m for m in manifests if m["kind"] == kind and m["metadata"]["name"].endswith(suffix)]
    return found


def worker(manifests: list[Manifest]) -> Manifest:
    """The Deployment of the workers."""
    (found,) = [
        m
        for m in manifests
        if m["kind"] == "Deployment" and m["metadata"]["labels"]["app.kubernetes.io/component"] == "worker"
    ]
    return found


def lint(values: Values, kubernetes: str = "1.33") -> list[str]:
    """What ``helm lint --strict`` has to say, beyond an icon that is not there."""
    report = helm.lint(CHART, dict(values), strict=True, kube_version=f"v{kubernetes}.0")
    messages = [f"{message['path']}: {message['error']}" for message in report["messages"]]
    return [message for message in [*messages, *report["errors"]] if "icon is recommended" not in message]


def pods(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Every pod that the objects make: the object's kind and name, and the pod with metadata and specification."""
    for manifest in manifests:
        name = f"{manifest['kind']}/{manifest['metadata']['name']}"
        if manifest["kind"] == "Pod":
            yield name, manifest
        elif "template" in manifest.get("spec", {}):
            yield name, manifest["spec"]["template"]


def containers(pod: Manifest) -> Iterator[Manifest]:
    """All containers of a pod's specification, init containers and sidecars too."""
    yield from pod.get("initContainers", [])
    yield from pod["containers"]


def own_containers(pod: Manifest) -> Iterator[Manifest]:
    """Those that run the connector's image."""
    return (each for each in containers(pod) if "busybox" not in each["image"])
