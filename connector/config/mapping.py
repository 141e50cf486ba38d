"""A route's ``fields`` and ``when``: somebody's record as this connector reads it; every mistake with its own key."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator
from pydantic_core import PydanticCustomError

from connector.config.frozen import freeze, thaw
from connector.config.nearest import nearest
from connector.core.accept.mapping import FieldMapping, UnknownTarget, assignment_of, mapping_of
from connector.core.accept.path import NotationError
from connector.core.accept.when import When, condition_of, when_of


def fields_of(written: Mapping[str, Any]) -> FieldMapping | None:
    """The compiled mapping; None when there is none."""
    plain = thaw(written)
    return mapping_of(plain) if isinstance(plain, dict) and plain else None


def when_or_none(written: Mapping[str, Any]) -> When | None:
    """The compiled conditions; None when there are none."""
    plain = thaw(written)
    return when_of(plain) if isinstance(plain, dict) and plain else None


def _fields(value: object) -> object:
    written = _checked(value, "of fields of a reference to where they stand in a record", assignment_of)
    problems = dict(_contradictions(written))
    if problems:
        raise PydanticCustomError("nested_problems", "has problems", {"problems": problems})
    return freeze(written)


def _when(value: object) -> object:
    return freeze(_checked(value, "of conditions, for example {type: invoice}", condition_of))


def _checked(value: object, noun: str, compiled: Callable[[str, object], object]) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise ValueError(f"must be a mapping {noun}")
    written = dict(value)
    problems = {}
    for name, item in written.items():
        try:
            compiled(name, thaw(item))
        except UnknownTarget as error:
            problems[name] = _unknown(name, error)
        except NotationError as error:
            problems[name] = str(error)
    if problems:
        raise PydanticCustomError("nested_problems", "has problems", {"problems": problems})
    return written


def _unknown(name: str, error: UnknownTarget) -> str:
    close = error.renamed or nearest(name, error.known)
    hint = f"did you mean {close}?" if close else f"there are {', '.join(error.known)}"
    return f"{error}; {hint}"


def _contradictions(written: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """What no record can fulfil, and what does not show in a reference any more."""
    seen: dict[str, str] = {}
    for name, notation in written.items():
        target = assignment_of(name, thaw(notation)).target
        if target in seen:
            yield name, f"is {seen[target]} in another spelling: a field comes from one place"
        elif target.startswith("metadata.") and "metadata" in written:
            yield name, "stands in metadata, which is mapped as a whole: map one or the other"
        seen[target] = name


Fields = Annotated[
    Mapping[str, Any],
    PlainValidator(_fields, json_schema_input_type=dict[str, str | dict[str, Any]]),
    PlainSerializer(thaw),
]
"""A mapping of fields, checked; it is compiled by ``fields_of``."""

Conditions = Annotated[
    Mapping[str, Any],
    PlainValidator(_when, json_schema_input_type=dict[str, Any]),
    PlainSerializer(thaw),
]
"""Conditions, checked; they are compiled by ``when_or_none``."""
