"""The configuration, as every command takes it."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Annotated

import typer

from connector.adapters.kafka.refused import refused_properties
from connector.config import Config, Parsed, examine, load
from connector.core.errors import ConfigurationError, Problem
from connector.typed_routes import schema_problems

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        envvar="CONNECTOR_CONFIG",
        help="The configuration. Default: connector.yaml, where there is one.",
    ),
]

_PROPERTIES = "kafka.properties."
_KEY_VARIABLES = ("EXTEND_API_KEY", "CONNECTOR__EXTEND__API_KEY")


def load_config(path: Path | None) -> Config:
    """The checked configuration.

    Raises:
        ConfigurationError: it has problems; all are in the message.
    """
    return load(path, os.environ)


def load_without_key(path: Path | None, *, unneeded: Container[str] = ()) -> Config:
    """The checked configuration for what needs the plan, and asks the API nothing: a key need not be there.

    Args:
        path: the file.
        unneeded: sections that are taken as if they were not there.

    Raises:
        ConfigurationError: something else has problems; all are in the message.
    """
    environ = {name: value for name, value in os.environ.items() if not name.upper().startswith(_KEY_VARIABLES)}
    # The environment beats the file, so the file that api_key_file names is not read.
    return examine(path, {**environ, "EXTEND_API_KEY": "sk_none"}, unneeded=unneeded).config


def load_for_kafka(path: Path | None) -> Config:
    """The checked configuration for what asks Kafka; the API's section may be missing or wrong, and is empty then.

    Raises:
        ConfigurationError: something else has problems; all are in the message.
    """
    try:
        return load_config(path)
    except ConfigurationError as error:
        if any(problem.path.partition(".")[0] != "extend" for problem in error.problems):
            raise
        return examine(path, os.environ, unneeded={"extend"}).config


def load_for_registry(path: Path | None) -> Config:
    """The checked configuration for what asks the schema registry: neither brokers nor a key need be there.

    Raises:
        ConfigurationError: something else has problems; all are in the message.
    """
    return examine(path, os.environ, unneeded={"kafka", "extend", "webhook", "admin"}).config


def examine_all(path: Path | None) -> Parsed:
    """The checked configuration and where it comes from.

    librdkafka was asked about its properties too, and the schemas of typed results were read.

    Raises:
        ConfigurationError: it has problems; all are in the message.
    """
    parsed = examine(path, os.environ)
    problems = [*_refused(parsed), *(parsed.problem(*found) for found in schema_problems(parsed.config))]
    if problems:
        raise ConfigurationError(problems)
    return parsed


def _refused(parsed: Parsed) -> Iterator[Problem]:
    for problem in refused_properties(parsed.config.kafka):
        name = problem.path.removeprefix(_PROPERTIES)
        path = ("kafka", "properties", name) if name != problem.path else ("kafka", "properties")
        yield parsed.problem(path, problem.message)
