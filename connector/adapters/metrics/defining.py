"""How a metric is defined: once, with its name, its labels and the sentence that operators read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

from connector.adapters.labels import Label

PREFIX = "extend_connector_"

M = TypeVar("M", Counter, Gauge, Histogram)


@dataclass(frozen=True, slots=True)
class Definition:
    """What docs/metrics.md and the dashboards need to know about a metric.

    Attributes:
        name: the full name, as it is queried (histograms without ``_bucket``).
        kind: ``counter``, ``gauge``, ``histogram`` or ``info``.
        labels: names of its labels.
        help: one sentence or two, for operators.
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str


class Labelled(Generic[M]):
    """A metric with labels. Values outside of a label's set are counted as ``other``."""

    def __init__(self, metric: M, labels: Mapping[str, Label]) -> None:
        self._metric: M = metric
        self._labels = labels

    def labels(self, **values: object) -> M:
        """The series with these label values; every label must be named.

        Raises:
            ValueError: a label is missing, or one is named that the metric does not have.
        """
        if values.keys() != self._labels.keys():
            raise ValueError(f"This metric has the labels {sorted(self._labels)}, not {sorted(values)}.")
        return self._metric.labels(**{name: rule.value(values[name]) for name, rule in self._labels.items()})

    def remove(self, **values: object) -> None:
        """Forget a series, e.g. that of a partition which was revoked. Nothing happens when there is none."""
        self._metric.remove(*(rule.value(values[name]) for name, rule in self._labels.items()))

    def prepare(self, **values: Sequence[str]) -> None:
        """Make series before the first event, so that rates and alerts see the first one.

        Args:
            values: the values of each label that only the configuration knows.
        """
        choices = [values.get(name, rule.known) for name, rule in self._labels.items()]
        for choice in product(*choices):
            self.labels(**dict(zip(self._labels, choice, strict=True)))


class Definer:
    """Makes metrics in one registry and remembers what they mean."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self.definitions: list[Definition] = []

    def counter(self, name: str, text: str) -> Counter:
        """One that only grows."""
        return Counter(self._define(name, "counter", text), text, registry=self._registry)

    def gauge(self, name: str, text: str) -> Gauge:
        """One that goes up and down."""
        return Gauge(self._define(name, "gauge", text), text, registry=self._registry)

    def histogram(self, name: str, text: str, bounds: Sequence[float]) -> Histogram:
        """One that counts what is below each bound, in seconds."""
        return Histogram(self._define(name, "histogram", text), text, registry=self._registry, buckets=bounds)

    def counters(self, name: str, text: str, **labels: Label) -> Labelled[Counter]:
        """A counter for each set of labels."""
        full = self._define(name, "counter", text, labels)
        return self._prepared(Labelled(Counter(full, text, tuple(labels), registry=self._registry), labels))

    def gauges(self, name: str, text: str, **labels: Label) -> Labelled[Gauge]:
        """A gauge for each set of labels; a series exists once it was set."""
        full = self._define(name, "gauge", text, labels)
        return Labelled(Gauge(full, text, tuple(labels), registry=self._registry), labels)

    def histograms(self, name: str, text: str, bounds: Sequence[float], **labels: Label) -> Labelled[Histogram]:
        """A histogram for each set of labels."""
        full = self._define(name, "histogram", text, labels)
        metric = Histogram(full, text, tuple(labels), registry=self._registry, buckets=bounds)
        return self._prepared(Labelled(metric, labels))

    def info(self, name: str, text: str, **values: str) -> None:
        """A constant 1, whose labels are what it says."""
        full = self._define(name, "info", text, values)
        Info(full.removesuffix("_info"), text, registry=self._registry).info(values)

    def _define(self, name: str, kind: str, text: str, labels: Mapping[str, object] | None = None) -> str:
        self.definitions.append(Definition(PREFIX + name, kind, tuple(labels or ()), text))
        return PREFIX + name

    @staticmethod
    def _prepared(metric: Labelled[M]) -> Labelled[M]:
        metric.prepare()
        return metric
