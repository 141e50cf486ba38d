"""`extend-connector run` as a process: exit codes, and one sentence that names the thing and the way out."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

from connector.simulator.rules import Rule
from tests.chaos.processes import COMMAND, Fleet, environment
from tests.child_process import ChildProcess
from tests.guarantees.processes import start, write_config
from tests.guarantees.scene import HOUR, OPEN, Scene, assert_once, eventually, open_scene
from tests.kafka.cluster import GivenKafka, Kafka
from tests.kafka.fixtures import UniqueName
from tests.ports import HOST, free_ports

ENDS_SECONDS = 40.0


async def _run(config: Path, **env: str) -> tuple[int, str]:
    """Run the command until it ends by itself; its exit code and all that it said."""
    variables = environment({"CONNECTOR__ADMIN__PORT": "0", "EXTEND_API_KEY": "sk_test", **env})
    child = ChildProcess("run", [str(COMMAND), "run", "--config", str(config)], config.with_suffix(".log"), variables)
    child.start()
    try:
        code = await asyncio.to_thread(child.wait, ENDS_SECONDS)
    finally:
        child.kill()
    return code, child.log


def _sentence(said: str) -> str:
    """What it said, which has no stack trace."""
    assert "Traceback" not in said, said
    return " ".join(said.split())


async def test_sigterm_with_open_posts_ends_with_0_and_parks_nothing(
    kafka: Kafka, unique_name: UniqueName, fleet: Fleet
) -> None:
    async with open_scene(kafka, unique_name("g"), settings=OPEN) as scene:
        names = [f"doc-{number}" for number in range(6)]
        scene.faults(Rule(kind="delay", action="create", seconds=2, count=6))
        await scene.write(*names)
        worker = start(fleet, scene, "leaves")
        await eventually(lambda: len(scene.runs) == 6, "all runs are created and no POST is answered")
        begun = time.monotonic()
        code = await asyncio.to_thread(worker.process.terminate, 25)
        took = time.monotonic() - begun
        history = await scene.history()

        assert code == 0, worker.process.log_tail()
        assert took < 25
        assert [entry.state for entry in history.open_entries] == ["started"] * 6
        scene.api_time.forward(HOUR)
        worker.start()
        history = await scene.until_results(6)
        worker.process.send(signal.SIGINT)
        assert await asyncio.to_thread(worker.process.wait, 25) == 0
        assert_once(history, names)


async def test_missing_topics_are_named_with_the_command_that_makes_them(scene: Scene, tmp_path: Path) -> None:
    deleted = scene.admin.delete_topics([scene.journal, f"{scene.name}.dead-letter"])
    await asyncio.gather(*(asyncio.to_thread(each.result, 20) for each in deleted.values()))

    code, said = await _run(write_config(scene, tmp_path))

    assert code == 1
    assert scene.journal in _sentence(said)
    assert f"{scene.name}.dead-letter" in _sentence(said)
    assert "extend-connector topics --create" in _sentence(said)


async def test_a_journal_without_compaction_is_refused(kafka: Kafka, unique_name: UniqueName, tmp_path: Path) -> None:
    async with open_scene(kafka, unique_name("g")) as scene:
        await scene.set_topic(scene.journal, "cleanup.policy", "delete")

        code, said = await _run(write_config(scene, tmp_path))

    assert code == 1
    assert f"The journal {scene.journal} is not compacted" in _sentence(said)


async def test_a_broker_that_nobody_reaches_is_named(scene: Scene, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    nowhere = Scene(GivenKafka(f"{HOST}:{port}"), scene.name, scene.simulator, scene.api_time)

    code, said = await _run(write_config(nowhere, tmp_path))

    assert code == 1
    assert f"{HOST}:{port}" in _sentence(said)


async def test_a_key_file_that_is_not_there_is_named(scene: Scene, tmp_path: Path) -> None:
    missing = tmp_path / "no-such-key"

    code, said = await _run(
        write_config(scene, tmp_path), EXTEND_API_KEY="", CONNECTOR__EXTEND__API_KEY_FILE=str(missing)
    )

    assert code == 2
    assert str(missing) in _sentence(said)
    assert "api_key_file" in _sentence(said)
