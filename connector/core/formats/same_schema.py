"""Whether two Avro schemas mean the same to whoever reads with them.

Fingerprints alone do not say so: they leave out the places of a decimal, logical types and attributes of our own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from connector.core.formats.avro import AvroSchema, SchemaRefused

_STRUCTURE = frozenset({"type", "name", "namespace", "fields", "items", "values", "symbols", "size"})
"""What a fingerprint covers, whatever way it is written in."""

_Place = tuple[object, ...]


def same_for_readers(one: object, other: object) -> bool:
    """Whether two schemas differ in nothing but documentation and notation.

    Args:
        one: a schema's JSON as Python values.
        other: the same; where one of them is no valid schema, they are not the same.
    """
    try:
        same_bodies = AvroSchema(one).fingerprint == AvroSchema(other).fingerprint
    except SchemaRefused:
        return False
    return same_bodies and dict(_attributes(one)) == dict(_attributes(other))


def _attributes(node: object, place: _Place = ()) -> Iterator[tuple[_Place, object]]:
    """Everything but the structure and documentation, by its place in the structure."""
    if isinstance(node, list | tuple):
        for index, branch in enumerate(node):
            yield from _attributes(branch, (*place, index))
    elif isinstance(node, Mapping):
        yield from _own(node, place)
        for field in node.get("fields", ()):
            inside = (*place, field["name"])
            yield from _own(field, inside)
            yield from _attributes(field["type"], (*inside, "type"))
        for key in ("items", "values"):
            yield from _attributes(node.get(key), (*place, key))
        # "string" and {"type": "string"} are one place.
        yield from _attributes(node["type"], place)


def _own(node: Mapping[str, object], place: _Place) -> Iterator[tuple[_Place, object]]:
    for key, value in node.items():
        if key not in _STRUCTURE and key != "doc":
            yield (*place, key), value
