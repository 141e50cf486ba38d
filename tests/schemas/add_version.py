"""``python -m tests.schemas.add_version``: keep a schema that has changed as its next version, with records of it.

``make schemas`` runs it. What no version may do is refused, and then nothing is written.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from connector.core.formats.framing import Codec
from connector.schema_files import schema_path, version_paths
from tests.schemas.evolution import Node, complaints
from tests.schemas.written import NAMES, as_json, written


def refresh(folder: Path, name: str) -> list[str]:
    """Make the newest version equal to today's schema: the same one with better docs, or a next one.

    Args:
        folder: where the schemas are.
        name: the schema's name without ``.avsc``.

    Returns:
        What is wrong with the change; nothing was written then.
    """
    text = folder.joinpath(f"{name}.avsc").read_text(encoding="utf-8")
    today = json.loads(text)
    paths = version_paths(folder, name)
    earlier = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    if earlier and without_docs(earlier[-1]) == without_docs(today):
        paths[-1].write_text(text, encoding="utf-8")
        return []
    wrong = [each for schema in earlier for each in complaints(schema, today)]
    if not wrong:
        records = _lines(name, today)
        path = folder / "versions" / name / f"{len(paths) + 1}.avsc"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.with_suffix(".jsonl").write_text(records, encoding="utf-8")
    return list(dict.fromkeys(wrong))


def without_docs(node: Node) -> Node:
    """A schema as far as it matters for its records."""
    if isinstance(node, dict):
        return {key: value if key == "default" else without_docs(value) for key, value in node.items() if key != "doc"}
    return [without_docs(each) for each in node] if isinstance(node, list) else node


def _lines(name: str, schema: Node) -> str:
    codec = Codec(schema)
    records = ({"bytes": each.hex(), "value": as_json(codec.decode(each))} for each in written(name, schema))
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def main() -> None:
    """Refresh all; exit code 1 with a sentence for each change that no version may make."""
    folder = schema_path(NAMES[0]).parent
    wrong = [f"schemas/{name}.avsc: {each}" for name in NAMES for each in refresh(folder, name)]
    if wrong:
        sys.exit("\n".join([*wrong, "No later version may do that: docs/schemas.md says why, and what may change."]))


if __name__ == "__main__":
    main()
