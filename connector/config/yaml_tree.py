"""YAML to plain values, with the line of every key; all that is wrong, and nothing that was written.

A small, strict part of YAML 1.2: mappings, lists, texts, numbers, true, false and null. Without dates (an instant stays
a text), without ``yes`` and ``no`` for truth, without octal or sexagesimal numbers, anchors, merges and tags: each of
these has turned a setting into something else in somebody's deployment.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

import yaml

from connector.config.nearest import shown
from connector.core.errors import Problem

MAX_CHARS = 1_000_000
MAX_DEPTH = 40

MAX_INTEGER = 2**63
"""JSON numbers beyond are not safe with every reader."""

Path = tuple[str, ...]
"""Keys from the top; an index of a list stands as its digits."""

_QUOTED = re.compile(r"'(<[a-z ]*>|\\?.|\\x..)'|'[^']*'|\"[^\"]*\"")
"""What PyYAML quotes: a token or one character (group 1), or a piece of the text."""
_TAG = "tag:yaml.org,2002:"


@dataclass(slots=True)
class Tree:
    """What a text says.

    Attributes:
        value: plain values; None for an empty text.
        lines: the line of every key and item, from 1.
        problems: what is wrong.
    """

    value: object = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


class _Refused(yaml.MarkedYAMLError):
    """YAML that is right and not taken."""

    def __init__(self, reason: str, event: yaml.Event) -> None:
        super().__init__(problem=reason)
        mark = event.start_mark
        self.problem_mark = mark if isinstance(mark, yaml.Mark) else None


class _Loader(yaml.SafeLoader):
    """Composes nodes; refuses aliases and depth while they are cheap to refuse."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own attribute
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # PyYAML's stubs leave its parser untyped
        if isinstance(event, yaml.AliasEvent):
            raise _Refused("aliases are not taken; write it out", event)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _Refused(f"more than {MAX_DEPTH} levels are not taken", event)
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", list("-+.0123456789")),
):
    _Loader.add_implicit_resolver(_TAG + _tag, re.compile(f"(?:{_pattern})\\Z"), _first)


def read_yaml(text: str, source: str) -> Tree:
    """Read a document.

    Args:
        text: the YAML.
        source: the file's or the variable's name, for the problems.
    """
    tree = Tree()
    if len(text) > MAX_CHARS:
        tree.problems.append(Problem("", f"is longer than {MAX_CHARS} characters", source=source))
        return tree
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        tree.problems.append(_syntax(error, source))
        return tree
    except yaml.YAMLError:
        message = "is no YAML: it holds a character that YAML does not allow"
        tree.problems.append(Problem("", message, source=source))
        return tree
    if node is not None:
        tree.value = _Builder(source, tree).build(node, ())
    return tree


def _syntax(error: yaml.MarkedYAMLError, source: str) -> Problem:
    """The sentence of PyYAML without what it quotes: that may be a part of a secret."""
    reason = _QUOTED.sub(
        lambda found: found[0] if found[1] else "what stands there",
        error.problem or error.context or "something else was expected",
    )
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return Problem("", f"is no YAML: {reason}", source=source)
    opening = "" if isinstance(error, _Refused) else "is no YAML: "
    message = f"{opening}{reason} (line {mark.line + 1}, column {mark.column + 1})"
    return Problem("", message, line=mark.line + 1, source=source)


class _Builder:
    """Nodes to values."""

    def __init__(self, source: str, tree: Tree) -> None:
        self._source = source
        self._tree = tree

    def build(self, node: yaml.Node, path: Path) -> object:
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            items: list[object] = []
            for index, item in enumerate(node.value):
                place = (*path, str(index))
                self._tree.lines[place] = item.start_mark.line + 1
                items.append(self.build(item, place))
            return items
        if isinstance(node, yaml.ScalarNode) and node.tag.startswith(_TAG):
            return self._scalar(node, path)
        self._wrong(node, path, "has a tag (!); tags are not taken")
        return None

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, object]:
        found: dict[str, object] = {}
        for key, item in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._wrong(key, path, "has a key that is no text")
                continue
            name, place = key.value.encode(errors="replace").decode(), (*path, key.value)
            if name in found:
                first = self._tree.lines[place]
                self._wrong(key, place, f"stands here twice, first in line {first}")
                continue
            self._tree.lines[place] = key.start_mark.line + 1
            found[name] = self.build(item, place)
        return found

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> object:
        text: str = node.value
        try:
            match node.tag.removeprefix(_TAG):
                case "str":
                    # "\ud800" is a text for YAML and none for UTF-8, which the API and Kafka speak.
                    text.encode()
                    return text
                case "null":
                    return None
                case "bool" if text.casefold() in {"true", "false"}:
                    return text.casefold() == "true"
                case "int" if len(text) <= 20 and -MAX_INTEGER <= int(text) < MAX_INTEGER:
                    return int(text)
                case "float" if math.isfinite(float(text)):
                    return float(text)
                case "int" | "float":
                    # As text first: Python refuses to read a number of thousands of digits.
                    self._wrong(node, path, "is a number that is too large")
                    return None
        except UnicodeEncodeError:
            self._wrong(node, path, "is no Unicode text: it holds half of a surrogate pair")
            return None
        except ValueError:
            self._wrong(node, path, "is not what its tag says")
            return None
        self._wrong(node, path, "has a tag (!!); tags are not taken")
        return None

    def _wrong(self, node: yaml.Node, path: Path, message: str) -> None:
        dotted = ".".join(shown(part) for part in path)
        self._tree.problems.append(
            Problem(dotted, message, line=node.start_mark.line + 1, source=self._source),
        )
