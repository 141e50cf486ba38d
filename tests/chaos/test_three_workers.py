"""The main promise on a real broker: nothing is bought twice, lost or doubled, whatever happens to the workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.checker import check
from tests.chaos.scenario import LIFETIMES, PARTITIONS, play, rules
from tests.chaos.stage import Stage
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import UniqueName


@pytest.mark.timeout(300)
def test_a_thousand_references_come_out_once_while_workers_die_sleep_and_leave(
    kafka: Kafka,
    unique_name: UniqueName,
    tmp_path: Path,
) -> None:
    with Stage(kafka, unique_name("chaos"), tmp_path, partitions=PARTITIONS, simulator=LIFETIMES) as stage:
        outcome = play(stage, 1_000)
        verdict = check(outcome.history, rules(stage))

    assert not verdict.violations, f"{verdict}\n{outcome.logs}"
    assert verdict.counts["inputs"] == 1_000
    assert outcome.exit_codes == (0, 0, 0, 0)
