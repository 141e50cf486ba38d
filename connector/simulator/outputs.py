"""What a run makes of its documents: the ``output`` of each run type."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from connector.simulator.documents import Document
from connector.simulator.extraction import fill
from connector.simulator.identifiers import identifier, share_of


def extract_output(config: Mapping[str, Any], documents: Sequence[Document]) -> dict[str, Any]:
    """``value`` after the schema, and ``metadata`` with a confidence and a citation for every field."""
    text = "\n".join(document.text for document in documents)
    schema = config.get("schema")
    value = fill(schema, text) if isinstance(schema, Mapping) else {}
    return {
        "value": value,
        "metadata": {name: _evidence(name, found, documents[0]) for name, found in value.items()},
    }


def _evidence(name: str, found: object, document: Document) -> dict[str, Any]:
    citations = []
    if found not in (None, "", [], {}):
        top = 72.0 + int(share_of(document.name, name) * 640)
        corners = [(72.0, top), (240.0, top), (240.0, top + 14), (72.0, top + 14)]
        citations.append(
            {
                "fileId": document.id,
                "page": {"number": 1, "width": 612, "height": 792},
                "referenceText": str(found),
                "polygon": [{"x": x, "y": y} for x, y in corners],
            },
        )
    confidence = round(0.9 + share_of(document.name, name, "confidence") * 0.1, 3)
    return {
        "ocrConfidence": confidence,
        "logprobsConfidence": round(1 - (1 - confidence) / 2, 3),
        "reviewAgentScore": None,
        "citations": citations,
        "insights": [{"type": "reasoning", "content": "Value found next to its printed label."}],
    }


def classify_output(config: Mapping[str, Any], documents: Sequence[Document]) -> dict[str, Any]:
    """The classification whose words the document uses."""
    chosen = _classification(config["classifications"], documents[0].text)
    return {
        "id": chosen.get("id", chosen.get("type")),
        "type": chosen.get("type", chosen.get("id")),
        "confidence": round(0.8 + share_of(documents[0].name, "class") * 0.2, 3),
        "insights": [{"type": "reasoning", "content": f"The document reads like: {chosen.get('type')}."}],
    }


def split_output(config: Mapping[str, Any], documents: Sequence[Document]) -> dict[str, Any]:
    """Page ranges: a page that names another classification than the page before it begins a new one."""
    document = documents[0]
    ranges: list[tuple[Mapping[str, Any], int, int]] = []
    for number, page in enumerate(document.pages(), 1):
        chosen = _classification(config["splitClassifications"], page)
        blank = page.startswith("(page ")
        if ranges and (blank or ranges[-1][0] is chosen):
            ranges[-1] = (ranges[-1][0], ranges[-1][1], number)
        else:
            ranges.append((chosen, number, number))
    stem = document.name.rsplit(".", 1)[0]
    return {
        "splits": [
            {
                "type": chosen.get("type", chosen.get("id")),
                "observation": "A new letterhead starts on this page.",
                "identifier": _identifier_in(document.text),
                "startPage": first,
                "endPage": last,
                "name": f"{stem} ({first}-{last})",
                "classificationId": chosen.get("id", chosen.get("type")),
                "id": f"split_{place}",
                "fileId": identifier("file_", document.id, "split", place),
            }
            for place, (chosen, first, last) in enumerate(ranges, 1)
        ],
    }


def parse_output(config: Mapping[str, Any], documents: Sequence[Document]) -> dict[str, Any]:
    """The text in chunks: by page, or the whole document."""
    document = documents[0]
    strategy = config.get("chunkingStrategy")
    kind = strategy.get("type", "page") if isinstance(strategy, Mapping) else "page"
    pages = document.pages()
    parts = [(page, number, number) for number, page in enumerate(pages, 1)]
    if kind == "document":
        parts = [("\n\n".join(pages), 1, len(pages))]
    if document.size:
        parts.append((_filler(document), len(pages), len(pages)))
    return {
        "chunks": [
            {
                "object": "chunk",
                "type": kind,
                "content": content,
                "metadata": {
                    "pageRange": {"start": first, "end": last},
                    "minOcrConfidence": 0.91,
                    "avgOcrConfidence": 0.99,
                },
                "blocks": [],
            }
            for content, first, last in parts
        ],
    }


def _filler(document: Document) -> str:
    """Text of the size that was asked for, the same every time; compression halves it."""
    return hashlib.shake_256(document.name.encode()).hexdigest(document.size // 2)


def edit_output(config: Mapping[str, Any], documents: Sequence[Document], base_url: str) -> dict[str, Any]:
    """The edited file, and the values that were filled in."""
    document = documents[0]
    edited_id = identifier("file_", document.id, "edited")
    schema = config.get("schema")
    filled = fill(schema, document.text) if isinstance(schema, Mapping) else {}
    if isinstance(schema, Mapping):
        for name, wanted in schema["properties"].items():
            if isinstance(wanted, Mapping) and "extend_edit:value" in wanted:
                filled[name] = wanted["extend_edit:value"]
    return {
        "editedFile": {"id": edited_id, "presignedUrl": f"{base_url}/_simulator/files/{edited_id}.pdf"},
        "filledValues": filled,
    }


def _classification(options: Sequence[Mapping[str, Any]], text: str) -> Mapping[str, Any]:
    lower = text.lower()
    for option in options:
        names = {str(option.get("id", "")), str(option.get("type", ""))}
        if any(name and name.lower().replace("_", " ") in lower for name in names):
            return option
    return next((option for option in options if option.get("id") == "other"), options[-1])


def _identifier_in(text: str) -> str:
    match = re.search(r"\b[A-Z]{0,3}-?\d[\w-]*", text)
    return match[0] if match else ""
