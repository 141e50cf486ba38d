"""What becomes of outputs that do not fit, of those that say more, and of schemas from elsewhere."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.formats.schema_limits import SchemaRefused
from connector.core.typed.json_schema import read_schema
from connector.core.typed.shapes import SHAPES
from connector.core.typed.typed_results import TypedOutput, TypedResults, typed_schema
from connector.schema_files import load_schema
from tests.core.typed.schemas import Schema

ENVELOPE = load_schema("run_result")
INVOICE: Schema = {
    "type": "object",
    "properties": {
        "number": {"type": ["string", "null"]},
        "issued": {"type": ["string", "null"], "extend:type": "date"},
        "pages": {"type": ["integer", "null"]},
        "weight": {"type": ["number", "null"]},
        "total": {"type": ["number", "null"], "multipleOf": 0.01},
        "paid": {"type": ["boolean", "null"]},
        "lines": {"type": "array", "items": {"type": "object", "properties": {"text": {"type": "string"}}}},
        "note": {"x-avro": "json"},
    },
}


def results(schema: Schema = INVOICE, run_type: str = "extract") -> TypedResults:
    """The typed results of a JSON Schema."""
    return TypedResults(typed_schema(ENVELOPE, "invoices", read_schema(schema)), ENVELOPE, run_type)


INVOICES = results()
PROPERTIES = tuple(cast("dict[str, object]", INVOICE["properties"]))


def _json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def typed(value: str) -> TypedOutput:
    """What becomes of an extracted value."""
    found = results().typed("extract", f'{{"value": {value}}}'.encode())
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ('{"number": 5}', "at number: a number does not fit a text."),
        ('{"pages": "5"}', "at pages: a text does not fit an integer of 64 bits."),
        ('{"pages": 1.5}', "at pages: the number has decimal places, and an integer has none."),
        ('{"pages": 9223372036854775808}', "at pages: the number does not fit an integer of 64 bits."),
        ('{"pages": true}', "at pages: true or false does not fit an integer of 64 bits."),
        ('{"weight": 0.12345678901234567890}', "at weight: the number has more digits than a double holds."),
        ('{"weight": 9007199254740993}', "at weight: the number has more digits than a double holds."),
        ('{"weight": 1e-390}', "at weight: the number has more digits than a double holds."),
        ('{"weight": 1e999}', "unusual JSON: a number is too large for a double"),
        ('{"total": 1.005}', "at total: the number does not fit a decimal with 38 digits, 2 of them behind the point."),
        ('{"total": 1e36}', "at total: the number does not fit a decimal"),
        ('{"issued": "31.12.2026"}', "at issued: the text is no date such as 2026-12-31."),
        ('{"issued": "20261231"}', "at issued: the text is no date such as 2026-12-31."),
        ('{"issued": ""}', "at issued: the text is no date such as 2026-12-31."),
        ('{"paid": "yes"}', "at paid: a text does not fit true or false."),
        ('{"lines": {}}', "at lines: an object does not fit an array."),
        ('{"lines": [{"text": "a"}, {"text": 1}]}', "at lines.1.text: a number does not fit a text."),
        ('{"lines": [null]}', "at lines.0: null does not fit an object."),
        ('{"total": 1e-9999999999999999999}', "unusual JSON: a number's exponent is too large"),
        ('{"unknown": 1e-9999999999999999999}', "unusual JSON: a number's exponent is too large"),
        ('{"number": "a", "number": "b"}', "unusual JSON: the key number stands twice"),
        ('{"number": "\\ud800"}', "unusual JSON: a text holds a lone surrogate"),
        ("[]", "schema: an array does not fit an object."),
        ("null", "schema: there is no value."),
    ],
)
def test_what_does_not_fit_has_no_value_and_a_sentence(value: str, complaint: str) -> None:
    found = typed(value)
    assert (found.value, found.fit) == (None, "none")
    assert complaint in (found.error or "")


def test_a_sentence_never_shows_what_the_document_says() -> None:
    assert "secret" not in (typed('{"pages": "secret"}').error or "")


def test_what_the_logs_say_holds_nothing_of_the_document() -> None:
    found = typed('{"new": {"John Smith": 1, "John Smith": 2}}')
    assert "John Smith" in (found.error or "")
    assert found.problem == "The value is left out: the output is unusual JSON."
    assert typed('{"pages": 1.5}').problem == typed('{"pages": 1.5}').error


@pytest.mark.parametrize("output", ['{"value": {"number": "A"}, "value": {}}', '{"value": {}, "v\\u0061lue": {}}'])
def test_a_value_that_stands_twice_is_none(output: str) -> None:
    found = results().typed("extract", output.encode())
    assert found is not None
    assert (found.value, found.fit) == (None, "none")
    assert "the key value stands twice" in (found.error or "")


def test_a_value_much_larger_than_its_topic_takes_is_not_even_converted() -> None:
    value = b'{"value": {"number": "' + b"x" * 1000 + b'"}'
    for output, max_bytes, fit in (
        (value + b"}", 100, "none"),
        (value + b"}", 1000, "whole"),
        (value + b', "metadata": 1}', 100, "none"),
        (b'{"value": {"number": "A"}, "metadata": "' + b"x" * 1000 + b'"}', 100, "part"),
    ):
        found = results().typed("extract", output, max_bytes)
        assert found is not None
        assert found.fit == fit
        assert ("more than 4 times what the topic takes" in (found.error or "")) == (fit == "none")


@pytest.mark.parametrize("zero", ["0e-9999999", "-0E-99999999", "0e99999999", "0.00", "-0"])
def test_a_zero_is_one_whatever_its_exponent_is(zero: str) -> None:
    found = typed(f'{{"total": {zero}, "pages": {zero}, "weight": {zero}}}')
    assert found.fit == "whole"
    restored = cast("dict[str, object]", results().restore(found.value))
    assert (restored["total"], restored["pages"], restored["weight"]) == (0, 0, 0)


def test_an_error_that_nobody_thought_of_leaves_the_value_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def parse_json(_: str, *, exact: bool) -> object:
        raise ArithmeticError(f"secret {exact}")

    monkeypatch.setattr("connector.core.typed.typed_results.parse_json", parse_json)
    found = typed("{}")
    assert (found.value, found.fit) == (None, "none")
    assert found.error == "The value is left out: the output cannot be converted (ArithmeticError)."


NUMBER = st.from_regex(r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,22})?", fullmatch=True)
ANYTHING = st.recursive(
    NUMBER
    | st.sampled_from(["null", "true", "NaN", '"\\ud800"', '"2026-12-31"', "", "x"])
    | st.text(max_size=4).map(_json),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{','.join(items)}]")
        | st.lists(st.tuples(st.sampled_from([*PROPERTIES, "text", "new", "value"]), inner), max_size=4).map(
            lambda pairs: "{" + ",".join(f'"{name}":{item}' for name, item in pairs) + "}"
        )
    ),
    max_leaves=8,
)


@given(ANYTHING.map(str.encode) | ANYTHING.map(lambda text: f'{{"value":{text}}}'.encode()) | st.binary(max_size=30))
def test_whatever_the_output_is_there_is_an_answer_that_somebody_thought_of(output: bytes) -> None:
    found = INVOICES.typed("extract", output)
    assert found is not None
    assert "cannot be converted" not in (found.error or "")
    if found.fit != "none":
        value = INVOICES.restore(found.value)
        assert set(cast("dict[str, object]", value)) == set(PROPERTIES)


def test_numbers_that_mean_the_same_fit() -> None:
    found = typed('{"pages": 3.0, "weight": 10000000000000000000, "total": 12e1}')
    assert found.fit == "whole"
    restored = cast("dict[str, object]", results().restore(found.value))
    assert (restored["pages"], restored["weight"], restored["total"]) == (3, 1e19, Decimal(120))


def test_json_that_is_kept_as_text_keeps_its_digits() -> None:
    found = typed('{"note": {"a": [1.10, 123456789012345678901234567890]}}')
    assert cast("dict[str, str]", found.value)["note"] == '{"a":[1.10,123456789012345678901234567890]}'


@pytest.mark.parametrize(
    "output",
    [
        '{"value": {"number": "A", "new": 1}}',
        '{"value": {"number": "A", "lines": [{"text": "a", "new": false}]}}',
        '{"value": {"number": "A"}, "metadata": {}}',
    ],
)
def test_an_output_that_says_more_is_told(output: str) -> None:
    found = results().typed("extract", output.encode())
    assert found is not None
    assert found.fit == "part"
    assert cast("dict[str, object]", found.value)["number"] == "A"


def test_null_says_nothing_more() -> None:
    assert typed('{"number": "A", "new": null}').fit == "whole"


@pytest.mark.parametrize("output", ["nonsense", "[]", "5", '{"value": {}', "{}", "[" * 9999, '{"value":' * 9999])
def test_an_output_of_another_shape_has_no_value(output: str) -> None:
    found = results().typed("extract", output.encode())
    assert found is not None
    assert found.fit == "none"
    assert found.error
    assert "cannot be converted" not in found.error


def test_without_an_output_there_is_nothing_to_say() -> None:
    assert results().typed("extract", None) is None


def test_a_reference_with_its_own_run_is_told() -> None:
    found = results().typed("parse", b"{}")
    said = "The value is left out: the reference asked for its own parse run."
    assert found == TypedOutput(error=said, problem=said)


OUTPUTS = {
    "classify": {
        "id": "c1",
        "type": "invoice",
        "confidence": 0.97,
        "insights": [{"type": "reasoning", "content": "x"}],
    },
    "split": {
        "splits": [
            {
                "id": "s1",
                "type": "invoice",
                "classificationId": "c1",
                "identifier": "A-1",
                "observation": "",
                "startPage": 1,
                "endPage": 2,
                "fileId": "file_1",
                "name": None,
            }
        ],
        "isExternal": None,
    },
    "parse": {
        "chunks": [
            {
                "object": "chunk",
                "type": "page",
                "content": "# A",
                "metadata": {
                    "pageRange": {"start": 1, "end": 1},
                    "minOcrConfidence": 0.5,
                    "avgOcrConfidence": None,
                },
                "blocks": [
                    {
                        "object": "block",
                        "id": "b1",
                        "parentBlockId": None,
                        "type": "table",
                        "content": "a",
                        "details": {"rowCount": 2},
                        "metadata": {"page": {"number": 1}},
                        "polygon": [{"x": 0.5, "y": 1}],
                        "boundingBox": {"left": 0, "top": 0, "right": 1, "bottom": 1},
                        "children": [{"object": "block"}],
                    }
                ],
            }
        ],
        "ocr": None,
        "metadata": {"pages": []},
    },
}


@pytest.mark.parametrize("run_type", list(SHAPES))
def test_the_documented_outputs_fit_their_shapes(run_type: str) -> None:
    fixed = results(SHAPES[run_type], run_type)
    found = fixed.typed(run_type, json.dumps(OUTPUTS[run_type]).encode())
    assert found is not None
    assert (found.fit, found.error) == ("whole", None)
    assert fixed.restore(found.value) == OUTPUTS[run_type]


def test_the_schema_keeps_the_records_of_the_envelope() -> None:
    schema = results().schema
    assert (schema["namespace"], schema["name"]) == ("ai.extend.kafka.routes.invoices", "RunResult")
    assert '"name": "Source", ' in json.dumps(schema)
    assert "'namespace': 'ai.extend.kafka', 'type': 'record', 'name': 'Source'" in str(schema)


def test_another_description_of_the_envelope_changes_nothing() -> None:
    described = json.loads(json.dumps(ENVELOPE).replace("The input topic.", "Its topic."))
    TypedResults(results().schema, described, "extract")


def test_an_older_envelope_is_refused_with_the_way_out() -> None:
    grown = {**ENVELOPE, "fields": [*cast("list[object]", ENVELOPE["fields"]), {"name": "new", "type": "string"}]}
    with pytest.raises(SchemaRefused, match=r"another version's \(new\); `extend-connector schemas generate` makes it"):
        TypedResults(results().schema, grown, "extract")


@pytest.mark.parametrize("schema", [{}, {"fields": [1]}, ENVELOPE])
def test_what_is_no_schema_of_typed_results_is_refused(schema: Schema) -> None:
    with pytest.raises(SchemaRefused, match="no schema of typed results"):
        TypedResults(schema, ENVELOPE, "extract")


@pytest.mark.parametrize(
    "avro",
    [
        ["null", {"type": "enum", "name": "E", "symbols": ["A"]}],
        ["null", "string", "long"],
        ["null", {"type": "long", "logicalType": "timestamp-millis"}],
        ["null", "float"],
        ["null", {"type": "bytes", "logicalType": "decimal"}],
        ["null", {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": -2}],
        ["null", {"type": "bytes", "logicalType": "decimal", "precision": 10**9, "scale": 2}],
        {"type": "map", "values": "string"},
    ],
)
def test_types_that_are_never_generated_are_refused(avro: object) -> None:
    field = {"name": "a", "type": avro, "default": None}
    value = {"name": "value", "type": ["null", {"type": "record", "name": "Value", "fields": [field]}], "default": None}
    fields = [*cast("list[object]", results().schema["fields"])[:-1], value]
    with pytest.raises(SchemaRefused):
        TypedResults({**results().schema, "fields": fields}, ENVELOPE, "extract")


DEEP: object = []
for _ in range(5000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    "damage",
    [
        lambda schema: schema["fields"].append({"type": "string"}),
        lambda schema: schema["fields"].insert(0, {"name": "a"}),
        lambda schema: schema["fields"][-1].pop("type"),
        lambda schema: schema["fields"][-1].pop("name"),
        lambda schema: schema["fields"][-1]["type"][1]["fields"].append({"type": "string"}),
        lambda schema: schema["fields"][-1]["type"][1]["fields"].append({"name": "a"}),
        lambda schema: schema["fields"][-1]["type"][1]["fields"].append("a"),
        lambda schema: schema["fields"][-1]["type"][1].update(fields=None),
        lambda schema: schema["fields"][-1].update(type=["null", {"type": ["a"], "logicalType": {}}]),
        lambda schema: schema["fields"][-1].update(type=DEEP),
        lambda schema: schema["fields"][0].update(attribute=DEEP),
    ],
)
def test_a_damaged_schema_is_refused_with_a_sentence(damage: Callable[[Any], object]) -> None:
    schema = copy.deepcopy(dict(INVOICES.schema))
    damage(schema)
    with pytest.raises(SchemaRefused):
        TypedResults(schema, ENVELOPE, "extract")


def test_a_schema_may_have_hundreds_of_fields() -> None:
    results({"type": "object", "properties": {f"f{number}": {"type": "string"} for number in range(600)}})


def test_a_schema_that_readers_would_refuse_is_refused() -> None:
    deep: Schema = {"type": "string"}
    for _ in range(20):
        deep = {"type": "object", "properties": {"a": deep}}
    with pytest.raises(SchemaRefused, match="32 levels"):
        results(deep)
