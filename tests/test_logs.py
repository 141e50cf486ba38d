"""Lines of the log: JSON, complete, harmless, and never the reason why something fails."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest
import structlog

from connector.core.entry import Request, accept
from connector.core.record import Partition, Record
from connector.core.tag import tag_of
from connector.logs import MAX_CHARS, about, configure, logger, redact, register_secret

CANARY = "c4n4ry-S3cr3t-in-the-log"


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("connector")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


class Log:
    """A stream with the log as JSON lines."""

    def __init__(self, level: str = "info") -> None:
        self.stream = io.StringIO()
        configure(level, json=True, stream=self.stream)

    @property
    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    @property
    def line(self) -> dict[str, object]:
        (only,) = self.lines
        return only


@pytest.fixture
def log() -> Log:
    return Log()


def a_record() -> Record:
    return Record(Partition("documents", 3), 17, b"key", b'{"url": "https://x"}', (), 1)


def test_a_line_has_a_time_a_level_an_event_and_its_fields(log: Log) -> None:
    logger.info("Joined the group.", partitions=4, share=0.5, owned=["a", "b"], paused=False, since=None)
    line = log.line
    assert list(line)[:3] == ["timestamp", "level", "event"]
    stamp = line.pop("timestamp")
    assert isinstance(stamp, str)
    assert len(stamp) == len("2026-11-24T02:17:37.123Z")
    assert stamp.endswith("Z")
    assert line == {
        "level": "info",
        "event": "Joined the group.",
        "partitions": 4,
        "share": 0.5,
        "owned": ["a", "b"],
        "paused": False,
        "since": None,
    }


def test_lines_about_a_document_carry_tag_route_and_run(log: Log) -> None:
    record = a_record()
    tag = tag_of("invoices", "topic-id", record)
    entry = accept(tag, Request("extract", "fast", b"{}"), record, 1)
    about(tag).info("Accepted.")
    about(entry).info("Ready.")
    about(entry, run_id="exr_1").info("Started.")
    about(entry.start("exr_2", 2)).info("Ended.")
    assert [(line["tag"], line["route"], line["run_id"]) for line in log.lines] == [
        (str(tag), None, None),
        (str(tag), "fast", None),
        (str(tag), "fast", "exr_1"),
        (str(tag), "fast", "exr_2"),
    ]


def test_bound_context_stands_on_every_line(log: Log) -> None:
    with structlog.contextvars.bound_contextvars(connector="invoices"):
        logger.info("Inside.")
    logger.info("Outside.")
    inside, outside = log.lines
    assert inside["connector"] == "invoices"
    assert "connector" not in outside


def test_lines_below_the_level_are_not_written() -> None:
    log = Log("warning")
    logger.debug("no")
    logger.info("no")
    logger.warning("yes")
    assert log.line["event"] == "yes"


def test_an_unknown_level_is_named() -> None:
    with pytest.raises(ValueError, match="'loud' is unknown; it is one of debug, info"):
        configure("loud", json=True)


def test_configuring_again_replaces_and_does_not_double() -> None:
    first = Log()
    second = Log()
    logger.info("once")
    assert first.lines == []
    assert second.line["event"] == "once"


def test_libraries_speak_from_warning_on_in_the_same_form(log: Log) -> None:
    library = logging.getLogger("some.library")
    library.info("chatter")
    library.warning("slow answer from %s", f"https://host/x?token={CANARY}")
    line = log.line
    assert line["event"] == "slow answer from https://host/…"
    assert line["logger"] == "some.library"
    assert line["level"] == "warning"
    assert str(line["timestamp"]).endswith("Z")


def fail_with_locals() -> None:
    document = f"local {CANARY}"
    raise ValueError(f"{len(document)} bytes were refused for Authorization: Bearer {CANARY}")


def test_an_exception_is_one_field_without_locals_and_without_secrets(log: Log) -> None:
    try:
        fail_with_locals()
    except ValueError:
        logger.exception("It failed.")
        logging.getLogger("library").exception("There too.")
    ours, theirs = log.lines
    for line in (ours, theirs):
        trace = str(line["exception"])
        assert trace.startswith("Traceback")
        assert "fail_with_locals" in trace
        assert "bytes were refused for Authorization: ***" in trace
    assert CANARY not in log.stream.getvalue()


def test_a_canary_gets_out_by_no_field(log: Log) -> None:
    register_secret(CANARY)

    class Thing:
        def __repr__(self) -> str:
            return f"Thing({CANARY})"

    logger.info(
        f"event {CANARY}",
        text=CANARY,
        nested={"list": [{"deep": (CANARY,)}], CANARY: 1},
        raw=CANARY.encode(),
        thing=Thing(),
        error=ValueError(CANARY),
        many={CANARY},
    )
    logging.getLogger("library").error("%r", Thing())
    assert len(log.lines) == 2
    assert CANARY not in log.stream.getvalue()


def test_a_field_with_a_telling_name_is_hidden_whatever_it_holds(log: Log) -> None:
    logger.info("Connecting.", properties={"sasl.username": "me", "sasl.password": "x"}, api_key=b"y")
    assert log.line["properties"] == {"sasl.username": "me", "sasl.password": "***"}
    assert log.line["api_key"] == "***"


def test_a_long_text_is_cut_after_it_was_redacted(log: Log) -> None:
    register_secret(CANARY)
    logger.info("x", body="a" * (MAX_CHARS - 5) + CANARY + "b" * 100)
    body = str(log.line["body"])
    assert len(body) < MAX_CHARS + 40
    assert "c4n4" not in body
    assert body.endswith(" more characters)")


def test_every_value_makes_valid_json_on_one_line(log: Log) -> None:
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError

    cyclic: list[object] = []
    cyclic.append(cyclic)
    logger.info("two\nlines\u2028", nan=float("nan"), broken=Broken(), cyclic=cyclic, lone="\ud800")
    assert len(log.stream.getvalue().splitlines()) == 1
    assert json.loads(log.stream.getvalue(), parse_constant=pytest.fail)["nan"] == "nan"
    assert log.line["broken"] == "<Broken: RuntimeError while being shown>"


def test_people_get_lines_without_colours_when_it_is_no_terminal() -> None:
    stream = io.StringIO()
    configure(json=False, stream=stream)
    logger.warning("Slow.", url=f"https://u:{CANARY}@host/")
    text = stream.getvalue()
    assert "Slow." in text
    assert "url=https://host/…" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("as_json", [True, False])
def test_a_closed_stream_is_no_reason_to_fail(as_json: bool) -> None:  # noqa: FBT001 - a parameter of the test
    stream = io.StringIO()
    configure(json=as_json, stream=stream)
    stream.close()
    logger.error("nobody hears this")
    logging.getLogger("library").error("nor this")


@pytest.mark.parametrize("loss", ["os.close(2)", "sys.stderr.close()", "os.dup2(os.open('/dev/full', os.O_WRONLY), 2)"])
def test_a_lost_stderr_is_no_reason_to_fail(loss: str) -> None:
    program = (
        "import os, sys\n"
        "from connector.logs import configure, logger\n"
        "configure(json=True)\n"
        f"{loss}\n"
        "logger.error('gone')\n"
        "logger.error('gone')\n"
        "print('went on')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert "went on" in done.stdout


def test_warnings_and_uncaught_exceptions_are_lines_of_the_log_too() -> None:
    program = (
        "import threading, warnings\n"
        "from connector.logs import configure, log_uncaught\n"
        "configure(json=True)\n"
        "log_uncaught()\n"
        "def fail():\n"
        f"    raise ValueError('Bearer {CANARY}')\n"
        "warnings.warn('old', DeprecationWarning, stacklevel=1)\n"
        "thread = threading.Thread(target=fail)\n"
        "thread.start()\n"
        "thread.join()\n"
        "fail()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    warning, in_thread, at_last = [json.loads(line) for line in done.stderr.splitlines()]
    assert warning["logger"] == "py.warnings"
    assert "DeprecationWarning: old" in warning["event"]
    for line in (in_thread, at_last):
        assert line["event"] == "uncaught_exception"
        assert line["exception"].endswith("ValueError: Bearer ***")


def test_without_configuration_a_warning_reads_as_a_sentence_and_nothing_goes_to_stdout() -> None:
    program = "from connector.logs import logger\nlogger.info('no')\nlogger.warning('A warning.', key='sk_1')\n"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == ""
    assert done.stderr == "A warning.\n"


def test_messages_that_leave_by_another_way_can_be_redacted_too() -> None:
    register_secret(CANARY)
    assert redact(f"refused: {CANARY}") == "refused: ***"
