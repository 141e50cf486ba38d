"""Whether a route's mapping can ever match records of an Avro schema, found out before there is one.

A schema says which fields there can be. What it does not have is a misspelt path, or one of an older or newer schema; a
route that waits for it would make a dead letter of every record, or take none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from connector.core.accept.field_reader import nearest_name
from connector.core.accept.mapping import Assignment
from connector.core.accept.path import Path
from connector.core.accept.source import FieldSource
from connector.core.accept.when import Condition
from connector.core.formats.avro import AvroSchema
from connector.core.formats.strict_json import shown_name
from connector.core.route import Route

Node = Mapping[str, object]

_TEXT = frozenset({"string", "enum"})
_WHOLE = frozenset({"int", "long"})
_NUMBER = _WHOLE | {"float", "double"}
_OBJECT = frozenset({"record", "error", "map"})
_KINDS: Mapping[str, frozenset[str]] = {
    "url": _TEXT,
    "text": _TEXT,
    "password": _TEXT,
    "run": _TEXT,
    "file_id": _TEXT | _WHOLE,
    "name": _TEXT | _WHOLE,
    "processor": _TEXT | _WHOLE,
    "version": _TEXT | _WHOLE,
    "document_id": _TEXT | _WHOLE,
    "priority": _TEXT | _WHOLE,
    "files": frozenset({"array"}),
    "create.outputs": frozenset({"array"}),
    "config": _OBJECT,
    "metadata": _OBJECT,
    "create.dataRetention": _OBJECT,
    "create.secrets": _OBJECT,
}
"""What may become each field of a reference; keys of metadata take anything."""
_MOST_SYMBOLS = 10


@dataclass(frozen=True, slots=True)
class Misfit:
    """One thing of a route that no record of the schema can have.

    Attributes:
        key: where in the route: ``fields`` or ``when``, and the key there.
        message: why, with the nearest name.
        fatal: the route is of no use for such records; else it only never has that field.
    """

    key: tuple[str, ...]
    message: str
    fatal: bool


def misfits(route: Route, schema: AvroSchema) -> Iterator[Misfit]:
    """What of a route can never match.

    Args:
        route: a route.
        schema: of its records; not of references, whose form the connector knows.
    """
    walk = _Walk(schema)
    for condition in () if route.when is None else route.when.conditions:
        if isinstance(condition.source, FieldSource) and condition.there:
            message = walk.never_holds(condition, condition.source.path)
            if message is not None:
                yield Misfit(("when", str(condition.source)), message, fatal=True)
    for each in () if route.mapping is None else route.mapping.assignments:
        if isinstance(each.source, FieldSource):
            message = walk.never_fits(each, each.source.path)
            if message is not None:
                yield Misfit(("fields", each.target), message, fatal=each.required)


class _Walk:
    def __init__(self, schema: AvroSchema) -> None:
        self._names: dict[str, Node] = {}
        self._collect(schema.schema)
        self._top = list(self._branches(schema.schema))

    def never_holds(self, condition: Condition, path: Path) -> str | None:
        found = self._at(path)
        if isinstance(found, str):
            return found
        if condition.accepted is None:
            return None
        values = [value for _, value in condition.accepted]
        if any(_may_be(value, node) for value in values for node in found):
            return None
        symbols = [shown_name(str(each)) for node in found for each in _list(node.get("symbols"))]
        hint = f"; there are {', '.join(symbols[:_MOST_SYMBOLS])}" if symbols else ""
        return f"{path} is {_kinds(found)}, and never what is wanted here{hint}"

    def never_fits(self, assignment: Assignment, path: Path) -> str | None:
        found = self._at(path)
        if isinstance(found, str):
            return found
        kinds = _KINDS.get(assignment.target)
        if kinds is None or any(_kind(node) in kinds for node in found):
            return None
        return f"{path} is {_kinds(found)}, which {assignment.target} does not take"

    def _at(self, path: Path) -> list[Node] | str:
        """What may stand there, without null; or why nothing ever does."""
        here = self._top
        for number, step in enumerate(path.steps):
            place = str(Path(path.steps[:number])) or "the value"
            inner = [branch for node in here for branch in self._inside(node, step)]
            if not inner:
                return _dead_end(place, step, here)
            here = inner
        there = [node for node in here if _kind(node) != "null"]
        return there or f"{path} is always null"

    def _inside(self, node: Node, step: str | int) -> Iterator[Node]:
        kind = _kind(node)
        if isinstance(step, int):
            if kind == "array":
                yield from self._branches(node["items"])
        elif kind == "map":
            yield from self._branches(node["values"])
        elif kind in _OBJECT:
            for field in _fields(node):
                if field["name"] == step:
                    yield from self._branches(field["type"])

    def _branches(self, node: object) -> Iterator[Node]:
        """A node as the types that a value of it may have."""
        if isinstance(node, str):
            yield self._names.get(node, {"type": node})
        elif isinstance(node, Mapping):
            inner = node["type"]
            if isinstance(inner, str) and inner not in self._names:
                yield node
            else:
                yield from self._branches(inner)
        elif isinstance(node, Sequence):
            for branch in node:
                yield from self._branches(branch)

    def _collect(self, node: object) -> None:
        if isinstance(node, Mapping):
            if isinstance(node.get("name"), str) and _kind(node) in {"record", "error", "enum", "fixed"}:
                self._names[str(node["name"])] = node
            for inner in (node.get("type"), node.get("items"), node.get("values")):
                if not isinstance(inner, str):
                    self._collect(inner)
            for field in _fields(node):
                self._collect(field["type"])
        elif isinstance(node, list):
            for branch in node:
                self._collect(branch)


def _dead_end(place: str, step: str | int, here: Sequence[Node]) -> str:
    names = [str(field["name"]) for node in here for field in _fields(node)]
    if isinstance(step, int):
        return f"{place} is {_kinds(here)}, not an array"
    if not names:
        return f"{place} is {_kinds(here)}, not a record"
    near = nearest_name(step, names)
    hint = f"; did you mean {shown_name(near)}?" if near else ""
    return f"{place} has no {shown_name(step)}{hint}"


def _may_be(value: object, node: Node) -> bool:
    kind = _kind(node)
    if kind == "enum":
        return value in _list(node.get("symbols"))
    if isinstance(value, bool):
        return kind == "boolean"
    return kind == "string" if isinstance(value, str) else kind in _NUMBER


def _kind(node: Node) -> str:
    return str(node["type"]) if isinstance(node.get("type"), str) else ""


def _kinds(nodes: Sequence[Node]) -> str:
    return " or ".join(dict.fromkeys(_kind(node) for node in nodes)) or "nothing"


def _fields(node: Node) -> list[Node]:
    found = node.get("fields")
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def _list(found: object) -> list[object]:
    return found if isinstance(found, list) else []
