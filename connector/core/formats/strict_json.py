"""JSON from strangers: what the standard parser would let through, and what would bring it down.

The standard library accepts NaN, duplicate keys (the last one wins: a reader before us may have seen the
other), integers of any length and lone surrogates, which fail only when they are written; and 100,000
brackets end in a RecursionError. orjson turns large integers into floats. So: the depth is counted before
parsing, the rest is refused while parsing.
"""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal

import msgspec

from connector.core.formats.json_limits import MAX_DEPTH, is_too_deep

_INT64 = range(-(2**63), 2**63)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class NotJson(ValueError):  # noqa: N818 - it names what the text is not
    """The text is no JSON that may be used. The message shows positions and keys, never values."""


def parse_json(text: str, *, exact: bool = False) -> object:
    """The value of a JSON text.

    Args:
        text: the whole text.
        exact: numbers with a point or an exponent, and integers over 64 bits, become a ``Decimal`` with every digit.

    Raises:
        NotJson: no JSON; deeper than 64; NaN or infinite; without ``exact`` an integer over 64 bits; an object with a
            key twice; a lone surrogate.
    """
    try:
        data = text.encode()
    except UnicodeEncodeError:
        raise NotJson("the text holds a lone surrogate, which UTF-8 cannot hold") from None
    if is_too_deep(data):
        raise NotJson(f"nested deeper than {MAX_DEPTH} levels, or brackets that do not close")
    try:
        value = (_EXACT_DECODER if exact else _DECODER).decode(text)
    except json.JSONDecodeError as error:
        raise NotJson(f"no valid JSON: {error.msg} at character {error.pos}") from None
    if _SURROGATE.search(text):
        _check_unicode(value)
    return value


def shown_name(name: str) -> str:
    """A field's name as it may stand in an error: at most 64 printable characters."""
    return "".join(char if char.isprintable() else "?" for char in name[:64])


def _check_unicode(value: object) -> None:
    try:
        msgspec.json.encode(value)
    except UnicodeEncodeError:
        raise NotJson("a text holds a lone surrogate, which UTF-8 cannot hold") from None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            raise NotJson(f"the key {shown_name(name)} stands twice in one object")
        found[name] = value
    return found


def _int(text: str) -> int:
    # Twenty characters hold every 64-bit integer; longer texts are not even converted.
    if len(text) > 20 or int(text) not in _INT64:
        raise NotJson("an integer does not fit 64 bits; write it as a text")
    return int(text)


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise NotJson("a number is too large for a double; write it as a text")
    return number


def _exact_int(text: str) -> int | Decimal:
    return int(text) if len(text) < 19 else _exact_float(text)


def _exact_float(text: str) -> Decimal:
    _float(text)
    if len(text) >= 1000:
        raise NotJson("a number has 1000 digits or more; write it as a text")
    try:
        return Decimal(text)
    except ArithmeticError:
        # To a double it is zero, and so it came this far; Decimal has limits of its own.
        raise NotJson("a number's exponent is too large; write it as a text") from None


def _constant(text: str) -> object:
    raise NotJson(f"{text} is no JSON value")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_int, parse_float=_float, parse_constant=_constant)
_EXACT_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_exact_int, parse_float=_exact_float, parse_constant=_constant
)
