"""The configuration for readers: the JSON Schema of the file, the reference of every key, the effective values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, JsonSchemaWarningKind
from pydantic_core import core_schema

from connector.config.extend import Limits
from connector.config.keys import SECRETS, Path, dotted, section_of
from connector.config.model import Config
from connector.config.reading import Parsed
from connector.config.routes import Route, RouteOutput
from connector.config.section import Section


@dataclass(frozen=True, slots=True)
class Row:
    """One key of a configuration in force.

    Attributes:
        key: dotted path.
        value: as JSON has it; a secret is ``***``.
        source: ``connector.yaml:7``, a variable's name, or ``default``.
    """

    key: str
    value: object
    source: str

    @property
    def shown(self) -> str:
        """The value as one line of text."""
        return _text(self.value)


def rows(parsed: Parsed) -> list[Row]:
    """Every key in force, in the order of the sections."""
    values = parsed.config.model_dump(mode="json")
    values["extend"]["plan"] = parsed.config.extend.plan_in_force
    return [Row(dotted(path), _plain(value), parsed.source(path)) for path, value in _leaves((), values)]


def _leaves(path: Path, value: object) -> Iterator[tuple[Path, object]]:
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from _leaves((*path, name), item)
    elif path in SECRETS and not value:
        return
    else:
        yield path, value


def json_schema() -> str:
    """The JSON Schema of the file, as it is committed."""
    schema = Config.model_json_schema(schema_generator=_FileSchema)
    head = {"$schema": _FileSchema.schema_dialect, "title": "extend-connector", "description": _summary(Config)}
    return json.dumps({**head, **schema}, indent=2, ensure_ascii=False) + "\n"


class _FileSchema(GenerateJsonSchema):
    """Of what may stand in the file: defaults as one writes them, without the keys that only the environment has."""

    # The defaults come from the sections themselves; pydantic cannot write all of them.
    ignored_warning_kinds: set[JsonSchemaWarningKind] = {"non-serializable-default"}  # noqa: RUF012 - as its base has it

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        found = super().model_schema(schema)
        section: type[Section] = schema["cls"]
        defaults = section().model_dump(mode="json")
        environment_only = {key for name, key in SECRETS if Config.model_fields[name].annotation is section}
        found["properties"] = {
            name: _with_default(dict(entry), defaults[name])
            for name, entry in found["properties"].items()
            if name not in environment_only
        }
        return found

    def get_title_from_name(self, name: str) -> str:
        """The key itself: a second spelling of it helps nobody."""
        return name


def _with_default(entry: JsonSchemaValue, default: object) -> JsonSchemaValue:
    entry.pop("default", None)
    entry.pop("title", None)
    if default in ("", None) or "$ref" in entry or isinstance(default, dict):
        return entry
    return {**entry, "default": _plain(default)}


def key_tables() -> str:
    """The reference of every key: one Markdown table for each section."""
    parts = [_table("Top level", Config, ())]
    for name, info in Config.model_fields.items():
        section = Route if name == "routes" else section_of(info.annotation)
        if section is not None:
            path = (name, "<name>") if section is Route else (name,)
            parts.append(_table(f"`{dotted(path)}`", section, path))
    parts.append(_table("`routes.<name>.output`", RouteOutput, ("routes", "<name>", "output")))
    parts.append(_table("`extend.limits`", Limits, ("extend", "limits")))
    return "\n".join(parts)


def _table(title: str, section: type[Section], path: Path) -> str:
    schema = json.loads(json_schema())
    entries = schema["properties"] if section is Config else schema["$defs"][section.__name__]["properties"]
    defaults = section().model_dump(mode="json")
    lines = [
        f"### {title}",
        "",
        _summary(section),
        "",
        "| key | type | default | meaning |",
        "|---|---|---|---|",
    ]
    for name, info in section.model_fields.items():
        inner = section is Config and (name == "routes" or section_of(info.annotation) is not None)
        if inner:
            continue
        kind = _type(entries[name]) if name in entries else "text, environment only"
        key = dotted((*path, name))
        lines.append(f"| `{key}` | {kind} | {_default(defaults[name])} | {_one_line(info.description)} |")
    return "\n".join([*lines, ""])


_WORDS: Mapping[str, str] = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "`true`, `false`",
    "object": "mapping",
    "array": "list of texts",
    "null": "null",
}


def _type(entry: JsonSchemaValue) -> str:
    """A few words for an entry of the schema."""
    if "anyOf" in entry:
        words = [_type(option) for option in entry["anyOf"]]
        return " or ".join(dict.fromkeys(word for word in words if word))
    if "$ref" in entry:
        return "mapping"
    if "enum" in entry:
        return ", ".join(f"`{value}`" for value in entry["enum"])
    if "const" in entry:
        return f"`{entry['const']}`" if entry["const"] else ""
    if "x-quantity" in entry:
        return str(entry["x-quantity"])
    if entry.get("format") == "date-time":
        return "instant"
    return _WORDS[entry.get("type", "object")] + _range(entry)


def _range(entry: JsonSchemaValue) -> str:
    least, most = entry.get("minimum"), entry.get("maximum")
    return "" if least is None or most is None else f", {_plain(least)} to {_plain(most)}"


def _default(value: object) -> str:
    return "" if value in ("", None, [], {}, "***") else f"`{_text(value)}`"


def _text(value: object) -> str:
    """A value as one writes it."""
    return value if isinstance(value, str) else json.dumps(_plain(value), ensure_ascii=False)


def _plain(value: object) -> object:
    """30000 and not 30000.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _summary(section: type[Section]) -> str:
    return (section.__doc__ or "").strip().partition("\n")[0]


def _one_line(description: str | None) -> str:
    return " ".join((description or "").split()).replace("|", "\\|")
