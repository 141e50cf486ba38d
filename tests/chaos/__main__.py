"""``make chaos``: the long run, for as many minutes as wanted. See ``chaos``."""

from __future__ import annotations

import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from random import SystemRandom

from tests.chaos.chaos import NODES, PARTITIONS, SIMULATOR, play, rules, settings
from tests.chaos.checker import check
from tests.chaos.proxy import KafkaProxy
from tests.chaos.report import Report
from tests.chaos.stage import Stage
from tests.kafka.cluster import KafkaCluster


def run(folder: Path, *, minutes: float, seed: int) -> Report:
    """One run, with brokers of its own.

    Args:
        folder: for logs, which stay.
        minutes: how long references are written.
        seed: of everything that is drawn.

    Raises:
        BrokerUnavailable: Kafka does not come up.
        TimeoutError: the work has not come to its end.
    """
    begun = time.monotonic()
    with (
        KafkaProxy(NODES) as proxy,
        KafkaCluster(NODES, folder=folder / "kafka", behind=proxy.ports) as cluster,
    ):
        proxy.aim(cluster.node(number).client_port for number in range(1, NODES + 1))
        with Stage(
            cluster,
            "chaos",
            folder,
            partitions=PARTITIONS,
            simulator=(*SIMULATOR, "--seed", str(seed)),
            settings=settings(proxy),
        ) as stage:
            outcome = play(stage, cluster, proxy, minutes=minutes, seed=seed)
            lines = (f"{f.at_ms} {f.kind} {f.target} {f.until_ms - f.at_ms} {f.hit}" for f in outcome.history.faults)
            (folder / "faults.txt").write_text("\n".join(lines), encoding="utf-8")
            verdict = check(outcome.history, rules(stage))
    return Report(f"make chaos MINUTES={minutes:g} SEED={seed}", time.monotonic() - begun, outcome, verdict)


def main(arguments: Sequence[str]) -> int:
    """Run it, print the report, and write it where asked.

    Returns:
        The exit code: 1 when a promise was broken.
    """
    parser = ArgumentParser(prog="make chaos", description="Everything at once, on three real brokers.")
    parser.add_argument("--minutes", type=float, default=4.0, help="how long references are written (default: 4)")
    parser.add_argument("--seed", type=int, help="of everything that is drawn; by default another each time")
    parser.add_argument("--report", type=Path, help="file for the report, as markdown; by default it is printed only")
    parser.add_argument("--folder", type=Path, help="for logs; by default a temporary one, which stays")
    chosen = parser.parse_args(arguments)
    seed = SystemRandom().randrange(1_000_000) if chosen.seed is None else chosen.seed
    folder = chosen.folder or Path(tempfile.mkdtemp(prefix="chaos-"))
    _say(f"Seed {seed}; logs are in {folder}.")
    report = run(folder, minutes=chosen.minutes, seed=seed)
    _say(str(report))
    if chosen.report is not None:
        chosen.report.write_text(f"{report}\n", encoding="utf-8")
    return 0 if report.kept else 1


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a command prints


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
