"""What Kubernetes and the operators accept: strict schemas, where an unknown field is an error."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
from kubernetes_validate.utils import all_versions, major_minor, schema_contents
from referencing import Registry, Resource

from tests.chart.engine import Manifest

LEAST_KUBERNETES = (1, 30)
KUBERNETES = tuple(
    version
    for version in dict.fromkeys(map(major_minor, all_versions()))
    if tuple(map(int, version.split("."))) >= LEAST_KUBERNETES
)
"""Every version whose schemas are known, from the oldest that the chart takes."""

_FOLDER = Path(__file__).with_name("kinds")
_PATCH = {major_minor(version): version for version in all_versions()}


class UnknownKindError(Exception):
    """Neither Kubernetes nor a file in ``kinds/`` knows it."""


def validate(manifest: Manifest, kubernetes: str) -> None:
    """Judge one object.

    Raises:
        jsonschema.ValidationError: it has a field that is not known, of another kind, or missing.
        UnknownKindError: nothing is known about its kind.
    """
    _validator(manifest["kind"], manifest["apiVersion"], kubernetes).validate(manifest)


@cache
def _validator(kind: str, api_version: str, kubernetes: str) -> jsonschema.Draft202012Validator:
    # As kubernetes_validate.validate does it, which reads a megabyte of definitions anew for every object.
    group, _, version = api_version.rpartition("/")
    name = "-".join(part for part in (kind.lower(), group.partition(".")[0], version) if part)
    try:
        schema = _built_in(f"{name}.json", kubernetes)
    except FileNotFoundError:
        return _of_an_operator(kind)
    return jsonschema.Draft202012Validator(schema, registry=_definitions(kubernetes))


@cache
def _of_an_operator(kind: str) -> jsonschema.Draft202012Validator:
    path = _FOLDER / f"{kind}.json"
    if not path.is_file():
        raise UnknownKindError(kind)
    return jsonschema.Draft202012Validator(json.loads(path.read_text(encoding="utf-8")))


@cache
def _definitions(kubernetes: str) -> Registry[Any]:
    resource: Resource[Any] = Resource.from_contents(_built_in("_definitions.json", kubernetes))
    return resource @ Registry()


def _built_in(name: str, kubernetes: str) -> dict[str, Any]:
    contents: dict[str, Any] = schema_contents(
        f"kubernetes-json-schema/v{_PATCH[kubernetes]}-local-strict/{name}", kubernetes
    )
    return contents
