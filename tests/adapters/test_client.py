"""The client's decisions, against a scripted transport on a virtual clock."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from connector.client import MAX_STALE_PAGES, ExtendClient
from connector.clock import Clock
from connector.core.answer import Answer
from connector.core.errors import (
    ApiError,
    ApiForbidden,
    ApiNotFound,
    ApiRefused,
    ApiThrottled,
    ApiUnavailable,
    ApiUnreadable,
    NotSent,
    PollingTimeoutError,
)
from connector.core.follow.polling import PollingOptions
from connector.core.run import Page, Run


def shown(status: str, run_id: str = "exr_1") -> Answer:
    return Answer(200, {}, json.dumps({"id": run_id, "status": status}).encode())


def page(*ids: str, token: str | None = None) -> Answer:
    rows = [{"id": each, "status": "PROCESSED"} for each in ids]
    return Answer(200, {}, json.dumps({"data": rows, "nextPageToken": token}).encode())


UNAVAILABLE = ApiUnavailable("503", status=503, retryable=True)
CREATED, RUNNING, DONE = shown("PROCESSING"), shown("PROCESSING"), shown("PROCESSED")


@dataclass
class Asked:
    operation: str
    method: str
    path: str
    query: Mapping[str, str]
    body: bytes | None
    deadline: float | None
    at: float


@dataclass
class ScriptedHttp:
    """Answers what it was told to, in order; the last answer again and again."""

    script: list[Answer | ApiError]
    now: float = 1000.0
    takes: float = 0.0
    asked: list[Asked] = field(default_factory=list)
    key: str = ""
    api_clock_offset: float = 0.0
    closed: bool = False
    late: Callable[[Answer | ApiError], None] | None = None

    async def send(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        deadline: float | None = None,
        may_write: Callable[[], bool] | None = None,
        late: Callable[[Answer | ApiError], None] | None = None,
    ) -> Answer:
        self.asked.append(Asked(operation, method, path, query or {}, body, deadline, self.now))
        self.now += self.takes
        self.late = late
        if may_write is not None and not may_write():
            raise NotSent("taken back")
        outcome = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(outcome, ApiError):
            raise outcome
        return outcome

    def set_api_key(self, api_key: str) -> None:
        self.key = api_key

    async def aclose(self) -> None:
        self.closed = True

    async def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.now += seconds

    def client(self, draw: float = 0.5) -> ExtendClient:
        return ExtendClient(self, clock=Clock(monotonic=lambda: self.now), sleep=self.sleep, draw=lambda: draw)

    @property
    def gaps(self) -> list[float]:
        """Seconds between the requests."""
        times = [asked.at for asked in self.asked]
        return [round(late - early, 3) for early, late in pairwise(times)]


# --- One request each


@pytest.mark.parametrize(
    ("run_type", "path"),
    [
        ("extract", "/extract_runs"),
        ("classify", "/classify_runs"),
        ("split", "/split_runs"),
        ("parse", "/parse_runs"),
        ("edit", "/edit_runs"),
        ("workflow", "/workflow_runs"),
    ],
)
async def test_the_run_types_come_from_the_table(run_type: str, path: str) -> None:
    http = ScriptedHttp([CREATED])
    await http.client().create(run_type, b'{"x": 1}', 15)
    await http.client().get(run_type, "exr_1")
    create, get = http.asked
    assert (create.operation, create.method, create.path) == ("create", "POST", path)
    assert (create.body, create.deadline) == (b'{"x": 1}', 15)
    assert (get.operation, get.method, get.path, get.body) == ("get", "GET", f"{path}/exr_1", None)


async def test_a_body_may_be_an_object() -> None:
    http = ScriptedHttp([CREATED])
    await http.client().create("extract", {"file": {"url": "u"}})
    assert http.asked[0].body == b'{"file":{"url":"u"}}'


async def test_an_id_cannot_leave_its_path() -> None:
    http = ScriptedHttp([shown("PROCESSED", "../files/x?y#z")])
    await http.client().get("extract", "../files/x?y#z")
    assert http.asked[0].path == "/extract_runs/..%2Ffiles%2Fx%3Fy%23z"


@pytest.mark.parametrize("body", [b"", b"{}", b"<html></html>", b'{"id": null}'])
async def test_a_2xx_without_an_id_is_no_run(body: bytes) -> None:
    http = ScriptedHttp([Answer(201, {}, body)])
    with pytest.raises(ApiUnreadable) as caught:
        await http.client().create("extract", b"{}")
    assert caught.value.status == 201
    assert len(http.asked) == 1


async def test_a_get_that_shows_another_run_is_refused() -> None:
    with pytest.raises(ApiUnreadable, match="another run"):
        await ScriptedHttp([shown("PROCESSED", "exr_2")]).client().get("extract", "exr_1")


async def test_cancel_is_a_post_and_only_where_there_is_one() -> None:
    http = ScriptedHttp([shown("CANCELLED")])
    assert (await http.client().cancel("extract", "exr_1")).status == "CANCELLED"
    assert (http.asked[0].operation, http.asked[0].path) == ("cancel", "/extract_runs/exr_1/cancel")
    with pytest.raises(ValueError, match="no cancel for edit"):
        await http.client().cancel("edit", "edr_1")


async def test_sync_has_a_deadline_past_the_servers_five_minutes() -> None:
    http = ScriptedHttp([DONE])
    await http.client().run_sync("parse", b"{}")
    assert (http.asked[0].operation, http.asked[0].path, http.asked[0].deadline) == ("sync", "/parse", 310)
    with pytest.raises(ValueError, match="no synchronous endpoint for workflow"):
        await http.client().run_sync("workflow", b"{}")


@pytest.mark.parametrize(
    ("outcome", "alive"),
    [
        (ApiRefused("400", status=400, code="INVALID_REQUEST"), True),
        (ApiNotFound("404", status=404, code="NOT_FOUND"), True),
        (ApiForbidden("401", status=401, code="UNAUTHORIZED"), True),
        (ApiThrottled("429", retry_after=None, code="RATE_LIMIT_EXCEEDED"), True),
        (ApiThrottled("429", retry_after=None), False),
        (UNAVAILABLE, False),
        (NotSent("no route"), False),
        (CREATED, False),
    ],
)
async def test_a_probe_is_alive_when_the_api_itself_refuses_it(outcome: Answer | ApiError, *, alive: bool) -> None:
    http = ScriptedHttp([outcome])
    assert await http.client().probe("extract") is alive
    assert (http.asked[0].operation, http.asked[0].body) == ("probe", b"{}")


async def test_a_late_answer_becomes_a_run_or_an_error() -> None:
    heard: list[Run | ApiError] = []
    http = ScriptedHttp([UNAVAILABLE])
    for outcome in (CREATED, Answer(200, {}, b"{}"), UNAVAILABLE):
        with pytest.raises(ApiUnavailable):
            await http.client().create("extract", b"{}", late=heard.append)
        assert http.late is not None
        http.late(outcome)
    run, unreadable, unavailable = heard
    assert isinstance(run, Run)
    assert run.id == "exr_1"
    assert isinstance(unreadable, ApiUnreadable)
    assert unavailable is UNAVAILABLE


async def test_the_last_look_is_handed_on() -> None:
    with pytest.raises(NotSent):
        await ScriptedHttp([CREATED]).client().create("extract", b"{}", may_write=lambda: False)


async def test_key_and_close_are_handed_on() -> None:
    http = ScriptedHttp([CREATED])
    http.client().set_api_key("sk_2")
    await http.client().aclose()
    assert (http.key, http.closed) == ("sk_2", True)


# --- Lists


async def ids(http: ScriptedHttp, run_type: str = "extract", **filters: str) -> list[str]:
    pages: list[Page] = [each async for each in http.client().list(run_type, **filters)]  # type: ignore[arg-type] # texts only
    return [row.id for each in pages for row in each.rows]


async def test_a_list_goes_on_to_its_last_page() -> None:
    http = ScriptedHttp([page("a", "b", token="t1"), page("c", token="t2"), page()])
    assert await ids(http) == ["a", "b", "c"]
    assert [asked.query.get("nextPageToken") for asked in http.asked] == [None, "t1", "t2"]
    assert all(asked.query["sortBy"] == "createdAt" for asked in http.asked)


async def test_a_list_sends_what_its_type_has() -> None:
    http = ScriptedHttp([page()])
    await ids(http, "workflow", processor_id="w", status="NEEDS_REVIEW", file_name_contains="~k1")
    assert http.asked[0].query == {
        "maxPageSize": "100",
        "sortBy": "createdAt",
        "sortDir": "desc",
        "status": "NEEDS_REVIEW",
        "workflowId": "w",
        "fileNameContains": "~k1",
    }
    await ids(http, "parse", batch_id="b", source="API", source_id="req_1")
    assert http.asked[1].query == {
        "maxPageSize": "100",
        "batchId": "b",
        "source": "API",
        "sourceId": "req_1",
    }
    with pytest.raises(ValueError, match="no filter by processor"):
        await ids(http, "parse", processor_id="p")


async def test_a_single_page_shows_what_changed_last() -> None:
    http = ScriptedHttp([page("a", token="t1"), page("b"), page("c")])
    client = http.client()
    first = await client.page("extract")
    assert ([row.id for row in first.rows], first.next_token) == (["a"], "t1")
    await client.page("workflow", token="t1", status="NEEDS_REVIEW")
    await client.page("parse", page_size=10)
    newest = {"maxPageSize": "100", "sortBy": "updatedAt", "sortDir": "desc"}
    assert [asked.query for asked in http.asked] == [
        newest,
        newest | {"status": "NEEDS_REVIEW", "nextPageToken": "t1"},
        {"maxPageSize": "10"},
    ]


async def test_a_row_that_moved_between_pages_is_given_once() -> None:
    http = ScriptedHttp([page("a", "b", "a", token="t"), page("b", "c")])
    assert await ids(http) == ["a", "b", "c"]


async def test_a_token_that_comes_again_ends_the_list_with_an_error() -> None:
    http = ScriptedHttp([page("a", token="t1"), page("b", token="t2"), page("c", token="t1")])
    with pytest.raises(ApiUnreadable, match="round in circles"):
        await ids(http)
    assert len(http.asked) == 3


async def test_pages_without_news_end_the_list_with_an_error() -> None:
    http = ScriptedHttp([page("a", token=f"t{n}") for n in range(1000)])
    with pytest.raises(ApiUnreadable) as caught:
        await ids(http)
    assert caught.value.reason == "ENDLESS_LIST"
    assert len(http.asked) == MAX_STALE_PAGES + 2


# --- Create and poll


async def test_polling_follows_the_sdks_schedule() -> None:
    http = ScriptedHttp([CREATED, *[RUNNING] * 40, DONE])
    run = await http.client().create_and_poll("extract", b"{}")
    assert run.status == "PROCESSED"
    assert http.gaps[:31] == [0.0] + [1.0] * 30
    assert http.gaps[31:35] == [1.0, 1.15, 1.322, 1.322]
    assert [asked.method for asked in http.asked].count("POST") == 1


@pytest.mark.parametrize("status", ["PROCESSED", "FAILED", "CANCELLED", "NEEDS_REVIEW", "REJECTED", "NEWLY_INVENTED"])
async def test_every_other_status_ends_the_polling(status: str) -> None:
    http = ScriptedHttp([CREATED, shown("PENDING"), shown("CANCELLING"), shown(status)])
    assert (await http.client().create_and_poll("extract", b"{}")).status == status


@pytest.mark.parametrize(
    "error",
    [
        UNAVAILABLE,
        NotSent("no route", retryable=True),
        ApiUnavailable("500", status=500),
        ApiThrottled("", retry_after=None),
    ],
)
async def test_a_read_that_fails_is_repeated_with_backoff_and_the_run_is_not_lost(error: ApiError) -> None:
    http = ScriptedHttp([CREATED, error, error, error, RUNNING, error, DONE])
    run = await http.client().create_and_poll("extract", b"{}")
    assert run.id == "exr_1"
    assert http.gaps == [0.0, 1.0, 2.0, 4.0, 1.0, 1.0]
    assert [asked.method for asked in http.asked].count("POST") == 1


async def test_the_wait_that_the_api_asks_for_is_kept() -> None:
    throttled = ApiThrottled("", retry_after=17)
    busy = ApiUnavailable("503", status=503, retryable=True, retry_after=9)
    http = ScriptedHttp([CREATED, throttled, busy, DONE])
    await http.client().create_and_poll("extract", b"{}")
    assert http.gaps == [0.0, 17.0, 9.0]


@pytest.mark.parametrize("error", [UNAVAILABLE, ApiThrottled("", retry_after=1), NotSent(""), ApiRefused("", code="X")])
async def test_a_create_that_fails_is_not_repeated(error: ApiError) -> None:
    http = ScriptedHttp([error])
    with pytest.raises(type(error)):
        await http.client().create_and_poll("extract", b"{}")
    assert len(http.asked) == 1


async def test_a_run_that_is_not_visible_yet_is_waited_for_but_not_for_ever() -> None:
    missing = ApiNotFound("404", status=404, code="NOT_FOUND")
    http = ScriptedHttp([CREATED, missing, missing, DONE])
    assert (await http.client().create_and_poll("extract", b"{}")).status == "PROCESSED"
    http = ScriptedHttp([CREATED, missing])
    with pytest.raises(ApiNotFound):
        await http.client().create_and_poll("extract", b"{}")
    assert 30 <= http.now - 1000 < 90
    http = ScriptedHttp([missing])
    with pytest.raises(ApiNotFound):
        await http.client().poll("extract", "exr_1")
    assert len(http.asked) == 1


@pytest.mark.parametrize("error", [ApiForbidden("401", code="X"), ApiUnreadable("", reason="TOO_LARGE", status=200)])
async def test_a_read_that_will_never_succeed_is_raised(error: ApiError) -> None:
    http = ScriptedHttp([CREATED, error])
    with pytest.raises(type(error)):
        await http.client().create_and_poll("extract", b"{}")
    assert len(http.asked) == 2


@pytest.mark.parametrize("answer", [RUNNING, UNAVAILABLE, ApiThrottled("", retry_after=600)])
async def test_the_wait_ends_on_time_with_the_run_id(answer: Answer | ApiError) -> None:
    http = ScriptedHttp([CREATED, answer])
    with pytest.raises(PollingTimeoutError) as caught:
        await http.client().create_and_poll("extract", b"{}", PollingOptions(max_wait_ms=4_500))
    assert (caught.value.run_id, caught.value.max_wait_ms) == ("exr_1", 4_500)
    assert caught.value.elapsed_ms == pytest.approx(4_500)
    assert http.now == pytest.approx(1004.5)


async def test_slow_reads_advance_the_schedule() -> None:
    http = ScriptedHttp([CREATED, *[RUNNING] * 3, DONE], takes=40)
    await http.client().create_and_poll("extract", b"{}")
    assert http.gaps == [40.0, 42.313, 48.137, 54.232]


async def test_jitter_is_drawn_for_each_wait() -> None:
    http = ScriptedHttp([CREATED, RUNNING, DONE])
    await http.client(draw=0.0).create_and_poll("extract", b"{}")
    assert http.gaps == [0.0, 0.75]


async def test_each_look_at_the_run_is_told() -> None:
    told: list[str] = []
    http = ScriptedHttp([CREATED, RUNNING, DONE])
    await http.client().create_and_poll("extract", b"{}", on_update=lambda run: told.append(run.status))
    assert told == ["PROCESSING", "PROCESSING", "PROCESSED"]
