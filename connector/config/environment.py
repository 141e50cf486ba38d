"""The environment above the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from connector.config.keys import Kind, Path, dotted, kind_of, own_key
from connector.config.nearest import shown
from connector.config.yaml_tree import read_yaml
from connector.core.errors import Problem

PREFIX = "CONNECTOR__"

SHORT: Mapping[str, Path] = {
    "KAFKA_BOOTSTRAP_SERVERS": ("kafka", "bootstrap_servers"),
    "EXTEND_API_KEY": ("extend", "api_key"),
    "EXTEND_BASE_URL": ("extend", "base_url"),
    "EXTEND_WEBHOOK_SECRET": ("webhook", "secrets"),
    "SCHEMA_REGISTRY_URL": ("schema_registry", "url"),
}
"""Variables that work alone; the long name of the same key wins."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value comes from.

    Attributes:
        source: the file or the variable.
        line: its line in the file, or None.
        rank: of two that exclude each other the higher one wins: 0 file, 1 short variable, 2 long one.
    """

    source: str
    line: int | None = None
    rank: int = 0


@dataclass(slots=True)
class Settings:
    """What was written, before it is checked.

    Attributes:
        values: the plain values.
        origins: where each comes from; what stands below a path comes from the same place.
        problems: what is wrong so far.
        wrong_paths: the paths of values that are wrong.
    """

    values: dict[str, object] = field(default_factory=dict)
    origins: dict[Path, Origin] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    wrong_paths: set[Path] = field(default_factory=set)

    def origin(self, path: Path) -> Origin | None:
        """Where a value comes from; None for a default."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.origins:
                return self.origins[path[:length]]
        # A mapping that only variables have made stands where the first of them comes from.
        return next((origin for known, origin in self.origins.items() if known[: len(path)] == path), None)

    def rank(self, path: Path) -> int:
        """The highest rank of what stands under a path."""
        below = [origin.rank for known, origin in self.origins.items() if known[: len(path)] == path]
        above = self.origin(path)
        return max(below, default=above.rank if above else 0)

    def get(self, path: Path) -> object:
        """The value under a path, or None."""
        found: object = self.values
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        return found

    def put(self, path: Path, value: object, origin: Origin) -> None:
        """Set a value; mappings are merged key by key. What is no mapping and stands in the way stays."""
        if isinstance(value, dict) and value and isinstance(self.get(path), dict):
            for name, item in value.items():
                self.put((*path, name), item, origin)
            return
        at: dict[str, object] = self.values
        for name in path[:-1]:
            inner = at.get(name)
            if inner is None:
                inner = at[name] = {}
            if not isinstance(inner, dict):
                message = "stands below a key that has a value of its own"
                self.problems.append(Problem(dotted(path), message, origin.line, origin.source))
                return
            at = inner
        at[path[-1]] = value
        for below in [known for known in self.origins if known[: len(path)] == path]:
            del self.origins[below]
        self.origins[path] = origin

    def drop(self, path: Path) -> None:
        """Forget a value."""
        parent = self.get(path[:-1])
        if isinstance(parent, dict):
            parent.pop(path[-1], None)

    def wrong(self, path: Path, message: str, because: tuple[Path, ...] = ()) -> None:
        """Note a problem of a path; where that is a default, its place is that of a key that it depends on."""
        self.wrong_paths.add(path)
        self.problems.append(self.problem(path, message, because))

    def problem(self, path: Path, message: str, because: tuple[Path, ...] = ()) -> Problem:
        """A problem with its place."""
        origin = next((found for each in (path, *because) if (found := self.origin(each))), None)
        name = dotted(tuple(shown(part) for part in path))
        return Problem(name, message, origin.line, origin.source) if origin else Problem(name, message)


def apply_environment(settings: Settings, environ: Mapping[str, str]) -> None:
    """Put the variables above what is there. A variable without a value counts as not set."""
    for variable, path in SHORT.items():
        if environ.get(variable):
            settings.put(path, _secret_or_text(path, environ[variable]), Origin(variable, rank=1))
    seen: dict[Path, str] = {}
    names = sorted(name for name in environ if name.upper().startswith(PREFIX) and environ[name])
    # Fewest parts first, so that CONNECTOR__EXTEND__LIMITS cannot undo CONNECTOR__EXTEND__LIMITS__GET.
    for variable in sorted(names, key=lambda name: name.count("__")):
        parts = tuple(variable[len(PREFIX) :].split("__"))
        if not all(parts):
            message = f"names no setting; the form is {PREFIX}SECTION__KEY"
            settings.problems.append(Problem("", message, source=variable))
            continue
        routes = settings.get(("routes",))
        path = own_key(parts, routes if isinstance(routes, dict) else {})
        if path in seen:
            message = f"is set twice, also by {seen[path]}"
            settings.problems.append(Problem(dotted(path), message, source=variable))
            continue
        seen[path] = variable
        _put_variable(settings, path, variable, environ[variable])


def _put_variable(settings: Settings, path: Path, variable: str, text: str) -> None:
    match kind_of(path):
        case Kind.YAML:
            tree = read_yaml(text, variable)
            settings.problems += tree.problems
            if not tree.problems:
                settings.put(path, tree.value, Origin(variable, rank=2))
        case Kind.SECRET | Kind.TEXT:
            settings.put(path, _secret_or_text(path, text), Origin(variable, rank=2))


def _secret_or_text(path: Path, text: str) -> object:
    return [text] if path == ("webhook", "secrets") else text
