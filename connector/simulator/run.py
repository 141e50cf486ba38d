"""One run: its past, and what is still to come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from connector.core.run_types import RunType, is_terminal
from connector.core.tag import METADATA_KEY
from connector.simulator.timeline import STUCK_MS, Step


@dataclass(slots=True, eq=False)
class SimulatedRun:
    """A run at the simulated API. Small: 50,000 of them are held; JSON is made when somebody asks.

    Attributes:
        number: counts the runs of the store from 0.
        id: its id.
        run_type: its type.
        body: the bytes of the create body, as they came.
        file_name: the (first) file's name; what ``fileNameContains`` looks at.
        timeline: what happened and will happen; the first step is the creation.
        failure_reason: the reason for a FAILED in the timeline.
        source: what created it.
        step: the step that it is at; only the store moves it on.
        change: place of its latest change in the store's log.
        touched_ms: when something else than the status changed, or 0.
        deleted: nobody can see it any more, except in the ledger.
    """

    number: int
    id: str
    run_type: RunType
    body: bytes
    file_name: str
    timeline: tuple[Step, ...]
    failure_reason: str | None
    source: str = "API"
    step: int = 0
    change: int = -1
    touched_ms: int = 0
    deleted: bool = False

    @property
    def status(self) -> str:
        """The status at the store's time."""
        return self.timeline[self.step].status

    @property
    def created_ms(self) -> int:
        """When it was created."""
        return self.timeline[0].at_ms

    @property
    def updated_ms(self) -> int:
        """When it last changed."""
        return max(self.timeline[self.step].at_ms, self.touched_ms)

    @property
    def ended_ms(self) -> int | None:
        """When it reached its present terminal status, or None while it runs."""
        step = self.timeline[self.step]
        return step.at_ms if is_terminal(step.status) else None

    @property
    def next_step(self) -> Step | None:
        """The next thing that will happen to it, or None."""
        following = self.step + 1
        return self.timeline[following] if following < len(self.timeline) else None

    @property
    def first_end_ms(self) -> int:
        """When it will be, or was, terminal for the first time; in ten years when nothing says so."""
        ends = (step.at_ms for step in self.timeline if is_terminal(step.status))
        return next(ends, self.created_ms + STUCK_MS)

    def interfere(self, *steps: Step) -> None:
        """Forget the future and have these steps instead."""
        self.timeline = (*self.timeline[: self.step + 1], *steps)

    def request(self) -> dict[str, Any]:
        """The create body."""
        body: dict[str, Any] = msgspec.json.decode(self.body)
        return body

    def tag(self) -> str | None:
        """The tag of the connector's record; see ``tag_in``."""
        return tag_in(self.request(), self.file_name)


def tag_in(body: Mapping[str, Any], file_name: str) -> str | None:
    """The tag in a create body: from the metadata, else the part of the file name that stands for it."""
    metadata = body.get("metadata", {})
    ours = metadata.get(METADATA_KEY) if isinstance(metadata, Mapping) else None
    tag = ours.get("tag") if isinstance(ours, Mapping) else None
    if isinstance(tag, str):
        return tag
    stem = file_name.rsplit(".", 1)[0]
    _, found, rest = stem.rpartition("~k")
    return f"~k{rest}" if found else None
