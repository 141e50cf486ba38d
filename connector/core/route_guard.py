"""What stops one route: a bad deployment must not drain a topic into the dead letters."""

from __future__ import annotations

REFUSED_IN_A_ROW = 20
FIRST_TRIAL_SECONDS = 1.0
LONGEST_TRIAL_SECONDS = 60.0


class RouteGuard:
    """Counts refusals for good with one code, one after the other; one success forgets them."""

    def __init__(self) -> None:
        self._code: str | None = None
        self._count = 0
        self._trial_at = 0.0
        self._delay = FIRST_TRIAL_SECONDS
        self._on_trial = False
        self.stopped = False

    def refused(self, code: str, now: float) -> bool:
        """The API refused a document of this route for good.

        Returns:
            Whether the document may be a dead letter; no when the route is stopped, because then the route is at
            fault and the document must wait.
        """
        if self.stopped:
            if self._on_trial:
                self._on_trial = False
                self._wait(now)
            return False
        self._count = self._count + 1 if code == self._code else 1
        self._code = code
        if self._count >= REFUSED_IN_A_ROW:
            self.stopped = True
            self._wait(now)
        return True

    def started(self) -> None:
        """The API took a document of this route: the route is good."""
        self._code, self._count = None, 0
        self._delay = FIRST_TRIAL_SECONDS
        self._on_trial = self.stopped = False

    def undecided(self, now: float) -> None:
        """A trial ended without an answer about the document."""
        if self._on_trial:
            self._on_trial = False
            self._wait(now)

    def may_start(self, now: float) -> bool:
        """Whether a document of this route may be started now."""
        return not self.stopped or (not self._on_trial and now >= self._trial_at)

    def begin(self) -> None:
        """A document of this route is being started."""
        self._on_trial = self.stopped

    def next_trial(self) -> float | None:
        """When a stopped route may try again; None when it is not stopped or a trial is out."""
        return self._trial_at if self.stopped and not self._on_trial else None

    def _wait(self, now: float) -> None:
        self._trial_at = now + self._delay
        self._delay = min(self._delay * 2, LONGEST_TRIAL_SECONDS)
