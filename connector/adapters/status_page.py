"""The page ``/status``: the worker's status as plain HTML, without scripts; everything in it is escaped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

_STYLE = (
    "body{font:14px/1.5 system-ui,sans-serif;margin:2em;color:#222;background:#fff}"
    "table{border-collapse:collapse;margin:0 0 1.5em}"
    "th,td{text-align:left;padding:.2em 1em .2em 0;border-bottom:1px solid #ddd;vertical-align:top}"
    "h1{font-size:1.4em}h2{font-size:1.1em}"
)


def page_of(status: Mapping[str, object]) -> str:
    """The page: single values in one table, every list in one of its own.

    Args:
        status: what JSON can hold; lists hold texts or objects with the same keys.
    """
    title = escape(f"{status.get('name', 'connector')}: status")
    return "".join(
        (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1>",
            *_body(status),
            '<p><a href="status.json">The same as JSON</a></p></body></html>\n',
        ),
    )


def _body(status: Mapping[str, object]) -> Iterator[str]:
    single = {name: value for name, value in status.items() if not _is_list(value)}
    yield _table([[_words(name), _text(value)] for name, value in single.items()])
    for name, value in status.items():
        if isinstance(value, Sequence) and _is_list(value):
            yield f"<h2>{escape(_words(name))}</h2>"
            yield _list(value)


def _list(items: Sequence[object]) -> str:
    if not items:
        return "<p>none</p>"
    first = items[0]
    if not isinstance(first, Mapping):
        return _table([[_text(item)] for item in items])
    rows = [[_text(item.get(name)) for name in first] for item in items if isinstance(item, Mapping)]
    return _table(rows, [_words(str(name)) for name in first])


def _table(rows: Sequence[Sequence[str]], head: Sequence[str] = ()) -> str:
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table>{f'<tr>{titles}</tr>' if head else ''}{body}</table>"


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _text(value: object) -> str:
    return "-" if value is None else str(value)
