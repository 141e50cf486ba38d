"""`extend-connector run`: one worker, until SIGTERM."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from concurrent.futures import Future
from typing import Any

from connector import logs
from connector.adapters.kafka.version import librdkafka_version
from connector.adapters.metrics import Metrics
from connector.assembly import Topics, look_at_topics
from connector.cli.key_file import KeyFile
from connector.cli.loading import ConfigOption, examine_all
from connector.cli.registered_inputs import warn_of_misfits
from connector.cli.service import ENDS, end_at_once_on_signals, start_log
from connector.config import Config
from connector.stop_points import VARIABLE, stop_point_of
from connector.worker import Worker

_FULL_COLLECTIONS_SELDOM = 1_000


def run(*, config: ConfigOption = None) -> None:
    """Carry documents from the input topics to their results, until SIGTERM.

    SIGTERM starts nothing more, waits for open POSTs, journals what came back and leaves the group: exit 0 within 25 s.
    Runs that are open go on at Extend; whoever takes the partitions over follows them.

    Example: extend-connector run --config connector.yaml
    """
    end_at_once_on_signals()
    settings = examine_all(config).config
    start_log(settings)
    _collect_seldom()
    asyncio.run(_work(settings))


def _collect_seldom() -> None:
    """Let the garbage collector look at everything a hundred times more seldom than by default.

    Such a look takes in every open document: with 50,000 of them the event loop stood still for 0.3 s of CPU, every few
    seconds while runs were started, and nothing of an open document is ever garbage in a cycle. What is, dies young.
    """
    gc.freeze()
    young, old, _ = gc.get_threshold()
    gc.set_threshold(young, old, _FULL_COLLECTIONS_SELDOM)


async def _work(config: Config) -> None:
    topics = await _topics(config)
    if topics is None:
        logs.logger.info("stopped_while_starting")
        return
    metrics = Metrics(librdkafka=librdkafka_version())
    metrics.prepare(
        routes=[route.name for route in config.core_routes()],
        inputs=sorted({route.topic for route in config.core_routes()}),
        outputs=config.result_topics(),
    )
    worker = Worker(
        config,
        topics,
        metrics=metrics,
        stop_point=stop_point_of(os.environ.get(VARIABLE)),
        read_key=KeyFile(config.extend.api_key_file).read,
    )
    worker.handle_signals()
    looking = asyncio.create_task(warn_of_misfits(config))
    try:
        await worker.run()
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


async def _topics(config: Config) -> Topics | None:
    """The topics as they are, or None when a signal came first.

    Looking takes up to 16 s where no broker answers, and cannot be interrupted. It has a thread that nobody waits for:
    the threads of ``asyncio.to_thread`` are joined at the end of the process.
    """
    over = asyncio.Event()
    for number in ENDS:
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    found: Future[Topics] = Future()
    threading.Thread(target=_look, args=(config, found), name="look-at-topics", daemon=True).start()
    looking = asyncio.ensure_future(asyncio.wrap_future(found))
    stopping = asyncio.ensure_future(over.wait())
    either: set[asyncio.Future[Any]] = {looking, stopping}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if looking.done():
        return looking.result()
    looking.cancel()
    return None


def _look(config: Config, found: Future[Topics]) -> None:
    if not found.set_running_or_notify_cancel():
        return
    try:
        found.set_result(look_at_topics(config))
    except BaseException as error:  # noqa: BLE001 - it is raised where the result is awaited
        found.set_exception(error)
