"""Fields out of a text, as a JSON schema asks for them. Plain search, no model: good enough to look at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

SAVED_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "invoice_number": {"type": ["string", "null"], "description": "Number printed on the invoice"},
        "date": {"type": ["string", "null"], "description": "Day of issue"},
        "supplier": {"type": ["string", "null"], "description": "Who sent it"},
        "total": {"type": ["number", "null"], "description": "Amount due including tax"},
    },
    "required": ["invoice_number", "date", "supplier", "total"],
    "additionalProperties": False,
}
"""The schema of every extractor that is named by its id, and of runs that leave the schema to the API."""

_NUMBER = r"-?\d[\d,]*(?:\.\d+)?"
_NOISE = frozenset({"number", "no", "id", "name", "value", "the", "of", "date", "amount"})


def fill(schema: Mapping[str, Any], text: str) -> dict[str, object]:
    """A value for every property of an object schema; null (or empty) where the text says nothing."""
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return {}
    return {name: _value(name, wanted, text) for name, wanted in properties.items()}


def _value(name: str, schema: object, text: str) -> object:
    if not isinstance(schema, Mapping):
        return None
    if isinstance(schema.get("enum"), list):
        return _choice(schema["enum"], text)
    kinds = schema.get("type", "string")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    kind = next((kind for kind in kinds if isinstance(kind, str) and kind != "null"), "null")
    if kind == "object":
        return fill(schema, text)
    if kind == "array":
        return []
    found = _search(name, text, number=kind in {"number", "integer"})
    if kind == "boolean":
        return found is not None
    if found is None:
        return None if "null" in kinds else {"string": "", "number": 0, "integer": 0}.get(kind)
    if kind in {"number", "integer"}:
        amount = float(found.replace(",", ""))
        return round(amount) if kind == "integer" else amount
    return found


def _search(name: str, text: str, *, number: bool) -> str | None:
    words = [word for word in re.split(r"[^a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()) if word]
    labels = [" ".join(words), *(word for word in words if word not in _NOISE), *words]
    for label in filter(None, dict.fromkeys(labels)):
        wanted = _NUMBER if number else r"[^\s,;][^\n,;]*"
        after = r"\b\s*(?:number|no\.?|due|is)?\s*[:#=]\s*" if not number else r"\b[^\d\n-]{0,24}"
        match = re.search(rf"\b{re.escape(label)}{after}({wanted})", text, re.IGNORECASE)
        if match is None and not number:
            match = re.search(rf"\b{re.escape(label)}\b\s*(?:number|no\.?)?\s+(\S+)", text, re.IGNORECASE)
        if match is not None:
            return match[1].strip()
    return None


def _choice(options: list[object], text: str) -> object:
    lower = text.lower()
    named = (option for option in options if isinstance(option, str) and option.lower() in lower)
    return next(named, None if None in options else next(iter(options), None))
