"""What a signed webhook leads to, and when its sender is told so."""

from __future__ import annotations

import asyncio

import pytest

from connector.core.signals.signal import Doorbell
from connector.core.signals.signature import Verifier
from connector.core.tag import Tag
from tests.webhook.stage import SECRET, TAG, event, request, serving, until

OTHER = b"wss_another_secret_that_is_long"


async def test_a_signed_event_is_written_to_its_documents_partition_and_answered_204() -> None:
    async with serving() as stage:
        answer = await stage.send(request(event()))
        assert answer.startswith(b"HTTP/1.1 204 ")
        assert b"server:" not in answer.lower()
        assert stage.writer.signals() == [Doorbell(TAG, "exr_1")]
        assert [record.partition for record in stage.writer.records] == [1]  # 5 mod 4
        assert stage.count("accepted") == 1


async def test_an_event_is_answered_only_after_its_signal_is_acknowledged() -> None:
    async with serving(acknowledges=None) as stage:
        asked = asyncio.create_task(stage.status(request(event())))
        await until(lambda: stage.writer.waiting)
        assert not asked.done()
        stage.writer.waiting[0](bool(1))
        assert await asked == 204


async def test_kafka_away_is_answered_503_and_the_event_rings_when_it_comes_again() -> None:
    async with serving(acknowledges=False) as stage:
        assert await stage.status(request(event())) == 503
        stage.writer.acknowledges = True
        assert await stage.status(request(event())) == 204
        assert len(stage.writer.records) == 2
        assert (stage.count("unavailable"), stage.count("accepted")) == (1, 1)


async def test_an_event_that_is_repeated_rings_once() -> None:
    async with serving() as stage:
        for _ in range(3):
            assert await stage.status(request(event())) == 204
        assert len(stage.writer.records) == 1
        assert stage.count("repeated") == 2


@pytest.mark.parametrize(("acknowledged", "status"), [(True, 204), (False, 503)])
async def test_an_event_that_comes_while_it_is_written_shares_the_outcome(acknowledged: bool, status: int) -> None:  # noqa: FBT001
    async with serving(acknowledges=None) as stage:
        asked = [asyncio.create_task(stage.status(request(event()))) for _ in range(3)]
        await until(lambda: stage.writer.waiting)
        for done in stage.writer.waiting:
            done(acknowledged)
        stage.writer.acknowledges = acknowledged
        assert await asyncio.gather(*asked) == [status] * 3


async def test_another_connectors_event_and_one_of_no_use_are_answered_and_dropped() -> None:
    other = Tag("others", TAG.partition, 1, TAG.hash)
    async with serving() as stage:
        assert await stage.status(request(event(tag=other))) == 204
        assert await stage.status(request(event(kind="batch_processor_run.processed"))) == 204
        assert await stage.status(request(event(kind="extractor.updated"))) == 204
        assert stage.writer.records == []
        assert (stage.count("foreign"), stage.count("ignored")) == (1, 2)


async def test_while_secrets_change_both_are_good() -> None:
    async with serving(SECRET) as stage:
        assert await stage.status(request(event(1), secret=OTHER)) == 401
        stage.endpoint.verifier = Verifier([OTHER, SECRET])
        assert await stage.status(request(event(2), secret=OTHER)) == 204
        assert await stage.status(request(event(3), secret=SECRET)) == 204
        stage.endpoint.verifier = Verifier([OTHER])
        assert await stage.status(request(event(4), secret=SECRET)) == 401


async def test_an_error_that_nobody_foresaw_is_a_503_and_the_next_request_is_served(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving() as stage:
        with monkeypatch.context() as patch:
            patch.setattr(stage.writer, "send", lambda *_: 1 / 0)
            assert await stage.status(request(event())) == 503
        assert await stage.status(request(event())) == 204
    assert "exr_1" not in capsys.readouterr().err


async def test_a_connection_is_used_again() -> None:
    async with serving() as stage:
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
        for number in range(3):
            writer.write(request(event(number)))
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204 ")
        writer.close()
