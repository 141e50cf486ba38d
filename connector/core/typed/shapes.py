"""The values of run types whose output has the same shape for every processor, as JSON Schemas.

From the documentation of the API and its official SDK (1.20.0: ``ClassifyOutput``, ``SplitOutput`` and
``ParseRunOutput``). What differs by the type of a block, contains itself or is still growing is a text of JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from connector.core.typed.json_schema import JSON_TEXT

Schema = dict[str, object]


def _object(description: str = "", **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, **({"description": description} if description else {})}


def _array(items: Schema, description: str = "") -> Schema:
    return {"type": "array", "items": items, **({"description": description} if description else {})}


def _text(description: str = "") -> Schema:
    return {"type": "string", "description": description}


def _number(description: str = "") -> Schema:
    return {"type": "number", "description": description}


def _page(description: str = "") -> Schema:
    return {"type": "integer", "description": description}


def _json(description: str) -> Schema:
    return {JSON_TEXT: "json", "description": f"{description}, as a text of JSON."}


_CLASSIFY = _object(
    "What the document was classified as.",
    id=_text("The classification's id."),
    type=_text("The classification's type, as the classifier's configuration names it."),
    confidence=_number("From 0 to 1."),
    insights=_array(_object(type=_text(), content=_text()), "Why."),
)

_SPLIT = _object(
    "The parts that the file was split into.",
    splits=_array(
        _object(
            "One part.",
            id=_text("The part's id."),
            type=_text("Its type, as the splitter's configuration names it."),
            classificationId=_text("The id of its classification."),
            identifier=_text("What tells it from others of its type, such as an invoice number."),
            observation=_text("Why it begins here."),
            startPage=_page("Its first page."),
            endPage=_page("Its last page."),
            fileId=_text("The part's own file at Extend."),
            name=_text("Its name."),
        )
    ),
    isExternal={"type": "boolean"},
)

_BLOCK = _object(
    "One element of the page: a paragraph, a heading, a table.",
    object=_text(),
    id=_text("A hash of what it holds."),
    parentBlockId=_text("The block that it is a part of."),
    type=_text("text, heading, table, figure and others; new ones may come."),
    content=_text("Its text in the format that was asked for."),
    details=_json("What its type adds"),
    metadata=_json("Its page or sheet, and confidences"),
    polygon=_array(_object(x=_number(), y=_number()), "Its outline."),
    boundingBox=_object(left=_number(), top=_number(), right=_number(), bottom=_number()),
    children=_json("The blocks inside"),
)

_PARSE = _object(
    "The text of the file.",
    chunks=_array(
        _object(
            "One piece: a page, a section or the whole document.",
            object=_text(),
            type=_text("page, section or document."),
            content=_text("Its text in the format that was asked for."),
            metadata=_object(
                pageRange=_object(start=_page(), end=_page()),
                minOcrConfidence=_number(),
                avgOcrConfidence=_number(),
            ),
            blocks=_array(_BLOCK),
        )
    ),
    ocr=_json("Words and lines, where the run was asked for them"),
    metadata=_json("Types of the file, rotation and size of its pages"),
)

SHAPES: Mapping[str, Schema] = MappingProxyType({"classify": _CLASSIFY, "split": _SPLIT, "parse": _PARSE})
"""The JSON Schema of the whole output, by run type."""

UNTYPED: Mapping[str, str] = MappingProxyType(
    {
        "workflow": "the output of a workflow is a list of its steps, whose number and kinds depend on the document; "
        "have one extract route instead, or read output as JSON",
        "edit": "the output of an edit run is a file, and a link that ends after minutes; read output as JSON",
    }
)
"""Why the other run types have no typed results, and what to do."""
