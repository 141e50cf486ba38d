"""``extend-connector simulator``: the simulated Extend API on its own."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from connector.core.errors import ConfigurationError, ConnectorError, Problem
from connector.simulator.mail import Troubles, parse_troubles
from connector.simulator.rules import Rule, parse_rule
from connector.simulator.server import SimulatorServer
from connector.simulator.settings import PLANS, Lifetimes, Limits, Settings


class Plan(StrEnum):
    """Request limits by name."""

    NONE = "none"
    PAYG = "payg"
    SCALE = "scale"
    ENTERPRISE = "enterprise"
    CUSTOM = "custom"


class RetryHeaderName(StrEnum):
    """What a 429 says about when to come back."""

    RETRY_AFTER = "retry-after"
    X_RATELIMIT_RESET = "x-ratelimit-reset"
    NONE = "none"


_LIFETIMES = Lifetimes()
_RUNS = "Runs"
_LIMITS = "Limits and faults"
_WEBHOOKS = "Webhooks"
_SETTINGS = Settings()


def simulator(  # noqa: PLR0917 - typer reads options from the parameters; nobody calls it by position
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = 8090,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    seed: Annotated[int, typer.Option(help="Same seed and same requests: same ids, times and ends.")] = 0,
    ledger: Annotated[
        Path | None,
        typer.Option(help="Append one JSON line per created run to this file, before the run's answer."),
    ] = None,
    withheld: Annotated[
        Path | None,
        typer.Option(help="Append one JSON line per create that a fault kept from creating a run, or delayed."),
    ] = None,
    median: Annotated[
        float,
        typer.Option(help="Seconds that half of the runs take at most.", min=0, rich_help_panel=_RUNS),
    ] = _LIFETIMES.median,
    spread: Annotated[
        float,
        typer.Option(help="Sigma of the log-normal run time; 0: all the same.", min=0, rich_help_panel=_RUNS),
    ] = _LIFETIMES.spread,
    longest: Annotated[
        float,
        typer.Option(help="Seconds that no run exceeds.", min=0, rich_help_panel=_RUNS),
    ] = _LIFETIMES.longest,
    failed: Annotated[
        float,
        typer.Option(help="Share of runs that fail.", min=0, max=1, rich_help_panel=_RUNS),
    ] = _LIFETIMES.failed,
    cancelled: Annotated[
        float,
        typer.Option(help="Share of runs that somebody cancels.", min=0, max=1, rich_help_panel=_RUNS),
    ] = _LIFETIMES.cancelled,
    needs_review: Annotated[
        float,
        typer.Option(help="Share of workflow runs that need a review.", min=0, max=1, rich_help_panel=_RUNS),
    ] = _LIFETIMES.needs_review,
    rejected: Annotated[
        float,
        typer.Option(help="Share of reviews that end as REJECTED.", min=0, max=1, rich_help_panel=_RUNS),
    ] = _LIFETIMES.rejected,
    review_median: Annotated[
        float,
        typer.Option(help="Seconds that half of the reviews take at most.", min=0, rich_help_panel=_RUNS),
    ] = _LIFETIMES.review_median,
    limits: Annotated[
        Plan,
        typer.Option(help="Requests per second as in this plan; custom: see below.", rich_help_panel=_LIMITS),
    ] = Plan.NONE,
    limit_get: Annotated[
        int | None,
        typer.Option(help="Reads per second, with --limits custom.", min=0, rich_help_panel=_LIMITS),
    ] = None,
    limit_write: Annotated[
        int | None,
        typer.Option(help="Writes per second, with --limits custom.", min=0, rich_help_panel=_LIMITS),
    ] = None,
    limit_run: Annotated[
        int | None,
        typer.Option(help="Starts per second, with --limits custom.", min=0, rich_help_panel=_LIMITS),
    ] = None,
    retry_header: Annotated[
        RetryHeaderName,
        typer.Option(help="Header of a 429.", rich_help_panel=_LIMITS),
    ] = RetryHeaderName.RETRY_AFTER,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            help="A fault rule, e.g. kind=error,stage=after,status=503,action=create,share=0.05. May be repeated.",
            rich_help_panel=_LIMITS,
        ),
    ] = None,
    webhook: Annotated[
        str | None,
        typer.Option(help="Send every event of a run to this address (http).", rich_help_panel=_WEBHOOKS),
    ] = None,
    webhook_secret: Annotated[
        str,
        typer.Option(help="Signs them.", envvar="EXTEND_WEBHOOK_SECRET", rich_help_panel=_WEBHOOKS),
    ] = _SETTINGS.webhook_secret,
    webhook_troubles: Annotated[
        str,
        typer.Option(
            help="What becomes of them: shares of duplicated, reordered, dropped, delayed, forged and replayed, e.g. "
            "duplicated=0.2,dropped=0.1; delay=10 are seconds.",
            rich_help_panel=_WEBHOOKS,
        ),
    ] = "",
) -> None:
    """Run the simulated Extend API (version 2026-02-09) until it is stopped. Any key that begins with sk_ is accepted.

    A file name, or metadata.simulate, can ask for an end: simulate-failed, simulate-cancelled, simulate-stuck,
    simulate-needs-review-rejected, simulate-status-XYZ. More faults: POST /_simulator/faults. What was created:
    GET /_simulator/ledger. What was asked: GET /_simulator/statistics.

    Example: extend-connector simulator --port 8090 --limits payg --fault kind=error,status=503,share=0.01
    """
    custom = Limits(limit_get, limit_write, limit_run)
    if limits is not Plan.CUSTOM and custom != Limits():
        raise _wrong("--limits", "--limit-get, --limit-write and --limit-run need --limits custom.")
    chosen = custom if limits is Plan.CUSTOM else PLANS[limits.value]
    try:
        lifetimes = Lifetimes(
            median=median,
            spread=spread,
            longest=longest,
            failed=failed,
            cancelled=cancelled,
            needs_review=needs_review,
            rejected=rejected,
            review_median=review_median,
        )
    except ValueError as error:
        raise _wrong("lifetimes", str(error)) from error
    settings = Settings(
        seed=seed,
        limits=replace(chosen, retry_header=retry_header.value),
        lifetimes=lifetimes,
        rules=_rules(fault or ()),
        ledger=ledger,
        withheld=withheld,
        webhook_url=webhook,
        webhook_secret=webhook_secret,
        webhook_troubles=_troubles(webhook_troubles),
    )
    try:
        asyncio.run(_serve(host, port, settings))
    except OSError as error:
        place = error.filename or f"{host}:{port}"
        raise ConnectorError(f"The simulator cannot use {place}: {error.strerror or error}.") from error


async def _serve(host: str, port: int, settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with SimulatorServer(host, port, settings) as server:
        typer.echo(f"Simulated Extend API at {server.base_url}")
        await stop.wait()


def _rules(texts: list[str] | tuple[()]) -> tuple[Rule, ...]:
    try:
        return tuple(parse_rule(text) for text in texts)
    except ValueError as error:
        raise _wrong("--fault", str(error)) from error


def _troubles(text: str) -> Troubles:
    try:
        return parse_troubles(text)
    except ValueError as error:
        raise _wrong("--webhook-troubles", str(error)) from error


def _wrong(option: str, message: str) -> ConfigurationError:
    return ConfigurationError([Problem(option, message)])
