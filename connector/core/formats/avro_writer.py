"""Writes values as Avro bodies, and says where one does not fit.

A schema becomes functions once, and writing is calls that check what they write. fastavro's own writer is not used: it
writes 1.5 into a long as 1 without a word, and looks for the branch of a union by trying them, again at each level. Its
``validate`` finds what does not fit at ten times the cost of writing, and shows the value, which may be a document's.
What is written here is byte for byte what fastavro writes, which the tests hold.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

Write = Callable[[object, bytearray], None]
"""Appends a value's bytes, or raises ``Unfit``; what was appended by then is nobody's."""

_MISSING = object()
_SHORT = 4096


class Misfit(NamedTuple):
    """The first thing that does not fit.

    Attributes:
        path: dotted, below the value that was written; empty for the value itself.
        complaint: what is wrong, without the value.
    """

    path: str
    complaint: str

    def inside(self, name: str) -> Misfit:
        """The same, seen from one level up."""
        return Misfit(f"{name}.{self.path}" if self.path else name, self.complaint)


class Unfit(ValueError):  # noqa: N818 - it names what the value is
    """A value does not fit.

    Attributes:
        misfit: what and where, below the value that was written.
    """

    def __init__(self, misfit: Misfit) -> None:
        self.misfit = misfit
        super().__init__(misfit.complaint)

    def inside(self, name: str) -> Unfit:
        """The same, seen from one level up."""
        return Unfit(self.misfit.inside(name))


def writer_of(schema: object) -> Write:
    """What writes values of a schema.

    Args:
        schema: as ``avro.load_checked`` returns it: checked, with full names, without logical types.
    """
    return _compiled(schema, {})


def _compiled(node: object, names: dict[str, Write]) -> Write:
    if isinstance(node, str):
        return names[node] if node in names else _PRIMITIVES[node]
    if isinstance(node, Mapping):
        return _complex(node, names)
    if isinstance(node, Sequence):
        return _union([(_name_of(branch), _compiled(branch, names)) for branch in node])
    raise TypeError(f"a schema is a name, an object or a list, not {type(node).__name__}")


def _complex(node: Mapping[str, object], names: dict[str, Write]) -> Write:
    kind = node["type"]
    if kind == "array":
        return _array(_compiled(node["items"], names))
    if kind == "map":
        return _map(_compiled(node["values"], names))
    if kind not in {"record", "error", "enum", "fixed"}:
        return _compiled(kind, names)
    name = str(node["name"])
    if kind == "enum":
        write = _enum(name, _listed(node["symbols"]))
    elif kind == "fixed":
        write = _fixed(name, node["size"])
    else:
        write = _record(node, names)
    names[name] = write
    return write


def _record(node: Mapping[str, object], names: dict[str, Write]) -> Write:
    given = [each for each in _listed(node["fields"]) if isinstance(each, Mapping)]
    fields = [(str(each["name"]), _compiled(each["type"], names)) for each in given]
    defaults = {
        name: _default(each["default"], write)
        for each, (name, write) in zip(given, fields, strict=True)
        if "default" in each
    }
    known = frozenset(name for name, _ in fields)

    def write_record(value: object, out: bytearray) -> None:
        if type(value) is not dict and not isinstance(value, Mapping):  # an abstract class is slow to ask
            raise _unfit(value, "a record")
        left = len(value)
        name = ""
        try:
            for name, write in fields:
                inner = value.get(name, _MISSING)
                if inner is not _MISSING:
                    left -= 1
                    write(inner, out)
                else:
                    out += _left_out(defaults.get(name))
        except Unfit as error:
            raise error.inside(name) from None
        if left:
            raise Unfit(Misfit(next(str(each) for each in value if each not in known), "there is no such field"))

    return write_record


def _left_out(default: bytes | None) -> bytes:
    if default is None:
        raise Unfit(Misfit("", "the value is missing"))
    return default


def _default(default: object, write: Write) -> bytes | None:
    """The bytes of a field that is left out; None where the schema's default is no value of the field.

    Bytes are texts of the code points 0 to 255 in a schema, also in a union, whose default is of its first branch (Avro
    specification, "Complex Types").
    """
    raw = default.encode("latin-1", "replace") if isinstance(default, str) else default
    for value in (default, raw):
        out = bytearray()
        with suppress(Unfit, UnicodeEncodeError):
            write(value, out)
            return bytes(out)
    return None


def _union(branches: Sequence[tuple[str, Write]]) -> Write:
    heads = [_integer_bytes(place) for place in range(len(branches))]
    known = {name: place for place, (name, _) in enumerate(branches)}
    others = [place for place in range(len(branches)) if place != known.get("null")]
    if len(branches) == 2 and len(others) == 1:
        return _nullable(heads[known["null"]], heads[others[0]], branches[others[0]][1])
    wanted = " or ".join(name for name, _ in branches)

    def write_union(value: object, out: bytearray) -> None:
        size = len(out)
        for head, (_, write) in zip(heads, branches, strict=True):
            out += head
            try:
                write(value, out)
            except Unfit:
                del out[size:]
            else:
                return
        raise _unfit(value, wanted)

    return write_union


def _nullable(null: bytes, head: bytes, write: Write) -> Write:
    if write is _write_string:
        return _nullable_string(null, head)

    def write_nullable(value: object, out: bytearray) -> None:
        if value is None:
            out += null
        else:
            out += head
            write(value, out)

    return write_nullable


def _nullable_string(null: bytes, head: bytes) -> Write:
    """Most fields are one: a call less for each."""

    def write_nullable_string(value: object, out: bytearray) -> None:
        if value is None:
            out += null
        elif isinstance(value, str):
            data = value.encode()
            size = len(data)
            out += head
            out += _SHORTS[size] if size < _SHORT else _integer_bytes(size)
            out += data
        else:
            raise _unfit(value, "string")

    return write_nullable_string


def _array(write: Write) -> Write:
    def write_array(value: object, out: bytearray) -> None:
        if not isinstance(value, list | tuple):
            raise _unfit(value, "an array")
        index = 0
        if value:
            out += _integer_bytes(len(value))
            try:
                for index, item in enumerate(value):  # noqa: B007 - the number of the item that does not fit
                    write(item, out)
            except Unfit as error:
                raise error.inside(str(index)) from None
        out.append(0)

    return write_array


def _map(write: Write) -> Write:
    def write_map(value: object, out: bytearray) -> None:
        if not isinstance(value, Mapping):
            raise _unfit(value, "a map")
        if value:
            out += _integer_bytes(len(value))
            for name, item in value.items():
                if not isinstance(name, str):
                    raise Unfit(Misfit("", "a map has texts as keys"))
                _write_string(name, out)
                try:
                    write(item, out)
                except Unfit as error:
                    # A map's key is content, not a field.
                    raise error.inside("*") from None
        out.append(0)

    return write_map


def _enum(name: str, symbols: Sequence[object]) -> Write:
    heads = {symbol: _integer_bytes(place) for place, symbol in enumerate(symbols)}

    def write_enum(value: object, out: bytearray) -> None:
        head = heads.get(value) if isinstance(value, str) else None
        if head is None:
            raise _unfit(value, name)
        out += head

    return write_enum


def _fixed(name: str, size: object) -> Write:
    def write_fixed(value: object, out: bytearray) -> None:
        if not isinstance(value, bytes) or len(value) != size:
            raise _unfit(value, name)
        out += value

    return write_fixed


def _integer(bits: int, wanted: str) -> Write:
    limit = 2 ** (bits - 1)

    def write_integer(value: object, out: bytearray) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or not -limit <= value < limit:
            raise _unfit(value, wanted)
        out += _SHORTS[value] if 0 <= value < _SHORT else _integer_bytes(value)

    return write_integer


def _real(form: str, wanted: str) -> Write:
    pack = struct.Struct(form).pack

    def write_real(value: object, out: bytearray) -> None:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise _unfit(value, wanted)
        try:
            out += pack(value)
        except (OverflowError, struct.error):
            raise _unfit(value, wanted) from None

    return write_real


def _write_null(value: object, out: bytearray) -> None:  # noqa: ARG001 - null takes no bytes
    if value is not None:
        raise _unfit(value, "null")


def _write_boolean(value: object, out: bytearray) -> None:
    if not isinstance(value, bool):
        raise _unfit(value, "boolean")
    out.append(value)


def _write_bytes(value: object, out: bytearray) -> None:
    if not isinstance(value, bytes):
        raise _unfit(value, "bytes")
    size = len(value)
    out += _SHORTS[size] if size < _SHORT else _integer_bytes(size)
    out += value


def _write_string(value: object, out: bytearray) -> None:
    if not isinstance(value, str):
        raise _unfit(value, "string")
    data = value.encode()
    size = len(data)
    out += _SHORTS[size] if size < _SHORT else _integer_bytes(size)
    out += data


def _integer_bytes(value: int) -> bytes:
    """Zigzag, then seven bits a byte, the lowest first (Avro specification, "Binary encoding")."""
    rest = (value << 1) ^ (value >> 63)
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def _unfit(value: object, wanted: str) -> Unfit:
    return Unfit(Misfit("", f"a value of type {type(value).__name__} does not fit {wanted}"))


def _listed(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()


def _name_of(branch: object) -> str:
    if isinstance(branch, Mapping):
        return str(branch.get("name") or branch.get("type"))
    return str(branch)


_SHORTS = tuple(_integer_bytes(value) for value in range(_SHORT))
"""Lengths and most numbers are short."""

_PRIMITIVES: dict[str, Write] = {
    "null": _write_null,
    "boolean": _write_boolean,
    "int": _integer(32, "int"),
    "long": _integer(64, "long"),
    "float": _real("<f", "float"),
    "double": _real("<d", "double"),
    "bytes": _write_bytes,
    "string": _write_string,
}
