"""`submit` before it sends anything: there is no broker here, and none is asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.cli.reference_lines import MOST_BYTES, ranges

GOOD = '{"url": "https://example.com/a.pdf", "run": "parse"}'
SETTINGS = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "EXTEND_API_KEY": "sk_test"}


def submit(folder: Path, *arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "connector", "submit", *arguments],
        cwd=folder,
        env={**os.environ, **SETTINGS},
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )
    err = done.stderr.decode()
    assert "Traceback" not in err
    return done.returncode, done.stdout.decode(), err


def test_wrong_references_are_found_without_a_broker(tmp_path: Path) -> None:
    (tmp_path / "refs.jsonl").write_text(f"{GOOD}\n{{}}\n{GOOD}\nnonsense\n")
    code, out, err = submit(tmp_path, "refs.jsonl")
    first, second, last = err.splitlines()
    assert (code, out) == (1, "")
    assert first.startswith("refs.jsonl, line 2: ")
    assert second.startswith("refs.jsonl, line 4: ")
    assert last == "4 references checked, 2 wrong: nothing was sent. Mend them and submit all again."


def test_of_many_wrong_references_the_first_are_shown(tmp_path: Path) -> None:
    code, _, err = submit(tmp_path, "-", stdin=b"{}\n" * 100)
    assert code == 1
    assert len(err.splitlines()) == 22
    assert "... and 80 more." in err
    assert "100 references checked, 100 wrong" in err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (json.dumps([json.loads(GOOD)] * 2), "It is a JSON array"),
        (json.dumps([json.loads(GOOD)] * 2, indent=2), "It is a JSON array"),
        (json.dumps(json.loads(GOOD), indent=2), "JSON objects over several lines"),
        ('\n{\n"url": 1}', "JSON objects over several lines"),
    ],
)
def test_json_of_another_form_is_one_sentence_with_the_way_out(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "refs.json").write_text(text)
    code, out, err = submit(tmp_path, "refs.json")
    (sentence,) = err.splitlines()
    assert (code, out) == (1, "")
    assert said in sentence
    assert "one JSON object per line" in sentence
    assert "jq -c" in sentence
    assert "Nothing was sent" in sentence


def test_a_torn_last_line_is_told_as_a_line(tmp_path: Path) -> None:
    code, _, err = submit(tmp_path, "-", stdin=f"{GOOD}\n{GOOD[:-5]}".encode())
    assert code == 1
    assert "standard input, line 2: " in err


def test_more_than_fits_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    code, _, err = submit(tmp_path, "-", stdin=b"x" * (MOST_BYTES + 1))
    assert code == 2
    assert "larger than 64 MiB" in " ".join(err.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--header", "source"), "--header is NAME=VALUE, for example source=erp, and not 'source'"),
        (("--header", "=erp"), "and not '=erp'"),
        (("--header", b"caf\xe9=erp"), "headers are UTF-8"),
        (
            ("--header", "extend.replay.of=documents/3/17"),
            "begin with extend. or __connect.errors. are the connector's own",
        ),
        (("--header", "__connect.errors.topic=x"), "are the connector's own"),
        (("--key", "a", "--key-field", "document_id"), "--key and --key-field exclude each other"),
    ],
)
def test_a_key_or_header_that_cannot_be_is_told_before_anything_is_read(
    tmp_path: Path, arguments: tuple[str | bytes, ...], said: str
) -> None:
    code, out, err = submit(tmp_path, "-", *map(os.fsdecode, arguments), stdin=b"nonsense")
    assert (code, out) == (2, "")
    assert said in " ".join(err.replace("│", "").split())


@given(st.sets(st.integers(1, 200)))
def test_ranges_say_the_same_numbers_in_short(numbers: set[int]) -> None:
    found: set[int] = set()
    for part in filter(None, ranges(numbers).split(", ")):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    assert found == numbers
    assert ranges([3, 1, 2, 7]) == "1-3, 7"
