"""The values of the version before this one still render; what Kubernetes cannot change in place stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import helm_python as helm
import jsonschema
import pytest
import yaml

from tests.chart.engine import CHART, chart, one, render
from tests.chart.kinds import KUBERNETES, validate
from tests.summary import Count

PREVIOUS = sorted(Path(__file__).with_name("previous").glob("*-values.yaml"))
CHANGES: dict[str, dict[str, Any]] = {"full": {"start": {"max_in_flight": 20_000}}}
"""What the upgrade asks of whom: sections of `config`, as the changelog says."""

previous = pytest.mark.parametrize("path", PREVIOUS, ids=lambda path: path.stem.removesuffix("-values"))


def load(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return values


def upgraded(path: Path) -> dict[str, Any]:
    values = load(path)
    changes = CHANGES.get(path.stem.removesuffix("-values"))
    return {**values, "config": {**values["config"], **changes}} if changes else values


def leaves(value: object, path: str = "") -> dict[str, object]:
    if isinstance(value, dict) and value:
        return {name: leaf for key, inner in value.items() for name, leaf in leaves(inner, f"{path}.{key}").items()}
    return {path: value}


def test_every_value_of_the_previous_version_is_there_with_the_same_default() -> None:
    before = leaves(load(Path(__file__).with_name("previous") / "values.yaml"))
    now = leaves(chart().values)
    assert len(before) > 40
    assert before.items() <= now.items()


@previous
def test_the_previous_values_render(path: Path, count: Count) -> None:
    chart().validate_schema(load(path))
    manifests = render(upgraded(path))
    for manifest in manifests:
        validate(manifest, KUBERNETES[-1])
    count("chart: sets of values of the previous version", path.stem)


@pytest.mark.parametrize("name", CHANGES)
def test_what_has_to_be_changed_is_said(name: str) -> None:
    (path,) = [each for each in PREVIOUS if each.stem == f"{name}-values"]
    with pytest.raises(helm.HelmRenderError, match=r"Lower config\.start\.max_in_flight to \d+"):
        render(load(path))
    assert load(path)["config"]["start"]["max_in_flight"] > 1_000_000


@previous
def test_what_cannot_be_changed_in_place_has_not_changed(path: Path) -> None:
    values = upgraded(path)
    name = values.get("fullnameOverride", "release-extend-kafka-connector")
    deployment = one(render(values), "Deployment")
    assert deployment["metadata"]["name"] == name
    assert deployment["spec"]["selector"] == {
        "matchLabels": {
            "app.kubernetes.io/name": "extend-kafka-connector",
            "app.kubernetes.io/instance": "release",
            "app.kubernetes.io/component": "worker",
        }
    }


@previous
def test_the_same_containers_run_the_same_commands(path: Path) -> None:
    pod = one(render(upgraded(path)), "Deployment")["spec"]["template"]["spec"]
    (worker,) = pod["containers"]
    assert worker["args"] == ["run", "--config", "/etc/extend-connector/connector.yaml"]
    sidecars = [container["args"][0] for container in pod.get("initContainers", [])]
    assert sidecars == (["webhook"] if load(path).get("webhook", {}).get("enabled") else [])


def test_the_old_defaults_in_the_place_of_the_new_ones_are_refused_by_name() -> None:
    # What `helm upgrade --reuse-values` does: the values of before, with the defaults of before and no others.
    before = load(Path(__file__).with_name("previous") / "values.yaml")
    new = set(chart().values) - set(before)
    assert new >= {"autoscaling", "networkPolicy", "topics"}
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    problems = [each.message for each in jsonschema.Draft202012Validator(schema).iter_errors(before)]
    assert [name for name in new if not any(f"'{name}' is a required property" in each for each in problems)] == []
