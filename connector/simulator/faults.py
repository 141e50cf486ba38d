"""Which rule hits which request."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from connector.simulator.rules import Action, Rule


@dataclass(frozen=True, slots=True)
class Question:
    """What a rule can ask about a request."""

    method: str
    path: str
    action: Action
    run_type: str
    body: bytes = b""


@dataclass(slots=True)
class _Installed:
    rule: Rule
    begins: float
    seen: int = 0
    hits: int = 0

    def matches(self, question: Question, now: float) -> bool:
        rule = self.rule
        return (
            now >= self.begins
            and (rule.duration is None or now < self.begins + rule.duration)
            and (rule.method is None or rule.method == question.method)
            and (rule.action is None or rule.action == question.action)
            and (rule.run_type is None or rule.run_type == question.run_type)
            and (rule.path is None or rule.path in question.path)
            and (rule.contains is None or rule.contains.encode() in question.body)
        )


class Faults:
    """The rules in force. The first rule that hits a request decides; later rules do not count it."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._installed: list[_Installed] = []

    def install(self, rules: Iterable[Rule], now: float) -> None:
        """Add rules; their times count from ``now`` (seconds)."""
        self._installed.extend(_Installed(rule, now + rule.after) for rule in rules)

    def clear(self) -> None:
        """Everything works again."""
        self._installed.clear()

    def choose(self, question: Question, now: float) -> Rule | None:
        """The rule that hits this request, or None."""
        for installed in self._installed:
            if installed.matches(question, now) and self._hits(installed):
                installed.hits += 1
                return installed.rule
        return None

    def _hits(self, installed: _Installed) -> bool:
        installed.seen += 1
        rule = installed.rule
        if rule.nth is not None and installed.seen != rule.nth:
            return False
        if rule.count is not None and installed.hits >= rule.count:
            return False
        return rule.share >= 1 or self._random.random() < rule.share

    def report(self) -> list[dict[str, object]]:
        """Every rule with how many requests it matched and hit."""
        return [
            {"rule": installed.rule, "seen": installed.seen, "hits": installed.hits} for installed in self._installed
        ]
