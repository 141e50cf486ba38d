"""The official SDK against the simulator over real HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from extend_ai import AsyncExtend
from extend_ai.core.api_error import ApiError
from extend_ai.errors import (
    BadRequestError,
    ForbiddenError,
    InternalServerError,
    NotFoundError,
    PaymentRequiredError,
    TooManyRequestsError,
    UnauthorizedError,
    UnprocessableEntityError,
)
from extend_ai.wrapper.polling import PollingOptions, PollingTimeoutError

from connector.clock import Clock
from connector.core.run_types import RUN_TYPES
from connector.simulator.rules import Rule
from connector.simulator.server import SimulatorServer
from connector.simulator.settings import Lifetimes, Settings
from tests.fakes.api_time import ApiTime
from tests.simulator.judge import CREATE_BODIES

QUICKLY = PollingOptions(fast_poll_interval_ms=20, jitter_fraction=0)
FIELDS = {"templateId": "template_id"}


def runs_of(sdk: AsyncExtend, run_type: str) -> Any:  # noqa: ANN401 - six generated classes without a common base
    """``sdk.extract_runs`` and so on."""
    return getattr(sdk, f"{run_type}_runs")


def arguments(run_type: str, **more: object) -> dict[str, Any]:
    """A create body as the SDK's arguments."""
    return {FIELDS.get(name, name): value for name, value in {**CREATE_BODIES[run_type], **more}.items()}


@pytest.mark.parametrize("run_type", RUN_TYPES)
async def test_create_and_poll(sdk: AsyncExtend, run_type: str) -> None:
    run = await runs_of(sdk, run_type).create_and_poll(**arguments(run_type), polling_options=QUICKLY)
    assert run.status == "PROCESSED"
    assert run.usage.credits > 0
    assert run.step_runs if run_type == "workflow" else run.output


async def test_a_workflow_stops_for_a_person_and_goes_on() -> None:
    file = {"url": "https://files.example.com/simulate-needs-review-rejected.pdf"}
    settings = Settings(lifetimes=Lifetimes(median=0.05, spread=0.0, review_median=3600.0))
    api_time = ApiTime()
    async with (
        SimulatorServer(settings=settings, clock=Clock(wall=api_time.wall)) as api,
        httpx.AsyncClient(timeout=10) as client,
    ):
        sdk = AsyncExtend(token="sk_test", base_url=api.base_url, httpx_client=client)
        run = await sdk.workflow_runs.create_and_poll(
            **arguments("workflow", file=file),
            polling_options=QUICKLY,
        )
        assert (run.status, run.reviewed) == ("NEEDS_REVIEW", False)
        api_time.forward(2 * 3600.0)
        decided = await runs_of(sdk, "workflow").retrieve(run.id)
    assert (decided.status, decided.reviewed) == ("REJECTED", True)
    nested = decided.step_runs[0].result.extract_run
    assert nested.output.value["total"] > 0


async def test_polling_gives_up_on_a_stuck_run(sdk: AsyncExtend) -> None:
    with pytest.raises(PollingTimeoutError):
        await sdk.parse_runs.create_and_poll(
            file={"url": "https://files.example.com/simulate-stuck.pdf"},
            polling_options=PollingOptions(max_wait_ms=100, fast_poll_interval_ms=20),
        )


async def test_a_failed_run_has_its_reason(sdk: AsyncExtend) -> None:
    run = await sdk.parse_runs.create_and_poll(
        file={"url": "https://files.example.com/simulate-failed-OCR_ERROR.pdf"},
        polling_options=QUICKLY,
    )
    assert (run.status, run.failure_reason, run.output) == ("FAILED", "OCR_ERROR", None)


@pytest.mark.parametrize("run_type", RUN_TYPES)
async def test_lists_page_through_everything(sdk: AsyncExtend, run_type: str) -> None:
    made = [(await runs_of(sdk, run_type).create(**arguments(run_type))).id for _ in range(5)]
    order = {"sort_by": "createdAt", "sort_dir": "desc"} if RUN_TYPES[run_type].sortable else {}
    seen: list[str] = []
    token = None
    while True:
        page = await runs_of(sdk, run_type).list(max_page_size=2, next_page_token=token, **order)
        assert len(page.data) <= 2
        seen.extend(row.id for row in page.data)
        token = page.next_page_token
        if token is None:
            break
    assert seen == made[::-1]


async def test_lists_sort_and_filter(sdk: AsyncExtend) -> None:
    stuck = await sdk.extract_runs.create(
        extractor={"id": "ex_1"},
        file={"url": "https://files.example.com/simulate-stuck.pdf"},
    )
    done = await sdk.extract_runs.create_and_poll(
        extractor={"id": "ex_2"},
        file={"text": "Invoice A-2", "name": "two.txt"},
        metadata={"order": "2"},
        polling_options=QUICKLY,
    )

    async def ids(**query: Any) -> list[str]:  # noqa: ANN401 - passed through to the SDK
        return [row.id for row in (await runs_of(sdk, "extract").list(**query)).data]

    assert await ids(status="PROCESSED") == [done.id]
    assert await ids(extractor_id="ex_1") == [stuck.id]
    assert await ids(file_name_contains="two") == [done.id]
    assert await ids(sort_by="updatedAt", sort_dir="desc") == [done.id, stuck.id]
    assert await ids(sort_by="createdAt", sort_dir="asc") == [stuck.id, done.id]
    rows = (await runs_of(sdk, "extract").list(status="PROCESSED")).data
    assert rows[0].metadata == {"order": "2"}


@pytest.mark.parametrize("run_type", [name for name, row in RUN_TYPES.items() if row.cancellable])
async def test_cancel(sdk: AsyncExtend, run_type: str) -> None:
    file = {"url": "https://files.example.com/simulate-stuck.pdf"}
    run = await runs_of(sdk, run_type).create(**arguments(run_type, file=file))
    stopped = await runs_of(sdk, run_type).cancel(run.id)
    # `value`: the SDK's enum of parse statuses does not know CANCELLED yet, but keeps its text.
    assert stopped.status.value == ("CANCELLING" if run_type == "workflow" else "CANCELLED")
    if run_type == "workflow":
        await asyncio.sleep(0.35)
        assert (await sdk.workflow_runs.retrieve(run.id)).status == "CANCELLED"
    with pytest.raises(BadRequestError):
        await runs_of(sdk, run_type).cancel(run.id)


async def test_delete(sdk: AsyncExtend) -> None:
    run = await sdk.edit_runs.create(**arguments("edit"))
    assert (await sdk.edit_runs.delete(run.id)).id == run.id
    with pytest.raises(NotFoundError):
        await sdk.edit_runs.retrieve(run.id)


async def test_a_workflow_runs_metadata_can_be_changed(sdk: AsyncExtend) -> None:
    run = await sdk.workflow_runs.create(**arguments("workflow", metadata={"a": "1"}))
    assert (await sdk.workflow_runs.update(run.id, metadata={"b": "2"})).metadata == {"b": "2"}
    assert (await sdk.workflow_runs.retrieve(run.id)).metadata == {"b": "2"}


@pytest.mark.parametrize("run_type", [name for name, row in RUN_TYPES.items() if row.sync_path])
async def test_the_synchronous_endpoints_answer_with_the_result(sdk: AsyncExtend, run_type: str) -> None:
    run = await getattr(sdk, run_type)(**arguments(run_type))
    assert run.status == "PROCESSED"
    assert run.output is not None


async def test_a_synchronous_failure_is_an_error_with_the_reason(sdk: AsyncExtend) -> None:
    file = {"url": "https://files.example.com/simulate-failed-CORRUPT_FILE.pdf"}
    with pytest.raises(UnprocessableEntityError) as error:
        await sdk.parse(**arguments("parse", file=file), request_options={"max_retries": 0})
    assert error.value.body.code == "CORRUPT_FILE"


async def test_a_parse_output_comes_by_link(sdk: AsyncExtend, http: httpx.AsyncClient) -> None:
    run = await runs_of(sdk, "parse").create_and_poll(**arguments("parse"), polling_options=QUICKLY)
    by_url = await runs_of(sdk, "parse").retrieve(run.id, response_type="url")
    assert by_url.output is None
    fetched = (await http.get(by_url.output_url)).json()
    assert fetched["chunks"][0]["content"] == run.output.chunks[0].content


async def test_an_edited_file_can_be_fetched(sdk: AsyncExtend, http: httpx.AsyncClient) -> None:
    run = await runs_of(sdk, "edit").create_and_poll(**arguments("edit"), polling_options=QUICKLY)
    assert (await http.get(run.output.edited_file.presigned_url)).content.startswith(b"%PDF")


@pytest.mark.parametrize(
    ("status", "exception"),
    [
        (400, BadRequestError),
        (401, UnauthorizedError),
        (402, PaymentRequiredError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (422, UnprocessableEntityError),
        (429, TooManyRequestsError),
        (500, InternalServerError),
        (503, ApiError),
    ],
)
async def test_every_error_raises_the_right_exception(
    sdk: AsyncExtend,
    simulator: SimulatorServer,
    status: int,
    exception: type[ApiError],
) -> None:
    simulator.engine.faults.install([Rule(kind="error", status=status)], 0.0)
    with pytest.raises(exception) as error:
        await sdk.extract_runs.create(**arguments("extract"), request_options={"max_retries": 0})
    assert error.value.status_code == status
    body = error.value.body if isinstance(error.value.body, dict) else error.value.body.dict(by_alias=True)
    assert body["retryable"] is (status == 429 or status >= 500)
    assert error.value.headers is not None
    assert body["requestId"] == error.value.headers["x-extend-request-id"]
    assert simulator.engine.ledger.lines() == b""


async def test_errors_of_our_own_raise_the_right_exception(simulator: SimulatorServer, sdk: AsyncExtend) -> None:
    with pytest.raises(NotFoundError):
        await sdk.extract_runs.retrieve("exr_unknown")
    with pytest.raises(BadRequestError):
        await sdk.classify_runs.create(file={"id": "file_1"})
    async with httpx.AsyncClient() as client:
        stranger = AsyncExtend(token="pk_test", base_url=simulator.base_url, httpx_client=client)
        with pytest.raises(UnauthorizedError):
            await stranger.extract_runs.retrieve("exr_unknown")


async def test_the_sdk_repeats_a_create_that_the_simulator_spoiled(
    simulator: SimulatorServer,
    sdk: AsyncExtend,
) -> None:
    """Why the connector owns its HTTP client: the SDK buys a second run."""
    rule = Rule(kind="error", status=503, stage="after", count=1)
    simulator.engine.faults.install([rule], 0.0)
    await sdk.extract_runs.create(**arguments("extract"))
    assert len(simulator.engine.ledger.lines().splitlines()) == 2
