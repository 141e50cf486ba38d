"""What a verified webhook says: which run to look at, and whose document it belongs to.

Nothing of it is believed beyond that. Whoever owns the document asks the API; so an event that is late, doubled or out
of order costs a request at most, and the address in a payload that comes by address is never fetched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from connector.core.formats.strict_json import NotJson, parse_json
from connector.core.run_types import RUN_TYPES, RunType
from connector.core.signals.signal import Doorbell
from connector.core.tag import METADATA_KEY, Tag, marked_tag

MAX_BODY_BYTES = 1024 * 1024
"""Larger events come by address: ``advancedOptions.payload`` of the endpoint."""
MAX_TEXT_CHARS = 255
MAX_TAG_CHARS = 1024

_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
# A step does not end its workflow, and carries neither the run's metadata nor its state.
_NO_USE = frozenset({"workflow_run.step_run.processed"})
EVENTS: Mapping[str, RunType] = {
    event: run_type for run_type in RUN_TYPES.values() for event in run_type.events if event not in _NO_USE
}
"""Events that ring, with the type of their run. Every other one is ignored: steps of workflows, batches (they name no
runs), form detection, changes of processors and workflows, and what Extend adds later."""


class Dropped(StrEnum):
    """Why an event rings nowhere; a metric's label."""

    IGNORED = "ignored"
    """The table does not use it."""
    FOREIGN = "foreign"
    """Its run is not one of this connector's."""


class NotAnEvent(ValueError):  # noqa: N818 - it names what the body is not
    """A signed body that is no event. The message shows keys at most, never values."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event, as far as it is of use.

    Attributes:
        id: the event's; the same when it is delivered again.
        type: ``extract_run.processed``.
        payload: the run, a part of it, or where it can be fetched.
    """

    id: str
    type: str
    payload: Mapping[str, object]


def read_event(body: bytes) -> Event:
    """The event in a verified body.

    Raises:
        NotAnEvent: it is no strict JSON in UTF-8, or no envelope with an id, a type and a payload.
    """
    try:
        fields = parse_json(body.decode())
    except UnicodeDecodeError:
        raise NotAnEvent("no UTF-8") from None
    except NotJson as error:
        raise NotAnEvent(str(error)) from None
    if not isinstance(fields, dict):
        raise NotAnEvent("no object")
    payload = fields.get("payload")
    if not isinstance(payload, dict):
        raise NotAnEvent("payload is no object")
    return Event(_name(fields, "eventId"), _name(fields, "eventType"), payload)


def doorbell_of(event: Event, name: str) -> Doorbell | Dropped:
    """Whom to ring, or why nobody.

    Args:
        event: the event.
        name: this connector's name; other connectors and other programs share the account.
    """
    run_type = EVENTS.get(event.type)
    if run_type is None:
        return Dropped.IGNORED
    run_id = event.payload.get("id")
    tag = _tag_of(event.payload, run_type, name)
    if tag is None or tag.name != name or not isinstance(run_id, str) or _ID.fullmatch(run_id) is None:
        return Dropped.FOREIGN
    return Doorbell(tag, run_id)


def _tag_of(payload: Mapping[str, object], run_type: RunType, name: str) -> Tag | None:
    text = _object(_object(payload.get("metadata")).get(METADATA_KEY)).get("tag")
    if isinstance(text, str):
        return Tag.parse(text) if len(text) <= MAX_TAG_CHARS else None
    if run_type.metadata:
        return None
    # The mark in a file name holds no connector's name. Another's is found out by whoever knows no such document.
    file_name = _object(payload.get("file")).get("name")
    return marked_tag(name, file_name) if isinstance(file_name, str) else None


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _name(fields: Mapping[str, object], key: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT_CHARS or not value.isprintable():
        raise NotAnEvent(f"{key} is no short text")
    return value
