"""The image as it comes out of the Dockerfile: what is in it, and that its commands work where it will run."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from connector.cli import COMMANDS
from connector.simulator.server import SimulatorServer
from tests.chaos.processes import wait_for_answer
from tests.image.builder import ARGUMENTS, BASE, Builder, can_unshare
from tests.image.container import USER, Container
from tests.kafka.project import Project
from tests.ports import HOST, free_ports
from tests.webhook.stage import SECRET

pytestmark = pytest.mark.timeout(900)

END_SECONDS = 25


@dataclass(frozen=True)
class Image:
    """The built image.

    Attributes:
        root: its file system.
        config: what it says of itself.
        sbom: what the build's other target says about its packages.
    """

    root: Path
    config: Mapping[str, Any]
    sbom: Mapping[str, Any]


@pytest.fixture(scope="session")
def namespaces() -> None:
    if os.geteuid() != 0:
        pytest.skip("Building the image without a container engine needs root.")
    can_unshare()


@pytest.fixture(scope="module")
def image(namespaces: None, buildah: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:  # noqa: ARG001 - in this order
    folder = tmp_path_factory.mktemp("image")
    builder = Builder(buildah, folder)
    try:
        builder.build("localhost/connector")
        builder.build("localhost/sbom", "--target", "sbom")
        sbom = json.loads((builder.mounted("localhost/sbom") / "sbom.cdx.json").read_text())
        yield Image(builder.mounted("localhost/connector"), builder.config("localhost/connector"), sbom)
    finally:
        builder.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What is mounted into a container; anybody may read it."""
    made = tmp_path / "mounted"
    made.mkdir(mode=0o755)
    return made


def site_packages(image: Image) -> Path:
    (found,) = image.root.glob("app/lib/python3*/site-packages")
    return found


def test_it_says_where_it_comes_from(image: Image) -> None:
    labels = {name.removeprefix("org.opencontainers.image."): text for name, text in image.config["Labels"].items()}
    said = {labels[name] for name in ("version", "revision", "source", "base.digest")}
    assert said == set(ARGUMENTS.values())
    assert labels["base.name"] == BASE
    assert (image.config["User"], image.config["Entrypoint"]) == ("65532:65532", ["extend-connector"])


def test_the_bill_of_materials_lists_exactly_the_packages_of_the_image(image: Image) -> None:
    installed = {path.stem.partition("-")[0].lower() for path in site_packages(image).glob("*.dist-info")}
    listed = {each["name"].lower().replace("-", "_").replace(".", "_"): each for each in image.sbom["components"]}
    assert (image.sbom["bomFormat"], image.sbom["specVersion"]) == ("CycloneDX", "1.6")
    assert set(listed) == installed
    assert {"confluent_kafka", "extend_kafka_connector"} <= installed
    assert [name for name, each in listed.items() if not each.get("version") or not each.get("licenses")] == []


def test_nobody_but_root_may_write_to_it_and_nothing_in_it_installs(image: Image) -> None:
    ours = [image.root / "app", *(image.root / "app").rglob("*")]
    loose = [path for path in ours if not path.is_symlink() and (path.stat().st_uid or path.stat().st_mode & 0o022)]
    assert loose == []
    assert not [path for path in site_packages(image).iterdir() if path.name in {"pip", "hatchling", "cyclonedx_py"}]
    assert (site_packages(image) / "connector" / "__pycache__").is_dir(), "a read-only root cannot take bytecode later"


def test_its_root_is_read_only_and_its_user_is_nobody_that_it_knows(image: Image, folder: Path) -> None:
    script = (
        "id -u; id -g; echo $$; touch /tmp/x && echo tmp; touch /app/x; touch /etc/extend-connector/x; touch /x; true"
    )
    code, out = Container("look", image.root, image.config, folder, "sh", "-c", script, entrypoint=False).run()
    lines = out.splitlines()
    assert (code, lines[:4]) == (0, [*USER.split(":"), "1", "tmp"])
    assert [line.rpartition(": ")[2] for line in lines[4:]] == ["Read-only file system"] * 3


def test_it_has_every_command(image: Image, folder: Path) -> None:
    code, out = Container("help", image.root, image.config, folder, "--help").run()
    assert code == 0
    assert [name for name in COMMANDS if name not in out] == []
    code, out = Container("run", image.root, image.config, folder).run()
    assert code == 2, "its own command is run, and there is no configuration"
    assert "extend.api_key" in out


async def test_a_worker_passes_the_doctor_carries_a_document_and_ends_on_sigterm(
    image: Image, made: Project, folder: Path
) -> None:
    (admin_port,) = free_ports(1)
    text = (made.folder / "connector.yaml").read_text()
    (folder / "connector.yaml").write_text(f"{text}admin: {{port: {admin_port}}}\n")
    (folder / "key").write_text("sk_test_canary\n")
    async with SimulatorServer() as simulator:
        api = {"EXTEND_BASE_URL": simulator.base_url}
        doctor = Container("doctor", image.root, image.config, folder, "doctor", "--json", environment=api)
        doctor.process.start()
        code = await asyncio.to_thread(doctor.process.wait, 90)
        assert code == 0, doctor.process.log
        worker = Container("worker", image.root, image.config, folder, environment=api)
        worker.process.start()
        try:
            await asyncio.to_thread(wait_for_answer, f"http://{HOST}:{admin_port}/readyz", worker.process, 90)
            sent = await asyncio.to_thread(made.run, "submit", "--url", "https://example.com/invoice.pdf")
            assert sent.code == 0, sent.err
            until = time.monotonic() + 90
            while not (results := (await asyncio.to_thread(made.run, "results", "--json")).lines):
                assert time.monotonic() < until, worker.process.log_tail()
            assert await asyncio.to_thread(worker.terminate, END_SECONDS) == 0
        finally:
            worker.process.kill()
    assert len(results) == 1
    assert "Traceback" not in worker.process.log
    assert "canary" not in worker.process.log


def test_an_ingress_takes_a_webhook_and_ends_on_sigterm(image: Image, made: Project, folder: Path) -> None:
    port, admin_port = free_ports(2)
    text = (made.folder / "connector.yaml").read_text()
    own = f"webhook: {{port: {port}, secret_files: [secret]}}\nadmin: {{port: {admin_port}}}\n"
    (folder / "connector.yaml").write_text(text + own)
    (folder / "secret").write_bytes(SECRET)
    ingress = Container("webhook", image.root, image.config, folder, "webhook")
    ingress.process.start()
    try:
        wait_for_answer(f"http://{HOST}:{admin_port}/readyz", ingress.process, 90)
        url = f"http://{HOST}:{port}/webhooks/extend"
        sent = made.run("webhook", "send", url, env={"EXTEND_WEBHOOK_SECRET": SECRET.decode()})
        assert (sent.code, sent.out) == (0, f"{url} answered 204.\n")
        assert ingress.terminate(END_SECONDS) == 0
    finally:
        ingress.process.kill()
    assert "Traceback" not in ingress.process.log
