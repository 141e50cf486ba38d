"""A checker that cannot fail is worth nothing: every broken promise is planted here, and seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from connector.core.record import Partition, Record
from connector.core.tag import Tag, tag_of
from tests.chaos.checker import Rules, check
from tests.chaos.history import (
    CreatedRun,
    DeadLetter,
    Fault,
    History,
    Input,
    OpenEntry,
    Result,
    Withheld,
    short_tag,
)

P0 = Partition("documents", 0)
P1 = Partition("documents", 1)
RULES = Rules(
    prefix="documents",
    parked_at_most=1,
    run_types=frozenset({"extract", "workflow", "edit"}),
    statuses=frozenset({"PROCESSED", "NEEDS_REVIEW", "REJECTED", "FAILED"}),
    faults={"kill": 1},
    partitions=frozenset({P0, P1}),
)


def tag(partition: Partition, offset: int) -> Tag:
    return tag_of("invoices", "topic-id", Record(partition, offset, b"key", b"value"))


def given(partition: Partition, offset: int) -> Input:
    return Input(tag(partition, offset), f"doc-{partition.number}-{offset}", b"key", at_ms=1_000 + offset)


def result(of: Input, run: CreatedRun, status: str, topic: str, revision: int = 1) -> Result:
    return Result(
        topic=topic,
        place=f"0@{of.tag.offset + revision}",
        result_id=f"{of.tag}@{revision}",
        revision=revision,
        run_id=run.run_id,
        run_type=run.run_type,
        status=status,
        document_id=of.document_id,
        source=of.tag.partition,
        source_offset=of.tag.offset,
        key=of.key,
        at_ms=3_000 + revision,
    )


EXTRACTED, REVIEWED, BAD, PARKED, EDITED = (given(*at) for at in ((P0, 0), (P0, 1), (P0, 3), (P1, 0), (P1, 1)))
EXTRACT = CreatedRun("exr_1", "extract", str(EXTRACTED.tag), 2_000)
WORKFLOW = CreatedRun("wfr_1", "workflow", str(REVIEWED.tag), 2_000)
UNANSWERED = CreatedRun("exr_2", "extract", str(PARKED.tag), 2_000)
EDIT = CreatedRun("edr_1", "edit", short_tag(EDITED.tag), 2_000)
PROCESSED = result(EXTRACTED, EXTRACT, "PROCESSED", "documents.processed")
IN_REVIEW = result(REVIEWED, WORKFLOW, "NEEDS_REVIEW", "documents.needs-review")
REJECTED = result(REVIEWED, WORKFLOW, "REJECTED", "documents.rejected", revision=2)
FAILED = result(EDITED, EDIT, "FAILED", "documents.failed")
LETTER = DeadLetter("0@0", P0, 3, "NO_FILE", 2_500)
UNCLEAR = OpenEntry(PARKED.tag, "parked", at_ms=2_500)

# Offset 2 of partition 0 is a transaction marker of whoever wrote the references.
SOUND = History(
    inputs=(EXTRACTED, REVIEWED, BAD, PARKED, EDITED),
    results=(PROCESSED, IN_REVIEW, REJECTED, FAILED),
    dead_letters=(LETTER,),
    runs=(EXTRACT, WORKFLOW, UNANSWERED, EDIT),
    open_entries=(UNCLEAR,),
    committed={P0: 4, P1: 2},
    marks={P0: 4, P1: 2},
    faults=(Fault("kill", "worker-1", 2_000, 4_000),),
)


def kinds(history: History, rules: Rules = RULES) -> set[str]:
    return set(check(history, rules).kinds)


def test_a_run_that_kept_every_promise_is_found_sound() -> None:
    verdict = check(SOUND, RULES)

    assert verdict.violations == ()
    assert str(verdict).startswith("every promise kept: 5 inputs, 4 results, 1 dead letters, 4 runs, 1 parked")


def with_part(part: str, values: tuple[Any, ...]) -> History:
    changed: dict[str, Any] = {part: values}
    return replace(SOUND, **changed)


PARTS = ("inputs", "results", "dead_letters", "runs", "open_entries")
EVERY_RECORD = [(part, place) for part in PARTS for place in range(len(getattr(SOUND, part)))]


@pytest.mark.parametrize(("part", "place"), EVERY_RECORD)
def test_no_single_record_can_be_missing(part: str, place: int) -> None:
    values = getattr(SOUND, part)
    found = kinds(with_part(part, values[:place] + values[place + 1 :]))

    # Whether an unclear start created a run is what nobody knows: with or without, parked is right.
    assert bool(found) is (values[place] is not UNANSWERED)


@pytest.mark.parametrize(("part", "place"), [each for each in EVERY_RECORD if each[0] in {"results", "dead_letters"}])
def test_no_single_record_can_be_there_twice(part: str, place: int) -> None:
    values = getattr(SOUND, part)

    assert "duplicate" in kinds(with_part(part, (*values, values[place])))


PLANTED: list[tuple[str, str, Callable[[History], History]]] = [
    ("a second result", "duplicate", lambda h: replace(h, results=(*h.results, replace(PROCESSED, place="1@7")))),
    (
        "a second result on another status topic",
        "duplicate",
        lambda h: replace(h, results=(*h.results, result(EXTRACTED, EXTRACT, "FAILED", "documents.failed"))),
    ),
    (
        "a dead letter beside the result",
        "duplicate",
        lambda h: replace(h, dead_letters=(LETTER, DeadLetter("0@1", P0, 0, "LATE"))),
    ),
    ("an input that vanished", "lost", lambda h: replace(h, dead_letters=())),
    ("an offset above it", "offset", lambda h: replace(h, dead_letters=())),
    (
        "a run bought twice",
        "second run",
        lambda h: replace(h, runs=(*h.runs, replace(EXTRACT, run_id="exr_9"))),
    ),
    (
        "a run bought twice, known by its file name only",
        "second run",
        lambda h: replace(h, runs=(*h.runs, replace(EDIT, run_id="edr_9"))),
    ),
    (
        "a run bought for a dead letter",
        "unused run",
        lambda h: replace(h, runs=(*h.runs, CreatedRun("exr_9", "extract", str(BAD.tag)))),
    ),
    ("a run without a tag", "phantom", lambda h: replace(h, runs=(*h.runs, CreatedRun("exr_9", "extract", None)))),
    (
        "a result whose run was never bought",
        "phantom",
        lambda h: replace(h, results=(replace(PROCESSED, run_id="exr_0"), *h.results[1:])),
    ),
    (
        "a result with somebody else's run",
        "phantom",
        lambda h: replace(h, results=(replace(PROCESSED, run_id="wfr_1"), *h.results[1:])),
    ),
    (
        "a result without a run that is not the connector's own end",
        "phantom",
        lambda h: replace(h, results=(replace(PROCESSED, run_id=None), *h.results[1:])),
    ),
    (
        "a result for a record that nobody wrote",
        "phantom",
        lambda h: replace(h, results=(*h.results, replace(PROCESSED, result_id=f"{tag(P1, 9)}@1"))),
    ),
    (
        "a dead letter for a record that nobody wrote",
        "phantom",
        lambda h: replace(h, dead_letters=(LETTER, replace(LETTER, source_offset=9))),
    ),
    (
        "an entry for a record that nobody wrote",
        "phantom",
        lambda h: replace(h, open_entries=(UNCLEAR, replace(UNCLEAR, tag=tag(P1, 9)))),
    ),
    (
        "the document id of another",
        "untrue",
        lambda h: replace(h, results=(replace(PROCESSED, document_id="doc-0-1"), *h.results[1:])),
    ),
    (
        "another source offset",
        "untrue",
        lambda h: replace(h, results=(replace(PROCESSED, source_offset=1), *h.results[1:])),
    ),
    ("a lost key", "untrue", lambda h: replace(h, results=(replace(PROCESSED, key=None), *h.results[1:]))),
    (
        "the topic of another status",
        "untrue",
        lambda h: replace(h, results=(replace(PROCESSED, topic="documents.failed"), *h.results[1:])),
    ),
    (
        "another run type",
        "untrue",
        lambda h: replace(h, results=(replace(PROCESSED, run_type="parse"), *h.results[1:])),
    ),
    ("revision 2 alone", "revisions", lambda h: replace(h, results=(PROCESSED, REJECTED, FAILED))),
    (
        "a revision after the end",
        "revisions",
        lambda h: replace(h, results=(*h.results, result(EXTRACTED, EXTRACT, "PROCESSED", "documents.processed", 2))),
    ),
    (
        "no tombstone with the result",
        "torn",
        lambda h: replace(h, open_entries=(UNCLEAR, OpenEntry(EXTRACTED.tag, "started", "exr_1"))),
    ),
    (
        "no tombstone with the dead letter",
        "torn",
        lambda h: replace(h, open_entries=(UNCLEAR, OpenEntry(BAD.tag, "ready"))),
    ),
    ("a tombstone without the final result", "torn", lambda h: replace(h, results=(PROCESSED, IN_REVIEW, FAILED))),
    (
        "a revision without its entry",
        "torn",
        lambda h: replace(
            h,
            results=(PROCESSED, IN_REVIEW, FAILED),
            open_entries=(UNCLEAR, OpenEntry(REVIEWED.tag, "started", "wfr_1")),
        ),
    ),
    ("an offset that went back", "offset", lambda h: replace(h, committed={P0: 1, P1: 2}, marks={P0: 1, P1: 2})),
    ("an offset without its mark", "offset", lambda h: replace(h, marks={P0: 4, P1: 1})),
    ("no mark at all", "offset", lambda h: replace(h, marks={P0: 4})),
    ("an expired group", "offset", lambda h: replace(h, committed={})),
    (
        "work that was left open",
        "unfinished",
        lambda h: replace(
            h,
            results=(IN_REVIEW, REJECTED, FAILED),
            open_entries=(UNCLEAR, OpenEntry(EXTRACTED.tag, "started", "exr_1")),
        ),
    ),
    (
        "more parked than explained",
        "parked",
        lambda h: replace(
            h,
            results=(IN_REVIEW, REJECTED, FAILED),
            open_entries=(UNCLEAR, OpenEntry(EXTRACTED.tag, "parked")),
        ),
    ),
    ("a fault that met nothing", "vacuous", lambda h: replace(h, faults=(replace(h.faults[0], hit=False),))),
    ("no fault", "vacuous", lambda h: replace(h, faults=())),
]


@pytest.mark.parametrize(("kind", "plant"), [each[1:] for each in PLANTED], ids=[each[0] for each in PLANTED])
def test_a_planted_violation_is_found(kind: str, plant: Callable[[History], History]) -> None:
    assert kind in kinds(plant(SOUND))


def test_an_end_of_the_connectors_own_needs_no_run() -> None:
    own = replace(PROCESSED, run_id=None, status="FAILED", topic="documents.failed", failure_reason="CONNECTOR_GONE")
    rules = replace(RULES, run_types=frozenset(), statuses=frozenset())

    assert kinds(replace(SOUND, results=(own, *SOUND.results[1:]), runs=SOUND.runs[1:]), rules) == set()


ANY_STATUS = replace(RULES, statuses=frozenset())
TIMED_OUT = replace(
    PROCESSED,
    status="FAILED",
    topic="documents.timed-out",
    failure_reason="CONNECTOR_TIMED_OUT",
)


def test_a_run_that_was_not_waited_for_ends_on_a_topic_of_its_own() -> None:
    assert kinds(replace(SOUND, results=(TIMED_OUT, *SOUND.results[1:])), ANY_STATUS) == set()


@pytest.mark.parametrize(
    "wrong",
    [
        replace(TIMED_OUT, topic="documents.failed"),
        replace(TIMED_OUT, failure_reason="OCR_ERROR"),
        replace(TIMED_OUT, status="PROCESSED"),
    ],
)
def test_the_topic_of_who_was_not_waited_for_is_for_nothing_else(wrong: Result) -> None:
    assert kinds(replace(SOUND, results=(wrong, *SOUND.results[1:])), ANY_STATUS) == {"untrue"}


ADOPTS = replace(RULES, parked_at_most=0, settle_ms=30_000, run_types=frozenset(), statuses=frozenset())
ANOTHER = OpenEntry(EXTRACTED.tag, "parked", at_ms=2_500)
BOTH_PARKED = replace(SOUND, results=SOUND.results[1:], open_entries=(UNCLEAR, ANOTHER))
CREATES = tuple(Withheld(str(each.tag), 2_000) for each in (EXTRACTED, PARKED))
NO_RUN = (WORKFLOW, EDIT)
LATE = tuple(replace(run, at_ms=32_001) for run in (EXTRACT, UNANSWERED))


@pytest.mark.parametrize(
    ("history", "right"),
    [
        pytest.param(replace(BOTH_PARKED, runs=NO_RUN, withheld=CREATES), True, id="the API created neither"),
        pytest.param(replace(BOTH_PARKED, runs=(*NO_RUN, *LATE), withheld=CREATES), True, id="created late"),
        pytest.param(replace(SOUND, withheld=CREATES[1:]), True, id="created in time, and one worker was killed"),
        pytest.param(BOTH_PARKED, False, id="both created at once, and one worker was killed"),
        pytest.param(
            replace(BOTH_PARKED, runs=(*NO_RUN, *(replace(run, at_ms=31_999) for run in LATE)), withheld=CREATES),
            False,
            id="both created within the window",
        ),
        pytest.param(replace(SOUND, runs=(EXTRACT, *NO_RUN)), True, id="no POST came, and one worker was killed"),
        pytest.param(replace(BOTH_PARKED, runs=NO_RUN), False, id="no POST came twice, and one worker was killed"),
    ],
)
def test_who_adopts_parks_only_what_the_api_never_had_in_time(history: History, *, right: bool) -> None:
    assert kinds(history, ADOPTS) == (set() if right else {"parked"})


def test_a_worker_that_dies_may_leave_as_many_unsent_starts_as_it_may_have_open() -> None:
    history = replace(BOTH_PARKED, runs=NO_RUN)

    assert kinds(history, replace(ADOPTS, max_open=2)) == set()
    quiet = replace(history, faults=(replace(SOUND.faults[0], kind="restart"),))
    assert kinds(quiet, replace(ADOPTS, max_open=2, faults={})) == {"parked"}


def test_without_reviews_a_needs_review_is_final() -> None:
    rules = replace(RULES, reviews=False, statuses=frozenset())

    assert kinds(replace(SOUND, results=(PROCESSED, IN_REVIEW, FAILED)), rules) == set()


def test_a_run_in_which_nothing_happened_proves_nothing() -> None:
    empty = History((), (), (), (), (), {}, {})

    found = check(empty, RULES)

    assert set(found.kinds) == {"vacuous"}
    assert found.kinds["vacuous"] == 1 + 2 + 3 + 4 + 1


def test_a_failure_prints_what_happened_to_the_document_in_the_order_of_time() -> None:
    twice = replace(SOUND, results=(*SOUND.results, replace(PROCESSED, place="1@7", at_ms=5_000)))

    printed = str(check(twice, RULES))

    assert printed.startswith("1 x duplicate in 5 inputs")
    story = printed.splitlines()[3:]
    assert story[0] == str(EXTRACTED.tag)
    assert [line.split(" s  ")[1].split(" ")[0] for line in story[1:]] == ["input", "--", "run", "result", "result"]


def test_a_disaster_stays_readable() -> None:
    inputs = tuple(given(P0, offset) for offset in range(1_000))

    verdict = check(replace(SOUND, inputs=inputs), RULES)

    assert len(verdict.violations) > 1_000
    assert len(str(verdict).splitlines()) < 100


def test_the_verdict_on_many_documents_is_quick() -> None:
    inputs = tuple(given(P0, offset) for offset in range(20_000))
    runs = tuple(CreatedRun(f"exr_{n}", "extract", str(each.tag)) for n, each in enumerate(inputs))
    results = tuple(
        result(each, run, "PROCESSED", "documents.processed") for each, run in zip(inputs, runs, strict=True)
    )
    history = History(inputs, results, (), runs, (), {P0: 20_000}, {P0: 20_000})

    verdict = check(history, Rules("documents", parked_at_most=0))

    assert verdict.violations == ()
    assert verdict.counts["results"] == 20_000
