"""Runs with their outputs, also where the API shows only a link to one (``output.parse_by_url``)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol

from connector.adapters.download import Downloader
from connector.config import Config
from connector.core.errors import ApiUnreadable
from connector.core.run import Page, Run, UnreadableRun, with_output


class Client(Protocol):
    """The part of the API client that following needs."""

    @property
    def api_clock_offset(self) -> float:
        """Seconds that the API's clock is ahead of ours."""

    async def get(self, run_type: str, run_id: str) -> Run:
        """One GET."""

    async def page(self, run_type: str, *, token: str | None = None, status: str | None = None) -> Page:
        """One page of a list, what changed last first."""


def open_downloader(config: Config, on_request: Callable[[str, str, float], None] | None = None) -> Downloader:
    """What fetches outputs by their links, as the configuration allows it.

    Args:
        config: the configuration.
        on_request: told about each download.
    """
    output = config.output
    return Downloader(
        config.extend.base_url, hosts=output.parse_hosts, max_bytes=output.parse_max_bytes, on_request=on_request
    )


class OutputClient:
    """An API client whose runs have their outputs in them."""

    def __init__(self, client: Client, fetch: Callable[[str], Awaitable[bytes | None]]) -> None:
        """Wrap a client.

        Args:
            client: asks the API.
            fetch: the bytes behind a link; None when there are too many.
        """
        self._client = client
        self._fetch = fetch

    @property
    def api_clock_offset(self) -> float:
        """Seconds that the API's clock is ahead of ours."""
        return self._client.api_clock_offset

    async def page(self, run_type: str, *, token: str | None = None, status: str | None = None) -> Page:
        """As the client's."""
        return await self._client.page(run_type, token=token, status=status)

    async def get(self, run_type: str, run_id: str) -> Run:
        """One GET, and one for the output where the run has a link to it.

        Raises:
            ApiUnreadable: what the link gave is no JSON (perhaps next time), or too deep (for ever).
            ApiError: as the client's, or the link could not be followed this time. The run goes on either way.
        """
        run = await self._client.get(run_type, run_id)
        if run.output_url is None or run.output is not None:
            return run
        body = await self._fetch(run.output_url)
        if body is None:
            return replace(run, oversized=True)
        try:
            return with_output(run, body)
        except UnreadableRun as error:
            raise ApiUnreadable(f"The output of run {run_id}: {error}", reason=error.reason) from None
