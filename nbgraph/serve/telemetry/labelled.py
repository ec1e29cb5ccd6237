"""Labelled: all that a registry tells, with the graph and the function on every series, the process's own too."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import Metric
from prometheus_client.registry import Collector, CollectorRegistry


class Labelled(Collector):
    """A registry whose numbers are told with further labels, so that two deployments can be told apart.

    >>> from prometheus_client import Counter
    >>> inner, outer = CollectorRegistry(), CollectorRegistry()
    >>> Counter("calls", "Calls", registry=inner).inc()
    >>> outer.register(Labelled(inner, {"graph": "fraud"}))
    >>> outer.get_sample_value("calls_total", {"graph": "fraud"})
    1.0
    """

    def __init__(self, registry: CollectorRegistry, labels: dict[str, str]) -> None:
        self._registry, self._labels = registry, labels

    def describe(self) -> list[Metric]:
        """None: so nothing has to be collected to be registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        for family in self._registry.collect():
            family.samples = [sample._replace(labels={**self._labels, **sample.labels}) for sample in family.samples]
            yield family
