"""Lists: what may be asked, one page of an answer, and the token that leads to the next."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal

import msgspec

from connector.core.run_types import RunType
from connector.simulator.refusals import invalid
from connector.simulator.rows import row
from connector.simulator.run import SimulatedRun
from connector.simulator.store import Store

DEFAULT_PAGE = 10
LARGEST_PAGE = 1000


@dataclass(frozen=True, slots=True)
class ListQuery:
    """A checked list query.

    Attributes:
        run_type: whose list.
        order: sort key.
        descending: newest first.
        status: only runs with this status, or None.
        processor: only runs of this processor, or None.
        name_contains: only runs whose file name contains this text, or None.
        batch: only runs of this batch, or None. The simulator has no batches.
        source: only runs from this source, or None.
        page_size: rows per page.
        token: the page token, or None for the first page.
    """

    run_type: RunType
    order: Literal["updatedAt", "createdAt"] = "updatedAt"
    descending: bool = True
    status: str | None = None
    processor: str | None = None
    name_contains: str | None = None
    batch: str | None = None
    source: str | None = None
    page_size: int = DEFAULT_PAGE
    token: str | None = None

    def matches(self, run: SimulatedRun) -> bool:
        """Whether a run belongs into this list."""
        return (
            (self.status is None or run.status == self.status)
            and (self.source is None or run.source == self.source)
            and (self.name_contains is None or self.name_contains in run.file_name)
            and self.batch is None
            and (self.processor is None or self._is_of_processor(run))
        )

    def _is_of_processor(self, run: SimulatedRun) -> bool:
        reference = run.request().get(self.run_type.processor_field or "")
        return isinstance(reference, Mapping) and reference.get("id") == self.processor

    def binding(self) -> str:
        """What a token is bound to: everything but the page."""
        parts = (
            self.run_type.name,
            self.order,
            self.descending,
            self.status,
            self.processor,
            self.name_contains,
            self.batch,
            self.source,
        )
        return blake2b(repr(parts).encode(), digest_size=6).hexdigest()


def parse_query(run_type: RunType, parameters: Mapping[str, str]) -> ListQuery:
    """Check a list's query parameters.

    Raises:
        Refusal: 400: a parameter that this list does not have (parse lists have no order, and no ``limit``), or a value
            that it cannot have.
    """
    known = {"status", "batchId", "source", "fileNameContains", "nextPageToken", "maxPageSize", "sourceId"}
    if run_type.name in {"edit", "workflow"}:
        known.discard("sourceId")
    if run_type.name == "edit":
        known.discard("batchId")
    if run_type.name == "workflow":
        known.discard("source")
    if run_type.sortable:
        known |= {"sortBy", "sortDir"}
    if run_type.processor_query:
        known.add(run_type.processor_query)
    for name in parameters:
        if name not in known:
            raise invalid(f"{run_type.path} has no query parameter {name!r}.")
    order = parameters.get("sortBy", "updatedAt" if run_type.sortable else "createdAt")
    direction = parameters.get("sortDir", "desc")
    if order not in {"updatedAt", "createdAt"} or direction not in {"asc", "desc"}:
        raise invalid("sortBy is updatedAt or createdAt, sortDir is asc or desc.")
    size = parameters.get("maxPageSize", str(DEFAULT_PAGE))
    if not (size.isascii() and size.isdigit() and 1 <= int(size) <= LARGEST_PAGE):
        raise invalid(f"maxPageSize is a number from 1 to {LARGEST_PAGE}.")
    return ListQuery(
        run_type=run_type,
        order="createdAt" if order == "createdAt" else "updatedAt",
        descending=direction == "desc",
        status=parameters.get("status"),
        processor=parameters.get(run_type.processor_query or ""),
        name_contains=parameters.get("fileNameContains"),
        batch=parameters.get("batchId", parameters.get("sourceId")),
        source=parameters.get("source"),
        page_size=int(size),
        token=parameters.get("nextPageToken"),
    )


def page(store: Store, query: ListQuery, now_ms: int) -> dict[str, Any]:
    """One page of a list.

    Raises:
        Refusal: 400: the token is none of this query's.
    """
    store.advance(now_ms)
    after = None if query.token is None else _place(query.token, query.binding())
    runs = store.walk(
        query.run_type,
        query.order,
        descending=query.descending,
        after=after,
        matches=query.matches,
    )
    rows: list[dict[str, Any]] = []
    last = 0
    for place, run in runs:
        if len(rows) == query.page_size:
            return {"object": "list", "data": rows, "nextPageToken": _token(last, query.binding())}
        rows.append(row(run))
        last = place
    return {"object": "list", "data": rows}


def _token(place: int, binding: str) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode([place, binding])).decode()


def _place(token: str, binding: str) -> int:
    try:
        place, bound_to = msgspec.json.decode(base64.urlsafe_b64decode(token), type=tuple[int, str])
    except (binascii.Error, ValueError) as error:
        raise invalid("nextPageToken is not valid.") from error
    if bound_to != binding or place < 0:
        raise invalid("nextPageToken belongs to another query.")
    return place
