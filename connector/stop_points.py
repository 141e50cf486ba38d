"""Places where a test can stop or kill this process: exact zombies without luck.

``CONNECTOR_STOP_AT=<step>:<stop or kill>[:<nth>]``, for example ``after_intent_commit:stop:3``.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Final

from connector.core.errors import ConfigurationError, Problem

VARIABLE: Final = "CONNECTOR_STOP_AT"
STEPS: Final = frozenset(
    {
        "after_intent_commit",
        "before_post_write",
        "after_created",
        "before_result_commit",
        "after_result_commit",
    },
)
_SIGNALS: Final = {"stop": signal.SIGSTOP, "kill": signal.SIGKILL}

StopPoint = Callable[[str], None]
"""Called with the name of the step that was reached."""


def nowhere(_step: str) -> None:
    """Never stop."""


def stop_point_of(text: str | None) -> StopPoint:
    """The hook that the variable asks for.

    Args:
        text: the variable's value, or None.

    Raises:
        ConfigurationError: it names no step or no way to stop.
    """
    if not text:
        return nowhere
    step, _, rest = text.partition(":")
    how, _, nth = rest.partition(":")
    if step not in STEPS or how not in _SIGNALS or not (nth or "1").isdecimal():
        message = f"must be <step>:<stop or kill>[:<nth>] with a step of {', '.join(sorted(STEPS))}"
        raise ConfigurationError([Problem("", message, source=VARIABLE)])
    countdown = int(nth or "1")

    def reached(name: str) -> None:
        nonlocal countdown
        if name != step:
            return
        countdown -= 1
        if countdown == 0:
            os.kill(os.getpid(), _SIGNALS[how])

    return reached
