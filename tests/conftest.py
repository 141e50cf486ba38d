"""Fixtures and settings for every folder."""

import os
import signal

from hypothesis import settings

# A shell starts background jobs with SIGINT ignored, and children inherit that: tests of Ctrl-C would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ["tests.debian", "tests.kafka.fixtures", "tests.lanes", "tests.summary"]

# Two busy cores make any single example slow now and then: a deadline would fail a test for nothing.
settings.register_profile("dev", deadline=None)
# The same examples for every run of a commit: a red build can be repeated.
settings.register_profile("ci", deadline=None, derandomize=True, database=None)
# `make fuzz`: as many as somebody has the time for.
settings.register_profile("fuzz", deadline=None, max_examples=int(os.environ.get("FUZZ_EXAMPLES", "200000")))
settings.load_profile("ci" if os.environ.get("CI") else "dev")
