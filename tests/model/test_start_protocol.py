"""The start protocol that ships keeps its promise in every reachable state; with any ingredient missing it does not."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.model.invariants import Invariant
from tests.model.search import Search
from tests.model.start_protocol import WRITES, Protocol, State
from tests.summary import Say


@dataclass(frozen=True)
class Variant:
    """A protocol and the worst that can happen under it.

    Attributes:
        name: what it is, or what it lacks.
        protocol: its ingredients.
        breaks: the invariant that does not hold, or None.
        most_runs: what an input may buy without a command; where nothing breaks, exactly what it buys at worst.
        inputs: how many inputs the search has.
    """

    name: str
    protocol: Protocol
    breaks: Invariant | None = None
    most_runs: int = 1
    inputs: int = 1


IN_TIME = Protocol(on_unclear="retry", pauses=False, late_creates=False)
"""Surroundings in which even ``retry`` buys nothing twice: nobody sleeps, and the window covers everything."""

SOUND = [
    Variant("park: what ships", Protocol()),
    Variant("park, two inputs", Protocol(), inputs=2),
    Variant("park, nobody sleeps, nothing comes late", Protocol(pauses=False, late_creates=False)),
    Variant("park, a person commands start", Protocol(operator=True)),
    Variant("retry: at most max_attempts runs", Protocol(on_unclear="retry"), most_runs=2),
    Variant("retry, nobody sleeps, nothing comes late", IN_TIME),
]
COST, ONE_END = Invariant.COST, Invariant.ONE_END
BROKEN = [
    Variant("no intent before the POST", Protocol(intent_first=False), COST),
    Variant("intent not fenced", Protocol(generation_fenced=WRITES - {State.INTENT}), COST),
    Variant("result not fenced", Protocol(generation_fenced=WRITES - {State.DONE}), ONE_END),
    Variant("intent of an earlier assignment", Protocol(assignment_fenced=WRITES - {State.INTENT}), COST),
    Variant("started of an earlier assignment", Protocol(assignment_fenced=WRITES - {State.STARTED}), ONE_END),
    Variant("result of an earlier assignment", Protocol(assignment_fenced=WRITES - {State.DONE}), ONE_END),
    Variant("ready of an earlier assignment", Protocol(assignment_fenced=WRITES - {State.READY}), COST),
    Variant("offset apart from the entry", Protocol(offset_with_entry=False), Invariant.NOTHING_LOST),
    Variant("facts by tag without nonce", Protocol(facts_name_nonce=False), COST),
    Variant("never sent while the request still waits", Protocol(never_sent_is_certain=False), COST),
    Variant("facts dropped with the producer", Protocol(facts_outlive_producer=False), COST),
    Variant("second POST on a 5xx", Protocol(server_error_is_unclear=False), COST),
    Variant("tag without hash", Protocol(hash_in_tag=False), Invariant.OWN_RUN, inputs=2),
    Variant("command without nonce", Protocol(operator=True, command_names_nonce=False), COST),
    Variant("retry in time, no settle window", Protocol(**{**vars(IN_TIME), "settle_window": False}), COST),
    Variant("retry in time, but one may sleep", Protocol(**{**vars(IN_TIME), "pauses": True}), COST),
    Variant("retry in time, but runs come late", Protocol(**{**vars(IN_TIME), "late_creates": True}), COST),
]


def tell(text: str) -> None:
    """Figures and timelines, shown with ``pytest -s`` and when a test fails."""
    print(text)  # noqa: T201


@pytest.mark.parametrize("variant", SOUND, ids=lambda variant: variant.name)
def test_the_protocol_keeps_every_invariant_in_every_state(variant: Variant, say: Say) -> None:
    found = Search(variant.protocol, inputs=variant.inputs, most_runs=variant.most_runs).run()
    say(f"model: {variant.name}: {found.states} states, at most {found.most_runs} runs, {found.seconds:.1f} s")
    assert not found.broken, "\n".join(f"{invariant.value}:\n{way}" for invariant, way in found.broken.items())
    assert found.most_runs == variant.most_runs + variant.protocol.operator
    assert found.journaled == set(State), "the search did not come everywhere, so it proves little"


@pytest.mark.parametrize("variant", BROKEN, ids=lambda variant: variant.name)
def test_without_one_ingredient_the_named_invariant_breaks(variant: Variant) -> None:
    search = Search(variant.protocol, inputs=variant.inputs, most_runs=variant.most_runs)
    assert variant.breaks
    found = search.run(until=variant.breaks)
    tell(f"\n{variant.name}: {found.states} states, {found.seconds:.1f} s")
    assert variant.breaks in found.broken, f"{variant.name} breaks nothing: the model has lost what it is for"
    tell(f"breaks: {variant.breaks.value}\n{found.broken[variant.breaks]}")
