"""What may change in a schema, and what a reader of one version makes of a record of another.

Stricter than Avro's own resolution, which would also take a field away that has a default, or make an int a long: a
reader that knows the field is read by people and programs that go on asking for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Node = Any
"""A piece of a schema's JSON, or a value of one."""

POSITIONAL = frozenset({"DocumentReference", "RunResult"})
"""What strangers read and write, some of them by position: rows, constructors. New fields go to the end there."""

_INNER = {"items", "values"}


def complaints(earlier: Node, later: Node) -> list[str]:
    """What the later schema does that no later version may do; empty when it keeps the promise.

    Args:
        earlier: a version of a schema.
        later: what shall follow it.
    """
    return list(_compared(earlier, later, str(earlier["name"]), ordered=str(earlier["name"]) in POSITIONAL))


def _compared(earlier: Node, later: Node, path: str, *, ordered: bool) -> Iterator[str]:
    if isinstance(earlier, list) and isinstance(later, list) and len(earlier) == len(later):
        for one, other in zip(earlier, later, strict=True):
            yield from _compared(one, other, path, ordered=ordered)
    elif _shell(earlier) != _shell(later):
        yield f"{path}: the type was {_told(earlier)} and is {_told(later)}"
    elif isinstance(earlier, Mapping) and isinstance(later, Mapping):
        for inner in sorted(_INNER & set(earlier)):
            yield from _compared(earlier[inner], later[inner], f"{path}.{inner}", ordered=ordered)
        yield from _fields(earlier.get("fields", ()), later.get("fields", ()), path, ordered=ordered)


def _fields(earlier: Sequence[Node], later: Sequence[Node], path: str, *, ordered: bool) -> Iterator[str]:
    known = [field["name"] for field in earlier]
    there: dict[str, Node] = {field["name"]: field for field in later}
    for field in earlier:
        now = there.get(field["name"])
        if now is None:
            yield f"{path}.{field['name']} was taken away"
            continue
        if _without(field, {"doc", "type"}) != _without(now, {"doc", "type"}):
            yield f"{path}.{field['name']}: its default or another property has changed"
        yield from _compared(field["type"], now["type"], f"{path}.{field['name']}", ordered=ordered)
    new = [name for name in there if name not in known]
    yield from (f"{path}.{name} is new and has no default" for name in new if "default" not in there[name])
    kept = [name for name in there if name in known]
    if kept != [name for name in known if name in there]:
        yield f"{path}: its fields stand in another order"
    elif ordered and list(there)[: len(kept)] != kept:
        yield f"{path}: a new field stands before the end"


def resolved(value: Node, writer: Node, reader: Node) -> Node:
    """What a reader sees of a value: what both know as it was written, what only the reader knows as its default.

    Args:
        value: the value as it was written, in Avro's JSON form, so bytes as a text of code points up to 255.
        writer: the writer's schema.
        reader: the reader's schema.

    Returns:
        The value in Python's form, so bytes as bytes.
    """
    if isinstance(writer, list):
        if value is None:
            return None
        (inner, other) = (next(each for each in union if each != "null") for union in (writer, reader))
        return resolved(value, inner, other)
    kind = writer["type"] if isinstance(writer, Mapping) else writer
    if kind == "record":
        written = {field["name"]: field["type"] for field in writer["fields"]}
        return {
            field["name"]: resolved(value[field["name"]], written[field["name"]], field["type"])
            if field["name"] in written
            else resolved(field["default"], field["type"], field["type"])
            for field in reader["fields"]
        }
    if kind == "array":
        return [resolved(item, writer["items"], reader["items"]) for item in value]
    return value.encode("latin-1") if kind == "bytes" else value


def _shell(node: Node) -> Node:
    """A type without what is inside it."""
    return _without(node, {"doc", "fields", *_INNER}) if isinstance(node, Mapping) else node


def _without(node: Mapping[str, Node], names: set[str]) -> dict[str, Node]:
    return {name: value for name, value in node.items() if name not in names}


def _told(node: Node) -> str:
    if isinstance(node, Mapping):
        return str(node.get("name") or node.get("logicalType") or node["type"])
    return f"[{', '.join(map(_told, node))}]" if isinstance(node, list) else str(node)
