"""Stands for ``adapters.kafka.transactions.TransactionalProducer``: one instance of one transactional id."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from connector.adapters.kafka.transactions import DELIVERY_SHARE, End, Ended
from connector.core.record import OutRecord, Partition
from tests.simulation.broker import TRANSACTION_SECONDS, Transaction
from tests.simulation.machine import Machine

RETRY_SECONDS = 0.005


class SimProducer:
    """Begin, produce, flush, send offsets, commit; between any two of them time passes and everything may happen."""

    def __init__(self, machine: Machine, transactional_id: str) -> None:
        self._machine = machine
        self._process = machine.process
        self._world = machine.world
        self._id = transactional_id
        self._epoch = -1
        self._open: Transaction | None = None

    def initialise(self, timeout: float) -> bool:
        self._machine.point("init")
        deadline = self._world.scheduler.now + timeout
        while self._reach(deadline):
            self._process.sleep(self._world.dice.seconds(0.001, 0.01))
            if self._id != self._machine.client_id:
                self._world.fences(self._machine, self._id)
            epoch = self._world.broker.initialise(self._id)
            if epoch is not None:
                self._epoch = epoch
                self._machine.point("initialised")
                return True
            if self._world.scheduler.now >= deadline:
                return False
        return False

    def write(
        self,
        records: Sequence[OutRecord],
        offsets: Mapping[Partition, int],
        metadata: object,
        before_commit: Callable[[], None],
    ) -> Ended:
        begun = self._world.scheduler.now
        deadline = begun + TRANSACTION_SECONDS
        self._machine.point("begin")
        failed = self._produce(records, begun + DELIVERY_SHARE * TRANSACTION_SECONDS)
        if failed is None:
            failed = self._send_offsets(offsets, metadata, deadline)
        if failed is not None:
            return failed
        before_commit()
        return self._commit(deadline)

    def close(self) -> None:
        """Nothing is waited for."""

    # ---- steps ---------------------------------------------------------------------------------------------------

    def _reach(self, deadline: float) -> bool:
        """Wait until the brokers can be reached; whether they can."""
        while not self._machine.reachable:
            if self._world.scheduler.now >= deadline:
                return False
            back = max(self._machine.kafka_back_at, self._world.scheduler.now + 0.001)
            self._process.sleep(min(back, deadline + 0.001) - self._world.scheduler.now)
        return True

    def _latency(self) -> None:
        self._process.sleep(self._world.dice.seconds(0.001, 0.006))

    @property
    def _fenced(self) -> bool:
        return not self._world.broker.is_current(self._id, self._epoch)

    def _begin(self, deadline: float) -> Transaction | Ended:
        while True:
            if not self._reach(deadline):
                return Ended(End.ABORTED, "NOT_DELIVERED", broken=True)
            if self._fenced:
                return self._unclear(fenced=True)
            begun = self._world.broker.begin(self._id, self._epoch)
            if begun is not None:
                return begun
            self._process.sleep(RETRY_SECONDS)  # the markers of the last one are still being written
            if self._world.scheduler.now > deadline:
                return Ended(End.ABORTED, "CONCURRENT_TRANSACTIONS", broken=True)

    def _produce(self, records: Sequence[OutRecord], deadline: float) -> Ended | None:
        broker = self._world.broker
        begun = self._begin(deadline)
        if isinstance(begun, Ended):
            return begun
        self._open = begun
        by_place: dict[Partition, list[OutRecord]] = {}
        for record in records:
            by_place.setdefault(broker.place(record), []).append(record)
        for partition, batch in by_place.items():
            self._machine.point("produce")
            if not self._reach(deadline):
                return self._abort("NOT_DELIVERED")
            if self._is_over(self._open):
                return self._unclear(fenced=True)
            for record in batch:
                broker.append(partition, record, self._open)
        self._latency()
        return None

    def _send_offsets(self, offsets: Mapping[Partition, int], metadata: object, deadline: float) -> Ended | None:
        self._machine.point("send_offsets")
        if not self._reach(deadline):
            return self._abort("_TIMED_OUT")
        assert self._open is not None
        if self._is_over(self._open):
            return self._unclear(fenced=True)
        refused = self._world.broker.send_offsets(self._open, metadata, offsets) if offsets else None
        self._latency()
        return self._abort(refused, fenced=True) if refused is not None else None

    def _commit(self, deadline: float) -> Ended:
        world, transaction = self._world, self._open
        assert transaction is not None
        self._machine.point("commit")
        if not self._reach(deadline):
            return self._unclear(fenced=False)
        if world.dice.says("unclear_open"):
            world.hit("unclear commit", self._machine.client_id)
            epoch = self._epoch
            # The request is on its way; whoever is open under this epoch when it arrives is committed.
            world.scheduler.after(
                world.dice.seconds(0.5, 20.0),
                lambda: world.broker.end(self._id, epoch, commit=True),
            )
            self._process.sleep(world.dice.seconds(0.0, 1.0))
            return self._unclear(fenced=False)
        error = world.broker.end(self._id, self._epoch, transaction, commit=True)
        self._machine.point("decided")
        if error is not None:
            return self._unclear(fenced=True)
        if world.dice.says("unclear_committed"):
            world.hit("unclear commit", self._machine.client_id)
            self._process.sleep(world.dice.seconds(0.0, 3.0))
            return self._unclear(fenced=False)
        if world.dice.says("slow_commit"):
            world.hit("slow commit", self._machine.client_id)
            self._process.sleep(world.dice.seconds(0.2, 10.0))
        self._latency()
        self._machine.point("committed")
        return Ended(End.COMMITTED)

    def _is_over(self, transaction: Transaction) -> bool:
        """Whether somebody else has ended it."""
        return self._fenced or transaction.committed is not None

    def _unclear(self, *, fenced: bool) -> Ended:
        return Ended(End.UNCLEAR, "_FENCED" if fenced else "_TIMED_OUT", fenced=fenced)

    def _abort(self, reason: str, *, fenced: bool = False) -> Ended:
        self._machine.point("abort")
        reached = self._reach(self._world.scheduler.now + 1.0)
        if not reached or self._world.broker.end(self._id, self._epoch, self._open, commit=False) is not None:
            return Ended(End.ABORTED, reason, fenced=fenced, broken=True)
        self._latency()
        return Ended(End.ABORTED, reason, fenced=fenced)
