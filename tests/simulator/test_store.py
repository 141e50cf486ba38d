"""Runs over time, without a server and without waiting."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.core.run_types import NEEDS_REVIEW, RUN_TYPES
from connector.simulator.pages import ListQuery, page
from connector.simulator.refusals import Refusal
from connector.simulator.run import SimulatedRun
from connector.simulator.settings import Lifetimes
from connector.simulator.store import CANCELLING_MS, Store
from connector.simulator.timeline import STUCK_MS
from tests.simulator.machine import EVEN, START_MS, Machine

EXTRACT = RUN_TYPES["extract"]


@pytest.mark.parametrize("run_type", RUN_TYPES)
def test_a_run_is_processed_when_its_life_is_over(run_type: str) -> None:
    machine = Machine()
    run = machine.create(run_type)
    assert run.status == ("PENDING" if run_type == "workflow" else "PROCESSING")
    assert machine.status(run, 1999) == "PROCESSING"
    assert machine.status(run, 2000) == "PROCESSED"


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("a-simulate-failed.pdf", "FAILED"),
        ("a-simulate-cancelled.pdf", "CANCELLED"),
        ("a-simulate-rejected.pdf", "REJECTED"),
        ("a-simulate-status-ON_HOLD.pdf", "ON_HOLD"),
        ("a-simulate-needs-review~k3-abcdefghijklmnopqrstuv.pdf", NEEDS_REVIEW),
    ],
)
def test_a_file_name_asks_for_an_end(name: str, end: str) -> None:
    machine = Machine()
    assert machine.status(machine.create("workflow", name), 2000) == end


def test_metadata_asks_for_an_end() -> None:
    machine = Machine()
    run = machine.create(metadata={"simulate": "failed-PARSING_ERROR"})
    assert machine.status(run, 2000) == "FAILED"
    assert run.failure_reason == "PARSING_ERROR"


@pytest.mark.parametrize("decision", ["processed", "rejected"])
def test_a_review_is_decided_later(decision: str) -> None:
    machine = Machine()
    run = machine.create("workflow", f"simulate-needs-review-{decision}.pdf")
    assert machine.status(run, 6999) == NEEDS_REVIEW
    assert machine.status(run, 7000) == decision.upper()


def test_only_workflows_have_reviews() -> None:
    machine = Machine()
    assert machine.status(machine.create("extract", "simulate-needs-review.pdf"), 2000) == "PROCESSED"


def test_only_a_forced_status_is_one_that_the_type_does_not_have() -> None:
    machine = Machine()
    runs = [machine.create("edit", "simulate-cancelled.pdf"), machine.create("extract", "simulate-rejected.pdf")]
    forced = machine.create("edit", "simulate-status-CANCELLED.pdf")
    assert [machine.status(run, 2000) for run in runs] == ["PROCESSED", "PROCESSED"]
    assert machine.status(forced, 2000) == "CANCELLED"


def test_a_stuck_run_outlives_every_test() -> None:
    machine = Machine()
    assert machine.status(machine.create(name="simulate-stuck.pdf"), STUCK_MS - 1) == "PROCESSING"


def test_shares_are_kept() -> None:
    machine = Machine(Lifetimes(failed=0.2, cancelled=0.1, needs_review=0.5, rejected=0.25))
    runs = [machine.create("workflow") for _ in range(2000)]
    final = [run.timeline[-1].status for run in runs]
    assert final.count("FAILED") == pytest.approx(400, abs=60)
    assert final.count("CANCELLED") == pytest.approx(200, abs=50)
    assert final.count("REJECTED") == pytest.approx(2000 * 0.7 * 0.5 * 0.25, abs=50)


def test_edit_runs_are_never_cancelled_by_chance() -> None:
    machine = Machine(Lifetimes(cancelled=1.0))
    assert machine.create("edit").timeline[-1].status == "PROCESSED"


def test_lifetimes_are_log_normal_around_the_median() -> None:
    machine = Machine(Lifetimes(median=2.0, spread=0.5, longest=6.0))
    lives = sorted(run.first_end_ms - START_MS for run in (machine.create() for _ in range(2001)))
    assert lives[1000] == pytest.approx(2000, rel=0.1)
    assert lives[1683] == pytest.approx(2000 * 1.65, rel=0.1)  # one sigma: e^0.5
    assert lives[-1] <= 6000


def test_the_same_seed_gives_the_same_runs() -> None:
    def lives(seed: int) -> list[tuple[str, int]]:
        machine = Machine(Lifetimes(failed=0.5), seed)
        return [(run.id, run.first_end_ms) for run in (machine.create() for _ in range(20))]

    assert lives(7) == lives(7)
    assert not set(lives(7)) & set(lives(8))


@pytest.mark.parametrize("run_type", ["extract", "classify", "split", "parse"])
def test_a_processing_run_can_be_cancelled(run_type: str) -> None:
    machine = Machine()
    run = machine.create(run_type)
    assert machine.store.cancel(run.run_type, run.id, machine.now).status == "CANCELLED"
    assert machine.status(run, 60_000) == "CANCELLED"


def test_a_pending_workflow_run_takes_a_moment_to_stop() -> None:
    machine = Machine()
    run = machine.create("workflow")
    assert machine.store.cancel(run.run_type, run.id, machine.now).status == "CANCELLING"
    assert machine.status(run, CANCELLING_MS - 1) == "CANCELLING"
    assert machine.status(run, CANCELLING_MS) == "CANCELLED"
    assert machine.status(run, 60_000) == "CANCELLED"


def test_a_finished_run_cannot_be_cancelled() -> None:
    machine = Machine()
    run = machine.create()
    with pytest.raises(Refusal) as refusal:
        machine.store.cancel(EXTRACT, run.id, machine.now + 2000)
    assert refusal.value.status == 400


def test_a_deleted_run_is_gone() -> None:
    machine = Machine()
    run = machine.create()
    machine.store.delete(EXTRACT, run.id, machine.now)
    with pytest.raises(Refusal) as refusal:
        machine.store.get(EXTRACT, run.id, machine.now)
    assert refusal.value.status == 404
    assert page(machine.store, ListQuery(EXTRACT), machine.now)["data"] == []


def test_a_run_is_not_found_under_another_type() -> None:
    machine = Machine()
    run = machine.create("extract")
    with pytest.raises(Refusal):
        machine.store.get(RUN_TYPES["parse"], run.id, machine.now)


def test_a_clock_that_goes_back_does_not_undo_anything() -> None:
    machine = Machine()
    run = machine.create()
    assert machine.status(run, 2000) == "PROCESSED"
    assert machine.status(run, 100) == "PROCESSED"
    assert machine.create().created_ms == START_MS + 2000


def everything(store: Store, query: ListQuery, now_ms: int) -> list[str]:
    """The ids of all pages."""
    ids: list[str] = []
    while True:
        found = page(store, query, now_ms)
        assert len(found["data"]) <= query.page_size
        ids.extend(row["id"] for row in found["data"])
        if "nextPageToken" not in found:
            return ids
        query = ListQuery(
            query.run_type,
            query.order,
            query.descending,
            query.status,
            page_size=query.page_size,
            token=found["nextPageToken"],
        )


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["create", "wait", "cancel", "delete", "touch"]),
        st.integers(0, 30),
        st.sampled_from(["", "-simulate-failed", "-simulate-needs-review-rejected", "-simulate-stuck"]),
    ),
    max_size=60,
)


@given(steps=STEPS, median=st.sampled_from([0.0, 0.3, 2.0]), size=st.integers(1, 7))
@settings(max_examples=150, deadline=None)
def test_lists_are_what_sorting_all_runs_would_give(
    steps: list[tuple[str, int, str]],
    median: float,
    size: int,
) -> None:
    workflow = RUN_TYPES["workflow"]
    machine = Machine(Lifetimes(median=median, review_median=0.3))
    alive: list[SimulatedRun] = []
    for what, number, name in steps:
        if what == "wait":
            machine.now += number * 20
        elif what == "create" or not alive:
            alive.append(machine.create("workflow", f"{number}{name}.pdf"))
        elif what == "delete":
            run = alive.pop(number % len(alive))
            machine.store.delete(workflow, run.id, machine.now)
        elif what == "touch":
            machine.store.touch(alive[number % len(alive)], alive[number % len(alive)].body, machine.now)
        else:
            run = machine.store.get(workflow, alive[number % len(alive)].id, machine.now)
            if run.status in workflow.cancellable:
                machine.store.cancel(workflow, run.id, machine.now)
    machine.store.advance(machine.now)
    for run in alive:
        due = [step for step in run.timeline if step.at_ms <= machine.now]
        assert run.status == due[-1].status
        assert run.updated_ms == max(due[-1].at_ms, run.touched_ms)
    by_id = {run.id: run for run in alive}
    newest = everything(machine.store, ListQuery(workflow, page_size=size), machine.now)
    assert sorted(newest) == sorted(by_id)
    assert all(by_id[a].updated_ms >= by_id[b].updated_ms for a, b in pairwise(newest))
    oldest = everything(machine.store, ListQuery(workflow, descending=False, page_size=size), machine.now)
    assert oldest == newest[::-1]
    created = everything(machine.store, ListQuery(workflow, "createdAt", page_size=size), machine.now)
    assert created == [run.id for run in sorted(alive, key=lambda run: run.number, reverse=True)]
    rejected = everything(machine.store, ListQuery(workflow, status="REJECTED", page_size=size), machine.now)
    assert rejected == [run_id for run_id in newest if by_id[run_id].status == "REJECTED"]


def test_a_scan_by_creation_misses_nothing_while_rows_move() -> None:
    machine = Machine(EVEN)
    before = []
    for _ in range(10):
        before.append(machine.create().id)
        machine.now += 300
    query = ListQuery(EXTRACT, "createdAt", page_size=3)
    seen: list[str] = []
    while True:
        found = page(machine.store, query, machine.now)
        seen.extend(row["id"] for row in found["data"])
        if "nextPageToken" not in found:
            break
        machine.create()
        machine.now += 700
        query = ListQuery(EXTRACT, "createdAt", page_size=3, token=found["nextPageToken"])
    assert seen == before[::-1]


def test_a_page_token_belongs_to_its_query() -> None:
    machine = Machine()
    for _ in range(3):
        machine.create()
    token = page(machine.store, ListQuery(EXTRACT, page_size=1), machine.now)["nextPageToken"]
    for query in (
        ListQuery(EXTRACT, "createdAt", token=token),
        ListQuery(EXTRACT, status="PROCESSED", token=token),
        ListQuery(RUN_TYPES["classify"], token=token),
        ListQuery(EXTRACT, token="nonsense"),
        ListQuery(EXTRACT, token="é"),
    ):
        with pytest.raises(Refusal):
            page(machine.store, query, machine.now)
    assert len(page(machine.store, ListQuery(EXTRACT, page_size=7, token=token), machine.now)["data"]) == 2


def test_lists_filter_by_file_name_and_processor() -> None:
    machine = Machine()
    machine.create(name="alpha.pdf")
    other = machine.create(name="beta.pdf", extractor={"id": "ex_other"})
    for query in (ListQuery(EXTRACT, name_contains="eta"), ListQuery(EXTRACT, processor="ex_other")):
        assert [row["id"] for row in page(machine.store, query, machine.now)["data"]] == [other.id]


def test_the_tag_is_found_in_the_metadata_or_in_the_file_name() -> None:
    machine = Machine()
    tag = "invoices/documents/0/7#abcdefghijklmnopqrstuv"
    run = machine.create(metadata={"kafka_connector": {"tag": tag, "partition": 0}})
    assert run.tag() == tag
    assert machine.create("edit", "form~k12-abcdefghijklmnopqrstuv.pdf").tag() == "~k12-abcdefghijklmnopqrstuv"
    assert machine.create("edit", "form.pdf").tag() is None
    assert json.loads(run.body)["metadata"]["kafka_connector"]["tag"] == tag
