from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.accept.path import MAX_STEPS, NotationError, Path, parse_path

NAMES = st.text(min_size=1, max_size=8)
PATHS = st.lists(NAMES | st.integers(0, 9_999_999), min_size=1, max_size=6).map(lambda steps: Path(tuple(steps)))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b", "é.", ""]), inner, max_size=4)
    ),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("id", ("id",)),
        ("payload.location", ("payload", "location")),
        ("items[0].url", ("items", 0, "url")),
        ("[1][20]", (1, 20)),
        ("payload.`file.name`", ("payload", "file.name")),
        ("`a b`[3]", ("a b", 3)),
        (r"`\`\\`", ("`\\",)),
        ("items.0.url", ("items", "0", "url")),
        ("extend:usage_tags.ключ-1", ("extend:usage_tags", "ключ-1")),
    ],
)
def test_a_path_says_its_steps(text: str, steps: tuple[str | int, ...]) -> None:
    assert parse_path(text).steps == steps
    assert parse_path(str(parse_path(text))) == parse_path(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("a.", "a name is missing at its end"),
        (".a", "at character 1: a name is missing before this dot"),
        ("a..b", "at character 3: a name is missing before this dot"),
        ("a[b]", "at character 2: brackets hold the number of an item"),
        ("a[-1]", "at character 2: brackets"),
        ("a[01]", "at character 2: brackets"),
        ("a[0]b", "at character 5: a name"),
        ("a.[0]", "at character 3: brackets"),
        ("a b", "at character 2: a name that holds spaces"),
        ("a?", "at character 2: a name that holds"),
        ("a.``", "at character 3: a name in backticks is empty"),
        ("a.`b", "at character 3: a name in backticks is empty, or does not end"),
        (".".join("a" * (MAX_STEPS + 1)), "has 65 steps"),
    ],
)
def test_what_is_no_path_is_told_with_its_place(text: str, said: str) -> None:
    with pytest.raises(NotationError) as caught:
        parse_path(text)
    assert said in str(caught.value)


@given(PATHS)
def test_every_path_can_be_written_and_read_again(path: Path) -> None:
    assert parse_path(str(path)) == path


@given(st.text(max_size=20))
def test_any_text_is_a_path_or_a_sentence(text: str) -> None:
    try:
        path = parse_path(text)
    except NotationError:
        return
    assert parse_path(str(path)) == path


@given(JSON, PATHS)
def test_looking_never_fails_and_what_is_not_there_has_a_sentence(value: object, path: Path) -> None:
    if path.find(value) is None:
        assert path.absence(value)


@given(JSON)
def test_every_leaf_is_found_by_its_own_path(value: object) -> None:
    def leaves(found: object, *steps: str | int) -> None:
        if isinstance(found, dict):
            for name, item in found.items():
                leaves(item, *steps, name)
        elif isinstance(found, list):
            for place, item in enumerate(found):
                leaves(item, *steps, place)
        else:
            assert Path(steps).find(value) is found

    leaves(value)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("a.b", {"a": {"c": 1}}, "a has no b"),
        ("payload.location", {"payload": {"locations": "secret"}}, "payload has no location; did you mean locations?"),
        ("payload.location", {"payload": "secret"}, "payload is a text, not an object"),
        ("payload.location", {"payload": None}, "payload is null"),
        ("payload.location", {"payload": {"location": None}}, "payload.location is null"),
        ("id", {}, "the value has no id"),
        ("id", [1], "the value is an array, not an object"),
        ("items[2]", {"items": [1]}, "items has 1 item, and none at [2]"),
        ("items[0]", {"items": {}}, "items is an object, not an array"),
        ("`x y`", {"id": 1}, "the value has no `x y`"),
    ],
)
def test_where_a_path_ends_is_told_without_a_value(path: str, value: object, said: str) -> None:
    found = parse_path(path)
    assert found.find(value) is None
    assert found.absence(value) == said


def test_of_an_object_with_a_million_names_only_a_few_are_compared() -> None:
    value = {f"identifier_{number}": 1 for number in range(1_000_000)}
    begun = time.process_time()
    assert parse_path("identifier").absence(value).startswith("the value has no identifier")
    assert time.process_time() - begun < 5


def test_names_of_a_record_are_shown_on_one_line() -> None:
    assert parse_path("location").absence({"location\n": 1}).endswith("did you mean location??")
