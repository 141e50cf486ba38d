"""Where no image can be built, its tests are skipped with a sentence, before anything is fetched or made."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.image import builder, stand_in


@pytest.mark.parametrize(
    ("script", "sentence"), [(None, "no Debian with Python"), ("exit 1", "apt-get install python3-venv")]
)
def test_a_machine_without_debians_python_skips_first(
    script: str | None, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python, folder = tmp_path / "python3", tmp_path / "image"
    if script is not None:
        python.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        python.chmod(0o755)
    for module in (builder, stand_in):
        monkeypatch.setattr(module, "PYTHON", str(python))
    monkeypatch.setattr(stand_in, "DPKG_QUERY", Path("/bin/sh"))
    folder.mkdir()
    with pytest.raises(pytest.skip.Exception, match=sentence):
        builder.Builder(Path("/bin/false"), folder)
    assert list(folder.iterdir()) == []
