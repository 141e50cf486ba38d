"""Programs that come as Debian packages, for tests that need one.

One that is installed is used. Otherwise apt's own client fetches its package, from wherever this machine gets packages,
and it is unpacked below ``.cache``: nothing is installed, no service is started, and only a machine whose package lists
are empty needs root, for ``apt-get update``. buildah is the exception: it is of no use without what its
packages bring into ``/usr/lib`` and ``/etc``. It is installed, as root, or its tests are skipped.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

CACHE = Path(__file__).parents[1] / ".cache" / "debian"

_SECONDS = 120
_PATIENCE = ("-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20", "-o", "Acquire::https::Timeout=20")


@pytest.fixture(scope="session")
def promtool() -> Path:
    """Prometheus' tool for rules; from Debian 13 on it is a package of its own."""
    return _program("promtool", ("prometheus", "promtool"))


@pytest.fixture(scope="session")
def prometheus() -> Path:
    """Prometheus itself."""
    return _program("prometheus", ("prometheus",))


@pytest.fixture(scope="session")
def buildah() -> Path:
    """A builder of images that needs no service."""
    found = shutil.which("buildah") or (_install("buildah") and shutil.which("buildah"))
    if not found:
        pytest.skip("buildah is not installed and may not be installed here: install Debian's package buildah.")
    return Path(found)


def _program(name: str, packages: Sequence[str]) -> Path:
    found = find_program(name, tuple(packages))
    if found is None:
        pytest.skip(f"{name} is not installed and apt-get cannot fetch it: install Debian's package {packages[0]}.")
    return found


@cache
def find_program(name: str, packages: tuple[str, ...]) -> Path | None:
    """Where a program is, fetched if it must be; None where this machine cannot have it.

    Args:
        name: the program's.
        packages: which may hold it, in the order in which they are tried.
    """
    installed = shutil.which(name)
    if installed is not None:
        return Path(installed)
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        return None
    CACHE.mkdir(parents=True, exist_ok=True)
    places = {package: CACHE / package / "usr" / "bin" / name for package in packages}
    with _one_at_a_time():
        for program in places.values():
            if program.exists():
                return program
        for package, program in places.items():
            unpacked = (CACHE / package).exists()  # by an earlier run; it holds other programs
            if not unpacked and _fetch(package) and program.exists():
                return program
    return None


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Two processes that find the cache empty shall not both fill it."""
    with (CACHE / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch(package: str) -> bool:
    with tempfile.TemporaryDirectory(dir=CACHE) as staging:
        fetched = _runs("apt-get", *_PATIENCE, "download", package, folder=staging)
        if not fetched and os.geteuid() == 0 and _runs("apt-get", *_PATIENCE, "update", folder=staging):
            fetched = _runs("apt-get", *_PATIENCE, "download", package, folder=staging)
        archives = [*Path(staging).glob("*.deb")]
        unpacked = Path(staging) / package
        if not fetched or not archives or not _runs("dpkg-deb", "-x", str(archives[0]), package, folder=staging):
            return False
        unpacked.replace(CACHE / package)  # atomic: an interrupted run leaves no half package
        return True


def _install(package: str) -> bool:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    CACHE.mkdir(parents=True, exist_ok=True)
    install = (
        "apt-get",
        *_PATIENCE,
        "-y",
        "-o",
        "DPkg::Lock::Timeout=100",
        "install",
        "--no-install-recommends",
        package,
    )
    fetch, folder = (*install, "--download-only"), str(CACHE)
    with _one_at_a_time():
        fetched = _runs(*fetch, folder=folder) or (
            _runs("apt-get", *_PATIENCE, "update", folder=folder) and _runs(*fetch, folder=folder)
        )
        # Never ended from here: a dpkg that was killed leaves the machine's packages half configured.
        return fetched and _runs(*install, folder=folder, within=None)


def _runs(*command: str, folder: str, within: float | None = _SECONDS) -> bool:
    try:
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(command, cwd=folder, env=quiet, capture_output=True, timeout=within, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
