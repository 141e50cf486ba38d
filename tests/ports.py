"""Free ports on this machine's own address."""

from __future__ import annotations

import socket
from random import SystemRandom

HOST = "127.0.0.1"


def free_ports(count: int) -> tuple[int, ...]:
    """Ports that are free at this moment; whoever uses one must be ready to find it taken.

    They lie below the range from which Linux takes the local ports of outgoing connections, so that no client can sit
    on a server's port while that server is down.
    """
    found: list[int] = []
    random = SystemRandom()
    while len(found) < count:
        port = random.randrange(15_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return tuple(found)
