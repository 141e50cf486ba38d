"""Results: exact fields, byte-exact outputs, and a record that always fits its topic."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from io import BytesIO

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.entry import Entry, Request
from connector.core.record import Headers, OutRecord
from connector.core.result import Failure, failed_run, result_record
from connector.core.run import Run, parse_run
from connector.schema_files import load_schema
from tests.core.formats.test_strict_json import json_values
from tests.factories.records import entry_of, record_of, result_codec, run_of, tag_for

ROOM = 1_000_000


def result_of(
    entry: Entry,
    run: Run,
    max_bytes: int = ROOM,
    topic: str | None = None,
    failure: Failure | None = None,
) -> OutRecord:
    return result_record(
        entry,
        run,
        prefix="documents",
        observed_via="poll",
        observed_ms=1_790_000_006_000,
        emitted_ms=1_790_000_006_500,
        max_bytes=max_bytes,
        codec=result_codec,
        topic=topic,
        failure=failure,
    )


def read(record: OutRecord) -> dict[str, object]:
    """What an independent reader finds: fastavro over the schema file, after marker and fingerprint."""
    value = record.value or b""
    assert value[:10] == b"\xc3\x01" + result_codec.fingerprint
    datum = fastavro.schemaless_reader(BytesIO(value[10:]), load_schema("run_result"), None)
    assert isinstance(datum, dict)
    return datum


def test_a_result_has_exactly_the_documented_fields() -> None:
    record = result_of(entry_of(), run_of())
    assert result_codec.decode(record.value or b"") == {
        "result_id": f"{entry_of().tag}@1",
        "revision": 1,
        "run_id": "exr_1",
        "run_type": "extract",
        "status": "PROCESSED",
        "document_id": "doc-1",
        "route": "inv",
        "processor_id": "ex_1",
        "processor_version": "2.1",
        "source": {"topic": "documents", "partition": 3, "offset": 41, "timestamp": 1_790_000_000_000},
        "output": '{"value":{"total":1.50}}',
        "output_state": "inline",
        "output_ref": None,
        "value_error": None,
        "failure_reason": None,
        "failure_message": None,
        "reviewed": False,
        "credits": 8.0,
        "metadata": '{"a":1}',
        "file_id": "file_1",
        "file_name": "invoice.pdf",
        "dashboard_url": "https://dashboard.extend.ai/runs/exr_1",
        "observed_via": "poll",
        "times": {
            "accepted": 1_790_000_000_100,
            "started": 1_790_000_000_200,
            "finished": 1_790_000_005_000,
            "observed": 1_790_000_006_000,
            "emitted": 1_790_000_006_500,
        },
    }


def test_key_and_headers_are_those_of_the_input_record() -> None:
    headers: Headers = (("traceparent", b"00-1-2-01"), ("twice", b"1"), ("twice", None), ("ü", b"\xff"))
    record = result_of(entry_of(headers=headers), run_of())
    assert (record.key, record.headers, record.partition) == (b"customer-7", headers, None)


@pytest.mark.parametrize(
    ("status", "topic"),
    [
        ("PROCESSED", "documents.processed"),
        ("FAILED", "documents.failed"),
        ("CANCELLED", "documents.cancelled"),
        ("NEEDS_REVIEW", "documents.needs-review"),
        ("REJECTED", "documents.rejected"),
        ("QUARANTINED", "documents.other"),
    ],
)
def test_each_status_has_its_topic_and_stays_as_the_api_said_it(status: str, topic: str) -> None:
    record = result_of(entry_of(), run_of(status))
    assert (record.topic, read(record)["status"]) == (topic, status)


def test_the_result_after_a_review_is_the_next_revision() -> None:
    found = read(result_of(entry_of(revision=1), run_of()))
    assert (found["revision"], found["result_id"]) == (2, f"{entry_of().tag}@2")


def test_a_run_without_output_says_none_and_an_output_null_never_says_inline() -> None:
    for body in (b'{"id":"r","status":"FAILED"}', b'{"id":"r","status":"PROCESSED","output":null}'):
        found = read(result_of(entry_of(), parse_run("extract", body)))
        assert (found["output"], found["output_state"], found["value_error"]) == (None, "none", None)


@given(json_values, st.sampled_from([None, 0, 2]), st.booleans())
def test_every_output_goes_through_byte_for_byte(value: object, indent: int | None, ascii_only: bool) -> None:  # noqa: FBT001 - drawn
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode()
    run = parse_run("extract", b'{"id": "r", "status": "PROCESSED", "output": ' + text + b"}")
    found = read(result_of(entry_of(), run))
    if value is None:
        assert found["output_state"] == "none"
    else:
        assert (str(found["output"]).encode(), found["output_state"]) == (text, "inline")


def test_escaped_surrogates_in_an_output_are_only_text() -> None:
    output = rb'{"a":"\ud800"}'
    assert str(read(result_of(entry_of(), run_of(output=output)))["output"]).encode() == output


def test_an_output_that_is_no_utf8_is_omitted_and_the_result_still_arrives() -> None:
    record = result_of(entry_of(), run_of(output=b'{"a":"\xff"}'))
    found = read(record)
    assert record.topic == "documents.processed"
    assert (found["status"], found["output"], found["output_state"]) == ("PROCESSED", None, "omitted")
    assert "no valid UTF-8 (at byte 6)" in str(found["value_error"])


def test_surrogates_in_the_texts_of_a_run_are_replaced() -> None:
    found = read(result_of(entry_of(), run_of("FAILED", output=None, failure_message="a\ud800b", file_id="\udfff")))
    assert (found["failure_message"], found["file_id"]) == ("a?b", "?")


def test_an_output_that_the_topic_cannot_take_is_omitted() -> None:
    run = run_of(output=b'"' + b"x" * 5000 + b'"')
    assert read(result_of(entry_of(), run))["output_state"] == "inline"
    record = result_of(entry_of(), run, 2000)
    found = read(record)
    assert record.wire_size <= 2000
    assert (record.topic, record.key, record.headers) == (
        "documents.processed",
        b"customer-7",
        entry_of().headers,
    )
    assert (found["output"], found["output_state"], found["run_id"]) == (None, "omitted", "exr_1")
    assert found["value_error"] == "The output is left out: the topic cannot take a record of this size."


def test_a_record_that_the_topic_refused_loses_its_output_and_nothing_else() -> None:
    whole, refused = (result_of(entry_of(), run_of(), room) for room in (ROOM, 0))
    lost = {"output": None, "output_state": "omitted", "value_error": read(refused)["value_error"]}
    assert read(refused) == read(whole) | lost
    assert "cannot take" in str(lost["value_error"])
    assert (refused.key, refused.headers) == (whole.key, whole.headers)


FAILURES = Failure("documents.failed", ROOM, result_codec)


@pytest.mark.parametrize("room", [2000, 0], ids=["known to be too large", "refused"])
@pytest.mark.parametrize("status", ["PROCESSED", "NEEDS_REVIEW", "REJECTED", "QUARANTINED"])
def test_a_result_that_does_not_fit_is_a_failure_where_that_is_asked_for(room: int, status: str) -> None:
    run = run_of(status, output=b'"' + b"x" * 5000 + b'"')
    record = result_of(entry_of(revision=1), run, room, failure=FAILURES)
    found = read(record)
    assert (record.topic, record.key, record.headers) == ("documents.failed", b"customer-7", entry_of().headers)
    changed = {
        "status": "FAILED",
        "output": None,
        "output_state": "omitted",
        "value_error": "The output is left out: the topic cannot take a record of this size.",
        "failure_reason": "CONNECTOR_RESULT_TOO_LARGE",
        "failure_message": found["failure_message"],
    }
    assert found == read(result_of(entry_of(revision=1), run)) | changed
    assert f"ended as {status}" in str(found["failure_message"])


def test_a_failure_fits_the_topic_of_failures_too() -> None:
    entry = entry_of(headers=(("h", b"x" * 3000),))
    run = run_of(output=b'"' + b"x" * 5000 + b'"')
    record = result_of(entry, run, 5000, failure=Failure("documents.failed", 2000, result_codec))
    assert (record.topic, record.headers) == ("documents.failed", ())
    assert record.wire_size <= 2000
    assert read(record)["failure_reason"] == "CONNECTOR_RESULT_TOO_LARGE"


def test_only_a_large_output_makes_a_failure() -> None:
    fits, without_output = run_of(), run_of("CANCELLED", output=None)
    assert result_of(entry_of(), fits, failure=FAILURES) == result_of(entry_of(), fits)
    assert result_of(entry_of(), without_output, 100, failure=FAILURES).topic == "documents.cancelled"
    assert read(result_of(entry_of(), run_of(output=b"\xff"), failure=FAILURES))["status"] == "PROCESSED"


def test_a_run_that_failed_by_itself_keeps_its_own_reason() -> None:
    run = run_of("FAILED", output=b'"' + b"x" * 5000 + b'"', failure_reason="STEP_FAILED")
    found = read(result_of(entry_of(), run, 2000, failure=FAILURES))
    assert (found["failure_reason"], found["output_state"]) == ("STEP_FAILED", "omitted")


@pytest.mark.parametrize("room", [ROOM, 0])
def test_an_output_that_was_too_large_to_fetch_is_omitted_or_fails(room: int) -> None:
    run = run_of(output=None, oversized=True)
    omitted, failed = (read(result_of(entry_of(), run, room, failure=each)) for each in (None, FAILURES))
    assert (omitted["status"], omitted["output"], omitted["output_state"]) == ("PROCESSED", None, "omitted")
    assert "parse_max_bytes" in str(omitted["value_error"])
    lost = {name: failed[name] for name in ("status", "failure_reason", "failure_message")}
    assert failed == omitted | lost
    assert lost | {"failure_message": ""} == {
        "status": "FAILED",
        "failure_reason": "CONNECTOR_RESULT_TOO_LARGE",
        "failure_message": "",
    }


def test_the_limit_counts_headers() -> None:
    headers: Headers = (("h", b"x" * 1500),)
    room = result_of(entry_of(headers=()), run_of()).wire_size + 1500
    assert read(result_of(entry_of(headers=()), run_of(), room))["output_state"] == "inline"
    assert read(result_of(entry_of(headers=headers), run_of(), room))["output_state"] == "omitted"


def test_an_output_at_the_limit_stays() -> None:
    whole = result_of(entry_of(), run_of())
    assert result_of(entry_of(), run_of(), whole.wire_size) == whole
    assert read(result_of(entry_of(), run_of(), whole.wire_size - 1))["output_state"] == "omitted"


def test_what_is_still_too_large_loses_more_and_says_so() -> None:
    request = Request("extract", "inv", b"", metadata=json.dumps({"a": "m" * 3000}))
    entry = replace(entry_of(request, headers=(("h", b"x" * 3000),)), key=b"k" * 3000)
    run = run_of("FAILED", output=None, failure_message="f" * 3000)
    for room, gone in ((11_000, 1), (8_000, 2), (5_500, 3), (2_500, 4)):
        record = result_of(entry, run, room)
        found = read(record)
        assert record.wire_size <= room
        left = [found["failure_message"], found["metadata"], record.headers, record.key]
        assert [not each for each in left] == [index < gone for index in range(4)]
        assert str(found["value_error"]).count("left out") == gone
        assert (found["status"], found["run_id"], found["output_state"]) == ("FAILED", "exr_1", "none")


def zigzag(number: int) -> bytes:
    number = (number << 1) ^ (number >> 63)
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def batch(record: OutRecord) -> bytes:
    """A record batch of version 2 with this record alone, from the protocol's description."""

    def sized(content: bytes | None) -> bytes:
        return zigzag(-1) if content is None else zigzag(len(content)) + content

    headers = b"".join(zigzag(len(name.encode())) + name.encode() + sized(content) for name, content in record.headers)
    body = b"\0" + zigzag(0) + zigzag(0) + sized(record.key) + sized(record.value)
    body += zigzag(len(record.headers)) + headers
    fixed = struct.pack(">qiibIhiqqqhii", 0, 0, 0, 2, 0, 0, 0, 0, 0, -1, -1, -1, 1)
    return fixed + zigzag(len(body)) + body


_headers = st.lists(st.tuples(st.text(max_size=9), st.none() | st.binary(max_size=40)), max_size=9).map(tuple)


@given(key=st.none() | st.binary(max_size=99), value=st.none() | st.binary(max_size=300), headers=_headers)
def test_the_predicted_size_is_never_below_the_real_one(
    key: bytes | None, value: bytes | None, headers: Headers
) -> None:
    record = OutRecord("t", key, value, headers)
    assert len(batch(replace(record, key=None, value=None, headers=()))) == 61 + len(b"\x0c\0\0\0\1\1\0")
    real = len(batch(record))
    assert real <= record.wire_size <= real + 36 + 8 * len(headers)


def test_sizes_count_bytes_and_not_characters() -> None:
    assert OutRecord("t", "ü".encode(), None, (("ü" * 100, None),)).size == 202


def test_a_tagged_file_name_becomes_the_original_again() -> None:
    tag = tag_for(record_of())
    workflow = Request("workflow", "w", b"", file_name="invoice.pdf")
    shown = f"invoice~k3-{tag.hash}.pdf"
    assert read(result_of(entry_of(workflow), run_of(file_name=shown)))["file_name"] == "invoice.pdf"
    nameless = replace(workflow, file_name=None)
    shown = f"document~k3-{tag.hash}.txt"
    assert read(result_of(entry_of(nameless), run_of(file_name=shown)))["file_name"] == "document.txt"


def test_what_the_run_does_not_show_comes_from_the_request() -> None:
    request = Request("edit", "e", b"", processor_id="edt_1", file_id="file_9")
    found = read(result_of(entry_of(request), run_of(processor_id=None, file_id=None, file_name=None)))
    assert (found["processor_id"], found["file_id"], found["file_name"]) == ("edt_1", "file_9", None)


def ended_by_us(entry: Entry, reason: str, run: Run | None = None, topic: str | None = None) -> OutRecord:
    return failed_run(
        entry,
        reason=reason,
        message="Not ended after 10 minutes.",
        prefix="documents",
        observed_via="poll",
        observed_ms=1,
        emitted_ms=2,
        max_bytes=ROOM,
        codec=result_codec,
        run=run,
        topic=topic,
    )


@pytest.mark.parametrize("known", [None, run_of("PROCESSING")])
@pytest.mark.parametrize("reason", ["MAX_WAIT", "CONNECTOR_MAX_WAIT"])
def test_an_end_of_ours_is_a_failure_with_our_code(known: Run | None, reason: str) -> None:
    record = ended_by_us(entry_of(), reason, known, "documents.timed-out")
    found = read(record)
    assert record.topic == "documents.timed-out"
    assert (found["status"], found["failure_reason"]) == ("FAILED", "CONNECTOR_MAX_WAIT")
    assert (found["run_id"], found["output_state"]) == ("exr_1", "none")
    assert found["failure_message"] == "Not ended after 10 minutes."


def test_an_end_of_ours_without_a_run_has_no_run_id() -> None:
    record = ended_by_us(replace(entry_of(), run_id=None, started_ms=None), "DROPPED")
    assert (record.topic, read(record)["run_id"]) == ("documents.failed", None)
