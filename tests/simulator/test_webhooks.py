"""Webhooks of the simulator: judged by the official SDK, taken by the connector's own endpoint."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import httpx
import pydantic
import pytest
from extend_ai import AsyncExtend
from extend_ai.core.api_error import ApiError
from extend_ai.types.parse_run_status import ParseRunStatus
from extend_ai.types.webhook_endpoint import WebhookEndpoint
from extend_ai.types.webhook_subscription import WebhookSubscription
from extend_ai.wrapper.webhooks import Webhooks
from starlette.types import Receive, Scope, Send

from connector.adapters.server import Server
from connector.core.tag import METADATA_KEY, metadata_of
from connector.simulator.mail import Letter, Troubles, letters, parse_troubles
from connector.simulator.server import SimulatorServer
from connector.webhook.endpoint import PATH
from tests.simulator.conftest import HEADERS, QUICK, Start
from tests.simulator.judge import CREATE_BODIES, FULL, judge
from tests.webhook.stage import SECRET, TAG, serving, until

TYPES: dict[str, type[pydantic.BaseModel]] = {**FULL, "parse": ParseRunStatus}
ALL_EVENTS = [f"{name}_run.{end}" for name in FULL if name != "workflow" for end in ("processed", "failed")]


@dataclass
class Mailbox:
    """What came, as headers and body; the first ``refuses`` of them are answered 503."""

    refuses: int = 0
    came: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        self.came.append(({name.decode(): value.decode() for name, value in scope["headers"]}, body))
        status = 503 if len(self.came) <= self.refuses else 204
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def wait_for(self, number: int) -> None:
        await until(lambda: len(self.came) >= number)


@asynccontextmanager
async def mailbox(refuses: int = 0) -> AsyncIterator[Mailbox]:
    box = Mailbox(refuses)
    async with Server(box, "127.0.0.1", 0) as server:
        box.url = f"http://127.0.0.1:{server.port}/hook?x=1"
        yield box


async def create(simulator: SimulatorServer, run_type: str, **more: object) -> str:
    async with httpx.AsyncClient(base_url=simulator.base_url, headers=HEADERS, trust_env=False) as client:
        answer = await client.post(f"/{run_type}_runs", json={**CREATE_BODIES[run_type], **more})
    return str(answer.json()["id"])


@pytest.mark.parametrize("run_type", FULL)
async def test_every_run_type_raises_an_event_that_the_sdk_verifies(start: Start, run_type: str) -> None:
    async with mailbox() as box:
        simulator = await start(replace(QUICK, webhook_url=box.url))
        run_id = await create(simulator, run_type)
        await box.wait_for(1)
    headers, body = box.came[0]
    event: Any = Webhooks().verify_and_parse(body, headers, QUICK.webhook_secret)
    assert event.event_type == ("workflow_run.completed" if run_type == "workflow" else f"{run_type}_run.processed")
    payload = httpx.Response(200, content=body).json()["payload"]
    assert payload["id"] == run_id
    judge(TYPES[run_type], payload)


async def test_a_review_raises_two_events_and_a_cancelled_run_of_a_processor_none(start: Start) -> None:
    async with mailbox() as box:
        simulator = await start(replace(QUICK, webhook_url=box.url))
        await create(simulator, "extract", file={"url": "https://files.example.com/simulate-cancelled.pdf"})
        await create(
            simulator, "workflow", file={"url": "https://files.example.com/simulate-needs-review-rejected.pdf"}
        )
        await box.wait_for(2)
    kinds = [httpx.Response(200, content=body).json()["eventType"] for _, body in box.came]
    assert kinds == ["workflow_run.needs_review", "workflow_run.rejected"]


async def test_what_is_not_answered_well_comes_again_with_the_same_event_id(start: Start) -> None:
    async with mailbox(refuses=1) as box:
        simulator = await start(replace(QUICK, webhook_url=box.url))
        await create(simulator, "parse")
        await box.wait_for(2)
    assert box.came[0][1] == box.came[1][1]


async def test_endpoints_and_subscriptions_by_the_sdk(sdk: AsyncExtend, simulator: SimulatorServer) -> None:
    async with mailbox() as box:
        made = await sdk.webhook_endpoints.create(
            url=box.url,
            name="kafka-connector",
            enabled_events=ALL_EVENTS,
            api_version="2026-02-09",
            advanced_options={"headers": {"x-tenant": "billing"}, "payload": {"format": "url", "urlThresholdBytes": 9}},
        )
        assert made.signing_secret.startswith("wss_")
        listed = await sdk.webhook_endpoints.list()
        assert [each.id for each in listed.data] == [made.id]
        assert isinstance(listed.data[0], WebhookEndpoint)
        workflow = CREATE_BODIES["workflow"]["workflow"]["id"]
        for _ in range(2):  # the second is the same one
            subscription = await sdk.webhook_subscriptions.create(
                webhook_endpoint_id=made.id,
                resource_type="workflow",
                resource_id=workflow,
                enabled_events=["workflow_run.completed"],
            )
            assert isinstance(subscription, WebhookSubscription)
        run_id = await create(simulator, "extract")
        await box.wait_for(1)
        workflow_run = await create(simulator, "workflow")
        await until(lambda: any(workflow_run.encode() in body for _, body in box.came))
        headers, body = box.came[0]
        assert headers["x-tenant"] == "billing"
        event = Webhooks().verify_and_parse(body, headers, made.signing_secret, allow_signed_url=True)
        assert run_id.encode() in body
        assert Webhooks().is_signed_url_event(event)
        await sdk.webhook_endpoints.delete(made.id)
        assert (await sdk.webhook_subscriptions.list()).data == []


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x", "enabledEvents": [], "apiVersion": "2026-02-09"},
        {"url": "https://x.example", "name": "x", "enabledEvents": [], "apiVersion": "2026-02-09"},
        {"url": "http://x.example", "name": "x", "enabledEvents": "all", "apiVersion": "2026-02-09"},
        {"url": "http://x.example", "name": "x", "enabledEvents": [], "apiVersion": "2020-01-01"},
        {"url": "http://x.example", "name": "x", "enabledEvents": [], "apiVersion": "2026-02-09", "colour": 1},
    ],
)
async def test_a_wrong_endpoint_is_a_400(http: httpx.AsyncClient, body: dict[str, object]) -> None:
    assert (await http.post("/webhook_endpoints", json=body)).status_code == 400


async def test_an_unknown_endpoint_is_a_404_and_no_key_a_401(sdk: AsyncExtend, http: httpx.AsyncClient) -> None:
    with pytest.raises(ApiError):
        await sdk.webhook_endpoints.retrieve("wh_none")
    assert (await http.get("/webhook_endpoints", headers={"authorization": "none"})).status_code == 401


async def test_forgeries_and_replays_are_refused_by_the_connector_and_the_rest_is_taken(start: Start) -> None:
    troubles = Troubles(duplicated=1, forged=1, replayed=1)
    async with serving(SECRET) as stage:
        url = f"http://127.0.0.1:{stage.port}{PATH}"
        settings = replace(QUICK, webhook_url=url, webhook_secret=SECRET.decode(), webhook_troubles=troubles)
        simulator = await start(settings)
        for _ in range(5):
            await create(simulator, "extract", metadata={METADATA_KEY: metadata_of(TAG)})
        counts: Counter[str] = Counter()
        while sum(counts.values()) < 20:
            await asyncio.sleep(0.02)
            counts = simulator.engine.postman.counts if simulator.engine.postman else counts
    assert counts == {"genuine.204": 5, "doubled.204": 5, "forged.401": 5, "replayed.401": 5}
    assert len(stage.writer.records) == 5
    assert (stage.count("bad_signature"), stage.count("too_old"), stage.count("repeated")) == (5, 5, 5)


def kinds_of(troubles: Troubles) -> list[list[Letter]]:
    random = Random(7)
    return [list(letters(troubles, random)) for _ in range(2000)]


def test_letters_come_in_their_shares() -> None:
    plain = kinds_of(Troubles())
    assert plain == [[Letter(0.0, "genuine")]] * 2000
    mail = kinds_of(Troubles(0.2, 0.2, 0.1, 0.1, 0.05, 0.05))
    found = Counter(letter.kind for each in mail for letter in each)
    assert found["genuine"] == pytest.approx(1800, rel=0.05)
    assert found["doubled"] == pytest.approx(360, rel=0.2)
    assert found["forged"] == pytest.approx(100, rel=0.4)
    assert sum(each[0].after >= 10 for each in mail if each) == pytest.approx(180, rel=0.25)


def test_troubles_are_read_from_a_text() -> None:
    assert parse_troubles("duplicated=0.2,delay=3") == Troubles(duplicated=0.2, delay=3)
    assert parse_troubles("") == Troubles()
    for wrong in ("lost=1", "dropped=2", "dropped=x", "dropped"):
        with pytest.raises(ValueError, match=r"unknown|share|convert"):
            parse_troubles(wrong)
