"""What results and references cost in each of their forms, beside confluent-kafka's own serializers; and end to end."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from math import inf
from statistics import median
from time import process_time

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from connector.core.accept.mapping import mapping_of
from connector.core.accept.reference import Reference, ReferenceDecoder, reference_of
from connector.core.accept.request import route_of
from connector.core.accept.source import Given
from connector.core.formats.avro import AvroSchema
from connector.core.formats.framing import CONFLUENT_HEADER_BYTES, Codec, confluent_header
from connector.core.formats.writer_schemas import WriterSchemas
from connector.core.record import OutRecord, Partition, Record
from connector.core.result import result_record
from connector.core.route import Route
from connector.core.typed.json_schema import read_schema
from connector.core.typed.typed_results import TypedResults, typed_schema
from connector.schema_files import load_schema
from tests.benchmarks.figures import Figures
from tests.benchmarks.stage import PARTITIONS, ResultReader, Stage
from tests.factories.records import entry_of, run_of
from tests.kafka.apicurio import Apicurio

pytestmark = pytest.mark.benchmark

COUNT = 3_000
ROUNDS = 5
_TIMES = f"{COUNT} times each, best of {ROUNDS} rounds in turn, one core"
WARM_UP = 300
DOCUMENTS = 3_000
TURNS = 2
LINES = 24
"""Of an invoice, so that its JSON has about 4 KB."""

INVOICE: Mapping[str, object] = {
    "invoice_number": "INV-2026-004711",
    "vendor": {
        "name": "Muster & Söhne GmbH",
        "street": "Hauptstraße 5",
        "city": "10827 Berlin",
        "tax_id": "DE811907980",
    },
    "customer_name": "Example Industries Ltd.",
    "paid": False,
    "total": 11_234.56,
    "pages": 3,
    "lines": [
        {
            "description": f"Maintenance of machine {number}, on site, with travel and parts",
            "article": f"A-{number:06}",
            "quantity": number + 1,
            "unit_price": 12.5 * number,
            "amount": 12.5 * number * (number + 1),
        }
        for number in range(LINES)
    ],
}
_TEXT, _NUMBER = {"type": ["string", "null"]}, {"type": ["number", "null"]}


def _object(**properties: object) -> dict[str, object]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


INVOICE_SCHEMA = _object(
    invoice_number=_TEXT,
    vendor=_object(name=_TEXT, street=_TEXT, city=_TEXT, tax_id=_TEXT),
    customer_name=_TEXT,
    paid={"type": ["boolean", "null"]},
    total=_NUMBER,
    pages={"type": ["integer", "null"]},
    lines={
        "type": "array",
        "items": _object(
            description=_TEXT,
            article=_TEXT,
            quantity={"type": ["integer", "null"]},
            unit_price=_NUMBER,
            amount=_NUMBER,
        ),
    },
)
OUTPUT = json.dumps({"value": INVOICE}, ensure_ascii=False, separators=(",", ":")).encode()
REFERENCE = {"url": "https://bucket.example.com/invoices/4711.pdf", "document_id": "doc-4711"}
THEIRS = {"type": "invoice", "id": "doc-4711", "payload": {"location": REFERENCE["url"], "bytes": 48_211}}
ARRIVED: Mapping[str, object] = {
    "type": "record",
    "name": "Arrived",
    "namespace": "com.example",
    "fields": [
        {"name": "type", "type": "string"},
        {"name": "id", "type": "string"},
        {
            "name": "payload",
            "type": {
                "type": "record",
                "name": "Payload",
                "fields": [{"name": "location", "type": "string"}, {"name": "bytes", "type": "long"}],
            },
        },
    ],
}


@pytest.mark.timeout(300)
def test_encoding_of_results(figures: Callable[[str], Figures]) -> None:
    envelope = load_schema("run_result")
    plain, types = Codec(envelope), TypedResults(_typed_schema(envelope), envelope, "extract")
    result = plain.decode(_result(plain).value or b"")
    made = types.typed("extract", OUTPUT)
    assert made is not None
    assert made.fit == "whole"
    typed = {**result, "output": None, "value": made.value}
    table = figures(f"A result with {len(OUTPUT)} bytes of output to a record's value, {_TIMES}")
    for name, codec, schema, row in (("plain", plain, envelope, result), ("typed", types.codec, types.schema, typed)):
        framed, theirs = codec.framed(7), _Confluent(schema)
        times = compared(
            {
                "single-object": partial(codec.encode, row),
                "for a registry": partial(framed.encode, row),
                "AvroSerializer": partial(theirs.write, row),
            }
        )
        size = len(codec.encode(row))
        table.add(f"{name}: single-object, {size} bytes", _micro(times["single-object"]))
        table.add(f"{name}: framed for a registry", _micro(times["for a registry"]))
        table.add(f"{name}: confluent-kafka's AvroSerializer", _micro(times["AvroSerializer"]))
        table.add(f"{name}: so many times faster", f"{times['AvroSerializer'] / times['for a registry']:.2f}", "3")
    table.add(
        "typed: to make the value of the JSON", _micro(compared({"": lambda: types.typed("extract", OUTPUT)})[""])
    )


@pytest.mark.timeout(300)
def test_decoding_of_references(figures: Callable[[str], Figures]) -> None:
    own, arrived, writers = Codec(load_schema("document_reference")), AvroSchema(ARRIVED), WriterSchemas(lambda: 0.0)
    writers.learn(1, json.dumps(load_schema("document_reference")))
    writers.learn(2, json.dumps(ARRIVED))
    decoder = ReferenceDecoder(own, writers)
    as_it_is = (Route("invoices", "documents", run="extract", processor="ex_1"),)
    mapped = (replace(as_it_is[0], mapping=mapping_of({"url": "payload.location", "document_id": "id"})),)
    framed, foreign = own.framed(1).encode(REFERENCE), arrived.encode(THEIRS, confluent_header(2))
    forms = {
        "JSON": (json.dumps(REFERENCE).encode(), as_it_is),
        "single-object Avro": (own.encode(REFERENCE), as_it_is),
        "Avro framed for a registry": (framed, as_it_is),
        "mapped JSON": (json.dumps(THEIRS).encode(), mapped),
        "mapped Avro of a schema of theirs": (foreign, mapped),
    }
    table = figures(f"A record's value to the reference in it, {_TIMES}")
    times = compared({name: partial(_reference, value, by, decoder) for name, (value, by) in forms.items()})
    for name, seconds in times.items():
        table.add(name, _micro(seconds))
    for name, schema, value in (
        ("a reference", load_schema("document_reference"), framed),
        ("a record of a schema of theirs", ARRIVED, foreign),
    ):
        theirs = _Confluent(schema)
        same = confluent_header(theirs.schema_id) + value[CONFLUENT_HEADER_BYTES:]
        times = compared({"ours": partial(decoder.value, value), "theirs": partial(theirs.read, same)})
        table.add(f"{name}, to Python values", _micro(times["ours"]))
        table.add(f"{name}, by confluent-kafka's AvroDeserializer", _micro(times["theirs"]))
        table.add(f"{name}: so many times faster", f"{times['theirs'] / times['ours']:.2f}", "at least 1")


@pytest.mark.timeout(600)
def test_throughput_with_a_registry(stage: Stage, apicurio: Apicurio, figures: Callable[[str], Figures]) -> None:
    """The same worker's configuration with and without a registry, in turn, and again."""
    stage.open("--median", "1")
    reader, rates, done = ResultReader(stage), {False: list[float](), True: list[float]()}, 0
    for turn in range(2 * TURNS):
        registry = turn % 2 == 1
        stage.configure({"schema_registry": {"url": apicurio.url}} if registry else {})
        worker = stage.worker(f"worker-{turn}")
        stage.await_assignment([worker], PARTITIONS)
        stage.produce(WARM_UP, first=done)
        reader.wait_for(done + WARM_UP, 120)
        stage.produce(DOCUMENTS, first=done + WARM_UP)
        done += WARM_UP + DOCUMENTS
        reader.wait_for(done, 240)
        times = sorted(seen.at for seen in reader.seen[-DOCUMENTS:])
        rates[registry].append(DOCUMENTS / (times[-1] - times[0]))
        assert worker.process.terminate(25) == 0
    reader.close()
    table = figures(f"End to end: {TURNS} times {DOCUMENTS} documents with a registry, and without, in turn")
    without, with_one = median(rates[False]), median(rates[True])
    table.add("documents per second without a registry", f"{without:.0f}")
    table.add("documents per second with a registry", f"{with_one:.0f}")
    table.add("the second of the first", f"{100 * with_one / without:.1f} %", "at least 95 %")


def compared(works: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds of CPU that one piece of each work takes, the best of some rounds; the works take turns."""
    best = dict.fromkeys(works, inf)
    for _ in range(ROUNDS):
        for name, work in works.items():
            begun = process_time()
            for _ in range(COUNT):
                work()
            best[name] = min(best[name], (process_time() - begun) / COUNT)
    return best


class _Confluent:
    """confluent-kafka's own serializers, with a registry in memory; the schema is there already."""

    def __init__(self, schema: Mapping[str, object]) -> None:
        registry = SchemaRegistryClient.new_client({"url": "mock://benchmark"})
        text = json.dumps(schema)
        self.schema_id = registry.register_schema("topic-value", Schema(text, "AVRO"))
        self._context = SerializationContext("topic", MessageField.VALUE)
        settings = {"auto.register.schemas": False, "subject.name.strategy.type": "TOPIC"}
        self._serializer = AvroSerializer(registry, text, conf=settings)
        self._deserializer = AvroDeserializer(registry, text, conf={"subject.name.strategy.type": "TOPIC"})

    def write(self, row: object) -> object:
        return self._serializer(row, self._context)

    def read(self, value: bytes) -> object:
        return self._deserializer(value, self._context)


def _micro(seconds: float) -> str:
    return f"{1e6 * seconds:6.1f} us"


def _typed_schema(envelope: Mapping[str, object]) -> dict[str, object]:
    return typed_schema(envelope, "invoices", read_schema(INVOICE_SCHEMA))


def _result(codec: Codec) -> OutRecord:
    return result_record(
        entry_of(),
        run_of(output=OUTPUT),
        prefix="invoices",
        observed_via="sweep",
        observed_ms=1_790_000_006_000,
        emitted_ms=1_790_000_006_100,
        max_bytes=1_000_000,
        codec=codec,
    )


def _reference(value: bytes, routes: tuple[Route, ...], decoder: ReferenceDecoder) -> Reference:
    given = Given(Record(Partition("documents", 0), 1, None, value, (), None), decoder)
    mapping = route_of(given, routes).mapping
    return reference_of(given.value()) if mapping is None else mapping.reference(given)
