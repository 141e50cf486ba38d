"""From a record to the create request that buys its run.

What the reference says wins over its route. What the route says about one processor is not used for another:
a reference with its own ``run`` inherits neither processor nor version nor config, and one with its own
``processor`` neither version nor config nor other create fields (``secrets`` of one workflow must not reach
another). Priority and metadata are inherited always, where the run type takes them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from connector.core.accept.field_reader import reject
from connector.core.accept.file_url import file_name_of
from connector.core.accept.reference import File, Reference, ReferenceDecoder, reference_of
from connector.core.accept.source import Given
from connector.core.entry import Request
from connector.core.errors import RecordRejected
from connector.core.reasons import Reason
from connector.core.record import Record
from connector.core.route import Route
from connector.core.run_types import RUN_TYPES, RunType
from connector.core.tag import METADATA_KEY, Tag, metadata_of, tagged_file_name

MAX_METADATA_BYTES = 10 * 1024
"""Of the metadata's compact JSON with our own key (the API's limit; the TypeScript SDK's note on
RunMetadata)."""

_STAGE = "request"


@dataclass(frozen=True, slots=True)
class _Order:
    """Reference and route merged."""

    run_type: RunType
    processor: str | None
    version: str | None
    config: Mapping[str, object] | None
    priority: int | None
    metadata: dict[str, object]
    create: dict[str, object]


def resolve(record: Record, routes: Sequence[Route], tag: Tag | None, decoder: ReferenceDecoder) -> Request:
    """The create request for a record.

    Args:
        record: a record with a value; tombstones are skipped by the caller.
        routes: the configuration's routes; the first one of the record's topic whose conditions hold is taken.
        tag: the record's tag; None for a run that nobody has to find again, as `try` makes them.
        decoder: reads the value.

    Raises:
        RecordRejected: the record can never become a run.
        ValueError: the record is a tombstone.
    """
    if record.value is None:
        raise ValueError("a tombstone asks for nothing")
    given = Given(record, decoder)
    route = route_of(given, routes)
    try:
        reference = reference_of(given.value()) if route.mapping is None else route.mapping.reference(given)
        return request_of(reference, route, tag)
    except RecordRejected as error:
        rejected = error if route.mapping is None else route.mapping.located(error)
        rejected.route = route.name
        raise rejected from None


def request_of(reference: Reference, route: Route, tag: Tag | None) -> Request:
    """The create request for a reference under a route; arguments and errors as of ``resolve``."""
    order = _merge(reference, route)
    _check_numbers(reference)
    _check_files(reference, order)
    return Request(
        run_type=order.run_type.name,
        route=route.name,
        body=_json(_body(reference, order, tag)),
        processor_id=order.processor,
        document_id=reference.document_id,
        metadata=_json(order.metadata).decode() if order.metadata else None,
        file_id=reference.file.value if reference.file and reference.file.form == "id" else None,
        file_name=_original_name(reference.file),
    )


def route_of(given: Given, routes: Sequence[Route]) -> Route:
    """The first route of a record's topic whose conditions hold.

    Raises:
        RecordRejected: there is none; where the value could not be decoded, that is why.
    """
    topic = given.record.partition.topic
    asked = []
    for route in routes:
        if route.topic == topic:
            if route.when is None or route.when.holds(given):
                return route
            asked.append(route.name)
    if given.failure is not None:
        raise given.failure
    why = f"; the conditions of {', '.join(asked)} do not hold" if asked else ""
    taken = "this record" if asked else f"topic {topic}"
    raise RecordRejected(Reason.NO_ROUTE, f"no route of the configuration takes {taken}{why}", stage="route")


def _merge(reference: Reference, route: Route) -> _Order:
    name = reference.run or route.run
    if name is None:
        reject(
            Reason.NO_ROUTE,
            f"neither the reference nor route {route.name} names a run type",
            path="run",
            stage="route",
        )
    run_type = RUN_TYPES.get(name)
    if run_type is None:
        reject(
            Reason.UNKNOWN_RUN_TYPE,
            f"route {route.name} names no run type that there is",
            path="run",
            stage="route",
        )
    own_run = reference.run is not None
    own_processor = reference.processor is not None
    processor = reference.processor if own_run or own_processor else route.processor
    bound = not own_run and not own_processor
    inherited = (
        {}
        if own_processor
        else {key: value for key, value in route.create.items() if not own_run or key in run_type.extra_fields}
    )
    order = _Order(
        run_type=run_type,
        processor=processor,
        version=reference.version or (route.version if bound else None),
        config=reference.config if reference.config is not None else (route.config if bound else None),
        priority=reference.priority or (route.priority if run_type.priority else None),
        metadata={**route.metadata, **reference.metadata},
        create={**inherited, **reference.create},
    )
    _check(order)
    return order


def _check(order: _Order) -> None:
    """What depends on the run type, files aside."""
    run_type = order.run_type
    if order.processor is not None and run_type.processor_field is None:
        _refuse(f"{run_type.name} runs take no processor", "processor")
    if order.version is not None and (order.processor is None or run_type.processor_is_id):
        _refuse("there is no processor that it could be a version of", "version")
    if order.config is not None and not run_type.config:
        _refuse(f"{run_type.name} runs take no config", "config")
    if order.priority is not None and not run_type.priority:
        _refuse(f"{run_type.name} runs take no priority", "priority")
    for name in order.create:
        if name not in run_type.extra_fields:
            reject(Reason.UNKNOWN_FIELD, f"{run_type.name} runs take no {name}", path=name, stage=_STAGE)
    if run_type.processor_required and order.processor is None and (order.config is None):
        way_out = "a processor or a config" if run_type.config else "a processor"
        reject(Reason.NO_PROCESSOR, f"{run_type.name} runs need {way_out}", path="processor", stage=_STAGE)
    if METADATA_KEY in order.metadata:
        reject(
            Reason.METADATA_RESERVED,
            "this key is the connector's own; the route brings it",
            path=f"metadata.{METADATA_KEY}",
            stage=_STAGE,
        )


def _check_numbers(reference: Reference) -> None:
    """Refuse what Avro's doubles hold and JSON does not: it would be written as null, without a word."""
    for name, found in (("metadata", reference.metadata), ("config", reference.config), ("create", reference.create)):
        if found and not _is_finite(found):
            reject(Reason.BAD_FIELD, "a number is NaN or infinite, which JSON cannot hold", path=name, stage=_STAGE)


def _is_finite(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Mapping):
        return all(map(_is_finite, value.values()))
    return not isinstance(value, list) or all(map(_is_finite, value))


def _check_files(reference: Reference, order: _Order) -> None:
    run_type = order.run_type
    if run_type.processor_brings_file and order.processor is not None:
        if reference.file or reference.files:
            reject(
                Reason.SEVERAL_FILES,
                f"the {run_type.name} template brings its own file; name the template or a file",
                path=reference.file.path if reference.file else "files",
                stage=_STAGE,
            )
        return
    if reference.files:
        _check_package(reference.files, order)
    elif reference.file is None:
        reject(Reason.NO_FILE, "name the file as url, file_id or text", stage=_STAGE)
    elif reference.file.form not in run_type.file_forms:
        reject(
            Reason.FILE_FORM,
            f"{run_type.name} runs take no {reference.file.form}; name the file by url or file_id",
            path=reference.file.path,
            stage=_STAGE,
        )


def _check_package(files: Sequence[File], order: _Order) -> None:
    run_type = order.run_type
    if run_type.package_field is None:
        reject(Reason.FILE_FORM, f"{run_type.name} runs take one file and no package", path="files", stage=_STAGE)
    if len(files) < run_type.package_min:
        _refuse(f"a package of {run_type.name} has at least {run_type.package_min} files", "files")
    if "outputs" in order.create:
        _refuse("outputs are for a single file, not for a package", "outputs")
    seen: set[tuple[str, str]] = set()
    for file in files:
        if (file.form, file.value) in seen:
            _refuse("this file stands in the package twice", file.path)
        seen.add((file.form, file.value))


def _body(reference: Reference, order: _Order, tag: Tag | None) -> dict[str, object]:
    run_type = order.run_type
    body = _processor(order)
    if reference.files:
        body[str(run_type.package_field)] = {"files": _package(reference.files, run_type, tag)}
    elif reference.file is not None:
        body["file"] = _file(reference.file, None if run_type.rows_carry_metadata else tag)
    if order.priority is not None:
        body["priority"] = order.priority
    metadata = _metadata(order, tag)
    if run_type.metadata and metadata:
        body["metadata"] = metadata
    return body | order.create


def _processor(order: _Order) -> dict[str, object]:
    run_type = order.run_type
    config = None if order.config is None else dict(order.config)
    if order.processor is None:
        return {} if config is None else {"config": config}
    field = str(run_type.processor_field)
    if run_type.processor_is_id:
        return {field: order.processor} | ({} if config is None else {"config": config})
    processor: dict[str, object] = {"id": order.processor}
    if order.version is not None:
        processor["version"] = order.version
    if config is not None:
        processor[str(run_type.override_field)] = config
    return {field: processor}


def _metadata(order: _Order, tag: Tag | None) -> dict[str, object]:
    metadata = {**order.metadata, **({} if tag is None else {METADATA_KEY: metadata_of(tag)})}
    size = len(_json(metadata))
    if size > MAX_METADATA_BYTES:
        reject(
            Reason.METADATA_TOO_LARGE,
            f"{size} bytes of JSON with the connector's own key; {MAX_METADATA_BYTES} are allowed",
            path="metadata",
            stage=_STAGE,
        )
    return metadata


def _package(files: Sequence[File], run_type: RunType, tag: Tag | None) -> list[dict[str, object]]:
    """The package's files. Where the file name carries the tag, the first file that can have a name does."""
    free_tag = None if run_type.rows_carry_metadata else tag
    found: list[dict[str, object]] = []
    for file in files:
        found.append(_file(file, free_tag))
        if file.form != "id":
            free_tag = None
    return found


def _file(file: File, tag: Tag | None) -> dict[str, object]:
    """The API's form of a file; with a tag, under a name that carries it."""
    if file.form == "id":
        return {"id": file.value}
    shown: dict[str, object] = {file.form: file.value}
    name = file.name
    if tag is not None:
        name = tagged_file_name(_original_name(file), tag, ".txt" if file.form == "text" else "")
    if name is not None:
        shown["name"] = name
    if file.password is not None:
        shown["settings"] = {"password": file.password}
    return shown


def _original_name(file: File | None) -> str | None:
    if file is None or file.name is not None or file.form != "url":
        return file.name if file else None
    return file_name_of(file.value)


def _refuse(message: str, path: str) -> None:
    reject(Reason.BAD_FIELD, message, path=path, stage=_STAGE)


def _json(value: object) -> bytes:
    """Compact JSON in the order given: equal input gives equal bytes, and a schema keeps its order."""
    return msgspec.json.encode(value, enc_hook=_thaw)


def _thaw(value: object) -> object:
    """Read-only mappings and sequences of the configuration."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is no JSON value")
