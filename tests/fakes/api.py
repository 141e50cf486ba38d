"""A fake API client that does what a test tells it to, on the loop's clock, and keeps a ledger of what was bought."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace

from connector.core.errors import ApiError, ApiNotFound, ApiRefused, ApiUnavailable, NotSent
from connector.core.run import Page, Row, Run
from tests.fakes.virtual_time import EPOCH_SECONDS

ANSWER_SECONDS = 0.05


@dataclass(frozen=True)
class Post:
    """One create whose body was written."""

    number: int
    tag: str
    run_type: str
    body: bytes
    at: float


@dataclass(frozen=True)
class Answer:
    """What a create leads to.

    Attributes:
        error: None buys a run.
        after: seconds until the answer.
        late: with an error: seconds after it until the run turns up after all; None for never.
        bought: with an error: a run was created all the same.
    """

    error: ApiError | None = None
    after: float = ANSWER_SECONDS
    late: float | None = None
    bought: bool = False


@dataclass(frozen=True)
class Listed:
    """A run that lists show from some instant on."""

    row: Row
    processor_id: str | None
    shown_from: float


@dataclass(frozen=True)
class Asked:
    """One request for a page."""

    at: float
    run_type: str
    processor_id: str | None
    file_name_contains: str | None


UNCLEAR = Answer(ApiUnavailable("no answer"), bought=True)


def refused_for_good(code: str = "INVALID_REQUEST") -> Answer:
    return Answer(ApiRefused(f"refused: {code}", status=400, code=code, request_id="req_1"))


@dataclass
class FakeApi:
    """Creates succeed and runs are PROCESSED at the first look, unless a test says otherwise."""

    events: list[tuple[str, str]] = field(default_factory=list)
    script: deque[Answer] = field(default_factory=deque)
    answer: Callable[[Post], Answer] = lambda _post: Answer()
    shows: dict[str, deque[str | ApiError]] = field(default_factory=dict)
    always_shows: tuple[str | ApiError, ...] = ("PROCESSED",)
    outputs: dict[str, bytes | None] = field(default_factory=dict)
    credits: float = 2.0
    alive: Callable[[], bool] = lambda: True
    connect_seconds: float = 0.0
    get_seconds: float = 0.01
    posts: list[Post] = field(default_factory=list)
    bought: Counter[str] = field(default_factory=Counter)
    open_posts: int = 0
    most_open: int = 0
    probes: list[float] = field(default_factory=list)
    gets: list[tuple[float, str]] = field(default_factory=list)
    tag_of: dict[str, str] = field(default_factory=dict)
    to_come: list[asyncio.TimerHandle] = field(default_factory=list)
    listed: list[Listed] = field(default_factory=list)
    lists: list[Asked] = field(default_factory=list)
    list_errors: deque[ApiError | None] = field(default_factory=deque)
    list_lag: float = 0.0
    page_size: int = 100
    pages: list[tuple[float, str, str | None]] = field(default_factory=list)
    page_error: ApiError | None = None
    file_name_of: dict[str, str] = field(default_factory=dict)
    api_clock_offset: float = 0.0

    async def create(
        self,
        run_type: str,
        body: bytes,
        deadline: float | None = None,
        *,
        may_write: Callable[[], bool] | None = None,
        late: Callable[[Run | ApiError], None] | None = None,
    ) -> Run:
        assert deadline is not None
        if self.connect_seconds:
            await asyncio.sleep(self.connect_seconds)
        if may_write is not None and not may_write():
            raise NotSent("called off")
        post = self._posted(run_type, body)
        answer = self.script.popleft() if self.script else self.answer(post)
        self.open_posts += 1
        self.most_open = max(self.most_open, self.open_posts)
        if answer.error is None or answer.bought or answer.late is not None:
            self.bought[post.tag] += 1
        try:
            await asyncio.sleep(answer.after)
        finally:
            self.open_posts -= 1
        run = Run(id=f"run_{post.number}", run_type=run_type, status="PROCESSING", tag=post.tag)
        self.tag_of[run.id] = post.tag
        if answer.error is None or answer.bought or answer.late is not None:
            self.show_in_lists(run.id, run_type, post.tag, after=answer.late or 0.0)
        if answer.error is None:
            return run
        if answer.late is not None and late is not None:
            self.to_come.append(asyncio.get_running_loop().call_later(answer.late, late, run))
        raise answer.error

    def client_died(self) -> None:
        """Nobody is there any more to hear late answers."""
        for call in self.to_come:
            call.cancel()
        self.to_come.clear()

    async def probe(self, run_type: str) -> bool:
        assert run_type
        self.probes.append(asyncio.get_running_loop().time())
        await asyncio.sleep(ANSWER_SECONDS)
        return self.alive()

    async def get(self, run_type: str, run_id: str) -> Run:
        assert run_id, "a run without an id was asked about"
        self.gets.append((asyncio.get_running_loop().time(), run_id))
        self.events.append(("get", run_id))
        await asyncio.sleep(self.get_seconds)
        shown = self.shows.setdefault(run_id, deque(self.always_shows))
        show = shown.popleft() if len(shown) > 1 else shown[0]
        if isinstance(show, ApiError):
            raise show
        return Run(
            id=run_id,
            run_type=run_type,
            status=show,
            output=self.outputs.get(run_id, b'{"total":1.50}'),
            credits=self.credits,
            tag=self.tag_of.get(run_id),
            file_name=self.file_name_of.get(run_id),
        )

    def show_in_lists(
        self,
        run_id: str,
        run_type: str,
        tag: str | None,
        *,
        after: float = 0.0,
        status: str = "PROCESSING",
        processor_id: str | None = None,
        file_name: str | None = None,
    ) -> None:
        """A run is created now (or ``after`` seconds from now), and shows in lists ``list_lag`` later."""
        created = asyncio.get_running_loop().time() + after
        created_ms = round((EPOCH_SECONDS + created + self.api_clock_offset) * 1000)
        if tag is not None:
            self.tag_of[run_id] = tag
        if file_name is not None:
            self.file_name_of[run_id] = file_name
        row = Row(run_id, run_type, status, tag, (file_name,) if file_name else (), created_ms, created_ms)
        self.listed.append(Listed(row, processor_id, created + self.list_lag))

    async def list(
        self, run_type: str, *, processor_id: str | None = None, file_name_contains: str | None = None
    ) -> AsyncIterator[Page]:
        """Pages of what is shown at the moment of each request: rows shift while somebody pages."""
        loop = asyncio.get_running_loop()
        place = 0
        while True:
            asked = Asked(loop.time(), run_type, processor_id, file_name_contains)
            self.lists.append(asked)
            await asyncio.sleep(self.get_seconds)
            error = self.list_errors.popleft() if self.list_errors else None
            if error is not None:
                raise error
            rows = sorted(
                (each.row for each in self.listed if each.shown_from <= loop.time() and self._matches(each, asked)),
                key=lambda row: row.created_ms or 0,
                reverse=True,
            )
            shown, place = rows[place : place + self.page_size], place + self.page_size
            yield Page(tuple(shown), str(place) if place < len(rows) else None)
            if place >= len(rows):
                return

    def move(self, run_id: str, status: str) -> None:
        """A run has another status from now on, and lists show it."""
        self.shows[run_id] = deque([status])
        now_ms = round((EPOCH_SECONDS + asyncio.get_running_loop().time() + self.api_clock_offset) * 1000)
        self.listed = [
            replace(each, row=replace(each.row, status=status, updated_ms=now_ms)) if each.row.id == run_id else each
            for each in self.listed
        ]

    async def page(self, run_type: str, *, token: str | None = None, status: str | None = None) -> Page:
        """A page of what is shown, what changed last first."""
        loop = asyncio.get_running_loop()
        self.pages.append((loop.time(), run_type, status))
        await asyncio.sleep(self.get_seconds)
        if self.page_error is not None:
            raise self.page_error
        rows = [
            each.row
            for each in self.listed
            if each.row.run_type == run_type and each.shown_from <= loop.time() and status in {None, each.row.status}
        ]
        rows.sort(key=lambda row: row.updated_ms or row.created_ms or 0, reverse=True)
        first = int(token or 0)
        last = first + self.page_size
        return Page(tuple(rows[first:last]), str(last) if last < len(rows) else None)

    def _matches(self, listed: Listed, asked: Asked) -> bool:
        if listed.row.run_type != asked.run_type:
            return False
        if asked.processor_id is not None and listed.processor_id not in {None, asked.processor_id}:
            return False
        part = asked.file_name_contains
        return part is None or any(part in name for name in listed.row.file_names)

    async def cancel(self, run_type: str, run_id: str) -> Run:
        self.events.append(("cancel", run_id))
        await asyncio.sleep(self.get_seconds)
        return Run(id=run_id, run_type=run_type, status="CANCELLING")

    def _posted(self, run_type: str, body: bytes) -> Post:
        tag = json.loads(body)["metadata"]["kafka_connector"]["tag"]
        post = Post(len(self.posts) + 1, tag, run_type, body, asyncio.get_running_loop().time())
        self.posts.append(post)
        self.events.append(("post", tag))
        return post


def not_found() -> ApiNotFound:
    return ApiNotFound("no such run", status=404, code="NOT_FOUND")
