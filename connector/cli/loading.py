"""The configuration, as every command takes it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from connector.config import Config, load

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        envvar="CONNECTOR_CONFIG",
        help="The configuration. Default: connector.yaml, where there is one.",
    ),
]


def load_config(path: Path | None) -> Config:
    """The checked configuration.

    Raises:
        ConfigurationError: it has problems; all are in the message.
    """
    return load(path, os.environ)
