"""The API as Python: create, get, list, cancel, the synchronous endpoints, and create_and_poll.

    http = HttpApi("https://api.extend.ai", api_key)
    client = ExtendClient(http)
    try:
        run = await client.create_and_poll("extract", {"extractor": {"id": "ex_1"}, "file": {"url": url}})
        print(run.status, run.output)
    finally:
        await client.aclose()

One table (``core/run_types.py``) holds what differs between the run types. A create is sent once and never
repeated: a second one would be a second paid run. Reads are repeated by ``create_and_poll`` alone.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Protocol
from urllib.parse import quote

import msgspec

from connector.adapters.http import Operation
from connector.clock import Clock
from connector.core.answer import Answer
from connector.core.budgets.retry import wait_seconds
from connector.core.errors import (
    ApiError,
    ApiNotFound,
    ApiRefused,
    ApiThrottled,
    ApiUnavailable,
    ApiUnreadable,
    PollingTimeoutError,
)
from connector.core.follow.polling import PollingOptions, delay_ms
from connector.core.formats.strict_json import parse_json
from connector.core.run import Page, Run, UnreadableRun, parse_page, parse_run
from connector.core.run_types import RUN_TYPES, RunType, is_terminal

SYNC_DEADLINE = 310.0
"""Seconds: the API ends a synchronous call after 5 minutes; its own answer should come first."""

PAGE_SIZE = 100
MAX_STALE_PAGES = 10
"""Pages in a row without a new row after which a list counts as endless."""

NOT_VISIBLE_YET = 30.0
"""Seconds after its create during which a 404 for a run is taken for lag."""

Body = bytes | Mapping[str, object]
LateRun = Callable[[Run | ApiError], None]


class Http(Protocol):
    """What the client needs of ``HttpApi``; see there."""

    @property
    def api_clock_offset(self) -> float:
        """Seconds that the API's clock is ahead of ours."""

    async def send(
        self,
        operation: Operation,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        deadline: float | None = None,
        may_write: Callable[[], bool] | None = None,
        late: Callable[[Answer | ApiError], None] | None = None,
    ) -> Answer:
        """Send one request, once; a 2xx answer or an ApiError."""

    def set_api_key(self, api_key: str) -> None:
        """Use another key from the next request on."""

    async def aclose(self) -> None:
        """Close all connections."""


class ExtendClient:
    """The six run types of the API over one connection.

    Every method raises subclasses of ``ApiError``; ``core/outcome.py`` says what one means after a create.
    """

    def __init__(
        self,
        http: Http,
        *,
        outputs_by_url: bool = False,
        clock: Clock | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """Take the parts.

        Args:
            http: an ``HttpApi``; closed by ``aclose``.
            outputs_by_url: ``get`` asks for links to outputs where the API has them (``Run.output_url``).
            clock: measures the waiting of ``create_and_poll``.
            sleep: waits so many seconds.
            draw: a number from 0 to 1, for jitter.
        """
        self._http = http
        self._outputs_by_url = outputs_by_url
        self._clock = clock or Clock()
        self._sleep = sleep
        self._draw = draw

    async def create(
        self,
        run_type: str,
        body: Body,
        deadline: float | None = None,
        *,
        may_write: Callable[[], bool] | None = None,
        late: LateRun | None = None,
    ) -> Run:
        """Start a paid run. One POST, never repeated.

        Args:
            run_type: name of the run type.
            body: the create body, as JSON bytes or as an object.
            deadline: seconds from now for everything.
            may_write: a last look, in the step in which the body would begin to be written
                (``HttpApi.send``).
            late: gets the run, or the error, of a create whose caller was cancelled or had been told that it
                is unclear.

        Raises:
            ApiError: ``outcome_of`` says what it means. In particular ``ApiUnreadable`` for a 2xx without a
                usable id.
        """
        row = RUN_TYPES[run_type]

        def arrived(outcome: Answer | ApiError) -> None:
            if late is None:
                return
            end: Run | ApiError
            try:
                end = outcome if isinstance(outcome, ApiError) else _run(row, outcome, f"POST {row.path}")
            except ApiUnreadable as error:
                end = error
            late(end)

        hears = None if late is None else arrived
        answer = await self._http.send(
            "create", "POST", row.path, body=_json(body), deadline=deadline, may_write=may_write, late=hears
        )
        return _run(row, answer, f"POST {row.path}")

    async def get(self, run_type: str, run_id: str, deadline: float | None = None) -> Run:
        """Read a run. One request.

        Raises:
            ApiNotFound: the key sees no such run (right after its create this may be lag).
            ApiUnreadable: the answer is no run, or another one.
            ApiError: as ``HttpApi.send``.
        """
        row = RUN_TYPES[run_type]
        path = _path(row, run_id)
        query = {"responseType": "url"} if self._outputs_by_url and row.output_by_url else None
        run = _run(row, await self._http.send("get", "GET", path, query=query, deadline=deadline), f"GET {path}")
        return _same(run, run_id, f"GET {path}")

    async def cancel(self, run_type: str, run_id: str, deadline: float | None = None) -> Run:
        """Ask the API to cancel a run. One request.

        Raises:
            ValueError: runs of this type cannot be cancelled.
            ApiError: as ``HttpApi.send``; a run that has ended is refused.
        """
        row = RUN_TYPES[run_type]
        if not row.cancellable:
            raise ValueError(f"The API has no cancel for {run_type} runs.")
        path = f"{_path(row, run_id)}/cancel"
        answer = await self._http.send("cancel", "POST", path, deadline=deadline)
        return _same(_run(row, answer, f"POST {path}"), run_id, f"POST {path}")

    async def run_sync(self, run_type: str, body: Body, deadline: float = SYNC_DEADLINE) -> Run:
        """Run a document through the synchronous endpoint and wait for its end. One POST, never repeated.

        Raises:
            ValueError: this type has no synchronous endpoint (workflow).
            ApiError: as ``HttpApi.send``.
        """
        row = RUN_TYPES[run_type]
        if row.sync_path is None:
            raise ValueError(f"The API has no synchronous endpoint for {run_type} runs; use create_and_poll.")
        answer = await self._http.send("sync", "POST", row.sync_path, body=_json(body), deadline=deadline)
        return _run(row, answer, f"POST {row.sync_path}")

    async def extractor_schema(self, extractor: str, version: str, deadline: float | None = None) -> object:
        """The JSON Schema of what an extractor finds. One request.

        Args:
            extractor: its id.
            version: ``2.1``, ``latest`` or ``draft``.
            deadline: seconds for the whole call.

        Raises:
            ApiNotFound: the key sees no such extractor or version.
            ApiUnreadable: the answer holds no JSON Schema; an extractor with the older list of fields has none.
            ApiError: as ``HttpApi.send``.
        """
        path = f"/extractors/{quote(extractor, safe='')}/versions/{quote(version, safe='')}"
        answer = await self._http.send("get", "GET", path, deadline=deadline)
        try:
            found = parse_json(answer.body.decode())
        except ValueError as error:
            raise ApiUnreadable(f"GET {path}: {error}", reason="NOT_JSON", status=answer.status) from None
        config = found.get("config") if isinstance(found, Mapping) else None
        schema = config.get("schema") if isinstance(config, Mapping) else None
        if not isinstance(schema, Mapping):
            message = "the extractor's version has no JSON Schema; one with the older list of fields has to be migrated"
            raise ApiUnreadable(f"GET {path}: {message}", reason="NO_SCHEMA", status=answer.status)
        return schema

    async def probe(self, run_type: str, deadline: float | None = None) -> bool:
        """Whether the API answers creates, found out by one that can create nothing: an empty body.

        Returns:
            True when a 4xx with the API's own error body came back, whatever it says.
        """
        try:
            await self._http.send("probe", "POST", RUN_TYPES[run_type].path, body=b"{}", deadline=deadline)
        except (ApiRefused, ApiThrottled) as error:
            return error.code is not None
        except ApiError:
            return False
        return False  # no API takes an empty create: something else answers at this address

    async def list(
        self,
        run_type: str,
        *,
        status: str | None = None,
        processor_id: str | None = None,
        batch_id: str | None = None,
        source: str | None = None,
        source_id: str | None = None,
        file_name_contains: str | None = None,
        sort_by: str = "createdAt",
        sort_dir: str = "desc",
        page_size: int = PAGE_SIZE,
        deadline: float | None = None,
    ) -> AsyncIterator[Page]:
        """Page through a list to its end; stop iterating to stop asking. A row is given once.

        Args:
            run_type: name of the run type.
            status: only runs of this status.
            processor_id: only runs of this extractor, classifier, splitter or workflow.
            batch_id: only runs of this batch.
            source: only runs of this origin, e.g. ``API``.
            source_id: only runs of this origin's id.
            file_name_contains: only runs whose file name contains this.
            sort_by: ``createdAt`` or ``updatedAt``; not sent where the API cannot sort (parse).
            sort_dir: ``desc`` or ``asc``; likewise.
            page_size: rows per request, 1 to 1000.
            deadline: seconds per request.

        Raises:
            ValueError: this type has no such filter.
            ApiUnreadable: no list came, or one that goes round in circles.
            ApiError: as ``HttpApi.send``. Pages that came before are not invalid.
        """
        row = RUN_TYPES[run_type]
        query = {"maxPageSize": str(page_size)}
        if row.sortable:
            query |= {"sortBy": sort_by, "sortDir": sort_dir}
        if processor_id is not None and row.processor_query is None:
            raise ValueError(f"The list of {run_type} runs has no filter by processor.")
        filters = {
            "status": status,
            row.processor_query or "": processor_id,
            "batchId": batch_id,
            "source": source,
            "sourceId": source_id,
            "fileNameContains": file_name_contains,
        }
        query |= {name: value for name, value in filters.items() if value is not None}
        seen: set[str] = set()
        tokens: set[str] = set()
        stale = 0
        while True:
            page = await self._page(row, query, deadline)
            fresh = tuple({each.id: each for each in page.rows if each.id not in seen}.values())
            seen.update(each.id for each in fresh)
            stale = 0 if fresh else stale + 1
            yield replace(page, rows=fresh)
            if page.next_token is None:
                return
            if page.next_token in tokens or stale > MAX_STALE_PAGES:
                text = f"GET {row.path}: the pages of the list go round in circles."
                raise ApiUnreadable(text, reason="ENDLESS_LIST", status=HTTPStatus.OK)
            tokens.add(page.next_token)
            query = {**query, "nextPageToken": page.next_token}

    async def page(
        self,
        run_type: str,
        *,
        token: str | None = None,
        status: str | None = None,
        page_size: int = PAGE_SIZE,
        deadline: float | None = None,
    ) -> Page:
        """Read one page of a list, what changed last first; parse runs come in the API's own order. One request.

        Args:
            run_type: name of the run type.
            token: of the page, from the one before it; None for the first.
            status: only runs of this status.
            page_size: rows, 1 to 1000.
            deadline: seconds for the request.

        Raises:
            ApiUnreadable: no list came.
            ApiError: as ``HttpApi.send``.
        """
        row = RUN_TYPES[run_type]
        query = {"maxPageSize": str(page_size)}
        if row.sortable:
            query |= {"sortBy": "updatedAt", "sortDir": "desc"}
        query |= {name: value for name, value in (("status", status), ("nextPageToken", token)) if value is not None}
        return await self._page(row, query, deadline)

    async def _page(self, row: RunType, query: Mapping[str, str], deadline: float | None) -> Page:
        return _page(row, await self._http.send("list", "GET", row.path, query=query, deadline=deadline))

    async def create_and_poll(
        self,
        run_type: str,
        body: Body,
        polling: PollingOptions | None = None,
        *,
        deadline: float | None = None,
        on_update: Callable[[Run], None] | None = None,
    ) -> Run:
        """Start a run and follow it to its end, by the schedule of the official SDK.

        A read that fails with 429, 5xx or without an answer is repeated: the run id is never lost. The create
        is
        not: its errors come out as they are.

        Args:
            run_type: name of the run type.
            body: the create body, as JSON bytes or as an object.
            polling: the policy; default ``PollingOptions()``.
            deadline: seconds for each request.
            on_update: told of the run after the create and after each read.

        Returns:
            The run with a terminal status (``NEEDS_REVIEW`` and unknown ones are terminal).

        Raises:
            PollingTimeoutError: ``max_wait_ms`` is over; it carries the run id, and the run goes on.
            ApiError: of the create; or of a read that will not succeed (its message has the run's path).
        """
        run = await self.create(run_type, body, deadline)
        if on_update is not None:
            on_update(run)
        return await self.poll(run_type, run.id, polling, deadline=deadline, on_update=on_update, just_created=True)

    async def poll(
        self,
        run_type: str,
        run_id: str,
        polling: PollingOptions | None = None,
        *,
        deadline: float | None = None,
        on_update: Callable[[Run], None] | None = None,
        just_created: bool = False,
    ) -> Run:
        """Follow a run that exists to its end; as ``create_and_poll``.

        Args:
            run_type: name of the run type.
            run_id: the run.
            polling: the policy.
            deadline: seconds for each request.
            on_update: told of the run after each read.
            just_created: a 404 within the first ``NOT_VISIBLE_YET`` seconds is lag, and no end.
        """
        options = polling or PollingOptions()
        began = self._clock.monotonic()
        failures = 0
        while True:
            pause: float | None = None
            try:
                run = await self.get(run_type, run_id, deadline)
            except ApiError as error:
                lag = just_created and self._clock.monotonic() - began < NOT_VISIBLE_YET
                if not _worth_repeating(error, lag=lag):
                    raise
                asked = error.retry_after if isinstance(error, ApiThrottled | ApiUnavailable) else None
                pause = wait_seconds(failures, self._jitter(), asked)
                failures += 1
            else:
                failures = 0
                if on_update is not None:
                    on_update(run)
                if is_terminal(run.status):
                    return run
            elapsed_ms = (self._clock.monotonic() - began) * 1000
            if options.max_wait_ms is not None and elapsed_ms >= options.max_wait_ms:
                raise PollingTimeoutError(run_id, elapsed_ms, options.max_wait_ms)
            if pause is None:
                pause = delay_ms(options, elapsed_ms, self._jitter()) / 1000
            if options.max_wait_ms is not None:
                pause = min(pause, (options.max_wait_ms - elapsed_ms) / 1000)
            await self._sleep(pause)

    @property
    def api_clock_offset(self) -> float:
        """Seconds that the API's clock is ahead of ours, as far as its answers told; else 0."""
        return self._http.api_clock_offset

    def set_api_key(self, api_key: str) -> None:
        """Use another key from the next request on.

        Raises:
            ValueError: the key is not one line of printable ASCII.
        """
        self._http.set_api_key(api_key)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    def _jitter(self) -> float:
        return 2 * self._draw() - 1


def _worth_repeating(error: ApiError, *, lag: bool) -> bool:
    if isinstance(error, ApiNotFound):
        return lag
    if isinstance(error, ApiUnavailable):
        return error.retryable or (error.status is not None and error.status >= 500)
    return isinstance(error, ApiThrottled)


def _path(row: RunType, run_id: str) -> str:
    return f"{row.path}/{quote(run_id, safe='')}"


def _json(body: Body) -> bytes:
    return body if isinstance(body, bytes) else msgspec.json.encode(body)


def _run(row: RunType, answer: Answer, asked: str) -> Run:
    try:
        return parse_run(row.name, answer.body)
    except UnreadableRun as error:
        raise ApiUnreadable(f"{asked}: {error}", reason=error.reason, status=answer.status) from None


def _page(row: RunType, answer: Answer) -> Page:
    try:
        return parse_page(row.name, answer.body)
    except UnreadableRun as error:
        raise ApiUnreadable(f"GET {row.path}: {error}", reason=error.reason, status=answer.status) from None


def _same(run: Run, run_id: str, asked: str) -> Run:
    if run.id != run_id:
        raise ApiUnreadable(f"{asked}: the answer shows another run.", reason="OTHER_ID")
    return run
