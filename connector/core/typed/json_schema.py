"""What a JSON Schema says about a value, as far as Avro can say it too.

Extend's extractors use a subset of JSON Schema: objects with named properties, arrays of objects or scalars, scalars
that may be null, enums of texts, and three types of their own (``extend:type``: date, currency and signature;
docs.extend.ai, "Extraction Schema"). All of that is read here, and a little more, for schemas that people write
themselves. What Avro cannot say is refused: a guess would lose data in front of every reader.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from connector.core.formats.json_limits import MAX_DEPTH
from connector.core.formats.strict_json import shown_name

JSON_TEXT = "x-avro"
"""Keyword of ours: ``"x-avro": "json"`` makes a part of the schema a text of JSON, whatever it holds."""

CURRENCY_SCALE = 9
"""Decimal places of an amount of money: ISO 4217 needs four, prices of a unit more; with 38 digits in all it is what
warehouses have as their exact number."""

MAX_SCALE = 18
MAX_DOC_CHARS = 2000


class Scalar(Enum):
    """A value without parts."""

    TEXT = "string"
    BOOLEAN = "boolean"
    INTEGER = "long"
    NUMBER = "double"
    DATE = "date"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Exact:
    """A number with a fixed count of decimal places."""

    scale: int


@dataclass(frozen=True, slots=True)
class Items:
    """An array."""

    of: Kind
    nullable: bool


@dataclass(frozen=True, slots=True)
class Property:
    """A property of an object; it may always be null, or missing."""

    name: str
    kind: Kind
    doc: str


@dataclass(frozen=True, slots=True)
class Group:
    """An object whose properties are known."""

    properties: tuple[Property, ...]
    doc: str = ""


Kind = Scalar | Exact | Items | Group


class Inexpressible(ValueError):  # noqa: N818 - it names what the schema is
    """Avro cannot say what the JSON Schema says.

    Attributes:
        path: dotted, of the property in the value; ``[]`` stands for the items of an array; empty for the whole.
    """

    def __init__(self, path: str, reason: str, way_out: str) -> None:
        self.path = path
        super().__init__(f"{path or 'the schema'}: {reason}; {way_out}")


_COMBINED = ("$ref", "$dynamicRef", "oneOf", "allOf", "anyOf", "not", "if", "dependentSchemas")
_OPEN = ("patternProperties", "propertyNames", "unevaluatedProperties")
_BY_TYPE = {
    "string": Scalar.TEXT,
    "boolean": Scalar.BOOLEAN,
    "integer": Scalar.INTEGER,
    "number": Scalar.NUMBER,
}
_TYPES = {*_BY_TYPE, "object", "array"}
_TEXT_OF_JSON = f'or set "{JSON_TEXT}": "json" beside it to get it as a text of JSON'
_PLACES = re.compile(r"0\.(0*1)")


def read_schema(schema: object) -> Group:
    """What the schema of a whole value says.

    Args:
        schema: the parsed JSON Schema; its root is an object with properties.

    Raises:
        Inexpressible: with the path, the reason and the way out.
    """
    kind, _ = _read("", schema, 1)
    if not isinstance(kind, Group):
        raise Inexpressible("", "it describes no object", "a record needs an object with properties at the root")
    return kind


def _read(path: str, schema: object, level: int) -> tuple[Kind, bool]:
    """The kind of a value, and whether it may be null."""
    if not isinstance(schema, Mapping) or level > MAX_DEPTH:
        why = "it nests too deep" if isinstance(schema, Mapping) else "its schema is no object"
        raise Inexpressible(path, why, f"describe it with a type, {_TEXT_OF_JSON}")
    if JSON_TEXT in schema:
        if schema[JSON_TEXT] != "json":
            raise Inexpressible(path, f'"{JSON_TEXT}" is not "json"', "there is no other")
        return Scalar.JSON, True
    combined = next((word for word in _COMBINED if word in schema), None)
    if combined == "anyOf" and (alone := _without_null(schema["anyOf"])) is not None:
        said = {key: text for key, text in schema.items() if key in {"description", "title"}}
        return _read(path, {**said, **alone}, level + 1)[0], True
    if combined is not None:
        raise Inexpressible(
            path,
            f"{combined} has no counterpart in Avro",
            f"write out what it comes to, with one type, {_TEXT_OF_JSON}",
        )
    name, nullable = _type_of(path, schema)
    if name == "object":
        return _group(path, schema, level), nullable
    if name == "array":
        return _items(path, schema, level), nullable
    if name == "string" and "date" in (schema.get("format"), schema.get("extend:type")):
        return Scalar.DATE, nullable
    if name == "number" and (scale := _scale(schema.get("multipleOf"))) is not None:
        return Exact(scale), nullable
    return _BY_TYPE[name], nullable


def _without_null(branches: object) -> Mapping[str, object] | None:
    """The only branch that is not null, where one of two is."""
    if not isinstance(branches, list) or not all(isinstance(branch, Mapping) for branch in branches):
        return None
    others = [branch for branch in branches if branch.get("type") != "null"]
    return others[0] if len(others) == 1 and len(branches) == 2 else None


def _type_of(path: str, schema: Mapping[str, object]) -> tuple[str, bool]:
    given = schema.get("type")
    names = given if isinstance(given, list) else [given] if given is not None else _types_of_enum(schema)
    nullable = "null" in names
    others = [name for name in names if name != "null"]
    wrong = next((name for name in others if not isinstance(name, str) or name not in _TYPES), None)
    if wrong is not None:
        raise Inexpressible(path, f"{shown_name(repr(wrong))} is no type of JSON Schema", "correct the type")
    if set(others) == {"integer", "number"}:
        others = ["number"]
    if len(others) != 1:
        why = f"it may be {' or '.join(str(name) for name in others)}" if others else "it has no type"
        raise Inexpressible(path, why, f"give it one type beside null, {_TEXT_OF_JSON}")
    return str(others[0]), nullable


def _types_of_enum(schema: Mapping[str, object]) -> list[object]:
    """An enum of texts needs no type: a text is a string, and a new value breaks no reader."""
    values = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if not isinstance(values, list) or not all(value is None or isinstance(value, str) for value in values):
        return []
    return ["string", *(["null"] if None in values else [])]


def _group(path: str, schema: Mapping[str, object], level: int) -> Group:
    properties = schema.get("properties")
    open_ended = next((word for word in _OPEN if word in schema), None)
    if open_ended is not None:
        raise Inexpressible(path, f"{open_ended} leaves open which properties it has", f"name them, {_TEXT_OF_JSON}")
    if not isinstance(properties, Mapping) or not properties:
        raise Inexpressible(path, "it is an object without properties", f"name its properties, {_TEXT_OF_JSON}")
    money = schema.get("extend:type") == "currency"
    found = []
    for name, inner in properties.items():
        if not isinstance(name, str) or not _is_unicode(name):
            raise Inexpressible(_below(path, name), "its name is no text that UTF-8 can hold", "give it another name")
        kind, _ = _read(_below(path, name), inner, level + 1)
        if money and kind is Scalar.NUMBER:
            kind = Exact(CURRENCY_SCALE)
        found.append(Property(name, kind, _doc(inner)))
    return Group(tuple(found), _doc(schema))


def _items(path: str, schema: Mapping[str, object], level: int) -> Items:
    inner = schema.get("items")
    if "prefixItems" in schema or isinstance(inner, list):
        raise Inexpressible(
            path, "its items have a schema for each place", f"make it an object with a name for each, {_TEXT_OF_JSON}"
        )
    if inner is None:
        raise Inexpressible(path, "it is an array without items", f"say what its items are, {_TEXT_OF_JSON}")
    kind, nullable = _read(f"{path}[]", inner, level + 1)
    return Items(kind, nullable)


def _scale(step: object) -> int | None:
    """Decimal places, where ``multipleOf`` is 0.1, 0.01 and so on."""
    if not isinstance(step, float | Decimal):
        return None
    # The shortest text of a double is what was written: 0.1 and not 0.1000000000000000055.
    match = _PLACES.fullmatch(f"{Decimal(str(step)):f}".rstrip("0"))
    return len(match[1]) if match and len(match[1]) <= MAX_SCALE else None


def _doc(schema: object) -> str:
    """The description, and the texts of an enum: Avro's own enums would break readers at the first new text."""
    if not isinstance(schema, Mapping):
        return ""
    said = schema.get("description")
    values = schema.get("enum")
    texts = [value for value in values if isinstance(value, str)] if isinstance(values, list) else []
    parts = [said.strip() if isinstance(said, str) else "", f"One of: {', '.join(texts)}." if texts else ""]
    text = " ".join(part for part in parts if part)
    # A lone surrogate in a description must not keep the schema from being written.
    return text.encode("utf-8", "replace").decode()[:MAX_DOC_CHARS]


def _is_unicode(text: str) -> bool:
    return text == text.encode("utf-8", "replace").decode()


def _below(path: str, name: object) -> str:
    shown = shown_name(str(name))
    return f"{path}.{shown}" if path else shown
