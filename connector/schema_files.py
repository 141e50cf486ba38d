"""Where the Avro schemas are: ``connector/schemas`` in an installed wheel, ``schemas`` in a checkout.

Every version that a schema ever had is kept beside it, in ``versions/<name>/<number>.avsc``, because records that were
written with it stay in topics; the highest number is today's schema.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

_FOLDERS = (Path(__file__).parent / "schemas", Path(__file__).parent.parent / "schemas")


def schema_path(name: str) -> Path:
    """The file of a schema.

    Args:
        name: the schema's name without ``.avsc``, e.g. ``run_result``.

    Raises:
        FileNotFoundError: neither the installed package nor the checkout has it.
    """
    for folder in _FOLDERS:
        path = folder / f"{name}.avsc"
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"There is no schema {name}.avsc beside the package or in the checkout: install the package again."
    )


def load_schema(name: str) -> dict[str, object]:
    """A schema's JSON as Python values.

    Args:
        name: the schema's name without ``.avsc``, e.g. ``run_result``.

    Raises:
        FileNotFoundError: see ``schema_path``.
    """
    return _load(schema_path(name))


def load_schemas(name: str) -> tuple[dict[str, object], tuple[dict[str, object], ...]]:
    """Today's schema, and every version that its records may be written with: what a codec takes.

    Args:
        name: the schema's name without ``.avsc``, e.g. ``run_result``.

    Raises:
        FileNotFoundError: see ``schema_path``.
    """
    return load_schema(name), schema_versions(name)


def schema_versions(name: str) -> tuple[dict[str, object], ...]:
    """Every version of a schema, the oldest first, today's last.

    Args:
        name: the schema's name without ``.avsc``, e.g. ``run_result``.

    Raises:
        FileNotFoundError: see ``schema_path``.
    """
    return tuple(_load(path) for path in version_paths(schema_path(name).parent, name))


def version_paths(folder: Path, name: str) -> list[Path]:
    """The files of a schema's versions, the oldest first.

    Args:
        folder: where the schemas are.
        name: the schema's name without ``.avsc``.
    """
    return sorted(folder.joinpath("versions", name).glob("*.avsc"), key=lambda path: int(path.stem))


def _load(path: Path) -> dict[str, object]:
    return cast("dict[str, object]", json.loads(path.read_text(encoding="utf-8")))
