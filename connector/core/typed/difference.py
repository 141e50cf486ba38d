"""What a new version of a schema changes, and whether readers that know the old one alone can still read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from connector.core.formats.schema_limits import Schema

Kind = Literal["added", "removed", "changed"]

_WIDER = {("long", "double"), ("int", "long"), ("int", "double")}
"""Types that Avro reads as another one: written, and read as."""


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs.

    Attributes:
        path: dotted; ``[]`` stands for the items of an array.
        kind: what happened to it.
        types: its type, or both, as people read them.
        readable: whether a reader with the old schema can read what is written with the new one.
    """

    path: str
    kind: Kind
    types: str
    readable: bool


def changes(old: Schema, new: Schema) -> list[Change]:
    """The fields that differ, in the order of the new schema, those that are gone at the end of their record.

    Args:
        old: what readers have.
        new: what is going to be written.
    """
    return list(_records("", old, new))


def _records(path: str, old: Mapping[str, object], new: Mapping[str, object]) -> Iterator[Change]:
    before, after = _fields(old), _fields(new)
    for name, field in after.items():
        inner = f"{path}.{name}" if path else name
        if name not in before:
            yield from _added(inner, field["type"])
        else:
            yield from _types(inner, before[name]["type"], field["type"])
    for name, field in before.items():
        if name not in after:
            inner = f"{path}.{name}" if path else name
            yield Change(inner, "removed", shown(field["type"]), readable="default" in field)


def _added(path: str, avro: object) -> Iterator[Change]:
    yield Change(path, "added", shown(avro), readable=True)
    while not (isinstance(avro, Mapping) and avro.get("type") == "record"):
        if isinstance(avro, list):
            avro = avro[-1]
        elif isinstance(avro, Mapping) and avro.get("type") == "array":
            path, avro = f"{path}[]", avro["items"]
        else:
            return
    for name, field in _fields(avro).items():
        yield from _added(f"{path}.{name}", field["type"])


def _types(path: str, old: object, new: object) -> Iterator[Change]:
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new) == 2 and old[0] == new[0] == "null":
        yield from _types(path, old[1], new[1])
    elif isinstance(old, Mapping) and isinstance(new, Mapping) and old.get("type") == new.get("type") == "array":
        yield from _types(f"{path}[]", old.get("items"), new.get("items"))
    elif isinstance(old, Mapping) and isinstance(new, Mapping) and old.get("type") == new.get("type") == "record":
        if old.get("name") != new.get("name"):
            yield Change(path, "changed", f"{old.get('name')} → {new.get('name')}", readable=False)
        yield from _records(path, old, new)
    elif isinstance(old, list) and not isinstance(new, list):
        readable = all(change.readable for change in _types(path, old[1], new))
        yield Change(path, "changed", f"{shown(old)} or null → {shown(new)}", readable=readable)
    elif isinstance(new, list) and not isinstance(old, list):
        yield Change(path, "changed", f"{shown(old)} → {shown(new)} or null", readable=False)
    elif shown(old) != shown(new):
        yield Change(path, "changed", f"{shown(old)} → {shown(new)}", readable=(shown(new), shown(old)) in _WIDER)


def shown(avro: object) -> str:
    """A type in a few words; what may be null is not said, because every field may."""
    if isinstance(avro, list):
        return " or ".join(shown(branch) for branch in avro if branch != "null" or len(avro) > 2)
    if not isinstance(avro, Mapping):
        return str(avro)
    match avro.get("type"), avro.get("logicalType"):
        case "array", _:
            items = avro.get("items")
            nullable = " or null" if isinstance(items, list) else ""
            return f"array of {shown(items)}{nullable}"
        case _, "decimal":
            return f"decimal({avro.get('precision')}, {avro.get('scale')})"
        case _, str(logical):
            return logical
        case "string", _ if "holds" in avro:
            return f"text of {avro['holds']}"
        case kind, _:
            return str(kind)


def _fields(record: Mapping[str, object]) -> dict[str, Mapping[str, object]]:
    fields = record.get("fields")
    found = [each for each in fields if isinstance(each, Mapping)] if isinstance(fields, list) else []
    # What readers have may be anything that somebody has left in the file.
    return {str(each["name"]): each for each in found if "name" in each and "type" in each}
