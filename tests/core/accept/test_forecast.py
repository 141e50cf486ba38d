"""From a sample to a backlog, and from runs to time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.accept.forecast import Pace, Share, Tally
from connector.core.entry import Request


def tally(*, invoices: int = 0, receipts: int = 0, dead: int = 0, skipped: int = 0) -> Tally:
    found = Tally()
    for route, count in (("invoices", invoices), ("receipts", receipts)):
        for _ in range(count):
            found.run(Request("extract", route, b""))
    if dead:
        found.dead["NO_ROUTE"] += dead
    found.skipped += skipped
    return found


def test_a_sample_stands_for_the_whole() -> None:
    shares = list(tally(invoices=3, receipts=5, dead=1, skipped=1).forecast(1_000, Pace(10.0, 120.0)))
    assert shares == [
        Share("run", "receipts", "extract", None, 5, 500, 250.0),
        Share("run", "invoices", "extract", None, 3, 300, 150.0),
        Share("dead_letter", None, None, "NO_ROUTE", 1, 100, None),
        Share("skipped", None, None, "tombstone", 1, 100, None),
    ]


def test_without_a_record_nothing_is_said() -> None:
    assert list(tally().forecast(0, Pace(1.0, 1.0))) == []


@pytest.mark.parametrize(
    ("pace", "per_second", "limit"),
    [
        (Pace(10.0, 60.0), 1.0, "files per minute"),
        (Pace(0.5, 60.0), 0.5, "starts per second"),
        (Pace(None, 30.0), 0.5, "files per minute"),
        (Pace(2.0, None), 2.0, "starts per second"),
        (Pace(None, None), None, "no limit"),
    ],
)
def test_the_tighter_limit_decides(pace: Pace, per_second: float | None, limit: str) -> None:
    assert (pace.starts_per_second, pace.limit) == (per_second, limit)
    assert pace.seconds(10) == (None if per_second is None else 10 / per_second)


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.integers(0, 10**9))
def test_the_outcomes_add_up_to_the_whole(invoices: int, dead: int, skipped: int, total: int) -> None:
    found = tally(invoices=invoices, dead=dead, skipped=skipped)
    shares = list(found.forecast(total, Pace(1.0, None)))
    assert sum(share.sampled for share in shares) == found.sampled
    if shares:
        assert abs(sum(share.expected for share in shares) - total) <= len(shares)
