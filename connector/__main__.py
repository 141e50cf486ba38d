"""Exit codes, and sentences for errors: 0 done, 1 failed while running, 2 wrong use or configuration."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from connector.cli import app
from connector.core.errors import ConfigurationError, ConnectorError

FAILED, WRONG_USE, INTERRUPTED = 1, 2, 130


def main() -> NoReturn:
    """Run a command and end the process."""
    try:
        code = _run()
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`). Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = FAILED
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)


def _run() -> int:
    try:
        app(prog_name="extend-connector")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else FAILED
    except ConfigurationError as error:
        _say(error)
        return WRONG_USE
    except ConnectorError as error:
        _say(error)
        return FAILED
    return 0


def _say(error: ConnectorError) -> None:
    """The error's sentence on stderr; secrets that a library put into it are taken out."""
    from connector.logs import redact  # noqa: PLC0415 - needed only here, and --help should be fast

    print(redact(str(error)), file=sys.stderr)  # noqa: T201 - what a person reads


if __name__ == "__main__":
    main()
