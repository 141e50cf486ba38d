"""What operators see and do, with a worker that owns the documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from connector.config.sections import Start
from connector.simulator.rules import Rule
from tests.guarantees.operator import Operator
from tests.guarantees.scene import Scene

SHORT = Start(deadline=1.0, settle=6.0)
PARK_SECONDS = 60.0
"""The settle window, two looks after it, and a busy machine."""


async def status(port: int | None) -> dict[str, Any]:
    async with httpx.AsyncClient(trust_env=False) as client:
        found: dict[str, Any] = (await client.get(f"http://127.0.0.1:{port}/status.json")).json()
    return found


async def test_a_person_decides_about_parked_documents_and_sees_what_comes_of_it(scene: Scene, tmp_path: Path) -> None:
    operator = Operator(tmp_path, scene)
    scene.faults(Rule(kind="error", stage="before", action="create", status=503, contains="lost"))
    await scene.write("lost-1", "lost-2", partition=0)
    async with scene.worker(scene.config(start=SHORT)) as worker:
        await worker.until_is("parked_documents", 2, PARK_SECONDS)
        scene.heal()
        await scene.write("good", partition=1)
        await scene.until(lambda history: len(history.results) == 1)

        listed = await operator.runs("parked", "--json")
        assert listed.code == 0, listed.err
        first, second = sorted(line["tag"] for line in listed.lines)
        assert {line["reason"] for line in listed.lines} == {"NOT_FOUND"}
        assert {line["tag"] for line in (await operator.runs("inflight", "--json")).lines} == {first, second}
        now = await status(worker.worker.admin_port)
        parked = next(row for row in now["documents"] if row["state"] == "parked")
        assert parked["count"] == 2
        assert {row["phase"] for row in now["partitions"]} == {"live"}
        assert [row["next_offset"] for row in now["partitions"]] == [2, 1]

        other = await operator.runs("parked", "adopt", first, scene.runs[0]["run_id"])
        assert (other.code, "another document's" in other.err) == (1, True)
        unknown = await operator.runs("parked", "adopt", first, "pr_unknown")
        assert (unknown.code, "knows no parse run" in unknown.err) == (1, True)
        assert worker.metric("parked_documents") == 2
        assert len(scene.runs) == 1

        started = await operator.runs("parked", "start", first, "--accept-cost")
        assert started.code == 0, started.err
        dropped = await operator.runs("parked", "drop", second)
        assert dropped.code == 0, dropped.err
        await scene.until_results(2)
        again = await operator.runs("parked", "drop", second)
        assert (again.code, "No open document has the tag" in again.err) == (1, True)
        (letter,) = await scene.dead_letters()
        assert dict(letter.headers)["extend.reason"] == b"DROPPED"
        assert len(scene.runs) == 2

        told = await operator.runs("explain", first, "--json")
    assert told.code == 0, told.err
    what = [(line["source"], line["what"]) for line in told.lines]
    states = [word for source, word in what if source == "journal"]
    assert "parked" in states
    assert states[-2:] == ["started", "closed"]
    assert {("result", "PROCESSED"), ("api", "PROCESSED")} <= set(what)
