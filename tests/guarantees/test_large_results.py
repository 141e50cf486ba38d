"""A parse output of 6 MB, through every way that a result can take."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from connector.config.sections import Output
from connector.simulator.objects import output_of
from connector.simulator.rules import Rule
from tests.guarantees.scene import Scene, assert_once, eventually

NAME = "scan-padded-by-6MB"
ENOUGH = 10_000_000
LITTLE = 1_000_000


def expected(scene: Scene) -> str:
    """The output of the only run, as the API writes it."""
    run = scene.simulator.engine.find("parse", scene.runs[0]["run_id"])
    text = msgspec.json.encode(output_of(run)).decode()
    assert len(text) > 6_000_000
    return text


async def result_of(scene: Scene, **output: Any) -> tuple[str, dict[str, Any]]:  # noqa: ANN401 - settings
    """The topic and the value of the one result that a worker with these settings writes."""
    async with scene.worker(scene.config(output=Output(prefix=scene.name, **output))):
        await scene.write(NAME)
        history = await scene.until_results(1)
    assert_once(history, [NAME])
    ((raw, value),) = await scene.results()
    assert value["run_id"] == scene.runs[0]["run_id"]
    return raw.partition.topic, value


@pytest.mark.parametrize("by_url", [False, True])
async def test_a_topic_with_enough_room_takes_it_whole(scene: Scene, by_url: bool) -> None:  # noqa: FBT001 - a case
    await scene.set_topic(f"{scene.name}.processed", "max.message.bytes", str(ENOUGH))
    if by_url:
        scene.faults(
            Rule(kind="truncated", action="output", nth=1),
            Rule(kind="error", status=403, action="output", nth=1),
        )
    topic, value = await result_of(scene, parse_by_url=by_url)
    assert topic == f"{scene.name}.processed"
    assert (value["output_state"], value["value_error"]) == ("inline", None)
    assert value["output"] == expected(scene)


async def test_with_omit_it_keeps_its_topic_and_loses_its_output(scene: Scene) -> None:
    topic, value = await result_of(scene, oversize="omit")
    assert topic == f"{scene.name}.processed"
    assert (value["status"], value["output"], value["output_state"]) == ("PROCESSED", None, "omitted")


@pytest.mark.parametrize("because", ["of its topic", "of what may be fetched"])
async def test_with_fail_it_is_a_failure_that_names_the_run(scene: Scene, because: str) -> None:
    if because == "of its topic":
        topic, value = await result_of(scene, oversize="fail")
    else:
        await scene.set_topic(f"{scene.name}.processed", "max.message.bytes", str(ENOUGH))
        topic, value = await result_of(scene, oversize="fail", parse_by_url=True, parse_max_bytes=LITTLE)
    assert topic == f"{scene.name}.failed"
    assert (value["status"], value["failure_reason"]) == ("FAILED", "CONNECTOR_RESULT_TOO_LARGE")
    assert (value["output"], value["output_state"], value["revision"]) == (None, "omitted", 1)
    assert value["credits"] > 0, "what else is known of the run is kept"


async def test_with_fail_it_is_a_failure_too_when_the_topic_lost_its_room_meanwhile(scene: Scene) -> None:
    processed = f"{scene.name}.processed"
    await scene.set_topic(processed, "max.message.bytes", str(ENOUGH))
    async with scene.worker(scene.config(output=Output(prefix=scene.name, oversize="fail"))) as worker:
        await eventually(lambda: worker.metric("assigned_partitions") == 2, "the worker has read the limits")
        await scene.set_topic(processed, "max.message.bytes", str(LITTLE))
        await scene.write(NAME, "small")
        history = await scene.until_results(2)
    assert_once(history, [NAME, "small"])
    results = {value["document_id"]: (raw.partition.topic, value) for raw, value in await scene.results()}
    topic, value = results[NAME]
    assert (topic, value["failure_reason"]) == (f"{scene.name}.failed", "CONNECTOR_RESULT_TOO_LARGE")
    topic, value = results["small"]
    assert (topic, value["output_state"]) == (processed, "inline")
