"""A route: what to do with the references of one topic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Route:
    """What a topic's references mean when they do not say it themselves.

    Attributes:
        name: the route's name in the configuration; results, logs and metrics show it.
        topic: the input topic.
        run: name of the run type, or None when every reference brings its own.
        processor: extractor, classifier, splitter, workflow or template id, or None.
        version: the processor's version, or None for the API's choice.
        config: the inline config, or what overrides the processor's, or None.
        priority: 1 to 100, lower runs first, or None for the API's choice.
        metadata: what every run's metadata holds; a reference's own keys win.
        create: every other field of the create body, by its API name.
    """

    name: str
    topic: str
    run: str | None = None
    processor: str | None = None
    version: str | None = None
    config: Mapping[str, object] | None = None
    priority: int | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)
    create: Mapping[str, object] = field(default_factory=dict)
