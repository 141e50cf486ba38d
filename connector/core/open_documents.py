"""What is open, as an operator looks at it: how old, in which order, and where a person can see the run."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from connector.core.entry import Entry, State
from connector.core.lookup import NOT_FOUND, NOT_SEARCHABLE

PUBLIC_API = "https://api.extend.ai"
_DASHBOARD = "https://dashboard.extend.ai"
_PAGES = {"extract": "runs", "classify": "runs", "split": "runs", "workflow": "workflows"}
"""Run types that have a page, and where; as the ``dashboardUrl`` of their runs shows it."""

_REASONS = {
    NOT_FOUND: "the last was unclear, and no run with its tag was found",
    NOT_SEARCHABLE: "the last was unclear, and its run cannot be looked for: an edit run of a file_id shows no tag",
}


def oldest_first(
    entries: Iterable[Entry],
    *,
    states: Collection[State] = (),
    routes: Collection[str] = (),
) -> list[Entry]:
    """The documents that are asked for, the longest accepted first.

    Args:
        entries: open documents.
        states: only these; all when empty.
        routes: only these; all when empty.
    """
    wanted = (
        entry
        for entry in entries
        if (not states or entry.state in states) and (not routes or entry.request.route in routes)
    )
    return sorted(wanted, key=lambda entry: (entry.accepted_ms, entry.partition, entry.tag.offset))


def age_seconds(since_ms: int, now_ms: int) -> float:
    """How long ago; never negative, because clocks of two machines differ."""
    return max(0, now_ms - since_ms) / 1000


def age_text(seconds: float) -> str:
    """An age in its two largest units: ``3d 4h``, ``12m 5s``, ``7s``."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    parts = [(days, "d"), (hour, "h"), (minute, "m"), (second, "s")]
    while len(parts) > 1 and parts[0][0] == 0:
        parts.pop(0)
    return " ".join(f"{number}{unit}" for number, unit in parts[:2])


def dashboard_url(base_url: str, run_type: str, run_id: str | None) -> str | None:
    """Where a person can look at a run, or None where that is not known.

    The journal does not hold it, so it is put together as the API itself does. Another API than the public one has
    its dashboard somewhere else.
    """
    page = _PAGES.get(run_type)
    if run_id is None or page is None or base_url != PUBLIC_API:
        return None
    return f"{_DASHBOARD}/{page}/{run_id}"


def what_was_tried(parked: Entry) -> str:
    """What the connector did for a parked document before it left it to a person."""
    starts = "one start" if parked.attempts == 1 else f"{parked.attempts} starts"
    given_up = f", {parked.repeats} of them given up and started again" if parked.repeats else ""
    reason = _REASONS.get(parked.reason or "", f"the last was unclear ({parked.reason or 'reason unknown'})")
    return f"{starts}{given_up}; {reason}"
