"""`try` as a process, against the simulated API."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from connector.simulator.rules import Kind, Rule
from connector.simulator.server import SimulatorServer
from connector.simulator.settings import Lifetimes, Settings

URL = "https://example.com/invoice.pdf"
QUICK = Lifetimes(median=0.2, spread=0)


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int | None
    out: str
    err: str

    @property
    def run(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


async def _try(
    folder: Path,
    base_url: str,
    *arguments: str,
    more: str = "",
    interrupt: Callable[[asyncio.StreamReader], Awaitable[bytes]] | None = None,
) -> Done:
    """The command, from its start to its end; interrupted when ``interrupt`` has seen enough of its stderr."""
    (folder / "connector.yaml").write_text(
        # What it says about records is no business of `try`, which has none.
        "name: invoices\nroutes:\n  documents: {run: extract, processor: ex_1, when: {a: b}, fields: {url: at}}\n"
        + more,
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "connector",
        "try",
        *arguments,
        cwd=folder,
        # No Kafka: an API key is enough.
        env={**os.environ, "EXTEND_API_KEY": "sk_test_canary", "EXTEND_BASE_URL": base_url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    seen = b""
    if interrupt is not None and process.stderr is not None:
        seen = await asyncio.wait_for(interrupt(process.stderr), 60)
        process.send_signal(signal.SIGINT)
    out, err = await asyncio.wait_for(process.communicate(), 60)
    text = (seen + err).decode()
    assert "Traceback" not in text, text
    assert "canary" not in text
    return Done(process.returncode, out.decode(), text)


def _created(ledger: Path) -> int:
    return len(ledger.read_text().splitlines()) if ledger.exists() else 0


async def test_a_document_goes_through_the_synchronous_endpoint(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    async with SimulatorServer(settings=Settings(lifetimes=QUICK, ledger=ledger)) as api:
        ended = await _try(tmp_path, api.base_url, URL, "--run", "parse")
    assert ended.code == 0, ended.err
    assert (ended.run["run_type"], ended.run["status"]) == ("parse", "PROCESSED")
    assert ended.run["output"]["chunks"]
    assert _created(ledger) == 1


async def test_a_run_that_is_polled_takes_the_route(tmp_path: Path) -> None:
    async with SimulatorServer(settings=Settings(lifetimes=QUICK)) as api:
        ended = await _try(tmp_path, api.base_url, URL, "--async")
    assert ended.code == 0, ended.err
    assert ended.run["run_type"] == "extract"
    assert ended.run["processor_id"] == "ex_1"
    # Nobody has to find this run again: it carries no tag, and its file keeps its name.
    assert ended.run["file_name"] == "invoice.pdf"


async def test_a_workflow_says_that_it_needs_async(tmp_path: Path) -> None:
    async with SimulatorServer(settings=Settings(lifetimes=QUICK)) as api:
        refused = await _try(tmp_path, api.base_url, URL, "--run", "workflow", "--processor", "workflow_1")
        taken = await _try(tmp_path, api.base_url, URL, "--run", "workflow", "--processor", "workflow_1", "--async")
    assert refused.code == 2
    assert "--async" in refused.err
    assert (taken.code, taken.run["status"]) == (0, "PROCESSED")


async def test_a_run_that_takes_too_long_is_named(tmp_path: Path) -> None:
    slow = Settings(lifetimes=Lifetimes(median=600, spread=0))
    async with SimulatorServer(settings=slow) as api:
        ended = await _try(tmp_path, api.base_url, URL, "--run", "parse", "--async", "--max-wait-ms", "50")
    assert ended.code == 1
    assert "Run pr_" in ended.err
    assert "goes on at the API" in ended.err


async def test_a_failed_run_is_shown_and_ends_with_1(tmp_path: Path) -> None:
    failing = Settings(lifetimes=Lifetimes(median=0.1, spread=0, failed=1.0))
    async with SimulatorServer(settings=failing) as api:
        ended = await _try(tmp_path, api.base_url, URL, "--run", "parse", "--async")
    assert ended.code == 1
    assert ended.run["status"] == "FAILED"
    assert ended.run["failure_reason"]
    assert f"Run {ended.run['id']} ended as FAILED." in ended.err


@pytest.mark.parametrize("way", [(), ("--async",)])
async def test_a_create_that_got_a_503_is_not_repeated(tmp_path: Path, way: tuple[str, ...]) -> None:
    ledger = tmp_path / "ledger"
    fault = Rule(kind="error", stage="after", method="POST", status=503)
    unclear = Settings(lifetimes=QUICK, ledger=ledger, rules=(fault,))
    async with SimulatorServer(settings=unclear) as api:
        ended = await _try(tmp_path, api.base_url, URL, "--run", "parse", *way)
    assert ended.code == 1
    assert "503" in ended.err
    # The run exists, although the answer did not say so: a second POST would have bought another.
    assert _created(ledger) == 1
    assert "a parse run may exist" in ended.err


@pytest.mark.parametrize("kind", ["reset", "no_id"])
@pytest.mark.parametrize("way", [(), ("--async",)])
async def test_a_lost_answer_says_that_a_run_may_exist(tmp_path: Path, kind: Kind, way: tuple[str, ...]) -> None:
    lost = Settings(lifetimes=QUICK, rules=(Rule(kind=kind, stage="after", method="POST"),))
    async with SimulatorServer(settings=lost) as api:
        ended = await _try(tmp_path, api.base_url, URL, "--run", "parse", *way)
    assert ended.code == 1
    assert "a parse run may exist" in ended.err


async def test_a_refused_create_says_nothing_of_a_run(tmp_path: Path) -> None:
    refusing = Settings(rules=(Rule(kind="error", method="POST", status=401),))
    async with SimulatorServer(settings=refusing) as api:
        ended = await _try(tmp_path, api.base_url, URL, "--run", "parse")
    assert ended.code == 1
    assert "may exist" not in ended.err


async def test_a_run_is_named_as_soon_as_it_is_known(tmp_path: Path) -> None:
    slow = Settings(lifetimes=Lifetimes(median=600, spread=0))
    async with SimulatorServer(settings=slow) as api:
        ended = await _try(
            *(tmp_path, api.base_url, URL, "--run", "parse", "--async"), interrupt=asyncio.StreamReader.readline
        )
    assert ended.code == 130
    created, goes_on = ended.err.splitlines()
    run_id = created.removeprefix("Run ").removesuffix(" was created.")
    assert run_id.startswith("pr_")
    assert goes_on == f"Run {run_id} goes on at the API."


async def test_an_interrupted_synchronous_call_says_that_a_run_may_exist(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"

    async def bought(_: asyncio.StreamReader) -> bytes:
        while not _created(ledger):  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0.05)
        return b""

    slow = Settings(lifetimes=Lifetimes(median=600, spread=0), ledger=ledger)
    async with SimulatorServer(settings=slow) as api:
        ended = await _try(tmp_path, api.base_url, URL, "--run", "parse", interrupt=bought)
    assert ended.code == 130
    assert "a parse run may exist" in ended.err


async def test_the_synchronous_call_has_a_timeout(tmp_path: Path) -> None:
    slow = Settings(lifetimes=Lifetimes(median=600, spread=0))
    async with SimulatorServer(settings=slow) as api:
        ended = await _try(tmp_path, api.base_url, URL, "--run", "parse", "--timeout", "1")
    assert ended.code == 1
    assert "a parse run may exist" in ended.err


async def test_polling_follows_the_configuration(tmp_path: Path) -> None:
    slow = Settings(lifetimes=Lifetimes(median=600, spread=0))
    async with SimulatorServer(settings=slow) as api:
        ended = await _try(tmp_path, api.base_url, URL, "--async", more="follow: {max_wait_ms: 60}\n")
    assert ended.code == 1
    assert "max_wait_ms is 60" in ended.err


async def test_kafka_settings_are_not_looked_at(tmp_path: Path) -> None:
    kafka = "kafka: {password_file: /no/such/file, bootstrap_servers: ''}\n"
    async with SimulatorServer(settings=Settings(lifetimes=QUICK)) as api:
        ended = await _try(tmp_path, api.base_url, URL, "--run", "parse", more=kafka)
    assert ended.code == 0, ended.err


async def test_an_api_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    ended = await _try(tmp_path, "http://127.0.0.1:1", URL, "--run", "parse")
    assert ended.code == 1
    assert "not sent" in ended.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "FILE"),
        ((URL, "--text", "x"), "FILE"),
        ((URL, "--route", "nowhere"), "nowhere"),
        ((URL, "--run", "extracted"), "UNKNOWN_RUN_TYPE"),
        (("./invoice.pdf", "--run", "parse"), "a local file has to be at a URL"),
        ((URL, "--route", "typeless"), "Which run? Give --run (extract,"),
        (("--text", "x", "--run", "split", "--processor", "spl_1"), "FILE_FORM"),
        ((URL, "--run", "extract", "--run-config", "{"), "--run-config"),
        ((URL, "--max-wait-ms", "5"), "--async"),
        ((URL, "--async", "--timeout", "5"), "--max-wait-ms"),
    ],
)
async def test_wrong_use_is_told_before_anything_is_sent(
    tmp_path: Path,
    arguments: tuple[str, ...],
    words: str,
) -> None:
    ledger = tmp_path / "ledger"
    async with SimulatorServer(settings=Settings(ledger=ledger)) as api:
        ended = await _try(tmp_path, api.base_url, *arguments, more="  typeless: {topic: others}\n")
    assert ended.code == 2
    assert words in " ".join(ended.err.replace("│", " ").split())
    assert _created(ledger) == 0
