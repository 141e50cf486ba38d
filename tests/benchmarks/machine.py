"""What the figures were measured on, and what the kernel says about a process."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import confluent_kafka
import httpx

from tests.kafka.jars import read_lock

_TICKS = os.sysconf("SC_CLK_TCK")
_BROKER = "kafka_2.13"


def machine() -> str:
    """The machine and the versions, one line; the load says whether somebody else was at work."""
    kafka = next((jar.version for jar in read_lock() if jar.artifact == _BROKER), "unknown")
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores, {_cpu_model()}, load {load:.1f} | Python {platform.python_version()}, "
        f"librdkafka {confluent_kafka.libversion()[0]}, httpx {httpx.__version__}, Apache Kafka {kafka}"
    )


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used.

    Attributes:
        cpu: seconds of CPU, user and system, all threads.
        rss: bytes in memory now.
    """

    cpu: float
    rss: int


def usage(pid: int) -> Usage:
    """What a process has used until now.

    Raises:
        OSError: it has ended.
    """
    # The name in parentheses may hold spaces: the fields are counted from the last parenthesis.
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    cpu = (int(stat[11]) + int(stat[12])) / _TICKS
    return Usage(cpu, int(stat[21]) * os.sysconf("SC_PAGE_SIZE"))


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or "unknown processor"
