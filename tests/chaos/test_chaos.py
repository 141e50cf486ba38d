"""Everything at once on three real brokers: nothing is bought twice, lost or doubled. ``make chaos`` runs longer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.__main__ import run
from tests.chaos.chaos import PER_SECOND
from tests.kafka.cluster import given_kafka
from tests.kafka.jars import BROKER_VARIABLE
from tests.summary import Say

MINUTES = 4.0
SEED = 1


@pytest.mark.kafka
@pytest.mark.timeout(1_200)
def test_whatever_happens_every_reference_comes_out_once_and_is_bought_once(
    tmp_path: Path,
    say: Say,
) -> None:
    if given_kafka() is not None:
        pytest.skip(f"{BROKER_VARIABLE} names a broker whose nodes are not ours to kill")

    report = run(tmp_path, minutes=MINUTES, seed=SEED)
    say(str(report))

    assert report.kept, str(report)
    assert report.verdict.counts["inputs"] == 60 * MINUTES * PER_SECOND
