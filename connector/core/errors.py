"""Every error of the connector. A class exists because somebody reacts to it differently.

    ConnectorError
    ├── ConfigurationError     a person mends it: exit 2, all problems listed, no stack trace
    ├── TopicError             topics or rights are not as they must be: one sentence, exit 1 or 2
    ├── RecordRejected         this input can never become a run: dead letter, go on
    ├── SchemaAwaited          this input's schema is not known yet: its partition waits until it is
    ├── JournalError           a journal partition cannot be read safely: that partition stops, alert
    ├── OwnershipLost          the partition is not ours any more: drop the work, its new owner goes on
    ├── RegistryError          the schema registry did not do what was asked
    │   ├── RegistryUnavailable  nobody answered, or not in time, or not sensibly: ask again later
    │   ├── SchemaNotFound     the registry says that it has no schema with this id
    │   └── RegistryRefused    no rights, not compatible, not valid: a person mends it
    │       └── SchemaUnusable   the registry has the schema, and the connector does not read with it
    └── ApiError               the API did not do what was asked
        ├── ApiUnavailable     nobody answered, or not in time, or not sensibly: a GET may be repeated
        │   ├── NotSent        certain: the request never reached the API
        │   └── ApiUnreadable  a whole answer came and it says nothing: too large, too deep, not JSON, no id
        ├── ApiThrottled       429: certain refusal; carries how long to wait
        ├── ApiRefused         a 4xx with the API's own error body: certain, repeating is useless
        │   ├── ApiForbidden   401, 402, 403, USAGE_BLOCKED: true for every request, not for this one
        │   └── ApiNotFound    404: the thing does not exist
        └── PollingTimeoutError  max_wait_ms is over; the run goes on, its id is in the error

Messages go to logs and headers: they name fields, paths, topics and codes, never values of a document.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class ConnectorError(Exception):
    """Base of all errors that the connector raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a configuration: where, what, and the way out.

    Attributes:
        path: dotted key, e.g. ``start.max_in_flight``; empty when the whole file is meant.
        message: a sentence without the value of any secret.
        line: 1-based line in the file, or None when the value came from elsewhere.
        source: the file or the environment variable that it came from.
    """

    path: str
    message: str
    line: int | None = None
    source: str = ""

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}" if self.source and self.line else self.source
        return ": ".join(part for part in (place, self.path, self.message) if part)


class ConfigurationError(ConnectorError):
    """The configuration has problems; all of them are listed at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class TopicError(ConnectorError):
    """Topics, rights or brokers are not as the connector needs them; the message names the way out."""

    def __init__(self, messages: Sequence[str]) -> None:
        self.messages = tuple(messages)
        super().__init__("\n".join(self.messages))


class RecordRejected(ConnectorError):  # noqa: N818 - it names what happens to the record
    """This input record can never become a run.

    Attributes:
        reason: a code of a closed set in upper case, e.g. ``NO_FILE`` (header ``extend.reason``, metric label).
        path: dotted path of the field at fault, or empty.
        complaint: the message without the path.
        stage: ``decode``, ``route``, ``request``, ``journal`` or ``start``.
        api_code: the API's error code when the API refused it.
        request_id: the API's request id when the API refused it.
        route: name of the route that took the record; None when none did, or it is not known yet.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        path: str = "",
        stage: str = "decode",
        api_code: str | None = None,
        request_id: str | None = None,
        route: str | None = None,
    ) -> None:
        self.reason = reason
        self.path = path
        self.stage = stage
        self.api_code = api_code
        self.request_id = request_id
        self.route = route
        self.complaint = message
        super().__init__(f"{path}: {message}" if path else message)

    def at(self, path: str) -> RecordRejected:
        """The same, with another name for the field at fault."""
        return RecordRejected(
            self.reason,
            self.complaint,
            path=path,
            stage=self.stage,
            api_code=self.api_code,
            request_id=self.request_id,
            route=self.route,
        )


class SchemaAwaited(ConnectorError):  # noqa: N818 - it names what the record does
    """A record cannot be decoded before the schema registry has told its schema.

    Attributes:
        schema_id: the registry's id of it.
    """

    def __init__(self, schema_id: int) -> None:
        self.schema_id = schema_id
        super().__init__(f"the schema registry has not been asked for schema {schema_id} yet")


class JournalError(ConnectorError):
    """A journal record is damaged, or written by a newer version: its partition must not go on."""


class OwnershipLost(ConnectorError):  # noqa: N818 - it names what happened
    """A write was dropped because its partition, or that assignment of it, is not ours any more."""


class RegistryError(ConnectorError):
    """The schema registry did not do what was asked; the message names its address, and the subject or id.

    Attributes:
        status: HTTP status, or None when there was no answer.
        code: the registry's own error code (40403), or None.
    """

    def __init__(self, message: str, *, status: int | None = None, code: int | None = None) -> None:
        self.status = status
        self.code = code
        super().__init__(message)


class RegistryUnavailable(RegistryError):  # noqa: N818
    """Nobody answered, or too late, or not in the registry's language (5xx, 3xx, 429, HTML, torn bodies)."""


class SchemaNotFound(RegistryError):  # noqa: N818
    """The registry itself says that it has no schema with this id."""


class RegistryRefused(RegistryError):  # noqa: N818
    """401, 403, 409, 422 and the like: the same request will be refused again until a person changes something."""


class SchemaUnusable(RegistryRefused):
    """The registry has the schema, and the connector does not use it: too large, no Avro, or made of several."""


class ApiError(ConnectorError):
    """The API did not do what was asked.

    Attributes:
        status: HTTP status, or None when there was no answer.
        code: the API's error code (``INVALID_REQUEST``), or None.
        retryable: whether the same *read* may succeed later. It never means that a create may be repeated.
        request_id: the API's ``requestId``, for its support.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        retryable: bool = False,
        request_id: str | None = None,
    ) -> None:
        self.status = status
        self.code = code
        self.retryable = retryable
        self.request_id = request_id
        super().__init__(message)


class ApiUnavailable(ApiError):  # noqa: N818
    """Nobody answered, or too late, or not in the API's language (5xx, 408, 409, 3xx, HTML, torn bodies).

    Attributes:
        retry_after: seconds that the API asked to wait (503 may carry it), or None.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        retryable: bool = False,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.retry_after = retry_after
        super().__init__(message, status=status, code=code, retryable=retryable, request_id=request_id)


class NotSent(ApiUnavailable):
    """Certain: the request was never completely written, so nothing can have been created."""


class ApiUnreadable(ApiUnavailable):
    """A whole 2xx answer arrived and cannot be used. After a create it is as unclear as no answer.

    Attributes:
        reason: ``TOO_LARGE``, ``TOO_DEEP``, ``NOT_JSON``, ``NO_ID``, ``OTHER_ID``, ``ENCODED`` or
            ``ENDLESS_LIST``.
    """

    def __init__(self, message: str, *, reason: str, status: int | None = None) -> None:
        self.reason = reason
        # A proxy's page or a torn body may be gone at the next read; a large answer stays large.
        super().__init__(message, status=status, retryable=reason in {"NOT_JSON", "NO_ID", "OTHER_ID"})


class ApiThrottled(ApiError):  # noqa: N818
    """429. Certain: nothing was created.

    Attributes:
        retry_after: seconds that the API asked to wait, or None when it did not say.
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None,
        code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        self.retry_after = retry_after
        super().__init__(message, status=429, code=code, retryable=True, request_id=request_id)


class ApiRefused(ApiError):  # noqa: N818
    """A 4xx with the API's own error body: certain, and the same request will be refused again."""


class ApiForbidden(ApiRefused):
    """401, 402, 403 or USAGE_BLOCKED: the key or the account is at fault, not this request."""


class ApiNotFound(ApiRefused):
    """404 with the API's own error body: the run does not exist for this key."""


class PollingTimeoutError(ApiError):
    """``max_wait_ms`` is over and the run has not ended. It goes on at the API.

    Attributes:
        run_id: the run, to be read later.
        elapsed_ms: how long it was followed.
        max_wait_ms: the limit.
    """

    def __init__(self, run_id: str, elapsed_ms: float, max_wait_ms: float) -> None:
        self.run_id = run_id
        self.elapsed_ms = elapsed_ms
        self.max_wait_ms = max_wait_ms
        super().__init__(
            f"Run {run_id} has not ended after {elapsed_ms:.0f} ms (max_wait_ms is {max_wait_ms:.0f}); "
            "it goes on at the API and can be read by its id.",
        )
