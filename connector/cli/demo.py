"""`extend-connector demo`: references in, decoded results out, with nothing but this package."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from connector import logs
from connector.core.errors import ConnectorError
from connector.core.run_types import NEEDS_REVIEW, RUN_TYPES
from connector.demo.stage import Progress, Result, Stage, open_stage

LIMIT_SECONDS = 55.0
REFRESH_SECONDS = 0.25
_OUTPUT_CHARS = 200
_COLUMNS = {"document": 22, "run type": 8, "status": 12}
_NARROWEST = 20
_NEXT = (
    ("make demo ARGS=--keep", "leaves it running, with metrics to look at"),
    ("extend-connector simulator", "the simulated API alone"),
    ('README.md, "A worker of your own"', "topics, run, submit, results"),
)


def demo(
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Leave it running afterwards, with metrics to look at.")] = False,
    admin_port: Annotated[int, typer.Option(min=0, max=65535, help="Metrics and probes; 0 takes a free one.")] = 0,
    simulator_port: Annotated[int, typer.Option(min=0, max=65535, help="The simulated API; 0 takes a free one.")] = 0,
) -> None:
    """Watch references of all six run types become decoded results, without a broker or an Extend account.

    The broker is librdkafka's mock, the API is simulated: it shows the flow and proves nothing.

    Example: extend-connector demo --keep --admin-port 8080
    """
    logs.configure("error", json=False)
    asyncio.run(_play(Console(), keep=keep, admin_port=admin_port, simulator_port=simulator_port))


async def _play(console: Console, *, keep: bool, admin_port: int, simulator_port: int) -> None:
    begun = time.monotonic()
    async with open_stage(admin_port, simulator_port) as stage:
        console.print(f"{len(stage.progress.submitted)} references of {len(RUN_TYPES)} run types are on their way.")
        with Live(
            documents_table(stage.progress), console=console, refresh_per_second=8, transient=not console.is_terminal
        ) as live:
            while not stage.progress.complete:
                if time.monotonic() - begun > LIMIT_SECONDS:
                    missing = sorted(set(stage.progress.submitted) - stage.progress.decided)
                    raise ConnectorError(
                        f"The demo did not finish in {LIMIT_SECONDS:.0f} s; open: {', '.join(missing)}."
                    )
                await asyncio.sleep(REFRESH_SECONDS)
                live.update(documents_table(stage.progress))
        _print_results(console, stage.progress)
        _print_summary(console, stage.progress, time.monotonic() - begun)
        if keep:
            await _keep(console, stage)
        else:
            _print_next_steps(console)


def documents_table(progress: Progress) -> Table:
    """Where the documents are, by run type."""
    statuses = ["open", "PROCESSED", "FAILED", "CANCELLED", NEEDS_REVIEW, "REJECTED", "dead letter"]
    table = Table("run type", *statuses, title="Documents", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    latest = _latest(progress)
    for name in RUN_TYPES:
        mine = [document for document, reference in progress.submitted.items() if reference["run"] == name]
        counts = Counter(
            "dead letter" if document in progress.dead_letters else latest.get(document, "open") for document in mine
        )
        table.add_row(name, *(str(counts[status] or "") for status in statuses))
    return table


def _latest(progress: Progress) -> Mapping[str, str]:
    return {str(result.fields["document_id"]): str(result.fields["status"]) for result in progress.results}


def _print_results(console: Console, progress: Progress) -> None:
    table = Table(title="Decoded results", box=None, pad_edge=False)
    for name, width in _COLUMNS.items():
        table.add_column(name, no_wrap=True, width=width)
    rest = console.width - sum(_COLUMNS.values()) - 2 * len(_COLUMNS)
    table.add_column("output or reason", no_wrap=True, width=max(_NARROWEST, rest))
    types = list(RUN_TYPES)
    for result in sorted(progress.results, key=lambda result: types.index(str(result.fields["run_type"]))):
        fields = result.fields
        table.add_row(
            str(fields["document_id"]),
            str(fields["run_type"]),
            str(fields["status"]),
            escape(f"{_revision(result)}{_said(result)}"),
        )
    for document, reason in progress.dead_letters.items():
        table.add_row(document, str(progress.submitted[document]["run"]), "dead letter", escape(reason))
    console.print(table)


def _revision(result: Result) -> str:
    """Said where it is not the first: somebody has decided a review."""
    revision = result.fields["revision"]
    return f"revision {revision}: " if revision != 1 else ""


def _said(result: Result) -> str:
    reason, output = result.fields["failure_reason"], result.fields["output"]
    if reason:
        return str(reason)
    return json.dumps(_essence(json.loads(str(output))), ensure_ascii=False)[:_OUTPUT_CHARS] if output else "-"


def _essence(output: object) -> object:
    """What a person looks for first in an output."""
    if isinstance(output, list):  # a workflow's steps
        return [_essence(step) for step in output]
    if isinstance(output, dict):
        if "step" in output:
            return {str(output["step"]["name"]): _essence(_result_of(output))}
        for name in ("value", "chunks", "splits", "filledValues", "type"):
            if name in output:
                return output[name]
    return output


def _result_of(step: dict[str, Any]) -> object:
    """The output of the run that a step made, or what else it says."""
    result = step.get("result") or {}
    runs = [run for run in result.values() if isinstance(run, dict) and "output" in run]
    return runs[0]["output"] if runs else result


def _print_summary(console: Console, progress: Progress, seconds: float) -> None:
    topics = Counter(result.topic for result in progress.results)
    for topic, count in sorted(topics.items()):
        console.print(f"{topic:32}{count:4} records")
    console.print(f"{'documents.dead-letter':32}{len(progress.dead_letters):4} records")
    final = len(progress.decided) + len(progress.dead_letters)
    console.print(
        f"{len(progress.submitted)} references submitted, {final} with their final result or dead letter, "
        f"{len(progress.results) - len(progress.decided)} reviews shown before their decision, in {seconds:.0f} s.",
    )
    if final != len(progress.submitted):
        raise ConnectorError("The counts differ: that is a mistake in the connector.")


def _print_next_steps(console: Console) -> None:
    console.print("\nNext:")
    for command, what in _NEXT:
        console.print(f"  {command:36}{what}", soft_wrap=True)


async def _keep(console: Console, stage: Stage) -> None:
    console.print(f"Metrics: http://127.0.0.1:{stage.worker.admin_port}/metrics   API: {stage.simulator_url}")
    console.print("Running until Ctrl-C.")
    over = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    await over.wait()
