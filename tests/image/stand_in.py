"""A base image without a registry: this machine's own Debian packages, as few as Python needs.

Not ``mmdebstrap``, which makes the truer Debian: it downloads 60 MB and took half a minute on a quiet machine, two and
a half on a busy one. This takes two seconds, and is Debian's Python with Debian's glibc all the same.
"""

from __future__ import annotations

import os
import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image.tools import run

PYTHON = "/usr/bin/python3"
DPKG_QUERY = Path("/usr/bin/dpkg-query")
PIP_CONF = "[global]\nno-index = true\nfind" + "-links = /pip/wheels\n"
"""pip in the stand-in takes what the test has downloaded, and nothing else."""

_PACKAGES = ("base-files", "base-passwd", "ca-certificates", "coreutils", "dash", "grep", "libc-bin", "netbase")
_OF_PYTHON = ("python3", "python3-venv", "tzdata")
_NOT_NEEDED = {"debconf", "debianutils", "dpkg", "init-system-helpers", "openssl", "perl", "perl-base"}
_PAGES = ("/usr/share/doc/", "/usr/share/man/", "/usr/share/locale/", "/usr/share/lintian/")
_BESIDE = ("/bin", "/sbin", "/lib", "/lib64", "/etc/passwd", "/etc/group", "/etc/ld.so.cache", "/etc/ssl/certs")
"""What belongs to no package: links of the merged ``/usr``, and files that packages make when they are installed."""


def can_stand_in() -> None:
    """Skip the test where this machine has no such Python."""
    probe = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"
    if not DPKG_QUERY.exists() or not Path(PYTHON).exists():
        pytest.skip("The stand-in for the base image is made of Debian's packages, and this is no Debian with Python.")
    if subprocess.run([PYTHON, "-c", probe], capture_output=True, check=False).returncode != 0:
        pytest.skip(f"{PYTHON} is older than 3.11, or has no venv (on Debian and Ubuntu: apt-get install python3-venv)")


def stand_in(archive: Path) -> None:
    """Write the file system of a base image, where ``can_stand_in``."""
    with tarfile.open(archive, "w") as tar:
        for path in sorted({*_files(), *_certificates()}):
            tar.add(path, arcname=str(path).lstrip("/"), recursive=False)


def _files() -> Iterator[Path]:
    listed = run("dpkg-query", "-L", *_closure())
    for line in (*listed.splitlines(), *_BESIDE):
        if line.startswith("/") and not line.startswith(_PAGES) and os.path.lexists(line):
            path = Path(line)
            yield path.parent.resolve() / path.name  # packages may still say /bin for /usr/bin


def _certificates() -> Iterator[Path]:
    return Path("/etc/ssl/certs").iterdir()


def _closure() -> set[str]:
    """The packages and all that they depend on."""
    shape = "${Package}\t${Status}\t${Depends}, ${Pre-Depends}\t${Provides}\n"
    listed = run("dpkg-query", "-W", f"-f={shape}")
    needs: dict[str, list[str]] = {}
    provided: dict[str, str] = {}
    for line in listed.splitlines():
        name, status, depends, provides = line.split("\t")
        if status.endswith(" installed"):
            needs[name] = _names(depends)
            provided.update(dict.fromkeys(_names(provides), name))
    found: set[str] = set()
    waiting = [*_PACKAGES, *_OF_PYTHON]
    while waiting:
        wanted = waiting.pop()
        name = wanted if wanted in needs else provided.get(wanted, "")
        if name and name not in found and name not in _NOT_NEEDED:
            found.add(name)
            waiting += needs[name]
    return found


def _names(relation: str) -> list[str]:
    return [match[1] for each in relation.split(",") if (match := re.match(r"\s*([a-z0-9.+-]+)", each))]
