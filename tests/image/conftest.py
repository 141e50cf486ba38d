"""The projects on the broker that the tests of commands have."""

from tests.kafka.conftest import made, project

__all__ = ["made", "project"]
