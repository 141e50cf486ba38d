"""Which keys there are, and how the text of an environment variable is read for each; taken from the models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from connector.config.model import Config
from connector.config.quantities import Instant, Quantity
from connector.config.routes import Route
from connector.config.section import Section

Path = tuple[str, ...]
"""Keys from the top; an index of a list stands as its digits."""

SECRETS: Mapping[Path, tuple[Path, str]] = {
    ("extend", "api_key"): (("extend", "api_key_file"), "EXTEND_API_KEY"),
    ("kafka", "password"): (("kafka", "password_file"), "CONNECTOR__KAFKA__PASSWORD"),
    ("schema_registry", "password"): (
        ("schema_registry", "password_file"),
        "CONNECTOR__SCHEMA_REGISTRY__PASSWORD",
    ),
    ("schema_registry", "token"): (("schema_registry", "token_file"), "CONNECTOR__SCHEMA_REGISTRY__TOKEN"),
    ("webhook", "secrets"): (("webhook", "secret_files"), "EXTEND_WEBHOOK_SECRET"),
}
"""Keys that hold secrets, with the key beside each that names a file, and the variable to use instead."""

IN_HEADERS = frozenset({("extend", "api_key"), ("schema_registry", "token")})
"""Secrets that go into an HTTP header as they are."""

_FREE = frozenset({"config", "metadata", "create", "fields", "when"})


class Kind(Enum):
    """How a variable is read."""

    TEXT = "text"
    YAML = "yaml"
    SECRET = "secret"  # noqa: S105 - the word, not a secret


def dotted(path: Path) -> str:
    """The path as problems name it."""
    return ".".join(path)


def section_at(path: Path) -> type[Section] | None:
    """The section that stands under a path, or None."""
    if path[:1] == ("routes",):
        return _descend(Route, path[2:]) if len(path) >= 2 else None
    return _descend(Config, path)


def known_keys(section: type[Section] = Config, above: Path = ()) -> Iterator[Path]:
    """Every key below a section; a route's stand below ``routes.<name>``."""
    for name, info in section.model_fields.items():
        path = (*above, name)
        inner = Route if path == ("routes",) else section_of(info.annotation)
        yield path
        if inner is not None:
            yield from known_keys(inner, (*path, "<name>") if inner is Route else path)


def kind_of(path: Path) -> Kind:
    """How the variable of a path is read; an unknown key as YAML, because validation names it."""
    if path[:2] in SECRETS:
        return Kind.SECRET
    if path[:2] == ("kafka", "properties") and len(path) > 2:
        return Kind.TEXT
    parent = section_at(path[:-1])
    info = parent.model_fields.get(path[-1]) if parent is not None else None
    return Kind.TEXT if info is not None and _is_text(info) else Kind.YAML


def own_key(parts: Path, routes: Mapping[str, object]) -> Path:
    """The path that the parts of a variable's name mean: our keys in any case, the user's as they are.

    Args:
        parts: what stands between the double underscores.
        routes: the routes so far; a name finds its route in any case, hyphens and dots as underscores.
    """
    if parts[0].lower() == "routes" and len(parts) > 1:
        by_plain = {_plain(name): name for name in routes}
        name = parts[1] if parts[1] in routes else by_plain.get(_plain(parts[1]), parts[1])
        if len(parts) > 2 and parts[2].lower() in _FREE:
            return ("routes", name, parts[2].lower(), *parts[3:])
        return ("routes", name, *(part.lower() for part in parts[2:]))
    lower = tuple(part.lower() for part in parts)
    if lower[:2] == ("kafka", "properties"):
        # A shell takes no dots in names, and librdkafka's properties have them.
        return (*lower[:2], *(part.replace("_", ".") for part in lower[2:]))
    return lower


def section_of(annotation: Any) -> type[Section] | None:  # noqa: ANN401 - an annotation can be anything
    """The section that an annotation holds, through Optional."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next((found for part in get_args(annotation) if (found := section_of(part))), None)


def _descend(section: type[Section], path: Path) -> type[Section] | None:
    found: type[Section] | None = section
    for name in path:
        info = found.model_fields.get(name) if found is not None else None
        found = section_of(info.annotation) if info is not None and name != "routes" else None
    return found


def _is_text(info: FieldInfo) -> bool:
    return any(isinstance(note, Quantity | Instant) for note in info.metadata) or _holds_text(info.annotation)


def _holds_text(annotation: Any) -> bool:  # noqa: ANN401 - as above
    if annotation is str:
        return True
    if get_origin(annotation) is Literal:
        return any(isinstance(value, str) for value in get_args(annotation))
    if get_origin(annotation) is Annotated:
        return _holds_text(get_args(annotation)[0])
    if get_origin(annotation) in {tuple, list, dict}:
        return False
    return any(_holds_text(part) for part in get_args(annotation))


def _plain(name: str) -> str:
    return name.casefold().replace("-", "_").replace(".", "_")
