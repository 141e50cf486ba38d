"""Downloads of outputs: bounded, without anything of ours, and every trouble a read that may be repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import httpx
import pytest

from connector.adapters import download
from connector.adapters.download import Downloader
from connector.core.errors import ApiUnavailable, ApiUnreadable
from tests.adapters.raw_api import Behaviour, RawApi, Seen, answering, hang, hang_up, http

BODY = b'{"chunks": [] }'
HOST = "files.example.com"
LINK = f"https://{HOST}/a%2Fb?sig=canary%2B"
KNOWN = {"host", "accept-encoding"}
"""All that a storage is told."""


async def public(_host: str, _port: int) -> Sequence[str]:
    return ["52.216.0.1"]


async def fetched(behave: Behaviour, *, max_bytes: int = 1000, deadline: float = 60.0) -> bytes | None:
    async with RawApi(behave) as api:
        downloader = Downloader(api.url, hosts=(), max_bytes=max_bytes, deadline=deadline)
        return await downloader.fetch(f"{api.url}/out?sig=1")


async def test_the_bytes_come_as_they_are_and_the_storage_is_told_nothing_of_us() -> None:
    said: list[tuple[str, str]] = []
    async with RawApi(answering(http(200, BODY))) as api:
        downloader = Downloader(
            api.url, hosts=(), max_bytes=len(BODY), on_request=lambda what, code, _: said.append((what, code))
        )
        assert await downloader.fetch(f"{api.url}/a%2Fb?sig=%2B&x") == BODY
    (seen,) = api.requests
    assert (seen.method, seen.path, seen.body) == ("GET", "/a%2Fb?sig=%2B&x", b"")
    assert seen.headers.keys() == KNOWN
    assert said == [("output", "200")]


async def test_more_than_may_be_read_is_not_read() -> None:
    assert await fetched(answering(http(200, b"x" * 1000))) == b"x" * 1000
    assert await fetched(answering(http(200, b"x" * 1001))) is None

    async def endless(_: Seen, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"ffff\r\n" + b"x" * 0xFFFF + b"\r\n")
            await writer.drain()

    assert await fetched(endless) is None


@pytest.mark.parametrize(
    "behave",
    [
        *(answering(http(status, b"{}")) for status in (201, 204, 400, 401, 403, 404, 429, 500, 503)),
        answering(http(302, location="http://127.0.0.1:1/")),
        answering(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{}"),
        answering(b"nonsense\r\n\r\n"),
        hang_up,
    ],
)
async def test_every_trouble_is_a_read_that_may_be_repeated(behave: Behaviour) -> None:
    async def once(seen: Seen, writer: asyncio.StreamWriter) -> bool:
        await behave(seen, writer)
        return False

    with pytest.raises(ApiUnavailable) as error:
        await fetched(once)
    assert type(error.value) is ApiUnavailable, "not a 404 or a 429 of the API"
    assert error.value.retryable


async def test_a_redirect_is_not_followed() -> None:
    async with RawApi(answering(http(307, location="/elsewhere"))) as api:
        with pytest.raises(ApiUnavailable, match="307"):
            await Downloader(api.url, hosts=(), max_bytes=9).fetch(f"{api.url}/out")
    assert len(api.requests) == 1


async def test_how_long_the_storage_asks_to_wait_is_kept() -> None:
    with pytest.raises(ApiUnavailable) as error:
        await fetched(answering(http(503, retry_after="7")))
    assert (error.value.status, error.value.retry_after) == (503, 7)


async def test_a_storage_that_hangs_is_given_up_and_leaves_no_connection() -> None:
    async with RawApi(hang) as api:
        with pytest.raises(ApiUnavailable, match="within"):
            await Downloader(api.url, hosts=(), max_bytes=9, deadline=0.2).fetch(f"{api.url}/out")
        while api.open:  # noqa: ASYNC110 - the server hears of the end a moment later
            await asyncio.sleep(0.01)


async def test_nothing_answers() -> None:
    async with RawApi(hang_up) as api:
        gone = api.url
    with pytest.raises(ApiUnavailable):
        await Downloader(gone, hosts=(), max_bytes=9).fetch(f"{gone}/out")


async def test_a_compressed_answer_is_refused() -> None:
    with pytest.raises(ApiUnreadable) as error:
        await fetched(answering(http(200, b"x", content_encoding="gzip")))
    assert error.value.reason == "ENCODED"


async def test_who_waits_too_long_for_a_turn_is_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "TURN_SECONDS", 0.05)
    async with RawApi(hang) as api:
        downloader = Downloader(api.url, hosts=(), max_bytes=9)
        url = f"{api.url}/out"
        first = [asyncio.create_task(downloader.fetch(url)) for _ in range(download.AT_ONCE)]
        while api.open < download.AT_ONCE:  # noqa: ASYNC110 - a server on loopback
            await asyncio.sleep(0.01)
        with pytest.raises(ApiUnavailable, match="others"):
            await downloader.fetch(url)
        for task in first:
            task.cancel()
        ends = await asyncio.gather(*first, return_exceptions=True)
        assert {type(end) for end in ends} == {asyncio.CancelledError}
    monkeypatch.undo()  # twelve that take turns need longer on a busy machine
    async with RawApi(answering(http(200, b"1"))) as api:
        downloader = Downloader(api.url, hosts=(), max_bytes=9)
        found = await asyncio.gather(*(downloader.fetch(f"{api.url}/out") for _ in range(12)))
        assert found == [b"1"] * 12


async def test_the_address_that_was_checked_is_the_one_that_is_asked() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, stream=httpx.ByteStream(BODY))

    downloader = Downloader(
        "https://api.extend.ai",
        hosts=(HOST,),
        max_bytes=1000,
        resolve=public,
        transport=lambda: httpx.MockTransport(answer),
    )
    assert await downloader.fetch(LINK) == BODY
    (request,) = asked
    assert str(request.url) == "https://52.216.0.1/"
    assert request.headers.keys() == KNOWN
    assert request.headers["host"] == HOST
    assert request.extensions["sni_hostname"] == HOST, "the certificate must be the host's"
    assert request.extensions["target"] == b"/a%2Fb?sig=canary%2B"


@pytest.mark.parametrize(
    "addresses", [["10.0.0.1"], ["52.216.0.1", "127.0.0.1"], ["::ffff:169.254.169.254"], []], ids=str
)
async def test_a_host_with_an_address_inside_of_a_network_is_not_asked(addresses: list[str]) -> None:
    async def inside(_host: str, _port: int) -> Sequence[str]:
        return addresses

    def never(_: httpx.Request) -> httpx.Response:
        raise AssertionError("asked")

    downloader = Downloader(
        "https://api.extend.ai",
        hosts=(HOST,),
        max_bytes=9,
        resolve=inside,
        transport=lambda: httpx.MockTransport(never),
    )
    with pytest.raises(ApiUnavailable, match="not public"):
        await downloader.fetch(LINK)


async def test_a_host_that_is_not_named_is_logged_once_and_its_link_never(caplog: pytest.LogCaptureFixture) -> None:
    downloader = Downloader("https://api.extend.ai", hosts=(), max_bytes=9)
    for _ in range(3):
        with pytest.raises(ApiUnavailable, match=r"output\.parse_hosts") as error:
            await downloader.fetch(LINK)
        assert "canary" not in str(error.value)
    assert caplog.text.count("output_link_refused") == 1
    assert "canary" not in caplog.text


async def test_a_host_without_an_address_may_have_one_later() -> None:
    async def nobody(_host: str, _port: int) -> Sequence[str]:
        raise OSError

    downloader = Downloader("https://api.extend.ai", hosts=(HOST,), max_bytes=9, resolve=nobody)
    with pytest.raises(ApiUnavailable, match="no address"):
        await downloader.fetch(LINK)


@pytest.mark.parametrize("host", ["a..example.com", f"{'a' * 64}.example.com"])
async def test_a_name_that_no_resolver_takes_is_a_host_without_an_address(host: str) -> None:
    downloader = Downloader("https://api.extend.ai", hosts=(".example.com",), max_bytes=9)
    with pytest.raises(ApiUnavailable, match="no address"):
        await downloader.fetch(f"https://{host}/a")
