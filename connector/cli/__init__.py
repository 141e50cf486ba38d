"""The commands, one file each. Nothing else knows typer.

A command is one line in ``COMMANDS``: its name, where its function is, and what the list of commands says about it. The
file is imported when its command is called, so that ``--help`` and ``--version`` need neither librdkafka nor an HTTP
client. The function is an ordinary typer command: its parameters are the options, its docstring is the help and has a
line that begins with ``Example:``. It raises ``ConnectorError`` for what a person can mend (``connector/__main__.py``
prints the sentence and chooses the exit code) and ``typer.Exit`` for an end that is no error.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup

from connector import __version__


class Entry(NamedTuple):
    """Where a command is.

    Attributes:
        module: its file, below ``connector.cli``.
        function: the function in it.
        summary: one line for the list of commands.
    """

    module: str
    function: str
    summary: str


COMMANDS: Mapping[str, Entry] = {
    "demo": Entry("demo", "demo", "References in, decoded results out, with nothing but this package."),
    "check": Entry("check", "check", "Validate the configuration and show what it comes to."),
    "topics": Entry("topics", "topics", "Show the topics that are needed; make those that are missing."),
    "doctor": Entry("doctor", "doctor", "Check brokers, rights, topics, schemas, API key, clock and webhooks."),
    "run": Entry("run", "run", "Run a worker."),
    "webhook": Entry("webhook", "webhook", "Run the webhook ingress; register it at Extend; send a test event."),
    "submit": Entry("submit", "submit", "Send document references to an input topic."),
    "plan": Entry("plan", "plan", "Show what records would become, and how long a backlog takes; sends nothing."),
    "results": Entry("results", "results", "Read and decode results and dead letters."),
    "inflight": Entry("inflight", "inflight", "Show the open documents, from the journal."),
    "explain": Entry("explain", "explain", "Show what happened to one document."),
    "parked": Entry("parked", "parked", "Show the parked documents; adopt, start or drop one."),
    "replay": Entry("replay", "replay", "Show dead letters; send mended ones, or a result, again."),
    "schemas": Entry("schemas", "schemas", "The schemas of results, and what the schema registry has of them."),
    "try": Entry("try_", "try_", "One document through the API, without Kafka."),
    "simulator": Entry("simulator", "simulator", "Run the simulated Extend API on its own."),
}


class _LazyGroup(TyperGroup):
    """Lists stand-ins from the table, and imports only the command that is called."""

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401 - whatever typer gives its groups
        super().__init__(**attributes)
        for name, entry in COMMANDS.items():
            self.add_command(TyperCommand(name, help=entry.summary))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 - typer's vendored click has the types
        """The real command in place of its stand-in."""
        name, command, rest = super().resolve_command(ctx, args)
        entry = COMMANDS.get(name or "")
        return name, load(str(name), entry) if entry else command, rest


def load(name: str, entry: Entry) -> Any:  # noqa: ANN401 - as above
    """The command itself; what has commands of its own brings a typer application instead of a function."""
    function = getattr(import_module(f"connector.cli.{entry.module}"), entry.function)
    if isinstance(function, typer.Typer):
        return typer.main.get_command(function)
    one = typer.Typer(add_completion=False)
    one.command(name)(function)
    return typer.main.get_command(one)


app = typer.Typer(
    cls=_LazyGroup,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(*, asked: bool) -> None:
    if asked:
        typer.echo(f"extend-connector {__version__}")
        raise typer.Exit


@app.callback()
def connector(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=lambda asked: _print_version(asked=asked), is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Document references in from Kafka, Extend runs bought once and followed, Avro results out.

    Example: extend-connector demo

    Example: extend-connector check --config connector.yaml
    """
