"""Sends webhooks at a pace, as a process of its own: threads with plain sockets, which cost less than the ingress does.

``python -m tests.benchmarks.webhook_client port name signed|forged per_second seconds`` writes one JSON object: how
many were answered as they should not be, in how many seconds all were, and how long each took.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from dataclasses import replace
from itertools import count

from tests.ports import HOST
from tests.webhook.stage import TAG, event, request

CONNECTIONS = 32
FORGED = b"wss_a_secret_that_nobody_has_been_given"
_PADDING = f'"output": "{"x" * 2400}", "object"'.encode()
_TIMEOUT = 30.0


def webhook(name: str, number: int, *, forged: bool = False) -> bytes:
    """A request as long as one about a small extraction.

    Args:
        name: the connector's.
        number: makes the event another one.
        forged: signed with another secret.
    """
    body = event(number, tag=replace(TAG, name=name)).replace(b'"object"', _PADDING)
    return request(body, secret=FORGED) if forged else request(body)


class Sender:
    """Everything that is sent, over some connections. A refusal ends its connection, and the next has another one."""

    def __init__(self, port: int, requests: list[bytes], status: bytes, per_second: float) -> None:
        """Nothing is sent yet.

        Args:
            port: of the ingress.
            requests: what is sent.
            status: of every answer.
            per_second: how many, as far as the machine can.
        """
        self.took: list[float] = []
        self.wrong = 0
        self._port = port
        self._requests = requests
        self._status = b"HTTP/1.1 " + status
        self._per_second = per_second
        self._numbers = count()

    def run(self) -> float:
        """Send all, and return the seconds that it took."""
        self._began = time.monotonic()
        threads = [threading.Thread(target=self._one_after_another) for _ in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.monotonic() - self._began

    def _one_after_another(self) -> None:
        connection: socket.socket | None = None
        while (number := next(self._numbers)) < len(self._requests):
            time.sleep(max(0.0, self._began + number / self._per_second - time.monotonic()))
            start = time.monotonic()
            if connection is None:
                connection = socket.create_connection((HOST, self._port), _TIMEOUT)
            connection.sendall(self._requests[number])
            answer = connection.recv(4096)  # no answer has a body, and each is one small packet
            self.took.append(time.monotonic() - start)
            self.wrong += not answer.startswith(self._status)
            if b"connection: close" in answer:
                connection.close()
                connection = None
        if connection is not None:
            connection.close()


if __name__ == "__main__":
    port, name, kind, per_second, seconds = sys.argv[1:]
    first = time.time_ns() % 10**12  # no run repeats the events of another one
    numbers = range(first, first + round(float(per_second) * float(seconds)))
    made = [webhook(name, number, forged=kind == "forged") for number in numbers]
    sender = Sender(int(port), made, b"401" if kind == "forged" else b"204", float(per_second))
    spent = sender.run()
    sys.stdout.write(json.dumps({"seconds": spent, "took": sender.took, "wrong": sender.wrong}))
