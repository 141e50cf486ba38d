"""Schemas, their examples and the pages about them say the same as the code."""

from __future__ import annotations

import json
import re
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import pytest

from connector.core.reasons import Reason
from connector.core.route import Route
from connector.core.run_types import RUN_TYPES, STATUSES
from connector.core.typed.typed_results import VALUE
from connector.schema_files import load_schema, schema_path
from tests.factories.records import TOPIC, reference_codec, request_of, result_codec

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "schemas" / "examples"
RESULTS = sorted(EXAMPLES.glob("result-*.json"))
REFERENCES = sorted(EXAMPLES.glob("reference-*.json"))
REFERENCES_PAGE = (ROOT / "docs" / "references.md").read_text(encoding="utf-8")
READING_PAGE = (ROOT / "docs" / "reading-results.md").read_text(encoding="utf-8")
RESULTS_PAGE = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")


def fields_of(name: str) -> list[str]:
    fields = load_schema(name)["fields"]
    assert isinstance(fields, list)
    return [each["name"] for each in fields]


def first_column(page: str, heading: str) -> list[str]:
    """The codes in the first column of the table whose first heading is this one."""
    table = re.search(rf"\| {re.escape(heading)} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", page)
    assert table, heading
    return re.findall(r"^\| `([^`]+)`", table[1], re.MULTILINE)


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_an_example_of_a_result_goes_through_our_writer_and_a_strangers_reader(path: Path) -> None:
    example = json.loads(path.read_text(encoding="utf-8"))
    assert list(example) == fields_of("run_result")
    schema = json.loads(schema_path("run_result").read_text(encoding="utf-8"))
    assert fastavro.validate(example, schema)
    value = result_codec.encode(example)
    plain = json.loads(json.dumps(schema).replace('"logicalType": "timestamp-millis"', '"x": 0'))
    assert fastavro.schemaless_reader(BytesIO(value[10:]), plain, None) == example


def test_there_is_an_example_of_every_status() -> None:
    found = {json.loads(path.read_text(encoding="utf-8"))["status"] for path in RESULTS}
    assert set(STATUSES) < found


@pytest.mark.parametrize("path", REFERENCES, ids=lambda path: path.stem)
def test_an_example_of_a_reference_becomes_a_request(path: Path) -> None:
    request = request_of(path.read_bytes(), Route("any", TOPIC))
    assert path.stem.startswith(f"reference-{request.run_type}")


def test_there_is_an_example_of_every_run_type() -> None:
    assert {path.stem.split("-")[1] for path in REFERENCES} == set(RUN_TYPES)


@pytest.mark.parametrize("text", re.findall(r"```json\n(.+?)```", REFERENCES_PAGE, re.DOTALL))
def test_a_reference_on_the_page_becomes_a_request(text: str) -> None:
    assert request_of(text.encode()).body


def test_the_avro_example_on_the_page_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.+?)```", REFERENCES_PAGE, re.DOTALL)
    names: dict[str, bytes] = {}
    monkeypatch.chdir(ROOT)
    exec(code, names)  # noqa: S102 - the page's own code
    assert reference_codec.decode(names["value"])["metadata"] == {"team": "claims"}


def test_the_reading_example_reads_a_result_and_refuses_what_has_another_head(monkeypatch: pytest.MonkeyPatch) -> None:
    code = re.findall(r"```python\n(.+?)```", READING_PAGE, re.DOTALL)[0]
    names: dict[str, Any] = {}
    monkeypatch.chdir(ROOT)
    exec(code, names)  # noqa: S102 - the page's own code
    example = json.loads((EXAMPLES / "result-processed.json").read_text(encoding="utf-8"))
    value = result_codec.encode(example)
    assert names["result_of"](value)["output"] == example["output"]
    with pytest.raises(ValueError, match="no version of the schema"):
        names["result_of"](value[:9] + b"x" + value[10:])


def test_the_page_has_every_reason_and_no_other() -> None:
    assert first_column(REFERENCES_PAGE, "`extend.reason`") == [reason.value for reason in Reason]


def test_the_pages_have_every_field_in_the_schemas_order() -> None:
    documented = first_column(REFERENCES_PAGE, "field")
    assert documented == fields_of("document_reference")
    results = first_column(RESULTS_PAGE, "field")
    assert [each for each in results if each != VALUE] == fields_of("run_result")
    assert VALUE in results, "what typed results have besides"


def test_every_field_of_a_schema_has_a_doc() -> None:
    def undocumented(node: object) -> list[str]:
        if isinstance(node, list):
            return [name for each in node for name in undocumented(each)]
        if not isinstance(node, dict):
            return []
        own = [] if node.get("doc") or not ({"name", "fields"} & set(node)) else [str(node.get("name"))]
        return own + [name for value in node.values() for name in undocumented(value)]

    assert undocumented([load_schema("document_reference"), load_schema("run_result")]) == []


def test_every_field_of_a_reference_is_optional() -> None:
    fields = load_schema("document_reference")["fields"]
    assert isinstance(fields, list)
    assert [each["name"] for each in fields if each.get("default", 1) is not None or each["type"][0] != "null"] == []
