from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.config.yaml_tree import MAX_CHARS, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("# nothing\n", None),
        ("a: 1", {"a": 1}),
        ("a: {b: [1, two, 3.5, true, null, ~]}", {"a": {"b": [1, "two", 3.5, True, None, None]}}),
        ("a: yes", {"a": "yes"}),
        ("a: off", {"a": "off"}),
        ("a: 2026-12-01T00:00:00Z", {"a": "2026-12-01T00:00:00Z"}),
        ("a: 1:30", {"a": "1:30"}),
        ("a: 012", {"a": 12}),
        ("a: 0x10", {"a": "0x10"}),
        ("a: 1_000", {"a": "1_000"}),
        ("a: '5'", {"a": "5"}),
        ("a: !!str 5", {"a": "5"}),
        ("a:", {"a": None}),
        ("a: 1e3", {"a": 1000.0}),
        ("a: .inf", {"a": ".inf"}),
        ("404: x\ntrue: y", {"404": "x", "true": "y"}),
        ("a: |\n  two\n  lines\n", {"a": "two\nlines\n"}),
    ],
)
def test_a_document_is_read(text: str, value: object) -> None:
    tree = read_yaml(text, "c.yaml")
    assert tree.problems == []
    assert tree.value == value


def test_every_key_and_item_has_its_line() -> None:
    tree = read_yaml("a: 1\nb:\n  c: 2\n  d:\n    - x\n    - y: 1\n", "c.yaml")
    assert tree.lines == {
        ("a",): 1,
        ("b",): 2,
        ("b", "c"): 3,
        ("b", "d"): 4,
        ("b", "d", "0"): 5,
        ("b", "d", "1"): 6,
        ("b", "d", "1", "y"): 6,
    }


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: [1, 2\nb: 3\n", 2, "is no YAML: expected ',' or ']'"),
        ("a: 1\n b: 2\n", 2, "is no YAML: mapping values are not allowed here (line 2, column 3)"),
        ("a:\n\tb: 1\n", 2, "cannot start any token"),
        ("a: 'open\n", 2, "is no YAML"),
        ("a: 1\n---\nb: 2\n", 2, "but found another document"),
        ("a: &x {b: 1}\nc: *x\n", 2, "aliases are not taken"),
        ("a: *nowhere\n", 1, "aliases are not taken"),
        ("a: !secret x\n", 1, "tags are not taken"),
        ("a: !!python/name:os.system\n", 1, "tags are not taken"),
        ("a: !!int canary\n", 1, "is not what its tag says"),
        ("a: !canary!x 1\n", 1, "is no YAML: found undefined tag handle what stands there"),
        ("a: !!binary aGk=\n", 1, "tags are not taken"),
        ("{a: 1}: 2\n", 1, "a key that is no text"),
        ("a: 1\nb: 2\na: 3\n", 3, "stands here twice, first in line 1"),
        ("a: {b: 1, b: 1}\n", 1, "stands here twice"),
        ("a: " + "[" * 1000, 1, "more than 40 levels"),
        ("a: 9223372036854775808\n", 1, "is a number that is too large"),
        ("a: 1e999\n", 1, "is a number that is too large"),
        ('a: "\\ud800"\n', 1, "no Unicode text"),
        ("a: " + "9" * 10_000, 1, "is a number that is too large"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, line: int, words: str) -> None:
    (problem,) = read_yaml(text, "c.yaml").problems
    assert problem.line == line
    assert problem.source == "c.yaml"
    assert words in problem.message
    assert "nowhere" not in problem.message
    assert "canary" not in problem.message


def test_a_character_that_yaml_does_not_allow_is_said() -> None:
    (problem,) = read_yaml("a: \x00", "c.yaml").problems
    assert "a character that YAML does not allow" in problem.message


def test_a_text_that_is_too_long_is_not_read() -> None:
    (problem,) = read_yaml("#" * (MAX_CHARS + 1), "c.yaml").problems
    assert "longer than" in problem.message


@given(st.text(alphabet="ab:-[]{}&*!'\"|>#%?,\n\t 019.~\x00é", max_size=60))
def test_any_text_is_a_value_or_problems(text: str) -> None:
    tree = read_yaml(text, "c.yaml")
    assert tree.problems or tree.value is None or isinstance(tree.value, dict | list | str | int | float)
