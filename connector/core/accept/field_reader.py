"""Reading the fields of a strange object: typed, named by their path, and never shown in an error."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import NoReturn, cast

from connector.core.errors import RecordRejected
from connector.core.formats.strict_json import shown_name
from connector.core.reasons import Reason

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""What ends lines or moves cursors. ``str.isprintable`` is too strict: it refuses the narrow no-break space
that macOS puts into the names of screenshots, and the joiners inside emoji."""

MAX_LABEL = 1024
"""Characters of an id, a version or a name."""


def reject(reason: Reason, message: str, *, path: str = "", stage: str = "decode") -> NoReturn:
    """Say why this record never becomes a run.

    Raises:
        RecordRejected: always.
    """
    raise RecordRejected(reason, message, path=path, stage=stage) from None


class FieldReader:
    """The fields of one object. A field that is null counts as absent."""

    __slots__ = ("_found", "_prefix")

    def __init__(self, found: Mapping[str, object], prefix: str = "") -> None:
        """A reader.

        Args:
            found: the object.
            prefix: the object's own path, e.g. ``files[1]``.
        """
        self._found = found
        self._prefix = f"{prefix}." if prefix else ""

    def path(self, name: str) -> str:
        """The field's path from the top of the reference."""
        return f"{self._prefix}{name}"

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self._found.get(name) is not None

    def refuse_unknown(self, known: Sequence[str], renamed: Mapping[str, str]) -> None:
        """Refuse fields that are not known: a misspelt one must not buy a run without it.

        Args:
            known: the fields there are.
            renamed: names from elsewhere (the API's own) and what they are called here.

        Raises:
            RecordRejected: UNKNOWN_FIELD with the nearest known name.
        """
        for name in self._found:
            if name not in known:
                near = renamed.get(name) or nearest_name(name, known)
                hint = f"did you mean {near}?" if near else f"there are {', '.join(known)}"
                reject(Reason.UNKNOWN_FIELD, f"no such field; {hint}", path=self.path(shown_name(name)))

    def text(self, name: str) -> str | None:
        """Any text that is not blank; None when absent."""
        value = self._found.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            reject(Reason.BAD_FIELD, f"a text belongs here, not {json_type(value)}", path=self.path(name))
        if not value.strip():
            reject(Reason.BAD_FIELD, "the text is blank; leave the field out", path=self.path(name))
        return value

    def label(self, name: str, limit: int = MAX_LABEL) -> str | None:
        """A text of one line: an id, a version, a name; None when absent.

        Args:
            name: the field.
            limit: the most characters.
        """
        value = self.text(name)
        if value is None:
            return None
        if len(value) > limit:
            reject(
                Reason.BAD_FIELD,
                f"the text has {len(value)} characters; {limit} are allowed",
                path=self.path(name),
            )
        if CONTROL.search(value):
            reject(Reason.BAD_FIELD, "the text holds control characters", path=self.path(name))
        return value

    def integer(self, name: str) -> int | None:
        """A whole number; None when absent."""
        value = self._found.get(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            reject(Reason.BAD_FIELD, f"a whole number belongs here, not {json_type(value)}", path=self.path(name))
        return value

    def mapping(self, name: str) -> Mapping[str, object] | None:
        """A JSON object; None when absent."""
        value = self._found.get(name)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            reject(Reason.BAD_FIELD, f"an object belongs here, not {json_type(value)}", path=self.path(name))
        return cast("Mapping[str, object]", value)

    def sequence(self, name: str) -> Sequence[object]:
        """A JSON array; empty when absent."""
        value = self._found.get(name)
        if value is None:
            return ()
        if not isinstance(value, list):
            reject(Reason.BAD_FIELD, f"an array belongs here, not {json_type(value)}", path=self.path(name))
        return cast("Sequence[object]", value)


def json_type(value: object) -> str:
    """What JSON calls a value, with its article."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, bytes):
        return "bytes"
    return "an array" if isinstance(value, Sequence) else "a number"


def nearest_name(name: str, known: Sequence[str]) -> str | None:
    """The known name that was probably meant, or None."""
    # Only the beginning is compared: a key may be a megabyte long.
    found = difflib.get_close_matches(name[:64], known, n=1)
    return found[0] if found else None
