"""The reference pages say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from connector.adapters.metrics import Metrics

ROOT = Path(__file__).parents[1]


def metrics_table() -> list[str]:
    """The table of docs/metrics.md, as it follows from the definitions."""
    rows = ["| Metric | Type | Labels | Meaning |", "|---|---|---|---|"]
    for metric in Metrics().definitions:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        rows.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |")
    return rows


def test_the_page_about_metrics_lists_exactly_the_metrics_that_exist() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8").splitlines()
    listed = [line for line in page if line.startswith("|")]
    # To mend it: python -c "from tests.test_docs import metrics_table; print(*metrics_table(), sep='\n')"
    assert listed == metrics_table()


def test_the_queries_on_that_page_ask_for_metrics_that_exist() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```promql\n(.*?)```", page, flags=re.DOTALL)
    asked = set(re.findall(r"extend_connector_\w+", block))
    assert len(asked) >= 6
    assert asked <= {metric.name for metric in Metrics().definitions}
