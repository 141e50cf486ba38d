"""The section ``schema_registry``: where the schemas of other people's records are, and ours are announced."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from connector.config.quantities import Duration
from connector.config.secret import Secret
from connector.config.section import FilePath, Section, Text

_EXAMPLE = "for example http://registry:8081"


def _address(text: str) -> str:
    if not text:
        return text
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"must be a URL, {_EXAMPLE}") from None
    if parts.scheme not in {"http", "https"} or not host or "," in text or " " in text:
        raise ValueError(f"must begin with http:// or https:// and name one host, {_EXAMPLE}")
    if "@" in parts.netloc:
        raise ValueError("may not hold a user or password; set schema_registry.username and password_file")
    if parts.query or parts.fragment or "?" in text or "#" in text:
        raise ValueError("may not hold ? or #: paths are added to it")
    return text.rstrip("/")


def is_loopback(url: str) -> bool:
    """Whether an address is on this machine."""
    host = urlsplit(url).hostname or ""
    return host in {"localhost", "::1"} or host.startswith("127.")


def _header_name(text: str) -> str:
    if ":" in text:
        raise ValueError("may not hold a colon: it ends the user's name in the header that is sent")
    return text


class Registry(Section):
    """A schema registry that speaks Confluent's REST API. Without a `url` results are Avro single objects."""

    url: Annotated[str, AfterValidator(_address)] = ""
    """Where the registry is, with a path where it has one. Also `SCHEMA_REGISTRY_URL`."""

    username: Annotated[Text, AfterValidator(_header_name)] | None = None
    """User for basic authentication; goes with a password."""

    password_file: FilePath | None = None
    """File with the user's password; its last line break is not part of it. Read again for each request."""

    password: Secret | None = None
    """The password itself; from the environment only (`CONNECTOR__SCHEMA_REGISTRY__PASSWORD`)."""

    token_file: FilePath | None = None
    """File with a bearer token, instead of user and password. Read again for each request."""

    token: Secret | None = None
    """The token itself; from the environment only (`CONNECTOR__SCHEMA_REGISTRY__TOKEN`)."""

    ca_file: FilePath | None = None
    """File with the certificates (PEM) that the registry's own is checked against. Default: the system's."""

    certificate_file: FilePath | None = None
    """File with the client's certificate (PEM) for mutual TLS."""

    key_file: FilePath | None = None
    """File with its key (PEM), without a passphrase. Default: `certificate_file` holds both."""

    timeout: Annotated[float, Duration(least=0.1, most=120)] = 10.0
    """How long one request may take, from the connection to the answer's last byte."""

    cached_schemas: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """Schemas by id that are kept in memory; the one that was not used for longest goes first."""

    subject_naming: Literal["topic", "record", "topic-record"] = "topic"
    """The subject of a topic's schema: `topic` is `<topic>-value`, `record` the record's full name, `topic-record` both
    with a hyphen between."""

    auto_register: Literal["missing", "always", "never"] = "missing"
    """At the start: `missing` registers a schema whose subject does not exist, `always` also a new version of one that
    does, `never` nothing. What is not registered then keeps the worker from starting."""
