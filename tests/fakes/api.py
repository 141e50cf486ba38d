"""A fake API client that does what a test tells it to, on the loop's clock, and keeps a ledger of what was bought."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from connector.core.errors import ApiError, ApiNotFound, ApiRefused, ApiUnavailable, NotSent
from connector.core.run import Run

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
        tag = self.tag_of.get(run_id)
        return Run(id=run_id, run_type=run_type, status=show, output=b'{"total":1.50}', credits=2.0, tag=tag)

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
