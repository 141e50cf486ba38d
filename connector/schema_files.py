"""Where the Avro schemas are: ``connector/schemas`` in an installed wheel, ``schemas`` in a checkout."""

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
    return cast("dict[str, object]", json.loads(schema_path(name).read_text(encoding="utf-8")))
