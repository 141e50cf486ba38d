"""`extend-connector check` and the command line around it, as processes."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from connector import __version__
from connector.cli import COMMANDS
from connector.config.document import page
from connector.config.reference import json_schema

CANARY = "cAnArY"
SETTINGS = {"KAFKA_BOOTSTRAP_SERVERS": "localhost:9092", "EXTEND_API_KEY": f"sk_{CANARY}"}
COMMAND = Path(sys.executable).with_name("extend-connector")


def command(folder: Path, *arguments: str, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """The installed command in a folder of its own, with nothing of our environment but the paths."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.run(
        [str(COMMAND), *arguments],
        cwd=folder,
        env={**kept, "COLUMNS": "100", **(SETTINGS if environ is None else environ)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_right_configuration_is_shown_with_its_sources(tmp_path: Path) -> None:
    (tmp_path / "connector.yaml").write_text("name: invoices\nkafka:\n  commit_linger: 5ms\n")
    done = command(tmp_path, "check")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["name", "invoices", "connector.yaml:1"] in lines
    assert ["kafka.commit_linger", "5ms", "connector.yaml:3"] in lines
    assert ["kafka.bootstrap_servers", "localhost:9092", "KAFKA_BOOTSTRAP_SERVERS"] in lines
    assert ["extend.api_key", "***", "EXTEND_API_KEY"] in lines
    assert ["start.settle", "10m", "default"] in lines
    assert ["extend.plan", "payg", "default"] in lines
    assert CANARY not in done.stdout


def test_lines_of_json_are_for_programs(tmp_path: Path) -> None:
    environ = {**SETTINGS, "CONNECTOR__START__SETTLE": "30s", "CONNECTOR__KAFKA__PROPERTIES__SASL_PASSWORD": CANARY}
    (tmp_path / "connector.yaml").write_text("extend: {limits: {run: 1}}\n")
    done = command(tmp_path, "check", "--json", environ=environ)
    assert (done.returncode, done.stderr) == (0, "")
    found = {(line["key"], "warning" in line): line for line in map(json.loads, done.stdout.splitlines())}
    assert found["start.settle", False]["value"] == "30s"
    assert found["extend.plan", False]["value"] is None
    assert found["start.settle", False]["source"] == "CONNECTOR__START__SETTLE"
    assert found["start.settle", True]["warning"].startswith("is short")
    assert found["kafka.properties.sasl.password", False]["value"] == "***"
    assert CANARY not in done.stdout


def test_every_problem_is_one_line_and_the_exit_code_is_2(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(f"nam: x\nextend:\n  api_key: {CANARY}\n")
    done = command(tmp_path, "check", "--config", "c.yaml", environ={"CONNECTOR__ADMIN__PORT": "x"})
    assert (done.returncode, done.stdout) == (2, "")
    assert [line.partition(": ")[0] for line in done.stderr.splitlines()] == [
        "c.yaml:1",
        "c.yaml:3",
        "kafka.bootstrap_servers",
        "CONNECTOR__ADMIN__PORT",
    ]
    assert CANARY not in done.stderr


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("missing.yaml", None, "missing.yaml: cannot be read: no such file or directory"),
        (".", None, ".: cannot be read: is a directory"),
        ("c.yaml", b"\xff\xfe", "c.yaml: is no UTF-8 text"),
        ("c.yaml", b"a: [1", "c.yaml:1: is no YAML"),
        ("c.yaml", b"a: \x00", "c.yaml: is no YAML: it holds a character"),
        ("c.yaml", b"#" * 2_000_000, "c.yaml: is longer than"),
        ("/dev/zero", None, "/dev/zero: is"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence(
    tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    done = command(tmp_path, "check", "--config", name)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(said)
    assert len(done.stderr.splitlines()) == 1


def test_a_secret_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"sk_{CANARY}\n")
    (tmp_path / "key").chmod(0o600)
    (tmp_path / "connector.yaml").write_text("kafka: {bootstrap_servers: a}\nextend: {api_key_file: key}\n")
    done = command(tmp_path, "check", environ={})
    assert (done.returncode, done.stderr) == (0, "")
    assert ["extend.api_key", "***", "connector.yaml:2"] in [line.split() for line in done.stdout.splitlines()]
    assert CANARY not in done.stdout


def test_schema_and_reference_need_no_configuration(tmp_path: Path) -> None:
    schema = command(tmp_path, "check", "--schema", environ={})
    assert (schema.returncode, schema.stdout) == (0, json_schema())
    reference = command(tmp_path, "check", "--reference", environ={})
    assert (reference.returncode, reference.stdout) == (0, page())


def test_the_version_is_printed(tmp_path: Path) -> None:
    done = command(tmp_path, "--version", environ={})
    assert (done.returncode, done.stdout) == (0, f"extend-connector {__version__}\n")


def test_the_help_lists_every_command(tmp_path: Path) -> None:
    done = command(tmp_path, "--help", environ={})
    assert done.returncode == 0
    assert all(f" {name} " in done.stdout for name in COMMANDS)
    assert "completion" not in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_has_an_example(tmp_path: Path, name: str) -> None:
    done = command(tmp_path, name, "--help", environ={})
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Example: extend-connector {name}" in " ".join(done.stdout.split())


@pytest.mark.parametrize("arguments", [["chek"], ["check", "--nonsense"], ["check", "extra"]])
def test_wrong_use_is_said_with_exit_code_2(tmp_path: Path, arguments: list[str]) -> None:
    done = command(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


def test_a_mistyped_command_gets_the_nearest(tmp_path: Path) -> None:
    assert "Did you mean 'check'?" in command(tmp_path, "chek").stderr


def test_the_help_imports_no_client(tmp_path: Path) -> None:
    script = (
        "import sys; sys.argv = ['extend-connector', '--help']\n"
        "from connector.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'confluent_kafka', 'httpx', 'pydantic', 'fastavro', 'starlette', 'structlog'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "arguments", [["check", "--schema"], ["check"], ["check", "--json"], ["check", "--help"], ["--version"]]
)
def test_a_reader_that_goes_away_has_what_it_wanted(tmp_path: Path, arguments: list[str]) -> None:
    with subprocess.Popen(
        [str(COMMAND), *arguments],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **SETTINGS},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


def test_on_a_terminal_the_table_is_as_wide_as_the_terminal(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [str(COMMAND), "check"], cwd=tmp_path, stdout=theirs, stderr=theirs, env={**os.environ, **SETTINGS}
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while chunk := os.read(ours, 65536):
                shown += chunk
        except OSError:
            pass  # Linux' way to say that nobody holds the other end
        os.close(ours)
        assert process.wait(60) == 0
    assert b"extend.api_key" in shown
    assert CANARY.encode() not in shown


def test_librdkafka_is_asked_about_its_properties(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "kafka:\n  properties:\n    sockt.timeout.ms: 5\n    security.protocol: nope\n    linger.ms: 5\n"
    )
    done = command(tmp_path, "check", "--config", "c.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    first, second = done.stderr.splitlines()
    assert first == (
        "c.yaml:3: kafka.properties.sockt.timeout.ms: is no property of librdkafka; did you mean socket.timeout.ms?"
    )
    assert second.startswith("c.yaml:4: kafka.properties.security.protocol: is refused by librdkafka: ")
    # `run` asks too, and before it looks for a broker.
    assert command(tmp_path, "run", "--config", "c.yaml").stderr == done.stderr


def test_a_secret_that_everybody_can_read_is_a_warning(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(f"sk_{CANARY}\n")
    (tmp_path / "connector.yaml").write_text("kafka: {bootstrap_servers: a}\nextend:\n  api_key_file: key\n")
    key.chmod(0o644)
    done = command(tmp_path, "check", environ={})
    assert done.returncode == 0
    assert done.stderr.startswith("Warning: connector.yaml:3: extend.api_key_file: names a file that every user")
    key.chmod(0o640)
    assert command(tmp_path, "check", environ={}).stderr == ""
