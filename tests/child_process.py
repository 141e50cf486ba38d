"""A process that a test starts, signals by its pid, and that never outlives the test run."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

# The kernel ends the child when this process is gone, however that happens: SIGKILL and pytest-timeout's
# os._exit run no exit handler. Said by the child itself before it becomes the real program: the alternative,
# a preexec_fn, runs Python between fork and exec, which may hang beside librdkafka's threads.
_LAUNCHER = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent is gone")
os.execvp(sys.argv[2], sys.argv[2:])
"""


class ChildProcess:
    """One process with its output in a file.

    Start it from a thread that lives as long as the process should: Linux sends the signal that ends orphans when
    the *thread* that started the child ends.

    Attributes:
        name: what messages call it.
        log_path: its stdout and stderr, appended to over restarts.
    """

    def __init__(self, name: str, command: Sequence[str], log_path: Path, env: Mapping[str, str] | None = None) -> None:
        """A process that does not run yet.

        Args:
            name: what messages call it.
            command: program and arguments.
            log_path: file for stdout and stderr; its folder is made.
            env: the whole environment, or None for this process's.
        """
        self.name = name
        self.log_path = log_path
        self._command = list(command)
        self._env = dict(env) if env is not None else None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it.

        Raises:
            RuntimeError: it runs already.
        """
        if self.running:
            raise RuntimeError(f"{self.name} runs already, with pid {self.pid}.")
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), *self._command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._env,
                start_new_session=True,  # Ctrl-C reaches pytest alone, which then ends its children in order
            )

    @property
    def pid(self) -> int:
        """Its process id.

        Raises:
            RuntimeError: it was never started.
        """
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started.")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has been started and has not ended; a stopped process counts as running."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Its exit code, minus the signal's number when a signal ended it, or None while it runs."""
        return None if self._process is None else self._process.poll()

    @property
    def stopped(self) -> bool:
        """Whether SIGSTOP holds it, ours or its own (state ``T`` in ``/proc``)."""
        if not self.running:
            return False
        try:
            # The name in parentheses may hold spaces: the state follows the last parenthesis.
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
        except (FileNotFoundError, ProcessLookupError):
            return False

    @property
    def log(self) -> str:
        """Everything that it has printed so far."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_tail(self, lines: int = 15) -> str:
        """The end of its log, for messages."""
        return "\n".join(self.log.splitlines()[-lines:])

    def send(self, number: signal.Signals) -> None:
        """Send a signal.

        Raises:
            RuntimeError: it does not run.
        """
        if not self.running:
            raise RuntimeError(f"{self.name} does not run (exit code {self.exit_code}).\n{self.log_tail()}")
        os.kill(self.pid, number)

    def pause(self) -> None:
        """Stop it (SIGSTOP); returns when the kernel says that it is stopped."""
        self.send(signal.SIGSTOP)
        self.wait_stopped(10)

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""
        self.send(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, and wait for its end. Works on a stopped process; nothing happens when it has ended."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait(30)

    def terminate(self, within: float) -> int:
        """SIGTERM, and wait for its end.

        Args:
            within: seconds.

        Returns:
            The exit code.

        Raises:
            TimeoutError: it has not ended in time; it is left as it is, to be looked at.
        """
        self.send(signal.SIGTERM)
        return self.wait(within)

    def wait(self, within: float) -> int:
        """Wait for its end.

        Args:
            within: seconds.

        Returns:
            The exit code.

        Raises:
            TimeoutError: it has not ended in time.
        """
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started.")
        try:
            return self._process.wait(within)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{self.name} has not ended within {within:g} s.\n{self.log_tail()}") from None

    def wait_stopped(self, within: float) -> None:
        """Wait until SIGSTOP holds it.

        Args:
            within: seconds.

        Raises:
            TimeoutError: it was not stopped in time, or it ended.
        """
        deadline = time.monotonic() + within
        while not self.stopped:
            if not self.running or time.monotonic() > deadline:
                what = f"ended with {self.exit_code}" if not self.running else f"was not stopped within {within:g} s"
                raise TimeoutError(f"{self.name} {what}.\n{self.log_tail()}")
            time.sleep(0.02)
