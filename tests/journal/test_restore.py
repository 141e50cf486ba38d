"""Restoring: the order of the questions, what is held back, and what stops a partition. No thread runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import pytest

from connector.adapters.metrics import Metrics
from connector.core.entry import State
from connector.core.errors import ConnectorError, TopicError
from connector.core.formats.framing import Codec
from connector.core.journal_record import JournalCodec, Mark, fingerprint_of
from connector.core.record import Partition, Record
from connector.journal.restore import (
    MARGIN_SECONDS,
    WITHHELD_MOST,
    Failed,
    Found,
    JournalPlace,
    Restorer,
    RestoreReport,
)
from connector.schema_files import load_schema
from tests.factories.records import entry_of
from tests.journal.thread_world import P0, P1, Ticking

NAME, TOPIC_ID, TIMEOUT = "invoices", "topic-id", 15.0
PLACE = JournalPlace(NAME, "invoices.journal", 2)
J0, J1 = PLACE.of(P0), PLACE.of(P1)
codec = JournalCodec(Codec(load_schema("journal_entry")), NAME)


def line(journal: Partition, key: bytes | None, value: bytes | None, offset: int = 0) -> Record:
    return Record(journal, offset, key, value)


def mark_line(partition: Partition, offset: int, *, fingerprint: str = PLACE.fingerprint) -> Record:
    mark = Mark(NAME, partition, TOPIC_ID, offset, fingerprint)
    return line(PLACE.of(partition), mark.key, codec.encode_mark(mark))


@dataclass
class FakeCluster:
    """Reader and cluster in one, so that the order of the questions can be seen."""

    asked: list[str] = field(default_factory=list)
    offsets: dict[Partition, int | None] = field(default_factory=lambda: {P0: 5, P1: 5})
    withheld: set[Partition] = field(default_factory=set)
    lines: dict[Partition, list[Record]] = field(default_factory=dict)
    blocked: set[Partition] = field(default_factory=set)
    ids: dict[str, str] = field(default_factory=lambda: {"documents": TOPIC_ID})
    failure: ConnectorError | None = None
    fails: str = ""
    ends: list[Mapping[Partition, int]] = field(default_factory=list)
    unavailable: set[Partition] = field(default_factory=set)
    unreadable: set[Partition] = field(default_factory=set)
    denied: set[str] = field(default_factory=set)
    names: list[list[str]] = field(default_factory=list)

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.failure is not None and self.fails == what:
            raise self.failure

    def committed(self, partitions: Iterable[Partition], _timeout: float) -> dict[Partition, int | None] | None:
        self._ask("committed")
        asked = list(partitions)
        return None if self.withheld & set(asked) else {partition: self.offsets[partition] for partition in asked}

    def read(self, ends: Mapping[Partition, int], _patience: float) -> Iterable[Record]:
        self._ask("read")
        self.ends.append(ends)
        (journal,) = ends
        if journal in self.unreadable:
            raise TopicError([f"{journal} cannot be read"])
        yield from self.lines.get(journal, [])
        if journal in self.blocked:
            raise TimeoutError("an open transaction")

    def each_log_end(self, partitions: Iterable[Partition], *, committed: bool) -> Mapping[Partition, int | TopicError]:
        assert not committed, "an entry may stand above the last stable offset"
        self._ask("log_ends")
        return self._answers(partitions, 7)

    def each_log_start(self, partitions: Iterable[Partition]) -> Mapping[Partition, int | TopicError]:
        self._ask("log_starts")
        return self._answers(partitions, 3)

    def each_offset_at(
        self,
        partitions: Iterable[Partition],
        _timestamp_ms: int,
    ) -> Mapping[Partition, int | TopicError]:
        self._ask("offsets_at")
        return self._answers(partitions, 4)

    def each_topic_id(self, names: Iterable[str]) -> Mapping[str, str | TopicError]:
        self._ask("topic_ids")
        asked = list(names)
        self.names.append(asked)
        unknown = {name: TopicError([f"{name} may not be described"]) for name in asked if name in self.denied}
        return {name: self.ids[name] for name in asked if name in self.ids} | unknown

    def _answers(self, partitions: Iterable[Partition], at: int) -> Mapping[Partition, int | TopicError]:
        return {p: TopicError([f"{p} has no leader"]) if p in self.unavailable else at for p in partitions}

    def close(self) -> None:
        """Nothing to free."""


class Case:
    """A restorer whose steps a test makes."""

    def __init__(self, *, start_ms: int | None = None) -> None:
        self.cluster = FakeCluster()
        self.clock = Ticking()
        self.metrics = Metrics()
        self.released: list[list[Partition]] = []
        self.reports: list[RestoreReport] = []
        self.topics: list[tuple[str, str]] = []
        self.release_fails = False
        self.restorer: Restorer[FakeCluster, FakeCluster] = Restorer(
            open_reader=lambda: self.cluster,
            open_cluster=lambda: self.cluster,
            release=self.release,
            codec=codec,
            place=PLACE,
            topics={"documents"},
            start_ms=start_ms,
            transaction_timeout=TIMEOUT,
            metrics=self.metrics,
            monotonic=self.clock,
        )
        self.restorer._reader = self.restorer._cluster = self.cluster
        self.restorer._reports = self

    def release(self, journals: list[Partition], *_clients: FakeCluster) -> None:
        self.cluster.asked.append("release")
        self.released.append(journals)
        if self.release_fails:
            raise TopicError(["no coordinator"])

    def report_restored(self, report: RestoreReport) -> None:
        self.reports.append(report)

    def report_topic(self, topic: str, topic_id: str) -> None:
        self.topics.append((topic, topic_id))

    def report_failure(self, error: BaseException) -> None:
        raise error

    def step(self, *wanted: tuple[Partition, int]) -> None:
        if wanted:
            self.restorer.request(wanted)
        self.restorer.check()
        self.restorer._serve()
        self.restorer._step()

    def found(self) -> Found:
        (report,) = self.reports
        assert isinstance(report.outcome, Found), report.outcome
        return report.outcome


@pytest.fixture
def case() -> Case:
    return Case()


def test_offsets_are_asked_for_before_the_log_end_and_that_before_the_reading(case: Case) -> None:
    case.step((P0, 1))
    assert [what for what in case.cluster.asked if what in {"committed", "log_ends", "read"}] == [
        "committed",
        "log_ends",
        "read",
    ]
    assert case.cluster.ends == [{J0: 7}]


def test_the_entries_of_a_partition_are_found_as_they_were_written_last(case: Case) -> None:
    entry = entry_of()
    entry = replace(entry, tag=replace(entry.tag, partition=P0))
    done = replace(entry, tag=replace(entry.tag, offset=40))
    case.cluster.lines[J0] = [
        line(J0, None, b"no key"),
        line(J0, str(entry.tag).encode(), codec.encode_entry(replace(entry, state=State.READY))),
        line(J0, str(done.tag).encode(), codec.encode_entry(done)),
        line(J0, str(entry.tag).encode(), codec.encode_entry(entry)),
        line(J0, str(done.tag).encode(), None),
        mark_line(P0, 42),
    ]
    case.cluster.offsets[P0] = 42
    case.step((P0, 7))
    assert case.reports == [RestoreReport(P0, 7, Found(TOPIC_ID, 42, (entry,)))]


def test_partitions_that_share_a_journal_partition_are_restored_together(case: Case) -> None:
    third = Partition("documents", 2)
    case.cluster.offsets[third] = 9
    case.step((P0, 1), (third, 2))
    assert {report.partition for report in case.reports} == {P0, third}
    assert case.cluster.asked.count("read") == 1


def test_an_offset_that_is_withheld_holds_back_its_partition_alone_and_has_the_dead_released(case: Case) -> None:
    case.cluster.withheld = {P0}
    case.step((P0, 1), (P1, 2))
    assert [report.partition for report in case.reports] == [P1]
    assert case.released == [[J0, J1]]
    case.cluster.withheld = set()
    case.step()
    assert [report.partition for report in case.reports] == [P1, P0]


def test_a_journal_that_is_held_back_by_an_open_transaction_is_read_again_from_the_start(case: Case) -> None:
    case.cluster.blocked = {J0}
    case.cluster.lines[J0] = [mark_line(P0, 9)]
    case.step((P0, 1), (P1, 2))
    assert [report.partition for report in case.reports] == [P1]
    assert case.released == [[J0]]
    case.cluster.blocked = set()
    case.reports.clear()
    case.step()
    assert case.found().offset == 9


def test_nothing_is_released_while_nothing_is_held_back(case: Case) -> None:
    case.step((P0, 1))
    assert case.released == []


def test_a_restore_that_takes_too_long_raises_an_alert_and_goes_on(case: Case) -> None:
    case.cluster.withheld = {P0}
    case.step((P0, 1))
    assert case.metrics.registry.get_sample_value("extend_connector_restores_blocked") == 0
    case.clock.now += TIMEOUT + MARGIN_SECONDS + 1.0
    case.step()
    assert case.metrics.registry.get_sample_value("extend_connector_restores_blocked") == 1
    case.cluster.withheld = set()
    case.step()
    assert case.found().offset == 5
    assert case.metrics.registry.get_sample_value("extend_connector_restores_blocked") == 0


def test_the_alert_is_raised_while_nobody_answers_at_all(case: Case) -> None:
    case.cluster.failure, case.cluster.fails = TopicError(["No broker answered."]), "committed"
    with pytest.raises(TopicError):
        case.step((P0, 1))
    case.clock.now += TIMEOUT + MARGIN_SECONDS + 1.0
    with pytest.raises(TopicError):
        case.step()
    assert case.metrics.registry.get_sample_value("extend_connector_restores_blocked") == 1


@pytest.mark.parametrize("question", ["committed", "log_ends", "read", "log_starts"])
def test_a_question_that_fails_is_asked_again_and_no_partition_is_forgotten(case: Case, question: str) -> None:
    case.cluster.offsets[P0] = None
    case.cluster.failure, case.cluster.fails = TopicError(["brokers away"]), question
    with pytest.raises(TopicError):
        case.step((P0, 1))
    assert case.reports == []
    case.cluster.failure = None
    case.step()
    assert case.found().offset == 3


def test_a_restore_that_is_not_wanted_any_more_is_not_reported(case: Case) -> None:
    case.cluster.withheld = {P0}
    case.step((P0, 1))
    case.restorer.forget([(P0, 1)])
    case.cluster.withheld = set()
    case.step()
    assert case.reports == []


def test_forgetting_an_earlier_assignment_leaves_the_newer_one(case: Case) -> None:
    case.restorer.request([(P0, 2)])
    case.restorer.forget([(P0, 1)])
    case.step()
    assert [(report.partition, report.assignment) for report in case.reports] == [(P0, 2)]


def test_a_topic_that_is_not_there_waits(case: Case) -> None:
    case.cluster.ids = {}
    case.step((P0, 1))
    assert case.reports == []
    case.cluster.ids = {"documents": TOPIC_ID}
    case.step()
    assert case.found().topic_id == TOPIC_ID


@pytest.mark.parametrize(
    ("start_ms", "expected"),
    [(None, 3), (1_790_000_000_000, 4)],
)
def test_a_new_partition_begins_where_the_configuration_says(start_ms: int | None, expected: int) -> None:
    case = Case(start_ms=start_ms)
    case.cluster.offsets[P0] = None
    case.step((P0, 1))
    assert case.found().offset == expected


@pytest.mark.parametrize(
    ("committed", "mark", "topic_id", "expected", "cause"),
    [
        (5, 5, TOPIC_ID, 5, None),
        (None, 9, TOPIC_ID, 9, "offsets_behind"),
        (2, 9, TOPIC_ID, 9, "offsets_behind"),
        (12, 9, TOPIC_ID, 12, "offsets_ahead"),
        (12, 9, "another-id", 3, "topic_recreated"),
    ],
)
def test_the_position_is_taken_from_offsets_and_mark_and_differences_are_counted(
    case: Case,
    *,
    committed: int | None,
    mark: int,
    topic_id: str,
    expected: int,
    cause: str | None,
) -> None:
    case.cluster.ids = {"documents": topic_id}
    case.cluster.offsets[P0] = committed
    case.cluster.lines[J0] = [mark_line(P0, mark)]
    case.step((P0, 1))
    assert case.found().offset == expected
    for name in ("offsets_behind", "offsets_ahead", "topic_recreated"):
        counted = case.metrics.registry.get_sample_value("extend_connector_positions_reset_total", {"reason": name})
        assert (counted or 0) == (1 if name == cause else 0)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda: line(J0, mark_line(P0, 1).key, b"garbage"), "journal_unreadable"),
        (lambda: mark_line(P0, 1, fingerprint=fingerprint_of(NAME, 8)), "journal_moved"),
    ],
)
def test_what_cannot_be_trusted_stops_its_partition_alone(case: Case, spoil: Callable[[], Record], reason: str) -> None:
    other = Partition("documents", 2)
    case.cluster.offsets[other] = 1
    case.cluster.lines[J0] = [spoil()]
    case.step((P0, 1), (other, 2))
    outcomes = {report.partition: report.outcome for report in case.reports}
    failed = outcomes[P0]
    assert isinstance(failed, Failed)
    assert failed.reason == reason
    assert isinstance(outcomes[other], Found)


def test_the_ids_of_topics_are_looked_at_every_five_seconds_or_when_asked(case: Case) -> None:
    case.step((P0, 1))
    assert case.topics == [("documents", TOPIC_ID)]
    case.restorer._step()
    assert len(case.topics) == 1
    case.clock.now += 5.1
    case.restorer._step()
    assert len(case.topics) == 2
    case.step()
    assert len(case.topics) == 3


def others(number: int) -> list[Partition]:
    return [Partition("documents", 2 * each) for each in range(1, number + 1)]


def test_the_dead_are_released_before_partitions_are_asked_for_singly(case: Case) -> None:
    case.cluster.withheld = {P0}
    case.step((P0, 1), (P1, 2))
    assert case.cluster.asked[:4] == ["committed", "release", "committed", "committed"]


def test_a_release_that_fails_keeps_back_nobody_else(case: Case) -> None:
    case.cluster.withheld, case.release_fails = {P0}, True
    with pytest.raises(TopicError):
        case.step((P0, 1), (P1, 2))
    assert [report.partition for report in case.reports] == [P1]


def test_many_withheld_offsets_do_not_delay_the_others_by_the_sum_of_their_waits(case: Case) -> None:
    blocked = others(20)
    case.cluster.offsets |= dict.fromkeys(blocked, 5)
    case.cluster.withheld = set(blocked)
    case.restorer.request([(partition, 1) for partition in blocked])
    case.restorer.request([(P1, 1)])
    rounds = 0
    while not case.reports:
        rounds += 1
        before = case.cluster.asked.count("committed")
        case.step()
        assert case.cluster.asked.count("committed") - before <= WITHHELD_MOST + 2
    assert rounds <= len(blocked) // WITHHELD_MOST + 1
    assert case.found().offset == 5


@pytest.mark.parametrize("what", ["unavailable", "unreadable"])
def test_a_journal_partition_that_does_not_answer_keeps_back_its_own_partitions_alone(case: Case, what: str) -> None:
    getattr(case.cluster, what).add(J0)
    with pytest.raises(TopicError, match=r"invoices\.journal/0"):
        case.step((P0, 1), (P1, 2))
    assert [report.partition for report in case.reports] == [P1]
    assert case.topics == [("documents", TOPIC_ID)]
    getattr(case.cluster, what).clear()
    case.step()
    assert [report.partition for report in case.reports] == [P1, P0]


def test_a_take_over_is_reached_although_another_journal_partition_does_not_answer(case: Case) -> None:
    case.cluster.unavailable, case.cluster.blocked = {J0}, {J1}
    with pytest.raises(TopicError):
        case.step((P0, 1), (P1, 2))
    assert case.released == [[J1]]


@pytest.mark.parametrize("start_ms", [None, 1_790_000_000_000])
def test_a_new_input_partition_that_does_not_answer_keeps_back_itself_alone(start_ms: int | None) -> None:
    case = Case(start_ms=start_ms)
    case.cluster.offsets = {P0: None, P1: None}
    case.cluster.unavailable = {P0}
    with pytest.raises(TopicError, match="documents/0"):
        case.step((P0, 1), (P1, 2))
    assert [report.partition for report in case.reports] == [P1]


def test_a_topic_that_may_not_be_described_keeps_back_itself_alone(case: Case) -> None:
    other = Partition("invoices", 0)
    case.cluster.offsets[other] = 1
    case.cluster.denied = {"invoices"}
    with pytest.raises(TopicError, match="invoices"):
        case.step((other, 1), (P1, 2))
    assert [report.partition for report in case.reports] == [P1]
    assert case.topics == [("documents", TOPIC_ID)]


def test_a_position_that_differs_is_counted_once_however_often_the_topic_was_asked(case: Case) -> None:
    case.cluster.ids = {"documents": "another-id"}
    case.cluster.lines[J0] = [mark_line(P0, 9)]
    case.cluster.unavailable = {P0}
    for _ in range(3):
        with pytest.raises(TopicError):
            case.step((P0, 1))
    case.cluster.unavailable = set()
    case.step()
    counted = {"reason": "topic_recreated"}
    assert case.metrics.registry.get_sample_value("extend_connector_positions_reset_total", counted) == 1


def test_kafka_is_asked_for_the_input_topics_although_no_partition_is_ours(case: Case) -> None:
    case.step()
    assert case.cluster.names == [["documents"]]
    assert case.restorer.kafka_answered == case.clock.now


def test_kafka_has_not_answered_when_every_question_failed(case: Case) -> None:
    case.cluster.denied, case.cluster.withheld = {"documents"}, {P0}
    with pytest.raises(TopicError):
        case.step((P0, 1))
    assert case.restorer.kafka_answered == 0.0
