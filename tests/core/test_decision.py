from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from connector.core.decision import NotParked, decide, objection
from connector.core.entry import Entry, State
from connector.core.signals.signal import Action, Command
from tests.factories.entries import entries
from tests.factories.records import entry_of

PARKED = entry_of().intend("nonce-1").park("NO_ANSWER")


def test_a_command_carries_the_start_that_is_seen_parked() -> None:
    command = decide(PARKED.tag, PARKED, Action.ADOPT, "id-1", "exr_1")
    assert command == Command("id-1", PARKED.tag, "nonce-1", Action.ADOPT, "exr_1")


@given(entries())
def test_only_parked_documents_can_be_decided_about(entry: Entry) -> None:
    if entry.state is State.PARKED and entry.nonce is not None:
        assert decide(entry.tag, entry, Action.DROP, "id").nonce == entry.nonce
        return
    with pytest.raises(NotParked, match="Nothing was sent"):
        decide(entry.tag, entry, Action.DROP, "id")


def test_a_document_that_is_done_or_never_was_is_refused() -> None:
    with pytest.raises(NotParked, match=r"No open document has the tag .*explain"):
        decide(PARKED.tag, None, Action.START, "id")


def test_a_document_that_has_its_run_is_refused_with_the_run() -> None:
    with pytest.raises(NotParked, match="in the state started; its run is exr_1"):
        decide(PARKED.tag, PARKED.start("exr_1", 1), Action.START, "id")


def test_an_entry_without_its_nonce_is_refused() -> None:
    with pytest.raises(NotParked, match="damaged"):
        decide(PARKED.tag, replace(PARKED, nonce=None), Action.START, "id")


def test_an_owner_has_an_objection_unless_the_document_is_parked_as_it_was() -> None:
    command = decide(PARKED.tag, PARKED, Action.DROP, "id")
    assert objection(command, PARKED, busy=False, waits=False) is None
    for entry in (None, PARKED.wait("REFUSED"), PARKED.start("exr_1", 1), replace(PARKED, nonce="nonce-2")):
        assert objection(command, entry, busy=False, waits=False) is not None


@pytest.mark.parametrize("action", Action)
def test_nothing_is_decided_while_something_else_is(action: Action) -> None:
    command = Command("id", PARKED.tag, "nonce-1", action)
    assert objection(command, PARKED, busy=True, waits=False) is not None


@pytest.mark.parametrize("action", Action)
def test_a_start_that_waits_keeps_only_another_start_back(action: Action) -> None:
    command = Command("id", PARKED.tag, "nonce-1", action)
    assert (objection(command, PARKED, busy=False, waits=True) is not None) == (action is Action.START)
