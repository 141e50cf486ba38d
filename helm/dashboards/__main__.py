"""``python -m helm.dashboards`` (``make dashboards``): write the chart's dashboards again."""

from __future__ import annotations

from helm.dashboards.written import FOLDER, texts

for name, text in texts().items():
    (FOLDER / name).write_text(text, encoding="utf-8")
