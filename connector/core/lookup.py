"""When an unclear start is looked for at the API, and what the rows of a list say about it.

One scan serves every start of a group: newest first by ``createdAt``, until a whole page is older than the oldest start
that is wanted. Only a scan that got there without an error says anything about what it did not show. A run may appear
late, so early scans find and never prove absence; that takes two complete ones, begun after the settle window.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

import msgspec

from connector.core.entry import Entry, Request, State
from connector.core.run import Row, Run
from connector.core.run_types import RUN_TYPES
from connector.core.tag import HASH_CHARS, Tag, file_mark

EARLY_SECONDS = (2.0, 30.0)
"""After the start began to be wanted: nearly every run shows in one of these scans."""
SCANS_TO_BE_ABSENT = 2
CONFIRM_SECONDS = 10.0
"""Between the end of the first scan that counts and the begin of the second."""
SEEN_AGAIN_SECONDS = 30.0
"""Until the next scan for a start whose row is being verified."""
SLOW_SECONDS = 3600.0
"""How often a parked start is looked for."""
SLOW_LOOKBACK_MS = 24 * 3600 * 1000
"""How far the first scan for a parked start goes back: whoever parked it has looked at what is older."""
MARGIN_MS = 15 * 60 * 1000
"""How much further a scan goes back than to the intent: clocks of former owners, and rows out of order."""
ORDER_SLACK_MS = 60 * 1000
"""Rows that are so much out of order still count as ordered; the margin is far larger."""
FEW = 5
"""So many starts are asked for by name, one request each; for more, one scan is cheaper."""

NOT_FOUND = "NOT_FOUND"
"""Two complete scans after the settle window (or the one that somebody asked for) did not show it."""
NOT_SEARCHABLE = "NOT_SEARCHABLE"
"""No list shows the tag of such a run: neither metadata in its rows, nor a file name of ours."""

_MARK = re.compile(rf"~k[0-9]+-[a-z2-7]{{{HASH_CHARS}}}")


class Purpose(Enum):
    """Why something is looked for."""

    UNCLEAR = auto()
    """A run may exist; absence ends the search."""
    PARKED = auto()
    """A run may still turn up; absence says nothing."""
    WATCHED = auto()
    """The run is known; a second one may exist, and one complete scan after the settle window is made for it."""
    ADOPTED = auto()
    """The run is known; a second one would be noticed in scans that are made anyway."""


class Verdict(Enum):
    """What a complete scan means for one start."""

    GO_ON = auto()
    ABSENT = auto()
    """It was not seen as often as it takes."""
    DONE = auto()
    """It need not be looked for any more."""


@dataclass(frozen=True, slots=True)
class Group:
    """Starts that one list shows: a route's, usually."""

    run_type: str
    processor_id: str | None


@dataclass(frozen=True, slots=True)
class Search:
    """One list, from its first page on.

    Attributes:
        file_name_contains: shows only runs with this in their file name; None for all.
        not_before_ms: how far back, by the API's clock; None for all pages.
    """

    file_name_contains: str | None = None
    not_before_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, by the three clocks.

    Attributes:
        monotonic: seconds that never jump.
        wall_ms: milliseconds since the epoch, on our clock.
        api_offset_ms: how far the API's clock is ahead of ours.
    """

    monotonic: float
    wall_ms: float
    api_offset_ms: float = 0.0

    @property
    def api_ms(self) -> float:
        """Milliseconds since the epoch, on the API's clock."""
        return self.wall_ms + self.api_offset_ms


@dataclass(slots=True, eq=False)
class Quest:
    """The search for the run, or for a second run, of one document.

    Attributes:
        tag: whose run it is.
        request: what was asked of the API.
        purpose: why.
        accepted_ms: on the wall clock of whoever accepted it: no run of it is older.
        since: when it began to be wanted, on our monotonic clock.
        settle: seconds after which absence begins to count.
        run_id: the run that is known.
        due: when a scan is wanted for it.
        counts_from: scans begun earlier prove nothing.
        absences: scans that count and did not show it.
        asked: when somebody asked for a scan out of turn.
        covered_ms: complete scans have seen every row from before this, on the API's clock.
        refuted: runs whose rows show the tag and that are not its.
    """

    tag: Tag
    request: Request
    purpose: Purpose
    accepted_ms: float
    since: float
    settle: float
    run_id: str | None = None
    due: float = 0.0
    counts_from: float = 0.0
    absences: int = 0
    asked: float | None = None
    covered_ms: float = -math.inf
    refuted: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """The first scan."""
        self.counts_from = self.since + self.settle
        self.due = self._next_early(self.since) if self.purpose is Purpose.UNCLEAR else self.counts_from

    @property
    def name(self) -> str:
        """What rows of its type show of the tag."""
        return str(self.tag) if RUN_TYPES[self.request.run_type].rows_carry_metadata else file_mark(self.tag)

    @property
    def is_passive(self) -> bool:
        """Whether no scan is made for it: it looks on at others' until it is due."""
        return self.purpose is Purpose.ADOPTED

    def ask(self, now: float) -> None:
        """One scan as soon as possible; its absence counts by itself."""
        self.asked = self.due = now

    def not_before(self, now: Moment) -> float:
        """How far back a scan has to go for it, on the API's clock.

        The intent is younger than its acceptance, and was there when it began to be wanted: the smaller of the two
        holds even if our clock was set meanwhile.
        """
        accepted = min(self.accepted_ms, now.wall_ms - (now.monotonic - self.since) * 1000) + now.api_offset_ms
        if self.purpose is Purpose.PARKED and self.asked is None:
            accepted = max(accepted, now.api_ms - SLOW_LOOKBACK_MS, self.covered_ms)
        return accepted - MARGIN_MS

    def scanned(self, begun: Moment, ended: float, *, seen: bool, u: float) -> Verdict:
        """A complete scan went back far enough for it.

        Args:
            begun: when its first request was sent.
            ended: when its last page was there, on the monotonic clock.
            seen: it showed a row that may be its, or one is being verified.
            u: a draw in [0, 1).
        """
        self.covered_ms = max(self.covered_ms, begun.api_ms)
        counts = begun.monotonic >= self.counts_from
        if self.purpose in {Purpose.WATCHED, Purpose.ADOPTED}:
            self.due = self.counts_from
            return Verdict.DONE if counts else Verdict.GO_ON
        if seen:
            self.absences = 0
            self.due = ended + SEEN_AGAIN_SECONDS
            return Verdict.GO_ON
        asked = self.asked is not None and begun.monotonic >= self.asked
        if asked:
            self.asked = None
        if self.purpose is Purpose.PARKED:
            # Somebody may have asked while this scan, which is another's, was under way: theirs is still to come.
            self.due = ended + slow_wait(u) if self.asked is None else self.asked
            return Verdict.ABSENT if asked else Verdict.GO_ON
        if counts:
            self.absences += 1
            self.counts_from = ended + CONFIRM_SECONDS
        self.due = self._next_early(ended)
        return Verdict.ABSENT if asked or self.absences >= SCANS_TO_BE_ABSENT else Verdict.GO_ON

    def _next_early(self, now: float) -> float:
        early = (self.since + seconds for seconds in EARLY_SECONDS if seconds < self.settle)
        return next((instant for instant in early if instant > now), self.counts_from)


class Reading:
    """The pages of one search: whether they went back far enough."""

    def __init__(self, search: Search) -> None:
        """Begin before the first page."""
        self._not_before = search.not_before_ms
        self._last = math.inf

    def take(self, rows: Sequence[Row]) -> bool:
        """The next page.

        Returns:
            True when nothing that is wanted can follow. A list that shows no times, or is not in their order, has to
            be read to its end.
        """
        times = [row.created_ms for row in rows if row.created_ms is not None]
        for time in times:
            if time > self._last + ORDER_SLACK_MS:
                self._not_before = None
            self._last = min(self._last, time)
        if self._not_before is None or not times or len(times) < len(rows):
            return False
        return max(times) < self._not_before


class Sightings:
    """The rows that show something of what is wanted."""

    def __init__(self, quests: Iterable[Quest]) -> None:
        """Look for what these want."""
        self._rows: dict[str, dict[str, Row]] = {quest.name: {} for quest in quests}

    def take(self, rows: Iterable[Row]) -> None:
        """The next page."""
        for row in rows:
            for name in names_in(row):
                if name in self._rows:
                    self._rows[name].setdefault(row.id, row)

    def of(self, quest: Quest) -> list[str]:
        """The runs that may be its, the oldest first. Lists begin with the newest."""
        rows = [row for row in reversed(self._rows[quest.name].values()) if row.id not in quest.refuted]
        return [row.id for row in sorted(rows, key=lambda row: math.inf if row.created_ms is None else row.created_ms)]


def slow_wait(u: float) -> float:
    """Seconds until a parked start is looked for again; ``u`` in [0, 1) keeps many from coming at once."""
    return SLOW_SECONDS * (0.75 + u / 2)


def group_of(request: Request) -> Group:
    """The list in which the run of a request shows."""
    filtered = RUN_TYPES[request.run_type].processor_query is not None
    return Group(request.run_type, request.processor_id if filtered else None)


def is_searchable(request: Request, tag: Tag) -> bool:
    """Whether a list can show the tag: in metadata, or in a file name that the request gave."""
    if RUN_TYPES[request.run_type].rows_carry_metadata:
        return True
    if request.body:
        return file_mark(tag).encode() in request.body
    return request.file_id is None  # the body of a run that is known is not kept


def searches(group: Group, due: Collection[Quest], now: Moment) -> tuple[Search, ...]:
    """What to read for the starts that are due.

    Returns:
        One search for each name where names narrow it down; else a single one that shows the others, too.
    """
    row = RUN_TYPES[group.run_type]
    if not row.rows_carry_metadata and len(due) <= FEW:
        return tuple(Search(quest.name) for quest in due)
    if row.sortable:
        return (Search(not_before_ms=min(quest.not_before(now) for quest in due)),)
    names = {_sent_name(quest.request) for quest in due}
    if len(due) <= FEW and None not in names:
        return tuple(Search(name) for name in sorted(filter(None, names)))
    return (Search(),)


def covers(plan: Sequence[Search], quest: Quest, now: Moment) -> bool:
    """Whether complete searches that were made for others would have shown the run of this one, too."""
    first = plan[0]
    if first.file_name_contains is not None:
        return False
    return first.not_before_ms is None or first.not_before_ms <= quest.not_before(now)


def proves(run: Run, tag: Tag) -> bool:
    """Whether the API's own GET shows the whole tag.

    Where it shows no metadata for runs of this type, partition and hash in the file name are the tag.
    """
    if run.tag is not None:
        return run.tag == str(tag)
    if RUN_TYPES[run.run_type].rows_carry_metadata:
        return False
    return file_mark(tag) in _MARK.findall(run.file_name or "")


def is_same_start(known: Entry | None, entry: Entry) -> bool:
    """Whether an entry in the journal is still the unclear start that was looked for. Parking keeps the nonce."""
    return known is not None and known.state in {State.INTENT, State.PARKED} and known.nonce == entry.nonce


def names_in(row: Row) -> tuple[str, ...]:
    """What a row shows of tags."""
    if RUN_TYPES[row.run_type].rows_carry_metadata:
        return (row.tag,) if row.tag else ()
    return tuple(mark for name in row.file_names for mark in _MARK.findall(name))


def _sent_name(request: Request) -> str | None:
    """The file name in the create body itself; what the API makes of an address is its own business."""
    try:
        body = msgspec.json.decode(request.body)
    except msgspec.MsgspecError:
        return None
    file = body.get("file") if isinstance(body, Mapping) else None
    name = file.get("name") if isinstance(file, Mapping) else None
    return (
        name if isinstance(name, str) and name.isascii() and name.isprintable() and name.strip() == name != "" else None
    )
