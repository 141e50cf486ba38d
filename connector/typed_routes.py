"""The routes with typed results: what each writes, from the schema that was committed for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from glob import escape
from pathlib import Path

from connector.config import Config
from connector.core.errors import ConfigurationError, Problem
from connector.core.formats.framing import Codec
from connector.core.formats.schema_limits import MAX_BYTES, SchemaRefused
from connector.core.typed.result_reader import ResultReader
from connector.core.typed.typed_results import TypedResults, envelope_of
from connector.schema_files import load_schema, load_schemas

_LARGEST = 4 * MAX_BYTES
"""Bytes of a schema's file: indented, it takes more than its limit as one line."""


def typed_routes(config: Config) -> dict[str, TypedResults]:
    """What makes the values of each typed route, by the route's name.

    Raises:
        ConfigurationError: a schema cannot be used; all of them are in it.
    """
    found = list(_loaded(config))
    problems = [Problem(f"routes.{name}.output.schema_file", given) for name, given in found if isinstance(given, str)]
    if problems:
        raise ConfigurationError(problems)
    return {name: given for name, given in found if not isinstance(given, str)}


def schema_problems(config: Config) -> Iterator[tuple[tuple[str, ...], str]]:
    """What is wrong with the schemas: the key of each, and a sentence."""
    for name, given in _loaded(config):
        if isinstance(given, str):
            yield ("routes", name, "output", "schema_file"), given


def known_results(config: Config) -> ResultReader:
    """What reads single objects of every route, those that were written with an earlier version of a schema too.

    Earlier versions lie beside a schema's file, where ``schemas generate`` has put them. A schema that cannot be used
    is passed over: results with it are as undecodable as any that nobody knows.
    """
    found = [given for _, given in _loaded(config) if not isinstance(given, str)]
    for route in config.routes.values():
        if route.output.typed and route.output.schema_file is not None:
            for path in earlier_versions(Path(route.output.schema_file)):
                with suppress(SchemaRefused):
                    schema = read_schema_file(path)
                    found.append(TypedResults(schema, envelope_of(schema), route.run or ""))
    return ResultReader(Codec(*load_schemas("run_result")), found)


def earlier_versions(path: Path) -> list[Path]:
    """The files beside a schema that hold its earlier versions, ``<name>.<fingerprint>.avsc``, in no order."""
    return sorted(path.parent.glob(f"{escape(path.stem)}.{'[0-9a-f]' * 16}{escape(path.suffix)}"))


def version_path(path: Path, fingerprint: bytes) -> Path:
    """The file beside a schema for a version that is not the newest any more."""
    return path.with_name(f"{path.stem}.{fingerprint.hex()}{path.suffix}")


def _loaded(config: Config) -> Iterator[tuple[str, TypedResults | str]]:
    envelope = load_schema("run_result")
    for name, route in config.routes.items():
        if not route.output.typed or route.run is None or route.output.schema_file is None:
            continue
        try:
            schema = read_schema_file(Path(route.output.schema_file))
            yield name, TypedResults(schema, envelope, route.run)
        except SchemaRefused as error:
            yield name, f"names a schema that cannot be used ({route.output.schema_file}): {error}"


def read_schema_file(path: Path) -> dict[str, object]:
    """The JSON object in a file.

    Raises:
        SchemaRefused: the file cannot be read, or holds none.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise SchemaRefused(f"The file has more than {_LARGEST} bytes.")
        schema = json.loads(content)
    except OSError as error:
        raise SchemaRefused(f"The file cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError):
        raise SchemaRefused("The file holds no JSON.") from None
    if not isinstance(schema, dict):
        raise SchemaRefused("The file holds no JSON object.")
    return schema
