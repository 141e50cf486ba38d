"""From what a JSON Schema says to an Avro record.

Every field may be null and has null as its default, whatever the JSON Schema requires: so a field can be added or taken
away, and readers of both sides go on. Names depend on their own property and its path, and on a sibling only where
two would be the same: so a new property renames nothing else.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

from connector.core.typed.json_schema import Exact, Group, Items, Kind, Property, Scalar

JSON_NAME = "jsonName"
"""Attribute of a field: the property's name in JSON, where Avro cannot hold it."""

HOLDS = "holds"
"""Attribute of a string: ``json`` where it is a text of JSON."""

PRECISION = 38
"""Digits of a decimal: the most that warehouses and engines read as an exact number."""

_UNSAFE = re.compile(r"[^A-Za-z0-9_]")

_SCALARS: dict[Scalar, object] = {
    Scalar.TEXT: "string",
    Scalar.BOOLEAN: "boolean",
    Scalar.INTEGER: "long",
    Scalar.NUMBER: "double",
    Scalar.DATE: {"type": "int", "logicalType": "date"},
    Scalar.JSON: {"type": "string", HOLDS: "json"},
}


def avro_name(text: str) -> str:
    """The nearest name that Avro takes."""
    name = _UNSAFE.sub("_", text)
    return f"_{name}" if not name or name[0].isdigit() else name


def record_of(group: Group, name: str) -> dict[str, object]:
    """The Avro record of an object; the records inside are named after their path, ``<name>_<property>``.

    Args:
        group: what the JSON Schema says.
        name: the record's name; its namespace is that of the schema around it.
    """
    return _record(group, name, set())


def unique_names(texts: Sequence[str]) -> dict[str, str]:
    """An Avro name for each text: a text that is one keeps it, of others that meet each has a mark of its own.

    Args:
        texts: all different.
    """
    safe = {text: avro_name(text) for text in texts}
    taken = {text: text for text in texts if safe[text] == text}
    for text in sorted(set(texts) - set(taken)):
        name = safe[text]
        alone = name not in taken.values() and list(safe.values()).count(name) == 1
        taken[text] = name if alone else _marked(name, text, set(taken.values()))
    return taken


def _marked(name: str, text: str, taken: set[str]) -> str:
    marked = f"{name}_{zlib.crc32(text.encode('utf-8', 'surrogatepass')):08x}"
    while marked in taken:
        marked += "_"
    return marked


def _record(group: Group, name: str, records: set[str]) -> dict[str, object]:
    while name in records:
        name += "_"
    records.add(name)
    names = unique_names([each.name for each in group.properties])
    fields = [_field(each, names[each.name], name, records) for each in group.properties]
    return {"type": "record", "name": name, **({"doc": group.doc} if group.doc else {}), "fields": fields}


def _field(given: Property, name: str, record: str, records: set[str]) -> dict[str, object]:
    return {
        "name": name,
        "type": ["null", _type(given.kind, f"{record}_{name}", records)],
        "default": None,
        **({"doc": given.doc} if given.doc else {}),
        **({JSON_NAME: given.name} if given.name != name else {}),
    }


def _type(kind: Kind, name: str, records: set[str]) -> object:
    match kind:
        case Scalar():
            return _SCALARS[kind]
        case Exact():
            return {"type": "bytes", "logicalType": "decimal", "precision": PRECISION, "scale": kind.scale}
        case Items():
            inner = _type(kind.of, name, records)
            return {"type": "array", "items": ["null", inner] if kind.nullable else inner}
        case Group():
            return _record(kind, name, records)
