"""What pydantic found, in sentences for people, and without the values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic_core import ErrorDetails

from connector.config.keys import Path, dotted, known_keys, section_at
from connector.config.nearest import nearest

_PLAIN: Mapping[str, str] = {
    "string_type": 'must be a text; put it in quotes, for example "2.1"',
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "is a number that is too large",
    "float_type": "must be a number",
    "finite_number": "must be a number, not infinity",
    "bool_type": "must be true or false",
    "model_type": "must be a mapping with its keys below it",
    "mapping_type": "must be a mapping with names as its keys",
    "dict_type": "must be a mapping with names as its keys",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "path_type": "must be the path of a file",
    "is_instance_of": "must be a text",
    "none_required": "must be null",
    "too_short": "must name at least one",
}

_LIMITS: Mapping[str, tuple[str, str]] = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}

_BESIDE: Mapping[str, str] = {
    "outputs": "it belongs under create",
    "secrets": "it belongs under create",
    "dataRetention": "it belongs under create",
    "extractor": "name its id as processor",
    "classifier": "name its id as processor",
    "splitter": "name its id as processor",
    "workflow": "name its id as processor",
    "templateId": "name it as processor",
    "overrideConfig": "name it as config",
}
"""Names of the API, where it helps to say what they are here; keys of a route only."""


def findings_of(errors: Sequence[ErrorDetails], values: Mapping[str, object]) -> Iterator[tuple[Path, str]]:
    """Path and sentence of every error, one for each path.

    Args:
        errors: what pydantic found.
        values: what was checked; the place of an error is as deep in it as there are keys.
    """
    seen: set[Path] = set()
    for error in errors:
        path = _place(error["loc"], values)
        if error["type"] == "nested_problems":
            for name, sentence in error.get("ctx", {})["problems"].items():
                yield (*path, name), sentence
        elif path not in seen:
            seen.add(path)
            yield path, _sentence(error, path)


def _place(loc: tuple[int | str, ...], values: Mapping[str, object]) -> Path:
    """The keys of an error's place that are really there: pydantic adds names of its own for alternatives."""
    path: list[str] = []
    at: object = values
    for part in loc:
        if isinstance(at, Mapping) and part in at:
            at = at[str(part)]
        elif isinstance(at, list) and isinstance(part, int) and part < len(at):
            at = at[part]
        else:
            break
        path.append(str(part))
    return tuple(path)


def _sentence(error: ErrorDetails, path: Path) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown(path)
    if kind == "literal_error":
        return f"must be {context['expected']}".replace("'", "")
    if kind == "value_error":
        return str(context["error"])
    if kind in _LIMITS:
        name, words = _LIMITS[kind]
        return f"must be {words} {context[name]:g}"
    # Pydantic's own sentences name types and bounds, and not the value.
    return _PLAIN.get(kind) or f"is not valid: {error['msg']}"


def _unknown(path: Path) -> str:
    name, section = path[-1], section_at(path[:-1])
    keys = tuple(section.model_fields) if section else ()
    if path[0] == "routes" and name in _BESIDE:
        return f"is unknown; {_BESIDE[name]}"
    close = nearest(name, keys)
    if close:
        return f"is unknown; did you mean {close}?"
    elsewhere = next((key for key in known_keys() if key[-1] == name), None)
    if elsewhere:
        return f"is unknown here; did you mean {dotted(elsewhere)}?"
    return f"is unknown; the keys here are {', '.join(keys)}"


def error_details(error: Any) -> list[ErrorDetails]:  # noqa: ANN401 - pydantic's error; its stubs leave it open
    """What pydantic found, without the values."""
    found: list[ErrorDetails] = error.errors(include_url=False, include_input=False)
    return found
