"""What is said of an ingress, and of the endpoint at Extend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from connector.adapters.http import Operation
from connector.core.answer import Answer
from connector.core.diagnosis import Diagnosis, Health
from connector.core.errors import ApiForbidden, ConnectorError
from connector.doctor.webhook import examine_endpoint, examine_round_trip
from connector.webhook.registration import Wanted

URL = "https://hooks.example.com/webhooks/extend"
WANTED = Wanted(URL, "Kafka connector invoices", frozenset({"extract_run.processed", "extract_run.failed"}), ())


def only(found: Iterator[Diagnosis]) -> Diagnosis:
    (each,) = found
    return each


@pytest.mark.parametrize(
    ("signed", "unsigned", "health", "words"),
    [
        (204, 401, Health.OK, ""),
        (401, 401, Health.FAILED, "Another secret or another clock"),
        (404, 404, Health.FAILED, "/webhooks/extend"),
        (503, 401, Health.FAILED, "Kafka"),
        (302, 302, Health.FAILED, "See what answers"),
        (200, 200, Health.FAILED, "See what answers"),
        (204, 204, Health.FAILED, "Something else than the ingress"),
    ],
)
def test_only_an_ingress_with_our_secret_passes(signed: int, unsigned: int, health: Health, words: str) -> None:
    found = only(examine_round_trip(URL, lambda is_signed: signed if is_signed else unsigned))
    assert found.health is health
    assert words in found.way_out


def test_nobody_at_the_address_is_a_failure() -> None:
    def send(_signed: bool) -> int:  # noqa: FBT001 - as ``Send``
        raise ConnectorError("Nobody answers at https://hooks.example.com (gaierror).")

    assert only(examine_round_trip(URL, send)).health is Health.FAILED


def test_without_a_secret_or_an_address_nothing_is_sent() -> None:
    assert only(examine_round_trip(URL, None)).health is Health.SKIPPED
    assert only(examine_round_trip(None, lambda _: pytest.fail("sent"))).health is Health.SKIPPED


class FakeApi:
    """One page of endpoints; anything but reading is a mistake."""

    def __init__(self, page: bytes | None) -> None:
        self.page = page

    async def send(
        self,
        operation: Operation,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        assert (operation, method, body) == ("list", "GET", None), (path, query)
        if self.page is None:
            raise ApiForbidden("the key may not list endpoints", status=403)
        return Answer(200, {}, self.page if path == "/webhook_endpoints" else b'{"data": []}')


@pytest.mark.parametrize(
    ("page", "health"),
    [
        (b'{"data": []}', Health.WARNING),
        (None, Health.WARNING),
        (
            b'{"data": [{"id": "wh_1", "url": "%s", "status": "enabled", "enabledEvents":'
            b' ["extract_run.processed", "extract_run.failed"]}]}' % URL.encode(),
            Health.OK,
        ),
        (
            b'{"data": [{"id": "wh_1", "url": "%s", "status": "disabled", "enabledEvents":'
            b' ["extract_run.processed", "extract_run.failed"]}]}' % URL.encode(),
            Health.WARNING,
        ),
    ],
    ids=["none", "forbidden", "right", "disabled"],
)
async def test_what_is_missing_at_extend_is_a_warning(page: bytes | None, health: Health) -> None:
    found = await examine_endpoint(FakeApi(page), WANTED)
    assert found.health is health
    assert bool(found.way_out) is (health is Health.WARNING)


async def test_an_address_inside_is_not_looked_for_at_extend() -> None:
    inside = Wanted("http://hooks:8081/webhooks/extend", "n", frozenset(), ())
    assert (await examine_endpoint(FakeApi(None), inside)).health is Health.SKIPPED
