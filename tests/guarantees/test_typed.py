"""A typed route end to end: rows with types, and a value that does not fit beside those that do."""

from __future__ import annotations

import json
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

from connector.config.routes import Route, RouteOutput
from connector.core.run_types import status_topics
from connector.core.typed.json_schema import read_schema
from connector.core.typed.typed_results import typed_schema
from connector.schema_files import load_schema
from connector.typed_routes import known_results
from tests.chaos.readers import Raw
from tests.guarantees.scene import Scene

SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {
        "number": {"type": ["string", "null"]},
        "issued": {"type": ["string", "null"], "extend:type": "date"},
        "total-due": {"type": ["number", "null"]},
    },
}
GOOD = {f"good-{number}": f"number: A-{number}\nissued: 2026-10-0{number}\ntotal: 12.5{number}" for number in (1, 2, 3)}
BAD = {"bad": "number: A-9\nissued: next week\ntotal: 3.5"}


def read(path: Path, raw: Raw) -> dict[str, Any]:
    """A result, by fastavro and the committed file alone."""
    schema = fastavro.parse_schema(json.loads(path.read_text()))
    head = b"\xc3\x01" + bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))
    value = raw.value or b""
    assert value.startswith(head)
    return cast("dict[str, Any]", fastavro.schemaless_reader(BytesIO(value[len(head) :]), schema, None))


async def test_values_have_their_types_and_what_does_not_fit_arrives_too(scene: Scene, tmp_path: Path) -> None:
    path, prefix = tmp_path / "documents.avsc", f"{scene.name}.typed"
    path.write_text(json.dumps(typed_schema(load_schema("run_result"), "documents", read_schema(SCHEMA))))
    route = Route(
        topic=scene.topic,
        run="extract",
        config={"schema": SCHEMA},
        output=RouteOutput(typed=True, prefix=prefix, schema_file=str(path)),
    )
    config = scene.config(route=route)
    await scene.add_topics(config)
    texts = {**GOOD, **BAD}
    for name in ("good-1", "bad", "good-2", "good-3"):
        await scene.write_record(json.dumps({"text": texts[name], "document_id": name}).encode())

    async with scene.worker(config) as worker:
        await worker.until_is("results_produced_total", 4)
        await worker.until_is("typed_values_total", 3, route="documents", fit="part")
        await worker.until_is("typed_values_total", 1, route="documents", fit="none")
        raws = await scene.read(*status_topics(prefix))
        elsewhere = await scene.results()

    results = {result["document_id"]: result for result in (read(path, raw) for raw in raws)}
    assert set(results) == set(texts)
    assert not elsewhere
    for number in (1, 2, 3):
        result = results[f"good-{number}"]
        assert result["value"] == {
            "number": f"A-{number}",
            "issued": date(2026, 10, number),
            "total_due": float(f"12.5{number}"),
        }
        assert result["value_error"] is None
        assert json.loads(result["output"])["value"]["total-due"] == result["value"]["total_due"]
    bad = results["bad"]
    assert (bad["status"], bad["value"]) == ("PROCESSED", None)
    assert "at issued: the text is no date" in bad["value_error"]
    assert json.loads(bad["output"])["value"]["issued"] == "next week"

    ours = [known_results(config).decode(raw.value or b"") for raw in raws]
    assert {"number": "A-1", "issued": "2026-10-01", "total-due": 12.51} in [result["value"] for result in ours]
