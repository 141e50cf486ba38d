"""The documents that a request names, and what they say.

Nothing is downloaded. A text input says what it says; any other document says something that follows from its name,
the same every time, so that results look like results and can be predicted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from connector.simulator.identifiers import identifier, share_of
from connector.simulator.timeline import Wish, wish_in

WISH_KEY = "simulate"
"""``{"metadata": {"simulate": "failed"}}`` asks for the same as ``simulate-failed`` in the file name."""

PAGE_CHARS = 1800
"""A page of a text document."""

_TYPES = {
    ".pdf": "PDF",
    ".csv": "CSV",
    ".png": "IMG",
    ".jpg": "IMG",
    ".jpeg": "IMG",
    ".tif": "IMG",
    ".tiff": "IMG",
    ".txt": "TXT",
    ".docx": "DOCX",
    ".doc": "DOCX",
    ".xlsx": "EXCEL",
    ".xls": "EXCEL",
    ".xml": "XML",
    ".html": "HTML",
}
_SIZE = re.compile(r"padded-by-(?P<count>\d{1,6})(?P<unit>kB|MB)")
_UNITS = {"kB": 10**3, "MB": 10**6}
MOST_BYTES = 100_000_000
_TAG = re.compile(r"~k\d+-[a-z2-7]+")
_KINDS = {"inv": "invoice", "rcpt": "receipt", "po": "purchase order"}


@dataclass(frozen=True, slots=True)
class Document:
    """One file of a request.

    Attributes:
        id: the file's id at the API.
        name: its name.
        type: ``PDF``, ``TXT`` and so on, or None when the name does not say.
        text: all that it says.
        page_count: how many pages it has.
        size: bytes that its name asks a parse's output to have more, by ``padded-by-6MB``.
    """

    id: str
    name: str
    type: str | None
    text: str
    page_count: int
    size: int = 0

    def pages(self) -> list[str]:
        """The text page by page, cut at line ends where there are some."""
        rest, pages = self.text, []
        while len(rest) > PAGE_CHARS:
            cut = rest.rfind("\n", 1, PAGE_CHARS) + 1 or PAGE_CHARS
            pages.append(rest[:cut].strip("\n"))
            rest = rest[cut:]
        pages.append(rest.strip("\n"))
        pages.extend(f"(page {number} is blank)" for number in range(len(pages) + 1, self.page_count + 1))
        return pages


def documents_of(run_id: str, request: Mapping[str, Any]) -> list[Document]:
    """Every document of a create body. An edit template counts as one."""
    return [_document(run_id, place, file) for place, file in enumerate(_files(request))]


def name_of(request: Mapping[str, Any]) -> str:
    """The first document's name."""
    return next((_name(file) for file in _files(request)), "document")


def wish_of(request: Mapping[str, Any]) -> Wish | None:
    """How the run is to end, as its files' names or its metadata ask, or None."""
    metadata = request.get("metadata")
    if isinstance(metadata, Mapping) and isinstance(metadata.get(WISH_KEY), str):
        wish = wish_in(f"simulate-{metadata[WISH_KEY]}")
        if wish is not None:
            return wish
    for file in _files(request):
        for field in ("name", "url", "id"):
            wish = wish_in(str(file.get(field, "")))
            if wish is not None:
                return wish
    return None


def _files(request: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if "file" in request:
        yield request["file"]
    yield from request.get("package", {}).get("files", ())
    if "templateId" in request:
        yield {"id": request["templateId"]}


def _name(file: Mapping[str, Any]) -> str:
    if file.get("name"):
        return str(file["name"])
    if "url" in file:
        return unquote(PurePosixPath(urlsplit(file["url"]).path).name) or "document"
    if "text" in file:
        return f"{identifier('text_', file['text'])}.txt"
    return f"{file['id']}.pdf"


def _document(run_id: str, place: int, file: Mapping[str, Any]) -> Document:
    name = _name(file)
    kind = _TYPES.get(PurePosixPath(name).suffix.lower())
    text = file.get("text")
    if text is None:
        text = _imagined_text(name)
        page_count = 1 + int(share_of(_TAG.sub("", name), "pages") * 4)
    else:
        kind = "TXT"
        page_count = 1 + len(text) // PAGE_CHARS
    return Document(
        id=file.get("id") or identifier("file_", run_id, place),
        name=name,
        type=kind,
        text=text,
        page_count=page_count,
        size=_size(name),
    )


def _size(name: str) -> int:
    match = _SIZE.search(name)
    return min(int(match["count"]) * _UNITS[match["unit"]], MOST_BYTES) if match else 0


def _imagined_text(name: str) -> str:
    stem = _TAG.sub("", PurePosixPath(name).stem)
    word = (re.findall(r"[A-Za-z]+", stem) or ["document"])[0].lower()
    number = (re.findall(r"\d[\w-]*", stem) or [f"{int(share_of(stem, 'number') * 90_000) + 10_000}"])[0]
    net = round(20 + share_of(stem, "net") * 4980, 2)
    tax = round(net * 0.2, 2)
    day = 1 + int(share_of(stem, "day") * 28)
    return (
        f"{_KINDS.get(word, word).capitalize()} {number}\n"
        f"Date: 2026-{1 + int(share_of(stem, 'month') * 9):02d}-{day:02d}\n"
        f"Supplier: {('Northwind Traders', 'Acme Paper', 'Blue Harbour Ltd')[int(share_of(stem, 'who') * 3)]}\n"
        f"Subtotal: {net:.2f}\nTax: {tax:.2f}\nTotal: {net + tax:.2f}\nCurrency: EUR"
    )
