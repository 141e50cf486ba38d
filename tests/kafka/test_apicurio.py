"""A real registry does what every registry does."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from connector.adapters.registry import SchemaRegistry
from connector.config import Registry
from tests.kafka.apicurio import Apicurio
from tests.registry.contract import RegistryContract


class TestApicurio(RegistryContract):
    @pytest.fixture
    def registry(self, apicurio: Apicurio) -> SchemaRegistry:
        return SchemaRegistry(Registry(url=apicurio.url))


def test_it_listens_on_loopback_alone_and_at_no_fixed_port(apicurio: Apicurio) -> None:
    own, management = listening(apicurio.process.pid)
    assert {address for address, _ in (own, management)} == {"0100007F"}
    assert 9000 not in {own[1], management[1]}


def listening(pid: int) -> list[tuple[str, int]]:
    """Where a process listens: the last four bytes of the address in the kernel's notation, and the port."""
    folder = Path("/proc", str(pid))
    sockets = set()
    for descriptor in (folder / "fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            sockets.add(descriptor.readlink().name)
    found = []
    for table in ("tcp", "tcp6"):
        for line in (folder / "net" / table).read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == "0A" and f"socket:[{inode}]" in sockets:
                address, _, port = local.partition(":")
                found.append((address[-8:], int(port, 16)))
    return found
