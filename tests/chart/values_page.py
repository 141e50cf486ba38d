"""Keeps the chart's values, their schema and their table equal; ``make schemas`` runs it and writes the last two.

The words are written once, as comments in values.yaml; the types are written once, in values.schema.json. From here
come the descriptions in the schema, the connector's own configuration in it, and the table in the chart's README.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from connector.config.keys import SECRETS
from connector.config.reference import json_schema
from tests.chart.engine import CHART

VALUES, SCHEMA, README = CHART / "values.yaml", CHART / "values.schema.json", CHART / "README.md"
HEAD = ["| Value | Type | Default | Meaning |", "|---|---|---|---|"]

Schema = dict[str, Any]


def comments() -> Iterator[tuple[str, object, str]]:
    """Every value: its path, its default (None for a section), and the comment above it as one line."""
    text = VALUES.read_text(encoding="utf-8")
    yield from _commented(yaml.compose(text), text.splitlines(), "")


def _commented(node: yaml.Node | None, lines: list[str], path: str) -> Iterator[tuple[str, object, str]]:
    assert isinstance(node, yaml.MappingNode)
    for key, value in node.value:
        below = f"{path}.{key.value}".lstrip(".")
        comment = _comment_above(lines, key.start_mark.line)
        nested = isinstance(value, yaml.MappingNode) and value.value
        if comment or not nested:
            yield below, None if nested else yaml.safe_load(yaml.serialize(value)), comment
        # A comment over a mapping speaks for what is inside, unless the inside speaks for itself.
        if nested and (not comment or any(_comment_above(lines, inner.start_mark.line) for inner, _ in value.value)):
            yield from _commented(value, lines, below)


def _comment_above(lines: list[str], line: int) -> str:
    words: list[str] = []
    while line > 0 and lines[line - 1].lstrip().startswith("#"):
        line -= 1
        words.insert(0, lines[line].lstrip().lstrip("#").strip())
    return " ".join(words)


def schema_of(path: str, schema: Schema) -> Schema:
    """What the schema says about one value. The last reference is not followed: beside it stands the description."""
    node = schema
    for key in path.split("."):
        node = resolved(node, schema)["properties"][key]
    return node


def resolved(node: Schema, schema: Schema) -> Schema:
    """The definition that a node refers to, or the node itself."""
    return schema["$defs"][node["$ref"].removeprefix("#/$defs/")] if "$ref" in node else node


def described(schema: Schema) -> Schema:
    """The schema with the words of values.yaml, and with the connector's configuration as it is now."""
    schema = deepcopy(schema)
    ours = {name: node for name, node in schema["$defs"].items() if name[0].islower()}
    schema["$defs"] = {**ours, **_configuration()}
    for path, _, comment in comments():
        schema_of(path, schema)["description"] = comment
    return schema


def _configuration() -> Schema:
    """The connector's own schema, but defaults may be empty, and a guard has better sentences about secrets."""
    config: Schema = json.loads(json_schema())
    parts: Schema = config.pop("$defs")
    for section, key in SECRETS:
        part = config["properties"][section]["$ref"].removeprefix("#/$defs/")
        parts[part]["properties"][key] = {"description": "A secret: refused here, give the file of one."}
    routes = config["properties"]["routes"]
    routes.pop("minProperties")
    routes["additionalProperties"] = {"anyOf": [routes["additionalProperties"], {"type": "null"}]}
    parts["Kafka"]["properties"]["properties"].pop("propertyNames")
    config = {key: value for key, value in config.items() if not key.startswith("$") and key != "title"}
    return {"Config": config, **parts}


def table(schema: Schema) -> list[str]:
    """The table of README.md, from the schema and the defaults."""
    rows = [*HEAD]
    for path, default, _ in comments():
        node = schema_of(path, schema)
        shown = "" if default is None else f"`{json.dumps(default)}`"
        rows.append(f"| `{path}` | {_type(resolved(node, schema))} | {shown} | {node['description']} |")
    return rows


def _type(node: Schema) -> str:
    if "enum" in node:
        return ", ".join(f"`{each}`" for each in node["enum"])
    if "anyOf" in node:
        return " or ".join(_type(each) for each in node["anyOf"])
    words = {
        "string": "text",
        "integer": "whole number",
        "boolean": "`true`, `false`",
        "array": "list",
        "object": "mapping",
    }
    types: list[str] = node["type"] if isinstance(node["type"], list) else [node["type"]]
    return " or ".join(words.get(each, each) for each in types)


def readme(text: str, schema: Schema) -> str:
    """README.md with this table."""
    return re.sub(r"(?:^\| Value \|.*\n)(?:^\|.*\n)+", "\n".join([*table(schema), ""]), text, flags=re.MULTILINE)


def read_schema() -> Schema:
    """values.schema.json as it is."""
    schema: Schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return schema


def written(schema: Schema) -> str:
    """A schema as the file has it."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write both."""
    schema = described(read_schema())
    SCHEMA.write_text(written(schema), encoding="utf-8")
    page = Path(README)
    page.write_text(readme(page.read_text(encoding="utf-8"), schema), encoding="utf-8")


if __name__ == "__main__":
    main()
