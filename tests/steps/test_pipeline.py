"""One document's way, on fakes and on virtual time."""

from __future__ import annotations

from tests.fakes.virtual_time import virtually
from tests.steps.world import P0, world


@virtually
async def test_a_document_becomes_one_result_and_leaves_nothing_open() -> None:
    async with world() as w:
        (record,) = w.send()
        await w.until(w.results)
        (result,) = w.results("PROCESSED")
        assert (result["status"], result["revision"], result["output"]) == ("PROCESSED", 1, '{"total":1.50}')
        assert result["run_id"] == "run_1"
        assert w.kafka.topics["documents.processed"][0].key == record.key
        assert w.kafka.topics["documents.processed"][0].headers == record.headers
        assert w.open() == []
        assert w.kafka.offsets[P0] == 1
        assert w.kinds() == ["intent", "started", "result"]
