"""The small sections."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, Strict

from connector.config.quantities import Duration, Instant, Size
from connector.config.secret import Secret
from connector.config.section import FilePath, Name, Section, Text
from connector.core.follow.polling import PollingOptions

Port = Annotated[int, Field(ge=0, le=65_535)]
Milliseconds = Annotated[float, Field(ge=0, le=31 * 86_400_000)]
_HOST = re.compile(r"\.?[a-z0-9_-]+(\.[a-z0-9_-]+)+")


def _host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise ValueError("must be a host in lower case without a port, for example files.example.com or .example.com")
    return text


Host = Annotated[str, AfterValidator(_host)]
Interval = Annotated[float, Field(ge=1, le=86_400_000)]


class Input(Section):
    """Reading the input topics."""

    start: Annotated[Literal["earliest"] | datetime, Instant()] = "earliest"
    """Where to begin in a partition that was never read: `earliest`, or an instant such as `2026-12-01T00:00:00Z`."""

    ordering: Literal["none", "key"] = "none"
    """`key`: a document waits until the one before it with the same key has its result."""

    @property
    def start_ms(self) -> int | None:
        """The instant in milliseconds since the epoch; None for ``earliest``."""
        return None if isinstance(self.start, str) else round(self.start.timestamp() * 1000)


class Start(Section):
    """Starting runs."""

    on_unclear: Literal["park", "retry"] = "park"
    """What to do when a start is unclear and its run is not found: `park` it for a person, or `retry`, which **may
    buy a second run**."""

    max_attempts: Annotated[int, Field(ge=2, le=10)] = 2
    """With `on_unclear: retry`: how often a document is started in all before it is parked."""

    settle: Annotated[float, Duration(least=1, most=86_400)] = 600.0
    """How long an unclear start is looked up before it counts as not found. At least `deadline` + 5 s."""

    deadline: Annotated[float, Duration(least=1, most=300)] = 15.0
    """How long one start may take, from the first byte to the answer's last."""

    max_in_flight: Annotated[int, Field(ge=1, le=10_000_000)] = 20_000
    """Open documents per worker; above it the input waits in its topic."""

    max_bytes: Annotated[int, Size(least=1_000_000)] = 256_000_000
    """Bytes of open documents per worker; above it the input waits in its topic."""

    max_open: Annotated[int, Field(ge=1, le=1000)] = 32
    """Starts at one time per worker; a hard kill leaves at most so many unclear ones."""


class Follow(Section):
    """Following runs to their end."""

    mode: Literal["poll", "webhook"] = "poll"
    """`poll`: ask the API at full pace. `webhook`: the same only as a safety net, while webhooks announce what ends."""

    on_timeout: Literal["wait", "emit", "cancel"] = "wait"
    """When `max_wait_ms` is over: `wait` on and alert, `emit` to `<prefix>.timed-out`, or `cancel` the run."""

    reviews: bool = True
    """Whether a run that needs a review is followed on until a person has decided (revision 2)."""

    sweep_interval: Annotated[float, Duration(least=0.1, most=60)] | None = 1.0
    """How often a list is asked which runs have finished; under a small budget less often. `null`: poll run by run."""

    safety_interval: Annotated[float, Duration(least=1, most=300)] = 30.0
    """With `mode: webhook`: how often a list is asked, or a run polled, while webhooks announce what ends. So late a
    result is whose webhook was lost."""

    review_interval: Annotated[float, Duration(least=1, most=86_400)] = 300.0
    """How often to look for decided reviews while no other run of their type is open; else they show at once."""

    max_wait_ms: Milliseconds | None = None
    """Milliseconds until `on_timeout` happens; null: never."""

    fast_poll_duration_ms: Milliseconds = 30_000.0
    """Milliseconds for which a new run is looked at often."""

    fast_poll_interval_ms: Interval = 1_000.0
    """Milliseconds between looks in that time."""

    initial_delay_ms: Interval = 1_000.0
    """Milliseconds before the first look after that time."""

    max_delay_ms: Interval = 30_000.0
    """Longest time between looks, in milliseconds."""

    backoff_multiplier: Annotated[float, Field(ge=1, le=100)] = 1.15
    """How much longer each wait is than the one before."""

    @property
    def polling(self) -> PollingOptions:
        """The six polling options as the core knows them."""
        return PollingOptions(
            max_wait_ms=self.max_wait_ms,
            fast_poll_duration_ms=self.fast_poll_duration_ms,
            fast_poll_interval_ms=self.fast_poll_interval_ms,
            initial_delay_ms=self.initial_delay_ms,
            max_delay_ms=self.max_delay_ms,
            backoff_multiplier=self.backoff_multiplier,
        )


class Output(Section):
    """Where results go."""

    prefix: Name | Literal[""] = ""
    """What the names of the result topics begin with. Default: the connector's name."""

    oversize: Literal["omit", "fail"] = "omit"
    """A result that its topic cannot take: `omit` sends it without its output, `fail` sends it to `<prefix>.failed`
    with the reason `CONNECTOR_RESULT_TOO_LARGE`. The run's id fetches the output either way."""

    parse_by_url: bool = False
    """Whether outputs of parse runs are fetched by the link that the API gives for them, and not inside its answer."""

    parse_hosts: Annotated[tuple[Host, ...], Strict(strict=False)] = ()
    """With `parse_by_url`: hosts that links may lead to, beside the one of `extend.base_url`; `.example.com` for all
    below it. Only `https`, only public addresses."""

    parse_max_bytes: Annotated[int, Size(least=1_000, most=1_000_000_000)] = 64_000_000
    """With `parse_by_url`: the largest output that is fetched; `oversize` says what becomes of a larger one."""


class Webhook(Section):
    """The webhook ingress, `extend-connector webhook`."""

    host: Text = "0.0.0.0"  # noqa: S104 - Extend comes from outside
    """Address to listen on; `127.0.0.1` for this machine only."""

    port: Port = 8081
    """Port of `POST /webhooks/extend`; 0 takes a free one."""

    secret_files: Annotated[tuple[FilePath, ...], Strict(strict=False)] = ()
    """Files with the signing secrets (`wss_…`), the newest first; several while they are being changed. They are read
    again every 10 s."""

    secrets: Annotated[tuple[Secret, ...], Strict(strict=False)] = ()
    """The signing secrets; from the environment only (`EXTEND_WEBHOOK_SECRET`)."""


class Admin(Section):
    """Metrics, probes and status."""

    host: Text = "0.0.0.0"  # noqa: S104 - in a pod, scrapes and probes come from outside
    """Address to listen on; `127.0.0.1` for this machine only."""

    port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    """Port of `/metrics`, `/livez`, `/readyz`, `/status` and `/status.json`; 0 takes a free one."""


class Log(Section):
    """Log lines on stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important lines to write."""

    format: Literal["auto", "json", "text"] = "auto"
    """`json` lines, `text` for people; `auto` is text on a terminal."""
