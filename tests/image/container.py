"""The image run as Kubernetes runs it: as process 1, with a user id that it does not know, on a read-only root."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.child_process import ChildProcess

USER = "12345:0"
"""No user of the image; group 0, as OpenShift gives it."""

_RUN = """
set -eu
root=$1 mounted=$2 user=$3; shift 3
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t tmpfs none "$root/tmp"
mount -t proc none "$root/proc"
mount --rbind /dev "$root/dev"
mount --bind "$mounted" "$root/etc/extend-connector"
mount -o remount,bind,ro "$root/etc/extend-connector"
exec chroot --userspec="$user" "$root" /usr/bin/env "$@"
"""


class Container:
    """One process of an image."""

    def __init__(
        self,
        name: str,
        root: Path,
        config: Mapping[str, Any],
        folder: Path,
        *command: str,
        environment: Mapping[str, str] | None = None,
        entrypoint: bool = True,
    ) -> None:
        """A process that does not run yet.

        Args:
            name: what messages call it.
            root: the image's file system.
            config: what the image says of itself: environment, folder, entry point and command count.
            folder: what is mounted where the configuration is looked for.
            command: instead of the image's own.
            environment: beside the image's own.
            entrypoint: whether the image's entry point stands before the command.
        """
        own = [*config["Env"], *(f"{key}={value}" for key, value in (environment or {}).items())]
        words = [*(config["Entrypoint"] if entrypoint else ()), *(command or config["Cmd"])]
        line = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", _RUN, "sh", str(root)]
        line += [str(folder), USER, "-i", "-C", config["WorkingDir"], *own, *words]
        self.process = ChildProcess(name, line, folder.parent / f"{folder.name}-{name}.log")

    def run(self, within: float = 60) -> tuple[int, str]:
        """Start it and wait for its end; its exit code, and what it printed."""
        self.process.start()
        return self.process.wait(within), self.process.log

    def terminate(self, within: float) -> int:
        """SIGTERM to process 1, and nobody else; its exit code."""
        (inner,) = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        os.kill(int(inner), signal.SIGTERM)
        return self.process.wait(within)
