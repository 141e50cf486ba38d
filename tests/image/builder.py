"""The image, built by buildah from the Dockerfile as it is, on a stand-in for its base."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.image.stand_in import PIP_CONF, PYTHON, can_stand_in, stand_in
from tests.image.tools import run

ROOT = Path(__file__).parents[2]
BASE = "localhost/python-stand-in"
LOCKS = ("run", "build", "sbom")
ARGUMENTS = {"VERSION": "1.2.3", "REVISION": "4711", "SOURCE": "https://example.com/source", "BASE_DIGEST": "sha256:1"}


class Builder:
    """A store of images of its own, in a folder."""

    def __init__(self, buildah: Path, folder: Path) -> None:
        """Make the base image, and fetch the packages that the build needs. Skips the test where neither can be."""
        can_stand_in()
        self._buildah = str(buildah)
        self._folder = folder
        self._wheels = folder / "wheels"
        self._store = ["--root", str(folder / "images"), "--runroot", str(folder / "state")]
        overlay = subprocess.run(self._line("from", "scratch"), capture_output=True, check=False).returncode == 0
        if not overlay:  # where the folder itself is on such a file system
            self._store += ["--storage-driver", "vfs"]
        self._download()
        self._make_base()

    def build(self, name: str, *options: str) -> None:
        """Build the Dockerfile."""
        arguments = [f"--build-arg={key}={value}" for key, value in {**ARGUMENTS, "PYTHON_IMAGE": BASE}.items()]
        wheels = f"{self._wheels}:/pip/wheels:ro"
        line = ("bud", "--quiet", "--layers", "--isolation", "chroot", "--pull-never", "--volume", wheels)
        self._run(*line, *arguments, *options, "--tag", name, str(ROOT))

    def config(self, name: str) -> Mapping[str, Any]:
        """What the image says of itself."""
        config: dict[str, Any] = json.loads(self._run("inspect", "--type", "image", name))["OCIv1"]["config"]
        return config

    def mounted(self, name: str) -> Path:
        """The file system of an image, until ``close``."""
        container = self._run("from", "--pull-never", name).strip()
        return Path(self._run("mount", container).strip())

    def close(self) -> None:
        """Unmount everything, and leave no image behind: pytest keeps the folders of some runs."""
        self._run("umount", "--all")
        self._run("rm", "--all")
        self._run("rmi", "--all", "--force")

    def _download(self) -> None:
        # The stand-in's own Python chooses: wheels and markers are those of the build.
        python = self._folder / "pip" / "bin" / "python"
        run(PYTHON, "-m", "venv", str(python.parents[1]))
        pip = (str(python), "-m", "pip", "download", "--quiet", "--require-hashes", "--only-binary", ":all:")
        for lock in LOCKS:
            run(*pip, "--dest", str(self._wheels), "--requirement", str(ROOT / "requirements" / f"{lock}.txt"))

    def _make_base(self) -> None:
        archive, pip_conf = self._folder / "base.tar", self._folder / "pip.conf"
        stand_in(archive)
        pip_conf.write_text(PIP_CONF)
        container = self._run("from", "scratch").strip()
        self._run("add", "--quiet", container, str(archive), "/")
        self._run("add", "--quiet", container, str(pip_conf), "/etc/pip.conf")
        self._run("commit", "--quiet", container, BASE)
        archive.unlink()

    def _line(self, *words: str) -> list[str]:
        return [self._buildah, *self._store, *words]

    def _run(self, *words: str) -> str:
        return run(*self._line(*words))


def can_unshare() -> None:
    """Skip the test where namespaces may not be made."""
    probe = ["unshare", "--mount", "--pid", "--fork", "mount", "-t", "tmpfs", "none", "/mnt"]
    if not shutil.which("unshare") or subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        pytest.skip("The image is run in namespaces of its own, which may not be made here.")
