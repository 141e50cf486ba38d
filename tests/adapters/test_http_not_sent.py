"""What was certainly not sent, against servers that cannot be reached."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from connector.adapters.http import HttpApi
from connector.core.errors import NotSent
from tests.adapters.calling import KEY, RUN, calling, post, until
from tests.adapters.raw_api import RawApi, answering, hang, http


async def test_a_refused_connection_is_certainly_not_sent() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        api = HttpApi(f"http://127.0.0.1:{unused.getsockname()[1]}", KEY)
        with pytest.raises(NotSent, match="not sent"):
            await post(api)
        await api.aclose()


async def test_an_unknown_host_is_certainly_not_sent() -> None:
    api = HttpApi("http://no-such-host.invalid", KEY)
    with pytest.raises(NotSent):
        await post(api, deadline=4)
    await api.aclose()


async def test_a_failed_tls_handshake_is_certainly_not_sent() -> None:
    async with RawApi(answering(http(200, RUN))) as server:

        async def no_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(100)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        plain = await asyncio.start_server(no_tls, "127.0.0.1", 0)
        api = HttpApi(f"https://127.0.0.1:{plain.sockets[0].getsockname()[1]}", KEY)
        with pytest.raises(NotSent):
            await post(api)
        await api.aclose()
        plain.close()
        await plain.wait_closed()
    assert server.requests == []


async def test_a_handshake_that_never_ends_is_taken_back_at_the_deadline() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    quiet = await asyncio.start_server(silent, "127.0.0.1", 0)
    api = HttpApi(f"https://127.0.0.1:{quiet.sockets[0].getsockname()[1]}", KEY)
    start = time.monotonic()
    with pytest.raises(NotSent, match=r"no answer within 0\.2 s"):
        await post(api, deadline=0.2)
    assert time.monotonic() - start < 2
    await api.aclose()
    quiet.close()
    await quiet.wait_closed()


async def test_a_last_look_that_says_no_takes_the_request_back_before_a_byte_of_its_body_is_written() -> None:
    looks: list[bool] = []

    def may_write() -> bool:
        looks.append(True)
        return False

    async with calling(answering(http(200, RUN))) as (server, api):
        with pytest.raises(NotSent, match="taken back"):
            await post(api, may_write=may_write)
        assert looks == [True], "who is asked stops or kills the process there, once"
        await until(lambda: server.torn == 1)  # its headers were on the way; without a body they are nothing
        assert server.requests == []
        assert (await post(api, may_write=lambda: True)).status == 200


async def test_a_gate_that_never_opens_is_certainly_not_sent() -> None:
    async with calling(hang, max_starts=1) as (server, api):
        first = asyncio.create_task(post(api, deadline=3))
        await until(lambda: server.open == 1)
        with pytest.raises(NotSent, match="no connection was free"):
            await post(api, deadline=0.1)
        assert len(server.requests) == 1
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)


# --- Unclear
