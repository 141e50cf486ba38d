"""The API: whether it takes the key, and how far its clock is from ours. One row of a list is read, no run started."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from connector.adapters.http import Operation
from connector.core.answer import Answer
from connector.core.diagnosis import Diagnosis, Health
from connector.core.errors import ApiError, ApiForbidden, ApiThrottled, NotSent
from connector.core.run import parse_page
from connector.core.run_types import RUN_TYPES
from connector.core.signals.signature import MAX_AGE_SECONDS, MAX_AHEAD_SECONDS

KEY, CLOCK = "api.key", "api.clock"

_TOLERATED_SECONDS = 10.0
"""Half of the nearer limit and more is left then; ``Date`` has whole seconds, and an answer takes its time."""
_MEND_CLOCK = "Let this machine take its time from a time server (NTP)."
_DEADLINE = 15.0


class Api(Protocol):
    """What is needed of ``HttpApi``; see there."""

    async def send(
        self,
        operation: Operation,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        deadline: float | None = None,
    ) -> Answer:
        """Send one request, once; a 2xx answer or an ApiError."""


async def examine_api(api: Api, base_url: str, run_type: str, now: Callable[[], float]) -> list[Diagnosis]:
    """Both checks, by one request.

    Args:
        api: the API.
        base_url: its address, for sentences.
        run_type: a run type that the routes use; its list is read.
        now: seconds since the epoch, by our clock.
    """
    path = RUN_TYPES[run_type].path
    try:
        answer = await api.send("list", "GET", path, query={"maxPageSize": "1"}, deadline=_DEADLINE)
        parse_page(run_type, answer.body)
    except ApiError as error:
        return [_refused(base_url, error), _clock(base_url, None)]
    except ValueError:
        found = f"GET {path} is answered, with something that is no list."
        what_answers = Diagnosis(KEY, base_url, Health.FAILED, found, "Check extend.base_url: what answers there?")
        return [what_answers, _clock(base_url, None)]
    offset = None if answer.date is None else answer.date - now()
    ok = Diagnosis(KEY, base_url, Health.OK, f"The key is taken (GET {path} is answered with {answer.status}).")
    return [ok, _clock(base_url, offset)]


def _refused(base_url: str, error: ApiError) -> Diagnosis:
    match error:
        case ApiForbidden():
            return Diagnosis(KEY, base_url, Health.FAILED, str(error), "Mend extend.api_key_file, or the account.")
        case ApiThrottled():
            way_out = "Ask again later; if it stays, lower extend.plan or extend.budget_share."
            return Diagnosis(KEY, base_url, Health.WARNING, str(error), way_out)
        case NotSent():
            way_out = "Check extend.base_url, DNS, and what lets this machine out."
            return Diagnosis(KEY, base_url, Health.FAILED, str(error), way_out)
        case _:
            way_out = "Ask again; if it stays, check extend.base_url and what stands between."
            return Diagnosis(KEY, base_url, Health.FAILED, str(error), way_out)


def _clock(base_url: str, offset: float | None) -> Diagnosis:
    if offset is None:
        return Diagnosis(CLOCK, base_url, Health.SKIPPED, "The API has not told its time.")
    ahead = "ahead of" if offset > 0 else "behind"
    found = f"The API's clock is {abs(offset):.0f} s {ahead} this machine's"
    if offset > MAX_AHEAD_SECONDS or offset < -MAX_AGE_SECONDS:
        found += f"; webhooks more than {MAX_AHEAD_SECONDS} s ahead or {MAX_AGE_SECONDS} s behind are refused."
        return Diagnosis(CLOCK, base_url, Health.FAILED, found, _MEND_CLOCK)
    if abs(offset) > _TOLERATED_SECONDS:
        return Diagnosis(CLOCK, base_url, Health.WARNING, f"{found}.", _MEND_CLOCK)
    return Diagnosis(CLOCK, base_url, Health.OK, f"{found}.")
