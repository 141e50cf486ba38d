"""The API's webhooks and their ingress: doorbells in the signals topic, and what becomes of them on the way."""

from __future__ import annotations

from dataclasses import dataclass, field

from connector.core.formats.framing import Codec
from connector.core.record import Partition
from connector.core.run_types import has_event
from connector.core.signals.signal import Doorbell, SignalCodec
from connector.core.signals.signals_topic import SignalsTopic
from connector.core.tag import Tag
from connector.schema_files import load_schema
from tests.simulation.api import SimRun
from tests.simulation.broker import Broker
from tests.simulation.dice import Dice
from tests.simulation.scheduler import Scheduler

AGAIN_SECONDS = 5.0
"""The API sends again what was answered with 503."""

_codec = SignalCodec(Codec(load_schema("signal")))


@dataclass(slots=True)
class Webhooks:
    """Rings for the runs of one connector.

    Attributes:
        name: the connector.
        told: what the payload of each run's last webhook said that it came to. Doorbells do not carry it.
    """

    name: str
    scheduler: Scheduler
    dice: Dice
    broker: Broker
    topic: SignalsTopic
    told: dict[str, str] = field(default_factory=dict)

    @classmethod
    def into(cls, topic: str, name: str, scheduler: Scheduler, dice: Dice, broker: Broker) -> Webhooks:
        """Ring in a signals topic."""
        return cls(name, scheduler, dice, broker, SignalsTopic(topic, broker.counts[topic], _codec))

    def created(self, run: SimRun) -> None:
        """A run was bought: its ends will ring, most of them, and perhaps somebody rings who should not."""
        if self.dice.says("bell_false"):
            last = run.shows[-1][0]
            self.scheduler.at(self.dice.seconds(run.created_at, last), lambda: self._ring(run, "PROCESSED"))
        for shown in run.shows:
            if has_event(run.row.name, shown[1]):
                self.scheduler.at(shown[0] + 0.001, lambda shown=shown: self._ended(run, shown))  # type: ignore[misc]

    def _ended(self, run: SimRun, shown: tuple[float, str]) -> None:
        if shown not in run.shows or self.dice.says("bell_lost"):
            return  # it was cancelled before, or nobody hears of it
        late = self.dice.seconds(5.0, 120.0) if self.dice.says("bell_late") else self.dice.seconds(0.05, 0.5)
        times = [late, late + self.dice.seconds(0.0, 60.0)] if self.dice.says("bell_doubled") else [late]
        for seconds in times:
            self.scheduler.after(seconds, lambda: self._ring(run, shown[1]))

    def _ring(self, run: SimRun, status: str) -> None:
        tag = Tag.parse(run.tag or "")
        if tag is None or tag.name != self.name:
            return  # the ingress has no use for it
        if self.broker.down_until > self.scheduler.now:
            self.scheduler.at(self.broker.down_until + AGAIN_SECONDS, lambda: self._ring(run, status))
            return
        self.told[run.id] = status
        record = self.topic.record(Doorbell(tag, run.id), self.scheduler.wall_ms())
        self.broker.append(Partition(record.topic, record.partition or 0), record)
