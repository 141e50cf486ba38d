"""What planted bugs are made with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from connector.journal.journal import Written

Patches = Sequence[tuple[Any, str, Any]]
"""Owner, name and what stands there instead."""


def unwatched(written: Written) -> None:
    written.add_done_callback(lambda done: done.cancelled() or done.exception())


def chain(written: Written, done: Written) -> None:
    def copy_end(end: Written) -> None:
        if done.done() or end.cancelled():
            return
        error = end.exception()
        if error is None:
            done.set_result(end.result())
        else:
            done.set_exception(error)

    written.add_done_callback(copy_end)
