"""From a file and the environment to a configuration: ``parse`` decides, ``load`` and ``examine`` do the reading."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path as FileSystemPath

from pydantic import ValidationError

from connector.config.environment import Origin, Settings, apply_environment
from connector.config.keys import Path, dotted, section_of
from connector.config.model import Config
from connector.config.quantities import FROM_FILE
from connector.config.rules import Finding, problems_of, warnings_of
from connector.config.secret import Secret
from connector.config.secret_files import (
    ReadFile,
    read_key_file,
    read_secret_file,
    read_signing_secret,
    refuse_secrets_in_the_file,
    settle_alternatives,
    take_secrets,
)
from connector.config.sentences import error_details, findings_of
from connector.config.yaml_tree import MAX_CHARS, read_yaml
from connector.core.errors import ConfigurationError, Problem
from connector.core.redaction import names_a_secret

DEFAULT_FILE = FileSystemPath("connector.yaml")

_NOT_FOR_THE_API = frozenset({"kafka", "schema_registry", "webhook", "admin"})

_ATTEMPTS = 50
"""Checks of what is left after a wrong value was taken out; each finds what the one before was hiding."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A configuration and how it came about.

    Attributes:
        config: the configuration.
        origins: where each written value comes from; what is not here is a default.
        warnings: what a person should know.
    """

    config: Config
    origins: Mapping[Path, Origin]
    warnings: tuple[Problem, ...]

    def source(self, path: Path) -> str:
        """Where a value comes from: ``connector.yaml:7``, a variable's name, or ``default``."""
        origin = self._origin(path)
        if origin is None:
            return "default"
        return f"{origin.source}:{origin.line}" if origin.line else origin.source

    def problem(self, path: Path, message: str) -> Problem:
        """A problem with the place of its key, for what is found out later."""
        origin = self._origin(path)
        place = (origin.line, origin.source) if origin else (None, "")
        return Problem(dotted(path), message, *place)

    def _origin(self, path: Path) -> Origin | None:
        parts = (path[:length] for length in range(len(path), 0, -1))
        return next((self.origins[part] for part in parts if part in self.origins), None)


def load(path: FileSystemPath | None, environ: Mapping[str, str]) -> Config:
    """The configuration of a process.

    Args:
        path: the file; None takes ``connector.yaml`` where there is one, and the environment alone where not.
        environ: the environment.

    Raises:
        ConfigurationError: it has problems; all are in it.
    """
    return examine(path, environ).config


def load_extend(path: FileSystemPath | None, environ: Mapping[str, str]) -> Config:
    """As ``load``, for what talks to the API alone: an API key is enough, and a broker's password is not read."""
    return examine(path, environ, unneeded=_NOT_FOR_THE_API).config


def examine(path: FileSystemPath | None, environ: Mapping[str, str], *, unneeded: Container[str] = ()) -> Parsed:
    """As ``load``, with where every value comes from, and warnings; ``unneeded`` as in ``parse``."""
    file = path or DEFAULT_FILE
    text = _text_of(file, required=path is not None)
    return parse(text, environ, _read_bytes, source=str(file), unneeded=unneeded)


def read_key(path: str) -> Secret:
    """The API key as its file has it now, checked as at the first load; for keys that are changed while a worker runs.

    Args:
        path: what ``extend.api_key_file`` says.

    Raises:
        ValueError: the file cannot be read or holds no key; the sentence names the file and does not show what is in
            it.
    """
    return read_key_file(path, _read_bytes)


def read_registry_secret(path: str, *, token: bool) -> Secret:
    """The registry's password or token as its file has it now, checked as at the first load.

    Args:
        path: what ``schema_registry.password_file`` or ``token_file`` says.
        token: whether it is a token.

    Raises:
        ValueError: the file cannot be read or holds no secret; the sentence names the file and does not show what is
            in it.
    """
    return read_secret_file(path, _read_bytes, visible_ascii=token)


def read_signing_secrets(paths: Iterable[str]) -> tuple[Secret, ...]:
    """The signing secrets as their files have them now, in order.

    Args:
        paths: what ``webhook.secret_files`` says.

    Raises:
        ValueError: a file cannot be read or holds no secret; the sentence names the file and does not show what is in
            it.
    """
    return tuple(read_signing_secret(path, _read_bytes) for path in paths)


def parse(
    text: str | None,
    environ: Mapping[str, str],
    read_file: ReadFile,
    source: str = "connector.yaml",
    *,
    unneeded: Container[str] = (),
) -> Parsed:
    """Decide what a file and an environment mean.

    Args:
        text: the file's text, or None where there is no file.
        environ: the environment.
        read_file: reads a secret's file; raises OSError.
        source: the file's name, for the problems.
        unneeded: sections that are taken as if they were not there: nothing of them is checked, read or missed.

    Raises:
        ConfigurationError: it has problems; all are in it.
    """
    settings = Settings()
    readable = _take_file(settings, text, source)
    refuse_secrets_in_the_file(settings)
    apply_environment(settings, environ)
    dropped = [(name,) for name in settings.values if name in unneeded]
    for path in dropped:
        settings.drop(path)
    unused = settle_alternatives(settings)
    take_secrets(settings, read_file)
    _forget_blanks(settings.values)
    config = _validated(settings)
    if config is not None and readable:
        _apply_rules(settings, config, unneeded, dropped)
    if settings.problems or config is None:
        raise ConfigurationError(_in_order(settings.problems))
    warnings = [
        *unused,
        *(settings.problem(finding.path, finding.message, finding.because) for finding in warnings_of(config)),
        *_plain_secrets(settings, config),
    ]
    origins = {path: origin for path in _leaves((), settings.values) if (origin := settings.origin(path))}
    return Parsed(config, origins, tuple(_in_order(warnings)))


def _take_file(settings: Settings, text: str | None, source: str) -> bool:
    """Read the file into the settings; False when nothing can be said about what is missing."""
    if text is None:
        return True
    tree = read_yaml(text, source)
    settings.problems += tree.problems
    if tree.value is None:
        return not tree.problems
    if not isinstance(tree.value, dict):
        message = "must be a mapping of sections, for example `name: invoices`"
        settings.problems.append(Problem("", message, line=1, source=source))
        return False
    settings.values = tree.value
    settings.origins = {path: Origin(source, line) for path, line in tree.lines.items()}
    return True


def _forget_blanks(values: dict[str, object]) -> None:
    """A section or a route without anything below its key means its defaults."""
    for name, info in Config.model_fields.items():
        if name in values and values[name] is None and (name == "routes" or section_of(info.annotation)):
            del values[name]
    routes = values.get("routes")
    if isinstance(routes, dict):
        values["routes"] = {name: {} if route is None else route for name, route in routes.items()}


def _validated(settings: Settings) -> Config | None:
    """The configuration without what is wrong, so that the rules can be asked as well."""
    values = deepcopy(settings.values)
    for _ in range(_ATTEMPTS):
        try:
            return Config.model_validate(values, context={FROM_FILE: True})
        except ValidationError as error:
            found = list(findings_of(error_details(error), values))
        for path, message in found:
            if path not in settings.wrong_paths:
                settings.wrong(path, message)
        # Items of lists from the end, so that the others keep their places.
        for path in sorted((path for path, _ in found), reverse=True):
            _take_out(values, path)
    return None


def _take_out(values: dict[str, object], path: Path) -> None:
    at: object = values
    for name in path[:-1]:
        at = at.get(name) if isinstance(at, dict) else None
    if isinstance(at, dict):
        at.pop(path[-1], None)
        if path[:-1] == ("routes",) and not at:
            values.pop("routes")
    elif len(path) > 1:
        _take_out(values, path[:-1])


def _apply_rules(settings: Settings, config: Config, unneeded: Container[str], dropped: Sequence[Path]) -> None:
    doubtful = (*settings.wrong_paths, *dropped)
    for finding in problems_of(config):
        if finding.path[0] not in unneeded and not _doubtful(finding, doubtful):
            settings.wrong(finding.path, finding.message, finding.because)


def _doubtful(finding: Finding, wrong: Iterable[Path]) -> bool:
    """Whether a finding rests on a value that is wrong itself, or was not looked at."""
    places = (finding.path, *finding.because)
    return any(_touch(place, path) for place in places for path in wrong)


def _touch(one: Path, other: Path) -> bool:
    length = min(len(one), len(other))
    return one[:length] == other[:length]


def _plain_secrets(settings: Settings, config: Config) -> list[Problem]:
    """Secrets that librdkafka and workflows take, standing in the file where everybody reads them."""
    paths: list[Path] = [
        ("kafka", "properties", name) for name in config.kafka.properties if _hidden_property(name, config)
    ]
    paths += [
        ("routes", name, "create", "secrets") for name, route in config.routes.items() if "secrets" in route.create
    ]
    found = []
    for path in paths:
        origin = settings.origin(path)
        if origin is not None and origin.rank == 0:
            way_out = "set kafka.password_file" if path[-1] == "sasl.password" else "set it by an environment variable"
            found.append(settings.problem(path, f"holds a secret, and stands in the file in plain text; {way_out}"))
    return found


def _hidden_property(name: str, config: Config) -> bool:
    return names_a_secret(name) and name not in config.kafka.properties.visible


def _in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Without doubles; the file's in its order, then the variables'."""
    return sorted(
        dict.fromkeys(problems), key=lambda problem: (problem.line is None, problem.line or 0, problem.source)
    )


def _leaves(path: Path, value: object) -> Iterator[Path]:
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from _leaves((*path, name), item)
    else:
        yield path


def _text_of(file: FileSystemPath, *, required: bool) -> str | None:
    try:
        content = _read_bytes(str(file))
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not required:
            return None
        reason = (error.strerror or "unknown reason").lower()
        raise ConfigurationError([Problem("", f"cannot be read: {reason}", source=str(file))]) from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigurationError([Problem("", "is no UTF-8 text", source=str(file))]) from None


def _read_bytes(name: str) -> bytes:
    """At most a little more than is taken of anything, so that /dev/zero ends too."""
    with FileSystemPath(name).open("rb") as file:
        return file.read(4 * MAX_CHARS + 1)
