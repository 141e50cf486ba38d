"""What stops every start: an API that gives unclear answers, refuses us as a whole, or cannot be reached.

An unclear start costs a look-up by a person, so an outage must not make every input unclear. After three in a row
nothing real is POSTed until a create with an empty body, which can create nothing, is refused by the API itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import inf

UNCLEAR_IN_A_ROW = 3
FIRST_PROBE_SECONDS = 1.0
LONGEST_PROBE_SECONDS = 60.0
FIRST_TRIAL_SECONDS = 15.0
LONGEST_TRIAL_SECONDS = 300.0
FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 60.0


class Permit(Enum):
    """What may be sent now."""

    START = "starts, as many as the budgets allow"
    TRIAL = "one real start"
    PROBE = "one create with an empty body"
    WAIT = "nothing"


@dataclass(frozen=True, slots=True)
class Decision:
    """What may be sent now, and when to ask again.

    Attributes:
        permit: what may be sent.
        until: when a WAIT may end, on the caller's clock; infinity while an answer is outstanding.
        reason: why not START: ``unclear``, ``forbidden`` or ``backoff``.
    """

    permit: Permit
    until: float = 0.0
    reason: str = ""


class StartGate:
    """The breaker, the halt and the back-off of one base URL, in this order of patience.

    Every method is told the time; nothing here waits.
    """

    def __init__(self) -> None:
        self._unclear = 0
        self._open = False
        self._alive = False
        self._probe_at = 0.0
        self._probe_delay = FIRST_PROBE_SECONDS
        self._probing = False
        self._forbidden = False
        self._trial_at = 0.0
        self._trial_delay = FIRST_TRIAL_SECONDS
        self._on_trial = False
        self._backoff_until = 0.0
        self._refusals = 0
        self._episode_until = 0.0

    @property
    def reason(self) -> str:
        """Why starts are stopped, or an empty text: ``unclear`` or ``forbidden``."""
        return "unclear" if self._open else "forbidden" if self._forbidden else ""

    def decide(self, now: float) -> Decision:
        """What may be sent now."""
        if now < self._backoff_until:
            return Decision(Permit.WAIT, self._backoff_until, "backoff")
        if self._on_trial or self._probing:
            return Decision(Permit.WAIT, inf, self.reason)
        if self._open and not self._alive:
            if now < self._probe_at:
                return Decision(Permit.WAIT, self._probe_at, "unclear")
            return Decision(Permit.PROBE, reason="unclear")
        if self._open:
            return Decision(Permit.TRIAL, reason="unclear")
        if self._forbidden:
            if now < self._trial_at:
                return Decision(Permit.WAIT, self._trial_at, "forbidden")
            return Decision(Permit.TRIAL, reason="forbidden")
        return Decision(Permit.START)

    def begin_trial(self) -> None:
        """The one real start was sent; its outcome must be told with ``trial=True``."""
        self._on_trial = True

    def begin_probe(self) -> None:
        """The probe was sent; ``probed`` must follow."""
        self._probing = True

    def probed(self, now: float, *, alive: bool) -> None:
        """The probe came back: alive when the API itself refused the empty body."""
        self._probing = False
        self._alive = alive
        if not alive:
            self._wait_for_probe(now)

    def unclear(self, now: float, *, trial: bool = False) -> None:
        """A start ended unclear."""
        self._on_trial &= not trial
        self._unclear += 1
        if trial or (not self._open and self._unclear >= UNCLEAR_IN_A_ROW):
            self._open, self._alive = True, False
            self._wait_for_probe(now)

    def forbidden(self, now: float, *, trial: bool = False) -> None:
        """The key or the account was refused: true for every start, not for this one."""
        self._on_trial &= not trial
        self._answered(trial=trial)
        if trial or not self._forbidden:
            self._trial_at = now + self._trial_delay
            self._trial_delay = min(self._trial_delay * 2, LONGEST_TRIAL_SECONDS)
        self._forbidden = True

    def key_changed(self) -> None:
        """A new API key: try it at once."""
        self._trial_at = 0.0
        self._trial_delay = FIRST_TRIAL_SECONDS

    def not_sent(self, now: float, u: float, *, trial: bool = False) -> None:
        """A start was certainly not sent: no connection, say.

        Args:
            now: the time.
            u: randomness in [0, 1): spreads replicas.
            trial: it was the one real start.
        """
        self._on_trial &= not trial
        if now >= self._episode_until:
            self._refusals += 1
        own = min(FIRST_BACKOFF_SECONDS * 2 ** min(self._refusals - 1, 10), LONGEST_BACKOFF_SECONDS) * (0.75 + u / 2)
        # POSTs that were open together are one refusal: 32 of them must not double the wait 32 times.
        self._episode_until = max(self._episode_until, now + own)
        self._backoff_until = max(self._backoff_until, now + own)
        if trial:
            self._alive = False
            self._wait_for_probe(now)

    def throttled(self, *, trial: bool = False) -> None:
        """The API said 429: it is alive. When the next start may be sent is up to the budget."""
        self._on_trial &= not trial
        self._answered(trial=trial)

    def never_sent(self, *, trial: bool = False) -> None:
        """A start was called off before anything was sent; it says nothing about the API."""
        self._on_trial &= not trial

    def answered(self, *, trial: bool = False) -> None:
        """The API took the start, or refused this one document for good: it works."""
        self._on_trial &= not trial
        self._answered(trial=trial)
        self._refusals = 0
        self._episode_until = 0.0
        if trial or not self._open:
            self._forbidden = False
            self._trial_delay = FIRST_TRIAL_SECONDS

    def _answered(self, *, trial: bool) -> None:
        self._unclear = 0
        if trial and self._open:
            self._open = False
            self._probe_delay = FIRST_PROBE_SECONDS

    def _wait_for_probe(self, now: float) -> None:
        self._probe_at = now + self._probe_delay
        self._probe_delay = min(self._probe_delay * 2, LONGEST_PROBE_SECONDS)
