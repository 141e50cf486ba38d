"""Fault rules: which requests are to go wrong, and how."""

from __future__ import annotations

from typing import Literal

import msgspec

from connector.core.run_types import RUN_TYPES

Kind = Literal[
    "error",
    "throttle",
    "reset",
    "hang",
    "delay",
    "drip",
    "html",
    "no_id",
    "truncated",
    "redirect",
    "oversized",
    "late",
]
Stage = Literal["before", "after"]
Action = Literal["create", "sync", "get", "list", "cancel", "delete", "update", "output"]

_AFTER = frozenset({"delay", "drip", "no_id", "truncated", "oversized"})
"""Kinds that spoil a real answer, so the request is carried out first unless the rule says otherwise."""


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One fault and the requests that it hits. Every condition that is given must hold.

    Attributes:
        kind: ``error`` answers ``status`` with the API's error body; ``throttle`` 429; ``reset`` resets the
            connection; ``hang`` is silent for ``seconds``, then resets; ``delay`` answers properly after ``seconds``;
            ``drip`` sends a byte every ``seconds``; ``html`` answers a proxy's HTML page with ``status`` (200 unless
            given); ``no_id`` answers without the run's id; ``truncated`` sends half of the body; ``redirect`` 307 to
            another path; ``oversized`` adds ``size`` bytes to the body; ``late`` answers ``status`` (504) at once and
            creates the run ``seconds`` later.
        stage: ``before`` the request was carried out (no run exists), or ``after`` (the run exists). The default fits
            the kind.
        method: ``GET``, ``POST`` or ``DELETE``.
        action: what the request asks for; ``output`` is what an ``outputUrl`` leads to.
        run_type: ``extract``.
        path: text that the path contains.
        contains: text that the request body contains, to hit one document.
        share: share of the matching requests, drawn from the seed.
        nth: only the nth matching request, counted from 1.
        count: at most so many requests, then the rule is spent.
        after: seconds from now until the rule begins.
        duration: seconds that the rule lasts once it began.
        status: HTTP status of ``error``, ``html`` and ``late``.
        code: the ``code`` of the error body; the documented one of the status by default.
        seconds: time of ``hang`` (3600), ``delay`` (1), ``drip`` (1) and ``late`` (5).
        size: bytes that ``oversized`` adds (64 MiB).
        retry_after: what a ``throttle`` says: seconds as text (also nonsense, for tests), or None for nothing.
    """

    kind: Kind
    stage: Stage | None = None
    method: Literal["GET", "POST", "DELETE"] | None = None
    action: Action | None = None
    run_type: str | None = None
    path: str | None = None
    contains: str | None = None
    share: float = 1.0
    nth: int | None = None
    count: int | None = None
    after: float = 0.0
    duration: float | None = None
    status: int | None = None
    code: str | None = None
    seconds: float | None = None
    size: int = 64 * 1024 * 1024
    retry_after: str | None = None

    def __post_init__(self) -> None:
        """Refuse a rule that could never do what it says.

        Raises:
            ValueError: a value is out of its range, or names nothing.
        """
        if self.run_type is not None and self.run_type not in RUN_TYPES:
            raise ValueError(f"run_type is {self.run_type!r}; known are {', '.join(RUN_TYPES)}.")
        if not 0 <= self.share <= 1:
            raise ValueError(f"share is {self.share}; it must be between 0 and 1.")
        if self.status is not None and not 200 <= self.status <= 599:
            raise ValueError(f"status is {self.status}; it must be between 200 and 599.")
        for name in ("nth", "count", "after", "duration", "seconds", "size"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"{name} is {value}; it must not be negative.")

    @property
    def carried_out(self) -> bool:
        """Whether the request is carried out although its answer goes wrong."""
        if self.kind == "late":
            return False
        return self.stage == "after" or (self.stage is None and self.kind in _AFTER)


def parse_rules(body: bytes) -> tuple[Rule, ...]:
    """The rules in a JSON text: one rule, an array of rules, or ``{"rules": […]}``.

    Raises:
        ValueError: the text is no JSON, or no rules; the message names the field.
    """
    try:
        found = msgspec.json.decode(body)
        if isinstance(found, dict) and "rules" in found:
            found = found["rules"]
        return tuple(msgspec.convert(found if isinstance(found, list) else [found], list[Rule]))
    except msgspec.MsgspecError as error:
        raise ValueError(f"These are no fault rules: {error}") from error


def parse_rule(text: str) -> Rule:
    """A rule as the command line has it: ``kind=error,stage=after,status=503,share=0.05``.

    Raises:
        ValueError: the text is no rule; the message names the field.
    """
    fields: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = part.strip().partition("=")
        if not equals:
            raise ValueError(f"{part!r} in fault {text!r} is not of the form name=value.")
        fields[name] = value
    try:
        return msgspec.convert(fields, Rule, strict=False)
    except msgspec.MsgspecError as error:
        raise ValueError(f"Fault {text!r}: {error}") from error
