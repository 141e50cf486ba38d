"""Each invariant that needs a trace: a sound trace is found sound, and each broken promise in it is seen and named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from connector.core.record import Partition, Record
from connector.core.tag import Tag, tag_of
from tests.chaos.checker import Rules, check
from tests.chaos.history import CreatedRun, History, Input, OpenEntry, Result
from tests.chaos.trace import Advanced, Emitted, Journaled, Post, Trace
from tests.chaos.violation import INVARIANTS

P0 = Partition("documents", 0)


def tag(offset: int) -> Tag:
    return tag_of("invoices", "topic-id", Record(P0, offset, b"key", b"value"))


ONE, TWO = (Input(tag(offset), f"doc-{offset}", b"key", at_ms=1_000) for offset in range(2))
RUN = CreatedRun("exr_1", "extract", str(ONE.tag), 1_200)
RESULT = Result(
    topic="documents.processed",
    place="0@0",
    result_id=f"{ONE.tag}@1",
    revision=1,
    run_id="exr_1",
    run_type="extract",
    status="PROCESSED",
    document_id="doc-0",
    source=P0,
    source_offset=0,
    key=b"key",
    output='{"a": 1}',
)
INTENT = Journaled(1_100, 1, str(ONE.tag), "intent", "writer-1", "nonce-1")
STARTED = Journaled(1_300, 2, str(ONE.tag), "started", "writer-1")
CLOSED = Journaled(1_500, 3, str(ONE.tag), None, "writer-1")
PARKED = Journaled(1_600, 4, str(TWO.tag), "parked", "writer-1")
EMITTED = Emitted(1_500, 3, "documents.processed", str(ONE.tag), P0)
OFFSETS = tuple(Advanced(1_000 + 100 * number, number, P0, 1 if number < 4 else 2) for number in range(1, 5))
POST = Post(1_150, str(ONE.tag), "writer-1", "created", clear=True, run_id="exr_1")
TRACE = Trace(
    journaled=(INTENT, STARTED, CLOSED, PARKED),
    emitted=(EMITTED,),
    advanced=(replace(OFFSETS[0], at_ms=1_100), *OFFSETS[1:3], replace(OFFSETS[3], at_ms=1_600)),
    posts=(POST,),
    outputs={("exr_1", "PROCESSED"): '{"a": 1}'},
    excused=(str(TWO.tag),),
)
SOUND = History(
    inputs=(ONE, TWO),
    results=(RESULT,),
    dead_letters=(),
    runs=(RUN,),
    open_entries=(OpenEntry(TWO.tag, "parked"),),
    committed={P0: 2},
    marks={P0: 2},
    trace=TRACE,
)
RULES = Rules(prefix="documents", parked_at_most=1)


def kinds(history: History) -> set[str]:
    return set(check(history, RULES).kinds)


def test_a_sound_trace_is_found_sound() -> None:
    assert kinds(SOUND) == set()


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("unjournaled", {"journaled": (STARTED, CLOSED, PARKED)}),
        ("unjournaled", {"journaled": (replace(INTENT, at_ms=1_160), STARTED, CLOSED, PARKED)}),
        ("unjournaled", {"posts": (replace(POST, outcome="throttled", run_id=None), POST)}),
        ("reposted", {"posts": (POST, POST)}),
        ("reposted", {"posts": (replace(POST, outcome="lost", clear=False, run_id=None), POST)}),
        ("split", {"emitted": (replace(EMITTED, transaction=2),)}),
        ("split", {"advanced": TRACE.advanced[:2] + TRACE.advanced[3:]}),
        ("offset", {"advanced": (*TRACE.advanced, Advanced(1_700, 5, P0, 1))}),
        ("offset", {"advanced": (replace(TRACE.advanced[0], offset=2), *TRACE.advanced[1:])}),
        ("untrue", {"outputs": {("exr_1", "FAILED"): "{}"}}),
        ("untrue", {"outputs": {("exr_1", "PROCESSED"): '{"a": 2}'}}),
        ("parked", {"excused": ()}),
        ("hanging", {"hanging": ("transaction 3 is open",)}),
        ("fenced alive", {"fenced_alive": ("writer-2 fenced writer-1",)}),
        ("too early", {"too_early": ("writer-1",)}),
        ("leak", {"leaks": ("a key in a header",)}),
        (
            "order",
            {
                "ordered": True,
                "emitted": (EMITTED, Emitted(1_250, 2, "documents.processed", str(TWO.tag), P0)),
            },
        ),
    ],
)
def test_a_broken_promise_is_seen(kind: str, change: dict[str, Any]) -> None:
    assert kind in kinds(replace(SOUND, trace=replace(TRACE, **change)))


def test_an_offset_that_a_person_moved_is_nobodys_fault() -> None:
    by_hand = Advanced(1_700, None, P0, 0)
    again = Advanced(1_800, 5, P0, 2)

    assert kinds(replace(SOUND, trace=replace(TRACE, advanced=(*TRACE.advanced, by_hand, again)))) == set()


def test_every_kind_breaks_an_invariant_by_name() -> None:
    verdict = check(replace(SOUND, results=()), RULES)

    assert verdict.invariants <= set(INVARIANTS.values())
    assert all(str(violation).startswith(violation.invariant) for violation in verdict.violations)
