"""The references of the chaos run are what they are meant to be, by the connector's own resolving."""

from __future__ import annotations

from collections import Counter

import pytest

from connector.core.accept.reference import ReferenceDecoder
from connector.core.accept.request import resolve
from connector.core.errors import RecordRejected
from connector.core.formats.framing import Codec
from connector.core.record import Partition, Record
from connector.core.route import Route
from connector.core.run_types import RUN_TYPES
from connector.core.tag import tag_of
from connector.schema_files import load_schema
from tests.chaos.references import CYCLE, references

ROUTES = (Route("documents", "documents"),)


def test_every_type_meets_every_end_and_only_the_impossible_ones_are_refused() -> None:
    decoder = ReferenceDecoder(Codec(load_schema("document_reference")))
    resolved: Counter[str] = Counter()
    refused = 0
    for number, reference in enumerate(references("documents", 1_000, partitions=6)):
        record = Record(Partition("documents", reference.partition or 0), number, reference.key, reference.value)
        try:
            request = resolve(record, ROUTES, tag_of("invoices", "id", record), decoder)
        except RecordRejected:
            refused += 1
            assert reference.document_id is None
            continue
        assert request.document_id == reference.document_id
        end = (request.file_name or "").partition("-simulate-")[2].removesuffix(".pdf")
        resolved[f"{request.run_type} {end}"] += 1

    assert refused == 25
    assert len(resolved) == CYCLE
    assert {name.split(" ")[0] for name in resolved} == RUN_TYPES.keys()
    assert min(resolved.values()) > 20


@pytest.mark.parametrize("partitions", [1, 6])
def test_the_partitions_get_the_same_number(partitions: int) -> None:
    counts = Counter(reference.partition for reference in references("documents", 600, partitions))

    assert set(counts.values()) == {600 // partitions}
