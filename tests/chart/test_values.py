"""Values, their schema and their table are equal, and the schema is strict."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import helm_python as helm
import pytest
import yaml

from tests.chart.engine import SCENARIOS, chart, config, smallest, values_of
from tests.chart.values_page import (
    README,
    SCHEMA,
    VALUES,
    Schema,
    comments,
    described,
    read_schema,
    readme,
    resolved,
    schema_of,
    table,
    written,
)
from tests.summary import Count

KUBERNETES_OWN = {"named", "objects", "valueFrom", "nodeAffinity", "podAffinity", "podAntiAffinity", "labelSelector"}
KUBERNETES_OWN |= {"ipBlock", "namespaceSelector", "podSelector", "claims", "extraObjects", "global"}
"""What is Kubernetes' own and passed through; the validation of what is rendered looks at it."""


def objects(node: object, name: str = "") -> Iterator[tuple[str, Schema]]:
    """Every schema of a mapping, with the key it stands under."""
    if isinstance(node, dict):
        types = node.get("type", [])
        if "object" in (types if isinstance(types, list) else [types]):
            yield name, node
        for key, inner in node.items():
            if key in {"properties", "$defs"}:
                for child, schema in inner.items():
                    yield from objects(schema, child)
            elif key in {"items", "anyOf", "additionalProperties"}:
                for schema in inner if isinstance(inner, list) else [inner]:
                    yield from objects(schema, name)


def open_mappings(schema: Schema) -> list[str]:
    """Mappings that take any key."""
    return [
        name
        for name, node in objects(schema)
        if node.get("additionalProperties", True) is True and name not in KUBERNETES_OWN
    ]


def test_the_schema_is_strict_everywhere() -> None:
    schema = read_schema()
    # Mappings of a route whose keys are the user's or the API's.
    assert set(open_mappings(schema)) == {"config", "metadata", "create", "fields", "when"}
    assert len(list(objects(schema))) > 60


def test_a_mapping_that_takes_any_key_would_be_found() -> None:
    schema = read_schema()
    del schema["properties"]["image"]["additionalProperties"]
    assert "image" in open_mappings(schema)


def sections(value: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, value
    for key, inner in value.items():
        if isinstance(inner, dict) and inner:
            yield from sections(inner, f"{path}.{key}".lstrip("."))


def test_the_schema_knows_exactly_the_values_that_exist() -> None:
    schema = read_schema()
    checked = 0
    for path, value in sections(yaml.safe_load(VALUES.read_text(encoding="utf-8"))):
        node = resolved(schema_of(path, schema), schema) if path else schema
        if path.split(".")[0] == "config" or "properties" not in node:
            continue
        assert set(value) <= set(node["properties"]), path
        if "required" in node:
            assert set(value) == set(node["required"]), path
            assert set(node["properties"]) - {"global"} == set(value), path
            checked += 1
    assert checked >= 15


def test_the_schema_is_what_the_comments_and_the_connector_make_of_it() -> None:
    # To mend this and the next: make schemas
    assert SCHEMA.read_text(encoding="utf-8") == written(described(read_schema()))


def test_the_readme_lists_every_value_with_its_default_and_meaning(count: Count) -> None:
    page = README.read_text(encoding="utf-8")
    assert page == readme(page, read_schema())
    rows = table(read_schema())
    assert all(row in page for row in rows)
    count("chart: values described", *rows[2:])


def test_another_default_would_be_noticed() -> None:
    schema = deepcopy(read_schema())
    schema["properties"]["replicas"]["description"] = "Another."
    page = README.read_text(encoding="utf-8")
    assert readme(page, schema) != page
    assert described(schema) == read_schema()


def test_every_value_has_a_comment_that_is_a_sentence() -> None:
    found = list(comments())
    assert len(found) >= 100
    for path, _, comment in found:
        assert comment.endswith("."), path
        assert "|" not in comment, path


def test_the_default_values_and_the_scenarios_pass_the_schema() -> None:
    chart().validate_schema({})
    for scenario in SCENARIOS:
        chart().validate_schema(values_of(scenario))


@pytest.mark.parametrize(
    "values",
    [
        {"replica": 3},
        {"image": {"tagg": "1"}},
        {"replicas": -1},
        {"replicas": "two"},
        {"metrics": {"podMonitor": {"interval": "30"}}},
        {"image": {"digest": "sha256:short"}},
        {"terminationGracePeriodSeconds": 5},
        {"podAnnotations": {"a": 1}},
        {"webhook": {"mode": "daemonset"}},
        {"webhook": {"ingress": {"hosts": ["https://hooks.example.com"]}}},
        {"autoscaling": {"saturation": 100}},
        {"autoscaling": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 7200}}}},
        {"networkPolicy": {"kafkaTo": [{}]}},
        {"tolerations": [{"efect": "NoSchedule"}]},
        {"podDisruptionBudget": {"maxUnavailable": "half"}},
        {"secrets": {"inline": {"a/b": "x"}}},
        {"config": config(kafka={"bootstrap_server": "kafka:9092"})},
        {"config": config(follow={"mode": "pol"})},
        {"config": config(start={"max_in_flight": 0})},
        {"config": config(routes={"documents": {"runn": "parse"}})},
    ],
    ids=json.dumps,
)
def test_the_schema_refuses_what_is_unknown_or_of_another_kind(values: dict[str, object]) -> None:
    with pytest.raises(helm.HelmError):
        chart().validate_schema(smallest(**values))
