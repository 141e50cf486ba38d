"""`extend-connector schemas check`: before a deployment, whether the registry would take every schema."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated

import typer

from connector.adapters.registry import Compatibility, SchemaRegistry
from connector.cli.inflight import print_lines
from connector.cli.loading import ConfigOption
from connector.cli.schemas.looking import Subject, look, settings_of
from connector.config import Config


@dataclass(frozen=True, slots=True)
class _Verdict:
    subject: Subject
    compatibility: Compatibility
    starts: bool
    """Whether a worker would start: the schema is there, or may be registered by it."""


def check(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per subject and line.")] = False,
    config: ConfigOption = None,
) -> None:
    """Ask the registry whether the schema of every result topic is compatible with what is registered; changes nothing.

    Exit code 1 when one is not, with the registry's reasons.

    Example: extend-connector schemas check --config connector.yaml
    """
    verdicts = asyncio.run(_verdicts(settings_of(config)))
    if as_json:
        print_lines([_line(each) for each in verdicts])
    else:
        for each in verdicts:
            _say(each)
    if not all(each.compatibility.compatible for each in verdicts):
        raise typer.Exit(1)


async def _verdicts(config: Config) -> list[_Verdict]:
    settings = config.schema_registry
    registry = SchemaRegistry(settings)
    found = []
    for subject in await look(config, registry):
        good = Compatibility(compatible=True, messages=())
        asks = subject.state == "different"
        compatibility = await registry.compatibility(subject.name, subject.text) if asks else good
        may_register = {"never": (), "missing": ("missing",), "always": ("missing", "different")}
        starts = subject.found is not None or subject.state in may_register[settings.auto_register]
        found.append(_Verdict(subject, compatibility, starts))
    return found


def _line(verdict: _Verdict) -> dict[str, object]:
    return {
        "subject": verdict.subject.name,
        "state": verdict.subject.state,
        "compatible": verdict.compatibility.compatible,
        "messages": list(verdict.compatibility.messages),
        "starts": verdict.starts and verdict.compatibility.compatible,
    }


def _say(verdict: _Verdict) -> None:
    name, state = verdict.subject.name, verdict.subject.state
    if not verdict.compatibility.compatible:
        typer.echo(f"{name}: not compatible with what is registered.")
        for message in verdict.compatibility.messages or ("the registry gives no reason",):
            typer.echo(f"  {message}")
        return
    words = {"equal": "registered", "older": "registered; a newer version is too", "missing": "no such subject yet"}
    later = "" if verdict.starts else "; `extend-connector schemas register` has to come before a worker starts"
    typer.echo(f"{name}: {words.get(state, 'not registered, and compatible')}{later}.")
