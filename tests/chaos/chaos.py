"""Three workers on three brokers behind a proxy, under every fault that the harness can do, for as long as wanted.

First references are written at a steady pace and one fault follows the other. Then nothing is written any more: the
faults end a little later, and everything must come to its end by itself.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, replace
from itertools import chain, islice
from random import Random

import httpx

from connector.core.run_types import RUN_TYPES, is_terminal
from tests.chaos.bounces import Bounces
from tests.chaos.checker import Rules
from tests.chaos.crew import Crew, Leaving
from tests.chaos.history import Fault, History
from tests.chaos.proxy import KafkaProxy, Rule
from tests.chaos.readers import read_committed
from tests.chaos.references import STATUSES, references
from tests.chaos.schedule import BOUNCES, KILL, NETWORK, RESTART, ROLLING, STOP, fates, rule_of, strikes
from tests.chaos.stage import EXIT_SECONDS, MAX_OPEN, Stage
from tests.chaos.takeovers import takeovers
from tests.kafka.cluster import KafkaCluster

NODES = 3
WORKERS = 3
PARTITIONS = 12
PER_SECOND = 28.0
# Half of what a worker has by default: the time that each fault costs is the session or the transaction's timeout, and
# with the defaults this many faults would leave hardly any time to work in.
SESSION_SECONDS = 10.0
TRANSACTION_SECONDS = 10.0
SETTLE_SECONDS = 30.0

# Two creates in a hundred are unclear. One in four of them is created later than its answer, and one in five of these
# later than anybody waits for it.
FAULTS = (
    "kind=late,action=create,share=0.004,seconds=10",
    "kind=late,action=create,share=0.001,seconds=45",
    "kind=reset,stage=after,action=create,share=0.0075",
    "kind=error,status=502,action=create,share=0.0075",
)
SIMULATOR = (
    "--median",
    "2",
    "--review-median",
    "3",
    "--longest",
    "15",
    *chain.from_iterable(("--fault", f) for f in FAULTS),
)

_STARTED_SHARE = 0.9
_TURN_SECONDS = 0.1
_TAIL_SECONDS = 20.0
_CALM_SECONDS = 180.0
_DRAIN_SECONDS = 300.0
_DRAINED_PER_SECOND = 15.0
_BETWEEN_LOOKS = 5.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run left behind.

    Attributes:
        history: everything that is known in the end.
        leavings: of workers that were asked to end.
        surprises: ends of workers that no fault explains.
        takeovers: milliseconds, one per killed worker.
        drain_seconds: from the last fault until nothing was open.
        unknown: references without an acknowledgement.
    """

    history: History
    leavings: tuple[Leaving, ...]
    surprises: tuple[str, ...]
    takeovers: tuple[int, ...]
    drain_seconds: float
    unknown: int


def settings(proxy: KafkaProxy) -> dict[str, dict[str, object]]:
    """What the workers' configuration has otherwise than the stage's: brokers behind the proxy, and the defaults."""
    return {
        "kafka": {
            "bootstrap_servers": proxy.bootstrap_servers,
            "session_timeout": f"{SESSION_SECONDS:g}s",
            "transaction_timeout": f"{TRANSACTION_SECONDS:g}s",
            "properties": {},
        },
        "start": {"deadline": "15s", "settle": f"{SETTLE_SECONDS:g}s"},
    }


def rules(stage: Stage) -> Rules:
    """What must hold in the end, and what must have happened on the way."""
    kinds = dict.fromkeys((KILL, STOP, RESTART, *NETWORK, *BOUNCES), 1)
    return replace(
        stage.rules(0, kinds),
        run_types=frozenset(RUN_TYPES),
        statuses=STATUSES,
        settle_ms=round(1000 * SETTLE_SECONDS),
        max_open=MAX_OPEN,
    )


class Nemesis:
    """Everything that goes wrong, and the supervision of what it goes wrong for."""

    def __init__(self, stage: Stage, cluster: KafkaCluster, proxy: KafkaProxy, *, minutes: float, seed: int) -> None:
        """Nothing runs yet.

        Args:
            stage: simulator and topics.
            cluster: its brokers.
            proxy: between them and the workers.
            minutes: how long references are written.
            seed: of everything that is drawn.
        """
        self._stage = stage
        self._proxy = proxy
        workers = [stage.idle_worker(f"worker-{number}") for number in range(1, WORKERS + 1)]
        drawn = {what: Random(f"{seed}/{what}") for what in ("fates", "crew", "bounces", "strikes", "rules")}
        self.crew = Crew(
            workers,
            fates(drawn["fates"], minutes),
            drawn["crew"],
            session=SESSION_SECONDS,
            open_work=self._open_work,
        )
        self.bounces = Bounces(cluster, proxy, NODES, drawn["bounces"])
        self._strikes = strikes(drawn["strikes"])
        self._random = drawn["rules"]
        self._kinds: dict[Rule, str] = {}
        self._next_at, self._next_kind = 0.0, ""
        self._postponed: list[str] = []

    def begin(self) -> None:
        """Start the workers."""
        self.crew.start()
        self._draw()

    def turn(self, *, striking: bool) -> None:
        """Do what is due.

        Args:
            striking: new faults may come.
        """
        self.crew.turn()
        self.bounces.turn()
        if not striking:
            return
        self._postponed = [kind for kind in self._postponed if not self._strike(kind)]
        if time.monotonic() >= self._next_at:
            if not self._strike(self._next_kind):
                self._postponed.append(self._next_kind)
            self._draw()

    def calm(self) -> None:
        """The last faults end; no new ones come."""
        self._proxy.clear()
        self.crew.calm()

    @property
    def is_calm(self) -> bool:
        """No fault is going on."""
        return self.crew.is_calm and self.bounces.whole

    @property
    def faults(self) -> list[Fault]:
        """Everything that happened, in order."""
        network = [
            Fault(
                self._kinds[hit.rule],
                f"{hit.request.client_id[-8:]} at broker {hit.broker}",
                round(1000 * hit.at),
                round(1000 * (hit.at + hit.rule.seconds)),
            )
            for hit in self._proxy.hits
        ]
        return sorted([*self.crew.faults, *self.bounces.faults, *network], key=lambda fault: fault.at_ms)

    def _draw(self) -> None:
        pause, self._next_kind = next(self._strikes)
        self._next_at = time.monotonic() + pause

    def _strike(self, kind: str) -> bool:
        """False: not now."""
        if kind in NETWORK:
            rule = rule_of(kind, self._random)
            self._kinds[rule] = kind
            self._proxy.add(rule)
            return True
        if kind == ROLLING:
            return self.crew.roll()
        return self.bounces.strike(kind, hit=self._open_work())

    def _open_work(self) -> bool:
        """A run is not at its end, or some inputs have none yet, more than never get one."""
        try:
            by_type = self._stage.simulator.statistics()["runs"].values()
        except httpx.HTTPError:
            return False
        statuses = Counter[str]()
        for by_status in by_type:
            statuses.update(by_status)
        started = statuses.total()
        running = any(count and not is_terminal(status) for status, count in statuses.items())
        return running or started < _STARTED_SHARE * len(self._stage.writer.inputs)


def play(stage: Stage, cluster: KafkaCluster, proxy: KafkaProxy, *, minutes: float, seed: int) -> Outcome:
    """Write for some minutes, with faults, and see it to its end.

    Raises:
        TimeoutError: the work, or a worker, has not come to its end.
    """
    nemesis = Nemesis(stage, cluster, proxy, minutes=minutes, seed=seed)
    nemesis.begin()
    _write(stage, nemesis, 60 * minutes)
    # A fault just before the silence must not wait for a next record to be recovered from.
    _turn(nemesis, _TAIL_SECONDS, striking=True)
    nemesis.calm()
    _turn(nemesis, _CALM_SECONDS, striking=False)
    if not nemesis.is_calm:
        raise TimeoutError(f"The faults have not ended within {_CALM_SECONDS:g} s.\n{stage.fleet.logs()}")
    stage.writer.flush()
    begun = time.monotonic()
    # What was written while much was down waits in the input topic.
    enough = max(_DRAIN_SECONDS, len(stage.writer.inputs) / _DRAINED_PER_SECOND)
    stage.settle(enough, every=_BETWEEN_LOOKS, meanwhile=lambda: nemesis.turn(striking=False))
    drained = time.monotonic() - begun
    # Who is restored un-parks what it knows more about, and may leave before that is finished: an end after each.
    nemesis.crew.end(EXIT_SECONDS, lambda: stage.settle(_DRAIN_SECONDS))
    history = replace(stage.history(), faults=tuple(nemesis.faults))
    journal = read_committed(stage.kafka.bootstrap_servers, [f"{stage.name}.journal"])
    kills = [fault for fault in history.faults if fault.kind == KILL]
    return Outcome(
        history,
        tuple(nemesis.crew.leavings),
        tuple(nemesis.crew.surprises),
        takeovers(journal, kills),
        drained,
        stage.writer.unknown,
    )


def _write(stage: Stage, nemesis: Nemesis, seconds: float) -> None:
    """Write at the pace, whatever happens; what a dead broker held up follows."""
    every = references(stage.topic, round(PER_SECOND * seconds), PARTITIONS)
    begun, written = time.monotonic(), 0
    while (passed := time.monotonic() - begun) < seconds:
        due = int(PER_SECOND * passed)
        stage.writer.send(islice(every, due - written))
        written = max(due, written)
        nemesis.turn(striking=True)
        time.sleep(_TURN_SECONDS)
    stage.writer.send(every)


def _turn(nemesis: Nemesis, seconds: float, *, striking: bool) -> None:
    """Let time pass; when nothing strikes any more, until it is calm."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and (striking or not nemesis.is_calm):
        nemesis.turn(striking=striking)
        time.sleep(_TURN_SECONDS)
