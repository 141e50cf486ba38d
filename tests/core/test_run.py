"""Reading runs and pages: byte for byte, and without trust."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.formats.json_limits import MAX_DEPTH, is_too_deep
from connector.core.run import Page, Row, Run, UnreadableRun, parse_page, parse_run

EXTRACT = b"""{
  "object": "extract_run", "id": "exr_1", "status": "PROCESSED", "reviewed": false, "edited": false,
  "output": {"value": { "total":1284.50,  "no": "A-1\\u00e9 \xc3\xa9" }, "metadata": {}},
  "metadata": {"team": "a", "kafka_connector": {"tag": "invoices/in/3/7#abc", "partition": 3}},
  "extractor": {"id": "ex_1", "name": "Invoices"}, "extractorVersion": {"id": "exv_1", "version": "2.1"},
  "file": {"object": "file", "id": "file_1", "name": "inv.pdf"}, "files": null,
  "dashboardUrl": "https://dashboard.example.com/exr_1",
  "createdAt": "2026-10-09T07:30:12.377Z", "updatedAt": "2026-10-09T07:30:29.611Z",
  "usage": {"credits": 4, "totalCredits": 8, "breakdown": []}, "aNewField": [1, {"x": null}]
}"""

WORKFLOW = b"""{
  "object": "workflow_run", "id": "workflow_run_1", "status": "REJECTED", "reviewed": true,
  "workflow": {"id": "workflow_1"}, "workflowVersion": {"version": "3"},
  "metadata": {}, "files": [{"id": "file_1", "name": "inv~k3-abc.pdf"}],
  "initialRunAt": "2026-10-09T07:30:12.300Z", "startTime": "2026-10-09T07:30:12.900Z",
  "endTime": "2026-10-09T07:30:40Z", "stepRuns": [ {"stepType": "EXTRACT"} ], "usage": {"credits": 2.5}
}"""


def test_every_field_of_a_run_is_read_and_the_output_is_byte_exact() -> None:
    assert parse_run("extract", EXTRACT) == Run(
        id="exr_1",
        run_type="extract",
        status="PROCESSED",
        output=b'{"value": { "total":1284.50,  "no": "A-1\\u00e9 \xc3\xa9" }, "metadata": {}}',
        reviewed=False,
        credits=8.0,
        tag="invoices/in/3/7#abc",
        processor_id="ex_1",
        processor_version="2.1",
        file_id="file_1",
        file_name="inv.pdf",
        dashboard_url="https://dashboard.example.com/exr_1",
        created_ms=1791531012377,
        updated_ms=1791531029611,
        finished_ms=1791531029611,
    )


def test_a_workflow_run_has_its_steps_as_output_and_its_own_times() -> None:
    run = parse_run("workflow", WORKFLOW)
    assert run.output == b'[ {"stepType": "EXTRACT"} ]'
    assert (run.processor_id, run.processor_version) == ("workflow_1", "3")
    assert (run.file_id, run.file_name, run.credits) == ("file_1", "inv~k3-abc.pdf", 2.5)
    assert (run.created_ms, run.started_ms, run.finished_ms) == (1791531012300, 1791531012900, 1791531040000)


def test_a_failed_run_says_why() -> None:
    body = b'{"id": "pr_1", "status": "FAILED", "failureReason": "NEW_REASON", "failureMessage": "So."}'
    run = parse_run("parse", body)
    assert (run.failure_reason, run.failure_message, run.output) == ("NEW_REASON", "So.", None)


def test_a_run_of_several_files_names_none_of_them() -> None:
    run = parse_run("extract", b'{"id": "exr_1", "status": "X", "files": [{"id": "a"}, {"id": "b"}]}')
    assert (run.file_id, run.file_name) == (None, None)


def test_an_unknown_status_is_kept_and_a_missing_one_has_not_ended() -> None:
    assert parse_run("edit", b'{"id": "edr_1", "status": "PAUSED_BY_MOON"}').status == "PAUSED_BY_MOON"
    assert parse_run("edit", b'{"id": "edr_1"}').status == "PENDING"
    assert parse_run("edit", b'{"id": "edr_1", "status": 7}').status == "PENDING"


@pytest.mark.parametrize(
    "field",
    [
        '"metadata": "text"',
        '"metadata": {"kafka_connector": []}',
        '"metadata": {"kafka_connector": {"tag": 7}}',
        '"usage": null',
        '"usage": {"credits": "four"}',
        '"usage": {"credits": 1e999}',
        '"extractor": "ex_1"',
        '"file": [1]',
        '"files": [1, null, "x"]',
        '"reviewed": "no"',
        '"createdAt": "yesterday"',
        '"createdAt": "9999-12-31T23:59:59-23:59"',
        '"updatedAt": 7',
        '"failureReason": {"code": 1}',
        '"output": null',
    ],
)
def test_a_known_field_of_another_shape_counts_as_absent(field: str) -> None:
    body = f'{{"id": "exr_1", "status": "PROCESSING", {field}}}'.encode()
    run = parse_run("extract", body)
    assert (run.tag, run.credits, run.processor_id, run.file_id, run.output) == (None,) * 5
    assert run.created_ms is None or run.created_ms > 0


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "NOT_JSON"),
        (b"<html></html>", "NOT_JSON"),
        (b"[]", "NOT_JSON"),
        (b"null", "NOT_JSON"),
        (b'{"id": "exr_1"', "NOT_JSON"),
        (b'{"id": "exr_1"} trailing', "NOT_JSON"),
        (b'{"id": "exr_1", "output": NaN}', "NOT_JSON"),
        (b'{"id": "exr_1", "output": {"x": [Infinity]}}', "NOT_JSON"),
        (b'{"id": "exr_1", "output": "\xff"}', "NOT_JSON"),
        (b'{"id": "exr_1", "output": "\\ud800"}', "NOT_JSON"),
        ('{"id": "exr_1"}'.encode("utf-16"), "NOT_JSON"),
        (b"{}", "NO_ID"),
        (b'{"id": ""}', "NO_ID"),
        (b'{"id": null}', "NO_ID"),
        (b'{"id": 7}', "NO_ID"),
        (b'{"id": "exr\\n1"}', "NO_ID"),
        (b'{"id": "' + b"x" * 256 + b'"}', "NO_ID"),
        (b'{"id": "exr_1", "output": ' + b"[" * 64 + b"]" * 64 + b"}", "TOO_DEEP"),
        (b'{"id": "exr_1", "output": ' + b"[" * 1_000_000, "TOO_DEEP"),
        (b'{"id": "exr_1", "output": ' + b'{"a":' * 1_000_000, "TOO_DEEP"),
    ],
)
def test_nonsense_is_refused_by_reason(body: bytes, reason: str) -> None:
    with pytest.raises(UnreadableRun) as caught:
        parse_run("extract", body)
    assert caught.value.reason == reason


def test_the_deepest_output_that_is_allowed_is_read() -> None:
    output = b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1)
    assert parse_run("extract", b'{"id": "exr_1", "output": ' + output + b"}").output == output


def test_a_page_gives_its_rows_and_counts_what_it_cannot_read() -> None:
    body = b"""{"object": "list", "data": [
      {"id": "exr_1", "status": "FAILED", "metadata": {"kafka_connector": {"tag": "t"}}, "file": {"name": "a.pdf"},
       "createdAt": "2026-10-09T07:30:12Z", "updatedAt": "2026-10-09T07:30:13Z"},
      {"status": "PROCESSED"}, 7, {"id": "exr_2", "status": "NEW"}], "nextPageToken": "abc="}"""
    assert parse_page("extract", body) == Page(
        rows=(
            Row("exr_1", "extract", "FAILED", "t", ("a.pdf",), 1791531012000, 1791531013000),
            Row("exr_2", "extract", "NEW"),
        ),
        next_token="abc=",
        unreadable=2,
    )


def test_a_row_of_a_package_has_all_its_file_names() -> None:
    page = parse_page("workflow", b'{"data": [{"id": "w", "files": [{"name": "a"}, {}, {"name": "b"}]}]}')
    assert page.rows[0].file_names == ("a", "b")


@pytest.mark.parametrize("token", ["", ', "nextPageToken": null', ', "nextPageToken": ""', ', "nextPageToken": 7'])
def test_the_last_page_has_no_token(token: str) -> None:
    assert parse_page("parse", f'{{"data": []{token}}}'.encode()) == Page(())


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"data": {}}', b'{"data": null}', b"<html>"])
def test_a_page_without_rows_is_no_page(body: bytes) -> None:
    with pytest.raises(UnreadableRun):
        parse_page("extract", body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=30,
)


def depth_of(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max((depth_of(each) for each in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((depth_of(each) for each in value), default=0)
    return 0


@given(value=JSON, limit=st.integers(0, 6), escaped=st.booleans())
def test_the_depth_of_json_is_its_depth(value: object, limit: int, *, escaped: bool) -> None:
    text = json.dumps(value, ensure_ascii=escaped).encode()
    assert is_too_deep(text, limit) is (depth_of(value) > limit)


@given(st.text(alphabet='[]{}"\\,: a'))
def test_brackets_in_strings_do_not_count(text: str) -> None:
    body = json.dumps({"id": "exr_1", "output": [text * 50]}).encode()
    assert not is_too_deep(body, 2)
    assert json.loads(parse_run("extract", body).output or b"") == [text * 50]


@given(st.text(alphabet='[]{}"\\,:a1', max_size=80))
def test_whatever_hides_its_depth_is_no_json(text: str) -> None:
    """The scan may only be fooled by what the parser refuses before it gets that deep."""
    try:
        value = json.loads(text)
    except ValueError:
        return
    assert is_too_deep(text.encode(), 1) is (depth_of(value) > 1)


@given(st.binary(max_size=200))
def test_no_bytes_can_break_the_reader(body: bytes) -> None:
    for parse in (parse_run, parse_page):
        with contextlib.suppress(UnreadableRun):
            parse("extract", body)


@given(output=JSON)
def test_the_output_comes_back_as_it_was(output: object) -> None:
    text = json.dumps(output, indent=1).encode()
    run = parse_run("split", b'{"output": ' + text + b' , "id": "splr_1"}')
    assert run.output == (None if output is None else text)
