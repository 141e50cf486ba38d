"""What is said of the API's answers."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import formatdate

import pytest

from connector.adapters.http import Operation
from connector.core.answer import Answer
from connector.core.diagnosis import Health
from connector.core.errors import ApiError, ApiForbidden, ApiThrottled, ApiUnavailable, NotSent
from connector.doctor.api import CLOCK, KEY, examine_api

URL = "https://api.example.com"
NOW = 1_700_000_000.0


class FakeApi:
    """Gives one answer."""

    def __init__(self, answer: Answer | ApiError) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str, str, Mapping[str, str] | None]] = []

    async def send(
        self,
        operation: Operation,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        deadline: float | None = None,
    ) -> Answer:
        assert deadline is not None
        self.asked.append((operation, method, path, query))
        if isinstance(self.answer, ApiError):
            raise self.answer
        return self.answer


def page(seconds_ahead: float | None) -> Answer:
    headers = {} if seconds_ahead is None else {"date": formatdate(NOW + seconds_ahead, usegmt=True)}
    return Answer(200, headers, b'{"data": []}')


async def healths(answer: Answer | ApiError) -> dict[str, Health]:
    return {each.check: each.health for each in await examine_api(FakeApi(answer), URL, "extract", lambda: NOW)}


async def test_one_row_of_a_list_is_read_and_nothing_else() -> None:
    api = FakeApi(page(0))
    await examine_api(api, URL, "workflow", lambda: NOW)
    assert api.asked == [("list", "GET", "/workflow_runs", {"maxPageSize": "1"})]


@pytest.mark.parametrize(
    ("ahead", "health"),
    [
        (0, Health.OK),
        (10, Health.OK),
        (11, Health.WARNING),
        (60, Health.WARNING),
        (61, Health.FAILED),
        (-10, Health.OK),
        (-11, Health.WARNING),
        (-300, Health.WARNING),
        (-301, Health.FAILED),
        (None, Health.SKIPPED),
    ],
)
async def test_a_clock_may_be_off_as_far_as_webhooks_allow(ahead: float | None, health: Health) -> None:
    assert await healths(page(ahead)) == {KEY: Health.OK, CLOCK: health}


@pytest.mark.parametrize(
    ("answer", "health"),
    [
        (ApiForbidden("GET /extract_runs: the API answered 401", status=401), Health.FAILED),
        (ApiThrottled("429", retry_after=1.0), Health.WARNING),
        (NotSent("no such host"), Health.FAILED),
        (ApiUnavailable("502 was answered", status=502), Health.FAILED),
        (Answer(200, {}, b"<html>"), Health.FAILED),
        (Answer(200, {}, b'{"rows": []}'), Health.FAILED),
    ],
)
async def test_a_key_that_gets_no_list_is_told_with_a_way_out(answer: Answer | ApiError, health: Health) -> None:
    key, clock = await examine_api(FakeApi(answer), URL, "extract", lambda: NOW)
    assert (key.check, key.health, bool(key.way_out)) == (KEY, health, True)
    assert clock.health is Health.SKIPPED
