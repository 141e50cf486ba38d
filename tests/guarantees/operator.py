"""Somebody who types commands while workers run."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.guarantees.scene import Scene
from tests.kafka.project import Done, Project


class Operator:
    """Somebody with a terminal."""

    def __init__(self, folder: Path, scene: Scene) -> None:
        (folder / "connector.yaml").write_text(
            f"""\
name: {scene.name}
kafka: {{bootstrap_servers: "{scene.kafka.bootstrap_servers}"}}
extend: {{base_url: "{scene.simulator.base_url}"}}
routes:
  documents: {{topic: {scene.topic}, run: parse}}
start: {{deadline: 1s, settle: 6s}}
output: {{prefix: {scene.name}}}
""",
        )
        self.folder = folder
        self._project = Project(folder, scene.kafka.bootstrap_servers, scene.name, scene.topic, scene.name)

    async def runs(self, *arguments: str, **more: str) -> Done:
        """A command, with more of the environment, while the worker of the test goes on in the loop."""
        return await asyncio.to_thread(self._project.run, *arguments, env={"EXTEND_API_KEY": "sk_test", **more})
