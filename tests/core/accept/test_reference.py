"""References: three notations told apart by their first bytes, and what each mistake is called."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.accept.reference import EXTRA_FIELDS, File, Reference, ReferenceDecoder
from connector.core.errors import RecordRejected
from connector.core.formats.framing import MARKER, Codec
from connector.core.reasons import Reason
from connector.core.run_types import RUN_TYPES
from connector.schema_files import load_schema
from tests.factories.records import decoder, reference_codec

U = "https://files.example.com/a.pdf"
NAMES = [str(each["name"]) for each in load_schema("document_reference")["fields"]]  # type: ignore[attr-defined] # JSON
NAMES = [*(name for name in NAMES if name != "metadata_json"), *EXTRA_FIELDS]


def rejected(value: bytes | Mapping[str, object]) -> RecordRejected:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    with pytest.raises(RecordRejected) as caught:
        decoder.decode(data)
    assert caught.value.stage == "decode"
    return caught.value


def decoded(value: Mapping[str, object]) -> Reference:
    return decoder.decode(json.dumps(value).encode())


def refusal(value: bytes) -> str | None:
    try:
        decoder.decode(value)
    except RecordRejected as error:
        return error.reason
    return None


def test_one_url_is_a_whole_reference() -> None:
    assert decoder.decode(b'{"url": "https://files.example.com/a.pdf"}') == Reference(File("url", U, path="url"))


def test_every_field_of_a_json_reference_is_read() -> None:
    assert decoded(
        {
            "url": U,
            "name": "a.pdf",
            "password": " p w ",
            "run": "workflow",
            "processor": "workflow_1",
            "version": "3",
            "config": {"b": [1]},
            "priority": 1,
            "metadata": {"a": {"b": None}},
            "document_id": "doc-1",
            "secrets": {"k": "v"},
            "create": {"outputs": [{"processorId": "ex_1"}]},
        }
    ) == Reference(
        file=File("url", U, "a.pdf", " p w ", "url"),
        run="workflow",
        processor="workflow_1",
        version="3",
        config={"b": [1]},
        priority=1,
        metadata={"a": {"b": None}},
        document_id="doc-1",
        create={"outputs": [{"processorId": "ex_1"}], "secrets": {"k": "v"}},
    )


def test_null_counts_as_absent() -> None:
    nothing = dict.fromkeys(set(NAMES) - {"url"})
    assert decoded({"url": U, **nothing}) == decoded({"url": U})


def test_avro_and_json_mean_the_same() -> None:
    shared = {
        "files": [{"url": U, "name": "a.pdf", "password": "p"}, {"file_id": "file_1"}],
        "run": "workflow",
        "processor": "workflow_1",
        "version": "3",
        "priority": 7,
        "metadata": {"a": "b"},
        "document_id": "doc-1",
    }
    config, create = {"x": [1, {"y": None}]}, {"secrets": {"k": "v"}}
    avro = reference_codec.encode({**shared, "config": json.dumps(config), "create": json.dumps(create)})
    assert decoder.decode(avro) == decoded({**shared, "config": config, "create": create})


def test_avro_metadata_may_be_any_json_object() -> None:
    avro = reference_codec.encode({"url": U, "metadata_json": '{"extend:usage_tags": ["a"], "n": 1}'})
    assert decoder.decode(avro).metadata == {"extend:usage_tags": ["a"], "n": 1}


def test_an_older_version_of_the_schema_is_still_read() -> None:
    older: dict[str, object] = {
        "type": "record",
        "name": "DocumentReference",
        "namespace": "ai.extend.kafka",
        "fields": [{"name": "url", "type": ["null", "string"], "default": None}],
    }
    both = ReferenceDecoder(Codec(load_schema("document_reference"), also_reads=[older]))
    assert both.decode(Codec(older).encode({"url": U})) == decoded({"url": U})


@pytest.mark.parametrize(
    ("value", "reason", "path", "said"),
    [
        (b"", Reason.UNDECODABLE, "", "no valid JSON"),
        (b"\xff\xfe", Reason.UNDECODABLE, "", "no UTF-8"),
        (b'{"url": "\xff"}', Reason.UNDECODABLE, "", "at byte 9"),
        ('{"url": 1}'.encode("utf-16"), Reason.UNDECODABLE, "", "no UTF-8"),
        (b'{"url": ', Reason.UNDECODABLE, "", "no valid JSON"),
        (b'{"url": "a", "url": "b"}', Reason.UNDECODABLE, "", "twice"),
        (b'{"priority": NaN}', Reason.UNDECODABLE, "", "NaN"),
        (b'{"priority": 99999999999999999999}', Reason.UNDECODABLE, "", "64 bits"),
        (b"[" * 100_000, Reason.UNDECODABLE, "", "deeper"),
        (b"{}" + b" " * 8 * 1024 * 1024, Reason.TOO_LARGE, "", "8388608 are allowed"),
        (b"\x00\x00\x00\x00\x07body", Reason.UNKNOWN_SCHEMA, "", "schema_registry.url is not configured"),
        (MARKER, Reason.UNDECODABLE, "", "2 bytes"),
        (MARKER + b"12345678body", Reason.UNKNOWN_SCHEMA, "", "3132333435363738"),
        (reference_codec.encode({"url": U})[:-3], Reason.UNDECODABLE, "", "cut short"),
        (reference_codec.encode({"url": U, "config": "{"}), Reason.BAD_FIELD, "config", "no valid JSON"),
        (reference_codec.encode({"url": U, "config": "[]"}), Reason.BAD_FIELD, "config", "an object belongs here"),
        (reference_codec.encode({"url": U, "create": "7"}), Reason.BAD_FIELD, "create", "not a number"),
        (reference_codec.encode({"url": U, "metadata_json": "x"}), Reason.BAD_FIELD, "metadata_json", "no valid"),
        (
            reference_codec.encode({"url": U, "metadata_json": "{}", "metadata": {}}),
            Reason.BAD_FIELD,
            "metadata_json",
            "exclude",
        ),
        (b"[1]", Reason.NOT_AN_OBJECT, "", "not an array"),
        (b"7", Reason.NOT_AN_OBJECT, "", "not a number"),
        (b'"url"', Reason.NOT_AN_OBJECT, "", "not a text"),
        (b"true", Reason.NOT_AN_OBJECT, "", "not a boolean"),
        (b"null", Reason.NOT_AN_OBJECT, "", "not null"),
    ],
)
def test_bytes_that_are_no_reference_have_a_reason(value: bytes, reason: Reason, path: str, said: str) -> None:
    error = rejected(value)
    assert (error.reason, error.path) == (reason, path)
    assert said in str(error)


@pytest.mark.parametrize(
    ("value", "reason", "path", "said"),
    [
        ({"url": U, "file_id": "f"}, Reason.SEVERAL_FILES, "file_id", "url and file_id"),
        ({"text": "a", "files": []}, Reason.SEVERAL_FILES, "files", "text and files"),
        ({"name": "a.pdf"}, Reason.NO_FILE, "name", "no url"),
        ({"password": "p"}, Reason.NO_FILE, "password", "no url"),
        ({"url": 7}, Reason.BAD_FIELD, "url", "a text belongs here, not a number"),
        ({"url": " "}, Reason.BAD_FIELD, "url", "blank"),
        ({"url": "file:///a"}, Reason.URL_NOT_ALLOWED, "url", "http"),
        ({"file_id": ""}, Reason.BAD_FIELD, "file_id", "blank"),
        ({"file_id": "a\nb"}, Reason.BAD_FIELD, "file_id", "control"),
        ({"text": "\n"}, Reason.BAD_FIELD, "text", "blank"),
        ({"text": ["a"]}, Reason.BAD_FIELD, "text", "not an array"),
        ({"file_id": "f", "password": "p"}, Reason.BAD_FIELD, "password", "url"),
        ({"text": "t", "password": "p"}, Reason.BAD_FIELD, "password", "url"),
        ({"url": U, "password": ""}, Reason.BAD_FIELD, "password", "blank"),
        ({"url": U, "name": "\x1b[31m"}, Reason.BAD_FIELD, "name", "control"),
        ({"url": U, "name": "a" * 513}, Reason.BAD_FIELD, "name", "512 are allowed"),
        ({"files": {}}, Reason.BAD_FIELD, "files", "an array belongs here, not an object"),
        ({"files": []}, Reason.BAD_FIELD, "files", "1 to 50 files, not 0"),
        ({"files": [{"url": U}] * 51}, Reason.BAD_FIELD, "files", "not 51"),
        ({"files": ["a"]}, Reason.BAD_FIELD, "files[0]", "not a text"),
        ({"files": [{"url": U}, {}]}, Reason.NO_FILE, "files[1]", "neither"),
        ({"files": [{"url": U, "file_id": "f"}]}, Reason.SEVERAL_FILES, "files[0]", "exclude"),
        ({"files": [{"text": "t"}]}, Reason.FILE_FORM, "files[0].text", "no texts"),
        ({"files": [{"url": "ftp://a/b"}]}, Reason.URL_NOT_ALLOWED, "files[0].url", "http"),
        ({"files": [{"file_id": "f", "password": "p"}]}, Reason.BAD_FIELD, "files[0].password", "url"),
        ({"files": [{"uri": U}]}, Reason.UNKNOWN_FIELD, "files[0].uri", "did you mean url?"),
        ({"files": [{"url": U}], "name": "a"}, Reason.BAD_FIELD, "name", "files[].name"),
        ({"url": U, "run": "extrakt"}, Reason.UNKNOWN_RUN_TYPE, "run", "extract, classify"),
        ({"url": U, "run": 1}, Reason.BAD_FIELD, "run", "not a number"),
        ({"url": U, "processor": ""}, Reason.BAD_FIELD, "processor", "blank"),
        ({"url": U, "processor": {"id": "e"}}, Reason.BAD_FIELD, "processor", "not an object"),
        ({"url": U, "version": 2.1}, Reason.BAD_FIELD, "version", "a text belongs here"),
        ({"url": U, "config": 5}, Reason.BAD_FIELD, "config", "an object belongs here, not a number"),
        ({"url": U, "config": []}, Reason.BAD_FIELD, "config", "not an array"),
        ({"url": U, "priority": 0}, Reason.BAD_FIELD, "priority", "1 to 100"),
        ({"url": U, "priority": 101}, Reason.BAD_FIELD, "priority", "1 to 100"),
        ({"url": U, "priority": 1.0}, Reason.BAD_FIELD, "priority", "whole number"),
        ({"url": U, "priority": True}, Reason.BAD_FIELD, "priority", "not a boolean"),
        ({"url": U, "metadata": "a"}, Reason.BAD_FIELD, "metadata", "not a text"),
        (
            {"url": U, "metadata": {"kafka_connector": 1}},
            Reason.METADATA_RESERVED,
            "metadata.kafka_connector",
            "connector's own",
        ),
        ({"url": U, "document_id": 7}, Reason.BAD_FIELD, "document_id", "not a number"),
        ({"url": U, "secrets": []}, Reason.BAD_FIELD, "secrets", "an object"),
        ({"url": U, "outputs": {}}, Reason.BAD_FIELD, "outputs", "an array"),
        ({"url": U, "create": {"outputs": 1}}, Reason.BAD_FIELD, "create.outputs", "an array"),
        ({"url": U, "create": {"secret": {}}}, Reason.UNKNOWN_FIELD, "create.secret", "did you mean secrets?"),
        ({"url": U, "secrets": {}, "create": {"secrets": {}}}, Reason.BAD_FIELD, "create.secrets", "twice"),
        ({"url": U, "priorty": 1}, Reason.UNKNOWN_FIELD, "priorty", "did you mean priority?"),
        ({"url": U, "Version": "1"}, Reason.UNKNOWN_FIELD, "Version", "did you mean version?"),
        ({"file": {"url": U}}, Reason.UNKNOWN_FIELD, "file", "did you mean url?"),
        ({"url": U, "extractor": {"id": "e"}}, Reason.UNKNOWN_FIELD, "extractor", "did you mean processor?"),
        ({"url": U, "templateId": "e"}, Reason.UNKNOWN_FIELD, "templateId", "did you mean processor?"),
        ({"url": U, "overrideConfig": {}}, Reason.UNKNOWN_FIELD, "overrideConfig", "did you mean config?"),
        ({"url": U, "zzz": 1}, Reason.UNKNOWN_FIELD, "zzz", "there are url, file_id"),
        ({"url": U, "\x1b" + "k" * 100: 1}, Reason.UNKNOWN_FIELD, "?" + "k" * 63, "no such field"),
    ],
)
def test_a_mistake_in_a_field_names_its_path(value: Mapping[str, object], reason: Reason, path: str, said: str) -> None:
    error = rejected(value)
    assert (error.reason, error.path) == (reason, path)
    assert said in str(error)


@pytest.mark.parametrize("name", ["Screenshot 9.41.00\u202fAM.png", "請求書\u3000一.pdf", "👩\u200d⚕️.pdf", "a\u00a0b"])
def test_a_file_name_may_hold_any_character_that_file_systems_hold(name: str) -> None:
    assert decoded({"url": U, "name": name}).file == File("url", U, name, path="url")


CANARY = "canary-9b1f"


@pytest.mark.parametrize(
    "name", ["url", "file_id", "name", "run", "version", "config", "priority", "metadata", "files"]
)
def test_no_value_of_a_field_is_ever_shown(name: str) -> None:
    error = rejected({"text": "t", "password": CANARY, name: f"{CANARY}\n"})
    assert CANARY not in str(error)


def test_neither_document_nor_password_nor_metadata_show_in_a_repr() -> None:
    shown = repr(decoded({"url": f"https://e.com/{CANARY}", "password": CANARY, "metadata": {CANARY: 1}}))
    assert CANARY not in shown
    assert CANARY not in repr(decoded({"text": CANARY, "name": CANARY, "config": {CANARY: 1}}))


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda body: MARKER + reference_codec.fingerprint + body))
def test_no_bytes_raise_anything_but_a_rejection(value: bytes) -> None:
    assert refusal(value) in {None, *Reason}


_names = st.sampled_from([*NAMES, "other"])
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([U, *RUN_TYPES]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names | st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(_names, _values, max_size=6))
def test_no_json_object_raises_anything_but_a_rejection(value: dict[str, object]) -> None:
    assert refusal(json.dumps(value).encode()) in {None, *Reason}


_label = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=20)


@given(
    text=st.text(min_size=1).filter(str.strip),
    document_id=st.none() | _label,
    priority=st.none() | st.integers(1, 100),
    metadata=st.none() | st.dictionaries(_label, st.text(), max_size=5),
)
def test_a_reference_survives_both_notations(
    text: str, document_id: str | None, priority: int | None, metadata: dict[str, str] | None
) -> None:
    fields = {"text": text, "document_id": document_id, "priority": priority, "metadata": metadata}
    reference = decoded(fields)
    assert reference == decoder.decode(reference_codec.encode(fields))
    assert reference.file == File("text", text, path="text")
    assert (reference.document_id, reference.priority, reference.metadata) == (document_id, priority, metadata or {})
