from __future__ import annotations

import json
from typing import Any

import pytest

from connector.cli.result_lines import JsonLines, TableLines
from connector.core.accept.dead_letter import dead_letter
from connector.core.errors import RecordRejected
from connector.core.formats.framing import Codec
from connector.core.record import Headers, Partition, Record
from connector.schema_files import load_schema

CODEC = Codec(load_schema("run_result"))
PARTITION = Partition("documents.processed", 3)


def result(**fields: object) -> bytes:
    datum: dict[str, object] = {
        "result_id": "invoices/documents/0/7#aaaaaaaaaaaaaaaaaaaaaa@1",
        "revision": 1,
        "run_id": "exr_1",
        "run_type": "extract",
        "status": "PROCESSED",
        "document_id": "4711",
        "route": "documents",
        "source": {"topic": "documents", "partition": 0, "offset": 7},
        "output": '{"total":  1.10,\n "big": 12345678901234567890}',
        "output_state": "inline",
        "metadata": '{"customer": "müller"}',
        "observed_via": "poll",
        "times": {"emitted": 1_764_000_000_000},
    }
    return CODEC.encode({**datum, **fields})


def record(value: bytes | None, key: bytes | None = b"k", headers: Headers = ()) -> Record:
    return Record(PARTITION, 12, key, value, headers, 1_764_000_000_500)


def test_a_json_line_holds_the_output_as_the_api_wrote_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert JsonLines().result(record(result(), headers=(("trace", b"\xff"), ("a", b"1"), ("a", None))), CODEC)
    (line,) = capsys.readouterr().out.splitlines()
    # Not a float's idea of it: the digits themselves.
    assert '"total":1.10,"big":12345678901234567890' in line
    found: dict[str, Any] = json.loads(line)
    assert found["metadata"] == {"customer": "müller"}
    assert found["record"] == {
        "topic": "documents.processed",
        "partition": 3,
        "offset": 12,
        "timestamp": 1_764_000_000_500,
        "key": "k",
        "headers": [["trace", {"base64": "/w=="}], ["a", "1"], ["a", None]],
    }


def test_a_json_line_without_output_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    assert JsonLines().result(record(result(output=None, output_state="omitted", metadata=None)), CODEC)
    found = json.loads(capsys.readouterr().out)
    assert (found["output"], found["metadata"]) == (None, None)


@pytest.mark.parametrize("value", [None, b"", b"\xc3\x01" + bytes(8), result()[:-1], b'{"status": 1}'])
def test_a_record_that_cannot_be_decoded_is_told_and_not_raised(
    value: bytes | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert not JsonLines().result(record(value), CODEC)
    found = json.loads(capsys.readouterr().out)
    assert found["record"]["offset"] == 12
    assert found["undecodable"]
    assert not TableLines(dead_letters=False).result(record(value), CODEC)
    assert "documents.processed/3, offset 12" in capsys.readouterr().err


def test_a_table_row_says_what_and_when(capsys: pytest.CaptureFixture[str]) -> None:
    lines = TableLines(dead_letters=False)
    assert lines.result(record(result()), CODEC)
    failed = result(status="FAILED", failure_reason="CORRUPT", failure_message="no page", output=None)
    assert lines.result(record(failed), CODEC)
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["emitted", "status", "run_type", "revision", "document_id", "run_id", "output"]
    assert first.split()[:6] == ["2025-11-24T16:00:00Z", "PROCESSED", "extract", "1", "4711", "exr_1"]
    assert '"total": 1.10' in first
    assert second.endswith("CORRUPT: no page")


def test_without_a_document_id_nothing_else_takes_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    assert TableLines(dead_letters=False).result(record(result(document_id=None, file_name="scan.pdf")), CODEC)
    out = capsys.readouterr().out
    assert out.splitlines()[1].split()[4] == "-"
    assert "scan.pdf" not in out


@pytest.mark.parametrize("dead_letters", [False, True])
def test_the_head_waits_for_the_first_row(capsys: pytest.CaptureFixture[str], *, dead_letters: bool) -> None:
    lines = TableLines(dead_letters=dead_letters)
    assert capsys.readouterr().out == ""
    for _ in range(2):
        lines.dead_letter(record(None)) if dead_letters else lines.result(record(result()), CODEC)
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_what_is_shown_cannot_paint_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    lines = TableLines(dead_letters=False)
    assert lines.result(record(result(document_id="\x1b[31mred\n", output='"\x07"')), CODEC)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\x07" not in out
    assert len(out.splitlines()) == 2


def test_a_dead_letter_shows_its_reason_and_its_original(capsys: pytest.CaptureFixture[str]) -> None:
    error = RecordRejected("NO_FILE", "name the file", path="url")
    letter = dead_letter(
        b"k",
        b"\xffraw",
        (("extend.reason", b"an older one"),),
        Partition("documents", 2),
        41,
        error,
        topic="documents.dead-letter",
        connector="invoices",
        max_bytes=1_000_000,
    )
    found_record = record(letter.value, letter.key, letter.headers)
    assert JsonLines().dead_letter(found_record)
    found = json.loads(capsys.readouterr().out)
    assert found["reason"] == "NO_FILE"
    assert found["source"] == {"topic": "documents", "partition": 2, "offset": 41}
    assert found["value"] == {"base64": "/3Jhdw=="}
    assert "name the file" in found["message"]
    TableLines(dead_letters=True).dead_letter(found_record)
    row = capsys.readouterr().out.splitlines()[1]
    assert row.split()[:3] == ["2025-11-24T16:00:00Z", "NO_FILE", "documents/2/41"]


def test_a_stranger_on_the_dead_letter_topic_is_shown_too(capsys: pytest.CaptureFixture[str]) -> None:
    stranger = Record(PARTITION, 1, None, None, (), 10**17)
    TableLines(dead_letters=True).dead_letter(stranger)
    assert JsonLines().dead_letter(stranger)
    assert "?/?/?" in capsys.readouterr().out
