"""Records of somebody's own shape, with a route that says where in them the document is."""

from __future__ import annotations

import json

from connector.config.routes import Route
from tests.guarantees.scene import Scene, assert_once


def _order(number: int, **more: object) -> bytes:
    location = f"https://bucket.example.com/{number}.pdf"
    return json.dumps({"type": "invoice", "order": {"nr": number}, "pages": [{"at": location}], **more}).encode()


async def test_own_records_become_results_and_the_others_dead_letters(scene: Scene) -> None:
    route = Route(
        topic=scene.topic,
        run="parse",
        when={"type": ["invoice", "credit note"], "header(test)": {"exists": False}},
        fields={"url": "pages[0].at", "document_id": "order.nr", "metadata.customer": "key()"},
    )
    await scene.write_record(_order(1), key=b"customer-1")
    await scene.write_record(_order(2, type="letter"), key=b"customer-1")
    await scene.write_record(_order(3, pages=[]), key=b"customer-1")
    await scene.write_record(_order(4), key=b"customer-1", headers=(("test", b"yes"),))
    await scene.write_record(_order(5, type="credit note"), key=b"customer-2")

    async with scene.worker(scene.config(route=route)):
        history = await scene.until(
            lambda h: len(h.results) == 2 and not h.open_entries and sum(h.committed.values()) == 5
        )
        letters = await scene.dead_letters()

    assert_once(history, ["1", "5"])
    told = {}
    for letter in letters:
        headers = dict(letter.headers)
        offset = int((headers["__connect.errors.offset"] or b"").decode())
        told[offset] = (headers["extend.reason"], headers["__connect.errors.exception.message"])
    assert [told[offset][0] for offset in (1, 2, 3)] == [b"NO_ROUTE", b"PATH_NOT_FOUND", b"NO_ROUTE"]
    assert told[2][1] == b"url from pages[0].at: pages has 0 items, and none at [0]"
