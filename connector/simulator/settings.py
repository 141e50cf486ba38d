"""What somebody asked the simulator for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from connector.simulator.mail import Troubles
from connector.simulator.rules import Rule

API_VERSION = "2026-02-09"

RetryHeader = Literal["retry-after", "x-ratelimit-reset", "none"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Requests in any one second, by category. None is no limit.

    Attributes:
        get: every read and list.
        write: changes that start no processing.
        run: everything that starts a run.
        retry_header: what a 429 says about when to come back; whether the real API says anything is not documented.
    """

    get: int | None = None
    write: int | None = None
    run: int | None = None
    retry_header: RetryHeader = "retry-after"


PLANS = {
    "none": Limits(),
    "payg": Limits(10, 10, 10),
    "scale": Limits(25, 25, 25),
    "enterprise": Limits(75, 75, 75),
}
"""The documented plans' requests per second, per category."""


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long runs take, and how they end. Shares are between 0 and 1.

    Attributes:
        median: seconds that half of the runs take at most.
        spread: sigma of the log-normal distribution; 0 gives every run the median.
        longest: seconds that no run exceeds.
        failed: share of runs that fail with a documented reason.
        cancelled: share of runs that somebody cancels in the dashboard.
        needs_review: share of workflow runs that wait for a person.
        rejected: share of reviews that end as REJECTED.
        review_median: seconds that half of the reviews take at most; drawn like the runs.
    """

    median: float = 2.0
    spread: float = 0.5
    longest: float = 3600.0
    failed: float = 0.0
    cancelled: float = 0.0
    needs_review: float = 0.0
    rejected: float = 0.5
    review_median: float = 5.0

    def __post_init__(self) -> None:
        """Refuse values that no run could have.

        Raises:
            ValueError: a time is negative, or a share is not between 0 and 1.
        """
        for name in ("median", "spread", "longest", "review_median"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}; it must be 0 or more.")
        for name in ("failed", "cancelled", "needs_review", "rejected"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; a share is between 0 and 1.")
        if self.failed + self.cancelled > 1:
            raise ValueError("failed and cancelled are more than all runs together.")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that a simulator can be told before it starts.

    Attributes:
        seed: same seed, same order of requests: same ids, lifetimes and ends.
        limits: requests per second.
        lifetimes: how long runs take and how they end.
        rules: faults that are on from the start.
        ledger: file that gets one JSON line per created run, or None.
        withheld: file that gets one JSON line per create that a fault withheld, or None.
        webhook_url: where every event of a run goes, beside the endpoints that are created; None: nowhere.
        webhook_secret: signs these.
        webhook_troubles: what happens to webhooks on their way.
    """

    seed: int = 0
    limits: Limits = field(default_factory=Limits)
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    rules: tuple[Rule, ...] = ()
    ledger: Path | None = None
    withheld: Path | None = None
    webhook_url: str | None = None
    webhook_secret: str = "wss_of_the_simulator_not_a_secret"  # noqa: S105 - it says so
    webhook_troubles: Troubles = field(default_factory=Troubles)
