"""What following asks next, and what it tells of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from connector.core.follow.list_health import Trouble
from connector.core.follow.list_pass import ListPass
from connector.core.follow.open_run import OpenRun, Via
from connector.core.follow.sweep import Lane

RunT = TypeVar("RunT", bound=OpenRun)


@dataclass(frozen=True, slots=True)
class Look(Generic[RunT]):
    """GET this run."""

    run: RunT
    via: Via


@dataclass(frozen=True, slots=True)
class ReadPage:
    """GET this page of a list, by ``updatedAt``, the newest first, where the type can sort.

    Attributes:
        run_type: name of the run type.
        token: of the page; None for the first.
        status: only runs of this status, or None for all.
        lane: whose page it is; for ``Following`` alone.
        reading: likewise.
    """

    run_type: str
    token: str | None
    status: str | None
    lane: Lane
    reading: ListPass


Step = Look[RunT] | ReadPage


@dataclass(frozen=True, slots=True)
class ListState:
    """How a type's runs are followed.

    Attributes:
        open: how many are open.
        trouble: why they are polled one by one; None while the list tells.
        lag: seconds by which the list was seen to lag lately, at least.
        stretched: it is read as a safety net only, because doorbells tell.
    """

    open: int
    trouble: Trouble | None
    lag: float
    stretched: bool
