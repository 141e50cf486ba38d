"""Fixtures for every folder."""

pytest_plugins = ["tests.kafka.fixtures"]
