"""Exit codes, and sentences for errors: 0 done, 1 failed while running, 2 wrong use or configuration.

A reader that goes away (`| head -1`) has what it wanted: 0, however much of the output was written before. The usual
141 would come and go with the size of a pipe's buffer, and `set -o pipefail` would fail now and then.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from connector.cli import app
from connector.core.errors import ConfigurationError, ConnectorError

DONE, FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130


def main() -> NoReturn:
    """Run a command and end the process."""
    try:
        code = _run()
    except KeyboardInterrupt:
        code = INTERRUPTED
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_stdout()
    sys.exit(code)


def _run() -> int:
    try:
        app(prog_name="extend-connector")
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # typer and rich end the process by themselves, with 1
            _forget_stdout()
            return DONE
        return end.code if isinstance(end.code, int) else FAILED
    except ConfigurationError as error:
        _say(error)
        return WRONG_USE
    except ConnectorError as error:
        _say(error)
        return FAILED
    return DONE


def _forget_stdout() -> None:
    """Python would complain once more when it closes a stdout that nobody reads."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)


def _say(error: ConnectorError) -> None:
    """The error's sentence on stderr; secrets that a library put into it are taken out."""
    from connector.logs import redact  # noqa: PLC0415 - needed only here, and --help should be fast

    print(redact(str(error)), file=sys.stderr)  # noqa: T201 - what a person reads


if __name__ == "__main__":
    main()
