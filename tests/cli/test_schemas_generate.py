"""`schemas generate` as a process: from a file, from the simulated API, and what it says about the last version."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import fastavro

from connector.simulator.server import SimulatorServer

CONFIG = """name: invoices
routes:
  invoices:
    run: extract
    processor: ex_1
    output: {typed: true, prefix: typed, schema_file: schemas/invoices.avsc}
  plain: {run: extract, processor: ex_1}
"""
SCHEMA = {"type": "object", "properties": {"total-due": {"type": ["integer", "null"]}}}


async def generate(folder: Path, *arguments: str, **environ: str) -> tuple[int | None, str]:
    """Exit code, and everything that it printed."""
    (folder / "connector.yaml").write_text(CONFIG)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "connector", "schemas", "generate", *arguments),
        cwd=folder,
        env={**os.environ, **environ},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 100)
    text = out.decode()
    assert "Traceback" not in text, text
    return process.returncode, text


async def test_versions_stay_beside_the_newest_and_the_difference_is_told(tmp_path: Path) -> None:
    source, target = tmp_path / "invoice.json", tmp_path / "schemas" / "invoices.avsc"
    source.write_text(json.dumps(SCHEMA))
    arguments = ("--route", "invoices", "--from", str(source))

    code, out = await generate(tmp_path, *arguments, "--dry-run")
    assert (code, target.exists()) == (0, False), out
    code, out = await generate(tmp_path, *arguments)
    assert (code, "+ value.total_due   long" in out) == (0, True), out
    first = target.read_text()
    fastavro.parse_schema(json.loads(first))
    assert '"jsonName": "total-due"' in first
    code, out = await generate(tmp_path, *arguments)
    assert (code, "is as it should be" in out, target.read_text()) == (0, True, first), out

    source.write_text(json.dumps({"type": "object", "properties": {"total-due": {"type": "string"}}}))
    code, out = await generate(tmp_path, *arguments)
    assert code == 0
    assert "~ value.total_due   long → string   readers of the last version cannot read it" in out
    (old,) = (path for path in target.parent.iterdir() if path != target)
    assert old.read_text() == first
    assert old.name.startswith("invoices.")


async def test_the_example_in_the_documentation_is_right(tmp_path: Path) -> None:
    blocks = (Path(__file__).parents[2] / "docs" / "typed-results.md").read_text().split("```")[1::2]
    source = next(block for block in blocks if block.startswith("json"))
    printed = next(block for block in blocks if "is written, fingerprint" in block)
    (tmp_path / "source.json").write_text(source.removeprefix("json"))
    code, out = await generate(tmp_path, "--route", "invoices", "--from", "source.json")
    assert (code, out.strip()) == (0, printed.strip())


async def test_the_schema_of_an_extractor_comes_from_the_api(tmp_path: Path) -> None:
    async with SimulatorServer() as simulator:
        environ = {"EXTEND_API_KEY": "sk_test", "EXTEND_BASE_URL": simulator.base_url}
        code, out = await generate(tmp_path, "--route", "invoices", **environ)
    assert (code, "+ value.invoice_number   string" in out) == (0, True), out


async def test_what_cannot_be_made_is_said(tmp_path: Path) -> None:
    source = tmp_path / "invoice.json"
    source.write_text('{"type": "object", "properties": {"a": {"oneOf": []}}}')
    code, out = await generate(tmp_path, "--route", "invoices", "--from", str(source))
    assert (code, "a: oneOf has no counterpart in Avro; write out" in out) == (2, True), out
    code, out = await generate(tmp_path, "--route", "plain", "--from", str(source))
    assert (code, "routes.plain.output.typed: is not set" in out) == (2, True), out
