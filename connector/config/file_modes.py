"""Who else on this machine can read the files of secrets."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path as FileSystemPath

from connector.config.keys import Path
from connector.config.model import Config
from connector.config.nearest import shown


def exposed_files(config: Config) -> Iterator[tuple[Path, str]]:
    """The keys whose files everybody on the machine may read, each with a sentence."""
    for path, name in _files(config):
        try:
            mode = FileSystemPath(name).stat().st_mode
        except OSError:  # it was there when it was read; a warning about it would be about nothing
            continue
        if mode & stat.S_IROTH:
            yield path, f"names a file that every user of this machine can read ({shown(name)}); chmod o-r takes that"


def _files(config: Config) -> Iterator[tuple[Path, str]]:
    if config.extend.api_key_file is not None:
        yield ("extend", "api_key_file"), config.extend.api_key_file
    if config.kafka.password_file is not None:
        yield ("kafka", "password_file"), config.kafka.password_file
    registry = config.schema_registry
    for key in ("password_file", "token_file", "key_file"):
        if (file := getattr(registry, key)) is not None:
            yield ("schema_registry", key), file
    for name in config.webhook.secret_files:
        yield ("webhook", "secret_files"), name
