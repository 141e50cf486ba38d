"""The chart's README lists every value, with the words of values.yaml."""

from __future__ import annotations

import json
from collections.abc import Iterator

import yaml

from tests.chart.engine import CHART


def values_with_comments() -> Iterator[tuple[str, object, str]]:
    """Every value that has a comment above it: its path, its default, and the comment as one line."""
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    yield from _commented(yaml.compose(text), text.splitlines(), "")


def _commented(node: yaml.Node | None, lines: list[str], path: str) -> Iterator[tuple[str, object, str]]:
    assert isinstance(node, yaml.MappingNode)
    for key, value in node.value:
        below = f"{path}.{key.value}".lstrip(".")
        comment = _comment_above(lines, key.start_mark.line)
        nested = isinstance(value, yaml.MappingNode) and value.value
        if comment or not nested:
            default = None if nested else yaml.safe_load(yaml.serialize(value))
            yield below, default, comment
        # A comment over a mapping speaks for what is inside, unless the inside speaks for itself.
        if nested and (not comment or _speaks(value, lines)):
            yield from _commented(value, lines, below)


def _speaks(node: yaml.MappingNode, lines: list[str]) -> bool:
    return any(_comment_above(lines, key.start_mark.line) for key, _ in node.value)


def _comment_above(lines: list[str], line: int) -> str:
    words: list[str] = []
    while line > 0 and lines[line - 1].lstrip().startswith("#"):
        line -= 1
        words.insert(0, lines[line].lstrip().lstrip("#").strip())
    return " ".join(words)


def values_table() -> list[str]:
    """The table of README.md, as it follows from values.yaml."""
    rows = ["| Value | Default | Meaning |", "|---|---|---|"]
    for path, default, comment in values_with_comments():
        shown = "" if default is None else f"`{json.dumps(default)}`"
        rows.append(f"| `{path}` | {shown} | {comment} |")
    return rows


def test_every_value_has_a_comment_that_is_a_sentence() -> None:
    found = list(values_with_comments())
    assert len(found) > 30
    for path, _, comment in found:
        assert comment.endswith("."), path
        assert "|" not in comment, path


def test_the_readme_lists_every_value_with_its_default_and_meaning() -> None:
    listed = [line for line in (CHART / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    # To mend it: python -c "from tests.chart.test_readme import values_table; print(*values_table(), sep='\n')"
    assert listed == values_table()
