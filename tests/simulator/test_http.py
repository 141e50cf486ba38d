"""Headers, limits and faults, as a client sees them on the wire."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from connector.clock import Clock
from connector.simulator.rules import Rule
from connector.simulator.server import SimulatorServer
from connector.simulator.settings import PLANS, Settings
from tests.simulator.conftest import HEADERS, QUICK, Start

BODY = {"extractor": {"id": "ex_1"}, "file": {"text": "Invoice A-1 total 12.50"}}


def created(simulator: SimulatorServer) -> int:
    """How many runs were ever created."""
    return len(simulator.engine.ledger.lines().splitlines())


async def install(http: httpx.AsyncClient, **rule: Any) -> None:  # noqa: ANN401 - a rule's fields
    answer = await http.post("/_simulator/faults", json={"rules": [rule]})
    assert answer.status_code == 200, answer.text


async def post(http: httpx.AsyncClient) -> httpx.Response:
    return await http.post("/extract_runs", json=BODY)


@pytest.mark.parametrize("key", ["", "Bearer pk_1", "sk_1", "Basic sk_1"])
async def test_a_wrong_key_gets_401(http: httpx.AsyncClient, key: str) -> None:
    answer = await http.get("/extract_runs", headers={"authorization": key})
    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")


@pytest.mark.parametrize("version", ["", "2025-04-21"])
async def test_a_wrong_version_gets_400(http: httpx.AsyncClient, version: str) -> None:
    answer = await http.get("/extract_runs", headers={"x-extend-api-version": version})
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/nowhere"),
        ("POST", "/edit_runs/edr_1/cancel"),
        ("POST", "/extract_runs/exr_1"),
        ("GET", "/extract"),
        ("PUT", "/extract_runs"),
        ("GET", "/_simulator/nowhere"),
        ("GET", "/_simulator/outputs/pr_1"),
    ],
)
async def test_what_is_not_there_gets_404_in_the_apis_words(http: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await http.request(method, path)
    assert answer.status_code == 404
    assert answer.json().keys() == {"code", "message", "retryable", "requestId"}
    assert answer.headers["x-extend-request-id"] == answer.json()["requestId"]


async def test_unknown_query_parameters_are_refused(http: httpx.AsyncClient) -> None:
    assert (await http.get("/parse_runs?sortBy=createdAt")).status_code == 400
    assert (await http.post("/extract_runs?responseType=url", json=BODY)).status_code == 400
    assert (await http.post("/parse_runs?responseType=xml", json={"file": {"id": "file_1"}})).status_code == 400


async def test_a_plan_limits_every_category_for_itself() -> None:
    still = Clock(monotonic=lambda: 5.0, wall=lambda: 1_760_000_000.0)
    server = SimulatorServer(settings=Settings(limits=PLANS["payg"]), clock=still)
    async with server as simulator, httpx.AsyncClient(base_url=simulator.base_url, headers=HEADERS) as http:
        answers = await asyncio.gather(*(http.get("/extract_runs") for _ in range(30)))
        codes = [answer.status_code for answer in answers]
        assert codes.count(200) == 10
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert refused.json()["code"] == "RATE_LIMIT_EXCEEDED"
        assert refused.headers["retry-after"] == "1"
        assert (await post(http)).status_code == 200
        report = (await http.get("/_simulator/statistics")).json()
    assert report["requests"]["GET"] == {"200": 10, "429": 20}
    assert report["operations"]["extract.list"]["429"] == 20
    assert report["peak_per_second"] == {"GET": 30, "WRITE": 0, "RUN": 1}
    assert report["runs"]["extract"] == {"PROCESSING": 1}


async def test_the_ledger_file_has_the_line_before_the_answer_is_there(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    simulator = await start(Settings(ledger=path, rules=(Rule(kind="reset", stage="after"),)))
    async with httpx.AsyncClient(base_url=simulator.base_url, headers=HEADERS) as http:
        with pytest.raises(httpx.ReadError):
            await post(http)
        (entry,) = map(json.loads, path.read_text().splitlines())
        assert (await http.get("/_simulator/ledger")).text == path.read_text()
    assert entry["run_type"] == "extract"


async def test_a_create_that_a_fault_withholds_is_in_a_book_of_its_own(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "withheld.jsonl"
    late = Rule(kind="late", action="create", nth=1, seconds=0)
    rules = (late, Rule(kind="error", action="create", nth=1), Rule(kind="error", method="GET"))
    simulator = await start(Settings(withheld=path, rules=rules))
    tag = "a/b/0/1#" + "a" * 22
    tagged = {**BODY, "metadata": {"kafka_connector": {"tag": tag}}}
    async with httpx.AsyncClient(base_url=simulator.base_url, headers=HEADERS) as http:
        codes = [(await http.post("/extract_runs", json=tagged)).status_code for _ in range(3)]
        assert (await http.post("/extract_runs", json={})).status_code == 400
        assert (await http.get("/extract_runs")).status_code == 500
        withheld = list(map(json.loads, path.read_text().splitlines()))
        assert (await http.get("/_simulator/withheld")).text == path.read_text()
        assert created(simulator) == 2
    assert codes == [504, 500, 200]
    assert [entry["tag"] for entry in withheld] == [tag] * 2
    assert withheld[0].keys() == {"tag", "run_type", "time"}


@pytest.mark.parametrize("stage", ["before", "after"])
@pytest.mark.parametrize("kind", ["error", "reset", "hang", "html", "redirect", "throttle"])
async def test_a_fault_leaves_a_run_or_not(
    http: httpx.AsyncClient,
    simulator: SimulatorServer,
    kind: str,
    stage: str,
) -> None:
    await install(http, kind=kind, stage=stage, seconds=0.05, action="create")
    codes = {"error": 500, "html": 200, "redirect": 307, "throttle": 429}
    if kind in codes:
        assert (await post(http)).status_code == codes[kind]
    else:
        with pytest.raises(httpx.ReadError):
            await post(http)
    assert created(simulator) == (1 if stage == "after" else 0)


async def test_a_reset_is_a_reset_and_not_an_orderly_end(http: httpx.AsyncClient) -> None:
    await install(http, kind="reset")
    with pytest.raises(httpx.ReadError) as error:
        await post(http)
    chain: BaseException | None = error.value
    causes = []
    while chain is not None:
        causes.append(type(chain))
        chain = chain.__cause__ or chain.__context__
    assert ConnectionResetError in causes


async def test_spoilt_answers(http: httpx.AsyncClient, simulator: SimulatorServer) -> None:
    await install(http, kind="no_id", nth=1)
    await install(http, kind="truncated", nth=1)
    await install(http, kind="oversized", nth=1, size=1_000_000)
    await install(http, kind="html", nth=1, status=502)
    await install(http, kind="delay", nth=1, seconds=0.2)
    await install(http, kind="throttle", nth=1, retry_after="soon")
    assert "id" not in (await post(http)).json()
    with pytest.raises(httpx.RemoteProtocolError):
        await post(http)
    big = await post(http)
    assert len(big.content) > 1_000_000
    assert big.json()["id"].startswith("exr_")
    page = await post(http)
    assert (page.status_code, page.headers["content-type"]) == (502, "text/html")
    began = time.monotonic()
    assert (await post(http)).json()["status"] == "PROCESSING"
    assert time.monotonic() - began >= 0.2
    assert (await post(http)).headers["retry-after"] == "soon"
    assert created(simulator) == 4


async def test_a_dripping_answer_arrives_in_the_end_or_when_the_client_gives_up(http: httpx.AsyncClient) -> None:
    await install(http, kind="drip", nth=1, seconds=0.0001)
    assert (await post(http)).json()["object"] == "extract_run"
    await install(http, kind="drip", seconds=0.05)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(post(http), 0.2)


async def test_a_late_run_appears_after_its_answer(http: httpx.AsyncClient, simulator: SimulatorServer) -> None:
    await install(http, kind="late", seconds=0.1)
    assert (await post(http)).status_code == 504
    assert created(simulator) == 0
    await asyncio.sleep(0.2)
    assert created(simulator) == 1


async def test_faults_can_be_seen_and_cleared(http: httpx.AsyncClient) -> None:
    await install(http, kind="error", status=402, action="get")
    assert (await http.get("/extract_runs/exr_1")).json()["code"] == "USAGE_BLOCKED"
    (shown,) = (await http.get("/_simulator/faults")).json()["rules"]
    assert shown == {"rule": {"kind": "error", "status": 402, "action": "get"}, "seen": 1, "hits": 1}
    assert (await http.delete("/_simulator/faults")).json() == {"rules": []}
    assert (await http.get("/extract_runs/exr_1")).status_code == 404
    assert (await http.post("/_simulator/faults", content=b"{}")).status_code == 400


async def test_the_links_follow_the_host_that_was_asked(http: httpx.AsyncClient) -> None:
    body = {"file": {"id": "file_1"}}
    run = (await http.post("/edit", json=body, headers={"host": "simulator.test:80"})).json()
    assert run["output"]["editedFile"]["presignedUrl"].startswith("http://simulator.test:80/_simulator/files/")


@pytest.mark.parametrize("path", ["/extract", "/extract_runs"])
async def test_stopping_does_not_wait_for_open_requests(path: str) -> None:
    server = SimulatorServer(settings=QUICK)
    began = time.monotonic()
    async with server, httpx.AsyncClient(base_url=server.base_url, headers=HEADERS) as http:
        rule = Rule(kind="hang", action="create")
        server.engine.faults.install([rule, Rule(kind="late", seconds=60, action="update")], 0.0)
        body = {**BODY, "metadata": {"simulate": "stuck"}}
        request = asyncio.create_task(http.post(path, json=body))
        await asyncio.sleep(0.1)
        await server.__aexit__(None, None, None)
        with pytest.raises(httpx.ReadError):
            await request
    assert time.monotonic() - began < 5


async def test_a_taken_port_is_an_error_and_not_the_end_of_the_process(simulator: SimulatorServer) -> None:
    port = int(simulator.base_url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        await SimulatorServer(port=port).__aenter__()


async def test_answers_do_not_wait_for_acknowledgements(
    http: httpx.AsyncClient,
    simulator: SimulatorServer,
) -> None:
    """With Nagle's algorithm every answer on a kept connection takes 40 ms."""
    await http.get("/extract_runs")
    (connection,) = simulator._server.server_state.connections
    accepted = connection.transport.get_extra_info("socket")
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
