from __future__ import annotations

from collections.abc import Sequence
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from connector.core.record import Partition, Record
from connector.core.time_order import TimeOrder

A, B = Partition("a", 0), Partition("b", 0)


def record(partition: Partition, offset: int, timestamp: int) -> Record:
    return Record(partition, offset, None, b"", (), timestamp)


def test_nothing_is_given_out_while_an_earlier_record_may_come() -> None:
    order = TimeOrder([A, B])
    order.take(record(A, 0, 20))
    assert list(order.ready(lambda _: False)) == []
    order.take(record(B, 0, 10))
    assert [each.partition for each in order.ready(lambda _: False)] == [B]
    assert [each.partition for each in order.ready(lambda partition: partition == B)] == [A]


@given(st.lists(st.lists(st.integers(0, 50)), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_every_record_comes_once_in_the_order_of_time(times: Sequence[Sequence[int]], random: Random) -> None:
    partitions = [Partition("t", number) for number in range(len(times))]
    left = {p: [record(p, at, stamp) for at, stamp in enumerate(sorted(times[p.number]))] for p in partitions}
    everything = sorted((each for records in left.values() for each in records), key=lambda each: each.timestamp or 0)
    order = TimeOrder(partitions)
    found: list[Record] = []
    while any(left.values()):
        partition = random.choice([p for p in partitions if left[p]])
        order.take(left[partition].pop(0))
        found += order.ready(lambda p: not left[p])
    found += order.ready(lambda _: True)
    assert [each.timestamp for each in found] == [each.timestamp for each in everything]
    assert {(each.partition, each.offset) for each in found} == {(each.partition, each.offset) for each in everything}
    assert len(found) == len(everything)
