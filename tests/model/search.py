"""Visits every state that the start protocol can reach, shortest ways first, and tells the way to one as a timeline.

Two reductions keep it small. Inputs are alike, so states that differ only in which input is which are one. And what
one input alone may do next depends on it and on the group, not on the others: it is computed once for each such pair.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from tests.model.document_steps import document_steps
from tests.model.group_steps import group_steps
from tests.model.invariants import Invariant
from tests.model.normal_form import normal_form
from tests.model.start_protocol import Document, Group, Post, Protocol, State

T = TypeVar("T")


class World(NamedTuple):
    """One state: the group, and the inputs, by their numbers."""

    group: int
    documents: tuple[int, ...]


class Step(NamedTuple):
    """A step from one world to the next."""

    text: str
    after: World


@dataclass
class Found:
    """What a search found.

    Attributes:
        states: how many it visited.
        most_runs: the most runs that one input bought.
        journaled: the states that the journal had of an input.
        broken: the invariants that do not hold, each with the shortest way to where it breaks.
        seconds: how long it took.
    """

    states: int = 0
    most_runs: int = 0
    journaled: set[State] = field(default_factory=set)
    broken: dict[Invariant, str] = field(default_factory=dict)
    seconds: float = 0.0


class _Numbers(Generic[T]):
    """Small numbers for large values: what is compared a million times is hashed once."""

    def __init__(self) -> None:
        self.values: list[T] = []
        self._numbers: dict[T, int] = {}

    def __call__(self, value: T) -> int:
        number = self._numbers.setdefault(value, len(self.values))
        if number == len(self.values):
            self.values.append(value)
        return number


class Search:
    """All interleavings of one protocol."""

    def __init__(self, protocol: Protocol, *, inputs: int, most_runs: int) -> None:
        """Prepare it.

        Args:
            protocol: which ingredients there are.
            inputs: how many inputs there are.
            most_runs: how many runs an input may buy without a command.
        """
        self._protocol = protocol
        self._most_runs = most_runs
        self._groups = _Numbers[Group]()
        self._documents = _Numbers[Document]()
        self._normal: dict[tuple[int, Document], int] = {}
        self._alone: dict[tuple[int, int, bool], list[tuple[str, int]]] = {}
        self._together: dict[int, list[tuple[str, Callable[[int], int], int]]] = {}
        self._broken_by: dict[int, frozenset[Invariant]] = {}
        documents = (self._documents(Document()),) * inputs
        self._first = World(self._groups(Group()), documents)
        self._reached_from: dict[World, World | None] = {self._first: None}

    def run(self, until: Invariant | None = None) -> Found:
        """Visit everything, or stop where an invariant breaks."""
        begun = time.perf_counter()
        found = Found()
        waiting = deque([self._first])
        while waiting and (until is None or until not in found.broken):
            world = waiting.popleft()
            afters = {_alike(step.after) for step in self._steps(world)} - {world}
            for invariant in self._broken(world, final=not afters):
                if invariant not in found.broken:
                    found.broken[invariant] = self._timeline(world)
            for after in afters:
                if after not in self._reached_from:
                    self._reached_from[after] = world
                    waiting.append(after)
        found.states = len(self._reached_from)
        visited = [self._documents.values[number] for number in self._broken_by]
        found.most_runs = max(document.runs for document in visited)
        found.journaled = {document.journal.state for document in visited}
        found.seconds = time.perf_counter() - begun
        return found

    def _steps(self, world: World) -> Iterator[Step]:
        """Everything that may happen next, the inputs in their places."""
        group, documents = world
        for place, number in enumerate(documents):
            foreign = not self._protocol.hash_in_tag and self._listed(documents, besides=place)
            for text, after in self._steps_alone(group, number, foreign=foreign):
                changed = (*documents[:place], after, *documents[place + 1 :])
                yield Step(f"input {place + 1}: {text}", World(group, changed))
        for text, effect, group_after in self._steps_together(group):
            yield Step(text, World(group_after, tuple(effect(number) for number in documents)))

    def _steps_alone(self, group: int, document: int, *, foreign: bool) -> list[tuple[str, int]]:
        key = (group, document, foreign)
        if key not in self._alone:
            steps = document_steps(
                self._protocol, self._groups.values[group], self._documents.values[document], foreign=foreign
            )
            self._alone[key] = [(step.text, self._number(group, step.after)) for step in steps]
        return self._alone[key]

    def _steps_together(self, group: int) -> list[tuple[str, Callable[[int], int], int]]:
        if group not in self._together:
            self._together[group] = [
                (step.text, self._remembered(step.effect, self._groups(step.after)), self._groups(step.after))
                for step in group_steps(self._protocol, self._groups.values[group])
            ]
        return self._together[group]

    def _number(self, group: int, document: Document) -> int:
        key = (len(self._groups.values[group].hosts), document)
        if key not in self._normal:
            self._normal[key] = self._documents(normal_form(self._protocol, key[0], document))
        return self._normal[key]

    def _remembered(self, effect: Callable[[Document], Document], after: int) -> Callable[[int], int]:
        known: dict[int, int] = {}

        def remembered(number: int) -> int:
            if number not in known:
                known[number] = self._number(after, effect(self._documents.values[number]))
            return known[number]

        return remembered

    def _listed(self, documents: Sequence[int], besides: int) -> bool:
        others = (number for place, number in enumerate(documents) if place != besides)
        return any(Post.LISTED in self._documents.values[number].posts for number in others)

    def _broken(self, world: World, *, final: bool) -> Iterable[Invariant]:
        for number in world.documents:
            if number not in self._broken_by:
                document = self._documents.values[number]
                self._broken_by[number] = frozenset(i for i in Invariant if not i.holds(document, self._most_runs))
            for invariant in self._broken_by[number]:
                if final or invariant is not Invariant.NOTHING_LOST:
                    yield invariant

    def _timeline(self, world: World) -> str:
        """The way to a world, a line for each step, with what it changed in the journal and at the API."""
        way = [world]
        while (before := self._reached_from[way[-1]]) is not None:
            way.append(before)
        here, lines = self._first, []
        for number, there in enumerate(reversed(way[:-1]), 1):
            step = next(step for step in self._steps(here) if _alike(step.after) == there)
            lines.append(f"{number:4d}  {step.text}{self._changes(here, step.after)}")
            here = step.after
        return "\n".join(lines)

    def _changes(self, before: World, after: World) -> str:
        changes = []
        for place, (old, new) in enumerate(zip(before.documents, after.documents, strict=True), 1):
            was, now = self._documents.values[old], self._documents.values[new]
            if was.journal != now.journal:
                changes.append(f"journal of input {place}: {now.journal}")
            if was.runs != now.runs:
                changes.append(f"runs of input {place}: {now.runs}")
        return "".join(f"   [{change}]" for change in changes)


def _alike(world: World) -> World:
    """The same world for all orders of the inputs."""
    return world._replace(documents=tuple(sorted(world.documents)))
