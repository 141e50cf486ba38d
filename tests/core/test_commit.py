"""What a transaction carries, for any mixture of writes and assignments."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from connector.core.commit import Assignment, Kind, Phase, Write, plan
from connector.core.record import OutRecord, Partition

PARTITIONS = [Partition("documents", number) for number in range(3)]
KINDS: list[Kind] = ["intent", "ready", "started", "parked", "review", "result", "reject", "skip"]

assignments = st.dictionaries(
    st.sampled_from(PARTITIONS),
    st.builds(
        Assignment,
        number=st.integers(1, 3),
        phase=st.sampled_from(Phase),
        topic_id=st.just("topic-id"),
        next_offset=st.integers(0, 50),
    ),
)
records = st.lists(st.builds(OutRecord, st.just("t"), st.just(b"k"), st.binary(max_size=5)), max_size=2).map(tuple)
writes = st.lists(
    st.builds(
        Write,
        kind=st.sampled_from(KINDS),
        partition=st.sampled_from(PARTITIONS),
        assignment=st.integers(1, 3),
        records=records,
        next_offset=st.none() | st.integers(1, 60),
    ),
    max_size=12,
)


@given(writes, assignments)
def test_every_write_is_either_made_or_dropped_and_keeps_its_order(
    waiting: list[Write], owned: dict[Partition, Assignment]
) -> None:
    made = plan(waiting, owned)
    places = {write: place for place, write in enumerate(waiting)}
    for part in (made.writes, made.dropped):
        assert [places[write] for write in part] == sorted(places[write] for write in part)
    assert {*made.writes} | {*made.dropped} == {*waiting}
    assert len(made.writes) + len(made.dropped) == len(waiting)


@given(writes, assignments)
def test_only_the_very_assignment_of_a_write_carries_it(
    waiting: list[Write], owned: dict[Partition, Assignment]
) -> None:
    made = plan(waiting, owned)
    for write in made.writes:
        assert owned[write.partition].number == write.assignment
        assert owned[write.partition].phase in {Phase.LIVE, Phase.SETTLING}
    for write in made.dropped:
        assignment = owned.get(write.partition)
        assert assignment is None or assignment.number != write.assignment or assignment.phase is not Phase.LIVE


@given(writes, assignments)
def test_a_settling_partition_never_moves_its_offset_nor_takes_an_intent_but_settles_what_is_open(
    waiting: list[Write], owned: dict[Partition, Assignment]
) -> None:
    made = plan(waiting, owned)
    for partition, assignment in owned.items():
        if assignment.phase is Phase.SETTLING:
            mine = [w for w in waiting if w.partition == partition and w.assignment == assignment.number]
            settling = [w for w in mine if w.next_offset is None and w.kind != "intent"]
            assert [w for w in made.writes if w.partition == partition] == settling
            assert made.offsets.get(partition, assignment.next_offset) == assignment.next_offset


@given(writes, assignments)
def test_every_partition_that_is_written_names_an_offset_that_never_goes_back(
    waiting: list[Write], owned: dict[Partition, Assignment]
) -> None:
    made = plan(waiting, owned)
    assert set(made.offsets) == {write.partition for write in made.writes}
    for partition, offset in made.offsets.items():
        moved = [w.next_offset for w in made.writes if w.partition == partition and w.next_offset is not None]
        assert offset == max([owned[partition].next_offset, *moved])
