"""The rules find what would break a reader, and what they allow breaks none."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.formats.framing import Codec
from connector.schema_files import load_schema
from tests.schemas.evolution import complaints, resolved
from tests.schemas.written import written

TODAY: Any = load_schema("run_result")


def field(schema: Any, name: str) -> Any:  # noqa: ANN401 - a schema
    return next(each for each in schema["fields"] if each["name"] == name)


def inner(schema: Any, name: str) -> Any:  # noqa: ANN401 - a schema
    """The record inside a field."""
    kind = field(schema, name)["type"]
    return kind[1] if isinstance(kind, list) else kind


NULLABLE = ["null", "string"]
Change = Callable[[Any], object]
BAD: dict[str, tuple[Change, str]] = {
    "taken away": (lambda s: s["fields"].remove(field(s, "credits")), "RunResult.credits was taken away"),
    "taken away inside": (lambda s: inner(s, "times")["fields"].pop(), "RunResult.times.emitted was taken away"),
    "renamed": (lambda s: field(s, "route").update(name="way"), "RunResult.route was taken away"),
    "another type": (lambda s: field(s, "revision").update(type="long"), "RunResult.revision: the type was int"),
    "another type inside": (
        lambda s: field(inner(s, "source"), "partition").update(type="long"),
        "RunResult.source.partition: the type was int",
    ),
    "nullable now": (lambda s: field(s, "route").update(type=NULLABLE), "the type was string and is [null, string]"),
    "another branch": (lambda s: field(s, "output")["type"].append("bytes"), "and is [null, string, bytes]"),
    "other order of branches": (lambda s: field(s, "output")["type"].reverse(), "RunResult.output: the type was null"),
    "another unit": (
        lambda s: field(inner(s, "times"), "started")["type"][1].update(logicalType="timestamp-micros"),
        "RunResult.times.started: the type was timestamp-millis and is timestamp-micros",
    ),
    "another name": (lambda s: s.update(name="Result"), "RunResult: the type was RunResult and is Result"),
    "another namespace": (lambda s: s.update(namespace="com.example"), "RunResult: the type was"),
    "another name inside": (lambda s: inner(s, "output_ref").update(name="Ref"), "the type was OutputRef and is Ref"),
    "a default taken away": (lambda s: field(s, "run_id").pop("default"), "RunResult.run_id: its default"),
    "another default": (lambda s: field(s, "credits").update(default=0.0), "RunResult.credits: its default"),
    "new without default": (
        lambda s: s["fields"].append({"name": "pages", "type": "int"}),
        "RunResult.pages is new and has no default",
    ),
    "new in the middle": (
        lambda s: s["fields"].insert(3, {"name": "pages", "type": "int", "default": 0}),
        "RunResult: a new field stands before the end",
    ),
    "another order": (lambda s: s["fields"].reverse(), "RunResult: its fields stand in another order"),
}


@pytest.mark.parametrize(("change", "said"), BAD.values(), ids=BAD)
def test_a_change_that_would_break_readers_is_found(change: Change, said: str) -> None:
    changed = copy.deepcopy(TODAY)
    change(changed)
    assert [wrong for wrong in complaints(TODAY, changed) if said in wrong]


TYPES: dict[str, Any] = {"int": 0, "string": "", "boolean": False, "double": 0.0}
new_fields = st.one_of(
    st.fixed_dictionaries({"type": st.sampled_from(sorted(TYPES)).map(lambda kind: ["null", kind])}).map(
        lambda kind: {**kind, "default": None}
    ),
    st.sampled_from(sorted(TYPES)).map(lambda kind: {"type": kind, "default": TYPES[kind]}),
    st.just({"type": {"type": "array", "items": "string"}, "default": []}),
)


@given(st.lists(new_fields, max_size=4), st.lists(new_fields, max_size=2), st.text())
def test_what_the_rules_allow_is_read_in_both_directions(outside: list[Any], inside: list[Any], doc: str) -> None:
    later: Any = copy.deepcopy(TODAY)
    later["doc"] = doc
    later["fields"] += [{"name": f"new_{index}", **each} for index, each in enumerate(outside)]
    inner(later, "source")["fields"] += [{"name": f"new_{index}", **each} for index, each in enumerate(inside)]
    assert complaints(TODAY, later) == []
    for value in written("run_result", TODAY):
        meant = Codec(TODAY).decode(value)
        newer = resolved(meant, TODAY, later)
        assert Codec(later, [TODAY]).decode(value) == newer
        assert Codec(TODAY, [later]).decode(Codec(later).encode(newer)) == meant
