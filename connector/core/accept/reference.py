"""A document reference: what a record of an input topic asks for.

Three notations, told apart by the first bytes: ``C3 01`` is Avro in single-object encoding, ``00`` is Avro
framed for a schema registry, of any schema, and everything else has to be a JSON object. The fields are the same
(``schemas/document_reference.avsc``). What depends on the run type is checked in ``request``; here is what
holds for every reference. Error texts name fields and never show values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import cast

from connector.core.accept.field_reader import FieldReader, json_type, reject
from connector.core.accept.file_url import check_url
from connector.core.errors import RecordRejected
from connector.core.formats.avro import Undecodable
from connector.core.formats.framing import CONFLUENT_HEADER_BYTES, CONFLUENT_MARKER, MARKER, Codec, confluent_schema_id
from connector.core.formats.strict_json import NotJson, parse_json
from connector.core.formats.writer_schemas import WriterSchemas
from connector.core.reasons import Reason
from connector.core.run_types import RUN_TYPES, FileForm
from connector.core.tag import METADATA_KEY

MAX_BYTES = 8 * 1024 * 1024
"""Of one record's value, unless the decoder is told otherwise."""

MAX_FILES = 50
"""Files in a package."""

EXTRA_FIELDS: Mapping[str, type] = MappingProxyType({"dataRetention": dict, "outputs": list, "secrets": dict})
"""Create fields that are passed on under their API name, and the JSON type of each."""

FILE_FIELDS = ("url", "file_id", "text", "files")
"""The fields that name the document, of which a reference has one."""

FIELDS = (
    *FILE_FIELDS,
    "name",
    "password",
    "run",
    "processor",
    "version",
    "config",
    "priority",
    "metadata",
    "document_id",
)
"""The fields of a reference that hold one thing each; ``create`` holds others."""

_FORMS: Mapping[str, FileForm] = MappingProxyType({"url": "url", "file_id": "id", "text": "text"})

API_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "classifier": "processor",
        "extractor": "processor",
        "file": "url",
        "fields": "create",
        "fileId": "file_id",
        "metadata_json": "metadata",
        "overrideConfig": "config",
        "package": "files",
        "splitter": "processor",
        "template": "processor",
        "templateId": "processor",
        "workflow": "processor",
    }
)
"""Names of the API, and what they are called in a reference."""


@dataclass(frozen=True, slots=True)
class File:
    """One file of a reference. What opens or is the document does not show in its ``repr``.

    Attributes:
        form: ``url``, ``id`` or ``text``.
        value: the URL, the id or the text itself.
        name: the file name that the reference gives, or None.
        password: of a protected PDF, or None.
        path: the field that named it, for errors.
    """

    form: FileForm
    value: str = field(repr=False)
    name: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    path: str = ""


@dataclass(frozen=True, slots=True)
class Reference:
    """A decoded reference: right by itself, not yet merged with a route.

    Attributes:
        file: the single file, or None.
        files: the package's files; empty when there is none.
        run: name of a run type, or None.
        processor: extractor, classifier, splitter, workflow or template id, or None.
        version: the processor's version, or None.
        config: a JSON object, or None.
        priority: 1 to 100, or None.
        metadata: the caller's own; without our key.
        document_id: the caller's own id, or None.
        create: every other create field, by its API name.
    """

    file: File | None = None
    files: tuple[File, ...] = ()
    run: str | None = None
    processor: str | None = None
    version: str | None = None
    config: Mapping[str, object] | None = field(default=None, repr=False)
    priority: int | None = None
    metadata: Mapping[str, object] = field(default_factory=dict, repr=False)
    document_id: str | None = None
    create: Mapping[str, object] = field(default_factory=dict, repr=False)


class ReferenceDecoder:
    """Record values to references."""

    __slots__ = ("_codec", "_max_bytes", "_writers")

    def __init__(self, codec: Codec, writers: WriterSchemas | None = None, *, max_bytes: int = MAX_BYTES) -> None:
        """A decoder.

        Args:
            codec: of ``document_reference``, with its older versions.
            writers: what is known of a schema registry's schemas; None without a registry.
            max_bytes: the largest value that is parsed.
        """
        self._codec = codec
        self._writers = writers
        self._max_bytes = max_bytes

    def decode(self, value: bytes) -> Reference:
        """The reference in a record's value.

        Raises:
            RecordRejected: with reason, path and stage ``decode``.
            SchemaAwaited: the registry has to be asked first. Never anything else, whatever the bytes are.
        """
        return reference_of(self.value(value))

    def value(self, value: bytes) -> object:
        """A record's value as dicts, lists, texts, numbers, booleans and None, whatever it means.

        Raises:
            RecordRejected: with reason, path and stage ``decode``.
            SchemaAwaited: the registry has to be asked first. Never anything else, whatever the bytes are.
        """
        if len(value) > self._max_bytes:
            reject(Reason.TOO_LARGE, f"the value has {len(value)} bytes; {self._max_bytes} are allowed")
        try:
            if value.startswith(MARKER):
                return _own_form(self._codec.decode(value))
            if value.startswith(CONFLUENT_MARKER):
                return self._framed(value)
        except Undecodable as error:
            raise RecordRejected(error.reason, str(error)) from None
        return _json(value)

    def _framed(self, value: bytes) -> object:
        """A value of any schema as it was written; one of ours resolved to today's."""
        if self._writers is None:
            reject(
                Reason.UNKNOWN_SCHEMA,
                "the value is Avro framed for a schema registry, and schema_registry.url is not configured",
            )
        writer, ours = self._writers.of(confluent_schema_id(value)), self._codec.schema
        if writer.name != ours.name or not writer.is_record:
            return writer.decode(value, CONFLUENT_HEADER_BYTES)
        return _own_form(cast("dict[str, object]", writer.decode(value, CONFLUENT_HEADER_BYTES, ours)))


def _own_form(datum: dict[str, object]) -> dict[str, object]:
    """The fields as JSON has them: what has no fixed form stands in Avro as a text."""
    if datum.get("metadata") is not None and datum.get("metadata_json") is not None:
        reject(Reason.BAD_FIELD, "metadata and metadata_json exclude each other", path="metadata_json")
    metadata_json = datum.pop("metadata_json")
    for name in ("config", "create"):
        datum[name] = _text_parsed(datum[name], name)
    if metadata_json is not None:
        datum["metadata"] = _text_parsed(metadata_json, "metadata_json")
    return datum


def reference_of(found: object) -> Reference:
    """The reference in a parsed value.

    Args:
        found: the JSON value; absent fields may be missing or None.

    Raises:
        RecordRejected: with reason, path and stage ``decode``.
    """
    if not isinstance(found, dict):
        reject(Reason.NOT_AN_OBJECT, f"a reference is a JSON object, not {json_type(found)}")
    fields = FieldReader(found)
    fields.refuse_unknown((*FIELDS, "create", *EXTRA_FIELDS), API_NAMES)
    file, files = _files(fields)
    return Reference(
        file=file,
        files=files,
        run=_run(fields),
        processor=fields.label("processor"),
        version=fields.label("version"),
        config=fields.mapping("config"),
        priority=_priority(fields),
        metadata=_metadata(fields),
        document_id=fields.label("document_id"),
        create=_extra_fields(fields),
    )


def _json(value: bytes) -> object:
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError as error:
        reject(
            Reason.UNDECODABLE,
            f"the value is no UTF-8 (at byte {error.start}) and does not begin like Avro (C3 01)",
        )
    return _parsed(text, "")


def _parsed(text: str, path: str) -> object:
    try:
        return parse_json(text)
    except NotJson as error:
        reject(Reason.BAD_FIELD if path else Reason.UNDECODABLE, str(error), path=path)


def _text_parsed(text: object, path: str) -> object:
    return _parsed(text, path) if isinstance(text, str) else None


def _files(fields: FieldReader) -> tuple[File | None, tuple[File, ...]]:
    named = [name for name in (*_FORMS, "files") if fields.has(name)]
    if len(named) > 1:
        reject(
            Reason.SEVERAL_FILES,
            f"{' and '.join(named)} exclude each other: a reference names its file once",
            path=named[1],
        )
    if named == ["files"]:
        return None, _package(fields)
    if named:
        return _file(fields, named[0]), ()
    for name in ("name", "password"):
        if fields.has(name):
            reject(Reason.NO_FILE, "there is no url, file_id or text for it", path=name)
    return None, ()


def _file(fields: FieldReader, source: str) -> File:
    form = _FORMS[source]
    value = fields.label(source) if form == "id" else fields.text(source)
    if form == "url":
        check_url(str(value), fields.path(source))
    elif fields.has("password"):
        reject(Reason.BAD_FIELD, "a password is for a file that a url names", path=fields.path("password"))
    return File(
        form=form,
        value=str(value),
        name=fields.label("name", limit=512),
        password=fields.text("password"),
        path=fields.path(source),
    )


def _package(fields: FieldReader) -> tuple[File, ...]:
    for name in ("name", "password"):
        if fields.has(name):
            reject(Reason.BAD_FIELD, f"in a package each file has its own: files[].{name}", path=name)
    items = fields.sequence("files")
    if not 1 <= len(items) <= MAX_FILES:
        reject(Reason.BAD_FIELD, f"a package has 1 to {MAX_FILES} files, not {len(items)}", path="files")
    return tuple(_packaged(item, f"files[{index}]") for index, item in enumerate(items))


def _packaged(item: object, path: str) -> File:
    if not isinstance(item, dict):
        reject(Reason.BAD_FIELD, f"a file of a package is an object, not {json_type(item)}", path=path)
    fields = FieldReader(item, path)
    if fields.has("text"):
        reject(
            Reason.FILE_FORM,
            "a package takes no texts: name each file by url or file_id",
            path=f"{path}.text",
        )
    fields.refuse_unknown(("url", "file_id", "name", "password"), API_NAMES)
    named = [name for name in ("url", "file_id") if fields.has(name)]
    if not named:
        reject(Reason.NO_FILE, "this file of the package has neither url nor file_id", path=path)
    if len(named) > 1:
        reject(Reason.SEVERAL_FILES, "url and file_id exclude each other", path=path)
    return _file(fields, named[0])


def _run(fields: FieldReader) -> str | None:
    run = fields.label("run")
    if run is not None and run not in RUN_TYPES:
        reject(Reason.UNKNOWN_RUN_TYPE, f"no such run type; there are {', '.join(RUN_TYPES)}", path="run")
    return run


def _priority(fields: FieldReader) -> int | None:
    priority = fields.integer("priority")
    if priority is not None and not 1 <= priority <= 100:
        reject(Reason.BAD_FIELD, "a priority is 1 to 100; lower runs first", path="priority")
    return priority


def _metadata(fields: FieldReader) -> Mapping[str, object]:
    metadata = fields.mapping("metadata") or {}
    if METADATA_KEY in metadata:
        reject(
            Reason.METADATA_RESERVED,
            "this key is the connector's own; leave it out",
            path=f"metadata.{METADATA_KEY}",
        )
    return metadata


def _extra_fields(fields: FieldReader) -> Mapping[str, object]:
    inner = FieldReader(fields.mapping("create") or {}, "create")
    inner.refuse_unknown(tuple(EXTRA_FIELDS), {})
    found: dict[str, object] = {}
    for name, kind in EXTRA_FIELDS.items():
        if fields.has(name) and inner.has(name):
            reject(Reason.BAD_FIELD, f"{name} is given twice: beside create and inside", path=inner.path(name))
        source = fields if fields.has(name) else inner
        if source.has(name):
            found[name] = source.mapping(name) if kind is dict else source.sequence(name)
    return found
