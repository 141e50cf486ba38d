"""From somebody's own record to a reference: which of its fields is which of ours.

A mapping is compiled when the configuration is read; a record costs one walk for each mapped field. Only what is mapped
is read, so nothing else of a record can reach a request. What comes out is checked as any reference is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from connector.core.accept.field_reader import reject
from connector.core.accept.path import NotationError, parse_path
from connector.core.accept.reference import API_NAMES, EXTRA_FIELDS, FIELDS, FILE_FIELDS, Reference, reference_of
from connector.core.accept.source import Constant, Given, Source, parse_notation
from connector.core.errors import RecordRejected
from connector.core.reasons import Reason
from connector.core.tag import METADATA_KEY

GROUPS: Mapping[str, str] = {"metadata": "metadata.<key>", "create": "create.<name>"}
"""Fields of a reference that hold others, and how one of those is written."""

_NUMBERS_AS_TEXT = frozenset({"file_id", "name", "processor", "version", "document_id"})
_SECRET = frozenset({"password", "create.secrets"})

_SAMPLES: Mapping[str, object] = {
    "url": "https://example.com/a",
    "files": [{"url": "https://example.com/a"}, {"url": "https://example.com/b"}],
    "config": {},
    "priority": 1,
    "metadata": {},
}


@dataclass(frozen=True, slots=True)
class Assignment:
    """One field of the reference and where it comes from.

    Attributes:
        group: ``metadata`` or ``create`` for a field inside of it, else None.
        name: the field, without its group.
        source: where it comes from.
        required: a record without it becomes a dead letter.
    """

    group: str | None
    name: str
    source: Source
    required: bool = True

    @property
    def target(self) -> str:
        """The field's path in the reference."""
        return f"{self.group}.{self.name}" if self.group else self.name

    def place(self, path: str) -> str | None:
        """What errors call a place in the reference that this one fills; None when it fills another."""
        for own in {self.target, self.name if self.group == "create" else self.target}:
            if path == own or path.startswith((f"{own}.", f"{own}[")):
                return f"{path} from {self.source}"
        return None


@dataclass(frozen=True, slots=True)
class FieldMapping:
    """A route's mapping.

    Attributes:
        assignments: what is filled, in the order of the configuration.
    """

    assignments: tuple[Assignment, ...]

    def reference(self, given: Given) -> Reference:
        """The reference that a record asks for.

        Raises:
            RecordRejected: a field is not there, or is not what it has to be.
        """
        found: dict[str, object] = {}
        groups: dict[str, dict[str, object]] = {}
        for each in self.assignments:
            value = each.source.read(given)
            if value is None:
                if each.required:
                    reject(Reason.PATH_NOT_FOUND, each.source.absence(given), path=each.target)
            elif each.group is None:
                found[each.name] = _fitting(each.name, value)
            else:
                groups.setdefault(each.group, {})[each.name] = value
        return reference_of(found | groups)

    def sample(self) -> Reference:
        """The reference of a record in which every mapped field is right, for what is wrong with the mapping itself.

        Raises:
            RecordRejected: no record can be right: fields that exclude each other, or a constant that is no good.
        """
        found: dict[str, object] = {}
        groups: dict[str, dict[str, object]] = {}
        for each in self.assignments:
            constant = each.source.value if isinstance(each.source, Constant) else None
            if each.group is None:
                found[each.name] = _SAMPLES.get(each.name, "sample") if constant is None else constant
            else:
                kind: Callable[[], object] = EXTRA_FIELDS.get(each.name, str) if each.group == "create" else str
                groups.setdefault(each.group, {})[each.name] = kind() if constant is None else constant
        if not any(isinstance(each.source, Constant) for each in self.assignments if each.name == "run"):
            found.pop("run", None)
        return reference_of(found | groups)

    def assigns(self, target: str) -> bool:
        """Whether a field of the reference is filled."""
        return any(each.target == target for each in self.assignments)

    def located(self, error: RecordRejected) -> RecordRejected:
        """The error with the place in the record beside the field of the reference."""
        for each in self.assignments:
            place = each.place(error.path)
            if place is not None:
                return error.at(place)
        return error


def assignment_of(target: str, notation: object) -> Assignment:
    """One mapped field.

    Args:
        target: a field of the reference, ``metadata.<key>`` or ``create.<name>``.
        notation: where it comes from, as ``parse_notation`` takes it.

    Raises:
        NotationError: there is no such field, or one of the two is not written as it has to be.
        UnknownTarget: there is no such field.
    """
    group, name = _target(target)
    source, required = parse_notation(notation)
    whole = f"{group}.{name}" if group else name
    if not required and whole in FILE_FIELDS:
        raise NotationError("names the document and has to be there: leave the question mark out")
    if isinstance(source, Constant) and whole in _SECRET:
        raise NotationError("is a secret and may not be a constant here: this file is shown and mailed")
    return Assignment(group, name, source, required)


def mapping_of(written: Mapping[str, object]) -> FieldMapping:
    """The mapping of a route.

    Args:
        written: by target, each with its source.

    Raises:
        NotationError: as of ``assignment_of``.
    """
    return FieldMapping(tuple(assignment_of(target, notation) for target, notation in written.items()))


class UnknownTarget(NotationError):  # noqa: N818 - it names what the text is
    """No field of a reference is called so.

    Attributes:
        known: what there is at this place.
        renamed: the field's name here, where the text is the API's name of one.
    """

    def __init__(self, known: tuple[str, ...], renamed: str | None = None) -> None:
        self.known = known
        self.renamed = renamed
        super().__init__("is no field of a reference")


def _target(text: str) -> tuple[str | None, str]:
    head, dot, _ = text.partition(".")
    if head not in GROUPS or (not dot and head in FIELDS):
        if text not in FIELDS:
            raise UnknownTarget((*FIELDS, *GROUPS.values()), API_NAMES.get(text))
        return None, text
    steps = parse_path(text).steps
    if len(steps) != 2 or not isinstance(steps[1], str):
        raise NotationError(f"must be {GROUPS[head]}, and a key with dots in it stands in backticks")
    name = steps[1]
    if head == "create" and name not in EXTRA_FIELDS:
        raise UnknownTarget(tuple(f"create.{each}" for each in EXTRA_FIELDS))
    if head == "metadata" and name == METADATA_KEY:
        raise NotationError("is the connector's own key: the tag stands there")
    return head, name


def _fitting(name: str, value: object) -> object:
    """A value as the field takes it: ids are numbers in many records, and headers are always texts."""
    if name in _NUMBERS_AS_TEXT and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if name == "priority" and isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 3:
        return int(value)
    return value
