"""Workers of a scene as processes of their own, where one must die or be asked by a signal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.chaos.processes import Fleet, Worker
from tests.guarantees.scene import SESSION_SECONDS, Scene

TRANSACTION_SECONDS = 60.0
"""Long: a successor that is there sooner has released the dead one's transaction, and not waited for its time-out."""


def write_config(
    scene: Scene,
    folder: Path,
    *,
    session: float = SESSION_SECONDS,
    transaction: float = TRANSACTION_SECONDS,
    **sections: Mapping[str, object],
) -> Path:
    """The scene's configuration as a file.

    Args:
        scene: what it is for.
        folder: where the file goes.
        session: seconds.
        transaction: seconds until the coordinator ends an open transaction.
        sections: settings that are to be others, by section.
    """
    path = folder / "connector.yaml"
    config: dict[str, Any] = {
        "name": scene.name,
        "kafka": {
            "bootstrap_servers": scene.kafka.bootstrap_servers,
            "session_timeout": f"{session:g}s",
            "transaction_timeout": f"{transaction:g}s",
            "properties": {"heartbeat.interval.ms": 500},
        },
        "extend": {
            "base_url": scene.simulator.base_url,
            "limits": {"get": 500, "write": 500, "run": 500, "files_per_minute": 100_000},
        },
        "start": {"deadline": "5s", "settle": "10s"},
        "routes": {"documents": {"topic": scene.topic, "run": "parse"}},
        "follow": {"sweep_interval": "100ms", "fast_poll_interval_ms": 100},
        "output": {"prefix": scene.name},
    }
    for section, settings in sections.items():
        config[section] |= settings
    path.write_text(yaml.safe_dump(config))
    return path


def start(
    fleet: Fleet,
    scene: Scene,
    name: str,
    stop_at: str | None = None,
    *,
    session: float = SESSION_SECONDS,
    transaction: float = TRANSACTION_SECONDS,
    **sections: Mapping[str, object],
) -> Worker:
    """A worker of the scene in a process of its own; see ``write_config``."""
    config = write_config(scene, fleet.folder, session=session, transaction=transaction, **sections)
    return fleet.worker(name, config, env={"EXTEND_API_KEY": "sk_test"}, stop_at=stop_at)
