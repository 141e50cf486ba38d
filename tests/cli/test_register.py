"""`webhook register` as a process, against the simulated API."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import httpx
import pytest

from connector.core.signals.webhook_event import EVENTS
from connector.simulator.server import SimulatorServer
from tests.simulator.conftest import HEADERS

URL = "http://127.0.0.1:9/webhooks/extend"
ROUTES = """name: invoices
routes:
  documents: {run: extract, processor: ex_1}
  intake: {run: workflow, processor: workflow_1}
"""
WORKFLOW = {event for event in EVENTS if event.startswith("workflow")}


async def register(folder: Path, base_url: str, *arguments: str, config: str = ROUTES) -> tuple[int | None, str]:
    """Exit code, and everything that it printed."""
    (folder / "connector.yaml").write_text(config)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "connector", "webhook", "register", *arguments),
        cwd=folder,
        env={**os.environ, "EXTEND_API_KEY": "sk_test_canary", "EXTEND_BASE_URL": base_url},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 100)
    text = out.decode()
    assert "Traceback" not in text, text
    assert "canary" not in text
    return process.returncode, text


async def objects(simulator: SimulatorServer, kind: str) -> list[dict[str, object]]:
    async with httpx.AsyncClient(base_url=simulator.base_url, headers=HEADERS, trust_env=False) as client:
        found: list[dict[str, object]] = (await client.get(f"/webhook_{kind}")).json()["data"]
        return found


async def tell(simulator: SimulatorServer, endpoint: str, **changes: object) -> None:
    async with httpx.AsyncClient(base_url=simulator.base_url, headers=HEADERS, trust_env=False) as client:
        (await client.post(f"/webhook_endpoints/{endpoint}", json=changes)).raise_for_status()


async def test_it_makes_what_is_missing_once_and_shows_the_secret_to_nobody(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    async with SimulatorServer() as simulator:
        code, out = await register(tmp_path, simulator.base_url, "--url", URL, "--secret-file", "secret", "--yes")
        assert code == 0, out
        (endpoint,), (subscription,) = await objects(simulator, "endpoints"), await objects(simulator, "subscriptions")
        known = simulator.engine.endpoints._secrets[str(endpoint["id"])]
        assert secret.read_text() == known
        assert secret.stat().st_mode & 0o777 == 0o600
        assert known not in out
        assert endpoint["enabledEvents"] == ["extract_run.failed", "extract_run.processed"]
        assert subscription["resourceId"] == "workflow_1"
        assert set(subscription["enabledEvents"]) == WORKFLOW  # type: ignore[call-overload]  # a list of texts

        code, out = await register(tmp_path, simulator.base_url, "--url", URL)
        assert (code, out.count("\n")) == (0, 1), "nothing is left to do, and nobody is asked"

        await tell(simulator, str(endpoint["id"]), enabledEvents=["extractor.updated"], status="disabled")
        more = f"{ROUTES}  forms: {{run: edit}}\n"
        code, out = await register(tmp_path, simulator.base_url, "--url", URL, "--yes", config=more)
        assert code == 0, out
        (changed,) = await objects(simulator, "endpoints")
        assert changed["id"] == endpoint["id"]
        assert changed["status"] == "enabled"
        of_both = {f"{name}_run.{end}" for name in ("extract", "edit") for end in ("processed", "failed")}
        assert changed["enabledEvents"] == sorted({*of_both, "extractor.updated"}), "what others want stays"


async def test_without_a_yes_nothing_is_changed(tmp_path: Path) -> None:
    async with SimulatorServer() as simulator:
        code, out = await register(tmp_path, simulator.base_url, "--url", URL, "--secret-file", "secret")
        assert code == 1
        assert "Create the endpoint" in out
        assert await objects(simulator, "endpoints") == []
    assert not (tmp_path / "secret").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--url", "http://hooks.example.com/"),
        ("--url", "hooks"),
        ("--url", URL, "--yes"),
        ("--url", URL, "--yes", "--secret-file", "connector.yaml"),
        ("--url", URL, "--yes", "--secret-file", "no/folder"),
    ],
    ids=["no address", "no TLS", "no scheme", "no file", "a file that exists", "no folder"],
)
async def test_wrong_use_changes_nothing(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    async with SimulatorServer() as simulator:
        code, out = await register(tmp_path, simulator.base_url, *arguments)
        assert code == 2, out
        assert await objects(simulator, "endpoints") == []
    assert (tmp_path / "connector.yaml").read_text() == ROUTES


async def test_an_endpoint_that_is_refused_leaves_no_file(tmp_path: Path) -> None:
    async with SimulatorServer() as simulator:
        nowhere = "http://127.0.0.1:0/"  # the simulated API refuses it
        arguments = ("--url", nowhere, "--secret-file", "secret", "--yes")
        code, out = await register(tmp_path, simulator.base_url, *arguments)
        assert code == 1
        assert "url is no address" in out
    assert not (tmp_path / "secret").exists()
