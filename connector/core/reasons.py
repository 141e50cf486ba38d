"""Why a record was rejected: one closed set.

The code stands in the dead letter's header ``extend.reason`` and is a metric label, so a new reason is a row
here and a row in docs/references.md (a test holds the two equal). A code, once published, never changes its
meaning.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why this input can never become a run."""

    UNDECODABLE = "UNDECODABLE"
    """The bytes are no JSON and no Avro that can be read: wrong marker, cut short, trailing bytes, bad
    UTF-8."""
    UNKNOWN_SCHEMA = "UNKNOWN_SCHEMA"
    """Avro, written with a schema that the connector does not know, or framed for a registry that is not
    configured."""
    NOT_AN_OBJECT = "NOT_AN_OBJECT"
    """JSON, but an array, a number, a text, a boolean or null where the reference's object belongs."""
    TOO_LARGE = "TOO_LARGE"
    """The reference, or what the journal would have to keep of it, is larger than allowed."""
    NO_FILE = "NO_FILE"
    """The reference names no file."""
    SEVERAL_FILES = "SEVERAL_FILES"
    """The reference names its file more than once: url, file_id, text and files exclude each other."""
    FILE_FORM = "FILE_FORM"
    """The run type does not accept a file of this form, e.g. a text for a split."""
    URL_NOT_ALLOWED = "URL_NOT_ALLOWED"
    """The URL is not a plain http or https URL without a user name."""
    UNKNOWN_FIELD = "UNKNOWN_FIELD"
    """A field that no reference has, or that this run type does not take."""
    BAD_FIELD = "BAD_FIELD"
    """A known field with a value of the wrong type or out of its range."""
    PATH_NOT_FOUND = "PATH_NOT_FOUND"
    """The route maps a field from a place of the record where there is nothing, or null."""
    UNKNOWN_RUN_TYPE = "UNKNOWN_RUN_TYPE"
    """``run`` names no run type."""
    NO_PROCESSOR = "NO_PROCESSOR"
    """The run type needs a processor (or a config), and neither the reference nor the route names one."""
    NO_ROUTE = "NO_ROUTE"
    """No route of the configuration takes this record, or the route and the reference name no run type."""
    METADATA_TOO_LARGE = "METADATA_TOO_LARGE"
    """The metadata, with the connector's own key, is over the API's 10 KB."""
    METADATA_RESERVED = "METADATA_RESERVED"
    """The metadata brings the key ``kafka_connector``, which is the connector's own."""
    REFUSED_BY_API = "REFUSED_BY_API"
    """The API refused the create for good; its code and request id are in headers of their own."""
    DROPPED = "DROPPED"
    """A person gave up a parked document; the original record is kept here."""
