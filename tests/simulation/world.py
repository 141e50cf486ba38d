"""Everything outside of the connector, and a note of all that happens to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from connector.core.record import OutRecord, Partition, Record
from connector.core.run_types import dead_letter_topic, status_topics
from connector.core.tag import Tag, tag_of
from connector.core.topics import signals_topic
from tests.chaos.history import Fault, Input
from tests.simulation.api import Api
from tests.simulation.broker import Broker
from tests.simulation.chronicle import Chronicle
from tests.simulation.dice import Dice, Rates
from tests.simulation.group import Group
from tests.simulation.machine import Machine
from tests.simulation.member import SimMember
from tests.simulation.scheduler import Scheduler
from tests.simulation.signals import SimSignalReader
from tests.simulation.webhooks import Webhooks

NAME = "invoices"
PREFIX = "documents"
TOPIC = "documents"
JOURNAL = f"{NAME}.journal"
DEADLY_SHARE = 0.1
SIGNALS = signals_topic(NAME)


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a world is.

    Attributes:
        partitions: of the input topic.
        journal_partitions: of the journal.
    """

    partitions: int = 2
    journal_partitions: int = 2


class World:
    """Brokers, group, API and processes on one clock."""

    def __init__(
        self, seed: int, shape: Shape | None = None, rates: Rates | None = None, *, webhooks: bool = False
    ) -> None:
        self.shape = shape or Shape()
        self.scheduler = Scheduler()
        self.dice = Dice(Random(seed), rates or Rates())
        self.inputs_at = [Partition(TOPIC, number) for number in range(self.shape.partitions)]
        topics = {TOPIC: self.shape.partitions}
        topics |= dict.fromkeys((JOURNAL, SIGNALS), self.shape.journal_partitions)
        topics |= dict.fromkeys((*status_topics(PREFIX), dead_letter_topic(PREFIX)), 1)
        self.broker = Broker(self.scheduler, self.dice, topics)
        self.group = Group(self.scheduler, self.dice, self.inputs_at, lambda: self.broker.down_until)
        self.broker.check_member = self.group.check
        self.broker.appended = self._appended
        self.api = Api(self.scheduler, self.dice, self.hit)
        self.webhooks = Webhooks.into(SIGNALS, NAME, self.scheduler, self.dice, self.broker) if webhooks else None
        if self.webhooks is not None:
            self.api.created = self.webhooks.created
        self.chronicle = Chronicle(self.scheduler, self.broker, JOURNAL, PREFIX)
        self.machines: list[Machine] = []
        self.members: list[SimMember] = []
        self.signal_readers: list[SimSignalReader] = []
        self.inputs: list[Input] = []
        self.faults: list[Fault] = []
        self.points: list[str] = []
        self.when_reached: Callable[[Machine, str], None] = lambda _machine, _point: None
        self.deadly = ""
        self.last_fault_at = self.scheduler.now

    def machine(self, client_id: str) -> Machine:
        """A new process."""
        machine = Machine(self, client_id)
        machine.process.when_dead.append(lambda: self.excuse(machine))
        self.machines.append(machine)
        return machine

    def bury(self) -> None:
        """Nothing runs any more."""
        for machine in self.machines:
            machine.process.bury()

    # ---- input ---------------------------------------------------------------------------------------------------

    def send(self, partition: Partition, document_id: str | None, value: bytes, key: bytes | None = None) -> Input:
        """A reference is written and acknowledged."""
        offset = self.broker.append(partition, OutRecord(partition.topic, key, value, (), partition.number))
        record = Record(partition, offset, key, value)
        given = Input(self.tag(record), document_id, key, self.scheduler.wall_ms())
        self.inputs.append(given)
        self.chronicle.given(given)
        return given

    def tag(self, record: Record) -> Tag:
        """The name that the connector promises for it."""
        return tag_of(NAME, self.broker.ids[record.partition.topic], record)

    def _appended(self, partition: Partition) -> None:
        if partition.topic == TOPIC:
            for member in self.members:
                if member.reachable:
                    member.appended(partition)
        elif partition.topic == SIGNALS:
            for reader in self.signal_readers:
                reader.appended(partition)

    # ---- faults --------------------------------------------------------------------------------------------------

    def hit(self, kind: str, target: str, seconds: float = 0.0) -> None:
        """Something went wrong; whether it met open work is seen from what is not finished at that time."""
        now = self.scheduler.wall_ms()
        self.last_fault_at = max(self.last_fault_at, self.scheduler.now + seconds)
        self.faults.append(Fault(kind, target, now, now + int(seconds * 1000), hit=self.has_open_work()))

    def reached(self, machine: Machine, point: str) -> None:
        """A process is at its boundary."""
        self.when_reached(machine, point)
        if self.dice.over:
            return
        if self.dice.says("crash") or (point == self.deadly and self.dice.random.random() < DEADLY_SHARE):
            self.hit("kill", f"{machine.client_id} at {point}")
            machine.process.kill()
        elif self.dice.says("freeze"):
            seconds = self.dice.seconds(0.05, 5.0) if self.dice.random.random() < 0.6 else self.dice.seconds(15.0, 60.0)
            self.hit("freeze", f"{machine.client_id} at {point}", seconds)
            machine.freeze(seconds)

    def fences(self, machine: Machine, writer: str) -> None:
        """A process calls ``init_transactions`` with the id of another one, which should be dead."""
        well = next((m for m in self.members if m.client_id == writer and m.reachable and m.joined), None)
        if well is None:
            return
        listed_at, alive = machine.listed or (0.0, frozenset[str]())
        if machine.listed is None or writer in alive or well.joined_at > listed_at:
            self.chronicle.fenced_alive.append(f"{machine.client_id} fenced {writer}, which is alive")

    def has_open_work(self) -> bool:
        """Whether an input has not come to its end."""
        return bool(self.chronicle.unfinished)

    def excuse(self, machine: Machine) -> None:
        """It is gone: what only it knew of its POSTs is lost too."""
        self.chronicle.excuse(machine.client_id)
