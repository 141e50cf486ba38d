"""`schemas generate` as a process: from a file, from the simulated API, and what it says about the last version."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
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


async def generate(
    folder: Path,
    *arguments: str,
    config: str = CONFIG,
    before: tuple[str, ...] = (),
    environ: Mapping[str, str] | None = None,
) -> tuple[int | None, str]:
    """Exit code, and everything that it printed.

    Args:
        folder: where it runs.
        arguments: of the command.
        config: the configuration.
        before: what stands before the command.
        environ: additional variables.
    """
    (folder / "connector.yaml").write_text(config)
    process = await asyncio.create_subprocess_exec(
        *(*before, sys.executable, "-m", "connector", "schemas", "generate", *arguments),
        cwd=folder,
        env={**os.environ, **(environ or {})},
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
        code, out = await generate(tmp_path, "--route", "invoices", environ=environ)
    assert (code, "+ value.invoice_number   string" in out) == (0, True), out


async def test_a_schema_in_the_configuration_is_read_as_it_is_from_a_file(tmp_path: Path) -> None:
    schema = {
        "type": "object",
        "properties": {
            "state": {"type": ["string", "null"], "enum": ["paid", "open"]},
            "lines": {"type": "array", "items": {"anyOf": [{"type": "integer"}, {"type": "null"}]}},
        },
    }
    inline = CONFIG.replace("    processor: ex_1\n", f"    config: {json.dumps({'schema': schema})}\n")
    code, out = await generate(tmp_path, "--route", "invoices", config=inline)
    assert (code, "+ value.state   string" in out, "+ value.lines   array of long or null" in out) == (0, True, True), (
        out
    )
    made = (tmp_path / "schemas" / "invoices.avsc").read_text()
    assert "One of: paid, open." in made

    (tmp_path / "source.json").write_text(json.dumps(schema))
    code, out = await generate(tmp_path, "--route", "invoices", "--from", "source.json")
    assert "is as it should be" in out


async def test_a_file_that_cannot_be_written_whole_is_not_begun(tmp_path: Path) -> None:
    target, source = tmp_path / "schemas" / "invoices.avsc", tmp_path / "source.json"
    full_disk = ("/bin/sh", "-c", 'ulimit -f 1; exec "$@"', "sh")
    source.write_text(json.dumps(SCHEMA))
    code, out = await generate(tmp_path, "--route", "invoices", "--from", str(source), before=full_disk)
    assert (code, "schema_file: cannot be written" in out) == (2, True), out
    assert list(target.parent.iterdir()) == []

    await generate(tmp_path, "--route", "invoices", "--from", str(source))
    first = target.read_text()
    source.write_text(json.dumps({"type": "object", "properties": {"other": {"type": "string"}}}))
    code, out = await generate(tmp_path, "--route", "invoices", "--from", str(source), before=full_disk)
    assert code == 2, out
    assert [path.read_text() for path in target.parent.iterdir()] == [first]


async def test_what_cannot_be_made_is_said(tmp_path: Path) -> None:
    source = tmp_path / "invoice.json"
    source.write_text('{"type": "object", "properties": {"a": {"oneOf": []}}}')
    code, out = await generate(tmp_path, "--route", "invoices", "--from", str(source))
    assert (code, "a: oneOf has no counterpart in Avro; write out" in out) == (2, True), out
    code, out = await generate(tmp_path, "--route", "plain", "--from", str(source))
    assert (code, "routes.plain.output.typed: is not set" in out) == (2, True), out
