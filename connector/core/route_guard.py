"""What stops one route: a bad deployment must not drain a topic into the dead letters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

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

    def refused(self, code: str, now: float, *, trial: bool = False) -> bool:
        """The API refused a document of this route for good.

        Args:
            code: the API's error code.
            now: the time.
            trial: it was the trial of a stopped route. A POST that was opened before the stop is none, and its end
                must not make room for a second trial.

        Returns:
            Whether the document may be a dead letter; no when the route is stopped, because then the route is at
            fault and the document must wait.
        """
        self._trial_ended(now, trial=trial)
        if self.stopped:
            return False
        self._count = self._count + 1 if code == self._code else 1
        self._code = code
        if self._count >= REFUSED_IN_A_ROW:
            self.stopped = True
            self._wait(now)
        return True

    def started(self, *, trial: bool = False) -> None:
        """The API took a document of this route: the route is good.

        Args:
            trial: it was the trial. Another one may still be out when the route stops again, and is its trial then.
        """
        self._code, self._count = None, 0
        self._delay = FIRST_TRIAL_SECONDS
        self._on_trial = self._on_trial and not trial
        self.stopped = False

    def undecided(self, now: float, *, trial: bool = False) -> None:
        """A start ended without an answer about the document."""
        self._trial_ended(now, trial=trial)

    def may_start(self, now: float) -> bool:
        """Whether a document of this route may be started now."""
        return not self.stopped or (not self._on_trial and now >= self._trial_at)

    def begin(self) -> bool:
        """A document of this route is being started; returns whether that is a trial, to be told with its end."""
        self._on_trial = self._on_trial or self.stopped
        return self.stopped

    def next_trial(self) -> float | None:
        """When a stopped route may try again; None when it is not stopped or a trial is out."""
        return self._trial_at if self.stopped and not self._on_trial else None

    def _trial_ended(self, now: float, *, trial: bool) -> None:
        if trial and self._on_trial:
            self._on_trial = False
            if self.stopped:
                self._wait(now)

    def _wait(self, now: float) -> None:
        self._trial_at = now + self._delay
        self._delay = min(self._delay * 2, LONGEST_TRIAL_SECONDS)


class RouteGuards:
    """The guards of all routes, those too that only the journal still names: a renamed route has open documents."""

    def __init__(self, configured: Iterable[str]) -> None:
        """Make the guards of the configured routes.

        Args:
            configured: their names.
        """
        self._guards = {route: RouteGuard() for route in configured}
        self._configured = tuple(self._guards)

    def of(self, route: str) -> RouteGuard:
        """The guard of a route, whether it is configured or not."""
        return self._guards.setdefault(route, RouteGuard())

    def configured(self) -> Iterator[tuple[str, RouteGuard]]:
        """The routes that have figures, by name."""
        return ((route, self._guards[route]) for route in self._configured)

    def __iter__(self) -> Iterator[RouteGuard]:
        """All of them."""
        return iter(self._guards.values())
