"""The promise of docs/schemas.md, held by records that every version of a schema has left behind."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connector.core.accept.reference import ReferenceDecoder
from connector.core.accept.request import resolve
from connector.core.entry import Entry
from connector.core.errors import JournalError
from connector.core.formats.framing import Codec
from connector.core.journal_record import JournalCodec, Restored
from connector.core.route import Route
from connector.core.signals.signal import SignalCodec
from connector.schema_files import load_schema, load_schemas, schema_path, schema_versions, version_paths
from tests.factories.records import TOPIC, record_of, tag_for
from tests.schemas.evolution import complaints, resolved
from tests.schemas.written import NAMES

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "schemas"
PAGE = (ROOT / "docs" / "schemas.md").read_text(encoding="utf-8")
VERSIONS = {name: schema_versions(name) for name in NAMES}
every_schema = pytest.mark.parametrize("name", NAMES)


def records(name: str, number: int) -> list[tuple[bytes, Any]]:
    """What was written with a version of a schema, and what it says; versions count from 1."""
    lines = FOLDER.joinpath("versions", name, f"{number}.jsonl").read_text(encoding="utf-8").splitlines()
    read = map(json.loads, lines)
    return [(bytes.fromhex(each["bytes"]), each["value"]) for each in read]


def numbered(name: str) -> Iterator[tuple[int, dict[str, object]]]:
    return enumerate(VERSIONS[name], 1)


# What is committed.


@every_schema
def test_a_schema_that_has_changed_is_kept_as_a_new_version(name: str) -> None:
    newest = version_paths(FOLDER, name)[-1]
    assert newest.read_text(encoding="utf-8") == schema_path(name).read_text(encoding="utf-8"), (
        f"schemas/{name}.avsc is not what {newest.relative_to(ROOT)} says. Run `make schemas`: it keeps a schema that "
        "has changed as its next version, with records of it, and refuses what no version may do (docs/schemas.md). "
        "Then name the new fingerprint in docs/schemas.md and, under Upgrade, in CHANGELOG.md."
    )


@every_schema
def test_versions_are_numbered_without_gaps_and_have_records(name: str) -> None:
    assert [path.stem for path in version_paths(FOLDER, name)] == [str(number) for number, _ in numbered(name)]
    assert [number for number, _ in numbered(name) if not records(name, number)] == []


@every_schema
def test_a_committed_version_is_never_edited(name: str) -> None:
    for number, schema in numbered(name):
        heads = {value[:10] for value, _ in records(name, number)}
        assert heads == {b"\xc3\x01" + Codec(schema).fingerprint}, f"schemas/versions/{name}/{number}.avsc"


def test_the_page_names_the_fingerprint_of_every_version() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| `([0-9a-f]{16})` \|", PAGE, re.MULTILINE)
    assert rows == [
        (name, str(number), Codec(schema).fingerprint.hex()) for name in NAMES for number, schema in numbered(name)
    ]


@every_schema
def test_the_records_of_the_newest_version_fill_every_field(name: str) -> None:
    found = {path for _, value in records(name, len(VERSIONS[name])) for path in filled(value)}
    assert [path for path in field_paths(load_schema(name)) if path not in found] == []


def field_paths(node: Any, path: str = "") -> Iterator[str]:  # noqa: ANN401 - a schema
    """The fields of a schema, also those inside."""
    for each in node if isinstance(node, list) else [node]:
        if isinstance(each, dict):
            yield from field_paths(each.get("items", []), path)
            for field in each.get("fields", ()):
                yield f"{path}.{field['name']}"
                yield from field_paths(field["type"], f"{path}.{field['name']}")


def filled(value: object, path: str = "") -> Iterator[str]:
    """The fields in which a value has something."""
    if isinstance(value, list):
        for each in value:
            yield from filled(each, path)
    elif value not in (None, ""):
        yield path
        for name, item in value.items() if isinstance(value, dict) else ():
            yield from filled(item, f"{path}.{name}")


# What is promised.


@every_schema
def test_every_version_follows_all_before_it_by_the_rules(name: str) -> None:
    versions = VERSIONS[name]
    for index, later in enumerate(versions):
        assert [wrong for earlier in versions[:index] for wrong in complaints(earlier, later)] == []


@every_schema
def test_every_version_reads_the_records_of_every_other(name: str) -> None:
    for reads, reader in numbered(name):
        codec = Codec(reader, VERSIONS[name])
        for wrote, writer in numbered(name):
            for value, meant in records(name, wrote):
                assert codec.decode(value) == resolved(meant, writer, reader), f"{wrote} by {reads}"


def test_the_connector_takes_references_of_every_version() -> None:
    decoder = ReferenceDecoder(Codec(*load_schemas("document_reference")))
    for number, _ in numbered("document_reference"):
        for value, meant in records("document_reference", number):
            record = record_of(value)
            request = resolve(record, [Route("any", TOPIC)], tag_for(record), decoder)
            assert (request.run_type, request.document_id) == (meant["run"], meant["document_id"])


def test_the_connector_restores_entries_and_marks_of_every_version() -> None:
    codec = JournalCodec(Codec(*load_schemas("journal_entry")), "invoices")
    record = record_of()
    tag, partition = tag_for(record), record.partition
    for number, _ in numbered("journal_entry"):
        for value, meant in records("journal_entry", number):
            key = f"mark:invoices/{partition}" if meant["state"] == "mark" else str(tag)
            restored = codec.restore({key.encode(): value}, [partition])[partition]
            assert not isinstance(restored, JournalError)
            if meant["state"] == "mark":
                assert restored.mark is not None
                assert restored.mark.next_offset == meant["next_offset"]
            else:
                assert told(restored) == (meant["state"], meant["run_id"], meant.get("repeats", 0))


def told(restored: Restored) -> tuple[str, str | None, int]:
    entry: Entry
    (entry,) = restored.entries
    return entry.state.value, entry.run_id, entry.repeats


def test_the_connector_hears_signals_of_every_version() -> None:
    codec = SignalCodec(Codec(*load_schemas("signal")))
    for number, _ in numbered("signal"):
        kinds = [type(codec.decode(value)).__name__.lower() for value, _ in records("signal", number)]
        assert kinds == [meant["kind"] for _, meant in records("signal", number)]


def test_no_codec_of_the_connector_reads_todays_version_alone() -> None:
    files = [path for path in (ROOT / "connector").rglob("*.py") if path.name != "schema_files.py"]
    sources = {path.name: path.read_text(encoding="utf-8") for path in files}
    assert sum("Codec(*load_schemas(" in source for source in sources.values()) >= 8
    assert [name for name, source in sources.items() if re.search(r"Codec\(load_schema\b", source)] == []
