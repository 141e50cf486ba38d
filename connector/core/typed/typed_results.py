"""The results of a typed route: the envelope of every result, and beside it the output as a record.

The schema is ``run_result`` with one more field, ``value``, under a full name of the route's own. It is made once, by
``schemas generate``, and comes from a file from then on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, cast

import msgspec

from connector.core.formats.framing import Codec
from connector.core.formats.schema_limits import Schema, SchemaRefused
from connector.core.formats.strict_json import NotJson, parse_json
from connector.core.typed.avro_record import avro_name, record_of
from connector.core.typed.conversion import NotConverted, Rest, conversion_of
from connector.core.typed.json_schema import Group

NAMESPACE = "ai.extend.kafka"
VALUE = "value"

Fit = Literal["whole", "part", "none"]
"""``whole``: the value holds everything that the output says; ``part``: the output says more; ``none``: the output does
not fit the schema."""

MOST_JSON = 4
"""A value's JSON is converted up to so many times what the record may take: names and digits take less in Avro, but
hardly ever a quarter, and converting in vain holds up everything else."""

_AGAIN = "`extend-connector schemas generate` makes it again"


@dataclass(frozen=True, slots=True)
class TypedOutput:
    """What became of an output.

    Attributes:
        value: the record, or None where the output does not fit.
        fit: how much of the output the value holds.
        error: why there is no value; names the field, never what it holds.
        problem: the same for logs: nothing in it is the document's, not even the name of a field.
    """

    value: object = None
    fit: Fit = "none"
    error: str | None = None
    problem: str | None = None


def typed_schema(envelope: Schema, route: str, value: Group) -> dict[str, object]:
    """The schema of a route's results.

    Args:
        envelope: ``run_result``, whose inner records stay what they are for every reader.
        route: the route's name; it makes the full names of the result and of its value.
        value: what the output holds.

    Raises:
        SchemaRefused: it would be too large or too deep for readers.
    """
    field = {
        "name": VALUE,
        "type": ["null", record_of(value, "Value")],
        "default": None,
        "doc": "What the run found, as a record. Null where there is no output, or where it does not fit (value_error "
        "says why, and output holds it).",
    }
    fields = [_with_namespace(each) for each in _fields(envelope)]
    schema = {**envelope, "namespace": f"{NAMESPACE}.routes.{avro_name(route)}", "fields": [*fields, field]}
    Codec(schema)
    return schema


def envelope_of(schema: Schema) -> Schema:
    """A typed schema without its value: an envelope that it certainly has."""
    return {**schema, "fields": [each for each in _fields(schema) if each.get("name") != VALUE]}


def without_values(schema: Schema) -> Schema:
    """A typed schema whose value has no fields: what the first version is compared with."""
    fields = [
        {**each, "type": ["null", {"type": "record", "name": "Value", "fields": []}]} if each["name"] == VALUE else each
        for each in _fields(schema)
    ]
    return {**schema, "fields": fields}


class TypedResults:
    """Makes the values of one typed route, and reads them back.

    Attributes:
        schema: of the whole result.
        codec: writes and reads results in single-object encoding.
    """

    def __init__(self, schema: Schema, envelope: Schema, run_type: str) -> None:
        """Check a schema that ``typed_schema`` has made.

        Args:
            schema: as it was committed.
            envelope: today's ``run_result``.
            run_type: of the route.

        Raises:
            SchemaRefused: with the way out: it is no schema of results, or an older envelope.
        """
        fields = _fields(schema)
        # What is no valid Avro has no names to be looked up.
        self.codec = Codec(schema)
        value = _by_name(fields).get(VALUE)
        if value is None or schema.get("name") != envelope.get("name"):
            raise SchemaRefused(f"It is no schema of typed results; {_AGAIN}.")
        wanted = _by_name(_undocumented(_with_namespace(each)) for each in _fields(envelope))
        given = _by_name(_undocumented(each) for each in fields if each is not value)
        if wanted != given:
            changed = sorted(name for name in {*wanted, *given} if wanted.get(name) != given.get(name))
            raise SchemaRefused(f"Its envelope is another version's ({', '.join(changed)}); {_AGAIN}.")
        self._convert, self._restore = conversion_of(value["type"])
        self._run_type = run_type
        self.schema = schema

    def typed(self, run_type: str, output: bytes | None, max_bytes: int | None = None) -> TypedOutput | None:
        """The value of a run's output, or None where there is nothing to say about it. Never raises.

        Args:
            run_type: of the run.
            output: the API's own JSON text.
            max_bytes: what the topic takes; None: the value is made however large it is.
        """
        if output is None:
            return None
        if run_type != self._run_type:
            return _left_out(f"the reference asked for its own {run_type} run")
        rest, most = Rest(), None if max_bytes is None else MOST_JSON * max_bytes
        try:
            value = self._convert(self._json(output, rest, most), rest)
        except NotConverted as error:
            path = f" at {error.misfit.path}" if error.misfit.path else ""
            return _left_out(f"the output does not fit the route's schema{path}: {error.misfit.complaint}")
        except _TooLarge:
            return _left_out(f"its JSON is more than {MOST_JSON} times what the topic takes")
        except UnicodeDecodeError:
            return TypedOutput()
        except NotJson as error:
            return _left_out("the output is unusual JSON", f": {error}")
        except Exception as error:  # noqa: BLE001 - the run is paid for: its result arrives, whatever is in it
            return _left_out(f"the output cannot be converted ({type(error).__name__})")
        return TypedOutput(value, "part" if rest.found else "whole")

    def restore(self, value: object) -> object:
        """The value as the JSON was that it was made from, with null for what was missing."""
        return self._restore(value)

    def _json(self, output: bytes, rest: Rest, most: int | None) -> object:
        """What the value is made of: the whole output, of an extract run its ``value``."""
        value = _extracted(output, rest, most) if self._run_type == "extract" else _parsed(output, most)
        if value is None:
            raise NotConverted("there is no value")
        return value


class _TooLarge(Exception):  # noqa: N818 - it names what the value is
    pass


_parts = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _extracted(output: bytes, rest: Rest, most: int | None) -> object:
    try:
        parts = _parts.decode(output.decode())
    except (msgspec.DecodeError, RecursionError):
        # The strict parser says what is wrong with it, or that it is no object.
        parts = {}
    if len(parts) > 1:
        # What stands beside the value is large, goes into the record as a text, and need not be looked at.
        rest.found = True
        return _parsed(bytes(parts.get(VALUE, b"null")), most)
    # One key, and the strict parser alone sees whether it stands twice.
    whole = _parsed(output, most)
    if not isinstance(whole, dict):
        return None
    rest.found = len(whole) > 1
    return whole.get(VALUE)


def _parsed(json: bytes, most: int | None) -> object:
    if most is not None and len(json) > most:
        raise _TooLarge
    return parse_json(json.decode(), exact=True)


def _left_out(why: str, named: str = "") -> TypedOutput:
    """No value.

    Args:
        why: the reason.
        named: more about it, with what the document itself says.
    """
    problem = f"The value is left out: {why}"
    return TypedOutput(error=f"{problem}{named}.", problem=f"{problem}.")


def _fields(schema: Schema) -> list[Mapping[str, object]]:
    fields = schema.get("fields")
    if not isinstance(fields, list) or not all(isinstance(each, Mapping) for each in fields):
        raise SchemaRefused(f"It is no schema of typed results; {_AGAIN}.")
    return cast("list[Mapping[str, object]]", fields)


def _by_name(fields: Iterable[Mapping[str, object]]) -> dict[str, Mapping[str, object]]:
    return {str(each["name"]): each for each in fields}


def _undocumented(node: Mapping[str, object]) -> Mapping[str, object]:
    return cast("Mapping[str, object]", _without_docs(node))


def _without_docs(node: object) -> object:
    if isinstance(node, list):
        return [_without_docs(each) for each in node]
    if not isinstance(node, Mapping):
        return node
    return {key: each if key == "default" else _without_docs(each) for key, each in node.items() if key != "doc"}


def _with_namespace(node: Mapping[str, object]) -> Mapping[str, object]:
    """A field whose records keep their full names when the record around them gets another."""
    return cast("Mapping[str, object]", _named(node))


def _named(node: object) -> object:
    if isinstance(node, list):
        return [_named(each) for each in node]
    if not isinstance(node, Mapping):
        return node
    inner = {key: _named(each) if key in {"type", "items", "fields"} else each for key, each in node.items()}
    return {"namespace": NAMESPACE, **inner} if node.get("type") == "record" else inner
