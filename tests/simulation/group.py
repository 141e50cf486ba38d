"""A model of the group's coordinator: classic protocol, cooperative-sticky.

A rebalance asks every member to join again and waits for all of them; who is silent for the session's time is expelled.
What moves is first taken from its owner in one generation and given to the next in another. Each rebalance is a new
generation, also where nothing moves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from connector.core.record import Partition
from tests.simulation.dice import Dice
from tests.simulation.scheduler import Scheduler

SESSION_SECONDS = 20.0
HEARTBEAT_SECONDS = 3.0
NOBODY = -1
"""The generation of a client that is no member."""


class Client(Protocol):
    """The member as the coordinator talks to it; its answers come when its process runs and hears the brokers."""

    owned: frozenset[Partition]

    @property
    def client_id(self) -> str: ...

    @property
    def reachable(self) -> bool: ...

    def asked_to_join(self, member_id: str, number: int) -> None:
        """A heartbeat was answered with a rebalance; the number is for ``Group.is_joining``."""

    def synced(self, member_id: str, generation: int, target: frozenset[Partition]) -> None:
        """The new generation and what is to be owned in it."""


@dataclass(slots=True)
class _Member:
    client: Client
    claims: frozenset[Partition] = frozenset()


@dataclass(slots=True)
class Group:
    """The coordinator."""

    scheduler: Scheduler
    dice: Dice
    partitions: Sequence[Partition]
    down_until: Callable[[], float]
    generation: int = 0
    members: dict[str, _Member] = field(default_factory=dict)
    _joined: dict[str, frozenset[Partition]] | None = None
    _names: int = 0
    _round: int = 0

    # ---- what members say --------------------------------------------------------------------------------------

    def join(self, client: Client) -> str:
        """A new member; returns its id."""
        self._names += 1
        member_id = f"member-{self._names}"
        self.members[member_id] = _Member(client)
        self._rebalance()
        self.joined(member_id, frozenset())
        return member_id

    def joined(self, member_id: str, claims: frozenset[Partition]) -> None:
        """A member is ready for the next generation, with what it owns. A stable group begins a rebalance with it."""
        if member_id not in self.members:
            return
        if self._joined is None:
            self._rebalance()
        assert self._joined is not None
        self._joined[member_id] = claims
        self._complete_if_all()

    def is_joining(self, member_id: str, number: int) -> bool:
        """Whether this rebalance still waits for this member; an old one would otherwise begin the next for ever."""
        return self._joined is not None and number == self._round and member_id not in self._joined

    def leave(self, member_id: str) -> None:
        if self.members.pop(member_id, None) is not None:
            self._rebalance()

    def check(self, metadata: object) -> str | None:
        """What the broker says to offsets that come with these group metadata; ownership is not looked at."""
        assert isinstance(metadata, tuple)
        member_id, generation = metadata
        if not member_id and generation == NOBODY:
            return None  # who never joined is not fenced at all; who was expelled keeps its generation (both measured)
        if member_id not in self.members:
            return "UNKNOWN_MEMBER_ID"
        return None if generation == self.generation else "ILLEGAL_GENERATION"

    def client_ids(self) -> frozenset[str]:
        return frozenset(member.client.client_id for member in self.members.values())

    # ---- what happens to them ----------------------------------------------------------------------------------

    def watch(self, client: Client) -> None:
        """The client is silent from now on: it is expelled if it still is when its session is over."""
        since = self.scheduler.now

        def look() -> None:
            if client.reachable:
                return
            if self.scheduler.now < self.down_until():  # no broker counts
                self.scheduler.at(self.down_until() + SESSION_SECONDS, look)
                return
            for member_id, member in list(self.members.items()):
                if member.client is client:
                    self.leave(member_id)

        self.scheduler.at(since + SESSION_SECONDS - self.dice.seconds(0.0, HEARTBEAT_SECONDS), look)

    def bump(self) -> None:
        """A new generation in which nothing moves, e.g. because somebody came and went."""
        self._rebalance()

    def _rebalance(self) -> None:
        if self._joined is None:
            self._joined = {}
            self._round += 1
        for member_id in self.members:
            if member_id not in self._joined:
                self.scheduler.after(self._heartbeat(), partial(self._ask, member_id, self._round))
        self._complete_if_all()

    def _ask(self, member_id: str, number: int) -> None:
        member = self.members.get(member_id)
        if member is not None:
            member.client.asked_to_join(member_id, number)

    def _heartbeat(self) -> float:
        return self.dice.seconds(0.01, HEARTBEAT_SECONDS)

    def _complete_if_all(self) -> None:
        if self._joined is None or any(member_id not in self._joined for member_id in self.members):
            return
        for member_id, member in self.members.items():
            member.claims = self._joined[member_id]
        self._joined = None
        self.generation += 1
        for member_id, target in self._targets().items():
            client, generation = self.members[member_id].client, self.generation
            synced = partial(client.synced, member_id, generation, target)
            self.scheduler.after(self.dice.seconds(0.002, 0.05), synced)

    def _targets(self) -> dict[str, frozenset[Partition]]:
        """Everybody keeps what is theirs up to a fair share; what nobody claims goes to those who have least."""
        if not self.members:
            return {}
        names = sorted(self.members, key=lambda name: int(name.rpartition("-")[2]))
        owner = {p: n for n in names for p in sorted(self.members[n].claims) if p in self.partitions}
        kept: dict[str, list[Partition]] = {name: [] for name in names}
        low, more = divmod(len(self.partitions), len(names))
        spare = more
        for name in names:
            claims = [p for p in sorted(self.members[name].claims) if owner.get(p) == name]
            quota = low
            if len(claims) > low and spare:
                quota, spare = low + 1, spare - 1
            kept[name] = claims[:quota]
        for partition in self.partitions:
            if partition not in owner:
                poorest = min(names, key=lambda name: (len(kept[name]), names.index(name)))
                kept[poorest].append(partition)
        return {name: frozenset(partitions) for name, partitions in kept.items()}
