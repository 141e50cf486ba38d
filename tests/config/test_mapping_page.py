"""The worked example of docs/field-mapping.md: its configuration makes of its record the request that it shows."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from connector.core.accept.reference import ReferenceDecoder
from connector.core.accept.request import resolve
from connector.core.errors import RecordRejected
from connector.core.formats.framing import Codec
from connector.core.record import Partition, Record
from connector.schema_files import load_schema
from tests.config.given import parsed

PAGE = Path(__file__).parents[2].joinpath("docs", "field-mapping.md").read_text(encoding="utf-8")
DECODER = ReferenceDecoder(Codec(load_schema("document_reference")))
(ROUTES,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
RECORD, REQUEST = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))


def record(value: object) -> Record:
    return Record(Partition("orders.documents", 0), 0, b"receipt-7", json.dumps(value).encode())


def test_the_example_becomes_the_request_that_the_page_shows() -> None:
    routes = parsed(ROUTES).config.core_routes()
    request = resolve(record(RECORD), routes, None, DECODER)
    assert (request.route, request.document_id) == ("invoices", "4711")
    assert json.loads(request.body) == REQUEST


def test_the_other_routes_take_the_others() -> None:
    routes = parsed(ROUTES).config.core_routes()
    receipt = {"type": "receipt", "pages": [{"url": "https://files.example.com/a.jpg"}]}
    request = resolve(record(receipt), routes, None, DECODER)
    assert (request.route, request.document_id) == ("receipts", "receipt-7")
    abroad = {**RECORD, "customer": {"country": "CH"}}
    assert resolve(record(abroad), routes, None, DECODER).route == "others"
    with pytest.raises(RecordRejected, match="document_id from id: the value has no id"):
        resolve(record({"payload": RECORD["payload"]}), routes, None, DECODER)
