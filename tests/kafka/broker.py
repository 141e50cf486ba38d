"""``make broker``: the Apache Kafka of the tests as a broker for trying things out, until Ctrl-C or SIGTERM.

One node without rights, encryption or copies. It keeps nothing: its topics are gone when it ends.
"""

from __future__ import annotations

import signal
import socket
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from tests.kafka.cluster import KafkaCluster
from tests.kafka.jars import BrokerUnavailable
from tests.kafka.node import Ports
from tests.ports import HOST, free_ports


def main(arguments: Sequence[str]) -> int:
    """Run a broker until somebody ends it.

    Returns:
        The exit code: 1 when it does not come up, or ends by itself.
    """
    parser = ArgumentParser(prog="make broker", description="Apache Kafka on this machine, until Ctrl-C.")
    parser.add_argument("--port", type=int, default=9092, help="where clients connect (default: 9092)")
    port: int = parser.parse_args(arguments).port
    if not _is_free(port):
        _say(
            f'Port {port} is taken. Choose another with make broker ARGS="--port 9192", and name it in connector.yaml.'
        )
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    (controller,) = free_ports(1)
    _say("Starting Apache Kafka; the first time its jars are fetched.")
    try:
        with (
            tempfile.TemporaryDirectory(prefix="kafka-") as folder,
            KafkaCluster(folder=Path(folder) / "broker", ports=[Ports(port, controller)]) as cluster,
        ):
            _say(f"Apache Kafka answers on localhost:{port} ({HOST} only). Ctrl-C ends it, and its topics with it.")
            while cluster.node(1).process.running:
                time.sleep(0.5)
            _say(f"Kafka has ended by itself:\n{cluster.node(1).process.log_tail()}")
    except BrokerUnavailable as error:
        _say(str(error))
    except KeyboardInterrupt:
        return 0
    return 1


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # as Kafka binds: connections that ended do not count
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _say(sentence: str) -> None:
    print(sentence, flush=True)  # noqa: T201 - a command prints


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
