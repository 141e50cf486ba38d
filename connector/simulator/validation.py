"""Which create bodies are refused with 400. Unknown keys are: the real API says so about its webhook endpoints."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from connector.core.run_types import RunType
from connector.simulator.refusals import invalid

METADATA_BYTES = 10 * 1024
"""Documented as 10 KB per run; measured here as compact UTF-8 JSON."""

DEEPEST = 100
"""Levels of nesting; the real limit is not documented."""

_PACKAGE_SIZES = {"extract": (1, 50), "workflow": (2, 50)}
_COMMON_CONFIG = frozenset({"baseProcessor", "baseVersion", "advancedOptions", "parseConfig"})
_CONFIG_KEYS = {
    "extract": _COMMON_CONFIG | {"schema", "extractionRules"},
    "classify": _COMMON_CONFIG | {"classifications", "classificationRules"},
    "split": _COMMON_CONFIG | {"splitClassifications", "splitRules"},
    "parse": frozenset(
        {"target", "chunkingStrategy", "engine", "engineVersion", "blockOptions", "advancedOptions"},
    ),
    "edit": frozenset(
        {"engineVersion", "schema", "instructions", "schemaGenerationInstructions", "advancedOptions"},
    ),
}
_CONFIG_NEEDS = {"classify": "classifications", "split": "splitClassifications"}
_FILE_KEYS = {
    "url": frozenset({"url", "name", "settings"}),
    "id": frozenset({"id"}),
    "text": frozenset({"text", "name"}),
}


def decode_object(raw: bytes) -> dict[str, Any]:
    """The JSON object in a request body.

    Raises:
        Refusal: 400.
    """
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise invalid("The body is not valid JSON.") from error
    if not isinstance(body, dict):
        raise invalid("The body must be a JSON object.")
    # Counting brackets is cheap and never too low; hardly any body is looked at closer.
    if raw.count(b"{") + raw.count(b"[") > DEEPEST and _is_deeper(body, DEEPEST):
        raise invalid(f"The body is nested deeper than {DEEPEST} levels.")
    return body


def validate_create(run_type: RunType, raw: bytes, *, sync: bool = False) -> dict[str, Any]:
    """The create body, when the API would take it.

    Args:
        run_type: what is to be created.
        raw: the request body.
        sync: the synchronous endpoint: the same without ``priority``.

    Raises:
        Refusal: 400, with a sentence that names the field.
    """
    body = decode_object(raw)
    known = {"file", *run_type.extra_fields}
    known.update(field for field in (run_type.processor_field, run_type.package_field) if field)
    known.update(
        name
        for name, accepted in (
            ("config", run_type.config),
            ("metadata", run_type.metadata),
            ("priority", run_type.priority and not sync),
        )
        if accepted
    )
    _only(body, known, "The body")
    _check_processor(run_type, body)
    _check_files(run_type, body)
    _check_config(run_type, body)
    check_metadata(body)
    _check_rest(body)
    return body


def check_metadata(body: Mapping[str, Any]) -> None:
    """Refuse metadata that is no object, or too large.

    Raises:
        Refusal: 400.
    """
    if "metadata" not in body:
        return
    metadata = _object(body["metadata"], "metadata")
    if len(msgspec.json.encode(metadata)) > METADATA_BYTES:
        raise invalid("metadata is larger than 10 KB.")


def _is_deeper(value: object, levels: int) -> bool:
    level = [value]
    for _ in range(levels + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return bool(level)


def _only(body: Mapping[str, Any], known: Collection[str], name: str) -> None:
    for key in body:
        if key not in known:
            raise invalid(f"{name} has an unknown key {key!r}.")


def _object(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise invalid(f"{name} must be an object.")
    return value


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise invalid(f"{name} must be a text that is not empty.")
    return value


def _check_processor(run_type: RunType, body: Mapping[str, Any]) -> None:
    field = run_type.processor_field
    if field is None:
        return
    if run_type.processor_is_id:
        if field in body:
            _text(body[field], field)
        return
    if field not in body:
        if run_type.processor_required and not (run_type.config and "config" in body):
            raise invalid(f"{field} is required{', or config' if run_type.config else ''}.")
        return
    if "config" in body:
        raise invalid(f"Provide only one of {field} and config.")
    processor = _object(body[field], field)
    override = {run_type.override_field} if run_type.override_field else set()
    _only(processor, {"id", "version", *override}, field)
    _text(processor.get("id"), f"{field}.id")
    if "version" in processor:
        _text(processor["version"], f"{field}.version")
    if run_type.override_field in processor:
        name = f"{field}.{run_type.override_field}"
        config = _object(processor[str(run_type.override_field)], name)
        _only(config, _CONFIG_KEYS[run_type.name], name)
        _check_choices(run_type, config, name)


def _check_files(run_type: RunType, body: Mapping[str, Any]) -> None:
    ways = ["file"]
    ways.extend([run_type.package_field] if run_type.package_field else [])
    ways.extend([run_type.processor_field] if run_type.processor_is_id and run_type.processor_field else [])
    given = [way for way in ways if way in body]
    if len(given) != 1:
        raise invalid(f"Provide exactly one of {', '.join(ways)}." if len(ways) > 1 else "file is required.")
    if given == ["file"]:
        _check_file(body["file"], "file", run_type.file_forms)
    elif given == [run_type.package_field]:
        _check_package(run_type, body[given[0]])


def _check_package(run_type: RunType, value: object) -> None:
    package = _object(value, "package")
    _only(package, {"files"}, "package")
    files = package.get("files")
    least, most = _PACKAGE_SIZES[run_type.name]
    if not isinstance(files, list) or not least <= len(files) <= most:
        raise invalid(f"package.files must be an array of {least} to {most} files.")
    for place, file in enumerate(files):
        _check_file(file, f"package.files[{place}]", {"url", "id"})
    names = [file.get("url") or file["id"] for file in files]
    if run_type.name == "workflow" and len(set(names)) != len(names):
        raise invalid("package.files names a file twice.")


def _check_file(value: object, name: str, forms: Collection[str]) -> None:
    file = _object(value, name)
    given = [form for form in _FILE_KEYS if form in file]
    if len(given) != 1 or given[0] not in forms:
        raise invalid(f"{name} must have exactly one of {', '.join(sorted(forms))}.")
    form = given[0]
    _only(file, _FILE_KEYS[form], name)
    _text(file[form], f"{name}.{form}")
    if form == "url":
        _check_url(file["url"], f"{name}.url")
    if "name" in file:
        _text(file["name"], f"{name}.name")
    if "settings" in file:
        _only(_object(file["settings"], f"{name}.settings"), {"password"}, f"{name}.settings")


def _check_url(url: str, name: str) -> None:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise invalid(f"{name} is no valid URL.") from error
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise invalid(f"{name} must be an http:// or https:// URL with a host.")


def _check_config(run_type: RunType, body: Mapping[str, Any]) -> None:
    if "config" not in body:
        return
    config = _object(body["config"], "config")
    _only(config, _CONFIG_KEYS[run_type.name], "config")
    needed = _CONFIG_NEEDS.get(run_type.name)
    if needed is not None and needed not in config:
        raise invalid(f"config.{needed} is required.")
    _check_choices(run_type, config, "config")


def _check_choices(run_type: RunType, config: Mapping[str, Any], name: str) -> None:
    needed = _CONFIG_NEEDS.get(run_type.name)
    if needed is not None and needed in config:
        choices = config[needed]
        if not isinstance(choices, list) or not choices:
            raise invalid(f"{name}.{needed} must be an array that is not empty.")
        for place, choice in enumerate(choices):
            _text(_object(choice, f"{name}.{needed}[{place}]").get("type"), f"{name}.{needed}[{place}].type")
    if "schema" in config:
        schema = _object(config["schema"], f"{name}.schema")
        _object(schema.get("properties"), f"{name}.schema.properties")


def _check_rest(body: Mapping[str, Any]) -> None:
    priority = body.get("priority", 1)
    if type(priority) is not int or not 1 <= priority <= 100:
        raise invalid("priority must be an integer from 1 to 100.")
    if "secrets" in body:
        _object(body["secrets"], "secrets")
    if "outputs" in body:
        if not isinstance(body["outputs"], list):
            raise invalid("outputs must be an array.")
        if "package" in body:
            raise invalid("outputs cannot be given together with package.")
    if "dataRetention" in body:
        mode = _object(body["dataRetention"], "dataRetention").get("mode")
        if mode not in {"workspace_default", "zero"}:
            raise invalid("dataRetention.mode must be workspace_default or zero.")
