"""What a mapping or a condition reads of a record: a field of its value, a header, its key, or a constant.

A record is looked at through ``Given``, which decodes value and key when somebody asks for them, and once. What it
gives out is plain: dicts, lists, texts, numbers, booleans and None, whatever the notation of the record is; so a
decoder for another notation is one more branch of ``ReferenceDecoder.value`` and nothing here.

Avro's logical types are not applied when values are decoded (``framing``): a ``date`` is the number of days since 1970,
a ``timestamp-millis`` its milliseconds, a ``uuid`` its text, and ``decimal`` and ``fixed`` are bytes, like ``bytes``,
which no field of a reference takes; inside of mapped objects they become base64.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from connector.core.accept.field_reader import reject
from connector.core.accept.path import NotationError, Path, parse_path
from connector.core.accept.reference import ReferenceDecoder
from connector.core.errors import RecordRejected
from connector.core.formats.strict_json import NotJson, parse_json
from connector.core.reasons import Reason
from connector.core.record import Record

_CALL = re.compile(r"(header|key)\((.*)\)", re.DOTALL)
_UNREAD = object()


class Given:
    """One record, as far as somebody has asked for it.

    Attributes:
        record: the record itself.
        failure: why its value could not be decoded, when somebody asked for it.
    """

    __slots__ = ("_decoder", "_key", "_value", "failure", "record")

    def __init__(self, record: Record, decoder: ReferenceDecoder) -> None:
        """Nothing is decoded yet.

        Args:
            record: a record with a value.
            decoder: reads the value.
        """
        self.record = record
        self.failure: RecordRejected | None = None
        self._decoder = decoder
        self._value: object = _UNREAD
        self._key: object = _UNREAD

    def value(self) -> object:
        """The decoded value.

        Raises:
            RecordRejected: it cannot be decoded.
        """
        if self.failure is not None:
            raise self.failure
        if self._value is _UNREAD:
            try:
                self._value = self._decoder.value(self.record.value or b"")
            except RecordRejected as error:
                self.failure = error
                raise
        return self._value

    def header(self, name: str) -> str | None:
        """The text of a header, of several with this name the last; None when there is none.

        Raises:
            RecordRejected: it is no UTF-8.
        """
        found = next((content for each, content in reversed(self.record.headers) if each == name), None)
        return _text(found, str(HeaderSource(name)))

    def key_text(self) -> str | None:
        """The key as text; None when there is none.

        Raises:
            RecordRejected: it is no UTF-8.
        """
        return _text(self.record.key, str(KeySource()))

    def key(self) -> object:
        """The key as JSON; None when there is none.

        Raises:
            RecordRejected: it is no JSON.
        """
        if self._key is _UNREAD:
            text = self.key_text()
            try:
                self._key = None if text is None else parse_json(text)
            except NotJson as error:
                reject(Reason.BAD_FIELD, f"the key is read as JSON, and is {error}", path=str(KeySource()))
        return self._key


class Source(Protocol):
    """Something to read of a record. ``str()`` of it is how the configuration writes it."""

    def read(self, given: Given) -> object:
        """What is there; None when nothing is, or null.

        Raises:
            RecordRejected: value, key or header cannot be decoded.
        """

    def absence(self, given: Given) -> str:
        """Why nothing is there, in words that show no value."""


@dataclass(frozen=True, slots=True)
class FieldSource:
    """A field of the record's value."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def read(self, given: Given) -> object:
        """As of a source."""
        return self.path.find(given.value())

    def absence(self, given: Given) -> str:
        """As of a source."""
        return self.path.absence(given.value())


@dataclass(frozen=True, slots=True)
class HeaderSource:
    """A header of the record, as text."""

    name: str

    def __str__(self) -> str:
        return f"header({self.name})"

    def read(self, given: Given) -> object:
        """As of a source."""
        return given.header(self.name)

    def absence(self, given: Given) -> str:
        """As of a source."""
        there = any(name == self.name for name, _ in given.record.headers)
        return "the header is null" if there else "the record has no such header"


@dataclass(frozen=True, slots=True)
class KeySource:
    """The record's key: as text, or a field of the JSON that it is."""

    path: Path | None = None

    def __str__(self) -> str:
        return f"key({self.path or ''})"

    def read(self, given: Given) -> object:
        """As of a source."""
        return given.key_text() if self.path is None else self.path.find(given.key())

    def absence(self, given: Given) -> str:
        """As of a source."""
        if self.path is None or given.record.key is None:
            return "the record has no key"
        return self.path.absence(given.key()).replace("the value", "the key", 1)


@dataclass(frozen=True, slots=True)
class Constant:
    """The same for every record; it may be a secret, and does not show in its ``repr``."""

    value: object = field(repr=False)

    def __str__(self) -> str:
        return "a constant"

    def read(self, _given: Given) -> object:
        """As of a source."""
        return self.value

    def absence(self, _given: Given) -> str:
        """As of a source; a constant is never null."""
        return "the constant is null"


def parse_source(text: str) -> Source:
    """The source that a text says: a path, ``header(name)``, ``key()`` or ``key(path)``.

    Raises:
        NotationError: it says none.
    """
    call = _CALL.fullmatch(text)
    if call is None:
        if text.split("(", 1)[0] in {"header", "key"} and "(" in text:
            raise NotationError("is not closed: write header(name), key() or key(path)")
        return FieldSource(parse_path(text))
    function, inner = call.groups()
    if function == "header":
        if not inner.strip():
            raise NotationError("names no header: write header(name)")
        return HeaderSource(inner)
    return KeySource(parse_path(inner) if inner else None)


def parse_notation(notation: object) -> tuple[Source, bool]:
    """The source of a mapped field, and whether it has to be there.

    Args:
        notation: a text, with a ``?`` at its end where it need not be there; or ``{value: ...}``, a constant.

    Raises:
        NotationError: it is neither.
    """
    if isinstance(notation, str):
        required = not notation.endswith("?")
        return parse_source(notation if required else notation[:-1]), required
    if isinstance(notation, Mapping) and list(notation) == ["value"] and notation["value"] is not None:
        return Constant(notation["value"]), True
    if isinstance(notation, Mapping) and len(notation) == 1 and (known := set(notation) & {"header", "key"}):
        name = known.pop()
        raise NotationError(f"is a mapping: write {name}({'name' if name == 'header' else ''}), in one text")
    raise NotationError(
        "must be a path such as payload.location, header(name), key(), key(path), or a constant as {value: ...}"
    )


def _text(content: bytes | None, place: str) -> str | None:
    try:
        return None if content is None else content.decode("utf-8")
    except UnicodeDecodeError:
        reject(Reason.BAD_FIELD, "the bytes are no UTF-8 text", path=place)
