"""The client of the schema registry and TLS: whom it trusts, and how it proves who it is."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from connector.adapters.registry import SchemaRegistry
from connector.config import Registry
from connector.core.errors import RegistryRefused, RegistryUnavailable
from tests.fakes.registry import FakeRegistry
from tests.ports import HOST


class Authority:
    """A certificate authority of a test, and files from it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        self.ca = trustme.CA()
        self.ca_file = str(folder / "ca.pem")
        self.ca.cert_pem.write_to_path(self.ca_file)

    def client(self, name: str) -> tuple[str, str]:
        """The files of a client's certificate and its key."""
        made = self.ca.issue_cert(name)
        certificate, key = str(self._folder / "cert.pem"), str(self._folder / "key.pem")
        made.cert_chain_pems[0].write_to_path(certificate)
        made.private_key_pem.write_to_path(key)
        return certificate, key


def encrypt(key: Path) -> None:
    """Put a passphrase on a key."""
    loaded = load_pem_private_key(key.read_bytes(), None)
    secret = BestAvailableEncryption(b"canary")
    key.write_bytes(loaded.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ours")


@pytest.fixture
def server(authority: Authority) -> Iterator[FakeRegistry]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.ca.issue_cert(HOST).configure_cert(context)
    with FakeRegistry(tls=context) as fake:
        yield fake


async def test_a_registry_is_trusted_by_the_authority_that_the_file_names(
    server: FakeRegistry, authority: Authority
) -> None:
    assert await SchemaRegistry(Registry(url=server.url, ca_file=authority.ca_file)).subjects() == ()


async def test_a_registry_of_another_authority_is_not_asked(server: FakeRegistry, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other")
    for settings in (Registry(url=server.url, ca_file=other.ca_file), Registry(url=server.url)):
        with pytest.raises(RegistryUnavailable, match=r"TLS: .*certificate"):
            await SchemaRegistry(settings).subjects()
    assert server.asked == []


async def test_a_certificate_proves_who_asks(server: FakeRegistry, authority: Authority, tmp_path: Path) -> None:
    assert server.tls is not None
    server.tls.load_verify_locations(authority.ca_file)
    server.tls.verify_mode = ssl.CERT_REQUIRED
    certificate, key = authority.client("connector.example")
    known = Registry(url=server.url, ca_file=authority.ca_file, certificate_file=certificate, key_file=key)
    assert await SchemaRegistry(known).subjects() == ()
    with pytest.raises(RegistryUnavailable):
        await SchemaRegistry(Registry(url=server.url, ca_file=authority.ca_file)).subjects()
    foreign, foreign_key = Authority(tmp_path / "other").client("connector.example")
    stranger = known.model_copy(update={"certificate_file": foreign, "key_file": foreign_key})
    with pytest.raises(RegistryUnavailable):
        await SchemaRegistry(stranger).subjects()


async def test_a_certificate_that_was_changed_is_used_from_the_next_request_on(
    server: FakeRegistry, authority: Authority, tmp_path: Path
) -> None:
    other = Authority(tmp_path / "other")
    registry = SchemaRegistry(Registry(url=server.url, ca_file=other.ca_file))
    with pytest.raises(RegistryUnavailable):
        await registry.subjects()
    authority.ca.cert_pem.write_to_path(other.ca_file)
    assert await registry.subjects() == ()


@pytest.mark.parametrize("content", [None, b"no certificate"])
async def test_a_file_that_cannot_be_used_is_said(server: FakeRegistry, tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(RegistryRefused, match=r"a file of schema_registry\.ca_file, .* cannot be used"):
        await SchemaRegistry(Registry(url=server.url, ca_file=str(file))).subjects()


async def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked_for_it(
    server: FakeRegistry, authority: Authority
) -> None:
    certificate, key = authority.client("connector.example")
    encrypt(Path(key))
    settings = Registry(url=server.url, ca_file=authority.ca_file, certificate_file=certificate, key_file=key)
    with pytest.raises(RegistryRefused, match="cannot be used"):
        await SchemaRegistry(settings).subjects()
