"""`extend-connector webhook register`: makes Extend send its webhooks here, after a look and a question."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import typer

from connector.adapters.http import HttpApi
from connector.config import Config
from connector.core.errors import ApiError, ConfigurationError, ConnectorError, Problem
from connector.logs import register_secret, silence
from connector.webhook.registration import Plan, carry_out, plan, wanted_of

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class SecretFile:
    """A new file that only its owner may read. It is made before the secret exists, which is shown only once."""

    def __init__(self, path: Path) -> None:
        """Nothing is written yet.

        Args:
            path: the file; it may not exist.
        """
        self.path = path
        self._written = False

    def __enter__(self) -> Self:
        """Make it.

        Raises:
            ConfigurationError: it exists, or cannot be made.
        """
        try:
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            why = (
                "exists, and may hold a secret that is in use" if isinstance(error, FileExistsError) else error.strerror
            )
            raise ConfigurationError([Problem("--secret-file", f"{self.path} {why}; name a new file")]) from None
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        os.close(self._file)
        if not self._written:
            with suppress(OSError):
                self.path.unlink()

    def write(self, secret: str) -> None:
        """Write the secret, to the disk."""
        self._written = True
        os.write(self._file, secret.encode())
        os.fsync(self._file)


def register(config: Config, url: str | None, secret_file: Path | None, *, yes: bool) -> None:
    """Say what will change at Extend, ask, and change it.

    Raises:
        ConnectorError: it was refused, by a person, by the API or by a rule.
    """
    silence()
    address = _checked(url)
    asyncio.run(_register(config, address, secret_file, yes=yes))


async def _register(config: Config, url: str, secret_file: Path | None, *, yes: bool) -> None:
    extend = config.extend
    api = HttpApi(extend.base_url, extend.api_key.reveal(), extend.api_version, extend.workspace_id)
    try:
        found = await plan(api, wanted_of(url, config.name, config.core_routes()))
        for step in found.steps:
            typer.echo(step.sentence)
        if not found.steps:
            typer.echo(f"The endpoint {found.endpoint_id} has all that the routes need.")
            return
        if found.endpoint_id is None and secret_file is None:
            raise ConfigurationError([Problem("--secret-file", "is missing: where does the signing secret go?")])
        if not yes and not _confirmed():
            raise ConnectorError("Nothing was changed.")
        await _carry_out(api, found, secret_file)
    finally:
        await api.aclose()


async def _carry_out(api: HttpApi, found: Plan, secret_file: Path | None) -> None:
    endpoint_id, steps = found.endpoint_id, list(found.steps)
    if secret_file is not None and endpoint_id is None:
        with SecretFile(secret_file) as file:
            made = await _endpoint(api, found)
            secret, endpoint_id = str(made.get("signingSecret") or ""), str(made.get("id") or "")
            register_secret(secret)
            if not secret or not endpoint_id:
                raise ConnectorError(
                    "Extend has made an endpoint and shown no id or no signing secret: delete it there."
                )
            file.write(secret)
        typer.echo(
            f"Made the endpoint {endpoint_id}. Its secret is in {secret_file}: add that to webhook.secret_files."
        )
        del steps[0]
    else:
        typer.echo("The endpoint keeps its signing secret, which Extend showed when it was made.")
    for step in steps:
        await carry_out(api, step, endpoint_id)
    typer.echo("Done.")


async def _endpoint(api: HttpApi, found: Plan) -> dict[str, object]:
    try:
        return dict(await carry_out(api, found.steps[0], None))
    except ApiError as error:
        hint = "If Extend's dashboard shows the endpoint, delete it there: nobody has its secret."
        raise ConnectorError(f"{error} {hint}") from None


def _checked(url: str | None) -> str:
    if url is None or not _is_safe(url):
        raise ConfigurationError([Problem("--url", "is the https:// address at which Extend reaches the ingress")])
    return url


def _is_safe(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    return host is not None and (parts.scheme == "https" or (parts.scheme == "http" and host in _LOCAL))


def _confirmed() -> bool:
    question = "Change this at Extend?"
    if not sys.stdin.isatty():
        raise ConnectorError(f"{question} Nobody can be asked here: --yes says so.")
    return typer.confirm(question, err=True)
