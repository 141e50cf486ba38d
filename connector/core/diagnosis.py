"""What one check of a deployment has found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Health(StrEnum):
    """How it stands; the text is what tables and programs are shown."""

    OK = "ok"
    WARNING = "warning"
    """It works, and a person should know."""
    FAILED = "failed"
    """The connector would not work, or not as it promises."""
    SKIPPED = "skipped"
    """It could not be looked at, or is not in use."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What one check says about one thing.

    Attributes:
        check: its name, ``kafka.rights``: what it looks at, with the technology before the dot.
        subject: what was looked at.
        health: how it stands.
        found: a sentence.
        way_out: what to do about it, or empty.
    """

    check: str
    subject: str
    health: Health
    found: str
    way_out: str = ""
