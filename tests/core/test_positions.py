"""Where reading begins: the whole table, and what holds for every row of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.journal_record import Mark
from connector.core.positions import Cause, Position, start_position
from connector.core.record import Partition


def mark(offset: int, topic_id: str = "id") -> Mark:
    return Mark("invoices", Partition("documents", 0), topic_id, offset, "v1/invoices/4")


@pytest.mark.parametrize(
    ("committed", "known", "expected"),
    [
        (None, None, Position(None, Cause.NEW)),
        (0, None, Position(0, Cause.COMMITTED)),
        (7, None, Position(7, Cause.COMMITTED)),
        (7, mark(7), Position(7, Cause.COMMITTED)),
        (0, mark(0), Position(0, Cause.COMMITTED)),
        (None, mark(7), Position(7, Cause.OFFSETS_BEHIND)),
        (6, mark(7), Position(7, Cause.OFFSETS_BEHIND)),
        (8, mark(7), Position(8, Cause.OFFSETS_AHEAD)),
        (None, mark(7, "gone"), Position(None, Cause.TOPIC_RECREATED)),
        (3, mark(7, "gone"), Position(None, Cause.TOPIC_RECREATED)),
        (9, mark(7, "gone"), Position(None, Cause.TOPIC_RECREATED)),
    ],
)
def test_the_table(committed: int | None, known: Mark | None, expected: Position) -> None:
    assert start_position(committed, known, "id") == expected


@given(committed=st.none() | st.integers(0, 100), marked=st.integers(0, 100))
def test_nothing_that_the_journal_accounts_for_is_read_again(committed: int | None, marked: int) -> None:
    position = start_position(committed, mark(marked), "id")
    assert position.offset is not None
    assert position.offset >= marked
