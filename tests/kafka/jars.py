"""Apache Kafka's jars, from a lock file with their SHA-256 sums; and those of a reader in Java, from one of their own.

``python -m tests.kafka.jars`` fetches what is missing and prints where it is. ``python -m tests.kafka.jars --lock``
prints the lock file with the sums of what the repository serves now, for a change of versions; of another lock file
when one is named.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCK = Path(__file__).with_name("kafka-4.4.0.lock")
READER_LOCK = Path(__file__).with_name("java-reader.lock")
CACHE_VARIABLE = "KAFKA_TEST_CACHE"
MIRROR_VARIABLE = "MAVEN_MIRROR"
BROKER_VARIABLE = "KAFKA_BOOTSTRAP_SERVERS_FOR_TESTS"

_THREADS = 8
_SECONDS = 20


class BrokerUnavailable(Exception):  # noqa: N818 - it names what happened
    """No Kafka for the tests. The message is one sentence for whoever runs them."""


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of a lock file. Most are jars; what is not says its classifier and its kind of file."""

    group: str
    artifact: str
    version: str
    sha256: str
    classifier: str = ""
    packaging: str = "jar"

    @property
    def coordinate(self) -> str:
        """``group:artifact:version``, and classifier and kind where it is no plain jar."""
        kind = f":{self.classifier}:{self.packaging}" if self.classifier else ""
        return f"{self.group}:{self.artifact}:{self.version}{kind}"

    @property
    def file_name(self) -> str:
        """What the file is called in the cache."""
        classifier = f"-{self.classifier}" if self.classifier else ""
        return f"{self.artifact}-{self.version}{classifier}.{self.packaging}"


def read_lock(path: Path = LOCK) -> tuple[Jar, ...]:
    """The jars that the lock file names."""
    lines = (line.split("#")[0].split() for line in path.read_text().splitlines())
    return tuple(_jar(coordinate, sha256) for coordinate, sha256 in filter(None, lines))


def _jar(coordinate: str, sha256: str) -> Jar:
    group, artifact, version, *kind = coordinate.split(":")
    classifier, packaging = kind or ("", "jar")
    return Jar(group, artifact, version, sha256, classifier, packaging)


def cache_folder() -> Path:
    """Where jars are kept between runs."""
    given = os.environ.get(CACHE_VARIABLE)
    return Path(given) if given else ROOT / ".cache" / "kafka"


def fetch_jars(jars: Sequence[Jar], folder: Path) -> list[Path]:
    """The files of the jars, fetched where they are missing or damaged.

    Args:
        jars: what is wanted.
        folder: the cache; made when it is missing.

    Returns:
        One path for each jar, in their order.

    Raises:
        BrokerUnavailable: a jar cannot be fetched, or is not the one that was locked.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with one_at_a_time(folder):
            _fetch_missing(jars, folder)
    except OSError as error:
        raise BrokerUnavailable(
            f"Kafka's jars cannot be kept in {folder} ({error.strerror or error}); name another folder in "
            f"{CACHE_VARIABLE}.",
        ) from error
    return [folder / jar.file_name for jar in jars]


@contextlib.contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Two processes that find the cache empty shall not both fill it."""
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch_missing(jars: Sequence[Jar], folder: Path) -> None:
    missing = [jar for jar in jars if sum_of(folder / jar.file_name) != jar.sha256]
    if missing:
        # One after the other by exact coordinates: jgo's own resolution of kafka_2.13 picks clients 3.8.0.
        with tempfile.TemporaryDirectory(dir=folder) as staging, ThreadPoolExecutor(_THREADS) as pool:
            for jar, path in zip(missing, pool.map(lambda jar: fetch(jar, Path(staging)), missing), strict=True):
                check(jar, path)
                path.replace(folder / jar.file_name)  # atomic: an interrupted run leaves no half jar


def sum_of(path: Path) -> str | None:
    """The file's SHA-256 in hexadecimal, or None when there is no file."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check(jar: Jar, path: Path) -> None:
    """Hold a fetched file to the lock.

    Raises:
        BrokerUnavailable: it is another file.
    """
    found = sum_of(path)
    if found != jar.sha256:
        raise BrokerUnavailable(
            f"The Maven repository served another {jar.coordinate} than the lock file names (SHA-256 {found} instead "
            f"of {jar.sha256}); it was not used.",
        )


def fetch(jar: Jar, folder: Path) -> Path:
    """Download one jar into a folder, unchecked.

    Raises:
        BrokerUnavailable: it is not to be had.
    """
    # Here and not above: both libraries are slow to import, and a warm cache needs neither.
    from jgo.maven import MavenContext  # noqa: PLC0415
    from requests import RequestException  # noqa: PLC0415

    mirror = os.environ.get(MIRROR_VARIABLE)
    context = MavenContext(
        repo_cache=folder,
        remote_repos={"mirror": mirror.rstrip("/")} if mirror else None,
        timeout=_SECONDS,
    )
    try:
        project = context.project(jar.group, jar.artifact).at_version(jar.version)
        found = project.artifact(jar.classifier, jar.packaging).resolve()
    except (RequestException, RuntimeError) as error:
        raise BrokerUnavailable(
            f"The tests marked 'kafka' need Apache Kafka and Apicurio Registry, and {jar.coordinate} cannot be fetched "
            f"({type(error).__name__}): let this machine reach Maven Central or a mirror of it (its address in "
            f"{MIRROR_VARIABLE}), name a running broker in {BROKER_VARIABLE}, or leave them out with -m 'not kafka'.",
        ) from error
    return Path(found)


def main(arguments: Sequence[str]) -> None:
    """Fetch, or print the lock file anew."""
    named = [Path(each) for each in arguments if not each.startswith("-")]
    jars = read_lock(*named[:1])
    if "--lock" not in arguments:
        fetch_jars(jars, cache_folder())
        print(cache_folder())  # noqa: T201 - a command prints
        return
    with tempfile.TemporaryDirectory() as staging, ThreadPoolExecutor(_THREADS) as pool:
        for jar, path in zip(jars, pool.map(lambda jar: fetch(jar, Path(staging)), jars), strict=True):
            print(jar.coordinate, sum_of(path))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
