"""From the API's JSON to the values of an Avro record, and back.

An Avro schema becomes functions once; a conversion is calls. A value either arrives whole or not at all: a number that
would be rounded, a date that is none, a text in the place of a number does not fit, and the caller sends the JSON
instead. Values are plain, as ``formats.avro`` has them: a date is days, a decimal its bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import cast

import msgspec

from connector.core.formats.avro_writer import Misfit
from connector.core.formats.schema_limits import SchemaRefused
from connector.core.formats.strict_json import shown_name
from connector.core.typed.avro_record import HOLDS, JSON_NAME, PRECISION

_EPOCH = date(1970, 1, 1)
_LONG = 19
"""Digits in front of the point that a 64-bit integer may have."""
_DOUBLE = 400
"""Digits, in front of the point or behind it, that a double may have; more are not even converted."""

_json = msgspec.json.Encoder(decimal_format="number").encode


class NotConverted(Exception):  # noqa: N818 - it names what happened to the value
    """The value does not fit. The misfit names the field, never the value."""

    def __init__(self, complaint: str, path: str = "") -> None:
        self.misfit = Misfit(path, complaint)
        super().__init__(complaint)

    def inside(self, name: str) -> NotConverted:
        """The same, seen from one level up."""
        path, complaint = self.misfit.inside(shown_name(name))
        return NotConverted(complaint, path)


class Rest:
    """What the schema has no place for.

    Attributes:
        found: whether there was any.
    """

    __slots__ = ("found",)

    def __init__(self) -> None:
        self.found = False


Convert = Callable[[object, Rest], object]
"""From a JSON value, numbers with a point as ``Decimal``; raises ``NotConverted``."""
Restore = Callable[[object], object]
"""From an Avro value to what ``json`` would have read, numbers with a fixed scale as ``Decimal``."""


def conversion_of(schema: object) -> tuple[Convert, Restore]:
    """The two ways between JSON and a schema's values.

    Args:
        schema: the Avro schema of a value, with its logical types.

    Raises:
        SchemaRefused: it has a type that ``record_of`` never makes.
    """
    if isinstance(schema, str):
        return _named(schema)
    if isinstance(schema, Mapping):
        return _complex(schema)
    branches = list(schema) if isinstance(schema, Sequence) else []
    if len(branches) != 2 or branches[0] != "null":
        raise _unknown("a union other than null and one type")
    convert, restore = conversion_of(branches[1])
    return (
        lambda value, rest: None if value is None else convert(value, rest),
        lambda value: None if value is None else restore(value),
    )


def _named(name: str) -> tuple[Convert, Restore]:
    converts: dict[str, Convert] = {"string": _text, "boolean": _boolean, "long": _integer, "double": _double}
    if name not in converts:
        raise _unknown(f"the type {name}")
    return converts[name], _same


def _complex(schema: Mapping[str, object]) -> tuple[Convert, Restore]:
    match schema.get("type"), schema.get("logicalType"):
        case "record", _:
            return _record(schema)
        case "array", _:
            return _array(*conversion_of(schema.get("items")))
        case "int", "date":
            return _days, lambda value: (_EPOCH + timedelta(days=cast("int", value))).isoformat()
        case "bytes", "decimal":
            return _decimal(schema.get("precision"), schema.get("scale", 0))
        case "string", _ if schema.get(HOLDS) == "json":
            return lambda value, _: _json(value).decode(), lambda value: msgspec.json.decode(str(value))
        case str(name), None:
            return _named(name)
    raise _unknown(f"the type {str(schema.get('type'))[:40]} with logicalType {str(schema.get('logicalType'))[:40]}")


def _record(schema: Mapping[str, object]) -> tuple[Convert, Restore]:
    fields = []
    listed = schema.get("fields")
    for each in listed if isinstance(listed, list) else ():
        name = str(each["name"])
        fields.append((str(each.get(JSON_NAME, name)), name, *conversion_of(each["type"])))
    known = frozenset(json_name for json_name, *_ in fields)

    def convert(value: object, rest: Rest) -> object:
        if not isinstance(value, Mapping):
            raise _wrong(value, "an object")
        made = {}
        for json_name, name, inner, _ in fields:
            try:
                made[name] = inner(value.get(json_name), rest)
            except NotConverted as error:
                raise error.inside(json_name) from None
        if not rest.found and len(value) > len(fields) - list(made.values()).count(None):
            rest.found = any(name not in known and value[name] is not None for name in value)
        return made

    def restore(value: object) -> object:
        given = value if isinstance(value, Mapping) else {}
        return {json_name: inner(given.get(name)) for json_name, name, _, inner in fields}

    return convert, restore


def _array(of: Convert, back: Restore) -> tuple[Convert, Restore]:
    def convert(value: object, rest: Rest) -> object:
        if not isinstance(value, list):
            raise _wrong(value, "an array")
        made = []
        for place, item in enumerate(value):
            try:
                made.append(of(item, rest))
            except NotConverted as error:
                raise error.inside(str(place)) from None
        return made

    return convert, lambda value: [back(item) for item in value] if isinstance(value, list) else value


def _same(value: object) -> object:
    return value


def _text(value: object, _: Rest) -> object:
    if not isinstance(value, str):
        raise _wrong(value, "a text")
    return value


def _boolean(value: object, _: Rest) -> object:
    if not isinstance(value, bool):
        raise _wrong(value, "true or false")
    return value


def _number(value: object, wanted: str, digits: int) -> int | Decimal:
    """A number whose size and exactness are such that arithmetic with it stays small."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise _wrong(value, wanted)
    if isinstance(value, Decimal):
        if not value:
            # Whatever its exponent is: 0e-9999999 would become ten million digits.
            return Decimal(0).copy_sign(value)
        _, figures, exponent = value.as_tuple()
        if not isinstance(exponent, int) or value.adjusted() > digits or len(figures) > _DOUBLE or exponent < -_DOUBLE:
            raise NotConverted(f"the number does not fit {wanted}")
    return value


def _integer(value: object, _: Rest) -> object:
    number = _number(value, "an integer of 64 bits", _LONG)
    whole = int(number)
    if whole != number:
        raise NotConverted("the number has decimal places, and an integer has none")
    if not -(2**63) <= whole < 2**63:
        raise NotConverted("the number does not fit an integer of 64 bits")
    return whole


def _double(value: object, _: Rest) -> object:
    number = _number(value, "a double", _DOUBLE)
    try:
        double = float(number)
    except OverflowError:
        double = math.inf
    # What a reader prints must be the number that the API wrote: the API's own numbers are doubles too.
    if math.isinf(double) or Decimal(repr(double)) != number:
        raise NotConverted("the number has more digits than a double holds")
    return double


def _days(value: object, rest: Rest) -> object:
    text = str(_text(value, rest))
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    # fromisoformat takes 20260102 and 2026-W01-5 too.
    if day is None or day.isoformat() != text:
        raise NotConverted("the text is no date such as 2026-12-31")
    return (day - _EPOCH).days


def _decimal(precision: object, scale: object) -> tuple[Convert, Restore]:
    if isinstance(precision, int) and isinstance(scale, int) and 0 <= scale <= precision <= PRECISION:
        return _exact(precision, scale)
    raise _unknown(f"a decimal without a precision up to {PRECISION} and a scale up to that")


def _exact(precision: int, scale: int) -> tuple[Convert, Restore]:
    wanted = f"a decimal with {precision} digits, {scale} of them behind the point"

    def convert(value: object, _: Rest) -> object:
        number = Decimal(_number(value, wanted, precision))
        sign, figures, exponent = number.as_tuple()
        shift = int(exponent) + scale
        unscaled = int("".join(map(str, figures)))
        if shift >= 0:
            unscaled *= 10 ** min(shift, _DOUBLE)
        else:
            unscaled, lost = divmod(unscaled, 10**-shift)
            if lost:
                raise NotConverted(f"the number does not fit {wanted}")
        if unscaled >= 10**precision:
            raise NotConverted(f"the number does not fit {wanted}")
        signed = -unscaled if sign else unscaled
        return signed.to_bytes(signed.bit_length() // 8 + 1, "big", signed=True)

    def restore(value: object) -> object:
        unscaled = int.from_bytes(value if isinstance(value, bytes) else b"", "big", signed=True)
        sign, digits = int(unscaled < 0), tuple(int(digit) for digit in str(abs(unscaled)))
        return Decimal((sign, digits, -scale))

    return convert, restore


def _wrong(value: object, wanted: str) -> NotConverted:
    kinds = {bool: "true or false", int: "a number", Decimal: "a number", str: "a text", list: "an array"}
    found = "null" if value is None else kinds.get(type(value), "an object")
    return NotConverted(f"{found} does not fit {wanted}")


def _unknown(what: str) -> SchemaRefused:
    return SchemaRefused(f"A typed value has {what}, which `schemas generate` never makes.")
