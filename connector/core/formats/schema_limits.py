"""What an Avro schema must not be, checked before a byte is read with it.

A reader follows the schema that the writer named. fastavro (1.13.1) follows a recursive one until the stack
ends: a value of 4.8 kB is a SIGSEGV, which no ``except`` catches. An array of nulls takes no bytes per item:
5 bytes make a list of 20 million. Records inside records, each named twice, double per level and may take no
bytes either. So such schemas are refused when they are loaded, and the readers need no guards of their own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Schema = Mapping[str, object]

MAX_BYTES = 256 * 1024
"""Of the schema's JSON text."""
MAX_LEVELS = 32
"""Types inside types, after named types are filled in."""
MAX_NAMES = 512
"""Named types in one schema, and characters in one full name."""
MAX_FREE_VALUES = 256
"""Values that one value of the schema may hold without taking a byte (nulls, empty records, fixed of size
0)."""

_PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})

MAX_FREE_ITEM_VALUES = 8
"""The same for one item of an array or map: an item may take a single byte, and a value has millions of bytes."""


class SchemaRefused(ValueError):  # noqa: N818 - it names what happened to the schema
    """The schema may be valid Avro, but the connector does not read with it."""


@dataclass(frozen=True, slots=True)
class _Shape:
    levels: int
    zero_width: bool
    free_values: int


@dataclass(slots=True)
class _Walk:
    done: dict[str, _Shape] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)

    def shape(self, node: object, namespace: str, level: int) -> _Shape:
        if level > MAX_LEVELS:
            raise SchemaRefused(f"The schema nests deeper than {MAX_LEVELS} levels.")
        if isinstance(node, str):
            return self._named(node, namespace)
        if isinstance(node, Mapping):
            return self._complex(node, namespace, level)
        if isinstance(node, Sequence) and not isinstance(node, bytes):
            branches = [self.shape(branch, namespace, level + 1) for branch in node]
            # The index of the branch takes a byte, so a null costs what it should.
            free = max((branch.free_values - branch.zero_width for branch in branches), default=0)
            return _checked(_Shape(1 + _deepest(branches), zero_width=False, free_values=free))
        raise SchemaRefused(f"A schema is a name, an object or a list, not {type(node).__name__}.")

    def _named(self, name: str, namespace: str) -> _Shape:
        if name in _PRIMITIVES:
            return _Shape(1, zero_width=name == "null", free_values=int(name == "null"))
        for full in (_full_name(name, namespace), name):
            if full in self.open:
                raise SchemaRefused(f"The schema is recursive: {full} contains itself.")
            if full in self.done:
                return self.done[full]
        raise SchemaRefused(f"The schema names the type {name[:100]!r}, which it does not define.")

    def _complex(self, node: Schema, namespace: str, level: int) -> _Shape:
        kind = node.get("type")
        if not isinstance(kind, str):
            return self.shape(kind, namespace, level + 1)
        if kind in {"array", "map"}:
            item = self.shape(node.get("items" if kind == "array" else "values"), namespace, level + 1)
            if item.zero_width:
                raise SchemaRefused(
                    f"The schema has an {kind} whose items take no bytes: a few bytes would make millions."
                )
            if item.free_values > MAX_FREE_ITEM_VALUES:
                raise SchemaRefused(
                    f"The schema has an {kind} whose items hold {item.free_values} values that take no bytes; "
                    f"{MAX_FREE_ITEM_VALUES} are allowed."
                )
            return _checked(_Shape(1 + item.levels, zero_width=False, free_values=item.free_values))
        if kind in {"record", "error", "enum", "fixed"}:
            return self._definition(kind, node, namespace, level)
        return self.shape(kind, namespace, level + 1)

    def _definition(self, kind: str, node: Schema, namespace: str, level: int) -> _Shape:
        own = node.get("namespace")
        full = _full_name(str(node.get("name", "")), str(own) if own is not None else namespace)
        if len(full) > MAX_NAMES:
            raise SchemaRefused(f"The schema has a name longer than {MAX_NAMES} characters.")
        if full in self.done or full in self.open:
            raise SchemaRefused(f"The schema defines {full} twice.")
        if len(self.done) + len(self.open) >= MAX_NAMES:
            raise SchemaRefused(f"The schema defines more than {MAX_NAMES} named types.")
        if kind == "enum":
            self.done[full] = _Shape(1, zero_width=False, free_values=0)
        elif kind == "fixed":
            empty = node.get("size") == 0
            self.done[full] = _Shape(1, zero_width=empty, free_values=int(empty))
        else:
            self.done[full] = self._record(full, node, level)
        return self.done[full]

    def _record(self, full: str, node: Schema, level: int) -> _Shape:
        fields = node.get("fields")
        if not isinstance(fields, Sequence) or not all(isinstance(each, Mapping) for each in fields):
            raise SchemaRefused(f"The record {full} has no list of fields.")
        self.open.add(full)
        inner = full.rpartition(".")[0]
        shapes = [self.shape(each.get("type"), inner, level + 1) for each in fields]
        self.open.discard(full)
        empty = all(shape.zero_width for shape in shapes)
        free = int(empty) + sum(shape.free_values for shape in shapes)
        return _checked(_Shape(1 + _deepest(shapes), zero_width=empty, free_values=free))


def _deepest(shapes: Sequence[_Shape]) -> int:
    return max((shape.levels for shape in shapes), default=0)


def _checked(shape: _Shape) -> _Shape:
    if shape.levels > MAX_LEVELS:
        raise SchemaRefused(f"The schema nests deeper than {MAX_LEVELS} levels.")
    if shape.free_values > MAX_FREE_VALUES:
        raise SchemaRefused(f"The schema holds more than {MAX_FREE_VALUES} values that take no bytes.")
    return shape


def _full_name(name: str, namespace: str) -> str:
    return f"{namespace}.{name}" if namespace and "." not in name else name


def check_schema(schema: object) -> None:
    """Refuse a schema that would let a few bytes exhaust the stack or the memory.

    Args:
        schema: a parsed JSON schema, as it came from a file or a registry.

    Raises:
        SchemaRefused: recursive, too large, too deep, too many names, or items without bytes; the message
            says which.
    """
    shape = _Walk().shape(schema, "", 1)
    size = len(json.dumps(schema).encode())
    if size > MAX_BYTES:
        raise SchemaRefused(f"The schema takes {size} bytes; {MAX_BYTES} are allowed.")
    _checked(shape)
