"""One request to a schema registry, over httpx: a total deadline, no redirects, a bounded answer, fresh credentials.

Each request has a connection of its own. They are few, because schemas are kept; so a certificate, a password or a
token that was changed is used from the next request on, an idle connection that the registry has closed is never met,
and a request that is given up takes its connection with it.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from connector import __version__
from connector.config import Registry, Secret, read_registry_secret
from connector.core.errors import RegistryRefused, RegistryUnavailable
from connector.logs import register_secret

MAX_ANSWER = 1024 * 1024
"""Bytes of an answer. A schema of 256 KiB, the most that is read with, may take twice as many as JSON text."""

_TYPE = "application/vnd.schemaregistry.v1+json"


@dataclass(frozen=True, slots=True)
class RegistryAnswer:
    """A whole answer.

    Attributes:
        status: HTTP status, not 3xx or 5xx.
        body: its JSON; None when it is none.
        too_large: it is JSON and larger than ``MAX_ANSWER``; the rest was not read. Whatever else is so large is no
            registry's answer.
    """

    status: int
    body: object
    too_large: bool = False


class RegistryHttp:
    """Sends requests to one registry, each once.

    Attributes:
        address: what errors call the registry; without credentials.
    """

    def __init__(self, settings: Registry) -> None:
        """Prepare; nothing is read or connected yet.

        Args:
            settings: with a ``url``.
        """
        self.address = settings.url
        self._settings = settings
        self._credentials = _Credentials(settings)
        self._tls = _Tls(settings)

    async def ask(
        self, method: str, path: str, body: Mapping[str, object] | None = None, limit: int = MAX_ANSWER
    ) -> RegistryAnswer:
        """The answer to one request.

        Args:
            method: ``GET`` or ``POST``.
            path: from the address on, quoted.
            body: JSON object, or None.
            limit: bytes of the answer.

        Raises:
            RegistryUnavailable: no whole answer in time, or a 3xx, 408, 429 or 5xx.
            RegistryRefused: a file of the configuration that TLS needs cannot be used.
        """
        headers = {"accept": f"{_TYPE}, application/json", "accept-encoding": "identity"}
        headers["user-agent"] = f"extend-kafka-connector/{__version__}"
        if body is not None:
            headers["content-type"] = _TYPE
        if (authorization := self._credentials.header()) is not None:
            headers["authorization"] = authorization
        content = None if body is None else json.dumps(body).encode()
        timeout = httpx.Timeout(None).as_dict()  # the deadline is a total one: httpx's own begin anew with each byte
        request = httpx.Request(
            method, f"{self.address}{path}", headers=headers, content=content, extensions={"timeout": timeout}
        )
        seconds = self._settings.timeout
        context = self._context()
        try:
            async with (
                asyncio.timeout(seconds),
                httpx.AsyncHTTPTransport(verify=context, trust_env=False) as transport,
            ):
                response = await transport.handle_async_request(request)
                try:
                    return await self._read(response, limit)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise self._unavailable(f"gave no whole answer within {seconds:g} s") from None
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            raise self._unavailable(f"could not be asked: {_why(error)}") from None

    def _context(self) -> ssl.SSLContext:
        try:
            return self._tls.context()
        except OSError as error:
            reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
            raise RegistryRefused(
                f"The schema registry {self.address} cannot be asked: a file of schema_registry.ca_file, "
                f"certificate_file or key_file cannot be used ({reason or type(error).__name__})."
            ) from None

    async def _read(self, response: httpx.Response, limit: int) -> RegistryAnswer:
        status = response.status_code
        if 300 <= status < 400:
            raise self._unavailable(f"answered with a redirect ({status}), which is not followed", status)
        if status >= 500 or status in {408, 429}:
            raise self._unavailable(f"answered with {status}", status)
        if response.headers.get("content-encoding", "identity") != "identity":
            raise self._unavailable("sent an encoded answer, which was not asked for", status)
        parts: list[bytes] = []
        size = 0
        async for part in response.aiter_raw():
            size += len(part)
            if size > limit:
                return RegistryAnswer(status, None, too_large=_is_json(response))
            parts.append(part)
        return RegistryAnswer(status, _json(b"".join(parts)))

    def _unavailable(self, what: str, status: int | None = None) -> RegistryUnavailable:
        return RegistryUnavailable(f"The schema registry {self.address} {what}.", status=status)


class _Credentials:
    """The authorization header, with what the files hold now; a file that cannot be used changes nothing."""

    def __init__(self, settings: Registry) -> None:
        self._settings = settings
        self._password = settings.password
        self._token = settings.token

    def header(self) -> str | None:
        settings = self._settings
        if settings.token_file is not None:
            self._token = self._newest(settings.token_file, token=True) or self._token
        if settings.password_file is not None:
            self._password = self._newest(settings.password_file, token=False) or self._password
        if self._token is not None:
            return f"Bearer {self._token.reveal()}"
        if settings.username is not None and self._password is not None:
            pair = f"{settings.username}:{self._password.reveal()}".encode()
            return f"Basic {base64.b64encode(pair).decode()}"
        return None

    @staticmethod
    def _newest(path: str, *, token: bool) -> Secret | None:
        try:
            found = read_registry_secret(path, token=token)
        except ValueError:
            return None
        register_secret(found.reveal())
        return found


class _Tls:
    """The context of the connections, made again when one of its files was changed."""

    def __init__(self, settings: Registry) -> None:
        self._settings = settings
        self._made: tuple[object, ssl.SSLContext] | None = None

    def context(self) -> ssl.SSLContext:
        settings = self._settings
        if not settings.url.startswith("https:"):
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # never used; httpx would load a list of authorities
        files = (settings.ca_file, settings.certificate_file, settings.key_file)
        state = tuple(Path(file).stat().st_mtime_ns for file in files if file is not None)
        if self._made is None or self._made[0] != state:
            context = ssl.create_default_context(cafile=settings.ca_file)
            if settings.certificate_file is not None:
                # A passphrase would be asked for on the terminal; there is nobody to type it.
                context.load_cert_chain(settings.certificate_file, settings.key_file, password="")
            self._made = (state, context)
        return self._made[1]


def _is_json(response: httpx.Response) -> bool:
    media_type: str = response.headers.get("content-type", "")
    return media_type.partition(";")[0].strip().lower().endswith("json")


def _json(content: bytes) -> object:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _why(error: BaseException) -> str:
    """The system's or TLS's own words below an httpx error, or its class."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"TLS: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"TLS: {cause.reason}"
        if isinstance(cause, ConnectionError) and cause.errno:
            return os.strerror(cause.errno)  # asyncio's own text is about a "connect call"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__
