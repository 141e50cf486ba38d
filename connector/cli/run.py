"""`extend-connector run`: one worker, until SIGTERM."""

from __future__ import annotations

import asyncio
import os
import sys

from connector import logs
from connector.adapters.kafka.version import librdkafka_version
from connector.adapters.metrics import Metrics
from connector.assembly import look_at_topics
from connector.cli.key_file import KeyFile
from connector.cli.loading import ConfigOption, load_config
from connector.config import Config
from connector.core.run_types import status_topics
from connector.stop_points import VARIABLE, stop_point_of
from connector.worker import Worker


def run(*, config: ConfigOption = None) -> None:
    """Carry documents from the input topics to their results, until SIGTERM.

    SIGTERM starts nothing more, waits for open POSTs, journals what came back and leaves the group: exit 0 within 25 s.
    Runs that are open go on at Extend; whoever takes the partitions over follows them.

    Example: extend-connector run --config connector.yaml
    """
    settings = load_config(config)
    as_json = settings.log.format == "json" or (settings.log.format == "auto" and not sys.stderr.isatty())
    logs.configure(settings.log.level, json=as_json)
    logs.log_uncaught()
    for secret in settings.secrets():
        logs.register_secret(secret.reveal())
    asyncio.run(_work(settings))


async def _work(config: Config) -> None:
    topics = await asyncio.to_thread(look_at_topics, config)
    metrics = Metrics(librdkafka=librdkafka_version())
    metrics.prepare(
        routes=[route.name for route in config.core_routes()],
        inputs=sorted({route.topic for route in config.core_routes()}),
        outputs=status_topics(config.output.prefix),
    )
    worker = Worker(
        config,
        topics,
        metrics=metrics,
        stop_point=stop_point_of(os.environ.get(VARIABLE)),
        read_key=KeyFile(config.extend.api_key_file).read,
    )
    worker.handle_signals()
    await worker.run()
