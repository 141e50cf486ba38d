"""`webhook` and `webhook send` as processes on a real broker."""

from __future__ import annotations

import sys
from pathlib import Path

from connector.core.record import Partition
from connector.core.tag import Tag
from tests.chaos.processes import environment, wait_for_answer
from tests.child_process import ChildProcess
from tests.kafka.project import Project
from tests.ports import HOST, free_ports
from tests.webhook.stage import SECRET


def test_an_event_that_is_sent_becomes_a_signal_and_sigterm_ends_in_order(made: Project, tmp_path: Path) -> None:
    port, admin_port = free_ports(2)
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "key").unlink()  # the ingress needs none
    with (tmp_path / "connector.yaml").open("a") as file:
        file.write(f"webhook: {{host: {HOST}, port: {port}, secret_files: [{tmp_path}/secret]}}\n")
        file.write(f"admin: {{host: {HOST}, port: {admin_port}}}\nlog: {{level: debug}}\n")
    line = [sys.executable, "-m", "connector", "webhook", "--config", str(tmp_path / "connector.yaml")]
    process = ChildProcess("webhook", line, tmp_path / "webhook.log", environment({}))
    process.start()
    wait_for_answer(f"http://{HOST}:{admin_port}/readyz", process, 60)

    url = f"http://{HOST}:{port}/webhooks/extend"
    tag = Tag(made.name, Partition(made.topic, 3), 7, "b" * 22)
    sent = made.run("webhook", "send", url, "--tag", str(tag), "--run-id", "exr_7")
    assert (sent.code, sent.out) == (0, f"{url} answered 204.\n")
    refused = made.run("webhook", "send", url, env={"EXTEND_WEBHOOK_SECRET": "wss_of_somebody_else_entirely"})
    assert (refused.code, refused.out) == (1, f"{url} answered 401.\n")

    assert process.terminate(25) == 0
    log = process.log_path.read_text()
    assert '"result": "accepted"' in log
    assert str(tag) in log
    assert SECRET.decode() not in log
    assert "Traceback" not in log
