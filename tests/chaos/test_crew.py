"""The supervisor of the long run, with stand-ins for the workers: every end of a life is noted as what it was."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from pathlib import Path
from random import Random

import pytest

from tests.chaos.crew import EXIT, Crew
from tests.chaos.processes import Fleet
from tests.chaos.schedule import KILL, RESTART, STOP, Fate
from tests.chaos.test_processes import STAND_IN

SECONDS = 60.0
LATE = Fate("step", "late", 1)
"""What is not reached in this life."""


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    command = tmp_path / "stand-in"
    command.write_text(f"#!{sys.executable}\n{STAND_IN}")
    command.chmod(0o755)
    with Fleet(tmp_path / "logs", command) as fleet:
        yield fleet


def crew_of(fleet: Fleet, tmp_path: Path, *fates: Fate, workers: int = 1) -> Crew:
    crew = Crew(
        [fleet.idle_worker(f"worker-{number}", tmp_path / "connector.yaml") for number in range(1, workers + 1)],
        chain(fates, repeat(LATE)),
        Random(1),
        session=0.2,
        open_work=lambda: True,
        pause=0.0,
    )
    crew.start()
    return crew


def turn_until(crew: Crew, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline, crew.faults
        crew.turn()
        time.sleep(0.01)


def kinds(crew: Crew) -> list[str]:
    return [fault.kind for fault in crew.faults]


def test_who_dies_is_started_again_with_another_fate(fleet: Fleet, tmp_path: Path) -> None:
    crew = crew_of(fleet, tmp_path, Fate("step", KILL, 3), Fate("step", KILL, 4))

    turn_until(crew, lambda: len(crew.faults) == 2)

    assert kinds(crew) == [KILL, KILL]
    assert crew.surprises == []


def test_who_sleeps_is_woken_and_later_restarted(fleet: Fleet, tmp_path: Path) -> None:
    crew = crew_of(fleet, tmp_path, Fate("step", STOP, 1))

    turn_until(crew, lambda: len(crew.faults) == 2)

    assert kinds(crew) == [STOP, RESTART]
    slept = crew.faults[0]
    assert slept.until_ms - slept.at_ms >= 300
    assert [leaving.code for leaving in crew.leavings] == [0]


def test_an_update_takes_one_after_the_other_and_there_is_one_at_a_time(fleet: Fleet, tmp_path: Path) -> None:
    crew = crew_of(fleet, tmp_path, workers=3)

    assert crew.roll()
    assert not crew.roll()
    turn_until(crew, lambda: len(crew.faults) == 3)

    assert [fault.target for fault in crew.faults] == ["worker-1", "worker-2", "worker-3"]
    ends = [fault.until_ms for fault in crew.faults]
    assert [fault.at_ms for fault in crew.faults][1:] >= ends[:2]


def test_an_end_by_the_watchdog_is_known_and_any_other_is_a_surprise(fleet: Fleet, tmp_path: Path) -> None:
    crew = crew_of(fleet, tmp_path, Fate("kafka_thread_stuck", "exit", 1))
    turn_until(crew, lambda: len(crew.faults) == 1)
    assert (kinds(crew), crew.surprises) == ([EXIT], [])

    another = crew_of(fleet, tmp_path / "another", Fate("out of luck", "exit", 1))
    turn_until(another, lambda: len(another.faults) == 1)
    assert kinds(another) == [EXIT]
    assert "worker-1 ended with 1" in another.surprises[0]


def test_calm_means_that_nothing_more_will_happen_to_anybody(fleet: Fleet, tmp_path: Path) -> None:
    crew = crew_of(fleet, tmp_path, Fate("step", STOP, 1), workers=2)
    turn_until(crew, lambda: STOP in kinds(crew))
    assert not crew.is_calm
    crew.calm()

    turn_until(crew, lambda: crew.is_calm)

    assert sorted(kinds(crew)) == [RESTART, RESTART, STOP]
    looked = []
    crew.end(SECONDS, lambda: looked.append(len(looked)))
    assert looked == [0, 1]
