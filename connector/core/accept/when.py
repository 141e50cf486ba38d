"""Which records a route takes: every condition has to hold.

A condition that cannot be decided does not hold, because what it looks at is no text or no JSON: another route may well
take the record without looking there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from connector.core.accept.path import NotationError
from connector.core.accept.source import FieldSource, Given, HeaderSource, KeySource, Source, parse_source
from connector.core.errors import RecordRejected

_Scalar = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Condition:
    """What has to stand somewhere.

    Attributes:
        source: where.
        accepted: the values of which it has to be one; None when only its being there counts.
        there: whether it has to be there at all.
    """

    source: Source
    accepted: frozenset[tuple[bool, _Scalar]] | None = field(default=None, repr=False)
    there: bool = True

    def holds(self, given: Given) -> bool:
        """Whether a record fulfils it."""
        try:
            found = self.source.read(given)
        except RecordRejected:
            return False
        if self.accepted is None:
            return (found is not None) is self.there
        return isinstance(found, _Scalar) and _comparable(found) in self.accepted

    def implies(self, other: Condition) -> bool:
        """Whether every record that fulfils this one fulfils the other one too."""
        if self.source != other.source:
            return False
        if other.accepted is None:
            return other.there is (self.there or self.accepted is not None)
        return self.accepted is not None and self.accepted <= other.accepted


@dataclass(frozen=True, slots=True)
class When:
    """The conditions of one route."""

    conditions: tuple[Condition, ...]

    def holds(self, given: Given) -> bool:
        """Whether a record fulfils all of them."""
        return all(condition.holds(given) for condition in self.conditions)

    def implies(self, other: When) -> bool:
        """Whether every record that fulfils these fulfils the others too, as far as can be told from how they look."""
        return all(any(mine.implies(theirs) for mine in self.conditions) for theirs in other.conditions)


def when_of(written: Mapping[str, object]) -> When:
    """The conditions of a route, those that need not decode the value first.

    Args:
        written: by source; each a value, a list of values, or ``{exists: true}`` or ``{exists: false}``.

    Raises:
        NotationError: one of them is not written as it has to be.
    """
    conditions = [condition_of(source, wanted) for source, wanted in written.items()]
    return When(tuple(sorted(conditions, key=lambda each: isinstance(each.source, FieldSource))))


def condition_of(text: str, wanted: object) -> Condition:
    """One condition.

    Args:
        text: the source.
        wanted: what has to stand there.

    Raises:
        NotationError: one of the two is not written as it has to be.
    """
    if text.endswith("?"):
        raise NotationError("needs no question mark: a condition whose field is not there does not hold")
    source = parse_source(text)
    if isinstance(wanted, Mapping):
        if list(wanted) != ["exists"] or not isinstance(wanted["exists"], bool):
            raise NotationError("must be a value, a list of values, {exists: true} or {exists: false}")
        return Condition(source, None, wanted["exists"])
    values = list(wanted) if isinstance(wanted, list | tuple) else [wanted]
    if not values:
        raise NotationError("must name at least one value")
    return Condition(source, frozenset(_comparable(_scalar(value, source)) for value in values))


def _scalar(value: object, source: Source) -> _Scalar:
    if value is None:
        raise NotationError("is null, which counts as not there: write {exists: false}")
    if not isinstance(value, _Scalar):
        raise NotationError("must be a text, a number, true or false, or a list of these")
    always_text = isinstance(source, HeaderSource) or (isinstance(source, KeySource) and source.path is None)
    if always_text and not isinstance(value, str):
        raise NotationError('must be a text, in quotes: headers and whole keys are texts, and "2.10" is not 2.1')
    return value


def _comparable(value: _Scalar) -> tuple[bool, _Scalar]:
    """A value that equals only its like: Python says that ``True == 1``."""
    return isinstance(value, bool), value
