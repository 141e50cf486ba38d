"""Create requests: exact bodies per run type, what is inherited, and what is refused before it costs anything."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from types import MappingProxyType

import pytest
from extend_ai import Extend

from connector.core.accept.reference import EXTRA_FIELDS
from connector.core.accept.request import MAX_METADATA_BYTES, resolve
from connector.core.errors import RecordRejected
from connector.core.reasons import Reason
from connector.core.route import Route
from connector.core.run_types import RUN_TYPES, RunType
from connector.core.tag import METADATA_KEY
from tests.factories.records import TOPIC, body_of, decoder, record_of, request_of, tag_for

U = "https://files.example.com/in/a.pdf"
ANY = Route("any", TOPIC)


def ours(reference: Mapping[str, object]) -> dict[str, object]:
    tag = tag_for(record_of(json.dumps(reference).encode()))
    return {"tag": str(tag), "partition": 3}


def rejected(reference: Mapping[str, object], route: Route | None = None) -> RecordRejected:
    with pytest.raises(RecordRejected) as caught:
        request_of(reference, route)
    return caught.value


def test_a_url_and_a_route_make_a_whole_request() -> None:
    reference = {"url": U}
    request = request_of(reference)
    assert json.loads(request.body) == {
        "extractor": {"id": "ex_1", "version": "2.1"},
        "file": {"url": U},
        "metadata": {METADATA_KEY: ours(reference)},
    }
    assert (request.run_type, request.route, request.processor_id) == ("extract", "inv", "ex_1")
    assert (request.metadata, request.file_id, request.file_name) == (None, None, "a.pdf")


@pytest.mark.parametrize(
    ("reference", "body"),
    [
        (
            {
                "run": "extract",
                "file_id": "file_1",
                "processor": "ex_2",
                "config": {"extractionRules": "r"},
                "priority": 1,
            },
            {
                "extractor": {"id": "ex_2", "overrideConfig": {"extractionRules": "r"}},
                "file": {"id": "file_1"},
                "priority": 1,
            },
        ),
        ({"run": "extract", "text": "t", "name": "n.txt"}, {"file": {"text": "t", "name": "n.txt"}}),
        ({"run": "extract", "url": U, "config": {"schema": {}}}, {"config": {"schema": {}}, "file": {"url": U}}),
        (
            {"run": "extract", "files": [{"url": U, "password": "p"}, {"file_id": "f"}]},
            {"package": {"files": [{"url": U, "settings": {"password": "p"}}, {"id": "f"}]}},
        ),
        (
            {"run": "classify", "url": U, "processor": "cl_1", "version": "draft", "priority": 100},
            {"classifier": {"id": "cl_1", "version": "draft"}, "file": {"url": U}, "priority": 100},
        ),
        ({"run": "classify", "text": "t", "config": {"c": 1}}, {"config": {"c": 1}, "file": {"text": "t"}}),
        (
            {"run": "split", "url": U, "name": "b.pdf", "password": "p", "processor": "spl_1"},
            {"splitter": {"id": "spl_1"}, "file": {"url": U, "name": "b.pdf", "settings": {"password": "p"}}},
        ),
        (
            {"run": "parse", "url": U, "config": {"target": "markdown"}, "dataRetention": {"mode": "zero"}},
            {"config": {"target": "markdown"}, "file": {"url": U}, "dataRetention": {"mode": "zero"}},
        ),
    ],
)
def test_the_body_of_each_run_type_with_metadata(reference: dict[str, object], body: dict[str, object]) -> None:
    assert body_of(reference, ANY) == body | {"metadata": {METADATA_KEY: ours(reference)}}


def marker(reference: Mapping[str, object]) -> str:
    tag = tag_for(record_of(json.dumps(reference).encode()))
    return f"~k3-{tag.hash}"


@pytest.mark.parametrize(
    ("file", "tagged", "original"),
    [
        ({"url": U}, "a{}.pdf", "a.pdf"),
        ({"url": "https://e.com/"}, "document{}", None),
        ({"url": U, "name": "Größe 1.2.tiff"}, "Größe 1.2{}.tiff", "Größe 1.2.tiff"),
        ({"url": f"https://e.com/{'a' * 300}.pdf"}, "a" * 180 + "{}.pdf", "a" * 300 + ".pdf"),
        ({"url": f"https://e.com/b.{'a' * 300}"}, "b{}", f"b.{'a' * 300}"),
        ({"text": "t"}, "document{}.txt", None),
        ({"text": "t", "name": "n.md"}, "n{}.md", "n.md"),
    ],
)
def test_a_workflow_file_carries_the_tag_in_its_name(
    file: dict[str, object], tagged: str, original: str | None
) -> None:
    reference = {"run": "workflow", "processor": "workflow_1", **file}
    request = request_of(reference, ANY)
    body = json.loads(request.body)
    assert body["file"]["name"] == tagged.format(marker(reference))
    assert body["metadata"] == {METADATA_KEY: ours(reference)}
    assert request.file_name == original


def test_a_workflow_package_carries_the_tag_in_its_first_name() -> None:
    reference = {
        "run": "workflow",
        "processor": "workflow_1",
        "files": [{"file_id": "f"}, {"url": U, "name": "b.pdf"}, {"url": f"{U}?2"}],
    }
    files = body_of(reference, ANY)["package"]
    assert files == {"files": [{"id": "f"}, {"url": U, "name": f"b{marker(reference)}.pdf"}, {"url": f"{U}?2"}]}


def test_an_edit_run_gets_no_metadata_and_the_result_still_can() -> None:
    reference = {"run": "edit", "url": U, "metadata": {"a": 1}, "config": {"instructions": "i"}}
    request = request_of(reference, ANY)
    assert json.loads(request.body) == {
        "config": {"instructions": "i"},
        "file": {"url": U, "name": f"a{marker(reference)}.pdf"},
    }
    assert request.metadata == '{"a":1}'


def test_an_edit_template_brings_its_own_file() -> None:
    body = body_of({"run": "edit", "processor": "edt_1", "config": {"instructions": "i"}}, ANY)
    assert body == {"templateId": "edt_1", "config": {"instructions": "i"}}
    error = rejected({"run": "edit", "processor": "edt_1", "url": U}, ANY)
    assert (error.reason, error.path) == (Reason.SEVERAL_FILES, "url")


def test_a_file_id_keeps_its_name_and_shows_in_the_request() -> None:
    request = request_of({"run": "workflow", "processor": "w", "file_id": "file_1", "name": "mine.pdf"}, ANY)
    assert json.loads(request.body)["file"] == {"id": "file_1"}
    assert (request.file_id, request.file_name) == ("file_1", "mine.pdf")


def everything(row: RunType) -> dict[str, object]:
    """A reference that uses every field that the row of the table has, except a package."""
    reference: dict[str, object] = {"run": row.name, "metadata": {"a": 1}, "url": U, "name": "n.pdf", "password": "p"}
    if row.processor_field and not row.processor_brings_file:
        reference["processor"] = "p_1"
        reference["version"] = "7"
    if row.config:
        reference["config"] = {"c": 1}
    if row.priority:
        reference["priority"] = 5
    samples: dict[type, object] = {dict: {"k": "v"}, list: [{"processorId": "p"}]}
    return reference | {name: samples[EXTRA_FIELDS[name]] for name in row.extra_fields}


def reached(row: RunType) -> set[str]:
    """Every path of the create body that some reference reaches."""
    references = [everything(row)]
    references += [{"run": row.name, "config": {"c": 1}, "url": U}] if row.config else []
    references += [{"run": row.name, "processor": "p_1", "config": {}}] if row.processor_brings_file else []
    if row.package_field:
        files = [{"url": U, "name": "n", "password": "p"}, {"file_id": "f"}]
        references.append({"run": row.name, "processor": "p_1", "files": files})
    forms = {"url": {"url": U}, "id": {"file_id": "f"}, "text": {"text": "t"}}
    needed = {"processor": "p_1"} if row.processor_required else {}
    references += [{"run": row.name, **needed, **forms[form]} for form in row.file_forms]
    return {path for reference in references for path in paths(body_of(reference, ANY))}


def paths(value: object, prefix: str = "") -> set[str]:
    if isinstance(value, dict):
        inner = {path for key, each in value.items() for path in paths(each, f"{prefix}.{key}" if prefix else key)}
        return inner | {prefix}
    if isinstance(value, list):
        return {path for each in value for path in paths(each, prefix)} | {prefix}
    return {prefix}


@pytest.mark.parametrize("row", RUN_TYPES.values(), ids=list(RUN_TYPES))
def test_every_create_field_of_the_table_is_reachable(row: RunType) -> None:
    wanted = {f"file.{form}" for form in row.file_forms} | {"file.settings.password", "file.name"} | row.extra_fields
    if row.processor_field:
        wanted |= (
            {row.processor_field}
            if row.processor_is_id
            else {f"{row.processor_field}.id", f"{row.processor_field}.version"}
        )
    if row.override_field:
        wanted.add(f"{row.processor_field}.{row.override_field}.c")
    if row.package_field:
        wanted |= {f"{row.package_field}.files.{part}" for part in ("url", "id", "name", "settings.password")}
    wanted |= {"config.c"} if row.config else set()
    wanted |= {"priority"} if row.priority else set()
    wanted |= {"metadata.a", f"metadata.{METADATA_KEY}.tag"} if row.metadata else set()
    assert wanted - reached(row) == set()


@pytest.mark.parametrize("row", RUN_TYPES.values(), ids=list(RUN_TYPES))
def test_the_official_client_knows_every_field_and_we_every_field_of_its(row: RunType) -> None:

    create = getattr(Extend(token="sk_test"), f"{row.name}_runs").create
    theirs = {name for name in inspect.signature(create).parameters if name != "request_options"}
    camel = {"template_id": "templateId", "data_retention": "dataRetention"}
    top = {path.split(".", maxsplit=1)[0] for path in reached(row)} - {""}
    assert top == {camel.get(name, name) for name in theirs}


def test_the_shapes_of_the_extra_fields_cover_the_table() -> None:
    assert set(EXTRA_FIELDS) == {name for row in RUN_TYPES.values() for name in row.extra_fields}


FULL = Route(
    "full",
    TOPIC,
    run="workflow",
    processor="workflow_1",
    version="3",
    priority=40,
    metadata={"team": "a", "source": "kafka"},
    create={"secrets": {"token": "canary"}},
)


def test_a_reference_wins_over_its_route_and_metadata_is_merged_by_key() -> None:
    reference = {"url": U, "version": "4", "priority": 1, "metadata": {"team": "b"}, "secrets": {"k": "v"}}
    body = body_of(reference, FULL)
    assert body["workflow"] == {"id": "workflow_1", "version": "4"}
    assert (body["priority"], body["secrets"]) == (1, {"k": "v"})
    assert body["metadata"] == {"team": "b", "source": "kafka", METADATA_KEY: ours(reference)}
    assert request_of(reference, FULL).metadata == '{"team":"b","source":"kafka"}'


def test_an_own_run_inherits_neither_processor_nor_version_nor_config() -> None:
    route = Route("r", TOPIC, run="extract", processor="ex_1", version="2", config={"x": 1}, priority=9)
    assert set(body_of({"url": U, "run": "extract"}, route)) == {"file", "priority", "metadata"}
    assert set(body_of({"url": U, "run": "parse"}, route)) == {"file", "metadata"}
    error = rejected({"url": U, "run": "split"}, route)
    assert (error.reason, error.path) == (Reason.NO_PROCESSOR, "processor")


def test_an_own_processor_inherits_neither_version_nor_config_nor_secrets() -> None:
    body = body_of({"url": U, "processor": "workflow_other"}, FULL)
    assert body["workflow"] == {"id": "workflow_other"}
    assert "secrets" not in body
    body = body_of({"url": U, "processor": "ex_2"}, Route("r", TOPIC, "extract", "ex_1", "2", {"x": 1}))
    assert body["extractor"] == {"id": "ex_2"}


def test_a_route_of_parse_keeps_its_data_retention_for_its_references() -> None:
    route = Route("p", TOPIC, run="parse", create={"dataRetention": {"mode": "zero"}})
    assert body_of({"url": U}, route)["dataRetention"] == {"mode": "zero"}
    assert body_of({"url": U, "run": "parse"}, route)["dataRetention"] == {"mode": "zero"}
    assert "dataRetention" not in body_of({"url": U, "run": "extract"}, route)


def test_the_first_route_of_the_topic_is_taken() -> None:
    record = record_of()
    routes = (Route("other", "elsewhere", "parse"), Route("one", TOPIC, "parse"), Route("two", TOPIC, "extract"))
    assert resolve(record, routes, tag_for(record), decoder).route == "one"


def test_a_topic_without_a_route_is_refused_before_the_value_is_read() -> None:
    record = record_of(b"\xff")
    with pytest.raises(RecordRejected, match="no route of the configuration takes topic documents") as caught:
        resolve(record, (Route("other", "elsewhere"),), tag_for(record), decoder)
    assert (caught.value.reason, caught.value.stage) == (Reason.NO_ROUTE, "route")


def test_a_tombstone_is_the_callers_mistake() -> None:
    record = record_of(None)
    with pytest.raises(ValueError, match="tombstone"):
        resolve(record, (ANY,), tag_for(record), decoder)


@pytest.mark.parametrize(
    ("reference", "reason", "path", "said"),
    [
        ({"url": U}, Reason.NO_ROUTE, "run", "route any names a run type"),
        ({"run": "extract"}, Reason.NO_FILE, "", "url, file_id or text"),
        ({"run": "edit"}, Reason.NO_FILE, "", "url, file_id or text"),
        ({"run": "split", "processor": "s", "text": "t"}, Reason.FILE_FORM, "text", "split runs take no text"),
        ({"run": "parse", "text": "t"}, Reason.FILE_FORM, "text", "parse runs take no text"),
        ({"run": "edit", "text": "t"}, Reason.FILE_FORM, "text", "edit runs take no text"),
        ({"run": "parse", "files": [{"url": U}]}, Reason.FILE_FORM, "files", "no package"),
        ({"run": "workflow", "processor": "w", "files": [{"url": U}]}, Reason.BAD_FIELD, "files", "at least 2"),
        (
            {"run": "workflow", "processor": "w", "files": [{"url": U}, {"url": U}]},
            Reason.BAD_FIELD,
            "files[1].url",
            "twice",
        ),
        (
            {"run": "workflow", "processor": "w", "files": [{"url": U}, {"file_id": "f"}], "outputs": []},
            Reason.BAD_FIELD,
            "outputs",
            "single file",
        ),
        ({"run": "parse", "url": U, "processor": "p"}, Reason.BAD_FIELD, "processor", "no processor"),
        ({"run": "parse", "url": U, "version": "1"}, Reason.BAD_FIELD, "version", "no processor"),
        ({"run": "extract", "url": U, "version": "1"}, Reason.BAD_FIELD, "version", "no processor"),
        ({"run": "edit", "processor": "edt_1", "version": "1"}, Reason.BAD_FIELD, "version", "no processor"),
        ({"run": "workflow", "processor": "w", "url": U, "config": {}}, Reason.BAD_FIELD, "config", "no config"),
        ({"run": "parse", "url": U, "priority": 5}, Reason.BAD_FIELD, "priority", "no priority"),
        ({"run": "edit", "url": U, "priority": 5}, Reason.BAD_FIELD, "priority", "no priority"),
        ({"run": "extract", "url": U, "secrets": {}}, Reason.UNKNOWN_FIELD, "secrets", "no secrets"),
        ({"run": "classify", "url": U}, Reason.NO_PROCESSOR, "processor", "a processor or a config"),
        ({"run": "split", "url": U}, Reason.NO_PROCESSOR, "processor", "a processor or a config"),
        ({"run": "workflow", "url": U}, Reason.NO_PROCESSOR, "processor", "need a processor"),
    ],
)
def test_what_the_run_type_does_not_take_is_refused(
    reference: dict[str, object], reason: Reason, path: str, said: str
) -> None:
    error = rejected(reference, ANY)
    assert (error.reason, error.path) == (reason, path)
    assert error.stage in {"route", "request"}
    assert said in str(error)


def test_the_metadata_limit_counts_bytes_with_our_own_key() -> None:
    def size(text: str) -> int:
        reference = {"url": U, "metadata": {"a": text}}
        shown = {"a": text, METADATA_KEY: ours(reference)}
        return len(json.dumps(shown, separators=(",", ":"), ensure_ascii=False).encode())

    room = MAX_METADATA_BYTES - size("")
    largest = "ü" * (room // 2) + "u" * (room % 2)
    assert size(largest) == MAX_METADATA_BYTES
    assert len(request_of({"url": U, "metadata": {"a": largest}}).body) > MAX_METADATA_BYTES
    error = rejected({"url": U, "metadata": {"a": f"{largest}u"}})
    assert (error.reason, error.path) == (Reason.METADATA_TOO_LARGE, "metadata")
    assert "10241 bytes" in str(error)


def test_equal_references_give_equal_bytes_in_the_order_given() -> None:
    schema = {"properties": {"z": 1, "a": 2, "m": 3}}
    reference = {"url": U, "run": "extract", "config": {"schema": schema}}
    body = request_of(reference, ANY).body
    assert body == request_of(reference, ANY).body
    assert b'{"z":1,"a":2,"m":3}' in body


def test_a_frozen_configuration_is_sent_like_any_other() -> None:

    inner = MappingProxyType({"schema": MappingProxyType({"a": (1, 2)})})
    body = body_of({"url": U}, Route("r", TOPIC, run="extract", config=inner))
    assert body["config"] == {"schema": {"a": [1, 2]}}


@pytest.mark.parametrize("run", ["extract", "workflow"])
def test_without_a_tag_the_body_is_only_what_was_asked_for(run: str) -> None:
    record = record_of(json.dumps({"url": U, "run": run, "processor": "p_1"}).encode())
    body = json.loads(resolve(record, (ANY,), None, decoder).body)
    assert body == {RUN_TYPES[run].processor_field: {"id": "p_1"}, "file": {"url": U}}
