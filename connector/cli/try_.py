"""`extend-connector try`: one document through the API, without Kafka. It buys one run."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from connector import logs
from connector.adapters.http import HttpApi
from connector.cli.loading import ConfigOption
from connector.client import SYNC_DEADLINE, ExtendClient
from connector.config import Config, load_extend
from connector.core.accept.reference import ReferenceDecoder
from connector.core.accept.request import resolve
from connector.core.entry import Request
from connector.core.errors import ApiError, PollingTimeoutError, RecordRejected
from connector.core.formats.framing import Codec
from connector.core.outcome import Unclear, outcome_of
from connector.core.reasons import Reason
from connector.core.record import Partition, Record
from connector.core.route import Route
from connector.core.run import Run
from connector.core.run_types import RUN_TYPES
from connector.schema_files import load_schemas

_ENDED_BADLY = frozenset({"FAILED", "CANCELLED"})


def try_(
    file: Annotated[
        str | None,
        typer.Argument(help="The document's URL, or the id of a file at Extend (file_...).", metavar="FILE"),
    ] = None,
    *,
    text: Annotated[str | None, typer.Option(help="The document itself, instead of FILE.")] = None,
    route: Annotated[
        str | None,
        typer.Option(help="A route of the configuration. Default: the first; none when --run is given."),
    ] = None,
    run: Annotated[str | None, typer.Option(help=f"Run type: {', '.join(RUN_TYPES)}.")] = None,
    processor: Annotated[str | None, typer.Option(help="Processor id.")] = None,
    processor_version: Annotated[str | None, typer.Option(help="Its version.")] = None,
    run_config: Annotated[
        str | None,
        typer.Option("--run-config", help="Inline config, or what overrides the processor's, as JSON."),
    ] = None,
    follow: Annotated[
        bool,
        typer.Option("--async", help="Create the run and poll it, as a worker does. Workflows need it."),
    ] = False,
    max_wait_ms: Annotated[
        float | None,
        typer.Option(min=0, help="With --async: stop polling after so long; the run goes on. Default: follow.*"),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            min=1, help=f"Without --async: seconds to wait for the end of the run. Default: {SYNC_DEADLINE:g}."
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Send one document to the API and print its run as JSON. This buys one run; nothing is ever sent twice.

    An API key is all that it needs. Exit code 1 when the run failed, or was not at its end in time; what exists at the
    API nevertheless is said on stderr.

    Example: extend-connector try https://example.com/invoice.pdf --run parse

    Example: extend-connector try https://example.com/invoice.pdf --route invoices --async --max-wait-ms 60000
    """
    if (file is None) == (text is None):
        raise typer.BadParameter("Give either FILE or --text.")
    if max_wait_ms is not None and not follow:
        raise typer.BadParameter("--max-wait-ms goes with --async.")
    if timeout is not None and follow:
        raise typer.BadParameter("--timeout goes with the synchronous call; with --async it is --max-wait-ms.")
    settings = load_extend(config, os.environ)
    logs.silence()
    reference = {
        **_file(file, text),
        **_given(run=run, processor=processor, version=processor_version, config=_json_object(run_config)),
    }
    request = _request(reference, _route(settings, route, run))
    if RUN_TYPES[request.run_type].sync_path is None and not follow:
        raise typer.BadParameter(f"The API has no synchronous endpoint for {request.run_type} runs: add --async.")
    purchase = Purchase(request.run_type)
    try:
        found = asyncio.run(
            _perform(
                settings, request, purchase, max_wait_ms=max_wait_ms, deadline=timeout or SYNC_DEADLINE, follow=follow
            )
        )
    except KeyboardInterrupt:
        purchase.interrupted()
        raise
    except ApiError as error:
        purchase.failed(error)
        raise
    typer.echo(_shown(found))
    if found.status in _ENDED_BADLY:
        _say(f"Run {found.id} ended as {found.status}.")
        raise typer.Exit(1)


class Purchase:
    """What is known of the one run that this command may buy, said as soon as it is known."""

    def __init__(self, run_type: str) -> None:
        """Nothing was sent yet."""
        self._run_type = run_type
        self._run_id: str | None = None
        self.sent = False

    def seen(self, run: Run) -> None:
        """The API has told of the run; its id is shown at once, because a run that nobody can name is lost."""
        if self._run_id is None:
            _say(f"Run {run.id} was created.")
        self._run_id = run.id

    def interrupted(self) -> None:
        """Somebody pressed Ctrl-C."""
        if self._run_id is not None:
            _say(f"Run {self._run_id} goes on at the API.")
        elif self.sent:
            self._perhaps("The answer was not awaited")

    def failed(self, error: ApiError) -> None:
        """The API, or the way to it, failed."""
        if self._run_id is not None:
            if not isinstance(error, PollingTimeoutError):  # which says it itself
                _say(f"Run {self._run_id} exists and goes on at the API.")
        elif isinstance(outcome_of(error), Unclear):
            self._perhaps("No clear answer came")

    def _perhaps(self, why: str) -> None:
        _say(
            f"{why}: a {self._run_type} run may exist, and be paid for. Look for it among the newest {self._run_type} "
            "runs in Extend's dashboard before you send the document again."
        )


async def _perform(
    settings: Config,
    request: Request,
    purchase: Purchase,
    *,
    follow: bool,
    max_wait_ms: float | None,
    deadline: float,
) -> Run:
    extend = settings.extend
    http = HttpApi(extend.base_url, extend.api_key.reveal(), extend.api_version, extend.workspace_id)
    client = ExtendClient(http)
    polling = settings.follow.polling
    if max_wait_ms is not None:
        polling = replace(polling, max_wait_ms=max_wait_ms)
    console = Console(stderr=True)
    try:
        with console.status(f"{request.run_type} run", spinner="line") as status:

            def seen(run: Run) -> None:
                purchase.seen(run)
                status.update(f"{request.run_type} run {run.id}: {run.status}")

            purchase.sent = True
            if not follow:
                return await client.run_sync(request.run_type, request.body, deadline)
            return await client.create_and_poll(request.run_type, request.body, polling, on_update=seen)
    finally:
        await client.aclose()


def _say(sentence: str) -> None:
    typer.echo(sentence, err=True)


def _request(reference: Mapping[str, object], route: Route) -> Request:
    decoder = ReferenceDecoder(Codec(*load_schemas("document_reference")))
    value = json.dumps(reference, ensure_ascii=False).encode()
    try:
        return resolve(Record(Partition(route.topic, 0), 0, None, value), [route], None, decoder)
    except RecordRejected as error:
        raise typer.BadParameter(_explained(error)) from None


def _explained(error: RecordRejected) -> str:
    if (error.reason, error.path) == (Reason.NO_ROUTE, "run"):
        return f"Which run? Give --run ({', '.join(RUN_TYPES)})."
    refused = f"{error} ({error.reason})"
    if error.reason != Reason.URL_NOT_ALLOWED:
        return f"{refused}."
    return (
        f"{refused}; a local file has to be at a URL, or uploaded to Extend first (file_...), and a text goes with "
        "--text."
    )


def _route(settings: Config, name: str | None, run: str | None) -> Route:
    routes = settings.core_routes()
    if name is None:
        return Route("try", "try") if run is not None or not routes else _for_references(routes[0])
    for route in routes:
        if route.name == name:
            return _for_references(route)
    raise typer.BadParameter(f"There is no route {name}; there are {', '.join(each.name for each in routes)}.")


def _for_references(route: Route) -> Route:
    """What a route says about runs; FILE is no record of anybody's that would have to be mapped or chosen."""
    return replace(route, when=None, mapping=None)


def _file(file: str | None, text: str | None) -> dict[str, str]:
    if text is not None:
        return {"text": text}
    return {"file_id": str(file)} if str(file).startswith("file_") else {"url": str(file)}


def _given(**options: object) -> dict[str, object]:
    return {name: value for name, value in options.items() if value is not None}


def _json_object(text: str | None) -> object:
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        raise typer.BadParameter("--run-config is no JSON.") from None


def _shown(run: Run) -> str:
    """The run as one JSON object; its output as the API wrote it."""
    fields = {
        "id": run.id,
        "run_type": run.run_type,
        "status": run.status,
        "output": None if run.output is None else msgspec.Raw(run.output),
        "failure_reason": run.failure_reason,
        "failure_message": run.failure_message,
        "credits": run.credits,
        "processor_id": run.processor_id,
        "processor_version": run.processor_version,
        "file_id": run.file_id,
        "file_name": run.file_name,
        "dashboard_url": run.dashboard_url,
    }
    return msgspec.json.format(msgspec.json.encode(fields), indent=2).decode()
