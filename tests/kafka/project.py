"""A folder with a configuration, and commands that run in it as processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer

from connector.core.record import OutRecord


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True)
class Project:
    """A folder with a configuration, and the names in it."""

    folder: Path
    servers: str
    name: str
    topic: str
    prefix: str

    def run(self, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> Done:
        command = [sys.executable, "-m", "connector", *arguments]
        ended = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, **(env or {})},
            input=stdin,
            capture_output=True,
            timeout=60,
            check=False,
        )
        out, err = ended.stdout.decode(), ended.stderr.decode()
        assert "Traceback" not in err, err
        return Done(ended.returncode, out, err)

    def write(self, topic: str, *values: bytes, headers: Sequence[tuple[str, bytes | None]] = ()) -> None:
        producer = Producer({"bootstrap.servers": self.servers})
        for value in values:
            producer.produce(topic, value, key=b"key", headers=list(headers))
        assert producer.flush(30) == 0

    def write_record(self, record: OutRecord) -> None:
        """Write one record with its key and headers as they are."""
        producer = Producer({"bootstrap.servers": self.servers})
        producer.produce(record.topic, record.value, key=record.key, headers=list(record.headers))
        assert producer.flush(30) == 0

    def read(self, count: int) -> list[tuple[bytes | None, bytes]]:
        """Keys and values of the input topic, read by confluent-kafka alone."""
        consumer = Consumer(
            {"bootstrap.servers": self.servers, "group.id": self.name, "auto.offset.reset": "earliest"},
        )
        consumer.subscribe([self.topic])
        found: list[tuple[bytes | None, bytes]] = []
        until = time.monotonic() + 30
        while len(found) < count and time.monotonic() < until:
            message = consumer.poll(0.2)
            if message is not None and message.error() is None:
                found.append((message.key(), message.value() or b""))
        consumer.close()
        return found


def project_in(folder: Path, servers: str, name: str, topic: str, prefix: str) -> Project:
    """A project whose topics are not made."""
    (folder / "connector.yaml").write_text(
        f"""\
name: {name}
kafka: {{bootstrap_servers: "{servers}"}}
extend: {{api_key_file: key}}
routes:
  documents: {{topic: {topic}, run: extract, processor: ex_1}}
output: {{prefix: {prefix}}}
""",
    )
    (folder / "key").write_text("sk_test_canary\n")
    return Project(folder, servers, name, topic, prefix)
