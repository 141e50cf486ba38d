"""Objects and rows, judged by the official SDK's types and by the documented key sets."""

from __future__ import annotations

import json
from typing import Any

import extend_ai
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.run_types import RUN_TYPES
from connector.simulator.objects import full_object
from connector.simulator.processors import extractor_version
from connector.simulator.refusals import Refusal
from connector.simulator.rows import row
from connector.simulator.run import SimulatedRun
from connector.simulator.validation import validate_create
from tests.simulator.judge import CREATE_BODIES, FULL, ROW, judge
from tests.simulator.machine import START_MS, Machine

METADATA = {"metadata": {"order": "17"}}
PROCESSOR = {"extract": "extractor", "classify": "classifier", "split": "splitter"}
BASE = {"object", "id", "status", "metadata", "reviewed", "edited", "config"} | {
    "file",
    "dashboardUrl",
    "createdAt",
    "updatedAt",
}
FAILURE = {"failureReason", "failureMessage"}
WORKFLOW = {"object", "id", "workflow", "workflowVersion", "dashboardUrl", "status", "metadata", "files"} | {
    "initialRunAt",
    "reviewed",
    "startTime",
    "stepRuns",
}
REVIEW = {"reviewedByUser", "reviewedAt", "rejectionNote", "endTime", "usage"}


def at(machine: Machine, run_type: str, end: str, after_ms: int) -> SimulatedRun:
    """A run with this wish, so many milliseconds after its creation."""
    accepts = METADATA if RUN_TYPES[run_type].metadata else {}
    name = f"inv-1-simulate-{end}.pdf"
    run = machine.create(run_type, name, **accepts)
    machine.store.advance(machine.now + after_ms)
    return run


def wire(body: dict[str, Any]) -> dict[str, Any]:
    """As it comes out of JSON."""
    decoded: dict[str, Any] = json.loads(json.dumps(body))
    return decoded


@pytest.mark.parametrize("end", ["processed", "failed", "cancelled", "needs-review-rejected", "stuck"])
@pytest.mark.parametrize("after_ms", [0, 500, 2000, 7000])
@pytest.mark.parametrize("run_type", RUN_TYPES)
def test_the_sdk_accepts_every_object_and_row_at_any_time(run_type: str, end: str, after_ms: int) -> None:
    run = at(Machine(), run_type, end, after_ms)
    body = full_object(run, "http://127.0.0.1:1")
    judge(FULL[run_type], wire(body))
    judge(ROW[run_type], wire(row(run)))
    for shown in (body, row(run)):
        assert (shown["id"], shown["status"]) == (run.id, run.status)


@pytest.mark.parametrize("run_type", ["extract", "classify", "split"])
def test_processor_runs_have_the_documented_keys(run_type: str) -> None:
    processor = {PROCESSOR[run_type], f"{PROCESSOR[run_type]}Version"}
    files = {"files"} if run_type == "extract" else set()
    created = full_object(at(Machine(), run_type, "processed", 0), "")
    assert created.keys() == BASE | processor | files
    assert created["file"] is None
    done = full_object(at(Machine(), run_type, "processed", 2000), "")
    assert done.keys() == BASE | processor | files | {"output", "parseRunId", "usage"}
    failed = full_object(at(Machine(), run_type, "failed", 2000), "")
    assert failed.keys() == BASE | processor | files | FAILURE
    assert full_object(at(Machine(), run_type, "cancelled", 2000), "").keys() == BASE | processor | files
    shown = row(at(Machine(), run_type, "processed", 2000))
    assert shown.keys() == (BASE | processor | files | {"parseRunId", "usage"}) - {"config"}
    assert shown["usage"].keys() == {"credits", "totalCredits"}


@pytest.mark.parametrize("run_type", ["parse", "edit"])
def test_parse_and_edit_runs_have_times_only_in_rows(run_type: str) -> None:
    base = {"object", "id", "file", "status", "config"} | ({"metadata"} if run_type == "parse" else set())
    assert full_object(at(Machine(), run_type, "processed", 0), "").keys() == base
    done = at(Machine(), run_type, "processed", 2000)
    assert full_object(done, "").keys() == base | {"output", "metrics", "usage"}
    assert full_object(at(Machine(), run_type, "failed", 2000), "").keys() == base | FAILURE
    assert row(done).keys() == (base | {"metrics", "usage", "createdAt", "updatedAt"}) - {"config"}


def test_an_output_has_the_size_that_a_name_asks_for() -> None:
    sizes = []
    for name in ("a.pdf", "a-padded-by-300kB.pdf"):
        machine = Machine()
        run = machine.create("parse", name)
        machine.store.advance(machine.now + 2000)
        sizes.append(len(msgspec.json.encode(full_object(run, "")["output"])))
    assert 300_000 <= sizes[1] - sizes[0] < 301_000


def test_a_parse_output_can_come_by_link() -> None:
    body = full_object(at(Machine(), "parse", "processed", 2000), "http://127.0.0.1:1", output_by_url=True)
    assert "output" not in body
    assert body["outputUrl"].startswith("http://127.0.0.1:1/_simulator/outputs/pr_")


def test_workflow_runs_have_the_documented_keys() -> None:
    assert full_object(at(Machine(), "workflow", "processed", 500), "").keys() == WORKFLOW
    failed = full_object(at(Machine(), "workflow", "failed", 2000), "")
    assert failed.keys() == WORKFLOW | FAILURE | {"endTime"}
    review = full_object(at(Machine(), "workflow", "needs-review-rejected", 2000), "")
    assert review.keys() == WORKFLOW | REVIEW
    assert [review[name] for name in ("reviewed", "reviewedAt", "endTime")] == [False, None, None]
    decided = full_object(at(Machine(), "workflow", "needs-review-rejected", 7000), "")
    assert decided["reviewed"] is True
    assert decided["rejectionNote"]
    assert decided["endTime"] == "2025-10-09T08:53:27.000Z"
    nested = decided["stepRuns"][0]["result"]["extractRun"]
    judge(FULL["extract"], wire(nested))


def test_workflow_rows_carry_neither_metadata_nor_failure() -> None:
    shown = row(at(Machine(), "workflow", "failed", 2000))
    assert not shown.keys() & {"metadata", "failureReason", "stepRuns", "reviewed"}
    assert shown.keys() >= {"files", "batchId", "createdAt", "updatedAt", "endTime"}


def test_a_package_shows_its_files() -> None:
    machine = Machine()
    body = {
        "extractor": {"id": "ex_1"},
        "package": {"files": [{"url": "https://files.example.com/a.pdf"}, {"id": "file_2"}]},
    }
    run = machine.store.create(RUN_TYPES["extract"], json.dumps(body).encode(), body, START_MS)
    machine.store.advance(START_MS + 2000)
    shown = full_object(run, "")
    assert shown["file"] is None
    assert [file["name"] for file in shown["files"]] == ["a.pdf", "file_2.pdf"]


def test_an_extract_reads_the_text() -> None:
    machine = Machine()
    run = machine.create()
    machine.store.advance(machine.now + 2000)
    output = full_object(run, "")["output"]
    assert output["value"] == {"invoice_number": "A-1", "date": None, "supplier": None, "total": 12.5}
    assert output["metadata"]["total"]["citations"][0]["referenceText"] == "12.5"


def test_an_extract_fills_the_given_schema() -> None:
    properties = {
        "totalAmount": {"type": "number"},
        "currency": {"enum": ["USD", "EUR", None]},
        "paid": {"type": "boolean"},
        "lines": {"type": "array"},
        "buyer": {"type": "object", "properties": {"buyer_name": {"type": "string"}}},
        "odd": {"type": {"no": "type"}},
    }
    machine = Machine()
    body = {
        "config": {"schema": {"type": "object", "properties": properties}},
        "file": {"text": "Buyer name: Jane Roe\nTotal amount: 1,200.75 EUR"},
    }
    run = machine.store.create(RUN_TYPES["extract"], json.dumps(body).encode(), body, START_MS)
    machine.store.advance(START_MS + 2000)
    assert full_object(run, "")["output"]["value"] == {
        "totalAmount": 1200.75,
        "currency": "EUR",
        "paid": False,
        "lines": [],
        "buyer": {"buyer_name": "Jane Roe"},
        "odd": None,
    }


def test_a_classify_picks_among_the_given_classes() -> None:
    classes = [{"id": name, "type": name, "description": ""} for name in ("letter", "tax_form", "other")]
    for text, chosen in (("This is a tax form", "tax_form"), ("Hello", "other")):
        machine = Machine()
        body = {"config": {"classifications": classes}, "file": {"text": text}}
        run = machine.store.create(RUN_TYPES["classify"], json.dumps(body).encode(), body, START_MS)
        machine.store.advance(START_MS + 2000)
        assert full_object(run, "")["output"]["type"] == chosen


def test_a_split_covers_every_page_once() -> None:
    for number in range(20):
        run = at(Machine(), "split", f"processed-{number}", 2000)
        body = full_object(run, "")
        pages = body["file"]["metadata"]["pageCount"]
        covered = [
            page for split in body["output"]["splits"] for page in range(split["startPage"], split["endPage"] + 1)
        ]
        assert covered == list(range(1, pages + 1))


def test_an_edit_fills_values_and_takes_a_template() -> None:
    machine = Machine()
    properties = {"name": {"type": "string", "extend_edit:value": "Jane"}, "total": {"type": "number"}}
    body = {"templateId": "edt_1", "config": {"schema": {"type": "object", "properties": properties}}}
    run = machine.store.create(RUN_TYPES["edit"], json.dumps(body).encode(), body, START_MS)
    machine.store.advance(START_MS + 2000)
    shown = full_object(run, "http://127.0.0.1:1")
    assert shown["output"]["filledValues"]["name"] == "Jane"
    assert shown["output"]["filledValues"]["total"] > 0
    judge(FULL["edit"], wire(shown))


def test_the_judge_notices_a_missing_and_an_unknown_key() -> None:
    body = wire(full_object(at(Machine(), "extract", "processed", 2000), ""))
    with pytest.raises(AssertionError):
        judge(FULL["extract"], {**body, "surprise": 1})
    with pytest.raises(ValueError, match="dashboardUrl"):
        judge(FULL["extract"], {key: value for key, value in body.items() if key != "dashboardUrl"})


def test_every_run_type_has_a_create_body_here() -> None:
    assert CREATE_BODIES.keys() == RUN_TYPES.keys() == FULL.keys() == ROW.keys()


SCHEMA = st.recursive(
    st.sampled_from([{"type": "string"}, {"type": ["number", "null"]}, {"enum": ["a", None, 1]}, {"type": {}}, 7, {}]),
    lambda inner: st.fixed_dictionaries(
        {"type": st.just("object"), "properties": st.dictionaries(st.text(max_size=8), inner, max_size=4)},
    ),
    max_leaves=12,
)
PROPERTIES = st.dictionaries(st.text(max_size=12), SCHEMA, max_size=5)


@given(
    run_type=st.sampled_from(["extract", "edit", "parse"]),
    properties=PROPERTIES,
    text=st.text(max_size=80),
    name=st.text(min_size=1, max_size=30),
)
def test_any_accepted_body_becomes_a_run(run_type: str, properties: dict[str, Any], text: str, name: str) -> None:
    config = {"chunkingStrategy": text} if run_type == "parse" else {"schema": {"properties": properties}}
    file = {"text": text or "x", "name": name} if run_type == "extract" else {"url": f"https://x/{text}", "name": name}
    raw = json.dumps({"config": config, "file": file}).encode()
    machine = Machine()
    try:
        body = validate_create(RUN_TYPES[run_type], raw)
    except Refusal:
        return  # e.g. a URL that is none
    run = machine.store.create(RUN_TYPES[run_type], raw, body, START_MS)
    machine.store.advance(START_MS + 2000)
    shown = msgspec.json.decode(msgspec.json.encode(full_object(run, "")))
    assert shown["id"] == row(run)["id"] == run.id
    if run_type == "extract":
        assert shown["output"]["value"].keys() == properties.keys()


@pytest.mark.parametrize("version", ["latest", "2.1", "draft"])
def test_the_sdk_accepts_a_version_of_an_extractor(version: str) -> None:
    found = extractor_version("ex_1", version)
    judge(extend_ai.ExtractorVersion, wire(found))
    assert found["version"] == ("3.0" if version == "latest" else version)
