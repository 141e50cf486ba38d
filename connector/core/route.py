"""A route: what to do with the records of one topic, or with some of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from connector.core.accept.mapping import FieldMapping
from connector.core.accept.when import When


@dataclass(frozen=True, slots=True)
class Route:
    """Which records it takes, where in them the reference is, and what that means when it does not say it itself.

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
        when: which records of the topic it takes, or None for all.
        mapping: where in a record the reference is, or None when the record is one.
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
    when: When | None = None
    mapping: FieldMapping | None = None
