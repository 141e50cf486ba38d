"""A real Prometheus that watches processes on this machine, as its operator would have it watch pods."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.child_process import ChildProcess
from tests.ports import HOST, free_ports

_UP_SECONDS = 60.0
_STEP_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Pod:
    """What is watched.

    Attributes:
        name: of the pod.
        admin: address of its admin server.
    """

    name: str
    admin: str


class Prometheus:
    """One server with its own data, scraping and evaluating each second.

    Attributes:
        process: to end it.
    """

    def __init__(self, program: Path, folder: Path, pods: Sequence[Pod], rules: Mapping[str, Any]) -> None:
        """A server that does not run yet.

        Args:
            program: the binary.
            folder: where its files go.
            pods: what it scrapes.
            rules: rule groups, as in a rule file.
        """
        (port,) = free_ports(1)
        self._url = f"http://{HOST}:{port}"
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s", "scrape_timeout": "1s"},
            "rule_files": [str(folder / "rules.yaml")],
            "scrape_configs": [
                {"job_name": "connector", "static_configs": [_target(pod) for pod in pods]},
            ],
        }
        (folder / "rules.yaml").write_text(yaml.safe_dump(dict(rules)), encoding="utf-8")
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        command = (
            str(program),
            f"--config.file={folder / 'prometheus.yaml'}",
            f"--storage.tsdb.path={folder / 'prometheus'}",
            f"--web.listen-address={HOST}:{port}",
        )
        self.process = ChildProcess("prometheus", command, folder / "prometheus.log")

    def start(self) -> None:
        """Start it, and wait until it answers.

        Raises:
            TimeoutError: it ended, or did not answer in time.
        """
        self.process.start()
        self.began = time.time()
        deadline = time.monotonic() + _UP_SECONDS
        while not self._ready():
            if not self.process.running or time.monotonic() > deadline:
                raise TimeoutError(f"Prometheus does not answer.\n{self.process.log_tail()}")
            time.sleep(0.05)

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self._url}/-/ready", timeout=1, trust_env=False).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def query(self, expr: str, at: float | None = None) -> list[dict[str, Any]]:
        """The samples of a query now, or at a time in seconds since the epoch.

        Raises:
            AssertionError: Prometheus does not take the query.
        """
        return self._ask("query", {"query": expr, **({} if at is None else {"time": at})})

    def has_data(self, expr: str) -> bool:
        """Whether a query had a number at any time since the start; NaN is none.

        Raises:
            AssertionError: Prometheus does not take the query.
        """
        found = self._ask(
            "query_range", {"query": expr, "start": self.began, "end": time.time(), "step": _STEP_SECONDS}
        )
        return any(math.isfinite(float(value)) for series in found for _, value in series["values"])

    def fired(self) -> set[str]:
        """The alerts that have fired since the start."""
        seconds = math.ceil(time.time() - self.began) + 1
        found = self.query(f'max by (alertname) (max_over_time(ALERTS{{alertstate="firing"}}[{seconds}s]))')
        return {sample["metric"]["alertname"] for sample in found}

    def sentences(self) -> dict[str, str]:
        """What alerts that are active now say, by their name."""
        answer = httpx.get(f"{self._url}/api/v1/alerts", timeout=30, trust_env=False).json()
        return {each["labels"]["alertname"]: each["annotations"]["summary"] for each in answer["data"]["alerts"]}

    def _ask(self, what: str, parameters: Mapping[str, str | float]) -> list[dict[str, Any]]:
        answer = httpx.get(f"{self._url}/api/v1/{what}", params=dict(parameters), timeout=30, trust_env=False)
        body = answer.json()
        assert body["status"] == "success", f"{parameters['query']}: {body.get('error')}"
        result: list[dict[str, Any]] = body["data"]["result"]
        return result


def _target(pod: Pod) -> dict[str, Any]:
    # The labels that Prometheus' operator gives to what a PodMonitor finds.
    return {
        "targets": [pod.admin.removeprefix("http://")],
        "labels": {"namespace": "documents", "pod": pod.name, "container": "connector"},
    }
