"""A schema registry, by Confluent's REST API (https://docs.confluent.io/platform/current/schema-registry/develop/api.html)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import quote

from connector.adapters.registry_http import RegistryAnswer, RegistryHttp
from connector.config import Registry
from connector.core.errors import RegistryRefused, RegistryUnavailable, SchemaNotFound, SchemaUnusable
from connector.core.formats.framing import SCHEMA_IDS
from connector.core.formats.schema_limits import MAX_BYTES

MAX_SUBJECTS_ANSWER = 8 * 1024 * 1024
"""Bytes of the list of all subjects."""
MAX_MESSAGE_CHARS = 500
MAX_MESSAGES = 20

_SUBJECT_NOT_FOUND, _VERSION_NOT_FOUND, _SCHEMA_NOT_FOUND = 40401, 40402, 40403
_NOT_FOUND = frozenset({_SUBJECT_NOT_FOUND, _VERSION_NOT_FOUND, _SCHEMA_NOT_FOUND})


@dataclass(frozen=True, slots=True)
class Registered:
    """A schema as the registry has it under a subject.

    Attributes:
        subject: its subject.
        version: counted from 1 within the subject.
        schema_id: what stands before each body.
        schema_text: its JSON text.
    """

    subject: str
    version: int
    schema_id: int
    schema_text: str


@dataclass(frozen=True, slots=True)
class Compatibility:
    """Whether a subject would take a schema as its next version.

    Attributes:
        compatible: it would.
        messages: the registry's reasons why not.
    """

    compatible: bool
    messages: tuple[str, ...]


class SchemaRegistry:
    """Asks one registry. To be used within one event loop at a time.

    Every method raises RegistryUnavailable when nobody answers sensibly, and RegistryRefused when the registry refuses.
    """

    def __init__(self, settings: Registry) -> None:
        """Prepare; nothing is asked yet.

        Args:
            settings: the section of the configuration, with a ``url``.
        """
        self._http = RegistryHttp(settings)

    @property
    def address(self) -> str:
        """Where it is."""
        return self._http.address

    async def schema_by_id(self, schema_id: int) -> str:
        """A schema's JSON text. Nothing is kept here: whoever reads with it keeps it, within bounds of its own.

        Raises:
            SchemaNotFound: the registry says that it has none with this id.
            SchemaUnusable: it is larger than 256 KiB, no Avro, or refers to other schemas.
        """
        about = f"schema id {schema_id}"
        answer = await self._http.ask("GET", f"/schemas/ids/{schema_id}")
        if _code(answer) == _SCHEMA_NOT_FOUND:
            raise SchemaNotFound(f"{self._said(about)} no schema has this id.", status=404, code=_SCHEMA_NOT_FOUND)
        return self._schema_text(self._object(answer, about), about)

    async def latest(self, subject: str) -> Registered | None:
        """The newest version of a subject; None when the subject does not exist.

        Raises:
            SchemaUnusable: as ``schema_by_id``.
        """
        answer = await self._http.ask("GET", f"/subjects/{_quoted(subject)}/versions/latest")
        return self._registered(answer, subject)

    async def look_up(self, subject: str, schema_text: str) -> Registered | None:
        """The version of a subject that has this very schema; None when there is none.

        Args:
            subject: where.
            schema_text: its JSON text.
        """
        answer = await self._http.ask("POST", f"/subjects/{_quoted(subject)}", {"schema": schema_text})
        return self._registered(answer, subject)

    async def register(self, subject: str, schema_text: str) -> int:
        """Make a schema the next version of a subject; where it is one already, nothing happens.

        Args:
            subject: where.
            schema_text: its JSON text.

        Returns:
            The schema's id.
        """
        about = f"subject {subject}"
        answer = await self._http.ask("POST", f"/subjects/{_quoted(subject)}/versions", {"schema": schema_text})
        return self._id(self._object(answer, about), about)

    async def compatibility(self, subject: str, schema_text: str) -> Compatibility:
        """Whether a subject would take a schema by its rule; a subject that does not exist takes everything.

        Args:
            subject: where.
            schema_text: its JSON text.
        """
        about = f"subject {subject}"
        path = f"/compatibility/subjects/{_quoted(subject)}/versions?verbose=true"
        answer = await self._http.ask("POST", path, {"schema": schema_text})
        if _code(answer) in _NOT_FOUND:
            return Compatibility(compatible=True, messages=())
        body = self._object(answer, about)
        compatible, messages = body.get("is_compatible"), body.get("messages")
        if not isinstance(compatible, bool):
            self._senseless(about)
        listed = messages if isinstance(messages, Sequence) and not isinstance(messages, str) else ()
        return Compatibility(compatible, tuple(_one_line(str(each)) for each in listed[:MAX_MESSAGES]))

    async def subjects(self) -> tuple[str, ...]:
        """The names of all subjects, in the registry's order."""
        answer = await self._http.ask("GET", "/subjects", limit=MAX_SUBJECTS_ANSWER)
        if not 200 <= answer.status < 300:
            self._object(answer, "subjects")
        if answer.too_large:
            raise RegistryRefused(f"{self._said('subjects')} a list of more than {MAX_SUBJECTS_ANSWER} bytes.")
        if not isinstance(answer.body, list):
            self._senseless("subjects")
        return tuple(each for each in answer.body if isinstance(each, str))

    def _registered(self, answer: RegistryAnswer, subject: str) -> Registered | None:
        if _code(answer) in _NOT_FOUND:
            return None
        about = f"subject {subject}"
        body = self._object(answer, about)
        version = body.get("version")
        if not isinstance(version, int):
            self._senseless(about)
        return Registered(subject, version, self._id(body, about), self._schema_text(body, about))

    def _object(self, answer: RegistryAnswer, about: str) -> Mapping[str, object]:
        """The body of a good answer."""
        status, body = answer.status, answer.body
        if answer.too_large and 200 <= status < 300:
            raise SchemaUnusable(f"{self._said(about)} an answer that is larger than any schema that is read with.")
        if status in {401, 403}:
            raise RegistryRefused(
                f"{self._said(about)} {status}: the credentials of schema_registry, or their rights, do not suffice.",
                status=status,
            )
        if not isinstance(body, Mapping):
            self._senseless(about, status)
        if 200 <= status < 300:
            return body
        code, message = _code(answer), body.get("message")
        if code is None or (status == 404 and code not in _NOT_FOUND):
            self._senseless(about, status)
        words = _one_line(message if isinstance(message, str) else "no reason is given")
        raise RegistryRefused(f"{self._said(about)} {status} ({code}): {words}", status=status, code=code)

    def _schema_text(self, body: Mapping[str, object], about: str) -> str:
        text = body.get("schema")
        kind = body.get("schemaType") or "AVRO"
        if not isinstance(text, str):
            self._senseless(about)
        if kind != "AVRO":
            raise SchemaUnusable(f"{self._said(about)} a schema that is no Avro ({_one_line(str(kind))[:40]}).")
        if len(text.encode("utf-8", "replace")) > MAX_BYTES:
            raise SchemaUnusable(f"{self._said(about)} a schema of more than {MAX_BYTES // 1024} KiB.")
        if body.get("references"):
            raise SchemaUnusable(
                f"{self._said(about)} a schema that refers to other schemas; the connector reads only with schemas "
                "that are complete."
            )
        return text

    def _id(self, body: Mapping[str, object], about: str) -> int:
        found = body.get("id")
        if not isinstance(found, int) or isinstance(found, bool) or found not in SCHEMA_IDS:
            self._senseless(about)
        return found

    def _said(self, about: str) -> str:
        return f"The schema registry {self.address} says about {about}:"

    def _senseless(self, about: str, status: int | None = None) -> NoReturn:
        with_status = f" ({status})" if status is not None else ""
        raise RegistryUnavailable(
            f"The schema registry {self.address} gave no registry's answer about {about}{with_status}; "
            "schema_registry.url may be another server's, or lack a path.",
            status=status,
        )


def _quoted(subject: str) -> str:
    return quote(subject, safe="")


def _code(answer: RegistryAnswer) -> int | None:
    """The registry's own error code, which nothing else on the way would make up."""
    if answer.status < 400 or not isinstance(answer.body, Mapping):
        return None
    found = answer.body.get("error_code")
    return found if isinstance(found, int) else None


def _one_line(text: str) -> str:
    words = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return words if len(words) <= MAX_MESSAGE_CHARS else f"{words[:MAX_MESSAGE_CHARS]} ..."
