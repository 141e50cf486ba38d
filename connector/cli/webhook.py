"""`extend-connector webhook`: the ingress, until SIGTERM; `send`, a signed event to an address of yours; `register`."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from connector.adapters.kafka.version import librdkafka_version
from connector.adapters.metrics import Metrics
from connector.cli.loading import ConfigOption, load_for_kafka
from connector.cli.register import register
from connector.cli.service import end_at_once_on_signals, start_log
from connector.config import Config, Secret, load_extend, read_signing_secrets
from connector.core.errors import ConfigurationError, ConnectorError, Problem
from connector.core.signals.webhook_event import EVENTS
from connector.core.tag import Tag
from connector.webhook.ingress import Ingress, find_topic, verifier_of
from connector.webhook.sending import deliver, event_body, signed_headers

_HINTS = {
    401: " The ingress knows another secret: compare webhook.secret_files, and EXTEND_WEBHOOK_SECRET, here and there.",
    404: " The path must be /webhooks/extend.",
    503: " Kafka has not taken the signal: the log of the ingress says why.",
}
"""What an answer of the ingress means, where that helps."""

_RUN, _SEND, _REGISTER = "run", "send", "register"


def webhook(
    action: Annotated[str, typer.Argument(help=f"{_RUN}, {_SEND} or {_REGISTER}.", metavar="ACTION")] = _RUN,
    url: Annotated[str | None, typer.Argument(help="With send: where to.", metavar="URL")] = None,
    *,
    event: Annotated[str, typer.Option(help="With send: the event's type.")] = "extract_run.processed",
    tag: Annotated[str | None, typer.Option(help="With send: the tag in its run's metadata.")] = None,
    run_id: Annotated[str, typer.Option(help="With send: its run.")] = "exr_test",
    address: Annotated[
        str | None, typer.Option("--url", help="With register: where Extend reaches the ingress (https).")
    ] = None,
    secret_file: Annotated[
        Path | None, typer.Option(help="With register: a new file for the signing secret of a new endpoint.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="With register: do not ask.")] = False,
    config: ConfigOption = None,
) -> None:
    """Take webhooks from Extend at POST /webhooks/extend, and ring at the worker that owns the run.

    run (or nothing): what is signed by one of webhook.secret_files becomes a signal in Kafka before it is answered.
    Keeps nothing and joins no group, so any number may run. Until SIGTERM, which ends it within a few seconds.

    send URL: one test event, signed with the newest secret. Without --tag it belongs to no document and does nothing.

    register --url URL: make or update the endpoint at Extend, with the events of the routes, and a subscription for
    each workflow. Says what it changes, and asks; takes nothing away. The signing secret goes into --secret-file.

    Example: extend-connector webhook --config connector.yaml

    Example: extend-connector webhook register --url https://hooks.example.com/webhooks/extend --secret-file secret

    Example: extend-connector webhook send http://localhost:8081/webhooks/extend --event workflow_run.completed
    """
    if action == _SEND:
        _send(load_for_kafka(config), url, event=event, tag=tag, run_id=run_id)
    elif action == _REGISTER:
        register(load_extend(config, os.environ), address or url, secret_file, yes=yes)
    elif action == _RUN and url is None:
        _run(config)
    else:
        raise ConfigurationError([Problem("ACTION", f"is {_RUN} (without a URL), {_SEND} or {_REGISTER}")])


def _run(config: ConfigOption) -> None:
    end_at_once_on_signals()
    settings = load_for_kafka(config)
    verifier_of(settings.webhook.secrets)
    start_log(settings)
    asyncio.run(_work(settings))


async def _work(config: Config) -> None:
    # Nobody listens for signals in the loop yet: one that comes while the topic is looked at ends the process at once.
    process = Ingress(
        config,
        find_topic(config),
        metrics=Metrics(librdkafka=librdkafka_version()),
        read_secrets=partial(_read_secrets, config),
    )
    process.handle_signals()
    await process.run()


def _read_secrets(config: Config) -> Sequence[Secret]:
    files = config.webhook.secret_files
    return read_signing_secrets(files) if files else config.webhook.secrets


def _send(config: Config, url: str | None, *, event: str, tag: str | None, run_id: str) -> None:
    parsed = None if tag is None else Tag.parse(tag)
    if url is None:
        raise ConfigurationError([Problem("URL", "is missing: where is the webhook ingress?")])
    if tag is not None and parsed is None:
        raise ConfigurationError([Problem("--tag", "is no tag; `extend-connector inflight` shows them")])
    verifier_of(config.webhook.secrets)
    secret = config.webhook.secrets[0].reveal().encode()
    body = event_body(event, run_id, parsed)
    status = deliver(url, body, signed_headers(body, secret, int(time.time())))
    if event not in EVENTS:
        typer.echo(f"The event {event} is one that the connector ignores.", err=True)
    typer.echo(f"{url} answered {status}.")
    if not 200 <= status < 300:
        hint = _HINTS.get(status, "")
        raise ConnectorError(f"Extend would send the event again after {status}.{hint}")
