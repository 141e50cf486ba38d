"""A model of the API: what it decided about each POST is the ledger, whatever its sender heard of it."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from connector.core.answer import Answer
from connector.core.run_types import RUN_TYPES, RunType
from tests.simulation.dice import Dice
from tests.simulation.scheduler import EPOCH_SECONDS, Scheduler

Reply = Callable[[Answer], None]

_BY_PATH = {row.path: row for row in RUN_TYPES.values()}
_IN_FILE_NAME = re.compile(r"~k\d+-[a-z2-7]{22}")
_PREFIX = {"extract": "exr", "classify": "clr", "split": "spl", "parse": "par", "edit": "edr", "workflow": "wfr"}

OUTCOMES = (
    "created",
    "lost",
    "unheard",
    "late",
    "slow",
    "throttled",
    "refused",
    "forbidden",
    "failed_before",
    "failed_after",
    "without_id",
)
"""What may become of a POST that was written."""

RETRY_AFTER_SECONDS = 10
ON_ITS_WAY_SECONDS = 5.1
"""A start whose intent was being written when a 429 came is still sent, within its lease."""
SETTLE_SECONDS = 90.0
"""``start.settle``, and so how long a run may take to show."""
CLEAR = frozenset({"created", "throttled", "refused", "forbidden"})


@dataclass(slots=True)
class SimRun:
    """A run that was bought.

    Attributes:
        shows: its statuses and from when each is shown.
        visible_at: from when it can be read.
        list_lag: how late lists show it and its changes.
        metadata: as it was given.
        foreign: another connector bought it, for itself.
    """

    id: str
    row: RunType
    tag: str | None
    file_name: str
    created_at: float
    shows: list[tuple[float, str]]
    visible_at: float
    list_lag: float
    metadata: Mapping[str, object]
    foreign: bool = False

    def status(self, now: float) -> str:
        return [status for at, status in self.shows if at <= now][-1]

    def updated_at(self, now: float) -> float:
        return max([self.created_at, *(at for at, _ in self.shows if at <= now)])

    @property
    def ends(self) -> list[str]:
        """All that it comes to, in order."""
        return [status for _, status in self.shows if status not in {"PENDING", "PROCESSING"}]


@dataclass(slots=True)
class Posted:
    """One POST as the API saw it, or as it was lost.

    Attributes:
        tag: the tag that it carried.
        sender: the process.
        written_at: when its sender wrote it.
        outcome: one of ``OUTCOMES``.
        heard: its sender got a clear answer in time.
        decided_at: when the API decided, None while or if it never did.
        run_id: the run that it bought.
    """

    tag: str
    sender: str
    written_at: float
    outcome: str
    heard: bool = False
    decided_at: float | None = None
    run_id: str | None = None


@dataclass(slots=True)
class Api:
    """The server."""

    scheduler: Scheduler
    dice: Dice
    hit: Callable[[str, str], None]
    lifetimes: tuple[float, float] = (0.5, 40.0)
    script: deque[str] = field(default_factory=deque)
    runs: dict[str, SimRun] = field(default_factory=dict)
    posts: list[Posted] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    too_early: list[str] = field(default_factory=list)
    created: Callable[[SimRun], None] = lambda _run: None
    _closed: dict[str, tuple[float, float]] = field(default_factory=dict)
    _forbidden_until: float = 0.0

    # ---- creates -------------------------------------------------------------------------------------------------

    def post(self, sender: str, path: str, body: bytes, reply: Reply) -> Posted:
        """A create was written. It comes to its end whatever becomes of its sender."""
        fields = json.loads(body)
        row = _BY_PATH[path]
        posted = Posted(_tag_of(fields), sender, self.scheduler.now, self._outcome())
        self.posts.append(posted)
        since, until = self._closed.get(sender, (0.0, 0.0))
        if since + ON_ITS_WAY_SECONDS < self.scheduler.now < until:
            self.too_early.append(f"{sender} POSTed {posted.tag} before its Retry-After was over")
        if posted.outcome != "created":
            self.hit(f"POST {posted.outcome}", sender)
        delay = self.dice.seconds(16.0, 150.0) if posted.outcome == "late" else self.dice.seconds(0.005, 0.1)
        if posted.outcome != "lost":
            self.scheduler.after(delay, lambda: self._decide(posted, row, fields, reply))
        return posted

    def _outcome(self) -> str:
        if self.script:
            return self.script.popleft()
        if self.scheduler.now < self._forbidden_until:
            return "forbidden"
        says = self.dice.says
        if says("post_forbidden"):
            self._forbidden_until = self.scheduler.now + self.dice.seconds(0.1, 20.0)
            return "forbidden"
        if says("post_torn"):
            return self.dice.random.choice(("failed_before", "failed_after", "without_id"))
        for kind, outcome in _BY_KIND.items():
            if says(kind):
                return outcome
        return "created"

    def _decide(self, posted: Posted, row: RunType, fields: dict[str, object], reply: Reply) -> None:
        posted.decided_at = self.scheduler.now
        outcome = posted.outcome
        if outcome not in {"throttled", "refused", "forbidden", "failed_before"}:
            posted.run_id = self._create(posted, row, fields).id
        answer = self._answer(outcome, posted)
        if answer is None:
            return
        delay = self.dice.seconds(15.0, 70.0) if outcome == "slow" else self.dice.seconds(0.02, 0.6)
        self.scheduler.after(delay, lambda: reply(answer))

    def heard(self, posted: Posted) -> None:
        """Its sender has the answer now; after a 429 it has to wait."""
        if posted.outcome == "throttled":
            now = self.scheduler.now
            self._closed[posted.sender] = (now, now + RETRY_AFTER_SECONDS)

    def _create(self, posted: Posted, row: RunType, fields: dict[str, object]) -> SimRun:
        now = self.scheduler.now
        seconds = self.dice.seconds(*self.lifetimes)
        end = self.dice.random.choice(("PROCESSED", "PROCESSED", "PROCESSED", "FAILED", "CANCELLED", "NEEDS_REVIEW"))
        shows = [(0.0, "PENDING"), (now + seconds * 0.1, "PROCESSING"), (now + seconds, end)]
        if end == "NEEDS_REVIEW":
            decision = self.dice.random.choice(("PROCESSED", "REJECTED"))
            shows.append((now + seconds + self.dice.seconds(1.0, 60.0), decision))
        metadata = fields.get("metadata")
        run = SimRun(
            id=f"{_PREFIX[row.name]}_{len(self.runs) + 1}",
            row=row,
            tag=posted.tag,
            file_name=_file_name(fields),
            created_at=now,
            shows=shows,
            visible_at=now + (self.dice.seconds(0.5, 20.0) if self.dice.says("get_lag") else 0.0),
            list_lag=self.dice.seconds(0.5, 60.0) if self.dice.says("list_lag") else 0.0,
            metadata=metadata if isinstance(metadata, dict) else {},
        )
        self.runs[run.id] = run
        self.created(run)
        return run

    def _answer(self, outcome: str, posted: Posted) -> Answer | None:
        if outcome in {"unheard", "late"}:
            return None
        if outcome in {"created", "slow"}:
            return Answer(200, {}, self._shown(self.runs[posted.run_id or ""]))
        if outcome == "without_id":
            return Answer(200, {}, b'{"object": "extract_run"}')
        if outcome in {"failed_before", "failed_after"}:
            return Answer(500, {}, _error("INTERNAL_ERROR"))
        if outcome == "throttled":
            return Answer(429, {"retry-after": str(RETRY_AFTER_SECONDS)}, _error("RATE_LIMITED"))
        return Answer(402, {}, _error("OUT_OF_CREDITS")) if outcome == "forbidden" else _REFUSED

    def foreign(self, tag: str) -> None:
        """Another connector reads the same topic, and bought a run for the same record."""
        fields: dict[str, object] = {"metadata": {"kafka_connector": {"tag": tag}}}
        posted = Posted(tag, "another", self.scheduler.now, "created")
        self._create(posted, RUN_TYPES["extract"], fields).foreign = True

    # ---- everything else -----------------------------------------------------------------------------------------

    def probe(self) -> Answer:
        """A create with an empty body."""
        return Answer(400, {}, _error("INVALID_REQUEST"))

    def get(self, path: str) -> Answer:
        """One run."""
        run = self.runs.get(path.rpartition("/")[2])
        if run is None or self.scheduler.now < run.visible_at:
            return Answer(404, {}, _error("NOT_FOUND"))
        return Answer(200, {}, self._shown(run))

    def cancel(self, path: str) -> Answer:
        """Ask a run to end."""
        run = self.runs.get(path.split("/")[-2])
        now = self.scheduler.now
        if run is None:
            return Answer(404, {}, _error("NOT_FOUND"))
        if run.status(now) not in run.row.cancellable:
            return Answer(400, {}, _error("INVALID_REQUEST"))
        self.cancelled.append(run.id)
        run.shows = [*((at, status) for at, status in run.shows if at <= now), (now + 0.5, "CANCELLED")]
        return Answer(200, {}, self._shown(run))

    def list(self, path: str, query: Mapping[str, str]) -> Answer:
        """A page of runs, newest first where the list can sort; never more than three rows, so that pages matter."""
        row = _BY_PATH[path]
        now = self.scheduler.now
        rows = [run for run in self.runs.values() if run.row is row and run.created_at + run.list_lag <= now]
        rows = [run for run in rows if query.get("fileNameContains", "") in run.file_name]
        rows = [run for run in rows if query.get("status") in {None, run.status(now - run.list_lag)}]
        if row.sortable and query.get("sortBy", "updatedAt") == "updatedAt":
            rows.sort(key=lambda run: run.updated_at(now - run.list_lag))
        if row.sortable and query.get("sortDir", "desc") == "desc":
            rows.reverse()
        start = int(query.get("nextPageToken", "0"))
        size = min(int(query.get("maxPageSize", query.get("limit", "3"))), 3)
        page: dict[str, object] = {"object": "list", "data": []}
        page["data"] = [self._row(run, now - run.list_lag) for run in rows[start : start + size]]
        if start + size < len(rows):
            page["nextPageToken"] = str(start + size)
        return Answer(200, {}, json.dumps(page).encode())

    def _row(self, run: SimRun, now: float) -> dict[str, object]:
        row: dict[str, object] = {
            "object": run.row.object,
            "id": run.id,
            "status": run.status(now),
            "createdAt": _instant(run.created_at),
            "updatedAt": _instant(run.updated_at(now)),
            "file": {"id": f"file_{run.id}", "name": run.file_name},
        }
        if run.row.rows_carry_metadata:
            row["metadata"] = run.metadata
        return row

    def _shown(self, run: SimRun) -> bytes:
        status = run.status(self.scheduler.now)
        shown = self._row(run, self.scheduler.now)
        if run.row.metadata:
            shown["metadata"] = run.metadata
        shown["usage"] = {"credits": 2}
        if status not in {"PENDING", "PROCESSING"}:
            shown["stepRuns" if run.row.name == "workflow" else "output"] = output_of(run.id, status)
        return json.dumps(shown).encode()


def output_of(run_id: str, status: str) -> object:
    """What a run's output is at one of its ends."""
    return [{"of": run_id, "at": status}]


_BY_KIND = {
    "post_lost": "lost",
    "post_unheard": "unheard",
    "post_late": "late",
    "post_slow": "slow",
    "post_throttled": "throttled",
    "post_refused": "refused",
}


def _error(code: str) -> bytes:
    return json.dumps({"code": code, "message": "as asked", "retryable": True, "requestId": "req_1"}).encode()


_REFUSED = Answer(422, {}, _error("INVALID_CONFIG"))


def _instant(now: float) -> str:
    return datetime.fromtimestamp(EPOCH_SECONDS + now, UTC).isoformat().replace("+00:00", "Z")


def _file_name(fields: Mapping[str, object]) -> str:
    file = fields.get("file")
    return str(file.get("name") or "") if isinstance(file, dict) else ""


def _tag_of(fields: Mapping[str, object]) -> str:
    """The tag in the metadata, or what a file name shows of it."""
    metadata = fields.get("metadata")
    if isinstance(metadata, dict) and isinstance(ours := metadata.get("kafka_connector"), dict):
        return str(ours["tag"])
    found = _IN_FILE_NAME.search(_file_name(fields))
    return found.group() if found else ""
