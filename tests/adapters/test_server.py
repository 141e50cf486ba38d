"""The admin server over real loopback HTTP."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Iterable, Mapping

import httpx
import pytest

from connector.adapters.metrics import Metrics
from connector.adapters.server import Server, admin_app
from connector.core.errors import ConnectorError


def no_reasons() -> Iterable[str]:
    return ()


def no_status() -> Mapping[str, object]:
    return {}


def serve(
    metrics: Metrics | None = None,
    live: Callable[[], Iterable[str]] = no_reasons,
    ready: Callable[[], Iterable[str]] = no_reasons,
    status: Callable[[], Mapping[str, object]] = no_status,
    port: int = 0,
) -> Server:
    app = admin_app(render=(metrics or Metrics()).render, live=live, ready=ready, status=status)
    return Server(app, "127.0.0.1", port)


async def ask(server: Server, path: str, method: str = "GET", **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.request(method, f"http://127.0.0.1:{server.port}{path}", headers=headers)


async def test_metrics_are_served_as_they_are_now() -> None:
    metrics = Metrics()
    async with serve(metrics) as server:
        metrics.poller_cycles.inc(3)
        answer = await ask(server, "/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    assert "extend_connector_poller_cycles_total 3.0\n" in answer.text


async def test_open_metrics_is_negotiated() -> None:
    async with serve() as server:
        answer = await ask(server, "/metrics", accept="application/openmetrics-text; version=1.0.0")
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


async def test_probes_say_ok_while_nothing_is_wrong() -> None:
    async with serve() as server:
        for path in ("/livez", "/readyz"):
            answer = await ask(server, path)
            assert (answer.status_code, answer.text) == (200, "ok\n")


async def test_readiness_names_every_reason_on_a_line_and_leaves_liveness_alone() -> None:
    reasons = ["documents/3 is being restored.", "No broker has answered for 12 s."]
    async with serve(ready=lambda: reasons) as server:
        answer = await ask(server, "/readyz")
        assert answer.status_code == 503
        assert answer.text.splitlines() == reasons
        assert (await ask(server, "/livez")).status_code == 200
        reasons.clear()
        assert (await ask(server, "/readyz")).status_code == 200


async def test_a_check_that_breaks_is_a_reason() -> None:
    def broken() -> Iterable[str]:
        raise RuntimeError("sk_canary")

    async with serve(live=broken) as server:
        answer = await ask(server, "/livez")
    assert answer.status_code == 503
    assert answer.text == "The check itself failed: RuntimeError.\n"


STATUS = {
    "name": "invoices",
    "uptime_seconds": 12.5,
    "kafka_answered_seconds_ago": None,
    "not_ready": ["<b>restoring</b> & waiting"],
    "held_topics": [],
    "partitions": [
        {"topic": 'a"><script>alert(1)</script>', "lag": 7},
        {"topic": "documents", "lag": None},
    ],
}


async def test_the_status_is_json_and_never_kept() -> None:
    now = dict(STATUS)
    async with serve(status=lambda: now) as server:
        first = await ask(server, "/status.json")
        now["uptime_seconds"] = 13.0
        second = await ask(server, "/status.json")
    assert first.json() == STATUS
    assert second.json()["uptime_seconds"] == 13.0
    assert first.headers["content-type"] == "application/json"
    assert first.headers["cache-control"] == "no-store"


async def test_the_status_page_is_plain_and_escapes_everything() -> None:
    async with serve(status=lambda: STATUS) as server:
        page = await ask(server, "/status")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<script" not in page.text
    assert "a&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
    assert "&lt;b&gt;restoring&lt;/b&gt; &amp; waiting" in page.text
    assert "<tr><th>topic</th><th>lag</th></tr>" in page.text
    assert "<td>documents</td><td>-</td>" in page.text
    assert "<h2>held topics</h2><p>none</p>" in page.text
    assert "<td>uptime seconds</td><td>12.5</td>" in page.text
    assert "http" not in page.text  # nothing is fetched from anywhere


async def test_a_status_that_breaks_says_nothing_of_why_and_leaves_the_probes_alone() -> None:
    def broken() -> Mapping[str, object]:
        raise RuntimeError("sk_canary")

    async with serve(status=broken) as server:
        answer = await ask(server, "/status")
        assert (await ask(server, "/livez")).status_code == 200
    assert answer.status_code == 503
    assert "canary" not in answer.text


@pytest.mark.parametrize(
    "path", ["/", "/metrics/", "/status/", "/status.html", "/webhooks/extend", "/livez/x", "/docs"]
)
async def test_nothing_else_is_served(path: str) -> None:
    async with serve() as server:
        answer = await ask(server, path)
    assert (answer.status_code, answer.content) == (404, b"")


async def test_only_reading_is_allowed() -> None:
    async with serve() as server:
        answer = await ask(server, "/metrics", method="POST")
        head = await ask(server, "/livez", method="HEAD")
    assert (answer.status_code, answer.content) == (405, b"")
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}
    assert (head.status_code, head.content) == (200, b"")


async def test_the_server_does_not_say_what_it_is() -> None:
    async with serve() as server:
        assert "server" not in (await ask(server, "/livez")).headers


async def test_a_taken_port_is_an_error_with_the_way_out() -> None:
    async with serve() as first:
        with pytest.raises(ConnectorError, match=rf"admin\.port: cannot listen on 127\.0\.0\.1 port {first.port}"):
            await serve(port=first.port).start()


async def test_an_address_that_is_not_ours_is_an_error_too() -> None:
    app = admin_app(render=Metrics().render, live=no_reasons, ready=no_reasons, status=no_status)
    server = Server(app, "192.0.2.1", 0)
    with pytest.raises(ConnectorError, match=r"cannot listen on 192\.0\.2\.1"):
        await server.start()


async def test_the_port_is_free_again_after_the_stop() -> None:
    async with serve() as first:
        port = first.port
    async with serve(port=port) as second:
        assert second.port == port
        assert (await ask(second, "/livez")).status_code == 200


async def test_stopping_does_not_wait_for_an_idle_connection() -> None:
    server = serve()
    await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    await asyncio.wait_for(server.stop(), timeout=3)
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=1)


async def test_stopping_twice_or_before_the_start_is_no_error() -> None:
    server = serve()
    await server.stop()
    await server.start()
    await server.stop()
    await server.stop()


async def test_the_handlers_of_signals_stay_those_of_the_worker() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    async with serve() as server:
        await ask(server, "/livez")
        assert {number: signal.getsignal(number) for number in before} == before
    assert {number: signal.getsignal(number) for number in before} == before


async def test_requests_leave_no_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        async with serve() as server:
            await ask(server, "/livez")
            await ask(server, "/nothing")
    assert [record.getMessage() for record in caplog.records if record.name == "uvicorn.access"] == []
