"""`plan` on a file: without a broker, an API or a key."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from connector.core.tag import METADATA_KEY

CONFIG = """
name: invoices
extend: {api_key_file: /nowhere/key, limits: {run: 10, files_per_minute: 60}, budget_share: 50%}
routes:
  bills:
    topic: orders
    run: workflow
    processor: workflow_1
    when: {type: bill}
    fields: {url: payload.at, document_id: id, password: "payload.password?", metadata.source: "header(source)?"}
    create: {secrets: {token: canary-of-the-route}}
  others: {topic: orders, run: parse, fields: {url: payload.at, document_id: key()}}
"""
BILL = {"type": "bill", "id": 7, "payload": {"at": "https://files.example.com/a.pdf?sig=canary", "password": "canary"}}
OTHER = {"payload": {"at": "https://files.example.com/b.pdf"}}
TORN = {"type": "bill", "id": 8, "payload": {"att": "canary"}}


def plan(folder: Path, *arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
    (folder / "connector.yaml").write_text(CONFIG)
    done = subprocess.run(
        [sys.executable, "-m", "connector", "plan", *arguments],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith(("EXTEND_", "KAFKA_"))},
        input=stdin,
        capture_output=True,
        timeout=120,
        check=False,
    )
    err = done.stderr.decode()
    assert "Traceback" not in err
    return done.returncode, done.stdout.decode(), err


def lines_of(*values: object) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def rows(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_each_record_has_its_route_and_its_request_and_the_file_its_time(tmp_path: Path) -> None:
    (tmp_path / "records.jsonl").write_bytes(lines_of(BILL, OTHER, OTHER))
    code, out, err = plan(tmp_path, "records.jsonl", "--key", "k-1", "--header", "source=erp", "--json")
    assert (code, err) == (0, "")
    bill, other, _, *forecast = rows(out)
    assert (bill["record"], bill["route"], bill["document_id"]) == ("line 1", "bills", "7")
    assert (bill["run_type"], bill["path"]) == ("workflow", "/workflow_runs")
    tag = bill["body"]["metadata"].pop(METADATA_KEY)["tag"]
    assert tag.startswith("invoices/orders/0/0#")
    name = bill["body"]["file"].pop("name")
    assert name.startswith("a~k0-")
    assert bill["body"] == {
        "workflow": {"id": "workflow_1"},
        "file": {"url": "https://files.example.com/a.pdf…", "settings": {"password": "***"}},
        "metadata": {"source": "erp"},
        "secrets": "***",
    }
    assert (other["route"], other["document_id"]) == ("others", "k-1")
    assert "canary" not in out
    assert [(each["forecast"], each.get("route"), each["expected"], each["seconds"]) for each in forecast] == [
        ("run", "others", 2, 4.0),
        ("run", "bills", 1, 2.0),
        ("all", None, 3, 6.0),
    ]
    assert (forecast[-1]["per_second"], forecast[-1]["limit"]) == (0.5, "files per minute")


def test_a_dead_letter_is_told_with_its_sentence_and_exit_code_1(tmp_path: Path) -> None:
    code, out, err = plan(tmp_path, "-", stdin=lines_of(BILL, TORN) + b"\n{torn\n")
    assert code == 1
    assert "line 1: route bills, workflow run, POST /workflow_runs" in out
    sentence = "url from payload.at: payload has no at; did you mean att?"
    assert f"line 2: route bills, dead letter, PATH_NOT_FOUND\n  {sentence}\n" in out
    assert "line 4: route others, dead letter, UNDECODABLE" in out
    _, as_lines, _ = plan(tmp_path, "-", "--json", stdin=lines_of(BILL, TORN) + b"\n{torn\n")
    assert [row["route"] for row in rows(as_lines) if row.get("outcome") == "dead_letter"] == ["bills", "others"]
    assert "All starts together: 1 run, 2s at 0.5 starts per second (files per minute)." in out
    assert "made-up position" in err
    assert "canary" not in out + err


def test_one_value_over_several_lines_is_one_record(tmp_path: Path) -> None:
    code, out, _ = plan(tmp_path, "-", "--json", stdin=json.dumps(BILL, indent=2).encode())
    assert code == 0
    assert [row.get("record") for row in rows(out)] == ["standard input", None, None]
    both = json.dumps(BILL, indent=2).encode() + b"\n" + json.dumps(OTHER, indent=2).encode()
    code, out, err = plan(tmp_path, "-", stdin=both)
    assert (code, out) == (2, "")
    assert "jq -c" in " ".join(err.replace("│", " ").split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.jsonl"], "There is no file none.jsonl"),
        (["--key", "k"], "go with a FILE"),
        (["-", "--header", "source"], "NAME=VALUE"),
        (["-", "--topic", "elsewhere"], "No route takes topic elsewhere"),
    ],
)
def test_wrong_use_is_told(tmp_path: Path, arguments: list[str], said: str) -> None:
    code, out, err = plan(tmp_path, *arguments)
    assert (code, out) == (2, "")
    assert said in " ".join(err.replace("│", " ").split())


def test_a_wrong_configuration_is_told_as_by_check(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(CONFIG.replace("document_id: id", "document: id"))
    code, _, err = plan(tmp_path, "-", "--config", "other.yaml")
    assert code == 2
    assert "routes.bills.fields.document: is no field of a reference; did you mean document_id?" in err
